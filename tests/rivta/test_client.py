"""
The SOAP client: what each way of failing means, for a read and for a write.

What HTTP can say is faked with `responses`; what only a socket can do (refuse, reset,
hang, drip) is done by a small server on loopback.
"""

import gzip
import os
import re
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import traceback
import tracemalloc
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import pytest
import requests
import responses
import urllib3
from pem import write_server_certificate

from fhir_gateway.model import scheduling
from fhir_gateway.model.errors import (
    GatewayError,
    Incorrect,
    MalformedAnswer,
    Party,
    SourceFault,
    Unavailable,
    WriteUnconfirmed,
)
from fhir_gateway.model.ids import HsaId, LogicalAddress, SourceName
from fhir_gateway.model.interaction import Actor
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.rivta.client import FaultedWrite, SoapClient
from fhir_gateway.rivta.contract import Contract
from fhir_gateway.rivta.envelope import ContractAnswer, write_fault, write_response
from fhir_gateway.rivta.fault import Fault
from fhir_gateway.rivta.limit import ANSWER, LIST, PERSONAL
from fhir_gateway.rivta.scheduling_1_1 import (
    cancel_booking,
    get_all_time_types,
    get_available_timeslots,
    make_booking,
    update_booking,
)
from fhir_gateway.rivta.scheduling_1_1.contracts import CONTRACTS
from fhir_gateway.rivta.scheduling_1_1.types import SubjectOfCareType, TimeslotType
from fhir_gateway.rivta.transport import Credentials, Transport

MARKER = "191212121212"
ENDPOINT = "https://region.example.org/{interaction}"
ADDRESS = LogicalAddress("SE2321000016-A01")
RESIDENT = Actor.resident(PersonalIdentityNumber(MARKER))

READ = get_available_timeslots.CONTRACT
READ_REQUEST = get_available_timeslots.Request(
    healthcare_facility="SE2321000016-A01",
    booking_id="B-4711",
    start_date_inclusive="20261001",
    end_date_inclusive="20261031",
    performer=("SE2321000016-P01", "SE2321000016-P02"),
    time_type_name="Läkarbesök, nybesök",
    time_type_id="101",
    care_type_name="Besök",
    care_type_id="V1",
    subject_of_care=MARKER,
)
READ_ANSWER = ContractAnswer(response=get_available_timeslots.Response())
CANCEL = cancel_booking.CONTRACT
CANCEL_REQUEST = cancel_booking.Request(
    healthcare_facility="SE2321000016-A01", booking_id="B-4711"
)
CANCEL_ANSWER = ContractAnswer(response=cancel_booking.Response(result_code="OK"))
TIMESLOT = TimeslotType(
    healthcare_facility="SE2321000016-A01", subject_of_care=MARKER, reason=MARKER
)
MAKE_REQUEST = make_booking.Request(
    healthcare_facility_med="SE2321000016-A01",
    requested_timeslot=TIMESLOT,
    subject_of_care_info=SubjectOfCareType(first_name="Tolvan", last_name="Tolvansson"),
)
EVERY_WRITE = pytest.mark.parametrize(
    ("contract", "request_"),
    [
        pytest.param(make_booking.CONTRACT, MAKE_REQUEST, id="MakeBooking"),
        pytest.param(
            update_booking.CONTRACT,
            update_booking.Request(requested_timeslot=TIMESLOT),
            id="UpdateBooking",
        ),
        pytest.param(CANCEL, CANCEL_REQUEST, id="CancelBooking"),
    ],
)
CODES = [f"VP{number:03}" for number in range(1, 16)]

NOT_REACHED = "The source could not be reached; nothing was sent."
LATE = "The source did not answer in time."
BROKEN = "The source broke off its answer."
UNKNOWN = "The source was sent a write and gave no answer."
BROKEN_OFF = "the document breaks off"
EMPTY = "the document is empty"
HTML = "the document is a page of HTML"
NOT_XML = "the document is not well-formed XML"


def _ask(
    client: SoapClient,
    contract: Contract[Any, Any] = READ,
    request: object = READ_REQUEST,
    *,
    timeout: float = 5.0,
) -> ContractAnswer:
    return client.call(
        contract, request, logical_address=ADDRESS, actor=RESIDENT, timeout=timeout
    )


def _failure(
    client: SoapClient,
    contract: Contract[Any, Any] = READ,
    request: object = READ_REQUEST,
    *,
    timeout: float = 5.0,
) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        _ask(client, contract, request, timeout=timeout)
    return caught.value


def _reported(error: GatewayError) -> tuple[type[GatewayError], str, str | None, Party]:
    """Return all of an error that others decide by."""
    assert error.source == "norr"
    return type(error), error.message, error.interaction, error.party


def _outcome(error: GatewayError) -> tuple[type[GatewayError], str]:
    return type(error), error.message


@pytest.fixture(name="client")
def _client() -> SoapClient:
    return SoapClient(source=SourceName("norr"), endpoint=ENDPOINT)


@pytest.fixture(name="region")
def _region() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=True) as region:
        yield region


