"""
The participants of an Appointment beside the patient: those of its slot, and no others.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fhir_gateway.fhir.practitioner import practitioner_role_id
from fhir_gateway.fhir.slot_participant import foreign_participants
from fhir_gateway.model.ids import HsaId, PerformerId, TimeTypeId
from fhir_gateway.model.timeslot import Schedule, Timeslot, TimeslotToken

BASE_URL = "http://gateway.test/fhir"
HSA_ID = "urn:oid:1.2.752.29.4.19"
_UNIT = HsaId("SE2321000016-A01")
_ANNA = HsaId("SE2321000016-P001")
_OF_ANNA = Schedule(
    unit=_UNIT,
    time_type_id=TimeTypeId("TT1"),
    time_type_name="Provtagning",
    performer=PerformerId(_ANNA),
    performer_name="Anna Test",
    resource_name="Rum 1",
)
_OF_NOBODY = Schedule(
    unit=_UNIT, time_type_id=TimeTypeId("TT1"), time_type_name="Provtagning"
)
_START = datetime(2026, 6, 8, 8, 0, tzinfo=UTC)


def token(schedule: Schedule) -> TimeslotToken:
    """Return the token of a time in a schedule."""
    end = _START + timedelta(minutes=15)
    return TimeslotToken.parse(Timeslot(schedule=schedule, start=_START, end=end).token)


def faults(
    participant: dict[str, Any], schedule: Schedule, *, is_known: bool = True
) -> list[str | None]:
    """Return where a participant of a booking in a schedule is found at fault."""
    appointment = {
        "contained": [{"resourceType": "Patient", "id": "p"}],
        "participant": [{**participant, "status": "accepted"}],
    }
    found = foreign_participants(
        appointment,
        token(schedule),
        schedule if is_known else None,
        base_url=BASE_URL,
    )
    return [each.expression for each in found]


def by(value: str, system: str = HSA_ID) -> dict[str, Any]:
    """Return an identifier."""
    return {"system": system, "value": value}


_TOKEN = token(_OF_ANNA)
_ROLE = practitioner_role_id(_UNIT, _ANNA)
_INTERPRETER = {
    "type": [{"coding": [{"code": "TRANS"}], "text": "interpreter"}],
}


@pytest.mark.parametrize(
    "actor",
    [
        {"reference": f"Location/{_UNIT}"},
        {"reference": f"{BASE_URL}/Location/{_UNIT}", "type": "Location"},
        {"reference": f"Location/{_UNIT}", "identifier": by(_UNIT)},
        {"type": "Location", "identifier": by(_UNIT)},
        {"identifier": by(_UNIT)},
        {"reference": f"HealthcareService/{_TOKEN.time_type}", "display": "Prov"},
        {"reference": f"Schedule/{_TOKEN.schedule}"},
        {"reference": f"Practitioner/{_ANNA}"},
        {"reference": f"Practitioner/{_ANNA}", "identifier": by(_ANNA)},
        {"reference": f"PractitionerRole/{_ROLE}", "type": "PractitionerRole"},
        {"reference": f"PractitionerRole/{_ROLE}", "identifier": by(_ANNA)},
        {"type": "Practitioner", "identifier": by(_ANNA), "display": "Dr Annan"},
        {"identifier": by(_ANNA.lower())},
        {"display": "Anna Test"},
        {"type": "Practitioner", "display": "Anna Test"},
        {"display": "Rum 1"},
        {"reference": "#p"},
    ],
)
def test_the_slots_own_are_no_fault(actor: dict[str, Any]) -> None:
    """The patient, and what the slot says of place, service and staff, may be named."""
    assert faults({"actor": actor}, _OF_ANNA) == []


_REFERENCES = [
    "Location/SE2321000016-A02",
    f"HealthcareService/{_UNIT}.00000000",
    f"Schedule/{_UNIT}.00000000.00000000",
    "Practitioner/SE2321000016-P002",
    f"{BASE_URL}/Practitioner/SE2321000016-P002",
    "Practitioner/unknown",
    f"https://other.example/fhir/Practitioner/{_ANNA}",
    f"Practitioner/{_ANNA}/_history/1",
    f"PractitionerRole/{practitioner_role_id(_UNIT, HsaId('SE2321000016-P002'))}",
    f"PractitionerRole/{practitioner_role_id(HsaId('SE2321000016-A02'), _ANNA)}",
    "Device/1",
    "Organization/SE2321000016",
    f"Slot/{_TOKEN.text}",
    "Appointment/1",
    "#nobody",
    f"urn:oid:{_ANNA}",
]


@pytest.mark.parametrize("reference", _REFERENCES)
def test_a_reference_to_anything_else_is_a_fault(reference: str) -> None:
    """A participant of any type that is not the slot's is refused."""
    assert faults({"actor": {"reference": reference}}, _OF_ANNA) == [
        "Appointment.participant[0].actor.reference"
    ]


