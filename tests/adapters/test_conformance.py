"""
What every adapter promises, held against real regions with three sets of habits.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, timedelta
from itertools import count

import pytest
from builders import NOW, number, subject

from fhir_gateway.model import scheduling
from fhir_gateway.model.booking import BookedTimes, Booking, ResultCode, WriteResult
from fhir_gateway.model.errors import (
    BookingUnconfirmed,
    GatewayError,
    NotFound,
    Refused,
    SourceFault,
    Unavailable,
)
from fhir_gateway.model.ids import BookingId, LogicalAddress
from fhir_gateway.model.interaction import Actor, Interaction
from fhir_gateway.model.listed import Listed
from fhir_gateway.model.scheduling import (
    CancelBooking,
    GetAllCareTypes,
    GetAllHealthcareFacilities,
    GetAllPerformers,
    GetAllTimeTypes,
    GetAvailableDates,
    GetBookingDetails,
    GetSubjectOfCareSchedule,
    UpdateBooking,
)
from fhir_gateway.model.timekeeping import STOCKHOLM, civil_date
from fhir_gateway.model.timeslot import FreeTimes, Timeslot
from fhir_gateway.rivta.client import FaultedWrite

from .conftest import TIMEOUT_S, AskedRegion

SOON_S = 0.3

# Each test books for a person of its own.
WHO = count(100)


@pytest.fixture(name="who")
def _who() -> int:
    return next(WHO)


def free_time(asked: AskedRegion, key: str = "covid") -> Timeslot:
    """Return the first free time of a time type."""
    return asked.free_times(time_type_id=asked.time_type(key)).timeslots[0]


def schedule_of(asked: AskedRegion, who: int) -> BookedTimes:
    """Return what a person has booked at the first unit."""
    return asked.adapter.get_subject_of_care_schedule(
        GetSubjectOfCareSchedule(
            address=LogicalAddress(asked.unit),
            actor=Actor.resident(number(who)),
            subject_of_care=number(who),
        ),
        timeout=TIMEOUT_S,
    )


def details_of(asked: AskedRegion, booking_id: str, who: int) -> Booking:
    """Return what the first unit says of a booking."""
    return asked.adapter.get_booking_details(
        GetBookingDetails(
            unit=asked.unit,
            actor=Actor.resident(number(who)),
            booking_id=BookingId(booking_id),
        ),
        timeout=TIMEOUT_S,
    )


def booked(asked: AskedRegion, who: int) -> tuple[Timeslot, BookingId]:
    """Book the first free time and return it with the booking's id."""
    timeslot = free_time(asked)
    result = asked.adapter.make_booking(
        asked.make_request(timeslot, who), timeout=TIMEOUT_S
    )
    assert result.booking_id is not None
    return timeslot, result.booking_id


def test_times_are_aware(asked: AskedRegion) -> None:
    """Every start and end has an offset."""
    free = asked.free_times()

    assert free.timeslots
    assert all(
        instant.utcoffset() is not None
        for each in free.timeslots
        for instant in (each.start, each.end)
    )


def test_times_are_swedish_civil_time(asked: AskedRegion) -> None:
    """A time in the morning is in the morning on both sides of the change-over."""
    free = asked.free_times(time_type_id=None)

    hours = {each.start.astimezone(STOCKHOLM).hour for each in free.timeslots}
    offsets = {each.start.astimezone(STOCKHOLM).utcoffset() for each in free.timeslots}
    assert min(hours) >= 8
    assert max(hours) <= 16
    assert offsets == {timedelta(hours=1), timedelta(hours=2)}


def test_times_lie_in_the_days_asked_for(asked: AskedRegion) -> None:
    """No time is earlier than the first day or later than the last."""
    first = civil_date(NOW) + timedelta(days=7)
    last = first + timedelta(days=13)

    free = asked.free_times(first_day=first, last_day=last, time_type_id=None)

    assert free.timeslots
    assert all(first <= civil_date(each.start) <= last for each in free.timeslots)


def test_times_are_of_the_type_and_unit_asked_for(asked: AskedRegion) -> None:
    """Every time belongs to what was asked about."""
    free = asked.free_times()

    assert {
        (each.schedule.unit, each.schedule.time_type_id) for each in free.timeslots
    } == {(asked.unit, asked.time_type())}


