"""
Reading an Appointment: strictly, every fault named, nothing repeated.
"""

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from assertions import assert_problem, issue
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_gateway.fhir.appointment import appointment_from_booking
from fhir_gateway.fhir.appointment_request import (
    AppointmentRequest,
    appointment_request_from_resource,
    number_from_identifier,
)
from fhir_gateway.fhir.outcome import Problem, operation_outcome
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model.booking import (
    BookingPermissions,
    BookingStatus,
    ManagedBooking,
)
from fhir_gateway.model.ids import BookingId, HsaId, SourceName, TimeTypeId
from fhir_gateway.model.person import PersonalIdentityNumber, SubjectOfCare
from fhir_gateway.model.timeslot import Schedule, Timeslot, TimeslotToken, TimeType

PERSONNUMMER = "http://electronichealth.se/identifier/personnummer"
SAMORDNINGSNUMMER = "http://electronichealth.se/identifier/samordningsnummer"
TOLVAN = "191212121212"
COORDINATED = "197010632391"
_START = datetime(2026, 6, 8, 8, 0, tzinfo=UTC)
_TIMESLOT = Timeslot(
    schedule=Schedule(
        unit=HsaId("SE2321000016-A01"),
        time_type_id=TimeTypeId("TT1"),
        time_type_name="Provtagning",
    ),
    start=_START,
    end=_START + timedelta(minutes=15),
)
_TOKEN = _TIMESLOT.token


def body(**changes: Any) -> dict[str, Any]:
    """Return a body that books; a change to None removes."""
    whole = {
        "resourceType": "Appointment",
        "contained": [patient()],
        "status": "proposed",
        "slot": [{"reference": f"Slot/{_TOKEN}"}],
        "participant": [participant()],
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not None}


def identifier(value: str = TOLVAN, system: str = PERSONNUMMER) -> dict[str, str]:
    """Return an identifier."""
    return {"system": system, "value": value}


def patient(**changes: Any) -> dict[str, Any]:
    """Return a contained Patient; a change to None removes."""
    whole = {
        "resourceType": "Patient",
        "id": "p",
        "identifier": [identifier()],
        "name": [{"family": "Tolvansson", "given": ["Tolvan"]}],
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not None}


def participant(**changes: Any) -> dict[str, Any]:
    """Return the participant that is the patient; changes are the actor's."""
    actor = {
        "reference": "#p",
        "type": "Patient",
        "identifier": identifier(),
        **changes,
    }
    return {
        "actor": {name: value for name, value in actor.items() if value is not None},
        "status": "needs-action",
    }


def read(resource: object, *, to_book: bool = True) -> AppointmentRequest:
    """Return what a body is read as."""
    return appointment_request_from_resource(resource, to_book=to_book)


def refused(resource: object, *, to_book: bool = True) -> Problem:
    """Return what a body is refused with."""
    with pytest.raises(Problem) as caught:
        read(resource, to_book=to_book)
    return caught.value


def subject(request: AppointmentRequest) -> SubjectOfCare:
    """Return the resident of a request."""
    assert request.subject is not None
    return request.subject


TOLVANSSON = SubjectOfCare(
    number=PersonalIdentityNumber(TOLVAN), first_name="Tolvan", last_name="Tolvansson"
)


# What is read.


def test_a_whole_body_is_read() -> None:
    """Slot, resident, names, contacts and comment are read."""
    resource = body(
        id="x",
        comment=" Hej ",
        start="2026-06-08T10:00:00+02:00",
        end="2026-06-08T08:15:00Z",
        contained=[
            patient(
                name=[
                    {"family": "Gammal", "given": ["Namn"]},
                    {
                        "use": "official",
                        "family": "Tolvansson",
                        "given": ["Tolvan", "Elva", "Tio"],
                    },
                ],
                telecom=[
                    {"system": "phone", "value": "08-465 004 00"},
                    {"system": "email", "value": "tolvan@example.org"},
                ],
            )
        ],
    )

    request = read(resource)
    assert request == AppointmentRequest(
        id="x",
        status="proposed",
        token=TimeslotToken.parse(_TOKEN),
        number=PersonalIdentityNumber(TOLVAN),
        subject=SubjectOfCare(
            number=PersonalIdentityNumber(TOLVAN),
            first_name="Tolvan",
            middle_name="Elva Tio",
            last_name="Tolvansson",
            phone="08-465 004 00",
            email="tolvan@example.org",
        ),
        comment="Hej",
        cancelation_text=None,
    )


