"""
What `_include` follows.
"""

import pytest

from fhir_gateway.fhir.include_graph import Include, references_of, types_reached


def test_references_are_those_of_the_paths_element() -> None:
    """A path names the element by R4's search parameter, not by its own name."""
    service = {
        "resourceType": "HealthcareService",
        "providedBy": {"reference": "Organization/a"},
        "location": [{"reference": "Location/b"}, {"display": "nowhere"}],
    }

    assert references_of(service, Include("HealthcareService", "organization")) == [
        "Organization/a"
    ]
    assert references_of(service, Include("HealthcareService", "location")) == [
        "Location/b"
    ]
    assert references_of(service, Include("Location", "organization")) == []


def test_a_target_narrows_a_path() -> None:
    """`Schedule:actor:Location` follows no other actor."""
    schedule = {
        "resourceType": "Schedule",
        "actor": [{"reference": "Location/a"}, {"reference": "Practitioner/b"}],
    }

    assert references_of(schedule, Include("Schedule", "actor", "Location")) == [
        "Location/a"
    ]


@pytest.mark.parametrize(
    ("iterated", "reached"),
    [
        pytest.param([], {"Schedule"}, id="nothing"),
        pytest.param(
            [Include("Schedule", "actor", "HealthcareService")],
            {"Schedule", "HealthcareService"},
            id="one step",
        ),
        pytest.param(
            [
                Include("Location", "organization"),
                Include("HealthcareService", "location"),
                Include("Schedule", "actor", "HealthcareService"),
            ],
            {"Schedule", "HealthcareService", "Location", "Organization"},
            id="three steps, in any order",
        ),
        pytest.param(
            [Include("PractitionerRole", "practitioner")],
            {"Schedule"},
            id="a path that begins elsewhere",
        ),
    ],
)
def test_types_are_reached_step_by_step(
    iterated: list[Include], reached: set[str]
) -> None:
    """Each path leads on from every type that was reached before."""
    assert types_reached("Schedule", iterated) == reached
