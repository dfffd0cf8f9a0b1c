"""
`$find` in other names is a search for slots.
"""

from typing import Any, Final

import pytest

from fhir_gateway.fhir.find_request import (
    FIND,
    FindRequest,
    find_request,
    issues_of_find,
)
from fhir_gateway.fhir.operation_parameters import arguments_from_resource
from fhir_gateway.model.error_code import ErrorCode

_BASE: Final = "http://gateway.test/fhir"


def asked(*parameter: dict[str, Any]) -> FindRequest:
    """Return what a Parameters resource asks for."""
    body = {"resourceType": "Parameters", "parameter": list(parameter)}
    return find_request(arguments_from_resource(body, FIND, _BASE))


@pytest.mark.parametrize(
    ("parameter", "search"),
    [
        (
            {"name": "start", "valueDateTime": "2026-12-07T08:00:00+01:00"},
            ("start", "ge2026-12-07T08:00:00+01:00"),
        ),
        ({"name": "startTime", "valueDate": "2026-12-07"}, ("start", "ge2026-12-07")),
        (
            {"name": "end", "valueInstant": "2026-12-07T08:00:00Z"},
            ("start", "lt2026-12-07T08:00:00Z"),
        ),
        ({"name": "end", "valueDate": "2026-12-07"}, ("start", "le2026-12-07")),
        ({"name": "visit-type", "valueString": "a|b"}, ("service-type", "a|b")),
        (
            {"name": "service-type", "valueCoding": {"system": "a|", "code": "b,c"}},
            ("service-type", "a\\||b\\,c"),
        ),
        (
            {
                "name": "service-type",
                "valueCodeableConcept": {"coding": [{"code": "a"}, {"code": "b"}]},
            },
            ("service-type", "a,b"),
        ),
        (
            {"name": "practitioner", "valueUri": "Practitioner/SE1-1"},
            ("schedule.actor:Practitioner", "SE1-1"),
        ),
        (
            {"name": "organization", "valueReference": {"reference": "Organization/a"}},
            ("schedule.actor:HealthcareService.organization", "a"),
        ),
        (
            {"name": "location-reference", "valueUri": f"{_BASE}/Location/a"},
            ("schedule.actor:Location", "a"),
        ),
        (
            {"name": "service-type-reference", "valueUri": "HealthcareService/a"},
            ("schedule.actor:HealthcareService", "a"),
        ),
        ({"name": "schedule", "valueUri": "Schedule/a"}, ("schedule", "a")),
        ({"name": "_count", "valueInteger": 5}, ("_count", "5")),
        ({"name": "day-of-week", "valueCode": "mon"}, ("day-of-week", "mon")),
    ],
    ids=lambda each: str(each.get("name")) if isinstance(each, dict) else each[0],
)
def test_a_parameter_becomes_one_of_the_search(
    parameter: dict[str, Any], search: tuple[str, str]
) -> None:
    """Each name is a parameter of the search for slots, and is called as it was."""
    request = asked(parameter)

    assert list(request.search) == [search]
    assert request.spelt == {search[0]: parameter["name"]}
    assert [name for name, _ in request.called] == [parameter["name"]]


def test_values_of_one_kind_are_alternatives() -> None:
    """Two names of one kind are joined by a comma: either will do."""
    request = asked(
        {"name": "visit-type", "valueString": "a"},
        {"name": "service-type", "valueString": "b"},
    )

    assert list(request.search) == [("service-type", "a,b")]


def test_what_slots_know_nothing_of_is_kept_apart() -> None:
    """Roles and places are no parameters of the search; others are not applied."""
    request = asked(
        {"name": "practitionerRole", "valueUri": "PractitionerRole/a"},
        {"name": "location-string", "valueString": "Umeå"},
        {"name": "specialty", "valueString": "x"},
        {"name": "reason", "valueString": "Feber"},
    )

    assert (request.search, request.roles, request.places) == (
        [],
        frozenset({"a"}),
        frozenset({"Umeå"}),
    )
    assert list(request.not_applied) == ["specialty", "reason"]
    assert "Feber" not in str(request.called)
    assert [each.parameter for each in issues_of_find(request)] == [
        "specialty",
        "reason",
    ]
    assert {each.error_code for each in issues_of_find(request)} == {
        ErrorCode.FILTER_IS_NOT_APPLIED
    }


def test_a_cursor_is_followed_and_not_repeated() -> None:
    """The place of a page is searched from, and the next link has its own."""
    request = asked({"name": "_cursor", "valueString": "abc"})

    assert (list(request.search), list(request.called)) == ([("_cursor", "abc")], [])
