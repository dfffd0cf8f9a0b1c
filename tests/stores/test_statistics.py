"""
What the stores count for statistics: writes in the journal, and listed bookings.
"""

from dataclasses import replace
from datetime import timedelta

import pytest
from granting import GRANT

from fhir_gateway.model.booking import BookingPermissions
from fhir_gateway.model.found_booking import Lack
from fhir_gateway.model.ids import SourceName, TimeTypeId
from fhir_gateway.model.month import Month
from fhir_gateway.model.statistics import (
    BookingCount,
    CoverageCount,
    DaysAhead,
    WriteOutcome,
)
from fhir_gateway.model.timekeeping import now
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.journal import Journal
from fhir_gateway.stores.statistics import BookingCounts, CoverageCounts

from .conftest import LEASE, NORR, UNIT, booked, claimed, sent, subject, timeslot


def counted(database: Database, month: Month) -> dict[tuple[str, str | None], int]:
    """Return the counts of a month by outcome and channel."""
    counts: dict[tuple[str, str | None], int] = {}
    for each in BookingCounts(database).of_month(month):
        key = (each.outcome.value, each.channel)
        counts[key] = counts.get(key, 0) + each.count
    return counts


def test_each_settled_write_counts_once(journal: Journal, database: Database) -> None:
    """A month's writes are counted by outcome; what was never sent does not count."""
    month = Month.of(now())
    record = booked(journal, 0, 0, booking_id="B1")
    moved = journal.intents.mark_sent(
        journal.intents.claim_update(record, timeslot(5), grant=GRANT), lease=LEASE
    )
    record = journal.settlements.settle_moved(
        moved, booking_id=None, permissions=BookingPermissions(cancel=True)
    )
    journal.settlements.settle_cancelled(
        journal.intents.mark_sent(
            journal.intents.claim_cancel(record, grant=GRANT), lease=LEASE
        )
    )
    journal.settlements.settle_refused(sent(journal, 1, 1), message=None)
    journal.settlements.settle_left_no_trace(
        sent(journal, 2, 2), look_again_in=timedelta(hours=1)
    )
    journal.settlements.settle_unknown(sent(journal, 3, 3))
    claimed(journal, 4, 4)

    channel = GRANT.principal.channel
    assert counted(database, month) == {
        (outcome.value, channel): 1 for outcome in WriteOutcome
    }
    assert counted(database, month.plus(1)) == {}


def test_a_booking_is_counted_with_where_when_and_for_what(
    journal: Journal, database: Database
) -> None:
    """A count has source, unit, time type, channel, and the days to the visit."""
    start = timeslot().start
    booked(journal, 0, 0, booking_id="B1")
    booked(journal, 1, 1, booking_id="B2")
    month = Month.of(now())
    days = (start - now()).days

    (count,) = BookingCounts(database).of_month(month)
    assert count == BookingCount(
        month=month,
        source=NORR,
        unit=UNIT,
        time_type_id=TimeTypeId("besok"),
        channel=GRANT.principal.channel,
        outcome=WriteOutcome.BOOKED,
        days_ahead=DaysAhead.LONGER if days > 60 else count.days_ahead,
        count=2,
    )


@pytest.mark.parametrize(
    ("ahead", "group"),
    [
        (timedelta(hours=23), DaysAhead.SAME_DAY),
        (timedelta(hours=25), DaysAhead.NEXT_DAY),
        (timedelta(days=2, hours=1), DaysAhead.WEEK),
        (timedelta(days=7, hours=23), DaysAhead.WEEK),
        (timedelta(days=8, hours=1), DaysAhead.TWO_WEEKS),
        (timedelta(days=30, hours=23), DaysAhead.MONTH),
        (timedelta(days=60, hours=23), DaysAhead.TWO_MONTHS),
        (timedelta(days=61, hours=1), DaysAhead.LONGER),
    ],
)
def test_the_days_to_a_visit_are_days_of_24_hours(
    ahead: timedelta, group: DaysAhead, journal: Journal, database: Database
) -> None:
    """A booking belongs to the group of the full days that lie before its visit."""
    start = now() + ahead
    time = replace(timeslot(), start=start, end=start + timedelta(minutes=30))
    intent = journal.intents.mark_sent(
        journal.intents.claim_make(
            source=NORR, timeslot=time, subject=subject(), grant=GRANT
        ),
        lease=LEASE,
    )
    journal.settlements.settle_booked(
        intent, booking_id=None, permissions=BookingPermissions()
    )

    (count,) = BookingCounts(database).of_month(Month.of(now()))
    assert count.days_ahead is group


def test_wiped_bookings_still_count(journal: Journal, database: Database) -> None:
    """Statistics outlive the personal data, channel included."""
    booked(journal)
    before = BookingCounts(database).of_month(Month.of(now()))
    wiped = journal.upkeep.wipe(ended_before=timeslot().end + timedelta(days=1))

    assert wiped == 1
    assert BookingCounts(database).of_month(Month.of(now())) == before


def test_a_write_of_the_previous_release_has_no_channel(
    journal: Journal, database: Database
) -> None:
    """A row without a channel counts; nobody knows who asked."""
    booked(journal)
    with database.writing() as connection:
        connection.exec_driver_sql("UPDATE decision SET channel = NULL")

    assert counted(database, Month.of(now())) == {("booked", None): 1}


def test_coverage_is_added_up(database: Database) -> None:
    """Counts of several processes add up, month by month and source by source."""
    counts = CoverageCounts(database)
    month, syd = Month(2026, 11), SourceName("syd")
    counts.add({(month, NORR, None, None): 3, (month, syd, Lack.SILENT, None): 1})
    counts.add({(month, NORR, None, None): 2, (month.plus(1), NORR, None, None): 9})

    assert set(counts.of_month(month)) == {
        CoverageCount(month=month, source=NORR, aggregated=None, direct=None, count=5),
        CoverageCount(
            month=month, source=syd, aggregated=Lack.SILENT, direct=None, count=1
        ),
    }


def test_nothing_to_add_adds_nothing(database: Database) -> None:
    """An empty month has no counts."""
    CoverageCounts(database).add({})

    assert CoverageCounts(database).of_month(Month(2026, 11)) == ()
