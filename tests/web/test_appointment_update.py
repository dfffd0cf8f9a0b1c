"""
Appointment update: moves or cancels, by PUT.

https://hl7.org/fhir/R4/http.html#update
"""

import json
from typing import Any
from uuid import uuid4

import pytest
from assertions import assert_issues, assert_outcome, issue
from flask.testing import FlaskClient

from fhir_gateway.model.error_code import ErrorCode

from .bodies import (
    FHIR_JSON,
    another_slot,
    appointment,
    book,
    change,
    free_slots,
    patch,
    status_patch,
)
from .conflicts import ALREADY_CANCELLED, NOT_BOOKED, STALE
from .running import BASE_URL, REGIONS, Sandbox


def booked(
    client: FlaskClient, region: str, number: str, **changes: Any
) -> dict[str, Any]:
    """Book, and return the appointment as it is read."""
    answer = book(client, region, number, **changes)
    assert answer.status_code == 201
    assert answer.json is not None
    read: dict[str, Any] | None = client.get(
        f"/fhir/Appointment/{answer.json['id']}"
    ).json
    assert read is not None
    return read


def moved_to(body: dict[str, Any], slot: dict[str, Any]) -> dict[str, Any]:
    """Return a body that moves to a slot, as a client writes it."""
    return {
        **body,
        "slot": [{"reference": f"Slot/{slot['id']}"}],
        "start": slot["start"],
        "end": slot["end"],
        "participant": body["participant"][:1],
    }


@pytest.mark.parametrize("region", REGIONS)
def test_a_booking_is_moved_to_another_slot(
    client: FlaskClient, sandbox: Sandbox, region: str, number: str
) -> None:
    """A PUT with another slot moves: one UpdateBooking, the same id, a new ETag."""
    body = booked(client, region, number)
    slot = another_slot(client, body)

    response = change(client, moved_to(body, slot))
    moved = response.json
    assert moved is not None
    assert response.status_code == 200
    assert (moved["id"], moved["status"]) == (body["id"], "booked")
    assert moved["slot"] == [{"reference": f"Slot/{slot['id']}"}]
    assert (moved["start"], moved["end"]) == (slot["start"], slot["end"])
    assert int(moved["meta"]["versionId"]) > int(body["meta"]["versionId"])
    assert response.headers["ETag"] == f'W/"{moved["meta"]["versionId"]}"'
    writes = sandbox.writes(region, number)
    assert [write["interaction"] for write in writes] == [
        "MakeBooking",
        "UpdateBooking",
    ]
    assert moved["identifier"][0]["value"] == writes[-1]["booking_id"]


def test_the_old_slot_is_free_and_the_new_one_is_not(
    client: FlaskClient, number: str
) -> None:
    """After a move the time that was left can be booked again."""
    body = booked(client, "norr", number)
    slot = another_slot(client, body)
    assert change(client, moved_to(body, slot)).status_code == 200

    statuses = [
        (client.get(f"/fhir/{reference}").json or {}).get("status")
        for reference in (body["slot"][0]["reference"], f"Slot/{slot['id']}")
    ]
    assert statuses == ["free", "busy"]


@pytest.mark.parametrize("region", REGIONS)
def test_a_booking_is_cancelled(
    client: FlaskClient, sandbox: Sandbox, region: str, number: str
) -> None:
    """A PUT with status cancelled cancels; the appointment stays and says so."""
    body = booked(client, region, number)

    response = change(client, {**body, "status": "cancelled"})
    cancelled = response.json
    assert cancelled is not None
    assert (response.status_code, cancelled["status"]) == (200, "cancelled")
    assert cancelled["participant"] == body["participant"]
    assert sandbox.writes(region, number)[-1]["interaction"] == "CancelBooking"


