"""
Holds: a time kept for a few minutes on the database's clock, and what ends one.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from granting import GRANT
from sqlalchemy import update

from fhir_gateway.model.booking import CancellationReason
from fhir_gateway.model.client_request import RepeatedRequest, RequestKey
from fhir_gateway.model.errors import GatewayError, NotFound, TimeslotTaken
from fhir_gateway.model.timeslot import Timeslot
from fhir_gateway.stores.database import Database, database_clock
from fhir_gateway.stores.journal import (
    AlreadyBooked,
    BookingRecord,
    BookingState,
    HoldOver,
    Journal,
    LostIntent,
    TooManyHolds,
    WriteState,
)
from fhir_gateway.stores.journal.tables import intents
from fhir_gateway.stores.sealing import Seal

from .conftest import (
    CANCEL,
    LEASE,
    NORR,
    claimed,
    live_tokens,
    number,
    rows,
    subject,
    timeslot,
)

MINUTES = timedelta(minutes=5)
NOBODY = "00000000-0000-4000-8000-000000000000"


def held(
    journal: Journal,
    who: int = 0,
    hours: int = 0,
    *,
    of: Timeslot | None = None,
    lasts: timedelta = MINUTES,
    capacity: int | None = None,
) -> BookingRecord:
    """Hold a time for the person of that ordinal."""
    return journal.holds.make(
        source=NORR,
        timeslot=of or timeslot(hours),
        number=number(who),
        subject=None,
        lasts=lasts,
        capacity=capacity,
        grant=GRANT,
    )


@pytest.fixture(name="run_out")
def _run_out(database: Database) -> Callable[[BookingRecord], None]:
    """Return what makes a hold end this moment, by the database's clock."""

    def run_out(record: BookingRecord) -> None:
        with database.writing() as connection:
            connection.execute(
                update(intents)
                .where(intents.c.booking == record.id)
                .values(lease_until=database_clock(), held_until=database_clock())
            )

    return run_out


RunOut = Callable[[BookingRecord], None]


def test_hold_is_a_pending_booking(journal: Journal) -> None:
    """A hold is pending, has no name, and says until when it lasts."""
    record = held(journal)

    intent = journal.lookups.find_pending(record.id)
    assert intent is not None
    assert intent.held_until is not None
    lasts = intent.held_until - record.created_at
    assert timedelta(minutes=4, seconds=59) < lasts < timedelta(minutes=5, seconds=1)
    assert (record.state, record.subject, record.number) == (
        BookingState.PENDING,
        None,
        number(0),
    )
    assert (intent.state, intent.is_lapsed) == (WriteState.CLAIMED, False)
    assert live_tokens(journal) == {timeslot().token: 1}


def test_held_time_is_taken(journal: Journal) -> None:
    """Nobody else can hold or claim a held time."""
    held(journal)

    with pytest.raises(TimeslotTaken):
        held(journal, 1)
    with pytest.raises(TimeslotTaken):
        claimed(journal, 1)


def test_held_time_is_the_residents(journal: Journal) -> None:
    """The same person's second hold or claim of the time gets the id of the first."""
    record = held(journal)

    for attempt in (held, claimed):
        with pytest.raises(AlreadyBooked) as caught:
            attempt(journal)
        assert caught.value.booking == record.id


def test_hold_that_is_over_keeps_nobody_out(journal: Journal, run_out: RunOut) -> None:
    """A hold that has run out is shown free at once, before any clean-up."""
    record = held(journal)
    run_out(record)

    intent = journal.lookups.find_pending(record.id)
    assert intent is not None
    assert intent.is_lapsed
    assert live_tokens(journal) == {}
    assert journal.places.list_of_timeslot(timeslot().token) == ()


def test_next_claimer_ends_a_hold_that_is_over(
    journal: Journal, run_out: RunOut
) -> None:
    """The next claim of the time ends the hold in the same transaction."""
    record = held(journal)
    run_out(record)

    intent = claimed(journal, 1)

    latest = journal.lookups.find_latest(record.id)
    assert latest is not None
    assert (latest.state, journal.lookups.get(record.id).state) == (
        WriteState.NOT_DONE,
        BookingState.LAPSED,
    )
    assert (
        journal.places.list_of_timeslot(timeslot().token)[0].booking == intent.booking
    )


def test_worker_ends_a_hold_that_is_over(journal: Journal, run_out: RunOut) -> None:
    """A hold is looked after once it is over, and not before."""
    record = held(journal)
    before = journal.outcomes.take_unsettled(limit=10)
    run_out(record)

    (intent,) = journal.outcomes.take_unsettled(limit=10)

    journal.settlements.settle_not_done(intent)
    assert before == ()
    assert intent.booking == record.id
    assert journal.lookups.get(record.id).state is BookingState.LAPSED


