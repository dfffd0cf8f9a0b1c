"""
The engagement index as a capability, over an index in memory.
"""
