"""
The domain model: the contracts' terms, free of any framework.
"""
