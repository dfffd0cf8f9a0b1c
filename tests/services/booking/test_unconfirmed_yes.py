"""
A region says yes to a write, and its list does not confirm that.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from builders import NORR, SOUTHERN_UNIT, booked, number, source, timeslot
from doubles import AnsweringAdapter
from sqlalchemy import update

from fhir_gateway.model import scheduling
from fhir_gateway.model.booking import (
    BookedTimes,
    Booking,
    BookingStatus,
    ResultCode,
    WriteResult,
)
from fhir_gateway.model.errors import (
    GatewayError,
    MalformedAnswer,
    NotFound,
    SourceFault,
    Unsupported,
)
from fhir_gateway.model.ids import BookingId, PerformerId, TimeTypeId
from fhir_gateway.model.interaction import Interaction
from fhir_gateway.model.scheduling import (
    CancelBooking,
    GetBookingDetails,
    GetSubjectOfCareSchedule,
    MakeBooking,
    UpdateBooking,
)
from fhir_gateway.model.timeslot import Timeslot
from fhir_gateway.services.booking.reconciliation import Reconciliation
from fhir_gateway.stores.database import Database, database_clock
from fhir_gateway.stores.journal import Alarm, WriteIntent, WriteState
from fhir_gateway.stores.journal.tables import intents
from services.conftest import MakeWireless, Wireless

HOUR = timedelta(hours=1)
LISTS = scheduling.GET_SUBJECT_OF_CARE_SCHEDULE
DETAILS = scheduling.GET_BOOKING_DETAILS
BROKEN = SourceFault("The source answered with a technical fault.", source=NORR)
UNREADABLE = MalformedAnswer(
    "The source's answer cannot be read.", element="timeslotDetail", source=NORR
)


@dataclass
class SayingYes(AnsweringAdapter):
    """
    A source that says yes to every write, and has a book that only a test changes.

    Attributes:
        given_id: The id that it gives a booking.
        listed: What its list has, of anybody.
    """

    given_id: BookingId | None = None
    listed: list[Booking] = field(default_factory=list)

    def make_booking(self, request: MakeBooking, *, timeout: float) -> WriteResult:  # noqa: ARG002 - it answers at once
        """Say yes."""
        self._begin(scheduling.MAKE_BOOKING, request)
        return WriteResult(code=ResultCode.OK, booking_id=self.given_id)

    def update_booking(self, request: UpdateBooking, *, timeout: float) -> WriteResult:  # noqa: ARG002 - it answers at once
        """Say yes."""
        self._begin(scheduling.UPDATE_BOOKING, request)
        return WriteResult(code=ResultCode.OK)

    def cancel_booking(self, request: CancelBooking, *, timeout: float) -> WriteResult:  # noqa: ARG002 - it answers at once
        """Say yes."""
        self._begin(scheduling.CANCEL_BOOKING, request)
        return WriteResult(code=ResultCode.OK)

    def get_booking_details(
        self,
        query: GetBookingDetails,
        *,
        timeout: float,  # noqa: ARG002 - it answers at once
    ) -> Booking:
        """Return the booking of that id, of whomever it is."""
        self._begin(DETAILS, query)
        for each in self.listed:
            if each.booking_id == query.booking_id:
                return each
        raise NotFound("The source has no such booking.", source=self.name)

    def get_subject_of_care_schedule(
        self,
        query: GetSubjectOfCareSchedule,
        *,
        timeout: float,  # noqa: ARG002 - it answers at once
    ) -> BookedTimes:
        """Return all that it lists."""
        self._begin(LISTS, query)
        return BookedTimes(bookings=tuple(self.listed))


def region(
    make_wireless: MakeWireless, adapter: SayingYes
) -> tuple[Wireless, Timeslot]:
    """Return a desk over a source, and a time that it offers."""
    wireless = make_wireless(adapter)
    wanted = wireless.coming()
    wireless.lists(wanted)
    return wireless, wanted


def of(wanted: Timeslot, booking_id: str | None = "B-1", **changed: Any) -> Booking:
    """Return a booking of the resident at a time."""
    return booked(
        wanted,
        booking_id=booking_id,
        **{
            "subject_of_care": number(0),
            "permissions": AnsweringAdapter().permissions,
            **changed,
        },
    )


def last_intent(wireless: Wireless, booking: str) -> WriteIntent:
    """Return the last write to a booking."""
    intent = wireless.desk.journal.lookups.find_latest(booking)
    assert intent is not None
    return intent


def status_and_alarm(
    wireless: Wireless, wanted: Timeslot
) -> tuple[BookingStatus, Alarm | None]:
    """Book a time; return the booking's status and the alarm that it raised."""
    made = wireless.desk.book(wanted, 0).booking
    return made.status, last_intent(wireless, made.id).alarm


