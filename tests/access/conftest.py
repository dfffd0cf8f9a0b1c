"""
A Redis that can be stopped and started again.
"""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fhir_gateway.stores.embedded_redis import EmbeddedRedis
from fhir_gateway.stores.redis_client import RedisClient
from fhir_gateway.stores.request_counts import RedisRequestCounts


class StoppableRedis:
    """
    A real Redis, empty at each start.

    Args:
        folder: Where its socket is; a short path.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: EmbeddedRedis | None = None
        self.url = ""

    def start(self) -> None:
        """Start it, with nothing in it."""
        self._running = EmbeddedRedis(self._folder)
        self._running.__enter__()
        self.url = self._running.url

    def stop(self) -> None:
        """Stop it, if it runs."""
        if self._running is not None:
            self._running.__exit__(None, None, None)
            self._running = None


@pytest.fixture(name="redis")
def _redis() -> Iterator[StoppableRedis]:
    folder = Path(tempfile.mkdtemp(prefix="limits-"))
    redis = StoppableRedis(folder)
    redis.start()
    yield redis
    redis.stop()
    shutil.rmtree(folder)


@pytest.fixture(name="counts")
def _counts(redis: StoppableRedis) -> Iterator[RedisRequestCounts]:
    client = RedisClient(redis.url)
    yield RedisRequestCounts(client)
    client.close()
