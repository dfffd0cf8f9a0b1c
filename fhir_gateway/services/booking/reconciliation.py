"""
Reconciliation: settles writes of unknown outcome, by reading their sources.
"""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Final

import structlog

from fhir_gateway.model.errors import GatewayError
from fhir_gateway.model.ids import SourceName
from fhir_gateway.services.booking.settlement import Settlement
from fhir_gateway.stores.database import DatabaseUnavailable
from fhir_gateway.stores.journal import (
    Journal,
    LostIntent,
    WriteIntent,
    WriteState,
)

__all__ = ["Reconciliation"]

_log = structlog.get_logger()

_PAUSE_S: Final = 1.0
# Of one source: it has residents to serve, and has perhaps only just come back.
_AT_ONCE: Final = 4
_SOURCES_AT_ONCE: Final = 64
# From other reconcilers; longer than it takes to look at a source.
_KEPT: Final = timedelta(seconds=60)


class Reconciliation:
    """
    Looks after the writes that nobody knows the outcome of, each source's by itself.

    Several at once are safe: an intent is looked after by one of them at a time, and
    settled once.

    Args:
        settlement: Reads the sources.
        journal: Knows what is unsettled.
    """

    def __init__(self, settlement: Settlement, journal: Journal) -> None:
        self._settlement = settlement
        self._journal = journal

    def run(self, stop: threading.Event) -> None:
        """Settle what is due until `stop` is set; a journal that is away comes back."""
        away = False
        looking: dict[SourceName, Future[None]] = {}
        with ThreadPoolExecutor(_SOURCES_AT_ONCE, "reconcile") as executor:
            while not stop.wait(_PAUSE_S):
                try:
                    self._begin_looks(looking, executor, stop)
                except GatewayError as error:
                    if not away:
                        _log.error(
                            "reconciliation lost its journal", error=error.log_text
                        )
                    away = True
                else:
                    if away:
                        _log.info("reconciliation found its journal again")
                    away = False

    def run_once(self) -> None:
        """Look once at what is due, at most a few of each source."""
        for source in self._journal.outcomes.list_sources():
            self._look_at(source)

    def _begin_looks(
        self,
        looking: dict[SourceName, Future[None]],
        executor: ThreadPoolExecutor,
        stop: threading.Event,
    ) -> None:
        """
        Begin to look at every source that has something due and is not looked at.

        One that hangs keeps no other's bookings unknown.

        Raises:
            GatewayError: The journal is away, or went away from a thread that looked.
        """
        for source in [name for name, each in looking.items() if each.done()]:
            error = looking.pop(source).exception()
            if isinstance(error, GatewayError):
                raise error
            if error is not None:
                # A fault of this program's own: other sources are looked after all the
                # same, and what it was met at again when nobody keeps it any more.
                _log.error(
                    "reconciliation failed", source=source, kind=type(error).__name__
                )
        for source in self._journal.outcomes.list_sources():
            if source not in looking:
                looking[source] = executor.submit(self._look_after, source, stop)

    def _look_after(self, source: SourceName, stop: threading.Event) -> None:
        """Look at a source until nothing of it is due."""
        while self._look_at(source) and not stop.is_set():
            pass

    def _look_at(self, source: SourceName) -> bool:
        """Look at what is due of a source; return whether there was anything."""
        outcomes = self._journal.outcomes
        unsettled = outcomes.take_unsettled(limit=_AT_ONCE, hold=_KEPT, source=source)
        unseen = outcomes.take_unseen(limit=_AT_ONCE, hold=_KEPT, source=source)
        due = [
            *((self._settle, each) for each in unsettled),
            *((self._look_once_more, each) for each in unseen),
        ]
        if not due:
            return False
        with ThreadPoolExecutor(len(due), "settle") as executor:
            looks = [executor.submit(look, each) for look, each in due]
        for (_, intent), look in zip(due, looks, strict=True):
            error = look.exception()
            if isinstance(error, GatewayError):
                raise error
            if error is not None:
                # A fault of this program's own: the others are looked after all the
                # same, and this one again when nobody keeps it any more.
                _log.error(
                    "settlement failed",
                    booking=intent.booking,
                    kind=type(error).__name__,
                )
        return True

    def _look_once_more(self, intent: WriteIntent) -> None:
        try:
            self._settlement.correction.look_once_more(intent)
        except DatabaseUnavailable:
            raise
        except GatewayError as error:
            # Looked at again when nobody keeps it any more.
            _log.info("still unseen", booking=intent.booking, error=str(error))

    def _settle(self, intent: WriteIntent) -> None:
        try:
            if intent.state is WriteState.CLAIMED:
                # Its owner is gone, and never sent it.
                self._journal.settlements.settle_not_done(intent)
                return
            if intent.state is WriteState.SENT:
                # Its sender is gone, or late: from now on everybody may find out.
                self._journal.settlements.settle_unknown(intent)
            self._settlement.settle(intent)
        except LostIntent:
            # Somebody else was first: it is looked after.
            return
        except GatewayError as error:
            _log.info("still unknown", booking=intent.booking, error=str(error))
            self._settlement.postpone(intent)