def _answers(
    region: responses.RequestsMock,
    contract: Contract[Any, Any],
    body: bytes | Exception,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> None:
    region.post(
        f"https://region.example.org/{contract.interaction.name}",
        body=body,
        status=status,
        headers=headers,
        content_type="text/xml; charset=UTF-8",
    )


# ----------------------------------------------------------------------- what it sends


def test_request_is_sent_as_recorded(
    client: SoapClient,
    region: responses.RequestsMock,
    recorded: Callable[[str], bytes],
    canonical: Callable[[bytes], str],
) -> None:
    """The posted document is the recorded request."""
    _answers(region, READ, recorded("GetAvailableTimeslots.none.response"))

    answer = _ask(client)

    sent = region.calls[0].request.body
    assert isinstance(sent, bytes)
    assert canonical(sent) == canonical(recorded("GetAvailableTimeslots.whole.request"))
    assert answer == READ_ANSWER


def test_an_agent_says_for_whom_it_acts(
    client: SoapClient,
    region: responses.RequestsMock,
    recorded: Callable[[str], bytes],
) -> None:
    """The call of an employee names the care provider; a resident's does not."""
    _answers(region, READ, recorded("GetAvailableTimeslots.none.response"))
    nurse = Actor.agent(
        HsaId("SE2321000016-1001"), on_behalf_of=HsaId("SE2321000016-0000")
    )

    for actor in (nurse, RESIDENT):
        client.call(
            READ, READ_REQUEST, logical_address=ADDRESS, actor=actor, timeout=5.0
        )

    name = "x-rivta-acting-on-behalf-of-hsaid"
    sent = [call.request.headers.get(name) for call in region.calls]
    assert sent == ["SE2321000016-0000", None]


@pytest.mark.parametrize(
    ("consumer", "named"),
    [
        pytest.param(None, {}, id="without a name"),
        pytest.param(
            HsaId("SE2321000016-X99"),
            {"x-rivta-original-serviceconsumer-hsaid": "SE2321000016-X99"},
            id="by its own name",
        ),
    ],
)
def test_request_is_sent_with_the_platforms_headers(
    consumer: HsaId | None,
    named: dict[str, str],
    region: responses.RequestsMock,
    recorded: Callable[[str], bytes],
) -> None:
    """Each call carries content type, action and a correlation id of its own."""
    _answers(region, READ, recorded("GetAvailableTimeslots.none.response"))
    client = SoapClient(source=SourceName("norr"), endpoint=ENDPOINT, consumer=consumer)

    _ask(client)
    _ask(client)

    sent = [
        {
            name: value
            for name, value in call.request.headers.items()
            if name.lower().startswith(("content-type", "soapaction", "x-"))
        }
        for call in region.calls
    ]
    correlations = {headers.pop("x-skltp-correlation-id") for headers in sent}
    assert (
        sent
        == [
            {
                "Content-Type": "text/xml; charset=UTF-8",
                "SOAPAction": (
                    '"urn:riv:crm:scheduling:GetAvailableTimeslotsResponder:1'
                    ':GetAvailableTimeslots"'
                ),
                **named,
            }
        ]
        * 2
    )
    assert {len(correlation) for correlation in correlations} == {36}
    assert len(correlations) == 2


def test_request_is_sent_to_an_endpoint_without_a_placeholder(
    region: responses.RequestsMock, recorded: Callable[[str], bytes]
) -> None:
    """An endpoint that takes every contract is used as it is."""
    region.post(
        "https://region.example.org/all",
        body=recorded("GetAvailableTimeslots.none.response"),
    )
    client = SoapClient(
        source=SourceName("norr"), endpoint="https://region.example.org/all"
    )

    answer = _ask(client)

    assert answer == READ_ANSWER


def test_request_that_cannot_be_written_is_not_sent(
    client: SoapClient,
    region: responses.RequestsMock,  # noqa: ARG001 - it would refuse any request
) -> None:
    """A text that XML cannot carry is the client's mistake, and nothing is sent."""
    request = cancel_booking.Request(
        healthcare_facility="A", booking_id="B", message=f"{MARKER}\x0b"
    )

    error = _failure(client, CANCEL, request)

    assert _reported(error) == (
        Incorrect,
        "The request cannot be sent: message: has a character that XML cannot carry.",
        "CancelBooking",
        Party.CLIENT,
    )


@pytest.mark.parametrize(
    "timeout", [pytest.param(0.0, id="none"), pytest.param(-1.0, id="less than none")]
)
def test_request_without_time_left_is_not_sent(
    timeout: float,
    client: SoapClient,
    region: responses.RequestsMock,  # noqa: ARG001 - it would refuse any request
) -> None:
    """A call with no time left sends nothing."""
    error = _failure(client, CANCEL, CANCEL_REQUEST, timeout=timeout)

    assert _reported(error) == (
        Unavailable,
        "The source was not asked: no time was left.",
        "CancelBooking",
        Party.REGION,
    )


# --------------------------------------------------------------------- what is answered


@pytest.mark.parametrize(
    ("name", "response"),
    [
        pytest.param(
            "done",
            make_booking.Response(booking_id="B-4711", result_code="OK"),
            id="OK",
        ),
        pytest.param(
            "done-with-remark",
            make_booking.Response(
                booking_id="B-4711", result_code="INFO", result_text="Kom fastande."
            ),
            id="INFO",
        ),
        pytest.param(
            "refused",
            make_booking.Response(
                result_code="ERROR",
                result_text="Tiden har bokats av en annan invånare.",
            ),
            id="ERROR",
        ),
    ],
)
def test_answer_of_a_write_is_returned(
    name: str,
    response: make_booking.Response,
    client: SoapClient,
    region: responses.RequestsMock,
    recorded: Callable[[str], bytes],
) -> None:
    """Every result code under HTTP 200 is an answer."""
    contract = make_booking.CONTRACT
    _answers(region, contract, recorded(f"MakeBooking.{name}.response"))

    assert _ask(client, contract, MAKE_REQUEST) == ContractAnswer(response=response)


NOT_200 = [
    pytest.param(status, id=str(status))
    for status in (
        *(201, 202, 203, 206, 226, 300, 302, 399, 400, 401, 404, 409, 429, 499),
        *(500, 502, 503, 504, 599),
    )
]


@pytest.mark.parametrize("name", ["done", "done-with-remark", "refused"])
@pytest.mark.parametrize("status", NOT_200)
def test_result_of_a_write_is_believed_under_200_alone(
    name: str,
    status: int,
    client: SoapClient,
    region: responses.RequestsMock,
    recorded: Callable[[str], bytes],
) -> None:
    """OK, INFO and ERROR under another status leave the outcome unknown."""
    contract = make_booking.CONTRACT
    _answers(region, contract, recorded(f"MakeBooking.{name}.response"), status=status)

    error = _failure(client, contract, MAKE_REQUEST)

    assert isinstance(error, WriteUnconfirmed)
    assert (_reported(error), error.is_answered, len(region.calls)) == (
        (
            WriteUnconfirmed,
            f"The source answered a write with HTTP status {status}.",
            "MakeBooking",
            Party.REGION,
        ),
        True,
        1,
    )


@pytest.mark.parametrize("name", ["none", "whole"])
@pytest.mark.parametrize("status", NOT_200)
def test_list_is_believed_under_200_alone(
    name: str,
    status: int,
    client: SoapClient,
    region: responses.RequestsMock,
    recorded: Callable[[str], bytes],
) -> None:
    """Free times, or none, under another status are no free times: it was not asked."""
    document = recorded(f"GetAvailableTimeslots.{name}.response")
    _answers(region, READ, document, status=status)

    assert _reported(_failure(client)) == (
        SourceFault,
        f"The source answered with HTTP status {status}.",
        "GetAvailableTimeslots",
        Party.REGION,
    )


@pytest.mark.parametrize("code", [pytest.param(code, id=code) for code in CODES])
def test_platform_fault_on_a_read_is_a_source_fault(
    code: str, client: SoapClient, region: responses.RequestsMock
) -> None:
    """A read that the platform faults says which code, and blames the platform."""
    fault = Fault(code="soap:Server", text=f"{code} [vp] {MARKER}")
    _answers(region, READ, write_fault(fault), status=500)

    error = _failure(client)

    assert isinstance(error, SourceFault)
    assert (_reported(error), error.code) == (
        (
            SourceFault,
            f"The source answered with a technical fault ({code}).",
            "GetAvailableTimeslots",
            Party.PLATFORM,
        ),
        code,
    )


def test_producers_fault_on_a_read_is_a_source_fault(
    client: SoapClient,
    region: responses.RequestsMock,
    recorded: Callable[[str], bytes],
) -> None:
    """A read that the producer faults has no code, and blames the region."""
    _answers(region, READ, recorded("MakeBooking.producer-fault.response"), status=500)

    error = _failure(client)

    assert isinstance(error, SourceFault)
    assert (_reported(error), error.code) == (
        (
            SourceFault,
            "The source answered with a technical fault (its own).",
            "GetAvailableTimeslots",
            Party.REGION,
        ),
        None,
    )


@pytest.mark.parametrize(
    ("status", "reported"),
    [
        pytest.param(200, "a technical fault (VP007)", id="200"),
        pytest.param(202, "HTTP status 202", id="202"),
        pytest.param(302, "HTTP status 302", id="302"),
        pytest.param(400, "a technical fault (VP007)", id="400"),
        pytest.param(404, "a technical fault (VP007)", id="404"),
        pytest.param(500, "a technical fault (VP007)", id="500"),
        pytest.param(503, "a technical fault (VP007)", id="503"),
    ],
)
def test_fault_is_read_under_200_and_every_error(
    status: int, reported: str, client: SoapClient, region: responses.RequestsMock
) -> None:
    """A fault under a status that is neither 200 nor an error is not read."""
    _answers(region, READ, write_fault(Fault(code="", text="VP007 Fel")), status=status)

    error = _failure(client)

    assert (type(error), error.message) == (
        SourceFault,
        f"The source answered with {reported}.",
    )


@EVERY_WRITE
@pytest.mark.parametrize(
    ("text", "reported", "party"),
    [
        *(
            pytest.param(f"{code} [vp] {MARKER}", code, Party.PLATFORM, id=code)
            for code in CODES
        ),
        pytest.param("VP016 [vp] Fel", "VP016", Party.PLATFORM, id="an unknown code"),
        pytest.param("VP0041 Fel", "its own", Party.REGION, id="no code at all"),
        pytest.param("Fel VP004", "its own", Party.REGION, id="a code in the text"),
        pytest.param("", "its own", Party.REGION, id="nothing"),
    ],
)
@pytest.mark.parametrize("status", [200, 500])
def test_no_fault_proves_that_a_write_was_not_done(  # noqa: PLR0917 - pytest hands them in by name
    contract: Contract[Any, Any],
    request_: object,
    text: str,
    reported: str,
    party: Party,
    status: int,
    client: SoapClient,
    region: responses.RequestsMock,
) -> None:
    """A fault may answer the platform's second try, after the first was carried out."""
    fault = Fault(code="soap:Server", text=text)
    _answers(region, contract, write_fault(fault), status=status)

    error = _failure(client, contract, request_)

    assert isinstance(error, FaultedWrite)
    assert (_reported(error), error.fault, error.is_answered) == (
        (
            FaultedWrite,
            f"The source answered a write with a fault ({reported}).",
            contract.interaction.name,
            party,
        ),
        fault,
        True,
    )
    assert len(region.calls) == 1


@pytest.mark.parametrize(
    ("content_type", "declared"),
    [
        pytest.param("text/xml; charset=UTF-8", "utf-16", id="UTF-16 is declared"),
        pytest.param("text/xml;charset=utf-8", "ISO-8859-1", id="another is declared"),
        pytest.param("text/xml", "UTF-8", id="only the declaration says it"),
    ],
)
def test_answer_is_read_in_the_charset_of_its_media_type(
    content_type: str, declared: str, client: SoapClient, region: responses.RequestsMock
) -> None:
    """The charset of the Content-Type wins over the XML declaration (RFC 7303)."""
    response = make_booking.Response(result_code="INFO", result_text="På återseende")
    document = write_response(make_booking.CONTRACT, response).decode()
    region.post(
        "https://region.example.org/MakeBooking",
        body=document.replace("encoding='UTF-8'", f"encoding='{declared}'").encode(),
        content_type=content_type,
    )

    assert _ask(client, make_booking.CONTRACT, MAKE_REQUEST) == ContractAnswer(
        response=response
    )


@pytest.mark.parametrize(
    ("contract", "request_", "actor", "most"),
    [
        pytest.param(
            READ, READ_REQUEST, RESIDENT, PERSONAL.most_elements, id="of a resident"
        ),
        pytest.param(
            READ,
            READ_REQUEST,
            Actor.agent(HsaId("SE2321000016-1A2B")),
            ANSWER.most_elements,
            id="of an agent",
        ),
        pytest.param(
            get_all_time_types.CONTRACT,
            get_all_time_types.Request(healthcare_facility="A", subject_of_care=MARKER),
            Actor.agent(HsaId("SE2321000016-1A2B")),
            LIST.most_elements,
            id="of a list",
        ),
    ],
)
def test_answer_with_too_many_elements_is_refused_unparsed(  # noqa: PLR0917 - pytest hands them in by name
    contract: Contract[Any, Any],
    request_: object,
    actor: Actor,
    most: int,
    client: SoapClient,
    region: responses.RequestsMock,
) -> None:
    """Less is read of what is asked about one resident than of a region's times."""
    _answers(region, contract, b"<a>" + b"<b/>" * most + b"</a>")

    with pytest.raises(MalformedAnswer, match=f"has more than {most} elements"):
        client.call(
            contract, request_, logical_address=ADDRESS, actor=actor, timeout=5.0
        )


UNREADABLE = [
    pytest.param(b"", EMPTY, "Envelope", id="nothing"),
    pytest.param(
        b"<html><body><h1>502 Bad Gateway</h1><hr></body></html>",
        HTML,
        "Envelope",
        id="HTML",
    ),
    pytest.param(
        b"<!DOCTYPE html><html><body>503</body></html>",
        HTML,
        "Envelope",
        id="HTML that is sound XML",
    ),
    pytest.param(
        b"<answer/>",
        "the document is no SOAP 1.1 envelope",
        "Envelope",
        id="another document",
    ),
    pytest.param(
        b'{"error": "no"}',
        NOT_XML,
        "Envelope",
        id="JSON",
    ),
    pytest.param(
        b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body/>'
        b"</s:Envelope>",
        "the envelope has no body",
        "Envelope",
        id="an empty body",
    ),
    pytest.param(
        b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
        b"<Other/></s:Body></s:Envelope>",
        "the body is not the answer to what was asked",
        "Envelope",
        id="another answer",
    ),
]


@pytest.mark.parametrize(("body", "reason", "element"), UNREADABLE)
def test_unreadable_answer_to_a_read_is_malformed(
    body: bytes,
    reason: str,
    element: str,
    client: SoapClient,
    region: responses.RequestsMock,
) -> None:
    """A read that is answered with something else says what was wrong with it."""
    _answers(region, READ, body)

    error = _failure(client)

    assert isinstance(error, MalformedAnswer)
    assert (_reported(error), error.element) == (
        (
            MalformedAnswer,
            f"The source's answer cannot be read: {reason}.",
            "GetAvailableTimeslots",
            Party.REGION,
        ),
        element,
    )


@pytest.mark.parametrize(("body", "reason", "element"), UNREADABLE)
def test_unreadable_answer_leaves_a_write_unconfirmed(
    body: bytes,
    reason: str,
    element: str,  # noqa: ARG001 - a write has no use for it
    client: SoapClient,
    region: responses.RequestsMock,
) -> None:
    """A write that is answered with something else was sent, once."""
    _answers(region, CANCEL, body)

    error = _failure(client, CANCEL, CANCEL_REQUEST)

    assert _reported(error) == (
        WriteUnconfirmed,
        f"The source answered a write unreadably: {reason}.",
        "CancelBooking",
        Party.REGION,
    )
    assert len(region.calls) == 1


@pytest.mark.parametrize("status", [401, 404, 500, 502, 503])
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"<html><body><hr></body></html>", id="HTML"),
        pytest.param(b"<html/>", id="another document"),
        pytest.param(b'<s:Envelope xmlns:s="http://s"/>', id="another envelope"),
    ],
)
def test_error_without_a_fault_is_named_by_its_status(
    status: int, body: bytes, client: SoapClient, region: responses.RequestsMock
) -> None:
    """What a proxy says in the place of the region is named by its status."""
    _answers(region, READ, body, status=status)

    assert _outcome(_failure(client)) == (
        SourceFault,
        f"The source answered with HTTP status {status}.",
    )


