"""
Finds our record of each booking in a resident's list, and records what is new.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from fhir_gateway.model.booking import Booking
from fhir_gateway.model.ids import BookingId, HsaId, SourceName
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.timekeeping import Clock, now
from fhir_gateway.model.timeslot import Timeslot
from fhir_gateway.services.booking.read_back import is_the_same_time, timeslot_of
from fhir_gateway.services.booking.settlement import Settlement
from fhir_gateway.services.resident.merged_list import ListedBooking, SourceList
from fhir_gateway.services.source.source_access import SourceAccess
from fhir_gateway.stores.journal import (
    BookingIdTaken,
    BookingRecord,
    BookingState,
    Journal,
    WriteKind,
    WriteState,
)

__all__ = ["Confirmed", "JournalMatch", "Matched"]

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Matched:
    """
    Which listed booking describes which of our records.

    Attributes:
        described: The listed bookings by our id.
        unshown: How many listed bookings no client is shown.
    """

    described: dict[str, ListedBooking] = field(default_factory=dict)
    unshown: int = 0


@dataclass(frozen=True, slots=True)
class Confirmed:
    """
    What was recorded of listed bookings.

    Attributes:
        records: The records as they are now, by our id.
        unsettled: The ids of those with an unsettled write, which were left alone.
    """

    records: dict[str, BookingRecord]
    unsettled: frozenset[str]


class JournalMatch:
    """
    Matches lists with the journal.

    Args:
        access: The sources.
        journal: The bookings that this server knows.
        settlement: Corrects bookings that are wrongly NOT_MADE.
        clock: Returns the time.
    """

    def __init__(
        self,
        access: SourceAccess,
        journal: Journal,
        settlement: Settlement,
        *,
        clock: Clock = now,
    ) -> None:
        self._access = access
        self._journal = journal
        self._settlement = settlement
        self._clock = clock

    def match(
        self,
        of_source: SourceList,
        number: PersonalIdentityNumber,
        records: Collection[BookingRecord],
        *,
        is_answered: Callable[[BookingRecord], bool],
    ) -> Matched:
        """
        Return which of our records each listed booking describes; insert missing ones.

        Args:
            of_source: What the answers list of one source.
            number: The resident's personal number.
            records: The resident's bookings that the journal has.
            is_answered: Returns whether there is a list of the place of a booking.
        """
        described: dict[str, ListedBooking] = {}
        unshown = 0
        found = self._find_or_adopt(
            of_source,
            number,
            booked=_booked(of_source, records),
            renumbered=self._find_renumbered(of_source, records),
            astray=self._find_at_other_units(of_source, records, is_answered),
        )
        for listed, record in zip(of_source.listed, found, strict=True):
            if record is None or record.id in described:
                unshown += 1
            else:
                described[record.id] = listed
        return Matched(described, unshown)

    def confirm(
        self,
        records: Iterable[BookingRecord],
        described: dict[str, ListedBooking],
    ) -> Confirmed:
        """Record what uncached lists report of booked, settled records."""
        reported = []
        unsettled = set()
        for record in records:
            listed = described.get(record.id)
            if (
                listed is None
                or listed.part is not None
                or record.state is not BookingState.BOOKED
            ):
                continue
            if self._journal.lookups.find_pending(record.id) is not None:
                unsettled.add(record.id)
                continue
            booking = listed.booking
            reported.append((record, booking, timeslot_of(booking, record.timeslot)))
        confirmed = self._journal.reports.confirm_all(reported)
        found = {}
        taken: dict[SourceName, int] = {}
        for (record, _, _), now_known in zip(reported, confirmed, strict=True):
            if now_known is None:
                taken[record.source] = taken.get(record.source, 0) + 1
            else:
                found[record.id] = now_known
        for source, count in taken.items():
            _log_ids_taken(source, count)
        return Confirmed(found, frozenset(unsettled))

    def _find_or_adopt(
        self,
        of_source: SourceList,
        number: PersonalIdentityNumber,
        *,
        booked: Mapping[tuple[HsaId, BookingId | None], BookingRecord],
        renumbered: dict[BookingId, BookingRecord],
        astray: Collection[tuple[HsaId, BookingId]],
    ) -> list[BookingRecord | None]:
        """
        Return our records of listed bookings; insert those that are missing.

        None stands for a booking without a start (a booked Appointment has one: FHIR
        R4, 12.8, invariant app-3), for one with another booking's id, which is logged
        once for the whole list, and for one with a known booking's id at another unit:
        reading that booking by itself shows where it is.

        Args:
            of_source: What the answers list of one source.
            number: The resident's personal number.
            booked: The resident's own booked records, by unit and id.
            renumbered: Our records of bookings that have another id now, by that id.
            astray: The units and ids of known bookings that are listed at other units.
        """
        source = of_source.source
        found: dict[int, BookingRecord | None] = {}
        new: dict[int, tuple[Booking, Timeslot]] = {}
        for place, listed in enumerate(of_source.listed):
            booking = listed.booking
            timeslot = booking.timeslot
            if timeslot is None:
                continue
            if own := booked.get((booking.unit, booking.booking_id)):
                found[place] = own
                continue
            if booking.booking_id is not None and booking.booking_id in renumbered:
                found[place] = renumbered[booking.booking_id]
                continue
            if (booking.unit, booking.booking_id) in astray:
                found[place] = None
                continue
            try:
                record = self._find_known(source, listed, timeslot, number)
            except BookingIdTaken:
                found[place] = None
                continue
            if record is None:
                new[place] = booking, timeslot
            else:
                found[place] = record
        adopted = self._journal.reports.adopt_all(source, number, list(new.values()))
        found.update(zip(new, adopted, strict=True))
        _log_ids_taken(source, list(found.values()).count(None))
        return [found.get(place) for place in range(len(of_source.listed))]

    def _find_renumbered(
        self, of_source: SourceList, records: Iterable[BookingRecord]
    ) -> dict[BookingId, BookingRecord]:
        """
        Return our records of bookings that the region lists under a new id, by that id.

        The list lacks the id of the record, and has a booking of exactly its time under
        an id that we do not know.
        """
        missing = [
            each
            for each in records
            if each.source == of_source.source
            and each.state is BookingState.BOOKED
            and each.booking_id is not None
            and each.booking_id not in of_source.ids
        ]
        found: dict[BookingId, BookingRecord] = {}
        for booking in _bookings(of_source):
            if booking.booking_id is None or not missing:
                continue
            record = next(
                (each for each in missing if is_the_same_time(booking, each.timeslot)),
                None,
            )
            if record is None or booking.booking_id in found:
                continue
            known = self._journal.lookups.find_by_booking_id(
                of_source.source, booking.unit, booking.booking_id
            )
            if known is None:
                found[booking.booking_id] = record
                missing.remove(record)
        return found

    def _find_at_other_units(
        self,
        of_source: SourceList,
        records: Iterable[BookingRecord],
        is_answered: Callable[[BookingRecord], bool],
    ) -> set[tuple[HsaId, BookingId]]:
        """
        Return the units and ids of known bookings that a list has at other units only.

        A list that has an id at both units has two bookings: units may number alike.
        """
        source = of_source.source
        bookings = _bookings(of_source)
        listed = {(each.unit, each.booking_id) for each in bookings}
        missing = {
            each.booking_id
            for each in records
            if each.source == source
            and each.state is BookingState.BOOKED
            and each.booking_id is not None
            and (each.timeslot.schedule.unit, each.booking_id) not in listed
            and is_answered(each)
        }
        return {
            (booking.unit, booking.booking_id)
            for booking in bookings
            if booking.booking_id is not None
            and booking.booking_id in missing
            and self._journal.lookups.find_by_booking_id(
                source, booking.unit, booking.booking_id
            )
            is None
        }

    def _find_known(
        self,
        source: SourceName,
        listed: ListedBooking,
        timeslot: Timeslot,
        number: PersonalIdentityNumber,
    ) -> BookingRecord | None:
        """Return our record of a listed booking, if there is one."""
        booking, part = listed.booking, listed.part
        known = (
            None
            if booking.booking_id is None
            else self._journal.lookups.find_by_booking_id(
                source, booking.unit, booking.booking_id
            )
        )
        if known is not None and known.number == number:
            if known.state is BookingState.BOOKED:
                return known
            if (
                part is not None
                and (part.since or known.updated_at) <= known.updated_at
            ):
                # Cancelled since: the cached part is older.
                return known
            if self._was_just_cancelled(known):
                return known
        denied = self._journal.outcomes.find_absent_make(source, number, timeslot)
        if denied is None:
            return None
        return self._settlement.correction.mend_not_made(denied, booking)

    def _was_just_cancelled(self, record: BookingRecord) -> bool:
        """
        Return whether the region may list a booking only because its list lags.

        A booking that is still listed long after its cancellation here is flagged.
        """
        intent = self._journal.lookups.find_latest(record.id)
        if (
            record.state is not BookingState.CANCELLED
            or intent is None
            or intent.kind is not WriteKind.CANCEL
            or intent.state is not WriteState.DONE
        ):
            return False
        within = self._access.source(record.source).settles_within
        if self._clock() - record.updated_at < within:
            return True
        self._settlement.correction.flag_standing(intent)
        return False


def _booked(
    of_source: SourceList, records: Iterable[BookingRecord]
) -> dict[tuple[HsaId, BookingId | None], BookingRecord]:
    """Return the booked records of a source that have an id, by unit and id."""
    return {
        (each.timeslot.schedule.unit, each.booking_id): each
        for each in records
        if each.source == of_source.source
        and each.state is BookingState.BOOKED
        and each.booking_id is not None
    }


def _bookings(of_source: SourceList) -> Sequence[Booking]:
    return [each.booking for each in of_source.listed]


def _log_ids_taken(source: SourceName, count: int) -> None:
    if count:
        _log.error("booking id is already in use", source=source, bookings=count)
