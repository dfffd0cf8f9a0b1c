"""
Write intents: what is going to be sent, committed before it is.

`claim_steps.py` says in which order locks are taken.
"""

from datetime import timedelta
from uuid import uuid4

from sqlalchemy import (
    Connection,
    update,
)

from fhir_gateway.model.booking import BookingPermissions, CancellationReason
from fhir_gateway.model.client_request import RequestKey
from fhir_gateway.model.errors import Conflict, Stale
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.person import SubjectOfCare
from fhir_gateway.model.timeslot import Timeslot
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.journal.booking_steps import (
    has_unsettled,
)
from fhir_gateway.stores.journal.claim_steps import (
    claim,
    decide,
    find_free_place,
    lock_row,
    lock_timeslot,
    lost_intent,
)
from fhir_gateway.stores.journal.queries import INSERT_BOOKING, MARK_SENT
from fhir_gateway.stores.journal.records import (
    BookingRecord,
    BookingState,
    WriteIntent,
    WriteKind,
)
from fhir_gateway.stores.journal.requests import refuse_repeat, take_up
from fhir_gateway.stores.journal.rows import (
    intent_from_row,
    sealed_reason,
    values_from_permissions,
    values_from_subject,
    values_from_timeslot,
)
from fhir_gateway.stores.journal.tables import intents
from fhir_gateway.stores.sealing import Seal

__all__ = ["WriteIntents"]


class WriteIntents:
    """
    Claims places for writes, and commits that a write may be sent.

    Every method is one transaction, as `Journal` says.

    Args:
        database: Where the journal is.
        seal: Encrypts what is personal.
        claim_lease: How long a claim may wait to be sent before it counts as abandoned.
    """

    def __init__(
        self, database: Database, seal: Seal, *, claim_lease: timedelta
    ) -> None:
        self._database = database
        self._seal = seal
        self._claim_lease = claim_lease

    def claim_make(
        self,
        *,
        source: SourceName,
        timeslot: Timeslot,
        subject: SubjectOfCare,
        capacity: int | None = None,
        request: RequestKey | None = None,
    ) -> WriteIntent:
        """
        Claim a place for a new booking, which is PENDING from now on.

        Args:
            source: Who is going to be asked.
            timeslot: The time, as it was listed.
            subject: Who it is for.
            capacity: How many places the time has; `timeslot.count` when not given.
            request: What the client calls this request, where it says.

        Raises:
            AlreadyBooked: The same person holds that time already.
            TimeslotTaken: Every place is claimed.
            RepeatedRequest: The client has used that key before.
        """
        with self._database.writing() as connection:
            refuse_repeat(connection, self._seal, request)
            lock_timeslot(connection, timeslot)
            ordinal = find_free_place(
                connection,
                self._seal,
                source=source,
                timeslot=timeslot,
                number=subject.number,
                capacity=capacity,
            )
            new = str(uuid4())
            connection.execute(
                INSERT_BOOKING,
                {
                    "id": new,
                    "version": 1,
                    "state": BookingState.PENDING.value,
                    "source": source,
                    "is_invitation": False,
                    **values_from_subject(subject.as_mapping(), self._seal),
                    **values_from_permissions(BookingPermissions()),
                    **values_from_timeslot(timeslot),
                },
            )
            intent = self._decide(connection, new, WriteKind.MAKE, timeslot)
            take_up(connection, self._seal, request, intent)
            claim(connection, source, intent, timeslot, ordinal)
            return intent

    def claim_update(
        self,
        record: BookingRecord,
        timeslot: Timeslot,
        capacity: int | None = None,
        *,
        request: RequestKey | None = None,
    ) -> WriteIntent:
        """
        Claim a place to move a booking to; its present place stays claimed too.

        Args:
            record: The booking as the caller knows it.
            timeslot: The time to move to, as it was listed.
            capacity: How many places the time has; `timeslot.count` when not given.
            request: What the client calls this request, where it says.

        Raises:
            AlreadyBooked: The same person holds that time already, perhaps by this
                very booking.
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
            intent = self._decide(connection, record.id, WriteKind.UPDATE, timeslot)
            take_up(connection, self._seal, request, intent)
            claim(connection, record.source, intent, timeslot, ordinal)
            return intent

    def claim_cancel(
        self,
        record: BookingRecord,
        *,
        reason: CancellationReason | None = None,
        request: RequestKey | None = None,
    ) -> WriteIntent:
        """
        Keep every other write away from a booking that is to be cancelled.

        Args:
            record: The booking as the caller knows it.
            reason: Why; the booking has it once it is cancelled.
            request: What the client calls this request, where it says.

        Raises:
            Conflict: The booking is not BOOKED, or another write to it is not settled.
            NotFound: There is no such booking.
            RepeatedRequest: The client has used that key before.
            Stale: The booking has changed since `record` was read.
        """
        with self._database.writing() as connection:
            refuse_repeat(connection, self._seal, request)
            _refuse_overtaken(connection, record)
            intent = self._decide(connection, record.id, WriteKind.CANCEL, None)
            if reason is not None:
                connection.execute(
                    update(intents)
                    .where(intents.c.id == intent.id)
                    .values(cancellation_sealed=sealed_reason(reason, self._seal))
                )
            take_up(connection, self._seal, request, intent)
            return intent

    def mark_sent(self, intent: WriteIntent, *, lease: timedelta) -> WriteIntent:
        """
        Say, lastingly, that the write may have been sent; send it only after this.

        Whatever this raises, do not send. Use the intent it returns from here on.

        Args:
            intent: What a claim returned.
            lease: How long the sender has; then `take_unsettled` has it. Longer than
                the sender waits for its answer.

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

    def _decide(
        self,
        connection: Connection,
        booking: str,
        kind: WriteKind,
        timeslot: Timeslot | None,
    ) -> WriteIntent:
        return decide(
            connection,
            self._seal,
            booking=booking,
            kind=kind,
            timeslot=timeslot,
            lease=self._claim_lease,
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
            "The booking does not stand, so it cannot be changed.",
            source=record.source,
        )
    if has_unsettled(connection, row.id):
        raise Conflict(
            "Another change to the booking is under way; look at it again later.",
            source=record.source,
        )
