"""
The participants of an Appointment beside the patient: only those of its slot.

A booking is for the slot as its region lists it. Another participant would not come,
since no contract has a field for one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fhir_gateway.fhir.outcome import Issue
from fhir_gateway.fhir.patient import contained_patients, is_patient
from fhir_gateway.fhir.practitioner import practitioner_role_id
from fhir_gateway.fhir.reference import Reference, is_related_person
from fhir_gateway.fhir.vocabulary import HSA_ID_ALIASES
from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.timeslot import Schedule, TimeslotToken

__all__ = ["foreign_participants"]

_PATIENT_TYPE: Final = "SBJ"
_STAFF: Final = "Practitioner"
_ROLE: Final = "PractitionerRole"


def foreign_participants(
    appointment: Mapping[str, Any],
    token: TimeslotToken,
    schedule: Schedule | None,
    *,
    base_url: str,
) -> Iterator[Issue]:
    """
    Yield a fault for each participant that is neither the patient nor the slot's.

    Args:
        appointment: The valid part of the client's Appointment.
        token: The slot.
        schedule: The slot's schedule. None where it is unknown: then any member of
            staff, and any name, may be the slot's.
        base_url: What absolute references to this server begin with.
    """
    contained = {each.get("id", "") for _, each in contained_patients(appointment)}
    slot = _Slot(token, schedule, base_url)
    for number, participant in enumerate(appointment.get("participant", ())):
        actor = participant.get("actor")
        where = f"Appointment.participant[{number}]"
        if actor is None:
            # Another check covers app-1, so it has a type.
            if "type" not in participant or _says_patient(participant):
                continue
        elif is_patient(actor, contained) or slot.has(actor):
            continue
        elif is_related_person(actor, appointment.get("contained", ())):
            # Whom the patient brings, or who books for them, is no matter of the slot.
            continue
        elif "reference" in actor:
            where = f"{where}.actor.reference"
        else:
            where = f"{where}.actor"
        yield Issue(
            code="value",
            diagnostics="The participant is not one of the slot's: leave it out.",
            expression=where,
        )


def _says_patient(participant: Mapping[str, Any]) -> bool:
    """Return whether a participant without an actor stands for the patient alone."""
    codes = {
        coding.get("code")
        for concept in participant["type"]
        for coding in concept.get("coding", ())
    }
    return codes == {_PATIENT_TYPE}


@dataclass(frozen=True, slots=True)
class _Slot:
    token: TimeslotToken
    schedule: Schedule | None
    base_url: str

    def has(self, actor: Mapping[str, Any]) -> bool:
        """Return whether all details of an actor fit one of the slot's actors."""
        kind = actor.get("type")
        if "reference" in actor:
            try:
                reference = Reference.parse(actor["reference"], self.base_url)
            except ValueError:
                return False
            return (
                kind in (None, reference.type)
                and self._has_id(reference)
                and (
                    "identifier" not in actor
                    or self._has_identifier(actor["identifier"], reference.type)
                )
            )
        if "identifier" in actor:
            kinds = ("Location", _STAFF) if kind is None else (kind,)
            return any(
                self._has_identifier(actor["identifier"], each) for each in kinds
            )
        return kind in (None, _STAFF) and self._has_name(actor.get("display"))

    def _has_id(self, reference: Reference) -> bool:
        match reference.type:
            case "Location":
                return reference.id == self.token.unit
            case "HealthcareService":
                return reference.id == self.token.time_type
            case "Schedule":
                return reference.id == self.token.schedule
            case "Practitioner":
                return self._has_staff(reference.id)
            case "PractitionerRole":
                return self._has_role(reference.id)
        return False

    def _has_identifier(self, identifier: Mapping[str, Any], kind: str) -> bool:
        is_hsa_id = identifier.get("system") in HSA_ID_ALIASES
        if not is_hsa_id or identifier.get("use") == "old":
            return False
        value = identifier.get("value", "")
        if kind == "Location":
            return _hsa_id(value) == self.token.unit
        return kind in (_STAFF, _ROLE) and self._has_staff(value)

    def _has_staff(self, text: str) -> bool:
        hsa_id = _hsa_id(text)
        return hsa_id is not None and (
            self.schedule is None or hsa_id == self.schedule.practitioner
        )

    def _has_role(self, identifier: str) -> bool:
        if self.schedule is None:
            return identifier.startswith(f"{self.token.unit}.")
        staff = self.schedule.practitioner
        return staff is not None and identifier == practitioner_role_id(
            self.token.unit, staff
        )

    def _has_name(self, name: str | None) -> bool:
        if name is None or self.schedule is None:
            return name is not None
        return name in (self.schedule.performer_name, self.schedule.resource_name)


def _hsa_id(text: str) -> HsaId | None:
    try:
        return HsaId(text)
    except ValueError:
        return None
