"""
A list in a source's answer: what could be read of it, and why the rest was left out.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Listed"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """
    The items of a list that a source has answered.

    Attributes:
        items: Those that could be read, in the source's order.
        rejected: One sentence for each item that was left out: the element and what is
            wrong with it, never its value.
    """

    items: tuple[T, ...]
    rejected: tuple[str, ...] = ()
