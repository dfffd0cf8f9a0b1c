"""
ConceptMaps: what units' own time types mean.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from fhir_gateway.fhir.concept_map import (
    WrongConceptMap,
    concept_map_from_meanings,
    meanings_from_concept_map,
)
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model.ids import HsaId, TimeTypeId
from fhir_gateway.model.timeslot import StandardTimeType, TimeType

_OURS = Vocabulary("https://ours.example")
_UNIT = HsaId("SE2321000016-A01")
_SYSTEM = "https://ours.example/CodeSystem/time-types-SE2321000016-A01"
_COVID = StandardTimeType(code="72791000052103", display="vaccination mot covid-19")


def written(folder: Path, resource: Any) -> Path:
    """Write a file; return where it is."""
    path = folder / "map.json"
    path.write_text(json.dumps(resource), encoding="utf-8")
    return path


def concept_map(*targets: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a map of one time type to targets."""
    group = {
        "source": _SYSTEM,
        "target": "http://snomed.info/sct",
        "element": [{"code": "TT1", "target": list(targets)}],
        **changes,
    }
    return {"resourceType": "ConceptMap", "group": [group]}


def target(equivalence: str | None) -> dict[str, Any]:
    """Return a target as near in meaning as is said."""
    equal = {} if equivalence is None else {"equivalence": equivalence}
    return {"code": _COVID.code, "display": _COVID.display, **equal}


@pytest.mark.parametrize("equivalence", ["equal", "equivalent", "wider", "subsumes"])
def test_a_time_type_means_what_is_as_wide_or_wider(
    tmp_path: Path, equivalence: str
) -> None:
    """A search for a meaning finds the time types that are it or narrower."""
    path = written(tmp_path, concept_map(target(equivalence)))

    meanings = meanings_from_concept_map(path, _OURS)
    assert meanings == {(_UNIT, TimeTypeId("TT1")): (_COVID,)}


@pytest.mark.parametrize(
    "equivalence",
    [
        *("relatedto", "narrower", "specializes", "inexact", "unmatched", "disjoint"),
        *("", None),
    ],
)
def test_a_time_type_does_not_mean_what_is_narrower(
    tmp_path: Path, equivalence: str | None
) -> None:
    """A target that would find too much is no meaning."""
    path = written(tmp_path, concept_map(target(equivalence)))

    assert meanings_from_concept_map(path, _OURS) == {}


def test_a_target_without_display_is_shown_by_its_code(tmp_path: Path) -> None:
    """A meaning without a display is called by its code."""
    path = written(tmp_path, concept_map({"code": "1", "equivalence": "equal"}))

    assert meanings_from_concept_map(path, _OURS) == {
        (_UNIT, TimeTypeId("TT1")): (StandardTimeType(code="1", display="1"),)
    }


def test_a_map_that_is_written_is_read_back(tmp_path: Path) -> None:
    """Meanings written as a ConceptMap are read as the same meanings."""
    resource = concept_map_from_meanings(
        "time-types-norr",
        "Time types of Norr",
        [
            (_UNIT, TimeType(id=TimeTypeId("a"), name="A", standard=(_COVID,))),
            (_UNIT, TimeType(id=TimeTypeId("b"), name="B")),
        ],
        version="1.0.0",
        date="2026-06-01",
        vocabulary=_OURS,
    )

    meanings = meanings_from_concept_map(written(tmp_path, resource), _OURS)
    assert meanings == {(_UNIT, TimeTypeId("a")): (_COVID,)}
    assert resource["url"] == "https://ours.example/ConceptMap/time-types-norr"
    assert resource["name"] == "TimeTypesNorr"


@pytest.mark.parametrize(
    ("resource", "message"),
    [
        pytest.param({"resourceType": "Bundle"}, "is no ConceptMap", id="a bundle"),
        pytest.param({}, "is no valid ConceptMap", id="an empty object"),
        pytest.param([], "is no valid ConceptMap", id="a list"),
        pytest.param(
            concept_map(source="http://x"),
            "group[0].source is no unit's code system of time types under"
            " https://ours.example",
            id="another source",
        ),
        pytest.param(
            concept_map(source="https://ours.example/CodeSystem/time-types-Ö"),
            "group[0].source is no unit's code system of time types under"
            " https://ours.example",
            id="no HSA-id",
        ),
        pytest.param(
            concept_map(target="http://x"),
            "group[0].target is not http://snomed.info/sct",
            id="another target",
        ),
        pytest.param(
            concept_map(element=[{"target": [target("equal")]}]),
            "is no valid ConceptMap",
            id="an element without a code",
        ),
        pytest.param(
            concept_map(element=None), "is no valid ConceptMap", id="no elements"
        ),
    ],
)
def test_a_wrong_map_is_refused(tmp_path: Path, resource: Any, message: str) -> None:
    """A file that is no map of time types is refused by name, with the reason."""
    path = written(tmp_path, resource)

    with pytest.raises(WrongConceptMap) as caught:
        meanings_from_concept_map(path, _OURS)
    assert str(caught.value) == f"{path}: {message}"


def test_a_file_that_is_no_json_is_refused(tmp_path: Path) -> None:
    """A file that is not JSON is refused by name."""
    path = tmp_path / "map.json"
    path.write_text("{", encoding="utf-8")

    with pytest.raises(WrongConceptMap) as caught:
        meanings_from_concept_map(path, _OURS)
    assert str(caught.value) == f"{path}: is no valid ConceptMap"


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """A file that is not there is refused by name."""
    path = tmp_path / "absent.json"

    with pytest.raises(WrongConceptMap) as caught:
        meanings_from_concept_map(path, _OURS)
    assert str(caught.value) == f"{path}: cannot be read: No such file or directory"
