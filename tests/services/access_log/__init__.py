"""
The log of staff access, over a log service in memory.
"""
