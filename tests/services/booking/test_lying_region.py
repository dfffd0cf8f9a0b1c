"""
A region that answers a write with one thing and lists another.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from builders import SOUTHERN_UNIT, SYD, number, source, southern_source
from doubles import AnsweringAdapter

from fhir_gateway.model import scheduling
from fhir_gateway.model.booking import (
    BookedTimes,
    Booking,
    BookingPermissions,
    BookingStatus,
    CancellationReason,
    ResultCode,
    Wish,
    WriteResult,
)
from fhir_gateway.model.errors import MalformedAnswer, Refused
from fhir_gateway.model.ids import BookingId, TimeTypeId
from fhir_gateway.model.scheduling import (
    CancelBooking,
    GetSubjectOfCareSchedule,
    MakeBooking,
    UpdateBooking,
)
from fhir_gateway.model.timeslot import Timeslot
from fhir_gateway.stores.journal import Alarm, WriteIntent, WriteState
from services.conftest import MakeWireless, Wireless

NO = WriteResult(code=ResultCode.ERROR)


@dataclass
class DoingAndDenying(AnsweringAdapter):
    """
    A source that carries writes out, and answers ERROR.

    Attributes:
        lists: How a booking appears in its list.
        denies: Whether it answers ERROR.
    """

    lists: Callable[[Booking], Booking] = lambda each: each
    denies: bool = True

    def make_booking(self, request: MakeBooking, *, timeout: float) -> WriteResult:
        """Book, and deny it."""
        return self._denied(super().make_booking(request, timeout=timeout))

    def update_booking(self, request: UpdateBooking, *, timeout: float) -> WriteResult:
        """Move, and deny it."""
        return self._denied(super().update_booking(request, timeout=timeout))

    def cancel_booking(self, request: CancelBooking, *, timeout: float) -> WriteResult:
        """Deny; the booking stands."""
        if self.denies:
            self._begin(scheduling.CANCEL_BOOKING, request)
            return NO
        return super().cancel_booking(request, timeout=timeout)

    def get_subject_of_care_schedule(
        self, query: GetSubjectOfCareSchedule, *, timeout: float
    ) -> BookedTimes:
        """Return the book, as it lists it."""
        answer = super().get_subject_of_care_schedule(query, timeout=timeout)
        return replace(answer, bookings=tuple(map(self.lists, answer.bookings)))

    def _denied(self, done: WriteResult) -> WriteResult:
        return NO if self.denies else done


def last_intent(wireless: Wireless) -> WriteIntent:
    """Return the last write to the resident's booking."""
    (record,) = wireless.desk.journal.lookups.list_of_resident(number(0))
    intent = wireless.desk.journal.lookups.find_latest(record.id)
    assert intent is not None
    return intent


LONGER = timedelta(minutes=5)
ALMOST = [
    pytest.param(lambda each: replace(each, end=each.end + LONGER), id="another end"),
    pytest.param(lambda each: replace(each, end=each.start), id="an end at the start"),
    pytest.param(lambda each: replace(each, end=None), id="no end"),
    pytest.param(
        lambda each: replace(each, time_type_id=TimeTypeId("another")),
        id="another time type",
    ),
]


@pytest.mark.parametrize("lists", ALMOST)
def test_a_no_and_a_possible_booking_raise_an_alarm(
    make_wireless: MakeWireless, lists: Callable[[Booking], Booking]
) -> None:
    """ERROR, and the list has something at that start: pending, and a person looks."""
    wireless = make_wireless(DoingAndDenying(lists=lists))
    wanted = wireless.coming()
    wireless.lists(wanted)

    made = wireless.desk.book(wanted, 0).booking

    assert made.status is BookingStatus.PENDING
    intent = last_intent(wireless)
    assert (intent.state, intent.alarm) == (
        WriteState.UNKNOWN,
        Alarm.AMBIGUOUS,
    )


def test_a_denied_move_and_a_possible_new_time_raise_an_alarm(
    make_wireless: MakeWireless,
) -> None:
    """ERROR, and the list has the booking at the new start without an end."""
    adapter = DoingAndDenying(denies=False)
    wireless = make_wireless(adapter)
    made = standing(wireless)
    target = wireless.coming(30)
    wireless.lists(target)
    adapter.denies = True
    adapter.lists = lambda each: replace(each, end=None)

    moved = wireless.desk.move(made.id, target)

    assert (moved.status, last_intent(wireless).alarm) == (
        BookingStatus.PENDING,
        Alarm.AMBIGUOUS,
    )


def test_another_known_booking_at_that_start_is_no_doubt(
    make_wireless: MakeWireless,
) -> None:
    """ERROR, and the list has a booking at that start that is known here: a no."""
    adapter = AnsweringAdapter()
    wireless = make_wireless(adapter)
    made = standing(wireless)
    longer = replace(made.timeslot, end=made.timeslot.end + LONGER)
    wireless.lists(longer)
    adapter.result = NO

    with pytest.raises(Refused):
        wireless.desk.book(longer, 0)


