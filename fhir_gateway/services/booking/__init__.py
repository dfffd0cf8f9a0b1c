"""
Bookings: claim a time, send the write, settle its outcome, list a resident's bookings.
"""
