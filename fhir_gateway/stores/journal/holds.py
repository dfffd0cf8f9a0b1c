"""
Holds: a time that other clients cannot book for a few minutes.

A hold is a MAKE in state CLAIMED that is not sent. Its region does not know of it. It
expires by the database's clock: from then on its claim no longer blocks the place, even
before the rows are cleaned up.
"""

from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import (
    Connection,
    Row,
    case,
    exists,
    insert,
    select,
    update,
)

from fhir_gateway.model.booking import BookingPermissions, CancellationReason
from fhir_gateway.model.client_limits import DEFAULT_LIMITS, ClientLimits
from fhir_gateway.model.client_request import RequestKey
from fhir_gateway.model.grant import Grant
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.person import PersonalIdentityNumber, SubjectOfCare
from fhir_gateway.model.timeslot import Timeslot
from fhir_gateway.stores.database import Database, database_clock
from fhir_gateway.stores.journal.claim_steps import (
    OUR_ID,
    claim,
    find_free_place,
    from_now,
    get_row,
    insert_intent,
    lock_row,
    lock_timeslot,
    release,
)
from fhir_gateway.stores.journal.queries import INTENT
from fhir_gateway.stores.journal.quotas import Quotas, is_held
from fhir_gateway.stores.journal.records import (
    BookingRecord,
    BookingState,
    HoldOver,
    WriteIntent,
    WriteKind,
)
from fhir_gateway.stores.journal.requests import link_request, refuse_repeat
from fhir_gateway.stores.journal.rows import (
    NUMBER,
    intent_from_row,
    record_from_row,
    sealed_actor,
    sealed_reason,
    values_from_maker,
    values_from_permissions,
    values_from_subject,
    values_from_timeslot,
)
from fhir_gateway.stores.journal.tables import NOT_DONE, bookings, intents
from fhir_gateway.stores.sealing import Seal

__all__ = ["LONGEST_IN_ALL", "Holds"]

LONGEST_IN_ALL: Final = timedelta(minutes=15)
"""A hold ends this long after it was made, however often it is renewed."""


