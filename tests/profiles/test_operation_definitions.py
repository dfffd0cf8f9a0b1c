"""
The OperationDefinitions say what the operations take, and how they are called.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from fhir_gateway.bootstrap import Program
from fhir_gateway.fhir.appointment_operation import BOOK, CANCEL, HOLD, RESCHEDULE
from fhir_gateway.fhir.care_relation import RELATE, RELATIONS
from fhir_gateway.fhir.find_request import FIND
from fhir_gateway.fhir.operation_parameters import OperationParameter
from fhir_gateway.web.operation.validate import VALIDATE

PROFILES = Path(__file__).parents[2] / "profiles"
DECLARED = {
    "appointment-find": FIND,
    "appointment-hold": HOLD,
    "appointment-book": BOOK,
    "appointment-cancel": CANCEL,
    "appointment-reschedule": RESCHEDULE,
    "appointment-validate": VALIDATE,
    "appointment-relations": RELATIONS,
    "appointment-relate": RELATE,
    "slot-hold": HOLD,
}

# Of the whole system: what it takes and returns is no resource.
FEED = "bulk-publish"


def definition(name: str) -> dict[str, Any]:
    """Return the OperationDefinition of an operation."""
    path = PROFILES / f"OperationDefinition-{name}.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def test_every_operation_is_defined_and_no_other() -> None:
    """There is one definition for each operation."""
    defined = {path.stem for path in PROFILES.glob("OperationDefinition-*.json")}

    assert defined == {f"OperationDefinition-{name}" for name in (*DECLARED, FEED)}


@pytest.mark.parametrize(("name", "declared"), DECLARED.items())
def test_every_name_of_every_dialect_is_defined(
    name: str, declared: tuple[OperationParameter, ...]
) -> None:
    """Each name that is understood is a parameter, as often as it may be given."""
    reported = {
        each["name"]: each["max"]
        for each in definition(name)["parameter"]
        if each["use"] == "in"
    }

    assert reported == {
        spelt: str(parameter.most)
        for parameter in declared
        for spelt in parameter.names
    }


@pytest.mark.parametrize(("name", "declared"), DECLARED.items())
def test_the_stated_type_is_understood(
    name: str, declared: tuple[OperationParameter, ...]
) -> None:
    """The one type that R4 lets a definition name is one that is taken."""
    types = {spelt: each.types for each in declared for spelt in each.names}

    for reported in definition(name)["parameter"]:
        if reported["use"] == "in":
            taken = types[reported["name"]]
            kind = reported["type"]
            resources = ("Appointment", "Patient", "RelatedPerson", "Resource")
            assert ("resource" if kind in resources else kind) in taken, reported[
                "name"
            ]


@pytest.mark.parametrize("name", DECLARED)
def test_how_it_is_called_is_how_it_is_routed(made: Program, name: str) -> None:
    """It is called on the type, on an instance and by GET as its definition says."""
    reported = definition(name)
    adapter = made.app.url_map.bind("gateway.test")

    (kind,), code = reported["resource"], reported["code"]
    assert reported["type"] is adapter.test(f"/fhir/{kind}/${code}", "POST")
    assert reported["instance"] is adapter.test(f"/fhir/{kind}/x/${code}", "POST")
    # A read of the id "$find" would be a route too, so the endpoint decides.
    rules = [
        rule
        for rule in made.app.url_map.iter_rules()
        if rule.rule.endswith(f"/{kind}/${code}")
    ]
    by_get = {rule.rule for rule in rules if "GET" in (rule.methods or ())}
    assert bool(by_get) is not reported["affectsState"]


def test_every_operation_stands_in_the_statement(made: Program) -> None:
    """The CapabilityStatement names each operation of ours with its definition."""
    statement = made.app.test_client().get("/fhir/metadata").json
    assert statement is not None
    reported = {
        (each["type"], operation["name"]): operation["definition"]
        for each in statement["rest"][0]["resource"]
        # The others are HL7's own operations.
        if each["type"] in ("Appointment", "Slot")
        for operation in each.get("operation", ())
        if not operation["definition"].startswith("http://hl7.org/fhir/")
    }

    feed = definition(FEED)
    assert statement["rest"][0]["operation"] == [
        {"name": feed["code"], "definition": feed["url"]}
    ]
    assert reported == {
        (defined["resource"][0], defined["code"]): defined["url"]
        for defined in map(definition, DECLARED)
    }
