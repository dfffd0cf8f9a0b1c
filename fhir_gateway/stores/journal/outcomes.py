"""
Outcomes: what has to be found out of writes, and what was.

`Settlements` settles them; this lists what should be looked for, and writes down the
looks, the doubts and the alarms.
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
)
from fhir_gateway.stores.journal.claim_steps import (
    claim,
    find_any_place,
    from_now,
    get_row,
    lock_row,
    lock_timeslot,
    lost_intent,
    of_resident,
    texts,
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

# It runs before the alarm is committed: a process that dies in between logs it twice,
# where the other order would not have logged it at all.
Log: TypeAlias = Callable[[], object]


def _log_nothing() -> None:
    """Log nothing."""


def _is_of(source: SourceName | None) -> ColumnElement[bool]:
    """Return whether an intent is of a source's booking; of any when it is None."""
    if source is None:
        return true()
    return exists().where(
        bookings.c.id == intents.c.booking, bookings.c.source == source
    )


class Outcomes:
    """
    The writes that somebody has to look after.

    Every method is one transaction, as those of `Journal` are.

    Args:
        database: Where the journal is.
        seal: Opens what is personal.
    """

    def __init__(self, database: Database, seal: Seal) -> None:
        self._database = database
        self._seal = seal

    def list_sources(self) -> tuple[SourceName, ...]:
        """Return the sources with something for `take_unsettled` or `take_unseen`."""
        with self._database.reading() as connection:
            return tuple(
                map(SourceName, connection.execute(SOURCES_WITH_DUE).scalars())
            )

    def take_unsettled(
        self,
        *,
        limit: int,
        hold: timedelta = timedelta(),
        source: SourceName | None = None,
    ) -> tuple[WriteIntent, ...]:
        """
        Return writes whose outcome should be looked for now, the longest waiting first.

        They are UNKNOWN; or SENT or CLAIMED, and their owner has not been heard of for
        the length of its lease. A CLAIMED one was never sent: `settle_not_done`.

        Args:
            limit: How many at most.
            hold: How long to keep what is returned from other lookers. Without it they
                may look at the same; the first to settle or postpone wins.
            source: Whose; None for any.
        """
        chosen = (
            select(*INTENT)
            .where(IS_UNSETTLED, _is_of(source))
            .order_by(DUE_AT, intents.c.created_at)
            .limit(limit)
        )
        if not hold:
            with self._database.reading() as connection:
                return tuple(map(self._intent, connection.execute(chosen)))
        with self._database.writing() as connection:
            rows = connection.execute(chosen.with_for_update(skip_locked=True)).all()
            connection.execute(
                update(intents)
                .where(intents.c.id.in_([row.id for row in rows]))
                .values(next_look_at=from_now(hold))
            )
        return tuple(map(self._intent, rows))

    def take_unseen(
        self, *, limit: int, hold: timedelta, source: SourceName | None = None
    ) -> tuple[WriteIntent, ...]:
        """
        Return settled writes that should be looked at once more now.

        They were done by the region's word alone, or not done by their absence alone.

        Args:
            limit: How many at most.
            hold: After how long `take_unseen` has again what `mark_seen` has not ended.
            source: Whose; None for any.
        """
        with self._database.writing() as connection:
            rows = connection.execute(
                select(*INTENT)
                .where(IS_UNSEEN, _is_of(source))
                .order_by(intents.c.next_look_at)
                .limit(limit)
                .with_for_update(skip_locked=True)
            ).all()
            if rows:
                connection.execute(
                    update(intents)
                    .where(intents.c.id.in_([row.id for row in rows]))
                    .values(next_look_at=from_now(hold))
                )
        return tuple(map(self._intent, rows))

    def mark_seen(self, intent: WriteIntent) -> None:
        """Look no more at a write that is settled."""
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
        Count one vain look for an outcome; `take_unsettled` has it again after a while.

        Args:
            intent: What `take_unsettled` returned.
            until: How long, from now.
            unchanged: The source could be read, and shows no trace of the write.

        Raises:
            LostIntent: It is settled, was never sent, or somebody else has postponed
                it since it was read: then that look counts and this one does not.
        """
        with self._database.writing() as connection:
            row = connection.execute(
                update(intents)
                .where(
                    intents.c.id == intent.id,
                    intents.c.state.in_(texts(_AFTER_SENDING)),
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
        Flag a write for manual follow-up; return whether that is news.

        A write has one alarm. What needs a person replaces what only takes long, and
        what is known to be wrong replaces either.

        Args:
            intent: The write.
            alarm: Why.
            log: Logs it, if it is news.
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
        Say that a write of unknown outcome has been sent this moment, not before.

        What looks have found until now says nothing about it.

        Returns:
            Whether it is of unknown outcome.
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

    def reopen(
        self, intent: WriteIntent, *, lease: timedelta, log: Log = _log_nothing
    ) -> WriteIntent | None:
        """
        Take back that a write left no trace: it is done, or was sent after all.

        It is SENT again, this moment, with an alarm, and its place is claimed anew:
        beside the resident who has it by now, since both have got a yes.

        Args:
            intent: The write, however it was known.
            lease: How long the caller has to settle it.
            log: Logs the alarm.

        Returns:
            The write as it is now; None when it was not settled by its absence, or
            another write to the booking is under way.
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
        """Return the MAKE of a resident's time that was settled by its absence."""
        with self._database.reading() as connection:
            row = connection.execute(
                select(*INTENT)
                .join(bookings, bookings.c.id == intents.c.booking)
                .where(
                    bookings.c.source == source,
                    of_resident(self._seal, number),
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
