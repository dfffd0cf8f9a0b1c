"""
A tenure: for how long a worker may ask a source.
"""

import threading
from collections.abc import Callable
from math import inf
from time import monotonic

__all__ = ["Tenure", "TenureEnded"]


class TenureEnded(Exception):
    """The worker may not ask this source any more."""


class Tenure:
    """
    The time in which a source may be asked: until it is ended, or runs out.

    It is looked at before each call. The clock goes on while the process is stopped, so
    one that wakes up after its lease has run out makes no further call.

    Args:
        until: When it runs out, by `elapsed`; never, unless told.
        elapsed: Seconds that never go back.
    """

    def __init__(
        self, *, until: float = inf, elapsed: Callable[[], float] = monotonic
    ) -> None:
        self._until = until
        self._elapsed = elapsed
        self._ended = threading.Event()

    def has_ended(self) -> bool:
        """Return whether no further call may be made."""
        return self._ended.is_set() or self._elapsed() >= self._until

    def extend(self, until: float) -> None:
        """Let it last longer, if it has not ended."""
        self._until = until

    def end(self) -> None:
        """End it for good."""
        self._ended.set()

    def wait(self, seconds: float) -> bool:
        """Wait; return whether it has ended."""
        self._ended.wait(max(0.0, seconds))
        return self.has_ended()
