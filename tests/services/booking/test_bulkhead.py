"""
Permits for a source: how many at once, how long a client waits, when none are left.
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
    Busy,
    Refused,
    Unavailable,
    WriteUnconfirmed,
)
from fhir_gateway.model.source import Source
from fhir_gateway.services.booking.bulkhead import Bulkhead

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


@pytest.fixture(name="bulkhead")
def _bulkhead(norr: Source, clock: MovableClock) -> Bulkhead:
    syd = source(name=SYD)
    return Bulkhead({NORR: norr, SYD: syd}, clock=clock)


@pytest.fixture(name="answer")
def _answer() -> Iterator[threading.Event]:
    """Give what makes the region answer; it does so in the end in any case."""
    answer = threading.Event()
    yield answer
    answer.set()


def fails(bulkhead: Bulkhead, norr: Source, error: Exception) -> None:
    """Let one write fail with an error."""

    def write() -> None:
        raise error

    with pytest.raises(type(error)), bulkhead.admit(norr) as permit:
        permit.carry_out(write)


def succeeds(bulkhead: Bulkhead, norr: Source) -> None:
    """Let one write be answered."""
    with bulkhead.admit(norr) as permit:
        assert permit.carry_out(lambda: "booked") == "booked"


def test_other_work_is_done_while_the_write_is_under_way(
    bulkhead: Bulkhead, norr: Source, answer: threading.Event
) -> None:
    """Work that does not need the region runs while the write is under way."""
    with bulkhead.admit(norr) as permit:
        # The region answers only once that is done.
        assert permit.carry_out(lambda: answer.wait(30), meanwhile=answer.set) is True


def test_a_permit_returns_the_result_of_the_write(
    bulkhead: Bulkhead, norr: Source
) -> None:
    """A write that is answered in time returns its result to the client."""
    succeeds(bulkhead, norr)


def test_so_many_at_once_and_no_more(bulkhead: Bulkhead, norr: Source) -> None:
    """A client beyond the last permit gets Busy within a second."""
    with ExitStack() as stack:
        for _ in range(PLACES):
            stack.enter_context(bulkhead.admit(norr))

        with pytest.raises(Busy) as raised, bulkhead.admit(norr):
            pass

    assert raised.value.source == NORR
    succeeds(bulkhead, norr)


def test_a_rush_is_served(bulkhead: Bulkhead, norr: Source) -> None:
    """While permits keep returning, a client without a permit waits for one."""
    many = 20 * PLACES

    with ThreadPoolExecutor(many) as executor:
        rush = [executor.submit(succeeds, bulkhead, norr) for _ in range(many)]

    assert [each.result() for each in rush] == [None] * many


def test_nobody_waits_where_nothing_moves(bulkhead: Bulkhead, norr: Source) -> None:
    """Once a source has stood still for a second, its next clients get Busy at once."""
    with ExitStack() as stack:
        for _ in range(PLACES):
            stack.enter_context(bulkhead.admit(norr))
        with pytest.raises(Busy), bulkhead.admit(norr):
            pass
        began = time.monotonic()

        for _ in range(100):
            with pytest.raises(Busy), bulkhead.admit(norr):
                pass

    # A second each, if they waited.
    assert time.monotonic() - began < 10


def test_one_source_never_holds_another_up(bulkhead: Bulkhead, norr: Source) -> None:
    """With all places of one source taken, another one's are free."""
    with ExitStack() as stack:
        for _ in range(PLACES):
            stack.enter_context(bulkhead.admit(norr))

        succeeds(bulkhead, source(name=SYD))


def test_a_place_is_free_again_after_a_failure(
    bulkhead: Bulkhead, norr: Source
) -> None:
    """Any end of a permit returns it, once."""
    for _ in range(PLACES + 1):
        fails(bulkhead, norr, Refused("No.", source=NORR))
        with pytest.raises(KeyError), bulkhead.admit(norr):
            raise KeyError

    succeeds(bulkhead, norr)


def test_a_client_waits_for_a_limited_time(
    norr: Source, answer: threading.Event
) -> None:
    """A client stops waiting, its write continues, and the write keeps its permit."""
    bulkhead = Bulkhead({NORR: norr}, answers_within=AT_ONCE)
    done = threading.Event()

    def write() -> str:
        answer.wait()
        done.set()
        return "booked"

    with bulkhead.admit(norr) as permit:
        assert permit.carry_out(write) is None
    with ExitStack() as stack:
        for _ in range(PLACES - 1):
            stack.enter_context(bulkhead.admit(norr))
        with pytest.raises(Busy), bulkhead.admit(norr):
            pass
    assert not done.is_set()

    answer.set()
    bulkhead.close(within=SHORTLY)

    assert done.is_set()


