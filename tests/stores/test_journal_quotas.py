"""
Quotas: how much a client and a resident may hold and book, at any moment.
"""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update

from fhir_gateway.model.client_limits import ClientLimits
from fhir_gateway.model.errors import GatewayError, LimitReached
from fhir_gateway.model.grant import Basis, Grant
from fhir_gateway.model.ids import BookingId, HsaId
from fhir_gateway.model.principal import Principal, Role, StaffMember
from fhir_gateway.model.timekeeping import now
from fhir_gateway.model.timeslot import Timeslot
from fhir_gateway.stores.database import Database, database_clock
from fhir_gateway.stores.journal import (
    BookingRecord,
    HoldOver,
    Journal,
    TooManyHolds,
    WriteIntent,
)
from fhir_gateway.stores.journal.tables import bookings, intents
from fhir_gateway.stores.sealing import Seal

from .conftest import CANCEL, LEASE, NORR, number, reported, subject, timeslot

MINUTES = timedelta(minutes=5)
SYSTEM = Principal(role=Role.SYSTEM, issuer="https://idp.example.org", client="norr")
OTHER_SYSTEM = replace(SYSTEM, client="syd")
NURSE = Principal(
    role=Role.STAFF,
    issuer="https://idp.example.org",
    client="rgs",
    user="nurse",
    staff=StaffMember(
        hsa_id=HsaId("SE2321000016-N1"),
        assignment=HsaId("SE2321000016-M1"),
        unit=HsaId("SE2321000016-A01"),
        provider=HsaId("SE2321000016-A00"),
    ),
)

NewJournal = Callable[..., Journal]


@pytest.fixture(name="limited")
def _limited(database: Database, keys: tuple[str, ...]) -> NewJournal:
    """Give what makes a journal with such limits."""

    def limited(**numbers: int) -> Journal:
        return Journal(database, Seal(keys), limits=ClientLimits(**numbers))

    return limited


def ahead(hours: int) -> Timeslot:
    """Return a time that is so many hours, and a month, ahead of this moment."""
    start = now().replace(minute=0, second=0, microsecond=0)
    start += timedelta(days=30, hours=hours)
    return replace(timeslot(), start=start, end=start + MINUTES)


def grant(principal: Principal, who: int, basis: Basis = Basis.OWN_UNITS) -> Grant:
    """Return the grant to act for the resident of that ordinal."""
    return Grant(principal=principal, subject=number(who), basis=basis)


def hold(
    journal: Journal,
    who: int = 0,
    hours: int = 0,
    *,
    of: Principal = SYSTEM,
    basis: Basis = Basis.OWN_UNITS,
    lasts: timedelta = MINUTES,
) -> BookingRecord:
    """Hold a time for the resident of that ordinal."""
    return journal.holds.make(
        source=NORR,
        timeslot=ahead(hours),
        number=number(who),
        subject=None,
        lasts=lasts,
        grant=grant(of, who, basis),
    )


def book(
    journal: Journal,
    who: int = 0,
    hours: int = 0,
    *,
    of: Principal = SYSTEM,
    basis: Basis = Basis.OWN_UNITS,
) -> WriteIntent:
    """Claim a time for a booking of the resident of that ordinal."""
    return journal.intents.claim_make(
        source=NORR,
        timeslot=ahead(hours),
        subject=subject(who),
        grant=grant(of, who, basis),
    )


def test_a_client_holds_so_many_times_at_once(limited: NewJournal) -> None:
    """A client with invented residents cannot hold one time more than allowed."""
    journal = limited(holds=3)
    for who in range(3):
        hold(journal, who, who)

    with pytest.raises(LimitReached) as caught:
        hold(journal, 3, 3)
    assert str(caught.value) == (
        "This client holds 3 times already: book or release one of them, or wait as"
        " long as Retry-After says."
    )
    assert timedelta(minutes=4) < caught.value.retry_after <= MINUTES


def test_a_client_may_come_back_when_its_first_hold_ends(limited: NewJournal) -> None:
    """Retry-After is when the hold ends that ends first."""
    journal = limited(holds=2)
    hold(journal, 0, 0)
    hold(journal, 1, 1, lasts=timedelta(minutes=1))

    with pytest.raises(LimitReached) as caught:
        hold(journal, 2, 2)
    assert timedelta(seconds=30) < caught.value.retry_after <= timedelta(minutes=1)


