"""
What is known of a source when it has answered, or has not.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from fhir_gateway.model.ids import SourceName

__all__ = ["SourceOutcome", "SourceProblem"]


class SourceProblem(Enum):
    """Why a source's part of an answer is missing or incomplete."""

    NOT_YET_ASKED = "not-yet-asked"
    UNAVAILABLE = "unavailable"
    STALE = "stale"
    INCOMPLETE = "incomplete"
    NOT_ASKED = "not-asked"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOutcome:
    """
    One source's shortcoming in an answer, to be told to the client.

    "No times" and "could not ask" never look alike: whatever is missing from an answer
    has one of these.

    Attributes:
        missing: How many of the units' time types it concerns; 0 where not counted.
        since: When the source last answered, if ever.
    """

    source: SourceName
    problem: SourceProblem
    detail: str
    missing: int = 0
    since: datetime | None = None
