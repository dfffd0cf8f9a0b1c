"""
Appointment/$book: five dialects, one path, the same Appointment.
"""

from datetime import timedelta
from itertools import islice
from typing import Any

import pytest
from assertions import assert_outcome, issue
from flask.testing import FlaskClient

from fhir_gateway.bootstrap import Program
from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.model.timekeeping import epoch_seconds, now
from fhir_gateway.model.timeslot import TimeslotToken

from .bodies import (
    FHIR_JSON,
    PERSONNUMMER,
    another_slot,
    appointment,
    book,
    free_slots,
    key_of,
)
from .dialects import (
    BOOKINGS,
    CANCELLATIONS,
    MOVES,
    appointment_of,
    call,
    parameters,
    patient,
    reference,
    resource,
    text,
)
from .running import BASE_URL, REGIONS, Sandbox, sell_elsewhere

_OF_ONE_ROW = ("sequence", "received_at", "booking_id", "booking_id_sent")
_VARYING = ("id", "meta", "created", "identifier")


def plain(booked: dict[str, Any]) -> dict[str, Any]:
    """Return an Appointment without what differs from booking to booking."""
    return {name: value for name, value in booked.items() if name not in _VARYING}


# One path.


@pytest.mark.parametrize("region", REGIONS)
def test_every_dialect_books_the_same(
    client: FlaskClient, sandbox: Sandbox, region: str, number: str
) -> None:
    """In each dialect a slot becomes the same Appointment and the same ledger row."""
    slot = next(free_slots(client, region))["id"]
    made = client.post(
        "/fhir/Appointment",
        json=appointment(slot, number, comment="Jag hostar."),
        content_type=FHIR_JSON,
    ).json
    assert made is not None
    call(client, "cancel", parameters(), on=made["id"])
    expected = plain(made)

    answers = {}
    for dialect, body in BOOKINGS.items():
        response = call(client, "book", body(slot, number))
        assert response.status_code == 201, (dialect, response.text)
        booked = appointment_of(response)
        answers[dialect] = plain(booked)
        assert response.headers["Location"] == f"{BASE_URL}/Appointment/{booked['id']}"
        assert response.headers["ETag"] == f'W/"{booked["meta"]["versionId"]}"'
        call(client, "cancel", parameters(), on=booked["id"])

    assert answers == dict.fromkeys(BOOKINGS, expected)
    rows = [
        {name: value for name, value in row.items() if name not in _OF_ONE_ROW}
        for row in sandbox.writes(region, number)
    ]
    assert rows[0::2] == rows[:1] * (len(BOOKINGS) + 1)
    assert rows[1::2] == rows[1:2] * (len(BOOKINGS) + 1)
    assert rows[0]["interaction"] == "MakeBooking"
    assert rows[1]["interaction"] == "CancelBooking"


@pytest.mark.parametrize("dialect", MOVES)
def test_every_dialect_moves_the_same(
    client: FlaskClient, sandbox: Sandbox, dialect: str, number: str
) -> None:
    """A move keeps the id, has the new times, and is one UpdateBooking."""
    booked = book(client, "norr", number).json
    assert booked is not None
    slot = another_slot(client, booked)
    operation, on, body = MOVES[dialect](booked, slot["id"])

    response = call(client, operation, body, on=on)
    assert response.status_code == 200, response.text
    moved = appointment_of(response)
    assert moved["id"] == booked["id"]
    assert (moved["status"], moved["start"]) == ("booked", slot["start"])
    assert [row["interaction"] for row in sandbox.writes("norr", number)] == [
        "MakeBooking",
        "UpdateBooking",
    ]


@pytest.mark.parametrize("dialect", CANCELLATIONS)
def test_every_dialect_cancels_the_same(
    client: FlaskClient, sandbox: Sandbox, dialect: str, number: str
) -> None:
    """A cancellation is 200, and one CancelBooking, also when it is sent twice."""
    booked = book(client, "norr", number).json
    assert booked is not None
    operation, on, body = CANCELLATIONS[dialect](booked)

    for _ in range(2):
        response = call(client, operation, body, on=on)
        assert response.status_code == 200, response.text
        assert appointment_of(response)["status"] == "cancelled"
    assert [row["interaction"] for row in sandbox.writes("norr", number)] == [
        "MakeBooking",
        "CancelBooking",
    ]


