"""
The queue: the next question to a source.

Questions without any answer come first. Then come those with answers that searches
will soon leave out, then those with answers that will soon be stale, then those that
are due. Among equals: first the answers that a booking found wrong, then those that
clients searched for, then those with free times soon, then the others; the oldest
first.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from fhir_gateway.model.interaction import Interaction
from fhir_gateway.model.timekeeping import Clock
from fhir_gateway.services.refresh.question import TIMES, Question
from fhir_gateway.services.source.breaker import Jitter, with_jitter

__all__ = ["Gate", "QuestionState", "RefreshQueue"]

_FIRST_PATIENCE: Final = timedelta(seconds=1)
_MOST_DOUBLINGS: Final = 10
# A unit's time types and its staff seldom change.
_CATALOGUE_DUE: Final = timedelta(hours=6)
_CATALOGUE_STALE: Final = timedelta(hours=8)
_CATALOGUE_LOST: Final = timedelta(hours=12)
_LONGEST_DOUBT: Final = timedelta(seconds=30)

_NEVER, _LOST, _STALE, _DUE = range(4)
_WRONG, _WANTED, _NEAR, _REST = range(4)

# The refresh rechecks an answer that may be wrong before it is due, but not while it is
# younger than this; and it makes one such recheck of a source in each interval.
_RECHECKED_AFTER: Final = timedelta(seconds=15)
_RECHECKED_EVERY: Final = timedelta(seconds=2)

Rank = tuple[int, int, float, int]


class Gate(Enum):
    """Whether questions of an interaction may pass."""

    OPEN = "open"
    PROBE = "probe"
    CLOSED = "closed"


@dataclass(slots=True, kw_only=True)
class QuestionState:
    """
    The state of a question.

    Attributes:
        order: Among questions never answered, the lowest comes first.
        position: Its place in the list; equals are asked in this order.
        is_near: It has free times soon.
        is_wanted: Clients have searched for it, and it was ageing.
        wrong_since: When a booking last found that the answer may be wrong; None when
            it was asked since.
        again_at: When a doubtful answer is asked for again.
        failures: How often in a row it failed.
    """

    order: int
    position: int
    asked_at: datetime | None = None
    answered_at: datetime | None = None
    due_after: timedelta = timedelta()
    patience: timedelta = timedelta()
    is_near: bool = False
    is_wanted: bool = False
    wrong_since: datetime | None = None
    is_under_way: bool = False
    again_at: datetime | None = None
    failures: int = 0
    failing_since: datetime | None = None
    error: str = ""


class RefreshQueue:
    """
    The questions to a source, and when to ask each.

    Args:
        fresh_for: How long an answer about free times is served without a warning.
        offered_for: How long it is served at all.
        clock: Returns the current time.
        jitter: Spreads the times at which questions are due.
    """

    def __init__(
        self,
        *,
        fresh_for: timedelta,
        offered_for: timedelta,
        clock: Clock,
        jitter: Jitter,
    ) -> None:
        self._fresh_for = fresh_for
        self._offered_for = offered_for
        self._clock = clock
        self._jitter = jitter
        self._lock = threading.Lock()
        self._states: dict[Question, QuestionState] = {}
        self._rechecked_at: datetime | None = None

    def expect(self, questions: Iterable[tuple[Question, int]]) -> None:
        """
        Replace the questions; those that are no longer among them are forgotten.

        Args:
            questions: Each with its order among those that were never answered.
        """
        with self._lock:
            known = self._states
            self._states = {}
            for position, (question, order) in enumerate(questions):
                state = known.get(question) or QuestionState(
                    order=order, position=position
                )
                state.order, state.position = order, position
                self._states[question] = state

    def forget_answers(self) -> None:
        """Forget the state of all questions, as if none had been asked."""
        with self._lock:
            for state in self._states.values():
                state.answered_at = state.asked_at = state.again_at = None
                state.failures, state.failing_since = 0, None

    def states(self) -> Mapping[Question, QuestionState]:
        """Return the state of each question: to read at once, not to keep."""
        with self._lock:
            return dict(self._states)

    def want(self, questions: Iterable[Question]) -> None:
        """Mark the time types that clients have searched for."""
        with self._lock:
            for question in questions:
                state = self._states.get(question)
                if state is not None:
                    state.is_wanted = True

    def recheck(self, questions: Iterable[Question]) -> None:
        """
        Mark the answers that bookings have found wrong: they are asked for again soon.

        Answers that will soon be stale still come first.
        """
        moment = self._clock()
        with self._lock:
            for question in questions:
                state = self._states.get(question)
                if state is not None:
                    state.wrong_since = moment

    def take(self, gate: Callable[[Interaction], Gate]) -> Question | None:
        """
        Return the most urgent question that is not under way; None when none is due.

        A question that failed waits, longer each time, up to a tenth of `fresh_for`.
        For the probe of an interaction, the question that was answered last comes
        first: it shows best whether the source answers at all.

        Args:
            gate: Whether questions of an interaction may pass.
        """
        moment = self._clock()
        gates: dict[Interaction, Gate] = {}
        best: tuple[Rank, Question] | None = None
        with self._lock:
            for question, state in self._states.items():
                interaction = question.interaction
                if interaction not in gates:
                    gates[interaction] = gate(interaction)
                passes = gates[interaction]
                if passes is Gate.CLOSED or state.is_under_way:
                    continue
                rank = (
                    _probe_rank(state)
                    if passes is Gate.PROBE
                    else self._rank(question, state, moment)
                )
                if rank is not None and (best is None or rank < best[0]):
                    best = rank, question
            if best is None:
                return None
            taken = self._states[best[1]]
            if best[0][1] == _WRONG:
                self._rechecked_at = moment
            taken.is_under_way = True
            # It is not asked again at once, also when it fails.
            taken.asked_at = moment
            return best[1]

    def record_answer(
        self, question: Question, at: datetime, *, near: bool = False
    ) -> None:
        """Record that a question was answered; at the start, when it last was."""
        with self._lock:
            state = self._states.get(question)
            if state is None:
                return
            state.answered_at = at
            state.is_near = near
            if (
                state.wrong_since
                and state.asked_at
                and (state.wrong_since <= state.asked_at)
            ):
                state.wrong_since = None
            state.is_under_way = state.is_wanted = False
            state.again_at = None
            state.failures, state.failing_since, state.error = 0, None, ""
            state.due_after = with_jitter(self._due(question), self._jitter)

    def record_failure(self, question: Question, error: str | None) -> int:
        """
        Record that a question failed; return how often in a row.

        Args:
            question: The question.
            error: What the source did wrong; None for a fault of our own.
        """
        with self._lock:
            state = self._states.get(question)
            if state is None:
                return 0
            moment = self._clock()
            if error is not None:
                state.failing_since = state.failing_since or state.asked_at or moment
                state.error = error
            state.asked_at = moment
            state.is_under_way = False
            state.failures = min(state.failures + 1, _MOST_DOUBLINGS)
            patience: timedelta = _FIRST_PATIENCE * (1 << state.failures)
            state.patience = with_jitter(
                min(patience, self._fresh_for / 10), self._jitter
            )
            return state.failures

    def record_doubt(self, question: Question) -> None:
        """Record that the source must repeat an answer before it is accepted."""
        with self._lock:
            state = self._states.get(question)
            if state is not None:
                state.is_under_way = False
                state.again_at = self._clock() + with_jitter(
                    min(_LONGEST_DOUBT, self._fresh_for / 20), self._jitter
                )

    def release(self, question: Question) -> None:
        """Record that a question was not asked."""
        with self._lock:
            state = self._states.get(question)
            if state is not None:
                state.is_under_way = False

    def _due(self, question: Question) -> timedelta:
        return self._fresh_for / 3 if question.interaction == TIMES else _CATALOGUE_DUE

    def _rank(
        self, question: Question, state: QuestionState, moment: datetime
    ) -> Rank | None:
        """Return how urgent a question is, the least first; None when it is not due."""
        asked_at = state.asked_at
        if state.failures and asked_at and moment < asked_at + state.patience:
            return None
        if state.again_at is not None:
            # A doubtful answer: the stored one goes on ageing.
            return (
                (_LOST, _WANTED, 0.0, state.position)
                if moment >= state.again_at
                else None
            )
        since = state.answered_at
        if state.failures > 1 or (state.failures and since is None):
            # It had its second chance; from now on it waits like the others.
            since = asked_at
        if since is None:
            return _NEVER, -1 if state.is_wanted else state.order, 0.0, state.position
        age = moment - since
        due, stale, lost = state.due_after, _CATALOGUE_STALE, _CATALOGUE_LOST
        if question.interaction == TIMES:
            stale, lost = self._fresh_for * 3 / 4, self._offered_for * 3 / 4
        is_wrong = self._is_to_be_rechecked(state, moment)
        if not state.failures and age < due and not is_wrong:
            return None
        band = _LOST if age >= lost else _STALE if age >= stale else _DUE
        interest = _WANTED if state.is_wanted else _NEAR if state.is_near else _REST
        if is_wrong:
            interest = _WRONG
        return band, interest, -(age / self._due(question)), state.position

    def _is_to_be_rechecked(self, state: QuestionState, moment: datetime) -> bool:
        return (
            state.wrong_since is not None
            and state.answered_at is not None
            and moment >= state.answered_at + _RECHECKED_AFTER
            and (
                self._rechecked_at is None
                or moment >= self._rechecked_at + _RECHECKED_EVERY
            )
        )


def _probe_rank(state: QuestionState) -> Rank:
    answered = state.answered_at.timestamp() if state.answered_at else 0.0
    return _LOST, _WANTED, -answered, state.position
