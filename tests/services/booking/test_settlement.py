"""
Settling writes of unknown outcome: what settles one, and what raises an alarm.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

import pytest
from builders import (
    NORR,
    SOUTHERN_UNIT,
    SYD,
    booked,
    number,
    schedule,
    source,
    southern_source,
    subject,
)
from doubles import AnsweringAdapter
from granting import GRANT
from sqlalchemy import select, update
from structlog.testing import capture_logs

from fhir_gateway.model import scheduling
from fhir_gateway.model.booking import BookingStatus, WriteResult
from fhir_gateway.model.errors import SourceFault, Unavailable, WriteUnconfirmed
from fhir_gateway.model.ids import BookingId, LogicalAddress, SourceName
from fhir_gateway.model.interaction import Interaction
from fhir_gateway.model.scheduling import (
    CancelBooking,
    GetSubjectOfCareSchedule,
    MakeBooking,
    UpdateBooking,
)
from fhir_gateway.model.timeslot import Timeslot
from fhir_gateway.services.booking.reconciliation import Reconciliation
from fhir_gateway.stores.database import Database, database_clock
from fhir_gateway.stores.journal import Alarm, BookingState, WriteIntent, WriteState
from fhir_gateway.stores.journal.tables import intents
from services.conftest import MakeWireless, Wireless

LOST = WriteUnconfirmed("The source was sent a write and gave no answer.", source=NORR)
BROKEN = SourceFault("The source answered with a technical fault.", source=NORR)
SCHEDULE = scheduling.GET_SUBJECT_OF_CARE_SCHEDULE


def unknown(wireless: Wireless, hours: float = 24) -> Any:
    """Book a time with an unknown outcome; it was not booked."""
    wanted = wireless.coming(hours)
    wireless.lists(wanted)
    wireless.adapter.errors[scheduling.MAKE_BOOKING] = LOST
    made = wireless.desk.book(wanted, 0).booking
    wireless.adapter.errors.clear()
    assert made.status is BookingStatus.PENDING
    return made


def standing(wireless: Wireless, hours: float = 24) -> Any:
    """Book a time."""
    wanted = wireless.coming(hours)
    wireless.lists(wanted)
    return wireless.desk.book(wanted, 0).booking


def unknown_move(wireless: Wireless) -> tuple[Any, Timeslot]:
    """Book a time, and move it with an unknown outcome; it was not moved."""
    made = standing(wireless)
    target = wireless.coming(30)
    wireless.lists(target)
    wireless.adapter.errors[scheduling.UPDATE_BOOKING] = LOST
    wireless.desk.move(made.id, target)
    wireless.adapter.errors.clear()
    return made, target


def unknown_cancellation(wireless: Wireless) -> Any:
    """Book a time, and cancel it with an unknown outcome; it was not cancelled."""
    made = standing(wireless)
    wireless.adapter.errors[scheduling.CANCEL_BOOKING] = LOST
    cancelled = wireless.desk.booking.cancel(made.id)
    wireless.adapter.errors.clear()
    assert cancelled.status is BookingStatus.PENDING
    return made


def in_the_book(
    wireless: Wireless, of: Timeslot, booking_id: str = "B-9", **more: Any
) -> None:
    """Let a booking of the resident's appear in the region's book."""
    fields = {"subject_of_care": number(0), "permissions": wireless.adapter.permissions}
    wireless.adapter.book[booking_id] = booked(
        of, booking_id=booking_id, **fields | more
    )


def look(wireless: Wireless, booking: str, **after: float) -> None:
    """Look at the source, so long after the write was sent."""
    intent = wireless.desk.undecided(booking)
    if after:
        wireless.desk.later(intent, **after)
    wireless.desk.settlement.settle(intent)


def settled(wireless: Wireless, booking: str) -> WriteIntent:
    """Return the last write to a booking."""
    intent = wireless.desk.journal.lookups.find_latest(booking)
    assert intent is not None
    return intent


def not_booked(wireless: Wireless) -> Any:
    """Return a booking that was settled by its absence."""
    made = unknown(wireless)
    look(wireless, made.id, seconds=91)
    look(wireless, made.id, seconds=120)
    assert settled(wireless, made.id).state is WriteState.LEFT_NO_TRACE
    return made


# Absence


@pytest.mark.parametrize(
    ("first", "second", "state"),
    [
        pytest.param(1, 89, WriteState.UNKNOWN, id="too soon"),
        pytest.param(91, 100, WriteState.UNKNOWN, id="too close to each other"),
        pytest.param(1, 91, WriteState.LEFT_NO_TRACE, id="the second late enough"),
        pytest.param(91, 120, WriteState.LEFT_NO_TRACE, id="both late"),
    ],
)
def test_absence_takes_two_looks_and_its_time(
    wireless: Wireless,
    own_database: Database,
    first: float,
    second: float,
    state: WriteState,
) -> None:
    """Not sent: 90 s after it was sent, and 15 s after it was first seen absent."""
    made = unknown(wireless)
    look(wireless, made.id, seconds=first)
    intent = wireless.desk.undecided(made.id)
    assert intent.sent_at is not None
    with own_database.writing() as connection:
        connection.execute(
            update(intents)
            .where(intents.c.id == intent.id)
            .values(unchanged_at=intent.sent_at.timestamp() + first)
        )

    look(wireless, made.id, seconds=second)

    assert settled(wireless, made.id).state is state
    assert wireless.desk.is_held(made.timeslot) == (state is WriteState.UNKNOWN)


def test_a_source_may_settle_faster(make_wireless: MakeWireless) -> None:
    """How late a source can act is a setting of the source."""
    quick = source(settles_within=timedelta(seconds=6))
    wireless = make_wireless(sources=(quick,))
    made = unknown(wireless)

    look(wireless, made.id, seconds=1)
    look(wireless, made.id, seconds=7)

    assert settled(wireless, made.id).state is WriteState.LEFT_NO_TRACE


def test_a_look_that_failed_is_no_look(wireless: Wireless) -> None:
    """However often a source cannot be read, that says nothing of a booking."""
    made = unknown(wireless)
    wireless.adapter.errors[SCHEDULE] = BROKEN
    for minutes in range(2, 9):
        intent = wireless.desk.undecided(made.id)
        wireless.desk.later(intent, minutes=minutes)
        with pytest.raises(SourceFault):
            wireless.desk.settlement.settle(intent)
        wireless.desk.settlement.postpone(intent)
    wireless.adapter.errors.clear()

    look(wireless, made.id, minutes=9)

    intent = wireless.desk.undecided(made.id)
    assert (intent.state, intent.attempts) == (WriteState.UNKNOWN, 8)


def test_looks_that_fail_become_seldom(
    wireless: Wireless, own_database: Database
) -> None:
    """15 s, 30 s, 1 min, 2 min, and then every 5 min."""
    made = unknown(wireless)
    pauses = []
    for _ in range(6):
        wireless.desk.settlement.postpone(wireless.desk.undecided(made.id))
        with own_database.reading() as connection:
            pause = connection.execute(
                select(intents.c.next_look_at - database_clock())
            ).scalar_one()
        pauses.append(round(float(pause)))

    assert pauses == [15, 30, 60, 120, 300, 300]


def test_no_alarm_is_raised_before_ten_minutes(wireless: Wireless) -> None:
    """One alarm, ten minutes after a write of unknown outcome."""
    made = unknown(wireless)
    with capture_logs() as logs:
        for minutes in (9, 11, 12):
            intent = wireless.desk.undecided(made.id)
            wireless.desk.later(intent, minutes=minutes)
            wireless.desk.settlement.postpone(intent)

    events = [each["event"] for each in logs if each["log_level"] == "error"]
    assert events == ["outcome overdue"]
    assert wireless.desk.undecided(made.id).alarm is Alarm.OVERDUE


def test_what_has_begun_is_not_settled_by_absence(wireless: Wireless) -> None:
    """A source need not list what is past: only a person can settle that."""
    made = unknown(wireless, hours=2)
    for hours in (3, 5):
        look(wireless, made.id, hours=hours)

    intent = wireless.desk.undecided(made.id)
    assert (intent.state, intent.alarm) == (WriteState.UNKNOWN, Alarm.BEGUN)
    assert wireless.desk.booking.read(made.id).status is BookingStatus.PENDING


def test_a_cancellation_of_what_has_begun_is_not_settled_by_absence(
    wireless: Wireless,
) -> None:
    """That a past time is not listed does not say that it was cancelled."""
    made = unknown_cancellation(wireless)
    wireless.adapter.book.clear()

    look(wireless, made.id, hours=25)

    intent = wireless.desk.undecided(made.id)
    assert (intent.state, intent.alarm) == (WriteState.UNKNOWN, Alarm.BEGUN)


def test_a_cancellation_that_was_not_carried_out(wireless: Wireless) -> None:
    """A booking that still stands long after was never cancelled."""
    made = unknown_cancellation(wireless)
    look(wireless, made.id, seconds=91)
    look(wireless, made.id, seconds=120)

    assert settled(wireless, made.id).state is WriteState.LEFT_NO_TRACE
    assert wireless.desk.booking.read(made.id).status is BookingStatus.BOOKED


# What is seen


def test_a_booking_that_is_seen_is_booked(wireless: Wireless) -> None:
    """One look that finds it is enough, at any time."""
    made = unknown(wireless)
    in_the_book(wireless, made.timeslot)

    found = wireless.desk.booking.read(made.id)

    assert (found.status, found.booking_id) == (BookingStatus.BOOKED, "B-9")


def test_two_bookings_are_one_and_an_alarm(wireless: Wireless) -> None:
    """A platform's double delivery is booked once here, with an alarm."""
    made = unknown(wireless)
    in_the_book(wireless, made.timeslot, "B-8")
    in_the_book(wireless, made.timeslot, "B-9")
    with capture_logs() as logs:
        found = wireless.desk.booking.read(made.id)

    assert found.status is BookingStatus.BOOKED
    assert settled(wireless, made.id).alarm is Alarm.DUPLICATE
    assert [each["event"] for each in logs if each["log_level"] == "error"] == [
        "duplicate booking"
    ]


