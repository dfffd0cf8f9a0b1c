"""
A resident's bookings: theirs alone, from wherever can be asked.

What is missing is said.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from builders import (
    NORR,
    NOW,
    OTHER_UNIT,
    SOUTHERN_UNIT,
    SYD,
    TOLVAN,
    UNIT,
    VISIT,
    booked,
    catalogue,
    number,
    source,
    southern_source,
    subject,
    unit,
)
from doubles import AnsweringAdapter, FailingAdapter
from granting import demo_grant
from sqlalchemy import event
from structlog.testing import capture_logs

from fhir_gateway.model import scheduling
from fhir_gateway.model.booking import (
    BookedTimes,
    Booking,
    BookingPermissions,
    BookingStatus,
    CancelledBy,
    KeptPart,
    ManagedBooking,
)
from fhir_gateway.model.errors import NotFound, Unavailable, WriteUnconfirmed
from fhir_gateway.model.ids import BookingId, LogicalAddress, SourceName, TimeTypeId
from fhir_gateway.model.interaction import Interaction
from fhir_gateway.model.scheduling import (
    CancelBooking,
    GetSubjectOfCareSchedule,
    MakeBooking,
)
from fhir_gateway.model.source import SourceOutcome, SourceProblem
from fhir_gateway.model.timekeeping import instant_text
from fhir_gateway.model.timeslot import Timeslot
from fhir_gateway.services.resident.merged_list import MOST_BOOKINGS
from fhir_gateway.services.resident.resident_bookings import (
    ResidentsTimes,
)
from fhir_gateway.services.source.source_access import AnothersBookings
from fhir_gateway.stores.database import Database
from services.conftest import TIMEOUT_S, MakeWireless, RealWorld, Wireless

AGGREGATED = source(schedule_address=LogicalAddress("25"))


def shown(times: ResidentsTimes) -> list[tuple[str, BookingStatus, str | None]]:
    """Return where each booking is, how it stands and what its source calls it."""
    return [(each.source, each.status, each.booking_id) for each in times.bookings]


def problems(times: ResidentsTimes) -> dict[str, SourceProblem]:
    """Return the sources of which a part is missing, and why."""
    return {each.source: each.problem for each in times.outcomes}


# Real regions


def booked_by_phone(world: RealWorld, region: str, who: int) -> str:
    """Book a time past this server and return the region's id of it."""
    result = world.desk.adapters[SourceName(region)].make_booking(
        MakeBooking(
            timeslot=world.free(region)[0],
            subject_of_care=subject(who),
        ),
        timeout=TIMEOUT_S,
    )
    assert result.booking_id is not None
    return result.booking_id


def test_nobody_has_no_bookings(world: RealWorld, who: int) -> None:
    """A resident without bookings gets none, and outcomes of what may be missing."""
    times = world.desk.residents.list_of(number(who))

    assert times.bookings == ()
    assert [(each.source, each.problem) for each in times.outcomes] == [
        ("mitt", SourceProblem.NOT_ASKED)
    ]


def test_what_was_booked_here_is_shown(world: RealWorld, who: int) -> None:
    """Bookings at all three regions are shown, earliest first."""
    made = {
        region: world.desk.book(world.free(region)[0], who).booking
        for region in ("norr", "mitt", "syd")
    }

    times = world.desk.residents.list_of(number(who))

    assert {each.id for each in times.bookings} == {each.id for each in made.values()}
    assert {each.status for each in times.bookings} == {BookingStatus.BOOKED}
    starts = [each.timeslot.start for each in times.bookings]
    assert starts == sorted(starts)


@pytest.mark.parametrize("region", ["norr", "syd"])
def test_what_was_booked_elsewhere_is_adopted_once(
    world: RealWorld, region: str, who: int
) -> None:
    """A booking that its region reports gets an id of ours, the same every time."""
    booking_id = booked_by_phone(world, region, who)

    first = world.desk.residents.list_of(number(who))
    second = world.desk.residents.list_of(number(who))

    assert shown(first) == [(region, BookingStatus.BOOKED, booking_id)]
    assert [each.id for each in second.bookings] == [each.id for each in first.bookings]
    assert world.desk.booking.read(first.bookings[0].id).booking_id == booking_id


def test_what_was_booked_elsewhere_can_be_cancelled(world: RealWorld, who: int) -> None:
    """An adopted booking is as good as one of ours."""
    booked_by_phone(world, "norr", who)
    (adopted,) = world.desk.residents.list_of(number(who)).bookings

    assert world.desk.booking.cancel(adopted.id).status is BookingStatus.CANCELLED
    assert world.in_the_book("norr", who) == []


def test_an_invitation_is_among_the_bookings(world: RealWorld) -> None:
    """A timed invitation is shown with what the unit says of it."""
    times = world.desk.residents.list_of(TOLVAN)

    (invitation,) = [each for each in times.bookings if each.is_invitation]
    assert invitation.source == "norr"
    assert invitation.purpose is not None
    assert invitation.purpose.startswith("Kallelse till läkarbesök\n")


def test_a_known_unit_is_asked_where_the_region_does_not_aggregate(
    world: RealWorld, who: int
) -> None:
    """A unit where a booking is known is asked for others too."""
    unknown = world.desk.residents.list_of(number(who))
    booked_by_phone(world, "mitt", who)
    still_unknown = world.desk.residents.list_of(number(who))
    world.desk.book(world.free("mitt")[0], who)

    known = world.desk.residents.list_of(number(who))

    assert unknown.bookings == still_unknown.bookings == ()
    assert [each.source for each in known.bookings] == ["mitt", "mitt"]
    assert {each.booking_id for each in known.bookings} == set(
        world.in_the_book("mitt", who)
    )


