"""
FHIRPath Patch: each operation as one of JSON Patch, for the resource as it is.

https://hl7.org/fhir/R4/fhirpatch.html
"""

from copy import deepcopy
from typing import Any

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_gateway.fhir.fhirpath_patch import (
    NoFhirPathPatch,
    NotApplicable,
    json_patch_operation,
    operations_from_parameters,
)

_RESOURCE: dict[str, Any] = {
    "resourceType": "Appointment",
    "status": "booked",
    "comment": "Hej",
    "slot": [{"reference": "Slot/a"}],
    "participant": [
        {"status": "accepted", "actor": {"display": "A"}},
        {"status": "accepted", "actor": {"display": "B"}},
    ],
}


def operation(kind: str, **parts: Any) -> dict[str, Any]:
    """Return a parameter that is an operation; an int is an index."""
    listed = [{"name": "type", "valueCode": kind}]
    for name, value in parts.items():
        if isinstance(value, dict):
            listed.append({"name": name, **value})
        else:
            form = "valueInteger" if isinstance(value, int) else "valueString"
            listed.append({"name": name, form: value})
    return {"name": "operation", "part": listed}


def patched(*operations: dict[str, Any]) -> dict[str, Any]:
    """Return the resource with a patch applied."""
    found: dict[str, Any] = deepcopy(_RESOURCE)
    body = {"resourceType": "Parameters", "parameter": list(operations)}
    for each in operations_from_parameters(body):
        found = jsonpatch.apply_patch(found, json_patch_operation(found, each))
    return found


def test_an_element_is_replaced() -> None:
    """`replace` changes the one element that its path names."""
    assert patched(
        operation(
            "replace", path="Appointment.status", value={"valueCode": "cancelled"}
        )
    ) == {**_RESOURCE, "status": "cancelled"}


@pytest.mark.parametrize(
    "path",
    [
        "Appointment.slot.reference",
        "Appointment.slot[0].reference",
    ],
)
def test_a_list_of_one_needs_no_index(path: str) -> None:
    """A path without an index names the one item of a list."""
    assert patched(
        operation("replace", path=path, value={"valueString": "Slot/b"})
    ) == {**_RESOURCE, "slot": [{"reference": "Slot/b"}]}


def test_a_whole_element_is_replaced() -> None:
    """The value may be an object of any type."""
    reference = {"valueReference": {"reference": "Slot/b"}}
    assert patched(
        operation("replace", path="Appointment.slot[0]", value=reference)
    ) == {**_RESOURCE, "slot": [{"reference": "Slot/b"}]}


def test_an_element_is_added() -> None:
    """`add` makes an absent element, and appends to a list."""
    reason = {"valueCodeableConcept": {"text": "Frisk"}}
    item = {"valueReference": {"reference": "Slot/b"}}
    assert patched(
        operation("add", path="Appointment", name="cancelationReason", value=reason),
        operation("add", path="Appointment", name="slot", value=item),
        operation("add", path="Appointment", name="reasonCode", value=reason),
    ) == {
        **_RESOURCE,
        "cancelationReason": {"text": "Frisk"},
        "slot": [{"reference": "Slot/a"}, {"reference": "Slot/b"}],
        "reasonCode": [{"text": "Frisk"}],
    }


def test_a_nameless_type_is_written_as_parts() -> None:
    """A value without a type of its own has its elements as parts."""
    value = {
        "part": [
            {"name": "status", "valueCode": "accepted"},
            {"name": "type", "valueCodeableConcept": {"text": "x"}},
            {"name": "actor", "part": [{"name": "display", "valueString": "C"}]},
        ]
    }
    added = patched(
        operation("add", path="Appointment", name="participant", value=value)
    )

    assert added["participant"][2:] == [
        {"status": "accepted", "type": [{"text": "x"}], "actor": {"display": "C"}}
    ]


def test_an_item_is_inserted_moved_and_deleted() -> None:
    """`insert`, `move` and `delete` change the order and the number of items."""
    value = {"valueReference": {"reference": "Slot/b"}}
    inserted = operation("insert", path="Appointment.slot", index=0, value=value)
    moved = operation("move", path="Appointment.slot", source=1, destination=0)
    deleted = operation("delete", path="Appointment.slot[1]")

    a, b = {"reference": "Slot/a"}, {"reference": "Slot/b"}
    assert patched(inserted)["slot"] == [b, a]
    assert patched(inserted, moved)["slot"] == [a, b]
    assert patched(inserted, moved, deleted)["slot"] == [a]


@pytest.mark.parametrize(
    "path",
    [
        "Appointment.description",
        "Appointment.slot[4]",
        "Appointment.cancelationReason.text",
    ],
)
def test_what_is_absent_is_deleted_already(path: str) -> None:
    """R4: an element is deleted if it is found."""
    assert patched(operation("delete", path=path)) == _RESOURCE


