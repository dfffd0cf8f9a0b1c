"""
What a PUT, a PATCH or an operation cannot change is refused by name, all of it.

https://hl7.org/fhir/R4/http.html#update, RFC 5789, section 2.
"""

import copy
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from .bodies import another_slot, appointment, book, change, patch, slot_patch
from .dialects import call, parameters, reference, resource, text
from .running import BASE_URL, Sandbox


@pytest.fixture(name="visit")
def _visit(client: FlaskClient, number: str) -> dict[str, Any]:
    """Give a booked appointment, as it is read."""
    answer = book(client, "norr", number, comment="Hej").json
    assert answer is not None
    read: dict[str, Any] | None = client.get(f"/fhir/Appointment/{answer['id']}").json
    assert read is not None
    return read


def named(response: TestResponse) -> list[str]:
    """Return the places that a 422 names."""
    assert response.status_code == 422, response.text
    assert response.json is not None
    return [place for each in response.json["issue"] for place in each["expression"]]


_OTHER_CONCEPT = [{"text": "Något annat"}]
_CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "priority": ({"priority": 1}, "priority"),
    "description": ({"description": "x"}, "description"),
    "serviceType": ({"serviceType": _OTHER_CONCEPT}, "serviceType[0].text"),
    "serviceCategory": ({"serviceCategory": _OTHER_CONCEPT}, "serviceCategory"),
    "specialty": ({"specialty": _OTHER_CONCEPT}, "specialty"),
    "appointmentType": ({"appointmentType": {"text": "x"}}, "appointmentType"),
    "reasonCode": ({"reasonCode": _OTHER_CONCEPT}, "reasonCode"),
    "created": ({"created": "2020-01-01T00:00:00Z"}, "created"),
    "language": ({"language": "sv"}, "language"),
    "minutesDuration": ({"minutesDuration": 5}, "minutesDuration"),
    "patientInstruction": ({"patientInstruction": "x"}, "patientInstruction"),
    "identifier": (
        {"identifier": [{"system": "urn:x", "value": "1"}]},
        "identifier[0].system",
    ),
    "comment": ({"comment": "Hej då"}, "comment"),
}


@pytest.mark.parametrize("case", _CHANGES)
def test_a_put_that_changes_an_element_is_refused(
    client: FlaskClient, visit: dict[str, Any], case: str
) -> None:
    """
    An element that no contract can change is named, also when all others are right.
    """
    elements, place = _CHANGES[case]

    for status in ("booked", "cancelled"):
        answer = change(client, {**visit, **elements, "status": status})
        assert f"Appointment.{place}" in named(answer)
    read = client.get(f"/fhir/Appointment/{visit['id']}").json
    assert read is not None
    assert (read["status"], read["meta"]["versionId"]) == (
        "booked",
        visit["meta"]["versionId"],
    )


def test_every_change_is_named_in_one_answer(
    client: FlaskClient, sandbox: Sandbox, visit: dict[str, Any], number: str
) -> None:
    """A PUT of many changes, one of them possible, is refused with all the others."""
    wanted = copy.deepcopy(visit)
    wanted["status"] = "cancelled"
    wanted["priority"] = 1
    wanted["participant"][0]["status"] = "declined"
    wanted["participant"][1]["status"] = "tentative"
    wanted["participant"][0]["required"] = "optional"
    wanted["meta"]["tag"] = [{"code": "x"}]

    assert named(change(client, wanted)) == [
        "Appointment.meta.tag",
        "Appointment.priority",
        "Appointment.participant[0].status",
        "Appointment.participant[0].required",
        "Appointment.participant[1].status",
    ]
    assert len(sandbox.writes("norr", number)) == 1


