"""
Strict reading of an Appointment from a client (FHIR R4, 12.8): it names every fault.

`structure.py` checks that it is an Appointment of R4 at all; this module reads the
valid part even where that finds faults, so that one answer names the faults of both
checks. No message repeats a value.
"""

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fhir_gateway.fhir.free_text import COMMENT, REASON
from fhir_gateway.fhir.limits import MOST_REASON_JSON_CHARACTERS
from fhir_gateway.fhir.outcome import Issue, Problem, ProblemKind
from fhir_gateway.fhir.patient import Resident, contained_patients, is_patient
from fhir_gateway.fhir.reference import (
    Reference,
    contradicts,
    own_id,
    type_in_reference,
    within_references,
)
from fhir_gateway.fhir.service_type import foreign_service_types
from fhir_gateway.fhir.slot_participant import foreign_participants
from fhir_gateway.fhir.structure import checked
from fhir_gateway.model.booking import CancellationReason
from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.model.person import PersonalIdentityNumber, SubjectOfCare
from fhir_gateway.model.timekeeping import (
    Clock,
    instant_from_text,
    now,
    period_from_search_text,
)
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
_REFERENCES: Final = ("basedOn", "reasonReference", "supportingInformation")


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
        self._check_references()
        if is_new:
            self._check_new()
            self._check_contained()
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

    def _participants(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for number, participant in enumerate(self._resource.get("participant", ())):
            yield f"Appointment.participant[{number}]", participant

    def _check_invariants(self) -> None:
        resource = self._resource
        for where, participant in self._participants():
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
        for where, participant in self._participants():
            if participant.get("status") == "declined":
                self._fault(
                    "business-rule",
                    "Nothing can be booked with a participant who declined.",
                    f"{where}.status",
                )

    def _check_contained(self) -> None:
        """Check that each contained resource is referred to from elsewhere (dom-3)."""
        contained = self._resource.get("contained", ())
        outer = set(
            within_references(
                {
                    name: element
                    for name, element in self._resource.items()
                    if name != "contained"
                }
            )
        )
        inner = [set(within_references(each)) for each in contained]
        referring = Counter(identifier for each in inner for identifier in each)
        for number, each in enumerate(contained):
            identifier = each.get("id", "")
            is_referred = identifier in outer or (
                referring[identifier] > (identifier in inner[number])
            )
            # A lone Patient is the Appointment's patient, and "#" is the Appointment
            # itself.
            if (
                each.get("resourceType") != "Patient"
                and not (identifier and is_referred)
                and "" not in inner[number]
            ):
                self._fault(
                    "invariant",
                    "dom-3: nothing refers to the contained resource: leave it out.",
                    f"Appointment.contained[{number}]",
                )

    def _check_references(self) -> None:
        """Check that all references but the slot's are to this server."""
        contained = {
            each["id"]
            for _, each in contained_patients(self._resource)
            if each.get("id")
        }
        given = [
            (f"{where}.actor", participant.get("actor", {}))
            for where, participant in self._participants()
            # Patients are on other servers, each client's on its own.
            if not is_patient(participant.get("actor", {}), contained)
        ]
        given += [
            (f"Appointment.{name}[{number}]", reference)
            for name in _REFERENCES
            for number, reference in enumerate(self._resource.get(name, ()))
        ]
        for where, reference in [*given, *self._patients(contained)]:
            named = type_in_reference(reference.get("reference", ""))
            if named is not None and reference.get("type", named) != named:
                self._fault(
                    "value",
                    "The type is not the reference's: leave it out.",
                    f"{where}.type",
                )
        for where, reference in given:
            text = reference.get("reference")
            if text is not None and not text.startswith("#"):
                try:
                    Reference.parse(text, self._base_url)
                except ValueError:
                    self._fault(
                        "value",
                        "The reference must be to this server, as Type/id: leave it"
                        " out, or give what is this server's.",
                        f"{where}.reference",
                    )

    def _patients(
        self, contained: Collection[str]
    ) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for where, participant in self._participants():
            actor = participant.get("actor", {})
            if is_patient(actor, contained):
                yield f"{where}.actor", actor

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
        self._check_agrees(token, self._schedule_of(token) if is_new else None)
        service_type = self._service_type_of(token) if is_new else None
        if service_type is not None:
            self.issues.extend(foreign_service_types(self._resource, service_type))
        return token

    def _check_agrees(self, token: TimeslotToken, schedule: Schedule | None) -> None:
        for name, slots in (("start", token.starts_at), ("end", token.ends_at)):
            given = self._resource.get(name)
            if given is not None and instant_from_text(given) != slots:
                self._fault(
                    "value",
                    f"{name} is not the slot's: leave it out or give the slot's.",
                    f"Appointment.{name}",
                )
        minutes = self._resource.get("minutesDuration")
        if minutes is not None and minutes * 60 != token.length:
            self._fault(
                "value",
                "minutesDuration is not the slot's: leave it out or give the slot's.",
                "Appointment.minutesDuration",
            )
        wanted = self._resource.get("requestedPeriod", ())
        if wanted and not any(_meets(period, token) for period in wanted):
            self._fault(
                "value",
                "The slot is in none of these periods: leave them out, or choose"
                " another slot.",
                "Appointment.requestedPeriod",
            )
        for where, participant in self._participants():
            if not _meets(participant.get("period", {}), token):
                self._fault(
                    "value",
                    "The slot is not in the participant's period: leave it out.",
                    f"{where}.period",
                )
        named = {each.expression for each in self.issues}
        self.issues.extend(
            each
            for each in foreign_participants(
                self._resource, token, schedule, base_url=self._base_url
            )
            if each.expression not in named
        )

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


def _meets(period: Mapping[str, Any], token: TimeslotToken) -> bool:
    """Return whether a slot overlaps a Period, which may be open at either end."""
    start, end = period.get("start"), period.get("end")
    try:
        return (
            start is None or period_from_search_text(start)[0] < token.ends_at
        ) and (end is None or token.starts_at < period_from_search_text(end)[1])
    except ValueError:
        # A second or a year that Python cannot express.
        return True
