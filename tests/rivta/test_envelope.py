"""
The SOAP envelope: headers, body and fault.
"""

import dataclasses
from collections.abc import Callable

import pytest

from fhir_gateway.model.ids import HsaId, LogicalAddress
from fhir_gateway.model.interaction import Actor, ActorType
from fhir_gateway.rivta.envelope import (
    CONTENT_TYPE,
    ContractAnswer,
    MalformedEnvelope,
    read_call,
    read_response,
    write_fault,
    write_request,
)
from fhir_gateway.rivta.fault import Fault
from fhir_gateway.rivta.rejection import MalformedElement
from fhir_gateway.rivta.scheduling_1_1 import (
    cancel_booking,
    get_available_timeslots,
    get_booking_details,
    get_subject_of_care_schedule,
)
from fhir_gateway.rivta.xml import UnreadableXml

CONTRACT = cancel_booking.CONTRACT
REQUEST = cancel_booking.Request(healthcare_facility="A", booking_id="B")
AGENT = Actor.agent(HsaId("SE1-X"))
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
DONE = (
    f'<r:CancelBookingResponse xmlns:r="{CONTRACT.namespace}">'
    "<r:resultCode>OK</r:resultCode></r:CancelBookingResponse>"
)
NO_BODY = "the envelope has no body"
NO_ENVELOPE = "the document is no SOAP 1.1 envelope"


def _envelope(body: str, header: str = "", namespace: str = SOAP) -> bytes:
    return (
        f'<s:Envelope xmlns:s="{namespace}">{header}<s:Body>{body}</s:Body>'
        "</s:Envelope>"
    ).encode()


def test_content_type_is_that_of_soap_1_1() -> None:
    """Messages are sent as text/xml in UTF-8."""
    assert CONTENT_TYPE == "text/xml; charset=UTF-8"


# ---------------------------------------------------------------------------- requests


def test_request_begins_with_a_declaration_of_utf_8() -> None:
    """The written bytes say what they are."""
    document = write_request(
        CONTRACT, REQUEST, logical_address=LogicalAddress("A"), actor=AGENT
    )

    assert document.startswith(b"<?xml version='1.0' encoding='UTF-8'?>\n<soapenv:")


@pytest.mark.parametrize(
    ("address", "actor", "message"),
    [
        pytest.param("", AGENT, "LogicalAddress: is required", id="no address"),
        pytest.param(" ", AGENT, "LogicalAddress: is required", id="a blank address"),
        pytest.param(
            "A\x00",
            AGENT,
            "LogicalAddress: has a character that XML cannot carry",
            id="a NUL in the address",
        ),
        pytest.param(
            "A",
            dataclasses.replace(AGENT, id=""),
            "actorId: is required",
            id="no actor",
        ),
        pytest.param(
            "A",
            dataclasses.replace(AGENT, id="\x1b"),
            "actorId: has a character that XML cannot carry",
            id="escape for an actor",
        ),
    ],
)
def test_request_without_its_headers_is_not_written(
    address: str, actor: Actor, message: str
) -> None:
    """The platform needs both headers, so a request that lacks one is never sent."""
    with pytest.raises(MalformedElement) as caught:
        write_request(
            CONTRACT, REQUEST, logical_address=LogicalAddress(address), actor=actor
        )

    assert str(caught.value) == message


HEADER = (
    '<s:Header><a:LogicalAddress xmlns:a="urn:riv:itintegration:registry:1"> A </a:'
    'LogicalAddress><h:Actor xmlns:h="urn:riv:interoperability:headers:1">'
    "<h:actorId>SE1-X</h:actorId><h:actorType>subject_of_care_agent</h:actorType>"
    "</h:Actor></s:Header>"
)


