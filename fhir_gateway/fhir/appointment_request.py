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

from fhir_gateway.fhir.json_form import below, form_issues
from fhir_gateway.fhir.outcome import Issue, Problem
from fhir_gateway.fhir.r4 import Appointment
from fhir_gateway.fhir.vocabulary import PERSON_NUMBER_KINDS
from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.model.person import PersonalIdentityNumber, SubjectOfCare
from fhir_gateway.model.timeslot import TimeslotToken

__all__ = [
    "BOOKABLE",
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
BOOKABLE: Final = frozenset({"proposed", "booked"})
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


def appointment_request_from_resource(
    resource: object, *, to_book: bool = False, to_hold: bool = False
) -> AppointmentRequest:
    """
    Return what a client says of an appointment.

    Args:
        resource: The body.
        to_book: It has to have what a new booking needs: then `token` and `subject`
            are never None.
        to_hold: It has to have what a hold needs: then `token` and `number` are never
            None.

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
    malformed = list(form_issues(resource, "Appointment"))
    if malformed:
        raise Problem(malformed, status=422)
    try:
        appointment = Appointment.model_validate(resource)
    except ValidationError as error:
        raise Problem(list(_structure_issues(error)), status=422) from None
    except (AttributeError, KeyError, TypeError) as error:
        # fhir.resources 8.3 fails so on some values of the wrong type.
        raise Problem(
            [
                Issue(
                    code="structure",
                    diagnostics="The body is no Appointment of R4: check its types.",
                    expression="Appointment",
                )
            ],
            status=422,
        ) from error
    reader = _Reader(resource, appointment)
    request = reader.read(is_new=to_book or to_hold, to_book=to_book)
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

    def read(self, *, is_new: bool, to_book: bool) -> AppointmentRequest:
        """Return what it says; meaningless when there are issues."""
        self._check_codes()
        if is_new and self._status in STATUSES - BOOKABLE:
            self._fault(
                "value",
                "To book, send status proposed or booked.",
                "Appointment.status",
            )
        if is_new and not self._resource.get("slot"):
            self._fault("required", "Name the slot to book.", "Appointment.slot")
        token = self._token()
        number, patient = self._patient(is_required=is_new)
        subject = self._subject(number, patient, is_required=to_book)
        reason = self._resource.get("cancelationReason", {})
        return AppointmentRequest(
            id=self._resource.get("id"),
            status=self._status,
            token=token,
            number=number,
            subject=subject,
            comment=self._text(self._comment(), "Appointment.comment"),
            cancelation_text=self._text(
                reason.get("text"), "Appointment.cancelationReason.text"
            ),
        )

    @property
    def _status(self) -> str:
        # R4 lets an extension stand in the place of any value.
        return str(self._resource.get("status", ""))

    def _fault(
        self,
        code: str,
        diagnostics: str,
        expression: str,
        *,
        error_code: ErrorCode | None = None,
    ) -> None:
        self.issues.append(
            Issue(
                code=code,
                error_code=error_code,
                diagnostics=diagnostics,
                expression=expression,
            )
        )

    def _check_codes(self) -> None:
        """Check what fhir.resources does not: required bindings and invariants."""
        resource = self._resource
        if self._status not in STATUSES:
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
        if "cancelationReason" in resource and self._status not in (
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
            self._fault(
                "not-found",
                "There is no such slot; search for one.",
                where,
                error_code=ErrorCode.REQUESTED_TIME_DOES_NOT_EXIST,
            )
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
        self, *, is_required: bool
    ) -> tuple[PersonalIdentityNumber | None, Mapping[str, Any] | None]:
        found = [
            (number, participant["actor"])
            for number, participant in enumerate(self._resource.get("participant", ()))
            if self._is_patient(participant.get("actor", {}))
        ]
        contained = self._contained_patients()
        patient = next((each for _, each in contained), None)
        if len(found) > 1 or len(contained) > 1:
            self._fault(
                "value",
                "An appointment is for one patient.",
                "Appointment.participant",
            )
            return None, patient
        if not found:
            if is_required:
                self._fault(
                    "required",
                    "Name the patient: a participant whose actor has an identifier with"
                    " the system http://electronichealth.se/identifier/personnummer.",
                    "Appointment.participant",
                )
            return None, patient
        position, actor = found[0]
        where = f"Appointment.participant[{position}].actor"
        reference = actor.get("reference", "")
        if reference.startswith("#") and reference[1:] not in self._contained_ids():
            self._fault(
                "value",
                "The reference names no contained Patient.",
                f"{where}.reference",
            )
            return None, patient
        given = list(self._identifiers(actor, where))
        numbers = {
            number
            for identifier, place in given
            if (number := self._number(identifier, place)) is not None
        }
        if len(numbers) > 1:
            self._fault(
                "value",
                "The actor and the contained Patient have different numbers.",
                where,
            )
            return None, patient
        if not given:
            self._fault(
                "required",
                "Give the patient's number as actor.identifier with the system"
                " http://electronichealth.se/identifier/personnummer.",
                f"{where}.identifier",
            )
        return next(iter(numbers), None), patient

    def _is_patient(self, actor: Mapping[str, Any]) -> bool:
        reference = actor.get("reference", "")
        return (
            actor.get("type") == "Patient"
            or reference.startswith("Patient/")
            or "/Patient/" in reference
            or (reference.startswith("#") and reference[1:] in self._contained_ids())
            or actor.get("identifier", {}).get("system") in PERSON_NUMBER_KINDS
        )

    def _contained_patients(self) -> list[tuple[int, Mapping[str, Any]]]:
        return [
            (number, each)
            for number, each in enumerate(self._resource.get("contained", ()))
            if each.get("resourceType") == "Patient"
        ]

    def _contained_ids(self) -> set[str]:
        return {each["id"] for _, each in self._contained_patients() if each.get("id")}

    def _identifiers(
        self, actor: Mapping[str, Any], where: str
    ) -> Iterator[tuple[Mapping[str, Any], str]]:
        if "identifier" in actor:
            yield actor["identifier"], f"{where}.identifier"
        for position, patient in self._contained_patients():
            for number, identifier in enumerate(patient.get("identifier", ())):
                # A Patient may have other numbers too; they are no business of ours.
                if identifier.get("system") in PERSON_NUMBER_KINDS:
                    place = f"Appointment.contained[{position}].identifier[{number}]"
                    yield identifier, place

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
        *,
        is_required: bool,
    ) -> SubjectOfCare | None:
        position = next((number for number, _ in self._contained_patients()), 0)
        where = f"Appointment.contained[{position}]"
        patient = patient or {}
        name = _best_name(patient)
        given = [
            text
            for part in name.get("given", ())
            if (text := self._text(part, f"{where}.name")) is not None
        ]
        family = self._text(name.get("family"), f"{where}.name")
        if not given or not family:
            if is_required:
                self._fault(
                    "required",
                    "Give the patient's family and given name, as the population"
                    " register has them, in a contained Patient.",
                    "Appointment.contained",
                )
            return None
        contact = {
            each.get("system"): each.get("value") for each in patient.get("telecom", ())
        }
        phone = self._text(contact.get("phone"), f"{where}.telecom")
        email = self._text(contact.get("email"), f"{where}.telecom")
        if number is None:
            return None
        return SubjectOfCare(
            number=number,
            first_name=given[0],
            middle_name=" ".join(given[1:]) or None,
            last_name=family,
            phone=phone,
            email=email,
        )

    def _comment(self) -> str | None:
        comment: str | None = self._resource.get("comment")
        if comment is not None:
            return comment
        reasons: list[dict[str, str]] = self._resource.get("reasonCode", [])
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
            if part == "root":  # pydantic's own word for the value as a whole
                continue
            path = f"{path}[{part}]" if isinstance(part, int) else below(path, part)
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
