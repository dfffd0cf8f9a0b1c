"""
Appointment/$validate: what a create or an update would refuse, before anything is sent.

https://hl7.org/fhir/R4/resource-operation-validate.html
"""

from typing import Any, Final

import pytest
from assertions import issue
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from fhir_gateway.model.error_code import ErrorCode

from .bodies import (
    another_slot,
    appointment,
    book,
    change,
    free_slots,
    patch,
    status_patch,
)
from .dialects import call, parameters, resource, text
from .guarded import Guarded, token_for
from .running import Sandbox

_NOBODYS: Final = "11111111-1111-4111-8111-111111111111"
_ALL_OK: Final = issue(
    "informational",
    "This server would take it. Whether the time is free, and whether the region says"
    " yes, only sending it shows.",
    severity="information",
    error=ErrorCode.DONE,
)


def issues(response: TestResponse) -> list[dict[str, Any]]:
    """Return the issues of an answer to `$validate`."""
    assert response.status_code == 200, response.text
    assert response.json is not None
    assert response.json["resourceType"] == "OperationOutcome"
    found: list[dict[str, Any]] = response.json["issue"]
    return found


def places(response: TestResponse) -> list[str]:
    """Return where the faults are."""
    found = issues(response)
    assert {each["severity"] for each in found} == {"error"}
    return sorted(each["expression"][0] for each in found)


def code(name: str, value: str) -> dict[str, Any]:
    """Return a parameter that is a code."""
    return {"name": name, "valueCode": value}


@pytest.mark.parametrize("form", ["alone", "parameters", "with a mode"])
def test_what_can_be_booked_is_valid(
    client: FlaskClient, sandbox: Sandbox, number: str, form: str
) -> None:
    """A body that a create takes is valid, in each form; no region is asked."""
    slot = next(free_slots(client, "norr"))["id"]
    asked = sandbox.ledger("norr")
    body = appointment(slot, number)
    if form == "parameters":
        body = parameters(resource("resource", body))
    elif form == "with a mode":
        body = parameters(resource("resource", body), code("mode", "create"))

    assert issues(call(client, "validate", body)) == [_ALL_OK]
    assert sandbox.ledger("norr") == asked
    assert slot in {each["id"] for each in free_slots(client, "norr")}


def test_all_faults_of_a_create_are_named(client: FlaskClient, number: str) -> None:
    """The faults are those of the create itself, and none repeats a value."""
    slot = next(free_slots(client, "norr"))["id"]
    body = appointment(slot, number, status="fulfilled", contained=None, colour="red")
    created = client.post(
        "/fhir/Appointment", json=body, content_type="application/fhir+json"
    )

    response = call(client, "validate", body)
    assert created.json is not None
    assert issues(response) == created.json["issue"]
    assert number not in response.text


@pytest.mark.parametrize("body", [{"resourceType": "Patient"}, [], 1], ids=str)
def test_another_resource_is_no_appointment(client: FlaskClient, body: Any) -> None:
    """What is no Appointment at all is a fault of the resource."""
    (found,) = issues(call(client, "validate", body))

    assert found["code"] == "structure"


