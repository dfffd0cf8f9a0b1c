"""
Doubles: small real implementations of the Protocols, each with one trick.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from builders import NORR, NOW

from fhir_gateway.adapters.protocol import ABILITIES, CareType
from fhir_gateway.model import scheduling
from fhir_gateway.model.booking import (
    BookedTimes,
    Booking,
    BookingPermissions,
    ResultCode,
    WriteResult,
)
from fhir_gateway.model.care_unit import CareUnit, Performer
from fhir_gateway.model.errors import GatewayError, NotFound, Unavailable
from fhir_gateway.model.ids import BookingId, HsaId, LogicalAddress, SourceName
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
from fhir_gateway.model.timekeeping import civil_date
from fhir_gateway.model.timeslot import AvailableDate, FreeTimes, Timeslot, TimeType
from fhir_gateway.stores.refresh_hint import RefreshHint
from fhir_gateway.stores.sightings import LiveSighting
from fhir_gateway.stores.slot_block import BlockKey, SlotBlock
from fhir_gateway.stores.slot_store import (
    Changes,
    SlotStore,
    SourceStatus,
    StoreUnavailable,
)
from fhir_gateway.stores.source_catalogue import SourceCatalogue

_EVERYTHING_ALLOWED = BookingPermissions(cancel=True, rebook=True, message=True)


class MovableClock:
    """A clock that stands still until it is moved."""

    def __init__(self, instant: datetime = NOW) -> None:
        self.instant = instant

    def __call__(self) -> datetime:
        """Return the instant it stands at."""
        return self.instant

    def forward(self, **duration: float) -> None:
        """Move it on."""
        self.instant += timedelta(**duration)


@dataclass
class AnsweringAdapter:
    """
    A source without a wire: it lists what it is given and keeps its own book.

    Attributes:
        is_careless: It lists the times of every time type, whichever is asked for.
        rejected: Why it leaves items out of its answers, by the kind of question.
        calls: Every question and write, in order.
        errors: What it raises instead of an answer.
        before: Called before each answer.
    """

    name: SourceName = NORR
    supports: frozenset[Interaction] = frozenset(scheduling.INTERACTIONS)
    time_types: dict[HsaId, tuple[TimeType, ...]] = field(default_factory=dict)
    timeslots: list[Timeslot] = field(default_factory=list)
    rejected: dict[type, tuple[str, ...]] = field(default_factory=dict)
    is_careless: bool = False
    performers: tuple[Performer, ...] = ()
    units: tuple[CareUnit, ...] = ()
    book: dict[str, Booking] = field(default_factory=dict)
    permissions: BookingPermissions = _EVERYTHING_ALLOWED
    unanswered: tuple[LogicalAddress, ...] = ()
    result: WriteResult = field(default_factory=lambda: WriteResult(code=ResultCode.OK))
    calls: list[Any] = field(default_factory=list)
    errors: dict[Interaction, Exception] = field(default_factory=dict)
    before: Callable[[Interaction], object] = lambda _: None

    def asked(self, kind: type) -> list[Any]:
        """Return the questions or writes of one kind."""
        return [call for call in self.calls if isinstance(call, kind)]

    def get_all_time_types(
        self,
        query: GetAllTimeTypes,
        *,
        timeout: float,  # noqa: ARG002 - it answers at once
    ) -> Listed[TimeType]:
        """Return what can be booked at a unit."""
        self._begin(scheduling.GET_ALL_TIME_TYPES, query)
        return Listed(self.time_types.get(query.unit, ()), self._left_out(query))

    def get_all_care_types(
        self,
        query: GetAllCareTypes,
        *,
        timeout: float,  # noqa: ARG002 - it answers at once
    ) -> Listed[CareType]:
        """Return nothing."""
        self._begin(scheduling.GET_ALL_CARE_TYPES, query)
        return Listed((), self._left_out(query))

    def get_all_performers(
        self,
        query: GetAllPerformers,
        *,
        timeout: float,  # noqa: ARG002 - it answers at once
    ) -> Listed[Performer]:
        """Return the staff."""
        self._begin(scheduling.GET_ALL_PERFORMERS, query)
        return Listed(self.performers, self._left_out(query))

    def get_all_healthcare_facilities(
        self,
        query: GetAllHealthcareFacilities,
        *,
        timeout: float,  # noqa: ARG002 - it answers at once
    ) -> Listed[CareUnit]:
        """Return the units."""
        self._begin(scheduling.GET_ALL_HEALTHCARE_FACILITIES, query)
        return Listed(self.units, self._left_out(query))

    def get_available_dates(
        self,
        query: GetAvailableDates,
        *,
        timeout: float,  # noqa: ARG002 - it answers at once
    ) -> Listed[AvailableDate]:
        """Return the days with one of the unit's times, of those asked for."""
        self._begin(scheduling.GET_AVAILABLE_DATES, query)
        return Listed(
            tuple(
                AvailableDate(schedule=each.schedule, day=civil_date(each.start))
                for each in self._listed(query)
            ),
            self._left_out(query),
        )

    def get_available_timeslots(
        self,
        query: GetAvailableTimeslots,
        *,
        timeout: float,  # noqa: ARG002 - it answers at once
    ) -> FreeTimes:
        """Return the unit's times of the days asked for."""
        self._begin(scheduling.GET_AVAILABLE_TIMESLOTS, query)
        return FreeTimes(
            timeslots=tuple(self._listed(query)),
            rejected=self._left_out(query),
        )

    def get_booking_details(
        self,
        query: GetBookingDetails,
        *,
        timeout: float,  # noqa: ARG002 - it answers at once
    ) -> Booking:
        """Return one booking."""
        self._begin(scheduling.GET_BOOKING_DETAILS, query)
        if query.booking_id not in self.book:
            raise NotFound("The source has no such booking.", source=self.name)
        return self.book[query.booking_id]

    def get_subject_of_care_schedule(
        self,
        query: GetSubjectOfCareSchedule,
        *,
        timeout: float,  # noqa: ARG002 - it answers at once
    ) -> BookedTimes:
        """Return the resident's bookings at any unit."""
        self._begin(scheduling.GET_SUBJECT_OF_CARE_SCHEDULE, query)
        return BookedTimes(
            bookings=tuple(
                each
                for each in self.book.values()
                if each.subject_of_care == query.subject_of_care
            ),
            unanswered=self.unanswered,
        )

    def make_booking(
        self,
        request: MakeBooking,
        *,
        timeout: float,  # noqa: ARG002 - it answers at once
    ) -> WriteResult:
        """Write the time into the book, unless the result is no."""
        self._begin(scheduling.MAKE_BOOKING, request)
        if not self.result.is_done:
            return self.result
        booking_id = self.result.booking_id or BookingId(f"B-{len(self.book) + 1}")
        self.book[booking_id] = self._booking(request, booking_id)
        return replace(self.result, booking_id=booking_id)

    def update_booking(
        self,
        request: UpdateBooking,
        *,
        timeout: float,  # noqa: ARG002 - it answers at once
    ) -> WriteResult:
        """Write the new time into the book, unless the result is no."""
        self._begin(scheduling.UPDATE_BOOKING, request)
        if self.result.is_done:
            self.book[request.booking_id] = self._booking(request, request.booking_id)
        return replace(self.result, booking_id=None)

    def cancel_booking(
        self,
        request: CancelBooking,
        *,
        timeout: float,  # noqa: ARG002 - it answers at once
    ) -> WriteResult:
        """Take the booking out of the book, unless the result is no."""
        self._begin(scheduling.CANCEL_BOOKING, request)
        if self.result.is_done:
            self.book.pop(request.booking_id, None)
        return replace(self.result, booking_id=None)

    def close(self) -> None:
        """Do nothing: there are no connections."""

    def _listed(
        self, query: GetAvailableDates | GetAvailableTimeslots
    ) -> Iterator[Timeslot]:
        for each in self.timeslots:
            is_asked_for = self.is_careless or query.time_type_id in (
                None,
                each.schedule.time_type_id,
            )
            if (
                is_asked_for
                and each.schedule.unit == query.unit
                and query.first_day <= civil_date(each.start) <= query.last_day
            ):
                yield each

    def _left_out(self, query: object) -> tuple[str, ...]:
        return self.rejected.get(type(query), ())

    def _begin(self, interaction: Interaction, call: object) -> None:
        self.calls.append(call)
        self.before(interaction)
        if interaction in self.errors:
            raise self.errors[interaction]

    def _booking(
        self, request: MakeBooking | UpdateBooking, booking_id: BookingId
    ) -> Booking:
        schedule = request.timeslot.schedule
        return Booking(
            unit=schedule.unit,
            booking_id=booking_id,
            start=request.timeslot.start,
            end=request.timeslot.end,
            subject_of_care=request.subject_of_care.number,
            time_type_id=schedule.time_type_id,
            time_type_name=schedule.time_type_name,
            permissions=self.permissions,
        )


