"""
Which places are claimed: read as a whole, and read by change.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from math import inf
from typing import Any

import pytest
from granting import GRANT
from sqlalchemy import insert, select, update

from fhir_gateway.stores.database import Database, database_clock
from fhir_gateway.stores.journal import Journal, Reading
from fhir_gateway.stores.journal.tables import claims, intents

from .conftest import (
    CANCEL,
    LEASE,
    NORR,
    START,
    booked,
    claimed,
    live_tokens,
    number,
    plans,
    reported,
    sent,
    subject,
    timeslot,
)

BEFORE = START - timedelta(days=1)
# Longer than a change may take from its statement to its commit.
LONG_AGO = 3600.0


def read(journal: Journal) -> Reading:
    """Return all that is claimed, whenever it is."""
    return journal.places.read_live(starting_after=BEFORE)


def merged(known: dict[str, tuple[float, ...]], change: Reading) -> Any:
    """Return what is held after a change."""
    return {token: held for token, held in (known | {**change.held}).items() if held}


@pytest.fixture(name="let_time_pass")
def _let_time_pass(database: Database) -> Callable[[], None]:
    """Return what makes all that has happened lie an hour back."""

    def let_time_pass() -> None:
        with database.writing() as connection:
            for table, columns in (
                (claims, ("created_at", "released_at")),
                (intents, ("sent_at", "settled_at")),
            ):
                connection.execute(
                    update(table).values(
                        {name: table.c[name] - LONG_AGO for name in columns}
                    )
                )

    return let_time_pass


def _held(journal: Journal, hours: int, who: int) -> str:
    return journal.holds.make(
        source=NORR,
        timeslot=timeslot(hours),
        number=number(who),
        subject=None,
        lasts=timedelta(minutes=5),
        grant=GRANT,
    ).id


def _life_of_bookings(journal: Journal, _: Database) -> Iterator[str]:
    """Do what can happen to bookings, step by step."""
    intent = claimed(journal)
    yield "claimed"
    intent = journal.intents.mark_sent(intent, lease=LEASE)
    yield "sent"
    journal.settlements.settle_unknown(intent)
    yield "unknown"
    unknown = journal.lookups.find_pending(intent.booking)
    assert unknown is not None
    journal.settlements.settle_booked(unknown, booking_id=None, permissions=CANCEL)
    yield "found to be booked"
    journal.settlements.settle_refused(sent(journal, 1, 1), message="Nej")
    yield "refused"
    journal.settlements.settle_not_done(claimed(journal, 2, 2))
    yield "not sent"
    record = booked(journal, 3, 3, booking_id="B3")
    yield "booked"
    move = journal.intents.mark_sent(
        journal.intents.claim_update(record, timeslot(4), grant=GRANT), lease=LEASE
    )
    yield "moving"
    record = journal.settlements.settle_moved(move, booking_id=None, permissions=CANCEL)
    yield "moved"
    cancellation = journal.intents.mark_sent(
        journal.intents.claim_cancel(record, grant=GRANT), lease=LEASE
    )
    yield "being cancelled"
    journal.settlements.settle_cancelled(cancellation)
    yield "cancelled"


def _life_of_holds(journal: Journal, database: Database) -> Iterator[str]:
    """Do what can happen to holds, step by step."""
    held = _held(journal, 3, 3)
    yield "held"
    journal.holds.renew(held, GRANT, lasts=timedelta(minutes=4))
    yield "renewed"
    taken = journal.holds.convert_to_booking(held, subject=subject(3), grant=GRANT)
    yield "taken to be booked"
    journal.settlements.settle_booked(
        journal.intents.mark_sent(taken, lease=LEASE),
        booking_id=None,
        permissions=CANCEL,
    )
    yield "booked"
    journal.holds.release(_held(journal, 5, 5))
    yield "released"
    lapsing = _held(journal, 6, 6)
    yield "held once more"
    with database.writing() as connection:
        connection.execute(
            update(intents)
            .where(intents.c.booking == lapsing)
            .values(held_until=database_clock())
        )
    yield "over"
    claimed(journal, 7, 6)
    yield "claimed by the next"


def _life_at_the_region(journal: Journal, _: Database) -> Iterator[str]:
    """Let the region do what it can do to claims, step by step."""
    intent = sent(journal)
    journal.settlements.settle_unknown(intent)
    unknown = journal.lookups.find_pending(intent.booking)
    assert unknown is not None
    unknown = journal.outcomes.postpone(unknown, until=timedelta(), unchanged=True)
    journal.settlements.settle_not_done(unknown)
    yield "believed not to be done"
    assert journal.outcomes.reopen(unknown, lease=LEASE) is not None
    yield "seen after all"
    gone = booked(journal, 1, 1, booking_id="B1")
    yield "booked with an id"
    journal.reports.confirm(gone, reported("B1"), timeslot(2))
    yield "moved by its unit"
    journal.reports.mark_cancelled_elsewhere(booked(journal, 3, 3, booking_id="B3"))
    yield "cancelled by its unit"


@pytest.mark.parametrize(
    "life", [_life_of_bookings, _life_of_holds, _life_at_the_region]
)
def test_changes_show_the_same_as_all_claims(
    journal: Journal,
    database: Database,
    let_time_pass: Callable[[], None],
    life: Callable[[Journal, Database], Iterator[str]],
) -> None:
    """Reading only the changes gives the same claims as reading all."""
    reading = read(journal)
    known = dict(reading.held)
    steps, wrong_steps = 0, []

    for step in life(journal, database):
        known = merged(known, journal.places.read_changed(reading.at))
        reading = read(journal)
        steps += 1
        if known != reading.held:
            wrong_steps.append(step)
        let_time_pass()
        known = dict(read(journal).held)

    assert wrong_steps == []
    assert steps > 4


def test_what_is_long_settled_is_not_read_again(
    journal: Journal, let_time_pass: Callable[[], None]
) -> None:
    """A change is small however much is booked."""
    for who in range(5):
        booked(journal, who, who, booking_id=f"B{who}")
    let_time_pass()
    reading = read(journal)
    booked(journal, 5, 5, booking_id="B5")

    change = journal.places.read_changed(reading.at)

    assert len(reading.held) == 5
    assert change.held.keys() == {timeslot(5).token}


def test_a_late_commit_is_read(
    journal: Journal, database: Database, let_time_pass: Callable[[], None]
) -> None:
    """A change with a delayed commit is read as well."""
    booked(journal)
    let_time_pass()
    reading = read(journal)
    with database.writing() as connection:
        connection.execute(update(claims).values(released_at=database_clock() - 20))

    assert journal.places.read_changed(reading.at).held == {timeslot().token: ()}


def test_many_changes_are_read_at_once(journal: Journal, database: Database) -> None:
    """There may be more of them than a statement takes values."""
    records = [booked(journal, who, who, booking_id=f"B{who}") for who in range(3)]
    with database.writing() as connection:
        # Asked once, not 1,200 times: a transaction may last 15 s.
        intent = connection.execute(
            select(intents.c.id).where(intents.c.booking == records[0].id)
        ).scalar_one()
        connection.execute(
            insert(claims),
            [
                {
                    "id": f"{n}",
                    "token": f"token {n}",
                    "ordinal": 1,
                    "booking": records[0].id,
                    "intent": intent,
                    "starts_at": int(START.timestamp()),
                    "created_at": 0.0,
                }
                for n in range(1_200)
            ],
        )

    change = journal.places.read_changed(read(journal).at)

    assert len(change.held) == 1_203
    assert change.held == read(journal).held


def test_a_place_says_when_it_was_settled(journal: Journal) -> None:
    """A place that is on its way is not settled; one that is booked was, just now."""
    claimed(journal)
    record = booked(journal, 1, 1)

    held = read(journal).held

    assert held[timeslot().token] == (inf,)
    assert held[timeslot(1).token] == pytest.approx(
        (record.updated_at.timestamp(),), abs=1
    )


def test_changes_are_read_by_index(journal: Journal, database: Database) -> None:
    """To see what has changed takes no reading of all that there is."""
    reading = read(journal)

    plan = plans(database, lambda: journal.places.read_changed(reading.at))

    assert "decision_one_unsettled" in plan
    assert "decision_by_settled" in plan
    assert "claim_by_released" in plan
    assert "SCAN claim" not in plan


def test_live_places_are_read_by_index(journal: Journal, database: Database) -> None:
    """To read all that is claimed takes no reading of what was."""
    plan = plans(database, lambda: read(journal))

    assert "claim_live_by_start" in plan


def test_known_token_is_found_by_index(journal: Journal, database: Database) -> None:
    """Whether a time was ever claimed here is answered from an index."""
    plan = plans(database, lambda: journal.places.is_known(timeslot().token))

    assert "claim_by_token" in plan


@pytest.mark.parametrize(
    ("hours", "is_known"),
    [pytest.param(0, True, id="claimed"), pytest.param(1, False, id="never claimed")],
)
def test_freed_time_is_still_known(
    journal: Journal, *, hours: int, is_known: bool
) -> None:
    """A time that was claimed here is known for ever, and no other is."""
    journal.settlements.settle_not_done(claimed(journal))

    assert journal.places.is_known(timeslot(hours).token) is is_known


def test_booked_place_stays_claimed(journal: Journal) -> None:
    """A place is claimed for as long as its booking stands."""
    booked(journal)

    assert live_tokens(journal) == {timeslot().token: 1}


def test_past_places_are_not_read(journal: Journal) -> None:
    """Only times that start after the given instant are returned as claimed."""
    booked(journal)

    assert journal.places.read_live(starting_after=timeslot().start).held == {}
