"""
A lease's deadline: until when a worker may ask a source, by the worker's own clock.
"""

import threading
from collections.abc import Callable
from math import inf
from time import monotonic

__all__ = ["LeaseDeadline", "LeaseEnded"]


class LeaseEnded(Exception):
    """The worker may no longer ask this source."""


class LeaseDeadline:
    """
    Until when a source may be asked; the worker can end it earlier, or extend it.

    The worker checks it before each call. The clock goes on while the process is
    stopped, so a process that wakes up after its lease has run out makes no call.

    Args:
        until: The deadline, by `elapsed`; without one it never passes by itself.
        elapsed: Returns seconds that never go back.
    """

    def __init__(
        self, *, until: float = inf, elapsed: Callable[[], float] = monotonic
    ) -> None:
        self._until = until
        self._elapsed = elapsed
        self._ended = threading.Event()

    def has_passed(self) -> bool:
        """Return whether the worker may make no further call."""
        return self._ended.is_set() or self._elapsed() >= self._until

    def extend(self, until: float) -> None:
        """Move the deadline, unless it was ended."""
        self._until = until

    def end(self) -> None:
        """End the lease for good."""
        self._ended.set()

    def wait(self, seconds: float) -> bool:
        """Wait for some seconds or until `end`; return whether it has passed."""
        self._ended.wait(max(0.0, seconds))
        return self.has_passed()
