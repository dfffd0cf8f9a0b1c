"""
Demand: which ageing times clients have searched for, told to the workers in Redis.

One set for each source, of units and time types; it holds nothing of who searched, no
more members than the source has time types, and nothing once it is ten minutes old.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final, Protocol

from fhir_gateway.model.ids import HsaId, SourceName, TimeTypeId
from fhir_gateway.stores.redis_client import RedisClient

__all__ = ["Demand", "RedisDemand", "Wanted"]

_DEMAND: Final = "demand:"
_KEPT_FOR: Final = timedelta(minutes=10)
_SEPARATOR: Final = ":"

Wanted = tuple[HsaId, TimeTypeId]
"""A unit's time type."""


class Demand(Protocol):
    """
    What clients ask for, shared between processes.

    Every method raises `StoreUnavailable` when it cannot be told.
    """

    def add(self, source: SourceName, wanted: Iterable[Wanted]) -> None:
        """Tell what is wanted of a source."""
        ...

    def take(self, source: SourceName) -> frozenset[Wanted]:
        """Return what is wanted of a source, some hundreds at most, and forget it."""
        ...


class RedisDemand:
    """
    The demand in Redis or Redis Cluster.

    Args:
        client: The connection.
    """

    def __init__(self, client: RedisClient) -> None:
        self._redis = client

    def add(self, source: SourceName, wanted: Iterable[Wanted]) -> None:
        """Tell what is wanted of a source."""
        members = [f"{unit}{_SEPARATOR}{code}" for unit, code in wanted]
        if not members:
            return
        name = f"{_DEMAND}{source}"
        with self._redis.asking() as redis:
            redis.sadd(name, *members)
            redis.expire(name, _KEPT_FOR)

    def take(self, source: SourceName) -> frozenset[Wanted]:
        """Return what is wanted of a source, some hundreds at most, and forget it."""
        with self._redis.asking() as redis:
            members = redis.spop(f"{_DEMAND}{source}", 500)
        return frozenset(
            wanted for each in members or () if (wanted := _wanted(each)) is not None
        )


def _wanted(member: bytes) -> Wanted | None:
    unit, _, code = member.decode(errors="replace").partition(_SEPARATOR)
    try:
        return HsaId(unit), TimeTypeId(code)
    except ValueError:
        # Nothing that this program has written.
        return None
