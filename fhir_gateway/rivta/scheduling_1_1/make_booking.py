"""
MakeBooking 1.1: book a free time, or answer an open invitation.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from fhir_gateway.model import scheduling
from fhir_gateway.rivta.contract import Contract
from fhir_gateway.rivta.element import IDENTIFIER, MESSAGE, TEXT, element
from fhir_gateway.rivta.scheduling_1_1.types import SubjectOfCareType, TimeslotType

__all__ = ["CONTRACT", "NAMESPACE", "Request", "Response"]

NAMESPACE: Final = "urn:riv:crm:scheduling:MakeBookingResponder:1"


@dataclass(frozen=True, kw_only=True, repr=False)
class Request:
    """The body of MakeBooking."""

    NAMESPACE: ClassVar[str] = NAMESPACE

    healthcare_facility_med: str = element("healthcare_facility_med", required=True)
    requested_timeslot: TimeslotType = element(
        "requestedTimeslot", TimeslotType, required=True
    )
    subject_of_care_info: SubjectOfCareType = element(
        "subject_of_care_info", SubjectOfCareType, required=True
    )
    notification: str | None = element("notification", TEXT)


@dataclass(frozen=True, kw_only=True, repr=False)
class Response:
    """The body of MakeBookingResponse."""

    NAMESPACE: ClassVar[str] = NAMESPACE

    booking_id: str | None = element("bookingId", IDENTIFIER)
    result_code: str = element("resultCode", required=True)
    result_text: str | None = element("resultText", MESSAGE)


CONTRACT: Final = Contract(scheduling.MAKE_BOOKING, NAMESPACE, Request, Response)
