"""
Counts for statistics.

Those of bookings are counted in the journal when somebody asks; the journal keeps each
write for ever, without its person. Those of coverage have a table of their own.
"""

from fhir_gateway.stores.statistics.booking_counts import BookingCounts
from fhir_gateway.stores.statistics.coverage_counts import CoverageCounts

__all__ = ["BookingCounts", "CoverageCounts"]
