"""
The directory: what the units of all sources offer, at one moment.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from fhir_gateway.adapters.sources import source_of_unit
from fhir_gateway.model import scheduling
from fhir_gateway.model.care_unit import CareUnit, Performer
from fhir_gateway.model.ids import HsaId, SourceName, TimeTypeId
from fhir_gateway.model.interaction import Interaction
from fhir_gateway.model.source import Source
from fhir_gateway.model.timeslot import StandardTimeType, TimeType, time_type_token
from fhir_gateway.stores.source_catalogue import SourceCatalogue

__all__ = ["Directory", "Offering", "TimeTypeMap"]

TimeTypeMap = Mapping[tuple[HsaId, TimeTypeId], tuple[StandardTimeType, ...]]
"""The shared meaning of units' own time types."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offering:
    """A unit's time type: what a client can book, and where."""

    unit: CareUnit
    time_type: TimeType
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """
    What the units of all sources offer.

    Attributes:
        units: All units, by HSA-id.
        offerings: All units' time types, by token.
        providers: A unit of each organisation, by the organisation's HSA-id; a unit
            without one is its own.
        performers: The staff that residents may choose, by HSA-id, as each source says.
        asked_units: The units that have listed their time types.
        silent: The sources that have never given their catalogue.
        complete: The sources that have given it for all their units.
        lacking_units: The sources that list a unit which could not be kept.
        lacking_time_types: The units that list a time type which could not be kept.
        lacking_performers: The units that list a member of staff who could not be kept.
        sources: The configured sources.
    """

    units: Mapping[HsaId, CareUnit] = field(default_factory=dict)
    offerings: Mapping[str, Offering] = field(default_factory=dict)
    providers: Mapping[HsaId, CareUnit] = field(default_factory=dict)
    performers: Mapping[SourceName, Mapping[HsaId, Performer]] = field(
        default_factory=dict
    )
    asked_units: frozenset[HsaId] = frozenset()
    silent: frozenset[SourceName] = frozenset()
    complete: frozenset[SourceName] = frozenset()
    lacking_units: frozenset[SourceName] = frozenset()
    lacking_time_types: frozenset[HsaId] = frozenset()
    lacking_performers: frozenset[HsaId] = frozenset()
    sources: tuple[Source, ...] = ()

    @property
    def has_every_unit(self) -> bool:
        """Return whether no source can have a unit that is not here."""
        return not self.lacking_units and not any(
            each.units_from is not None and each.name in self.silent
            for each in self.sources
        )

    @property
    def lacking_sources(self) -> frozenset[SourceName]:
        """Return the sources that list a unit or time type which could not be kept."""
        return self.lacking_units | {
            self.units[unit].source for unit in self.lacking_time_types
        }

    def owner_of(self, hsa_id: HsaId) -> SourceName | None:
        """Return the source that answers for a unit or a member of staff, if any."""
        owner = source_of_unit(self.sources, hsa_id)
        return None if owner is None else owner.name

    def performer(self, hsa_id: HsaId, source: SourceName) -> Performer | None:
        """
        Return a member of staff, as named by the source to which the HSA-id belongs.

        If that source does not name the person, the names are those of `source`.
        """
        owner = self.owner_of(hsa_id) or source
        of_owner = self.performers.get(owner, {}).get(hsa_id)
        return of_owner or self.performers.get(source, {}).get(hsa_id)

    @classmethod
    def of(
        cls,
        sources: Iterable[Source],
        catalogues: Mapping[SourceName, SourceCatalogue],
        meanings: TimeTypeMap,
    ) -> "Directory":
        """
        Return the directory of the sources' catalogues; configured units come first.

        A catalogue does not count for another source's unit.
        """
        sources = tuple(sources)
        units: dict[HsaId, CareUnit] = {}
        offerings: dict[str, Offering] = {}
        asked: set[HsaId] = set()
        silent: set[SourceName] = set()
        # Thousands of units share the same time types: each is stored once.
        kept: dict[TimeType, TimeType] = {}
        for source in sources:
            units.update((unit.hsa_id, unit) for unit in source.units)
            catalogue = catalogues.get(source.name)
            if catalogue is None:
                silent.add(source.name)
                continue
            for unit in catalogue.units:
                if source_of_unit(sources, unit.hsa_id) is source:
                    units.setdefault(unit.hsa_id, unit)
            for hsa_id, abilities in catalogue.abilities.items():
                if hsa_id in units and units[hsa_id].source == source.name:
                    units[hsa_id] = replace(units[hsa_id], abilities=abilities)
            for hsa_id, time_types in catalogue.time_types.items():
                if hsa_id not in units or units[hsa_id].source != source.name:
                    continue
                asked.add(hsa_id)
                for time_type in time_types:
                    token = time_type_token(hsa_id, time_type.id)
                    meaning = meanings.get((hsa_id, time_type.id.code), ())
                    known = replace(time_type, standard=meaning)
                    offerings[token] = Offering(
                        unit=units[hsa_id],
                        time_type=kept.setdefault(known, known),
                        token=token,
                    )
        unasked = {unit.source for unit in units.values() if unit.hsa_id not in asked}
        return cls(
            units=units,
            offerings=offerings,
            providers={
                unit.organization or unit.hsa_id: unit
                for unit in reversed(units.values())
            },
            performers={
                name: catalogue.performers for name, catalogue in catalogues.items()
            },
            asked_units=frozenset(asked),
            silent=frozenset(silent),
            complete=frozenset(catalogues) - unasked - silent,
            lacking_units=frozenset(
                name
                for name, catalogue in catalogues.items()
                if _units_with_losses(
                    catalogue, scheduling.GET_ALL_HEALTHCARE_FACILITIES
                )
            ),
            lacking_time_types=_own_units_with_losses(
                units, catalogues.values(), scheduling.GET_ALL_TIME_TYPES
            ),
            lacking_performers=_own_units_with_losses(
                units, catalogues.values(), scheduling.GET_ALL_PERFORMERS
            ),
            sources=sources,
        )


def _own_units_with_losses(
    units: Mapping[HsaId, CareUnit],
    catalogues: Iterable[SourceCatalogue],
    interaction: Interaction,
) -> frozenset[HsaId]:
    """Return the sources' own units that were asked where an answer lost something."""
    return frozenset(
        unit
        for catalogue in catalogues
        for unit in _units_with_losses(catalogue, interaction)
        if unit in units and units[unit].source == catalogue.source
    )


def _units_with_losses(
    catalogue: SourceCatalogue, interaction: Interaction
) -> set[HsaId]:
    """Return the units with an answer that lists an item which is stored nowhere."""
    return {
        loss.unit
        for loss in catalogue.losses
        if loss.interaction == interaction and not loss.is_elsewhere
    }
