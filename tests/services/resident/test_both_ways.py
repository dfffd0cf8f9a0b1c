"""
Both ways of finding bookings: an aggregating service, and the sources themselves.
"""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from builders import (
    NORR,
    NOW,
    OTHER_UNIT,
    SOUTHERN_UNIT,
    SYD,
    UNIT,
    VISIT,
    booked,
    catalogue,
    number,
    source,
    southern_source,
    unit,
)
from doubles import AnsweringAdapter

from fhir_gateway.model import scheduling
from fhir_gateway.model.booking import (
    BookedTimes,
    Booking,
    BookingStatus,
    KeptPart,
    Silence,
    SilenceCause,
)
from fhir_gateway.model.errors import Unavailable
from fhir_gateway.model.found_booking import FoundBooking, Lack, Way
from fhir_gateway.model.grant import Basis, Grant
from fhir_gateway.model.ids import HsaId, LogicalAddress, SourceName
from fhir_gateway.model.principal import Principal, Role
from fhir_gateway.model.scheduling import GetSubjectOfCareSchedule
from fhir_gateway.model.source import Aggregate, SourceOutcome, SourceProblem
from fhir_gateway.services.resident.list_request import ListRequest
from fhir_gateway.services.resident.merged_list import merge
from services.conftest import MakeWireless, Wireless

NATIONAL = SourceName("national")
AGGREGATE = Aggregate(
    name=NATIONAL,
    title="Plattformen",
    address=LogicalAddress("5565594230"),
    sources=frozenset({NORR, SYD}),
    phone="1177",
)
DOWN = Unavailable("The source could not be reached.")


@dataclass
class AggregatingAdapter(AnsweringAdapter):
    """An aggregating service with a book of its own, and its report of the units."""

    name: SourceName = NATIONAL
    answered: frozenset[LogicalAddress] | None = frozenset()
    kept: tuple[KeptPart, ...] = ()
    silences: tuple[Silence, ...] = ()

    def get_subject_of_care_schedule(
        self, query: GetSubjectOfCareSchedule, *, timeout: float
    ) -> BookedTimes:
        """Return the book and the report."""
        answer = super().get_subject_of_care_schedule(query, timeout=timeout)
        return replace(
            answer,
            answered=self.answered,
            kept=self.kept,
            silences=self.silences,
            unanswered=tuple(each.unit for each in self.silences),
        )


@dataclass
class UnitAdapter(AnsweringAdapter):
    """A source that lists one unit's bookings at a time."""

    failing: set[str] = field(default_factory=set)

    def get_subject_of_care_schedule(
        self, query: GetSubjectOfCareSchedule, *, timeout: float
    ) -> BookedTimes:
        """Return one unit's part of the book."""
        answer = super().get_subject_of_care_schedule(query, timeout=timeout)
        if query.address in self.failing:
            raise DOWN
        return replace(
            answer,
            bookings=tuple(
                each for each in answer.bookings if each.unit == query.address
            ),
        )


@dataclass
class Country:
    """Norr, syd and a national service over both."""

    wireless: Wireless
    norr: UnitAdapter
    syd: UnitAdapter
    national: AggregatingAdapter

    def list_of(self, **options: Any) -> Any:
        """Return resident 0's bookings."""
        return self.wireless.desk.residents.list_of(number(0), **options)

    def booking(self, hsa_id: HsaId = UNIT, hours: int = 24, **changed: Any) -> Booking:
        """Return a booking of resident 0."""
        wanted = self.wireless.coming(hours)
        wanted = replace(wanted, schedule=replace(wanted.schedule, unit=hsa_id))
        return booked(wanted, **{"subject_of_care": number(0), **changed})

    def know(self, booking: Booking, name: SourceName = NORR) -> None:
        """Let the journal know a booking, and so a relation with its unit."""
        assert booking.timeslot is not None
        self.wireless.desk.journal.reports.adopt(
            source=name, booking=booking, timeslot=booking.timeslot, number=number(0)
        )


@pytest.fixture(name="country")
def _country(make_wireless: MakeWireless) -> Country:
    norr, syd = UnitAdapter(), UnitAdapter(name=SYD)
    national = AggregatingAdapter()
    wireless = make_wireless(
        norr,
        syd,
        national,
        sources=(
            source(units=(unit(phone="0980-319 200"), unit(OTHER_UNIT))),
            southern_source(),
        ),
        catalogues=(
            catalogue({UNIT: [(VISIT, "B")], OTHER_UNIT: [(VISIT, "B")]}),
            catalogue({SOUTHERN_UNIT: [(VISIT, "B")]}, name="syd"),
        ),
        aggregates=(AGGREGATE,),
    )
    return Country(wireless, norr, syd, national)


def lists(adapter: AnsweringAdapter, *listed: Booking) -> None:
    """Let a source list these bookings."""
    adapter.book = {f"{each.unit} {each.booking_id}": each for each in listed}


