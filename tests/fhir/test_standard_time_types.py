"""
The file of the standard time types: a CodeSystem supplement of SNOMED CT.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from fhir_gateway.fhir.standard_time_types import (
    StandardTimeTypes,
    WrongSupplement,
    supplement_from_file,
)

VACCINATION = "33879002"
COVID = "72791000052103"
VISIT = "185349003"


def supplement(**changed: Any) -> dict[str, Any]:
    """Return a supplement with two codes, one below the other."""
    return {
        "resourceType": "CodeSystem",
        "status": "active",
        "content": "supplement",
        "supplements": "http://snomed.info/sct",
        "property": [{"code": "parent", "type": "code"}],
        "concept": [
            {"code": COVID, "property": [{"code": "parent", "valueCode": VACCINATION}]},
            {"code": VACCINATION, "property": [{"code": "parent", "valueCode": VISIT}]},
        ],
        **changed,
    }


def faults(path: Path, content: str | dict[str, Any]) -> tuple[str, ...]:
    """Return what is wrong with a file."""
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(WrongSupplement) as caught:
        supplement_from_file(path)
    return caught.value.faults


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return tmp_path / "standard.json"


def test_a_good_file_is_taken_whole(path: Path) -> None:
    """A supplement is returned as it stands, and its parents reach all the way up."""
    path.write_text(json.dumps(supplement()), encoding="utf-8")

    found = supplement_from_file(path)

    assert found == supplement()
    assert StandardTimeTypes(found).below(VISIT) == {VISIT, VACCINATION, COVID}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param("[]", ("is not a CodeSystem",), id="no CodeSystem"),
        pytest.param(
            supplement(content="complete", supplements="http://loinc.org"),
            (
                "content must be supplement",
                "supplements must be http://snomed.info/sct",
            ),
            id="of other codes",
        ),
        pytest.param(
            supplement(
                concept=[
                    {"code": "1", "property": [{"code": "parent", "valueCode": "x"}]},
                    {"code": COVID, "concept": [{"code": VISIT}]},
                ]
            ),
            (
                "concept[0]: 1 is no concept of SNOMED CT",
                "concept[0]: x is no concept of SNOMED CT",
                "concept[1].concept: name the parent in a property instead",
            ),
            id="no concepts",
        ),
    ],
)
def test_a_wrong_file_is_refused_with_each_fault(
    path: Path, content: str | dict[str, Any], expected: tuple[str, ...]
) -> None:
    """One sentence for each fault."""
    assert faults(path, content) == expected


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("{", id="no JSON"),
        pytest.param(supplement(status="x"), id="a wrong status"),
        pytest.param(supplement(concept=[{}]), id="a concept without a code"),
        pytest.param(supplement(concept="x"), id="no list"),
        pytest.param(
            {**supplement(), "colour": "red"}, id="an element that R4 does not have"
        ),
        pytest.param(
            {key: value for key, value in supplement().items() if key != "content"},
            id="without content",
        ),
    ],
)
def test_what_breaks_r4_is_refused(path: Path, content: str | dict[str, Any]) -> None:
    """A file that is no valid CodeSystem is refused."""
    assert faults(path, content)
