"""
What bookings cost, and what they cost searches: K1 to K5.

The sandbox's regions answer real SOAP from this process, the gateway is one of its own.
"""

import http.client
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson

from bench.access import audit_of_a_booking
from bench.figure import Figure
from bench.load import load
from bench.serving import FilledWorld, Server, serving
from bench.world import World
from fhir_gateway.bootstrap import Program, program
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model.person import PersonalIdentityNumber, SubjectOfCare
from fhir_gateway.model.scheduling import MakeBooking
from fhir_gateway.model.timekeeping import civil_date, now
from fhir_gateway.model.timeslot import Timeslot, TimeslotToken
from fhir_gateway.sandbox.server import SandboxServer
from fhir_gateway.sandbox_sources import COVID_VACCINATION, write_sources
from fhir_gateway.settings import Settings
from fhir_gateway.stores.embedded_redis import EmbeddedRedis

__all__ = ["bookings"]

_REGION = "norr"
_SLOTS = 60_000
_IN_A_ROW = 40
_RUSH = 500
_RUSHED_SLOTS = 20
_HANGING = 80
_HANGS_S = 40
_SECONDS = 2.0
_ROUNDS = 3
_CONNECTIONS = 16
_PARALLEL = 200
_GIVES_UP_AFTER_S = 60.0
_TIMEOUT_S = 90.0
# What the gateway answers when it refuses a request.
_RETRY_AFTER_S = 30.0
_CREATED = 201
_BUSY = 503


def bookings() -> Iterator[Figure]:
    """Return the figures of bookings."""
    with _place() as place:
        with serving(place.filled) as server:
            yield _overhead(place, server)
            yield audit_of_a_booking(
                place.filled, _overheads(place, server, _IN_A_ROW)[2]
            )
            yield _rush(place, server)
            yield _storm(place, server)
            one = _rate(place, server)
            # The last: what hangs goes on hanging for a while.
            yield _hanging(place, server)
        with serving(place.filled, processes=2) as server:
            two = _rate(place, server)
        yield Figure.reported(
            "K5",
            f"bookings/s of {_CONNECTIONS} clients: 2 web processes ÷ 1",
            two / one,
            f"{one:.0f}/s with one",
        )


@dataclass(frozen=True, kw_only=True)
class _Place:
    """
    Regions, a Redis that knows their free times, and residents who want one.

    Attributes:
        slots: Free slots of the region, each to be given away once.
        residents: Test persons, likewise.
    """

    sandbox: SandboxServer
    made: Program
    filled: FilledWorld
    slots: Iterator[str]
    residents: Iterator[PersonalIdentityNumber]

    def timeslot(self, slot: str) -> Timeslot:
        """Return a slot as the region knows it."""
        token = TimeslotToken.parse(slot)
        known = self.made.view.snapshot.known(token.schedule)
        if known is None:
            raise RuntimeError("a slot of an unknown schedule")
        return Timeslot(
            schedule=known.schedule, start=token.starts_at, end=token.ends_at
        )

    def spoil(self, fault: dict[str, object] | None) -> None:
        """Let the region's writes go wrong from now on; None heals them."""
        _ask(
            self.sandbox,
            "DELETE" if fault is None else "POST",
            f"/faults/{_REGION}",
            None if fault is None else orjson.dumps(fault),
        )


