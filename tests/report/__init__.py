"""
Reports: tables, JSON and pages.
"""