@pytest.mark.parametrize("twice", [True, False], ids=["twice", "once"])
def test_what_was_seen_early_is_looked_at_once_more(
    wireless: Wireless, own_database: Database, *, twice: bool
) -> None:
    """The platform may deliver again what was seen at once: a double is an alarm."""
    made = unknown(wireless)
    in_the_book(wireless, made.timeslot, "B-8")
    seen = wireless.desk.booking.read(made.id)
    if twice:
        in_the_book(wireless, made.timeslot, "B-9")
    with own_database.writing() as connection:
        connection.execute(
            update(intents)
            .where(intents.c.next_look_at.is_not(None))
            .values(next_look_at=database_clock() - 1)
        )
    Reconciliation(wireless.desk.settlement, wireless.desk.journal).run_once()

    assert seen.status is BookingStatus.BOOKED
    assert settled(wireless, made.id).alarm is (Alarm.DUPLICATE if twice else None)
    assert wireless.desk.journal.outcomes.take_unseen(limit=9, lease=timedelta()) == ()


def booked_unseen(wireless: Wireless) -> Any:
    """Book a time with a yes, while the region's list cannot be read."""
    wanted = wireless.coming()
    wireless.lists(wanted)
    wireless.adapter.errors[SCHEDULE] = BROKEN
    made = wireless.desk.book(wanted, 0).booking
    wireless.adapter.errors.clear()
    assert made.status is BookingStatus.BOOKED
    return made


