"""
The breaker: when it opens, how long it stays so, and what closes it.
"""

from datetime import timedelta

import pytest
from builders import NOW
from doubles import MovableClock
from hypothesis import given
from hypothesis import strategies as st

from fhir_gateway.services.source.breaker import Breaker, with_jitter


@pytest.fixture(name="clock")
def _clock() -> MovableClock:
    return MovableClock()


@pytest.fixture(name="breaker")
def _breaker(clock: MovableClock) -> Breaker:
    """Give one that opens after three failures, for 2, 4, 8 and then 10 seconds."""
    return Breaker(
        failures=3,
        first_pause=timedelta(seconds=2),
        longest_pause=timedelta(seconds=10),
        clock=clock,
        jitter=lambda: 0.5,
    )


def opened(breaker: Breaker) -> Breaker:
    """Let so many things fail that it opens."""
    for _ in range(3):
        assert breaker.allows()
        breaker.record_failure()
    return breaker


def test_it_stays_closed_below_the_number(breaker: Breaker) -> None:
    """Two failures of three are not enough."""
    breaker.record_failure()
    breaker.record_failure()

    assert (breaker.allows(), breaker.failing_since) == (True, None)


def test_failures_in_a_row_open_it(breaker: Breaker, clock: MovableClock) -> None:
    """With the third failure nothing is let through, since the first failed."""
    breaker.record_failure()
    clock.forward(seconds=1)
    breaker.record_failure()
    breaker.record_failure()

    assert (breaker.allows(), breaker.failing_since) == (False, NOW)


def test_a_success_between_begins_anew(breaker: Breaker) -> None:
    """Failures count only while nothing succeeds."""
    breaker.record_failure()
    breaker.record_failure()
    breaker.record_success()
    breaker.record_failure()
    breaker.record_failure()

    assert breaker.allows()


def test_one_thing_that_fails_again_and_again_does_not_open_it(
    breaker: Breaker,
) -> None:
    """One failing unit says nothing of the others."""
    for _ in range(10):
        breaker.record_failure("A01")

    assert breaker.allows()


def test_all_of_few_things_open_it(breaker: Breaker) -> None:
    """Where there are only two things, both failing is everything failing."""
    breaker.record_failure("A01", of=2)
    one = breaker.would_allow
    breaker.record_failure("A02", of=2)

    assert (one, breaker.would_allow) == (True, False)


def test_after_the_pause_one_probe_is_let_through(
    breaker: Breaker, clock: MovableClock
) -> None:
    """Half open, it lets one call through and no second."""
    opened(breaker)
    clock.forward(seconds=1.9)
    early = breaker.allows()
    clock.forward(seconds=0.1)

    assert (early, breaker.allows(), breaker.allows()) == (False, True, False)


def test_asking_whether_takes_no_probe(breaker: Breaker, clock: MovableClock) -> None:
    """`would_allow` leaves the probe to the one that makes the call."""
    opened(breaker)
    clock.forward(seconds=2)

    assert (breaker.would_allow, breaker.would_allow, breaker.allows()) == (
        True,
        True,
        True,
    )


def test_a_probe_that_succeeds_closes_it(breaker: Breaker, clock: MovableClock) -> None:
    """After it everything is let through again."""
    opened(breaker)
    clock.forward(seconds=2)
    breaker.allows()
    breaker.record_success()

    assert (breaker.allows(), breaker.allows(), breaker.failing_since) == (
        True,
        True,
        None,
    )


def test_each_failed_probe_doubles_the_pause(
    breaker: Breaker, clock: MovableClock
) -> None:
    """It waits 2, 4, 8 and then never longer than 10 seconds."""
    opened(breaker)
    waits = []
    for _ in range(5):
        waited = 0
        while not breaker.allows():
            clock.forward(seconds=1)
            waited += 1
        breaker.record_failure()
        waits.append(waited)

    assert waits == [2, 4, 8, 10, 10]


def test_an_abandoned_probe_gives_its_turn_back(
    breaker: Breaker, clock: MovableClock
) -> None:
    """A probe that was never made is made by somebody else."""
    opened(breaker)
    clock.forward(seconds=2)
    breaker.allows()
    breaker.cancel()

    assert breaker.allows()


def test_a_late_failure_does_not_lengthen_the_pause(
    breaker: Breaker, clock: MovableClock
) -> None:
    """A call that left before it opened is no news when it fails."""
    opened(breaker)
    clock.forward(seconds=1)
    breaker.record_failure()
    clock.forward(seconds=1)

    assert breaker.allows()


@given(st.floats(0, 1), st.integers(1, 10_000))
def test_jitter_stays_within_a_fifth(where: float, seconds: int) -> None:
    """A waiting time is at most a fifth shorter or longer than was meant."""
    duration = timedelta(seconds=seconds)

    assert duration * 0.79 < with_jitter(duration, lambda: where) < duration * 1.21
