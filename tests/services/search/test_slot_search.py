"""
Search: what fits, in which order, page by page, and which source's part is missing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from math import inf
from typing import Any

import pytest
from builders import (
    COVID,
    COVID_CODE,
    NORR,
    NOW,
    OTHER_UNIT,
    PREFIX,
    SOUTHERN_UNIT,
    SYD,
    UNIT,
    VACCINATION,
    VISIT,
    block,
    catalogue,
    schedule,
    source,
    southern_source,
    timeslot,
    unit,
)
from doubles import MemorySlotStore, MovableClock
from examples import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_gateway.model import scheduling
from fhir_gateway.model.care_unit import Performer
from fhir_gateway.model.ids import HsaId, ResourceId
from fhir_gateway.model.loss import Loss
from fhir_gateway.model.source import Source, SourceOutcome, SourceProblem
from fhir_gateway.model.timekeeping import STOCKHOLM
from fhir_gateway.model.timeslot import (
    StandardTimeType,
    Timeslot,
    TimeslotToken,
    time_type_token,
)
from fhir_gateway.model.weekly_hours import WeeklyHours
from fhir_gateway.services.search.schedule_actor import Actors, Named, NameOf
from fhir_gateway.services.search.search_page import SlotPage
from fhir_gateway.services.search.slot_columns import schedule_rank
from fhir_gateway.services.search.slot_criteria import SlotCriteria
from fhir_gateway.services.search.slot_search import SlotSearch
from fhir_gateway.services.search.slot_selection import (
    OwnTimeType,
    Selector,
    SharedTimeType,
)
from fhir_gateway.services.search.slot_view import SlotView
from fhir_gateway.services.source.directory import TimeTypeMap
from fhir_gateway.stores.slot_block import BlockKey
from fhir_gateway.stores.slot_store import SourceStatus

EVA = HsaId("SE2321000016-P01")
BO = HsaId("SE2321000016-P02")
MEANINGS: TimeTypeMap = {
    (UNIT, COVID): (VACCINATION,),
    (OTHER_UNIT, COVID): (VACCINATION,),
    (SOUTHERN_UNIT, VISIT): (StandardTimeType(code="185349003", display="besök"),),
}
COVIDS = schedule(time_type=COVID, name="Covid")


@dataclass
class World:
    """A store, a view and a search over norr with two units and syd with one."""

    sources: tuple[Source, ...] = (
        source(units=(unit(), unit(OTHER_UNIT))),
        southern_source(),
    )
    clock: MovableClock = field(default_factory=MovableClock)
    store: MemorySlotStore = field(default_factory=MemorySlotStore)
    held: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.view = SlotView(
            self.sources, MEANINGS, self.store, self._held, clock=self.clock
        )
        self.search = SlotSearch(
            self.view,
            {each.name: each for each in self.sources},
            clock=self.clock,
        )

    def _held(self) -> Mapping[str, tuple[float, ...]]:
        return {token: (inf,) * places for token, places in self.held.items()}

    def catalogues(self) -> "World":
        """Let both sources list their catalogues, without any free time."""
        both = [(VISIT, "Besök"), (COVID, "Covid")]
        self.store.put_catalogue(catalogue({UNIT: both, OTHER_UNIT: both}))
        self.store.put_catalogue(catalogue({SOUTHERN_UNIT: [(VISIT, "B")]}, name="syd"))
        for hsa_id in (UNIT, OTHER_UNIT):
            for time_type in (VISIT, COVID):
                self.lists(of_unit=hsa_id, time_type=time_type)
        self.lists(of_unit=SOUTHERN_UNIT, time_type=VISIT)
        return self

    def lists(
        self,
        *timeslots: Timeslot,
        of_unit: HsaId = UNIT,
        time_type: str = VISIT,
        **changed: Any,
    ) -> None:
        """Let a source list free times, all of one unit's time type."""
        if timeslots:
            of_unit = timeslots[0].schedule.unit
            time_type = timeslots[0].schedule.time_type_id
        key = BlockKey(
            source=SYD if of_unit == SOUTHERN_UNIT else NORR,
            unit=of_unit,
            time_type_id=schedule(time_type=time_type).time_type_id,
        )
        self.store.put_block(block(timeslots, key=key, **changed))

    def status(self, name: str = NORR, *, failing: bool) -> None:
        """Say how a source's refresh is going."""
        named = next(each.name for each in self.sources if each.name == name)
        self.store.put_status(
            SourceStatus(
                source=named,
                last_answer_at=NOW - timedelta(minutes=5),
                failing_since=NOW if failing else None,
                last_error="The source did not answer in time." if failing else None,
            )
        )

    def page(self, **criteria: Any) -> SlotPage:
        """Return what a search finds now."""
        self.view.catch_up()
        names = {each.name for each in fields(Selector)}
        selector = Selector(
            **{name: criteria.pop(name) for name in names & criteria.keys()}
        )
        return self.search.search(SlotCriteria(selector=selector, **criteria))

    def hours(self, **criteria: Any) -> list[float]:
        """Return what a search finds, as hours after NOW."""
        return [hours_of(each.timeslot) for each in self.page(**criteria).found]


def hours_of(found: Timeslot) -> float:
    """Return when a time begins, as hours after NOW."""
    return (found.start - NOW).total_seconds() / 3600


@pytest.fixture(name="world")
def _world() -> World:
    return World().catalogues()


# Which times


def test_the_earliest_comes_first(world: World) -> None:
    """Times of all units come by start."""
    world.lists(timeslot(5), timeslot(3))
    world.lists(timeslot(4, of=schedule(OTHER_UNIT)))
    world.lists(timeslot(2, of=schedule(SOUTHERN_UNIT)))

    assert world.hours() == [2, 3, 4, 5]


