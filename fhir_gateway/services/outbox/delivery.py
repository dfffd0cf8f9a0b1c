"""
Delivery from an outbox: what every outbox has in common.

The receiver accepts all entries of a message or none. So a message that fails costs
each of its entries an attempt, and an entry that has failed before is sent alone: a
faulty one delays no other. An entry leaves the outbox only after the receiver has
accepted it; so it may receive one twice.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Final, Generic, Protocol, TypeVar

from fhir_gateway.model.errors import GatewayError, Incorrect

__all__ = ["LEASE", "Delivery", "Outbox", "Queued", "Reply", "Verdict"]

LEASE: Final = timedelta(seconds=100)
"""Longer than a call takes: the longest timeout, and some for the database."""

# Between two looks into an empty outbox: entries of that time share a message.
_PAUSE_S: Final = 5.0
# After a failure: it doubles from the first to the longest, until something is stored.
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 60.0
# Waits of an entry that the receiver could not be asked about, or refused: each
# doubles.
_FAILED: Final = (timedelta(seconds=5), timedelta(minutes=5))
_REFUSED: Final = (timedelta(minutes=1), timedelta(hours=6))
# About three days. After them the entry needs a person.
_MOST_REFUSALS: Final = 20


class Queued(Protocol):
    """An entry that the caller has taken to deliver it."""

    @property
    def attempts(self) -> int:
        """Return how many times it was taken, with this one."""

    @property
    def refusals(self) -> int:
        """Return how many times the receiver refused it."""


Q = TypeVar("Q", bound=Queued)


class Outbox(Protocol[Q]):
    """
    The entries to deliver; each method is one transaction.
    """

    def take(self, *, limit: int, lease: timedelta) -> tuple[Q, ...]:
        """Take due entries; nobody else gets them during the lease."""

    def remove(self, taken: Sequence[Q], /) -> None:
        """Remove entries that the receiver has accepted."""

    def postpone(
        self, taken: Sequence[Q], wait: timedelta, /, *, is_refused: bool = False
    ) -> None:
        """Make entries due again after a wait."""


class Verdict(Enum):
    """
    What a receiver did with all entries of a message.

    ACCEPTED: it has them. REFUSED: it took none, and may take them later. INVALID: it
    will never take them all.
    """

    ACCEPTED = "accepted"
    REFUSED = "refused"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Reply:
    """
    What a receiver answered.

    Attributes:
        text: The answer, in its own words for the log.
    """

    verdict: Verdict
    text: str


class Delivery(ABC, Generic[Q]):
    """
    Delivers entries until the outbox is empty.

    Several processes may run it at once.

    Args:
        outbox: The entries.
        most: The greatest number of entries in one message.
    """

    def __init__(self, outbox: Outbox[Q], *, most: int) -> None:
        self._outbox = outbox
        self._most = most
        self._is_away = False

    def run(self, stop: threading.Event) -> None:
        """Deliver until `stop` is set, also after the receiver or SQL was away."""
        failures = 0
        while not stop.is_set():
            is_stored = self._try_to_deliver(1 if failures else self._most)
            if is_stored is None:
                stop.wait(_PAUSE_S)
            elif is_stored:
                failures = 0
            else:
                stop.wait(min(_FIRST_PAUSE_S * 2**failures, _LONGEST_PAUSE_S))
                failures = min(failures + 1, _MOST_REFUSALS)

    def deliver(self, most: int | None = None) -> bool | None:
        """
        Deliver some entries in one message.

        Args:
            most: The greatest number of entries. While the receiver is away it is one,
                so that few entries are later sent alone.

        Returns:
            Whether they were accepted; None if no entry is due.

        Raises:
            DatabaseUnavailable: The outbox is away.
            SealBroken: None of our keys opens an entry.
        """
        taken = self._outbox.take(limit=most or self._most, lease=LEASE)
        if not taken:
            return None
        try:
            reply = self.send(taken)
        except Incorrect:
            reply = self.unwritable
        except GatewayError as error:
            self._note_failure(error.log_text)
            self._outbox.postpone(taken, _wait(_FAILED, taken[0].attempts))
            return False
        if reply.verdict is Verdict.ACCEPTED:
            self._outbox.remove(taken)
            self._note_success()
            return True
        self._settle_refusal(taken, reply)
        return False

    @property
    @abstractmethod
    def unwritable(self) -> Reply:
        """Return what counts as the answer where a message cannot be written."""

    @abstractmethod
    def send(self, taken: Sequence[Q]) -> Reply:
        """
        Send entries in one message.

        Raises:
            Incorrect: The message cannot be written; nothing was sent.
            GatewayError: Nobody knows whether the receiver accepted them.
        """

    @abstractmethod
    def give_up(self, entry: Q, reply: Reply) -> None:
        """Flag an entry that the receiver refuses for good, and log that."""

    @abstractmethod
    def log_away(self, error: str) -> None:
        """Log that the receiver accepts nothing."""

    @abstractmethod
    def log_back(self) -> None:
        """Log that it accepts entries again."""

    @abstractmethod
    def log_unusable(self, error: GatewayError) -> None:
        """Log that the outbox cannot be used."""

    @abstractmethod
    def log_bug(self, error: Exception) -> None:
        """Log a fault of this program."""

    def _try_to_deliver(self, most: int) -> bool | None:
        try:
            return self.deliver(most)
        except GatewayError as error:
            self.log_unusable(error)
        except Exception as error:  # noqa: BLE001 - it must not end the whole worker
            # A fault of this program: the entry is tried again, alone, when its lease
            # has ended.
            self.log_bug(error)
        return False

    def _settle_refusal(self, taken: tuple[Q, ...], reply: Reply) -> None:
        if len(taken) > 1:
            # Alone from now on, and at once: the receiver says no to one of them only.
            self._outbox.postpone(taken, timedelta())
            return
        (entry,) = taken
        if reply.verdict is Verdict.INVALID or entry.refusals + 1 >= _MOST_REFUSALS:
            self.give_up(entry, reply)
            return
        self._outbox.postpone(
            taken, _wait(_REFUSED, entry.refusals + 1), is_refused=True
        )
        self._note_failure(reply.text)

    def _note_failure(self, error: str) -> None:
        if not self._is_away:
            self.log_away(error)
        self._is_away = True

    def _note_success(self) -> None:
        if self._is_away:
            self.log_back()
        self._is_away = False


def _wait(bounds: tuple[timedelta, timedelta], attempts: int) -> timedelta:
    shortest, longest = bounds
    return min(shortest * (1 << min(attempts - 1, _MOST_REFUSALS)), longest)
