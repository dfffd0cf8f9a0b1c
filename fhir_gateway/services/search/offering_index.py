"""
The directory as arrays: a search finds the units' time types without a loop.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from fhir_gateway.model.care_unit import CareUnit, Nearness, Position
from fhir_gateway.model.ids import HsaId, SourceName, TimeTypeId
from fhir_gateway.model.timeslot import TimeType
from fhir_gateway.services.search.offering_numbers import OfferingNumbers
from fhir_gateway.services.source.directory import Directory, Offering

__all__ = ["FINGERPRINT_BYTES", "Numbers", "OfferingIndex"]

Numbers = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]

FINGERPRINT_BYTES: Final = 6
"""How long the fingerprint of an index is."""

_EARTH_RADIUS_KM: Final = 6371.0088
_NONE: Final = np.empty(0, dtype=np.int32)


class OfferingIndex:
    """
    The units' time types of a directory, by number.

    Args:
        directory: What the units offer.
        numbers: The numbers; the index adds those that are missing.

    Attributes:
        kinds: The sources' time types, each once, by number.
        unit_of: The number of each time type's unit; -1 when the directory no longer
            has the time type.
        source_of: The place of each time type's source in `sources`; -1 likewise.
    """

    def __init__(self, directory: Directory, numbers: OfferingNumbers) -> None:
        self.directory = directory
        # By HSA-id: each process gives the units of one directory the same numbers.
        self._units: tuple[CareUnit, ...] = tuple(
            sorted(directory.units.values(), key=lambda unit: unit.hsa_id)
        )
        self._unit_numbers: Mapping[HsaId, int] = {
            unit.hsa_id: number for number, unit in enumerate(self._units)
        }
        sources: dict[SourceName, int] = {}
        unit_source = [
            sources.setdefault(unit.source, len(sources)) for unit in self._units
        ]
        self.sources = tuple(sources)
        self._organization_units: dict[HsaId, list[HsaId]] = {}
        for each in self._units:
            organization = each.organization or each.hsa_id
            self._organization_units.setdefault(organization, []).append(each.hsa_id)
        self._points = _points(unit.position for unit in self._units)
        # The directory has each of equal time types once, so that identity is enough
        # to compare them.
        kinds: dict[tuple[SourceName, int], int] = {}
        self.kinds: list[tuple[SourceName, TimeType]] = []
        by_code: dict[str, list[int]] = {}
        by_own_id: dict[TimeTypeId, list[int]] = {}
        placed: list[tuple[int, int, int]] = []
        self._numbers = numbers
        for offering in directory.offerings.values():
            number = numbers.number(offering.unit.hsa_id, offering.time_type.id)
            source, time_type = offering.unit.source, offering.time_type
            kind = kinds.setdefault((source, id(time_type)), len(self.kinds))
            if kind == len(self.kinds):
                self.kinds.append((source, time_type))
            placed.append((number, self._unit_numbers[offering.unit.hsa_id], kind))
            by_own_id.setdefault(offering.time_type.id.code, []).append(number)
            for shared in offering.time_type.standard:
                by_code.setdefault(shared.code, []).append(number)
        # -1: the directory no longer has an offering of that number.
        self.unit_of = np.full(len(numbers), -1, dtype=np.int32)
        self.source_of = np.full(len(numbers), -1, dtype=np.int32)
        self._kind = np.full(len(numbers), -1, dtype=np.int32)
        for number, unit, kind in placed:
            self.unit_of[number] = unit
            self._kind[number] = kind
            self.source_of[number] = unit_source[unit]
        self.all = np.array([number for number, *_ in placed], dtype=np.int32)
        self._by_code = {code: _array(found) for code, found in by_code.items()}
        self._by_own_id = {code: _array(found) for code, found in by_own_id.items()}
        self._shared = _array(
            [number for found in by_code.values() for number in found]
        )

    def number(self, token: str) -> int | None:
        """Return the number of a time type that the directory has."""
        number = self._numbers.known(token)
        if number is None or number >= len(self.unit_of) or self.unit_of[number] < 0:
            return None
        return number

    def offering(self, number: int) -> Offering:
        """Return the unit's time type of a number."""
        return self.directory.offerings[self._numbers.token(number)]

    def kinds_of(self, numbers: Sequence[int]) -> list[int]:
        """
        Return the number of the kind of each time type.

        Raises:
            LookupError: The directory no longer has one of them.
        """
        return _found(self._kind, numbers)

    def units_of(self, numbers: Sequence[int]) -> list[int]:
        """
        Return the number of each one's unit.

        Raises:
            LookupError: The directory no longer has one of them.
        """
        return _found(self.unit_of, numbers)

    @property
    def unit_count(self) -> int:
        """Return how many units there are."""
        return len(self._units)

    @cached_property
    def fingerprint(self) -> bytes:
        """Return a value that two indexes share if they give units the same numbers."""
        units = "\n".join(unit.hsa_id for unit in self._units)
        return hashlib.blake2b(units.encode(), digest_size=FINGERPRINT_BYTES).digest()

    def source_number(self, name: SourceName) -> int | None:
        """Return the place of a source in `sources`; None without units of it."""
        return self.sources.index(name) if name in self.sources else None

    def unit(self, number: int) -> CareUnit:
        """Return the unit that has a number."""
        return self._units[number]

    def of_code(self, code: str | None) -> Numbers:
        """Return the time types that mean a SNOMED CT code, or any, in their order."""
        return self._shared if code is None else self._by_code.get(code, _NONE)

    def of_own_id(self, own_id: TimeTypeId | None, unit: HsaId | None) -> Numbers:
        """Return the time types with a code, or any, of a unit or any, likewise."""
        found = self.all if own_id is None else self._by_own_id.get(own_id, _NONE)
        if unit is None:
            return found
        at_unit: Numbers = found[
            self.unit_of[found] == self._unit_numbers.get(unit, -2)
        ]
        return at_unit

    def at_units(self, numbers: Numbers, units: Iterable[HsaId]) -> Numbers:
        """Return those of the numbers that are at one of the units."""
        wanted = np.zeros(len(self._units) + 1, dtype=np.bool_)
        for unit in units:
            if unit in self._unit_numbers:
                wanted[self._unit_numbers[unit]] = True
        kept: Numbers = numbers[wanted[self.unit_of[numbers]]]
        return kept

    def of_organizations(
        self, numbers: Numbers, organizations: Iterable[HsaId]
    ) -> Numbers:
        """Return those of the numbers that are at units of the organisations."""
        return self.at_units(
            numbers,
            (
                unit
                for organization in organizations
                for unit in self._organization_units.get(organization, ())
            ),
        )

    def of_sources(self, numbers: Numbers, sources: Iterable[SourceName]) -> Numbers:
        """Return those of the numbers that belong to one of the sources."""
        wanted = np.zeros(len(self.sources) + 1, dtype=np.bool_)
        for source in sources:
            if source in self.sources:
                wanted[self.sources.index(source)] = True
        return numbers[wanted[self.source_of[numbers]]]

    def sources_of(self, numbers: Numbers) -> frozenset[SourceName]:
        """Return the sources that time types belong to."""
        return frozenset(
            self.sources[each] for each in np.unique(self.source_of[numbers]).tolist()
        )

    def units_near(self, places: Iterable[Nearness]) -> frozenset[HsaId]:
        """Return the units near one of the places."""
        within = np.zeros(len(self._units), dtype=np.bool_)
        for place in places:
            within |= self._is_near(place)
        return frozenset(
            self._units[number].hsa_id for number in np.flatnonzero(within).tolist()
        )

    def near(self, numbers: Numbers, places: Iterable[Nearness]) -> Numbers:
        """Return those of the numbers that are at a unit near one of the places."""
        within = np.zeros(len(self._units) + 1, dtype=np.bool_)
        for place in places:
            # The last one stands for the number -1: an offering that is no more.
            within[:-1] |= self._is_near(place)
        kept: Numbers = numbers[within[self.unit_of[numbers]]]
        return kept

    def is_at(
        self,
        unit: HsaId,
        *,
        organizations: Iterable[frozenset[HsaId]],
        sources: Iterable[frozenset[SourceName]],
        near: Iterable[Iterable[Nearness]],
    ) -> bool:
        """Return whether a unit of the directory is of one of each group."""
        number = self._unit_numbers[unit]
        known = self._units[number]
        return (
            all((known.organization or unit) in group for group in organizations)
            and all(known.source in group for group in sources)
            and all(
                any(self._is_near(place)[number] for place in places) for places in near
            )
        )

    def _is_near(self, place: Nearness) -> npt.NDArray[np.bool_]:
        """Return which units lie within a distance of a point."""
        half_angle = place.km / (2 * _EARTH_RADIUS_KM)
        # Beyond half the circumference nothing on Earth is further away.
        reach = np.inf if half_angle >= np.pi / 2 else 4 * np.sin(half_angle) ** 2
        # Straight through the Earth: monotonic in the distance along its surface, and
        # exact for short ones. A unit without a position is NaN, which compares false.
        chords = self._points - _points([place.position])
        within: npt.NDArray[np.bool_] = np.square(chords).sum(axis=1) <= reach
        return within


def _found(column: Numbers, numbers: Sequence[int]) -> list[int]:
    found: list[int] = column[np.array(numbers, dtype=np.intp)].tolist()
    if found and min(found) < 0:
        raise LookupError("the directory has one of these time types no more")
    return found


def _array(numbers: list[int]) -> Numbers:
    """Return numbers, each once, in their order."""
    return np.unique(np.array(numbers, dtype=np.int32))


def _points(positions: Iterable[Position | None]) -> npt.NDArray[np.float64]:
    """Return positions as points of a sphere of radius 1, a row each; none is NaN."""
    degrees = np.array(
        [
            (each.latitude, each.longitude) if each else (np.nan, np.nan)
            for each in positions
        ],
        dtype=np.float64,
    ).reshape(-1, 2)
    latitude, longitude = np.radians(degrees).T
    return np.column_stack(
        (
            np.cos(latitude) * np.cos(longitude),
            np.cos(latitude) * np.sin(longitude),
            np.sin(latitude),
        )
    )
