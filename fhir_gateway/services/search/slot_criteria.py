"""
The criteria of a search for free times.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from fhir_gateway.model.timeslot import TimeslotToken
from fhir_gateway.model.weekly_hours import WeeklyHours
from fhir_gateway.services.search.first_times import ShownUnits
from fhir_gateway.services.search.slot_selection import Selector

__all__ = ["SlotCriteria"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotCriteria:
    """
    What a client looks for.

    Attributes:
        selector: The time types, units and schedules to search.
        start: The time begins at this instant or later.
        before: The time begins earlier than this instant.
        ends_from: The time ends at this instant or later.
        ends_before: The time ends earlier than this instant.
        times: The only times to find; None for any.
        hours: The time begins on these days, at these times; None for any.
        descending: Latest first.
        count: How many to return at most.
        after: The last time of the page before: the next page begins after it.
        first_per_unit: Only the earliest time of each unit, among those that fit.
        shown: With `first_per_unit`, the units that the pages before have shown.
        counted: Whether to count all that fit.
        live_within: How long the client waits for live sources; None for as long as
            each may take.
    """

    selector: Selector = field(default_factory=Selector)
    start: datetime | None = None
    before: datetime | None = None
    ends_from: datetime | None = None
    ends_before: datetime | None = None
    times: frozenset[TimeslotToken] | None = None
    hours: WeeklyHours | None = None
    descending: bool = False
    count: int = 20
    after: TimeslotToken | None = None
    first_per_unit: bool = False
    shown: ShownUnits | None = None
    counted: bool = True
    live_within: timedelta | None = None

    @property
    def narrowed_selector(self) -> Selector:
        """Return the selector, narrowed to the schedules of the times to find."""
        if self.times is None:
            return self.selector
        schedules = frozenset(time.schedule for time in self.times)
        return replace(self.selector, schedules=(*self.selector.schedules, schedules))

    @property
    def begins_before(self) -> datetime | None:
        """Return what a time begins earlier than, since it ends after its start."""
        if self.before is None or self.ends_before is None:
            return self.before or self.ends_before
        return min(self.before, self.ends_before)
