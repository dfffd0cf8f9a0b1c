"""
Booking, moving and cancelling at real regions: what is said is what is in their books.
"""

import dataclasses
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
import redis
from builders import TOLVAN, number, subject, timeslot
from granting import demo_grant

from fhir_gateway.adapters.scheduling_1_1 import scheduling_1_1
from fhir_gateway.model.booking import (
    BookingPermissions,
    BookingStatus,
    CancellationReason,
)
from fhir_gateway.model.errors import (
    Conflict,
    Forbidden,
    GatewayError,
    Incorrect,
    NotFound,
    Refused,
    SourceFault,
    Stale,
    TimeslotTaken,
    Unavailable,
)
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.interaction import Actor
from fhir_gateway.model.scheduling import CancelBooking, MakeBooking
from fhir_gateway.model.timeslot import Timeslot, TimeslotToken
from fhir_gateway.services.booking.request import BookingRequest
from services.conftest import TIMEOUT_S, Desk, RealWorld

EVERY_REGION = pytest.mark.parametrize("region", ["norr", "mitt", "syd"])
EVERYTHING = BookingPermissions(cancel=True, rebook=True, message=True)
# TakeCare never says that a message may go along.
PERMITTED = {
    "norr": EVERYTHING,
    "mitt": BookingPermissions(cancel=True, rebook=True),
    "syd": EVERYTHING,
}
Somebody = Callable[[], int]


def booked_by_phone(world: RealWorld, region: str, who: int) -> Any:
    """Book the first free time past this server; return it with its id."""
    wanted = world.free(region)[0]
    result = world.desk.adapters[SourceName(region)].make_booking(
        MakeBooking(timeslot=wanted, subject_of_care=subject(who)), timeout=TIMEOUT_S
    )
    assert result.is_done
    return wanted, result.booking_id


def two_free(world: RealWorld, region: str) -> tuple[Timeslot, Timeslot]:
    """Return two free times of one schedule: TakeCare moves within a room alone."""
    first, *others = world.free(region)
    return first, next(each for each in others if each.schedule == first.schedule)


# Booking


@EVERY_REGION
def test_a_time_is_booked(world: RealWorld, region: str, who: int) -> None:
    """A booked answer is true: the booking is in the region's book, once."""
    wanted = world.free(region)[0]

    made = world.desk.book(wanted, who)

    assert made.is_new
    assert made.booking.status is BookingStatus.BOOKED
    assert (made.booking.source, made.booking.timeslot.token) == (region, wanted.token)
    assert made.booking.permissions == PERMITTED[region]
    assert world.writes(region, who) == [("MakeBooking", "OK")]
    assert world.in_the_book(region, who) == [made.booking.booking_id]


@EVERY_REGION
def test_a_booking_can_be_read(world: RealWorld, region: str, who: int) -> None:
    """A booking is read as its source describes it now."""
    made = world.desk.book(world.free(region)[0], who, reason="Ont i knät")

    found = world.desk.booking.read(made.booking.id)

    assert found.status is BookingStatus.BOOKED
    assert found.reason == "Ont i knät"
    assert found.version == made.booking.version
    assert found.booking_id == made.booking.booking_id


def test_a_booked_time_is_no_search_result(world: RealWorld, who: int) -> None:
    """A time that was booked here is hidden before the region is asked again."""
    wanted = world.free("norr")[0]
    token = TimeslotToken.parse(wanted.token)
    assert world.search.find(token) is not None

    world.desk.book(wanted, who)
    world.desk.clock.forward(seconds=1)
    world.program.view.catch_up()

    assert world.desk.is_held(wanted)
    assert world.search.find(token) is None


def test_a_remark_comes_with_the_booking(world: RealWorld, who: int) -> None:
    """INFO is a yes, and its text is handed on."""
    made = world.desk.book(world.free("norr", "fasteprov")[0], who)

    assert made.booking.status is BookingStatus.BOOKED
    assert made.booking.message == "Kom fastande."
    assert world.writes("norr", who) == [("MakeBooking", "INFO")]