def look_after(wireless: Wireless, booking: str, *seconds: float) -> None:
    """Look for the outcome of a write so many seconds after it was sent, each time."""
    for each in seconds:
        intent = last_intent(wireless, booking)
        wireless.desk.later(intent, seconds=each)
        wireless.desk.settlement.settle(intent)


def run_the_worker(wireless: Wireless, database: Database) -> None:
    """Let the worker look at all that waits for a look."""
    with database.writing() as connection:
        connection.execute(update(intents).values(next_look_at=database_clock() - 1))
    Reconciliation(wireless.desk.settlement, wireless.desk.journal).run_once()


def another_end(each: Booking) -> Booking:
    """Return a booking that takes longer."""
    assert each.end is not None
    return replace(each, end=each.end + HOUR)


def another_time(each: Booking) -> Booking:
    """Return a booking an hour later."""
    assert each.start is not None
    assert each.end is not None
    return replace(each, start=each.start + HOUR, end=each.end + HOUR)


NO_DETAILS = [
    pytest.param(None, id="not found"),
    pytest.param(BROKEN, id="a fault"),
    pytest.param(UNREADABLE, id="unreadable"),
    pytest.param(Unsupported("It has no details.", source=NORR), id="unsupported"),
]
GIVEN = [
    pytest.param(None, id="without an id"),
    pytest.param(BookingId("B-1"), id="with an id"),
]


@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("error", NO_DETAILS)
def test_a_yes_that_the_list_lacks_is_pending(
    make_wireless: MakeWireless, given: BookingId | None, error: Exception | None
) -> None:
    """OK and a readable list without the booking: its outcome is unknown, no alarm."""
    adapter = SayingYes(given_id=given)
    wireless, wanted = region(make_wireless, adapter)
    adapter.errors = {} if error is None else {DETAILS: error}

    made = wireless.desk.book(wanted, 0).booking
    read = wireless.desk.booking.read(made.id)

    intent = last_intent(wireless, made.id)
    assert (made.status, read.status, intent.state, intent.alarm) == (
        BookingStatus.PENDING,
        BookingStatus.PENDING,
        WriteState.UNKNOWN,
        None,
    )


@pytest.mark.parametrize("given", GIVEN)
def test_a_yes_that_the_list_lacks_is_sent_once(
    make_wireless: MakeWireless, given: BookingId | None
) -> None:
    """A client that asks again gets the same pending Appointment."""
    adapter = SayingYes(given_id=given)
    wireless, wanted = region(make_wireless, adapter)
    made = wireless.desk.book(wanted, 0).booking
    wireless.desk.booking.read(made.id)

    again = wireless.desk.book(wanted, 0).booking

    assert (again.id, again.status, len(adapter.asked(MakeBooking))) == (
        made.id,
        BookingStatus.PENDING,
        1,
    )


@pytest.mark.parametrize("given", GIVEN)
def test_a_yes_that_the_list_shows_later_is_booked(
    make_wireless: MakeWireless, given: BookingId | None
) -> None:
    """A list that lags makes one Appointment booked, the first."""
    adapter = SayingYes(given_id=given)
    wireless, wanted = region(make_wireless, adapter)
    made = wireless.desk.book(wanted, 0).booking
    wireless.desk.booking.read(made.id)
    adapter.listed = [of(wanted)]

    read = wireless.desk.booking.read(made.id)
    listed = wireless.desk.residents.list_of(number(0)).bookings

    assert (read.status, read.booking_id) == (BookingStatus.BOOKED, "B-1")
    assert [(each.id, each.status) for each in listed] == [
        (made.id, BookingStatus.BOOKED)
    ]


