"""
Reports: record what regions report of bookings.

It has over 400 lines, since one place decides whether a report is of a known booking.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import (
    Connection,
    Row,
    and_,
    insert,
    select,
    update,
)

from fhir_gateway.model.booking import Booking, Wish
from fhir_gateway.model.ids import BookingId, SourceName
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.timekeeping import epoch_seconds
from fhir_gateway.model.timeslot import NO_TIME_TYPE, Timeslot
from fhir_gateway.stores.database import Database, database_clock
from fhir_gateway.stores.journal.booking_steps import (
    booking_id_taken,
    change,
    is_overtaken,
    lock_unit,
    replace_duplicate,
    take_up_invitation,
)
from fhir_gateway.stores.journal.claim_steps import (
    is_of_booking_id,
    is_of_resident,
    lock_row,
    release,
)
from fhir_gateway.stores.journal.queries import (
    CHANGE_AND_CONFIRM,
    CONFIRM,
    INVITATION,
)
from fhir_gateway.stores.journal.records import (
    BookingIdTaken,
    BookingRecord,
    BookingState,
)
from fhir_gateway.stores.journal.rows import (
    BOOKING_ID,
    NUMBER,
    booking_id_from_row,
    record_from_row,
    values_from_booking_id,
    values_from_permissions,
    values_from_subject,
    values_from_timeslot,
)
from fhir_gateway.stores.journal.tables import bookings, intents, invitations
from fhir_gateway.stores.sealing import Seal

__all__ = ["Reports"]

# Most bookings of one transaction: other writers wait for it to end.
_AT_ONCE: Final = 50
_MAY: Final = {
    Wish.CANCEL: "may_cancel",
    Wish.REBOOK: "may_rebook",
    Wish.MESSAGE: "may_message",
}
_TIMES: Final = ("starts_at", "ends_at")


class Reports:
    """
    Records what sources report of bookings.

    Every method is one transaction, as `Journal` states; `adopt_all` and `confirm_all`
    are a few.

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
        Return our record of a booking that a region reports; insert it if missing.

        A booking of which a write is under way is recognised by resident, unit and
        start, and returned as it is: its sender settles the outcome. An existing record
        is never changed here; `confirm` does that.

        A booking that is CANCELLED here and that its source still lists gets a new
        record: a time shown wrongly does less harm than a missed one.

        Raises:
            BookingIdTaken: Its id belongs to another person's booking.
        """
        # Most reported bookings are known, and reading takes no lock.
        with self._database.reading() as connection:
            found = self._read_known(connection, source, number, [booking])
            known = self._find_known(found, source, booking, timeslot, number)
        if known is not None:
            return known
        (adopted,) = self._adopt(source, number, [(booking, timeslot)])
        if adopted is None:
            raise booking_id_taken(source)
        return adopted

    def adopt_all(
        self,
        source: SourceName,
        number: PersonalIdentityNumber,
        reported: Sequence[tuple[Booking, Timeslot]],
    ) -> list[BookingRecord | None]:
        """
        Return our records of a resident's bookings, each as `adopt` returns it.

        None stands for one with the id of another person's booking. New records are
        inserted in a few transactions, each of a few bookings.
        """
        adopted: list[BookingRecord | None] = []
        for first in range(0, len(reported), _AT_ONCE):
            adopted += self._adopt(source, number, reported[first : first + _AT_ONCE])
        return adopted

    def _adopt(
        self,
        source: SourceName,
        number: PersonalIdentityNumber,
        reported: Sequence[tuple[Booking, Timeslot]],
    ) -> list[BookingRecord | None]:
        adopted: list[BookingRecord | None] = []
        with self._database.writing() as connection:
            for unit in sorted({timeslot.schedule.unit for _, timeslot in reported}):
                lock_unit(connection, source, unit)
            known = self._read_known(
                connection, source, number, [each for each, _ in reported]
            )
            for booking, timeslot in reported:
                try:
                    record = self._find_known(known, source, booking, timeslot, number)
                except BookingIdTaken:
                    adopted.append(None)
                    continue
                if record is None:
                    row = self._insert(connection, source, booking, timeslot, number)
                    known.add(row, booking.booking_id)
                    record = self._record(row)
                adopted.append(record)
        return adopted

    def _insert(
        self,
        connection: Connection,
        source: SourceName,
        booking: Booking,
        timeslot: Timeslot,
        number: PersonalIdentityNumber,
    ) -> Row[Any]:
        values = {
            "state": BookingState.BOOKED.value,
            "source": source,
            "is_invitation": booking.is_invitation,
            **values_from_subject({NUMBER: number.reveal()}, self._seal),
            **values_from_permissions(booking.permissions),
            **values_from_timeslot(timeslot),
        }
        ids = values_from_booking_id(booking.booking_id, self._seal)
        invitation = self._find_invitation(connection, source, booking, number)
        if invitation is not None:
            take_up_invitation(connection, invitation, values)
            return connection.execute(
                update(bookings)
                .where(bookings.c.id == invitation)
                .values(
                    confirmed_at=database_clock(),
                    index_due_at=database_clock(),
                    **ids,
                )
                .returning(*bookings.c)
            ).one()
        return connection.execute(
            insert(bookings)
            .values(
                id=str(uuid4()),
                version=1,
                created_at=database_clock(),
                updated_at=database_clock(),
                confirmed_at=database_clock(),
                index_due_at=database_clock(),
                **values,
                **ids,
            )
            .returning(*bookings.c)
        ).one()

    def _find_invitation(
        self,
        connection: Connection,
        source: SourceName,
        booking: Booking,
        number: PersonalIdentityNumber,
    ) -> str | None:
        """
        Return our id of the resident's open invitation that a booking answers.

        Its unit, or another system, has booked it, perhaps at another unit.
        """
        if booking.booking_id is None:
            return None
        hashes = self._seal.lookups(BOOKING_ID, booking.booking_id)
        row = connection.execute(
            INVITATION.where(
                invitations.c.source == source,
                invitations.c.booking_id_hmac.in_(hashes),
                invitations.c.subject_hmac.in_(
                    self._seal.lookups(NUMBER, number.reveal())
                ),
                invitations.c.withdrawn_at.is_(None),
            )
            .order_by(invitations.c.created_at.desc())
            .limit(1)
        ).one_or_none()
        return None if row is None else str(row.id)

    def confirm(
        self, record: BookingRecord, booking: Booking, timeslot: Timeslot
    ) -> BookingRecord:
        """
        Store what a source has just reported of a booking.

        The version changes only if something that a client can see changes. A booking
        that is not BOOKED is left unchanged. If it has changed since `record` was read,
        or has an unsettled write, only `confirmed_at` is set: the report may be older
        than the journal.

        Args:
            record: The booking as it was before the source was asked.
            booking: What the source reported.
            timeslot: Its time now. If the unit has moved it, the old place is released.

        Raises:
            BookingIdTaken: Its id belongs to another booking here.
            NotFound: There is no such booking.
        """
        with self._database.writing() as connection:
            lock_unit(connection, record.source, timeslot.schedule.unit)
            return self._confirm(connection, record, booking, timeslot)

    def confirm_all(
        self, reported: Sequence[tuple[BookingRecord, Booking, Timeslot]]
    ) -> list[BookingRecord | None]:
        """
        Store what sources have just reported of bookings, each as `confirm` does.

        None stands for one with the id of another booking here. There are a few
        transactions, each of a few bookings.
        """
        confirmed: list[BookingRecord | None] = []
        for first in range(0, len(reported), _AT_ONCE):
            chunk = reported[first : first + _AT_ONCE]
            units = {
                (record.source, timeslot.schedule.unit) for record, _, timeslot in chunk
            }
            with self._database.writing() as connection:
                for source, unit in sorted(units):
                    lock_unit(connection, source, unit)
                for each in chunk:
                    try:
                        confirmed.append(self._confirm(connection, *each))
                    except BookingIdTaken:
                        # Raised before anything is changed.
                        confirmed.append(None)
        return confirmed

    def _confirm(
        self,
        connection: Connection,
        record: BookingRecord,
        booking: Booking,
        timeslot: Timeslot,
    ) -> BookingRecord:
        row = lock_row(connection, record.id)
        if row.state != BookingState.BOOKED.value:
            return self._record(row)
        if is_overtaken(connection, row, record):
            return change(connection, self._seal, row, CONFIRM)
        described = {
            "is_invitation": booking.is_invitation,
            **values_from_permissions(booking.permissions),
            # A permission that cannot be read keeps its last known value.
            **{
                column: getattr(row, column)
                for wish, column in _MAY.items()
                if wish in booking.permissions.unreadable
            },
            **values_from_timeslot(timeslot),
        }
        has_same_id = booking.booking_id in (
            None,
            booking_id_from_row(row, self._seal),
        )
        if has_same_id and all(
            getattr(row, name) == value for name, value in described.items()
        ):
            return change(connection, self._seal, row, CONFIRM)
        replace_duplicate(connection, self._seal, row, booking.booking_id, timeslot)
        if any(described[name] != getattr(row, name) for name in _TIMES):
            release(connection, row.id)
        if not has_same_id:
            described |= values_from_booking_id(booking.booking_id, self._seal)
        return change(connection, self._seal, row, CHANGE_AND_CONFIRM, **described)

    def mark_cancelled_elsewhere(self, record: BookingRecord) -> BookingRecord:
        """
        Store that its source no longer has a booking; release its places.

        The booking is left unchanged if it is not BOOKED, has changed since `record`
        was read, or has an unsettled write.

        Args:
            record: The booking as it was before the source was asked.

        Raises:
            NotFound: There is no such booking.
        """
        with self._database.writing() as connection:
            row = lock_row(connection, record.id)
            is_booked = row.state == BookingState.BOOKED.value
            if not is_booked or is_overtaken(connection, row, record):
                return self._record(row)
            release(connection, row.id)
            return change(
                connection, self._seal, row, state=BookingState.CANCELLED.value
            )

    def _read_known(
        self,
        connection: Connection,
        source: SourceName,
        number: PersonalIdentityNumber,
        reported: Sequence[Booking],
    ) -> "_Known":
        """Return a resident's bookings, and those with the reported ids."""
        known = _Known()
        ids = {each.booking_id for each in reported if each.booking_id is not None}
        if ids:
            for row in connection.execute(
                select(bookings).where(
                    bookings.c.source == source,
                    is_of_booking_id(self._seal, ids),
                    bookings.c.state == BookingState.BOOKED.value,
                )
            ):
                booking_id = booking_id_from_row(row, self._seal)
                if booking_id is not None:
                    known.by_id[row.unit, booking_id] = row
        for row in connection.execute(
            select(bookings, intents.c.timeslot.label("target"))
            .outerjoin(
                intents,
                and_(
                    intents.c.booking == bookings.c.id,
                    intents.c.settled_at.is_(None),
                ),
            )
            .where(
                bookings.c.source == source,
                is_of_resident(self._seal, number),
                bookings.c.state.in_(
                    [BookingState.PENDING.value, BookingState.BOOKED.value]
                ),
            )
        ):
            known.at.setdefault((row.unit, row.starts_at), []).append(row)
            if row.target:
                known.by_target[row.target.get("unit"), row.target.get("start")] = row
        return known

    def _find_known(
        self,
        known: "_Known",
        source: SourceName,
        booking: Booking,
        timeslot: Timeslot,
        number: PersonalIdentityNumber,
    ) -> BookingRecord | None:
        """
        Return our record of a booking, if the journal has one.

        Raises:
            BookingIdTaken: Its id belongs to another person's booking.
        """
        unit, start = timeslot.schedule.unit, epoch_seconds(timeslot.start)
        if booking.booking_id is not None:
            same_id = known.by_id.get((unit, booking.booking_id))
            if same_id is not None:
                record = self._record(same_id)
                if record.number != number:
                    raise booking_id_taken(source)
                return record
        for row in known.at.get((unit, start), ()):
            # Where one of the two has no id, they are the same booking: a resident
            # cannot be at one unit twice at the same time. Two that are booked with
            # different time types are both shown all the same.
            if booking.booking_id is None or not _has_booking_id(row):
                record = self._record(row)
                if not _is_of_another_type(record, timeslot):
                    return record
        target = known.by_target.get((unit, start))
        return None if target is None else self._record(target)

    def _record(self, row: Row[Any]) -> BookingRecord:
        return record_from_row(row, self._seal)


