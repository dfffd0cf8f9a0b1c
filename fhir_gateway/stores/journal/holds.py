"""
Holds: a time that is kept from other clients for a few minutes, before it is booked.

A hold is a MAKE that is CLAIMED and is not to be sent yet. Its region knows nothing of
it. It ends by itself, on the database's clock: from that moment on its claim keeps
nobody out, whether or not anybody has tidied up.
"""

from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    case,
    exists,
    func,
    insert,
    select,
    update,
)

from fhir_gateway.model.booking import BookingPermissions, CancellationReason
from fhir_gateway.model.client_request import RequestKey
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.person import PersonalIdentityNumber, SubjectOfCare
from fhir_gateway.model.timeslot import Timeslot
from fhir_gateway.stores.database import Database, database_clock, lock_until_commit
from fhir_gateway.stores.journal.claim_steps import (
    OUR_ID,
    claim,
    decide,
    find_free_place,
    from_now,
    get_row,
    lock_row,
    lock_timeslot,
    release,
)
from fhir_gateway.stores.journal.queries import INTENT
from fhir_gateway.stores.journal.records import (
    BookingRecord,
    BookingState,
    HoldOver,
    TooManyHolds,
    WriteIntent,
    WriteKind,
    WriteState,
)
from fhir_gateway.stores.journal.requests import refuse_repeat, take_up
from fhir_gateway.stores.journal.rows import (
    NUMBER,
    intent_from_row,
    record_from_row,
    sealed_reason,
    values_from_permissions,
    values_from_subject,
    values_from_timeslot,
)
from fhir_gateway.stores.journal.tables import NOT_DONE, bookings, intents
from fhir_gateway.stores.sealing import Seal

__all__ = ["LONGEST_IN_ALL", "MOST_HOLDS", "Holds"]

# Of one resident, over all sources.
MOST_HOLDS: Final = 2

LONGEST_IN_ALL: Final = timedelta(minutes=15)
"""However often a hold is renewed, it ends so long after it was made."""


class Holds:
    """
    The times that are only held.

    Every method is one transaction, as those of `Journal` are.

    Args:
        database: Where the journal is.
        seal: Encrypts what is personal.
        claim_lease: How long one that is being booked may wait to be sent.
    """

    def __init__(
        self, database: Database, seal: Seal, *, claim_lease: timedelta
    ) -> None:
        self._database = database
        self._seal = seal
        self._claim_lease = claim_lease

    def make(
        self,
        *,
        source: SourceName,
        timeslot: Timeslot,
        number: PersonalIdentityNumber,
        subject: SubjectOfCare | None,
        lasts: timedelta,
        capacity: int | None = None,
        request: RequestKey | None = None,
    ) -> BookingRecord:
        """
        Hold a place of a timeslot.

        Args:
            source: Whose time it is.
            timeslot: The time, as it was listed.
            number: Whom it is held for.
            subject: The same person with a name, where that is known already.
            lasts: How long, from now.
            capacity: How many places the time has; `timeslot.count` when not given.
            request: What the client calls this request, where it says.

        Raises:
            AlreadyBooked: The same person has that time already, held or booked.
            TimeslotTaken: Every place is claimed.
            TooManyHolds: The same person holds two other times.
            RepeatedRequest: The client has used that key before.
        """
        fields = subject.as_mapping() if subject else {NUMBER: number.reveal()}
        with self._database.writing() as connection:
            refuse_repeat(connection, self._seal, request)
            hashes = self._seal.lookups(NUMBER, number.reveal())
            # All processes know the same keys, if not in the same order.
            lock_until_commit(connection, f"resident {min(hashes)}")
            lock_timeslot(connection, timeslot)
            ordinal = find_free_place(
                connection,
                self._seal,
                source=source,
                timeslot=timeslot,
                number=number,
                capacity=capacity,
            )
            self._check_count(connection, hashes)
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
                    **values_from_subject(fields, self._seal),
                    **values_from_permissions(BookingPermissions()),
                    **values_from_timeslot(timeslot),
                )
                .returning(*bookings.c)
            ).one()
            intent = decide(
                connection,
                self._seal,
                booking=row.id,
                kind=WriteKind.MAKE,
                timeslot=timeslot,
                lease=lasts,
                is_hold=True,
            )
            claim(connection, source, intent, timeslot, ordinal)
            take_up(connection, self._seal, request, intent)
            return record_from_row(row, self._seal)

    def renew(self, booking: str, *, lasts: timedelta) -> BookingRecord:
        """
        Let a hold last that long from now, but no longer than `LONGEST_IN_ALL` in all.

        Raises:
            NotFound: There is no such booking.
            HoldOver: It is over, or no hold any more.
        """
        until = from_now(lasts)
        end = intents.c.created_at + LONGEST_IN_ALL.total_seconds()
        lasts_until = case((until < end, until), else_=end)
        with self._database.writing() as connection:
            self._change_intent(
                connection,
                booking,
                lease_until=lasts_until,
                held_until=lasts_until,
            )
            return self._change_booking(connection, booking)

    def release(
        self, booking: str, *, reason: CancellationReason | None = None
    ) -> BookingRecord:
        """
        End a hold. One that has been released, or is over, is returned as it is.

        Args:
            booking: Our id of it.
            reason: Why, where that is said.

        Raises:
            NotFound: There is no such booking.
            HoldOver: It has been booked, or is being booked.
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

    def take(
        self,
        booking: str,
        *,
        subject: SubjectOfCare,
        request: RequestKey | None = None,
    ) -> WriteIntent:
        """
        Make a hold the claim of a booking, which `WriteIntents.mark_sent` goes on with.

        Args:
            booking: Our id of what is held.
            subject: Who it is for; the same person as it was held for.
            request: What the client calls this request, where it says.

        Raises:
            NotFound: There is no such booking.
            HoldOver: It is over, or no hold any more.
            RepeatedRequest: The client has used that key before.
        """
        with self._database.writing() as connection:
            refuse_repeat(connection, self._seal, request)
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
            )
            take_up(connection, self._seal, request, intent)
            return intent

    def was_only_held(self, booking: str) -> bool:
        """Return whether a booking was a hold that is over, and never more."""
        with self._database.reading() as connection:
            return _was_only_held(connection, booking)

    def _check_count(self, connection: Connection, hashes: tuple[str, ...]) -> None:
        count = connection.execute(
            select(func.count())
            .select_from(intents)
            .join(bookings, bookings.c.id == intents.c.booking)
            .where(bookings.c.subject_hmac.in_(hashes), *_is_held())
        ).scalar_one()
        if count >= MOST_HOLDS:
            raise TooManyHolds(
                f"This resident holds {MOST_HOLDS} times already: book or release one"
                " of them first."
            )

    def _change_intent(
        self, connection: Connection, booking: str, **values: object
    ) -> Row[Any]:
        """Change the intent of a hold that is not over."""
        row = None
        if OUR_ID.fullmatch(booking):
            row = connection.execute(
                update(intents)
                .where(intents.c.booking == booking, *_is_held())
                # Whoever knows it as it was, has lost it.
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


def _is_held() -> tuple[ColumnElement[bool], ...]:
    return (
        intents.c.state == WriteState.CLAIMED.value,
        intents.c.held_until > database_clock(),
    )


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