@pytest.mark.parametrize(
    ("header", "address", "actor"),
    [
        pytest.param(HEADER, "A", AGENT, id="both headers"),
        pytest.param("", None, None, id="no header"),
        pytest.param("<s:Header/>", None, None, id="an empty header"),
        pytest.param(
            "<s:Header><LogicalAddress/><Actor/></s:Header>",
            None,
            None,
            id="empty elements",
        ),
        pytest.param(
            '<s:Header><To xmlns="http://www.w3.org/2005/08/addressing">A</To>'
            "</s:Header>",
            "A",
            None,
            id="the header of RIVTABP20",
        ),
        pytest.param(
            "<s:Header><Actor><actorId>1</actorId><actorType>nobody</actorType>"
            "</Actor></s:Header>",
            None,
            None,
            id="an unknown kind of actor",
        ),
        pytest.param(
            "<s:Header><Actor><actorType>subject_of_care</actorType></Actor>"
            "</s:Header>",
            None,
            None,
            id="an actor without id",
        ),
        pytest.param(
            "<s:Header><Actor><actorId>1</actorId></Actor></s:Header>",
            None,
            None,
            id="an actor without type",
        ),
    ],
)
def test_headers_are_read_by_local_name(
    header: str, address: str | None, actor: Actor | None
) -> None:
    """Headers are found as the platform finds them; what is not there is None."""
    call = read_call(_envelope("<r:X xmlns:r='urn:r'/>", header))

    assert (call.action, call.logical_address, call.actor) == (
        "{urn:r}X",
        address,
        actor,
    )


def test_actor_of_a_call_hides_the_number() -> None:
    """Neither a call nor its actor shows a personal number."""
    call = read_call(
        _envelope(
            "<X>191212121212</X>",
            "<s:Header><Actor><actorId>191212121212</actorId>"
            "<actorType>subject_of_care</actorType></Actor></s:Header>",
        )
    )

    assert call.actor == Actor(id="191212121212", type=ActorType.SUBJECT_OF_CARE)
    assert "191212121212" not in f"{call!r} {call.actor!r} {call}"


# ----------------------------------------------------------------------------- answers


FAULT = "<s:Fault><faultcode>s:Server</faultcode></s:Fault>"
TWO_IN_THE_BODY = "the body has more than one element"
TWO_PARTS = "the envelope has more than one header and one body"
TEXT_BETWEEN = "the envelope has text between its elements"


