"""
Read-back: what a source says of a booking now.

Nothing is ever sent again or cancelled on a guess. A list that has a resident's time
twice, as after a second delivery by the platform, flags the write.
"""

from dataclasses import dataclass

import structlog

from fhir_gateway.model.booking import BookedTimes, Booking
from fhir_gateway.model.errors import GatewayError, Unavailable
from fhir_gateway.model.ids import BookingId, LogicalAddress, PerformerId
from fhir_gateway.model.timekeeping import Clock, now
from fhir_gateway.model.timeslot import Timeslot
from fhir_gateway.services.booking.alarming import raise_alarm
from fhir_gateway.services.source.source_access import AnothersBookings, SourceAccess
from fhir_gateway.stores.journal import (
    Alarm,
    BookingRecord,
    Journal,
)

__all__ = [
    "ReadBack",
    "Sighting",
    "is_the_same_time",
    "may_be",
    "timeslot_of",
]

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """
    What a unit's list has of a resident at a time.

    Attributes:
        matches: Bookings of exactly that time.
        candidates: Bookings that say too little, or something else at the same start,
            or that have the booking's id at another time, so that they may or may not
            be it.
    """

    matches: tuple[Booking, ...]
    candidates: tuple[Booking, ...]


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

    def look(self, record: BookingRecord, timeslot: Timeslot) -> Sighting:
        """
        Return what a unit's list has of a resident at a time.

        Args:
            record: Whose booking it is, and where it stood before.
            timeslot: The time to look at.

        Raises:
            AnothersBookings: The unit described somebody else.
            GatewayError: The unit could not be asked, its answer is not of this
                moment, or nothing was found and a booking that may be it was left out.
        """
        answer = self._get_schedule(record, timeslot)
        matches = tuple(
            each for each in answer.bookings if is_the_same_time(each, timeslot)
        )
        if not matches and answer.may_hide(timeslot.start, record.booking_id):
            raise GatewayError(
                "The source's list of bookings is incomplete.", source=record.source
            )
        return Sighting(
            matches=matches,
            candidates=tuple(
                each
                for each in answer.bookings
                if (may_be(each, timeslot) or _has_id(each, record.booking_id))
                and not is_the_same_time(each, timeslot)
                and not is_the_same_time(each, record.timeslot)
            ),
        )

    def refresh(self, record: BookingRecord) -> tuple[BookingRecord, Booking | None]:
        """
        Return a booked record as its source describes it now, with the description.

        A booking that its source has no more is cancelled, unless its time has come: a
        source need not list what is past. When the source cannot be asked the record is
        returned as it was, without a description: `confirmed_at` says how old it is.
        """
        try:
            booking = self._describe(record)
            if booking is not None:
                return self.confirm(record, booking), booking
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
        return self._journal.reports.mark_cancelled_elsewhere(record), None

    def confirm(self, record: BookingRecord, booking: Booking) -> BookingRecord:
        """Return the record brought up to date with its source's description."""
        timeslot = timeslot_of(booking, record.timeslot)
        return self._journal.reports.confirm(record, booking, timeslot)

    def _describe(self, record: BookingRecord) -> Booking | None:
        """Return what the source says of a booking, None when it has it no more."""
        booking = self._get_details(record)
        if booking is not None:
            return booking
        answer = self._get_schedule(record, record.timeslot)
        found = [
            each
            for each in answer.bookings
            if each.booking_id is not None and each.booking_id == record.booking_id
        ] or [
            each for each in answer.bookings if is_the_same_time(each, record.timeslot)
        ]
        if found:
            return found[0]
        if not answer.is_whole:
            # The one that was left out may be this one, moved to another time.
            raise GatewayError(
                "The source's list of bookings is incomplete.", source=record.source
            )
        return None

    def _get_details(self, record: BookingRecord) -> Booking | None:
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
            return self._access.booking_details(
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

    def _get_schedule(self, record: BookingRecord, timeslot: Timeslot) -> BookedTimes:
        """
        Return what the unit lists for a booking's resident.

        Raises:
            AnothersBookings: It described somebody else.
            GatewayError: It could not be asked, or its answer is not of this moment.
        """
        answer = self._access.booked_times(
            self._access.source(record.source),
            LogicalAddress(timeslot.schedule.unit),
            record.number,
        )
        if answer.of_others and not answer.bookings:
            raise AnothersBookings(
                "The source told of another person's bookings.", source=record.source
            )
        if answer.kept:
            raise GatewayError(
                "The source's list of bookings is not of this moment.",
                source=record.source,
            )
        for time in {timeslot, record.timeslot}:
            if sum(is_the_same_time(each, time) for each in answer.bookings) > 1:
                self._flag_double(record)
        return answer

    def _flag_double(self, record: BookingRecord) -> None:
        intent = self._journal.lookups.find_latest(record.id)
        # What was booked elsewhere is none of our doing.
        if intent is not None:
            raise_alarm(self._journal, intent, Alarm.DUPLICATE, "duplicate booking")


def is_the_same_time(booking: Booking, timeslot: Timeslot) -> bool:
    """
    Return whether a booking is of exactly this time, as far as both say.

    Start, end and unit must agree; time type, performer and resource must where both
    have them.
    """
    schedule = timeslot.schedule
    return (
        booking.start == timeslot.start
        and (booking.end or booking.start) == timeslot.end
        and booking.unit == schedule.unit
        and all(
            ours is None or theirs is None or ours == theirs
            for ours, theirs in (
                (schedule.time_type_id, booking.time_type_id),
                (schedule.resource_id, booking.resource_id),
            )
        )
        and _agree(schedule.performer, booking.performer)
    )


def _has_id(booking: Booking, booking_id: BookingId | None) -> bool:
    return booking_id is not None and booking.booking_id == booking_id


def _agree(ours: PerformerId | None, theirs: PerformerId | None) -> bool:
    """
    Return whether two may be the same performer.

    HSA-ids compare without regard to case. One and a text of another kind cannot be
    compared: some sources write one on a free time and the other on a booking.
    """
    if ours is None or theirs is None:
        return True
    one, other = ours.hsa_id, theirs.hsa_id
    if one is None and other is None:
        return ours == theirs
    return one is None or other is None or one == other


def may_be(booking: Booking, timeslot: Timeslot) -> bool:
    """
    Return whether a booking may be of this time, though it does not say so.

    It is at the same unit and begins at the same time, or does not say when it begins
    or ends. An open invitation has no time by nature.
    """
    if booking.unit != timeslot.schedule.unit:
        return False
    if booking.start is None or booking.end is None:
        return not booking.is_invitation and booking.start in (None, timeslot.start)
    return booking.start == timeslot.start


def timeslot_of(booking: Booking, known: Timeslot) -> Timeslot:
    """
    Return the time that a booking is of; what it does not say is as it was known.

    A booking says less than the free time did (no care type, another spelling of the
    performer), so the known schedule stays unless the time itself has changed.
    """
    if is_the_same_time(booking, known) or booking.start is None:
        return known
    if booking.end is None and booking.start == known.start:
        return known
    return Timeslot(
        schedule=booking.schedule or known.schedule,
        start=booking.start,
        end=booking.end or booking.start,
    )
