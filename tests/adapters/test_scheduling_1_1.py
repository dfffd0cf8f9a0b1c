"""
The adapter of crm:scheduling 1.1: what it sends, and what it makes of an answer.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import requests
import responses
from builders import AGENT, COVID, NORR, TOLVAN, UNIT, VISIT, schedule, subject

from fhir_gateway.adapters.scheduling_1_1 import Scheduling11, scheduling_1_1
from fhir_gateway.model import scheduling
from fhir_gateway.model.booking import (
    BookedTimes,
    Booking,
    BookingPermissions,
    KeptPart,
    ResultCode,
    Silence,
    SilenceCause,
    Wish,
    WriteResult,
)
from fhir_gateway.model.care_unit import CareUnit, Performer
from fhir_gateway.model.errors import (
    GatewayError,
    MalformedAnswer,
    NotFound,
    Refused,
    SourceFault,
    Unsupported,
    WriteUnconfirmed,
)
from fhir_gateway.model.ids import (
    BookingId,
    HsaId,
    LogicalAddress,
    ResourceId,
    TimeTypeId,
)
from fhir_gateway.model.interaction import Actor, Interaction
from fhir_gateway.model.listed import Listed
from fhir_gateway.model.scheduling import (
    CancelBooking,
    GetAllCareTypes,
    GetAllHealthcareFacilities,
    GetAllPerformers,
    GetAllTimeTypes,
    GetAvailableDates,
    GetAvailableTimeslots,
    GetBookingDetails,
    GetSubjectOfCareSchedule,
    MakeBooking,
    UpdateBooking,
)
from fhir_gateway.model.timeslot import AvailableDate, FreeTimes, Timeslot, TimeType
from fhir_gateway.rivta.contract import Contract
from fhir_gateway.rivta.envelope import write_fault, write_request, write_response
from fhir_gateway.rivta.fault import Fault
from fhir_gateway.rivta.processing_status import ProcessingStatusRecord, SynchError
from fhir_gateway.rivta.scheduling_1_1 import (
    cancel_booking,
    get_all_care_types,
    get_all_healthcare_facilities,
    get_all_performers,
    get_all_time_types,
    get_available_dates,
    get_available_timeslots,
    get_booking_details,
    get_subject_of_care_schedule,
    make_booking,
    update_booking,
)
from fhir_gateway.rivta.scheduling_1_1.contracts import CONTRACTS
from fhir_gateway.rivta.scheduling_1_1.types import (
    CareTypeType,
    HealthcareFacilityInfoType,
    PerformerAvailabilityByDateType,
    PerformerInfoType,
    SubjectOfCareType,
    TimeslotType,
    TimeTypeType,
)

BASE = "https://norr.example.org/"
NUMBER = TOLVAN.reveal()
AS_AGENT = Actor.agent(AGENT)
AS_RESIDENT = Actor.resident(TOLVAN)
SUBJECT = subject(number=TOLVAN, phone="0980-319 200")
INFO = SubjectOfCareType(
    phone="0980-319 200", first_name="Tolvan", last_name="Tolvansson"
)
DAYS = {"first_day": date(2026, 6, 1), "last_day": date(2026, 6, 30)}
WIRE_DAYS = {"start_date_inclusive": "20260601", "end_date_inclusive": "20260630"}
ASKED = {"unit": UNIT, "actor": AS_AGENT, "subject_of_care": TOLVAN}
WIRE = TimeslotType(
    start_time_inclusive="20260601080000",
    end_time_exclusive="20260601083000",
    healthcare_facility=UNIT,
    booking_id="S-1",
    time_type_name="Besök",
    time_type_id=VISIT,
    cancel_booking_allowed=True,
)
FREE = Timeslot(
    schedule=schedule(),
    start=datetime(2026, 6, 1, 6, 0, tzinfo=UTC),
    end=datetime(2026, 6, 1, 6, 30, tzinfo=UTC),
    source_id=BookingId("S-1"),
)
REQUESTED = TimeslotType(
    start_time_inclusive="20260601080000",
    end_time_exclusive="20260601083000",
    healthcare_facility=UNIT,
    subject_of_care=NUMBER,
    time_type_name="Besök",
    time_type_id=VISIT,
)
MAKE = MakeBooking(timeslot=FREE, subject_of_care=SUBJECT)
UPDATE = UpdateBooking(
    booking_id=BookingId("B-1"), timeslot=FREE, subject_of_care=SUBJECT
)
CANCEL = CancelBooking(unit=UNIT, booking_id=BookingId("B-1"), actor=AS_RESIDENT)
TAKEN = write_fault(
    Fault(code="soap:Server", text=f"resultCode: 3010 resultText: {NUMBER} taken")
)

Answers = Callable[..., None]
Made = Callable[..., Scheduling11]


@pytest.fixture(name="region")
def _region() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=True) as region:
        yield region


@pytest.fixture(name="made")
def _made() -> Iterator[Made]:
    """Return the maker of an adapter with options."""
    adapters = []

    def made(**options: Any) -> Scheduling11:
        adapter = scheduling_1_1(NORR, {"endpoint": BASE + "{interaction}"} | options)
        adapters.append(adapter)
        return adapter

    yield made
    for adapter in adapters:
        adapter.close()


@pytest.fixture(name="adapter")
def _adapter(made: Made) -> Scheduling11:
    return made()


def sends(
    contract: Contract[Any, Any], request: object, *, address: str, actor: Actor
) -> Callable[[requests.PreparedRequest], tuple[bool, str]]:
    """Return the matcher of exactly one message."""
    expected = write_request(
        contract, request, logical_address=LogicalAddress(address), actor=actor
    )

    def match(sent: requests.PreparedRequest) -> tuple[bool, str]:
        if sent.headers["SOAPAction"] != f'"{contract.action}"':
            return False, f"SOAPAction is {sent.headers['SOAPAction']}"
        return sent.body == expected, f"{sent.body!r} is not {expected!r}"

    return match


@pytest.fixture(name="answers")
def _answers(region: responses.RequestsMock) -> Answers:
    """Return a function that sets what the region expects and what it answers."""

    def answers(
        contract: Contract[Any, Any],
        request: object,
        response: object,
        *,
        address: str = UNIT,
        actor: Actor = AS_AGENT,
        status: tuple[ProcessingStatusRecord, ...] | None = None,
    ) -> None:
        is_fault = isinstance(response, bytes)
        region.post(
            BASE + contract.interaction.name,
            body=(
                response
                if is_fault
                else write_response(contract, response, processing_status=status)
            ),
            status=500 if is_fault else 200,
            match=[sends(contract, request, address=address, actor=actor)],
        )

    return answers


# The questions


def test_time_types_are_asked_for_as_agent(
    adapter: Scheduling11, answers: Answers
) -> None:
    """GetAllTimeTypes gives codes and names, in the unit's order."""
    answers(
        get_all_time_types.CONTRACT,
        get_all_time_types.Request(healthcare_facility=UNIT, subject_of_care=NUMBER),
        get_all_time_types.Response(
            list_of_time_types=(
                TimeTypeType(time_type_name="Besök", time_type_id=VISIT),
                TimeTypeType(time_type_name="Covid", time_type_id=COVID),
            )
        ),
    )

    found = adapter.get_all_time_types(GetAllTimeTypes(**ASKED), timeout=1)

    assert found == Listed(
        (TimeType(id=VISIT, name="Besök"), TimeType(id=COVID, name="Covid"))
    )


