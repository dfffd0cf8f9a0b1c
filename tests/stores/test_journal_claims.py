"""
Claims: which request gets a place, and what the others get.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from granting import GRANT
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from fhir_gateway.model.booking import BookingPermissions
from fhir_gateway.model.client_request import RepeatedRequest, RequestKey
from fhir_gateway.model.errors import Conflict, NotFound, Party, Stale, TimeslotTaken
from fhir_gateway.model.ids import BookingId
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.journal import (
    AlreadyBooked,
    BookingState,
    Journal,
    WriteKind,
    WriteState,
)
from fhir_gateway.stores.journal.tables import bookings, claims, intents
from fhir_gateway.stores.sealing import Seal

from .conftest import (
    LEASE,
    NORR,
    booked,
    claimed,
    live_tokens,
    number,
    rows,
    sent,
    subject,
    timeslot,
)

KEY = RequestKey(client="app", key="k1", fingerprint="f1")


def test_claimed_make_has_the_intended_write(journal: Journal) -> None:
    """A new booking's intent is CLAIMED, unsent, and about the time asked for."""
    intent = claimed(journal)

    assert intent == replace(
        intent,
        kind=WriteKind.MAKE,
        state=WriteState.CLAIMED,
        fence=1,
        timeslot=timeslot(),
        sent_at=None,
        attempts=0,
        message=None,
    )


def test_claimed_booking_is_pending(journal: Journal) -> None:
    """From the claim on there is a PENDING booking, which permits nothing."""
    record = journal.lookups.get(claimed(journal, 1).booking)

    assert record == replace(
        record,
        version=1,
        state=BookingState.PENDING,
        source=NORR,
        timeslot=timeslot(),
        booking_id=None,
        number=number(1),
        subject=subject(1),
        permissions=BookingPermissions(),
        is_invitation=False,
        message=None,
        confirmed_at=None,
    )


def test_times_are_aware(journal: Journal) -> None:
    """Every instant that the journal returns has an offset."""
    record = booked(journal)

    assert [
        instant is not None and instant.utcoffset() == timedelta()
        for instant in (record.created_at, record.updated_at, record.confirmed_at)
    ] == [True, True, True]


def test_second_resident_finds_it_taken(journal: Journal) -> None:
    """Two residents cannot claim one place."""
    claimed(journal, 1)

    with pytest.raises(TimeslotTaken) as caught:
        claimed(journal, 2)

    assert (caught.value.source, caught.value.party) == (NORR, Party.CLIENT)


def test_refused_claim_leaves_nothing(journal: Journal, database: Database) -> None:
    """A claim that comes too late leaves no booking behind."""
    claimed(journal, 1)
    before = rows(database)

    with pytest.raises(TimeslotTaken):
        claimed(journal, 2)

    assert rows(database) == before


def test_other_time_is_free(journal: Journal) -> None:
    """A claim on one time leaves the next one free."""
    claimed(journal, 1)

    assert claimed(journal, 2, hours=1).state is WriteState.CLAIMED


def test_time_listed_twice_has_two_places(journal: Journal) -> None:
    """A time that its source lists twice can be claimed twice, and no more."""
    twice = timeslot(count=2)
    for who in (1, 2):
        journal.intents.claim_make(
            source=NORR, timeslot=twice, subject=subject(who), grant=GRANT
        )

    with pytest.raises(TimeslotTaken):
        journal.intents.claim_make(
            source=NORR, timeslot=twice, subject=subject(3), grant=GRANT
        )


def test_capacity_overrides_the_count(journal: Journal) -> None:
    """A capacity that is given counts instead of how often the time was listed."""
    journal.intents.claim_make(
        source=NORR, timeslot=timeslot(), subject=subject(1), capacity=2, grant=GRANT
    )
    journal.intents.claim_make(
        source=NORR, timeslot=timeslot(), subject=subject(2), capacity=2, grant=GRANT
    )

    assert live_tokens(journal) == {timeslot().token: 2}


def test_no_capacity_means_taken(journal: Journal) -> None:
    """A time without a place left cannot be claimed at all."""
    with pytest.raises(TimeslotTaken):
        journal.intents.claim_make(
            source=NORR,
            timeslot=timeslot(),
            subject=subject(1),
            capacity=0,
            grant=GRANT,
        )


