"""
What searches cost while others send half a request and no more.
"""

import http.client
import itertools
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench.figure import Figure
from bench.search import random_searches
from bench.serving import FilledWorld, Server

__all__ = ["half_sent"]

_HALF_SENT = 200
_SECONDS = 3.0
_WITHIN_S = 5.0
_HEAD = (
    b"POST /fhir/Appointment HTTP/1.1\r\n"
    b"Host: localhost\r\n"
    b"Content-Type: application/fhir+json\r\n"
)
_HALVES = {"heads": _HEAD, "bodies": _HEAD + b'Content-Length: 1000\r\n\r\n{"resourceT'}


def half_sent(server: Server, place: FilledWorld) -> Iterator[Figure]:
    """
    Return the figure of searches among half-sent requests.

    Each search has a connection of its own, as a client that has just come.
    """
    paths = itertools.cycle(random_searches(place.world)(5_000))
    alone = _p99_ms(server, paths)
    among = {}
    for name, half in _HALVES.items():
        with _open(server, half):
            among[name] = _p99_ms(server, paths)
    worst = max(among.values())
    yield Figure.reported(
        "B11",
        f"p99 of searches among {_HALF_SENT} half-sent requests ÷ without",
        worst / alone,
        f"{alone:.1f} ms alone, "
        + ", ".join(f"{value:.1f} ms among {name}" for name, value in among.items()),
    )


@contextmanager
def _open(server: Server, half: bytes) -> Iterator[None]:
    """Keep connections open that have sent something, and send no more."""
    with ExitStack() as stack:
        for _ in range(_HALF_SENT):
            connection = socket.create_connection(("127.0.0.1", server.port))
            stack.enter_context(connection)
            connection.sendall(half)
        yield


def _p99_ms(server: Server, paths: Iterator[str]) -> float:
    """
    Return the 99th percentile of searches, one at a time.

    Raises:
        OSError: A search was not answered within seconds.
        RuntimeError: An answer was not 200.
    """
    times = []
    until = time.monotonic() + _SECONDS
    while time.monotonic() < until:
        began = time.perf_counter()
        connection = http.client.HTTPConnection(
            "127.0.0.1", server.port, timeout=_WITHIN_S
        )
        connection.request("GET", next(paths))
        answer = connection.getresponse()
        answer.read()
        connection.close()
        times.append(time.perf_counter() - began)
        if answer.status != http.HTTPStatus.OK:
            raise RuntimeError(f"a search answered {answer.status}")
    times.sort()
    return times[len(times) * 99 // 100] * 1000
