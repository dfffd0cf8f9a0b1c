"""
ConceptMaps: what units' own time types mean.
"""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
        "element": [{"code": "TT1", **({"target": [*targets]} if targets else {})}],
        **changes,
    }
    return {"resourceType": "ConceptMap", "status": "active", "group": [group]}


def target(equivalence: str, **changes: Any) -> dict[str, Any]:
    """Return a target as near in meaning as is said."""
    return {
        "code": _COVID.code,
        "display": _COVID.display,
        "equivalence": equivalence,
        **changes,
    }


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
    ["relatedto", "narrower", "specializes", "inexact", "unmatched", "disjoint"],
)
def test_a_time_type_does_not_mean_what_is_narrower(
    tmp_path: Path, equivalence: str
) -> None:
    """A target that would find too much is no meaning."""
    path = written(tmp_path, concept_map(target(equivalence)))

    assert meanings_from_concept_map(path, _OURS) == {}


def test_a_target_without_display_is_shown_by_its_code(tmp_path: Path) -> None:
    """A meaning without a display is called by its code."""
    path = written(tmp_path, concept_map({"code": "33879002", "equivalence": "equal"}))

    assert meanings_from_concept_map(path, _OURS) == {
        (_UNIT, TimeTypeId("TT1")): (
            StandardTimeType(code="33879002", display="33879002"),
        )
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
        pytest.param({"resourceType": "Bundle"}, "is not a ConceptMap", id="a bundle"),
        pytest.param({}, "is not a ConceptMap", id="an empty object"),
        pytest.param([], "is not a ConceptMap", id="a list"),
        pytest.param(
            {"resourceType": "ConceptMap", "status": "active", "group": {}},
            "group must be a list, not an object",
            id="groups that are no list",
        ),
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
            "group[0].element[0].code is missing",
            id="an element without a code",
        ),
        pytest.param(
            concept_map(element=None),
            "group[0].element must be a list, not null",
            id="elements that are null",
        ),
        pytest.param(
            concept_map(element=[]),
            "group[0].element is missing or empty",
            id="no elements",
        ),
        pytest.param(
            concept_map(element=["a"]),
            "group[0].element[0] must be an object, not a text",
            id="an element that is a text",
        ),
        pytest.param(
            concept_map(element=[{"code": 17}]),
            "group[0].element[0].code must be a text in quotes, not a number",
            id="a code that is a number",
        ),
        pytest.param(
            concept_map(element=[{"code": ""}]),
            "group[0].element[0].code must be neither empty nor have blanks around it",
            id="a code that is empty",
        ),
        pytest.param(
            concept_map(element=[{"code": "a", "target": [target("equal", code=7)]}]),
            "group[0].element[0].target[0].code must be a text in quotes, not a number",
            id="a target's code that is a number",
        ),
        pytest.param(
            concept_map(element=[{"code": "a", "target": [target("narrow")]}]),
            "group[0].element[0].target[0].equivalence is none of relatedto,"
            " equivalent, equal, wider, subsumes, narrower, specializes, inexact,"
            " unmatched, disjoint",
            id="an equivalence that R4 does not have",
        ),
        pytest.param(
            concept_map(
                element=[{"code": "a", "target": [target("equal", display=True)]}]
            ),
            "group[0].element[0].target[0].display must be a text in quotes, not true"
            " or false",
            id="a display that is a boolean",
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
    assert str(caught.value) == f"{path}: is not JSON: line 1, column 2"


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """A file that is not there is refused by name."""
    path = tmp_path / "absent.json"

    with pytest.raises(WrongConceptMap) as caught:
        meanings_from_concept_map(path, _OURS)
    assert str(caught.value) == f"{path}: cannot be read: No such file or directory"


def test_every_fault_of_a_map_is_named_at_once(tmp_path: Path) -> None:
    """All faults of a map are reported at once, each with its place."""
    resource = concept_map(
        element=[
            {"code": 17, "target": [target("equal", code=72791000052103)]},
            {"code": "b", "display": [], "target": {}},
            {"code": "c", "target": [{"equivalence": "equal"}, {"code": "33879002"}]},
        ]
    )
    resource["group"] += [None, {"source": 1, "target": None}]
    path = written(tmp_path, resource)

    with pytest.raises(WrongConceptMap) as caught:
        meanings_from_concept_map(path, _OURS)
    number = "must be a text in quotes, not a number"
    assert caught.value.faults == tuple(
        f"{path}: {fault}"
        for fault in (
            f"group[0].element[0].code {number}",
            f"group[0].element[0].target[0].code {number}",
            "group[0].element[1].display must be a text in quotes, not a list",
            "group[0].element[1].target must be a list, not an object",
            "group[0].element[2].target[0].code is missing",
            "group[0].element[2].target[1].equivalence is missing",
            "group[1] must be an object, not null",
            f"group[2].source {number}",
            "group[2].target must be a text in quotes, not null",
            "group[2].element is missing or empty",
        )
    )


_CHANGES_MEANING = "is not understood here, and changes the meaning: leave it out"


@pytest.mark.parametrize(
    ("resource", "fault"),
    [
        pytest.param(
            concept_map() | {"modifierExtension": [{"url": "http://x"}]},
            "modifierExtension: modifierExtension is not understood here: leave it"
            " out.",
            id="a modifier extension",
        ),
        pytest.param(
            concept_map() | {"implicitRules": "http://x"},
            "implicitRules: implicitRules is not understood here: leave it out.",
            id="implicit rules",
        ),
        pytest.param(
            concept_map() | {"status": "Active"},
            "status: The code must be one of active, draft, retired, unknown.",
            id="a status in capitals",
        ),
        pytest.param(
            {"resourceType": "ConceptMap"},
            "status: The element is required.",
            id="no status",
        ),
        pytest.param(
            concept_map() | {"colour": "red"},
            "colour: R4 has no such element here.",
            id="an unknown element",
        ),
        pytest.param(
            concept_map(colour="red"),
            "group[0].colour: R4 has no such element here.",
            id="an unknown element of a group",
        ),
        pytest.param(
            concept_map(unmapped={"mode": "fixed", "code": "33879002"}),
            f"group[0].unmapped {_CHANGES_MEANING}",
            id="a meaning for all other codes",
        ),
        pytest.param(
            concept_map(target("equal", dependsOn=[{"property": "x", "value": "y"}])),
            f"group[0].element[0].target[0].dependsOn {_CHANGES_MEANING}",
            id="a meaning on a condition",
        ),
        pytest.param(
            concept_map(target("equal", product=[{"property": "x", "value": "y"}])),
            f"group[0].element[0].target[0].product {_CHANGES_MEANING}",
            id="a meaning with a second part",
        ),
        pytest.param(
            concept_map(element=[{"code": "A  B"}]),
            "group[0].element[0].code must have no two blanks beside each other",
            id="a code with two blanks inside",
        ),
        pytest.param(
            concept_map(targetVersion="2024"),
            "group[0].targetVersion is no edition of SNOMED CT such as"
            " http://snomed.info/sct/45991000052106",
            id="a version of something else",
        ),
    ],
)
def test_a_map_that_breaks_r4_is_refused(
    tmp_path: Path, resource: Any, fault: str
) -> None:
    """What R4 does not permit, or what changes the meaning, is refused by its place."""
    path = written(tmp_path, resource)

    with pytest.raises(WrongConceptMap) as caught:
        meanings_from_concept_map(path, _OURS)
    assert caught.value.faults == (f"{path}: {fault}",)


def test_faults_of_the_structure_and_of_the_meaning_are_named_together(
    tmp_path: Path,
) -> None:
    """Each of five different faults has its line."""
    resource = concept_map(
        target("equal", code="72791000052104"),
        colour="red",
        unmapped={"mode": "fixed", "code": "33879002"},
    )
    path = written(tmp_path, resource | {"status": "Active", "implicitRules": "x"})

    with pytest.raises(WrongConceptMap) as caught:
        meanings_from_concept_map(path, _OURS)
    assert [
        each.removeprefix(f"{path}: ").split()[0] for each in caught.value.faults
    ] == [
        "group[0].unmapped",
        "group[0].element[0].target[0].code",
        "status:",
        "group[0].colour:",
        "implicitRules:",
    ]


def test_a_key_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    """Two parsers would read two values: each such key is named with its place."""
    path = tmp_path / "map.json"
    text = json.dumps(concept_map(element=[{"code": "a"}]))
    path.write_text(
        text.replace('"code": "a"', '"code": "b", "code": "a"').replace(
            '"status"', '"status": "draft", "status"'
        ),
        encoding="utf-8",
    )

    with pytest.raises(WrongConceptMap) as caught:
        meanings_from_concept_map(path, _OURS)
    assert caught.value.faults == (
        f"{path}: group[0].element[0].code is there twice in one object",
        f"{path}: status is there twice in one object",
    )


def test_a_file_of_another_encoding_is_refused(tmp_path: Path) -> None:
    """A file in Latin-1 is named as such, with the first line that is not UTF-8."""
    path = tmp_path / "map.json"
    path.write_bytes(
        '{"resourceType": "ConceptMap",\n"title": "Åre"}'.encode("latin-1")
    )

    with pytest.raises(WrongConceptMap) as caught:
        meanings_from_concept_map(path, _OURS)
    assert caught.value.faults == (
        f"{path}: is not UTF-8, in line 2: save it in that encoding",
    )


def test_a_map_may_contain_a_code_system(tmp_path: Path) -> None:
    """Contained resources are left alone, also of types that no body may have."""
    resource = concept_map(target("equal"))
    resource["contained"] = [{"resourceType": "CodeSystem", "id": "a"}]

    meanings = meanings_from_concept_map(written(tmp_path, resource), _OURS)
    assert meanings == {(_UNIT, TimeTypeId("TT1")): (_COVID,)}


@pytest.mark.parametrize("equivalence", ["equal", "narrower"])
@pytest.mark.parametrize("code", ["72791000052104", "3006873018", "J07BX03"])
def test_a_code_that_snomed_ct_cannot_have_is_refused(
    tmp_path: Path, code: str, equivalence: str
) -> None:
    """A code with a wrong form or check digit is named, however near it is."""
    path = written(tmp_path, concept_map(target(equivalence, code=code)))

    with pytest.raises(WrongConceptMap) as caught:
        meanings_from_concept_map(path, _OURS)
    assert caught.value.faults == (
        (
            f"{path}: group[0].element[0].target[0].code is not the id of a SNOMED CT"
            " concept: compare its digits, of which the last is a check digit"
        ),
    )


def test_a_map_that_is_wrong_throughout_does_not_flood_the_screen(
    tmp_path: Path,
) -> None:
    """Of very many faults the first fifty are named, and how many more there are."""
    path = written(tmp_path, concept_map(element=[{"code": 1}] * 60))

    with pytest.raises(WrongConceptMap) as caught:
        meanings_from_concept_map(path, _OURS)
    assert len(caught.value.faults) == 51
    assert caught.value.faults[-1] == f"{path}: and 10 faults more"


def test_two_elements_of_one_code_add_up(tmp_path: Path) -> None:
    """A time type that stands twice means what either element says."""
    again = {
        "code": "TT1",
        "target": [target("equal"), target("wider", code="33879002")],
    }
    resource = concept_map(target("equal"))
    resource["group"].append(concept_map(element=[again])["group"][0])

    assert meanings_from_concept_map(written(tmp_path, resource), _OURS) == {
        (_UNIT, TimeTypeId("TT1")): (
            _COVID,
            StandardTimeType(code="33879002", display=_COVID.display),
        )
    }


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=3,
)


@given(data=st.data())
def test_no_wrong_type_at_any_depth_is_let_through(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """A map with any value in place of one of its own is refused, or holds texts."""
    resource = concept_map(target("equal"))
    group = resource["group"][0]
    element = group["element"][0]
    parent = data.draw(
        st.sampled_from([resource, group, element, element["target"][0]])
    )
    name = data.draw(st.sampled_from(sorted(parent)))
    value = data.draw(_VALUES)
    parent[name] = value
    path = written(tmp_path_factory.getbasetemp(), resource)

    meanings = {}
    with suppress(WrongConceptMap):
        meanings = meanings_from_concept_map(path, _OURS)
    assert not meanings or isinstance(value, str | list)
    assert all(
        isinstance(each, str)
        for (_, code), standard in meanings.items()
        for each in (code, *(one.code for one in standard))
    )
