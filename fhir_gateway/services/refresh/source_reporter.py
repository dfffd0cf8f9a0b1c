"""
Reports on the refresh of one source: its status in the store, and log events.
"""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog

from fhir_gateway.model import scheduling
from fhir_gateway.model.source import Source
from fhir_gateway.model.timekeeping import Clock
from fhir_gateway.services.refresh.block_memory import BlockMemory
from fhir_gateway.services.refresh.block_refresh import BlockRefresh
from fhir_gateway.services.refresh.question import TIMES, Question
from fhir_gateway.services.refresh.refresh_run import RefreshRun
from fhir_gateway.services.refresh.status_summary import (
    block_keys,
    broken,
    failing_questions,
    most_frequent,
    oldest_answer,
    silent_staff,
)
from fhir_gateway.services.source.directory import TimeTypeMap
from fhir_gateway.services.source.known_catalogue import KnownCatalogue
from fhir_gateway.stores.slot_store import SlotStore, StoreUnavailable
from fhir_gateway.stores.source_status import SourceStatus

__all__ = ["SourceReporter"]

_log = structlog.get_logger()

_EVERY: Final = timedelta(seconds=10)
# Searches go on without these, so their failure is not that of the source.
_DISPENSABLE: Final = frozenset(
    {scheduling.GET_ALL_PERFORMERS.name, scheduling.GET_AVAILABLE_DATES.name}
)
# After this many failures in a row the failure of a unit is logged.
_LOGGED_AFTER: Final = 3


class SourceReporter:
    """
    Stores the status of one source, and logs when it stops or starts to answer.

    It also finds out when the store does not answer, and when it does again.

    Args:
        source: The source.
        store: Where the status goes.
        known: The source's catalogue, for its losses.
        memory: The stored blocks, for their number of times.
        blocks: The refresh of blocks, for its losses.
        meanings: Times without a shared meaning count as `unmapped`.
        refill: Called after each stored status: asks for everything anew when the store
            was emptied.
        worker: The name of the worker.
        clock: Returns the current time.
    """

    def __init__(
        self,
        source: Source,
        store: SlotStore,
        known: KnownCatalogue,
        memory: BlockMemory,
        blocks: BlockRefresh,
        *,
        meanings: TimeTypeMap,
        refill: Callable[[], None],
        worker: str | None,
        clock: Clock,
    ) -> None:
        self._source = source
        self._store = store
        self._known = known
        self._memory = memory
        self._blocks = blocks
        self._meanings = meanings
        self._refill = refill
        self._worker = worker
        self._clock = clock
        self._lock = threading.Lock()
        self._last_error: str | None = None
        self._errors: dict[str, str] = {}
        self._broken: frozenset[str] = frozenset()
        self._covered: frozenset[str] = frozenset()
        self._reported_at: datetime | None = None
        self._was_failing = False
        self._is_store_away = False

    @property
    def is_store_away(self) -> bool:
        """Return whether the store did not answer the last time."""
        return self._is_store_away

    def begin_run(self) -> None:
        """Forget the outcomes of an earlier run."""
        self._was_failing = False
        self._broken = self._covered = frozenset()

    def record_failure(
        self, run: RefreshRun, question: Question, error: str, failures: int
    ) -> None:
        """Record that a question failed, and how often in a row; report it."""
        self._last_error = error
        self._errors[question.interaction.name] = error
        is_whole = run.breakers[question.interaction].failing_since is not None
        if failures == _LOGGED_AFTER and not is_whole:
            _log.warning(
                "unit does not answer",
                source=self._source.name,
                unit=question.unit,
                time_type=question.time_type_id,
                error=error,
            )
        self.report(run)

    def record_lost_store(self, error: StoreUnavailable) -> None:
        """Record that the store did not answer."""
        if not self._is_store_away:
            _log.warning(
                "refresh cannot store", source=self._source.name, reason=str(error)
            )
        self._is_store_away = True

    def report(self, run: RefreshRun, *, force: bool = False) -> None:
        """
        Store the status when it is due, and at once when it has changed or by force.

        Without the lease it only logs, since another worker stores the status.
        """
        with self._lock:
            moment = self._clock()
            failing_since = _failing_since(run)
            is_news = self._log_news(is_failing=failing_since is not None)
            is_news = self._log_contracts(run, failing_since) or is_news
            reported_at = self._reported_at
            is_recent = reported_at is not None and moment - reported_at < _EVERY
            if run.deadline.has_passed() or (is_recent and not force and not is_news):
                return
            self._reported_at = moment
            try:
                self._store.put_status(self._status(run, moment, failing_since))
                self._refill()
            except StoreUnavailable as error:
                self.record_lost_store(error)
            else:
                if self._is_store_away:
                    _log.info("refresh can store again", source=self._source.name)
                self._is_store_away = False

    def _log_news(self, *, is_failing: bool) -> bool:
        """Log that the source stopped or started to answer; return whether it did."""
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
        return is_news

    def _log_contracts(self, run: RefreshRun, failing_since: datetime | None) -> bool:
        """
        Log that the source stopped or started to answer a contract at any of its units.

        Return whether it did. What stops with the whole source is not logged besides.
        """
        now_broken = _DISPENSABLE.intersection(broken(run.breakers))
        if failing_since is not None:
            self._covered = now_broken
        self._covered &= now_broken
        now_broken -= self._covered
        stopped, started = now_broken - self._broken, self._broken - now_broken
        for name in sorted(stopped):
            _log.warning(
                "contract does not answer",
                source=self._source.name,
                contract=name,
                error=self._errors.get(name),
            )
        for name in sorted(started):
            _log.info("contract answers again", source=self._source.name, contract=name)
        self._broken = now_broken
        return bool(stopped or started)

    def _status(
        self, run: RefreshRun, moment: datetime, failing_since: datetime | None
    ) -> SourceStatus:
        states = run.queue.states()
        failing = failing_questions(states)
        # A source that answers nothing is not named for its staff besides.
        silent = () if failing_since else silent_staff(states)
        keys = block_keys(self._source.name, states)
        slots, rejected = self._memory.count(keys, self._meanings, moment)
        return SourceStatus(
            source=self._source.name,
            last_answer_at=run.calls.last_answer_at,
            failing_since=failing_since,
            last_error=(
                self._last_error if failing or silent or failing_since else None
            ),
            reported_at=moment,
            worker=self._worker,
            failing=failing,
            broken=broken(run.breakers),
            silent_staff=silent,
            calls_last_minute=run.calls.in_last_minute(),
            questions=len(states),
            unanswered=sum(each.answered_at is None for each in states.values()),
            oldest_answer_at=oldest_answer(states),
            slots=slots,
            rejected=rejected,
            losses=most_frequent(
                (
                    *self._known.catalogue(moment).losses,
                    *self._memory.losses(keys),
                    *self._blocks.losses_of_dates(keys),
                )
            ),
        )


def _failing_since(run: RefreshRun) -> datetime | None:
    """Return since when the source answers nothing of what searches need."""
    for interaction in (
        TIMES,
        scheduling.GET_ALL_TIME_TYPES,
        scheduling.GET_ALL_HEALTHCARE_FACILITIES,
    ):
        # Units and time types come first: without them nothing else can be asked.
        if run.questions_of(interaction):
            return run.breakers[interaction].failing_since
    return None
