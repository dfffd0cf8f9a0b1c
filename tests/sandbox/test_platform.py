"""
The sandbox's service platform: routes, faults and headers.
"""

from uuid import UUID

import pytest

from fhir_gateway.model.errors import GatewayError, SourceFault, Unavailable
from fhir_gateway.model.ids import LogicalAddress
from fhir_gateway.model.interaction import Actor
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.rivta.client import FaultedWrite
from fhir_gateway.rivta.envelope import read_fault, write_request
from fhir_gateway.rivta.monitoring_1_0 import ping_for_configuration as ping
from fhir_gateway.rivta.registry_2_0 import (
    get_logical_addressees_by_service_contract as addressees,
)
from fhir_gateway.rivta.registry_2_0 import get_supported_service_contracts as supported
from fhir_gateway.rivta.registry_2_0.types import ServiceContractNamespaceType
from fhir_gateway.rivta.scheduling_1_1 import (
    cancel_booking,
    make_booking,
)
from fhir_gateway.rivta.scheduling_1_1.contracts import CONTRACTS

from .national import CONSUMER, NATIONAL, PlatformConsumer


def code_of(document: bytes) -> str | None:
    """Return the platform's code in a fault."""
    fault = read_fault(document)
    return None if fault is None else fault.platform_code


@pytest.mark.parametrize("name", ["norr", "mitt", "syd"])
def test_a_unit_is_asked_through_the_platform(
    national: PlatformConsumer, name: str
) -> None:
    """The answer is the region's own."""
    region = getattr(national, name)

    through = national.schedule(address=region.unit.hsa_id).response

    assert through == region.schedule_answer().response
    assert national.calls()[-1] == {
        "interaction": "GetSubjectOfCareSchedule",
        "logical_address": region.unit.hsa_id,
        "consumer": CONSUMER,
        "status": 200,
    }


def test_an_address_in_lower_case_is_routed(national: PlatformConsumer) -> None:
    """HSA-ids are compared without regard to case."""
    answer = national.schedule(address=national.norr.unit.hsa_id.lower())

    assert answer.response.timeslot_detail


def test_a_regions_own_aggregation_is_routed(national: PlatformConsumer) -> None:
    """A county code goes to the region's aggregating service, which reports too."""
    answer = national.schedule(address="25")

    assert national.statuses(answer).keys() == {
        each.healthcare_facility for each in answer.response.timeslot_detail
    }


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b"<itr:LogicalAddress>5565594230</itr:LogicalAddress>", b"", "VP003"),
        (b"5565594230</itr", b"SE0000000000-1</itr", "VP004"),
        (b"GetSubjectOfCareSchedule", b"GetX", "VP004"),
        (b"<soapenv:Body>", b"<soapenv:Body", "VP015"),
    ],
)
def test_a_message_without_a_route_has_the_platforms_fault(
    national: PlatformConsumer, old: bytes, new: bytes, code: str
) -> None:
    """The fault has HTTP status 500, and the code is the start of its text."""
    answer = national.post(national.document().replace(old, new))

    assert (answer.status_code, code_of(answer.content)) == (500, code)


def test_a_unit_that_nobody_may_ask_is_vp007(national: PlatformConsumer) -> None:
    """The platform refuses before it asks the region."""
    unit = national.norr.unit.hsa_id
    national.behave(unauthorised=[unit])

    with pytest.raises(SourceFault) as raised:
        national.schedule(address=unit)

    assert raised.value.code == "VP007"


def test_a_contract_that_a_unit_lacks_is_vp004(national: PlatformConsumer) -> None:
    """Its other contracts are routed."""
    unit = national.norr.unit.hsa_id
    national.behave(lacks={unit: ["CancelBooking"]})

    with pytest.raises(FaultedWrite) as raised:
        national.call(
            cancel_booking.CONTRACT,
            cancel_booking.Request(healthcare_facility=unit, booking_id="X"),
            unit,
        )

    assert raised.value.fault.platform_code == "VP004"
    assert national.schedule(address=unit).response


