"""
The view: every free time of every source, in memory.

A web process reads all blocks once, follows the stream of changes, and swaps in a new
`Snapshot` after each. A search reads one snapshot and asks nobody.

The times lie in segments, one for each meaning of time types (and one for each source's
time types without a meaning), so that a search reads one segment and a changed block
rebuilds one.
"""

import ctypes
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Final

import numpy as np
import numpy.typing as npt
import structlog

from fhir_gateway.adapters.sources import source_of_unit
from fhir_gateway.model.errors import GatewayError
from fhir_gateway.model.ids import HsaId, SourceName
from fhir_gateway.model.source import Source
from fhir_gateway.model.timekeeping import Clock, now
from fhir_gateway.model.timeslot import Schedule, TimeslotToken, time_type_token
from fhir_gateway.services.search.offering_index import OfferingIndex
from fhir_gateway.services.search.offering_numbers import OfferingNumbers
from fhir_gateway.services.search.schedule_table import ScheduleTable
from fhir_gateway.services.search.slot_columns import EMPTY, SlotColumns
from fhir_gateway.services.source.directory import Directory, TimeTypeMap
from fhir_gateway.stores.slot_block import BlockKey, SlotBlock
from fhir_gateway.stores.slot_store import SlotStore, SourceStatus, StoreUnavailable
from fhir_gateway.stores.source_catalogue import SourceCatalogue

__all__ = ["KnownSchedule", "Segment", "SlotView", "Snapshot"]

_log = structlog.get_logger()

# Blocks read at once at the start: what is read is freed again, but a process keeps
# the largest size that it ever had.
_BATCH: Final = 500
_WAIT: Final = timedelta(milliseconds=250)
_AFTER_A_FAULT_S: Final = 1.0

Segment = tuple[str, ...]
"""
What the times of a segment mean: SNOMED CT codes, or else `source:NAME`; `live:NAME` of
a source whose times are never kept.
"""


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
    All free times at one moment.

    Attributes:
        version: Another one after each change.
        layout: Another one when which schedules there are has changed.
        known_schedules: How many schedules of the table, from the first, it knows.
        segment_keys: The segments, by number.
        segment_of: The number of the segment that each numbered time type lies in; -1
            while it has none.
        segment_sizes: How many time types lie in each numbered segment.
        answered_at: When each numbered time type was last listed by its source, in
            seconds; NaN for never.
        offered: Which of them are young enough to be offered.
        lacking: Of which of them the source has listed times that could not be kept.
        lacking_sources: The sources of those.
    """

    version: int
    layout: int
    index: OfferingIndex
    statuses: Mapping[SourceName, SourceStatus]
    schedules: ScheduleTable
    known_schedules: int
    segments: Mapping[Segment, SlotColumns]
    segment_keys: tuple[Segment, ...]
    segment_of: npt.NDArray[np.int32]
    segment_sizes: npt.NDArray[np.intp]
    answered_at: npt.NDArray[np.float64]
    offered: npt.NDArray[np.bool_]
    lacking: npt.NDArray[np.bool_]
    lacking_sources: frozenset[SourceName]

    @property
    def directory(self) -> Directory:
        """Return who offers what."""
        return self.index.directory

    def known(self, token: str) -> KnownSchedule | None:
        """Return what is known of a schedule by its token."""
        number = self.schedules.number(token)
        if number is None or not self._has(number):
            return None
        return self.numbered(number)

    def numbered(self, number: int) -> KnownSchedule:
        """Return what is known of a schedule by its number."""
        schedule = self.schedules[number]
        offering = int(self.schedules.offering[number])
        seconds = float(self.answered_at[offering])
        return KnownSchedule(
            schedule=schedule,
            token=schedule.token,
            offering=time_type_token(schedule.unit, schedule.time_type_id),
            source=self.directory.units[schedule.unit].source,
            answered_at=datetime.fromtimestamp(seconds, UTC),
        )

    def of_unit(self, unit: HsaId) -> Sequence[KnownSchedule]:
        """Return a unit's schedules."""
        return [
            self.numbered(number)
            for number in self.schedules.of_unit(unit)
            if self._has(number)
        ]

    def staff_of_unit(self, unit: HsaId) -> Mapping[HsaId, Sequence[int]]:
        """Return the numbers of the schedules of each member of a unit's staff."""
        found: dict[HsaId, list[int]] = {}
        for number in self.schedules.of_unit(unit):
            performer = self.schedules.performer(number)
            if performer is not None and self._has(number):
                found.setdefault(performer, []).append(number)
        return found

    def offering_of(self, number: int) -> str:
        """Return the token of the time type of a schedule."""
        return self.schedules.token(number)[:-9]

    def first_of(self, performer: HsaId) -> KnownSchedule | None:
        """
        Return the first schedule that is known of a member of staff.

        One at the source to which the HSA-id belongs comes before others: no other
        source says what that person is called.
        """
        numbers = self.numbers_of(performer)
        if not numbers:
            return None
        owner = self.directory.owner_of(performer)
        units = self.directory.units
        own = (
            number
            for number in numbers
            if units[self.schedules.unit(number)].source == owner
        )
        return self.numbered(next(own, numbers[0]))

    def numbers_of(self, performer: HsaId) -> Sequence[int]:
        """Return the numbers of the schedules of a member of staff."""
        return [
            number
            for number in self.schedules.of_performer(performer)
            if self._has(number)
        ]

    def _has(self, number: int) -> bool:
        """Return whether a schedule is of this snapshot: the table grows on."""
        return number < self.known_schedules


