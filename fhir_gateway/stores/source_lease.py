"""
Leases in Redis: one worker at a time asks a source.

A lease is a key with the holder's token; it expires by itself. Renewing and releasing
compare the token and act in one step, so that no worker changes another's lease.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

from fhir_gateway.model.ids import SourceName
from fhir_gateway.stores.redis_client import RedisClient

__all__ = ["Presence", "RedisSourceLeases", "SourceLeases"]

_LEASE: Final = "lease:"
_WORKERS: Final = "workers"
_RENEW: Final = """
if redis.call('get', KEYS[1]) == ARGV[1] then
    return redis.call('pexpire', KEYS[1], ARGV[2])
end
return 0
"""
_RELEASE: Final = """
if redis.call('get', KEYS[1]) == ARGV[1] then
    return redis.call('del', KEYS[1])
end
return 0
"""
# The clock is Redis's own, since the clocks of several machines differ.
_ATTEND: Final = """
local time = redis.call('time')
local present = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call('zscore', KEYS[1], ARGV[1]) and 1 or 0
redis.call('zadd', KEYS[1], present + ARGV[2], ARGV[1])
redis.call('zremrangebyscore', KEYS[1], '-inf', present)
redis.call('pexpire', KEYS[1], ARGV[2])
return {redis.call('zcard', KEYS[1]), known}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """
    The workers that are running.

    Attributes:
        workers: How many there are, including the one that asks.
        was_known: Whether Redis knew the one that asks before.
    """

    workers: int
    was_known: bool


class SourceLeases(Protocol):
    """
    Leases of sources, shared between workers.

    Every method raises `StoreUnavailable` when the store does not answer.
    """

    def attend(self, holder: str, *, lasts: timedelta) -> Presence:
        """Record a worker as running for that long; return which workers are."""
        ...

    def leave(self, holder: str) -> None:
        """Record that a worker has stopped."""
        ...

    def acquire(self, source: SourceName, holder: str, *, lasts: timedelta) -> bool:
        """Take the lease if it is free; return whether this holder has it now."""
        ...

    def renew(self, source: SourceName, holder: str, *, lasts: timedelta) -> bool:
        """Extend the lease; return whether this holder still had it."""
        ...

    def release(self, source: SourceName, holder: str) -> None:
        """Release the lease, if this holder has it."""
        ...


class RedisSourceLeases:
    """
    The leases in Redis or Redis Cluster.

    Args:
        client: The connection.
    """

    def __init__(self, client: RedisClient) -> None:
        self._redis = client

    def attend(self, holder: str, *, lasts: timedelta) -> Presence:
        """Record a worker as running for that long; return which workers are."""
        with self._redis.asking() as redis:
            workers, was_known = redis.eval(
                _ATTEND, 1, _WORKERS, holder, _milliseconds(lasts)
            )
        return Presence(workers=int(workers), was_known=bool(was_known))

    def leave(self, holder: str) -> None:
        """Record that a worker has stopped."""
        with self._redis.asking() as redis:
            redis.zrem(_WORKERS, holder)

    def acquire(self, source: SourceName, holder: str, *, lasts: timedelta) -> bool:
        """Take the lease if it is free; return whether this holder has it now."""
        with self._redis.asking() as redis:
            return bool(
                redis.set(f"{_LEASE}{source}", holder, nx=True, px=_milliseconds(lasts))
            )

    def renew(self, source: SourceName, holder: str, *, lasts: timedelta) -> bool:
        """Extend the lease; return whether this holder still had it."""
        with self._redis.asking() as redis:
            return bool(
                redis.eval(_RENEW, 1, f"{_LEASE}{source}", holder, _milliseconds(lasts))
            )

    def release(self, source: SourceName, holder: str) -> None:
        """Release the lease, if this holder has it."""
        with self._redis.asking() as redis:
            redis.eval(_RELEASE, 1, f"{_LEASE}{source}", holder)


def _milliseconds(duration: timedelta) -> int:
    return max(1, int(duration.total_seconds() * 1000))