def test_a_remark_of_takecares_is_a_yes(world: RealWorld, who: int) -> None:
    """A telephone number that could not be kept does not undo the booking."""
    request = BookingRequest(
        token=TimeslotToken.parse(world.free("mitt")[0].token),
        subject=subject(who, phone="08-465 004 00"),
        grant=demo_grant(subject(who).number),
    )

    made = world.desk.booking.book(request)

    assert made.booking.status is BookingStatus.BOOKED
    assert made.booking.message == (
        "Tyvärr kunde inte telefonnumret sparas med bokningen"
    )


@EVERY_REGION
def test_a_no_is_a_no(world: RealWorld, region: str, who: int) -> None:
    """ERROR is returned in the region's own words, and the time is free again."""
    wanted = world.free(region)[0]
    world.spoil(region, "error", text="Ring oss.", count=1)

    with pytest.raises(Refused) as raised:
        world.desk.book(wanted, who)

    assert raised.value.message == "Ring oss."
    assert world.in_the_book(region, who) == []
    assert not world.desk.is_held(wanted)
    assert world.desk.book(wanted, who).booking.status is BookingStatus.BOOKED


@EVERY_REGION
def test_a_time_that_went_by_phone_is_taken(
    world: RealWorld, region: str, who: int, somebody: Somebody
) -> None:
    """A time that the region no longer lists is taken, and nothing is sent."""
    wanted, _ = booked_by_phone(world, region, somebody())

    with pytest.raises(TimeslotTaken):
        world.desk.book(wanted, who)

    assert world.writes(region, who) == []


def test_a_region_that_is_down_is_unavailable(world: RealWorld, who: int) -> None:
    """A connection that is refused means that nothing was sent, nor is held."""
    wanted = world.free("norr")[0]
    adapter = scheduling_1_1(SourceName("norr"), {"endpoint": "http://127.0.0.1:9/"})
    desk = Desk(
        dict(world.desk.access.sources),
        {**world.desk.adapters, SourceName("norr"): adapter},
        lambda: world.program.view.snapshot.directory,
        world.program.journal,
        world.desk.clock,
    )

    with pytest.raises(Unavailable):
        desk.book(wanted, who)

    adapter.close()
    assert not world.desk.is_held(wanted)


def test_a_time_is_looked_up_before_it_is_claimed(world: RealWorld, who: int) -> None:
    """When the region cannot be asked for the time, no write is sent."""
    wanted = world.free("norr")[0]
    world.spoil("norr", "vp-fault", interactions=["GetAvailableTimeslots"], count=1)

    with pytest.raises(SourceFault):
        world.desk.book(wanted, who)

    assert world.writes("norr", who) == []
    assert not world.desk.is_held(wanted)


UNKNOWN_AND_DONE = [
    pytest.param({"fault": "drop-after-processing"}, id="dropped"),
    pytest.param({"fault": "answer-late", "seconds": 1.3}, id="too late"),
]
# Each way of answering without saying how the write went.
ANSWERED = [
    pytest.param({"fault": "vp-fault", "code": "VP004"}, id="VP004"),
    pytest.param({"fault": "vp-fault", "code": "VP007"}, id="VP007"),
    pytest.param({"fault": "vp-fault", "code": "VP009"}, id="VP009"),
    pytest.param({"fault": "vp-fault", "code": "VP015"}, id="VP015"),
    pytest.param({"fault": "deliver-nothing"}, id="an empty answer"),
    pytest.param({"fault": "wrong-status", "status": 202}, id="OK under 202"),
    pytest.param({"fault": "wrong-status", "status": 302}, id="OK under 302"),
    pytest.param({"fault": "wrong-status", "status": 404}, id="OK under 404"),
    pytest.param({"fault": "wrong-status", "status": 500}, id="OK under 500"),
]
UNKNOWN_AND_NOT_DONE = [
    *ANSWERED,
    pytest.param({"fault": "drop-before-processing"}, id="dropped"),
    pytest.param({"fault": "hang", "seconds": 1.3}, id="silence"),
]


@EVERY_REGION
@pytest.mark.parametrize("fault", UNKNOWN_AND_DONE)
def test_a_lost_yes_is_found_by_reading(
    world: RealWorld, region: str, fault: dict[str, Any], who: int
) -> None:
    """Done, but the answer is lost: pending, then booked at the first look."""
    wanted = world.free(region)[0]
    world.spoil(region, **fault, interactions=["MakeBooking"], count=1)

    made = world.desk.book(wanted, who)

    assert made.booking.status is BookingStatus.PENDING
    assert world.desk.is_held(wanted)
    found = world.desk.booking.read(made.booking.id)
    assert found.status is BookingStatus.BOOKED
    assert [found.booking_id] == world.in_the_book(region, who)
    assert len(world.writes(region, who)) == 1


