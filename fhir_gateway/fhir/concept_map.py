"""
ConceptMap (FHIR R4, 13.10): the shared meaning of units' own time types.

Each source has one map, with one group for each unit. A group's source is the unit's
code system of time types, its target is SNOMED CT.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from fhir_gateway.fhir.primitive import is_primitive_value
from fhir_gateway.fhir.sctid import is_concept_id
from fhir_gateway.fhir.structure import checked
from fhir_gateway.fhir.vocabulary import SNOMED_CT, SNOMED_CT_SWEDEN, Vocabulary
from fhir_gateway.model.ids import HsaId, TimeTypeId
from fhir_gateway.model.json_file import UnreadableFile, read_json_file
from fhir_gateway.model.timeslot import StandardTimeType, TimeType

__all__ = [
    "WrongConceptMap",
    "concept_map_from_meanings",
    "meanings_from_concept_map",
    "published_concept_map",
]

# "equal", "equivalent": the same. "wider", "subsumes": the target is wider, so a search
# for it rightly finds the unit's own, narrower type. The other relations would find too
# much.
_MEANS_THE_TARGET: Final = frozenset({"equal", "equivalent", "wider", "subsumes"})


_EQUIVALENCES: Final = (
    *("relatedto", "equivalent", "equal", "wider", "subsumes"),
    *("narrower", "specializes", "inexact", "unmatched", "disjoint"),
)
_SNOMED_CT_VERSION: Final = re.compile(
    re.escape(SNOMED_CT) + r"/[0-9]{6,18}(?:/version/[0-9]{8})?"
)
_CONDITIONS_OF_GROUP: Final = ("unmapped",)
_CONDITIONS_OF_TARGET: Final = ("dependsOn", "product")
# A map with a fault in each of its thousand groups mostly has one fault.
_MOST_FAULTS: Final = 50


class WrongConceptMap(ValueError):
    """
    A file is not a ConceptMap of time types.

    Attributes:
        faults: One sentence each, naming the file and the place in it.
    """

    def __init__(self, path: Path, faults: Sequence[str]) -> None:
        named = list(faults[:_MOST_FAULTS])
        if more := len(faults) - len(named):
            named.append(f"and {more} faults more")
        self.faults = tuple(f"{path}: {fault}" for fault in named)
        super().__init__("\n".join(self.faults))


def meanings_from_concept_map(
    path: Path, vocabulary: Vocabulary
) -> dict[tuple[HsaId, TimeTypeId], tuple[StandardTimeType, ...]]:
    """
    Return the meanings of a source's time types.

    Raises:
        WrongConceptMap: The file cannot be read, or breaks R4, or a group is not about
            a unit's time types and SNOMED CT; the error lists all faults.
    """
    resource, faults = _resource(path)
    meanings: dict[tuple[HsaId, TimeTypeId], tuple[StandardTimeType, ...]] = {}
    # Thousands of units use the same codes and meanings: memory holds each once.
    codes: dict[TimeTypeId, TimeTypeId] = {}
    kept: dict[tuple[StandardTimeType, ...], tuple[StandardTimeType, ...]] = {}
    for where, contained in _objects(resource, "contained", "", faults, at_least=0):
        _text(contained, "resourceType", where, faults)
    for where, group in _objects(resource, "group", "", faults, at_least=0):
        unit = _unit(where, group, vocabulary, faults)
        for place, element in _objects(group, "element", f"{where}.", faults):
            code = _text(element, "code", place, faults)
            if code is not None and not is_primitive_value("code", code):
                faults.append(f"{place}.code must have no two blanks beside each other")
            _text(element, "display", place, faults, is_required=False)
            targets = _targets(element, place, faults)
            if unit is None or code is None or not targets:
                continue
            known = codes.setdefault(TimeTypeId(code), TimeTypeId(code))
            earlier = meanings.get((unit, known), ())
            whole = (*earlier, *(each for each in targets if each not in earlier))
            meanings[unit, known] = kept.setdefault(whole, whole)
    if faults := [*faults, *_faults_of_structure(path, resource, faults)]:
        raise WrongConceptMap(path, faults)
    return meanings


def published_concept_map(
    path: Path, units: Collection[HsaId], identifier: str, vocabulary: Vocabulary
) -> dict[str, Any]:
    """
    Return a source's map as this server uses and publishes it.

    Args:
        path: Its file, which `meanings_from_concept_map` has accepted.
        units: The units that the file may map; groups of others are left out.
        identifier: The id of a map without one.
        vocabulary: Our canonicals.

    Raises:
        WrongConceptMap: The file cannot be read any more.
    """
    resource, _ = _resource(path)
    groups = [
        each
        for each in resource.get("group", ())
        if vocabulary.unit_of_time_types(each["source"]) in units
    ]
    published = {
        "resourceType": "ConceptMap",
        "id": identifier,
        **{
            name: value
            for name, value in resource.items()
            # What the operator keeps in the file for people is not for the world.
            if name not in ("resourceType", "contained", "text", "group", "meta")
        },
    }
    return published | ({"group": groups} if groups else {})


def concept_map_from_meanings(
    identifier: str,
    title: str,
    time_types: Iterable[tuple[HsaId, TimeType]],
    *,
    version: str,
    date: str,
    vocabulary: Vocabulary,
) -> dict[str, Any]:
    """
    Return the ConceptMap of units' time types that have a shared meaning.

    Args:
        identifier: Its id, and the last part of its canonical.
        title: Its title for people.
        time_types: The units' time types; those without a shared meaning are left out.
        version: The map's version.
        date: When it was last changed, YYYY-MM-DD.
        vocabulary: Our canonicals.
    """
    return {
        "resourceType": "ConceptMap",
        "id": identifier,
        "url": f"{vocabulary.base}/ConceptMap/{identifier}",
        "version": version,
        "name": "".join(part.capitalize() for part in identifier.split("-")),
        "title": title,
        "status": "active",
        "experimental": True,
        "date": date,
        "publisher": "fhir-gateway",
        "description": (
            "What the time types of the source's units mean. A unit's own codes stand"
            " in a code system of its own."
        ),
        "group": [
            {
                "source": vocabulary.time_types(unit),
                "target": SNOMED_CT,
                "targetVersion": SNOMED_CT_SWEDEN,
                "element": [
                    {
                        "code": str(time_type.id.code),
                        "display": time_type.name,
                        "target": [
                            {
                                "code": shared.code,
                                "display": shared.display,
                                "equivalence": "equivalent",
                            }
                            for shared in time_type.standard
                        ],
                    }
                ],
            }
            for unit, time_type in time_types
            if time_type.standard
        ],
    }


def _resource(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Return a file's ConceptMap, and what its JSON names twice."""
    try:
        resource, faults = read_json_file(path)
    except UnreadableFile as error:
        raise WrongConceptMap(path, [str(error)]) from error
    if not isinstance(resource, dict) or resource.get("resourceType") != "ConceptMap":
        raise WrongConceptMap(path, ["is not a ConceptMap", *faults])
    return resource, faults