def test_a_cancelled_booking_is_cancelled_once(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A second cancellation answers as the first and sends nothing."""
    body = booked(client, "norr", number)
    first = change(client, {**body, "status": "cancelled"})

    second = change(client, {**body, "status": "cancelled"})
    assert (second.status_code, second.json) == (200, first.json)
    assert len(sandbox.writes("norr", number)) == 2


def test_a_cancellation_with_another_slot_is_refused(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A client that names another slot may want a move: neither is done."""
    body = booked(client, "norr", number)
    slot = another_slot(client, body)

    response = change(client, {**moved_to(body, slot), "status": "cancelled"})
    assert_outcome(
        response,
        409,
        issue(
            "conflict",
            "The request cancels the appointment and names another slot, so it is"
            " unclear whether to move or to cancel: read it again, and change only one"
            " of the two.",
        ),
    )
    assert len(sandbox.writes("norr", number)) == 1


def test_a_copy_that_says_cancelled_is_not_moved(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """Another slot for a cancelled appointment is a conflict, and sends nothing."""
    body = booked(client, "norr", number)
    slot = another_slot(client, body)
    cancelled = change(client, {**body, "status": "cancelled"}).json
    assert cancelled is not None

    response = change(client, moved_to(cancelled, slot))
    assert_outcome(
        response,
        409,
        ALREADY_CANCELLED,
    )
    assert len(sandbox.writes("norr", number)) == 2


def test_a_cancellation_may_say_why(client: FlaskClient, number: str) -> None:
    """Where the booking takes a message, cancelationReason.text is sent along."""
    body = booked(client, "norr", number)

    reason = {"text": "Jag är frisk."}
    response = change(
        client, {**body, "status": "cancelled", "cancelationReason": reason}
    )
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("header", "status"),
    [
        pytest.param(None, 200, id="none demanded"),
        pytest.param("*", 200, id="any"),
        pytest.param("present", 200, id="the present one"),
        pytest.param('W/"99"', 412, id="another one"),
        pytest.param('W/"98", present', 200, id="one of several"),
        pytest.param('  ,, present ,\t, W/"98",', 200, id="empty members"),
        pytest.param('W/"98",W/"99"', 412, id="none of several"),
        pytest.param('W/"-1"', 412, id="no version at all"),
        pytest.param('W/"' + "9" * 5_000 + '"', 412, id="an endless one"),
        pytest.param("1", 400, id="a bare number"),
        pytest.param('w/"1"', 400, id="a small w"),
        pytest.param('*, W/"1"', 400, id="any and one"),
        pytest.param('W/"1" W/"2"', 400, id="no comma"),
        pytest.param("", 400, id="empty"),
    ],
)
def test_if_match_guards_a_change(
    client: FlaskClient, header: str | None, status: int, number: str
) -> None:
    """A change is done only to the version that the client names."""
    body = booked(client, "norr", number)
    present = f'W/"{body["meta"]["versionId"]}"'
    headers = {} if header is None else {"If-Match": header.replace("present", present)}

    response = change(client, {**body, "status": "cancelled"}, headers=headers)
    assert response.status_code == status
    if status == 412:
        assert_outcome(response, 412, STALE)
    if status == 400:
        assert_outcome(
            response,
            400,
            issue(
                "value",
                'If-Match must be *, or ETags as they were read, such as W/"1",'
                " separated by commas.",
                location="http.If-Match",
            ),
        )


@pytest.mark.parametrize(
    "form",
    [
        pytest.param('"{}"', id="strong"),
        pytest.param('W/"{}-gzip"', id="marked by a proxy that compresses"),
        pytest.param('"{}--br"', id="strong and marked"),
    ],
)
def test_another_form_of_the_present_etag_matches(
    client: FlaskClient, number: str, form: str
) -> None:
    """If-Match compares weakly, and without the mark of a proxy that compresses."""
    body = booked(client, "norr", number)
    version = body["meta"]["versionId"]

    response = change(
        client,
        {**body, "status": "cancelled"},
        headers={"If-Match": form.format(version)},
    )

    assert response.status_code == 200


@pytest.mark.parametrize(
    ("header", "status"),
    [
        pytest.param("*", 412, id="any"),
        pytest.param("present", 412, id="the present one"),
        pytest.param('W/"98", present', 412, id="one of several"),
        pytest.param('W/"98"', 200, id="another one"),
        pytest.param("98", 400, id="a bare number"),
    ],
)
def test_if_none_match_guards_a_change(
    client: FlaskClient, number: str, header: str, status: int
) -> None:
    """A version that If-None-Match lists is not changed (RFC 9110, 13.1.2)."""
    body = booked(client, "norr", number)
    present = f'W/"{body["meta"]["versionId"]}"'

    response = change(
        client,
        {**body, "status": "cancelled"},
        headers={"If-None-Match": header.replace("present", present)},
    )

    assert response.status_code == status


def test_malformed_preconditions_are_named_at_once(
    client: FlaskClient, number: str
) -> None:
    """Both headers are named where neither can be read."""
    body = booked(client, "norr", number)

    response = change(client, body, headers={"If-Match": "1", "If-None-Match": "2"})

    assert response.json is not None
    assert response.status_code == 400
    assert [each["location"] for each in response.json["issue"]] == [
        ["http.If-Match"],
        ["http.If-None-Match"],
    ]


@pytest.mark.parametrize("way", ["put", "patch", "$book", "$cancel", "$reschedule"])
def test_a_change_says_which_version_it_made_and_where(
    client: FlaskClient, number: str, way: str
) -> None:
    """The answer has ETag, Last-Modified and Content-Location (R4, 3.1.0.4)."""
    body = booked(client, "norr", number)
    url = f"/fhir/Appointment/{body['id']}"
    cancelled = {**body, "status": "cancelled"}
    slot = another_slot(client, body)["id"]
    answer = {
        "put": lambda: change(client, cancelled),
        "patch": lambda: patch(client, body["id"], status_patch("cancelled")),
        "$book": lambda: client.post(
            "/fhir/Appointment/$book", json=cancelled, content_type=FHIR_JSON
        ),
        "$cancel": lambda: client.post(f"{url}/$cancel", content_type=FHIR_JSON),
        "$reschedule": lambda: client.post(
            f"{url}/$reschedule",
            json={
                "resourceType": "Parameters",
                "parameter": [
                    {
                        "name": "slot-reference",
                        "valueReference": {"reference": f"Slot/{slot}"},
                    }
                ],
            },
            content_type=FHIR_JSON,
        ),
    }[way]()

    read = client.get(url)
    assert answer.status_code == 200
    assert answer.headers["Content-Location"] == f"{BASE_URL}/Appointment/{body['id']}"
    assert {name: answer.headers[name] for name in ("ETag", "Last-Modified")} == {
        name: read.headers[name] for name in ("ETag", "Last-Modified")
    }


def test_if_match_guards_a_change_of_nothing(client: FlaskClient, number: str) -> None:
    """A PUT that changes nothing is stale as well when the version is."""
    body = booked(client, "norr", number)

    assert_outcome(change(client, body, headers={"If-Match": 'W/"99"'}), 412, STALE)


def test_a_change_of_nothing_changes_nothing(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A PUT of what was read answers what was read, and sends nothing."""
    body = booked(client, "norr", number, comment="Hej")

    response = change(client, body)
    read = response.json
    assert read is not None
    for each in (read, body):
        del each["meta"]["extension"]
    assert (response.status_code, read) == (200, body)
    assert len(sandbox.writes("norr", number)) == 1


# What is not permitted.


def test_a_booking_that_may_not_be_changed_is_left_alone(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """Where the region permits neither, moving and cancelling are refused unsent."""
    body = booked(client, "norr", number, search={"service-type": "TT-HALSOSAMTAL"})
    assert [each["valueBoolean"] for each in body["extension"][0]["extension"]][:2] == [
        False,
        False,
    ]

    assert_outcome(
        change(client, moved_to(body, another_slot(client, body))),
        422,
        issue(
            "forbidden",
            "The region does not let this booking be moved; contact the unit."
            " (source norr)",
        ),
    )
    assert_outcome(
        change(client, {**body, "status": "cancelled"}),
        422,
        issue(
            "forbidden",
            "The region does not let this booking be cancelled; contact the unit."
            " (source norr)",
        ),
    )
    assert len(sandbox.writes("norr", number)) == 1


def test_a_booking_that_takes_no_message_gets_none(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A reason for a booking that takes no message is refused unsent."""
    body = booked(client, "norr", number, search={"service-type": "TT-GRUPP"})

    response = change(
        client,
        {**body, "status": "cancelled", "cancelationReason": {"text": "Nej"}},
    )
    assert_outcome(
        response,
        422,
        issue(
            "forbidden",
            "This booking takes no message: cancel it without cancelationReason."
            " (source norr)",
        ),
    )
    assert len(sandbox.writes("norr", number)) == 1


def test_a_booking_does_not_move_to_another_region(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A booking is not moved to a unit that its own does not name."""
    body = booked(client, "norr", number)

    response = change(client, moved_to(body, next(free_slots(client, "syd"))))
    assert_outcome(
        response,
        422,
        issue(
            "forbidden",
            "The region does not let this booking be moved to that unit: book the new"
            " time, then cancel this one. (source norr)",
        ),
    )
    assert len(sandbox.writes("norr", number)) == 1


def test_an_appointment_is_not_given_away(
    client: FlaskClient, numbers: list[str]
) -> None:
    """Another resident's number in the body is refused, and not repeated."""
    body = booked(client, "norr", numbers[0])
    body["participant"][0]["actor"]["identifier"]["value"] = numbers[1]

    response = change(client, {**body, "status": "cancelled"})
    assert_outcome(
        response,
        422,
        issue(
            "business-rule",
            "An appointment cannot be given to another person.",
            expression="Appointment.participant",
        ),
    )


# What is not possible.


@pytest.mark.parametrize(
    "status", ["pending", "arrived", "fulfilled", "noshow", "entered-in-error"]
)
def test_other_statuses_are_not_set_here(
    client: FlaskClient, status: str, number: str
) -> None:
    """A status that the contracts do not know is refused with what can be done."""
    body = booked(client, "norr", number)

    assert_outcome(
        change(client, {**body, "status": status}),
        422,
        issue(
            "not-supported",
            "status can be changed to cancelled only; a booking is moved by changing"
            " its slot.",
            expression="Appointment.status",
        ),
    )


def test_a_comment_is_not_changed(client: FlaskClient, number: str) -> None:
    """A comment cannot be changed alone, and the answer says what can be done."""
    body = booked(client, "norr", number, comment="Hej")

    assert_outcome(
        change(client, {**body, "comment": "Hej då"}),
        422,
        issue(
            "not-supported",
            "The regions' contracts cannot change a comment; cancel and book again, or"
            " contact the unit.",
            expression="Appointment.comment",
        ),
    )


def test_a_cancelled_booking_is_not_revived(client: FlaskClient, number: str) -> None:
    """A cancelled appointment cannot be booked again by changing its status."""
    body = booked(client, "norr", number)
    change(client, {**body, "status": "cancelled"})

    assert_outcome(
        change(client, body),
        409,
        ALREADY_CANCELLED,
    )


def test_a_text_that_the_region_does_not_show_now_is_no_change(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A comment may come back as it was read, also while its region cannot be asked."""
    body = booked(client, "norr", number, comment="Andra dosen")
    assert body["comment"] == "Andra dosen"
    reads = ["GetBookingDetails", "GetSubjectOfCareSchedule"]
    sandbox.spoil("norr", "vp-fault", interactions=reads)

    assert change(client, body).status_code == 200


def test_a_cancelled_booking_is_not_moved(client: FlaskClient, number: str) -> None:
    """A cancelled appointment cannot be moved."""
    body = booked(client, "norr", number)
    change(client, {**body, "status": "cancelled"})

    assert_outcome(
        change(client, moved_to(body, another_slot(client, body))),
        409,
        NOT_BOOKED,
    )


def test_a_move_needs_a_slot(client: FlaskClient, number: str) -> None:
    """A body without a slot that does not cancel is refused with what to name."""
    body = booked(client, "norr", number)
    del body["slot"]

    assert_outcome(
        change(client, body),
        422,
        issue(
            "required",
            "Name the slot: its own, or the one to move to.",
            expression="Appointment.slot",
        ),
    )


@pytest.mark.parametrize("own", [None, "another"])
def test_the_bodys_id_is_the_urls(
    client: FlaskClient, own: str | None, number: str
) -> None:
    """A body without the URL's id is refused."""
    body = booked(client, "norr", number)
    url = f"/fhir/Appointment/{body.pop('id')}"

    response = client.put(
        url, json={**body, **({"id": own} if own else {})}, content_type=FHIR_JSON
    )
    assert_outcome(
        response,
        400,
        issue(
            "value",
            "The body's id must be the one in the URL.",
            expression="Appointment.id",
        ),
    )


def test_an_unknown_appointment_is_not_found(client: FlaskClient, number: str) -> None:
    """A PUT to an id that this server did not give makes nothing."""
    body = appointment(next(free_slots(client))["id"], number, id=str(uuid4()))

    assert_outcome(
        change(client, body), 404, issue("not-found", "There is no such booking.")
    )


# What the region answers.


def test_a_move_that_is_refused_leaves_the_booking(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A region's ERROR to a move is 422 with its words; the old time stands."""
    body = booked(client, "norr", number)
    sandbox.spoil("norr", "error", text="Ring oss.", interactions=["UpdateBooking"])

    response = change(client, moved_to(body, another_slot(client, body)))
    assert_outcome(response, 422, issue("business-rule", text="Ring oss."))
    read = client.get(f"/fhir/Appointment/{body['id']}").json
    assert read is not None
    assert (read["status"], read["slot"]) == ("booked", body["slot"])


def test_a_move_with_info_shows_it(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A region's INFO to a move is shown as that of a booking is."""
    body = booked(client, "norr", number)
    sandbox.spoil("norr", "info", text="Ny tid, ny ingång.")

    moved = change(client, moved_to(body, another_slot(client, body))).json
    assert moved is not None
    assert moved["patientInstruction"] == "Ny tid, ny ingång."


def test_a_cancellation_of_unknown_outcome_is_found_out(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A cancellation with a lost answer is 202, pending; then it is cancelled."""
    body = booked(client, "norr", number)
    sandbox.spoil("norr", "drop-after-processing", interactions=["CancelBooking"])

    response = change(client, {**body, "status": "cancelled"})
    assert response.status_code == 202
    assert response.json is not None
    assert response.json["status"] == "pending"
    url = f"{BASE_URL}/Appointment/{body['id']}"
    assert response.headers["Content-Location"] == url
    read = client.get(f"/fhir/Appointment/{body['id']}").json
    assert read is not None
    assert read["status"] == "cancelled"


def test_a_move_of_unknown_outcome_is_found_out(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A move with a lost answer is 202, pending; then it is where it was moved."""
    body = booked(client, "mitt", number)
    slot = another_slot(client, body)
    sandbox.spoil("mitt", "drop-after-processing", interactions=["UpdateBooking"])

    response = change(client, moved_to(body, slot))
    assert response.status_code == 202
    read = client.get(f"/fhir/Appointment/{body['id']}").json
    assert read is not None
    assert (read["status"], read["start"]) == ("booked", slot["start"])


def test_a_pending_booking_is_not_changed(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """While the outcome is unknown a booking can neither be moved nor cancelled."""
    sandbox.spoil("norr", "drop-before-processing", interactions=["MakeBooking"])
    pending = book(client, "norr", number).json
    assert pending is not None

    assert_outcome(
        change(client, {**pending, "status": "cancelled"}),
        409,
        NOT_BOOKED,
    )


def test_an_invitations_name_has_to_be_sent_to_move_it(client: FlaskClient) -> None:
    """A booking that was made elsewhere is moved when the client sends the name."""
    found = client.post(
        "/fhir/Appointment/_search",
        data={
            "patient.identifier": (
                "http://electronichealth.se/identifier/personnummer|191212121212"
            )
        },
    ).json
    assert found is not None
    (body,) = (
        entry["resource"]
        for entry in found["entry"]
        if entry["search"]["mode"] == "match"
        and entry["resource"]["extension"][1]["valueBoolean"]
    )
    (service,) = (
        each["actor"]["reference"].partition("/")[2]
        for each in body["participant"]
        if each["actor"].get("reference", "").startswith("HealthcareService/")
    )
    slot = next(
        free_slots(
            client,
            "norr",
            **{
                "service-type": body["serviceType"][0]["coding"][-1]["code"],
                "schedule.actor:HealthcareService": service,
            },
        )
    )

    assert_outcome(
        change(client, moved_to(body, slot)),
        422,
        issue(
            "required",
            "The booking was made elsewhere, so the resident's name is not known here:"
            " send it as a contained Patient.",
        ),
    )


def test_a_minimal_answer_has_no_body(client: FlaskClient, number: str) -> None:
    """Under return=minimal the headers have everything."""
    body = booked(client, "norr", number)

    response = change(
        client, {**body, "status": "cancelled"}, headers={"Prefer": "return=minimal"}
    )
    assert (response.status_code, response.data) == (200, b"")
    assert response.headers["ETag"].startswith("W/")


@pytest.mark.parametrize("prefer", ["return=representation", "return=OperationOutcome"])
def test_a_freed_slot_that_is_not_offered_again_is_reported(
    client: FlaskClient, sandbox: Sandbox, number: str, prefer: str
) -> None:
    """A cancellation says so when its region does not list the slot as free."""
    body = book(client, "norr", number).json
    assert body is not None
    sandbox.spoil("norr", "empty", interactions=["GetAvailableTimeslots"])

    response = change(
        client, body | {"status": "cancelled"}, headers={"Prefer": prefer}
    )

    answer = response.json
    assert response.status_code == 200
    assert answer is not None
    outcome = answer["contained"][0] if "contained" in answer else answer
    assert_issues(
        outcome["issue"],
        [
            issue(
                "informational",
                "The appointment is cancelled; its region does not list the slot as"
                " free just now.",
                severity="information",
                error=ErrorCode.SLOT_IS_NOT_OFFERED_AGAIN,
            )
        ],
    )


@pytest.mark.parametrize("way", ["put", "patch", "$book", "$cancel"])
def test_an_appointment_with_a_regions_long_text_is_cancelled(
    client: FlaskClient, sandbox: Sandbox, number: str, way: str
) -> None:
    """What a region says of a booking, twice in an answer, is never too large here."""
    sandbox.spoil("norr", "info", interactions=["MakeBooking"], text="å" * 20_000)
    body = book(client, "norr", number).json
    assert body is not None
    sandbox.heal()
    cancelled = {**body, "status": "cancelled"}
    sent = {
        "resourceType": "Parameters",
        "parameter": [{"name": "appointment-resource", "resource": cancelled}],
    }

    answer = {
        "put": lambda: change(client, cancelled),
        "patch": lambda: patch(client, body["id"], status_patch("cancelled")),
        "$book": lambda: client.post(
            "/fhir/Appointment/$book", json=sent, content_type=FHIR_JSON
        ),
        "$cancel": lambda: client.post(
            "/fhir/Appointment/$cancel", json=sent, content_type=FHIR_JSON
        ),
    }[way]()

    assert len(json.dumps(body, ensure_ascii=False).encode()) > 80_000
    assert answer.status_code == 200
