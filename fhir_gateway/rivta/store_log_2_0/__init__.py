"""
The contract StoreLog 2.0 of informationsecurity:auditing:log, and its types.
"""
