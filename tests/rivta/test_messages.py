"""
The eleven interactions against recorded messages, both ways.

The recordings are synthetic and written by hand; test_schemas.py holds the sound ones
to the schemas.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from fhir_gateway.model import scheduling
from fhir_gateway.model.ids import HsaId, LogicalAddress
from fhir_gateway.model.interaction import Actor
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.rivta.contract import Contract
from fhir_gateway.rivta.envelope import (
    ContractAnswer,
    MalformedEnvelope,
    read_call,
    read_request,
    read_response,
    write_request,
    write_response,
)
from fhir_gateway.rivta.fault import Fault
from fhir_gateway.rivta.processing_status import ProcessingStatusRecord, SynchError
from fhir_gateway.rivta.rejection import MalformedElement
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

UNIT = "SE2321000016-A01"
NUMBER = "191212121212"
RESIDENT = Actor.resident(PersonalIdentityNumber(NUMBER))
AGENT = Actor.agent(HsaId("SE2321000016-X99"))

EVERY_CONTRACT = pytest.mark.parametrize(
    "contract",
    [pytest.param(contract, id=name.name) for name, contract in CONTRACTS.items()],
)

WANTED_TIMESLOT = TimeslotType(
    start_time_inclusive="20261024083000",
    end_time_exclusive="20261024090000",
    healthcare_facility=UNIT,
    performer="SE2321000016-P01",
    booking_id="B-4711",
    subject_of_care=NUMBER,
    reason="Ont i knäet sedan < 2 veckor",
    resource_name="Rum 3",
    performer_name="Distriktsläkare Agnes Testberg",
    resource_id="R3",
    time_type_name="Läkarbesök, nybesök",
    time_type_id="101",
    care_type_name="Besök",
    care_type_id="V1",
)
LEAST_TIMESLOT = TimeslotType(
    start_time_inclusive="20261024083000",
    end_time_exclusive="20261024090000",
    healthcare_facility=UNIT,
    subject_of_care=NUMBER,
)
TOLVAN = SubjectOfCareType(
    phone="070-1740605",
    email="tolvan@example.org",
    address="Provgatan 12",
    coaddress="c/o Test",
    first_name="Tolvan",
    middle_name="Prov",
    last_name="Tolvansson",
)
BOOKED_TIMESLOT = TimeslotType(
    start_time_inclusive="20261024083000",
    end_time_exclusive="20261024090000",
    healthcare_facility=UNIT,
    booking_id="B-4711",
    subject_of_care=NUMBER,
    cancel_booking_allowed=True,
    is_invitation=True,
)
FROM_SOURCE = ProcessingStatusRecord(
    logical_address=UNIT,
    status_code="DataFromSource",
    is_response_from_cache=False,
    is_response_in_synch=True,
    last_successful_synch="20261001120000",
)

REQUESTS = [
    pytest.param(
        get_all_time_types.CONTRACT,
        "whole",
        RESIDENT,
        get_all_time_types.Request(
            healthcare_facility=UNIT,
            care_type_ids=("V1", "V2"),
            subject_of_care=NUMBER,
        ),
        id="GetAllTimeTypes of some care types",
    ),
    pytest.param(
        get_all_time_types.CONTRACT,
        "least",
        AGENT,
        get_all_time_types.Request(healthcare_facility=UNIT, subject_of_care=NUMBER),
        id="GetAllTimeTypes by an agent",
    ),
    pytest.param(
        get_all_care_types.CONTRACT,
        "whole",
        RESIDENT,
        get_all_care_types.Request(
            healthcare_facility=UNIT,
            time_type_ids=("101", "102"),
            performer=("SE2321000016-P01", "SE2321000016-P02"),
            subject_of_care=NUMBER,
        ),
        id="GetAllCareTypes of some time types and performers",
    ),
    pytest.param(
        get_all_care_types.CONTRACT,
        "least",
        AGENT,
        get_all_care_types.Request(healthcare_facility=UNIT, subject_of_care=NUMBER),
        id="GetAllCareTypes by an agent",
    ),
    pytest.param(
        get_all_performers.CONTRACT,
        "whole",
        RESIDENT,
        get_all_performers.Request(
            healthcare_facility=UNIT,
            time_type_ids=("101",),
            care_type_ids=("V1", "V2"),
            subject_of_care=NUMBER,
        ),
        id="GetAllPerformers of some time and care types",
    ),
    pytest.param(
        get_all_performers.CONTRACT,
        "least",
        RESIDENT,
        get_all_performers.Request(healthcare_facility=UNIT, subject_of_care=NUMBER),
        id="GetAllPerformers of all",
    ),
    pytest.param(
        get_all_healthcare_facilities.CONTRACT,
        "whole",
        RESIDENT,
        get_all_healthcare_facilities.Request(
            healthcare_facility=UNIT, subject_of_care=NUMBER, booking_id="B-4711"
        ),
        id="GetAllHealthcareFacilities of a booking",
    ),
    pytest.param(
        get_all_healthcare_facilities.CONTRACT,
        "least",
        RESIDENT,
        get_all_healthcare_facilities.Request(
            healthcare_facility=UNIT, subject_of_care=NUMBER
        ),
        id="GetAllHealthcareFacilities",
    ),
    pytest.param(
        get_available_dates.CONTRACT,
        "whole",
        RESIDENT,
        get_available_dates.Request(
            healthcare_facility=UNIT,
            booking_id="B-4711",
            start_date_inclusive="20261001",
            end_date_inclusive="20261031",
            performer=("SE2321000016-P01", "SE2321000016-P02"),
            time_type_name="Läkarbesök, nybesök",
            time_type_id="101",
            care_type_name="Besök",
            care_type_id="V1",
            subject_of_care=NUMBER,
        ),
        id="GetAvailableDates with every filter",
    ),
    pytest.param(
        get_available_dates.CONTRACT,
        "least",
        AGENT,
        get_available_dates.Request(
            healthcare_facility=UNIT,
            start_date_inclusive="20261001",
            end_date_inclusive="20261001",
            subject_of_care=NUMBER,
        ),
        id="GetAvailableDates of one day by an agent",
    ),
    pytest.param(
        get_available_timeslots.CONTRACT,
        "whole",
        RESIDENT,
        get_available_timeslots.Request(
            healthcare_facility=UNIT,
            booking_id="B-4711",
            start_date_inclusive="20261001",
            end_date_inclusive="20261031",
            performer=("SE2321000016-P01", "SE2321000016-P02"),
            time_type_name="Läkarbesök, nybesök",
            time_type_id="101",
            care_type_name="Besök",
            care_type_id="V1",
            subject_of_care=NUMBER,
        ),
        id="GetAvailableTimeslots with every filter",
    ),
    pytest.param(
        get_available_timeslots.CONTRACT,
        "least",
        AGENT,
        get_available_timeslots.Request(
            healthcare_facility=UNIT,
            start_date_inclusive="20261001",
            end_date_inclusive="20261001",
            subject_of_care=NUMBER,
        ),
        id="GetAvailableTimeslots of one day by an agent",
    ),
    pytest.param(
        get_booking_details.CONTRACT,
        "whole",
        RESIDENT,
        get_booking_details.Request(healthcare_facility=UNIT, booking_id="B-4711"),
        id="GetBookingDetails",
    ),
    pytest.param(
        get_subject_of_care_schedule.CONTRACT,
        "whole",
        RESIDENT,
        get_subject_of_care_schedule.Request(
            healthcare_facility=UNIT, subject_of_care=NUMBER
        ),
        id="GetSubjectOfCareSchedule",
    ),
    pytest.param(
        make_booking.CONTRACT,
        "whole",
        RESIDENT,
        make_booking.Request(
            healthcare_facility_med=UNIT,
            requested_timeslot=WANTED_TIMESLOT,
            subject_of_care_info=TOLVAN,
            notification="Påminnelse via SMS",
        ),
        id="MakeBooking with everything",
    ),
    pytest.param(
        make_booking.CONTRACT,
        "least",
        RESIDENT,
        make_booking.Request(
            healthcare_facility_med=UNIT,
            requested_timeslot=LEAST_TIMESLOT,
            subject_of_care_info=SubjectOfCareType(
                first_name="Tolvan", last_name="Tolvansson"
            ),
        ),
        id="MakeBooking with the least",
    ),
    pytest.param(
        update_booking.CONTRACT,
        "whole",
        RESIDENT,
        update_booking.Request(
            requested_timeslot=WANTED_TIMESLOT,
            subject_of_care_info=TOLVAN,
            notification="Påminnelse via SMS",
        ),
        id="UpdateBooking with everything",
    ),
    pytest.param(
        update_booking.CONTRACT,
        "least",
        RESIDENT,
        update_booking.Request(requested_timeslot=LEAST_TIMESLOT),
        id="UpdateBooking with the least",
    ),
    pytest.param(
        cancel_booking.CONTRACT,
        "whole",
        RESIDENT,
        cancel_booking.Request(
            healthcare_facility=UNIT,
            booking_id="B-4711",
            message="Jag är frisk & glad igen.",
        ),
        id="CancelBooking with a message",
    ),
    pytest.param(
        cancel_booking.CONTRACT,
        "least",
        RESIDENT,
        cancel_booking.Request(healthcare_facility=UNIT, booking_id="B-4711"),
        id="CancelBooking",
    ),
]

RESPONSES = [
    pytest.param(
        get_all_time_types.CONTRACT,
        "whole",
        get_all_time_types.Response(
            list_of_time_types=(
                TimeTypeType(time_type_name="Läkarbesök, nybesök", time_type_id="101"),
                TimeTypeType(
                    time_type_name="Vaccination & provtagning", time_type_id="102"
                ),
            )
        ),
        id="two time types",
    ),
    pytest.param(
        get_all_time_types.CONTRACT,
        "none",
        get_all_time_types.Response(),
        id="no time type",
    ),
    pytest.param(
        get_all_care_types.CONTRACT,
        "whole",
        get_all_care_types.Response(
            care_types=(
                CareTypeType(care_type_name="Besök", care_type_id="V1"),
                CareTypeType(care_type_name="Provtagning", care_type_id="V2"),
            )
        ),
        id="two care types",
    ),
    pytest.param(
        get_all_care_types.CONTRACT,
        "none",
        get_all_care_types.Response(),
        id="no care type",
    ),
    pytest.param(
        get_all_performers.CONTRACT,
        "whole",
        get_all_performers.Response(
            performer_infos=(
                PerformerInfoType(
                    performer="SE2321000016-P01",
                    first_name="Agnes",
                    last_name="Testberg",
                    title="Distriktsläkare",
                ),
                PerformerInfoType(
                    performer="SE2321000016-P02",
                    first_name="Bo",
                    last_name="Provström",
                ),
            )
        ),
        id="two performers",
    ),
    pytest.param(
        get_all_performers.CONTRACT,
        "none",
        get_all_performers.Response(),
        id="no performer",
    ),
    pytest.param(
        get_all_healthcare_facilities.CONTRACT,
        "whole",
        get_all_healthcare_facilities.Response(
            healthcare_facility_infos=(
                HealthcareFacilityInfoType(
                    healthcare_facility=UNIT,
                    healthcare_facility_name="Norra vårdcentralen",
                ),
                HealthcareFacilityInfoType(healthcare_facility="SE2321000016-A02"),
            )
        ),
        id="two units",
    ),
    pytest.param(
        get_all_healthcare_facilities.CONTRACT,
        "none",
        get_all_healthcare_facilities.Response(),
        id="no unit",
    ),
    pytest.param(
        get_available_dates.CONTRACT,
        "whole",
        get_available_dates.Response(
            performer_availability_by_date=(
                PerformerAvailabilityByDateType(
                    healthcare_facility=UNIT,
                    performer="SE2321000016-P01",
                    date="20261025",
                    resource_name="Rum 3",
                    resource_id="R3",
                    time_type_name="Läkarbesök, nybesök",
                    time_type_id="101",
                    care_type_name="Besök",
                    care_type_id="V1",
                ),
                PerformerAvailabilityByDateType(
                    healthcare_facility=UNIT, date="20261026"
                ),
            )
        ),
        id="two days",
    ),
    pytest.param(
        get_available_dates.CONTRACT,
        "none",
        get_available_dates.Response(),
        id="no day",
    ),
    pytest.param(
        get_available_timeslots.CONTRACT,
        "whole",
        get_available_timeslots.Response(
            timeslot_detail=(
                TimeslotType(
                    start_time_inclusive="20261024083000",
                    end_time_exclusive="20261024090000",
                    healthcare_facility=UNIT,
                    performer="SE2321000016-P01",
                    booking_id="FREE-1",
                    resource_name="Rum 3",
                    healthcare_facility_name="Norra vårdcentralen",
                    performer_name="Distriktsläkare Agnes Testberg",
                    resource_id="R3",
                    time_type_name="Läkarbesök, nybesök",
                    time_type_id="101",
                    care_type_name="Besök",
                    care_type_id="V1",
                    cancel_booking_allowed=True,
                    rebooking_allowed=True,
                    message_allowed=False,
                ),
                TimeslotType(
                    start_time_inclusive="20261025023000",
                    end_time_exclusive="20261025030000",
                    healthcare_facility=UNIT,
                ),
            )
        ),
        id="two free times",
    ),
    pytest.param(
        get_available_timeslots.CONTRACT,
        "none",
        get_available_timeslots.Response(),
        id="no free time",
    ),
    pytest.param(
        get_booking_details.CONTRACT,
        "whole",
        get_booking_details.Response(
            timeslot_detail=dataclasses.replace(
                WANTED_TIMESLOT,
                purpose="Kom fastande.",
                healthcare_facility_name="Norra vårdcentralen",
                cancel_booking_allowed=True,
                rebooking_allowed=False,
                message_allowed=True,
                is_invitation=False,
            )
        ),
        id="a booking with everything",
    ),
    pytest.param(
        get_booking_details.CONTRACT,
        "open-invitation",
        get_booking_details.Response(
            timeslot_detail=TimeslotType(
                healthcare_facility=UNIT,
                booking_id="INV-1",
                subject_of_care=NUMBER,
                purpose="Kallelse\nVälj en tid.",
                cancel_booking_allowed=False,
                rebooking_allowed=False,
                message_allowed=False,
                is_invitation=True,
            )
        ),
        id="an open invitation",
    ),
    pytest.param(
        get_subject_of_care_schedule.CONTRACT,
        "whole",
        get_subject_of_care_schedule.Response(timeslot_detail=(BOOKED_TIMESLOT,)),
        id="a booked time",
    ),
    pytest.param(
        get_subject_of_care_schedule.CONTRACT,
        "none",
        get_subject_of_care_schedule.Response(),
        id="no booked time",
    ),
    pytest.param(
        make_booking.CONTRACT,
        "done",
        make_booking.Response(booking_id="B-4711", result_code="OK"),
        id="booked",
    ),
    pytest.param(
        make_booking.CONTRACT,
        "done-with-remark",
        make_booking.Response(
            booking_id="B-4711", result_code="INFO", result_text="Kom fastande."
        ),
        id="booked with a remark",
    ),
    pytest.param(
        make_booking.CONTRACT,
        "refused",
        make_booking.Response(
            result_code="ERROR",
            result_text="Tiden har bokats av en annan invånare.",
        ),
        id="not booked",
    ),
    pytest.param(
        update_booking.CONTRACT,
        "done",
        update_booking.Response(result_code="OK"),
        id="moved",
    ),
    pytest.param(
        update_booking.CONTRACT,
        "refused",
        update_booking.Response(
            result_code="ERROR", result_text="Tiden kan inte ombokas."
        ),
        id="not moved",
    ),
    pytest.param(
        cancel_booking.CONTRACT,
        "done",
        cancel_booking.Response(result_code="OK", result_text="CANCELLED"),
        id="cancelled",
    ),
    pytest.param(
        cancel_booking.CONTRACT,
        "refused",
        cancel_booking.Response(
            result_code="ERROR", result_text="Bokningen finns inte."
        ),
        id="not cancelled",
    ),
]


@pytest.mark.parametrize(("contract", "case", "actor", "request_"), REQUESTS)
def test_written_request_equals_the_recorded_one(  # noqa: PLR0917 - pytest hands them in by name
    contract: Contract[Any, Any],
    case: str,
    actor: Actor,
    request_: object,
    recorded: Callable[[str], bytes],
    canonical: Callable[[bytes], str],
) -> None:
    """A request is written as recorded, header and body."""
    written = write_request(
        contract, request_, logical_address=LogicalAddress(UNIT), actor=actor
    )

    name = f"{contract.interaction.name}.{case}.request"
    assert canonical(written) == canonical(recorded(name))


@pytest.mark.parametrize(("contract", "case", "actor", "request_"), REQUESTS)
def test_recorded_request_is_read_whole(
    contract: Contract[Any, Any],
    case: str,
    actor: Actor,
    request_: object,
    recorded: Callable[[str], bytes],
) -> None:
    """A recorded request reads as the address, the actor and the value it spells."""
    call = read_call(recorded(f"{contract.interaction.name}.{case}.request"))

    assert (call.action, call.logical_address, call.actor) == (
        contract.request_tag,
        LogicalAddress(UNIT),
        actor,
    )
    assert read_request(contract, call) == request_


@pytest.mark.parametrize(("contract", "case", "response"), RESPONSES)
def test_recorded_response_is_read_whole(
    contract: Contract[Any, Any],
    case: str,
    response: object,
    recorded: Callable[[str], bytes],
) -> None:
    """A recorded answer reads as the value it spells, with nothing rejected."""
    document = recorded(f"{contract.interaction.name}.{case}.response")

    answer = read_response(contract, document)

    assert answer == ContractAnswer(response=response)


@pytest.mark.parametrize(
    ("contract", "case", "response"),
    [case for case in RESPONSES if case.id != "an open invitation"],
)
def test_written_response_equals_the_recorded_one(
    contract: Contract[Any, Any],
    case: str,
    response: object,
    recorded: Callable[[str], bytes],
    canonical: Callable[[bytes], str],
) -> None:
    """A response is written as recorded."""
    written = write_response(contract, response)

    name = f"{contract.interaction.name}.{case}.response"
    assert canonical(written) == canonical(recorded(name))


@pytest.mark.parametrize(
    ("case", "response", "records"),
    [
        pytest.param(
            "aggregated",
            get_subject_of_care_schedule.Response(timeslot_detail=(BOOKED_TIMESLOT,)),
            (FROM_SOURCE,),
            id="every unit answered",
        ),
        pytest.param(
            "aggregated-in-part",
            get_subject_of_care_schedule.Response(timeslot_detail=(BOOKED_TIMESLOT,)),
            (
                FROM_SOURCE,
                ProcessingStatusRecord(
                    logical_address="SE2321000016-A02",
                    status_code="NoDataSynchFailed",
                    is_response_from_cache=False,
                    is_response_in_synch=False,
                    last_unsuccessful_synch="20261001120000",
                    last_unsuccessful_synch_error=SynchError(
                        causing_agent="virtualization_platform",
                        code="500",
                        text="VP009 [vp-1] Fel vid kontakt med tjänsteproducenten",
                    ),
                ),
            ),
            id="one unit failed",
        ),
        pytest.param(
            "aggregated-none",
            get_subject_of_care_schedule.Response(),
            (),
            id="no unit was asked",
        ),
    ],
)
def test_aggregated_schedule_says_what_became_of_each_unit(
    case: str,
    response: object,
    records: tuple[ProcessingStatusRecord, ...],
    recorded: Callable[[str], bytes],
    canonical: Callable[[bytes], str],
) -> None:
    """An aggregated answer carries the status of each unit, read and written alike."""
    contract: Contract[Any, Any] = get_subject_of_care_schedule.CONTRACT
    document = recorded(f"GetSubjectOfCareSchedule.{case}.response")

    answer = read_response(contract, document)
    written = write_response(contract, response, processing_status=records)

    assert answer == ContractAnswer(response=response, processing_status=records)
    assert canonical(written) == canonical(document)


# ----------------------------------------------------------------- as seen in the wild


def test_schedule_in_the_manner_of_takecare_is_read(
    recorded: Callable[[str], bytes],
) -> None:
    """Empty elements are absent, and times of twelve digits end on the minute."""
    document = recorded("GetSubjectOfCareSchedule.takecare.response")

    answer = read_response(get_subject_of_care_schedule.CONTRACT, document)

    assert answer == ContractAnswer(
        response=get_subject_of_care_schedule.Response(
            timeslot_detail=(
                TimeslotType(
                    start_time_inclusive="20261024083000",
                    end_time_exclusive="20261024090000",
                    healthcare_facility=UNIT,
                    performer="1",
                    booking_id="4711",
                    cancel_booking_allowed=False,
                    rebooking_allowed=False,
                    message_allowed=True,
                ),
            )
        )
    )


def test_free_times_in_the_wrong_order_are_read(
    recorded: Callable[[str], bytes],
) -> None:
    """A performer after its time type, wrong namespaces, an extension: all read."""
    document = recorded("GetAvailableTimeslots.wrong-order.response")

    answer = read_response(get_available_timeslots.CONTRACT, document)

    assert answer == ContractAnswer(
        response=get_available_timeslots.Response(
            timeslot_detail=(
                TimeslotType(
                    start_time_inclusive="20261024083000",
                    end_time_exclusive="20261024090000",
                    healthcare_facility=UNIT,
                    performer="SE2321000016-P01",
                    time_type_id="101",
                ),
            )
        )
    )


def test_booking_with_the_phone_after_the_names_is_read(
    recorded: Callable[[str], bytes],
) -> None:
    """A MakeBooking with elements out of order reads as if they were in order."""
    call = read_call(recorded("MakeBooking.wrong-order.request"))

    assert (call.action, call.logical_address, call.actor) == (
        make_booking.CONTRACT.request_tag,
        LogicalAddress(UNIT),
        RESIDENT,
    )
    assert read_request(make_booking.CONTRACT, call) == make_booking.Request(
        healthcare_facility_med=UNIT,
        requested_timeslot=dataclasses.replace(
            LEAST_TIMESLOT, performer="SE2321000016-P01", time_type_id="101"
        ),
        subject_of_care_info=SubjectOfCareType(
            phone="070-1740605", first_name="Tolvan", last_name="Tolvansson"
        ),
    )


def test_malformed_free_times_are_rejected_one_by_one(
    recorded: Callable[[str], bytes],
) -> None:
    """What cannot be read of a list is reported, and the rest of it is kept."""
    document = recorded("GetAvailableTimeslots.malformed-items.response")

    answer = read_response(get_available_timeslots.CONTRACT, document)

    assert answer.response == get_available_timeslots.Response(
        timeslot_detail=(
            TimeslotType(
                start_time_inclusive="20261024083000",
                end_time_exclusive="20261024090000",
                healthcare_facility=UNIT,
            ),
        )
    )
    assert answer.faults == [
        "timeslotDetail/startTimeInclusive: not a time: there is no such day or hour",
        "timeslotDetail/healthcare_facility: is missing",
        "timeslotDetail/healthcare_facility: is missing",
    ]


def test_details_of_an_unknown_booking_have_none(
    recorded: Callable[[str], bytes],
) -> None:
    """A GetBookingDetailsResponse without its required element can be read."""
    document = recorded("GetBookingDetails.unknown-booking.response")

    answer = read_response(get_booking_details.CONTRACT, document)

    assert answer.response == get_booking_details.Response(timeslot_detail=None)


def test_details_without_a_booking_are_not_written() -> None:
    """The schema requires timeslotDetail of a producer."""
    with pytest.raises(MalformedElement, match="timeslotDetail: is required"):
        write_response(
            get_booking_details.CONTRACT,
            get_booking_details.Response(timeslot_detail=None),
        )


# --------------------------------------------------------------------------- the shape


def test_contracts_hold_every_interaction() -> None:
    """There is a contract for each of the eleven interactions."""
    assert set(CONTRACTS) == set(scheduling.INTERACTIONS)


@EVERY_CONTRACT
def test_contract_is_named_after_its_interaction(
    contract: Contract[Any, Any],
) -> None:
    """Namespace, tags and action follow from the interaction's name alone."""
    name = contract.interaction.name
    namespace = f"urn:riv:crm:scheduling:{name}Responder:1"

    assert (
        contract.namespace,
        contract.request_tag,
        contract.response_tag,
        contract.action,
    ) == (
        namespace,
        f"{{{namespace}}}{name}",
        f"{{{namespace}}}{name}Response",
        f"{namespace}:{name}",
    )


