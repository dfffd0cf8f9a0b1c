"""
Read-back: finding out at the source how a write went, or how a booking stands now.

Nothing is ever sent again or cancelled on a guess.
"""

from datetime import timedelta
from typing import Final

import structlog

from fhir_gateway.model.booking import BookedTimes, Booking
from fhir_gateway.model.errors import GatewayError, Unavailable
from fhir_gateway.model.ids import LogicalAddress
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.timekeeping import Clock, now
from fhir_gateway.model.timeslot import Timeslot
from fhir_gateway.services.source_access import SourceAccess
from fhir_gateway.stores.journal import (
    BookingRecord,
    Decision,
    DecisionKind,
    Journal,
    LostDecision,
)

__all__ = ["ReadBack", "is_own", "is_the_same_time", "timeslot_of"]

_log = structlog.get_logger()

# The platform may try a producer twice, 29 s each and 2 s apart; a booking that is not
# seen before that may still come.
_SETTLES_WITHIN: Final = timedelta(seconds=90)
_BETWEEN_LOOKS: Final = timedelta(seconds=15)
_ABSENT_LOOKS: Final = 2


class ReadBack:
    """
    Reads a resident's booked times where a booking should be.

    Args:
        access: The sources.
        journal: What this server has decided.
        clock: Tells the time.
    """

    def __init__(
        self, access: SourceAccess, journal: Journal, *, clock: Clock = now
    ) -> None:
        self._access = access
        self._journal = journal
        self._clock = clock

    def find(self, record: BookingRecord, timeslot: Timeslot) -> tuple[Booking, ...]:
        """
        Return the resident's bookings of exactly that time at its unit.

        Raises:
            GatewayError: The unit could not be asked, or a booking was unreadable.
        """
        answer = self._schedule(record, timeslot)
        found = tuple(
            booking
            for booking in answer.bookings
            if is_the_same_time(booking, timeslot)
        )
        if not found and (answer.unreadable or answer.unanswered):
            raise GatewayError(
                "The source's list of bookings is incomplete.", source=record.source
            )
        return found

    def settle(self, decision: Decision) -> BookingRecord:
        """
        Try to find out how a write of unknown outcome went; return how it stands.

        A time that is in the region's book was booked. One that is absent was not, but
        only after 90 s and two looks: the platform may deliver late.

        Raises:
            GatewayError: The source could not be asked.
        """
        record = self._journal.get(decision.booking)
        try:
            if decision.kind is DecisionKind.CANCEL:
                return self._settle_cancel(record, decision)
            return self._settle_time(record, decision)
        except LostDecision:
            return self._journal.get(decision.booking)

    def _settle_time(self, record: BookingRecord, decision: Decision) -> BookingRecord:
        timeslot = decision.timeslot or record.timeslot
        found = self.find(record, timeslot)
        if len(found) > 1:
            _log.error("duplicate booking", source=record.source, booking=record.id)
        if found:
            booking = found[0]
            settle = (
                self._journal.settle_booked
                if decision.kind is DecisionKind.MAKE
                else self._journal.settle_moved
            )
            settled = settle(
                decision,
                booking_id=booking.booking_id,
                permissions=booking.permissions,
                is_invitation=booking.is_invitation,
                message=None,
            )
            return self._journal.confirm(settled, booking, timeslot)
        if self._is_absent_for_good(decision):
            return self._journal.settle_not_sent(decision)
        self._journal.postpone(decision, until=_BETWEEN_LOOKS)
        return record

    def _settle_cancel(
        self, record: BookingRecord, decision: Decision
    ) -> BookingRecord:
        if not self.find(record, record.timeslot):
            return self._journal.settle_cancelled(decision)
        if self._is_absent_for_good(decision):
            # Still there long after: the cancellation was never carried out.
            return self._journal.settle_not_sent(decision)
        self._journal.postpone(decision, until=_BETWEEN_LOOKS)
        return record

    def _is_absent_for_good(self, decision: Decision) -> bool:
        return (
            decision.sent_at is not None
            and self._clock() - decision.sent_at >= _SETTLES_WITHIN
            and decision.attempts + 1 >= _ABSENT_LOOKS
        )

    def postpone(self, decision: Decision) -> None:
        """Look again later: the source could not be asked."""
        try:
            self._journal.postpone(decision, until=_BETWEEN_LOOKS)
        except LostDecision:
            # Settled meanwhile: there is nothing to look for.
            _log.debug("decision settled elsewhere", booking=decision.booking)

    def refreshed(self, record: BookingRecord) -> tuple[BookingRecord, Booking | None]:
        """
        Return a booked record as its source describes it now, with the description.

        A booking that its source has no more is cancelled, unless its time has come: a
        source need not list what is past. When the source cannot be asked the record is
        returned as it was, without a description: `confirmed_at` tells how old it is.
        """
        try:
            booking = self._describe(record)
            if booking is not None:
                return self.confirmed(record, booking), booking
        except GatewayError as error:
            _log.warning(
                "booking not confirmed",
                source=record.source,
                booking=record.id,
                error=str(error),
            )
            return record, None
        if record.timeslot.start <= self._clock():
            return record, None
        return self._journal.mark_cancelled_elsewhere(record), None

    def confirmed(self, record: BookingRecord, booking: Booking) -> BookingRecord:
        """Return the record brought up to date with its source's description."""
        timeslot = timeslot_of(booking, record.timeslot)
        return self._journal.confirm(record, booking, timeslot)

    def _describe(self, record: BookingRecord) -> Booking | None:
        """Return what the source says of a booking, None when it has it no more."""
        booking = self._details(record)
        if booking is not None:
            return booking
        answer = self._schedule(record, record.timeslot)
        found = [
            each
            for each in answer.bookings
            if each.booking_id is not None and each.booking_id == record.booking_id
        ] or [
            each for each in answer.bookings if is_the_same_time(each, record.timeslot)
        ]
        if found:
            return found[0]
        if answer.unreadable or answer.unanswered:
            raise GatewayError(
                "The source's list of bookings is incomplete.", source=record.source
            )
        return None

    def _details(self, record: BookingRecord) -> Booking | None:
        """
        Return the resident's booking by its id, None when that leads to none.

        A producer may answer a fault for a booking that it has no more; the list of the
        resident's booked times has the last word.

        Raises:
            Unavailable: It did not answer; to ask in other words takes as long again.
        """
        if record.booking_id is None:
            return None
        try:
            booking = self._access.booking_details(
                record.source,
                record.timeslot.schedule.unit,
                record.booking_id,
                record.number,
            )
        except Unavailable:
            raise
        except GatewayError as error:
            _log.info(
                "booking details not read",
                source=record.source,
                booking=record.id,
                error=str(error),
            )
            return None
        return booking if is_own(booking, record.number) else None

    def _schedule(self, record: BookingRecord, timeslot: Timeslot) -> BookedTimes:
        return self._access.booked_times(
            self._access.sources[record.source],
            LogicalAddress(timeslot.schedule.unit),
            record.number,
        )


