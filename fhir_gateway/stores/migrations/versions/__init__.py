"""
The revisions of the journal's tables, one module each.
"""
