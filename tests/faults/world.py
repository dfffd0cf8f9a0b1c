"""
A whole world in small, where everything can be made to fail.

Regions, a proxy before each, Redis, a database, and processes of the real gateway that
can be killed and stopped.
"""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import IO, Any, Final, Self

from sqlalchemy import func, select
from web.guarded import issuers_file, served_keys, token_for

from faults.fault import UNHARMED, Fault, Mix
from faults.mutants import MUTANTS
from faults.proxy import FaultProxy
from faults.scaled_time import ScaledTime
from fhir_gateway.bootstrap import program
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model.interaction import Interaction
from fhir_gateway.model.timekeeping import civil_time_text
from fhir_gateway.model.timeslot import Schedule, Timeslot, TimeslotToken
from fhir_gateway.sandbox.server import SandboxServer
from fhir_gateway.sandbox_sources import (
    write_engagement_index,
    write_log_service,
    write_sources,
)
from fhir_gateway.settings import Settings
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.embedded_redis import EmbeddedRedis
from fhir_gateway.stores.journal.tables import intents
from fhir_gateway.stores.migrations import migrate
from fhir_gateway.stores.sealing import Seal

__all__ = ["RATE", "REGIONS", "Part", "SlotKey", "SlotToBook", "World"]

# The 90 s that the program waits before it believes that nothing arrived are 6 s then.
RATE: Final = 15.0
REGIONS: Final = ("norr", "mitt", "syd")

_TESTS: Final = Path(__file__).parent.parent
_STARTS_WITHIN_S: Final = 60.0
_LONGEST_RUN: Final = timedelta(days=1)  # by the clock
_WRITE_TIMEOUT_S: Final = 32.0  # in the clock's seconds
_READ_TIMEOUT_S: Final = 2.0  # in the wall's: only waits for silence get longer
_SOURCES_PAGE: Final = "1000"
# An adapter is found by an entry point, so the run has a distribution of its own.
_ENTRY_POINTS: Final = """\
[fhir_gateway.adapters]
watched_scheduling_1_1 = faults.crash_points:watched_scheduling_1_1
believing_scheduling_1_1 = faults.mutants:believing_scheduling_1_1
resending_scheduling_1_1 = faults.mutants:resending_scheduling_1_1
keeping_scheduling_1_1 = faults.mutants:keeping_scheduling_1_1
credulous_scheduling_1_1 = faults.mutants:credulous_scheduling_1_1
"""

SlotKey = tuple[str, str, str | None, str | None, str | None]


@dataclass(frozen=True, kw_only=True)
class SlotToBook:
    """
    A free time of a region, as both sides know it.

    Attributes:
        token: Its FHIR id.
        key: What a ledger calls it: unit, start, time type, performer, resource.
        places: How many residents it takes.
        timeslot: What a region is asked for.
    """

    region: str
    token: str
    key: SlotKey
    places: int
    timeslot: Timeslot = field(compare=False)


def slot_key(unit: str, time: dict[str, Any]) -> SlotKey:
    """Return the key of a time in a ledger."""
    return (
        unit.upper(),
        time["start"][:12],
        time["time_type_id"],
        time["performer"],
        time["resource_id"],
    )


@dataclass
class Part:
    """One process of the gateway, or its successor after a crash."""

    name: str
    role: str
    port: int
    pid: int | None = None
    is_ready: bool = False
    starts: int = 0
    crash_at: str = ""
    is_stopped: bool = False


