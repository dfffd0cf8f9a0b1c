"""
What of an answer cannot be read: an item that is left out, or a malformed part.
"""

from collections import Counter
from typing import Final

__all__ = ["MOST_REASONS", "SOME_ELEMENT", "MalformedElement", "Rejections"]

MOST_REASONS: Final = 100
SOME_ELEMENT: Final = "an element"


class MalformedElement(ValueError):
    """
    An element is missing or impossible.

    Attributes:
        element: Its name, as `timeslotDetail/startTimeInclusive`.
        reason: What is wrong with it, without its value.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.element = name
        self.reason = reason

    def inside(self, parent: str) -> "MalformedElement":
        """Return the same, named from one level further out."""
        return MalformedElement(f"{parent}/{self.element}", self.reason)


class Rejections:
    """
    What was left out of an answer.

    Attributes:
        by_reason: How many items and parts of items, by what was wrong: the element and
            its fault, never its value. After the first hundred, elements that the
            writer named share one name.
        keys: What each left-out item says in its key element (see `elements`); None
            stands for those that say nothing there, or have no such element.
    """

    __slots__ = ("by_reason", "keys")

    def __init__(self) -> None:
        self.by_reason: Counter[str] = Counter()
        self.keys: set[str | None] = set()

    def leave_out(self, name: str, reason: str) -> None:
        """Count a part of an item that is left out of it."""
        self._count(name, reason)

    def leave_out_item(self, name: str, reason: str, key: str | None) -> None:
        """Count an item that is left out."""
        self._count(name, reason)
        self.keys.add(key)

    def _count(self, name: str, reason: str) -> None:
        counted = f"{name}: {reason}"
        if counted not in self.by_reason and len(self.by_reason) >= MOST_REASONS:
            counted = f"{SOME_ELEMENT}: {reason}"
        self.by_reason[counted] += 1
