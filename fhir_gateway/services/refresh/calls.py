"""
The refresh's calls to a source: as an agent, within the pace and the lease.
"""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Final

from fhir_gateway.adapters.protocol import (
    ListsAvailableDates,
    ListsPerformers,
    ListsUnits,
    SchedulingAdapter,
    ability,
)
from fhir_gateway.model.care_unit import CareUnit, Performer
from fhir_gateway.model.ids import HsaId, TimeTypeId
from fhir_gateway.model.interaction import Actor
from fhir_gateway.model.listed import Listed
from fhir_gateway.model.scheduling import (
    GetAllHealthcareFacilities,
    GetAllPerformers,
    GetAllTimeTypes,
    GetAvailableDates,
    GetAvailableTimeslots,
)
from fhir_gateway.model.source import Source
from fhir_gateway.model.timekeeping import Clock
from fhir_gateway.model.timeslot import AvailableDate, FreeTimes, TimeType
from fhir_gateway.services.refresh.lease_deadline import LeaseDeadline, LeaseEnded
from fhir_gateway.services.source.breaker import Jitter
from fhir_gateway.services.source.pace import Pace
from fhir_gateway.services.source.window import Window

__all__ = ["RefreshCalls"]

_LONGEST_START_S: Final = 1.0
_MINUTE: Final = timedelta(minutes=1)


class RefreshCalls:
    """
    Makes the refresh's calls to one source.

    Each waits until the pace allows it. Each raises what the adapter raises, and
    `LeaseEnded` when this worker may no longer ask the source.

    Args:
        source: The source, with how often to ask it.
        adapter: The adapter of the source.
        deadline: Until when this worker may ask.
        clock: Returns the current time.
        jitter: Spreads the first calls of sources that begin together.
    """

    def __init__(
        self,
        source: Source,
        adapter: SchedulingAdapter,
        deadline: LeaseDeadline,
        *,
        clock: Clock,
        jitter: Jitter,
    ) -> None:
        self._adapter = adapter
        self._deadline = deadline
        self._clock = clock
        self._timeout_s = source.read_timeout.total_seconds()
        self._who: dict[str, Any] = {
            "actor": Actor.agent(source.agent),
            "subject_of_care": source.refresh_subject,
        }
        rate = source.budget.calls_per_second
        self._pace = Pace(rate, begins_in_s=min(1 / rate, _LONGEST_START_S) * jitter())
        self._lock = threading.Lock()
        self._called: deque[datetime] = deque()
        self._last_answer_at: datetime | None = None

    @property
    def last_answer_at(self) -> datetime | None:
        """Return when the source last answered anything."""
        return self._last_answer_at

    def in_last_minute(self) -> int:
        """Return how many calls were made in the last minute."""
        with self._lock:
            moment = self._clock()
            while self._called and moment - self._called[0] >= _MINUTE:
                self._called.popleft()
            return len(self._called)

    def units(self, unit: HsaId) -> Listed[CareUnit]:
        """Return the units that a unit knows of."""
        with self._call():
            return ability(self._adapter, ListsUnits).get_all_healthcare_facilities(
                GetAllHealthcareFacilities(unit=unit, **self._who),
                timeout=self._timeout_s,
            )

    def time_types(self, unit: HsaId) -> Listed[TimeType]:
        """Return a unit's time types."""
        with self._call():
            return self._adapter.get_all_time_types(
                GetAllTimeTypes(unit=unit, **self._who), timeout=self._timeout_s
            )

    def performers(self, unit: HsaId) -> Listed[Performer]:
        """Return a unit's staff."""
        with self._call():
            return ability(self._adapter, ListsPerformers).get_all_performers(
                GetAllPerformers(unit=unit, **self._who), timeout=self._timeout_s
            )

    def dates(
        self, unit: HsaId, time_type_id: TimeTypeId, window: Window
    ) -> Listed[AvailableDate]:
        """Return the days of a period with free times."""
        with self._call():
            return ability(self._adapter, ListsAvailableDates).get_available_dates(
                GetAvailableDates(
                    unit=unit,
                    **self._who,
                    first_day=window[0],
                    last_day=window[1],
                    time_type_id=time_type_id,
                ),
                timeout=self._timeout_s,
            )

    def timeslots(
        self, unit: HsaId, time_type_id: TimeTypeId, window: Window
    ) -> FreeTimes:
        """Return the free times of a period."""
        with self._call():
            return self._adapter.get_available_timeslots(
                GetAvailableTimeslots(
                    unit=unit,
                    **self._who,
                    first_day=window[0],
                    last_day=window[1],
                    time_type_id=time_type_id,
                ),
                timeout=self._timeout_s,
            )

    @contextmanager
    def _call(self) -> Iterator[None]:
        """Wait until a call may be made; record when it leaves and is answered."""
        if self._deadline.has_passed() or self._deadline.wait(
            self._pace.reserve() or 0.0
        ):
            raise LeaseEnded
        with self._lock:
            self._called.append(self._clock())
        yield
        with self._lock:
            self._last_answer_at = self._clock()
