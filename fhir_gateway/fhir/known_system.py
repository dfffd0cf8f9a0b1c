"""
Code systems: what this server knows of one (FHIR R4, 4.8).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_gateway.fhir.standard_time_types import Concept, concept_from_element
from fhir_gateway.fhir.vocabulary import SNOMED_CT, SNOMED_CT_SWEDEN

__all__ = ["KnownSystem", "is_version", "known_system"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSystem:
    """
    What this server knows of a code system.

    Attributes:
        name: Its name for people.
        is_whole: All of its codes are known, so that another code is wrong.
        has_subsumption: Its hierarchy says what is a kind of what.
    """

    url: str
    name: str
    version: str | None
    concepts: Mapping[str, Concept]
    is_whole: bool
    has_subsumption: bool = False


def known_system(resource: Mapping[str, Any]) -> KnownSystem:
    """Return what a CodeSystem with all of its codes says."""
    return KnownSystem(
        url=resource["url"],
        name=resource.get("title") or resource["name"],
        version=resource.get("version"),
        concepts={
            each.code: each
            for each in _flat(resource.get("concept", ()), resource.get("language"))
        },
        is_whole=True,
        has_subsumption=False,
    )


def _flat(
    listed: Iterable[Mapping[str, Any]],
    language: str | None,
    above: tuple[str, ...] = (),
) -> Iterator[Concept]:
    for each in listed:
        below: Sequence[Mapping[str, Any]] = each.get("concept", ())
        yield concept_from_element(
            each,
            language=language,
            parents=above,
            children=tuple(child["code"] for child in below),
        )
        yield from _flat(below, language, (each["code"],))


def is_version(system: str, known: str | None, asked: str | None) -> bool:
    """Return whether the known version of a system answers for the asked one."""
    if asked is None or asked == known:
        return True
    # A release of the Swedish edition of SNOMED CT: its codes mean the same.
    return system == SNOMED_CT and asked.startswith(f"{SNOMED_CT_SWEDEN}/version/")