class _Zygote:
    """The process that forks the others, and what it says of them."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "faults.zygote"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        self._changed = threading.Condition()
        self._started: list[int] = []
        self._ready: set[int] = set()
        self._ended: dict[int, int] = {}
        self._starting = threading.Lock()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def start(self, **part: Any) -> int:
        """Fork a process and return its id."""
        with self._starting:
            before = len(self._started)
            self._tell({"start": part})
            with self._changed:
                if not self._changed.wait_for(
                    lambda: len(self._started) > before, _STARTS_WITHIN_S
                ):
                    raise AssertionError("the zygote forks nothing")
                return self._started[before]

    def signal(self, pid: int, number: int) -> None:
        """Send a signal, unless the process has ended."""
        self._tell({"signal": [pid, number]})

    def await_ready(self, pid: int) -> bool:
        """Wait until a process answers; return whether it lives."""
        with self._changed:
            self._changed.wait_for(
                lambda: pid in self._ready or pid in self._ended, _STARTS_WITHIN_S
            )
            return pid in self._ready and pid not in self._ended

    def is_ready(self, pid: int) -> bool:
        """Return whether a process lives and answers."""
        return pid in self._ready and pid not in self._ended

    def ended(self, pid: int) -> int | None:
        """Return the status of a process that has ended, else None."""
        return self._ended.get(pid)

    def await_end(self, pid: int, seconds: float = _STARTS_WITHIN_S) -> bool:
        """Wait until a process has ended; return whether it has."""
        with self._changed:
            return self._changed.wait_for(lambda: pid in self._ended, seconds)

    def close(self) -> None:
        """End every process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(_STARTS_WITHIN_S)
        self._thread.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _tell(self, order: dict[str, Any]) -> None:
        stdin: IO[bytes] | None = self._process.stdin
        assert stdin is not None
        stdin.write(json.dumps(order).encode() + b"\n")
        stdin.flush()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = json.loads(line)
            with self._changed:
                if "started" in said:
                    # Its number may be one that an earlier process had.
                    self._ended.pop(said["started"], None)
                    self._started.append(said["started"])
                elif "ready" in said:
                    self._ready.add(said["ready"])
                else:
                    self._ready.discard(said["ended"])
                    self._ended[said["ended"]] = said["status"]
                self._changed.notify_all()


