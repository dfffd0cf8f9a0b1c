"""
What codes mean, for any maps and any hierarchy.
"""

from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_gateway.fhir.outcome import Problem
from fhir_gateway.fhir.published import PublishedResources, packed
from fhir_gateway.fhir.standard_time_types import Concept, StandardTimeTypes
from fhir_gateway.fhir.terminology import Coded, Terminology
from fhir_gateway.fhir.terminology_call import language
from fhir_gateway.fhir.time_type_maps import TimeTypeMaps
from fhir_gateway.fhir.value_set_expansion import Expansion
from fhir_gateway.fhir.vocabulary import SNOMED_CT, SNOMED_CT_SWEDEN, Vocabulary
from fhir_gateway.model.timekeeping import now

_BASE: Final = "https://ours.example"
_CODES: Final = st.sampled_from(["A1", "B2", "C3", "D4"])
_MEANINGS: Final = st.sampled_from(["1", "2", "3"])
_UNITS: Final = st.sampled_from(
    [f"{_BASE}/CodeSystem/time-types-SE1-{number}" for number in range(3)]
)
_EQUIVALENCES: Final = st.sampled_from(
    ["equivalent", "wider", "narrower", "subsumes", "specializes", "inexact"]
)


@st.composite
def concept_maps(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Return maps of units' codes, each of another source."""
    target = st.builds(
        lambda code, equivalence: {
            "code": code,
            "display": f"meaning {code}",
            "equivalence": equivalence,
        },
        _MEANINGS,
        _EQUIVALENCES,
    )
    element = st.builds(
        lambda code, targets: (
            {"code": code, "display": f"name {code}"}
            | ({"target": targets} if targets else {})
        ),
        _CODES,
        st.lists(target, max_size=2, unique_by=lambda each: each["code"]),
    )
    group = st.builds(
        lambda unit, elements: {
            "source": unit,
            "target": SNOMED_CT,
            "targetVersion": SNOMED_CT_SWEDEN,
            "element": elements,
        },
        _UNITS,
        st.lists(element, min_size=1, max_size=3, unique_by=lambda each: each["code"]),
    )
    groups = draw(st.lists(group, max_size=3, unique_by=lambda each: each["source"]))
    return [
        {
            "resourceType": "ConceptMap",
            "id": f"map-{number}",
            "url": f"{_BASE}/ConceptMap/map-{number}",
            "group": [each],
        }
        for number, each in enumerate(groups)
    ]


def value_set_of(maps: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the value set of what maps map to."""
    return StandardTimeTypes({}, maps).value_set(
        {
            "resourceType": "ValueSet",
            "id": "standard-time-types",
            "url": f"{_BASE}/ValueSet/standard-time-types",
            "status": "active",
            "compose": {"include": [{"system": SNOMED_CT, "concept": []}]},
        }
    )


def terminology(
    maps: list[dict[str, Any]], supplement: dict[str, Any] | None = None
) -> Terminology:
    """Return a terminology of maps and a supplement."""
    standard = StandardTimeTypes(supplement or {}, maps)
    return Terminology(
        PublishedResources(map(packed, maps)),
        standard,
        TimeTypeMaps(maps),
        Vocabulary(_BASE),
    )


@given(concept_maps())
def test_every_translation_leads_back(maps: list[dict[str, Any]]) -> None:
    """What a unit's code is translated to is translated back to that code."""
    known = terminology(maps)
    for resource in maps:
        for group in resource["group"]:
            for element in group["element"]:
                coded = Coded(system=group["source"], code=element["code"])
                there = known.translations(coded)
                assert [each.code for each in there] == [
                    target["code"] for target in element.get("target", ())
                ]
                for each in there:
                    back = known.translations(
                        Coded(system=each.system, code=each.code or ""),
                        targets=[group["source"]],
                        is_reverse=True,
                    )
                    assert (group["source"], element["code"]) in {
                        (found.system, found.code) for found in back
                    }


@given(concept_maps())
def test_a_relation_is_turned_round_on_the_way_back(
    maps: list[dict[str, Any]],
) -> None:
    """A wider target has a narrower source, and so on."""
    known = terminology(maps)
    turned = {
        "wider": "narrower",
        "narrower": "wider",
        "subsumes": "specializes",
        "specializes": "subsumes",
    }
    for resource in maps:
        (group,) = resource["group"]
        for element in group["element"]:
            for target in element.get("target", ()):
                back = known.translations(
                    Coded(system=SNOMED_CT, code=target["code"]),
                    map_id=resource["id"],
                    is_reverse=True,
                )
                said = target["equivalence"]
                assert turned.get(said, said) in {
                    each.equivalence for each in back if each.code == element["code"]
                }


@given(concept_maps(), st.integers(0, 3), st.integers(1, 2))
def test_an_expansion_has_what_lookup_knows(
    maps: list[dict[str, Any]], offset: int, count: int
) -> None:
    """The value set has exactly the codes that can be looked up, page by page."""
    known = terminology(maps)
    published = packed(value_set_of(maps))
    whole = known.expanded(published, Expansion(), now())["expansion"]
    page = known.expanded(published, Expansion(offset=offset, count=count), now())
    codes = [each["code"] for each in whole.get("contains", ())]

    assert set(codes) == {
        target["code"]
        for resource in maps
        for group in resource["group"]
        for element in group["element"]
        for target in element.get("target", ())
    }
    for code in codes:
        assert known.lookup(Coded(system=SNOMED_CT, code=code))[1].code == code
    assert page["expansion"]["total"] == whole["total"] == len(codes)
    assert [each["code"] for each in page["expansion"].get("contains", ())] == codes[
        offset : offset + count
    ]


def supplement(**parents: list[str]) -> dict[str, Any]:
    """Return a supplement with codes and their parents."""
    return {
        "concept": [
            {
                "code": code,
                "display": code,
                "property": [{"code": "parent", "valueCode": each} for each in above],
            }
            for code, above in parents.items()
        ]
    }


def test_a_code_is_a_kind_of_all_above_it() -> None:
    """Ancestors are near and far; a circle in a file does no harm."""
    standard = StandardTimeTypes(supplement(a=["c"], b=["a"], c=["b"], d=["b"], e=[]))

    assert standard.ancestors("d") == {"a", "b", "c"}
    assert standard.below("b") == {"a", "b", "c", "d"}
    assert standard.ancestors("e") == frozenset()
    assert standard.below("unknown") == {"unknown"}


@pytest.mark.parametrize(
    ("first", "second", "outcome"),
    [
        ("top", "low", "subsumes"),
        ("low", "top", "subsumed-by"),
        ("low", "low", "equivalent"),
    ],
)
def test_a_configured_hierarchy_says_what_is_narrower(
    first: str, second: str, outcome: str
) -> None:
    """`parent` properties say which code is a kind of which."""
    known = terminology([], supplement(top=[], mid=["top"], low=["mid"], other=[]))

    assert (
        known.subsumption(
            Coded(system=SNOMED_CT, code=first), Coded(system=SNOMED_CT, code=second)
        )
        == outcome
    )


def test_a_code_that_only_stands_above_others_subsumes_them() -> None:
    """A parent that the supplement does not list is known to be above."""
    known = terminology([], supplement(low=["top"]))

    assert (
        known.subsumption(
            Coded(system=SNOMED_CT, code="top"), Coded(system=SNOMED_CT, code="low")
        )
        == "subsumes"
    )


def test_a_parent_without_a_name_is_known_by_its_code() -> None:
    """A parent that the supplement does not list can be looked up, and not chosen."""
    standard = supplement(low=["top"])
    _, found = terminology([], standard).lookup(Coded(system=SNOMED_CT, code="top"))

    assert found == Concept(
        code="top", display="top", names={}, children=("low",), is_abstract=True
    )
    (include,) = StandardTimeTypes(standard).value_set(value_set_of([]))["compose"][
        "include"
    ]
    assert [each["code"] for each in include["concept"]] == ["low"]


def test_the_value_set_has_every_standard_time_type() -> None:
    """An operator's own standard time types are all in the value set."""
    written = value_set_of([])
    listed = StandardTimeTypes(supplement(low=[], top=[])).value_set(written)

    assert [each["code"] for each in listed["compose"]["include"][0]["concept"]] == [
        "low",
        "top",
    ]


def test_unrelated_codes_are_never_called_unrelated() -> None:
    """A part of a hierarchy does not show that two codes have nothing in common."""
    known = terminology([], supplement(top=[], other=[]))

    with pytest.raises(Problem):
        known.subsumption(
            Coded(system=SNOMED_CT, code="top"), Coded(system=SNOMED_CT, code="other")
        )


def test_too_many_translations_are_refused() -> None:
    """A code that a thousand units use needs the name of a map or of a system."""
    target = {"code": "1", "equivalence": "equivalent"}
    maps = [
        {
            "resourceType": "ConceptMap",
            "id": "whole",
            "group": [
                {
                    "source": f"{_BASE}/CodeSystem/time-types-SE{number}-1",
                    "target": SNOMED_CT,
                    "element": [{"code": "x", "target": [target]}],
                }
                for number in range(1001)
            ],
        }
    ]
    known = terminology(maps)
    coded = Coded(system=SNOMED_CT, code="1")

    with pytest.raises(Problem):
        known.translations(coded, is_reverse=True)
    unit = f"{_BASE}/CodeSystem/time-types-SE5-1"
    assert len(known.translations(coded, targets=[unit], is_reverse=True)) == 1


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ([], "sv"),
        (["fi"], "sv"),
        (["en-US", "sv"], "en"),
        (["*"], "sv"),
        (["SV-se"], "sv"),
    ],
)
def test_the_language_is_the_first_with_names(accepted: list[str], chosen: str) -> None:
    """A client gets the language that it likes best, of those that there are."""
    assert language(accepted) == chosen
