"""
What searches feel of the refresh: B6 and B9.

A worker asks all sources at full budget, one call a second and source, and every answer
changes a block. Searches come at planned times, at a part of the rate that could be
answered. Their tail is compared with their middle, and, alternately, with the tail when
one source hangs.
"""

import http.client
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import orjson

from bench.figure import Figure
from bench.load import Load, load, open_load
from bench.search import CONNECTIONS, random_searches
from bench.serving import FilledWorld, Server, body

__all__ = ["hang", "refreshing", "running"]

_SECONDS = 4.0
_ROUNDS = 2
# Of the rate that can be answered: clients come, they do not queue.
_SHARE = 0.4
_A_ROUND = 40_000
_WAIT_S = 90.0
_HANGING = "region-07"


def refreshing(server: Server, place: FilledWorld, port: int) -> Iterator[Figure]:
    """
    Return the figures of searches while a worker refreshes.

    Args:
        server: What is searched, with one web process.
        place: What is refreshed, at sources that answer at `port`.
        port: A free one.
    """
    with (
        running("bench.regions", str(port), str(place.world.slots), place=place),
        running("fhir_gateway", "worker", place=place),
    ):
        _until(lambda: _answered(port) >= place.world.sources, "no source was asked")
        rate = _SHARE * _most(server, place)
        began, before = time.monotonic(), _answered(port)
        well = [_load(server, place, rate)]
        stored = (_answered(port) - before) / (time.monotonic() - began)
        hanging = []
        for _ in range(_ROUNDS):
            hang(port, _HANGING)
            _until(lambda: _is_missed(server, place), "nobody missed what hangs")
            hanging.append(_load(server, place, rate))
            hang(port, "")
            _until(lambda: not _is_missed(server, place), "it was never found again")
            well.append(_load(server, place, rate))
    yield Figure.at_most(
        "B6",
        "p99 ÷ p50 of B1, a worker asking 21 sources once a second each",
        {"": statistics.median(each.p99 / each.p50 for each in well)},
        5,
        f"{_shown(well)}; {rate:.0f} searches/s, asked at planned times;"
        f" {stored:.0f} answers/s stored meanwhile",
    )
    yield Figure.at_most(
        "B9",
        "p99 of that, one of 21 sources hanging 30 s a call ÷ without",
        {
            "": statistics.median(each.p99 for each in hanging)
            / statistics.median(each.p99 for each in well)
        },
        1.5,
        f"{_shown(hanging)}, alternating with {_shown(well)}",
    )


def _most(server: Server, place: FilledWorld) -> float:
    """Return how many searches a second are answered when more are always waiting."""
    paths = random_searches(place.world)(_A_ROUND)
    return load(
        server.port, paths, connections=CONNECTIONS, seconds=_SECONDS
    ).requests_per_second


def _load(server: Server, place: FilledWorld, rate: float) -> Load:
    paths = random_searches(place.world)(int(rate * _SECONDS) + 1)
    return open_load(
        server.port, paths, connections=CONNECTIONS, seconds=_SECONDS, rate=rate
    )


def _shown(loads: list[Load]) -> str:
    p50, p99 = (
        statistics.median(getattr(each, name) for each in loads) * 1000
        for name in ("p50", "p99")
    )
    return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms"


@contextmanager
def running(module: str, *arguments: str, place: FilledWorld) -> Iterator[None]:
    """Run a module in a process of its own while this lasts."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        env={**os.environ, **place.environment},
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(_WAIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answered(port: int) -> int:
    """Return how many answers the sources have given; 0 while nobody listens."""
    try:
        return int(body(port, "/"))
    except OSError:
        return 0


def hang(port: int, source: str) -> None:
    """Let one source hang from now on, and no other."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("PUT", "/", source)
    connection.getresponse().read()
    connection.close()


def _is_missed(server: Server, place: FilledWorld) -> bool:
    """Return whether searches say that the hanging source's part is missing."""
    found = orjson.loads(body(server.port, random_searches(place.world)(1)[0]))
    return any(
        _HANGING in orjson.dumps(entry["resource"]).decode()
        for entry in found["entry"]
        if entry["search"]["mode"] == "outcome"
    )


def _until(condition: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + _WAIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(otherwise)
        time.sleep(0.2)
