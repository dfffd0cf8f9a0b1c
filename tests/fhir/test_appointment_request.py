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
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_gateway.fhir.appointment import appointment_from_booking
from fhir_gateway.fhir.appointment_request import (
    AppointmentRequest,
    appointment_request_from_resource,
)
from fhir_gateway.fhir.outcome import Problem, ProblemKind, operation_outcome
from fhir_gateway.fhir.patient import number_from_identifier
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model.booking import (
    BookingPermissions,
    BookingStatus,
    CancellationReason,
    ManagedBooking,
)
from fhir_gateway.model.ids import BookingId, HsaId, SourceName, TimeTypeId
from fhir_gateway.model.person import PersonalIdentityNumber, SubjectOfCare
from fhir_gateway.model.timeslot import Schedule, Timeslot, TimeslotToken, TimeType

PERSONNUMMER = "http://electronichealth.se/identifier/personnummer"
SAMORDNINGSNUMMER = "http://electronichealth.se/identifier/samordningsnummer"
BASE_URL = "http://gateway.test/fhir"
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
_UNIT = _TIMESLOT.schedule.unit


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
    return appointment_request_from_resource(
        resource, base_url=BASE_URL, to_book=to_book
    )


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
        cancellation=None,
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
    ],
)
def test_a_slot_is_referred_to_in_any_form(reference: str) -> None:
    """A slot is named by a relative reference, or by one that begins with our base."""
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
                ],
                reasonReference=[{"reference": "#c"}],
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
    ]

    assert subject(read(body(participant=[*others, participant()]))) == TOLVANSSON


