"""
A gateway that listens on a unix socket, as behind a proxy on the same machine.
"""

import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

from .test_start import write_source

pytestmark = pytest.mark.flow

_STARTS_WITHIN_S: Final = 30


@pytest.fixture(name="folder")
def _folder() -> Iterator[Path]:
    # The path of a socket must be short.
    with tempfile.TemporaryDirectory(prefix="gw-") as folder:
        yield Path(folder)


def write_issuer(folder: Path) -> Path:
    """Write a file with an issuer that is away; return it."""
    path = folder / "issuers.toml"
    path.write_text(
        """
[[issuer]]
issuer = "https://idp.example.org"
jwks_uri = "http://127.0.0.1:1/jwks"
roles = ["resident"]
""",
        encoding="utf-8",
    )
    return path


@contextmanager
def serving(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a gateway on the folder's socket, under an open umask."""
    process = subprocess.Popen(
        [sys.executable, "-m", "fhir_gateway", "serve"],
        env={
            "PATH": os.environ["PATH"],
            "FHIR_GATEWAY_SOURCES": str(write_source(folder)),
            "FHIR_GATEWAY_DATA_DIR": str(folder / "data"),
            "FHIR_GATEWAY_HOST": f"unix:{folder / 'gateway.sock'}",
            "FHIR_GATEWAY_BASE_URL": "https://gateway.example.org/fhir",
            "FHIR_GATEWAY_ISSUERS": str(write_issuer(folder)),
            "FHIR_GATEWAY_DRAINS_FOR_S": "0",
        },
        stderr=subprocess.PIPE,
        text=True,
        umask=0,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=30)


def answer(folder: Path, *fields: str) -> bytes:
    """Ask for the CapabilityStatement over the socket, as soon as one listens."""
    deadline = time.monotonic() + _STARTS_WITHIN_S
    while True:
        with socket.socket(socket.AF_UNIX) as client, suppress(OSError):
            client.connect(str(folder / "gateway.sock"))
            head = ["GET /fhir/metadata HTTP/1.1", "Host: gateway.example.org", *fields]
            client.sendall("\r\n".join([*head, "Connection: close", "", ""]).encode())
            received = b""
            while piece := client.recv(65_536):
                received += piece
            return received
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_proxy_at_the_socket_is_trusted(folder: Path) -> None:
    """Owner and group may connect, and what they report counts."""
    with serving(folder):
        by_tls = answer(
            folder, "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https"
        )
        in_clear = answer(
            folder, "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: http"
        )
        spelt_otherwise = answer(folder, "Client_Cert: :AAAA:")
        mode = stat.S_IMODE((folder / "gateway.sock").stat().st_mode)

    assert by_tls.startswith(b"HTTP/1.1 200 ")
    assert b"strict-transport-security: max-age=31536000" in by_tls.lower()
    assert in_clear.startswith(b"HTTP/1.1 400 ")
    assert spelt_otherwise.startswith(b"HTTP/1.1 400 ")
    assert mode == 0o660


def test_a_socket_that_is_in_use_stays_its_owners(folder: Path) -> None:
    """A second gateway ends with one line, and the first goes on."""
    with serving(folder):
        answer(folder)
        with serving(folder) as second:
            _, said = second.communicate(timeout=30)

        assert answer(folder).startswith(b"HTTP/1.1 200 ")
    assert (said, second.returncode) == (
        (
            f"fhir-gateway: {folder}/gateway.sock is in use by another program, perhaps"
            " another gateway; stop it, or choose another path with"
            " FHIR_GATEWAY_HOST=unix:…\n"
        ),
        1,
    )


def test_the_socket_of_a_killed_gateway_is_used_again(folder: Path) -> None:
    """`kill -9` leaves the socket behind; the next start replaces it."""
    with serving(folder) as killed:
        answer(folder)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        with serving(folder):
            assert answer(folder).startswith(b"HTTP/1.1 200 ")