class Holds:
    """
    Makes, renews and ends holds.

    Every method is one transaction, as `Journal` states.

    Args:
        database: Where the journal is.
        seal: Encrypts what is personal.
        claim_lease: How long a hold that becomes a booking may wait to be sent.
        limits: How much a client and a resident may hold and book.
    """

    def __init__(
        self,
        database: Database,
        seal: Seal,
        *,
        claim_lease: timedelta,
        limits: ClientLimits = DEFAULT_LIMITS,
    ) -> None:
        self._database = database
        self._seal = seal
        self._quotas = Quotas(seal, limits)
        self._claim_lease = claim_lease

    def make(
        self,
        *,
        source: SourceName,
        timeslot: Timeslot,
        number: PersonalIdentityNumber,
        subject: SubjectOfCare | None,
        lasts: timedelta,
        grant: Grant,
        capacity: int | None = None,
        request: RequestKey | None = None,
    ) -> BookingRecord:
        """
        Hold a place of a timeslot.

        Args:
            source: The source that lists the time.
            timeslot: The time, as it was listed.
            number: The resident's personal number.
            subject: The same person with a name, where that is known already.
            lasts: How long, from now.
            grant: Who holds it.
            capacity: How many places the time has; `timeslot.count` when not given.
            request: The client's key of this request, if any.

        Raises:
            AlreadyBooked: The same person holds or has booked that time already.
            TimeslotTaken: Every place is claimed.
            TooManyHolds: The same person holds as many other times as allowed.
            LimitReached: The client holds, or has held in an hour, as many.
            RepeatedRequest: The client has used that key before.
        """
        fields = subject.as_mapping() if subject else {NUMBER: number.reveal()}
        with self._database.writing() as connection:
            refuse_repeat(connection, self._seal, request)
            self._quotas.lock_client(connection, grant)
            self._quotas.lock_resident(connection, number)
            lock_timeslot(connection, timeslot)
            ordinal = find_free_place(
                connection,
                self._seal,
                source=source,
                timeslot=timeslot,
                number=number,
                capacity=capacity,
            )
            self._quotas.check_hold(connection, grant, number)
            row = connection.execute(
                insert(bookings)
                .values(
                    id=str(uuid4()),
                    version=1,
                    state=BookingState.PENDING.value,
                    source=source,
                    created_at=database_clock(),
                    updated_at=database_clock(),
                    is_invitation=False,
                    held_times=1,
                    **values_from_subject(fields, self._seal),
                    **values_from_maker(grant, self._seal),
                    **values_from_permissions(BookingPermissions()),
                    **values_from_timeslot(timeslot),
                )
                .returning(*bookings.c)
            ).one()
            intent = insert_intent(
                connection,
                self._seal,
                booking=row.id,
                kind=WriteKind.MAKE,
                timeslot=timeslot,
                lease=lasts,
                channel=grant.principal.channel,
                is_hold=True,
            )
            claim(connection, source, intent, timeslot, ordinal)
            link_request(connection, self._seal, request, intent)
            return record_from_row(row, self._seal)

    def renew(self, booking: str, grant: Grant, *, lasts: timedelta) -> BookingRecord:
        """
        Extend a hold to that long from now, at most to `LONGEST_IN_ALL` in all.

        Raises:
            NotFound: There is no such booking.
            HoldOver: It has expired, or is not a hold any more.
            LimitReached: The client has held as much in an hour as allowed.
        """
        until = from_now(lasts)
        end = intents.c.created_at + LONGEST_IN_ALL.total_seconds()
        lasts_until = case((until < end, until), else_=end)
        with self._database.writing() as connection:
            self._quotas.lock_client(connection, grant)
            self._change_intent(
                connection,
                booking,
                lease_until=lasts_until,
                held_until=lasts_until,
            )
            self._quotas.check_hour(connection, grant)
            return self._change_booking(
                connection, booking, held_times=bookings.c.held_times + 1
            )

    def release(
        self, booking: str, *, reason: CancellationReason | None = None
    ) -> BookingRecord:
        """
        End a hold. A hold that is released or expired already stays as it is.

        Args:
            booking: Our id of the hold.
            reason: Why the client releases it, if it gives a reason.

        Raises:
            NotFound: There is no such booking.
            HoldOver: It is booked, or a booking of it is under way.
        """
        with self._database.writing() as connection:
            try:
                self._change_intent(
                    connection,
                    booking,
                    state=NOT_DONE,
                    settled_at=database_clock(),
                )
            except HoldOver:
                if _was_only_held(connection, booking):
                    return record_from_row(get_row(connection, booking), self._seal)
                raise
            record = self._change_booking(
                connection,
                booking,
                state=BookingState.CANCELLED.value,
                cancellation_sealed=sealed_reason(reason, self._seal),
            )
            release(connection, booking)
            return record

    def convert_to_booking(
        self,
        booking: str,
        *,
        subject: SubjectOfCare,
        grant: Grant,
        request: RequestKey | None = None,
    ) -> WriteIntent:
        """
        Turn a hold into the claim of a booking; `WriteIntents.mark_sent` comes next.

        Args:
            booking: Our id of the hold.
            subject: The resident with a name; the person of the hold.
            grant: Who books it.
            request: The client's key of this request, if any.

        Raises:
            NotFound: There is no such booking.
            HoldOver: It has expired, or is not a hold any more.
            LimitReached: The resident has as many bookings ahead as allowed.
            RepeatedRequest: The client has used that key before.
        """
        with self._database.writing() as connection:
            refuse_repeat(connection, self._seal, request)
            self._quotas.lock_resident(connection, subject.number)
            self._quotas.check_booking(connection, grant, subject.number)
            row = self._change_intent(
                connection,
                booking,
                lease_until=from_now(self._claim_lease),
                held_until=None,
            )
            intent = intent_from_row(row, self._seal)
            self._change_booking(
                connection,
                booking,
                **values_from_subject(subject.as_mapping(), self._seal),
                actor_sealed=sealed_actor(grant, self._seal),
            )
            link_request(connection, self._seal, request, intent)
            return intent

    def was_only_held(self, booking: str) -> bool:
        """Return whether a booking was a hold that ended, and was never sent."""
        with self._database.reading() as connection:
            return _was_only_held(connection, booking)

    def _change_intent(
        self, connection: Connection, booking: str, **values: object
    ) -> Row[Any]:
        """Change the intent of a hold that has not expired."""
        row = None
        if OUR_ID.fullmatch(booking):
            row = connection.execute(
                update(intents)
                .where(intents.c.booking == booking, *is_held())
                # A process that read it earlier can no longer change it.
                .values(fence=intents.c.fence + 1, **values)
                .returning(*INTENT)
            ).one_or_none()
        if row is None:
            get_row(connection, booking)
            raise HoldOver("The slot is not held any more: hold or book it anew.")
        return row

    def _change_booking(
        self, connection: Connection, booking: str, **values: object
    ) -> BookingRecord:
        lock_row(connection, booking)
        row = connection.execute(
            update(bookings)
            .where(bookings.c.id == booking)
            .values(
                version=bookings.c.version + 1, updated_at=database_clock(), **values
            )
            .returning(*bookings.c)
        ).one()
        return record_from_row(row, self._seal)


def _was_only_held(connection: Connection, booking: str) -> bool:
    return bool(
        connection.execute(
            select(
                exists().where(
                    intents.c.booking == booking,
                    intents.c.kind == WriteKind.MAKE.value,
                    intents.c.held_until.is_not(None),
                )
            )
        ).scalar_one()
    )