def _faults_of_structure(
    path: Path, resource: dict[str, Any], named: Sequence[str]
) -> list[str]:
    """Return what R4 does not permit, without the places of faults named already."""
    # A map may contain code systems and value sets, which this server does not read.
    own = {name: item for name, item in resource.items() if name != "contained"}
    try:
        issues = checked(own).issues
    except RecursionError as error:
        raise WrongConceptMap(path, ["is nested too deeply"]) from error
    places = {fault.partition(" ")[0] for fault in named}
    faults = []
    for issue in issues:
        place = (issue.expression or "").removeprefix("ConceptMap.")
        if place not in places:
            faults.append(f"{place}: {issue.diagnostics}")
    return faults


def _unit(
    where: str, group: dict[str, Any], vocabulary: Vocabulary, faults: list[str]
) -> HsaId | None:
    """Return the unit that a group is about."""
    source = _text(group, "source", where, faults)
    unit = None if source is None else vocabulary.unit_of_time_types(source)
    if source is not None and unit is None:
        faults.append(
            f"{where}.source is no unit's code system of time types under"
            f" {vocabulary.base}"
        )
    target = _text(group, "target", where, faults)
    if target is not None and target != SNOMED_CT:
        faults.append(f"{where}.target is not {SNOMED_CT}")
    version = _text(group, "targetVersion", where, faults, is_required=False)
    if version is not None and not _SNOMED_CT_VERSION.fullmatch(version):
        faults.append(
            f"{where}.targetVersion is no edition of SNOMED CT such as"
            f" {SNOMED_CT_SWEDEN}"
        )
    _refuse(_CONDITIONS_OF_GROUP, group, where, faults)
    return unit


def _targets(
    element: dict[str, Any], place: str, faults: list[str]
) -> tuple[StandardTimeType, ...]:
    """Return the shared meanings that an element gives a unit's own code."""
    found = []
    for where, target in _objects(element, "target", f"{place}.", faults, at_least=0):
        _refuse(_CONDITIONS_OF_TARGET, target, where, faults)
        display = _text(target, "display", where, faults, is_required=False)
        equivalence = _text(target, "equivalence", where, faults)
        if equivalence is not None and equivalence not in _EQUIVALENCES:
            faults.append(f"{where}.equivalence is none of {', '.join(_EQUIVALENCES)}")
        means = equivalence in _MEANS_THE_TARGET
        code = _text(target, "code", where, faults, is_required=means)
        if code is not None and not is_concept_id(code):
            faults.append(
                f"{where}.code is not the id of a SNOMED CT concept: compare its"
                " digits, of which the last is a check digit"
            )
        elif means and code is not None:
            found.append(StandardTimeType(code=code, display=display or code))
    return tuple(found)


def _refuse(
    names: Iterable[str], parent: dict[str, Any], where: str, faults: list[str]
) -> None:
    """Refuse what changes the meaning of the rest, and is not understood here."""
    faults.extend(
        f"{where}.{name} is not understood here, and changes the meaning: leave it out"
        for name in names
        if name in parent
    )


def _objects(
    parent: dict[str, Any],
    name: str,
    prefix: str,
    faults: list[str],
    *,
    at_least: int = 1,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """
    Yield the objects of a list with their places; note a fault for each other item.
    """
    items = parent.get(name, [])
    if not isinstance(items, list):
        faults.append(f"{prefix}{name} must be a list, not {_kind(items)}")
        return
    if len(items) < at_least:
        faults.append(f"{prefix}{name} is missing or empty")
    for number, item in enumerate(items):
        where = f"{prefix}{name}[{number}]"
        if isinstance(item, dict):
            yield where, item
        else:
            faults.append(f"{where} must be an object, not {_kind(item)}")


def _text(
    parent: dict[str, Any],
    name: str,
    where: str,
    faults: list[str],
    *,
    is_required: bool = True,
) -> str | None:
    """Return a text; None for anything else, with a fault where a text is required."""
    if name not in parent:
        if is_required:
            faults.append(f"{where}.{name} is missing")
        return None
    value = parent[name]
    if not isinstance(value, str):
        faults.append(f"{where}.{name} must be a text in quotes, not {_kind(value)}")
        return None
    if not value or value != value.strip():
        faults.append(f"{where}.{name} must be neither empty nor have blanks around it")
        return None
    return value


def _kind(value: Any) -> str:  # noqa: ANN401 - JSON is Any
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
        case _:
            return "an object"