class SlotView:
    """
    Keeps a snapshot up to date with the store.

    Args:
        sources: The configured sources.
        meanings: The shared meaning of their time types.
        store: Where blocks and catalogues are.
        held: Tells for which timeslots something may have changed, since it was last
            asked, about the places that this server has promised away: when each
            promise was settled, in seconds; infinity for those that are not.
        clock: Tells the time.
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
        self._meanings = meanings
        self._store = store
        self._read_held = held
        self._clock = clock
        self._catalogues: dict[SourceName, SourceCatalogue] = {}
        self._statuses: dict[SourceName, SourceStatus] = {}
        self._numbers = OfferingNumbers()
        self._schedules = ScheduleTable(self._numbers)
        self._segments: dict[Segment, SlotColumns] = {}
        self._segment_numbers: dict[Segment, int] = {}
        self._segment_of = np.empty(0, dtype=np.int32)
        self._source_names = tuple(self._sources)
        self._source_of = np.empty(0, dtype=np.int16)
        self._answered_at = np.empty(0, dtype=np.float64)
        self._expires_at = np.empty(0, dtype=np.float64)
        self._offered = np.empty(0, dtype=np.bool_)
        self._lacking = np.empty(0, dtype=np.bool_)
        self._held: dict[str, Sequence[float]] = {}
        self._held_by_offering: dict[str, set[str]] = {}
        # Timeslots of which something has changed, and whose block could not be read.
        self._unread: set[str] = set()
        self._is_journal_away = False
        self._cursor: str | None = None
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        index = OfferingIndex(
            Directory.of(self._sources.values(), {}, meanings), self._numbers
        )
        self.snapshot = Snapshot(
            version=0,
            layout=0,
            index=index,
            statuses={},
            schedules=self._schedules,
            known_schedules=0,
            segments={},
            segment_keys=(),
            segment_of=self._segment_of,
            segment_sizes=np.empty(0, dtype=np.intp),
            answered_at=self._answered_at,
            offered=self._offered,
            lacking=self._lacking,
            lacking_sources=frozenset(),
        )

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
            StoreUnavailable: The store could not be asked; what it would have told is
                missing, what is held or too old is left out all the same.
        """
        try:
            self._follow_changes(wait)
        finally:
            self.leave_out()

    def leave_out(self) -> None:
        """Leave out what this server has promised away, and what is too old."""
        with self._lock:
            fold = _Fold()
            self._apply_held(fold)
            self._apply_age(fold)
            if fold:
                self._swap(fold)

    def with_live(self, blocks: Sequence[SlotBlock]) -> tuple[Snapshot, bool]:
        """
        Return the present snapshot with times that are not kept, for one search.

        The second value says whether it was news whose times they are, or whether all
        of them could be kept: that is known from now on.
        """
        with self._lock:
            fold = _Fold()
            is_news = False
            live: dict[Segment, list[SlotColumns]] = {}
            for block in blocks:
                number = self._numbers.number(block.key.unit, block.key.time_type_id)
                self._make_room(number + 1)
                is_news = is_news or self._lacking[number] != block.lacks_times
                self._fold_block(fold, replace(block, rows=block.rows[:0]))
                schedules = self._schedules.add(
                    block.schedules,
                    self._numbers.number(block.key.unit, block.key.time_type_id),
                )
                live.setdefault(self._segment(block.key), []).append(
                    self._columns(block, schedules)
                )
            if fold.layout:
                self._swap(fold)
            segments = {
                segment: EMPTY.replaced(np.empty(0, dtype=np.bool_), columns)
                for segment, columns in live.items()
            }
            return (
                replace(
                    self.snapshot,
                    segments={**self.snapshot.segments, **segments},
                    answered_at=self._answered_at.copy(),
                    offered=self._offered.copy(),
                    lacking=self._lacking.copy(),
                ),
                bool(fold.layout or is_news),
            )

    def lacks(self, token: TimeslotToken) -> bool:
        """
        Return whether a source listed its times a short while ago, and not this one.

        A time that this server has promised away is not lacking, and nothing is of a
        source whose times are not kept.
        """
        snapshot = self.snapshot
        number = self._numbers.known(token.time_type)
        if number is None or number >= len(snapshot.answered_at):
            return False
        source = self._sources[self._source_names[self._source_of[number]]]
        answered_at = float(snapshot.answered_at[number])
        oldest = (self._clock() - source.fresh_for).timestamp()
        # Not a number where it has never answered.
        if source.is_live or not answered_at > oldest or token.text in self._held:
            return False
        schedule = snapshot.schedules.number(token.schedule)
        segment = snapshot.segment_keys[snapshot.segment_of[number]]
        columns = snapshot.segments.get(segment, EMPTY)
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
                # Something may be half folded.
                self._cursor = None
                self._stopped.wait(_AFTER_A_FAULT_S)
            else:
                if away:
                    _log.info("slot view found its store again")
                away = False
            # Workers may store a block every few milliseconds: what comes in a quarter
            # of a second is folded at once, or searches would wait for all the folding.
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
        # The cursor is taken first: a change during the reading is then seen twice
        # rather than not at all.
        cursor = self._store.cursor()
        self._read((), self._sources, self._sources)
        # Segment by segment, so that none is made anew more often than need be.
        keys = sorted(
            (key for key in self._store.block_keys() if self._is_known(key)),
            key=self._segment,
        )
        for first in range(0, len(keys), _BATCH):
            self._read(keys[first : first + _BATCH], (), ())
        _give_back()
        self._cursor = cursor

    def _read(
        self,
        keys: Iterable[BlockKey],
        catalogues: Iterable[SourceName],
        statuses: Iterable[SourceName],
    ) -> None:
        """Read what has changed, then fold all of it at once."""
        wanted = [key for key in keys if self._is_known(key)]
        # A block that is gone (Redis was emptied) is kept until it is too old.
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
            fold = _Fold()
            self._statuses.update(read_statuses)
            # Most often a source says again what it said before.
            fold.catalogues = any(
                name not in self._catalogues
                or not catalogue.says_the_same(self._catalogues[name])
                for name, catalogue in read_catalogues.items()
            )
            self._catalogues.update(read_catalogues)
            if not (blocks or fold.catalogues or read_statuses):
                return
            for block in blocks:
                self._fold_block(fold, block)
            fold.changed = True
            self._swap(fold)

    def _fold_block(self, fold: "_Fold", block: SlotBlock) -> None:
        key = block.key
        number = self._numbers.number(key.unit, key.time_type_id)
        self._make_room(number + 1)
        answered_at = block.answered_at.timestamp()
        self._source_of[number] = self._source_names.index(key.source)
        self._answered_at[number] = answered_at
        self._expires_at[number] = (
            answered_at + self._sources[key.source].offered_for.total_seconds()
        )
        self._offered[number] = True
        self._lacking[number] = block.lacks_times
        before = len(self._schedules), self._schedules.changes
        schedules = self._schedules.add(block.schedules, number)
        after = len(self._schedules), self._schedules.changes
        fold.layout = fold.layout or after != before
        segment = self._segment(key)
        if self._segment_of[number] < 0:
            self._segment_of[number] = self._segment_numbers.setdefault(
                segment, len(self._segment_numbers)
            )
            fold.layout = True
        fold.gone.setdefault(segment, set()).add(number)
        added = fold.added.setdefault(segment, {})
        if len(block.rows):
            added[number] = self._columns(block, schedules)
        else:
            added.pop(number, None)

    def _columns(
        self, block: SlotBlock, schedules: npt.NDArray[np.int32]
    ) -> SlotColumns:
        """Return a block's free times, less what is promised away."""
        rows = block.rows
        numbers = schedules[rows["schedule"]]
        count = self._places_left(rows, block)
        kept = count > 0
        return SlotColumns.of(
            start=rows["start"][kept],
            rank=self._schedules.ranks(numbers[kept]),
            length=rows["length"][kept],
            schedule=numbers[kept],
            count=count[kept],
        )

    def _places_left(
        self, rows: npt.NDArray[np.void], block: SlotBlock
    ) -> npt.NDArray[np.uint16]:
        """
        Return how many places of each row are not promised away.

        A source lists the places that are left: a claim that was settled before it was
        asked is in its count already. A time with one place has one for ever, whatever
        its source lists.
        """
        count: npt.NDArray[np.uint16] = rows["count"].copy()
        asked_at = block.asked_at.timestamp()
        key = time_type_token(block.key.unit, block.key.time_type_id)
        for text in self._held_by_offering.get(key, ()):
            token = TimeslotToken.parse(text)
            settled_at = self._held[text]
            for row in _rows_of(rows, block.schedules, token):
                promised = sum(each > asked_at for each in settled_at)
                if count[row] == 1:
                    promised = 1
                count[row] -= min(promised, int(count[row]))
        return count

    def _apply_held(self, fold: "_Fold") -> None:
        """Read anew the blocks in which something was promised away or given back."""
        try:
            told = self._read_held()
        except GatewayError as error:
            # What was promised away last stays left out; nothing can be booked now.
            if not self._is_journal_away:
                _log.error("slot view lost the journal", reason=error.log_text)
            self._is_journal_away = True
            return
        if self._is_journal_away:
            _log.info("slot view found the journal again")
        self._is_journal_away = False
        changed = {
            token: promised
            for token, promised in told.items()
            if self._held.get(token, ()) != promised
        }
        for text, promised in changed.items():
            self._hold(text, promised)
        self._unread |= changed.keys()
        moment = self._clock()
        numbers = {
            number
            for token in map(TimeslotToken.parse, self._unread)
            # What has begun is no search's business any more.
            if token.starts_at > moment
            and (number := self._numbers.known(token.time_type)) is not None
        }
        keys = [
            key for number in sorted(numbers) if (key := self._key(number)) is not None
        ]
        try:
            blocks = self._store.blocks(keys) if keys else []
        except StoreUnavailable as error:
            if changed:
                _log.warning("slot view hides without its store", reason=str(error))
                self._hide(fold, changed)
            return
        self._unread.clear()
        lost = set()
        for key, block in zip(keys, blocks, strict=True):
            if block is None:
                lost.add(time_type_token(key.unit, key.time_type_id))
            else:
                self._fold_block(fold, block)
                fold.changed = True
        if lost:
            self._hide(fold, [each for each in changed if _offering(each) in lost])

    def _hold(self, text: str, promised: Sequence[float]) -> None:
        """Remember what is promised away of a timeslot, if anything is."""
        offering = _offering(text)
        if promised:
            self._held[text] = promised
            self._held_by_offering.setdefault(offering, set()).add(text)
        elif self._held.pop(text, None) is not None:
            tokens = self._held_by_offering[offering]
            tokens.discard(text)
            if not tokens:
                del self._held_by_offering[offering]

    def _hide(self, fold: "_Fold", tokens: Iterable[str]) -> None:
        """Take single times out: the store cannot give the block they stand in."""
        for text in tokens:
            token = TimeslotToken.parse(text)
            number = self._schedules.number(token.schedule)
            offering = self._numbers.known(token.time_type)
            key = None if offering is None else self._key(offering)
            if number is None or key is None or text not in self._held:
                continue
            segment = self._segment(key)
            columns = self._segments.get(segment, EMPTY)
            gone = (
                (columns.schedule == number)
                & (columns.start == token.start)
                & (columns.length == token.length)
            )
            self._segments[segment] = columns.replaced(gone, ())
            fold.changed = True

    def _apply_age(self, fold: "_Fold") -> None:
        moment = self._clock().timestamp()
        expired = np.flatnonzero(self._offered & (self._expires_at <= moment))
        segments = tuple(self._segment_numbers)
        for number in expired.tolist():
            self._offered[number] = False
            segment = segments[self._segment_of[number]]
            fold.gone.setdefault(segment, set()).add(number)
            fold.added.get(segment, {}).pop(number, None)
            fold.changed = True

    def _swap(self, fold: "_Fold") -> None:
        """Make the next snapshot. Arrays of earlier ones are never written to."""
        for segment in fold.gone:
            columns = self._segments.get(segment, EMPTY)
            offering = self._schedules.offering[columns.schedule]
            gone = np.isin(offering, np.fromiter(fold.gone[segment], dtype=np.int32))
            added = list(fold.added.get(segment, {}).values())
            # Most often a source lists what it listed before: to see that takes a tenth
            # of the time that a new segment does.
            came = EMPTY.replaced(np.empty(0, dtype=np.bool_), added)
            if not columns.only(gone).has_the_rows_of(came):
                self._segments[segment] = columns.replaced(gone, added)
        index = self.snapshot.index
        if fold.catalogues:
            index = OfferingIndex(
                Directory.of(self._sources.values(), self._catalogues, self._meanings),
                self._numbers,
            )
        self._make_room(len(self._numbers))
        self.snapshot = Snapshot(
            version=self.snapshot.version + 1,
            layout=self.snapshot.layout + (1 if fold.catalogues or fold.layout else 0),
            index=index,
            statuses=dict(self._statuses),
            schedules=self._schedules,
            known_schedules=len(self._schedules),
            segments=dict(self._segments),
            segment_keys=tuple(self._segment_numbers),
            segment_of=self._segment_of.copy(),
            segment_sizes=np.bincount(
                self._segment_of[self._segment_of >= 0],
                minlength=len(self._segment_numbers),
            ),
            answered_at=self._answered_at.copy(),
            offered=self._offered.copy(),
            lacking=self._lacking.copy(),
            lacking_sources=frozenset(
                self._source_names[number]
                for number in np.unique(self._source_of[self._lacking]).tolist()
            ),
        )

    def _key(self, number: int) -> BlockKey | None:
        """Return the key of the block that was folded for a numbered time type."""
        if number >= len(self._source_of) or self._source_of[number] < 0:
            return None
        return BlockKey(
            source=self._source_names[self._source_of[number]],
            unit=self._numbers.unit(number),
            time_type_id=self._numbers.time_type_id(number),
        )

    def _is_known(self, key: BlockKey) -> bool:
        """Return whether a block is of a source about a unit of its own."""
        owner = source_of_unit(self._sources.values(), key.unit)
        return owner is not None and owner.name == key.source

    def _segment(self, key: BlockKey) -> Segment:
        if self._sources[key.source].is_live:
            return (f"live:{key.source}",)
        meaning = self._meanings.get((key.unit, key.time_type_id.code), ())
        if meaning:
            return tuple(sorted(each.code for each in meaning))
        return (f"source:{key.source}",)

    def _make_room(self, size: int) -> None:
        if size <= len(self._answered_at):
            return
        # More than is asked for: at the start there is one more with every block.
        room = max(1024, size, len(self._answered_at) * 3 // 2)
        missing = room - len(self._answered_at)
        self._answered_at = np.append(self._answered_at, np.full(missing, np.nan))
        self._expires_at = np.append(self._expires_at, np.full(missing, np.inf))
        self._offered = np.append(self._offered, np.zeros(missing, dtype=np.bool_))
        self._lacking = np.append(self._lacking, np.zeros(missing, dtype=np.bool_))
        self._segment_of = np.append(
            self._segment_of, np.full(missing, -1, dtype=np.int32)
        )
        self._source_of = np.append(
            self._source_of, np.full(missing, -1, dtype=np.int16)
        )


def _give_back() -> None:
    """Let the allocator give the system what reading everything has freed."""
    # glibc keeps it for as long as something in use lies behind it, which it does after
    # segments were made anew batch by batch: 2 to 5 bytes for each of a million times.
    # Other C libraries have no such function.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _offering(text: str) -> str:
    """Return the token of the time type of a timeslot's."""
    return TimeslotToken.parse(text).time_type


def _rows_of(
    rows: npt.NDArray[np.void], schedules: Sequence[Schedule], token: TimeslotToken
) -> Iterable[int]:
    """Return the rows of a block that are of a timeslot: one, or none."""
    first = int(np.searchsorted(rows["start"], token.start, side="left"))
    last = int(np.searchsorted(rows["start"], token.start, side="right"))
    for row in range(first, last):
        if (
            rows["length"][row] == token.length
            and schedules[rows["schedule"][row]].token == token.schedule
        ):
            yield row


class _Fold:
    """What one fold changes, segment by segment."""

    def __init__(self) -> None:
        self.gone: dict[Segment, set[int]] = {}
        self.added: dict[Segment, dict[int, SlotColumns]] = {}
        self.catalogues = False
        self.layout = False
        self.changed = False

    def __bool__(self) -> bool:
        return self.changed or self.catalogues
