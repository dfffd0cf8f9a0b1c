"""
Strict reading of an Appointment from a client (FHIR R4, 12.8): it names every fault.

`structure.py` checks that it is an Appointment of R4 at all; this module reads the
valid part even where that finds faults, so that one answer names the faults of both
checks. No message repeats a value.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fhir_gateway.fhir.appointment_references import (
    participants,
    reference_faults,
    unreferenced_resources,
)
from fhir_gateway.fhir.free_text import COMMENT, REASON
from fhir_gateway.fhir.limits import MOST_REASON_JSON_CHARACTERS
from fhir_gateway.fhir.outcome import Issue, Problem, ProblemKind
from fhir_gateway.fhir.patient import Resident
from fhir_gateway.fhir.reference import contradicts, own_id
from fhir_gateway.fhir.service_type import foreign_service_types
from fhir_gateway.fhir.slot_agreement import disagreements
from fhir_gateway.fhir.slot_participant import foreign_participants
from fhir_gateway.fhir.structure import checked
from fhir_gateway.model.booking import CancellationReason
from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.model.person import PersonalIdentityNumber, SubjectOfCare
from fhir_gateway.model.timekeeping import Clock, now
from fhir_gateway.model.timeslot import Schedule, TimeslotToken

__all__ = [
    "BOOKABLE",
    "STATUSES",
    "AppointmentRequest",
    "ScheduleOf",
    "ServiceTypeOf",
    "appointment_request_from_resource",
    "unknown",
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
_CANCELLED: Final = "cancelled"


ScheduleOf = Callable[[TimeslotToken], Schedule | None]
"""Returns a slot's schedule; None where it is unknown."""

ServiceTypeOf = Callable[[TimeslotToken], Mapping[str, Any] | None]
"""Returns a slot's `serviceType` as shown to clients; None where it is unknown."""


def unknown(_: TimeslotToken) -> None:
    """Return None: only its token is known of a slot."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AppointmentRequest:
    """
    An Appointment as a client sent it.

    Attributes:
        id: Its id, in an update.
        status: An AppointmentStatus code.
        token: The slot; None when it names none.
        number: The resident's number; None when it names no resident.
        subject: The resident with a name; None when it has no name.
        comment: The resident's text for the unit.
        cancellation: The reason for a cancellation.
    """

    id: str | None
    status: str
    token: TimeslotToken | None
    number: PersonalIdentityNumber | None
    subject: SubjectOfCare | None
    comment: str | None
    cancellation: CancellationReason | None


def appointment_request_from_resource(
    resource: object,
    *,
    base_url: str,
    to_book: bool = False,
    to_hold: bool = False,
    schedule_of: ScheduleOf = unknown,
    service_type_of: ServiceTypeOf = unknown,
    clock: Clock = now,
) -> AppointmentRequest:
    """
    Return the request in an Appointment.

    Args:
        resource: The body.
        base_url: What absolute references to this server begin with.
        to_book: It must have what a new booking needs: then `token` and `subject` are
            never None.
        to_hold: It must have what a hold needs: then `token` and `number` are never
            None.
        schedule_of: Returns the schedule of a new booking's or hold's slot, for the
            check of the other participants; None where it is unknown.
        service_type_of: Returns the `serviceType` of such a slot; likewise.
        clock: Returns the present instant.

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
            kind=ProblemKind.MALFORMED,
        )
    sound = checked(resource)
    reader = _Reader(sound.resource, base_url, schedule_of, service_type_of, clock)
    request = reader.read(is_new=to_book or to_hold, to_book=to_book)
    issues = sound.with_further(reader.issues)
    if issues:
        raise Problem(issues, kind=ProblemKind.UNPROCESSABLE)
    return request


