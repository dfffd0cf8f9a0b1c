"""
Reports of statistics: as tables, as JSON, and as one page of HTML with charts.
"""
