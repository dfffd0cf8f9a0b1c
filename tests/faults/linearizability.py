"""
Whether a history of one register could have come from one that answers one at a time.

Wing & Gong's search with Lowe's memory: "Testing for linearizability", Concurrency and
Computation 29(4), 2017. The register of a slot holds the persons who have it, at most
as many as it has places.

Only what is certain is searched. What may have happened, at any time since it began or
never, is taken where a certain step needs it, and there alone: it can wait until then.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from math import inf
from typing import Final

__all__ = ["Act", "Step", "is_linearizable"]

# A search that has gone astray early hardly ever finds its way: many short ones do.
_MOST_STATES: Final = 2_000
_TRIES: Final = 40


class Act(Enum):
    """What an operation does to the register, or sees in it."""

    ACQUIRE = "acquire"
    RELEASE = "release"
    HOLDS = "holds"
    LACKS = "lacks"


@dataclass(frozen=True, kw_only=True)
class Step:
    """
    One operation on one register.

    Attributes:
        is_certain: False when it may have taken effect at any time since it began, or
            never.
    """

    act: Act
    person: str
    began: float
    ended: float
    is_certain: bool = True


@dataclass(frozen=True)
class _State:
    """
    How far an order has come.

    Attributes:
        left: The certain steps that are still to come.
        holders: Who holds the register.
        maybe: The uncertain steps that have not been taken.
    """

    left: frozenset[Step]
    holders: frozenset[str]
    maybe: frozenset[Step]

    def without(self, step: Step, holders: frozenset[str]) -> "_State":
        """Return the state after a step."""
        return _State(self.left - {step}, holders, self.maybe - {step})


def is_linearizable(steps: Sequence[Step], *, places: int = 1) -> bool:
    """
    Return whether one order of the steps explains all that was answered.

    Raises:
        ValueError: The history is too tangled to decide.
    """
    certain = {_own(step, n) for n, step in enumerate(steps) if step.is_certain}
    maybe = {_own(step, n) for n, step in enumerate(steps) if not step.is_certain}
    first = _State(frozenset(certain), frozenset(), frozenset(maybe))
    for attempt in range(_TRIES):
        chance = random.Random(attempt)  # noqa: S311 - no secret: a checker's search, the same each time
        # What ended first comes first; then that, more or less.
        found = _search(first, places, partial(chance.uniform, 0, attempt))
        if found is not None:
            return found
    raise ValueError("too many possible orders")


def _search(first: _State, places: int, astray: Callable[[], float]) -> bool | None:
    """Return whether there is an order, None when the search was given up."""
    seen: set[_State] = set()
    waiting = [first]
    while waiting:
        state = _freely(waiting.pop())
        if not state.left:
            return True
        if state in seen:
            continue
        if len(seen) > _MOST_STATES:
            return None
        seen.add(state)
        # The last is tried first.
        for step in sorted(_possible(state), key=lambda step: -step.ended + astray()):
            waiting.extend(_after(state, step, places))
    return False


@dataclass(frozen=True, kw_only=True)
class _Numbered(Step):
    """A step that differs from another one like it."""

    number: int


def _own(step: Step, number: int) -> Step:
    return _Numbered(
        act=step.act,
        person=step.person,
        began=step.began,
        ended=step.ended,
        is_certain=step.is_certain,
        number=number,
    )


def _possible(state: _State) -> list[Step]:
    """Return the certain steps that may come next."""
    # What began after another has ended cannot precede it.
    first_end = min(step.ended for step in state.left)
    return [step for step in state.left if step.began <= first_end]


def _maybe(state: _State, act: Act, person: str) -> Step | None:
    """Return an uncertain step that may have come by now."""
    first_end = min(step.ended for step in state.left)
    for step in state.maybe:
        if (step.act, step.person) == (act, person) and step.began <= first_end:
            return step
    return None


def _freely(state: _State) -> _State:
    """Take what can do no harm now: what only sees, and what nobody will miss."""
    while state.left:
        step = next(_harmless(state), None)
        if step is None:
            break
        holders = state.holders
        if step.act is Act.RELEASE:
            holders -= {step.person}
        state = state.without(step, holders)
    return state


def _harmless(state: _State) -> Iterator[Step]:
    wanting = {
        step.person for step in state.left if step.act in (Act.HOLDS, Act.ACQUIRE)
    }
    for step in _possible(state):
        is_holder = step.person in state.holders
        match step.act:
            case Act.HOLDS if is_holder:
                yield step
            case Act.LACKS if not is_holder:
                yield step
            case Act.RELEASE if step.person not in wanting:
                yield step
    for person in state.holders - wanting:
        released = _maybe(state, Act.RELEASE, person)
        if released is not None:
            yield released


def _after(state: _State, step: Step, places: int) -> Iterator[_State]:
    """Yield what a step can lead to, with the uncertain steps that it needs."""
    person, is_holder = step.person, step.person in state.holders
    match step.act:
        case Act.RELEASE:
            yield state.without(step, state.holders - {person})
        case Act.LACKS:
            released = _maybe(state, Act.RELEASE, person)
            if released is not None:
                yield state.without(released, state.holders - {person}).without(
                    step, state.holders - {person}
                )
        case Act.ACQUIRE if is_holder:
            yield state.without(step, state.holders)
        case Act.ACQUIRE:
            for roomy in _with_room(state, places):
                yield roomy.without(step, roomy.holders | {person})
        case Act.HOLDS:
            acquired = _maybe(state, Act.ACQUIRE, person)
            if acquired is not None:
                for roomy in _with_room(state, places):
                    held = roomy.holders | {person}
                    yield roomy.without(acquired, held).without(step, held)


def _with_room(state: _State, places: int) -> Iterator[_State]:
    """Yield the state when there is room for one more, else those that make room."""
    if len(state.holders) < places:
        yield state
        return
    wanted = {
        person: min(
            (
                step.ended
                for step in state.left
                if step.person == person and step.act in (Act.HOLDS, Act.ACQUIRE)
            ),
            default=inf,
        )
        for person in state.holders
    }
    # The last is tried first: who will be missed last.
    for person in sorted(state.holders, key=lambda each: (wanted[each], each)):
        released = _maybe(state, Act.RELEASE, person)
        if released is not None:
            yield state.without(released, state.holders - {person})