def test_same_resident_gets_the_id_of_the_booking(journal: Journal) -> None:
    """A resident who holds the time gets the id of that booking."""
    first = claimed(journal, 1)

    with pytest.raises(AlreadyBooked) as caught:
        claimed(journal, 1)

    assert caught.value.booking == first.booking


def test_same_resident_cannot_hold_two_places(journal: Journal) -> None:
    """A resident cannot hold two places of one time."""
    twice = timeslot(count=2)
    journal.intents.claim_make(
        source=NORR, timeslot=twice, subject=subject(1), grant=GRANT
    )

    with pytest.raises(AlreadyBooked):
        journal.intents.claim_make(
            source=NORR, timeslot=twice, subject=subject(1), grant=GRANT
        )


def test_same_resident_is_recognised_after_rotation(
    journal: Journal, database: Database, keys: tuple[str, ...]
) -> None:
    """A resident who holds the time is recognised after a change of keys."""
    claimed(journal, 1)
    rotated = Journal(database, Seal([Seal.new_key(), *keys]))

    with pytest.raises(AlreadyBooked):
        claimed(rotated, 1)


def test_freed_place_can_be_claimed(journal: Journal) -> None:
    """A released place can be claimed by the next resident."""
    journal.settlements.settle_not_done(claimed(journal, 1))

    assert claimed(journal, 2).state is WriteState.CLAIMED


def test_lowest_free_place_is_taken(journal: Journal, database: Database) -> None:
    """A place that was freed between two others is the next to be claimed."""
    thrice = timeslot(count=3)
    made = [
        journal.intents.claim_make(
            source=NORR, timeslot=thrice, subject=subject(who), grant=GRANT
        )
        for who in range(3)
    ]
    journal.settlements.settle_not_done(made[1])

    journal.intents.claim_make(
        source=NORR, timeslot=thrice, subject=subject(4), grant=GRANT
    )

    with database.reading() as connection:
        ordinals = connection.execute(
            select(claims.c.ordinal)
            .where(claims.c.released_at.is_(None))
            .order_by(claims.c.ordinal)
        ).scalars()
        assert list(ordinals) == [1, 2, 3]


def _foreign_claim(intent_of_other: str, booking: str) -> dict[str, object]:
    return {
        "id": str(uuid4()),
        "token": timeslot().token,
        "ordinal": 1,
        "booking": booking,
        "intent": intent_of_other,
        "starts_at": 0,
        "created_at": 0,
    }


def test_index_forbids_two_live_claims(journal: Journal, database: Database) -> None:
    """The database itself refuses a second live claim on one place."""
    first = claimed(journal, 1)

    with pytest.raises(IntegrityError), database.writing() as connection:
        connection.execute(
            insert(claims).values(_foreign_claim(first.id, first.booking))
        )


def test_index_forbids_two_unsettled_intents(
    journal: Journal, database: Database
) -> None:
    """The database itself refuses a second unsettled write to one booking."""
    first = claimed(journal, 1)

    with database.reading() as connection:
        row = connection.execute(select(intents)).one()._asdict()

    with pytest.raises(IntegrityError), database.writing() as connection:
        connection.execute(
            insert(intents).values({**row, "id": str(uuid4()), "ordinal": 2})
        )

    assert journal.lookups.find_pending(first.booking) == first


def test_index_forbids_one_booking_twice(journal: Journal, database: Database) -> None:
    """The database itself refuses to have one booking of a region BOOKED twice."""
    booked(journal)

    with database.reading() as connection:
        row = connection.execute(select(bookings)).one()._asdict()

    with pytest.raises(IntegrityError), database.writing() as connection:
        connection.execute(insert(bookings).values({**row, "id": str(uuid4())}))


@pytest.mark.parametrize("new_url", ["postgresql"], indirect=True)
def test_index_has_the_last_word(
    journal: Journal,
    database: Database,
    url: str,
    open_database: Callable[[str], Database],
) -> None:
    """A writer that takes no lock and is first makes the time taken, not an error."""
    other = claimed(journal, 1, hours=1)
    watching = open_database(url)
    with database.writing() as connection:
        connection.execute(
            insert(claims).values(_foreign_claim(other.id, other.booking))
        )
        with ThreadPoolExecutor(1) as pool:
            late = pool.submit(claimed, journal, 2)
            waiting = 0
            while not waiting:
                with watching.reading() as looking:
                    waiting = looking.exec_driver_sql(
                        "SELECT count(*) FROM pg_locks WHERE NOT granted"
                    ).scalar_one()
            connection.commit()
            error = late.exception()

    assert isinstance(error, TimeslotTaken)


