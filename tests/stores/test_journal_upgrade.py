"""
A roll-out: the release before works on the tables that this one has made.

Its statements are those of revision 0001, with no word of what came after.
"""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import pytest
from granting import GRANT
from sqlalchemy import insert, select, text, update

from fhir_gateway.model.ids import BookingId
from fhir_gateway.stores.database import Database, database_clock
from fhir_gateway.stores.journal import (
    BookingIdTaken,
    BookingState,
    Journal,
    WriteState,
)
from fhir_gateway.stores.journal.rows import (
    document_from_timeslot,
    values_from_subject,
    values_from_timeslot,
)
from fhir_gateway.stores.journal.tables import bookings, claims, intents
from fhir_gateway.stores.migrations import migrate
from fhir_gateway.stores.sealing import Seal

from .conftest import NORR, UNIT, booked, claimed, number, rows, subject, timeslot

ID: Final = "0fca9c56-1f0a-4766-b473-548c9350eb8b"
# As the release before lists a resident's bookings, and finds what is unsettled.
OF_SUBJECT: Final = text(
    "SELECT id, version, state, source, unit, booking_id, token, timeslot, starts_at,"
    " ends_at, subject_hmac, subject_sealed, may_cancel, may_rebook, may_message,"
    " is_invitation, message_sealed, created_at, updated_at, confirmed_at"
    " FROM booking WHERE state <> 'REFUSED'"
)
UNSETTLED: Final = text(
    "SELECT id, booking, ordinal, kind, state, fence, lease_until, timeslot,"
    " message_sealed, attempts, next_look_at, client, key_hmac, fingerprint_hmac,"
    " created_at, sent_at, settled_at FROM decision WHERE settled_at IS NULL"
)


@pytest.fixture(name="claim_as_before")
def _claim_as_before(database: Database, keys: tuple[str, ...]) -> Callable[[], None]:
    """Return what claims a time with the columns of revision 0001 alone."""

    def claim() -> None:
        seal = Seal(keys)
        of = timeslot()
        with database.writing() as connection:
            connection.execute(
                insert(bookings).values(
                    id=ID,
                    version=1,
                    state="PENDING",
                    source=NORR,
                    created_at=database_clock(),
                    updated_at=database_clock(),
                    is_invitation=False,
                    may_cancel=False,
                    may_rebook=False,
                    may_message=False,
                    **values_from_subject(subject().as_mapping(), seal),
                    **values_from_timeslot(of),
                )
            )
            connection.execute(
                insert(intents).values(
                    id=ID,
                    booking=ID,
                    ordinal=1,
                    kind="MAKE",
                    state="CLAIMED",
                    fence=1,
                    lease_until=database_clock(),
                    timeslot=values_from_timeslot(of)["timeslot"],
                    attempts=0,
                    created_at=database_clock(),
                )
            )
            connection.execute(
                insert(claims).values(
                    id=ID,
                    token=of.token,
                    ordinal=1,
                    booking=ID,
                    intent=ID,
                    starts_at=int(of.start.timestamp()),
                    created_at=database_clock(),
                )
            )

    return claim


def test_a_claim_of_the_release_before_is_understood(
    journal: Journal, claim_as_before: Callable[[], None]
) -> None:
    """It is no hold, keeps others out, and is looked after."""
    claim_as_before()

    intent = journal.lookups.find_pending(ID)
    assert intent is not None
    assert (intent.held_until, intent.is_lapsed, intent.alarm) == (
        None,
        False,
        None,
    )
    assert [
        each.booking for each in journal.places.list_of_timeslot(timeslot().token)
    ] == [ID]
    assert journal.outcomes.take_unsettled(limit=1) == (intent,)
    journal.settlements.settle_not_done(intent)
    assert claimed(journal, 1).state is WriteState.CLAIMED


