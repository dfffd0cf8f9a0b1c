"""
What a source lists as free, with what was not asked for left out and counted.
"""

from collections import Counter
from datetime import datetime

from fhir_gateway.model.ids import TimeTypeId
from fhir_gateway.model.timekeeping import civil_date
from fhir_gateway.model.timeslot import FreeTimes, Timeslot
from fhir_gateway.services.window import Window

__all__ = ["ListedTimes"]


class ListedTimes:
    """
    The answers about one time type of a unit, window by window.

    Args:
        time_type_id: What was asked for.
        asked_at: When; times that have begun by then are left out.

    Attributes:
        listed: How many times the answers had, those left out included.
        rejected: Why times were left out, and how many.
    """

    def __init__(self, time_type_id: TimeTypeId, asked_at: datetime) -> None:
        self._time_type_id = time_type_id
        self._asked_at = asked_at
        self._timeslots: dict[str, Timeslot] = {}
        self.listed = 0
        self.rejected: Counter[str] = Counter()

    @property
    def timeslots(self) -> list[Timeslot]:
        """Return the free times, each once."""
        return list(self._timeslots.values())

    def add(self, answer: FreeTimes, window: Window) -> None:
        """Add the answer for a window."""
        first_day, last_day = window
        self.listed += len(answer.timeslots)
        self.rejected.update(f"malformed: {fault}" for fault in answer.rejected)
        for timeslot in answer.timeslots:
            # A producer that does not filter lists other time types too.
            if timeslot.schedule.time_type_id != self._time_type_id:
                self.rejected["of another time type"] += 1
            elif not first_day <= civil_date(timeslot.start) <= last_day:
                self.rejected["outside the days asked for"] += 1
            elif timeslot.start <= self._asked_at:
                self.rejected["past"] += 1
            else:
                self._timeslots[timeslot.token] = timeslot
