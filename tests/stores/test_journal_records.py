"""
Records: looking them up, and regions' reports of them.
"""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from granting import GRANT
from sqlalchemy import event

from fhir_gateway.model.booking import BookingPermissions, Wish
from fhir_gateway.model.errors import NotFound
from fhir_gateway.model.ids import (
    BookingId,
    CareTypeId,
    HsaId,
    PerformerId,
    ResourceId,
    SourceName,
)
from fhir_gateway.model.timeslot import Timeslot
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.journal import (
    BookingIdTaken,
    BookingRecord,
    BookingState,
    Journal,
)
from fhir_gateway.stores.sealing import Seal, SealBroken

from .conftest import (
    CANCEL,
    LEASE,
    NORR,
    UNIT,
    booked,
    claimed,
    live_tokens,
    number,
    reported,
    rows,
    sent,
    timeslot,
)

REBOOK = BookingPermissions(rebook=True)


def _adopted(
    journal: Journal, booking_id: str | None = "B1", *, who: int = 0, hours: int = 0
) -> BookingRecord:
    return journal.reports.adopt(
        source=NORR,
        booking=reported(booking_id),
        timeslot=timeslot(hours),
        number=number(who),
    )


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(str(uuid4()), id="another id"),
        pytest.param("SE2321000016-A01.k7w2mfx3", id="another kind of id"),
        pytest.param("", id="nothing"),
        pytest.param("a\x00b", id="a NUL"),
        pytest.param("å" * 36, id="other letters"),
    ],
)
def test_unknown_id_is_not_found(journal: Journal, text: str) -> None:
    """An id of any form that is not ours is not found."""
    with pytest.raises(NotFound):
        journal.lookups.get(text)


def test_id_is_found_as_written_only(journal: Journal) -> None:
    """An id in upper case is another id."""
    with pytest.raises(NotFound):
        journal.lookups.get(booked(journal).id.upper())


def test_timeslot_is_kept_whole(journal: Journal) -> None:
    """What identifies or describes a time is kept, but not its count and free id."""
    plain = timeslot()
    full = replace(
        plain,
        schedule=replace(
            plain.schedule,
            performer=PerformerId("SE2321000016-P01"),
            performer_name="Doktor Ärlig",
            resource_id=ResourceId("rum 7"),
            resource_name="Rum 7",
            care_type_id=CareTypeId("x"),
            care_type_name="X",
        ),
    )

    record = journal.reports.adopt(
        source=NORR,
        booking=reported(),
        timeslot=replace(full, count=7, source_id=BookingId("free 1")),
        number=number(),
    )

    assert journal.lookups.get(record.id).timeslot == full


def test_hour_that_autumn_repeats_compares(journal: Journal) -> None:
    """A time in the repeated hour of autumn equals the one that was stored."""
    start = timeslot().start.replace(year=2027, month=10, day=31, hour=1, minute=0)
    repeated = replace(timeslot(), start=start, end=start + timedelta(minutes=30))

    record = journal.reports.adopt(
        source=NORR, booking=reported(), timeslot=repeated, number=number()
    )

    assert record.timeslot == repeated


def test_bookings_of_a_resident_are_in_order(journal: Journal) -> None:
    """A resident's bookings come by start, those being made and cancelled too."""
    last = booked(journal, 1, hours=3, booking_id="B3")
    first = journal.lookups.get(claimed(journal, 1, hours=1).booking)
    middle = journal.reports.mark_cancelled_elsewhere(
        booked(journal, 1, hours=2, booking_id="B2")
    )

    assert journal.lookups.list_of_resident(number(1)) == (first, middle, last)


def test_refused_bookings_are_left_out(journal: Journal) -> None:
    """What was never booked is not among a resident's bookings."""
    journal.settlements.settle_refused(sent(journal, 1), message=None)

    assert journal.lookups.list_of_resident(number(1)) == ()


def test_bookings_of_others_are_left_out(journal: Journal) -> None:
    """Nobody's bookings are among another's."""
    booked(journal, 1)

    assert journal.lookups.list_of_resident(number(2)) == ()


def test_a_resident_has_a_time_that_is_booked_or_on_its_way(journal: Journal) -> None:
    """A resident's own time is found by its token; another time or person is not."""
    token = timeslot().token
    pending = claimed(journal, 1).booking
    booked(journal, 2, hours=1)

    assert [journal.lookups.find_standing(number(who), token) for who in (1, 2)] == [
        pending,
        None,
    ]


def test_a_resident_has_no_time_that_was_refused(journal: Journal) -> None:
    """What the region said no to stands no more."""
    journal.settlements.settle_refused(sent(journal, 1), message=None)

    assert journal.lookups.find_standing(number(1), timeslot().token) is None


