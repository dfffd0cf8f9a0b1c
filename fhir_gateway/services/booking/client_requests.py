"""
Client requests: a repeat of a request is recognised by the key that the client gave it.
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
from fhir_gateway.model.ids import BookingId, HsaId, SourceName
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.stores.journal import Journal, WriteKind

__all__ = ["LEASE", "ClientRequests"]

_log = structlog.get_logger()

LEASE: Final = timedelta(seconds=100)
"""Longer than a request can live: a look, a write, and a reading back."""


class ClientRequests:
    """
    Keeps the clients' request keys, and the answers to them.

    `close`, `leave_open` and `forget` log a journal that is away and go on: the outcome
    of the request stands already, and a repeat finds it by its write.

    Args:
        journal: Where they are kept.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def begin(self, key: RequestKey, *, after_no: bool = False) -> None:
        """
        Note that a request is being worked at.

        Args:
            key: What the client calls it.
            after_no: Begin it anew as well where it is certain that nothing came of
                an earlier one.

        Raises:
            RepeatedRequest: The key has been used before.
        """
        self._journal.requests.begin(key, lease=LEASE, after_no=after_no)

    def close(
        self, key: RequestKey, answer: RecordedAnswer, booking: ManagedBooking | None
    ) -> None:
        """
        Keep the final answer to a request.

        Args:
            key: What the client calls it.
            answer: What it was answered.
            booking: The booking that it led to, if it led to one.
        """
        visit = None if booking is None else booking.timeslot.start
        _note(lambda: self._journal.requests.close(key, answer, visit=visit))

    def leave_open(self, key: RequestKey, booking: ManagedBooking) -> None:
        """Note that a request's outcome is unknown yet: its repeats find it out."""
        visit = booking.timeslot.start
        _note(lambda: self._journal.requests.leave_open(key, visit=visit))

    def forget(self, key: RequestKey) -> None:
        """Let a request be made anew, unless something of it may have been sent."""
        _note(lambda: self._journal.requests.forget(key))

    def has_made(self, repeated: RepeatedRequest) -> bool:
        """Return whether a request made its booking, rather than changed it."""
        if repeated.intent is None:
            return False
        intent = self._journal.lookups.get_intent(repeated.intent)
        return intent.kind is WriteKind.MAKE

    def find_booking(
        self,
        source: SourceName,
        unit: HsaId,
        booking_id: BookingId,
        number: PersonalIdentityNumber,
    ) -> str | None:
        """Return our id of the resident's booking that its unit knows by that id."""
        record = self._journal.lookups.find_by_booking_id(source, unit, booking_id)
        return None if record is None or record.number != number else record.id


def _note(note: Callable[[], None]) -> None:
    try:
        note()
    except GatewayError as error:
        _log.warning("request key not closed", error=str(error))
