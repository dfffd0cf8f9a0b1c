"""
Clients that send half a request and no more: all other clients are still answered.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

import pytest
import requests
from web.bodies import FHIR_JSON, PERSONNUMMER, appointment

from .served import Served, serving

pytestmark = pytest.mark.flow

_HALF_SENT: Final = 200
_HEAD: Final = (
    b"POST /fhir/Appointment HTTP/1.1\r\n"
    b"Host: localhost\r\n"
    b"Content-Type: application/fhir+json\r\n"
)


@pytest.fixture(name="served", scope="module")
def _served() -> Iterator[Served]:
    with serving() as served:
        yield served


@pytest.mark.parametrize(
    "half",
    [
        pytest.param(b"POST /fhir/Appo", id="half a line"),
        pytest.param(_HEAD, id="half a head"),
        pytest.param(_HEAD + b"Content-Length: 1000\r\n\r\n{", id="half a body"),
        pytest.param(
            _HEAD + b"Transfer-Encoding: chunked\r\n\r\n400\r\n{", id="half a chunk"
        ),
    ],
)
def test_half_sent_requests_stop_nobody(
    served: Served, half: bytes, number: str
) -> None:
    """Among 200 half-sent requests, health, searches and bookings are answered."""
    with ExitStack() as stack:
        for _ in range(_HALF_SENT):
            stack.enter_context(served.connect()).sendall(half)

        health = served.get("/health")
        found = served.slot_ids()
        booked = requests.post(
            f"{served.base}/Appointment",
            json=appointment(found[-1], number),
            headers={"Content-Type": FHIR_JSON},
            timeout=20,
        )
        listed = requests.post(
            f"{served.base}/Appointment/_search",
            data={"patient.identifier": f"{PERSONNUMMER}|{number}"},
            timeout=20,
        )

    assert (health.status_code, len(found)) == (200, 5)
    assert (booked.status_code, listed.status_code) == (201, 200)


def test_a_body_that_stops_is_answered_408(served: Served) -> None:
    """The gateway answers half a body with 408 after some seconds, and disconnects."""
    status, body = served.send(_HEAD + b"Content-Length: 1000\r\n\r\n{")

    assert status == 408
    assert b"The body did not arrive in time: send it whole, at once." in body


def test_a_body_that_comes_in_pieces_is_read_whole(served: Served) -> None:
    """A body of several chunks is one body."""
    status, body = served.send(
        _HEAD + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
        b'9\r\n{"resourc\r\n',
        b'a\r\neType": 1}\r\n0\r\n\r\n',
    )

    assert status == 400
    assert b'"expression":["Appointment"]' in body


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param(
            (_HEAD + b"Content-Length: 9000000\r\n\r\n",), id="by its length alone"
        ),
        pytest.param(
            (
                _HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
                *[b"2000\r\n" + b" " * 8_192 + b"\r\n"] * 5,
            ),
            id="by what has come",
        ),
        pytest.param(
            (
                _HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
                b"8001\r\n" + b" " * 32_769 + b"\r\n",
            ),
            id="by its last byte",
        ),
        pytest.param(
            (_HEAD + b"Content-Length: 32769\r\n\r\n", b" " * 32_769),
            id="by its last byte, with its length",
        ),
        pytest.param(
            (_HEAD + b"Content-Length: " + b"0" * 5_000 + b"32769\r\n\r\n",),
            id="by a length of 5,005 digits",
        ),
        pytest.param(
            (
                (
                    b"POST /fhir/Slot/_search HTTP/1.1\r\nHost: localhost\r\n"
                    b"Content-Length: 16385\r\n\r\n"
                ),
                b" " * 16_385,
            ),
            id="of a form",
        ),
        pytest.param(
            (
                (
                    b"PUT /fhir/Appointment/x HTTP/1.1\r\nHost: localhost\r\n"
                    b"Content-Length: 393217\r\n\r\n"
                ),
            ),
            id="of an Appointment that is sent back",
        ),
    ],
)
def test_a_body_too_large_is_refused_before_it_is_there(
    served: Served, parts: tuple[bytes, ...]
) -> None:
    """A body over its route's limit is 413 at once, and its connection is closed."""
    answer = served.answer(*parts)

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413 ")
    assert b"\r\nconnection: close" in head.lower()
    # One answer: nothing of the body was taken for another request.
    assert json.loads(body)["resourceType"] == "OperationOutcome"


