"""
Search: which free times fit, earliest first, and which sources' parts are missing.

It has over 400 lines, since a page of times and a page of units share their steps.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.source import Source, SourceOutcome, SourceProblem
from fhir_gateway.model.timekeeping import Clock, epoch_seconds, now
from fhir_gateway.model.timeslot import TimeslotToken
from fhir_gateway.model.weekly_hours import DAYS, MINUTES_OF_A_DAY, WeeklyHours
from fhir_gateway.services.search.first_times import (
    FirstOfUnits,
    FirstTimesCache,
    ShownUnits,
    first_rows_of_units,
)
from fhir_gateway.services.search.live_search import LiveAnswer, LiveSearch
from fhir_gateway.services.search.search_hint import SearchHints
from fhir_gateway.services.search.search_page import (
    FoundTimeslot,
    SlotPage,
    found_timeslot,
    page_of,
)
from fhir_gateway.services.search.selection_cache import SelectionCache
from fhir_gateway.services.search.slot_columns import (
    Fit,
    SlotColumns,
    first_order,
    schedule_rank,
)
from fhir_gateway.services.search.slot_criteria import SlotCriteria
from fhir_gateway.services.search.slot_selection import (
    Availability,
    Selection,
    Selector,
    excludes_nothing,
    select,
    unknown_parts,
)
from fhir_gateway.services.search.slot_view import SlotView
from fhir_gateway.services.search.snapshot import Segment, Snapshot
from fhir_gateway.services.search.source_availability import SourceAvailability
from fhir_gateway.services.source.directory import Offering
from fhir_gateway.stores.slot_block import SlotBlock

__all__ = ["EverythingFree", "SlotSearch", "WhoOffers"]

_MOST_HOURS: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class WhoOffers:
    """
    The units' time types that fit, by unit name.

    Attributes:
        outcomes: The sources that have not given their whole catalogue.
    """

    offerings: tuple[Offering, ...]
    outcomes: tuple[SourceOutcome, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EverythingFree:
    """
    Everything that is free at one moment.

    Attributes:
        outcomes: What is missing, and why.
        until: They hold in that snapshot before this instant, in seconds.
    """

    snapshot: Snapshot
    moment: datetime
    outcomes: tuple[SourceOutcome, ...]
    until: float


class SlotSearch:
    """
    Answers searches from the view.

    Args:
        view: Where the free times are.
        sources: The configured sources.
        hints: Takes notes of the ageing times that clients search for.
        live: Asks the sources that keep no times in the view.
        clock: Returns the current time.
    """

    def __init__(
        self,
        view: SlotView,
        sources: Mapping[SourceName, Source],
        *,
        hints: SearchHints | None = None,
        live: LiveSearch | None = None,
        clock: Clock = now,
    ) -> None:
        self._view = view
        self._sources = sources
        self._live = live if live is not None and live.sources else None
        if self._live is None and any(each.is_live for each in sources.values()):
            raise ValueError("a live source needs a LiveSearch that asks it")
        self._clock = clock
        self._availability = SourceAvailability(sources, hints)
        self._selections = SelectionCache()
        self._first_times = FirstTimesCache()

    @property
    def snapshot(self) -> Snapshot:
        """Return the present snapshot of the view."""
        return self._view.snapshot

    def search(self, criteria: SlotCriteria) -> SlotPage:
        """
        Return the free times that fit. Past times never do.

        There is no total when a source's part is missing.
        """
        moment = self._clock()
        snapshot = self._view.snapshot
        selector = criteria.narrowed_selector
        selection = self._selections.select(snapshot, selector)
        live = self._ask_live(snapshot, selection, criteria, moment)
        if live is not None:
            snapshot = self._with_live(live.blocks)
            selection = select(snapshot, selector)
        availability = self._availability.of(snapshot, selection, moment)
        if live is not None:
            availability = replace(
                availability,
                outcomes=(*availability.outcomes, *live.outcomes, *live.lacks),
                until=-np.inf,
            )
        return self._found(snapshot, selection, criteria, moment, availability)

    def stored(self, criteria: SlotCriteria) -> SlotPage:
        """
        Return the stored free times that fit: those of no live source.

        `everything` says what is missing.
        """
        moment = self._clock()
        snapshot = self._view.snapshot
        # Not cached: the selector may name thousands of schedules.
        selection = select(snapshot, criteria.narrowed_selector)
        availability = Availability(
            version=snapshot.version, outcomes=(), until=-np.inf
        )
        return self._found(snapshot, selection, criteria, moment, availability)

    def _found(
        self,
        snapshot: Snapshot,
        selection: Selection,
        criteria: SlotCriteria,
        moment: datetime,
        availability: Availability,
    ) -> SlotPage:
        """Return the page of a selection."""
        parts = _parts(snapshot, selection, criteria, moment)
        if criteria.first_per_unit:
            links = self._first_times if selection.by_time_type else None
            return _find_page_of_units(snapshot, parts, criteria, availability, links)
        return _find_page(snapshot, parts, criteria, availability)

    def everything(self) -> EverythingFree:
        """Return everything that is free now, without asking live sources."""
        moment = self._clock()
        snapshot = self._view.snapshot
        selection = self._selections.select(snapshot, Selector())
        availability = self._availability.of(snapshot, selection, moment)
        unasked = [each for each in self._sources.values() if each.is_live]
        return EverythingFree(
            snapshot=snapshot,
            moment=moment,
            outcomes=(
                *availability.outcomes,
                *(
                    SourceOutcome(
                        source=each.name,
                        problem=SourceProblem.NOT_ASKED,
                        detail=(
                            f"{each.title} is asked within each search, and its free"
                            " times are in no file: search for them."
                        ),
                    )
                    for each in unasked
                ),
            ),
            until=availability.until,
        )

    def still_holds(self, version: int, until: float) -> bool:
        """Return whether a search would find the same page now."""
        return (
            self._view.snapshot.version == version and self._clock().timestamp() < until
        )

    def unknown_parts(self, selector: Selector) -> tuple[str, ...]:
        """Return the attributes of a selector that name nothing this server knows."""
        sources = [group & self._sources.keys() for group in selector.sources]
        return (
            *unknown_parts(self._view.snapshot, selector),
            *(() if all(sources) else ("sources",)),
        )

    def excludes_nothing(self, selector: Selector) -> bool:
        """Return whether no time type is among some of those that are not wanted."""
        return excludes_nothing(self._view.snapshot, selector)

    def find(self, token: TimeslotToken) -> FoundTimeslot | None:
        """
        Return a free time by its token, or None when it is not offered now.

        Raises:
            Unavailable: It belongs to a live source, which could not be asked.
        """
        if token.starts_at <= self._clock():
            return None
        snapshot = self._view.snapshot
        offering = snapshot.directory.offerings.get(token.time_type)
        if (
            self._live is not None
            and offering is not None
            and offering.unit.source in self._live.sources
        ):
            snapshot = self._with_live(self._live.ask_for(token, offering))
        number = snapshot.schedules.number(token.schedule)
        if number is None:
            return None
        for columns in snapshot.segments.values():
            first, last = columns.bounds(token.start, token.start + 1)
            for row in range(first, last):
                if (
                    columns.schedule[row] == number
                    and columns.length[row] == token.length
                ):
                    return found_timeslot(
                        snapshot,
                        number,
                        token.start,
                        token.length,
                        int(columns.count[row]),
                    )
        return None

    def select(self, snapshot: Snapshot, selector: Selector) -> Selection:
        """Return what a selector chooses in a snapshot."""
        return self._selections.select(snapshot, selector)

    def missing_services(
        self, snapshot: Snapshot, selection: Selection
    ) -> tuple[SourceOutcome, ...]:
        """Return what is missing of the units' time types in a selection."""
        return (
            *self._availability.of_catalogues(snapshot, selection, self._clock()),
            *self._silent_live(snapshot, selection),
        )

    def missing_schedules(
        self, snapshot: Snapshot, selection: Selection
    ) -> tuple[SourceOutcome, ...]:
        """
        Return what is missing of the schedules in a selection.

        A live source lists its schedules only to who searches for its times.
        """
        return self._availability.of_schedules(snapshot, selection)

    def missing_units(
        self, snapshot: Snapshot, selection: Selection
    ) -> tuple[SourceOutcome, ...]:
        """Return which sources of a selection have units that are not known."""
        return self._availability.of_units(snapshot, selection)

    def who_offers(self, selector: Selector) -> WhoOffers:
        """Return the units' time types that fit, free times or not."""
        snapshot = self._view.snapshot
        selection = self._selections.select(snapshot, selector)
        fitting = map(snapshot.index.offering, selection.numbers.tolist())
        return WhoOffers(
            offerings=tuple(sorted(fitting, key=_by_unit_name)),
            outcomes=self.missing_services(snapshot, selection),
        )

    def _silent_live(
        self, snapshot: Snapshot, selection: Selection
    ) -> Iterator[SourceOutcome]:
        """Yield the outcomes of the live sources that lately answered no call."""
        if self._live is None:
            return
        named = snapshot.index.sources_of(selection.numbers)
        for name in sorted(named & self._live.sources):
            silence = self._live.silence_of(name)
            if silence is not None:
                yield silence

    def _ask_live(
        self,
        snapshot: Snapshot,
        selection: Selection,
        criteria: SlotCriteria,
        moment: datetime,
    ) -> LiveAnswer | None:
        """Ask the live sources that can have fitting times; None without any."""
        if self._live is None:
            return None
        numbers = snapshot.index.of_sources(selection.numbers, self._live.sources)
        if not len(numbers):
            return None
        wanted: dict[SourceName, list[Offering]] = {}
        for number in numbers.tolist():
            offering = snapshot.index.offering(number)
            wanted.setdefault(offering.unit.source, []).append(offering)
        return self._live.ask(
            wanted,
            start=max(moment, criteria.start or moment),
            before=criteria.begins_before,
            latest_first=criteria.descending,
            within=criteria.live_within,
        )

    def _with_live(self, blocks: Sequence[SlotBlock]) -> Snapshot:
        """Return the present snapshot with times of live sources."""
        snapshot, is_news = self._view.with_live(blocks)
        if self._live is not None and is_news:
            self._live.share_schedules(blocks)
        return snapshot


