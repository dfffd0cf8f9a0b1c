"""
The audit trail in SQL: appends entries, and finds a resident's.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, func, insert, select

from fhir_gateway.model.audit_entry import AuditEntry, AuditRecord
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.stores.audit.anchors import AnchorKind, Anchors
from fhir_gateway.stores.audit.group_commit import GroupCommit
from fhir_gateway.stores.audit.rows import SUBJECT, next_row, record_from_row
from fhir_gateway.stores.audit.tables import events
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.sealing import Seal

__all__ = ["AuditStore", "append_all"]

_INSERT: Final = insert(events)
_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class AuditStore:
    """
    Appends entries to the chain; safe for several threads and processes.

    Args:
        database: Where the tables are.
        seal: Seals what is personal, and signs.
    """

    def __init__(self, database: Database, seal: Seal) -> None:
        self._database = database
        self._seal = seal
        self._group = GroupCommit(self._append)

    def append(self, entry: AuditEntry) -> None:
        """
        Store an entry; return when it has reached the disk.

        Raises:
            NotWritten: It could not be stored. The cause is a `ChainBroken`, a
                `DatabaseUnavailable`, or a fault of the program.
        """
        self._group.add(entry)

    def find(self, identifier: str) -> AuditRecord | None:
        """
        Return the entry with a public id; None when there is none.

        Raises:
            SealBroken: None of this server's keys opens it.
            DatabaseUnavailable: The database cannot be reached.
        """
        if not _ID.fullmatch(identifier):
            return None
        found = self._read(select(events).where(events.c.id == identifier))
        return found[0] if found else None

    def list_of(
        self,
        number: PersonalIdentityNumber,
        *,
        limit: int,
        older_than: int | None = None,
        start: datetime | None = None,
        before: datetime | None = None,
    ) -> list[AuditRecord]:
        """
        Return the entries that concern a person, newest first.

        Args:
            number: The person's.
            limit: How many at most.
            older_than: Only those before this one in the chain.
            start: Only those stored then or later.
            before: Only those stored earlier.

        Raises:
            SealBroken: None of this server's keys opens one of them.
            DatabaseUnavailable: The database cannot be reached.
        """
        asked = select(events).where(*self._concerns(number, start, before))
        if older_than is not None:
            asked = asked.where(events.c.sequence < older_than)
        found = self._read(asked.order_by(events.c.sequence.desc()).limit(limit))
        # A keyed hash that somebody copied to another row must not show it.
        return [each for each in found if each.entry.subject == number]

    def count_of(
        self,
        number: PersonalIdentityNumber,
        *,
        start: datetime | None = None,
        before: datetime | None = None,
    ) -> int:
        """
        Return how many entries concern a person.

        Args:
            number: The person's.
            start: Only those stored then or later.
            before: Only those stored earlier.

        Raises:
            DatabaseUnavailable: The database cannot be reached.
        """
        asked = (
            select(func.count())
            .select_from(events)
            .where(*self._concerns(number, start, before))
        )
        with self._database.reading() as connection:
            return connection.execute(asked).scalar_one()

    def _concerns(
        self,
        number: PersonalIdentityNumber,
        start: datetime | None,
        before: datetime | None,
    ) -> Iterator[ColumnElement[bool]]:
        """Yield the conditions of the entries about a person, stored in a period."""
        yield events.c.subject_hmac.in_(self._seal.lookups(SUBJECT, number.reveal()))
        if start is not None:
            yield events.c.recorded_at >= start.timestamp()
        if before is not None:
            yield events.c.recorded_at < before.timestamp()

    def _read(self, asked: Select[Any]) -> list[AuditRecord]:
        with self._database.reading() as connection:
            rows = connection.execute(asked).mappings().all()
        return [record_from_row(row, self._seal) for row in rows]

    def _append(self, entries: Sequence[AuditEntry]) -> None:
        with self._database.writing() as connection:
            append_all(connection, entries, self._seal)


def append_all(
    connection: Connection, entries: Sequence[AuditEntry], seal: Seal
) -> None:
    """
    Append entries in a transaction that the caller commits.

    Raises:
        ChainBroken: Somebody has changed the anchors.
    """
    anchors = Anchors(seal)
    head, moment = anchors.lock_head(connection)
    rows = []
    for entry in entries:
        row, head = next_row(entry, head, moment, seal)
        rows.append(row)
    connection.execute(_INSERT, rows)
    anchors.move(connection, AnchorKind.HEAD, head)