@pytest.mark.parametrize("twice", [True, False], ids=["twice", "once"])
def test_what_was_booked_unseen_is_looked_at(
    wireless: Wireless, own_database: Database, *, twice: bool
) -> None:
    """After a yes without a readable list, a later look finds a double: an alarm."""
    made = booked_unseen(wireless)
    if twice:
        in_the_book(wireless, made.timeslot, "B-8")
    reconciliation = Reconciliation(wireless.desk.settlement, wireless.desk.journal)
    reconciliation.run_once()
    too_soon = settled(wireless, made.id).alarm
    with own_database.writing() as connection:
        connection.execute(update(intents).values(next_look_at=database_clock() - 1))
    reconciliation.run_once()

    assert too_soon is None
    assert settled(wireless, made.id).alarm is (Alarm.DUPLICATE if twice else None)
    assert wireless.desk.journal.outcomes.take_unseen(limit=9, lease=timedelta()) == ()
    assert wireless.desk.booking.read(made.id).status is BookingStatus.BOOKED


@pytest.mark.parametrize("twice", [True, False], ids=["twice", "once"])
def test_what_was_cancelled_unseen_is_looked_at(
    wireless: Wireless, own_database: Database, *, twice: bool
) -> None:
    """A double that stands on after the cancellation is an alarm."""
    made = booked_unseen(wireless)
    wireless.desk.booking.cancel(made.id)
    if twice:
        in_the_book(wireless, made.timeslot, "B-8")
    with own_database.writing() as connection:
        connection.execute(update(intents).values(next_look_at=database_clock() - 1))
    with capture_logs() as logs:
        Reconciliation(wireless.desk.settlement, wireless.desk.journal).run_once()

    assert [each["event"] for each in logs if each["log_level"] == "error"] == (
        ["duplicate booking"] if twice else []
    )
    assert wireless.desk.journal.outcomes.take_unseen(limit=9, lease=timedelta()) == ()


def test_what_was_booked_anew_since_is_no_double(
    wireless: Wireless, own_database: Database
) -> None:
    """Cancelled and booked again, a time that was not seen at first stands once."""
    made = booked_unseen(wireless)
    wireless.desk.booking.cancel(made.id)
    again = wireless.desk.book(made.timeslot, 0).booking
    with own_database.writing() as connection:
        connection.execute(update(intents).values(next_look_at=database_clock() - 1))
    with capture_logs() as logs:
        Reconciliation(wireless.desk.settlement, wireless.desk.journal).run_once()

    assert (again.id != made.id, again.status) == (True, BookingStatus.BOOKED)
    assert not [each for each in logs if each["log_level"] == "error"]


@pytest.mark.parametrize("pending", [True, False], ids=["as it is settled", "later"])
def test_any_list_with_a_duplicate_raises_an_alarm(
    wireless: Wireless, *, pending: bool
) -> None:
    """A list that is read for another reason shows it as well."""
    made = (unknown_cancellation if pending else standing)(wireless)
    in_the_book(wireless, made.timeslot, "B-8")
    wireless.adapter.errors[scheduling.GET_BOOKING_DETAILS] = BROKEN
    with capture_logs() as logs:
        found = wireless.desk.booking.read(made.id)

    assert found.status is (BookingStatus.PENDING if pending else BookingStatus.BOOKED)
    assert settled(wireless, made.id).alarm is Alarm.DUPLICATE
    assert [each["event"] for each in logs if each["log_level"] == "error"] == [
        "duplicate booking"
    ]


