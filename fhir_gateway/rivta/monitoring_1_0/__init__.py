"""
The contract of itintegration:monitoring 1.0.
"""
