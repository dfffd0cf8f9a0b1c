"""
How a source is asked: the Protocol, the registry, and scheduling 1.1.
"""
