"""
OPTIONS.

https://www.rfc-editor.org/rfc/rfc9110#name-options and RFC 5789, 3.1
"""

import pytest
from flask.testing import FlaskClient

from .guarded import Guarded

_PATCHES = "application/json-patch+json, application/fhir+json, application/fhir+xml"


@pytest.mark.parametrize(
    ("path", "allowed", "patches"),
    [
        ("/fhir/Slot", {"GET", "HEAD", "OPTIONS"}, None),
        ("/fhir/Slot/x", {"GET", "HEAD", "OPTIONS"}, None),
        ("/fhir/Slot/_search", {"OPTIONS", "POST"}, None),
        ("/fhir/Appointment", {"GET", "HEAD", "OPTIONS", "POST"}, None),
        (
            "/fhir/Appointment/x",
            {"GET", "HEAD", "OPTIONS", "PATCH", "PUT"},
            _PATCHES,
        ),
        ("/fhir/Appointment/x/_history/1", {"GET", "HEAD", "OPTIONS"}, None),
        ("/fhir/Appointment/$book", {"OPTIONS", "POST"}, None),
        ("/fhir/metadata", {"GET", "HEAD", "OPTIONS"}, None),
        ("/health", {"GET", "HEAD", "OPTIONS"}, None),
    ],
)
def test_a_url_says_what_it_allows(
    client: FlaskClient, path: str, allowed: set[str], patches: str | None
) -> None:
    """The methods, and the media types of patches."""
    response = client.options(path)

    assert (response.status_code, response.data) == (200, b"")
    assert set(response.headers["Allow"].split(", ")) == allowed
    assert response.headers.get("Accept-Patch") == patches
    assert "Content-Type" not in response.headers
    assert "Content-Type" not in response.headers


def test_patches_are_those_of_the_statement(client: FlaskClient) -> None:
    """The CapabilityStatement lists the same types."""
    statement = client.get("/fhir/metadata").json
    assert statement is not None

    assert statement["patchFormat"] == _PATCHES.split(", ")


def test_a_patch_of_another_type_is_refused_with_those(client: FlaskClient) -> None:
    """RFC 5789, 2.2: the answer 415 has Accept-Patch."""
    response = client.patch(
        "/fhir/Appointment/x", data="x", headers={"Content-Type": "text/plain"}
    )

    assert response.status_code == 415
    assert response.headers["Accept-Patch"].split(", ") == sorted(_PATCHES.split(", "))


def test_where_nothing_is_there_are_no_options(client: FlaskClient) -> None:
    """A URL without any method is 404 for this one too."""
    assert client.options("/fhir/Patient/1").status_code == 404


def test_options_need_no_token(guarded: Guarded) -> None:
    """What a URL allows is no secret, and says nothing of a resource."""
    answers = [
        guarded.client().open(path, method=method).status_code
        for method, path in (
            ("GET", "/fhir/Appointment/x"),
            ("OPTIONS", "/fhir/Appointment/x"),
            ("OPTIONS", "/fhir/AuditEvent"),
        )
    ]

    assert answers == [401, 200, 200]
