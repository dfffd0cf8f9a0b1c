"""
Booking where the platform delivers twice, or this server stands still in between.
"""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final

import pytest
from builders import number
from doubles import AnsweringAdapter, MovableClock
from granting import GRANT
from structlog.testing import capture_logs

from fhir_gateway.model import scheduling
from fhir_gateway.model.booking import (
    BookedTimes,
    BookingStatus,
    ResultCode,
    WriteResult,
)
from fhir_gateway.model.errors import (
    Conflict,
    Refused,
    Unavailable,
    WriteUnconfirmed,
)
from fhir_gateway.model.interaction import Interaction
from fhir_gateway.model.scheduling import (
    CancelBooking,
    GetSubjectOfCareSchedule,
    MakeBooking,
    UpdateBooking,
)
from fhir_gateway.services.source.directory import Directory
from fhir_gateway.services.source.source_access import AnothersBookings
from fhir_gateway.stores.database import Database, DatabaseUnavailable
from fhir_gateway.stores.journal import BookingRecord, Journal, WriteIntent
from fhir_gateway.stores.journal.lookups import Lookups
from fhir_gateway.stores.journal.settlements import Settlements
from fhir_gateway.stores.journal.write_intents import WriteIntents
from fhir_gateway.stores.sealing import Seal
from services.conftest import Desk, MakeWireless, Wireless

TAKEN = WriteResult(code=ResultCode.ERROR, text="Tiden är upptagen.")

MINUTE: Final = timedelta(minutes=1)


@dataclass
class DoublingAdapter(AnsweringAdapter):
    """A source that gets some messages twice, and answers the second time."""

    doubled: set[Interaction] = field(default_factory=set)

    def make_booking(self, request: MakeBooking, *, timeout: float) -> WriteResult:
        """Book, then refuse what has just been booked."""
        made = super().make_booking(request, timeout=timeout)
        return TAKEN if scheduling.MAKE_BOOKING in self.doubled else made

    def update_booking(self, request: UpdateBooking, *, timeout: float) -> WriteResult:
        """Move, then refuse what has just been moved."""
        moved = super().update_booking(request, timeout=timeout)
        return TAKEN if scheduling.UPDATE_BOOKING in self.doubled else moved

    def cancel_booking(self, request: CancelBooking, *, timeout: float) -> WriteResult:
        """Cancel, then find no such booking."""
        cancelled = super().cancel_booking(request, timeout=timeout)
        return TAKEN if scheduling.CANCEL_BOOKING in self.doubled else cancelled


def desk_over(wireless: Wireless, journal: Journal) -> Desk:
    """Return a desk over the same sources, with another journal."""
    return Desk(
        wireless.sources,
        wireless.desk.adapters,
        lambda: Directory.of(wireless.sources.values(), wireless.catalogues, {}),
        journal,
        wireless.desk.clock,
    )


def booked_at(wireless: Wireless, hours: float = 24) -> Any:
    """Book a time that the source lists; it lists it no more after that."""
    wanted = wireless.coming(hours)
    wireless.lists(wanted)
    made = wireless.desk.book(wanted, 0).booking
    wireless.lists()
    return made


def test_a_time_that_was_booked_and_refused_is_booked(
    make_wireless: MakeWireless,
) -> None:
    """The refusal of the second delivery does not undo the first."""
    wireless = make_wireless(DoublingAdapter(doubled={scheduling.MAKE_BOOKING}))

    made = booked_at(wireless)

    assert made.status is BookingStatus.BOOKED
    assert made.booking_id == "B-1"


def test_a_booking_that_was_moved_and_refused_is_moved(
    make_wireless: MakeWireless,
) -> None:
    """The same holds for a move."""
    wireless = make_wireless(DoublingAdapter(doubled={scheduling.UPDATE_BOOKING}))
    made = booked_at(wireless)
    later = wireless.coming(48)
    wireless.lists(later)

    moved = wireless.desk.move(made.id, later)

    assert moved.status is BookingStatus.BOOKED
    assert moved.timeslot.token == later.token