def test_a_patient_without_an_id_is_only_the_patient() -> None:
    """A contained Patient without an id makes nobody else a patient."""
    resource = body(
        contained=[patient(id=None)],
        participant=[
            participant(reference=None),
            {"actor": {"reference": f"Location/{_UNIT}"}, "status": "accepted"},
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

    assert read(resource, to_book=False).cancellation == CancellationReason(
        text="Frisk", stated='{"text": "Frisk"}'
    )


def test_a_change_needs_neither_slot_nor_patient() -> None:
    """A client that only changes an appointment need not name its patient."""
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
        cancellation=None,
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
_UNKNOWN = "R4 has no such element here."
_STATUS_CODES = (
    "The code must be one of arrived, booked, cancelled, checked-in, entered-in-error,"
    " fulfilled, noshow, pending, proposed, waitlist."
)
_UNREAD = "This server does not read resources of this type: leave it out."
_NO_SLOT = "slot must be a reference to this server, as Slot/id."
_NOT_OURS = (
    "The reference must be to this server, as Type/id: leave it out, or give what is"
    " this server's."
)
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
            body(
                contained=[{"resourceType": "Patientt"}],
                participant=[participant(reference=None)],
            ),
            issue(
                "structure",
                _UNREAD,
                expression=f"{_CONTAINED}.resourceType",
            ),
            id="an unknown type of contained resource",
        ),
        pytest.param(
            body(
                contained=[{"resourceType": 5}],
                participant=[participant(reference=None)],
            ),
            issue(
                "structure",
                _UNREAD,
                expression=f"{_CONTAINED}.resourceType",
            ),
            id="a type that is no text",
        ),
        # Structure.
        pytest.param(
            body(
                contained=[{"resourceType": "String"}],
                participant=[participant(reference=None)],
            ),
            issue(
                "structure",
                _UNREAD,
                expression=f"{_CONTAINED}.resourceType",
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
                _STATUS_CODES,
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
                "required",
                "The element is required.",
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
                "The code must be one of accepted, declined, needs-action, tentative.",
                expression="Appointment.participant[0].status",
            ),
            id="no participation status",
        ),
        pytest.param(
            body(participant=[participant(), {"status": "accepted"}]),
            issue(
                "invariant",
                "app-1: name an actor or a type.",
                expression="Appointment.participant[1].actor",
            ),
            id="app-1",
        ),
        pytest.param(
            body(start="2026-06-08T10:00:00+02:00"),
            issue(
                "invariant",
                "app-2: give both start and end, or neither: the slot has both.",
                expression="Appointment.end",
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
                    _NO_SLOT,
                    expression="Appointment.slot[0].reference",
                ),
                id=what,
            )
            for what, slot in (
                ("a slot by its display", {"display": "i morgon"}),
                ("a slot that is a schedule", {"reference": f"Schedule/{_TOKEN}"}),
                ("a contained slot", {"reference": "#slot"}),
                ("another alphabet", {"reference": "Slot/" + _TOKEN.replace(".", "å")}),
                *(
                    (reference, {"reference": reference})
                    for reference in (
                        f"https://other.example/fhir/Slot/{_TOKEN}",
                        f"file:///etc/Slot/{_TOKEN}",
                        f"../../Slot/{_TOKEN}",
                        f"Slot/../Slot/{_TOKEN}",
                        f"/Slot/{_TOKEN}",
                        f"/fhir/Slot/{_TOKEN}",
                        f"//gateway.test/fhir/Slot/{_TOKEN}",
                        f"http://gateway.test/fhir//Slot/{_TOKEN}",
                        f"http://gateway.test/fhir/Slot/{_TOKEN}/",
                        f"http://gateway.test@other.example/fhir/Slot/{_TOKEN}",
                        f"HTTP://GATEWAY.TEST/fhir/Slot/{_TOKEN}",
                        f"slot/{_TOKEN}",
                        f"SLOT/{_TOKEN}",
                        f"Slot/{_TOKEN}/_history/1",
                        f"Slot/{_TOKEN}?x=1",
                        f"Slot/{_TOKEN}#x",
                        f" Slot/{_TOKEN}",
                        f"Slot/{_TOKEN}\n",
                        f"urn:uuid:{_TOKEN}",
                        _TOKEN,
                        "Slot/..",
                    )
                ),
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
                "Name the patient: a participant with an actor that has an identifier"
                " with the system http://electronichealth.se/identifier/personnummer.",
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
                "The patient's identifier: the number and the system differ: one is of"
                " coordination numbers, the other is not.",
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
                    {
                        "resourceType": "Condition",
                        "id": "c",
                        "subject": {"display": "x"},
                    },
                    patient(identifier=[identifier("1912")]),
                ],
                reasonReference=[{"reference": "#c"}],
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
                    f"{_CONTAINED}.name[0].family",
                    body(
                        contained=[patient(name=[{"family": "T\x00", "given": ["T"]}])]
                    ),
                ),
                (
                    f"{_CONTAINED}.telecom[0].value",
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
        ("value", "Appointment.comment"),
        ("invariant", "Appointment.end"),
        ("value", "Appointment.status"),
        ("not-found", "Appointment.slot[0].reference"),
        ("value", "Appointment.contained[0].identifier[0]"),
        ("required", "Appointment.contained"),
    ]
    assert problem.kind is ProblemKind.UNPROCESSABLE


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
    unit = {"reference": f"Location/{_UNIT}"}
    others = [{"actor": unit, "status": "accepted"}] * 10_000

    assert subject(read(body(participant=[*others, participant()]))) == TOLVANSSON


def test_ten_thousand_slots_are_one_fault() -> None:
    """However many slots are named, it is one fault."""
    problem = refused(body(slot=[{"reference": f"Slot/{_TOKEN}"}] * 10_000))

    assert len(problem.issues) == 1


# What changes the meaning of the rest (H5), what is of the past, what cannot be (H14).


def faults(resource: dict[str, Any], *, to_book: bool = True) -> list[tuple[str, Any]]:
    """Return the code and the place of each fault of a body."""
    return [
        (each.code, each.expression)
        for each in refused(resource, to_book=to_book).issues
    ]