def test_time_types_of_one_code_are_not_two(
    adapter: Scheduling11, region: responses.RequestsMock
) -> None:
    """Of two ids that differ in blanks alone, the first stays and the other counts."""
    region.post(
        f"{BASE}GetAllTimeTypes",
        body=write_response(
            get_all_time_types.CONTRACT,
            get_all_time_types.Response(
                list_of_time_types=(
                    TimeTypeType(time_type_name="Besök", time_type_id="A"),
                    TimeTypeType(time_type_name="Covid", time_type_id="A "),
                )
            ),
        ),
    )

    found = adapter.get_all_time_types(GetAllTimeTypes(**ASKED), timeout=1)

    assert found == Listed(
        (TimeType(id=TimeTypeId("A"), name="Besök"),),
        ("ListOfTimeTypes/timeTypeId: occurs again, with another name",),
    )


def test_care_types_are_pairs(adapter: Scheduling11, answers: Answers) -> None:
    """GetAllCareTypes gives codes with their names."""
    answers(
        get_all_care_types.CONTRACT,
        get_all_care_types.Request(healthcare_facility=UNIT, subject_of_care=NUMBER),
        get_all_care_types.Response(
            care_types=(CareTypeType(care_type_name="Besök", care_type_id="V1"),)
        ),
    )

    found = adapter.get_all_care_types(GetAllCareTypes(**ASKED), timeout=1)

    assert found == Listed((("V1", "Besök"),))


def test_a_performer_without_an_hsa_id_is_left_out(
    adapter: Scheduling11, answers: Answers
) -> None:
    """GetAllPerformers gives staff; a room has no HSA-id to choose it by."""
    answers(
        get_all_performers.CONTRACT,
        get_all_performers.Request(
            healthcare_facility=UNIT, time_type_ids=(VISIT,), subject_of_care=NUMBER
        ),
        get_all_performers.Response(
            performer_infos=(
                PerformerInfoType(
                    performer="1", first_name="Rum", last_name="Ett", title=None
                ),
                PerformerInfoType(
                    performer="SE2321000016-P01",
                    first_name="Eva",
                    last_name="Ek",
                    title="Läkare",
                ),
            )
        ),
    )

    found = adapter.get_all_performers(
        GetAllPerformers(**ASKED, time_type_ids=(VISIT,)), timeout=1
    )

    assert found == Listed(
        (
            Performer(
                hsa_id=HsaId("SE2321000016-P01"),
                first_name="Eva",
                last_name="Ek",
                title="Läkare",
            ),
        )
    )


def test_units_to_move_to_are_named(adapter: Scheduling11, answers: Answers) -> None:
    """GetAllHealthcareFacilities asks for a booking's; a nameless unit has its id."""
    answers(
        get_all_healthcare_facilities.CONTRACT,
        get_all_healthcare_facilities.Request(
            healthcare_facility=UNIT, subject_of_care=NUMBER, booking_id="B-1"
        ),
        get_all_healthcare_facilities.Response(
            healthcare_facility_infos=(
                HealthcareFacilityInfoType(
                    healthcare_facility=UNIT, healthcare_facility_name="Mottagningen"
                ),
                HealthcareFacilityInfoType(healthcare_facility="se2321000016-a02"),
            )
        ),
    )

    found = adapter.get_all_healthcare_facilities(
        GetAllHealthcareFacilities(**ASKED, booking_id=BookingId("B-1")), timeout=1
    )

    assert found == Listed(
        (
            CareUnit(hsa_id=UNIT, name="Mottagningen", source=NORR),
            CareUnit(
                hsa_id=HsaId("SE2321000016-A02"), name="se2321000016-a02", source=NORR
            ),
        )
    )


def test_days_with_a_free_time(adapter: Scheduling11, answers: Answers) -> None:
    """GetAvailableDates gives a day and its unit."""
    answers(
        get_available_dates.CONTRACT,
        get_available_dates.Request(
            healthcare_facility=UNIT,
            **WIRE_DAYS,
            time_type_id=VISIT,
            subject_of_care=NUMBER,
        ),
        get_available_dates.Response(
            performer_availability_by_date=(
                PerformerAvailabilityByDateType(
                    healthcare_facility=UNIT,
                    date="20260602",
                    time_type_name="Besök",
                    time_type_id=VISIT,
                ),
            )
        ),
    )

    found = adapter.get_available_dates(
        GetAvailableDates(**ASKED, **DAYS, time_type_id=VISIT), timeout=1
    )

    assert found == Listed((AvailableDate(schedule=schedule(), day=date(2026, 6, 2)),))


ASKED_TIMES = get_available_timeslots.Request(
    healthcare_facility=UNIT,
    booking_id="B-1",
    **WIRE_DAYS,
    performer=("SE2321000016-P01",),
    time_type_id=VISIT,
    subject_of_care=NUMBER,
)


def list_times(answers: Answers, *listed: TimeslotType) -> None:
    """Let the region list free times."""
    answers(
        get_available_timeslots.CONTRACT,
        ASKED_TIMES,
        get_available_timeslots.Response(timeslot_detail=listed),
    )


