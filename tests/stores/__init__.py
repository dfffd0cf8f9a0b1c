"""
Tests of what this server remembers.
"""
