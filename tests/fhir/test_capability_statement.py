"""
The CapabilityStatement is what is registered.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from fhir_gateway.fhir.capability_statement import (
    ResourceCapability,
    capability_statement,
)
from fhir_gateway.fhir.search_date import (
    DateParameter,
)
from fhir_gateway.fhir.search_parameters import (
    Count,
    IncludeParameter,
    TokenParameter,
)
from fhir_gateway.fhir.search_schema import SearchSchema
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.web.appointment_query import AppointmentSearchSchema
from fhir_gateway.web.directory.routes import directory_schemas
from fhir_gateway.web.slot_query import SlotSearchSchema


@dataclass(frozen=True, slots=True, kw_only=True)
class _Query:
    """What a search asks."""

    start: object = None
    service_type: object = None
    own: object = None
    count: object = None
    include: object = None
    again: object = None


class _Schema(SearchSchema[_Query]):
    """A parameter of each kind with a declaration of its own."""

    query = _Query

    start = DateParameter(documentation="When.", definition="http://d/start")
    service_type = TokenParameter(data_key="service-type")
    own = TokenParameter(own="x-own")
    count = Count(most=10, data_key="_count")
    include = IncludeParameter(data_key="_include")
    again = IncludeParameter(data_key="_include:iterate")


def resources(*given: ResourceCapability) -> list[dict[str, object]]:
    """Return what the statement says of resources."""
    statement = capability_statement(
        given,
        base_url="http://h/fhir",
        software_version="1.2.3",
        started_at=datetime(2026, 6, 1, 6, 5, tzinfo=UTC),
        vocabulary=Vocabulary("https://ours.example"),
    )
    found: list[dict[str, object]] = statement["rest"][0].pop("resource")
    documentation = statement["rest"][0].pop("documentation")
    assert "is never in a URL" in documentation
    assert statement == {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2026-06-01T08:05:00+02:00",
        "kind": "instance",
        "software": {"name": "fhir-gateway", "version": "1.2.3"},
        "implementation": {
            "description": "Booking over Swedish regions' RIV-TA contracts",
            "url": "http://h/fhir",
        },
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json", "application/fhir+xml", "xml"],
        "patchFormat": [
            *("application/json-patch+json", "application/fhir+json"),
            "application/fhir+xml",
        ],
        "implementationGuide": [
            "https://ours.example/ImplementationGuide/fhir-gateway"
        ],
        "rest": [{"mode": "server", "interaction": [{"code": "batch"}]}],
    }
    return found


def test_a_searched_and_written_resource_is_declared_whole() -> None:
    """Profile, interactions, versions, includes and parameters are declared."""
    capability = ResourceCapability(
        type="Appointment",
        interactions=["read", "vread", "create"],
        profile="appointment",
        search=_Schema(),
        documentation="Books.",
    )

    assert resources(capability) == [
        {
            "type": "Appointment",
            "profile": "https://ours.example/StructureDefinition/appointment",
            "supportedProfile": [
                "https://ours.example/StructureDefinition/appointment"
            ],
            "documentation": "Books.",
            "interaction": [{"code": "read"}, {"code": "vread"}, {"code": "create"}],
            "versioning": "versioned",
            "conditionalRead": "not-supported",
            "updateCreate": False,
            "conditionalCreate": True,
            "searchInclude": [
                "Slot:schedule",
                "Schedule:actor",
                "HealthcareService:location",
                "HealthcareService:organization",
                "HealthcareService:providedBy",
                "Location:organization",
                "PractitionerRole:practitioner",
            ],
            "searchParam": [
                {
                    "name": "start",
                    "definition": "http://d/start",
                    "type": "date",
                    "documentation": "When.",
                },
                {"name": "service-type", "type": "token"},
                {
                    "name": "own",
                    "definition": "https://ours.example/SearchParameter/x-own",
                    "type": "token",
                },
            ],
        }
    ]


def test_a_resource_that_is_only_read_is_declared_briefly() -> None:
    """A resource without search, profile and versions says so."""
    capability = ResourceCapability(
        type="Location", interactions=["read"], conditional_read="not-match"
    )

    assert resources(capability) == [
        {
            "type": "Location",
            "interaction": [{"code": "read"}],
            "versioning": "no-version",
            "conditionalRead": "not-match",
        }
    ]


@pytest.mark.parametrize(
    "schema",
    [AppointmentSearchSchema(), *directory_schemas().values(), SlotSearchSchema()],
    ids=lambda schema: getattr(schema, "type", type(schema).__name__),
)
def test_every_search_parameter_is_declared(schema: SearchSchema[Any]) -> None:
    """Each parameter is in the statement, save modifiers and result controls."""
    (described,) = resources(
        ResourceCapability(type="X", interactions=["search-type"], search=schema)
    )

    result = {"_count", "_cursor", "_sort", "_total", "_include", "_revinclude"}
    names = {each["name"] for each in described["searchParam"]}  # type: ignore[attr-defined] # JSON
    declared = set(schema.by_name)
    assert names == {
        name
        for name in declared - result
        if not name.endswith(
            (
                *(":not", ":missing", ":in", ":not-in", ":below", ":contains"),
                ":iterate",
            )
        )
    }
    assert ("searchInclude" in described) == ("_include" in declared)