def test_the_latest_comes_first_when_asked(world: World) -> None:
    """Descending is the same the other way round."""
    rooms = [schedule(resource_id=ResourceId(str(room))) for room in range(3)]
    world.lists(*(timeslot(hour, of=room) for hour in (3, 4) for room in rooms))

    ascending = [each.timeslot for each in world.page().found]
    descending = [each.timeslot for each in world.page(descending=True).found]

    assert len(ascending) == 6
    assert descending == ascending[::-1]


def test_times_at_one_hour_have_an_order(world: World) -> None:
    """Times that begin together come by their schedule's rank, then by length."""
    rooms = [schedule(resource_id=ResourceId(str(room))) for room in range(5)]
    hour = timedelta(hours=1)
    listed = [timeslot(3, of=room) for room in rooms]
    listed += [timeslot(3, of=room, lasts=hour) for room in rooms]
    world.lists(*listed)

    found = [each.timeslot for each in world.page().found]

    assert found == sorted(
        listed, key=lambda each: (schedule_rank(each.schedule.token), each.end)
    )


def test_a_found_time_is_whole(world: World) -> None:
    """What was listed is found with its schedule, its count and when it was listed."""
    listed = timeslot(3, of=schedule(performer=EVA, performer_name="Eva Ek"), count=2)
    world.lists(listed)

    (found,) = world.page().found

    assert found.timeslot == listed
    assert (found.known.source, found.known.answered_at) == (NORR, NOW)


def test_what_has_begun_is_left_out(world: World) -> None:
    """A time that begins this second, or began before, cannot be booked."""
    world.lists(timeslot(3), timeslot(4), timeslot(5))
    world.clock.forward(hours=4)
    world.lists(timeslot(3), timeslot(4), timeslot(5), answered_at=world.clock())

    assert world.hours() == [5]


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        pytest.param({"start": 4}, [4, 5], id="from a start, which is included"),
        pytest.param({"start": 4.0001}, [5], id="from a moment later"),
        pytest.param({"before": 4}, [3], id="before an end, which is not"),
        pytest.param({"before": 4.0001}, [3, 4], id="before a moment later"),
        pytest.param({"start": 4, "before": 5}, [4], id="between"),
        pytest.param({"start": 4, "before": 4}, [], id="no time at all"),
        pytest.param({"start": 5, "before": 4}, [], id="the wrong way round"),
        pytest.param({"start": -100}, [3, 4, 5], id="from the past"),
        pytest.param({"before": -100}, [], id="before the past"),
    ],
)
def test_a_window_is_half_open(
    world: World, criteria: dict[str, float], expected: list[float]
) -> None:
    """A time counts by its start alone."""
    world.lists(timeslot(3), timeslot(4), timeslot(5))

    found = world.hours(
        **{name: NOW + timedelta(hours=hours) for name, hours in criteria.items()}
    )

    assert found == expected


def test_a_window_is_exact_to_the_microsecond(world: World) -> None:
    """A bound within a second lies after the second's beginning."""
    world.lists(timeslot(3))
    at = NOW + timedelta(hours=3)
    moment = timedelta(microseconds=1)

    assert world.hours(start=at + moment) == []
    assert world.hours(before=at + moment) == [3]


TWO_KINDS = [
    pytest.param(((SharedTimeType(COVID_CODE),),), [4, 5], id="a shared one"),
    pytest.param(((OwnTimeType(UNIT, VISIT),),), [1], id="a unit's own"),
    pytest.param(((OwnTimeType(None, VISIT),),), [1, 2, 3], id="any unit's"),
    pytest.param(
        ((SharedTimeType(COVID_CODE), OwnTimeType(UNIT, VISIT)),),
        [1, 4, 5],
        id="either",
    ),
    pytest.param(
        ((SharedTimeType(COVID_CODE),), (OwnTimeType(UNIT, COVID),)), [4], id="both"
    ),
    pytest.param(
        ((SharedTimeType(COVID_CODE),), (OwnTimeType(UNIT, VISIT),)), [], id="neither"
    ),
    pytest.param(((SharedTimeType("1"),),), [], id="one that nobody has"),
    pytest.param(((),), [], id="one of none"),
]


@pytest.fixture(name="varied")
def _varied(world: World) -> World:
    """Give one free time of each unit's time type."""
    world.lists(timeslot(1, of=schedule(performer=EVA)))
    world.lists(timeslot(2, of=schedule(OTHER_UNIT, performer=BO)))
    world.lists(timeslot(3, of=schedule(SOUTHERN_UNIT)))
    world.lists(timeslot(4, of=schedule(time_type=COVID, performer=EVA)))
    world.lists(timeslot(5, of=schedule(OTHER_UNIT, COVID)))
    return world


@pytest.mark.parametrize(("time_types", "expected"), TWO_KINDS)
def test_time_types_narrow(
    varied: World, time_types: Any, expected: list[float]
) -> None:
    """Within a group one is enough; every group must fit."""
    assert varied.hours(time_types=time_types) == expected


OFFERING = time_type_token(UNIT, COVID)


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        pytest.param({}, [1, 2, 3, 4, 5], id="nothing"),
        pytest.param({"units": ({UNIT},)}, [1, 4], id="a unit"),
        pytest.param({"units": ({UNIT, SOUTHERN_UNIT},)}, [1, 3, 4], id="two units"),
        pytest.param(
            {"units": ({UNIT, SOUTHERN_UNIT}, {UNIT, OTHER_UNIT})},
            [1, 4],
            id="two groups of units",
        ),
        pytest.param({"units": (set(),)}, [], id="no unit"),
        pytest.param({"units": ({HsaId("SE9-X")},)}, [], id="an unknown unit"),
        pytest.param({"offerings": ({OFFERING},)}, [4], id="an offering"),
        pytest.param({"offerings": ({"x"},)}, [], id="no offering at all"),
        pytest.param(
            {"schedules": ({schedule(performer=EVA).token},)}, [1], id="a schedule"
        ),
        pytest.param(
            {
                "schedules": (
                    {schedule(performer=EVA).token, schedule(SOUTHERN_UNIT).token},
                    {schedule(SOUTHERN_UNIT).token},
                )
            },
            [3],
            id="two groups of schedules",
        ),
        pytest.param({"schedules": ({"x"},)}, [], id="no schedule at all"),
        pytest.param({"performers": ({EVA},)}, [1, 4], id="a performer"),
        pytest.param({"performers": ({EVA, BO},)}, [1, 2, 4], id="either performer"),
        pytest.param({"performers": ({EVA}, {BO})}, [], id="both performers"),
        pytest.param(
            {"units": ({UNIT},), "performers": ({EVA},), "offerings": ({OFFERING},)},
            [4],
            id="a unit, a performer and an offering",
        ),
    ],
)
def test_criteria_narrow(
    varied: World, criteria: dict[str, tuple[set[Any], ...]], expected: list[float]
) -> None:
    """Groups are joined by and, what is in a group by or."""
    frozen = {
        name: tuple(frozenset(group) for group in groups)
        for name, groups in criteria.items()
    }

    assert varied.hours(**frozen) == expected


