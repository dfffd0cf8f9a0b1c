"""
Live search: asks the sources whose free times are not kept, while a client waits.

All are asked at once, each in its budget and until its own deadline; what was not asked
or has not answered is told as an outcome. It asks as an agent, as the refresh does.
"""

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from time import monotonic
from typing import Final

import structlog

from fhir_gateway.adapters.protocol import SchedulingAdapter
from fhir_gateway.model import scheduling
from fhir_gateway.model.errors import GatewayError, SourceFault, Unavailable
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.interaction import Actor
from fhir_gateway.model.scheduling import GetAvailableTimeslots
from fhir_gateway.model.source import Source, SourceOutcome, SourceProblem
from fhir_gateway.model.timekeeping import Clock, civil_date, now
from fhir_gateway.model.timeslot import FreeTimes, TimeslotToken
from fhir_gateway.services.source.breaker import Breaker
from fhir_gateway.services.source.directory import Offering
from fhir_gateway.services.source.listed_times import ListedTimes
from fhir_gateway.services.source.loss_log import LossLog
from fhir_gateway.services.source.pace import Pace
from fhir_gateway.services.source.window import Window, windows
from fhir_gateway.stores.sightings import LiveSighting, Sightings
from fhir_gateway.stores.slot_block import BlockKey, SlotBlock
from fhir_gateway.stores.slot_store import SlotStore, StoreUnavailable

__all__ = ["LiveAnswer", "LiveSearch"]

_log = structlog.get_logger()

_NOT_AT_PRESENT: Final = "does not answer at present."
_LATE: Final = "The source did not answer in time."
# Operators see how a source's questions go when that changes, and this often besides.
_TOLD_AGAIN_AFTER: Final = timedelta(seconds=20)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveAnswer:
    """
    What live sources have answered.

    Attributes:
        blocks: The free times of each time type that was answered, at least in part.
        outcomes: What was not answered, and why.
        lacks: What was answered and could not be kept.
    """

    blocks: tuple[SlotBlock, ...]
    outcomes: tuple[SourceOutcome, ...]
    lacks: tuple[SourceOutcome, ...] = ()


@dataclass(frozen=True, slots=True)
class _Question:
    offering: Offering
    window: Window


