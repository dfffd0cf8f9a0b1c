"""
The engagement index as a capability: what it says of a resident, and what it must know.
"""
