"""
Live search: asks sources for free times while a client waits, and stores none.

It asks all of them at once, each within its budget and until its own deadline. A source
that it could not ask, or that did not answer, becomes an outcome. It asks as an agent,
like the refresh.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from fhir_gateway.adapters.protocol import SchedulingAdapter
from fhir_gateway.model.errors import Unavailable
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.source import Source, SourceOutcome
from fhir_gateway.model.timekeeping import Clock, now
from fhir_gateway.model.timeslot import TimeslotToken
from fhir_gateway.services.search.live_round import LiveRound
from fhir_gateway.services.search.live_source import LiveCall, LiveSource
from fhir_gateway.services.source.directory import Offering
from fhir_gateway.stores.sightings import LiveSighting, Sightings
from fhir_gateway.stores.slot_block import SlotBlock
from fhir_gateway.stores.slot_store import SlotStore, StoreUnavailable

__all__ = ["LiveAnswer", "LiveSearch"]

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveAnswer:
    """
    The answers of live sources.

    Attributes:
        blocks: The free times of each time type that was answered, at least in part.
        outcomes: What is missing, and why.
        lacks: What the sources listed and the view could not keep.
    """

    blocks: tuple[SlotBlock, ...]
    outcomes: tuple[SourceOutcome, ...]
    lacks: tuple[SourceOutcome, ...] = ()


def _count_nothing(_calls: int) -> None:
    pass


class LiveSearch:
    """
    Asks live sources within searches.

    Args:
        sources: All of them; it asks only those in live mode.
        adapters: The adapters of the sources.
        store: Where it stores the schedules, never the times.
        processes: How many web processes share each source's budget.
        most_waiting: How many searches may wait for live sources at once; the others
            go without, so that they leave threads to searches that ask nobody.
        sightings: Where operators see the outcomes of calls; None for nowhere.
        before_calls: Called with the number of calls that a search is about to make; an
            error that it raises ends the search.
        clock: Returns the current time.
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
        before_calls: Callable[[int], None] = _count_nothing,
        clock: Clock = now,
    ) -> None:
        self._clock = clock
        self._permits = threading.BoundedSemaphore(most_waiting)
        self._sources = {
            name: LiveSource(source, adapters[name], processes, clock)
            for name, source in sources.items()
            if source.is_live
        }
        self._store = store
        self._sightings = sightings
        self._before_calls = before_calls
        self._sharing = ThreadPoolExecutor(1, thread_name_prefix="live-schedules")
        self._sighted = ThreadPoolExecutor(1, thread_name_prefix="live-sightings")

    @property
    def sources(self) -> frozenset[SourceName]:
        """Return the sources that searches ask."""
        return frozenset(self._sources)

    def ask(
        self,
        offerings: Mapping[SourceName, Sequence[Offering]],
        *,
        start: datetime,
        before: datetime | None,
        latest_first: bool,
        within: timedelta | None = None,
    ) -> LiveAnswer:
        """
        Ask for the free times of units' time types; returns by the last deadline.

        Args:
            offerings: The time types to ask for, by live source.
            start: From the day of this instant on.
            before: Until the day of this instant; None for as far as times are kept.
            latest_first: Whether the last windows matter most.
            within: How long the client waits; no source gets more than its own limit.
        """
        if not self._permits.acquire(blocking=False):
            return LiveAnswer(
                blocks=(),
                outcomes=tuple(
                    self._sources[name].too_busy() for name in sorted(offerings)
                ),
            )
        try:
            return self._ask(
                offerings, start, before, latest_first=latest_first, within=within
            )
        finally:
            self._permits.release()

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
        """Return the outcome of a live source that lately answered no call, or None."""
        return self._sources[name].silence()

    def share_schedules(self, blocks: Sequence[SlotBlock]) -> None:
        """Store the schedules of the times for the other processes, soon."""
        for block in blocks:
            self._sharing.submit(self._share_schedules, block)

    def close(self) -> None:
        """Stop the threads; calls in flight end by themselves."""
        for source in self._sources.values():
            source.close()
        self._sharing.shutdown(wait=True, cancel_futures=True)
        # Few, however many searches there were: see `LiveSource.see`.
        self._sighted.shutdown(wait=True)

    def _ask(
        self,
        offerings: Mapping[SourceName, Sequence[Offering]],
        start: datetime,
        before: datetime | None,
        *,
        latest_first: bool,
        within: timedelta | None,
    ) -> LiveAnswer:
        wanted_calls: list[tuple[LiveSource, list[LiveCall]]] = []
        for name, wanted in sorted(offerings.items()):
            source = self._sources[name]
            calls = [
                LiveCall(offering, window)
                for window in source.windows(start, before, latest_first=latest_first)
                for offering in wanted
            ]
            if calls:
                wanted_calls.append((source, calls))
        self._before_calls(
            sum(min(len(calls), each.source.live_calls) for each, calls in wanted_calls)
        )
        rounds = [
            LiveRound(source, calls, self._clock(), within=within)
            for source, calls in wanted_calls
        ]
        blocks: list[SlotBlock] = []
        outcomes: list[SourceOutcome] = []
        lacks: list[SourceOutcome] = []
        for each in rounds:
            each.gather()
            self._share_sighting(each)
            answered = each.blocks(self._clock())
            blocks.extend(answered)
            outcomes.extend(each.outcomes())
            lacks.extend(each.source.lacks(answered))
        return LiveAnswer(
            blocks=tuple(blocks), outcomes=tuple(outcomes), lacks=tuple(lacks)
        )

    def _share_sighting(self, asked: LiveRound) -> None:
        sighting = asked.sighting()
        if self._sightings is not None and sighting is not None:
            self._sighted.submit(
                _put_sighting, self._sightings, asked.source.source.name, sighting
            )

    def _share_schedules(self, block: SlotBlock) -> None:
        try:
            (earlier,) = self._store.blocks([block.key])
            without_times = SlotBlock.of(
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
            self._store.put_block(without_times)
        except StoreUnavailable as error:
            _log.warning(
                "live schedules not stored",
                source=block.key.source,
                reason=str(error),
            )


def _put_sighting(
    sightings: Sightings, source: SourceName, sighting: LiveSighting
) -> None:
    try:
        sightings.put_live(source, sighting)
    except StoreUnavailable as error:
        _log.info("live sighting not stored", source=source, reason=str(error))