def free_times(adapter: Scheduling11) -> FreeTimes:
    """Ask for free times."""
    return adapter.get_available_timeslots(
        GetAvailableTimeslots(
            **ASKED,
            **DAYS,
            time_type_id=VISIT,
            performers=(HsaId("SE2321000016-P01"),),
            booking_id=BookingId("B-1"),
        ),
        timeout=1,
    )


def test_free_times_are_sorted(adapter: Scheduling11, answers: Answers) -> None:
    """Free times come in order of start, for any order of the producer's."""
    later = replace(
        WIRE,
        start_time_inclusive="20260601090000",
        end_time_exclusive="20260601093000",
    )
    list_times(answers, later, WIRE)

    hour = timedelta(hours=1)
    assert free_times(adapter) == FreeTimes(
        timeslots=(FREE, replace(FREE, start=FREE.start + hour, end=FREE.end + hour))
    )


def test_equal_times_are_counted(adapter: Scheduling11, answers: Answers) -> None:
    """Times without a difference are one time with a count."""
    list_times(answers, WIRE, replace(WIRE, booking_id="S-2"), WIRE)

    assert free_times(adapter) == FreeTimes(timeslots=(replace(FREE, count=3),))


def test_times_of_different_rooms_are_not_equal(
    adapter: Scheduling11, answers: Answers
) -> None:
    """A resource id distinguishes two times at the same hour."""
    list_times(answers, replace(WIRE, resource_id="1"), replace(WIRE, resource_id="2"))

    assert [
        (each.schedule.resource_id, each.count)
        for each in sorted(
            free_times(adapter).timeslots,
            key=lambda each: each.schedule.resource_id or "",
        )
    ] == [(ResourceId("1"), 1), (ResourceId("2"), 1)]


def test_a_time_that_cannot_be_is_rejected_by_itself(
    adapter: Scheduling11, answers: Answers
) -> None:
    """Times in the spring gap, without end or of another unit leave the rest alone."""
    list_times(
        answers,
        replace(WIRE, start_time_inclusive="20260329023000"),
        replace(WIRE, end_time_exclusive=None),
        replace(WIRE, healthcare_facility="SE2321000016-A02"),
        WIRE,
    )

    assert free_times(adapter) == FreeTimes(
        timeslots=(FREE,),
        rejected=(
            ("startTimeInclusive: not a time: the clock skips that hour in spring"),
            "endTimeExclusive: is missing",
            "healthcare_facility: is another unit than the one that was asked",
        ),
    )


def test_an_item_that_cannot_be_read_is_rejected_by_itself(
    adapter: Scheduling11, region: responses.RequestsMock
) -> None:
    """An item with letters for a time is named and the others are kept."""
    document = write_response(
        get_available_timeslots.CONTRACT,
        get_available_timeslots.Response(
            timeslot_detail=(replace(WIRE, resource_id="1"), WIRE)
        ),
    ).replace(b"20260601080000", b"next-Monday", 1)
    region.post(f"{BASE}GetAvailableTimeslots", body=document)

    assert free_times(adapter) == FreeTimes(
        timeslots=(FREE,),
        rejected=(
            "timeslotDetail/startTimeInclusive: not a time: expected YYYYMMDDhhmmss",
        ),
    )


DETAILS = get_booking_details.Request(healthcare_facility=UNIT, booking_id="B-1")
ASK_DETAILS = GetBookingDetails(
    unit=UNIT, actor=AS_RESIDENT, booking_id=BookingId("B-1")
)


def test_a_booking_is_described(adapter: Scheduling11, answers: Answers) -> None:
    """GetBookingDetails gives the booking, a DocBook purpose as plain text."""
    answers(
        get_booking_details.CONTRACT,
        DETAILS,
        get_booking_details.Response(
            timeslot_detail=replace(
                WIRE,
                booking_id="B-1",
                subject_of_care=NUMBER,
                purpose="<article><para>Välkommen</para><para>Hej</para></article>",
                is_invitation=True,
            )
        ),
        actor=AS_RESIDENT,
    )

    assert adapter.get_booking_details(ASK_DETAILS, timeout=1) == Booking(
        unit=UNIT,
        booking_id=BookingId("B-1"),
        start=FREE.start,
        end=FREE.end,
        subject_of_care=TOLVAN,
        time_type_id=VISIT,
        time_type_name="Besök",
        purpose="Välkommen\nHej",
        permissions=BookingPermissions(cancel=True),
        is_invitation=True,
    )


@pytest.mark.parametrize("reported", ["B-2", "b-1"])
def test_details_of_another_booking_are_no_answer(
    adapter: Scheduling11, answers: Answers, reported: str
) -> None:
    """A description of another booking is no answer."""
    answers(
        get_booking_details.CONTRACT,
        DETAILS,
        get_booking_details.Response(
            timeslot_detail=replace(WIRE, booking_id=reported)
        ),
        actor=AS_RESIDENT,
    )

    with pytest.raises(MalformedAnswer) as raised:
        adapter.get_booking_details(ASK_DETAILS, timeout=1)

    assert (raised.value.element, raised.value.message) == (
        "bookingId",
        (
            "The source's answer cannot be read: bookingId: is another booking than the"
            " requested one."
        ),
    )


@pytest.mark.parametrize("reported", ["", None])
def test_details_that_say_no_other_booking_are_believed(
    adapter: Scheduling11, answers: Answers, reported: str | None
) -> None:
    """A description without an id is of the booking that was asked about."""
    answers(
        get_booking_details.CONTRACT,
        DETAILS,
        get_booking_details.Response(
            timeslot_detail=replace(WIRE, booking_id=reported)
        ),
        actor=AS_RESIDENT,
    )

    details = adapter.get_booking_details(ASK_DETAILS, timeout=1)

    assert details.start == FREE.start


def test_details_without_a_booking_are_not_found(
    adapter: Scheduling11, region: responses.RequestsMock
) -> None:
    """Schedulr's answer without timeslotDetail means that there is no such booking."""
    namespace = get_booking_details.NAMESPACE
    region.post(
        f"{BASE}GetBookingDetails",
        body='<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>'
        f'<r:GetBookingDetailsResponse xmlns:r="{namespace}"/></e:Body></e:Envelope>',
    )

    with pytest.raises(NotFound) as raised:
        adapter.get_booking_details(ASK_DETAILS, timeout=1)

    assert str(raised.value) == (
        "The source has no such booking. (source norr, GetBookingDetails)"
    )


