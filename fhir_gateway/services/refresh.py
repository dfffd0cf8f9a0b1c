"""
Refresh: asks each source, within its budget, what is free, and stores it in blocks.

It asks as an agent, for whom a producer may not tailor its times, with a subject of
care that was agreed with the source: what it stores is for everybody.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from time import monotonic
from typing import Final

import structlog

from fhir_gateway.adapters.protocol import SchedulingAdapter
from fhir_gateway.model.care_unit import CareUnit, Performer
from fhir_gateway.model.errors import GatewayError
from fhir_gateway.model.ids import HsaId, TimeTypeId
from fhir_gateway.model.interaction import (
    Actor,
    GetAllHealthcareFacilities,
    GetAllPerformers,
    GetAllTimeTypes,
    GetAvailableTimeslots,
    Interaction,
)
from fhir_gateway.model.source import Source
from fhir_gateway.model.timekeeping import Clock, civil_date, now
from fhir_gateway.model.timeslot import Schedule, Timeslot, TimeType
from fhir_gateway.services.directory import TimeTypeMap
from fhir_gateway.stores.offer import Offer
from fhir_gateway.stores.slot_block import BlockKey, SlotBlock
from fhir_gateway.stores.slot_store import SlotStore, SourceStatus, StoreUnavailable

__all__ = ["SourceRefresh"]

_log = structlog.get_logger()

# What a unit offers changes seldom, who works there seldom too.
_OFFER_AGE: Final = timedelta(hours=6)
_IDLE_S: Final = 0.5
_FIRST_PATIENCE: Final = timedelta(seconds=1)
_MOST_DOUBLINGS: Final = 10
_STATUS_EVERY: Final = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """Something to ask: a unit's offer, or the free times of one of its time types."""

    unit: HsaId
    time_type_id: TimeTypeId | None = None


@dataclass(slots=True, kw_only=True)
class _Progress:
    """When each thing was last asked, and last answered."""

    asked_at: dict[_Task, datetime] = field(default_factory=dict)
    answered_at: dict[_Task, datetime] = field(default_factory=dict)
    under_way: set[_Task] = field(default_factory=set)
    failures: dict[_Task, int] = field(default_factory=dict)
    last_answer_at: datetime | None = None
    failing_since: datetime | None = None
    last_error: str | None = None
    status_told_at: datetime | None = None


