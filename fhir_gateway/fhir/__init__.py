"""
Mapping between the domain model and FHIR R4: only this layer knows both.
"""