@EVERY_REGION
@pytest.mark.parametrize("fault", ANSWERED)
def test_a_yes_that_another_answer_hides_is_found_at_once(
    world: RealWorld, region: str, fault: dict[str, Any], who: int
) -> None:
    """After an answer that says nothing certain the list is looked at at once."""
    wanted = world.free(region)[0]
    world.spoil(region, **fault, after=True, interactions=["MakeBooking"], count=1)

    made = world.desk.book(wanted, who)

    assert made.booking.status is BookingStatus.BOOKED
    assert [made.booking.booking_id] == world.in_the_book(region, who)
    assert len(world.writes(region, who)) == 1


def test_an_answer_that_says_nothing_and_a_list_that_is_away_leave_it_open(
    world: RealWorld, who: int
) -> None:
    """Where the list cannot be looked at at once, it is looked at later."""
    wanted = world.free("norr")[0]
    world.spoil(
        "norr", "vp-fault", code="VP004", after=True, interactions=["MakeBooking"]
    )
    world.spoil("norr", "vp-fault", interactions=["GetSubjectOfCareSchedule"], count=1)

    made = world.desk.book(wanted, who)

    assert made.booking.status is BookingStatus.PENDING
    assert world.desk.is_held(wanted)
    found = world.desk.booking.read(made.booking.id)
    assert found.status is BookingStatus.BOOKED


@EVERY_REGION
@pytest.mark.parametrize("fault", UNKNOWN_AND_NOT_DONE)
def test_a_lost_question_stays_pending(
    world: RealWorld, region: str, fault: dict[str, Any], who: int
) -> None:
    """Not done, and no answer: pending, also after a look, and never sent again."""
    wanted = world.free(region)[0]
    world.spoil(region, **fault, interactions=["MakeBooking"], count=1)

    made = world.desk.book(wanted, who)
    looked_at = [world.desk.booking.read(made.booking.id).status for _ in range(3)]

    assert made.booking.status is BookingStatus.PENDING
    assert looked_at == [BookingStatus.PENDING] * 3
    assert world.desk.is_held(wanted)
    assert len(world.writes(region, who)) == 1


def test_a_lost_question_is_settled_in_the_end(world: RealWorld, who: int) -> None:
    """Absent twice, the second time after 90 s: it is not booked."""
    wanted = world.free("norr")[0]
    world.spoil("norr", "drop-before-processing", interactions=["MakeBooking"], count=1)
    made = world.desk.book(wanted, who)
    intent = world.desk.undecided(made.booking.id)

    world.desk.later(intent, seconds=89)
    statuses = [world.desk.booking.read(made.booking.id).status for _ in range(2)]
    world.desk.later(intent, seconds=91)
    settled = world.desk.booking.read(made.booking.id)

    assert statuses == [BookingStatus.PENDING] * 2
    assert (settled.status, settled.booking_id) == (BookingStatus.CANCELLED, None)
    assert not world.desk.is_held(wanted)
    assert world.desk.book(wanted, who).booking.status is BookingStatus.BOOKED


def test_one_absent_look_settles_nothing(world: RealWorld, who: int) -> None:
    """However late the first look is, a second one is needed."""
    world.spoil("norr", "drop-before-processing", interactions=["MakeBooking"], count=1)
    made = world.desk.book(world.free("norr")[0], who)
    world.desk.later(world.desk.undecided(made.booking.id), minutes=10)

    statuses = [world.desk.booking.read(made.booking.id).status for _ in range(2)]

    assert statuses == [BookingStatus.PENDING, BookingStatus.CANCELLED]


def test_what_cannot_be_looked_at_stays_pending(world: RealWorld, who: int) -> None:
    """A region that does not answer settles nothing, however long it takes."""
    world.spoil("norr", "drop-before-processing", interactions=["MakeBooking"], count=1)
    made = world.desk.book(world.free("norr")[0], who)
    world.spoil("norr", "refuse", interactions=["GetSubjectOfCareSchedule"])
    world.desk.later(world.desk.undecided(made.booking.id), hours=1)

    statuses = [world.desk.booking.read(made.booking.id).status for _ in range(3)]

    assert statuses == [BookingStatus.PENDING] * 3


