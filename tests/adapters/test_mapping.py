"""
Between the contract's types and the model: what is kept, left out and refused.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from builders import TOLVAN, UNIT, VISIT, schedule, subject
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_gateway.adapters.scheduling_1_1.booking_mapping import (
    booking_from_wire,
    subject_of_care_info,
)
from fhir_gateway.adapters.scheduling_1_1.directory_mapping import unit_from_wire
from fhir_gateway.adapters.scheduling_1_1.timeslot_mapping import (
    free_times_from_answer,
    requested_timeslot,
    schedule_from_wire,
    timeslot_from_wire,
)
from fhir_gateway.model.booking import Booking, BookingPermissions
from fhir_gateway.model.ids import (
    BookingId,
    CareTypeId,
    PerformerId,
    ResourceId,
    TimeTypeId,
)
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.timeslot import FreeTimes, Schedule, Timeslot
from fhir_gateway.rivta.envelope import ContractAnswer
from fhir_gateway.rivta.rejection import MalformedElement
from fhir_gateway.rivta.scheduling_1_1.get_available_timeslots import Response
from fhir_gateway.rivta.scheduling_1_1.types import (
    PerformerAvailabilityByDateType,
    SubjectOfCareType,
    TimeslotType,
)

START = datetime(2026, 6, 1, 6, 0, tzinfo=UTC)
END = datetime(2026, 6, 1, 6, 30, tzinfo=UTC)
ONE = BookingId("S-1")


def wire(**changed: Any) -> TimeslotType:
    """Return a listed time with everything in it."""
    fields: dict[str, Any] = {
        "start_time_inclusive": "20260601080000",
        "end_time_exclusive": "20260601083000",
        "healthcare_facility": "se2321000016-a01",
        "performer": "SE2321000016-P01",
        "booking_id": "S-1",
        "subject_of_care": "191212121212",
        "resource_name": "Rum 1",
        "healthcare_facility_name": "Mottagningen",
        "performer_name": "Läkare Eva Ek",
        "resource_id": "1001",
        "time_type_name": "Besök",
        "time_type_id": "TT-BESOK",
        "care_type_name": "Mottagningsbesök",
        "care_type_id": "BESOK",
        "cancel_booking_allowed": True,
        "rebooking_allowed": False,
        "message_allowed": True,
    }
    return TimeslotType(**fields | changed)


WHOLE = Schedule(
    unit=UNIT,
    time_type_id=VISIT,
    time_type_name="Besök",
    performer=PerformerId("SE2321000016-P01"),
    performer_name="Läkare Eva Ek",
    resource_id=ResourceId("1001"),
    resource_name="Rum 1",
    care_type_id=CareTypeId("BESOK"),
    care_type_name="Mottagningsbesök",
)


def test_a_listed_time_is_read_whole() -> None:
    """The schedule, the time, and the id that some producers put on it are kept."""
    assert timeslot_from_wire(wire(), UNIT, None) == Timeslot(
        schedule=WHOLE, start=START, end=END, source_id=BookingId("S-1")
    )


def test_a_times_unit_may_be_in_any_case() -> None:
    """HSA-ids are the same in lower case."""
    assert unit_from_wire("se2321000016-a01") == UNIT


@pytest.mark.parametrize(
    ("changed", "element"),
    [
        pytest.param(
            {"healthcare_facility": "SE2321000016-A02"},
            "healthcare_facility",
            id="another unit's",
        ),
        pytest.param(
            {"healthcare_facility": "HSA_1"}, "healthcare_facility", id="no HSA-id"
        ),
        pytest.param(
            {"start_time_inclusive": None}, "startTimeInclusive", id="no start"
        ),
        pytest.param({"end_time_exclusive": None}, "endTimeExclusive", id="no end"),
        pytest.param(
            {"start_time_inclusive": "20260329023000"},
            "startTimeInclusive",
            id="a start that spring leaves out",
        ),
        pytest.param(
            {
                "start_time_inclusive": "20260329013000",
                "end_time_exclusive": "20260329023000",
            },
            "endTimeExclusive",
            id="an end that spring leaves out",
        ),
        pytest.param(
            {"end_time_exclusive": "20260601080000"},
            "endTimeExclusive",
            id="no length",
        ),
        pytest.param(
            {"end_time_exclusive": "20260614080000"},
            "endTimeExclusive",
            id="thirteen days",
        ),
        pytest.param(
            {
                "start_time_inclusive": "29991231080000",
                "end_time_exclusive": "29991231083000",
            },
            "endTimeExclusive",
            id="a placeholder for never",
        ),
        pytest.param({"time_type_id": None}, "timeTypeID", id="no time type"),
    ],
)
def test_an_impossible_time_is_refused(changed: dict[str, Any], element: str) -> None:
    """A time that cannot be is refused under its element's name."""
    with pytest.raises(MalformedElement) as raised:
        timeslot_from_wire(wire(**changed), UNIT, None)

    assert raised.value.element == element


