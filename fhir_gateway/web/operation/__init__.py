"""
The operations on Appointment, one module each; they do the same as REST.
"""
