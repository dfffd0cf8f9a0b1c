"""
The answers of the terminology operations, as Parameters (FHIR R4, 4.7).
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Final

from fhir_gateway.fhir.known_system import KnownSystem
from fhir_gateway.fhir.standard_time_types import LANGUAGES, Concept
from fhir_gateway.fhir.terminology import Coded
from fhir_gateway.fhir.time_type_maps import Translation

__all__ = ["looked_up", "subsumed", "translated", "validated"]

_NO_MEANING: Final = (
    "The asked ConceptMaps of this server have no such translation of that code."
)
_NO_CODES: Final = (
    "In the asked ConceptMaps of this server no such time type has that code."
)
_NOT_IN_IT: Final = "The code is not in it."
_OTHER_NAME: Final = "The code is right, and the display is not one of its names."
# ConceptMapEquivalence: these say that there is no translation.
_NONE: Final = frozenset({"unmatched", "disjoint"})


def translated(found: Sequence[Translation], *, is_reverse: bool) -> dict[str, Any]:
    """Return the answer of `$translate`."""
    is_true = any(each.equivalence not in _NONE for each in found)
    parameter: list[dict[str, Any]] = [{"name": "result", "valueBoolean": is_true}]
    if not is_true:
        text = _NO_CODES if is_reverse else _NO_MEANING
        parameter.append({"name": "message", "valueString": text})
    parameter.extend({"name": "match", "part": list(_match(each))} for each in found)
    return _parameters(parameter)


def looked_up(
    known: KnownSystem, concept: Concept, language: str, properties: Collection[str]
) -> dict[str, Any]:
    """
    Return the answer of `$lookup`.

    Args:
        known: The code system.
        concept: The code.
        language: That of its display.
        properties: The wanted ones; all when empty.
    """
    parameter: list[dict[str, Any]] = [{"name": "name", "valueString": known.name}]
    if known.version is not None:
        parameter.append({"name": "version", "valueString": known.version})
    parameter.append({"name": "display", "valueString": concept.name(language)})
    if not properties or "designation" in properties:
        parameter.extend(
            {
                "name": "designation",
                "part": [
                    {"name": "language", "valueCode": spoken},
                    {"name": "value", "valueString": name},
                ],
            }
            for spoken, name in concept.names.items()
        )
    stated: list[tuple[str, dict[str, Any]]] = [
        *(("parent", {"valueCode": each}) for each in concept.parents),
        *(("child", {"valueCode": each}) for each in concept.children),
    ]
    if concept.definition is not None:
        stated.append(("definition", {"valueString": concept.definition}))
    parameter.extend(
        {
            "name": "property",
            "part": [
                {"name": "code", "valueCode": code},
                {"name": "value", **value},
            ],
        }
        for code, value in stated
        if not properties or code in properties
    )
    return _parameters(parameter)


def validated(
    found: Iterable[tuple[Coded, Concept | None]], language: str
) -> dict[str, Any]:
    """
    Return the answer of `$validate-code`: of several codes one has to be right.

    Args:
        found: The client's codes, each with what they are; None for a wrong one.
        language: That of the display.
    """
    right = [(coded, concept) for coded, concept in found if concept is not None]
    if not right:
        return _parameters(
            [
                {"name": "result", "valueBoolean": False},
                {"name": "message", "valueString": _NOT_IN_IT},
            ]
        )
    well_named = [each for each in right if _is_well_named(*each)]
    _, concept = (well_named or right)[0]
    parameter: list[dict[str, Any]] = [
        {"name": "result", "valueBoolean": bool(well_named)}
    ]
    if not well_named:
        parameter.append({"name": "message", "valueString": _OTHER_NAME})
    parameter.append({"name": "display", "valueString": concept.name(language)})
    return _parameters(parameter)


def subsumed(outcome: str) -> dict[str, Any]:
    """Return the answer of `$subsumes`."""
    return _parameters([{"name": "outcome", "valueCode": outcome}])


def _match(translation: Translation) -> Iterator[dict[str, Any]]:
    yield {"name": "equivalence", "valueCode": translation.equivalence}
    if translation.code is not None:
        coding = {
            "system": translation.system,
            "version": translation.version,
            "code": translation.code,
            "display": translation.display,
        }
        said = {name: value for name, value in coding.items() if value is not None}
        yield {"name": "concept", "valueCoding": said}
    if translation.url is not None:
        yield {"name": "source", "valueUri": translation.url}


def _is_well_named(coded: Coded, concept: Concept) -> bool:
    if coded.display is None:
        return True
    names = (concept.display, *(concept.name(language) for language in LANGUAGES))
    return coded.display.casefold() in {each.casefold() for each in names}


def _parameters(parameter: list[dict[str, Any]]) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": parameter}
