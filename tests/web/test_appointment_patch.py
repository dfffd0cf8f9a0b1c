"""
Appointment patch: moves or cancels, by JSON Patch.

https://hl7.org/fhir/R4/http.html#patch
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from assertions import assert_outcome, issue
from examples import examples
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_gateway.bootstrap import Program

from .bodies import (
    FHIR_JSON,
    JSON_PATCH,
    another_slot,
    appointment,
    book,
    patch,
    slot_patch,
    status_patch,
)
from .conflicts import ALREADY_CANCELLED, NOT_BOOKED, STALE
from .running import REGIONS, Sandbox

_NO_PATCH = issue(
    "structure",
    "The body is not a JSON Patch: send a list of operations, each with op, path and"
    " value (RFC 6902).",
)
_NO_PATH = issue(
    "structure",
    "The body is not a JSON Patch: send a list of operations, each with op, path and"
    " value (RFC 6902). Operation 1 has no path such as /status.",
)
_DOES_NOT_FIT = issue(
    "processing",
    "Operation 1 of the patch does not fit the appointment as it is now; read it"
    " again.",
)


def booked(
    client: FlaskClient, region: str, number: str, **changes: Any
) -> dict[str, Any]:
    """Book, and return the appointment."""
    answer = book(client, region, number, **changes)
    assert answer.status_code == 201
    body: dict[str, Any] | None = answer.json
    assert body is not None
    return body


@pytest.mark.parametrize("region", REGIONS)
def test_a_booking_is_moved_by_its_slot_alone(
    client: FlaskClient, sandbox: Sandbox, region: str, number: str
) -> None:
    """A patch of the slot moves; times and unit need not be patched too."""
    body = booked(client, region, number)
    slot = another_slot(client, body)

    response = patch(client, body["id"], slot_patch(slot["id"]))
    moved = response.json
    assert moved is not None
    assert (response.status_code, moved["status"]) == (200, "booked")
    assert (moved["start"], moved["end"]) == (slot["start"], slot["end"])
    assert sandbox.writes(region, number)[-1]["interaction"] == "UpdateBooking"


@pytest.mark.parametrize("region", REGIONS)
def test_the_slot_that_a_move_frees_is_free(
    made: Program, client: FlaskClient, region: str, numbers: list[str]
) -> None:
    """The slot is free at once, though another client found it taken meanwhile."""
    body = booked(client, region, numbers[0])
    old = body["slot"][0]["reference"]
    refused = client.post(
        "/fhir/Appointment",
        json=appointment(old.partition("/")[2], numbers[1]),
        content_type=FHIR_JSON,
    )
    patch(client, body["id"], slot_patch(another_slot(client, body)["id"]))
    made.view.catch_up()

    assert refused.status_code == 409
    assert client.get(f"/fhir/{old}").json["status"] == "free"


def test_a_booking_with_a_message_is_moved(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A region's text from the booking does not prevent a move."""
    sandbox.spoil("norr", "info", interactions=["MakeBooking"])
    body = booked(client, "norr", number)
    slot = another_slot(client, body)

    response = patch(client, body["id"], slot_patch(slot["id"]))
    assert response.status_code == 200
    assert response.json is not None
    assert "patientInstruction" not in response.json


@pytest.mark.parametrize(
    "operations",
    [
        pytest.param(
            lambda slot: [
                {
                    "op": "replace",
                    "path": "/slot",
                    "value": [{"reference": f"Slot/{slot['id']}"}],
                }
            ],
            id="the whole list",
        ),
        pytest.param(
            lambda slot: [
                {"op": "test", "path": "/status", "value": "booked"},
                *slot_patch(slot["id"]),
                {"op": "replace", "path": "/start", "value": slot["start"]},
                {"op": "replace", "path": "/end", "value": slot["end"]},
            ],
            id="with a test and the new times",
        ),
        pytest.param(
            lambda slot: [
                {"op": "remove", "path": "/slot/0"},
                {
                    "op": "add",
                    "path": "/slot/-",
                    "value": {"reference": f"Slot/{slot['id']}"},
                },
            ],
            id="removed and added",
        ),
    ],
)
def test_a_slot_is_patched_in_any_way(
    client: FlaskClient, operations: Any, number: str
) -> None:
    """In any form of the patch, the booking moves to the slot in its result."""
    body = booked(client, "norr", number)
    slot = another_slot(client, body)

    response = patch(client, body["id"], operations(slot))
    assert response.status_code == 200
    assert response.json is not None
    assert response.json["start"] == slot["start"]


