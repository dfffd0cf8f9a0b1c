"""
Location, Organization and HealthcareService from care units.
"""

from dataclasses import replace

from fhir_gateway.fhir.care_unit import (
    healthcare_service_from_time_type,
    location_from_unit,
    organization_from_unit,
    providing_organization,
)
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model.care_unit import CareUnit, Position
from fhir_gateway.model.ids import HsaId, SourceName, TimeTypeId
from fhir_gateway.model.timeslot import TimeType, time_type_token
from fhir_gateway.model.unit_ability import UnitAbility

_OURS = Vocabulary("https://ours.example")
_PLAIN = CareUnit(
    hsa_id=HsaId("SE2321000016-A01"), name="Vårdcentralen", source=SourceName("norr")
)
_WHOLE = replace(
    _PLAIN,
    organization=HsaId("SE2321000016-0000"),
    organization_name="Region Norr",
    phone="0980-319 200",
    street="Björkgatan 2",
    postal_code="903 26",
    city="Umeå",
    position=Position(latitude=63.8258, longitude=20.263),
)
_TIME_TYPE = TimeType(id=TimeTypeId("TT1"), name="Provtagning")
_META = {"source": "https://ours.example/source/norr"}


def test_a_unit_is_a_location() -> None:
    """A location has the unit's HSA-id, how to reach it and where it is."""
    assert location_from_unit(_WHOLE, _OURS) == {
        "resourceType": "Location",
        "id": "SE2321000016-A01",
        "meta": _META,
        "identifier": [
            {"system": "urn:oid:1.2.752.29.4.19", "value": "SE2321000016-A01"}
        ],
        "status": "active",
        "name": "Vårdcentralen",
        "mode": "instance",
        "telecom": [{"system": "phone", "value": "0980-319 200"}],
        "address": {
            "line": ["Björkgatan 2"],
            "city": "Umeå",
            "postalCode": "903 26",
            "country": "SE",
        },
        "position": {"longitude": 20.263, "latitude": 63.8258},
        "managingOrganization": {"reference": "Organization/SE2321000016-0000"},
    }


def test_a_unit_of_which_little_is_known_is_a_location() -> None:
    """What is not known of a unit is left out; it is its own organisation."""
    assert location_from_unit(_PLAIN, _OURS) == {
        "resourceType": "Location",
        "id": "SE2321000016-A01",
        "meta": _META,
        "identifier": [
            {"system": "urn:oid:1.2.752.29.4.19", "value": "SE2321000016-A01"}
        ],
        "status": "active",
        "name": "Vårdcentralen",
        "mode": "instance",
        "managingOrganization": {"reference": "Organization/SE2321000016-A01"},
    }


def test_an_organization_has_its_hsa_id() -> None:
    """An organisation has an HSA-id, a name and a source."""
    organization = providing_organization(_WHOLE)

    assert organization_from_unit(organization, "Region Norr", _WHOLE, _OURS) == {
        "resourceType": "Organization",
        "id": "SE2321000016-0000",
        "meta": _META,
        "identifier": [
            {"system": "urn:oid:1.2.752.29.4.19", "value": "SE2321000016-0000"}
        ],
        "active": True,
        "name": "Region Norr",
    }


def test_a_units_time_type_is_a_healthcare_service() -> None:
    """A healthcare service says who provides it, what it is, and where."""
    assert healthcare_service_from_time_type(_WHOLE, _TIME_TYPE, _OURS) == {
        "resourceType": "HealthcareService",
        "id": time_type_token(_WHOLE.hsa_id, _TIME_TYPE.id),
        "meta": {
            **_META,
            "profile": ["https://ours.example/StructureDefinition/healthcare-service"],
        },
        "active": True,
        "providedBy": {
            "reference": "Organization/SE2321000016-0000",
            "display": "Region Norr",
        },
        "type": [
            {
                "coding": [
                    {
                        "system": (
                            "https://ours.example/CodeSystem/"
                            "time-types-SE2321000016-A01"
                        ),
                        "code": "TT1",
                        "display": "Provtagning",
                    }
                ],
                "text": "Provtagning",
            }
        ],
        "location": [
            {"reference": "Location/SE2321000016-A01", "display": "Vårdcentralen"}
        ],
        "name": "Provtagning",
        "telecom": [{"system": "phone", "value": "0980-319 200"}],
        "appointmentRequired": True,
    }


def test_a_service_says_what_its_unit_can_do() -> None:
    """All four abilities are there, or none where nothing is known."""
    unit = replace(_PLAIN, abilities=frozenset({UnitAbility.LIST, UnitAbility.BOOK}))

    service = healthcare_service_from_time_type(unit, _TIME_TYPE, _OURS)

    assert service["extension"] == [
        {
            "extension": [
                {"url": "book", "valueBoolean": True},
                {"url": "reschedule", "valueBoolean": False},
                {"url": "cancel", "valueBoolean": False},
                {"url": "list", "valueBoolean": True},
            ],
            "url": "https://ours.example/StructureDefinition/unit-abilities",
        }
    ]


def test_a_unit_without_organization_provides_its_services_itself() -> None:
    """Where no organisation is known the unit provides the service."""
    service = healthcare_service_from_time_type(_PLAIN, _TIME_TYPE, _OURS)

    assert service["providedBy"] == {
        "reference": "Organization/SE2321000016-A01",
        "display": "Vårdcentralen",
    }
    assert "telecom" not in service
