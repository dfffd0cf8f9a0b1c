"""
A list in a source's answer: its readable items, and why the others were left out.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Listed"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """
    A list from a source's answer.

    Attributes:
        items: The readable ones, in the source's order.
        rejected: One sentence for each item that was left out: the element and what is
            wrong with it, never its value.
    """

    items: tuple[T, ...]
    rejected: tuple[str, ...] = ()
