"""
The view: every free time of every source, in memory.

A web process reads all blocks once, follows the stream of changes, and replaces its
`Snapshot` after each. A search reads one snapshot, and neither Redis nor SQL.
"""

import ctypes
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from time import monotonic
from typing import Final

import structlog

from fhir_gateway.adapters.sources import source_of_unit
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.source import Source
from fhir_gateway.model.timekeeping import Clock, now
from fhir_gateway.model.timeslot import TimeslotToken, time_type_token
from fhir_gateway.services.search.held_places import HeldPlaces
from fhir_gateway.services.search.slot_columns import EMPTY
from fhir_gateway.services.search.snapshot import Snapshot
from fhir_gateway.services.search.snapshot_builder import (
    SnapshotBuilder,
    SnapshotChange,
)
from fhir_gateway.services.source.directory import TimeTypeMap
from fhir_gateway.stores.slot_block import BlockKey, SlotBlock
from fhir_gateway.stores.slot_store import SlotStore, StoreUnavailable

__all__ = ["SlotView"]

_log = structlog.get_logger()

# Blocks to read at once at the start. Their bytes are freed again, but a process
# never shrinks from its largest size.
_BATCH: Final = 500
_WAIT: Final = timedelta(milliseconds=250)
_AFTER_A_FAULT_S: Final = 1.0


