"""
Parameters: read in any dialect, with every fault.
"""

from contextlib import suppress
from typing import Any, Final

import pytest
from assertions import assert_problem, issue
from hypothesis import given
from hypothesis import strategies as st

from fhir_gateway.fhir.operation_parameters import (
    REFERENCES,
    RESOURCE,
    TEXTS,
    Arguments,
    OperationParameter,
    arguments_from_query,
    arguments_from_resource,
)
from fhir_gateway.fhir.outcome import Problem

_BASE: Final = "http://gateway.test/fhir"
_WORD: Final = OperationParameter(names=("word", "term"), types=TEXTS, most=2)
_WHERE: Final = OperationParameter(names=("where",), types=REFERENCES)
_WHO: Final = OperationParameter(names=("who",), types=RESOURCE)
_DECLARED: Final = (_WORD, _WHERE, _WHO)


def read(*parameter: Any) -> Arguments:
    """Read a Parameters resource."""
    body = {"resourceType": "Parameters", "parameter": list(parameter)}
    return arguments_from_resource(body, _DECLARED, _BASE)


def faults(arguments: Arguments, *issues: dict[str, Any]) -> None:
    """The arguments have exactly these faults."""
    with pytest.raises(Problem) as raised:
        arguments.check()

    assert_problem(raised.value, 400, *issues)


def test_synonyms_are_one_parameter() -> None:
    """A value is found by the first name, under any name that the client used."""
    arguments = read(
        {"name": "term", "valueString": "a"}, {"name": "word", "valueCode": "b"}
    )

    arguments.check()
    assert [each.value for each in arguments.all("word")] == ["a", "b"]
    assert arguments.spelt == {"word", "term"}
    assert arguments.text("word") == "a"


def test_too_many_are_refused() -> None:
    """The one that is too many is named, with all its synonyms."""
    word = {"name": "word", "valueString": "a"}

    faults(
        read(word, word, {"name": "term", "valueString": "a"}),
        issue(
            "value",
            "term: is given more than 2 times (word or term).",
            expression="Parameters.parameter[2].value",
        ),
    )


def test_what_is_absent_is_none() -> None:
    """A parameter that is not given has neither text, nor reference, nor resource."""
    arguments = read({"name": "word", "valueString": "a"})

    assert arguments.reference("where", "Location") is None
    assert arguments.resource("who", "Patient") is None
    assert arguments.text("where") is None


@pytest.mark.parametrize(
    "value",
    [
        {"valueReference": {"reference": "Location/a"}},
        {"valueUri": "Location/a"},
        {"valueString": "a"},
        {"valueId": "a"},
        {"valueUri": f"{_BASE}/Location/a"},
    ],
)
def test_a_reference_has_many_spellings(value: dict[str, Any]) -> None:
    """A reference is a Reference or a text, relative, absolute, or the id alone."""
    arguments = read({"name": "where", **value})

    assert arguments.reference("where", "Location") == "a"
    arguments.check()


@pytest.mark.parametrize(
    "value",
    [
        {"valueReference": {"display": "a"}},
        {"valueReference": {"reference": "a"}},
        {"valueUri": "Location/a/_history/3"},
        {"valueUri": "https://elsewhere.example/fhir/Location/a"},
        {"valueUri": f"{_BASE}x/Location/a"},
        {"valueUri": "../Location/a"},
        {"valueUri": "urn:uuid:a"},
        {"valueUri": "Practitioner/a"},
        {"valueUri": "#a"},
        {"valueUri": "Location/a/b"},
        {"valueUri": "x" * 65},
    ],
)
def test_what_is_no_reference_is_refused(value: dict[str, Any]) -> None:
    """Another type, a contained resource, and what is no id are refused."""
    arguments = read({"name": "where", **value})

    assert arguments.reference("where", "Location") is None
    faults(
        arguments,
        issue(
            "value",
            "where must be a reference to this server, as Location/id.",
            expression="Parameters.parameter[0].value",
        ),
    )


def test_a_resource_has_its_type() -> None:
    """A resource of another type than asked for is refused."""
    arguments = read({"name": "who", "resource": {"resourceType": "Patient"}})
    assert arguments.resource("who", "Patient") == {"resourceType": "Patient"}

    other = read({"name": "who", "resource": {"resourceType": "Practitioner"}})
    assert other.resource("who", "Patient") is None
    faults(
        other,
        issue(
            "value",
            "who must be one Patient.",
            expression="Parameters.parameter[0].resource",
        ),
    )


