"""
Conditions and parameters that a request cannot have: refused, never overlooked.
"""

from typing import Any, Final

import pytest
from assertions import assert_outcome, issue
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from .bodies import FHIR_JSON, JSON_PATCH, appointment, book, free_slots

_SINCE: Final = "Fri, 27 Nov 2026 10:00:00 GMT"


def _not_for_making(name: str) -> dict[str, object]:
    return issue(
        "not-supported",
        f"{name} is for requests that change an Appointment: leave it out. To create"
        " one only once, send Idempotency-Key or If-None-Exist.",
        location=f"http.{name}",
    )


def _make(
    client: FlaskClient, way: str, number: str, headers: dict[str, str]
) -> TestResponse:
    body: dict[str, Any] = appointment(next(free_slots(client))["id"], number)
    if way:
        body = {
            "resourceType": "Parameters",
            "parameter": [{"name": "appt-resource", "resource": body}],
        }
    return client.post(
        f"/fhir/Appointment{way}", json=body, content_type=FHIR_JSON, headers=headers
    )


@pytest.mark.parametrize("way", ["", "/$book", "/$hold"])
@pytest.mark.parametrize(
    "headers",
    [
        {"If-Match": 'W/"99"'},
        {"If-Match": "*"},
        {"If-Match": "garbage"},
        {"If-None-Match": "*"},
        {"If-None-Match": 'W/"1"'},
        {"If-Unmodified-Since": _SINCE},
        {"If-Match": "*", "If-None-Match": "x", "If-Unmodified-Since": "x"},
    ],
)
def test_what_makes_something_has_no_precondition(
    client: FlaskClient, number: str, way: str, headers: dict[str, str]
) -> None:
    """No version exists yet: each such header is named, and nothing is made."""
    slot = next(free_slots(client))["id"]

    response = _make(client, way, number, headers)

    assert_outcome(response, 400, *map(_not_for_making, headers))
    assert next(free_slots(client))["id"] == slot


def _booked(client: FlaskClient, number: str) -> dict[str, Any]:
    body = book(client, "norr", number).json
    assert body is not None
    return dict(body)


def _changes(body: dict[str, Any]) -> list[dict[str, Any]]:
    path = f"/fhir/Appointment/{body['id']}"
    patch = [{"op": "replace", "path": "/status", "value": "cancelled"}]
    cancelled = {**body, "status": "cancelled"}
    called = {
        "resourceType": "Parameters",
        "parameter": [{"name": "appt-resource", "resource": cancelled}],
    }
    nothing = {"resourceType": "Parameters"}
    target = {"name": "slot-reference", "valueReference": body["slot"][0]}
    moved = {"resourceType": "Parameters", "parameter": [target]}
    return [
        {"method": "PUT", "path": path, "json": cancelled, "content_type": FHIR_JSON},
        {"method": "PATCH", "path": path, "json": patch, "content_type": JSON_PATCH},
        *(
            {"method": "POST", "path": target, "json": sent, "content_type": FHIR_JSON}
            for target, sent in (
                (f"{path}/$cancel", nothing),
                (f"{path}/$hold", nothing),
                (f"{path}/$reschedule", moved),
                ("/fhir/Appointment/$book", called),
            )
        ),
    ]


def test_a_time_guards_no_change(client: FlaskClient, number: str) -> None:
    """If-Unmodified-Since is refused wherever If-Match is supported."""
    body = _booked(client, number)

    for change in _changes(body):
        response = client.open(**change, headers={"If-Unmodified-Since": _SINCE})

        assert_outcome(
            response,
            400,
            issue(
                "not-supported",
                "If-Unmodified-Since is not supported: send the ETag that you have"
                " read as If-Match.",
                location="http.If-Unmodified-Since",
            ),
        )
    present = client.get(f"/fhir/Appointment/{body['id']}").json
    assert present is not None
    assert present["meta"]["versionId"] == body["meta"]["versionId"]


def test_beside_if_match_a_time_counts_for_nothing(
    client: FlaskClient, number: str
) -> None:
    """RFC 9110, 13.1.4: the ETag takes precedence."""
    body = _booked(client, number)

    response = client.post(
        f"/fhir/Appointment/{body['id']}/$cancel",
        content_type=FHIR_JSON,
        headers={
            "If-Match": f'W/"{body["meta"]["versionId"]}"',
            "If-Unmodified-Since": _SINCE,
        },
    )

    assert response.status_code == 200


def test_a_search_by_post_is_answered_whole(client: FlaskClient) -> None:
    """If-None-Match is for GET and HEAD (RFC 9110, 13.1.2)."""
    first = client.post("/fhir/Slot/_search", data={"_count": "1"})

    for tag in (first.headers["ETag"], "*"):
        again = client.post(
            "/fhir/Slot/_search", data={"_count": "1"}, headers={"If-None-Match": tag}
        )
        assert (again.status_code, again.json) == (200, first.json)


_NO_PARAMETERS: Final = (
    "This URL has no parameters but _format and _pretty: leave the others out."
)
_NO_OTHERS: Final = (
    "This URL has no parameters but _elements, _format, _pretty and _summary: leave the"
    " others out."
)


@pytest.mark.parametrize(
    ("method", "path", "content_type"),
    [
        ("POST", "Appointment", FHIR_JSON),
        ("PUT", "Appointment/x", FHIR_JSON),
        ("PATCH", "Appointment/x", JSON_PATCH),
        ("GET", "Appointment/x", None),
        *(
            ("GET", f"{kind}/x", None)
            for kind in ("Slot", "Schedule", "Location", "HealthcareService")
        ),
        *(
            ("GET", f"{kind}/x", None)
            for kind in ("Organization", "Practitioner", "PractitionerRole")
        ),
    ],
)
@pytest.mark.parametrize("query", ["dry-run=true", "_sort=id", "x", "x=1&y=2"])
def test_a_parameter_in_a_url_that_has_none_is_refused(
    client: FlaskClient, method: str, path: str, content_type: str | None, query: str
) -> None:
    """It could change the meaning of the request, as dry-run would."""
    response = client.open(
        f"/fhir/{path}?{query}", method=method, data=b"{}", content_type=content_type
    )

    assert response.json is not None
    # An empty object is no Appointment, and that is named too.
    first, *_ = response.json["issue"]
    expected = _NO_OTHERS if method == "GET" else _NO_PARAMETERS
    assert (response.status_code, first["diagnostics"]) == (400, expected)


def test_parameters_of_form_are_taken_everywhere(
    client: FlaskClient, number: str
) -> None:
    """_format and _pretty are about the answer's form; lenient clients may send any."""
    slot = next(free_slots(client))["id"]

    made = client.post(
        "/fhir/Appointment?_format=json&_pretty=true",
        json=appointment(slot, number),
        content_type=FHIR_JSON,
    )
    lenient = client.get(
        f"{made.headers['Location']}?x=1", headers={"Prefer": "handling=lenient"}
    )

    assert (made.status_code, lenient.status_code) == (201, 200)
