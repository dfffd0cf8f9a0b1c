"""
Commands that are killed with `kill -9`: nothing that they have started outlives them.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from processes import children_of, is_alive, wait_until

from fhir_gateway.settings import Settings

from .ports import free_port

pytestmark = pytest.mark.flow

_STARTS_WITHIN_S = 60.0


@pytest.fixture(name="place")
def _place() -> Iterator[Path]:
    # Not tmp_path: the socket of Redis needs a short path.
    with tempfile.TemporaryDirectory(prefix="killed-") as folder:
        yield Path(folder)


@contextmanager
def _running(
    *arguments: str, folder: Path, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "fhir_gateway", *arguments],
            env={**os.environ, "FHIR_GATEWAY_DATA_DIR": str(folder), **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    with ExitStack() as stack:
        stack.callback(process.wait)
        stack.callback(process.kill)
        yield process


def _leaves_nothing(
    process: subprocess.Popen[bytes], has_started: Callable[[], bool]
) -> bool:
    """Kill a command once it has started; return whether its children end as well."""
    assert wait_until(has_started, _STARTS_WITHIN_S)
    children = children_of(process.pid)
    assert children
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    try:
        return wait_until(lambda: not any(map(is_alive, children)))
    finally:
        for each in filter(is_alive, children):
            os.kill(each, signal.SIGKILL)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_killed_demo_leaves_no_process(place: Path) -> None:
    """After kill -9 of the demo its regions, worker, gateway and Redis have ended."""
    port, sandbox_port = free_port(), free_port()
    with _running(
        *("demo", "--slots", "300"),
        folder=place,
        PORT=str(port),
        SANDBOX_PORT=str(sandbox_port),
    ) as demo:
        assert _leaves_nothing(demo, lambda: _listens(port) and _listens(sandbox_port))


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_killed_gateway_leaves_no_process(
    place: Path, settings: Settings, processes: str
) -> None:
    """After kill -9 of `serve` its web processes and its Redis have ended."""
    port = free_port()
    with _running(
        "serve",
        folder=place,
        PORT=str(port),
        FHIR_GATEWAY_SOURCES=str(settings.sources),
        FHIR_GATEWAY_PROCESSES=processes,
    ) as serve:
        assert _leaves_nothing(serve, lambda: _listens(port))


def test_a_killed_worker_leaves_no_process(place: Path, settings: Settings) -> None:
    """After kill -9 of `worker` its Redis has ended."""
    with _running(
        "worker", folder=place, FHIR_GATEWAY_SOURCES=str(settings.sources)
    ) as worker:
        assert _leaves_nothing(worker, (place / "redis.sock").exists)
