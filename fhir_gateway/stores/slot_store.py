"""
Where blocks and offers are kept for every process to read: Redis.

Redis never holds the truth of a booking: losing all of it costs a refill. Every change
is told on one stream, `changes`, which the readers follow.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

import orjson
import redis
import redis.backoff
import redis.cluster
import redis.retry

from fhir_gateway.model.ids import HsaId, SourceName, TimeTypeId
from fhir_gateway.stores.offer import (
    Offer,
    UnreadableOffer,
    pack_offer,
    unpack_offer,
)
from fhir_gateway.stores.slot_block import (
    BlockKey,
    SlotBlock,
    UnreadableBlock,
    pack,
    unpack,
)

__all__ = [
    "Changes",
    "RedisSlotStore",
    "SlotStore",
    "SourceStatus",
    "StoreUnavailable",
]

_BLOCK: Final = "slots:"
_OFFER: Final = "offer:"
_STATUS: Final = "status:"
_STREAM: Final = "changes"
_STREAM_LENGTH: Final = 100_000
_TIMEOUT_S: Final = 0.25
_LONGEST_WAIT: Final = timedelta(seconds=1)
_BATCH: Final = 500
# A block nobody refreshes any more must not stay for ever.
_KEPT_FOR: Final = timedelta(days=1)


class StoreUnavailable(Exception):
    """Redis could not be asked, or refused to write; the message says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStatus:
    """
    How a source's refresh is going.

    Attributes:
        last_answer_at: When it last answered anything.
        failing_since: When the present run of failures began, or None.
        last_error: What went wrong last, without anything personal.
    """

    source: SourceName
    last_answer_at: datetime | None
    failing_since: datetime | None
    last_error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """
    What has changed since a place in the stream.

    Attributes:
        cursor: The place to ask from next time.
        blocks: Blocks that were replaced.
        offers: Sources whose offer was replaced.
        statuses: Sources whose status was replaced.
        missed: Some changes are no longer told: everything must be read anew.
    """

    cursor: str
    blocks: frozenset[BlockKey] = frozenset()
    offers: frozenset[SourceName] = frozenset()
    statuses: frozenset[SourceName] = frozenset()
    missed: bool = False


class SlotStore(Protocol):
    """
    Blocks, offers and statuses, shared between processes.

    Every method raises `StoreUnavailable` when the store cannot be asked; whoever reads
    goes on with what it has.
    """

    def put_block(self, block: SlotBlock) -> None:
        """Replace a block and tell the readers."""
        ...

    def blocks(self, keys: Sequence[BlockKey]) -> list[SlotBlock | None]:
        """Return blocks in the order of the keys; one that is absent is None."""
        ...

    def block_keys(self) -> list[BlockKey]:
        """Return the keys of all blocks."""
        ...

    def put_offer(self, offer: Offer) -> None:
        """Replace a source's offer and tell the readers."""
        ...

    def offer(self, source: SourceName) -> Offer | None:
        """Return a source's offer."""
        ...

    def put_status(self, status: SourceStatus) -> None:
        """Replace a source's status and tell the readers."""
        ...

    def status(self, source: SourceName) -> SourceStatus | None:
        """Return a source's status."""
        ...

    def cursor(self) -> str:
        """Return the present end of the stream."""
        ...

    def changes(self, cursor: str, *, wait: timedelta) -> Changes:
        """Return what has changed since the cursor, waiting for the first change."""
        ...


