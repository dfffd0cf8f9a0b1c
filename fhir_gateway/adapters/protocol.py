"""
What an adapter is: a source of bookable time, answering in the program's own model.

`SchedulingAdapter` is what every source must do. Each small Protocol after it is
an ability that a source may have; `ability` finds it.
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
    a failure, never keeps an answer, never logs a body and never repeats a write. It
    leaves out an item of a list that it cannot read, and says so in `rejected`.

    Every question raises `Unavailable` when the source could not be asked within
    `timeout` seconds, `SourceFault` when it answered with a fault, `MalformedAnswer`
    when its answer cannot be read, and `Unsupported` when `supports` does not have it.
    An adapter that lacks an ability has no method for it, and not in `supports` either.

    Every write raises `Unavailable` when it is certain that nothing was sent, `Refused`
    when a fault is known to mean no, and `WriteUnconfirmed` when it was sent and
    nobody knows what became of it. A `resultCode` of ERROR is no error here: it is a
    `WriteResult`.
    """

    @property
    def name(self) -> SourceName:
        """Return the configured name of the source."""
        ...

    @property
    def supports(self) -> frozenset[Interaction]:
        """Return what can be said to the source."""
        ...

    def get_all_time_types(
        self, query: GetAllTimeTypes, *, timeout: float
    ) -> Listed[TimeType]:
        """Return what can be booked at a unit; nothing offered is an empty list."""
        ...

    def get_available_timeslots(
        self, query: GetAvailableTimeslots, *, timeout: float
    ) -> FreeTimes:
        """Return the free times, equal ones counted, sorted by start."""
        ...

    def get_booking_details(
        self, query: GetBookingDetails, *, timeout: float
    ) -> Booking:
        """
        Return one booking or invitation.

        Raises:
            NotFound: The source says that it has no such booking.
        """
        ...

    def make_booking(self, request: MakeBooking, *, timeout: float) -> WriteResult:
        """Book a free time."""
        ...

    def update_booking(self, request: UpdateBooking, *, timeout: float) -> WriteResult:
        """Move a booking; the answer cannot say whether its id has changed."""
        ...

    def cancel_booking(self, request: CancelBooking, *, timeout: float) -> WriteResult:
        """Give a booked time back."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


@runtime_checkable
class ListsUnits(Protocol):
    """A source that says at which units a resident can book."""

    def get_all_healthcare_facilities(
        self, query: GetAllHealthcareFacilities, *, timeout: float
    ) -> Listed[CareUnit]:
        """Return where a resident can book, or move a booking to."""
        ...


@runtime_checkable
class ListsPerformers(Protocol):
    """A source that says whom a resident can choose."""

    def get_all_performers(
        self, query: GetAllPerformers, *, timeout: float
    ) -> Listed[Performer]:
        """Return whom a resident can choose at a unit."""
        ...


@runtime_checkable
class ListsCareTypes(Protocol):
    """A source that has its own grouping of time types; `sources check` asks for it."""

    def get_all_care_types(
        self, query: GetAllCareTypes, *, timeout: float
    ) -> Listed[CareType]:
        """Return a unit's own care types."""
        ...


@runtime_checkable
class ListsAvailableDates(Protocol):
    """A source that says on which days there is a free time, at less cost."""

    def get_available_dates(
        self, query: GetAvailableDates, *, timeout: float
    ) -> Listed[AvailableDate]:
        """Return the days with a free time."""
        ...


@runtime_checkable
class ListsBookings(Protocol):
    """
    A source that says what a resident has booked.

    Without it, a write without an answer is looked for by the booking's id alone.
    """

    def get_subject_of_care_schedule(
        self, query: GetSubjectOfCareSchedule, *, timeout: float
    ) -> BookedTimes:
        """Return a resident's booked times."""
        ...


@runtime_checkable
class WatchedAdapter(Protocol):
    """An adapter that can tell how answers differ from what their contracts say."""

    def watch(self, differs: Callable[[Interaction, str], None]) -> None:
        """Call `differs` with each unknown or missing element, from now on."""
        ...


AdapterFactory = Callable[[SourceName, Mapping[str, object]], SchedulingAdapter]
"""
Makes an adapter from a source's name and the options in its configuration.

Raises `adapters.registry.UnusableOptions` with every fault it finds.
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
"""What an ability lets a source be asked."""


def ability(adapter: SchedulingAdapter, kind: type[Able]) -> Able:
    """
    Return an adapter as one that has an ability, one of `ABILITIES`.

    Raises:
        Unsupported: It lacks the ability.
    """
    if not isinstance(adapter, kind):
        raise Unsupported(
            "The source does not offer this.",
            source=adapter.name,
            interaction=ABILITIES[kind].name,
        )
    return adapter
