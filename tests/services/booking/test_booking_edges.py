"""
Booking where a source lies, reuses ids, or somebody else is quicker.

Over adapters without a wire, so that things can be made to happen in between.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from builders import (
    NORR,
    OTHER_UNIT,
    UNIT,
    VISIT,
    catalogue,
    number,
    schedule,
    source,
    subject,
)
from doubles import AnsweringAdapter, LyingAdapter
from granting import GRANT
from structlog.testing import capture_logs

from fhir_gateway.model import scheduling
from fhir_gateway.model.booking import (
    Booking,
    BookingPermissions,
    BookingStatus,
    ResultCode,
    WriteResult,
)
from fhir_gateway.model.errors import (
    Conflict,
    Incorrect,
    Refused,
    SourceFault,
    TimeslotTaken,
    Unavailable,
    WriteUnconfirmed,
)
from fhir_gateway.model.ids import BookingId, LogicalAddress
from fhir_gateway.model.interaction import Interaction
from fhir_gateway.model.scheduling import (
    GetAllHealthcareFacilities,
    MakeBooking,
    UpdateBooking,
)
from fhir_gateway.services.booking.reconciliation import Reconciliation
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.journal import BookingState, Journal
from fhir_gateway.stores.sealing import Seal
from services.conftest import MakeWireless, Wireless

LOST = WriteUnconfirmed("The source was sent a write and gave no answer.", source=NORR)
AWAY = Unavailable("The source could not be reached; nothing was sent.", source=NORR)
BROKEN = SourceFault("The source answered with a technical fault.", source=NORR)
NO = Refused("The region refused the request.", source=NORR)
READS = (
    scheduling.GET_BOOKING_DETAILS,
    scheduling.GET_SUBJECT_OF_CARE_SCHEDULE,
)


def booked_at(wireless: Wireless, who: int = 0, hours: float = 24) -> Any:
    """Book a time that the source lists; it lists it no more after that."""
    wanted = wireless.coming(hours)
    wireless.lists(wanted)
    made = wireless.desk.book(wanted, who)
    wireless.lists()
    return made


def failing(wireless: Wireless, *interactions: Interaction, error: Exception) -> None:
    """Let some questions or writes fail from now on."""
    wireless.adapter.errors = dict.fromkeys(interactions, error)


# A region's word


def test_a_region_that_booked_something_else_is_not_believed(
    make_wireless: MakeWireless,
) -> None:
    """Another time than was asked for: pending, held, and nothing said to be booked."""
    wireless = make_wireless(LyingAdapter())
    with capture_logs() as logs:
        made = booked_at(wireless)

    assert made.booking.status is BookingStatus.PENDING
    assert made.booking.booking_id is None
    assert wireless.desk.is_held(made.booking.timeslot)
    assert "region booked something else" in {each["event"] for each in logs}


def test_a_booking_of_somebody_elses_is_not_believed(wireless: Wireless) -> None:
    """A booking that says it is another person's is no answer to ours."""

    def swap(interaction: Interaction) -> None:
        if interaction == scheduling.GET_SUBJECT_OF_CARE_SCHEDULE:
            wireless.adapter.book = {
                key: replace(each, subject_of_care=number(9))
                for key, each in wireless.adapter.book.items()
            }

    wireless.adapter.before = swap

    assert booked_at(wireless).booking.status is BookingStatus.PENDING


def test_an_id_of_another_booking_is_not_believed(wireless: Wireless) -> None:
    """A yes with the id of another resident's booking leaves the outcome unknown."""
    wireless.adapter.result = WriteResult(
        code=ResultCode.OK, booking_id=BookingId("B-7")
    )
    first = booked_at(wireless, 0)
    with capture_logs() as logs:
        second = booked_at(wireless, 1, hours=25)

    assert first.booking.status is BookingStatus.BOOKED
    assert second.booking.status is BookingStatus.PENDING
    assert wireless.desk.is_held(second.booking.timeslot)
    assert "booking id is already in use" in {each["event"] for each in logs}


def test_a_yes_without_an_id_is_looked_up(make_wireless: MakeWireless) -> None:
    """Where the answer has no id the booking is found by its time."""
    wireless = make_wireless(NamelessAdapter())

    made = booked_at(wireless)

    assert made.booking.status is BookingStatus.BOOKED
    assert made.booking.booking_id == "B-1"