class _Reader:
    """Reads the valid part of an Appointment, and collects faults in `issues`."""

    def __init__(
        self,
        resource: Mapping[str, Any],
        base_url: str,
        schedule_of: ScheduleOf,
        service_type_of: ServiceTypeOf,
        clock: Clock,
    ) -> None:
        self._resource = resource
        self._base_url = base_url
        self._schedule_of = schedule_of
        self._service_type_of = service_type_of
        self.issues: list[Issue] = []
        self._resident = Resident(resource, self.issues.append, clock=clock)

    def read(self, *, is_new: bool, to_book: bool) -> AppointmentRequest:
        """Return the request; meaningless when there are issues."""
        self._check_invariants()
        self.issues.extend(reference_faults(self._resource, self._base_url))
        if is_new:
            self._check_new()
            self.issues.extend(unreferenced_resources(self._resource))
        token = self._token(is_new=is_new)
        number = self._resident.number(is_required=is_new)
        subject = None
        if self._status != _CANCELLED:
            # A booking of a deceased or renamed person can still be cancelled.
            self._resident.check_alive()
            subject = self._resident.subject(number, is_required=to_book)
        return AppointmentRequest(
            id=self._resource.get("id"),
            status=self._status,
            token=token,
            number=number,
            subject=subject,
            comment=self._comment(is_new=is_new),
            cancellation=self._cancellation(),
        )

    @property
    def _status(self) -> str:
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

    def _check_invariants(self) -> None:
        resource = self._resource
        for where, participant in participants(self._resource):
            if "actor" not in participant and "type" not in participant:
                self._fault(
                    "invariant", "app-1: name an actor or a type.", f"{where}.actor"
                )
        for name, other in (("start", "end"), ("end", "start")):
            if name not in resource and other in resource:
                self._fault(
                    "invariant",
                    "app-2: give both start and end, or neither: the slot has both.",
                    f"Appointment.{name}",
                )
        if "cancelationReason" in resource and self._status not in (
            _CANCELLED,
            "noshow",
        ):
            self._fault(
                "invariant",
                "app-4: cancelationReason is only for a cancelled appointment.",
                "Appointment.cancelationReason",
            )

    def _check_new(self) -> None:
        if self._status in STATUSES - BOOKABLE:
            self._fault(
                "value",
                "To book, send status proposed or booked.",
                "Appointment.status",
            )
        if not self._resource.get("slot"):
            self._fault("required", "Name the slot to book.", "Appointment.slot")
        for where, participant in participants(self._resource):
            if participant.get("status") == "declined":
                self._fault(
                    "business-rule",
                    "Nothing can be booked with a participant who declined.",
                    f"{where}.status",
                )

    def _token(self, *, is_new: bool) -> TimeslotToken | None:
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
        identifier = own_id(slots[0].get("reference", ""), "Slot", self._base_url)
        if identifier is None:
            self._fault(
                "value", "slot must be a reference to this server, as Slot/id.", where
            )
            return None
        try:
            token = TimeslotToken.parse(identifier)
        except ValueError:
            token = None
        # Every free time is longer than zero.
        if token is None or (is_new and token.length == 0):
            self._fault(
                "not-found",
                "There is no such slot; search for one.",
                where,
                error_code=ErrorCode.REQUESTED_TIME_DOES_NOT_EXIST,
            )
            return None
        if contradicts(slots[0], "Slot", identifier):
            self._fault(
                "value",
                "slot contradicts itself: leave out its type and identifier.",
                "Appointment.slot[0]",
            )
        # For a change, the present Appointment is compared instead.
        self.issues.extend(disagreements(self._resource, token))
        schedule = self._schedule_of(token) if is_new else None
        named = {each.expression for each in self.issues}
        self.issues.extend(
            each
            for each in foreign_participants(
                self._resource, token, schedule, base_url=self._base_url
            )
            if each.expression not in named
        )
        service_type = self._service_type_of(token) if is_new else None
        if service_type is not None:
            self.issues.extend(foreign_service_types(self._resource, service_type))
        return token

    def _comment(self, *, is_new: bool) -> str | None:
        text, where = self._resource.get("comment"), "Appointment.comment"
        if text is None:
            text = self._resource.get("reasonCode", [{}])[0].get("text")
            where = "Appointment.reasonCode[0].text"
        if not is_new:
            # A region's own comment may be longer: the move checks the length of a new
            # one.
            return (text or "").strip() or None
        return COMMENT.read(text, where, self.issues.append)

    def _cancellation(self) -> CancellationReason | None:
        concept = self._resource.get("cancelationReason")
        if concept is None:
            return None
        where = "Appointment.cancelationReason"
        codings = concept.get("coding", [])
        texts = [
            (concept.get("text"), f"{where}.text"),
            *(
                (coding.get("display"), f"{where}.coding[{number}].display")
                for number, coding in enumerate(codings)
            ),
        ]
        said, place = next(
            ((text, place) for text, place in texts if text and text.strip()),
            (None, where),
        )
        if said is None:
            self._fault(
                "required",
                "Give the reason as text: cancelationReason has neither a text nor a"
                " display of its code, so that the unit would get no reason.",
                where,
            )
            return None
        stated = json.dumps(concept, ensure_ascii=False)
        if len(stated) > MOST_REASON_JSON_CHARACTERS:
            self._fault(
                "too-long",
                "cancelationReason has more than"
                f" {MOST_REASON_JSON_CHARACTERS} characters.",
                where,
            )
        text = REASON.read(said, place, self.issues.append)
        return None if text is None else CancellationReason(text=text, stated=stated)
