"""
A worker's share: the sources that it asks. One worker at a time asks each source.

Only the worker that holds a source's lease asks it. A lease expires when its holder
does not renew it, since it was killed or stopped or cannot reach Redis. By the holder's
own clock the lease deadline passes a little earlier, so that it stops before another
worker begins. Workers take equal shares.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import inf
from random import SystemRandom
from time import monotonic
from typing import Final, Protocol

import structlog

from fhir_gateway.model.ids import SourceName
from fhir_gateway.services.refresh.lease_deadline import LeaseDeadline
from fhir_gateway.stores.redis_client import StoreUnavailable
from fhir_gateway.stores.source_lease import SourceLeases

__all__ = ["LeasedWork", "WorkerShare"]

_log = structlog.get_logger()

_LASTS: Final = timedelta(seconds=12)
_TICK: Final = timedelta(seconds=2)
# In twelve seconds the clocks of two machines drift apart far less than this.
_MARGIN: Final = timedelta(seconds=2)


class LeasedWork(Protocol):
    """The work for a source while this worker holds its lease."""

    @property
    def source(self) -> SourceName:
        """Return the source of the lease."""
        ...

    def run(self, deadline: LeaseDeadline) -> None:
        """Work until the deadline passes."""
        ...


@dataclass(slots=True, kw_only=True)
class _Held:
    """A lease of this worker, and the thread of its work."""

    deadline: LeaseDeadline
    thread: threading.Thread
    is_lost: bool = False


class WorkerShare:
    """
    Takes, renews and releases the leases of one worker.

    Args:
        work: The work, one for each source.
        leases: The store of the leases.
        holder: The name of this worker, unlike any other's.
        lasts: How long a lease lasts without being renewed.
        elapsed: Returns seconds that never go back.
    """

    def __init__(
        self,
        work: Sequence[LeasedWork],
        leases: SourceLeases,
        holder: str,
        *,
        lasts: timedelta = _LASTS,
        elapsed: Callable[[], float] = monotonic,
    ) -> None:
        self._work = {each.source: each for each in work}
        self._leases = leases
        self._holder = holder
        self._lasts = lasts
        self._elapsed = elapsed
        self._held: dict[SourceName, _Held] = {}
        self._is_away = False
        self._known_until = -inf
        self._takes_from = -inf

    @property
    def sources(self) -> frozenset[SourceName]:
        """Return the sources that it asks now."""
        return frozenset(
            name for name, held in self._held.items() if not held.deadline.has_passed()
        )

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; returns when the calls in flight have ended."""
        while not stop.is_set():
            self.tick()
            stop.wait(_TICK.total_seconds())
        self.close()

    def tick(self) -> None:
        """Renew the held leases; take free ones, up to an equal share."""
        try:
            present = self._attend()
            self._renew()
            self._share(present)
        except StoreUnavailable as error:
            # The deadlines pass first; no other worker gets the leases before that.
            if not self._is_away:
                _log.warning("leases cannot be renewed", reason=str(error))
            self._is_away = True
        else:
            if self._is_away:
                _log.info("leases can be renewed again")
            self._is_away = False
        self._forget_ended()

    def close(self) -> None:
        """Stop working, and release each lease when its last call has ended."""
        for held in self._held.values():
            held.deadline.end()
        for name, held in self._held.items():
            held.thread.join()
            self._give_back(name)
        self._held.clear()
        try:
            self._leases.leave(self._holder)
        except StoreUnavailable as error:
            _log.info("leases run out by themselves", reason=str(error))

    def _attend(self) -> int:
        """Record that this worker is running; return how many are."""
        elapsed, until = self._elapsed(), self._until()
        presence = self._leases.attend(self._holder, lasts=self._lasts)
        if elapsed < self._known_until and not presence.was_known:
            # Redis was emptied, and with it the leases of other workers. This worker
            # takes a free source when those have run out, or are in Redis again.
            _log.warning("the leases were emptied")
            self._takes_from = elapsed + self._lasts.total_seconds()
        self._known_until = until
        return presence.workers

    def _renew(self) -> None:
        for name, held in self._held.items():
            until = self._until()
            is_mine = self._leases.renew(name, self._holder, lasts=self._lasts)
            if not is_mine and not held.deadline.has_passed():
                # Redis may have been emptied, and no other worker has taken the lease.
                is_mine = self._leases.acquire(name, self._holder, lasts=self._lasts)
            if is_mine:
                held.deadline.extend(until)
            elif not held.is_lost:
                _log.warning("lease lost", source=name)
                held.is_lost = True
                held.deadline.end()

    def _share(self, present: int) -> None:
        if self._elapsed() < self._takes_from:
            return
        most = -(-len(self._work) // max(1, present))
        active = [name for name in self._held if name in self.sources]
        for name in active[most:]:
            _log.info("source handed over", source=name)
            self._held[name].deadline.end()
        free = [name for name in self._work if name not in self._held]
        SystemRandom().shuffle(free)
        for name in free:
            if len(self.sources) >= most:
                return
            until = self._until()
            if self._leases.acquire(name, self._holder, lasts=self._lasts):
                self._begin(name, until)

    def _begin(self, name: SourceName, until: float) -> None:
        deadline = LeaseDeadline(until=until, elapsed=self._elapsed)
        thread = threading.Thread(
            target=self._run, args=(name, deadline), name=f"refresh-{name}"
        )
        self._held[name] = _Held(deadline=deadline, thread=thread)
        _log.info("lease taken", source=name)
        thread.start()

    def _run(self, name: SourceName, deadline: LeaseDeadline) -> None:
        try:
            self._work[name].run(deadline)
        except Exception as error:  # noqa: BLE001 - a fault of this program's own must not end the others' work, nor go unseen
            _log.error("refresh failed", source=name, kind=type(error).__name__)
        finally:
            deadline.end()

    def _forget_ended(self) -> None:
        """Release the leases when their work has ended; renew them until then."""
        for name, held in list(self._held.items()):
            if held.deadline.has_passed():
                # A lease that expired has ended for good.
                held.deadline.end()
                if not held.thread.is_alive():
                    self._give_back(name)
                    del self._held[name]

    def _give_back(self, name: SourceName) -> None:
        try:
            self._leases.release(name, self._holder)
        except StoreUnavailable as error:
            _log.info("lease runs out by itself", source=name, reason=str(error))

    def _until(self) -> float:
        return self._elapsed() + (self._lasts - _MARGIN).total_seconds()