# Held places


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        pytest.param([Actors(units=frozenset({UNIT}))], [1, 4], id="a unit"),
        pytest.param(
            [Actors(units=frozenset({SOUTHERN_UNIT}), offerings=frozenset({OFFERING}))],
            [3, 4],
            id="a unit or an offering",
        ),
        pytest.param(
            [
                Actors(
                    units=frozenset({SOUTHERN_UNIT}),
                    performers=frozenset({BO}),
                )
            ],
            [2, 3],
            id="a unit or a performer",
        ),
        pytest.param(
            [Actors(roles=frozenset({(UNIT, EVA), (OTHER_UNIT, EVA)}))],
            [1, 4],
            id="roles at two units",
        ),
        pytest.param(
            [
                Actors(performers=frozenset({EVA})),
                Actors(offerings=frozenset({OFFERING})),
            ],
            [4],
            id="a performer and an offering",
        ),
        pytest.param(
            [Actors(roles=frozenset({(UNIT, BO)}), units=frozenset({SOUTHERN_UNIT}))],
            [3],
            id="a role that nobody has, or a unit",
        ),
        pytest.param([Actors()], [], id="nobody"),
    ],
)
def test_actors_of_several_kinds_are_alternatives(
    varied: World, groups: list[Actors], expected: list[float]
) -> None:
    """Groups of actors are joined by and, the actors of a group by or."""
    assert varied.hours(actors=tuple(groups)) == expected
    page = varied.page(actors=tuple(groups), first_per_unit=True, count=0)
    assert (page.total or 0) == len(
        {
            each.timeslot.schedule.unit
            for each in varied.page(actors=tuple(groups)).found
        }
    )


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        pytest.param((NameOf.UNIT, {"vårdcentralen ö"}, False), [2, 5], id="a unit"),
        pytest.param((NameOf.UNIT, {"VARDCENTRALEN O"}, False), [2, 5], id="folded"),
        pytest.param((NameOf.UNIT, {"ostra"}, False), [], id="not its beginning"),
        pytest.param((NameOf.UNIT, {"ostra"}, True), [2, 5], id="a part"),
        pytest.param((NameOf.OFFERING, {"cov", "x"}, False), [4, 5], id="a time type"),
        pytest.param((NameOf.OFFERING, {"ovid"}, True), [4, 5], id="a part of one"),
        pytest.param((NameOf.PERFORMER, {"eva"}, False), [1, 4], id="a given name"),
        pytest.param((NameOf.PERFORMER, {"ström"}, False), [1, 4], id="a family name"),
        pytest.param((NameOf.PERFORMER, {"trom"}, True), [1, 4], id="a part of it"),
        pytest.param((NameOf.PERFORMER, {"sköt"}, False), [2], id="a displayed name"),
        pytest.param((NameOf.PERFORMER, {"nobody"}, False), [], id="nobody"),
    ],
)
def test_actors_are_found_by_their_names(
    named: tuple[NameOf, set[str], bool], expected: list[float]
) -> None:
    """A name is found by its beginning or a part, in any case, without accents too."""
    world = World(
        sources=(
            source(units=(unit(), unit(OTHER_UNIT, name="Vårdcentralen Östra"))),
            southern_source(),
        )
    )
    both = [(VISIT, "Besök"), (COVID, "Covid")]
    world.store.put_catalogue(
        catalogue(
            {UNIT: both, OTHER_UNIT: both},
            performers={
                EVA: Performer(hsa_id=EVA, first_name="Eva", last_name="Ström")
            },
        )
    )
    world.lists(timeslot(1, of=schedule(performer=EVA)))
    world.lists(
        timeslot(
            2, of=schedule(OTHER_UNIT, performer=BO, performer_name="Bo Sköterska")
        )
    )
    world.lists(timeslot(4, of=schedule(time_type=COVID, performer=EVA)))
    world.lists(timeslot(5, of=schedule(OTHER_UNIT, COVID)))
    kind, texts, anywhere = named

    group = Named(kind=kind, texts=frozenset(texts), anywhere=anywhere)
    assert world.hours(named=(group,)) == expected
    unknown = world.search.unknown_parts(Selector(named=(group,)))
    assert unknown == (() if expected else ("named",))


@pytest.mark.parametrize(
    ("kind", "southern", "complete"),
    [
        pytest.param(NameOf.UNIT, {}, True, id="its units are configured"),
        pytest.param(
            NameOf.UNIT,
            {"units": (), "units_from": SOUTHERN_UNIT},
            False,
            id="it lists its units itself",
        ),
        pytest.param(NameOf.OFFERING, {}, False, id="a time type"),
        pytest.param(NameOf.PERFORMER, {}, False, id="a member of staff"),
    ],
)
def test_a_silent_source_may_have_a_name_that_another_has(
    kind: NameOf, southern: dict[str, Any], *, complete: bool
) -> None:
    """What a name finds is complete only where no silent source can have the name."""
    norr = source(units=(unit(name="Vårdcentralen"),))
    world = World(sources=(norr, southern_source(**southern)))
    world.store.put_catalogue(catalogue())
    world.lists(timeslot(1, of=schedule(performer=EVA, performer_name="Eva Ström")))
    name = {NameOf.UNIT: "vård", NameOf.OFFERING: "besök", NameOf.PERFORMER: "eva"}

    found = world.page(named=(Named(kind=kind, texts=frozenset({name[kind]})),))
    assert len(found.found) == 1
    assert [each.source for each in found.outcomes] == ([] if complete else [SYD])
    assert found.total == (1 if complete else None)


