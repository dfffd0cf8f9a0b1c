"""
Whether a history of one register could have come from one that answers one at a time.

Wing & Gong's search with Lowe's memory: "Testing for linearizability", Concurrency and
Computation 29(4), 2017. The register of a slot holds the persons who have it, at most
as many as it has places.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import Final

__all__ = ["Act", "Step", "is_linearizable"]

_MOST_STATES: Final = 200_000
NOBODY: Final[frozenset[str]] = frozenset()


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


def is_linearizable(steps: Sequence[Step], *, places: int = 1) -> bool:
    """
    Return whether one order of the steps explains all that was answered.

    Raises:
        ValueError: The history is too tangled to decide.
    """
    relevant = _relevant(steps)
    relevant.sort(key=lambda step: step.began)
    ends = [step.ended if step.is_certain else inf for step in relevant]
    certain = sum(1 << n for n, step in enumerate(relevant) if step.is_certain)
    seen: set[tuple[int, frozenset[str]]] = set()
    waiting: list[tuple[int, frozenset[str]]] = [((1 << len(relevant)) - 1, NOBODY)]
    while waiting:
        left, holders = waiting.pop()
        left, possible = _next(relevant, ends, left, holders)
        if not left & certain:
            return True
        if (left, holders) in seen:
            continue
        if len(seen) > _MOST_STATES:
            raise ValueError("too many possible orders")
        seen.add((left, holders))
        # The last is tried first: what ended first, and what is uncertain last.
        for n in sorted(possible, key=lambda n: -ends[n]):
            after = _after(holders, relevant[n], places)
            if after is not None:
                waiting.append((left & ~(1 << n), after))
    return False


def _next(
    steps: Sequence[Step], ends: Sequence[float], left: int, holders: frozenset[str]
) -> tuple[int, list[int]]:
    """
    Return what is left once all that can be seen now has been, and what may come next.

    What only sees, and sees what is so, may as well come at once.
    """
    while True:
        remaining = [n for n in range(len(steps)) if left >> n & 1]
        # Whatever began after another has ended cannot come before it.
        first_end = min((ends[n] for n in remaining), default=inf)
        possible = [n for n in remaining if steps[n].began <= first_end]
        seen = sum(
            1 << n
            for n in possible
            if (steps[n].act is Act.HOLDS and steps[n].person in holders)
            or (steps[n].act is Act.LACKS and steps[n].person not in holders)
        )
        if not seen:
            return left, possible
        left &= ~seen


def _relevant(steps: Sequence[Step]) -> list[Step]:
    """Leave out what may have happened and explains nothing."""
    shown = {
        step.person
        for step in steps
        if step.act in (Act.ACQUIRE, Act.HOLDS) and step.is_certain
    }
    return [
        step
        for step in steps
        if step.is_certain
        or (step.person in shown and step.act in (Act.ACQUIRE, Act.RELEASE))
    ]


def _after(holders: frozenset[str], step: Step, places: int) -> frozenset[str] | None:
    """Return who holds the register after a step, None when it cannot come now."""
    match step.act:
        case Act.ACQUIRE:
            if step.person in holders:
                return holders
            return holders | {step.person} if len(holders) < places else None
        case Act.RELEASE:
            return holders - {step.person}
        case Act.HOLDS:
            return holders if step.person in holders else None
        case Act.LACKS:
            return holders if step.person not in holders else None
