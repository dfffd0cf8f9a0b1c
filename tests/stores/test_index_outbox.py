"""
The outbox of the engagement index: it follows the journal, on both databases.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from engagements import MARKS
from granting import GRANT
from sqlalchemy import update

from fhir_gateway.model.booking import BookingPermissions
from fhir_gateway.model.engagement import Engagement, EngagementChange, IndexedSource
from fhir_gateway.model.ids import BookingId, HsaId
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.index_outbox import IndexOutbox
from fhir_gateway.stores.index_post import QueuedPosts
from fhir_gateway.stores.journal import Journal
from fhir_gateway.stores.journal.records import BookingRecord
from fhir_gateway.stores.journal.tables import bookings, index_posts
from fhir_gateway.stores.sealing import Seal

from .conftest import (
    CANCEL,
    LEASE,
    NORR,
    START,
    booked,
    number,
    reported,
    rows,
    sent,
    timeslot,
)

INDEXED: Final = IndexedSource(
    source_system=HsaId("SE2321000016-SYSTEM"), data_controller="232100-0016"
)
AT_ONCE: Final = timedelta()


@pytest.fixture(name="outbox")
def _outbox(database: Database, keys: tuple[str, ...]) -> IndexOutbox:
    return IndexOutbox(database, Seal(keys), {NORR: INDEXED}, holder="one")


def post_of(record: BookingRecord) -> Engagement:
    """Return the post that the index must have of a booking."""
    assert record.booking_id is not None
    return Engagement(
        resident=record.number,
        unit=record.timeslot.schedule.unit,
        booking_id=record.booking_id,
        source_system=INDEXED.source_system,
        data_controller=INDEXED.data_controller,
        starts_at=record.timeslot.start,
    )


def take(outbox: IndexOutbox) -> tuple[QueuedPosts, ...]:
    """Return what is due now."""
    return outbox.take(limit=10, lease=LEASE)


def changes(taken: Sequence[QueuedPosts]) -> list[EngagementChange]:
    """Return all changes of what was taken."""
    return [change for each in taken for change in each.changes]


def created(record: BookingRecord) -> EngagementChange:
    """Return the change that makes a booking's post."""
    return EngagementChange(engagement=post_of(record))


def deleted(record: BookingRecord) -> EngagementChange:
    """Return the change that deletes a booking's post."""
    return EngagementChange(engagement=post_of(record), is_deleted=True)


def moved(
    journal: Journal, record: BookingRecord, hours: int, booking_id: str | None = None
) -> BookingRecord:
    """Return a booking after its move to another time."""
    intent = journal.intents.claim_update(record, timeslot=timeslot(hours), grant=GRANT)
    return journal.settlements.settle_moved(
        journal.intents.mark_sent(intent, lease=LEASE),
        booking_id=None if booking_id is None else BookingId(booking_id),
        permissions=CANCEL,
    )


def cancelled(journal: Journal, record: BookingRecord) -> BookingRecord:
    """Return a booking after its cancellation."""
    intent = journal.intents.claim_cancel(record, grant=GRANT)
    return journal.settlements.settle_cancelled(
        journal.intents.mark_sent(intent, lease=LEASE)
    )


def test_a_booking_is_posted(journal: Journal, outbox: IndexOutbox) -> None:
    """A booking that its region has confirmed is due, until the index has its post."""
    record = booked(journal)

    taken = take(outbox)
    outbox.remove(taken)

    assert changes(taken) == [created(record)]
    assert take(outbox) == ()
    assert outbox.state().waiting == 0


def test_a_pending_booking_is_not_posted(journal: Journal, outbox: IndexOutbox) -> None:
    """Nothing is posted of a write with an open outcome, nor without an id."""
    sent(journal, 1, 1)
    booked(journal, booking_id=None)

    assert take(outbox) == ()


