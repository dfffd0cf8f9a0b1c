"""
The pages of a search for free times.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fhir_gateway.model.source import SourceOutcome
from fhir_gateway.model.timekeeping import instant_from_epoch
from fhir_gateway.model.timeslot import Timeslot, TimeslotToken
from fhir_gateway.services.search.first_times import ShownUnits
from fhir_gateway.services.search.slot_columns import SlotColumns
from fhir_gateway.services.search.slot_criteria import SlotCriteria
from fhir_gateway.services.search.slot_selection import Availability
from fhir_gateway.services.search.snapshot import KnownSchedule, Snapshot
from fhir_gateway.services.source.directory import Directory

__all__ = ["FoundTimeslot", "SlotPage", "found_timeslot", "page_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundTimeslot:
    """A free time and what is known of it."""

    timeslot: Timeslot
    known: KnownSchedule


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SlotPage:
    """
    An answer to a search: one row for each free time.

    Attributes:
        start: When each begins, in seconds.
        length: How long each is, in seconds.
        schedule: The number of each one's schedule in the snapshot.
        count: How many places each has.
        offering: The number of each one's time type.
        answered_at: When its source last listed each, in seconds.
        total: How many times fit in all; None when that is not known.
        next_after: The last time of this page when there are more.
        next_shown: The units that the next page leaves out, where a page has one time
            of each unit.
        outcomes: What is missing, source by source.
        fingerprint: The same in every process for the same rows of the same answers.
        until: Before that instant, in seconds, the same search has the same answer in
            this snapshot: then a time begins, or the outcome of a source changes.
    """

    snapshot: Snapshot
    start: Sequence[int]
    length: Sequence[int]
    schedule: Sequence[int]
    count: Sequence[int]
    offering: Sequence[int]
    answered_at: Sequence[float]
    total: int | None
    next_after: TimeslotToken | None
    outcomes: tuple[SourceOutcome, ...]
    fingerprint: bytes
    until: float
    next_shown: ShownUnits | None = None

    @property
    def directory(self) -> Directory:
        """Return what the units offer."""
        return self.snapshot.directory

    def without_any(self) -> "SlotPage":
        """Return the answer to the same search for times that are not free: no row."""
        return replace(
            self,
            start=(),
            length=(),
            schedule=(),
            count=(),
            offering=(),
            answered_at=(),
            total=None,
            next_after=None,
            next_shown=None,
            fingerprint=b"",
        )

    @property
    def found(self) -> tuple[FoundTimeslot, ...]:
        """Return the free times one by one."""
        return tuple(
            found_timeslot(self.snapshot, *row)
            for row in zip(
                self.schedule, self.start, self.length, self.count, strict=True
            )
        )


def page_of(
    snapshot: Snapshot,
    pieces: Sequence[tuple[SlotColumns, npt.NDArray[np.int64]]],
    criteria: SlotCriteria,
    total: int | None,
    availability: Availability,
) -> SlotPage:
    """
    Return the page of a search.

    Args:
        snapshot: What the search read.
        pieces: The rows that fit, segment by segment: one more than the page may have.
        criteria: What the client looks for.
        total: How many times fit in all; None when that is not known.
        availability: What is missing, and until when the page is valid.
    """
    if len(pieces) == 1:
        columns, rows = pieces[0]
        order, length = columns.order[rows], columns.length[rows]
        schedule, count = columns.schedule[rows], columns.count[rows]
    else:
        order = _joined([c.order[rows] for c, rows in pieces], np.uint64)
        length = _joined([c.length[rows] for c, rows in pieces], np.uint32)
        schedule = _joined([c.schedule[rows] for c, rows in pieces], np.int32)
        count = _joined([c.count[rows] for c, rows in pieces], np.uint16)
        by_order = np.lexsort((length, order))
        if criteria.descending:
            by_order = by_order[::-1]
        order, length = order[by_order], length[by_order]
        schedule, count = schedule[by_order], count[by_order]
    size = criteria.count
    offering = snapshot.schedules.offering[schedule[:size]]
    answered_at = snapshot.answered_at[offering]
    fingerprint = b"".join(
        (
            order[: size + 1].tobytes(),
            length[:size].tobytes(),
            count[:size].tobytes(),
            answered_at.tobytes(),
        )
    )
    start = (order[:size] >> np.uint64(32)).tolist()
    lengths, schedules = length[:size].tolist(), schedule[:size].tolist()
    next_after = None
    if len(order) > size > 0:
        next_after = TimeslotToken(
            schedule=snapshot.schedules.token(schedules[-1]),
            start=start[-1],
            length=lengths[-1],
        )
    return SlotPage(
        snapshot=snapshot,
        start=start,
        length=lengths,
        schedule=schedules,
        count=count[:size].tolist(),
        offering=offering.tolist(),
        answered_at=answered_at.tolist(),
        total=total,
        next_after=next_after,
        outcomes=availability.outcomes,
        fingerprint=fingerprint,
        until=availability.until,
    )


def _joined(
    parts: Sequence[npt.NDArray[Any]], kind: type[np.generic]
) -> npt.NDArray[Any]:
    return np.concatenate(parts) if parts else np.empty(0, dtype=kind)


def found_timeslot(
    snapshot: Snapshot, schedule: int, start: int, length: int, count: int
) -> FoundTimeslot:
    """Return a free time of a numbered schedule."""
    known = snapshot.numbered(schedule)
    return FoundTimeslot(
        timeslot=Timeslot(
            schedule=known.schedule,
            start=instant_from_epoch(start),
            end=instant_from_epoch(start + length),
            count=count,
        ),
        known=known,
    )
