"""
Each dialect as its owner publishes it: the owner's own examples, with real ids.

What an example names (slots, schedules, codes, persons) is replaced by what this server
has; a resident's number and name are added where a booking needs them.
"""

from typing import Any, Final

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from .bodies import (
    FHIR_JSON,
    PERSONNUMMER,
    another_slot,
    book,
    change,
    free_slots,
)
from .dialects import appointment_of, call, parameters, patient, reference, resource
from .guarded import Guarded
from .running import Sandbox

pytestmark = pytest.mark.flow

_PRIORITY: Final = (
    "https://gematik.de/fhir/isik/StructureDefinition/ISiKTerminPriorityExtension"
)
_SERVICE: Final = "https://medplum.com/fhir/service-type-reference"


def free(client: FlaskClient) -> dict[str, Any]:
    """Return a free slot."""
    return next(free_slots(client, "norr"))


def released(client: FlaskClient, response: TestResponse) -> dict[str, Any]:
    """Check that something was held or booked, and cancel it; return it."""
    assert response.status_code == 201, response.text
    made = appointment_of(response)
    assert call(client, "cancel", parameters(), on=made["id"]).status_code == 200
    return made


def actor_of(number: str) -> dict[str, Any]:
    """Return a patient's actor with a number."""
    return {
        "reference": "Patient/example",
        "identifier": {"system": PERSONNUMMER, "value": number},
    }


# IHE ITI Scheduling.


@pytest.mark.parametrize("operation", ["hold", "book"])
def test_ihes_reference_alone_is_the_callers(
    guarded: Guarded, number: str, operation: str
) -> None:
    """
    A resident's `$hold` by a reference alone is theirs; `$book` needs a name.

    https://profiles.ihe.net/ITI/Scheduling/OperationDefinition-appointment-hold.html
    """
    mine = guarded.client("resident", number)
    proposed = f"Appointment/{free(mine)['id']}"

    response = call(
        mine, operation, parameters(reference("appointment-reference", proposed))
    )
    if operation == "hold":
        held = released(mine, response)
        assert held["status"] == "pending"
        assert held["participant"][0]["actor"]["identifier"]["value"] == number
    else:
        assert response.status_code == 422
        assert response.json is not None
        assert [each["expression"] for each in response.json["issue"]] == [
            ["Appointment.contained"]
        ]


@pytest.mark.parametrize("role", ["staff", "system"])
def test_nobodys_reference_alone_names_no_patient(guarded: Guarded, role: str) -> None:
    """Who is no resident names one: a hold is a resident's."""
    client = guarded.client(role)
    proposed = f"Appointment/{free(client)['id']}"

    response = call(
        client, "hold", parameters(reference("appointment-reference", proposed))
    )
    assert response.status_code == 422
    assert response.json is not None
    assert [each["expression"] for each in response.json["issue"]] == [
        ["Appointment.participant"]
    ]


def test_a_named_patient_is_not_replaced_by_the_caller(
    guarded: Guarded, numbers: list[str]
) -> None:
    """A patient without a number may be a child of the caller's: nothing is guessed."""
    mine = guarded.client("resident", numbers[0])
    body = {
        "resourceType": "Appointment",
        "status": "proposed",
        "slot": [{"reference": f"Slot/{free(mine)['id']}"}],
        "participant": [
            {"actor": {"reference": "Patient/child"}, "status": "accepted"}
        ],
    }

    response = call(mine, "hold", body)
    assert response.status_code == 422
    other = patient(numbers[1])
    response = call(
        mine,
        "hold",
        parameters(
            reference("slot-reference", f"Slot/{free(mine)['id']}"),
            resource("patient-resource", other),
        ),
    )
    assert response.status_code == 404


# Medplum.


