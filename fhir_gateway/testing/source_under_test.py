"""
What the conformance suite needs of a source: an adapter, and ways to make it fail.
"""

from datetime import date
from enum import Enum
from typing import Protocol

from fhir_gateway.adapters.protocol import SchedulingAdapter
from fhir_gateway.model.ids import HsaId, TimeTypeId
from fhir_gateway.model.person import SubjectOfCare

__all__ = ["Failure", "SourceUnderTest"]


class Failure(Enum):
    """How a source fails to answer one question or write."""

    SILENCE = "it takes the call and does not answer within five seconds"
    BROKEN_CONNECTION = "it closes the connection, and does nothing"
    FAULT = "it answers with a technical fault that is no known refusal"
    UNREADABLE_ANSWER = "it answers with what nobody can read"
    LOST_ANSWER = "it does what it is asked, and closes the connection"


class SourceUnderTest(Protocol):
    """
    A source that an adapter asks in a test: a stand-in for the region's system.

    At `unit` there must be free times of `time_type_id` on several days of the period,
    and none on `empty_day`.
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
        """Return a time type that the unit offers."""
        ...

    @property
    def agent(self) -> HsaId:
        """Return the HSA-id that a refresh asks as."""
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
        """Return a resident that has booked nothing and whom no test has had."""
        ...

    def fail(self, failure: Failure) -> None:
        """Let the source fail at what it is asked next, once."""
        ...

    def writes_received(self, resident: SubjectOfCare) -> int:
        """Return how many writes about a resident have reached the source."""
        ...
