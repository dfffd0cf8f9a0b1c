"""
First times: one of each unit, however the times lie, page by page.
"""

from typing import Any

import numpy as np
import pytest
from builders import (
    COVID,
    OTHER_UNIT,
    PREFIX,
    UNIT,
    VACCINATION,
    VISIT,
    catalogue,
    schedule,
    source,
    timeslot,
    unit,
)
from examples import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.timekeeping import STOCKHOLM
from fhir_gateway.model.timeslot import Timeslot
from fhir_gateway.model.weekly_hours import WeeklyHours
from fhir_gateway.services.search.first_times import ShownUnits
from fhir_gateway.services.search.slot_columns import schedule_rank
from fhir_gateway.services.search.slot_selection import OwnTimeType, SharedTimeType

from .test_slot_search import World, hours_of

# Two units share a segment, since their time types mean the same; VISIT of the first
# lies in another segment.
THIRD_UNIT = HsaId(f"{PREFIX}A03")
UNITS = (UNIT, OTHER_UNIT, THIRD_UNIT)
DIRECTION = pytest.mark.parametrize(
    "descending",
    [pytest.param(False, id="ascending"), pytest.param(True, id="descending")],
)
PLACES = st.dictionaries(
    st.sampled_from(UNITS),
    st.sets(
        st.tuples(
            st.sampled_from([VISIT, COVID]), st.integers(1, 60), st.integers(0, 1)
        ),
        max_size=6,
    ),
)
SLICE = settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

Places = dict[HsaId, set[tuple[str, int, int]]]


@pytest.fixture(name="world")
def _world() -> World:
    world = World(sources=(source(units=tuple(map(unit, UNITS))),))
    both = [(VISIT, "Besök"), (COVID, "Covid")]
    world.store.put_catalogue(catalogue(dict.fromkeys(UNITS, both)))
    fill(world, {})
    return world


def times_of(places: Places) -> dict[HsaId, list[Timeslot]]:
    """Return the free times of each unit."""
    return {
        hsa_id: [
            timeslot(
                hour,
                of=schedule(hsa_id, time_type, resource_id=str(room)),
            )
            for time_type, hour, room in sorted(places.get(hsa_id, ()))
        ]
        for hsa_id in UNITS
    }


def fill(world: World, places: Places) -> dict[HsaId, list[Timeslot]]:
    """Let the source list free times, and return them for each unit."""
    times = times_of(places)
    for hsa_id in UNITS:
        for time_type in (VISIT, COVID):
            world.lists(
                *(
                    each
                    for each in times[hsa_id]
                    if each.schedule.time_type_id == time_type
                ),
                of_unit=hsa_id,
                time_type=time_type,
            )
    return times


def firsts(
    times: dict[HsaId, list[Timeslot]], *, descending: bool, fits: Any = None
) -> list[Timeslot]:
    """Return the first time of each unit, in the order of a search."""

    def place(each: Timeslot) -> tuple[Any, int]:
        return each.start, schedule_rank(each.schedule.token)

    fitting = (
        [each for each in of_unit if fits is None or fits(each)]
        for of_unit in times.values()
    )
    return sorted(
        (min(each, key=place) for each in fitting if each),
        key=place,
        reverse=descending,
    )


def walk(world: World, *, between: Any = None, **criteria: Any) -> list[Timeslot]:
    """Return all that a client sees on all pages, and check each page's total."""
    seen: list[Timeslot] = []
    more: dict[str, Any] = {}
    while True:
        page = world.page(first_per_unit=True, **criteria, **more)
        seen.extend(each.timeslot for each in page.found)
        if page.next_after is None:
            return seen
        assert page.next_shown is not None
        more = {
            "after": page.next_after,
            "shown": ShownUnits.parse(page.next_shown.text),
        }
        if between is not None:
            between(len(seen))


@DIRECTION
@given(places=PLACES, count=st.integers(1, 4))
@SLICE
def test_each_unit_with_a_time_has_one_row(
    world: World, *, places: Places, count: int, descending: bool
) -> None:
    """The earliest time of each unit is there once, in order, for any page's size."""
    times = fill(world, places)

    seen = walk(world, count=count, descending=descending)

    assert seen == firsts(times, descending=descending)
    assert world.page(first_per_unit=True, count=0).total == len(seen)


@given(
    places=PLACES,
    hours=st.sets(st.integers(0, 23)),
    window=st.tuples(st.integers(0, 40), st.integers(0, 60)),
    wanted=st.sets(st.sampled_from(UNITS), min_size=1),
    narrowed=st.sets(st.sampled_from(["hours", "window", "units", "code", "room"])),
)
@SLICE
def test_every_filter_narrows_before_the_first_is_taken(
    world: World,
    *,
    places: Places,
    hours: set[int],
    window: tuple[int, int],
    wanted: set[HsaId],
    narrowed: set[str],
) -> None:
    """A unit's row is its earliest time among those that fit all filters."""
    times = fill(world, places)
    rooms = {
        each.schedule.token
        for of_unit in times.values()
        for each in of_unit
        if each.schedule.resource_id == "0"
    } | {schedule(resource_id="0").token}
    start, before = (timeslot(hour).start for hour in window)
    criteria: dict[str, dict[str, Any]] = {
        "hours": {
            "hours": WeeklyHours(
                days=frozenset(range(7)),
                minutes=sum(((1 << 60) - 1) << 60 * hour for hour in hours),
            )
        },
        "window": {"start": start, "before": before},
        "units": {"units": (frozenset(wanted),)},
        "code": {"time_types": ((SharedTimeType(VACCINATION.code),),)},
        "room": {"schedules": (frozenset(rooms),)},
    }
    fits = {
        "hours": lambda each: each.start.astimezone(STOCKHOLM).hour in hours,
        "window": lambda each: start <= each.start < before,
        "units": lambda each: each.schedule.unit in wanted,
        "code": lambda each: (
            each.schedule.time_type_id == COVID
            and each.schedule.unit in (UNIT, OTHER_UNIT)
        ),
        "room": lambda each: each.schedule.token in rooms,
    }
    asked: dict[str, Any] = {}
    for name in narrowed:
        asked |= criteria[name]

    seen = walk(world, count=2, **asked)

    assert seen == firsts(
        times,
        descending=False,
        fits=lambda each: all(fits[name](each) for name in narrowed),
    )


