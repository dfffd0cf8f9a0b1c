"""
Steps of claims; each runs in the caller's transaction.

On PostgreSQL every transaction takes its locks in this order, so that no two wait for
each other: request key, client, resident, timeslot, intent, unit, booking.
"""

import re
from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from fhir_gateway.model.errors import NotFound
from fhir_gateway.model.ids import BookingId, SourceName
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.timekeeping import epoch_seconds
from fhir_gateway.model.timeslot import Timeslot
from fhir_gateway.stores.database import database_clock, lock_until_commit
from fhir_gateway.stores.journal.queries import (
    BOOKING,
    BOOKING_FOR_UPDATE,
    INSERT_CLAIM,
    INSERT_INTENT,
    LAPSED_HOLDS,
    LIVE_CLAIMS,
    has_booking_id,
)
from fhir_gateway.stores.journal.records import (
    AlreadyBooked,
    BookingState,
    LostIntent,
    WriteIntent,
    WriteKind,
    WriteState,
    timeslot_taken,
)
from fhir_gateway.stores.journal.rows import (
    BOOKING_ID,
    NUMBER,
    document_from_timeslot,
    intent_from_row,
    values_from_state,
)
from fhir_gateway.stores.journal.tables import NOT_DONE, bookings, claims, intents
from fhir_gateway.stores.sealing import Seal

__all__ = [
    "OUR_ID",
    "claim",
    "find_any_place",
    "find_free_place",
    "from_now",
    "get_row",
    "insert_intent",
    "is_of_booking_id",
    "is_of_resident",
    "lock_row",
    "lock_timeslot",
    "lost_intent",
    "release",
    "stored_states",
]

# Also keeps a malformed id of a client away from PostgreSQL, which refuses a NUL.
OUR_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def is_of_resident(seal: Seal, number: PersonalIdentityNumber) -> ColumnElement[bool]:
    """Return the condition that a booking belongs to a resident."""
    return bookings.c.subject_hmac.in_(seal.lookups(NUMBER, number.reveal()))


def is_of_booking_id(
    seal: Seal, booking_ids: Collection[BookingId]
) -> ColumnElement[bool]:
    """Return the condition that a booking has one of a source's ids."""
    hashes = {each for one in booking_ids for each in seal.lookups(BOOKING_ID, one)}
    return has_booking_id(hashes, booking_ids)


def lock_timeslot(connection: Connection, timeslot: Timeslot) -> None:
    """Lock the claims of a timeslot until commit."""
    # The unique index alone prevents double booking. The lock lets two requests of one
    # person see each other, and lets the loser of a race fail without a database error.
    lock_until_commit(connection, f"timeslot {timeslot.token}")


def find_free_place(
    connection: Connection,
    seal: Seal,
    *,
    source: SourceName,
    timeslot: Timeslot,
    number: PersonalIdentityNumber,
    capacity: int | None,
) -> int:
    """
    Return the ordinal of an unclaimed place of a timeslot.

    This first ends expired holds, since their claims still stand in the index.

    Raises:
        AlreadyBooked: The same person has a place.
        TimeslotTaken: All places are claimed.
    """
    _end_lapsed_holds(connection, timeslot.token)
    live = connection.execute(LIVE_CLAIMS, {"token": timeslot.token}).all()
    hashes = seal.lookups(NUMBER, number.reveal())
    for row in live:
        if row.subject_hmac in hashes:
            raise AlreadyBooked(row.booking, source=source)
    occupied = {row.ordinal for row in live}
    places = timeslot.count if capacity is None else capacity
    for ordinal in range(1, places + 1):
        if ordinal not in occupied:
            return ordinal
    raise timeslot_taken(source)


def find_any_place(connection: Connection, token: str) -> int:
    """Return the lowest unclaimed ordinal, also one beyond the timeslot's places."""
    _end_lapsed_holds(connection, token)
    occupied = set(
        connection.execute(
            select(claims.c.ordinal).where(
                claims.c.token == token, claims.c.released_at.is_(None)
            )
        ).scalars()
    )
    return next(each for each in count(1) if each not in occupied)