@pytest.mark.parametrize("given", GIVEN)
def test_a_yes_that_the_list_never_shows_needs_a_person(
    make_wireless: MakeWireless, given: BookingId | None
) -> None:
    """Absence never makes a yes "cancelled": it stays pending, with an alarm."""
    adapter = SayingYes(given_id=given)
    wireless, wanted = region(make_wireless, adapter)
    made = wireless.desk.book(wanted, 0).booking
    alarms = []
    for seconds in (30, 95, 120, 900):
        look_after(wireless, made.id, seconds)
        alarms.append(last_intent(wireless, made.id).alarm)

    read = wireless.desk.booking.read(made.id)

    assert alarms[:1] == [None]
    assert alarms[-1] is Alarm.AMBIGUOUS
    assert (read.status, last_intent(wireless, made.id).state) == (
        BookingStatus.PENDING,
        WriteState.UNKNOWN,
    )
    assert wireless.desk.is_held(wanted)


@pytest.mark.parametrize(
    "lists",
    [
        pytest.param(another_end, id="another end"),
        pytest.param(lambda each: replace(each, end=None), id="no end"),
        pytest.param(
            lambda each: replace(each, time_type_id=TimeTypeId("9")), id="another type"
        ),
        pytest.param(lambda each: replace(each, start=None, end=None), id="no start"),
    ],
)
def test_a_yes_and_something_else_at_that_start_needs_a_person(
    make_wireless: MakeWireless, lists: Callable[[Booking], Booking]
) -> None:
    """OK without an id, and the list has something that may be it: AMBIGUOUS."""
    adapter = SayingYes()
    wireless, wanted = region(make_wireless, adapter)
    adapter.listed = [lists(of(wanted))]

    assert status_and_alarm(wireless, wanted) == (
        BookingStatus.PENDING,
        Alarm.AMBIGUOUS,
    )


def test_a_yes_and_a_known_booking_at_that_start_is_only_unseen(
    make_wireless: MakeWireless,
) -> None:
    """Another booking of the resident's that is known here raises no alarm."""
    adapter = SayingYes()
    wireless, wanted = region(make_wireless, adapter)
    known = timeslot(24, after=wireless.desk.clock().replace(minute=0, second=0))
    adapter.listed = [another_end(of(wanted, "B-7"))]
    wireless.desk.journal.reports.adopt(
        source=NORR,
        booking=adapter.listed[0],
        timeslot=replace(known, start=wanted.start, end=wanted.end + HOUR),
        number=number(0),
    )

    assert status_and_alarm(wireless, wanted) == (BookingStatus.PENDING, None)


@pytest.mark.parametrize("error", NO_DETAILS)
@pytest.mark.parametrize(
    "lists",
    [
        pytest.param(another_end, id="another end"),
        pytest.param(another_time, id="another time"),
        pytest.param(
            lambda each: replace(each, time_type_id=TimeTypeId("9")), id="another type"
        ),
    ],
)
def test_a_yes_with_an_id_that_is_listed_elsewhere_is_something_else(
    make_wireless: MakeWireless,
    lists: Callable[[Booking], Booking],
    error: Exception | None,
) -> None:
    """OK with B-1, and the list has B-1 at another time: the region booked that."""
    adapter = SayingYes(given_id=BookingId("B-1"))
    wireless, wanted = region(make_wireless, adapter)
    adapter.listed = [lists(of(wanted))]
    adapter.errors = {} if error is None else {DETAILS: error}

    assert status_and_alarm(wireless, wanted) == (
        BookingStatus.PENDING,
        Alarm.SOMETHING_ELSE,
    )


def test_a_yes_with_an_id_of_another_performer_is_something_else(
    make_wireless: MakeWireless,
) -> None:
    """The performer is part of what was wanted, where both state one."""
    adapter = SayingYes(given_id=BookingId("B-1"))
    wireless = make_wireless(adapter)
    wanted = wireless.coming()
    wanted = replace(
        wanted,
        schedule=replace(wanted.schedule, performer=PerformerId("SE2321000016-P01")),
    )
    wireless.lists(wanted)
    adapter.listed = [of(wanted, performer=PerformerId("SE2321000016-P02"))]

    assert status_and_alarm(wireless, wanted) == (
        BookingStatus.PENDING,
        Alarm.SOMETHING_ELSE,
    )


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"subject_of_care": number(9)}, id="another person's"),
        pytest.param({"unit": SOUTHERN_UNIT}, id="at another source's unit"),
    ],
)
@pytest.mark.parametrize("given", GIVEN)
def test_a_yes_and_a_strange_booking_at_that_start_is_something_else(
    make_wireless: MakeWireless, changed: dict[str, Any], given: BookingId | None
) -> None:
    """Another person's booking at that start may be what the region booked."""
    adapter = SayingYes(given_id=given)
    wireless, wanted = region(make_wireless, adapter)
    later = replace(wanted, start=wanted.start + HOUR, end=wanted.end + HOUR)
    adapter.listed = [of(wanted, "B-8", **changed), of(later, "B-7")]
    adapter.errors = {DETAILS: BROKEN}

    assert status_and_alarm(wireless, wanted) == (
        BookingStatus.PENDING,
        Alarm.SOMETHING_ELSE,
    )


