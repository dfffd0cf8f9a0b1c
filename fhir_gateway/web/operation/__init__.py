"""
The operations on Appointment, one module each: another door to what REST does.
"""