class RedisSlotStore:
    """
    The store in Redis or Redis Cluster.

    Args:
        url: As redis-py takes it; `?cluster=true` makes it a cluster.
    """

    def __init__(self, url: str) -> None:
        # redis-py repeats commands of its own accord, also after a timeout: one INCR
        # was received eleven times. Ours are idempotent, but a stall must be short.
        self._redis = _connect(url, socket_timeout=_TIMEOUT_S)
        self._tail = _connect(
            url, socket_timeout=_LONGEST_WAIT.total_seconds() + _TIMEOUT_S
        )

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()
        self._tail.close()

    def used_bytes(self) -> int:
        """Return how much memory Redis uses; of a cluster, its first node."""
        try:
            return int(self._redis.info("memory")["used_memory"])
        except redis.RedisError as error:
            raise StoreUnavailable(_reason(error)) from error

    def put_block(self, block: SlotBlock) -> None:
        """Replace a block and tell the readers."""
        name = _block_name(block.key)
        self._put(name, pack(block))

    def blocks(self, keys: Sequence[BlockKey]) -> list[SlotBlock | None]:
        """Return blocks; one that cannot be read counts as absent."""
        found: list[SlotBlock | None] = []
        for start in range(0, len(keys), _BATCH):
            names = [_block_name(key) for key in keys[start : start + _BATCH]]
            for packed in self._get(names):
                try:
                    found.append(unpack(packed) if packed else None)
                except UnreadableBlock:
                    # Of an older or newer version of this program: refilled in time.
                    found.append(None)
        return found

    def block_keys(self) -> list[BlockKey]:
        """Return the keys of all blocks."""
        try:
            names = list(self._redis.scan_iter(match=f"{_BLOCK}*", count=1000))
        except redis.RedisError as error:
            raise StoreUnavailable(_reason(error)) from error
        return [key for name in names if (key := _block_key(name)) is not None]

    def put_offer(self, offer: Offer) -> None:
        """Replace a source's offer and tell the readers."""
        self._put(f"{_OFFER}{offer.source}", pack_offer(offer))

    def offer(self, source: SourceName) -> Offer | None:
        """Return a source's offer."""
        packed = self._get([f"{_OFFER}{source}"])[0]
        try:
            return unpack_offer(packed) if packed else None
        except UnreadableOffer:
            return None

    def put_status(self, status: SourceStatus) -> None:
        """Replace a source's status and tell the readers."""
        self._put(
            f"{_STATUS}{status.source}",
            orjson.dumps(
                [
                    _timestamp(status.last_answer_at),
                    _timestamp(status.failing_since),
                    status.last_error,
                ]
            ),
        )

    def status(self, source: SourceName) -> SourceStatus | None:
        """Return a source's status."""
        packed = self._get([f"{_STATUS}{source}"])[0]
        if not packed:
            return None
        try:
            last_answer_at, failing_since, last_error = orjson.loads(packed)
            return SourceStatus(
                source=source,
                last_answer_at=_instant(last_answer_at),
                failing_since=_instant(failing_since),
                last_error=last_error,
            )
        except (ValueError, TypeError, OverflowError):
            # Of another version of this program: told anew within seconds.
            return None

    def cursor(self) -> str:
        """Return the present end of the stream."""
        try:
            last = self._redis.xrevrange(_STREAM, count=1)
        except redis.RedisError as error:
            raise StoreUnavailable(_reason(error)) from error
        return last[0][0].decode() if last else "0-0"

    def changes(self, cursor: str, *, wait: timedelta) -> Changes:
        """
        Return what has changed since the cursor, waiting for the first change.

        It waits no longer than a second: a Redis that hangs must not hold the reader.
        """
        wait = min(wait, _LONGEST_WAIT)
        try:
            answer = self._tail.xread(
                {_STREAM: cursor},
                count=10_000,
                block=max(1, int(wait.total_seconds() * 1000)),
            )
            oldest = self._redis.xrange(_STREAM, count=1)
        except redis.RedisError as error:
            raise StoreUnavailable(_reason(error)) from error
        entries = _entries(answer)
        # The stream is shorter than our place in it when Redis was emptied, and begins
        # after it when we have been away for too long.
        first = oldest[0][0].decode() if oldest else "0-0"
        missed = cursor != "0-0" and (
            not oldest or _position(first) > _position(cursor)
        )
        return _changes(entries, cursor if entries or oldest else "0-0", missed=missed)

    def _put(self, name: str, packed: bytes) -> None:
        try:
            self._redis.set(name, packed, ex=_KEPT_FOR)
            self._redis.xadd(
                _STREAM, {"name": name}, maxlen=_STREAM_LENGTH, approximate=True
            )
        except redis.RedisError as error:
            raise StoreUnavailable(_reason(error)) from error

    def _get(self, names: Sequence[str]) -> list[bytes | None]:
        try:
            if isinstance(self._redis, redis.cluster.RedisCluster):
                return list(self._redis.mget_nonatomic(names))
            return list(self._redis.mget(names))
        except redis.RedisError as error:
            raise StoreUnavailable(_reason(error)) from error