def test_a_region_that_cannot_be_asked_is_named(world: RealWorld, who: int) -> None:
    """What is known of its bookings is shown as it was last confirmed."""
    made = world.desk.book(world.free("norr")[0], who).booking
    world.spoil("norr", "refuse")

    times = world.desk.residents.list_of(number(who))

    assert shown(times) == [("norr", BookingStatus.BOOKED, made.booking_id)]
    assert problems(times) == {
        "norr": SourceProblem.UNAVAILABLE,
        "mitt": SourceProblem.NOT_ASKED,
    }


def test_a_region_that_does_not_answer_is_asked_once(
    world: RealWorld, who: int
) -> None:
    """A list never waits for a silent region again, once for each booking."""
    made = world.desk.book(world.free("norr")[0], who).booking
    world.spoil("norr", "refuse", count=1)

    (shown_booking,) = world.desk.residents.list_of(number(who)).bookings

    assert shown_booking.confirmed_at == made.confirmed_at


def test_a_unit_that_did_not_answer_is_reported(world: RealWorld, who: int) -> None:
    """A part of an aggregated answer that is missing is said to be."""
    made = world.desk.book(world.free("norr")[0], who).booking
    world.spoil(
        "norr",
        "vp-fault",
        interactions=["GetSubjectOfCareSchedule"],
        units=[made.timeslot.schedule.unit],
        count=1,
    )

    times = world.desk.residents.list_of(number(who))

    assert shown(times) == [("norr", BookingStatus.BOOKED, made.booking_id)]
    assert problems(times)[NORR] is SourceProblem.INCOMPLETE


def test_a_cancelled_booking_is_shown_as_such(world: RealWorld, who: int) -> None:
    """What was cancelled here stays among the resident's bookings."""
    made = world.desk.book(world.free("norr")[0], who).booking
    world.desk.booking.cancel(made.id)

    assert shown(world.desk.residents.list_of(number(who))) == [
        ("norr", BookingStatus.CANCELLED, made.booking_id)
    ]


def test_a_cancelled_booking_says_who_cancelled_it(world: RealWorld, who: int) -> None:
    """By the resident here, or elsewhere: the region lists it no more."""
    here = world.desk.book(world.free("norr")[0], who).booking
    world.desk.booking.cancel(here.id)
    elsewhere = world.desk.book(world.free("syd")[0], who).booking
    assert elsewhere.booking_id is not None
    world.desk.adapters[SourceName("syd")].cancel_booking(
        CancelBooking(
            unit=elsewhere.timeslot.schedule.unit,
            actor=demo_grant(number(who)).actor,
            booking_id=elsewhere.booking_id,
        ),
        timeout=TIMEOUT_S,
    )

    times = world.desk.residents.list_of(number(who))

    assert {each.id: each.cancelled_by for each in times.bookings} == {
        here.id: CancelledBy.RESIDENT,
        elsewhere.id: CancelledBy.ELSEWHERE,
    }


@pytest.mark.parametrize("region", ["norr", "mitt", "syd"])
def test_a_pending_booking_is_settled_by_looking(
    world: RealWorld, region: str, who: int
) -> None:
    """A lost yes is found when the resident looks at their bookings."""
    world.spoil(region, "drop-after-processing", interactions=["MakeBooking"], count=1)
    made = world.desk.book(world.free(region)[0], who).booking
    assert made.status is BookingStatus.PENDING

    times = world.desk.residents.list_of(number(who))

    assert [(each.id, each.status) for each in times.bookings] == [
        (made.id, BookingStatus.BOOKED)
    ]


# Sources without a wire


def fill_the_book(wireless: Wireless, count: int) -> None:
    """Put so many bookings of resident 0 into the source's book, an hour apart."""
    for place in range(count):
        wanted = wireless.coming(24 + place)
        booking_id = f"B-{place}"
        wireless.adapter.book[booking_id] = booked(
            wanted, booking_id=booking_id, subject_of_care=number(0)
        )


def test_many_bookings_are_written_down_in_few_transactions(
    make_wireless: MakeWireless, own_database: Database
) -> None:
    """A list of 120 bookings, twice: three transactions write each answer down."""
    wireless = aggregating(make_wireless)
    fill_the_book(wireless, 120)
    begun: list[bool] = []
    event.listen(
        own_database.engine,
        "before_cursor_execute",
        lambda *call: begun.append(call[2] == "BEGIN IMMEDIATE"),
    )

    first = wireless.desk.residents.list_of(number(0))
    adopting = sum(begun)
    second = wireless.desk.residents.list_of(number(0))

    assert [each.booking_id for each in first.bookings] == [
        f"B-{place}" for place in range(120)
    ]
    assert [each.id for each in second.bookings] == [each.id for each in first.bookings]
    assert (adopting, sum(begun) - adopting) == (6, 3)


def test_no_more_than_so_many_bookings_of_an_answer_are_shown(
    make_wireless: MakeWireless,
) -> None:
    """Of too many the next ones are shown and written down, and the rest is counted."""
    wireless = aggregating(make_wireless)
    fill_the_book(wireless, MOST_BOOKINGS + 3)

    times = wireless.desk.residents.list_of(number(0))

    assert [each.booking_id for each in times.bookings] == [
        f"B-{place}" for place in range(MOST_BOOKINGS)
    ]
    assert times.outcomes == (
        lacking(f"3 bookings beyond {MOST_BOOKINGS} of one answer were left out"),
    )


