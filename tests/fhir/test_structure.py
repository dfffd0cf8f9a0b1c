"""
The structure of resources: names, types and cardinalities, as R4 defines them.
"""

import json
from typing import Any

import pytest
from examples import examples
from fhir.resources.R4B import (  # noqa: TID251 - a reader of FHIR that is not ours
    get_fhir_model_class,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from fhir_gateway.fhir.outcome import Issue
from fhir_gateway.fhir.structure import Checked, checked

_MISFIT = "The element's value does not fit its type in R4."
_UNKNOWN = "R4 has no such element here."
_EMPTY = "Nothing in FHIR's JSON is null or empty: leave it out."


def appointment(**elements: Any) -> dict[str, Any]:
    """Return an Appointment of R4."""
    return {
        "resourceType": "Appointment",
        "status": "booked",
        "participant": [{"actor": {"display": "x"}, "status": "accepted"}],
        **elements,
    }


def patient(**elements: Any) -> dict[str, Any]:
    """Return an Appointment with a contained Patient."""
    return appointment(contained=[{"resourceType": "Patient", **elements}])


def faults(resource: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the place of each fault of a resource, and what is said of it."""
    return [
        (str(each.expression), str(each.diagnostics))
        for each in checked(resource).issues
    ]


@pytest.mark.parametrize(
    "resource",
    [
        appointment(),
        appointment(
            start="2026-11-27T08:00:00.123+01:00",
            end="2016-12-31T23:59:60Z",
            created="2026-11",
            minutesDuration=15,
            priority=0,
            comment="Hej\n",
            _comment={"extension": [{"url": "urn:x", "valueDecimal": 1.5}]},
            meta={"profile": ["http://x.example/p|1"], "tag": [{"code": "a b"}]},
            text={
                "status": "generated",
                "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>',
            },
        ),
        patient(
            name=[
                {
                    "family": "von T",
                    "_family": {"extension": [{"url": "urn:x", "valueString": "von"}]},
                    "given": ["A", None],
                    "_given": [
                        None,
                        {"extension": [{"url": "urn:x", "valueCode": "x"}]},
                    ],
                }
            ],
            birthDate="1912-12-12",
            _birthDate={"id": "b"},
            deceasedBoolean=False,
            photo=[{"data": "QUJD", "size": 3, "url": "http://x.example"}],
        ),
    ],
)
def test_what_r4_has_is_in_order(resource: dict[str, Any]) -> None:
    """A resource of R4 is kept whole."""
    assert checked(resource) == Checked(resource=resource, issues=(), lost=frozenset())


@pytest.mark.parametrize(
    ("elements", "place", "what"),
    [
        # Names that are not FHIR's.
        *(
            ({name: "x"}, name, _UNKNOWN)
            for name in (
                *("resource_type", "fhir_comments", "status__ext", "implicit_rules"),
                *("patient_instruction", "minutes_duration", "colour"),
                *("_id", "_participant", "_colour"),
            )
        ),
        # Other types in JSON.
        *(
            ({name: value}, name, _MISFIT)
            for name, value in (
                *(("start", 1764144000), ("start", "1764144000"), ("start", True)),
                *(("start", "2026-11-27"), ("start", "2026-11-27 08:00:00+01:00")),
                *(("start", "2026-11-27T08:00+01:00"), ("start", ["x"])),
                *(("start", "2026-11-27T08:00:00"), ("start", "2026-02-30T08:00:00Z")),
                *(("start", "2026-11-27T24:00:00Z"), ("start", "0000-01-01T00:00:00Z")),
                *(("start", "2026-11-27T08:00:00+15:00"), ("start", {"x": 1})),
                *(("start", "2026-11-27t08:00:00z"), ("start", "٢٠٢٦-11-27T08:00:00Z")),
                *(("created", "2026-11-27T08:00:00"), ("created", 2026)),
                *(("created", "2026-13"), ("created", "26-11-27")),
                *(("comment", 5), ("comment", True), ("comment", ["x"])),
                *(("priority", "1"), ("priority", 1.0), ("priority", True)),
                *(("priority", -1), ("priority", 2**31), ("minutesDuration", 0)),
                *(("slot", {"reference": "Slot/x"}), ("slot", "Slot/x")),
                *(("id", 5), ("id", "å"), ("id", "x" * 65), ("language", " sv")),
                *(("cancelationReason", [{"text": "x"}]), ("text", "x")),
                ("_comment", "x"),
            )
        ),
        ({"slot": ["Slot/x"]}, "slot[0]", _MISFIT),
        ({"slot": [[{"reference": "x"}]]}, "slot[0]", _MISFIT),
        # Nothing.
        *(({"comment": nothing}, "comment", _EMPTY) for nothing in (None, "", [], {})),
        ({"slot": [None]}, "slot[0]", _EMPTY),
        ({"slot": [{}]}, "slot[0]", _EMPTY),
        ({"_comment": None}, "comment", _EMPTY),
        ({"comment": "a\x1fb"}, "comment", "The text has a control character."),
    ],
)
def test_what_r4_has_not_is_named(
    elements: dict[str, Any], place: str, what: str
) -> None:
    """An element that R4 has not, or has otherwise, is one fault at its place."""
    expected = place.removeprefix("_") if what != _UNKNOWN else place

    assert faults(appointment(**elements)) == [(f"Appointment.{expected}", what)]


@pytest.mark.parametrize(
    ("elements", "place", "what"),
    [
        ({"active": "true"}, "active", _MISFIT),
        ({"active": 1}, "active", _MISFIT),
        ({"birthDate": 19121212}, "birthDate", _MISFIT),
        ({"birthDate": "1912-12-12T00:00:00Z"}, "birthDate", _MISFIT),
        ({"deceased": True}, "deceased", _UNKNOWN),
        ({"name": {"family": "T"}}, "name", _MISFIT),
        ({"name": [{"given": "T"}]}, "name[0].given", _MISFIT),
        ({"name": [{"given": [5]}]}, "name[0].given[0]", _MISFIT),
        ({"name": [{"given": ["T", None]}]}, "name[0].given[1]", _EMPTY),
        ({"name": [{"family": ["T"]}]}, "name[0].family", _MISFIT),
        ({"contained": [{"resourceType": "Patient"}]}, "contained", _UNKNOWN),
        ({"photo": [{"data": "A B=C"}]}, "photo[0].data", _MISFIT),
        (
            {"deceasedBoolean": True, "deceasedDateTime": "2020"},
            "deceased",
            "Only one of these can be given.",
        ),
        (
            {"gender": "M"},
            "gender",
            "The code must be one of female, male, other, unknown.",
        ),
        ({"extension": [{}]}, "extension[0]", _EMPTY),
        (
            {"extension": [{"valueString": "x"}]},
            "extension[0].url",
            "The element is required.",
        ),
    ],
)
def test_what_is_contained_is_checked_too(
    elements: dict[str, Any], place: str, what: str
) -> None:
    """A fault of a contained resource is named at its place there."""
    assert faults(patient(**elements)) == [(f"Appointment.contained[0].{place}", what)]


@pytest.mark.parametrize("name", ["19121212-1212", "Tolvansson", "a" * 41, "", "é"])
def test_a_name_that_may_be_somebodys_is_not_repeated(name: str) -> None:
    """An unknown element with a name unlike FHIR's is reported by its place."""
    assert faults(appointment(**{name: 1})) == [("Appointment", _UNKNOWN)]


def test_what_is_out_of_order_leaves_its_place_empty() -> None:
    """What is left of a list keeps its numbers."""
    sound = checked(appointment(slot=[5, {"reference": "Slot/a"}])).resource

    assert sound["slot"] == [{}, {"reference": "Slot/a"}]


def test_what_was_left_out_explains_what_is_missing() -> None:
    """A fault that only repeats that something is missing is not reported."""
    found = checked(appointment(slot=5, start=5))
    others = [
        Issue(code="required", expression="Appointment.slot"),
        Issue(code="value", expression="Appointment.slot[0].reference"),
        Issue(code="value", expression="Appointment.slotted"),
        Issue(code="value", expression="Appointment"),
    ]

    assert found.with_further(others) == [*found.issues, *others[2:]]


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=4)
    | st.sampled_from(["2026-11-27T08:00:00Z", "2026-11-27", "accepted", "urn:x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("status", "actor", "reference", "display", "text", "coding"),
                    *("extension", "url", "valueString", "_status", "resourceType"),
                    *("name", "given", "_given", "birthDate", "contained", "id"),
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@given(
    elements=st.dictionaries(
        st.sampled_from(
            [
                *("status", "participant", "contained", "start", "comment", "slot"),
                *("cancelationReason", "meta", "priority", "text", "_comment", "x"),
            ]
        ),
        _JSON,
    )
)
@settings(max_examples=examples(400))
def test_what_is_in_order_is_in_order_for_others(elements: dict[str, Any]) -> None:
    """Any object is checked; what is in order is in order for another reader."""
    resource = {**appointment(), **elements}

    found = checked(resource)
    if found.issues:
        assert checked({**resource, "x": 1}).issues
    else:
        assert json.loads(json.dumps(found.resource)) == resource
        try:
            get_fhir_model_class("Appointment").model_validate(resource)
        except ValidationError as error:
            # It has other views on narratives and on empty references.
            pytest.fail(str(error))


def test_an_extension_has_a_value_or_extensions() -> None:
    """ext-1: never both."""
    both = {
        "url": "urn:x",
        "valueCode": "x",
        "extension": [{"url": "urn:y", "valueCode": "y"}],
    }

    assert faults(appointment(extension=[both])) == [
        (
            "Appointment.extension[0]",
            "ext-1: an extension has a value or extensions, never both.",
        )
    ]


@pytest.mark.parametrize("more", [{}, {"id": "a"}])
def test_an_extension_says_something(more: dict[str, Any]) -> None:
    """ext-1: an extension without a value and without extensions is a fault."""
    assert faults(appointment(extension=[{"url": "urn:x", **more}])) == [
        (
            "Appointment.extension[0]",
            "ext-1: an extension has a value or extensions.",
        )
    ]


@pytest.mark.parametrize(
    "extension",
    [
        {"url": "urn:x", "valueCode": 1},
        {"url": "urn:x", "valueUnheardOf": "x"},
        {"url": "urn:x", "extension": []},
        {"url": "urn:x", "extension": [{"url": "urn:y"}]},
    ],
)
def test_a_faulty_value_of_an_extension_is_one_fault(extension: dict[str, Any]) -> None:
    """A value that cannot be read is not missing, too."""
    assert len(faults(appointment(extension=[extension]))) == 1


def test_a_value_to_reach_somebody_says_what_it_is() -> None:
    """cpt-2: a ContactPoint with a value has a system."""
    patient = {"resourceType": "Patient", "id": "p", "telecom": [{"value": "070-1"}]}

    assert faults(appointment(contained=[patient])) == [
        (
            "Appointment.contained[0].telecom[0]",
            "cpt-2: a value needs a system, such as phone or email.",
        )
    ]


def test_extensions_of_a_value_are_enough() -> None:
    """An extension may state why it has no value."""
    reason = {"url": "urn:reason", "valueCode": "unknown"}
    absent = {"url": "urn:x", "_valueCode": {"extension": [reason]}}

    assert faults(appointment(extension=[absent])) == []
