"""
The make-believe regions, asked over real HTTP on loopback.
"""
