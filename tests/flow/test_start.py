"""
Starts that cannot be, as real processes and in this one: a taken port, no driver.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from fhir_gateway.listening import CannotListen, listening_address

from .ports import free_port

_WITHOUT_PSYCOPG: Final = (
    "import sys; sys.modules['psycopg'] = None\n"
    "from fhir_gateway.cli import main; main()"
)
_TAKEN: Final = (
    "fhir-gateway: port {} of 127.0.0.1 is in use by another program, perhaps another"
    " gateway; stop it, or choose another port with PORT=…\n"
)
_NO_DRIVER: Final = (
    "fhir-gateway: DATABASE_URL means PostgreSQL, and its driver psycopg is not"
    " installed: install fhir-gateway[postgresql]\n"
)


@pytest.fixture(name="taken")
def _taken(request: pytest.FixtureRequest) -> Iterator[int]:
    """Give a port that another program listens on, sharing it or not."""
    with socket.socket() as listener:
        if request.param:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port: int = listener.getsockname()[1]
        yield port


def run(
    tmp_path: Path, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run Python with arguments, in an environment of our own, and wait for its end."""
    return subprocess.run(
        [sys.executable, *arguments],
        env={
            "PATH": os.environ["PATH"],
            "FHIR_GATEWAY_OPEN_DEMO": "yes",
            "FHIR_GATEWAY_SOURCES": str(write_source(tmp_path)),
            "FHIR_GATEWAY_DATA_DIR": str(tmp_path / "data"),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def write_source(folder: Path) -> Path:
    """Write a file with one source; return it."""
    path = folder / "sources.toml"
    path.write_text(
        """
[sources.norr]
adapter = "scheduling_1_1"
title = "Region Norr"
prefixes = ["SE2321000016-"]
agent = "SE2321000016-AGENT"
refresh_subject = "191212121212"
units_from = "SE2321000016-A01"
options.endpoint = "http://127.0.0.1:1/"
""",
        encoding="utf-8",
    )
    return path


@pytest.mark.parametrize(
    "taken",
    [
        pytest.param(True, id="that others may share"),
        pytest.param(False, id="of its own"),
    ],
    indirect=True,
)
def test_a_taken_port_is_not_shared(tmp_path: Path, taken: int) -> None:
    """A gateway that finds its port taken ends with one line, and makes nothing."""
    done = run(tmp_path, "-m", "fhir_gateway", "serve", PORT=str(taken))

    assert (done.stderr, done.returncode) == (
        _TAKEN.format(taken),
        1,
    )
    assert not (tmp_path / "data").exists()


def test_a_missing_driver_is_named(tmp_path: Path) -> None:
    """Without psycopg a URL of PostgreSQL ends the start, and says what to install."""
    done = run(
        tmp_path,
        "-c",
        _WITHOUT_PSYCOPG,
        "worker",
        DATABASE_URL="postgresql://u:hemligt@db/journal",
    )

    assert (done.stderr, done.returncode) == (
        _NO_DRIVER,
        2,
    )


def test_a_port_that_was_used_a_moment_ago_is_free() -> None:
    """Connections that have just been closed keep no gateway from starting."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            accepted, _ = listener.accept()
            # Who closes first waits for stray segments.
            accepted.close()

    address = listening_address("127.0.0.1", port, host_name="H", port_name="P")

    assert address == "127.0.0.1"


def test_a_name_is_an_address() -> None:
    """`localhost` is listened on by its address."""
    address = listening_address("localhost", free_port(), host_name="H", port_name="P")

    assert address in ("127.0.0.1", "::1")


@pytest.mark.parametrize(
    ("host", "message"),
    [
        pytest.param(
            "h.invalid",
            "HOST: no address is known of h.invalid; give an address of this machine,"
            " such as 127.0.0.1",
            id="an unknown name",
        ),
        pytest.param(
            "192.0.2.1",
            "HOST: 192.0.2.1 is no address of this machine",
            id="another machine's address",
        ),
    ],
)
def test_a_host_that_is_not_ours_is_refused(host: str, message: str) -> None:
    """Nobody can listen on what is no address of this machine."""
    with pytest.raises(CannotListen) as caught:
        listening_address(host, free_port(), host_name="HOST", port_name="PORT")

    assert (str(caught.value), caught.value.is_configuration) == (message, True)