class SourceRefresh:
    """
    Keeps one source's blocks young.

    Args:
        source: Whom to ask, how often and how far ahead.
        adapter: How to ask.
        store: Where the answers go.
        meanings: Time types with a shared meaning are asked for first.
        clock: Tells the time.
    """

    def __init__(
        self,
        source: Source,
        adapter: SchedulingAdapter,
        store: SlotStore,
        meanings: TimeTypeMap,
        *,
        clock: Clock = now,
    ) -> None:
        self._source = source
        self._adapter = adapter
        self._store = store
        self._meanings = meanings
        self._clock = clock
        self._lock = threading.Lock()
        self._progress = _Progress()
        self._units: dict[HsaId, CareUnit] = {
            unit.hsa_id: unit for unit in source.units
        }
        self._time_types: dict[HsaId, tuple[TimeType, ...]] = {}
        self._performers: dict[HsaId, Performer] = {}
        self._schedules: dict[BlockKey, tuple[Schedule, ...]] = {}
        self._units_listed_at: datetime | None = None
        self._offering = threading.Lock()
        self._has_offered = False
        self._pace = _Pace(source.budget.calls_per_second)

    def run(self, stop: threading.Event) -> None:
        """Ask until `stop` is set; returns when the calls in flight have ended."""
        self._resume()
        in_flight = threading.Semaphore(self._source.budget.calls_in_flight)
        with ThreadPoolExecutor(
            max_workers=self._source.budget.calls_in_flight,
            thread_name_prefix=f"refresh-{self._source.name}",
        ) as executor:
            while not stop.is_set():
                task = self._next_task()
                if task is None:
                    self._tell_status()
                    stop.wait(_IDLE_S)
                    continue
                in_flight.acquire()
                if stop.is_set():
                    return
                future = executor.submit(self._perform, task, stop)
                future.add_done_callback(lambda _: in_flight.release())
                future.add_done_callback(self._tell_of_fault)

    def _tell_of_fault(self, performed: Future[bool]) -> None:
        error = performed.exception()
        if error is not None:
            # A fault of this program's own: it must not look like a quiet source.
            _log.error(
                "refresh failed",
                source=self._source.name,
                kind=type(error).__name__,
            )

    def run_once(self) -> None:
        """Ask everything that is due, one thing after the other, and return."""
        self._resume()
        stop = threading.Event()
        failed: set[_Task] = set()
        while (task := self._next_task(leave_out=failed)) is not None:
            if not self._perform(task, stop):
                failed.add(task)
        self._tell_status(force=True)

    def _resume(self) -> None:
        """Go on where an earlier run stopped: its blocks tell what was asked when."""
        try:
            offer = self._store.offer(self._source.name)
            keys = [
                key
                for key in self._store.block_keys()
                if key.source == self._source.name
            ]
            blocks = self._store.blocks(keys)
        except StoreUnavailable as error:
            _log.warning(
                "refresh starts from nothing",
                source=self._source.name,
                reason=str(error),
            )
            return
        with self._lock:
            if offer is not None:
                if self._source.units_from is not None:
                    for unit in offer.units:
                        self._units.setdefault(unit.hsa_id, unit)
                self._performers.update(offer.performers)
                for unit_id, time_types in offer.time_types.items():
                    # One that is no longer configured is not asked about any more.
                    if unit_id in self._units:
                        self._time_types[unit_id] = time_types
                        task = _Task(unit=unit_id)
                        self._progress.answered_at[task] = offer.answered_at
            for block in blocks:
                if block is not None:
                    task = _Task(
                        unit=block.key.unit, time_type_id=block.key.time_type_id
                    )
                    self._progress.answered_at[task] = block.answered_at
                    self._schedules[block.key] = block.schedules

    def _next_task(self, *, leave_out: set[_Task] | None = None) -> _Task | None:
        """
        Return what is most urgent and not under way, or None when nothing is due.

        First what was never answered: time types with a shared meaning, then units,
        then other time types. After that the oldest answer that is due again. What
        failed waits, longer each time, up to a tenth of `fresh_for`.
        """
        moment = self._clock()
        with self._lock:
            progress = self._progress
            due: list[tuple[int, float, str, _Task]] = []
            for task, rank in self._tasks():
                if task in progress.under_way or (leave_out and task in leave_out):
                    continue
                answered_at = progress.answered_at.get(task)
                asked_at = progress.asked_at.get(task)
                failed = asked_at is not None and (
                    answered_at is None or asked_at > answered_at
                )
                if failed and asked_at and moment - asked_at < self._patience(task):
                    continue
                if answered_at is None:
                    due.append((rank, 0.0, f"{task.unit}{task.time_type_id}", task))
                    continue
                lasts = (
                    _OFFER_AGE
                    if task.time_type_id is None
                    else self._source.fresh_for / 3
                )
                if moment - answered_at >= lasts:
                    age = (moment - answered_at) / lasts
                    due.append((3, -age, "", task))
            if not due:
                return None
            task = min(due, key=_urgency)[3]
            progress.under_way.add(task)
            # Whatever becomes of it, it is not asked again at once.
            progress.asked_at[task] = moment
            return task

    def _patience(self, task: _Task) -> timedelta:
        """Return how long to leave what has failed: twice as long each time."""
        failures = self._progress.failures.get(task, 0)
        patience: timedelta = _FIRST_PATIENCE * (1 << failures)
        return min(patience, self._source.fresh_for / 10)

    def _tasks(self) -> Iterator[tuple[_Task, int]]:
        for unit in self._units:
            yield _Task(unit=unit), 1
            for time_type in self._time_types.get(unit, ()):
                has_meaning = (unit, time_type.id) in self._meanings
                yield (
                    _Task(unit=unit, time_type_id=time_type.id),
                    0 if has_meaning else 2,
                )
        if not self._units and self._source.units_from is not None:
            yield _Task(unit=self._source.units_from), 1

    def _perform(self, task: _Task, stop: threading.Event) -> bool:
        asked_at = self._clock()
        try:
            if task.time_type_id is None:
                self._ask_offer(task.unit, stop)
            else:
                self._ask_times(task.unit, task.time_type_id, stop)
        except _Stopped:
            return False
        except GatewayError as error:
            self._failed(task, asked_at, error)
            return False
        except StoreUnavailable as error:
            _log.warning(
                "refresh cannot store", source=self._source.name, reason=str(error)
            )
            self._failed(task, asked_at, None)
            return False
        else:
            self._succeeded(task, asked_at)
            return True
        finally:
            with self._lock:
                self._progress.under_way.discard(task)

    def _ask_offer(self, unit: HsaId, stop: threading.Event) -> None:
        timeout = self._source.read_timeout.total_seconds()
        supports = self._adapter.supports
        if self._source.units_from is not None and self._units_are_due():
            with self._within_budget(stop):
                units = self._adapter.get_all_healthcare_facilities(
                    GetAllHealthcareFacilities(
                        unit=self._source.units_from,
                        actor=Actor.agent(self._source.agent),
                        subject_of_care=self._source.refresh_subject,
                    ),
                    timeout=timeout,
                )
            with self._lock:
                self._units_listed_at = self._clock()
                for each in units:
                    if each.hsa_id.startswith(self._source.prefixes):
                        self._units.setdefault(each.hsa_id, each)
        with self._within_budget(stop):
            time_types = self._adapter.get_all_time_types(
                GetAllTimeTypes(
                    unit=unit,
                    actor=Actor.agent(self._source.agent),
                    subject_of_care=self._source.refresh_subject,
                ),
                timeout=timeout,
            )
        performers: tuple[Performer, ...] = ()
        if Interaction.GET_ALL_PERFORMERS in supports:
            with self._within_budget(stop):
                performers = tuple(
                    self._adapter.get_all_performers(
                        GetAllPerformers(
                            unit=unit,
                            actor=Actor.agent(self._source.agent),
                            subject_of_care=self._source.refresh_subject,
                        ),
                        timeout=timeout,
                    )
                )
        with self._lock:
            if unit in self._units:
                self._time_types[unit] = tuple(time_types)
            self._performers.update((each.hsa_id, each) for each in performers)
        self._put_offer()

    def _put_offer(self) -> None:
        # Made and put under one lock: the last to be put is the last to be made.
        with self._offering:
            with self._lock:
                offer = Offer(
                    source=self._source.name,
                    answered_at=self._clock(),
                    units=tuple(self._units.values()),
                    time_types=dict(self._time_types),
                    performers=dict(self._performers),
                )
            self._store.put_offer(offer)
            self._has_offered = True

    def _units_are_due(self) -> bool:
        with self._lock:
            listed_at = self._units_listed_at
        return listed_at is None or self._clock() - listed_at >= _OFFER_AGE

    def _ask_times(
        self, unit: HsaId, time_type_id: TimeTypeId, stop: threading.Event
    ) -> None:
        key = BlockKey(source=self._source.name, unit=unit, time_type_id=time_type_id)
        asked_at = self._clock()
        timeslots: dict[str, Timeslot] = {}
        rejected: Counter[str] = Counter()
        for first_day, last_day in self._windows(asked_at):
            with self._within_budget(stop):
                free = self._adapter.get_available_timeslots(
                    GetAvailableTimeslots(
                        unit=unit,
                        actor=Actor.agent(self._source.agent),
                        subject_of_care=self._source.refresh_subject,
                        first_day=first_day,
                        last_day=last_day,
                        time_type_id=time_type_id,
                    ),
                    timeout=self._source.read_timeout.total_seconds(),
                )
            rejected.update(f"malformed: {fault}" for fault in free.rejected)
            for timeslot in free.timeslots:
                # A producer that does not filter lists other time types too.
                if timeslot.schedule.time_type_id != time_type_id:
                    rejected["of another time type"] += 1
                elif not first_day <= civil_date(timeslot.start) <= last_day:
                    rejected["outside the days asked for"] += 1
                elif timeslot.start <= asked_at:
                    rejected["past"] += 1
                else:
                    timeslots[timeslot.token] = timeslot
        with self._lock:
            earlier = self._schedules.get(key, ())
        block = SlotBlock.of(
            key,
            list(timeslots.values()),
            asked_at=asked_at,
            answered_at=self._clock(),
            rejected=dict(rejected),
            earlier_schedules=earlier,
        )
        with self._lock:
            self._schedules[key] = block.schedules
        self._store.put_block(block)

    def _windows(self, moment: datetime) -> Iterator[tuple[date, date]]:
        first = civil_date(moment)
        end = first + self._source.horizon
        while first <= end:
            last = min(first + self._source.window - timedelta(days=1), end)
            yield first, last
            first = last + timedelta(days=1)

    @contextmanager
    def _within_budget(self, stop: threading.Event) -> Iterator[None]:
        if self._pace.wait(stop):
            raise _Stopped
        yield
        with self._lock:
            self._progress.last_answer_at = self._clock()

    def _succeeded(self, task: _Task, asked_at: datetime) -> None:
        with self._lock:
            recovered = self._progress.failing_since is not None
            self._progress.answered_at[task] = max(asked_at, self._clock())
            self._progress.failures.pop(task, None)
            self._progress.failing_since = None
            self._progress.last_error = None
        if recovered:
            _log.info("source answers again", source=self._source.name)
        self._tell_status(force=recovered)

    def _failed(
        self, task: _Task, asked_at: datetime, error: GatewayError | None
    ) -> None:
        with self._lock:
            self._progress.asked_at[task] = max(asked_at, self._clock())
            failures = self._progress.failures
            failures[task] = min(failures.get(task, 0) + 1, _MOST_DOUBLINGS)
            if error is None:
                return
            first = self._progress.failing_since is None
            self._progress.failing_since = self._progress.failing_since or asked_at
            self._progress.last_error = str(error)
        if first:
            _log.warning(
                "source does not answer", source=self._source.name, error=str(error)
            )
        self._tell_status(force=first)

    def _tell_status(self, *, force: bool = False) -> None:
        moment = self._clock()
        with self._lock:
            told_at = self._progress.status_told_at
            if not force and told_at and moment - told_at < _STATUS_EVERY:
                return
            self._progress.status_told_at = moment
            status = SourceStatus(
                source=self._source.name,
                last_answer_at=self._progress.last_answer_at,
                failing_since=self._progress.failing_since,
                last_error=self._progress.last_error,
            )
        try:
            self._store.put_status(status)
            self._refill()
        except StoreUnavailable as error:
            _log.warning(
                "refresh cannot tell its status",
                source=self._source.name,
                reason=str(error),
            )

    def _refill(self) -> None:
        """Ask for everything anew when the store has been emptied."""
        if not self._has_offered or self._store.offer(self._source.name) is not None:
            return
        _log.warning("the store was emptied", source=self._source.name)
        with self._lock:
            self._progress.asked_at.clear()
            self._progress.answered_at.clear()
        self._put_offer()


class _Stopped(Exception):
    """The refresh is to end."""


class _Pace:
    """Lets calls through at an even rate."""

    def __init__(self, calls_per_second: float) -> None:
        self._interval = 1 / calls_per_second
        self._lock = threading.Lock()
        self._next = monotonic()

    def wait(self, stop: threading.Event) -> bool:
        """Wait for the next call's turn; return whether `stop` came first."""
        with self._lock:
            turn = max(self._next, monotonic())
            self._next = turn + self._interval
        return stop.wait(max(0.0, turn - monotonic()))


def _urgency(entry: tuple[int, float, str, _Task]) -> tuple[int, float, str]:
    return entry[:3]