def test_times_are_sorted_and_one_of_each(asked: AskedRegion) -> None:
    """Times come by start, and no two have the same token."""
    free = asked.free_times(time_type_id=None)

    places = [(each.start, each.token) for each in free.timeslots]
    assert places == sorted(set(places))


def test_an_empty_answer_is_empty(asked: AskedRegion) -> None:
    """A day without free times is an empty answer and no error."""
    sunday = civil_date(NOW) + timedelta(days=6)

    assert asked.free_times(first_day=sunday, last_day=sunday) == FreeTimes(
        timeslots=()
    )


def test_nobody_has_booked_nothing(asked: AskedRegion, who: int) -> None:
    """A resident without bookings has an empty schedule."""
    assert schedule_of(asked, who) == BookedTimes(bookings=())


def test_the_directory_answers(asked: AskedRegion) -> None:
    """Time types, staff and units are those of the region."""
    query = {
        "unit": asked.unit,
        "actor": Actor.agent(asked.catalogue.agent),
        "subject_of_care": number(),
    }
    unit = asked.catalogue.units[0]

    time_types = asked.adapter.get_all_time_types(
        GetAllTimeTypes(**query), timeout=TIMEOUT_S
    )
    staff = asked.adapter.get_all_performers(
        GetAllPerformers(**query), timeout=TIMEOUT_S
    )
    units = asked.adapter.get_all_healthcare_facilities(
        GetAllHealthcareFacilities(**query), timeout=TIMEOUT_S
    )
    care_types = asked.adapter.get_all_care_types(
        GetAllCareTypes(**query), timeout=TIMEOUT_S
    )

    assert [(each.id, each.name) for each in time_types.items] == [
        (each.id, each.name) for each in unit.time_types
    ]
    assert staff == Listed(unit.performers)
    assert asked.unit in {each.hsa_id for each in units.items}
    assert dict(care_types.items) == {
        each.care_type.id: each.care_type.name
        for each in unit.time_types
        if each.care_type
    }


def test_days_and_times_agree(asked: AskedRegion) -> None:
    """GetAvailableDates has just the days that GetAvailableTimeslots has times on."""
    days = asked.adapter.get_available_dates(
        GetAvailableDates(
            unit=asked.unit,
            actor=Actor.agent(asked.catalogue.agent),
            subject_of_care=number(),
            first_day=civil_date(NOW),
            last_day=civil_date(NOW) + timedelta(days=89),
            time_type_id=asked.time_type(),
        ),
        timeout=TIMEOUT_S,
    )

    assert {each.day for each in days.items} == {
        civil_date(each.start) for each in asked.free_times().timeslots
    }


def test_equal_times_of_a_group_are_counted(
    asked: AskedRegion,
) -> None:
    """A time for five residents is one time with the count five."""
    group = asked.catalogue.units[1]
    offered = [each for each in group.time_types if each.places > 1]
    if not offered:
        assert asked.catalogue.name != "norr"
        return

    free = asked.free_times(unit=group.hsa_id, time_type_id=offered[0].id)

    assert {each.count for each in free.timeslots} == {5}


def test_a_late_read_is_unavailable_in_time(asked: AskedRegion) -> None:
    """A source that hangs is given up when the time is up."""
    asked.spoil("hang", seconds=5, count=1)
    began = time.monotonic()

    with pytest.raises(Unavailable):
        asked.free_times(timeout=SOON_S)

    assert time.monotonic() - began < SOON_S + 0.7


def test_a_broken_connection_is_unavailable(asked: AskedRegion) -> None:
    """A source that resets a question could not be asked."""
    asked.spoil("refuse", count=1)

    with pytest.raises(Unavailable):
        asked.free_times()


def test_a_faulted_read_is_a_fault(asked: AskedRegion) -> None:
    """A fault of the platform's raises SourceFault with its code."""
    asked.spoil("vp-fault", code="VP007", count=1)

    with pytest.raises(SourceFault) as raised:
        asked.free_times()

    assert raised.value.code == "VP007"


def test_a_time_is_booked(asked: AskedRegion, who: int) -> None:
    """A booked time stands in the resident's schedule and is not free any more."""
    timeslot, booking_id = booked(asked, who)

    (found,) = schedule_of(asked, who).bookings
    assert (found.booking_id, found.start, found.end, found.subject_of_care) == (
        booking_id,
        timeslot.start,
        timeslot.end,
        number(who),
    )
    assert timeslot.token not in {each.token for each in asked.free_times().timeslots}
    assert asked.writes(who) == [("MakeBooking", "OK", True)]


