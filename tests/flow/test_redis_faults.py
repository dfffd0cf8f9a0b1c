"""
What befalls Redis, and that no search meanwhile is wrong or empty without saying why.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from doubles import MovableClock
from redis import Redis
from structlog.testing import capture_logs
from web.running import fill

from fhir_gateway.bootstrap import Program, program
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model.timekeeping import now
from fhir_gateway.sandbox.server import SandboxServer
from fhir_gateway.sandbox_sources import write_sources
from fhir_gateway.settings import Settings
from fhir_gateway.stores.embedded_redis import EmbeddedRedis
from fhir_gateway.stores.redis_client import StoreUnavailable

pytestmark = pytest.mark.flow

SLOTS: Final = 300
REGIONS: Final = {"norr", "mitt", "syd"}
FRESH_MINUTES: Final = 10
OFFERED_MINUTES: Final = 30


@dataclass
class Gateway:
    """A gateway that knows all times, its Redis, and a clock that a test moves."""

    made: Program
    redis: EmbeddedRedis
    clock: MovableClock
    all_times: int

    def client(self) -> Any:
        """Return Redis itself."""
        return Redis.from_url(self.redis.url)

    def search(self) -> tuple[int, int | None, set[str]]:
        """Return how many times a search finds, its total, and whom it misses."""
        try:
            self.made.view.catch_up()
        except StoreUnavailable:
            # As the view's own thread does: it goes on from what it has.
            self.made.view.leave_out()
        bundle = self.made.app.test_client().get("/fhir/Slot?_count=1000").json
        outcomes = [
            issue["diagnostics"]
            for each in bundle["entry"]
            if each["search"]["mode"] == "outcome"
            for issue in each["resource"]["issue"]
        ]
        missing = {
            region
            for region in REGIONS
            if any(f"(source {region})" in each for each in outcomes)
        }
        found = [each for each in bundle["entry"] if each["search"]["mode"] == "match"]
        assert bundle.get("total") == (None if missing else len(found))
        return len(found), bundle.get("total"), missing

    def ages_visibly(self) -> None:
        """Assert that times are whole, then warned of, then left out and named."""
        assert self.search() == (self.all_times, self.all_times, set())
        self.clock.forward(minutes=FRESH_MINUTES, seconds=30)
        found, _, missing = self.search()
        assert (found, missing) == (self.coming(), REGIONS)
        self.clock.forward(minutes=OFFERED_MINUTES - FRESH_MINUTES)
        assert self.search() == (0, None, REGIONS)

    def coming(self) -> int:
        """Return how many of the times that are known have not begun."""
        snapshot = self.made.view.snapshot
        return sum(
            int((columns.start > int(self.clock().timestamp())).sum())
            for columns in snapshot.segments.values()
        )


@pytest.fixture(name="regions", scope="module")
def _regions() -> Iterator[SandboxServer]:
    with SandboxServer(port=0, slots=SLOTS) as server:
        yield server


@pytest.fixture(name="gateway")
def _gateway(regions: SandboxServer) -> Iterator[Gateway]:
    # Not tmp_path's: the socket of Redis needs a short path.
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    clock = MovableClock(now())
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        sources = write_sources(folder, regions.url, SLOTS, Vocabulary())
        sources.write_text(
            sources.read_text(encoding="utf-8").replace(
                "calls_per_second = 20", "calls_per_second = 1000"
            ),
            encoding="utf-8",
        )
        embedded = EmbeddedRedis(folder)
        embedded.start()
        stack.callback(embedded.stop)
        settings = Settings.from_environment(
            {
                "FHIR_GATEWAY_SOURCES": str(sources),
                "FHIR_GATEWAY_DATA_DIR": str(folder / "data"),
            }
        )
        made = stack.enter_context(program(settings, embedded.url, clock=clock))
        fill(made)
        gateway = Gateway(made, embedded, clock, 0)
        gateway.all_times, _, _ = gateway.search()
        assert gateway.all_times > SLOTS / 2
        yield gateway


def refreshed(gateway: Gateway) -> list[str]:
    """Let the workers ask what is due; return the events that they log."""
    with capture_logs() as logs:
        for each in gateway.made.refreshes:
            each.run_once()
    return [each["event"] for each in logs]


def test_redis_away_then_back(gateway: Gateway) -> None:
    """Searches age visibly; a Redis that comes back empty is refilled."""
    gateway.redis.stop()
    gateway.ages_visibly()
    while_away = refreshed(gateway)
    gateway.redis.start()
    gateway.clock.forward(minutes=1)
    refreshed(gateway)
    gateway.clock.forward(minutes=1)
    refreshed(gateway)
    found, total, missing = gateway.search()

    assert set(while_away) == {"refresh starts from nothing", "refresh cannot store"}
    assert (total, missing) == (found, set())
    assert found > SLOTS / 2


def test_redis_emptied(gateway: Gateway) -> None:
    """Searches do not notice, and the workers fill it again."""
    with gateway.client() as client:
        before = len(client.keys("slots:*"))
        client.flushall()
        emptied = gateway.search()
        # The status is stored every ten seconds; that is when it is seen.
        gateway.clock.forward(seconds=10)
        events = refreshed(gateway) + refreshed(gateway)
        keys = len(client.keys("slots:*"))

    assert emptied == (gateway.all_times, gateway.all_times, set())
    assert "the store was emptied" in events
    assert keys == before
    found, total, missing = gateway.search()
    assert (total, missing) == (found, set())


@pytest.mark.parametrize("state", ["full", "read-only"])
def test_redis_that_takes_no_writes(gateway: Gateway, state: str) -> None:
    """Searches go on and age; the workers say so and spare the regions."""
    with gateway.client() as client:
        if state == "full":
            client.config_set("maxmemory", "1")
        else:
            client.replicaof("127.0.0.1", "1")
        gateway.ages_visibly()
        events = refreshed(gateway)
        if state == "full":
            client.config_set("maxmemory", "0")
        else:
            client.replicaof("NO", "ONE")
        gateway.clock.forward(minutes=1)
        later = refreshed(gateway)
        found, total, missing = gateway.search()

    assert set(events) == {"refresh cannot store"}
    assert "refresh can store again" in later
    assert (total, missing) == (found, set())


def test_redis_that_stalls_delays_no_search(gateway: Gateway) -> None:
    """While Redis answers nobody, searches answer at once from memory."""
    gateway.made.view.start()
    with gateway.client() as client:
        client.execute_command("CLIENT", "PAUSE", "3000", "ALL")
        took = []
        browser = gateway.made.app.test_client()
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            began = time.monotonic()
            bundle = browser.get("/fhir/Slot?_count=50").json
            took.append(time.monotonic() - began)
            assert bundle["total"] == gateway.all_times
        client.ping()
    gateway.made.view.stop()

    # The pause lasts twice as long: nothing that waited for Redis would be back.
    assert len(took) > 5
    assert max(took) < 1.4


def test_a_gateway_that_starts_without_redis_says_so(regions: SandboxServer) -> None:
    """It starts, finds nothing, and names every source."""
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    sources = write_sources(folder, regions.url, SLOTS, Vocabulary())
    settings = Settings.from_environment(
        {
            "FHIR_GATEWAY_SOURCES": str(sources),
            "FHIR_GATEWAY_DATA_DIR": str(folder / "data"),
        }
    )
    for query in ("", "?cluster=true"):
        url = f"redis://127.0.0.1:1{query}"
        with program(settings, url) as made:
            gateway = Gateway(made, EmbeddedRedis(folder), MovableClock(now()), 0)

            assert gateway.search() == (0, None, REGIONS)
    shutil.rmtree(folder)