class LiveSearch:
    """
    Asks live sources within searches.

    Args:
        sources: All of them; those of another mode are never asked.
        adapters: How to ask them.
        store: Where it is kept whose times they are, never the times.
        processes: How many web processes share each source's budget.
        most_waiting: How many searches may wait for live sources at once; the others
            go without, so that they leave threads to searches that ask nobody.
        sightings: Where operators see how the questions go; None tells nobody.
        clock: Tells the time.
    """

    def __init__(
        self,
        sources: Mapping[SourceName, Source],
        adapters: Mapping[SourceName, SchedulingAdapter],
        store: SlotStore,
        *,
        processes: int = 1,
        most_waiting: int = 8,
        sightings: Sightings | None = None,
        clock: Clock = now,
    ) -> None:
        self._clock = clock
        self._places = threading.BoundedSemaphore(most_waiting)
        self._sources = {
            name: _LiveSource(source, adapters[name], processes, clock)
            for name, source in sources.items()
            if source.is_live
        }
        self._store = store
        self._sightings = sightings
        self._told = ThreadPoolExecutor(1, thread_name_prefix="live-schedules")
        self._sighted = ThreadPoolExecutor(1, thread_name_prefix="live-sightings")

    @property
    def sources(self) -> frozenset[SourceName]:
        """Return the sources that are asked within searches."""
        return frozenset(self._sources)

    def ask(
        self,
        offerings: Mapping[SourceName, Sequence[Offering]],
        *,
        start: datetime,
        before: datetime | None,
        latest_first: bool,
    ) -> LiveAnswer:
        """
        Ask for the free times of units' time types; returns by the last deadline.

        Args:
            offerings: What is asked for, by live source.
            start: From the day of this instant on.
            before: Until the day of this instant; None for as far as times are kept.
            latest_first: The last windows matter most.
        """
        if not self._places.acquire(blocking=False):
            return LiveAnswer(
                blocks=(),
                outcomes=tuple(
                    self._sources[name].too_busy() for name in sorted(offerings)
                ),
            )
        try:
            return self._asked(offerings, start, before, latest_first=latest_first)
        finally:
            self._places.release()

    def ask_for(
        self, token: TimeslotToken, offering: Offering
    ) -> tuple[SlotBlock, ...]:
        """
        Ask for the day of one time.

        Raises:
            Unavailable: The source was not asked, or did not answer in time.
        """
        answer = self.ask(
            {offering.unit.source: [offering]},
            start=token.starts_at,
            before=token.ends_at,
            latest_first=False,
        )
        if answer.outcomes:
            raise Unavailable(
                f"{answer.outcomes[0].detail} Try again in a minute.",
                source=offering.unit.source,
            )
        return answer.blocks

    def silence_of(self, name: SourceName) -> SourceOutcome | None:
        """Return that a live source answered nothing when it was asked of late."""
        return self._sources[name].silence()

    def tell_schedules(self, blocks: Sequence[SlotBlock]) -> None:
        """Let others know, in time, whose times there are and what was lost."""
        for block in blocks:
            self._told.submit(self._tell_schedules, block)

    def close(self) -> None:
        """Let go of the threads; calls in flight end by themselves."""
        for source in self._sources.values():
            source.close()
        self._told.shutdown(wait=True, cancel_futures=True)
        # Few, however many searches there were: see `_LiveSource.see`.
        self._sighted.shutdown(wait=True)

    def _asked(
        self,
        offerings: Mapping[SourceName, Sequence[Offering]],
        start: datetime,
        before: datetime | None,
        *,
        latest_first: bool,
    ) -> LiveAnswer:
        rounds = []
        for name, wanted in sorted(offerings.items()):
            source = self._sources[name]
            questions = [
                _Question(offering, window)
                for window in source.windows(start, before, latest_first=latest_first)
                for offering in wanted
            ]
            if questions:
                rounds.append(_Round(source, questions, self._clock()))
        blocks: list[SlotBlock] = []
        outcomes: list[SourceOutcome] = []
        lacks: list[SourceOutcome] = []
        for each in rounds:
            each.gather()
            self._tell_sighting(each)
            answered = each.blocks(self._clock())
            blocks.extend(answered)
            outcomes.extend(each.outcomes())
            lacks.extend(each.source.lacks(answered))
        return LiveAnswer(
            blocks=tuple(blocks), outcomes=tuple(outcomes), lacks=tuple(lacks)
        )

    def _tell_sighting(self, asked: "_Round") -> None:
        sighting = asked.sighting()
        if self._sightings is not None and sighting is not None:
            self._sighted.submit(
                _put_sighting, self._sightings, asked.source.source.name, sighting
            )

    def _tell_schedules(self, block: SlotBlock) -> None:
        try:
            (earlier,) = self._store.blocks([block.key])
            told = SlotBlock.of(
                block.key,
                [],
                asked_at=block.asked_at,
                answered_at=block.answered_at,
                rejected=block.rejected,
                earlier_schedules=(
                    *block.schedules,
                    *(earlier.schedules if earlier else ()),
                ),
            )
            self._store.put_block(told)
        except StoreUnavailable as error:
            _log.warning(
                "live schedules not told",
                source=block.key.source,
                reason=str(error),
            )


def _put_sighting(
    sightings: Sightings, source: SourceName, sighting: LiveSighting
) -> None:
    try:
        sightings.put_live(source, sighting)
    except StoreUnavailable as error:
        _log.info("live sighting not told", source=source, reason=str(error))