# The same time twice


@EVERY_REGION
def test_the_same_resident_gets_the_same_booking(
    world: RealWorld, region: str, who: int
) -> None:
    """A client that lost our answer asks again and gets its booking."""
    wanted = world.free(region)[0]

    first = world.desk.book(wanted, who)
    second = world.desk.book(wanted, who)

    assert (first.is_new, second.is_new) == (True, False)
    assert second.booking.id == first.booking.id
    assert second.booking.status is BookingStatus.BOOKED
    assert len(world.writes(region, who)) == 1


def test_the_same_resident_gets_the_same_pending_booking(
    world: RealWorld, who: int
) -> None:
    """Asking again for what is pending sends nothing more."""
    wanted = world.free("norr")[0]
    world.spoil("norr", "drop-before-processing", interactions=["MakeBooking"], count=1)

    first = world.desk.book(wanted, who)
    second = world.desk.book(wanted, who)

    assert second.booking.id == first.booking.id
    assert (second.is_new, second.booking.status) == (False, BookingStatus.PENDING)
    assert len(world.writes("norr", who)) == 1


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """Return what calls that begin together return, or raise of ours."""
    barrier = Barrier(len(calls))

    def begin(call: Callable[[], Any]) -> Any:
        barrier.wait()
        try:
            return call()
        except GatewayError as error:
            return type(error)

    with ThreadPoolExecutor(len(calls)) as executor:
        return list(executor.map(begin, calls))


@EVERY_REGION
def test_a_time_is_sold_once(world: RealWorld, region: str, somebody: Somebody) -> None:
    """Of sixteen residents at once one gets it, and one MakeBooking is sent."""
    wanted = world.free(region)[0]
    people = [somebody() for _ in range(16)]

    outcomes = at_once([lambda who=who: world.desk.book(wanted, who) for who in people])

    winners = [each for each in outcomes if not isinstance(each, type)]
    assert [each.booking.status for each in winners] == [BookingStatus.BOOKED]
    assert {each for each in outcomes if isinstance(each, type)} == {TimeslotTaken}
    assert sum(len(world.writes(region, who)) for who in people) == 1
    assert sum(len(world.in_the_book(region, who)) for who in people) == 1


def test_one_resident_at_once_gets_one_booking(world: RealWorld, who: int) -> None:
    """Sixteen requests of one resident are one booking, whichever comes first."""
    wanted = world.free("norr")[0]

    outcomes = at_once([lambda: world.desk.book(wanted, who)] * 16)

    assert not [each for each in outcomes if isinstance(each, type)]
    assert len({each.booking.id for each in outcomes}) == 1
    assert sum(each.is_new for each in outcomes) == 1
    assert len(world.writes("norr", who)) == 1


def test_a_group_takes_as_many_as_it_has_places(
    world: RealWorld, somebody: Somebody
) -> None:
    """Five residents book a time with five places; the sixth comes too late."""
    wanted = world.free("norr", "grupp")[0]
    assert wanted.count == 5

    made = [world.desk.book(wanted, somebody()) for _ in range(5)]

    assert [each.booking.status for each in made] == [BookingStatus.BOOKED] * 5
    assert len({each.booking.booking_id for each in made}) == 5
    with pytest.raises(TimeslotTaken):
        world.desk.book(wanted, somebody())


def test_a_cancelled_place_in_a_group_can_be_booked(
    world: RealWorld, somebody: Somebody
) -> None:
    """A place that was given back goes to the next."""
    wanted = world.free("norr", "grupp")[0]
    made = [world.desk.book(wanted, somebody()) for _ in range(wanted.count)]
    world.desk.booking.cancel(made[2].booking.id)

    again = world.desk.book(wanted, somebody())

    assert again.booking.status is BookingStatus.BOOKED


# What cannot be booked


def test_a_past_time_cannot_be_booked(world: RealWorld, who: int) -> None:
    """A time that has begun is refused before anybody is asked."""
    wanted = world.free("norr")[0]
    world.desk.clock.instant = wanted.start

    with pytest.raises(Incorrect, match="already begun"):
        world.desk.book(wanted, who)


