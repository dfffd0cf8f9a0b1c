"""
Practitioner and PractitionerRole from performers.
"""

from dataclasses import replace

import pytest

from fhir_gateway.fhir.practitioner import (
    practitioner_from_performer,
    practitioner_role_from_performer,
    practitioner_role_id,
)
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model.care_unit import Performer
from fhir_gateway.model.ids import HsaId, SourceName

_OURS = Vocabulary("https://ours.example")
_NORR = SourceName("norr")
_UNIT = HsaId("SE2321000016-A01")
_ANNA = Performer(
    hsa_id=HsaId("SE2321000016-P1"),
    first_name="Anna",
    last_name="Provberg",
    title="Sjuksköterska",
)
_UNNAMED = {
    "resourceType": "Practitioner",
    "id": "SE2321000016-P1",
    "meta": {"source": "https://ours.example/source/norr"},
    "identifier": [{"system": "urn:oid:1.2.752.29.4.19", "value": "SE2321000016-P1"}],
    "active": True,
}


@pytest.mark.parametrize(
    ("performer", "display", "name"),
    [
        pytest.param(
            _ANNA,
            "Sjuksköterska Anna Provberg",
            {"family": "Provberg", "given": ["Anna"], "prefix": ["Sjuksköterska"]},
            id="on the list of staff",
        ),
        pytest.param(
            replace(_ANNA, title=None),
            None,
            {"family": "Provberg", "given": ["Anna"]},
            id="without a title",
        ),
        pytest.param(
            replace(_ANNA, first_name="", title=None),
            "Anna P",
            {"family": "Provberg"},
            id="without a first name",
        ),
        pytest.param(
            replace(_ANNA, first_name="", last_name="", title=None),
            "Anna P",
            {"text": "Anna P"},
            id="without any name on the list",
        ),
        pytest.param(None, "Anna P", {"text": "Anna P"}, id="known from a time alone"),
    ],
)
def test_a_performer_is_a_practitioner(
    performer: Performer | None, display: str | None, name: dict[str, object]
) -> None:
    """A practitioner has the name of the list of staff, else that of the times."""
    practitioner = practitioner_from_performer(
        performer, _ANNA.hsa_id, display=display, source=_NORR, vocabulary=_OURS
    )

    assert practitioner == {**_UNNAMED, "name": [name]}


def test_a_performer_of_unknown_name_is_a_practitioner() -> None:
    """A practitioner of whom nobody knows the name has none."""
    practitioner = practitioner_from_performer(
        None, _ANNA.hsa_id, display=None, source=_NORR, vocabulary=_OURS
    )

    assert practitioner == _UNNAMED


@pytest.mark.parametrize("display", [None, "Anna Provberg"])
def test_a_performers_work_at_a_unit_is_a_role(display: str | None) -> None:
    """A role says who does what, and where."""
    role = practitioner_role_from_performer(
        _ANNA.hsa_id,
        _UNIT,
        display=display,
        services=["a", "b"],
        source=_NORR,
        vocabulary=_OURS,
    )

    named = {"display": display} if display else {}
    assert role == {
        "resourceType": "PractitionerRole",
        "id": practitioner_role_id(_UNIT, _ANNA.hsa_id),
        "meta": {"source": "https://ours.example/source/norr"},
        "active": True,
        "practitioner": {"reference": "Practitioner/SE2321000016-P1", **named},
        "location": [{"reference": "Location/SE2321000016-A01"}],
        "healthcareService": [
            {"reference": "HealthcareService/a"},
            {"reference": "HealthcareService/b"},
        ],
    }


def test_the_longest_ids_make_a_fhir_id() -> None:
    """The id of a role is at most 40 characters, for any HSA-ids."""
    longest = HsaId("A" * 31)

    assert len(practitioner_role_id(longest, longest)) == 40
