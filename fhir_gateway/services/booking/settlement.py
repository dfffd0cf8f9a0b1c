"""
Settlement: finds the outcome of a write, only by reading its source.

    listed                   done
    absent in two looks,     left no trace; one more look follows later
    long after it was sent
    confirmed but not        done; one more look follows later, since the platform may
    listed, or listed early  deliver it twice
    neither for certain      flagged for manual follow-up; its time stays locked
    cannot be read           another look follows, at growing intervals

"Left no trace" can prove wrong, since a platform may deliver very late. Then the write
is corrected, with an alarm; a booking that a client got as booked is never revoked.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Final

import structlog

from fhir_gateway.model.booking import Booking, ResultCode, WriteResult
from fhir_gateway.model.errors import GatewayError, Unavailable, WriteUnconfirmed
from fhir_gateway.model.ids import BookingId
from fhir_gateway.model.timekeeping import Clock, now
from fhir_gateway.model.timeslot import Timeslot
from fhir_gateway.services.booking.alarming import raise_alarm
from fhir_gateway.services.booking.correction import Correction
from fhir_gateway.services.booking.read_back import (
    ReadBack,
    Sighting,
    is_the_same_time,
    may_be_of,
)
from fhir_gateway.services.source.source_access import SourceAccess
from fhir_gateway.stores.journal import (
    Alarm,
    BookingIdTaken,
    BookingRecord,
    Journal,
    LostIntent,
    WriteIntent,
    WriteKind,
)

__all__ = ["Settlement"]

_log = structlog.get_logger()

# Pauses between looks, as parts of `settles_within`: of 90 s, the first is 15 s.
_PAUSES: Final = (1 / 6, 2 / 6, 4 / 6, 8 / 6, 20 / 6)
# For a source that is no longer configured.
_SETTLES_WITHIN: Final = timedelta(seconds=90)
_OVERDUE: Final = timedelta(minutes=10)
# A source need not list a time that has begun: only an operator can settle it then.
_AFTER_THE_VISIT: Final = timedelta(hours=1)


class Settlement:
    """
    Settles writes of unknown outcome.

    Args:
        access: The sources.
        journal: Where writes are settled.
        read_back: Reads a resident's bookings.
        clock: Returns the time.

    Attributes:
        correction: Checks settled writes again.
    """

    def __init__(
        self,
        access: SourceAccess,
        journal: Journal,
        read_back: ReadBack,
        *,
        clock: Clock = now,
    ) -> None:
        self._access = access
        self._journal = journal
        self._read_back = read_back
        self._clock = clock
        self.correction = Correction(journal, read_back, self._settle_done, clock=clock)

    def settle(self, intent: WriteIntent) -> BookingRecord:
        """
        Try to find the outcome of a write; return its booking.

        Raises:
            GatewayError: The source could not be asked.
        """
        record = self._journal.lookups.get(intent.booking)
        try:
            if intent.kind is WriteKind.CANCEL:
                return self._settle_cancel(record, intent)
            return self._settle_time(record, intent)
        except LostIntent:
            return self._journal.lookups.get(intent.booking)

    def find_done(
        self, intent: WriteIntent, booking_id: BookingId | None = None
    ) -> WriteResult | None:
        """
        Return OK if the source has done a write by now, None if it has not.

        Args:
            intent: The write.
            booking_id: The id that the source's refusal of a new booking has.

        Raises:
            WriteUnconfirmed: The source has something that may be the booking.
            GatewayError: The source could not be asked.
        """
        record = self._journal.lookups.get(intent.booking)
        target = intent.timeslot or record.timeslot
        sighting = self._read_back.look(record, target, booking_id=booking_id)
        if intent.kind is WriteKind.CANCEL:
            is_seen = sighting.matches or sighting.candidates
            # A source need not list past times; a list that never had the booking
            # proves nothing, so the details must lack it, too.
            is_gone = (
                not is_seen
                and target.start > self._clock()
                and self._read_back.find_details(record) is None
            )
            return WriteResult(code=ResultCode.OK) if is_gone else None
        if sighting.matches:
            booking_id = sighting.matches[0].booking_id
            return WriteResult(code=ResultCode.OK, booking_id=booking_id)
        doubts = self.find_doubts(record, sighting)
        if (
            intent.kind is WriteKind.UPDATE
            and not (doubts or sighting.left_behind)
            and (moved := self._read_back.find_details(record)) is not None
            and is_the_same_time(moved, target)
        ):
            # The list may never have had the booking; its details show the new time.
            return WriteResult(code=ResultCode.OK)
        if not doubts and booking_id is not None:
            described = self._find_described(record, booking_id)
            if described is not None and is_the_same_time(described, target):
                return WriteResult(code=ResultCode.OK, booking_id=booking_id)
            doubts = () if described is None else (described,)
        self._check_doubts(intent, target, doubts, booking_id)
        return None

    def _find_described(
        self, record: BookingRecord, booking_id: BookingId
    ) -> Booking | None:
        """Return the details of an id, if that is no other booking of the journal."""
        described = self._read_back.find_details(replace(record, booking_id=booking_id))
        if described is None:
            return None
        named = replace(described, booking_id=booking_id)
        return None if self._read_back.is_another(record, named) else named

    def _check_doubts(
        self,
        intent: WriteIntent,
        target: Timeslot,
        doubts: tuple[Booking, ...],
        booking_id: BookingId | None,
    ) -> None:
        """
        Check that nothing makes the refusal of a booking or a move doubtful.

        Args:
            intent: The write.
            target: Its time.
            doubts: What the source has that may be the booking.
            booking_id: The id that the refusal has.

        Raises:
            WriteUnconfirmed: Something does; it raises an alarm if it has that id.
        """
        is_something_else = booking_id is not None and any(
            each.booking_id == booking_id
            and each.start is not None
            and (each.end is not None or each.start != target.start)
            for each in doubts
        )
        if is_something_else:
            raise_alarm(
                self._journal,
                intent,
                Alarm.SOMETHING_ELSE,
                "region booked something else",
            )
        if is_something_else or any(
            each.start == target.start or may_be_of(each, target) for each in doubts
        ):
            raise WriteUnconfirmed(
                "The source refused a write and has something that may be the booking.",
                source=self._journal.lookups.get(intent.booking).source,
                is_answered=True,
            )

    def find_doubts(
        self, record: BookingRecord, sighting: Sighting
    ) -> tuple[Booking, ...]:
        """Return the candidates that are no other booking of the journal."""
        return tuple(
            each
            for each in sighting.candidates
            if not self._read_back.is_another(record, each)
        )

    def postpone(self, intent: WriteIntent) -> None:
        """Plan another look, after a pause that grows with each look without result."""
        pause = _PAUSES[min(intent.attempts, len(_PAUSES) - 1)]
        self._count_vain_look(intent, pause * self._settles_within(intent))

    def _settle_time(self, record: BookingRecord, intent: WriteIntent) -> BookingRecord:
        timeslot = intent.timeslot or record.timeslot
        sighting = self._read_back.look(record, timeslot)
        if sighting.matches:
            self.flag_left_behind(record, intent, sighting)
            return self._settle_done(intent, sighting.matches)
        if self.find_doubts(record, sighting) or self._stands_nowhere(record, intent):
            return self._flag_ambiguous(record, intent)
        return self._settle_absence(record, intent, timeslot)

    def flag_left_behind(
        self, record: BookingRecord, intent: WriteIntent, sighting: Sighting
    ) -> None:
        """
        Flag a move if the booking is listed at its old time, too.

        Args:
            record: The booking as it was before the move.
            intent: The move.
            sighting: What the list has at its new time.
        """
        if self._stands_at_both_times(record, intent, sighting):
            raise_alarm(self._journal, intent, Alarm.DUPLICATE, "duplicate booking")

    def _settle_cancel(
        self, record: BookingRecord, intent: WriteIntent
    ) -> BookingRecord:
        timeslot = record.timeslot
        sighting = self._read_back.look(record, timeslot)
        if intent.yes_at is not None:
            # The list lags behind the region's yes, or the yes is wrong.
            if self._read_back.find_standing(record, sighting):
                return self._settle_absence(record, intent, timeslot)
        elif sighting.matches:
            # Still listed: the cancellation may not have been done.
            return self._settle_absence(record, intent, timeslot)
        elif sighting.candidates:
            return self._flag_ambiguous(record, intent)
        if timeslot.start <= self._clock():
            return self._flag_begun(record, intent)
        if self._is_described(record, intent):
            # The list may never have had the booking: its absence proves nothing.
            return self._settle_absence(record, intent, timeslot)
        return self._journal.settlements.settle_cancelled(intent)

    def _is_described(self, record: BookingRecord, intent: WriteIntent) -> bool:
        """
        Return whether the details have a booking that the list lacks.

        After the region's yes, details that cannot be read leave it to the list.

        Raises:
            GatewayError: The details prove nothing.
        """
        try:
            return self._read_back.find_details(record) is not None
        except Unavailable:
            raise
        except GatewayError:
            if intent.yes_at is None:
                raise
            return False

    def _settle_done(
        self, intent: WriteIntent, matches: tuple[Booking, ...]
    ) -> BookingRecord:
        booking = matches[0]
        if intent.kind is WriteKind.MAKE:
            settled = self._journal.settlements.settle_booked(
                intent,
                booking_id=booking.booking_id,
                permissions=booking.permissions,
                is_invitation=booking.is_invitation,
                message=None,
                look_again_in=self._next_look_in(intent),
            )
        else:
            settled = self._journal.settlements.settle_moved(
                intent,
                booking_id=booking.booking_id,
                permissions=booking.permissions,
                is_invitation=booking.is_invitation,
                message=None,
            )
        try:
            return self._read_back.confirm(settled, booking)
        except BookingIdTaken as error:
            _log.error(
                "booking id is already in use", booking=settled.id, error=str(error)
            )
            return settled

    def _next_look_in(self, intent: WriteIntent) -> timedelta | None:
        """Return after how long a booking needs one more look; None: no need."""
        within = self._settles_within(intent)
        sent_at = intent.sent_at
        if sent_at is None or self._clock() - sent_at >= within:
            return None
        # Until then the platform may deliver it again.
        return within

    def _settle_absence(
        self, record: BookingRecord, intent: WriteIntent, timeslot: Timeslot
    ) -> BookingRecord:
        """Settle a write without a trace at its source, if enough time has passed."""
        if timeslot.start <= self._clock():
            return self._flag_begun(record, intent)
        within = self._settles_within(intent)
        pause = within * _PAUSES[0]
        moment = self._clock()
        if intent.alarm is Alarm.SOMETHING_ELSE:
            # The region has confirmed something else.
            return self._flag_ambiguous(record, intent)
        if (
            intent.sent_at is not None
            and moment - intent.sent_at >= within
            and intent.unchanged_at is not None
            and moment - intent.unchanged_at >= pause
        ):
            if intent.yes_at is not None:
                # The region's yes and its list contradict each other.
                return self._flag_ambiguous(record, intent)
            return self._journal.settlements.settle_left_no_trace(
                intent, look_again_in=within * _PAUSES[-1]
            )
        self._count_vain_look(intent, pause, unchanged=True)
        return record

    def _flag_begun(self, record: BookingRecord, intent: WriteIntent) -> BookingRecord:
        raise_alarm(
            self._journal, intent, Alarm.BEGUN, "outcome unknown and time begun"
        )
        self._count_vain_look(intent, _AFTER_THE_VISIT)
        return record

    def _flag_ambiguous(
        self, record: BookingRecord, intent: WriteIntent
    ) -> BookingRecord:
        raise_alarm(self._journal, intent, Alarm.AMBIGUOUS, "outcome ambiguous")
        self._count_vain_look(intent, self._settles_within(intent) * _PAUSES[-1])
        return record

    def _stands_at_both_times(
        self, record: BookingRecord, intent: WriteIntent, sighting: Sighting
    ) -> bool:
        """Return whether a moved booking is listed at its old time, too."""
        target = intent.timeslot
        if intent.kind is not WriteKind.UPDATE or target in (None, record.timeslot):
            return False
        if target.schedule.unit == record.timeslot.schedule.unit:
            return bool(sighting.left_behind)
        return bool(self._look_at_old_time(record).matches)

    def _stands_nowhere(self, record: BookingRecord, intent: WriteIntent) -> bool:
        """Return whether a booking to move is no longer listed at its old time."""
        return intent.kind is WriteKind.UPDATE and not (
            self._look_at_old_time(record).matches
            or record.timeslot.start <= self._clock()
        )

    def _look_at_old_time(self, record: BookingRecord) -> Sighting:
        return self._read_back.look(record, record.timeslot)

    def _count_vain_look(
        self, intent: WriteIntent, pause: timedelta, *, unchanged: bool = False
    ) -> None:
        sent_at = intent.sent_at
        if sent_at is not None and self._clock() - sent_at >= _OVERDUE:
            raise_alarm(self._journal, intent, Alarm.OVERDUE, "outcome overdue")
        try:
            self._journal.outcomes.postpone(intent, until=pause, unchanged=unchanged)
        except LostIntent:
            # Another process has settled it: no more looks are needed.
            _log.debug("intent settled elsewhere", booking=intent.booking)

    def _settles_within(self, intent: WriteIntent) -> timedelta:
        record = self._journal.lookups.get(intent.booking)
        source = self._access.sources.get(record.source)
        return _SETTLES_WITHIN if source is None else source.settles_within