def test_a_hold_is_a_slow_claim_to_the_release_before(
    journal: Journal, database: Database
) -> None:
    """It lists it as pending, and settles it as not sent when its lease is over."""
    held = journal.holds.make(
        source=NORR,
        timeslot=timeslot(),
        number=number(),
        subject=None,
        lasts=timedelta(microseconds=1),
        grant=GRANT,
    )

    with database.reading() as connection:
        listed = connection.execute(OF_SUBJECT).all()
        (unsettled,) = connection.execute(UNSETTLED).all()
        is_over = connection.execute(
            select(intents.c.lease_until <= database_clock())
        ).scalar_one()

    assert [(each.id, each.state) for each in listed] == [(held.id, "PENDING")]
    assert (unsettled.booking, unsettled.state) == (held.id, "CLAIMED")
    assert is_over
    journal.settlements.settle_not_done(journal.outcomes.take_unsettled(limit=1)[0])
    assert journal.lookups.get(held.id).state is BookingState.LAPSED


def test_a_void_booking_of_the_release_before_was_not_made(
    journal: Journal, database: Database, claim_as_before: Callable[[], None]
) -> None:
    """That release calls it REFUSED and does not say why."""
    claim_as_before()
    with database.writing() as connection:
        connection.execute(update(bookings).values(state="REFUSED"))

    assert journal.lookups.get(ID).state is BookingState.NOT_MADE


@pytest.mark.parametrize(
    ("write", "ending"),
    [
        pytest.param(("REFUSED", None), BookingState.REFUSED, id="the region said no"),
        pytest.param(("NOT_SENT", None), BookingState.NOT_MADE, id="never sent"),
        pytest.param(("NOT_SENT", 1.0), BookingState.LAPSED, id="a hold that ran out"),
        pytest.param(("DONE", None), BookingState.REPLACED, id="a second record"),
    ],
)
def test_a_void_booking_gets_its_true_name(
    empty_url: str,
    open_database: Callable[[str], Database],
    keys: tuple[str, ...],
    write: tuple[str, float | None],
    ending: BookingState,
) -> None:
    """The migration takes from its write why an older booking is void."""
    database = open_database(empty_url)
    migrate(database.engine, to="0005")
    seal = Seal(keys)
    of = timeslot()
    sealed = values_from_subject(subject().as_mapping(), seal)
    with database.writing() as connection:
        connection.execute(
            text(
                "INSERT INTO booking (id, version, state, source, unit, token,"
                " timeslot, starts_at, ends_at, subject_hmac, subject_sealed,"
                " may_cancel, may_rebook, may_message, is_invitation, created_at,"
                " updated_at) VALUES (:id, 2, 'REFUSED', 'norr', :unit, :token,"
                " :timeslot, 1, 2, :subject_hmac, :subject_sealed, false, false, false,"
                " false, 1, 1)"
            ),
            {
                "id": ID,
                "unit": of.schedule.unit,
                "token": of.token,
                "timeslot": json.dumps(document_from_timeslot(of)),
                **sealed,
            },
        )
        connection.execute(
            text(
                "INSERT INTO decision (id, booking, ordinal, kind, state, fence,"
                " lease_until, held_until, attempts, created_at, settled_at)"
                " VALUES (:id, :id, 1, 'MAKE', :state, 1, 1, :held_until, 0, 1, 1)"
            ),
            {"id": ID, "state": write[0], "held_until": write[1]},
        )

    migrate(database.engine)

    assert Journal(database, seal).lookups.get(ID).state is ending


SEALED: Final = text(
    "SELECT booking_id, booking_id_sealed, booking_id_hmac FROM booking"
)
IN_CLEAR: Final = text("UPDATE booking SET booking_id = :booking_id WHERE id = :id")
FREE_IDS: Final = (
    text("UPDATE booking SET timeslot = :document"),
    text("UPDATE decision SET timeslot = :document"),
)


def write_id_as_before(database: Database, id_: str, booking_id: str) -> None:
    """Write a region's id as the release before does: in clear, beside the others."""
    with database.writing() as connection:
        connection.execute(IN_CLEAR, {"id": id_, "booking_id": booking_id})


