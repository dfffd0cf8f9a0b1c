"""
The queue: in which order things are asked, and when again.
"""

from datetime import datetime, timedelta

import pytest
from builders import NOW, OTHER_UNIT, UNIT
from doubles import MovableClock
from hypothesis import given
from hypothesis import strategies as st

from fhir_gateway.model import scheduling
from fhir_gateway.model.ids import TimeTypeId
from fhir_gateway.model.interaction import Interaction
from fhir_gateway.services.refresh.question import TIMES, Question
from fhir_gateway.services.refresh.queue import Gate, RefreshQueue

FRESH = timedelta(minutes=10)
OFFERED = timedelta(minutes=30)
ERROR = "The source did not answer in time."


def times(name: str) -> Question:
    """Return the question for the free times of a time type."""
    return Question(interaction=TIMES, unit=UNIT, time_type_id=TimeTypeId(name))


TIME_TYPES = Question(interaction=scheduling.GET_ALL_TIME_TYPES, unit=UNIT)
OTHER_TIME_TYPES = Question(interaction=scheduling.GET_ALL_TIME_TYPES, unit=OTHER_UNIT)
A, B, C, D = (times(name) for name in "ABCD")


@pytest.fixture(name="clock")
def _clock() -> MovableClock:
    return MovableClock()


def queue_of(*questions: Question, clock: MovableClock) -> RefreshQueue:
    """Return a queue in which things are due on the dot."""
    queue = RefreshQueue(
        fresh_for=FRESH, offered_for=OFFERED, clock=clock, jitter=lambda: 0.5
    )
    queue.expect((each, 0) for each in questions)
    return queue


def everything(_: Interaction) -> Gate:
    """Let every question pass."""
    return Gate.OPEN


def in_order(queue: RefreshQueue) -> list[Question]:
    """Return what is due, most urgent first."""
    taken = []
    while (question := queue.take(everything)) is not None:
        taken.append(question)
    return taken


def aged(queue: RefreshQueue, **minutes: float) -> None:
    """Let time types have been answered so many minutes ago."""
    for name, age in minutes.items():
        queue.record_answer(times(name), NOW - timedelta(minutes=age))


def test_what_was_never_asked_comes_first(clock: MovableClock) -> None:
    """Even before what is about to age out."""
    queue = queue_of(A, B, clock=clock)
    aged(queue, A=29)

    assert in_order(queue) == [B, A]


def test_what_was_never_asked_comes_in_its_order(clock: MovableClock) -> None:
    """The lowest order first, then as it was listed."""
    queue = queue_of(clock=clock)
    queue.expect([(A, 2), (TIME_TYPES, 1), (B, 0), (OTHER_TIME_TYPES, 1)])

    assert in_order(queue) == [B, TIME_TYPES, OTHER_TIME_TYPES, A]


def test_what_was_never_asked_and_is_wanted_comes_before_all(
    clock: MovableClock,
) -> None:
    """A search that found a time type unasked brings it to the front."""
    queue = queue_of(clock=clock)
    queue.expect([(B, 0), (A, 2)])
    queue.want([A])

    assert in_order(queue) == [A, B]


def test_the_young_are_left_alone(clock: MovableClock) -> None:
    """Before a third of their freshness nothing is due, wanted or not."""
    queue = queue_of(A, clock=clock)
    aged(queue, A=3.3)
    queue.want([A])

    assert in_order(queue) == []


def test_the_oldest_is_asked_first(clock: MovableClock) -> None:
    """Among equals age decides."""
    queue = queue_of(A, B, C, clock=clock)
    aged(queue, A=4, B=6, C=5)

    assert in_order(queue) == [B, C, A]


def test_hints_come_before_nearness_before_the_rest(clock: MovableClock) -> None:
    """Of what is due: what clients ask for, what is soon, then the oldest."""
    queue = queue_of(A, B, C, clock=clock)
    aged(queue, A=7, C=4)
    queue.record_answer(B, NOW - timedelta(minutes=5), near=True)
    queue.want([C])

    assert in_order(queue) == [C, B, A]


@pytest.mark.parametrize(
    ("old", "young"),
    [
        pytest.param(7.6, 7.4, id="about to be stale"),
        pytest.param(22.6, 22.4, id="about to be offered no more"),
    ],
)
def test_everything_comes_before_it_ages_out(
    clock: MovableClock, old: float, young: float
) -> None:
    """Neither a hint nor nearness lets another break its promise."""
    queue = queue_of(A, B, clock=clock)
    aged(queue, A=old, B=young)
    queue.want([B])

    assert in_order(queue) == [A, B]