@pytest.mark.parametrize("status", ["proposed", "booked"])
def test_two_statuses_book(status: str) -> None:
    """A booking is asked for as proposed or booked."""
    assert read(body(status=status)).status == status


@pytest.mark.parametrize(
    "reference",
    [
        f"Slot/{_TOKEN}",
        f"http://gateway.test/fhir/Slot/{_TOKEN}",
        f"Slot/{_TOKEN}/_history/1",
    ],
)
def test_a_slot_is_referred_to_in_any_form(reference: str) -> None:
    """A slot is named by a relative, an absolute or a versioned reference."""
    request = read(body(slot=[{"reference": reference}]))

    assert request.token == TimeslotToken.parse(_TOKEN)


@pytest.mark.parametrize(
    ("resource", "what"),
    [
        pytest.param(
            body(participant=[participant(identifier=None)]),
            "in the contained Patient alone",
            id="contained",
        ),
        pytest.param(
            body(contained=[patient(identifier=None)]), "on the actor alone", id="actor"
        ),
        pytest.param(
            body(
                contained=[patient(id="q")],
                participant=[participant(reference=None, type=None)],
            ),
            "on an actor that refers to nothing",
            id="no reference",
        ),
        pytest.param(
            body(
                contained=[
                    patient(identifier=[identifier("x", "urn:other"), identifier()])
                ]
            ),
            "beside another identifier",
            id="other identifiers",
        ),
        pytest.param(
            body(
                contained=[
                    {
                        "resourceType": "Condition",
                        "id": "c",
                        "subject": {"display": "x"},
                    },
                    patient(),
                ]
            ),
            "in the second contained resource",
            id="second",
        ),
    ],
)
def test_the_number_may_stand_on_the_actor_or_in_the_patient(
    resource: dict[str, Any], what: str
) -> None:
    """The resident's number is found where it is."""
    assert subject(read(resource)) == TOLVANSSON, what


def test_a_coordination_number_is_read() -> None:
    """A samordningsnummer under its own system is a resident's number."""
    of = identifier(COORDINATED, SAMORDNINGSNUMMER)
    resource = body(
        contained=[patient(identifier=[of])], participant=[participant(identifier=of)]
    )

    assert read(resource).number == PersonalIdentityNumber(COORDINATED)


def test_other_participants_may_be_the_slots() -> None:
    """Participants that are the slot's unit, service and schedule are fine."""
    token = TimeslotToken.parse(_TOKEN)
    others = [
        {"actor": {"reference": reference}, "status": "accepted"}
        for reference in (
            f"Location/{token.unit}",
            f"HealthcareService/{token.time_type}",
            f"http://gateway.test/fhir/Schedule/{token.schedule}",
        )
    ] + [{"actor": {"display": "Rum 1"}, "status": "accepted"}]

    assert subject(read(body(participant=[*others, participant()]))) == TOLVANSSON


def test_a_patient_without_an_id_is_only_the_patient() -> None:
    """A contained Patient without an id makes nobody else a patient."""
    resource = body(
        contained=[patient(id=None)],
        participant=[
            participant(reference=None),
            {"actor": {"display": "Rum 1"}, "status": "accepted"},
        ],
    )

    assert subject(read(resource)) == TOLVANSSON


def test_a_reason_is_a_comment() -> None:
    """Without a comment, the text of reasonCode is what the resident wrote."""
    assert read(body(reasonCode=[{"text": "Hosta"}])).comment == "Hosta"


@pytest.mark.parametrize(
    "changes",
    [{"reasonCode": [{"coding": [{"code": "1"}]}]}, {"comment": "  "}, {}],
)
def test_a_blank_comment_is_none(changes: dict[str, Any]) -> None:
    """Nothing written is no comment."""
    assert read(body(**changes)).comment is None