def details_answer(header: str, inner: str) -> str:
    """Return an answer to GetBookingDetails."""
    return (
        '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/">'
        f"<e:Header>{header}</e:Header><e:Body>"
        f'<r:GetBookingDetailsResponse xmlns:r="{get_booking_details.NAMESPACE}">'
        f"{inner}</r:GetBookingDetailsResponse></e:Body></e:Envelope>"
    )


def processing_status(code: str, unit: str = UNIT) -> str:
    """Return a header of an aggregating service about one unit."""
    return (
        '<h:ProcessingStatus xmlns:h="urn:riv:interoperability:headers:1">'
        "<h:ProcessingStatusList>"
        f"<h:logicalAddress>{unit}</h:logicalAddress>"
        f"<h:statusCode>{code}</h:statusCode>"
        "</h:ProcessingStatusList></h:ProcessingStatus>"
    )


@pytest.mark.parametrize(
    ("header", "inner"),
    [
        pytest.param(processing_status("NoDataSynchFailed"), "", id="not asked"),
        pytest.param(processing_status("SomethingNew"), "", id="an unknown status"),
        pytest.param(processing_status("DataFromCache"), "", id="of another moment"),
        pytest.param(
            processing_status("DataFromCacheSynchFailed"), "", id="kept, not asked"
        ),
        pytest.param(
            processing_status("NoDataSynchFailed"),
            "<r:timeslotDetail/>",
            id="not asked, an empty element",
        ),
        pytest.param(
            processing_status("DataFromSource", "SE2321000016-A02"),
            "",
            id="another unit alone",
        ),
        pytest.param(
            '<h:ProcessingStatus xmlns:h="urn:riv:interoperability:headers:1"/>',
            "",
            id="no unit",
        ),
        pytest.param(
            processing_status("DataFromSource") + processing_status("NoDataFound"),
            "",
            id="one of two",
        ),
        pytest.param(
            "<h:processingstatus "
            'xmlns:h="urn:riv:interoperability:headers:1">x</h:processingstatus>',
            "",
            id="a status that cannot be read",
        ),
        pytest.param(
            "",
            '<timeslotDetail xmlns="urn:vendor"><a/></timeslotDetail>',
            id="another namespace",
        ),
    ],
)
def test_details_that_prove_no_absence_are_not_a_missing_booking(
    adapter: Scheduling11, region: responses.RequestsMock, header: str, inner: str
) -> None:
    """Only a source that was asked just now can say that it has no such booking."""
    region.post(f"{BASE}GetBookingDetails", body=details_answer(header, inner))

    with pytest.raises(SourceFault) as raised:
        adapter.get_booking_details(ASK_DETAILS, timeout=1)

    assert raised.value.interaction == "GetBookingDetails"


@pytest.mark.parametrize(
    "code", ["NoDataSynchFailed", "DataFromCache", "DataFromCacheSynchFailed"]
)
def test_details_that_are_not_of_this_moment_are_no_answer(
    adapter: Scheduling11, answers: Answers, code: str
) -> None:
    """A description from a cache, or of a unit that was not asked, confirms nothing."""
    answers(
        get_booking_details.CONTRACT,
        DETAILS,
        get_booking_details.Response(timeslot_detail=replace(WIRE, booking_id="B-1")),
        actor=AS_RESIDENT,
        status=(status(UNIT, code, "20200101000000"),),
    )

    with pytest.raises(SourceFault, match="confirms nothing"):
        adapter.get_booking_details(ASK_DETAILS, timeout=1)


@pytest.mark.parametrize("inner", ["", "<r:timeslotDetail/>"])
def test_details_of_a_source_that_has_no_booking_are_not_found(
    adapter: Scheduling11, region: responses.RequestsMock, inner: str
) -> None:
    """An aggregating service that asked the source just now may say no as well."""
    header = processing_status("DataFromSource")
    region.post(f"{BASE}GetBookingDetails", body=details_answer(header, inner))

    with pytest.raises(NotFound):
        adapter.get_booking_details(ASK_DETAILS, timeout=1)


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"subject_of_care": "191212121213"}, id="a wrong number"),
        pytest.param({"start_time_inclusive": None}, id="an end without a start"),
        pytest.param({"healthcare_facility": "HSA_1"}, id="no unit"),
    ],
)
def test_details_that_cannot_be_are_malformed(
    adapter: Scheduling11, answers: Answers, changed: dict[str, Any]
) -> None:
    """An impossible booking raises MalformedAnswer without its values."""
    answers(
        get_booking_details.CONTRACT,
        DETAILS,
        get_booking_details.Response(timeslot_detail=replace(WIRE, **changed)),
        actor=AS_RESIDENT,
    )

    with pytest.raises(MalformedAnswer) as raised:
        adapter.get_booking_details(ASK_DETAILS, timeout=1)

    assert "191212121213" not in str(raised.value)
    assert raised.value.interaction == "GetBookingDetails"


def test_a_flag_that_cannot_be_read_is_no_no(
    adapter: Scheduling11, region: responses.RequestsMock
) -> None:
    """A permission that says neither true nor false is unreadable; absent is no."""
    answered = write_response(
        get_booking_details.CONTRACT,
        get_booking_details.Response(
            timeslot_detail=replace(WIRE, booking_id="B-1", rebooking_allowed=False)
        ),
    ).replace(b">true</", b">ja</")
    region.post(BASE + "GetBookingDetails", body=answered)

    details = adapter.get_booking_details(ASK_DETAILS, timeout=1)

    assert details.permissions == BookingPermissions(
        unreadable=frozenset({Wish.CANCEL})
    )
    assert details.left_out == (
        "cancel_booking_allowed: not a boolean: expected true or false",
    )


def status(address: str, code: str, synch: str | None = None) -> ProcessingStatusRecord:
    """Return what the aggregating service says of a unit."""
    return ProcessingStatusRecord(
        logical_address=address, status_code=code, last_successful_synch=synch
    )