@dataclass
class NamelessAdapter(AnsweringAdapter):
    """A source that never returns the id of a new booking."""

    def make_booking(self, request: MakeBooking, *, timeout: float) -> WriteResult:
        """Book, and keep the id."""
        made = super().make_booking(request, timeout=timeout)
        return replace(made, booking_id=None)


def test_a_yes_that_cannot_be_looked_up_is_a_yes(make_wireless: MakeWireless) -> None:
    """The region's word is enough; what it permits is not known yet."""
    wireless = make_wireless(NamelessAdapter())
    failing(wireless, *READS, error=BROKEN)

    made = booked_at(wireless)
    with pytest.raises(Conflict):
        wireless.desk.booking.cancel(made.booking.id, version=99)
    wireless.adapter.errors = {}
    found = wireless.desk.booking.read(made.booking.id)

    assert (made.booking.status, made.booking.booking_id) == (
        BookingStatus.BOOKED,
        None,
    )
    assert made.booking.permissions == BookingPermissions()
    assert found.booking_id == "B-1"
    assert found.permissions == wireless.adapter.permissions


def test_a_yes_that_cannot_be_read_back_has_its_id(wireless: Wireless) -> None:
    """The id that came with the yes is kept when details are not to be had."""
    failing(wireless, *READS, error=BROKEN)

    made = booked_at(wireless)

    assert (made.booking.status, made.booking.booking_id) == (
        BookingStatus.BOOKED,
        "B-1",
    )


# A region's no


def test_a_no_for_a_time_that_is_gone_is_taken(wireless: Wireless) -> None:
    """ERROR has no code: the time is taken if it is no longer listed."""
    wanted = wireless.coming()
    wireless.lists(wanted)
    wireless.adapter.result = WriteResult(code=ResultCode.ERROR, text="Upptagen.")

    def go(interaction: Interaction) -> None:
        if interaction == scheduling.MAKE_BOOKING:
            wireless.lists()

    wireless.adapter.before = go

    with pytest.raises(TimeslotTaken) as raised:
        wireless.desk.book(wanted, 0)

    assert raised.value.message == "Upptagen."
    assert not wireless.desk.is_held(wanted)


@pytest.mark.parametrize(
    "listing",
    [
        pytest.param("the same", id="still listed"),
        pytest.param("none", id="cannot be asked"),
    ],
)
def test_a_no_for_a_time_that_may_be_there_is_a_refusal(
    wireless: Wireless, listing: str
) -> None:
    """Unless the time is known to be gone, it was a rule of the region's."""
    wanted = wireless.coming()
    wireless.lists(wanted)
    wireless.adapter.result = WriteResult(code=ResultCode.ERROR)

    def go(interaction: Interaction) -> None:
        if interaction == scheduling.MAKE_BOOKING and listing == "none":
            failing(wireless, scheduling.GET_AVAILABLE_TIMESLOTS, error=AWAY)

    wireless.adapter.before = go

    with pytest.raises(Refused, match="The region refused the request"):
        wireless.desk.book(wanted, 0)

    assert not wireless.desk.is_held(wanted)


def test_a_fault_that_means_no_is_a_no(wireless: Wireless) -> None:
    """An adapter that knows a fault for a refusal frees the time."""
    wanted = wireless.coming()
    wireless.lists(wanted)
    failing(wireless, scheduling.MAKE_BOOKING, error=NO)

    with pytest.raises(Refused):
        wireless.desk.book(wanted, 0)

    assert not wireless.desk.is_held(wanted)


def test_what_was_never_sent_is_free_again(wireless: Wireless) -> None:
    """Unavailable proves that nothing was sent: the time is free."""
    wanted = wireless.coming()
    wireless.lists(wanted)
    failing(wireless, scheduling.MAKE_BOOKING, error=AWAY)

    with pytest.raises(Unavailable):
        wireless.desk.book(wanted, 0)

    assert not wireless.desk.is_held(wanted)
    assert wireless.desk.journal.lookups.list_of_resident(number(0)) == ()


# Somebody else is quicker


def when(
    wireless: Wireless, interaction: Interaction, do: Callable[[], object]
) -> None:
    """Let something happen just before the first answer to an interaction."""

    def before(asked: Interaction) -> None:
        if asked == interaction:
            wireless.adapter.before = lambda _: None
            do()

    wireless.adapter.before = before