@DIRECTION
@given(
    stages=st.lists(PLACES, min_size=1, max_size=5),
    throughout=st.dictionaries(
        st.sampled_from(UNITS),
        st.tuples(st.just(COVID), st.integers(61, 90), st.just(0)),
    ),
    count=st.integers(1, 2),
)
@SLICE
def test_no_unit_comes_twice_and_none_is_left_out_while_times_come_and_go(
    world: World,
    *,
    stages: list[Places],
    throughout: dict[HsaId, tuple[str, int, int]],
    count: int,
    descending: bool,
) -> None:
    """
    A unit with a free time throughout is on exactly one page, others on at most one.

    Its row is a time that was its earliest when the page was made.
    """
    states = [
        {
            hsa_id: stage.get(hsa_id, set())
            | ({throughout[hsa_id]} if hsa_id in throughout else set())
            for hsa_id in UNITS
        }
        for stage in stages
    ]
    was_first = set()
    left = iter(states)

    def change(_: int = 0) -> None:
        state = next(left, None)
        if state is not None:
            was_first.update(firsts(fill(world, state), descending=False))

    change()

    seen = walk(world, count=count, descending=descending, between=change)

    units = [each.schedule.unit for each in seen]
    assert len(units) == len(set(units))
    assert set(throughout) <= set(units)
    assert set(seen) <= was_first


@DIRECTION
def test_a_new_unit_leaves_the_pages_before_as_they_were(
    world: World, *, descending: bool
) -> None:
    """When the directory changes between two pages, a walk goes on behind its mark."""
    times = fill(
        world,
        {
            UNIT: {(VISIT, 10, 0)},
            OTHER_UNIT: {(VISIT, 11, 0)},
            THIRD_UNIT: {(VISIT, 12, 0)},
        },
    )
    fourth = HsaId(f"{PREFIX}A00")

    def join(seen: int) -> None:
        if seen == 1:
            world.store.put_catalogue(
                catalogue({each: [(VISIT, "Besök")] for each in (fourth, *UNITS)})
            )
            world.lists(timeslot(30, of=schedule(fourth)))

    seen = walk(world, count=1, descending=descending, between=join)

    known = firsts(times, descending=descending)
    assert [each for each in seen if each in known] == known


def test_a_held_time_is_not_the_first(world: World) -> None:
    """Where this server has promised away a unit's earliest time, the next one is."""
    times = fill(world, {UNIT: {(COVID, 5, 0), (COVID, 9, 0)}})
    assert [hours_of(each) for each in walk(world)] == [5]

    world.held[times[UNIT][0].token] = 1

    assert [hours_of(each) for each in walk(world)] == [9]


def test_a_unit_with_two_time_types_of_one_meaning_has_one_row(world: World) -> None:
    """Two of a unit's own time types in one segment give one row."""
    fill(world, {UNIT: {(VISIT, 7, 0), (COVID, 6, 0)}, THIRD_UNIT: {(VISIT, 8, 1)}})

    own = ((OwnTimeType(None, VISIT), OwnTimeType(None, COVID)),)
    assert [hours_of(each) for each in walk(world, time_types=own)] == [6, 8]


def test_nothing_is_counted_where_a_part_is_missing(world: World) -> None:
    """While a source fails, there is no number of units."""
    fill(world, {UNIT: {(VISIT, 7, 0)}})
    world.status(failing=True)

    page = world.page(first_per_unit=True)

    assert (page.total, len(page.found)) == (None, 1)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("1", id="a digit"),
        pytest.param("abcdefgh", id="no set"),
        pytest.param(
            ShownUnits(b"123456", b"\x80").text.replace("g", "0"), id="with digits"
        ),
        pytest.param("å", id="another alphabet"),
        pytest.param(
            ShownUnits(b"123456", b"\x80").text + "gggg", id="something behind it"
        ),
        pytest.param(ShownUnits(b"123456", bytes(70_000)).text, id="very many units"),
    ],
)
def test_a_foreign_text_is_no_set_of_units(text: str) -> None:
    """A text that this server did not write, or of more units than any country has."""
    with pytest.raises(ValueError, match=r".*"):
        ShownUnits.parse(text)


@given(bits=st.binary(max_size=700))
def test_a_set_of_units_is_read_as_it_was_written(bits: bytes) -> None:
    """A set of units survives its text, which has no digits: they may be a person's."""
    units = ShownUnits(b"123456", bits)

    assert ShownUnits.parse(units.text) == units
    assert units.text.isascii()
    assert units.text.isalpha()


def test_five_thousand_units_fit_into_a_cursor() -> None:
    """The set of half the units of a country stays within the limit of a cursor."""
    shown = np.random.default_rng(1).random(5_000) < 0.5

    assert len(ShownUnits(b"123456", np.packbits(shown).tobytes()).text) < 1_400
