"""
Counts the writes of a month in the journal.
"""

from typing import Final

from sqlalchemy import ColumnElement, and_, case, func, or_, select

from fhir_gateway.model.ids import HsaId, SourceName, TimeTypeId
from fhir_gateway.model.month import Month
from fhir_gateway.model.statistics import BookingCount, DaysAhead, WriteOutcome
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.journal.records import WriteKind, WriteState
from fhir_gateway.stores.journal.tables import NOT_DONE, bookings, intents

__all__ = ["BookingCounts"]

_DAY_S: Final = 86_400
_DONE: Final = {
    WriteKind.MAKE.value: WriteOutcome.BOOKED,
    WriteKind.UPDATE.value: WriteOutcome.MOVED,
    WriteKind.CANCEL.value: WriteOutcome.CANCELLED,
}
# Where the next group begins, in days.
_BEFORE: Final = (
    (1, DaysAhead.SAME_DAY),
    (2, DaysAhead.NEXT_DAY),
    (8, DaysAhead.WEEK),
    (15, DaysAhead.TWO_WEEKS),
    (31, DaysAhead.MONTH),
    (61, DaysAhead.TWO_MONTHS),
)


class BookingCounts:
    """
    Counts writes.

    Args:
        database: Where the journal is.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_month(self, month: Month) -> tuple[BookingCount, ...]:
        """
        Return the counts of the writes that were settled in a month.

        An unsettled write counts in the month in which it was sent. What was never sent
        does not count: a hold that lapsed, a time that was taken already.
        """
        each = (
            select(
                bookings.c.source,
                bookings.c.unit,
                # The unit's time type, also of a booking that was moved since.
                func.coalesce(
                    intents.c.timeslot["time_type_id"].as_string(),
                    bookings.c.timeslot["time_type_id"].as_string(),
                ).label("time_type"),
                intents.c.channel,
                _outcome().label("outcome"),
                _days_ahead().label("days_ahead"),
            )
            .join(bookings, bookings.c.id == intents.c.booking)
            .where(_is_in(month), intents.c.sent_at.is_not(None))
            .subquery()
        )
        with self._database.reading() as connection:
            rows = connection.execute(
                select(*each.c, func.count().label("count_of_rows"))
                .select_from(each)
                .group_by(*each.c)
            ).all()
        return tuple(
            BookingCount(
                month=month,
                source=SourceName(row.source),
                unit=HsaId(row.unit),
                time_type_id=TimeTypeId(row.time_type),
                channel=row.channel,
                outcome=WriteOutcome(row.outcome),
                days_ahead=None
                if row.days_ahead is None
                else DaysAhead(row.days_ahead),
                count=row.count_of_rows,
            )
            for row in rows
        )


def _is_in(month: Month) -> ColumnElement[bool]:
    start, end = month.start.timestamp(), month.end.timestamp()
    return or_(
        and_(intents.c.settled_at >= start, intents.c.settled_at < end),
        and_(
            intents.c.settled_at.is_(None),
            intents.c.sent_at >= start,
            intents.c.sent_at < end,
        ),
    )


def _outcome() -> ColumnElement[str]:
    done = [
        (
            and_(intents.c.state == WriteState.DONE.value, intents.c.kind == kind),
            outcome.value,
        )
        for kind, outcome in _DONE.items()
    ]
    return case(
        *done,
        (intents.c.state == WriteState.REFUSED.value, WriteOutcome.REFUSED.value),
        (intents.c.state == NOT_DONE, WriteOutcome.NOT_DONE.value),
        else_=WriteOutcome.UNSETTLED.value,
    )


def _days_ahead() -> ColumnElement[str | None]:
    """Return the days from a booking to its visit; NULL for any other write."""
    ahead_s = intents.c.timeslot["start"].as_integer() - intents.c.sent_at
    return case(
        (
            or_(
                intents.c.kind != WriteKind.MAKE.value,
                intents.c.state != WriteState.DONE.value,
            ),
            None,
        ),
        *((ahead_s < days * _DAY_S, group.value) for days, group in _BEFORE),
        else_=DaysAhead.LONGER.value,
    )
