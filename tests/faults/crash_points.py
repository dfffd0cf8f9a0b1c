"""
Where a process of the gateway can be made to die, or to stand still.

`FAULTS_CRASH_AT` names one point, as `MAKE:after-sent:kill` or `CANCEL:waiting:stop`.
The points are passed by parts that are handed to the program (a journal, adapters), by
an event of SQLAlchemy's and by an audit event of Python's own HTTP client: the program
itself knows nothing of them.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final, ParamSpec, TypeVar

from flask import Flask
from sqlalchemy import Connection, Engine, event

from fhir_gateway.adapters.scheduling_1_1 import Scheduling11
from fhir_gateway.adapters.scheduling_1_1.options import options_from_mapping
from fhir_gateway.model.booking import BookedTimes, WriteResult
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.scheduling import (
    CancelBooking,
    GetSubjectOfCareSchedule,
    MakeBooking,
    UpdateBooking,
)
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.journal import BookingRecord, Journal, WriteIntent
from fhir_gateway.stores.journal.outcomes import Outcomes
from fhir_gateway.stores.journal.settlements import Settlements
from fhir_gateway.stores.journal.write_intents import WriteIntents
from fhir_gateway.stores.sealing import Seal

__all__ = [
    "CLAIM_LEASE",
    "GATEWAY_POINTS",
    "RECONCILER_POINTS",
    "WatchedIntents",
    "WatchedJournal",
    "WatchedScheduling11",
    "WatchedSettlements",
    "watch_commits",
    "watch_http",
    "watched_app",
    "watched_scheduling_1_1",
]

P = ParamSpec("P")
R = TypeVar("R")

CLAIM_LEASE: Final = timedelta(minutes=1)
_VARIABLE: Final = "FAULTS_CRASH_AT"
_ROLE: Final = "FAULTS_ROLE"
# Long enough for the region to have read the message, short enough to be before the
# answer of one that is slow.
_WHILE_WAITING_S: Final = 0.01

GATEWAY_POINTS: Final = tuple(
    f"{kind}:{point}"
    for kind in ("MAKE", "UPDATE", "CANCEL")
    for point in (
        "before-claim",
        "in-claim",
        "after-claim",
        "in-sent",
        "after-sent",
        "before-first-byte",
        "after-first-byte",
        "waiting",
        "after-answer",
        "in-settle",
        "after-settle",
        "before-http-answer",
    )
)
RECONCILER_POINTS: Final = (
    "LOOK:before-look",
    "LOOK:after-look",
    "LOOK:in-settle",
    "LOOK:after-settle",
    "LOOK:in-postpone",
)


class _Doing(threading.local):
    """What this thread is about, for the events that do not say."""

    transaction: tuple[str, str] | None = None
    kind: str | None = None
    parts_sent: int | None = None


_DOING: Final = _Doing()


def _passing(kind: str, point: str) -> None:
    armed, _, action = os.environ.get(_VARIABLE, "").rpartition(":")
    if armed != f"{kind}:{point}":
        return
    if action == "stop":
        # Once only: a process that is let go on goes on.
        del os.environ[_VARIABLE]
        # To this thread, which else could go on until another one has taken notice.
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
        return
    os.kill(os.getpid(), signal.SIGKILL)


def _kind(intent: WriteIntent) -> str:
    return "LOOK" if os.environ.get(_ROLE) == "reconciler" else intent.kind.value


def _in_transaction(
    kind: str, step: str, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs
) -> R:
    _DOING.transaction = (kind, step)
    try:
        return call(*args, **kwargs)
    finally:
        _DOING.transaction = None


class WatchedOutcomes(Outcomes):
    """What is found out of writes, with a point in each vain look."""

    def postpone(self, intent: WriteIntent, **options: Any) -> WriteIntent:
        """Count a vain look."""
        kind = _kind(intent)
        return _in_transaction(kind, "postpone", super().postpone, intent, **options)


class WatchedIntents(WriteIntents):
    """Write intents, with a point before, in and after each step."""

    def claim_make(self, **options: Any) -> WriteIntent:
        """Claim a place for a new booking."""
        return self._claim("MAKE", super().claim_make, **options)

    def claim_update(self, *args: Any, **options: Any) -> WriteIntent:
        """Claim a place to move to."""
        return self._claim("UPDATE", super().claim_update, *args, **options)

    def claim_cancel(self, *args: Any, **options: Any) -> WriteIntent:
        """Keep other writes away."""
        return self._claim("CANCEL", super().claim_cancel, *args, **options)

    def mark_sent(self, intent: WriteIntent, **options: Any) -> WriteIntent:
        """Say that the write may have been sent."""
        kind = intent.kind.value
        sent = _in_transaction(kind, "sent", super().mark_sent, intent, **options)
        _passing(kind, "after-sent")
        return sent

    def _claim(
        self, kind: str, claim: Callable[..., WriteIntent], *args: Any, **options: Any
    ) -> WriteIntent:
        _DOING.kind = kind
        _passing(kind, "before-claim")
        intent = _in_transaction(kind, "claim", claim, *args, **options)
        _passing(kind, "after-claim")
        return intent


class WatchedSettlements(Settlements):
    """Settlements, with a point in and after each."""

    def settle_booked(self, intent: WriteIntent, **options: Any) -> BookingRecord:
        """Settle a MAKE."""
        return self._settle_and_pass(intent, super().settle_booked, **options)

    def settle_moved(self, intent: WriteIntent, **options: Any) -> BookingRecord:
        """Settle an UPDATE."""
        return self._settle_and_pass(intent, super().settle_moved, **options)

    def settle_cancelled(self, intent: WriteIntent, **options: Any) -> BookingRecord:
        """Settle a CANCEL."""
        return self._settle_and_pass(intent, super().settle_cancelled, **options)

    def settle_refused(self, intent: WriteIntent, **options: Any) -> BookingRecord:
        """Settle what the region said no to."""
        return self._settle_and_pass(intent, super().settle_refused, **options)

    def settle_not_done(self, intent: WriteIntent, **options: Any) -> BookingRecord:
        """Settle what never arrived."""
        return self._settle_and_pass(intent, super().settle_not_done, **options)

    def settle_left_no_trace(
        self, intent: WriteIntent, **options: Any
    ) -> BookingRecord:
        """Settle what its source shows no trace of."""
        return self._settle_and_pass(intent, super().settle_left_no_trace, **options)

    def settle_unknown(self, intent: WriteIntent, **options: Any) -> BookingRecord:
        """Say that nobody knows the outcome."""
        return self._settle_and_pass(intent, super().settle_unknown, **options)

    def _settle_and_pass(
        self,
        intent: WriteIntent,
        settle: Callable[..., BookingRecord],
        **options: Any,
    ) -> BookingRecord:
        kind = _kind(intent)
        record = _in_transaction(kind, "settle", settle, intent, **options)
        _passing(kind, "after-settle")
        return record


class WatchedJournal(Journal):
    """The journal, with a point before, in and after each step."""

    def __init__(self, database: Database, seal: Seal, **options: Any) -> None:
        super().__init__(database, seal, **options)
        self.intents = WatchedIntents(
            database, seal, claim_lease=CLAIM_LEASE, **options
        )
        self.settlements = WatchedSettlements(database, seal)
        self.outcomes = WatchedOutcomes(database, seal)


class WatchedScheduling11(Scheduling11):
    """The adapter, with points around and in the sending of each write."""

    def make_booking(self, request: MakeBooking, *, timeout: float) -> WriteResult:
        """Book a free time."""
        with _writing("MAKE"):
            return super().make_booking(request, timeout=timeout)

    def update_booking(self, request: UpdateBooking, *, timeout: float) -> WriteResult:
        """Move a booking."""
        with _writing("UPDATE"):
            return super().update_booking(request, timeout=timeout)

    def cancel_booking(self, request: CancelBooking, *, timeout: float) -> WriteResult:
        """Give a booked time back."""
        with _writing("CANCEL"):
            return super().cancel_booking(request, timeout=timeout)

    def get_subject_of_care_schedule(
        self, query: GetSubjectOfCareSchedule, *, timeout: float
    ) -> BookedTimes:
        """Return a resident's booked times."""
        if os.environ.get(_ROLE) == "reconciler":
            _passing("LOOK", "before-look")
        answer = super().get_subject_of_care_schedule(query, timeout=timeout)
        if os.environ.get(_ROLE) == "reconciler":
            _passing("LOOK", "after-look")
        return answer


