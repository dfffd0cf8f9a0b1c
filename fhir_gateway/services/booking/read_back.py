"""
Read-back: reads a booking at its source.

This server never sends a write again, and never cancels on a guess. If a list has a
resident's time twice, as after a double delivery by the platform, the write is flagged.
"""

from dataclasses import dataclass

import structlog

from fhir_gateway.model.booking import BookedTimes, Booking
from fhir_gateway.model.errors import (
    GatewayError,
    MalformedAnswer,
    NotFound,
    SourceFault,
    Unavailable,
    Unsupported,
)
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
    "may_be_of",
    "timeslot_of",
]

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """
    What a unit's list has for a resident and a time.

    Attributes:
        matches: Bookings of exactly that time.
        candidates: Bookings that may or may not be the wanted one: they lack data,
            differ at the same start, or have the booking's id at another time.
        left_behind: Bookings of exactly the booking's time before the write, if that is
            another time.
    """

    matches: tuple[Booking, ...]
    candidates: tuple[Booking, ...]
    left_behind: tuple[Booking, ...] = ()

    def of_id(self, booking_id: BookingId | None) -> tuple[Booking, ...]:
        """Return the bookings without an id, or with this one."""
        return tuple(
            each
            for each in (*self.matches, *self.candidates)
            if None in (each.booking_id, booking_id) or each.booking_id == booking_id
        )


class ReadBack:
    """
    Reads a resident's booked times where a booking should be.

    Args:
        access: The sources.
        journal: Where reports are recorded.
        clock: Returns the time.
    """

    def __init__(
        self, access: SourceAccess, journal: Journal, *, clock: Clock = now
    ) -> None:
        self._access = access
        self._journal = journal
        self._clock = clock

    def look(
        self,
        record: BookingRecord,
        timeslot: Timeslot,
        *,
        booking_id: BookingId | None = None,
    ) -> Sighting:
        """
        Return what a unit's list has for a booking's resident at a time.

        Args:
            record: The booking: its resident, and its time before the write.
            timeslot: The time to look for.
            booking_id: The source's id to look for; None for that of the record.

        Raises:
            AnothersBookings: The answer is about another person; or nothing was found,
                and a booking of another person or source has that start or id.
            GatewayError: The unit could not be asked, its answer is from a cache, or
                nothing was found while a booking that may be it was left out.
        """
        answer = self._get_schedule(record, timeslot)
        matches = tuple(
            each for each in answer.bookings if is_the_same_time(each, timeslot)
        )
        booking_id = booking_id or record.booking_id
        if not matches and (
            timeslot.start in answer.elsewhere_at or booking_id in answer.elsewhere_ids
        ):
            raise AnothersBookings(
                "The source answered with another person's booking of that time or id.",
                source=record.source,
            )
        if not matches and answer.may_hide(timeslot.start, booking_id):
            raise GatewayError(
                "The source's list of bookings is incomplete.", source=record.source
            )
        return Sighting(
            matches=matches,
            candidates=tuple(
                each
                for each in answer.bookings
                if (may_be_of(each, timeslot) or _has_id(each, booking_id))
                and not is_the_same_time(each, timeslot)
                and not is_the_same_time(each, record.timeslot)
            ),
            left_behind=tuple(
                each
                for each in answer.bookings
                if is_the_same_time(each, record.timeslot)
                and not is_the_same_time(each, timeslot)
            ),
        )

    def find_standing(
        self, record: BookingRecord, sighting: Sighting
    ) -> tuple[Booking, ...]:
        """
        Return what a list has of a booking that the region says it has cancelled.

        That is a booking with its id or without an id, or one of exactly its time under
        a new id: neither that of another record, nor that of a second booking which has
        raised DUPLICATE.
        """
        standing = sighting.of_id(record.booking_id)
        if standing or self._journal.lookups.has_alarm(record.id, Alarm.DUPLICATE):
            return standing
        return tuple(
            each for each in sighting.matches if not self.is_another(record, each)
        )

    def is_another(self, record: BookingRecord, booking: Booking) -> bool:
        """Return whether a reported booking is another one of the journal."""
        if booking.booking_id is None:
            return False
        known = self._journal.lookups.find_by_booking_id(
            record.source, booking.unit, booking.booking_id
        )
        return known is not None and known.id != record.id

    def refresh(self, record: BookingRecord) -> tuple[BookingRecord, Booking | None]:
        """
        Update a booked record from its source; return it with the description.

        A booking that its source no longer has is cancelled, unless its time has begun:
        a source need not list past times. If the source has never listed it, its
        outcome is unknown again, and `Settlement` settles it. If the source cannot be
        asked, or details that may be of the booking cannot be read, the record is
        returned unchanged, without a description; `confirmed_at` states its age.
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
        if record.confirmed_at is None:
            return self.doubt_yes(record), None
        return self._journal.reports.mark_cancelled_elsewhere(record), None

    def doubt_yes(self, record: BookingRecord) -> BookingRecord:
        """Make an unlisted booking pending again, if its source has never listed it."""
        if self._journal.outcomes.doubt_yes(record) is not None:
            _log.warning(
                "confirmed booking is not listed",
                source=record.source,
                booking=record.id,
            )
        return self._journal.lookups.get(record.id)

    def confirm(self, record: BookingRecord, booking: Booking) -> BookingRecord:
        """Update a record from its source's description; return it."""
        timeslot = timeslot_of(booking, record.timeslot)
        return self._journal.reports.confirm(record, booking, timeslot)

    def _describe(self, record: BookingRecord) -> Booking | None:
        """Return the source's description of a booking; None if it no longer has it."""
        unread: GatewayError | None = None
        try:
            booking = self.find_details(record)
            if booking is not None:
                return booking
        except Unavailable:
            # A second call would take as long again.
            raise
        except GatewayError as error:
            unread = error
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
        if unread is not None:
            # The details prove that the booking exists, or they prove nothing.
            raise unread
        if not answer.is_whole:
            # A booking that was left out may be this one, moved to another time.
            raise GatewayError(
                "The source's list of bookings is incomplete.", source=record.source
            )
        return None

    def find_details(self, record: BookingRecord) -> Booking | None:
        """
        Return the resident's booking by its id; None if that finds none.

        A producer may answer with a fault for a booking that it no longer has; the list
        of the resident's booked times decides.

        Raises:
            Unavailable: It did not answer.
            GatewayError: Its answer cannot be read, or describes another booking.
        """
        if record.booking_id is None:
            return None
        try:
            return self._access.booking_details(
                record.source,
                record.timeslot.schedule.unit,
                record.booking_id,
                record.asker,
            )
        except MalformedAnswer:
            raise
        except (NotFound, SourceFault, Unsupported) as error:
            _log.info(
                "booking details not read",
                source=record.source,
                booking=record.id,
                error=str(error),
            )
            return None

    def _get_schedule(self, record: BookingRecord, timeslot: Timeslot) -> BookedTimes:
        """
        Return the unit's list for a booking's resident.

        Raises:
            AnothersBookings: The answer is about another person.
            GatewayError: It could not be asked, or its answer is from a cache.
        """
        answer = self._access.booked_times(
            self._access.source(record.source),
            LogicalAddress(timeslot.schedule.unit),
            record.asker,
        ).with_silence_of(LogicalAddress(timeslot.schedule.unit))
        if answer.of_others and not answer.bookings:
            raise AnothersBookings(
                "The source answered with another person's bookings.",
                source=record.source,
            )
        if answer.kept:
            raise GatewayError(
                "The source's list of bookings is from a cache.",
                source=record.source,
            )
        for time in {timeslot, record.timeslot}:
            if sum(is_the_same_time(each, time) for each in answer.bookings) > 1:
                self._flag_double(record)
        return answer

    def _flag_double(self, record: BookingRecord) -> None:
        intent = self._journal.lookups.find_latest(record.id)
        # A booking made elsewhere has no write to flag.
        if intent is not None:
            raise_alarm(self._journal, intent, Alarm.DUPLICATE, "duplicate booking")


