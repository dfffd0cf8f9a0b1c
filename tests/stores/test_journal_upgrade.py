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

from fhir_gateway.stores.database import Database, database_clock
from fhir_gateway.stores.journal import BookingState, Journal, WriteState
from fhir_gateway.stores.journal.rows import (
    document_from_timeslot,
    values_from_subject,
    values_from_timeslot,
)
from fhir_gateway.stores.journal.tables import bookings, claims, intents
from fhir_gateway.stores.migrations import migrate
from fhir_gateway.stores.sealing import Seal

from .conftest import NORR, claimed, number, subject, timeslot

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
