"""
Location, Organization and HealthcareService (FHIR R4, 8.7, 8.6, 8.8) from care units.
"""

from typing import Any

from fhir_gateway.fhir.service_type import service_type_from_time_type
from fhir_gateway.fhir.slot import meta_of_source
from fhir_gateway.fhir.vocabulary import HSA_ID, Vocabulary
from fhir_gateway.model.care_unit import CareUnit
from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.timeslot import TimeType, time_type_token
from fhir_gateway.model.unit_ability import UnitAbility

__all__ = [
    "healthcare_service_from_time_type",
    "location_from_unit",
    "organization_from_unit",
    "providing_organization",
]


def location_from_unit(unit: CareUnit, vocabulary: Vocabulary) -> dict[str, Any]:
    """Return a Location; its id is the unit's HSA-id."""
    location: dict[str, Any] = {
        "resourceType": "Location",
        "id": str(unit.hsa_id),
        "meta": {"source": vocabulary.source(unit.source)},
        "identifier": [{"system": HSA_ID, "value": str(unit.hsa_id)}],
        "status": "active",
        "name": unit.name,
        "mode": "instance",
    }
    if unit.phone:
        location["telecom"] = [{"system": "phone", "value": unit.phone}]
    address = {
        name: value
        for name, value in (
            ("line", [unit.street] if unit.street else None),
            ("city", unit.city),
            ("postalCode", unit.postal_code),
        )
        if value
    }
    if address:
        location["address"] = {**address, "country": "SE"}
    if unit.position:
        location["position"] = {
            "longitude": unit.position.longitude,
            "latitude": unit.position.latitude,
        }
    location["managingOrganization"] = {
        "reference": f"Organization/{providing_organization(unit)}"
    }
    return location


def providing_organization(unit: CareUnit) -> HsaId:
    """Return the HSA-id of the Organization: the unit itself when no other is known."""
    return unit.organization or unit.hsa_id


def organization_from_unit(
    hsa_id: HsaId, name: str, unit: CareUnit, vocabulary: Vocabulary
) -> dict[str, Any]:
    """Return the Organization that provides a unit's care."""
    return {
        "resourceType": "Organization",
        "id": str(hsa_id),
        "meta": {"source": vocabulary.source(unit.source)},
        "identifier": [{"system": HSA_ID, "value": str(hsa_id)}],
        "active": True,
        "name": name,
    }


def healthcare_service_from_time_type(
    unit: CareUnit, time_type: TimeType, vocabulary: Vocabulary
) -> dict[str, Any]:
    """Return a HealthcareService: one unit's time type."""
    service: dict[str, Any] = {
        "resourceType": "HealthcareService",
        "id": time_type_token(unit.hsa_id, time_type.id),
        "meta": meta_of_source(unit.source, vocabulary, "healthcare-service"),
        **_abilities(unit, vocabulary),
        "active": True,
        "providedBy": {
            "reference": f"Organization/{providing_organization(unit)}",
            "display": unit.organization_name or unit.name,
        },
        "type": [service_type_from_time_type(time_type, unit.hsa_id, vocabulary)],
        "location": [{"reference": f"Location/{unit.hsa_id}", "display": unit.name}],
        "name": time_type.name,
    }
    if unit.phone:
        service["telecom"] = [{"system": "phone", "value": unit.phone}]
    service["appointmentRequired"] = True
    return service


def _abilities(unit: CareUnit, vocabulary: Vocabulary) -> dict[str, Any]:
    if unit.abilities is None:
        return {}
    return {
        "extension": [
            {
                "extension": [
                    {"url": ability.value, "valueBoolean": ability in unit.abilities}
                    for ability in UnitAbility
                ],
                "url": vocabulary.profile("unit-abilities"),
            }
        ]
    }