def test_a_schedule_says_which_units_did_not_answer(
    adapter: Scheduling11, answers: Answers
) -> None:
    """What was kept is data with its age; what is none of the known is missing."""
    answers(
        get_subject_of_care_schedule.CONTRACT,
        get_subject_of_care_schedule.Request(
            healthcare_facility="5565594230", subject_of_care=NUMBER
        ),
        get_subject_of_care_schedule.Response(
            timeslot_detail=(
                WIRE,
                replace(WIRE, end_time_exclusive=None, booking_id="S-2"),
            )
        ),
        address="5565594230",
        actor=AS_RESIDENT,
        status=(
            status(UNIT, "DataFromSource"),
            status("SE2321000016-A02", "NoDataSynchFailed"),
            status("SE2321000016-A03", "DataFromCache", "20260601070000"),
            status("SE2321000016-A04", "DataFromCacheSynchFailed"),
            status("SE2321000016-A05", "SomethingNew"),
        ),
    )

    answer = adapter.get_subject_of_care_schedule(
        GetSubjectOfCareSchedule(
            address=LogicalAddress("5565594230"),
            actor=AS_RESIDENT,
            subject_of_care=TOLVAN,
        ),
        timeout=1,
    )

    assert answer == BookedTimes(
        bookings=(
            Booking(
                unit=UNIT,
                booking_id=BookingId("S-1"),
                start=FREE.start,
                end=FREE.end,
                time_type_id=VISIT,
                time_type_name="Besök",
                permissions=BookingPermissions(cancel=True),
            ),
            Booking(
                unit=UNIT,
                booking_id=BookingId("S-2"),
                start=FREE.start,
                end=None,
                time_type_id=VISIT,
                time_type_name="Besök",
                permissions=BookingPermissions(cancel=True),
            ),
        ),
        unanswered=(
            LogicalAddress("SE2321000016-A02"),
            LogicalAddress("SE2321000016-A05"),
        ),
        kept=(
            KeptPart(
                unit=LogicalAddress("SE2321000016-A03"),
                since=datetime(2026, 6, 1, 5, tzinfo=UTC),
            ),
            KeptPart(
                unit=LogicalAddress("SE2321000016-A04"), since=None, is_failed=True
            ),
        ),
    )


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        pytest.param(None, SilenceCause.UNKNOWN, id="no reason"),
        pytest.param(
            ("500", "VP004 [vp-1] Ingen route", None),
            SilenceCause.NOT_SUPPORTED,
            id="no route",
        ),
        pytest.param(
            ("500", "VP007 [vp-1] Saknar behörighet", None),
            SilenceCause.NOT_PERMITTED,
            id="not authorised",
        ),
        pytest.param(
            ("500", "VP009 [vp-1] Fel vid kontakt", "virtualization_platform"),
            SilenceCause.UNREACHABLE,
            id="not reached",
        ),
        pytest.param(
            ("504", "Read timed out", "virtualization_platform"),
            SilenceCause.TIMEOUT,
            id="too slow",
        ),
        pytest.param(
            ("500", "VP009 [vp-1] Read timed out", None),
            SilenceCause.TIMEOUT,
            id="too slow for the platform",
        ),
        pytest.param(
            ("43000", "EI", "engagement_index"), SilenceCause.INDEX_FAILED, id="index"
        ),
        pytest.param(
            ("43000", "Unknown error", "virtualization_platform"),
            SilenceCause.UNKNOWN,
            id="cut off",
        ),
    ],
)
def test_a_schedule_says_why_a_unit_did_not_answer(
    adapter: Scheduling11,
    answers: Answers,
    error: tuple[str, str, str | None] | None,
    cause: SilenceCause,
) -> None:
    """The cause is read from the platform's code, and the text is kept nowhere."""
    answers(
        get_subject_of_care_schedule.CONTRACT,
        get_subject_of_care_schedule.Request(
            healthcare_facility="5565594230", subject_of_care=NUMBER
        ),
        get_subject_of_care_schedule.Response(),
        address="5565594230",
        actor=AS_RESIDENT,
        status=(
            replace(
                status(UNIT, "NoDataSynchFailed", "20260601070000"),
                last_unsuccessful_synch_error=error
                and SynchError(code=error[0], text=error[1], causing_agent=error[2]),
            ),
        ),
    )

    answer = adapter.get_subject_of_care_schedule(
        GetSubjectOfCareSchedule(
            address=LogicalAddress("5565594230"),
            actor=AS_RESIDENT,
            subject_of_care=TOLVAN,
        ),
        timeout=1,
    )

    assert answer.silences == (
        Silence(
            unit=LogicalAddress(UNIT),
            cause=cause,
            last_answered_at=datetime(2026, 6, 1, 5, tzinfo=UTC),
        ),
    )


@pytest.mark.parametrize(
    ("records", "answered"),
    [
        pytest.param(None, None, id="no aggregating service"),
        pytest.param((), frozenset(), id="nothing of any unit"),
        pytest.param(
            (status("se2321000016-a02 ", "DataFromSource"), status(UNIT, "NoData")),
            frozenset({"se2321000016-a02"}),
            id="one of two",
        ),
    ],
)
def test_a_schedule_says_which_units_answered(
    adapter: Scheduling11,
    answers: Answers,
    records: tuple[ProcessingStatusRecord, ...] | None,
    answered: frozenset[str] | None,
) -> None:
    """A source that is asked itself says nothing of units, and has answered."""
    answers(
        get_subject_of_care_schedule.CONTRACT,
        get_subject_of_care_schedule.Request(
            healthcare_facility=UNIT, subject_of_care=NUMBER
        ),
        get_subject_of_care_schedule.Response(),
        actor=AS_RESIDENT,
        status=records,
    )

    answer = adapter.get_subject_of_care_schedule(
        GetSubjectOfCareSchedule(
            address=LogicalAddress(UNIT), actor=AS_RESIDENT, subject_of_care=TOLVAN
        ),
        timeout=1,
    )

    assert answer.answered == answered


