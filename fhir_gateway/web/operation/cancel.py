"""
`Appointment/$cancel`: cancels a booking, releases a hold (Medplum).
"""

from flask import Response

from fhir_gateway.fhir.appointment_operation import CANCEL
from fhir_gateway.web.gateway import Gateway
from fhir_gateway.web.operation.booking_change import BookingChange

__all__ = ["Cancel"]


class Cancel:
    """
    Answers `$cancel`.

    Args:
        gateway: The services.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._change = BookingChange(gateway, CANCEL, cancels=True)

    def answer(self, id: str | None = None) -> Response:  # noqa: A002 - the name in FHIR's URL
        """Answer the present request."""
        return self._change.answer(id)