def test_a_booking_that_was_cancelled_and_refused_is_cancelled(
    make_wireless: MakeWireless,
) -> None:
    """The second CancelBooking finds no booking, because the first did its work."""
    wireless = make_wireless(DoublingAdapter(doubled={scheduling.CANCEL_BOOKING}))
    made = booked_at(wireless)

    cancelled = wireless.desk.booking.cancel(made.id)

    assert cancelled.status is BookingStatus.CANCELLED


def test_a_refusal_that_nobody_can_check_is_unknown(
    make_wireless: MakeWireless,
) -> None:
    """Where the resident's list cannot be read, a refusal leaves the outcome open."""
    wireless = make_wireless(DoublingAdapter(doubled={scheduling.MAKE_BOOKING}))
    wireless.adapter.errors[scheduling.GET_SUBJECT_OF_CARE_SCHEDULE] = Unavailable(
        "The source did not answer in time."
    )

    made = booked_at(wireless)

    assert made.status is BookingStatus.PENDING
    assert wireless.desk.is_held(made.timeslot)


def test_a_refused_time_of_somebody_elses_is_refused(wireless: Wireless) -> None:
    """A refusal is a refusal when the resident does not have the time."""
    wireless.adapter.result = TAKEN
    wanted = wireless.coming()
    wireless.lists(wanted)

    with pytest.raises(Refused, match="upptagen"):
        wireless.desk.book(wanted, 0)
    assert not wireless.desk.is_held(wanted)


def test_a_refused_cancellation_of_what_is_past_is_refused(
    make_wireless: MakeWireless,
) -> None:
    """A source need not list what is past: its absence proves nothing then."""
    wireless = make_wireless(DoublingAdapter(doubled={scheduling.CANCEL_BOOKING}))
    made = booked_at(wireless)
    wireless.desk.clock.forward(days=3)

    with pytest.raises(Refused):
        wireless.desk.booking.cancel(made.id)


@dataclass
class TwiceBooking(AnsweringAdapter):
    """A source that books a time again when it gets the call again."""

    def make_booking(self, request: MakeBooking, *, timeout: float) -> WriteResult:
        """Book twice, answer the second."""
        super().make_booking(request, timeout=timeout)
        return super().make_booking(request, timeout=timeout)


def test_a_double_delivery_raises_an_alarm(make_wireless: MakeWireless) -> None:
    """A time that the resident has twice is booked, with an alarm."""
    wireless = make_wireless(TwiceBooking())
    with capture_logs() as logs:
        made = booked_at(wireless)

    assert made.status is BookingStatus.BOOKED
    assert made.booking_id == "B-2"
    assert {
        "event": "duplicate booking",
        "log_level": "error",
        "kind": "MAKE",
        "booking": made.id,
    } in logs


class StandingStill(WriteIntents):
    """The intents of a process that is stopped just after it has said SENT."""

    clock: MovableClock

    def mark_sent(self, intent: WriteIntent, *, lease: timedelta) -> WriteIntent:
        """Say so, and let some time pass."""
        sent = super().mark_sent(intent, lease=lease)
        self.clock.forward(seconds=20)
        return sent


def test_what_stood_still_before_sending_is_not_sent(
    wireless: Wireless, own_database: Database, seal: Seal
) -> None:
    """A write that is too late to be sent is not sent: it may have been looked for."""
    standing_still = StandingStill(own_database, seal, claim_lease=MINUTE)
    standing_still.clock = wireless.desk.clock
    journal = Journal(own_database, seal)
    journal.intents = standing_still
    desk = desk_over(wireless, journal)
    wanted = wireless.coming()
    wireless.lists(wanted)

    with pytest.raises(Unavailable, match="was stopped for a moment"):
        desk.book(wanted, 0)
    assert wireless.adapter.asked(MakeBooking) == []
    assert not desk.is_held(wanted)


