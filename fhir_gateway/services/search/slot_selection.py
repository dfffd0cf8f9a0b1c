"""
What a selector chooses in a snapshot: time types, segments and schedules.
"""

from collections.abc import Callable, Container, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from fhir_gateway.model.care_unit import Nearness
from fhir_gateway.model.ids import HsaId, SourceName, TimeTypeId
from fhir_gateway.model.source import SourceOutcome
from fhir_gateway.model.timeslot import time_type_of_schedule, unit_of_time_type
from fhir_gateway.services.search.offering_index import Numbers, OfferingIndex
from fhir_gateway.services.search.schedule_actor import (
    Actors,
    Named,
    NameOf,
    actors_named,
    numbered,
    offerings_of_actors,
    schedules_of_staff,
    whole_offerings,
)
from fhir_gateway.services.search.snapshot import Segment, Snapshot

__all__ = [
    "NO_NUMBERS",
    "Availability",
    "OwnTimeType",
    "Selection",
    "Selector",
    "SharedTimeType",
    "TimeTypeCriterion",
    "excludes_nothing",
    "select",
    "unknown_parts",
]

NO_NUMBERS: Final = np.empty(0, dtype=np.int32)


@dataclass(frozen=True, slots=True)
class SharedTimeType:
    """Time types that mean a SNOMED CT code; any that mean one when it is None."""

    code: str | None


@dataclass(frozen=True, slots=True)
class OwnTimeType:
    """
    A unit's own time type.

    Attributes:
        unit: None for any unit's of that code.
        id: None for all of that unit's.
    """

    unit: HsaId | None
    id: TimeTypeId | None


