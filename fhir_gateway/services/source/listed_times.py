"""
The free times that a source lists, without those that cannot be offered.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from fhir_gateway.model.ids import TimeTypeId
from fhir_gateway.model.timekeeping import civil_date
from fhir_gateway.model.timeslot import FreeTimes, Timeslot
from fhir_gateway.services.source.window import Window
from fhir_gateway.stores.slot_block import PAST

__all__ = ["ListedTimes"]

# The calls about one time type take a while, and clocks differ a little. What a cache
# dates later than this is of an unknown age.
_LONGEST_AHEAD: Final = timedelta(minutes=5)


class ListedTimes:
    """
    The answers about one time type of a unit, window by window.

    Args:
        time_type_id: The time type of the call.
        asked_at: The time of the call; times that have begun by then are left out.

    Attributes:
        listed: How many times the answers had, including those left out.
    """

    def __init__(self, time_type_id: TimeTypeId, asked_at: datetime) -> None:
        self._time_type_id = time_type_id
        self._asked_at = asked_at
        self._timeslots: dict[str, Timeslot] = {}
        self.listed = 0
        self._as_of: list[datetime] = []
        self._rejected: Counter[str] = Counter()
        self._outside: dict[str, int] = {}

    @property
    def timeslots(self) -> list[Timeslot]:
        """Return the free times, each once."""
        return list(self._timeslots.values())

    @property
    def rejected(self) -> Mapping[str, int]:
        """Return why times were left out, and how many."""
        rejected = self._rejected.copy()
        # A time outside of one window may stand in the answer for another window.
        outside = sum(
            count
            for token, count in self._outside.items()
            if token not in self._timeslots
        )
        if outside:
            rejected["outside the days asked for"] = outside
        return rejected

    def answered_at(self, moment: datetime) -> datetime:
        """Return when all answers were true: at `moment`, or earlier from a cache."""
        return min((*self._as_of, moment))

    def add(self, answer: FreeTimes, window: Window) -> None:
        """Add the answer for a window."""
        if answer.as_of is not None:
            self._as_of.append(answer.as_of)
            if answer.as_of > self._asked_at + _LONGEST_AHEAD:
                self._rejected["from a cache that dates them in the future"] += 1
        first_day, last_day = window
        self.listed += len(answer.timeslots) + len(answer.rejected)
        self._rejected.update(f"malformed: {fault}" for fault in answer.rejected)
        for timeslot in answer.timeslots:
            if timeslot.schedule.time_type_id != self._time_type_id:
                self._rejected["of another time type"] += timeslot.count
            elif timeslot.start <= self._asked_at:
                self._rejected[PAST] += timeslot.count
            elif not first_day <= civil_date(timeslot.start) <= last_day:
                self._outside[timeslot.token] = timeslot.count
            else:
                self._timeslots[timeslot.token] = timeslot