@pytest.mark.parametrize(
    "actor",
    [
        {"reference": f"Location/{_UNIT}", "type": "Practitioner"},
        {"reference": f"Location/{_UNIT}", "identifier": by("SE2321000016-A02")},
        {"reference": f"Practitioner/{_ANNA}", "type": "Device"},
        {"reference": f"Practitioner/{_ANNA}", "identifier": by("SE2321000016-P002")},
        {"reference": f"Practitioner/{_ANNA}", "identifier": by(_ANNA, "urn:x")},
        {"reference": f"Schedule/{_TOKEN.schedule}", "identifier": by(_UNIT)},
    ],
)
def test_a_reference_that_contradicts_itself_is_a_fault(actor: dict[str, Any]) -> None:
    """The type and the identifier beside a reference say the same as it does."""
    assert faults({"actor": actor}, _OF_ANNA) == [
        "Appointment.participant[0].actor.reference"
    ]


@pytest.mark.parametrize(
    "actor",
    [
        {"type": "Practitioner", "identifier": by("SE2321000016-P002")},
        {"type": "Practitioner", "identifier": by(_UNIT)},
        {"type": "Location", "identifier": by(_ANNA)},
        {"type": "Device", "identifier": by(_ANNA)},
        {"identifier": by("SE2321000016-P002")},
        {"identifier": by(_ANNA, "urn:other")},
        {"identifier": {"value": _ANNA}},
        {"identifier": {"system": HSA_ID}},
        {"type": "Practitioner"},
        {"type": "Device", "display": "Rum 1"},
        {"display": "Dr X"},
        {"id": "x"},
    ],
)
def test_anybody_else_without_a_reference_is_a_fault(actor: dict[str, Any]) -> None:
    """An identifier or a name that is not of the slot's is refused."""
    assert faults({"actor": actor}, _OF_ANNA) == ["Appointment.participant[0].actor"]


def test_an_actor_who_is_only_described_is_a_fault() -> None:
    """A participant with only a type, such as an interpreter, is refused."""
    assert faults(_INTERPRETER, _OF_ANNA) == ["Appointment.participant[0]"]


def test_the_type_of_the_patient_is_no_fault() -> None:
    """A participant that is nothing but the subject of the visit is the patient."""
    assert faults({"type": [{"coding": [{"code": "SBJ"}]}]}, _OF_ANNA) == []


@pytest.mark.parametrize(
    "actor",
    [
        {"reference": f"Practitioner/{_ANNA}"},
        {"reference": f"PractitionerRole/{_ROLE}"},
        {"identifier": by(_ANNA)},
        {"display": "Anna Test"},
    ],
)
def test_a_slot_of_nobodys_has_no_staff(actor: dict[str, Any]) -> None:
    """Where the region names nobody, nobody of the staff may be asked for."""
    assert len(faults({"actor": actor}, _OF_NOBODY)) == 1


@pytest.mark.parametrize(
    ("actor", "count"),
    [
        ({"reference": f"Practitioner/{_ANNA}"}, 0),
        ({"reference": f"PractitionerRole/{_ROLE}"}, 0),
        ({"display": "Anna Test"}, 0),
        ({"reference": "Location/SE2321000016-A02"}, 1),
        ({"reference": "RelatedPerson/1"}, 0),
        ({"type": "RelatedPerson", "display": "Anna"}, 0),
        ({"reference": "Device/1"}, 1),
        ({"reference": "#nobody"}, 1),
    ],
)
def test_of_an_unknown_schedule_staff_is_not_judged(
    actor: dict[str, Any], count: int
) -> None:
    """Without a known schedule, a participant that cannot be the slot's is refused."""
    assert len(faults({"actor": actor}, _OF_ANNA, is_known=False)) == count


def test_staff_by_an_old_identifier_is_not_the_slots() -> None:
    """An identifier that is no longer in use says nothing of who comes."""
    old = {"type": "Practitioner", "identifier": {**by(_ANNA), "use": "old"}}

    assert faults({"actor": old}, _OF_ANNA) == ["Appointment.participant[0].actor"]
