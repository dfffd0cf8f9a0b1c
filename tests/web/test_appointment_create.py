"""
Appointment create: books.

https://hl7.org/fhir/R4/http.html#create
"""

import json
from datetime import timedelta
from typing import Any

import pytest
from assertions import FHIR_JSON as ANSWERED
from assertions import assert_outcome, issue
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from fhir_gateway.bootstrap import Program
from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.model.timekeeping import epoch_seconds, now
from fhir_gateway.model.timeslot import TimeslotToken

from .bodies import (
    FHIR_JSON,
    PERSONNUMMER,
    appointment,
    book,
    free_slots,
    patch,
    status_patch,
)
from .running import BASE_URL, REGIONS, Sandbox, sell_elsewhere

_MAKE = "MakeBooking"
_TIMESLOTS = "GetAvailableTimeslots"
_PERMISSIONS = (
    "https://fhir-gateway.example.org/StructureDefinition/booking-permissions"
)


def post(
    client: FlaskClient, body: Any, *, headers: dict[str, str] | None = None
) -> TestResponse:
    """Send a body that books; return the answer."""
    return client.post(
        "/fhir/Appointment", json=body, content_type=FHIR_JSON, headers=headers
    )


def created(response: TestResponse) -> dict[str, Any]:
    """Return the appointment that was booked."""
    assert (response.status_code, response.headers["Content-Type"]) == (201, ANSWERED)
    appointment_: dict[str, Any] | None = response.json
    assert appointment_ is not None
    return appointment_


# Booked.


@pytest.mark.parametrize("region", REGIONS)
def test_a_free_slot_is_booked(
    client: FlaskClient, sandbox: Sandbox, region: str, number: str
) -> None:
    """A booking is 201: booked, with the region's id, an ETag and where to read it."""
    slot = next(free_slots(client, region))

    response = post(client, appointment(slot["id"], number, comment="Jag hostar."))
    booked = created(response)
    assert response.headers["Location"] == f"{BASE_URL}/Appointment/{booked['id']}"
    assert response.headers["ETag"] == f'W/"{booked["meta"]["versionId"]}"'
    assert booked["status"] == "booked"
    assert booked["slot"] == [{"reference": f"Slot/{slot['id']}"}]
    assert (booked["start"], booked["end"]) == (slot["start"], slot["end"])
    assert booked["serviceType"] == slot["serviceType"]
    assert booked["comment"] == "Jag hostar."
    assert booked["meta"]["source"] == slot["meta"]["source"]
    (identifier,) = booked["identifier"]
    (write,) = sandbox.writes(region, number)
    assert (write["interaction"], write["booking_id"], write["done"]) == (
        "MakeBooking",
        identifier["value"],
        True,
    )
    assert identifier["system"].startswith(
        "https://fhir-gateway.example.org/identifier/booking-id/SE232100990"
    )


def test_the_location_is_read(client: FlaskClient, number: str) -> None:
    """The URL in Location answers with the appointment that was booked."""
    response = book(client, "norr", number)

    read = client.get(response.headers["Location"].removeprefix("http://gateway.test"))
    assert read.json == response.json


def test_the_patient_is_identified_by_number_alone(
    client: FlaskClient, number: str
) -> None:
    """An appointment identifies its patient by number; the name is not repeated."""
    booked = created(book(client, "norr", number))

    assert booked["participant"][0]["actor"] == {
        "type": "Patient",
        "identifier": {"system": PERSONNUMMER, "value": number},
    }
    assert "Testlund" not in json.dumps(booked)


def test_permissions_are_shown(client: FlaskClient, number: str) -> None:
    """An appointment says whether it can be cancelled, moved and written about."""
    booked = created(book(client, "norr", number))

    permissions = booked["extension"][0]
    assert permissions["url"] == _PERMISSIONS
    assert [each["valueBoolean"] for each in permissions["extension"]] == [True] * 3


@pytest.mark.parametrize("status", ["proposed", "booked"])
def test_either_status_books(client: FlaskClient, status: str, number: str) -> None:
    """A client may send a new booking as proposed or as booked."""
    assert created(book(client, "syd", number, status=status))["status"] == "booked"