def test_a_released_hold_makes_room(limited: NewJournal) -> None:
    """After a release the client may hold another time."""
    journal = limited(holds=1)
    journal.holds.release(hold(journal).id)

    hold(journal, 1, 1)


def test_an_expired_hold_makes_room(limited: NewJournal, database: Database) -> None:
    """A hold that has expired counts no more, before anybody cleans it up."""
    journal = limited(holds=1)
    expired = hold(journal)
    with database.writing() as connection:
        connection.execute(
            update(intents)
            .where(intents.c.booking == expired.id)
            .values(held_until=database_clock())
        )

    hold(journal, 1, 1)


def test_a_booked_hold_makes_room(limited: NewJournal) -> None:
    """A hold that became a booking is no hold of the client any more."""
    journal = limited(holds=1)
    journal.holds.convert_to_booking(
        hold(journal).id, subject=subject(), grant=grant(SYSTEM, 0)
    )

    hold(journal, 1, 1)


def test_clients_hold_apart(limited: NewJournal) -> None:
    """What one client holds does not count for another."""
    journal = limited(holds=1)
    hold(journal)

    hold(journal, 1, 1, of=OTHER_SYSTEM)


def test_residents_of_one_program_hold_apart(limited: NewJournal) -> None:
    """One resident's holds do not count for the next, with the same program."""
    journal = limited(holds=1)
    for who in range(3):
        anna = Principal(role=Role.RESIDENT, client="portal", user=str(who))
        hold(journal, who, who, of=anna, basis=Basis.SELF)


def test_a_client_holds_so_many_times_an_hour(limited: NewJournal) -> None:
    """Released holds count for an hour."""
    journal = limited(holds_an_hour=3)
    for who in range(3):
        journal.holds.release(hold(journal, who, who).id)

    with pytest.raises(LimitReached) as caught:
        hold(journal, 3, 3)
    assert str(caught.value) == (
        "This client has held times 3 times within an hour, renewals included: wait as"
        " long as Retry-After says."
    )
    assert timedelta(minutes=59) < caught.value.retry_after <= timedelta(hours=1)


def test_renewals_count_as_holds(limited: NewJournal) -> None:
    """A hold that was renewed twice counts as three."""
    journal = limited(holds_an_hour=3)
    held = hold(journal)
    for _ in range(2):
        journal.holds.renew(held.id, grant(SYSTEM, 0), lasts=MINUTES)

    with pytest.raises(LimitReached):
        journal.holds.renew(held.id, grant(SYSTEM, 0), lasts=MINUTES)
    with pytest.raises(LimitReached):
        hold(journal, 1, 1)


def test_a_refused_renewal_changes_nothing(limited: NewJournal) -> None:
    """A hold that may not be renewed keeps its end and its version."""
    journal = limited(holds_an_hour=1)
    held = hold(journal, lasts=timedelta(minutes=1))
    before = journal.lookups.get_with_pending(held.id)

    with pytest.raises(LimitReached):
        journal.holds.renew(held.id, grant(SYSTEM, 0), lasts=MINUTES)
    assert journal.lookups.get_with_pending(held.id) == before


def test_a_hold_that_is_over_is_over_for_any_client(limited: NewJournal) -> None:
    """A renewal of a released hold says that it is over, also at the limit."""
    journal = limited(holds_an_hour=1)
    held = hold(journal)
    journal.holds.release(held.id)

    with pytest.raises(HoldOver):
        journal.holds.renew(held.id, grant(SYSTEM, 0), lasts=MINUTES)


def test_an_hour_moves(limited: NewJournal, database: Database) -> None:
    """A hold made an hour ago counts no more; the next to go is when to come back."""
    journal = limited(holds_an_hour=2)
    ages = {60 * 60 + 1: 0, 50 * 60: 1}
    for age, who in ages.items():
        made = hold(journal, who, who)
        with database.writing() as connection:
            connection.execute(
                update(bookings)
                .where(bookings.c.id == made.id)
                .values(created_at=database_clock() - age)
            )
    hold(journal, 2, 2)

    with pytest.raises(LimitReached) as caught:
        hold(journal, 3, 3)
    assert timedelta(minutes=9) < caught.value.retry_after <= timedelta(minutes=10)


