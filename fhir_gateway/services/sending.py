"""
Sending: a claimed write is committed as sent, sent once, and settled by its answer.

    OK, INFO                     done, once it is seen to be what was asked for
    ERROR                        refused, in the region's words
    nothing can have arrived     not sent
    anything else                unknown: `settlement.py` finds out

Nothing is ever sent twice.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Final, TypeAlias

import structlog

from fhir_gateway.model.booking import (
    Booking,
    BookingPermissions,
    ResultCode,
    WriteResult,
)
from fhir_gateway.model.errors import (
    BookingUnconfirmed,
    GatewayError,
    Incorrect,
    Refused,
    Unavailable,
    Unsupported,
)
from fhir_gateway.model.ids import BookingId
from fhir_gateway.model.interaction import CancelBooking, MakeBooking, UpdateBooking
from fhir_gateway.model.source import Source
from fhir_gateway.model.timeslot import Timeslot
from fhir_gateway.services.read_back import ReadBack, is_own, is_the_same_time
from fhir_gateway.services.settlement import Settlement
from fhir_gateway.services.source_access import SourceAccess
from fhir_gateway.stores.journal import (
    Alarm,
    BookingIdTaken,
    BookingRecord,
    Decision,
    Journal,
    LostDecision,
)

__all__ = ["Sending", "Sent"]

_log = structlog.get_logger()

# Longer than any write can take: until then nobody else looks after a sent decision.
_LEASE: Final = timedelta(seconds=100)

# How a booking stands after a write, with what its source said of it, if it did.
Sent: TypeAlias = tuple[BookingRecord, Booking | None]


class Sending:
    """
    Sends writes.

    Args:
        access: The sources.
        journal: Where decisions are kept.
        read_back: Sees what a source has done.
        settlement: Mends what was settled too early.
    """

    def __init__(
        self,
        access: SourceAccess,
        journal: Journal,
        read_back: ReadBack,
        settlement: Settlement,
    ) -> None:
        self._access = access
        self._journal = journal
        self._read_back = read_back
        self._settlement = settlement

    def make(self, source: Source, decision: Decision, booking: MakeBooking) -> Sent:
        """
        Send a MakeBooking.

        Args:
            source: To whom.
            decision: What claimed it.
            booking: What is sent.

        Raises:
            Refused: The region said no.
            Unavailable: It could not be sent.
            GatewayError: It cannot be said to that source; nothing was sent.
        """
        adapter = self._access.adapter(source.name)
        return self._sent(
            source,
            decision,
            lambda timeout: adapter.make_booking(booking, timeout=timeout),
            lambda current, result: self._made(current, booking.timeslot, result),
        )

    def move(self, source: Source, decision: Decision, update: UpdateBooking) -> Sent:
        """
        Send an UpdateBooking; the old time stands until the new one is seen.

        Raises:
            Refused: The region said no.
            Unavailable: It could not be sent.
            GatewayError: It cannot be said to that source; nothing was sent.
        """
        adapter = self._access.adapter(source.name)
        return self._sent(
            source,
            decision,
            lambda timeout: adapter.update_booking(update, timeout=timeout),
            lambda current, result: self._moved(current, update.timeslot, result),
        )

    def cancel(
        self, source: Source, decision: Decision, cancellation: CancelBooking
    ) -> Sent:
        """
        Send a CancelBooking.

        Raises:
            Refused: The region said no.
            Unavailable: It could not be sent.
            GatewayError: It cannot be said to that source; nothing was sent.
        """
        adapter = self._access.adapter(source.name)
        return self._sent(
            source,
            decision,
            lambda timeout: adapter.cancel_booking(cancellation, timeout=timeout),
            lambda current, result: (
                self._journal.settle_cancelled(current, message=_to_be_shown(result)),
                None,
            ),
        )

    def _sent(
        self,
        source: Source,
        decision: Decision,
        write: Callable[[float], WriteResult],
        settle: Callable[[Decision, WriteResult], Sent],
    ) -> Sent:
        decision = self._journal.mark_sent(decision, lease=_LEASE)
        try:
            result = self._answer(source, decision, write)
            if result is None:
                return self._journal.settle_unknown(decision), None
        except LostDecision:
            # We were so late that it was looked for: what was found counts.
            return self._journal.get(decision.booking), None
        try:
            return settle(decision, result)
        except LostDecision:
            return self._late(decision, result, settle)

    def _late(
        self,
        decision: Decision,
        result: WriteResult,
        settle: Callable[[Decision, WriteResult], Sent],
    ) -> Sent:
        """Settle a yes that came after the write had been settled without it."""
        sent: list[Sent] = []

        def mend(reopened: Decision) -> BookingRecord:
            sent.append(settle(reopened, result))
            return sent[0][0]

        self._settlement.contradict(decision, mend)
        return sent[0] if sent else (self._journal.get(decision.booking), None)

    def _answer(
        self,
        source: Source,
        decision: Decision,
        write: Callable[[float], WriteResult],
    ) -> WriteResult | None:
        """
        Send a write, once, and settle it where it was not done.

        Returns:
            The region's OK or INFO, or None when the outcome is unknown.
        """
        try:
            result = write(source.write_timeout.total_seconds())
        except (Unavailable, Incorrect, Unsupported):
            self._journal.settle_not_sent(decision)
            raise
        except Refused as error:
            self._journal.settle_refused(decision, message=error.message)
            raise
        except BookingUnconfirmed as error:
            _log.warning(
                "outcome unknown",
                source=source.name,
                booking=decision.booking,
                error=str(error),
            )
            return None
        if result.is_done:
            return result
        text = result.text or "The region refused the request."
        self._journal.settle_refused(decision, message=text)
        raise Refused(text, source=source.name)

    def _made(
        self, decision: Decision, timeslot: Timeslot, result: WriteResult
    ) -> Sent:
        record = self._journal.get(decision.booking)
        details = self._seen(record, timeslot, result.booking_id)
        if details is not None and not (
            is_the_same_time(details, timeslot) and is_own(details, record.number)
        ):
            # Another time, place or person than was asked for: nobody knows what was
            # booked, so nothing is said to be.
            self._settlement.alarm(
                decision, Alarm.SOMETHING_ELSE, "region booked something else"
            )
            return self._journal.settle_unknown(decision), None
        try:
            settled = self._journal.settle_booked(
                decision,
                booking_id=(
                    details.booking_id or result.booking_id
                    if details
                    else result.booking_id
                ),
                permissions=details.permissions if details else BookingPermissions(),
                is_invitation=bool(details and details.is_invitation),
                message=_to_be_shown(result),
            )
        except BookingIdTaken as error:
            return self._not_believed(decision, error)
        if details is None:
            return settled, None
        return self._journal.confirm(settled, details, timeslot), details

    def _moved(
        self, decision: Decision, timeslot: Timeslot, result: WriteResult
    ) -> Sent:
        record = self._journal.get(decision.booking)
        found = self._found(record, timeslot)
        if not found:
            # Done by the region's word, but not seen: its new id is unknown as well.
            return self._journal.settle_unknown(decision), None
        details = found[0]
        try:
            moved = self._journal.settle_moved(
                decision,
                booking_id=details.booking_id,
                permissions=details.permissions,
                is_invitation=details.is_invitation,
                message=_to_be_shown(result),
            )
        except BookingIdTaken as error:
            return self._not_believed(decision, error)
        return self._read_back.confirmed(moved, details), details

    def _not_believed(self, decision: Decision, error: BookingIdTaken) -> Sent:
        _log.error("another booking's id", booking=decision.booking, error=str(error))
        self._journal.raise_alarm(decision, Alarm.SOMETHING_ELSE)
        return self._journal.settle_unknown(decision), None

    def _seen(
        self,
        record: BookingRecord,
        timeslot: Timeslot,
        booking_id: BookingId | None,
    ) -> Booking | None:
        """Return what the source says of a booking just made, if it can be asked."""
        if booking_id is None:
            found = self._found(record, timeslot)
            return found[0] if len(found) == 1 else None
        try:
            return self._access.booking_details(
                record.source, timeslot.schedule.unit, booking_id, record.number
            )
        except GatewayError as error:
            _not_read(record, error)
            return None

    def _found(self, record: BookingRecord, timeslot: Timeslot) -> tuple[Booking, ...]:
        try:
            return self._read_back.look(record, timeslot).matches
        except GatewayError as error:
            _not_read(record, error)
            return ()


def _not_read(record: BookingRecord, error: GatewayError) -> None:
    _log.info(
        "booking not read back",
        source=record.source,
        booking=record.id,
        error=str(error),
    )


def _to_be_shown(result: WriteResult) -> str | None:
    """Return the text that the contract says must be shown: that of INFO."""
    return result.text if result.code is ResultCode.INFO else None
