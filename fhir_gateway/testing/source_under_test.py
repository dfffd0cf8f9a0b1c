"""
The source of the conformance suite: an adapter, and ways to make the source fail.
"""

from datetime import date
from enum import Enum
from typing import Protocol

from fhir_gateway.adapters.protocol import SchedulingAdapter
from fhir_gateway.model.ids import HsaId, TimeTypeId
from fhir_gateway.model.person import SubjectOfCare

__all__ = ["Failure", "SourceUnderTest"]


class Failure(Enum):
    """How a source fails at one call."""

    SILENCE = "it accepts the call and does not answer within five seconds"
    BROKEN_CONNECTION = "it does nothing, and closes the connection"
    FAULT = "it answers with a technical fault that is no known refusal"
    UNREADABLE_ANSWER = "it gives an answer that cannot be read"
    LOST_ANSWER = "it carries out the call, and closes the connection"


class SourceUnderTest(Protocol):
    """
    The source of an adapter in a test: it replaces the region's system.

    `unit` must have free times of `time_type_id` on several days of the period, and
    none on `empty_day`.
    """

    @property
    def adapter(self) -> SchedulingAdapter:
        """Return the adapter."""
        ...

    @property
    def unit(self) -> HsaId:
        """Return a unit with free times."""
        ...

    @property
    def time_type_id(self) -> TimeTypeId:
        """Return a time type of the unit."""
        ...

    @property
    def agent(self) -> HsaId:
        """Return the HSA-id of the actor of a refresh."""
        ...

    @property
    def first_day(self) -> date:
        """Return the first day of the period."""
        ...

    @property
    def last_day(self) -> date:
        """Return the last day of the period, a week later or more."""
        ...

    @property
    def empty_day(self) -> date:
        """Return a day without free times."""
        ...

    def new_resident(self) -> SubjectOfCare:
        """Return a resident without bookings, a different one at each call."""
        ...

    def fail(self, failure: Failure) -> None:
        """Let the source fail at the next call."""
        ...

    def writes_received(self, resident: SubjectOfCare) -> int:
        """Return how many writes about a resident have reached the source."""
        ...
