"""
What is wrong with headers, parameters and Appointment is named in one answer.
"""

from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from .bodies import FHIR_JSON, appointment, free_slots
from .dialects import call, parameters, patient, reference, resource, text
from .running import Sandbox

_BAD_KEY = {"Idempotency-Key": "nyckel 191212121212"}
_BAD_CONDITION = {"If-None-Exist": "name=x"}


def places(response: TestResponse) -> list[str]:
    """Return what the issues of a 400 name, in their order."""
    assert response.status_code == 400, response.text
    assert response.json is not None
    return [
        place
        for each in response.json["issue"]
        for place in [*each.get("location", ()), *each.get("expression", ())]
    ]


@pytest.fixture(name="wrong")
def _wrong(client: FlaskClient, number: str) -> dict[str, Any]:
    """Give an Appointment with two faults."""
    slot = next(free_slots(client, "norr"))
    return appointment(slot["id"], number, minutesDuration=1, status="arrived")


_OF_BODY = ["Appointment.status", "Appointment.minutesDuration"]


@pytest.mark.parametrize(
    ("headers", "named"),
    [
        (_BAD_KEY, ["http.Idempotency-Key"]),
        (_BAD_CONDITION, ["http.If-None-Exist"]),
        ({"If-Match": "*", **_BAD_KEY}, ["http.If-Match", "http.Idempotency-Key"]),
    ],
)
@pytest.mark.parametrize("path", ["", "/$book"])
def test_a_booking_gets_all_of_its_faults(
    client: FlaskClient,
    wrong: dict[str, Any],
    path: str,
    headers: dict[str, str],
    named: list[str],
) -> None:
    """A header that cannot be used is named beside the faults of the body."""
    response = client.post(
        f"/fhir/Appointment{path}", json=wrong, content_type=FHIR_JSON, headers=headers
    )

    assert places(response) == [*named, *_OF_BODY]


@pytest.mark.parametrize("operation", ["book", "hold"])
def test_faults_of_parameters_and_of_the_appointment_are_one_answer(
    client: FlaskClient,
    sandbox: Sandbox,
    wrong: dict[str, Any],
    operation: str,
    number: str,
) -> None:
    """A client gets both faults at once."""
    body = parameters(resource("appointment", wrong), text("unknown", "x"))

    response = call(client, operation, body, headers=_BAD_KEY)

    assert places(response) == [
        "http.Idempotency-Key",
        "Parameters.parameter[1].value",
        *_OF_BODY,
    ]
    assert sandbox.writes("norr", number) == []


def test_what_a_faulty_parameter_would_have_said_is_not_missing(
    client: FlaskClient, number: str
) -> None:
    """A slot that cannot be understood is one fault, not two."""
    body = parameters(
        reference("slot-reference", "https://other.example/fhir/Slot/x"),
        resource("patient-resource", patient(number)),
    )

    assert places(call(client, "book", body)) == ["Parameters.parameter[0].value"]


@pytest.mark.parametrize("operation", ["cancel", "reschedule"])
def test_a_change_gets_all_of_its_faults(client: FlaskClient, operation: str) -> None:
    """A key, an ETag, a parameter and an Appointment are judged together."""
    body = parameters(
        resource("appointment", {"resourceType": "Appointment", "x": 1}),
        text("unknown", "x"),
    )

    response = call(
        client,
        operation,
        body,
        on="a",
        headers={"If-Match": "x", **_BAD_KEY, **_BAD_CONDITION},
    )

    assert places(response)[:5] == [
        "http.If-Match",
        "http.If-None-Exist",
        "http.Idempotency-Key",
        "Parameters.parameter[1].value",
        "Appointment.x",
    ]


def test_an_update_gets_all_of_its_faults(
    client: FlaskClient, wrong: dict[str, Any]
) -> None:
    """Its headers, its URL and its body are judged together."""
    response = client.put(
        "/fhir/Appointment/a?x=1",
        json={**wrong, "id": "a"},
        content_type=FHIR_JSON,
        headers={"If-Match": "x", **_BAD_KEY},
    )

    assert places(response) == [
        "http.If-Match",
        "http.Idempotency-Key",
        "Appointment.minutesDuration",
    ]
