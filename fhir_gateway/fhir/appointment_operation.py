"""
The parameters of the operations on Appointment, in five dialects.

IHE ITI Scheduling, Argonaut Scheduling, ISiK Terminplanung, Medplum (with WOF and HL7
Austria) and a plain Appointment express the same with other names. Each call becomes
one plain Appointment, and an id where it is about an appointment that exists; so every
dialect ends on one path. The module has over 400 lines, since each dialect's parameters
limit those of the others.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Any, Final

from fhir_gateway.fhir.operation_parameters import (
    DATES,
    REFERENCES,
    RESOURCE,
    TEXTS,
    Arguments,
    OperationParameter,
    arguments_from_resource,
)
from fhir_gateway.fhir.outcome import Issue
from fhir_gateway.fhir.patient import (
    contained_patients,
    is_patient,
    number_from_identifier,
)
from fhir_gateway.fhir.reference import own_id
from fhir_gateway.fhir.structure import checked
from fhir_gateway.fhir.vocabulary import PERSON_NUMBER_KINDS, PERSON_NUMBER_SYSTEMS
from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.timekeeping import epoch_seconds, period_from_search_text
from fhir_gateway.model.timeslot import TimeslotToken

__all__ = [
    "BOOK",
    "CANCEL",
    "HOLD",
    "RESCHEDULE",
    "AnswerForm",
    "AppointmentCall",
    "HoldAt",
    "appointment_call",
    "nobodys",
]

_APPOINTMENT: Final = OperationParameter(
    names=("appointment-resource", "appt-resource", "appointment"), types=RESOURCE
)
_REFERENCE: Final = OperationParameter(
    names=("appointment-reference", "appt-id"), types=REFERENCES
)
_CANCELLED: Final = OperationParameter(names=("cancelled-appt-id",), types=REFERENCES)
_SLOT: Final = OperationParameter(names=("slot-reference", "slot"), types=REFERENCES)
_SCHEDULE: Final = OperationParameter(names=("schedule",), types=REFERENCES)
_START: Final = OperationParameter(names=("start", "startTime"), types=DATES)
_PATIENT: Final = OperationParameter(
    names=("patient-resource", "patient"), types=RESOURCE
)
_RELATED: Final = OperationParameter(names=("related-person",), types=RESOURCE)
_PATIENT_ID: Final = OperationParameter(names=("patient-id",), types=TEXTS)
_COMMENT: Final = OperationParameter(
    names=("comment",), types=frozenset({"string", "markdown"})
)
_SLOT_STATUS: Final = OperationParameter(names=("slot-status",), types=TEXTS)

BOOK: Final = (
    *(_APPOINTMENT, _REFERENCE, _CANCELLED, _SLOT, _SCHEDULE),
    *(_PATIENT, _PATIENT_ID, _RELATED, _COMMENT),
)
HOLD: Final = (
    *(_APPOINTMENT, _REFERENCE, _SLOT, _SCHEDULE, _SLOT_STATUS),
    *(_PATIENT, _PATIENT_ID),
)
CANCEL: Final = (_APPOINTMENT, _REFERENCE, _COMMENT)
RESCHEDULE: Final = (
    *(_APPOINTMENT, _REFERENCE, _SLOT, _START, _SCHEDULE),
    *(_PATIENT, _PATIENT_ID, _COMMENT),
)

# They become one Appointment, and its reading checks them.
_JOINED: Final = frozenset({"Appointment", "Patient"})
_STATUS_CANCELLED: Final = "cancelled"
_PATIENT_CONTAINED: Final = "patient"
_SUBJECT: Final = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
# What may be meant as one of this server's own ids of appointments, even mistyped or
# cut off; any other id is a client's own.
_LIKE_OURS: Final = re.compile(r"(?=.*-)[0-9a-fA-F-]{8,}|[0-9a-fA-F]{24,}")
# A tuple, since a client may send a status that cannot be in a set.
_OF_NEW: Final = ("proposed", "pending")
# Names of the dialects that answer with a Bundle.
_OF_BUNDLES: Final = frozenset(
    {
        *("appt-id", "patient-id", "comment"),
        *("appointment-reference", "appointment-resource", "patient-resource"),
    }
)


HoldAt = Callable[[PersonalIdentityNumber, str], str | None]
"""Returns the id of a resident's hold of a slot; None where there is none."""


