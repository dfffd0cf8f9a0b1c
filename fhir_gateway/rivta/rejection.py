"""
What cannot be read of an answer: items that are left out, and malformed parts.
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
        element: Its name, for example `timeslotDetail/startTimeInclusive`.
        reason: Its fault, without its value.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.element = name
        self.reason = reason

    def inside(self, parent: str) -> "MalformedElement":
        """Return the same fault with the name of the parent before the element's."""
        return MalformedElement(f"{parent}/{self.element}", self.reason)


class Rejections:
    """
    The items, and parts of items, that were left out of an answer.

    Attributes:
        by_reason: How many of them, by the element and its fault, never by its value.
            After the first hundred reasons, all elements share one name.
        keys: The text of the key element of each left-out item (see `elements`); None
            for an item without such a text.
    """

    __slots__ = ("by_reason", "keys")

    def __init__(self) -> None:
        self.by_reason: Counter[str] = Counter()
        self.keys: set[str | None] = set()

    def leave_out(self, name: str, reason: str) -> None:
        """Count a part that is left out of its item."""
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