def test_an_id_of_the_release_before_counts_and_is_sealed(
    journal: Journal, database: Database, keys: tuple[str, ...]
) -> None:
    """It is newer than the sealed one beside it; the worker then seals it."""
    record = booked(journal, booking_id="B1")
    write_id_as_before(database, record.id, "B2")

    found = []
    for _ in range(2):
        assert journal.lookups.get(record.id).booking_id == "B2"
        found.append(
            [
                each and each.id
                for each in (
                    journal.lookups.find_by_booking_id(NORR, UNIT, BookingId(one))
                    for one in ("B1", "B2")
                )
            ]
        )
        sealed = sum(journal.upkeep.seal_booking_ids())
    with database.reading() as connection:
        (row,) = connection.execute(SEALED).all()

    assert found == [[None, record.id]] * 2
    assert sealed == 0
    assert (row.booking_id, row.booking_id_hmac) == (
        None,
        Seal(keys).lookup("booking_id", "B2"),
    )
    assert Seal(keys).unseal(row.booking_id_sealed) == {"booking_id": "B2"}


def test_the_free_times_id_goes_with_the_bookings(
    journal: Journal, database: Database
) -> None:
    """The release before kept it beside the time, and it may be the booking's own."""
    record = booked(journal, booking_id=None)
    write_id_as_before(database, record.id, "booking-4711")
    kept = document_from_timeslot(timeslot()) | {"source_id": "booking-4711"}
    with database.writing() as connection:
        for statement in FREE_IDS:
            connection.execute(statement, {"document": json.dumps(kept)})

    assert sum(journal.upkeep.seal_booking_ids()) == 1
    assert "booking-4711" not in repr(rows(database))
    assert journal.lookups.get(record.id).timeslot == timeslot()


def test_an_id_in_clear_is_another_bookings_too(
    journal: Journal, database: Database
) -> None:
    """No second booking gets an id that the release before has written in clear."""
    first = booked(journal, booking_id=None)
    write_id_as_before(database, first.id, "B1")

    with pytest.raises(BookingIdTaken):
        booked(journal, 1, 1, booking_id="B1")


def test_an_id_that_two_have_stays_until_one_of_them_is_over(
    journal: Journal, database: Database
) -> None:
    """The release before did not see the sealed one, and adopted the booking again."""
    booked(journal, booking_id="B1")
    second = booked(journal, 1, 1, booking_id=None)
    write_id_as_before(database, second.id, "B1")

    assert sum(journal.upkeep.seal_booking_ids()) == 0
    assert journal.lookups.get(second.id).booking_id == "B1"
    journal.reports.mark_cancelled_elsewhere(second)
    assert sum(journal.upkeep.seal_booking_ids()) == 1
    assert journal.lookups.get(second.id).booking_id == "B1"


def test_a_booking_of_this_release_has_no_id_to_the_release_before(
    journal: Journal, database: Database
) -> None:
    """It then looks for the booking by its time, as where a region gives no id."""
    booked(journal, booking_id="B1")
    with database.reading() as connection:
        (listed,) = connection.execute(OF_SUBJECT).all()

    assert listed.booking_id is None


@pytest.mark.parametrize("is_first", [True, False])
def test_a_change_of_keys_hashes_booking_ids_anew(
    database: Database, *, is_first: bool
) -> None:
    """After `journal reseal` the newest key alone finds and opens them."""
    old, new = Seal.new_key(), Seal.new_key()
    keys = (new, old) if is_first else (old, new)
    record = booked(Journal(database, Seal([old])), booking_id="B1")
    for _ in Journal(database, Seal(keys)).upkeep.reseal():
        pass
    after = Journal(database, Seal(keys[:1]))
    found = after.lookups.find_by_booking_id(NORR, UNIT, BookingId("B1"))

    assert found is not None
    assert (found.id, found.booking_id) == (record.id, "B1")
