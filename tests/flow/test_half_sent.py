"""
Clients that send half a request and no more: everybody else is answered all the same.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest
import requests
from web.bodies import COVID_VACCINATION, FHIR_JSON, PERSONNUMMER, appointment
from web.running import fill, own_regions

from fhir_gateway.bootstrap import program
from fhir_gateway.settings import Settings
from fhir_gateway.stores.embedded_redis import EmbeddedRedis

from .ports import free_port

pytestmark = pytest.mark.flow

_THREADS: Final = 4
_HALF_SENT: Final = 200
_HEAD: Final = (
    b"POST /fhir/Appointment HTTP/1.1\r\n"
    b"Host: gateway.test\r\n"
    b"Content-Type: application/fhir+json\r\n"
)
_WITHIN_S: Final = 3.0


class Served:
    """A gateway as `fhir-gateway serve` runs it, with few threads."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.base = f"http://127.0.0.1:{port}/fhir"

    def get(self, path: str) -> requests.Response:
        """Ask, and wait as long as an impatient client does."""
        return requests.get(f"http://127.0.0.1:{self.port}{path}", timeout=_WITHIN_S)

    def connect(self) -> socket.socket:
        """Return a new connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def tell(self, *parts: bytes) -> tuple[int, Any]:
        """Send bytes as they are; return the status and the body of the answer."""
        with self.connect() as connection:
            for part in parts:
                connection.sendall(part)
            answer = b"".join(iter(lambda: connection.recv(65_536), b""))
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), body


@pytest.fixture(name="served", scope="module")
def _served() -> Iterator[Served]:
    """Give a served gateway over regions of its own: clients book here."""
    served = Served(free_port())
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="half-sent-"))
        _, sources = stack.enter_context(own_regions(Path(folder)))
        redis = stack.enter_context(EmbeddedRedis(Path(folder)))
        environment = {
            "FHIR_GATEWAY_SOURCES": str(sources),
            "FHIR_GATEWAY_DATA_DIR": folder,
        }
        with program(Settings.from_environment(environment), redis.url) as made:
            fill(made)
        log = Path(folder) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "fhir_gateway.cli", "serve"],
                env={
                    **os.environ,
                    **environment,
                    "FHIR_GATEWAY_THREADS": str(_THREADS),
                    "REDIS_URL": redis.url,
                    "PORT": str(served.port),
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            _await_slots(served, process, log)
            yield served
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise


def _await_slots(served: Served, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text(encoding="utf-8")
        try:
            if slot_ids(served):
                return
        except requests.RequestException:
            pass
        time.sleep(0.1)
    raise AssertionError(log.read_text(encoding="utf-8"))


def slot_ids(served: Served) -> list[str]:
    """Return the ids of free slots."""
    found = served.get(f"/fhir/Slot?service-type={COVID_VACCINATION}&_count=5").json()
    return [
        entry["resource"]["id"]
        for entry in found["entry"]
        if entry["search"]["mode"] == "match"
    ]


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
        found = slot_ids(served)
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
    """Who sends half a body is told so after some seconds, and disconnected."""
    status, body = served.tell(_HEAD + b"Content-Length: 1000\r\n\r\n{")

    assert status == 408
    assert b"The body did not arrive in time: send it whole, at once." in body


def test_a_body_that_comes_in_pieces_is_read_whole(served: Served) -> None:
    """A body of several chunks is one body."""
    status, body = served.tell(
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
                *[b"10000\r\n" + b" " * 65_536 + b"\r\n"] * 5,
            ),
            id="by what has come",
        ),
        pytest.param(
            (
                _HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
                b"40001\r\n" + b" " * 262_145 + b"\r\n",
            ),
            id="by its last byte",
        ),
    ],
)
def test_a_body_too_large_is_refused_before_it_is_there(
    served: Served, parts: tuple[bytes, ...]
) -> None:
    """A body over 256 KiB is answered 413 without waiting for the rest of it."""
    status, body = served.tell(*parts)

    assert status == 413
    assert b"The body is too large." in body


def test_a_header_sent_twice_is_one(served: Served) -> None:
    """A header that comes in two lines has both values."""
    status, _ = served.tell(
        b"GET /fhir/Slot?_count=0 HTTP/1.1\r\nHost: gateway.test\r\n"
        b"Accept: text/html\r\nAccept: application/fhir+json\r\n"
        b"Connection: close\r\n\r\n"
    )

    assert status == 200


def test_an_underscore_is_no_hyphen(served: Served) -> None:
    """A header whose name has an underscore does not pass for the one with a hyphen."""
    status, _ = served.tell(
        _HEAD.replace(b"Content-Type", b"content_type")
        + b"Content-Length: 2\r\nConnection: close\r\n\r\n{}"
    )

    assert status == 415
