"""
`Prefer: respond-async`: a booking is answered before its region has answered.

https://www.rfc-editor.org/rfc/rfc7240#section-4.1; ISiK Terminplanung 5.1, $book
"""

import time
from typing import Any, Final

import pytest
from assertions import assert_outcome
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from .bodies import FHIR_JSON, appointment, free_slots
from .running import BASE_URL, Sandbox

_MAKE: Final = "MakeBooking"
_ASYNC: Final = {"Prefer": "respond-async"}
_DELAY_S: Final = 1.5


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


def _settled(client: FlaskClient, url: str) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        read = client.get(url.removeprefix(BASE_URL.removesuffix("/fhir"))).json
        assert read is not None
        if read["status"] != "pending":
            return dict(read)
    raise AssertionError("the booking stays pending")


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
