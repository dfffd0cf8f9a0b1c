"""
Reads single bookings in threads, until the deadline of their resident's list.
"""

from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from functools import partial
from time import monotonic

import structlog

from fhir_gateway.model.booking import ManagedBooking
from fhir_gateway.model.errors import GatewayError
from fhir_gateway.model.fault_place import fault_place
from fhir_gateway.services.resident.call_threads import CallThreads
from fhir_gateway.stores.journal import BookingRecord

__all__ = ["SingleReads"]

_log = structlog.get_logger()


class SingleReads:
    """
    The bookings of one list that need a call of their own.

    Args:
        threads: Make the calls.
        read: Reads a booking at its source and records what it finds.
    """

    def __init__(
        self, threads: CallThreads, read: Callable[[str], ManagedBooking]
    ) -> None:
        self._threads = threads
        self._read = read
        self._started: dict[str, Future[ManagedBooking]] = {}

    def start(self, record: BookingRecord) -> None:
        """Read a booking, unless that has begun."""
        if record.id not in self._started:
            self._started[record.id] = self._threads.submit(
                record.source,
                partial(self._read, record.id),
                about=record.timeslot.schedule.unit,
            )

    def gather(self, deadline: float) -> dict[str, ManagedBooking]:
        """
        Return the bookings that were read until the deadline, by our id.

        What a later answer shows is recorded all the same.
        """
        wait(self._started.values(), timeout=max(0.0, deadline - monotonic()))
        read = {}
        for identifier, started in self._started.items():
            if started.done():
                with suppress(GatewayError):
                    read[identifier] = started.result()
            elif not started.cancel():
                started.add_done_callback(_log_failure)
        return read


def _log_failure(late: Future[ManagedBooking]) -> None:
    error = None if late.cancelled() else late.exception()
    if error is not None and not isinstance(error, GatewayError):
        _log.error("unforeseen failure", **fault_place(error))
