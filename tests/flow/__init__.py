"""Whole flows, over real HTTP."""
