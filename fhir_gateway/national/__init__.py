"""
National services: how this program asks each of them, or answers it.
"""