def test_a_hint_is_met_by_one_answer(clock: MovableClock) -> None:
    """Once asked, it waits in line again."""
    queue = queue_of(A, B, clock=clock)
    queue.want([A])
    queue.record_answer(A, NOW - timedelta(minutes=5))
    aged(queue, B=6)

    assert in_order(queue) == [B, A]


def test_a_hint_about_the_unknown_is_forgotten(clock: MovableClock) -> None:
    """A note about what the source does not offer does nothing."""
    queue = queue_of(A, clock=clock)
    queue.want([D])

    assert in_order(queue) == [A]


def test_an_offer_is_due_after_six_hours(clock: MovableClock) -> None:
    """Time types age in hours, not in minutes."""
    queue = queue_of(TIME_TYPES, clock=clock)
    queue.record_answer(TIME_TYPES, NOW - timedelta(hours=5, minutes=59))
    early = in_order(queue)
    clock.forward(minutes=1)

    assert (early, in_order(queue)) == ([], [TIME_TYPES])


def test_nothing_is_taken_twice(clock: MovableClock) -> None:
    """What is under way is not taken again, however old it is."""
    queue = queue_of(A, clock=clock)
    first = queue.take(everything)
    clock.forward(hours=1)

    assert (first, queue.take(everything)) == (A, None)


def test_what_was_let_go_is_taken_again(clock: MovableClock) -> None:
    """A question that was not asked after all is still due."""
    queue = queue_of(A, clock=clock)
    queue.take(everything)
    queue.release(A)

    assert queue.take(everything) == A


def test_a_first_failure_is_tried_again_soon(clock: MovableClock) -> None:
    """After two seconds, with its old urgency."""
    queue = queue_of(A, B, clock=clock)
    aged(queue, A=9, B=6)
    queue.take(everything)
    queue.record_failure(A, ERROR)
    early = queue.take(everything)
    queue.release(B)
    clock.forward(seconds=2)

    assert (early, in_order(queue)) == (B, [A, B])


def test_what_fails_again_waits_behind_the_others(clock: MovableClock) -> None:
    """Failing units do not eat the budget of those that answer."""
    queue = queue_of(A, B, clock=clock)
    aged(queue, A=9, B=6)
    for _ in range(2):
        queue.record_failure(A, ERROR)
    clock.forward(seconds=4)

    assert in_order(queue) == [B, A]


def test_what_never_answered_and_fails_lets_others_be_asked(
    clock: MovableClock,
) -> None:
    """A unit that has always failed is not before those that are due."""
    queue = queue_of(A, B, clock=clock)
    queue.take(everything)
    queue.record_failure(A, ERROR)
    aged(queue, B=6)
    clock.forward(seconds=2)

    assert in_order(queue) == [B, A]


def test_a_failure_that_is_not_the_sources_is_not_reported(clock: MovableClock) -> None:
    """What could not be stored waits, and nobody is blamed."""
    queue = queue_of(A, clock=clock)
    queue.take(everything)
    queue.record_failure(A, None)
    state = queue.states()[A]

    assert (state.failing_since, state.error, queue.take(everything)) == (
        None,
        "",
        None,
    )


def test_a_doubted_answer_is_asked_for_again_soon(clock: MovableClock) -> None:
    """After half a minute, before all but what was never asked."""
    queue = queue_of(A, B, clock=clock)
    aged(queue, A=4, B=9)
    queue.record_doubt(A)
    clock.forward(seconds=29)
    early = queue.take(everything)
    queue.release(B)
    clock.forward(seconds=1)

    assert (early, in_order(queue)) == (B, [A, B])


def test_what_is_not_expected_any_more_is_forgotten(clock: MovableClock) -> None:
    """A time type that a unit does not offer any more is not asked about."""
    queue = queue_of(A, B, clock=clock)
    queue.expect([(B, 0)])
    queue.record_answer(A, NOW)

    assert in_order(queue) == [B]


def test_what_stays_expected_keeps_its_age(clock: MovableClock) -> None:
    """A new catalogue does not make old answers new."""
    queue = queue_of(A, clock=clock)
    aged(queue, A=1)
    queue.expect([(A, 0), (B, 0)])

    assert in_order(queue) == [B]


def test_a_closed_interaction_passes_nothing(clock: MovableClock) -> None:
    """Others pass all the same."""
    queue = queue_of(A, TIME_TYPES, clock=clock)

    def gate(interaction: Interaction) -> Gate:
        return Gate.CLOSED if interaction == TIMES else Gate.OPEN

    assert (queue.take(gate), queue.take(gate)) == (TIME_TYPES, None)


