"""
Reading an Appointment that a client sends (FHIR R4, 12.8): strictly, every fault named.

The resident is the one participant that is a Patient: by an identifier of the actor or
of the contained Patient it refers to. The name stands in the contained Patient. No
message repeats a value.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError

from fhir_gateway.fhir.outcome import Issue, Problem
from fhir_gateway.fhir.r4 import Appointment, Patient
from fhir_gateway.fhir.vocabulary import PERSON_NUMBER_KINDS
from fhir_gateway.model.person import PersonalIdentityNumber, SubjectOfCare
from fhir_gateway.model.timeslot import TimeslotToken

__all__ = [
    "STATUSES",
    "AppointmentRequest",
    "appointment_request_from_resource",
    "number_from_identifier",
]

STATUSES: Final = frozenset(
    {
        "proposed",
        "pending",
        "booked",
        "arrived",
        "fulfilled",
        "cancelled",
        "noshow",
        "entered-in-error",
        "checked-in",
        "waitlist",
    }
)
_PARTICIPANT_STATUSES: Final = frozenset(
    {"accepted", "declined", "tentative", "needs-action"}
)
_SLOT: Final = re.compile(r"(?:.*/)?Slot/([^/]+)(?:/_history/[^/]+)?")
# XML 1.0 has no room for these, so a region could not be told.
_UNSAYABLE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AppointmentRequest:
    """
    What a client says of an appointment.

    Attributes:
        id: Its id, in an update.
        status: An AppointmentStatus code.
        token: The slot; None when it names none.
        number: The resident's number; None when it names no resident.
        subject: The resident with a name; None when it has no name.
        comment: What the resident wants to say to the unit.
        cancelation_text: Why it is cancelled, in the resident's words.
    """

    id: str | None
    status: str
    token: TimeslotToken | None
    number: PersonalIdentityNumber | None
    subject: SubjectOfCare | None
    comment: str | None
    cancelation_text: str | None


def appointment_request_from_resource(resource: object) -> AppointmentRequest:
    """
    Return what a client says of an appointment.

    Raises:
        Problem: 422 (400 for another type of resource), with an issue for each fault.
    """
    if not isinstance(resource, dict) or resource.get("resourceType") != "Appointment":
        raise Problem(
            [
                Issue(
                    code="structure",
                    diagnostics="The body must be one Appointment.",
                    expression="Appointment",
                )
            ],
            status=400,
        )
    try:
        appointment = Appointment.model_validate(resource)
    except ValidationError as error:
        raise Problem(list(_structure_issues(error)), status=422) from None
    reader = _Reader(resource, appointment)
    request = reader.read()
    if reader.issues:
        raise Problem(reader.issues, status=422)
    return request


def number_from_identifier(system: str | None, value: str) -> PersonalIdentityNumber:
    """
    Return the personal number that an identifier holds.

    Raises:
        ValueError: The system is not a personal number's, the number is malformed, or
            it is of the other kind than the system says.
    """
    kind = PERSON_NUMBER_KINDS.get(system or "")
    if kind is None:
        raise ValueError(
            "the identifier's system must be one of "
            + ", ".join(sorted(PERSON_NUMBER_KINDS))
        )
    number = PersonalIdentityNumber(value)
    if number.kind is not kind:
        raise ValueError(
            "the number is a coordination number where its system says otherwise, or"
            " the other way round"
        )
    return number


class _Reader:
    """Reads one Appointment, collecting faults in `issues`."""

    def __init__(self, resource: Mapping[str, Any], appointment: Appointment) -> None:
        self._resource = resource
        self._appointment = appointment
        self.issues: list[Issue] = []

    def read(self) -> AppointmentRequest:
        """Return what it says; meaningless when there are issues."""
        self._check_codes()
        token = self._token()
        number, patient = self._patient()
        subject = self._subject(number, patient)
        reason = self._resource.get("cancelationReason") or {}
        return AppointmentRequest(
            id=self._resource.get("id"),
            status=str(self._resource["status"]),
            token=token,
            number=number,
            subject=subject,
            comment=self._text(self._comment(), "Appointment.comment"),
            cancelation_text=self._text(
                reason.get("text"), "Appointment.cancelationReason.text"
            ),
        )

    def _fault(self, code: str, diagnostics: str, expression: str) -> None:
        self.issues.append(
            Issue(code=code, diagnostics=diagnostics, expression=expression)
        )

    def _check_codes(self) -> None:
        """Check what fhir.resources does not: required bindings and invariants."""
        resource = self._resource
        if resource["status"] not in STATUSES:
            self._fault(
                "code-invalid",
                "status must be an AppointmentStatus code, such as proposed or booked.",
                "Appointment.status",
            )
        for number, participant in enumerate(resource.get("participant", ())):
            where = f"Appointment.participant[{number}]"
            if participant.get("status") not in _PARTICIPANT_STATUSES:
                self._fault(
                    "code-invalid",
                    "participant.status must be accepted, declined, tentative or"
                    " needs-action.",
                    f"{where}.status",
                )
            if "actor" not in participant and "type" not in participant:
                self._fault("invariant", "app-1: name an actor or a type.", where)
        if ("start" in resource) != ("end" in resource):
            self._fault(
                "invariant",
                "app-2: give both start and end, or neither: the slot says both.",
                "Appointment",
            )
        if "cancelationReason" in resource and resource["status"] not in (
            "cancelled",
            "noshow",
        ):
            self._fault(
                "invariant",
                "app-4: cancelationReason is only for a cancelled appointment.",
                "Appointment.cancelationReason",
            )
        for name in ("modifierExtension", "implicitRules"):
            if name in resource:
                self._fault(
                    "not-supported",
                    f"{name} is not understood here: leave it out.",
                    f"Appointment.{name}",
                )

    def _token(self) -> TimeslotToken | None:
        slots = self._resource.get("slot", ())
        if not slots:
            return None
        if len(slots) > 1:
            self._fault(
                "not-supported",
                "A booking takes exactly one slot.",
                "Appointment.slot",
            )
            return None
        where = "Appointment.slot[0].reference"
        match = _SLOT.fullmatch(slots[0].get("reference") or "")
        if match is None:
            self._fault("value", "slot must be a reference as Slot/id.", where)
            return None
        try:
            token = TimeslotToken.parse(match[1])
        except ValueError:
            self._fault("not-found", "There is no such slot; search for one.", where)
            return None
        self._check_agrees(token)
        return token

    def _check_agrees(self, token: TimeslotToken) -> None:
        times: tuple[tuple[str, datetime | None, datetime], ...] = (
            ("start", self._appointment.start, token.starts_at),
            ("end", self._appointment.end, token.ends_at),
        )
        for name, given, slots in times:
            if given is not None and given != slots:
                self._fault(
                    "value",
                    f"{name} is not the slot's: leave it out or give the slot's.",
                    f"Appointment.{name}",
                )
        for number, participant in enumerate(self._resource.get("participant", ())):
            reference = participant.get("actor", {}).get("reference") or ""
            kind, _, identifier = reference.rpartition("/")
            expected = {
                "Location": token.unit,
                "HealthcareService": token.time_type,
                "Schedule": token.schedule,
            }.get(kind.rpartition("/")[2])
            if expected is not None and identifier != expected:
                self._fault(
                    "value",
                    "The participant is not one of the slot's: leave it out.",
                    f"Appointment.participant[{number}].actor.reference",
                )

    def _patient(
        self,
    ) -> tuple[PersonalIdentityNumber | None, Mapping[str, Any] | None]:
        found = [
            (number, participant["actor"])
            for number, participant in enumerate(self._resource.get("participant", ()))
            if self._is_patient(participant.get("actor", {}))
        ]
        contained = self._contained_patients()
        if len(found) > 1 or len(contained) > 1:
            self._fault(
                "value",
                "An appointment is for one patient.",
                "Appointment.participant",
            )
            return None, None
        if not found:
            return None, None
        position, actor = found[0]
        where = f"Appointment.participant[{position}].actor"
        patient = next(iter(contained.values()), None)
        reference = actor.get("reference") or ""
        if reference.startswith("#") and reference[1:] not in contained:
            self._fault(
                "value",
                "The reference names no contained Patient.",
                f"{where}.reference",
            )
            return None, None
        numbers = {
            number
            for identifier, place in self._identifiers(actor, where, patient)
            if (number := self._number(identifier, place)) is not None
        }
        if len(numbers) > 1:
            self._fault(
                "value",
                "The actor and the contained Patient have different numbers.",
                where,
            )
            return None, None
        if not numbers and not self.issues:
            self._fault(
                "required",
                "Give the patient's number as actor.identifier with the system"
                " http://electronichealth.se/identifier/personnummer.",
                f"{where}.identifier",
            )
        return next(iter(numbers), None), patient

    def _is_patient(self, actor: Mapping[str, Any]) -> bool:
        reference = actor.get("reference") or ""
        return (
            actor.get("type") == "Patient"
            or reference.startswith("Patient/")
            or "/Patient/" in reference
            or reference.removeprefix("#") in self._contained_patients()
            or actor.get("identifier", {}).get("system") in PERSON_NUMBER_KINDS
        )

    def _contained_patients(self) -> dict[str, Mapping[str, Any]]:
        return {
            str(each.get("id", "")): each
            for each in self._resource.get("contained", ())
            if each.get("resourceType") == "Patient"
        }

    @staticmethod
    def _identifiers(
        actor: Mapping[str, Any], where: str, patient: Mapping[str, Any] | None
    ) -> Iterator[tuple[Mapping[str, Any], str]]:
        if "identifier" in actor:
            yield actor["identifier"], f"{where}.identifier"
        for number, identifier in enumerate((patient or {}).get("identifier", ())):
            # A Patient may have other numbers too; they are no business of ours.
            if identifier.get("system") in PERSON_NUMBER_KINDS:
                yield identifier, f"Appointment.contained[0].identifier[{number}]"

    def _number(
        self, identifier: Mapping[str, Any], where: str
    ) -> PersonalIdentityNumber | None:
        try:
            return number_from_identifier(
                identifier.get("system"), identifier.get("value") or ""
            )
        except ValueError as error:
            self._fault("value", f"The patient's identifier: {error}.", where)
            return None

    def _subject(
        self,
        number: PersonalIdentityNumber | None,
        patient: Mapping[str, Any] | None,
    ) -> SubjectOfCare | None:
        if number is None or patient is None:
            return None
        try:
            Patient.model_validate(patient)
        except ValidationError:
            self._fault(
                "structure",
                "The contained Patient is not valid.",
                "Appointment.contained[0]",
            )
            return None
        name = _best_name(patient)
        given = [part for part in name.get("given", ()) if part]
        family = name.get("family")
        if not given or not family:
            return None
        where = "Appointment.contained[0]"
        contact = {
            each.get("system"): each.get("value") for each in patient.get("telecom", ())
        }
        return SubjectOfCare(
            number=number,
            first_name=self._text(given[0], f"{where}.name") or "",
            middle_name=self._text(" ".join(given[1:]) or None, f"{where}.name"),
            last_name=self._text(family, f"{where}.name") or "",
            phone=self._text(contact.get("phone"), f"{where}.telecom"),
            email=self._text(contact.get("email"), f"{where}.telecom"),
        )

    def _comment(self) -> str | None:
        comment = self._resource.get("comment")
        if comment is not None:
            return str(comment)
        reasons = self._resource.get("reasonCode", ())
        return reasons[0].get("text") if reasons else None

    def _text(self, text: str | None, where: str) -> str | None:
        if text is None or not text.strip():
            return None
        if _UNSAYABLE.search(text):
            self._fault("value", "The text has a control character.", where)
        return text.strip()


def _best_name(patient: Mapping[str, Any]) -> Mapping[str, Any]:
    names: list[Mapping[str, Any]] = list(patient.get("name", ()))
    for name in names:
        if name.get("use") == "official":
            return name
    return names[0] if names else {}


def _structure_issues(error: ValidationError) -> Iterator[Issue]:
    for fault in error.errors(include_url=False, include_input=False):
        path = "Appointment"
        for part in fault["loc"]:
            path += f"[{part}]" if isinstance(part, int) else f".{part}"
        yield Issue(
            code={
                "extra_forbidden": "structure",
                "missing": "required",
            }.get(fault["type"], "value"),
            # pydantic's own message can quote the value, which may be personal.
            diagnostics={
                "extra_forbidden": "There is no such element here in R4.",
                "missing": "The element is required.",
            }.get(fault["type"], "The element's value does not fit its type in R4."),
            expression=path,
        )
