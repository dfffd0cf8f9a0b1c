"""
What searches feel of the refresh: B6 and B9.

A worker asks all sources at full budget, one call a second and source, and every answer
changes a block. The tail of a search is then told against its middle, and against the
tail when one source hangs.
"""

import http.client
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import orjson

from bench.figure import Figure
from bench.load import Load, load
from bench.search import CONNECTIONS, random_searches
from bench.serving import FilledWorld, Server, body, filled, free_port, serving
from bench.world import World

__all__ = ["refreshing"]

_SECONDS = 8.0
_ROUNDS = 3
_A_ROUND = 40_000
# Old enough to be due at every source, young enough to be fresh: see `World`.
_AGE = timedelta(hours=11)
_WAIT_S = 90.0
_HANGING = "region-07"


def refreshing(slots: int) -> Iterator[Figure]:
    """Return the figures of searches while a worker refreshes."""
    port = free_port()
    with (
        filled(
            World(slots=slots), endpoint=f"http://127.0.0.1:{port}/", age=_AGE
        ) as place,
        serving(place) as server,
        _running("bench.regions", str(port), str(slots), place=place),
    ):
        (quiet,) = _loads(server, place, rounds=1)
        with _running("fhir_gateway.cli", "worker", place=place):
            yield from _with_worker(server, place, port, quiet)


def _with_worker(
    server: Server, place: FilledWorld, port: int, quiet: Load
) -> Iterator[Figure]:
    _until(lambda: _answered(port) >= place.world.sources, "no source was asked")
    began, before = time.monotonic(), _answered(port)
    well = _loads(server, place)
    rate = (_answered(port) - before) / (time.monotonic() - began)
    _hang(port)
    _until(lambda: _is_missed(server, place), "nobody missed the hanging source")
    hanging = _loads(server, place)
    yield Figure.at_most(
        "B6",
        "p99 ÷ p50 of B1, a worker asking 21 sources once a second each",
        {"": statistics.median(each.p99 / each.p50 for each in well)},
        5,
        f"{_shown(well)}, without a worker {_shown([quiet])};"
        f" {rate:.0f} answers/s stored meanwhile",
    )
    yield Figure.at_most(
        "B9",
        "p99 of that, one of 21 sources hanging 30 s a call ÷ without",
        {
            "": statistics.median(each.p99 for each in hanging)
            / statistics.median(each.p99 for each in well)
        },
        1.5,
        _shown(hanging),
    )


def _loads(server: Server, place: FilledWorld, *, rounds: int = _ROUNDS) -> list[Load]:
    paths = random_searches(place.world)
    return [
        load(server.port, paths(_A_ROUND), connections=CONNECTIONS, seconds=_SECONDS)
        for _ in range(rounds)
    ]


def _shown(loads: list[Load]) -> str:
    p50, p99 = (
        statistics.median(getattr(each, name) for each in loads) * 1000
        for name in ("p50", "p99")
    )
    return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms"


@contextmanager
def _running(module: str, *arguments: str, place: FilledWorld) -> Iterator[None]:
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


def _hang(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("PUT", "/", _HANGING)
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
