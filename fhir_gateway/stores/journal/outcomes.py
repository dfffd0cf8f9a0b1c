"""
Outcomes: the writes to look up at their sources, and the alarms.

`Settlements` records the outcomes. This module lists the writes that need a look,
counts looks without result, reopens settled writes and raises alarms. It has over
400 lines, since these are the steps of one duty, the worker's, on one table.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Row,
    exists,
    func,
    or_,
    select,
    true,
    update,
)

from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.timekeeping import epoch_seconds
from fhir_gateway.model.timeslot import Timeslot
from fhir_gateway.stores.database import Database, database_clock
from fhir_gateway.stores.journal.booking_steps import (
    change,
    has_unsettled,
    is_overtaken,
)
from fhir_gateway.stores.journal.claim_steps import (
    claim,
    find_any_place,
    from_now,
    get_row,
    is_of_resident,
    lock_row,
    lock_timeslot,
    lost_intent,
    stored_states,
)
from fhir_gateway.stores.journal.queries import (
    DUE_AT,
    INTENT,
    IS_UNSEEN,
    IS_UNSETTLED,
    SOURCES_WITH_DUE,
)
from fhir_gateway.stores.journal.records import (
    Alarm,
    BookingRecord,
    BookingState,
    WriteIntent,
    WriteKind,
    WriteState,
)
from fhir_gateway.stores.journal.rows import (
    intent_from_row,
    record_from_row,
    values_from_state,
)
from fhir_gateway.stores.journal.tables import NOT_DONE, VOID, bookings, intents
from fhir_gateway.stores.sealing import Seal

__all__ = ["Outcomes"]

_AFTER_SENDING: Final = (WriteState.SENT, WriteState.UNKNOWN)
_KNOWN_TO_BE_WRONG: Final = frozenset(
    {Alarm.SOMETHING_ELSE, Alarm.DUPLICATE, Alarm.CONTRADICTED}
)

# It runs before the alarm is committed: if a process dies in between, the alarm is
# logged twice; in the other order it might not be logged at all.
Log: TypeAlias = Callable[[], object]


def _log_nothing() -> None:
    """Log nothing."""


def _is_of_source(source: SourceName | None) -> ColumnElement[bool]:
    """Return the condition that an intent belongs to a source; None: to any."""
    if source is None:
        return true()
    return exists().where(
        bookings.c.id == intents.c.booking, bookings.c.source == source
    )


class Outcomes:
    """
    Lists the writes that need a look, and raises alarms.

    Every method is one transaction, as `Journal` states.

    Args:
        database: Where the journal is.
        seal: Opens what is personal.
    """

    def __init__(self, database: Database, seal: Seal) -> None:
        self._database = database
        self._seal = seal

    def list_sources(self) -> tuple[SourceName, ...]:
        """Return the sources with writes for `take_unsettled` or `take_unseen`."""
        with self._database.reading() as connection:
            return tuple(
                map(SourceName, connection.execute(SOURCES_WITH_DUE).scalars())
            )

    def take_unsettled(
        self,
        *,
        limit: int,
        lease: timedelta = timedelta(),
        source: SourceName | None = None,
    ) -> tuple[WriteIntent, ...]:
        """
        Return unsettled writes that are due for a look, the longest waiting first.

        They are UNKNOWN; or SENT or CLAIMED, and the lease of their process has ended.
        A CLAIMED one was never sent: `settle_not_done`.

        Args:
            limit: How many at most.
            lease: How long other callers do not get these writes. Without it they may
                get the same ones; the first to settle or postpone wins.
            source: Of which source; None: of any.
        """
        chosen = (
            select(*INTENT)
            .where(IS_UNSETTLED, _is_of_source(source))
            .order_by(DUE_AT, intents.c.created_at)
            .limit(limit)
        )
        if not lease:
            with self._database.reading() as connection:
                return tuple(map(self._intent, connection.execute(chosen)))
        with self._database.writing() as connection:
            rows = connection.execute(chosen.with_for_update(skip_locked=True)).all()
            connection.execute(
                update(intents)
                .where(intents.c.id.in_([row.id for row in rows]))
                .values(next_look_at=from_now(lease))
            )
        return tuple(map(self._intent, rows))

    def take_unseen(
        self, *, limit: int, lease: timedelta, source: SourceName | None = None
    ) -> tuple[WriteIntent, ...]:
        """
        Return settled writes that are due for one more look.

        The region confirmed them but did not list them, or they left no trace.

        Args:
            limit: How many at most.
            lease: After how long `take_unseen` returns them again, unless `mark_seen`
                has ended that.
            source: Of which source; None: of any.
        """
        with self._database.writing() as connection:
            rows = connection.execute(
                select(*INTENT)
                .where(IS_UNSEEN, _is_of_source(source))
                .order_by(intents.c.next_look_at)
                .limit(limit)
                .with_for_update(skip_locked=True)
            ).all()
            if rows:
                connection.execute(
                    update(intents)
                    .where(intents.c.id.in_([row.id for row in rows]))
                    .values(next_look_at=from_now(lease))
                )
        return tuple(map(self._intent, rows))

    def mark_seen(self, intent: WriteIntent) -> None:
        """Record that a settled write needs no further look."""
        with self._database.writing() as connection:
            connection.execute(
                update(intents)
                .where(
                    intents.c.id == intent.id,
                    intents.c.settled_at.is_not(None),
                )
                .values(next_look_at=None)
            )

    def postpone(
        self, intent: WriteIntent, *, until: timedelta, unchanged: bool = False
    ) -> WriteIntent:
        """
        Count one look without result; `take_unsettled` returns the write again later.

        Args:
            intent: What `take_unsettled` returned.
            until: How long from now it returns again.
            unchanged: The source could be read, and shows no trace of the write.

        Raises:
            LostIntent: It is settled, was never sent, or another process has postponed
                it since it was read: then only that look counts.
        """
        with self._database.writing() as connection:
            row = connection.execute(
                update(intents)
                .where(
                    intents.c.id == intent.id,
                    intents.c.state.in_(stored_states(_AFTER_SENDING)),
                    intents.c.fence == intent.fence,
                    intents.c.attempts == intent.attempts,
                )
                .values(
                    attempts=intents.c.attempts + 1,
                    next_look_at=from_now(until),
                    unchanged_at=(
                        func.coalesce(intents.c.unchanged_at, database_clock())
                        if unchanged
                        else intents.c.unchanged_at
                    ),
                )
                .returning(*INTENT)
            ).one_or_none()
            if row is None:
                raise lost_intent()
            return self._intent(row)

    def raise_alarm(
        self, intent: WriteIntent, alarm: Alarm, *, log: Log = _log_nothing
    ) -> bool:
        """
        Flag a write for manual follow-up; return whether the alarm is new.

        A write has one alarm. AMBIGUOUS and BEGUN replace OVERDUE; SOMETHING_ELSE,
        DUPLICATE and CONTRADICTED replace any other.

        Args:
            intent: The write.
            alarm: Why.
            log: Logs the alarm; called only if it is new.
        """
        replaceable: ColumnElement[bool] = intents.c.alarm.is_(None)
        if alarm in _KNOWN_TO_BE_WRONG:
            replaceable = or_(replaceable, intents.c.alarm != alarm.value)
        elif alarm is not Alarm.OVERDUE:
            replaceable = or_(replaceable, intents.c.alarm == Alarm.OVERDUE.value)
        with self._database.writing() as connection:
            raised = connection.execute(
                update(intents)
                .where(intents.c.id == intent.id, replaceable)
                .values(alarm=alarm.value, alarmed_at=database_clock())
            )
            is_news = raised.rowcount == 1
            if is_news:
                log()
            return is_news

    def mark_sent_late(self, intent: WriteIntent) -> bool:
        """
        Record that a write of unknown outcome was sent just now, not earlier.

        Looks before this moment prove nothing about it.

        Returns:
            Whether its outcome is unknown; otherwise nothing changed.
        """
        with self._database.writing() as connection:
            marked = connection.execute(
                update(intents)
                .where(
                    intents.c.id == intent.id,
                    intents.c.state == WriteState.UNKNOWN.value,
                )
                .values(
                    fence=intents.c.fence + 1,
                    sent_at=database_clock(),
                    unchanged_at=None,
                )
            )
            return marked.rowcount == 1

    def doubt_yes(self, record: BookingRecord) -> WriteIntent | None:
        """
        Revoke that a booking is booked: the region said yes, but never listed it.

        The write is UNKNOWN again and the booking PENDING; its place stays claimed.

        Args:
            record: The booking as it was before the source was asked.

        Returns:
            The write as it is now; None if the source has listed the booking once, the
            booking has changed since, or another write to it is under way.
        """
        with self._database.writing() as connection:
            booking = lock_row(connection, record.id)
            if (
                booking.state != BookingState.BOOKED.value
                or booking.confirmed_at is not None
                or is_overtaken(connection, booking, record)
            ):
                return None
            row = connection.execute(
                update(intents)
                .where(
                    intents.c.booking == booking.id,
                    intents.c.kind == WriteKind.MAKE.value,
                    intents.c.state == WriteState.DONE.value,
                )
                .values(
                    state=WriteState.UNKNOWN.value,
                    fence=intents.c.fence + 1,
                    yes_at=intents.c.settled_at,
                    settled_at=None,
                    next_look_at=None,
                )
                .returning(*INTENT)
            ).one_or_none()
            if row is None:
                return None
            change(
                connection,
                self._seal,
                booking,
                **values_from_state(BookingState.PENDING),
            )
            return self._intent(row)

    def reopen(
        self, intent: WriteIntent, *, lease: timedelta, log: Log = _log_nothing
    ) -> WriteIntent | None:
        """
        Reopen a write that was settled as LEFT_NO_TRACE, but was done or sent.

        It is SENT as of now, with an alarm, and its place is claimed again. If another
        resident has the place by now, both claims stand: the region confirmed both.

        Args:
            intent: The write, as the caller read it.
            lease: How long the caller has to settle it.
            log: Logs the alarm.

        Returns:
            The write as it is now; None when it was not LEFT_NO_TRACE, or another write
            to the booking is under way.
        """
        with self._database.writing() as connection:
            if intent.timeslot is not None:
                lock_timeslot(connection, intent.timeslot)
            booking = lock_row(connection, intent.booking)
            if has_unsettled(connection, booking.id):
                return None
            row = connection.execute(
                update(intents)
                .where(
                    intents.c.id == intent.id,
                    intents.c.state == NOT_DONE,
                    intents.c.unchanged_at.is_not(None),
                )
                .values(
                    state=WriteState.SENT.value,
                    fence=intents.c.fence + 1,
                    sent_at=database_clock(),
                    settled_at=None,
                    lease_until=from_now(lease),
                    next_look_at=None,
                    unchanged_at=None,
                    yes_at=None,
                    alarm=Alarm.CONTRADICTED.value,
                    alarmed_at=database_clock(),
                )
                .returning(*INTENT)
            ).one_or_none()
            if row is None:
                return None
            reopened = self._intent(row)
            if reopened.kind is WriteKind.MAKE:
                change(
                    connection,
                    self._seal,
                    booking,
                    **values_from_state(BookingState.PENDING),
                )
            if reopened.timeslot is not None:
                token = reopened.timeslot.token
                claim(
                    connection,
                    SourceName(booking.source),
                    reopened,
                    reopened.timeslot,
                    find_any_place(connection, token),
                )
            log()
            return reopened

    def find_absent_make(
        self, source: SourceName, number: PersonalIdentityNumber, timeslot: Timeslot
    ) -> WriteIntent | None:
        """Return the MAKE of a resident's time that was settled as LEFT_NO_TRACE."""
        with self._database.reading() as connection:
            row = connection.execute(
                select(*INTENT)
                .join(bookings, bookings.c.id == intents.c.booking)
                .where(
                    bookings.c.source == source,
                    is_of_resident(self._seal, number),
                    bookings.c.state == VOID,
                    bookings.c.unit == timeslot.schedule.unit,
                    bookings.c.starts_at == epoch_seconds(timeslot.start),
                    intents.c.kind == WriteKind.MAKE.value,
                    intents.c.state == NOT_DONE,
                    intents.c.unchanged_at.is_not(None),
                )
                .order_by(intents.c.created_at.desc())
                .limit(1)
            ).one_or_none()
        return None if row is None else self._intent(row)

    def list_alarms(
        self, *, since: datetime
    ) -> tuple[tuple[BookingRecord, WriteIntent], ...]:
        """Return the writes flagged for manual follow-up, with their bookings."""
        with self._database.reading() as connection:
            rows = connection.execute(
                select(*INTENT)
                .join(bookings, bookings.c.id == intents.c.booking)
                .where(
                    intents.c.alarm.is_not(None),
                    intents.c.alarmed_at >= since.timestamp(),
                    bookings.c.wiped_at.is_(None),
                )
                .order_by(intents.c.alarmed_at)
            ).all()
            return tuple(
                (self._record(get_row(connection, row.booking)), self._intent(row))
                for row in rows
            )

    def _record(self, row: Row[Any]) -> BookingRecord:
        return record_from_row(row, self._seal)

    def _intent(self, row: Row[Any]) -> WriteIntent:
        return intent_from_row(row, self._seal)
