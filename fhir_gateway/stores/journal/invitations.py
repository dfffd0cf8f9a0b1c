"""
Invitations: the open ones that sources report.

An invitation and the booking of it have one id. The booking's row, unless it is void,
is the truth; without one the invitation is open, or withdrawn.
"""

from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import (
    Connection,
    Row,
    Select,
    insert,
    select,
    update,
)

from fhir_gateway.model.booking import Booking
from fhir_gateway.model.errors import NotFound
from fhir_gateway.model.ids import BookingId, HsaId, SourceName
from fhir_gateway.model.invitation import OpenInvitation
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.stores.database import Database, database_clock
from fhir_gateway.stores.journal.booking_steps import booking_id_taken, lock_unit
from fhir_gateway.stores.journal.claim_steps import OUR_ID, is_of_booking_id
from fhir_gateway.stores.journal.queries import (
    INVITATION,
    INVITATION_OF_ANY_STATE,
)
from fhir_gateway.stores.journal.records import BookingState
from fhir_gateway.stores.journal.rows import (
    BOOKING_ID,
    NUMBER,
    Values,
    document_from_schedule,
    invitation_from_row,
    values_from_permissions,
    values_from_subject,
)
from fhir_gateway.stores.journal.tables import bookings, invitations
from fhir_gateway.stores.sealing import Seal

__all__ = ["Invitations"]

_STANDING: Final = (BookingState.PENDING.value, BookingState.BOOKED.value)


