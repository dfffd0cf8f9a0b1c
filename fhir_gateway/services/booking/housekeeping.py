"""
Housekeeping: deletes what the journal and the audit trail no longer need.
"""

import threading
from datetime import timedelta
from typing import Final

import structlog

from fhir_gateway.model.errors import GatewayError
from fhir_gateway.model.timekeeping import Clock, now
from fhir_gateway.stores.audit import AuditUpkeep, Link
from fhir_gateway.stores.journal import Journal

__all__ = ["Housekeeping"]

_log = structlog.get_logger()

_PAUSE_S: Final = 600.0


class Housekeeping:
    """
    Purges expired request keys and old audit rows; wipes personal data after the visit.

    Several processes may run it at once.

    Args:
        journal: The journal to clean.
        audit: The audit trail to shorten.
        wiped_after: How long after a visit its personal data are wiped.
        audit_kept: How long audit rows are kept.
        clock: Returns the time.
    """

    def __init__(
        self,
        journal: Journal,
        audit: AuditUpkeep,
        *,
        wiped_after: timedelta,
        audit_kept: timedelta,
        clock: Clock = now,
    ) -> None:
        self._journal = journal
        self._audit = audit
        self._wiped_after = wiped_after
        self._audit_kept = audit_kept
        self._clock = clock
        self._head: Link | None = None

    def run(self, stop: threading.Event) -> None:
        """Run every ten minutes until `stop` is set."""
        while not stop.is_set():
            try:
                self.run_once(stop)
            except GatewayError as error:
                _log.warning("housekeeping failed", error=error.log_text)
            stop.wait(_PAUSE_S)

    def run_once(self, stop: threading.Event | None = None) -> None:
        """Run once; `stop` ends it between two batches."""
        purged = self._journal.requests.purge()
        wiped = 0
        before = self._clock() - self._wiped_after
        while stop is None or not stop.is_set():
            batch = self._journal.upkeep.wipe(
                ended_before=before
            ) + self._journal.upkeep.wipe_invitations(confirmed_before=before)
            wiped += batch
            if not batch:
                break
        sealed = 0
        for batch in self._journal.upkeep.seal_booking_ids():
            sealed += batch
            if stop is not None and stop.is_set():
                break
        if purged or wiped or sealed:
            _log.info("housekeeping done", purged=purged, wiped=wiped, sealed=sealed)
        self._shorten_audit(stop)

    def _shorten_audit(self, stop: threading.Event | None) -> None:
        removed = 0
        while stop is None or not stop.is_set():
            batch = self._audit.purge(recorded_before=self._clock() - self._audit_kept)
            removed += batch
            if not batch:
                break
        head = self._audit.head()
        if head is not None and (removed or head != self._head):
            # Somebody who can write the database may be unable to change the logs.
            _log.info("audit trail", head=str(head), removed=removed)
            self._head = head
