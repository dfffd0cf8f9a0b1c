"""
The state of each unit's time type in the view, in columns by its number.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.source import Source
from fhir_gateway.services.search.offering_numbers import OfferingNumbers
from fhir_gateway.services.search.snapshot import Segment
from fhir_gateway.stores.slot_block import BlockKey, SlotBlock

__all__ = ["OfferingTable"]


class OfferingTable:
    """
    The source, the segment and the last answer of each numbered time type.

    Its columns change in place: a snapshot needs copies of them.

    Args:
        sources: The names of the configured sources.
        numbers: The numbers of time types.

    Attributes:
        answered_at: When the source last listed its times, in seconds; NaN for never.
        offered: Whether they are young enough for searches.
        lacking: Whether the source listed times that the view could not keep.
        segment_of: The number of its segment; -1 while it has none.
    """

    def __init__(self, sources: Sequence[SourceName], numbers: OfferingNumbers) -> None:
        self._sources = sources
        self._numbers = numbers
        self._segments: dict[Segment, int] = {}
        self._source_of = np.empty(0, dtype=np.int16)
        self._expires_at = np.empty(0, dtype=np.float64)
        self.answered_at = np.empty(0, dtype=np.float64)
        self.offered = np.empty(0, dtype=np.bool_)
        self.lacking = np.empty(0, dtype=np.bool_)
        self.segment_of = np.empty(0, dtype=np.int32)

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Return the segments, by number."""
        return tuple(self._segments)

    @property
    def segment_sizes(self) -> npt.NDArray[np.intp]:
        """Return how many time types lie in each numbered segment."""
        return np.bincount(
            self.segment_of[self.segment_of >= 0], minlength=len(self._segments)
        )

    @property
    def lacking_sources(self) -> frozenset[SourceName]:
        """Return the sources that listed times that the view could not keep."""
        return frozenset(
            self._sources[number]
            for number in np.unique(self._source_of[self.lacking]).tolist()
        )

    def record(self, number: int, block: SlotBlock, source: Source) -> None:
        """Record what a block says of its time type."""
        self.grow(number + 1)
        answered_at = block.answered_at.timestamp()
        self._source_of[number] = self._sources.index(source.name)
        self.answered_at[number] = answered_at
        self._expires_at[number] = answered_at + source.offered_for.total_seconds()
        self.offered[number] = True
        self.lacking[number] = block.lacks_times

    def put_in_segment(self, number: int, segment: Segment) -> bool:
        """Put a time type in a segment; return whether it had none."""
        if self.segment_of[number] >= 0:
            return False
        self.segment_of[number] = self._segments.setdefault(
            segment, len(self._segments)
        )
        return True

    def expire(self, moment: float) -> list[int]:
        """Return the numbers of the time types that became too old, each once."""
        expired = np.flatnonzero(self.offered & (self._expires_at <= moment))
        self.offered[expired] = False
        numbers: list[int] = expired.tolist()
        return numbers

    def key(self, number: int) -> BlockKey | None:
        """Return the key of the block that was recorded; None when there was none."""
        if number >= len(self._source_of) or self._source_of[number] < 0:
            return None
        return BlockKey(
            source=self._sources[self._source_of[number]],
            unit=self._numbers.unit(number),
            time_type_id=self._numbers.time_type_id(number),
        )

    def grow(self, size: int) -> None:
        """Make room for so many time types."""
        if size <= len(self.answered_at):
            return
        # More than needed: at the start each block adds one.
        room = max(1024, size, len(self.answered_at) * 3 // 2)
        missing = room - len(self.answered_at)
        self.answered_at = np.append(self.answered_at, np.full(missing, np.nan))
        self._expires_at = np.append(self._expires_at, np.full(missing, np.inf))
        self.offered = np.append(self.offered, np.zeros(missing, dtype=np.bool_))
        self.lacking = np.append(self.lacking, np.zeros(missing, dtype=np.bool_))
        self.segment_of = np.append(
            self.segment_of, np.full(missing, -1, dtype=np.int32)
        )
        self._source_of = np.append(
            self._source_of, np.full(missing, -1, dtype=np.int16)
        )