def test_a_cancellation_may_say_why() -> None:
    """The text of cancelationReason is read."""
    resource = body(status="cancelled", cancelationReason={"text": "Frisk"})

    assert read(resource, to_book=False).cancelation_text == "Frisk"


def test_a_change_needs_neither_slot_nor_patient() -> None:
    """Who only changes an appointment need not say whose it is."""
    others = [{"actor": {"display": "x"}, "status": "accepted"}]

    request = read(body(slot=None, contained=None, participant=others), to_book=False)
    assert (request.token, request.number, request.subject) == (None, None, None)


def test_an_appointment_of_ours_is_read_back() -> None:
    """What this server says of a booking it understands when it is sent back."""
    booking = ManagedBooking(
        id="a",
        version=1,
        status=BookingStatus.BOOKED,
        source=SourceName("norr"),
        timeslot=_TIMESLOT,
        booking_id=BookingId("1"),
        number=PersonalIdentityNumber(TOLVAN),
        permissions=BookingPermissions(),
        is_invitation=True,
        created_at=_START,
        updated_at=_START,
        confirmed_at=_START,
        message="Kom fastande.",
        purpose="Prov.",
        reason="Hosta",
    )
    appointment = appointment_from_booking(
        booking,
        TimeType(id=TimeTypeId("TT1"), name="Provtagning"),
        unit_name="Vårdcentralen",
        vocabulary=Vocabulary(),
    )

    request = read(appointment, to_book=False)
    assert request == AppointmentRequest(
        id="a",
        status="booked",
        token=TimeslotToken.parse(_TOKEN),
        number=PersonalIdentityNumber(TOLVAN),
        subject=None,
        comment="Hosta",
        cancelation_text=None,
    )


# What is refused.


@pytest.mark.parametrize(
    "resource",
    [
        *([], None, 5, "Appointment", {}, {"resourceType": "Slot"}, [body()]),
        {"resourceType": "Bundle", "entry": [body()]},
    ],
)
def test_what_is_no_appointment_is_refused(resource: object) -> None:
    """A body that is no Appointment is refused as such."""
    assert_problem(
        refused(resource),
        400,
        issue(
            "structure",
            "The body must be one Appointment.",
            expression="Appointment",
        ),
    )


_EMPTY = "Nothing in FHIR's JSON is null or empty: leave it out."
_MISFIT = "The element's value does not fit its type in R4."
_UNKNOWN = "There is no such element here in R4."
_ACTOR = "Appointment.participant[0].actor"
_CONTAINED = "Appointment.contained[0]"
_NOT_12_DIGITS = (
    "The patient's identifier: not a personal number: expected 12 digits,"
    " YYYYMMDDNNNN, without hyphen."
)