@pytest.mark.parametrize(
    "given_operation",
    [
        operation("replace", path="Appointment.colour", value={"valueCode": "x"}),
        operation("replace", path="Appointment.description", value={"valueCode": "x"}),
        operation("replace", path="Patient.name", value={"valueCode": "x"}),
        operation("replace", path="Appointment", value={"valueCode": "x"}),
        operation(
            "replace",
            path="Appointment.status",
            value={"valueCode": "a", "valueString": "b"},
        ),
        operation("replace", path="Appointment.status.x", value={"valueCode": "x"}),
        operation(
            "replace",
            path="Appointment.participant.status",
            value={"valueCode": "declined"},
        ),
        operation(
            "replace",
            path="Appointment.participant.where(status='accepted').status",
            value={"valueCode": "declined"},
        ),
        operation("delete", path="Appointment.participant"),
        operation(
            "add", path="Appointment", name="status", value={"valueCode": "pending"}
        ),
        operation("add", path="Appointment", name="colour", value={"valueCode": "x"}),
        operation(
            "add",
            path="Appointment.slot[3]",
            name="reference",
            value={"valueCode": "x"},
        ),
        operation("insert", path="Appointment.slot", index=2, value={"valueCode": "x"}),
        operation(
            "insert", path="Appointment.status", index=0, value={"valueCode": "x"}
        ),
        operation("move", path="Appointment.slot", source=0, destination=1),
        operation("move", path="Appointment.status", source=0, destination=0),
        operation(
            "add",
            path="Appointment",
            name="participant",
            value={"part": [{"name": "colour", "valueString": "x"}]},
        ),
        operation(
            "add",
            path="Appointment",
            name="participant",
            value={"part": [{"name": "status", "valueCode": "x"}] * 2},
        ),
        operation(
            "add",
            path="Appointment",
            name="participant",
            value={"part": [{"name": "status", "valueCode": "x"}] * 200},
        ),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(given_operation: dict[str, Any]) -> None:
    """An operation without exactly one place, or with another form, is refused."""
    with pytest.raises(NotApplicable):
        patched(given_operation)


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {"resourceType": "Appointment"},
        {"resourceType": "Parameters"},
        {"resourceType": "Parameters", "parameter": []},
        {"resourceType": "Parameters", "parameter": {}},
        *(
            {"resourceType": "Parameters", "parameter": [each]}
            for each in (
                None,
                {"name": "operation"},
                {"name": "op", "part": []},
                {"name": "operation", "part": []},
                {"name": "operation", "part": [None]},
                {"name": "operation", "part": [{"name": "type"}]},
                operation("remove", path="Appointment.status"),
                operation("replace", path="Appointment.status"),
                operation("delete", path="Appointment.status", index=1),
                operation("delete", path={"valueCode": "Appointment.status"}),
                operation("delete", path={"valueString": 1}),
                operation("delete", path="Appointment.status", colour="x"),
                operation("move", path="Appointment.slot", source=-1, destination=0),
                operation("move", path="Appointment.slot", source=True, destination=0),
                {
                    "name": "operation",
                    "part": [{"name": "type", "valueCode": "delete"}] * 2,
                },
            )
        ),
    ],
    ids=str,
)
def test_what_is_no_fhirpath_patch_is_refused(body: Any) -> None:
    """A body without the parts that each operation needs is refused."""
    with pytest.raises(NoFhirPathPatch):
        operations_from_parameters(body)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["name", "part", "valueCode", "valueString", "valueInteger"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)
_PATHS = st.sampled_from(
    [
        *(
            "Appointment",
            "Appointment.status",
            "Appointment.slot",
            "Appointment.slot[0]",
        ),
        *("Appointment.slot[9]", "Appointment.contained[0].id", "Appointment.x", ""),
        *("Appointment.participant", "Appointment.participant[1].actor", "a..b", "é"),
    ]
)


@given(
    kind=st.sampled_from(["add", "insert", "delete", "replace", "move"]),
    path=_PATHS,
    name=st.sampled_from(["status", "slot", "x", "contained"]),
    numbers=st.tuples(*[st.integers(0, 3)] * 3),
    value=_JSON,
)
def test_any_patch_is_applied_or_refused(
    kind: str, path: str, name: str, numbers: tuple[int, int, int], value: Any
) -> None:
    """No patch, of any form, fails in another way than by a refusal."""
    parts = {
        "path": path,
        "name": name,
        "index": numbers[0],
        "source": numbers[1],
        "destination": numbers[2],
        "value": value if isinstance(value, dict) else {"valueString": value},
    }
    parts["value"].pop("name", None)
    needed = {
        "add": ("path", "name", "value"),
        "insert": ("path", "index", "value"),
        "delete": ("path",),
        "replace": ("path", "value"),
        "move": ("path", "source", "destination"),
    }[kind]
    try:
        found = patched(operation(kind, **{each: parts[each] for each in needed}))
    except (NoFhirPathPatch, NotApplicable):
        return
    assert found["resourceType"] == "Appointment"
