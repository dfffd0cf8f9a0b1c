"""
GET /openapi.json: the OpenAPI document, and whether the server does what it says.
"""

from typing import Any

import pytest
from flask.testing import FlaskClient
from openapi_spec_validator import OpenAPIV31SpecValidator

from web.guarded import Guarded

from .running import BASE_URL


@pytest.fixture(name="document")
def _document(client: FlaskClient) -> dict[str, Any]:
    document: dict[str, Any] = client.get("/openapi.json").get_json()
    return document


def test_the_document_is_openapi(document: dict[str, Any]) -> None:
    """A validator that this project did not write finds no fault."""
    assert [*OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_all_that_the_statement_says_is_in_the_document(
    client: FlaskClient, document: dict[str, Any]
) -> None:
    """Each interaction, parameter and operation of the CapabilityStatement is there."""
    [rest] = client.get("/fhir/metadata").get_json()["rest"]
    paths = document["paths"]
    at = {
        "read": ("/{type}/{{id}}", "get"),
        "vread": ("/{type}/{{id}}/_history/{{version}}", "get"),
        "search-type": ("/{type}", "get"),
        "create": ("/{type}", "post"),
        "update": ("/{type}/{{id}}", "put"),
        "patch": ("/{type}/{{id}}", "patch"),
    }

    for resource in rest["resource"]:
        for interaction in resource["interaction"]:
            path, method = at[interaction["code"]]
            assert method in paths[path.format(type=resource["type"])]
        if "searchParam" in resource:
            found = paths[f"/{resource['type']}"]["get"]["parameters"]
            assert {each["name"] for each in resource["searchParam"]} <= {
                each.get("name") for each in found
            }
        for operation in resource.get("operation", ()):
            assert f"/{resource['type']}/${operation['name']}" in paths


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/metadata", ["_format", "_pretty", "_summary", "_elements", "mode"]),
        ("/Slot/{id}", ["_format", "_pretty", "id", "_summary", "_elements"]),
    ],
)
def test_the_parameters_of_a_read_are_in_the_document(
    client: FlaskClient, document: dict[str, Any], path: str, names: list[str]
) -> None:
    """What shapes the answer of a read is described; the server takes all of it."""
    parameters = document["paths"][path]["get"]["parameters"]

    assert [each["name"] for each in parameters if "name" in each] == names
    for given in ("_format=json&_pretty=true&_summary=data", "_elements=id"):
        url = f"/fhir/metadata?mode=normative&{given}"
        assert client.get(url).status_code == 200


def test_what_refers_to_nothing_has_no_includes(document: dict[str, Any]) -> None:
    """No parameter is described of which each value would be refused."""
    found = document["paths"]["/StructureDefinition"]["get"]["parameters"]

    assert [each["name"] for each in found if "include" in each.get("name", "")] == []


def test_a_search_may_count_only(document: dict[str, Any]) -> None:
    """`_summary=count` is of searches, by GET and as a form."""
    found = document["paths"]["/Slot"]["get"]["parameters"]
    form = document["paths"]["/Slot/_search"]["post"]["requestBody"]["content"]
    [by_get] = [each["schema"] for each in found if each.get("name") == "_summary"]
    properties = form["application/x-www-form-urlencoded"]["schema"]["properties"]

    assert by_get == properties["_summary"]
    assert by_get["enum"] == ["true", "text", "data", "count", "false"]


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/Appointment", "post"),
        ("/Appointment/{id}", "put"),
        ("/Appointment/{id}", "patch"),
        ("/Appointment/$book", "post"),
        ("/Appointment/{id}/$cancel", "post"),
        ("/Appointment/{id}/$reschedule", "post"),
    ],
)
def test_each_write_may_be_answered_before_its_outcome(
    document: dict[str, Any], path: str, method: str
) -> None:
    """202 says where to read on, and what was heeded of `Prefer`."""
    described = document["paths"][path][method]

    assert sorted(described["responses"]["202"]["headers"]) == [
        "Content-Location",
        "Preference-Applied",
    ]
    assert {"$ref": "#/components/parameters/Prefer"} in described["parameters"]


def test_what_is_about_persons_needs_a_token(guarded: Guarded) -> None:
    """The document says where a token is needed, and where not."""
    paths = guarded.client().get("/openapi.json").get_json()["paths"]

    assert paths["/Appointment/{id}"]["get"]["security"] == [{"bearer": []}]
    assert paths["/metadata"]["get"]["security"] == []
    assert paths["/CodeSystem/{id}"]["get"]["security"] == []


def test_the_document_is_kept_by_clients(client: FlaskClient) -> None:
    """A client that has the document gets 304."""
    first = client.get("/openapi.json")
    again = client.get(
        "/openapi.json", headers={"If-None-Match": first.headers["ETag"]}
    )

    assert (first.status_code, again.status_code, again.data) == (200, 304, b"")
    assert first.get_json()["servers"] == [{"url": BASE_URL}]
