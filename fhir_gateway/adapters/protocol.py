"""
The port of the adapters: a source of bookable time, in the program's own model.

Every source must implement `SchedulingAdapter`. Each small Protocol after it is an
optional ability; `ability` checks for it.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Protocol, TypeVar, runtime_checkable

from fhir_gateway.model import scheduling
from fhir_gateway.model.booking import BookedTimes, Booking, WriteResult
from fhir_gateway.model.care_unit import CareUnit, Performer
from fhir_gateway.model.errors import Unsupported
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.interaction import Interaction
from fhir_gateway.model.listed import Listed
from fhir_gateway.model.scheduling import (
    CancelBooking,
    GetAllCareTypes,
    GetAllHealthcareFacilities,
    GetAllPerformers,
    GetAllTimeTypes,
    GetAvailableDates,
    GetAvailableTimeslots,
    GetBookingDetails,
    GetSubjectOfCareSchedule,
    MakeBooking,
    UpdateBooking,
)
from fhir_gateway.model.timeslot import AvailableDate, FreeTimes, TimeType

__all__ = [
    "ABILITIES",
    "AdapterFactory",
    "CareType",
    "ListsAvailableDates",
    "ListsBookings",
    "ListsCareTypes",
    "ListsPerformers",
    "ListsUnits",
    "SchedulingAdapter",
    "WatchedAdapter",
    "ability",
]

Able = TypeVar("Able")

CareType = tuple[str, str]
"""A unit's own care type: its code and its name."""


class SchedulingAdapter(Protocol):
    """
    A source of bookable time.

    An adapter answers or raises one of our errors. It never returns an empty answer for
    a failure, never caches an answer, never logs a body and never repeats a write. It
    leaves out an item of a list that it cannot read, and reports it in `rejected`.

    Every read raises `Unavailable` when the source could not be asked within `timeout`
    seconds, `SourceFault` when the source answered with a fault, `MalformedAnswer` when
    its answer cannot be read, and `Unsupported` when the interaction is not in
    `supports`. An adapter without an ability has neither its method nor its interaction
    in `supports`.

    Every write raises `Unavailable` when it is certain that nothing was sent, `Refused`
    when the answer is a fault with the known meaning "no", and `WriteUnconfirmed` when
    the write was sent and its outcome is unknown. A `resultCode` of ERROR raises
    nothing: it is a `WriteResult`.
    """

    @property
    def name(self) -> SourceName:
        """Return the configured name of the source."""
        ...

    @property
    def supports(self) -> frozenset[Interaction]:
        """Return the interactions that the source supports."""
        ...

    def get_all_time_types(
        self, query: GetAllTimeTypes, *, timeout: float
    ) -> Listed[TimeType]:
        """Return the time types of a unit; a unit without any has an empty list."""
        ...

    def get_available_timeslots(
        self, query: GetAvailableTimeslots, *, timeout: float
    ) -> FreeTimes:
        """Return the free times by start; equal ones are one with a count."""
        ...

    def get_booking_details(
        self, query: GetBookingDetails, *, timeout: float
    ) -> Booking:
        """
        Return one booking or invitation.

        Raises:
            NotFound: The source answered that it has no such booking.
        """
        ...

    def make_booking(self, request: MakeBooking, *, timeout: float) -> WriteResult:
        """Book a free time."""
        ...

    def update_booking(self, request: UpdateBooking, *, timeout: float) -> WriteResult:
        """Move a booking; the answer does not show whether its id has changed."""
        ...

    def cancel_booking(self, request: CancelBooking, *, timeout: float) -> WriteResult:
        """Cancel a booking."""
        ...

    def close(self) -> None:
        """Close the connections; a second call does nothing."""
        ...


@runtime_checkable
class ListsUnits(Protocol):
    """A source that lists the units at which a resident can book."""

    def get_all_healthcare_facilities(
        self, query: GetAllHealthcareFacilities, *, timeout: float
    ) -> Listed[CareUnit]:
        """Return the units at which a resident can book, or move a booking to."""
        ...


@runtime_checkable
class ListsPerformers(Protocol):
    """A source that lists the staff that a resident can choose."""

    def get_all_performers(
        self, query: GetAllPerformers, *, timeout: float
    ) -> Listed[Performer]:
        """Return the staff of a unit that a resident can choose."""
        ...


@runtime_checkable
class ListsCareTypes(Protocol):
    """A source that groups its time types; only `sources check` asks for the groups."""

    def get_all_care_types(
        self, query: GetAllCareTypes, *, timeout: float
    ) -> Listed[CareType]:
        """Return a unit's own care types."""
        ...


@runtime_checkable
class ListsAvailableDates(Protocol):
    """A source that lists the days with a free time, at less cost than the times."""

    def get_available_dates(
        self, query: GetAvailableDates, *, timeout: float
    ) -> Listed[AvailableDate]:
        """Return the days with a free time."""
        ...


@runtime_checkable
class ListsBookings(Protocol):
    """
    A source that lists the bookings of a resident.

    Without this list, a write without an answer can be looked up by the booking's id
    alone.
    """

    def get_subject_of_care_schedule(
        self, query: GetSubjectOfCareSchedule, *, timeout: float
    ) -> BookedTimes:
        """Return a resident's booked times."""
        ...


@runtime_checkable
class WatchedAdapter(Protocol):
    """An adapter that can report how answers differ from their contracts."""

    def watch(self, differs: Callable[[Interaction, str], None]) -> None:
        """From now on call `differs` with each unknown or missing element."""
        ...


AdapterFactory = Callable[[SourceName, Mapping[str, object]], SchedulingAdapter]
"""
Makes an adapter from a source's name and the options in its configuration.

    It raises `adapters.registry.UnusableOptions` with all faults of the options.
"""


ABILITIES: Final[Mapping[type, Interaction]] = MappingProxyType(
    {
        ListsUnits: scheduling.GET_ALL_HEALTHCARE_FACILITIES,
        ListsPerformers: scheduling.GET_ALL_PERFORMERS,
        ListsCareTypes: scheduling.GET_ALL_CARE_TYPES,
        ListsAvailableDates: scheduling.GET_AVAILABLE_DATES,
        ListsBookings: scheduling.GET_SUBJECT_OF_CARE_SCHEDULE,
    }
)
"""The interaction of each ability."""


def ability(adapter: SchedulingAdapter, kind: type[Able]) -> Able:
    """
    Return an adapter, typed as one with an ability of `ABILITIES`.

    Raises:
        Unsupported: The adapter lacks the ability.
    """
    if not isinstance(adapter, kind):
        raise Unsupported(
            "The source does not support this.",
            source=adapter.name,
            interaction=ABILITIES[kind].name,
        )
    return adapter