def test_what_an_answer_has_no_room_for_is_not_looked_at_by_itself(
    make_wireless: MakeWireless,
) -> None:
    """A known booking that is beyond the most is shown as it was last known."""
    wireless = aggregating(make_wireless)
    last = wireless.coming(24 + MOST_BOOKINGS + 2)
    wireless.lists(last)
    made = wireless.desk.book(last, 0).booking
    wireless.adapter.book["X-1"] = wireless.adapter.book.pop("B-1")
    fill_the_book(wireless, MOST_BOOKINGS)
    wireless.adapter.calls.clear()

    times = wireless.desk.residents.list_of(number(0))

    assert times.bookings[-1].id == made.id
    assert [type(each) for each in wireless.adapter.calls] == [GetSubjectOfCareSchedule]


def test_another_bookings_id_is_logged_once_for_an_answer(
    make_wireless: MakeWireless,
) -> None:
    """However many bookings have an id of another person's, one line counts them."""
    wireless = aggregating(make_wireless, BlabbingAdapter())
    for hours in (24, 25, 26):
        wanted = wireless.coming(hours)
        wireless.lists(wanted)
        wireless.desk.book(wanted, 9)
    wireless.adapter.book = {
        key: replace(each, subject_of_care=None)
        for key, each in wireless.adapter.book.items()
    }

    with capture_logs() as logs:
        times = wireless.desk.residents.list_of(number(0))

    assert times.bookings == ()
    assert [
        each for each in logs if each["event"] == "booking id is already in use"
    ] == [
        {
            "event": "booking id is already in use",
            "log_level": "error",
            "source": NORR,
            "bookings": 3,
        }
    ]


def test_omissions_of_lists_are_logged_once_without_personal_data(
    make_wireless: MakeWireless,
) -> None:
    """Two residents' lists lose bookings for two reasons: each is logged once."""
    adapter = UnreadableAdapter()
    wireless = aggregating(make_wireless, adapter)
    with capture_logs() as logs:
        for who, reasons in ((0, ("a: is missing",)), (1, ("a: is missing", "b: no"))):
            adapter.reasons = reasons
            wireless.desk.residents.list_of(number(who))

    event_of = {
        "event": "resident's answer read in part",
        "log_level": "warning",
        "interaction": "GetSubjectOfCareSchedule",
    }
    assert [each for each in logs if each["log_level"] == "warning"] == [
        {**event_of, "source": NORR, "reasons": ["a: is missing"], "items": 1},
        {**event_of, "source": NORR, "reasons": ["b: no"], "items": 1},
    ]


def test_what_answers_about_residents_lose_is_counted(
    make_wireless: MakeWireless,
) -> None:
    """Operators see each contract's losses by reason, of all residents together."""
    adapter = UnreadableAdapter(
        reasons=("a: is missing", "a: is missing", "b: no"), is_of_everybody=True
    )
    wireless = aggregating(make_wireless, adapter)
    wanted = wireless.coming()
    adapter.book = {
        "B-1": booked(wanted, booking_id="B-1", subject_of_care=number(7)),
        "B-2": replace(
            booked(wanted, booking_id="B-2", subject_of_care=number(0)),
            unit=SOUTHERN_UNIT,
        ),
        "B-3": replace(
            booked(wanted, booking_id="B-3", subject_of_care=number(0)),
            left_out=("rebooking_allowed: not a boolean",),
        ),
    }
    access = wireless.desk.access
    asker = demo_grant(number(0)).asker
    access.booked_times(wireless.sources[NORR], LogicalAddress(UNIT), asker)
    access.booking_details(NORR, UNIT, BookingId("B-3"), asker)
    with pytest.raises(AnothersBookings):
        access.booking_details(NORR, UNIT, BookingId("B-1"), asker)

    listed, details = (
        scheduling.GET_SUBJECT_OF_CARE_SCHEDULE,
        scheduling.GET_BOOKING_DETAILS,
    )
    assert wireless.desk.sightings.losses == {
        (NORR, listed, "a: is missing"): 2,
        (NORR, listed, "b: no"): 1,
        (NORR, listed, "a booking of another person"): 1,
        (NORR, listed, "a booking at a unit that is not the source's own"): 1,
        (NORR, details, "rebooking_allowed: not a boolean"): 1,
        (NORR, details, "a booking of another person"): 1,
    }


@dataclass
class UnreadableAdapter(AnsweringAdapter):
    """A source with a list that cannot be read whole, or that has all residents."""

    reasons: tuple[str, ...] = ()
    is_of_everybody: bool = False

    def get_subject_of_care_schedule(
        self, query: GetSubjectOfCareSchedule, *, timeout: float
    ) -> BookedTimes:
        """Return the book, and why it is not whole."""
        answer = super().get_subject_of_care_schedule(query, timeout=timeout)
        if self.is_of_everybody:
            answer = replace(answer, bookings=tuple(self.book.values()))
        return replace(answer, unreadable=self.reasons)


def test_what_was_kept_as_of_the_future_brings_no_cancelled_booking_back(
    make_wireless: MakeWireless,
) -> None:
    """A cache that says it is of the year 2099 is of an unknown time."""
    adapter = KeepingAdapter()
    wireless = aggregating(make_wireless, adapter)
    wanted = wireless.coming()
    wireless.lists(wanted)
    made = wireless.desk.book(wanted, 0).booking
    kept = wireless.adapter.book["B-1"]
    wireless.desk.booking.cancel(made.id)
    wireless.adapter.book["B-1"] = kept
    adapter.part = KeptPart(
        unit=LogicalAddress(UNIT), since=datetime(2099, 1, 1, tzinfo=UTC)
    )

    times = wireless.desk.residents.list_of(number(0))

    assert [(each.id, each.status) for each in times.bookings] == [
        (made.id, BookingStatus.CANCELLED)
    ]
    assert problems(times) == {NORR: SourceProblem.STALE}