def test_a_reported_booking_is_posted(journal: Journal, outbox: IndexOutbox) -> None:
    """A booking that was made elsewhere, and that its source lists, is posted too."""
    record = journal.reports.adopt(
        source=NORR, booking=reported(), timeslot=timeslot(), number=number()
    )

    assert changes(take(outbox)) == [created(record)]


def test_a_source_that_keeps_the_index_is_left_alone(
    journal: Journal, database: Database, keys: tuple[str, ...]
) -> None:
    """Bookings of a source without the option are never posted."""
    booked(journal)

    assert take(IndexOutbox(database, Seal(keys), {})) == ()


def test_a_new_id_is_a_deletion_and_a_post(
    journal: Journal, outbox: IndexOutbox
) -> None:
    """After a move with a new id the old post goes and the right one is made."""
    before = booked(journal)
    outbox.remove(take(outbox))

    after = moved(journal, before, 3, "B2")

    assert changes(take(outbox)) == [deleted(before), created(after)]


def test_a_new_time_changes_the_post(journal: Journal, outbox: IndexOutbox) -> None:
    """A move that keeps the id changes the one attribute that is not of the key."""
    before = booked(journal)
    outbox.remove(take(outbox))

    assert changes(take_after(outbox, moved(journal, before, 3))) == [
        created(replace(before, timeslot=timeslot(3)))
    ]


def take_after(outbox: IndexOutbox, _: BookingRecord) -> tuple[QueuedPosts, ...]:
    """Return what is due after a change."""
    return take(outbox)


def test_a_cancelled_booking_is_deleted(journal: Journal, outbox: IndexOutbox) -> None:
    """A cancellation deletes the post."""
    record = booked(journal)
    outbox.remove(take(outbox))
    cancelled(journal, record)

    taken = take(outbox)
    outbox.remove(taken)

    assert changes(taken) == [deleted(record)]
    assert take(outbox) == ()


def test_what_was_never_sent_is_not_deleted(
    journal: Journal, outbox: IndexOutbox
) -> None:
    """A booking that is cancelled before its post was sent needs no message."""
    cancelled(journal, booked(journal))

    assert take(outbox) == ()


def test_what_may_have_arrived_is_deleted(
    journal: Journal, outbox: IndexOutbox
) -> None:
    """Whether the index has a post that was sent is unknown until it says so."""
    first = booked(journal)
    take(outbox)
    second = moved(journal, first, 1, "B2")
    take(outbox)
    third = moved(journal, second, 2, "B3")

    assert changes(take(outbox)) == [deleted(first), deleted(second), created(third)]


def test_a_change_during_the_sending_is_due(
    journal: Journal, outbox: IndexOutbox
) -> None:
    """The index's yes to a post does not cover what the booking has become since."""
    record = booked(journal)
    taken = take(outbox)
    cancelled(journal, record)

    outbox.remove(taken)

    assert changes(take(outbox)) == [deleted(record)]


def test_a_change_that_no_post_shows_is_no_message(
    journal: Journal, outbox: IndexOutbox
) -> None:
    """A new permission does not concern the index."""
    record = booked(journal)
    outbox.remove(take(outbox))
    journal.reports.confirm(
        record, reported(permissions=BookingPermissions()), timeslot()
    )

    assert (take(outbox), outbox.state().waiting) == ((), 0)


def test_another_record_keeps_the_post(journal: Journal, outbox: IndexOutbox) -> None:
    """Of two records of one booking, the one that is replaced deletes nothing."""
    adopted = journal.reports.adopt(
        source=NORR, booking=reported("B1"), timeslot=timeslot(), number=number()
    )
    outbox.remove(take(outbox))
    cancelled(journal, adopted)
    again = journal.reports.adopt(
        source=NORR, booking=reported("B1"), timeslot=timeslot(), number=number()
    )

    assert again.id != adopted.id
    assert changes(take(outbox)) == [created(again)]