def _has_booking_id(row: Row[Any]) -> bool:
    return row.booking_id is not None or row.booking_id_sealed is not None


def _is_of_another_type(record: BookingRecord, timeslot: Timeslot) -> bool:
    """Return whether a booked record and a reported time state different time types."""
    types = {
        record.timeslot.schedule.time_type_id,
        timeslot.schedule.time_type_id,
    }
    return (
        record.state is BookingState.BOOKED
        and len(types) > 1
        and NO_TIME_TYPE not in types
    )


@dataclass(frozen=True, slots=True)
class _Known:
    """
    Bookings of one source that the journal has.

    Attributes:
        by_id: BOOKED ones of any person, by unit and id.
        at: The resident's booked and pending ones, by unit and start.
        by_target: Of these, the ones with an unsettled write, by its unit and start.
    """

    by_id: dict[tuple[str, str], Row[Any]] = field(default_factory=dict)
    at: dict[tuple[str, float], list[Row[Any]]] = field(default_factory=dict)
    by_target: dict[tuple[str, float], Row[Any]] = field(default_factory=dict)

    def add(self, row: Row[Any], booking_id: BookingId | None) -> None:
        """Add a booking of the resident that has just been inserted, with its id."""
        if booking_id is not None:
            self.by_id[row.unit, booking_id] = row
        self.at.setdefault((row.unit, row.starts_at), []).append(row)