def test_update_claims_the_new_time_too(journal: Journal) -> None:
    """While a booking is being moved both of its places are held."""
    journal.intents.claim_update(booked(journal), timeslot(1), grant=GRANT)

    assert live_tokens(journal) == {timeslot().token: 1, timeslot(1).token: 1}


def test_update_leaves_the_booking(journal: Journal) -> None:
    """A claimed move changes nothing that a client can see."""
    record = booked(journal)

    journal.intents.claim_update(record, timeslot(1), grant=GRANT)

    assert journal.lookups.get(record.id) == record


def test_update_to_a_taken_time(journal: Journal) -> None:
    """A booking cannot be moved to a time that somebody else holds."""
    record = booked(journal, 1)
    claimed(journal, 2, hours=1)

    with pytest.raises(TimeslotTaken):
        journal.intents.claim_update(record, timeslot(1), grant=GRANT)


def test_update_to_its_own_time(journal: Journal) -> None:
    """A booking cannot be moved to the time that it has."""
    record = booked(journal)

    with pytest.raises(AlreadyBooked) as caught:
        journal.intents.claim_update(record, timeslot(), grant=GRANT)

    assert caught.value.booking == record.id


def test_update_with_a_capacity(journal: Journal) -> None:
    """A booking can be moved to a time that has one more place."""
    record = booked(journal, 1)
    claimed(journal, 2, hours=1)

    intent = journal.intents.claim_update(record, timeslot(1), 2, grant=GRANT)

    assert intent.timeslot == timeslot(1)


def test_cancel_has_no_time(journal: Journal) -> None:
    """An intent to cancel has no timeslot."""
    intent = journal.intents.claim_cancel(booked(journal), grant=GRANT)

    assert (intent.kind, intent.timeslot) == (WriteKind.CANCEL, None)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(
            lambda journal, record: journal.intents.claim_update(
                record, timeslot(1), grant=GRANT
            ),
            id="update",
        ),
        pytest.param(
            lambda journal, record: journal.intents.claim_cancel(record, grant=GRANT),
            id="cancel",
        ),
    ],
)
class TestChangeIsRefused:
    """A booking that does not stand as the caller believes is not changed."""

    def test_pending(self, journal: Journal, change: Callable[..., object]) -> None:
        """A booking with an unsettled MAKE cannot be changed."""
        record = journal.lookups.get(claimed(journal).booking)

        with pytest.raises(Conflict, match="is not booked"):
            change(journal, record)

    def test_cancelled(self, journal: Journal, change: Callable[..., object]) -> None:
        """A booking that has been cancelled cannot be changed."""
        record = journal.reports.mark_cancelled_elsewhere(booked(journal))

        with pytest.raises(Conflict, match="is not booked"):
            change(journal, record)

    def test_in_flight(self, journal: Journal, change: Callable[..., object]) -> None:
        """A booking that another write is under way to cannot be changed."""
        record = booked(journal)
        journal.intents.claim_cancel(record, grant=GRANT)

        with pytest.raises(Conflict, match="under way"):
            change(journal, record)

    def test_stale(self, journal: Journal, change: Callable[..., object]) -> None:
        """A booking that has changed since it was read is not changed by that."""
        record = booked(journal)

        with pytest.raises(Stale):
            change(journal, replace(record, version=record.version - 1))

    def test_missing(self, journal: Journal, change: Callable[..., object]) -> None:
        """A booking that is not here cannot be changed."""
        record = booked(journal)

        with pytest.raises(NotFound):
            change(journal, replace(record, id=str(uuid4())))

    def test_nothing_is_left(
        self, journal: Journal, database: Database, change: Callable[..., object]
    ) -> None:
        """A change that is refused leaves nothing behind."""
        record = booked(journal)
        journal.intents.claim_cancel(record, grant=GRANT)
        before = rows(database)

        with pytest.raises(Conflict):
            change(journal, record)

        assert rows(database) == before


