"""
Appointment/$reschedule; what the dialects do alike is in test_appointment_book.
"""

from itertools import islice
from typing import Any

import pytest
from assertions import assert_outcome, issue
from flask.testing import FlaskClient

from fhir_gateway.model.error_code import ErrorCode

from .bodies import another_slot, book, free_slots
from .dialects import appointment_of, call, parameters, reference, text
from .running import REGIONS, Sandbox


@pytest.fixture(name="booked")
def _booked(client: FlaskClient, number: str) -> dict[str, Any]:
    body = book(client, "norr", number).json
    assert body is not None
    return body


def start(at: str) -> dict[str, Any]:
    """Return the parameter that says when."""
    return {"name": "start", "valueDateTime": at}


@pytest.mark.parametrize("region", REGIONS)
def test_a_start_is_enough(client: FlaskClient, region: str, number: str) -> None:
    """Medplum's start, in the appointment's own schedule, names the new time."""
    made = book(client, region, number).json
    assert made is not None
    slot = another_slot(client, made)

    response = call(
        client, "reschedule", parameters(start(slot["start"])), on=made["id"]
    )
    assert response.status_code == 200, response.text
    moved = appointment_of(response)
    assert (moved["id"], moved["start"]) == (made["id"], slot["start"])
    assert moved["slot"] == [{"reference": f"Slot/{slot['id']}"}]


def test_a_schedule_can_be_named(client: FlaskClient, booked: dict[str, Any]) -> None:
    """The start may be in another schedule than the appointment's own."""
    slot = another_slot(client, booked)

    response = call(
        client,
        "reschedule",
        parameters(
            start(slot["start"]), reference("schedule", slot["schedule"]["reference"])
        ),
        on=booked["id"],
    )
    assert response.status_code == 200, response.text


def test_a_comment_goes_with_it(client: FlaskClient, booked: dict[str, Any]) -> None:
    """A comment to the unit can be sent with a move."""
    slot = another_slot(client, booked)

    response = call(
        client,
        "reschedule",
        parameters(
            reference("slot", f"Slot/{slot['id']}"), text("comment", "Hellre då.")
        ),
        on=booked["id"],
    )
    assert response.status_code == 200, response.text
    assert appointment_of(response)["comment"] == "Hellre då."


def test_the_same_time_changes_nothing(
    client: FlaskClient, sandbox: Sandbox, booked: dict[str, Any]
) -> None:
    """A move to where the appointment is already is 200, and nothing is sent."""
    number = booked["participant"][0]["actor"]["identifier"]["value"]

    response = call(
        client, "reschedule", parameters(start(booked["start"])), on=booked["id"]
    )
    assert response.status_code == 200, response.text
    assert len(sandbox.writes("norr", number)) == 1


def test_a_time_that_is_not_free_is_taken(
    client: FlaskClient, sandbox: Sandbox, booked: dict[str, Any]
) -> None:
    """Where no free time begins it is 409, and the old time stands."""
    number = booked["participant"][0]["actor"]["identifier"]["value"]

    response = call(
        client,
        "reschedule",
        parameters(start("2098-01-01T03:00:00+01:00")),
        on=booked["id"],
    )
    assert_outcome(
        response,
        409,
        issue(
            "conflict",
            "No free time begins then in that schedule; search for another one.",
            error=ErrorCode.REQUESTED_TIME_IS_NO_LONGER_AVAILABLE,
        ),
    )
    read = client.get(f"/fhir/Appointment/{booked['id']}").json
    assert read is not None
    assert (read["status"], read["start"]) == ("booked", booked["start"])
    assert len(sandbox.writes("norr", number)) == 1


def test_an_unknown_outcome_is_pending(
    client: FlaskClient, sandbox: Sandbox, booked: dict[str, Any]
) -> None:
    """A lost answer is 202."""
    slot = another_slot(client, booked)
    sandbox.spoil("norr", "drop-after-processing", interactions=["UpdateBooking"])

    response = call(
        client, "reschedule", parameters(start(slot["start"])), on=booked["id"]
    )
    assert response.status_code == 202
    assert appointment_of(response)["status"] == "pending"


