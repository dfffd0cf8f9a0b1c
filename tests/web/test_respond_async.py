"""
`Prefer: respond-async`: a write is answered before its region has answered.

https://www.rfc-editor.org/rfc/rfc7240#section-4.1; ISiK Terminplanung 5.1, $book
"""

import threading
from collections.abc import Callable
from typing import Any, Final

import pytest
from assertions import assert_outcome
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

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
from .dialects import appointment_of, call, parameters, reference, resource
from .running import BASE_URL, Sandbox

_MAKE: Final = "MakeBooking"
_ASYNC: Final = {"Prefer": "respond-async"}
_DELAY_S: Final = 0.6

Write = Callable[[FlaskClient, dict[str, Any], dict[str, str]], TestResponse]


def _book(
    client: FlaskClient, slot: str, number: str, way: str, headers: dict[str, str]
) -> TestResponse:
    body: dict[str, Any] = appointment(slot, number)
    if way:
        parameter = {"name": "appt-resource", "resource": body}
        body = {"resourceType": "Parameters", "parameter": [parameter]}
    return client.post(
        f"/fhir/Appointment{way}", json=body, content_type=FHIR_JSON, headers=headers
    )


def _booked(client: FlaskClient, number: str) -> dict[str, Any]:
    slot = next(free_slots(client, "norr"))["id"]
    made = _book(client, slot, number, "", {}).json
    assert made is not None
    read = client.get(f"/fhir/Appointment/{made['id']}").json
    assert read is not None
    return dict(read)


def _cancel_by_put(
    client: FlaskClient, body: dict[str, Any], headers: dict[str, str]
) -> TestResponse:
    return change(client, {**body, "status": "cancelled"}, headers=headers)


def _cancel_by_json_patch(
    client: FlaskClient, body: dict[str, Any], headers: dict[str, str]
) -> TestResponse:
    return patch(client, body["id"], status_patch("cancelled"), headers=headers)


def _cancel_by_fhirpath_patch(
    client: FlaskClient, body: dict[str, Any], headers: dict[str, str]
) -> TestResponse:
    parts = [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": "Appointment.status"},
        {"name": "value", "valueCode": "cancelled"},
    ]
    return client.patch(
        f"/fhir/Appointment/{body['id']}",
        json=parameters({"name": "operation", "part": parts}),
        content_type=FHIR_JSON,
        headers=headers,
    )


def _cancel_by_operation(
    client: FlaskClient, body: dict[str, Any], headers: dict[str, str]
) -> TestResponse:
    return call(client, "cancel", parameters(), on=body["id"], headers=headers)


def _cancel_by_book(
    client: FlaskClient, body: dict[str, Any], headers: dict[str, str]
) -> TestResponse:
    cancelled = {**body, "status": "cancelled"}
    wanted = parameters(resource("appt-resource", cancelled))
    return call(client, "book", wanted, headers=headers)


def _move_by_put(
    client: FlaskClient, body: dict[str, Any], headers: dict[str, str]
) -> TestResponse:
    return change(client, _moved(client, body), headers=headers)


def _move_by_postponement(
    client: FlaskClient, body: dict[str, Any], headers: dict[str, str]
) -> TestResponse:
    moved = _moved(client, body)
    return change(client, {**moved, "slot": body["slot"]}, headers=headers)


def _move_by_json_patch(
    client: FlaskClient, body: dict[str, Any], headers: dict[str, str]
) -> TestResponse:
    slot = another_slot(client, body)["id"]
    return patch(client, body["id"], slot_patch(slot), headers=headers)


def _move_by_book(
    client: FlaskClient, body: dict[str, Any], headers: dict[str, str]
) -> TestResponse:
    wanted = parameters(resource("appt-resource", _moved(client, body)))
    return call(client, "book", wanted, headers=headers)


def _move_by_reschedule(
    client: FlaskClient, body: dict[str, Any], headers: dict[str, str]
) -> TestResponse:
    slot = another_slot(client, body)["id"]
    wanted = parameters(reference("slot", f"Slot/{slot}"))
    return call(client, "reschedule", wanted, on=body["id"], headers=headers)


