"""
What a resident's list costs: L1 and L2.

Each of 21 sources lists one booking of the resident, over real SOAP. The gateway and
the sources are processes of their own.

    python -m bench.lists
"""

import http.client
import itertools
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

from bench.figure import Figure
from bench.refreshing import hang, running
from bench.serving import filled, free_port, serving
from bench.world import World
from fhir_gateway.model.person import PersonalIdentityNumber

__all__ = ["lists"]

_SOURCES = 21
_WITHIN_S = 1
_ROUNDS = 9
_CLIENTS = 16
_SECONDS = 5.0
_HANGING = "region-07"
_SYSTEM = "http://electronichealth.se/identifier/personnummer"
_WAIT_S = 30.0


def lists() -> Iterator[Figure]:
    """Return the figures of lists."""
    port = free_port()
    world = World(slots=0, units=_SOURCES, sources=_SOURCES)
    environment = {"FHIR_GATEWAY_LISTS_WITHIN_S": str(_WITHIN_S)}
    numbers = _numbers()
    with filled(world, endpoint=f"http://127.0.0.1:{port}/") as place:
        _list_at_one_address(Path(place.environment["FHIR_GATEWAY_SOURCES"]), world)
        with (
            running("bench.regions", str(port), "0", place=place),
            serving(place, environment=environment) as server,
        ):
            client = _Client(server.port)
            one = next(numbers)
            _until_whole(client, one)
            well = [client.seconds(one) for _ in range(_ROUNDS)]
            # Each client has a resident of its own.
            rate = _rate(server.port, list(itertools.islice(numbers, _CLIENTS)))
            hang(port, _HANGING)
            hanging = [client.seconds(one) for _ in range(_ROUNDS)]
            hang(port, "")
    usual, spoilt = statistics.median(well), statistics.median(hanging)
    yield Figure.at_most(
        "L1",
        f"a list over {_SOURCES} sources, one hanging, after its deadline ÷ with none",
        {"": max(0.0, spoilt - _WITHIN_S) / usual},
        1.2,
        f"{spoilt * 1000:.0f} ms with a deadline of {_WITHIN_S} s,"
        f" {usual * 1000:.0f} ms with none",
    )
    yield Figure.reported(
        "L2",
        f"lists/s of {_CLIENTS} clients over {_SOURCES} sources, 1 web process",
        rate,
        f"{rate * _SOURCES:.0f} calls/s",
    )


def _list_at_one_address(path: Path, world: World) -> None:
    """Let each source list all its bookings at the address of its only unit."""
    text = path.read_text(encoding="utf-8")
    for unit in world.all_units():
        text = text.replace(
            f"[sources.{unit.source}]\n",
            f'[sources.{unit.source}]\nschedule_address = "{unit.hsa_id}"\n',
        )
    path.write_text(text, encoding="utf-8")


class _Client:
    """Asks for lists over one connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(self, number: str) -> bytes:
        """Return a resident's list."""
        self._connection.request(
            "POST",
            "/fhir/Appointment/_search",
            f"patient.identifier={quote(f'{_SYSTEM}|{number}', safe='')}",
            {"Content-Type": "application/x-www-form-urlencoded"},
        )
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != HTTPStatus.OK:
            raise RuntimeError(f"a list answered {answer.status}")
        return body

    def seconds(self, number: str) -> float:
        """Return how long a list takes."""
        began = time.perf_counter()
        self.ask(number)
        return time.perf_counter() - began


def _until_whole(client: _Client, number: str) -> None:
    """Wait until the sources answer, and each has its booking in the list."""
    deadline = time.monotonic() + _WAIT_S
    while client.ask(number).count(b'"resourceType":"Appointment"') < _SOURCES:
        if time.monotonic() > deadline:
            raise RuntimeError("no list is whole")
        time.sleep(0.2)


def _rate(port: int, numbers: list[str]) -> float:
    """Return how many lists a second so many clients get."""
    counts = []
    with _stopping() as stopped:

        def ask(number: str) -> None:
            client, count = _Client(port), 0
            while not stopped.is_set():
                client.ask(number)
                count += 1
            counts.append(count)

        threads = [threading.Thread(target=ask, args=(each,)) for each in numbers]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        time.sleep(_SECONDS)
    for thread in threads:
        thread.join()
    return sum(counts) / (time.monotonic() - began)


@contextmanager
def _stopping() -> Iterator[threading.Event]:
    event = threading.Event()
    try:
        yield event
    finally:
        event.set()


def _numbers() -> Iterator[str]:
    """Return numbers in the form of Skatteverket's test numbers, each once."""
    for ordinal in itertools.count():
        stem = f"19{60 + ordinal // 28 % 40:02}01{1 + ordinal % 28:02}238"
        for check in range(10):
            try:
                yield PersonalIdentityNumber(f"{stem}{check}").reveal()
            except ValueError:
                continue
            break


if __name__ == "__main__":
    for figure in lists():
        print(figure.id, figure.what, f"{figure.value:.3g}", figure.note)