class _LiveSource:
    """A live source, and what keeps searches from asking it too much."""

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
        self._told_at: datetime | None = None
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
        made = list(windows(first, last, longest=self.source.window))
        return made[::-1] if latest_first else made

    def too_busy(self) -> SourceOutcome:
        """Return what is told when too many searches wait already."""
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
        """Return what was answered and could not be kept; log it when it is news."""
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
        """Note how a search's questions went; return that when others should know."""
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
                and self._told_at is not None
                and moment - self._told_at < _TOLD_AGAIN_AFTER
            ):
                return None
            self._told_at = moment
            return sighting

    def silence(self) -> SourceOutcome | None:
        """Return that it answered nothing when it was asked of late."""
        sighting = self._sighting
        if (
            sighting is None
            or sighting.failing_since is None
            or self._clock() - sighting.seen_at > self.source.fresh_for
        ):
            return None
        return SourceOutcome(
            source=self.source.name,
            problem=SourceProblem.UNAVAILABLE,
            detail=f"{self.source.title} {_NOT_AT_PRESENT}",
            since=self.last_answer_at,
        )

    def submit(
        self, question: _Question, turn_in_s: float, deadline: float
    ) -> Future[FreeTimes]:
        """Ask in a thread, when the call's turn has come."""
        begins = monotonic() + turn_in_s
        return self._executor.submit(self._call, question, begins, deadline)

    def close(self) -> None:
        """Let go of the threads."""
        self._stopped.set()
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _call(self, question: _Question, begins: float, deadline: float) -> FreeTimes:
        stopped = self._stopped.wait(max(0.0, begins - monotonic()))
        left = deadline - monotonic()
        if stopped or left <= 0:
            self.breaker.cancel()
            raise Unavailable("there was no time left to ask", source=self.source.name)
        offering = question.offering
        try:
            answer = self._adapter.get_available_timeslots(
                GetAvailableTimeslots(
                    unit=offering.unit.hsa_id,
                    actor=Actor.agent(self.source.agent),
                    subject_of_care=self.source.refresh_subject,
                    first_day=question.window[0],
                    last_day=question.window[1],
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


class _Round:
    """One search's questions to one live source."""

    def __init__(
        self, live: _LiveSource, questions: Sequence[_Question], asked_at: datetime
    ) -> None:
        self.source = live
        self._asked_at = asked_at
        self._deadline = monotonic() + live.source.live_timeout.total_seconds()
        self._asked: list[tuple[_Question, Future[FreeTimes]]] = []
        self._answers: dict[_Question, FreeTimes] = {}
        self._is_broken = False
        self._error: str | None = None
        self._left = 0
        for number, question in enumerate(questions):
            if not self._may_ask(number):
                self._left = len(questions) - number
                break
            turn = live.pace.reserve(within_s=self._deadline - monotonic())
            if turn is None:
                live.breaker.cancel()
                self._left = len(questions) - number
                break
            self._asked.append((question, live.submit(question, turn, self._deadline)))

    def gather(self) -> None:
        """Wait for the answers, until the deadline."""
        wait(
            [future for _, future in self._asked],
            timeout=max(0.0, self._deadline - monotonic()),
        )
        errors: list[str] = []
        for question, future in self._asked:
            if future.cancel():
                self.source.breaker.cancel()
            elif future.done():
                error = future.exception()
                if error is None:
                    self._answers[question] = future.result()
                elif not isinstance(error, GatewayError):
                    # A fault of this program's own: it must not look like a quiet one.
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
        """Return how the questions went when others should know; None: as before."""
        if not self._asked:
            return None
        return self.source.see(len(self._asked), len(self._answers), self._error)

    def blocks(self, answered_at: datetime) -> list[SlotBlock]:
        """Return what was answered, one block for each time type."""
        listed: dict[Offering, ListedTimes] = {}
        for question, answer in self._answers.items():
            offering = question.offering
            times = listed.get(offering)
            if times is None:
                times = ListedTimes(offering.time_type.id, self._asked_at)
                listed[offering] = times
            times.add(answer, question.window)
        return [
            SlotBlock.of(
                BlockKey(
                    source=self.source.source.name,
                    unit=offering.unit.hsa_id,
                    time_type_id=offering.time_type.id,
                ),
                times.timeslots,
                asked_at=self._asked_at,
                answered_at=answered_at,
                rejected=times.rejected,
            )
            for offering, times in listed.items()
        ]

    def outcomes(self) -> list[SourceOutcome]:
        """Return what is missing from the answers."""
        source = self.source.source
        found = []
        outcome = SourceOutcome(
            source=source.name,
            problem=SourceProblem.UNAVAILABLE,
            detail=f"{source.title} {_NOT_AT_PRESENT}",
            since=self.source.last_answer_at,
        )
        unanswered = len(self._asked) - len(self._answers)
        if self._is_broken:
            return [outcome]
        if unanswered:
            seconds = f"{source.live_timeout.total_seconds():g} s"
            detail = (
                f"{source.title} is asked within each search, and left {unanswered} of"
                f" {len(self._asked)} questions unanswered within {seconds}."
            )
            found.append(replace(outcome, detail=detail))
        if self._left:
            detail = (
                f"{source.title} is asked within each search, and only so often:"
                f" {self._left} questions about its units' time types were not asked."
                " Search for one unit, a shorter period, or again in a minute."
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