@pytest.mark.parametrize(
    ("document", "message"),
    [
        pytest.param(_envelope(DONE + FAULT), TWO_IN_THE_BODY, id="a fault beside"),
        pytest.param(_envelope(FAULT + DONE), TWO_IN_THE_BODY, id="a fault before"),
        pytest.param(_envelope(DONE * 2), TWO_IN_THE_BODY, id="a second response"),
        pytest.param(
            _envelope(f'{DONE}<multiRef id="1"/>'), TWO_IN_THE_BODY, id="multiRef"
        ),
        pytest.param(
            _envelope(f"{DONE}</s:Body><s:Body>{DONE}"), TWO_PARTS, id="two bodies"
        ),
        pytest.param(
            _envelope(f"{DONE}</s:Body><s:Body>"), TWO_PARTS, id="an empty second body"
        ),
        pytest.param(
            _envelope(DONE, "<s:Header/><s:Header/>"), TWO_PARTS, id="two headers"
        ),
        pytest.param(_envelope(DONE, "<x/>"), TWO_PARTS, id="something else"),
        pytest.param(
            _envelope(DONE, f"<s:Header>{FAULT}</s:Header>"),
            "the header has a fault",
            id="a fault in the header",
        ),
        pytest.param(_envelope(f"Nej{DONE}"), TEXT_BETWEEN, id="text before"),
        pytest.param(_envelope(f"{DONE}Nej"), TEXT_BETWEEN, id="text behind"),
        pytest.param(_envelope(DONE, "Nej"), TEXT_BETWEEN, id="text in the envelope"),
        pytest.param(
            _envelope(DONE, "<s:Header>Nej</s:Header>"), TEXT_BETWEEN, id="in a header"
        ),
        pytest.param(
            _envelope(DONE.replace(CONTRACT.namespace, "urn:vendor")),
            "the body is not the answer to what was asked",
            id="a vendor's response",
        ),
        pytest.param(
            _envelope(
                "<s:Fault><faultstring>1</faultstring><faultstring>2</faultstring>"
                "</s:Fault>"
            ),
            "the fault has more than one faultstring",
            id="a fault that says two things",
        ),
    ],
)
def test_answer_of_more_than_one_thing_is_refused(
    document: bytes, message: str
) -> None:
    """No part of an answer is believed while another may contradict it."""
    with pytest.raises(MalformedEnvelope) as caught:
        read_response(CONTRACT, document)

    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        pytest.param(
            "<r:resultCode>OK</r:resultCode><r:resultCode>ERROR</r:resultCode>",
            "resultCode[2]: occurs more than once",
            id="twice",
        ),
        pytest.param(
            "<resultCode>OK</resultCode><r:resultCode>ERROR</r:resultCode>",
            "resultCode[2]: occurs more than once",
            id="in two namespaces",
        ),
        pytest.param(
            '<v:resultCode xmlns:v="urn:vendor">OK</v:resultCode>'
            "<r:resultCode>ERROR</r:resultCode>",
            "resultCode: is in a namespace that is not the contract's",
            id="a vendor's beside it",
        ),
        pytest.param(
            "<r:resultCode>OK</r:resultCode><r:resulttext>Ring</r:resulttext>",
            "resulttext: is no element of the contract",
            id="a text that is misspelt",
        ),
        pytest.param(
            "<r:resultCode>OK</r:resultCode>Ring",
            "text: stands where elements should",
            id="text in the response",
        ),
    ],
)
def test_contradictory_or_lossy_result_is_unreadable(inner: str, message: str) -> None:
    """A yes is never read beside a no, nor a result without its text."""
    document = _envelope(
        f'<r:CancelBookingResponse xmlns:r="{CONTRACT.namespace}">{inner}'
        "</r:CancelBookingResponse>"
    )

    with pytest.raises(MalformedElement) as caught:
        read_response(CONTRACT, document)

    assert str(caught.value) == message


def test_several_texts_of_a_result_are_one() -> None:
    """What must be shown is shown whole, each text on a line of its own."""
    texts = "".join(f"<r:resultText>{each}</r:resultText>" for each in ("A", "", "B"))

    answer = read_response(
        CONTRACT, _envelope(DONE.replace("</r:Can", f"{texts}</r:Can"))
    )

    assert answer == ContractAnswer(
        response=cancel_booking.Response(result_code="OK", result_text="A\nB")
    )


@pytest.mark.parametrize(
    ("document", "message"),
    [
        pytest.param(_envelope(""), NO_BODY, id="an empty body"),
        pytest.param(_envelope("text"), TEXT_BETWEEN, id="a body of text"),
        pytest.param(_envelope("<!-- x -->"), NO_BODY, id="a body of a comment"),
        pytest.param(f'<s:Envelope xmlns:s="{SOAP}"/>'.encode(), NO_BODY, id="no body"),
        pytest.param(
            _envelope(DONE, namespace="http://www.w3.org/2003/05/soap-envelope"),
            NO_ENVELOPE,
            id="SOAP 1.2",
        ),
        pytest.param(DONE.encode(), NO_ENVELOPE, id="no envelope"),
        pytest.param(
            b'<Envelope xmlns="http://www.w3.org/2003/05/soap-envelope"/>',
            NO_ENVELOPE,
            id="SOAP 1.2",
        ),
        pytest.param(
            _envelope("<CancelBooking/>"),
            "the body is not the answer to what was asked",
            id="the question itself",
        ),
        pytest.param(
            _envelope("<CancelBookingResponseX/>"),
            "the body is not the answer to what was asked",
            id="a longer name",
        ),
    ],
)
def test_document_that_is_no_answer_is_refused(document: bytes, message: str) -> None:
    """What is no envelope with the expected body is malformed, in one line."""
    with pytest.raises(MalformedEnvelope) as caught:
        read_response(CONTRACT, document)

    assert str(caught.value) == message


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(_envelope(""), id="an empty body"),
        pytest.param(b"<a/>", id="no envelope"),
    ],
)
def test_document_that_is_no_call_is_refused(document: bytes) -> None:
    """A producer refuses what is no envelope with a body."""
    with pytest.raises(MalformedEnvelope):
        read_call(document)


