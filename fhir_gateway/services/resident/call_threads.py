"""
Threads for calls that their callers may stop waiting for.

`concurrent.futures` waits for each of its threads when a pool or the process ends. So a
region that hangs would hold up the answer, and the stop of the process.
"""

import threading
from collections import Counter
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from fhir_gateway.model.errors import Busy
from fhir_gateway.model.ids import SourceName

__all__ = ["CallThreads"]

_Result = TypeVar("_Result")

# Of one source, in this process. A late call keeps its thread until its own time limit.
_MOST: Final = 32
# About one unit: a unit that hangs leaves threads for the source's other units.
_MOST_ABOUT_ONE: Final = 8


@dataclass(frozen=True, slots=True)
class _Call:
    """A call that waits for a thread."""

    source: SourceName
    about: Hashable
    make: Callable[[], Any]
    future: Future[Any]

    def run(self) -> None:
        """Make the call."""
        try:
            result = self.make()
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


class CallThreads:
    """
    Makes calls in threads, so many at once for one source and for one of its units.

    The other calls wait for their turn; a caller can cancel those.

    Args:
        most: How many calls at once one source gets.
        most_about_one: How many of them may be about one unit.
    """

    def __init__(
        self, most: int = _MOST, most_about_one: int = _MOST_ABOUT_ONE
    ) -> None:
        self._most = most
        self._most_about_one = most_about_one
        self._lock = threading.Lock()
        self._waiting: list[_Call] = []
        self._running: Counter[SourceName] = Counter()
        self._running_about: Counter[tuple[SourceName, Hashable]] = Counter()
        self._is_closed = False

    @property
    def is_closed(self) -> bool:
        """Return whether the process stops: nobody may record an answer any more."""
        return self._is_closed

    def submit(
        self,
        source: SourceName,
        make: Callable[[], _Result],
        *,
        about: Hashable = None,
    ) -> Future[_Result]:
        """
        Make a call in a thread, as soon as its source may get it.

        Args:
            source: The source.
            make: The call.
            about: The unit, where the call is about a single one.
        """
        future: Future[_Result] = Future()
        with self._lock:
            self._waiting.append(_Call(source, about, make, future))
        self._start()
        return future

    def close(self) -> None:
        """Start no more calls; those under way end by themselves."""
        with self._lock:
            self._is_closed = True
            for call in self._waiting:
                call.future.cancel()
            self._waiting.clear()

    def _start(self) -> None:
        for call in self._take():
            thread = threading.Thread(
                target=self._run, args=(call,), name="list", daemon=True
            )
            try:
                thread.start()
            except RuntimeError:
                # The system gives no new thread.
                self._give_back(call)
                call.future.set_exception(
                    Busy("This server has no thread left.", source=call.source)
                )

    def _take(self) -> list[_Call]:
        """Return the waiting calls that may begin, the first ones first."""
        taken = []
        with self._lock:
            waiting = []
            for call in self._waiting:
                if not self._may_begin(call):
                    if not call.future.cancelled():
                        waiting.append(call)
                elif call.future.set_running_or_notify_cancel():
                    self._running[call.source] += 1
                    self._running_about[call.source, call.about] += 1
                    taken.append(call)
            self._waiting = waiting
        return taken

    def _may_begin(self, call: _Call) -> bool:
        return self._running[call.source] < self._most and (
            call.about is None
            or self._running_about[call.source, call.about] < self._most_about_one
        )

    def _run(self, call: _Call) -> None:
        call.run()
        self._give_back(call)
        self._start()

    def _give_back(self, call: _Call) -> None:
        with self._lock:
            self._running[call.source] -= 1
            key = call.source, call.about
            self._running_about[key] -= 1
            if not self._running_about[key]:
                del self._running_about[key]