def test_a_booking_that_both_ways_list_is_one_appointment(country: Country) -> None:
    """The same unit and id in both answers is one booking, as its source says it."""
    known = country.booking(purpose="Ta med legitimation.")
    country.know(known)
    lists(country.norr, known)
    lists(country.national, replace(known, purpose=None))
    country.national.answered = frozenset({LogicalAddress(UNIT)})

    times = country.list_of()

    assert [(each.booking_id, each.purpose) for each in times.bookings] == [
        (known.booking_id, "Ta med legitimation.")
    ]
    assert times.outcomes == ()
    assert times.found == (
        FoundBooking(
            source=NORR, unit=UNIT, is_invitation=False, aggregated=None, direct=None
        ),
    )
    assert times.found[0].ways == {Way.AGGREGATED, Way.DIRECT}
    assert country.wireless.desk.found == [times.found]


def test_units_without_a_relation_are_found_by_the_aggregating_service(
    country: Country,
) -> None:
    """Bookings at units that nobody here knew of are adopted, from both regions."""
    lists(
        country.national,
        country.booking(booking_id="N-1"),
        country.booking(SOUTHERN_UNIT, 30, booking_id="S-1"),
    )
    country.national.answered = frozenset({LogicalAddress(UNIT), SOUTHERN_UNIT})

    times = country.list_of()

    assert [(each.source, each.booking_id) for each in times.bookings] == [
        ("norr", "N-1"),
        ("syd", "S-1"),
    ]
    assert times.outcomes == ()
    assert [(each.aggregated, each.direct) for each in times.found] == [
        (None, Lack.NOT_ASKED)
    ] * 2
    assert country.norr.calls == country.syd.calls == []


@pytest.mark.parametrize(
    ("spoil", "lack"),
    [
        pytest.param(lambda _: None, Lack.UNIT_NOT_NAMED, id="no post in the index"),
        pytest.param(
            lambda country: setattr(
                country.national, "answered", frozenset({LogicalAddress(UNIT)})
            ),
            Lack.NOT_LISTED,
            id="not in the unit's part",
        ),
        pytest.param(
            lambda country: setattr(
                country.national,
                "silences",
                (Silence(unit=LogicalAddress(UNIT), cause=SilenceCause.TIMEOUT),),
            ),
            Lack.UNIT_SILENT,
            id="the unit did not answer the service",
        ),
        pytest.param(
            lambda country: country.national.errors.update(
                {scheduling.GET_SUBJECT_OF_CARE_SCHEDULE: DOWN}
            ),
            Lack.SILENT,
            id="the service is away",
        ),
    ],
)
def test_why_the_aggregating_service_lacks_a_booking_is_recorded(
    country: Country, spoil: Any, lack: Lack
) -> None:
    """What only the unit itself lists has the reason why the other way lacks it."""
    known = country.booking()
    country.know(known)
    lists(country.norr, known)
    spoil(country)

    times = country.list_of()

    assert [(each.aggregated, each.direct) for each in times.found] == [(lack, None)]
    assert [each.status for each in times.bookings] == [BookingStatus.BOOKED]


def test_a_silent_unit_that_the_other_way_lists_is_no_gap(country: Country) -> None:
    """Neither way is reported where the other one has the unit's bookings of now."""
    known, other = country.booking(), country.booking(OTHER_UNIT, booking_id="B-2")
    country.know(known)
    country.know(other)
    country.norr.failing = {UNIT}
    lists(country.norr, other)
    lists(country.national, known)
    country.national.answered = frozenset({LogicalAddress(UNIT)})
    country.national.silences = (
        Silence(unit=LogicalAddress(OTHER_UNIT), cause=SilenceCause.UNREACHABLE),
    )

    times = country.list_of()

    assert len(times.bookings) == 2
    assert times.outcomes == ()
    assert [(each.unit, each.aggregated, each.direct) for each in times.found] == [
        (OTHER_UNIT, Lack.UNIT_SILENT, None),
        (UNIT, None, Lack.SILENT),
    ]


@pytest.mark.parametrize(
    ("cause", "what"),
    [
        (SilenceCause.TIMEOUT, " within its time limit"),
        (SilenceCause.UNREACHABLE, ", which could not reach it"),
        (SilenceCause.NOT_SUPPORTED, ", which has no route to its bookings"),
        (SilenceCause.NOT_PERMITTED, ", which may not ask it for this server"),
        (SilenceCause.INDEX_FAILED, ", because the engagement index failed"),
        (SilenceCause.UNKNOWN, ""),
    ],
)
def test_each_silent_unit_is_named_with_whom_to_call(
    country: Country, cause: SilenceCause, what: str
) -> None:
    """A unit that did not answer the service has one sentence, and when it last did."""
    since = NOW - timedelta(hours=3)
    country.national.silences = (
        Silence(unit=LogicalAddress(UNIT), cause=cause, last_answered_at=since),
    )

    times = country.list_of()

    assert times.outcomes == (
        SourceOutcome(
            source=NATIONAL,
            problem=SourceProblem.INCOMPLETE,
            detail=(
                f"Mottagning A01 did not answer Plattformen{what}; its bookings may be"
                " missing or out of date: call Mottagning A01, 0980-319 200."
            ),
            since=since,
        ),
    )


