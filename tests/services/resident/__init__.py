"""A resident's list of bookings."""
