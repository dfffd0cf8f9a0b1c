"""
The actors of schedules: those that have the times, by id or by name.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache

import numpy as np
import numpy.typing as npt

from fhir_gateway.model.folded_text import folded
from fhir_gateway.model.ids import HsaId
from fhir_gateway.services.search.offering_index import Numbers, OfferingIndex
from fhir_gateway.services.search.snapshot import Snapshot
from fhir_gateway.services.source.directory import Directory

__all__ = [
    "Actors",
    "NameOf",
    "Named",
    "actors_named",
    "numbered",
    "offerings_of_actors",
    "schedules_of_staff",
    "whole_offerings",
]

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Actors:
    """
    The actors of schedules; a schedule with one of all these fits.

    Attributes:
        units: HSA-ids of units.
        offerings: Tokens of units' time types.
        performers: HSA-ids of staff.
        roles: A unit, and a member of its staff, by HSA-id.
    """

    units: frozenset[HsaId] = frozenset()
    offerings: frozenset[str] = frozenset()
    performers: frozenset[HsaId] = frozenset()
    roles: frozenset[tuple[HsaId, HsaId]] = frozenset()

    @property
    def number(self) -> int:
        """Return how many there are."""
        return sum(map(len, (self.units, self.offerings, self.performers, self.roles)))

    @property
    def has_staff(self) -> bool:
        """Return whether not all schedules of a time type may fit."""
        return bool(self.performers or self.roles)


class NameOf(Enum):
    """What has a name that schedules can be chosen by."""

    UNIT = "unit"
    OFFERING = "offering"
    PERFORMER = "performer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """
    Actors with one of some names, in any case, with or without accents.

    Attributes:
        kind: What has the name; of a person, each part of the name counts by itself.
        texts: The texts to look for.
        anywhere: A name has a text somewhere, and not only at its beginning.
    """

    kind: NameOf
    texts: frozenset[str]
    anywhere: bool = False


def actors_named(snapshot: Snapshot, named: Named) -> Actors:
    """Return who has one of some names."""
    directory = snapshot.directory
    texts = tuple(map(folded, named.texts))

    # Thousands of units have the same names for their time types.
    @cache
    def fits(name: str) -> bool:
        name = folded(name)
        if named.anywhere:
            return any(text in name for text in texts)
        return name.startswith(texts)

    if named.kind is NameOf.UNIT:
        units = directory.units.values()
        return Actors(units=frozenset(each.hsa_id for each in units if fits(each.name)))
    if named.kind is NameOf.OFFERING:
        offerings = directory.offerings.items()
        return Actors(
            offerings=frozenset(
                token for token, each in offerings if fits(each.time_type.name)
            )
        )
    return Actors(
        performers=frozenset(
            who
            for who, display in snapshot.schedules.staff()
            if any(map(fits, _names_of(directory, who, display)))
        )
    )


def _names_of(directory: Directory, who: HsaId, display: str | None) -> Iterator[str]:
    """Yield the parts of the name of a member of staff, and the name as displayed."""
    if display:
        yield display
        yield from display.split()
    owner = directory.owner_of(who)
    performer = None if owner is None else directory.performer(who, owner)
    if performer is not None:
        yield from (performer.first_name, performer.last_name)


def offerings_of_actors(snapshot: Snapshot, actors: Actors) -> Mask:
    """Return which time types, by number, have a schedule of one of the actors."""
    fits = whole_offerings(snapshot.index, actors)
    if actors.has_staff:
        schedules = [
            number
            for number in schedules_of_staff(snapshot, actors)
            if number < snapshot.known_schedules
        ]
        of_staff = snapshot.schedules.offering[schedules]
        # The directory may not have the time type of a schedule, or no longer.
        of_staff = of_staff[of_staff < len(fits)]
        fits[of_staff] = snapshot.index.unit_of[of_staff] >= 0
    return fits


def whole_offerings(index: OfferingIndex, actors: Actors) -> Mask:
    """Return of which time types, by number, all schedules are of one of the actors."""
    fits = np.zeros(len(index.unit_of), dtype=np.bool_)
    if actors.units:
        fits[index.at_units(index.all, actors.units)] = True
    fits[numbered(index, actors.offerings)] = True
    return fits


def schedules_of_staff(snapshot: Snapshot, actors: Actors) -> Iterator[int]:
    """Yield the schedules of staff, of which a unit's or time type's are no part."""
    schedules = snapshot.schedules
    for who in actors.performers:
        yield from schedules.of_performer(who)
    for unit, who in actors.roles:
        for number in schedules.of_performer(who):
            if schedules.unit(number) == unit:
                yield number


def numbered(index: OfferingIndex, tokens: Iterable[str]) -> Numbers:
    """Return the numbers of the time types that the directory has, of tokens."""
    return np.array(
        [number for token in tokens if (number := index.number(token)) is not None],
        dtype=np.int32,
    )
