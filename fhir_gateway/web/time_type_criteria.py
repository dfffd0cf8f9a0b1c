"""
The time types that the values of `service-type` mean.
"""

from fhir_gateway.fhir.search_parameters import Token
from fhir_gateway.fhir.vocabulary import SNOMED_CT, Vocabulary
from fhir_gateway.model.ids import TimeTypeId
from fhir_gateway.services.search.slot_selection import (
    OwnTimeType,
    SharedTimeType,
    TimeTypeCriterion,
)

__all__ = ["time_type_criteria"]


def time_type_criteria(
    groups: tuple[tuple[Token, ...], ...], vocabulary: Vocabulary
) -> tuple[tuple[TimeTypeCriterion, ...], ...]:
    """Return the criteria of `service-type`'s tokens; each group must fit."""
    return tuple(
        tuple(
            criterion
            for token in group
            for criterion in _time_type_criterion(token, vocabulary)
        )
        for group in groups
    )


def _time_type_criterion(
    token: Token, vocabulary: Vocabulary
) -> list[TimeTypeCriterion]:
    if token.system == SNOMED_CT:
        return [SharedTimeType(token.code)]
    own_id = None if token.code is None else TimeTypeId(token.code)
    if token.system is None:
        return [SharedTimeType(token.code), OwnTimeType(None, own_id)]
    unit = vocabulary.unit_of_time_types(token.system)
    return [OwnTimeType(unit, own_id)] if unit else []