def _end_lapsed_holds(connection: Connection, token: str) -> None:
    for row in connection.execute(LAPSED_HOLDS, {"token": token}).all():
        ended = connection.execute(
            update(intents)
            .where(
                intents.c.id == row.id,
                intents.c.state == WriteState.CLAIMED.value,
                intents.c.held_until <= database_clock(),
            )
            .values(
                state=NOT_DONE,
                fence=intents.c.fence + 1,
                settled_at=database_clock(),
            )
        )
        # Another process may have ended or renewed it since it was read.
        if ended.rowcount == 1:
            connection.execute(
                update(bookings)
                .where(bookings.c.id == row.booking)
                .values(
                    **values_from_state(BookingState.LAPSED),
                    version=bookings.c.version + 1,
                    updated_at=database_clock(),
                )
            )
            release(connection, row.booking)


def insert_intent(
    connection: Connection,
    seal: Seal,
    *,
    booking: str,
    kind: WriteKind,
    timeslot: Timeslot | None,
    lease: timedelta,
    channel: str | None,
    is_hold: bool = False,
) -> WriteIntent:
    """
    Insert an intent in state CLAIMED; a hold lasts as long as its lease.

    `channel` is `Principal.channel` of who asks. The returned intent alone has its
    source's id of the free time.
    """
    lease_s = lease.total_seconds()
    row = connection.execute(
        INSERT_INTENT,
        {
            "id": str(uuid4()),
            "booking": booking,
            "of_booking": booking,
            "kind": kind.value,
            "lease_s": lease_s,
            "held_s": lease_s if is_hold else None,
            "channel": channel,
            "timeslot": (
                None if timeslot is None else document_from_timeslot(timeslot)
            ),
        },
    ).one()
    intent = intent_from_row(row, seal)
    if intent.timeslot is None or timeslot is None:
        return intent
    return replace(
        intent, timeslot=replace(intent.timeslot, source_id=timeslot.source_id)
    )


def claim(
    connection: Connection,
    source: SourceName,
    intent: WriteIntent,
    timeslot: Timeslot,
    ordinal: int,
) -> None:
    """
    Claim a place for an intent.

    Raises:
        TimeslotTaken: The place is claimed already.
    """
    try:
        connection.execute(
            INSERT_CLAIM,
            {
                "id": str(uuid4()),
                "token": timeslot.token,
                "ordinal": ordinal,
                "booking": intent.booking,
                "intent": intent.id,
                "starts_at": epoch_seconds(timeslot.start),
            },
        )
    except IntegrityError:
        # Only a writer that does not take the lock, such as another release of this
        # program, can be first; the unique index decides.
        raise timeslot_taken(source) from None


def release(
    connection: Connection, booking: str, *conditions: ColumnElement[bool]
) -> None:
    """Release a booking's claims, or those that meet the conditions."""
    connection.execute(
        update(claims)
        .where(claims.c.booking == booking, claims.c.released_at.is_(None), *conditions)
        .values(released_at=database_clock())
    )


def get_row(connection: Connection, booking: str) -> Row[Any]:
    """
    Return the row of a booking.

    Raises:
        NotFound: There is none, its data have been wiped, or the text is not our id.
    """
    return _fetch_booking(connection, BOOKING, booking)


def lock_row(connection: Connection, booking: str) -> Row[Any]:
    """Return the row of a booking as `get_row` does, and lock it until commit."""
    return _fetch_booking(connection, BOOKING_FOR_UPDATE, booking)


def lost_intent() -> LostIntent:
    """Return the error for an intent that another process has sent or settled."""
    return LostIntent("The write has been sent or settled by somebody else.")


def from_now(duration: timedelta) -> ColumnElement[float]:
    """Return the instant after a duration, by the database's clock."""
    return database_clock() + duration.total_seconds()


def stored_states(states: Collection[WriteState]) -> list[str]:
    """Return states as they are stored."""
    return [state.value for state in states]


def _fetch_booking(
    connection: Connection, chosen: Select[Any], booking: str
) -> Row[Any]:
    row = None
    if OUR_ID.fullmatch(booking):
        row = connection.execute(chosen, {"booking": booking}).one_or_none()
    if row is None:
        raise NotFound("There is no such booking.")
    return row