def test_bookings_are_found_after_rotation(
    journal: Journal, database: Database, keys: tuple[str, ...]
) -> None:
    """After a change of keys old and new bookings of a resident are found."""
    old = booked(journal, 1)
    rotated = Journal(database, Seal([Seal.new_key(), *keys]))
    new = booked(rotated, 1, hours=1, booking_id="B2")

    assert rotated.lookups.list_of_resident(number(1)) == (old, new)
    assert rotated.lookups.find_standing(number(1), old.timeslot.token) == old.id


def test_keys_of_another_database_are_refused(
    journal: Journal, database: Database
) -> None:
    """A key file that does not belong to the database is found out at start."""
    booked(journal)

    with pytest.raises(SealBroken):
        Journal(database, Seal([Seal.new_key()])).upkeep.check_keys()


def test_right_keys_are_accepted(journal: Journal) -> None:
    """Keys that open what is stored pass the check."""
    booked(journal)

    journal.upkeep.check_keys()


def test_any_keys_fit_an_empty_database(database: Database) -> None:
    """An empty database has no keys yet."""
    Journal(database, Seal([Seal.new_key()])).upkeep.check_keys()


def test_booking_is_found_by_the_regions_id(journal: Journal) -> None:
    """A booking is found by source, unit and the region's id."""
    record = booked(journal)

    assert journal.lookups.find_by_booking_id(NORR, UNIT, BookingId("B1")) == record


@pytest.mark.parametrize(
    ("source", "unit", "booking_id"),
    [
        pytest.param("syd", UNIT, "B1", id="source"),
        pytest.param(NORR, "SE2321000016-A02", "B1", id="unit"),
        pytest.param(NORR, UNIT, "B2", id="id"),
    ],
)
def test_regions_id_is_nothing_alone(
    journal: Journal, source: str, unit: str, booking_id: str
) -> None:
    """The same id of another source or unit is another booking."""
    booked(journal)

    found = journal.lookups.find_by_booking_id(
        SourceName(source), HsaId(unit), BookingId(booking_id)
    )
    assert found is None


def test_booked_one_is_found_before_a_cancelled_one(journal: Journal) -> None:
    """Where a region's id has been used twice, the booking that stands is found."""
    standing = _adopted(journal)
    gone = journal.reports.mark_cancelled_elsewhere(standing)
    again = _adopted(journal)

    found = journal.lookups.find_by_booking_id(NORR, UNIT, BookingId("B1"))
    assert (found, gone.state) == (again, BookingState.CANCELLED)


def test_cancelled_one_is_found(journal: Journal) -> None:
    """A booking that was cancelled is still found by the region's id."""
    gone = journal.reports.mark_cancelled_elsewhere(booked(journal))

    assert journal.lookups.find_by_booking_id(NORR, UNIT, BookingId("B1")) == gone


def test_adopted_booking(journal: Journal) -> None:
    """A booking made elsewhere gets an id of ours, and no name is known."""
    record = journal.reports.adopt(
        source=NORR,
        booking=reported("B1", permissions=REBOOK, is_invitation=True),
        timeslot=timeslot(),
        number=number(1),
    )

    assert record == replace(
        record,
        version=1,
        state=BookingState.BOOKED,
        source=NORR,
        timeslot=timeslot(),
        booking_id=BookingId("B1"),
        number=number(1),
        subject=None,
        permissions=REBOOK,
        is_invitation=True,
        message=None,
    )
    assert record.confirmed_at is not None


def test_adopted_booking_claims_nothing(journal: Journal) -> None:
    """A booking made elsewhere holds no place here: its source does not list it."""
    _adopted(journal)

    assert live_tokens(journal) == {}


@pytest.mark.parametrize(
    "booking_id", [pytest.param("B1", id="with id"), pytest.param(None, id="without")]
)
def test_adopting_twice_is_once(
    journal: Journal, database: Database, booking_id: str | None
) -> None:
    """A booking that was adopted before is the same record, unchanged."""
    first = _adopted(journal, booking_id)
    before = rows(database)

    assert _adopted(journal, booking_id) == first
    assert rows(database) == before


def test_own_booking_is_not_adopted(journal: Journal) -> None:
    """A booking that was made here is recognised by the region's id."""
    record = booked(journal)

    assert _adopted(journal) == record


def test_booking_being_made_is_not_adopted(journal: Journal) -> None:
    """A booking reported before its own answer came is recognised."""
    intent = sent(journal)

    assert _adopted(journal) == journal.lookups.get(intent.booking)


def test_booking_made_without_an_id_is_not_adopted(journal: Journal) -> None:
    """A booking without a region's id is recognised by resident, unit and start."""
    record = booked(journal, booking_id=None)

    assert _adopted(journal, "B1") == record