def test_the_time_type_asked_for_fills_a_missing_one() -> None:
    """A producer that does not repeat the time type is believed to have meant it."""
    timeslot = timeslot_from_wire(
        wire(time_type_id=None, time_type_name=None), UNIT, TimeTypeId("TT-X")
    )

    assert timeslot.schedule.time_type_id == "TT-X"
    assert timeslot.schedule.time_type_name == "TT-X"


def test_an_end_in_the_repeated_hour_is_after_its_start() -> None:
    """In October a time from 01:30 to 02:00 lasts half an hour."""
    timeslot = timeslot_from_wire(
        wire(
            start_time_inclusive="20261025013000", end_time_exclusive="20261025020000"
        ),
        UNIT,
        None,
    )

    assert (timeslot.end - timeslot.start).total_seconds() == 1800


@pytest.mark.parametrize(
    ("name", "field"),
    [
        pytest.param("performer", "performer", id="performer"),
        pytest.param("resource_id", "resource_id", id="resource"),
        pytest.param("care_type_id", "care_type_id", id="care type"),
        pytest.param("time_type_id", "time_type_id", id="time type"),
    ],
)
@pytest.mark.parametrize(
    "text",
    [
        pytest.param("se-p1a", id="lower case"),
        pytest.param("1001", id="no HSA-id"),
        pytest.param(" 1 ", id="blanks around"),
        pytest.param("a_b c", id="other characters"),
    ],
)
def test_an_identifier_goes_back_as_it_came(name: str, field: str, text: str) -> None:
    """What distinguishes times at a region is the very text that it wrote."""
    timeslot = timeslot_from_wire(wire(**{name: text}), UNIT, None)

    requested = requested_timeslot(timeslot, subject(number=TOLVAN), None, None)

    assert (getattr(timeslot.schedule, field), getattr(requested, name)) == (text, text)


@settings(deadline=None)
@given(
    texts=st.lists(st.text(min_size=1, max_size=8), min_size=2, max_size=5, unique=True)
)
def test_times_of_two_performers_are_never_one(texts: list[str]) -> None:
    """As many performers as a region writes have as many times, each by its text."""
    answer = ContractAnswer(
        response=Response(timeslot_detail=tuple(wire(performer=each) for each in texts))
    )

    free = free_times_from_answer(answer, UNIT, None)

    assert {each.schedule.performer: each.count for each in free.timeslots} == (
        dict.fromkeys(texts, 1)
    )


def test_blanks_around_a_time_type_do_not_make_it_another_one() -> None:
    """A time is of the time type that was asked for, however it is padded."""
    timeslot = timeslot_from_wire(
        wire(time_type_id=" TT-BESOK"), UNIT, TimeTypeId("TT-BESOK ")
    )

    assert timeslot.schedule.time_type_id == "TT-BESOK "


