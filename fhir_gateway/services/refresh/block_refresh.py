"""
The refresh of one block: asks for the free times of a time type, window by window.
"""

import threading
from collections.abc import Collection, Sequence
from datetime import date, datetime

import structlog

from fhir_gateway.adapters.protocol import SchedulingAdapter
from fhir_gateway.model import scheduling
from fhir_gateway.model.errors import GatewayError
from fhir_gateway.model.loss import Loss, losses_of
from fhir_gateway.model.source import Source
from fhir_gateway.model.timekeeping import Clock, civil_date
from fhir_gateway.services.refresh.block_memory import BlockMemory
from fhir_gateway.services.refresh.lease_deadline import LeaseEnded
from fhir_gateway.services.refresh.question import TIMES
from fhir_gateway.services.refresh.refresh_run import RefreshRun
from fhir_gateway.services.refresh.suspicion import Verdict
from fhir_gateway.services.source.listed_times import ListedTimes
from fhir_gateway.services.source.loss_log import LossLog
from fhir_gateway.services.source.window import (
    Window,
    saves_calls,
    windows,
    windows_with,
)
from fhir_gateway.stores.slot_block import BlockKey, SlotBlock

__all__ = ["BlockRefresh", "NotBelieved"]

_log = structlog.get_logger()

_DATES = scheduling.GET_AVAILABLE_DATES


class NotBelieved(Exception):
    """
    The refresh does not store the answer.

    A message says why the answer is refused; without one the source must repeat it.
    """


class BlockRefresh:
    """
    Asks one source for blocks, and decides whether to accept them.

    Args:
        source: The source, with how far ahead to ask.
        adapter: It says which interactions it supports.
        memory: The blocks that the worker has stored.
        loss_log: Where losses are logged.
        clock: Returns the current time.
    """

    def __init__(
        self,
        source: Source,
        adapter: SchedulingAdapter,
        memory: BlockMemory,
        loss_log: LossLog,
        *,
        clock: Clock,
    ) -> None:
        self._source = source
        self._adapter = adapter
        self._memory = memory
        self._loss_log = loss_log
        self._clock = clock
        self._lock = threading.Lock()
        self._losses_of_dates: dict[BlockKey, tuple[Loss, ...]] = {}

    def ask(self, run: RefreshRun, key: BlockKey) -> SlotBlock:
        """
        Ask for the free times of a block.

        Raises:
            GatewayError: The source did not answer.
            LeaseEnded: The worker may no longer ask the source.
            NotBelieved: It answered, and the refresh does not store the answer.
        """
        asked_at = self._clock()
        times = ListedTimes(key.time_type_id, asked_at)
        for window in self._windows(run, key, asked_at):
            answer = run.calls.timeslots(key.unit, key.time_type_id, window)
            times.add(answer, window)
        self._judge(key, times, asked_at)
        return SlotBlock.of(
            key,
            times.timeslots,
            asked_at=asked_at,
            answered_at=times.answered_at(self._clock()),
            rejected=times.rejected,
            earlier_schedules=self._memory.schedules(key),
        )

    def losses_of_dates(self, keys: Collection[BlockKey]) -> list[Loss]:
        """Return what was left out of the last answers about days with free times."""
        with self._lock:
            return [loss for key in keys for loss in self._losses_of_dates.get(key, ())]

    def _judge(self, key: BlockKey, times: ListedTimes, moment: datetime) -> None:
        """
        Accept an answer, or raise.

        Raises:
            NotBelieved: The source must repeat it; or, with a message, it is refused.
        """
        free = len(times.timeslots)
        judged = self._memory.judge(key, listed=times.listed, free=free, moment=moment)
        if judged is Verdict.REFUSED:
            raise NotBelieved(
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
            raise NotBelieved

    def _windows(
        self, run: RefreshRun, key: BlockKey, moment: datetime
    ) -> Sequence[Window]:
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
            self._note_losses_of_dates(key, ())
            return every
        found = self._days_with_times(run, key, (first, last))
        if found is None:
            return every
        return list(windows_with(found, first, last, longest=longest))

    def _days_with_times(
        self, run: RefreshRun, key: BlockKey, period: Window
    ) -> set[date] | None:
        """
        Return the days with free times; None when the answer is not clear.

        It is not clear when a day is unreadable or outside the period.
        """
        breaker = run.breakers[_DATES]
        if not breaker.allows():
            return None
        try:
            dates = run.calls.dates(key.unit, key.time_type_id, period)
        except LeaseEnded:
            breaker.cancel()
            raise
        except GatewayError:
            # The refresh asks for every window instead, and in time the breaker leaves
            # this contract alone.
            breaker.record_failure(key, of=run.questions_of(TIMES))
            return None
        breaker.record_success()
        first, last = period
        rejected = list(dates.rejected)
        for each in dates.items:
            if each.schedule.time_type_id != key.time_type_id:
                rejected.append("of another time type")
            elif not first <= each.day <= last:
                rejected.append("outside the days asked for")
        losses = losses_of(_DATES, key.unit, rejected, time_type_id=key.time_type_id)
        self._note_losses_of_dates(key, losses)
        return None if losses else {each.day for each in dates.items}

    def _note_losses_of_dates(self, key: BlockKey, losses: tuple[Loss, ...]) -> None:
        with self._lock:
            self._losses_of_dates[key] = losses
        self._loss_log.note(_DATES, key.unit, losses, time_type_id=key.time_type_id)