def test_faults_of_a_query_name_the_parameter() -> None:
    """In a URL a fault is located by the name, which is shown if it is harmless."""
    arguments = arguments_from_query(
        [("colour", "red"), ("191212121212", "x")], _DECLARED, _BASE
    )

    faults(
        arguments,
        issue(
            "not-supported",
            "colour: is not a parameter of this operation; see /metadata for those that"
            " are.",
            location="http.colour",
        ),
        issue(
            "not-supported",
            "(a name that cannot be shown): is not a parameter of this operation; see"
            " /metadata for those that are.",
        ),
    )


@pytest.mark.parametrize(
    "parameter",
    [
        {"name": "word", "valueString": 1},
        {"name": "word", "valueString": {"a": 1}},
        {"name": "where", "valueReference": "Location/a"},
        {"name": "word", "valueInteger": True},
    ],
)
def test_a_value_of_another_json_type_is_refused(parameter: dict[str, Any]) -> None:
    """A JSON value must fit the type in its key."""
    faults(
        read(parameter),
        issue(
            "value",
            "The element's value does not fit its type in R4.",
            expression="Parameters.parameter[0].value",
        ),
    )


@pytest.mark.parametrize("body", [None, [], "x", {}, {"resourceType": "Bundle"}])
def test_another_body_is_refused(body: object) -> None:
    """Nothing but Parameters is read as Parameters."""
    with pytest.raises(Problem):
        arguments_from_resource(body, _DECLARED, _BASE)


def test_every_fault_of_structure_is_named_where_it_is() -> None:
    """At any depth, what R4 does not have is named, and so is what changes meaning."""
    modifier = [{"url": "urn:x", "valueBoolean": True}]
    part = {"name": "p", "part": [{"name": "q", "valueString": 1}]}

    faults(
        read(
            {"name": "word", "valueString": "a", "modifierExtension": modifier},
            {"name": "where", "valueReference": {"reference": "Location/a", "x": 1}},
            {"name": "word", "part": [part]},
            {"name": "who", "resource": {"resourceType": "Patient", "active": "no"}},
            {"valueString": "a"},
            "word",
        ),
        issue(
            "not-supported",
            "modifierExtension is not understood here: leave it out.",
            expression="Parameters.parameter[0].modifierExtension",
        ),
        issue(
            "structure",
            "R4 has no such element here.",
            expression="Parameters.parameter[1].value.x",
        ),
        issue(
            "value",
            "The element's value does not fit its type in R4.",
            expression="Parameters.parameter[2].part[0].part[0].value",
        ),
        issue(
            "value",
            "The element's value does not fit its type in R4.",
            expression="Parameters.parameter[3].resource.active",
        ),
        issue(
            "required",
            "The element is required.",
            expression="Parameters.parameter[4].name",
        ),
        issue(
            "value",
            "The element's value does not fit its type in R4.",
            expression="Parameters.parameter[5]",
        ),
    )


@pytest.mark.parametrize(
    "parameter",
    [
        {"name": "word"},
        {"name": "word", "part": [{"name": "a", "valueString": "b"}]},
        {"name": "word", "valueString": "a", "part": [{"name": "a"}]},
        {
            "name": "who",
            "valueString": "a",
            "resource": {"resourceType": "Patient"},
        },
    ],
)
def test_a_parameter_has_one_value(parameter: dict[str, Any]) -> None:
    """A parameter without a value, with parts, or with two values is refused."""
    faults(
        read(parameter),
        issue(
            "structure",
            "The parameter must have one value, or one resource.",
            expression="Parameters.parameter[0]",
        ),
    )


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "valueString", "resource", "part", "x"]), inner
        )
    ),
    max_leaves=8,
)


@given(parameter=st.lists(_JSON, max_size=4))
def test_any_json_is_read_or_refused(parameter: list[Any]) -> None:
    """Reading any list ends in arguments or in faults."""
    arguments = None
    with suppress(Problem):
        arguments = read(*parameter)
        arguments.check()

    assert arguments is None or arguments.spelt <= {"word", "term", "where", "who"}
