"""
Holding a free time: what it blocks, how it ends, and what books it.
"""

import threading
from datetime import timedelta
from math import inf
from typing import Any

import pytest
from builders import NORR, number, schedule, subject, timeslot
from doubles import AnsweringAdapter
from granting import demo_grant

from fhir_gateway.model import scheduling
from fhir_gateway.model.booking import BookingStatus, ResultCode, WriteResult
from fhir_gateway.model.errors import (
    Conflict,
    Incorrect,
    NotFound,
    Refused,
    TimeslotTaken,
    Unavailable,
)
from fhir_gateway.model.scheduling import MakeBooking
from fhir_gateway.model.timekeeping import now
from fhir_gateway.model.timeslot import Timeslot, TimeslotToken
from fhir_gateway.services.booking.holding import HoldRequest
from fhir_gateway.services.search.held_timeslots import HeldTimeslots
from fhir_gateway.stores.journal import AlreadyBooked, HoldOver, TooManyHolds
from services.conftest import MakeWireless, Wireless

AWAY = Unavailable("The source could not be reached; nothing was sent.", source=NORR)


def hold(wireless: Wireless, of: Timeslot, who: int = 0, **changed: Any) -> Any:
    """Hold a time for the person of that ordinal."""
    return wireless.desk.booking.hold(
        HoldRequest(
            token=TimeslotToken.parse(of.token),
            number=number(who),
            grant=demo_grant(number(who)),
            **changed,
        )
    )


def held_at(wireless: Wireless, hours: float = 24, **changed: Any) -> Any:
    """Hold a time that the source lists."""
    wanted = wireless.coming(hours)
    wireless.lists(*wireless.adapter.timeslots, wanted)
    return hold(wireless, wanted, **changed)


def over(wireless: Wireless, **changed: Any) -> Any:
    """Hold a time, and return the hold once it is over."""
    made = held_at(wireless, lasts=timedelta(microseconds=1), **changed)
    assert wireless.desk.booking.read(made.id).status is BookingStatus.CANCELLED
    return made


def test_hold_is_pending_and_says_until_when(wireless: Wireless) -> None:
    """A held time is kept, nothing is sent for it, and it says how long it is held."""
    made = held_at(wireless)

    assert made.status is BookingStatus.PENDING
    assert made.held_until is not None
    assert made.held_until > wireless.desk.clock()
    assert wireless.desk.is_held(made.timeslot)
    assert wireless.adapter.asked(MakeBooking) == []
    assert wireless.desk.booking.read(made.id) == made


def test_hold_is_looked_up_first(wireless: Wireless) -> None:
    """A time that its source does not list now is not held."""
    with pytest.raises(TimeslotTaken):
        hold(wireless, wireless.coming())

    assert wireless.desk.held() == {}


def test_hold_of_a_source_that_is_away(wireless: Wireless) -> None:
    """Nothing is held that could not be looked up."""
    wireless.adapter.errors = {scheduling.GET_AVAILABLE_TIMESLOTS: AWAY}

    with pytest.raises(Unavailable):
        hold(wireless, wireless.coming())

    assert wireless.desk.held() == {}


@pytest.mark.parametrize(
    "lasts",
    [
        pytest.param(timedelta(), id="no time"),
        pytest.param(timedelta(seconds=-1), id="less than none"),
        pytest.param(timedelta(minutes=5, seconds=1), id="too long"),
    ],
)
def test_hold_of_an_impossible_length(wireless: Wireless, lasts: timedelta) -> None:
    """A time is held for up to five minutes, by making or renewing."""
    made = held_at(wireless)

    with pytest.raises(Incorrect):
        held_at(wireless, 25, lasts=lasts)
    with pytest.raises(Incorrect):
        wireless.desk.booking.renew(made.id, lasts=lasts)


def test_hold_of_a_past_time(wireless: Wireless) -> None:
    """What has begun is not held."""
    with pytest.raises(Incorrect):
        hold(wireless, wireless.coming(-1))


def test_hold_for_two_persons(wireless: Wireless) -> None:
    """The name belongs to the number."""
    with pytest.raises(Incorrect):
        held_at(wireless, subject=subject(1))


def test_second_hold_is_the_first(wireless: Wireless) -> None:
    """The same resident's hold of the same time is the one there is."""
    made = held_at(wireless)

    assert hold(wireless, made.timeslot) == made


def test_hold_of_ones_own_booking(wireless: Wireless) -> None:
    """A resident does not hold what they have booked."""
    wanted = wireless.coming()
    wireless.lists(wanted)
    booked = wireless.desk.book(wanted, 0)

    with pytest.raises(AlreadyBooked) as raised:
        hold(wireless, wanted)

    assert raised.value.booking == booked.booking.id