def test_an_update_is_compared_with_its_appointment(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A move, a cancellation and no change are valid; what cannot change is not."""
    body = book(client, "norr", number).json
    assert body is not None
    writes = sandbox.writes("norr", number)
    slot = another_slot(client, body)
    moved = {
        **{name: body[name] for name in ("resourceType", "id", "status")},
        "slot": [{"reference": f"Slot/{slot['id']}"}],
        "participant": body["participant"][:1],
    }

    def valid(sent: dict[str, Any]) -> TestResponse:
        return call(client, "validate", sent, on=body["id"])

    assert issues(valid(body)) == [_ALL_OK]
    assert issues(valid(moved)) == [_ALL_OK]
    assert issues(valid(body | {"status": "cancelled"})) == [_ALL_OK]
    assert places(valid(body | {"status": "arrived"})) == ["Appointment.status"]
    assert places(valid(body | {"description": "x", "priority": 1})) == [
        *("Appointment.description", "Appointment.priority")
    ]
    assert places(valid(body | {"id": _NOBODYS})) == ["Appointment.id"]
    assert places(valid({name: body[name] for name in body if name != "id"})) == [
        "Appointment.id"
    ]
    by_type = parameters(
        resource("resource", body | {"description": "x"}), code("mode", "update")
    )
    assert places(call(client, "validate", by_type)) == ["Appointment.description"]
    assert sandbox.writes("norr", number) == writes


def test_a_text_that_this_server_does_not_keep_is_no_change(
    client: FlaskClient, number: str
) -> None:
    """A comment that a client read is valid, as an update takes it; a patient's too."""
    body = book(client, "norr", number, comment="Andra dosen").json
    assert body is not None
    assert body["comment"] == "Andra dosen"
    read = client.get(f"/fhir/Appointment/{body['id']}").json
    assert read is not None

    for sent in (read, read | {"status": "cancelled"}):
        assert issues(call(client, "validate", sent, on=body["id"])) == [_ALL_OK]
    assert change(client, read).status_code == 200


def test_a_cancelled_appointment_cannot_be_changed(
    client: FlaskClient, number: str
) -> None:
    """What an update answers 409 is a fault too."""
    body = book(client, "norr", number).json
    assert body is not None
    patch(client, body["id"], status_patch("cancelled"))
    body = client.get(f"/fhir/Appointment/{body['id']}").json
    assert body is not None
    sent = body | {"status": "booked"}
    assert change(client, sent).status_code == 409

    (found,) = issues(call(client, "validate", sent, on=body["id"]))
    assert found["details"]["coding"][0]["code"] == "APPOINTMENT_IS_ALREADY_CANCELED"


def test_a_deletion_is_never_valid(client: FlaskClient) -> None:
    """An appointment is cancelled, not deleted; this also by GET."""
    for response in (
        call(client, "validate", parameters(code("mode", "delete"))),
        client.get("/fhir/Appointment/$validate?mode=delete"),
    ):
        (found,) = issues(response)
        assert (found["code"], found["severity"]) == ("not-supported", "error")


def test_a_profile_is_ours_or_unknown(client: FlaskClient, number: str) -> None:
    """Our profile of Appointment is checked, another is not known."""
    slot = next(free_slots(client, "norr"))["id"]
    body = resource("resource", appointment(slot, number))

    def valid(url: str) -> list[dict[str, Any]]:
        profile = {"name": "profile", "valueUri": url}
        return issues(call(client, "validate", parameters(body, profile)))

    ours = "https://fhir-gateway.example.org/StructureDefinition/appointment"
    assert valid(ours) == [_ALL_OK]
    assert valid(f"{ours}|1.0") == [_ALL_OK]
    assert [each["code"] for each in valid("http://example.org/x")] == ["not-supported"]


@pytest.mark.parametrize(
    "body",
    [
        parameters(),
        parameters(code("mode", "create")),
        parameters(code("mode", "erase"), code("profile", "x")),
        parameters(text("colour", "red")),
        parameters(resource("resource", {"resourceType": "Patient"})),
    ],
    ids=str,
)
def test_a_wrong_call_is_refused(client: FlaskClient, body: Any) -> None:
    """A call without the resource, or with what the operation does not have, is 400."""
    assert call(client, "validate", body).status_code == 400


def test_a_resource_in_a_url_is_refused(client: FlaskClient) -> None:
    """A URL has no place for an Appointment."""
    response = client.get("/fhir/Appointment/$validate?resource=x")

    assert response.status_code == 400


# Who may.


@pytest.mark.flow
def test_an_update_is_validated_for_who_may_update(
    guarded: Guarded, numbers: list[str]
) -> None:
    """Another's appointment is as nobody's; an update's scope is needed too."""
    mine = guarded.client("resident", numbers[0])
    body = book(mine, "norr", numbers[0]).json
    assert body is not None
    only_create = guarded.with_token(
        token_for("resident", numbers[0], scope="patient/Appointment.c")
    )

    def status(client: FlaskClient, id_: str) -> int:
        return call(client, "validate", body | {"id": id_}, on=id_).status_code

    assert status(mine, body["id"]) == 200
    assert status(mine, _NOBODYS) == 404
    assert status(guarded.client("resident", numbers[1]), body["id"]) == 404
    assert status(guarded.client("staff"), body["id"]) == 403
    assert status(only_create, body["id"]) == 403
    assert status(guarded.client("operator"), body["id"]) == 403
    assert status(guarded.client(), body["id"]) == 401
    new = appointment(next(free_slots(mine, "norr"))["id"], numbers[0])
    assert issues(call(only_create, "validate", new)) == [_ALL_OK]