@pytest.mark.parametrize(
    ("resource", "fault"),
    [
        # Form.
        pytest.param(
            body() | {"comment": None},
            issue("structure", _EMPTY, expression="Appointment.comment"),
            id="null",
        ),
        pytest.param(
            body(comment=""),
            issue("structure", _EMPTY, expression="Appointment.comment"),
            id="an empty text",
        ),
        pytest.param(
            body(participant=[]),
            issue("structure", _EMPTY, expression="Appointment.participant"),
            id="an empty list",
        ),
        pytest.param(
            body(participant=[participant() | {"actor": None}]),
            issue("structure", _EMPTY, expression=_ACTOR),
            id="an actor that is null",
        ),
        pytest.param(
            body(participant=[participant() | {"actor": {"identifier": None}}]),
            issue("structure", _EMPTY, expression=f"{_ACTOR}.identifier"),
            id="an identifier that is null",
        ),
        pytest.param(
            body(slot=[None]),
            issue("structure", _EMPTY, expression="Appointment.slot[0]"),
            id="null in a list",
        ),
        pytest.param(
            body(contained=[patient(name=[{"family": "T", "given": [None]}])]),
            issue("structure", _EMPTY, expression=f"{_CONTAINED}.name[0].given[0]"),
            id="a given name that is null",
        ),
        pytest.param(
            body(contained=[{"resourceType": "Patientt"}]),
            issue(
                "structure",
                "There is no such type of resource in R4.",
                expression=f"{_CONTAINED}.resourceType",
            ),
            id="an unknown type of contained resource",
        ),
        pytest.param(
            body(contained=[{"resourceType": 5}]),
            issue(
                "structure",
                "There is no such type of resource in R4.",
                expression=f"{_CONTAINED}.resourceType",
            ),
            id="a type that is no text",
        ),
        # Structure.
        pytest.param(
            body(contained=[{"resourceType": "String"}]),
            issue(
                "structure",
                "The body is no Appointment of R4: check its types.",
                expression="Appointment",
            ),
            id="a contained resource that is a data type",
        ),
        pytest.param(
            body(_status="x"),
            issue("value", _MISFIT, expression="Appointment.status"),
            id="a text for an extension of the status",
        ),
        pytest.param(
            body(_status=["x"]),
            issue("value", _MISFIT, expression="Appointment.status"),
            id="a list for an extension of the status",
        ),
        pytest.param(
            body(participants=[1]),
            issue("structure", _UNKNOWN, expression="Appointment.participants"),
            id="an unknown element",
        ),
        pytest.param(
            body(**{TOLVAN: 1}),
            issue("structure", _UNKNOWN, expression="Appointment"),
            id="an element named like a number",
        ),
        pytest.param(
            body(Tolvansson=1),
            issue("structure", _UNKNOWN, expression="Appointment"),
            id="an element named like a person",
        ),
        pytest.param(
            body(comment={"text": TOLVAN}),
            issue("value", _MISFIT, expression="Appointment.comment"),
            id="an object in the place of a text",
        ),
        pytest.param(
            body(slot={"reference": "Slot/x"}),
            issue("value", _MISFIT, expression="Appointment.slot"),
            id="an object in the place of a list",
        ),
        pytest.param(
            body(minutesDuration=0),
            issue("value", _MISFIT, expression="Appointment.minutesDuration"),
            id="a number out of range",
        ),
        pytest.param(
            body(contained=[patient(birthDate="12 december")]),
            issue("value", _MISFIT, expression=f"{_CONTAINED}.birthDate"),
            id="a Patient with a wrong date",
        ),
        pytest.param(
            body(participant=None),
            issue(
                "required",
                "The element is required.",
                expression="Appointment.participant",
            ),
            id="no participant",
        ),
        # Codes and invariants.
        pytest.param(
            body(status="Booked"),
            issue(
                "code-invalid",
                "status must be an AppointmentStatus code, such as proposed or booked.",
                expression="Appointment.status",
            ),
            id="no status code",
        ),
        pytest.param(
            body(
                status=None,
                _status={"extension": [{"url": "urn:x", "valueCode": "unknown"}]},
            ),
            issue(
                "code-invalid",
                "status must be an AppointmentStatus code, such as proposed or booked.",
                expression="Appointment.status",
            ),
            id="an extension in the place of the status",
        ),
        *(
            pytest.param(
                body(status=status),
                issue(
                    "value",
                    "To book, send status proposed or booked.",
                    expression="Appointment.status",
                ),
                id=f"status {status}",
            )
            for status in ("pending", "fulfilled", "cancelled", "waitlist")
        ),
        pytest.param(
            body(participant=[participant() | {"status": "completed"}]),
            issue(
                "code-invalid",
                "participant.status must be accepted, declined, tentative or"
                " needs-action.",
                expression="Appointment.participant[0].status",
            ),
            id="no participation status",
        ),
        pytest.param(
            body(participant=[participant(), {"status": "accepted"}]),
            issue(
                "invariant",
                "app-1: name an actor or a type.",
                expression="Appointment.participant[1]",
            ),
            id="app-1",
        ),
        pytest.param(
            body(start="2026-06-08T10:00:00+02:00"),
            issue(
                "invariant",
                "app-2: give both start and end, or neither: the slot says both.",
                expression="Appointment",
            ),
            id="app-2",
        ),
        pytest.param(
            body(cancelationReason={"text": "x"}),
            issue(
                "invariant",
                "app-4: cancelationReason is only for a cancelled appointment.",
                expression="Appointment.cancelationReason",
            ),
            id="app-4",
        ),
        pytest.param(
            body(modifierExtension=[{"url": "urn:x", "valueBoolean": True}]),
            issue(
                "not-supported",
                "modifierExtension is not understood here: leave it out.",
                expression="Appointment.modifierExtension",
            ),
            id="a modifier extension",
        ),
        pytest.param(
            body(implicitRules="http://x"),
            issue(
                "not-supported",
                "implicitRules is not understood here: leave it out.",
                expression="Appointment.implicitRules",
            ),
            id="implicit rules",
        ),
        # Slot.
        pytest.param(
            body(slot=None),
            issue("required", "Name the slot to book.", expression="Appointment.slot"),
            id="no slot",
        ),
        pytest.param(
            body(slot=[{"reference": f"Slot/{_TOKEN}"}] * 2),
            issue(
                "not-supported",
                "A booking takes exactly one slot.",
                expression="Appointment.slot",
            ),
            id="two slots",
        ),
        *(
            pytest.param(
                body(slot=[slot]),
                issue(
                    "value",
                    "slot must be a reference as Slot/id.",
                    expression="Appointment.slot[0].reference",
                ),
                id=what,
            )
            for what, slot in (
                ("a slot by its display", {"display": "i morgon"}),
                ("a slot that is a schedule", {"reference": f"Schedule/{_TOKEN}"}),
                ("a contained slot", {"reference": "#slot"}),
            )
        ),
        *(
            pytest.param(
                body(slot=[{"reference": f"Slot/{identifier_}"}]),
                issue(
                    "not-found",
                    "There is no such slot; search for one.",
                    expression="Appointment.slot[0].reference",
                ),
                id=what,
            )
            for what, identifier_ in (
                ("a slot that cannot be", "1"),
                ("a slot with another alphabet", _TOKEN.replace(".", "å")),
                ("a slot named like a number", TOLVAN),
                ("a slot without length", _TOKEN.rpartition(".")[0] + ".0"),
            )
        ),
        pytest.param(
            body(start="2026-06-08T10:30:00+02:00", end="2026-06-08T10:15:00+02:00"),
            issue(
                "value",
                "start is not the slot's: leave it out or give the slot's.",
                expression="Appointment.start",
            ),
            id="another start",
        ),
        pytest.param(
            body(
                participant=[
                    participant(),
                    {"actor": {"reference": "Location/X-1"}, "status": "accepted"},
                ]
            ),
            issue(
                "value",
                "The participant is not one of the slot's: leave it out.",
                expression="Appointment.participant[1].actor.reference",
            ),
            id="another unit",
        ),
        # Patient.
        pytest.param(
            body(
                contained=[patient()],
                participant=[{"actor": {"display": "x"}, "status": "accepted"}],
            ),
            issue(
                "required",
                "Name the patient: a participant whose actor has an identifier with"
                " the system http://electronichealth.se/identifier/personnummer.",
                expression="Appointment.participant",
            ),
            id="nobody is the patient",
        ),
        pytest.param(
            body(participant=[participant(), participant()]),
            issue(
                "value",
                "An appointment is for one patient.",
                expression="Appointment.participant",
            ),
            id="two patients",
        ),
        pytest.param(
            body(contained=[patient(), patient(id="q")]),
            issue(
                "value",
                "An appointment is for one patient.",
                expression="Appointment.participant",
            ),
            id="two contained patients",
        ),
        pytest.param(
            body(contained=[patient(id=None), patient(id=None)]),
            issue(
                "value",
                "An appointment is for one patient.",
                expression="Appointment.participant",
            ),
            id="two contained patients without ids",
        ),
        pytest.param(
            body(participant=[participant(reference="#q")]),
            issue(
                "value",
                "The reference names no contained Patient.",
                expression=f"{_ACTOR}.reference",
            ),
            id="a reference to nothing",
        ),
        pytest.param(
            body(
                contained=[patient(identifier=None)],
                participant=[participant(identifier=None)],
            ),
            issue(
                "required",
                "Give the patient's number as actor.identifier with the system"
                " http://electronichealth.se/identifier/personnummer.",
                expression=f"{_ACTOR}.identifier",
            ),
            id="a patient without a number",
        ),
        pytest.param(
            body(contained=[patient(identifier=[identifier("197501019801")])]),
            issue(
                "value",
                "The actor and the contained Patient have different numbers.",
                expression=_ACTOR,
            ),
            id="two numbers",
        ),
        *(
            pytest.param(
                body(
                    contained=[patient(identifier=None)],
                    participant=[participant(identifier=identifier(number))],
                ),
                issue("value", _NOT_12_DIGITS, expression=f"{_ACTOR}.identifier"),
                id=what,
            )
            for what, number in (
                ("a number with a hyphen", "19121212-1212"),
                ("a number with a plus", "121212+1212"),
                ("ten digits", "1212121212"),
                ("a number with a blank after", "191212121212 "),
                ("Arabic digits", "".join(chr(0x660 + int(digit)) for digit in TOLVAN)),
                ("a reserve number", "99121212A123"),
            )
        ),
        pytest.param(
            body(
                contained=[patient(identifier=None)],
                participant=[participant(identifier=identifier("191212121213"))],
            ),
            issue(
                "value",
                "The patient's identifier: not a personal number: its check digit is"
                " wrong.",
                expression=f"{_ACTOR}.identifier",
            ),
            id="a wrong check digit",
        ),
        pytest.param(
            body(
                contained=[patient(identifier=None)],
                participant=[participant(identifier=identifier("191213121212"))],
            ),
            issue(
                "value",
                "The patient's identifier: not a personal number: its first 8 digits"
                " are not a date.",
                expression=f"{_ACTOR}.identifier",
            ),
            id="a month that is none",
        ),
        pytest.param(
            body(
                contained=[patient(identifier=None)],
                participant=[participant(identifier=identifier(COORDINATED))],
            ),
            issue(
                "value",
                "The patient's identifier: the number is a coordination number where"
                " its system says otherwise, or the other way round.",
                expression=f"{_ACTOR}.identifier",
            ),
            id="a coordination number under the wrong system",
        ),
        pytest.param(
            body(
                contained=[patient(identifier=None)],
                participant=[participant(identifier={"value": TOLVAN})],
            ),
            issue(
                "value",
                "The patient's identifier: the identifier's system must be one of"
                f" {PERSONNUMMER}, {SAMORDNINGSNUMMER}.",
                expression=f"{_ACTOR}.identifier",
            ),
            id="a number without a system",
        ),
        pytest.param(
            body(
                contained=[
                    {"resourceType": "Condition", "subject": {"display": "x"}},
                    patient(identifier=[identifier("1912")]),
                ],
                participant=[participant(identifier=None)],
            ),
            issue(
                "value",
                _NOT_12_DIGITS,
                expression="Appointment.contained[1].identifier[0]",
            ),
            id="a wrong number in the second contained resource",
        ),
        *(
            pytest.param(
                body(contained=contained, participant=[participant(reference=None)]),
                issue(
                    "required",
                    "Give the patient's family and given name, as the population"
                    " register has them, in a contained Patient.",
                    expression="Appointment.contained",
                ),
                id=what,
            )
            for what, contained in (
                ("no contained patient", None),
                ("no name", [patient(name=None)]),
                ("no given name", [patient(name=[{"family": "T"}])]),
                ("no family name", [patient(name=[{"given": ["T"]}])]),
                ("a name in one text", [patient(name=[{"text": "T T"}])]),
                ("a blank name", [patient(name=[{"family": " ", "given": ["T"]}])]),
            )
        ),
        *(
            pytest.param(
                resource,
                issue("value", "The text has a control character.", expression=where),
                id=f"a control character in {where}",
            )
            for where, resource in (
                ("Appointment.comment", body(comment="a\x0bb")),
                (
                    f"{_CONTAINED}.name",
                    body(
                        contained=[patient(name=[{"family": "T\x00", "given": ["T"]}])]
                    ),
                ),
                (
                    f"{_CONTAINED}.telecom",
                    body(
                        contained=[
                            patient(telecom=[{"system": "phone", "value": "0\uffff"}])
                        ]
                    ),
                ),
            )
        ),
    ],
)
def test_each_fault_is_named_where_it_is(
    resource: dict[str, Any], fault: dict[str, Any]
) -> None:
    """A body with one fault has one issue that says where and what to do."""
    assert_problem(refused(resource), 422, fault)


