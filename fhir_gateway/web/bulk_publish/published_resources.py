"""
The resources of a publication beside slots, source by source.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from fhir_gateway.fhir.care_unit import (
    healthcare_service_from_time_type,
    location_from_unit,
    organization_from_unit,
    providing_organization,
)
from fhir_gateway.fhir.feed_line import HasAvailability, with_availability
from fhir_gateway.fhir.practitioner import (
    practitioner_from_performer,
    practitioner_role_from_performer,
)
from fhir_gateway.fhir.slot import schedule_from_schedule
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model.ids import HsaId, SourceName
from fhir_gateway.model.timekeeping import instant_from_epoch
from fhir_gateway.services.search.snapshot import Snapshot

__all__ = ["PublishedResources"]


class PublishedResources:
    """
    The resources of a snapshot; each method yields those of a source, by id.

    Args:
        snapshot: What is known.
        start: When a slot begins at the earliest, in seconds.
        vocabulary: Our canonicals.
    """

    def __init__(self, snapshot: Snapshot, start: int, vocabulary: Vocabulary) -> None:
        self._snapshot = snapshot
        self._start = start
        self._vocabulary = vocabulary

    def locations(self, source: SourceName) -> Iterator[dict[str, Any]]:
        """Yield each unit's Location."""
        units = self._snapshot.directory.units
        for hsa_id in sorted(units):
            if units[hsa_id].source == source:
                yield location_from_unit(units[hsa_id], self._vocabulary)

    def organizations(self, source: SourceName) -> Iterator[dict[str, Any]]:
        """Yield the organisations that provide the units' care."""
        providers = self._snapshot.directory.providers
        for hsa_id in sorted(providers):
            unit = providers[hsa_id]
            if unit.source == source:
                yield organization_from_unit(
                    providing_organization(unit),
                    unit.organization_name or unit.name,
                    unit,
                    self._vocabulary,
                )

    def services(self, source: SourceName) -> Iterator[dict[str, Any]]:
        """Yield the HealthcareService of each unit's time type."""
        offerings = self._snapshot.directory.offerings
        for token in sorted(offerings):
            offering = offerings[token]
            if offering.unit.source == source:
                yield healthcare_service_from_time_type(
                    offering.unit, offering.time_type, self._vocabulary
                )

    def schedules(self, source: SourceName) -> Iterator[dict[str, Any]]:
        """Yield the schedules; each says whether anything is free."""
        snapshot = self._snapshot
        directory = snapshot.directory
        live = {each.name for each in directory.sources if each.is_live}
        numbers = self._schedule_numbers(source)
        tokens = snapshot.schedules.tokens(numbers)
        for token, number in sorted(zip(tokens, numbers, strict=True)):
            offering = int(snapshot.schedules.offering[number])
            known = snapshot.index.offering(offering)
            answered_at = float(snapshot.answered_at[offering])
            schedule = snapshot.schedules[number]
            resource = schedule_from_schedule(
                schedule,
                known.time_type,
                unit_name=directory.units[schedule.unit].name,
                source=source,
                answered_at=(
                    None
                    if np.isnan(answered_at)
                    else instant_from_epoch(int(answered_at))
                ),
                vocabulary=self._vocabulary,
            )
            if resource["id"] != token:
                raise LookupError("a schedule has another token than the table says")
            availability = self._availability(number, offering)
            if source in live:
                availability = HasAvailability.UNKNOWN
            yield with_availability(resource, availability)

    def practitioners(self, source: SourceName) -> Iterator[dict[str, Any]]:
        """Yield the staff, each at the source that a read of the person names."""
        snapshot = self._snapshot
        for performer in sorted(self._performers(source)):
            first = snapshot.first_of(performer)
            if first is not None and first.source == source:
                yield practitioner_from_performer(
                    snapshot.directory.performer(performer, source),
                    performer,
                    display=first.schedule.performer_name,
                    source=source,
                    vocabulary=self._vocabulary,
                )

    def roles(self, source: SourceName) -> Iterator[dict[str, Any]]:
        """Yield each member of staff's role at each unit."""
        snapshot = self._snapshot
        units = snapshot.directory.units
        for unit in sorted(units):
            if units[unit].source != source:
                continue
            for performer, numbers in sorted(snapshot.staff_of_unit(unit).items()):
                first = snapshot.numbered(numbers[0])
                yield practitioner_role_from_performer(
                    performer,
                    unit,
                    display=first.schedule.performer_name,
                    services=sorted({snapshot.offering_of(each) for each in numbers}),
                    source=source,
                    vocabulary=self._vocabulary,
                )

    def _performers(self, source: SourceName) -> set[HsaId]:
        table = self._snapshot.schedules
        found = map(table.performer, self._schedule_numbers(source))
        return {each for each in found if each is not None}

    def _schedule_numbers(self, source: SourceName) -> list[int]:
        """Return the schedules of a source's present time types."""
        snapshot = self._snapshot
        number = snapshot.index.source_number(source)
        if number is None:
            return []
        offering = snapshot.schedules.offering[: snapshot.known_schedules]
        source_of = snapshot.index.source_of
        known = offering < len(source_of)
        mine = np.zeros(len(offering), dtype=np.bool_)
        mine[known] = source_of[offering[known]] == number
        numbers: list[int] = np.flatnonzero(mine).tolist()
        return numbers

    @cached_property
    def has_times(self) -> npt.NDArray[np.bool_]:
        """Return which schedules have a free time, by number."""
        found = np.zeros(self._snapshot.known_schedules, dtype=np.bool_)
        for columns in self._snapshot.segments.values():
            first, last = columns.bounds(self._start, None)
            found[columns.schedule[first:last]] = True
        return found

    def _availability(self, number: int, offering: int) -> HasAvailability:
        if self.has_times[number]:
            return HasAvailability.SOME
        snapshot = self._snapshot
        is_known = snapshot.offered[offering] and not snapshot.lacking[offering]
        return HasAvailability.NONE if is_known else HasAvailability.UNKNOWN
