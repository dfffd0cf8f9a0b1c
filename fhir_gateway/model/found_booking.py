"""
By which way a resident's booking was found, for the statistics of coverage.
"""

from dataclasses import dataclass
from enum import Enum

from fhir_gateway.model.ids import HsaId, SourceName

__all__ = ["FoundBooking", "Lack", "Way"]


class Way(Enum):
    """
    How a resident's bookings are found.

    AGGREGATED: an aggregating service asks the units that the engagement index names.
    DIRECT: this server asks the source, or single units of it.
    """

    AGGREGATED = "aggregated"
    DIRECT = "direct"


class Lack(Enum):
    """
    Why one way has not found a booking.

    NOT_ASKED: no aggregating service covers the source, or the unit was not asked.
    SILENT: who was asked did not answer in time, or failed.
    UNIT_SILENT: it answered, and reports that the unit did not.
    UNIT_NOT_NAMED: it answered, and says nothing of the unit: the index does not name
        it, or the service may not ask it.
    NOT_LISTED: it has an answer of the unit, which lacks the booking.
    """

    NOT_ASKED = "not-asked"
    SILENT = "silent"
    UNIT_SILENT = "unit-silent"
    UNIT_NOT_NAMED = "unit-not-named"
    NOT_LISTED = "not-listed"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundBooking:
    """
    A booking in a resident's list, by the ways that it was looked for; of nobody.

    Attributes:
        aggregated: Why no aggregating service listed it; None where one did.
        direct: Why no direct list has it; None where one has.
    """

    source: SourceName
    unit: HsaId
    is_invitation: bool
    aggregated: Lack | None
    direct: Lack | None

    @property
    def ways(self) -> frozenset[Way]:
        """Return the ways that have found it; one at least."""
        found = (Way.AGGREGATED, self.aggregated), (Way.DIRECT, self.direct)
        return frozenset(way for way, lack in found if lack is None)