def test_all_faults_are_named_together() -> None:
    """A body with many faults gets an issue for each, in one answer."""
    resource = body(
        status="fulfilled",
        slot=[{"reference": "Slot/1"}],
        start="2026-06-08T10:00:00+02:00",
        comment="a\x00",
        contained=[patient(name=None, identifier=[identifier("1212")])],
        participant=[participant(identifier=None) | {"status": "x"}],
    )

    problem = refused(resource)
    assert [(each.code, each.expression) for each in problem.issues] == [
        ("code-invalid", "Appointment.participant[0].status"),
        ("invariant", "Appointment"),
        ("value", "Appointment.status"),
        ("not-found", "Appointment.slot[0].reference"),
        ("value", "Appointment.contained[0].identifier[0]"),
        ("required", "Appointment.contained"),
        ("value", "Appointment.comment"),
    ]
    assert problem.status == 422


def test_everything_missing_is_named_together() -> None:
    """A body that says nothing gets an issue for slot, patient and name."""
    resource = body(
        slot=None,
        contained=None,
        participant=[{"actor": {"display": "x"}, "status": "accepted"}],
    )

    problem = refused(resource)
    assert [each.expression for each in problem.issues] == [
        "Appointment.slot",
        "Appointment.participant",
        "Appointment.contained",
    ]


