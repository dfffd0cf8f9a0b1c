"""
The pace: calls leave at an even rate, whatever is asked and by which thread.
"""

import threading
from collections.abc import Callable
from time import monotonic

__all__ = ["Pace"]


class Pace:
    """
    Gives calls their turns, so many a second.

    Args:
        calls_per_second: The rate.
        begins_in_s: How long the first turn waits.
        elapsed: Seconds that never go back.
    """

    def __init__(
        self,
        calls_per_second: float,
        *,
        begins_in_s: float = 0.0,
        elapsed: Callable[[], float] = monotonic,
    ) -> None:
        self._interval = 1 / calls_per_second
        self._elapsed = elapsed
        self._lock = threading.Lock()
        self._next = elapsed() + begins_in_s

    def turn(self, *, within_s: float | None = None) -> float | None:
        """
        Take the next turn; return in how many seconds it is.

        Args:
            within_s: How long one would wait; when the turn is later none is taken, and
                None is returned.
        """
        with self._lock:
            present = self._elapsed()
            turn = max(self._next, present)
            if within_s is not None and turn - present > within_s:
                return None
            self._next = turn + self._interval
            return turn - present