def test_what_cannot_be_seen_is_looked_at_again(
    wireless: Wireless, own_database: Database
) -> None:
    """A look that fails ends nothing: it is looked at until it is seen."""
    made = booked_unseen(wireless)
    in_the_book(wireless, made.timeslot, "B-8")
    wireless.adapter.errors[SCHEDULE] = BROKEN
    reconciliation = Reconciliation(wireless.desk.settlement, wireless.desk.journal)
    alarms = []
    for _ in range(2):
        with own_database.writing() as connection:
            connection.execute(
                update(intents).values(next_look_at=database_clock() - 1)
            )
        reconciliation.run_once()
        alarms.append(settled(wireless, made.id).alarm)
        wireless.adapter.errors.clear()

    assert alarms == [None, Alarm.DUPLICATE]


def other_end(of: Timeslot) -> dict[str, Any]:
    """Return what makes a booking another one that begins at the same time."""
    return {"end": of.end + timedelta(minutes=5)}


@pytest.mark.parametrize(
    "says",
    [
        pytest.param(other_end, id="another end"),
        pytest.param(lambda _: {"end": None}, id="no end"),
        pytest.param(lambda _: {"start": None, "end": None}, id="no time"),
        pytest.param(lambda _: {"time_type_id": "TT-ANNAT"}, id="another type"),
    ],
)
def test_a_possible_booking_raises_an_alarm(
    wireless: Wireless, says: Callable[[Timeslot], dict[str, Any]]
) -> None:
    """A booking that may be the wanted one settles nothing; the time stays locked."""
    made = unknown(wireless)
    in_the_book(wireless, made.timeslot, **says(made.timeslot))
    look(wireless, made.id, minutes=5)
    look(wireless, made.id, minutes=9)

    intent = wireless.desk.undecided(made.id)
    assert (intent.state, intent.alarm) == (WriteState.UNKNOWN, Alarm.AMBIGUOUS)
    assert wireless.desk.is_held(made.timeslot)


def test_an_ambiguous_outcome_can_become_clear(wireless: Wireless) -> None:
    """The alarm does not keep a sure sign from settling it."""
    made = unknown(wireless)
    in_the_book(wireless, made.timeslot, end=None)
    look(wireless, made.id)
    in_the_book(wireless, made.timeslot)

    assert wireless.desk.booking.read(made.id).status is BookingStatus.BOOKED


def test_an_open_invitation_is_no_candidate(wireless: Wireless) -> None:
    """An invitation without a time is nothing that was booked."""
    made = unknown(wireless)
    in_the_book(wireless, made.timeslot, start=None, end=None, is_invitation=True)

    look(wireless, made.id, seconds=91)
    look(wireless, made.id, seconds=120)

    assert settled(wireless, made.id).state is WriteState.LEFT_NO_TRACE


@dataclass
class GossipingAdapter(AnsweringAdapter):
    """A source that lists other persons' bookings."""

    def get_subject_of_care_schedule(
        self, query: GetSubjectOfCareSchedule, *, timeout: float
    ) -> Any:
        """Return everything."""
        answer = super().get_subject_of_care_schedule(query, timeout=timeout)
        return replace(answer, bookings=tuple(self.book.values()))


def test_another_persons_booking_settles_nothing(make_wireless: MakeWireless) -> None:
    """A list that has somebody else's booking of that time says nothing of ours."""
    wireless = make_wireless(GossipingAdapter())
    made = unknown(wireless)
    in_the_book(wireless, made.timeslot, subject_of_care=number(1))

    assert wireless.desk.booking.read(made.id).status is BookingStatus.PENDING


def test_a_yes_to_something_else_is_not_settled_by_absence(
    make_wireless: MakeWireless,
) -> None:
    """The region has booked something: that ours is absent does not undo it."""

    @dataclass
    class Elsewhere(AnsweringAdapter):
        def make_booking(self, request: MakeBooking, *, timeout: float) -> WriteResult:
            made = super().make_booking(request, timeout=timeout)
            assert made.booking_id is not None
            booking = self.book[made.booking_id]
            assert booking.start is not None
            assert booking.end is not None
            self.book[made.booking_id] = replace(
                booking,
                start=booking.start + timedelta(hours=1),
                end=booking.end + timedelta(hours=1),
            )
            return made

    wireless = make_wireless(Elsewhere())
    wanted = wireless.coming()
    wireless.lists(wanted)
    made = wireless.desk.book(wanted, 0).booking
    look(wireless, made.id, minutes=2)
    look(wireless, made.id, minutes=5)

    intent = wireless.desk.undecided(made.id)
    assert (intent.state, intent.alarm) == (
        WriteState.UNKNOWN,
        Alarm.SOMETHING_ELSE,
    )


# Moves


def test_a_move_that_was_not_carried_out(wireless: Wireless) -> None:
    """The old time stands, and the new one is free again."""
    made, target = unknown_move(wireless)
    look(wireless, made.id, seconds=91)
    look(wireless, made.id, seconds=120)

    found = wireless.desk.booking.read(made.id)
    assert (found.status, found.timeslot.start) == (
        BookingStatus.BOOKED,
        made.timeslot.start,
    )
    assert not wireless.desk.is_held(target)
    assert wireless.desk.is_held(made.timeslot)


