"""
Refresh hints in a real Redis: taken once, and soon forgotten.
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
from fhir_gateway.stores.embedded_redis import EmbeddedRedis
from fhir_gateway.stores.redis_client import RedisClient, StoreUnavailable
from fhir_gateway.stores.refresh_hint import RedisRefreshHints


@pytest.fixture(name="url", scope="module")
def _url() -> Iterator[str]:
    folder = Path(tempfile.mkdtemp(prefix="hints-"))
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


@pytest.fixture(name="hints")
def _hints(url: str, client: Any) -> Iterator[RedisRefreshHints]:  # noqa: ARG001 - it empties Redis
    connection = RedisClient(url)
    yield RedisRefreshHints(connection)
    connection.close()


def test_hints_are_taken_once(hints: RedisRefreshHints) -> None:
    """Each source has its own; what was taken is gone."""
    hints.add(NORR, [(UNIT, VISIT), (OTHER_UNIT, COVID)])
    hints.add(NORR, [(UNIT, VISIT)])
    hints.add(SYD, [(UNIT, COVID)])

    assert hints.take(NORR) == {(UNIT, VISIT), (OTHER_UNIT, COVID)}
    assert hints.take(NORR) == frozenset()
    assert hints.take(SYD) == {(UNIT, COVID)}


def test_a_code_may_have_any_characters(hints: RedisRefreshHints) -> None:
    """The unit ends at the first colon, and no unit has one."""
    wanted = (UNIT, TimeTypeId("a:b å\n"))
    hints.add(NORR, [wanted])

    assert hints.take(NORR) == {wanted}


def test_no_hints_leave_no_key(hints: RedisRefreshHints, client: Any) -> None:
    """No hints leave no key."""
    hints.add(NORR, [])

    assert client.keys("*") == []


def test_hints_are_forgotten_when_nobody_takes_them(
    hints: RedisRefreshHints, client: Any
) -> None:
    """Without a worker it is gone after ten minutes."""
    hints.add(NORR, [(UNIT, VISIT)])

    assert 0 < client.ttl("demand:norr") <= 600


def test_what_is_foreign_is_passed_over(hints: RedisRefreshHints, client: Any) -> None:
    """Members that this program cannot have written are no hints."""
    client.sadd("demand:norr", b"\xff", "HSA_1:x", f"{UNIT}:{VISIT}")

    assert hints.take(NORR) == {(UNIT, VISIT)}


def test_a_redis_that_is_away_says_so() -> None:
    """Both ways."""
    hints = RedisRefreshHints(RedisClient("redis://127.0.0.1:1"))

    with pytest.raises(StoreUnavailable):
        hints.add(NORR, [(UNIT, VISIT)])
    with pytest.raises(StoreUnavailable):
        hints.take(NORR)
