"""
What the promises of speed cost: `make bench`.
"""
