"""
Demand in a real Redis: told, taken once, and soon forgotten.
"""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from builders import COVID, NORR, OTHER_UNIT, SYD, UNIT, VISIT
from redis import Redis

from fhir_gateway.model.ids import TimeTypeId
from fhir_gateway.stores.demand import RedisDemand
from fhir_gateway.stores.embedded_redis import EmbeddedRedis
from fhir_gateway.stores.redis_client import RedisClient, StoreUnavailable


@pytest.fixture(name="url", scope="module")
def _url() -> Iterator[str]:
    folder = Path(tempfile.mkdtemp(prefix="demand-"))
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


@pytest.fixture(name="demand")
def _demand(url: str, client: Any) -> Iterator[RedisDemand]:  # noqa: ARG001 - it empties Redis
    connection = RedisClient(url)
    yield RedisDemand(connection)
    connection.close()


def test_what_was_told_is_taken_once(demand: RedisDemand) -> None:
    """Each source has its own; what was taken is gone."""
    demand.add(NORR, [(UNIT, VISIT), (OTHER_UNIT, COVID)])
    demand.add(NORR, [(UNIT, VISIT)])
    demand.add(SYD, [(UNIT, COVID)])

    assert demand.take(NORR) == {(UNIT, VISIT), (OTHER_UNIT, COVID)}
    assert demand.take(NORR) == frozenset()
    assert demand.take(SYD) == {(UNIT, COVID)}


def test_a_code_may_have_any_characters(demand: RedisDemand) -> None:
    """The unit ends at the first colon, and no unit has one."""
    wanted = (UNIT, TimeTypeId("a:b å\n"))
    demand.add(NORR, [wanted])

    assert demand.take(NORR) == {wanted}


def test_nothing_wanted_is_nothing_told(demand: RedisDemand, client: Any) -> None:
    """An empty demand leaves no key."""
    demand.add(NORR, [])

    assert client.keys("*") == []


def test_demand_is_forgotten_when_nobody_takes_it(
    demand: RedisDemand, client: Any
) -> None:
    """Without a worker it is gone after ten minutes."""
    demand.add(NORR, [(UNIT, VISIT)])

    assert 0 < client.ttl("demand:norr") <= 600


def test_what_is_foreign_is_passed_over(demand: RedisDemand, client: Any) -> None:
    """Members that this program cannot have written are no demand."""
    client.sadd("demand:norr", b"\xff", "HSA_1:x", f"{UNIT}:{VISIT}")

    assert demand.take(NORR) == {(UNIT, VISIT)}


def test_a_redis_that_is_away_says_so() -> None:
    """Both ways."""
    demand = RedisDemand(RedisClient("redis://127.0.0.1:1"))

    with pytest.raises(StoreUnavailable):
        demand.add(NORR, [(UNIT, VISIT)])
    with pytest.raises(StoreUnavailable):
        demand.take(NORR)