@pytest.mark.parametrize("fault", ["refuse", "deliver-nothing", "wrong-status"])
def test_a_producer_without_an_answer_is_vp009(
    national: PlatformConsumer, fault: str
) -> None:
    """A reset, an empty answer and a wrong status all become the platform's fault."""
    status = {"status": 404} if fault == "wrong-status" else {}
    national.fault("norr", fault, **status)

    with pytest.raises(SourceFault) as raised:
        national.schedule(address=national.norr.unit.hsa_id)

    assert raised.value.code == "VP009"


def test_a_producer_that_hangs_is_vp009_in_time(national: PlatformConsumer) -> None:
    """The platform waits as long as its option says."""
    national.behave(platform_timeout_s=0.2)
    national.fault("norr", "hang", seconds=60)

    with pytest.raises(SourceFault) as raised:
        national.schedule(address=national.norr.unit.hsa_id)

    assert raised.value.code == "VP009"


def test_a_producers_fault_passes_through(national: PlatformConsumer) -> None:
    """The platform changes neither code nor text."""
    national.fault("norr", "vp-fault", code="VP008")

    with pytest.raises(SourceFault) as raised:
        national.schedule(address=national.norr.unit.hsa_id)

    assert raised.value.code == "VP008"


@pytest.mark.parametrize(
    ("fault", "raised"),
    [
        ("refuse", Unavailable),
        ("drop-before-processing", Unavailable),
        ("vp-fault", SourceFault),
        ("wrong-status", SourceFault),
        ("deliver-nothing", GatewayError),
    ],
)
def test_the_platform_itself_fails_on_request(
    national: PlatformConsumer, fault: str, raised: type[Exception]
) -> None:
    """A rule for one unit leaves the others alone."""
    units = {} if fault == "refuse" else {"units": [national.norr.unit.hsa_id]}
    national.fault("platform", fault, count=1, **units)

    with pytest.raises(raised):
        national.schedule(address=national.norr.unit.hsa_id)

    assert national.schedule(address=national.syd.unit.hsa_id).response


def test_a_fault_that_needs_a_contract_is_refused(national: PlatformConsumer) -> None:
    """The platform cannot write INFO into an answer that it does not read."""
    answer = national.fault("platform", "info")

    assert (answer.status_code, answer.json()["error"]) == (
        400,
        "'info' does not apply here",
    )


def test_a_consumer_may_not_pass_for_the_platform(national: PlatformConsumer) -> None:
    """The header of the sender is the platform's own: VP011."""
    answer = national.post(national.document(), x_vp_sender_id="SE1")

    assert code_of(answer.content) == "VP011"


def test_a_call_that_goes_round_is_vp014(national: PlatformConsumer) -> None:
    """The platform finds itself among the platforms that a call has passed."""
    here = national.server._httpd.national.platform.instance_id

    answer = national.post(national.document(), x_rivta_routing_history=f"other#{here}")

    assert code_of(answer.content) == "VP014"


def test_a_correlation_id_is_kept(national: PlatformConsumer) -> None:
    """It is in the answer too, and the platform makes one where there is none."""
    unit = national.norr.unit.hsa_id
    given = national.post(national.document(unit), x_skltp_correlation_id="C-1")
    made = national.post(national.document(unit))

    assert given.headers["x-skltp-correlation-id"] == "C-1"
    assert UUID(made.headers["x-skltp-correlation-id"])
    assert given.headers["x-skltp-prt"].isdecimal()


def test_a_booking_is_made_through_the_platform(national: PlatformConsumer) -> None:
    """The region's ledger has it once, with its result."""
    norr = national.norr
    slot = norr.slots_of("covid")[0]
    before = len(norr.writes())

    answer = national.call(
        make_booking.CONTRACT,
        norr.make_request(slot, "197010632391"),
        slot.healthcare_facility,
        actor=Actor.resident(PersonalIdentityNumber("197010632391")),
    )

    assert answer.response.result_code == "OK"
    assert [row["result"] for row in norr.writes()[before:]] == ["OK"]


def test_the_options_are_shown_as_they_are_set(national: PlatformConsumer) -> None:
    """What is not set has its default."""
    unit = national.norr.unit.hsa_id

    answer = national.behave(
        cached_for_s=5, unauthorised=[unit.lower()], lacks={unit: ["MakeBooking"]}
    )

    assert answer.json() == {
        "producer_timeout_s": 2.7,
        "total_timeout_s": 2.8,
        "platform_timeout_s": 2.9,
        "cached_for_s": 5.0,
        "keeps_last": False,
        "index_fails": False,
        "unauthorised": [unit],
        "not_indexed": [],
        "lacks": {unit: ["MakeBooking"]},
    }


