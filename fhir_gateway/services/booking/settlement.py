"""
Settlement: finding out how a write went, by reading its source and nothing else.

    seen                     it was done
    absent, for good         it was not: long after it was sent, in two looks; and
                             looked at once more, later
    done by its word alone,  looked at later: the platform may have had it done twice,
    or seen early            or may do so yet
    neither for certain      flagged for manual follow-up; its time stays locked
    cannot be read           asked again, ever more seldom

"Left no trace" can turn out to be wrong: a platform may deliver as late as it likes.
Then it is mended, with an alarm; what was said to be booked is never taken back.
"""

from datetime import timedelta
from typing import Final

import structlog

from fhir_gateway.model.booking import Booking, ResultCode, WriteResult
from fhir_gateway.model.errors import WriteUnconfirmed
from fhir_gateway.model.timekeeping import Clock, now
from fhir_gateway.model.timeslot import Timeslot
from fhir_gateway.services.booking.alarming import raise_alarm
from fhir_gateway.services.booking.correction import Correction
from fhir_gateway.services.booking.read_back import ReadBack, Sighting
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

# Of the time within which a source settles, between two looks: 15 s of 90 s.
_PAUSES: Final = (1 / 6, 2 / 6, 4 / 6, 8 / 6, 20 / 6)
# Of a source that is configured no more.
_SETTLES_WITHIN: Final = timedelta(seconds=90)
_OVERDUE: Final = timedelta(minutes=10)
# Of a time that has begun a source need say nothing: only an operator can settle that.
_AFTER_THE_VISIT: Final = timedelta(hours=1)


