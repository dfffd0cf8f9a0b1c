"""
The chaos test (`make torture`): many bookings under every mix of faults, with kills.

    BOOKINGS=10000 KILLS=500 CLIENTS=64 SEED=…
    DATABASE=sqlite | postgresql | all     or DATABASE_URL=…

It prints the counts of everything it tried and, last, how many promises were broken.
"""

import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from postgresql import NoPostgresql, running_postgresql
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from faults.clients import Driver, Telephone
from faults.fault import MIXES, Mix
from faults.history import History
from faults.index_faults import IndexFaults, index_posts
from faults.invariants import evidence_of, story_of, violations
from faults.killer import Killer
from faults.outages import Outages
from faults.world import World, world

__all__ = ["Plan", "Result", "main", "run_chaos"]

_SLOTS_A_BOOKING: Final = 1.6
_FEWEST_SLOTS: Final = 2_600
_MOST_SLOTS: Final = 24_000
_HOT: Final = 40
_QUIET_WITHIN: Final = 900.0  # in the run's seconds
_MOST_SHOWN: Final = 60
_GIVE_UP_S: Final = 3600.0
_MOST_STORIES: Final = 8


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much to try."""

    bookings: int = 10_000
    kills: int = 500
    clients: int = 64
    gateways: int = 3
    reconcilers: int = 2
    seed: int
    database_url: str | None = None
    mixes: tuple[Mix, ...] = MIXES


@dataclass
class Result:
    """What was tried and what came of it."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    stories: dict[str, list[str]] = field(default_factory=dict)


def run_chaos(plan: Plan, *, progress: Progress | None = None) -> Result:
    """Try all of a plan, let everything come to rest, and look at it."""
    slots = int(min(_MOST_SLOTS, max(_FEWEST_SLOTS, plan.bookings * _SLOTS_A_BOOKING)))
    with world(
        slots=slots,
        gateways=plan.gateways,
        reconcilers=plan.reconcilers,
        database_url=plan.database_url,
        seed=plan.seed,
    ) as running:
        running.start()
        return _Run(running, plan, progress).run()