@pytest.mark.parametrize("waits", [AT_ONCE, None], ids=["left", "waits"])
def test_what_follows_a_late_write_gets_its_result(
    norr: Source, answer: threading.Event, waits: timedelta | None
) -> None:
    """Only when its client has left, and once its permit is back."""
    bulkhead = Bulkhead({NORR: norr})
    followed: list[object] = []
    if waits is None:
        answer.set()

    with bulkhead.admit(norr, waits=waits) as permit:
        permit.carry_out(answer.wait, afterwards=followed.append)
    writing = [each for each in threading.enumerate() if each.name == "write"]
    answer.set()
    for each in writing:
        each.join(30)

    assert followed == ([] if waits is None else [True])


def test_closing_waits_for_what_is_under_way(
    norr: Source, answer: threading.Event
) -> None:
    """Closing returns when the write is done, or when it has waited for long enough."""
    bulkhead = Bulkhead({NORR: norr}, answers_within=AT_ONCE)
    with bulkhead.admit(norr) as permit:
        permit.carry_out(answer.wait)

    bulkhead.close(within=AT_ONCE)

    writing = [each for each in threading.enumerate() if each.name == "write"]
    assert writing
    answer.set()
    bulkhead.close(within=SHORTLY)
    assert not any(each.is_alive() for each in writing)


def test_nothing_begins_once_it_is_closed(bulkhead: Bulkhead, norr: Source) -> None:
    """A process that stops takes no new bookings."""
    bulkhead.close(within=AT_ONCE)

    with pytest.raises(Busy), bulkhead.admit(norr):
        pass


def opened_by(bulkhead: Bulkhead, norr: Source, error: Exception) -> bool:
    """Return whether five writes that came to an error close the source off."""
    for _ in range(5):
        fails(bulkhead, norr, error)
    try:
        with bulkhead.admit(norr):
            return False
    except Unavailable:
        return True


def test_a_source_that_cannot_be_reached_is_left_alone(
    bulkhead: Bulkhead, norr: Source, clock: MovableClock
) -> None:
    """After five calls in a row that never arrived, calls pause for a while."""
    assert opened_by(bulkhead, norr, AWAY)

    clock.forward(seconds=3)
    with bulkhead.admit(norr), pytest.raises(Unavailable), bulkhead.admit(norr):
        pass
    succeeds(bulkhead, norr)

    with bulkhead.admit(norr), bulkhead.admit(norr):
        pass


def test_a_failed_probe_closes_it_off_again(
    bulkhead: Bulkhead, norr: Source, clock: MovableClock
) -> None:
    """One probe at a time, until one reaches the source."""
    assert opened_by(bulkhead, norr, AWAY)
    clock.forward(seconds=3)

    fails(bulkhead, norr, AWAY)

    with pytest.raises(Unavailable), bulkhead.admit(norr):
        pass


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(Refused("No.", source=NORR), id="a no"),
        pytest.param(WriteUnconfirmed("Silence.", source=NORR), id="silence"),
    ],
)
def test_what_has_been_reached_is_not_left_alone(
    bulkhead: Bulkhead, norr: Source, error: Exception
) -> None:
    """Only calls that never reached the source close it off."""
    assert not opened_by(bulkhead, norr, error)


def test_a_look_that_does_not_arrive_counts(bulkhead: Bulkhead, norr: Source) -> None:
    """A failed fresh look before a booking counts as a failure of the source."""

    def look(error: Exception) -> None:
        with pytest.raises(type(error)), bulkhead.admit(norr):
            raise error

    for _ in range(5):
        look(AWAY)

    with pytest.raises(Unavailable, match="pauses its calls"), bulkhead.admit(norr):
        pass


def test_a_yes_between_failures_begins_the_count_anew(
    bulkhead: Bulkhead, norr: Source
) -> None:
    """Five failures count only in a row."""
    steps: list[Callable[[], None]] = [lambda: fails(bulkhead, norr, AWAY)] * 4
    for step in (*steps, lambda: succeeds(bulkhead, norr), *steps):
        step()

    succeeds(bulkhead, norr)
