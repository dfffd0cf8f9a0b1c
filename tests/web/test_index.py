"""
GET / and GET of the FHIR base: who this is, and where things are.
"""

import pytest
from assertions import assert_outcome, issue
from flask.testing import FlaskClient

from fhir_gateway import VERSION
from fhir_gateway.model.error_code import ErrorCode
from web.running import BASE_URL


@pytest.mark.parametrize("accept", ["*/*", "text/html", "application/fhir+json"])
def test_the_root_says_what_this_is_and_where_things_are(
    client: FlaskClient, accept: str
) -> None:
    """A person who opens the server's root finds the FHIR base and first searches."""
    response = client.get("/", headers={"Accept": accept})

    assert (response.status_code, response.content_type) == (200, "application/json")
    assert response.json == {
        "name": "fhir-gateway",
        "version": VERSION,
        "description": "Free times and bookings of the Swedish regions, as FHIR R4",
        "fhir_base": BASE_URL,
        "capabilities": f"{BASE_URL}/metadata",
        "free_times": f"{BASE_URL}/Slot?status=free&_sort=start&_count=3",
        "services": f"{BASE_URL}/HealthcareService?_count=3",
        "health": f"{BASE_URL.removesuffix('/fhir')}/health",
    }


@pytest.mark.parametrize("name", ["capabilities", "free_times", "services", "health"])
def test_each_place_that_the_root_names_answers(client: FlaskClient, name: str) -> None:
    """Each URL of the root's answer can be asked as it stands."""
    places = client.get("/").get_json()
    path = places[name].removeprefix(BASE_URL.removesuffix("/fhir"))

    assert client.get(path).status_code == 200


def test_nothing_is_sent_to_the_root(client: FlaskClient) -> None:
    """The root is read only."""
    assert client.post("/", data="x").status_code == 405


@pytest.mark.parametrize("path", ["/fhir", "/fhir/", "/fhir?_format=json"])
@pytest.mark.parametrize("accept", ["*/*", "text/html,*/*;q=0.8", "application/json"])
def test_the_fhir_base_says_where_things_are(
    client: FlaskClient, path: str, accept: str
) -> None:
    """A person or a tool that opens the FHIR base alone gets an OperationOutcome."""
    response = client.get(path, headers={"Accept": accept})

    assert_outcome(
        response,
        200,
        issue(
            "informational",
            f"This is the base of a FHIR R4 server: {BASE_URL}/metadata says what it"
            f" does, and {BASE_URL}/Slot?status=free&_sort=start&_count=3 finds free"
            " times.",
            severity="information",
            error=ErrorCode.DONE,
        ),
    )


@pytest.mark.parametrize("path", ["/fhir", "/fhir/"])
def test_the_fhir_base_is_not_searched(client: FlaskClient, path: str) -> None:
    """A search of all types is refused: an answer without matches would be untrue."""
    assert client.get(path, query_string={"_type": "Slot"}).status_code == 400
