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
    DECISION,
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
    Decision,
    DecisionKind,
    DecisionState,
    RequestKey,
)
from fhir_gateway.stores.journal.reports import Reports
from fhir_gateway.stores.journal.requests import Requests, refuse_repeat, take_up
from fhir_gateway.stores.journal.rows import (
    NUMBER,
    decision_from_row,
    record_from_row,
    sealed_reason,
    sealed_text,
    timeslot_from_document,
    values_from_permissions,
    values_from_subject,
    values_from_timeslot,
)
from fhir_gateway.stores.journal.tables import bookings, claims, decisions
from fhir_gateway.stores.journal.upkeep import Upkeep
from fhir_gateway.stores.sealing import Seal

__all__ = ["Journal"]

_AFTER_SENDING: Final = frozenset({DecisionState.SENT, DecisionState.UNKNOWN})
_BEFORE_SETTLING: Final = _AFTER_SENDING | {DecisionState.CLAIMED}


# What every booking runs is built once, as in `claiming.py`.
_NEW: Final = insert(bookings).values(
    created_at=database_clock(), updated_at=database_clock()
)
_MARK_SENT: Final = (
    update(decisions)
    .where(
        decisions.c.id == bindparam("decision"),
        decisions.c.state == DecisionState.CLAIMED.value,
        decisions.c.fence == bindparam("known_fence"),
    )
    .values(
        state=DecisionState.SENT.value,
        fence=decisions.c.fence + 1,
        sent_at=database_clock(),
        lease_until=database_clock() + bindparam("lease_s", type_=Double()),
    )
    .returning(*DECISION)
)
_SETTLE: Final = (
    update(decisions)
    .where(
        decisions.c.id == bindparam("decision"),
        decisions.c.state.in_(bindparam("accepted", expanding=True)),
        decisions.c.fence == bindparam("known_fence"),
    )
    .values(settled_at=database_clock(), next_look_at=None)
    .returning(*DECISION)
)
_SOURCE: Final = select(bookings.c.source).where(bookings.c.id == bindparam("booking"))
_LATEST: Final = (
    select(*DECISION)
    .where(decisions.c.booking == bindparam("of_booking"))
    .order_by(decisions.c.ordinal.desc())
    .limit(1)
)
_PENDING: Final = _LATEST.where(decisions.c.settled_at.is_(None))
# In one statement: two would each see the database at a moment of its own.
_NOW: Final = (
    select(*bookings.c, *(each.label(f"decision_{each.key}") for each in DECISION))
    .outerjoin(
        decisions,
        and_(decisions.c.booking == bookings.c.id, decisions.c.settled_at.is_(None)),
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
    ) -> Decision:
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
            decision = self._decide(connection, new, DecisionKind.MAKE, timeslot)
            take_up(connection, self._seal, request, decision)
            claim(connection, source, decision, timeslot, ordinal)
            return decision

    def claim_update(
        self,
        record: BookingRecord,
        timeslot: Timeslot,
        capacity: int | None = None,
        *,
        request: RequestKey | None = None,
    ) -> Decision:
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
            decision = self._decide(
                connection, record.id, DecisionKind.UPDATE, timeslot
            )
            take_up(connection, self._seal, request, decision)
            claim(connection, record.source, decision, timeslot, ordinal)
            return decision

    def claim_cancel(
        self,
        record: BookingRecord,
        *,
        reason: CancellationReason | None = None,
        request: RequestKey | None = None,
    ) -> Decision:
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
            decision = self._decide(connection, record.id, DecisionKind.CANCEL, None)
            if reason is not None:
                connection.execute(
                    update(decisions)
                    .where(decisions.c.id == decision.id)
                    .values(cancellation_sealed=sealed_reason(reason, self._seal))
                )
            take_up(connection, self._seal, request, decision)
            return decision

    def mark_sent(self, decision: Decision, *, lease: timedelta) -> Decision:
        """
        Say, lastingly, that the write may have been sent; send it only after this.

        Whatever this raises, do not send. Use the decision it returns from here on.

        Args:
            decision: What a claim returned.
            lease: How long the sender has; after that `unsettled` shows it. Longer than
                the sender waits for its answer.

        Raises:
            LostDecision: It has been sent or settled already.
        """
        with self._database.writing() as connection:
            row = connection.execute(
                _MARK_SENT,
                {
                    "decision": decision.id,
                    "known_fence": decision.fence,
                    "lease_s": lease.total_seconds(),
                },
            ).one_or_none()
            if row is None:
                raise lost()
            return self._decision(row)

    # Settlements: when the outcome is known, or known to be unknown.

    def settle_booked(
        self,
        decision: Decision,
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
            decision: What `mark_sent`, `unsettled` or `pending_decision` returned.
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
            LostDecision: It was not sent, or is settled already.
        """
        with self._database.writing() as connection:
            settled = self._settle(
                connection, decision, DecisionState.DONE, kinds={DecisionKind.MAKE}
            )
            row = self._without_double(connection, settled, booking_id)
            _rest(connection, decision, look_again_in)
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
        decision: Decision,
        *,
        booking_id: BookingId | None,
        permissions: BookingPermissions,
        is_invitation: bool = False,
        message: str | None = None,
    ) -> BookingRecord:
        """
        Settle an UPDATE: the booking has its new time, and the old place is free.

        Args:
            decision: What `mark_sent`, `unsettled` or `pending_decision` returned.
            booking_id: The region's id from now on; None where it is as before.
            permissions: What the region lets the resident do with it from now on.
            is_invitation: Whether the booking is an invitation (`kallelse`).
            message: The region's text that came with its yes; it replaces any older.

        Raises:
            BookingIdTaken: The id is that of another booking.
            LostDecision: It was not sent, or is settled already.
        """
        with self._database.writing() as connection:
            settled = self._settle(
                connection, decision, DecisionState.DONE, kinds={DecisionKind.UPDATE}
            )
            row = self._without_double(connection, settled, booking_id)
            release(connection, row.id, claims.c.decision != decision.id)
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
        self, decision: Decision, *, message: str | None = None
    ) -> BookingRecord:
        """
        Settle a CANCEL: the region has taken the booking away.

        Args:
            decision: What `mark_sent`, `unsettled` or `pending_decision` returned.
            message: The region's text that came with its yes; it replaces any older.

        Raises:
            LostDecision: It was not sent, or is settled already.
        """
        with self._database.writing() as connection:
            settled = self._settle(
                connection, decision, DecisionState.DONE, kinds={DecisionKind.CANCEL}
            )
            row = locked(connection, decision.booking)
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
        self, decision: Decision, *, message: str | None
    ) -> BookingRecord:
        """
        Settle any kind: the region said no.

        A booking to be made is REFUSED and bears the region's text. One to be moved or
        cancelled stands as it did, with its version and its own text; the region's no
        is then in `latest_decision`.

        Raises:
            LostDecision: It was not sent, or is settled already.
        """
        with self._database.writing() as connection:
            self._settle(
                connection,
                decision,
                DecisionState.REFUSED,
                message=message,
            )
            return self._fall_back(connection, decision, message)

    def settle_not_sent(
        self, decision: Decision, *, look_again_in: timedelta | None = None
    ) -> BookingRecord:
        """
        Settle any kind: it never reached the region, or has left nothing there.

        A booking to be made is REFUSED, without a text; one to be moved or cancelled
        stands as it did.

        Args:
            decision: What a claim, `mark_sent`, `unsettled` or `pending_decision`
                returned.
            look_again_in: When `unseen` has it, where it was only not to be seen; None
                where it is certain that it did not leave.

        Raises:
            LostDecision: It is settled already, or has been sent since.
        """
        with self._database.writing() as connection:
            self._settle(
                connection, decision, DecisionState.NOT_SENT, accepts=_BEFORE_SETTLING
            )
            _rest(connection, decision, look_again_in)
            return self._fall_back(connection, decision, None)

    def settle_unknown(self, decision: Decision) -> BookingRecord:
        """
        Say that it was sent and nobody knows the outcome; `unsettled` has it at once.

        Places stay claimed, a booking to be made stays PENDING, and the same decision
        can still be settled, by whoever finds out.

        Raises:
            LostDecision: It was not sent, is known to be unknown, or is settled.
        """
        with self._database.writing() as connection:
            settled = connection.execute(
                update(decisions)
                .where(
                    decisions.c.id == decision.id,
                    decisions.c.state == DecisionState.SENT.value,
                    decisions.c.fence == decision.fence,
                )
                .values(state=DecisionState.UNKNOWN.value)
            )
            if settled.rowcount != 1:
                raise lost()
            return self._record(locked(connection, decision.booking))

    # Looking.

    def get(self, booking: str) -> BookingRecord:
        """
        Return the booking with our own id.

        Raises:
            NotFound: There is none, or the text is no id of ours.
        """
        with self._database.reading() as connection:
            return self._record(found(connection, booking))

    def now(self, booking: str) -> tuple[BookingRecord, Decision | None]:
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
        decision = (
            None
            if row.decision_id is None
            else self._decision(
                SimpleNamespace(
                    **{
                        each.key: getattr(row, f"decision_{each.key}")
                        for each in DECISION
                    }
                )
            )
        )
        return self._record(row), decision

    def pending_decision(self, booking: str) -> Decision | None:
        """Return the unsettled write to a booking; None when there is none."""
        return self._one_decision(_PENDING, booking)

    def latest_decision(self, booking: str) -> Decision | None:
        """Return the last write to a booking; None when it never had one here."""
        return self._one_decision(_LATEST, booking)

    def decision(self, decision: str) -> Decision:
        """
        Return the write with that id.

        Raises:
            NotFound: There is none.
        """
        with self._database.reading() as connection:
            row = connection.execute(
                select(*DECISION).where(decisions.c.id == decision)
            ).one_or_none()
        if row is None:
            raise NotFound("There is no such write.")
        return self._decision(row)

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
        decision = self.pending_decision(booking)
        if decision is None or decision.state is not DecisionState.UNKNOWN:
            raise Conflict(
                "No write to that booking is of unknown outcome.", source=record.source
            )
        if not done:
            return self.settle_not_sent(decision)
        if decision.kind is DecisionKind.CANCEL:
            return self.settle_cancelled(decision)
        settle = (
            self.settle_booked
            if decision.kind is DecisionKind.MAKE
            else self.settle_moved
        )
        # Its id and what it permits are read from the source when it is next looked at.
        return settle(decision, booking_id=None, permissions=record.permissions)

    # Private from here on.

    def _record(self, row: Row[Any]) -> BookingRecord:
        return record_from_row(row, self._seal)

    def _decision(self, row: Row[Any] | SimpleNamespace) -> Decision:
        return decision_from_row(row, self._seal)

    def _one_decision(self, chosen: Select[Any], booking: str) -> Decision | None:
        if not OUR_ID.fullmatch(booking):
            return None
        with self._database.reading() as connection:
            row = connection.execute(chosen, {"of_booking": booking}).one_or_none()
        return None if row is None else self._decision(row)

    def _decide(
        self,
        connection: Connection,
        booking: str,
        kind: DecisionKind,
        timeslot: Timeslot | None,
    ) -> Decision:
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
        decision: Decision,
        state: DecisionState,
        *,
        kinds: Collection[DecisionKind] = tuple(DecisionKind),
        accepts: Collection[DecisionState] = _AFTER_SENDING,
        message: str | None = None,
    ) -> Row[Any]:
        if decision.kind not in kinds:
            raise ValueError(f"a {decision.kind.value} is not settled in this way")
        settled = connection.execute(
            _SETTLE,
            {
                "decision": decision.id,
                "accepted": texts(accepts),
                "known_fence": decision.fence,
                "state": state.value,
                "message_sealed": sealed_text(message, self._seal),
            },
        ).one_or_none()
        if settled is None:
            raise lost()
        return settled

    def _fall_back(
        self, connection: Connection, decision: Decision, message: str | None
    ) -> BookingRecord:
        row = locked(connection, decision.booking)
        release(connection, row.id, claims.c.decision == decision.id)
        if decision.kind is not DecisionKind.MAKE:
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
    connection: Connection, decision: Decision, duration: timedelta | None
) -> None:
    """Let a settled write be looked at once more after a while."""
    if duration is not None:
        connection.execute(
            update(decisions)
            .where(decisions.c.id == decision.id)
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
