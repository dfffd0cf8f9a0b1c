"""
The URL of Redis, as redis-py takes it, and one parameter of our own: `?cluster=true`.
"""

import math
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import redis

from fhir_gateway.model.regular_file import fault_of_file
from fhir_gateway.stores.server_url import ServerUrl, WrongUrl, server_url

__all__ = ["RedisUrl", "WrongRedis", "redis_url"]

_EXPECTED: Final = (
    "expected redis://host:6379, rediss://user:password@host:6379 or unix:///path"
)
_NETWORK: Final = frozenset({"redis", "rediss"})
_SOCKET: Final = "unix"
_CLUSTER: Final = "cluster"
_TRUTHS: Final = {"true": True, "false": False}
# Parameters that leave the stores working; they need answers as bytes, for instance.
_PARAMETERS: Final = frozenset(
    {
        *("client_name", "db", "health_check_interval", "max_connections"),
        *("password", "protocol", "socket_connect_timeout", "socket_keepalive"),
        *("socket_timeout", "ssl_ca_certs", "ssl_ca_path", "ssl_cert_reqs"),
        *("ssl_certfile", "ssl_check_hostname", "ssl_ciphers", "ssl_keyfile"),
        *("ssl_min_version", "ssl_password", "username"),
    }
)
_FILES: Final = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"})
_PROTOCOLS: Final = frozenset({"2", "3"})
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
    A Redis that can be used.

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
    Return the Redis that a URL names.

    Raises:
        WrongRedis: The URL names no usable Redis; every fault is named.
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
        # This connects to nothing: it shows whether redis-py accepts each parameter.
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
    yield from _parameter_faults(query)
    cluster = query.get(_CLUSTER, "false")
    if cluster not in _TRUTHS:
        yield "has a wrong cluster: expected true or false"
    is_cluster = _TRUTHS.get(cluster, False)
    if parsed.scheme == _SOCKET:
        if parsed.hosts or parsed.path in ("", "/"):
            yield "names no socket: expected unix:///path"
        elif _is_something_else(Path(parsed.path)):
            yield "names a file or a folder that is no socket: expected unix:///path"
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


def _parameter_faults(query: Mapping[str, str]) -> Iterator[str]:
    if not query.keys() <= _PARAMETERS | {_CLUSTER}:
        # Without the name: it may be the rest of an unescaped password.
        yield (
            "has a parameter after its ? that cannot be used here: expected cluster,"
            f" {', '.join(sorted(_PARAMETERS))}"
        )
    for name in sorted(_FILES & query.keys()):
        if fault := fault_of_file(query[name]):
            yield f"names a file in {name} that {fault}"
    if query.get("protocol", "2") not in _PROTOCOLS:
        yield "has a wrong protocol: expected 2 or 3"
    for name in ("socket_timeout", "socket_connect_timeout", "max_connections"):
        if _is_not_positive(query.get(name, "1")):
            yield f"has a wrong {name}: expected a number greater than 0"


def _is_not_positive(text: str) -> bool:
    try:
        return not 0 < float(text) < math.inf
    except ValueError:
        # redis-py refuses it.
        return False


def _is_something_else(path: Path) -> bool:
    """Return whether something is there that is no socket."""
    try:
        return not stat.S_ISSOCK(path.stat().st_mode)
    except (OSError, ValueError):
        return False