class Settlement:
    """
    Settles writes of unknown outcome.

    Args:
        access: The sources.
        journal: What this server has decided.
        read_back: Reads a resident's bookings.
        clock: Tells the time.

    Attributes:
        correction: Looks again at settled writes.
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
        Try to find out how a write of unknown outcome went; return how it stands.

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

    def find_done(self, intent: WriteIntent) -> WriteResult | None:
        """
        Return OK when the source has done a write by now, None when it has not.

        Raises:
            WriteUnconfirmed: The source lists something that may be the booking.
            GatewayError: The source could not be asked.
        """
        record = self._journal.lookups.get(intent.booking)
        target = intent.timeslot or record.timeslot
        sighting = self._read_back.look(record, target)
        if intent.kind is WriteKind.CANCEL:
            is_seen = sighting.matches or sighting.candidates
            # A source need not list what is past.
            is_gone = not is_seen and target.start > self._clock()
            return WriteResult(code=ResultCode.OK) if is_gone else None
        if not sighting.matches:
            if any(
                each.start == target.start and not self._is_known(record, each)
                for each in sighting.candidates
            ):
                raise WriteUnconfirmed(
                    "The source refused a write and lists a booking at that time.",
                    source=record.source,
                    is_answered=True,
                )
            return None
        booking_id = sighting.matches[0].booking_id
        return WriteResult(code=ResultCode.OK, booking_id=booking_id)

    def _is_known(self, record: BookingRecord, booking: Booking) -> bool:
        """Return whether the journal has a booking at a source as another one."""
        if booking.booking_id is None:
            return False
        known = self._journal.lookups.find_by_booking_id(
            record.source, booking.unit, booking.booking_id
        )
        return known is not None and known.id != record.id

    def postpone(self, intent: WriteIntent) -> None:
        """Look again later, the later the more often it has been in vain."""
        pause = _PAUSES[min(intent.attempts, len(_PAUSES) - 1)]
        self._count_vain_look(intent, pause * self._settles_within(intent))

    def flag(self, intent: WriteIntent, alarm: Alarm, event: str) -> None:
        """Flag a write, and log it once; twice where a process dies in between."""
        raise_alarm(self._journal, intent, alarm, event)

    def _settle_time(self, record: BookingRecord, intent: WriteIntent) -> BookingRecord:
        timeslot = intent.timeslot or record.timeslot
        sighting = self._read_back.look(record, timeslot)
        if sighting.matches:
            if self._is_left_behind(record, intent, timeslot):
                self.flag(intent, Alarm.DUPLICATE, "duplicate booking")
            return self._settle_done(intent, sighting.matches)
        if sighting.candidates or self._is_lost(record, intent):
            return self._flag_ambiguous(record, intent)
        return self._weigh_absence(record, intent, timeslot)

    def _settle_cancel(
        self, record: BookingRecord, intent: WriteIntent
    ) -> BookingRecord:
        timeslot = record.timeslot
        sighting = self._read_back.look(record, timeslot)
        if sighting.matches:
            # Still there long after: the cancellation was never carried out.
            return self._weigh_absence(record, intent, timeslot)
        if sighting.candidates:
            return self._flag_ambiguous(record, intent)
        if timeslot.start <= self._clock():
            return self._flag_begun(record, intent)
        return self._journal.settlements.settle_cancelled(intent)

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
            _log.error("another booking's id", booking=settled.id, error=str(error))
            return settled

    def _next_look_in(self, intent: WriteIntent) -> timedelta | None:
        """Return when a booking is to be looked at that was seen so early; or None."""
        within = self._settles_within(intent)
        sent_at = intent.sent_at
        if sent_at is None or self._clock() - sent_at >= within:
            return None
        # Until then the platform may deliver it once more.
        return within

    def _weigh_absence(
        self, record: BookingRecord, intent: WriteIntent, timeslot: Timeslot
    ) -> BookingRecord:
        """Settle a write of which its source shows no trace, once that is for good."""
        if timeslot.start <= self._clock():
            return self._flag_begun(record, intent)
        within = self._settles_within(intent)
        pause = within * _PAUSES[0]
        moment = self._clock()
        if intent.alarm is Alarm.SOMETHING_ELSE:
            # The region said yes, to something.
            return self._flag_ambiguous(record, intent)
        if (
            intent.sent_at is not None
            and moment - intent.sent_at >= within
            and intent.unchanged_at is not None
            and moment - intent.unchanged_at >= pause
        ):
            return self._journal.settlements.settle_left_no_trace(
                intent, look_again_in=within * _PAUSES[-1]
            )
        self._count_vain_look(intent, pause, unchanged=True)
        return record

    def _flag_begun(self, record: BookingRecord, intent: WriteIntent) -> BookingRecord:
        self.flag(intent, Alarm.BEGUN, "outcome unknown and time begun")
        self._count_vain_look(intent, _AFTER_THE_VISIT)
        return record

    def _flag_ambiguous(
        self, record: BookingRecord, intent: WriteIntent
    ) -> BookingRecord:
        self.flag(intent, Alarm.AMBIGUOUS, "outcome needs a person")
        self._count_vain_look(intent, self._settles_within(intent) * _PAUSES[-1])
        return record

    def _is_left_behind(
        self, record: BookingRecord, intent: WriteIntent, target: Timeslot
    ) -> bool:
        """Return whether a booking that was moved also stands where it was."""
        if intent.kind is not WriteKind.UPDATE or target == record.timeslot:
            return False
        return bool(self._look_at_old_time(record).matches)

    def _is_lost(self, record: BookingRecord, intent: WriteIntent) -> bool:
        """Return whether a booking that was to be moved stands nowhere."""
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
            self.flag(intent, Alarm.OVERDUE, "outcome overdue")
        try:
            self._journal.outcomes.postpone(intent, until=pause, unchanged=unchanged)
        except LostIntent:
            # Settled meanwhile: there is nothing to look for.
            _log.debug("intent settled elsewhere", booking=intent.booking)

    def _settles_within(self, intent: WriteIntent) -> timedelta:
        record = self._journal.lookups.get(intent.booking)
        source = self._access.sources.get(record.source)
        return _SETTLES_WITHIN if source is None else source.settles_within