def test_call_that_is_no_xml_is_refused() -> None:
    """A producer refuses what is no XML."""
    with pytest.raises(UnreadableXml):
        read_call(b"no")


# ------------------------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("name", "fault", "code"),
    [
        pytest.param(
            "MakeBooking.platform-fault",
            Fault(
                code="soap:Server",
                text="VP009 [vp-1] Fel vid kontakt med tjänsteproducenten",
            ),
            "VP009",
            id="of the platform, with detail",
        ),
        pytest.param(
            "GetSubjectOfCareSchedule.remote-platform-fault",
            Fault(
                code="soap:Server",
                text="VP007 [remote-vp-2] Tjänstekonsumenten saknar behörighet",
            ),
            "VP007",
            id="of a remote platform, with details",
        ),
        pytest.param(
            "MakeBooking.producer-fault",
            Fault(
                code="soap:Server",
                text="resultCode: 3001 resultText: Illegal argument! 191212121212",
            ),
            None,
            id="of a producer",
        ),
    ],
)
def test_recorded_fault_is_read(
    name: str, fault: Fault, code: str | None, recorded: Callable[[str], bytes]
) -> None:
    """A fault is read from any producer, with any name of its detail."""
    contract = get_subject_of_care_schedule.CONTRACT

    answer = read_response(contract, recorded(f"{name}.response"))

    assert answer == ContractAnswer(response=fault)
    assert answer.response.platform_code == code


@pytest.mark.parametrize(
    ("inner", "fault"),
    [
        pytest.param("", Fault(code="", text=""), id="empty"),
        pytest.param(
            "<faultstring>VP009 x</faultstring>",
            Fault(code="", text="VP009 x"),
            id="without a code",
        ),
        pytest.param(
            "<faultcode>s:Server</faultcode>",
            Fault(code="s:Server", text=""),
            id="without a text",
        ),
        pytest.param(
            "<s:faultcode>s:Server</s:faultcode>"
            '<s:faultstring xml:lang="sv"> VP009 x </s:faultstring>',
            Fault(code="s:Server", text="VP009 x"),
            id="with namespaces and blanks",
        ),
        pytest.param(
            "<faultstring><![CDATA[VP009 <x>]]></faultstring>",
            Fault(code="", text="VP009 <x>"),
            id="with CDATA",
        ),
        pytest.param(
            "<detail><faultstring>VP004 hidden</faultstring></detail>"
            "<faultstring>VP009 x</faultstring>",
            Fault(code="", text="VP009 x"),
            id="with another in its detail",
        ),
    ],
)
def test_fault_is_read_as_far_as_it_goes(inner: str, fault: Fault) -> None:
    """A fault is a fault whichever parts it lacks."""
    answer = read_response(CONTRACT, _envelope(f"<s:Fault>{inner}</s:Fault>"))

    assert answer == ContractAnswer(response=fault)


def test_written_fault_reads_back() -> None:
    """A fault is written as SOAP 1.1 has it and reads back."""
    fault = Fault(code="soapenv:Server", text="VP004 <okänd> & fel")

    document = write_fault(fault)

    assert b"<faultcode>soapenv:Server</faultcode>" in document
    assert read_response(CONTRACT, document) == ContractAnswer(response=fault)


