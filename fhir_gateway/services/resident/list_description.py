"""
Describes the bookings of one list: from the lists, from single reads, or as last known.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from fhir_gateway.model.booking import BookedTimes, ManagedBooking
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.source import Source
from fhir_gateway.model.timekeeping import Clock
from fhir_gateway.services.booking.current_booking import CurrentBookings
from fhir_gateway.services.resident.journal_match import Confirmed
from fhir_gateway.services.resident.list_request import (
    ListRequest,
    RequestKey,
    direct_request_about,
)
from fhir_gateway.services.resident.merged_list import ListedBooking
from fhir_gateway.services.resident.single_reads import SingleReads
from fhir_gateway.stores.journal import BookingRecord, BookingState

__all__ = ["Described", "ListDescription"]


@dataclass(frozen=True, slots=True)
class Described:
    """
    The bookings of a list.

    Attributes:
        bookings: All of them, in the order of the records.
        unread: The records of those that their source did not describe in time.
    """

    bookings: tuple[ManagedBooking, ...]
    unread: tuple[BookingRecord, ...]


class ListDescription:
    """
    The description of one list.

    Args:
        current: Describes single bookings.
        reads: Reads those that need a call of their own.
        sources: The configured sources.
        clock: Returns the time.
    """

    def __init__(
        self,
        current: CurrentBookings,
        reads: SingleReads,
        sources: Mapping[SourceName, Source],
        *,
        clock: Clock,
    ) -> None:
        self._current = current
        self._reads = reads
        self._sources = sources
        self._clock = clock

    def read_unlisted(
        self,
        records: Iterable[BookingRecord],
        request: ListRequest,
        answer: BookedTimes,
    ) -> None:
        """Begin to read what a direct list lacks, while others are waited for."""
        listed = {each.booking_id for each in answer.bookings} | answer.lost_ids
        times = {(each.unit, each.start) for each in answer.bookings}
        for record in records:
            if (
                direct_request_about(record, self._sources) == request.key
                and record.state is BookingState.BOOKED
                and not self._is_past(record)
                and record.booking_id not in listed
                and (record.timeslot.schedule.unit, record.timeslot.start) not in times
            ):
                self._reads.start(record)

    def describe(
        self,
        records: Collection[BookingRecord],
        described: Mapping[str, ListedBooking],
        confirmed: Confirmed,
        *,
        silent: Collection[RequestKey],
        cut: Collection[SourceName],
        deadline: float,
    ) -> Described:
        """
        Describe the records; read those by themselves that no list has.

        Args:
            records: The resident's bookings that the journal has.
            described: The listed bookings by our id.
            confirmed: What was recorded of these.
            silent: The requests without an answer: nobody waits again for these.
            cut: The sources of which the lists have more bookings than are read.
            deadline: Until when to wait (`time.monotonic`).
        """
        shown: dict[str, ManagedBooking] = {}
        for record in records:
            listed = described.get(record.id)
            if record.state is BookingState.CANCELLED or (
                listed is None
                and (
                    record.source in cut
                    or self._is_past(record)
                    or direct_request_about(record, self._sources) in silent
                )
            ):
                shown[record.id] = self._current.describe_last_known(record)
            elif (
                listed is None
                or record.state is not BookingState.BOOKED
                or record.id in confirmed.unsettled
            ):
                self._reads.start(record)
            else:
                shown[record.id] = self._from_list(
                    confirmed.records.get(record.id, record), listed
                )
        read = self._reads.gather(deadline)
        return Described(
            bookings=tuple(
                shown.get(each.id)
                or read.get(each.id)
                or self._current.describe_last_known(each)
                for each in records
            ),
            unread=tuple(
                each for each in records if each.id not in shown.keys() | read.keys()
            ),
        )

    def _is_past(self, record: BookingRecord) -> bool:
        """Return whether its source need not list a booking any more."""
        return (
            record.state is BookingState.BOOKED
            and record.timeslot.start <= self._clock()
        )

    def _from_list(
        self, record: BookingRecord, listed: ListedBooking
    ) -> ManagedBooking:
        managed = self._current.describe(record, listed.booking)
        # A cached part confirms the booking only as of its own age.
        if listed.part is None:
            return managed
        return replace(managed, confirmed_at=listed.part.since)