def test_booking_being_moved_is_not_adopted(journal: Journal) -> None:
    """A new time reported under a new id is recognised as the moved booking."""
    record = booked(journal)
    journal.intents.mark_sent(
        journal.intents.claim_update(record, timeslot(1), grant=GRANT), lease=LEASE
    )

    assert _adopted(journal, "B2", hours=1) == record


def test_another_booking_of_the_resident_is_adopted(journal: Journal) -> None:
    """A resident's other bookings are adopted beside the one being made."""
    sent(journal)

    record = _adopted(journal, "B2", hours=1)

    assert record.timeslot == timeslot(1)


def test_cancelled_booking_that_stands_is_adopted_anew(journal: Journal) -> None:
    """A cancelled booking that its source still lists gets a new record."""
    gone = journal.reports.mark_cancelled_elsewhere(_adopted(journal))

    again = _adopted(journal)

    assert (again.state, again.id == gone.id) == (BookingState.BOOKED, False)


def test_another_residents_booking_is_not_shown(
    journal: Journal, database: Database
) -> None:
    """A booking that a region reports to two residents is shown to the first only."""
    _adopted(journal, who=1)
    before = rows(database)

    with pytest.raises(BookingIdTaken) as caught:
        _adopted(journal, who=2)

    assert (caught.value.source, rows(database)) == (NORR, before)


def _confirmed(
    journal: Journal, record: BookingRecord, timeslot_: Timeslot | None = None
) -> BookingRecord:
    return journal.reports.confirm(record, reported(), timeslot_ or timeslot())


def test_confirmed_booking_keeps_its_version(journal: Journal) -> None:
    """A booking that its source describes as before has the same version."""
    record = booked(journal)

    confirmed = _confirmed(journal, record)

    assert confirmed == replace(record, confirmed_at=confirmed.confirmed_at)


def test_confirmed_booking_says_when(journal: Journal) -> None:
    """A booking that its source describes as before was confirmed just now."""
    record = booked(journal)

    confirmed = _confirmed(journal, record)

    assert record.confirmed_at is not None
    assert confirmed.confirmed_at is not None
    assert confirmed.confirmed_at >= record.confirmed_at


def test_confirmed_in_swedish_time_keeps_its_version(journal: Journal) -> None:
    """The same instants in another zone are no change."""
    record = booked(journal)
    zone = ZoneInfo("Europe/Stockholm")
    swedish = replace(
        timeslot(),
        start=timeslot().start.astimezone(zone),
        end=timeslot().end.astimezone(zone),
    )

    assert _confirmed(journal, record, swedish).version == record.version


def test_confirmed_needs_no_free_times_id(journal: Journal) -> None:
    """What a source calls the free time changes nothing of a booking."""
    record = booked(journal)
    named = replace(timeslot(), source_id=BookingId("free 2"))
    confirmed = _confirmed(journal, record, named)

    assert (confirmed.version, confirmed.timeslot) == (record.version, timeslot())


def test_confirmed_change_is_stored(journal: Journal) -> None:
    """What a source says otherwise than before is stored as a new version."""
    record = booked(journal, booking_id=None)

    confirmed = journal.reports.confirm(
        record,
        reported("B7", permissions=REBOOK, is_invitation=True),
        timeslot(2),
    )

    assert confirmed == replace(
        record,
        version=record.version + 1,
        booking_id=BookingId("B7"),
        timeslot=timeslot(2),
        permissions=REBOOK,
        is_invitation=True,
        updated_at=confirmed.updated_at,
        confirmed_at=confirmed.confirmed_at,
    )


def test_booking_moved_by_its_unit_frees_the_old_place(journal: Journal) -> None:
    """A place is not held for a booking that its unit has moved from it."""
    journal.reports.confirm(booked(journal), reported(), timeslot(2))

    assert live_tokens(journal) == {}


def test_booking_described_otherwise_keeps_its_place(journal: Journal) -> None:
    """A place is held when only what a booking permits has changed."""
    journal.reports.confirm(booked(journal), reported(permissions=REBOOK), timeslot())

    assert live_tokens(journal) == {timeslot().token: 1}


def test_source_without_an_id_changes_none(journal: Journal) -> None:
    """A source that leaves the id out this time has not taken it away."""
    record = booked(journal)

    confirmed = journal.reports.confirm(record, reported(None), timeslot())

    assert (confirmed.booking_id, confirmed.version) == ("B1", record.version)


def test_older_news_change_nothing(journal: Journal) -> None:
    """What a source said before the latest change is not believed after it."""
    before = booked(journal)
    after = journal.reports.confirm(before, reported(permissions=REBOOK), timeslot())

    again = journal.reports.confirm(before, reported(permissions=CANCEL), timeslot())

    assert again == replace(after, confirmed_at=again.confirmed_at)


