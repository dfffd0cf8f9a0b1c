"""
The refresh of one source: asks it, within its budget, what is free, and stores that.

It asks as an agent, for whom a producer may not tailor its times, with a subject of
care that was agreed with the source: what it stores is for everybody.
"""

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date, datetime, timedelta
from random import SystemRandom
from typing import Final, TypeVar

import structlog

from fhir_gateway.adapters.protocol import SchedulingAdapter
from fhir_gateway.adapters.sources import source_of_unit
from fhir_gateway.model import scheduling
from fhir_gateway.model.errors import GatewayError
from fhir_gateway.model.ids import HsaId, SourceName, TimeTypeId
from fhir_gateway.model.interaction import Interaction
from fhir_gateway.model.loss import Loss, losses_of
from fhir_gateway.model.source import Source
from fhir_gateway.model.timekeeping import Clock, civil_date, now
from fhir_gateway.services.refresh.calls import RefreshCalls
from fhir_gateway.services.refresh.lease_deadline import LeaseDeadline, LeaseEnded
from fhir_gateway.services.refresh.memory import BlockMemory
from fhir_gateway.services.refresh.question import TIMES, Question
from fhir_gateway.services.refresh.queue import Gate, RefreshQueue
from fhir_gateway.services.refresh.report import (
    block_keys,
    broken,
    failing_questions,
    most_frequent,
    oldest_answer,
)
from fhir_gateway.services.refresh.suspicion import Verdict
from fhir_gateway.services.source.breaker import Breaker, Jitter
from fhir_gateway.services.source.directory import TimeTypeMap
from fhir_gateway.services.source.known_catalogue import KnownCatalogue
from fhir_gateway.services.source.listed_times import ListedTimes
from fhir_gateway.services.source.loss_log import LossLog
from fhir_gateway.services.source.window import (
    Window,
    saves_calls,
    windows,
    windows_with,
)
from fhir_gateway.stores.refresh_hint import RefreshHint, RefreshHints
from fhir_gateway.stores.slot_block import BlockKey, SlotBlock
from fhir_gateway.stores.slot_store import SlotStore, StoreUnavailable
from fhir_gateway.stores.source_status import SourceStatus

__all__ = ["SourceRefresh"]

_log = structlog.get_logger()

A = TypeVar("A")

_UNITS: Final = scheduling.GET_ALL_HEALTHCARE_FACILITIES
_TIME_TYPES: Final = scheduling.GET_ALL_TIME_TYPES
_STAFF: Final = scheduling.GET_ALL_PERFORMERS
_DATES: Final = scheduling.GET_AVAILABLE_DATES

_IDLE_S: Final = 0.5
_STATUS_EVERY: Final = timedelta(seconds=10)
_HINTS_EVERY: Final = timedelta(seconds=1)
_STORE_TRIED_EVERY_S: Final = 1.0
_NOTED_AFTER: Final = 3
_EVEN: Final = SystemRandom().random


class _NotBelieved(Exception):
    """The answer is not stored; the message says why."""


