"""
The ledger of a region: all writes that it received, in order.

A test compares the state of a consumer with it.
"""

import itertools
from dataclasses import dataclass
from typing import Any

from fhir_gateway.model.timekeeping import Clock, exact_instant_text
from fhir_gateway.rivta.scheduling_1_1.types import TimeslotType
from fhir_gateway.sandbox.agenda import PlannedTime
from fhir_gateway.sandbox.book import BookedTime

__all__ = ["Ledger", "LedgerTime", "Write", "booking_json"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerTime:
    """A time in the ledger; start and end have the form of the contract."""

    start: str | None
    end: str | None
    time_type_id: str | None
    performer: str | None
    resource_id: str | None

    @classmethod
    def of_request(cls, timeslot: TimeslotType) -> "LedgerTime":
        """Return the time that a consumer asked for."""
        return cls(
            start=timeslot.start_time_inclusive,
            end=timeslot.end_time_exclusive,
            time_type_id=timeslot.time_type_id,
            performer=timeslot.performer,
            resource_id=timeslot.resource_id,
        )

    @classmethod
    def of_booking(cls, time: PlannedTime) -> "LedgerTime":
        """Return the time of a booking."""
        return cls(
            start=time.start,
            end=time.end,
            time_type_id=time.time_type.id,
            performer=time.calendar.performer.hsa_id
            if time.calendar.performer
            else None,
            resource_id=time.calendar.resource.id if time.calendar.resource else None,
        )

    def as_json(self) -> dict[str, str | None]:
        """Return its fields."""
        return {
            "start": self.start,
            "end": self.end,
            "time_type_id": self.time_type_id,
            "performer": self.performer,
            "resource_id": self.resource_id,
        }


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Write:
    """
    One write that was received.

    Attributes:
        booking_id_sent: The booking id that the consumer sent.
        booking_id: The id of the booking after the write.
        result: The answer: OK, INFO, ERROR or FAULT. Without an answer, the reason, for
            example DROPPED-AFTER-PROCESSING.
        is_done: The region carried it out, whether or not the consumer got the answer.
        actor_type: Who asked: the resident or an agent, in the contract's words.
    """

    interaction: str
    unit: str | None
    timeslot: LedgerTime | None
    booking_id_sent: str | None
    booking_id: str | None
    subject_of_care: str | None
    result: str
    is_done: bool
    actor_type: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return its fields."""
        return {
            "interaction": self.interaction,
            "unit": self.unit,
            "timeslot": self.timeslot.as_json() if self.timeslot else None,
            "booking_id_sent": self.booking_id_sent,
            "booking_id": self.booking_id,
            "subject_of_care": self.subject_of_care,
            "result": self.result,
            "done": self.is_done,
            "actor_type": self.actor_type,
        }


class Ledger:
    """The writes of one region; a caller must hold the book's lock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sequence = itertools.count(1)
        self._rows: list[dict[str, Any]] = []

    def append(self, write: Write) -> None:
        """Add a write, with its number and the time."""
        self._rows.append(
            {
                "sequence": next(self._sequence),
                "received_at": exact_instant_text(self._clock()),
                **write.as_json(),
            }
        )

    def rows(self) -> list[dict[str, Any]]:
        """Return every write, oldest first."""
        return list(self._rows)


def booking_json(booked: BookedTime) -> dict[str, Any]:
    """Return a booking in the form of the ledger."""
    return {
        "booking_id": booked.booking_id,
        "unit": booked.unit.hsa_id,
        "timeslot": (
            LedgerTime.of_booking(booked.time).as_json() if booked.time else None
        ),
        "subject_of_care": booked.party.subject_of_care,
        "is_invitation": booked.is_invitation,
    }