def aggregating(make_wireless: MakeWireless, *adapters: AnsweringAdapter) -> Wireless:
    """Return a desk with an aggregating source norr."""
    return make_wireless(*adapters, sources=(AGGREGATED,))


def in_the_book(wireless: Wireless, **changed: Any) -> Timeslot:
    """Put a booking of resident 0 into the source's book; return its time."""
    wanted = wireless.coming()
    booking = booked(wanted, **{"subject_of_care": number(0), **changed})
    wireless.adapter.book["B-1"] = booking
    return wanted


def lacking(what: str) -> SourceOutcome:
    """Return how an answer says that something of norr's is missing."""
    return SourceOutcome(
        source=NORR, problem=SourceProblem.INCOMPLETE, detail=f"Region Norr: {what}."
    )


@dataclass
class KeepingAdapter(AnsweringAdapter):
    """A source behind an aggregating service that answers from its cache."""

    part: KeptPart | None = None

    def get_subject_of_care_schedule(
        self, query: GetSubjectOfCareSchedule, *, timeout: float
    ) -> BookedTimes:
        """Return the book, as it was when it was kept."""
        answer = super().get_subject_of_care_schedule(query, timeout=timeout)
        is_aggregated = self.part and query.address == AGGREGATED.schedule_address
        return replace(answer, kept=(self.part,) if is_aggregated else ())


@dataclass
class BlabbingAdapter(AnsweringAdapter):
    """A source that answers every resident with all residents' bookings."""

    def get_subject_of_care_schedule(
        self, query: GetSubjectOfCareSchedule, *, timeout: float
    ) -> BookedTimes:
        """Return the whole book."""
        super().get_subject_of_care_schedule(query, timeout=timeout)
        return BookedTimes(bookings=tuple(self.book.values()))


@pytest.mark.parametrize("own", [0, 1])
def test_another_persons_booking_is_never_shown(
    make_wireless: MakeWireless, own: int
) -> None:
    """What is somebody else's is neither shown nor kept, and the answer says so."""
    wireless = aggregating(make_wireless, BlabbingAdapter())
    in_the_book(wireless)
    mine = wireless.adapter.book.pop("B-1")
    for who in (7, 8, 9):
        wireless.adapter.book[f"B-{who}"] = replace(
            mine, booking_id=BookingId(f"B-{who}"), subject_of_care=number(who)
        )
    if own:
        wireless.adapter.book["B-1"] = mine

    with capture_logs() as logs:
        times = wireless.desk.residents.list_of(number(0))

    assert [each.booking_id for each in times.bookings] == ["B-1"] * own
    assert times.outcomes == (lacking("3 bookings of other persons were left out"),)
    assert [
        wireless.desk.journal.lookups.list_of_resident(number(who)) for who in (7, 8, 9)
    ] == [
        (),
        (),
        (),
    ]
    assert [each for each in logs if each["log_level"] == "error"] == [
        {
            "event": "another person's bookings",
            "log_level": "error",
            "source": NORR,
            "bookings": 3,
        }
    ]


def test_anothers_known_booking_is_never_shown(make_wireless: MakeWireless) -> None:
    """A booking without a person that we know to be another's is left out, and said."""
    wireless = aggregating(make_wireless, BlabbingAdapter())
    wanted = wireless.coming()
    wireless.lists(wanted)
    wireless.desk.book(wanted, 9)
    wireless.adapter.book["B-1"] = replace(
        wireless.adapter.book["B-1"], subject_of_care=None
    )

    times = wireless.desk.residents.list_of(number(0))

    assert times.bookings == ()
    assert problems(times) == {NORR: SourceProblem.INCOMPLETE}


def test_a_booking_that_the_unit_moved_is_at_its_new_time(
    make_wireless: MakeWireless,
) -> None:
    """The list has the source's present description, as a single booking does."""
    wireless = aggregating(make_wireless)
    wanted = wireless.coming()
    wireless.lists(wanted)
    made = wireless.desk.book(wanted, 0).booking
    moved = wireless.coming(72)
    wireless.adapter.book["B-1"] = replace(
        wireless.adapter.book["B-1"],
        start=moved.start,
        end=moved.end,
        permissions=BookingPermissions(),
        purpose="Ta med legitimation.",
    )

    (found,) = wireless.desk.residents.list_of(number(0)).bookings

    assert (found.id, found.version) == (made.id, made.version + 1)
    assert found.timeslot.token == moved.token
    assert found.permissions == BookingPermissions()
    assert found.purpose == "Ta med legitimation."
    assert wireless.desk.booking.read(made.id).timeslot == found.timeslot


def test_an_undecided_move_is_pending(make_wireless: MakeWireless) -> None:
    """A booking that is being moved is not said to be booked at either time."""
    wireless = aggregating(make_wireless)
    wanted, target = wireless.coming(), wireless.coming(48)
    wireless.lists(wanted, target)
    made = wireless.desk.book(wanted, 0).booking
    wireless.adapter.errors = {
        scheduling.UPDATE_BOOKING: WriteUnconfirmed("No answer.", source=NORR)
    }
    wireless.desk.move(made.id, target)

    (found,) = wireless.desk.residents.list_of(number(0)).bookings

    assert (found.id, found.status) == (made.id, BookingStatus.PENDING)


