"""
The connection to Redis or Redis Cluster that every store here uses.

The first use opens it: a process starts also while Redis is down.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import redis
import redis.backoff
import redis.cluster
import redis.exceptions
import redis.retry

from fhir_gateway.stores.redis_fault import RedisFault, redis_fault
from fhir_gateway.stores.redis_url import WrongRedis, redis_url

__all__ = ["TIMEOUT_S", "RedisClient", "StoreUnavailable"]

TIMEOUT_S: Final = 0.25


class StoreUnavailable(Exception):
    """
    Redis cannot be reached, or refused to write; the message says which.

    Attributes:
        fault: What is wrong and what to do about it, for the operator.
    """

    def __init__(self, message: str, *, fault: RedisFault = RedisFault.AWAY) -> None:
        super().__init__(message)
        self.fault = fault


class RedisClient:
    """
    A connection to Redis.

    Args:
        url: As redis-py takes it; `?cluster=true` makes it a cluster.
        timeout_s: How long a command may take.

    Raises:
        WrongRedis: The URL has another form.
    """

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S) -> None:
        parsed = redis_url(url)
        self._url = parsed.url
        self.is_cluster = parsed.is_cluster
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._client: Any = None

    @contextmanager
    def asking(self) -> Iterator[Any]:
        """
        Yield redis-py's client, for a few commands.

        Raises:
            StoreUnavailable: One of them, or the connection, failed.
        """
        try:
            yield self._connect()
        except (redis.RedisError, redis.exceptions.RedisClusterException) as error:
            # The text of a Redis error can quote the command; its class says enough.
            raise StoreUnavailable(
                f"Redis: {type(error).__name__}", fault=redis_fault(error)
            ) from error

    def check(self) -> None:
        """
        Check, at start, that the server is a Redis and accepts the login.

        A Redis that is down is no error here.

        Raises:
            WrongRedis: It is no Redis, or it refuses the login.
        """
        try:
            self._connect().ping()
        except (redis.RedisError, redis.exceptions.RedisClusterException) as error:
            fault = redis_fault(error)
            if fault.is_configuration:
                raise WrongRedis([fault.value]) from None

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _connect(self) -> Any:  # noqa: ANN401 - redis-py's two clients share no typed base
        with self._lock:
            if self._client is None:
                # redis-py would repeat commands, also after a timeout: a server once
                # got one INCR eleven times. Ours are idempotent, but the wait must
                # be short.
                kind = redis.cluster.RedisCluster if self.is_cluster else redis.Redis
                self._client = kind.from_url(
                    self._url,
                    socket_timeout=self._timeout_s,
                    socket_connect_timeout=TIMEOUT_S,
                    retry=redis.retry.Retry(redis.backoff.NoBackoff(), 0),
                )
            return self._client
