"""
GetBookingDetails 1.1: one booking or invitation.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from fhir_gateway.model import scheduling
from fhir_gateway.rivta.contract import Contract
from fhir_gateway.rivta.element import IDENTIFIER, element
from fhir_gateway.rivta.scheduling_1_1.types import TimeslotType

__all__ = ["CONTRACT", "NAMESPACE", "Request", "Response"]

NAMESPACE: Final = "urn:riv:crm:scheduling:GetBookingDetailsResponder:1"


@dataclass(frozen=True, kw_only=True, repr=False)
class Request:
    """The body of GetBookingDetails."""

    NAMESPACE: ClassVar[str] = NAMESPACE

    healthcare_facility: str = element("healthcare_facility", required=True)
    booking_id: str = element("bookingId", IDENTIFIER, required=True)


@dataclass(frozen=True, kw_only=True, repr=False)
class Response:
    """
    The body of GetBookingDetailsResponse.

    The schema requires its element; Schedulr leaves it out if there is no booking.
    """

    NAMESPACE: ClassVar[str] = NAMESPACE

    timeslot_detail: TimeslotType | None = element(
        "timeslotDetail", TimeslotType, required=True, absent=None
    )


CONTRACT: Final = Contract(scheduling.GET_BOOKING_DETAILS, NAMESPACE, Request, Response)
