"""
How a source is configured and asked.
"""
