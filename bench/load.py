"""
Load: closed by `wrk` where it is installed, else by a loop of our own; open by ours.

A closed load asks again as soon as it is answered, which shows how much a server can
do, and hides how long clients wait: while nothing is answered, nothing is asked. An
open load asks at planned times, and a client has waited since then.

Our loop costs more than wrk does; it weighs on the floor as much as on what is
measured, and figures are ratios.
"""

import asyncio
import http.client
import itertools
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["Load", "load", "open_load", "sequential"]

_MOST_OF_HEAD: Final = 2**18
_GIVES_UP_AFTER_S: Final = 60.0
_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: *([0-9]+)")

_LUA = """
local paths = {}
for line in io.lines("%s") do paths[#paths + 1] = line end
local position = 0
request = function()
    position = position %% #paths + 1
    return wrk.format("GET", paths[position])
end
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What came of a load: seconds and answers a second."""

    requests_per_second: float
    p50: float
    p99: float


def load(
    port: int,
    paths: Sequence[str],
    *,
    connections: int,
    seconds: float,
    authorization: str | None = None,
) -> Load:
    """
    Ask for paths over keep-alive connections for some seconds.

    They are asked for in their order, and again from the first when all have been.

    Args:
        port: The server's.
        paths: What is asked for.
        connections: How many clients ask.
        seconds: How long.
        authorization: The field of that name; None for none.

    Raises:
        RuntimeError: An answer was not 200.
    """
    if shutil.which("wrk"):
        return _wrk(port, paths, connections, seconds, authorization)
    return asyncio.run(
        _offered(
            port,
            paths,
            connections=connections,
            seconds=seconds,
            authorization=authorization,
        )
    )


def open_load(
    port: int,
    paths: Sequence[str],
    *,
    connections: int,
    seconds: float,
    rate: float,
) -> Load:
    """
    Ask for so many paths a second for some seconds, whether or not answers come.

    How long each took is counted from when it was planned: what waits for a free
    connection, because others wait for their answers, waits for the server.

    Raises:
        RuntimeError: An answer was not 200.
    """
    return asyncio.run(
        _offered(port, paths, connections=connections, seconds=seconds, rate=rate)
    )


def sequential(port: int, paths: Sequence[str]) -> list[float]:
    """Return how long each path took, one after the other, in seconds."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    times = []
    for path in paths:
        began = time.perf_counter()
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        times.append(time.perf_counter() - began)
        if answer.status != http.HTTPStatus.OK:
            raise RuntimeError(f"{path} answered {answer.status}")
    connection.close()
    return times


def _wrk(
    port: int,
    paths: Sequence[str],
    connections: int,
    seconds: float,
    authorization: str | None,
) -> Load:
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "paths"
        listed.write_text("\n".join(paths), encoding="utf-8")
        script = Path(folder) / "random.lua"
        script.write_text(_LUA % listed, encoding="utf-8")
        output = subprocess.run(
            [
                *("wrk", "--threads", "1", "--latency"),
                *("--connections", str(connections)),
                *("--duration", f"{seconds:.0f}s", "--script", str(script)),
                *(
                    ()
                    if authorization is None
                    else ("--header", f"Authorization: {authorization}")
                ),
                f"http://127.0.0.1:{port}",
            ],
            check=True,
            capture_output=True,
            text=True,
            timeout=seconds + 60,
        ).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        raise RuntimeError(f"not all answers were 200:\n{output}")
    return Load(
        requests_per_second=float(_found(r"Requests/sec:\s+([0-9.]+)", output)),
        p50=_seconds(_found(r"(?m)^\s+50%\s+(\S+)\s*$", output)),
        p99=_seconds(_found(r"(?m)^\s+99%\s+(\S+)\s*$", output)),
    )


async def _offered(
    port: int,
    paths: Sequence[str],
    *,
    connections: int,
    seconds: float,
    rate: float | None = None,
    authorization: str | None = None,
) -> Load:
    """Load by one event loop: each planned start is met by the next free connection."""
    began = time.perf_counter()
    until = began + seconds
    plan = itertools.count() if rate is None else _planned(began, until, rate)
    wanted = zip(plan, itertools.cycle(paths), strict=False)
    times: list[float] = []

    async def work() -> None:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, limit=_MOST_OF_HEAD
        )
        try:
            for start, path in wanted:
                planned = time.perf_counter() if rate is None else start
                if planned >= until:
                    break
                await asyncio.sleep(planned - time.perf_counter())
                await _ask(reader, writer, path, authorization)
                times.append(time.perf_counter() - planned)
        finally:
            writer.close()

    async with (
        asyncio.timeout(seconds + _GIVES_UP_AFTER_S),
        asyncio.TaskGroup() as all_,
    ):
        for _ in range(connections):
            all_.create_task(work())
    lasted = time.perf_counter() - began
    times.sort()
    return Load(
        requests_per_second=len(times) / lasted,
        p50=times[len(times) // 2],
        p99=times[len(times) * 99 // 100],
    )


def _planned(began: float, until: float, rate: float) -> Iterator[float]:
    return itertools.takewhile(
        lambda start: start < until,
        (began + number / rate for number in itertools.count()),
    )


async def _ask(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    path: str,
    authorization: str | None,
) -> None:
    token = "" if authorization is None else f"Authorization: {authorization}\r\n"
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{token}\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    if not head.startswith(b"HTTP/1.1 200 ") or length is None:
        raise RuntimeError(f"{path} answered {head[:15].decode('latin-1')}")
    await reader.readexactly(int(length[1]))


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise RuntimeError(f"wrk said something else:\n{text}")
    return match[1]


def _seconds(text: str) -> float:
    unit = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
    match = re.fullmatch(r"([0-9.]+)(us|ms|s)", text)
    if match is None:
        raise RuntimeError(f"wrk said {text}")
    return float(match[1]) * unit[match[2]]
