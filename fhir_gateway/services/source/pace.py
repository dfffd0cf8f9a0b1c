"""
The pace: calls of all threads are made at one even rate.
"""

import threading
from collections.abc import Callable
from time import monotonic

__all__ = ["Pace"]


class Pace:
    """
    Spaces calls evenly.

    Args:
        calls_per_second: The rate.
        begins_in_s: How long the first call waits.
        elapsed: Returns seconds that never go back.
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

    def reserve(self, *, within_s: float | None = None) -> float | None:
        """
        Reserve the next call; return in how many seconds it may be made.

        Args:
            within_s: The longest wait. If the call may be made only later, the method
                reserves none and returns None.
        """
        with self._lock:
            present = self._elapsed()
            leaves_at = max(self._next, present)
            if within_s is not None and leaves_at - present > within_s:
                return None
            self._next = leaves_at + self._interval
            return leaves_at - present
