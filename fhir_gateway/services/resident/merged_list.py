"""
One list of each source's bookings, made of all answers about a resident.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from fhir_gateway.adapters.sources import source_of_unit
from fhir_gateway.model.booking import BookedTimes, Booking, KeptPart
from fhir_gateway.model.found_booking import FoundBooking, Lack, Way
from fhir_gateway.model.ids import BookingId, HsaId, LogicalAddress, SourceName
from fhir_gateway.model.source import Source
from fhir_gateway.services.resident.list_request import ListRequest
from fhir_gateway.services.resident.list_round import Heard

__all__ = ["MOST_BOOKINGS", "ListedBooking", "SourceList", "found_booking", "merge"]

# Of one source. A resident has a few bookings, and each is looked up and recorded.
MOST_BOOKINGS: Final = 200

_Key = tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedBooking:
    """
    A booking that one answer has, or several.

    Attributes:
        booking: The description, from the newest of the answers.
        part: The cached part of an answer that it is from; None when it is of now.
        ways: By which ways it was found.
    """

    booking: Booking
    part: KeptPart | None
    ways: frozenset[Way]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceList:
    """
    What the answers list of one source.

    Attributes:
        ids: The source's ids of all bookings in the answers, read or not.
        beyond: How many more bookings the answers have.
    """

    source: SourceName
    listed: tuple[ListedBooking, ...]
    ids: frozenset[BookingId]
    beyond: int = 0


def merge(
    answers: Mapping[ListRequest, BookedTimes],
    sources: Iterable[Source],
    moment: datetime,
) -> list[SourceList]:
    """
    Return one list for each source with an answer, in the order of the sources.

    A booking with the same unit and id in several answers is one booking. The result
    does not depend on the order in which the answers arrived. At most `MOST_BOOKINGS`
    of a source are in it, the next ones first.
    """
    sources = tuple(sources)
    in_order = sorted(answers, key=lambda each: (each.way is Way.AGGREGATED, each.key))
    lists = []
    for source in sources:
        of_source = [each for each in in_order if source.name in each.sources]
        if not of_source:
            continue
        merged = _Merged()
        for request in of_source:
            answer = answers[request]
            merged.add(
                request.way,
                answer,
                [
                    each
                    for each in answer.bookings
                    if source_of_unit(sources, each.unit) is source
                ],
            )
        listed = _next_ones(merged.listed, moment)
        lists.append(
            SourceList(
                source=source.name,
                listed=tuple(listed),
                ids=frozenset(merged.ids),
                beyond=len(merged.listed) - len(listed),
            )
        )
    return lists


class _Merged:
    """The bookings of the answers so far."""

    def __init__(self) -> None:
        self.listed: list[ListedBooking] = []
        self.ids: set[BookingId] = set()

    def add(self, way: Way, answer: BookedTimes, bookings: Sequence[Booking]) -> None:
        """
        Add an answer.

        Two bookings that look like one within an answer stay two: only what several
        answers have is the same booking twice.
        """
        kept = {part.unit.upper(): part for part in answer.kept}
        by_id = {_identity(each.booking): at for at, each in enumerate(self.listed)}
        by_time = {_time(each.booking): at for at, each in enumerate(self.listed)}
        self.ids |= answer.lost_ids
        for booking in bookings:
            new = ListedBooking(
                booking=booking,
                part=kept.get(booking.unit),
                ways=frozenset({way}),
            )
            if booking.booking_id is not None:
                self.ids.add(booking.booking_id)
            at = by_id.pop(_identity(booking), None)
            if at is None:
                at = by_time.get(_time(booking))
                if at is not None and None not in (
                    booking.booking_id,
                    self.listed[at].booking.booking_id,
                ):
                    at = None
            if at is None:
                self.listed.append(new)
            else:
                self.listed[at] = _newer(self.listed[at], new)


def _newer(known: ListedBooking, other: ListedBooking) -> ListedBooking:
    """Return the newer description of one booking, with the ways of both."""
    ways = known.ways | other.ways
    if known.part is None:
        return replace(known, ways=ways)
    known_since = known.part.since
    other_since = other.part.since if other.part else None
    is_newer = other.part is None or (
        other_since is not None and (known_since is None or other_since > known_since)
    )
    return replace(other if is_newer else known, ways=ways)


def _identity(booking: Booking) -> _Key:
    """Return what is equal in two answers about one booking."""
    if booking.booking_id is not None:
        return booking.unit, booking.booking_id
    return (*_time(booking), booking.resource_id, booking.performer)


def _time(booking: Booking) -> _Key:
    return booking.unit, booking.start, booking.time_type_id


def _next_ones(
    listed: list[ListedBooking], moment: datetime
) -> Sequence[ListedBooking]:
    """Return at most `MOST_BOOKINGS`, the next ones first."""
    if len(listed) <= MOST_BOOKINGS:
        return listed

    def nearest(each: ListedBooking) -> tuple[bool, timedelta]:
        start = each.booking.start or moment
        return start < moment, abs(start - moment)

    return sorted(listed, key=nearest)[:MOST_BOOKINGS]


def found_booking(
    source: SourceName, listed: ListedBooking, heard: Heard
) -> FoundBooking:
    """Return by which ways a booking was found, and why not by the other one."""
    unit = listed.booking.unit
    lacks = {
        way: None if way in listed.ways else _lack(way, source, unit, heard)
        for way in Way
    }
    return FoundBooking(
        source=source,
        unit=unit,
        is_invitation=listed.booking.is_invitation,
        aggregated=lacks[Way.AGGREGATED],
        direct=lacks[Way.DIRECT],
    )


def _lack(way: Way, source: SourceName, unit: HsaId, heard: Heard) -> Lack:
    """Return why no answer of a way has a booking at a unit."""

    def may_have(request: ListRequest) -> bool:
        return request.way is way and request.is_about(source, unit)

    answers = [heard.answers[each] for each in heard.answers if may_have(each)]
    if not answers:
        was_asked = any(map(may_have, (*heard.failed, *heard.late)))
        return Lack.SILENT if was_asked else Lack.NOT_ASKED
    found = {_lack_of_answer(each, unit) for each in answers}
    for lack in (Lack.NOT_LISTED, Lack.UNIT_SILENT):
        if lack in found:
            return lack
    return Lack.UNIT_NOT_NAMED


def _lack_of_answer(answer: BookedTimes, unit: HsaId) -> Lack:
    if _names(answer.unanswered, unit):
        return Lack.UNIT_SILENT
    if answer.answered is not None and not _names(answer.answered, unit):
        return Lack.UNIT_NOT_NAMED
    return Lack.NOT_LISTED


def _names(addresses: Iterable[LogicalAddress], unit: HsaId) -> bool:
    return unit in {each.upper() for each in addresses}
