"""
Bulkhead: limits the bookings under way at one source, and how long a client waits.

All calls to a source for one booking (fresh look, write, read-back) share one permit.
The write runs in its own thread. After some seconds the client gets what is known then,
and a later answer still settles the intent.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Final, TypeVar

import structlog

from fhir_gateway.model.errors import Busy, GatewayError, Refused, Unavailable
from fhir_gateway.model.fault_place import fault_place
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.source import Source
from fhir_gateway.model.timekeeping import Clock, now
from fhir_gateway.services.source.breaker import Breaker

__all__ = ["ANSWERS_WITHIN", "Bulkhead", "Permit"]

_log = structlog.get_logger()

_Result = TypeVar("_Result")

ANSWERS_WITHIN: Final = timedelta(seconds=10)
"""How long a client waits for a booking before the answer is `pending`."""

# A client waits for a permit only while others of its source are taken or returned.
_STANDS_STILL_S: Final = 1.0
_QUEUES_FOR_S: Final = 5.0
# Applies also after a slow fresh look: most writes are answered within this.
_LEAST_WAIT_S: Final = 2.0
# Together with the client's wait so far, as long as a write may take.
_DRAINS_WITHIN: Final = timedelta(seconds=25)


class Bulkhead:
    """
    Gives out the permits for the sources of one process.

    Args:
        sources: The sources by name.
        answers_within: How long a client waits, the fresh look included.
        clock: Returns the time.
    """

    def __init__(
        self,
        sources: Mapping[SourceName, Source],
        *,
        answers_within: timedelta = ANSWERS_WITHIN,
        clock: Clock = now,
    ) -> None:
        self._answers_within_s = answers_within.total_seconds()
        self._permits = {
            name: _Permits(source.writes_in_flight) for name, source in sources.items()
        }
        self._breakers = {name: Breaker(clock=clock) for name in sources}
        self._under_way: set[threading.Thread] = set()
        self._is_closing = False

    @contextmanager
    def admit(
        self, source: Source, *, waits: timedelta | None = None
    ) -> Iterator["Permit"]:
        """
        Give a permit for a source; it ends with the block, or with its write if later.

        Args:
            source: Which one.
            waits: How long the client waits for a write, once it was sent; None for as
                long as clients usually do.

        Raises:
            Busy: Too many bookings are under way at the source, or the process stops.
            Unavailable: The source failed so often that it gets no calls for a moment.
        """
        if self._is_closing:
            raise Busy("This server is stopping; send the request again.")
        permits = self._permits[source.name]
        if not permits.take():
            raise Busy(
                f"{source.title} is slow, and too many bookings wait for it already:"
                " send this request again later.",
                source=source.name,
            )
        breaker = self._breakers[source.name]
        if not breaker.allows():
            permits.give_back()
            raise Unavailable(
                "Recent calls could not reach the source, so this server pauses its"
                " calls; nothing was sent. Send the request again later.",
                source=source.name,
            )
        permit = Permit(
            breaker,
            self._under_way,
            permits.give_back,
            wait_until=time.monotonic() + self._answers_within_s,
            waits_s=None if waits is None else waits.total_seconds(),
        )
        try:
            yield permit
        except BaseException as error:
            permit.end(error)
            raise
        else:
            permit.end(None)

    def close(self, *, within: timedelta = _DRAINS_WITHIN) -> None:
        """
        Give out no more permits, and wait for the writes under way.

        Reconciliation settles the writes that are not answered by then.
        """
        self._is_closing = True
        deadline = time.monotonic() + within.total_seconds()
        for thread in tuple(self._under_way):
            thread.join(max(0.0, deadline - time.monotonic()))


class _Permits:
    """
    The permits for one source.

    If none is free, a client waits only while others are taken or returned. So no
    client waits for a source that hangs, and a rush for one slot is still served.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._moved_at = time.monotonic()
        self._moved = threading.Condition()

    def take(self) -> bool:
        """Take a permit, waiting if that makes sense; return whether there was one."""
        with self._moved:
            give_up_at = time.monotonic() + _QUEUES_FOR_S
            while not self._free:
                left = min(give_up_at, self._moved_at + _STANDS_STILL_S)
                left -= time.monotonic()
                if left <= 0:
                    return False
                self._moved.wait(left)
            self._free -= 1
            self._moved_at = time.monotonic()
            return True

    def give_back(self) -> None:
        """Give a permit back."""
        with self._moved:
            self._free += 1
            self._moved_at = time.monotonic()
            self._moved.notify()