def test_third_hold(wireless: Wireless) -> None:
    """A resident holds two times, and a third when one of them is released."""
    first = held_at(wireless, 24)
    held_at(wireless, 25)

    with pytest.raises(TooManyHolds):
        held_at(wireless, 26)
    wireless.desk.booking.release(first.id)

    assert held_at(wireless, 26).status is BookingStatus.PENDING


def test_held_time_is_not_somebody_elses(wireless: Wireless) -> None:
    """Nobody else books a held time, nor moves a booking to it."""
    wanted = wireless.coming()
    other = wireless.coming(30)
    wireless.lists(wanted, other)
    theirs = wireless.desk.book(other, 1).booking
    hold(wireless, wanted)

    with pytest.raises(TimeslotTaken):
        wireless.desk.book(wanted, 1)
    with pytest.raises(TimeslotTaken):
        wireless.desk.move(theirs.id, wanted)

    assert wireless.desk.booking.read(theirs.id).timeslot.start == other.start


def test_own_hold_is_booked(wireless: Wireless) -> None:
    """Booking a time that one holds books the hold: same id, one MakeBooking."""
    made = held_at(wireless)

    booked = wireless.desk.book(made.timeslot, 0, reason="Ont")

    assert (booked.is_new, booked.booking.id, booked.booking.status) == (
        True,
        made.id,
        BookingStatus.BOOKED,
    )
    assert booked.booking.held_until is None
    assert len(wireless.adapter.asked(MakeBooking)) == 1
    assert wireless.adapter.asked(MakeBooking)[0].reason == "Ont"


def test_hold_is_booked_by_its_id(wireless: Wireless) -> None:
    """Booking a hold by its id, twice, is one booking."""
    made = held_at(wireless)
    booking = wireless.desk.booking

    first = booking.book_held(made.id, subject=subject(0), reason="Ont")
    second = booking.book_held(made.id, subject=subject(0), reason="Ont")

    assert (first.is_new, first.booking.status) == (True, BookingStatus.BOOKED)
    assert (second.is_new, second.booking.id) == (False, made.id)
    assert len(wireless.adapter.asked(MakeBooking)) == 1


def test_hold_with_a_name_is_booked_without_one(wireless: Wireless) -> None:
    """The name may come with the hold or with the booking."""
    made = held_at(wireless, subject=subject(0))

    wireless.desk.booking.book_held(made.id)

    (sent,) = wireless.adapter.asked(MakeBooking)
    assert sent.subject_of_care == subject(0)


def test_hold_without_a_name_is_not_booked_without_one(wireless: Wireless) -> None:
    """The contract requires names: without them it stays held."""
    made = held_at(wireless)

    with pytest.raises(Incorrect):
        wireless.desk.booking.book_held(made.id)

    assert wireless.desk.is_held(made.timeslot)


def test_hold_is_not_booked_for_somebody_else(wireless: Wireless) -> None:
    """A client with the hold's id still cannot book it for another person."""
    made = held_at(wireless)

    with pytest.raises(Incorrect):
        wireless.desk.booking.book_held(made.id, subject=subject(1))


def test_unknown_hold(wireless: Wireless) -> None:
    """What never was is not found."""
    nobody = "00000000-0000-4000-8000-000000000000"

    for attempt in (
        wireless.desk.booking.book_held,
        wireless.desk.booking.renew,
        wireless.desk.booking.release,
    ):
        with pytest.raises(NotFound):
            attempt(nobody)


def test_hold_that_the_region_gave_away(wireless: Wireless) -> None:
    """A held time that its source no longer lists is released, with TimeslotTaken."""
    made = held_at(wireless)
    wireless.lists()

    with pytest.raises(TimeslotTaken):
        wireless.desk.booking.book_held(made.id, subject=subject(0))

    assert not wireless.desk.is_held(made.timeslot)
    assert wireless.adapter.asked(MakeBooking) == []


def test_hold_of_which_the_booking_is_refused(wireless: Wireless) -> None:
    """The region's no is the resident's answer, and nothing stays held."""
    made = held_at(wireless)
    wireless.adapter.result = WriteResult(code=ResultCode.ERROR, text="Nej.")

    with pytest.raises(Refused):
        wireless.desk.booking.book_held(made.id, subject=subject(0))

    assert not wireless.desk.is_held(made.timeslot)
    assert wireless.desk.booking.read(made.id).status is BookingStatus.CANCELLED


def test_hold_that_is_over_is_booked_anew(wireless: Wireless) -> None:
    """A free time is claimed anew, under another id."""
    made = over(wireless)

    booked = wireless.desk.booking.book_held(made.id, subject=subject(0))

    assert booked.is_new
    assert booked.booking.status is BookingStatus.BOOKED
    assert booked.booking.id != made.id
    assert wireless.desk.booking.read(made.id).status is BookingStatus.CANCELLED


