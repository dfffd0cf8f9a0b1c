"""
Relations between a resident and units (`mottagningsrelation`).
"""

from dataclasses import dataclass
from enum import Enum

from fhir_gateway.model.care_unit import CareUnit

__all__ = ["CareRelation", "RelationKind"]


class RelationKind(Enum):
    """
    Why a unit may have bookings of a resident.

    BOOKED: this server knows a booking there. LISTED: the resident is listed there.
    INDEXED: the engagement index names the unit. ADDED: the resident has added it.
    """

    BOOKED = "booked"
    LISTED = "listed"
    INDEXED = "indexed"
    ADDED = "added"


@dataclass(frozen=True, slots=True, kw_only=True)
class CareRelation:
    """A unit that a resident's list asks, and why, in the order of the kinds."""

    unit: CareUnit
    kinds: tuple[RelationKind, ...]