def test_a_time_of_nobodys_cannot_be_booked(world: RealWorld, who: int) -> None:
    """A token that no source has a time type for is refused."""
    with pytest.raises(Incorrect, match="no such slot"):
        world.desk.book(timeslot(), who)


def test_a_reason_that_would_be_cut_is_refused(world: RealWorld, who: int) -> None:
    """A reason that TakeCare would cut silently is refused."""
    wanted = world.free("mitt")[0]

    with pytest.raises(Incorrect, match="at most 300 characters"):
        world.desk.book(wanted, who, reason="a" * 301)

    made = world.desk.book(wanted, who, reason="a" * 300)
    assert world.desk.booking.read(made.booking.id).reason == "a" * 300


@pytest.mark.parametrize(
    "booking",
    [
        pytest.param("4f3c1d0e-0000-4000-8000-000000000000", id="never made"),
        pytest.param("x", id="no id of ours"),
        pytest.param("' OR 1=1 --", id="no id at all"),
    ],
)
def test_an_unknown_booking_is_not_found(world: RealWorld, booking: str) -> None:
    """What is not there can neither be read, moved nor cancelled."""
    wanted = world.free("norr")[0]

    for ask in (
        lambda: world.desk.booking.read(booking),
        lambda: world.desk.booking.cancel(booking),
        lambda: world.desk.move(booking, wanted),
    ):
        with pytest.raises(NotFound):
            ask()


# Moving


@EVERY_REGION
def test_a_booking_is_moved(world: RealWorld, region: str, who: int) -> None:
    """A moved booking keeps our id, and its old time is free again."""
    old, new = two_free(world, region)
    made = world.desk.book(old, who)

    moved = world.desk.move(made.booking.id, new)

    assert moved.id == made.booking.id
    assert moved.version == made.booking.version + 1
    assert (moved.status, moved.timeslot.token) == (BookingStatus.BOOKED, new.token)
    assert [moved.booking_id] == world.in_the_book(region, who)
    assert [each for each, _ in world.writes(region, who)] == [
        "MakeBooking",
        "UpdateBooking",
    ]
    assert world.is_free(old, region)
    assert not world.desk.is_held(old)
    assert world.desk.is_held(new)


@pytest.mark.parametrize(
    ("region", "keeps_its_id"),
    [
        pytest.param("norr", True, id="norr keeps the id"),
        pytest.param("mitt", False, id="TakeCare gives a new one"),
        pytest.param("syd", True, id="Schedulr keeps the id"),
    ],
)
def test_a_new_id_is_found_by_reading(
    world: RealWorld,
    region: str,
    keeps_its_id: bool,  # noqa: FBT001 - a parameter of the test
    who: int,
) -> None:
    """UpdateBooking answers no id, so the booking is looked up where it should be."""
    old, new = two_free(world, region)
    made = world.desk.book(old, who)

    moved = world.desk.move(made.booking.id, new)

    assert (moved.booking_id == made.booking.booking_id) is keeps_its_id
    assert world.desk.booking.cancel(moved.id).status is BookingStatus.CANCELLED
    assert world.in_the_book(region, who) == []


@EVERY_REGION
def test_a_lost_move_is_found_by_reading(
    world: RealWorld, region: str, who: int
) -> None:
    """A done move with a lost answer is pending, then found at its new time."""
    old, new = two_free(world, region)
    made = world.desk.book(old, who)
    world.spoil(
        region, "drop-after-processing", interactions=["UpdateBooking"], count=1
    )

    moved = world.desk.move(made.booking.id, new)

    assert moved.status is BookingStatus.PENDING
    found = world.desk.booking.read(made.booking.id)
    assert (found.status, found.timeslot.token) == (BookingStatus.BOOKED, new.token)


def test_a_move_that_was_not_done_leaves_the_old_time(
    world: RealWorld, who: int
) -> None:
    """Both times are held until it is known; then the old one stands."""
    old, new = world.free("norr")[:2]
    made = world.desk.book(old, who)
    world.spoil(
        "norr", "drop-before-processing", interactions=["UpdateBooking"], count=1
    )
    world.desk.move(made.booking.id, new)
    both_held = world.desk.is_held(old) and world.desk.is_held(new)
    intent = world.desk.undecided(made.booking.id)

    world.desk.later(intent, seconds=91)
    pending = world.desk.booking.read(made.booking.id)
    found = world.desk.booking.read(made.booking.id)

    assert both_held
    assert pending.status is BookingStatus.PENDING
    assert (found.status, found.timeslot.token) == (BookingStatus.BOOKED, old.token)
    assert not world.desk.is_held(new)


