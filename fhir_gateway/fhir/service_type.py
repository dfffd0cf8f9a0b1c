"""
Time types as CodeableConcept: the shared meaning beside the unit's own coding.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from fhir_gateway.fhir.outcome import Issue
from fhir_gateway.fhir.vocabulary import SNOMED_CT, SNOMED_CT_SWEDEN, Vocabulary
from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.timeslot import TimeType

__all__ = ["foreign_service_types", "service_type_from_time_type"]

_OF_CODING: Final = ("system", "version", "code")


def service_type_from_time_type(
    time_type: TimeType, unit: HsaId, vocabulary: Vocabulary
) -> dict[str, Any]:
    """Return a time type; the unit's own coding is always the last."""
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


def foreign_service_types(
    appointment: Mapping[str, Any], service_type: Mapping[str, Any]
) -> Iterator[Issue]:
    """
    Yield a fault for each coding of `serviceType` that a slot does not have.

    Nobody would give the care that such a coding names. A text, or a display, is never
    a fault.

    Args:
        appointment: The valid part of the client's Appointment.
        service_type: The slot's own, as shown to clients.
    """
    for number, concept in enumerate(appointment.get("serviceType", ())):
        for place, coding in enumerate(concept.get("coding", ())):
            said = {name: coding[name] for name in _OF_CODING if name in coding}
            if not any(said.items() <= own.items() for own in service_type["coding"]):
                yield Issue(
                    code="value",
                    diagnostics=(
                        "The slot has no such serviceType: leave it out, or choose"
                        " another slot."
                    ),
                    expression=f"Appointment.serviceType[{number}].coding[{place}]",
                )
