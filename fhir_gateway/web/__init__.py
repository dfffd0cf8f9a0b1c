"""
FHIR's RESTful API: one module for each resource type.
"""
