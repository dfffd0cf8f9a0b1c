"""
Mutual TLS between a source's options and a real region that demands our certificate.
"""

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from builders import NORR, TOLVAN
from pem import write_server_certificate

from fhir_gateway.adapters.scheduling_1_1 import scheduling_1_1
from fhir_gateway.model.errors import Unavailable
from fhir_gateway.model.ids import BookingId, HsaId
from fhir_gateway.model.interaction import Actor
from fhir_gateway.model.scheduling import CancelBooking, GetAllTimeTypes
from fhir_gateway.sandbox.server import SandboxServer

UNIT: Final = HsaId("SE2321009901-1001")
AGENT: Final = HsaId("SE2321009901-AGENT")
TIME_TYPES: Final = GetAllTimeTypes(
    unit=UNIT, subject_of_care=TOLVAN, actor=Actor.agent(AGENT)
)
CANCELLATION: Final = CancelBooking(
    unit=UNIT, booking_id=BookingId("B1"), actor=Actor.resident(TOLVAN)
)


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("region", "gateway", "stranger"):
        write_server_certificate(folder, name, "127.0.0.1")
    return folder


@pytest.fixture(name="region", scope="module")
def _region(folder: Path) -> Iterator[SandboxServer]:
    """Give regions behind TLS that accept the gateway's certificate alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "region.pem")
    context.load_verify_locations(folder / "gateway.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    # In TLS 1.3 a client learns too late that its certificate is refused.
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    server = SandboxServer(port=0, slots=2_600)
    server._httpd.socket = context.wrap_socket(server._httpd.socket, server_side=True)
    with server:
        yield server


def options(region: SandboxServer, **files: Path) -> dict[str, object]:
    """Return the options of a source that is asked over TLS."""
    endpoint = region.endpoint("norr").replace("http://", "https://")
    return {"endpoint": endpoint} | {name: str(path) for name, path in files.items()}


def test_a_region_that_demands_our_certificate_answers(
    region: SandboxServer, folder: Path
) -> None:
    """A source with a certificate and what it trusts is asked over mutual TLS."""
    adapter = scheduling_1_1(
        NORR,
        options(
            region, certificate=folder / "gateway.pem", trust=folder / "region.pem"
        ),
    )

    assert adapter.get_all_time_types(TIME_TYPES, timeout=10).items
    adapter.close()


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"trust": "region"}, id="without a certificate"),
        pytest.param(
            {"trust": "region", "certificate": "stranger"}, id="with another's"
        ),
        pytest.param(
            {"trust": "stranger", "certificate": "gateway"},
            id="to a region that is not trusted",
        ),
        pytest.param({"certificate": "gateway"}, id="trusting the usual authorities"),
    ],
)
def test_nothing_is_sent_without_trust_on_both_sides(
    region: SandboxServer, folder: Path, files: dict[str, str]
) -> None:
    """A handshake that one side refuses sends nothing: the write is known undone."""
    paths = {option: folder / f"{name}.pem" for option, name in files.items()}
    adapter = scheduling_1_1(NORR, options(region, **paths))

    with pytest.raises(Unavailable):
        adapter.cancel_booking(CANCELLATION, timeout=10)
    adapter.close()
