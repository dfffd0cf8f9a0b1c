"""
Access to sources: whom to ask, when, and what of it is left.
"""
