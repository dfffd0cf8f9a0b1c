"""
First times: the earliest free time of each unit, as cheap to find as a page.

A table for each segment links each row to the row before it of the same time type. A
row is the first of its time type from a moment on if the row before it begins earlier.
So one comparison of a column finds the first rows of all time types.
"""

import threading
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from fhir_gateway.services.search.offering_index import FINGERPRINT_BYTES, OfferingIndex
from fhir_gateway.services.search.schedule_table import ScheduleTable
from fhir_gateway.services.search.slot_columns import FIRST_CHUNK, SlotColumns
from fhir_gateway.services.search.snapshot import Segment, Snapshot

__all__ = [
    "FirstOfUnits",
    "FirstTimes",
    "FirstTimesCache",
    "ShownUnits",
    "first_rows_of_units",
]

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_LAST: Final = np.iinfo(np.uint64).max
# A country has thousands of units; this many bytes have half a million bits.
_MOST_BYTES: Final = 65_536
# A URL with ten digits may be refused, since they may be a person's number.
_LETTERS_ONLY: Final = str.maketrans("0123456789", "ghijklmnop")
# A digit, or any blank that `fromhex` skips, is in no text of this server's.
_LETTERS_AND_DIGITS: Final = str.maketrans(
    "ghijklmnop0123456789 \t\n\r\f\v", "0123456789----------------"
)