def test_answer_that_lacks_an_element_names_it(
    client: SoapClient,
    region: responses.RequestsMock,
    recorded: Callable[[str], bytes],
) -> None:
    """A malformed answer says which element of it."""
    contract = CONTRACTS[scheduling.GET_BOOKING_DETAILS]
    document = recorded("GetBookingDetails.whole.response")
    lacking = re.sub(rb"<core:healthcare_facility>[^<]*<[^<]*>", b"", document)
    _answers(region, contract, lacking)
    request = contract.request(healthcare_facility="A", booking_id="B")

    error = _failure(client, contract, request)

    assert isinstance(error, MalformedAnswer)
    assert error.element == "timeslotDetail/healthcare_facility"
    assert error.message == (
        f"The source's answer cannot be read: {error.element}: is missing."
    )


REDIRECTS = [
    pytest.param("https://elsewhere.example.org/", id="to another host"),
    pytest.param("/CancelBooking", id="to itself"),
    pytest.param("http://[::1", id="to a broken address"),
    pytest.param("gopher://example.org", id="to another scheme"),
    pytest.param("//", id="to nowhere"),
    pytest.param("", id="without an address"),
]


@pytest.mark.parametrize("location", REDIRECTS)
@pytest.mark.parametrize(
    "status", [pytest.param(status, id=str(status)) for status in (301, 302, 307, 308)]
)
def test_redirect_is_not_followed(
    location: str, status: int, client: SoapClient, region: responses.RequestsMock
) -> None:
    """A redirect of a write leaves its outcome unknown, wherever it points."""
    _answers(region, CANCEL, b"", status=status, headers={"Location": location})

    error = _failure(client, CANCEL, CANCEL_REQUEST)

    assert _outcome(error) == (
        WriteUnconfirmed,
        f"The source answered a write with HTTP status {status}.",
    )
    assert len(region.calls) == 1


