"""
What every adapter promises, held against real regions with three sets of habits.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, timedelta
from typing import Any

import pytest
from builders import NOW

from fhir_gateway.adapters.protocol import (
    ListsBookings,
    ListsCareTypes,
    ListsPerformers,
    ability,
)
from fhir_gateway.model.booking import BookedTimes, ResultCode, WriteResult
from fhir_gateway.model.errors import (
    NotFound,
    Refused,
    SourceFault,
    Unavailable,
    WriteUnconfirmed,
)
from fhir_gateway.model.ids import BookingId, LogicalAddress
from fhir_gateway.model.interaction import Actor
from fhir_gateway.model.listed import Listed
from fhir_gateway.model.person import SubjectOfCare
from fhir_gateway.model.scheduling import (
    GetAllCareTypes,
    GetAllPerformers,
    GetAllTimeTypes,
    GetAvailableTimeslots,
    GetBookingDetails,
    GetSubjectOfCareSchedule,
    MakeBooking,
)
from fhir_gateway.model.timekeeping import STOCKHOLM
from fhir_gateway.model.timeslot import FreeTimes, Timeslot
from fhir_gateway.rivta.client import FaultedWrite
from fhir_gateway.testing import AdapterConformance, FakeRegion

TIMEOUT_S = 5.0
SOON_S = 0.3


class TestScheduling11(AdapterConformance):
    """The built-in adapter, at each region of the fixture `source`."""


def free_times(source: FakeRegion, **changed: Any) -> FreeTimes:
    """Ask for the free times of ninety days."""
    fields: dict[str, Any] = {
        "unit": source.unit,
        "actor": Actor.agent(source.agent),
        "subject_of_care": source.new_resident().number,
        "first_day": source.first_day,
        "last_day": source.last_day,
        "time_type_id": source.time_type_id,
    }
    return source.adapter.get_available_timeslots(
        GetAvailableTimeslots(**fields | changed), timeout=TIMEOUT_S
    )


def booking_at(
    source: FakeRegion,
    timeslot: Timeslot,
    resident: SubjectOfCare,
    *,
    timeout: float = TIMEOUT_S,
) -> Callable[[], WriteResult]:
    """Return what books a time."""
    request = MakeBooking(timeslot=timeslot, subject_of_care=resident)
    return lambda: source.adapter.make_booking(request, timeout=timeout)


def booking_of(
    source: FakeRegion, resident: SubjectOfCare, *, timeout: float = TIMEOUT_S
) -> Callable[[], WriteResult]:
    """Return what books the first free time."""
    timeslot = free_times(source).timeslots[0]
    return booking_at(source, timeslot, resident, timeout=timeout)


def test_times_are_swedish_civil_time(source: FakeRegion) -> None:
    """A time in the morning is in the morning on both sides of the change-over."""
    free = free_times(source, time_type_id=None)

    hours = {each.start.astimezone(STOCKHOLM).hour for each in free.timeslots}
    offsets = {each.start.astimezone(STOCKHOLM).utcoffset() for each in free.timeslots}
    assert min(hours) >= 8
    assert max(hours) <= 16
    assert offsets == {timedelta(hours=1), timedelta(hours=2)}


def test_times_of_every_type_are_one_of_each(source: FakeRegion) -> None:
    """Without a time type, times of all types stand by start, none twice."""
    free = free_times(source, time_type_id=None)

    places = [(each.start, each.token) for each in free.timeslots]
    assert places == sorted(set(places))


def test_times_are_later_than_now(source: FakeRegion) -> None:
    """A time's start is later than the sandbox's own present."""
    free = free_times(source)

    assert all(each.start.astimezone(UTC) > NOW for each in free.timeslots)


def test_the_directory_answers(source: FakeRegion) -> None:
    """Time types, staff and care types are those of the region."""
    query: dict[str, Any] = {
        "unit": source.unit,
        "actor": Actor.agent(source.agent),
        "subject_of_care": source.new_resident().number,
    }
    unit = source.catalogue.units[0]

    time_types = source.adapter.get_all_time_types(
        GetAllTimeTypes(**query), timeout=TIMEOUT_S
    )
    staff = ability(source.adapter, ListsPerformers).get_all_performers(
        GetAllPerformers(**query), timeout=TIMEOUT_S
    )
    care_types = ability(source.adapter, ListsCareTypes).get_all_care_types(
        GetAllCareTypes(**query), timeout=TIMEOUT_S
    )

    assert [(each.id, each.name) for each in time_types.items] == [
        (each.id, each.name) for each in unit.time_types
    ]
    assert staff == Listed(unit.performers)
    assert dict(care_types.items) == {
        each.care_type.id: each.care_type.name
        for each in unit.time_types
        if each.care_type
    }


def test_equal_times_of_a_group_are_counted(source: FakeRegion) -> None:
    """A time for five residents is one time with the count five."""
    group = source.catalogue.units[1]
    offered = [each for each in group.time_types if each.places > 1]
    if not offered:
        assert source.catalogue.name != "norr"
        return

    free = free_times(source, unit=group.hsa_id, time_type_id=offered[0].id)

    assert {each.count for each in free.timeslots} == {5}


def test_a_reset_connection_is_unavailable(source: FakeRegion) -> None:
    """A source that resets a question could not be asked."""
    source.add_fault(fault="refuse", count=1)

    with pytest.raises(Unavailable):
        free_times(source)


def test_a_faulted_read_has_the_platforms_code(source: FakeRegion) -> None:
    """A fault of the platform's raises SourceFault with its code."""
    source.add_fault(fault="vp-fault", code="VP007", count=1)

    with pytest.raises(SourceFault) as raised:
        free_times(source)

    assert raised.value.code == "VP007"


