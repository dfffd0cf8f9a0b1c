"""
Counts of requests that all processes share, in Redis.

The library `limits` increments a count and sets its end in one step (Lua), so that no
count stays for ever when a process dies between the two.
"""

from datetime import timedelta
from typing import Any, Final, Protocol

from limits.storage import RedisStorage

from fhir_gateway.stores.redis_client import RedisClient

__all__ = ["RedisRequestCounts", "RequestCounts"]

_PREFIX: Final = "limit"


class RequestCounts(Protocol):
    """Counts that several processes add to."""

    def add(self, name: str, amount: int, *, lasts: timedelta) -> int:
        """
        Add to a count, and return what all processes have added.

        Args:
            name: Which count; it holds nothing personal.
            amount: How much to add.
            lasts: How long after its first addition the count ends.

        Raises:
            StoreUnavailable: The store cannot be asked.
        """
        ...


class RedisRequestCounts:
    """
    The counts in Redis or Redis Cluster.

    Args:
        client: The connection.
    """

    def __init__(self, client: RedisClient) -> None:
        self._redis = client
        self._storage: _Storage | None = None

    def add(self, name: str, amount: int, *, lasts: timedelta) -> int:
        """Add to a count, as the Protocol says; one command to Redis."""
        with self._redis.asking() as redis:
            storage = self._storage
            if storage is None or storage.storage is not redis:
                storage = self._storage = _Storage(redis)
            return storage.incr(name, int(lasts.total_seconds()), amount)


class _Storage(RedisStorage):
    """`limits`' storage over the connection that every store here uses."""

    # Nothing finds it by the scheme of a URL.
    STORAGE_SCHEME: list[str] = []  # noqa: RUF012 - the library's type

    def __init__(self, redis: Any) -> None:  # noqa: ANN401 - redis-py's two clients share no typed base
        self._redis = redis
        # This connects to nothing.
        super().__init__("redis://", key_prefix=_PREFIX)
        self.storage = redis

    def get_connection(self, readonly: bool = False) -> Any:  # noqa: ANN401, ARG002, FBT001, FBT002 - the library's signature
        """Return our own client."""
        return self._redis
