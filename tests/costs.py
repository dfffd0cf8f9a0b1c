"""
What calls cost, measured so that a busy machine fails no test.

The least of several measurements is the one that others disturbed least; processor time
of the thread leaves out what other programs take.
"""

from collections.abc import Callable
from time import monotonic, thread_time

__all__ = ["growth", "least_processor_seconds", "least_seconds"]

_TRIES = 5


def least_processor_seconds(
    call: Callable[[], object], *, enough: float = 0.0
) -> float:
    """Return the least processor time of some calls, up to the first below `enough`."""
    return _least(call, thread_time, enough)


def least_seconds(call: Callable[[], object], *, enough: float = 0.0) -> float:
    """Return the time of the quickest of some calls, up to the first below `enough`."""
    return _least(call, monotonic, enough)


def growth(call: Callable[[int], object], small: int, large: int) -> float:
    """Return how many times the processor time of a small call a large one takes."""
    least_small = least_large = float("inf")
    # By turns: a machine that slows down meanwhile slows both.
    for _ in range(_TRIES):
        least_small = min(least_small, _once(lambda: call(small), thread_time))
        least_large = min(least_large, _once(lambda: call(large), thread_time))
    return least_large / least_small


def _least(
    call: Callable[[], object], clock: Callable[[], float], enough: float
) -> float:
    least = float("inf")
    for _ in range(_TRIES):
        least = min(least, _once(call, clock))
        if least < enough:
            break
    return least


def _once(call: Callable[[], object], clock: Callable[[], float]) -> float:
    began = clock()
    call()
    return clock() - began
