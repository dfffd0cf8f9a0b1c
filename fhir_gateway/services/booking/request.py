"""
Booking requests and their result.
"""

from dataclasses import dataclass
from datetime import timedelta

from fhir_gateway.model.booking import ManagedBooking
from fhir_gateway.model.client_request import RequestKey
from fhir_gateway.model.grant import Grant
from fhir_gateway.model.person import SubjectOfCare
from fhir_gateway.model.timeslot import TimeslotToken

__all__ = ["BookedTimeslot", "BookingRequest", "MoveRequest"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class BookingRequest:
    """
    A request to book a free time.

    Attributes:
        grant: Who books.
        request: The client's key of this request.
        waits: How long the client waits for the region's answer, where it said so;
            then the booking is pending.
    """

    token: TimeslotToken
    subject: SubjectOfCare
    grant: Grant
    reason: str | None = None
    request: RequestKey | None = None
    waits: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class MoveRequest:
    """
    A request to move a booking to another time.

    Attributes:
        grant: Who moves it.
        subject: The resident's names, if the request has them.
        request: The client's key of this request.
        waits: As in a BookingRequest.
    """

    token: TimeslotToken
    grant: Grant
    subject: SubjectOfCare | None = None
    reason: str | None = None
    request: RequestKey | None = None
    waits: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedTimeslot:
    """
    The result of a booking request.

    Attributes:
        is_new: False if the resident had that booking already.
    """

    booking: ManagedBooking
    is_new: bool
