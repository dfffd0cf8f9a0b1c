"""
A small sandbox on a port of its own, with a clock that stands still.
"""

from collections.abc import Iterator

import pytest
import requests

from fhir_gateway.sandbox.server import SandboxServer

from .consumer import TIMEOUT_S, Consumer, SettableClock
from .national import PlatformConsumer

SLOTS = 3_000


@pytest.fixture(name="clock")
def _clock() -> SettableClock:
    return SettableClock()


@pytest.fixture(name="server")
def _server(clock: SettableClock) -> Iterator[SandboxServer]:
    with SandboxServer(port=0, slots=SLOTS, clock=clock) as server:
        yield server


@pytest.fixture(name="shared_server", scope="session")
def _shared_server() -> Iterator[SandboxServer]:
    with SandboxServer(port=0, slots=SLOTS, clock=SettableClock()) as server:
        yield server


@pytest.fixture(name="consumer", params=["norr", "mitt", "syd"])
def _consumer(server: SandboxServer, request: pytest.FixtureRequest) -> Consumer:
    return Consumer(server, request.param)


@pytest.fixture(name="norr")
def _norr(server: SandboxServer) -> Consumer:
    return Consumer(server, "norr")


@pytest.fixture(name="mitt")
def _mitt(server: SandboxServer) -> Consumer:
    return Consumer(server, "mitt")


@pytest.fixture(name="syd")
def _syd(server: SandboxServer) -> Consumer:
    return Consumer(server, "syd")


@pytest.fixture(name="platform", scope="module")
def _platform() -> Iterator[PlatformConsumer]:
    """One sandbox for a module; Tolvan has bookings in all three regions."""
    with SandboxServer(port=0, slots=SLOTS, clock=SettableClock()) as server:
        consumer = PlatformConsumer(server)
        for region in (consumer.norr, consumer.mitt, consumer.syd):
            region.booked()
        yield consumer


@pytest.fixture(name="national")
def _national(platform: PlatformConsumer) -> PlatformConsumer:
    """The platform without faults, and with its options as they are at first."""
    platform.behave()
    for where in ("norr", "mitt", "syd", "platform", "aggregator", "catalogue"):
        requests.delete(f"{platform.server.url}/faults/{where}", timeout=TIMEOUT_S)
    return platform
