"""
Upkeep of the audit trail: removes what is old enough, and seals with the newest key.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, RowMapping, delete, func, select, update

from fhir_gateway.model.audit_entry import AuditEntry
from fhir_gateway.model.principal import Principal, Purpose, Role
from fhir_gateway.stores.audit.anchors import (
    ORIGIN,
    AnchorKind,
    Anchors,
    ChainBroken,
    Link,
)
from fhir_gateway.stores.audit.audit_store import append_all
from fhir_gateway.stores.audit.rows import is_authentic, resealed
from fhir_gateway.stores.audit.tables import anchors, events
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.sealing import Seal

__all__ = ["AuditUpkeep"]

_BATCH: Final = 500


class AuditUpkeep:
    """
    Removes and reseals rows; several processes may do so at once.

    Args:
        database: Where the tables are.
        seal: Opens and seals what is personal, and signs.
    """

    def __init__(self, database: Database, seal: Seal) -> None:
        self._database = database
        self._seal = seal
        self._anchors = Anchors(seal)

    def check_keys(self) -> None:
        """
        Check, at start, that this server's keys open the newest row.

        Raises:
            SealBroken: They do not.
        """
        with self._database.reading() as connection:
            newest = connection.execute(
                select(events.c.persons_sealed)
                .order_by(events.c.sequence.desc())
                .limit(1)
            ).scalar_one_or_none()
        if newest is not None:
            self._seal.unseal(newest)

    def head(self) -> Link | None:
        """Return the place of the newest row; None where nothing was ever stored."""
        with self._database.reading() as connection:
            row = connection.execute(
                select(anchors).where(anchors.c.kind == AnchorKind.HEAD.value)
            ).one_or_none()
        return None if row is None else Link(row.sequence, row.hash)

    def count(self) -> int:
        """Return how many rows there are."""
        with self._database.reading() as connection:
            return connection.execute(
                select(func.count()).select_from(events)
            ).scalar_one()

    def purge(self, *, recorded_before: datetime) -> int:
        """
        Remove at most 500 of the oldest rows; return how many.

        The start moves to the last of them, so that the chain still holds.

        Raises:
            ChainBroken: Somebody has changed the start: no row is removed.
        """
        with self._database.writing() as connection:
            start = self._anchors.lock_start(connection)
            if start is None:
                return 0
            old = self._old(connection, recorded_before.timestamp())
            if not old:
                return 0
            last = Link(old[-1]["sequence"], old[-1]["hash"])
            connection.execute(delete(events).where(events.c.sequence <= last.sequence))
            self._anchors.move(connection, AnchorKind.START, last)
            return len(old)

    def _old(self, connection: Connection, before: float) -> list[RowMapping]:
        """
        Return the rows to remove: all up to the last one that is certainly old.

        Somebody who changes the time of a row must not have it removed.
        """
        rows = connection.execute(
            select(events).order_by(events.c.sequence).limit(_BATCH)
        ).mappings()
        old: list[RowMapping] = []
        uncertain: list[RowMapping] = []
        for row in rows:
            if not is_authentic(row, self._seal):
                uncertain.append(row)
                continue
            if row["recorded_at"] >= before:
                break
            old += [*uncertain, row]
            uncertain = []
        return old

    def reseal(self) -> Iterator[tuple[int, int]]:
        """
        Seal and sign with the newest key what has an older one.

        Servers can run meanwhile. A row that somebody has changed stays as it is.

        Yields:
            After each batch, how many rows it had and how many of them were resealed.

        Raises:
            SealBroken: None of this server's keys opens a row; the rows before it are
                resealed.
            ChainBroken: Somebody has changed an anchor.
        """
        after = -1
        while True:
            with self._database.writing() as connection:
                rows = (
                    connection.execute(
                        select(events)
                        .where(events.c.sequence > after)
                        .order_by(events.c.sequence)
                        .limit(_BATCH)
                        .with_for_update()
                    )
                    .mappings()
                    .all()
                )
                changed = 0
                for row in rows:
                    values = resealed(row, self._seal)
                    if values:
                        changed += 1
                        connection.execute(
                            update(events)
                            .where(events.c.sequence == row["sequence"])
                            .values(**values)
                        )
            if not rows:
                break
            yield len(rows), changed
            after = rows[-1]["sequence"]
        with self._database.writing() as connection:
            start = self._anchors.lock_start(connection)
            if start is not None:
                self._anchors.move(connection, AnchorKind.START, start)
                head, _ = self._anchors.lock_head(connection)
                self._anchors.move(connection, AnchorKind.HEAD, head)

    def mend_anchors(self) -> Link:
        """
        Sign anchors that fit the rows that are there; return the new head.

        For a trail that takes no more rows since somebody changed its anchors. The
        chain goes on with a row that says so; what is wrong before it stays wrong.
        """
        with self._database.writing() as connection:
            first = connection.execute(
                select(events).order_by(events.c.sequence).limit(1)
            ).first()
            last = connection.execute(
                select(events).order_by(events.c.sequence.desc()).limit(1)
            ).first()
            head = ORIGIN if last is None else Link(last.sequence, last.hash)
            self._anchors.put(connection, AnchorKind.HEAD, head)
            try:
                start = self._anchors.lock_start(connection)
            except ChainBroken:
                start = None
            if start is None:
                start = ORIGIN
                if first is not None:
                    start = Link(first.sequence - 1, first.previous_hash)
                self._anchors.put(connection, AnchorKind.START, start)
            append_all(connection, [_MENDED], self._seal)
            return self._anchors.lock_head(connection)[0]


_MENDED: Final = AuditEntry(
    principal=Principal(role=Role.OPERATOR, purpose=Purpose.OPERATIONS),
    resource_type="AuditEvent",
    interaction="mend",
    basis=None,
    subject=None,
)