def test_a_modifier_is_refused_wherever_it_is() -> None:
    """Each modifierExtension and each implicitRules is named, at any depth."""
    modifiers = {"modifierExtension": [{"url": "urn:x", "valueBoolean": True}]}
    rules = {"implicitRules": "urn:rules"}
    contact = {"name": {"family": "T"}, **modifiers}
    resource = body(
        **modifiers,
        **rules,
        contained=[patient(**modifiers, **rules, contact=[contact])],
        participant=[participant() | modifiers],
    )

    assert faults(resource) == [
        ("not-supported", "Appointment.contained[0].modifierExtension"),
        ("not-supported", "Appointment.contained[0].implicitRules"),
        ("not-supported", "Appointment.contained[0].contact[0].modifierExtension"),
        ("not-supported", "Appointment.participant[0].modifierExtension"),
        ("not-supported", "Appointment.modifierExtension"),
        ("not-supported", "Appointment.implicitRules"),
    ]


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"active": False}, "active"),
        ({"deceasedBoolean": True}, "deceased"),
        ({"deceasedDateTime": "2026-01-01"}, "deceased"),
        (
            {"link": [{"other": {"display": "x"}, "type": "replaced-by"}]},
            "link[0].type",
        ),
        ({"birthDate": "0001-01-01"}, "birthDate"),
        ({"birthDate": "9999"}, "birthDate"),
        ({"birthDate": "2999-12"}, "birthDate"),
    ],
)
def test_a_patient_who_is_not_to_be_treated_is_refused(
    changes: dict[str, Any], where: str
) -> None:
    """A Patient out of use, deceased, replaced, or not born yet is named as such."""
    (fault,) = faults(body(contained=[patient(**changes)]))

    assert fault[1] == f"Appointment.contained[0].{where}"


@pytest.mark.parametrize(
    "changes",
    [
        {"active": True, "deceasedBoolean": False, "birthDate": "1912-12-12"},
        {"link": [{"other": {"display": "x"}, "type": "seealso"}]},
        {"birthDate": "1912"},
    ],
)
def test_a_patient_who_lives_is_read(changes: dict[str, Any]) -> None:
    """What a record of somebody alive says of that is no hindrance."""
    assert subject(read(body(contained=[patient(**changes)]))) == TOLVANSSON


def test_a_deceased_residents_booking_can_be_cancelled() -> None:
    """A cancellation is for anybody: deceased, or under an old name."""
    resource = body(
        status="cancelled",
        contained=[
            patient(
                deceasedBoolean=True,
                name=[{"use": "old", "family": "T", "given": ["T"]}],
            )
        ],
    )

    assert read(resource, to_book=False).status == "cancelled"


@pytest.mark.parametrize("use", ["old", "temp", "nickname", "anonymous", "maiden"])
def test_a_name_that_is_not_the_registers_is_refused(use: str) -> None:
    """A name of another use than the present official one is named by its use."""
    name = {"use": use, "family": "T", "given": ["T"]}

    assert faults(body(contained=[patient(name=[name])])) == [
        ("value", "Appointment.contained[0].name[0].use")
    ]


def test_an_old_name_beside_the_present_one_is_passed_over() -> None:
    """Of a Patient's names the present one is taken, wherever it stands."""
    names = [
        {"use": "old", "family": "Ogift", "given": ["Tolvan"]},
        {
            "use": "official",
            "family": "Skild",
            "given": ["Tolvan"],
            "period": {"end": "2020-01-01"},
        },
        {"family": "Tolvansson", "given": ["Tolvan"]},
    ]

    assert subject(read(body(contained=[patient(name=names)]))) == TOLVANSSON


@pytest.mark.parametrize(
    ("past", "where"),
    [({"use": "old"}, "use"), ({"period": {"end": "2020-01-01"}}, "period")],
)
def test_a_number_of_the_past_is_refused(past: dict[str, Any], where: str) -> None:
    """A number that is not in use any more is named, on actor and Patient."""
    old = {**identifier(), **past}
    resource = body(
        contained=[patient(identifier=[old])], participant=[participant(identifier=old)]
    )

    assert faults(resource) == [
        ("value", f"Appointment.participant[0].actor.identifier.{where}"),
        ("value", f"Appointment.contained[0].identifier[0].{where}"),
    ]


