"""
GET / and GET of the FHIR base: who this is, and where things are.
"""

import re
from html import unescape

import pytest
from assertions import assert_outcome, issue
from flask.testing import FlaskClient

from fhir_gateway import VERSION
from fhir_gateway.model.error_code import ErrorCode
from web.running import BASE_URL

_ROOT = BASE_URL.removesuffix("/fhir")
_BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize("accept", ["*/*", "application/json", ""])
def test_the_root_says_what_this_is_and_where_things_are(
    client: FlaskClient, accept: str
) -> None:
    """A program that asks the server's root gets the FHIR base and first searches."""
    response = client.get("/", headers={"Accept": accept})

    assert (response.status_code, response.content_type) == (200, "application/json")
    assert response.json == {
        "name": "fhir-gateway",
        "version": VERSION,
        "description": "Free times and bookings of the Swedish regions, as FHIR R4",
        "fhir_base": BASE_URL,
        "capabilities": f"{BASE_URL}/metadata",
        "openapi": f"{_ROOT}/openapi.json",
        "docs": f"{_ROOT}/docs",
        "package": f"{BASE_URL}/package.tgz",
        "free_times": f"{BASE_URL}/Slot?status=free&_sort=start&_count=3",
        "earliest_of_each_unit": f"{BASE_URL}/Slot?first-per=unit",
        "services": f"{BASE_URL}/HealthcareService?_count=3",
        "health": f"{_ROOT}/health",
    }


@pytest.mark.parametrize(
    "name",
    [
        *("capabilities", "openapi", "docs", "package", "free_times"),
        *("earliest_of_each_unit", "services", "health"),
    ],
)
def test_each_place_that_the_root_names_answers(client: FlaskClient, name: str) -> None:
    """Each URL of the root's answer can be asked as it stands."""
    places = client.get("/").get_json()
    path = places[name].removeprefix(_ROOT)

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


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_browser_gets_a_page(client: FlaskClient, path: str) -> None:
    """A page names all that it needs, and each of that is served here."""
    response = client.get(path, headers={"Accept": _BROWSER})
    needed = re.findall(r'(?:src|href)="(?!data:)([^"]+)"', response.text)
    own = [unescape(each).removeprefix(_ROOT) for each in needed]

    assert (response.status_code, response.content_type) == (
        200,
        "text/html; charset=utf-8",
    )
    assert needed
    for each in own:
        assert client.get(f"/{each.lstrip('/')}").status_code == 200, each


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_may_run_scripts_of_this_server_only(
    client: FlaskClient, path: str
) -> None:
    """No script in the page, and none from elsewhere, runs; other answers run none."""
    page = client.get(path, headers={"Accept": _BROWSER})
    other = client.get("/fhir/metadata")

    assert page.headers["Content-Security-Policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'"
        " data:; connect-src 'self'; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'"
    )
    assert other.headers["Content-Security-Policy"] == (
        "default-src 'none'; frame-ancestors 'none'"
    )


@pytest.mark.parametrize("name", ["none.js", "swagger-ui.js", ".", "__init__.py"])
def test_only_the_files_of_the_pages_are_served(client: FlaskClient, name: str) -> None:
    """No other file of the packages can be read."""
    assert client.get(f"/docs/{name}").status_code == 404
