"""
Steps of changes to bookings; each runs in the caller's transaction.

`claim_steps.py` states the order of locks.
"""

from typing import Any, Final

from sqlalchemy import Connection, Row, Update, select, update

from fhir_gateway.model.errors import Conflict
from fhir_gateway.model.ids import BookingId, SourceName
from fhir_gateway.model.timekeeping import epoch_seconds
from fhir_gateway.model.timeslot import Timeslot
from fhir_gateway.stores.database import database_clock, lock_until_commit
from fhir_gateway.stores.journal.claim_steps import release
from fhir_gateway.stores.journal.queries import (
    CHANGE,
    INSERT_BOOKING,
    INVITATION,
    OTHER_RECORD,
)
from fhir_gateway.stores.journal.records import (
    BookingIdTaken,
    BookingRecord,
    BookingState,
)
from fhir_gateway.stores.journal.rows import (
    BOOKING_ID,
    Values,
    record_from_row,
    values_from_state,
)
from fhir_gateway.stores.journal.tables import bookings, intents, invitations
from fhir_gateway.stores.sealing import Seal

__all__ = [
    "booking_id_taken",
    "change",
    "has_other_record",
    "has_unsettled",
    "is_overtaken",
    "lock_unit",
    "replace_duplicate",
    "take_up_invitation",
]


# What an earlier try to book an invitation has left in its row.
_UNSET: Final = {
    "ending": None,
    "booking_id": None,
    "booking_id_sealed": None,
    "booking_id_hmac": None,
    "message_sealed": None,
    "cancellation_sealed": None,
    "confirmed_at": None,
    "wiped_at": None,
}


def change(
    connection: Connection,
    seal: Seal,
    row: Row[Any],
    how: Update = CHANGE,
    /,
    **values: object,
) -> BookingRecord:
    """Update a booking's row by one of the statements of `queries.py`; set columns."""
    stored = connection.execute(how, {"booking": row.id, **values}).one()
    return record_from_row(stored, seal)


def lock_unit(connection: Connection, source: str, unit: str) -> None:
    """Lock a unit's bookings until commit, while the caller looks one up."""
    lock_until_commit(connection, f"unit {source} {unit}")


def has_unsettled(connection: Connection, booking: str) -> bool:
    """Return whether a booking has a write that is not settled."""
    found = connection.execute(
        select(intents.c.id).where(
            intents.c.booking == booking, intents.c.settled_at.is_(None)
        )
    ).first()
    return found is not None


def is_overtaken(connection: Connection, row: Row[Any], record: BookingRecord) -> bool:
    """Return whether a booking has changed, or may change, since `record` was read."""
    return row.version != record.version or has_unsettled(connection, row.id)


def replace_duplicate(
    connection: Connection,
    seal: Seal,
    row: Row[Any],
    booking_id: BookingId | None,
    timeslot: Timeslot,
) -> None:
    """
    Set another record of the same booking to REPLACED, if there is one.

    Raises:
        BookingIdTaken: The id belongs to another booking.
    """
    if booking_id is None:
        return
    duplicate = _other_record(
        connection, seal, row, booking_id, unit=timeslot.schedule.unit
    )
    if duplicate is None:
        return
    is_duplicate = (
        record_from_row(duplicate, seal).number == record_from_row(row, seal).number
        and duplicate.starts_at == epoch_seconds(timeslot.start)
        and not has_unsettled(connection, duplicate.id)
    )
    if not is_duplicate:
        raise booking_id_taken(row.source)
    release(connection, duplicate.id)
    change(connection, seal, duplicate, **values_from_state(BookingState.REPLACED))


def has_other_record(
    connection: Connection, seal: Seal, row: Row[Any], booking_id: BookingId
) -> bool:
    """Return whether another BOOKED booking has an id too, if this one is BOOKED."""
    if row.state != BookingState.BOOKED.value:
        return False
    other = _other_record(connection, seal, row, booking_id, unit=row.unit)
    return other is not None


def _other_record(
    connection: Connection,
    seal: Seal,
    row: Row[Any],
    booking_id: BookingId,
    *,
    unit: str,
) -> Row[Any] | None:
    return connection.execute(
        OTHER_RECORD,
        {
            "source": row.source,
            "unit": unit,
            "hashes": seal.lookups(BOOKING_ID, booking_id),
            "in_clear": (booking_id,),
            "booking": row.id,
        },
    ).first()


def take_up_invitation(
    connection: Connection, invitation: str, values: Values
) -> Row[Any]:
    """
    Make the row of an open invitation's booking, which has its id; return the row.

    An earlier try that failed has left a void row, which is used again.

    Args:
        connection: The transaction; it locks the invitation until commit.
        invitation: Our id of the invitation.
        values: The columns of the booking, without its id and version.

    Raises:
        Conflict: It is booked, is being booked, or has been taken back.
    """
    connection.execute(
        select(invitations.c.id).where(invitations.c.id == invitation).with_for_update()
    ).one_or_none()
    row = connection.execute(
        INVITATION.where(
            invitations.c.id == invitation, invitations.c.withdrawn_at.is_(None)
        )
    ).one_or_none()
    if row is None:
        raise Conflict(
            "The invitation is not open any more: it has been booked, or its unit has"
            " taken it back; read it again."
        )
    values = {"version": row.shown_version + 1, **values}
    if row.booking_state is None:
        connection.execute(INSERT_BOOKING, {"id": invitation, **values})
    else:
        connection.execute(
            update(bookings)
            .where(bookings.c.id == invitation)
            .values(**_UNSET, **values, updated_at=database_clock())
        )
    return connection.execute(select(bookings).where(bookings.c.id == invitation)).one()


def booking_id_taken(source: str) -> BookingIdTaken:
    """Return the error for an answer with the id of another booking."""
    return BookingIdTaken(
        "The source gave the id of another booking.", source=SourceName(source)
    )
