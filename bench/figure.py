"""
Figures: what is measured, what it should reach, and whether it does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

__all__ = ["Figure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """
    One figure. Made of several parts, its value is that of the worst part.

    Attributes:
        id: As the benchmark's table has it; each only once.
        reached: None when there is nothing to reach.
        note: The parts, and what else helps to judge the value.
    """

    id: str
    what: str
    value: float | None
    reach: str
    reached: bool | None
    note: str

    @classmethod
    def at_least(
        cls,
        identifier: str,
        what: str,
        parts: Mapping[str, float],
        reach: float,
        note: str,
    ) -> Self:
        """Return a figure of which every part should be so large."""
        value = min(parts.values())
        return cls(
            id=identifier,
            what=what,
            value=value,
            reach=f"≥ {reach:.2f}",
            reached=value >= reach,
            note=_note(parts, note),
        )

    @classmethod
    def at_most(
        cls,
        identifier: str,
        what: str,
        parts: Mapping[str, float],
        reach: float,
        note: str,
    ) -> Self:
        """Return a figure of which every part should be no larger."""
        value = max(parts.values())
        return cls(
            id=identifier,
            what=what,
            value=value,
            reach=f"≤ {reach:g}",
            reached=value <= reach,
            note=_note(parts, note),
        )

    @classmethod
    def reported(
        cls, identifier: str, what: str, value: float | None, note: str
    ) -> Self:
        """Return a figure with nothing to reach; None when it cannot be measured."""
        return cls(
            id=identifier,
            what=what,
            value=value,
            reach="report",
            reached=None,
            note=note,
        )


def _note(parts: Mapping[str, float], note: str) -> str:
    if len(parts) == 1:
        return note
    shown = ", ".join(f"{name} {value:.3g}" for name, value in parts.items())
    return f"{shown}; {note}" if note else shown
