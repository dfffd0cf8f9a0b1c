"""
The URL of Redis, as redis-py takes it, and one word of our own: `?cluster=true`.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

import redis

from fhir_gateway.stores.server_url import ServerUrl, WrongUrl, server_url

__all__ = ["RedisUrl", "WrongRedis", "redis_url"]

_EXPECTED: Final = (
    "expected redis://host:6379, rediss://user:password@host:6379 or unix:///path"
)
_NETWORK: Final = frozenset({"redis", "rediss"})
_SOCKET: Final = "unix"
_CLUSTER: Final = "cluster"
_TRUTHS: Final = {"true": True, "false": False}
_DATABASE: Final = re.compile(r"/?|/[0-9]{1,4}")


class WrongRedis(ValueError):
    """
    The URL of Redis has the wrong form; the message does not repeat it.

    Attributes:
        faults: One sentence each.
    """

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(self.faults))


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisUrl:
    """
    Which Redis it is.

    Attributes:
        url: As redis-py takes it.
        is_cluster: Whether it is a Redis Cluster.
    """

    url: str
    is_cluster: bool

    def __repr__(self) -> str:
        return f"{type(self).__name__}(is_cluster={self.is_cluster})"


def redis_url(text: str) -> RedisUrl:
    """
    Return which Redis a URL means.

    Raises:
        WrongRedis: It means none that can be asked; every fault is named.
    """
    if text.partition(":")[0].lower() not in _NETWORK | {_SOCKET}:
        raise WrongRedis([f"is no URL of Redis: {_EXPECTED}"])
    try:
        parsed = server_url(text)
    except WrongUrl as error:
        raise WrongRedis(error.faults) from None
    faults = list(_faults(parsed))
    if faults:
        raise WrongRedis(faults)
    # redis-py compares the scheme's case.
    base = f"{parsed.scheme}{text[len(parsed.scheme) :].partition('?')[0]}"
    query = [pair for pair in parsed.query if pair[0] != _CLUSTER]
    url = f"{base}?{urlencode(query)}" if query else base
    try:
        # Nothing is connected to: what redis-py makes of each parameter is seen.
        pool = redis.ConnectionPool.from_url(url)
        pool.make_connection()
    except (TypeError, ValueError, OSError, redis.RedisError):
        raise WrongRedis(
            ["has a parameter after its ? that redis-py does not know, or cannot use"]
        ) from None
    return RedisUrl(
        url=url, is_cluster=_TRUTHS[dict(parsed.query).get(_CLUSTER, "false")]
    )


def _faults(parsed: ServerUrl) -> Iterator[str]:
    query = dict(parsed.query)
    cluster = query.get(_CLUSTER, "false")
    if cluster not in _TRUTHS:
        yield "has a wrong cluster: expected true or false"
    is_cluster = _TRUTHS.get(cluster, False)
    if parsed.scheme == _SOCKET:
        if parsed.hosts or parsed.path in ("", "/"):
            yield "names no socket: expected unix:///path"
        if is_cluster:
            yield "means a socket, and a cluster has none: expected redis://host:6379"
        return
    if len(parsed.hosts) > 1:
        yield (
            "has several hosts: give the one address of a Sentinel's proxy, or any node"
            " of a cluster"
        )
    if not _DATABASE.fullmatch(parsed.path):
        yield "has a database that is no number: expected redis://host:6379/0"
    elif is_cluster and parsed.path not in ("", "/", "/0"):
        yield "has a number of a database, and a cluster has none: leave it out"
