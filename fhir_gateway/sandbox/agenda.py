"""
The planned times of a region: computed for each request, never stored.

The plan of a unit for a day depends only on the seed, the unit and the day, so it is
the same at every request.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, NamedTuple

from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.timekeeping import civil_date_text
from fhir_gateway.sandbox.catalogue import (
    Calendar,
    LocalTimeType,
    SandboxRegion,
    SandboxUnit,
)

__all__ = ["DAYS", "Agenda", "PlannedTime", "TimeKey", "density"]

DAYS: Final = 90

_WEEKDAYS: Final = 5
_DAYS_A_WEEK: Final = 7
_GROUP_DAYS: Final = frozenset({1, 3})  # Tuesdays and Thursdays
_TAKEN: Final = 0.35
_SCALE: Final = 1 << 16
_SLOTS_A_HALF_DAY: Final = 16  # one digest holds 32 samples of two bytes


class TimeKey(NamedTuple):
    """The identity of a time within a region."""

    unit: HsaId
    calendar: int
    start: str


@dataclass(frozen=True, slots=True)
class PlannedTime:
    """
    A planned time; start and end are civil time as in the contract, YYYYMMDDhhmmss.

    Attributes:
        is_free: Nobody outside the sandbox has taken it.
    """

    unit: SandboxUnit
    calendar: Calendar
    time_type: LocalTimeType
    start: str
    end: str
    is_free: bool

    @property
    def key(self) -> TimeKey:
        """Return the identity of the time within its region."""
        return TimeKey(self.unit.hsa_id, self.calendar.number, self.start)


class Agenda:
    """
    The plan of a whole region.

    Args:
        seed: Another seed gives another plan.
        density: The planned share of each working day, 0 to 1.
    """

    def __init__(self, *, seed: int, density: float) -> None:
        self._seed = seed
        self._planned = int(density * _SCALE)
        self._free = int(density * (1 - _TAKEN) * _SCALE)

    def times(
        self,
        unit: SandboxUnit,
        first_day: date,
        last_day: date,
        *,
        time_types: Sequence[LocalTimeType] | None = None,
    ) -> Iterator[PlannedTime]:
        """
        Yield the planned times of a unit, day by day and calendar by calendar.

        Args:
            unit: The unit.
            first_day: The first day, included.
            last_day: The last day, included.
            time_types: Yield only times of these types; None for all.
        """
        day = first_day
        while day <= last_day:
            if day.weekday() < _WEEKDAYS:
                for calendar in unit.calendars:
                    yield from self._calendar_times(unit, calendar, day, time_types)
            day += timedelta(days=1)

    def _calendar_times(
        self,
        unit: SandboxUnit,
        calendar: Calendar,
        day: date,
        time_types: Sequence[LocalTimeType] | None,
    ) -> Iterator[PlannedTime]:
        if _is_group(calendar) and day.weekday() not in _GROUP_DAYS:
            return
        digest = b""
        ordinal = day.toordinal()
        hours = unit.hours
        for half, (opens, closes) in enumerate(
            ((hours.opens, hours.lunch), (hours.back, hours.closes))
        ):
            # One further each week, so that no time type has a fixed weekday.
            rotation = ordinal + ordinal // _DAYS_A_WEEK + calendar.number + half
            time_type = calendar.time_types[rotation % len(calendar.time_types)]
            if time_types is not None and time_type not in time_types:
                continue
            digest = digest or self._digest(unit, calendar, ordinal)
            date_text = civil_date_text(day)
            for index, minute in enumerate(
                range(opens, closes - time_type.minutes + 1, time_type.minutes)
            ):
                at = 2 * (index + half * _SLOTS_A_HALF_DAY)
                sample = digest[at] << 8 | digest[at + 1]
                if sample < self._planned:
                    yield PlannedTime(
                        unit,
                        calendar,
                        time_type,
                        _civil_text(date_text, minute),
                        _civil_text(date_text, minute + time_type.minutes),
                        sample < self._free,
                    )

    def _digest(self, unit: SandboxUnit, calendar: Calendar, ordinal: int) -> bytes:
        text = f"{self._seed}|{unit.hsa_id}|{calendar.number}|{ordinal}"
        return hashlib.blake2b(text.encode()).digest()


def density(regions: Sequence[SandboxRegion], slots: int) -> float:
    """
    Return the density that gives about `slots` free times over `DAYS` days.

    It is at most 1: then all working hours are planned.
    """
    a_week = sum(
        _times_a_week(unit, calendar)
        for region in regions
        for unit in region.units
        for calendar in unit.calendars
    )
    return min(1.0, slots / (a_week * DAYS / _DAYS_A_WEEK * (1 - _TAKEN)))


def _times_a_week(unit: SandboxUnit, calendar: Calendar) -> float:
    hours = unit.hours
    days = len(_GROUP_DAYS) if _is_group(calendar) else _WEEKDAYS
    a_day = sum(
        time_type.places
        * (
            (hours.lunch - hours.opens) // time_type.minutes
            + (hours.closes - hours.back) // time_type.minutes
        )
        for time_type in calendar.time_types
    ) / len(calendar.time_types)
    return a_day * days


def _is_group(calendar: Calendar) -> bool:
    return calendar.performer is None and calendar.resource is None


def _civil_text(date_text: str, minute: int) -> str:
    return f"{date_text}{minute // 60:02d}{minute % 60:02d}00"