def test_an_old_number_beside_the_present_one_is_passed_over() -> None:
    """A Patient who has got another number is the one with the present number."""
    numbers = [{**identifier("197501019801"), "use": "old"}, identifier()]

    assert subject(read(body(contained=[patient(identifier=numbers)]))) == TOLVANSSON


def test_a_phone_number_of_the_past_is_not_passed_on() -> None:
    """Of several phone numbers the best that is in use is taken."""
    telecom = [
        {"system": "phone", "value": "1", "use": "old"},
        {"system": "phone", "value": "3", "rank": 2},
        {"system": "phone", "value": "2", "rank": 1},
        {"system": "email", "value": "x@example.org", "period": {"end": "2020"}},
    ]

    found = subject(read(body(contained=[patient(telecom=telecom)])))
    assert (found.phone, found.email) == ("2", None)


@pytest.mark.parametrize("status", ["accepted", "needs-action", "tentative"])
def test_a_participant_who_may_come_is_booked(status: str) -> None:
    """Every participant who has not declined is booked."""
    assert read(body(participant=[participant() | {"status": status}])).number


def test_a_participant_who_declined_is_not_booked() -> None:
    """Every participant who declined is named."""
    resource = body(
        participant=[
            participant() | {"status": "declined"},
            {"actor": {"reference": f"Location/{_UNIT}"}, "status": "declined"},
        ]
    )

    assert faults(resource) == [
        ("business-rule", "Appointment.participant[0].status"),
        ("business-rule", "Appointment.participant[1].status"),
    ]


@pytest.mark.parametrize(
    "number", ["000101010106", "203001010101", "999901010109", "187501010107"]
)
def test_a_number_that_nobody_alive_can_have_is_refused(number: str) -> None:
    """A number of somebody born in antiquity, or in the future, is no resident's."""
    resource = body(
        contained=[patient(identifier=None)],
        participant=[participant(identifier=identifier(number))],
    )

    assert_problem(
        refused(resource),
        422,
        issue(
            "value",
            "The patient's identifier: nobody alive was born on the day that the number"
            " says.",
            expression=f"{_ACTOR}.identifier",
        ),
    )


@pytest.mark.parametrize(
    ("resource", "place"),
    [
        (
            body(contained=[patient(name=[{"family": "T" * 101, "given": ["T"]}])]),
            f"{_CONTAINED}.name[0].family",
        ),
        (
            body(contained=[patient(name=[{"family": "T", "given": ["T" * 100_000]}])]),
            f"{_CONTAINED}.name[0].given[0]",
        ),
        (
            body(contained=[patient(name=[{"family": "T", "given": ["Tolv"] * 100}])]),
            f"{_CONTAINED}.name[0].given",
        ),
        (
            body(contained=[patient(telecom=[{"system": "phone", "value": "1" * 51}])]),
            f"{_CONTAINED}.telecom[0].value",
        ),
        (
            body(
                contained=[patient(telecom=[{"system": "email", "value": "e" * 255}])]
            ),
            f"{_CONTAINED}.telecom[0].value",
        ),
        (body(comment="x" * 2_001), "Appointment.comment"),
        (
            body(reasonCode=[{"text": "x" * 2_001}]),
            "Appointment.reasonCode[0].text",
        ),
    ],
)
def test_a_text_that_is_too_long_is_refused(
    resource: dict[str, Any], place: str
) -> None:
    """Each text that is longer than the server passes on is named."""
    assert faults(resource) == [("too-long", place)]


@pytest.mark.parametrize("character", ["\n", "\t", "\x7f", "\x85", "\u2028", "\u202e"])
def test_a_name_is_one_line(character: str) -> None:
    """A line break or a control character in a name is refused."""
    names = [{"family": f"Tol{character}van", "given": ["T"]}]

    assert faults(body(contained=[patient(name=names)])) == [
        ("value", f"{_CONTAINED}.name[0].family")
    ]


