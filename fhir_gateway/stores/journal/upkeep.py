"""
Upkeep: wipes personal data, and seals it with the newest key.

Bookings and intents stay as they are, except for personal data and its seal.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from sqlalchemy import (
    Connection,
    RowMapping,
    Table,
    delete,
    func,
    select,
    tuple_,
    update,
)

from fhir_gateway.model.timekeeping import epoch_seconds
from fhir_gateway.stores.database import Database, database_clock
from fhir_gateway.stores.journal.booking_steps import has_other_record, lock_unit
from fhir_gateway.stores.journal.rows import (
    BOOKING_ID,
    CLIENT,
    ENGAGEMENT,
    NUMBER,
    Values,
    booking_id_from_row,
    values_from_booking_id,
)
from fhir_gateway.stores.journal.tables import (
    VOID,
    added_units,
    bookings,
    engagements,
    index_posts,
    intents,
    invitations,
    log_outbox,
    requests,
)
from fhir_gateway.stores.sealing import Seal

__all__ = ["Upkeep"]

_BATCH: Final = 200
_SEALED: Final = (
    (
        bookings,
        (
            *("subject_sealed", "message_sealed", "cancellation_sealed"),
            *("maker_sealed", "actor_sealed", "booking_id_sealed"),
        ),
    ),
    (invitations, ("subject_sealed", "booking_id_sealed")),
    (intents, ("message_sealed", "cancellation_sealed")),
    (requests, ("answer_sealed",)),
    (log_outbox, ("entry_sealed",)),
    (index_posts, ("posts_sealed",)),
    (engagements, ("post_sealed",)),
    (added_units, ("subject_sealed",)),
)


class Upkeep:
    """
    Wipes and reseals.

    Args:
        database: Where the journal is.
        seal: Opens and seals what is personal.
    """

    def __init__(self, database: Database, seal: Seal) -> None:
        self._database = database
        self._seal = seal

    def check_keys(self) -> None:
        """
        Check, at start, that this server's keys open the database's data.

        Raises:
            SealBroken: They do not. With such keys a server would find no booking.
        """
        with self._database.reading() as connection:
            sealed = connection.execute(
                select(bookings.c.subject_sealed)
                .order_by(bookings.c.created_at.desc())
                .limit(1)
            ).scalar_one_or_none()
        if sealed is not None:
            self._seal.unseal(sealed)

    def wipe(self, *, ended_before: datetime) -> int:
        """
        Wipe personal data of at most 200 ended bookings; return how many.

        A booking with an unsettled write is kept, since it may need manual follow-up.
        No lookup finds a wiped booking.
        """
        with self._database.writing() as connection:
            unsettled = (
                select(intents.c.id)
                .where(
                    intents.c.booking == bookings.c.id,
                    intents.c.settled_at.is_(None),
                )
                .exists()
            )
            ids = list(
                connection.execute(
                    select(bookings.c.id)
                    .where(
                        bookings.c.wiped_at.is_(None),
                        bookings.c.ends_at < epoch_seconds(ended_before),
                        ~unsettled,
                    )
                    .order_by(bookings.c.ends_at)
                    .limit(_BATCH)
                    .with_for_update(skip_locked=True)
                ).scalars()
            )
            of_them = select(intents.c.id).where(intents.c.booking.in_(ids))
            connection.execute(delete(requests).where(requests.c.intent.in_(of_them)))
            connection.execute(
                update(intents)
                .where(intents.c.booking.in_(ids))
                .values(message_sealed=None, cancellation_sealed=None)
            )
            connection.execute(
                delete(index_posts).where(index_posts.c.booking.in_(ids))
            )
            connection.execute(
                update(bookings)
                .where(bookings.c.id.in_(ids))
                .values(
                    index_due_at=None,
                    subject_hmac="",
                    subject_sealed=self._seal.seal({}),
                    message_sealed=None,
                    cancellation_sealed=None,
                    maker_sealed=None,
                    client_hmac=None,
                    actor_sealed=None,
                    # The region's id identifies the resident, and may be used again.
                    **values_from_booking_id(None, self._seal),
                    wiped_at=database_clock(),
                )
            )
        return len(ids)

    def wipe_invitations(self, *, confirmed_before: datetime) -> int:
        """
        Delete at most 200 invitations that no source has confirmed since then.

        One with a booking that is not wiped stays. Returns how many were deleted.
        """
        with self._database.writing() as connection:
            is_needed = (
                select(bookings.c.id)
                .where(
                    bookings.c.id == invitations.c.id,
                    bookings.c.state != VOID,
                    bookings.c.wiped_at.is_(None),
                )
                .exists()
            )
            old = (
                select(invitations.c.id)
                .where(
                    invitations.c.confirmed_at < confirmed_before.timestamp(),
                    ~is_needed,
                )
                .order_by(invitations.c.confirmed_at)
                .limit(_BATCH)
            )
            return connection.execute(
                delete(invitations).where(invitations.c.id.in_(old))
            ).rowcount

    def seal_booking_ids(self) -> Iterator[int]:
        """
        Seal the booking ids that the previous release wrote in clear.

        One that two bookings have stays in clear until one of the two is over: the
        journal shows both, as it did before.

        Yields:
            After each batch, how many ids were sealed.
        """
        after = ""
        while True:
            with self._database.reading() as connection:
                rows = connection.execute(
                    select(bookings.c.id, bookings.c.source, bookings.c.unit)
                    .where(bookings.c.booking_id.is_not(None), bookings.c.id > after)
                    .order_by(bookings.c.id)
                    .limit(_BATCH)
                ).all()
            if not rows:
                return
            yield sum(self._seal_booking_id(*row) for row in rows)
            after = rows[-1].id

    def _seal_booking_id(self, booking: str, source: str, unit: str) -> bool:
        with self._database.writing() as connection:
            lock_unit(connection, source, unit)
            row = connection.execute(
                select(bookings).where(bookings.c.id == booking).with_for_update()
            ).one()
            booking_id = booking_id_from_row(row, self._seal)
            if row.booking_id is None or booking_id is None:
                return False
            if has_other_record(connection, self._seal, row, booking_id):
                return False
            connection.execute(
                update(bookings)
                .where(bookings.c.id == booking)
                .values(
                    timeslot=_without_free_id(row.timeslot),
                    **values_from_booking_id(booking_id, self._seal),
                )
            )
            for intent in connection.execute(
                select(intents.c.id, intents.c.timeslot).where(
                    intents.c.booking == booking, intents.c.timeslot.is_not(None)
                )
            ).all():
                connection.execute(
                    update(intents)
                    .where(intents.c.id == intent.id)
                    .values(timeslot=_without_free_id(intent.timeslot))
                )
            return True

    def count_sealed_rows(self) -> int:
        """Return how many rows `reseal` goes through."""
        with self._database.reading() as connection:
            return sum(
                connection.execute(select(func.count()).select_from(table)).scalar_one()
                for table, _ in _SEALED
            )

    def reseal(self) -> Iterator[tuple[int, int]]:
        """
        Seal data of older keys with the newest key.

        Servers can run meanwhile. Hashes of request keys stay as they are, since the
        journal does not have the keys; they are purged a day after the visit.

        Yields:
            After each batch, how many rows it had and how many of them were resealed.

        Raises:
            SealBroken: None of this server's keys opens a row; the rows before it are
                resealed.
        """
        for table, columns in _SEALED:
            after: tuple[str, ...] = ()
            while True:
                with self._database.writing() as connection:
                    rows = _batch(connection, table, after)
                    changed = sum(
                        self._reseal_row(connection, table, columns, row)
                        for row in rows
                    )
                if not rows:
                    break
                yield len(rows), changed
                after = tuple(rows[-1][key] for key in _keys(table))

    def _reseal_row(
        self,
        connection: Connection,
        table: Table,
        columns: tuple[str, ...],
        row: RowMapping,
    ) -> bool:
        values: Values = {}
        for name in columns:
            sealed = row[name]
            if sealed is None or self._seal.is_newest(sealed):
                continue
            fields = self._seal.unseal(sealed)
            values[name] = self._seal.seal(fields)
            if NUMBER in fields:
                values["subject_hmac"] = self._seal.lookup(NUMBER, fields[NUMBER])
            if CLIENT in fields:
                values["client_hmac"] = self._seal.lookup(CLIENT, fields[CLIENT])
            if BOOKING_ID in fields:
                hashed = self._seal.lookup(BOOKING_ID, fields[BOOKING_ID])
                values["booking_id_hmac"] = hashed
            if ENGAGEMENT in fields:
                hashed = self._seal.lookup(ENGAGEMENT, fields[ENGAGEMENT])
                values["key_hmac"] = hashed
        if not values:
            return False
        connection.execute(
            update(table)
            .where(*(table.c[key] == row[key] for key in _keys(table)))
            .values(**values)
        )
        return True


def _without_free_id(document: Values) -> Values:
    """Return a timeslot without the free time's id, which may be the booking's too."""
    return {name: value for name, value in document.items() if name != "source_id"}


def _keys(table: Table) -> list[str]:
    return [column.name for column in table.primary_key.columns]


def _batch(
    connection: Connection, table: Table, after: tuple[str, ...]
) -> list[RowMapping]:
    """Return the next rows in the order of their keys, locked until commit."""
    keys = [table.c[key] for key in _keys(table)]
    chosen = select(table).order_by(*keys).limit(_BATCH).with_for_update()
    if after:
        chosen = chosen.where(tuple_(*keys) > after)
    return list(connection.execute(chosen).mappings())
