"""
Source availability for a selection: which sources' parts are missing or old.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np

from fhir_gateway.adapters.sources import source_of_unit
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.source import Source, SourceOutcome, SourceProblem
from fhir_gateway.services.search.offering_index import Numbers
from fhir_gateway.services.search.search_hint import SearchHints
from fhir_gateway.services.search.slot_selection import (
    NO_NUMBERS,
    Availability,
    Selection,
)
from fhir_gateway.services.search.snapshot import Snapshot
from fhir_gateway.services.search.source_outcome import (
    fresh_until,
    has_been_asked,
    is_doubtful,
    lack_of,
    outcome_of,
    same_age_until,
    schedules_lack,
    units_lack,
    well_until,
)

__all__ = ["SourceAvailability"]


class SourceAvailability:
    """
    Finds what is missing from the answer to a search, source by source.

    Args:
        sources: The configured sources.
        hints: Takes notes of the ageing times that clients search for.
    """

    def __init__(
        self, sources: Mapping[SourceName, Source], hints: SearchHints | None
    ) -> None:
        self._sources = sources
        self._hints = hints
        self._names = sorted(sources)
        self._all_sources = tuple(sources.values())
        self._freshest = min(
            (each.fresh_for.total_seconds() for each in sources.values()), default=0.0
        )

    def of(
        self, snapshot: Snapshot, selection: Selection, moment: datetime
    ) -> Availability:
        """Return the availability for a selection, cached while it holds."""
        availability = selection.availability
        if (
            availability is None
            or availability.version != snapshot.version
            or moment.timestamp() >= availability.until
        ):
            availability = self._find_availability(snapshot, selection, moment)
            selection.availability = availability
        return availability

    def of_catalogues(
        self, snapshot: Snapshot, selection: Selection, moment: datetime
    ) -> tuple[SourceOutcome, ...]:
        """
        Return what is missing of sources' catalogues, and of their schedules.

        The live search reports the latter of live sources.
        """
        outcomes: list[SourceOutcome] = []
        for name in self._names:
            source = self._sources[name]
            if not self._can_have(source, selection):
                continue
            numbers = snapshot.index.of_sources(selection.numbers, (name,))
            if is_doubtful(snapshot, name):
                lack = lack_of(snapshot, selection, numbers, source)
                if lack is not None:
                    outcomes.append(lack)
            if has_been_asked(snapshot, source, selection.units):
                if len(numbers) and not source.is_live:
                    outcome = outcome_of(snapshot, selection, numbers, source, moment)
                    if outcome and outcome.problem is SourceProblem.UNAVAILABLE:
                        outcomes.append(outcome)
                continue
            status = snapshot.statuses.get(name)
            failing = status is not None and status.failing_since is not None
            outcomes.append(
                SourceOutcome(
                    source=name,
                    problem=(
                        SourceProblem.UNAVAILABLE
                        if failing
                        else SourceProblem.NOT_YET_ASKED
                    ),
                    detail=f"{source.title} has not said yet what all its units offer.",
                )
            )
        return tuple(outcomes)

    def of_schedules(
        self, snapshot: Snapshot, selection: Selection
    ) -> tuple[SourceOutcome, ...]:
        """Return what is missing of sources' schedules; their age does not matter."""
        outcomes: list[SourceOutcome] = []
        for name in self._names:
            source = self._sources[name]
            if not self._can_have(source, selection):
                continue
            numbers = snapshot.index.of_sources(selection.numbers, (name,))
            outcomes.extend(
                each
                for each in (
                    schedules_lack(snapshot, selection, numbers, source),
                    lack_of(snapshot, selection, numbers, source),
                )
                if each is not None
            )
        return tuple(outcomes)

    def of_units(
        self, snapshot: Snapshot, selection: Selection
    ) -> tuple[SourceOutcome, ...]:
        """Return the sources with units that this server may not know."""
        outcomes = (
            units_lack(snapshot, self._sources[name])
            for name in self._names
            if self._can_have(self._sources[name], selection)
            and not (
                selection.units and selection.units <= snapshot.directory.units.keys()
            )
        )
        return tuple(each for each in outcomes if each is not None)

    def _find_availability(
        self, snapshot: Snapshot, selection: Selection, moment: datetime
    ) -> Availability:
        names, until = self._sources_to_check(snapshot, selection, moment)
        outcomes: list[SourceOutcome] = []
        for name in names:
            source = self._sources[name]
            if not self._can_have(source, selection):
                continue
            # The live search reports what a live source has not answered.
            numbers = (
                NO_NUMBERS
                if source.is_live
                else snapshot.index.of_sources(selection.numbers, (name,))
            )
            plainly_until = well_until(snapshot, numbers, source)
            if moment.timestamp() < plainly_until:
                until = min(until, plainly_until)
                continue
            outcome = outcome_of(snapshot, selection, numbers, source, moment)
            lack = lack_of(snapshot, selection, numbers, source)
            self._note_ageing(snapshot, numbers, source, moment)
            outcomes.extend(each for each in (outcome, lack) if each is not None)
            until = min(until, same_age_until(snapshot, numbers, source, moment))
        return Availability(
            version=snapshot.version, outcomes=tuple(outcomes), until=until
        )

    def _note_ageing(
        self, snapshot: Snapshot, numbers: Numbers, source: Source, moment: datetime
    ) -> None:
        """Note ageing times, so that the workers ask for them first."""
        if self._hints is None or not len(numbers):
            return
        freshest = moment.timestamp() - source.fresh_for.total_seconds()
        # Never answered is NaN, which compares false.
        is_fresh = snapshot.answered_at[numbers] >= freshest
        if not is_fresh.all():
            self._hints.note(source.name, snapshot.index, numbers[~is_fresh])

    def _sources_to_check(
        self, snapshot: Snapshot, selection: Selection, moment: datetime
    ) -> tuple[Sequence[SourceName], float]:
        """
        Return the sources to check, and until when the others need no check.

        One check of all times together saves a check of each source, also while a few
        sources fail.
        """
        doubtful = [
            name
            for name in self._names
            if self._sources[name].is_live or is_doubtful(snapshot, name)
        ]
        others = selection.numbers
        if doubtful:
            others = snapshot.index.of_sources(
                others, (name for name in self._names if name not in doubtful)
            )
        until = fresh_until(snapshot, others, self._freshest)
        return (
            (doubtful, until) if moment.timestamp() < until else (self._names, np.inf)
        )

    def _can_have(self, source: Source, selection: Selection) -> bool:
        """Return whether a source answers for anything that a selector can choose."""
        if selection.sources is not None and source.name not in selection.sources:
            return False
        return selection.units is None or any(
            source_of_unit(self._all_sources, unit) is source
            for unit in selection.units
        )
