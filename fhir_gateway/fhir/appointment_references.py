"""
The references within a client's Appointment (FHIR R4, 2.3): which of them are wrong.

Each function gets the valid part of the Appointment. No message repeats a value.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from fhir_gateway.fhir.outcome import Issue
from fhir_gateway.fhir.patient import contained_patients, is_patient
from fhir_gateway.fhir.reference import (
    Reference,
    is_related_person,
    type_in_reference,
    within_references,
)

__all__ = ["participants", "reference_faults", "unreferenced_resources"]

# The types that each may refer to; None where any may be.
_REFERENCES: Final[Mapping[str, frozenset[str] | None]] = {
    "basedOn": frozenset({"ServiceRequest"}),
    "reasonReference": frozenset(
        {"Condition", "Procedure", "Observation", "ImmunizationRecommendation"}
    ),
    "supportingInformation": None,
}


def unreferenced_resources(appointment: Mapping[str, Any]) -> Iterator[Issue]:
    """Yield a fault for each contained resource without a reference to it (dom-3)."""
    contained = appointment.get("contained", ())
    outer = set(
        within_references(
            {
                name: element
                for name, element in appointment.items()
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
            yield _fault(
                "invariant",
                "dom-3: nothing refers to the contained resource: leave it out.",
                f"Appointment.contained[{number}]",
            )


def reference_faults(appointment: Mapping[str, Any], base_url: str) -> Iterator[Issue]:
    """Yield a fault for each reference but the slot's that is not to this server."""
    contained = {
        each["id"] for _, each in contained_patients(appointment) if each.get("id")
    }
    given = [
        (f"{where}.actor", participant.get("actor", {}))
        for where, participant in participants(appointment)
        # Patients and their relatives are on other servers, each client's on its own.
        if not is_patient(participant.get("actor", {}), contained)
        and not is_related_person(
            participant.get("actor", {}), appointment.get("contained", ())
        )
    ]
    given += [
        (f"Appointment.{name}[{number}]", reference)
        for name in _REFERENCES
        for number, reference in enumerate(appointment.get(name, ()))
    ]
    for where, reference in [*given, *_patients(appointment, contained)]:
        named = type_in_reference(reference.get("reference", ""))
        if named is not None and reference.get("type", named) != named:
            yield _fault(
                "value",
                "The type is not the reference's: leave it out.",
                f"{where}.type",
            )
    yield from _unfit_targets(appointment, base_url)
    for where, reference in given:
        text = reference.get("reference")
        if text is not None and not text.startswith("#"):
            try:
                Reference.parse(text, base_url)
            except ValueError:
                yield _fault(
                    "value",
                    "The reference must be to this server, as Type/id: leave it"
                    " out, or give what is this server's.",
                    f"{where}.reference",
                )


def _unfit_targets(appointment: Mapping[str, Any], base_url: str) -> Iterator[Issue]:
    """Yield a fault for each reference to nothing (ref-1), or to a wrong type."""
    within = {
        each["id"]: each.get("resourceType")
        for each in appointment.get("contained", ())
        if each.get("id")
    }
    for name, types in _REFERENCES.items():
        for number, reference in enumerate(appointment.get(name, ())):
            where = f"Appointment.{name}[{number}].reference"
            text = reference.get("reference", "")
            if text.startswith("#") and text[1:] not in {"", *within}:
                yield _fault(
                    "invariant", "ref-1: no contained resource has this id.", where
                )
                continue
            kind = within.get(text[1:], reference.get("type"))
            if text and not text.startswith("#"):
                try:
                    kind = Reference.parse(text, base_url).type
                except ValueError:
                    # Another check refuses it.
                    continue
            if types is not None and kind is not None and kind not in types:
                yield _fault(
                    "value",
                    f"{name} refers to {' or '.join(sorted(types))} only.",
                    where if text else f"Appointment.{name}[{number}].type",
                )


def _patients(
    appointment: Mapping[str, Any], contained: Collection[str]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for where, participant in participants(appointment):
        actor = participant.get("actor", {})
        if is_patient(actor, contained):
            yield f"{where}.actor", actor


def participants(
    appointment: Mapping[str, Any],
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each participant with its place."""
    for number, participant in enumerate(appointment.get("participant", ())):
        yield f"Appointment.participant[{number}]", participant


def _fault(code: str, diagnostics: str, expression: str) -> Issue:
    return Issue(code=code, diagnostics=diagnostics, expression=expression)
