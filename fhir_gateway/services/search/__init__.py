"""
Searches of free times, answered from memory.
"""