class SourceRefresh:
    """
    Keeps one source's blocks young; of a live source, its catalogue alone.

    Args:
        source: Whom to ask, how often and how far ahead.
        adapter: How to ask.
        store: Where the answers go.
        hints: What clients search for.
        meanings: Time types with a shared meaning are asked for first.
        rechecks: What bookings have found wrong.
        others: The other sources, which answer for units of their own.
        worker: The name of the worker, for the status.
        clock: Tells the time.
        jitter: Spreads what would march in step.
    """

    def __init__(
        self,
        source: Source,
        adapter: SchedulingAdapter,
        store: SlotStore,
        hints: RefreshHints,
        meanings: TimeTypeMap,
        *,
        rechecks: RefreshHints,
        others: Iterable[Source] = (),
        worker: str | None = None,
        clock: Clock = now,
        jitter: Jitter = _EVEN,
    ) -> None:
        self._source = source
        self._adapter = adapter
        self._store = store
        self._hints = hints
        self._rechecks = rechecks
        self._meanings = meanings
        self._worker = worker
        self._clock = clock
        self._jitter = jitter
        self._lock = threading.Lock()
        self._catalogue_lock = threading.Lock()
        self._telling = threading.Lock()
        every = (source, *others)
        self._known = KnownCatalogue(source, lambda unit: source_of_unit(every, unit))
        self._loss_log = LossLog(source.name)
        self._dates_losses: dict[BlockKey, tuple[Loss, ...]] = {}
        self._memory = BlockMemory(source.most_slots)
        self._has_stored_catalogue = False
        self._last_error: str | None = None
        self._status_told_at: datetime | None = None
        self._hints_taken_at: datetime | None = None
        self._is_store_away = False
        self._start(LeaseDeadline())

    @property
    def source(self) -> SourceName:
        """Return whom it asks."""
        return self._source.name

    def run(self, deadline: LeaseDeadline) -> None:
        """Ask until the deadline passes, and wait for the calls in flight."""
        self._start(deadline)
        self._resume()
        in_flight = threading.Semaphore(self._source.budget.calls_in_flight)
        with ThreadPoolExecutor(
            max_workers=self._source.budget.calls_in_flight,
            thread_name_prefix=f"refresh-{self._source.name}",
        ) as executor:
            while not deadline.has_passed():
                if self._is_store_away:
                    # A region is not asked for what cannot be kept.
                    self._tell_status(force=True)
                    if self._is_store_away:
                        deadline.wait(_STORE_TRIED_EVERY_S)
                        continue
                self._take_hints()
                self._tell_status()
                in_flight.acquire()
                question = None if deadline.has_passed() else self._next_question()
                if question is None:
                    in_flight.release()
                    deadline.wait(_IDLE_S)
                    continue
                future = executor.submit(self._perform, question)
                future.add_done_callback(lambda _: in_flight.release())
                future.add_done_callback(self._tell_of_fault)

    def run_once(self) -> None:
        """Ask everything that is due, one thing after the other, and return."""
        self._resume()
        self._take_hints()
        if self._is_store_away:
            self._tell_status(force=True)
        failed: set[Question] = set()
        while not self._is_store_away:
            question = self._next_question()
            if question is None:
                break
            if question in failed:
                self._let_go(question)
                break
            if not self._perform(question):
                failed.add(question)
        self._tell_status(force=True)

    def _start(self, deadline: LeaseDeadline) -> None:
        """Begin to count anew: what another worker saw meanwhile is not known."""
        source, clock, jitter = self._source, self._clock, self._jitter
        self._queue = RefreshQueue(
            fresh_for=source.fresh_for,
            offered_for=source.offered_for,
            clock=clock,
            jitter=jitter,
        )
        self._breakers = {
            interaction: Breaker(
                longest_pause=source.fresh_for / 10, clock=clock, jitter=jitter
            )
            for interaction in (_UNITS, _TIME_TYPES, _STAFF, _DATES, TIMES)
        }
        self._deadline = deadline
        self._calls = RefreshCalls(
            source, self._adapter, deadline, clock=clock, jitter=jitter
        )
        self._was_failing = False
        self._expect()

    def _resume(self) -> None:
        """Go on where an earlier run stopped: its blocks tell what was asked when."""
        try:
            catalogue = self._store.catalogue(self._source.name)
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
        if catalogue is not None:
            self._known.resume(catalogue)
        self._expect()
        if catalogue is not None:
            for unit in catalogue.time_types:
                for interaction in (_TIME_TYPES, _STAFF):
                    self._queue.record_answer(
                        Question(interaction=interaction, unit=unit),
                        catalogue.answered_at,
                    )
        for block in blocks:
            if block is not None:
                self._memory.keep(block)
                self._queue.record_answer(
                    _times_of((block.key.unit, block.key.time_type_id)),
                    block.answered_at,
                    near=self._memory.is_near(block.key, self._clock()),
                )

    def _expect(self) -> None:
        """Tell the queue what there is to ask."""
        with self._lock:
            self._queue.expect(list(self._questions()))

    def _questions(self) -> Iterator[tuple[Question, int]]:
        supports = self._adapter.supports
        if self._source.units_from is not None:
            yield Question(interaction=_UNITS, unit=self._source.units_from), 0
        for unit, time_type_ids in self._known.time_types():
            yield Question(interaction=_TIME_TYPES, unit=unit), 1
            if _STAFF in supports:
                yield Question(interaction=_STAFF, unit=unit), 3
            if self._source.is_live:
                continue
            for each in time_type_ids:
                has_meaning = (unit, each) in self._meanings
                yield (
                    Question(interaction=TIMES, unit=unit, time_type_id=each),
                    0 if has_meaning else 2,
                )

    def _next_question(self) -> Question | None:
        question = self._queue.take(self._gate)
        if question is not None:
            self._breakers[question.interaction].allows()
        return question

    def _let_go(self, question: Question) -> None:
        self._breakers[question.interaction].cancel()
        self._queue.release(question)

    def _gate(self, interaction: Interaction) -> Gate:
        breaker = self._breakers[interaction]
        if not breaker.would_allow:
            return Gate.CLOSED
        return Gate.OPEN if breaker.failing_since is None else Gate.PROBE

    def _take_hints(self) -> None:
        moment = self._clock()
        taken_at = self._hints_taken_at
        if taken_at is not None and moment - taken_at < _HINTS_EVERY:
            return
        self._hints_taken_at = moment
        try:
            wanted = self._hints.take(self._source.name)
            wrong = self._rechecks.take(self._source.name)
        except StoreUnavailable:
            # Told of by whatever is stored next; the order is a little worse meanwhile.
            return
        self._queue.want(map(_times_of, wanted))
        self._queue.recheck(map(_times_of, wrong))

    def _perform(self, question: Question) -> bool:
        """Ask, and keep what is answered; return whether that went well."""
        breaker = self._breakers[question.interaction]
        try:
            near = self._ask(question)
        except LeaseEnded:
            self._let_go(question)
            return False
        except GatewayError as error:
            breaker.record_failure(question, of=self._how_many(question.interaction))
            self._failed(question, str(error))
            return False
        except _NotBelieved as doubt:
            breaker.record_success()
            if doubt.args:
                self._failed(question, str(doubt))
            else:
                self._queue.record_doubt(question)
                self._tell_status()
            return False
        except StoreUnavailable as error:
            breaker.record_success()
            self._queue.record_failure(question, None)
            self._lost_store(error)
            return False
        except BaseException:
            # A fault of our own: it must not be asked again at once.
            breaker.cancel()
            self._queue.record_failure(question, None)
            raise
        breaker.record_success()
        self._queue.record_answer(question, self._clock(), near=near)
        self._tell_status()
        return True

    def _ask(self, question: Question) -> bool:
        """Ask and store; return whether there are free times soon."""
        if question.time_type_id is not None:
            return self._ask_times(question.unit, question.time_type_id)
        unit = question.unit
        if question.interaction == _UNITS:
            losses = self._known.add_units(unit, self._calls.units(unit))
        elif question.interaction == _TIME_TYPES:
            losses = self._known.put_time_types(unit, self._calls.time_types(unit))
        else:
            losses = self._known.add_performers(unit, self._calls.performers(unit))
        self._loss_log.note(question.interaction, unit, losses)
        self._expect()
        self._put_catalogue()
        return False

    def _put_catalogue(self) -> None:
        # Made and put under one lock: the last to be put is the last to be made.
        with self._catalogue_lock:
            catalogue = self._known.catalogue(self._clock())
            self._keep(self._store.put_catalogue, catalogue)
            self._has_stored_catalogue = True

    def _ask_times(self, unit: HsaId, time_type_id: TimeTypeId) -> bool:
        key = BlockKey(source=self._source.name, unit=unit, time_type_id=time_type_id)
        asked_at = self._clock()
        times = ListedTimes(time_type_id, asked_at)
        for window in self._windows(key, asked_at):
            times.add(self._calls.timeslots(unit, time_type_id, window), window)
        self._judge(key, times, asked_at)
        block = SlotBlock.of(
            key,
            times.timeslots,
            asked_at=asked_at,
            answered_at=self._clock(),
            rejected=times.rejected,
            earlier_schedules=self._memory.schedules(key),
        )
        self._keep(self._store.put_block, block)
        self._memory.keep(block)
        self._loss_log.note(TIMES, unit, block.losses, time_type_id=time_type_id)
        return self._memory.is_near(key, asked_at)

    def _judge(self, key: BlockKey, times: ListedTimes, moment: datetime) -> None:
        """
        Judge an answer.

        Raises:
            _NotBelieved: It is to be given again, or, with a message, is refused.
        """
        free = len(times.timeslots)
        judged = self._memory.judge(key, listed=times.listed, free=free, moment=moment)
        if judged is Verdict.REFUSED:
            raise _NotBelieved(
                f"The source lists {times.listed} free times of one time type; at most"
                f" {self._source.most_slots} are believed (most_slots)."
            )
        if judged is Verdict.DOUBTED:
            _log.warning(
                "answer not believed yet",
                source=self._source.name,
                unit=key.unit,
                time_type=key.time_type_id,
                listed=free,
            )
            raise _NotBelieved

    def _windows(self, key: BlockKey, moment: datetime) -> Sequence[Window]:
        """Return the periods to ask for: those with free times, where that is known."""
        first = civil_date(moment)
        last = first + self._source.horizon
        longest = self._source.window
        every = list(windows(first, last, longest=longest))
        days = self._memory.days(key, moment)
        with_times = None
        if days is not None:
            with_times = len(list(windows_with(days, first, last, longest=longest)))
        if _DATES not in self._adapter.supports or not saves_calls(
            in_all=len(every), with_times=with_times
        ):
            self._note_dates(key, ())
            return every
        found = self._days_with_times(key, first, last)
        if found is None:
            return every
        return list(windows_with(found, first, last, longest=longest))

    def _days_with_times(
        self, key: BlockKey, first: date, last: date
    ) -> set[date] | None:
        """
        Return the days with free times; None when the source does not plainly say.

        A day that cannot be read, or that was not asked for, leaves in doubt which
        days there are.
        """
        breaker = self._breakers[_DATES]
        if not breaker.allows():
            return None
        try:
            dates = self._calls.dates(key.unit, key.time_type_id, (first, last))
        except LeaseEnded:
            breaker.cancel()
            raise
        except GatewayError:
            # Every window is asked for instead, and this contract left alone in time.
            breaker.record_failure(key, of=self._how_many(TIMES))
            return None
        breaker.record_success()
        rejected = list(dates.rejected)
        for each in dates.items:
            if each.schedule.time_type_id != key.time_type_id:
                rejected.append("of another time type")
            elif not first <= each.day <= last:
                rejected.append("outside the days asked for")
        losses = losses_of(_DATES, key.unit, rejected, time_type_id=key.time_type_id)
        self._note_dates(key, losses)
        return None if losses else {each.day for each in dates.items}

    def _note_dates(self, key: BlockKey, losses: tuple[Loss, ...]) -> None:
        with self._lock:
            self._dates_losses[key] = losses
        self._loss_log.note(_DATES, key.unit, losses, time_type_id=key.time_type_id)

    def _losses(self, keys: Collection[BlockKey], moment: datetime) -> tuple[Loss, ...]:
        """Return what was left out of the last answers to all that is asked."""
        with self._lock:
            of_dates = [self._dates_losses.get(key, ()) for key in keys]
        return most_frequent(
            (
                *self._known.catalogue(moment).losses,
                *self._memory.losses(keys),
                *(loss for losses in of_dates for loss in losses),
            )
        )

    def _keep(self, put: Callable[[A], None], what: A) -> None:
        """
        Store an answer, unless another worker has the source by now.

        Raises:
            LeaseEnded: It may have newer answers than this one.
            StoreUnavailable: It could not be stored.
        """
        if self._deadline.has_passed():
            raise LeaseEnded
        put(what)

    def _how_many(self, interaction: Interaction) -> int:
        return sum(
            question.interaction == interaction for question in self._queue.states()
        )

    def _failed(self, question: Question, error: str) -> None:
        with self._lock:
            self._last_error = error
        failures = self._queue.record_failure(question, error)
        is_whole = self._breakers[question.interaction].failing_since is not None
        if failures == _NOTED_AFTER and not is_whole:
            _log.warning(
                "unit does not answer",
                source=self._source.name,
                unit=question.unit,
                time_type=question.time_type_id,
                error=error,
            )
        self._tell_status()

    def _tell_of_fault(self, performed: Future[bool]) -> None:
        error = performed.exception()
        if error is not None:
            # A fault of this program's own: it must not look like a quiet source.
            _log.error(
                "refresh failed",
                source=self._source.name,
                kind=type(error).__name__,
            )

    def _failing_since(self) -> datetime | None:
        """Return since when it answers nothing of what searches need."""
        for interaction in (TIMES, _TIME_TYPES, _UNITS):
            # Whoever has not said what can be asked must say that first.
            if self._how_many(interaction):
                return self._breakers[interaction].failing_since
        return None

    def _tell_status(self, *, force: bool = False) -> None:
        """Tell how it is going: now and then, and at once when that has changed."""
        with self._telling:
            moment = self._clock()
            failing_since = self._failing_since()
            is_failing = failing_since is not None
            told_at = self._status_told_at
            is_news = is_failing != self._was_failing
            if is_failing and is_news:
                _log.warning(
                    "source does not answer",
                    source=self._source.name,
                    error=self._last_error,
                )
            elif is_news:
                _log.info("source answers again", source=self._source.name)
            self._was_failing = is_failing
            is_recent = told_at is not None and moment - told_at < _STATUS_EVERY
            if self._deadline.has_passed() or (is_recent and not force and not is_news):
                return
            self._status_told_at = moment
            try:
                self._store.put_status(self._status(moment, failing_since))
                self._refill()
            except StoreUnavailable as error:
                self._lost_store(error)
            else:
                if self._is_store_away:
                    _log.info("refresh can store again", source=self._source.name)
                self._is_store_away = False

    def _lost_store(self, error: StoreUnavailable) -> None:
        if not self._is_store_away:
            _log.warning(
                "refresh cannot store", source=self._source.name, reason=str(error)
            )
        self._is_store_away = True

    def _status(self, moment: datetime, failing_since: datetime | None) -> SourceStatus:
        states = self._queue.states()
        failing = failing_questions(states)
        keys = block_keys(self._source.name, states)
        slots, rejected = self._memory.count(keys, self._meanings, moment)
        return SourceStatus(
            source=self._source.name,
            last_answer_at=self._calls.last_answer_at,
            failing_since=failing_since,
            last_error=self._last_error if failing or failing_since else None,
            told_at=moment,
            worker=self._worker,
            failing=failing,
            broken=broken(self._breakers),
            calls_last_minute=self._calls.in_last_minute(),
            questions=len(states),
            unanswered=sum(each.answered_at is None for each in states.values()),
            oldest_answer_at=oldest_answer(states),
            slots=slots,
            rejected=rejected,
            losses=self._losses(keys, moment),
        )

    def _refill(self) -> None:
        """Ask for everything anew when the store has been emptied."""
        if (
            not self._has_stored_catalogue
            or self._store.catalogue(self._source.name) is not None
        ):
            return
        _log.warning("the store was emptied", source=self._source.name)
        self._queue.forget_answers()
        self._put_catalogue()


def _times_of(wanted: RefreshHint) -> Question:
    unit, time_type_id = wanted
    return Question(interaction=TIMES, unit=unit, time_type_id=time_type_id)
