"""
One scenario in five dialects: IHE, Argonaut, ISiK, Medplum and a plain Appointment.
"""

from collections.abc import Callable
from typing import Any, Final

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from .bodies import FHIR_JSON, PERSONNUMMER, appointment

__all__ = [
    "BOOKINGS",
    "BUSY_TENTATIVE",
    "CANCELLATIONS",
    "HOLDS",
    "MOVES",
    "appointment_in",
    "appointment_of",
    "call",
    "parameters",
    "patient",
    "reference",
    "resource",
    "text",
]

Body = dict[str, Any]


def parameters(*given: Body) -> Body:
    """Return a Parameters resource."""
    listed = {"parameter": list(given)} if given else {}
    return {"resourceType": "Parameters", **listed}


def reference(name: str, to: str) -> Body:
    """Return a parameter that refers to something."""
    return {"name": name, "valueReference": {"reference": to}}


def resource(name: str, value: Body) -> Body:
    """Return a parameter that is a resource."""
    return {"name": name, "resource": value}


def text(name: str, value: str) -> Body:
    """Return a parameter that is a text."""
    return {"name": name, "valueString": value}


def patient(number: str, **changes: Any) -> Body:
    """Return a test person as a Patient."""
    body = {
        "resourceType": "Patient",
        "id": "anna",
        "identifier": [{"system": PERSONNUMMER, "value": number}],
        "name": [{"family": "Testlund", "given": ["Anna"]}],
        **changes,
    }
    return {name: value for name, value in body.items() if value is not None}


def call(
    client: FlaskClient,
    operation: str,
    body: Any,
    *,
    on: str | None = None,
    headers: dict[str, str] | None = None,
) -> TestResponse:
    """Call an operation, on an appointment or on the type."""
    path = f"/fhir/Appointment/{on}/" if on else "/fhir/Appointment/"
    return client.post(
        f"{path}${operation}", json=body, content_type=FHIR_JSON, headers=headers
    )


def appointment_of(response: TestResponse) -> Body:
    """Return the Appointment in an answer of any form."""
    body = response.json
    assert body is not None
    return appointment_in(body)


def appointment_in(body: Body) -> Body:
    """Return the Appointment in the body of an answer."""
    if body["resourceType"] == "Bundle":
        (found,) = (
            entry["resource"]
            for entry in body["entry"]
            if entry["resource"]["resourceType"] == "Appointment"
        )
    elif body["resourceType"] == "Parameters":
        (found,) = (
            each["resource"]
            for each in body["parameter"]
            if each["name"] == "appointment"
        )
    else:
        found = body
    assert found["resourceType"] == "Appointment", body
    result: Body = found
    return result


def _argonaut(slot: str, number: str) -> Body:
    body = appointment(slot, number, status="pending")
    del body["slot"]
    return parameters(
        {"name": "appt-id", "valueUri": f"Appointment/{slot}"},
        resource("appt-resource", body),
        text("patient-id", f"{PERSONNUMMER}|{number}"),
        text("comment", "Jag hostar."),
    )


def _ihe(slot: str, number: str) -> Body:
    return parameters(
        reference("appointment-reference", f"Appointment/{slot}"),
        resource("patient-resource", patient(number)),
        text("comment", "Jag hostar."),
    )


def _ihe_with_resource(slot: str, number: str) -> Body:
    body = appointment(slot, number, contained=None, participant=None, status="pending")
    return parameters(
        resource("appointment-resource", body),
        resource("patient-resource", patient(number)),
        text("comment", "Jag hostar."),
    )


def _isik(slot: str, number: str) -> Body:
    body = appointment(slot, number, comment="Jag hostar.")
    schedule = slot.rsplit(".", 2)[0]
    return parameters(
        resource("appt-resource", body), reference("schedule", f"Schedule/{schedule}")
    )


def _medplum(slot: str, number: str) -> Body:
    body = appointment(slot, number, comment="Jag hostar.", status="pending")
    return parameters(resource("appointment", body))


