"""
What this server remembers: the booking journal in SQL, and what may be lost in Redis.
"""
