"""
The journal itself.

A write to a region is three steps, each committed before the next one begins:

    claim_make, claim_update, claim_cancel   the place is ours     CLAIMED
    mark_sent                                it may be sent now    SENT
    settle_…                                 how it went           DONE, REFUSED,
                                                                   NOT_SENT, UNKNOWN

`unsettled` finds what was left between two steps, whatever became of its owner.

`claiming.py` says in which order locks are taken.
"""

from collections.abc import Collection
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import (
    Connection,
    Double,
    Row,
    Select,
    and_,
    bindparam,
    case,
    insert,
    or_,
    select,
    update,
)

from fhir_gateway.model.booking import BookingPermissions, CancellationReason
from fhir_gateway.model.errors import Conflict, NotFound, Stale
from fhir_gateway.model.ids import BookingId, HsaId, SourceName
from fhir_gateway.model.person import PersonalIdentityNumber, SubjectOfCare
from fhir_gateway.model.timeslot import Timeslot
from fhir_gateway.stores.database import Database, database_clock
from fhir_gateway.stores.journal.changing import (
    CHANGED_AND_CONFIRMED,
    change,
    has_unsettled,
    lock_unit,
    retire_double,
)
from fhir_gateway.stores.journal.claiming import (
    INTENT,
    OUR_ID,
    claim,
    decide,
    found,
    free_place,
    from_now,
    lock_timeslot,
    locked,
    lost,
    of_resident,
    release,
    texts,
)
from fhir_gateway.stores.journal.holds import Holds
from fhir_gateway.stores.journal.outcomes import Outcomes
from fhir_gateway.stores.journal.places import Places
from fhir_gateway.stores.journal.records import (
    BookingRecord,
    BookingState,
    RequestKey,
    WriteIntent,
    WriteKind,
    WriteState,
)
from fhir_gateway.stores.journal.reports import Reports
from fhir_gateway.stores.journal.requests import Requests, refuse_repeat, take_up
from fhir_gateway.stores.journal.rows import (
    NUMBER,
    intent_from_row,
    record_from_row,
    sealed_reason,
    sealed_text,
    timeslot_from_document,
    values_from_permissions,
    values_from_subject,
    values_from_timeslot,
)
from fhir_gateway.stores.journal.tables import bookings, claims, intents
from fhir_gateway.stores.journal.upkeep import Upkeep
from fhir_gateway.stores.sealing import Seal

__all__ = ["Journal"]

_AFTER_SENDING: Final = frozenset({WriteState.SENT, WriteState.UNKNOWN})
_BEFORE_SETTLING: Final = _AFTER_SENDING | {WriteState.CLAIMED}


# What every booking runs is built once, as in `claiming.py`.
_NEW: Final = insert(bookings).values(
    created_at=database_clock(), updated_at=database_clock()
)
_MARK_SENT: Final = (
    update(intents)
    .where(
        intents.c.id == bindparam("intent"),
        intents.c.state == WriteState.CLAIMED.value,
        intents.c.fence == bindparam("known_fence"),
    )
    .values(
        state=WriteState.SENT.value,
        fence=intents.c.fence + 1,
        sent_at=database_clock(),
        lease_until=database_clock() + bindparam("lease_s", type_=Double()),
    )
    .returning(*INTENT)
)
_SETTLE: Final = (
    update(intents)
    .where(
        intents.c.id == bindparam("intent"),
        intents.c.state.in_(bindparam("accepted", expanding=True)),
        intents.c.fence == bindparam("known_fence"),
    )
    .values(settled_at=database_clock(), next_look_at=None)
    .returning(*INTENT)
)
_SOURCE: Final = select(bookings.c.source).where(bookings.c.id == bindparam("booking"))
_LATEST: Final = (
    select(*INTENT)
    .where(intents.c.booking == bindparam("of_booking"))
    .order_by(intents.c.ordinal.desc())
    .limit(1)
)
_PENDING: Final = _LATEST.where(intents.c.settled_at.is_(None))
# In one statement: two would each see the database at a moment of its own.
_NOW: Final = (
    select(*bookings.c, *(each.label(f"intent_{each.key}") for each in INTENT))
    .outerjoin(
        intents,
        and_(intents.c.booking == bookings.c.id, intents.c.settled_at.is_(None)),
    )
    .where(bookings.c.id == bindparam("of_booking"), bookings.c.wiped_at.is_(None))
)
_STANDING: Final = (
    select(bookings.c.id)
    .where(
        bookings.c.subject_hmac.in_(bindparam("hashes", expanding=True)),
        bookings.c.token == bindparam("timeslot_token"),
        bookings.c.state.in_([BookingState.PENDING.value, BookingState.BOOKED.value]),
    )
    .order_by(bookings.c.created_at, bookings.c.id)
    .limit(1)
)