def test_a_move_with_neither_time_listed_raises_an_alarm(wireless: Wireless) -> None:
    """Neither the old time nor the new one is listed: the move stays unknown."""
    made, target = unknown_move(wireless)
    wireless.adapter.book.clear()
    look(wireless, made.id, seconds=91)
    look(wireless, made.id, seconds=120)

    assert wireless.desk.undecided(made.id).alarm is Alarm.AMBIGUOUS
    assert wireless.desk.is_held(target)
    assert wireless.desk.is_held(made.timeslot)


def test_a_move_that_left_both_is_moved_and_an_alarm(wireless: Wireless) -> None:
    """The new time is the resident's; that the old one stands too is an alarm."""
    made, target = unknown_move(wireless)
    in_the_book(wireless, target)

    found = wireless.desk.booking.read(made.id)

    assert (found.status, found.timeslot.start) == (BookingStatus.BOOKED, target.start)
    assert settled(wireless, made.id).alarm is Alarm.DUPLICATE


# Contradicted later


@pytest.mark.parametrize("way", ["read", "list"])
def test_a_booking_that_was_denied_and_appears(
    make_wireless: MakeWireless, way: str
) -> None:
    """The same appointment becomes booked, its time is held, an alarm is raised."""
    wireless = make_wireless(sources=(source(schedule_address=LogicalAddress("24")),))
    made = not_booked(wireless)
    in_the_book(wireless, made.timeslot)
    with capture_logs() as logs:
        if way == "read":
            found = wireless.desk.booking.read(made.id)
        else:
            (found,) = wireless.desk.residents.list_of(number(0)).bookings

    assert (found.id, found.status, found.booking_id) == (
        made.id,
        BookingStatus.BOOKED,
        "B-9",
    )
    assert wireless.desk.is_held(made.timeslot)
    assert settled(wireless, made.id).alarm is Alarm.CONTRADICTED
    assert [each["event"] for each in logs if each["log_level"] == "error"] == [
        "settled outcome was wrong"
    ]


def test_a_time_that_was_sold_again_meanwhile(wireless: Wireless) -> None:
    """The region confirmed it to two residents: both are booked, with an alarm."""
    made = not_booked(wireless)
    theirs = wireless.desk.book(made.timeslot, 1).booking
    in_the_book(wireless, made.timeslot)

    ours = wireless.desk.booking.read(made.id)

    assert ours.status is BookingStatus.BOOKED
    assert wireless.desk.booking.read(theirs.id).status is BookingStatus.BOOKED
    assert wireless.desk.held() == {made.timeslot.token: 2}
    assert settled(wireless, made.id).alarm is Alarm.CONTRADICTED


def test_a_time_that_was_booked_again_contradicts_nothing(wireless: Wireless) -> None:
    """A resident who tried again and got it has one booking, under its new id."""
    made = not_booked(wireless)
    again = wireless.desk.book(made.timeslot, 0).booking

    assert again.status is BookingStatus.BOOKED
    assert wireless.desk.booking.read(made.id).status is BookingStatus.CANCELLED
    assert settled(wireless, made.id).alarm is None
    (listed,) = wireless.desk.residents.list_of(number(0)).bookings
    assert listed.id == again.id


@dataclass
class LateAdapter(AnsweringAdapter):
    """
    A source that gets its writes late.

    Attributes:
        late: What happens until then.
        fails: The error of the call; None for an answer.
        arrives: Whether it is done.
    """

    late: Callable[[], None] = lambda: None
    fails: Exception | None = None
    arrives: bool = True

    def make_booking(self, request: MakeBooking, *, timeout: float) -> WriteResult:
        """Book late."""
        return self._late(
            lambda: super(LateAdapter, self).make_booking(request, timeout=timeout)
        )

    def update_booking(self, request: UpdateBooking, *, timeout: float) -> WriteResult:
        """Move late."""
        return self._late(
            lambda: super(LateAdapter, self).update_booking(request, timeout=timeout)
        )

    def cancel_booking(self, request: CancelBooking, *, timeout: float) -> WriteResult:
        """Cancel late."""
        return self._late(
            lambda: super(LateAdapter, self).cancel_booking(request, timeout=timeout)
        )

    def _late(self, write: Callable[[], WriteResult]) -> WriteResult:
        self.late()
        self.late = lambda: None
        if not self.arrives:
            assert self.fails is not None
            raise self.fails
        result = write()
        if self.fails is not None:
            raise self.fails
        return result


def give_up(wireless: Wireless, kind: str) -> None:
    """Settle what is under way as not sent, as a reconciler would in the end."""
    for record in wireless.desk.journal.lookups.list_of_resident(number(0)):
        intent = wireless.desk.journal.lookups.find_pending(record.id)
        if intent is not None and intent.kind.value == kind:
            for seconds in (91, 120):
                look(wireless, record.id, seconds=seconds)
            assert settled(wireless, record.id).state is WriteState.LEFT_NO_TRACE