def test_a_comment_may_have_lines() -> None:
    """What a resident writes keeps its line breaks."""
    assert read(body(comment="Hej\r\n\tdå")).comment == "Hej\r\n\tdå"


# References to this and to other servers (H6).


@pytest.mark.parametrize(
    ("resource", "place"),
    [
        *(
            (
                body(
                    participant=[
                        participant(),
                        {"actor": {"reference": reference}, "status": "accepted"},
                    ]
                ),
                "Appointment.participant[1].actor.reference",
            )
            for reference in (
                "https://other.example/fhir/Location/SE2321000016-A01",
                "Location/SE2321000016-A01/_history/1",
                "../Schedule/x",
                "urn:uuid:0fca9c56-1f0a-4766-b473-548c9350eb8b",
                "location/SE2321000016-A01",
            )
        ),
        *(
            (
                body(**{name: [{"reference": "https://other.example/fhir/X/1"}]}),
                f"Appointment.{name}[0].reference",
            )
            for name in ("basedOn", "reasonReference", "supportingInformation")
        ),
    ],
)
def test_a_reference_to_elsewhere_is_refused(
    resource: dict[str, Any], place: str
) -> None:
    """What the Appointment refers to, but for the patient, is this server's."""
    assert_problem(refused(resource), 422, issue("value", _NOT_OURS, expression=place))


@pytest.mark.parametrize(
    "reference",
    ["Patient/1", "https://other.example/fhir/Patient/1", "http://x/Patient/1", "#p"],
)
def test_a_patient_is_known_by_any_reference(reference: str) -> None:
    """An actor that refers to a Patient, wherever that is kept, is the patient."""
    resource = body(participant=[participant(reference=reference, type=None)])

    assert subject(read(resource)) == TOLVANSSON


@pytest.mark.parametrize(
    "reference",
    [
        "https://x/Patient/1?y",
        "file:///Patient/1",
        "x Patient/1",
        "/Patient/",
        "Patient",
    ],
)
def test_what_is_no_reference_to_a_patient_makes_no_patient(reference: str) -> None:
    """A text in which Patient occurs is no reference to one."""
    actor = {"reference": reference}
    resource = body(participant=[participant(), {"actor": actor, "status": "accepted"}])

    assert faults(resource) == [("value", "Appointment.participant[1].actor.reference")]


# The slot's times, exactly.


@pytest.mark.parametrize(
    ("start", "is_the_slots"),
    [
        ("2026-06-08T10:00:00+02:00", True),
        ("2026-06-08T08:00:00.000Z", True),
        ("2026-06-08T08:00:00.000000000Z", True),
        ("2026-06-08T08:00:00.0000001Z", False),
        ("2026-06-08T08:00:00.001Z", False),
        ("9999-12-31T23:59:59-14:00", False),
        ("0001-01-01T00:00:00+14:00", False),
        ("2016-12-31T23:59:60Z", False),
    ],
)
def test_a_start_is_the_slots_to_the_last_digit(
    start: str, *, is_the_slots: bool
) -> None:
    """However exactly an instant is given, it is the slot's or it is not."""
    resource = body(start=start, end="2026-06-08T08:15:00Z")

    if is_the_slots:
        assert read(resource).token == TimeslotToken.parse(_TOKEN)
    else:
        assert faults(resource) == [("value", "Appointment.start")]


# Why it is cancelled (C8).


@pytest.mark.parametrize(
    ("concept", "text"),
    [
        ({"text": "Frisk", "coding": [{"display": "Annat"}]}, "Frisk"),
        ({"coding": [{"code": "pat"}, {"code": "x", "display": "Patient"}]}, "Patient"),
        ({"text": "  ", "coding": [{"display": "Patient"}]}, "Patient"),
    ],
)
def test_a_code_is_said_by_its_display(concept: dict[str, Any], text: str) -> None:
    """Without a text, the first display of a code says why; all is kept."""
    request = read(body(status="cancelled", cancelationReason=concept), to_book=False)

    assert request.cancellation is not None
    assert request.cancellation.text == text
    assert json.loads(request.cancellation.stated) == concept


