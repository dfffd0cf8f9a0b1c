"""
The questions of the refresh to a source.
"""

from dataclasses import dataclass
from typing import Final

from fhir_gateway.model import scheduling
from fhir_gateway.model.ids import HsaId, TimeTypeId
from fhir_gateway.model.interaction import Interaction

__all__ = ["TIMES", "Question"]

TIMES: Final = scheduling.GET_AVAILABLE_TIMESLOTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """
    One question: a unit's time types or staff, or the free times of a time type.

    Attributes:
        interaction: The contract that answers it.
        time_type_id: The time type, when the question is for free times.
    """

    interaction: Interaction
    unit: HsaId
    time_type_id: TimeTypeId | None = None