def nobodys(_: PersonalIdentityNumber, __: str) -> None:
    """Return None: nobody holds anything."""


class AnswerForm(Enum):
    """
    The form of answer that a dialect expects.

    APPOINTMENT: the Appointment itself (plain, ISiK).
    SEARCHSET: a Bundle with it (Argonaut, IHE).
    TRANSACTION: a Bundle with it and its status (Medplum).
    PARAMETERS: Parameters with its Slot (HL7 Austria).
    """

    APPOINTMENT = "appointment"
    SEARCHSET = "searchset"
    TRANSACTION = "transaction-response"
    PARAMETERS = "parameters"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AppointmentCall:
    """
    A call of an operation on an appointment, free of its dialect.

    Attributes:
        appointment: The plain Appointment that the call expresses.
        given: The Appointment as the client sent it; empty when it sent none.
        known: Our id of the appointment that it is about; None for a free slot.
        starts_at: The wanted start, where the call names no slot.
        schedule: The wanted schedule, where the call names no slot.
        releases: The call releases a hold.
        form: The form of answer that the client expects.
        faults: The faults of the parameters; when there are any, the other attributes
            hold what could be read.
    """

    appointment: dict[str, Any]
    given: Mapping[str, Any]
    known: str | None
    starts_at: datetime | None
    schedule: str | None
    releases: bool
    form: AnswerForm
    faults: tuple[Issue, ...] = ()

    @property
    def cancels(self) -> bool:
        """Return whether it cancels: IHE and WOF express that by the status."""
        return self.appointment.get("status") == _STATUS_CANCELLED


def appointment_call(
    body: object,
    declared: tuple[OperationParameter, ...],
    *,
    instance: str | None,
    base_url: str,
    cancels: bool = False,
    moves: bool = False,
    of_known: bool = False,
    own: PersonalIdentityNumber | None = None,
    hold_at: HoldAt = nobodys,
) -> AppointmentCall:
    """
    Return the call of an operation.

    Args:
        body: A Parameters, or an Appointment alone.
        declared: The operation's parameters.
        instance: The id in the URL, for a call on an appointment.
        base_url: What absolute references to this server begin with.
        cancels: The operation cancels, regardless of an Appointment's status.
        moves: The operation moves, so the call must name one new time.
        of_known: The operation needs an appointment that exists; a proposed free time
            is not one.
        own: The number of the resident who calls; a new booking or hold that names no
            patient is theirs.
        hold_at: Returns the id of that resident's hold of a slot.

    Raises:
        Problem: 400 when the body is neither. The call collects other faults of the
            parameters; reading its Appointment finds the faults of that.
    """
    if isinstance(body, dict) and body.get("resourceType") == "Appointment":
        arguments = Arguments({}, base_url)
        resource: dict[str, Any] | None = body
    else:
        arguments = arguments_from_resource(body, declared, base_url, deferred=_JOINED)
        resource = arguments.resource("appointment-resource", "Appointment")
    joined = _Joined(
        arguments,
        base_url,
        resource,
        cancels=cancels,
        moves=moves,
        of_known=of_known,
        own=own,
        hold_at=hold_at,
    )
    return replace(joined.call(instance), faults=arguments.faults)