def _plain(slot: str, number: str) -> Body:
    return appointment(slot, number, comment="Jag hostar.")


BOOKINGS: Final[dict[str, Callable[[str, str], Body]]] = {
    "argonaut": _argonaut,
    "ihe": _ihe,
    "ihe-resource": _ihe_with_resource,
    "isik": _isik,
    "medplum": _medplum,
    "plain": _plain,
}
"""What books a slot for a person who says "Jag hostar."."""

BUSY_TENTATIVE: Final = {"name": "slot-status", "valueCode": "busy-tentative"}

HOLDS: Final[dict[str, Callable[[str, str], dict[str, Any]]]] = {
    "argonaut": lambda slot, number: parameters(
        {"name": "appt-id", "valueUri": f"Appointment/{slot}"},
        resource("patient-resource", patient(number)),
    ),
    "ihe": lambda slot, number: parameters(
        reference("appointment-reference", f"Appointment/{slot}"),
        resource("patient-resource", patient(number)),
    ),
    "isik": lambda slot, number: parameters(
        resource("appt-resource", appointment(slot, number))
    ),
    "medplum": lambda slot, number: parameters(
        resource("appointment", appointment(slot, number, status="proposed"))
    ),
    "austria": lambda slot, number: parameters(
        reference("slot-reference", f"Slot/{slot}"),
        BUSY_TENTATIVE,
        resource("patient-resource", patient(number)),
    ),
    "plain": lambda slot, number: appointment(slot, number, status="pending"),
}
"""What holds a slot for a person."""

MOVES: Final[dict[str, Callable[[Body, str], tuple[str, str | None, Body]]]] = {
    "argonaut": lambda booked, slot: (
        "book",
        None,
        parameters(
            {"name": "appt-id", "valueUri": f"Appointment/{slot}"},
            {"name": "cancelled-appt-id", "valueUri": f"Appointment/{booked['id']}"},
        ),
    ),
    "ihe": lambda booked, slot: (
        "book",
        None,
        parameters(
            resource("appointment-resource", _moved(booked, slot, status="booked"))
        ),
    ),
    "isik": lambda booked, slot: (
        "book",
        None,
        parameters(resource("appt-resource", _moved(booked, slot, status="proposed"))),
    ),
    "medplum": lambda booked, slot: (
        "reschedule",
        booked["id"],
        parameters(reference("slot-reference", f"Slot/{slot}")),
    ),
    "plain": lambda booked, slot: (
        "reschedule",
        None,
        _moved(booked, slot, status="booked"),
    ),
}
"""What moves an appointment to a slot: the operation, on which instance, the body."""

CANCELLATIONS: Final[dict[str, Callable[[Body], tuple[str, str | None, Body]]]] = {
    "argonaut": lambda booked: (
        "cancel",
        None,
        parameters({"name": "appt-id", "valueUri": f"Appointment/{booked['id']}"}),
    ),
    "ihe": lambda booked: (
        "book",
        None,
        parameters(resource("appointment-resource", booked | {"status": "cancelled"})),
    ),
    "isik": lambda booked: (
        "book",
        None,
        parameters(resource("appt-resource", booked | {"status": "cancelled"})),
    ),
    "medplum": lambda booked: (
        "cancel",
        None,
        parameters(reference("appointment-reference", f"Appointment/{booked['id']}")),
    ),
    "on the instance": lambda booked: ("cancel", booked["id"], parameters()),
    "plain": lambda booked: ("book", None, booked | {"status": "cancelled"}),
}
"""What cancels an appointment, likewise."""


def _moved(booked: Body, slot: str, *, status: str) -> Body:
    kept = {
        name: value
        for name, value in booked.items()
        if name not in ("start", "end", "participant")
    }
    return kept | {
        "status": status,
        "slot": [{"reference": f"Slot/{slot}"}],
        "participant": booked["participant"][:1],
    }