def test_every_fault_of_structure_is_named_together() -> None:
    """A body with several wrong elements gets an issue for each."""
    problem = refused(body(comment=5, minutesDuration=-1, colour="red"))

    assert {each.expression for each in problem.issues} == {
        "Appointment.comment",
        "Appointment.minutesDuration",
        "Appointment.colour",
    }


def test_ten_thousand_participants_are_read() -> None:
    """A long list of others does no harm."""
    others = [{"actor": {"display": "x"}, "status": "accepted"}] * 10_000

    assert subject(read(body(participant=[*others, participant()]))) == TOLVANSSON


def test_ten_thousand_slots_are_one_fault() -> None:
    """However many slots are named, it is one fault."""
    problem = refused(body(slot=[{"reference": f"Slot/{_TOKEN}"}] * 10_000))

    assert len(problem.issues) == 1


# Numbers by themselves.


def test_a_number_needs_its_own_system() -> None:
    """An identifier is a resident's number under the system of its kind alone."""
    number = number_from_identifier(SAMORDNINGSNUMMER, COORDINATED)

    assert number.reveal() == COORDINATED
    with pytest.raises(ValueError, match="coordination number"):
        number_from_identifier(SAMORDNINGSNUMMER, TOLVAN)
    with pytest.raises(ValueError, match="system must be one of"):
        number_from_identifier(None, TOLVAN)