def test_a_late_yes_to_a_booking(make_wireless: MakeWireless) -> None:
    """What the region says in the end is what is true: booked, with an alarm."""
    adapter = LateAdapter()
    wireless = make_wireless(adapter)
    adapter.late = lambda: give_up(wireless, "MAKE")

    made = standing(wireless)

    assert (made.status, made.booking_id) == (BookingStatus.BOOKED, "B-1")
    assert wireless.desk.is_held(made.timeslot)
    assert settled(wireless, made.id).alarm is Alarm.CONTRADICTED


def test_a_late_yes_to_a_move(make_wireless: MakeWireless) -> None:
    """A move that was given up and was done has moved the booking."""
    adapter = LateAdapter()
    wireless = make_wireless(adapter)
    made = standing(wireless)
    target = wireless.coming(30)
    wireless.lists(target)
    adapter.late = lambda: give_up(wireless, "UPDATE")

    moved = wireless.desk.move(made.id, target)

    assert (moved.status, moved.timeslot.start) == (BookingStatus.BOOKED, target.start)
    assert wireless.desk.held() == {target.token: 1}
    assert settled(wireless, made.id).alarm is Alarm.CONTRADICTED


def test_a_late_yes_to_a_cancellation(make_wireless: MakeWireless) -> None:
    """A cancellation that was given up and was done has cancelled the booking."""
    adapter = LateAdapter()
    wireless = make_wireless(adapter)
    made = standing(wireless)
    adapter.late = lambda: give_up(wireless, "CANCEL")

    cancelled = wireless.desk.booking.cancel(made.id)

    assert cancelled.status is BookingStatus.CANCELLED
    assert wireless.desk.held() == {}
    assert settled(wireless, made.id).alarm is Alarm.CONTRADICTED


WRITES = {
    "MAKE": lambda wireless, _: standing(wireless),
    "UPDATE": lambda wireless, made: wireless.desk.move(made.id, wireless.coming(30)),
    "CANCEL": lambda wireless, made: wireless.desk.booking.cancel(made.id),
}
DONE = {
    "MAKE": (BookingStatus.BOOKED, 24),
    "UPDATE": (BookingStatus.BOOKED, 30),
    "CANCEL": (BookingStatus.CANCELLED, 24),
}


def written_late(
    make_wireless: MakeWireless,
    kind: str,
    late: Callable[[Wireless, str], None],
    **adapter: Any,
) -> tuple[Wireless, Any]:
    """Do a write that reaches its source after another event."""
    slow = LateAdapter()
    wireless = make_wireless(slow)
    made = None if kind == "MAKE" else standing(wireless)
    wireless.lists(wireless.coming(24), wireless.coming(30))
    slow.late = lambda: late(wireless, kind)
    for name, value in adapter.items():
        setattr(slow, name, value)
    return wireless, WRITES[kind](wireless, made)


@pytest.mark.parametrize("kind", WRITES)
def test_what_is_sent_after_it_was_given_up_is_unknown(
    make_wireless: MakeWireless, kind: str
) -> None:
    """The earlier absence proves nothing: it is looked for anew, with an alarm."""
    wireless, made = written_late(make_wireless, kind, give_up, fails=LOST)
    before = (made.status, settled(wireless, made.id).state)

    look(wireless, made.id, seconds=1)

    found = wireless.desk.booking.read(made.id)
    status, hours = DONE[kind]
    assert before == (BookingStatus.PENDING, WriteState.UNKNOWN)
    assert (found.status, found.timeslot.start) == (
        status,
        wireless.coming(hours).start,
    )
    assert settled(wireless, made.id).alarm is Alarm.CONTRADICTED


def begin_to_give_up(wireless: Wireless, kind: str) -> None:
    """Look for what is under way once, long after it was said to be sent."""
    for record in wireless.desk.journal.lookups.list_of_resident(number(0)):
        intent = wireless.desk.journal.lookups.find_pending(record.id)
        if intent is not None and intent.kind.value == kind:
            wireless.desk.journal.settlements.settle_unknown(intent)
            look(wireless, record.id, seconds=91)


@pytest.mark.parametrize("kind", WRITES)
def test_what_is_sent_while_it_is_looked_for_is_looked_for_anew(
    make_wireless: MakeWireless, kind: str
) -> None:
    """The 90 s begin when it left, not when it was said to leave."""
    wireless, made = written_late(
        make_wireless, kind, begin_to_give_up, fails=LOST, arrives=False
    )

    wireless.desk.clock.forward(seconds=20)
    look(wireless, made.id)
    soon = settled(wireless, made.id)
    look(wireless, made.id, seconds=200)

    assert made.status is BookingStatus.PENDING
    assert soon.state is WriteState.UNKNOWN
    assert settled(wireless, made.id).state is WriteState.LEFT_NO_TRACE


@pytest.mark.parametrize("kind", WRITES)
def test_a_write_that_was_given_up_and_not_sent_is_unavailable(
    make_wireless: MakeWireless, kind: str
) -> None:
    """The client gets "nothing was sent", not a booking of another write."""
    with pytest.raises(Unavailable, match="nothing was sent"):
        written_late(
            make_wireless,
            kind,
            give_up,
            fails=Unavailable("could not be reached; nothing was sent"),
            arrives=False,
        )


