"""
A round: the lists of one resident, requested side by side until a deadline.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from functools import partial
from time import monotonic

import structlog

from fhir_gateway.model.booking import BookedTimes
from fhir_gateway.model.errors import GatewayError
from fhir_gateway.model.fault_place import fault_place
from fhir_gateway.services.resident.call_threads import CallThreads
from fhir_gateway.services.resident.list_request import ListRequest

__all__ = ["Heard", "ListRound"]

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Heard:
    """
    What was heard until the deadline.

    Attributes:
        answers: The lists.
        failed: The requests that failed.
        late: The requests that have no answer yet.
    """

    answers: dict[ListRequest, BookedTimes] = field(default_factory=dict)
    failed: list[ListRequest] = field(default_factory=list)
    late: list[ListRequest] = field(default_factory=list)


class ListRound:
    """
    The requests of one list.

    Args:
        threads: Make the calls.
        requests: What to request.
        ask: Makes one request.
        record_late: Records an answer that arrives after the deadline.
    """

    def __init__(
        self,
        threads: CallThreads,
        requests: Iterable[ListRequest],
        ask: Callable[[ListRequest], BookedTimes],
        record_late: Callable[[ListRequest, BookedTimes], None],
    ) -> None:
        self._threads = threads
        self._ask = ask
        self._record_late = record_late
        self._requested: dict[Future[BookedTimes], ListRequest] = {}
        self.add(requests)

    def add(self, requests: Iterable[ListRequest]) -> None:
        """Begin further requests; one that was begun before is not made again."""
        begun = {each.key for each in self._requested.values()}
        for request in requests:
            if request.key not in begun:
                future = self._threads.submit(
                    request.asked.name, partial(self._ask, request), about=request.unit
                )
                self._requested[future] = request

    def gather(
        self,
        deadline: float,
        on_answer: Callable[[ListRequest, BookedTimes], None],
    ) -> Heard:
        """
        Return what is heard until the deadline (`time.monotonic`).

        Args:
            deadline: When to stop waiting.
            on_answer: Gets each answer as soon as it is there, in this thread.
        """
        heard = Heard()
        open_calls = set(self._requested)
        while open_calls:
            left = max(0.0, deadline - monotonic())
            done, open_calls = wait(
                open_calls, timeout=left, return_when=FIRST_COMPLETED
            )
            if not done:
                break
            for each in done:
                request = self._requested[each]
                answer = self._answer_of(request, each)
                if answer is None:
                    heard.failed.append(request)
                else:
                    heard.answers[request] = answer
                    on_answer(request, answer)
        for each in open_calls:
            request = self._requested[each]
            heard.late.append(request)
            _log.warning(
                "list of bookings is late",
                source=request.asked.name,
                unit=request.unit,
            )
            if not each.cancel():
                each.add_done_callback(partial(self._end_late, request))
        return self._in_order(heard)

    def _in_order(self, heard: Heard) -> Heard:
        """Return what was heard in the order of the requests, not of the answers."""
        requests = self._requested.values()
        return Heard(
            answers={
                each: heard.answers[each] for each in requests if each in heard.answers
            },
            failed=[each for each in requests if each in heard.failed],
            late=[each for each in requests if each in heard.late],
        )

    def _answer_of(
        self, request: ListRequest, done: Future[BookedTimes]
    ) -> BookedTimes | None:
        """Return an answer; None for a failure, which is logged."""
        error = done.exception()
        if error is None:
            return done.result()
        if not isinstance(error, GatewayError):
            # A fault of this program must not look like a source that fails.
            raise error
        _log.warning(
            "source could not be asked", source=request.asked.name, error=str(error)
        )
        return None

    def _end_late(self, request: ListRequest, done: Future[BookedTimes]) -> None:
        """Record an answer that nobody waits for any more."""
        if done.cancelled() or self._threads.is_closed:
            return
        try:
            answer = self._answer_of(request, done)
            if answer is None:
                return
            self._record_late(request, answer)
        except Exception as error:  # noqa: BLE001 - nobody waits for it: only the log can say it
            _log.error("unforeseen failure", **fault_place(error))
        else:
            _log.info(
                "late list of bookings",
                source=request.asked.name,
                unit=request.unit,
                bookings=len(answer.bookings),
            )