def watched_scheduling_1_1(
    name: SourceName, options: Mapping[str, object]
) -> WatchedScheduling11:
    """Return the adapter; its entry point is `watched_scheduling_1_1`."""
    return WatchedScheduling11(name, options_from_mapping(options))


@contextmanager
def _writing(kind: str) -> Iterator[None]:
    _DOING.kind, _DOING.parts_sent = kind, 0
    try:
        yield
    finally:
        _DOING.parts_sent = None
        _passing(kind, "after-answer")


def watch_commits() -> None:
    """Pass a point in each transaction, when all is done but the commit."""

    def before_commit(_connection: Connection) -> None:
        if _DOING.transaction is not None:
            kind, step = _DOING.transaction
            _passing(kind, f"in-{step}")

    event.listen(Engine, "commit", before_commit)


def watch_http() -> None:
    """Pass a point before and after the first bytes of a write."""

    def heard(name: str, _args: tuple[Any, ...]) -> None:
        if name != "http.client.send" or _DOING.parts_sent is None:
            return
        kind = _DOING.kind or "-"
        _DOING.parts_sent += 1
        if _DOING.parts_sent == 1:
            _passing(kind, "before-first-byte")
            return
        # The headers have left; the body is about to.
        _passing(kind, "after-first-byte")
        if os.environ.get(_VARIABLE, "").startswith(f"{kind}:waiting"):
            threading.Timer(_WHILE_WAITING_S, _passing, (kind, "waiting")).start()

    sys.addaudithook(heard)


def watched_app(app: Flask) -> Callable[..., Any]:
    """Return the application, with a point between the work and its answer."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        _DOING.kind = None
        body = app.wsgi_app(environ, start_response)
        if _DOING.kind is not None:
            _passing(_DOING.kind, "before-http-answer")
        return body

    return answer
