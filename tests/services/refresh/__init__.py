"""
Tests of what the worker asks, when, and what it believes.
"""