def recheck_settled(wireless: Wireless, database: Database) -> None:
    """Let it be time for the look after the last one."""
    with database.writing() as connection:
        connection.execute(update(intents).values(next_look_at=database_clock() - 1))
    Reconciliation(wireless.desk.settlement, wireless.desk.journal).run_once()


def test_absence_is_looked_at_once_more(
    wireless: Wireless, own_database: Database
) -> None:
    """What arrives later than any sender lives is found without anybody's asking."""
    made = not_booked(wireless)
    in_the_book(wireless, made.timeslot)
    Reconciliation(wireless.desk.settlement, wireless.desk.journal).run_once()
    too_soon = wireless.desk.journal.lookups.get(made.id).state

    recheck_settled(wireless, own_database)

    assert too_soon is BookingState.NOT_MADE
    assert wireless.desk.journal.lookups.get(made.id).state is BookingState.BOOKED
    assert settled(wireless, made.id).alarm is Alarm.CONTRADICTED


def test_absence_that_lasts_is_looked_at_no_more(
    wireless: Wireless, own_database: Database
) -> None:
    """A second look that finds nothing is the last."""
    made = not_booked(wireless)

    recheck_settled(wireless, own_database)

    assert wireless.desk.journal.lookups.get(made.id).state is BookingState.NOT_MADE
    assert wireless.desk.journal.outcomes.take_unseen(limit=9, lease=timedelta()) == ()


def test_a_cancellation_that_is_carried_out_very_late(
    wireless: Wireless, own_database: Database
) -> None:
    """A booking that disappears after its cancellation was given up is cancelled."""
    made = unknown_cancellation(wireless)
    look(wireless, made.id, seconds=91)
    look(wireless, made.id, seconds=120)
    wireless.adapter.book.clear()

    recheck_settled(wireless, own_database)

    assert wireless.desk.journal.lookups.get(made.id).state is BookingState.CANCELLED


def test_a_read_returns_what_was_settled_meanwhile(wireless: Wireless) -> None:
    """A cancellation that is settled while a booking is read is not read over."""
    made = unknown_cancellation(wireless)
    wireless.adapter.errors[SCHEDULE] = BROKEN
    wireless.adapter.errors[scheduling.GET_BOOKING_DETAILS] = BROKEN

    def settle_elsewhere(interaction: Interaction) -> None:
        if interaction == scheduling.GET_BOOKING_DETAILS:
            intent = wireless.desk.undecided(made.id)
            wireless.desk.journal.settlements.settle_cancelled(intent)

    wireless.adapter.before = settle_elsewhere

    assert wireless.desk.booking.read(made.id).status is BookingStatus.CANCELLED


def test_a_second_cancellation_while_the_first_is_unknown(wireless: Wireless) -> None:
    """It is the first: pending, and sent once."""
    made = unknown_cancellation(wireless)

    second = wireless.desk.booking.cancel(made.id)

    assert second.status is BookingStatus.PENDING
    assert len(wireless.adapter.asked(CancelBooking)) == 1


# Several reconcilers


def test_each_write_is_looked_after_by_one(wireless: Wireless) -> None:
    """Of reconcilers that work at once each write is asked about by one."""
    for hours in (24, 25, 26):
        unknown(wireless, hours)
    wireless.adapter.calls.clear()
    desk = wireless.desk
    reconcilers = [Reconciliation(desk.settlement, desk.journal) for _ in range(4)]
    start = threading.Barrier(4)

    def run(reconciler: Reconciliation) -> None:
        start.wait()
        reconciler.run_once()

    with ThreadPoolExecutor(4) as executor:
        list(executor.map(run, reconcilers))

    assert len(wireless.adapter.asked(GetSubjectOfCareSchedule)) == 3


def test_writes_of_a_source_are_looked_after_at_once(wireless: Wireless) -> None:
    """The second does not wait for the first."""
    for hours in (24, 25, 26):
        unknown(wireless, hours)
    together = threading.Barrier(3)

    def wait(interaction: Interaction) -> None:
        if interaction == SCHEDULE:
            together.wait(10)

    wireless.adapter.before = wait

    wireless.desk.reconciliation.run_once()

    assert not together.broken


def test_a_source_that_hangs_delays_no_other(make_wireless: MakeWireless) -> None:
    """However many of its writes wait, another source's is looked for meanwhile."""
    syd = AnsweringAdapter(SYD)
    wireless = make_wireless(
        AnsweringAdapter(), syd, sources=(source(), southern_source())
    )
    for hours in range(24, 48):
        left_by_a_dead_sender(wireless, NORR, wireless.coming(hours))
    southern = wireless.coming(24, of=schedule(unit=SOUTHERN_UNIT))
    left_by_a_dead_sender(wireless, SYD, southern)
    syd_was_asked, stop = threading.Event(), threading.Event()
    syd.before = lambda _: syd_was_asked.set()

    def hang(_: Interaction) -> None:
        stop.wait(10)

    wireless.adapter.before = hang
    reconciler = threading.Thread(
        target=Reconciliation(wireless.desk.settlement, wireless.desk.journal).run,
        args=(stop,),
    )

    reconciler.start()
    was_asked = syd_was_asked.wait(5)
    stop.set()
    reconciler.join()

    assert was_asked
    assert len(wireless.adapter.asked(GetSubjectOfCareSchedule)) == 4


