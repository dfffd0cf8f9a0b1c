"""
Requests with a body that broke off: nothing of them is done (RFC 9112, 8).
"""

import json
import socket
import struct
from collections.abc import Iterator
from typing import Any, Final

import pytest
import requests
from web.bodies import FHIR_JSON, JSON_PATCH, PERSONNUMMER, appointment

from .served import Served, serving

pytestmark = pytest.mark.flow

_FORM: Final = "application/x-www-form-urlencoded"
_SAYS: Final = (
    "The body broke off, or its chunks cannot be read. Nothing was done: send the"
    " request again, whole."
)


@pytest.fixture(name="served", scope="module")
def _served() -> Iterator[Served]:
    with serving() as served:
        yield served


@pytest.fixture(name="booked", scope="module")
def _booked(served: Served) -> dict[str, Any]:
    response = requests.post(
        f"{served.base}/Appointment",
        json=appointment(served.slot_ids()[-1], "197501019801"),
        headers={"Content-Type": FHIR_JSON},
        timeout=20,
    )
    assert response.status_code == 201
    answer: dict[str, Any] = response.json()
    return answer


def _by_length(body: bytes) -> tuple[bytes, bytes]:
    return b"Content-Length: %d" % (len(body) + 50), body


def _without_last_chunk(body: bytes) -> tuple[bytes, bytes]:
    sent = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    return b"Transfer-Encoding: chunked", sent


def _bad_chunk(body: bytes) -> tuple[bytes, bytes]:
    field, sent = _without_last_chunk(body)
    return field, sent + b"zz\r\n"


def _half_a_chunk(body: bytes) -> tuple[bytes, bytes]:
    return b"Transfer-Encoding: chunked", b"%x\r\n%b" % (len(body) + 5, body)


_WAYS: Final = [_by_length, _without_last_chunk, _bad_chunk, _half_a_chunk]


def _request(
    line: str, media_type: str, framed: tuple[bytes, bytes], version: str = "1.1"
) -> bytes:
    field, sent = framed
    head = f"{line} HTTP/{version}\r\nHost: localhost\r\nContent-Type: {media_type}\r\n"
    return head.encode() + field + b"\r\n\r\n" + sent


def _half_closed(served: Served, sent: bytes) -> bytes:
    """Send, then say that nothing more comes; return what is answered."""
    with served.connect() as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while piece := connection.recv(65_536):
            received += piece
    return received


def _assert_refused(answer: bytes) -> None:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split()[1] == b"400"
    assert b"connection: close" in head.lower()
    assert [each["diagnostics"] for each in json.loads(body)["issue"]] == [_SAYS]


def _state(appointment: dict[str, Any]) -> tuple[str, str]:
    return appointment["status"], appointment["meta"]["versionId"]


def _now(served: Served, booked: dict[str, Any]) -> tuple[str, str]:
    answer = requests.get(f"{served.base}/Appointment/{booked['id']}", timeout=20)
    return _state(answer.json())


@pytest.mark.parametrize("way", _WAYS)
@pytest.mark.parametrize("is_empty", [True, False])
@pytest.mark.parametrize("operation", ["$cancel", "$book", "$hold", "$reschedule"])
def test_an_operation_that_broke_off_does_nothing(
    served: Served, booked: dict[str, Any], operation: str, way: Any, *, is_empty: bool
) -> None:
    """It is 400, also where the operation needs no body, and nothing has changed."""
    body = b"" if is_empty else b'{"resourceType":"Parameters"}'
    line = f"POST /fhir/Appointment/{booked['id']}/{operation}"

    answer = _half_closed(served, _request(line, FHIR_JSON, way(body)))

    _assert_refused(answer)
    assert _now(served, booked) == _state(booked)


@pytest.mark.parametrize("way", _WAYS)
def test_a_change_that_broke_off_does_nothing(
    served: Served, booked: dict[str, Any], way: Any
) -> None:
    """PUT and PATCH with whole JSON in a broken message are 400."""
    cancelled = json.dumps({**booked, "status": "cancelled"}).encode()
    patch = b'[{"op":"replace","path":"/status","value":"cancelled"}]'
    target = f"/fhir/Appointment/{booked['id']}"

    _assert_refused(
        _half_closed(served, _request(f"PUT {target}", FHIR_JSON, way(cancelled)))
    )
    _assert_refused(
        _half_closed(served, _request(f"PATCH {target}", JSON_PATCH, way(patch)))
    )
    assert _now(served, booked) == _state(booked)


