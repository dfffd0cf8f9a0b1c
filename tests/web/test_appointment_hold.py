"""
Appointment/$hold: a free time is kept while a resident makes up their mind.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final

import pytest
from assertions import assert_issues, assert_outcome, issue, outcome_entries
from flask.testing import FlaskClient

from fhir_gateway.bootstrap import Program
from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.model.timekeeping import now

from .bodies import appointment, book, free_slots, patch, slot_patch
from .conflicts import NOT_BOOKED
from .dialects import (
    BOOKINGS,
    BUSY_TENTATIVE,
    HOLDS,
    appointment_of,
    call,
    parameters,
    patient,
    reference,
    resource,
    text,
)
from .running import BASE_URL, Sandbox, sell_elsewhere

_HOLD: Final = "https://fhir-gateway.example.org/StructureDefinition/hold"
_BINDS: Final = issue(
    "informational",
    "The hold binds the clients of this server only: the unit does not know of it and"
    " may give the time to somebody else.",
    severity="information",
    error=ErrorCode.HOLD_BINDS_THIS_SERVER_ONLY,
)


def held_until(body: dict[str, Any]) -> datetime:
    """Return when a hold ends."""
    (hold,) = (each for each in body["extension"] if each["url"] == _HOLD)
    until, binds = hold["extension"]
    assert (until["url"], binds) == (
        "held-until",
        {"url": "binds", "valueCode": "clients-of-this-server"},
    )
    return datetime.fromisoformat(until["valueDateTime"])


def hold(client: FlaskClient, slot: str, number: str) -> dict[str, Any]:
    """Hold a slot; return the Appointment."""
    response = call(client, "hold", HOLDS["plain"](slot, number))
    assert response.status_code == 201, response.text
    return appointment_of(response)


def ids(client: FlaskClient, region: str) -> set[str]:
    """Return the ids of a region's free slots."""
    return {each["id"] for each in free_slots(client, region)}


@pytest.mark.parametrize("dialect", HOLDS)
def test_every_dialect_holds_the_same(
    client: FlaskClient, sandbox: Sandbox, dialect: str, number: str
) -> None:
    """A hold is 201, pending, ends within five minutes, and no region hears of it."""
    slot = next(free_slots(client, "norr"))

    response = call(client, "hold", HOLDS[dialect](slot["id"], number))
    assert response.status_code == 201, response.text
    held = appointment_of(response)
    assert response.headers["Location"] == f"{BASE_URL}/Appointment/{held['id']}"
    assert held["status"] == "pending"
    assert held["slot"] == [{"reference": f"Slot/{slot['id']}"}]
    assert timedelta(minutes=4) < held_until(held) - now() <= timedelta(minutes=5)
    assert sandbox.writes("norr", number) == []
    assert slot["id"] not in ids(client, "norr")
    call(client, "cancel", parameters(), on=held["id"])


@pytest.mark.parametrize("dialect", ["argonaut", "ihe", "medplum", "austria"])
def test_the_answer_says_whom_it_binds(
    client: FlaskClient, dialect: str, number: str
) -> None:
    """
    In forms that can hold an outcome, the answer says that the unit does not know.
    """
    slot = next(free_slots(client, "norr"))["id"]

    body = call(client, "hold", HOLDS[dialect](slot, number)).json
    assert body is not None
    if dialect == "medplum":
        reported = body["entry"][0]["response"]["outcome"]["issue"]
    elif dialect == "austria":
        named = {each["name"]: each for each in body["parameter"]}
        assert set(named) == {
            *("appointment", "slot-reference", "held-until", "slot", "outcome")
        }
        assert named["slot"]["resource"]["status"] == "busy-tentative"
        assert named["slot"]["resource"]["id"] == slot
        assert named["slot-reference"]["valueReference"]["reference"] == f"Slot/{slot}"
        until = datetime.fromisoformat(named["held-until"]["valueDateTime"])
        assert until == held_until(named["appointment"]["resource"])
        reported = named["outcome"]["resource"]["issue"]
    else:
        reported = outcome_entries(body)
    assert_issues(reported, [_BINDS])


def test_a_hold_can_be_had_by_number_alone(client: FlaskClient, number: str) -> None:
    """A hold needs no name; booking it does."""
    slot = next(free_slots(client, "norr"))["id"]

    body = appointment(slot, number, contained=None)
    del body["participant"][0]["actor"]["reference"]
    held = appointment_of(call(client, "hold", body))
    nameless = call(client, "book", parameters(), on=held["id"])
    assert nameless.status_code == 422
    named = call(
        client,
        "book",
        parameters(resource("patient-resource", patient(number))),
        on=held["id"],
    )
    assert named.status_code == 201, named.text


