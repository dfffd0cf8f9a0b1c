"""
Weekly hours: days of the week and times of day, on the Swedish clock.
"""

from dataclasses import dataclass
from typing import Final

__all__ = ["DAYS", "MINUTES_OF_A_DAY", "WeeklyHours"]

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_OF_A_DAY: Final = 24 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class WeeklyHours:
    """
    Some minutes of some days.

    Attributes:
        days: Positions in `DAYS`.
        minutes: Minutes since midnight on the clock; 150 is 02:30, which autumn's
            change-over night has twice and spring's does not have.
    """

    days: frozenset[int] = frozenset(range(len(DAYS)))
    minutes: frozenset[int] = frozenset(range(MINUTES_OF_A_DAY))
