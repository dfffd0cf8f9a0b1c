"""
The sandbox's own pages, and how it starts and stops.
"""

import logging
from datetime import datetime
from http.client import HTTPConnection

import pytest
import requests
from costs import least_seconds

from fhir_gateway.model import scheduling
from fhir_gateway.model.errors import Unavailable
from fhir_gateway.rivta.limit import ANSWER
from fhir_gateway.sandbox.fault_rule import FaultKind
from fhir_gateway.sandbox.server import SandboxServer

from .consumer import TIMEOUT_S, TOLVAN, Consumer, SettableClock


def test_the_index_lists_the_regions(server: SandboxServer) -> None:
    """GET / has each region's endpoint and the kinds of fault."""
    data = requests.get(server.url, timeout=TIMEOUT_S).json()

    assert [each["endpoint"] for each in data["regions"]] == [
        f"{server.url}/rivta/{name}" for name in ("norr", "mitt", "syd")
    ]
    assert data["fault_kinds"] == [kind.value for kind in FaultKind]


def test_it_is_well(server: SandboxServer) -> None:
    """GET /health is 200."""
    assert requests.get(f"{server.url}/health", timeout=TIMEOUT_S).ok


@pytest.mark.parametrize(
    ("method", "path"),
    [
        pytest.param("GET", "/ledger/oster", id="an unknown region's ledger"),
        pytest.param("GET", "/rivta/norr", id="a message by GET"),
        pytest.param("POST", "/rivta/oster", id="a message to an unknown region"),
        pytest.param("DELETE", "/ledger/norr", id="a ledger that is to go"),
    ],
)
def test_there_is_nothing_else(server: SandboxServer, method: str, path: str) -> None:
    """Any other page is 404."""
    answer = requests.request(method, server.url + path, timeout=TIMEOUT_S)

    assert answer.status_code == 404


def test_a_message_needs_its_length(norr: Consumer) -> None:
    """A message in chunks is 411."""
    answer = requests.post(
        norr.server.endpoint("norr"), data=iter([b"<a/>"]), timeout=TIMEOUT_S
    )

    assert answer.status_code == 411


def test_a_message_that_is_too_long_is_refused(norr: Consumer) -> None:
    """A message longer than the platform's limit is 413, unread."""
    answer = norr.post(
        scheduling.MAKE_BOOKING, b"", **{"Content-Length": str(ANSWER.most_bytes + 1)}
    )

    assert answer.status_code == 413


def test_a_connection_is_kept(server: SandboxServer) -> None:
    """A client's second request goes over the same connection."""
    connection = HTTPConnection(server.url.removeprefix("http://"), timeout=TIMEOUT_S)
    sockets = []
    for _ in range(2):
        connection.request("GET", "/health")
        connection.getresponse().read()
        sockets.append(connection.sock)
    connection.close()

    assert sockets[0] is not None
    assert sockets[0] is sockets[1]


def test_it_starts_at_once() -> None:
    """The largest sandbox starts in less than a second."""

    def start() -> None:
        with SandboxServer(port=0, slots=1_000_000):
            pass

    assert least_seconds(start, enough=1) < 1


def test_it_listens_on_ipv6() -> None:
    """On an address of IPv6 it answers, and its URL has the address in brackets."""
    with SandboxServer("::1", 0) as server:
        assert server.url.startswith("http://[::1]:")
        assert requests.get(f"{server.url}/health", timeout=5).status_code == 200


def test_it_can_be_stopped_before_it_serves() -> None:
    """A sandbox that never served can be stopped."""
    SandboxServer(port=0, slots=1_000).stop()


def test_it_can_be_stopped_twice(server: SandboxServer) -> None:
    """A second stop does nothing."""
    server.stop()
    server.stop()


def test_it_logs_no_personal_number(
    consumer: Consumer,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Neither the log nor the console says whom a booking is for."""
    with caplog.at_level(logging.INFO, logger="fhir_gateway"):
        consumer.booked()
        requests.get(f"{consumer.server.url}/?who={TOLVAN}", timeout=TIMEOUT_S)
    printed = capfd.readouterr()

    assert TOLVAN not in caplog.text + printed.out + printed.err


def test_a_failure_of_its_own_is_logged_without_its_message(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What goes wrong in the sandbox itself is logged by kind and place alone."""

    class BreakableClock(SettableClock):
        is_broken = False

        def __call__(self) -> datetime:
            if self.is_broken:
                raise RuntimeError(TOLVAN)
            return super().__call__()

    clock = BreakableClock()
    with SandboxServer(port=0, slots=1_000, clock=clock) as server:
        clock.is_broken = True
        consumer = Consumer(server, "mitt")
        with pytest.raises(Unavailable):
            consumer.slots()

    assert "RuntimeError at __call__" in caplog.text
    assert TOLVAN not in caplog.text
