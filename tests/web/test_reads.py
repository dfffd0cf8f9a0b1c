"""
Read of every resource that the server hands out a reference to.

https://hl7.org/fhir/R4/http.html#read
"""

from typing import Any

import pytest
from assertions import assert_outcome, issue, references
from flask.testing import FlaskClient

from .bodies import book
from .running import REGIONS

_ALL_INCLUDES = (
    "_include=Slot:schedule&_include:iterate=Schedule:actor"
    "&_include:iterate=HealthcareService:location"
    "&_include:iterate=HealthcareService:organization"
    "&_include:iterate=Location:organization"
    "&_include:iterate=PractitionerRole:practitioner"
)
_READABLE = {
    *("Slot", "Schedule", "HealthcareService", "Location", "Organization"),
    *("Practitioner", "PractitionerRole"),
}


def follow(client: FlaskClient, *resources: dict[str, Any]) -> dict[str, Any]:
    """Read everything that resources refer to, directly or not; return it all."""
    read: dict[str, Any] = {}
    waiting = {reference for each in resources for reference in references(each)}
    while waiting:
        reference = waiting.pop()
        response = client.get(f"/fhir/{reference}")
        assert response.status_code == 200, reference
        read[reference] = response.json
        waiting |= references(response.json) - read.keys()
    return read


def test_everything_that_a_search_refers_to_is_read(client: FlaskClient) -> None:
    """Every reference in a searchset, and in what is read by it, can be read."""
    bundle = client.get(f"/fhir/Slot?_count=1000&{_ALL_INCLUDES}").json
    assert bundle is not None

    read = follow(client, bundle)
    assert {reference.partition("/")[0] for reference in read} == _READABLE - {"Slot"}


def test_what_is_included_is_what_is_read(client: FlaskClient) -> None:
    """What is referred to is included as it is read, but for a role's services."""
    bundle = client.get(f"/fhir/Slot?_count=1000&{_ALL_INCLUDES}").json
    assert bundle is not None

    read = follow(client, bundle)
    included = {
        f"{entry['resource']['resourceType']}/{entry['resource']['id']}": entry[
            "resource"
        ]
        for entry in bundle["entry"]
        if entry["search"]["mode"] == "include"
    }
    services = {
        service["reference"]
        for each in included.values()
        if each["resourceType"] == "PractitionerRole"
        for service in each["healthcareService"]
    }
    assert included == {
        reference: resource
        for reference, resource in read.items()
        if reference in included or reference not in services
    }


def test_a_full_url_is_where_a_resource_is_read(client: FlaskClient) -> None:
    """Each entry's fullUrl answers with the entry's resource."""
    bundle = client.get(f"/fhir/Slot?_count=20&{_ALL_INCLUDES}").json
    assert bundle is not None

    for entry in bundle["entry"]:
        path = entry["fullUrl"].removeprefix("http://gateway.test")
        assert client.get(path).json == entry["resource"]


@pytest.mark.parametrize("region", REGIONS)
def test_everything_that_an_appointment_refers_to_is_read(
    client: FlaskClient, region: str, number: str
) -> None:
    """Every reference in an appointment, and in what is read by it, can be read."""
    booked = book(client, region, number)
    assert booked.json is not None

    read = follow(client, booked.json)
    kinds = {reference.partition("/")[0] for reference in read}
    assert kinds >= {"Slot", "Schedule", "HealthcareService", "Location"}


def test_a_source_is_a_canonical_alone(client: FlaskClient) -> None:
    """A resource without a profile of ours still says where it comes from."""
    location = client.get("/fhir/Location/SE2321009901-1001").json

    assert location is not None
    assert location["meta"] == {
        "source": "https://fhir-gateway.example.org/source/norr"
    }


@pytest.mark.parametrize(
    "reference",
    [
        "Location/SE2321009901-1001",
        "Organization/SE2321009901-0000",
        "Practitioner/SE2321009901-P10011",
    ],
)
def test_an_hsa_id_is_read_in_any_case(client: FlaskClient, reference: str) -> None:
    """HSA-ids know no case: small letters read the same resource."""
    kind, _, identifier = reference.partition("/")

    response = client.get(f"/fhir/{kind}/{identifier.lower()}")
    assert response.status_code == 200
    assert response.json == client.get(f"/fhir/{reference}").json


@pytest.mark.parametrize("kind", sorted(_READABLE))
@pytest.mark.parametrize(
    "identifier",
    [
        pytest.param("x", id="nothing"),
        pytest.param("SE2321009901-9999", id="a unit that is none"),
        pytest.param("SE2321009901-9999.aaaaaaaa", id="a service that is none"),
        pytest.param("SE2321009901-1001.aaaaaaaa.aaaaaaaa", id="a schedule"),
        pytest.param("a" * 200, id="far too long"),
        pytest.param("Å", id="another letter"),
    ],
)
def test_what_never_was_is_not_found(
    client: FlaskClient, kind: str, identifier: str
) -> None:
    """An unknown id answers 404 and is not repeated."""
    assert_outcome(
        client.get(f"/fhir/{kind}/{identifier}"),
        404,
        issue("not-found", f"There is no such {kind}."),
    )


def test_a_unit_is_no_practitioner(client: FlaskClient) -> None:
    """An HSA-id of one kind of thing is not found as another."""
    for reference in (
        "Practitioner/SE2321009901-1001",
        "Location/SE2321009901-P10011",
        "Organization/SE2321009901-1001",
    ):
        assert client.get(f"/fhir/{reference}").status_code == 404


def test_a_head_says_what_a_get_would(client: FlaskClient) -> None:
    """HEAD answers as GET does, without the body."""
    url = "/fhir/Location/SE2321009901-1001"

    head, get = client.head(url), client.get(url)
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Content-Length"] == get.headers["Content-Length"]
