"""
The check of a source, before operators rely on it.

Does it answer each contract, and in the contract's form? Which of its time types have a
shared meaning?
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Any, TypeVar

from fhir_gateway.adapters.protocol import (
    ListsAvailableDates,
    ListsCareTypes,
    ListsPerformers,
    ListsUnits,
    SchedulingAdapter,
    WatchedAdapter,
    ability,
)
from fhir_gateway.adapters.sources import source_of_unit
from fhir_gateway.model import scheduling
from fhir_gateway.model.care_unit import CareUnit
from fhir_gateway.model.errors import GatewayError
from fhir_gateway.model.ids import HsaId, TimeTypeId
from fhir_gateway.model.interaction import Actor, Interaction
from fhir_gateway.model.listed import Listed
from fhir_gateway.model.loss import Loss, losses_of
from fhir_gateway.model.scheduling import (
    GetAllCareTypes,
    GetAllHealthcareFacilities,
    GetAllPerformers,
    GetAllTimeTypes,
    GetAvailableDates,
    GetAvailableTimeslots,
)
from fhir_gateway.model.source import Source
from fhir_gateway.model.timekeeping import Clock, civil_date, now
from fhir_gateway.model.timeslot import TimeType
from fhir_gateway.services.source.directory import TimeTypeMap
from fhir_gateway.services.source.known_catalogue import KnownCatalogue
from fhir_gateway.services.source.listed_times import ListedTimes
from fhir_gateway.stores.slot_block import times_lost

__all__ = ["CheckError", "Difference", "SourceReport", "check_source"]

A = TypeVar("A")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckError:
    """
    A question that a source did not answer.

    Attributes:
        error: What went wrong, with the reason of the connection or of the source.
    """

    interaction: Interaction
    unit: HsaId
    time_type_id: TimeTypeId | None = None
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """
    An element of a source's answers that differs from its contract.

    Attributes:
        what: Which element, and what is wrong with it.
        count: How often it occurred.
    """

    interaction: Interaction
    what: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceReport:
    """
    The report of a check.

    Attributes:
        units: The units that were asked: the configured ones, and those that the source
            names itself if its configuration allows that.
        answered: How many of them listed their time types.
        errors: The questions without an answer.
        losses: What was left out of the answers.
        differences: Unknown and missing elements of the answers.
        mapped: How many time types have a shared meaning.
        unmapped: The time types that have none: they are offered under the unit's own
            coding only.
        idle: Mapped time types that the unit does not offer, or of units that the
            source does not have.
        without_offer: The units that answered and have no time type: they were not
            asked for days and times.
    """

    source: Source
    units: tuple[HsaId, ...]
    answered: int
    errors: tuple[CheckError, ...]
    losses: tuple[Loss, ...]
    differences: tuple[Difference, ...]
    mapped: int
    unmapped: tuple[tuple[HsaId, TimeType], ...]
    idle: tuple[tuple[HsaId, TimeTypeId], ...]
    without_offer: tuple[HsaId, ...]

    @property
    def is_well(self) -> bool:
        """Return whether each question was answered, in the contract's form."""
        return not (
            self.errors
            or self.differences
            or any(not each.is_elsewhere for each in self.losses)
        )


def check_source(
    source: Source,
    adapter: SchedulingAdapter,
    meanings: TimeTypeMap,
    *,
    others: tuple[Source, ...] = (),
    pause: Callable[[float], object],
    progress: Callable[[int, int], object],
    clock: Clock = now,
) -> SourceReport:
    """
    Ask each unit all questions that need no resident, within the source's budget.

    At each unit it asks for the days and times of one time type: the first that has a
    shared meaning, or else the first. It leaves out the contracts about residents' own
    bookings.

    Args:
        source: The source.
        adapter: How to ask it.
        meanings: The shared meaning of time types.
        others: The other sources, which answer for units of their own.
        pause: Waits the given number of seconds.
        progress: Called with how many units have been asked, and how many there are.
        clock: Returns the current time.
    """
    check = _Check(source, adapter, meanings, others=others, pause=pause, clock=clock)
    return check.report(progress)