class World:
    """
    Everything that a run needs, made but no process started.

    Args:
        folder: An empty folder with a short path.
        database_url: The journal's; SQLite in the folder when not given.
        slots: About how many free times the regions have.
        gateways: How many web processes there are.
        reconcilers: How many processes look after unknown outcomes.
        mutant: What the processes are composed of.
        seed: What chance begins from.
    """

    def __init__(
        self,
        folder: Path,
        *,
        database_url: str | None = None,
        slots: int = 2_600,
        gateways: int = 1,
        reconcilers: int = 1,
        mutant: str = "none",
        seed: int = 1,
        rate: float = RATE,
    ) -> None:
        self.folder = folder
        self.mix: Mix = UNHARMED
        self.is_quiet = False
        self.faults: Counter[Fault] = Counter()
        self._next: dict[tuple[Interaction, str | None], list[Fault]] = {}
        self._chance = random.Random(seed)  # noqa: S311 - to be repeated by its seed
        self._chance_lock = threading.Lock()
        self._slots_wanted = slots
        self._runs = 0
        self._rows_before: dict[str, int] = {}
        self._stack = ExitStack()
        with ExitStack() as stack:
            self._stack = stack
            self.clock = ScaledTime.create(folder / "clock", rate=rate)
            self.sandbox = stack.enter_context(
                SandboxServer(port=0, slots=slots, clock=self.clock)
            )
            # The gateway keeps the index for all of them.
            self.sandbox.keep_index_for(())
            host, port = self.sandbox.url.removeprefix("http://").split(":")
            self.proxies = {
                region: stack.enter_context(
                    FaultProxy(region, (host, int(port)), self.clock, self._choose)
                )
                for region in REGIONS
            }
            redis = stack.enter_context(EmbeddedRedis(folder))
            self.redis_url = redis.url
            self._jwks_uri = stack.enter_context(served_keys())
            self._offer_adapters()
            self.slots = self._fill()
            self._compose(mutant, database_url)
            stack.callback(self._close_database)
            self._zygote = self._start_zygote(stack)
            self.gateways = [
                Part(name=f"gateway-{n}", role="gateway", port=_free_port())
                for n in range(gateways)
            ]
            self.reconcilers = [
                Part(name=f"reconciler-{n}", role="reconciler", port=_free_port())
                for n in range(reconcilers)
            ]
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End everything."""
        self._stack.close()

    def begin_anew(
        self, *, mutant: str = "none", database_url: str | None = None
    ) -> None:
        """
        Forget what has been, and compose another program; no process of it is started.

        What the regions have sold stays sold, and `slots` loses it.
        """
        for part in self.parts:
            self.signal(part, signal.SIGCONT)
            self.kill(part)
        self.heal()
        self.faults.clear()
        for path in self.folder.glob("*.log"):
            os.truncate(path, 0)
        sold = set()
        for region, proxy in self.proxies.items():
            proxy.received.clear()
            ledger = self._whole_ledger(region)
            self._rows_before[region] = len(ledger["writes"])
            sold |= {
                slot_key(each["unit"], each["timeslot"])
                for each in ledger["bookings"]
                if each["timeslot"]
            }
        self.slots = [slot for slot in self.slots if slot.key not in sold]
        self.database.close()
        self._compose(mutant, database_url)

    def _compose(self, mutant: str, database_url: str | None) -> None:
        self._runs += 1
        self._mutant_name = mutant
        chosen = MUTANTS[mutant]
        self._environment = self._settings(
            chosen.adapter,
            database_url or f"sqlite:///{self.folder / f'journal-{self._runs}.sqlite'}",
        )
        self.settings = Settings.from_environment(self._environment)
        self.database = Database(self.settings.database_url)
        self.clock.govern(self.database.engine)
        self.seal = Seal(self.settings.journal_keys)
        migrate(self.database.engine)
        if chosen.sql is not None:
            with self.database.writing() as connection:
                connection.exec_driver_sql(chosen.sql)

    def _close_database(self) -> None:
        self.database.close()

    # Processes.

    @property
    def parts(self) -> Sequence[Part]:
        """Return every process that there is or should be."""
        return (*self.gateways, *self.reconcilers)

    def start(self, *parts: Part, crash_at: str = "") -> None:
        """Start processes, all or those given, and wait until they are ready."""
        chosen = parts or self.parts
        for part in chosen:
            self.launch(part, crash_at=crash_at)
        for part in chosen:
            if not self.await_ready(part):
                raise AssertionError(f"{part.name} did not start: see its log")

    def launch(self, part: Part, *, crash_at: str = "") -> None:
        """Start one process and do not wait for it."""
        environment = {
            **self._environment,
            "PORT": str(part.port),
            "FAULTS_ROLE": part.role,
            "FAULTS_CRASH_AT": crash_at,
        }
        part.crash_at, part.is_stopped = crash_at, False
        part.starts += 1
        part.pid = self._zygote.start(
            role=part.role,
            environment=environment,
            redis_url=self.redis_url,
            clock=str(self.clock.path),
            mutant=self._mutant_name,
            log=str(self.folder / f"{part.name}.log"),
        )

    def await_ready(self, part: Part) -> bool:
        """Wait until a process answers; return whether it lives."""
        assert part.pid is not None
        return self._zygote.await_ready(part.pid)

    def await_end(self, part: Part, seconds: float = 10.0) -> bool:
        """Wait until a process ends of itself; return whether it has."""
        assert part.pid is not None
        return self._zygote.await_end(part.pid, seconds)

    def lives(self, part: Part) -> bool:
        """Return whether a process has not ended."""
        return part.pid is not None and self._zygote.ended(part.pid) is None

    def is_ready(self, part: Part) -> bool:
        """Return whether a process answers."""
        return part.pid is not None and self._zygote.is_ready(part.pid)

    def stands_still(self, part: Part) -> bool:
        """Return whether a process has been stopped and not been let go on."""
        with suppress(OSError):
            stat = Path(f"/proc/{part.pid}/stat").read_text(encoding="utf-8")
            return stat.rpartition(")")[2].split()[0] == "T"
        return False

    def signal(self, part: Part, number: int) -> None:
        """Send a signal to a process."""
        if part.pid is not None:
            self._zygote.signal(part.pid, number)

    def kill(self, part: Part) -> None:
        """End a process at once, and wait for its end."""
        if part.pid is not None and self.lives(part):
            self._zygote.signal(part.pid, signal.SIGKILL)
            self._zygote.await_end(part.pid)

    def restart(self, part: Part, *, crash_at: str = "") -> None:
        """Kill a process and start another in its place."""
        self.kill(part)
        self.start(part, crash_at=crash_at)

    # Faults.

    def spoil(
        self, interaction: Interaction, fault: Fault, *, person: str | None = None
    ) -> None:
        """Let the next call, by a person if one is given, go wrong, before any mix."""
        with self._chance_lock:
            self._next.setdefault((interaction, person), []).append(fault)

    def heal(self) -> None:
        """Let every region answer as it should, from now on."""
        with self._chance_lock:
            self.mix = UNHARMED
            self._next.clear()
        self.sandbox.sell_naively(naively=False)
        for proxy in self.proxies.values():
            proxy.accept_connections()

    def _choose(self, interaction: Interaction, actor: str | None) -> Fault:
        with self._chance_lock:
            fault = None
            for key in ((interaction, actor), (interaction, None)):
                if fault is None and self._next.get(key):
                    fault = self._next[key].pop(0)
            if fault is None:
                fault = self.mix.choose(interaction, self._chance)
            self.faults[fault] += 1
        return fault

    # Looking.

    def token(self, role: str, person: str | None = None) -> str:
        """Return an access token that is valid now, by the run's clock."""
        return token_for(role, person, at=int(self.clock.seconds()))

    def ledger(self, region: str) -> dict[str, Any]:
        """Return a region's received writes in this run, and what is booked there."""
        whole = self._whole_ledger(region)
        before = self._rows_before.get(region, 0)
        return {**whole, "writes": whole["writes"][before:]}

    def _whole_ledger(self, region: str) -> dict[str, Any]:
        with urllib.request.urlopen(
            f"{self.sandbox.url}/ledger/{region}", timeout=30
        ) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def logs(self) -> str:
        """Return everything that the processes have logged."""
        return "".join(
            path.read_text(encoding="utf-8", errors="replace")
            for path in sorted(self.folder.glob("*.log"))
        )

    def unsettled(self) -> int:
        """
        Return how many writes nobody knows the outcome of.

        An alarm that calls a person does not keep the next look from finding it out.
        """
        with self.database.reading() as connection:
            return connection.execute(
                select(func.count())
                .select_from(intents)
                .where(intents.c.settled_at.is_(None))
            ).scalar_one()

    def unseen(self) -> int:
        """Return how many settled writes are to be looked at once more."""
        with self.database.reading() as connection:
            return connection.execute(
                select(func.count())
                .select_from(intents)
                .where(
                    intents.c.settled_at.is_not(None),
                    intents.c.next_look_at.is_not(None),
                )
            ).scalar_one()

    def await_quiet(self, seconds: float) -> bool:
        """Wait until every write is settled; return whether that came to be."""
        return self.await_none(self.unsettled, seconds)

    def await_seen(self, seconds: float) -> bool:
        """Wait until nothing is to be looked at any more; return as `await_quiet`."""
        return self.await_none(self.unseen, seconds)

    def await_none(self, count: Callable[[], int], seconds: float) -> bool:
        """Wait until a count is 0; return whether that came to be."""
        until = time.monotonic() + seconds
        while count():
            if time.monotonic() > until:
                return False
            time.sleep(0.1)
        return True

    # Making.

    def _settings(self, adapter: str, database_url: str) -> dict[str, str]:
        write_timeout = self.clock.real(_WRITE_TIMEOUT_S)
        path = write_sources(
            self.folder,
            self.sandbox.url,
            self._slots_wanted,
            Vocabulary(),
            indexed=REGIONS,
        )
        text = path.read_text(encoding="utf-8")
        for region, proxy in self.proxies.items():
            text = text.replace(
                f"{self.sandbox.url}/rivta/{region}",
                f"http://127.0.0.1:{proxy.port}/rivta/{region}",
            )
        text = text.replace(
            'adapter = "scheduling_1_1"', f'adapter = "{adapter}"'
        ).replace(
            "calls_per_second = 20\ncalls_in_flight = 4\n",
            "calls_per_second = 1000\ncalls_in_flight = 4\n"
            # Nothing is refreshed, and the clock runs fast.
            "fresh_for_s = 8640000\noffered_for_s = 8640000\n"
            f"read_timeout_s = {_READ_TIMEOUT_S}\nwrite_timeout_s = {write_timeout}\n",
        )
        path.write_text(text, encoding="utf-8")
        return {
            "FHIR_GATEWAY_SOURCES": str(path),
            "FHIR_GATEWAY_DATA_DIR": str(self.folder),
            "FHIR_GATEWAY_BASE_URL": "http://gateway.test/fhir",
            "FHIR_GATEWAY_JOURNAL_KEYS": Seal.new_key(),
            # A few residents book all the time, in time that runs fast.
            **{
                f"FHIR_GATEWAY_LIMIT_{name}": "1000000"
                for name in (
                    *("SEARCHES", "REGION_CALLS", "FAILED_LOOKS", "REQUEST_KEYS"),
                    *("HOLDS", "HOLDS_AN_HOUR", "RESIDENT_BOOKINGS"),
                )
            },
            "FHIR_GATEWAY_PUBLIC_SEARCH": "yes",
            "FHIR_GATEWAY_ISSUERS": str(issuers_file(self.folder, self._jwks_uri)),
            "FHIR_GATEWAY_LOG_SERVICE": str(
                write_log_service(self.folder, self.sandbox.url)
            ),
            "FHIR_GATEWAY_ENGAGEMENT_INDEX": str(
                write_engagement_index(self.folder, self.sandbox.url)
            ),
            "DATABASE_URL": database_url,
        }

    def _offer_adapters(self) -> None:
        distribution = self.folder / "faults-0.dist-info"
        distribution.mkdir()
        (distribution / "METADATA").write_text("Name: faults\nVersion: 0\n")
        (distribution / "entry_points.txt").write_text(_ENTRY_POINTS)
        sys.path.insert(0, str(self.folder))
        self._stack.callback(sys.path.remove, str(self.folder))

    def _fill(self) -> list[SlotToBook]:
        """Ask the regions for everything once; return what begins after the run."""
        environment = self._settings(
            "scheduling_1_1", f"sqlite:///{self.folder / 'filling.sqlite'}"
        )
        settings = Settings.from_environment(environment)
        with program(settings, self.redis_url, clock=self.clock) as made:
            with ThreadPoolExecutor() as executor:
                list(executor.map(lambda each: each.run_once(), made.refreshes))
            made.view.catch_up()
            client = made.app.test_client()
            # A person must find the outcome of an unknown write after its time has
            # begun, and the clock runs fast.
            begins = self.clock() + _LONGEST_RUN
            url = f"/fhir/Slot?status=free&_count={_SOURCES_PAGE}"
            found = []
            while url:
                bundle = client.get(url).json or {}
                for entry in bundle.get("entry", ()):
                    # The clock runs fast: by now a source's answer may be old.
                    if entry["search"]["mode"] == "outcome":
                        continue
                    token = TimeslotToken.parse(entry["resource"]["id"])
                    known = made.view.snapshot.known(token.schedule)
                    if known is not None and token.starts_at >= begins:
                        found.append(self._slot(token, known.schedule))
                links = {each["relation"]: each["url"] for each in bundle["link"]}
                url = links.get("next", "").removeprefix("http://gateway.test")
        return found

    def _slot(self, token: TimeslotToken, schedule: Schedule) -> SlotToBook:
        region, places = next(
            (str(region.name), time_type.places)
            for region in self.sandbox.regions()
            for unit in region.units
            for time_type in unit.time_types
            if unit.hsa_id == token.unit and time_type.id == schedule.time_type_id
        )
        return SlotToBook(
            region=region,
            token=token.text,
            key=(
                str(token.unit),
                civil_time_text(token.starts_at)[:12],
                schedule.time_type_id,
                schedule.performer,
                schedule.resource_id,
            ),
            places=places,
            timeslot=Timeslot(
                schedule=schedule, start=token.starts_at, end=token.ends_at
            ),
        )

    def _start_zygote(self, stack: ExitStack) -> _Zygote:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("FHIR_GATEWAY_")
            and name not in ("PORT", "REDIS_URL", "DATABASE_URL", "SANDBOX_PORT")
        }
        zygote = _Zygote(
            {
                **kept,
                "PYTHONPATH": f"{_TESTS}{os.pathsep}{self.folder}",
                # A thread that a library starts at import would not live on in a fork.
                "OPENBLAS_NUM_THREADS": "1",
            }
        )
        stack.callback(zygote.close)
        return zygote


@contextmanager
def world(folder: Path | None = None, **options: Any) -> Iterator[World]:
    """Give a world in a folder of its own, and remove the folder in the end."""
    # Not pytest's tmp_path: the socket of Redis needs a short path.
    made = folder or Path(tempfile.mkdtemp(prefix="faults-"))
    try:
        with World(made, **options) as running:
            yield running
    finally:
        shutil.rmtree(made)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