@pytest.mark.parametrize("region", REGIONS)
def test_a_booking_is_cancelled(
    client: FlaskClient, sandbox: Sandbox, region: str, number: str
) -> None:
    """A patch of the status to cancelled cancels."""
    body = booked(client, region, number)

    response = patch(client, body["id"], status_patch("cancelled"))
    assert response.status_code == 200
    assert response.json is not None
    assert response.json["status"] == "cancelled"
    assert sandbox.writes(region, number)[-1]["interaction"] == "CancelBooking"


def test_a_cancellation_may_say_why(client: FlaskClient, number: str) -> None:
    """A reason is patched in beside the status."""
    body = booked(client, "norr", number)

    operations = status_patch("cancelled", cancelationReason={"text": "Frisk"})
    assert patch(client, body["id"], operations).status_code == 200


def test_a_test_that_fails_changes_nothing(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A patch with a test that fails is refused, and nothing is sent."""
    body = booked(client, "norr", number)

    response = patch(
        client,
        body["id"],
        [
            {"op": "test", "path": "/status", "value": "proposed"},
            *status_patch("cancelled"),
        ],
    )
    assert_outcome(response, 422, _DOES_NOT_FIT)
    assert len(sandbox.writes("norr", number)) == 1


def test_if_match_guards_a_patch(client: FlaskClient, number: str) -> None:
    """A patch is done only to the version that the client names."""
    body = booked(client, "norr", number)

    stale = patch(
        client,
        body["id"],
        status_patch("cancelled"),
        headers={"If-Match": 'W/"99"'},
    )
    assert_outcome(
        stale,
        412,
        STALE,
    )
    present = patch(
        client,
        body["id"],
        status_patch("cancelled"),
        headers={"If-Match": f'W/"{body["meta"]["versionId"]}"'},
    )
    assert present.status_code == 200


@pytest.fixture(name="found_late")
def _found_late(
    made: Program, client: FlaskClient, sandbox: Sandbox, number: str
) -> Iterator[dict[str, Any]]:
    """
    Return a context with a booking that counts as not made, but was made.

    The region lists it from the second look on.
    """
    sandbox.spoil("norr", "drop-after-processing", interactions=["MakeBooking"])
    body: dict[str, Any] | None = book(client, "norr", number).json
    assert body is not None
    assert body["status"] == "pending"
    intent = made.journal.lookups.find_pending(body["id"])
    assert intent is not None
    again = timedelta(minutes=5)
    seen = made.journal.outcomes.postpone(intent, until=again, unchanged=True)
    made.journal.settlements.settle_left_no_trace(seen, look_again_in=again)
    sandbox.heal()
    sandbox.spoil(
        "norr", "vp-fault", interactions=["GetSubjectOfCareSchedule"], count=1
    )
    yield body
    made.view.catch_up()


def test_a_move_never_cancels(
    client: FlaskClient, sandbox: Sandbox, number: str, found_late: dict[str, Any]
) -> None:
    """A patch of the slot is refused where it meets a booking that looks cancelled."""
    slot = another_slot(client, found_late)

    response = patch(client, found_late["id"], slot_patch(slot["id"]))
    assert_outcome(response, 409, ALREADY_CANCELLED)
    assert [each["interaction"] for each in sandbox.writes("norr", number)] == [
        "MakeBooking"
    ]
    read = client.get(f"/fhir/Appointment/{found_late['id']}").json
    assert read is not None
    assert read["status"] == "booked"


def test_a_patch_that_leaves_the_status_never_cancels(
    client: FlaskClient, sandbox: Sandbox, number: str, found_late: dict[str, Any]
) -> None:
    """
    A client has to send again a patch of a booking that is found to exist meanwhile.
    """
    # The booking looks cancelled, and so it would be if this were done to it.
    operations = [{"op": "test", "path": "/id", "value": found_late["id"]}]

    first, second = (patch(client, found_late["id"], operations) for _ in range(2))
    assert_outcome(
        first,
        409,
        issue(
            "conflict",
            "The appointment changed while it was being patched: send the patch again.",
        ),
    )
    assert second.status_code == 200
    assert second.json is not None
    assert second.json["status"] == "booked"
    assert len(sandbox.writes("norr", number)) == 1


def test_a_pending_booking_is_not_moved(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A patch of the slot of a pending booking is a conflict, and says so."""
    sandbox.spoil("norr", "drop-before-processing", interactions=["MakeBooking"])
    body = book(client, "norr", number).json
    assert body is not None
    slot = another_slot(client, body)

    response = patch(client, body["id"], slot_patch(slot["id"]))
    assert_outcome(
        response,
        409,
        NOT_BOOKED,
    )


def test_an_unknown_appointment_is_not_found(client: FlaskClient) -> None:
    """A patch of an id that this server did not give is 404."""
    assert_outcome(
        patch(client, str(uuid4()), status_patch("cancelled")),
        404,
        issue("not-found", "There is no such booking."),
    )


def test_a_slot_that_never_was_is_refused(client: FlaskClient, number: str) -> None:
    """A patch to a slot that cannot be says where it is wrong."""
    body = booked(client, "norr", number)

    assert_outcome(
        patch(client, body["id"], slot_patch("1")),
        422,
        issue(
            "not-found",
            "There is no such slot; search for one.",
            expression="Appointment.slot[0].reference",
        ),
    )


def test_an_appointment_is_not_given_away(
    client: FlaskClient, numbers: list[str]
) -> None:
    """A patch of the patient is refused, and the number not repeated."""
    body = booked(client, "norr", numbers[0])

    response = patch(
        client,
        body["id"],
        [
            {
                "op": "replace",
                "path": "/participant/0/actor/identifier/value",
                "value": numbers[1],
            },
            *status_patch("cancelled"),
        ],
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


@pytest.mark.parametrize(
    ("operations", "status", "fault"),
    [
        pytest.param({}, 400, _NO_PATCH, id="an object"),
        pytest.param("cancelled", 400, _NO_PATCH, id="a text"),
        pytest.param([None], 400, _NO_PATCH, id="null for an operation"),
        pytest.param([5], 400, _NO_PATCH, id="a number for an operation"),
        pytest.param([{}], 400, _NO_PATCH, id="an empty operation"),
        pytest.param([{"op": "replace"}], 400, _NO_PATCH, id="no path"),
        pytest.param(
            [{"op": ["test"], "path": "/status", "value": "x"}],
            400,
            _NO_PATCH,
            id="an operation that is no text",
        ),
        pytest.param(
            [{"op": "change", "path": "/status", "value": "x"}],
            400,
            _NO_PATCH,
            id="an unknown operation",
        ),
        pytest.param(
            [{"op": "replace", "path": "/status"}], 400, _NO_PATCH, id="no value"
        ),
        pytest.param(
            [{"op": "remove", "path": 5}], 400, _NO_PATH, id="a path that is no text"
        ),
        pytest.param(
            [{"op": "remove", "path": "status"}], 400, _NO_PATH, id="without a slash"
        ),
        pytest.param(
            [{"op": "remove", "path": "/a~2"}], 400, _NO_PATH, id="a wrong escape"
        ),
        pytest.param(
            [{"op": "copy", "from": "id", "path": "/comment"}],
            400,
            _NO_PATH,
            id="a wrong origin",
        ),
        pytest.param(
            [{"op": "remove", "path": "/nothing"}], 422, _DOES_NOT_FIT, id="not there"
        ),
        pytest.param(
            [{"op": "replace", "path": "/slot/9/reference", "value": "x"}],
            422,
            _DOES_NOT_FIT,
            id="beyond the list",
        ),
        pytest.param(
            [{"op": "add", "path": "/slot/x", "value": "x"}],
            422,
            _DOES_NOT_FIT,
            id="a place that is no number",
        ),
        pytest.param(
            [{"op": "replace", "path": "", "value": []}],
            422,
            issue("processing", "The patch leaves no Appointment."),
            id="the whole replaced by a list",
        ),
        pytest.param(
            [{"op": "test", "path": "/status", "value": "booked"}] * 21,
            422,
            issue("processing", "A patch has at most 20 operations."),
            id="too many operations",
        ),
        pytest.param(
            [
                {"op": "add", "path": "/x", "value": ["x" * 1_000]},
                *[{"op": "copy", "from": "/x", "path": "/x/-"}] * 19,
            ],
            422,
            issue("processing", "The patch makes the appointment too large."),
            id="copies of copies",
        ),
        pytest.param(
            [{"op": "replace", "path": "/participant", "value": 5}],
            422,
            issue(
                "value",
                "The element's value does not fit its type in R4.",
                expression="Appointment.participant",
            ),
            id="participants that are a number",
        ),
        pytest.param(
            [{"op": "replace", "path": "/slot", "value": None}],
            422,
            issue(
                "structure",
                "Nothing in FHIR's JSON is null or empty: leave it out.",
                expression="Appointment.slot",
            ),
            id="a slot that is null",
        ),
        pytest.param(
            [{"op": "replace", "path": "/status", "value": "canceled"}],
            422,
            issue(
                "code-invalid",
                "The code must be one of arrived, booked, cancelled, checked-in,"
                " entered-in-error, fulfilled, noshow, pending, proposed, waitlist.",
                expression="Appointment.status",
            ),
            id="a misspelt status",
        ),
    ],
)
def test_a_patch_that_cannot_be_done_is_refused(
    client: FlaskClient,
    one_booking: str,
    operations: Any,
    status: int,
    fault: dict[str, Any],
) -> None:
    """
    An invalid patch, or one that leaves no appointment, is refused with the reason.
    """
    assert_outcome(patch(client, one_booking, operations), status, fault)
    read = client.get(f"/fhir/Appointment/{one_booking}").json
    assert read is not None
    assert read["status"] == "booked"


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/merge-patch+json", "application/xml", ""],
)
def test_another_kind_of_patch_is_refused(
    client: FlaskClient, content_type: str, number: str
) -> None:
    """A patch of a kind that is not R4's, or of no stated kind, is refused."""
    body = booked(client, "norr", number)

    response = client.patch(
        f"/fhir/Appointment/{body['id']}",
        data="[]",
        headers={"Content-Type": content_type},
    )
    assert_outcome(
        response,
        415,
        issue(
            "not-supported",
            f"Send the body as {FHIR_JSON} or application/fhir+xml or {JSON_PATCH}, in"
            " UTF-8.",
            location="http.Content-Type",
        ),
    )


_PATHS = st.sampled_from(
    [
        *("", "/", "/status", "/slot", "/slot/0", "/slot/-", "/slot/0/reference"),
        *("/participant", "/participant/0", "/participant/0/actor", "/start", "/end"),
        *("/participant/0/actor/identifier/value", "/contained", "/x", "/meta", "/id"),
        *("/resourceType", "/extension/0", "/serviceType/0/coding", "/~2", "status"),
    ]
)
_OPERATIONS = st.lists(
    st.fixed_dictionaries(
        {
            "op": st.sampled_from(
                ["add", "replace", "remove", "move", "copy", "test", "x"]
            ),
            "path": _PATHS,
        },
        optional={
            "from": _PATHS,
            "value": st.sampled_from(
                [
                    *(None, 5, "x", [], {}, "booked", "197501019801", "Provmarkör"),
                    *([{"reference": "Slot/1"}], {"reference": "#p"}, [None]),
                    [{"actor": {"type": "Patient"}, "status": "accepted"}],
                ]
            ),
        },
    ),
    max_size=5,
)


@given(operations=_OPERATIONS)
@settings(
    max_examples=examples(80),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_patch_is_done_or_refused_without_an_echo(
    client: FlaskClient, one_booking: str, operations: Any
) -> None:
    """A patch of any operations never fails, and never repeats what it holds."""
    response = patch(client, one_booking, operations)

    assert response.status_code in (200, 400, 409, 412, 422)
    assert "197501019801" not in response.text
    assert "Provmarkör" not in response.text


@pytest.fixture(name="one_booking")
def _one_booking(client: FlaskClient, number: str) -> str:
    return str(booked(client, "norr", number)["id"])
