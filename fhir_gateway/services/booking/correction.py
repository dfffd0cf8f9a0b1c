"""
Correction: checks writes that were settled without proof, and corrects them.

Such a write was confirmed but not listed, or left no trace: both can prove wrong later.
A booking that a client got as booked is never revoked.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

import structlog

from fhir_gateway.model.booking import Booking
from fhir_gateway.model.errors import GatewayError, Unavailable, Unsupported
from fhir_gateway.model.timekeeping import Clock
from fhir_gateway.model.timeslot import Timeslot
from fhir_gateway.services.booking.alarming import alarm_logger, raise_alarm
from fhir_gateway.services.booking.read_back import ReadBack
from fhir_gateway.stores.journal import (
    Alarm,
    BookingIdTaken,
    BookingRecord,
    BookingState,
    Journal,
    WriteIntent,
    WriteKind,
    WriteState,
)

__all__ = ["Correction"]

_log = structlog.get_logger()

# A process that reopens an intent settles it in its next statement.
_LEASE: Final = timedelta(seconds=30)


class Correction:
    """
    Checks settled writes again.

    Args:
        journal: Where writes are settled.
        read_back: Reads a resident's bookings.
        settle_done: Settles a write as done when its booking is listed.
        clock: Returns the time.
    """

    def __init__(
        self,
        journal: Journal,
        read_back: ReadBack,
        settle_done: Callable[[WriteIntent, tuple[Booking, ...]], BookingRecord],
        *,
        clock: Clock,
    ) -> None:
        self._journal = journal
        self._read_back = read_back
        self._settle_done = settle_done
        self._clock = clock

    def recheck_settled(self, intent: WriteIntent) -> None:
        """
        Check once more a write that was settled without seeing the list, or by absence.

        The platform may have delivered the booking twice after the first look. An
        absent booking may have been sent since: by a process that stood still between
        the journal and the first byte, sent it, and died before it could record that.

        Raises:
            GatewayError: The source could not be asked.
        """
        record = self._journal.lookups.get(intent.booking)
        target = intent.timeslot
        if intent.state is WriteState.LEFT_NO_TRACE:
            if record.state is BookingState.BOOKED:
                self._read_back.refresh(record)
            else:
                self._look_for_not_made(record, intent)
        elif intent.kind is WriteKind.CANCEL:
            self._look_at_cancelled(record, intent)
        elif target is not None and target.start > self._clock():
            self._look_at_done(record, intent, target)
        self._journal.outcomes.mark_seen(intent)

    def _look_at_done(
        self, record: BookingRecord, intent: WriteIntent, target: Timeslot
    ) -> None:
        try:
            matches = self._read_back.look(record, target).matches
        except Unsupported as error:
            # The source has no list.
            _log.info("booking not read back", booking=record.id, error=str(error))
            return
        if not matches:
            if record.confirmed_at is None:
                self._read_back.doubt_yes(record)
            return
        if record.state is BookingState.BOOKED and record.timeslot == target:
            named = [each for each in matches if each.booking_id == record.booking_id]
            try:
                self._read_back.confirm(record, (named or matches)[0])
            except BookingIdTaken as error:
                _log.error(
                    "booking id is already in use", booking=record.id, error=str(error)
                )
        elif self._journal.lookups.find_standing(record.number, target.token) is None:
            # The booking was cancelled or moved here, and its old time is still listed.
            raise_alarm(self._journal, intent, Alarm.DUPLICATE, "duplicate booking")

    def _look_at_cancelled(self, record: BookingRecord, intent: WriteIntent) -> None:
        """Flag a cancellation that no list confirmed, if the booking is listed now."""
        standing = self._journal.lookups.find_standing(
            record.number, record.timeslot.token
        )
        if standing is not None or record.timeslot.start <= self._clock():
            # Booked again since, or past: the list proves nothing about the old one.
            return
        try:
            sighting = self._read_back.look(record, record.timeslot)
        except Unsupported as error:
            _log.info("booking not read back", booking=record.id, error=str(error))
            return
        if sighting.of_id(record.booking_id) or self._is_described(record):
            self.flag_standing(intent)

    def _is_described(self, record: BookingRecord) -> bool:
        """Return whether the details have a booking; unreadable ones prove nothing."""
        try:
            return self._read_back.find_details(record) is not None
        except Unavailable:
            raise
        except GatewayError as error:
            _log.info("booking not read back", booking=record.id, error=str(error))
            return False

    def flag_standing(self, intent: WriteIntent) -> None:
        """Flag a cancellation if its source still lists the booking."""
        raise_alarm(
            self._journal, intent, Alarm.AMBIGUOUS, "cancelled booking is still listed"
        )

    def reopen_as_done(
        self, intent: WriteIntent, settle: Callable[[WriteIntent], BookingRecord]
    ) -> BookingRecord | None:
        """
        Reopen a write that was settled as LEFT_NO_TRACE, and settle it as done.

        Args:
            intent: The write, as the caller read it.
            settle: Settles the reopened write as done.

        Returns:
            The booking; None if the write was not settled so.
        """
        reopened = self._journal.outcomes.reopen(
            intent,
            lease=_LEASE,
            log=alarm_logger(intent, "settled outcome was wrong"),
        )
        return None if reopened is None else settle(reopened)

    def recheck_not_made(self, record: BookingRecord) -> BookingRecord:
        """
        Check a void booking again; return its present state.

        This asks its source only if its MAKE was settled as LEFT_NO_TRACE.
        """
        intent = self._journal.lookups.find_latest(record.id)
        if intent is None:
            return record
        try:
            return self._look_for_not_made(record, intent)
        except GatewayError as error:
            _log.info("booking not rechecked", booking=record.id, error=str(error))
            return record

    def reopen_as_unknown(self, intent: WriteIntent) -> BookingRecord:
        """
        Reopen a write that was sent only after it was looked for, as unknown.

        Its process stood still for so long that others looked for the write, and
        perhaps settled it as LEFT_NO_TRACE. Then the process sent it, and does not know
        the outcome.

        Returns:
            The booking.
        """
        if self._journal.outcomes.mark_sent_late(intent):
            return self._journal.lookups.get(intent.booking)
        event = "sent after it was settled"
        reopened = self._journal.outcomes.reopen(
            intent, lease=_LEASE, log=alarm_logger(intent, event)
        )
        if reopened is not None:
            return self._journal.settlements.settle_unknown(reopened)
        found = self._journal.lookups.get_intent(intent.id)
        if found.state in (WriteState.NOT_DONE, WriteState.LEFT_NO_TRACE):
            # Another write to the booking is under way.
            raise_alarm(self._journal, intent, Alarm.CONTRADICTED, event)
        return self._journal.lookups.get(intent.booking)

    def _look_for_not_made(
        self, record: BookingRecord, intent: WriteIntent
    ) -> BookingRecord:
        """Look for a booking again if its MAKE was settled as LEFT_NO_TRACE."""
        if (
            not record.state.is_void
            or intent.kind is not WriteKind.MAKE
            or intent.state is not WriteState.LEFT_NO_TRACE
            or record.timeslot.start <= self._clock()
        ):
            return record
        matches = self._read_back.look(record, record.timeslot).matches
        if not matches:
            return record
        return self.mend_not_made(intent, matches[0]) or record

    def mend_not_made(
        self, intent: WriteIntent, booking: Booking
    ) -> BookingRecord | None:
        """Correct a booking that is NOT_MADE here, and that its source lists."""
        known = (
            None
            if booking.booking_id is None
            else self._journal.lookups.find_by_booking_id(
                self._journal.lookups.get(intent.booking).source,
                booking.unit,
                booking.booking_id,
            )
        )
        if known is not None and known.id != intent.booking:
            # It belongs to a later booking of the same time by the resident.
            return None
        return self.reopen_as_done(
            intent, lambda reopened: self._settle_done(reopened, (booking,))
        )