# ------------------------------------------------------------ what the libraries raise


def _errors_of_requests() -> list[type[Exception]]:
    return sorted(
        {
            kind
            for kind in vars(requests.exceptions).values()
            if isinstance(kind, type)
            and issubclass(kind, requests.exceptions.RequestException)
        },
        key=lambda kind: kind.__name__,
    )


def _raised(kind: type[Exception]) -> Exception:
    if issubclass(kind, requests.exceptions.JSONDecodeError):
        return kind(MARKER, MARKER, 0)
    return kind(f"text with {MARKER}")


NEVER_SENT = {
    requests.exceptions.ConnectTimeout,
    requests.exceptions.InvalidProxyURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
}


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, id=kind.__name__) for kind in _errors_of_requests()]
)
def test_every_error_of_requests_is_translated_for_a_read(
    kind: type[Exception], client: SoapClient, region: responses.RequestsMock
) -> None:
    """A read could not be asked, with any error that `requests` raises."""
    _answers(region, READ, _raised(kind))

    error = _failure(client)

    expected = BROKEN
    if kind in NEVER_SENT:
        expected = NOT_REACHED
    elif issubclass(kind, requests.exceptions.Timeout):
        expected = LATE
    assert _reported(error) == (
        Unavailable,
        expected,
        "GetAvailableTimeslots",
        Party.REGION,
    )


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, id=kind.__name__) for kind in _errors_of_requests()]
)
def test_every_error_of_requests_is_translated_for_a_write(
    kind: type[Exception], client: SoapClient, region: responses.RequestsMock
) -> None:
    """Only what is raised before anything is sent makes a write undone for certain."""
    _answers(region, CANCEL, _raised(kind))

    error = _failure(client, CANCEL, CANCEL_REQUEST)

    assert _outcome(error) == (
        (Unavailable, NOT_REACHED)
        if kind in NEVER_SENT
        else (WriteUnconfirmed, UNKNOWN)
    )
    assert len(region.calls) == 1


