"""
JSON Schemas of resources: they take what R4 takes, as far as they say.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from fhir_gateway.fhir.json_schema import resource_schemas

_EXAMPLES = Path(__file__).parents[2] / "profiles" / "examples"
_WHOLE = ("Appointment", "Bundle", "OperationOutcome", "Parameters", "Slot", "Schedule")


def errors(resource: dict[str, Any], *, brief: tuple[str, ...] = ()) -> list[str]:
    """Return what the schema of its type says of a resource."""
    schemas = resource_schemas(_WHOLE, brief)
    schema = {
        "$ref": f"#/components/schemas/{resource['resourceType']}",
        "components": {"schemas": schemas},
    }
    return [
        error.json_path for error in Draft202012Validator(schema).iter_errors(resource)
    ]


@pytest.mark.parametrize(
    "path",
    [path for kind in _WHOLE for path in sorted(_EXAMPLES.glob(f"{kind}-*.json"))],
    ids=lambda path: path.stem,
)
def test_a_valid_resource_fits(path: Path) -> None:
    """Each example that HL7's validator accepts fits the schema of its type."""
    assert errors(json.loads(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"status": None}, "$.status"),
        ({"status": "open"}, "$.status"),
        ({"start": 7}, "$.start"),
        ({"schedule": "Schedule/a"}, "$.schedule"),
        ({"serviceType": {}}, "$.serviceType"),
        ({"overbooked": "no"}, "$.overbooked"),
    ],
)
def test_a_wrong_element_does_not_fit(change: dict[str, Any], place: str) -> None:
    """A type, a code or a cardinality that R4 does not have is an error."""
    slot = {
        "resourceType": "Slot",
        "schedule": {"reference": "Schedule/a"},
        "status": "free",
        "start": "2026-11-28T13:00:00+01:00",
        "end": "2026-11-28T13:15:00+01:00",
    }

    assert errors(slot) == []
    assert {*errors({**slot, **change})} == {place}


def test_a_missing_element_does_not_fit() -> None:
    """What R4 requires is required."""
    assert errors({"resourceType": "Slot"}) == ["$"] * 4


def test_a_brief_schema_says_the_type_only() -> None:
    """Of a resource that clients do not write, the type is enough."""
    found = resource_schemas([], ["CapabilityStatement"])["CapabilityStatement"]

    assert found["properties"] == {"resourceType": {"const": "CapabilityStatement"}}
