"""
Columns: free times as sorted arrays; a search finds a page in microseconds.

There is one row for each free time, sorted by start, then by a hash of its schedule's
token. Both are in one 64-bit number, `order`. So a search by time is a binary search,
and the next page begins at the same row in every process.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from fhir_gateway.model.timekeeping import minutes_of_week

__all__ = ["EMPTY", "FIRST_CHUNK", "Fit", "SlotColumns", "first_order", "schedule_rank"]

FIRST_CHUNK: Final = 512
"""How many rows a search looks at first; then four times as many each time."""

_RANK_BITS: Final = 32
# Starts have 32 bits: no time can begin later than this, in the year 2106.
_LAST_SECOND: Final = 2**32 - 1

UInts = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int64]


def schedule_rank(token: str) -> int:
    """Return the rank of a schedule among times with the same start: 32 bits."""
    digest = hashlib.blake2b(token.encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big")


def first_order(start: int) -> int:
    """Return the smallest `order` of a time that begins at `start` seconds."""
    return min(max(start, 0), _LAST_SECOND) << _RANK_BITS


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fit:
    """
    Which rows fit.

    Attributes:
        schedules: Which schedules do, by number; None when all do.
        minutes: In which minutes of the Swedish week a time may begin; None for any.
        ends_from: The time has ended at this second or later.
        ends_before: The time has ended earlier than this second.
        times: The only times that do: schedule, start and length of each.
    """

    schedules: npt.NDArray[np.bool_] | None = None
    minutes: npt.NDArray[np.bool_] | None = None
    ends_from: int | None = None
    ends_before: int | None = None
    times: frozenset[tuple[int, int, int]] | None = None

    @property
    def is_all(self) -> bool:
        """Return whether every row fits."""
        return (
            self.schedules is None
            and self.minutes is None
            and self.ends_from is None
            and self.ends_before is None
            and self.times is None
        )

    @property
    def is_of_rows(self) -> bool:
        """Return whether one row of a schedule can fit and another not."""
        return not (
            self.minutes is None
            and self.ends_from is None
            and self.ends_before is None
            and self.times is None
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SlotColumns:
    """
    Free times, sorted by `order`.

    Attributes:
        order: Start in seconds, and the schedule's rank in the lower 32 bits.
        length: Seconds.
        schedule: The schedule's number.
        count: How many places are free.
    """

    order: UInts
    length: npt.NDArray[np.uint32]
    schedule: npt.NDArray[np.int32]
    count: npt.NDArray[np.uint16]

    @property
    def start(self) -> npt.NDArray[np.uint64]:
        """Return when each begins, in seconds."""
        return self.order >> np.uint64(_RANK_BITS)

    def __len__(self) -> int:
        return len(self.order)

    def start_of(self, row: int) -> int:
        """Return when a row begins, in seconds."""
        return int(self.order[row]) >> _RANK_BITS

    @classmethod
    def of(
        cls,
        *,
        start: npt.NDArray[np.uint32],
        rank: npt.NDArray[np.uint32],
        length: npt.NDArray[np.uint32],
        schedule: npt.NDArray[np.int32],
        count: npt.NDArray[np.uint16],
    ) -> Self:
        """Return the columns of rows in any order."""
        order = (start.astype(np.uint64) << np.uint64(_RANK_BITS)) | rank
        by_order = np.lexsort((length, order))
        return cls(
            order=order[by_order],
            length=length[by_order],
            schedule=schedule[by_order],
            count=count[by_order],
        )

    def replaced(
        self, gone: npt.NDArray[np.bool_], added: Sequence["SlotColumns"]
    ) -> Self:
        """
        Return the columns without the rows that are `gone`, and with others.

        Both parts are sorted, so that a stable sort only has to merge them.
        """
        kept = ~gone
        order = np.concatenate([self.order[kept], *(each.order for each in added)])
        by_order = np.argsort(order, kind="stable")
        return type(self)(
            order=order[by_order],
            length=np.concatenate(
                [self.length[kept], *(each.length for each in added)]
            )[by_order],
            schedule=np.concatenate(
                [self.schedule[kept], *(each.schedule for each in added)]
            )[by_order],
            count=np.concatenate([self.count[kept], *(each.count for each in added)])[
                by_order
            ],
        )

    def only(self, wanted: npt.NDArray[np.bool_]) -> Self:
        """Return the columns of some of the rows."""
        return type(self)(
            order=self.order[wanted],
            length=self.length[wanted],
            schedule=self.schedule[wanted],
            count=self.count[wanted],
        )

    def has_the_rows_of(self, other: "SlotColumns") -> bool:
        """Return whether the rows are the same, one after the other."""
        return (
            np.array_equal(self.order, other.order)
            and np.array_equal(self.length, other.length)
            and np.array_equal(self.schedule, other.schedule)
            and np.array_equal(self.count, other.count)
        )

    def bounds(self, start: int, before: int | None) -> tuple[int, int]:
        """Return the rows that begin from `start` until `before`, in seconds."""
        # numpy's own search lets other threads run meanwhile. That costs more than
        # the search does.
        order = self.order.data
        first = bisect_left(order, first_order(start))
        if before is None:
            return first, len(order)
        return first, bisect_left(order, first_order(before), lo=first)

    def first_rows(
        self,
        first: int,
        last: int,
        fit: Fit,
        count: int,
    ) -> Rows:
        """
        Return the first `count` rows between `first` and `last` that fit.

        Args:
            first: The first row to look at.
            last: The row to stop before.
            fit: Which rows fit.
            count: How many rows to return at most.
        """
        if fit.is_all:
            return np.arange(first, min(last, first + count))
        found: list[Rows] = []
        missing, at, chunk = count, first, FIRST_CHUNK
        while missing > 0 and at < last:
            until = min(last, at + chunk)
            rows = np.flatnonzero(self._fits(at, until, fit))[:missing] + at
            found.append(rows)
            missing -= len(rows)
            at, chunk = until, chunk * 4
        return np.concatenate(found) if found else np.empty(0, dtype=np.int64)

    def last_rows(
        self,
        first: int,
        last: int,
        fit: Fit,
        count: int,
    ) -> Rows:
        """Return the last `count` rows that fit, latest first."""
        if fit.is_all:
            return np.arange(last - 1, max(first, last - count) - 1, -1)
        found: list[Rows] = []
        missing, until, chunk = count, last, FIRST_CHUNK
        while missing > 0 and until > first:
            at = max(first, until - chunk)
            rows = np.flatnonzero(self._fits(at, until, fit))[::-1][:missing] + at
            found.append(rows)
            missing -= len(rows)
            until, chunk = at, chunk * 4
        return np.concatenate(found) if found else np.empty(0, dtype=np.int64)

    def rows(self, first: int, last: int, fit: Fit) -> Rows:
        """Return all rows between `first` and `last` that fit."""
        return np.flatnonzero(self._fits(first, last, fit)) + first

    def _fits(self, first: int, last: int, fit: Fit) -> npt.NDArray[np.bool_]:
        """Return which of the rows between `first` and `last` fit."""
        if fit.schedules is None:
            fitting = np.ones(max(0, last - first), dtype=np.bool_)
        else:
            # `take` needs half the time that indexing does.
            fitting = fit.schedules.take(self.schedule[first:last])
        if fit.minutes is not None:
            begins = self.order[first:last] >> np.uint64(_RANK_BITS)
            fitting = fitting & fit.minutes[minutes_of_week(begins)]
        if fit.ends_from is not None or fit.ends_before is not None:
            begins = self.order[first:last] >> np.uint64(_RANK_BITS)
            ends = begins + self.length[first:last]
            if fit.ends_from is not None:
                fitting = fitting & (ends >= np.uint64(max(0, fit.ends_from)))
            if fit.ends_before is not None:
                fitting = fitting & (ends < np.uint64(max(0, fit.ends_before)))
        if fit.times is not None:
            fitting = self._are_among(first, fitting, fit.times)
        return fitting

    def _are_among(
        self,
        first: int,
        fitting: npt.NDArray[np.bool_],
        times: frozenset[tuple[int, int, int]],
    ) -> npt.NDArray[np.bool_]:
        """Return which of the fitting rows from `first` on are among some times."""
        rows = np.flatnonzero(fitting)
        begins = self.order[first + rows] >> np.uint64(_RANK_BITS)
        wanted = np.array([start for _, start, _ in times], dtype=np.uint64)
        rows = rows[np.isin(begins, wanted)]
        place = (self.schedule, self.order, self.length)
        kept = [
            row
            for row, schedule, order, length in zip(
                rows.tolist(),
                *(column[first + rows].tolist() for column in place),
                strict=True,
            )
            if (schedule, order >> _RANK_BITS, length) in times
        ]
        among = np.zeros_like(fitting)
        among[kept] = True
        return among


EMPTY: Final = SlotColumns(
    order=np.empty(0, dtype=np.uint64),
    length=np.empty(0, dtype=np.uint32),
    schedule=np.empty(0, dtype=np.int32),
    count=np.empty(0, dtype=np.uint16),
)
