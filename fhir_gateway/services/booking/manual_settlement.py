"""
Manual settlement: an operator has asked the unit for the outcome of a write.
"""

from fhir_gateway.model.errors import Conflict
from fhir_gateway.stores.journal import BookingRecord, Journal, WriteKind, WriteState

__all__ = ["settle_by_hand"]


def settle_by_hand(journal: Journal, booking: str, *, done: bool) -> BookingRecord:
    """
    Settle the write to a booking as the operator says.

    Args:
        journal: Where the write is recorded.
        booking: Our id of the booking.
        done: Whether the unit has done it.

    Raises:
        NotFound: There is no such booking.
        Conflict: It has no write of unknown outcome.
    """
    record = journal.lookups.get(booking)
    intent = journal.lookups.find_pending(booking)
    if intent is None or intent.state is not WriteState.UNKNOWN:
        raise Conflict(
            "That booking has no write of unknown outcome.", source=record.source
        )
    settlements = journal.settlements
    if not done:
        return settlements.settle_not_done(intent)
    if intent.kind is WriteKind.CANCEL:
        return settlements.settle_cancelled(intent)
    settle = (
        settlements.settle_booked
        if intent.kind is WriteKind.MAKE
        else settlements.settle_moved
    )
    # The next read of the booking adds its id and permissions from the source.
    return settle(intent, booking_id=None, permissions=record.permissions)
