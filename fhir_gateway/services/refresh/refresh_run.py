"""
A run of the refresh: what a worker knows of a source while it holds the lease.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from fhir_gateway.adapters.protocol import SchedulingAdapter
from fhir_gateway.model import scheduling
from fhir_gateway.model.interaction import Interaction
from fhir_gateway.model.source import Source
from fhir_gateway.model.timekeeping import Clock
from fhir_gateway.services.refresh.calls import RefreshCalls
from fhir_gateway.services.refresh.lease_deadline import LeaseDeadline
from fhir_gateway.services.refresh.queue import Gate, RefreshQueue
from fhir_gateway.services.source.breaker import Breaker, Jitter

__all__ = ["RefreshRun"]

_INTERACTIONS = (
    scheduling.GET_ALL_HEALTHCARE_FACILITIES,
    scheduling.GET_ALL_TIME_TYPES,
    scheduling.GET_ALL_PERFORMERS,
    scheduling.GET_AVAILABLE_DATES,
    scheduling.GET_AVAILABLE_TIMESLOTS,
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RefreshRun:
    """
    The state of one run.

    The next run begins anew: another worker may have had other answers meanwhile.

    Attributes:
        deadline: Until when the worker may ask.
        queue: The questions, and when to ask each.
        breakers: One for each interaction.
        calls: Makes the calls.
    """

    deadline: LeaseDeadline
    queue: RefreshQueue
    breakers: Mapping[Interaction, Breaker]
    calls: RefreshCalls

    @classmethod
    def begin(
        cls,
        source: Source,
        adapter: SchedulingAdapter,
        deadline: LeaseDeadline,
        *,
        clock: Clock,
        jitter: Jitter,
    ) -> Self:
        """Return the state of a run that begins."""
        return cls(
            deadline=deadline,
            queue=RefreshQueue(
                fresh_for=source.fresh_for,
                offered_for=source.offered_for,
                clock=clock,
                jitter=jitter,
            ),
            breakers={
                interaction: Breaker(
                    longest_pause=source.fresh_for / 10, clock=clock, jitter=jitter
                )
                for interaction in _INTERACTIONS
            },
            calls=RefreshCalls(source, adapter, deadline, clock=clock, jitter=jitter),
        )

    def gate(self, interaction: Interaction) -> Gate:
        """Return whether questions of an interaction may pass."""
        breaker = self.breakers[interaction]
        if not breaker.would_allow:
            return Gate.CLOSED
        return Gate.OPEN if breaker.failing_since is None else Gate.PROBE

    def questions_of(self, interaction: Interaction) -> int:
        """Return how many questions of an interaction there are."""
        return sum(
            question.interaction == interaction for question in self.queue.states()
        )