@pytest.mark.parametrize(
    ("operation", "places"),
    [
        ({"op": "replace", "path": "/id", "value": "x"}, ["Appointment.id"]),
        ({"op": "remove", "path": "/id"}, ["Appointment.id"]),
        (
            {"op": "replace", "path": "/meta/versionId", "value": "99"},
            ["Appointment.meta.versionId"],
        ),
        ({"op": "remove", "path": "/meta"}, ["Appointment.meta"]),
        (
            {"op": "replace", "path": "/participant/0/status", "value": "declined"},
            ["Appointment.participant[0].status"],
        ),
        (
            {"op": "remove", "path": "/participant/1"},
            None,
        ),
        (
            {
                "op": "add",
                "path": "/participant/-",
                "value": {"actor": {"display": "x"}, "status": "accepted"},
            },
            ["Appointment.participant[4]"],
        ),
        (
            {"op": "add", "path": "/priority", "value": 5},
            ["Appointment.priority"],
        ),
        (
            {"op": "replace", "path": "/serviceType/0/text", "value": "x"},
            ["Appointment.serviceType[0].text"],
        ),
        ({"op": "remove", "path": "/comment"}, ["Appointment.comment"]),
        ({"op": "remove", "path": "/identifier"}, ["Appointment.identifier"]),
        ({"op": "remove", "path": "/slot"}, ["Appointment.slot[0]"]),
        ({"op": "remove", "path": "/created"}, ["Appointment.created"]),
        (
            {"op": "replace", "path": "/extension/1/valueBoolean", "value": True},
            ["Appointment.extension[1].value"],
        ),
        (
            {
                "op": "add",
                "path": "/text",
                "value": {"status": "generated", "div": "<div>x</div>"},
            },
            ["Appointment.text"],
        ),
        (
            {
                "op": "add",
                "path": "/contained",
                "value": [{"resourceType": "Patient", "id": "p"}],
            },
            ["Appointment.contained[0]"],
        ),
    ],
)
def test_a_patch_of_what_cannot_be_changed_is_refused(
    client: FlaskClient,
    visit: dict[str, Any],
    operation: dict[str, Any],
    places: list[str] | None,
) -> None:
    """Each path that a patch changes in vain is named, and nothing of it is done."""
    found = named(patch(client, visit["id"], [operation]))
    cancelling = [operation, {"op": "replace", "path": "/status", "value": "cancelled"}]
    also = named(patch(client, visit["id"], cancelling))

    assert found == also
    assert places is None or [each for each in found if each in places] == places
    read = client.get(f"/fhir/Appointment/{visit['id']}").json
    assert read is not None
    assert read["status"] == "booked"


@pytest.mark.parametrize(
    "left_out",
    [
        [],
        ["meta"],
        ["meta", "extension", "identifier", "created", "serviceType"],
        ["start", "end", "comment"],
    ],
)
def test_a_put_that_leaves_out_what_the_server_made_changes_nothing(
    client: FlaskClient, visit: dict[str, Any], left_out: list[str]
) -> None:
    """A client sends back what it understands; the version stays."""
    kept = {name: visit[name] for name in visit if name not in left_out}

    response = change(client, kept)
    assert response.status_code == 200, response.text
    assert response.json is not None
    assert response.json["meta"]["versionId"] == visit["meta"]["versionId"]
    assert response.headers["ETag"] == f'W/"{visit["meta"]["versionId"]}"'


def test_a_put_is_compared_by_its_meaning(
    client: FlaskClient, visit: dict[str, Any]
) -> None:
    """A narrative, another version, another offset and a contained Patient are fine."""
    start = client.get(f"/fhir/{visit['slot'][0]['reference']}").json
    assert start is not None
    wanted = copy.deepcopy(visit)
    wanted["meta"] |= {"versionId": "99", "lastUpdated": "2020-01-01T00:00:00Z"}
    wanted["text"] = {"status": "generated", "div": "<div>x</div>"}
    wanted["slot"] = [{"reference": f"{BASE_URL}/{visit['slot'][0]['reference']}"}]
    wanted["participant"] = wanted["participant"][:1]
    wanted["participant"][0]["actor"]["reference"] = "#p"
    wanted["contained"] = [{"resourceType": "Patient", "id": "p"}]

    response = change(client, wanted)
    assert response.status_code == 200, response.text


def test_a_patch_of_nothing_changes_nothing(
    client: FlaskClient, visit: dict[str, Any]
) -> None:
    """A patch that leaves everything as it is answers with the same version."""
    response = patch(
        client,
        visit["id"],
        [{"op": "replace", "path": "/status", "value": "booked"}],
    )

    assert response.status_code == 200, response.text
    assert response.headers["ETag"] == f'W/"{visit["meta"]["versionId"]}"'


def test_a_move_may_say_who_is_asked_anew(
    client: FlaskClient, visit: dict[str, Any]
) -> None:
    """A body that is written like a new booking moves; one who declined does not."""
    slot = another_slot(client, visit)
    identifier = visit["participant"][0]["actor"]["identifier"]["value"]
    wanted = appointment(slot["id"], identifier, id=visit["id"])
    declined = copy.deepcopy(wanted)
    declined["participant"][0]["status"] = "declined"

    assert named(change(client, declined)) == ["Appointment.participant[0].status"]
    response = change(client, wanted)
    assert response.status_code == 200, response.text