def virtual(slot: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return Medplum's example of a proposed Appointment, with a contained Slot."""
    schedule = slot["schedule"]["reference"]
    unit = slot["id"].split(".")[0]
    time_type = schedule.removeprefix("Schedule/").rsplit(".", 1)[0]
    return {
        "resourceType": "Appointment",
        "status": "proposed",
        "start": slot["start"],
        "end": slot["end"],
        "serviceType": [
            {
                "coding": [{"code": slot["serviceType"][0]["coding"][-1]["code"]}],
                "extension": [
                    {
                        "url": _SERVICE,
                        "valueReference": {
                            "reference": f"HealthcareService/{time_type}"
                        },
                    }
                ],
            }
        ],
        "participant": [
            {
                "actor": {"reference": f"Location/{unit}"},
                "required": "required",
                "status": "needs-action",
            },
            *more.get("participant", ()),
        ],
        "contained": [
            {
                "resourceType": "Slot",
                "status": "busy",
                "schedule": {"reference": schedule},
                "start": slot["start"],
                "end": slot["end"],
            },
            *more.get("contained", ()),
        ],
    }


def test_medplums_hold_with_a_contained_slot(guarded: Guarded, number: str) -> None:
    """
    A contained Slot says which time; the answer has the Slot, held.

    https://www.medplum.com/docs/scheduling/appointment-hold
    """
    mine = guarded.client("resident", number)
    slot = free(mine)

    response = call(mine, "hold", parameters(resource("appointment", virtual(slot))))
    held = released(mine, response)
    assert held["slot"] == [{"reference": f"Slot/{slot['id']}"}]
    assert response.json is not None
    assert [each["resource"]["resourceType"] for each in response.json["entry"]] == [
        *("Appointment", "Slot")
    ]
    taken = response.json["entry"][1]["resource"]
    assert (taken["id"], taken["status"]) == (slot["id"], "busy-tentative")


def test_medplums_book_with_a_contained_slot(client: FlaskClient, number: str) -> None:
    """
    The documented `$book`, with the patient that a booking needs, books.

    https://www.medplum.com/docs/scheduling/appointment-book
    """
    slot = free(client)
    body = virtual(
        slot,
        participant=[{"actor": {"reference": "#anna"}, "status": "accepted"}],
        contained=[patient(number)],
    )

    made = released(
        client, call(client, "book", parameters(resource("appointment", body)))
    )
    assert (made["status"], made["slot"][0]["reference"]) == (
        "booked",
        f"Slot/{slot['id']}",
    )


def test_slots_at_two_schedules_are_not_booked(
    client: FlaskClient, number: str
) -> None:
    """A booking takes one slot: Medplum's multi-resource booking is refused."""
    one, other = free(client), next(free_slots(client, "syd"))
    body = virtual(
        one,
        participant=[{"actor": {"reference": "#anna"}, "status": "accepted"}],
        contained=[patient(number), virtual(other)["contained"][0]],
    )

    response = call(client, "book", parameters(resource("appointment", body)))
    assert response.status_code == 400


# ISiK.


def isik(slot: dict[str, Any], number: str) -> dict[str, Any]:
    """Return ISiK's example of an Appointment."""
    return {
        "resourceType": "Appointment",
        "id": "ISiKTerminExample",
        "meta": {
            "tag": [
                {
                    "code": "external",
                    "system": "http://fhir.de/CodeSystem/common-meta-tag-de",
                }
            ],
            "profile": ["https://gematik.de/fhir/isik/StructureDefinition/ISiKTermin"],
        },
        "status": "proposed",
        "start": slot["start"],
        "end": slot["end"],
        "slot": [{"reference": f"Slot/{slot['id']}"}],
        "serviceType": [{"coding": [slot["serviceType"][0]["coding"][-1]]}],
        "specialty": [
            {"coding": [{"code": "010", "system": "urn:oid:1.2.276.0.76.5.114"}]}
        ],
        "participant": [
            {
                "actor": {"display": "Test Patient", **actor_of(number)},
                "status": "accepted",
            }
        ],
        "_priority": {
            "extension": [
                {
                    "url": _PRIORITY,
                    "valueCodeableConcept": {
                        "coding": [
                            {"code": "25876001", "system": "http://snomed.info/sct"}
                        ]
                    },
                }
            ]
        },
    }


def test_isiks_example_books(client: FlaskClient, number: str) -> None:
    """
    ISiK's example, with an id of its own and the patient beside it, books.

    https://simplifier.net/guide/isik-terminplanung-stufe-5 (Operations)
    """
    slot = free(client)

    response = call(
        client,
        "book",
        parameters(
            resource("appt-resource", isik(slot, number)),
            resource("patient", patient(number)),
            resource(
                "related-person",
                {
                    "resourceType": "RelatedPerson",
                    "patient": {"reference": "Patient/example"},
                    "name": [{"family": "Testlund", "given": ["Eva"]}],
                },
            ),
        ),
    )
    made = released(client, response)
    assert response.json is not None
    assert response.json["resourceType"] == "Appointment"
    assert made["status"] == "booked"
    assert made["id"] != "ISiKTerminExample"


@pytest.mark.parametrize(
    "actor",
    [
        {"reference": "RelatedPerson/ISiKAngehoerigerExample"},
        {"reference": "https://example.org/fhir/RelatedPerson/1"},
        {"type": "RelatedPerson", "display": "Eva Testlund"},
        {"reference": "#eva"},
    ],
    ids=str,
)
def test_a_related_person_hinders_no_booking(
    client: FlaskClient, number: str, actor: dict[str, Any]
) -> None:
    """
    A RelatedPerson may take part (ISiK 5.1); the region never hears of them.

    https://gematik.de/fhir/isik/OperationDefinition/AppointmentBook
    """
    body = isik(free(client), number)
    body["participant"].append({"actor": actor, "status": "accepted"})
    if actor == {"reference": "#eva"}:
        body["contained"] = [
            {
                "resourceType": "RelatedPerson",
                "id": "eva",
                "patient": {"reference": "Patient/example"},
            }
        ]

    made = released(
        client,
        call(
            client,
            "book",
            parameters(
                resource("appt-resource", body), resource("patient", patient(number))
            ),
        ),
    )
    assert "RelatedPerson" not in str(made)


def test_a_related_person_who_declined_hinders_it(
    client: FlaskClient, number: str
) -> None:
    """Nothing is booked with a participant who declined, also with a relative."""
    body = isik(free(client), number)
    actor = {"reference": "RelatedPerson/1"}
    body["participant"].append({"actor": actor, "status": "declined"})

    response = call(
        client,
        "book",
        parameters(
            resource("appt-resource", body), resource("patient", patient(number))
        ),
    )
    assert response.status_code == 422


def test_isiks_patch_cancels(client: FlaskClient, number: str) -> None:
    """
    ISiK's example of a FHIRPath Patch cancels.

    https://simplifier.net/guide/isik-terminplanung-stufe-5 (Operations)
    """
    made = book(client, "norr", number).json
    assert made is not None

    response = client.patch(
        f"/fhir/Appointment/{made['id']}",
        json={
            "resourceType": "Parameters",
            "parameter": [
                {
                    "name": "operation",
                    "part": [
                        {"name": "type", "valueCode": "replace"},
                        {"name": "path", "valueString": "Appointment.status"},
                        {"name": "value", "valueCode": "cancelled"},
                    ],
                }
            ],
        },
        content_type=FHIR_JSON,
    )
    assert response.status_code == 200, response.text
    assert response.json is not None
    assert response.json["status"] == "cancelled"


def test_another_resource_is_no_related_person(
    client: FlaskClient, number: str
) -> None:
    """The parameter is checked, though nobody gets it."""
    response = call(
        client,
        "book",
        parameters(
            resource("appt-resource", isik(free(client), number)),
            resource("patient", patient(number)),
            resource("related-person", patient(number)),
        ),
    )

    assert response.status_code == 400


def test_isiks_lone_start_is_unprocessable(client: FlaskClient, number: str) -> None:
    """
    An Appointment with a `start` and no `end` is 422, also with a schedule.

    https://simplifier.net/guide/isik-terminplanung-stufe-5 (release notes of 5.1.0)
    """
    slot = free(client)
    body = isik(slot, number)
    del body["end"], body["slot"]

    response = call(
        client,
        "book",
        parameters(
            resource("appt-resource", body),
            resource("patient", patient(number)),
            reference("schedule", slot["schedule"]["reference"]),
        ),
    )
    assert response.status_code == 422
    assert response.json is not None
    assert ["Appointment.end"] in [
        each["expression"] for each in response.json["issue"]
    ]


def test_isiks_schedule_and_times_say_which_slot(
    client: FlaskClient, number: str
) -> None:
    """Without a slot, the schedule with start and end says which one."""
    slot = free(client)
    body = isik(slot, number)
    del body["slot"]

    made = released(
        client,
        call(
            client,
            "book",
            parameters(
                resource("appt-resource", body),
                resource("patient", patient(number)),
                reference("schedule", slot["schedule"]["reference"]),
            ),
        ),
    )
    assert made["slot"] == [{"reference": f"Slot/{slot['id']}"}]


# HL7 Austria.


def hold_slot(
    client: FlaskClient, slot: str, status: str, *more: dict[str, Any]
) -> TestResponse:
    """Send HL7 Austria's example of `Slot/$hold`."""
    return client.post(
        "/fhir/Slot/$hold",
        json=parameters(
            reference("slot-reference", f"Slot/{slot}"),
            {"name": "slot-status", "valueCode": status},
            *more,
        ),
        content_type=FHIR_JSON,
    )


def test_austrias_slot_is_held_and_released(guarded: Guarded, number: str) -> None:
    """
    `Slot/$hold` holds a resident's slot and releases it, by the slot alone.

    https://build.fhir.org/ig/HL7Austria/TC-FHIR-AG-Scheduling-R5/OperationDefinition-slot-hold.html
    """
    mine = guarded.client("resident", number)
    slot = free(mine)["id"]

    held = hold_slot(mine, slot, "busy-tentative")
    assert held.status_code == 201, held.text
    assert held.json is not None
    named = {each["name"]: each for each in held.json["parameter"]}
    assert named["slot"]["resource"]["status"] == "busy-tentative"
    assert slot not in {each["id"] for each in free_slots(mine, "norr")}
    released = hold_slot(mine, slot, "free")
    assert (released.status_code, appointment_of(released)["status"]) == (
        200,
        "cancelled",
    )
    assert slot in {each["id"] for each in free_slots(mine, "norr")}


def test_a_slot_alone_releases_nobody_elses_hold(
    guarded: Guarded, numbers: list[str]
) -> None:
    """A hold of another resident, and a booking, are not released by their slot."""
    mine, other = (guarded.client("resident", number) for number in numbers[:2])
    slot = free(mine)["id"]
    assert hold_slot(mine, slot, "busy-tentative").status_code == 201

    assert hold_slot(other, slot, "free").status_code == 400
    assert hold_slot(guarded.client("system"), slot, "free").status_code == 400
    assert hold_slot(mine, slot, "free").status_code == 200
    assert hold_slot(mine, slot, "free").status_code == 400


def test_the_slots_address_needs_what_the_appointments_needs(
    guarded: Guarded, number: str
) -> None:
    """`Slot/$hold` is `Appointment/$hold`: the same scope, the same roles."""
    slot = free(guarded.client())["id"]

    for client, status in (
        (guarded.client(), 401),
        (guarded.client("operator"), 403),
        (guarded.client("resident", number), 201),
    ):
        response = hold_slot(client, slot, "busy-tentative")
        assert response.status_code == status, response.text
        if status == 201:
            assert hold_slot(client, slot, "free").status_code == 200


def austria(slot: dict[str, Any], number: str) -> dict[str, Any]:
    """Return HL7 Austria's example of an Appointment, in R4's elements."""
    unit = slot["id"].split(".")[0]
    return {
        "resourceType": "Appointment",
        "id": "HL7ATSchedulingAppointmentExample01",
        "meta": {
            "profile": [
                "http://hl7.at/fhir/TC-FHIR-AG-Scheduling-R5/R5/StructureDefinition/at-scheduling-appointment"
            ]
        },
        "status": "proposed",
        "appointmentType": {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/v2-0276",
                    "code": "CHECKUP",
                    "display": "A routine check-up, such as an annual physical",
                }
            ]
        },
        "description": "Physiotherapie - Einzelbehandlung 30 Minuten",
        "start": slot["start"],
        "end": slot["end"],
        "created": "2026-05-10T14:23:00+02:00",
        "slot": [{"reference": f"Slot/{slot['id']}"}],
        "participant": [
            {
                "actor": {"display": "Anna Testlund", **actor_of(number)},
                "required": "required",
                "status": "accepted",
            },
            {
                "actor": {"reference": f"Location/{unit}"},
                "required": "required",
                "status": "accepted",
            },
        ],
    }