class _Check:
    def __init__(
        self,
        source: Source,
        adapter: SchedulingAdapter,
        meanings: TimeTypeMap,
        *,
        others: tuple[Source, ...],
        pause: Callable[[float], object],
        clock: Clock,
    ) -> None:
        self._source = source
        self._adapter = adapter
        self._meanings = meanings
        self._sources = (source, *others)
        self._known = KnownCatalogue(
            source, lambda unit: source_of_unit((source, *others), unit)
        )
        self._pause = pause
        self._clock = clock
        self._who: Mapping[str, Any] = {
            "actor": Actor.agent(source.agent),
            "subject_of_care": source.refresh_subject,
        }
        self._errors: list[CheckError] = []
        self._losses: list[Loss] = []
        self._differences: Counter[tuple[Interaction, str]] = Counter()
        if isinstance(adapter, WatchedAdapter):
            adapter.watch(self._note_difference)

    def report(self, progress: Callable[[int, int], object]) -> SourceReport:
        """Ask each unit all questions."""
        self._ask_for_units()
        units = [unit for unit, _ in self._known.time_types()]
        progress(0, len(units))
        offered: dict[HsaId, tuple[TimeType, ...]] = {}
        for asked, unit in enumerate(units, start=1):
            answer = self._ask_unit(unit)
            if answer is not None:
                offered[unit] = answer.items
            progress(asked, len(units))
        keys = {
            (unit, each.id.code) for unit, found in offered.items() for each in found
        }
        unknown = self._unknown_units(frozenset(units))
        return SourceReport(
            source=self._source,
            units=tuple(units),
            answered=len(offered),
            errors=tuple(self._errors),
            losses=tuple(self._losses),
            differences=tuple(
                Difference(interaction=interaction, what=what, count=count)
                for (interaction, what), count in self._differences.items()
            ),
            mapped=sum(key in self._meanings for key in keys),
            unmapped=tuple(
                (unit, each)
                for unit, found in offered.items()
                for each in found
                if (unit, each.id.code) not in self._meanings
            ),
            idle=tuple(
                sorted(
                    key
                    for key in self._meanings
                    if (key[0] in offered or key[0] in unknown) and key not in keys
                )
            ),
            without_offer=tuple(unit for unit, found in offered.items() if not found),
        )

    def _unknown_units(self, known: frozenset[HsaId]) -> frozenset[HsaId]:
        """Return the units of the source's prefixes that a map names alone."""
        if any(
            each.interaction == scheduling.GET_ALL_HEALTHCARE_FACILITIES
            for each in self._errors
        ):
            # It did not list its units.
            return frozenset()
        return frozenset(
            unit
            for unit in {unit for unit, _ in self._meanings} - known
            if source_of_unit(self._sources, unit) == self._source
        )

    def _ask_for_units(self) -> None:
        asked = self._source.units_from
        if asked is None:
            return
        answer: Listed[CareUnit] | None = self._ask(
            scheduling.GET_ALL_HEALTHCARE_FACILITIES,
            asked,
            lambda: ability(self._adapter, ListsUnits).get_all_healthcare_facilities,
            GetAllHealthcareFacilities(unit=asked, **self._who),
        )
        if answer is not None:
            self._losses.extend(self._known.add_units(asked, answer))

    def _ask_unit(self, unit: HsaId) -> Listed[TimeType] | None:
        """Ask a unit all questions; return its time types."""
        time_types = self._ask(
            scheduling.GET_ALL_TIME_TYPES,
            unit,
            lambda: self._adapter.get_all_time_types,
            GetAllTimeTypes(unit=unit, **self._who),
        )
        staff = self._ask(
            scheduling.GET_ALL_PERFORMERS,
            unit,
            lambda: ability(self._adapter, ListsPerformers).get_all_performers,
            GetAllPerformers(unit=unit, **self._who),
        )
        care_types = self._ask(
            scheduling.GET_ALL_CARE_TYPES,
            unit,
            lambda: ability(self._adapter, ListsCareTypes).get_all_care_types,
            GetAllCareTypes(unit=unit, **self._who),
        )
        for interaction, answer in (
            (scheduling.GET_ALL_TIME_TYPES, time_types),
            (scheduling.GET_ALL_PERFORMERS, staff),
            (scheduling.GET_ALL_CARE_TYPES, care_types),
        ):
            if answer is not None:
                self._losses.extend(losses_of(interaction, unit, answer.rejected))
        if time_types is not None and time_types.items:
            self._ask_times(unit, self._time_type_to_ask(unit, time_types.items))
        return time_types

    def _time_type_to_ask(
        self, unit: HsaId, offered: tuple[TimeType, ...]
    ) -> TimeTypeId:
        mapped = (each.id for each in offered if (unit, each.id.code) in self._meanings)
        return next(mapped, offered[0].id)

    def _ask_times(self, unit: HsaId, time_type_id: TimeTypeId) -> None:
        """Ask for the days and the times of the first window."""
        asked_at = self._clock()
        first = civil_date(asked_at)
        longest = min(self._source.window, self._source.horizon + timedelta(days=1))
        last = first + longest - timedelta(days=1)
        about = {
            **self._who,
            "unit": unit,
            "first_day": first,
            "last_day": last,
            "time_type_id": time_type_id,
        }
        dates = self._ask(
            scheduling.GET_AVAILABLE_DATES,
            unit,
            lambda: ability(self._adapter, ListsAvailableDates).get_available_dates,
            GetAvailableDates(**about),
            time_type_id=time_type_id,
        )
        if dates is not None:
            self._losses.extend(
                losses_of(
                    scheduling.GET_AVAILABLE_DATES,
                    unit,
                    dates.rejected,
                    time_type_id=time_type_id,
                )
            )
        free = self._ask(
            scheduling.GET_AVAILABLE_TIMESLOTS,
            unit,
            lambda: self._adapter.get_available_timeslots,
            GetAvailableTimeslots(**about),
            time_type_id=time_type_id,
        )
        if free is not None:
            times = ListedTimes(time_type_id, asked_at)
            times.add(free, (first, last))
            self._losses.extend(times_lost(unit, time_type_id, times.rejected))

    def _ask(
        self,
        interaction: Interaction,
        unit: HsaId,
        method: Callable[[], Callable[..., A]],
        query: object,
        *,
        time_type_id: TimeTypeId | None = None,
    ) -> A | None:
        """Ask one question within the budget; return None when it was not answered."""
        if interaction not in self._adapter.supports:
            return None
        began = monotonic()
        answer = None
        try:
            answer = method()(query, timeout=self._source.read_timeout.total_seconds())
        except GatewayError as error:
            self._errors.append(
                CheckError(
                    interaction=interaction,
                    unit=unit,
                    time_type_id=time_type_id,
                    error=error.for_operator,
                )
            )
        interval = 1 / self._source.budget.calls_per_second
        self._pause(max(0.0, began + interval - monotonic()))
        return answer

    def _note_difference(self, interaction: Interaction, what: str) -> None:
        self._differences[interaction, what] += 1