# Forms of the answer.


@pytest.mark.parametrize(
    ("dialect", "kind"),
    [
        ("argonaut", "searchset"),
        ("ihe", "searchset"),
        ("ihe-resource", "searchset"),
        ("medplum", "transaction-response"),
    ],
)
def test_some_dialects_get_a_bundle(
    client: FlaskClient, dialect: str, kind: str, number: str
) -> None:
    """Argonaut, IHE and Medplum get a Bundle; Medplum's has the Slot beside it."""
    slot = next(free_slots(client, "syd"))["id"]

    response = call(client, "book", BOOKINGS[dialect](slot, number))
    bundle = response.json
    assert bundle is not None
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", kind)
    entry, *others = bundle["entry"]
    assert entry["fullUrl"] == response.headers["Location"]
    if kind == "searchset":
        assert bundle["total"] == 1
        assert others == []
    else:
        assert entry["response"]["status"] == "201"
        (taken,) = (each["resource"] for each in others)
        assert (taken["id"], taken["status"]) == (slot, "busy")


@pytest.mark.parametrize("dialect", ["isik", "plain"])
def test_others_get_the_appointment(
    client: FlaskClient, dialect: str, number: str
) -> None:
    """ISiK, and a client that sends an Appointment alone, get the Appointment."""
    slot = next(free_slots(client, "syd"))["id"]

    response = call(client, "book", BOOKINGS[dialect](slot, number))
    assert response.json is not None
    assert response.json["resourceType"] == "Appointment"


@pytest.mark.parametrize("dialect", BOOKINGS)
def test_an_unknown_outcome_is_pending_in_every_dialect(
    client: FlaskClient, sandbox: Sandbox, dialect: str, number: str
) -> None:
    """When the answer is lost every dialect gets 202 and where to read again."""
    sandbox.spoil("norr", "drop-after-processing", interactions=["MakeBooking"])
    slot = next(free_slots(client, "norr"))["id"]

    response = call(
        client,
        "book",
        BOOKINGS[dialect](slot, number),
        headers={"Prefer": "respond-async"},
    )
    assert response.status_code == 202
    pending = appointment_of(response)
    url = f"{BASE_URL}/Appointment/{pending['id']}"
    assert response.headers["Content-Location"] == url
    assert pending["status"] == "pending"


def test_a_minimal_answer_has_no_body(client: FlaskClient, number: str) -> None:
    """Prefer has the same effect as on create."""
    slot = next(free_slots(client, "norr"))["id"]

    response = call(
        client,
        "book",
        BOOKINGS["ihe"](slot, number),
        headers={"Prefer": "return=minimal"},
    )
    assert (response.status_code, response.data) == (201, b"")


