"""
Bulkhead: so many bookings at one source at once, and no client waits for ever.

All that is asked of a source for a booking (the fresh look, the write, reading it back)
needs one permit. The write has a thread of its own: after some seconds its client is
answered with what is known then, and a late answer settles the intent all the same.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import contextmanager
from datetime import timedelta
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

# As long as permits come and go at a source, another one is worth waiting for.
_STANDS_STILL_S: Final = 1.0
_QUEUES_FOR_S: Final = 5.0
# However long the fresh look took: most writes are answered within this.
_LEAST_WAIT_S: Final = 2.0
# With what its client has waited by then, as long as a write may take.
_DRAINS_WITHIN: Final = timedelta(seconds=25)


class Bulkhead:
    """
    Gives out the permits for the sources of one process.

    Args:
        sources: The sources by name.
        answers_within: How long a client waits, the fresh look included.
        clock: Tells the time.
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
    def admit(self, source: Source) -> Iterator["Permit"]:
        """
        Give a permit for a source; it ends with the block, or with its write if later.

        Raises:
            Busy: So many bookings are under way at the source, or the process stops.
            Unavailable: It could not be reached so often that it is left alone for a
                moment.
        """
        if self._is_closing:
            raise Busy("This server is stopping; send the request again.")
        permits = self._permits[source.name]
        if not permits.take():
            raise Busy(
                f"{source.title} is slow, and enough bookings wait for it already: send"
                " this one again later.",
                source=source.name,
            )
        breaker = self._breakers[source.name]
        if not breaker.allows():
            permits.give_back()
            raise Unavailable(
                "The source could not be reached lately, so it is left alone for a"
                " moment; nothing was sent.",
                source=source.name,
            )
        permit = Permit(
            breaker,
            self._under_way,
            permits.give_back,
            wait_until=time.monotonic() + self._answers_within_s,
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

        What is not answered by then is left to the reconciliation.
        """
        self._is_closing = True
        deadline = time.monotonic() + within.total_seconds()
        for thread in tuple(self._under_way):
            thread.join(max(0.0, deadline - time.monotonic()))


class _Permits:
    """
    The permits for one source.

    Who finds none free waits for one while others come and go, and no longer: at a
    source that hangs nobody waits, and a rush for one slot is answered all the same.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._moved_at = time.monotonic()
        self._moved = threading.Condition()

    def take(self) -> bool:
        """Return whether a permit was to be had."""
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
    Lets one booking ask a source.

    Args:
        breaker: Records whether the source can be reached.
        under_way: The threads of all writes under way.
        give_back: Gives the permit back.
        wait_until: When the client has waited for long enough (`time.monotonic`).
    """

    def __init__(
        self,
        breaker: Breaker,
        under_way: set[threading.Thread],
        give_back: Callable[[], None],
        *,
        wait_until: float,
    ) -> None:
        self._breaker = breaker
        self._under_way = under_way
        self._give_back = give_back
        self._wait_until = wait_until
        self._is_handed_over = False

    def carry_out(
        self,
        write: Callable[[], _Result],
        *,
        meanwhile: Callable[[], None] | None = None,
    ) -> _Result | None:
        """
        Do a write on a thread of its own, and wait for it as long as the client wants.

        Args:
            write: Commits that it may be sent, sends it, and settles what comes of it,
                whether or not anybody still waits.
            meanwhile: What else is to be done before the client is answered.

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
            # No thread is to be had: the client's own has to wait.
            self._under_way.discard(thread)
            run()
            if meanwhile is not None:
                meanwhile()
            return done.result()
        if meanwhile is not None:
            meanwhile()
        left = max(self._wait_until - time.monotonic(), _LEAST_WAIT_S)
        if not wait([done], timeout=left).done:
            done.add_done_callback(_log_late)
            return None
        return done.result()

    def end(self, error: BaseException | None) -> None:
        """Give the permit back, unless a write has taken it over."""
        if self._is_handed_over:
            return
        if isinstance(error, Unavailable):
            self._judge(error)
        else:
            # Nothing was sent, so nothing is known of whether it would have arrived.
            self._breaker.cancel()
        self._give_back()

    def _finish(self, error: BaseException | None) -> None:
        self._judge(error)
        self._under_way.discard(threading.current_thread())
        self._give_back()

    def _judge(self, error: BaseException | None) -> None:
        """Tell the breaker whether the source was reached."""
        if error is None or isinstance(error, Refused):
            self._breaker.record_success()
        elif isinstance(error, Unavailable):
            self._breaker.record_failure()
        else:
            self._breaker.cancel()


def _log_late(late: Future[_Result]) -> None:
    error = late.exception()
    if error is None or isinstance(error, GatewayError):
        _log.info("answered late", outcome=type(error).__name__ if error else "done")
    else:
        _log.error("unforeseen failure", **fault_place(error))
