"""
Turns at a source: how many at once, how long a client waits, and when none are given.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta

import pytest
from builders import NORR, SYD, source
from doubles import MovableClock

from fhir_gateway.model.errors import (
    BookingUnconfirmed,
    Busy,
    Refused,
    Unavailable,
)
from fhir_gateway.model.source import Source
from fhir_gateway.services.booking.bulkhead import Turns

PLACES = 3
AT_ONCE = timedelta()
SHORTLY = timedelta(seconds=5)
AWAY = Unavailable("The source could not be reached; nothing was sent.", source=NORR)


@pytest.fixture(name="clock")
def _clock() -> MovableClock:
    return MovableClock()


@pytest.fixture(name="norr")
def _norr() -> Source:
    return source(writes_in_flight=PLACES)


@pytest.fixture(name="turns")
def _turns(norr: Source, clock: MovableClock) -> Turns:
    syd = source(name=SYD)
    return Turns({NORR: norr, SYD: syd}, clock=clock)


@pytest.fixture(name="answer")
def _answer() -> Iterator[threading.Event]:
    """Give what makes the region answer; it does so in the end in any case."""
    answer = threading.Event()
    yield answer
    answer.set()


def fails(turns: Turns, norr: Source, error: Exception) -> None:
    """Let one write come to an error."""

    def write() -> None:
        raise error

    with pytest.raises(type(error)), turns.at(norr) as turn:
        turn.carry_out(write)


def succeeds(turns: Turns, norr: Source) -> None:
    """Let one write be answered."""
    with turns.at(norr) as turn:
        assert turn.carry_out(lambda: "booked") == "booked"


def test_what_else_is_to_be_done_is_done_meanwhile(
    turns: Turns, norr: Source, answer: threading.Event
) -> None:
    """Nothing waits for the region that need not."""
    with turns.at(norr) as turn:
        # The region answers only once that is done.
        assert turn.carry_out(lambda: answer.wait(30), meanwhile=answer.set) is True


def test_a_turn_returns_what_came_of_the_write(turns: Turns, norr: Source) -> None:
    """A write that is answered in time is as if it had been done right here."""
    succeeds(turns, norr)


def test_so_many_at_once_and_no_more(turns: Turns, norr: Source) -> None:
    """One more than there are places is told that there are none, within a second."""
    with ExitStack() as stack:
        for _ in range(PLACES):
            stack.enter_context(turns.at(norr))

        with pytest.raises(Busy) as raised, turns.at(norr):
            pass

    assert raised.value.source == NORR
    succeeds(turns, norr)


def test_a_rush_is_not_turned_away(turns: Turns, norr: Source) -> None:
    """As long as turns keep ending, who finds no place free waits for one."""
    many = 20 * PLACES

    with ThreadPoolExecutor(many) as executor:
        rush = [executor.submit(succeeds, turns, norr) for _ in range(many)]

    assert [each.result() for each in rush] == [None] * many


def test_nobody_waits_where_nothing_moves(turns: Turns, norr: Source) -> None:
    """Once a source has stood still for a second, its next clients are told at once."""
    with ExitStack() as stack:
        for _ in range(PLACES):
            stack.enter_context(turns.at(norr))
        with pytest.raises(Busy), turns.at(norr):
            pass
        began = time.monotonic()

        for _ in range(100):
            with pytest.raises(Busy), turns.at(norr):
                pass

    assert time.monotonic() - began < 1


def test_one_source_never_holds_another_up(turns: Turns, norr: Source) -> None:
    """With all places of one source taken, another one's are free."""
    with ExitStack() as stack:
        for _ in range(PLACES):
            stack.enter_context(turns.at(norr))

        succeeds(turns, source(name=SYD))


def test_a_place_is_free_again_after_a_failure(turns: Turns, norr: Source) -> None:
    """However a turn ends, its place is given back, once."""
    for _ in range(PLACES + 1):
        fails(turns, norr, Refused("No.", source=NORR))
        with pytest.raises(KeyError), turns.at(norr):
            raise KeyError

    succeeds(turns, norr)


