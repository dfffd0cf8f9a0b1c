"""
Refresh hints: the time types that workers should soon ask for again, in Redis.

There is one set for each reason and source. A set names units and time types, never the
clients that searched; it has no more members than the source has time types. Redis
deletes it ten minutes after the last hint.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final, Protocol

from fhir_gateway.model.ids import HsaId, SourceName, TimeTypeId
from fhir_gateway.stores.redis_client import RedisClient

__all__ = ["AGEING", "WRONG", "RedisRefreshHints", "RefreshHint", "RefreshHints"]

# The reasons are prefixes of keys, which a rolling upgrade needs unchanged.
AGEING: Final = "demand"
"""Clients searched for a time type with ageing times."""

WRONG: Final = "recheck"
"""A booking found that the stored times may be wrong."""

_KEPT_FOR: Final = timedelta(minutes=10)
_SEPARATOR: Final = ":"

RefreshHint = tuple[HsaId, TimeTypeId]
"""A unit's time type."""


class RefreshHints(Protocol):
    """
    The hints of one reason, shared between processes.

    Every method raises `StoreUnavailable` when the store does not answer.
    """

    def add(self, source: SourceName, hints: Iterable[RefreshHint]) -> None:
        """Add hints for a source."""
        ...

    def take(self, source: SourceName) -> frozenset[RefreshHint]:
        """Remove and return hints for a source, some hundreds at most."""
        ...


class RedisRefreshHints:
    """
    Hints in Redis or Redis Cluster.

    Args:
        client: The connection.
        reason: The reason of these hints.
    """

    def __init__(self, client: RedisClient, reason: str = AGEING) -> None:
        self._redis = client
        self._reason = reason

    def add(self, source: SourceName, hints: Iterable[RefreshHint]) -> None:
        """Add hints for a source."""
        members = [f"{unit}{_SEPARATOR}{code}" for unit, code in hints]
        if not members:
            return
        name = f"{self._reason}:{source}"
        with self._redis.asking() as redis:
            redis.sadd(name, *members)
            redis.expire(name, _KEPT_FOR)

    def take(self, source: SourceName) -> frozenset[RefreshHint]:
        """Remove and return hints for a source, some hundreds at most."""
        with self._redis.asking() as redis:
            members = redis.spop(f"{self._reason}:{source}", 500)
        return frozenset(
            hint for each in members or () if (hint := _hint(each)) is not None
        )


def _hint(member: bytes) -> RefreshHint | None:
    unit, _, code = member.decode(errors="replace").partition(_SEPARATOR)
    try:
        return HsaId(unit), TimeTypeId(code)
    except ValueError:
        # This program has not written it.
        return None