class Permit:
    """
    Permits the calls to a source for one booking.

    Args:
        breaker: Records whether the source can be reached.
        under_way: The threads of all writes under way.
        give_back: Gives the permit back.
        wait_until: Until when the client waits (`time.monotonic`).
        waits_s: How long it waits at most for a write that was sent, where it said so.
    """

    def __init__(
        self,
        breaker: Breaker,
        under_way: set[threading.Thread],
        give_back: Callable[[], None],
        *,
        wait_until: float,
        waits_s: float | None = None,
    ) -> None:
        self._breaker = breaker
        self._under_way = under_way
        self._give_back = give_back
        self._wait_until = wait_until
        self._waits_s = waits_s
        self._is_handed_over = False

    def carry_out(
        self,
        write: Callable[[], _Result],
        *,
        meanwhile: Callable[[], None] | None = None,
        afterwards: Callable[[_Result], object] | None = None,
    ) -> _Result | None:
        """
        Do a write in its own thread, and wait for it as long as the client waits.

        Args:
            write: Commits the intent as sent, sends it and settles it, also if the
                client waits no longer.
            meanwhile: Runs while the write is under way.
            afterwards: Takes what `write` returned, without a permit, when the client
                waits no longer.

        Returns:
            What `write` returned; None when it takes too long to wait for.

        Raises:
            GatewayError: As `write`, while it is waited for.
        """
        done: Future[_Result] = Future()

        def run() -> None:
            try:
                result = write()
            except BaseException as error:  # noqa: BLE001 - raised where it is waited for
                self._finish(error)
                done.set_exception(error)
            else:
                self._finish(None)
                done.set_result(result)

        thread = threading.Thread(target=run, name="write", daemon=True)
        self._is_handed_over = True
        self._under_way.add(thread)
        try:
            thread.start()
        except RuntimeError:
            # The system gives no new thread: the client's thread does the write.
            self._under_way.discard(thread)
            run()
            if meanwhile is not None:
                meanwhile()
            return done.result()
        if meanwhile is not None:
            meanwhile()
        left = max(self._wait_until - time.monotonic(), _LEAST_WAIT_S)
        if self._waits_s is not None:
            left = min(left, self._waits_s)
        if not wait([done], timeout=left).done:
            done.add_done_callback(partial(_end_late, afterwards))
            return None
        return done.result()

    def end(self, error: BaseException | None) -> None:
        """Give the permit back, unless a write has taken it over."""
        if self._is_handed_over:
            return
        if isinstance(error, Unavailable):
            self._record_reachability(error)
        else:
            # Nothing was sent, so whether the source can be reached is not known.
            self._breaker.cancel()
        self._give_back()

    def _finish(self, error: BaseException | None) -> None:
        self._record_reachability(error)
        self._under_way.discard(threading.current_thread())
        self._give_back()

    def _record_reachability(self, error: BaseException | None) -> None:
        """Report to the breaker whether the source was reached."""
        if error is None or isinstance(error, Refused):
            self._breaker.record_success()
        elif isinstance(error, Unavailable):
            self._breaker.record_failure()
        else:
            self._breaker.cancel()


def _end_late(
    afterwards: Callable[[_Result], object] | None, late: Future[_Result]
) -> None:
    error = late.exception()
    if error is None or isinstance(error, GatewayError):
        _log.info(
            "late answer to a write", outcome=type(error).__name__ if error else "done"
        )
    else:
        _log.error("unforeseen failure", **fault_place(error))
    if error is None and afterwards is not None:
        afterwards(late.result())