def test_a_cancelled_appointment_is_not_moved(
    client: FlaskClient, booked: dict[str, Any]
) -> None:
    """A cancelled appointment has to be booked again instead."""
    slot = another_slot(client, booked)
    call(client, "cancel", parameters(), on=booked["id"])

    response = call(
        client, "reschedule", parameters(start(slot["start"])), on=booked["id"]
    )
    assert_outcome(
        response,
        409,
        issue(
            "conflict",
            "The appointment is not booked, so it cannot be changed; read it again.",
            error=ErrorCode.APPOINTMENT_IS_ALREADY_CANCELED,
        ),
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            [],
            issue(
                "required",
                "Name the new time: slot-reference, or start.",
                expression="Parameters",
            ),
        ),
        (
            [{"name": "start", "valueDateTime": "2026-13-01T00:00:00Z"}],
            issue(
                "value",
                "The element's value does not fit its type in R4.",
                expression="Parameters.parameter[0].value",
            ),
        ),
        (
            [
                start("2098-01-01T03:00:00+01:00"),
                reference("schedule", "Schedule/a"),
                reference("schedule", "Schedule/b"),
            ],
            issue(
                "value",
                "schedule: is given more than once (schedule).",
                expression="Parameters.parameter[2].value",
            ),
        ),
        (
            [
                start("2098-01-01T03:00:00+01:00"),
                reference("slot", "Slot/SE1-1.00000000.00000000.1.1"),
            ],
            issue(
                "value",
                "start is not the slot's: leave it out.",
                expression="Parameters",
            ),
        ),
    ],
)
def test_a_wrong_call_is_refused(
    client: FlaskClient,
    booked: dict[str, Any],
    given: list[dict[str, Any]],
    expected: dict[str, Any],
) -> None:
    """Each fault is 400 with its place."""
    response = call(client, "reschedule", parameters(*given), on=booked["id"])

    assert_outcome(response, 400, expected)


def test_it_does_not_cancel(client: FlaskClient, booked: dict[str, Any]) -> None:
    """A cancelled Appointment is for $cancel."""
    response = call(client, "reschedule", booked | {"status": "cancelled"})

    assert_outcome(
        response,
        400,
        issue(
            "value",
            "To cancel, call $cancel; $reschedule moves.",
            expression="Parameters",
        ),
    )


def test_another_region_is_refused(client: FlaskClient, booked: dict[str, Any]) -> None:
    """A move to another region is 422, with a code that says what is not allowed."""
    elsewhere = next(free_slots(client, "syd"))["id"]

    response = call(
        client,
        "reschedule",
        parameters(reference("slot", f"Slot/{elsewhere}")),
        on=booked["id"],
    )
    assert response.status_code == 422
    assert response.json is not None
    (reported,) = response.json["issue"]
    assert (
        reported["details"]["coding"][0]["code"] == "UPDATE_APPOINTMENT_IS_NOT_ALLOWED"
    )


def test_a_free_time_cannot_be_moved(client: FlaskClient) -> None:
    """A proposal in the URL is not a second slot, and not an appointment."""
    first, second = (slot["id"] for slot in islice(free_slots(client), 2))

    response = call(
        client,
        "reschedule",
        parameters(reference("slot", f"Slot/{second}")),
        on=first,
    )
    assert_outcome(
        response,
        400,
        issue(
            "value",
            "This names a free time, not an appointment: name the appointment in the"
            " answer to $book or $hold.",
            expression="Parameters",
        ),
    )


def test_the_new_time_can_be_a_proposal(
    client: FlaskClient, booked: dict[str, Any]
) -> None:
    """An appointment moves to the free time that `$find` has proposed."""
    slot = another_slot(client, booked)["id"]

    response = call(
        client,
        "reschedule",
        parameters(reference("appointment-reference", f"Appointment/{slot}")),
        on=booked["id"],
    )
    assert response.status_code == 200, response.text
    assert appointment_of(response)["slot"] == [{"reference": f"Slot/{slot}"}]