@EVERY_REGION
def test_a_refused_move_leaves_the_old_time(
    world: RealWorld, region: str, who: int
) -> None:
    """The client gets the region's no, and the booking is unchanged."""
    old, new = two_free(world, region)
    made = world.desk.book(old, who)
    world.spoil(
        region, "error", interactions=["UpdateBooking"], text="Ring oss.", count=1
    )

    with pytest.raises(Refused, match="Ring oss"):
        world.desk.move(made.booking.id, new)

    found = world.desk.booking.read(made.booking.id)
    assert (found.status, found.timeslot.token) == (BookingStatus.BOOKED, old.token)
    assert found.version == made.booking.version
    assert not world.desk.is_held(new)


def test_a_move_to_a_taken_time_leaves_the_old_one(
    world: RealWorld, who: int, somebody: Somebody
) -> None:
    """A time that somebody else has is refused before anything is sent."""
    old, new = world.free("norr")[:2]
    made = world.desk.book(old, who)
    world.desk.book(new, somebody())

    with pytest.raises(TimeslotTaken):
        world.desk.move(made.booking.id, new)

    assert [each for each, _ in world.writes("norr", who)] == ["MakeBooking"]


def test_a_move_to_its_own_time_is_refused(world: RealWorld, who: int) -> None:
    """A booking cannot be moved to where it is."""
    made = world.desk.book(world.free("norr")[0], who)

    with pytest.raises(TimeslotTaken):
        world.desk.move(made.booking.id, made.booking.timeslot)

    assert [each for each, _ in world.writes("norr", who)] == ["MakeBooking"]


def test_a_move_to_a_unit_that_is_not_named_is_forbidden(
    world: RealWorld, who: int
) -> None:
    """A booking stays within the units that its region names for it."""
    made = world.desk.book(world.free("norr")[0], who)

    for region in ("norr", "syd"):
        elsewhere = world.free(region, "tbe" if region == "norr" else "covid")[0]
        with pytest.raises(Forbidden, match="to that unit"):
            world.desk.move(made.booking.id, elsewhere)

    assert [each for each, _ in world.writes("norr", who)] == ["MakeBooking"]


# Cancelling


@EVERY_REGION
def test_a_booking_is_cancelled(world: RealWorld, region: str, who: int) -> None:
    """A cancelled booking is out of the region's book, and its time free."""
    wanted = world.free(region)[0]
    made = world.desk.book(wanted, who)

    cancelled = world.desk.booking.cancel(made.booking.id)

    assert cancelled.status is BookingStatus.CANCELLED
    assert cancelled.version == made.booking.version + 1
    assert world.in_the_book(region, who) == []
    assert world.is_free(wanted, region)
    assert not world.desk.is_held(wanted)


@EVERY_REGION
def test_a_second_cancellation_is_the_first(
    world: RealWorld, region: str, who: int
) -> None:
    """Cancelled twice is cancelled once."""
    made = world.desk.book(world.free(region)[0], who)

    first = world.desk.booking.cancel(made.booking.id)
    second = world.desk.booking.cancel(made.booking.id, version=first.version)

    # The freed time was looked for once.
    assert first.is_offered_again is not None
    assert second == dataclasses.replace(first, is_offered_again=None)
    assert [each for each, _ in world.writes(region, who)] == [
        "MakeBooking",
        "CancelBooking",
    ]


def test_sixteen_cancellations_at_once_are_one(world: RealWorld, who: int) -> None:
    """The second request finds the cancellation under way or done."""
    made = world.desk.book(world.free("norr")[0], who)

    outcomes = at_once([lambda: world.desk.booking.cancel(made.booking.id)] * 16)

    assert {each if isinstance(each, type) else each.status for each in outcomes} <= {
        BookingStatus.CANCELLED,
        BookingStatus.PENDING,
        Conflict,
        Stale,
    }
    assert [each for each, _ in world.writes("norr", who)] == [
        "MakeBooking",
        "CancelBooking",
    ]