def _moved(client: FlaskClient, body: dict[str, Any]) -> dict[str, Any]:
    slot = another_slot(client, body)
    return {
        **body,
        "slot": [{"reference": f"Slot/{slot['id']}"}],
        "start": slot["start"],
        "end": slot["end"],
        "participant": body["participant"][:1],
    }


_CANCELLATIONS: Final = (
    _cancel_by_put,
    _cancel_by_json_patch,
    _cancel_by_fhirpath_patch,
    _cancel_by_operation,
    _cancel_by_book,
)
_MOVES: Final = (
    _move_by_put,
    _move_by_postponement,
    _move_by_json_patch,
    _move_by_book,
    _move_by_reschedule,
)


def _settled(client: FlaskClient, url: str) -> dict[str, Any]:
    for each in threading.enumerate():
        if each.name == "write":
            each.join(20)
    read = client.get(url.removeprefix(BASE_URL.removesuffix("/fhir"))).json
    assert read is not None
    return dict(read)


@pytest.mark.parametrize("way", ["", "/$book"])
def test_a_booking_is_answered_at_once(
    client: FlaskClient, sandbox: Sandbox, number: str, way: str
) -> None:
    """202 says where to look, and the region's answer settles the booking."""
    sandbox.spoil("norr", "answer-late", interactions=[_MAKE], seconds=_DELAY_S)
    slot = next(free_slots(client, "norr"))["id"]

    response = _book(client, slot, number, way, _ASYNC)

    url = response.headers["Content-Location"]
    assert (response.status_code, response.headers["Preference-Applied"]) == (
        202,
        "respond-async",
    )
    assert response.json is not None
    assert response.json["status"] == "pending"
    assert "Location" not in response.headers
    assert _settled(client, url)["status"] == "booked"