@EVERY_CONTRACT
def test_messages_declare_a_namespace_and_an_element_for_each_field(
    contract: Contract[Any, Any],
) -> None:
    """Every message and part of one can be written: nothing of it is undeclared."""
    undeclared = [
        f"{kind.__qualname__} of {kind.__module__}"
        for kind in _kinds(contract.request, contract.response)
        if not (
            kind.NAMESPACE.startswith("urn:riv:crm:scheduling:")
            and all("element" in field.metadata for field in dataclasses.fields(kind))
        )
    ]

    assert undeclared == []


@EVERY_CONTRACT
def test_messages_are_in_the_contracts_own_namespace(
    contract: Contract[Any, Any],
) -> None:
    """Both messages of a contract stand in its namespace."""
    namespaces = {contract.request.NAMESPACE, contract.response.NAMESPACE}

    assert namespaces == {contract.namespace}


@EVERY_CONTRACT
def test_messages_with_a_resident_hide_their_content(
    contract: Contract[Any, Any],
) -> None:
    """The repr of a message never spells its content."""
    shown = [
        repr(_filled(kind, NUMBER)) for kind in (contract.request, contract.response)
    ]

    assert [NUMBER in text for text in shown] == [False, False]


@EVERY_CONTRACT
def test_request_without_content_is_refused(contract: Contract[Any, Any]) -> None:
    """An empty request names the first required element that it lacks."""
    call = read_call(_envelope(f'<x:{contract.interaction.name} xmlns:x="urn:x"/>'))
    first = next(
        field.metadata["element"].name
        for field in dataclasses.fields(contract.request)
        if field.metadata["element"].required
    )

    with pytest.raises(MalformedElement) as caught:
        read_request(contract, call)

    assert str(caught.value) == f"{first}: is missing"


