"""
The contracts of crm:scheduling 1.1 and their types.
"""
