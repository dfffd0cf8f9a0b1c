"""
Rates: how often each client may do something, over all processes.

The windows are fixed: a minute by the clock, an hour by the clock. So a count is one
number, several requests can be added to it at once, and nothing is stored for each
request. The price: around the end of a window a client may do twice as much as in one.

Every process counts its own requests in memory, and adds them to a count in Redis that
shows it those of the others. While Redis is away, each process has its share of the
limit for itself.
"""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog

from fhir_gateway.model.errors import LimitReached
from fhir_gateway.model.timekeeping import Clock, now
from fhir_gateway.stores.redis_client import StoreUnavailable
from fhir_gateway.stores.request_counts import RequestCounts

__all__ = ["PAUSE", "REPORTS", "RequestRate", "SharedCounts"]

_log = structlog.get_logger()

REPORTS: Final = 10
"""How often a process reports a client that uses its share of a limit up, or more."""

PAUSE: Final = timedelta(seconds=1)
"""While Redis is away, this long no request waits for it."""

# What each process keeps in memory; all clients beyond share one count.
_MOST_CLIENTS: Final = 50_000
_OTHERS: Final = "others"


class SharedCounts:
    """
    The counts of all processes, while Redis can be asked.

    Args:
        counts: The counts in Redis.
        processes: How many processes have a share of each limit while it is away.
        pause: How long no request asks Redis after it did not answer.

    Attributes:
        is_away: Redis did not answer the last time it was asked.
    """

    def __init__(
        self,
        counts: RequestCounts,
        *,
        processes: int = 1,
        pause: timedelta = PAUSE,
    ) -> None:
        self._counts = counts
        self.processes = processes
        self._pause_s = pause.total_seconds()
        self._again_at = 0.0
        self.is_away = False
        self._soon = ThreadPoolExecutor(1, thread_name_prefix="limits")

    def add(self, name: str, amount: int, *, lasts: timedelta) -> int | None:
        """Add to a count, and return all that was added; None while Redis is away."""
        if self.is_away and time.monotonic() < self._again_at:
            return None
        try:
            total = self._counts.add(name, amount, lasts=lasts)
        except StoreUnavailable as error:
            self._again_at = time.monotonic() + self._pause_s
            if not self.is_away:
                _log.warning("limits not shared", error=error.fault.value)
            self.is_away = True
            return None
        if self.is_away:
            _log.info("limits shared again")
        self.is_away = False
        return total

    def close(self) -> None:
        """Stop the thread that adds to counts."""
        self._soon.shutdown(wait=True, cancel_futures=True)

    @property
    def soon(self) -> ThreadPoolExecutor:
        """Return the thread that adds to counts while nobody waits."""
        return self._soon


class _Count:
    """
    The requests of one client in one window.

    Attributes:
        name: Its name in Redis.
        own: Those of this process.
        reported: How many of them are in the shared count, or on their way there.
        others: Those of the other processes, as far as this one knows.
        is_queued: A report of it waits for the thread.
    """

    __slots__ = ("is_queued", "lock", "name", "others", "own", "reported")

    def __init__(self, name: str) -> None:
        self.name = name
        self.lock = threading.Lock()
        self.own = 0
        self.reported = 0
        self.others = 0
        self.is_queued = False

    def take_unreported(self) -> int:
        """Return how many were not reported, and take them as reported."""
        amount = self.own - self.reported
        self.reported = self.own
        return amount

    def learn(self, amount: int, total: int | None) -> None:
        """Take note of the shared count after that amount was added to it, or not."""
        if total is None:
            self.reported -= amount
        else:
            # Redis may have lost its counts: what this process knew still counts.
            self.others = max(self.others, total - self.reported)


@dataclass(frozen=True, slots=True)
class _Window:
    """A fixed window; the counts of its clients end with it."""

    number: int
    counts: dict[str, _Count]


class RequestRate:
    """
    Counts one kind of request, and refuses those above the limit.

    An exact rate asks Redis for each request. One that is not exact never waits for
    Redis: a process reports a client only after each tenth of its share of the limit,
    from a thread. So all processes together let a client do up to a tenth more than the
    limit, and what arrives while a report is on its way.

    Args:
        name: Its name in Redis.
        limit: How many requests of one client each window has.
        period: How long a window is, in whole seconds.
        shared: The counts of all processes.
        text: What a client has done too often, for the message.
        is_exact: Whether each request asks Redis.
        clock: Returns the time; its windows are those of all processes.
    """

    def __init__(
        self,
        name: str,
        limit: int,
        *,
        period: timedelta,
        shared: SharedCounts,
        text: str,
        is_exact: bool = True,
        clock: Clock = now,
    ) -> None:
        self._name = name
        self._limit = limit
        self._period = period
        self._period_s = int(period.total_seconds())
        self._shared = shared
        self._share = max(1, limit // shared.processes)
        self._step = max(1, self._share // REPORTS)
        self._is_exact = is_exact
        self._text = text
        self._clock = clock
        self._lock = threading.Lock()
        self._window = _Window(-1, {})

    def count(self, client: str, amount: int = 1) -> None:
        """
        Count requests of a client.

        Args:
            client: A keyed hash of its name.
            amount: How many requests this one counts as; 0 counts none.

        Raises:
            LimitReached: The client had too few left in this window. The refused
                request counts too, which does not make the window longer.
        """
        moment = self._clock().timestamp()
        count = self._count_of(client, moment)
        with count.lock:
            count.own += amount
            if self._is_exact:
                # The lock is the client's own: nobody else waits for its turn.
                added = count.take_unreported()
                count.learn(added, self._add(count, added))
            elif not count.is_queued and count.own - count.reported >= self._step:
                count.is_queued = True
                self._shared.soon.submit(self._report, count)
            is_above = self._exceeds(count, 0 if amount else 1)
        if is_above:
            raise self._reached(moment)

    def check(self, client: str) -> None:
        """
        Check that a client has a request left; this counts none.

        Raises:
            LimitReached: It has none left in this window.
        """
        self.count(client, 0)

    def _exceeds(self, count: _Count, more: int) -> bool:
        """Return whether so many more requests would be above the limit."""
        own = count.own + more
        return own + count.others > self._limit or (
            self._shared.is_away and own > self._share
        )

    def _count_of(self, client: str, moment: float) -> _Count:
        """Return the count of a client in the present window."""
        number = int(moment) // self._period_s
        with self._lock:
            # Also when the clock was set back: a window must not last until it catches
            # up.
            if self._window.number != number:
                self._window = _Window(number, {})
            counts = self._window.counts
            count = counts.get(client)
            if count is None:
                if len(counts) >= _MOST_CLIENTS:
                    client = _OTHERS
                name = f"{self._name}:{client}:{number}"
                count = counts.setdefault(client, _Count(name))
        return count

    def _report(self, count: _Count) -> None:
        with count.lock:
            count.is_queued = False
            amount = count.take_unreported()
        total = self._add(count, amount)
        with count.lock:
            count.learn(amount, total)

    def _add(self, count: _Count, amount: int) -> int | None:
        return self._shared.add(count.name, amount, lasts=self._period)

    def _reached(self, moment: float) -> LimitReached:
        return LimitReached(
            f"{self._text} {self._limit}: wait as long as Retry-After says.",
            retry_after=timedelta(seconds=self._period_s - moment % self._period_s),
        )
