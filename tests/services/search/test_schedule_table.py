"""
Schedules as columns: what goes in comes out, under the same number for ever.
"""

import numpy as np
from builders import COVID, OTHER_UNIT, UNIT, VISIT
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_gateway.model.ids import (
    CareTypeId,
    HsaId,
    PerformerId,
    ResourceId,
    TimeTypeId,
)
from fhir_gateway.model.timeslot import Schedule
from fhir_gateway.services.search.offering_numbers import OfferingNumbers
from fhir_gateway.services.search.schedule_table import ScheduleTable
from fhir_gateway.services.search.slot_columns import schedule_rank

NAMES = st.none() | st.sampled_from(["Anna", "Bo", "Rum 1"])
SCHEDULES = st.builds(
    Schedule,
    unit=st.sampled_from([UNIT, OTHER_UNIT]),
    time_type_id=st.sampled_from([TimeTypeId(VISIT), TimeTypeId(COVID)]),
    time_type_name=st.sampled_from(["Besök", "Vaccination"]),
    performer=st.none()
    | st.sampled_from([PerformerId("SE1-P1"), PerformerId("SE1-P2")]),
    performer_name=NAMES,
    resource_id=st.none() | st.just(ResourceId("R1")),
    resource_name=NAMES,
    care_type_id=st.none() | st.just(CareTypeId("C1")),
    care_type_name=NAMES,
)


def table_of(schedules: list[Schedule]) -> tuple[ScheduleTable, list[int]]:
    """Return a table with these schedules, added one by one, and their numbers."""
    numbers = OfferingNumbers()
    table = ScheduleTable(numbers)
    found = [
        int(table.add([each], numbers.number(each.unit, each.time_type_id))[0])
        for each in schedules
    ]
    return table, found


@given(schedules=st.lists(SCHEDULES, max_size=30))
@settings(deadline=None)
def test_a_table_has_what_was_added(schedules: list[Schedule]) -> None:
    """By number and by token, with the names that were reported last."""
    table, numbers = table_of(schedules)

    last = {each.token: each for each in schedules}
    assert len(table) == len(last)
    assert [table[number] for number in numbers] == [
        last[each.token] for each in schedules
    ]
    assert table.tokens(numbers) == [each.token for each in schedules]
    assert [table.number(each.token) for each in schedules] == numbers
    assert table.ranks(np.array(numbers, dtype=np.int32)).tolist() == [
        schedule_rank(each.token) for each in schedules
    ]


@given(schedules=st.lists(SCHEDULES, max_size=30))
@settings(deadline=None)
def test_schedules_are_found_by_what_they_are_of(schedules: list[Schedule]) -> None:
    """By unit, by who it is and by time type, in the order of their numbers."""
    table, _ = table_of(schedules)
    numbers = range(len(table))

    assert all(
        list(table.of_unit(unit)) == [n for n in numbers if table[n].unit == unit]
        for unit in (UNIT, OTHER_UNIT)
        if any(each.unit == unit for each in schedules)
    )
    who = HsaId("SE1-P1")
    assert list(table.of_performer(who)) == [
        n for n in numbers if table[n].performer == who
    ]
    for offering in set(table.offering.tolist()):
        of = table.of_offering(offering)
        assert of == [n for n in numbers if table.offering[n] == offering]
        mask = table.mask_of(np.array([offering], dtype=np.int32))
        assert np.flatnonzero(mask).tolist() == of


def test_many_time_types_are_masked_as_few_are() -> None:
    """Both ways of making a mask agree."""
    numbers = OfferingNumbers()
    table = ScheduleTable(numbers)
    for n in range(200):
        code = TimeTypeId(f"T{n}")
        of = [
            Schedule(
                unit=UNIT,
                time_type_id=code,
                time_type_name="T",
                performer=PerformerId(f"SE1-P{who}"),
            )
            for who in range(3)
        ]
        table.add(of, numbers.number(UNIT, code))
    wanted = np.arange(0, 200, 2, dtype=np.int32)

    many = table.mask_of(wanted)
    few = np.logical_or.reduce([table.mask_of(wanted[n : n + 1]) for n in range(100)])

    assert many.tolist() == few.tolist()
    assert int(many.sum()) == 300


def test_a_changed_name_is_counted() -> None:
    """What is shown of a known schedule has changed; its number has not."""
    first = Schedule(unit=UNIT, time_type_id=TimeTypeId(VISIT), time_type_name="Besök")
    second = Schedule(unit=UNIT, time_type_id=TimeTypeId(VISIT), time_type_name="Nytt")
    table, numbers = table_of([first, first, second])

    assert (numbers, table.changes, table[0]) == ([0, 0, 0], 1, second)


def test_no_numbers_have_no_tokens() -> None:
    """Any sequence holds none."""
    known = Schedule(unit=UNIT, time_type_id=TimeTypeId(VISIT), time_type_name="Besök")
    table, _ = table_of([known])

    assert table.tokens([]) == table.tokens(()) == []


def test_an_unknown_token_has_no_number() -> None:
    """Neither of an unknown time type nor of an unknown person."""
    known = Schedule(unit=UNIT, time_type_id=TimeTypeId(VISIT), time_type_name="Besök")
    table, _ = table_of([known])

    tokens = ["", "x", f"{known.token[:-1]}?", known.token.rpartition(".")[0]]
    assert [table.number(each) for each in tokens] == [None] * 4