class _Part(NamedTuple):
    """
    A segment to search.

    Attributes:
        segment: Its name.
        columns: Its rows.
        first: The first row within the time that the client looks for.
        last: The row to stop before.
        fit: Which of those rows fit.
    """

    segment: Segment
    columns: SlotColumns
    first: int
    last: int
    fit: Fit


def _parts(
    snapshot: Snapshot,
    selection: Selection,
    criteria: SlotCriteria,
    moment: datetime,
) -> Iterator[_Part]:
    """Yield the segments of a selection, as the criteria narrow them."""
    # A time that begins this very second has begun: it can no longer be booked.
    start = epoch_seconds(moment) + 1
    if criteria.start is not None:
        start = max(start, _ceiling(criteria.start))
    before = criteria.begins_before
    before_s = None if before is None else _ceiling(before)
    ends_from = ends_before = times = None
    if criteria.ends_from is not None:
        ends_from = _ceiling(criteria.ends_from)
    if criteria.ends_before is not None:
        ends_before = _ceiling(criteria.ends_before)
    if criteria.times is not None:
        times = frozenset(
            (number, time.start, time.length)
            for time in criteria.times
            if (number := snapshot.schedules.number(time.schedule)) is not None
        )
    minutes = None if criteria.hours is None else _minutes(criteria.hours)
    chosen = None if selection.chosen is None else selection.chosen.unpacked()
    for segment, is_narrowed in selection.parts:
        columns = snapshot.segments.get(segment)
        if columns is None:
            continue
        first, last = columns.bounds(start, before_s)
        yield _Part(
            segment=segment,
            columns=columns,
            first=first,
            last=last,
            fit=Fit(
                schedules=chosen if is_narrowed else None,
                minutes=minutes,
                ends_from=ends_from,
                ends_before=ends_before,
                times=times,
            ),
        )


