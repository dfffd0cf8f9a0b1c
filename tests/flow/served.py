"""
A gateway as `fhir-gateway serve` runs it, over regions of its own.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import requests
from web.bodies import COVID_VACCINATION
from web.running import fill, own_regions

from fhir_gateway.bootstrap import program
from fhir_gateway.settings import Settings
from fhir_gateway.stores.embedded_redis import EmbeddedRedis

from .ports import free_port

__all__ = ["THREADS", "Served", "serving"]

THREADS: Final = 4
_WITHIN_S: Final = 3.0


class Served:
    """A gateway with few threads, and how a test asks it."""

    def __init__(self, port: int, log: Path) -> None:
        self.port = port
        self.log = log
        self.base = f"http://127.0.0.1:{port}/fhir"

    def get(self, path: str) -> requests.Response:
        """Ask, and wait as long as an impatient client does."""
        return requests.get(f"http://127.0.0.1:{self.port}{path}", timeout=_WITHIN_S)

    def connect(self) -> socket.socket:
        """Return a new connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def send(self, *parts: bytes) -> tuple[int, Any]:
        """Send bytes as they are; return the status and the body of the answer."""
        head, _, body = self.answer(*parts).partition(b"\r\n\r\n")
        return int(head.split()[1]), body

    def answer(self, *parts: bytes) -> bytes:
        """Send bytes as they are; return all that comes until the connection ends."""
        with self.connect() as connection:
            received = []
            with suppress(ConnectionError):
                for part in parts:
                    connection.sendall(part)
                while piece := connection.recv(65_536):
                    received.append(piece)
        return b"".join(received)

    def slot_ids(self) -> list[str]:
        """Return the ids of free slots."""
        found = self.get(f"/fhir/Slot?service-type={COVID_VACCINATION}&_count=5").json()
        return [
            entry["resource"]["id"]
            for entry in found["entry"]
            if entry["search"]["mode"] == "match"
        ]


@contextmanager
def serving(more: Mapping[str, str] | None = None) -> Iterator[Served]:
    """
    Give a served gateway that knows free times.

    Args:
        more: Further settings.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="served-"))
        served = Served(free_port(), Path(folder) / "log")
        _, sources = stack.enter_context(own_regions(Path(folder)))
        redis = stack.enter_context(EmbeddedRedis(Path(folder)))
        environment = {
            "FHIR_GATEWAY_SOURCES": str(sources),
            "FHIR_GATEWAY_DATA_DIR": folder,
            **(more or {}),
        }
        with program(Settings.from_environment(environment), redis.url) as made:
            fill(made)
        with served.log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "fhir_gateway", "serve"],
                env={
                    **os.environ,
                    **environment,
                    "FHIR_GATEWAY_THREADS": str(THREADS),
                    "REDIS_URL": redis.url,
                    "PORT": str(served.port),
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            _await_slots(served, process)
            yield served
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await_slots(served: Served, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, served.log.read_text(encoding="utf-8")
        try:
            if served.slot_ids():
                return
        except requests.RequestException:
            pass
        time.sleep(0.1)
    raise AssertionError(served.log.read_text(encoding="utf-8"))