@pytest.mark.parametrize(
    ("concept", "fault"),
    [
        (
            {"coding": [{"code": "pat"}]},
            ("required", "Appointment.cancelationReason"),
        ),
        ({"text": "  "}, ("required", "Appointment.cancelationReason")),
        (
            {"text": "x" * 2_001},
            ("too-long", "Appointment.cancelationReason.text"),
        ),
        (
            {"text": "x", "coding": [{"code": "y" * 4_000}]},
            ("too-long", "Appointment.cancelationReason"),
        ),
    ],
)
def test_a_reason_that_says_nothing_or_too_much_is_refused(
    concept: dict[str, Any], fault: tuple[str, str]
) -> None:
    """A code without words, and more than anybody reads, is refused."""
    resource = body(status="cancelled", cancelationReason=concept)

    assert faults(resource, to_book=False) == [fault]


def test_faults_of_structure_and_of_sense_are_named_together() -> None:
    """What is wrong with the form does not hide what is wrong with the rest."""
    resource = body(
        resource_type="Appointment",
        start=1764144000,
        end="2026-06-08T08:15:00Z",
        contained=[patient(active=False, birthDate=19121212)],
        participant=[participant() | {"status": "declined"}],
    )

    assert faults(resource) == [
        ("value", f"{_CONTAINED}.birthDate"),
        ("structure", "Appointment.resource_type"),
        ("value", "Appointment.start"),
        ("business-rule", "Appointment.participant[0].status"),
        ("business-rule", f"{_CONTAINED}.active"),
    ]


# Numbers by themselves.


def test_a_number_needs_its_own_system() -> None:
    """An identifier is a resident's number under the system of its kind alone."""
    number = number_from_identifier(SAMORDNINGSNUMMER, COORDINATED)

    assert number.reveal() == COORDINATED
    with pytest.raises(ValueError, match="coordination number"):
        number_from_identifier(SAMORDNINGSNUMMER, TOLVAN)
    with pytest.raises(ValueError, match="system must be one of"):
        number_from_identifier(None, TOLVAN)


# Any body of a client.

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
    rendered = json.dumps(operation_outcome(problem.issues), ensure_ascii=False)
    return [
        marker
        for marker in (_MARKER_NUMBER, _MARKER_NAME, "465 004")
        if marker in rendered or marker in str(problem)
    ]


@given(mutations=_MUTATIONS, to_book=st.booleans())
@settings(max_examples=examples(1_000))
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
@settings(max_examples=examples(500))
def test_any_object_is_read_or_refused(resource: dict[str, Any]) -> None:
    """An object of any shape is a request or a Problem that repeats nothing."""
    resource["resourceType"] = "Appointment"

    with pytest.raises(Problem) as caught:
        read(resource)
    assert echoes(caught.value) == []


# What contradicts itself, or the slot (B5 to B7).


_OID = "urn:oid:1.2.752.129.2.1.3.1"
_SLOT = f"Slot/{_TOKEN}"


@pytest.mark.parametrize(
    "slot",
    [
        {"reference": _SLOT, "type": "Patient"},
        {"reference": _SLOT, "identifier": {"system": "urn:x", "value": "1"}},
        {"reference": _SLOT, "identifier": {"value": _TOKEN}},
    ],
)
def test_a_slot_that_contradicts_itself_is_refused(slot: dict[str, Any]) -> None:
    """What stands beside the reference to a slot must say the same."""
    assert faults(body(slot=[slot])) == [("value", "Appointment.slot[0]")]


def test_a_slot_may_say_its_type() -> None:
    """The type of a slot's reference may be given."""
    assert read(body(slot=[{"reference": _SLOT, "type": "Slot"}])).token is not None