def test_a_denied_cancellation_of_a_booking_at_another_start_stands(
    make_wireless: MakeWireless,
) -> None:
    """ERROR, and the list has the booking's id at another time: not cancelled."""
    adapter = DoingAndDenying(denies=False)
    wireless = make_wireless(adapter)
    made = standing(wireless)
    adapter.denies = True
    hour = timedelta(hours=1)
    adapter.lists = lambda each: replace(
        each, start=each.start + hour, end=each.end + hour
    )

    with pytest.raises(Refused):
        wireless.desk.booking.cancel(made.id)


@pytest.mark.parametrize(
    "moved_by", [timedelta(), timedelta(hours=1)], ids=["same time", "another time"]
)
def test_a_denied_cancellation_of_what_is_listed_at_anothers_unit_is_unknown(
    make_wireless: MakeWireless, moved_by: timedelta
) -> None:
    """ERROR, and the list has the booking's id at another source's unit."""
    adapter = DoingAndDenying(denies=False)
    wireless = make_wireless(
        adapter,
        AnsweringAdapter(name=SYD),
        sources=(source(), southern_source()),
    )
    made = standing(wireless)
    adapter.denies = True
    adapter.lists = lambda each: replace(
        each,
        unit=SOUTHERN_UNIT,
        start=each.start + moved_by,
        end=each.end + moved_by,
    )

    cancelled = wireless.desk.booking.cancel(made.id)

    assert (cancelled.status, last_intent(wireless).state) == (
        BookingStatus.PENDING,
        WriteState.UNKNOWN,
    )


def test_a_denied_booking_that_is_listed_at_anothers_unit_is_unknown(
    make_wireless: MakeWireless,
) -> None:
    """ERROR, and the list has a booking of that start at another source's unit."""
    adapter = DoingAndDenying(lists=lambda each: replace(each, unit=SOUTHERN_UNIT))
    wireless = make_wireless(
        adapter, AnsweringAdapter(name=SYD), sources=(source(), southern_source())
    )
    wanted = wireless.coming()
    wireless.lists(wanted)

    made = wireless.desk.book(wanted, 0).booking

    assert (made.status, last_intent(wireless).state) == (
        BookingStatus.PENDING,
        WriteState.UNKNOWN,
    )


@dataclass
class SayingYes(AnsweringAdapter):
    """A source that says yes and books nothing."""

    def make_booking(self, request: MakeBooking, *, timeout: float) -> WriteResult:
        """Say yes."""
        done = super().make_booking(request, timeout=timeout)
        self.book.clear()
        return done


def test_a_yes_that_list_and_details_deny_is_unknown(
    make_wireless: MakeWireless,
) -> None:
    """OK, a readable list without the booking, and "no such booking": pending."""
    wireless = make_wireless(SayingYes())
    wanted = wireless.coming()
    wireless.lists(wanted)

    made = wireless.desk.book(wanted, 0).booking

    assert (made.status, last_intent(wireless).state) == (
        BookingStatus.PENDING,
        WriteState.UNKNOWN,
    )


def test_a_denied_yes_that_is_seen_later_is_booked(make_wireless: MakeWireless) -> None:
    """A list that lags behind the yes settles it once it has the booking."""
    adapter = SayingYes()
    wireless = make_wireless(adapter)
    wanted = wireless.coming()
    wireless.lists(wanted)
    made = wireless.desk.book(wanted, 0).booking
    adapter.book["B-1"] = Booking(
        unit=wanted.schedule.unit,
        booking_id=BookingId("B-1"),
        start=wanted.start,
        end=wanted.end,
        subject_of_care=number(0),
    )

    read = wireless.desk.booking.read(made.id)

    assert (read.status, read.booking_id) == (BookingStatus.BOOKED, "B-1")


def standing(wireless: Wireless) -> Any:
    """Book a time."""
    wanted: Timeslot = wireless.coming()
    wireless.lists(wanted)
    return wireless.desk.book(wanted, 0).booking


@pytest.mark.parametrize("wish", list(Wish))
def test_a_permission_that_cannot_be_read_is_no_refusal(
    wireless: Wireless, wish: Wish
) -> None:
    """A flag that is neither true nor false: it could not be read, says the answer."""
    made = standing(wireless)
    wireless.adapter.book["B-1"] = replace(
        wireless.adapter.book["B-1"],
        permissions=BookingPermissions(
            cancel=wish is Wish.MESSAGE, unreadable=frozenset({wish})
        ),
    )
    target = wireless.coming(30)
    wireless.lists(target)
    reason = CancellationReason(text="Sjuk", stated='{"text":"Sjuk"}')

    def change() -> object:
        if wish is Wish.REBOOK:
            return wireless.desk.move(made.id, target)
        return wireless.desk.booking.cancel(made.id, reason=reason)

    with pytest.raises(MalformedAnswer, match="could not be read"):
        change()
