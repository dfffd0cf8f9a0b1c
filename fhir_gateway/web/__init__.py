"""
HTTP in FHIR's words: one module for each resource type.
"""
