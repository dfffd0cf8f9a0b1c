"""
Between the program's model and FHIR R4: the only layer that speaks both vocabularies.
"""