@pytest.mark.parametrize(
    "records",
    [
        pytest.param((), id="no unit"),
        pytest.param((status("SE2321000016-A02", "DataFromSource"),), id="another"),
        pytest.param(
            (status(UNIT, "DataFromCacheSynchFailed", "20200101000000"),),
            id="from a cache that is not updated",
        ),
        pytest.param(
            (status(UNIT, "DataFromCache"),), id="from a cache without a time"
        ),
        pytest.param(
            (status(UNIT, "DataFromCache", "2026-11-01T10:00:00"),),
            id="from a cache with an unreadable time",
        ),
    ],
)
def test_an_empty_list_that_is_not_the_units_own_is_a_fault(
    adapter: Scheduling11,
    answers: Answers,
    records: tuple[ProcessingStatusRecord, ...],
) -> None:
    """An aggregating service leaves units out without a word: none is no answer."""
    answers(
        get_available_timeslots.CONTRACT,
        ASKED_TIMES,
        get_available_timeslots.Response(),
        status=records,
    )

    with pytest.raises(SourceFault, match="could not ask the unit"):
        free_times(adapter)


def test_an_empty_list_of_a_unit_in_another_case_is_an_answer(
    adapter: Scheduling11, answers: Answers
) -> None:
    """HSA-ids compare without regard to case."""
    answers(
        get_available_timeslots.CONTRACT,
        ASKED_TIMES,
        get_available_timeslots.Response(),
        status=(status(f" {UNIT.lower()}", "DataFromSource"),),
    )

    assert free_times(adapter) == FreeTimes(timeslots=())


@pytest.mark.parametrize(
    ("records", "rejected", "as_of"),
    [
        pytest.param(
            (status("SE2321000016-A02", "DataFromSource"),),
            ("ProcessingStatus: a unit could not be asked",),
            None,
            id="another unit alone",
        ),
        pytest.param(
            (status(UNIT, "DataFromCache", "20260601070000"),),
            (),
            datetime(2026, 6, 1, 5, tzinfo=UTC),
            id="from a cache",
        ),
        pytest.param(
            (status(UNIT, "DataFromCacheSynchFailed", "20260601070000"),),
            ("ProcessingStatus: is from a cache that could not be updated",),
            datetime(2026, 6, 1, 5, tzinfo=UTC),
            id="from a cache that is not updated",
        ),
        pytest.param(
            (status(UNIT, "DataFromCacheSynchFailed", "x"),),
            ("ProcessingStatus: is from a cache that could not be updated",),
            None,
            id="not updated and of an unknown age",
        ),
        pytest.param(
            (status(UNIT, "DataFromCache"),),
            ("ProcessingStatus: is from a cache of an unknown age",),
            None,
            id="without an age",
        ),
        pytest.param(
            (status(UNIT, "DataFromCache", "2026-11-01T10:00:00"),),
            ("ProcessingStatus: is from a cache of an unknown age",),
            None,
            id="with an unreadable age",
        ),
        pytest.param(
            (
                replace(
                    status(UNIT, "DataFromSource", "20260601070000"),
                    is_response_from_cache=True,
                ),
            ),
            (),
            datetime(2026, 6, 1, 5, tzinfo=UTC),
            id="from a cache by its flag",
        ),
    ],
)
def test_free_times_of_a_cache_have_its_age(
    adapter: Scheduling11,
    answers: Answers,
    records: tuple[ProcessingStatusRecord, ...],
    rejected: tuple[str, ...],
    as_of: datetime | None,
) -> None:
    """What an aggregating service had kept is as old as it says, and named as such."""
    answers(
        get_available_timeslots.CONTRACT,
        ASKED_TIMES,
        get_available_timeslots.Response(timeslot_detail=(WIRE,)),
        status=records,
    )

    assert free_times(adapter) == FreeTimes(
        timeslots=(FREE,), rejected=rejected, as_of=as_of
    )


def answered_by_a_cache(
    region: responses.RequestsMock, contract: Contract[Any, Any], response: object
) -> None:
    """Let an aggregating service answer from its cache."""
    region.post(
        BASE + contract.interaction.name,
        body=write_response(
            contract,
            response,
            processing_status=(status(UNIT, "DataFromCache", "20260601070000"),),
        ),
    )


LISTS_OF_ONE: list[Any] = [
    pytest.param(
        get_all_time_types.CONTRACT,
        get_all_time_types.Response(
            list_of_time_types=(TimeTypeType(time_type_name="B", time_type_id=VISIT),)
        ),
        id="time types",
    ),
    pytest.param(
        get_all_care_types.CONTRACT,
        get_all_care_types.Response(
            care_types=(CareTypeType(care_type_name="Besök", care_type_id="V1"),)
        ),
        id="care types",
    ),
    pytest.param(
        get_all_performers.CONTRACT,
        get_all_performers.Response(
            performer_infos=(
                PerformerInfoType(
                    performer="SE2321000016-P01", first_name="Eva", last_name="Ek"
                ),
            )
        ),
        id="staff",
    ),
    pytest.param(
        get_all_healthcare_facilities.CONTRACT,
        get_all_healthcare_facilities.Response(
            healthcare_facility_infos=(
                HealthcareFacilityInfoType(
                    healthcare_facility=UNIT, healthcare_facility_name="Norr"
                ),
            )
        ),
        id="units",
    ),
    pytest.param(
        get_available_dates.CONTRACT,
        get_available_dates.Response(
            performer_availability_by_date=(
                PerformerAvailabilityByDateType(
                    healthcare_facility=UNIT, date="20260602", time_type_id=VISIT
                ),
            )
        ),
        id="days",
    ),
]


@pytest.mark.parametrize(("contract", "response"), LISTS_OF_ONE)
def test_a_list_from_a_cache_may_lack_items(
    adapter: Scheduling11,
    region: responses.RequestsMock,
    contract: Contract[Any, Any],
    response: object,
) -> None:
    """A cached list of anything but free times counts a loss beside its items."""
    answered_by_a_cache(region, contract, response)

    found = QUESTIONS[contract.interaction](adapter)

    assert (len(found.items), found.rejected) == (
        1,
        ("ProcessingStatus: is from a cache",),
    )


