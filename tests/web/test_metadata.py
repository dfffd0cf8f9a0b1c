"""
Capabilities: what the server says that it can do is what it can do.

https://hl7.org/fhir/R4/http.html#capabilities
"""

import json
from pathlib import Path
from typing import Any

import pytest
from assertions import FHIR_JSON
from flask import Flask
from flask.testing import FlaskClient

from fhir_gateway.fhir.subset import Subset, Summary, subset_of_answer

from .running import BASE_URL

_METHODS = {
    "vread": ("GET", "/{}/1/_history/1"),
    "read": ("GET", "/{}/x"),
    "search-type": ("POST", "/{}/_search"),
    "create": ("POST", "/{}"),
    "update": ("PUT", "/{}/x"),
    "patch": ("PATCH", "/{}/x"),
}
_TYPES = [
    *("Slot", "HealthcareService", "Schedule", "Location", "Organization"),
    *("Practitioner", "PractitionerRole", "Appointment", "AuditEvent"),
    *("Measure", "MeasureReport"),
    *("StructureDefinition", "SearchParameter", "OperationDefinition"),
    *("ImplementationGuide", "CodeSystem", "ValueSet", "ConceptMap", "Endpoint"),
]


@pytest.fixture(name="statement")
def _statement(client: FlaskClient) -> dict[str, Any]:
    response = client.get("/fhir/metadata")
    assert (response.status_code, response.headers["Content-Type"]) == (200, FHIR_JSON)
    statement: dict[str, Any] | None = response.json
    assert statement is not None
    return statement


