"""
Search: which free times fit, earliest first, and which sources' parts are missing.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fhir_gateway.adapters.sources import source_of_unit
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.source import Source, SourceOutcome, SourceProblem
from fhir_gateway.model.timekeeping import (
    Clock,
    epoch_seconds,
    instant_from_epoch,
    now,
)
from fhir_gateway.model.timeslot import Timeslot, TimeslotToken
from fhir_gateway.model.weekly_hours import DAYS, MINUTES_OF_A_DAY, WeeklyHours
from fhir_gateway.services.search.live_search import LiveAnswer, LiveSearch
from fhir_gateway.services.search.offering_index import Numbers
from fhir_gateway.services.search.search_hint import SearchHints
from fhir_gateway.services.search.slot_columns import (
    Fit,
    SlotColumns,
    first_order,
    schedule_rank,
)
from fhir_gateway.services.search.slot_selection import (
    NO_NUMBERS,
    Selection,
    Selector,
    Standing,
    select,
    unknown_parts,
)
from fhir_gateway.services.search.slot_view import SlotView
from fhir_gateway.services.search.snapshot import KnownSchedule, Snapshot
from fhir_gateway.services.search.source_standing import (
    fresh_until,
    has_been_asked,
    is_doubtful,
    lack_of,
    outcome_of,
    same_age_until,
    well_until,
)
from fhir_gateway.services.source.directory import Directory, Offering
from fhir_gateway.stores.slot_block import SlotBlock

__all__ = [
    "FoundTimeslot",
    "SlotCriteria",
    "SlotPage",
    "SlotSearch",
    "WhoOffers",
]

_REMEMBERED: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotCriteria:
    """
    What a client looks for.

    Attributes:
        selector: Whose times.
        start: The time begins at this instant or later.
        before: The time begins earlier than this instant.
        hours: The time begins on these days, at these times; None for any.
        descending: Latest first.
        count: How many to return at most.
        after: The last time of the page before, to go on behind it.
        counted: Say how many fit in all.
    """

    selector: Selector = field(default_factory=Selector)
    start: datetime | None = None
    before: datetime | None = None
    hours: WeeklyHours | None = None
    descending: bool = False
    count: int = 20
    after: TimeslotToken | None = None
    counted: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundTimeslot:
    """A free time and what is known of it."""

    timeslot: Timeslot
    known: KnownSchedule


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SlotPage:
    """
    An answer to a search: one row for each free time.

    Attributes:
        start: When each begins, in seconds.
        length: How long each is, in seconds.
        schedule: The number of each one's schedule in the snapshot.
        count: How many places each has.
        offering: The number of each one's time type.
        answered_at: When each was last listed by its source, in seconds.
        total: How many times fit in all; None when that is not known.
        next_after: The last time of this page when there are more.
        outcomes: What is missing, source by source.
        fingerprint: The same in every process for the same rows, asked as recently.
        until: The same search has the same answer in this snapshot before that instant,
            in seconds: then a time begins, or what is said of a source changes.
    """

    snapshot: Snapshot
    start: Sequence[int]
    length: Sequence[int]
    schedule: Sequence[int]
    count: Sequence[int]
    offering: Sequence[int]
    answered_at: Sequence[float]
    total: int | None
    next_after: TimeslotToken | None
    outcomes: tuple[SourceOutcome, ...]
    fingerprint: bytes
    until: float

    @property
    def directory(self) -> Directory:
        """Return who offers what."""
        return self.snapshot.directory

    def without_any(self) -> "SlotPage":
        """Return the answer to the same search for times that are not free: no row."""
        return replace(
            self,
            start=(),
            length=(),
            schedule=(),
            count=(),
            offering=(),
            answered_at=(),
            total=None,
            next_after=None,
            fingerprint=b"",
        )

    @property
    def found(self) -> tuple[FoundTimeslot, ...]:
        """Return the free times one by one."""
        return tuple(
            _found(self.snapshot, *row)
            for row in zip(
                self.schedule, self.start, self.length, self.count, strict=True
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WhoOffers:
    """
    An answer to "who offers it?", by unit name.

    Attributes:
        outcomes: The sources that have not said all they offer.
    """

    offerings: tuple[Offering, ...]
    outcomes: tuple[SourceOutcome, ...]


class SlotSearch:
    """
    Answers searches from the view.

    Args:
        view: Where the free times are.
        sources: The configured sources.
        hints: Takes notes of the ageing times that clients search for.
        live: Asks the sources whose times are not in the view.
        clock: Tells the time.
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
        self._hints = hints
        self._live = live if live is not None and live.sources else None
        if self._live is None and any(each.is_live for each in sources.values()):
            raise ValueError("a live source needs a LiveSearch that asks it")
        self._clock = clock
        self._names = sorted(sources)
        self._all_sources = tuple(sources.values())
        self._freshest = min(
            (each.fresh_for.total_seconds() for each in sources.values()), default=0.0
        )
        self._selections: OrderedDict[tuple[int, Selector], Selection] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def snapshot(self) -> Snapshot:
        """Return the present snapshot of the view."""
        return self._view.snapshot

    def search(self, criteria: SlotCriteria) -> SlotPage:
        """
        Return the free times that fit. Past times never do.

        How many fit in all is never said when a source's part is missing.
        """
        moment = self._clock()
        snapshot = self._view.snapshot
        selection = self._selection(snapshot, criteria.selector)
        live = self._asked_live(snapshot, selection, criteria, moment)
        if live is not None:
            snapshot = self._with_live(live.blocks)
            selection = select(snapshot, criteria.selector)
        # A time that begins this very second has begun: it can no longer be booked.
        start = epoch_seconds(moment) + 1
        if criteria.start is not None:
            start = max(start, _ceiling(criteria.start))
        before = None if criteria.before is None else _ceiling(criteria.before)
        standing = self._standing(snapshot, selection, moment)
        if live is not None:
            standing = replace(
                standing,
                outcomes=(*standing.outcomes, *live.outcomes, *live.lacks),
                until=-np.inf,
            )
        until = standing.until
        pieces: list[tuple[SlotColumns, npt.NDArray[np.int64]]] = []
        total = 0 if criteria.counted and not standing.outcomes else None
        minutes = None if criteria.hours is None else _minutes(criteria.hours)
        chosen = None if selection.chosen is None else selection.chosen.unpacked()
        for segment, narrowed in selection.parts:
            columns = snapshot.segments.get(segment)
            if columns is None:
                continue
            fit = Fit(schedules=chosen if narrowed else None, minutes=minutes)
            first, last = columns.bounds(start, before)
            if first < last:
                until = min(until, columns.start_of(first))
            within = (first, last)
            if criteria.after is not None:
                within = _behind(snapshot, columns, first, last, criteria)
            if total is not None and not fit.is_all:
                # Whoever counts them all has found those of the page.
                fitting = columns.rows(first, last, fit)
                total += len(fitting)
                rows = fitting[slice(*fitting.searchsorted(within))]
                rows = rows[::-1] if criteria.descending else rows
                # A copy: a view would keep all that fits until the page is made.
                rows = rows[: criteria.count + 1].copy()
            else:
                if total is not None:
                    total += last - first
                find = columns.last_rows if criteria.descending else columns.first_rows
                rows = find(*within, fit, criteria.count + 1)
            pieces.append((columns, rows))
        standing = Standing(
            version=standing.version, outcomes=standing.outcomes, until=until
        )
        return _page(snapshot, pieces, criteria, total, standing)

    def still_holds(self, version: int, until: float) -> bool:
        """Return whether a page of that snapshot is what a search would find now."""
        return (
            self._view.snapshot.version == version and self._clock().timestamp() < until
        )

    def unknown_parts(self, selector: Selector) -> tuple[str, ...]:
        """Return which attributes of a selector name nothing that is known here."""
        sources = [group & self._sources.keys() for group in selector.sources]
        return (
            *unknown_parts(self._view.snapshot, selector),
            *(() if all(sources) else ("sources",)),
        )

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
                    return _found(
                        snapshot,
                        number,
                        token.start,
                        token.length,
                        int(columns.count[row]),
                    )
        return None

    def who_offers(self, selector: Selector) -> WhoOffers:
        """Return the units' time types that fit, free times or not."""
        snapshot = self._view.snapshot
        selection = self._selection(snapshot, selector)
        fitting = [
            snapshot.index.offering(number) for number in selection.numbers.tolist()
        ]
        outcomes: list[SourceOutcome] = []
        for name in self._names:
            source = self._sources[name]
            if not self._can_have(source, selection):
                continue
            if is_doubtful(snapshot, name):
                numbers = snapshot.index.of_sources(selection.numbers, (name,))
                lack = lack_of(snapshot, selection, numbers, source)
                if lack is not None:
                    outcomes.append(lack)
            if has_been_asked(snapshot, source, selection.units):
                continue
            status = snapshot.statuses.get(name)
            failing = status is not None and status.failing_since is not None
            outcomes.append(
                SourceOutcome(
                    source=name,
                    problem=(
                        SourceProblem.UNAVAILABLE
                        if failing
                        else SourceProblem.NOT_YET_ASKED
                    ),
                    detail=f"{source.title} has not said yet what all its units offer.",
                )
            )
        return WhoOffers(
            offerings=tuple(sorted(fitting, key=_by_unit_name)),
            outcomes=tuple(outcomes),
        )

    def _selection(self, snapshot: Snapshot, selector: Selector) -> Selection:
        """Return what a selector chooses, remembered while the layout stays."""
        key = (snapshot.layout, selector)
        with self._lock:
            remembered = self._selections.get(key)
            if remembered is not None:
                self._selections.move_to_end(key)
                return remembered
        made = select(snapshot, selector)
        with self._lock:
            self._selections[key] = made
            while len(self._selections) > _REMEMBERED:
                self._selections.popitem(last=False)
        return made

    def _asked_live(
        self,
        snapshot: Snapshot,
        selection: Selection,
        criteria: SlotCriteria,
        moment: datetime,
    ) -> LiveAnswer | None:
        """Ask the live sources that can have what fits; None when there are none."""
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
            before=criteria.before,
            latest_first=criteria.descending,
        )

    def _with_live(self, blocks: Sequence[SlotBlock]) -> Snapshot:
        """Return the present snapshot with times that are not kept."""
        snapshot, is_news = self._view.with_live(blocks)
        if self._live is not None and is_news:
            self._live.tell_schedules(blocks)
        return snapshot

    def _standing(
        self, snapshot: Snapshot, selection: Selection, moment: datetime
    ) -> Standing:
        """Return what is to be said of the sources, remembered while it holds."""
        standing = selection.standing
        if (
            standing is None
            or standing.version != snapshot.version
            or moment.timestamp() >= standing.until
        ):
            standing = self._new_standing(snapshot, selection, moment)
            selection.standing = standing
        return standing

    def _new_standing(
        self, snapshot: Snapshot, selection: Selection, moment: datetime
    ) -> Standing:
        names, until = self._to_look_at(snapshot, selection, moment)
        outcomes: list[SourceOutcome] = []
        for name in names:
            source = self._sources[name]
            if not self._can_have(source, selection):
                continue
            # What a live source has not answered is told by whoever asked it.
            numbers = (
                NO_NUMBERS
                if source.is_live
                else snapshot.index.of_sources(selection.numbers, (name,))
            )
            plainly_until = well_until(snapshot, numbers, source)
            if moment.timestamp() < plainly_until:
                until = min(until, plainly_until)
                continue
            outcome = outcome_of(snapshot, selection, numbers, source, moment)
            lack = lack_of(snapshot, selection, numbers, source)
            self._note_ageing(snapshot, numbers, source, moment)
            outcomes.extend(each for each in (outcome, lack) if each is not None)
            until = min(until, same_age_until(snapshot, numbers, source, moment))
        return Standing(version=snapshot.version, outcomes=tuple(outcomes), until=until)

    def _note_ageing(
        self, snapshot: Snapshot, numbers: Numbers, source: Source, moment: datetime
    ) -> None:
        """Let the workers ask first for what was searched for and is not fresh."""
        if self._hints is None or not len(numbers):
            return
        freshest = moment.timestamp() - source.fresh_for.total_seconds()
        # Never answered is NaN, which compares false.
        is_fresh = snapshot.answered_at[numbers] >= freshest
        if not is_fresh.all():
            self._hints.note(source.name, snapshot.index, numbers[~is_fresh])

    def _to_look_at(
        self, snapshot: Snapshot, selection: Selection, moment: datetime
    ) -> tuple[Sequence[SourceName], float]:
        """
        Return which sources may have to be told of, and until when no others have.

        One look at all times together spares a look at each source, also while a few
        of them fail.
        """
        doubtful = [
            name
            for name in self._names
            if self._sources[name].is_live or is_doubtful(snapshot, name)
        ]
        others = selection.numbers
        if doubtful:
            others = snapshot.index.of_sources(
                others, (name for name in self._names if name not in doubtful)
            )
        until = fresh_until(snapshot, others, self._freshest)
        return (
            (doubtful, until) if moment.timestamp() < until else (self._names, np.inf)
        )

    def _can_have(self, source: Source, selection: Selection) -> bool:
        """Return whether a source answers for anything that a selector can choose."""
        if selection.sources is not None and source.name not in selection.sources:
            return False
        return selection.units is None or any(
            source_of_unit(self._all_sources, unit) is source
            for unit in selection.units
        )


