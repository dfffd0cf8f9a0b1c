"""
GET /: who this is, and where things are.
"""

import pytest
from flask.testing import FlaskClient

from fhir_gateway import VERSION
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