@dataclass
class CrossedAdapter(AnsweringAdapter):
    """A source that answers each question about bookings as if another had asked."""

    is_crossed: bool = False

    def get_subject_of_care_schedule(
        self, query: GetSubjectOfCareSchedule, *, timeout: float
    ) -> BookedTimes:
        """Return the bookings of the first resident to every request."""
        if self.is_crossed:
            query = replace(query, subject_of_care=number(0))
        return super().get_subject_of_care_schedule(query, timeout=timeout)


def test_a_list_of_another_residents_settles_nothing(
    make_wireless: MakeWireless,
) -> None:
    """An answer to another's question says nothing of this resident's bookings."""
    adapter = CrossedAdapter()
    wireless = make_wireless(adapter)
    wanted = wireless.coming()
    wireless.lists(replace(wanted, count=2))
    wireless.desk.book(wanted, 0)
    adapter.errors[scheduling.MAKE_BOOKING] = WriteUnconfirmed("no answer")
    lost = wireless.desk.book(wanted, 1).booking
    adapter.is_crossed = True

    with pytest.raises(AnothersBookings):
        wireless.desk.settlement.settle(wireless.desk.undecided(lost.id))
    assert wireless.desk.booking.read(lost.id).status is BookingStatus.PENDING


class BrokenIntents(WriteIntents):
    """Intents that lose the database at one step."""

    is_broken: bool = False

    def mark_sent(self, intent: WriteIntent, *, lease: timedelta) -> WriteIntent:
        """Fail, or not."""
        if self.is_broken:
            raise DatabaseUnavailable("away")
        return super().mark_sent(intent, lease=lease)


class BrokenSettlements(Settlements):
    """Settlements that fail at one step."""

    fails_with: Exception | None = None

    def settle_booked(self, intent: WriteIntent, **settled: Any) -> BookingRecord:
        """Fail, or not."""
        if self.fails_with is not None:
            raise self.fails_with
        return super().settle_booked(intent, **settled)


class BrokenJournal(Journal):
    """A journal that fails at one step."""

    def __init__(self, database: Database, seal: Seal) -> None:
        super().__init__(database, seal)
        self.intents: BrokenIntents = BrokenIntents(database, seal, claim_lease=MINUTE)
        self.settlements: BrokenSettlements = BrokenSettlements(database, seal)


@pytest.fixture(name="breaking")
def _breaking(
    wireless: Wireless, own_database: Database, seal: Seal
) -> tuple[Desk, BrokenJournal]:
    journal = BrokenJournal(own_database, seal)
    desk = desk_over(wireless, journal)
    return desk, journal


def test_without_its_journal_nothing_is_sent(
    wireless: Wireless, breaking: tuple[Desk, BrokenJournal]
) -> None:
    """An intent that cannot be written down is not sent."""
    desk, journal = breaking
    journal.intents.is_broken = True
    wanted = wireless.coming()
    wireless.lists(wanted)

    with pytest.raises(DatabaseUnavailable):
        desk.book(wanted, 0)
    assert wireless.adapter.asked(MakeBooking) == []


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(DatabaseUnavailable("away"), id="the journal is away"),
        pytest.param(KeyError("fault"), id="a fault of the program"),
    ],
)
def test_a_yes_that_cannot_be_written_down_is_no_no(
    wireless: Wireless, breaking: tuple[Desk, BrokenJournal], failure: Exception
) -> None:
    """Sent, and not settled: the outcome is reported as unknown."""
    desk, journal = breaking
    journal.settlements.fails_with = failure
    wanted = wireless.coming()
    wireless.lists(wanted)

    with pytest.raises(WriteUnconfirmed):
        desk.book(wanted, 0)
    assert len(wireless.adapter.asked(MakeBooking)) == 1
    assert desk.is_held(wanted)


