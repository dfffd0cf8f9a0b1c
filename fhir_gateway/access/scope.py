"""
SMART scopes of version 2 and version 1 (SMART App Launch 2.2).

A scope narrows what the policy allows; it never widens it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from fhir_gateway.model.principal import Role

__all__ = ["Extent", "extent_of"]

# The letters come in this order, each at most once.
_SCOPE: Final = re.compile(
    r"(?P<context>patient|user|system)/(?P<type>\*|[A-Z][A-Za-z]{0,63})"
    r"\.(?:(?P<letters>c?r?u?d?s?)|(?P<words>read|write|\*))(?:\?(?P<query>.{1,500}))?"
)
_WORDS: Final = {"read": "rs", "write": "cud", "*": "cruds"}
_CONTEXTS: Final = {
    Role.RESIDENT: frozenset({"patient", "user"}),
    Role.STAFF: frozenset({"user"}),
    Role.SYSTEM: frozenset({"system"}),
    Role.OPERATOR: frozenset({"system"}),
}
# What `*` stands for: a type of a later release is not among them by itself.
_OF_STAR: Final = frozenset(
    {
        *("Slot", "Schedule", "HealthcareService", "Location", "Organization"),
        *("Practitioner", "PractitionerRole", "Appointment", "AuditEvent"),
        "MeasureReport",
    }
)
_STATUS: Final = re.compile(r"[a-z-]{1,20}(?:,[a-z-]{1,20}){0,9}")


@dataclass(frozen=True, slots=True)
class Extent:
    """
    How far the scopes of a token reach.

    Attributes:
        statuses: The statuses of the appointments that they reach; None for all.
    """

    statuses: frozenset[str] | None = None


def extent_of(
    scopes: Iterable[str], role: Role, resource_type: str, letter: str
) -> Extent | None:
    """
    Return how far scopes reach for an interaction; None where they do not permit it.

    A scope that is malformed, of another context than the role's, or restricted in a
    way that this server does not support, permits nothing.

    Args:
        scopes: The scopes of a token.
        role: The role of its principal.
        resource_type: The type of FHIR.
        letter: `c`, `r`, `u`, `d` or `s`.
    """
    statuses: set[str] = set()
    for restriction in _restrictions(scopes, role, resource_type, letter):
        if restriction is None:
            return Extent()
        statuses |= restriction
    return Extent(frozenset(statuses)) if statuses else None


def _restrictions(
    scopes: Iterable[str], role: Role, resource_type: str, letter: str
) -> Iterator[frozenset[str] | None]:
    contexts = _CONTEXTS.get(role, frozenset())
    for scope in scopes:
        match = _SCOPE.fullmatch(scope)
        if match is None or match["context"] not in contexts:
            continue
        if match["type"] not in ("*", resource_type) or (
            match["type"] == "*" and resource_type not in _OF_STAR
        ):
            continue
        if letter not in (match["letters"] or _WORDS.get(match["words"] or "", "")):
            continue
        if match["query"] is None:
            yield None
        elif resource_type == "Appointment" and match["type"] == resource_type:
            yield _statuses(match["query"])


def _statuses(query: str) -> frozenset[str]:
    """Return the statuses of `status=…`; none for any other restriction."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True)
    except ValueError:
        return frozenset()
    if len(pairs) != 1 or pairs[0][0] != "status":
        return frozenset()
    text = pairs[0][1]
    return frozenset(text.split(",")) if _STATUS.fullmatch(text) else frozenset()
