"""
A worker's share: who takes which source, and what ends it; over a real Redis.
"""

import shutil
import tempfile
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from redis import Redis
from structlog.testing import capture_logs

from fhir_gateway.model.ids import SourceName
from fhir_gateway.services.refresh.lease_deadline import LeaseDeadline
from fhir_gateway.services.refresh.worker_share import WorkerShare
from fhir_gateway.stores.embedded_redis import EmbeddedRedis
from fhir_gateway.stores.redis_client import RedisClient, StoreUnavailable
from fhir_gateway.stores.source_lease import RedisSourceLeases

NAMES = tuple(SourceName(name) for name in ("a", "b", "c", "d", "e", "f"))
LASTS = timedelta(seconds=12)


class Work:
    """Work that goes on until its deadline ends, or a call longer on request."""

    def __init__(self, source: SourceName) -> None:
        self.source = source
        self.deadlines: list[LeaseDeadline] = []
        self.last_call_ends = threading.Event()
        self.last_call_ends.set()

    def run(self, deadline: LeaseDeadline) -> None:
        """Work."""
        self.deadlines.append(deadline)
        while not deadline.has_passed():
            deadline.wait(0.005)
        self.last_call_ends.wait(10)


class Failing(Work):
    """Work that ends by a fault of its own."""

    def run(self, deadline: LeaseDeadline) -> None:
        """Fail."""
        super().run(LeaseDeadline(until=0.0))
        raise ZeroDivisionError(deadline)


class Worker:
    """A share with a clock that the test moves."""

    def __init__(self, url: str, holder: str, kind: type[Work] = Work) -> None:
        self.client = RedisClient(url)
        self.leases = RedisSourceLeases(self.client)
        self.seconds = 0.0
        self.work = {name: kind(name) for name in NAMES}
        self.share = WorkerShare(
            list(self.work.values()),
            self.leases,
            holder,
            lasts=LASTS,
            elapsed=lambda: self.seconds,
        )

    def tick(self) -> frozenset[SourceName]:
        """Go on, and return which sources it asks then."""
        self.share.tick()
        return self.share.sources

    def settle(self) -> frozenset[SourceName]:
        """Go on until what has ended is given back."""
        deadline = monotonic() + 5
        while monotonic() < deadline:
            self.share.tick()
            if len(self.share._held) == len(self.share.sources):
                break
        return self.share.sources

    def close(self) -> None:
        """Stop."""
        for each in self.work.values():
            each.last_call_ends.set()
        self.share.close()
        self.client.close()


@pytest.fixture(name="url", scope="module")
def _url() -> Iterator[str]:
    folder = Path(tempfile.mkdtemp(prefix="share-"))
    try:
        with EmbeddedRedis(folder) as embedded:
            yield embedded.url
    finally:
        shutil.rmtree(folder)


@pytest.fixture(name="client")
def _client(url: str) -> Iterator[Any]:
    with Redis.from_url(url) as client:
        client.flushall()
        yield client


@pytest.fixture(name="start")
def _start(url: str, client: Any) -> Iterator[Any]:  # noqa: ARG001 - it empties Redis
    """Give the starter of workers."""
    workers: list[Worker] = []

    def start(holder: str, **options: Any) -> Worker:
        workers.append(Worker(url, holder, **options))
        return workers[-1]

    yield start
    for each in workers:
        each.close()


def test_one_worker_takes_everything(start: Any) -> None:
    """Alone it asks every source."""
    assert start("one").tick() == set(NAMES)


def test_two_workers_share_equally(start: Any) -> None:
    """One that comes later gets its half, when the other has given it back."""
    first, second = start("one"), start("two")
    first.tick()
    early = second.tick()
    first.settle()
    late = second.tick()

    assert early == set()
    assert (len(first.share.sources), len(late)) == (3, 3)
    assert first.share.sources | late == set(NAMES)


def test_a_source_is_not_given_back_before_its_last_call_has_ended(start: Any) -> None:
    """Nobody else may ask while a call is in flight."""
    first, second = start("one"), start("two")
    first.tick()
    for each in first.work.values():
        each.last_call_ends.clear()
    second.tick()
    first.tick()
    while_in_flight = second.tick()
    for each in first.work.values():
        each.last_call_ends.set()
    first.settle()

    assert while_in_flight == set()
    assert len(second.tick()) == 3