def test_a_client_may_wait_a_little(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """With wait=, a region that answers in time makes it 201."""
    sandbox.spoil("norr", "answer-late", interactions=[_MAKE], seconds=_DELAY_S)
    slot = next(free_slots(client, "norr"))["id"]

    response = _book(client, slot, number, "", {"Prefer": "respond-async, wait=8"})

    assert response.status_code == 201
    assert "Preference-Applied" not in response.headers


def test_a_time_that_is_gone_is_said_at_once(
    client: FlaskClient, numbers: list[str]
) -> None:
    """What this server knows before it writes is no matter of waiting."""
    slot = next(free_slots(client, "norr"))["id"]
    _book(client, slot, numbers[0], "", {})

    response = _book(client, slot, numbers[1], "", _ASYNC)

    assert response.status_code == 409
    assert_outcome(
        _book(client, "no-such-slot", numbers[1], "", _ASYNC),
        422,
        *_book(client, "no-such-slot", numbers[1], "", {}).json["issue"],
    )


@pytest.mark.parametrize("cancel", _CANCELLATIONS, ids=lambda way: way.__name__)
def test_a_cancellation_is_answered_at_once(
    client: FlaskClient, sandbox: Sandbox, number: str, cancel: Write
) -> None:
    """Each way to cancel is 202, and the region's answer settles the cancellation."""
    body = _booked(client, number)
    sandbox.spoil(
        "norr", "answer-late", interactions=["CancelBooking"], seconds=_DELAY_S
    )

    response = cancel(client, body, _ASYNC)

    _assert_async(response, body)
    settled = _settled(client, response.headers["Content-Location"])
    assert settled["status"] == "cancelled"


@pytest.mark.parametrize("move", _MOVES, ids=lambda way: way.__name__)
def test_a_move_is_answered_at_once(
    client: FlaskClient, sandbox: Sandbox, number: str, move: Write
) -> None:
    """Each way to move is 202 with the old time, and the answer brings the new one."""
    body = _booked(client, number)
    sandbox.spoil(
        "norr", "answer-late", interactions=["UpdateBooking"], seconds=_DELAY_S
    )

    response = move(client, body, _ASYNC)

    _assert_async(response, body)
    settled = _settled(client, response.headers["Content-Location"])
    assert settled["status"] == "booked"
    assert settled["start"] != body["start"]


@pytest.mark.parametrize(
    ("change_it", "interaction"),
    [(_cancel_by_operation, "CancelBooking"), (_move_by_put, "UpdateBooking")],
)
def test_a_client_may_wait_a_little_for_a_change(
    client: FlaskClient,
    sandbox: Sandbox,
    number: str,
    change_it: Write,
    interaction: str,
) -> None:
    """With wait=, a region that answers in time makes it 200."""
    body = _booked(client, number)
    sandbox.spoil("norr", "answer-late", interactions=[interaction], seconds=_DELAY_S)

    response = change_it(client, body, {"Prefer": "respond-async, wait=8"})

    assert response.status_code == 200
    assert "Preference-Applied" not in response.headers


def test_a_wait_that_was_too_short_is_said(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """Preference-Applied names the wait, too, when the answer came after it."""
    body = _booked(client, number)
    sandbox.spoil("norr", "answer-late", interactions=["CancelBooking"], seconds=2)

    response = _cancel_by_operation(
        client, body, {"Prefer": "respond-async, wait=1, return=minimal"}
    )

    assert response.status_code == 202
    assert response.headers["Preference-Applied"] == "respond-async, wait=1"
    assert response.data == b""
    assert (
        _settled(client, response.headers["Content-Location"])["status"] == "cancelled"
    )


def test_a_change_that_is_not_permitted_is_said_at_once(
    client: FlaskClient, number: str
) -> None:
    """What is certain before the write is answered as without the preference."""
    body = _booked(client, number)
    stale = {"If-Match": 'W/"77"', **_ASYNC}

    statuses = [
        _cancel_by_put(client, body, stale).status_code,
        change(client, {**body, "status": "noshow"}, headers=_ASYNC).status_code,
        _cancel_by_put(client, body, {}).status_code,
        _cancel_by_put(client, body, _ASYNC).status_code,
    ]

    assert statuses == [412, 422, 200, 200]


def test_a_refused_change_leaves_the_booking_and_its_repeat_says_so(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """After 202 the region's no leaves the time; the repeat with the key is 422."""
    body = _booked(client, number)
    sandbox.spoil("norr", "error", interactions=["UpdateBooking"])
    moved = _moved(client, body)
    headers = {**_ASYNC, "Idempotency-Key": key_of(number)}

    first = change(client, moved, headers=headers)
    settled = _settled(client, first.headers["Content-Location"])
    repeat = change(client, moved, headers=headers)

    assert first.status_code == 202
    assert (settled["status"], settled["start"]) == ("booked", body["start"])
    assert repeat.status_code == 422


def test_a_repeat_of_an_asynchronous_cancellation_is_the_first(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A second request while the first is under way sends nothing."""
    body = _booked(client, number)
    sandbox.spoil(
        "norr", "answer-late", interactions=["CancelBooking"], seconds=_DELAY_S
    )

    first = _cancel_by_operation(client, body, _ASYNC)
    second = _cancel_by_operation(client, body, _ASYNC)
    _settled(client, first.headers["Content-Location"])

    assert (first.status_code, second.status_code) == (202, 202)
    sent = [each["interaction"] for each in sandbox.writes("norr", number)]
    assert sent == ["MakeBooking", "CancelBooking"]


def _assert_async(response: TestResponse, body: dict[str, Any]) -> None:
    url = f"{BASE_URL}/Appointment/{body['id']}"
    assert (
        response.status_code,
        response.headers.get("Content-Location"),
        response.headers.get("Preference-Applied"),
    ) == (202, url, "respond-async")
    shown = appointment_of(response)
    assert (shown["status"], shown["start"]) == ("pending", body["start"])
