"""
The log of staff access: delivers its entries to the log service.
"""
