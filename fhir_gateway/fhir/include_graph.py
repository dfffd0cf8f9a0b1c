"""
The include graph: which references `_include` can follow (FHIR R4, 3.1.1.5.4).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["INCLUDE_PATHS", "Include", "IncludePath", "references_of", "types_reached"]


@dataclass(frozen=True, slots=True)
class Include:
    """A value of `_include`: `source:parameter[:target]`."""

    source: str
    parameter: str
    target: str | None = None


@dataclass(frozen=True, slots=True)
class IncludePath:
    """
    One edge of the graph.

    Attributes:
        source: The type of resource that refers.
        parameter: The reference's name in `_include`.
        element: The element of the source that holds it.
        targets: The types that it refers to here.
    """

    source: str
    parameter: str
    element: str
    targets: tuple[str, ...]


INCLUDE_PATHS: Final = (
    IncludePath("Slot", "schedule", "schedule", ("Schedule",)),
    IncludePath(
        "Schedule",
        "actor",
        "actor",
        ("HealthcareService", "Location", "Practitioner", "PractitionerRole"),
    ),
    IncludePath("HealthcareService", "location", "location", ("Location",)),
    IncludePath("HealthcareService", "organization", "providedBy", ("Organization",)),
    # BaRS clients write the element's name instead of the parameter's.
    IncludePath("HealthcareService", "providedBy", "providedBy", ("Organization",)),
    IncludePath("Location", "organization", "managingOrganization", ("Organization",)),
    IncludePath("PractitionerRole", "practitioner", "practitioner", ("Practitioner",)),
)
_BY_NAME: Final = {(path.source, path.parameter): path for path in INCLUDE_PATHS}


def references_of(resource: Mapping[str, Any], include: Include) -> list[str]:
    """Return a resource's references that an `_include` follows."""
    if resource["resourceType"] != include.source:
        return []
    element = resource.get(_BY_NAME[include.source, include.parameter].element, ())
    targets = element if isinstance(element, list) else [element]
    return [
        reference
        for target in targets
        if (reference := target.get("reference")) is not None
        and (include.target is None or reference.startswith(f"{include.target}/"))
    ]


def types_reached(start: str, iterated: Sequence[Include]) -> frozenset[str]:
    """Return the types that `_include:iterate` leads to from one type, with itself."""
    reached = {start}
    while new := _targets(reached, iterated) - reached:
        reached |= new
    return frozenset(reached)


def _targets(sources: Iterable[str], includes: Iterable[Include]) -> set[str]:
    return {
        target
        for include in includes
        if include.source in sources
        for target in _BY_NAME[include.source, include.parameter].targets
        if include.target in (None, target)
    }
