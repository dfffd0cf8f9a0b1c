"""
Weekly hours: days of the week and times of day, on the Swedish clock.
"""

from dataclasses import dataclass
from typing import Final

__all__ = ["ALL_DAYS", "ALL_MINUTES", "DAYS", "MINUTES_OF_A_DAY", "WeeklyHours"]

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ALL_DAYS: Final = frozenset(range(len(DAYS)))
MINUTES_OF_A_DAY: Final = 24 * 60
ALL_MINUTES: Final = (1 << MINUTES_OF_A_DAY) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class WeeklyHours:
    """
    Some minutes of some days.

    Attributes:
        days: Positions in `DAYS`.
        minutes: Minutes since midnight on the clock, as the bits of a number: bit 150
            is 02:30, which occurs twice in autumn's change-over night and never in
            spring's. A set of numbers would take hundreds of times the memory.
    """

    days: frozenset[int] = ALL_DAYS
    minutes: int = ALL_MINUTES
