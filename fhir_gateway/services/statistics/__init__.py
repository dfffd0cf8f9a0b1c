"""
Statistics for operators: counts of what happened, in which no person can be found.

`disclosure.py` decides which counts may be shown; the reports of bookings and of
coverage are made of what it returns.
"""
