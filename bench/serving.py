"""
A gateway to measure, over a world that is filled once.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import orjson

from bench.world import World
from fhir_gateway.stores.embedded_redis import EmbeddedRedis
from fhir_gateway.stores.slot_store import RedisSlotStore

__all__ = ["FilledWorld", "Server", "body", "filled", "free_port", "serving"]

_WAIT_S = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FilledWorld:
    """
    A world that stands in a Redis of its own.

    Attributes:
        slots: How many free times there really are.
        redis_bytes: What they take in Redis.
        environment: The settings of the program of ours that shall work in it.
    """

    world: World
    slots: int
    redis_bytes: int
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """
    A running server.

    Attributes:
        pids: Its web processes.
    """

    port: int
    pids: tuple[int, ...]

    def resident_bytes(self) -> int:
        """Return the resident memory of its largest web process."""
        return max(map(_resident_bytes, self.pids))


@contextmanager
def filled(
    world: World,
    *,
    endpoint: str = "http://127.0.0.1:9/",
    age: timedelta = timedelta(),
) -> Iterator[FilledWorld]:
    """
    Keep a world in Redis while this lasts.

    Args:
        world: How large.
        endpoint: Where its sources answer. Port 9 refuses: no search asks a source.
        age: How long ago its sources listed their free times.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        with EmbeddedRedis(folder) as redis:
            store = RedisSlotStore(redis.url)
            before = store.used_bytes()
            slots = world.fill(store, age=age) if world.slots else 0
            redis_bytes = store.used_bytes() - before
            store.close()
            yield FilledWorld(
                world=world,
                slots=slots,
                redis_bytes=redis_bytes,
                environment={
                    "REDIS_URL": redis.url,
                    "FHIR_GATEWAY_SOURCES": str(world.write_sources(folder, endpoint)),
                    "FHIR_GATEWAY_DATA_DIR": str(folder),
                    "FHIR_GATEWAY_OPEN_DEMO": "yes",
                },
            )


@contextmanager
def serving(
    place: FilledWorld,
    *,
    processes: int = 1,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """
    Serve a filled world while this lasts.

    Args:
        place: What is searched.
        processes: How many web processes.
        environment: Further settings.

    Raises:
        RuntimeError: The server ended, or has not read the world within minutes.
    """
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.serve"],
        env={
            **os.environ,
            **place.environment,
            "FHIR_GATEWAY_PROCESSES": str(processes),
            "PORT": str(port),
            **(environment or {}),
        },
    )
    try:
        _await_slots(port, place, process, processes)
        yield Server(port=port, pids=_web_processes(process.pid, processes))
    finally:
        process.terminate()
        process.wait(30)


def body(port: int, path: str) -> bytes:
    """Return what a path answers."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
        content: bytes = answer.read()
        return content


def _await_slots(
    port: int, place: FilledWorld, process: subprocess.Popen[bytes], processes: int
) -> None:
    """Wait until every process has read everything: so many answers in a row do."""
    path = "/fhir/Slot?_count=0"
    missing = 4 * processes
    deadline = time.monotonic() + _WAIT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        try:
            found: Mapping[str, object] = orjson.loads(body(port, path))
        except (urllib.error.URLError, ConnectionError):
            found = {}
        if found.get("total") or (found and not place.slots):
            missing -= 1
            if not missing:
                return
            continue
        missing = 4 * processes
        time.sleep(0.2)
    raise RuntimeError("the server has no slots")


def _web_processes(pid: int, count: int) -> tuple[int, ...]:
    """Return the processes that answer: the largest children of the server."""
    children = [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and _parent(entry) == pid
    ]
    return tuple(sorted(children, key=_resident_bytes, reverse=True)[:count])


def _parent(entry: Path) -> int | None:
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        # It has ended since the folder was listed.
        return None


def _resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


def free_port() -> int:
    """Return a port that nobody listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