def test_a_day_has_no_performers_name() -> None:
    """GetAvailableDates lists no names of staff."""
    day = PerformerAvailabilityByDateType(
        healthcare_facility=UNIT, date="20260601", time_type_id=VISIT
    )

    assert schedule_from_wire(day, UNIT, None) == schedule(name=VISIT)


def test_equal_times_are_counted_and_sorted() -> None:
    """A time that is listed again counts, under any names; others stand apart."""
    later = wire(
        start_time_inclusive="20260601090000", end_time_exclusive="20260601093000"
    )
    answer = ContractAnswer(
        response=Response(
            timeslot_detail=(
                later,
                wire(),
                wire(performer_name="Eva Ek"),
                wire(performer="SE2321000016-P02"),
                wire(healthcare_facility="SE2321000099-S01"),
                wire(),
            )
        ),
    )

    free = free_times_from_answer(answer, UNIT, None)

    other = replace(WHOLE, performer=PerformerId("SE2321000016-P02"))
    at_eight = [
        Timeslot(schedule=WHOLE, start=START, end=END, count=3, source_id=ONE),
        Timeslot(schedule=other, start=START, end=END, source_id=ONE),
    ]
    hour = timedelta(hours=1)
    assert free == FreeTimes(
        timeslots=(
            *sorted(at_eight, key=lambda each: each.schedule.token),
            Timeslot(schedule=WHOLE, start=START + hour, end=END + hour, source_id=ONE),
        ),
        rejected=("healthcare_facility: is another unit than the one that was asked",),
    )


def test_a_booking_is_read_whole() -> None:
    """A booking names its resident, what it permits and why it was made."""
    booking = booking_from_wire(
        wire(purpose="Kontroll", reason="Ont i knät", is_invitation=True), []
    )

    assert booking == Booking(
        unit=UNIT,
        booking_id=BookingId("S-1"),
        start=START,
        end=END,
        subject_of_care=TOLVAN,
        time_type_id=VISIT,
        time_type_name="Besök",
        performer=PerformerId("SE2321000016-P01"),
        performer_name="Läkare Eva Ek",
        resource_id=ResourceId("1001"),
        resource_name="Rum 1",
        care_type_id=CareTypeId("BESOK"),
        care_type_name="Mottagningsbesök",
        purpose="Kontroll",
        reason="Ont i knät",
        permissions=BookingPermissions(cancel=True, rebook=False, message=True),
        is_invitation=True,
    )


def test_a_bare_booking_permits_nothing() -> None:
    """Flags that are absent mean no (crm:scheduling 1.1.5)."""
    booking = booking_from_wire(
        TimeslotType(
            start_time_inclusive="202606010800",
            end_time_exclusive="202606010830",
            healthcare_facility=UNIT,
        ),
        [],
    )

    assert booking == Booking(unit=UNIT, booking_id=None, start=START, end=END)


@pytest.mark.parametrize("civil", ["20261025024500", "20260601080000"])
def test_a_free_time_of_no_length_is_refused_on_every_night(civil: str) -> None:
    """In October's repeated hour it does not become an hour long."""
    with pytest.raises(MalformedElement, match="it is not after the start"):
        timeslot_from_wire(
            wire(start_time_inclusive=civil, end_time_exclusive=civil), UNIT, None
        )