def test_settled_change_makes_way(journal: Journal) -> None:
    """Once a write is settled the next one may begin."""
    record = booked(journal)
    journal.settlements.settle_not_done(
        journal.intents.claim_cancel(record, grant=GRANT)
    )

    assert journal.intents.claim_cancel(record, grant=GRANT).state is WriteState.CLAIMED


def test_mark_sent_moves_the_fence(journal: Journal) -> None:
    """An intent that is sent has a new fence and says since when."""
    intent = claimed(journal)

    marked = journal.intents.mark_sent(intent, lease=LEASE)

    assert marked.sent_at is not None
    assert marked == replace(
        intent, state=WriteState.SENT, fence=2, sent_at=marked.sent_at
    )


def test_sent_is_lasting(
    journal: Journal,
    url: str,
    open_database: Callable[[str], Database],
    keys: tuple[str, ...],
) -> None:
    """What was marked as sent is so to everybody when the call returns."""
    intent = sent(journal)

    other = Journal(open_database(url), Seal(keys))
    assert other.lookups.find_pending(intent.booking) == intent


def test_repeated_key_returns_the_first_booking(journal: Journal) -> None:
    """A client's key that was used before leads to the booking that it made."""
    first = journal.intents.claim_make(
        source=NORR, timeslot=timeslot(), subject=subject(1), request=KEY, grant=GRANT
    )

    with pytest.raises(RepeatedRequest) as caught:
        journal.intents.claim_make(
            source=NORR,
            timeslot=timeslot(),
            subject=subject(1),
            request=KEY,
            grant=GRANT,
        )

    assert (caught.value.booking, caught.value.is_same) == (first.booking, True)


def test_repeated_key_with_other_content(journal: Journal) -> None:
    """A key that is used again for another request is not a repeat."""
    journal.intents.claim_make(
        source=NORR, timeslot=timeslot(), subject=subject(1), request=KEY, grant=GRANT
    )

    with pytest.raises(RepeatedRequest) as caught:
        journal.intents.claim_make(
            source=NORR,
            timeslot=timeslot(1),
            subject=subject(1),
            request=replace(KEY, fingerprint="f2"),
            grant=GRANT,
        )

    assert caught.value.is_same is False


def test_repeated_key_after_rotation(
    journal: Journal, database: Database, keys: tuple[str, ...]
) -> None:
    """A repeat is recognised after a change of keys."""
    journal.intents.claim_make(
        source=NORR, timeslot=timeslot(), subject=subject(1), request=KEY, grant=GRANT
    )
    rotated = Journal(database, Seal([Seal.new_key(), *keys]))

    with pytest.raises(RepeatedRequest) as caught:
        rotated.intents.claim_make(
            source=NORR,
            timeslot=timeslot(),
            subject=subject(1),
            request=KEY,
            grant=GRANT,
        )

    assert caught.value.is_same is True


def test_other_clients_key_is_another(journal: Journal) -> None:
    """Two clients may use the same key."""
    journal.intents.claim_make(
        source=NORR, timeslot=timeslot(), subject=subject(1), request=KEY, grant=GRANT
    )

    other = journal.intents.claim_make(
        source=NORR,
        timeslot=timeslot(1),
        subject=subject(2),
        request=replace(KEY, client="other app"),
        grant=GRANT,
    )

    assert other.state is WriteState.CLAIMED


def test_repeated_key_of_a_change(journal: Journal) -> None:
    """A repeat of a change is recognised before the version it was made on."""
    record = booked(journal)
    intent = journal.intents.claim_cancel(record, request=KEY, grant=GRANT)
    journal.settlements.settle_cancelled(journal.intents.mark_sent(intent, lease=LEASE))

    with pytest.raises(RepeatedRequest) as caught:
        journal.intents.claim_update(record, timeslot(1), request=KEY, grant=GRANT)

    assert caught.value.booking == record.id


def test_a_claim_returns_the_free_times_id_and_keeps_it_nowhere(
    journal: Journal, database: Database
) -> None:
    """Some sources want it back at once, and give the booking the same id."""
    listed = replace(timeslot(), source_id=BookingId("free-4711"))
    made = journal.intents.claim_make(
        source=NORR, timeslot=listed, subject=subject(), grant=GRANT
    )

    assert made.timeslot == listed
    assert "free-4711" not in repr(rows(database))
    pending = journal.lookups.find_pending(made.booking)
    assert pending is not None
    assert pending.timeslot == timeslot()
