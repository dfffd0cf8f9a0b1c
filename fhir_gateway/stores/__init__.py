"""
Storage: the booking journal in SQL, and data that may be lost in Redis.
"""
