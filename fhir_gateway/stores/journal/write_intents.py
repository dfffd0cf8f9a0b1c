"""
Write intents: what this server is about to send, committed before it sends.

`claim_steps.py` states the order of locks.
"""

from datetime import timedelta
from uuid import uuid4

from sqlalchemy import (
    Connection,
    update,
)

from fhir_gateway.model.booking import BookingPermissions, CancellationReason
from fhir_gateway.model.client_limits import DEFAULT_LIMITS, ClientLimits
from fhir_gateway.model.client_request import RequestKey
from fhir_gateway.model.errors import Conflict, Stale
from fhir_gateway.model.grant import Grant
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.interaction import Actor
from fhir_gateway.model.invitation import OpenInvitation
from fhir_gateway.model.person import SubjectOfCare
from fhir_gateway.model.timeslot import Timeslot
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.journal.booking_steps import (
    has_unsettled,
    take_up_invitation,
)
from fhir_gateway.stores.journal.claim_steps import (
    claim,
    find_free_place,
    insert_intent,
    lock_row,
    lock_timeslot,
    lost_intent,
)
from fhir_gateway.stores.journal.queries import INSERT_BOOKING, MARK_SENT
from fhir_gateway.stores.journal.quotas import Quotas
from fhir_gateway.stores.journal.records import (
    BookingRecord,
    BookingState,
    WriteIntent,
    WriteKind,
)
from fhir_gateway.stores.journal.requests import link_request, refuse_repeat
from fhir_gateway.stores.journal.rows import (
    intent_from_row,
    sealed_actor,
    sealed_reason,
    values_from_maker,
    values_from_permissions,
    values_from_subject,
    values_from_timeslot,
)
from fhir_gateway.stores.journal.tables import bookings, intents
from fhir_gateway.stores.sealing import Seal

__all__ = ["WriteIntents"]


