"""
Bookings: from a claim to what the region's list shows.
"""
