"""
The store of blocks, catalogues and statuses that all processes read: Redis.

No booking depends on Redis: when it loses all, the workers fill it again. Every change
goes on one stream, `changes`, which the readers follow.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Protocol

from fhir_gateway.model.ids import HsaId, SourceName, TimeTypeId
from fhir_gateway.stores.redis_client import TIMEOUT_S, RedisClient, StoreUnavailable
from fhir_gateway.stores.slot_block import (
    BlockKey,
    SlotBlock,
    UnreadableBlock,
    pack,
    unpack,
)
from fhir_gateway.stores.source_catalogue import (
    SourceCatalogue,
    UnreadableCatalogue,
    pack_catalogue,
    unpack_catalogue,
)
from fhir_gateway.stores.source_status import (
    SourceStatus,
    UnreadableStatus,
    pack_status,
    unpack_status,
)

__all__ = [
    "Changes",
    "RedisSlotStore",
    "SlotStore",
    "SourceStatus",
    "StoreUnavailable",
]

_BLOCK: Final = "slots:"
# A rolling upgrade needs the key that earlier releases write.
_CATALOGUE: Final = "offer:"
_STATUS: Final = "status:"
_STREAM: Final = "changes"
_STREAM_LENGTH: Final = 100_000
_LONGEST_WAIT: Final = timedelta(seconds=1)
_BATCH: Final = 500
# A block that no worker refreshes any more must not stay for ever.
_KEPT_FOR: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """
    What has changed since a place in the stream.

    Attributes:
        cursor: The place to ask from next time.
        blocks: Blocks that were replaced.
        catalogues: Sources of replaced catalogues.
        statuses: Sources of replaced statuses.
        missed: The stream has lost some changes: the reader must read everything.
    """

    cursor: str
    blocks: frozenset[BlockKey] = frozenset()
    catalogues: frozenset[SourceName] = frozenset()
    statuses: frozenset[SourceName] = frozenset()
    missed: bool = False


class SlotStore(Protocol):
    """
    Blocks, catalogues and statuses, shared between processes.

    Every method raises `StoreUnavailable` when the store cannot be asked. A
    reader then goes on with the data that it has.
    """

    def put_block(self, block: SlotBlock) -> None:
        """Replace a block, and put the change on the stream."""
        ...

    def blocks(self, keys: Sequence[BlockKey]) -> list[SlotBlock | None]:
        """Return blocks in the order of the keys; one that is absent is None."""
        ...

    def block_keys(self) -> list[BlockKey]:
        """Return the keys of all blocks."""
        ...

    def put_catalogue(self, catalogue: SourceCatalogue) -> None:
        """Replace a source's catalogue, and put the change on the stream."""
        ...

    def catalogue(self, source: SourceName) -> SourceCatalogue | None:
        """Return a source's catalogue."""
        ...

    def put_status(self, status: SourceStatus) -> None:
        """Replace a source's status, and put the change on the stream."""
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
        self.client = RedisClient(url)
        self._tail = RedisClient(
            url, timeout_s=_LONGEST_WAIT.total_seconds() + TIMEOUT_S
        )

    def close(self) -> None:
        """Close the connections."""
        self.client.close()
        self._tail.close()

    def used_bytes(self) -> int:
        """Return how much memory Redis uses; of a cluster, its first node."""
        with self.client.asking() as redis:
            memory = redis.info("memory")
        # For a cluster redis-py returns one answer for each node.
        first = memory if "used_memory" in memory else next(iter(memory.values()))
        return int(first["used_memory"])

    def put_block(self, block: SlotBlock) -> None:
        """Replace a block, and put the change on the stream."""
        self._put(_block_name(block.key), pack(block))

    def blocks(self, keys: Sequence[BlockKey]) -> list[SlotBlock | None]:
        """Return blocks; one that cannot be read counts as absent."""
        found: list[SlotBlock | None] = []
        for start in range(0, len(keys), _BATCH):
            names = [_block_name(key) for key in keys[start : start + _BATCH]]
            for packed in self._get(names):
                try:
                    found.append(unpack(packed) if packed else None)
                except UnreadableBlock:
                    # Another version wrote it; a worker replaces it in time.
                    found.append(None)
        return found

    def block_keys(self) -> list[BlockKey]:
        """Return the keys of all blocks."""
        with self.client.asking() as redis:
            names = list(redis.scan_iter(match=f"{_BLOCK}*", count=1000))
        return [key for name in names if (key := _block_key(name)) is not None]

    def put_catalogue(self, catalogue: SourceCatalogue) -> None:
        """Replace a source's catalogue, and put the change on the stream."""
        self._put(f"{_CATALOGUE}{catalogue.source}", pack_catalogue(catalogue))

    def catalogue(self, source: SourceName) -> SourceCatalogue | None:
        """Return a source's catalogue."""
        packed = self._get([f"{_CATALOGUE}{source}"])[0]
        try:
            return unpack_catalogue(packed) if packed else None
        except UnreadableCatalogue:
            return None

    def put_status(self, status: SourceStatus) -> None:
        """Replace a source's status, and put the change on the stream."""
        self._put(f"{_STATUS}{status.source}", pack_status(status))

    def status(self, source: SourceName) -> SourceStatus | None:
        """Return a source's status."""
        packed = self._get([f"{_STATUS}{source}"])[0]
        try:
            return unpack_status(source, packed) if packed else None
        except UnreadableStatus:
            # Another version of this program wrote it; the next comes within seconds.
            return None

    def cursor(self) -> str:
        """Return the present end of the stream."""
        with self.client.asking() as redis:
            last = redis.xrevrange(_STREAM, count=1)
        return last[0][0].decode() if last else "0-0"

    def changes(self, cursor: str, *, wait: timedelta) -> Changes:
        """
        Return what has changed since the cursor, waiting for the first change.

        It waits no longer than a second: a Redis that hangs must not hold the reader.
        """
        wait = min(wait, _LONGEST_WAIT)
        with self._tail.asking() as tail, self.client.asking() as redis:
            answer = tail.xread(
                {_STREAM: cursor},
                count=10_000,
                block=max(1, int(wait.total_seconds() * 1000)),
            )
            oldest = redis.xrange(_STREAM, count=1)
        entries = _entries(answer)
        # The stream ends before our place in it when Redis was emptied, and begins
        # after it when we have been away for too long.
        first = oldest[0][0].decode() if oldest else "0-0"
        missed = cursor != "0-0" and (
            not oldest or _position(first) > _position(cursor)
        )
        return _changes(entries, cursor if entries or oldest else "0-0", missed=missed)

    def _put(self, name: str, packed: bytes) -> None:
        with self.client.asking() as redis:
            redis.set(name, packed, ex=_KEPT_FOR)
            redis.xadd(_STREAM, {"name": name}, maxlen=_STREAM_LENGTH, approximate=True)

    def _get(self, names: Sequence[str]) -> list[bytes | None]:
        with self.client.asking() as redis:
            if self.client.is_cluster:
                return list(redis.mget_nonatomic(names))
            return list(redis.mget(names))


def _entries(answer: Any) -> list[tuple[bytes, dict[bytes, bytes]]]:  # noqa: ANN401 - a list in RESP2, a dict in RESP3
    if isinstance(answer, dict):
        answer = [(name, entries[0]) for name, entries in answer.items()]
    return [entry for _, entries in answer or () for entry in entries]


def _changes(
    entries: Iterable[tuple[bytes, dict[bytes, bytes]]], cursor: str, *, missed: bool
) -> Changes:
    blocks, catalogues, statuses = set(), set(), set()
    for entry_id, fields in entries:
        cursor = entry_id.decode()
        name = fields.get(b"name", b"")
        key = _block_key(name)
        if key is not None:
            blocks.add(key)
            continue
        kind, _, source = name.decode(errors="replace").partition(":")
        # This program writes valid source names only.
        with suppress(ValueError):
            if f"{kind}:" == _CATALOGUE:
                catalogues.add(SourceName(source))
            elif f"{kind}:" == _STATUS:
                statuses.add(SourceName(source))
    return Changes(
        cursor=cursor,
        blocks=frozenset(blocks),
        catalogues=frozenset(catalogues),
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
