"""
A live round: the calls of one search to one live source, and their answers.
"""

from collections.abc import Sequence
from concurrent.futures import Future, wait
from dataclasses import replace
from datetime import datetime, timedelta
from time import monotonic

import structlog

from fhir_gateway.model.errors import GatewayError
from fhir_gateway.model.source import SourceOutcome, SourceProblem
from fhir_gateway.model.timeslot import FreeTimes
from fhir_gateway.services.search.live_source import LiveCall, LiveSource
from fhir_gateway.services.source.directory import Offering
from fhir_gateway.services.source.listed_times import ListedTimes
from fhir_gateway.stores.sightings import LiveSighting
from fhir_gateway.stores.slot_block import BlockKey, SlotBlock

__all__ = ["LiveRound"]

_log = structlog.get_logger()


class LiveRound:
    """
    The calls of one search to one live source.

    Args:
        live: The source.
        calls: The calls, the most wanted first.
        asked_at: The present time.
        within: How long the client waits; None for as long as the source may take.
    """

    def __init__(
        self,
        live: LiveSource,
        calls: Sequence[LiveCall],
        asked_at: datetime,
        *,
        within: timedelta | None = None,
    ) -> None:
        self.source = live
        self._asked_at = asked_at
        limit = live.source.live_timeout
        self._is_hasty = within is not None and within < limit
        self._waits = limit if within is None else min(within, limit)
        began = monotonic()
        # A client in a hurry ends no call: each has the source's own limit,
        # so that a healthy source does not look like one that fails.
        call_deadline = began + limit.total_seconds()
        self._deadline = began + self._waits.total_seconds()
        self._calls: list[tuple[LiveCall, Future[FreeTimes]]] = []
        self._answers: dict[LiveCall, FreeTimes] = {}
        self._is_broken = False
        self._error: str | None = None
        self._left = 0
        for number, call in enumerate(calls):
            if not self._may_ask(number):
                self._left = len(calls) - number
                break
            leaves_in_s = live.pace.reserve(within_s=self._deadline - monotonic())
            if leaves_in_s is None:
                live.breaker.cancel()
                self._left = len(calls) - number
                break
            self._calls.append((call, live.submit(call, leaves_in_s, call_deadline)))

    def gather(self) -> None:
        """Wait for the answers, until the deadline."""
        wait(
            [future for _, future in self._calls],
            timeout=max(0.0, self._deadline - monotonic()),
        )
        errors: list[str] = []
        for call, future in self._calls:
            if future.cancel():
                self.source.breaker.cancel()
            elif future.done():
                error = future.exception()
                if error is None:
                    self._answers[call] = future.result()
                elif not isinstance(error, GatewayError):
                    # A fault of this program must not look like a source without times.
                    raise error
                else:
                    errors.append(str(error))
        if errors:
            self._error = errors[0]
            _log.info(
                "live source did not answer",
                source=self.source.source.name,
                questions=len(errors),
                error=errors[0],
            )

    def sighting(self) -> LiveSighting | None:
        """Return the outcomes for the operators; None when they know them already."""
        asked = len(self._calls)
        if self._is_hasty:
            # What the client did not wait for says nothing about the source.
            asked = sum(
                future.done() and not future.cancelled() for _, future in self._calls
            )
        if not asked:
            return None
        return self.source.see(asked, len(self._answers), self._error)

    def blocks(self, answered_at: datetime) -> list[SlotBlock]:
        """Return the answers, one block for each time type."""
        listed: dict[Offering, ListedTimes] = {}
        for call, answer in self._answers.items():
            offering = call.offering
            times = listed.get(offering)
            if times is None:
                times = ListedTimes(offering.time_type.id, self._asked_at)
                listed[offering] = times
            times.add(answer, call.window)
        return [
            SlotBlock.of(
                BlockKey(
                    source=self.source.source.name,
                    unit=offering.unit.hsa_id,
                    time_type_id=offering.time_type.id,
                ),
                times.timeslots,
                asked_at=self._asked_at,
                answered_at=times.answered_at(answered_at),
                rejected=times.rejected,
            )
            for offering, times in listed.items()
        ]

    def outcomes(self) -> list[SourceOutcome]:
        """Return what is missing from the answers."""
        source = self.source.source
        found = []
        outcome = self.source.unavailable()
        unanswered = len(self._calls) - len(self._answers)
        if self._is_broken:
            return [outcome]
        if unanswered:
            seconds = f"{self._waits.total_seconds():g} s"
            detail = (
                f"{source.title} is asked within each search, and left {unanswered} of"
                f" {len(self._calls)} questions unanswered within {seconds}."
            )
            found.append(replace(outcome, detail=detail))
        if self._left:
            in_time = (
                f" within the {self._waits.total_seconds():g} s that the client waits"
                if self._is_hasty
                else ""
            )
            detail = (
                f"{source.title} is asked within each search, and only so often:"
                f" {self._left} questions about its units' time types were not asked"
                f"{in_time}. Search for one unit, a shorter period, or again in a"
                " minute."
            )
            found.append(
                replace(outcome, problem=SourceProblem.INCOMPLETE, detail=detail)
            )
        return found

    def _may_ask(self, number: int) -> bool:
        if number >= self.source.source.live_calls:
            return False
        if self.source.breaker.allows():
            return True
        self._is_broken = number == 0
        return False
