"""
Delivery of log entries from the outbox to the log service.

The service stores all entries of a message or none; each repeat of one has the same id.
"""

from collections.abc import Sequence
from typing import Final

import structlog

from fhir_gateway.adapters.log_service import LogService
from fhir_gateway.model.errors import GatewayError
from fhir_gateway.model.fault_place import fault_place
from fhir_gateway.model.log_entry import LogResult
from fhir_gateway.services.outbox.delivery import Delivery, Reply, Verdict
from fhir_gateway.stores.log_outbox import LogOutbox, QueuedEntry

__all__ = ["LogDelivery"]

_log = structlog.get_logger()

_MOST_ENTRIES: Final = 10
_VERDICTS: Final = {
    LogResult.STORED: Verdict.ACCEPTED,
    LogResult.INVALID: Verdict.INVALID,
}


class LogDelivery(Delivery[QueuedEntry]):
    """
    Delivers entries until the outbox is empty.

    Several processes may run it at once.

    Args:
        outbox: The entries.
        service: Stores them.
    """

    def __init__(self, outbox: LogOutbox, service: LogService) -> None:
        super().__init__(outbox, most=_MOST_ENTRIES)
        self._entries = outbox
        self._service = service

    @property
    def unwritable(self) -> Reply:
        """Return what counts as the answer where a message cannot be written."""
        return Reply(Verdict.INVALID, LogResult.INVALID.value)

    def send(self, taken: Sequence[QueuedEntry]) -> Reply:
        """Send entries in one message; see `Delivery`."""
        result = self._service.store([each.entry for each in taken])
        return Reply(_VERDICTS.get(result, Verdict.REFUSED), result.value)

    def give_up(self, entry: QueuedEntry, reply: Reply) -> None:
        """Flag an entry that the service refuses for good."""
        self._entries.give_up(entry, LogResult(reply.text))
        _log.error("log entry refused", entry=entry.entry.id, result=reply.text)

    def log_away(self, error: str) -> None:
        """Log that the service stores nothing."""
        if error in (each.value for each in LogResult):
            error = f"the log service answered: {error}"
        _log.error("log service stores nothing", error=error)

    def log_back(self) -> None:
        """Log that it stores entries again."""
        _log.info("log service stores again")

    def log_unusable(self, error: GatewayError) -> None:
        """Log that the outbox cannot be used."""
        _log.error("log outbox cannot be used", error=error.log_text)

    def log_bug(self, error: Exception) -> None:
        """Log a fault of this program."""
        _log.error("log delivery failed", **fault_place(error))
