"""
Appointment/$cancel; what the dialects do alike is in test_appointment_book.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from assertions import assert_outcome, issue
from flask.testing import FlaskClient

from fhir_gateway.model.error_code import ErrorCode

from .bodies import FHIR_JSON, appointment, book, free_slots
from .dialects import appointment_of, call, parameters, reference, resource, text
from .running import REGIONS, Sandbox


def booked(client: FlaskClient, region: str, number: str) -> dict[str, Any]:
    """Book a region's first slot."""
    body = book(client, region, number).json
    assert body is not None
    return body


@pytest.mark.parametrize("region", REGIONS)
def test_a_reference_is_enough(client: FlaskClient, region: str, number: str) -> None:
    """The answer is the cancelled Appointment, and so is a later read."""
    made = booked(client, region, number)

    response = call(
        client,
        "cancel",
        parameters(reference("appointment-reference", f"Appointment/{made['id']}")),
    )
    assert response.status_code == 200, response.text
    assert response.json is not None
    assert response.json["status"] == "cancelled"
    read = client.get(f"/fhir/Appointment/{made['id']}").json
    assert read is not None
    assert read["status"] == "cancelled"


def test_an_appointment_as_it_was_proposed_is_enough(
    client: FlaskClient, number: str
) -> None:
    """What was sent to book, with the id of what was booked, cancels it."""
    made = booked(client, "norr", number)
    slot = made["slot"][0]["reference"].removeprefix("Slot/")
    proposed = {**appointment(slot, number), "id": made["id"]}

    response = call(client, "cancel", proposed)

    assert response.status_code == 200, response.text
    assert response.json is not None
    assert response.json["status"] == "cancelled"


def test_a_participant_who_declines_cancels_nothing(
    client: FlaskClient, number: str
) -> None:
    """A participant who declined differs from the shown one."""
    made = booked(client, "norr", number)
    slot = made["slot"][0]["reference"].removeprefix("Slot/")
    proposed = {**appointment(slot, number), "id": made["id"]}
    proposed["participant"][0]["status"] = "declined"

    response = call(client, "cancel", proposed)

    assert response.status_code == 422, response.text


def test_no_body_is_needed_on_an_appointment(client: FlaskClient, number: str) -> None:
    """Called on the appointment, the operation needs nothing more."""
    made = booked(client, "norr", number)

    response = client.post(
        f"/fhir/Appointment/{made['id']}/$cancel", content_type=FHIR_JSON
    )
    assert response.status_code == 200, response.text