def _find_page(
    snapshot: Snapshot,
    parts: Iterable[_Part],
    criteria: SlotCriteria,
    availability: Availability,
) -> SlotPage:
    """Return the page of the rows that fit."""
    until = availability.until
    pieces: list[tuple[SlotColumns, npt.NDArray[np.int64]]] = []
    total = 0 if criteria.counted and not availability.outcomes else None
    for part in parts:
        columns, fit, first, last = part.columns, part.fit, part.first, part.last
        if first < last:
            until = min(until, columns.start_of(first))
        within = (first, last)
        if criteria.after is not None:
            within = _behind(snapshot, columns, first, last, criteria)
        if total is not None and not fit.is_all:
            # Counting all that fit has found the rows of the page too.
            fitting = columns.rows(first, last, fit)
            total += len(fitting)
            rows = fitting[slice(*fitting.searchsorted(within))]
            rows = rows[::-1] if criteria.descending else rows
            # A copy: a view would keep all fitting rows until the page is made.
            rows = rows[: criteria.count + 1].copy()
        else:
            if total is not None:
                total += last - first
            find = columns.last_rows if criteria.descending else columns.first_rows
            rows = find(*within, fit, criteria.count + 1)
        pieces.append((columns, rows))
    return page_of(snapshot, pieces, criteria, total, _until(availability, until))


