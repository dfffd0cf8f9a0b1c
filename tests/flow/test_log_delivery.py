"""
Delivery of log entries by real processes that are killed, to a real log service.
"""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
import requests
from log_entries import MARKS, log_entry
from postgresql import NoPostgresql, PostgresqlServer, running_postgresql
from processes import wait_until, workers
from sqlalchemy import update

from fhir_gateway.adapters.store_log import StoreLog20, log_service_options
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model.log_entry import LogResult
from fhir_gateway.sandbox.server import SandboxServer
from fhir_gateway.sandbox_sources import write_log_service, write_sources
from fhir_gateway.services.access_log.delivery import LogDelivery
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.journal.tables import log_outbox
from fhir_gateway.stores.log_outbox import LogOutbox
from fhir_gateway.stores.migrations import migrate
from fhir_gateway.stores.sealing import Seal

from .log_worker import POINTS

pytestmark = pytest.mark.flow

KEY: Final = Seal.new_key()
WORKER: Final = Path(__file__).with_name("log_worker.py")
ENTRIES: Final = 3
TIMEOUT_S: Final = 30


class LogWorld:
    """
    An outbox, a log service, and what a test does to them.

    Args:
        url: The database.
        sandbox: Has the log service.
        folder: For its file.
    """

    def __init__(self, url: str, sandbox: SandboxServer, folder: Path) -> None:
        self.url = url
        self.sandbox = sandbox
        self.file = write_log_service(folder, sandbox.url)
        self.database = Database(url)
        migrate(self.database.engine)
        self.outbox = LogOutbox(self.database, Seal((KEY,)))

    def fill(self, count: int = ENTRIES) -> set[str]:
        """Queue entries; return their ids."""
        entries = [log_entry(which) for which in range(count)]
        for entry in entries:
            self.outbox.add(entry)
        return {entry.id for entry in entries}

    def start(self, point: str = "") -> subprocess.Popen[bytes]:
        """Start a process that delivers."""
        return subprocess.Popen(
            [sys.executable, str(WORKER), self.url, KEY, str(self.file), point],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def end_leases(self) -> None:
        """Make all entries due, as they are when enough time has passed."""
        with self.database.writing() as connection:
            connection.execute(update(log_outbox).values(next_try_at=0))

    def drain(self) -> None:
        """Deliver all that is due, as a healthy worker does."""
        delivery = LogDelivery(self.outbox, StoreLog20(log_service_options(self.file)))
        while delivery.deliver() is not None:
            pass

    def spoil(self, **rule: object) -> None:
        """Make the log service fail."""
        answer = requests.post(
            f"{self.sandbox.url}/faults/log", json=rule, timeout=TIMEOUT_S
        )
        answer.raise_for_status()

    def heal(self) -> None:
        """Let the log service answer."""
        requests.delete(f"{self.sandbox.url}/faults/log", timeout=TIMEOUT_S)

    def received(self) -> dict[str, int]:
        """Return how many times the log service got each entry that it has."""
        ledger = requests.get(f"{self.sandbox.url}/ledger/log", timeout=TIMEOUT_S)
        return {each["log_id"]: each["received"] for each in ledger.json()["entries"]}


@pytest.fixture(name="server", scope="module")
def _server() -> Iterator[PostgresqlServer]:
    try:
        with running_postgresql() as server:
            yield server
    except NoPostgresql as error:
        pytest.skip(str(error))


@pytest.fixture(name="sandbox")
def _sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(port=0, slots=100) as sandbox:
        yield sandbox


@pytest.fixture(name="world", params=["sqlite", "postgresql"])
def _world(
    request: pytest.FixtureRequest, sandbox: SandboxServer, tmp_path: Path
) -> Iterator[LogWorld]:
    url = f"sqlite:///{tmp_path}/journal.sqlite"
    if request.param == "postgresql":
        server: PostgresqlServer = request.getfixturevalue("server")
        url = server.new_url()
    world = LogWorld(url, sandbox, tmp_path)
    yield world
    world.database.close()


def _prepare(world: LogWorld, point: str) -> None:
    """Let the log service answer so that a process comes by the point."""
    if point.endswith("postpone"):
        world.spoil(fault="vp-fault", after=True)
    elif point.endswith("give-up"):
        # The first refusal is of all entries: then each is sent alone.
        world.spoil(fault="error", code="VALIDATION_ERROR")


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_that_dies_loses_nothing(world: LogWorld, point: str) -> None:
    """Killed at any point, it leaves every entry to the next one."""
    ids = world.fill()
    _prepare(world, point)

    process = world.start(point)
    output, _ = process.communicate(timeout=TIMEOUT_S)
    world.heal()
    world.outbox.retry_refused()
    world.end_leases()
    world.drain()

    assert process.returncode == -signal.SIGKILL
    assert [mark for mark in MARKS if mark.encode() in output] == []
    assert world.received().keys() == ids
    assert max(world.received().values()) <= 2
    assert world.outbox.state().waiting == 0


def test_a_worker_that_dies_while_it_waits_loses_nothing(world: LogWorld) -> None:
    """Killed between its message and the answer, it leaves the entries to the next."""
    ids = world.fill()
    world.spoil(fault="answer-late", seconds=3600, count=1)

    process = world.start()
    arrived = wait_until(lambda: world.received().keys() == ids, TIMEOUT_S)
    process.kill()
    process.communicate()
    world.heal()
    waiting = world.outbox.state().waiting
    world.end_leases()
    world.drain()

    assert (arrived, waiting, world.outbox.state().waiting) == (True, ENTRIES, 0)
    assert world.received() == dict.fromkeys(ids, 2)


def test_a_late_worker_does_no_harm(world: LogWorld) -> None:
    """One that wakes up after its lease finds that another one delivered its entry."""
    world.fill(1)
    late = world.outbox.take(limit=10, lease=timedelta())
    world.drain()

    world.outbox.postpone(late, timedelta())
    world.outbox.give_up(late[0], LogResult.INVALID)
    world.outbox.remove(late)

    state = world.outbox.state()
    assert (state.waiting, state.refused) == (0, {})


@pytest.fixture(name="start_worker")
def _start_worker(
    sandbox: SandboxServer, tmp_path: Path
) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Return what starts the real worker; its log is `worker.log`."""
    sources = write_sources(
        tmp_path, sandbox.url, 100, Vocabulary("https://fhir-gateway.example.org")
    )
    environment = {
        "FHIR_GATEWAY_SOURCES": str(sources),
        "FHIR_GATEWAY_LOG_SERVICE": str(write_log_service(tmp_path, sandbox.url)),
        "FHIR_GATEWAY_DATA_DIR": str(tmp_path),
        "FHIR_GATEWAY_JOURNAL_KEYS": KEY,
    }
    with workers(tmp_path / "worker.log", environment) as start:
        yield start


@pytest.mark.parametrize("world", ["sqlite"], indirect=True)
def test_the_worker_delivers_across_kills(
    world: LogWorld,
    start_worker: Callable[[], subprocess.Popen[bytes]],
    tmp_path: Path,
) -> None:
    """The real worker, killed in the middle of a message, delivers all after that."""
    ids = world.fill(25)
    world.spoil(fault="answer-late", seconds=3600, count=1)
    killed = start_worker()
    arrived = wait_until(lambda: len(world.received()) == 10, TIMEOUT_S)
    killed.kill()
    killed.wait()
    world.end_leases()

    start_worker()
    delivered = wait_until(lambda: world.outbox.state().waiting == 0, TIMEOUT_S)

    assert (arrived, delivered) == (True, True)
    assert world.received().keys() == ids
    texts = [
        path.read_bytes()
        for path in tmp_path.rglob("*")
        if path.is_file() and path.suffix != ".toml"
    ]
    assert [mark for mark in MARKS for text in texts if mark.encode() in text] == []
