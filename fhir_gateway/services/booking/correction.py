"""
Correction: what was settled without proof is looked at again, and mended if need be.

A region's yes was not seen in its list, or a write left no trace: either can turn out
to be wrong. What was said to be booked is never taken back.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

import structlog

from fhir_gateway.model.booking import Booking
from fhir_gateway.model.errors import GatewayError, Unsupported
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

# Who reopens an intent settles it in the next statement.
_LEASE: Final = timedelta(seconds=30)


class Correction:
    """
    Looks again at settled writes.

    Args:
        journal: What this server has written down.
        read_back: Reads a resident's bookings.
        settle_done: Settles a write whose booking was seen.
        clock: Says what time it is.
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

    def look_once_more(self, intent: WriteIntent) -> None:
        """
        Look once more at what was settled by the region's word, or by absence, alone.

        The platform may have had a booking made twice, and nobody could see that at the
        time. What was not there may have been sent since: a sender that stood still
        between the journal and the first byte for a minute and a half, and then died,
        has left no word.

        Raises:
            GatewayError: The source could not be asked.
        """
        record = self._journal.lookups.get(intent.booking)
        target = intent.timeslot
        if intent.state is WriteState.LEFT_NO_TRACE:
            if record.state is BookingState.BOOKED:
                self._read_back.refresh(record)
            else:
                self._look_for_absent(record, intent)
        elif target is not None and target.start > self._clock():
            self._look_at_done(record, intent, target)
        self._journal.outcomes.mark_seen(intent)

    def _look_at_done(
        self, record: BookingRecord, intent: WriteIntent, target: Timeslot
    ) -> None:
        try:
            matches = self._read_back.look(record, target).matches
        except Unsupported as error:
            # It has no list to look at.
            _log.info("booking not read back", booking=record.id, error=str(error))
            return
        if not matches:
            return
        if record.state is BookingState.BOOKED and record.timeslot == target:
            named = [each for each in matches if each.booking_id == record.booking_id]
            try:
                self._read_back.confirm(record, (named or matches)[0])
            except BookingIdTaken as error:
                _log.error("another booking's id", booking=record.id, error=str(error))
        elif self._journal.lookups.find_standing(record.number, target.token) is None:
            # Cancelled or moved meanwhile, it stands there once more.
            raise_alarm(self._journal, intent, Alarm.DUPLICATE, "duplicate booking")

    def contradict(
        self, intent: WriteIntent, settle: Callable[[WriteIntent], BookingRecord]
    ) -> BookingRecord | None:
        """
        Mend a write that left no trace when it was settled, and was done all the same.

        Args:
            intent: The write, however it was known.
            settle: Settles it as done.

        Returns:
            How it stands; None when there was nothing to mend.
        """
        reopened = self._journal.outcomes.reopen(
            intent,
            lease=_LEASE,
            log=alarm_logger(intent, "outcome contradicts what was said"),
        )
        return None if reopened is None else settle(reopened)

    def look_again(self, record: BookingRecord) -> BookingRecord:
        """
        Return a booking that is said not to have been made, or made after all.

        Its source is asked where the write was settled by its absence.
        """
        intent = self._journal.lookups.find_latest(record.id)
        if intent is None:
            return record
        try:
            return self._look_for_absent(record, intent)
        except GatewayError as error:
            _log.info("not looked at again", booking=record.id, error=str(error))
            return record

    def doubt(self, intent: WriteIntent) -> BookingRecord:
        """
        Take back what was found out of a write before it was sent.

        Its sender had stood still for so long that it was looked for, and perhaps
        settled as having left no trace. It has sent it then, with an unknown outcome.

        Returns:
            How the booking stands.
        """
        if self._journal.outcomes.mark_sent_late(intent):
            return self._journal.lookups.get(intent.booking)
        event = "sent after it was given up"
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

    def _look_for_absent(
        self, record: BookingRecord, intent: WriteIntent
    ) -> BookingRecord:
        """Return a booking whose write was settled by its absence, looked at anew."""
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
        return self.mend_absent(intent, matches[0]) or record

    def mend_absent(
        self, intent: WriteIntent, booking: Booking
    ) -> BookingRecord | None:
        """Mend a booking that was said not to have been made, and is at its source."""
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
            # The resident has booked the same time again since.
            return None
        return self.contradict(
            intent, lambda reopened: self._settle_done(reopened, (booking,))
        )