def look_after(wireless: Wireless, who: int = 0) -> None:
    """Settle a resident's undecided booking, as a reconciler would."""
    (record,) = wireless.desk.journal.lookups.list_of_resident(number(who))
    wireless.desk.settlement.settle(wireless.desk.undecided(record.id))


def test_a_booking_that_was_settled_by_another_is_booked(wireless: Wireless) -> None:
    """A late yes finds the write settled, and returns the same booking."""
    when(wireless, scheduling.GET_BOOKING_DETAILS, lambda: look_after(wireless))

    made = booked_at(wireless)

    assert made.booking.status is BookingStatus.BOOKED
    assert made.booking.booking_id == "B-1"


def test_a_move_that_was_settled_by_another_is_moved(wireless: Wireless) -> None:
    """A late yes to a move finds the move settled."""
    made = booked_at(wireless)
    target = wireless.coming(48)
    wireless.lists(target)
    # The first list of bookings after the move is its own look.
    when(
        wireless,
        scheduling.UPDATE_BOOKING,
        lambda: when(
            wireless,
            scheduling.GET_SUBJECT_OF_CARE_SCHEDULE,
            lambda: look_after(wireless),
        ),
    )

    moved = wireless.desk.move(made.booking.id, target)

    assert (moved.status, moved.timeslot.token) == (BookingStatus.BOOKED, target.token)


def test_a_cancellation_that_was_settled_by_another_is_one(
    make_wireless: MakeWireless,
) -> None:
    """A late yes to a cancellation finds the cancellation settled."""
    wireless = make_wireless(SlowCancelling())
    made = booked_at(wireless)
    assert isinstance(wireless.adapter, SlowCancelling)
    wireless.adapter.afterwards = lambda: look_after(wireless)

    cancelled = wireless.desk.booking.cancel(made.booking.id)

    assert cancelled.status is BookingStatus.CANCELLED


@dataclass
class SlowCancelling(AnsweringAdapter):
    """A source where something happens between a cancellation and its answer."""

    afterwards: Callable[[], object] = lambda: None

    def cancel_booking(self, request: Any, *, timeout: float) -> WriteResult:
        """Cancel, wait, answer."""
        result = super().cancel_booking(request, timeout=timeout)
        self.afterwards()
        return result


def test_a_reader_leaves_a_write_that_is_on_its_way_alone(wireless: Wireless) -> None:
    """A reader gets a booking as pending while it is being made."""
    seen: list[BookingStatus] = []

    def look() -> None:
        (record,) = wireless.desk.journal.lookups.list_of_resident(number(0))
        seen.append(wireless.desk.booking.read(record.id).status)
        assert wireless.desk.undecided(record.id).attempts == 0

    when(wireless, scheduling.GET_SUBJECT_OF_CARE_SCHEDULE, look)

    made = booked_at(wireless)

    assert seen == [BookingStatus.PENDING]
    assert made.booking.status is BookingStatus.BOOKED


def test_a_claim_by_another_server_is_seen(wireless: Wireless) -> None:
    """A time that is claimed while it is looked up is taken, and nothing is sent."""
    wanted = wireless.coming()
    wireless.lists(wanted)
    when(
        wireless,
        scheduling.GET_AVAILABLE_TIMESLOTS,
        lambda: wireless.desk.journal.intents.claim_make(
            source=NORR, timeslot=wanted, subject=subject(1), grant=GRANT
        ),
    )

    with pytest.raises(TimeslotTaken):
        wireless.desk.book(wanted, 0)

    assert wireless.adapter.asked(MakeBooking) == []


def test_a_second_request_that_overtakes_is_the_same_booking(
    wireless: Wireless,
) -> None:
    """The same resident's request at another server is recognised at the claim."""
    wanted = wireless.coming()
    wireless.lists(wanted)
    when(
        wireless,
        scheduling.GET_AVAILABLE_TIMESLOTS,
        lambda: wireless.desk.journal.intents.claim_make(
            source=NORR, timeslot=wanted, subject=subject(0), grant=GRANT
        ),
    )

    made = wireless.desk.book(wanted, 0)

    assert not made.is_new
    assert made.booking.status is BookingStatus.PENDING
    assert wireless.adapter.asked(MakeBooking) == []