@pytest.mark.parametrize(
    "reference", ["#p", "Patient/1", "https://x.example/Patient/1"]
)
def test_a_patient_of_another_type_is_refused(reference: str) -> None:
    """The patient is a Patient, wherever it is kept."""
    resource = body(participant=[participant(reference=reference, type="Practitioner")])

    assert faults(resource) == [("value", f"{_ACTOR}.type")]


def test_a_reference_of_another_type_is_refused() -> None:
    """Also what is not heeded must not contradict itself."""
    resource = body(basedOn=[{"reference": "ServiceRequest/1", "type": "Patient"}])

    assert faults(resource) == [("value", "Appointment.basedOn[0].type")]


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"birthDate": "1990-01-01"}, "birthDate"),
        ({"birthDate": "1912-11-12"}, "birthDate"),
        ({"birthDate": "1913"}, "birthDate"),
        (
            {"identifier": [identifier(), identifier("191010101010", _OID)]},
            "identifier[1]",
        ),
        (
            {"identifier": [identifier(), identifier("101010-1010", _OID)]},
            "identifier[1]",
        ),
        (
            {
                "name": [
                    {"use": "official", "family": "Tolvansson", "given": ["Tolvan"]},
                    {"use": "official", "family": "Elvansson", "given": ["Tolvan"]},
                ]
            },
            "name",
        ),
        (
            {
                "name": [
                    {
                        "family": "Tolvansson",
                        "given": ["Tolvan"],
                        "period": {"start": "2090"},
                    }
                ]
            },
            "name[0].period",
        ),
    ],
)
def test_a_patient_who_contradicts_themself_is_refused(
    changes: dict[str, Any], place: str
) -> None:
    """A Patient that says two things of one person is not booked for either."""
    resource = body(contained=[patient(**changes)])

    assert faults(resource) == [("value", f"{_CONTAINED}.{place}")]


@pytest.mark.parametrize(
    ("more", "place"),
    [({"use": "temp"}, "use"), ({"period": {"start": "2090-01-01"}}, "period")],
)
def test_a_number_that_is_not_in_use_is_refused(
    more: dict[str, Any], place: str
) -> None:
    """A temporary number, and one of a later day, is not the patient's number."""
    resource = body(
        contained=[patient(identifier=None)],
        participant=[participant(identifier=identifier() | more)],
    )

    assert faults(resource) == [("value", f"{_ACTOR}.identifier.{place}")]


@pytest.mark.parametrize(
    "changes",
    [
        {"birthDate": "1912-12-12"},
        {"birthDate": "1912-12-13"},
        {"birthDate": "1912-12"},
        {"birthDate": "1912"},
        {"identifier": [identifier(), identifier(TOLVAN, _OID)]},
        {"identifier": [identifier(), identifier("121212-1212", _OID)]},
        {"name": [{"family": "Tolvansson", "given": ["Tolvan"]}] * 2},
    ],
)
def test_a_patient_who_says_a_thing_twice_is_read(changes: dict[str, Any]) -> None:
    """What says the same again, as exactly as it likes, is no contradiction."""
    resource = body(contained=[patient(**changes)])

    assert subject(read(resource)) == TOLVANSSON


def test_a_patient_who_is_only_informed_is_refused() -> None:
    """The patient of a visit has to take part in it."""
    resource = body(participant=[participant() | {"required": "information-only"}])

    assert faults(resource) == [
        ("business-rule", "Appointment.participant[0].required")
    ]


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"minutesDuration": 999}, "minutesDuration"),
        ({"requestedPeriod": [{"end": "2026-06-07"}]}, "requestedPeriod"),
        ({"requestedPeriod": [{"start": "2026-06-09"}]}, "requestedPeriod"),
        (
            {"participant": [participant() | {"period": {"end": "2020"}}]},
            "participant[0].period",
        ),
    ],
)
def test_what_contradicts_the_slot_is_refused(
    changes: dict[str, Any], place: str
) -> None:
    """How long, within which days: the slot says it, and nothing may say otherwise."""
    assert faults(body(**changes)) == [("value", f"Appointment.{place}")]