def test_a_move_changes_nothing_else(
    client: FlaskClient, sandbox: Sandbox, visit: dict[str, Any], number: str
) -> None:
    """A patch of the slot and of something else is not done in part."""
    slot = another_slot(client, visit)
    operations = [
        *slot_patch(slot["id"]),
        {"op": "add", "path": "/priority", "value": 1},
        {"op": "replace", "path": "/participant/0/status", "value": "tentative"},
    ]

    assert named(patch(client, visit["id"], operations)) == [
        "Appointment.priority",
        "Appointment.participant[0].status",
    ]
    assert len(sandbox.writes("norr", number)) == 1


@pytest.mark.parametrize("operation", ["cancel", "book", "reschedule"])
def test_an_operation_changes_nothing_else(
    client: FlaskClient,
    sandbox: Sandbox,
    visit: dict[str, Any],
    number: str,
    operation: str,
) -> None:
    """An Appointment that comes with an operation is checked in the same way."""
    wanted = {**visit, "description": "x"}
    if operation == "reschedule":
        wanted["slot"] = [{"reference": f"Slot/{another_slot(client, visit)['id']}"}]
        wanted["participant"] = wanted["participant"][:1]
        del wanted["start"], wanted["end"]

    response = call(client, operation, parameters(resource("appointment", wanted)))
    assert named(response) == ["Appointment.description"]
    assert len(sandbox.writes("norr", number)) == 1


# Another server's references, by every door.

_FOREIGN = [
    "https://other.example/fhir/Slot/{}",
    "file:///Slot/{}",
    "../../Slot/{}",
    "Slot/{}/_history/1",
    "Slot/{}?x",
    "urn:uuid:{}",
    "slot/{}",
]


@pytest.mark.parametrize("form", _FOREIGN)
def test_another_servers_slot_is_refused_by_every_door(
    client: FlaskClient,
    sandbox: Sandbox,
    visit: dict[str, Any],
    number: str,
    form: str,
) -> None:
    """A reference to anything but this server's slot is named, and nothing is done."""
    slot = another_slot(client, visit)
    text_ = form.format(slot["id"])
    foreign = [{"reference": text_}]
    moved = {**visit, "slot": foreign, "participant": visit["participant"][:1]}
    del moved["start"], moved["end"]
    new = appointment(slot["id"], number) | {"slot": foreign}

    for response in (
        client.post("/fhir/Appointment", json=new, content_type="application/json"),
        change(client, moved),
        patch(
            client,
            visit["id"],
            [{"op": "replace", "path": "/slot/0/reference", "value": text_}],
        ),
        patch(
            client,
            visit["id"],
            [
                {"op": "replace", "path": "/slot", "value": foreign},
                {"op": "replace", "path": "/status", "value": "cancelled"},
            ],
        ),
        call(client, "book", parameters(resource("appt-resource", new))),
        call(client, "book", parameters(resource("appt-resource", moved))),
        call(client, "hold", parameters(resource("appointment", new))),
        call(client, "cancel", parameters(resource("appointment", moved))),
        call(client, "reschedule", parameters(resource("appointment", moved))),
    ):
        assert named(response) == ["Appointment.slot[0].reference"]
    for operation in ("hold", "book", "reschedule"):
        given = parameters(reference("slot-reference", text_), text("comment", "x"))
        assert call(client, operation, given, on=visit["id"]).status_code == 400
    assert len(sandbox.writes("norr", number)) == 1


def test_modifiers_are_refused_by_every_door(
    client: FlaskClient, sandbox: Sandbox, visit: dict[str, Any], number: str
) -> None:
    """An element that changes the meaning of the rest is named, wherever it is."""
    modifier = {"modifierExtension": [{"url": "urn:x", "valueBoolean": True}]}
    wanted = {**visit, **modifier, "status": "cancelled"}

    for response in (
        change(client, wanted),
        patch(
            client,
            visit["id"],
            [
                {
                    "op": "add",
                    "path": "/modifierExtension",
                    "value": [{"url": "urn:x"}],
                },
                {"op": "replace", "path": "/status", "value": "cancelled"},
            ],
        ),
        call(client, "cancel", parameters(resource("appointment", wanted))),
        call(client, "book", parameters(resource("appointment", wanted))),
        call(client, "hold", wanted),
        call(client, "cancel", wanted),
    ):
        assert named(response) == ["Appointment.modifierExtension"]
    assert len(sandbox.writes("norr", number)) == 1