def test_a_hold_that_became_a_booking_counts_for_the_hour(limited: NewJournal) -> None:
    """A client cannot hold more by booking what it holds."""
    journal = limited(holds_an_hour=1)
    journal.holds.convert_to_booking(
        hold(journal).id, subject=subject(), grant=grant(SYSTEM, 0)
    )

    with pytest.raises(LimitReached):
        hold(journal, 1, 1)


def test_a_resident_holds_so_many_times(limited: NewJournal) -> None:
    """The resident's holds of all clients count for the resident."""
    journal = limited(resident_holds=2)
    hold(journal, 0, 0, of=SYSTEM)
    hold(journal, 0, 1, of=NURSE, basis=Basis.STAFF)

    with pytest.raises(TooManyHolds):
        hold(journal, 0, 2, basis=Basis.SELF)


@pytest.mark.parametrize("basis", [Basis.STAFF, Basis.OWN_UNITS])
def test_others_do_not_learn_of_a_residents_holds(
    limited: NewJournal, basis: Basis
) -> None:
    """To a client that may not see a resident's holds, only its own count."""
    journal = limited(resident_holds=1)
    hold(journal, 0, 0, of=OTHER_SYSTEM)

    hold(journal, 0, 1, of=NURSE, basis=basis)
    with pytest.raises(TooManyHolds):
        hold(journal, 0, 2, of=NURSE, basis=basis)


def test_a_resident_books_so_many_times(limited: NewJournal) -> None:
    """A resident with as many bookings ahead as allowed cannot have one more."""
    journal = limited(resident_bookings=2)
    for hours in range(2):
        book(journal, 0, hours, basis=Basis.SELF)

    with pytest.raises(LimitReached) as caught:
        book(journal, 0, 2, basis=Basis.SELF)
    assert str(caught.value) == (
        "This resident has 2 bookings ahead: cancel one of them first, or wait as long"
        " as Retry-After says."
    )
    assert caught.value.retry_after == timedelta(days=1)
    book(journal, 1, 2, basis=Basis.SELF)


def test_a_hold_becomes_no_booking_too_many(limited: NewJournal) -> None:
    """A hold cannot become a booking that is one too many; it stays a hold."""
    journal = limited(resident_bookings=1)
    book(journal, 0, 0, basis=Basis.SELF)
    held = hold(journal, 0, 1, basis=Basis.SELF)

    with pytest.raises(LimitReached):
        journal.holds.convert_to_booking(
            held.id, subject=subject(), grant=grant(SYSTEM, 0, Basis.SELF)
        )
    intent = journal.lookups.find_pending(held.id)
    assert intent is not None
    assert intent.held_until is not None


def test_holds_are_no_bookings(limited: NewJournal) -> None:
    """What a resident holds does not count as booked."""
    journal = limited(resident_bookings=1)
    hold(journal, 0, 0, basis=Basis.SELF)

    book(journal, 0, 1, basis=Basis.SELF)


def test_bookings_that_a_region_made_do_not_count(limited: NewJournal) -> None:
    """A resident whom a region gave many times can still book."""
    journal = limited(resident_bookings=1)
    times = [ahead(hours) for hours in range(3)]
    journal.reports.adopt_all(
        NORR,
        number(),
        [
            (replace(reported(f"B{each.start}"), start=each.start, end=each.end), each)
            for each in times
        ],
    )

    book(journal, 0, 5, basis=Basis.SELF)


def test_a_cancelled_booking_makes_room(limited: NewJournal) -> None:
    """A booking that was refused or cancelled does not count."""
    journal = limited(resident_bookings=1)
    made = journal.settlements.settle_booked(
        journal.intents.mark_sent(book(journal, basis=Basis.SELF), lease=LEASE),
        booking_id=BookingId("B1"),
        permissions=CANCEL,
    )
    with pytest.raises(LimitReached):
        book(journal, 0, 1, basis=Basis.SELF)
    cancel = journal.intents.claim_cancel(made, grant=grant(SYSTEM, 0, Basis.SELF))
    journal.settlements.settle_cancelled(journal.intents.mark_sent(cancel, lease=LEASE))

    book(journal, 0, 1, basis=Basis.SELF)


