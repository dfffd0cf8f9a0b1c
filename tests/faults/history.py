"""
What clients asked, what they were answered, and when.
"""

import threading
from dataclasses import dataclass
from enum import Enum
from typing import Final

from faults.world import SlotToBook

__all__ = ["History", "Kind", "Operation", "Outcome"]

NEVER_SENT: Final = 0


class Kind(Enum):
    """What a client asked for."""

    BOOK = "book"
    MOVE = "move"
    CANCEL = "cancel"
    READ = "read"
    HOLD = "hold"


class Outcome(Enum):
    """
    What an answer says of the request.

    UNKNOWN covers what was said to be pending and what was never answered.
    """

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"
    NEVER_SENT = "never sent"


@dataclass(kw_only=True)
class Operation:
    """
    One request and its answer.

    Attributes:
        person: The resident of the booking.
        slot: Where to, for a booking and a move.
        dialect: The owner of the operation that was called; "rest" for none.
        began: Before anything was sent, in seconds since 1970 of `ScaledTime`.
        ended: After all of the answer had come, or none was to come.
        status: The HTTP status; None for no answer, 0 for no connection.
        appointment: The id asked about, else the one answered.
        answered: The id of the Appointment in the answer.
        stated: The Appointment's status in the answer.
        stated_slot: The Appointment's slot in the answer.
        diagnostics: What an OperationOutcome said.
    """

    kind: Kind
    person: str
    slot: SlotToBook | None = None
    appointment: str | None = None
    began: float = 0.0
    dialect: str = "rest"
    ended: float = 0.0
    status: int | None = None
    answered: str | None = None
    stated: str | None = None
    stated_slot: str | None = None
    diagnostics: str = ""

    @property
    def outcome(self) -> Outcome:
        """Return what the answer says."""
        if self.status == NEVER_SENT:
            return Outcome.NEVER_SENT
        if self.status in (200, 201) and self.stated != "pending":
            return Outcome.YES
        if self.status is not None and (400 <= self.status < 500 or self.status == 503):
            return Outcome.NO
        return Outcome.UNKNOWN

    def __str__(self) -> str:
        said = self.status if self.stated is None else f"{self.status} {self.stated}"
        # The person's day of birth and serial are enough to find it again.
        kind = f"{self.kind.value} ({self.dialect})"
        return f"{kind} …{self.person[4:]} at {self.began:.3f}: {said}"


class History:
    """Every operation, in the order in which they ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._operations: list[Operation] = []

    def add(self, operation: Operation) -> None:
        """Keep an operation that has ended."""
        with self._lock:
            self._operations.append(operation)

    def all(self) -> list[Operation]:
        """Return the operations so far."""
        with self._lock:
            return list(self._operations)
