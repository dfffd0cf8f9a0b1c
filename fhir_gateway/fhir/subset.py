"""
Parts of resources: `_summary` and `_elements` (FHIR R4, 3.1.1.5.8 and 3.1.1.5.9).

R4 itself marks the elements of a summary. A part of a resource has the tag SUBSETTED,
so that no client takes it for the whole and sends it back. Elements that R4 requires
stay in each part, and so do those that may change its meaning.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from fhir_gateway.fhir.outcome import Faults, Issue, Problem, ProblemKind
from fhir_gateway.fhir.r4 import ANSWERED, elements_of

__all__ = [
    "SUBSET_PARAMETERS",
    "WHOLE",
    "Subset",
    "Summary",
    "subset_from_parameters",
    "subset_of_answer",
]

_SUMMARY: Final = "_summary"
_ELEMENTS: Final = "_elements"
SUBSET_PARAMETERS: Final = frozenset({_SUMMARY, _ELEMENTS})
"""The parameters that ask for parts of resources."""

_SUBSETTED: Final = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
}
# What a part of a resource always has.
_ALWAYS: Final = frozenset(
    {"resourceType", "id", "meta", "implicitRules", "modifierExtension"}
)
_NARRATIVE: Final = "text"
_MOST_ELEMENTS: Final = 100


class Summary(Enum):
    """SummaryType: the values of `_summary`."""

    TRUE = "true"
    TEXT = "text"
    DATA = "data"
    COUNT = "count"
    FALSE = "false"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subset:
    """
    The part of each resource that a client asks for.

    Attributes:
        summary: The value of `_summary`.
        elements: The wanted elements of each type; a type that is not there stays
            whole.
    """

    summary: Summary = Summary.FALSE
    elements: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Return whether it leaves each resource as it is."""
        return self.summary is Summary.FALSE and not self.elements


WHOLE: Final = Subset()
"""What a client gets that asks for no part."""


def subset_from_parameters(
    given: Iterable[tuple[str, str]], resource_type: str, *, is_search: bool
) -> Subset:
    """
    Return the part that the parameters of a read or search ask for.

    Args:
        given: Names and values, also of other parameters.
        resource_type: The type that is read or searched: an element without a type is
            of this one.
        is_search: It is a search, which can be answered with a count alone.

    Raises:
        Problem: 400, with an issue for each fault.
    """
    wanted: dict[str, list[str]] = {}
    for name, value in given:
        if name in SUBSET_PARAMETERS and value:
            wanted.setdefault(name, []).append(value)
    if not wanted:
        return WHOLE
    faults = Faults()
    summary, elements = Summary.FALSE, {}
    with faults:
        summary = _summary(wanted.get(_SUMMARY, []), is_search=is_search)
    with faults:
        elements = _elements(wanted.get(_ELEMENTS, []), resource_type)
    if elements and summary in (Summary.TRUE, Summary.TEXT, Summary.DATA):
        with faults:
            raise _fault(
                _ELEMENTS, "_elements and _summary are two different parts: send one."
            )
    faults.check()
    return Subset(summary=summary, elements=elements)


def subset_of_answer(resource: dict[str, Any], subset: Subset) -> dict[str, Any]:
    """
    Return a resource, or a searchset with its resources, in the wanted part.

    The entries of a searchset that state what is missing stay whole.
    """
    if resource["resourceType"] != "Bundle":
        return _part(resource, subset)
    entries = resource.get("entry", [])
    if subset.summary is Summary.COUNT:
        kept = [each for each in entries if _mode(each) == "outcome"]
        link = [each for each in resource["link"] if each["relation"] == "self"]
    else:
        kept = [
            each
            if _mode(each) == "outcome"
            else {**each, "resource": _part(each["resource"], subset)}
            for each in entries
        ]
        link = resource["link"]
    bundle = {**resource, "link": link, "entry": kept}
    if not kept:
        del bundle["entry"]
    return bundle