def test_a_booking_without_a_start_is_reported(make_wireless: MakeWireless) -> None:
    """FHIR has no booked Appointment without a start, so the answer says it lacks."""
    wireless = aggregating(make_wireless)
    in_the_book(wireless, start=None, end=None)

    times = wireless.desk.residents.list_of(number(0))

    assert times == ResidentsTimes(
        bookings=(), outcomes=(lacking("1 bookings cannot be shown"),)
    )


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"time_type_id": None, "time_type_name": None}, id="no time type"),
        pytest.param({"booking_id": None}, id="no id"),
        pytest.param({"end": None}, id="no end"),
        pytest.param({"subject_of_care": None}, id="nobody"),
        pytest.param(
            {
                "booking_id": None,
                "end": None,
                "subject_of_care": None,
                "time_type_id": None,
                "time_type_name": None,
            },
            id="nothing but unit and start",
        ),
    ],
)
def test_a_booking_is_shown_with_what_it_has(
    make_wireless: MakeWireless, changed: dict[str, None]
) -> None:
    """If optional elements are missing, the resident still sees time and place."""
    wireless = aggregating(make_wireless, BlabbingAdapter())
    wanted = in_the_book(wireless, **changed)
    listed = wireless.adapter.book["B-1"].timeslot

    times = wireless.desk.residents.list_of(number(0))
    (found,) = times.bookings

    assert (found.timeslot, found.timeslot.start, found.status, times.outcomes) == (
        listed,
        wanted.start,
        BookingStatus.BOOKED,
        (),
    )
    assert wireless.desk.residents.list_of(number(0)).bookings == (
        replace(
            found,
            confirmed_at=wireless.desk.journal.lookups.get(found.id).confirmed_at,
        ),
    )


def test_two_bookings_of_different_time_types_are_both_shown(
    make_wireless: MakeWireless,
) -> None:
    """Two without ids at one time, of different time types, are two Appointments."""
    wireless = aggregating(make_wireless)
    in_the_book(wireless, booking_id=None)
    wireless.adapter.book["B-2"] = replace(
        wireless.adapter.book["B-1"], time_type_id=TimeTypeId("TT-ANNAT")
    )

    first = wireless.desk.residents.list_of(number(0))
    second = wireless.desk.residents.list_of(number(0))

    assert {each.timeslot.schedule.time_type_id for each in first.bookings} == {
        "TT-BESOK",
        "TT-ANNAT",
    }
    assert {each.id for each in second.bookings} == {each.id for each in first.bookings}
    assert (len(second.bookings), first.outcomes, second.outcomes) == (2, (), ())


@pytest.mark.parametrize("count", [1, 2])
def test_bookings_that_cannot_be_shown_are_counted_as_losses(
    make_wireless: MakeWireless, count: int
) -> None:
    """Operators see them in the log, once, and in the source's losses."""
    wireless = aggregating(make_wireless)
    in_the_book(wireless, booking_id=None)
    for place in range(count):
        wireless.adapter.book[f"C-{place}"] = wireless.adapter.book["B-1"]

    with capture_logs() as logs:
        wireless.desk.residents.list_of(number(0))
        wireless.desk.residents.list_of(number(0))

    reason = "a booking without a start, or one that repeats another"
    assert wireless.desk.sightings.losses == {
        (NORR, scheduling.GET_SUBJECT_OF_CARE_SCHEDULE, reason): 2 * count
    }
    assert [each["reasons"] for each in logs if each["log_level"] == "warning"] == [
        [reason]
    ]


def test_bookings_beyond_the_most_are_counted_as_losses(
    make_wireless: MakeWireless,
) -> None:
    """Operators see how many bookings of one answer were left out."""
    wireless = aggregating(make_wireless)
    fill_the_book(wireless, MOST_BOOKINGS + 3)

    wireless.desk.residents.list_of(number(0))

    assert wireless.desk.sightings.losses == {
        (
            NORR,
            scheduling.GET_SUBJECT_OF_CARE_SCHEDULE,
            f"a booking beyond {MOST_BOOKINGS} of one answer",
        ): 3
    }


def test_a_booking_with_a_new_id_is_the_same_booking(
    make_wireless: MakeWireless,
) -> None:
    """A region that changes a booking's id does not make two Appointments of it."""
    wireless = aggregating(make_wireless)
    wanted = wireless.coming()
    wireless.lists(wanted)
    made = wireless.desk.book(wanted, 0).booking
    wireless.adapter.book = {
        "B-2": replace(wireless.adapter.book["B-1"], booking_id=BookingId("B-2"))
    }

    for _ in range(2):
        times = wireless.desk.residents.list_of(number(0))
        assert [(each.id, each.status, each.booking_id) for each in times.bookings] == [
            (made.id, BookingStatus.BOOKED, "B-2")
        ]


def test_an_adopted_booking_with_a_new_id_is_the_same_booking(
    make_wireless: MakeWireless,
) -> None:
    """A booking that was made elsewhere keeps its Appointment, too."""
    wireless = aggregating(make_wireless)
    in_the_book(wireless)
    (before,) = wireless.desk.residents.list_of(number(0)).bookings
    wireless.adapter.book = {
        "B-2": replace(wireless.adapter.book["B-1"], booking_id=BookingId("B-2"))
    }

    (after,) = wireless.desk.residents.list_of(number(0)).bookings

    assert (after.id, after.booking_id) == (before.id, "B-2")


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"time_type_id": TimeTypeId("TT-ANNAT")}, id="another time type"),
        pytest.param({}, id="both listed"),
    ],
)
def test_a_booking_that_differs_is_another_booking(
    make_wireless: MakeWireless, changed: dict[str, Any]
) -> None:
    """Another time type, or a second booking beside the first, is adopted."""
    wireless = aggregating(make_wireless)
    in_the_book(wireless)
    (before,) = wireless.desk.residents.list_of(number(0)).bookings
    other = replace(
        wireless.adapter.book["B-1"], booking_id=BookingId("B-2"), **changed
    )
    kept = {} if changed else {"B-1": wireless.adapter.book["B-1"]}
    wireless.adapter.book = {**kept, "B-2": other}

    listed = wireless.desk.residents.list_of(number(0)).bookings

    assert {each.booking_id: each.id == before.id for each in listed} == {
        "B-1": True,
        "B-2": False,
    }