@pytest.mark.parametrize(
    "outcome",
    [
        pytest.param("cancelled", id="cancelled at the region"),
        pytest.param("refused", id="never booked"),
    ],
)
def test_an_earlier_booking_that_is_gone_stands_in_nobodys_way(
    wireless: Wireless, outcome: str
) -> None:
    """A resident gets a new booking when the earlier one of that time is gone."""
    wanted = wireless.coming()
    wireless.lists(wanted)
    if outcome == "cancelled":
        first = wireless.desk.book(wanted, 0)
        wireless.adapter.book.clear()
    else:
        failing(wireless, scheduling.MAKE_BOOKING, error=LOST)
        first = wireless.desk.book(wanted, 0)
        wireless.adapter.errors = {}
        wireless.desk.later(wireless.desk.undecided(first.booking.id), seconds=91)
        wireless.desk.booking.read(first.booking.id)

    again = wireless.desk.book(wanted, 0)

    assert again.is_new
    assert again.booking.id != first.booking.id
    assert again.booking.status is BookingStatus.BOOKED


def test_a_time_with_one_place_is_sold_once_even_if_listed_again(
    wireless: Wireless,
) -> None:
    """A region that lists a sold time as free does not make us sell it again."""
    wanted = wireless.coming()
    wireless.lists(wanted)
    wireless.desk.book(wanted, 0)

    with pytest.raises(TimeslotTaken):
        wireless.desk.book(wanted, 1)

    assert len(wireless.adapter.asked(MakeBooking)) == 1


# What the unit does


def test_a_booking_that_the_unit_moved_is_at_its_new_time(wireless: Wireless) -> None:
    """A booking is returned as its source describes it."""
    made = booked_at(wireless)
    moved = wireless.coming(72)
    booking = wireless.adapter.book["B-1"]
    wireless.adapter.book["B-1"] = replace(booking, start=moved.start, end=moved.end)

    found = wireless.desk.booking.read(made.booking.id)

    assert found.timeslot.token == moved.token
    assert found.version == made.booking.version + 1
    assert not wireless.desk.is_held(made.booking.timeslot)


def test_a_past_booking_that_is_not_listed_is_not_cancelled(
    wireless: Wireless,
) -> None:
    """A source need not list what is past, so its absence says nothing."""
    made = booked_at(wireless)
    wireless.adapter.book.clear()
    wireless.desk.clock.instant = made.booking.timeslot.start

    assert wireless.desk.booking.read(made.booking.id).status is BookingStatus.BOOKED


def test_a_coming_booking_that_is_not_listed_is_cancelled(wireless: Wireless) -> None:
    """Until its time comes, absence means that it was cancelled."""
    made = booked_at(wireless)
    wireless.adapter.book.clear()
    wireless.desk.clock.instant = made.booking.timeslot.start - timedelta(seconds=1)

    found = wireless.desk.booking.read(made.booking.id)

    assert found.status is BookingStatus.CANCELLED


def test_an_incomplete_list_cancels_nothing(wireless: Wireless) -> None:
    """A booking that is absent from half an answer stands."""
    made = booked_at(wireless)
    wireless.adapter.book.clear()
    wireless.adapter.unanswered = (LogicalAddress(UNIT),)

    assert wireless.desk.booking.read(made.booking.id).status is BookingStatus.BOOKED


def test_a_booking_with_a_new_id_is_found_by_its_time(wireless: Wireless) -> None:
    """A region that gives a booking another id has not cancelled it."""
    made = booked_at(wireless)
    booking = wireless.adapter.book.pop("B-1")
    wireless.adapter.book["B-9"] = replace(booking, booking_id=BookingId("B-9"))

    found = wireless.desk.booking.read(made.booking.id)

    assert (found.status, found.booking_id) == (BookingStatus.BOOKED, "B-9")


def test_a_description_with_anothers_id_is_left_alone(wireless: Wireless) -> None:
    """A booking stays unchanged if its new id belongs to another."""
    made = booked_at(wireless)
    other = booked_at(wireless, 1, hours=30)
    booking = wireless.adapter.book.pop("B-1")
    wireless.adapter.book["B-1"] = replace(booking, booking_id=BookingId("B-2"))

    found = wireless.desk.booking.read(made.booking.id)

    assert other.booking.booking_id == "B-2"
    assert (found.status, found.booking_id) == (BookingStatus.BOOKED, "B-1")


# Moving what was made elsewhere


