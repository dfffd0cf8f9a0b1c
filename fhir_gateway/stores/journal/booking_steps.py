"""
The steps that changes of bookings are made of, each in a transaction of its caller's.

`claim_steps.py` says in which order locks are taken.
"""

from typing import Any

from sqlalchemy import Connection, Row, Update, select

from fhir_gateway.model.ids import BookingId, SourceName
from fhir_gateway.model.timekeeping import epoch_seconds
from fhir_gateway.model.timeslot import Timeslot
from fhir_gateway.stores.database import lock_until_commit
from fhir_gateway.stores.journal.claim_steps import release
from fhir_gateway.stores.journal.queries import CHANGE, OTHER_RECORD
from fhir_gateway.stores.journal.records import (
    BookingIdTaken,
    BookingRecord,
    BookingState,
)
from fhir_gateway.stores.journal.rows import record_from_row, values_from_state
from fhir_gateway.stores.journal.tables import intents
from fhir_gateway.stores.sealing import Seal

__all__ = [
    "booking_id_taken",
    "change",
    "has_unsettled",
    "is_overtaken",
    "lock_unit",
    "retire_double",
]


def change(
    connection: Connection,
    seal: Seal,
    row: Row[Any],
    how: Update = CHANGE,
    /,
    **values: object,
) -> BookingRecord:
    """Change a booking's row as one of the statements above says; set these columns."""
    stored = connection.execute(how, {"booking": row.id, **values}).one()
    return record_from_row(stored, seal)


def lock_unit(connection: Connection, source: str, unit: str) -> None:
    """Wait for others that look whether a unit's booking is known; SQLite need not."""
    lock_until_commit(connection, f"unit {source} {unit}")


def has_unsettled(connection: Connection, booking: str) -> bool:
    """Return whether a write to a booking is under way."""
    found = connection.execute(
        select(intents.c.id).where(
            intents.c.booking == booking, intents.c.settled_at.is_(None)
        )
    ).first()
    return found is not None


def is_overtaken(connection: Connection, row: Row[Any], record: BookingRecord) -> bool:
    """Return whether what was known of a booking may be older than what is."""
    return row.version != record.version or has_unsettled(connection, row.id)


def retire_double(
    connection: Connection,
    seal: Seal,
    row: Row[Any],
    booking_id: BookingId | None,
    timeslot: Timeslot,
) -> None:
    """
    Let another record of the same booking give way, if there is one.

    Raises:
        BookingIdTaken: The id is that of another booking.
    """
    if booking_id is None:
        return
    double = connection.execute(
        OTHER_RECORD,
        {
            "source": row.source,
            "unit": timeslot.schedule.unit,
            "booking_id": booking_id,
            "booking": row.id,
        },
    ).one_or_none()
    if double is None:
        return
    is_double = (
        record_from_row(double, seal).number == record_from_row(row, seal).number
        and double.starts_at == epoch_seconds(timeslot.start)
        and not has_unsettled(connection, double.id)
    )
    if not is_double:
        raise booking_id_taken(row.source)
    release(connection, double.id)
    change(connection, seal, double, **values_from_state(BookingState.REPLACED))


def booking_id_taken(source: str) -> BookingIdTaken:
    """Return the error that says that a source's answer cannot be about a booking."""
    return BookingIdTaken(
        "The source gave the id of another booking.", source=SourceName(source)
    )
