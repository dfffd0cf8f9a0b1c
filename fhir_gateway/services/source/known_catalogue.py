"""
A source's catalogue, as far as the refresh has learnt it.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from fhir_gateway.model import scheduling
from fhir_gateway.model.care_unit import CareUnit, Performer
from fhir_gateway.model.ids import HsaId, TimeTypeId
from fhir_gateway.model.interaction import Interaction
from fhir_gateway.model.listed import Listed
from fhir_gateway.model.loss import Loss, losses_of
from fhir_gateway.model.source import Source
from fhir_gateway.model.timeslot import TimeType
from fhir_gateway.model.unit_ability import UnitAbility
from fhir_gateway.stores.source_catalogue import SourceCatalogue

__all__ = ["KnownCatalogue"]


class KnownCatalogue:
    """
    Units, their time types and their staff.

    Args:
        source: The source; its configured units are known from the start.
        owner_of: Returns the source that answers for a unit.
    """

    def __init__(
        self, source: Source, owner_of: Callable[[HsaId], Source | None]
    ) -> None:
        self._source = source
        self._owner_of = owner_of
        self._lock = threading.Lock()
        self._units = {unit.hsa_id: unit for unit in source.units}
        self._time_types: dict[HsaId, tuple[TimeType, ...]] = {}
        self._performers: dict[HsaId, Performer] = {}
        self._losses: dict[tuple[Interaction, HsaId], tuple[Loss, ...]] = {}
        self._abilities: Mapping[HsaId, frozenset[UnitAbility]] = {}
        self._abilities_asked_at: datetime | None = None

    def resume(self, catalogue: SourceCatalogue) -> None:
        """Take over the catalogue that an earlier run has stored."""
        with self._lock:
            if self._source.units_from is not None:
                self._add_units(catalogue.units)
            self._performers.update(catalogue.performers)
            for unit, time_types in catalogue.time_types.items():
                self._put_time_types(unit, time_types)
            for loss in catalogue.losses:
                key = loss.interaction, loss.unit
                self._losses[key] = (*self._losses.get(key, ()), loss)
            asked_at = catalogue.abilities_asked_at
            mine = self._abilities_asked_at
            if asked_at is not None and (mine is None or asked_at > mine):
                self._abilities = catalogue.abilities
                self._abilities_asked_at = asked_at

    def add_units(self, asked: HsaId, answer: Listed[CareUnit]) -> tuple[Loss, ...]:
        """Record units; one that belongs to another source, or to none, is a loss."""
        with self._lock:
            others, strangers = self._add_units(answer.items)
            return self._record_losses(
                scheduling.GET_ALL_HEALTHCARE_FACILITIES,
                asked,
                (*answer.rejected, *strangers),
                elsewhere=others,
            )

    def put_time_types(self, unit: HsaId, answer: Listed[TimeType]) -> tuple[Loss, ...]:
        """Record the time types of a unit, if it is still configured."""
        with self._lock:
            self._put_time_types(unit, answer.items)
            return self._record_losses(
                scheduling.GET_ALL_TIME_TYPES, unit, answer.rejected
            )

    def add_performers(
        self, unit: HsaId, answer: Listed[Performer]
    ) -> tuple[Loss, ...]:
        """Record a unit's staff."""
        with self._lock:
            self._performers.update((each.hsa_id, each) for each in answer.items)
            return self._record_losses(
                scheduling.GET_ALL_PERFORMERS, unit, answer.rejected
            )

    def put_abilities(
        self, abilities: Mapping[HsaId, frozenset[UnitAbility]], asked_at: datetime
    ) -> bool:
        """Record what the units can do; return whether that is news."""
        with self._lock:
            own = {unit: abilities[unit] for unit in abilities if unit in self._units}
            is_news = own != self._abilities
            self._abilities, self._abilities_asked_at = own, asked_at
            return is_news

    def has_other_abilities(self, catalogue: SourceCatalogue) -> bool:
        """Return whether more is known of the units' abilities than a catalogue has."""
        with self._lock:
            return self._abilities != catalogue.abilities

    def forget_abilities(self, before: datetime) -> bool:
        """Forget what the units could do before an instant; return whether it did."""
        with self._lock:
            asked_at = self._abilities_asked_at
            if asked_at is None or asked_at >= before:
                return False
            was_known = bool(self._abilities)
            self._abilities, self._abilities_asked_at = {}, None
            return was_known

    def time_types(self) -> list[tuple[HsaId, tuple[TimeTypeId, ...]]]:
        """Return each unit with its time types; with none where they are not known."""
        with self._lock:
            return [
                (unit, tuple(each.id for each in self._time_types.get(unit, ())))
                for unit in self._units
            ]

    def catalogue(self, answered_at: datetime) -> SourceCatalogue:
        """Return the catalogue as it is known now."""
        with self._lock:
            return SourceCatalogue(
                source=self._source.name,
                answered_at=answered_at,
                units=tuple(self._units.values()),
                time_types=dict(self._time_types),
                performers=dict(self._performers),
                losses=tuple(
                    loss
                    for (_, unit), losses in self._losses.items()
                    if unit in self._units or unit == self._source.units_from
                    for loss in losses
                ),
                abilities=self._abilities,
                abilities_asked_at=self._abilities_asked_at,
            )

    def _add_units(self, units: Iterable[CareUnit]) -> tuple[list[str], list[str]]:
        """Add the source's own units; return losses for units of others and of none."""
        others, strangers = [], []
        for unit in units:
            owner = self._owner_of(unit.hsa_id)
            if owner is not None and owner.name == self._source.name:
                self._units.setdefault(unit.hsa_id, unit)
            elif owner is not None:
                # It begins with a configured prefix: an HSA-id, not somebody's number.
                others.append(f"{unit.hsa_id} belongs to the source {owner.name}")
            else:
                strangers.append("a unit has none of the configured prefixes")
        return others, strangers

    def _put_time_types(self, unit: HsaId, time_types: Sequence[TimeType]) -> None:
        if unit in self._units:
            self._time_types[unit] = tuple(time_types)

    def _record_losses(
        self,
        interaction: Interaction,
        unit: HsaId,
        reasons: Iterable[str],
        *,
        elsewhere: Iterable[str] = (),
    ) -> tuple[Loss, ...]:
        """Record the losses of the last answer of a unit, and return them."""
        losses = (
            *losses_of(interaction, unit, reasons),
            *losses_of(interaction, unit, elsewhere, is_elsewhere=True),
        )
        self._losses[interaction, unit] = losses
        return losses
