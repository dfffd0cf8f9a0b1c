"""
Counts for statistics: of what happened, and never of whom it happened to.
"""

from dataclasses import dataclass
from enum import Enum

from fhir_gateway.model.found_booking import Lack
from fhir_gateway.model.ids import HsaId, SourceName, TimeTypeId
from fhir_gateway.model.month import Month

__all__ = ["BookingCount", "CoverageCount", "DaysAhead", "WriteOutcome"]


class WriteOutcome(Enum):
    """
    The outcome of a write to a region.

    BOOKED, MOVED and CANCELLED: the region has done it. REFUSED: the region refused it,
    for a reason of its own. NOT_DONE: it did not reach the region, or left no trace
    there. UNSETTLED: nobody knows yet.
    """

    BOOKED = "booked"
    MOVED = "moved"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    NOT_DONE = "not-done"
    UNSETTLED = "unsettled"


class DaysAhead(Enum):
    """How many days of 24 hours lie between a booking and its visit."""

    SAME_DAY = "0"
    NEXT_DAY = "1"
    WEEK = "2-7"
    TWO_WEEKS = "8-14"
    MONTH = "15-30"
    TWO_MONTHS = "31-60"
    LONGER = "61-"


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingCount:
    """
    How many writes had one outcome.

    Attributes:
        time_type_id: The unit's own time type.
        channel: The client that asked, by its `client_id`; None where nobody knows.
        days_ahead: Of a booking that was made: when its visit is.
    """

    month: Month
    source: SourceName
    unit: HsaId
    time_type_id: TimeTypeId
    channel: str | None
    outcome: WriteOutcome
    days_ahead: DaysAhead | None
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageCount:
    """
    How many listed bookings were found by the same ways.

    Attributes:
        aggregated: Why no aggregating service listed them; None where one did.
        direct: Why no direct list had them; None where one had.
    """

    month: Month
    source: SourceName
    aggregated: Lack | None
    direct: Lack | None
    count: int
