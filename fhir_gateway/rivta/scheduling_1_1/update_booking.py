"""
UpdateBooking 1.1: move a booking.

The answer has no booking id, although a producer may change the id of the booking.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from fhir_gateway.model import scheduling
from fhir_gateway.rivta.contract import Contract
from fhir_gateway.rivta.element import MESSAGE, TEXT, element
from fhir_gateway.rivta.scheduling_1_1.types import SubjectOfCareType, TimeslotType

__all__ = ["CONTRACT", "NAMESPACE", "Request", "Response"]

NAMESPACE: Final = "urn:riv:crm:scheduling:UpdateBookingResponder:1"


@dataclass(frozen=True, kw_only=True, repr=False)
class Request:
    """The body of UpdateBooking."""

    NAMESPACE: ClassVar[str] = NAMESPACE

    requested_timeslot: TimeslotType = element(
        "requestedTimeslot", TimeslotType, required=True
    )
    subject_of_care_info: SubjectOfCareType | None = element(
        "subject_of_care_info", SubjectOfCareType
    )
    notification: str | None = element("notification", TEXT)


@dataclass(frozen=True, kw_only=True, repr=False)
class Response:
    """The body of UpdateBookingResponse."""

    NAMESPACE: ClassVar[str] = NAMESPACE

    result_code: str = element("resultCode", required=True)
    result_text: str | None = element("resultText", MESSAGE)


CONTRACT: Final = Contract(scheduling.UPDATE_BOOKING, NAMESPACE, Request, Response)
