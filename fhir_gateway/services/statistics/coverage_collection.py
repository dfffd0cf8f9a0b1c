"""
Collects by which ways the bookings of residents' lists were found.
"""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from time import monotonic
from typing import Final

import structlog

from fhir_gateway.model.errors import GatewayError
from fhir_gateway.model.found_booking import FoundBooking, Lack
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.month import Month
from fhir_gateway.model.timekeeping import Clock, now

__all__ = ["CoverageCollection"]

_log = structlog.get_logger()

_STORED_EVERY: Final = timedelta(minutes=1)

Key = tuple[Month, SourceName, Lack | None, Lack | None]


class CoverageCollection:
    """
    Counts in memory, and stores the counts once a minute.

    A list never waits for the database here, and never fails because of it. Counts of
    the last minute are lost with a process that is killed.

    Args:
        add: Stores counts.
        stored_every: How long counts wait in memory at most, while lists are asked for.
        clock: Returns the time.
    """

    def __init__(
        self,
        add: Callable[[Mapping[Key, int]], None],
        *,
        stored_every: timedelta = _STORED_EVERY,
        clock: Clock = now,
    ) -> None:
        self._add = add
        self._stored_every_s = stored_every.total_seconds()
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: Counter[Key] = Counter()
        self._stored_at = monotonic()
        self._storing: threading.Thread | None = None

    def count(self, found: tuple[FoundBooking, ...]) -> None:
        """Count the bookings of one list."""
        month = Month.of(self._clock())
        with self._lock:
            self._counts.update(
                (month, each.source, each.aggregated, each.direct) for each in found
            )
            is_due = monotonic() - self._stored_at >= self._stored_every_s
            if not is_due or not self._counts:
                return
            self._stored_at = monotonic()
            self._storing = threading.Thread(
                target=self.store, name="coverage counts", daemon=True
            )
            self._storing.start()

    def store(self) -> None:
        """Store what was counted; it is kept for the next time if that fails."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        if not counts:
            return
        try:
            self._add(counts)
        except GatewayError as error:
            with self._lock:
                self._counts.update(counts)
            _log.warning("coverage not counted", error=error.log_text)

    def close(self) -> None:
        """Store what is left."""
        with self._lock:
            storing = self._storing
        if storing is not None:
            storing.join()
        self.store()