@contextmanager
def _place() -> Iterator[_Place]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        sandbox = stack.enter_context(SandboxServer(port=0, slots=_SLOTS))
        redis = stack.enter_context(EmbeddedRedis(folder))
        sources = write_sources(folder, sandbox.url, _SLOTS, Vocabulary())
        sources.write_text(
            sources.read_text(encoding="utf-8").replace(
                "calls_per_second = 20", "calls_per_second = 1000"
            ),
            encoding="utf-8",
        )
        environment = {
            "REDIS_URL": redis.url,
            "FHIR_GATEWAY_SOURCES": str(sources),
            "FHIR_GATEWAY_DATA_DIR": str(folder),
        }
        made = stack.enter_context(
            program(Settings.from_environment(environment), redis.url)
        )
        with ThreadPoolExecutor() as executor:
            list(executor.map(lambda refresh: refresh.run_once(), made.refreshes))
        made.view.catch_up()
        yield _Place(
            sandbox=sandbox,
            made=made,
            filled=FilledWorld(
                world=World(slots=_SLOTS),
                slots=_SLOTS,
                redis_bytes=0,
                environment=environment,
            ),
            slots=iter(_free_slots(made)),
            residents=_residents(),
        )


def _free_slots(made: Program) -> list[str]:
    client = made.app.test_client()
    url: str | None = f"/fhir/Slot?service-type={COVID_VACCINATION.code}&_count=1000"
    found = []
    while url is not None:
        bundle = client.get(url).get_json()
        found += [
            entry["resource"]["id"]
            for entry in bundle["entry"]
            if entry["resource"].get("meta", {}).get("source", "").endswith(_REGION)
        ]
        url = next(
            (
                "/fhir/" + link["url"].partition("/fhir/")[2]
                for link in bundle["link"]
                if link["relation"] == "next"
            ),
            None,
        )
    return found


def _residents() -> Iterator[PersonalIdentityNumber]:
    """Yield numbers that no resident has: Skatteverket keeps serials from 980."""
    for year, month, day, serial in itertools.product(
        range(1960, 1990), range(1, 13), range(1, 29), range(980, 1000)
    ):
        for check in range(10):
            try:
                number = PersonalIdentityNumber(
                    f"{year}{month:02}{day:02}{serial}{check}"
                )
            except ValueError:
                continue
            yield number
            break


