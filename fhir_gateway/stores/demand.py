"""
Demand: which blocks the workers are to ask for soon, and why, in Redis.

One set for each reason and source, of units and time types; it holds nothing of who
asked, no more members than the source has time types, and nothing once it is ten
minutes old.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final, Protocol

from fhir_gateway.model.ids import HsaId, SourceName, TimeTypeId
from fhir_gateway.stores.redis_client import RedisClient

__all__ = ["AGEING", "WRONG", "Demand", "RedisDemand", "Wanted"]

AGEING: Final = "demand"
"""Clients have searched for it, and it was ageing."""

WRONG: Final = "recheck"
"""A booking has heard that it may be wrong."""

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
        reason: Why what it tells of is wanted.
    """

    def __init__(self, client: RedisClient, reason: str = AGEING) -> None:
        self._redis = client
        self._reason = reason

    def add(self, source: SourceName, wanted: Iterable[Wanted]) -> None:
        """Tell what is wanted of a source."""
        members = [f"{unit}{_SEPARATOR}{code}" for unit, code in wanted]
        if not members:
            return
        name = f"{self._reason}:{source}"
        with self._redis.asking() as redis:
            redis.sadd(name, *members)
            redis.expire(name, _KEPT_FOR)

    def take(self, source: SourceName) -> frozenset[Wanted]:
        """Return what is wanted of a source, some hundreds at most, and forget it."""
        with self._redis.asking() as redis:
            members = redis.spop(f"{self._reason}:{source}", 500)
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