def _find_page_of_units(
    snapshot: Snapshot,
    parts: Iterable[_Part],
    criteria: SlotCriteria,
    availability: Availability,
    links: FirstTimesCache | None,
) -> SlotPage:
    """
    Return the page of the units with a time that fits, each with the earliest.

    Args:
        snapshot: What is searched.
        parts: The segments.
        criteria: What the client looks for.
        availability: What is missing.
        links: What finds the first rows, where all schedules of a time type fit alike.
    """
    until = availability.until
    pieces: list[tuple[SlotColumns, npt.NDArray[np.int64]]] = []
    for part in parts:
        columns, fit, first, last = part.columns, part.fit, part.first, part.last
        if first == last:
            continue
        until = min(until, columns.start_of(first))
        if links is None or fit.is_of_rows:
            # At once, or all rows that fit would be in memory together.
            rows = first_rows_of_units(
                snapshot, columns, columns.rows(first, last, fit)
            )
        else:
            link = links.of(part.segment, columns, snapshot.schedules)
            rows = link.rows(first, last, fit.schedules)
        pieces.append((columns, rows))
    found = FirstOfUnits.of(snapshot, pieces)
    shown = found.shown(
        criteria.shown,
        None if criteria.after is None else _order_of(criteria.after),
        descending=criteria.descending,
    )
    places = found.next_places(
        shown, criteria.count + 1, descending=criteria.descending
    )
    total = len(found) if criteria.counted and not availability.outcomes else None
    page = page_of(
        snapshot, found.rows(places), criteria, total, _until(availability, until)
    )
    if page.next_after is None:
        return page
    shown[found.unit[places[: criteria.count]]] = True
    return replace(page, next_shown=ShownUnits.of(snapshot.index, shown))


def _until(availability: Availability, until: float) -> Availability:
    # Not `replace`, which takes longer than the rest of a short search's bookkeeping.
    return Availability(
        version=availability.version, outcomes=availability.outcomes, until=until
    )


@lru_cache(maxsize=_MOST_HOURS)
def _minutes(hours: WeeklyHours) -> npt.NDArray[np.bool_]:
    """Return which minutes of the week are within hours."""
    bits = hours.minutes.to_bytes(MINUTES_OF_A_DAY // 8, "little")
    day = np.unpackbits(np.frombuffer(bits, dtype=np.uint8), bitorder="little")
    week = np.zeros((len(DAYS), MINUTES_OF_A_DAY), dtype=np.bool_)
    week[sorted(hours.days)] = day
    return week.ravel()


def _by_unit_name(offering: Offering) -> tuple[str, str]:
    return offering.unit.name, offering.token


def _ceiling(instant: datetime) -> int:
    seconds = epoch_seconds(instant)
    return seconds if instant.timestamp() == seconds else seconds + 1


def _order_of(token: TimeslotToken) -> int:
    return first_order(token.start) | schedule_rank(token.schedule)


def _behind(
    snapshot: Snapshot,
    columns: SlotColumns,
    first: int,
    last: int,
    criteria: SlotCriteria,
) -> tuple[int, int]:
    """Return the bounds without the rows up to the last one of the page before."""
    after = criteria.after
    if after is None:
        return first, last
    order = _order_of(after)
    low = int(np.searchsorted(columns.order, np.uint64(order), side="left"))
    high = int(np.searchsorted(columns.order, np.uint64(order), side="right"))
    # Nearly always one row: two schedules share a rank once in four thousand million;
    # and one schedule has two times of one start and different length as seldom.
    number = snapshot.schedules.number(after.schedule)
    for row in range(low, high):
        if columns.schedule[row] == number and columns.length[row] == after.length:
            low, high = row, row + 1
            break
    if criteria.descending:
        return first, min(last, low)
    return max(first, high), last