@pytest.mark.parametrize(
    "raised",
    [
        pytest.param(urllib3.exceptions.HTTPError(MARKER), id="urllib3's own"),
        pytest.param(urllib3.exceptions.ProtocolError(MARKER), id="a broken protocol"),
        pytest.param(urllib3.exceptions.InvalidHeader(MARKER), id="an invalid header"),
        pytest.param(ConnectionResetError(MARKER), id="a reset"),
        pytest.param(BrokenPipeError(MARKER), id="a broken pipe"),
        pytest.param(TimeoutError(MARKER), id="a timeout"),
        pytest.param(ssl.SSLError(MARKER), id="a broken TLS session"),
        pytest.param(ValueError(MARKER), id="a negative chunk"),
        pytest.param(
            requests.exceptions.SSLError(ssl.SSLCertVerificationError(MARKER)),
            id="a certificate that fails late",
        ),
    ],
)
def test_error_that_slips_through_requests_is_translated(
    raised: Exception, client: SoapClient, region: responses.RequestsMock
) -> None:
    """What `requests` does not wrap leaves a write unconfirmed as well."""
    _answers(region, CANCEL, raised)

    assert _outcome(_failure(client, CANCEL, CANCEL_REQUEST)) == (
        WriteUnconfirmed,
        UNKNOWN,
    )


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, id=kind.__name__) for kind in _errors_of_requests()]
)
def test_error_never_repeats_what_the_library_said(
    kind: type[Exception], client: SoapClient, region: responses.RequestsMock
) -> None:
    """The texts of libraries can quote an answer: only their kinds are kept."""
    _answers(region, CANCEL, _raised(kind))

    error = _failure(client, CANCEL, CANCEL_REQUEST)

    shown = "".join(traceback.format_exception(error))
    assert MARKER not in f"{error!s} {error!r} {shown}"
    assert kind.__name__ in shown


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(
            write_fault(Fault(code=f"c-{MARKER}", text=f"VP009 {MARKER}")),
            id="a platform's fault",
        ),
        pytest.param(
            write_fault(Fault(code=f"c-{MARKER}", text=f"Fel {MARKER}")),
            id="a producer's fault",
        ),
        pytest.param(f"<a{MARKER}></b>".encode(), id="broken XML"),
        pytest.param(f"<a{MARKER}/>".encode(), id="another document"),
        pytest.param(
            write_response(
                CANCEL, cancel_booking.Response(result_code="OK", result_text=MARKER)
            ).replace(b"resultCode", b"x"),
            id="an answer that lacks an element",
        ),
    ],
)
@pytest.mark.parametrize(
    ("contract", "request_"),
    [
        pytest.param(READ, READ_REQUEST, id="read"),
        pytest.param(CANCEL, CANCEL_REQUEST, id="write"),
    ],
)
def test_error_never_repeats_what_the_source_said(  # noqa: PLR0917 - pytest hands them in by name
    document: bytes,
    contract: Contract[Any, Any],
    request_: object,
    client: SoapClient,
    region: responses.RequestsMock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither an error, its traceback nor a log line holds a word of the answer."""
    caplog.set_level("DEBUG")
    _answers(region, contract, document, status=500)

    error = _failure(client, contract, request_)

    shown = "".join(traceback.format_exception(error))
    assert MARKER not in f"{error!s} {error!r} {shown} {caplog.text}"


# ------------------------------------------------------------------- real sockets


class Producer:
    """
    A server on loopback that runs a script for each connection.

    Attributes:
        received: The requests that have arrived whole.
        connections: How many have been accepted.
        is_over: Set when the test has ended, for those who wait.
    """

    def __init__(
        self,
        behave: Callable[["Producer", socket.socket], None],
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.received: list[bytes] = []
        self.connections = 0
        self.is_over = threading.Event()
        self._behave = behave
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self._connection: socket.socket | None = None

    @property
    def port(self) -> int:
        """Return where it listens."""
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.is_over.set()
        for one in (self._listener, self._connection):
            if one is not None:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def _serve(self) -> None:
        while not self.is_over.is_set():
            try:
                connection = self._listener.accept()[0]
            except OSError:
                return
            self.connections += 1
            connection.settimeout(10)
            self._connection = connection
            with suppress(OSError), connection:
                if self._context:
                    with self._context.wrap_socket(
                        connection, server_side=True
                    ) as secured:
                        self._behave(self, secured)
                else:
                    self._behave(self, connection)

    def read(self, connection: socket.socket) -> bool:
        """Receive one request; False when the other end has closed."""
        request = b""
        while b"</soapenv:Envelope>" not in request:
            part = connection.recv(65_536)
            if not part:
                return False
            request += part
        self.received.append(request)
        return True

    def drip(self, connection: socket.socket, part: bytes) -> None:
        """Send a part over and over, a little at a time, until the test is over."""
        while not self.is_over.is_set():
            for position in range(len(part)):
                connection.sendall(part[position : position + 1])
                if self.is_over.wait(0.02):
                    return


Behaviour = Callable[[Producer, socket.socket], None]


def _sends(answer: bytes) -> Behaviour:
    def behave(producer: Producer, connection: socket.socket) -> None:
        while producer.read(connection):
            connection.sendall(answer)
            if b"\r\nContent-Length:" not in answer:
                return

    return behave


def _sends_and_closes(answer: bytes) -> Behaviour:
    def behave(producer: Producer, connection: socket.socket) -> None:
        producer.read(connection)
        connection.sendall(answer)

    return behave


def _resets(*, after_reading: bool = True, answer: bytes = b"") -> Behaviour:
    def behave(producer: Producer, connection: socket.socket) -> None:
        if after_reading:
            producer.read(connection)
        else:
            connection.recv(1)
        connection.sendall(answer)
        connection.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )

    return behave


def _hangs(answer: bytes = b"") -> Behaviour:
    def behave(producer: Producer, connection: socket.socket) -> None:
        producer.read(connection)
        connection.sendall(answer)
        producer.is_over.wait(10)

    return behave


def _drips(start: bytes, part: bytes) -> Behaviour:
    def behave(producer: Producer, connection: socket.socket) -> None:
        producer.read(connection)
        connection.sendall(start)
        producer.drip(connection, part)

    return behave


def _floods(part: bytes) -> Behaviour:
    def behave(producer: Producer, connection: socket.socket) -> None:
        producer.read(connection)
        while not producer.is_over.is_set():
            connection.sendall(part * 1000)

    return behave


def _http(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: text/xml\r\n{headers}"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


DONE = write_response(CANCEL, cancel_booking.Response(result_code="OK"))
FREE = write_response(READ, get_available_timeslots.Response())
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n"

Connect = Callable[..., SoapClient]


@pytest.fixture(name="connect")
def _connect() -> Connect:
    """Return a maker of clients of a port on loopback."""

    def connect(
        port: int, scheme: str = "http", credentials: Credentials | None = None
    ) -> SoapClient:
        return SoapClient(
            source=SourceName("norr"),
            endpoint=f"{scheme}://127.0.0.1:{port}/",
            transport=Transport(credentials),
        )

    return connect


def test_call_over_a_socket_is_answered(connect: Connect) -> None:
    """The server of these tests speaks as a producer does."""
    with Producer(_sends(_http(DONE))) as producer:
        answer = _ask(connect(producer.port), CANCEL, CANCEL_REQUEST)

        assert answer == CANCEL_ANSWER
        assert len(producer.received) == 1
        assert producer.received[0].startswith(b"POST / HTTP/1.1\r\n")


def test_each_question_has_a_connection_of_its_own(connect: Connect) -> None:
    """No connection carries two questions, so no answer can be another question's."""
    with Producer(_sends(_http(FREE))) as producer:
        client = connect(producer.port)

        answers = [_ask(client) for _ in range(3)]

        assert answers == [READ_ANSWER] * 3
        assert (producer.connections, len(producer.received)) == (3, 3)


def test_server_learns_that_its_connection_will_close(connect: Connect) -> None:
    """A request says that nothing follows it, so that nobody waits for more."""
    with Producer(_sends(_http(DONE))) as producer:
        _ask(connect(producer.port), CANCEL, CANCEL_REQUEST)

        assert b"\r\nconnection: close\r\n" in producer.received[0].lower()


@pytest.mark.parametrize(
    "cookie",
    [
        pytest.param("Set-Cookie: s=1", id="of a session"),
        pytest.param("Set-Cookie: s=1; Max-Age=86400; Path=/", id="of a day"),
        pytest.param("Set-Cookie: s=1; Domain=127.0.0.1", id="of a domain"),
        pytest.param("Set-Cookie2: s=1; Version=1", id="of RFC 2965"),
    ],
)
def test_no_cookie_comes_back(cookie: str, connect: Connect) -> None:
    """What a region sets at one resident's call is in no other call."""
    with Producer(_sends(_http(FREE, headers=f"{cookie}\r\n"))) as producer:
        client = connect(producer.port)

        for _ in range(2):
            assert _ask(client) == READ_ANSWER

        assert [b"cookie" in each.lower() for each in producer.received] == [False] * 2


def test_nothing_of_an_answer_shapes_the_next_question(connect: Connect) -> None:
    """Validators, other services and calls for TLS or credentials are not kept."""
    headers = (
        'ETag: "1"\r\nLast-Modified: Thu, 01 Oct 2026 06:00:00 GMT\r\n'
        'Cache-Control: max-age=3600\r\nAlt-Svc: h2=":443"\r\n'
        "Strict-Transport-Security: max-age=3600\r\nRefresh: 0; url=/other\r\n"
        'WWW-Authenticate: Basic realm="r"\r\nLink: </other>; rel=preload\r\n'
    )
    with Producer(_sends(_http(FREE, headers=headers))) as producer:
        client = connect(producer.port)

        for _ in range(2):
            assert _ask(client) == READ_ANSWER

        first, second = (
            re.sub(rb"(?i)correlation-id: \S+", b"", each) for each in producer.received
        )
        assert first == second


def test_environment_is_not_consulted(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither a proxy nor a .netrc of the environment touches a call."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    with Producer(_sends(_http(DONE))) as producer:
        answer = _ask(connect(producer.port), CANCEL, CANCEL_REQUEST)

        assert answer == CANCEL_ANSWER
        assert b"authorization" not in producer.received[0].lower()


# --------------------------------------------------------------- never connected


@pytest.mark.parametrize(
    "scheme", [pytest.param("http", id="HTTP"), pytest.param("https", id="HTTPS")]
)
def test_refused_connection_means_nothing_was_sent(
    scheme: str, connect: Connect
) -> None:
    """Where nobody listens, a read and a write alike were never sent."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    client = connect(port, scheme)

    errors = [_failure(client), _failure(client, CANCEL, CANCEL_REQUEST)]

    assert [_outcome(error) for error in errors] == [(Unavailable, NOT_REACHED)] * 2


def test_connection_that_is_never_accepted_means_nothing_was_sent(
    connect: Connect,
) -> None:
    """A host that swallows connections is given up before anything is sent."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)  # noqa: FBT003 - the signature is socket's
            one.connect_ex(listener.getsockname())

        error = _failure(
            connect(listener.getsockname()[1]), CANCEL, CANCEL_REQUEST, timeout=0.3
        )

        for one in waiting:
            one.close()
    assert _outcome(error) == (Unavailable, NOT_REACHED)


_CONNECTING = """
import sys
from fhir_gateway.rivta.client import SoapClient
from rivta.test_client import CANCEL, CANCEL_REQUEST, _failure

client = SoapClient(source="norr", endpoint=sys.argv[1])
print(_failure(client, CANCEL, CANCEL_REQUEST, timeout=0.7).message, flush=True)
"""


def test_process_that_stood_still_while_it_connected_sends_nothing() -> None:
    """When it wakes, its caller has long given up the write."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            connecting = subprocess.Popen(
                [sys.executable, "-c", _CONNECTING, f"http://127.0.0.1:{port}/"],
                stdout=subprocess.PIPE,
                env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
                text=True,
            )
            _wait(lambda: _state_of_connections_to(port)["SYN_SENT"] == 1)
            connecting.send_signal(signal.SIGSTOP)
            stopped_at = time.monotonic()
            listener.accept()[0].close()
            accepted, _ = listener.accept()
            _wait(lambda: time.monotonic() - stopped_at > 2.5)
            connecting.send_signal(signal.SIGCONT)
            reported, _ = connecting.communicate(timeout=30)
            with accepted:
                sent = accepted.recv(1)

    assert reported == f"{NOT_REACHED}\n"
    assert sent == b""


def _state_of_connections_to(port: int) -> Counter[str]:
    """Return how many connections of this machine to a port are in each state."""
    lines = Path("/proc/net/tcp").read_text(encoding="utf-8").splitlines()[1:]
    return Counter(
        {"01": "ESTABLISHED", "02": "SYN_SENT"}.get(fields[3], "other")
        for fields in map(str.split, lines)
        if fields[2].endswith(f":{port:04X}")
    )


def _wait(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        threading.Event().wait(0.005)


@pytest.mark.parametrize(
    "endpoint",
    [
        pytest.param("region.example.org/soap", id="no scheme"),
        pytest.param("ftp://region.example.org/soap", id="another scheme"),
        pytest.param("http://[::1/soap", id="a broken host"),
        pytest.param("http:///soap", id="no host"),
        pytest.param("http://127.0.0.1:99999/soap", id="an impossible port"),
        pytest.param("http://does-not-exist.invalid/soap", id="an unknown host"),
    ],
)
def test_impossible_endpoint_means_nothing_was_sent(endpoint: str) -> None:
    """An endpoint that cannot be connected to has received nothing."""
    client = SoapClient(source=SourceName("norr"), endpoint=endpoint)

    error = _failure(client, CANCEL, CANCEL_REQUEST)

    assert _outcome(error) == (Unavailable, NOT_REACHED)


# ------------------------------------------------------- connected, then something else


NEGATIVE_CHUNK = HEAD + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nabc"
BREAKS_OFF = [
    pytest.param(_resets(), id="reset after reading"),
    pytest.param(_resets(after_reading=False), id="reset while reading"),
    pytest.param(
        _resets(answer=_http(DONE)[:-20]),
        id="reset within the answer",
    ),
    pytest.param(_sends_and_closes(b""), id="closed without an answer"),
    pytest.param(_sends_and_closes(b"HTTP/1.1 2"), id="closed within the status"),
    pytest.param(_sends_and_closes(_http(DONE)[:-1]), id="closed one byte too early"),
    pytest.param(_sends_and_closes(MARKER.encode() + b"\r\n"), id="no HTTP"),
    pytest.param(
        _sends_and_closes(b"HTTP/1.1 abc OK\r\n\r\n"), id="a status that is no number"
    ),
    pytest.param(_sends_and_closes(NEGATIVE_CHUNK), id="a chunk of negative length"),
    pytest.param(
        _sends_and_closes(
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + MARKER.encode() + b"<x>\r\n"
        ),
        id="a body that is not in the chunks it promised",
    ),
    pytest.param(
        _sends_and_closes(_http(b"no gzip", headers="Content-Encoding: gzip\r\n")),
        id="a body that is not in the encoding it promised",
    ),
    pytest.param(
        _sends_and_closes(
            _http(gzip.compress(DONE) + b"x", headers="Content-Encoding: gzip\r\n")
        ),
        id="a byte behind the end of a gzip body",
    ),
    pytest.param(
        _sends_and_closes(
            _http(gzip.compress(DONE)[:-8], headers="Content-Encoding: gzip\r\n")
        ),
        id="a gzip body without its checksum",
    ),
    pytest.param(
        _sends_and_closes(
            _http(zlib.compress(DONE) + DONE, headers="Content-Encoding: deflate\r\n")
        ),
        id="an answer behind the end of a deflate body",
    ),
    pytest.param(
        _sends_and_closes(
            _http(b"x", headers="Content-Encoding: " + "gzip," * 50 + "gzip\r\n")
        ),
        id="a body of fifty encodings",
    ),
    pytest.param(
        _sends_and_closes(HEAD + b"X: y\r\n" * 200 + b"\r\n"), id="too many headers"
    ),
    pytest.param(
        _sends_and_closes(HEAD + b"X: " + b"y" * 70_000 + b"\r\n\r\n"),
        id="a header that is too long",
    ),
    pytest.param(
        _sends_and_closes(HEAD + (b"X: " + b"y" * 4_000 + b"\r\n") * 50 + b"\r\n"),
        id="headers that are too long together",
    ),
    pytest.param(_floods(b"HTTP/1.1 100 Continue\r\n\r\n"), id="a flood of promises"),
    pytest.param(_floods(b"HTTP/1.1 103 Early Hints\r\n\r\n"), id="a flood of hints"),
    pytest.param(
        _sends_and_closes(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n" + _http(DONE)
        ),
        id="another protocol",
    ),
    pytest.param(
        _sends_and_closes(b"HTTP/1.1 103 Early Hints\r\n\r\n"), id="hints alone"
    ),
    pytest.param(
        _sends_and_closes(_http(DONE, headers="Content-Length: 7\r\n")),
        id="two lengths",
    ),
    pytest.param(
        _sends_and_closes(
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"x" * 40_000_000
        ),
        id="an endless end",
    ),
]


@pytest.mark.parametrize("behaviour", BREAKS_OFF)
def test_read_that_is_broken_off_could_not_be_asked(
    behaviour: Behaviour, connect: Connect
) -> None:
    """A read with an answer that breaks off is unavailable, and quotes nothing."""
    with Producer(behaviour) as producer:
        error = _failure(connect(producer.port))

    assert _outcome(error) == (Unavailable, BROKEN)
    assert MARKER not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize("behaviour", BREAKS_OFF)
def test_write_that_is_broken_off_is_unconfirmed(
    behaviour: Behaviour, connect: Connect
) -> None:
    """After a broken answer a write may have been done, and is not sent again."""
    with Producer(behaviour) as producer:
        error = _failure(connect(producer.port), CANCEL, CANCEL_REQUEST)

        assert _outcome(error) == (WriteUnconfirmed, UNKNOWN)
        assert len(producer.received) <= 1
        assert producer.connections == 1
    assert MARKER not in "".join(traceback.format_exception(error))


def test_write_after_a_refused_one_is_judged_by_itself(connect: Connect) -> None:
    """An earlier call that never connected says nothing of one that did."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    earlier = _failure(connect(port), CANCEL, CANCEL_REQUEST)
    with Producer(_sends_and_closes(b"")) as producer:
        try:
            raise earlier
        except Unavailable:
            # Raised in the course of the first, so Python chains them.
            error = _failure(connect(producer.port), CANCEL, CANCEL_REQUEST)

    assert _outcome(error) == (WriteUnconfirmed, UNKNOWN)


ENDLESS = [
    pytest.param(_hangs(), id="silence"),
    pytest.param(_hangs(HEAD), id="silence within the headers"),
    pytest.param(_hangs(_http(DONE)[:-1]), id="silence before the last byte"),
    pytest.param(_drips(b"", b"HTTP/1.1 200 OK"), id="a dripping status"),
    pytest.param(_drips(HEAD, b"X-Y: z\r\n"), id="dripping headers"),
    pytest.param(_drips(HEAD + b"X: ", b"y"), id="a dripping header"),
    pytest.param(_drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), id="dripping promises"),
    pytest.param(
        _drips(HEAD + b"Content-Length: 10000\r\n\r\n", b"x"), id="a dripping body"
    ),
    pytest.param(_drips(HEAD + b"\r\n", b"x"), id="a dripping body without length"),
    pytest.param(
        _drips(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        id="dripping chunks",
    ),
    pytest.param(
        _drips(
            HEAD + b"Content-Encoding: gzip\r\nContent-Length: 10000\r\n\r\n",
            gzip.compress(b"x"),
        ),
        id="a dripping compressed body",
    ),
]


@pytest.mark.parametrize("behaviour", ENDLESS)
def test_read_ends_at_its_deadline(behaviour: Behaviour, connect: Connect) -> None:
    """However slowly an answer comes, a read takes no longer than it may."""
    with Producer(behaviour) as producer:
        client = connect(producer.port)
        began_at = time.monotonic()

        error = _failure(client, timeout=0.4)

        took = time.monotonic() - began_at
    assert _outcome(error) == (Unavailable, LATE)
    assert 0.3 < took < 3


@pytest.mark.parametrize("behaviour", ENDLESS)
def test_write_ends_at_its_deadline(behaviour: Behaviour, connect: Connect) -> None:
    """However slowly an answer comes, a write ends in time, unconfirmed, sent once."""
    with Producer(behaviour) as producer:
        client = connect(producer.port)
        began_at = time.monotonic()

        error = _failure(client, CANCEL, CANCEL_REQUEST, timeout=0.4)

        took = time.monotonic() - began_at
        assert (producer.connections, len(producer.received)) == (1, 1)
    assert _outcome(error) == (WriteUnconfirmed, UNKNOWN)
    assert 0.3 < took < 3


def test_slow_answer_within_its_deadline_is_read(connect: Connect) -> None:
    """An answer that comes in pieces is read when the last of them is in time."""

    def behave(producer: Producer, connection: socket.socket) -> None:
        producer.read(connection)
        answer = _http(DONE)
        for start in range(0, len(answer), 64):
            connection.sendall(answer[start : start + 64])
            producer.is_over.wait(0.005)

    with Producer(behave) as producer:
        answer = _ask(connect(producer.port), CANCEL, CANCEL_REQUEST, timeout=5)

    assert answer == CANCEL_ANSWER


# ------------------------------------------------------------------------ the answer


TOO_LARGE = f"the document is larger than {PERSONAL.most_bytes} bytes"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(_http(b""), EMPTY, id="an empty 200"),
        pytest.param(_http(DONE[:-30]), BROKEN_OFF, id="truncated XML"),
        pytest.param(HEAD, EMPTY, id="cut off within the headers"),
        pytest.param(
            HEAD + b"\r\n" + DONE[:-30], BROKEN_OFF, id="cut off without length"
        ),
        pytest.param(
            _http(b" " * (PERSONAL.most_bytes + 1)), TOO_LARGE, id="too large"
        ),
    ],
)
def test_unreadable_answer_differs_from_a_broken_one(
    answer: bytes, reason: str, connect: Connect
) -> None:
    """An answer that came whole and makes no sense is malformed, or unconfirmed."""
    with Producer(_sends_and_closes(answer)) as producer:
        client = connect(producer.port)

        errors = [_failure(client), _failure(client, CANCEL, CANCEL_REQUEST)]

        assert len(producer.received) == 2
    assert [_outcome(error) for error in errors] == [
        (MalformedAnswer, f"The source's answer cannot be read: {reason}."),
        (WriteUnconfirmed, f"The source answered a write unreadably: {reason}."),
    ]


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        pytest.param(_http(b"", "204 No Content"), 204, id="204"),
        pytest.param(
            b"HTTP/1.1 204 No Content\r\n\r\n" + DONE, 204, id="204 with an answer"
        ),
        pytest.param(
            b"HTTP/1.1 304 Not Modified\r\n\r\n" + DONE, 304, id="304 with an answer"
        ),
        pytest.param(_http(b"<html><hr></html>", "502 X"), 502, id="HTML 502"),
        pytest.param(
            _http(b"", "302 Found", "Location: http://[::1\r\n"), 302, id="redirect"
        ),
        pytest.param(
            _http(b" " * (PERSONAL.most_bytes + 1), "302 Found", "Location: /x\r\n"),
            302,
            id="a redirect that is too large",
        ),
        pytest.param(
            _http(b" " * (PERSONAL.most_bytes + 1), "500 X"), 500, id="too large"
        ),
    ],
)
def test_answer_under_another_status_is_named_by_it(
    answer: bytes, status: int, connect: Connect
) -> None:
    """An answer under another status than 200 is none, with any body."""
    with Producer(_sends_and_closes(answer)) as producer:
        client = connect(producer.port)

        errors = [_failure(client), _failure(client, CANCEL, CANCEL_REQUEST)]

        assert len(producer.received) == 2
    assert [_outcome(error) for error in errors] == [
        (SourceFault, f"The source answered with HTTP status {status}."),
        (
            WriteUnconfirmed,
            f"The source answered a write with HTTP status {status}.",
        ),
    ]