def test_austrias_example_books(client: FlaskClient, number: str) -> None:
    """
    HL7 Austria's `$book`, with the patient beside it, books.

    https://build.fhir.org/ig/HL7Austria/TC-FHIR-AG-Scheduling-R5/OperationDefinition-appointment-book.html
    """
    made = released(
        client,
        call(
            client,
            "book",
            parameters(
                resource("appointment-resource", austria(free(client), number)),
                resource("patient-resource", patient(number)),
            ),
        ),
    )
    assert made["status"] == "booked"


@pytest.mark.parametrize("keeps", ["the old slot", "no slot"])
def test_austrias_postponement_moves(
    client: FlaskClient, number: str, keeps: str
) -> None:
    """
    An update with another `start` and `end` alone moves to that time of the schedule.

    https://build.fhir.org/ig/HL7Austria/TC-FHIR-AG-Scheduling-R5/interactions.html
    """
    body = book(client, "norr", number).json
    assert body is not None
    later = another_slot(client, body)
    sent = body | {"start": later["start"], "end": later["end"]}
    if keeps == "no slot":
        del sent["slot"]

    response = change(client, sent, headers={"Prefer": "return=representation"})
    assert response.status_code == 200, response.text
    assert response.json is not None
    assert (response.json["id"], response.json["slot"]) == (
        body["id"],
        [{"reference": f"Slot/{later['id']}"}],
    )
    assert (response.json["start"], response.json["end"]) == (
        later["start"],
        later["end"],
    )


