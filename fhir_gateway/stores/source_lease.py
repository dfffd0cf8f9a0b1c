"""
Leases: which worker asks a source, one at a time, in Redis.

A lease is a key with the holder's token that runs out by itself. Renewing and giving
back look at the token and act in one step, so that nobody touches another's lease.
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
# The clock is Redis's own: workers on several machines need not agree on the time.
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
    The workers that are there.

    Attributes:
        workers: How many, the one that asks included.
        was_known: That one was there before, as far as Redis knows.
    """

    workers: int
    was_known: bool


class SourceLeases(Protocol):
    """
    Leases of sources, shared between workers.

    Every method raises `StoreUnavailable` when the store does not answer.
    """

    def attend(self, holder: str, *, lasts: timedelta) -> Presence:
        """Say that a worker is there, for so long; return who is."""
        ...

    def leave(self, holder: str) -> None:
        """Say that a worker is there no more."""
        ...

    def acquire(self, source: SourceName, holder: str, *, lasts: timedelta) -> bool:
        """Take a lease that nobody has; return whether it is this holder's now."""
        ...

    def renew(self, source: SourceName, holder: str, *, lasts: timedelta) -> bool:
        """Let a lease last anew; return whether it was still this holder's."""
        ...

    def release(self, source: SourceName, holder: str) -> None:
        """Give a lease back, if it is this holder's."""
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
        """Say that a worker is there, for so long; return who is."""
        with self._redis.asking() as redis:
            workers, was_known = redis.eval(
                _ATTEND, 1, _WORKERS, holder, _milliseconds(lasts)
            )
        return Presence(workers=int(workers), was_known=bool(was_known))

    def leave(self, holder: str) -> None:
        """Say that a worker is there no more."""
        with self._redis.asking() as redis:
            redis.zrem(_WORKERS, holder)

    def acquire(self, source: SourceName, holder: str, *, lasts: timedelta) -> bool:
        """Take a lease that nobody has; return whether it is this holder's now."""
        with self._redis.asking() as redis:
            return bool(
                redis.set(f"{_LEASE}{source}", holder, nx=True, px=_milliseconds(lasts))
            )

    def renew(self, source: SourceName, holder: str, *, lasts: timedelta) -> bool:
        """Let a lease last anew; return whether it was still this holder's."""
        with self._redis.asking() as redis:
            return bool(
                redis.eval(_RENEW, 1, f"{_LEASE}{source}", holder, _milliseconds(lasts))
            )

    def release(self, source: SourceName, holder: str) -> None:
        """Give a lease back, if it is this holder's."""
        with self._redis.asking() as redis:
            redis.eval(_RELEASE, 1, f"{_LEASE}{source}", holder)


def _milliseconds(duration: timedelta) -> int:
    return max(1, int(duration.total_seconds() * 1000))
