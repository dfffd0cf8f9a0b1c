"""
What this server has promised away, for every search to leave out.
"""

import threading
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

from fhir_gateway.model.timekeeping import Clock, now

__all__ = ["HeldTimeslots"]

# Another process's booking is hidden here within this time.
_LASTS: Final = timedelta(milliseconds=250)


class _Journal(Protocol):
    def held_places(
        self, *, starting_after: datetime
    ) -> Mapping[str, Sequence[float]]: ...


class HeldTimeslots:
    """
    The timeslots with live claims, read from the journal at most four times a second.

    Args:
        journal: Where claims are.
        clock: Tells the time.
    """

    def __init__(self, journal: _Journal, *, clock: Clock = now) -> None:
        self._journal = journal
        self._clock = clock
        self._lock = threading.Lock()
        self._held: Mapping[str, Sequence[float]] = {}
        self._read_at: datetime | None = None

    def __call__(self) -> Mapping[str, Sequence[float]]:
        """
        Return the timeslots of which places are promised away, by token.

        Each promise says when it was settled, in seconds; infinity when it is not.
        """
        moment = self._clock()
        with self._lock:
            if self._read_at is None or moment - self._read_at >= _LASTS:
                self._held = self._journal.held_places(starting_after=moment)
                self._read_at = moment
            return self._held

    def forget(self) -> None:
        """Read anew next time: this process has just claimed or released something."""
        with self._lock:
            self._read_at = None