def test_unknown_actors_are_named(varied: World) -> None:
    """A group of actors that nobody knows is among the unknown parts."""
    nobody = Actors(units=frozenset({HsaId("SE9-X")}), performers=frozenset({UNIT}))
    known = Actors(units=frozenset({HsaId("SE9-X")}), performers=frozenset({EVA}))
    varied.view.catch_up()

    assert varied.search.unknown_parts(Selector(actors=(nobody, known))) == ("actors",)
    assert varied.search.unknown_parts(Selector(actors=(known,))) == ()


def test_a_held_time_is_left_out(world: World) -> None:
    """A time that was promised away here is no result, and not counted."""
    world.lists(timeslot(3), timeslot(4))
    world.held = {timeslot(3).token: 1}

    page = world.page()

    assert [hours_of(each.timeslot) for each in page.found] == [4]
    assert page.total == 1


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        pytest.param(0, [3], id="none is held"),
        pytest.param(2, [3], id="one is left"),
        pytest.param(3, [], id="all are held"),
        pytest.param(4, [], id="more than there are"),
    ],
)
def test_a_counted_time_has_several_places(
    world: World, held: int, expected: list[float]
) -> None:
    """A time that is listed three times is there until its third place is held."""
    world.lists(timeslot(3, count=3))
    world.held = {timeslot(3).token: held}

    assert world.hours() == expected


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(timeslot(3, lasts=timedelta(hours=1)), id="another length"),
        pytest.param(timeslot(4), id="another start"),
        pytest.param(timeslot(3, of=schedule(OTHER_UNIT)), id="another unit"),
        pytest.param(timeslot(3, of=schedule(performer=EVA)), id="another performer"),
        pytest.param(timeslot(3, of=schedule("SE9-X")), id="an unknown unit"),
    ],
)
def test_only_the_held_time_is_left_out(world: World, other: Timeslot) -> None:
    """A claim on another time hides nothing."""
    world.lists(timeslot(3))
    world.lists(timeslot(9, of=schedule(performer=EVA, time_type=COVID)))
    world.held = {other.token: 1}

    assert world.hours() == [3, 9]


# One time


def test_a_time_is_found_by_its_token(world: World) -> None:
    """What was found once is found again by its id."""
    world.lists(timeslot(3), timeslot(3, of=schedule(performer=EVA)), timeslot(4))
    wanted = timeslot(3, of=schedule(performer=EVA))
    world.view.catch_up()

    found = world.search.find(TimeslotToken.parse(wanted.token))

    assert found is not None
    assert found.timeslot == wanted


@pytest.mark.parametrize(
    "absent",
    [
        pytest.param(timeslot(4), id="another start"),
        pytest.param(timeslot(3, lasts=timedelta(hours=1)), id="another length"),
        pytest.param(timeslot(3, of=schedule(OTHER_UNIT)), id="another unit"),
        pytest.param(timeslot(-3), id="one that is past"),
        pytest.param(timeslot(0), id="one that begins now"),
    ],
)
def test_a_time_that_is_not_offered_is_not_found(
    world: World, absent: Timeslot
) -> None:
    """A token that stands for nothing free now finds nothing."""
    world.lists(timeslot(3), timeslot(-3), timeslot(0))
    world.view.catch_up()

    assert world.search.find(TimeslotToken.parse(absent.token)) is None


# Pages


def walk(world: World, *, between: Any = None, **criteria: Any) -> list[Timeslot]:
    """Return all that a client sees on all pages."""
    seen: list[Timeslot] = []
    page = world.page(**criteria)
    while True:
        seen.extend(each.timeslot for each in page.found)
        if page.next_after is None:
            return seen
        assert page.found, "an empty page has none behind it"
        if between is not None:
            between(len(seen))
        page = world.page(**criteria, after=page.next_after)


ROOMS = [schedule(resource_id=ResourceId(str(room))) for room in range(3)]
DIRECTION = pytest.mark.parametrize(
    "descending",
    [pytest.param(False, id="ascending"), pytest.param(True, id="descending")],
)


