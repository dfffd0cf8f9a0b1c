"""
GetAvailableDates 1.1: days with at least one free time.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from fhir_gateway.model import scheduling
from fhir_gateway.rivta.contract import Contract
from fhir_gateway.rivta.element import element, elements
from fhir_gateway.rivta.scheduling_1_1.availability_request import AvailabilityRequest
from fhir_gateway.rivta.scheduling_1_1.types import PerformerAvailabilityByDateType

__all__ = ["CONTRACT", "EXTENSION", "NAMESPACE", "Request", "Response"]

NAMESPACE: Final = "urn:riv:crm:scheduling:GetAvailableDatesResponder:1"
EXTENSION: Final = "urn:riv:crm:scheduling:GetAvailableDatesResponder:1.1"


@dataclass(frozen=True, kw_only=True, repr=False)
class Request(AvailabilityRequest):
    """The body of GetAvailableDates."""

    NAMESPACE: ClassVar[str] = NAMESPACE

    subject_of_care: str = element(
        "subject_of_care", namespace=EXTENSION, required=True
    )


@dataclass(frozen=True, kw_only=True, repr=False)
class Response:
    """The body of GetAvailableDatesResponse."""

    NAMESPACE: ClassVar[str] = NAMESPACE

    performer_availability_by_date: tuple[PerformerAvailabilityByDateType, ...] = (
        elements(
            "performerAvailabilityByDate",
            PerformerAvailabilityByDateType,
            rejects_items=True,
        )
    )


CONTRACT: Final = Contract(scheduling.GET_AVAILABLE_DATES, NAMESPACE, Request, Response)