def test_a_booking_is_described_by_its_id(asked: AskedRegion, who: int) -> None:
    """GetBookingDetails and the schedule tell the same."""
    _, booking_id = booked(asked, who)

    assert details_of(asked, booking_id, who) == schedule_of(asked, who).bookings[0]


def test_an_unknown_booking_has_no_details(asked: AskedRegion, who: int) -> None:
    """Whatever a producer answers for an unknown id, it is an error of ours."""
    with pytest.raises(GatewayError) as raised:
        details_of(asked, "B-0", who)

    expected = NotFound if asked.catalogue.name == "syd" else SourceFault
    assert type(raised.value) is expected


def test_a_taken_time_is_not_booked(asked: AskedRegion, who: int) -> None:
    """The second to book a time gets a no: an ERROR, or a fault known to mean it."""
    timeslot, _ = booked(asked, who)
    second = next(WHO)
    request = asked.make_request(timeslot, second)

    if asked.catalogue.name == "mitt":
        with pytest.raises(Refused):
            asked.adapter.make_booking(request, timeout=TIMEOUT_S)
    else:
        result = asked.adapter.make_booking(request, timeout=TIMEOUT_S)
        assert result.code is ResultCode.ERROR
        assert result.text

    assert schedule_of(asked, second).bookings == ()


def test_a_booking_is_moved(asked: AskedRegion, who: int) -> None:
    """A moved booking stands at its new time alone."""
    _, booking_id = booked(asked, who)
    target = free_time(asked)

    result = asked.adapter.update_booking(
        UpdateBooking(
            booking_id=booking_id, timeslot=target, subject_of_care=subject(who)
        ),
        timeout=TIMEOUT_S,
    )

    assert result.is_done
    assert [each.start for each in schedule_of(asked, who).bookings] == [target.start]


def test_a_booking_is_cancelled(asked: AskedRegion, who: int) -> None:
    """A cancelled time can be booked again at once."""
    timeslot, booking_id = booked(asked, who)

    result = asked.adapter.cancel_booking(
        CancelBooking(
            unit=asked.unit, booking_id=booking_id, actor=Actor.resident(number(who))
        ),
        timeout=TIMEOUT_S,
    )

    assert result.is_done
    assert schedule_of(asked, who).bookings == ()
    assert timeslot.token in {each.token for each in asked.free_times().timeslots}


UNKNOWN_OUTCOMES = [
    pytest.param({"fault": "drop-after-processing"}, 1, id="dropped when done"),
    pytest.param({"fault": "drop-before-processing"}, 0, id="dropped unread"),
    pytest.param({"fault": "hang", "seconds": 5}, 0, id="silence"),
    pytest.param({"fault": "deliver-nothing", "after": True}, 1, id="an empty answer"),
    pytest.param({"fault": "vp-fault", "code": "VP009"}, 0, id="VP009 before"),
    pytest.param(
        {"fault": "vp-fault", "code": "VP009", "after": True}, 1, id="VP009 after"
    ),
    pytest.param({"fault": "vp-fault", "code": "VP004"}, 0, id="VP004 before"),
    pytest.param(
        {"fault": "vp-fault", "code": "VP004", "after": True}, 1, id="VP004 after"
    ),
    pytest.param({"fault": "wrong-status"}, 0, id="OK under 500, not done"),
    pytest.param({"fault": "wrong-status", "after": True}, 1, id="OK under 500"),
]


@pytest.mark.parametrize(("fault", "bookings"), UNKNOWN_OUTCOMES)
def test_a_write_of_unknown_outcome_is_sent_once(
    asked: AskedRegion, who: int, fault: dict[str, object], bookings: int
) -> None:
    """A write that nobody answers for is BookingUnconfirmed, and never repeated."""
    timeslot = free_time(asked)
    asked.spoil(**fault, interactions=["MakeBooking"], count=2)  # type: ignore[arg-type] # a table of mixed values

    with pytest.raises(BookingUnconfirmed):
        asked.adapter.make_booking(asked.make_request(timeslot, who), timeout=SOON_S)

    assert len(asked.writes(who)) == 1
    assert len(schedule_of(asked, who).bookings) == bookings


