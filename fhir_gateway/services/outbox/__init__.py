"""
Outboxes: delivers what is committed in SQL to another system, until it is accepted.
"""