class _Joined:
    """Builds one Appointment from all parameters of a call."""

    def __init__(
        self,
        arguments: Arguments,
        base_url: str,
        resource: dict[str, Any] | None,
        *,
        cancels: bool,
        moves: bool,
        of_known: bool,
        own: PersonalIdentityNumber | None,
        hold_at: HoldAt,
    ) -> None:
        self._arguments = arguments
        self._own = own
        self._hold_at = hold_at
        self._moves = moves
        self._of_known = of_known
        self._base_url = base_url
        self._given = resource or {}
        self._appointment: dict[str, Any] = {
            "resourceType": "Appointment",
            **({"status": "proposed"} if resource is None else {}),
            **self._given,
            **({"status": _STATUS_CANCELLED} if cancels else {}),
        }

    def call(self, instance: str | None) -> AppointmentCall:
        """Return the call; meaningless when the arguments have faults."""
        appointment = self._appointment
        releases = self._releases()
        proposed, known = self._names(instance, releases=releases)
        ends = releases or appointment.get("status") == _STATUS_CANCELLED
        if (self._of_known or ends) and not known:
            self._name_no_appointment(proposed)
            proposed = set()
        tokens = proposed | self._slots()
        if len(known) > 1:
            self._fault("Name one appointment, not two.")
        if len(tokens) > 1:
            self._fault("Name one slot, not two.")
        schedule = self._arguments.reference("schedule", "Schedule")
        # It is who books for the patient; no contract has a field for them.
        self._arguments.resource("related-person", "RelatedPerson")
        starts_at = self._start()
        if not tokens and schedule is not None:
            tokens = self._derived(schedule)
        if self._moves:
            self._check_target(tokens, starts_at)
        if tokens and "slot" not in appointment:
            appointment["slot"] = [{"reference": f"Slot/{min(tokens)}"}]
        if schedule is not None and any(
            _schedule_of(token) != schedule for token in tokens
        ):
            self._fault("schedule is not the slot's: leave it out.")
        self._add_comment()
        self._add_patient(is_new=not (known or ends))
        if appointment.get("status") == "pending":
            # A hold, or a proposal: the operation says what to do with it.
            appointment["status"] = "proposed"
        return AppointmentCall(
            appointment=appointment,
            given=self._given,
            known=min(known, default=None),
            starts_at=starts_at,
            schedule=schedule,
            releases=releases,
            form=self._form(),
        )

    def _fault(self, diagnostics: str) -> None:
        self._arguments.fault("value", diagnostics)

    def _names(
        self, instance: str | None, *, releases: bool
    ) -> tuple[set[str], set[str]]:
        """
        Return the free times and the appointments that the call names as appointments.

        To release, the slot is enough for the resident who holds it.
        """
        named = [
            instance,
            self._arguments.reference("appointment-reference", "Appointment"),
            self._arguments.reference("cancelled-appt-id", "Appointment"),
            self._appointment.get("id"),
        ]
        names = {name for name in named if isinstance(name, str)}
        if self._has_id_of_its_own():
            names.discard(self._appointment["id"])
        tokens = {name for name in names if _schedule_of(name) is not None}
        known = names - tokens
        if releases and not known:
            known = self._own_holds(tokens)
        return tokens, known

    def _has_id_of_its_own(self) -> bool:
        """
        Return whether a new Appointment has an id that cannot be this server's.

        ISiK, WOF and HL7 Austria let a new Appointment have an id of its client. One of
        this server's form names an appointment, so that a mistyped move never books.
        """
        identifier = self._given.get("id")
        return (
            isinstance(identifier, str)
            and self._given.get("status") in _OF_NEW
            and not self._of_known
            and _LIKE_OURS.fullmatch(identifier) is None
            and _schedule_of(identifier) is None
            and not self._arguments.names_any(_REFERENCE, _CANCELLED)
        )

    def _own_holds(self, proposed: set[str]) -> set[str]:
        """Return the caller's own hold of the slot that a call to release names."""
        tokens = proposed | self._slots()
        if self._own is None or len(tokens) != 1:
            return set()
        held = self._hold_at(self._own, min(tokens))
        return set() if held is None else {held}

    def _name_no_appointment(self, proposed: set[str]) -> None:
        """Note that a call names no appointment, unless it tried to."""
        if proposed:
            self._fault(
                "This names a free time, not an appointment: name the appointment in"
                " the answer to $book or $hold."
            )
        elif not self._tries_to_name("id", _REFERENCE, _CANCELLED):
            self._arguments.fault(
                "required",
                "Name the appointment, as appointment-reference or in the URL.",
            )

    def _check_target(self, tokens: set[str], starts_at: datetime | None) -> None:
        """Check that a call to move names one new time, or tried to."""
        if self._appointment.get("status") == _STATUS_CANCELLED:
            self._fault("To cancel, call $cancel; $reschedule moves.")
        elif not (
            tokens
            or self._tries_to_name("slot", _SLOT, _START)
            or ("start" in self._appointment and self._arguments.names_any(_SCHEDULE))
        ):
            self._arguments.fault(
                "required", "Name the new time: slot-reference, or start."
            )
        elif starts_at is not None and any(
            token.starts_at != starts_at for token in map(_token_of, tokens) if token
        ):
            self._fault("start is not the slot's: leave it out.")

    def _tries_to_name(self, element: str, *declared: OperationParameter) -> bool:
        """Return whether a parameter or an element names something, or may have."""
        return (
            element in self._appointment
            or self._arguments.names_any(*declared)
            or (not self._given and self._arguments.names_any(_APPOINTMENT))
        )

    def _slots(self) -> set[str]:
        """Return the slots that the call names as slots."""
        slot = self._arguments.reference("slot-reference", "Slot")
        return (
            self._own_slot()
            | self._contained_slots()
            | ({slot} if slot is not None else set())
        )

    def _contained_slots(self) -> set[str]:
        """
        Return the slots that contained Slots describe, and take these out (Medplum).

        What is no slot of this server's stays, and the reading finds its faults.
        """
        contained = self._appointment.get("contained")
        if not isinstance(contained, list):
            return set()
        tokens: set[str] = set()
        others = []
        for each in contained:
            token = self._described_slot(each)
            if token is None:
                others.append(each)
            else:
                tokens.add(token)
        if tokens:
            self._appointment["contained"] = others
            if not others:
                del self._appointment["contained"]
        return tokens

    def _described_slot(self, resource: object) -> str | None:
        match resource:
            case {
                "resourceType": "Slot",
                "schedule": {"reference": str(reference)},
                "start": str(start),
                "end": str(end),
            }:
                schedule = own_id(reference, "Schedule", self._base_url)
                return None if schedule is None else _token(schedule, start, end)
        return None

    def _own_slot(self) -> set[str]:
        """
        Return the Appointment's slot; the reading of the Appointment finds its faults.
        """
        slots = self._appointment.get("slot")
        if not isinstance(slots, list) or len(slots) != 1:
            return set()
        slot = slots[0]
        reference = slot.get("reference") if isinstance(slot, dict) else None
        if not isinstance(reference, str):
            return set()
        identifier = own_id(reference, "Slot", self._base_url)
        return set() if identifier is None else {identifier}

    def _start(self) -> datetime | None:
        text = self._arguments.text("start")
        if text is None:
            return None
        try:
            return period_from_search_text(text)[0]
        except ValueError as error:
            self._fault(f"start: is {error}.")
            return None

    def _derived(self, schedule: str) -> set[str]:
        """Return the slot of a schedule that has the Appointment's start and end."""
        times = [self._appointment.get(name) for name in ("start", "end")]
        if not all(isinstance(text, str) for text in times):
            return set()
        token = _token(schedule, *map(str, times))
        if token is None:
            self._arguments.fault(
                "not-found",
                "There is no such slot in that schedule; search for one.",
                error_code=ErrorCode.REQUESTED_TIME_DOES_NOT_EXIST,
            )
        return set() if token is None else {token}

    def _add_comment(self) -> None:
        comment = self._arguments.text("comment")
        if comment is None:
            return
        if self._appointment.get("status") == _STATUS_CANCELLED:
            # A comment on a cancellation is its reason.
            reason = self._appointment.setdefault("cancelationReason", {})
            if isinstance(reason, dict) and reason.setdefault("text", comment) == (
                comment
            ):
                return
            self._fault("comment differs from cancelationReason: give one of them.")
            return
        if self._appointment.get("comment", comment) != comment:
            self._fault("comment differs from the Appointment's: give one of them.")
        self._appointment["comment"] = comment

    def _add_patient(self, *, is_new: bool) -> None:
        self._add_named_patient()
        if is_new and self._own is not None:
            self._imply_patient(self._own)
        if "participant" not in self._appointment:
            self._appointment["participant"] = [
                {
                    "type": [{"coding": [{"system": _SUBJECT, "code": "SBJ"}]}],
                    "status": "needs-action",
                }
            ]

    def _add_named_patient(self) -> None:
        actor: dict[str, Any] = {}
        patient = self._arguments.resource("patient-resource", "Patient")
        if patient is not None:
            contained = self._appointment.get("contained", [])
            if isinstance(contained, list):
                self._appointment["contained"] = [
                    *contained,
                    {**patient, "id": _PATIENT_CONTAINED},
                ]
            actor = {"reference": f"#{_PATIENT_CONTAINED}", "type": "Patient"}
        for given in self._arguments.all("patient-id"):
            system, bar, value = given.value.partition("|")
            if not bar or system not in PERSON_NUMBER_KINDS:
                self._arguments.fault(
                    "not-supported",
                    "patient-id: this server stores no Patient; give the number as"
                    " system|number, and the name in a Patient.",
                    given,
                )
                continue
            try:
                number = number_from_identifier(system, value)
            except ValueError as error:
                self._arguments.fault("value", f"patient-id: {error}.", given)
                continue
            actor = {
                "type": "Patient",
                **actor,
                "identifier": _identifier_of(number),
            }
        if actor:
            self._name_patient(actor)

    def _imply_patient(self, number: PersonalIdentityNumber) -> None:
        """Make the resident who calls the patient, where the call names none."""
        sound = checked(self._appointment).resource
        participants = self._appointment.get("participant", [])
        if (
            not isinstance(participants, list)
            or contained_patients(sound)
            or self._arguments.names_any(_PATIENT, _PATIENT_ID)
            or any(
                is_patient(each.get("actor", {}), ())
                for each in sound.get("participant", ())
            )
        ):
            return
        actor = {"type": "Patient", "identifier": _identifier_of(number)}
        self._appointment["participant"] = [
            {"actor": actor, "status": "needs-action"},
            *participants,
        ]

    def _name_patient(self, actor: dict[str, Any]) -> None:
        participants = self._appointment.get("participant", [])
        if not isinstance(participants, list):
            return
        # The valid part identifies the patient; a later check finds the faults of the
        # rest.
        sound = checked(self._appointment).resource
        contained = {each.get("id", "") for _, each in contained_patients(sound)}
        for number, each in enumerate(sound.get("participant", ())):
            if not is_patient(each.get("actor", {}), contained):
                continue
            participant = participants[number]
            present = participant["actor"]
            identifier = actor.get("identifier")
            if identifier is None:
                return
            if present.get("identifier", identifier) != identifier:
                self._fault("patient-id is not the Appointment's patient.")
                return
            named = {**participant, "actor": {**present, "identifier": identifier}}
            self._appointment["participant"] = [
                *participants[:number],
                named,
                *participants[number + 1 :],
            ]
            return
        self._appointment["participant"] = [
            *participants,
            {"actor": actor, "status": "needs-action"},
        ]

    def _releases(self) -> bool:
        status = self._arguments.text("slot-status")
        if status not in (None, "busy-tentative", "free"):
            self._fault("slot-status must be busy-tentative, to hold, or free.")
        return status == "free"

    def _form(self) -> AnswerForm:
        spelt = self._arguments.spelt
        if "slot-status" in spelt:
            return AnswerForm.PARAMETERS
        if "appointment" in spelt:
            return AnswerForm.TRANSACTION
        if spelt & _OF_BUNDLES:
            return AnswerForm.SEARCHSET
        return AnswerForm.APPOINTMENT


def _identifier_of(number: PersonalIdentityNumber) -> dict[str, str]:
    return {"system": PERSON_NUMBER_SYSTEMS[number.kind], "value": number.reveal()}


def _token(schedule: str, start: str, end: str) -> str | None:
    """Return the slot of a schedule with a start and an end; None for no slot."""
    try:
        first, last = (
            epoch_seconds(period_from_search_text(text)[0]) for text in (start, end)
        )
        token = TimeslotToken(schedule=schedule, start=first, length=last - first)
        return TimeslotToken.parse(token.text).text
    except ValueError:
        return None


def _schedule_of(text: str) -> str | None:
    """Return the schedule of a slot, from the slot's id; None for any other text."""
    token = _token_of(text)
    return None if token is None else token.schedule


def _token_of(text: str) -> TimeslotToken | None:
    try:
        return TimeslotToken.parse(text)
    except ValueError:
        return None
