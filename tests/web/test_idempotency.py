"""
One request, one answer: Idempotency-Key, and what X-Request-Id is not.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from assertions import assert_outcome, issue
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from fhir_gateway.bootstrap import Program
from fhir_gateway.model.error_code import ErrorCode

from .bodies import (
    FHIR_JSON,
    another_slot,
    appointment,
    change,
    free_slots,
    key_of,
    patch,
    slot_patch,
    status_patch,
)
from .dialects import BOOKINGS, HOLDS, appointment_of, call, parameters, reference
from .running import Sandbox, cancel_elsewhere, sell_elsewhere

_MAKE = "MakeBooking"


def post(client: FlaskClient, body: Any, **headers: str) -> TestResponse:
    """Send a body that books, with headers; return the answer."""
    return client.post(
        "/fhir/Appointment",
        json=body,
        content_type=FHIR_JSON,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


def same(first: TestResponse, second: TestResponse) -> bool:
    """Return whether two answers say the same."""
    kept = ("ETag", "Location", "Content-Location", "Content-Type")
    return (first.status_code, first.data, *map(first.headers.get, kept)) == (
        second.status_code,
        second.data,
        *map(second.headers.get, kept),
    )


def wanted(client: FlaskClient, number: str, region: str = "norr") -> dict[str, Any]:
    """Return a body that books a region's first free slot."""
    return appointment(next(free_slots(client, region))["id"], number)


