"""
CancelBooking 1.1: give a booked time back.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from fhir_gateway.model import scheduling
from fhir_gateway.rivta.contract import Contract
from fhir_gateway.rivta.element import IDENTIFIER, MESSAGE, TEXT, element

__all__ = ["CONTRACT", "NAMESPACE", "Request", "Response"]

NAMESPACE: Final = "urn:riv:crm:scheduling:CancelBookingResponder:1"


@dataclass(frozen=True, kw_only=True, repr=False)
class Request:
    """The body of CancelBooking."""

    NAMESPACE: ClassVar[str] = NAMESPACE

    healthcare_facility: str = element("healthcare_facility", required=True)
    booking_id: str = element("bookingId", IDENTIFIER, required=True)
    message: str | None = element("message", TEXT)


@dataclass(frozen=True, kw_only=True, repr=False)
class Response:
    """The body of CancelBookingResponse."""

    NAMESPACE: ClassVar[str] = NAMESPACE

    result_code: str = element("resultCode", required=True)
    result_text: str | None = element("resultText", MESSAGE)


CONTRACT: Final = Contract(scheduling.CANCEL_BOOKING, NAMESPACE, Request, Response)