def test_a_move_to_another_service_type_than_the_slots_is_refused(
    client: FlaskClient, visit: dict[str, Any]
) -> None:
    """The new slot decides what care it is for; that of the old one may be left."""
    slot = another_slot(client, visit)
    moved = {
        name: value
        for name, value in visit.items()
        if name not in ("start", "end", "contained", "extension")
    }
    moved["participant"] = visit["participant"][:1]
    moved["slot"] = [{"reference": f"Slot/{slot['id']}"}]
    other = [{"coding": [{"system": "http://snomed.info/sct", "code": "73211009"}]}]

    refused = change(client, {**moved, "serviceType": other})
    assert named(refused) == ["Appointment.serviceType[0].coding[0]"]
    assert change(client, moved).status_code == 200


def with_patient(visit: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return an appointment with a contained Patient that the participant names."""
    wanted = copy.deepcopy(visit)
    wanted["participant"][0]["actor"]["reference"] = "#p"
    name = [{"family": "Testlund", "given": ["Anna"]}]
    patient_ = {"resourceType": "Patient", "id": "p", "name": name, **changes}
    return {**wanted, "contained": [patient_]}


def test_a_put_with_another_name_is_refused(
    client: FlaskClient, visit: dict[str, Any]
) -> None:
    """No contract changes the name or the contacts of a booking."""
    other = with_patient(
        visit,
        name=[{"family": "Testberg", "given": ["Anna"]}],
        telecom=[{"system": "phone", "value": "070-1740605"}],
    )

    assert named(change(client, other)) == [
        "Appointment.contained[0].name",
        "Appointment.contained[0].telecom",
    ]
    assert change(client, with_patient(visit)).status_code == 200


def test_a_resident_who_changed_names_can_cancel(
    client: FlaskClient, visit: dict[str, Any]
) -> None:
    """The number identifies the resident; a cancellation needs no name."""
    other = with_patient(visit, name=[{"family": "Testberg", "given": ["Anna"]}])

    assert change(client, {**other, "status": "cancelled"}).status_code == 200


_OUTCOME = {
    "resourceType": "OperationOutcome",
    "id": "region-message",
    "issue": [{"severity": "information", "code": "informational"}],
}


@pytest.mark.parametrize(
    "contained",
    [
        _OUTCOME,
        {**_OUTCOME, "id": "mine"},
        {"resourceType": "Practitioner", "id": "x"},
        {"resourceType": "Patient", "id": "x"},
    ],
)
def test_a_put_with_a_contained_resource_of_its_own_is_refused(
    client: FlaskClient, visit: dict[str, Any], contained: dict[str, Any]
) -> None:
    """It would be dropped silently, so it is named."""
    wanted = {
        **visit,
        "contained": [contained],
        "participant": visit["participant"][1:],
    }

    for status in ("booked", "cancelled"):
        answer = change(client, {**wanted, "status": status})
        assert named(answer) == ["Appointment.contained[0]"]


# The patient.


@pytest.mark.parametrize(
    ("name", "value", "place"),
    [
        ("display", "Anna", "display"),
        ("id", "x", "id"),
        ("reference", "Patient/other", "reference"),
        ("extension", [{"url": "urn:x", "valueString": "x"}], "extension"),
        ("identifier/use", "official", "identifier.use"),
        ("identifier/type", {"text": "x"}, "identifier.type"),
        ("identifier/assigner", {"display": "x"}, "identifier.assigner"),
        ("identifier/period", {"start": "2020"}, "identifier.period"),
    ],
)
def test_what_describes_the_patient_cannot_be_changed(
    client: FlaskClient, visit: dict[str, Any], name: str, value: Any, place: str
) -> None:
    """The actor has the number alone: PUT and PATCH of more name it."""
    operation = {"op": "add", "path": f"/participant/0/actor/{name}", "value": value}
    wanted = copy.deepcopy(visit)
    *outer, last = name.split("/")
    actor = wanted["participant"][0]["actor"]
    (actor[outer[0]] if outer else actor)[last] = value
    move = slot_patch(another_slot(client, visit)["id"])

    for answer in (
        patch(client, visit["id"], [operation]),
        patch(client, visit["id"], [operation, *move]),
        change(client, wanted),
    ):
        assert named(answer) == [f"Appointment.participant[0].actor.{place}"]


def test_a_patch_cannot_remove_the_patients_type(
    client: FlaskClient, visit: dict[str, Any]
) -> None:
    """It would be there again at the next read."""
    operation = {"op": "remove", "path": "/participant/0/actor/type"}

    assert named(patch(client, visit["id"], [operation])) == [
        "Appointment.participant[0].actor.type"
    ]


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"gender": "female"}, "gender"),
        ({"address": [{"city": "Umeå"}]}, "address"),
        ({"maritalStatus": {"text": "x"}}, "maritalStatus"),
        (
            {"name": [{"family": "Testlund", "given": ["Anna"], "prefix": ["Dr"]}]},
            "name[0].prefix",
        ),
    ],
)
def test_a_put_of_more_about_the_contained_patient_is_refused(
    client: FlaskClient, visit: dict[str, Any], changes: dict[str, Any], place: str
) -> None:
    """A booking has the number, the name and contacts, and nothing else."""
    wanted = with_patient(visit, **changes)

    assert named(change(client, wanted)) == [f"Appointment.contained[0].{place}"]
    assert change(client, {**wanted, "status": "cancelled"}).status_code == 200


@pytest.mark.parametrize("is_same", [True, False])
def test_a_day_of_birth_is_the_numbers_or_refused(
    client: FlaskClient, visit: dict[str, Any], *, is_same: bool
) -> None:
    """A PUT cannot store another day of the same month."""
    digits = visit["participant"][0]["actor"]["identifier"]["value"]
    day = int(digits[6:8]) if is_same else (1 if digits[6:8] != "01" else 2)
    born = f"{digits[:4]}-{digits[4:6]}-{day:02}"
    answer = change(client, with_patient(visit, birthDate=born))

    if is_same:
        assert answer.status_code == 200, answer.text
    else:
        assert named(answer) == ["Appointment.contained[0].birthDate"]


# A move by PATCH.


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        ("/status", "proposed", "status"),
        ("/serviceType/0/text", "x", "serviceType[0].text"),
        (
            "/serviceType/0/coding/0/userSelected",
            True,
            "serviceType[0].coding[0].userSelected",
        ),
        ("/slot/0/display", "x", "slot[0].display"),
        ("/slot/0/id", "x", "slot[0].id"),
        (
            "/slot/0/extension",
            [{"url": "urn:x", "valueCode": "x"}],
            "slot[0].extension",
        ),
        ("/participant/1/status", "tentative", "participant[1].status"),
        ("/participant/1/required", "optional", "participant[1].required"),
        ("/participant/1/actor/display", "x", "participant[1].actor.display"),
        (
            "/participant/1/extension",
            [{"url": "urn:x", "valueCode": "x"}],
            "participant[1].extension",
        ),
        ("/reasonCode", [{"text": "x"}], "reasonCode"),
    ],
)
def test_a_patch_that_moves_is_done_whole_or_not(
    client: FlaskClient, visit: dict[str, Any], path: str, value: Any, place: str
) -> None:
    """What the new slot does not bring, and no contract has a field for, is named."""
    operations = [
        *slot_patch(another_slot(client, visit)["id"]),
        {"op": "add", "path": path, "value": value},
    ]

    assert named(patch(client, visit["id"], operations)) == [f"Appointment.{place}"]


@pytest.mark.parametrize(
    ("reasons", "places"),
    [
        ([{"text": "x"}, {"text": "y"}], ["reasonCode[1]"]),
        ([{"text": "x", "coding": [{"code": "1"}]}], ["reasonCode[0].coding"]),
    ],
)
def test_a_reason_of_a_move_is_one_text(
    client: FlaskClient,
    visit: dict[str, Any],
    reasons: list[dict[str, Any]],
    places: list[str],
) -> None:
    """The unit gets one text; codes and further reasons would be lost."""
    operations = [
        *slot_patch(another_slot(client, visit)["id"]),
        {"op": "remove", "path": "/comment"},
        {"op": "add", "path": "/reasonCode", "value": reasons},
    ]

    assert named(patch(client, visit["id"], operations)) == [
        f"Appointment.{each}" for each in places
    ]


# The status beside an operation.


@pytest.mark.parametrize(
    "status",
    ["noshow", "fulfilled", "entered-in-error", "arrived", "waitlist", "checked-in"],
)
@pytest.mark.parametrize("operation", ["cancel", "book", "reschedule"])
def test_an_operation_with_a_contradicting_status_does_nothing(
    client: FlaskClient, visit: dict[str, Any], operation: str, status: str
) -> None:
    """A visit that is said to have taken place is not cancelled for good."""
    wanted = {**visit, "status": status}

    answer = call(client, operation, parameters(resource("appointment", wanted)))
    read = client.get(f"/fhir/Appointment/{visit['id']}").json
    assert named(answer) == ["Appointment.status"]
    assert read is not None
    assert read["status"] == "booked"


@pytest.mark.parametrize("status", ["proposed", "pending", "booked", "cancelled"])
def test_a_cancellation_takes_the_appointment_as_it_was_or_will_be(
    client: FlaskClient, visit: dict[str, Any], status: str
) -> None:
    """The operation says what to do."""
    answer = call(client, "cancel", {**visit, "status": status})

    assert answer.status_code == 200, answer.text
