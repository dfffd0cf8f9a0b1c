"""
Reconciliation: settles writes of unknown outcome by reading their sources.
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
# Per source: it also serves residents, and may have just recovered.
_AT_ONCE: Final = 4
_SOURCES_AT_ONCE: Final = 64
# How long a write is reserved for one process: longer than a look takes.
_LOOK_LEASE: Final = timedelta(seconds=60)


class Reconciliation:
    """
    Settles writes of unknown outcome, each source's separately.

    Several processes may run it at once: each intent is handled by one at a time, and
    settled once.

    Args:
        settlement: Settles a write by reading its source.
        journal: Lists the unsettled writes.
    """

    def __init__(self, settlement: Settlement, journal: Journal) -> None:
        self._settlement = settlement
        self._journal = journal

    def run(self, stop: threading.Event) -> None:
        """Settle due writes until `stop` is set, also after the journal was away."""
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
        """Look once at the due writes, at most a few of each source."""
        for source in self._journal.outcomes.list_sources():
            self._look_at(source)

    def _begin_looks(
        self,
        looking: dict[SourceName, Future[None]],
        executor: ThreadPoolExecutor,
        stop: threading.Event,
    ) -> None:
        """
        Start a look at every source with due writes, unless one is running.

        A source that hangs does not keep other sources' bookings unknown.

        Raises:
            GatewayError: The journal is away, or went away from a thread that looked.
        """
        for source in [name for name, each in looking.items() if each.done()]:
            error = looking.pop(source).exception()
            if isinstance(error, GatewayError):
                raise error
            if error is not None:
                # A fault of this program: the other sources continue, and this write
                # is tried again when its lease has ended.
                _log.error(
                    "reconciliation failed", source=source, kind=type(error).__name__
                )
        for source in self._journal.outcomes.list_sources():
            if source not in looking:
                looking[source] = executor.submit(self._look_after, source, stop)

    def _look_after(self, source: SourceName, stop: threading.Event) -> None:
        """Look at a source until it has no due writes."""
        while self._look_at(source) and not stop.is_set():
            pass

    def _look_at(self, source: SourceName) -> bool:
        """Look at a source's due writes; return whether there were any."""
        outcomes = self._journal.outcomes
        unsettled = outcomes.take_unsettled(
            limit=_AT_ONCE, lease=_LOOK_LEASE, source=source
        )
        unseen = outcomes.take_unseen(limit=_AT_ONCE, lease=_LOOK_LEASE, source=source)
        due = [
            *((self._settle, each) for each in unsettled),
            *((self._recheck_settled, each) for each in unseen),
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
                # A fault of this program: the other writes continue, and this one is
                # tried again when its lease has ended.
                _log.error(
                    "settlement failed",
                    booking=intent.booking,
                    kind=type(error).__name__,
                )
        return True

    def _recheck_settled(self, intent: WriteIntent) -> None:
        try:
            self._settlement.correction.recheck_settled(intent)
        except DatabaseUnavailable:
            raise
        except GatewayError as error:
            # It is tried again when its lease has ended.
            _log.info("recheck failed", booking=intent.booking, error=str(error))

    def _settle(self, intent: WriteIntent) -> None:
        try:
            if intent.state is WriteState.CLAIMED:
                # Its process has died, and never sent it.
                self._journal.settlements.settle_not_done(intent)
                return
            if intent.state is WriteState.SENT:
                # Its process has died or is late: any process may settle it now.
                self._journal.settlements.settle_unknown(intent)
            self._settlement.settle(intent)
        except LostIntent:
            # Another process has settled it.
            return
        except GatewayError as error:
            _log.info("outcome still unknown", booking=intent.booking, error=str(error))
            self._settlement.postpone(intent)