@pytest.mark.parametrize(("contract", "response"), LISTS_OF_ONE)
def test_an_empty_list_from_a_cache_is_a_fault(
    adapter: Scheduling11,
    region: responses.RequestsMock,
    contract: Contract[Any, Any],
    response: object,
) -> None:
    """An empty cached list of anything but free times proves nothing."""
    answered_by_a_cache(region, contract, type(response)())

    with pytest.raises(SourceFault, match="empty list"):
        QUESTIONS[contract.interaction](adapter)


@pytest.mark.parametrize("code", ["NoDataSynchFailed", "SomethingNew"])
def test_a_unit_that_was_not_reached_has_not_answered(
    adapter: Scheduling11, answers: Answers, code: str
) -> None:
    """An empty list of a unit that an aggregating service could not ask is a fault."""
    answers(
        get_available_timeslots.CONTRACT,
        ASKED_TIMES,
        get_available_timeslots.Response(),
        status=(status(UNIT, code),),
    )

    with pytest.raises(SourceFault, match="could not ask the unit"):
        free_times(adapter)


def test_what_a_list_lacks_of_a_unit_that_was_not_reached_is_counted(
    adapter: Scheduling11, answers: Answers
) -> None:
    """A list beside a unit that an aggregating service could not ask is in part."""
    answers(
        get_available_timeslots.CONTRACT,
        ASKED_TIMES,
        get_available_timeslots.Response(timeslot_detail=(WIRE,)),
        status=(status("SE2321000016-A02", "NoDataSynchFailed"),),
    )

    found = free_times(adapter)

    assert found == FreeTimes(
        timeslots=(FREE,),
        rejected=("ProcessingStatus: a unit could not be asked",),
    )


# The writes


def make_request(**changed: Any) -> make_booking.Request:
    """Return what MakeBooking is to look like."""
    return make_booking.Request(
        healthcare_facility_med=UNIT,
        requested_timeslot=replace(REQUESTED, **changed),
        subject_of_care_info=INFO,
    )


def made_booking(**fields: Any) -> make_booking.Response:
    """Return an answer to MakeBooking."""
    return make_booking.Response(**{"result_code": "OK"} | fields)


def test_a_booking_repeats_the_listed_time(
    adapter: Scheduling11, answers: Answers
) -> None:
    """MakeBooking echoes the time as listed, without the slot's id and flags."""
    answers(
        make_booking.CONTRACT,
        make_request(reason="Ont"),
        made_booking(booking_id="B-1"),
        actor=AS_RESIDENT,
    )

    result = adapter.make_booking(replace(MAKE, reason="Ont"), timeout=1)

    assert result == WriteResult(code=ResultCode.OK, booking_id=BookingId("B-1"))


def test_a_slots_own_id_is_sent_where_the_producer_wants_it(
    made: Made, answers: Answers
) -> None:
    """With the habit slot-id, bookingId carries what the producer put on the time."""
    answers(
        make_booking.CONTRACT,
        make_request(booking_id="S-1"),
        made_booking(booking_id="B-1"),
        actor=AS_RESIDENT,
    )
    adapter = made(booking_id_in_make_booking="slot-id")

    assert adapter.make_booking(MAKE, timeout=1).is_done


@pytest.mark.parametrize("habit", ["omit", "slot-id"])
def test_an_invitation_goes_before_a_slots_id(
    made: Made, answers: Answers, habit: str
) -> None:
    """An open invitation's id is what bookingId is for, with any habit."""
    answers(
        make_booking.CONTRACT,
        make_request(booking_id="K-1"),
        made_booking(booking_id="K-1"),
        actor=AS_RESIDENT,
    )
    adapter = made(booking_id_in_make_booking=habit)

    assert adapter.make_booking(
        replace(MAKE, invitation=BookingId("K-1")), timeout=1
    ).is_done


def test_a_move_carries_id_and_resident(
    adapter: Scheduling11, answers: Answers
) -> None:
    """UpdateBooking always has subject_of_care_info, which Schedulr fails without."""
    answers(
        update_booking.CONTRACT,
        update_booking.Request(
            requested_timeslot=replace(REQUESTED, booking_id="B-1", reason="Ont"),
            subject_of_care_info=INFO,
        ),
        update_booking.Response(result_code="INFO", result_text="Kom fastande."),
        actor=AS_RESIDENT,
    )

    result = adapter.update_booking(replace(UPDATE, reason="Ont"), timeout=1)

    assert result == WriteResult(code=ResultCode.INFO, text="Kom fastande.")


def test_a_cancellation_carries_a_message(
    adapter: Scheduling11, answers: Answers
) -> None:
    """CancelBooking has the unit, the id and what the resident says."""
    answers(
        cancel_booking.CONTRACT,
        cancel_booking.Request(
            healthcare_facility=UNIT, booking_id="B-1", message="Sjuk"
        ),
        cancel_booking.Response(result_code="OK", result_text="CANCELLED"),
        actor=AS_RESIDENT,
    )

    result = adapter.cancel_booking(replace(CANCEL, message="Sjuk"), timeout=1)

    assert result == WriteResult(code=ResultCode.OK, text="CANCELLED")


def test_a_no_is_a_result(adapter: Scheduling11, answers: Answers) -> None:
    """ERROR is no exception: it is a result with the region's text."""
    answers(
        make_booking.CONTRACT,
        make_request(),
        made_booking(result_code="ERROR", result_text="Tiden är upptagen."),
        actor=AS_RESIDENT,
    )

    result = adapter.make_booking(MAKE, timeout=1)

    assert result == WriteResult(code=ResultCode.ERROR, text="Tiden är upptagen.")
    assert not result.is_done


def test_a_result_code_may_be_in_lower_case(
    adapter: Scheduling11, answers: Answers
) -> None:
    """Reading is lenient where only one thing can be meant."""
    answers(
        make_booking.CONTRACT,
        make_request(),
        made_booking(result_code="ok"),
        actor=AS_RESIDENT,
    )

    assert adapter.make_booking(MAKE, timeout=1) == WriteResult(code=ResultCode.OK)


def test_an_unknown_result_code_leaves_the_outcome_unknown(
    adapter: Scheduling11, answers: Answers
) -> None:
    """Nobody knows what MAYBE means, so the booking must be looked up."""
    answers(
        make_booking.CONTRACT,
        make_request(),
        made_booking(result_code="MAYBE"),
        actor=AS_RESIDENT,
    )

    with pytest.raises(WriteUnconfirmed) as raised:
        adapter.make_booking(MAKE, timeout=1)

    assert str(raised.value) == (
        "The source answered a write with an unknown resultCode."
        " (source norr, MakeBooking)"
    )