@pytest.mark.parametrize("way", _WAYS)
def test_a_booking_that_broke_off_books_nothing(served: Served, way: Any) -> None:
    """An Appointment that is whole in a message that is not is 400."""
    slot, number = served.slot_ids()[-1], "198009191795"
    body = json.dumps(appointment(slot, number)).encode()

    answer = _half_closed(
        served, _request("POST /fhir/Appointment", FHIR_JSON, way(body))
    )

    _assert_refused(answer)
    listed = requests.post(
        f"{served.base}/Appointment/_search",
        data={"patient.identifier": f"{PERSONNUMMER}|{number}"},
        timeout=20,
    )
    assert listed.json()["total"] == 0


@pytest.mark.parametrize("way", _WAYS)
@pytest.mark.parametrize("body", [b"", b"_count=0"])
@pytest.mark.parametrize(
    "line",
    [
        *("POST /fhir/Slot/_search", "POST /fhir/HealthcareService/_search"),
        *("POST /fhir/Appointment/_search", "GET /fhir/Slot", "GET /fhir/metadata"),
    ],
)
def test_a_search_that_broke_off_finds_nothing(
    served: Served, line: str, body: bytes, way: Any
) -> None:
    """A filter may be missing: it is 400 by every method and of every type."""
    _assert_refused(_half_closed(served, _request(line, _FORM, way(body))))


def test_of_http_1_0_what_broke_off_does_nothing(
    served: Served, booked: dict[str, Any]
) -> None:
    """The older version is no way around."""
    line = f"POST /fhir/Appointment/{booked['id']}/$cancel"

    answer = _half_closed(served, _request(line, FHIR_JSON, _by_length(b""), "1.0"))

    _assert_refused(answer)
    assert _now(served, booked) == _state(booked)


@pytest.mark.parametrize(
    "framed",
    [
        pytest.param((b"Connection: keep-alive", b""), id="nothing"),
        pytest.param(
            (b"Connection: keep-alive", b'{"resourceType":"Parameters"}'), id="a body"
        ),
        pytest.param((b"Transfer-Encoding: chunked", b"0\r\n\r\n"), id="chunks"),
    ],
)
def test_of_http_1_0_what_has_no_length_does_nothing(
    served: Served, booked: dict[str, Any], framed: tuple[bytes, bytes]
) -> None:
    """Whether it has a body, and all of it, nobody can say."""
    line = f"POST /fhir/Appointment/{booked['id']}/$cancel"

    status, _ = served.send(_request(line, FHIR_JSON, framed, "1.0"))

    # Chunks the web server may refuse by itself.
    assert status in (400, 411)
    assert _now(served, booked) == _state(booked)


@pytest.mark.parametrize("is_reset", [True, False])
def test_a_client_that_goes_changes_nothing(
    served: Served, booked: dict[str, Any], *, is_reset: bool
) -> None:
    """Whether it closes or resets the connection, its half request is not done."""
    line = f"POST /fhir/Appointment/{booked['id']}/$cancel"
    for way in _WAYS:
        with served.connect() as connection:
            connection.sendall(_request(line, FHIR_JSON, way(b"")))
            if is_reset:
                connection.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )

    # It is answered after them, as one more of their kind.
    _assert_refused(_half_closed(served, _request(line, FHIR_JSON, _bad_chunk(b""))))
    assert _now(served, booked) == _state(booked)


def test_a_late_body_does_nothing(served: Served, booked: dict[str, Any]) -> None:
    """An operation that needs no body, and says that it has one, waits for it."""
    line = f"POST /fhir/Appointment/{booked['id']}/$cancel"

    status, _ = served.send(_request(line, FHIR_JSON, _by_length(b"")))

    assert status == 408
    assert _now(served, booked) == _state(booked)
