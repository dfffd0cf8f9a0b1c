"""
A source's catalogue: what its units offer, by its last answers.

The units, their time types and their staff; kept in Redis as JSON beside the blocks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import orjson

from fhir_gateway.model.care_unit import CareUnit, Performer, Position
from fhir_gateway.model.ids import HsaId, SourceName, TimeTypeId
from fhir_gateway.model.loss import Loss, loss_from_json, loss_to_json
from fhir_gateway.model.timeslot import TimeType
from fhir_gateway.model.unit_ability import UnitAbility

__all__ = [
    "SourceCatalogue",
    "UnreadableCatalogue",
    "pack_catalogue",
    "unpack_catalogue",
]


class UnreadableCatalogue(ValueError):
    """The bytes are no catalogue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceCatalogue:
    """
    What a source offers.

    Attributes:
        time_types: By unit; a unit that has not answered yet is absent.
        performers: By HSA-id.
        losses: What was left out of the answers behind this.
        abilities: What the units can do, by the service catalogue; a unit of which that
            is not known is absent.
        abilities_asked_at: When the service catalogue answered; None for never.
    """

    source: SourceName
    answered_at: datetime
    units: tuple[CareUnit, ...]
    time_types: Mapping[HsaId, tuple[TimeType, ...]]
    performers: Mapping[HsaId, Performer]
    losses: tuple[Loss, ...] = ()
    abilities: Mapping[HsaId, frozenset[UnitAbility]] = field(default_factory=dict)
    abilities_asked_at: datetime | None = None

    def says_the_same(self, other: "SourceCatalogue") -> bool:
        """Return whether it equals another, apart from the times of the answers."""
        return (
            replace(
                self,
                answered_at=other.answered_at,
                abilities_asked_at=other.abilities_asked_at,
            )
            == other
        )


def pack_catalogue(catalogue: SourceCatalogue) -> bytes:
    """Return a catalogue as bytes."""
    return orjson.dumps(
        {
            "source": str(catalogue.source),
            "answered_at": catalogue.answered_at.timestamp(),
            "units": [_unit_to_json(unit) for unit in catalogue.units],
            "time_types": {
                str(unit): [[str(each.id), each.name] for each in time_types]
                for unit, time_types in catalogue.time_types.items()
            },
            "performers": [
                [str(each.hsa_id), each.first_name, each.last_name, each.title]
                for each in catalogue.performers.values()
            ],
            "losses": [loss_to_json(each) for each in catalogue.losses],
            "abilities": {
                str(unit): sorted(each.value for each in abilities)
                for unit, abilities in catalogue.abilities.items()
            },
            "abilities_asked_at": (
                None
                if catalogue.abilities_asked_at is None
                else catalogue.abilities_asked_at.timestamp()
            ),
        }
    )


def unpack_catalogue(packed: bytes) -> SourceCatalogue:
    """
    Return the catalogue that bytes hold.

    Raises:
        UnreadableCatalogue: They hold none.
    """
    try:
        data: dict[str, Any] = orjson.loads(packed)
        source = SourceName(data["source"])
        # Many units have the same time types: each is kept once.
        kept: dict[tuple[str, str], TimeType] = {}
        return SourceCatalogue(
            source=source,
            answered_at=datetime.fromtimestamp(data["answered_at"], UTC),
            units=tuple(_unit_from_json(unit, source) for unit in data["units"]),
            time_types={
                HsaId(unit): tuple(
                    kept.setdefault(
                        (code, name), TimeType(id=TimeTypeId(code), name=name)
                    )
                    for code, name in time_types
                )
                for unit, time_types in data["time_types"].items()
            },
            performers={
                HsaId(hsa_id): Performer(
                    hsa_id=HsaId(hsa_id),
                    first_name=first_name,
                    last_name=last_name,
                    title=title,
                )
                for hsa_id, first_name, last_name, title in data["performers"]
            },
            # An earlier release wrote none.
            losses=tuple(loss_from_json(each) for each in data.get("losses", ())),
            abilities={
                HsaId(unit): frozenset(map(UnitAbility, abilities))
                for unit, abilities in data.get("abilities", {}).items()
            },
            abilities_asked_at=_instant(data.get("abilities_asked_at")),
        )
    except (
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        OverflowError,
    ) as error:
        raise UnreadableCatalogue("no catalogue of this version") from error


def _instant(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _unit_to_json(unit: CareUnit) -> dict[str, object]:
    fields: dict[str, object] = {
        name: getattr(unit, name)
        for name in CareUnit.__slots__
        if name not in ("source", "position", "abilities")
        and getattr(unit, name) is not None
    }
    if unit.position:
        fields["position"] = [unit.position.latitude, unit.position.longitude]
    return {
        name: str(value) if isinstance(value, str) else value
        for name, value in fields.items()
    }


def _unit_from_json(fields: dict[str, Any], source: SourceName) -> CareUnit:
    position = fields.pop("position", None)
    organization = fields.pop("organization", None)
    return CareUnit(
        source=source,
        hsa_id=HsaId(fields.pop("hsa_id")),
        organization=HsaId(organization) if organization else None,
        position=(
            Position(latitude=position[0], longitude=position[1]) if position else None
        ),
        **fields,
    )