class Invitations:
    """
    Records and finds open invitations.

    Every method is one transaction, as `Journal` states.

    Args:
        database: Where the journal is.
        seal: Encrypts what is personal.
    """

    def __init__(self, database: Database, seal: Seal) -> None:
        self._database = database
        self._seal = seal

    def find(self, identifier: str) -> OpenInvitation | None:
        """Return the open or withdrawn invitation with our own id, if there is one."""
        if not OUR_ID.fullmatch(identifier):
            return None
        with self._database.reading() as connection:
            row = self._row(connection, INVITATION, identifier)
        return None if row is None else self._invitation(row)

    def was_invitation(self, identifier: str) -> bool:
        """Return whether an Appointment was an open invitation at first."""
        with self._database.reading() as connection:
            return (
                connection.execute(
                    select(invitations.c.id).where(invitations.c.id == identifier)
                ).one_or_none()
                is not None
            )

    def list_of_resident(
        self, number: PersonalIdentityNumber
    ) -> tuple[OpenInvitation, ...]:
        """Return a resident's open and withdrawn invitations, the oldest first."""
        hashes = self._seal.lookups(NUMBER, number.reveal())
        with self._database.reading() as connection:
            rows = connection.execute(
                INVITATION.where(invitations.c.subject_hmac.in_(hashes)).order_by(
                    invitations.c.created_at, invitations.c.id
                )
            ).all()
        return tuple(map(self._invitation, rows))

    def find_by_booking_id(
        self, source: SourceName, unit: HsaId, booking_id: BookingId
    ) -> OpenInvitation | None:
        """Return the newest open or withdrawn invitation with an id of its unit."""
        with self._database.reading() as connection:
            row = connection.execute(
                INVITATION.where(*self._has_id(source, unit, booking_id))
                .order_by(invitations.c.created_at.desc())
                .limit(1)
            ).one_or_none()
        return None if row is None else self._invitation(row)

    def adopt(
        self,
        source: SourceName,
        booking: Booking,
        number: PersonalIdentityNumber,
        *,
        lags_within: timedelta,
    ) -> OpenInvitation | None:
        """
        Return our record of an open invitation that a region reports; insert it if new.

        One that its unit had taken back is open again, under its id.

        Args:
            source: The region's source.
            booking: The invitation.
            number: The resident whom it names.
            lags_within: How long after a cancellation here its source may still report
                what was before.

        Returns:
            None: it has been booked, or its booking was cancelled just now, so that the
            report is old.

        Raises:
            BookingIdTaken: Its id belongs to another person's invitation.
            ValueError: It is no open invitation with an id.
        """
        booking_id = booking.booking_id
        if booking_id is None or not booking.is_open_invitation:
            raise ValueError("not an open invitation with an id")
        with self._database.writing() as connection:
            lock_unit(connection, source, booking.unit)
            row = connection.execute(
                INVITATION_OF_ANY_STATE.where(
                    *self._has_id(source, booking.unit, booking_id)
                )
                .order_by(invitations.c.created_at.desc())
                .limit(1)
            ).one_or_none()
            if row is None:
                if self._is_booked(connection, source, booking.unit, booking_id):
                    return None
                return self._insert(connection, source, booking, booking_id, number)
            if self._invitation(row).number != number:
                raise booking_id_taken(source)
            if row.is_open:
                if row.withdrawn_at is None:
                    return self._invitation(row)
                return self._change(connection, row, withdrawn_at=None)
            if (
                row.booking_state != BookingState.CANCELLED.value
                or row.changed_ago < lags_within.total_seconds()
            ):
                return None
            # Cancelled long ago: the unit invites anew, under the same id of its own.
            self._change(connection, row, withdrawn_at=database_clock())
            return self._insert(connection, source, booking, booking_id, number)

    def confirm(self, invitation: OpenInvitation, booking: Booking) -> OpenInvitation:
        """
        Store what a source has just reported of an open invitation.

        The version changes only if something that a client can see changes. One that
        has changed since it was read, or is booked by now, is left as it is.
        """
        with self._database.writing() as connection:
            row = self._lock(connection, invitation)
            if row is None or row.shown_version != invitation.version:
                return invitation
            described: Values = {
                "schedule": document_from_schedule(booking.invited_to),
                **values_from_permissions(booking.permissions),
            }
            if all(getattr(row, name) == value for name, value in described.items()):
                connection.execute(
                    update(invitations)
                    .where(invitations.c.id == invitation.id)
                    .values(confirmed_at=database_clock())
                )
                return self._read(connection, invitation.id) or invitation
            return self._change(connection, row, **described)

    def withdraw(self, invitation: OpenInvitation) -> OpenInvitation:
        """
        Store that its unit has taken an open invitation back.

        One that has changed since it was read, or is booked by now, is left as it is.
        """
        with self._database.writing() as connection:
            row = self._lock(connection, invitation)
            if row is None or row.shown_version != invitation.version:
                return invitation
            return self._change(connection, row, withdrawn_at=database_clock())

    def _insert(
        self,
        connection: Connection,
        source: SourceName,
        booking: Booking,
        booking_id: BookingId,
        number: PersonalIdentityNumber,
    ) -> OpenInvitation:
        new = str(uuid4())
        connection.execute(
            insert(invitations).values(
                id=new,
                version=1,
                source=source,
                unit=booking.unit,
                schedule=document_from_schedule(booking.invited_to),
                booking_id_hmac=self._seal.lookup(BOOKING_ID, booking_id),
                booking_id_sealed=self._seal.seal({BOOKING_ID: booking_id}),
                created_at=database_clock(),
                updated_at=database_clock(),
                confirmed_at=database_clock(),
                **values_from_subject({NUMBER: number.reveal()}, self._seal),
                **values_from_permissions(booking.permissions),
            )
        )
        return self._get(connection, new)

    def _change(
        self, connection: Connection, row: Row[Any], **values: object
    ) -> OpenInvitation:
        connection.execute(
            update(invitations)
            .where(invitations.c.id == row.id)
            .values(
                version=row.shown_version + 1,
                updated_at=database_clock(),
                confirmed_at=database_clock(),
                **values,
            )
        )
        changed = connection.execute(
            INVITATION_OF_ANY_STATE.where(invitations.c.id == row.id)
        ).one()
        return self._invitation(changed)

    def _lock(
        self, connection: Connection, invitation: OpenInvitation
    ) -> Row[Any] | None:
        """Lock an invitation until commit; None: it is booked by now, or wiped."""
        connection.execute(
            select(invitations.c.id)
            .where(invitations.c.id == invitation.id)
            .with_for_update()
        ).one_or_none()
        return self._row(connection, INVITATION, invitation.id)

    def _is_booked(
        self,
        connection: Connection,
        source: SourceName,
        unit: HsaId,
        booking_id: BookingId,
    ) -> bool:
        """Return whether the id is that of a booking which is no open invitation."""
        return (
            connection.execute(
                select(bookings.c.id)
                .where(
                    bookings.c.source == source,
                    bookings.c.unit == unit,
                    is_of_booking_id(self._seal, {booking_id}),
                    bookings.c.state.in_(_STANDING),
                )
                .limit(1)
            ).one_or_none()
            is not None
        )

    def _has_id(
        self, source: SourceName, unit: HsaId, booking_id: BookingId
    ) -> tuple[Any, ...]:
        hashes = self._seal.lookups(BOOKING_ID, booking_id)
        return (
            invitations.c.source == source,
            invitations.c.unit == unit,
            invitations.c.booking_id_hmac.in_(hashes),
        )

    def _row(
        self, connection: Connection, chosen: Select[Any], identifier: str
    ) -> Row[Any] | None:
        return connection.execute(
            chosen.where(invitations.c.id == identifier)
        ).one_or_none()

    def _read(self, connection: Connection, identifier: str) -> OpenInvitation | None:
        row = self._row(connection, INVITATION, identifier)
        return None if row is None else self._invitation(row)

    def _get(self, connection: Connection, identifier: str) -> OpenInvitation:
        found = self._read(connection, identifier)
        if found is None:
            raise NotFound("There is no such invitation.")
        return found

    def _invitation(self, row: Row[Any]) -> OpenInvitation:
        return invitation_from_row(row, self._seal)
