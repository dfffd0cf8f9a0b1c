"""
Grants as a server gives them that was started for a demo: everybody may do everything.
"""

from typing import Any

from fhir_gateway.model.booking import ManagedBooking
from fhir_gateway.model.errors import NotFound
from fhir_gateway.model.grant import Basis, Grant
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.principal import Principal, Role
from fhir_gateway.services.booking.booking import BookingService
from fhir_gateway.services.booking.holding import HoldRequest
from fhir_gateway.services.booking.request import (
    BookedTimeslot,
    BookingRequest,
    MoveRequest,
)
from fhir_gateway.services.resident.resident_bookings import (
    ResidentBookings,
    ResidentsTimes,
)

__all__ = ["GRANT", "DemoBooking", "DemoResidents", "demo_grant"]

_ANYBODY = Principal(role=Role.DEMO)


def demo_grant(number: PersonalIdentityNumber) -> Grant:
    """Return the grant to act for a person."""
    return Grant(principal=_ANYBODY, subject=number, basis=Basis.DEMO)


GRANT = demo_grant(PersonalIdentityNumber("191212121212"))
"""For the journal, which only stores who made a booking."""


class DemoBooking:
    """
    A booking service, with a grant for each call.

    Args:
        service: The service.
    """

    def __init__(self, service: BookingService) -> None:
        self._service = service
        self.current = service.current

    def book(self, request: BookingRequest) -> BookedTimeslot:
        """Book."""
        return self._service.book(request)

    def hold(self, request: HoldRequest) -> ManagedBooking:
        """Hold."""
        return self._service.hold(request)

    def read(self, booking: str) -> ManagedBooking:
        """Read."""
        return self._service.read(booking, self._grant(booking))

    def renew(self, booking: str, **options: Any) -> ManagedBooking:
        """Renew a hold."""
        return self._service.renew(booking, self._grant(booking), **options)

    def release(self, booking: str, **options: Any) -> ManagedBooking:
        """Release a hold."""
        return self._service.release(booking, self._grant(booking), **options)

    def book_held(self, booking: str, **options: Any) -> BookedTimeslot:
        """Book a hold."""
        return self._service.book_held(booking, self._grant(booking), **options)

    def move(
        self, booking: str, request: MoveRequest, **options: Any
    ) -> ManagedBooking:
        """Move."""
        return self._service.move(booking, request, **options)

    def cancel(self, booking: str, **options: Any) -> ManagedBooking:
        """Cancel."""
        return self._service.cancel(booking, self._grant(booking), **options)

    def replay(self, repeated: Any) -> ManagedBooking:
        """Return the booking of an earlier request."""
        return self._service.replay(repeated, self._grant(repeated.booking))

    def _grant(self, booking: str) -> Grant:
        owner = self._service.find_owner(booking)
        if owner is None:
            raise NotFound("There is no such booking.")
        return demo_grant(owner.number)


class DemoResidents:
    """
    The lists of residents' bookings, with a grant for each call.

    Args:
        service: The service.
    """

    def __init__(self, service: ResidentBookings) -> None:
        self._service = service

    def list_of(self, number: PersonalIdentityNumber, **options: Any) -> ResidentsTimes:
        """Return a resident's bookings."""
        return self._service.list_of(demo_grant(number), **options)

    def list_for(self, grant: Grant) -> ResidentsTimes:
        """Return the bookings that a grant reaches."""
        return self._service.list_of(grant)
