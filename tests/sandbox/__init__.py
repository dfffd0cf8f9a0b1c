"""
The simulated regions, asked over real HTTP on loopback.
"""
