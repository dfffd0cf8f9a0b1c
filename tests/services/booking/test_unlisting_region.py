"""
A region that shows a booking in its details, and never in its list.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from builders import NORR, number
from doubles import AnsweringAdapter

from fhir_gateway.model import scheduling
from fhir_gateway.model.booking import (
    BookedTimes,
    BookingStatus,
    ResultCode,
    WriteResult,
)
from fhir_gateway.model.errors import (
    GatewayError,
    MalformedAnswer,
    Refused,
    SourceFault,
    Unavailable,
    Unsupported,
    WriteUnconfirmed,
)
from fhir_gateway.model.scheduling import (
    CancelBooking,
    GetSubjectOfCareSchedule,
    UpdateBooking,
)
from fhir_gateway.stores.journal import Alarm, WriteIntent, WriteState
from services.conftest import MakeWireless, Wireless

DETAILS = scheduling.GET_BOOKING_DETAILS
NO = WriteResult(code=ResultCode.ERROR, text="Bokningen kan inte avbokas.")
FAULTED = WriteUnconfirmed("a fault", source=NORR, is_answered=True)
DROPPED = WriteUnconfirmed("no answer", source=NORR)


@dataclass
class Unlisting(AnsweringAdapter):
    """
    A source with a readable list that never has a booking.

    Attributes:
        cancels: Whether it carries cancellations out.
        said: What it answers to a cancellation.
    """

    cancels: bool = True
    said: WriteResult | GatewayError = field(
        default_factory=lambda: WriteResult(code=ResultCode.OK)
    )

    def cancel_booking(self, request: CancelBooking, *, timeout: float) -> WriteResult:
        """Cancel or not, and give the answer of the test."""
        if self.cancels:
            super().cancel_booking(request, timeout=timeout)
        else:
            self._begin(scheduling.CANCEL_BOOKING, request)
        if isinstance(self.said, GatewayError):
            raise self.said
        return self.said

    def get_subject_of_care_schedule(
        self, query: GetSubjectOfCareSchedule, *, timeout: float
    ) -> BookedTimes:
        """Return an empty list."""
        answer = super().get_subject_of_care_schedule(query, timeout=timeout)
        return replace(answer, bookings=())


def standing(make_wireless: MakeWireless, adapter: Unlisting) -> tuple[Wireless, Any]:
    """Book a time that only the details show."""
    wireless = make_wireless(adapter)
    wanted = wireless.coming()
    wireless.lists(wanted)
    made = wireless.desk.book(wanted, 0).booking
    assert made.status is BookingStatus.BOOKED
    return wireless, made


def last_intent(wireless: Wireless) -> WriteIntent:
    """Return the last write to the resident's booking."""
    (record,) = wireless.desk.journal.lookups.list_of_resident(number(0))
    intent = wireless.desk.journal.lookups.find_latest(record.id)
    assert intent is not None
    return intent


def look_after(wireless: Wireless, *seconds: float) -> None:
    """Look for the outcome of the last write so many seconds after it was sent."""
    for each in seconds:
        intent = last_intent(wireless)
        wireless.desk.later(intent, seconds=each)
        wireless.desk.settlement.settle(intent)


def test_a_refused_cancellation_of_an_unlisted_booking_is_refused(
    make_wireless: MakeWireless,
) -> None:
    """ERROR, and the details show the booking: the region's words, and it stands."""
    adapter = Unlisting(cancels=False, said=NO)
    wireless, made = standing(make_wireless, adapter)

    with pytest.raises(Refused, match="kan inte avbokas"):
        wireless.desk.booking.cancel(made.id)
    assert wireless.desk.booking.read(made.id).status is BookingStatus.BOOKED


def test_a_refused_cancellation_that_was_carried_out_unlisted_is_cancelled(
    make_wireless: MakeWireless,
) -> None:
    """ERROR, and neither list nor details have the booking: it was cancelled."""
    adapter = Unlisting(said=NO)
    wireless, made = standing(make_wireless, adapter)

    cancelled = wireless.desk.booking.cancel(made.id)

    assert cancelled.status is BookingStatus.CANCELLED


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(
            MalformedAnswer("unreadable", element="timeslotDetail", source=NORR),
            id="unreadable",
        ),
        pytest.param(Unavailable("no answer", source=NORR), id="no answer"),
        pytest.param(GatewayError("another's", source=NORR), id="of another booking"),
    ],
)
def test_a_refused_cancellation_with_unreadable_details_is_unknown(
    make_wireless: MakeWireless, error: GatewayError
) -> None:
    """ERROR, the list lacks the booking, and the details prove nothing: pending."""
    adapter = Unlisting(cancels=False, said=NO)
    wireless, made = standing(make_wireless, adapter)
    adapter.before = lambda asked: adapter.errors.update(
        {DETAILS: error} if asked == scheduling.CANCEL_BOOKING else {}
    )

    cancelled = wireless.desk.booking.cancel(made.id)

    assert (cancelled.status, last_intent(wireless).state) == (
        BookingStatus.PENDING,
        WriteState.UNKNOWN,
    )


