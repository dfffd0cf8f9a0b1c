"""
Settlements: record the outcomes of writes, also that one is unknown.
"""

from collections.abc import Collection
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Row,
    func,
    update,
)

from fhir_gateway.model.booking import BookingPermissions
from fhir_gateway.model.ids import BookingId
from fhir_gateway.stores.database import Database, database_clock
from fhir_gateway.stores.journal.booking_steps import (
    change,
    lock_unit,
    replace_duplicate,
)
from fhir_gateway.stores.journal.claim_steps import (
    from_now,
    lock_row,
    lost_intent,
    release,
    stored_states,
)
from fhir_gateway.stores.journal.queries import (
    CHANGE,
    CHANGE_AND_CONFIRM,
    SETTLE,
    SOURCE_OF_BOOKING,
)
from fhir_gateway.stores.journal.records import (
    BookingRecord,
    BookingState,
    WriteIntent,
    WriteKind,
    WriteState,
)
from fhir_gateway.stores.journal.rows import (
    record_from_row,
    sealed_text,
    timeslot_from_document,
    values_from_booking_id,
    values_from_permissions,
    values_from_state,
    values_from_timeslot,
)
from fhir_gateway.stores.journal.tables import NOT_DONE, claims, intents
from fhir_gateway.stores.sealing import Seal

__all__ = ["Settlements"]

_AFTER_SENDING: Final = frozenset({WriteState.SENT, WriteState.UNKNOWN})
_BEFORE_SETTLING: Final = _AFTER_SENDING | {WriteState.CLAIMED}