def test_a_postponement_to_no_free_time_is_refused(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A time that the schedule does not have is 409; the old one stands."""
    body = book(client, "norr", number).json
    assert body is not None
    writes = sandbox.writes("norr", number)
    sent = body | {
        "start": "2030-01-01T03:07:00+01:00",
        "end": "2030-01-01T03:22:00+01:00",
    }

    assert change(client, sent).status_code == 409
    assert sandbox.writes("norr", number) == writes


def test_another_slot_with_other_times_is_no_postponement(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A new slot with times that are not its own contradicts itself: 422."""
    body = book(client, "norr", number).json
    assert body is not None
    writes = sandbox.writes("norr", number)
    later = another_slot(client, body)
    sent = body | {
        "slot": [{"reference": f"Slot/{later['id']}"}],
        "participant": body["participant"][:1],
    }

    response = change(client, sent)
    assert response.status_code == 422
    assert response.json is not None
    assert [each["expression"] for each in response.json["issue"]] == [
        *(["Appointment.start"], ["Appointment.end"])
    ]
    assert sandbox.writes("norr", number) == writes


# GP Connect.


def test_gp_connects_example_books(client: FlaskClient, number: str) -> None:
    """
    A create with the booking organisation contained, as GP Connect sends it, books.

    https://developer.nhs.uk/apis/gpconnect-1-2-7/appointments_use_case_book_an_appointment.html
    """
    slot = free(client)
    base = "https://fhir.nhs.uk/STU3/StructureDefinition"
    body = {
        "resourceType": "Appointment",
        "meta": {"profile": [f"{base}/GPConnect-Appointment-1"]},
        "contained": [
            {
                "resourceType": "Organization",
                "id": "1",
                "name": "Test Organization Name",
                "telecom": [{"system": "phone", "value": "0300 303 5678"}],
            },
            patient(number),
        ],
        "extension": [
            {
                "url": f"{base}/Extension-GPConnect-BookingOrganisation-1",
                "valueReference": {"reference": "#1"},
            }
        ],
        "status": "booked",
        "description": "GP Connect Appointment description 148",
        "start": slot["start"],
        "end": slot["end"],
        "slot": [{"reference": f"Slot/{slot['id']}"}],
        "created": "2026-07-22T13:00:00+02:00",
        "comment": "Jag hostar.",
        "participant": [
            {"actor": actor_of(number) | {"reference": "#anna"}, "status": "accepted"},
            {
                "actor": {"reference": f"Location/{slot['id'].split('.')[0]}"},
                "status": "accepted",
            },
        ],
    }

    response = client.post("/fhir/Appointment", json=body, content_type=FHIR_JSON)
    assert released(client, response)["status"] == "booked"