WRITES = [
    pytest.param(lambda adapter: adapter.make_booking(MAKE, timeout=1), id="make"),
    pytest.param(lambda adapter: adapter.update_booking(UPDATE, timeout=1), id="move"),
    pytest.param(
        lambda adapter: adapter.cancel_booking(CANCEL, timeout=1), id="cancel"
    ),
]


@pytest.mark.parametrize("write", WRITES)
def test_a_known_fault_is_a_refusal(
    made: Made,
    region: responses.RequestsMock,
    write: Callable[[Scheduling11], WriteResult],
) -> None:
    """A fault text that is proven to mean no is Refused, and not shown."""
    region.post(url=ANY_URL, body=TAKEN, status=500)
    adapter = made(refusal_faults=["^resultCode: 30[0-9]{2} "])

    with pytest.raises(Refused) as raised:
        write(adapter)

    assert raised.value.message == "The region refused the request."


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize(
    "patterns",
    [
        pytest.param([], id="none is known"),
        pytest.param(["^resultCode: 4"], id="another is known"),
    ],
)
def test_another_fault_leaves_the_outcome_unknown(
    made: Made,
    region: responses.RequestsMock,
    write: Callable[[Scheduling11], WriteResult],
    patterns: list[str],
) -> None:
    """A fault that proves nothing raises WriteUnconfirmed without its text."""
    region.post(url=ANY_URL, body=TAKEN, status=500)

    with pytest.raises(WriteUnconfirmed) as raised:
        write(made(refusal_faults=patterns))

    assert NUMBER not in str(raised.value)
    assert "taken" not in str(raised.value)


# Everywhere


ANY_URL = re.compile(f"{re.escape(BASE)}.*")
ASK_SCHEDULE = GetSubjectOfCareSchedule(
    address=LogicalAddress(UNIT), actor=AS_RESIDENT, subject_of_care=TOLVAN
)
QUESTIONS: dict[Interaction, Callable[[Scheduling11], object]] = {
    scheduling.GET_ALL_CARE_TYPES: lambda adapter: adapter.get_all_care_types(
        GetAllCareTypes(**ASKED), timeout=1
    ),
    scheduling.GET_ALL_HEALTHCARE_FACILITIES: (
        lambda adapter: adapter.get_all_healthcare_facilities(
            GetAllHealthcareFacilities(**ASKED), timeout=1
        )
    ),
    scheduling.GET_ALL_PERFORMERS: lambda adapter: adapter.get_all_performers(
        GetAllPerformers(**ASKED), timeout=1
    ),
    scheduling.GET_ALL_TIME_TYPES: lambda adapter: adapter.get_all_time_types(
        GetAllTimeTypes(**ASKED), timeout=1
    ),
    scheduling.GET_AVAILABLE_DATES: lambda adapter: adapter.get_available_dates(
        GetAvailableDates(**ASKED, **DAYS), timeout=1
    ),
    scheduling.GET_AVAILABLE_TIMESLOTS: (
        lambda adapter: adapter.get_available_timeslots(
            GetAvailableTimeslots(**ASKED, **DAYS), timeout=1
        )
    ),
    scheduling.GET_BOOKING_DETAILS: lambda adapter: adapter.get_booking_details(
        ASK_DETAILS, timeout=1
    ),
    scheduling.GET_SUBJECT_OF_CARE_SCHEDULE: (
        lambda adapter: adapter.get_subject_of_care_schedule(ASK_SCHEDULE, timeout=1)
    ),
    scheduling.MAKE_BOOKING: lambda adapter: adapter.make_booking(MAKE, timeout=1),
    scheduling.UPDATE_BOOKING: lambda adapter: adapter.update_booking(
        UPDATE, timeout=1
    ),
    scheduling.CANCEL_BOOKING: lambda adapter: adapter.cancel_booking(
        CANCEL, timeout=1
    ),
}
EVERY_QUESTION = pytest.mark.parametrize(
    "interaction",
    [pytest.param(each, id=each.name) for each in scheduling.INTERACTIONS],
)


@EVERY_QUESTION
def test_what_is_not_supported_is_not_sent(
    made: Made, interaction: Interaction
) -> None:
    """Unsupported is raised before anything is sent; no server is there to answer."""
    adapter = made(
        supports=[each.name for each in scheduling.INTERACTIONS if each != interaction]
    )

    with pytest.raises(Unsupported) as raised:
        QUESTIONS[interaction](adapter)

    assert str(raised.value) == (
        f"The source does not support this. (source norr, {interaction.name})"
    )
    assert adapter.supports == frozenset(scheduling.INTERACTIONS) - {interaction}


@EVERY_QUESTION
def test_a_fault_shows_nothing_of_its_text(
    adapter: Scheduling11, region: responses.RequestsMock, interaction: Interaction
) -> None:
    """A fault raises one of our errors, in our words."""
    region.post(url=ANY_URL, body=TAKEN, status=500)

    with pytest.raises(GatewayError) as raised:
        QUESTIONS[interaction](adapter)

    assert raised.value.source == NORR
    assert raised.value.interaction == interaction.name
    assert NUMBER not in str(raised.value)


@EVERY_QUESTION
def test_a_fixed_address_is_used_for_every_unit(
    made: Made, region: responses.RequestsMock, interaction: Interaction
) -> None:
    """A producer behind one logical address is sent all but aggregated schedules."""
    region.post(url=ANY_URL, body=TAKEN, status=500)
    adapter = made(logical_address="SE2321000016-LA")

    with pytest.raises(GatewayError):
        QUESTIONS[interaction](adapter)

    sent = region.calls[0].request.body
    assert isinstance(sent, bytes)
    expected = (
        UNIT
        if interaction == scheduling.GET_SUBJECT_OF_CARE_SCHEDULE
        else "SE2321000016-LA"
    )
    assert f"LogicalAddress>{expected}<".encode() in sent


def test_every_contract_is_asked() -> None:
    """The questions above are those of all eleven contracts."""
    assert QUESTIONS.keys() == CONTRACTS.keys()