class WriteIntents:
    """
    Claims places for writes, and commits that a write may be sent.

    Every method is one transaction, as `Journal` states.

    Args:
        database: Where the journal is.
        seal: Encrypts what is personal.
        claim_lease: How long a claim may wait to be sent before it counts as abandoned.
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

    def claim_make(
        self,
        *,
        source: SourceName,
        timeslot: Timeslot,
        subject: SubjectOfCare,
        grant: Grant,
        capacity: int | None = None,
        request: RequestKey | None = None,
        invitation: OpenInvitation | None = None,
    ) -> WriteIntent:
        """
        Claim a place for a new booking, which is PENDING from now on.

        Args:
            source: The source to send it to.
            timeslot: The time, as it was listed.
            subject: The resident.
            grant: Who books.
            capacity: How many places the time has; `timeslot.count` when not given.
            request: The client's key of this request, if any.
            invitation: The open invitation that it answers; the booking has its id.

        Raises:
            AlreadyBooked: The same person holds that time already.
            Conflict: The invitation is not open any more.
            TimeslotTaken: Every place is claimed.
            LimitReached: The resident has as many bookings ahead as allowed.
            RepeatedRequest: The client has used that key before.
        """
        with self._database.writing() as connection:
            refuse_repeat(connection, self._seal, request)
            self._quotas.lock_resident(connection, subject.number)
            lock_timeslot(connection, timeslot)
            ordinal = find_free_place(
                connection,
                self._seal,
                source=source,
                timeslot=timeslot,
                number=subject.number,
                capacity=capacity,
            )
            self._quotas.check_booking(connection, grant, subject.number)
            values = {
                "state": BookingState.PENDING.value,
                "source": source,
                "is_invitation": False,
                **values_from_subject(subject.as_mapping(), self._seal),
                **values_from_maker(grant, self._seal),
                **values_from_permissions(BookingPermissions()),
                **values_from_timeslot(timeslot),
            }
            if invitation is not None:
                new = invitation.id
                take_up_invitation(connection, new, values)
            else:
                new = str(uuid4())
                connection.execute(INSERT_BOOKING, {"id": new, "version": 1, **values})
            intent = self._insert_intent(
                connection, new, WriteKind.MAKE, timeslot, grant
            )
            link_request(connection, self._seal, request, intent)
            claim(connection, source, intent, timeslot, ordinal)
            return intent

    def claim_update(
        self,
        record: BookingRecord,
        timeslot: Timeslot,
        capacity: int | None = None,
        *,
        grant: Grant,
        request: RequestKey | None = None,
    ) -> WriteIntent:
        """
        Claim a place to move a booking to; its present place stays claimed too.

        Args:
            record: The booking as the caller knows it.
            timeslot: The time to move to, as it was listed.
            capacity: How many places the time has; `timeslot.count` when not given.
            grant: Who moves it.
            request: The client's key of this request, if any.

        Raises:
            AlreadyBooked: The same person holds that time already, perhaps by this
                booking.
            TimeslotTaken: Every place is claimed.
            Conflict: The booking is not BOOKED, or another write to it is not settled.
            NotFound: There is no such booking.
            RepeatedRequest: The client has used that key before.
            Stale: The booking has changed since `record` was read.
        """
        with self._database.writing() as connection:
            refuse_repeat(connection, self._seal, request)
            lock_timeslot(connection, timeslot)
            _refuse_overtaken(connection, record)
            ordinal = find_free_place(
                connection,
                self._seal,
                source=record.source,
                timeslot=timeslot,
                number=record.number,
                capacity=capacity,
            )
            intent = self._insert_intent(
                connection, record.id, WriteKind.UPDATE, timeslot, grant
            )
            self._set_actor(connection, record, grant)
            link_request(connection, self._seal, request, intent)
            claim(connection, record.source, intent, timeslot, ordinal)
            return intent

    def claim_cancel(
        self,
        record: BookingRecord,
        *,
        grant: Grant,
        reason: CancellationReason | None = None,
        request: RequestKey | None = None,
    ) -> WriteIntent:
        """
        Record the intent to cancel a booking; no other write to it can begin.

        Args:
            record: The booking as the caller knows it.
            grant: Who cancels it.
            reason: The client's reason; stored with the cancelled booking.
            request: The client's key of this request, if any.

        Raises:
            Conflict: The booking is not BOOKED, or another write to it is not settled.
            NotFound: There is no such booking.
            RepeatedRequest: The client has used that key before.
            Stale: The booking has changed since `record` was read.
        """
        with self._database.writing() as connection:
            refuse_repeat(connection, self._seal, request)
            _refuse_overtaken(connection, record)
            intent = self._insert_intent(
                connection, record.id, WriteKind.CANCEL, None, grant
            )
            self._set_actor(connection, record, grant)
            if reason is not None:
                connection.execute(
                    update(intents)
                    .where(intents.c.id == intent.id)
                    .values(cancellation_sealed=sealed_reason(reason, self._seal))
                )
            link_request(connection, self._seal, request, intent)
            return intent

    def mark_sent(self, intent: WriteIntent, *, lease: timedelta) -> WriteIntent:
        """
        Commit that the write may have been sent; send it only after this.

        If this raises any error, do not send. Use the returned intent from then on.

        Args:
            intent: What a claim returned.
            lease: How long the sender may take, longer than it waits for an answer;
                afterwards `take_unsettled` returns the write.

        Raises:
            LostIntent: It has been sent or settled already.
        """
        with self._database.writing() as connection:
            row = connection.execute(
                MARK_SENT,
                {
                    "intent": intent.id,
                    "known_fence": intent.fence,
                    "lease_s": lease.total_seconds(),
                },
            ).one_or_none()
            if row is None:
                raise lost_intent()
            return intent_from_row(row, self._seal)

    def _set_actor(
        self, connection: Connection, record: BookingRecord, grant: Grant
    ) -> None:
        """Store who asks for a write to a booking, where it is another one now."""
        actor = grant.actor
        if actor == (record.actor or Actor.resident(record.number)):
            return
        connection.execute(
            update(bookings)
            .where(bookings.c.id == record.id)
            .values(actor_sealed=sealed_actor(grant, self._seal))
        )

    def _insert_intent(
        self,
        connection: Connection,
        booking: str,
        kind: WriteKind,
        timeslot: Timeslot | None,
        grant: Grant,
    ) -> WriteIntent:
        return insert_intent(
            connection,
            self._seal,
            booking=booking,
            kind=kind,
            timeslot=timeslot,
            lease=self._claim_lease,
            channel=grant.principal.channel,
        )


def _refuse_overtaken(connection: Connection, record: BookingRecord) -> None:
    row = lock_row(connection, record.id)
    if row.version != record.version:
        raise Stale(
            "The booking has changed; read it again before changing it.",
            source=record.source,
        )
    if row.state != BookingState.BOOKED.value:
        raise Conflict(
            "The booking is not booked, so it cannot be changed.",
            source=record.source,
        )
    if has_unsettled(connection, row.id):
        raise Conflict(
            "Another change to the booking is under way; look at it again later.",
            source=record.source,
        )