class Journal:
    """
    What this server has booked, moved and cancelled, and what it is about to.

    Every method is one transaction: it has happened lastingly when it returns, and not
    at all when it raises one of the errors it names. `DatabaseUnavailable`, which any
    of them may raise, leaves that open: look at the booking before going on.

    Args:
        seal: Encrypts what is personal.
        claim_lease: How long a claim may wait to be sent before `unsettled` shows it
            as abandoned; longer than a request can live.

    Attributes:
        places: Which places are claimed.
        holds: What is only held.
        requests: What clients call their requests.
        outcomes: Which writes somebody has to look after.
        reports: What regions tell of bookings.
        upkeep: Wipes and reseals.
    """

    def __init__(
        self,
        database: Database,
        seal: Seal,
        *,
        claim_lease: timedelta = timedelta(minutes=1),
    ) -> None:
        self._database = database
        self._seal = seal
        self._claim_lease = claim_lease
        self.places = Places(database)
        self.holds = Holds(database, seal, claim_lease=claim_lease)
        self.requests = Requests(database, seal)
        self.outcomes = Outcomes(database, seal)
        self.reports = Reports(database, seal)
        self.upkeep = Upkeep(database, seal)

    # Claims: before anything is sent.

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
            ordinal = free_place(
                connection,
                self._seal,
                source=source,
                timeslot=timeslot,
                number=subject.number,
                capacity=capacity,
            )
            new = str(uuid4())
            connection.execute(
                _NEW,
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
            ordinal = free_place(
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
            lease: How long the sender has; after that `unsettled` shows it. Longer than
                the sender waits for its answer.

        Raises:
            LostIntent: It has been sent or settled already.
        """
        with self._database.writing() as connection:
            row = connection.execute(
                _MARK_SENT,
                {
                    "intent": intent.id,
                    "known_fence": intent.fence,
                    "lease_s": lease.total_seconds(),
                },
            ).one_or_none()
            if row is None:
                raise lost()
            return self._intent(row)

    # Settlements: when the outcome is known, or known to be unknown.

    def settle_booked(
        self,
        intent: WriteIntent,
        *,
        booking_id: BookingId | None,
        permissions: BookingPermissions,
        is_invitation: bool = False,
        message: str | None = None,
        look_again_in: timedelta | None = None,
    ) -> BookingRecord:
        """
        Settle a MAKE: the region has booked it.

        Where the same booking has come in by `adopt` too, that record gives way.

        Args:
            intent: What `mark_sent`, `unsettled` or `pending_intent` returned.
            booking_id: The region's id; None where it gave none, and `confirm` or a
                later look will tell.
            permissions: What the region lets the resident do with it.
            is_invitation: Whether the booking is an invitation (`kallelse`).
            message: The region's text that came with its yes.
            look_again_in: When `unseen` has it, where the region's yes is all there is;
                None where the booking was seen in its list.

        Raises:
            BookingIdTaken: The id is that of another booking, so the answer cannot be
                about this one. `settle_unknown` is what is left to do.
            LostIntent: It was not sent, or is settled already.
        """
        with self._database.writing() as connection:
            settled = self._settle(
                connection, intent, WriteState.DONE, kinds={WriteKind.MAKE}
            )
            row = self._without_double(connection, settled, booking_id)
            _rest(connection, intent, look_again_in)
            return change(
                connection,
                self._seal,
                row,
                CHANGED_AND_CONFIRMED,
                state=BookingState.BOOKED.value,
                booking_id=booking_id,
                is_invitation=is_invitation,
                message_sealed=sealed_text(message, self._seal),
                **values_from_permissions(permissions),
            )

    def settle_moved(
        self,
        intent: WriteIntent,
        *,
        booking_id: BookingId | None,
        permissions: BookingPermissions,
        is_invitation: bool = False,
        message: str | None = None,
    ) -> BookingRecord:
        """
        Settle an UPDATE: the booking has its new time, and the old place is free.

        Args:
            intent: What `mark_sent`, `unsettled` or `pending_intent` returned.
            booking_id: The region's id from now on; None where it is as before.
            permissions: What the region lets the resident do with it from now on.
            is_invitation: Whether the booking is an invitation (`kallelse`).
            message: The region's text that came with its yes; it replaces any older.

        Raises:
            BookingIdTaken: The id is that of another booking.
            LostIntent: It was not sent, or is settled already.
        """
        with self._database.writing() as connection:
            settled = self._settle(
                connection, intent, WriteState.DONE, kinds={WriteKind.UPDATE}
            )
            row = self._without_double(connection, settled, booking_id)
            release(connection, row.id, claims.c.intent != intent.id)
            return change(
                connection,
                self._seal,
                row,
                CHANGED_AND_CONFIRMED,
                booking_id=booking_id or row.booking_id,
                is_invitation=is_invitation,
                message_sealed=sealed_text(message, self._seal),
                **values_from_permissions(permissions),
                **values_from_timeslot(timeslot_from_document(settled.timeslot)),
            )

    def settle_cancelled(
        self, intent: WriteIntent, *, message: str | None = None
    ) -> BookingRecord:
        """
        Settle a CANCEL: the region has taken the booking away.

        Args:
            intent: What `mark_sent`, `unsettled` or `pending_intent` returned.
            message: The region's text that came with its yes; it replaces any older.

        Raises:
            LostIntent: It was not sent, or is settled already.
        """
        with self._database.writing() as connection:
            settled = self._settle(
                connection, intent, WriteState.DONE, kinds={WriteKind.CANCEL}
            )
            row = locked(connection, intent.booking)
            release(connection, row.id)
            return change(
                connection,
                self._seal,
                row,
                state=BookingState.CANCELLED.value,
                message_sealed=sealed_text(message, self._seal),
                cancellation_sealed=settled.cancellation_sealed,
            )

    def settle_refused(
        self, intent: WriteIntent, *, message: str | None
    ) -> BookingRecord:
        """
        Settle any kind: the region said no.

        A booking to be made is REFUSED and bears the region's text. One to be moved or
        cancelled stands as it did, with its version and its own text; the region's no
        is then in `latest_intent`.

        Raises:
            LostIntent: It was not sent, or is settled already.
        """
        with self._database.writing() as connection:
            self._settle(
                connection,
                intent,
                WriteState.REFUSED,
                message=message,
            )
            return self._fall_back(connection, intent, message)

    def settle_not_sent(
        self, intent: WriteIntent, *, look_again_in: timedelta | None = None
    ) -> BookingRecord:
        """
        Settle any kind: it never reached the region, or has left nothing there.

        A booking to be made is REFUSED, without a text; one to be moved or cancelled
        stands as it did.

        Args:
            intent: What a claim, `mark_sent`, `unsettled` or `pending_intent`
                returned.
            look_again_in: When `unseen` has it, where it was only not to be seen; None
                where it is certain that it did not leave.

        Raises:
            LostIntent: It is settled already, or has been sent since.
        """
        with self._database.writing() as connection:
            self._settle(
                connection, intent, WriteState.NOT_SENT, accepts=_BEFORE_SETTLING
            )
            _rest(connection, intent, look_again_in)
            return self._fall_back(connection, intent, None)

    def settle_unknown(self, intent: WriteIntent) -> BookingRecord:
        """
        Say that it was sent and nobody knows the outcome; `unsettled` has it at once.

        Places stay claimed, a booking to be made stays PENDING, and the same intent
        can still be settled, by whoever finds out.

        Raises:
            LostIntent: It was not sent, is known to be unknown, or is settled.
        """
        with self._database.writing() as connection:
            settled = connection.execute(
                update(intents)
                .where(
                    intents.c.id == intent.id,
                    intents.c.state == WriteState.SENT.value,
                    intents.c.fence == intent.fence,
                )
                .values(state=WriteState.UNKNOWN.value)
            )
            if settled.rowcount != 1:
                raise lost()
            return self._record(locked(connection, intent.booking))

    # Looking.

    def get(self, booking: str) -> BookingRecord:
        """
        Return the booking with our own id.

        Raises:
            NotFound: There is none, or the text is no id of ours.
        """
        with self._database.reading() as connection:
            return self._record(found(connection, booking))

    def now(self, booking: str) -> tuple[BookingRecord, WriteIntent | None]:
        """
        Return a booking, and the write to it that is not settled, of one moment.

        Raises:
            NotFound: There is none, or the text is no id of ours.
        """
        row = None
        if OUR_ID.fullmatch(booking):
            with self._database.reading() as connection:
                row = connection.execute(_NOW, {"of_booking": booking}).one_or_none()
        if row is None:
            raise NotFound("There is no such booking.")
        intent = (
            None
            if row.intent_id is None
            else self._intent(
                SimpleNamespace(
                    **{each.key: getattr(row, f"intent_{each.key}") for each in INTENT}
                )
            )
        )
        return self._record(row), intent

    def pending_intent(self, booking: str) -> WriteIntent | None:
        """Return the unsettled write to a booking; None when there is none."""
        return self._one_intent(_PENDING, booking)

    def latest_intent(self, booking: str) -> WriteIntent | None:
        """Return the last write to a booking; None when it never had one here."""
        return self._one_intent(_LATEST, booking)

    def intent(self, intent: str) -> WriteIntent:
        """
        Return the write with that id.

        Raises:
            NotFound: There is none.
        """
        with self._database.reading() as connection:
            row = connection.execute(
                select(*INTENT).where(intents.c.id == intent)
            ).one_or_none()
        if row is None:
            raise NotFound("There is no such write.")
        return self._intent(row)

    def of_subject(self, number: PersonalIdentityNumber) -> tuple[BookingRecord, ...]:
        """
        Return a resident's bookings, by start.

        Those REFUSED are left out, and holds that were released: none was ever booked.
        """
        with self._database.reading() as connection:
            rows = connection.execute(
                select(bookings)
                .where(
                    of_resident(self._seal, number),
                    bookings.c.state != BookingState.REFUSED.value,
                    or_(
                        bookings.c.state != BookingState.CANCELLED.value,
                        bookings.c.confirmed_at.is_not(None),
                    ),
                )
                .order_by(bookings.c.starts_at, bookings.c.created_at, bookings.c.id)
            ).all()
        return tuple(self._record(row) for row in rows)

    def standing(self, number: PersonalIdentityNumber, token: str) -> str | None:
        """Return the id of a resident's booking of a timeslot, booked or pending."""
        hashes = self._seal.lookups(NUMBER, number.reveal())
        with self._database.reading() as connection:
            found = connection.execute(
                _STANDING, {"hashes": hashes, "timeslot_token": token}
            )
            standing: str | None = found.scalar_one_or_none()
            return standing

    def by_booking_id(
        self, source: SourceName, unit: HsaId, booking_id: BookingId
    ) -> BookingRecord | None:
        """
        Return the booking that a region knows by that id.

        It is the BOOKED one where there is one, else the one that was last changed;
        None when there is none at all.
        """
        with self._database.reading() as connection:
            row = connection.execute(
                select(bookings)
                .where(
                    bookings.c.source == source,
                    bookings.c.unit == unit,
                    bookings.c.booking_id == booking_id,
                    bookings.c.state != BookingState.REFUSED.value,
                )
                .order_by(
                    case((bookings.c.state == BookingState.BOOKED.value, 0), else_=1),
                    bookings.c.updated_at.desc(),
                )
                .limit(1)
            ).one_or_none()
        return None if row is None else self._record(row)

    def check_keys(self) -> None:
        """
        See, at start, that the database was sealed with keys that we have.

        Raises:
            SealBroken: It was not. A server that went on would find no booking.
        """
        with self._database.reading() as connection:
            sealed = connection.execute(
                select(bookings.c.subject_sealed)
                .order_by(bookings.c.created_at.desc())
                .limit(1)
            ).scalar_one_or_none()
        if sealed is not None:
            self._seal.unseal(sealed)

    def settle_by_hand(self, booking: str, *, done: bool) -> BookingRecord:
        """
        Settle the write to a booking as a person says who has asked its unit.

        Raises:
            NotFound: There is no such booking.
            Conflict: No write to it is of unknown outcome.
        """
        record = self.get(booking)
        intent = self.pending_intent(booking)
        if intent is None or intent.state is not WriteState.UNKNOWN:
            raise Conflict(
                "No write to that booking is of unknown outcome.", source=record.source
            )
        if not done:
            return self.settle_not_sent(intent)
        if intent.kind is WriteKind.CANCEL:
            return self.settle_cancelled(intent)
        settle = (
            self.settle_booked if intent.kind is WriteKind.MAKE else self.settle_moved
        )
        # Its id and what it permits are read from the source when it is next looked at.
        return settle(intent, booking_id=None, permissions=record.permissions)

    # Private from here on.

    def _record(self, row: Row[Any]) -> BookingRecord:
        return record_from_row(row, self._seal)

    def _intent(self, row: Row[Any] | SimpleNamespace) -> WriteIntent:
        return intent_from_row(row, self._seal)

    def _one_intent(self, chosen: Select[Any], booking: str) -> WriteIntent | None:
        if not OUR_ID.fullmatch(booking):
            return None
        with self._database.reading() as connection:
            row = connection.execute(chosen, {"of_booking": booking}).one_or_none()
        return None if row is None else self._intent(row)

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

    def _settle(
        self,
        connection: Connection,
        intent: WriteIntent,
        state: WriteState,
        *,
        kinds: Collection[WriteKind] = tuple(WriteKind),
        accepts: Collection[WriteState] = _AFTER_SENDING,
        message: str | None = None,
    ) -> Row[Any]:
        if intent.kind not in kinds:
            raise ValueError(f"a {intent.kind.value} is not settled in this way")
        settled = connection.execute(
            _SETTLE,
            {
                "intent": intent.id,
                "accepted": texts(accepts),
                "known_fence": intent.fence,
                "state": state.value,
                "message_sealed": sealed_text(message, self._seal),
            },
        ).one_or_none()
        if settled is None:
            raise lost()
        return settled

    def _fall_back(
        self, connection: Connection, intent: WriteIntent, message: str | None
    ) -> BookingRecord:
        row = locked(connection, intent.booking)
        release(connection, row.id, claims.c.intent == intent.id)
        if intent.kind is not WriteKind.MAKE:
            return self._record(row)
        return change(
            connection,
            self._seal,
            row,
            state=BookingState.REFUSED.value,
            message_sealed=sealed_text(message, self._seal),
        )

    def _without_double(
        self, connection: Connection, settled: Row[Any], booking_id: BookingId | None
    ) -> Row[Any]:
        timeslot = timeslot_from_document(settled.timeslot)
        source = connection.execute(_SOURCE, {"booking": settled.booking}).scalar_one()
        lock_unit(connection, source, timeslot.schedule.unit)
        row = locked(connection, settled.booking)
        retire_double(connection, self._seal, row, booking_id, timeslot)
        return row


def _rest(
    connection: Connection, intent: WriteIntent, duration: timedelta | None
) -> None:
    """Let a settled write be looked at once more after a while."""
    if duration is not None:
        connection.execute(
            update(intents)
            .where(intents.c.id == intent.id)
            .values(next_look_at=from_now(duration))
        )


def _refuse_overtaken(connection: Connection, record: BookingRecord) -> None:
    row = locked(connection, record.id)
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
