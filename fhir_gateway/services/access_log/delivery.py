"""
Delivery of log entries from the outbox to the log service.

The service stores all entries of a message or none. So a message that fails costs each
of its entries an attempt, and an entry that has failed before is sent alone: a faulty
one delays no other. An entry leaves the outbox only after the service has said that it
stored it; each repeat has the same id.
"""

import threading
from datetime import timedelta
from typing import Final

import structlog

from fhir_gateway.adapters.log_service import LogService
from fhir_gateway.model.errors import GatewayError, Incorrect
from fhir_gateway.model.fault_place import fault_place
from fhir_gateway.model.log_entry import LogResult
from fhir_gateway.stores.log_outbox import LogOutbox, QueuedEntry

__all__ = ["LogDelivery"]

_log = structlog.get_logger()

_MOST_ENTRIES: Final = 10
# Between two looks into an empty outbox: entries of that time share a message.
_PAUSE_S: Final = 5.0
# After a failure: it doubles from the first to the longest, until something is stored.
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 60.0
# Longer than a call takes: the longest timeout, and some for the database.
_LEASE: Final = timedelta(seconds=100)
# Waits of an entry that the service could not be asked about, or refused: each doubles.
_FAILED: Final = (timedelta(seconds=5), timedelta(minutes=5))
_REFUSED: Final = (timedelta(minutes=1), timedelta(hours=6))
# About three days. After them the entry needs a person.
_MOST_REFUSALS: Final = 20


class LogDelivery:
    """
    Delivers entries until the outbox is empty.

    Several processes may run it at once.

    Args:
        outbox: The entries.
        service: Stores them.
    """

    def __init__(self, outbox: LogOutbox, service: LogService) -> None:
        self._outbox = outbox
        self._service = service
        self._is_away = False

    def run(self, stop: threading.Event) -> None:
        """Deliver until `stop` is set, also after the service or SQL was away."""
        failures = 0
        while not stop.is_set():
            is_stored = self._try_to_deliver(1 if failures else _MOST_ENTRIES)
            if is_stored is None:
                stop.wait(_PAUSE_S)
            elif is_stored:
                failures = 0
            else:
                stop.wait(min(_FIRST_PAUSE_S * 2**failures, _LONGEST_PAUSE_S))
                failures = min(failures + 1, _MOST_REFUSALS)

    def deliver(self, most: int = _MOST_ENTRIES) -> bool | None:
        """
        Deliver some entries in one message.

        Args:
            most: The greatest number of entries. While the service is away it is one,
                so that few entries are later sent alone.

        Returns:
            Whether they were stored; None if no entry is due.

        Raises:
            DatabaseUnavailable: The outbox is away.
            SealBroken: None of our keys opens an entry.
        """
        taken = self._outbox.take(limit=most, lease=_LEASE)
        if not taken:
            return None
        try:
            result = self._service.store([each.entry for each in taken])
        except Incorrect:
            result = LogResult.INVALID
        except GatewayError as error:
            self._note_failure(error.log_text)
            self._outbox.postpone(taken, _wait(_FAILED, taken[0].attempts))
            return False
        if result is LogResult.STORED:
            self._outbox.remove(taken)
            self._note_success()
            return True
        self._settle_refusal(taken, result)
        return False

    def _try_to_deliver(self, most: int) -> bool | None:
        try:
            return self.deliver(most)
        except GatewayError as error:
            _log.error("log outbox cannot be used", error=error.log_text)
        except Exception as error:  # noqa: BLE001 - it must not end the whole worker
            # A fault of this program: the entry is tried again, alone, when its lease
            # has ended.
            _log.error("log delivery failed", **fault_place(error))
        return False

    def _settle_refusal(
        self, taken: tuple[QueuedEntry, ...], result: LogResult
    ) -> None:
        if len(taken) > 1:
            # Alone from now on, and at once: the service says no to one of them only.
            self._outbox.postpone(taken, timedelta())
            return
        (entry,) = taken
        is_final = result is LogResult.INVALID or entry.refusals + 1 >= _MOST_REFUSALS
        if is_final:
            self._outbox.give_up(entry, result)
            _log.error("log entry refused", entry=entry.entry.id, result=result.value)
            return
        self._outbox.postpone(
            taken, _wait(_REFUSED, entry.refusals + 1), is_refused=True
        )
        self._note_failure(f"the log service answered: {result.value}")

    def _note_failure(self, error: str) -> None:
        if not self._is_away:
            _log.error("log service stores nothing", error=error)
        self._is_away = True

    def _note_success(self) -> None:
        if self._is_away:
            _log.info("log service stores again")
        self._is_away = False


def _wait(bounds: tuple[timedelta, timedelta], attempts: int) -> timedelta:
    shortest, longest = bounds
    return min(shortest * (1 << min(attempts - 1, _MOST_REFUSALS)), longest)
