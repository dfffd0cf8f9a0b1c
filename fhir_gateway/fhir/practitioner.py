"""
Practitioner and PractitionerRole (FHIR R4, 8.4 and 8.5) from performers.
"""

from typing import Any

from fhir_gateway.fhir.vocabulary import HSA_ID, Vocabulary
from fhir_gateway.model.care_unit import Performer
from fhir_gateway.model.ids import HsaId, SourceName
from fhir_gateway.model.timeslot import short_hash

__all__ = [
    "practitioner_from_performer",
    "practitioner_role_from_performer",
    "practitioner_role_id",
    "unit_of_practitioner_role",
]


def practitioner_role_id(unit: HsaId, performer: HsaId) -> str:
    """Return the id of a performer's role at a unit: at most 40 characters."""
    return f"{unit}.{short_hash(performer)}"


def unit_of_practitioner_role(identifier: str) -> HsaId | None:
    """Return the unit at the beginning of a role's id; None where there is none."""
    try:
        return HsaId(identifier.rpartition(".")[0])
    except ValueError:
        return None


def practitioner_from_performer(
    performer: Performer | None,
    hsa_id: HsaId,
    *,
    display: str | None,
    source: SourceName,
    vocabulary: Vocabulary,
) -> dict[str, Any]:
    """
    Return a Practitioner.

    Args:
        performer: The person's entry in the source's list of staff; None without one.
        hsa_id: The person's HSA-id.
        display: The name on the person's times, for one who is on no list.
        source: The source of these data.
        vocabulary: Our canonicals.
    """
    practitioner: dict[str, Any] = {
        "resourceType": "Practitioner",
        "id": str(hsa_id),
        "meta": {"source": vocabulary.source(source)},
        "identifier": [{"system": HSA_ID, "value": str(hsa_id)}],
        "active": True,
    }
    name = _name(performer) if performer is not None else {}
    if not name and display:
        name = {"text": display}
    if name:
        practitioner["name"] = [name]
    return practitioner


def _name(performer: Performer) -> dict[str, Any]:
    """Return a HumanName; the contract's names may be empty."""
    parts: dict[str, Any] = {
        "family": performer.last_name,
        "given": [performer.first_name] if performer.first_name else None,
        "prefix": [performer.title] if performer.title else None,
    }
    return {part: value for part, value in parts.items() if value}


def practitioner_role_from_performer(
    performer: HsaId,
    unit: HsaId,
    *,
    display: str | None,
    services: list[str],
    source: SourceName,
    vocabulary: Vocabulary,
) -> dict[str, Any]:
    """Return a PractitionerRole: a member of staff's role at a unit."""
    named = {"display": display} if display else {}
    return {
        "resourceType": "PractitionerRole",
        "id": practitioner_role_id(unit, performer),
        "meta": {"source": vocabulary.source(source)},
        "active": True,
        "practitioner": {"reference": f"Practitioner/{performer}", **named},
        "location": [{"reference": f"Location/{unit}"}],
        "healthcareService": [
            {"reference": f"HealthcareService/{token}"} for token in services
        ],
    }
