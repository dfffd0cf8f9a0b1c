"""
Carrying out a write: it runs in its own thread, and its client waits for a time.
"""

from collections.abc import Callable

from fhir_gateway.model.booking import (
    ManagedBooking,
)
from fhir_gateway.services.booking.bulkhead import Permit
from fhir_gateway.services.booking.current_booking import CurrentBookings
from fhir_gateway.services.booking.recording import WriteOutcome
from fhir_gateway.services.booking.sending import report_failure_as_unknown
from fhir_gateway.stores.journal import (
    WriteIntent,
)

__all__ = ["carry_out"]


def carry_out(
    current: CurrentBookings,
    permit: Permit,
    intent: WriteIntent,
    write: Callable[[], WriteOutcome],
    *,
    reason: str | None = None,
    meanwhile: Callable[[], None] | None = None,
    afterwards: Callable[[WriteOutcome], object] | None = None,
) -> ManagedBooking:
    """
    Send a write; return its booking, pending while the write is under way.

    Args:
        current: Reads the present state of bookings.
        permit: Permits the write.
        intent: The write.
        write: Sends it and records its outcome, also after the client has gone.
        reason: The resident's text to the unit.
        meanwhile: Runs while the write is under way.
        afterwards: Runs after a write that was done when no client waited any more.
    """
    sent = permit.carry_out(write, meanwhile=meanwhile, afterwards=afterwards)
    with report_failure_as_unknown():
        if sent is not None and sent[1] is not None:
            return current.describe_sent(sent[0], sent[1], reason=reason)
        # Its answer may have arrived just after the wait ended.
        return current.describe_write(intent, reason=reason)
