"""
Reconciliation: settles what was sent and whose outcome is unknown, by reading.
"""

import threading
from typing import Final

import structlog

from fhir_gateway.model.errors import GatewayError
from fhir_gateway.services.read_back import ReadBack
from fhir_gateway.stores.journal import (
    Decision,
    DecisionState,
    Journal,
    LostDecision,
)

__all__ = ["Reconciliation"]

_log = structlog.get_logger()

_PAUSE_S: Final = 1.0
_AT_ONCE: Final = 20


class Reconciliation:
    """
    Looks after the writes that nobody knows the outcome of.

    Several at once are safe: a decision is settled once, whoever comes first.

    Args:
        read_back: Reads the sources.
        journal: Knows what is unsettled.
    """

    def __init__(self, read_back: ReadBack, journal: Journal) -> None:
        self._read_back = read_back
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
        for decision in self._journal.unsettled(limit=_AT_ONCE):
            self._settle(decision)

    def _settle(self, decision: Decision) -> None:
        try:
            if decision.state is DecisionState.CLAIMED:
                # Its owner is gone, and never sent it.
                self._journal.settle_not_sent(decision)
                return
            self._read_back.settle(decision)
        except LostDecision:
            # Somebody else was first: it is looked after.
            return
        except GatewayError as error:
            _log.info("still unknown", booking=decision.booking, error=str(error))
            self._read_back.postpone(decision)
