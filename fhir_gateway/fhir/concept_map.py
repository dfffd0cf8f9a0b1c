"""
ConceptMap (FHIR R4, 13.10): the shared meaning of units' own time types.

One map for each source; one group for each unit, whose source is the unit's code
system of time types and whose target is SNOMED CT.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import orjson

from fhir_gateway.fhir.vocabulary import SNOMED_CT, SNOMED_CT_SWEDEN, Vocabulary
from fhir_gateway.model.ids import HsaId, TimeTypeId
from fhir_gateway.model.timeslot import StandardTimeType, TimeType

__all__ = [
    "WrongConceptMap",
    "concept_map_from_meanings",
    "meanings_from_concept_map",
]

# "equal", "equivalent": the same. "wider", "subsumes": the target is wider, so a search
# for it rightly finds the unit's own, narrower type. Others would find too much.
_MEANS_THE_TARGET: Final = frozenset({"equal", "equivalent", "wider", "subsumes"})


class WrongConceptMap(ValueError):
    """A file is no ConceptMap of time types; the message says what is wrong."""


def meanings_from_concept_map(
    path: Path, vocabulary: Vocabulary
) -> dict[tuple[HsaId, TimeTypeId], tuple[StandardTimeType, ...]]:
    """
    Return what a source's time types mean.

    Raises:
        WrongConceptMap: The file cannot be read, or a group is not about a unit's time
            types and SNOMED CT.
    """
    try:
        resource: Any = orjson.loads(path.read_bytes())
        if resource["resourceType"] != "ConceptMap":
            raise WrongConceptMap(f"{path}: is no ConceptMap")
        meanings: dict[tuple[HsaId, TimeTypeId], tuple[StandardTimeType, ...]] = {}
        # Thousands of units use the same codes and meanings: each is kept once.
        units: dict[HsaId, HsaId] = {}
        codes: dict[TimeTypeId, TimeTypeId] = {}
        kept: dict[tuple[StandardTimeType, ...], tuple[StandardTimeType, ...]] = {}
        for number, group in enumerate(resource.get("group", ())):
            unit = vocabulary.unit_of_time_types(group.get("source", ""))
            if unit is None:
                raise WrongConceptMap(
                    f"{path}: group[{number}].source is no unit's code system of time"
                    f" types under {vocabulary.base}"
                )
            if group.get("target") != SNOMED_CT:
                raise WrongConceptMap(
                    f"{path}: group[{number}].target is not {SNOMED_CT}"
                )
            for element in group["element"]:
                targets = _targets(element)
                if targets:
                    code = TimeTypeId(element["code"])
                    key = units.setdefault(unit, unit), codes.setdefault(code, code)
                    meanings[key] = kept.setdefault(targets, targets)
    except OSError as error:
        raise WrongConceptMap(f"{path}: cannot be read: {error.strerror}") from error
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise WrongConceptMap(f"{path}: is no valid ConceptMap") from error
    return meanings


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
        title: What people call it.
        time_types: The units' time types; those without a shared meaning are left out.
        version: Of the map.
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


def _targets(element: dict[str, Any]) -> tuple[StandardTimeType, ...]:
    return tuple(
        StandardTimeType(
            code=target["code"], display=target.get("display") or target["code"]
        )
        for target in element.get("target", ())
        if target.get("equivalence") in _MEANS_THE_TARGET
    )