def adopted(wireless: Wireless) -> str:
    """Return our id of a booking that the source reported."""
    wanted = wireless.coming()
    booking = Booking(
        unit=wanted.schedule.unit,
        booking_id=BookingId("B-5"),
        start=wanted.start,
        end=wanted.end,
        subject_of_care=number(0),
        time_type_id=wanted.schedule.time_type_id,
        permissions=wireless.adapter.permissions,
    )
    wireless.adapter.book["B-5"] = booking
    record = wireless.desk.journal.reports.adopt(
        source=NORR, booking=booking, timeslot=wanted, number=number(0)
    )
    return record.id


def test_a_booking_made_elsewhere_needs_a_name_to_be_moved(
    wireless: Wireless,
) -> None:
    """Without the resident's name nothing is sent; with it the booking is moved."""
    booking = adopted(wireless)
    target = wireless.coming(48)
    wireless.lists(target)

    with pytest.raises(Incorrect, match="contained Patient"):
        wireless.desk.move(booking, target)
    moved = wireless.desk.move(booking, target, subject=subject(0))

    assert moved.timeslot.token == target.token
    (update,) = wireless.adapter.asked(UpdateBooking)
    assert (update.booking_id, update.subject_of_care) == ("B-5", subject(0))


def test_a_list_of_units_that_is_read_in_part_forbids_no_move(
    make_wireless: MakeWireless,
) -> None:
    """A unit that the readable part lacks may be one that could not be read."""
    wireless = make_wireless(
        catalogues=(
            catalogue({UNIT: [(VISIT, "Besök")], OTHER_UNIT: [(VISIT, "Besök")]}),
        )
    )
    made = booked_at(wireless)
    target = wireless.coming(48, of=schedule(unit=OTHER_UNIT))
    wireless.lists(target)
    wireless.adapter.rejected[GetAllHealthcareFacilities] = ("healthcare_facility",)

    with pytest.raises(SourceFault, match="list of units"):
        wireless.desk.move(made.booking.id, target)

    assert wireless.adapter.asked(UpdateBooking) == []


def test_a_booking_made_elsewhere_can_be_cancelled(wireless: Wireless) -> None:
    """A cancellation needs no name."""
    cancelled = wireless.desk.booking.cancel(adopted(wireless))

    assert cancelled.status is BookingStatus.CANCELLED


def test_a_booking_without_an_id_cannot_be_changed_yet(
    make_wireless: MakeWireless,
) -> None:
    """Until the region has sent a booking's id, the client has to try again."""
    wireless = make_wireless(SilentAdapter())
    made = booked_at(wireless)

    with pytest.raises(Unavailable, match="not sent the booking's id"):
        wireless.desk.booking.cancel(made.booking.id)


class SilentAdapter(NamelessAdapter):
    """A source that lists bookings without ids."""

    def _booking(self, request: Any, booking_id: BookingId) -> Booking:
        return replace(super()._booking(request, booking_id), booking_id=None)


def test_a_move_with_anothers_id_is_not_believed(wireless: Wireless) -> None:
    """A moved booking under another booking's id leaves the outcome unknown."""
    made = booked_at(wireless)
    booked_at(wireless, 1, hours=30)
    target = wireless.coming(48)
    wireless.lists(target)

    def rename() -> None:
        moved = wireless.adapter.book["B-1"]
        wireless.adapter.book["B-1"] = replace(moved, booking_id=BookingId("B-2"))

    when(
        wireless,
        scheduling.UPDATE_BOOKING,
        lambda: when(wireless, scheduling.GET_SUBJECT_OF_CARE_SCHEDULE, rename),
    )

    moved = wireless.desk.move(made.booking.id, target)

    assert moved.status is BookingStatus.PENDING


# Reconciliation


def test_the_reconciler_finds_a_lost_yes(wireless: Wireless) -> None:
    """After one run, a booking in the region's book is booked here."""
    made = lost_yes(wireless)

    wireless.desk.reconciliation.run_once()

    record = wireless.desk.journal.lookups.get(made.booking.id)
    assert (record.state, record.booking_id) == (BookingState.BOOKED, "B-1")
    assert wireless.desk.journal.lookups.find_pending(record.id) is None


def lost_yes(wireless: Wireless) -> Any:
    """Book a time with a yes that never arrives."""
    wanted = wireless.coming()
    wireless.lists(wanted)
    failing(wireless, scheduling.MAKE_BOOKING, error=LOST)
    made = wireless.desk.book(wanted, 0)
    wireless.adapter.errors = {}
    wireless.adapter.book["B-1"] = Booking(
        unit=wanted.schedule.unit,
        booking_id=BookingId("B-1"),
        start=wanted.start,
        end=wanted.end,
        subject_of_care=number(0),
    )
    assert made.booking.status is BookingStatus.PENDING
    return made


