"""
Builds snapshots one after the other, each from the last one and the changes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from math import nan

import numpy as np
import numpy.typing as npt

from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.source import Source
from fhir_gateway.model.timeslot import TimeslotToken
from fhir_gateway.services.search.held_places import HeldPlaces
from fhir_gateway.services.search.offering_index import OfferingIndex
from fhir_gateway.services.search.offering_numbers import OfferingNumbers
from fhir_gateway.services.search.offering_table import OfferingTable
from fhir_gateway.services.search.schedule_table import ScheduleTable
from fhir_gateway.services.search.slot_columns import EMPTY, SlotColumns
from fhir_gateway.services.search.snapshot import Segment, Snapshot
from fhir_gateway.services.source.directory import Directory, TimeTypeMap
from fhir_gateway.stores.slot_block import BlockKey, SlotBlock
from fhir_gateway.stores.slot_store import SourceStatus
from fhir_gateway.stores.source_catalogue import SourceCatalogue

__all__ = ["SnapshotBuilder", "SnapshotChange"]


class SnapshotChange:
    """
    The changes between two snapshots, by segment.

    Attributes:
        gone: The numbers of the time types that lose their times.
        added: The times that replace those.
        catalogues: Whether a catalogue has changed.
        layout: Whether the schedules or segments have changed.
        changed: Whether anything else has changed.
    """

    def __init__(self) -> None:
        self.gone: dict[Segment, set[int]] = {}
        self.added: dict[Segment, dict[int, SlotColumns]] = {}
        self.catalogues = False
        self.layout = False
        self.changed = False

    def __bool__(self) -> bool:
        return self.changed or self.catalogues


class SnapshotBuilder:
    """
    Applies blocks, catalogues and statuses, and builds snapshots of them.

    One thread at a time may call it.

    Args:
        sources: The configured sources, by name.
        meanings: The shared meaning of their time types.
        held: The places that this server has promised away.

    Attributes:
        snapshot: The last that was built.
    """

    def __init__(
        self,
        sources: Mapping[SourceName, Source],
        meanings: TimeTypeMap,
        held: HeldPlaces,
    ) -> None:
        self._sources = sources
        self._meanings = meanings
        self._held = held
        self._catalogues: dict[SourceName, SourceCatalogue] = {}
        self._statuses: dict[SourceName, SourceStatus] = {}
        self._numbers = OfferingNumbers()
        self._offerings = OfferingTable(tuple(sources), self._numbers)
        self._schedules = ScheduleTable(self._numbers)
        self._segments: dict[Segment, SlotColumns] = {}
        self.snapshot = Snapshot(
            version=0,
            layout=0,
            index=self._new_index(),
            statuses={},
            schedules=self._schedules,
            known_schedules=0,
            segments={},
            segment_keys=(),
            segment_of=self._offerings.segment_of,
            segment_sizes=self._offerings.segment_sizes,
            answered_at=self._offerings.answered_at,
            offered=self._offerings.offered,
            lacking=self._offerings.lacking,
            lacking_sources=frozenset(),
        )

    def key_of(self, offering: str) -> BlockKey | None:
        """Return the key of a time type's block; None when none was applied."""
        number = self._numbers.known(offering)
        return None if number is None else self._offerings.key(number)

    def answered_at(self, offering: str) -> float:
        """Return when a time type was last listed, in seconds; NaN for never."""
        number = self._numbers.known(offering)
        answered_at = self.snapshot.answered_at
        if number is None or number >= len(answered_at):
            return nan
        return float(answered_at[number])

    def keys_of(self, offerings: Iterable[str]) -> list[BlockKey]:
        """Return the keys of the time types' blocks, in the order of their numbers."""
        numbers = sorted(
            number
            for token in offerings
            if (number := self._numbers.known(token)) is not None
        )
        keys = map(self._offerings.key, numbers)
        return [key for key in keys if key is not None]

    def segment(self, key: BlockKey) -> Segment:
        """Return the segment that the times of a block lie in."""
        if self._sources[key.source].is_live:
            return (f"live:{key.source}",)
        meaning = self._meanings.get((key.unit, key.time_type_id.code), ())
        if meaning:
            return tuple(sorted(each.code for each in meaning))
        return (f"source:{key.source}",)

    def apply_statuses(
        self, change: SnapshotChange, statuses: Mapping[SourceName, SourceStatus]
    ) -> None:
        """Replace statuses of sources."""
        self._statuses.update(statuses)
        change.changed = change.changed or bool(statuses)

    def apply_catalogues(
        self, change: SnapshotChange, catalogues: Mapping[SourceName, SourceCatalogue]
    ) -> None:
        """Replace catalogues of sources."""
        # Most often the catalogue is the same as before.
        change.catalogues = change.catalogues or any(
            name not in self._catalogues
            or not catalogue.says_the_same(self._catalogues[name])
            for name, catalogue in catalogues.items()
        )
        self._catalogues.update(catalogues)

    def apply_block(self, change: SnapshotChange, block: SlotBlock) -> None:
        """Replace the free times of a time type."""
        key = block.key
        number = self._numbers.number(key.unit, key.time_type_id)
        self._offerings.record(number, block, self._sources[key.source])
        before = len(self._schedules), self._schedules.changes
        schedules = self._schedules.add(block.schedules, number)
        after = len(self._schedules), self._schedules.changes
        segment = self.segment(key)
        is_new = self._offerings.put_in_segment(number, segment)
        change.layout = change.layout or after != before or is_new
        change.gone.setdefault(segment, set()).add(number)
        added = change.added.setdefault(segment, {})
        if len(block.rows):
            added[number] = self._columns(block, schedules)
        else:
            added.pop(number, None)
        change.changed = True

    def hide(self, change: SnapshotChange, tokens: Iterable[str]) -> None:
        """Remove single held times, when the store cannot give their block."""
        for text in tokens:
            token = TimeslotToken.parse(text)
            schedule = self._schedules.number(token.schedule)
            key = self.key_of(token.time_type)
            if schedule is None or key is None or text not in self._held:
                continue
            segment = self.segment(key)
            columns = self._segments.get(segment, EMPTY)
            gone = (
                (columns.schedule == schedule)
                & (columns.start == token.start)
                & (columns.length == token.length)
            )
            self._segments[segment] = columns.replaced(gone, ())
            change.changed = True

    def expire(self, change: SnapshotChange, moment: datetime) -> None:
        """Remove the times that their sources listed too long ago."""
        segments = self._offerings.segments
        for number in self._offerings.expire(moment.timestamp()):
            segment = segments[self._offerings.segment_of[number]]
            change.gone.setdefault(segment, set()).add(number)
            change.added.get(segment, {}).pop(number, None)
            change.changed = True

    def build(self, change: SnapshotChange) -> Snapshot:
        """Build the next snapshot. It never writes to the arrays of earlier ones."""
        self._replace_columns(change)
        index = self.snapshot.index
        if change.catalogues:
            index = self._new_index()
        self._offerings.grow(len(self._numbers))
        offerings = self._offerings
        self.snapshot = Snapshot(
            version=self.snapshot.version + 1,
            layout=self.snapshot.layout + int(change.catalogues or change.layout),
            index=index,
            statuses=dict(self._statuses),
            schedules=self._schedules,
            known_schedules=len(self._schedules),
            segments=dict(self._segments),
            segment_keys=offerings.segments,
            segment_of=offerings.segment_of.copy(),
            segment_sizes=offerings.segment_sizes,
            answered_at=offerings.answered_at.copy(),
            offered=offerings.offered.copy(),
            lacking=offerings.lacking.copy(),
            lacking_sources=offerings.lacking_sources,
        )
        return self.snapshot

    def build_with_live(self, blocks: Sequence[SlotBlock]) -> tuple[Snapshot, bool]:
        """
        Return a snapshot with times of live sources, for one search alone.

        The builder keeps the schedules of the times, and never the times. The second
        value says whether one of those was new.
        """
        change = SnapshotChange()
        is_news = False
        live: dict[Segment, list[SlotColumns]] = {}
        for block in blocks:
            number = self._numbers.number(block.key.unit, block.key.time_type_id)
            self._offerings.grow(number + 1)
            if self._offerings.lacking[number] != block.lacks_times:
                is_news = True
            self.apply_block(change, replace(block, rows=block.rows[:0]))
            schedules = self._schedules.add(block.schedules, number)
            live.setdefault(self.segment(block.key), []).append(
                self._columns(block, schedules)
            )
        if change.layout:
            self.build(change)
        segments = {
            segment: EMPTY.replaced(np.empty(0, dtype=np.bool_), columns)
            for segment, columns in live.items()
        }
        snapshot = replace(
            self.snapshot,
            segments={**self.snapshot.segments, **segments},
            answered_at=self._offerings.answered_at.copy(),
            offered=self._offerings.offered.copy(),
            lacking=self._offerings.lacking.copy(),
        )
        return snapshot, change.layout or is_news

    def _columns(
        self, block: SlotBlock, schedules: npt.NDArray[np.int32]
    ) -> SlotColumns:
        """Return a block's free times, without the places that are held."""
        rows = block.rows
        numbers = schedules[rows["schedule"]]
        count = self._held.places_left(rows, block)
        kept = count > 0
        return SlotColumns.of(
            start=rows["start"][kept],
            rank=self._schedules.ranks(numbers[kept]),
            length=rows["length"][kept],
            schedule=numbers[kept],
            count=count[kept],
        )

    def _replace_columns(self, change: SnapshotChange) -> None:
        for segment, offerings in change.gone.items():
            columns = self._segments.get(segment, EMPTY)
            offering = self._schedules.offering[columns.schedule]
            gone = np.isin(offering, np.fromiter(offerings, dtype=np.int32))
            added = list(change.added.get(segment, {}).values())
            # Most often a source lists the same times as before. The comparison takes a
            # tenth of the time of a new segment.
            came = EMPTY.replaced(np.empty(0, dtype=np.bool_), added)
            if not columns.only(gone).has_the_rows_of(came):
                self._segments[segment] = columns.replaced(gone, added)

    def _new_index(self) -> OfferingIndex:
        return OfferingIndex(
            Directory.of(self._sources.values(), self._catalogues, self._meanings),
            self._numbers,
        )