def test_a_done_write_with_a_remark_is_done(asked: AskedRegion, who: int) -> None:
    """INFO is a yes with a text."""
    timeslot = free_time(asked)
    asked.spoil("info", interactions=["MakeBooking"], text="Kom tidigt.", count=1)

    result = asked.adapter.make_booking(
        asked.make_request(timeslot, who), timeout=TIMEOUT_S
    )

    assert replace(result, booking_id=None) == WriteResult(
        code=ResultCode.INFO, text="Kom tidigt."
    )


def write_of(
    asked: AskedRegion, timeslot: Timeslot, who: int, interaction: Interaction
) -> Callable[[], WriteResult]:
    """Return a write that is about to be sent."""
    actor = Actor.resident(number(who))
    subject_of_care = subject(who)
    match interaction:
        case scheduling.MAKE_BOOKING:
            request = asked.make_request(timeslot, who)
            return lambda: asked.adapter.make_booking(request, timeout=SOON_S)
        case scheduling.UPDATE_BOOKING:
            update = UpdateBooking(
                booking_id=BookingId("B-0"),
                timeslot=timeslot,
                subject_of_care=subject_of_care,
            )
            return lambda: asked.adapter.update_booking(update, timeout=SOON_S)
        case _:
            cancel = CancelBooking(
                unit=asked.unit, booking_id=BookingId("B-0"), actor=actor
            )
            return lambda: asked.adapter.cancel_booking(cancel, timeout=SOON_S)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"fault": "hang", "seconds": 5}, id="silence"),
        pytest.param({"fault": "refuse"}, id="a reset"),
        pytest.param({"fault": "vp-fault", "code": "VP009"}, id="a fault"),
        pytest.param({"fault": "deliver-nothing"}, id="an empty answer"),
    ],
)
@pytest.mark.parametrize(
    "interaction",
    [pytest.param(each, id=each.name) for each in sorted(scheduling.WRITES, key=str)],
)
def test_an_error_shows_nothing_personal(
    asked: AskedRegion, interaction: Interaction, fault: dict[str, object], who: int
) -> None:
    """Neither number nor name of the resident is in the error or its notes."""
    write = write_of(asked, free_time(asked), who, interaction)
    asked.spoil(**fault, interactions=[interaction.name], count=1)  # type: ignore[arg-type] # a table of mixed values

    with pytest.raises(BookingUnconfirmed) as raised:
        write()

    shown = "\n".join([str(raised.value), *getattr(raised.value, "__notes__", ())])
    assert number(who).reveal() not in shown
    assert "Tolvan" not in shown
    assert raised.value.interaction == interaction.name


def test_a_fault_of_the_regions_is_kept_for_those_who_know_it(
    asked: AskedRegion, who: int
) -> None:
    """An unknown fault on a write is unconfirmed; its text is not in the message."""
    request = asked.make_request(free_time(asked), who)
    asked.spoil("vp-fault", interactions=["MakeBooking"], count=1)

    with pytest.raises(FaultedWrite) as raised:
        asked.adapter.make_booking(request, timeout=TIMEOUT_S)

    assert str(raised.value) == (
        "The source answered a write with a fault (VP009)."
        f" (source {asked.catalogue.name}, MakeBooking)"
    )


def test_units_that_do_not_answer_are_named(asked: AskedRegion, who: int) -> None:
    """Of an aggregated schedule the parts that are missing are told."""
    address = asked.catalogue.aggregated_address
    if address is None:
        assert asked.catalogue.name == "mitt"
        return
    booked(asked, who)
    asked.spoil(
        "vp-fault",
        interactions=["GetSubjectOfCareSchedule"],
        units=[asked.unit],
        count=1,
    )

    answer = asked.adapter.get_subject_of_care_schedule(
        GetSubjectOfCareSchedule(
            address=address,
            actor=Actor.resident(number(who)),
            subject_of_care=number(who),
        ),
        timeout=TIMEOUT_S,
    )

    assert answer == BookedTimes(bookings=(), unanswered=(LogicalAddress(asked.unit),))


def test_instants_are_comparable(asked: AskedRegion) -> None:
    """A time's start is later than the sandbox's own present."""
    assert all(
        each.start.astimezone(UTC) > NOW for each in asked.free_times().timeslots
    )
