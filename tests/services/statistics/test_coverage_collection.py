"""
Counts of coverage wait in memory, and reach the store without delaying a list.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

from fhir_gateway.model.errors import Unavailable
from fhir_gateway.model.found_booking import FoundBooking, Lack
from fhir_gateway.model.ids import HsaId, SourceName
from fhir_gateway.model.month import Month
from fhir_gateway.services.statistics.coverage_collection import CoverageCollection

NORR = SourceName("norr")
FOUND = FoundBooking(
    source=NORR,
    unit=HsaId("SE2321000016-A01"),
    is_invitation=False,
    aggregated=Lack.SILENT,
    direct=None,
)
KEY = (Month(2026, 11), NORR, Lack.SILENT, None)


def _clock() -> datetime:
    # In Sweden it is November already.
    return datetime(2026, 10, 31, 23, 30, tzinfo=UTC)


def test_counts_are_stored_at_the_end() -> None:
    """What is left is stored when the process ends, and once only."""
    stored: list[Mapping[Any, int]] = []
    collection = CoverageCollection(stored.append, clock=_clock)
    collection.count((FOUND, FOUND))
    collection.count((FOUND,))
    before = list(stored)
    collection.close()
    collection.close()

    assert (before, stored) == ([], [{KEY: 3}])


def test_counts_are_stored_while_lists_are_asked_for() -> None:
    """When it is time, a list's counts are stored on a thread of their own."""
    stored = Event()
    collection = CoverageCollection(
        lambda _: stored.set(), stored_every=timedelta(), clock=_clock
    )
    collection.count((FOUND,))

    assert stored.wait(10)


def test_counts_outlast_a_database_that_is_away() -> None:
    """What could not be stored is stored the next time."""
    stored: list[Mapping[Any, int]] = []

    def add(counts: Mapping[Any, int]) -> None:
        stored.append(counts)
        if len(stored) == 1:
            raise Unavailable("away")

    collection = CoverageCollection(add, clock=_clock)
    collection.count((FOUND,))
    collection.store()
    collection.count((FOUND,))
    collection.close()

    assert stored == [{KEY: 1}, {KEY: 2}]