class Settlements:
    """
    Records the outcomes of writes.

    Every method is one transaction, as `Journal` states.

    Args:
        database: Where the journal is.
        seal: Encrypts what is personal.
    """

    def __init__(self, database: Database, seal: Seal) -> None:
        self._database = database
        self._seal = seal

    def settle_booked(
        self,
        intent: WriteIntent,
        *,
        booking_id: BookingId | None,
        permissions: BookingPermissions,
        is_invitation: bool = False,
        message: str | None = None,
        is_seen: bool = True,
        look_again_in: timedelta | None = None,
    ) -> BookingRecord:
        """
        Settle a MAKE: the region has made the booking.

        If `adopt` has recorded the same booking meanwhile, this one replaces it.

        Args:
            intent: What `mark_sent`, `take_unsettled` or `find_pending` returned.
            booking_id: The region's id; None where it gave none: `confirm` or a later
                look adds it.
            permissions: What the region permits the resident.
            is_invitation: Whether the booking is an invitation (`kallelse`).
            message: The region's text that came with its yes.
            is_seen: Whether the region has listed or described the booking; without
                that it gets no `confirmed_at`.
            look_again_in: After how long `take_unseen` returns it; None for never.

        Raises:
            BookingIdTaken: The id belongs to another booking, so the answer cannot be
                about this one: use `settle_unknown`.
            LostIntent: It was not sent, or is settled already.
        """
        with self._database.writing() as connection:
            settled = self._settle(
                connection, intent, WriteState.DONE.value, kinds={WriteKind.MAKE}
            )
            row = self._replace_duplicate(connection, settled, booking_id)
            _schedule_look(connection, intent, look_again_in)
            return change(
                connection,
                self._seal,
                row,
                CHANGE_AND_CONFIRM if is_seen else CHANGE,
                state=BookingState.BOOKED.value,
                is_invitation=is_invitation,
                message_sealed=sealed_text(message, self._seal),
                **values_from_booking_id(booking_id, self._seal),
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
        Settle an UPDATE: the booking has its new time, and the old place is released.

        Args:
            intent: What `mark_sent`, `take_unsettled` or `find_pending` returned.
            booking_id: The region's new id; None if it is unchanged.
            permissions: What the region permits the resident from now on.
            is_invitation: Whether the booking is an invitation (`kallelse`).
            message: The region's text that came with its yes; it replaces any older.

        Raises:
            BookingIdTaken: The id belongs to another booking.
            LostIntent: It was not sent, or is settled already.
        """
        with self._database.writing() as connection:
            settled = self._settle(
                connection, intent, WriteState.DONE.value, kinds={WriteKind.UPDATE}
            )
            row = self._replace_duplicate(connection, settled, booking_id)
            release(connection, row.id, claims.c.intent != intent.id)
            return change(
                connection,
                self._seal,
                row,
                CHANGE_AND_CONFIRM,
                is_invitation=is_invitation,
                message_sealed=sealed_text(message, self._seal),
                **(
                    values_from_booking_id(booking_id, self._seal) if booking_id else {}
                ),
                **values_from_permissions(permissions),
                **values_from_timeslot(timeslot_from_document(settled.timeslot)),
            )

    def settle_cancelled(
        self,
        intent: WriteIntent,
        *,
        message: str | None = None,
        look_again_in: timedelta | None = None,
    ) -> BookingRecord:
        """
        Settle a CANCEL: the region has cancelled the booking.

        Args:
            intent: What `mark_sent`, `take_unsettled` or `find_pending` returned.
            message: The region's text that came with its yes; it replaces any older.
            look_again_in: After how long `take_unseen` returns it, if the list could
                not be read; None if the list lacks the booking.

        Raises:
            LostIntent: It was not sent, or is settled already.
        """
        with self._database.writing() as connection:
            settled = self._settle(
                connection, intent, WriteState.DONE.value, kinds={WriteKind.CANCEL}
            )
            _schedule_look(connection, intent, look_again_in)
            row = lock_row(connection, intent.booking)
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
        Settle any kind: the region refused the write.

        After a MAKE the booking is REFUSED and has the region's text. After an UPDATE
        or CANCEL the booking is unchanged, also its version and text; `find_latest` has
        the refusal.

        Raises:
            LostIntent: It was not sent, or is settled already.
        """
        with self._database.writing() as connection:
            self._settle(
                connection,
                intent,
                WriteState.REFUSED.value,
                message=message,
            )
            return self._undo_claim(connection, intent, BookingState.REFUSED, message)

    def settle_not_done(self, intent: WriteIntent) -> BookingRecord:
        """
        Settle any kind: the region has certainly not done the write.

        It never reached the region, or the unit itself says so. After a MAKE the
        booking is NOT_MADE, or LAPSED if it was a hold; after an UPDATE or CANCEL it is
        unchanged.

        Args:
            intent: What a claim, `mark_sent`, `take_unsettled` or `find_pending`
                returned.

        Raises:
            LostIntent: It is settled already, or has been sent since.
        """
        with self._database.writing() as connection:
            self._settle(connection, intent, NOT_DONE, accepts=_BEFORE_SETTLING)
            was_held = intent.held_until is not None
            state = BookingState.LAPSED if was_held else BookingState.NOT_MADE
            return self._undo_claim(connection, intent, state)

    def settle_left_no_trace(
        self, intent: WriteIntent, *, look_again_in: timedelta
    ) -> BookingRecord:
        """
        Settle any kind: it was sent, and its source shows no trace of it.

        After a MAKE the booking is NOT_MADE; after an UPDATE or CANCEL it is unchanged.

        Args:
            intent: What `take_unsettled` or `find_pending` returned.
            look_again_in: After how long `take_unseen` returns it.

        Raises:
            LostIntent: It was not sent, or is settled already.
        """
        with self._database.writing() as connection:
            self._settle(connection, intent, NOT_DONE)
            connection.execute(
                update(intents)
                .where(intents.c.id == intent.id)
                .values(
                    unchanged_at=func.coalesce(intents.c.unchanged_at, database_clock())
                )
            )
            _schedule_look(connection, intent, look_again_in)
            return self._undo_claim(connection, intent, BookingState.NOT_MADE)

    def settle_unknown(
        self, intent: WriteIntent, *, said_yes: bool = False
    ) -> BookingRecord:
        """
        Record that the outcome is unknown; `take_unsettled` returns it at once.

        Places stay claimed, a new booking stays PENDING, and the same intent can still
        be settled.

        Args:
            intent: What `mark_sent` or `take_unsettled` returned.
            said_yes: Whether the region said yes, but its list does not confirm that.

        Raises:
            LostIntent: It was not sent, is UNKNOWN already, or is settled.
        """
        with self._database.writing() as connection:
            settled = connection.execute(
                update(intents)
                .where(
                    intents.c.id == intent.id,
                    intents.c.state == WriteState.SENT.value,
                    intents.c.fence == intent.fence,
                )
                .values(
                    state=WriteState.UNKNOWN.value,
                    yes_at=database_clock() if said_yes else None,
                )
            )
            if settled.rowcount != 1:
                raise lost_intent()
            return self._record(lock_row(connection, intent.booking))

    def _record(self, row: Row[Any]) -> BookingRecord:
        return record_from_row(row, self._seal)

    def _settle(
        self,
        connection: Connection,
        intent: WriteIntent,
        state: str,
        *,
        kinds: Collection[WriteKind] = tuple(WriteKind),
        accepts: Collection[WriteState] = _AFTER_SENDING,
        message: str | None = None,
    ) -> Row[Any]:
        if intent.kind not in kinds:
            raise ValueError(f"a {intent.kind.value} is not settled in this way")
        settled = connection.execute(
            SETTLE,
            {
                "intent": intent.id,
                "accepted": stored_states(accepts),
                "known_fence": intent.fence,
                "state": state,
                "message_sealed": sealed_text(message, self._seal),
            },
        ).one_or_none()
        if settled is None:
            raise lost_intent()
        return settled

    def _undo_claim(
        self,
        connection: Connection,
        intent: WriteIntent,
        state: BookingState,
        message: str | None = None,
    ) -> BookingRecord:
        row = lock_row(connection, intent.booking)
        release(connection, row.id, claims.c.intent == intent.id)
        if intent.kind is not WriteKind.MAKE:
            return self._record(row)
        return change(
            connection,
            self._seal,
            row,
            **values_from_state(state),
            message_sealed=sealed_text(message, self._seal),
        )

    def _replace_duplicate(
        self, connection: Connection, settled: Row[Any], booking_id: BookingId | None
    ) -> Row[Any]:
        timeslot = timeslot_from_document(settled.timeslot)
        source = connection.execute(
            SOURCE_OF_BOOKING, {"booking": settled.booking}
        ).scalar_one()
        lock_unit(connection, source, timeslot.schedule.unit)
        row = lock_row(connection, settled.booking)
        replace_duplicate(connection, self._seal, row, booking_id, timeslot)
        return row


def _schedule_look(
    connection: Connection, intent: WriteIntent, duration: timedelta | None
) -> None:
    """Let `take_unseen` return a settled write after a while."""
    if duration is not None:
        connection.execute(
            update(intents)
            .where(intents.c.id == intent.id)
            .values(next_look_at=from_now(duration))
        )
