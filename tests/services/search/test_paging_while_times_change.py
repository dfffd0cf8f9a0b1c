"""
Pages of every kind of search stay true while times come and go between them.
"""

from collections.abc import Callable
from typing import Any, Final

import pytest
from builders import COVID, COVID_CODE, OTHER_UNIT, UNIT, VISIT, schedule, timeslot
from examples import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.timekeeping import STOCKHOLM
from fhir_gateway.model.timeslot import Timeslot, TimeslotToken
from fhir_gateway.model.weekly_hours import WeeklyHours
from fhir_gateway.services.search.first_times import ShownUnits
from fhir_gateway.services.search.schedule_actor import Actors
from fhir_gateway.services.search.slot_columns import schedule_rank
from fhir_gateway.services.search.slot_selection import (
    OwnTimeType,
    SharedTimeType,
)

from .test_slot_search import World

EVA = HsaId("SE2321000016-P01")
HOURS: Final = WeeklyHours(
    days=frozenset(range(7)), minutes=sum(((1 << 60) - 1) << 60 * h for h in range(12))
)
# A time of a unit's time type: with Eva or with nobody.
Place = tuple[HsaId, str, int, bool]
Fits = Callable[[Timeslot], bool]
PLACES = st.sets(
    st.tuples(
        st.sampled_from([UNIT, OTHER_UNIT]),
        st.sampled_from([VISIT, COVID]),
        st.integers(1, 40),
        st.booleans(),
    ),
    max_size=14,
)
KINDS: Final[dict[str, tuple[dict[str, Any], Fits]]] = {
    "everything": ({}, lambda _: True),
    "a time type": (
        {"time_types": ((SharedTimeType(COVID_CODE),),)},
        lambda each: each.schedule.time_type_id == COVID,
    ),
    "not a time type": (
        {"other_time_types": ((OwnTimeType(None, COVID),),)},
        lambda each: each.schedule.time_type_id != COVID,
    ),
    "a unit": (
        {"units": (frozenset({UNIT}),)},
        lambda each: each.schedule.unit == UNIT,
    ),
    "a window": (
        {"start": timeslot(10).start, "before": timeslot(30).start},
        lambda each: timeslot(10).start <= each.start < timeslot(30).start,
    ),
    "ends": (
        {"ends_from": timeslot(10).end, "ends_before": timeslot(30).end},
        lambda each: timeslot(10).end <= each.end < timeslot(30).end,
    ),
    "hours": (
        {"hours": HOURS},
        lambda each: each.start.astimezone(STOCKHOLM).hour < 12,
    ),
    "a performer": (
        {"performers": (frozenset({EVA}),)},
        lambda each: each.schedule.practitioner == EVA,
    ),
    "a unit or a performer": (
        {"actors": (Actors(units=frozenset({UNIT}), performers=frozenset({EVA})),)},
        lambda each: each.schedule.practitioner == EVA or each.schedule.unit == UNIT,
    ),
    "some times": (
        {
            "times": frozenset(
                TimeslotToken.parse(timeslot(hour, of=schedule(UNIT, VISIT)).token)
                for hour in range(1, 41, 2)
            )
        },
        lambda each: (
            each.schedule == schedule(UNIT, VISIT)
            and (each.start - timeslot(0).start).total_seconds() % 7200 == 3600
        ),
    ),
}


def times_of(places: set[Place]) -> list[Timeslot]:
    """Return free times at places."""
    return [
        timeslot(
            hour, of=schedule(hsa_id, time_type, performer=EVA if with_eva else None)
        )
        for hsa_id, time_type, hour, with_eva in sorted(places)
    ]


def fill(world: World, places: set[Place]) -> list[Timeslot]:
    """Let the source list free times, and return them."""
    times = times_of(places)
    for hsa_id in (UNIT, OTHER_UNIT):
        for time_type in (VISIT, COVID):
            world.lists(
                *(
                    each
                    for each in times
                    if each.schedule.unit == hsa_id
                    and each.schedule.time_type_id == time_type
                ),
                of_unit=hsa_id,
                time_type=time_type,
            )
    return times


def order(each: Timeslot) -> tuple[Any, int]:
    """Return the place of a time in a search."""
    return each.start, schedule_rank(each.schedule.token)


@pytest.mark.parametrize("kind", KINDS)
@given(
    throughout=PLACES,
    stages=st.lists(PLACES, min_size=1, max_size=6),
    count=st.integers(1, 4),
    descending=st.booleans(),
    of_each_unit=st.booleans(),
)
@settings(
    max_examples=examples(25),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_pages_stay_true_while_times_come_and_go(
    world: World,
    kind: str,
    *,
    throughout: set[Place],
    stages: list[set[Place]],
    count: int,
    descending: bool,
    of_each_unit: bool,
) -> None:
    """
    Nothing comes twice, and nothing that was free throughout is left out.

    Where each unit comes once, that holds for the units. Each page holds what was free
    when it was made, in order.
    """
    criteria, fits = KINDS[kind]
    left = iter(stages)
    seen: list[Timeslot] = []
    more: dict[str, Any] = {}
    free = fill(world, throughout | next(left))
    while True:
        page = world.page(
            count=count,
            descending=descending,
            first_per_unit=of_each_unit,
            **criteria,
            **more,
        )
        found = [each.timeslot for each in page.found]
        assert found == sorted(found, key=order, reverse=descending)
        assert all(each in free and fits(each) for each in found)
        seen += found
        if page.next_after is None:
            break
        shown = page.next_shown
        more = {
            "after": page.next_after,
            "shown": None if shown is None else ShownUnits.parse(shown.text),
        }
        # When nothing changes any more, the last state stays.
        following = next(left, None)
        if following is not None:
            free = fill(world, throughout | following)

    stayed = [each for each in times_of(throughout) if fits(each)]
    if of_each_unit:
        units = [each.schedule.unit for each in seen]
        assert len(units) == len(set(units))
        assert {each.schedule.unit for each in stayed} <= set(units)
    else:
        assert len(seen) == len(set(seen))
        assert set(stayed) <= set(seen)
        assert seen == sorted(seen, key=order, reverse=descending)


@pytest.fixture(name="world")
def _world() -> World:
    return World().catalogues()