@pytest.mark.parametrize("said", [FAULTED, DROPPED], ids=["a fault", "no answer"])
def test_an_unanswered_cancellation_is_pending_while_the_details_show_it(
    make_wireless: MakeWireless, said: GatewayError
) -> None:
    """A list that never had the booking proves no cancellation."""
    adapter = Unlisting(cancels=False, said=said)
    wireless, made = standing(make_wireless, adapter)

    cancelled = wireless.desk.booking.cancel(made.id)
    read = wireless.desk.booking.read(made.id)

    assert (cancelled.status, read.status) == (
        BookingStatus.PENDING,
        BookingStatus.PENDING,
    )


@pytest.mark.parametrize("said", [FAULTED, DROPPED], ids=["a fault", "no answer"])
@pytest.mark.parametrize(
    "error",
    [
        None,
        SourceFault("no such booking", source=NORR),
        Unsupported("It has no details.", source=NORR),
    ],
    ids=["not found", "a fault", "unsupported"],
)
def test_an_unanswered_cancellation_is_done_when_the_details_lack_it(
    make_wireless: MakeWireless, said: GatewayError, error: GatewayError | None
) -> None:
    """The details of a cancelled booking may be a fault: then the list decides."""
    adapter = Unlisting(cancels=False, said=said)
    wireless, made = standing(make_wireless, adapter)
    wireless.desk.booking.cancel(made.id)
    adapter.book.clear()
    adapter.errors = {} if error is None else {DETAILS: error}

    read = wireless.desk.booking.read(made.id)

    assert read.status is BookingStatus.CANCELLED


@pytest.mark.parametrize("said", [FAULTED, DROPPED], ids=["a fault", "no answer"])
def test_a_cancellation_that_the_details_never_show_left_no_trace(
    make_wireless: MakeWireless, said: GatewayError
) -> None:
    """Details that show the booking for 90 s prove that it stands, as a list does."""
    adapter = Unlisting(cancels=False, said=said)
    wireless, made = standing(make_wireless, adapter)
    wireless.desk.booking.cancel(made.id)
    look_after(wireless, 30, 120)

    assert (
        wireless.desk.booking.read(made.id).status,
        last_intent(wireless).state,
    ) == (BookingStatus.BOOKED, WriteState.LEFT_NO_TRACE)


def test_a_yes_to_a_cancellation_that_the_details_deny_is_pending(
    make_wireless: MakeWireless,
) -> None:
    """OK, and the details show the booking still: pending until they lack it."""
    adapter = Unlisting(cancels=False)
    wireless, made = standing(make_wireless, adapter)

    cancelled = wireless.desk.booking.cancel(made.id)
    before = wireless.desk.booking.read(made.id)
    adapter.book.clear()
    after = wireless.desk.booking.read(made.id)

    assert (cancelled.status, before.status, after.status) == (
        BookingStatus.PENDING,
        BookingStatus.PENDING,
        BookingStatus.CANCELLED,
    )


def test_a_yes_that_the_details_deny_for_good_needs_a_person(
    make_wireless: MakeWireless,
) -> None:
    """OK, and the details show the booking after `settles_within_s`: an alarm."""
    adapter = Unlisting(cancels=False)
    wireless, made = standing(make_wireless, adapter)
    wireless.desk.booking.cancel(made.id)
    look_after(wireless, 30, 120)

    assert (
        wireless.desk.booking.read(made.id).status,
        last_intent(wireless).alarm,
    ) == (BookingStatus.PENDING, Alarm.AMBIGUOUS)


@dataclass
class DenyingMoves(Unlisting):
    """
    A source that answers ERROR to a move.

    Attributes:
        moves: Whether it carries the move out.
    """

    moves: bool = True

    def update_booking(self, request: UpdateBooking, *, timeout: float) -> WriteResult:
        """Move or not, and deny it."""
        if self.moves:
            super().update_booking(request, timeout=timeout)
        else:
            self._begin(scheduling.UPDATE_BOOKING, request)
        return NO


def test_a_refused_move_that_the_details_show_is_unknown(
    make_wireless: MakeWireless,
) -> None:
    """ERROR, a list without either time, and details of the new one: pending."""
    wireless, made = standing(make_wireless, DenyingMoves())
    target = wireless.coming(30)
    wireless.lists(target)

    moved = wireless.desk.move(made.id, target)

    assert (moved.status, last_intent(wireless).state) == (
        BookingStatus.PENDING,
        WriteState.UNKNOWN,
    )


def test_a_refused_move_of_an_unlisted_booking_is_refused(
    make_wireless: MakeWireless,
) -> None:
    """ERROR, a list without either time, and details of the old one: it stands."""
    wireless, made = standing(make_wireless, DenyingMoves(moves=False))
    target = wireless.coming(30)
    wireless.lists(target)

    with pytest.raises(Refused):
        wireless.desk.move(made.id, target)
    assert wireless.desk.booking.read(made.id).timeslot == made.timeslot
