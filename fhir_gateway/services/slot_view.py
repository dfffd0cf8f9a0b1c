"""
The view: every free time of every source, in memory, sorted and columnar.

A web process reads all blocks once, follows the stream of changes, and swaps in a new
`Snapshot` after each. A search reads one snapshot and asks nobody.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import structlog

from fhir_gateway.model.ids import HsaId, SourceName
from fhir_gateway.model.source import Source
from fhir_gateway.model.timekeeping import Clock, now
from fhir_gateway.model.timeslot import Schedule, time_type_token
from fhir_gateway.services.directory import Directory, TimeTypeMap
from fhir_gateway.stores.offer import Offer
from fhir_gateway.stores.slot_block import BlockKey, SlotBlock
from fhir_gateway.stores.slot_store import SlotStore, SourceStatus, StoreUnavailable

__all__ = ["KnownSchedule", "SlotView", "Snapshot"]

_log = structlog.get_logger()

_WAIT: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSchedule:
    """
    A schedule in a snapshot.

    Attributes:
        offering: The token of its unit's time type.
        answered_at: When its source last listed its free times.
    """

    schedule: Schedule
    token: str
    offering: str
    source: SourceName
    answered_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Snapshot:
    """
    All free times at one moment, sorted by start, then schedule token, then length.

    The columns `start`, `length` (seconds), `schedule` (a number into `schedules`,
    which are sorted by token) and `count` have one row for each free time.

    Attributes:
        by_offering: The numbers of the schedules of each unit's time type.
        by_performer: The numbers of the schedules of each member of staff.
        answered_at: When each unit's time type was last listed by its source, also
            where it is too old to be offered.
        offered: The units' time types that are young enough to be offered.
    """

    directory: Directory
    statuses: Mapping[SourceName, SourceStatus]
    schedules: tuple[KnownSchedule, ...]
    by_token: Mapping[str, int]
    by_offering: Mapping[str, npt.NDArray[np.int32]]
    by_performer: Mapping[HsaId, tuple[int, ...]]
    answered_at: Mapping[str, datetime]
    offered: frozenset[str]
    start: npt.NDArray[np.int64]
    length: npt.NDArray[np.int64]
    schedule: npt.NDArray[np.int32]
    count: npt.NDArray[np.int64]


class SlotView:
    """
    Keeps a snapshot up to date with the store.

    Args:
        sources: The configured sources.
        meanings: The shared meaning of their time types.
        store: Where blocks and offers are.
        clock: Tells the time.
    """

    def __init__(
        self,
        sources: Iterable[Source],
        meanings: TimeTypeMap,
        store: SlotStore,
        *,
        clock: Clock = now,
    ) -> None:
        self._sources = {source.name: source for source in sources}
        self._meanings = meanings
        self._store = store
        self._clock = clock
        self._blocks: dict[BlockKey, SlotBlock] = {}
        self._offers: dict[SourceName, Offer] = {}
        self._statuses: dict[SourceName, SourceStatus] = {}
        self._cursor: str | None = None
        self._expires_at: datetime | None = None
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self.snapshot = self._fold()

    def start(self) -> None:
        """Follow the store in a thread of its own until `stop`."""
        self._thread = threading.Thread(
            target=self._follow, name="slot-view", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop following; returns when the thread has ended."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def catch_up(self, *, wait: timedelta = timedelta()) -> None:
        """
        Fold in what has changed, waiting at most `wait` for a first change.

        Raises:
            StoreUnavailable: The store could not be asked; the snapshot stays.
        """
        if self._cursor is None:
            self._read_everything()
            return
        changes = self._store.changes(self._cursor, wait=wait)
        if changes.missed:
            self._read_everything()
            return
        if changes.blocks:
            self._read_blocks(changes.blocks)
        for source in changes.offers & self._sources.keys():
            self._read_offer(source)
        for source in changes.statuses & self._sources.keys():
            self._read_status(source)
        # Last: what could not be read now is told of again next time.
        self._cursor = changes.cursor
        changed = changes.blocks or changes.offers or changes.statuses
        if changed or self._has_expired():
            self.snapshot = self._fold()

    def _follow(self) -> None:
        away = False
        while not self._stopped.is_set():
            try:
                self.catch_up(wait=_WAIT)
            except StoreUnavailable as error:
                # Searches go on from the last snapshot, which ages visibly.
                if not away:
                    _log.warning("slot view lost its store", reason=str(error))
                away = True
                if self._has_expired():
                    self.snapshot = self._fold()
                self._stopped.wait(_WAIT.total_seconds())
            else:
                if away:
                    _log.info("slot view found its store again")
                away = False

    def _read_everything(self) -> None:
        # The cursor is taken first: a change during the reading is then seen twice
        # rather than not at all.
        cursor = self._store.cursor()
        self._read_blocks(self._store.block_keys())
        for source in self._sources:
            self._read_offer(source)
            self._read_status(source)
        self._cursor = cursor
        self.snapshot = self._fold()

    def _read_blocks(self, keys: Iterable[BlockKey]) -> None:
        wanted = [key for key in keys if key.source in self._sources]
        for key, block in zip(wanted, self._store.blocks(wanted), strict=True):
            # A block that is gone (Redis was emptied) is kept until it is too old.
            if block is not None:
                self._blocks[key] = block

    def _read_offer(self, source: SourceName) -> None:
        offer = self._store.offer(source)
        if offer is not None:
            self._offers[source] = offer

    def _read_status(self, source: SourceName) -> None:
        status = self._store.status(source)
        if status is not None:
            self._statuses[source] = status

    def _has_expired(self) -> bool:
        return self._expires_at is not None and self._clock() >= self._expires_at

    def _fold(self) -> Snapshot:
        moment = self._clock()
        directory = Directory.of(self._sources.values(), self._offers, self._meanings)
        answered_at: dict[str, datetime] = {}
        offered: list[SlotBlock] = []
        expirations: list[datetime] = []
        for key, block in self._blocks.items():
            token = time_type_token(key.unit, key.time_type_id)
            answered_at[token] = block.answered_at
            expires_at = block.answered_at + self._sources[key.source].offered_for
            if expires_at > moment:
                offered.append(block)
                expirations.append(expires_at)
        self._expires_at = min(expirations, default=None)
        return _snapshot(directory, dict(self._statuses), answered_at, offered)


def _snapshot(
    directory: Directory,
    statuses: Mapping[SourceName, SourceStatus],
    answered_at: Mapping[str, datetime],
    blocks: list[SlotBlock],
) -> Snapshot:
    known = [
        (block_number, number, _known(schedule, block))
        for block_number, block in enumerate(blocks)
        for number, schedule in enumerate(block.schedules)
    ]
    known.sort(key=_by_token)
    numbers = [np.empty(len(block.schedules), dtype=np.int32) for block in blocks]
    for position, (block_number, number, _) in enumerate(known):
        numbers[block_number][number] = position
    by_offering: dict[str, list[int]] = {}
    by_performer: dict[HsaId, list[int]] = {}
    for position, (_, _, each) in enumerate(known):
        by_offering.setdefault(each.offering, []).append(position)
        if each.schedule.performer is not None:
            by_performer.setdefault(each.schedule.performer, []).append(position)
    start = _column(blocks, lambda block, _: block.rows["start"], np.int64)
    length = _column(blocks, lambda block, _: block.rows["length"], np.int64)
    count = _column(blocks, lambda block, _: block.rows["count"], np.int64)
    schedule = _column(
        blocks, lambda block, number: numbers[number][block.rows["schedule"]], np.int32
    )
    order = np.lexsort((length, schedule, start))
    return Snapshot(
        directory=directory,
        statuses=statuses,
        schedules=tuple(each for _, _, each in known),
        by_token={each.token: position for position, (_, _, each) in enumerate(known)},
        by_offering={
            offering: np.array(positions, dtype=np.int32)
            for offering, positions in by_offering.items()
        },
        by_performer={
            performer: tuple(positions) for performer, positions in by_performer.items()
        },
        answered_at=answered_at,
        offered=frozenset(
            time_type_token(block.key.unit, block.key.time_type_id) for block in blocks
        ),
        start=start[order],
        length=length[order],
        schedule=schedule[order].astype(np.int32),
        count=count[order],
    )


def _known(schedule: Schedule, block: SlotBlock) -> KnownSchedule:
    return KnownSchedule(
        schedule=schedule,
        token=schedule.token,
        offering=time_type_token(schedule.unit, schedule.time_type_id),
        source=block.key.source,
        answered_at=block.answered_at,
    )


def _by_token(entry: tuple[int, int, KnownSchedule]) -> str:
    return entry[2].token


def _column(
    blocks: list[SlotBlock],
    values: Callable[[SlotBlock, int], npt.NDArray[np.generic]],
    kind: type[np.int32 | np.int64],
) -> npt.NDArray[np.int64]:
    columns = [values(block, number) for number, block in enumerate(blocks)]
    if not columns:
        return np.empty(0, dtype=np.int64)
    return np.concatenate(columns).astype(kind).astype(np.int64)
