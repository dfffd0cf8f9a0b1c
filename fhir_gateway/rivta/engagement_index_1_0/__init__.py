"""
The contracts of itintegration:engagementindex 1.0 that this program uses.
"""