def test_third_hold_of_a_resident_is_refused(journal: Journal, run_out: RunOut) -> None:
    """A resident holds two times at once; one that is over counts no more."""
    first = held(journal, hours=0)
    held(journal, hours=1)

    with pytest.raises(TooManyHolds):
        held(journal, hours=2)
    run_out(first)
    held(journal, hours=2)

    assert sorted(live_tokens(journal)) == sorted(
        [timeslot(1).token, timeslot(2).token]
    )


def test_booked_hold_does_not_count(journal: Journal) -> None:
    """A hold that is being booked makes room for another."""
    first = held(journal, hours=0)
    held(journal, hours=1)
    journal.holds.convert_to_booking(first.id, subject=subject(0), grant=GRANT)

    assert held(journal, hours=2).state is BookingState.PENDING


def test_renewed_hold_lasts_from_now(journal: Journal) -> None:
    """Renewing lets it last that long from now, and is a new version."""
    record = held(journal, lasts=timedelta(seconds=30))
    before = journal.lookups.find_pending(record.id)

    renewed = journal.holds.renew(record.id, GRANT, lasts=MINUTES)

    after = journal.lookups.find_pending(record.id)
    assert before is not None
    assert after is not None
    assert before.held_until is not None
    assert after.held_until is not None
    assert after.held_until - before.held_until > timedelta(minutes=4)
    assert renewed.version == record.version + 1


@pytest.mark.parametrize(
    ("minutes_ago", "lasts"),
    [
        pytest.param(4, 5, id="as long as is asked"),
        pytest.param(12, 3, id="what is left of a quarter of an hour"),
    ],
)
def test_renewing_is_not_for_ever(
    journal: Journal, database: Database, minutes_ago: float, lasts: float
) -> None:
    """A hold that was made long ago ends a quarter of an hour after that."""
    record = held(journal)
    with database.writing() as connection:
        connection.execute(
            update(intents).values(created_at=intents.c.created_at - 60 * minutes_ago)
        )

    journal.holds.renew(record.id, GRANT, lasts=MINUTES)

    intent = journal.lookups.find_pending(record.id)
    assert intent is not None
    assert intent.held_until is not None
    left = intent.held_until - record.created_at
    assert left == pytest.approx(timedelta(minutes=lasts), abs=timedelta(seconds=2))


def test_hold_that_is_over_is_neither_renewed_nor_booked(
    journal: Journal, run_out: RunOut
) -> None:
    """What has run out has run out, even if nobody else has the time."""
    record = held(journal)
    run_out(record)

    with pytest.raises(HoldOver):
        journal.holds.renew(record.id, GRANT, lasts=MINUTES)
    with pytest.raises(HoldOver):
        journal.holds.convert_to_booking(record.id, subject=subject(0), grant=GRANT)


def test_released_hold_frees_its_time(journal: Journal) -> None:
    """Releasing a hold frees the time; releasing it again changes nothing."""
    record = held(journal)

    released = journal.holds.release(record.id)

    assert (released.state, released.version) == (BookingState.CANCELLED, 2)
    assert journal.holds.release(record.id) == released
    assert live_tokens(journal) == {}
    assert journal.lookups.list_of_resident(number(0)) == ()


def test_released_hold_bears_its_reason(journal: Journal) -> None:
    """Why a hold was let go is read back as it was stated."""
    reason = CancellationReason(text="Annan tid", stated='{"text": "Annan tid"}')

    released = journal.holds.release(held(journal).id, reason=reason)

    assert released.cancellation == reason


def test_release_of_a_hold_that_is_over_is_no_error(
    journal: Journal, run_out: RunOut
) -> None:
    """It is over either way."""
    record = held(journal)
    run_out(record)
    journal.settlements.settle_not_done(journal.outcomes.take_unsettled(limit=1)[0])

    assert journal.holds.release(record.id).state is BookingState.LAPSED


def test_taken_hold_is_booked_like_any_claim(journal: Journal) -> None:
    """What was held is sent and settled, keeps its place and its id, gains a name."""
    record = held(journal)

    taken = journal.holds.convert_to_booking(record.id, subject=subject(0), grant=GRANT)
    settled = journal.settlements.settle_booked(
        journal.intents.mark_sent(taken, lease=LEASE),
        booking_id=None,
        permissions=CANCEL,
    )

    assert (settled.id, settled.state, settled.subject) == (
        record.id,
        BookingState.BOOKED,
        subject(0),
    )
    assert taken.held_until is None
    assert live_tokens(journal) == {timeslot().token: 1}


