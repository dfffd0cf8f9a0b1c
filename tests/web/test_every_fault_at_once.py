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
_PERSONAL_KEY = (
    "Idempotency-Key must hold no personal number: send a random one, such as a UUID."
)
_UNKNOWN = (
    "unknown: is not a parameter of this operation; see /metadata for those that are."
)


def places(response: TestResponse) -> list[str]:
    """Return what the issues of a 400 name, in their order."""
    assert response.status_code == 400, response.text
    assert response.json is not None
    return [
        place
        for each in response.json["issue"]
        for place in [*each.get("location", ()), *each.get("expression", ())]
    ]


def texts(response: TestResponse) -> list[str]:
    """Return the texts of the issues of a 400, in their order."""
    assert response.status_code == 400, response.text
    assert response.json is not None
    return [each["diagnostics"] for each in response.json["issue"]]


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
        resource(
            "appointment",
            {"resourceType": "Appointment", "x": 1, "slot": [{"reference": "Slot/a"}]},
        ),
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


def test_another_id_in_an_update_is_named_beside_the_other_faults(
    client: FlaskClient, wrong: dict[str, Any]
) -> None:
    """The id that the URL contradicts does not come in a second answer."""
    response = client.put(
        "/fhir/Appointment/a", json={**wrong, "id": "b"}, content_type=FHIR_JSON
    )

    assert places(response) == ["Appointment.id", "Appointment.minutesDuration"]


def test_a_missing_new_time_is_named_beside_the_other_faults(
    client: FlaskClient,
) -> None:
    """A missing target, a wrong key and a wrong parameter are one answer."""
    response = call(
        client,
        "reschedule",
        parameters(text("unknown", "x")),
        on="a",
        headers=_BAD_KEY,
    )

    assert texts(response) == [
        _PERSONAL_KEY,
        _UNKNOWN,
        "Name the new time: slot-reference, or start.",
    ]


def test_a_start_that_is_not_the_slots_is_named_beside_the_other_faults(
    client: FlaskClient,
) -> None:
    """A target that contradicts itself does not hide a missing appointment."""
    body = parameters(
        {"name": "start", "valueDateTime": "2098-01-01T03:00:00+01:00"},
        reference("slot", "Slot/SE1-1.00000000.00000000.1.1"),
    )

    assert texts(call(client, "reschedule", body)) == [
        "Name the appointment, as appointment-reference or in the URL.",
        "start is not the slot's: leave it out.",
    ]


@pytest.mark.parametrize("operation", ["cancel", "reschedule"])
def test_a_missing_appointment_is_named_beside_the_other_faults(
    client: FlaskClient, operation: str
) -> None:
    """An unknown parameter does not hide that the call names no appointment."""
    response = call(client, operation, parameters(text("unknown", "x")))

    assert texts(response)[:2] == [
        _UNKNOWN,
        "Name the appointment, as appointment-reference or in the URL.",
    ]


@pytest.mark.parametrize(
    "given",
    [
        {"name": "slot", "valueReference": {"reference": "https://x.example/Slot/a"}},
        {"name": "slot", "valueInteger": 1},
        {"name": "slot"},
        {"name": "start", "valueString": "soon"},
        resource("appointment", {"resourceType": "Patient"}),
    ],
)
def test_a_new_time_that_cannot_be_read_is_one_fault(
    client: FlaskClient, given: dict[str, Any]
) -> None:
    """A faulty parameter that may name the new time is not missing, too."""
    response = call(client, "reschedule", parameters(given), on="a")

    assert len(places(response)) == 1


@pytest.mark.parametrize(
    "given",
    [
        {"name": "appointment-reference", "valueString": "https://x.example/a"},
        {"name": "appt-id", "valueInteger": 1},
        resource("appointment", {"resourceType": "Patient"}),
    ],
)
def test_an_appointment_that_cannot_be_read_is_one_fault(
    client: FlaskClient, given: dict[str, Any]
) -> None:
    """A faulty parameter that may name the appointment is not missing, too."""
    assert len(places(call(client, "cancel", parameters(given)))) == 1
