"""
`make bench`: what searches cost, each as a ratio to a floor of the same run.

The floor is the same server, the same processes and options, and a bare route that
returns a constant of the same size.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from random import Random

import orjson
from lxml import etree
from rich.console import Console
from rich.table import Table

from bench.answer import answer_of, stored
from bench.load import Load, load, sequential
from bench.world import World
from fhir_gateway.model.timekeeping import civil_date, now
from fhir_gateway.stores.embedded_redis import EmbeddedRedis
from fhir_gateway.stores.slot_store import RedisSlotStore

_SECONDS = 5.0
_CONNECTIONS = 16
_SLOTS = 1_000_000
_WAIT_S = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure: its value, what it should reach, and whether it does."""

    id: str
    what: str
    value: float | None
    reach: str
    reached: bool | None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running server and how much is in it."""

    port: int
    pid: int
    slots: int
    redis_bytes: int


def main() -> None:
    """Measure, print a table, write `bench/results.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--slots",
        type=int,
        default=_SLOTS,
        help="how many free times (default %(default)s)",
    )
    options = parser.parse_args()
    figures = list(measured(options.slots))
    table = Table(title="Ratios of one run")
    for heading in ("id", "figure", "value", "reach", "reached", "note"):
        table.add_column(heading, overflow="fold")
    for figure in figures:
        table.add_row(
            figure.id,
            figure.what,
            "" if figure.value is None else f"{figure.value:.3g}",
            figure.reach,
            {True: "yes", False: "no", None: "-"}[figure.reached],
            figure.note,
        )
    Console().print(table)
    Path(__file__).with_name("results.json").write_bytes(
        orjson.dumps(
            {"figures": [asdict(each) for each in figures]},
            option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE,
        )
    )


def measured(slots: int) -> Iterator[Figure]:
    """Return the figures one by one."""
    world = World(slots=slots)
    with serving(World(slots=0, units=1, sources=1)) as server:
        empty = resident_bytes(server.pid)
    with serving(world) as server:
        full = resident_bytes(server.pid)
        yield from searches(server, world)
        big = median_search(server, world)
        yield Figure(
            id="B7r",
            what="bytes a slot: Redis",
            value=server.redis_bytes / server.slots,
            reach="≤ 60",
            reached=server.redis_bytes / server.slots <= 60,  # noqa: PLR2004 - the reach
        )
        yield Figure(
            id="B7w",
            what="bytes a slot: a web process",
            value=(full - empty) / server.slots,
            reach="≤ 60",
            reached=(full - empty) / server.slots <= 60,  # noqa: PLR2004 - the reach
            note=f"resident {full >> 20} MiB, {empty >> 20} MiB with nothing",
        )
        one = searched(server, world).requests_per_second
    small_world = World(slots=10_000, sources=21, units=400)
    with serving(small_world) as server:
        small = median_search(server, small_world)
    yield Figure(
        id="B5",
        what=f"median of B1, one connection: {slots:,} ÷ 10,000 slots",
        value=big / small,
        reach="≤ 1.3",
        reached=big / small <= 1.3,  # noqa: PLR2004 - the reach
    )
    with serving(world, processes=2) as server:
        two = searched(server, world).requests_per_second
    yield Figure(
        id="B10",
        what="2 web processes ÷ 1",
        value=two / one,
        reach="report",
        reached=None,
        note="on two processors, the load on one of them",
    )
    yield parsing()


def searches(server: Server, world: World) -> Iterator[Figure]:
    """Return the figures of searches against their floors."""
    random_paths = paths(world)
    units = [unit.hsa_id for unit in world.all_units()]
    chance = Random(3)  # noqa: S311 - a load, no secret
    five = [
        f"{path}&schedule.actor:Location={','.join(chance.sample(units, 5))}"
        for path in random_paths
    ]
    included = [
        f"{path}&_include=Slot:schedule&_include:iterate=Schedule:actor"
        for path in random_paths
    ]
    for identifier, what, asked, reach in (
        ("B1", "search, random type and start", random_paths, 0.40),
        ("B2", "one identical search repeated", random_paths[:1], 0.80),
        ("B3", "search filtered to 5 units", five, 0.30),
        ("B4", "search with schedules and actors", included, 0.30),
    ):
        value, note = against_floor(server, asked)
        yield Figure(
            id=identifier,
            what=f"{what} ÷ floor",
            value=value,
            reach=f"≥ {reach:.2f}",
            reached=value >= reach,
            note=note,
        )


def against_floor(server: Server, asked: list[str]) -> tuple[float, str]:
    """Return the ratio of searches to their floor, measured in turn, and a note."""
    sizes = [len(body(server.port, path)) for path in asked[:20]]
    floor_path = [f"/floor/{round(statistics.mean(sizes))}"]
    ratios, rates = [], []
    for _ in range(3):
        floor = load(
            server.port, floor_path, connections=_CONNECTIONS, seconds=_SECONDS
        )
        search = load(server.port, asked, connections=_CONNECTIONS, seconds=_SECONDS)
        ratios.append(search.requests_per_second / floor.requests_per_second)
        rates.append(search.requests_per_second)
    note = (
        f"{statistics.median(rates):.0f}/s, {statistics.mean(sizes) / 1000:.0f} kB;"
        f" ratios {min(ratios):.2f} to {max(ratios):.2f}"
    )
    return statistics.median(ratios), note


def searched(server: Server, world: World) -> Load:
    """Return what came of random searches."""
    return load(server.port, paths(world), connections=_CONNECTIONS, seconds=_SECONDS)


def median_search(server: Server, world: World) -> float:
    """Return the median time of random searches over one connection."""
    return statistics.median(sequential(server.port, paths(world), count=1000))


def paths(world: World) -> list[str]:
    """Return searches of a random type and start, 50 a page."""
    chance = Random(5)  # noqa: S311 - a load, no secret
    today = civil_date(now())
    return [
        "/fhir/Slot?service-type=http://snomed.info/sct%7C"
        f"{chance.choice(world.codes)}"
        f"&start=ge{today + timedelta(days=chance.randint(1, 40))}"
        f"T{chance.randint(8, 15):02}:{chance.randint(0, 59):02}:00%2B01:00"
        "&status=free&_sort=start&_count=50"
        for _ in range(5000)
    ]


def parsing() -> Figure:
    """Return what an answer of 1,000 times costs, against a bare parse of it."""
    document = answer_of(1000)
    bare = cpu(lambda: etree.fromstring(document))
    full = cpu(lambda: stored(document))
    return Figure(
        id="B8",
        what="CPU from an answer of 1,000 times to its block ÷ bare lxml parse",
        value=full / bare,
        reach="≤ 5",
        reached=full / bare <= 5,  # noqa: PLR2004 - the reach
        note=f"{full * 1000:.1f} ms, {bare * 1000:.1f} ms",
    )


def cpu(work: Callable[[], object]) -> float:
    """Return the least CPU seconds that work took."""
    times = []
    for _ in range(15):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times)


def body(port: int, path: str) -> bytes:
    """Return what a path answers."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
        content: bytes = answer.read()
        return content


@contextmanager
def serving(
    world: World, *, processes: int = 1, port: int = 18_580
) -> Iterator[Server]:
    """Serve a world while this lasts."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        with EmbeddedRedis(folder) as redis:
            store = RedisSlotStore(redis.url)
            slots = world.fill(store) if world.slots else 0
            redis_bytes = store.used_bytes()
            store.close()
            # Port 9 refuses: nothing in a benchmark of searches asks a source.
            sources = world.write_sources(folder, "http://127.0.0.1:9/")
            environment = {
                **os.environ,
                "REDIS_URL": redis.url,
                "FHIR_GATEWAY_SOURCES": str(sources),
                "FHIR_GATEWAY_DATA_DIR": str(folder),
                "FHIR_GATEWAY_PROCESSES": str(processes),
                "PORT": str(port),
            }
            process = subprocess.Popen(
                [sys.executable, "-m", "bench.serve"], env=environment
            )
            try:
                _await_slots(port, world, slots, process)
                yield Server(
                    port=port,
                    pid=_worker_of(process.pid),
                    slots=slots,
                    redis_bytes=redis_bytes,
                )
            finally:
                process.terminate()
                process.wait(30)


def _await_slots(
    port: int, world: World, slots: int, process: subprocess.Popen[bytes]
) -> None:
    deadline = time.monotonic() + _WAIT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        try:
            found: Mapping[str, object] = orjson.loads(
                body(port, f"/fhir/Slot?service-type={world.codes[0]}&_count=0")
            )
        except (urllib.error.URLError, ConnectionError):
            found = {}
        if found and (found.get("total") or not slots):
            return
        time.sleep(0.2)
    raise RuntimeError("the server has no slots")


def _worker_of(pid: int) -> int:
    """Return the process that answers: the server's only child that serves."""
    children = [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit()
        and (entry / "stat").exists()
        and f" {pid} " in (entry / "stat").read_text().rpartition(")")[2][:20]
    ]
    return max(children, key=resident_bytes)


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


if __name__ == "__main__":
    main()