def test_news_during_a_write_change_nothing(journal: Journal) -> None:
    """What a source says while a write is under way waits for its settlement."""
    record = booked(journal)
    journal.intents.claim_update(record, timeslot(1), grant=GRANT)

    confirmed = journal.reports.confirm(
        record, reported(permissions=REBOOK), timeslot(1)
    )

    assert confirmed == replace(record, confirmed_at=confirmed.confirmed_at)


def test_booking_being_made_is_not_confirmed(journal: Journal) -> None:
    """A booking that is being made is settled, and not confirmed."""
    record = journal.lookups.get(sent(journal).booking)

    assert _confirmed(journal, record) == record


def test_confirmed_with_the_id_of_another(journal: Journal) -> None:
    """A booking is not given the id of another resident's."""
    _adopted(journal, "B7", who=1, hours=5)
    record = booked(journal, 2, booking_id=None)

    with pytest.raises(BookingIdTaken):
        journal.reports.confirm(record, reported("B7"), timeslot())


def test_missing_booking_is_not_confirmed(journal: Journal) -> None:
    """A booking that is not here cannot be confirmed."""
    with pytest.raises(NotFound):
        _confirmed(journal, replace(booked(journal), id=str(uuid4())))


def test_cancelled_elsewhere(journal: Journal) -> None:
    """A booking that its source no longer has is CANCELLED, as a new version."""
    record = booked(journal)

    gone = journal.reports.mark_cancelled_elsewhere(record)

    assert gone == replace(
        record,
        state=BookingState.CANCELLED,
        version=record.version + 1,
        updated_at=gone.updated_at,
    )


def test_cancelled_elsewhere_frees_the_place(journal: Journal) -> None:
    """A booking that its source no longer has holds no place."""
    journal.reports.mark_cancelled_elsewhere(booked(journal))

    assert live_tokens(journal) == {}


def test_cancelled_elsewhere_twice_is_once(journal: Journal) -> None:
    """A booking that is CANCELLED stays as it is."""
    gone = journal.reports.mark_cancelled_elsewhere(booked(journal))

    assert journal.reports.mark_cancelled_elsewhere(gone) == gone


def test_booking_being_made_is_not_cancelled_elsewhere(journal: Journal) -> None:
    """A booking that its source does not have yet is left to its settlement."""
    record = journal.lookups.get(sent(journal).booking)

    assert journal.reports.mark_cancelled_elsewhere(record) == record


def test_booking_being_moved_is_not_cancelled_elsewhere(journal: Journal) -> None:
    """A booking that a write is under way to is left to its settlement."""
    record = booked(journal)
    journal.intents.claim_update(record, timeslot(1), grant=GRANT)

    assert journal.reports.mark_cancelled_elsewhere(record) == record


def test_older_absence_changes_nothing(journal: Journal) -> None:
    """A booking that has changed since its source was asked is left alone."""
    before = booked(journal)
    after = journal.reports.confirm(before, reported(permissions=REBOOK), timeslot())

    assert journal.reports.mark_cancelled_elsewhere(before) == after


def test_a_booking_and_its_write_of_one_moment(journal: Journal) -> None:
    """A write under way is returned with its booking, a settled one is not."""
    intent = sent(journal)
    under_way = journal.lookups.get_with_pending(intent.booking)
    record = journal.settlements.settle_booked(
        intent, booking_id=None, permissions=CANCEL
    )

    assert under_way[1] == intent
    assert under_way[0].state is BookingState.PENDING
    assert journal.lookups.get_with_pending(intent.booking) == (record, None)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(str(uuid4()), id="another id"),
        pytest.param("", id="nothing"),
        pytest.param("a\x00b", id="a NUL"),
    ],
)
def test_what_is_no_booking_has_no_moment(journal: Journal, text: str) -> None:
    """An id that leads to nothing is not found."""
    with pytest.raises(NotFound):
        journal.lookups.get_with_pending(text)


def test_a_moment_is_one_statement(journal: Journal, database: Database) -> None:
    """One statement reads both, since two would read at two moments."""
    intent = claimed(journal)
    asked = []
    event.listen(
        database.engine,
        "before_cursor_execute",
        lambda *arguments: asked.append(arguments[2]),
    )

    journal.lookups.get_with_pending(intent.booking)

    assert len([each for each in asked if each.startswith("SELECT")]) == 1


def test_a_permission_that_cannot_be_read_stands_as_it_was(journal: Journal) -> None:
    """A flag that is neither true nor false changes nothing of what is known."""
    journal.reports.confirm(booked(journal), reported(permissions=REBOOK), timeslot())
    unreadable = BookingPermissions(unreadable=frozenset({Wish.REBOOK}))
    (record,) = journal.lookups.list_of_resident(number())

    after = journal.reports.confirm(
        record, reported(permissions=unreadable), timeslot()
    )

    assert after.permissions == REBOOK
