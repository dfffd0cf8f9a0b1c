"""
Search: which free times fit, earliest first, and which sources' parts are missing.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import numpy.typing as npt

from fhir_gateway.adapters.sources import source_of_unit
from fhir_gateway.model.ids import HsaId, SourceName, TimeTypeId
from fhir_gateway.model.source import Source, SourceOutcome, SourceProblem
from fhir_gateway.model.timekeeping import (
    Clock,
    epoch_seconds,
    instant_from_epoch,
    now,
)
from fhir_gateway.model.timeslot import Timeslot, TimeslotToken
from fhir_gateway.services.directory import Directory, Offering
from fhir_gateway.services.slot_view import KnownSchedule, SlotView, Snapshot

__all__ = [
    "FoundTimeslot",
    "OwnTimeType",
    "SharedTimeType",
    "SlotCriteria",
    "SlotPage",
    "SlotSearch",
    "TimeTypeCriterion",
    "WhoOffers",
]

_MINUTE_S: Final = 60


@dataclass(frozen=True, slots=True)
class SharedTimeType:
    """Time types that mean a SNOMED CT code."""

    code: str


@dataclass(frozen=True, slots=True)
class OwnTimeType:
    """A unit's own time type; any unit's of that code when `unit` is None."""

    unit: HsaId | None
    id: TimeTypeId


TimeTypeCriterion = SharedTimeType | OwnTimeType


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotCriteria:
    """
    What a client looks for; everything that is None or empty does not narrow.

    Attributes:
        time_types: Each group must fit; within a group one is enough.
        units: Groups of HSA-ids, likewise.
        offerings: Groups of tokens of units' time types, likewise.
        schedules: Groups of schedules' tokens, likewise.
        performers: Groups of HSA-ids of staff, likewise.
        start: The time begins at this instant or later.
        before: The time begins earlier than this instant.
        descending: Latest first.
        count: How many to return at most.
        after: The last time of the page before, to go on behind it.
    """

    time_types: tuple[tuple[TimeTypeCriterion, ...], ...] = ()
    units: tuple[frozenset[HsaId], ...] = ()
    offerings: tuple[frozenset[str], ...] = ()
    schedules: tuple[frozenset[str], ...] = ()
    performers: tuple[frozenset[HsaId], ...] = ()
    start: datetime | None = None
    before: datetime | None = None
    descending: bool = False
    count: int = 20
    after: TimeslotToken | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundTimeslot:
    """A free time and what is known of it."""

    timeslot: Timeslot
    known: KnownSchedule


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotPage:
    """
    An answer to a search.

    Attributes:
        total: How many times fit in all, or None when a source's part is missing.
        next_after: The last time of this page when there are more.
        outcomes: What is missing, source by source.
    """

    found: tuple[FoundTimeslot, ...]
    total: int | None
    next_after: TimeslotToken | None
    outcomes: tuple[SourceOutcome, ...]
    directory: Directory


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
        held: How many places of each timeslot this server has promised away itself.
        clock: Tells the time.
    """

    def __init__(
        self,
        view: SlotView,
        sources: Mapping[SourceName, Source],
        held: Callable[[], Mapping[str, int]],
        *,
        clock: Clock = now,
    ) -> None:
        self._view = view
        self._sources = sources
        self._held = held
        self._clock = clock

    @property
    def snapshot(self) -> Snapshot:
        """Return the present snapshot of the view."""
        return self._view.snapshot

    def search(self, criteria: SlotCriteria) -> SlotPage:
        """
        Return the free times that fit. Past times never do.

        A time that is wholly held or booked through this server is left out, and
        counted out.
        """
        moment = self._clock()
        snapshot = self._view.snapshot
        # A time that begins this very second has begun: it can no longer be booked.
        start = epoch_seconds(moment) + 1
        if criteria.start is not None:
            start = max(start, _ceiling(criteria.start))
        first = int(np.searchsorted(snapshot.start, start, side="left"))
        last = len(snapshot.start)
        if criteria.before is not None:
            last = int(
                np.searchsorted(snapshot.start, _ceiling(criteria.before), side="left")
            )
        selection = _select(snapshot, criteria)
        rows = np.arange(first, max(first, last))
        if selection.mask is not None:
            rows = rows[selection.mask[snapshot.schedule[first:last]]]
        rows = self._without_held(snapshot, rows)
        total = len(rows)
        if criteria.descending:
            rows = rows[::-1]
        if criteria.after is not None:
            rows = rows[_behind(snapshot, rows, criteria.after, criteria.descending) :]
        page = rows[: criteria.count]
        found = tuple(_found(snapshot, int(row)) for row in page)
        outcomes = self._outcomes(snapshot, selection, moment)
        more = len(rows) > len(page) and found
        return SlotPage(
            found=found,
            total=None if outcomes else total,
            next_after=_token(snapshot, int(page[-1])) if more else None,
            outcomes=outcomes,
            directory=snapshot.directory,
        )

    def who_offers(
        self,
        *,
        time_types: tuple[tuple[TimeTypeCriterion, ...], ...] = (),
        units: tuple[frozenset[HsaId], ...] = (),
        organizations: tuple[frozenset[HsaId], ...] = (),
    ) -> WhoOffers:
        """Return the units' time types that fit, free times or not."""
        snapshot = self._view.snapshot
        directory = snapshot.directory
        offerings = tuple(
            offering
            for offering in _offerings_that_fit(
                directory, time_types=time_types, units=units
            )
            if all(
                (offering.unit.organization or offering.unit.hsa_id) in group
                for group in organizations
            )
        )
        only = frozenset.intersection(*units) if units else None
        outcomes = []
        for name in sorted(self._sources):
            source = self._sources[name]
            if not self._may_have(source, only) or _is_asked(snapshot, source, only):
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
        return WhoOffers(offerings=offerings, outcomes=tuple(outcomes))

    def find(self, token: TimeslotToken) -> FoundTimeslot | None:
        """Return a free time by its token, or None when it is not offered now."""
        snapshot = self._view.snapshot
        number = snapshot.by_token.get(token.schedule)
        if number is None or token.starts_at <= self._clock():
            return None
        first = np.searchsorted(snapshot.start, token.start, side="left")
        last = np.searchsorted(snapshot.start, token.start, side="right")
        for row in range(int(first), int(last)):
            if (
                snapshot.schedule[row] == number
                and snapshot.length[row] == token.length
            ):
                return _found(snapshot, row)
        return None

    def _without_held(
        self, snapshot: Snapshot, rows: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        gone: list[int] = []
        for text, places in self._held().items():
            token = TimeslotToken.parse(text)
            number = snapshot.by_token.get(token.schedule)
            if number is None:
                continue
            first = np.searchsorted(snapshot.start, token.start, side="left")
            last = np.searchsorted(snapshot.start, token.start, side="right")
            gone.extend(
                row
                for row in range(int(first), int(last))
                if snapshot.schedule[row] == number
                and snapshot.length[row] == token.length
                and snapshot.count[row] <= places
            )
        if not gone:
            return rows
        return rows[~np.isin(rows, np.array(gone, dtype=np.int64))]

    def _outcomes(
        self, snapshot: Snapshot, selection: "_Selection", moment: datetime
    ) -> tuple[SourceOutcome, ...]:
        outcomes = []
        for name in sorted(self._sources):
            source = self._sources[name]
            if not self._may_have(source, selection.units):
                continue
            outcome = _outcome(snapshot, selection, source, moment)
            if outcome is not None:
                outcomes.append(outcome)
        return tuple(outcomes)

    def _may_have(self, source: Source, units: frozenset[HsaId] | None) -> bool:
        """Return whether a source answers for any of the units; None for all."""
        return units is None or any(
            source_of_unit(self._sources.values(), unit) is source for unit in units
        )


def _offerings_that_fit(
    directory: Directory,
    *,
    time_types: tuple[tuple[TimeTypeCriterion, ...], ...] = (),
    units: tuple[frozenset[HsaId], ...] = (),
    offerings: tuple[frozenset[str], ...] = (),
) -> tuple[Offering, ...]:
    """Return the units' time types that fit, by unit name: "who offers it?"."""
    return tuple(
        sorted(
            (
                offering
                for offering in directory.offerings.values()
                if all(offering.unit.hsa_id in group for group in units)
                and all(offering.token in group for group in offerings)
                and all(
                    any(_means(offering, criterion) for criterion in group)
                    for group in time_types
                )
            ),
            key=_by_unit_name,
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Selection:
    """What criteria choose: which schedules, and which time types they stand for."""

    mask: npt.NDArray[np.bool_] | None
    offerings: tuple[Offering, ...]
    units: frozenset[HsaId] | None


def _select(snapshot: Snapshot, criteria: SlotCriteria) -> _Selection:
    fitting = _offerings_that_fit(
        snapshot.directory,
        time_types=criteria.time_types,
        units=criteria.units,
        offerings=criteria.offerings,
    )
    by_schedule = [
        frozenset(token.rpartition(".")[0] for token in group)
        for group in criteria.schedules
    ]
    fitting = tuple(
        offering
        for offering in fitting
        if all(offering.token in group for group in by_schedule)
    )
    mask = np.zeros(len(snapshot.schedules), dtype=np.bool_)
    for offering in fitting:
        numbers = snapshot.by_offering.get(offering.token)
        if numbers is not None:
            mask[numbers] = True
    for group in criteria.schedules:
        chosen = np.zeros_like(mask)
        for token in group:
            number = snapshot.by_token.get(token)
            if number is not None:
                chosen[number] = True
        mask &= chosen
    for staff in criteria.performers:
        mask &= np.fromiter(
            (each.schedule.performer in staff for each in snapshot.schedules),
            dtype=np.bool_,
            count=len(mask),
        )
    return _Selection(mask=mask, offerings=fitting, units=_units_asked_for(criteria))


def _units_asked_for(criteria: SlotCriteria) -> frozenset[HsaId] | None:
    """Return the only units that can fit, or None when any can."""
    groups = [
        *criteria.units,
        *(_units_of(tokens, parts=1) for tokens in criteria.offerings),
        *(_units_of(tokens, parts=2) for tokens in criteria.schedules),
    ]
    for group in criteria.time_types:
        units = {each.unit if isinstance(each, OwnTimeType) else None for each in group}
        if None not in units:
            groups.append(frozenset(unit for unit in units if unit is not None))
    return frozenset.intersection(*groups) if groups else None


def _units_of(tokens: Iterable[str], *, parts: int) -> frozenset[HsaId]:
    units = set()
    for token in tokens:
        # A client may ask for any text; one that names no unit fits none.
        with suppress(ValueError):
            units.add(HsaId(token.rsplit(".", parts)[0]))
    return frozenset(units)


def _means(offering: Offering, criterion: TimeTypeCriterion) -> bool:
    match criterion:
        case SharedTimeType(code):
            return any(each.code == code for each in offering.time_type.standard)
        case OwnTimeType(unit, time_type_id):
            return offering.time_type.id == time_type_id and (
                unit is None or offering.unit.hsa_id == unit
            )


def _by_unit_name(offering: Offering) -> tuple[str, str]:
    return offering.unit.name, offering.token


def _ceiling(instant: datetime) -> int:
    seconds = epoch_seconds(instant)
    return seconds if instant.timestamp() == seconds else seconds + 1


def _behind(
    snapshot: Snapshot,
    rows: npt.NDArray[np.int64],
    after: TimeslotToken,
    descending: bool,  # noqa: FBT001 - from the criteria
) -> int:
    """Return how many of the rows stand at or before the given time."""
    mark = (after.start, after.schedule, after.length)
    low, high = 0, len(rows)
    while low < high:
        middle = (low + high) // 2
        token = _token(snapshot, int(rows[middle]))
        place = (token.start, token.schedule, token.length)
        passed = place >= mark if descending else place <= mark
        low, high = (middle + 1, high) if passed else (low, middle)
    return low


def _token(snapshot: Snapshot, row: int) -> TimeslotToken:
    return TimeslotToken(
        schedule=snapshot.schedules[snapshot.schedule[row]].token,
        start=int(snapshot.start[row]),
        length=int(snapshot.length[row]),
    )


def _found(snapshot: Snapshot, row: int) -> FoundTimeslot:
    known = snapshot.schedules[snapshot.schedule[row]]
    start = int(snapshot.start[row])
    return FoundTimeslot(
        timeslot=Timeslot(
            schedule=known.schedule,
            start=instant_from_epoch(start),
            end=instant_from_epoch(start + int(snapshot.length[row])),
            count=int(snapshot.count[row]),
        ),
        known=known,
    )


def _is_asked(
    snapshot: Snapshot, source: Source, only: frozenset[HsaId] | None
) -> bool:
    """Return whether the source has said what its units offer, or those of `only`."""
    directory = snapshot.directory
    return source.name not in directory.silent and all(
        unit.hsa_id in directory.asked_units
        for unit in directory.units.values()
        if unit.source == source.name and (only is None or unit.hsa_id in only)
    )


def _outcome(
    snapshot: Snapshot, selection: _Selection, source: Source, moment: datetime
) -> SourceOutcome | None:
    status = snapshot.statuses.get(source.name)
    since = status.last_answer_at if status else None
    failing = status is not None and status.failing_since is not None
    mine = [each for each in selection.offerings if each.unit.source == source.name]
    missing = sum(each.token not in snapshot.answered_at for each in mine)
    expired = sum(
        each.token in snapshot.answered_at and each.token not in snapshot.offered
        for each in mine
    )
    answers = [
        snapshot.answered_at[each.token]
        for each in mine
        if each.token in snapshot.offered
    ]
    age = moment - min(answers) if answers else None
    is_asked = _is_asked(snapshot, source, selection.units)
    if is_asked and not mine:
        # It has said what it offers, and nothing of that fits.
        return None
    problem, detail = None, ""
    if missing or not is_asked:
        problem = SourceProblem.NOT_YET_ASKED
        detail = (
            f"{source.title} has not been asked for all of its times yet; try again"
            " in a minute."
        )
    if failing:
        problem = SourceProblem.UNAVAILABLE
        detail = f"{source.title} does not answer at present."
    elif expired:
        problem = SourceProblem.UNAVAILABLE
        detail = (
            f"{source.title} has not answered for so long that {expired} of its time"
            " types are left out."
        )
    elif problem is None and age is not None and age > source.fresh_for:
        problem = SourceProblem.STALE
        detail = (
            f"{source.title} last answered"
            f" {int(age.total_seconds() // _MINUTE_S)} minutes ago."
        )
    if problem is None:
        return None
    return SourceOutcome(
        source=source.name, problem=problem, detail=detail, since=since
    )
