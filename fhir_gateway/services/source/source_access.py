"""
The calls to one source that a booking needs.

It has over 400 lines, since each answer's check stands beside its call.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from fhir_gateway.adapters.protocol import (
    ListsBookings,
    ListsUnits,
    SchedulingAdapter,
    ability,
)
from fhir_gateway.adapters.sources import source_of_unit
from fhir_gateway.model import scheduling
from fhir_gateway.model.booking import BookedTimes, Booking
from fhir_gateway.model.care_unit import CareUnit
from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.model.errors import (
    GatewayError,
    Incorrect,
    MalformedAnswer,
    SourceFault,
    TimeslotTaken,
    Unavailable,
)
from fhir_gateway.model.ids import BookingId, HsaId, LogicalAddress, SourceName
from fhir_gateway.model.interaction import Asker, Interaction
from fhir_gateway.model.scheduling import (
    GetAllHealthcareFacilities,
    GetAvailableTimeslots,
    GetBookingDetails,
    GetSubjectOfCareSchedule,
)
from fhir_gateway.model.source import Aggregate, Source
from fhir_gateway.model.timekeeping import civil_date
from fhir_gateway.model.timeslot import Timeslot, TimeslotToken
from fhir_gateway.services.source.directory import Directory
from fhir_gateway.services.source.loss_log import ResidentLossLog
from fhir_gateway.services.source.pace import Pace
from fhir_gateway.services.source.recheck import Recheck

__all__ = ["AnothersBookings", "SourceAccess"]


class AnothersBookings(GatewayError):
    """The source answered with bookings of another person."""


# Lookups of times that a source did not list may be this far ahead of the refresh's
# pace: so a few people who try an old page of slots at once all get an answer.
_UNLISTED_AHEAD_S: Final = 10.0

_LIST: Final = scheduling.GET_SUBJECT_OF_CARE_SCHEDULE
_DETAILS: Final = scheduling.GET_BOOKING_DETAILS
_OF_OTHERS: Final = "a booking of another person"
_ELSEWHERE: Final = "a booking at a unit that is not the source's own"


def _lacks_nothing(_: TimeslotToken) -> bool:
    return False


class SourceAccess:
    """
    The sources by name, each with its adapter.

    Args:
        sources: The configured sources.
        adapters: How to ask them.
        directory: Returns which units offer what.
        recheck: Asks the refresh to look again at times that are gone, or free again.
        lacks: Returns whether a source's last, young list lacks a time.
        losses: Counts what is left out of answers about residents; None only logs it.
        aggregates: The aggregating services; `adapters` has theirs too.
    """

    def __init__(
        self,
        sources: Mapping[SourceName, Source],
        adapters: Mapping[SourceName, SchedulingAdapter],
        directory: Callable[[], Directory],
        recheck: Recheck,
        *,
        lacks: Callable[[TimeslotToken], bool] = _lacks_nothing,
        losses: ResidentLossLog | None = None,
        aggregates: Mapping[SourceName, Aggregate] = MappingProxyType({}),
    ) -> None:
        self._sources = sources
        self._aggregates = aggregates
        self._adapters = adapters
        self._directory = directory
        self._recheck = recheck
        self._lacks = lacks
        self._losses = losses or ResidentLossLog()
        self._unlisted = {
            name: Pace(source.budget.calls_per_second)
            for name, source in sources.items()
        }

    @property
    def sources(self) -> Mapping[SourceName, Source]:
        """Return the configured sources."""
        return self._sources

    @property
    def aggregates(self) -> Mapping[SourceName, Aggregate]:
        """Return the configured aggregating services."""
        return self._aggregates

    def find_unit(self, unit: HsaId) -> CareUnit | None:
        """Return what is known of a unit, if anything."""
        return self._directory().units.get(unit)

    def find_owner(self, unit: HsaId) -> SourceName | None:
        """Return the source that answers for a unit, if any."""
        owner = source_of_unit(self._sources.values(), unit)
        return None if owner is None else owner.name

    def source(self, name: SourceName) -> Source:
        """
        Return a configured source.

        Raises:
            Unavailable: It is no longer configured, though the journal knows it.
        """
        source = self._sources.get(name)
        if source is None:
            raise Unavailable(
                "The source is not configured any more; its bookings stand as they were"
                " last known.",
                source=name,
            )
        return source

    def adapter(self, source: SourceName) -> SchedulingAdapter:
        """Return how to ask a source."""
        return self._adapters[source]

    def source_of(self, token: TimeslotToken) -> Source:
        """
        Return the source that a timeslot belongs to.

        Raises:
            Incorrect: No source offers such a time type.
        """
        offering = self._directory().offerings.get(token.time_type)
        if offering is None:
            raise Incorrect(
                "There is no such slot; search for one.",
                error_code=ErrorCode.REQUESTED_TIME_DOES_NOT_EXIST,
            )
        return self._sources[offering.unit.source]

    def check_unlisted(self, token: TimeslotToken) -> None:
        """
        Check that a time which its source did not list may be looked up there.

        The source may list it by now, so it gets the call. But anybody can make up
        times: they cost a source no more calls than the refresh may make.

        Raises:
            Incorrect: No source offers such a time type.
            TimeslotTaken: The source did not list it a short while ago, and too many
                such times were looked up lately.
        """
        source = self.source_of(token)
        if not self._lacks(token):
            return
        if self._unlisted[source.name].reserve(within_s=_UNLISTED_AHEAD_S) is None:
            raise TimeslotTaken(
                "The region did not list the slot when it was last asked; search again"
                " for another one.",
                source=source.name,
            )

    def free_timeslot(
        self,
        token: TimeslotToken,
        asker: Asker,
        *,
        moving: BookingId | None = None,
    ) -> Timeslot:
        """
        Ask the source now for a free time, for a resident.

        Args:
            token: The time.
            asker: Who asks, and for which resident.
            moving: The booking to move there; None for a new booking.

        Raises:
            Incorrect: No source offers such a time type.
            TimeslotTaken: The source does not list the time.
            MalformedAnswer: Its list is readable only in part, and that lacks the time.
            GatewayError: The source could not be asked.
        """
        source = self.source_of(token)
        offering = self._directory().offerings[token.time_type]
        day = civil_date(token.starts_at)
        free = self._adapters[source.name].get_available_timeslots(
            GetAvailableTimeslots(
                unit=token.unit,
                actor=asker.actor,
                subject_of_care=asker.resident,
                first_day=day,
                last_day=day,
                time_type_id=offering.time_type.id,
                booking_id=moving,
            ),
            timeout=source.read_timeout.total_seconds(),
        )
        self._losses.note(
            source.name, scheduling.GET_AVAILABLE_TIMESLOTS, free.rejected
        )
        for timeslot in free.timeslots:
            if timeslot.token == token.text:
                return timeslot
        if moving is None:
            self._recheck.ask(source.name, token, offering.time_type.id)
        if free.as_of is not None:
            raise SourceFault(
                "The region's list of that day is old and does not have the slot;"
                " search again in a minute, or ask the unit.",
                source=source.name,
                interaction=scheduling.GET_AVAILABLE_TIMESLOTS.name,
            )
        if free.rejected:
            raise MalformedAnswer(
                "The region's list of that day cannot be read whole, and the rest of it"
                " does not have the slot; search again, or ask the unit.",
                element="timeslotDetail",
                source=source.name,
                interaction=scheduling.GET_AVAILABLE_TIMESLOTS.name,
            )
        raise TimeslotTaken(
            "The slot is no longer free; search again for another one."
            if moving is None
            else "The region does not offer that slot to this booking; choose another.",
            source=source.name,
        )

    def is_listed(self, timeslot: Timeslot, asker: Asker) -> bool:
        """
        Return whether the source lists a time as free now.

        Raises:
            GatewayError: The source could not be asked.
        """
        try:
            self.free_timeslot(TimeslotToken.parse(timeslot.token), asker)
        except TimeslotTaken:
            return False
        return True

    def is_offered_again(self, timeslot: Timeslot, asker: Asker) -> bool:
        """
        Return whether a time that was given up is free at its source.

        Raises:
            GatewayError: The source could not be asked.
        """
        token = TimeslotToken.parse(timeslot.token)
        if not self.is_listed(timeslot, asker):
            return False
        self._recheck.ask(
            self.source_of(token).name, token, timeslot.schedule.time_type_id
        )
        return True

    def booked_times(
        self,
        source: Source | Aggregate,
        address: LogicalAddress,
        asker: Asker,
    ) -> BookedTimes:
        """
        Return the bookings of a resident by a unit or an aggregating address.

        Bookings of other persons, and at units for which nobody asked, are left out,
        counted and logged, once for the whole answer.

        Raises:
            GatewayError: The source could not be asked.
        """
        asked = ability(self._adapters[source.name], ListsBookings)
        answer = asked.get_subject_of_care_schedule(
            GetSubjectOfCareSchedule(
                address=address,
                actor=asker.actor,
                subject_of_care=asker.resident,
            ),
            timeout=source.read_timeout.total_seconds(),
        )
        others = [
            each for each in answer.bookings if not each.may_be_of(asker.resident)
        ]
        own = [each for each in answer.bookings if each.may_be_of(asker.resident)]
        self._losses.note(source.name, _LIST, answer.unreadable)
        local: list[Booking] = []
        foreign: list[Booking] = []
        sources = source.sources if isinstance(source, Aggregate) else {source.name}
        for each in own:
            (local if self._is_at(sources, each) else foreign).append(each)
        left_out = (*others, *foreign)
        self._note_of_others(source.name, _LIST, len(others))
        self._note_elsewhere(source.name, _LIST, len(foreign))
        starts = frozenset(each.start for each in left_out)
        ids = frozenset(
            each.booking_id for each in left_out if each.booking_id is not None
        )
        return replace(
            answer,
            bookings=tuple(local),
            lost_at=answer.lost_at | starts,
            lost_ids=answer.lost_ids | ids,
            elsewhere_at=starts,
            elsewhere_ids=ids,
            of_others=len(others),
            elsewhere=len(foreign),
        )

    def booking_details(
        self,
        source: SourceName,
        unit: HsaId,
        booking_id: BookingId,
        asker: Asker,
    ) -> Booking:
        """
        Return one booking by its source.

        The request names no resident, so the answer may be about another person. An
        answer that names neither the booking nor a person may be about any booking.

        Raises:
            NotFound: The source has no such booking.
            AnothersBookings: The answer is about another resident.
            GatewayError: The source could not be asked, or its answer names neither the
                booking nor a person.
        """
        timeout = self.source(source).read_timeout
        booking = self._adapters[source].get_booking_details(
            GetBookingDetails(unit=unit, actor=asker.actor, booking_id=booking_id),
            timeout=timeout.total_seconds(),
        )
        self._losses.note(source, _DETAILS, booking.left_out)
        if not booking.may_be_of(asker.resident):
            self._note_of_others(source, _DETAILS, 1)
            raise AnothersBookings(
                "The source answered with another person's booking.", source=source
            )
        if not self._is_at({source}, booking):
            self._note_elsewhere(source, _DETAILS, 1)
            raise GatewayError(
                "The source answered with a booking at a unit of another source.",
                source=source,
            )
        if booking.booking_id is None and booking.subject_of_care is None:
            raise GatewayError(
                "The source's details name neither the booking nor the resident.",
                source=source,
            )
        return booking

    def note_losses(
        self, source: SourceName, interaction: Interaction, reasons: Iterable[str]
    ) -> None:
        """Count and log why items were left out of an answer about a resident."""
        self._losses.note(source, interaction, reasons)

    def note_not_shown(self, source: SourceName, reasons: Mapping[str, int]) -> None:
        """
        Count and log the bookings of a resident's list that no client is shown.

        Args:
            source: The source that listed them.
            reasons: How many of them, by why.
        """
        self._losses.note(source, _LIST, Counter(reasons).elements())

    def _note_of_others(
        self, source: SourceName, interaction: Interaction, count: int
    ) -> None:
        self._losses.note_strange(
            source,
            interaction,
            _OF_OTHERS,
            count,
            is_elsewhere=False,
        )

    def _note_elsewhere(
        self, source: SourceName, interaction: Interaction, count: int
    ) -> None:
        self._losses.note_strange(
            source,
            interaction,
            _ELSEWHERE,
            count,
            is_elsewhere=True,
        )

    def _is_at(self, sources: Collection[SourceName], booking: Booking) -> bool:
        """Return whether a booking is at one of the sources' own units."""
        return self.find_owner(booking.unit) in sources

    def can_be_moved_to(
        self,
        target: HsaId,
        *,
        source: SourceName,
        unit: HsaId,
        booking_id: BookingId,
        asker: Asker,
    ) -> bool:
        """
        Return whether a booking's unit allows to move it to another unit.

        A unit of another source cannot be booked through this one.

        Raises:
            GatewayError: The unit could not be asked, or its list is readable only in
                part and that does not name the other unit.
        """
        timeout = self.source(source).read_timeout
        asked = ability(self._adapters[source], ListsUnits)
        units = asked.get_all_healthcare_facilities(
            GetAllHealthcareFacilities(
                unit=unit,
                actor=asker.actor,
                subject_of_care=asker.resident,
                booking_id=booking_id,
            ),
            timeout=timeout.total_seconds(),
        )
        self._losses.note(
            source, scheduling.GET_ALL_HEALTHCARE_FACILITIES, units.rejected
        )
        if self.find_owner(target) != source:
            return False
        if any(each.hsa_id == target for each in units.items):
            return True
        if units.rejected:
            raise SourceFault(
                "The region's list of units that the booking can be moved to could not"
                " be read whole; try again, or contact the unit.",
                source=source,
                interaction=scheduling.GET_ALL_HEALTHCARE_FACILITIES.name,
            )
        return False