def test_who_waits_too_long_waits_no_longer(
    norr: Source, answer: threading.Event
) -> None:
    """A client is let go of while its write goes on, and that keeps its place."""
    turns = Turns({NORR: norr}, answers_within=AT_ONCE)
    done = threading.Event()

    def write() -> str:
        answer.wait()
        done.set()
        return "booked"

    with turns.at(norr) as turn:
        assert turn.carry_out(write) is None
    with ExitStack() as stack:
        for _ in range(PLACES - 1):
            stack.enter_context(turns.at(norr))
        with pytest.raises(Busy), turns.at(norr):
            pass
    assert not done.is_set()

    answer.set()
    turns.close(within=SHORTLY)

    assert done.is_set()


def test_closing_waits_for_what_is_under_way(
    norr: Source, answer: threading.Event
) -> None:
    """Closing returns when the write is done, or when it has waited for long enough."""
    turns = Turns({NORR: norr}, answers_within=AT_ONCE)
    with turns.at(norr) as turn:
        turn.carry_out(answer.wait)

    turns.close(within=AT_ONCE)

    writing = [each for each in threading.enumerate() if each.name == "write"]
    assert writing
    answer.set()
    turns.close(within=SHORTLY)
    assert not any(each.is_alive() for each in writing)


def test_nothing_begins_once_it_is_closed(turns: Turns, norr: Source) -> None:
    """A process that stops takes no new bookings."""
    turns.close(within=AT_ONCE)

    with pytest.raises(Busy), turns.at(norr):
        pass


def opened_by(turns: Turns, norr: Source, error: Exception) -> bool:
    """Return whether five writes that came to an error close the source off."""
    for _ in range(5):
        fails(turns, norr, error)
    try:
        with turns.at(norr):
            return False
    except Unavailable:
        return True


def test_a_source_that_cannot_be_reached_is_left_alone(
    turns: Turns, norr: Source, clock: MovableClock
) -> None:
    """Five in a row that never arrived, and the next ones are not tried for a while."""
    assert opened_by(turns, norr, AWAY)

    clock.forward(seconds=3)
    with turns.at(norr), pytest.raises(Unavailable), turns.at(norr):
        pass
    succeeds(turns, norr)

    with turns.at(norr), turns.at(norr):
        pass


def test_a_failed_probe_closes_it_off_again(
    turns: Turns, norr: Source, clock: MovableClock
) -> None:
    """One try a time, until one arrives."""
    assert opened_by(turns, norr, AWAY)
    clock.forward(seconds=3)

    fails(turns, norr, AWAY)

    with pytest.raises(Unavailable), turns.at(norr):
        pass


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(Refused("No.", source=NORR), id="a no"),
        pytest.param(BookingUnconfirmed("Silence.", source=NORR), id="silence"),
    ],
)
def test_what_has_been_reached_is_not_left_alone(
    turns: Turns, norr: Source, error: Exception
) -> None:
    """Only what never arrived closes a source off."""
    assert not opened_by(turns, norr, error)


def test_a_look_that_does_not_arrive_counts(turns: Turns, norr: Source) -> None:
    """The fresh look before a booking tells as well that a source is away."""

    def look(error: Exception) -> None:
        with pytest.raises(type(error)), turns.at(norr):
            raise error

    for _ in range(5):
        look(AWAY)

    with pytest.raises(Unavailable, match="left alone"), turns.at(norr):
        pass


def test_a_yes_between_failures_begins_the_count_anew(
    turns: Turns, norr: Source
) -> None:
    """Five failures count only in a row."""
    steps: list[Callable[[], None]] = [lambda: fails(turns, norr, AWAY)] * 4
    for step in (*steps, lambda: succeeds(turns, norr), *steps):
        step()

    succeeds(turns, norr)
