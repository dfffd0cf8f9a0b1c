"""
Load: `wrk` where it is installed, else threads of our own.

The threads share a processor with nothing but each other, and still cost more than wrk;
they weigh on the floor as much as on what is measured, and figures are ratios.
"""

import http.client
import itertools
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Load", "load", "sequential"]

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


def load(port: int, paths: Sequence[str], *, connections: int, seconds: float) -> Load:
    """
    Ask for paths over keep-alive connections for some seconds.

    They are asked for in their order, and again from the first when all have been.

    Raises:
        RuntimeError: An answer was not 200.
    """
    if shutil.which("wrk"):
        return _wrk(port, paths, connections, seconds)
    return _threads(port, paths, connections, seconds)


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


def _wrk(port: int, paths: Sequence[str], connections: int, seconds: float) -> Load:
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


def _threads(port: int, paths: Sequence[str], connections: int, seconds: float) -> Load:
    paths = list(paths)
    times: list[float] = []
    failures: list[BaseException] = []
    until = time.monotonic() + seconds

    def ask(first: int) -> None:
        own = itertools.cycle(paths[first:] + paths[:first])
        try:
            while time.monotonic() < until:
                times.extend(sequential(port, list(itertools.islice(own, 20))))
        except (OSError, RuntimeError, http.client.HTTPException) as error:
            failures.append(error)

    threads = [
        threading.Thread(target=ask, args=(number * len(paths) // connections,))
        for number in range(connections)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise RuntimeError("the load failed") from failures[0]
    times.sort()
    return Load(
        requests_per_second=len(times) / seconds,
        p50=times[len(times) // 2],
        p99=times[len(times) * 99 // 100],
    )


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