class PlainAdapter:
    """A source with no ability beyond what every source must do."""

    def __init__(self, adapter: AnsweringAdapter) -> None:
        self._adapter = adapter
        self.name = adapter.name
        self.supports = frozenset(scheduling.INTERACTIONS) - frozenset(
            ABILITIES.values()
        )
        self.get_all_time_types = adapter.get_all_time_types
        self.get_available_timeslots = adapter.get_available_timeslots
        self.get_booking_details = adapter.get_booking_details
        self.make_booking = adapter.make_booking
        self.update_booking = adapter.update_booking
        self.cancel_booking = adapter.cancel_booking
        self.close = adapter.close


class FailingAdapter(AnsweringAdapter):
    """A source that cannot be asked anything."""

    def __init__(self, error: GatewayError | None = None, **fields: Any) -> None:
        super().__init__(**fields)
        failure = error or Unavailable("The source could not be reached.")
        self.errors = dict.fromkeys(scheduling.INTERACTIONS, failure)


class LyingAdapter(AnsweringAdapter):
    """A source that says yes and books the time after."""

    def _booking(
        self, request: MakeBooking | UpdateBooking, booking_id: BookingId
    ) -> Booking:
        booking = super()._booking(request, booking_id)
        length = request.timeslot.end - request.timeslot.start
        return replace(
            booking,
            start=request.timeslot.start + length,
            end=request.timeslot.end + length,
        )