def _summary(values: list[str], *, is_search: bool) -> Summary:
    if not values:
        return Summary.FALSE
    possible = [each.value for each in Summary if is_search or each.value != "count"]
    if len(set(values)) > 1 or values[0] not in possible:
        raise _fault(
            _SUMMARY, f"_summary must be one of {', '.join(possible)}, given once."
        )
    return Summary(values[0])


def _elements(values: list[str], resource_type: str) -> dict[str, frozenset[str]]:
    named = [each.strip() for value in values for each in value.split(",")]
    if len(named) > _MOST_ELEMENTS:
        raise _fault(
            _ELEMENTS, f"_elements has at most {_MOST_ELEMENTS} names.", "too-costly"
        )
    wanted: dict[str, set[str]] = {}
    unknown = 0
    for each in filter(None, named):
        kind, _, name = each.rpartition(".")
        kind = kind or resource_type
        names = _names(kind, name.removesuffix("[x]"))
        unknown += not names
        wanted.setdefault(kind, set()).update(names)
    if unknown:
        raise _fault(
            _ELEMENTS,
            f"R4 has no such element for {unknown} of the names in _elements: write the"
            f" elements of {resource_type} itself, such as id, and those of another"
            " type with it, such as Location.name.",
        )
    return {kind: frozenset(names) for kind, names in wanted.items()}


def _names(kind: str, name: str) -> list[str]:
    """Return the JSON names of an element, several where it has a choice of types."""
    if kind not in ANSWERED:
        return []
    return [
        known
        for known, definition in elements_of(kind).items()
        if name in (known, definition.choice)
    ]


def _part(resource: dict[str, Any], subset: Subset) -> dict[str, Any]:
    kind = resource["resourceType"]
    definitions = elements_of(kind)
    if subset.summary is Summary.DATA:
        part = {name: item for name, item in resource.items() if name != _NARRATIVE}
    elif subset.summary is Summary.TEXT:
        part = {
            name: item
            for name, item in resource.items()
            if name in _ALWAYS or name == _NARRATIVE or _is_required(definitions, name)
        }
    elif subset.summary is Summary.TRUE:
        part = _summary_of(resource, kind)
    elif kind in subset.elements:
        wanted = subset.elements[kind]
        part = {
            name: item
            for name, item in resource.items()
            if name in _ALWAYS
            or name.removeprefix("_") in wanted
            or _is_required(definitions, name)
        }
    else:
        return resource
    meta = part.get("meta", {})
    # In the usual order: the id stands first, then what is said of the resource.
    marked: dict[str, Any] = {
        name: part[name] for name in ("resourceType", "id") if name in part
    }
    marked["meta"] = {**meta, "tag": [*meta.get("tag", ()), _SUBSETTED]}
    return marked | {name: part[name] for name in part if name != "meta"}


def _summary_of(value: dict[str, Any], kind: str) -> dict[str, Any]:
    definitions = elements_of(kind)
    part = {}
    for name, item in value.items():
        if name in _ALWAYS:
            part[name] = item
            continue
        definition = definitions[name.removeprefix("_")]
        if not (definition.is_summary or definition.is_required):
            continue
        # Data types are whole; the parts of a resource have marks of their own.
        if "modifierExtension" in (
            () if definition.is_primitive else elements_of(definition.type)
        ):
            part[name] = _each_summary(item, definition.type)
        else:
            part[name] = item
    return part


def _each_summary(item: object, kind: str) -> object:
    """Return an element in summary; whole where R4 marks nothing of it."""
    if isinstance(item, list):
        return [_each_summary(each, kind) for each in item]
    return (_summary_of(item, kind) or item) if isinstance(item, dict) else item


def _is_required(definitions: Mapping[str, Any], name: str) -> bool:
    definition = definitions.get(name.removeprefix("_"))
    return definition is not None and definition.is_required


def _mode(entry: Mapping[str, Any]) -> str:
    mode: str = entry.get("search", {}).get("mode", "match")
    return mode


def _fault(parameter: str, diagnostics: str, code: str = "value") -> Problem:
    return Problem(
        [Issue(code=code, diagnostics=diagnostics, parameter=parameter)],
        kind=ProblemKind.MALFORMED,
    )
