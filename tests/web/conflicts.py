"""
The answers to changes that do not fit an appointment's present state.
"""

from typing import Final

from assertions import issue

__all__ = ["ALREADY_CANCELLED", "NOT_BOOKED", "STALE"]

ALREADY_CANCELLED: Final = issue(
    "conflict",
    "The appointment is cancelled, so it cannot be changed: book the slot again.",
)
NOT_BOOKED: Final = issue(
    "conflict",
    "The appointment is not booked, so it cannot be changed; read it again.",
)
STALE: Final = issue(
    "conflict", "The appointment has changed since you read it; read it again."
)
