"""
Time types as CodeableConcept: the shared meaning beside the unit's own words.
"""

from typing import Any

from fhir_gateway.fhir.vocabulary import SNOMED_CT, SNOMED_CT_SWEDEN, Vocabulary
from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.timeslot import TimeType

__all__ = ["service_type_from_time_type"]


def service_type_from_time_type(
    time_type: TimeType, unit: HsaId, vocabulary: Vocabulary
) -> dict[str, Any]:
    """Return a time type; the unit's own coding is always there, and last."""
    return {
        "coding": [
            *(
                {
                    "system": SNOMED_CT,
                    "version": SNOMED_CT_SWEDEN,
                    "code": shared.code,
                    "display": shared.display,
                }
                for shared in time_type.standard
            ),
            {
                "system": vocabulary.time_types(unit),
                "code": str(time_type.id.code),
                "display": time_type.name,
            },
        ],
        "text": time_type.name,
    }