def is_the_same_time(booking: Booking, timeslot: Timeslot) -> bool:
    """
    Return whether a booking is of exactly this time.

    Start, end and unit must be equal; time type, performer and resource must be equal
    where both have them. Blanks around an identifier do not count.
    """
    schedule = timeslot.schedule
    return (
        booking.start == timeslot.start
        and (booking.end or booking.start) == timeslot.end
        and booking.unit == schedule.unit
        and all(
            ours is None or theirs is None or ours.strip() == theirs.strip()
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

    HSA-ids compare without regard to case. An HSA-id and another text may be the same:
    some sources give one with a free time and the other with a booking.
    """
    if ours is None or theirs is None:
        return True
    one, other = ours.hsa_id, theirs.hsa_id
    if one is None and other is None:
        return ours.strip() == theirs.strip()
    return one is None or other is None or one == other


def may_be_of(booking: Booking, timeslot: Timeslot) -> bool:
    """
    Return whether a booking may be of this time.

    It is at the same unit, and starts at the same time or lacks its start or end. An
    open invitation never has a time, so it does not count.
    """
    if booking.unit != timeslot.schedule.unit:
        return False
    if booking.start is None or booking.end is None:
        return not booking.is_invitation and booking.start in (None, timeslot.start)
    return booking.start == timeslot.start


def timeslot_of(booking: Booking, known: Timeslot) -> Timeslot:
    """
    Return the time of a booking; what it lacks is taken from the known time.

    A booking has less data than the free time had (no care type, another spelling of
    the performer), so the known schedule stays unless the time itself has changed.
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