@pytest.mark.parametrize(
    "changes",
    [
        {"minutesDuration": 15},
        {"requestedPeriod": [{"end": "2026-06-07"}, {"start": "2026-06-08"}]},
        {"participant": [participant() | {"period": {"start": "2026"}}]},
        {"priority": 1},
    ],
)
def test_what_fits_the_slot_is_read(changes: dict[str, Any]) -> None:
    """What says the same as the slot may be sent."""
    assert read(body(**changes)).token == TimeslotToken.parse(_TOKEN)


def _refers_to(identifier: str) -> dict[str, Any]:
    return {"url": "urn:x", "valueReference": {"reference": f"#{identifier}"}}


_OF_IT = {"subject": {"reference": "#p"}}
_PRACTITIONER = {"resourceType": "Practitioner", "id": "dr"}
_OUTCOME = {
    "resourceType": "OperationOutcome",
    "id": "o",
    "issue": [{"severity": "error", "code": "value"}],
}


@pytest.mark.parametrize(
    "changes",
    [
        {"contained": [patient(), _PRACTITIONER, _OUTCOME, {"resourceType": "Device"}]},
        {
            # What refers to itself alone, or is named in a text, is not referred to.
            "contained": [
                patient(),
                {**_PRACTITIONER, "extension": [_refers_to("dr")]},
                {"resourceType": "Condition", **_OF_IT},
                {"resourceType": "Device", "id": "comment"},
            ],
            "comment": "#comment",
        },
    ],
)
def test_each_contained_resource_without_a_reference_is_named(
    changes: dict[str, Any],
) -> None:
    """R4, dom-3: a resource without a reference to it would be dropped silently."""
    assert faults(body(**changes)) == [
        ("invariant", f"Appointment.contained[{number}]") for number in (1, 2, 3)
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {
            "contained": [patient(), {"resourceType": "Condition", "id": "c"} | _OF_IT],
            "reasonReference": [{"reference": "#c"}],
        },
        {"contained": [patient(), _OUTCOME], "extension": [_refers_to("o")]},
        {
            "contained": [
                patient(),
                {**_PRACTITIONER, "extension": [_refers_to("o")]},
                _OUTCOME,
            ],
            "supportingInformation": [{"reference": "#dr"}],
        },
        {"contained": [patient(), {**_PRACTITIONER, "extension": [_refers_to("")]}]},
    ],
)
def test_a_contained_resource_with_a_reference_is_read(changes: dict[str, Any]) -> None:
    """From the Appointment, from another contained resource, or to the Appointment."""
    assert subject(read(body(**changes))) == TOLVANSSON


@pytest.mark.parametrize(
    ("elements", "place"),
    [
        ({"reasonReference": [{"reference": "#x"}]}, "reasonReference[0].reference"),
        ({"basedOn": [{"reference": "Patient/1"}]}, "basedOn[0].reference"),
        ({"basedOn": [{"type": "Patient", "display": "x"}]}, "basedOn[0].type"),
        (
            {"reasonReference": [{"reference": "Slot/1"}]},
            "reasonReference[0].reference",
        ),
    ],
)
def test_a_reference_to_nothing_or_to_a_wrong_type_is_named(
    elements: dict[str, Any], place: str
) -> None:
    """R4's ref-1, and the types that R4 lets each element refer to."""
    assert f"Appointment.{place}" in [where for _, where in faults(body(**elements))]


@pytest.mark.parametrize(
    "family",
    [
        "\u200b",
        "\u200d",
        "\u3164",
        "\u2800",
        "\xad",
        "-",
        "19121212-1212",
        "A 1912121212",
    ],
)
def test_a_name_can_be_read_and_is_no_number(family: str) -> None:
    """A region would book an invisible name, and store a number in its place."""
    resource = body()
    resource["contained"][0]["name"] = [{"family": family, "given": ["Tolvan"]}]

    assert [where for _, where in faults(resource)] == [
        "Appointment.contained[0].name[0].family"
    ]