@DIRECTION
@given(
    places=st.sets(st.tuples(st.integers(1, 4), st.integers(0, 2)), max_size=12),
    count=st.integers(1, 7),
)
@settings(
    max_examples=examples(40),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_pages_hold_everything_once(
    world: World,
    *,
    descending: bool,
    places: set[tuple[int, int]],
    count: int,
) -> None:
    """Every time is on exactly one page, in order, for any size of a page."""
    world.lists(
        *(timeslot(hour, of=ROOMS[room]) for hour, room in places),
        of_unit=UNIT,
        time_type=VISIT,
    )

    whole = [
        each.timeslot for each in world.page(count=100, descending=descending).found
    ]

    assert len(whole) == len(places)
    assert walk(world, count=count, descending=descending) == whole


@DIRECTION
@given(
    places=st.sets(st.tuples(st.integers(1, 200), st.integers(0, 2)), max_size=20),
    days=st.sets(st.integers(0, 6)),
    hours=st.sets(st.integers(0, 23)),
    count=st.integers(1, 7),
)
@settings(
    max_examples=examples(40),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_hours_are_exact_in_total_and_pages(
    world: World,
    *,
    descending: bool,
    places: set[tuple[int, int]],
    days: set[int],
    hours: set[int],
    count: int,
) -> None:
    """Total and pages have the times of the hours alone, from every source."""
    world.lists(
        *(timeslot(hour, of=ROOMS[room]) for hour, room in places),
        of_unit=UNIT,
        time_type=VISIT,
    )
    weekly = WeeklyHours(
        days=frozenset(days),
        minutes=sum(((1 << 60) - 1) << 60 * hour for hour in hours),
    )

    def fits(found: Timeslot) -> bool:
        shown = found.start.astimezone(STOCKHOLM)
        return shown.weekday() in days and shown.hour in hours

    whole = [
        each.timeslot
        for each in world.page(count=100, descending=descending).found
        if fits(each.timeslot)
    ]
    assert walk(world, count=count, descending=descending, hours=weekly) == whole
    assert world.page(count=0, hours=weekly).total == len(whole)


@DIRECTION
def test_a_page_says_whether_there_is_more(world: World, *, descending: bool) -> None:
    """The last page has nothing behind it, also when it is full."""
    world.lists(timeslot(3), timeslot(4), timeslot(5), timeslot(6))

    first = world.page(count=2, descending=descending)
    assert first.next_after is not None
    second = world.page(count=2, descending=descending, after=first.next_after)

    assert first.next_after.text == first.found[-1].timeslot.token
    assert second.next_after is None
    assert (first.total, second.total) == (4, 4)


@DIRECTION
def test_what_stays_is_seen_once_while_times_come_and_go(
    world: World, *, descending: bool
) -> None:
    """A time that is free all along is on one page, with any changes meanwhile."""
    stays = [timeslot(hour, of=room) for hour in range(10, 20, 2) for room in ROOMS]
    world.lists(*stays)

    def between(seen: int) -> None:
        come = [timeslot(hour, of=ROOMS[1]) for hour in (9, 11 + seen, 21)]
        world.lists(*stays, *come)

    seen = walk(world, count=4, descending=descending, between=between)

    assert len(seen) == len(set(seen))
    assert [each for each in seen if each in stays] == sorted(
        stays,
        key=lambda each: (each.start, schedule_rank(each.schedule.token)),
        reverse=descending,
    )


@DIRECTION
def test_a_page_goes_on_where_its_mark_has_gone(
    world: World, *, descending: bool
) -> None:
    """The time that a page ended with need not be free any more."""
    world.lists(*(timeslot(hour) for hour in range(3, 9)))
    first = world.page(count=3, descending=descending)
    gone = first.found[-1].timeslot
    world.lists(*(timeslot(hour) for hour in range(3, 9) if hour != hours_of(gone)))

    second = world.page(count=9, descending=descending, after=first.next_after)

    expected = [5, 4, 3] if descending else [6, 7, 8]
    assert [hours_of(each.timeslot) for each in second.found] == expected


def test_a_page_of_none_counts(world: World) -> None:
    """A count of nought says how many there are."""
    world.lists(timeslot(3), timeslot(4))

    page = world.page(count=0)

    assert (page.found, page.total, page.next_after) == ((), 2, None)


# What is missing


def problems(page: SlotPage) -> dict[str, SourceProblem]:
    """Return which source's part of an answer is missing, and why."""
    return {each.source: each.problem for each in page.outcomes}


def test_nothing_is_missing_when_all_have_answered(world: World) -> None:
    """A whole answer has a total and no outcomes."""
    world.lists(timeslot(3))

    page = world.page()

    assert page.outcomes == ()
    assert page.total == 1


def test_no_times_are_a_whole_answer(world: World) -> None:
    """Sources that have nothing free are not missing."""
    page = world.page()

    assert (page.found, page.total, page.outcomes) == ((), 0, ())


def test_a_source_that_was_never_asked_is_named() -> None:
    """A new gateway says so, instead of saying that nothing is free."""
    page = World().page()

    assert page.total is None
    assert page.outcomes == (
        SourceOutcome(
            source=NORR,
            problem=SourceProblem.NOT_YET_ASKED,
            detail=(
                "Region Norr has not been asked for all of its times yet; try again in"
                " a minute."
            ),
        ),
        SourceOutcome(
            source=SYD,
            problem=SourceProblem.NOT_YET_ASKED,
            detail=(
                "Region Syd has not been asked for all of its times yet; try again in a"
                " minute."
            ),
        ),
    )


def test_a_unit_that_was_never_asked_is_its_sources_part(world: World) -> None:
    """A source with one unit unasked is named, and only where that unit can fit."""
    world.store.put_catalogue(catalogue({UNIT: [(VISIT, "Besök"), (COVID, "Covid")]}))

    assert problems(world.page()) == {NORR: SourceProblem.NOT_YET_ASKED}
    assert problems(world.page(units=(frozenset({UNIT}),))) == {}
    assert problems(world.page(units=(frozenset({OTHER_UNIT}),))) == {
        NORR: SourceProblem.NOT_YET_ASKED
    }


def test_a_time_type_that_was_never_listed_is_its_sources_part() -> None:
    """An offered time type without a block is missing, not empty."""
    world = World(sources=(source(),))
    world.store.put_catalogue(catalogue({UNIT: [(VISIT, "Besök"), (COVID, "Covid")]}))
    world.lists(timeslot(3))

    assert problems(world.page()) == {NORR: SourceProblem.NOT_YET_ASKED}
    assert problems(world.page(offerings=(frozenset({OFFERING}),))) == {
        NORR: SourceProblem.NOT_YET_ASKED
    }
    own = ((OwnTimeType(UNIT, VISIT),),)
    assert problems(world.page(time_types=own)) == {}


def test_a_failing_source_is_named(world: World) -> None:
    """A source that does not answer is named with when it last did."""
    world.lists(timeslot(3))
    world.status(failing=True)

    page = world.page()

    assert [hours_of(each.timeslot) for each in page.found] == [3]
    assert page.total is None
    assert page.outcomes == (
        SourceOutcome(
            source=NORR,
            problem=SourceProblem.UNAVAILABLE,
            detail="Region Norr does not answer at present.",
            since=NOW - timedelta(minutes=5),
        ),
    )


def test_a_source_that_recovered_is_not_named(world: World) -> None:
    """Once it answers again nothing is missing."""
    world.status(failing=True)
    world.page()
    world.status(failing=False)

    assert world.page().outcomes == ()


def test_a_stale_source_is_named(world: World) -> None:
    """Times that are older than fresh_for are shown, and said to be."""
    world.lists(timeslot(3))
    world.clock.forward(minutes=11)

    page = world.page(units=(frozenset({UNIT}),))

    assert [hours_of(each.timeslot) for each in page.found] == [3]
    assert page.outcomes == (
        SourceOutcome(
            source=NORR,
            problem=SourceProblem.STALE,
            detail="Region Norr last answered 11 minutes ago.",
        ),
    )


def test_fresh_is_as_the_source_says(world: World) -> None:
    """Up to fresh_for nothing is said."""
    world.clock.forward(minutes=10)

    assert world.page().outcomes == ()


def test_the_oldest_answer_makes_a_source_stale(world: World) -> None:
    """One old time type is enough, where it can fit."""
    world.clock.forward(minutes=11)
    for hsa_id in (OTHER_UNIT, SOUTHERN_UNIT):
        world.lists(of_unit=hsa_id, time_type=VISIT, answered_at=world.clock())
    world.lists(of_unit=UNIT, time_type=COVID, answered_at=world.clock())
    world.lists(of_unit=OTHER_UNIT, time_type=COVID, answered_at=world.clock())

    assert problems(world.page()) == {NORR: SourceProblem.STALE}
    covid = ((SharedTimeType(COVID_CODE),),)
    assert problems(world.page(time_types=covid)) == {}


def test_an_expired_source_is_named(world: World) -> None:
    """Times older than offered_for are left out, and said to be."""
    world.lists(timeslot(3))
    world.clock.forward(minutes=30)

    page = world.page(units=(frozenset({UNIT}),))

    assert page.found == ()
    assert page.outcomes == (
        SourceOutcome(
            source=NORR,
            problem=SourceProblem.UNAVAILABLE,
            detail=(
                "Region Norr has not answered for so long that 2 of its time types are"
                " left out."
            ),
        ),
    )


@pytest.mark.parametrize(
    "criteria",
    [
        pytest.param({"units": (frozenset({UNIT}),)}, id="a unit of another"),
        pytest.param(
            {"units": (frozenset({UNIT, SOUTHERN_UNIT}), frozenset({UNIT}))},
            id="two groups that meet at another",
        ),
        pytest.param({"offerings": (frozenset({OFFERING}),)}, id="an offering"),
        pytest.param(
            {"schedules": (frozenset({COVIDS.token}),)}, id="a schedule of another"
        ),
        pytest.param(
            {"time_types": ((OwnTimeType(UNIT, VISIT),),)}, id="a unit's own time type"
        ),
        pytest.param({"sources": (frozenset({NORR}),)}, id="a source"),
        pytest.param(
            {"sources": (frozenset({NORR, SYD}), frozenset({NORR}))},
            id="two groups of sources that meet at another",
        ),
        pytest.param({"sources": (frozenset(),)}, id="no source at all"),
        pytest.param({"units": (frozenset(),)}, id="no unit at all"),
        pytest.param({"schedules": (frozenset({"x"}),)}, id="no schedule at all"),
    ],
)
@pytest.mark.parametrize(
    "ails",
    [
        pytest.param("never asked", id="never asked"),
        pytest.param("failing", id="failing"),
        pytest.param("stale", id="stale"),
        pytest.param("expired", id="expired"),
    ],
)
def test_a_source_that_cannot_match_is_not_named(
    criteria: dict[str, Any], ails: str
) -> None:
    """A source's fault is no part of an answer about another source's units."""
    world = World()
    world.catalogues()
    if ails == "never asked":
        world = World()
        world.store.put_catalogue(
            catalogue(
                {each: [(VISIT, "B"), (COVID, "C")] for each in (UNIT, OTHER_UNIT)}
            )
        )
        for hsa_id in (UNIT, OTHER_UNIT):
            for time_type in (VISIT, COVID):
                world.lists(of_unit=hsa_id, time_type=time_type)
    elif ails == "failing":
        world.status(SYD, failing=True)
    else:
        world.clock.forward(minutes=11 if ails == "stale" else 31)
        for hsa_id in (UNIT, OTHER_UNIT):
            for time_type in (VISIT, COVID):
                world.lists(
                    of_unit=hsa_id, time_type=time_type, answered_at=world.clock()
                )

    assert world.page(**criteria).outcomes == ()
    assert SYD in problems(world.page())


def test_a_failing_source_without_the_time_type_is_not_named(world: World) -> None:
    """A source that has said that it does not offer a thing lacks nothing of it."""
    world.status(SYD, failing=True)

    assert problems(world.page(time_types=((SharedTimeType(COVID_CODE),),))) == {}


def test_a_unit_belongs_to_the_longest_prefix() -> None:
    """A failing source is not named for a unit that a longer prefix gives another."""
    inner_unit = HsaId("SE2321000016-B01")
    inner = source(
        "inner",
        prefixes=("SE2321000016-B",),
        units=(unit(inner_unit, source=source("inner").name),),
    )
    world = World(sources=(source(), inner))
    world.store.put_catalogue(catalogue({inner_unit: [(VISIT, "B")]}, name="inner"))
    key = BlockKey(source=inner.name, unit=inner_unit, time_type_id=VISIT)
    world.store.put_block(block([], key=key))
    world.status(failing=True)

    assert problems(world.page(units=(frozenset({inner_unit}),))) == {}
    assert problems(world.page()) == {NORR: SourceProblem.UNAVAILABLE}


# Who offers it


def test_who_offers_a_thing(world: World) -> None:
    """The units' time types come by unit name, free times or not."""
    world.view.catch_up()

    answer = world.search.who_offers(
        Selector(time_types=((SharedTimeType(COVID_CODE),),))
    )

    assert [each.token for each in answer.offerings] == [
        time_type_token(UNIT, COVID),
        time_type_token(OTHER_UNIT, COVID),
    ]
    assert answer.outcomes == ()


def test_who_offers_at_a_unit_or_an_organisation(world: World) -> None:
    """A unit without an organisation is its own."""
    world.view.catch_up()

    at_unit = world.search.who_offers(Selector(units=(frozenset({SOUTHERN_UNIT}),)))
    of_organization = world.search.who_offers(
        Selector(organizations=(frozenset({SOUTHERN_UNIT}),))
    )

    expected = [time_type_token(SOUTHERN_UNIT, VISIT)]
    assert [each.token for each in at_unit.offerings] == expected
    assert [each.token for each in of_organization.offerings] == expected


def test_who_offers_names_those_that_have_not_said() -> None:
    """A source that is silent is named, and why."""
    world = World()
    world.status(SYD, failing=True)
    world.view.catch_up()

    answer = world.search.who_offers(Selector())

    assert answer.offerings == ()
    assert {each.source: each.problem for each in answer.outcomes} == {
        NORR: SourceProblem.NOT_YET_ASKED,
        SYD: SourceProblem.UNAVAILABLE,
    }


def test_who_offers_names_a_source_of_which_nobody_knows_the_times(
    world: World,
) -> None:
    """A source that answers nothing of what searches need is named, and no other."""
    world.status(SYD, failing=True)
    world.view.catch_up()

    answer = world.search.who_offers(Selector())
    of_others = world.search.who_offers(Selector(sources=(frozenset({NORR}),)))

    assert [(each.source, each.problem) for each in answer.outcomes] == [
        (SYD, SourceProblem.UNAVAILABLE)
    ]
    assert of_others.outcomes == ()


def test_who_offers_names_only_those_that_could() -> None:
    """A silent source is not named for another's unit."""
    world = World()
    world.view.catch_up()

    answer = world.search.who_offers(Selector(units=(frozenset({UNIT}),)))

    assert [each.source for each in answer.outcomes] == [NORR]


def test_a_page_carries_its_directory(world: World) -> None:
    """What was found can be rendered with the directory of the same moment."""
    page = world.page()

    assert page.directory is world.search.snapshot.directory


# Until when a page holds


MOMENTS = st.floats(0, 3600 * 3, allow_nan=False)


@given(
    places=st.lists(st.tuples(MOMENTS, st.sampled_from(["A", "B", "C"])), max_size=8),
    answered=st.tuples(*[st.none() | st.integers(0, 40 * 60)] * 3),
    failing=st.booleans(),
    start=st.none() | MOMENTS,
    code=st.sampled_from([None, COVID_CODE]),
    later=st.lists(st.floats(0, 2400, allow_nan=False), min_size=1, max_size=6),
)
@settings(max_examples=examples(150), deadline=None)
def test_a_page_that_still_holds_is_what_a_search_finds(
    *,
    places: list[tuple[float, str]],
    answered: tuple[int | None, ...],
    failing: bool,
    start: float | None,
    code: str | None,
    later: list[float],
) -> None:
    """However time goes on, a page is said to hold only while it is the answer."""
    world = World().catalogues()
    world.status(failing=failing)
    of = {"A": schedule(), "B": COVIDS, "C": schedule(SOUTHERN_UNIT)}
    for name, seconds in zip(of, answered, strict=True):
        if seconds is not None:
            world.lists(
                *(
                    timeslot(at / 3600, of=of[name])
                    for at, owner in set(places)
                    if owner == name
                ),
                of_unit=of[name].unit,
                time_type=of[name].time_type_id,
                answered_at=NOW - timedelta(seconds=seconds),
            )
    world.view.catch_up()
    criteria = SlotCriteria(
        selector=Selector(
            time_types=((SharedTimeType(code),),) if code is not None else ()
        ),
        start=None if start is None else NOW + timedelta(seconds=start),
        count=3,
    )
    page = world.search.search(criteria)

    assert world.search.still_holds(page.snapshot.version, page.until)
    for seconds in later:
        world.clock.forward(seconds=seconds)
        world.view.leave_out()
        if world.search.still_holds(page.snapshot.version, page.until):
            now = world.search.search(criteria)
            assert said(page) == said(now)


def said(page: SlotPage) -> tuple[Any, ...]:
    """Return all that a client gets of a page."""
    return (page.found, page.total, page.next_after, page.outcomes, page.fingerprint)


def test_a_page_holds_until_its_first_time_begins(world: World) -> None:
    """A time that has begun is no longer found, so the page no longer holds."""
    world.lists(timeslot(0.1), timeslot(2))
    page = world.page()

    world.clock.forward(seconds=359)
    held = world.search.still_holds(page.snapshot.version, page.until)
    world.clock.forward(seconds=1)

    assert held
    assert not world.search.still_holds(page.snapshot.version, page.until)


def test_a_page_holds_in_its_snapshot_alone(world: World) -> None:
    """Any change in the view ends it, also one that it does not show."""
    world.lists(timeslot(1))
    page = world.page()

    world.lists(timeslot(30, of=COVIDS))
    world.view.catch_up()

    assert not world.search.still_holds(page.snapshot.version, page.until)


def test_a_page_holds_until_a_source_is_stale(world: World) -> None:
    """From then on a search warns."""
    world.lists(timeslot(1))
    page = world.page()

    world.clock.instant = NOW + world.sources[0].fresh_for + timedelta(seconds=1)

    assert page.outcomes == ()
    assert not world.search.still_holds(page.snapshot.version, page.until)


# What could not be kept

LOST_TIMES = {"rejected": {"malformed: endTimeExclusive: not an end": 2, "past": 1}}
LOST_TIME_TYPE = Loss(
    interaction=scheduling.GET_ALL_TIME_TYPES, unit=UNIT, reason="r", count=1
)
LOST_UNIT = replace(
    LOST_TIME_TYPE, interaction=scheduling.GET_ALL_HEALTHCARE_FACILITIES
)


def also_lists(what: str) -> SourceOutcome:
    """Return what a search says of norr's lists that could not be kept whole."""
    return SourceOutcome(
        source=NORR,
        problem=SourceProblem.INCOMPLETE,
        detail=(
            f"Region Norr also lists {what} that this server cannot read whole; ask"
            " the unit for what is not shown here."
        ),
    )


def test_times_that_could_not_be_kept_are_reported_and_nothing_is_counted(
    world: World,
) -> None:
    """No times and times that could not be read do not look alike."""
    world.lists(of_unit=UNIT, time_type=VISIT, **LOST_TIMES)
    page = world.page(units=(frozenset({UNIT}),))

    assert (page.found, page.total) == ((), None)
    assert page.outcomes == (also_lists("free times of 1 of its time types"),)


def test_times_that_could_not_be_kept_stand_beside_good_ones(
    world: World,
) -> None:
    """One good time is shown; the others are still missing."""
    world.lists(timeslot(3), **LOST_TIMES)
    page = world.page()

    assert (len(page.found), page.total) == (1, None)
    assert page.outcomes == (also_lists("free times of 1 of its time types"),)


@pytest.mark.parametrize(
    "criteria",
    [
        pytest.param({"units": (frozenset({OTHER_UNIT}),)}, id="another unit"),
        pytest.param(
            {"units": (frozenset({SOUTHERN_UNIT}),)}, id="another source's unit"
        ),
        pytest.param(
            {"time_types": ((SharedTimeType(COVID_CODE),),)}, id="another time type"
        ),
        pytest.param({"sources": (frozenset({SYD}),)}, id="another source"),
    ],
)
def test_a_loss_spoils_no_search_that_it_cannot_touch(
    world: World, criteria: dict[str, Any]
) -> None:
    """Other units and time types have their total."""
    world.lists(of_unit=UNIT, time_type=VISIT, **LOST_TIMES)
    page = world.page(**criteria)

    assert (page.outcomes, page.total) == ((), 0)


def test_past_times_are_not_missed(world: World) -> None:
    """Leaving out what has begun loses nothing."""
    world.lists(of_unit=UNIT, time_type=VISIT, rejected={"past": 2})

    assert world.page().outcomes == ()


def test_a_loss_is_over_when_the_source_lists_everything_readably(
    world: World,
) -> None:
    """The next whole answer ends it."""
    world.lists(of_unit=UNIT, time_type=VISIT, **LOST_TIMES)
    world.page()
    world.lists(of_unit=UNIT, time_type=VISIT)
    page = world.page()

    assert (page.outcomes, page.total) == ((), 0)


def test_old_times_and_lost_times_are_both_reported(world: World) -> None:
    """That an answer is old does not hide that it was read in part."""
    world.lists(of_unit=UNIT, time_type=VISIT, **LOST_TIMES)
    world.clock.forward(minutes=11)
    problems = [
        each.problem for each in world.page(units=(frozenset({UNIT}),)).outcomes
    ]

    assert problems == [SourceProblem.STALE, SourceProblem.INCOMPLETE]


def test_a_lost_time_type_touches_the_searches_of_its_unit(world: World) -> None:
    """Which time type it is nobody knows; other units are not in doubt."""
    both = [(VISIT, "Besök"), (COVID, "Covid")]
    world.store.put_catalogue(
        catalogue({UNIT: both, OTHER_UNIT: both}, losses=(LOST_TIME_TYPE,))
    )
    reported = (also_lists("time types of 1 of its units"),)

    assert world.page(units=(frozenset({UNIT}),)).outcomes == reported
    assert world.page(time_types=((SharedTimeType("1"),),)).outcomes == reported
    assert world.page(units=(frozenset({OTHER_UNIT}),)).outcomes == ()
    assert world.page(organizations=(frozenset({OTHER_UNIT}),)).outcomes == ()


def test_a_lost_unit_touches_the_searches_of_its_source(world: World) -> None:
    """A search for units that are known is not in doubt; one for another unit is."""
    both = [(VISIT, "Besök"), (COVID, "Covid")]
    world.store.put_catalogue(
        catalogue({UNIT: both, OTHER_UNIT: both}, losses=(LOST_UNIT,))
    )
    reported = (also_lists("units"),)

    assert world.page().outcomes == reported
    assert world.page(units=(frozenset({HsaId(f"{PREFIX}A99")}),)).outcomes == reported
    assert world.page(units=(frozenset({UNIT}),)).outcomes == ()
    assert world.page(sources=(frozenset({SYD}),)).outcomes == ()


def test_who_offers_tells_of_what_could_not_be_kept(world: World) -> None:
    """A search for services has the same outcomes as a search for times."""
    world.lists(of_unit=UNIT, time_type=VISIT, **LOST_TIMES)
    world.view.catch_up()
    reported = (also_lists("free times of 1 of its time types"),)

    assert (
        world.search.who_offers(Selector(units=(frozenset({UNIT}),))).outcomes
        == reported
    )
    assert world.search.who_offers(Selector(sources=(frozenset({SYD}),))).outcomes == ()


def test_a_block_about_another_sources_unit_is_not_shown() -> None:
    """The longest prefix decides the source of a unit, also in a stored block."""
    world = World(
        sources=(
            source(units=(unit(), unit(OTHER_UNIT)), prefixes=("SE2321000",)),
            southern_source(),
        )
    ).catalogues()
    stranger = timeslot(3, of=schedule(SOUTHERN_UNIT))
    key = BlockKey(source=NORR, unit=SOUTHERN_UNIT, time_type_id=VISIT)
    world.store.put_block(block([stranger], key=key))

    assert world.hours() == []