def test_a_repeat_gets_the_first_answer(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """The same request with the same key is one booking, and the same 201 twice."""
    body = wanted(client, number)

    first = post(client, body, Idempotency_Key=f"a {key_of(number)} b")
    second = post(client, body, Idempotency_Key=f"a {key_of(number)} b")

    assert first.status_code == 201
    assert same(first, second)
    assert [each["interaction"] for each in sandbox.writes("norr", number)] == [_MAKE]


def test_a_repeat_in_another_order_is_the_same(
    client: FlaskClient, number: str
) -> None:
    """Bodies are compared by what they say."""
    body = wanted(client, number)

    first = post(client, body, Idempotency_Key=key_of(number))
    second = post(client, dict(reversed(body.items())), Idempotency_Key=key_of(number))

    assert first.status_code == 201
    assert same(first, second)


def test_a_key_of_another_request(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """Another body with the same key is 422, and nothing is done."""
    body = wanted(client, number)
    post(client, body, Idempotency_Key=key_of(number))

    other = post(client, body | {"comment": "Annat"}, Idempotency_Key=key_of(number))

    assert_outcome(
        other,
        422,
        issue(
            "business-rule",
            "This key was used for another request: give every request a key of its"
            " own.",
            error=ErrorCode.REQUEST_KEY_IS_REUSED,
        ),
    )
    assert len(sandbox.writes("norr", number)) == 1


def test_a_key_of_another_interaction(client: FlaskClient, number: str) -> None:
    """A key belongs to what it was used for: booking and cancelling are two things."""
    booked = post(client, wanted(client, number), Idempotency_Key=key_of(number))
    assert booked.json is not None

    cancelled = patch(
        client,
        booked.json["id"],
        status_patch("cancelled"),
        headers={"Idempotency-Key": key_of(number)},
    )

    assert cancelled.status_code == 422


def test_idempotency_key_is_the_key(client: FlaskClient, number: str) -> None:
    """X-Request-Id, which proxies may make anew, makes no other request of it."""
    body = wanted(client, number)

    first = post(client, body, Idempotency_Key=key_of(number), X_Request_Id="1")
    second = post(client, body, Idempotency_Key=key_of(number), X_Request_Id="2")

    assert first.status_code == 201
    assert same(first, second)


def test_one_request_id_for_a_whole_errand(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """Hold, book and cancel may have one X-Request-Id, and each has it back."""
    slot = next(free_slots(client, "norr"))["id"]
    trace = {"X-Request-Id": f"errand-of-{uuid4()}"}

    held = call(client, "hold", HOLDS["plain"](slot, number), headers=trace)
    booked = call(client, "book", BOOKINGS["plain"](slot, number), headers=trace)
    on = appointment_of(booked)["id"]
    cancelled = call(client, "cancel", parameters(), on=on, headers=trace)
    again = call(client, "book", BOOKINGS["plain"](slot, number), headers=trace)

    answers = [held, booked, cancelled, again]
    assert [each.status_code for each in answers] == [201, 201, 200, 201]
    assert {each.headers["X-Request-Id"] for each in answers} == set(trace.values())
    assert appointment_of(again)["status"] == "booked"
    assert appointment_of(again)["id"] != on
    writes = [each["interaction"] for each in sandbox.writes("norr", number)]
    assert writes == [_MAKE, "CancelBooking", _MAKE]


@pytest.mark.parametrize("path", ["/fhir/metadata", "/fhir/Slot/x", "/fhir/nowhere"])
def test_every_answer_has_its_request_id_back(client: FlaskClient, path: str) -> None:
    """Reads, searches and errors have it too (R4, 3.1.0.9)."""
    answer = client.get(path, headers={"X-Request-Id": "abc 123"})

    assert answer.headers.get_all("X-Request-Id") == ["abc 123"]


@pytest.mark.parametrize(
    "value",
    ["", "a\tb", "nyckel-å", "x" * 256, "191212121212", "visit-19121212-1212"],
)
def test_an_unfit_request_id_does_not_come_back(
    client: FlaskClient, value: str
) -> None:
    """An id that is not visible ASCII, too long, or a personal number is left out."""
    answer = client.get("/fhir/metadata", headers={"X-Request-Id": value})

    assert "X-Request-Id" not in answer.headers


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        pytest.param("Idempotency-Key", "", "is empty", id="empty"),
        pytest.param("Idempotency-Key", " ", "is empty", id="blank"),
        pytest.param(
            "Idempotency-Key",
            "k" * 256,
            "is longer than 255 characters",
            id="too long",
        ),
        pytest.param(
            "Idempotency-Key",
            "a\tb",
            "has other characters than visible ASCII",
            id="a tabulator",
        ),
    ],
)
def test_an_unusable_key(
    client: FlaskClient,
    number: str,
    name: str,
    value: str,
    fault: str,
) -> None:
    """A key that cannot be used is 400 and says why; the slot stays free."""
    body = wanted(client, number)
    response = post(client, body, **{name: value})

    assert_outcome(
        response,
        400,
        issue("value", f"{name} {fault}.", location=f"http.{name}"),
    )
    assert wanted(client, number) == body


def test_a_definite_no_is_kept(
    client: FlaskClient, made: Program, numbers: list[str]
) -> None:
    """A repeat for a taken slot gets the same refusal, though it is free by then."""
    number, others_number, *_ = numbers
    body = wanted(client, number, "mitt")
    slot = body["slot"][0]["reference"].partition("/")[2]
    sell_elsewhere(made, slot, others_number)

    first = post(client, body, Idempotency_Key=key_of(number))
    second = post(client, body, Idempotency_Key=key_of(number))

    assert first.status_code == 409
    assert same(first, second)


def test_a_refusal_is_kept(client: FlaskClient, sandbox: Sandbox, number: str) -> None:
    """A repeat of a refused request is not sent to the region again."""
    body = wanted(client, number)
    sandbox.spoil("norr", "error", interactions=[_MAKE], text="Nej.")

    first = post(client, body, Idempotency_Key=key_of(number))
    sandbox.heal()
    second = post(client, body, Idempotency_Key=key_of(number))
    third = post(client, body, Idempotency_Key=f"{key_of(number)}-2")

    assert (first.status_code, third.status_code) == (422, 201)
    assert same(first, second)


def test_could_not_ask_is_not_kept(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """503 promises that nothing was done: the same key is tried anew."""
    body = wanted(client, number)
    sandbox.spoil(
        "norr", "vp-fault", interactions=["GetAvailableTimeslots"], code="VP007"
    )

    first = post(client, body, Idempotency_Key=key_of(number))
    sandbox.heal()
    second = post(client, body, Idempotency_Key=key_of(number))

    assert (first.status_code, second.status_code) == (503, 201)


def test_a_body_with_faults_uses_up_no_key(client: FlaskClient, number: str) -> None:
    """A request that could not be read may be mended and sent with the same key."""
    body = wanted(client, number)

    first = post(client, body | {"status": "noshow"}, Idempotency_Key=key_of(number))
    second = post(client, body, Idempotency_Key=key_of(number))

    assert (first.status_code, second.status_code) == (422, 201)


def test_unknown_is_not_kept(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A repeat of an unknown outcome gets the present state: 201 once it is booked."""
    body = wanted(client, number)
    sandbox.spoil("norr", "drop-after-processing", interactions=[_MAKE])

    first = post(client, body, Idempotency_Key=key_of(number))
    sandbox.heal()
    second = post(client, body, Idempotency_Key=key_of(number))
    third = post(client, body, Idempotency_Key=key_of(number))

    assert first.json is not None
    assert second.json is not None
    assert (first.status_code, second.status_code) == (202, 201)
    assert (first.json["id"], first.json["status"]) == (second.json["id"], "pending")
    assert second.headers["Location"].endswith(first.json["id"])
    assert same(second, third)
    assert len(sandbox.writes("norr", number)) == 1


def test_a_request_that_is_being_worked_at(
    client: FlaskClient, made: Program, sandbox: Sandbox, number: str
) -> None:
    """A repeat while the first is under way is 409 and says when to ask again."""
    body = wanted(client, number)
    sandbox.spoil("norr", "answer-late", interactions=[_MAKE], seconds=1)

    with ThreadPoolExecutor() as executor:
        answers = list(
            executor.map(
                lambda _: post(
                    made.app.test_client(), body, Idempotency_Key=key_of(number)
                ),
                range(5),
            )
        )
    last = post(client, body, Idempotency_Key=key_of(number))

    done = [each for each in answers if each.status_code == 201]
    waiting = [each for each in answers if each.status_code == 409]
    assert len(done) + len(waiting) == 5
    assert done
    assert waiting
    assert all(same(each, last) for each in done)
    assert {each.headers["Retry-After"] for each in waiting} == {"5"}
    assert len(sandbox.writes("norr", number)) == 1


def test_a_repeated_move(client: FlaskClient, sandbox: Sandbox, number: str) -> None:
    """A move that is repeated with its key is one move."""
    booked = post(client, wanted(client, number)).json
    assert booked is not None
    operations = slot_patch(another_slot(client, booked)["id"])
    key = {"Idempotency-Key": key_of(number)}

    first = patch(client, booked["id"], operations, headers=key)
    second = patch(client, booked["id"], operations, headers=key)

    assert first.status_code == 200
    assert same(first, second)
    writes = [each["interaction"] for each in sandbox.writes("norr", number)]
    assert writes == [_MAKE, "UpdateBooking"]


def test_a_repeated_cancellation(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A cancellation that is repeated with its key is one, by PUT too."""
    booked = post(client, wanted(client, number)).json
    assert booked is not None
    body = booked | {"status": "cancelled"}
    headers = {"Idempotency-Key": key_of(number), "If-Match": 'W/"2"'}

    answers = [
        client.put(
            f"/fhir/Appointment/{booked['id']}",
            json=body,
            content_type=FHIR_JSON,
            headers=headers,
        )
        for _ in range(2)
    ]

    assert answers[0].status_code == 200
    assert same(*answers)
    writes = [each["interaction"] for each in sandbox.writes("norr", number)]
    assert writes == [_MAKE, "CancelBooking"]


def test_a_replay_never_says_booked_of_what_is_cancelled(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """Book, cancel, book again with the same key: 409, and nothing is booked anew."""
    body = wanted(client, number)
    booked = post(client, body, Idempotency_Key=key_of(number))
    assert booked.json is not None
    patch(client, booked.json["id"], status_patch("cancelled"))

    again = [post(client, body, Idempotency_Key=key_of(number)) for _ in range(2)]

    for each in again:
        assert_outcome(
            each,
            409,
            issue(
                "conflict",
                "The appointment of this request has been cancelled since: to book"
                " again, make a new request with a new key.",
                error=ErrorCode.APPOINTMENT_IS_ALREADY_CANCELED,
            ),
        )
    writes = [each["interaction"] for each in sandbox.writes("norr", number)]
    assert writes == [_MAKE, "CancelBooking"]


def test_a_replay_of_what_the_unit_cancelled(
    client: FlaskClient, made: Program, number: str
) -> None:
    """What its unit has cancelled meanwhile is not said to be booked either."""
    body = wanted(client, number)
    booked = post(client, body, Idempotency_Key=key_of(number)).json
    assert booked is not None
    cancel_elsewhere(made, booked, number)

    again = post(client, body, Idempotency_Key=key_of(number))

    assert again.status_code == 409


def test_a_replay_of_what_was_pending_and_is_cancelled(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A 202 that was booked in the end, and cancelled since, is 409."""
    body = wanted(client, number)
    sandbox.spoil("norr", "drop-after-processing", interactions=[_MAKE])
    pending = post(client, body, Idempotency_Key=key_of(number))
    sandbox.heal()
    assert pending.json is not None
    url = f"/fhir/Appointment/{pending.json['id']}"
    found = client.get(url).json
    cancelled = patch(client, pending.json["id"], status_patch("cancelled"))
    assert found is not None

    again = post(client, body, Idempotency_Key=key_of(number))

    assert (pending.status_code, found["status"]) == (202, "booked")
    assert cancelled.status_code == 200
    assert again.status_code == 409


def test_a_replay_of_what_stood_already_and_is_cancelled(
    client: FlaskClient, number: str
) -> None:
    """So is a 200 for a time that the resident had already."""
    body = wanted(client, number)
    booked = post(client, body).json
    stood = post(client, body, Idempotency_Key=key_of(number))
    assert booked is not None
    patch(client, booked["id"], status_patch("cancelled"))

    again = post(client, body, Idempotency_Key=key_of(number))

    assert (stood.status_code, again.status_code) == (200, 409)


def test_a_replay_of_a_booking_that_was_moved(client: FlaskClient, number: str) -> None:
    """It is 201 still, with the time that the appointment has now."""
    body = wanted(client, number)
    booked = post(client, body, Idempotency_Key=key_of(number)).json
    assert booked is not None
    moved = patch(
        client, booked["id"], slot_patch(another_slot(client, booked)["id"])
    ).json
    assert moved is not None

    again = post(client, body, Idempotency_Key=key_of(number))

    assert again.json is not None
    assert again.status_code == 201
    assert (again.json["id"], again.json["start"]) == (booked["id"], moved["start"])


def test_a_replay_of_a_move_that_was_moved_again(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """It answers how the appointment stands now, and moves nothing."""
    booked = post(client, wanted(client, number)).json
    assert booked is not None
    operations = slot_patch(another_slot(client, booked)["id"])
    key = {"Idempotency-Key": key_of(number)}
    patch(client, booked["id"], operations, headers=key)
    back = patch(client, booked["id"], slot_patch(booked["slot"][0]["reference"][5:]))
    assert back.json is not None

    again = patch(client, booked["id"], operations, headers=key)

    assert again.json is not None
    assert again.status_code == 200
    assert again.json["start"] == back.json["start"] == booked["start"]
    writes = [each["interaction"] for each in sandbox.writes("norr", number)]
    assert writes == [_MAKE, "UpdateBooking", "UpdateBooking"]


def test_a_replay_of_a_hold_that_is_over(client: FlaskClient, number: str) -> None:
    """A hold that was let go is not said to be held."""
    slot = next(free_slots(client, "norr"))["id"]
    key = {"Idempotency-Key": key_of(number)}
    held = call(client, "hold", HOLDS["plain"](slot, number), headers=key)
    call(client, "cancel", parameters(), on=appointment_of(held)["id"])

    again = call(client, "hold", HOLDS["plain"](slot, number), headers=key)

    assert_outcome(
        again,
        409,
        issue(
            "conflict",
            "The hold of this request is over: hold or book the slot again, with a new"
            " key.",
            error=ErrorCode.HOLD_IS_OVER,
        ),
    )


def test_a_replay_of_a_hold_that_was_booked(client: FlaskClient, number: str) -> None:
    """It answers the appointment as it is booked now."""
    slot = next(free_slots(client, "norr"))["id"]
    key = {"Idempotency-Key": key_of(number)}
    held = call(client, "hold", HOLDS["plain"](slot, number), headers=key)
    booked = call(client, "book", BOOKINGS["plain"](slot, number))

    again = call(client, "hold", HOLDS["plain"](slot, number), headers=key)

    assert again.status_code == 201
    assert (appointment_of(again)["id"], appointment_of(again)["status"]) == (
        appointment_of(held)["id"],
        "booked",
    )
    assert appointment_of(again) == appointment_of(booked)


def test_a_replay_of_a_silent_regions_booking(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A region that cannot be asked takes no answer away: the first is given again."""
    body = wanted(client, number)
    first = post(client, body, Idempotency_Key=key_of(number))
    sandbox.spoil("norr", "vp-fault")

    second = post(client, body, Idempotency_Key=key_of(number))

    assert first.status_code == 201
    assert same(first, second)


@pytest.mark.parametrize("way", ["put", "patch", "$hold", "$cancel", "$reschedule"])
def test_a_condition_that_is_not_a_creates(
    client: FlaskClient, sandbox: Sandbox, number: str, way: str
) -> None:
    """If-None-Exist on a request that creates nothing is 400, not ignored."""
    booked = post(client, wanted(client, number)).json
    assert booked is not None
    condition = {"If-None-Exist": "identifier=https://app.example.org/visits|1"}
    slot = another_slot(client, booked)["id"]
    cancelled = {**booked, "status": "cancelled"}
    answer = {
        "put": lambda: change(client, cancelled, headers=condition),
        "patch": lambda: patch(
            client, booked["id"], status_patch("cancelled"), headers=condition
        ),
        "$hold": lambda: call(
            client, "hold", HOLDS["plain"](slot, number), headers=condition
        ),
        "$cancel": lambda: call(
            client, "cancel", parameters(), on=booked["id"], headers=condition
        ),
        "$reschedule": lambda: call(
            client,
            "reschedule",
            parameters(reference("slot-reference", f"Slot/{slot}")),
            on=booked["id"],
            headers=condition,
        ),
    }[way]()

    assert_outcome(
        answer,
        400,
        issue(
            "not-supported",
            "If-None-Exist is for requests that create an Appointment (POST"
            " Appointment, or $book of a slot): leave it out, or send Idempotency-Key.",
            location="http.If-None-Exist",
        ),
    )
    assert [each["interaction"] for each in sandbox.writes("norr", number)] == [_MAKE]


@pytest.mark.parametrize("value", ["191212121212", "19121212-1212", "121212-1212"])
def test_a_key_that_is_a_personal_number_is_refused(
    client: FlaskClient, number: str, value: str
) -> None:
    """A key is kept in the journal and in the logs of proxies: nobody's number is."""
    response = post(client, wanted(client, number), Idempotency_Key=value)

    assert_outcome(
        response,
        400,
        issue(
            "security",
            "Idempotency-Key must hold no personal number: send a random one, such as a"
            " UUID.",
            location="http.Idempotency-Key",
            error=ErrorCode.PERSONAL_NUMBER_IN_URL,
        ),
    )