@pytest.mark.parametrize(
    "options",
    [
        {"other": 1},
        {"cached_for_s": True},
        {"total_timeout_s": -1},
        {"keeps_last": 1},
        {"unauthorised": "SE1"},
        {"lacks": ["SE1"]},
        {"lacks": {"SE1": ["Other"]}},
    ],
)
def test_wrong_options_are_refused(
    national: PlatformConsumer, options: dict[str, object]
) -> None:
    """The platform goes on as before."""
    answer = national.behave(**options)

    assert answer.status_code == 400
    assert answer.json()["error"]


def test_the_catalogue_agrees_with_the_routes(national: PlatformConsumer) -> None:
    """It names what a unit has a route for: all but what it lacks."""
    unit = national.norr.unit.hsa_id
    national.behave(lacks={unit: ["CancelBooking", "UpdateBooking"]})

    answer = national.call(
        supported.CONTRACT,
        supported.Request(service_consumer_hsa_id=CONSUMER, logical_address=unit),
        NATIONAL,
    )

    assert {each.service_contract_namespace for each in answer.response.contracts} == {
        ping.NAMESPACE,
        *(
            contract.namespace
            for interaction, contract in CONTRACTS.items()
            if interaction.name not in ("CancelBooking", "UpdateBooking")
        ),
    }


def test_the_catalogue_lists_a_contracts_addresses(national: PlatformConsumer) -> None:
    """A unit that lacks the contract, or that nobody may ask, is not among them."""
    lacking, closed = (unit.hsa_id for unit in national.norr.region.units[:2])
    national.behave(lacks={lacking: ["MakeBooking"]}, unauthorised=[closed])

    answer = national.call(
        addressees.CONTRACT,
        addressees.Request(
            service_consumer_hsa_id=CONSUMER,
            contract=ServiceContractNamespaceType(
                service_contract_namespace=make_booking.NAMESPACE
            ),
        ),
        NATIONAL,
    )

    assert {each.logical_address for each in answer.response.records} == {
        unit.hsa_id
        for region in national.server.regions()
        for unit in region.units
        if unit.hsa_id not in (lacking, closed)
    }


def test_an_unknown_address_supports_nothing(national: PlatformConsumer) -> None:
    """That is an answer, and no fault."""
    answer = national.call(
        supported.CONTRACT,
        supported.Request(logical_address="SE0000000000-1"),
        NATIONAL,
    )

    assert answer.response.contracts == ()


@pytest.mark.parametrize("address", [NATIONAL, "SE165565594230-1000", None])
def test_a_ping_is_answered(national: PlatformConsumer, address: str | None) -> None:
    """The platform answers at its own address, and a region at a unit's."""
    unit = national.syd.unit.hsa_id

    answer = national.call(
        ping.CONTRACT,
        ping.Request(
            service_contract_namespace=make_booking.NAMESPACE, logical_address=unit
        ),
        address or unit,
    )

    assert answer.response == ping.Response(
        version="fhir-gateway-sandbox", ping_date_time="20260302060000"
    )


def test_a_message_that_breaks_the_catalogues_schema_is_refused(
    national: PlatformConsumer,
) -> None:
    """The spelling with two d is no element of the contract."""
    document = write_request(
        supported.CONTRACT,
        supported.Request(logical_address=NATIONAL),
        logical_address=LogicalAddress(NATIONAL),
        actor=None,
    )

    answer = national.post(
        document.replace(b"logicalAdress", b"logicalAddress"),
        action=supported.CONTRACT.action,
    )

    assert code_of(answer.content) == "VP015"


def test_the_catalogue_fails_on_request(national: PlatformConsumer) -> None:
    """So a gateway can be tried while the catalogue is away."""
    national.fault("catalogue", "vp-fault", code="VP008", count=1)
    request = supported.Request(logical_address=NATIONAL)

    with pytest.raises(SourceFault) as raised:
        national.call(supported.CONTRACT, request, NATIONAL)

    assert raised.value.code == "VP008"