def test_bookings_of_others_are_logged_once(make_wireless: MakeWireless) -> None:
    """A source that lists other persons' bookings is logged once an hour."""
    wireless = aggregating(make_wireless, BlabbingAdapter())
    in_the_book(wireless, subject_of_care=number(9))
    wireless.adapter.book["B-2"] = booked(
        wireless.coming(),
        booking_id="B-2",
        subject_of_care=number(0),
        unit=SOUTHERN_UNIT,
    )

    with capture_logs() as logs:
        for who in (0, 1, 0):
            wireless.desk.residents.list_of(number(who))

    assert [each["event"] for each in logs if each["log_level"] == "error"] == [
        "another person's bookings",
        "bookings at units of others",
    ]


def test_two_bookings_that_look_like_one_are_reported(
    make_wireless: MakeWireless,
) -> None:
    """Of two without ids at one time one is shown, and the answer says it lacks one."""
    wireless = aggregating(make_wireless)
    in_the_book(wireless, booking_id=None)
    wireless.adapter.book["B-2"] = replace(
        wireless.adapter.book["B-1"], purpose="Ta med legitimation."
    )

    times = wireless.desk.residents.list_of(number(0))

    assert len(times.bookings) == 1
    assert times.outcomes == (lacking("1 bookings cannot be shown"),)


def test_a_booking_at_another_sources_unit_is_never_shown(
    make_wireless: MakeWireless,
) -> None:
    """A region speaks for its own units; the answer and one line of the log say so."""
    wireless = aggregating(make_wireless)
    own = in_the_book(wireless)
    for extra in ("B-2", "B-3"):
        wireless.adapter.book[extra] = replace(
            wireless.adapter.book["B-1"],
            booking_id=BookingId(extra),
            unit=SOUTHERN_UNIT,
        )

    with capture_logs() as logs:
        times = wireless.desk.residents.list_of(number(0))

    assert [each.timeslot for each in times.bookings] == [own]
    assert times.outcomes == (
        lacking("2 bookings at units that are not its own were left out"),
    )
    assert [each for each in logs if each["log_level"] == "error"] == [
        {
            "event": "bookings at units of others",
            "log_level": "error",
            "source": NORR,
            "bookings": 2,
        }
    ]
    assert {each.timeslot.schedule.unit for each in times.bookings} == {UNIT}


def test_what_a_region_had_kept_is_shown_with_its_age(
    make_wireless: MakeWireless,
) -> None:
    """A unit's part from a cache is data, and says of when it is."""
    since = NOW - timedelta(hours=2)
    wireless = aggregating(make_wireless, KeepingAdapter())
    wireless.adapter.part = KeptPart(unit=LogicalAddress(UNIT.lower()), since=since)
    in_the_book(wireless)

    times = wireless.desk.residents.list_of(number(0))

    assert [each.confirmed_at for each in times.bookings] == [since]
    assert times.outcomes == (
        SourceOutcome(
            source=NORR,
            problem=SourceProblem.CACHED,
            detail=(
                "Mottagning A01 was not asked, since Region Norr has its list in a"
                f" cache; its bookings are shown as they were at {instant_text(since)},"
                " and newer ones may be missing: contact Mottagning A01."
            ),
            since=since,
        ),
    )


def test_an_outdated_part_is_reported(
    make_wireless: MakeWireless,
) -> None:
    """A cache that could not be brought up to date is data with an outcome."""
    since = NOW - timedelta(hours=2)
    wireless = aggregating(make_wireless, KeepingAdapter())
    wireless.adapter.part = KeptPart(
        unit=LogicalAddress(UNIT), since=since, is_failed=True
    )
    in_the_book(wireless)

    times = wireless.desk.residents.list_of(number(0))

    assert [each.confirmed_at for each in times.bookings] == [since]
    assert times.outcomes == (
        SourceOutcome(
            source=NORR,
            problem=SourceProblem.STALE,
            detail=(
                "Mottagning A01 could not be asked just now; its bookings are shown as"
                f" they were at {instant_text(since)}, and newer ones may be missing:"
                " contact Mottagning A01."
            ),
            since=since,
        ),
    )


def test_what_was_kept_brings_no_cancelled_booking_back(
    make_wireless: MakeWireless,
) -> None:
    """A booking that was cancelled after the cache was filled stays cancelled."""
    wireless = aggregating(make_wireless, KeepingAdapter())
    wanted = wireless.coming()
    wireless.lists(wanted)
    made = wireless.desk.book(wanted, 0).booking
    listed = wireless.adapter.book["B-1"]
    wireless.desk.booking.cancel(made.id)
    wireless.adapter.book["B-1"] = listed
    wireless.adapter.part = KeptPart(
        unit=LogicalAddress(UNIT), since=NOW - timedelta(hours=2)
    )

    (found,) = wireless.desk.residents.list_of(number(0)).bookings

    assert (found.id, found.status) == (made.id, BookingStatus.CANCELLED)


