"""
Why an appointment is cancelled comes back as it was sent (FHIR R4, 12.8.3).
"""

from typing import Any

import pytest
from flask.testing import FlaskClient

from .bodies import (
    another_slot,
    appointment,
    book,
    change,
    free_slots,
    patch,
    status_patch,
)
from .dialects import appointment_of, call, parameters, resource, text
from .running import Sandbox

_REASON: dict[str, Any] = {
    "coding": [
        {
            "system": (
                "http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason"
            ),
            "code": "pat",
            "display": "Patient",
        }
    ],
    "text": "Jag är frisk.",
}
_CODED = {"coding": _REASON["coding"]}


def booked(client: FlaskClient, number: str) -> dict[str, Any]:
    """Book where messages are taken, and return the appointment."""
    body: dict[str, Any] | None = book(client, "norr", number).json
    assert body is not None
    return body


def by_put(client: FlaskClient, visit: dict[str, Any], reason: Any) -> Any:
    """Cancel by PUT."""
    wanted = {**visit, "status": "cancelled", "cancelationReason": reason}
    return change(client, wanted)


def by_patch(client: FlaskClient, visit: dict[str, Any], reason: Any) -> Any:
    """Cancel by PATCH."""
    operations = status_patch("cancelled", cancelationReason=reason)
    return patch(client, visit["id"], operations)


def by_cancel(client: FlaskClient, visit: dict[str, Any], reason: Any) -> Any:
    """Cancel by `$cancel`, with an Appointment."""
    sent = resource("appointment", {**visit, "cancelationReason": reason})
    return call(client, "cancel", parameters(sent))


def by_book(client: FlaskClient, visit: dict[str, Any], reason: Any) -> Any:
    """Cancel by `$book`, as IHE does."""
    wanted = {**visit, "status": "cancelled", "cancelationReason": reason}
    return call(client, "book", parameters(resource("appointment-resource", wanted)))


_WAYS = pytest.mark.parametrize("cancel", [by_put, by_patch, by_cancel, by_book])


@_WAYS
@pytest.mark.parametrize("reason", [_REASON, _CODED, {"text": "Frisk"}])
def test_a_reason_comes_back_as_it_was_sent(
    client: FlaskClient, number: str, cancel: Any, reason: dict[str, Any]
) -> None:
    """Text and code of a reason stand in the answer, and in a later read."""
    visit = booked(client, number)

    response = cancel(client, visit, reason)
    assert response.status_code == 200, response.text
    read = client.get(f"/fhir/Appointment/{visit['id']}").json
    assert read is not None
    assert appointment_of(response)["cancelationReason"] == reason
    assert (read["status"], read["cancelationReason"]) == ("cancelled", reason)


def test_a_comment_of_the_call_comes_back_as_the_reason(
    client: FlaskClient, number: str
) -> None:
    """The comment of `$cancel` is the reason."""
    visit = booked(client, number)

    response = call(client, "cancel", parameters(text("comment", "x")), on=visit["id"])
    assert response.status_code == 200, response.text
    assert appointment_of(response)["cancelationReason"] == {"text": "x"}


def test_two_reasons_are_refused(client: FlaskClient, number: str) -> None:
    """A comment that differs from the Appointment's reason is refused."""
    visit = booked(client, number)
    sent = {**visit, "cancelationReason": {"text": "a"}}

    given = parameters(resource("appointment", sent), text("comment", "b"))
    response = call(client, "cancel", given)
    assert response.status_code == 400, response.text


@_WAYS
def test_a_code_without_words_is_refused(
    client: FlaskClient, sandbox: Sandbox, number: str, cancel: Any
) -> None:
    """A reason that the unit could not understand is refused, and nothing is sent."""
    visit = booked(client, number)

    response = cancel(client, visit, {"coding": [{"code": "pat"}]})
    assert response.status_code == 422, response.text
    assert response.json["issue"][0]["expression"] == ["Appointment.cancelationReason"]
    assert len(sandbox.writes("norr", number)) == 1


def test_the_same_reason_can_be_sent_again(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A client that missed the answer gets it again; another reason is refused."""
    visit = booked(client, number)
    first = by_put(client, visit, _REASON)

    second = by_put(client, visit, _REASON)
    other = by_put(client, visit, {"text": "Annat"})
    assert (second.status_code, second.json) == (200, first.json)
    assert other.status_code == 422
    assert len(sandbox.writes("norr", number)) == 2


def test_a_refused_cancellation_leaves_no_reason(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A reason is recorded only with the cancellation that succeeded."""
    visit = booked(client, number)
    sandbox.spoil("norr", "error", interactions=["CancelBooking"])
    refused = by_put(client, visit, _REASON)
    sandbox.heal()

    cancelled = patch(client, visit["id"], status_patch("cancelled"))
    assert refused.status_code == 422
    assert cancelled.status_code == 200
    assert cancelled.json is not None
    assert "cancelationReason" not in cancelled.json


@_WAYS
def test_a_hold_is_let_go_with_a_reason(
    client: FlaskClient, number: str, cancel: Any
) -> None:
    """No unit gets the reason for releasing a hold, and the client gets it back."""
    slot = next(free_slots(client, "norr"))
    held = call(client, "hold", appointment(slot["id"], number)).json
    assert held is not None

    response = cancel(client, held, _REASON)
    assert response.status_code == 200, response.text
    assert appointment_of(response)["cancelationReason"] == _REASON


def test_a_move_takes_no_reason(client: FlaskClient, number: str) -> None:
    """A reason for a cancellation is only for a cancelled appointment."""
    visit = booked(client, number)
    slot = another_slot(client, visit)
    operations = [
        {"op": "replace", "path": "/slot/0/reference", "value": f"Slot/{slot['id']}"},
        {"op": "add", "path": "/cancelationReason", "value": _REASON},
    ]

    assert patch(client, visit["id"], operations).status_code == 422