@EVERY_REGION
def test_a_lost_cancellation_is_found_by_reading(
    world: RealWorld, region: str, who: int
) -> None:
    """A done cancellation with a lost answer is pending, then cancelled."""
    made = world.desk.book(world.free(region)[0], who)
    world.spoil(
        region, "drop-after-processing", interactions=["CancelBooking"], count=1
    )

    pending = world.desk.booking.cancel(made.booking.id)

    assert pending.status is BookingStatus.PENDING
    found = world.desk.booking.read(made.booking.id)
    assert found.status is BookingStatus.CANCELLED
    assert world.in_the_book(region, who) == []


def test_a_cancellation_that_was_not_done_leaves_the_booking(
    world: RealWorld, who: int
) -> None:
    """Still in the book after 90 s and two looks: it was never cancelled."""
    made = world.desk.book(world.free("norr")[0], who)
    world.spoil(
        "norr", "drop-before-processing", interactions=["CancelBooking"], count=1
    )
    world.desk.booking.cancel(made.booking.id)
    world.desk.later(world.desk.undecided(made.booking.id), seconds=91)

    pending = world.desk.booking.read(made.booking.id)
    found = world.desk.booking.read(made.booking.id)

    assert (pending.status, found.status) == (
        BookingStatus.PENDING,
        BookingStatus.BOOKED,
    )


def test_a_refused_cancellation_leaves_the_booking(world: RealWorld, who: int) -> None:
    """The client gets the region's no, and the booking is unchanged."""
    made = world.desk.book(world.free("norr")[0], who)
    world.spoil(
        "norr", "error", interactions=["CancelBooking"], text="Ring oss.", count=1
    )

    with pytest.raises(Refused, match="Ring oss"):
        world.desk.booking.cancel(made.booking.id)

    assert world.desk.booking.read(made.booking.id).status is BookingStatus.BOOKED


_REASON = CancellationReason(text="Jag är sjuk.", stated='{"text": "Jag är sjuk."}')


def test_a_message_goes_along_where_it_may(world: RealWorld, who: int) -> None:
    """A cancellation with a message is accepted where the booking takes one."""
    made = world.desk.book(world.free("norr")[0], who)

    cancelled = world.desk.booking.cancel(made.booking.id, reason=_REASON)

    assert cancelled.status is BookingStatus.CANCELLED
    assert cancelled.cancellation == _REASON
    assert world.desk.booking.read(made.booking.id).cancellation == _REASON


# What is not permitted


@EVERY_REGION
def test_a_locked_booking_can_be_neither_moved_nor_cancelled(
    world: RealWorld, region: str, who: int
) -> None:
    """Without the region's permission nothing is sent."""
    locked, other = world.free(region, "halsosamtal")[:2]
    made = world.desk.book(locked, who)

    with pytest.raises(Forbidden, match="cancelled"):
        world.desk.booking.cancel(made.booking.id)
    with pytest.raises(Forbidden, match="moved"):
        world.desk.move(made.booking.id, other)

    assert [each for each, _ in world.writes(region, who)] == ["MakeBooking"]


@pytest.mark.parametrize(
    ("region", "key"),
    [
        pytest.param("norr", "fasteprov", id="a time type that takes none"),
        pytest.param("mitt", "covid", id="a region that never says so"),
    ],
)
def test_a_message_that_is_not_allowed_stops_the_cancellation(
    world: RealWorld, region: str, key: str, who: int
) -> None:
    """A message is not dropped in silence: without it the cancellation goes."""
    made = world.desk.book(world.free(region, key)[0], who)

    with pytest.raises(Forbidden, match="no message"):
        world.desk.booking.cancel(made.booking.id, reason=_REASON)

    assert len(world.writes(region, who)) == 1
    assert world.desk.booking.cancel(made.booking.id).status is BookingStatus.CANCELLED


def test_a_stale_version_changes_nothing(world: RealWorld, who: int) -> None:
    """A client that has not seen the last change must read the booking again."""
    old, new, third = world.free("norr")[:3]
    made = world.desk.book(old, who)
    world.desk.move(made.booking.id, new)

    with pytest.raises(Stale):
        world.desk.booking.cancel(made.booking.id, version=made.booking.version)
    with pytest.raises(Stale):
        world.desk.move(made.booking.id, third, version=made.booking.version)

    assert len(world.writes("norr", who)) == 2


