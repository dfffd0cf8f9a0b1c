"""
Windows: the periods of calls for free times, none longer than a source accepts.
"""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta

__all__ = ["Window", "saves_calls", "windows", "windows_with"]

Window = tuple[date, date]
"""The first and the last day, both included."""


def windows(first: date, last: date, *, longest: timedelta) -> Iterator[Window]:
    """Yield windows that cover every day from the first to the last once."""
    while first <= last:
        end = min(first + longest - timedelta(days=1), last)
        yield first, end
        first = end + timedelta(days=1)


def windows_with(
    days: Iterable[date], first: date, last: date, *, longest: timedelta
) -> Iterator[Window]:
    """Yield the fewest windows that cover those of the days from first to last."""
    covered = first - timedelta(days=1)
    for day in sorted(days):
        if covered < day <= last:
            covered = min(day + longest - timedelta(days=1), last)
            yield day, covered


def saves_calls(*, in_all: int, with_times: int | None) -> bool:
    """
    Return whether asking for the days with free times first makes fewer calls.

    Args:
        in_all: How many windows there are.
        with_times: How many of them had free times last; None when that is not known.
    """
    if with_times is None:
        # At worst this costs one more call; at best it saves most windows.
        return in_all > 2  # noqa: PLR2004 - of two windows at most one is saved, at the price of one
    return 1 + with_times < in_all