def _connect(url: str, *, socket_timeout: float | None) -> Any:  # noqa: ANN401 - redis-py's two clients share no typed base
    options: dict[str, Any] = {
        "socket_timeout": socket_timeout,
        "socket_connect_timeout": _TIMEOUT_S,
        "retry": redis.retry.Retry(redis.backoff.NoBackoff(), 0),
    }
    base, _, query = url.partition("?")
    arguments = [each for each in query.split("&") if each]
    if "cluster=true" in arguments:
        arguments.remove("cluster=true")
        plain = "?".join(part for part in (base, "&".join(arguments)) if part)
        return redis.cluster.RedisCluster.from_url(plain, **options)
    return redis.Redis.from_url(url, **options)


def _entries(answer: Any) -> list[tuple[bytes, dict[bytes, bytes]]]:  # noqa: ANN401 - a list in RESP2, a dict in RESP3
    if isinstance(answer, dict):
        answer = [(name, entries[0]) for name, entries in answer.items()]
    return [entry for _, entries in answer or () for entry in entries]


def _changes(
    entries: Iterable[tuple[bytes, dict[bytes, bytes]]], cursor: str, *, missed: bool
) -> Changes:
    blocks, offers, statuses = set(), set(), set()
    for entry_id, fields in entries:
        cursor = entry_id.decode()
        name = fields.get(b"name", b"")
        key = _block_key(name)
        if key is not None:
            blocks.add(key)
            continue
        kind, _, source = name.decode(errors="replace").partition(":")
        # What is no source of ours is nothing that this program has written.
        with suppress(ValueError):
            if f"{kind}:" == _OFFER:
                offers.add(SourceName(source))
            elif f"{kind}:" == _STATUS:
                statuses.add(SourceName(source))
    return Changes(
        cursor=cursor,
        blocks=frozenset(blocks),
        offers=frozenset(offers),
        statuses=frozenset(statuses),
        missed=missed,
    )


def _position(entry_id: str) -> tuple[int, int]:
    milliseconds, _, number = entry_id.partition("-")
    return int(milliseconds), int(number or 0)


def _block_name(key: BlockKey) -> str:
    return f"{_BLOCK}{key.source}:{key.unit}:{key.time_type_id}"


def _block_key(name: bytes) -> BlockKey | None:
    text = name.decode(errors="replace")
    parts = text.removeprefix(_BLOCK).split(":", 2)
    if not text.startswith(_BLOCK) or len(parts) != 3:  # noqa: PLR2004 - three parts
        return None
    try:
        return BlockKey(
            source=SourceName(parts[0]),
            unit=HsaId(parts[1]),
            time_type_id=TimeTypeId(parts[2]),
        )
    except ValueError:
        return None


def _timestamp(instant: datetime | None) -> float | None:
    return instant.timestamp() if instant else None


def _instant(timestamp: float | None) -> datetime | None:
    return None if timestamp is None else datetime.fromtimestamp(timestamp, UTC)


def _reason(error: redis.RedisError) -> str:
    # The text of a redis error can quote the command; its class says enough.
    return f"Redis: {type(error).__name__}"