def test_our_own_booking_needs_no_time_type(make_wireless: MakeWireless) -> None:
    """A booking of ours is recognised by its id, however little is said of it."""
    wireless = aggregating(make_wireless)
    wanted = wireless.coming()
    wireless.lists(wanted)
    wireless.desk.book(wanted, 0)
    wireless.adapter.book["B-1"] = replace(
        wireless.adapter.book["B-1"], time_type_id=None, time_type_name=None
    )

    times = wireless.desk.residents.list_of(number(0))

    assert shown(times) == [("norr", BookingStatus.BOOKED, "B-1")]
    assert times.outcomes == ()


def test_a_booking_that_stands_in_spite_of_us_is_shown(
    make_wireless: MakeWireless,
) -> None:
    """A time that is shown in vain does less harm than one that is missed."""
    wireless = aggregating(make_wireless)
    wanted = wireless.coming()
    wireless.lists(wanted)
    made = wireless.desk.book(wanted, 0).booking
    still_there = dict(wireless.adapter.book)
    wireless.desk.booking.cancel(made.id)
    wireless.adapter.book = still_there
    wireless.desk.clock.forward(minutes=2)

    times = wireless.desk.residents.list_of(number(0))

    assert shown(times) == [
        ("norr", BookingStatus.CANCELLED, "B-1"),
        ("norr", BookingStatus.BOOKED, "B-1"),
    ]


def test_a_booking_that_was_never_made_spoils_no_answer(
    make_wireless: MakeWireless,
) -> None:
    """A pending booking that was never made leaves the others shown."""
    wireless = aggregating(make_wireless)
    first, second = wireless.coming(), wireless.coming(30)
    wireless.lists(first, second)
    kept = wireless.desk.book(first, 0).booking
    wireless.adapter.errors = {
        scheduling.MAKE_BOOKING: WriteUnconfirmed("No answer.", source=NORR)
    }
    lost = wireless.desk.book(second, 0).booking
    wireless.desk.later(wireless.desk.undecided(lost.id), seconds=91)
    wireless.desk.booking.read(lost.id)

    wireless.desk.residents.list_of(number(0))
    times = wireless.desk.residents.list_of(number(0))

    assert [(each.id, each.status) for each in times.bookings] == [
        (kept.id, BookingStatus.BOOKED)
    ]


def two_sources(make_wireless: MakeWireless, southern: AnsweringAdapter) -> Wireless:
    """Return a desk with norr and syd, which both aggregate."""
    return make_wireless(
        AnsweringAdapter(),
        southern,
        sources=(
            AGGREGATED,
            southern_source(schedule_address=LogicalAddress("12")),
        ),
        catalogues=(
            catalogue(),
            catalogue({SOUTHERN_UNIT: [(VISIT, "B")]}, name="syd"),
        ),
    )


def test_a_source_that_is_away_hides_no_other(make_wireless: MakeWireless) -> None:
    """One source's failure is reported with the other's bookings."""
    wireless = two_sources(make_wireless, FailingAdapter(name=SYD))
    in_the_book(wireless)

    times = wireless.desk.residents.list_of(number(0))

    assert shown(times) == [("norr", BookingStatus.BOOKED, "B-1")]
    assert times.outcomes == (
        SourceOutcome(
            source=SYD,
            problem=SourceProblem.UNAVAILABLE,
            detail=(
                "Region Syd could not be asked; its bookings may be missing or out of"
                " date: contact the unit where you expect one."
            ),
        ),
    )


def test_every_source_is_asked_once(make_wireless: MakeWireless) -> None:
    """An aggregating source is asked only at its own address."""
    southern = AnsweringAdapter(name=SYD)
    wireless = two_sources(make_wireless, southern)
    wanted = wireless.coming()
    wireless.lists(wanted)
    wireless.desk.book(wanted, 0)
    wireless.adapter.calls.clear()

    wireless.desk.residents.list_of(number(0))

    assert [
        each.address
        for adapter in (wireless.adapter, southern)
        for each in adapter.asked(GetSubjectOfCareSchedule)
    ] == ["25", "12"]


def test_each_known_unit_is_asked_once(make_wireless: MakeWireless) -> None:
    """Without an aggregating address the units of known bookings are asked."""
    wireless = make_wireless(
        sources=(source(units=(unit(), unit(OTHER_UNIT))),),
        catalogues=(catalogue({UNIT: [(VISIT, "B")], OTHER_UNIT: [(VISIT, "B")]}),),
    )
    times = [wireless.coming(hours) for hours in (24, 25)]
    wireless.lists(*times)
    for wanted in times:
        wireless.desk.book(wanted, 0)
    wireless.adapter.calls.clear()

    found = wireless.desk.residents.list_of(number(0))

    asked = wireless.adapter.asked(GetSubjectOfCareSchedule)
    assert [each.address for each in asked] == [UNIT]
    assert len(found.bookings) == 2
    assert problems(found) == {NORR: SourceProblem.NOT_ASKED}


def known_at_two_units(wireless: Wireless) -> None:
    """Let the journal know a booking of resident 0 at each of two units."""
    for hsa_id, booking_id in ((UNIT, "B-1"), (OTHER_UNIT, "B-2")):
        wanted = wireless.coming()
        wanted = replace(wanted, schedule=replace(wanted.schedule, unit=hsa_id))
        wireless.desk.journal.reports.adopt(
            source=NORR,
            booking=Booking(
                unit=hsa_id,
                booking_id=BookingId(booking_id),
                start=wanted.start,
                end=wanted.end,
            ),
            timeslot=wanted,
            number=number(0),
        )


@dataclass
class DamagedAdapter(AnsweringAdapter):
    """A source that leaves out so many bookings at each of its units."""

    damage: Mapping[str, int] = field(default_factory=dict)

    def get_subject_of_care_schedule(
        self, query: GetSubjectOfCareSchedule, *, timeout: float
    ) -> BookedTimes:
        """Return the book, less what could not be read."""
        answer = super().get_subject_of_care_schedule(query, timeout=timeout)
        unreadable = ("timeslotDetail/startTimeInclusive is missing",)
        return replace(answer, unreadable=unreadable * self.damage[query.address])


