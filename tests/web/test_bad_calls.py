"""
An operation has one answer to any call, and repeats nothing.
"""

import json
from typing import Any, Final
from urllib.parse import quote_plus
from uuid import uuid4

import pytest
from examples import examples
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_gateway.fhir.appointment_operation import BOOK, CANCEL, HOLD, RESCHEDULE
from fhir_gateway.fhir.find_request import FIND

from .bodies import FHIR_JSON, PERSONNUMMER, appointment
from .dialects import parameters, patient, resource
from .test_bad_requests import check

_NUMBER: Final = "197501019801"
_SETTINGS = settings(
    max_examples=examples(80),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
_OPERATIONS: Final = {
    "find": FIND,
    "hold": HOLD,
    "book": BOOK,
    "cancel": CANCEL,
    "reschedule": RESCHEDULE,
}
# Of a unit that nobody knows: nothing is booked here.
_SLOT: Final = "SE1-1.00000000.00000000.1lgd3jo.s4"
_NAMES = st.sampled_from(
    [
        *sorted(
            {
                name
                for declared in _OPERATIONS.values()
                for parameter in declared
                for name in parameter.names
            }
        ),
        *("colour", _NUMBER, "Provmarkör", ""),
    ]
)
_TEXTS = st.sampled_from(
    [
        *(
            "",
            "x",
            "#patient",
            "Appointment/x",
            f"Appointment/{_SLOT}",
            f"Slot/{_SLOT}",
        ),
        *(
            f"Slot/{_SLOT}/_history/1",
            "Slot/x",
            "Location/SE1-1",
            "Patient/1",
            "|",
            ",",
        ),
        *("2026-12-01", "2026-12-01T10:00:00+01:00", "ge2026", "24:00", "\\", "\ud7ff"),
        *("proposed", "pending", "booked", "cancelled", "free", "busy-tentative"),
        *(f"{PERSONNUMMER}|{_NUMBER}", f"{PERSONNUMMER}|1", "https://x.example/Slot/x"),
        *(
            "http://gateway.test/fhir/Slot/x",
            "0",
            "-1",
            "1e9",
            "x" * 3_000,
            "Provmarkör",
        ),
        *(str(uuid4()), f"Appointment/{uuid4()}", "Schedule/a.b.c"),
    ]
)
_LEAVES = _TEXTS | st.sampled_from([None, True, 0, -1, 1.5, 10**30])
_KEYS = st.sampled_from(
    [
        *("resourceType", "id", "status", "slot", "participant", "actor", "identifier"),
        *(
            "system",
            "value",
            "reference",
            "type",
            "contained",
            "name",
            "coding",
            "code",
        ),
        *("comment", "start", "end", "extension", "cancelationReason", "text", "meta"),
    ]
)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4)
    ),
    max_leaves=8,
)
_TYPES = st.sampled_from(
    [
        *("valueString", "valueUri", "valueReference", "valueDateTime", "valueInteger"),
        *("valueCoding", "valueCodeableConcept", "valueIdentifier", "valueTiming"),
        *("valueCode", "resource", "part", "value", "valuePositiveInt", "valueX", "x"),
    ]
)
_APPOINTMENTS = st.dictionaries(_KEYS, _VALUES, max_size=4).map(
    lambda changes: {**appointment(_SLOT, _NUMBER, comment="Provmarkör"), **changes}
)
_PATIENTS = st.dictionaries(_KEYS, _VALUES, max_size=3).map(
    lambda changes: {**patient(_NUMBER), **changes}
)
_PARAMETER = (
    st.fixed_dictionaries(
        {"name": _NAMES}, optional={"valueString": _TEXTS, "valueUri": _TEXTS}
    )
    | st.tuples(_NAMES, _TYPES, _VALUES).map(
        lambda one: {"name": one[0], one[1]: one[2]}
    )
    | st.tuples(
        st.sampled_from(["appointment-resource", "appt-resource", "appointment"]),
        _APPOINTMENTS,
    ).map(lambda pair: resource(*pair))
    | _PATIENTS.map(lambda each: resource("patient-resource", each))
)
_CALLS = st.lists(_PARAMETER | _VALUES, max_size=5)
_INSTANCES = st.sampled_from(["", "x/", f"{_SLOT}/", f"{uuid4()}/"])


def _send(client: FlaskClient, name: str, instance: str, body: Any) -> None:
    path = f"/fhir/Appointment/{instance if name != 'find' else ''}${name}"
    response = client.post(path, data=json.dumps(body), content_type=FHIR_JSON)
    if response.status_code != 200:
        check(response)
    assert response.status_code < 500 or response.status_code == 503


@pytest.mark.parametrize("name", _OPERATIONS)
@given(instance=_INSTANCES, given_=_CALLS)
@_SETTINGS
def test_any_parameters_are_answered(
    client: FlaskClient, name: str, instance: str, given_: list[Any]
) -> None:
    """No Parameters make an operation fail, or are repeated."""
    _send(client, name, instance, {"resourceType": "Parameters", "parameter": given_})


@pytest.mark.parametrize("name", _OPERATIONS)
@given(instance=_INSTANCES, body=_APPOINTMENTS | _VALUES)
@_SETTINGS
def test_any_body_is_answered(
    client: FlaskClient, name: str, instance: str, body: Any
) -> None:
    """No Appointment alone, and nothing else, makes an operation fail."""
    _send(client, name, instance, body)


@given(pairs=st.lists(st.tuples(_NAMES, _TEXTS | st.text(max_size=20)), max_size=5))
@_SETTINGS
def test_any_query_is_answered(
    client: FlaskClient, pairs: list[tuple[str, str]]
) -> None:
    """No query makes `$find` fail; a refusal repeats no value."""
    query = "&".join(
        f"{quote_plus(name, errors='replace')}={quote_plus(value, errors='replace')}"
        for name, value in pairs
    )
    response = client.get(f"/fhir/Appointment/$find?{query}")

    assert response.status_code < 500
    if response.status_code != 200:
        check(response)


def test_a_crowd_of_parameters_is_few_issues(client: FlaskClient) -> None:
    """More parameters than anybody needs are refused in one sentence."""
    body = parameters(*[{"name": "colour", "valueString": "x"}] * 250)

    response = client.post("/fhir/Appointment/$book", json=body, content_type=FHIR_JSON)
    assert response.status_code == 400
    assert response.json is not None
    assert len(response.json["issue"]) == 1
