"""
The policy: which role may use which interaction, and on which data.

`docs/access.md` shows the same table to people, and a test compares the two. A SMART
scope narrows what the table allows; it never widens it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from fhir_gateway.model.principal import Purpose, Role

__all__ = [
    "NOTIFY",
    "POLICY",
    "PUBLIC",
    "SYSTEM",
    "Interaction",
    "Row",
    "Rule",
    "is_open",
    "row_of",
]


_LETTERS: Final = {
    "read": "r",
    "search-type": "s",
    "create": "c",
    "$hold": "c",
    "$book": "c",
    "$validate": "c",
    "update": "u",
    "patch": "u",
    "$cancel": "u",
    "$reschedule": "u",
    "ProcessNotification": "c",
    "$relations": "s",
    "$relate": "u",
}


SYSTEM: Final = "whole system"
"""In place of a resource type, for an operation that concerns them all."""


class Rule(Enum):
    """
    The data that an interaction may reach.

    PUBLIC: what describes the server, which nobody needs a token for.
    OPEN: free times and the directory of units, which are no person's data.
    OWN: those of the principal, and of whom it may act for.
    NEW: a new booking for the resident that the request names, and its own holds.
    UNITS: those at the principal's own units.
    POSTS: posts of the engagement index; they are taken, and never given.
    COUNTS: statistics, in which no person can be found.
    ALL: everybody's; only in a demo.
    """

    PUBLIC = "documents"
    OPEN = "open data"
    OWN = "own"
    NEW = "new only"
    UNITS = "own units"
    POSTS = "posts"
    COUNTS = "counts"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Interaction:
    """
    An interaction or operation with a resource type.

    Attributes:
        type: The resource type of FHIR.
        name: The code of the interaction, or the name of an operation with its dollar.
    """

    type: str
    name: str

    @property
    def scope(self) -> tuple[str, str]:
        """Return the resource type and the letter of the scope that it needs."""
        if self.name in ("$find", "$bulk-publish"):
            # They find free times, and return them as proposals, or in files.
            return "Slot", "s"
        return self.type, _LETTERS[self.name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """
    A row of the policy.

    Attributes:
        role: Which principals it is about.
        interactions: What they may use.
        rule: The data that they may reach.
        purposes: For which purposes only.
    """

    role: Role
    interactions: frozenset[Interaction]
    rule: Rule
    purposes: frozenset[Purpose]


_READING: Final = ("read", "search-type")
PUBLIC: Final = frozenset(
    {
        *(
            Interaction(type_, name)
            for name in ("read", "search-type")
            for type_ in (
                *("StructureDefinition", "SearchParameter", "OperationDefinition"),
                *("ImplementationGuide", "CodeSystem", "ValueSet", "ConceptMap"),
                "Endpoint",
            )
        ),
        Interaction("Measure", "read"),
        Interaction("ConceptMap", "$translate"),
        Interaction("ValueSet", "$expand"),
        Interaction("ValueSet", "$validate-code"),
        Interaction("CodeSystem", "$lookup"),
        Interaction("CodeSystem", "$validate-code"),
        Interaction("CodeSystem", "$subsumes"),
    }
)
"""What describes this server: a token is not looked at, and a wrong one is no fault."""

_OPEN: Final = frozenset(
    {
        *(
            Interaction(type_, name)
            for name in _READING
            for type_ in (
                *("Slot", "Schedule", "HealthcareService", "Location"),
                *("Organization", "Practitioner", "PractitionerRole"),
            )
        ),
        # The open feed: everything that the searches above find.
        Interaction(SYSTEM, "$bulk-publish"),
        # It proposes free times, and names no person.
        Interaction("Appointment", "$find"),
    }
)
_COUNTS: Final = frozenset(Interaction("MeasureReport", name) for name in _READING)
_ANY_PURPOSE: Final = frozenset(Purpose)

NOTIFY: Final = Interaction("engagement index", "ProcessNotification")
"""The SOAP operation by which the engagement index notifies; it is no FHIR."""


def _appointment(*names: str) -> frozenset[Interaction]:
    return frozenset(Interaction("Appointment", name) for name in names)


_CHANGES: Final = ("update", "patch", "$cancel", "$reschedule")
_RELATIONS: Final = ("$relations", "$relate")
_NEW: Final = ("create", "$hold", "$book", "$validate")

POLICY: Final = (
    Row(
        role=Role.ANYBODY,
        interactions=PUBLIC,
        rule=Rule.PUBLIC,
        purposes=_ANY_PURPOSE,
    ),
    *(
        Row(role=role, interactions=_OPEN, rule=Rule.OPEN, purposes=_ANY_PURPOSE)
        for role in (Role.ANYBODY, Role.RESIDENT, Role.STAFF, Role.SYSTEM)
    ),
    Row(
        role=Role.OPERATOR,
        interactions=_OPEN,
        rule=Rule.OPEN,
        purposes=frozenset({Purpose.OPERATIONS}),
    ),
    Row(
        role=Role.OPERATOR,
        interactions=_COUNTS,
        rule=Rule.COUNTS,
        purposes=frozenset({Purpose.OPERATIONS}),
    ),
    Row(
        role=Role.RESIDENT,
        interactions=_appointment(*_READING, *_NEW, *_CHANGES, *_RELATIONS)
        | {Interaction("AuditEvent", name) for name in _READING},
        rule=Rule.OWN,
        purposes=frozenset({Purpose.PATIENT_REQUEST}),
    ),
    Row(
        role=Role.STAFF,
        interactions=_appointment(*_NEW),
        rule=Rule.NEW,
        purposes=frozenset({Purpose.TREATMENT}),
    ),
    Row(
        role=Role.SYSTEM,
        interactions=_appointment(*_READING, *_NEW, *_CHANGES),
        rule=Rule.UNITS,
        purposes=frozenset({Purpose.TREATMENT, Purpose.CARE_MANAGEMENT}),
    ),
    Row(
        role=Role.INDEX,
        interactions=frozenset({NOTIFY}),
        rule=Rule.POSTS,
        purposes=frozenset({Purpose.CARE_MANAGEMENT}),
    ),
    Row(
        role=Role.DEMO,
        interactions=PUBLIC
        | _OPEN
        | _COUNTS
        | _appointment(*_READING, *_NEW, *_CHANGES, *_RELATIONS)
        | {Interaction("AuditEvent", name) for name in _READING},
        rule=Rule.ALL,
        purposes=_ANY_PURPOSE,
    ),
)


def _indexed(rows: Iterable[Row]) -> Mapping[tuple[Role, Interaction], Row]:
    index: dict[tuple[Role, Interaction], Row] = {}
    for row in rows:
        for interaction in row.interactions:
            if (row.role, interaction) in index:
                raise ValueError(f"two rows say what {row.role.value} may do")
            index[row.role, interaction] = row
    return index


_INDEX: Final = _indexed(POLICY)


def is_open(interaction: Interaction) -> bool:
    """Return whether an interaction reaches no person's data."""
    return interaction in _OPEN or interaction in PUBLIC


def row_of(role: Role, interaction: Interaction) -> Row | None:
    """Return the row that allows a role an interaction; None where none does."""
    return _INDEX.get((role, interaction))