def test_what_several_units_leave_out_is_counted_together(
    make_wireless: MakeWireless,
) -> None:
    """A source's outcome counts what all of its units have left out."""
    wireless = make_wireless(
        DamagedAdapter(damage={UNIT: 2, OTHER_UNIT: 3}),
        sources=(source(units=(unit(), unit(OTHER_UNIT))),),
    )
    known_at_two_units(wireless)

    times = wireless.desk.residents.list_of(number(0))

    assert times.outcomes[0] == lacking(
        "5 bookings or parts of bookings could not be read"
    )
    assert [each.problem for each in times.outcomes] == [
        SourceProblem.INCOMPLETE,
        SourceProblem.NOT_ASKED,
    ]


def test_each_failing_unit_is_named(make_wireless: MakeWireless) -> None:
    """Each unit that could not be asked has a sentence of its own: whom to call."""
    wireless = make_wireless(
        sources=(source(units=(unit(), unit(OTHER_UNIT))),),
    )
    known_at_two_units(wireless)
    wireless.adapter.errors = dict.fromkeys(
        scheduling.INTERACTIONS,
        Unavailable("The source did not answer in time.", source=NORR),
    )

    times = wireless.desk.residents.list_of(number(0))

    assert len(times.bookings) == 2
    assert [(each.problem, each.detail) for each in times.outcomes[:2]] == [
        (
            SourceProblem.UNAVAILABLE,
            (
                f"Mottagning {hsa_id[-3:]} (Region Norr) could not be asked; its"
                " bookings may be missing or out of date: contact Mottagning"
                f" {hsa_id[-3:]}."
            ),
        )
        for hsa_id in (UNIT, OTHER_UNIT)
    ]
    assert [each.problem for each in times.outcomes[2:]] == [SourceProblem.NOT_ASKED]


def test_what_is_looked_at_by_itself_is_looked_at_at_once(
    make_wireless: MakeWireless,
) -> None:
    """Three bookings that their list does not have take no longer than one."""
    wireless = make_wireless(sources=(AGGREGATED,))
    for hours in (24, 25, 26):
        wanted = wireless.coming(hours)
        wireless.lists(wanted)
        wireless.desk.book(wanted, 0)
    wireless.adapter.book.clear()
    together = threading.Barrier(3, timeout=TIMEOUT_S)

    def wait_for_each_other(interaction: Interaction) -> None:
        if interaction == scheduling.GET_BOOKING_DETAILS:
            together.wait()

    wireless.adapter.before = wait_for_each_other

    times = wireless.desk.residents.list_of(number(0))

    assert [each.status for each in times.bookings] == [BookingStatus.CANCELLED] * 3
    assert not together.broken


def test_nothing_personal_is_shown_of_a_booking(
    make_wireless: MakeWireless,
) -> None:
    """A booking that is logged by mistake says nothing of its resident."""
    wireless = aggregating(make_wireless)
    in_the_book(wireless, reason="Ont i knät")

    (found,) = wireless.desk.residents.list_of(number(0)).bookings

    assert isinstance(found, ManagedBooking)
    assert found.reason == "Ont i knät"
    assert "knät" not in repr(found)
    assert number(0).reveal() not in repr(found)


@pytest.mark.parametrize("is_described", [True, False])
def test_a_known_id_at_another_unit_is_one_appointment(
    make_wireless: MakeWireless, *, is_described: bool
) -> None:
    """The list has a known id at another unit: the details decide, or else the list."""
    wireless = aggregating(make_wireless)
    in_the_book(wireless)
    (known,) = wireless.desk.residents.list_of(number(0)).bookings
    wireless.adapter.book["B-1"] = replace(
        wireless.adapter.book["B-1"], unit=OTHER_UNIT
    )
    if not is_described:
        wireless.adapter.errors[scheduling.GET_BOOKING_DETAILS] = NotFound("none")
    else:
        wireless.adapter.before = answering_at_unit(wireless)

    times = wireless.desk.residents.list_of(number(0))

    assert [
        (each.id, each.status, each.timeslot.schedule.unit) for each in times.bookings
    ] == [(known.id, BookingStatus.BOOKED, UNIT if is_described else OTHER_UNIT)]
    assert times.outcomes == (lacking("1 bookings cannot be shown"),)


def test_an_id_that_is_listed_at_two_units_is_two_appointments(
    make_wireless: MakeWireless,
) -> None:
    """Two units may give the same id: a list that has both has two bookings."""
    wireless = aggregating(make_wireless)
    in_the_book(wireless)
    wireless.desk.residents.list_of(number(0))
    wireless.adapter.book["other"] = replace(
        wireless.adapter.book["B-1"], unit=OTHER_UNIT
    )

    times = wireless.desk.residents.list_of(number(0))

    assert [each.timeslot.schedule.unit for each in times.bookings] == [
        UNIT,
        OTHER_UNIT,
    ]
    assert times.outcomes == ()


def answering_at_unit(wireless: Wireless) -> Callable[[Interaction], None]:
    """Return what makes the details describe B-1 at its first unit, unlike the list."""
    at_other = wireless.adapter.book["B-1"]

    def swap(asked: Interaction) -> None:
        is_details = asked == scheduling.GET_BOOKING_DETAILS
        wireless.adapter.book["B-1"] = (
            replace(at_other, unit=UNIT) if is_details else at_other
        )

    return swap