def test_a_held_slot_is_kept_from_others(
    client: FlaskClient, numbers: list[str]
) -> None:
    """Another resident can neither find, hold nor book a held slot."""
    slot = next(free_slots(client, "norr"))["id"]
    hold(client, slot, numbers[0])

    assert client.get(f"/fhir/Appointment/{slot}").status_code == 404
    for operation in ("hold", "book"):
        response = call(client, operation, BOOKINGS["plain"](slot, numbers[1]))
        assert response.status_code == 409
        assert response.json is not None
        (reported,) = response.json["issue"]
        assert reported["details"]["coding"][0]["code"] == (
            "REQUESTED_TIME_IS_ALREADY_RESERVED"
        )


def test_a_hold_is_booked_by_reference(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """$book of a hold books it under the same id, once."""
    slot = next(free_slots(client, "norr"))["id"]
    held = hold(client, slot, number)

    response = call(
        client,
        "book",
        parameters(
            reference("appointment-reference", f"Appointment/{held['id']}"),
            text("comment", "Jag hostar."),
        ),
    )
    assert response.status_code == 201, response.text
    booked = appointment_of(response)
    assert (booked["id"], booked["status"]) == (held["id"], "booked")
    assert booked["comment"] == "Jag hostar."
    assert _HOLD not in {each["url"] for each in booked["extension"]}
    assert [row["interaction"] for row in sandbox.writes("norr", number)] == [
        "MakeBooking"
    ]


@pytest.mark.parametrize("dialect", BOOKINGS)
def test_the_holder_of_a_slot_books_it(
    client: FlaskClient, sandbox: Sandbox, dialect: str, number: str
) -> None:
    """A booking of one's own held slot, in any dialect, converts the hold."""
    slot = next(free_slots(client, "syd"))["id"]
    held = hold(client, slot, number)

    response = call(client, "book", BOOKINGS[dialect](slot, number))
    assert response.status_code == 201, response.text
    assert appointment_of(response)["id"] == held["id"]
    assert len(sandbox.writes("syd", number)) == 1


def test_a_pending_appointment_that_is_sent_back_is_booked(
    client: FlaskClient, number: str
) -> None:
    """The held Appointment itself, sent whole as Medplum does, is booked."""
    slot = next(free_slots(client, "norr"))["id"]
    held = hold(client, slot, number)

    response = call(client, "book", parameters(resource("appointment", held)))
    assert response.status_code == 201, response.text
    assert appointment_of(response)["id"] == held["id"]


def test_a_hold_is_renewed(client: FlaskClient, number: str) -> None:
    """$hold of a hold lets it last longer; it stays the same hold."""
    slot = next(free_slots(client, "norr"))["id"]
    held = hold(client, slot, number)

    response = call(client, "hold", parameters(), on=held["id"])
    assert response.status_code == 200, response.text
    renewed = appointment_of(response)
    assert renewed["id"] == held["id"]
    assert held_until(renewed) >= held_until(held)


_RELEASES: Final[
    dict[str, Callable[[dict[str, Any]], tuple[str, str | None, dict[str, Any]]]]
] = {
    "austria": lambda held: (
        "hold",
        held["id"],
        parameters({"name": "slot-status", "valueCode": "free"}),
    ),
    "medplum": lambda held: (
        "cancel",
        None,
        parameters(reference("appointment-reference", f"Appointment/{held['id']}")),
    ),
    "ihe": lambda held: (
        "book",
        None,
        parameters(resource("appointment-resource", held | {"status": "cancelled"})),
    ),
    "plain": lambda held: ("hold", None, held | {"status": "cancelled"}),
}


@pytest.mark.parametrize("dialect", _RELEASES)
def test_a_hold_is_let_go(
    client: FlaskClient, sandbox: Sandbox, dialect: str, number: str
) -> None:
    """A released hold is cancelled, its slot is free at once, and nothing was sent."""
    slot = next(free_slots(client, "norr"))["id"]
    operation, on, body = _RELEASES[dialect](hold(client, slot, number))

    response = call(client, operation, body, on=on)
    assert response.status_code == 200, response.text
    assert appointment_of(response)["status"] == "cancelled"
    assert slot in ids(client, "norr")
    assert sandbox.writes("norr", number) == []


def test_a_hold_is_let_go_by_patch(client: FlaskClient, number: str) -> None:
    """Argonaut releases a hold by a PATCH to cancelled."""
    slot = next(free_slots(client, "norr"))["id"]
    held = hold(client, slot, number)

    response = patch(
        client, held["id"], [{"op": "replace", "path": "/status", "value": "cancelled"}]
    )
    assert response.status_code == 200, response.text
    assert slot in ids(client, "norr")


def test_a_released_hold_is_over(client: FlaskClient, number: str) -> None:
    """A released hold can be neither renewed nor booked, and the code says so."""
    slot = next(free_slots(client, "norr"))["id"]
    held = hold(client, slot, number)
    call(client, "cancel", parameters(), on=held["id"])

    assert call(client, "book", parameters(), on=held["id"]).status_code == 409
    response = call(client, "hold", parameters(), on=held["id"])
    assert response.status_code == 409
    assert response.json is not None
    (reported,) = response.json["issue"]
    assert reported["details"]["coding"][0]["code"] == "HOLD_IS_OVER"


def test_nobody_holds_three(client: FlaskClient, number: str) -> None:
    """A resident's third hold is 409, with a code; a release makes room."""
    slots = [each["id"] for each in islice(free_slots(client, "norr"), 3)]
    first, _ = (hold(client, slot, number) for slot in slots[:2])

    response = call(client, "hold", HOLDS["plain"](slots[2], number))
    assert response.status_code == 409
    assert response.json is not None
    (reported,) = response.json["issue"]
    assert reported["details"]["coding"][0]["code"] == "TOO_MANY_HOLDS"
    call(client, "cancel", parameters(), on=first["id"])
    hold(client, slots[2], number)


def test_a_second_hold_of_the_same_slot_is_the_first(
    client: FlaskClient, number: str
) -> None:
    """A resident who holds a slot and asks again gets the existing hold."""
    slot = next(free_slots(client, "norr"))["id"]

    assert hold(client, slot, number)["id"] == hold(client, slot, number)["id"]


def test_what_one_has_booked_is_not_held(client: FlaskClient, number: str) -> None:
    """A hold of one's own booked slot is 409: there is nothing left to hold."""
    booked = book(client, "norr", number).json
    assert booked is not None
    slot = booked["slot"][0]["reference"].partition("/")[2]

    response = call(client, "hold", HOLDS["plain"](slot, number))
    assert response.status_code == 409


def test_a_slot_that_is_gone_is_not_held(
    client: FlaskClient, made: Program, numbers: list[str]
) -> None:
    """A slot is looked up at its source before it is held."""
    # One of the latest: until the next refresh it goes on being offered here.
    latest = free_slots(client, "norr", _sort="-start")
    *_, slot = (each["id"] for each in islice(latest, 6))
    sell_elsewhere(made, slot, numbers[0])

    response = call(client, "hold", HOLDS["ihe"](slot, numbers[1]))
    assert_outcome(
        response,
        409,
        issue(
            "conflict",
            "The slot is no longer free; search again for another one. (source norr)",
            error=ErrorCode.REQUESTED_TIME_IS_NO_LONGER_AVAILABLE,
        ),
    )


def test_a_hold_is_not_moved(client: FlaskClient, number: str) -> None:
    """Another slot is held, not moved to: a patch of a hold's slot is refused."""
    slot, other = (each["id"] for each in islice(free_slots(client, "norr"), 2))
    held = hold(client, slot, number)

    assert_outcome(
        patch(client, held["id"], slot_patch(other)),
        409,
        NOT_BOOKED,
    )


def test_what_a_hold_needs_is_named(client: FlaskClient) -> None:
    """Slot and patient are missing, and both are named."""
    assert_outcome(
        call(client, "hold", parameters(BUSY_TENTATIVE)),
        422,
        issue("required", "Name the slot to book.", expression="Appointment.slot"),
        issue(
            "required",
            "Name the patient: a participant with an actor that has an identifier with"
            " the system http://electronichealth.se/identifier/personnummer.",
            expression="Appointment.participant",
        ),
    )


def test_only_a_known_hold_is_let_go(client: FlaskClient) -> None:
    """A release has to name the hold: a slot may be anybody's."""
    slot = next(free_slots(client, "norr"))["id"]

    assert_outcome(
        call(
            client,
            "hold",
            parameters(
                reference("slot-reference", f"Slot/{slot}"),
                {"name": "slot-status", "valueCode": "free"},
            ),
        ),
        400,
        issue(
            "required",
            "Name the appointment, as appointment-reference or in the URL.",
            expression="Parameters",
        ),
    )


def test_another_slot_status_is_refused(client: FlaskClient, number: str) -> None:
    """slot-status says hold or let go, and nothing else."""
    slot = next(free_slots(client, "norr"))["id"]

    response = call(
        client,
        "hold",
        parameters(
            reference("slot-reference", f"Slot/{slot}"),
            {"name": "slot-status", "valueCode": "busy"},
            resource("patient-resource", patient(number)),
        ),
    )
    assert_outcome(
        response,
        400,
        issue(
            "value",
            "slot-status must be busy-tentative, to hold, or free.",
            expression="Parameters",
        ),
    )


def test_an_unknown_hold_is_not_found(client: FlaskClient) -> None:
    """Nothing is held under an id that nobody knows."""
    response = call(client, "hold", parameters(), on="x")

    assert response.status_code == 404


def test_what_one_resident_is_not_offered_others_still_find(
    client: FlaskClient, made: Program, sandbox: Sandbox, number: str
) -> None:
    """A region that lists nothing for one number takes no slot from the searches."""
    before = ids(client, "norr")
    sandbox.spoil("norr", "empty", interactions=["GetAvailableTimeslots"])

    answers = [
        call(client, "hold", HOLDS["plain"](slot, number))
        for slot in sorted(before)[:5]
    ]

    made.view.catch_up()
    assert {each.status_code for each in answers} == {409}
    assert ids(client, "norr") == before
