"""
Suspicion: whether an answer about free times is believed.

A source that suddenly lists nothing, or very much more than before, has perhaps just
been restarted or misconfigured. Such an answer must be given twice before it replaces
what was listed until then. One beyond all measure is never believed.
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
    Judge an answer by how many free times it lists.

    Args:
        listed: How many it lists.
        before: How many of those that were listed last are still to come; None when
            nothing was ever listed.
        most: How many are believed at most.
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
