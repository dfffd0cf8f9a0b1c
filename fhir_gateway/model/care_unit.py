"""
Care units, and the people who work there.
"""

from dataclasses import dataclass

from fhir_gateway.model.ids import HsaId, SourceName
from fhir_gateway.model.unit_ability import UnitAbility

__all__ = ["CareUnit", "Nearness", "Performer", "Position"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A point on the map, WGS 84 degrees."""

    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearness:
    """Everywhere within a distance of a point, as the crow flies."""

    position: Position
    km: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CareUnit:
    """
    A unit (`mottagning`, `vårdenhet`) and the source that answers for it.

    The contracts know an id and a name; the rest comes from configuration.

    Attributes:
        abilities: What it can do by its service catalogue; None where that is not
            known.
    """

    hsa_id: HsaId
    name: str
    source: SourceName
    organization: HsaId | None = None
    organization_name: str | None = None
    phone: str | None = None
    street: str | None = None
    postal_code: str | None = None
    city: str | None = None
    position: Position | None = None
    abilities: frozenset[UnitAbility] | None = None

    def lacks(self, ability: UnitAbility) -> bool:
        """Return whether it is known that the unit lacks an ability."""
        return self.abilities is not None and ability not in self.abilities


@dataclass(frozen=True, slots=True, kw_only=True)
class Performer:
    """A member of staff whom a resident may choose."""

    hsa_id: HsaId
    first_name: str
    last_name: str
    title: str | None = None