def _overhead(place: _Place, server: Server) -> Figure:
    """
    K1: bookings one after the other, alternating with the same write made directly.

    The sandbox answers within milliseconds, which no region does; so the note has the
    same with a region that takes 50 ms for each answer.
    """
    over, call, total = _overheads(place, server, _IN_A_ROW)
    place.spoil({"fault": "answer-late", "seconds": 0.05})
    slow_over, slow_call, _ = _overheads(place, server, _IN_A_ROW // 2)
    place.spoil(None)
    return Figure.at_most(
        "K1",
        "a booking less the region's own time ÷ one direct MakeBooking",
        {"": over / call},
        3,
        f"{total * 1000:.1f} ms a booking, {over * 1000:.1f} ms of it not the region's;"
        f" {call * 1000:.1f} ms a direct call; {slow_over / slow_call:.2g} where the"
        " region takes 50 ms more for each answer",
    )


def _overheads(place: _Place, server: Server, count: int) -> tuple[float, float, float]:
    """Return medians: what is not the region's, a direct call, a whole booking."""
    adapter = next(
        each.adapter for each in place.made.sources if each.source.name == _REGION
    )
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    over, direct, totals = [], [], []
    for _ in range(count):
        own = place.sandbox.answering_s(_REGION)
        began = time.perf_counter()
        status = _booked(connection, next(place.slots), next(place.residents))
        total = time.perf_counter() - began
        if status != _CREATED:
            raise RuntimeError(f"a booking answered {status}")
        totals.append(total)
        over.append(total - (place.sandbox.answering_s(_REGION) - own))
        request = MakeBooking(
            timeslot=place.timeslot(next(place.slots)),
            subject_of_care=SubjectOfCare(
                number=next(place.residents), first_name="Anna", last_name="Testlund"
            ),
        )
        began = time.perf_counter()
        adapter.make_booking(request, timeout=_TIMEOUT_S)
        direct.append(time.perf_counter() - began)
    connection.close()
    return statistics.median(over), statistics.median(direct), statistics.median(totals)


def _rush(place: _Place, server: Server) -> Figure:
    """K2: many clients want few slots; clients repeat when the answer says so."""
    slots = [next(place.slots) for _ in range(_RUSHED_SLOTS)]
    wanted = [
        (slots[client % _RUSHED_SLOTS], next(place.residents))
        for client in range(_RUSH)
    ]
    began = time.monotonic()
    statuses = _at_once(
        lambda each: _booked_in_the_end(server, *each), wanted, threads=_RUSH
    )
    lasted = time.monotonic() - began
    sold = Counter(statuses)[_CREATED]
    in_the_book = _in_the_book(place, {number for _, number in wanted})
    return Figure(
        id="K2",
        what=f"slots sold when {_RUSH} clients want {_RUSHED_SLOTS}",
        value=sold,
        reach=f"= {_RUSHED_SLOTS}",
        reached=sold == in_the_book == _RUSHED_SLOTS,
        note=f"{in_the_book} in the region's book; {lasted:.1f} s;"
        f" {dict(sorted(Counter(statuses).items()))}",
    )


def _storm(place: _Place, server: Server) -> Figure:
    """K3: the same bookings while a worker asks for everything as fast as it can."""
    calm = statistics.median(_in_a_row(place, server))
    # A second after it was asked, everything is to be asked again.
    sources = Path(place.filled.environment["FHIR_GATEWAY_SOURCES"])
    hurried = sources.with_name("hurried.toml")
    hurried.write_text(
        sources.read_text(encoding="utf-8").replace(
            "calls_per_second", "fresh_for_s = 3\ncalls_per_second"
        ),
        encoding="utf-8",
    )
    own = place.sandbox.answering_s(_REGION)
    worker = subprocess.Popen(
        [sys.executable, "-m", "fhir_gateway", "worker"],
        env={
            **os.environ,
            **place.filled.environment,
            "FHIR_GATEWAY_SOURCES": str(hurried),
        },
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + _GIVES_UP_AFTER_S
    try:
        while place.sandbox.answering_s(_REGION) == own:
            if time.monotonic() > deadline or worker.poll() is not None:
                raise RuntimeError("the worker asks nothing")
            time.sleep(0.05)
        stormy = statistics.median(_in_a_row(place, server))
        asked_s = place.sandbox.answering_s(_REGION) - own
    finally:
        worker.terminate()
        worker.wait(_TIMEOUT_S)
    return Figure.reported(
        "K3",
        "median booking while a worker refreshes without a pause ÷ without",
        stormy / calm,
        f"{calm * 1000:.1f} ms, {stormy * 1000:.1f} ms; the region answered for"
        f" {asked_s:.1f} s meanwhile",
    )


def _hanging(place: _Place, server: Server) -> Figure:
    """K4: searches, while 80 clients try to book at a region that hangs."""
    today = civil_date(now())
    path = [
        f"/fhir/Slot?service-type=http://snomed.info/sct%7C{COVID_VACCINATION.code}"
        f"&start=ge{today + timedelta(days=day)}&_count=50"
        for day in range(40)
    ]

    def p99() -> float:
        return statistics.median(
            load(server.port, path, connections=_CONNECTIONS, seconds=_SECONDS).p99
            for _ in range(_ROUNDS)
        )

    before = p99()
    place.spoil({"fault": "hang", "seconds": _HANGS_S, "interactions": ["MakeBooking"]})
    stop = threading.Event()
    statuses: Counter[int] = Counter()

    def insist(slot: str, number: PersonalIdentityNumber) -> None:
        while not stop.is_set():
            statuses[_booked_once(server, slot, number)] += 1
            stop.wait(_RETRY_AFTER_S)

    threads = [
        threading.Thread(target=insist, args=(next(place.slots), next(place.residents)))
        for _ in range(_HANGING)
    ]
    for thread in threads:
        thread.start()
    stop.wait(2)
    among = p99()
    stop.set()
    place.spoil(None)
    for thread in threads:
        thread.join()
    after = p99()
    return Figure.at_most(
        "K4",
        f"p99 of searches with {_HANGING} bookings hanging ÷ without",
        {"": among / statistics.mean((before, after))},
        1.5,
        f"{before * 1000:.1f} ms before, {among * 1000:.1f} ms among,"
        f" {after * 1000:.1f} ms after; answers {dict(sorted(statuses.items()))}",
    )


def _rate(place: _Place, server: Server) -> float:
    """Return how many bookings a second some clients get done."""
    wanted = [(next(place.slots), next(place.residents)) for _ in range(_PARALLEL)]
    began = time.monotonic()
    statuses = _at_once(
        lambda each: _booked_in_the_end(server, *each), wanted, threads=_CONNECTIONS
    )
    if set(statuses) != {_CREATED}:
        raise RuntimeError(f"bookings answered {Counter(statuses)}")
    return _PARALLEL / (time.monotonic() - began)


def _in_a_row(place: _Place, server: Server) -> list[float]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    times = []
    for _ in range(_IN_A_ROW):
        began = time.perf_counter()
        status = _booked(connection, next(place.slots), next(place.residents))
        times.append(time.perf_counter() - began)
        if status != _CREATED:
            raise RuntimeError(f"a booking answered {status}")
    connection.close()
    return times


def _at_once(
    work: Callable[[Any], int], wanted: list[Any], *, threads: int
) -> list[int]:
    with ThreadPoolExecutor(threads) as executor:
        return list(executor.map(work, wanted))


def _booked_in_the_end(
    server: Server, slot: str, number: PersonalIdentityNumber
) -> int:
    """Return the status of a booking, tried again while the gateway is too busy."""
    deadline = time.monotonic() + _GIVES_UP_AFTER_S
    while True:
        status = _booked_once(server, slot, number)
        if status != _BUSY or time.monotonic() > deadline:
            return status
        time.sleep(0.5)


def _booked_once(server: Server, slot: str, number: PersonalIdentityNumber) -> int:
    connection = http.client.HTTPConnection(
        "127.0.0.1", server.port, timeout=_TIMEOUT_S
    )
    try:
        return _booked(connection, slot, number)
    finally:
        connection.close()


def _booked(
    connection: http.client.HTTPConnection, slot: str, number: PersonalIdentityNumber
) -> int:
    identifier = {
        "system": "http://electronichealth.se/identifier/personnummer",
        "value": number.reveal(),
    }
    connection.request(
        "POST",
        "/fhir/Appointment",
        orjson.dumps(
            {
                "resourceType": "Appointment",
                "status": "proposed",
                "contained": [
                    {
                        "resourceType": "Patient",
                        "id": "patient",
                        "identifier": [identifier],
                        "name": [{"family": "Testlund", "given": ["Anna"]}],
                    }
                ],
                "slot": [{"reference": f"Slot/{slot}"}],
                "participant": [
                    {
                        "actor": {"reference": "#patient", "identifier": identifier},
                        "status": "needs-action",
                    }
                ],
            }
        ),
        {"Content-Type": "application/fhir+json"},
    )
    answer = connection.getresponse()
    answer.read()
    return answer.status


def _in_the_book(place: _Place, residents: set[PersonalIdentityNumber]) -> int:
    """Return how many bookings the region has of some residents."""
    numbers = {each.reveal() for each in residents}
    ledger = orjson.loads(_ask(place.sandbox, "GET", f"/ledger/{_REGION}"))
    return sum(each["subject_of_care"] in numbers for each in ledger["bookings"])


def _ask(
    sandbox: SandboxServer, method: str, path: str, body: bytes | None = None
) -> bytes:
    connection = http.client.HTTPConnection(
        sandbox.url.removeprefix("http://"), timeout=_TIMEOUT_S
    )
    connection.request(method, path, body)
    answer = connection.getresponse().read()
    connection.close()
    return answer