def is_the_same_time(booking: Booking, timeslot: Timeslot) -> bool:
    """
    Return whether a booking is of exactly this time, as far as both say.

    Start, end and unit must agree; time type, performer and resource must where both
    have them.
    """
    schedule = timeslot.schedule
    return (
        booking.start == timeslot.start
        and booking.end == timeslot.end
        and booking.unit == schedule.unit
        and all(
            ours is None or theirs is None or ours == theirs
            for ours, theirs in (
                (schedule.time_type_id, booking.time_type_id),
                (schedule.performer, booking.performer),
                (schedule.resource_id, booking.resource_id),
            )
        )
    )


def is_own(booking: Booking, number: PersonalIdentityNumber) -> bool:
    """Return whether a booking is this resident's, as far as it says."""
    return booking.subject_of_care in (None, number)


def timeslot_of(booking: Booking, known: Timeslot) -> Timeslot:
    """
    Return the time that a booking is of; what it does not say is as it was known.

    A booking says less than the free time did (no care type, another spelling of the
    performer), so the known schedule stays unless the time itself has changed.
    """
    if is_the_same_time(booking, known) or booking.start is None or booking.end is None:
        return known
    return Timeslot(
        schedule=booking.schedule or known.schedule,
        start=booking.start,
        end=booking.end,
    )