def test_endless_answer_is_cut_off(connect: Connect) -> None:
    """An answer without an end is given up when it is larger than any message."""

    def behave(producer: Producer, connection: socket.socket) -> None:
        producer.read(connection)
        connection.sendall(HEAD + b"\r\n")
        while not producer.is_over.is_set():
            connection.sendall(b" " * 1_000_000)

    with Producer(behave) as producer:
        error = _failure(connect(producer.port), timeout=20)

    assert _outcome(error) == (
        MalformedAnswer,
        f"The source's answer cannot be read: {TOO_LARGE}.",
    )


def test_gzip_bomb_is_cut_off(connect: Connect) -> None:
    """A gigabyte that arrives as a megabyte is given up without being unpacked."""
    bomb = gzip.compress(b" " * 1_000_000) * 1_000

    with Producer(
        _sends_and_closes(_http(bomb, headers="Content-Encoding: gzip\r\n"))
    ) as producer:
        client = connect(producer.port)
        tracemalloc.start()
        error = _failure(client, timeout=20)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

    assert _outcome(error) == (
        MalformedAnswer,
        f"The source's answer cannot be read: {TOO_LARGE}.",
    )
    assert peak < 200_000_000


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(
            _http(gzip.compress(DONE), headers="Content-Encoding: gzip\r\n"),
            id="compressed",
        ),
        pytest.param(
            _http(
                gzip.compress(DONE[:99]) + gzip.compress(DONE[99:]),
                headers="Content-Encoding: gzip\r\n",
            ),
            id="compressed, in two members",
        ),
        pytest.param(
            HEAD
            + b"Transfer-Encoding: chunked\r\n\r\n"
            + f"{len(DONE):x}\r\n".encode()
            + DONE
            + b"\r\n0\r\n\r\n",
            id="in chunks",
        ),
        pytest.param(HEAD + b"\r\n" + DONE, id="without length"),
        pytest.param(
            b"HTTP/1.1 100 Continue\r\n\r\n" + _http(DONE), id="after a promise"
        ),
        pytest.param(
            _http(DONE, headers="Set-Cookie: a=b; Expires=never\r\n"),
            id="with a cookie",
        ),
        pytest.param(
            b"HTTP/1.1 102 Processing\r\n\r\n" * 3
            + b"HTTP/1.1 100 Continue\r\n\r\n"
            + b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n"
            + b"HTTP/1.1 199 X\r\nContent-Length: 9\r\nConnection: close\r\n\r\n"
            + _http(DONE),
            id="after every interim answer",
        ),
        pytest.param(_http(DONE) + _http(FREE), id="before another answer"),
        pytest.param(_http(DONE) + b"\x00" * 100_000, id="before other bytes"),
        pytest.param(
            _http(DONE).replace(b"HTTP/1.1", b"HTTP/1.0"), id="by the older HTTP"
        ),
    ],
)
def test_sound_answer_is_read_however_it_is_carried(
    answer: bytes, connect: Connect
) -> None:
    """The ways of HTTP make no difference to what is read."""
    with Producer(_sends_and_closes(answer)) as producer:
        assert _ask(connect(producer.port), CANCEL, CANCEL_REQUEST) == CANCEL_ANSWER


