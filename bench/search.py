"""
What searches cost against a floor: B1 to B5, and B10.

The floor is a bare route of the same server that returns a constant of the same size.
"""

import statistics
from collections.abc import Callable, Iterator
from datetime import timedelta
from random import Random

from bench.figure import Figure
from bench.load import load, sequential
from bench.serving import FilledWorld, Server, body
from bench.world import World
from fhir_gateway.model.care_unit import Position
from fhir_gateway.model.timekeeping import civil_date, now

__all__ = [
    "CONNECTIONS",
    "answer_floor",
    "first_per_unit",
    "median_of_search",
    "random_searches",
    "ratio_of_medians",
    "ratio_of_processes",
    "searches",
    "throughput",
    "with_actors",
]

CONNECTIONS = 16
_SECONDS = 2.0
_ROUNDS = 3
# Bytes of fifty free times.
_PAGE = 48_000
# More than any server answers within a round: no search comes twice.
_A_ROUND = 20_000

Paths = Callable[[int], list[str]]


def random_searches(
    world: World, *, suffix: Callable[[Random], str] | None = None
) -> Paths:
    """
    Return what makes so many searches of a random type and start, 50 a page.

    The start is random to the second, so that hardly any search is ever the same as
    another: what is kept of whole answers cannot help.
    """
    chance = Random(5)  # noqa: S311 - a load, no secret
    today = civil_date(now())

    def paths(count: int) -> list[str]:
        return [
            "/fhir/Slot?service-type=http://snomed.info/sct%7C"
            f"{chance.choice(world.codes)}"
            f"&start=ge{today + timedelta(days=chance.randint(1, 40))}"
            f"T{chance.randint(8, 15):02}:{chance.randint(0, 59):02}"
            f":{chance.randint(0, 59):02}%2B01:00"
            "&status=free&_sort=start&_count=50" + (suffix(chance) if suffix else "")
            for _ in range(count)
        ]

    return paths


def searches(server: Server, place: FilledWorld) -> Iterator[Figure]:
    """Return the figures of searches against their floors: B1 to B3."""
    world = place.world
    units = [unit.hsa_id for unit in world.all_units()]
    value, note = _against_floor(server, random_searches(world))
    yield Figure.at_least(
        "B1", "search, random type and start ÷ floor", {"": value}, 0.40, note
    )
    repeated = random_searches(world)(1)
    value, note = _against_floor(server, lambda _: repeated)
    yield Figure.at_least(
        "B2", "one identical search repeated ÷ floor", {"": value}, 0.80, note
    )
    positions = [unit.position for unit in world.all_units() if unit.position]
    narrowed: dict[str, Callable[[Random], str]] = {
        "one region": lambda chance: (
            "&_source=https://fhir-gateway.example.org/source/"
            + chance.choice(world.source_names())
        ),
        "20 km": lambda chance: _near(chance.choice(positions)),
        "5 units": lambda chance: (
            f"&schedule.actor:Location={','.join(chance.sample(units, 5))}"
        ),
    }
    parts = {}
    notes = []
    for name, suffix in narrowed.items():
        parts[name], note = _against_floor(
            server, random_searches(world, suffix=suffix)
        )
        notes.append(note)
    yield Figure.at_least(
        "B3", "search filtered ÷ floor", parts, 0.30, "; ".join(notes)
    )


def first_per_unit(server: Server, place: FilledWorld) -> Figure:
    """
    Return the figure of searches for the first free time of each unit: B13.

    They and the searches of B1 are measured alternately.
    """
    firsts = random_searches(place.world, suffix=lambda _: "&first-per=unit")
    plain = random_searches(place.world)
    ratios, rates = [], []
    for _ in range(_ROUNDS):
        rate, found = (
            load(
                server.port, paths(_A_ROUND), connections=CONNECTIONS, seconds=_SECONDS
            ).requests_per_second
            for paths in (plain, firsts)
        )
        ratios.append(found / rate)
        rates.append(found)
    return Figure.at_least(
        "B13",
        "first free time of each unit, random type and start ÷ B1's search",
        {"": statistics.median(ratios)},
        0.80,
        f"{statistics.median(rates):.0f}/s, ratios {min(ratios):.2f} to"
        f" {max(ratios):.2f}",
    )


def with_actors(server: Server, place: FilledWorld) -> Figure:
    """Return the figure of searches with all that they include: B4."""
    value, note = _against_floor(
        server,
        random_searches(
            place.world,
            suffix=lambda _: "&_include=Slot:schedule&_include:iterate=Schedule:actor",
        ),
    )
    return Figure.at_least(
        "B4", "search with schedules and actors ÷ floor", {"": value}, 0.30, note
    )


def answer_floor(server: Server) -> None:
    """Let a server answer a while with constants of a page's size."""
    load(
        server.port, [f"/floor/{_PAGE}"], connections=CONNECTIONS, seconds=_ROUNDS * 2.0
    )


def _near(position: Position) -> str:
    return (
        "&schedule.actor:Location.near="
        f"{position.latitude}%7C{position.longitude}%7C20%7Ckm"
    )


def throughput(server: Server, place: FilledWorld) -> float:
    """Return how many random searches a second are answered."""
    paths = random_searches(place.world)
    return statistics.median(
        load(
            server.port, paths(_A_ROUND), connections=CONNECTIONS, seconds=_SECONDS
        ).requests_per_second
        for _ in range(_ROUNDS)
    )


def median_of_search(server: Server, place: FilledWorld) -> float:
    """Return the median time of random searches over one connection, in seconds."""
    return statistics.median(
        sequential(server.port, random_searches(place.world)(2000))
    )


def ratio_of_medians(large: float, small: float, slots: int) -> Figure:
    """Return how the time of a search grows with how much there is: B5."""
    return Figure.at_most(
        "B5",
        f"median of B1, one connection: {slots:,} ÷ 10,000 slots",
        {"": large / small},
        1.3,
        f"{large * 1e6:.0f} µs, {small * 1e6:.0f} µs",
    )


def ratio_of_processes(two: float, one: float) -> Figure:
    """Return what a second web process brings: B10."""
    return Figure.reported(
        "B10",
        "2 web processes ÷ 1",
        two / one,
        f"{two:.0f}/s, {one:.0f}/s; on two processors, the load on one of them",
    )


def _against_floor(server: Server, paths: Paths) -> tuple[float, str]:
    """Return the ratio of searches to their floor, measured alternately, and a note."""
    sizes = [len(body(server.port, path)) for path in paths(20)]
    floor_path = [f"/floor/{round(statistics.mean(sizes))}"]
    ratios, rates = [], []
    for _ in range(_ROUNDS):
        floor = load(server.port, floor_path, connections=CONNECTIONS, seconds=_SECONDS)
        search = load(
            server.port, paths(_A_ROUND), connections=CONNECTIONS, seconds=_SECONDS
        )
        ratios.append(search.requests_per_second / floor.requests_per_second)
        rates.append(search.requests_per_second)
    note = (
        f"{statistics.median(rates):.0f}/s, {statistics.mean(sizes) / 1000:.0f} kB,"
        f" ratios {min(ratios):.2f} to {max(ratios):.2f}"
    )
    return statistics.median(ratios), note