def unseen(make_wireless: MakeWireless) -> tuple[Wireless, SayingYes, Any]:
    """Book with a yes while the list cannot be read; it can be read afterwards."""
    adapter = SayingYes(given_id=BookingId("B-1"))
    wireless, wanted = region(make_wireless, adapter)
    adapter.errors = {LISTS: BROKEN}
    made = wireless.desk.book(wanted, 0).booking
    adapter.errors = {DETAILS: BROKEN}
    assert made.status is BookingStatus.BOOKED
    return wireless, adapter, made


def test_what_was_never_seen_is_not_cancelled_elsewhere(
    make_wireless: MakeWireless,
) -> None:
    """A booking that no list has shown is pending again when a list lacks it."""
    wireless, _, made = unseen(make_wireless)

    read = wireless.desk.booking.read(made.id)

    assert (read.status, last_intent(wireless, made.id).state) == (
        BookingStatus.PENDING,
        WriteState.UNKNOWN,
    )
    assert wireless.desk.is_held(made.timeslot)


def test_what_was_never_seen_needs_a_person_in_the_end(
    make_wireless: MakeWireless, own_database: Database
) -> None:
    """The worker's look finds it absent; the alarm follows when that is for good."""
    wireless, _, made = unseen(make_wireless)
    run_the_worker(wireless, own_database)
    look_after(wireless, made.id, 91, 120)

    intent = last_intent(wireless, made.id)
    assert (intent.state, intent.alarm) == (WriteState.UNKNOWN, Alarm.AMBIGUOUS)


def test_what_was_seen_once_can_be_cancelled_elsewhere(
    make_wireless: MakeWireless,
) -> None:
    """A booking that its list has shown and then lacks was cancelled at the unit."""
    wireless, adapter, made = unseen(make_wireless)
    adapter.listed = [of(made.timeslot)]
    wireless.desk.booking.read(made.id)
    adapter.listed = []

    read = wireless.desk.booking.read(made.id)

    assert read.status is BookingStatus.CANCELLED


def seen(make_wireless: MakeWireless) -> tuple[Wireless, SayingYes, Any]:
    """Book a time that the list has."""
    adapter = SayingYes(given_id=BookingId("B-1"))
    wireless, wanted = region(make_wireless, adapter)
    adapter.listed = [of(wanted)]
    made = wireless.desk.book(wanted, 0).booking
    assert made.status is BookingStatus.BOOKED
    return wireless, adapter, made


@pytest.mark.parametrize(
    ("error", "status"),
    [
        pytest.param(None, BookingStatus.CANCELLED, id="not found"),
        pytest.param(BROKEN, BookingStatus.CANCELLED, id="a fault"),
        pytest.param(
            Unsupported("It has no details.", source=NORR),
            BookingStatus.CANCELLED,
            id="unsupported",
        ),
        pytest.param(UNREADABLE, BookingStatus.BOOKED, id="unreadable"),
        pytest.param(
            GatewayError("At a strange unit.", source=NORR),
            BookingStatus.BOOKED,
            id="something else",
        ),
    ],
)
def test_only_no_or_a_fault_lets_the_list_decide(
    make_wireless: MakeWireless, error: Exception | None, status: BookingStatus
) -> None:
    """Details that cannot be read do not prove that the booking is gone."""
    wireless, adapter, made = seen(make_wireless)
    adapter.listed = []
    adapter.errors = {} if error is None else {DETAILS: error}

    assert wireless.desk.booking.read(made.id).status is status


def test_a_list_that_has_it_outweighs_unreadable_details(
    make_wireless: MakeWireless,
) -> None:
    """A booking with unreadable details is updated from the list."""
    wireless, adapter, made = seen(make_wireless)
    adapter.listed = [another_time(of(made.timeslot))]
    adapter.errors = {DETAILS: UNREADABLE}

    read = wireless.desk.booking.read(made.id)

    assert read.timeslot.start == made.timeslot.start + HOUR


