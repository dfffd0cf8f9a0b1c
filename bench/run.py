"""
`make bench`: what searches cost, each as a ratio to a floor of the same run.
"""

import argparse
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import orjson
from rich.console import Console
from rich.table import Table

from bench.access import searches_with_a_token
from bench.booking import bookings
from bench.figure import Figure
from bench.half_sent import half_sent
from bench.lists import lists
from bench.memory import bytes_a_slot
from bench.parsing import parsing
from bench.refreshing import refreshing
from bench.search import (
    answer_floor,
    first_per_unit,
    median_of_search,
    ratio_of_medians,
    ratio_of_processes,
    searches,
    throughput,
    with_actors,
)
from bench.serving import filled, free_port, serving
from bench.world import World

_SLOTS = 1_000_000
# Old enough to be due at every source, young enough to be fresh: see `World`.
_AGE = timedelta(hours=11)
_RESULTS = Path(__file__).with_name("results.json")


def main() -> None:
    """Measure, print a table, write `bench/results.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--slots",
        type=int,
        default=_SLOTS,
        help="how many free times; three times as many for B5 (default %(default)s)",
    )
    options = parser.parse_args()
    console = Console()
    progress = Console(stderr=True)
    began = time.monotonic()
    figures = []
    for figure in measured(options.slots):
        shown = "" if figure.value is None else f" {figure.value:.3g}"
        seconds = time.monotonic() - began
        progress.print(f"{figure.id}{shown} after {seconds:.0f} s: {figure.note}")
        figures.append(figure)
    figures.sort(key=lambda figure: (figure.id[0], int(figure.id[1:])))
    console.print(_table(figures))
    _RESULTS.write_bytes(
        orjson.dumps(
            {
                "figures": [
                    {
                        "id": each.id,
                        "value": each.value,
                        "reach": each.reach,
                        "reached": each.reached,
                        "note": f"{each.what}: {each.note}",
                    }
                    for each in figures
                ]
            },
            option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE,
        )
    )


def measured(slots: int) -> Iterator[Figure]:
    """Return the figures one by one, as they are measured."""
    yield parsing()
    nothing = World(slots=0, units=1, sources=1)
    with filled(nothing) as place, serving(place) as server:
        # Threads and buffers of answers are there however many free times there are.
        answer_floor(server)
        empty = server.resident_bytes()
    port = free_port()
    with filled(
        World(slots=slots), endpoint=f"http://127.0.0.1:{port}/", age=_AGE
    ) as place:
        with serving(place) as server:
            read = server.resident_bytes()
            yield from searches(server, place)
            searched = server.resident_bytes()
            yield with_actors(server, place)
            yield bytes_a_slot(
                place,
                empty=empty,
                read=read,
                searched=searched,
                included=server.resident_bytes(),
            )
            one = throughput(server, place)
            yield from half_sent(server, place)
        with serving(place, processes=2) as server:
            yield ratio_of_processes(throughput(server, place), one)
        yield searches_with_a_token(place)
        # Last: from here on a worker has reported sources that answer too little.
        with serving(place) as server:
            yield from refreshing(server, place, port)
    yield from bookings()
    yield from lists()
    with filled(World(slots=10_000, units=400)) as place, serving(place) as server:
        small = median_of_search(server, place)
    with filled(World(slots=3 * slots)) as place, serving(place) as server:
        yield ratio_of_medians(median_of_search(server, place), small, place.slots)
        yield first_per_unit(server, place)


def _table(figures: list[Figure]) -> Table:
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
    return table


if __name__ == "__main__":
    main()