class _Run:
    def __init__(self, running: World, plan: Plan, progress: Progress | None) -> None:
        self._world = running
        self._plan = plan
        self._progress = progress or Progress(disable=True)
        self._history = History()
        self._telephone = Telephone(running)
        self._killer = Killer(running, kills=plan.kills, seed=plan.seed)
        self._outages = Outages(running, seed=plan.seed)
        self._index_faults = IndexFaults(running, seed=plan.seed)
        chance = random.Random(plan.seed)  # noqa: S311 - to be repeated by its seed
        slots = chance.sample(running.slots, len(running.slots))
        counted = [slot for slot in slots if slot.places > 1]
        self._driver = Driver(
            running,
            self._history,
            self._telephone,
            hot=[*slots[:_HOT], *counted[: _HOT // 4]],
            cold=slots[_HOT:],
            bookings=plan.bookings,
            seed=plan.seed,
            goes_on=lambda: self._killer.done < plan.kills,
        )

    def run(self) -> Result:
        began = time.monotonic()
        stop = threading.Event()
        conductor = threading.Thread(target=self._conduct, args=(stop,))
        conductor.start()
        self._killer.start()
        self._outages.start()
        self._index_faults.start()
        try:
            self._driver.run(self._plan.clients)
        finally:
            self._driver.is_stopped = True
            stop.set()
            conductor.join()
            self._outages.finish()
            self._index_faults.finish()
            self._world.heal()
            self._killer.finish()
            self._telephone.close()
        worked = time.monotonic() - began
        left = self._world.unsettled()
        patience = self._world.clock.real(_QUIET_WITHIN)
        self._world.await_quiet(patience)
        # And what was settled by absence has been looked at once more.
        self._world.await_seen(patience)
        settled = time.monotonic() - began - worked
        posts = index_posts(self._world, patience)
        operations = self._history.all()
        evidence = evidence_of(
            self._world, operations, frozenset(self._telephone.persons), posts
        )
        broken = violations(evidence)
        broken.extend(self._driver.intrusions)
        if self._driver.tried < self._plan.bookings:
            broken.append(f"time: only {self._driver.tried} bookings were tried")
        result = Result(
            violations=broken,
            stories={
                sentence: story_of(evidence, self._world, sentence)
                for sentence in broken[:_MOST_STORIES]
            },
        )
        result.counts = {
            "operations": Counter(
                f"{each.kind.value}: {each.outcome.value}" for each in operations
            ),
            "asked by": Counter(each.dialect for each in operations),
            "answers": Counter(
                str(each.status or ("no answer" if each.status is None else "refused"))
                for each in operations
            ),
            "asked for what is not theirs": Counter({"refused": self._driver.snooped}),
            "faults": Counter(
                {
                    fault.text: count
                    for fault, count in (
                        self._world.faults + self._outages.faults
                    ).items()
                }
            ),
            "faults of the index": self._index_faults.faults,
            "posts in the index": Counter({"in the end": len(posts)}),
            "sold by telephone": Counter({"tried": len(self._telephone.persons)}),
            "processes ended": Counter(
                {
                    "anywhere": self._killer.random_kills,
                    **self._killer.points,
                }
            ),
            "processes stopped": self._killer.stops,
            "intents": Counter(
                f"{each.kind} {each.state}" for each in evidence.decided
            ),
            "alarms": Counter(each.alarm for each in evidence.decided if each.alarm),
            "seconds": Counter(
                {
                    "clients at work": round(worked),
                    f"until {left} unknown outcomes were settled": round(settled),
                }
            ),
        }
        return result

    def _conduct(self, stop: threading.Event) -> None:
        """Change the mix as bookings are tried, and keep the kills in step."""
        plan = self._plan
        phases = [(mix, naively) for naively in (False, True) for mix in plan.mixes]
        task = self._progress.add_task("", total=plan.bookings + plan.kills)
        present = None
        give_up_at = time.monotonic() + _GIVE_UP_S
        while not stop.wait(0.05):
            share = self._driver.tried / plan.bookings
            phase = phases[min(int(share * len(phases)), len(phases) - 1)]
            if phase is not present:
                present = phase
                self._world.mix = phase[0]
                self._world.sandbox.sell_naively(naively=phase[1])
            if time.monotonic() > give_up_at:
                self._driver.is_stopped = True
            self._killer.let(kill=self._killer.done <= share * plan.kills)
            self._progress.update(
                task,
                completed=min(plan.bookings, self._driver.tried) + self._killer.done,
                description=f"{phase[0].name}{' (naive)' if phase[1] else ''}",
            )


def main(environment: Mapping[str, str]) -> int:
    """Run what the environment asks for; return the exit code."""
    # So that its end leaves no server behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    seed = int(environment.get("SEED") or random.SystemRandom().randrange(1 << 32))
    bookings = int(environment.get("BOOKINGS") or 10_000)
    kills = int(environment.get("KILLS") or 500)
    clients = int(environment.get("CLIENTS") or 64)
    console = Console()
    console.print(
        f"{bookings} bookings by {clients} clients, {kills} kills; SEED={seed}"
    )
    broken = 0
    for name, url in _databases(environment):
        console.rule(name)
        plan = Plan(
            bookings=bookings,
            kills=kills,
            clients=clients,
            seed=seed,
            database_url=url,
        )
        with Progress(
            TextColumn("{task.description:<28}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TimeElapsedColumn(),
            console=console,
        ) as progress:
            result = run_chaos(plan, progress=progress)
        _print(console, result)
        broken += len(result.violations)
    console.print(f"{broken} violations")
    return 1 if broken else 0


def _databases(environment: Mapping[str, str]) -> Iterator[tuple[str, str | None]]:
    """Yield the databases to run on, each while it is there."""
    url = environment.get("DATABASE_URL")
    chosen = environment.get("DATABASE") or "sqlite"
    if url:
        yield url.partition(":")[0], url
        return
    if chosen in ("sqlite", "all"):
        yield "sqlite", None
    if chosen in ("postgresql", "all"):
        with _postgresql() as server_url:
            yield "postgresql", server_url


@contextmanager
def _postgresql() -> Iterator[str]:
    try:
        with running_postgresql() as server:
            yield server.new_url()
    except NoPostgresql as error:
        sys.exit(str(error))


def _print(console: Console, result: Result) -> None:
    for heading, counts in result.counts.items():
        console.print(f"\n[bold]{heading}")
        for what, count in sorted(counts.items()):
            console.print(f"  {count:>7}  {what}", highlight=False, markup=False)
    console.print()
    for sentence in result.violations[:_MOST_SHOWN]:
        console.print(sentence, style="red", markup=False, soft_wrap=True)
        for line in result.stories.get(sentence, ()):
            console.print(f"    {line}", markup=False, highlight=False, soft_wrap=True)
    kinds = Counter(sentence.partition(":")[0] for sentence in result.violations)
    for kind, count in kinds.items():
        console.print(f"{count} of {kind}", style="red", markup=False)


if __name__ == "__main__":
    sys.exit(main(os.environ))
