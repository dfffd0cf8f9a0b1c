"""
Carrying out a write: it goes on by itself, and its client waits for so long.
"""

from collections.abc import Callable

from fhir_gateway.model.booking import (
    ManagedBooking,
)
from fhir_gateway.services.booking.bulkhead import Permit
from fhir_gateway.services.booking.current_booking import CurrentBookings
from fhir_gateway.services.booking.recording import Sent
from fhir_gateway.services.booking.sending import unknown_without_journal
from fhir_gateway.stores.journal import (
    WriteIntent,
)

__all__ = ["carry_out"]


def carry_out(
    current: CurrentBookings,
    permit: Permit,
    intent: WriteIntent,
    write: Callable[[], Sent],
    *,
    reason: str | None = None,
    meanwhile: Callable[[], None] | None = None,
) -> ManagedBooking:
    """
    Send a write; return how its booking stands, or that it is on its way.

    Args:
        current: How bookings stand now.
        permit: Lets the write be sent.
        intent: The write.
        write: Sends it and records its outcome, also after the client has gone.
        reason: What the resident wrote.
        meanwhile: What else is to be done before the client is answered.
    """
    sent = permit.carry_out(write, meanwhile=meanwhile)
    with unknown_without_journal():
        if sent is not None and sent[1] is not None:
            return current.describe_sent(sent[0], sent[1], reason=reason)
        # Its answer may have come just after the wait for it was over.
        return current.describe_write(intent, reason=reason)
