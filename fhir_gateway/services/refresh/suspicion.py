"""
Suspicion: whether to accept an answer about free times.

A source that suddenly lists nothing, or far more than before, may have been restarted
or misconfigured. The source must give such an answer twice before it replaces the
earlier list. An answer over the absolute limit is never accepted.
"""

from enum import Enum
from typing import Final

__all__ = ["Verdict", "verdict"]

_GROWTH: Final = 20
_MANY: Final = 1_000


class Verdict(Enum):
    """What to do with an answer."""

    BELIEVED = "believed"
    DOUBTED = "doubted"
    REFUSED = "refused"


def verdict(*, listed: int, before: int | None, most: int) -> Verdict:
    """
    Return what to do with an answer, by how many free times it lists.

    Args:
        listed: How many it lists.
        before: How many times of the last answer are still to come; None when there
            was no answer.
        most: The absolute limit of free times.
    """
    if listed > most:
        return Verdict.REFUSED
    if before is None:
        return Verdict.BELIEVED
    if before > 0 and listed == 0:
        return Verdict.DOUBTED
    if listed > _MANY and listed > _GROWTH * max(before, 1):
        return Verdict.DOUBTED
    return Verdict.BELIEVED