# Cancellations


def test_a_cancelled_booking_that_is_still_listed_is_pending(
    make_wireless: MakeWireless,
) -> None:
    """OK to a cancellation, and the list has the booking: unknown, no alarm yet."""
    wireless, _, made = seen(make_wireless)

    cancelled = wireless.desk.booking.cancel(made.id)
    listed = wireless.desk.residents.list_of(number(0)).bookings

    assert (cancelled.status, last_intent(wireless, made.id).alarm) == (
        BookingStatus.PENDING,
        None,
    )
    assert [(each.id, each.status) for each in listed] == [
        (made.id, BookingStatus.PENDING)
    ]


def test_a_cancelled_booking_that_leaves_the_list_is_cancelled(
    make_wireless: MakeWireless,
) -> None:
    """A list that lags settles the cancellation when it catches up; no alarm."""
    wireless, adapter, made = seen(make_wireless)
    wireless.desk.booking.cancel(made.id)
    adapter.listed = []

    read = wireless.desk.booking.read(made.id)

    assert (read.status, last_intent(wireless, made.id).alarm) == (
        BookingStatus.CANCELLED,
        None,
    )


@pytest.mark.parametrize(
    "lists",
    [
        pytest.param(lambda each: each, id="as it was"),
        pytest.param(another_time, id="at another time"),
        pytest.param(lambda each: replace(each, booking_id=None), id="without its id"),
        pytest.param(lambda each: replace(each, end=None), id="without an end"),
    ],
)
def test_a_cancelled_booking_that_stays_listed_needs_a_person(
    make_wireless: MakeWireless, lists: Callable[[Booking], Booking]
) -> None:
    """After `settles_within_s` the list contradicts the yes: an alarm, and pending."""
    wireless, adapter, made = seen(make_wireless)
    adapter.listed = [lists(of(made.timeslot))]
    wireless.desk.booking.cancel(made.id)
    alarms = [last_intent(wireless, made.id).alarm]
    look_after(wireless, made.id, 91, 120)
    alarms.append(last_intent(wireless, made.id).alarm)

    read = wireless.desk.booking.read(made.id)

    assert (alarms, read.status) == ([None, Alarm.AMBIGUOUS], BookingStatus.PENDING)


def test_a_cancelled_booking_under_a_new_id_is_pending(
    make_wireless: MakeWireless,
) -> None:
    """OK, and the list has exactly its time under a new id only: the same booking."""
    wireless, adapter, made = seen(make_wireless)
    list_after_a_cancellation(adapter, of(made.timeslot, "B-8"))

    cancelled = wireless.desk.booking.cancel(made.id)
    listed = wireless.desk.residents.list_of(number(0)).bookings
    look_after(wireless, made.id, 91, 120)
    read = wireless.desk.booking.read(made.id)

    assert (cancelled.status, [each.id for each in listed], read.status) == (
        BookingStatus.PENDING,
        [made.id],
        BookingStatus.PENDING,
    )
    assert last_intent(wireless, made.id).alarm is Alarm.AMBIGUOUS


def test_a_known_booking_at_its_time_does_not_hinder_a_cancellation(
    make_wireless: MakeWireless,
) -> None:
    """The list has its time under the id of another Appointment: it is cancelled."""
    wireless, adapter, made = seen(make_wireless)
    other = of(made.timeslot, "B-8")
    wireless.desk.journal.reports.adopt(
        source=NORR, booking=other, timeslot=made.timeslot, number=number(0)
    )
    list_after_a_cancellation(adapter, other)

    cancelled = wireless.desk.booking.cancel(made.id)

    assert cancelled.status is BookingStatus.CANCELLED


def test_another_end_under_another_id_does_not_hinder_a_cancellation(
    make_wireless: MakeWireless,
) -> None:
    """What the list has under another id with another end is another booking."""
    wireless, adapter, made = seen(make_wireless)
    list_after_a_cancellation(adapter, another_end(of(made.timeslot, "B-8")))

    cancelled = wireless.desk.booking.cancel(made.id)

    assert cancelled.status is BookingStatus.CANCELLED


def test_a_duplicate_does_not_hinder_a_cancellation(
    make_wireless: MakeWireless,
) -> None:
    """A second booking that raised DUPLICATE stands; the first is cancelled."""
    wireless, adapter, made = seen(make_wireless)
    second = of(made.timeslot, "B-8")
    adapter.listed = [*adapter.listed, second]
    look_after(wireless, made.id, 30)
    assert last_intent(wireless, made.id).alarm is Alarm.DUPLICATE
    list_after_a_cancellation(adapter, second)

    cancelled = wireless.desk.booking.cancel(made.id)

    assert cancelled.status is BookingStatus.CANCELLED