def test_the_probe_is_what_answered_last(clock: MovableClock) -> None:
    """It shows best whether anything answers; its waiting time does not count."""
    queue = queue_of(A, B, C, clock=clock)
    aged(queue, A=9, B=1)
    queue.record_failure(B, ERROR)

    assert queue.take(lambda _: Gate.PROBE) == B


def test_forgotten_answers_are_asked_for_anew(clock: MovableClock) -> None:
    """After the store was emptied everything is as at the first start."""
    queue = queue_of(A, B, clock=clock)
    aged(queue, A=0, B=0)
    queue.record_failure(B, ERROR)
    queue.forget_answers()

    assert in_order(queue) == [A, B]


@given(st.floats(0, 1))
def test_jitter_spreads_what_is_due(where: float) -> None:
    """Nothing is due earlier or later than a fifth from a third of its freshness."""
    clock = MovableClock()
    queue = RefreshQueue(
        fresh_for=FRESH, offered_for=OFFERED, clock=clock, jitter=lambda: where
    )
    queue.expect([(A, 0)])
    queue.record_answer(A, NOW)
    clock.instant = NOW + FRESH / 3 * 0.79
    early = queue.take(everything)
    clock.instant = NOW + FRESH / 3 * 1.21

    assert (early, queue.take(everything)) == (None, A)


@given(
    st.lists(st.floats(0, 40), min_size=1, max_size=20),
    st.sets(st.integers(0, 19)),
    st.integers(1, 8),
)
def test_nothing_starves(
    ages: list[float], wanted: set[int], seconds_a_call: int
) -> None:
    """Everything is asked before it is lost, also when hints come time and again."""
    clock = MovableClock()
    questions = [times(str(number)) for number in range(len(ages))]
    queue = queue_of(*questions, clock=clock)
    answered: dict[Question, datetime] = {}
    for question, age in zip(questions, ages, strict=True):
        answered[question] = NOW - timedelta(minutes=age)
        queue.record_answer(question, answered[question])
    for _ in range(1_800 // seconds_a_call):
        clock.forward(seconds=seconds_a_call)
        queue.want(questions[each] for each in wanted if each < len(questions))
        question = queue.take(everything)
        if question is not None:
            answered[question] = clock()
            queue.record_answer(question, clock())

    assert all(clock() - each < FRESH for each in answered.values())


def test_what_a_booking_found_wrong_is_asked_again_soon(clock: MovableClock) -> None:
    """It is not due yet, and is asked before what is due; then it is right again."""
    queue = queue_of(A, B, clock=clock)
    aged(queue, A=5, B=1)

    queue.recheck([B, D])

    assert in_order(queue) == [B, A]
    queue.record_answer(B, clock())
    clock.forward(minutes=1)
    assert in_order(queue) == []


def test_what_is_nearly_stale_does_not_wait_for_rechecks(clock: MovableClock) -> None:
    """Who finds many answers wrong makes no other one stale."""
    queue = queue_of(A, B, clock=clock)
    aged(queue, A=8, B=1)

    queue.recheck([B])

    assert in_order(queue) == [A, B]


def test_a_young_answer_is_not_rechecked(clock: MovableClock) -> None:
    """An answer that was found wrong at once is asked again after 15 s."""
    queue = queue_of(A, clock=clock)
    aged(queue, A=0)
    queue.recheck([A])

    clock.forward(seconds=14)
    before = in_order(queue)
    clock.forward(seconds=1)

    assert (before, in_order(queue)) == ([], [A])


def test_rechecks_of_a_source_come_one_by_one(clock: MovableClock) -> None:
    """A source is asked for one block that was found wrong in 2 s, and no more."""
    queue = queue_of(A, B, C, clock=clock)
    aged(queue, A=1, B=1, C=1)
    queue.recheck([A, B, C])

    taken = []
    for _ in range(3):
        taken.append(in_order(queue))
        clock.forward(seconds=2)

    assert taken == [[A], [B], [C]]


def test_what_is_found_wrong_while_it_is_asked_is_asked_again(
    clock: MovableClock,
) -> None:
    """The answer under way may be older than what the booking heard."""
    queue = queue_of(A, clock=clock)
    aged(queue, A=5)
    assert in_order(queue) == [A]
    clock.forward(seconds=1)
    queue.recheck([A])
    queue.record_answer(A, clock())

    clock.forward(seconds=15)

    assert in_order(queue) == [A]