class MemorySlotStore:
    """A slot store in this process alone; it counts what is put into it."""

    def __init__(self) -> None:
        self._blocks: dict[BlockKey, SlotBlock] = {}
        self._catalogues: dict[SourceName, SourceCatalogue] = {}
        self._statuses: dict[SourceName, SourceStatus] = {}
        self._changes: list[BlockKey | SourceCatalogue | SourceStatus] = []
        self.puts: Counter[str] = Counter()

    def empty(self) -> None:
        """Forget everything."""
        self._blocks.clear()
        self._catalogues.clear()
        self._statuses.clear()

    def put_block(self, block: SlotBlock) -> None:
        """Replace a block."""
        self._blocks[block.key] = block
        self._tell(block.key)

    def blocks(self, keys: Sequence[BlockKey]) -> list[SlotBlock | None]:
        """Return blocks."""
        return [self._blocks.get(key) for key in keys]

    def block_keys(self) -> list[BlockKey]:
        """Return the keys of all blocks."""
        return list(self._blocks)

    def put_catalogue(self, catalogue: SourceCatalogue) -> None:
        """Replace a catalogue."""
        self._catalogues[catalogue.source] = catalogue
        self._tell(catalogue)

    def catalogue(self, source: SourceName) -> SourceCatalogue | None:
        """Return a catalogue."""
        return self._catalogues.get(source)

    def put_status(self, status: SourceStatus) -> None:
        """Replace a status."""
        self._statuses[status.source] = status
        self._tell(status)

    def status(self, source: SourceName) -> SourceStatus | None:
        """Return a status."""
        return self._statuses.get(source)

    def cursor(self) -> str:
        """Return the present end of the changes."""
        return str(len(self._changes))

    def changes(
        self,
        cursor: str,
        *,
        wait: timedelta,  # noqa: ARG002 - it has what it has
    ) -> Changes:
        """Return the changes since the cursor."""
        changes = self._changes[int(cursor) :]
        return Changes(
            cursor=self.cursor(),
            blocks=frozenset(each for each in changes if isinstance(each, BlockKey)),
            catalogues=frozenset(
                each.source for each in changes if isinstance(each, SourceCatalogue)
            ),
            statuses=frozenset(
                each.source for each in changes if isinstance(each, SourceStatus)
            ),
        )

    def _tell(self, what: BlockKey | SourceCatalogue | SourceStatus) -> None:
        self.puts[type(what).__name__] += 1
        self._changes.append(what)


class MemorySightings:
    """Sightings in this process alone."""

    def __init__(self) -> None:
        self.losses: Counter[tuple[SourceName, Interaction, str]] = Counter()
        self.live: dict[SourceName, LiveSighting] = {}

    def add_losses(
        self, source: SourceName, interaction: Interaction, reasons: Mapping[str, int]
    ) -> None:
        """Count what was left out."""
        for reason, count in reasons.items():
            self.losses[source, interaction, reason] += count

    def put_live(self, source: SourceName, sighting: LiveSighting) -> None:
        """Replace how a live source's last questions went."""
        self.live[source] = sighting


class MemoryRefreshHints:
    """Refresh hints in this process alone."""

    def __init__(self) -> None:
        self.wanted: dict[SourceName, set[RefreshHint]] = {}

    def add(self, source: SourceName, wanted: Iterable[RefreshHint]) -> None:
        """Add hints for a source."""
        self.wanted.setdefault(source, set()).update(wanted)

    def take(self, source: SourceName) -> frozenset[RefreshHint]:
        """Remove and return the hints for a source."""
        return frozenset(self.wanted.pop(source, ()))


class LeavingStore:
    """
    Another store, with methods that can be out of reach.

    Attributes:
        away: The names of those that are.
    """

    def __init__(self, store: SlotStore) -> None:
        self._store = store
        self.away: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        """Return the other store's method, or one that says it is away."""
        if name not in self.away:
            return getattr(self._store, name)

        def refuse(*_: object, **__: object) -> Any:
            raise StoreUnavailable("Redis: ConnectionError")

        return refuse
