"""
Reconciliation: settles what was sent and whose outcome is unknown, by reading.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Final

import structlog

from fhir_gateway.model.errors import GatewayError
from fhir_gateway.services.settlement import Settlement
from fhir_gateway.stores.database import DatabaseUnavailable
from fhir_gateway.stores.journal import (
    Decision,
    DecisionState,
    Journal,
    LostDecision,
)

__all__ = ["Reconciliation"]

_log = structlog.get_logger()

_PAUSE_S: Final = 1.0
_AT_ONCE: Final = 8
# From other reconcilers; longer than it takes to look at a source.
_KEPT: Final = timedelta(seconds=60)


class Reconciliation:
    """
    Looks after the writes that nobody knows the outcome of.

    Several at once are safe: a decision is looked after by one of them at a time, and
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
        while not stop.wait(_PAUSE_S):
            try:
                self.run_once()
            except GatewayError as error:
                if not away:
                    _log.error("reconciliation lost its journal", error=str(error))
                away = True
            else:
                if away:
                    _log.info("reconciliation found its journal again")
                away = False

    def run_once(self) -> None:
        """Look once at everything that is due."""
        unsettled = self._journal.outcomes.unsettled(limit=_AT_ONCE, hold=_KEPT)
        unseen = self._journal.outcomes.unseen(limit=_AT_ONCE, hold=_KEPT)
        due = [
            *((self._settle, each) for each in unsettled),
            *((self._see, each) for each in unseen),
        ]
        if not due:
            return
        # At once, so that a source that hangs keeps no other's bookings unknown.
        with ThreadPoolExecutor(len(due), thread_name_prefix="settle") as executor:
            looking = [executor.submit(look, each) for look, each in due]
        for (_, decision), settled in zip(due, looking, strict=True):
            error = settled.exception()
            if isinstance(error, GatewayError):
                raise error
            if error is not None:
                # A fault of this program's own: the others are looked after all the
                # same, and this one again when nobody keeps it any more.
                _log.error(
                    "settlement failed",
                    booking=decision.booking,
                    kind=type(error).__name__,
                )

    def _see(self, decision: Decision) -> None:
        try:
            self._settlement.see(decision)
        except DatabaseUnavailable:
            raise
        except GatewayError as error:
            # Looked at again when nobody keeps it any more.
            _log.info("still unseen", booking=decision.booking, error=str(error))

    def _settle(self, decision: Decision) -> None:
        try:
            if decision.state is DecisionState.CLAIMED:
                # Its owner is gone, and never sent it.
                self._journal.settle_not_sent(decision)
                return
            if decision.state is DecisionState.SENT:
                # Its sender is gone, or late: from now on everybody may find out.
                self._journal.settle_unknown(decision)
            self._settlement.settle(decision)
        except LostDecision:
            # Somebody else was first: it is looked after.
            return
        except GatewayError as error:
            _log.info("still unknown", booking=decision.booking, error=str(error))
            self._settlement.postpone(decision)
