"""
A live source: searches ask it, since its times are never stored.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Final

from fhir_gateway.adapters.protocol import SchedulingAdapter
from fhir_gateway.model import scheduling
from fhir_gateway.model.errors import GatewayError, SourceFault, Unavailable
from fhir_gateway.model.interaction import Actor
from fhir_gateway.model.scheduling import GetAvailableTimeslots
from fhir_gateway.model.source import Source, SourceOutcome, SourceProblem
from fhir_gateway.model.timekeeping import Clock, civil_date
from fhir_gateway.model.timeslot import FreeTimes
from fhir_gateway.services.source.breaker import Breaker
from fhir_gateway.services.source.directory import Offering
from fhir_gateway.services.source.loss_log import LossLog
from fhir_gateway.services.source.pace import Pace
from fhir_gateway.services.source.window import Window, windows
from fhir_gateway.stores.sightings import LiveSighting
from fhir_gateway.stores.slot_block import SlotBlock

__all__ = ["LiveCall", "LiveSource"]

_LATE: Final = "The source did not answer in time."
# Operators see the outcomes of a source's calls after each change, and this often.
_REPORTED_AGAIN_AFTER: Final = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class LiveCall:
    """A call for the free times of one time type in one period."""

    offering: Offering
    window: Window


class LiveSource:
    """A live source, and the limits on the calls of searches to it."""

    def __init__(
        self,
        source: Source,
        adapter: SchedulingAdapter,
        processes: int,
        clock: Clock,
    ) -> None:
        self.source = source
        self._adapter = adapter
        self._clock = clock
        self.pace = Pace(source.budget.calls_per_second / processes)
        self.breaker = Breaker(clock=clock)
        self.last_answer_at: datetime | None = None
        self._loss_log = LossLog(source.name)
        self._sighted = threading.Lock()
        self._sighting: LiveSighting | None = None
        self._reported_at: datetime | None = None
        self._stopped = threading.Event()
        self._executor = ThreadPoolExecutor(
            source.budget.calls_in_flight, thread_name_prefix=f"live-{source.name}"
        )

    def windows(
        self, start: datetime, before: datetime | None, *, latest_first: bool
    ) -> list[Window]:
        """Return the periods that a search covers, the most wanted first."""
        moment = self._clock()
        first = civil_date(max(start, moment))
        last = civil_date(moment + self.source.horizon)
        if before is not None:
            last = min(last, civil_date(before))
        periods = list(windows(first, last, longest=self.source.window))
        return periods[::-1] if latest_first else periods

    def too_busy(self) -> SourceOutcome:
        """Return the outcome when too many searches wait already."""
        return SourceOutcome(
            source=self.source.name,
            problem=SourceProblem.INCOMPLETE,
            detail=(
                f"{self.source.title} is asked within each search, and too many"
                " searches wait already; search again in a minute."
            ),
            since=self.last_answer_at,
        )

    def lacks(self, blocks: Sequence[SlotBlock]) -> list[SourceOutcome]:
        """Return what the source listed and the view cannot keep; log what is new."""
        for block in blocks:
            key = block.key
            self._loss_log.note(
                scheduling.GET_AVAILABLE_TIMESLOTS,
                key.unit,
                block.losses,
                time_type_id=key.time_type_id,
            )
        lacking = sum(block.lacks_times for block in blocks)
        if not lacking:
            return []
        detail = (
            f"{self.source.title} also lists free times of {lacking} of its time types"
            " that this server cannot read whole; ask the unit for what is not shown"
            " here."
        )
        return [
            SourceOutcome(
                source=self.source.name,
                problem=SourceProblem.INCOMPLETE,
                detail=detail,
                since=self.last_answer_at,
            )
        ]

    def see(self, asked: int, answered: int, error: str | None) -> LiveSighting | None:
        """Record the outcomes of a search's calls; return them if they are news."""
        moment = self._clock()
        with self._sighted:
            last = self._sighting
            since = last.failing_since if last is not None else None
            sighting = LiveSighting(
                seen_at=moment,
                asked=asked,
                unanswered=asked - answered,
                failing_since=None if answered else since or moment,
                last_error=None if answered == asked else error or _LATE,
            )
            self._sighting = sighting
            is_news = last is None or _signs(last) != _signs(sighting)
            if (
                not is_news
                and self._reported_at is not None
                and moment - self._reported_at < _REPORTED_AGAIN_AFTER
            ):
                return None
            self._reported_at = moment
            return sighting

    def silence(self) -> SourceOutcome | None:
        """Return its outcome if it lately answered no call."""
        sighting = self._sighting
        if (
            sighting is None
            or sighting.failing_since is None
            or self._clock() - sighting.seen_at > self.source.fresh_for
        ):
            return None
        return self.unavailable()

    def unavailable(self) -> SourceOutcome:
        """Return the outcome of a source that does not answer."""
        return SourceOutcome(
            source=self.source.name,
            problem=SourceProblem.UNAVAILABLE,
            detail=f"{self.source.title} does not answer at present.",
            since=self.last_answer_at,
        )

    def submit(
        self, call: LiveCall, leaves_in_s: float, deadline: float
    ) -> Future[FreeTimes]:
        """Make a call in a thread, when the pace allows it."""
        leaves_at = monotonic() + leaves_in_s
        return self._executor.submit(self._make, call, leaves_at, deadline)

    def close(self) -> None:
        """Stop the threads."""
        self._stopped.set()
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _make(self, call: LiveCall, leaves_at: float, deadline: float) -> FreeTimes:
        stopped = self._stopped.wait(max(0.0, leaves_at - monotonic()))
        left = deadline - monotonic()
        if stopped or left <= 0:
            self.breaker.cancel()
            raise Unavailable("there was no time left to ask", source=self.source.name)
        offering = call.offering
        try:
            answer = self._adapter.get_available_timeslots(
                GetAvailableTimeslots(
                    unit=offering.unit.hsa_id,
                    actor=Actor.agent(self.source.agent),
                    subject_of_care=self.source.refresh_subject,
                    first_day=call.window[0],
                    last_day=call.window[1],
                    time_type_id=offering.time_type.id,
                ),
                timeout=left,
            )
        except GatewayError:
            self.breaker.record_failure()
            raise
        except BaseException:
            self.breaker.cancel()
            raise
        self.breaker.record_success()
        self.last_answer_at = self._clock()
        most = self.source.most_slots
        if len(answer.timeslots) > most:
            raise SourceFault(
                f"The source lists {len(answer.timeslots)} free times of one time type;"
                f" at most {most} are believed (most_slots).",
                source=self.source.name,
            )
        return answer


def _signs(sighting: LiveSighting) -> tuple[bool, bool]:
    return sighting.failing_since is not None, sighting.unanswered > 0