def test_a_clients_own_id_is_not_used(client: FlaskClient, number: str) -> None:
    """The server assigns ids, and ignores one in the body."""
    assert created(book(client, "norr", number, id="mine"))["id"] != "mine"


def test_the_unit_may_be_a_participant(client: FlaskClient, number: str) -> None:
    """A client that names the slot's unit and service books as well."""
    slot = next(free_slots(client, "norr"))
    token = TimeslotToken.parse(slot["id"])
    body = appointment(slot["id"], number)
    body["participant"] += [
        {"actor": {"reference": reference}, "status": "needs-action"}
        for reference in (
            f"Location/{token.unit}",
            f"HealthcareService/{token.time_type}",
        )
    ]

    assert created(post(client, body))["status"] == "booked"


def _another_practitioner(client: FlaskClient, body: dict[str, Any]) -> str:
    """Return the HSA-id of a member of staff that a proposal does not name."""
    own = {
        each["actor"].get("identifier", {}).get("value") for each in body["participant"]
    }
    bundle = client.get(
        "/fhir/Slot", query_string={"_include": "Slot:schedule", "_count": "200"}
    ).json
    assert bundle is not None
    for entry in bundle["entry"]:
        for actor in entry["resource"].get("actor", ()):
            reference = actor.get("reference", "")
            kind, _, identifier = reference.partition("/")
            if kind == "Practitioner" and identifier not in own:
                return str(identifier)
    raise AssertionError("no other practitioner has a free slot")


def test_a_proposal_with_its_participants_books(
    client: FlaskClient, number: str
) -> None:
    """A client may send back the proposed place, service and staff."""
    slot = next(free_slots(client, "norr"))
    proposal = client.get(f"/fhir/Appointment/{slot['id']}").json
    assert proposal is not None
    body = appointment(slot["id"], number)
    body["participant"] += proposal["participant"]

    assert created(post(client, body))["status"] == "booked"


@pytest.mark.parametrize(
    "form", ["reference", "absolute", "identifier", "Device", "display", "type"]
)
def test_a_participant_that_is_not_the_slots_books_nothing(
    client: FlaskClient, sandbox: Sandbox, number: str, form: str
) -> None:
    """
    A participant whom the region does not list at that time is 422; nothing is sent.
    """
    slot = next(free_slots(client, "norr"))
    proposal = client.get(f"/fhir/Appointment/{slot['id']}").json
    assert proposal is not None
    other = _another_practitioner(client, proposal)
    actor: dict[str, Any] = {
        "reference": {"reference": f"Practitioner/{other}"},
        "absolute": {"reference": f"{BASE_URL}/Practitioner/{other}"},
        "identifier": {
            "type": "Practitioner",
            "identifier": {"system": "urn:oid:1.2.752.29.4.19", "value": other},
        },
        "Device": {"reference": "Device/1"},
        "display": {"display": "Dr X"},
        "type": {},
    }[form]
    who = {"actor": actor} if actor else {"type": [{"text": "interpreter"}]}
    body = appointment(slot["id"], number)
    body["participant"].append({**who, "status": "needs-action"})

    place = "Appointment.participant[1]" + (".actor" if actor else "")
    assert_outcome(
        post(client, body),
        422,
        issue(
            "value",
            "The participant is not one of the slot's: leave it out.",
            expression=f"{place}.reference" if "reference" in actor else place,
        ),
    )
    assert sandbox.writes("norr", number) == []


_OTHER_TYPE = [{"coding": [{"system": "http://snomed.info/sct", "code": "73211009"}]}]


