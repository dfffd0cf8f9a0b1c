"""
The refresh of one source: asks for its free times within its budget, and stores them.

It asks as an agent, so that the producer may not tailor the times to a resident, with a
subject of care that was agreed with the source: the stored times are for all clients.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from random import SystemRandom
from typing import Final, TypeVar

import structlog

from fhir_gateway.adapters.protocol import SchedulingAdapter
from fhir_gateway.adapters.sources import source_of_unit
from fhir_gateway.model import scheduling
from fhir_gateway.model.errors import GatewayError
from fhir_gateway.model.ids import HsaId, SourceName, TimeTypeId
from fhir_gateway.model.source import Source
from fhir_gateway.model.timekeeping import Clock, now
from fhir_gateway.model.unit_ability import UnitAbility
from fhir_gateway.services.refresh.block_memory import BlockMemory
from fhir_gateway.services.refresh.block_refresh import BlockRefresh, NotBelieved
from fhir_gateway.services.refresh.lease_deadline import LeaseDeadline, LeaseEnded
from fhir_gateway.services.refresh.question import TIMES, Question
from fhir_gateway.services.refresh.refresh_run import RefreshRun
from fhir_gateway.services.refresh.source_reporter import SourceReporter
from fhir_gateway.services.source.breaker import Jitter
from fhir_gateway.services.source.directory import TimeTypeMap
from fhir_gateway.services.source.known_catalogue import KnownCatalogue
from fhir_gateway.services.source.loss_log import LossLog
from fhir_gateway.stores.refresh_hint import RefreshHint, RefreshHints
from fhir_gateway.stores.slot_block import BlockKey
from fhir_gateway.stores.slot_store import SlotStore, StoreUnavailable

__all__ = ["SourceRefresh"]

_log = structlog.get_logger()

A = TypeVar("A")

_UNITS: Final = scheduling.GET_ALL_HEALTHCARE_FACILITIES
_TIME_TYPES: Final = scheduling.GET_ALL_TIME_TYPES
_STAFF: Final = scheduling.GET_ALL_PERFORMERS

_IDLE_S: Final = 0.5
_HINTS_EVERY: Final = timedelta(seconds=1)
_STORE_TRIED_EVERY_S: Final = 1.0
_EVEN: Final = SystemRandom().random


class SourceRefresh:
    """
    Keeps one source's blocks young; of a live source, its catalogue alone.

    Args:
        source: The source, with how often and how far ahead to ask it.
        adapter: The adapter of the source.
        store: Where the answers go.
        hints: Time types that clients searched for.
        meanings: Time types with a shared meaning are asked for first.
        rechecks: Time types with answers that bookings found wrong.
        others: The other sources, which answer for units of their own.
        worker: The name of the worker, for the status.
        clock: Returns the current time.
        jitter: Spreads calls that would happen at the same time.
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
        self._clock = clock
        self._jitter = jitter
        self._lock = threading.Lock()
        self._catalogue_lock = threading.Lock()
        every = (source, *others)
        self._known = KnownCatalogue(source, lambda unit: source_of_unit(every, unit))
        self._loss_log = LossLog(source.name)
        self._memory = BlockMemory(source.most_slots)
        self._blocks = BlockRefresh(
            source, adapter, self._memory, self._loss_log, clock=clock
        )
        self._reporter = SourceReporter(
            source,
            store,
            self._known,
            self._memory,
            self._blocks,
            meanings=meanings,
            refill=self._refill,
            worker=worker,
            clock=clock,
        )
        self._has_stored_catalogue = False
        self._answered_at: datetime | None = None
        self._hints_taken_at: datetime | None = None
        self._begin(LeaseDeadline())

    @property
    def source(self) -> SourceName:
        """Return the source."""
        return self._source.name

    @property
    def units(self) -> tuple[HsaId, ...]:
        """Return the source's units, as far as they are known."""
        return tuple(unit for unit, _ in self._known.time_types())

    def put_abilities(
        self, abilities: Mapping[HsaId, frozenset[UnitAbility]], asked_at: datetime
    ) -> None:
        """Record what the units can do; store news, if this worker has the source."""
        if self._known.put_abilities(abilities, asked_at):
            self._store_abilities()

    def forget_abilities(self, before: datetime) -> None:
        """Forget what the units could do before an instant."""
        if self._known.forget_abilities(before):
            self._store_abilities()

    def run(self, deadline: LeaseDeadline) -> None:
        """Ask until the deadline passes, and wait for the calls in flight."""
        self._begin(deadline)
        self._resume()
        in_flight = threading.Semaphore(self._source.budget.calls_in_flight)
        with ThreadPoolExecutor(
            max_workers=self._source.budget.calls_in_flight,
            thread_name_prefix=f"refresh-{self._source.name}",
        ) as executor:
            while not deadline.has_passed():
                if self._reporter.is_store_away:
                    # No question to a region without a store for the answer.
                    self._reporter.report(self._run, force=True)
                    if self._reporter.is_store_away:
                        deadline.wait(_STORE_TRIED_EVERY_S)
                        continue
                self._take_hints()
                self._reporter.report(self._run)
                in_flight.acquire()
                question = None if deadline.has_passed() else self._next_question()
                if question is None:
                    in_flight.release()
                    deadline.wait(_IDLE_S)
                    continue
                future = executor.submit(self._perform, question)
                future.add_done_callback(lambda _: in_flight.release())
                future.add_done_callback(self._log_fault)

    def run_once(self) -> None:
        """Ask all questions that are due, one after the other, and return."""
        self._resume()
        self._take_hints()
        if self._reporter.is_store_away:
            self._reporter.report(self._run, force=True)
        failed: set[Question] = set()
        while not self._reporter.is_store_away:
            question = self._next_question()
            if question is None:
                break
            if question in failed:
                self._release(question)
                break
            if not self._perform(question):
                failed.add(question)
        self._reporter.report(self._run, force=True)

    def _begin(self, deadline: LeaseDeadline) -> None:
        self._run = RefreshRun.begin(
            self._source,
            self._adapter,
            deadline,
            clock=self._clock,
            jitter=self._jitter,
        )
        self._reporter.begin_run()
        self._expect()

    def _resume(self) -> None:
        """Go on where an earlier run stopped: the stored blocks say when it asked."""
        try:
            catalogue = self._store.catalogue(self._source.name)
            status = self._store.status(self._source.name)
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
            self._answered_at = catalogue.answered_at
            if self._known.has_other_abilities(catalogue):
                self._store_abilities()
        self._expect()
        silent = frozenset() if status is None else frozenset(status.silent_staff)
        if catalogue is not None:
            for unit in catalogue.time_types:
                for interaction in (_TIME_TYPES, _STAFF):
                    if interaction == _STAFF and unit in silent:
                        continue
                    self._run.queue.record_answer(
                        Question(interaction=interaction, unit=unit),
                        catalogue.answered_at,
                    )
        for block in blocks:
            if block is not None:
                self._memory.keep(block)
                self._run.queue.record_answer(
                    _times_of((block.key.unit, block.key.time_type_id)),
                    block.answered_at,
                    near=self._memory.is_near(block.key, self._clock()),
                )

    def _expect(self) -> None:
        """Put all questions that there are in the queue."""
        with self._lock:
            self._run.queue.expect(list(self._questions()))

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
        question = self._run.queue.take(self._run.gate)
        if question is not None:
            self._run.breakers[question.interaction].allows()
        return question

    def _release(self, question: Question) -> None:
        self._run.breakers[question.interaction].cancel()
        self._run.queue.release(question)

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
            # The next write to the store reports the fault; until then the order of the
            # questions is a little worse.
            return
        self._run.queue.want(map(_times_of, wanted))
        self._run.queue.recheck(map(_times_of, wrong))

    def _perform(self, question: Question) -> bool:
        """Ask, store the answer and record the outcome; return whether it succeeded."""
        breaker = self._run.breakers[question.interaction]
        try:
            near = self._ask_and_store(question)
        except LeaseEnded:
            self._release(question)
            return False
        except GatewayError as error:
            breaker.record_failure(
                question, of=self._run.questions_of(question.interaction)
            )
            self._record_failure(question, str(error))
            return False
        except NotBelieved as doubt:
            breaker.record_success()
            if doubt.args:
                self._record_failure(question, str(doubt))
            else:
                self._run.queue.record_doubt(question)
                self._reporter.report(self._run)
            return False
        except StoreUnavailable as error:
            breaker.record_success()
            self._run.queue.record_failure(question, None)
            self._reporter.record_lost_store(error)
            return False
        except BaseException:
            # A fault of this program: the question must not be asked again at once.
            breaker.cancel()
            self._run.queue.record_failure(question, None)
            raise
        breaker.record_success()
        self._run.queue.record_answer(question, self._clock(), near=near)
        self._reporter.report(self._run)
        return True

    def _ask_and_store(self, question: Question) -> bool:
        """Ask and store; return whether there are free times soon."""
        if question.time_type_id is not None:
            return self._refresh_block(question.unit, question.time_type_id)
        unit = question.unit
        if question.interaction == _UNITS:
            losses = self._known.add_units(unit, self._run.calls.units(unit))
        elif question.interaction == _TIME_TYPES:
            losses = self._known.put_time_types(unit, self._run.calls.time_types(unit))
        else:
            losses = self._known.add_performers(unit, self._run.calls.performers(unit))
        self._loss_log.note(question.interaction, unit, losses)
        self._expect()
        self._store_catalogue()
        return False

    def _store_catalogue(self) -> None:
        # One lock for both: the last catalogue stored is the last one made.
        with self._catalogue_lock:
            answered_at = self._clock()
            catalogue = self._known.catalogue(answered_at)
            self._store_with_lease(self._store.put_catalogue, catalogue)
            self._has_stored_catalogue = True
            self._answered_at = answered_at

    def _store_abilities(self) -> None:
        """Store new abilities: the source itself has not answered."""
        with self._catalogue_lock, suppress(LeaseEnded, StoreUnavailable):
            # Without a stored catalogue, or without the store, the next answer stores
            # the abilities too.
            if self._answered_at is not None:
                catalogue = self._known.catalogue(self._answered_at)
                self._store_with_lease(self._store.put_catalogue, catalogue)

    def _refresh_block(self, unit: HsaId, time_type_id: TimeTypeId) -> bool:
        """Ask for a block and store it; return whether there are free times soon."""
        key = BlockKey(source=self._source.name, unit=unit, time_type_id=time_type_id)
        block = self._blocks.ask(self._run, key)
        self._store_with_lease(self._store.put_block, block)
        self._memory.keep(block)
        self._loss_log.note(TIMES, unit, block.losses, time_type_id=time_type_id)
        return self._memory.is_near(key, block.asked_at)

    def _store_with_lease(self, put: Callable[[A], None], what: A) -> None:
        """
        Store an answer, unless another worker asks the source by now.

        Raises:
            LeaseEnded: Another worker may have a newer answer.
            StoreUnavailable: The answer could not be stored.
        """
        if self._run.deadline.has_passed():
            raise LeaseEnded
        put(what)

    def _record_failure(self, question: Question, error: str) -> None:
        failures = self._run.queue.record_failure(question, error)
        self._reporter.record_failure(self._run, question, error, failures)

    def _log_fault(self, performed: Future[bool]) -> None:
        error = performed.exception()
        if error is not None:
            # A fault of this program: it must not look like a source without times.
            _log.error(
                "refresh failed",
                source=self._source.name,
                kind=type(error).__name__,
            )

    def _refill(self) -> None:
        """Ask all questions anew when the store has been emptied."""
        if (
            not self._has_stored_catalogue
            or self._store.catalogue(self._source.name) is not None
        ):
            return
        _log.warning("the store was emptied", source=self._source.name)
        self._run.queue.forget_answers()
        self._store_catalogue()


def _times_of(wanted: RefreshHint) -> Question:
    unit, time_type_id = wanted
    return Question(interaction=TIMES, unit=unit, time_type_id=time_type_id)