@pytest.mark.parametrize(
    ("changed", "end", "faults"),
    [
        pytest.param({"end_time_exclusive": None}, None, [], id="no end"),
        pytest.param(
            {"end_time_exclusive": "20260601080000"}, START, [], id="no length"
        ),
        pytest.param(
            {"end_time_exclusive": "20260601075900"},
            None,
            ["endTimeExclusive: not an end: it is not after the start"],
            id="an end before the start",
        ),
        pytest.param(
            {"end_time_exclusive": "20280601080000"},
            None,
            ["endTimeExclusive: not an end: it is more than a year after the start"],
            id="an end years later",
        ),
    ],
)
def test_a_booking_is_read_with_any_end(
    changed: dict[str, Any], end: datetime | None, faults: list[str]
) -> None:
    """What has a start is a booking; an impossible end is left out and reported."""
    left_out: list[str] = []

    booking = booking_from_wire(wire(**changed), left_out)

    assert (booking.start, booking.end, left_out) == (START, end, faults)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        pytest.param("191212121212", TOLVAN, id="a personal number"),
        pytest.param("19121212-1212", TOLVAN, id="with a hyphen"),
        pytest.param(
            "197010632391", PersonalIdentityNumber("197010632391"), id="coordination"
        ),
        pytest.param("19121212T212", None, id="a letter of the schema"),
        pytest.param("19121212p212", None, id="a small letter"),
        pytest.param("20121212ABCD", None, id="national, with four letters"),
        pytest.param("991212121212", None, id="local, of another century"),
        pytest.param("201200003333", None, id="local, of no month"),
        pytest.param(None, None, id="none"),
    ],
)
def test_a_booking_may_have_a_temporary_number(
    text: str | None, number: PersonalIdentityNumber | None
) -> None:
    """A temporary number is not a personal one, and identifies nobody."""
    booking = booking_from_wire(wire(subject_of_care=text), [])

    assert booking.subject_of_care == number


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("191212121213", id="a wrong check digit"),
        pytest.param("197010632392", id="likewise in a coordination number"),
        pytest.param("1212121212", id="ten digits"),
        pytest.param("Tolvan", id="a name"),
        pytest.param("19121212 1212 1", id="too long"),
    ],
)
def test_what_is_neither_is_refused(text: str) -> None:
    """A mistyped number may be anybody's, so its booking is left out."""
    with pytest.raises(MalformedElement, match="subject_of_care") as raised:
        booking_from_wire(wire(subject_of_care=text), [])

    assert text not in str(raised.value)


def test_an_open_invitation_has_no_time() -> None:
    """A booking with neither start nor end is an open invitation."""
    booking = booking_from_wire(
        wire(start_time_inclusive=None, end_time_exclusive=None, is_invitation=True), []
    )

    assert (booking.start, booking.end, booking.is_invitation) == (None, None, True)


def test_half_a_time_is_no_invitation() -> None:
    """A booking with an end and no start is refused."""
    with pytest.raises(MalformedElement, match="startTimeInclusive"):
        booking_from_wire(wire(start_time_inclusive=None), [])


def test_a_wrong_number_is_not_quoted() -> None:
    """A booking with an impossible personal number is refused without showing it."""
    with pytest.raises(MalformedElement) as raised:
        booking_from_wire(wire(subject_of_care="191212121213"), [])

    assert str(raised.value) == (
        "subject_of_care: not a personal number: its check digit is wrong"
    )


def test_the_whole_tuple_is_asked_for() -> None:
    """A requested time repeats everything that was listed, and sets no flag."""
    timeslot = timeslot_from_wire(wire(), UNIT, None)

    requested = requested_timeslot(
        timeslot, subject(number=TOLVAN), "Ont i knät", BookingId("B-1")
    )

    assert requested == TimeslotType(
        start_time_inclusive="20260601080000",
        end_time_exclusive="20260601083000",
        healthcare_facility=UNIT,
        performer="SE2321000016-P01",
        booking_id="B-1",
        subject_of_care="191212121212",
        reason="Ont i knät",
        resource_name="Rum 1",
        performer_name="Läkare Eva Ek",
        resource_id="1001",
        time_type_name="Besök",
        time_type_id="TT-BESOK",
        care_type_name="Mottagningsbesök",
        care_type_id="BESOK",
    )


def test_a_region_receives_names_and_contacts() -> None:
    """All that the client said of the resident is sent, with the number apart."""
    info = subject_of_care_info(
        subject(
            middle_name="Test",
            phone="0980-319 200",
            email="t@example.org",
            address="Storgatan 1",
        )
    )

    assert info == SubjectOfCareType(
        phone="0980-319 200",
        email="t@example.org",
        address="Storgatan 1",
        first_name="Tolvan",
        middle_name="Test",
        last_name="Tolvansson",
    )