@pytest.mark.parametrize("path", ["", "/$book", "/$hold"])
def test_another_service_type_than_the_slots_books_nothing(
    client: FlaskClient, sandbox: Sandbox, path: str, number: str
) -> None:
    """
    Nobody would give that care, so the coding is named, also when all else is right.
    """
    slot = next(free_slots(client, "norr"))
    body = appointment(slot["id"], number, serviceType=_OTHER_TYPE)

    response = client.post(
        f"/fhir/Appointment{path}", json=body, content_type=FHIR_JSON
    )

    assert_outcome(
        response,
        422,
        issue(
            "value",
            "The slot has no such serviceType: leave it out, or choose another slot.",
            expression="Appointment.serviceType[0].coding[0]",
            error=ErrorCode.VALUE_IS_INVALID,
        ),
    )
    assert sandbox.writes("norr", number) == []


def test_another_service_type_than_the_holds_books_nothing(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A hold is booked as a client reads it."""
    slot = next(free_slots(client, "norr"))
    held = client.post(
        "/fhir/Appointment/$hold",
        json=appointment(slot["id"], number),
        content_type=FHIR_JSON,
    ).json
    assert held is not None
    body = appointment(slot["id"], number, id=held["id"], serviceType=_OTHER_TYPE)

    response = client.post("/fhir/Appointment/$book", json=body, content_type=FHIR_JSON)

    assert response.status_code == 422
    assert sandbox.writes("norr", number) == []


def test_the_slots_service_type_books(client: FlaskClient, number: str) -> None:
    """Its own coding, its shared meaning and a text may be sent with it."""
    slot = next(free_slots(client, "norr"))

    created(
        post(
            client,
            appointment(
                slot["id"], number, serviceType=[*slot["serviceType"], {"text": "x"}]
            ),
        )
    )


def test_a_coordination_number_books(client: FlaskClient) -> None:
    """A resident with a samordningsnummer books under its own system."""
    identifier = {
        "system": "http://electronichealth.se/identifier/samordningsnummer",
        "value": "197010632391",
    }
    slot = next(free_slots(client, "norr"))
    text = json.dumps(appointment(slot["id"], "NUMBER"))
    body = json.loads(
        text.replace(PERSONNUMMER, identifier["system"]).replace(
            "NUMBER", identifier["value"]
        )
    )

    booked = created(post(client, body))
    assert booked["participant"][0]["actor"]["identifier"] == identifier


# The region's words.


def test_an_info_is_shown(client: FlaskClient, sandbox: Sandbox, number: str) -> None:
    """A region's INFO is in patientInstruction and in a contained outcome."""
    sandbox.spoil("norr", "info", text="Kom tio minuter före.")

    booked = created(book(client, "norr", number))
    assert booked["status"] == "booked"
    assert booked["patientInstruction"] == "Kom tio minuter före."
    assert booked["contained"] == [
        {
            "resourceType": "OperationOutcome",
            "id": "region-message",
            "issue": [
                issue(
                    "informational",
                    severity="information",
                    text="Kom tio minuter före.",
                    error=ErrorCode.REGION_MESSAGE,
                )
            ],
        }
    ]


def test_an_info_is_still_shown_when_it_is_read(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A region's text from the booking is in every later read."""
    sandbox.spoil("syd", "info", text="Ta med legitimation.")
    booked = created(book(client, "syd", number))
    sandbox.heal()

    read = client.get(f"/fhir/Appointment/{booked['id']}").json
    assert read is not None
    assert read["patientInstruction"] == "Ta med legitimation."
    assert read["contained"] == booked["contained"]


def test_a_regions_error_is_shown(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A region's ERROR for a time that is still free is 422 with its own words."""
    sandbox.spoil("norr", "error", text="Du måste ringa oss.")

    response = book(client, "norr", number)
    assert_outcome(response, 422, issue("business-rule", text="Du måste ringa oss."))


def test_a_refused_slot_is_free_again(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """After an ERROR the time can be booked, by anybody."""
    sandbox.spoil("norr", "error", count=1)
    slot = next(free_slots(client, "norr"))
    assert post(client, appointment(slot["id"], number)).status_code == 422

    assert next(free_slots(client, "norr")) == slot
    assert created(post(client, appointment(slot["id"], number)))["status"] == "booked"


# Taken.


@pytest.mark.parametrize("region", REGIONS)
def test_a_slot_that_was_sold_elsewhere_is_taken(
    client: FlaskClient, made: Program, region: str, numbers: list[str]
) -> None:
    """A time that its unit has sold by telephone is 409, in every region."""
    slot = next(free_slots(client, region))
    sell_elsewhere(made, slot["id"], numbers[0])

    response = post(client, appointment(slot["id"], numbers[1]))
    assert_outcome(
        response,
        409,
        issue(
            "conflict",
            "The slot is no longer free; search again for another one."
            f" (source {region})",
        ),
    )


def test_a_slot_that_is_sold_at_that_very_moment_is_taken(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """An ERROR for a time that is no longer listed is 409, in the region's words."""
    sandbox.spoil("norr", "error", text="Tiden är redan bokad.", count=1)
    # Listed when the gateway looks before it books, and not when it looks after.
    slot = next(free_slots(client, "norr"))
    sandbox.spoil("norr", "answer-late", interactions=[_TIMESLOTS], seconds=0, count=1)
    sandbox.spoil("norr", "empty", interactions=[_TIMESLOTS], count=1)

    response = post(client, appointment(slot["id"], number))
    assert_outcome(response, 409, issue("conflict", text="Tiden är redan bokad."))


def test_a_slot_that_was_booked_here_is_taken(
    client: FlaskClient, numbers: list[str]
) -> None:
    """A time that another client has just booked here is 409."""
    slot = next(free_slots(client, "norr"))
    created(post(client, appointment(slot["id"], numbers[0])))

    response = post(client, appointment(slot["id"], numbers[1]))
    assert response.status_code == 409
    assert response.json is not None
    assert [each["code"] for each in response.json["issue"]] == ["conflict"]


def test_a_client_that_asks_again_gets_its_own_booking(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """The same resident's second request for a time is 200: the first booking."""
    slot = next(free_slots(client, "norr"))
    first = created(post(client, appointment(slot["id"], number)))

    response = post(client, appointment(slot["id"], number))
    assert response.status_code == 200
    assert response.json is not None
    assert response.json["id"] == first["id"]
    assert len(sandbox.writes("norr", number)) == 1


def test_a_group_time_is_booked_until_it_is_full(
    client: FlaskClient, numbers: list[str]
) -> None:
    """A time for several is booked as many times as it has places."""
    group = {"service-type": "TT-GRUPP", "_sort": "-start"}
    slot = next(free_slots(client, "norr", **group))
    places = slot["extension"][0]["valueInteger"]

    answers = [
        post(client, appointment(slot["id"], number)).status_code
        for number in numbers[: places + 1]
    ]
    assert answers == [201] * places + [409]
    assert slot["id"] not in {each["id"] for each in free_slots(client, **group)}


# Unknown outcomes.


def test_an_unknown_outcome_is_pending(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A booking with a lost answer is 202, pending, with where to look again."""
    sandbox.spoil("norr", "drop-after-processing", interactions=[_MAKE])

    response = book(client, "norr", number)
    body = response.json
    assert body is not None
    assert response.status_code == 202
    assert "Location" not in response.headers
    url = f"{BASE_URL}/Appointment/{body['id']}"
    assert response.headers["Content-Location"] == url
    assert body["status"] == "pending"
    assert "identifier" not in body
    assert {each["status"] for each in body["participant"]} == {"needs-action"}


@pytest.mark.parametrize("region", REGIONS)
def test_a_pending_booking_that_was_made_is_found_out(
    client: FlaskClient, sandbox: Sandbox, region: str, number: str
) -> None:
    """Read again, a booking with a lost answer is booked; it was sent once."""
    sandbox.spoil(region, "drop-after-processing", interactions=[_MAKE])
    pending = book(client, region, number).json
    assert pending is not None

    read = client.get(f"/fhir/Appointment/{pending['id']}").json
    (write,) = sandbox.writes(region, number)
    assert read is not None
    assert read["status"] == "booked"
    assert read["identifier"][0]["value"] == write["booking_id"]


def test_a_pending_booking_that_was_not_made_stays_pending(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A booking that may still arrive is pending, and searches leave out its slot."""
    sandbox.spoil("norr", "drop-before-processing", interactions=[_MAKE], count=1)
    slot = next(free_slots(client, "norr"))
    pending = post(client, appointment(slot["id"], number))

    assert pending.status_code == 202
    assert pending.json is not None
    read = client.get(f"/fhir/Appointment/{pending.json['id']}").json
    assert read is not None
    assert read["status"] == "pending"
    assert slot["id"] not in {each["id"] for each in free_slots(client, "norr")}


def test_a_second_request_for_a_pending_booking_sends_nothing(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A client that asks again while the outcome is unknown gets 202 again."""
    sandbox.spoil("norr", "drop-before-processing", interactions=[_MAKE])
    slot = next(free_slots(client, "norr"))
    first, second = (post(client, appointment(slot["id"], number)) for _ in range(2))

    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json is not None
    assert second.json is not None
    assert second.json["id"] == first.json["id"]
    assert len(sandbox.ledger("norr")["writes"]) == len(
        {row["sequence"] for row in sandbox.ledger("norr")["writes"]}
    )
    assert len(sandbox.writes("norr", number)) == 1


# Not possible now.


def test_a_region_that_cannot_be_asked_is_unavailable(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """When the region cannot be asked nothing is sent, and the client may try again."""
    sandbox.spoil("norr", "vp-fault", code="VP009", interactions=[_TIMESLOTS])

    response = book(client, "norr", number)
    assert_outcome(
        response,
        503,
        issue(
            "transient",
            "The source answered with a technical fault (VP009)."
            " (source norr, GetAvailableTimeslots)",
        ),
    )
    assert response.headers["Retry-After"] == "30"
    assert sandbox.writes("norr", number) == []


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"fault": "vp-fault", "code": "VP004"}, id="VP004"),
        pytest.param({"fault": "vp-fault", "code": "VP007"}, id="VP007"),
        pytest.param({"fault": "wrong-status", "status": 500}, id="OK under 500"),
    ],
)
def test_a_write_that_no_answer_proves_undone_is_pending(
    client: FlaskClient, sandbox: Sandbox, number: str, fault: dict[str, Any]
) -> None:
    """A booking that may have been made is 202, and its slot is offered to nobody."""
    sandbox.spoil("norr", **fault, interactions=[_MAKE], count=1)
    slot = next(free_slots(client, "norr"))

    response = post(client, appointment(slot["id"], number))
    assert response.status_code == 202
    assert response.json is not None
    assert response.json["status"] == "pending"
    assert next(free_slots(client, "norr")) != slot


def test_a_booking_that_a_fault_hides_is_booked(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A fault after the booking was made is 201: the region's list has it."""
    sandbox.spoil(
        "norr", "vp-fault", code="VP004", after=True, interactions=[_MAKE], count=1
    )

    response = post(client, appointment(next(free_slots(client, "norr"))["id"], number))
    assert response.status_code == 201
    assert response.json is not None
    assert response.json["status"] == "booked"


# Refused before anybody is asked.


def test_a_slot_that_has_begun_is_refused(client: FlaskClient, number: str) -> None:
    """A past time is refused with what to do."""
    token = TimeslotToken.parse(next(free_slots(client))["id"])
    past = TimeslotToken(
        schedule=token.schedule,
        start=epoch_seconds(now() - timedelta(hours=1)),
        length=token.length,
    )

    assert_outcome(
        post(client, appointment(past.text, number)),
        422,
        issue("business-rule", "The slot has already begun; search for a later one."),
    )


def test_an_unknown_service_is_refused(client: FlaskClient, number: str) -> None:
    """A slot of a unit that nobody knows is refused with what to do."""
    token = next(free_slots(client))["id"]

    assert_outcome(
        post(client, appointment(f"SE1-1.{token.partition('.')[2]}", number)),
        422,
        issue(
            "not-found",
            "There is no such slot; search for one.",
            error=ErrorCode.REQUESTED_TIME_DOES_NOT_EXIST,
        ),
    )


def test_a_time_that_nobody_listed_is_taken(client: FlaskClient, number: str) -> None:
    """A time that the region does not list, at a unit that it knows, is 409."""
    token = TimeslotToken.parse(next(free_slots(client, "norr"))["id"])
    other = TimeslotToken(
        schedule=token.schedule, start=token.start + 60, length=token.length
    )

    assert post(client, appointment(other.text, number)).status_code == 409


def test_a_comment_that_the_region_would_cut_is_refused(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A comment that is too long for the region is refused before anything is sent."""
    response = book(client, "mitt", number, comment="x" * 301)

    assert_outcome(
        response,
        422,
        issue(
            "business-rule",
            "Region Mitt (sandlåda) takes at most 300 characters of comment."
            " (source mitt)",
        ),
    )
    assert sandbox.writes("mitt", number) == []


def test_a_comment_of_the_regions_length_is_kept(
    client: FlaskClient, number: str
) -> None:
    """A comment that just fits is kept whole."""
    booked = created(book(client, "mitt", number, comment="å" * 300))

    assert booked["comment"] == "å" * 300


def test_every_fault_is_named_in_one_answer(client: FlaskClient) -> None:
    """A body with several faults gets an issue for each; each says the way out."""
    body = appointment("1", "19121212-1212", status="fulfilled")

    response = post(client, body)
    not_12_digits = (
        "The patient's identifier: not a personal number: expected 12 digits,"
        " YYYYMMDDNNNN, without hyphen."
    )
    assert_outcome(
        response,
        422,
        issue(
            "value",
            "To book, send status proposed or booked.",
            expression="Appointment.status",
        ),
        issue(
            "not-found",
            "There is no such slot; search for one.",
            expression="Appointment.slot[0].reference",
        ),
        issue(
            "value",
            not_12_digits,
            expression="Appointment.participant[0].actor.identifier",
        ),
        issue(
            "value",
            not_12_digits,
            expression="Appointment.contained[0].identifier[0]",
        ),
    )


# Preferences.


def test_a_minimal_answer_has_no_body(client: FlaskClient, number: str) -> None:
    """Under return=minimal the headers have everything."""
    response = book(client, "norr", number, headers={"Prefer": "return=minimal"})

    assert (response.status_code, response.data) == (201, b"")
    assert "Content-Type" not in response.headers
    assert response.headers["ETag"].startswith("W/")
    assert response.headers["Location"].startswith(f"{BASE_URL}/Appointment/")


def test_an_outcome_can_be_had_instead(client: FlaskClient, number: str) -> None:
    """Under return=OperationOutcome the answer states the outcome."""
    response = book(
        client, "norr", number, headers={"Prefer": "return=OperationOutcome"}
    )

    assert_outcome(
        response,
        201,
        issue("informational", "The appointment is booked.", severity="information"),
    )


def test_an_outcome_has_the_regions_words(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """Under return=OperationOutcome a region's INFO is its text."""
    sandbox.spoil("norr", "info", text="Kom fastande.")

    response = book(
        client, "norr", number, headers={"Prefer": "return=OperationOutcome"}
    )
    assert_outcome(
        response,
        201,
        issue("informational", severity="information", text="Kom fastande."),
    )


def test_a_booking_and_its_cancellation_leave_the_slot_free(
    client: FlaskClient, numbers: list[str]
) -> None:
    """A time that was given back can be booked by somebody else."""
    slot = next(free_slots(client, "syd"))
    first = created(post(client, appointment(slot["id"], numbers[0])))
    patch(client, first["id"], status_patch("cancelled"))

    assert (
        created(post(client, appointment(slot["id"], numbers[1])))["id"] != first["id"]
    )


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("comment", ["Sjuk <b>", "a < b > c", "<p>Sjuk</p>", "&amp;"])
def test_a_comment_may_look_like_markup(
    client: FlaskClient, number: str, region: str, comment: str
) -> None:
    """A resident may write what looks like a tag: the sandbox books all the same."""
    assert created(book(client, region, number, comment=comment))["status"] == "booked"
