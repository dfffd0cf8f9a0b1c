"""
What the program does, over doubles and over real regions.
"""