def test_a_header_sent_twice_is_one(served: Served) -> None:
    """A header that comes in two lines has both values."""
    status, _ = served.send(
        b"GET /fhir/Slot?_count=0 HTTP/1.1\r\nHost: localhost\r\n"
        b"Accept: text/html\r\nAccept: application/fhir+json\r\n"
        b"Connection: close\r\n\r\n"
    )

    assert status == 200


@pytest.mark.parametrize(
    ("line", "more", "status"),
    [
        pytest.param(
            b"POST /fhir/%41ppointment/_search", b"", 400, id="a percent sign"
        ),
        pytest.param(b"POST /fhir%2FAppointment", b"", 400, id="a slash, escaped"),
        pytest.param(b"POST /fhir/%2541ppointment/_search", b"", 400, id="twice"),
        pytest.param(b"POST //fhir/Appointment", b"", 404, id="two slashes"),
        pytest.param(b"POST /fhir/./Appointment", b"", 404, id="a dot"),
        pytest.param(b"POST /fhir/x/../Appointment", b"", 404, id="two dots"),
        pytest.param(b"POST /fhir/Appointment;a=1", b"", 404, id="a parameter"),
        pytest.param(b"POST /fhir/Appointment.", b"", 404, id="a dot at the end"),
        pytest.param(b"POST /fhir/Appointment/", b"", 404, id="a slash at the end"),
        pytest.param(b"post /fhir/Appointment", b"", 405, id="a method in small"),
        pytest.param(b"BREW /fhir/Appointment", b"", 405, id="a method that is none"),
        pytest.param(b"OPTIONS *", b"", 400, id="an asterisk"),
        pytest.param(b"GET /fhir/Slot", b"Host: evil.example\r\n", 400, id="two hosts"),
        pytest.param(
            b"POST /fhir/Appointment",
            "Idempotency-Key: nyckel-å\r\n".encode("latin-1"),
            400,
            id="a key that is no ASCII",
        ),
        pytest.param(
            b"POST /fhir/Appointment",
            "Idempotency-Key: nyckel-å\r\n".encode(),
            400,
            id="a key in UTF-8",
        ),
        pytest.param(
            b"POST /fhir/Appointment",
            b"content_type: application/fhir+json\r\n",
            415,
            id="an underscore",
        ),
        pytest.param(
            b"POST /fhir/Slot/_search",
            b"Transfer-Encoding: gzip, chunked\r\n",
            501,
            id="another transfer coding",
        ),
        pytest.param(
            b"GET /fhir/Slot",
            b"".join(b"X-%d: 1\r\n" % number for number in range(64)),
            431,
            id="many fields",
        ),
        pytest.param(
            b"GET /fhir/Slot", b"X: " + b"a" * 17_000 + b"\r\n", 431, id="large fields"
        ),
        pytest.param(b"GET /fhir/Slot?" + b"a" * 9_000, b"", 414, id="a long URL"),
    ],
)
def test_a_head_that_could_be_read_otherwise_is_refused(
    served: Served, line: bytes, more: bytes, status: int
) -> None:
    """A head that a proxy could read in another way is refused in FHIR."""
    answered, body = served.send(
        line
        + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        + more
        + b"\r\n"
        # The end of a body in chunks.
        + (b"0\r\n\r\n" if b"chunked" in more else b"")
    )

    assert answered == status
    assert json.loads(body)["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize("host", [b"", b"Host: evil.example\r\n"])
def test_an_absent_or_unknown_host_is_refused(served: Served, host: bytes) -> None:
    """Only health is answered to it."""
    asked = b" HTTP/1.1\r\nConnection: close\r\n" + host + b"\r\n"

    assert served.send(b"GET /fhir/Slot" + asked)[0] == (421 if host else 400)
    assert served.send(b"GET /health" + asked) == (200, b'{"status":"ok"}')


def test_malformed_requests_leave_only_json_in_the_log(served: Served) -> None:
    """No raw traceback stands in the log, and the next request is answered."""
    for length in (b"0" * 5_000 + b"2", b"9" * 5_000, b"-1", b"+1", b"1, 1"):
        served.answer(
            _HEAD + b"Connection: close\r\nContent-Length: " + length + b"\r\n\r\n{}"
        )
    served.answer(
        _HEAD
        + b"Content-Length: 2\r\nContent-Length: 3\r\nConnection: close\r\n\r\n{}x"
    )

    assert served.get("/health").status_code == 200
    for line in served.log.read_text(encoding="utf-8").splitlines():
        assert json.loads(line).keys() >= {"event", "level", "timestamp"}
