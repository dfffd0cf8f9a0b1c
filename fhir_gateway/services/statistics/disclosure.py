"""
Which counts may be shown: none under five, and none that others would give away.

The counts of one month and one kind form a tree: a source's total, and the same total
broken down in several ways (by unit, by channel …). The rules, source by source:

1. A total of 1 to 4 is hidden, with all its breakdowns, zeros included.
2. In a breakdown, counts of 1 to 4 are hidden, and so are the smallest of the others,
   all that are equally small. Each hidden count could then be any one of them: their
   values could be exchanged, and everything shown would be the same.
3. Where a breakdown has no others, all its counts but zeros are hidden, and their sum
   is the total. If the total equals their number, each would be 1: then the source is
   hidden as in rule 1.
4. The total of all sources is the sum of those that are shown; and so are sums over
   months. A hidden count is in no sum.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["LEAST_SHOWN", "Breakdown", "Shown", "ShownSource", "disclose"]

LEAST_SHOWN: Final = 5
"""The smallest count that is shown, besides zero."""

Breakdown = Mapping[str, int]
"""Counts by what they are broken down by; all together they are the total."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSource:
    """
    What may be shown of a source's counts.

    Attributes:
        total: None where it is hidden; then the breakdowns are empty.
        breakdowns: By name, the counts that are not zero; None stands for a hidden one.
    """

    total: int | None
    breakdowns: Mapping[str, Mapping[str, int | None]]

    def of(self, breakdown: str, key: str) -> int | None:
        """Return a count of a breakdown; None for a hidden one."""
        if self.total is None:
            return None
        return self.breakdowns[breakdown].get(key, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """
    What may be shown of one kind of count in one month.

    Attributes:
        total: The sum of the sources that are shown.
        is_least: More were counted: a source is hidden.
        sources: By name; one without any count is not there.
    """

    total: int
    is_least: bool
    sources: Mapping[str, ShownSource]


def disclose(counts: Mapping[str, Mapping[str, Breakdown]]) -> Shown:
    """
    Return what may be shown.

    Args:
        counts: By source and by name, the breakdowns of the source's total; each of
            them adds up to it.
    """
    sources = {
        source: _source(breakdowns)
        for source, breakdowns in counts.items()
        if any(sum(each.values()) for each in breakdowns.values())
    }
    totals = [each.total for each in sources.values()]
    return Shown(
        total=sum(each for each in totals if each is not None),
        is_least=None in totals,
        sources=sources,
    )


def _source(breakdowns: Mapping[str, Breakdown]) -> ShownSource:
    total = sum(next(iter(breakdowns.values())).values())
    if total < LEAST_SHOWN or any(
        _is_betrayed(each.values(), total) for each in breakdowns.values()
    ):
        return ShownSource(total=None, breakdowns={})
    return ShownSource(
        total=total,
        breakdowns={name: _hidden(each) for name, each in breakdowns.items()},
    )


def _is_betrayed(counts: Iterable[int], total: int) -> bool:
    """Return whether a total says of each count that it is 1."""
    kept = [each for each in counts if each]
    return len(kept) == total


def _hidden(counts: Breakdown) -> dict[str, int | None]:
    kept = {key: count for key, count in counts.items() if count}
    others = [count for count in kept.values() if count >= LEAST_SHOWN]
    if len(others) == len(kept):
        return dict(kept)
    smallest = min(others, default=0)
    return {
        key: None if count < LEAST_SHOWN or count == smallest else count
        for key, count in kept.items()
    }