def empty_answer(header: str, inner: str = "") -> bytes:
    """Return an answer without free times, with these elements."""
    return (
        f'<s:Envelope xmlns:s="{SOAP}" xmlns:x="urn:vendor">'
        f"<s:Header>{header}</s:Header><s:Body><GetAvailableTimeslotsResponse"
        f' xmlns="{get_available_timeslots.NAMESPACE}">{inner}'
        "</GetAvailableTimeslotsResponse></s:Body></s:Envelope>"
    ).encode()


@pytest.mark.parametrize(
    ("header", "rejected"),
    [
        pytest.param(
            '<x:Part s:mustUnderstand="1"/>',
            {"Header: must be understood, and is not": 1},
            id="unknown",
        ),
        pytest.param(
            '<x:Part s:mustUnderstand="1"'
            ' s:actor="http://schemas.xmlsoap.org/soap/actor/next"/>',
            {"Header: must be understood, and is not": 1},
            id="for the next actor",
        ),
        pytest.param(
            '<Part s:mustUnderstand="true"/>',
            {"Header: must be understood, and is not": 1},
            id="in no namespace",
        ),
        pytest.param('<x:Part s:mustUnderstand="0"/>', {}, id="may be ignored"),
        pytest.param("<x:Part/>", {}, id="says nothing"),
        pytest.param(
            '<x:Part s:mustUnderstand="1" s:actor="urn:other"/>',
            {},
            id="for another actor",
        ),
        pytest.param(
            '<a:Action xmlns:a="http://www.w3.org/2005/08/addressing"'
            ' s:mustUnderstand="1">x</a:Action>',
            {},
            id="WS-Addressing",
        ),
    ],
)
def test_an_unknown_header_that_must_be_understood_is_counted(
    header: str, rejected: dict[str, int]
) -> None:
    """What a reader may not ignore makes an answer readable in part alone."""
    answer = read_response(get_available_timeslots.CONTRACT, empty_answer(header))

    assert answer.rejected == rejected


@pytest.mark.parametrize(
    "inner",
    [
        "<x:resultCode>ERROR</x:resultCode>",
        "<x:error>no connection</x:error>",
        '<x:Error code="17"/>',
        "<x:error><x:text>no connection</x:text></x:error>",
        "<x:result><x:errorCode>17</x:errorCode></x:result>",
    ],
)
def test_an_error_in_elements_of_a_vendor_is_counted(inner: str) -> None:
    """An empty list beside an error does not show that there is nothing."""
    answer = read_response(get_available_timeslots.CONTRACT, empty_answer("", inner))

    assert answer.rejected == {"an element: reports an error": 1}


@pytest.mark.parametrize(
    "inner",
    [
        "<x:resultCode>OK</x:resultCode>",
        "<x:errorCount>0</x:errorCount>",
        "<x:hasErrors>false</x:hasErrors>",
        "<x:errors/>",
        "<x:errors><x:count>0</x:count></x:errors>",
        '<x:error xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:nil="true"/>',
        "<x:mirror>a</x:mirror>",
    ],
)
def test_no_error_in_elements_of_a_vendor_costs_nothing(inner: str) -> None:
    """A vendor may say that all went well."""
    answer = read_response(get_available_timeslots.CONTRACT, empty_answer("", inner))

    assert answer.rejected == {}


def test_an_error_beside_a_missing_booking_makes_it_malformed() -> None:
    """Details without a booking prove nothing beside an error."""
    document = (
        f'<s:Envelope xmlns:s="{SOAP}"><s:Body><GetBookingDetailsResponse'
        f' xmlns="{get_booking_details.NAMESPACE}">'
        '<x:error xmlns:x="urn:vendor">17</x:error>'
        "</GetBookingDetailsResponse></s:Body></s:Envelope>"
    ).encode()

    with pytest.raises(MalformedElement, match="reports an error"):
        read_response(get_booking_details.CONTRACT, document)
