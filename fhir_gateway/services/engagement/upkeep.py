"""
Upkeep of the engagement index: passed visits are withdrawn, old posts are forgotten.
"""

import threading
from datetime import timedelta
from typing import Final

import structlog

from fhir_gateway.model.errors import GatewayError
from fhir_gateway.model.timekeeping import Clock, now
from fhir_gateway.stores.engagements import Engagements
from fhir_gateway.stores.index_outbox import IndexOutbox

__all__ = ["IndexUpkeep"]

_log = structlog.get_logger()

_PAUSE_S: Final = 60.0


class IndexUpkeep:
    """
    Withdraws and forgets; several processes may run it at once.

    Args:
        outbox: Our bookings' posts.
        store: The posts of others.
        kept: How long a post of others is kept after its time.
        clock: Returns the time.
    """

    def __init__(
        self,
        outbox: IndexOutbox,
        store: Engagements,
        *,
        kept: timedelta,
        clock: Clock = now,
    ) -> None:
        self._outbox = outbox
        self._store = store
        self._kept = kept
        self._clock = clock

    def run(self, stop: threading.Event) -> None:
        """Run every minute until `stop` is set."""
        while not stop.is_set():
            try:
                self.run_once(stop)
            except GatewayError as error:
                _log.warning("index upkeep failed", error=error.log_text)
            stop.wait(_PAUSE_S)

    def run_once(self, stop: threading.Event | None = None) -> None:
        """Run once; `stop` ends it between two batches."""
        withdrawn = self._outbox.withdraw_passed()
        forgotten = 0
        while stop is None or not stop.is_set():
            batch = self._store.purge(before=self._clock() - self._kept)
            forgotten += batch
            if not batch:
                break
        if withdrawn or forgotten:
            _log.info("index upkeep done", withdrawn=withdrawn, forgotten=forgotten)
