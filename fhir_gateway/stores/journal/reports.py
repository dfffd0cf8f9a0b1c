"""
Reports: what regions tell of bookings, asked or unasked.
"""

from dataclasses import replace
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import (
    Connection,
    Row,
    and_,
    insert,
    select,
)

from fhir_gateway.model.booking import Booking
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.timekeeping import epoch_seconds
from fhir_gateway.model.timeslot import Timeslot
from fhir_gateway.stores.database import Database, database_clock
from fhir_gateway.stores.journal.changing import (
    CHANGED_AND_CONFIRMED,
    CONFIRMED,
    booking_id_taken,
    change,
    is_overtaken,
    lock_unit,
    retire_double,
)
from fhir_gateway.stores.journal.claiming import (
    locked,
    of_resident,
    release,
)
from fhir_gateway.stores.journal.records import (
    BookingRecord,
    BookingState,
)
from fhir_gateway.stores.journal.rows import (
    NUMBER,
    record_from_row,
    timeslot_from_document,
    values_from_permissions,
    values_from_subject,
    values_from_timeslot,
)
from fhir_gateway.stores.journal.tables import bookings, decisions
from fhir_gateway.stores.sealing import Seal

__all__ = ["Reports"]

_TIMES: Final = ("starts_at", "ends_at")


class Reports:
    """
    Writes down what a source has said of a booking.

    Every method is one transaction, as those of `Journal` are.

    Args:
        database: Where the journal is.
        seal: Encrypts what is personal.
    """

    def __init__(self, database: Database, seal: Seal) -> None:
        self._database = database
        self._seal = seal

    def adopt(
        self,
        *,
        source: SourceName,
        booking: Booking,
        timeslot: Timeslot,
        number: PersonalIdentityNumber,
    ) -> BookingRecord:
        """
        Return our record of a booking that a region told us of; make one if need be.

        A booking that we are making or moving just now is recognised by its resident,
        unit and start, and returned as it stands: its outcome is for whoever settles
        it. An existing record is never changed here; `confirm` does that.

        A booking that is CANCELLED here and still stands at its source is made anew:
        a time that is shown in vain does less harm than one that is missed.

        Raises:
            BookingIdTaken: Its id is that of another person's booking.
        """
        # Most of what a region tells us of is known, and looking waits for nobody.
        with self._database.reading() as connection:
            known = self._known(connection, source, booking, timeslot, number)
        if known is not None:
            return self._record(known)
        with self._database.writing() as connection:
            lock_unit(connection, source, timeslot.schedule.unit)
            row = self._known(connection, source, booking, timeslot, number)
            if row is None:
                row = connection.execute(
                    insert(bookings)
                    .values(
                        id=str(uuid4()),
                        version=1,
                        state=BookingState.BOOKED.value,
                        source=source,
                        booking_id=booking.booking_id,
                        is_invitation=booking.is_invitation,
                        created_at=database_clock(),
                        updated_at=database_clock(),
                        confirmed_at=database_clock(),
                        **values_from_subject({NUMBER: number.reveal()}, self._seal),
                        **values_from_permissions(booking.permissions),
                        **values_from_timeslot(timeslot),
                    )
                    .returning(*bookings.c)
                ).one()
            return self._record(row)

    def confirm(
        self, record: BookingRecord, booking: Booking, timeslot: Timeslot
    ) -> BookingRecord:
        """
        Store what its source said of a booking just now.

        The version changes only when something that a client can see does. A booking
        that is not BOOKED is left alone. One that has changed since `record` was read,
        or that a write is under way to, only gets its `confirmed_at`: what the source
        said may be older than what we know.

        Args:
            record: The booking as it was before the source was asked.
            booking: What the source said.
            timeslot: Its time now. Where the unit has moved it, the old place is free.

        Raises:
            BookingIdTaken: Its id is that of another booking of ours.
            NotFound: There is no such booking.
        """
        with self._database.writing() as connection:
            lock_unit(connection, record.source, timeslot.schedule.unit)
            row = locked(connection, record.id)
            if row.state != BookingState.BOOKED.value:
                return self._record(row)
            if is_overtaken(connection, row, record):
                return change(connection, self._seal, row, CONFIRMED)
            old = timeslot_from_document(row.timeslot)
            if timeslot.source_id is None:
                timeslot = replace(timeslot, source_id=old.source_id)
            described = {
                "booking_id": booking.booking_id or row.booking_id,
                "is_invitation": booking.is_invitation,
                **values_from_permissions(booking.permissions),
                **values_from_timeslot(timeslot),
            }
            if all(getattr(row, name) == value for name, value in described.items()):
                return change(connection, self._seal, row, CONFIRMED)
            retire_double(connection, self._seal, row, booking.booking_id, timeslot)
            if any(described[name] != getattr(row, name) for name in _TIMES):
                release(connection, row.id)
            return change(
                connection, self._seal, row, CHANGED_AND_CONFIRMED, **described
            )

    def mark_cancelled_elsewhere(self, record: BookingRecord) -> BookingRecord:
        """
        Store that its source no longer has a booking; its places are free.

        One that is not BOOKED, that has changed since `record` was read, or that a
        write is under way to, is returned as it stands.

        Args:
            record: The booking as it was before the source was asked.

        Raises:
            NotFound: There is no such booking.
        """
        with self._database.writing() as connection:
            row = locked(connection, record.id)
            is_booked = row.state == BookingState.BOOKED.value
            if not is_booked or is_overtaken(connection, row, record):
                return self._record(row)
            release(connection, row.id)
            return change(
                connection, self._seal, row, state=BookingState.CANCELLED.value
            )

    def _known(
        self,
        connection: Connection,
        source: SourceName,
        booking: Booking,
        timeslot: Timeslot,
        number: PersonalIdentityNumber,
    ) -> Row[Any] | None:
        unit, start = timeslot.schedule.unit, epoch_seconds(timeslot.start)
        if booking.booking_id is not None:
            same_id = connection.execute(
                select(bookings).where(
                    bookings.c.source == source,
                    bookings.c.unit == unit,
                    bookings.c.booking_id == booking.booking_id,
                    bookings.c.state == BookingState.BOOKED.value,
                )
            ).one_or_none()
            if same_id is not None:
                if self._record(same_id).number != number:
                    raise booking_id_taken(source)
                return same_id
        residents = connection.execute(
            select(bookings, decisions.c.timeslot.label("target"))
            .outerjoin(
                decisions,
                and_(
                    decisions.c.booking == bookings.c.id,
                    decisions.c.settled_at.is_(None),
                ),
            )
            .where(
                bookings.c.source == source,
                of_resident(self._seal, number),
                bookings.c.state.in_(
                    [BookingState.PENDING.value, BookingState.BOOKED.value]
                ),
            )
        ).all()
        for row in residents:
            target = row.target or {}
            # Ids tell nothing where one of the two has none; a resident cannot be at
            # one unit twice at once.
            lacks_id = row.booking_id is None or booking.booking_id is None
            if (lacks_id and (row.unit, row.starts_at) == (unit, start)) or (
                (target.get("unit"), target.get("start")) == (unit, start)
            ):
                return row
        return None

    def _record(self, row: Row[Any]) -> BookingRecord:
        return record_from_row(row, self._seal)
