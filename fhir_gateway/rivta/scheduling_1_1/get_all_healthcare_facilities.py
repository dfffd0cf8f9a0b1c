"""
GetAllHealthcareFacilities 1.1: where a resident can book, or move a booking to.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from fhir_gateway.model import scheduling
from fhir_gateway.rivta.contract import Contract
from fhir_gateway.rivta.element import IDENTIFIER, element, elements
from fhir_gateway.rivta.limit import LIST
from fhir_gateway.rivta.scheduling_1_1.types import HealthcareFacilityInfoType

__all__ = ["CONTRACT", "NAMESPACE", "Request", "Response"]

NAMESPACE: Final = "urn:riv:crm:scheduling:GetAllHealthcareFacilitiesResponder:1"


@dataclass(frozen=True, kw_only=True, repr=False)
class Request:
    """The body of GetAllHealthcareFacilities."""

    NAMESPACE: ClassVar[str] = NAMESPACE

    healthcare_facility: str = element("healthcare_facility", required=True)
    subject_of_care: str = element("subject_of_care", required=True)
    booking_id: str | None = element("bookingId", IDENTIFIER)


@dataclass(frozen=True, kw_only=True, repr=False)
class Response:
    """The body of GetAllHealthcareFacilitiesResponse."""

    NAMESPACE: ClassVar[str] = NAMESPACE

    healthcare_facility_infos: tuple[HealthcareFacilityInfoType, ...] = elements(
        "healthcareFacilityInfos", HealthcareFacilityInfoType, rejects_items=True
    )


CONTRACT: Final = Contract(
    scheduling.GET_ALL_HEALTHCARE_FACILITIES, NAMESPACE, Request, Response, limit=LIST
)
