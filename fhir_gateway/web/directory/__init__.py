"""
The directory on the web: its types as resource tables, and their routes.
"""
