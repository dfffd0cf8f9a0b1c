"""
A circuit breaker: it stops calls that fail as a whole, and tries one probe at a time.
"""

import threading
from collections.abc import Callable, Hashable
from datetime import datetime, timedelta
from random import SystemRandom
from typing import Final

from fhir_gateway.model.timekeeping import Clock, now

__all__ = ["Breaker", "Jitter", "with_jitter"]

Jitter = Callable[[], float]
"""Returns a number from 0 to 1: where in its range a waiting time falls."""

_EVEN: Final = SystemRandom().random
_MOST_DOUBLINGS: Final = 20
_LEAST: Final = 0.8
_RANGE: Final = 0.4


def with_jitter(duration: timedelta, jitter: Jitter = _EVEN) -> timedelta:
    """Return a waiting time up to a fifth shorter or longer, so that calls spread."""
    return duration * (_LEAST + _RANGE * jitter())


class Breaker:
    """
    Lets calls through until so many different questions have failed in a row.

    Open, it lets nothing through for a pause that doubles with each failed probe; then
    it is half open: one call is let through, and its outcome closes or opens it. Every
    call that it allowed ends with `record_success`, `record_failure` or `cancel`.

    Args:
        failures: How many different questions must fail in a row to open it.
        first_pause: How long it stays open the first time.
        longest_pause: The longest pause.
        clock: Returns the current time.
        jitter: Spreads the pauses.
    """

    def __init__(
        self,
        *,
        failures: int = 5,
        first_pause: timedelta = timedelta(seconds=2),
        longest_pause: timedelta = timedelta(minutes=1),
        clock: Clock = now,
        jitter: Jitter = _EVEN,
    ) -> None:
        self._most = failures
        self._first_pause = first_pause
        self._longest_pause = longest_pause
        self._clock = clock
        self._jitter = jitter
        self._lock = threading.Lock()
        self._failed: set[Hashable] = set()
        self._first_failed_at: datetime | None = None
        self._opened_at: datetime | None = None
        self._tried_again_at: datetime | None = None
        self._probes = 0
        self._is_probing = False

    @property
    def failing_since(self) -> datetime | None:
        """Return when the failures began that have opened it; None while closed."""
        with self._lock:
            return self._first_failed_at if self._opened_at else None

    @property
    def would_allow(self) -> bool:
        """Return whether `allows` would return True now."""
        with self._lock:
            return self._is_passable()

    def allows(self) -> bool:
        """Return whether a call may be made now; half open, that call is the probe."""
        with self._lock:
            if not self._is_passable():
                return False
            self._is_probing = self._opened_at is not None
            return True

    def record_success(self) -> None:
        """Close it: a call was answered."""
        with self._lock:
            self._failed.clear()
            self._first_failed_at = None
            self._opened_at = None
            self._tried_again_at = None
            self._probes = 0
            self._is_probing = False

    def record_failure(self, about: Hashable = None, *, of: int | None = None) -> None:
        """
        Count a failure; the breaker opens when enough different questions have failed.

        Args:
            about: The question of the call; the same question counts once. None counts
                each time.
            of: How many questions there are, where all of them may be fewer than the
                number of failures.
        """
        with self._lock:
            moment = self._clock()
            self._first_failed_at = self._first_failed_at or moment
            if self._opened_at is not None:
                # The call began before the breaker opened: its failure is no news.
                if self._is_probing:
                    self._is_probing = False
                    self._probes = min(self._probes + 1, _MOST_DOUBLINGS)
                    self._open(moment)
                return
            self._failed.add(object() if about is None else about)
            if len(self._failed) >= min(self._most, of or self._most):
                self._open(moment)

    def cancel(self) -> None:
        """Withdraw an allowed call: it was not made, or its outcome is unknown."""
        with self._lock:
            self._is_probing = False

    def _is_passable(self) -> bool:
        if self._opened_at is None or self._tried_again_at is None:
            return True
        return not self._is_probing and self._clock() >= self._tried_again_at

    def _open(self, moment: datetime) -> None:
        self._opened_at = moment
        pause: timedelta = self._first_pause * (1 << self._probes)
        self._tried_again_at = moment + with_jitter(
            min(pause, self._longest_pause), self._jitter
        )
