"""
Expansion of a value set: its codes, page by page (FHIR R4, 4.9.7).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from fhir_gateway.fhir.standard_time_types import LANGUAGES, Concept
from fhir_gateway.model.timekeeping import instant_text

__all__ = ["Expansion", "Member", "expanded_value_set"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A code in a value set."""

    system: str
    version: str | None
    concept: Concept


@dataclass(frozen=True, slots=True, kw_only=True)
class Expansion:
    """
    How a client wants an expansion.

    Attributes:
        count: The most codes on a page; None for all.
        language: That of the names.
        has_designations: The names in every language too.
    """

    text: str | None = None
    offset: int = 0
    count: int | None = None
    language: str = LANGUAGES[0]
    has_designations: bool = False


def expanded_value_set(
    value_set: Mapping[str, Any],
    members: Iterable[Member],
    *,
    wanted: Expansion,
    at: datetime,
) -> dict[str, Any]:
    """
    Return a value set with its codes (ValueSet.expansion).

    Args:
        value_set: The value set, without its codes.
        members: All of its codes.
        wanted: Which of them, and how.
        at: When it is expanded.
    """
    fitting = [
        each
        for each in members
        if wanted.text is None or _has_text(each.concept, wanted.text)
    ]
    end = None if wanted.count is None else wanted.offset + wanted.count
    page = fitting[wanted.offset : end]
    parameters: list[dict[str, Any]] = [
        {"name": "displayLanguage", "valueCode": wanted.language}
    ]
    if wanted.text is not None:
        parameters.append({"name": "filter", "valueString": wanted.text})
    if wanted.count is not None:
        parameters.append({"name": "count", "valueInteger": wanted.count})
    expansion: dict[str, Any] = {
        "identifier": f"urn:uuid:{uuid5(NAMESPACE_URL, value_set.get('url', ''))}",
        "timestamp": instant_text(at),
        "total": len(fitting),
        "offset": wanted.offset,
        "parameter": parameters,
    }
    if page:
        expansion["contains"] = [_contained(each, wanted) for each in page]
    return {
        **value_set,
        "language": wanted.language,
        "expansion": expansion,
    }


def _has_text(concept: Concept, text: str) -> bool:
    folded = text.casefold()
    names = (concept.code, concept.display, *concept.names.values())
    return any(folded in each.casefold() for each in names)


def _contained(member: Member, wanted: Expansion) -> dict[str, Any]:
    concept = member.concept
    contained: dict[str, Any] = {"system": member.system}
    if member.version is not None:
        contained["version"] = member.version
    contained["code"] = concept.code
    contained["display"] = concept.name(wanted.language)
    if wanted.has_designations and concept.names:
        contained["designation"] = [
            {"language": language, "value": name}
            for language, name in concept.names.items()
        ]
    return contained
