"""
Parts of resources: `_summary` and `_elements`.

https://hl7.org/fhir/R4/search.html#summary
"""

from typing import Any, Final

import pytest
from assertions import assert_problem, issue

from fhir_gateway.fhir.outcome import Problem
from fhir_gateway.fhir.subset import (
    WHOLE,
    Subset,
    Summary,
    subset_from_parameters,
    subset_of_answer,
)

_TAG: Final = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
}
_SLOT: Final[dict[str, Any]] = {
    "resourceType": "Slot",
    "id": "1",
    "meta": {"source": "urn:x", "tag": [{"code": "a"}]},
    "text": {"status": "generated", "div": "<div>x</div>"},
    "modifierExtension": [{"url": "urn:m", "valueBoolean": True}],
    "serviceType": [{"text": "Vaccination"}],
    "schedule": {"reference": "Schedule/1"},
    "status": "free",
    "_status": {"id": "s"},
    "start": "2026-11-28T10:00:00Z",
    "end": "2026-11-28T10:15:00Z",
    "comment": "ring",
}
_MARKED: Final = {"source": "urn:x", "tag": [{"code": "a"}, _TAG]}


def _without(*names: str) -> dict[str, Any]:
    kept = {name: item for name, item in _SLOT.items() if name not in names}
    return kept | {"meta": _MARKED}


@pytest.mark.parametrize(
    ("summary", "expected"),
    [
        (Summary.TRUE, _without("text", "comment")),
        (Summary.DATA, _without("text")),
        (Summary.TEXT, _without("serviceType", "comment")),
    ],
)
def test_a_summary_has_what_r4_says(summary: Summary, expected: dict[str, Any]) -> None:
    """R4's own marks decide; what it requires stays, and the tag says SUBSETTED."""
    assert subset_of_answer(_SLOT, Subset(summary=summary)) == expected


def test_elements_are_those_asked_for_and_the_required_ones() -> None:
    """Required elements stay, so that the part is a valid resource."""
    subset = subset_from_parameters(
        [("_elements", "comment,serviceType")], "Slot", is_search=False
    )

    assert subset_of_answer(_SLOT, subset) == _without("text")


def test_the_parts_of_a_resource_are_summarised_by_their_own_marks() -> None:
    """R4 marks elements within elements too: those of a CapabilityStatement."""
    statement = {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "rest": [
            {
                "mode": "server",
                "documentation": "long",
                "resource": [
                    {
                        "type": "Slot",
                        "interaction": [{"code": "read", "documentation": "x"}],
                        "searchParam": [{"name": "start", "type": "date"}],
                    }
                ],
            }
        ],
    }

    assert subset_of_answer(statement, Subset(summary=Summary.TRUE)) == {
        "resourceType": "CapabilityStatement",
        "meta": {"tag": [_TAG]},
        "status": "active",
        "rest": [{"mode": "server", "resource": [{"type": "Slot"}]}],
    }


_OUTCOME: Final = {
    "resource": {"resourceType": "OperationOutcome", "text": {}, "issue": []},
    "search": {"mode": "outcome"},
}


def _searchset(*entries: dict[str, Any]) -> dict[str, Any]:
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": 7,
        "link": [
            {"relation": "self", "url": "urn:self"},
            {"relation": "next", "url": "urn:next"},
        ],
        "entry": list(entries),
    }


def test_a_searchset_stays_whole_around_its_resources() -> None:
    """Its links and total stay, and so does the entry that says what is missing."""
    found = {"fullUrl": "urn:1", "resource": _SLOT, "search": {"mode": "match"}}
    answer = _searchset(found, _OUTCOME)

    assert subset_of_answer(answer, Subset(summary=Summary.DATA)) == _searchset(
        {**found, "resource": _without("text")}, _OUTCOME
    )


def test_a_count_has_no_entry_but_what_is_missing() -> None:
    """The total is the answer; nothing follows it."""
    found = {"fullUrl": "urn:1", "resource": _SLOT, "search": {"mode": "match"}}
    expected = _searchset(_OUTCOME)
    del expected["link"][1]

    assert (
        subset_of_answer(_searchset(found, _OUTCOME), Subset(summary=Summary.COUNT))
        == expected
    )


def test_elements_of_a_type_leave_other_types_whole() -> None:
    """A name without a type is of the searched type; included ones need theirs."""
    place = {"resourceType": "Location", "id": "2", "name": "x", "status": "active"}
    entries = [{"resource": each} for each in (_SLOT, place)]
    of_both, of_slot = (
        subset_from_parameters([("_elements", value)], "Slot", is_search=True)
        for value in ("start,Location.name", "start")
    )

    both, slot = (
        [
            each["resource"]
            for each in subset_of_answer(_searchset(*entries), subset)["entry"]
        ]
        for subset in (of_both, of_slot)
    )

    part = _without("text", "serviceType", "comment")
    assert slot == [part, place]
    assert both == [
        part,
        {
            "resourceType": "Location",
            "id": "2",
            "meta": {"tag": [_TAG]},
            "name": "x",
        },
    ]


@pytest.mark.parametrize(
    "given",
    [
        [],
        [("_summary", "false")],
        [("_summary", "")],
        [("_elements", "")],
        [("_elements", " , ")],
        [("start", "x")],
    ],
)
def test_what_asks_for_everything_changes_nothing(
    given: list[tuple[str, str]],
) -> None:
    """Then the answer is whole, and has no tag."""
    subset = subset_from_parameters(given, "Slot", is_search=True)

    assert subset == WHOLE
    assert subset_of_answer(_SLOT, subset) == _SLOT


_NOT_A_SUMMARY: Final = issue(
    "value",
    "_summary must be one of true, text, data, false, given once.",
    location="http._summary",
)


def _no_element(count: int) -> dict[str, Any]:
    return issue(
        "value",
        f"R4 has no such element for {count} of the names in _elements: write the"
        " elements of Slot itself, such as id, and those of another type with it, such"
        " as Location.name.",
        location="http._elements",
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([("_summary", "yes")], [_NOT_A_SUMMARY]),
        ([("_summary", "True")], [_NOT_A_SUMMARY]),
        # Only a search counts.
        ([("_summary", "count")], [_NOT_A_SUMMARY]),
        ([("_summary", "true"), ("_summary", "data")], [_NOT_A_SUMMARY]),
        ([("_elements", "colour,id,Slot.x,Slot.start.x")], [_no_element(3)]),
        ([("_elements", "Colour.id,Medication.id,.,Slot.")], [_no_element(4)]),
        (
            [("_elements", "x"), ("_summary", "x")],
            [_NOT_A_SUMMARY, _no_element(1)],
        ),
        (
            [("_elements", "id"), ("_summary", "true")],
            [
                issue(
                    "value",
                    "_elements and _summary are two different parts: send one.",
                    location="http._elements",
                )
            ],
        ),
        (
            [("_elements", ",".join(["id"] * 101))],
            [
                issue(
                    "too-costly",
                    "_elements has at most 100 names.",
                    location="http._elements",
                )
            ],
        ),
    ],
)
def test_a_part_that_there_is_not_is_refused(
    given: list[tuple[str, str]], expected: list[dict[str, Any]]
) -> None:
    """Every fault at once, and nothing that the client wrote."""
    with pytest.raises(Problem) as caught:
        subset_from_parameters(given, "Slot", is_search=False)

    assert_problem(caught.value, 400, *expected)