TimeTypeCriterion = SharedTimeType | OwnTimeType


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """
    What narrows a search; an empty attribute does not.

    Attributes:
        time_types: Each group must fit; within a group one is enough.
        other_time_types: Groups of which none may fit.
        units: Groups of HSA-ids, likewise.
        offerings: Groups of tokens of units' time types, likewise.
        schedules: Groups of schedules' tokens, likewise.
        performers: Groups of HSA-ids of staff, likewise.
        actors: Groups of actors that a schedule may have, likewise.
        named: Groups of names of actors, likewise.
        organizations: Groups of HSA-ids of care providers, likewise.
        sources: Groups of sources, likewise.
        near: Groups of places that the unit lies near, likewise.
    """

    time_types: tuple[tuple[TimeTypeCriterion, ...], ...] = ()
    other_time_types: tuple[tuple[TimeTypeCriterion, ...], ...] = ()
    units: tuple[frozenset[HsaId], ...] = ()
    offerings: tuple[frozenset[str], ...] = ()
    schedules: tuple[frozenset[str], ...] = ()
    performers: tuple[frozenset[HsaId], ...] = ()
    actors: tuple[Actors, ...] = ()
    named: tuple[Named, ...] = ()
    organizations: tuple[frozenset[HsaId], ...] = ()
    sources: tuple[frozenset[SourceName], ...] = ()
    near: tuple[tuple[Nearness, ...], ...] = ()

    @property
    def is_by_staff(self) -> bool:
        """Return whether it depends on who is known of the staff."""
        return bool(
            self.performers
            or any(actors.has_staff for actors in self.actors)
            or any(each.kind is NameOf.PERFORMER for each in self.named)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """
    Source availability for a selection in a snapshot.

    Attributes:
        version: The snapshot's.
        outcomes: What is missing, source by source.
        until: The outcomes are the same before that instant, in seconds.
    """

    version: int
    outcomes: tuple[SourceOutcome, ...]
    until: float


@dataclass(frozen=True, slots=True, eq=False)
class _PackedMask:
    """A mask over schedules in an eighth of its size, since the cache has many."""

    bits: npt.NDArray[np.uint8]
    size: int

    @classmethod
    def of(cls, mask: npt.NDArray[np.bool_]) -> Self:
        """Return a mask packed."""
        return cls(np.packbits(mask), len(mask))

    def unpacked(self) -> npt.NDArray[np.bool_]:
        """Return the mask."""
        return np.unpackbits(self.bits, count=self.size).view(np.bool_)


@dataclass(slots=True, kw_only=True, eq=False)
class Selection:
    """
    What a selector chooses in snapshots of one layout.

    Attributes:
        numbers: The numbers of the time types that fit.
        parts: The segments to search, and whether not all of their schedules fit.
        chosen: The schedules that fit, as packed bits; None when all do.
        by_time_type: Of each time type, all schedules fit or none.
        units: The only units that can fit, or None when any can.
        sources: The only sources that can fit, or None when any can.
        lacking: The units that may have a time type that fits and could not be kept.
        availability: The last one that was determined.
    """

    numbers: Numbers
    parts: tuple[tuple[Segment, bool], ...]
    chosen: _PackedMask | None
    by_time_type: bool
    units: frozenset[HsaId] | None
    sources: frozenset[SourceName] | None
    lacking: frozenset[HsaId]
    availability: Availability | None = None


def select(snapshot: Snapshot, selector: Selector) -> Selection:
    """Return what a selector chooses."""
    by_id = selector
    if selector.named:
        found = [(each.kind, actors_named(snapshot, each)) for each in selector.named]
        # What has one of the names may also be where nothing is known yet.
        units = [
            actors
            for kind, actors in found
            if kind is NameOf.UNIT and snapshot.directory.has_every_unit
        ]
        by_id = replace(selector, actors=(*selector.actors, *units))
        selector = replace(
            selector, actors=(*selector.actors, *(actors for _, actors in found))
        )
    asked_for = _units_asked_for(by_id)
    numbers = _offerings(snapshot, selector)
    named = _named_schedules(snapshot, selector)
    parts = _parts(snapshot, numbers, is_narrowed=named is not None)
    chosen = named
    if any(narrowed for _, narrowed in parts):
        chosen = snapshot.schedules.mask_of(numbers)
        if named is not None:
            # Another thread may have added schedules since.
            chosen = chosen[: len(named)] & named[: len(chosen)]
    return Selection(
        numbers=numbers,
        parts=parts,
        chosen=None if chosen is None else _PackedMask.of(chosen),
        by_time_type=named is None,
        units=asked_for,
        sources=(
            frozenset.intersection(*selector.sources) if selector.sources else None
        ),
        lacking=_lacking(snapshot.index, selector, asked_for),
    )


def excludes_nothing(snapshot: Snapshot, selector: Selector) -> bool:
    """Return whether no time type is among a group of those that are not wanted."""
    return any(
        len(_that_mean(snapshot.index, group)) == 0
        for group in selector.other_time_types
    )


def unknown_parts(snapshot: Snapshot, selector: Selector) -> tuple[str, ...]:
    """
    Return the attributes of a selector that name nothing that this server knows.

    An attribute is among them if it has a group without a known name. Sources are not
    checked: the configuration names them.
    """
    directory, schedules = snapshot.directory, snapshot.schedules

    def any_in(known: Container[str]) -> Callable[[Iterable[str]], bool]:
        return lambda group: any(each in known for each in group)

    is_known: dict[str, Callable[[Any], bool]] = {
        "time_types": lambda group: len(_that_mean(snapshot.index, group)) > 0,
        "units": any_in(directory.units),
        "offerings": any_in(directory.offerings),
        "schedules": lambda group: any(
            schedules.number(token) is not None for token in group
        ),
        "performers": lambda group: any(
            who in directory.performers or len(schedules.of_performer(who)) > 0
            for who in group
        ),
        "actors": lambda group: bool(offerings_of_actors(snapshot, group).any()),
        "named": lambda named: actors_named(snapshot, named) != Actors(),
        "organizations": any_in(directory.providers),
    }
    return tuple(
        name
        for name, fits in is_known.items()
        if not all(fits(group) for group in getattr(selector, name))
    )


def _offerings(snapshot: Snapshot, selector: Selector) -> Numbers:
    """Return the time types that fit, each once, in the order of their numbers."""
    index = snapshot.index
    numbers = _of_time_types(index, selector)
    for units in selector.units:
        numbers = index.at_units(numbers, units)
    for organizations in selector.organizations:
        numbers = index.of_organizations(numbers, organizations)
    for sources in selector.sources:
        numbers = index.of_sources(numbers, sources)
    for places in selector.near:
        numbers = index.near(numbers, places)
    for tokens in selector.offerings:
        numbers = np.intersect1d(numbers, numbered(index, tokens))
    for tokens in selector.schedules:
        of_tokens = set(map(time_type_of_schedule, tokens))
        numbers = np.intersect1d(numbers, numbered(index, of_tokens))
    for actors in selector.actors:
        numbers = numbers[offerings_of_actors(snapshot, actors)[numbers]]
    return numbers


def _of_time_types(index: OfferingIndex, selector: Selector) -> Numbers:
    """Return the time types with a meaning or a code that fits."""
    if selector.time_types:
        numbers = _that_mean(index, selector.time_types[0])
    else:
        numbers = index.all
    for group in selector.time_types[1:]:
        numbers = np.intersect1d(numbers, _that_mean(index, group))
    for group in selector.other_time_types:
        numbers = np.setdiff1d(numbers, _that_mean(index, group))
    return numbers


def _lacking(
    index: OfferingIndex, selector: Selector, asked_for: frozenset[HsaId] | None
) -> frozenset[HsaId]:
    """Return the units with a time type that could not be kept and may fit."""
    return frozenset(
        unit
        for unit in index.directory.lacking_time_types
        if (asked_for is None or unit in asked_for)
        and index.is_at(
            unit,
            organizations=selector.organizations,
            sources=selector.sources,
            near=selector.near,
        )
    )


def _named_schedules(
    snapshot: Snapshot, selector: Selector
) -> npt.NDArray[np.bool_] | None:
    """Return which schedules a selector names, by themselves or by their staff."""
    narrowing = [actors for actors in selector.actors if actors.has_staff]
    if not (selector.schedules or selector.performers or narrowing):
        return None
    schedules = snapshot.schedules
    chosen = np.ones(len(schedules), dtype=np.bool_)
    for tokens in selector.schedules:
        found = (schedules.number(token) for token in tokens)
        chosen &= _mask(len(chosen), (each for each in found if each is not None))
    for staff in selector.performers:
        chosen &= _mask(
            len(chosen), (each for who in staff for each in schedules.of_performer(who))
        )
    for actors in narrowing:
        whole = np.flatnonzero(whole_offerings(snapshot.index, actors))
        of_units = schedules.mask_of(whole.astype(np.int32))
        of_staff = _mask(len(chosen), schedules_of_staff(snapshot, actors))
        chosen &= of_units[: len(chosen)] | of_staff
    return chosen


def _mask(size: int, numbers: Iterable[int]) -> npt.NDArray[np.bool_]:
    mask = np.zeros(size, dtype=np.bool_)
    # Another thread may have added schedules since the size was taken.
    mask[[number for number in numbers if number < size]] = True
    return mask


def _parts(
    snapshot: Snapshot, numbers: Numbers, *, is_narrowed: bool
) -> tuple[tuple[Segment, bool], ...]:
    """
    Return the segments to search, and whether not all of their schedules fit.

    Args:
        snapshot: What is searched.
        numbers: The time types that fit.
        is_narrowed: Not all schedules of those fit, either.
    """
    segment_of = snapshot.segment_of[numbers]
    fitting = np.bincount(segment_of[segment_of >= 0])
    wanted = np.flatnonzero(fitting)
    partly = fitting[wanted] < snapshot.segment_sizes[wanted]
    return tuple(
        (snapshot.segment_keys[number], is_narrowed or is_partly)
        for number, is_partly in zip(wanted.tolist(), partly.tolist(), strict=True)
    )


def _that_mean(index: OfferingIndex, group: tuple[TimeTypeCriterion, ...]) -> Numbers:
    """Return the time types that one of a group means, in the order of numbers."""
    found = [
        index.of_code(each.code)
        if isinstance(each, SharedTimeType)
        else index.of_own_id(each.id, each.unit)
        for each in group
    ]
    if len(found) == 1:
        return found[0]
    return np.unique(np.concatenate(found)) if found else NO_NUMBERS


def _units_asked_for(selector: Selector) -> frozenset[HsaId] | None:
    """Return the only units that can fit, or None when any can."""
    groups = [
        *selector.units,
        *(_units_of(tokens) for tokens in selector.offerings),
        *(
            _units_of(map(time_type_of_schedule, tokens))
            for tokens in selector.schedules
        ),
    ]
    groups.extend(
        actors.units
        | _units_of(actors.offerings)
        | frozenset(unit for unit, _ in actors.roles)
        for actors in selector.actors
        if not actors.performers
    )
    for group in selector.time_types:
        units = {each.unit if isinstance(each, OwnTimeType) else None for each in group}
        if None not in units:
            groups.append(frozenset(unit for unit in units if unit is not None))
    return frozenset.intersection(*groups) if groups else None


def _units_of(tokens: Iterable[str]) -> frozenset[HsaId]:
    units = set()
    for token in tokens:
        # A client may ask for any text; one that names no unit fits none.
        with suppress(ValueError):
            units.add(HsaId(unit_of_time_type(token)))
    return frozenset(units)