def test_a_row_that_cannot_be_read_stops_no_other_source(
    make_wireless: MakeWireless, own_database: Database
) -> None:
    """A fault of ours at one source is logged, and others' writes are settled."""
    syd = AnsweringAdapter(SYD)
    wireless = make_wireless(
        AnsweringAdapter(), syd, sources=(source(), southern_source())
    )
    broken = left_by_a_dead_sender(wireless, NORR, wireless.coming())
    with own_database.writing() as connection:
        connection.execute(
            update(intents).where(intents.c.id == broken.id).values(timeslot={})
        )
    southern = wireless.coming(24, of=schedule(unit=SOUTHERN_UNIT))
    left_by_a_dead_sender(wireless, SYD, southern)
    stop, syd_was_asked = threading.Event(), threading.Event()
    syd.before = lambda _: syd_was_asked.set()
    reconciler = threading.Thread(target=wireless.desk.reconciliation.run, args=(stop,))

    with capture_logs() as logs:
        reconciler.start()
        was_asked = syd_was_asked.wait(5)
        deadline = monotonic() + 5
        failed: list[Any] = []
        while not failed and monotonic() < deadline:
            stop.wait(0.01)
            failed = [each for each in logs if each["event"] == "reconciliation failed"]
        stop.set()
        reconciler.join()

    assert was_asked
    assert [(each["source"], each["kind"]) for each in failed] == [(NORR, "KeyError")]
    assert len(syd.asked(GetSubjectOfCareSchedule)) == 1


def left_by_a_dead_sender(
    wireless: Wireless, source_name: SourceName, wanted: Timeslot
) -> WriteIntent:
    """Leave a sent write of a process that has died."""
    journal = wireless.desk.journal
    intent = journal.intents.claim_make(
        source=source_name, timeslot=wanted, subject=subject(0), grant=GRANT
    )
    return journal.intents.mark_sent(intent, lease=timedelta())


def test_an_unknown_hold_of_a_booking_is_found(wireless: Wireless) -> None:
    """What needs a person can be listed, with its booking."""
    made = unknown(wireless)
    in_the_book(wireless, made.timeslot, end=None)
    look(wireless, made.id)

    ((record, intent),) = wireless.desk.journal.outcomes.list_alarms(
        since=datetime.fromtimestamp(0, UTC)
    )

    assert (record.id, record.state, intent.alarm) == (
        made.id,
        BookingState.PENDING,
        Alarm.AMBIGUOUS,
    )


def test_subject_of_a_settled_booking_is_kept(wireless: Wireless) -> None:
    """A booking that was found out has the resident's name and the region's id."""
    made = unknown(wireless)
    in_the_book(wireless, made.timeslot)
    wireless.desk.booking.read(made.id)

    record = wireless.desk.journal.lookups.get(made.id)
    assert (record.subject, record.booking_id) == (subject(0), BookingId("B-9"))


def test_what_a_dead_sender_left_is_unknown(wireless: Wireless) -> None:
    """From then on any read may settle it, and so may an operator."""
    wanted = wireless.coming()
    desk = wireless.desk
    intent = left_by_a_dead_sender(wireless, NORR, wanted)

    desk.reconciliation.run_once()

    assert desk.undecided(intent.booking).state is WriteState.UNKNOWN
    in_the_book(wireless, wanted)
    assert desk.booking.read(intent.booking).status is BookingStatus.BOOKED


def test_a_source_that_is_configured_no_more(wireless: Wireless) -> None:
    """Its unknown write stays unknown, and its bookings are as they were last known."""
    made = unknown(wireless)
    other = standing(wireless, 30)
    del wireless.sources[NORR]

    wireless.desk.reconciliation.run_once()

    assert wireless.desk.undecided(made.id).attempts == 1
    assert wireless.desk.booking.read(made.id).status is BookingStatus.PENDING
    assert wireless.desk.booking.read(other.id).status is BookingStatus.BOOKED
    with pytest.raises(Unavailable):
        wireless.desk.booking.cancel(other.id)


def test_a_fault_of_ours_leaves_the_others_alone(wireless: Wireless) -> None:
    """One write that cannot be looked for does not keep the others unknown."""
    first, second = unknown(wireless, 24), unknown(wireless, 25)
    in_the_book(wireless, second.timeslot)
    asked: list[Interaction] = []

    def fail_once(interaction: Interaction) -> None:
        asked.append(interaction)
        if len(asked) == 1:
            raise ZeroDivisionError

    wireless.adapter.before = fail_once
    with capture_logs() as logs:
        wireless.desk.reconciliation.run_once()

    failed = [each for each in logs if each["event"] == "settlement failed"]
    assert [each["kind"] for each in failed] == ["ZeroDivisionError"]
    (other,) = {first.id, second.id} - {failed[0]["booking"]}
    looked_for = settled(wireless, other)
    assert looked_for.attempts == 1 or looked_for.state is WriteState.DONE