@lru_cache(maxsize=_REMEMBERED)
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
    order = first_order(after.start) | schedule_rank(after.schedule)
    low = int(np.searchsorted(columns.order, np.uint64(order), side="left"))
    high = int(np.searchsorted(columns.order, np.uint64(order), side="right"))
    # Nearly always one row: two schedules share a rank once in four thousand million,
    # and one schedule has two times of one start and different length as seldom.
    number = snapshot.schedules.number(after.schedule)
    for row in range(low, high):
        if columns.schedule[row] == number and columns.length[row] == after.length:
            low, high = row, row + 1
            break
    if criteria.descending:
        return first, min(last, low)
    return max(first, high), last


def _page(
    snapshot: Snapshot,
    pieces: Sequence[tuple[SlotColumns, npt.NDArray[np.int64]]],
    criteria: SlotCriteria,
    total: int | None,
    standing: Standing,
) -> SlotPage:
    if len(pieces) == 1:
        columns, rows = pieces[0]
        order, length = columns.order[rows], columns.length[rows]
        schedule, count = columns.schedule[rows], columns.count[rows]
    else:
        order = _joined([c.order[rows] for c, rows in pieces], np.uint64)
        length = _joined([c.length[rows] for c, rows in pieces], np.uint32)
        schedule = _joined([c.schedule[rows] for c, rows in pieces], np.int32)
        count = _joined([c.count[rows] for c, rows in pieces], np.uint16)
        by_order = np.lexsort((length, order))
        if criteria.descending:
            by_order = by_order[::-1]
        order, length = order[by_order], length[by_order]
        schedule, count = schedule[by_order], count[by_order]
    size = criteria.count
    offering = snapshot.schedules.offering[schedule[:size]]
    answered_at = snapshot.answered_at[offering]
    fingerprint = b"".join(
        (
            order[: size + 1].tobytes(),
            length[:size].tobytes(),
            count[:size].tobytes(),
            answered_at.tobytes(),
        )
    )
    start = (order[:size] >> np.uint64(32)).tolist()
    lengths, schedules = length[:size].tolist(), schedule[:size].tolist()
    next_after = None
    if len(order) > size > 0:
        next_after = TimeslotToken(
            schedule=snapshot.schedules.token(schedules[-1]),
            start=start[-1],
            length=lengths[-1],
        )
    return SlotPage(
        snapshot=snapshot,
        start=start,
        length=lengths,
        schedule=schedules,
        count=count[:size].tolist(),
        offering=offering.tolist(),
        answered_at=answered_at.tolist(),
        total=total,
        next_after=next_after,
        outcomes=standing.outcomes,
        fingerprint=fingerprint,
        until=standing.until,
    )


def _joined(
    parts: Sequence[npt.NDArray[Any]], kind: type[np.generic]
) -> npt.NDArray[Any]:
    return np.concatenate(parts) if parts else np.empty(0, dtype=kind)


def _found(
    snapshot: Snapshot, schedule: int, start: int, length: int, count: int
) -> FoundTimeslot:
    known = snapshot.numbered(schedule)
    return FoundTimeslot(
        timeslot=Timeslot(
            schedule=known.schedule,
            start=instant_from_epoch(start),
            end=instant_from_epoch(start + length),
            count=count,
        ),
        known=known,
    )