class SlotView:
    """
    Keeps a snapshot up to date with the store.

    Args:
        sources: The configured sources.
        meanings: The shared meaning of their time types.
        store: Where blocks and catalogues are.
        held: Returns the possible changes, since its last call, of the places that this
            server has promised away: see `HeldPlaces`.
        clock: Returns the current time.

    Attributes:
        snapshot: The present one.
    """

    def __init__(
        self,
        sources: Iterable[Source],
        meanings: TimeTypeMap,
        store: SlotStore,
        held: Callable[[], Mapping[str, Sequence[float]]],
        *,
        clock: Clock = now,
    ) -> None:
        self._sources = {source.name: source for source in sources}
        self._store = store
        self._clock = clock
        self._held = HeldPlaces(held)
        self._builder = SnapshotBuilder(self._sources, meanings, self._held)
        self._cursor: str | None = None
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self.snapshot = self._builder.snapshot

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
        Apply what has changed, waiting at most `wait` for a first change.

        Raises:
            StoreUnavailable: The store did not answer, and its changes are missing. The
                view still leaves out times that are held or too old.
        """
        try:
            self._follow_changes(wait)
        finally:
            self.leave_out()

    def leave_out(self) -> None:
        """Leave out the places that this server has promised away, and old times."""
        with self._lock:
            change = SnapshotChange()
            self._apply_held(change)
            self._builder.expire(change, self._clock())
            if change:
                self.snapshot = self._builder.build(change)

    def with_live(self, blocks: Sequence[SlotBlock]) -> tuple[Snapshot, bool]:
        """
        Return the present snapshot with times of live sources, for one search.

        The view keeps the schedules of the times, and whether the source listed times
        that it could not read. The second value says whether one of those was new.
        """
        with self._lock:
            snapshot, is_news = self._builder.build_with_live(blocks)
            self.snapshot = self._builder.snapshot
            return snapshot, is_news

    def lacks(self, token: TimeslotToken) -> bool:
        """
        Return whether a source lately listed its times without this one.

        A time that this server has promised away is not lacking. A live source lacks
        nothing: the view keeps no times of it.
        """
        snapshot = self.snapshot
        key = self._builder.key_of(token.time_type)
        if key is None or self._sources[key.source].is_live or token.text in self._held:
            return False
        oldest = (self._clock() - self._sources[key.source].fresh_for).timestamp()
        # NaN, where the source has never answered, is not greater.
        if not self._builder.answered_at(token.time_type) > oldest:
            return False
        schedule = snapshot.schedules.number(token.schedule)
        columns = snapshot.segments.get(self._builder.segment(key), EMPTY)
        first, last = columns.bounds(token.start, token.start + 1)
        return not any(
            columns.schedule[row] == schedule and columns.length[row] == token.length
            for row in range(first, last)
        )

    def _follow(self) -> None:
        away = False
        while not self._stopped.is_set():
            began = monotonic()
            try:
                self.catch_up(wait=_WAIT)
            except StoreUnavailable as error:
                # Searches go on from the last snapshot, which ages visibly.
                if not away:
                    _log.warning("slot view lost its store", reason=str(error))
                away = True
                self._stopped.wait(_WAIT.total_seconds())
            except Exception as error:  # noqa: BLE001 - a fault of this program's own must not end the view, nor go unseen
                _log.error("slot view failed", kind=type(error).__name__)
                # The view may have applied a change in part only.
                self._cursor = None
                self._stopped.wait(_AFTER_A_FAULT_S)
            else:
                if away:
                    _log.info("slot view found its store again")
                away = False
            # Workers may store a block every few milliseconds: the view applies the
            # changes of a quarter of a second at once, or it would leave no processor
            # time to searches.
            self._stopped.wait(began + _WAIT.total_seconds() - monotonic())

    def _follow_changes(self, wait: timedelta) -> None:
        if self._cursor is None:
            self._read_everything()
            return
        changes = self._store.changes(self._cursor, wait=wait)
        if changes.missed:
            self._read_everything()
            return
        self._read(changes.blocks, changes.catalogues, changes.statuses)
        self._cursor = changes.cursor

    def _read_everything(self) -> None:
        # The cursor comes first: the view then reads a change during the reading twice
        # rather than not at all.
        cursor = self._store.cursor()
        self._read((), self._sources, self._sources)
        # Segment by segment, so that the view builds none more often than need be.
        keys = sorted(
            (key for key in self._store.block_keys() if self._is_known(key)),
            key=self._builder.segment,
        )
        for first in range(0, len(keys), _BATCH):
            self._read(keys[first : first + _BATCH], (), ())
        _trim_memory()
        self._cursor = cursor

    def _read(
        self,
        keys: Iterable[BlockKey],
        catalogues: Iterable[SourceName],
        statuses: Iterable[SourceName],
    ) -> None:
        """Read what has changed, then apply all of it at once."""
        wanted = [key for key in keys if self._is_known(key)]
        # A block that is gone (Redis was emptied) stays until it is too old.
        blocks = [each for each in self._store.blocks(wanted) if each is not None]
        read_catalogues = {
            name: catalogue
            for name in catalogues
            if name in self._sources
            and (catalogue := self._store.catalogue(name)) is not None
        }
        read_statuses = {
            name: status
            for name in statuses
            if name in self._sources
            and (status := self._store.status(name)) is not None
        }
        if not (blocks or read_catalogues or read_statuses):
            return
        with self._lock:
            change = SnapshotChange()
            self._builder.apply_statuses(change, read_statuses)
            self._builder.apply_catalogues(change, read_catalogues)
            for block in blocks:
                self._builder.apply_block(change, block)
            if change:
                self.snapshot = self._builder.build(change)

    def _apply_held(self, change: SnapshotChange) -> None:
        """Apply anew the blocks in which places were promised away or given back."""
        changed = self._held.read()
        if changed is None:
            return
        keys = self._builder.keys_of(self._held.pending_offerings(self._clock()))
        try:
            blocks = self._store.blocks(keys) if keys else []
        except StoreUnavailable as error:
            if changed:
                _log.warning("slot view hides without its store", reason=str(error))
                self._builder.hide(change, changed)
            return
        self._held.clear_pending()
        lost = set()
        for key, block in zip(keys, blocks, strict=True):
            if block is None:
                lost.add(time_type_token(key.unit, key.time_type_id))
            else:
                self._builder.apply_block(change, block)
        if lost:
            self._builder.hide(
                change,
                [
                    each
                    for each in changed
                    if TimeslotToken.parse(each).time_type in lost
                ],
            )

    def _is_known(self, key: BlockKey) -> bool:
        """Return whether a block is of a source about a unit of its own."""
        owner = source_of_unit(self._sources.values(), key.unit)
        return owner is not None and owner.name == key.source


def _trim_memory() -> None:
    """Let the allocator return the memory that reading everything has freed."""
    # glibc keeps freed memory while memory behind it is in use. That is so after the
    # batches have rebuilt segments: 2 to 5 bytes for each of a million times. Other C
    # libraries have no such function.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
