"""
Columns: sorted, searched by halving, and rebuilt without what is gone.
"""

from datetime import date, datetime

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from fhir_gateway.model.timekeeping import STOCKHOLM, at_start_of_day, epoch_seconds
from fhir_gateway.services.search.slot_columns import (
    EMPTY,
    Fit,
    SlotColumns,
    first_order,
    schedule_rank,
)

# Start, schedule, count; a schedule's rank is its number.
ROWS = st.lists(
    st.tuples(st.integers(0, 50), st.integers(0, 9), st.integers(1, 5)), max_size=60
)


def columns_of(rows: list[tuple[int, int, int]]) -> SlotColumns:
    """Return columns of half-hours."""
    start, schedule, count = ([row[position] for row in rows] for position in range(3))
    return SlotColumns.of(
        start=np.array(start, dtype=np.uint32),
        rank=np.array(schedule, dtype=np.uint32),
        length=np.full(len(rows), 1800, dtype=np.uint32),
        schedule=np.array(schedule, dtype=np.int32),
        count=np.array(count, dtype=np.uint16),
    )


def rows_of(columns: SlotColumns) -> list[tuple[int, int]]:
    """Return start and schedule of each row."""
    return list(zip(columns.start.tolist(), columns.schedule.tolist(), strict=True))


def values_of(columns: SlotColumns) -> list[tuple[int, int, int, int]]:
    """Return start, schedule, length and count of each row."""
    return list(
        zip(
            columns.start.tolist(),
            columns.schedule.tolist(),
            columns.length.tolist(),
            columns.count.tolist(),
            strict=True,
        )
    )


def mask_of(wanted: set[int]) -> npt.NDArray[np.bool_]:
    """Return which of ten schedules fit."""
    return np.isin(np.arange(10), list(wanted))


@given(rows=ROWS)
def test_rows_are_sorted_by_start_then_rank(rows: list[tuple[int, int, int]]) -> None:
    """Rows given in any order stand by start, then by their schedule's rank."""
    assert rows_of(columns_of(rows)) == sorted(row[:2] for row in rows)


@given(rows=ROWS, gone=st.sets(st.integers(0, 9)), added=ROWS)
def test_a_replacement_is_what_was_left_and_what_came(
    rows: list[tuple[int, int, int]],
    gone: set[int],
    added: list[tuple[int, int, int]],
) -> None:
    """Rows of some schedules go, others come, and all of it is sorted again."""
    columns = columns_of(rows)

    replaced = columns.replaced(mask_of(gone)[columns.schedule], [columns_of(added)])

    kept = [row[:2] for row in rows if row[1] not in gone]
    assert rows_of(replaced) == sorted(kept + [row[:2] for row in added])


@given(
    rows=ROWS,
    window=st.tuples(st.integers(-5, 55), st.none() | st.integers(-5, 55)),
    wanted=st.none() | st.sets(st.integers(0, 9)),
    count=st.integers(0, 70),
)
def test_a_search_finds_what_a_loop_finds(
    rows: list[tuple[int, int, int]],
    window: tuple[int, int | None],
    wanted: set[int] | None,
    count: int,
) -> None:
    """First rows, last rows and all rows agree with going through them all."""
    columns = columns_of(rows)
    start, before = window
    fit = Fit(schedules=None if wanted is None else mask_of(wanted))
    fitting = [
        number
        for number, (at, schedule) in enumerate(rows_of(columns))
        if at >= start
        and (before is None or at < before)
        and (wanted is None or schedule in wanted)
    ]

    first, last = columns.bounds(start, before)

    assert columns.first_rows(first, last, fit, count).tolist() == fitting[:count]
    assert (
        columns.last_rows(first, last, fit, count).tolist() == (fitting[::-1][:count])
    )
    assert columns.rows(first, last, fit).tolist() == fitting


@given(
    quarters=st.lists(st.integers(0, 2 * 7 * 24 * 4), max_size=40),
    night=st.sampled_from([date(2026, 3, 26), date(2026, 10, 22)]),
    wanted=st.none() | st.sets(st.integers(0, 9)),
    minutes=st.sets(st.integers(0, 7 * 24 * 4 - 1)),
    count=st.integers(0, 50),
)
def test_schedules_and_hours_are_tested_together(
    quarters: list[int],
    night: date,
    wanted: set[int] | None,
    minutes: set[int],
    count: int,
) -> None:
    """Two weeks around a change-over night: a row fits by schedule and by the clock."""
    first_second = epoch_seconds(at_start_of_day(night))
    columns = columns_of(
        [(first_second + 900 * each, each % 10, 1) for each in sorted(set(quarters))]
    )
    week = np.zeros(7 * 24 * 60, dtype=np.bool_)
    week[[15 * each for each in minutes]] = True
    fit = Fit(schedules=None if wanted is None else mask_of(wanted), minutes=week)

    def fits(start: int, schedule: int) -> bool:
        shown = datetime.fromtimestamp(start, STOCKHOLM)
        minute = (shown.weekday() * 24 + shown.hour) * 60 + shown.minute
        return minute // 15 in minutes and (wanted is None or schedule in wanted)

    fitting = [row for row, each in enumerate(rows_of(columns)) if fits(*each)]
    bounds = (0, len(columns))
    assert columns.first_rows(*bounds, fit, count).tolist() == fitting[:count]
    assert columns.last_rows(*bounds, fit, count).tolist() == fitting[::-1][:count]
    assert columns.rows(*bounds, fit).tolist() == fitting


@given(rows=ROWS, other=ROWS)
def test_columns_have_the_same_rows_or_not(
    rows: list[tuple[int, int, int]], other: list[tuple[int, int, int]]
) -> None:
    """Columns are compared by what is in them, all of it."""
    assert columns_of(rows).has_the_rows_of(columns_of(list(rows)))
    assert columns_of(rows).has_the_rows_of(columns_of(other)) == (
        values_of(columns_of(rows)) == values_of(columns_of(other))
    )


@given(rows=ROWS, wanted=st.sets(st.integers(0, 9)))
def test_some_rows_stay_in_order(
    rows: list[tuple[int, int, int]], wanted: set[int]
) -> None:
    """Of some of the rows all values stay."""
    columns = columns_of(rows)

    some = columns.only(mask_of(wanted)[columns.schedule])

    assert values_of(some) == [each for each in values_of(columns) if each[1] in wanted]


def test_nothing_begins_after_2106() -> None:
    """A bound beyond 32 bits of seconds lies behind every row."""
    columns = columns_of([(1, 1, 1)])

    assert columns.bounds(2**40, None) == (1, 1)
    assert columns.bounds(0, 2**40) == (0, 1)


def test_an_order_holds_start_and_rank() -> None:
    """A rank never carries a time into the next second."""
    assert first_order(5) + 2**32 - 1 < first_order(6)


def test_a_rank_is_the_same_for_ever() -> None:
    """Pages go on in another process: the rank is pinned."""
    assert schedule_rank("SE1-A.00000000.00000000") == 2_296_890_759


def test_empty_columns_have_no_rows() -> None:
    """There is a value for nothing."""
    assert len(EMPTY) == 0