def test_a_repeated_call_is_one_booking(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """The same key and the same call get the same answer; another call is refused."""
    slot = next(free_slots(client, "norr"))["id"]
    headers = {"Idempotency-Key": f"call-{key_of(number)}"}
    body = BOOKINGS["ihe"](slot, number)

    first, second = (call(client, "book", body, headers=headers) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json == second.json
    assert len(sandbox.writes("norr", number)) == 1
    other = call(client, "book", BOOKINGS["isik"](slot, number), headers=headers)
    assert other.status_code == 422
    assert other.json is not None
    assert [each["details"]["coding"][0]["code"] for each in other.json["issue"]] == [
        "REQUEST_KEY_IS_REUSED"
    ]


# What is sent back of $find.


def test_a_proposal_is_booked_whole(client: FlaskClient, number: str) -> None:
    """A proposed Appointment with a patient added to it is booked."""
    slot = next(free_slots(client, "mitt"))["id"]
    proposal = client.get(f"/fhir/Appointment/{slot}").json
    assert proposal is not None

    response = call(
        client,
        "book",
        parameters(
            resource("appointment-resource", proposal),
            resource("patient-resource", patient(number)),
        ),
    )
    assert response.status_code == 201, response.text
    assert appointment_of(response)["slot"] == proposal["slot"]


def test_a_proposal_is_booked_by_its_url(client: FlaskClient, number: str) -> None:
    """$book is called on a proposal too."""
    slot = next(free_slots(client, "mitt"))["id"]

    response = call(
        client,
        "book",
        parameters(resource("patient-resource", patient(number))),
        on=slot,
    )
    assert response.status_code == 201, response.text


def test_a_schedule_and_times_name_a_slot(client: FlaskClient, number: str) -> None:
    """In ISiK's form, schedule, start and end name the slot."""
    slot = next(free_slots(client, "norr"))
    body = appointment(slot["id"], number, start=slot["start"], end=slot["end"])
    del body["slot"]

    response = call(
        client,
        "book",
        parameters(
            resource("appt-resource", body),
            reference("schedule", slot["schedule"]["reference"]),
        ),
    )
    assert response.status_code == 201, response.text
    assert appointment_of(response)["slot"] == [{"reference": f"Slot/{slot['id']}"}]


def test_references_may_be_absolute(client: FlaskClient, number: str) -> None:
    """A reference with this server's base is this server's."""
    slot = next(free_slots(client, "norr"))["id"]

    response = call(
        client,
        "book",
        parameters(
            reference("appointment-reference", f"{BASE_URL}/Appointment/{slot}"),
            resource("patient-resource", patient(number)),
        ),
    )
    assert response.status_code == 201, response.text


# Refused.


def test_a_slot_that_is_gone_is_taken(
    client: FlaskClient, made: Program, numbers: list[str]
) -> None:
    """A time that its unit has sold is 409, with a code that says so."""
    # One of the latest: until the next refresh it goes on being offered here.
    latest = free_slots(client, "norr", _sort="-start")
    *_, slot = (each["id"] for each in islice(latest, 4))
    sell_elsewhere(made, slot, numbers[0])

    response = call(client, "book", BOOKINGS["ihe"](slot, numbers[1]))
    assert_outcome(
        response,
        409,
        issue(
            "conflict",
            "The slot is no longer free; search again for another one. (source norr)",
            error=ErrorCode.REQUESTED_TIME_IS_NO_LONGER_AVAILABLE,
        ),
    )


def test_a_regions_refusal_is_reported(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A region's ERROR is 422 in its words, in every dialect."""
    sandbox.spoil("norr", "error", text="Du måste ringa oss.")
    slot = next(free_slots(client, "norr"))["id"]

    assert_outcome(
        call(client, "book", BOOKINGS["argonaut"](slot, number)),
        422,
        issue(
            "business-rule", text="Du måste ringa oss.", error=ErrorCode.REGION_REFUSED
        ),
    )


def test_a_region_that_cannot_be_asked_is_unavailable(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """
    A request that the platform could not pass on is 503, and the code names the party.
    """
    sandbox.spoil("norr", "vp-fault", code="VP007")
    slot = next(free_slots(client, "norr"))["id"]

    response = call(client, "book", BOOKINGS["ihe"](slot, number))
    assert response.status_code == 503
    assert response.json is not None
    (reported,) = response.json["issue"]
    assert reported["details"]["coding"][0]["code"] == "PLATFORM_IS_UNAVAILABLE"


def test_a_slot_that_has_begun_is_refused(client: FlaskClient, number: str) -> None:
    """A past slot is refused in an operation as in a create."""
    token = TimeslotToken.parse(next(free_slots(client))["id"])
    past = TimeslotToken(
        schedule=token.schedule,
        start=epoch_seconds(now() - timedelta(hours=1)),
        length=token.length,
    )

    response = call(client, "book", BOOKINGS["ihe"](past.text, number))
    assert_outcome(
        response,
        422,
        issue(
            "business-rule",
            "The slot has already begun; search for a later one.",
            error=ErrorCode.REQUESTED_TIME_HAS_ALREADY_PASSED,
        ),
    )


def test_a_patient_that_is_missing_is_named(client: FlaskClient) -> None:
    """Without a patient or a name nothing is booked, and both are named."""
    slot = next(free_slots(client))["id"]

    response = call(
        client,
        "book",
        parameters(reference("appointment-reference", f"Appointment/{slot}")),
    )
    assert response.status_code == 422
    assert response.json is not None
    assert [each["expression"] for each in response.json["issue"]] == [
        ["Appointment.participant"],
        ["Appointment.contained"],
    ]


def test_a_slot_that_is_missing_is_named(client: FlaskClient, number: str) -> None:
    """A call that names no slot is refused with what to do."""
    response = call(
        client, "book", parameters(resource("patient-resource", patient(number)))
    )

    assert_outcome(
        response,
        422,
        issue("required", "Name the slot to book.", expression="Appointment.slot"),
    )


def _two_slots(client: FlaskClient, number: str) -> dict[str, Any]:
    one, other = (each["id"] for each in islice(free_slots(client), 2))
    return parameters(
        reference("slot-reference", f"Slot/{one}"),
        resource("appointment-resource", appointment(other, number)),
    )


# Of a unit that nobody knows, in the form of a slot.
_FREE = "SE1-1.00000000.00000000.1lgd3jo.s4"
_NOBODY = "nobody alive was born on the day that the number says"
_FAULTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "two patients": (
        lambda _, number: parameters(
            resource("patient-resource", patient(number)),
            resource("patient-resource", patient(number)),
        ),
        issue(
            "value",
            "patient-resource: is given more than once (patient-resource or patient).",
            expression="Parameters.parameter[1].resource",
        ),
    ),
    "two slots": (
        _two_slots,
        issue("value", "Name one slot, not two.", expression="Parameters"),
    ),
    "two names of one parameter": (
        lambda _, __: parameters(
            {"name": "appt-id", "valueUri": "Appointment/x"},
            reference("appointment-reference", "Appointment/x"),
        ),
        issue(
            "value",
            "appointment-reference: is given more than once (appointment-reference or"
            " appt-id).",
            expression="Parameters.parameter[1].value",
        ),
    ),
    "two appointments": (
        lambda _, __: parameters(
            {"name": "appt-id", "valueUri": "Appointment/x"},
            {"name": "cancelled-appt-id", "valueUri": "Appointment/y"},
        ),
        issue("value", "Name one appointment, not two.", expression="Parameters"),
    ),
    "another server's appointment": (
        lambda _, __: parameters(
            reference(
                "appointment-reference", "https://elsewhere.example/Appointment/x"
            )
        ),
        issue(
            "value",
            "appointment-reference must be a reference to this server, as"
            " Appointment/id.",
            expression="Parameters.parameter[0].value",
        ),
    ),
    "a reference to something else": (
        lambda _, __: parameters(reference("appointment-reference", "Slot/x")),
        issue(
            "value",
            "appointment-reference must be a reference to this server, as"
            " Appointment/id.",
            expression="Parameters.parameter[0].value",
        ),
    ),
    "another type of resource": (
        lambda _, number: parameters(resource("appointment-resource", patient(number))),
        issue(
            "value",
            "appointment-resource must be one Appointment.",
            expression="Parameters.parameter[0].resource",
        ),
    ),
    "a Patient of another server": (
        lambda _, __: parameters(text("patient-id", "Patient/1")),
        issue(
            "not-supported",
            "patient-id: this server stores no Patient; give the number as"
            " system|number, and the name in a Patient.",
            expression="Parameters.parameter[0].value",
        ),
    ),
    **{
        f"a number with {what}": (
            lambda _, __, number=number: parameters(
                text("patient-id", f"{PERSONNUMMER}|{number}")
            ),
            issue(
                "value",
                f"patient-id: {fault}.",
                expression="Parameters.parameter[0].value",
            ),
        )
        for what, number, fault in (
            ("the year 1870", "187001019806", _NOBODY),
            ("the year 9999", "999901019803", _NOBODY),
            ("the year 2030", "203001019805", _NOBODY),
            ("the year 0001", "000101019800", _NOBODY),
            (
                "a wrong check digit",
                "191212121213",
                "not a personal number: its check digit is wrong",
            ),
        )
    },
    "a proposal to cancel": (
        lambda _, number: parameters(
            resource("appt-resource", appointment(_FREE, number, status="cancelled")),
            {"name": "appt-id", "valueUri": f"Appointment/{_FREE}"},
        ),
        issue(
            "value",
            "This names a free time, not an appointment: name the appointment in the"
            " answer to $book or $hold.",
            expression="Parameters",
        ),
    ),
    "two comments": (
        lambda _, number: parameters(
            resource("appt-resource", appointment(_FREE, number, comment="a")),
            text("comment", "b"),
        ),
        issue(
            "value",
            "comment differs from the Appointment's: give one of them.",
            expression="Parameters",
        ),
    ),
    "nothing to cancel": (
        lambda _, number: appointment(_FREE, number, status="cancelled"),
        issue(
            "required",
            "Name the appointment, as appointment-reference or in the URL.",
            expression="Parameters",
        ),
    ),
}


@pytest.mark.parametrize("case", _FAULTS)
def test_a_call_that_says_something_impossible_is_refused(
    client: FlaskClient, case: str, number: str
) -> None:
    """Each fault of a call is 400 with its place; nothing of it is repeated."""
    body, expected = _FAULTS[case]

    response = call(client, "book", body(client, number))
    assert_outcome(response, 400, expected)
    assert number not in response.text


def test_two_persons_are_refused(client: FlaskClient, numbers: list[str]) -> None:
    """A patient-id that is not the Appointment's patient is refused."""
    slot = next(free_slots(client))["id"]

    response = call(
        client,
        "book",
        parameters(
            resource("appt-resource", appointment(slot, numbers[0])),
            text("patient-id", f"{PERSONNUMMER}|{numbers[1]}"),
        ),
    )
    assert_outcome(
        response,
        400,
        issue(
            "value",
            "patient-id is not the Appointment's patient.",
            expression="Parameters",
        ),
    )


def test_a_schedule_of_another_slot_is_refused(
    client: FlaskClient, number: str
) -> None:
    """ISiK's schedule must be the slot's."""
    slot = next(free_slots(client, "norr"))["id"]

    response = call(
        client,
        "book",
        parameters(
            resource("appt-resource", appointment(slot, number)),
            reference("schedule", "Schedule/SE1-1.00000000.00000000"),
        ),
    )
    assert_outcome(
        response,
        400,
        issue(
            "value",
            "schedule is not the slot's: leave it out.",
            expression="Parameters",
        ),
    )


def test_an_appointment_that_is_not_there_is_not_booked_anew(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """An unknown id in our form is 404: a mistyped move must not become a booking."""
    mistyped = "0fca9c56-1f0a-4766-b473-548c9350eb8"
    slot = next(free_slots(client, "norr"))["id"]

    response = call(
        client,
        "book",
        parameters(resource("appt-resource", appointment(slot, number, id=mistyped))),
    )
    assert response.status_code == 404
    assert sandbox.writes("norr", number) == []


def test_a_booking_is_given_to_nobody_else(
    client: FlaskClient, numbers: list[str]
) -> None:
    """A move or cancellation that names another person is refused."""
    booked = book(client, "norr", numbers[0]).json
    assert booked is not None
    slot = another_slot(client, booked)["id"]

    response = call(
        client,
        "book",
        parameters(
            reference("appointment-reference", f"Appointment/{booked['id']}"),
            reference("slot-reference", f"Slot/{slot}"),
            resource("patient-resource", patient(numbers[1])),
        ),
    )
    assert_outcome(
        response,
        422,
        issue(
            "business-rule",
            "An appointment cannot be given to another person.",
            expression="Appointment.participant",
        ),
    )


def test_a_stale_version_is_refused(client: FlaskClient, number: str) -> None:
    """If-Match has the same effect as on update."""
    booked = book(client, "norr", number).json
    assert booked is not None

    response = call(
        client,
        "book",
        booked | {"status": "cancelled"},
        headers={"If-Match": 'W/"99"'},
    )
    assert response.status_code == 412


def test_what_is_booked_already_is_answered(client: FlaskClient, number: str) -> None:
    """$book of a booked appointment changes nothing and answers it."""
    booked = book(client, "norr", number).json
    assert booked is not None

    response = call(client, "book", parameters(), on=booked["id"])
    assert (response.status_code, appointment_of(response)["id"]) == (200, booked["id"])


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b'{"resourceType":"X"}'])
def test_a_body_that_is_neither_is_refused(client: FlaskClient, body: bytes) -> None:
    """On the type there must be one Parameters or one Appointment."""
    response = client.post("/fhir/Appointment/$book", data=body, content_type=FHIR_JSON)

    assert response.status_code == 400


def test_parameters_do_not_stand_in_the_url(client: FlaskClient, number: str) -> None:
    """A query beside the body is refused, without an echo."""
    response = client.post(
        f"/fhir/Appointment/$book?patient-id={number}",
        json=parameters(),
        content_type=FHIR_JSON,
    )

    assert response.status_code == 400
    assert number not in response.text


def test_it_is_not_called_by_get(client: FlaskClient) -> None:
    """An operation that changes something is never called by GET."""
    assert client.get("/fhir/Appointment/x/$book").status_code == 405
