"""
Proof that bookings never lie: faults, concurrent clients, crashes, and who checks them.
"""
