"""
The search parameters of Appointment (FHIR R4, 12.8), and which appointments fit them.

An appointment fits by what a client sees of it: the rendered resource is compared. A
resident has few of them.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from marshmallow import ValidationError

from fhir_gateway.fhir.include_graph import Include, IncludePath
from fhir_gateway.fhir.reference import Reference
from fhir_gateway.fhir.search_parameters import (
    IncludeParameter,
    ReferenceParameter,
    Token,
    alternatives,
    unescaped,
)
from fhir_gateway.fhir.vocabulary import PARTICIPATION_STATUS

__all__ = [
    "ACTOR_TYPES",
    "PARTICIPATION_CODES",
    "ActorParameter",
    "AppointmentIncludeParameter",
    "actors_of",
    "has_reference",
    "has_token",
    "identifiers_of",
    "participations_of",
    "references_to_include",
    "service_types_of",
    "slots_of",
]

PARTICIPATION_CODES: Final = ("accepted", "declined", "needs-action", "tentative")
"""The codes of a participant's status (ParticipationStatus)."""

Resource = Mapping[str, Any]

ACTOR_TYPES: Final = ("HealthcareService", "Location", "Practitioner")
"""The types of an appointment's actors beside the patient."""

# Their ids are HSA-ids, in which capitals do not count.
_HSA_IDENTIFIED: Final = frozenset({"Location", "Practitioner"})
_PATHS: Final = (
    IncludePath("Appointment", "actor", "participant", ACTOR_TYPES),
    IncludePath("Appointment", "location", "participant", ("Location",)),
    IncludePath("Appointment", "practitioner", "participant", ("Practitioner",)),
    IncludePath("Appointment", "slot", "slot", ("Slot",)),
)


class ActorParameter(ReferenceParameter):
    """`actor`: groups of references to actors that are no patient, as `Type/id`."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - a marshmallow field has options of many types
        super().__init__(target=" or ".join(ACTOR_TYPES), **options)

    def read(self, texts: list[str]) -> tuple[frozenset[str], ...]:
        """Return the references: of each group one has to fit."""
        return tuple(
            frozenset(_actor(unescaped(each)) for each in alternatives(text))
            for text in texts
        )


class AppointmentIncludeParameter(IncludeParameter):
    """`_include` of appointments: the slot and all actors but the patient."""

    paths = _PATHS


def _actor(text: str) -> str:
    try:
        reference = Reference.parse(text, None)
    except ValueError:
        reference = None
    if reference is None or reference.type not in ACTOR_TYPES:
        raise ValidationError(
            "expected a reference to this server, as Type/id, with one of the types"
            f" {', '.join(ACTOR_TYPES)}"
        )
    return _comparable(f"{reference.type}/{reference.id}")


def _comparable(reference: str) -> str:
    kind, _, identifier = reference.partition("/")
    return f"{kind}/{identifier.upper()}" if kind in _HSA_IDENTIFIED else reference


def has_reference(
    found: Collection[str], groups: Sequence[Collection[str]], kind: str | None = None
) -> bool:
    """
    Return whether references have one of each group.

    Args:
        found: An appointment's references.
        groups: References, or the ids of one type.
        kind: That type.
    """
    return all(
        any(
            (each if kind is None else _comparable(f"{kind}/{each}")) in found
            for each in group
        )
        for group in groups
    )


def has_token(
    found: Collection[tuple[str | None, str | None]],
    groups: Sequence[Sequence[Token]],
) -> bool:
    """Return whether pairs of system and code have one of each group."""
    return all(
        any(
            token.system in (None, system) and token.code in (None, code)
            for token in group
            for system, code in found
        )
        for group in groups
    )


def slots_of(appointment: Resource) -> list[str]:
    """Return the references to an appointment's slots."""
    return [each["reference"] for each in appointment.get("slot", ())]


def actors_of(appointment: Resource) -> list[str]:
    """Return references to an appointment's actors that are no patient."""
    return list(map(_comparable, _actors(appointment)))


def identifiers_of(appointment: Resource) -> list[tuple[str | None, str | None]]:
    """Return system and value of an appointment's identifiers."""
    return [
        (each.get("system"), each.get("value"))
        for each in appointment.get("identifier", ())
    ]


def participations_of(appointment: Resource) -> list[tuple[str | None, str | None]]:
    """Return system and code of what an appointment's participants have answered."""
    return [
        (PARTICIPATION_STATUS, participant["status"])
        for participant in appointment["participant"]
    ]


def service_types_of(appointment: Resource) -> list[tuple[str | None, str | None]]:
    """Return system and code of an appointment's service types."""
    return [
        (coding.get("system"), coding.get("code"))
        for concept in appointment.get("serviceType", ())
        for coding in concept.get("coding", ())
    ]


def references_to_include(appointment: Resource, include: Include) -> list[str]:
    """Return an appointment's references that an `_include` follows."""
    path = next(each for each in _PATHS if each.parameter == include.parameter)
    read: Callable[[Resource], Sequence[str]] = (
        slots_of if path.element == "slot" else lambda of: list(_actors(of))
    )
    wanted = path.targets if include.target is None else (include.target,)
    return [
        reference
        for reference in read(appointment)
        if reference.partition("/")[0] in wanted
    ]


def _actors(appointment: Resource) -> Iterator[str]:
    for participant in appointment["participant"]:
        actor = participant["actor"]
        if "reference" in actor:
            yield actor["reference"]
        elif actor.get("type") == "Practitioner":
            # A member of staff without free times cannot be read, so that the
            # appointment has no reference; the HSA-id is the id of those who can.
            yield f"Practitioner/{actor['identifier']['value']}"
