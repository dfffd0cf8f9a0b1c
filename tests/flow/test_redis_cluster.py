"""
Redis Cluster: the same code over three real nodes, one of which is killed.
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from doubles import MovableClock
from web.running import fill

from fhir_gateway.bootstrap import Program, program
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.timekeeping import now
from fhir_gateway.sandbox.server import SandboxServer
from fhir_gateway.sandbox_sources import write_sources
from fhir_gateway.settings import Settings
from fhir_gateway.stores.redis_client import RedisClient, StoreUnavailable
from fhir_gateway.stores.refresh_hint import RedisRefreshHints
from fhir_gateway.stores.source_lease import RedisSourceLeases

from .redis_cluster import RedisCluster

pytestmark = pytest.mark.flow

SLOTS: Final = 300
NORR: Final = SourceName("norr")


@pytest.fixture(name="cluster", scope="module")
def _cluster() -> Iterator[RedisCluster]:
    with RedisCluster() as cluster:
        yield cluster


@dataclass
class Gateway:
    """A gateway over the cluster, with a clock that a test moves."""

    made: Program
    clock: MovableClock

    def search(self) -> tuple[int, int | None]:
        """Return how many times a search finds, and its total."""
        bundle = self.made.app.test_client().get("/fhir/Slot?_count=1000").json
        found = [each for each in bundle["entry"] if each["search"]["mode"] == "match"]
        return len(found), bundle.get("total")

    def refresh(self) -> None:
        """Let the workers ask what is due."""
        for each in self.made.refreshes:
            each.run_once()


@pytest.fixture(name="gateway")
def _gateway(cluster: RedisCluster) -> Iterator[Gateway]:
    folder = Path(tempfile.mkdtemp(prefix="cluster-gateway-"))
    clock = MovableClock(now())
    with SandboxServer(port=0, slots=SLOTS) as server:
        sources = write_sources(folder, server.url, SLOTS, Vocabulary())
        sources.write_text(
            sources.read_text(encoding="utf-8").replace(
                "calls_per_second = 20", "calls_per_second = 1000"
            ),
            encoding="utf-8",
        )
        settings = Settings.from_environment(
            {
                "FHIR_GATEWAY_SOURCES": str(sources),
                "FHIR_GATEWAY_DATA_DIR": str(folder / "data"),
                "REDIS_URL": cluster.url,
            }
        )
        with program(settings, cluster.url, clock=clock) as made:
            for port in cluster.ports:
                with cluster.node(port) as node:
                    node.flushall()
            fill(made)
            yield Gateway(made, clock)
    shutil.rmtree(folder)


def await_that(holds: Callable[[], bool], within_s: float = 20.0) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold"
        time.sleep(0.05)


def catches_up(gateway: Gateway) -> bool:
    """Return whether the view could read the store."""
    try:
        gateway.made.view.catch_up()
    except StoreUnavailable:
        return False
    return True


def test_everything_works_over_three_nodes(
    cluster: RedisCluster, gateway: Gateway
) -> None:
    """Blocks lie on all nodes, and a search finds every region's times."""
    found, total = gateway.search()
    keys = []
    for port in cluster.ports:
        with cluster.node(port) as node:
            keys.append(len(node.keys("slots:*")))

    assert found == total
    assert found > SLOTS / 2
    assert min(keys) > 0
    assert sum(keys) == len(gateway.made.store.block_keys())
    assert gateway.made.store.used_bytes() > 0


def test_changes_are_followed(gateway: Gateway) -> None:
    """What is refreshed is seen without reading everything anew."""
    version = gateway.made.view.snapshot.version
    gateway.clock.forward(minutes=5)
    gateway.refresh()
    gateway.made.view.catch_up()

    assert gateway.made.view.snapshot.version > version
    found, total = gateway.search()
    assert found == total


def test_leases_and_hints_work_on_any_node(cluster: RedisCluster) -> None:
    """Their scripts and sets touch one key each."""
    client = RedisClient(cluster.url)
    leases, hints = RedisSourceLeases(client), RedisRefreshHints(client)
    lasts = timedelta(seconds=5)
    for number in range(9):
        name = SourceName(f"source-{number}")
        assert leases.acquire(name, "one", lasts=lasts)
        assert not leases.acquire(name, "two", lasts=lasts)
        assert not leases.renew(name, "two", lasts=lasts)
        assert leases.renew(name, "one", lasts=lasts)
        leases.release(name, "one")
        assert leases.acquire(name, "two", lasts=lasts)
        assert hints.take(name) == frozenset()
    present = [leases.attend(each, lasts=lasts) for each in ("one", "two", "one")]
    client.close()

    assert [(each.workers, each.was_known) for each in present] == [
        (1, False),
        (2, False),
        (2, True),
    ]


@pytest.mark.parametrize("which", ["the node of the URL", "the node of the stream"])
def test_a_node_is_killed_and_comes_back(
    cluster: RedisCluster, gateway: Gateway, which: str
) -> None:
    """Searches go on; when the node is back everything is refreshed and followed."""
    whole = gateway.search()
    port = cluster.ports[0]
    if which == "the node of the stream":
        port = cluster.port_of("changes")
    cluster.kill(port)
    await_that(lambda: not catches_up(gateway))
    while_away = gateway.search()
    gateway.refresh()
    gateway.clock.forward(minutes=11)
    gateway.made.view.leave_out()
    aged = gateway.search()
    cluster.start_again(port)
    await_that(lambda: catches_up(gateway))
    gateway.clock.forward(minutes=1)
    gateway.refresh()
    gateway.clock.forward(minutes=1)
    gateway.refresh()
    await_that(lambda: catches_up(gateway))
    after = gateway.search()

    assert while_away == whole
    # The rest has begun meanwhile.
    assert SLOTS / 2 < aged[0] <= whole[0]
    assert aged[1] is None
    assert after[0] == after[1]
    assert after[0] > SLOTS / 2