def list_after_a_cancellation(adapter: SayingYes, *listed: Booking) -> None:
    """Let the source list these bookings as soon as it gets a CancelBooking."""

    def rename(interaction: Interaction) -> None:
        if interaction == scheduling.CANCEL_BOOKING:
            adapter.listed = list(listed)

    adapter.before = rename


def cancelled_unseen(make_wireless: MakeWireless) -> tuple[Wireless, Any]:
    """Cancel while the list cannot be read; it has the booking afterwards."""
    wireless, adapter, made = seen(make_wireless)
    adapter.errors = {LISTS: BROKEN}
    cancelled = wireless.desk.booking.cancel(made.id)
    adapter.errors = {}
    assert cancelled.status is BookingStatus.CANCELLED
    return wireless, made


def test_a_booking_that_was_just_cancelled_is_not_adopted(
    make_wireless: MakeWireless,
) -> None:
    """A list that lags brings no second Appointment for the booking's id."""
    wireless, made = cancelled_unseen(make_wireless)
    wireless.desk.journal.reports.adopt(
        source=NORR,
        booking=of(wireless.coming(48), "B-5"),
        timeslot=wireless.coming(48),
        number=number(0),
    )

    listed = wireless.desk.residents.list_of(number(0)).bookings

    assert [(each.id, each.status) for each in listed if each.booking_id == "B-1"] == [
        (made.id, BookingStatus.CANCELLED)
    ]


def test_an_unseen_cancellation_is_looked_at_later(
    make_wireless: MakeWireless, own_database: Database
) -> None:
    """A cancellation is looked at again when its list could not be read: an alarm."""
    wireless, made = cancelled_unseen(make_wireless)
    run_the_worker(wireless, own_database)

    assert last_intent(wireless, made.id).alarm is Alarm.AMBIGUOUS


# Moves


def test_a_move_that_left_the_old_time_raises_an_alarm(
    make_wireless: MakeWireless,
) -> None:
    """OK to a move, and both times are listed: moved, with the alarm DUPLICATE."""
    wireless, adapter, made = seen(make_wireless)
    target = wireless.coming(30)
    wireless.lists(target)
    adapter.listed = [of(made.timeslot), of(target, "B-2")]

    moved = wireless.desk.move(made.id, target)

    assert (moved.timeslot.start, last_intent(wireless, made.id).alarm) == (
        target.start,
        Alarm.DUPLICATE,
    )


def test_a_move_that_only_has_the_new_time_raises_no_alarm(
    make_wireless: MakeWireless,
) -> None:
    """A move is done when the list lacks the old time."""
    wireless, adapter, made = seen(make_wireless)
    target = wireless.coming(30)
    wireless.lists(target)
    adapter.listed = [of(target)]

    moved = wireless.desk.move(made.id, target)

    assert (moved.status, last_intent(wireless, made.id).alarm) == (
        BookingStatus.BOOKED,
        None,
    )


def test_a_move_that_the_region_only_said_yes_to_needs_a_person(
    make_wireless: MakeWireless,
) -> None:
    """OK to a move, and the old time stands for good: pending, with an alarm."""
    wireless, adapter, made = seen(make_wireless)
    target = wireless.coming(30)
    wireless.lists(target)
    moved = wireless.desk.move(made.id, target)
    look_after(wireless, made.id, 30, 91, 120)

    assert adapter.listed == [of(made.timeslot)]
    assert (moved.status, last_intent(wireless, made.id).alarm) == (
        BookingStatus.PENDING,
        Alarm.AMBIGUOUS,
    )


def test_a_source_may_settle_a_yes_faster(make_wireless: MakeWireless) -> None:
    """The alarm follows the source's own `settles_within`."""
    adapter = SayingYes()
    wireless = make_wireless(
        adapter, sources=(source(settles_within=timedelta(seconds=6)),)
    )
    wanted = wireless.coming()
    wireless.lists(wanted)
    made = wireless.desk.book(wanted, 0).booking
    look_after(wireless, made.id, 7, 9)

    assert last_intent(wireless, made.id).alarm is Alarm.AMBIGUOUS
