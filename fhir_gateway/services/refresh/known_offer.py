"""
What a source's units offer, as far as the refresh has learnt it.
"""

import threading
from collections.abc import Iterable, Sequence
from datetime import datetime

from fhir_gateway.model.care_unit import CareUnit, Performer
from fhir_gateway.model.ids import HsaId, TimeTypeId
from fhir_gateway.model.source import Source
from fhir_gateway.model.timeslot import TimeType
from fhir_gateway.stores.offer import Offer

__all__ = ["KnownOffer"]


class KnownOffer:
    """
    Units, their time types and their staff.

    Args:
        source: Whose; its configured units are known from the start.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._units = {unit.hsa_id: unit for unit in source.units}
        self._time_types: dict[HsaId, tuple[TimeType, ...]] = {}
        self._performers: dict[HsaId, Performer] = {}

    def resume(self, offer: Offer) -> None:
        """Learn what an earlier run has stored."""
        if self._source.units_from is not None:
            self.add_units(offer.units)
        self.add_performers(offer.performers.values())
        for unit, time_types in offer.time_types.items():
            self.put_time_types(unit, time_types)

    def add_units(self, units: Iterable[CareUnit]) -> None:
        """Learn of units; those that are no business of the source's are left out."""
        with self._lock:
            for unit in units:
                if unit.hsa_id.startswith(self._source.prefixes):
                    self._units.setdefault(unit.hsa_id, unit)

    def put_time_types(self, unit: HsaId, time_types: Sequence[TimeType]) -> None:
        """Learn what a unit offers; one that is no longer configured does not count."""
        with self._lock:
            if unit in self._units:
                self._time_types[unit] = tuple(time_types)

    def add_performers(self, performers: Iterable[Performer]) -> None:
        """Learn of staff."""
        with self._lock:
            self._performers.update((each.hsa_id, each) for each in performers)

    def time_types(self) -> list[tuple[HsaId, tuple[TimeTypeId, ...]]]:
        """Return every unit with what it offers, none where that is not known."""
        with self._lock:
            return [
                (unit, tuple(each.id for each in self._time_types.get(unit, ())))
                for unit in self._units
            ]

    def offer(self, answered_at: datetime) -> Offer:
        """Return all that is known."""
        with self._lock:
            return Offer(
                source=self._source.name,
                answered_at=answered_at,
                units=tuple(self._units.values()),
                time_types=dict(self._time_types),
                performers=dict(self._performers),
            )
