"""
Client requests: the client's key identifies a repeat of a request.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

import structlog

from fhir_gateway.model.booking import ManagedBooking
from fhir_gateway.model.client_request import (
    RecordedAnswer,
    RepeatedRequest,
    RequestKey,
)
from fhir_gateway.model.errors import GatewayError
from fhir_gateway.model.grant import Grant
from fhir_gateway.model.ids import BookingId, HsaId, SourceName
from fhir_gateway.stores.journal import Journal, WriteKind

__all__ = ["LEASE", "ClientRequests"]

_log = structlog.get_logger()

LEASE: Final = timedelta(seconds=100)
"""Longer than a request can take: a look, a write, and a read-back."""


class ClientRequests:
    """
    Stores the clients' request keys, and the answers to them.

    If the journal cannot be reached, `close`, `leave_open` and `forget` log that and
    return: the write has its outcome already, and a repeat finds it.

    Args:
        journal: Where keys and answers are stored.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def begin(self, key: RequestKey, *, again_if_not_done: bool = False) -> None:
        """
        Record that a request is in progress.

        Args:
            key: The client's key.
            again_if_not_done: Begin again, too, if its write was certainly not done.

        Raises:
            RepeatedRequest: The key has been used before.
        """
        self._journal.requests.begin(
            key, lease=LEASE, again_if_not_done=again_if_not_done
        )

    def close(
        self, key: RequestKey, answer: RecordedAnswer, booking: ManagedBooking | None
    ) -> None:
        """
        Store the final answer to a request.

        Args:
            key: The client's key.
            answer: The answer that the client got.
            booking: The booking that the request led to, if any.
        """
        visit = None if booking is None else booking.timeslot.start
        _note(lambda: self._journal.requests.close(key, answer, visit=visit))

    def leave_open(self, key: RequestKey, booking: ManagedBooking) -> None:
        """Record that a request's outcome is not known yet: its repeats look it up."""
        visit = booking.timeslot.start
        _note(lambda: self._journal.requests.leave_open(key, visit=visit))

    def forget(self, key: RequestKey) -> None:
        """Let a request begin again, unless its write may have been sent."""
        _note(lambda: self._journal.requests.forget(key))

    def has_made(self, repeated: RepeatedRequest) -> bool:
        """Return whether a request made a new booking."""
        if repeated.intent is None:
            return False
        intent = self._journal.lookups.get_intent(repeated.intent)
        return intent.kind is WriteKind.MAKE

    def find_booking(
        self,
        source: SourceName,
        unit: HsaId,
        booking_id: BookingId,
        grant: Grant,
    ) -> str | None:
        """Return our id of the grant's booking with that id of the unit."""
        record = self._journal.lookups.find_by_booking_id(source, unit, booking_id)
        if record is None or not grant.covers(record.owner(is_hold=False)):
            return None
        return record.id


def _note(note: Callable[[], None]) -> None:
    try:
        note()
    except GatewayError as error:
        _log.warning("request key not closed", error=str(error))
