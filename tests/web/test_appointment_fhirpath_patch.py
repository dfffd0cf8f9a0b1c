"""
Appointment patch by FHIRPath Patch: the same changes as by JSON Patch.

https://hl7.org/fhir/R4/fhirpatch.html
"""

from typing import Any

from assertions import assert_outcome, issue
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from .bodies import FHIR_JSON, another_slot, book


def send(
    client: FlaskClient, identifier: str, *operations: dict[str, Any], **headers: str
) -> TestResponse:
    """Send a FHIRPath Patch; return the answer."""
    return client.patch(
        f"/fhir/Appointment/{identifier}",
        json={
            "resourceType": "Parameters",
            "parameter": [
                {
                    "name": "operation",
                    "part": [{"name": name, **value} for name, value in each.items()],
                }
                for each in operations
            ],
        },
        content_type=FHIR_JSON,
        headers=headers,
    )


def replaced(path: str, **value: Any) -> dict[str, Any]:
    """Return the parts of an operation that replaces."""
    return {
        "type": {"valueCode": "replace"},
        "path": {"valueString": path},
        "value": value,
    }


def booked(client: FlaskClient, number: str) -> dict[str, Any]:
    """Book a slot; return the Appointment."""
    body: dict[str, Any] | None = book(client, "norr", number).json
    assert body is not None
    return body


def test_another_slot_moves(client: FlaskClient, number: str) -> None:
    """To replace the slot's reference moves the appointment, which keeps its id."""
    body = booked(client, number)
    slot = another_slot(client, body)

    response = send(
        client,
        body["id"],
        replaced("Appointment.slot[0].reference", valueString=f"Slot/{slot['id']}"),
        **{"If-Match": f'W/"{body["meta"]["versionId"]}"'},
    )
    assert response.status_code == 200, response.text
    assert response.json is not None
    assert (response.json["id"], response.json["start"]) == (
        body["id"],
        slot["start"],
    )


def test_a_status_cancels_with_a_reason(client: FlaskClient, number: str) -> None:
    """To replace the status and add a reason cancels."""
    body = booked(client, number)

    response = send(
        client,
        body["id"],
        replaced("Appointment.status", valueCode="cancelled"),
        {
            "type": {"valueCode": "add"},
            "path": {"valueString": "Appointment"},
            "name": {"valueString": "cancelationReason"},
            "value": {"valueCodeableConcept": {"text": "Frisk igen"}},
        },
    )
    assert response.status_code == 200, response.text
    assert response.json is not None
    assert response.json["status"] == "cancelled"
    assert response.json["cancelationReason"] == {"text": "Frisk igen"}


def test_what_cannot_be_changed_is_refused_alike(
    client: FlaskClient, number: str
) -> None:
    """The result is read as that of a JSON Patch: what cannot change is named."""
    body = booked(client, number)

    response = send(
        client,
        body["id"],
        {
            "type": {"valueCode": "add"},
            "path": {"valueString": "Appointment"},
            "name": {"valueString": "description"},
            "value": {"valueString": "x"},
        },
    )
    assert response.status_code == 422
    assert response.json is not None
    assert [each["expression"] for each in response.json["issue"]] == [
        ["Appointment.description"]
    ]
    read = client.get(f"/fhir/Appointment/{body['id']}").json
    assert read is not None
    assert read["status"] == "booked"


def test_an_operation_that_does_not_fit_is_named(
    client: FlaskClient, number: str
) -> None:
    """An operation that cannot be applied is 422, with its number and the reason."""
    body = booked(client, number)

    response = send(
        client,
        body["id"],
        replaced("Appointment.status", valueCode="cancelled"),
        replaced("Appointment.participant.status", valueCode="declined"),
    )
    assert_outcome(
        response,
        422,
        issue(
            "processing",
            "Operation 2 of the patch cannot be applied: the path leads to several"
            " elements: add an index.",
        ),
    )


def test_another_resource_is_no_patch(client: FlaskClient, number: str) -> None:
    """A body that is no Parameters is 400, before the appointment is looked at."""
    response = client.patch(
        "/fhir/Appointment/11111111-1111-4111-8111-111111111111",
        json=[{"op": "replace", "path": "/status", "value": number}],
        content_type=FHIR_JSON,
    )

    assert_outcome(
        response,
        400,
        issue(
            "structure",
            "The body is not a FHIRPath Patch: send a Parameters with a parameter"
            " operation for each.",
        ),
    )
