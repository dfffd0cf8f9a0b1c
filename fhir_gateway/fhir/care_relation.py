"""
Relations of a resident with units, as parameters of `$relations` and `$relate`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from fhir_gateway.fhir.operation_parameters import (
    REFERENCES,
    Arguments,
    OperationParameter,
    arguments_from_resource,
)
from fhir_gateway.fhir.patient import number_from_identifier
from fhir_gateway.model.care_relation import CareRelation
from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.person import PersonalIdentityNumber

__all__ = [
    "RELATE",
    "RELATIONS",
    "RelationCall",
    "parameters_from_relations",
    "relation_call",
]

_PATIENT: Final = OperationParameter(
    names=("patient",), types=frozenset({"Identifier"})
)
_MOST_AT_ONCE: Final = 20
_ADD: Final = OperationParameter(names=("add",), types=REFERENCES, most=_MOST_AT_ONCE)
_REMOVE: Final = OperationParameter(
    names=("remove",), types=REFERENCES, most=_MOST_AT_ONCE
)
RELATIONS: Final = (_PATIENT,)
RELATE: Final = (_PATIENT, _ADD, _REMOVE)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RelationCall:
    """
    What a call of `$relations` or `$relate` says.

    Attributes:
        number: The resident; None where the call names none.
        add: The units to add.
        remove: The units to remove.
    """

    number: PersonalIdentityNumber | None
    add: frozenset[HsaId] = frozenset()
    remove: frozenset[HsaId] = frozenset()


def relation_call(body: object, base_url: str, *, changes: bool) -> RelationCall:
    """
    Return the call in a Parameters resource.

    Args:
        body: The resource.
        base_url: What absolute references to this server begin with.
        changes: It is a call of `$relate`.

    Raises:
        Problem: 400, with an issue for each fault; none repeats a value.
    """
    declared = RELATE if changes else RELATIONS
    arguments = arguments_from_resource(body, declared, base_url)
    number = _number(arguments)
    add, remove = _units(arguments, "add"), _units(arguments, "remove")
    if changes and not arguments.names_any(_ADD, _REMOVE):
        arguments.fault("required", "Name units to add or to remove.")
    if add & remove:
        arguments.fault("value", "Each unit is to be added or to be removed, not both.")
    arguments.check()
    return RelationCall(number=number, add=add, remove=remove)


def parameters_from_relations(relations: Iterable[CareRelation]) -> dict[str, Any]:
    """Return relations as the parameters of an answer, one for each unit."""
    return {
        "resourceType": "Parameters",
        "parameter": [
            {
                "name": "relation",
                "part": [
                    {
                        "name": "unit",
                        "valueReference": {
                            "reference": f"Location/{each.unit.hsa_id}",
                            "display": each.unit.name,
                        },
                    },
                    *({"name": "kind", "valueCode": kind.value} for kind in each.kinds),
                ],
            }
            for each in relations
        ],
    }


def _number(arguments: Arguments) -> PersonalIdentityNumber | None:
    for given in arguments.all("patient"):
        try:
            return number_from_identifier(
                given.value.get("system"), given.value.get("value", "")
            )
        except ValueError as error:
            arguments.fault("value", f"patient: {error}.", given)
    return None


def _units(arguments: Arguments, name: str) -> frozenset[HsaId]:
    units = set()
    for given in arguments.all(name):
        referred = arguments.referred(given, "Location")
        if referred is None:
            continue
        try:
            units.add(HsaId(referred))
        except ValueError:
            arguments.fault("value", f"{name}: no Location has such an id.", given)
    return frozenset(units)
