"""
A process that delivers log entries, and kills itself at one named point.

Run it as `python log_worker.py URL KEY FILE POINT`; without such a point it ends when
no entry is due. The points are passed by an outbox that is handed to the delivery, by
an event of SQLAlchemy's and by an audit event of Python's own HTTP client: the program
itself knows nothing of them.
"""

import os
import signal
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, event

from fhir_gateway.adapters.store_log import StoreLog20, log_service_options
from fhir_gateway.model.log_entry import LogEntry, LogResult
from fhir_gateway.services.access_log.delivery import LogDelivery
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.log_outbox import LogOutbox, QueuedEntry
from fhir_gateway.stores.sealing import Seal

__all__ = ["POINTS"]

POINTS: Final = (
    *("before-take", "in-take", "after-take"),
    *("before-first-byte", "after-first-byte", "after-answer"),
    *("in-remove", "after-remove"),
    *("in-postpone", "after-postpone"),
    *("in-give-up", "after-give-up"),
)


class Crash:
    """Kills the process when it passes a point."""

    def __init__(self, point: str) -> None:
        self._point = point
        self._step: str | None = None
        self._sent = 0
        event.listen(Engine, "commit", self._commit)
        sys.addaudithook(self._hear)

    def passing(self, point: str) -> None:
        """Die here, if this is the point."""
        if point == self._point:
            os.kill(os.getpid(), signal.SIGKILL)

    def step(self, name: str | None) -> None:
        """Remember which step's transaction comes next."""
        self._step = name

    def _commit(self, _connection: Connection) -> None:
        if self._step is not None:
            self.passing(f"in-{self._step}")

    def _hear(self, name: str, _arguments: tuple[Any, ...]) -> None:
        if name == "http.client.send":
            self._sent += 1
            self.passing("before-first-byte" if self._sent == 1 else "after-first-byte")


class WatchedOutbox(LogOutbox):
    """An outbox with a point in and after each step."""

    crash: Crash

    def take(self, *, limit: int, lease: timedelta) -> tuple[QueuedEntry, ...]:
        """Take entries."""
        self.crash.passing("before-take")
        self.crash.step("take")
        taken = super().take(limit=limit, lease=lease)
        self.crash.passing("after-take")
        return taken

    def remove(self, taken: Sequence[QueuedEntry]) -> None:
        """Remove entries."""
        self.crash.step("remove")
        super().remove(taken)
        self.crash.passing("after-remove")

    def postpone(
        self, taken: Sequence[QueuedEntry], wait: timedelta, *, is_refused: bool = False
    ) -> None:
        """Make entries due again."""
        self.crash.step("postpone")
        super().postpone(taken, wait, is_refused=is_refused)
        self.crash.passing("after-postpone")

    def give_up(self, taken: QueuedEntry, result: LogResult) -> None:
        """Flag an entry."""
        self.crash.step("give-up")
        super().give_up(taken, result)
        self.crash.passing("after-give-up")


class WatchedService(StoreLog20):
    """A log service with a point after its answer."""

    crash: Crash

    def store(self, entries: Sequence[LogEntry]) -> LogResult:
        """Hand over entries."""
        result = super().store(entries)
        self.crash.passing("after-answer")
        return result


def main(url: str, key: str, file: str, point: str) -> None:
    """Deliver entries until none is due."""
    outbox = WatchedOutbox(Database(url), Seal((key,)))
    service = WatchedService(log_service_options(Path(file)))
    outbox.crash = service.crash = Crash(point)
    delivery = LogDelivery(outbox, service)
    while delivery.deliver() is not None:
        pass


if __name__ == "__main__":
    main(*sys.argv[1:])
