"""
The resident in an Appointment: a participant that is a Patient (FHIR R4, 8.1, 12.8).

The number is on the actor or in the contained Patient, the name in the contained
Patient. This server stores no Patient, so a reference to one on any server only shows
that the actor is a patient.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import date
from typing import Any, Final

from fhir_gateway.fhir.free_text import EMAIL, GIVEN_NAMES, NAME, PHONE, Note
from fhir_gateway.fhir.outcome import Issue
from fhir_gateway.fhir.reference import type_in_reference
from fhir_gateway.fhir.vocabulary import PERSON_NUMBER_KINDS, PERSON_NUMBER_OIDS
from fhir_gateway.model.person import (
    PersonalIdentityNumber,
    SubjectOfCare,
    is_plausible_birth,
)
from fhir_gateway.model.timekeeping import (
    Clock,
    civil_date,
    now,
    period_from_search_text,
)

__all__ = ["Resident", "contained_patients", "is_patient", "number_from_identifier"]

_SYSTEM: Final = "http://electronichealth.se/identifier/personnummer"
# The uses of a HumanName that may be the name in the population register, best first.
_NAME_USES: Final = ("official", "usual", None)
_MONTH: Final = len("YYYY-MM")
_RANK_OF_NONE: Final = 2**31


def number_from_identifier(
    system: str | None, value: str, *, clock: Clock = now
) -> PersonalIdentityNumber:
    """
    Return the personal number in an identifier.

    Raises:
        ValueError: The system is not a personal number's, the number is malformed or of
            another kind than the system, or nobody alive can have it. The message never
            repeats the value.
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
            "the number and the system differ: one is of coordination numbers, the"
            " other is not"
        )
    if not is_plausible_birth(number.born_on, civil_date(clock())):
        raise ValueError("nobody alive was born on the day that the number says")
    return number


def contained_patients(
    resource: Mapping[str, Any],
) -> list[tuple[int, Mapping[str, Any]]]:
    """Return the contained Patients of a valid resource, each with its place."""
    return [
        (number, each)
        for number, each in enumerate(resource.get("contained", ()))
        if each.get("resourceType") == "Patient"
    ]


def is_patient(actor: Mapping[str, Any], contained: Collection[str]) -> bool:
    """
    Return whether a participant's actor is a patient.

    Args:
        actor: A valid Reference.
        contained: The ids of the contained Patients.
    """
    reference = actor.get("reference", "")
    return (
        actor.get("type") == "Patient"
        or type_in_reference(reference) == "Patient"
        or (reference.startswith("#") and reference[1:] in contained)
        or actor.get("identifier", {}).get("system") in PERSON_NUMBER_KINDS
    )