# ------------------------------------------------------------------------------- TLS


@pytest.fixture(name="certificates", scope="module")
def _certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the paths of some certificates, and of what is none."""
    folder = tmp_path_factory.mktemp("certificates")
    nonsense = folder / "nonsense.pem"
    nonsense.write_text("no certificate")
    return {
        "ours": str(write_server_certificate(folder, "ours", "127.0.0.1")),
        "theirs": str(write_server_certificate(folder, "theirs", "127.0.0.1")),
        "other-host": str(write_server_certificate(folder, "other-host", "127.0.0.9")),
        "nonsense": str(nonsense),
        "missing": str(folder / "missing.pem"),
    }


def _secured(certificate: str, trusted_client: str | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if trusted_client:
        context.load_verify_locations(trusted_client)
        context.verify_mode = ssl.CERT_REQUIRED
        # In TLS 1.3 a client learns too late that its certificate is refused.
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def test_mutual_tls_is_spoken(connect: Connect, certificates: dict[str, str]) -> None:
    """Our certificate is shown, and theirs is checked against what we trust."""
    context = _secured(certificates["theirs"], certificates["ours"])
    credentials = Credentials(
        certificate=certificates["ours"], trust=certificates["theirs"]
    )
    with Producer(_sends(_http(DONE)), context) as producer:
        client = connect(producer.port, "https", credentials)

        assert _ask(client, CANCEL, CANCEL_REQUEST) == CANCEL_ANSWER


@pytest.mark.parametrize(
    ("server", "certificate", "trust"),
    [
        pytest.param("theirs", None, None, id="a certificate of no authority"),
        pytest.param("theirs", None, "ours", id="a certificate we do not trust"),
        pytest.param("other-host", None, "other-host", id="another host's certificate"),
        pytest.param("theirs", None, "missing", id="trust in a file that is missing"),
        pytest.param("theirs", None, "nonsense", id="trust in nonsense"),
        pytest.param("theirs", "missing", "theirs", id="our certificate is missing"),
        pytest.param("theirs", "nonsense", "theirs", id="our certificate is nonsense"),
    ],
)
def test_tls_session_that_we_refuse_means_nothing_was_sent(
    server: str,
    certificate: str | None,
    trust: str | None,
    connect: Connect,
    certificates: dict[str, str],
) -> None:
    """What fails before or within the handshake has sent no write, and no read."""
    credentials = Credentials(
        certificate=certificates[certificate] if certificate else None,
        trust=certificates[trust] if trust else None,
    )
    with Producer(_sends(_http(DONE)), _secured(certificates[server])) as producer:
        client = connect(producer.port, "https", credentials)

        errors = [_failure(client), _failure(client, CANCEL, CANCEL_REQUEST)]

        assert producer.received == []
    assert [_outcome(error) for error in errors] == [(Unavailable, NOT_REACHED)] * 2


def test_tls_session_that_they_refuse_means_nothing_was_sent(
    connect: Connect, certificates: dict[str, str]
) -> None:
    """A producer that refuses our certificate in the handshake has received nothing."""
    context = _secured(certificates["theirs"], certificates["other-host"])
    credentials = Credentials(
        certificate=certificates["ours"], trust=certificates["theirs"]
    )
    with Producer(_sends(_http(DONE)), context) as producer:
        client = connect(producer.port, "https", credentials)

        error = _failure(client, CANCEL, CANCEL_REQUEST)

        assert producer.received == []
    assert _outcome(error) == (Unavailable, NOT_REACHED)


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(
            lambda _, connection: connection.sendall(_http(DONE)), id="plain HTTP"
        ),
        pytest.param(lambda _, connection: connection.recv(10), id="closed at hello"),
        pytest.param(
            lambda producer, _: producer.is_over.wait(10) and None, id="silence"
        ),
    ],
)
def test_tls_session_that_never_begins_means_nothing_was_sent(
    behaviour: Behaviour, connect: Connect
) -> None:
    """A port that speaks no TLS has received no write, and is given up in time."""
    with Producer(behaviour) as producer:
        client = connect(producer.port, "https")
        began_at = time.monotonic()

        error = _failure(client, CANCEL, CANCEL_REQUEST, timeout=0.4)

        took = time.monotonic() - began_at
    assert _outcome(error) == (Unavailable, NOT_REACHED)
    assert took < 3


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(_resets(), id="a reset"),
        pytest.param(_sends_and_closes(b""), id="no answer"),
        pytest.param(_hangs(), id="silence"),
        pytest.param(_drips(HEAD, b"X-Y: z\r\n"), id="dripping headers"),
        pytest.param(
            _drips(HEAD + b"Content-Length: 10000\r\n\r\n", b"x"), id="a dripping body"
        ),
    ],
)
def test_write_over_tls_that_gets_no_answer_is_unconfirmed(
    behaviour: Behaviour, connect: Connect, certificates: dict[str, str]
) -> None:
    """After the handshake a write may have been done, and the deadline holds."""
    credentials = Credentials(trust=certificates["theirs"])
    with Producer(behaviour, _secured(certificates["theirs"])) as producer:
        client = connect(producer.port, "https", credentials)
        began_at = time.monotonic()

        error = _failure(client, CANCEL, CANCEL_REQUEST, timeout=1.0)

        took = time.monotonic() - began_at
        assert (producer.connections, len(producer.received)) == (1, 1)
    assert _outcome(error) == (WriteUnconfirmed, UNKNOWN)
    assert took < 4


def test_failed_handshake_says_why_to_who_reads_the_log(
    connect: Connect, certificates: dict[str, str]
) -> None:
    """The kind of each cause stands in the traceback, in constants alone."""
    context = _secured(certificates["theirs"])
    with Producer(_sends(_http(DONE)), context) as producer:
        error = _failure(connect(producer.port, "https"))

    assert error.__notes__ == [
        (
            "ConnectionError: MaxRetryError: NewConnectionError:"
            " SSLCertVerificationError CERTIFICATE_VERIFY_FAILED"
        )
    ]


def test_writes_are_what_the_model_says() -> None:
    """The writes of this file are all of them."""
    assert {
        make_booking.CONTRACT.interaction,
        update_booking.CONTRACT.interaction,
        cancel_booking.CONTRACT.interaction,
    } == scheduling.WRITES