def test_the_reconciler_rests_what_cannot_be_asked(wireless: Wireless) -> None:
    """A source that does not answer is asked again later, not all the time."""
    made = lost_yes(wireless)
    failing(wireless, *READS, error=AWAY)

    for _ in range(3):
        wireless.desk.reconciliation.run_once()

    assert wireless.desk.undecided(made.booking.id).attempts == 1
    assert wireless.desk.journal.outcomes.take_unsettled(limit=9) == ()


def test_a_duplicate_is_booked_and_reported(wireless: Wireless) -> None:
    """A time that the platform delivered twice is booked, and said to be double."""
    made = lost_yes(wireless)
    first = wireless.adapter.book["B-1"]
    wireless.adapter.book["B-2"] = replace(first, booking_id=BookingId("B-2"))
    with capture_logs() as logs:
        wireless.desk.reconciliation.run_once()

    assert (
        wireless.desk.journal.lookups.get(made.booking.id).state is BookingState.BOOKED
    )
    assert "duplicate booking" in {each["event"] for each in logs}


def test_an_abandoned_claim_is_freed(
    wireless: Wireless, own_database: Database, seal: Seal
) -> None:
    """If a process dies before sending, nothing was sent: the time is free."""
    journal = Journal(own_database, seal, claim_lease=timedelta())
    wanted = wireless.coming()
    intent = journal.intents.claim_make(
        source=NORR, timeslot=wanted, subject=subject(0), grant=GRANT
    )

    wireless.desk.reconciliation.run_once()

    assert not wireless.desk.is_held(wanted)
    found = wireless.desk.booking.read(intent.booking)
    assert found.status is BookingStatus.CANCELLED
    assert wireless.adapter.calls == []


def test_a_claim_whose_owner_lives_is_left_alone(wireless: Wireless) -> None:
    """Within its lease a claim is its owner's."""
    wanted = wireless.coming()
    intent = wireless.desk.journal.intents.claim_make(
        source=NORR, timeslot=wanted, subject=subject(0), grant=GRANT
    )

    wireless.desk.reconciliation.run_once()
    found = wireless.desk.booking.read(intent.booking)

    assert wireless.desk.is_held(wanted)
    assert found.status is BookingStatus.PENDING


def test_a_dead_senders_write_is_looked_for(wireless: Wireless) -> None:
    """What was sent by somebody who died is settled by reading."""
    journal = wireless.desk.journal
    wanted = wireless.coming()
    intent = journal.intents.claim_make(
        source=NORR, timeslot=wanted, subject=subject(0), grant=GRANT
    )
    journal.intents.mark_sent(intent, lease=timedelta())
    wireless.adapter.book["B-1"] = Booking(
        unit=wanted.schedule.unit,
        booking_id=BookingId("B-1"),
        start=wanted.start,
        end=wanted.end,
        subject_of_care=number(0),
    )

    wireless.desk.reconciliation.run_once()

    assert journal.lookups.get(intent.booking).state is BookingState.BOOKED
    assert wireless.adapter.asked(MakeBooking) == []


def test_the_reconciler_can_be_stopped(wireless: Wireless) -> None:
    """It looks repeatedly, and ends when `stop` is set."""
    made = lost_yes(wireless)
    stop = threading.Event()
    looked = threading.Event()
    wireless.adapter.before = lambda _: looked.set()
    reconciler = threading.Thread(
        target=Reconciliation(wireless.desk.settlement, wireless.desk.journal).run,
        args=(stop,),
    )
    reconciler.start()
    assert looked.wait(5)
    stop.set()
    reconciler.join()

    assert (
        wireless.desk.journal.lookups.get(made.booking.id).state is BookingState.BOOKED
    )


def test_a_reason_is_kept_within_its_limit(make_wireless: MakeWireless) -> None:
    """A source's limit counts characters, and includes the last one."""
    wireless = make_wireless(sources=(source(reason_limit=5),))
    wanted = wireless.coming()
    wireless.lists(wanted)

    with pytest.raises(Incorrect, match="Region Norr takes at most 5 characters"):
        wireless.desk.book(wanted, 0, reason="åäöåäö")

    made = wireless.desk.book(wanted, 0, reason="åäöåä")
    assert made.booking.reason == "åäöåä"
