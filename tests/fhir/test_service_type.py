"""
The serviceType of an Appointment that a client sends: that of its slot, and no other.
"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_gateway.fhir.service_type import foreign_service_types

_SNOMED = "http://snomed.info/sct"
_OWN = "https://example.org/CodeSystem/time-types-SE1"
_SHARED_CODING = {"system": _SNOMED, "version": "v1", "code": "1", "display": "Prov"}
_OWN_CODING = {"system": _OWN, "code": "TT1", "display": "Provtagning"}
_SERVICE_TYPE = {"coding": [_SHARED_CODING, _OWN_CODING], "text": "Provtagning"}


def named(*concepts: dict[str, Any]) -> list[str | None]:
    """Return which codings are refused."""
    appointment = {"serviceType": list(concepts)}
    return [
        each.expression for each in foreign_service_types(appointment, _SERVICE_TYPE)
    ]


@pytest.mark.parametrize(
    "concept",
    [
        _SERVICE_TYPE,
        {"coding": [_OWN_CODING]},
        {"coding": [{"system": _SNOMED, "code": "1"}]},
        {"coding": [{"code": "TT1"}]},
        {"coding": [{"system": _SNOMED, "code": "1", "userSelected": True}]},
        {"coding": [{"display": "Provtagning"}]},
        {"text": "Provtagning"},
    ],
)
def test_what_the_slot_has_may_be_sent(concept: dict[str, Any]) -> None:
    """Its own coding, its shared meaning, a part of either, and any text."""
    assert named(concept) == []


@pytest.mark.parametrize(
    "coding",
    [
        {"system": _SNOMED, "code": "2"},
        {"system": _OWN, "code": "TT2"},
        {"system": f"{_OWN}1", "code": "TT1"},
        {"system": _SNOMED, "code": "TT1"},
        {"system": _SNOMED, "version": "v2", "code": "1"},
        {"code": "2"},
        {"system": "urn:x"},
    ],
)
def test_what_the_slot_has_not_is_named(coding: dict[str, Any]) -> None:
    """Each coding that is another is named, also beside the slot's own."""
    assert named({"text": "x"}, {"coding": [_OWN_CODING, coding]}) == [
        "Appointment.serviceType[1].coding[1]"
    ]


@given(st.lists(st.sampled_from([_OWN_CODING, {"code": "2"}]), min_size=1))
def test_every_other_coding_is_named(codings: list[dict[str, Any]]) -> None:
    """As many faults as codings that are not the slot's, each in its place."""
    assert named({"coding": codings}) == [
        f"Appointment.serviceType[0].coding[{place}]"
        for place, coding in enumerate(codings)
        if coding != _OWN_CODING
    ]