def test_a_passed_visit_is_withdrawn(
    journal: Journal, outbox: IndexOutbox, database: Database
) -> None:
    """When a visit has begun, its post is deleted."""
    record = booked(journal)
    outbox.remove(take(outbox))
    with database.writing() as connection:
        past = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
        document = connection.execute(bookings.select()).one().timeslot
        connection.execute(
            update(bookings).values(
                starts_at=past,
                timeslot=document | {"start": past, "end": past + 1800},
            )
        )
        connection.execute(update(index_posts).values(starts_at=past))

    withdrawn = outbox.withdraw_passed()
    taken = take(outbox)
    outbox.remove(taken)

    assert (withdrawn, changes(taken)) == (1, [deleted(record)])
    assert outbox.withdraw_passed() == 0


def test_one_process_sends_at_a_time(
    journal: Journal, outbox: IndexOutbox, database: Database, keys: tuple[str, ...]
) -> None:
    """Another process gets nothing during the lease, and goes on after its end."""
    other = IndexOutbox(database, Seal(keys), {NORR: INDEXED}, holder="two")
    record = booked(journal)
    first = outbox.take(limit=10, lease=LEASE)

    during = take(other)
    outbox.release()
    after = take(other)
    outbox.remove(first)

    assert (during, changes(after)) == ((), [created(record)])
    # The late one has settled nothing.
    assert outbox.state().waiting == 1


def test_one_that_failed_is_taken_alone(journal: Journal, outbox: IndexOutbox) -> None:
    """A booking that failed before delays no other."""
    for which in range(3):
        booked(journal, which, which, booking_id=f"B{which}")
    outbox.postpone(outbox.take(limit=2, lease=LEASE), AT_ONCE)

    assert sorted(len(take(outbox)) for _ in range(3)) == [1, 1, 1]


def test_a_refused_one_waits_for_a_person(
    journal: Journal, outbox: IndexOutbox
) -> None:
    """What the index refuses for good is flagged, and can be tried again."""
    record = booked(journal)
    (taken,) = take(outbox)
    outbox.give_up(taken)

    state = outbox.state()
    none = take(outbox)
    retried = outbox.retry_refused()

    assert (state.waiting, state.refused, none, retried) == (0, 1, (), 1)
    assert changes(take(outbox)) == [created(record)]


def test_a_wait_is_waited_for(journal: Journal, outbox: IndexOutbox) -> None:
    """A postponed booking is due after its wait; a changed one at once."""
    record = booked(journal)
    outbox.postpone(take(outbox), timedelta(hours=1), is_refused=True)

    waiting = take(outbox)
    cancelled(journal, record)

    assert (waiting, changes(take(outbox))) == ((), [deleted(record)])


def test_no_row_shows_a_number(
    journal: Journal, outbox: IndexOutbox, database: Database
) -> None:
    """The posts are sealed."""
    booked(journal)
    take(outbox)

    stored = repr(rows(database)["index_post"])

    assert stored != "[]"
    assert [mark for mark in (*MARKS, number().reveal(), "B1'") if mark in stored] == []


def test_wiped_bookings_leave_no_post(
    journal: Journal, outbox: IndexOutbox, database: Database
) -> None:
    """The posts of a visit are wiped with its booking."""
    booked(journal)
    outbox.remove(take(outbox))

    journal.upkeep.wipe(ended_before=START + timedelta(days=8))

    assert rows(database)["index_post"] == []
    assert take(outbox) == ()


def test_posts_are_resealed(
    journal: Journal, outbox: IndexOutbox, database: Database, keys: tuple[str, ...]
) -> None:
    """After a change of keys the outbox opens with the new key alone."""
    record = booked(journal)
    outbox.remove(take(outbox))
    new = Seal.new_key()
    renewed = Journal(database, Seal((new, *keys)))
    list(renewed.upkeep.reseal())
    cancelled(Journal(database, Seal((new,))), record)

    resealed = IndexOutbox(database, Seal((new,)), {NORR: INDEXED}, holder="one")

    assert changes(take(resealed)) == [deleted(record)]