def test_a_booking_that_has_begun_makes_room(
    limited: NewJournal, database: Database
) -> None:
    """Only bookings ahead count."""
    journal = limited(resident_bookings=1)
    begun = book(journal, basis=Basis.SELF)
    with database.writing() as connection:
        connection.execute(
            update(bookings)
            .where(bookings.c.id == begun.booking)
            .values(starts_at=int(now().timestamp()) - 1)
        )

    book(journal, 0, 1, basis=Basis.SELF)


@pytest.mark.parametrize("basis", [Basis.STAFF, Basis.OWN_UNITS])
def test_others_do_not_learn_of_a_residents_bookings(
    limited: NewJournal, basis: Basis
) -> None:
    """To a client that may not see a resident's bookings, only its own count."""
    journal = limited(resident_bookings=1)
    book(journal, 0, 0, of=OTHER_SYSTEM)

    book(journal, 0, 1, of=NURSE, basis=basis)
    with pytest.raises(LimitReached):
        book(journal, 0, 2, of=NURSE, basis=basis)


@pytest.mark.parametrize(
    ("numbers", "ask", "refused"),
    [
        pytest.param(
            {"holds": 7},
            lambda journal, which: hold(journal, which, which),
            LimitReached,
            id="holds of a client",
        ),
        pytest.param(
            {"holds_an_hour": 7},
            lambda journal, which: hold(journal, which, which),
            LimitReached,
            id="holds of a client in an hour",
        ),
        pytest.param(
            {"resident_holds": 7},
            lambda journal, which: hold(journal, 0, which),
            TooManyHolds,
            id="holds of a resident",
        ),
        pytest.param(
            {"resident_bookings": 7},
            lambda journal, which: book(journal, 0, which),
            LimitReached,
            id="bookings of a resident",
        ),
    ],
)
def test_fifty_at_once_do_not_exceed(
    limited: NewJournal,
    numbers: dict[str, int],
    ask: Callable[[Journal, int], object],
    refused: type[GatewayError],
) -> None:
    """Of fifty requests at the same moment exactly as many pass as allowed."""
    journal = limited(**numbers)
    start = threading.Barrier(50)

    def attempt(which: int) -> type[GatewayError] | None:
        start.wait()
        try:
            ask(journal, which)
        except GatewayError as error:
            return type(error)
        return None

    with ThreadPoolExecutor(50) as pool:
        answers = Counter(pool.map(attempt, range(50)))

    assert answers == {None: 7, refused: 43}


def test_fifty_renewals_at_once_do_not_exceed(limited: NewJournal) -> None:
    """Of fifty renewals at the same moment exactly as many pass as the hour has."""
    journal = limited(holds_an_hour=7)
    held = hold(journal)
    start = threading.Barrier(50)

    def attempt(_: int) -> type[GatewayError] | None:
        start.wait()
        try:
            journal.holds.renew(held.id, grant(SYSTEM, 0), lasts=MINUTES)
        except GatewayError as error:
            return type(error)
        return None

    with ThreadPoolExecutor(50) as pool:
        answers = Counter(pool.map(attempt, range(50)))

    assert answers == {None: 6, LimitReached: 44}


def test_a_new_key_does_not_reset_a_quota(
    database: Database, keys: tuple[str, ...]
) -> None:
    """After a change of keys, holds that were made before still count."""
    limits = ClientLimits(holds=1, resident_bookings=1)
    journal = Journal(database, Seal(keys), limits=limits)
    hold(journal, 0, 0)
    book(journal, 1, 1)
    rotated = Journal(database, Seal([Seal.new_key(), *keys]), limits=limits)

    with pytest.raises(LimitReached):
        hold(rotated, 2, 2)
    with pytest.raises(LimitReached):
        book(rotated, 1, 3)


@pytest.mark.parametrize("name", ["\ud800", "x" * 100_000, "\x00", "'; --"])
def test_a_hostile_name_holds_within_limits(limited: NewJournal, name: str) -> None:
    """A client's name may be any text."""
    journal = limited(holds=1)
    hostile = replace(SYSTEM, client=name)
    hold(journal, of=hostile)

    with pytest.raises(LimitReached):
        hold(journal, 1, 1, of=hostile)