def test_taken_hold_is_a_hold_no_more(journal: Journal) -> None:
    """One that is being booked is not renewed, released or taken again."""
    record = held(journal)
    journal.holds.convert_to_booking(record.id, subject=subject(0), grant=GRANT)

    with pytest.raises(HoldOver):
        journal.holds.renew(record.id, GRANT, lasts=MINUTES)
    with pytest.raises(HoldOver):
        journal.holds.release(record.id)
    with pytest.raises(HoldOver):
        journal.holds.convert_to_booking(record.id, subject=subject(0), grant=GRANT)


def test_an_outdated_hold_can_no_longer_be_used(
    journal: Journal, database: Database
) -> None:
    """A reconciler that saw a hold run out cannot end it once it is renewed."""
    record = held(journal, lasts=timedelta(microseconds=1))
    (seen,) = journal.outcomes.take_unsettled(limit=1)
    with database.writing() as connection:
        connection.execute(update(intents).values(held_until=database_clock() + 60.0))
    journal.holds.renew(record.id, GRANT, lasts=MINUTES)

    with pytest.raises(LostIntent):
        journal.settlements.settle_not_done(seen)


def test_hold_of_a_counted_time_takes_one_place(journal: Journal) -> None:
    """Two equal times can be held by two residents and by no third."""
    double = timeslot(count=2)
    held(journal, 0, of=double)
    held(journal, 1, of=double)

    with pytest.raises(TimeslotTaken):
        held(journal, 2, of=double)


def test_unknown_hold_is_not_found(journal: Journal) -> None:
    """What never was is neither renewed, released nor booked."""
    for attempt in (
        lambda: journal.holds.renew(NOBODY, GRANT, lasts=MINUTES),
        lambda: journal.holds.release(NOBODY),
        lambda: journal.holds.release("\0"),
        lambda: journal.holds.convert_to_booking(
            NOBODY, subject=subject(0), grant=GRANT
        ),
    ):
        with pytest.raises(NotFound):
            attempt()


def test_request_key_of_a_hold(journal: Journal, database: Database) -> None:
    """A key that has led to a hold leads to no other, and nothing is left of one."""
    key = RequestKey(client="app", key="k", fingerprint="f")
    record = journal.holds.make(
        source=NORR,
        timeslot=timeslot(),
        number=number(0),
        subject=subject(0),
        lasts=MINUTES,
        request=key,
        grant=GRANT,
    )
    before = rows(database)

    with pytest.raises(RepeatedRequest) as caught:
        journal.holds.make(
            source=NORR,
            timeslot=timeslot(1),
            number=number(0),
            subject=subject(0),
            lasts=MINUTES,
            request=key,
            grant=GRANT,
        )

    assert (caught.value.booking, caught.value.is_same) == (record.id, True)
    assert rows(database) == before


@pytest.mark.parametrize("attempts", [12])
def test_one_of_many_holds_at_once(
    url: str,
    open_database: Callable[[str], Database],
    keys: tuple[str, ...],
    attempts: int,
) -> None:
    """Of many residents who hold one time at once one gets it."""
    journals = [Journal(open_database(url), Seal(keys)) for _ in range(attempts)]
    start = threading.Barrier(attempts)

    def attempt(who: int) -> str:
        start.wait()
        try:
            held(journals[who], who)
        except GatewayError as error:
            return type(error).__name__
        return "held"

    with ThreadPoolExecutor(attempts) as pool:
        outcomes = sorted(pool.map(attempt, range(attempts)))

    assert outcomes == ["TimeslotTaken"] * (attempts - 1) + ["held"]


@pytest.mark.parametrize("attempts", [8])
def test_two_of_many_holds_of_one_resident(
    url: str,
    open_database: Callable[[str], Database],
    keys: tuple[str, ...],
    attempts: int,
) -> None:
    """A resident who holds many times at once gets two of them."""
    journals = [Journal(open_database(url), Seal(keys)) for _ in range(attempts)]
    start = threading.Barrier(attempts)

    def attempt(hours: int) -> str:
        start.wait()
        try:
            held(journals[hours], 0, hours)
        except GatewayError as error:
            return type(error).__name__
        return "held"

    with ThreadPoolExecutor(attempts) as pool:
        outcomes = sorted(pool.map(attempt, range(attempts)))

    assert outcomes == ["TooManyHolds"] * (attempts - 2) + ["held"] * 2
