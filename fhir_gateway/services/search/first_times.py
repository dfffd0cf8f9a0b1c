"""
First times: the earliest free time of each unit, as cheap to find as a page.

A table for each segment links each row to the row before it of the same time type. A
row is the first of its time type from a moment on if the row before it begins earlier.
So one comparison of a column finds the first rows of all time types.
"""

import threading
import zlib
from base64 import b32decode, b32encode
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from fhir_gateway.services.search.offering_index import FINGERPRINT_BYTES, OfferingIndex
from fhir_gateway.services.search.schedule_table import ScheduleTable
from fhir_gateway.services.search.slot_columns import FIRST_CHUNK, SlotColumns
from fhir_gateway.services.search.snapshot import Segment, Snapshot

__all__ = ["FirstOfUnits", "FirstTimes", "FirstTimesCache", "ShownUnits"]

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_NO_TIME: Final = np.iinfo(np.uint64).max
# A country has thousands of units; this many bytes have half a million bits.
_MOST_BYTES: Final = 65_536
# A URL with ten digits may be refused, since they may be a person's number.
_LETTERS_ONLY: Final = str.maketrans("234567", "abcdef")
_LETTERS_AND_DIGITS: Final = str.maketrans("abcdef234567", "234567======")


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
        packed = b32encode(self.directory + zlib.compress(self.bits)).decode()
        return packed.rstrip("=").translate(_LETTERS_ONLY)

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Return the units that a text spells.

        Raises:
            ValueError: The text is of nobody's making.
        """
        padding = "=" * (-len(text) % 8)
        packed = b32decode(text.translate(_LETTERS_AND_DIGITS) + padding)
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
        at, chunk = first, FIRST_CHUNK
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


class FirstOfUnits:
    """
    Collects the first row of each unit, segment by segment.

    Args:
        snapshot: What is searched.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._schedules = snapshot.schedules
        self._index = snapshot.index
        size = self._index.unit_count
        self._order = np.full(size, _NO_TIME, dtype=np.uint64)
        self._row = np.zeros(size, dtype=np.int64)
        self._piece = np.zeros(size, dtype=np.int32)
        self._pieces: list[SlotColumns] = []

    def add(self, columns: SlotColumns, rows: Rows) -> None:
        """Add rows that fit, in their order."""
        offering = self._schedules.offering[columns.schedule[rows]]
        unit = self._index.unit_of[offering]
        first = np.full(len(self._order), -1, dtype=np.int64)
        # Of several values for one place the last stays.
        first[unit[::-1]] = rows[::-1]
        units = np.flatnonzero(first >= 0)
        rows = first[units]
        order = columns.order[rows]
        is_earlier = order < self._order[units]
        units, rows = units[is_earlier], rows[is_earlier]
        self._order[units] = order[is_earlier]
        self._row[units] = rows
        self._piece[units] = len(self._pieces)
        self._pieces.append(columns)

    def __len__(self) -> int:
        return int(np.count_nonzero(self._order != _NO_TIME))

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
        known = None if units is None else units.mask(self._index)
        if known is not None:
            return known
        if after is None:
            return np.zeros(len(self._order), dtype=np.bool_)
        place = np.uint64(after)
        return self._order >= place if descending else self._order <= place

    def units(self, shown: Mask, count: int, *, descending: bool) -> Rows:
        """Return the next units, at most so many, in the order of their first times."""
        units = np.flatnonzero((self._order != _NO_TIME) & ~shown)
        by_order = np.argsort(self._order[units], kind="stable")
        return units[by_order[::-1] if descending else by_order][:count]

    def pieces(self, units: Rows) -> list[tuple[SlotColumns, Rows]]:
        """Return the first rows of units, segment by segment."""
        piece, row = self._piece[units], self._row[units]
        if len(self._pieces) == 1:
            return [(self._pieces[0], row)]
        return [
            (self._pieces[number], row[piece == number])
            for number in np.unique(piece).tolist()
        ]


def _renumbered(values: npt.NDArray[np.int32]) -> npt.NDArray[np.integer[Any]]:
    """Return values as small numbers, where they are few: those are sorted faster."""
    present = np.flatnonzero(np.bincount(values))
    if len(present) > np.iinfo(np.uint16).max:
        return values
    numbers = np.zeros(int(values.max(initial=0)) + 1, dtype=np.uint16)
    numbers[present] = np.arange(len(present), dtype=np.uint16)
    return numbers[values]
