"""
The small parts of the refresh: windows, suspicion, pace, deadline, memory.
"""

from datetime import date, timedelta

import pytest
from builders import COVID, NORR, NOW, UNIT, VACCINATION, VISIT, block, timeslot
from hypothesis import given
from hypothesis import strategies as st

from fhir_gateway.services.refresh.block_memory import BlockMemory
from fhir_gateway.services.refresh.lease_deadline import LeaseDeadline
from fhir_gateway.services.refresh.suspicion import Verdict, verdict
from fhir_gateway.services.source.pace import Pace
from fhir_gateway.services.source.window import (
    Window,
    saves_calls,
    windows,
    windows_with,
)
from fhir_gateway.stores.slot_block import BlockKey

TODAY = date(2026, 3, 2)
KEY = BlockKey(source=NORR, unit=UNIT, time_type_id=VISIT)


class Seconds:
    """Seconds that the test moves."""

    def __init__(self) -> None:
        self.present = 100.0

    def __call__(self) -> float:
        """Return the present second."""
        return self.present


# Windows


def days_of(window: Window) -> list[date]:
    """Return every day of a window."""
    first, last = window
    return [first + timedelta(days=each) for each in range((last - first).days + 1)]


@given(st.integers(0, 400), st.integers(1, 100))
def test_windows_cover_every_day_once(days: int, longest: int) -> None:
    """No gap, no overlap, and none longer than allowed."""
    last = TODAY + timedelta(days=days)
    made = list(windows(TODAY, last, longest=timedelta(days=longest)))

    assert [day for window in made for day in days_of(window)] == days_of((TODAY, last))
    assert all(len(days_of(window)) <= longest for window in made)


@given(st.sets(st.integers(-5, 120)), st.integers(1, 40))
def test_windows_with_days_cover_just_those(numbers: set[int], longest: int) -> None:
    """Every day within is covered once, and each window begins with one of them."""
    last = TODAY + timedelta(days=100)
    days = {TODAY + timedelta(days=each) for each in numbers}
    wanted = {day for day in days if TODAY <= day <= last}
    made = list(windows_with(days, TODAY, last, longest=timedelta(days=longest)))
    covered = [day for window in made for day in days_of(window)]

    assert len(covered) == len(set(covered))
    assert wanted <= set(covered)
    assert all(window[0] in wanted and window[1] <= last for window in made)
    assert len(made) <= len(list(windows(TODAY, last, longest=timedelta(longest))))


@pytest.mark.parametrize(
    ("in_all", "with_times", "expected"),
    [
        pytest.param(1, None, False, id="one window"),
        pytest.param(2, None, False, id="two, unknown"),
        pytest.param(3, None, True, id="three, unknown"),
        pytest.param(3, 3, False, id="times everywhere"),
        pytest.param(3, 2, False, id="as many calls as without"),
        pytest.param(3, 1, True, id="one of three"),
        pytest.param(2, 0, True, id="none of two"),
        pytest.param(1, 0, False, id="none of one"),
    ],
)
def test_dates_are_asked_for_where_that_saves_calls(
    in_all: int, with_times: int | None, *, expected: bool
) -> None:
    """One call for the dates must save at least one for times."""
    assert saves_calls(in_all=in_all, with_times=with_times) is expected


# Suspicion


@pytest.mark.parametrize(
    ("listed", "before", "expected"),
    [
        pytest.param(0, None, Verdict.BELIEVED, id="nothing, the first time"),
        pytest.param(0, 0, Verdict.BELIEVED, id="nothing, as before"),
        pytest.param(0, 1, Verdict.DOUBTED, id="everything lost"),
        pytest.param(1, 500, Verdict.BELIEVED, id="nearly everything lost"),
        pytest.param(1_000, 5, Verdict.BELIEVED, id="a new schedule is let"),
        pytest.param(1_001, 50, Verdict.DOUBTED, id="more than twenty times as many"),
        pytest.param(1_000, 50, Verdict.BELIEVED, id="twenty times as many"),
        pytest.param(1_001, 0, Verdict.DOUBTED, id="very many after none"),
        pytest.param(1_001, None, Verdict.BELIEVED, id="very many, the first time"),
        pytest.param(5_000, 4_000, Verdict.BELIEVED, id="as many as allowed"),
        pytest.param(5_001, 5_000, Verdict.REFUSED, id="more than allowed"),
        pytest.param(5_001, None, Verdict.REFUSED, id="too many, the first time"),
    ],
)
def test_an_answer_is_judged_by_its_size(
    listed: int, before: int | None, expected: Verdict
) -> None:
    """Loss of everything and great growth are doubted, absurd sizes refused."""
    assert verdict(listed=listed, before=before, most=5_000) is expected


