"""
The words everything else is written in: contract side, free of any framework.
"""