# Whatever a client sends.

_MARKER_NUMBER = "197501019801"
_MARKER_NAME = "Provmarkör"
_MARKED = body(
    comment=f"{_MARKER_NAME} {_MARKER_NUMBER}",
    contained=[
        patient(
            identifier=[identifier(_MARKER_NUMBER)],
            name=[{"family": _MARKER_NAME, "given": [_MARKER_NAME]}],
            telecom=[{"system": "phone", "value": "08-465 004 00"}],
        )
    ],
    participant=[
        participant(identifier=identifier(_MARKER_NUMBER)),
        {"actor": {"reference": "Location/SE2321000016-A01"}, "status": "accepted"},
    ],
    start="2026-06-08T10:00:00+02:00",
    end="2026-06-08T10:15:00+02:00",
)
_VALUES = st.sampled_from(
    [
        *(None, True, 0, -1, 10**30, 1.5, "", "x", [], {}, [None], [[]], {"a": 1}),
        *(_MARKER_NUMBER, _MARKER_NAME, f"Slot/{_MARKER_NUMBER}", "#p", "Patient"),
        *({"reference": "#p"}, {"type": "Patient"}, {"resourceType": "Patient"}),
        *({"resourceType": _MARKER_NAME}, [_MARKER_NAME], {_MARKER_NAME: 1}),
        *({_MARKER_NUMBER: {"x": 1}}, {"extension": [{"url": "x"}]}, "2026-06-08"),
        {"identifier": {"system": PERSONNUMMER, "value": _MARKER_NUMBER}},
    ]
)
_KEYS = st.sampled_from(
    [
        *("id", "status", "_status", "slot", "actor", "identifier", "reference"),
        *("type", "resourceType", "contained", "name", "given", "_given", "value"),
        *("system", "extension", "telecom", "reasonCode", "cancelationReason"),
        *("language", "text", "meta", "appointmentType", _MARKER_NAME, _MARKER_NUMBER),
    ]
)
_MUTATIONS = st.lists(
    st.tuples(st.integers(0, 10_000), st.sampled_from("rdka"), _KEYS, _VALUES),
    min_size=1,
    max_size=4,
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Return every place in a value: what holds it, and its key or number."""
    found: list[tuple[Any, Any]] = []
    keys = value if isinstance(value, dict) else range(len(value))
    for key in keys:
        found.append((value, key))
        if isinstance(value[key], dict | list):
            found.extend(places(value[key]))
    return found


def mutate(resource: dict[str, Any], mutations: list[Any]) -> None:
    """Replace, delete, rename or add something, some times over."""
    for number, how, name, value in mutations:
        found = places(resource)
        if not found:
            return
        holder, key = found[number % len(found)]
        match how:
            case "r":
                holder[key] = copy.deepcopy(value)
            case "d":
                del holder[key]
            case "k" if isinstance(holder, dict):
                holder[name] = holder.pop(key)
            case _ if isinstance(holder, dict):
                holder[name] = copy.deepcopy(value)
            case _:
                holder.append(copy.deepcopy(value))


def echoes(problem: Problem) -> list[str]:
    """Return the markers that a problem repeats."""
    told = json.dumps(operation_outcome(problem.issues), ensure_ascii=False)
    return [
        marker
        for marker in (_MARKER_NUMBER, _MARKER_NAME, "465 004")
        if marker in told or marker in str(problem)
    ]


@given(mutations=_MUTATIONS, to_book=st.booleans())
@settings(max_examples=2_500)
def test_any_body_is_read_or_refused_without_an_echo(
    *, mutations: list[Any], to_book: bool
) -> None:
    """A valid body changed anyhow is a request or a Problem that repeats nothing."""
    resource = copy.deepcopy(_MARKED)
    mutate(resource, mutations)

    outcome: AppointmentRequest | Problem
    try:
        outcome = read(resource, to_book=to_book)
    except Problem as problem:
        outcome = problem
    if isinstance(outcome, Problem):
        assert echoes(outcome) == []
        assert outcome.issues
    else:
        assert not to_book or (outcome.token and outcome.subject)


_ANYTHING: Callable[[st.SearchStrategy[Any]], st.SearchStrategy[Any]] = lambda inner: (  # noqa: E731 - a strategy
    st.lists(inner, max_size=3) | st.dictionaries(_KEYS | st.text(max_size=5), inner)
)


@given(st.dictionaries(_KEYS, st.recursive(_VALUES, _ANYTHING, max_leaves=10)))
@settings(max_examples=500)
def test_any_object_is_read_or_refused(resource: dict[str, Any]) -> None:
    """An object of any shape is a request or a Problem that repeats nothing."""
    resource["resourceType"] = "Appointment"

    with pytest.raises(Problem) as caught:
        read(resource)
    assert echoes(caught.value) == []
