"""
What a resident wants of a booking, and the result.
"""

from dataclasses import dataclass

from fhir_gateway.model.booking import ManagedBooking
from fhir_gateway.model.client_request import RequestKey
from fhir_gateway.model.person import SubjectOfCare
from fhir_gateway.model.timeslot import TimeslotToken

__all__ = ["BookedTimeslot", "BookingRequest", "MoveRequest"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class BookingRequest:
    """
    A resident wants a free time.

    Attributes:
        request: What the client calls this request.
    """

    token: TimeslotToken
    subject: SubjectOfCare
    reason: str | None = None
    request: RequestKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class MoveRequest:
    """
    A resident wants another time instead.

    Attributes:
        subject: The resident's names, where the request has them.
        request: What the client calls this request.
    """

    token: TimeslotToken
    subject: SubjectOfCare | None = None
    reason: str | None = None
    request: RequestKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedTimeslot:
    """
    The result of a booking request.

    Attributes:
        is_new: False when the resident held that time already.
    """

    booking: ManagedBooking
    is_new: bool
