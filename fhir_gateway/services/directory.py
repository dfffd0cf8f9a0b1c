"""
The directory: who offers what, over all sources, at one moment.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from fhir_gateway.model.care_unit import CareUnit, Performer
from fhir_gateway.model.ids import HsaId, SourceName, TimeTypeId
from fhir_gateway.model.source import Source
from fhir_gateway.model.timeslot import StandardTimeType, TimeType, time_type_token
from fhir_gateway.stores.offer import Offer

__all__ = ["Directory", "Offering", "TimeTypeMap"]

TimeTypeMap = Mapping[tuple[HsaId, TimeTypeId], tuple[StandardTimeType, ...]]
"""The shared meaning of units' own time types."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offering:
    """A unit's time type: what one can book, and where."""

    unit: CareUnit
    time_type: TimeType
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """
    Who offers what.

    Attributes:
        units: All units, by HSA-id.
        offerings: All units' time types, by token.
        providers: A unit of each organisation, by the organisation's HSA-id; a unit
            without one is its own.
        performers: The staff that residents may choose, by HSA-id.
        asked_units: The units whose time types are known.
        silent: The sources that have never said what they offer.
        complete: The sources that have said so for all their units.
    """

    units: Mapping[HsaId, CareUnit] = field(default_factory=dict)
    offerings: Mapping[str, Offering] = field(default_factory=dict)
    providers: Mapping[HsaId, CareUnit] = field(default_factory=dict)
    performers: Mapping[HsaId, Performer] = field(default_factory=dict)
    asked_units: frozenset[HsaId] = frozenset()
    silent: frozenset[SourceName] = frozenset()
    complete: frozenset[SourceName] = frozenset()

    @classmethod
    def of(
        cls,
        sources: Iterable[Source],
        offers: Mapping[SourceName, Offer],
        meanings: TimeTypeMap,
    ) -> "Directory":
        """Return the directory of the sources' offers; configured units come first."""
        units: dict[HsaId, CareUnit] = {}
        offerings: dict[str, Offering] = {}
        performers: dict[HsaId, Performer] = {}
        asked: set[HsaId] = set()
        silent: set[SourceName] = set()
        # Thousands of units have the same time types: each is kept once.
        kept: dict[TimeType, TimeType] = {}
        for source in sources:
            units.update((unit.hsa_id, unit) for unit in source.units)
            offer = offers.get(source.name)
            if offer is None:
                silent.add(source.name)
                continue
            for unit in offer.units:
                units.setdefault(unit.hsa_id, unit)
            performers.update(offer.performers)
            for hsa_id, time_types in offer.time_types.items():
                asked.add(hsa_id)
                for time_type in time_types:
                    token = time_type_token(hsa_id, time_type.id)
                    meaning = meanings.get((hsa_id, time_type.id), ())
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
            performers=performers,
            asked_units=frozenset(asked),
            silent=frozenset(silent),
            complete=frozenset(offers) - unasked - silent,
        )