def moving(wireless: Wireless) -> WriteIntent:
    """Book a time, and move it with an unknown outcome."""
    made = booked_at(wireless)
    later = wireless.coming(48)
    wireless.lists(later)
    wireless.adapter.errors[scheduling.UPDATE_BOOKING] = WriteUnconfirmed("silence")
    wireless.desk.move(made.id, later)
    wireless.adapter.errors.clear()
    return wireless.desk.undecided(made.id)


def making(wireless: Wireless) -> WriteIntent:
    """Book a time with an unknown outcome."""
    wanted = wireless.coming()
    wireless.lists(wanted)
    wireless.adapter.errors[scheduling.MAKE_BOOKING] = WriteUnconfirmed("silence")
    made = wireless.desk.book(wanted, 0).booking
    wireless.adapter.errors.clear()
    return wireless.desk.undecided(made.id)


def test_a_move_under_way_is_pending(wireless: Wireless) -> None:
    """A client that has waited long enough gets `pending`."""
    intent = moving(wireless)

    stands = wireless.desk.booking.current.describe_write(intent)

    assert stands.status is BookingStatus.PENDING


def test_a_move_that_was_done_just_now_is_done(wireless: Wireless) -> None:
    """Where the answer has come meanwhile, it counts."""
    intent = moving(wireless)
    assert intent.timeslot is not None
    wireless.desk.journal.settlements.settle_moved(
        intent, booking_id=None, permissions=wireless.adapter.permissions
    )

    stands = wireless.desk.booking.current.describe_write(intent)

    assert (stands.status, stands.timeslot) == (
        BookingStatus.BOOKED,
        intent.timeslot,
    )


def test_a_move_that_was_refused_just_now_is_refused(wireless: Wireless) -> None:
    """After a refused move the client gets the region's no, not the old time."""
    intent = moving(wireless)
    wireless.desk.journal.settlements.settle_refused(intent, message="Inte den tiden.")

    with pytest.raises(Refused, match="Inte den tiden"):
        wireless.desk.booking.current.describe_write(intent)


def test_a_move_that_was_just_settled_as_not_done_is_a_conflict(
    wireless: Wireless,
) -> None:
    """After a move that was not done the client gets a conflict, not the old time."""
    intent = moving(wireless)
    wireless.desk.journal.settlements.settle_not_done(intent)

    with pytest.raises(Conflict, match="had no effect"):
        wireless.desk.booking.current.describe_write(intent)


@pytest.mark.parametrize("kind", [MakeBooking, UpdateBooking])
def test_absence_is_no_answer_while_a_sender_may_live(
    wireless: Wireless, kind: type
) -> None:
    """A process that stood still while others settled its write may still send it."""
    intent = moving(wireless) if kind is UpdateBooking else making(wireless)
    journal = wireless.desk.journal
    seen = journal.outcomes.postpone(intent, until=timedelta(), unchanged=True)
    journal.settlements.settle_not_done(seen)

    described = wireless.desk.booking.current.describe_write(intent)
    assert (described.id, described.status) == (intent.booking, BookingStatus.PENDING)


class OvertakenLookups(Lookups):
    """Lookups of a write that is settled just after it was looked up."""

    settlements: Settlements

    def find_pending(self, booking: str) -> WriteIntent | None:
        """Return the write, and settle it as never sent."""
        intent = super().find_pending(booking)
        if intent is not None:
            self.settlements.settle_not_done(intent)
        return intent


def test_a_second_cancellation_gets_the_outcome_of_the_first(
    wireless: Wireless, own_database: Database, seal: Seal
) -> None:
    """A booking that stands is no answer to a cancellation."""
    made = booked_at(wireless)
    journal = Journal(own_database, seal)
    journal.lookups = overtaken = OvertakenLookups(own_database, seal)
    overtaken.settlements = journal.settlements
    desk = desk_over(wireless, journal)
    journal.intents.claim_cancel(journal.lookups.get(made.id), grant=GRANT)

    with pytest.raises(Conflict, match="had no effect"):
        desk.booking.cancel(made.id)
