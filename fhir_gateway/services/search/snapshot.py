"""
Snapshots: every free time of every source, at one moment.

The times lie in segments, one for each meaning of time types (and one for each source's
time types without a meaning), so that a search reads one segment and a changed block
rebuilds one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from fhir_gateway.model.ids import HsaId, SourceName
from fhir_gateway.model.timeslot import (
    Schedule,
    time_type_of_schedule,
    time_type_token,
)
from fhir_gateway.services.search.offering_index import OfferingIndex
from fhir_gateway.services.search.schedule_table import ScheduleTable
from fhir_gateway.services.search.slot_columns import SlotColumns
from fhir_gateway.services.source.directory import Directory
from fhir_gateway.stores.slot_store import SourceStatus

__all__ = ["KnownSchedule", "Segment", "Snapshot"]

Segment = tuple[str, ...]
"""
What the times of a segment mean: SNOMED CT codes, or else `source:NAME`; `live:NAME` of
a live source, which has no times here.
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
        version: Differs after each change.
        layout: Differs after each change of the schedules or segments.
        known_schedules: How many schedules of the table, from the first, it knows.
        segment_keys: The segments, by number.
        segment_of: The number of the segment that each numbered time type lies in; -1
            while it has none.
        segment_sizes: How many time types lie in each numbered segment.
        answered_at: When each numbered time type was last listed by its source, in
            seconds; NaN for never.
        offered: Which of them are young enough to be offered.
        lacking: For which of them the source listed times that could not be kept.
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
        """Return what the units offer."""
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
        return time_type_of_schedule(self.schedules.token(number))

    def first_of(self, performer: HsaId) -> KnownSchedule | None:
        """
        Return the first schedule that is known of a member of staff.

        A schedule at the source to which the HSA-id belongs comes first: only that
        source names the person.
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
        """
        Return whether this snapshot has the schedule.

        The table grows, and it keeps the schedules of units that are no more.
        """
        return (
            number < self.known_schedules
            and self.schedules.unit(number) in self.directory.units
        )
