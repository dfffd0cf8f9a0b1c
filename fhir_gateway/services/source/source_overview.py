"""
The state of each source, from the status that its worker last stored.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from fhir_gateway.model.loss import Loss
from fhir_gateway.model.source import Source
from fhir_gateway.stores.sightings import LiveSighting, ResidentLoss
from fhir_gateway.stores.source_status import SourceStatus

__all__ = ["SourceOverview", "SourceState"]

_REPORTED_WITHIN: Final = timedelta(minutes=1)


class SourceState(Enum):
    """The state of a source; the first that fits."""

    UNHEARD = "unheard of"
    UNATTENDED = "unattended"
    UNAVAILABLE = "unavailable"
    FAILING_IN_PART = "failing in part"
    READ_IN_PART = "read in part"
    FILLING = "filling"
    AGEING = "ageing"
    WELL = "well"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOverview:
    """
    A source, its last status and its state.

    Attributes:
        status: None when no worker has stored one for a day.
        moment: Now.
        live_losses: What was left out of the last answers within searches.
        live: The outcomes of the last calls within searches, if it is a live source.
        resident_losses: What was left out of answers about residents lately.
    """

    source: Source
    status: SourceStatus | None
    moment: datetime
    live_losses: tuple[Loss, ...] = ()
    live: LiveSighting | None = None
    resident_losses: tuple[ResidentLoss, ...] = ()

    @property
    def state(self) -> SourceState:
        """Return the source's state."""
        status, age = self.status, self.age_of_oldest
        if status is None:
            return SourceState.UNHEARD
        signs = {
            # No worker has its lease, or the worker that has it cannot store anything.
            SourceState.UNATTENDED: (
                status.reported_at is None
                or self.moment - status.reported_at > _REPORTED_WITHIN
            ),
            SourceState.UNAVAILABLE: status.failing_since is not None
            or (self.live is not None and self.live.failing_since is not None),
            SourceState.FAILING_IN_PART: bool(
                status.failing or status.broken or status.silent_staff
            )
            or (self.live is not None and self.live.unanswered > 0),
            SourceState.READ_IN_PART: bool(self.resident_losses)
            or any(not each.is_elsewhere for each in self.losses),
            SourceState.FILLING: status.unanswered > 0,
            SourceState.AGEING: age is not None and age > self.source.fresh_for,
        }
        return next((each for each, holds in signs.items() if holds), SourceState.WELL)

    @property
    def last_error(self) -> str | None:
        """Return what went wrong last, within searches first."""
        if self.live is not None and self.live.last_error is not None:
            return self.live.last_error
        return None if self.status is None else self.status.last_error

    @property
    def losses(self) -> tuple[Loss, ...]:
        """Return what was left out of the source's answers."""
        return (*(self.status.losses if self.status else ()), *self.live_losses)

    @property
    def age_of_oldest(self) -> timedelta | None:
        """Return how old the oldest block is; None when there is none."""
        if self.status is None or self.status.oldest_answer_at is None:
            return None
        return max(timedelta(), self.moment - self.status.oldest_answer_at)

    @property
    def calls_a_minute(self) -> float:
        """Return how often the source may be asked in a minute."""
        return self.source.budget.calls_per_second * 60