def test_what_is_said_twice_is_believed() -> None:
    """The same answer, given again, stands."""
    memory = BlockMemory(100)
    memory.keep(block([timeslot(3)]))
    judged = [memory.judge(KEY, listed=0, free=0, moment=NOW) for _ in range(2)]

    assert judged == [Verdict.DOUBTED, Verdict.BELIEVED]


def test_a_doubt_is_over_when_times_are_back() -> None:
    """An empty answer later on is doubted anew."""
    memory = BlockMemory(100)
    memory.keep(block([timeslot(3)]))
    judged = [
        memory.judge(KEY, listed=free, free=free, moment=NOW) for free in (0, 1, 0)
    ]

    assert judged == [Verdict.DOUBTED, Verdict.BELIEVED, Verdict.DOUBTED]


def test_times_that_have_begun_are_no_loss() -> None:
    """A block becomes empty in good order when its last time has begun."""
    memory = BlockMemory(100)
    memory.keep(block([timeslot(3)]))

    judged = memory.judge(KEY, listed=0, free=0, moment=NOW + timedelta(hours=3))

    assert judged is Verdict.BELIEVED


def test_what_is_left_out_counts_against_the_size() -> None:
    """An answer of very many times of other types is absurd too."""
    memory = BlockMemory(100)

    assert memory.judge(KEY, listed=101, free=2, moment=NOW) is Verdict.REFUSED


def test_slots_and_reasons_are_counted() -> None:
    """Only times to come count, and those without a shared meaning twice over."""
    memory = BlockMemory(100)
    other = BlockKey(source=NORR, unit=UNIT, time_type_id=COVID)
    memory.keep(block([timeslot(1), timeslot(3)], rejected={"past": 2}))
    memory.keep(block([timeslot(3)], key=other, rejected={"past": 1}))
    meanings = {(UNIT, COVID): (VACCINATION,)}

    counted = memory.count([KEY, other], meanings, NOW + timedelta(hours=2))

    assert counted == (2, {"past": 3, "unmapped": 1})


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        pytest.param(71, True, id="within three days"),
        pytest.param(72, False, id="in three days"),
        pytest.param(-1, False, id="begun"),
    ],
)
def test_near_is_within_three_days(hours: float, *, expected: bool) -> None:
    """A time type is near when it has a time soon."""
    memory = BlockMemory(100)
    memory.keep(block([timeslot(hours)]))

    assert memory.is_near(KEY, NOW) is expected


def test_the_days_with_times_are_remembered() -> None:
    """As Swedish days, without those that have begun; None when nothing is known."""
    memory = BlockMemory(100)
    unknown = memory.days(KEY, NOW)
    memory.keep(block([timeslot(-1), timeslot(17.5), timeslot(18.5)]))

    assert unknown is None
    assert memory.days(KEY, NOW) == {date(2026, 3, 2), date(2026, 3, 3)}


# Pace and deadline


def test_turns_come_at_an_even_rate() -> None:
    """Four calls at once leave a quarter of a second apart."""
    pace = Pace(4.0, elapsed=Seconds())

    assert [pace.reserve() for _ in range(4)] == [0.0, 0.25, 0.5, 0.75]


def test_unused_turns_are_not_saved_up() -> None:
    """After a rest there is no burst."""
    seconds = Seconds()
    pace = Pace(1.0, elapsed=seconds)
    pace.reserve()
    seconds.present += 60

    assert [pace.reserve(), pace.reserve()] == [0.0, 1.0]


def test_the_first_turn_can_be_put_off() -> None:
    """Sources that begin together do not call together."""
    assert Pace(1.0, begins_in_s=0.4, elapsed=Seconds()).reserve() == pytest.approx(0.4)


def test_a_turn_that_is_too_late_is_not_taken() -> None:
    """A call that cannot wait leaves its place to others."""
    pace = Pace(1.0, elapsed=Seconds())
    pace.reserve()

    assert [pace.reserve(within_s=0.5), pace.reserve(within_s=1.0)] == [None, 1.0]


def test_a_deadline_passes_by_itself() -> None:
    """The clock alone ends it, also while a thread sleeps."""
    seconds = Seconds()
    deadline = LeaseDeadline(until=110.0, elapsed=seconds)
    before = deadline.has_passed()
    seconds.present = 110.0

    assert (before, deadline.has_passed(), deadline.wait(0)) == (False, True, True)


def test_a_deadline_can_be_moved_and_ended() -> None:
    """Renewed it lasts longer; ended it is over for good."""
    seconds = Seconds()
    deadline = LeaseDeadline(until=101.0, elapsed=seconds)
    deadline.extend(200.0)
    seconds.present = 150.0
    extended = deadline.has_passed()
    deadline.end()
    deadline.extend(300.0)

    assert (extended, deadline.has_passed()) == (False, True)