def test_a_comment_is_the_message(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A comment goes to the unit where it takes messages."""
    made = booked(client, "norr", number)

    response = call(
        client, "cancel", parameters(text("comment", "Frisk.")), on=made["id"]
    )
    assert response.status_code == 200, response.text
    assert sandbox.writes("norr", number)[-1]["interaction"] == "CancelBooking"


def test_the_comment_of_the_booking_is_no_message(
    client: FlaskClient, number: str
) -> None:
    """An Appointment that is sent whole is cancelled, its comment is not the reason."""
    made = book(client, "mitt", number, comment="Ont.").json
    assert made is not None
    assert made["comment"] == "Ont."

    response = call(client, "cancel", parameters(resource("appointment", made)))
    assert response.status_code == 200, response.text
    assert appointment_of(response)["status"] == "cancelled"


def test_an_unknown_outcome_is_pending(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A lost answer is 202, and the answer does not say cancelled."""
    made = booked(client, "norr", number)
    sandbox.spoil("norr", "drop-after-processing", interactions=["CancelBooking"])

    response = call(client, "cancel", parameters(), on=made["id"])
    assert response.status_code == 202
    assert appointment_of(response)["status"] == "pending"


def test_a_refusal_of_a_region_is_reported(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A region's ERROR is 422 in its words."""
    made = booked(client, "norr", number)
    sandbox.spoil("norr", "error", text="För sent.", interactions=["CancelBooking"])

    assert_outcome(
        call(client, "cancel", parameters(), on=made["id"]),
        422,
        issue("business-rule", text="För sent.", error=ErrorCode.REGION_REFUSED),
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            parameters(text("comment", "x")),
            issue(
                "required",
                "Name the appointment, as appointment-reference or in the URL.",
                expression="Parameters",
            ),
        ),
        (
            parameters(reference("slot-reference", "Slot/x")),
            issue(
                "not-supported",
                "slot-reference: is not a parameter of this operation; see /metadata"
                " for those that are.",
                expression="Parameters.parameter[0].value",
            ),
        ),
        (
            parameters(
                reference("appointment-reference", "https://elsewhere.example/x/y")
            ),
            issue(
                "value",
                "appointment-reference must be a reference to this server, as"
                " Appointment/id.",
                expression="Parameters.parameter[0].value",
            ),
        ),
        (
            parameters({"name": "appointment-reference", "valueInteger": 1}),
            issue(
                "value",
                "appointment-reference: must be one of Reference, canonical, code, id,"
                " string, uri, url.",
                expression="Parameters.parameter[0].value",
            ),
        ),
    ],
)
def test_a_wrong_call_is_refused(
    client: FlaskClient, body: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Each fault is 400 with its place."""
    response = call(client, "cancel", body)

    if expected["code"] == "not-supported":
        assert response.status_code == 400
        assert response.json is not None
        reported = response.json["issue"][0]
        assert reported["diagnostics"] == expected["diagnostics"]
        return
    assert_outcome(response, 400, expected)


def test_an_unknown_appointment_is_not_found(client: FlaskClient) -> None:
    """An id that nobody knows is 404, with a code that says so."""
    assert_outcome(
        call(client, "cancel", parameters(), on="x"),
        404,
        issue(
            "not-found",
            "There is no such booking.",
            error=ErrorCode.APPOINTMENT_DOES_NOT_EXIST,
        ),
    )


def test_the_url_and_the_body_name_one_appointment(client: FlaskClient) -> None:
    """Another appointment in the body than in the URL is a mistake."""
    response = call(
        client,
        "cancel",
        parameters(reference("appointment-reference", "Appointment/y")),
        on="x",
    )

    assert_outcome(
        response,
        400,
        issue("value", "Name one appointment, not two.", expression="Parameters"),
    )


def test_a_free_time_cannot_be_cancelled(client: FlaskClient) -> None:
    """The refusal of a proposal in the URL says that it is a free time."""
    slot = next(free_slots(client))["id"]

    assert_outcome(
        call(client, "cancel", parameters(), on=slot),
        400,
        issue(
            "value",
            "This names a free time, not an appointment: name the appointment in the"
            " answer to $book or $hold.",
            expression="Parameters",
        ),
    )


def test_a_query_beside_a_body_is_no_personal_number(client: FlaskClient) -> None:
    """Parameters in the URL are refused, since nothing reads them."""
    response = client.post(
        "/fhir/Appointment/x/$cancel?comment=x",
        json=parameters(),
        content_type=FHIR_JSON,
    )

    assert_outcome(
        response,
        400,
        issue(
            "not-supported",
            "Send the parameters in the body, as a Parameters resource: those in the"
            " URL of a POST are not read.",
        ),
    )


def test_a_patient_in_a_query_is_refused_as_personal(client: FlaskClient) -> None:
    """A parameter that identifies a person is refused in a URL."""
    response = client.post(
        "/fhir/Appointment/$book?patient-id=x",
        json=parameters(),
        content_type=FHIR_JSON,
    )

    assert_outcome(
        response,
        400,
        issue(
            "security",
            "Send the parameters in the body, as a Parameters resource: a parameter"
            " that may be a patient's must not be in a URL.",
            error=ErrorCode.PERSONAL_NUMBER_IN_URL,
        ),
    )


def test_cancellations_at_once_are_one(client: FlaskClient, number: str) -> None:
    """The second client has what it wants, also with the version from before."""
    made = booked(client, "norr", number)
    path = f"/fhir/Appointment/{made['id']}/$cancel"
    tag = f'W/"{made["meta"]["versionId"]}"'

    def cancel(_: int) -> int:
        return (
            client.application.test_client()
            .post(path, content_type=FHIR_JSON, headers={"If-Match": tag})
            .status_code
        )

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(cancel, range(8))) <= {200, 202}