def test_a_source_has_one_holder(start: Any, client: Any) -> None:
    """Leases that another has cannot be taken, renewed or given back."""
    first, second = start("one"), start("two")
    first.tick()
    name = NAMES[0]

    assert not second.leases.acquire(name, "two", lasts=LASTS)
    assert not second.leases.renew(name, "two", lasts=timedelta(days=1))
    second.leases.release(name, "two")
    assert client.get(f"lease:{name}") == b"one"
    assert client.pttl(f"lease:{name}") <= LASTS.total_seconds() * 1000


def test_renewing_keeps_a_source(start: Any) -> None:
    """Ticks let a deadline go on, without a new start."""
    worker = start("one")
    worker.tick()
    for _ in range(5):
        worker.seconds += 5
        worker.tick()

    assert worker.share.sources == set(NAMES)
    assert [len(each.deadlines) for each in worker.work.values()] == [1] * 6


def test_a_worker_that_slept_too_long_has_lost_its_sources(
    start: Any, client: Any
) -> None:
    """Its own clock shows it, before it has asked Redis."""
    worker = start("one")
    worker.tick()
    worker.seconds += 10
    asleep = worker.share.sources
    for name in NAMES:
        client.set(f"lease:{name}", "another")
    with capture_logs() as logs:
        worker.tick()

    assert (asleep, worker.share.sources) == (set(), set())
    assert [each["event"] for each in logs] == ["lease lost"] * 6


def test_without_redis_deadlines_pass(start: Any, client: Any) -> None:
    """A worker that cannot renew goes on until its leases end, and no longer."""
    worker = start("one")
    worker.tick()
    client.execute_command("CLIENT", "PAUSE", "1000", "ALL")
    worker.seconds += 9
    with capture_logs() as logs:
        before = worker.tick()
        worker.seconds += 1
        after = worker.tick()

    assert (before, after) == (set(NAMES), set())
    assert [each["event"] for each in logs if "renewed" in each["event"]] == [
        "leases cannot be renewed"
    ]


def test_an_emptied_redis_takes_no_source_away(start: Any, client: Any) -> None:
    """A lease that is gone, and nobody else's, is taken anew without a stop."""
    worker = start("one")
    worker.tick()
    client.flushall()
    worker.tick()

    assert [len(each.deadlines) for each in worker.work.values()] == [1] * 6
    assert len(client.keys("lease:*")) == 6


def test_an_emptied_redis_moves_no_source_between_workers(
    start: Any, client: Any
) -> None:
    """The first worker after that leaves alone what another asks just now."""
    first, second = start("one"), start("two")
    first.tick()
    second.tick()
    first.settle()
    shares = first.share.sources, second.tick()
    client.flushall()
    with capture_logs() as logs:
        emptied = second.tick(), first.tick()
    second.seconds = first.seconds = 13
    later = second.tick(), first.tick()

    assert [len(each) for each in shares] == [3, 3]
    assert emptied == (shares[1], shares[0])
    assert {each["event"] for each in logs} == {"the leases were emptied"}
    assert later[0] | later[1] <= set(NAMES)
    assert later[0] & later[1] == set()


def test_a_worker_that_closes_gives_everything_back(start: Any, client: Any) -> None:
    """The next one need not wait."""
    worker = start("one")
    worker.tick()
    worker.share.close()

    assert client.keys("*") == []


def test_work_that_fails_is_logged_and_begun_again(start: Any) -> None:
    """A fault of the program's own in one source stops no other, and not for ever."""
    worker = start("one", kind=Failing)
    with capture_logs() as logs:
        worker.tick()
        worker.settle()
        worker.tick()

    assert {
        (each["event"], each.get("kind"))
        for each in logs
        if each["log_level"] == "error"
    } == {("refresh failed", "ZeroDivisionError")}
    assert all(len(each.deadlines) >= 2 for each in worker.work.values())


def test_leases_say_that_redis_is_away(url: str) -> None:
    """A call for a lease fails when Redis is gone."""
    client = RedisClient(url.replace("redis.sock", "nobody.sock"))

    with pytest.raises(StoreUnavailable, match="Redis: ConnectionError"):
        RedisSourceLeases(client).attend("one", lasts=LASTS)
