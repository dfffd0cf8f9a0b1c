"""
The outbox of the log service: entries that are still to be delivered.

An entry is committed here before the employee gets the patient's data, and leaves when
the log service has stored it. So a process can die at any moment: at worst the service
receives an entry twice, with the same id.

The entries are sealed; see `journal/tables.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import delete, func, insert, select, update

from fhir_gateway.model.errors import Party, Unavailable
from fhir_gateway.model.log_entry import LogEntry, LogResult
from fhir_gateway.stores.database import Database, DatabaseUnavailable, database_clock
from fhir_gateway.stores.journal.tables import log_outbox
from fhir_gateway.stores.sealing import Seal

__all__ = ["LogOutbox", "OutboxState", "QueuedEntry"]

_MOST_ENTRIES: Final = 100_000
_FULL: Final = (
    "The log of staff access cannot be written just now, so nothing was done; ask again"
    " later."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedEntry:
    """
    An entry that the caller has taken to deliver it.

    Attributes:
        attempts: How many times it was taken, with this one.
        refusals: How many times the service refused it.
    """

    entry: LogEntry
    attempts: int
    refusals: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxState:
    """
    How full the outbox is.

    Attributes:
        waiting: The entries that are to be delivered.
        oldest: How long the oldest of them has waited; None without one.
        refused: The entries that the service refused for good, by its reason.
    """

    waiting: int
    oldest: timedelta | None
    refused: dict[LogResult, int]


class LogOutbox:
    """
    The entries to deliver.

    Each method is one transaction, and may raise `DatabaseUnavailable`.

    Args:
        database: Where it is.
        seal: Opens and seals the entries.
        most: The greatest number of entries; with more, nothing is added.
    """

    def __init__(
        self, database: Database, seal: Seal, *, most: int = _MOST_ENTRIES
    ) -> None:
        self._database = database
        self._seal = seal
        self._most = most

    def add(self, entry: LogEntry) -> None:
        """
        Commit an entry.

        Raises:
            Unavailable: The outbox is full, or the database is away; so the access must
                not happen.
        """
        try:
            with self._database.writing() as connection:
                last = select(log_outbox.c.id).offset(self._most - 1).limit(1)
                is_full = connection.execute(last).first() is not None
                if not is_full:
                    connection.execute(
                        insert(log_outbox).values(
                            id=entry.id,
                            entry_sealed=self._seal.seal(entry.as_mapping()),
                            queued_at=database_clock(),
                            next_try_at=database_clock(),
                            attempts=0,
                            refusals=0,
                        )
                    )
        except DatabaseUnavailable as error:
            raise Unavailable(_FULL, party=Party.GATEWAY) from error
        if is_full:
            raise Unavailable(_FULL, party=Party.GATEWAY)

    def take(self, *, limit: int, lease: timedelta) -> tuple[QueuedEntry, ...]:
        """
        Take due entries; nobody else gets them during the lease.

        An entry that was taken before is taken alone: it may be what made its last
        delivery fail.

        Raises:
            SealBroken: None of our keys opens an entry.
        """
        table = log_outbox.c
        with self._database.writing() as connection:
            due = list(
                connection.execute(
                    select(log_outbox)
                    .where(
                        table.refused_at.is_(None),
                        table.next_try_at <= database_clock(),
                    )
                    .order_by(table.next_try_at, table.id)
                    .limit(limit)
                    .with_for_update(skip_locked=True)
                ).mappings()
            )
            if due and due[0]["attempts"]:
                due = due[:1]
            due = [row for row in due if row["attempts"] == due[0]["attempts"]]
            connection.execute(
                update(log_outbox)
                .where(table.id.in_([row["id"] for row in due]))
                .values(
                    attempts=table.attempts + 1,
                    next_try_at=database_clock() + lease.total_seconds(),
                )
            )
        return tuple(
            QueuedEntry(
                entry=LogEntry.from_mapping(
                    row["id"], self._seal.unseal(row["entry_sealed"])
                ),
                attempts=row["attempts"] + 1,
                refusals=row["refusals"],
            )
            for row in due
        )

    def remove(self, taken: Sequence[QueuedEntry]) -> None:
        """Remove entries that the service has stored."""
        with self._database.writing() as connection:
            connection.execute(
                delete(log_outbox).where(log_outbox.c.id.in_(_ids(taken)))
            )

    def postpone(
        self, taken: Sequence[QueuedEntry], wait: timedelta, *, is_refused: bool = False
    ) -> None:
        """
        Make entries due again after a wait.

        Args:
            taken: The entries.
            wait: The wait.
            is_refused: The service has answered that it does not store them.
        """
        table = log_outbox.c
        with self._database.writing() as connection:
            connection.execute(
                update(log_outbox)
                .where(table.id.in_(_ids(taken)), table.refused_at.is_(None))
                .values(
                    next_try_at=database_clock() + wait.total_seconds(),
                    refusals=table.refusals + int(is_refused),
                )
            )

    def give_up(self, taken: QueuedEntry, result: LogResult) -> None:
        """Flag an entry that the service refuses for good; it stays here."""
        with self._database.writing() as connection:
            connection.execute(
                update(log_outbox)
                .where(log_outbox.c.id == taken.entry.id)
                .values(refused_at=database_clock(), refused_as=result.value)
            )

    def retry_refused(self) -> int:
        """Make all refused entries due again; return how many there were."""
        with self._database.writing() as connection:
            return connection.execute(
                update(log_outbox)
                .where(log_outbox.c.refused_at.is_not(None))
                .values(
                    refused_at=None,
                    refused_as=None,
                    refusals=0,
                    next_try_at=database_clock(),
                )
            ).rowcount

    def state(self) -> OutboxState:
        """Return how full the outbox is."""
        table = log_outbox.c
        with self._database.reading() as connection:
            rows = connection.execute(
                select(
                    table.refused_as,
                    func.count(),
                    database_clock() - func.min(table.queued_at),
                ).group_by(table.refused_as)
            ).all()
        counts = {refused_as: count for refused_as, count, _ in rows}
        ages = [age for refused_as, _, age in rows if refused_as is None]
        return OutboxState(
            waiting=counts.pop(None, 0),
            oldest=timedelta(seconds=max(0.0, ages[0])) if ages else None,
            refused={LogResult(each): count for each, count in counts.items()},
        )


def _ids(taken: Sequence[QueuedEntry]) -> list[str]:
    return [each.entry.id for each in taken]
