"""
Clients that this project did not write, each through the same steps against a demo.
"""
