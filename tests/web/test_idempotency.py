"""
One request, one answer: Idempotency-Key, X-Request-Id and If-None-Exist.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

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
    free_slots,
    patch,
    slot_patch,
    status_patch,
)
from .running import Sandbox, sell_elsewhere

_MAKE = "MakeBooking"
_NAMES = [
    pytest.param("Idempotency-Key", id="Idempotency-Key"),
    pytest.param("X-Request-Id", id="X-Request-Id"),
]


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


@pytest.mark.parametrize("name", _NAMES)
def test_a_repeat_gets_the_first_answer(
    client: FlaskClient, sandbox: Sandbox, number: str, name: str
) -> None:
    """The same request with the same key is one booking, and the same 201 twice."""
    body = wanted(client, number)

    first = post(client, body, **{name: f"a {number} b"})
    second = post(client, body, **{name: f"a {number} b"})

    assert first.status_code == 201
    assert same(first, second)
    assert [each["interaction"] for each in sandbox.writes("norr", number)] == [_MAKE]


def test_a_repeat_in_another_order_is_the_same(
    client: FlaskClient, number: str
) -> None:
    """Bodies are compared by what they say."""
    body = wanted(client, number)

    first = post(client, body, Idempotency_Key=number)
    second = post(client, dict(reversed(body.items())), Idempotency_Key=number)

    assert first.status_code == 201
    assert same(first, second)


@pytest.mark.parametrize("name", _NAMES)
def test_a_key_of_another_request(
    client: FlaskClient, sandbox: Sandbox, number: str, name: str
) -> None:
    """Another body with the same key is 422, and nothing is done."""
    body = wanted(client, number)
    post(client, body, **{name: number})

    other = post(client, body | {"comment": "Annat"}, **{name: number})

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
    booked = post(client, wanted(client, number), Idempotency_Key=number)
    assert booked.json is not None

    cancelled = patch(
        client,
        booked.json["id"],
        status_patch("cancelled"),
        headers={"Idempotency-Key": number},
    )

    assert cancelled.status_code == 422


def test_idempotency_key_wins(client: FlaskClient, number: str) -> None:
    """X-Request-Id, which proxies may make anew, counts only where it is alone."""
    body = wanted(client, number)

    first = post(client, body, Idempotency_Key=number, X_Request_Id="1")
    second = post(client, body, Idempotency_Key=number, X_Request_Id="2")

    assert first.status_code == 201
    assert same(first, second)


def test_if_none_exist_matches_once(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A conditional create is 201, and 200 with the same appointment when it exists."""
    body = wanted(client, number)
    condition = f"identifier=https://app.example.org/visits|{number}"

    first = post(client, body, If_None_Exist=condition)
    second = post(client, body, If_None_Exist=condition)

    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json == second.json
    assert len(sandbox.writes("norr", number)) == 1


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        pytest.param("Idempotency-Key", "", "is empty", id="empty"),
        pytest.param("X-Request-Id", " ", "is empty", id="blank"),
        pytest.param(
            "Idempotency-Key",
            "k" * 256,
            "is longer than 255 characters",
            id="too long",
        ),
        pytest.param(
            "X-Request-Id",
            "nyckel-å",
            "has other characters than visible ASCII",
            id="not ASCII",
        ),
        pytest.param(
            "Idempotency-Key",
            "a\tb",
            "has other characters than visible ASCII",
            id="a tabulator",
        ),
        pytest.param(
            "If-None-Exist",
            "status=booked",
            "must be identifier=system|value; nothing else is searched for",
            id="another parameter",
        ),
        pytest.param(
            "If-None-Exist",
            "identifier=https://app.example.org/visits|1&status=booked",
            "must be identifier=system|value; nothing else is searched for",
            id="two parameters",
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
    """A slot that was gone is answered gone again, though it is free by then."""
    number, others_number, *_ = numbers
    body = wanted(client, number, "mitt")
    slot = body["slot"][0]["reference"].partition("/")[2]
    sell_elsewhere(made, slot, others_number)

    first = post(client, body, Idempotency_Key=number)
    second = post(client, body, Idempotency_Key=number)

    # Or the next test would be offered what is gone.
    made.view.catch_up()
    assert first.status_code == 409
    assert same(first, second)


def test_a_refusal_is_kept(client: FlaskClient, sandbox: Sandbox, number: str) -> None:
    """What the region refused it is not asked again under the same key."""
    body = wanted(client, number)
    sandbox.spoil("norr", "error", interactions=[_MAKE], text="Nej.")

    first = post(client, body, Idempotency_Key=number)
    sandbox.heal()
    second = post(client, body, Idempotency_Key=number)
    third = post(client, body, Idempotency_Key=f"{number}-2")

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

    first = post(client, body, Idempotency_Key=number)
    sandbox.heal()
    second = post(client, body, Idempotency_Key=number)

    assert (first.status_code, second.status_code) == (503, 201)


def test_a_body_with_faults_uses_up_no_key(client: FlaskClient, number: str) -> None:
    """A request that could not be read may be mended and sent with the same key."""
    body = wanted(client, number)

    first = post(client, body | {"status": "noshow"}, Idempotency_Key=number)
    second = post(client, body, Idempotency_Key=number)

    assert (first.status_code, second.status_code) == (422, 201)


def test_unknown_is_not_kept(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A repeat of what nobody knew is told how it stands now: 201 once it is booked."""
    body = wanted(client, number)
    sandbox.spoil("norr", "drop-after-processing", interactions=[_MAKE])

    first = post(client, body, Idempotency_Key=number)
    sandbox.heal()
    second = post(client, body, Idempotency_Key=number)
    third = post(client, body, Idempotency_Key=number)

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
                lambda _: post(made.app.test_client(), body, Idempotency_Key=number),
                range(5),
            )
        )
    last = post(client, body, Idempotency_Key=number)

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
    key = {"Idempotency-Key": number}

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
    headers = {"X-Request-Id": number, "If-Match": 'W/"2"'}

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