@dataclass(frozen=True, slots=True)
class ShownUnits:
    """
    The units that earlier pages have shown.

    Attributes:
        directory: The fingerprint of the directory that numbers the units.
        bits: A bit for each unit, in the order of their numbers.
    """

    directory: bytes
    bits: bytes

    @classmethod
    def of(cls, index: OfferingIndex, shown: Mask) -> Self:
        """Return the units of a mask over an index's units."""
        return cls(index.fingerprint, np.packbits(shown).tobytes())

    def mask(self, index: OfferingIndex) -> Mask | None:
        """Return the mask over an index's units; None for another directory's."""
        if self.directory != index.fingerprint:
            return None
        bits = np.frombuffer(self.bits, dtype=np.uint8)
        if len(bits) * 8 < index.unit_count:
            return None
        return np.unpackbits(bits, count=index.unit_count).view(np.bool_)

    @property
    def text(self) -> str:
        """Return the units as a text for a URL."""
        packed = self.directory + zlib.compress(self.bits, zlib.Z_BEST_SPEED)
        return packed.hex().translate(_LETTERS_ONLY)

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Return the units that a text spells.

        Raises:
            ValueError: The text is of nobody's making.
        """
        packed = bytes.fromhex(text.translate(_LETTERS_AND_DIGITS))
        reader = zlib.decompressobj()
        try:
            bits = reader.decompress(packed[FINGERPRINT_BYTES:], _MOST_BYTES)
        except zlib.error as error:
            raise ValueError("not a set of units") from error
        if not reader.eof or reader.unused_data:
            raise ValueError("not a set of units")
        return cls(packed[:FINGERPRINT_BYTES], bits)


class FirstTimes:
    """
    The links between the rows of a segment's columns.

    Args:
        columns: The rows.
        schedules: The schedules of the rows.
    """

    def __init__(self, columns: SlotColumns, schedules: ScheduleTable) -> None:
        self._columns = columns
        offering = schedules.offering[columns.schedule]
        by_offering = np.argsort(_renumbered(offering), kind="stable")
        grouped = offering[by_offering]
        is_same = grouped[1:] == grouped[:-1]
        # The row before of the same time type; -1 for none.
        self._earlier = np.full(len(columns), -1, dtype=np.int32)
        self._earlier[by_offering[1:][is_same]] = by_offering[:-1][is_same]
        self._last = by_offering[np.append(~is_same, len(grouped) > 0)]
        self._last_schedule = columns.schedule[self._last]

    def rows(self, first: int, last: int, schedules: Mask | None) -> Rows:
        """
        Return the first row of each time type between `first` and `last`.

        Args:
            first: The first row to look at.
            last: The row to stop before.
            schedules: Which schedules fit, all of a time type alike; None for all.
        """
        has_any = self._last >= first
        if schedules is not None:
            has_any &= schedules.take(self._last_schedule)
        missing = int(np.count_nonzero(has_any))
        found: list[Rows] = []
        # Most often that many rows have the first ones of all.
        at, chunk = first, max(FIRST_CHUNK, 8 * missing)
        while missing > 0 and at < last:
            until = min(last, at + chunk)
            rows = np.flatnonzero(self._earlier[at:until] < first) + at
            if schedules is not None:
                rows = rows[schedules.take(self._columns.schedule[rows])]
            found.append(rows)
            missing -= len(rows)
            at, chunk = until, chunk * 4
        return np.concatenate(found) if found else np.empty(0, dtype=np.int64)


class FirstTimesCache:
    """Caches the links of each segment, until its columns change."""

    def __init__(self) -> None:
        self._known: dict[Segment, tuple[SlotColumns, FirstTimes]] = {}
        self._lock = threading.Lock()

    def of(
        self, segment: Segment, columns: SlotColumns, schedules: ScheduleTable
    ) -> FirstTimes:
        """Return the links of a segment's columns."""
        known = self._known.get(segment)
        if known is not None and known[0] is columns:
            return known[1]
        # One thread at a time: many searches miss a changed segment at once.
        with self._lock:
            known = self._known.get(segment)
            if known is None or known[0] is not columns:
                known = columns, FirstTimes(columns, schedules)
                self._known[segment] = known
        return known[1]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FirstOfUnits:
    """
    The first row of each unit, earliest first; one place for each in every column.

    Attributes:
        columns: The columns that have the rows.
        index: What numbers the units.
        unit: The units.
        order: When their rows begin, and their schedules' ranks.
        piece: Which of the columns have the rows.
        row: The rows.
    """

    columns: Sequence[SlotColumns]
    index: OfferingIndex
    unit: npt.NDArray[np.int32]
    order: npt.NDArray[np.uint64]
    piece: npt.NDArray[np.int64]
    row: Rows

    @classmethod
    def of(cls, snapshot: Snapshot, pieces: Sequence[tuple[SlotColumns, Rows]]) -> Self:
        """Return the first rows among those that fit, segment by segment in order."""
        index = snapshot.index
        columns = [each for each, _ in pieces]
        row = _joined([rows for _, rows in pieces], np.int64)
        order = _joined([each.order[rows] for each, rows in pieces], np.uint64)
        schedule = _joined([each.schedule[rows] for each, rows in pieces], np.int32)
        piece = np.repeat(np.arange(len(pieces)), [len(rows) for _, rows in pieces])
        unit = index.unit_of[snapshot.schedules.offering[schedule]]
        if len(pieces) > 1:
            earliest = np.full(index.unit_count, _LAST, dtype=np.uint64)
            np.minimum.at(earliest, unit, order)
            kept = np.flatnonzero(order == earliest[unit])
            kept = kept[np.argsort(order[kept], kind="stable")]
        else:
            kept = np.arange(len(row))
        # Of several values for one place the last stays: here a unit's first.
        place = np.empty(index.unit_count, dtype=np.int64)
        place[unit[kept[::-1]]] = kept[::-1]
        kept = kept[place[unit[kept]] == kept]
        return cls(
            columns=columns,
            index=index,
            unit=unit[kept],
            order=order[kept],
            piece=piece[kept],
            row=row[kept],
        )

    def __len__(self) -> int:
        return len(self.unit)

    def shown(
        self, units: ShownUnits | None, after: int | None, *, descending: bool
    ) -> Mask:
        """
        Return which units the pages before have shown.

        Args:
            units: What the client's cursor says.
            after: The `order` of the last row of those pages. It decides when the
                cursor is of another directory: a unit has come or gone since.
            descending: The unit with the latest first time comes first.
        """
        known = None if units is None else units.mask(self.index)
        if known is not None:
            return known
        shown = np.zeros(self.index.unit_count, dtype=np.bool_)
        if after is not None:
            place = np.uint64(after)
            is_before = self.order >= place if descending else self.order <= place
            shown[self.unit[is_before]] = True
        return shown

    def next_places(self, shown: Mask, count: int, *, descending: bool) -> Rows:
        """Return the places of the next units, at most so many, in their order."""
        places = np.flatnonzero(~shown[self.unit])
        return (places[::-1] if descending else places)[:count]

    def rows(self, places: Rows) -> list[tuple[SlotColumns, Rows]]:
        """Return the rows at places, segment by segment."""
        piece, row = self.piece[places], self.row[places]
        return [
            (self.columns[number], row[piece == number])
            for number in np.unique(piece).tolist()
        ]


def first_rows_of_units(snapshot: Snapshot, columns: SlotColumns, rows: Rows) -> Rows:
    """Return the first row of each unit among some rows of a segment, in order."""
    offering = snapshot.schedules.offering[columns.schedule[rows]]
    unit = snapshot.index.unit_of[offering]
    first = np.full(snapshot.index.unit_count, -1, dtype=np.int64)
    # Of several values for one place the last stays: here a unit's first.
    first[unit[::-1]] = rows[::-1]
    return np.sort(first[first >= 0])


def _joined(
    parts: Sequence[npt.NDArray[Any]], kind: type[np.generic]
) -> npt.NDArray[Any]:
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.empty(0, dtype=kind)


def _renumbered(values: npt.NDArray[np.int32]) -> npt.NDArray[np.integer[Any]]:
    """Return values as small numbers, where they are few: those are sorted faster."""
    present = np.flatnonzero(np.bincount(values))
    if len(present) > np.iinfo(np.uint16).max:
        return values
    numbers = np.zeros(int(values.max(initial=0)) + 1, dtype=np.uint16)
    numbers[present] = np.arange(len(present), dtype=np.uint16)
    return numbers[values]