def test_hold_that_is_over_and_taken(wireless: Wireless) -> None:
    """Where somebody else has the time there is nothing to book."""
    made = over(wireless)
    wireless.desk.book(made.timeslot, 1)

    with pytest.raises(TimeslotTaken):
        wireless.desk.booking.book_held(made.id, subject=subject(0))


def test_hold_that_is_over_is_tidied_up(wireless: Wireless) -> None:
    """Reconciliation ends it; nothing is asked of the region for that."""
    made = over(wireless)
    wireless.adapter.calls.clear()

    wireless.desk.reconciliation.run_once()

    assert wireless.desk.journal.lookups.find_pending(made.id) is None
    assert wireless.adapter.calls == []


def test_released_hold(wireless: Wireless) -> None:
    """A released hold is cancelled, once, and can be neither renewed nor booked."""
    made = held_at(wireless)
    booking = wireless.desk.booking

    released = booking.release(made.id)

    assert released.status is BookingStatus.CANCELLED
    assert booking.release(made.id) == released
    assert not wireless.desk.is_held(made.timeslot)
    with pytest.raises(HoldOver):
        booking.renew(made.id)
    with pytest.raises(HoldOver):
        booking.book_held(made.id, subject=subject(0))


def test_cancelled_hold_is_released(wireless: Wireless) -> None:
    """Cancelling a hold releases it; nothing is sent."""
    made = held_at(wireless)

    cancelled = wireless.desk.booking.cancel(made.id)

    assert cancelled.status is BookingStatus.CANCELLED
    assert not wireless.desk.is_held(made.timeslot)


def test_hold_is_not_moved(wireless: Wireless) -> None:
    """Only what is booked can be moved."""
    made = held_at(wireless)

    with pytest.raises(Conflict):
        wireless.desk.move(made.id, wireless.coming(30))


def test_renewed_hold(wireless: Wireless) -> None:
    """Renewing moves the end of a hold."""
    made = held_at(wireless, lasts=timedelta(seconds=30))

    renewed = wireless.desk.booking.renew(made.id)

    assert renewed.held_until - made.held_until > timedelta(minutes=4)


def test_booked_hold_is_not_released(wireless: Wireless) -> None:
    """A booking is cancelled, not released."""
    made = held_at(wireless)
    wireless.desk.booking.book_held(made.id, subject=subject(0))

    with pytest.raises(HoldOver):
        wireless.desk.booking.release(made.id)

    assert wireless.desk.booking.read(made.id).status is BookingStatus.BOOKED


def test_holds_and_bookings_of_a_counted_time(make_wireless: MakeWireless) -> None:
    """Of three equal times one is booked and two are held, and there is no fourth."""
    adapter = AnsweringAdapter()
    wireless = make_wireless(adapter)
    three = wireless.coming(count=3)
    wireless.lists(three)
    wireless.desk.book(three, 0)
    # The source lists what is left: it knows of the booking and of no hold.
    wireless.lists(wireless.coming(count=2))
    hold(wireless, three, 1)
    hold(wireless, three, 2)

    with pytest.raises(TimeslotTaken):
        hold(wireless, three, 3)

    assert wireless.desk.held() == {three.token: 3}


def test_hold_shows_in_the_residents_list(wireless: Wireless) -> None:
    """A resident sees what is held for them, and not what was."""
    made = held_at(wireless)
    listed = wireless.desk.residents.list_of(number(0)).bookings
    wireless.desk.booking.release(made.id)

    assert listed == (made,)
    assert wireless.desk.residents.list_of(number(0)).bookings == ()


def test_time_of_another_schedule_is_not_held(wireless: Wireless) -> None:
    """A hold is of one schedule's time; the same hour of another stays free."""
    wanted = wireless.coming()
    beside = timeslot(0, of=schedule(performer="SE2321000016-P1"), after=wanted.start)
    wireless.lists(wanted, beside)
    hold(wireless, wanted)

    assert hold(wireless, beside, 1).status is BookingStatus.PENDING


def test_hold_that_is_over_is_offered_within_a_second(wireless: Wireless) -> None:
    """Searches leave a held time out, and have it again soon after, by itself."""
    held = HeldTimeslots(wireless.desk.journal.places)
    made = held_at(wireless, lasts=timedelta(seconds=0.4))
    token = made.timeslot.token
    was_hidden = held.changes() == {token: (inf,)}
    give_up_at = made.held_until + timedelta(seconds=5)
    while held.changes() != {token: ()} and now() < give_up_at:
        threading.Event().wait(0.02)

    late = now() - made.held_until
    assert was_hidden
    assert timedelta() <= late < timedelta(seconds=1)