def test_an_unknown_booking_has_no_details(source: FakeRegion) -> None:
    """An answer without a booking is NotFound, and a fault is none."""
    with pytest.raises((NotFound, SourceFault)) as raised:
        source.adapter.get_booking_details(
            GetBookingDetails(
                unit=source.unit,
                actor=Actor.resident(source.new_resident().number),
                booking_id=BookingId("B-0"),
            ),
            timeout=TIMEOUT_S,
        )

    expected = NotFound if source.catalogue.name == "syd" else SourceFault
    assert type(raised.value) is expected


def test_a_refusal_is_what_the_producer_makes_it(source: FakeRegion) -> None:
    """A taken time is an ERROR with a text, or a fault known to mean it."""
    first = source.new_resident()
    timeslot = free_times(source).timeslots[0]
    assert booking_at(source, timeslot, first)().is_done
    again = booking_at(source, timeslot, source.new_resident())

    if source.catalogue.name == "mitt":
        with pytest.raises(Refused):
            again()
    else:
        result = again()
        assert result.code is ResultCode.ERROR
        assert result.text

    assert source.writes(first) == [("MakeBooking", "OK", True)]


@pytest.mark.parametrize("after", [False, True], ids=["not done", "done"])
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"fault": "deliver-nothing"}, id="an empty answer"),
        pytest.param({"fault": "vp-fault", "code": "VP009"}, id="VP009"),
        pytest.param({"fault": "vp-fault", "code": "VP004"}, id="VP004"),
        pytest.param({"fault": "wrong-status"}, id="OK under 500"),
    ],
)
def test_a_fault_says_nothing_of_a_write(
    source: FakeRegion, fault: dict[str, object], *, after: bool
) -> None:
    """A fault may come before the write was done or after: it is sent once."""
    resident = source.new_resident()
    book = booking_of(source, resident, timeout=SOON_S)
    source.add_fault(**fault, after=after, interactions=["MakeBooking"], count=2)

    with pytest.raises(WriteUnconfirmed):
        book()

    assert [done for _, _, done in source.writes(resident)] == [after]


def test_a_fault_of_the_regions_is_kept_for_those_who_know_it(
    source: FakeRegion,
) -> None:
    """An unknown fault on a write is unconfirmed; its text is not in the message."""
    book = booking_of(source, source.new_resident())
    source.add_fault(fault="vp-fault", interactions=["MakeBooking"], count=1)

    with pytest.raises(FaultedWrite) as raised:
        book()

    assert str(raised.value) == (
        "The source answered a write with a fault (VP009)."
        f" (source {source.catalogue.name}, MakeBooking)"
    )


def test_a_done_write_with_a_remark_is_done(source: FakeRegion) -> None:
    """INFO is a yes with a text."""
    book = booking_of(source, source.new_resident())
    source.add_fault(
        fault="info", interactions=["MakeBooking"], text="Kom tidigt.", count=1
    )

    result = book()

    assert replace(result, booking_id=None) == WriteResult(
        code=ResultCode.INFO, text="Kom tidigt."
    )


def test_units_that_do_not_answer_are_named(source: FakeRegion) -> None:
    """An aggregated schedule names the units that are missing from it."""
    address = source.catalogue.aggregated_address
    if address is None:
        assert source.catalogue.name == "mitt"
        return
    resident = source.new_resident()
    booking_of(source, resident)()
    source.add_fault(
        fault="vp-fault",
        interactions=["GetSubjectOfCareSchedule"],
        units=[source.unit],
        count=1,
    )

    answer = ability(source.adapter, ListsBookings).get_subject_of_care_schedule(
        GetSubjectOfCareSchedule(
            address=address,
            actor=Actor.resident(resident.number),
            subject_of_care=resident.number,
        ),
        timeout=TIMEOUT_S,
    )

    assert answer == BookedTimes(bookings=(), unanswered=(LogicalAddress(source.unit),))