def test_what_is_pending_cannot_be_changed(world: RealWorld, who: int) -> None:
    """While the outcome is unknown, nothing more is sent."""
    first, second = world.free("norr")[:2]
    world.spoil("norr", "drop-before-processing", interactions=["MakeBooking"], count=1)
    made = world.desk.book(first, who)

    with pytest.raises(Conflict):
        world.desk.booking.cancel(made.booking.id)
    with pytest.raises(Conflict):
        world.desk.move(made.booking.id, second)

    assert len(world.writes("norr", who)) == 1


def test_what_is_cancelled_cannot_be_moved(world: RealWorld, who: int) -> None:
    """A cancelled booking cannot be moved."""
    first, second = world.free("norr")[:2]
    made = world.desk.book(first, who)
    world.desk.booking.cancel(made.booking.id)

    with pytest.raises(Conflict, match="not booked"):
        world.desk.move(made.booking.id, second)


# What happens at the region


def cancel_by_phone(world: RealWorld, region: str, made: Any, who: int) -> None:
    """Cancel a booking past this server."""
    booking = made.booking
    result = world.desk.adapters[SourceName(region)].cancel_booking(
        CancelBooking(
            unit=booking.timeslot.schedule.unit,
            booking_id=booking.booking_id,
            actor=Actor.resident(number(who)),
        ),
        timeout=TIMEOUT_S,
    )
    assert result.is_done


@EVERY_REGION
def test_a_booking_that_somebody_else_cancelled_is_cancelled(
    world: RealWorld, region: str, who: int
) -> None:
    """What is no longer in the region's book is cancelled when it is read."""
    wanted = world.free(region)[0]
    made = world.desk.book(wanted, who)
    cancel_by_phone(world, region, made, who)

    found = world.desk.booking.read(made.booking.id)

    assert found.status is BookingStatus.CANCELLED
    assert found.version == made.booking.version + 1
    assert not world.desk.is_held(wanted)


@EVERY_REGION
def test_a_time_that_somebody_else_cancelled_can_be_booked_again(
    world: RealWorld, region: str, who: int
) -> None:
    """The same resident gets a new booking of it, not the old one that is gone."""
    wanted = world.free(region)[0]
    made = world.desk.book(wanted, who)
    cancel_by_phone(world, region, made, who)

    again = world.desk.book(wanted, who)

    assert again.is_new
    assert again.booking.id != made.booking.id
    assert again.booking.status is BookingStatus.BOOKED
    assert [again.booking.booking_id] == world.in_the_book(region, who)


def test_a_cancelled_booking_needs_no_cancellation(world: RealWorld, who: int) -> None:
    """What somebody else cancelled is not cancelled again."""
    made = world.desk.book(world.free("norr")[0], who)
    cancel_by_phone(world, "norr", made, who)

    cancelled = world.desk.booking.cancel(made.booking.id)

    assert cancelled.status is BookingStatus.CANCELLED
    assert len(world.writes("norr", who)) == 2


def test_a_region_that_is_silent_leaves_a_booking_as_it_was(
    world: RealWorld, who: int
) -> None:
    """A booking that cannot be confirmed is as it was last known, and says when."""
    made = world.desk.book(world.free("norr")[0], who)
    world.spoil("norr", "refuse")

    found = world.desk.booking.read(made.booking.id)

    assert found.status is BookingStatus.BOOKED
    assert found.confirmed_at is not None
    assert found.version == made.booking.version
    assert found.permissions == made.booking.permissions


def test_nothing_of_a_resident_is_in_redis(world: RealWorld, who: int) -> None:
    """Neither a key nor a value in Redis has a number or a name of anybody's."""
    world.desk.book(world.free("norr")[0], who, reason="Ont i knät")
    with redis.Redis.from_url(world.redis_url) as client:
        kept = [repr(client.xrange("changes")).encode()]
        for name in client.scan_iter():
            kept += [name, client.get(name) if name != b"changes" else b""]

    assert len(kept) > 30
    for personal in (number(who).reveal(), TOLVAN.reveal(), "Tolvansson", "knät"):
        assert not [each for each in kept if personal.encode() in each]
