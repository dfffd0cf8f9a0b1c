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
    GetBookingDetails,
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


@dataclass
class NamingAndDenying(AnsweringAdapter):
    """
    A source that answers ERROR with an id, and has what the test gives it.

    Attributes:
        books: What it books under that id; None for nothing.
        is_listing: Whether its list has that, or only its details.
    """

    books: Callable[[Booking], Booking | None] = lambda each: each
    is_listing: bool = True

    def make_booking(self, request: MakeBooking, *, timeout: float) -> WriteResult:
        """Book something, and deny it."""
        made = super().make_booking(request, timeout=timeout)
        assert made.booking_id is not None
        booked = self.books(self.book.pop(made.booking_id))
        if booked is not None:
            self.book[made.booking_id] = booked
        return replace(NO, booking_id=made.booking_id)

    def get_subject_of_care_schedule(
        self, query: GetSubjectOfCareSchedule, *, timeout: float
    ) -> BookedTimes:
        """Return the book, or an empty list."""
        answer = super().get_subject_of_care_schedule(query, timeout=timeout)
        return answer if self.is_listing else replace(answer, bookings=())


def later(each: Booking) -> Booking:
    """Return a booking a quarter of an hour later."""
    assert each.start is not None
    assert each.end is not None
    quarter = timedelta(minutes=15)
    return replace(each, start=each.start + quarter, end=each.end + quarter)


@pytest.mark.parametrize("is_listing", [True, False], ids=["listed", "in details"])
def test_a_no_with_an_id_at_another_time_is_something_else(
    make_wireless: MakeWireless, *, is_listing: bool
) -> None:
    """ERROR with an id that the region shows at another time: it booked that."""
    wireless = make_wireless(NamingAndDenying(books=later, is_listing=is_listing))
    wanted = wireless.coming()
    wireless.lists(wanted)

    made = wireless.desk.book(wanted, 0).booking
    intent = last_intent(wireless)
    wireless.desk.later(intent, seconds=300)
    read = wireless.desk.booking.read(made.id)

    assert (made.status, read.status, intent.alarm) == (
        BookingStatus.PENDING,
        BookingStatus.PENDING,
        Alarm.SOMETHING_ELSE,
    )


def test_a_no_with_an_id_that_the_details_show_at_its_time_is_booked(
    make_wireless: MakeWireless,
) -> None:
    """ERROR with an id, an empty list, and details of exactly the time: booked."""
    wireless = make_wireless(NamingAndDenying(is_listing=False))
    wanted = wireless.coming()
    wireless.lists(wanted)

    made = wireless.desk.book(wanted, 0).booking

    assert (made.status, made.booking_id) == (BookingStatus.BOOKED, "B-1")


def test_a_no_and_an_item_without_a_time_is_unknown(
    make_wireless: MakeWireless,
) -> None:
    """ERROR with an id, and the list has it without start and end: pending."""
    adapter = NamingAndDenying(books=lambda each: replace(each, start=None, end=None))
    wireless = make_wireless(adapter)
    wanted = wireless.coming()
    wireless.lists(wanted)

    made = wireless.desk.book(wanted, 0).booking

    assert (made.status, last_intent(wireless).alarm) == (
        BookingStatus.PENDING,
        Alarm.AMBIGUOUS,
    )


@pytest.mark.parametrize(
    "books",
    [
        pytest.param(lambda _: None, id="of nothing"),
        pytest.param(
            lambda each: replace(each, start=None, end=None, is_invitation=True),
            id="of an invitation",
        ),
    ],
)
def test_a_no_with_an_id_of_no_booking_is_a_no(
    make_wireless: MakeWireless, books: Callable[[Booking], Booking | None]
) -> None:
    """ERROR with an id that is nobody's booking: nothing was booked."""
    wireless = make_wireless(NamingAndDenying(books=books))
    wanted = wireless.coming()
    wireless.lists(wanted)

    with pytest.raises(Refused):
        wireless.desk.book(wanted, 0)


def test_a_no_with_the_id_of_a_known_booking_is_a_no(
    make_wireless: MakeWireless,
) -> None:
    """ERROR with the id of another Appointment: it hinders this one."""
    adapter = AnsweringAdapter()
    wireless = make_wireless(adapter)
    standing(wireless)
    wanted = wireless.coming(48)
    wireless.lists(wanted)
    adapter.result = replace(NO, booking_id=BookingId("B-1"))

    with pytest.raises(Refused):
        wireless.desk.book(wanted, 0)


@dataclass
class Anonymous(AnsweringAdapter):
    """A source with details that name neither the booking nor the resident."""

    details: Callable[[Booking], Booking] = lambda each: each
    keeps: bool = True
    sold: Booking | None = None

    def make_booking(self, request: MakeBooking, *, timeout: float) -> WriteResult:
        """Book, or only say so."""
        made = super().make_booking(request, timeout=timeout)
        assert made.booking_id is not None
        self.sold = self.book[made.booking_id]
        if not self.keeps:
            self.book.clear()
        return made

    def get_booking_details(
        self,
        query: GetBookingDetails,
        *,
        timeout: float,  # noqa: ARG002 - it answers at once
    ) -> Booking:
        """Return what was asked for, without saying of whom it is."""
        self._begin(scheduling.GET_BOOKING_DETAILS, query)
        assert self.sold is not None
        return self.details(self.sold)


def unnamed(each: Booking) -> Booking:
    """Return a booking without id and person."""
    return replace(each, booking_id=None, subject_of_care=None)


def test_details_without_id_and_person_do_not_move_a_booking(
    make_wireless: MakeWireless,
) -> None:
    """The list decides when the details may be of any booking."""
    adapter = Anonymous(details=lambda each: unnamed(later(each)))
    wireless = make_wireless(adapter)
    made = standing(wireless)

    read = wireless.desk.booking.read(made.id)

    assert (read.status, read.timeslot) == (BookingStatus.BOOKED, made.timeslot)


def test_details_without_id_and_person_do_not_confirm_a_yes(
    make_wireless: MakeWireless,
) -> None:
    """OK, an empty list, and details that repeat the request only: pending."""
    wireless = make_wireless(Anonymous(details=unnamed, keeps=False))
    wanted = wireless.coming()
    wireless.lists(wanted)

    made = wireless.desk.book(wanted, 0).booking

    assert (made.status, last_intent(wireless).state) == (
        BookingStatus.PENDING,
        WriteState.UNKNOWN,
    )


@pytest.mark.parametrize(
    "details",
    [
        pytest.param(lambda each: replace(each, booking_id=None), id="the person"),
        pytest.param(lambda each: replace(each, subject_of_care=None), id="the id"),
    ],
)
def test_details_that_name_the_id_or_the_person_confirm_a_yes(
    make_wireless: MakeWireless, details: Callable[[Booking], Booking]
) -> None:
    """OK, an empty list, and details that name one of the two: booked."""
    wireless = make_wireless(Anonymous(details=details, keeps=False))
    wanted = wireless.coming()
    wireless.lists(wanted)

    assert wireless.desk.book(wanted, 0).booking.status is BookingStatus.BOOKED