class Resident:
    """
    Reads the resident of an Appointment.

    Args:
        resource: The valid part of the Appointment.
        note: Receives each fault.
        clock: Returns the present instant.
    """

    def __init__(
        self, resource: Mapping[str, Any], note: Note, *, clock: Clock = now
    ) -> None:
        self._note = note
        self._clock = clock
        self._contained = contained_patients(resource)
        self._ids = {each["id"] for _, each in self._contained if each.get("id")}
        self._found = [
            (number, participant)
            for number, participant in enumerate(resource.get("participant", ()))
            if is_patient(participant.get("actor", {}), self._ids)
        ]

    def number(self, *, is_required: bool) -> PersonalIdentityNumber | None:
        """Return the resident's number, None when the Appointment has none."""
        if len(self._found) > 1 or len(self._contained) > 1:
            self._fault(
                "value",
                "An appointment is for one patient.",
                "Appointment.participant",
            )
            return None
        if not self._found:
            if is_required:
                self._fault(
                    "required",
                    "Name the patient: a participant with an actor that has an"
                    f" identifier with the system {_SYSTEM}.",
                    "Appointment.participant",
                )
            return None
        position, participant = self._found[0]
        actor = participant["actor"]
        if participant.get("required") == "information-only":
            self._fault(
                "business-rule",
                "The patient has to come: leave required out, or send required.",
                f"Appointment.participant[{position}].required",
            )
        where = f"Appointment.participant[{position}].actor"
        reference = actor.get("reference", "")
        if reference.startswith("#") and reference[1:] not in self._ids:
            self._fault(
                "value",
                "The reference names no contained Patient.",
                f"{where}.reference",
            )
            return None
        if actor.get("type", "Patient") != "Patient" and reference.startswith("#"):
            self._fault(
                "value",
                "The type is not the reference's: leave it out.",
                f"{where}.type",
            )
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
            return None
        if not given:
            self._fault(
                "required",
                f"Give the patient's number as actor.identifier with the system"
                f" {_SYSTEM}.",
                f"{where}.identifier",
            )
        found = next(iter(numbers), None)
        if found is not None:
            self._check_same(found)
        return found

    def _check_same(self, number: PersonalIdentityNumber) -> None:
        """Check that nothing else in the contained Patient contradicts a number."""
        digits = number.reveal()
        for position, patient in self._contained:
            where = f"Appointment.contained[{position}]"
            for place, identifier in enumerate(patient.get("identifier", ())):
                value = identifier.get("value", "").replace("-", "")
                if (
                    identifier.get("system") in PERSON_NUMBER_OIDS
                    and not self._is_old(identifier)
                    and value not in (digits, digits[2:])
                ):
                    self._fault(
                        "value",
                        "The identifier is another number than the patient's: leave one"
                        " of them out.",
                        f"{where}.identifier[{place}]",
                    )
            # When a day has no free numbers left, the register gives one of another day
            # of the same month (SKV 704).
            born = patient.get("birthDate", "")
            if (
                born
                and self._is_plausible_birth(born)
                and not number.born_on.isoformat().startswith(born[:_MONTH])
            ):
                self._fault(
                    "value",
                    "birthDate is in another month than the number says.",
                    f"{where}.birthDate",
                )

    def subject(
        self, number: PersonalIdentityNumber | None, *, is_required: bool
    ) -> SubjectOfCare | None:
        """Return the resident with a name, None when the Appointment has no name."""
        position, patient = next(iter(self._contained), (0, {}))
        where = f"Appointment.contained[{position}]"
        rank, name = self._name(patient, f"{where}.name")
        place = f"{where}.name[{rank}]"
        given = [
            text
            for part, each in enumerate(name.get("given", ()))
            if (text := NAME.read(each, f"{place}.given[{part}]", self._note))
        ]
        family = NAME.read(name.get("family"), f"{place}.family", self._note)
        if not given or not family:
            if is_required:
                self._fault(
                    "required",
                    "Give the patient's family and given name, as the population"
                    " register has them, in a contained Patient.",
                    "Appointment.contained",
                )
            return None
        middle = GIVEN_NAMES.read(" ".join(given[1:]), f"{place}.given", self._note)
        phone = self._contact(patient, "phone", where)
        email = self._contact(patient, "email", where)
        if number is None:
            return None
        return SubjectOfCare(
            number=number,
            first_name=given[0],
            middle_name=middle,
            last_name=family,
            phone=phone,
            email=email,
        )

    def check_alive(self) -> None:
        """Check that a contained Patient can receive care."""
        for position, patient in self._contained:
            where = f"Appointment.contained[{position}]"
            if patient.get("active") is False:
                self._fault(
                    "business-rule",
                    "The Patient's record is not in use (active is false): send the"
                    " one that is.",
                    f"{where}.active",
                )
            if patient.get("deceasedBoolean") or "deceasedDateTime" in patient:
                self._fault(
                    "business-rule",
                    "The Patient is deceased (deceasedBoolean or deceasedDateTime):"
                    " nothing can be booked for them.",
                    f"{where}.deceased",
                )
            for number, link in enumerate(patient.get("link", ())):
                if link.get("type") == "replaced-by":
                    self._fault(
                        "business-rule",
                        "The Patient's record is replaced by another: send that one.",
                        f"{where}.link[{number}].type",
                    )
            born = patient.get("birthDate")
            if born is not None and not self._is_plausible_birth(born):
                self._fault(
                    "value",
                    "Nobody alive was born then.",
                    f"{where}.birthDate",
                )

    def _fault(self, code: str, diagnostics: str, expression: str) -> None:
        self._note(Issue(code=code, diagnostics=diagnostics, expression=expression))

    def _identifiers(
        self, actor: Mapping[str, Any], where: str
    ) -> Iterator[tuple[Mapping[str, Any], str]]:
        """Yield the identifiers with the number; old ones where all are old."""
        if "identifier" in actor:
            yield actor["identifier"], f"{where}.identifier"
        for position, patient in self._contained:
            numbers = [
                (identifier, f"Appointment.contained[{position}].identifier[{place}]")
                for place, identifier in enumerate(patient.get("identifier", ()))
                # A Patient may have other numbers too; this server ignores them.
                if identifier.get("system") in PERSON_NUMBER_KINDS
            ]
            present = [each for each in numbers if not self._is_old(each[0])]
            yield from present or numbers

    def _number(
        self, identifier: Mapping[str, Any], where: str
    ) -> PersonalIdentityNumber | None:
        if self._is_old(identifier) or identifier.get("use") == "temp":
            self._fault(
                "value",
                "The identifier is not the one in use: give the present number.",
                f"{where}.use" if "use" in identifier else f"{where}.period",
            )
            return None
        try:
            return number_from_identifier(
                identifier.get("system"),
                identifier.get("value") or "",
                clock=self._clock,
            )
        except ValueError as error:
            self._fault("value", f"The patient's identifier: {error}.", where)
            return None

    def _name(
        self, patient: Mapping[str, Any], where: str
    ) -> tuple[int, Mapping[str, Any]]:
        """Return the best name of a Patient, with its place."""
        names = list(enumerate(patient.get("name", ())))
        for use in _NAME_USES:
            present = [
                (position, name)
                for position, name in names
                if name.get("use") == use and not self._is_old(name)
            ]
            if len({_spelt(name) for _, name in present}) > 1:
                self._fault(
                    "value",
                    "The Patient has two names at once: give the one in the population"
                    " register.",
                    where,
                )
            if present:
                return present[0]
        for position, name in names:
            self._fault(
                "value",
                "The name is not the present one in the population register: give that"
                " one.",
                f"{where}[{position}].{'use' if 'use' in name else 'period'}",
            )
        return next(iter(names), (0, {}))

    def _contact(
        self, patient: Mapping[str, Any], system: str, where: str
    ) -> str | None:
        """Return the best phone number or address that is in use."""
        found = [
            (each.get("rank", _RANK_OF_NONE), position, each["value"])
            for position, each in enumerate(patient.get("telecom", ()))
            if each.get("system") == system
            and "value" in each
            and not self._is_old(each)
        ]
        if not found:
            return None
        _, position, value = min(found)
        limit = PHONE if system == "phone" else EMAIL
        return limit.read(value, f"{where}.telecom[{position}].value", self._note)

    def _is_old(self, element: Mapping[str, Any]) -> bool:
        """Return whether an Identifier, HumanName or ContactPoint is not in use now."""
        period = element.get("period", {})
        since, until = period.get("start"), period.get("end")
        return (
            element.get("use") == "old"
            or (until is not None and self._is_past(until))
            or (since is not None and self._is_future(since))
        )

    def _is_past(self, text: str) -> bool:
        try:
            return period_from_search_text(text)[1] <= self._clock()
        except ValueError:
            # A second or a year that Python cannot express.
            return False

    def _is_future(self, text: str) -> bool:
        try:
            return period_from_search_text(text)[0] > self._clock()
        except ValueError:
            return False

    def _is_plausible_birth(self, text: str) -> bool:
        """Return whether a living person can be born on a day, in a month or a year."""
        today = civil_date(self._clock())
        # Of a year or a month alone, its first and last days; February always has 28.
        return any(
            is_plausible_birth(date.fromisoformat(text + rest[len(text) :]), today)
            for rest in ("YYYY-01-01", "YYYY-12-28")
        )


def _spelt(name: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a name's words in a form for comparison."""
    return (name.get("family", ""), *name.get("given", ()))
