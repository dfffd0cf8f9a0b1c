"""
GetAvailableTimeslots 1.1: free times.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from fhir_gateway.model import scheduling
from fhir_gateway.rivta.contract import Contract
from fhir_gateway.rivta.element import element, elements
from fhir_gateway.rivta.scheduling_1_1.availability_request import AvailabilityRequest
from fhir_gateway.rivta.scheduling_1_1.types import TimeslotType

__all__ = ["CONTRACT", "EXTENSION", "NAMESPACE", "Request", "Response"]

NAMESPACE: Final = "urn:riv:crm:scheduling:GetAvailableTimeslotsResponder:1"
EXTENSION: Final = "urn:riv:crm:scheduling:GetAvailableTimeslotsResponder:1.1"


@dataclass(frozen=True, kw_only=True, repr=False)
class Request(AvailabilityRequest):
    """The body of GetAvailableTimeslots."""

    NAMESPACE: ClassVar[str] = NAMESPACE

    subject_of_care: str = element(
        "subject_of_care", namespace=EXTENSION, required=True
    )


@dataclass(frozen=True, kw_only=True, repr=False)
class Response:
    """The body of GetAvailableTimeslotsResponse."""

    NAMESPACE: ClassVar[str] = NAMESPACE

    timeslot_detail: tuple[TimeslotType, ...] = elements(
        "timeslotDetail", TimeslotType, rejects_items=True
    )


CONTRACT: Final = Contract(
    scheduling.GET_AVAILABLE_TIMESLOTS, NAMESPACE, Request, Response
)