@EVERY_CONTRACT
def test_answer_with_an_empty_body_is_refused(contract: Contract[Any, Any]) -> None:
    """An envelope with nothing in its body is no answer."""
    with pytest.raises(MalformedEnvelope) as caught:
        read_response(contract, _envelope(""))

    assert str(caught.value) == "the envelope has no body"


@EVERY_CONTRACT
def test_fault_is_never_read_as_a_response(contract: Contract[Any, Any]) -> None:
    """A fault stands in the response's place, and no message is made of it."""
    document = _envelope(
        "<s:Fault><faultcode>s:Server</faultcode><faultstring>no</faultstring>"
        "</s:Fault>"
    )

    answer = read_response(contract, document)

    assert answer == ContractAnswer(response=Fault(code="s:Server", text="no"))


@EVERY_CONTRACT
def test_fault_is_never_read_as_a_request(contract: Contract[Any, Any]) -> None:
    """A fault sent to a producer is malformed."""
    call = read_call(_envelope("<s:Fault><faultcode>s:Client</faultcode></s:Fault>"))

    with pytest.raises(MalformedElement, match="an element: is no element"):
        read_request(contract, call)


@EVERY_CONTRACT
def test_answer_to_another_question_is_refused(contract: Contract[Any, Any]) -> None:
    """The response of another contract is not taken for the one that was asked."""
    others = [other for other in CONTRACTS.values() if other is not contract]

    refused = []
    for other in others:
        document = _envelope(
            f"<{other.interaction.name}Response"
            f' xmlns="{other.namespace}"></{other.interaction.name}Response>'
        )
        with pytest.raises(MalformedEnvelope) as caught:
            read_response(contract, document)
        refused.append(str(caught.value))

    assert refused == ["the body is not the answer to what was asked"] * len(others)


def _envelope(body: str) -> bytes:
    return (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/">'
        f"<s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def _kinds(*kinds: Any) -> list[Any]:
    found: list[Any] = []
    for kind in kinds:
        found.append(kind)
        parts = (
            field.metadata["element"].content
            for field in dataclasses.fields(kind)
            if "element" in field.metadata
        )
        found.extend(_kinds(*(part for part in parts if isinstance(part, type))))
    return found


def _filled(kind: Any, text: str) -> Any:
    return kind(**{field.name: text for field in dataclasses.fields(kind)})