def resources(statement: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what a statement says of each type."""
    return {each["type"]: each for each in statement["rest"][0]["resource"]}


def test_the_statement_says_what_it_is_of(statement: dict[str, Any]) -> None:
    """A client learns the base, the version of FHIR and the formats."""
    assert statement["implementation"]["url"] == BASE_URL
    assert statement["fhirVersion"] == "4.0.1"
    assert statement["format"] == [
        *("application/fhir+json", "json", "application/fhir+xml", "xml")
    ]
    assert statement["patchFormat"] == [
        "application/json-patch+json",
        "application/fhir+json",
        "application/fhir+xml",
    ]


def is_part(example: Any, whole: Any) -> bool:
    """Return whether an example has nothing that the whole lacks."""
    if isinstance(example, dict):
        return all(
            name in whole and is_part(value, whole[name])
            for name, value in example.items()
        )
    if isinstance(example, list):
        return all(any(is_part(each, item) for item in whole) for each in example)
    return bool(example == whole)


def test_the_example_of_the_page_is_true(statement: dict[str, Any]) -> None:
    """What the documentation shows of the statement stands in it."""
    page = Path(__file__).parents[2] / "docs/interactions/metadata.md"
    text = page.read_text(encoding="utf-8").partition("## Example")[2]
    example = json.loads(text.partition("```json\n")[2].partition("```")[0])
    # Of an installation.
    del example["date"], example["implementation"]["url"]

    assert example["rest"][0]["resource"]
    assert is_part(example, statement)


def test_every_type_is_declared(statement: dict[str, Any]) -> None:
    """Each type of resource that is served is in the statement."""
    assert list(resources(statement)) == _TYPES


@pytest.mark.parametrize("kind", _TYPES)
def test_exactly_the_declared_interactions_are_routed(
    app: Flask, statement: dict[str, Any], kind: str
) -> None:
    """The declared interactions are exactly those that have a route."""
    declared = {each["code"] for each in resources(statement)[kind]["interaction"]}

    adapter = app.url_map.bind("gateway.test")
    routed = {
        code
        for code, (method, pattern) in _METHODS.items()
        if adapter.test("/fhir" + pattern.format(kind), method)
    }
    assert declared == routed


def test_every_declared_parameter_is_understood(
    client: FlaskClient, statement: dict[str, Any]
) -> None:
    """No search parameter in the statement is refused as unknown."""
    values = {
        "token": "free",
        "date": "2026-12-01",
        "reference": "x",
        "uri": "https://x.example",
        "special": "x",
        "string": "x",
        "composite": "x$x",
    }
    for kind, declared in resources(statement).items():
        for parameter in declared.get("searchParam", ()):
            response = client.post(
                f"/fhir/{kind}/_search",
                data={parameter["name"]: values[parameter["type"]]},
            )
            assert "is not a parameter" not in response.text, parameter["name"]


def test_every_declared_include_is_followed(
    client: FlaskClient, statement: dict[str, Any]
) -> None:
    """No include in the statement is refused."""
    for kind, declared in resources(statement).items():
        for include in declared.get("searchInclude", ()):
            search = (
                "_id=11111111-1111-4111-8111-111111111111"
                if kind == "Appointment"
                else "_count=3"
            )
            response = client.get(f"/fhir/{kind}?{search}&_include={include}")
            assert response.status_code == 200, include


def test_what_has_vread_has_versions(statement: dict[str, Any]) -> None:
    """A type is versioned exactly where the server answers vread with a versionId."""
    declared = resources(statement)
    versioned = {
        kind for kind, said in declared.items() if said["versioning"] == "versioned"
    }

    assert versioned == {
        kind
        for kind, said in declared.items()
        if {"code": "vread"} in said["interaction"]
    }
    assert declared.keys() - versioned == {"AuditEvent", "MeasureReport"}


@pytest.mark.parametrize("mode", ["full", "normative", "terminology"])
def test_a_part_of_the_capabilities_is_answered(client: FlaskClient, mode: str) -> None:
    """_summary and _elements count as in a read."""
    whole = client.get(f"/fhir/metadata?mode={mode}").json
    assert whole is not None
    elements = client.get(f"/fhir/metadata?mode={mode}&_elements=kind,software").json
    summary = client.get(f"/fhir/metadata?mode={mode}&_summary=true").json

    assert elements == subset_of_answer(
        whole,
        Subset(elements={whole["resourceType"]: frozenset({"kind", "software"})}),
    )
    assert summary == subset_of_answer(whole, Subset(summary=Summary.TRUE))
    assert "rest" not in elements


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("mode=full&_format=json&_pretty=true&_summary=false", 200),
        ("mode=", 200),
        ("mode=full&mode=full", 200),
        ("mode=full&mode=terminology", 400),
        ("mode=x", 400),
        ("_summary=count", 400),
        ("_elements=colour", 400),
        ("_elements=software&mode=terminology", 200),
        ("_count=1", 400),
        ("status=active", 400),
    ],
)
def test_the_capabilities_take_the_parameters_of_a_read(
    client: FlaskClient, query: str, status: int
) -> None:
    """An unknown parameter is refused, as in a read; `mode` is known."""
    assert client.get(f"/fhir/metadata?{query}").status_code == status


def test_a_lenient_client_may_send_more(client: FlaskClient) -> None:
    """An unknown parameter is left out for a lenient client."""
    response = client.get("/fhir/metadata?x=1", headers={"Prefer": "handling=lenient"})

    assert response.status_code == 200


def test_profiles_are_declared(statement: dict[str, Any]) -> None:
    """A type with a profile of ours names it."""
    profiles = {
        kind: declared["supportedProfile"]
        for kind, declared in resources(statement).items()
        if "supportedProfile" in declared
    }

    base = "https://fhir-gateway.example.org/StructureDefinition"
    assert profiles == {
        "Slot": [f"{base}/slot"],
        "HealthcareService": [f"{base}/healthcare-service"],
        "Schedule": [f"{base}/schedule"],
        "Appointment": [f"{base}/appointment"],
    }


def test_health_says_that_the_process_lives(client: FlaskClient) -> None:
    """A load balancer learns that the process lives."""
    response = client.get("/health")

    assert (response.status_code, response.json) == (200, {"status": "ok"})
