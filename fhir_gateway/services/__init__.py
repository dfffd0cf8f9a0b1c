"""
What the program does, without knowing how it is asked or what answers.
"""