@pytest.mark.parametrize("address", ["191212121212", "<b>Anna</b>", "x" * 5000, ""])
def test_another_systems_text_is_not_repeated(country: Country, address: str) -> None:
    """An address that is no known unit's may be anything, and is not shown."""
    country.national.silences = (
        Silence(unit=LogicalAddress(address), cause=SilenceCause.UNKNOWN),
    )
    country.national.kept = (KeptPart(unit=LogicalAddress(address), since=None),)

    times = country.list_of()

    assert [each.detail.partition(";")[0] for each in times.outcomes] == [
        "A unit that this server does not know did not answer Plattformen",
        "A unit that this server does not know could not be asked just now",
    ]


def test_a_silent_service_is_named_with_whom_to_call(country: Country) -> None:
    """Without the aggregating service unknown units may have bookings."""
    country.national.errors[scheduling.GET_SUBJECT_OF_CARE_SCHEDULE] = DOWN

    times = country.list_of()

    assert times.is_unknown
    assert times.outcomes[0] == SourceOutcome(
        source=NATIONAL,
        problem=SourceProblem.UNAVAILABLE,
        detail=(
            "Plattformen could not be asked; bookings at units that this server does"
            " not know of may be missing: call Plattformen, 1177."
        ),
    )
    assert [each.problem for each in times.outcomes[1:]] == [
        SourceProblem.NOT_ASKED
    ] * 2


def test_a_service_without_a_report_may_lack_anything(country: Country) -> None:
    """Without ProcessingStatus nobody knows which units have answered: it is said."""
    country.national.answered = None

    times = country.list_of()

    assert [(each.problem, each.detail) for each in times.outcomes[:1]] == [
        (
            SourceProblem.INCOMPLETE,
            (
                "Plattformen did not say which units have answered it; bookings may be"
                " missing: call Plattformen, 1177."
            ),
        )
    ]
    assert len(times.outcomes) == 3


def test_a_cached_part_never_wins_over_the_unit_itself(country: Country) -> None:
    """What the unit says now is shown, not what the service had in its cache."""
    known = country.booking(purpose="Nytt")
    country.know(known)
    lists(country.norr, known)
    lists(country.national, replace(known, purpose="Gammalt"))
    part = KeptPart(unit=LogicalAddress(UNIT), since=NOW - timedelta(hours=1))
    country.national.kept = (part,)
    country.national.answered = frozenset({LogicalAddress(UNIT)})

    times = country.list_of()

    assert [each.purpose for each in times.bookings] == ["Nytt"]
    assert times.outcomes == ()


def test_a_regions_system_asks_no_service_over_other_regions(country: Country) -> None:
    """What a region's system may not see is not asked for in its name either."""
    principal = Principal(
        role=Role.SYSTEM, units=("SE2321000016-",), organisation=HsaId("SE2321000016-1")
    )
    grant = Grant(principal=principal, subject=number(0), basis=Basis.OWN_UNITS)

    country.wireless.desk.residents.list_for(grant)

    assert country.national.calls == []


def test_the_order_of_answers_does_not_matter(country: Country) -> None:
    """Whichever answer arrives first, the merged lists are the same."""
    (norr, syd) = country.wireless.sources.values()
    known = country.booking()
    part = KeptPart(unit=LogicalAddress(UNIT), since=NOW)
    answers = {
        ListRequest(asked=norr, address=LogicalAddress(UNIT), unit=UNIT): BookedTimes(
            bookings=(known, country.booking(hours=30, booking_id="B-3"))
        ),
        ListRequest(asked=syd, address=LogicalAddress(SOUTHERN_UNIT)): BookedTimes(
            bookings=(country.booking(SOUTHERN_UNIT),)
        ),
        ListRequest(asked=AGGREGATE, address=AGGREGATE.address): BookedTimes(
            bookings=(
                country.booking(SOUTHERN_UNIT),
                replace(known, purpose="Gammalt"),
                country.booking(hours=40, booking_id="B-4"),
            ),
            kept=(part,),
        ),
    }

    merged = [
        merge({each: answers[each] for each in order}, (norr, syd), NOW)
        for order in permutations(answers)
    ]

    assert all(each == merged[0] for each in merged)
    assert [
        [(each.booking.booking_id, each.booking.purpose) for each in of_source.listed]
        for of_source in merged[0]
    ] == [
        [(known.booking_id, None), ("B-3", None), ("B-4", None)],
        [(known.booking_id, None)],
    ]


def test_one_without_an_id_is_the_same_as_one_with(country: Country) -> None:
    """Where one way leaves out the id, unit, start and time type say that it is one."""
    (norr, syd) = country.wireless.sources.values()
    known = country.booking()
    answers = {
        ListRequest(asked=norr, address=LogicalAddress(UNIT), unit=UNIT): BookedTimes(
            bookings=(replace(known, booking_id=None),)
        ),
        ListRequest(asked=AGGREGATE, address=AGGREGATE.address): BookedTimes(
            bookings=(known,)
        ),
    }

    (merged, _) = merge(answers, (norr, syd), NOW)

    assert [each.ways for each in merged.listed] == [frozenset(Way)]
