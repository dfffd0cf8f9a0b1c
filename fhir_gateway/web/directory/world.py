"""
The directory at one moment, as rows: units, their providers, services, staff.

A row is found, compared and sorted without its resource; only a page's rows are
rendered. The orders of rows are made once for each layout of snapshots.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from fhir_gateway.fhir.practitioner import (
    practitioner_role_id,
    unit_of_practitioner_role,
)
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model.care_unit import CareUnit, Performer
from fhir_gateway.model.ids import HsaId, SourceName
from fhir_gateway.model.timeslot import TimeType
from fhir_gateway.services.search.slot_search import SlotSearch
from fhir_gateway.services.search.snapshot import KnownSchedule, Snapshot

__all__ = ["DirectoryWorld", "DirectoryWorlds", "Provider", "Role", "StaffMember"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """An organisation that provides care, and the first of its units."""

    hsa_id: HsaId
    name: str
    unit: CareUnit


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffMember:
    """
    A member of staff who has times.

    Attributes:
        performer: The person's entry in the source's list of staff; None without one.
        display: The name on the person's times.
        source: The source of these data.
    """

    hsa_id: HsaId
    performer: Performer | None
    display: str | None
    source: SourceName

    @property
    def family(self) -> str | None:
        """Return the family name, where the source lists one."""
        return None if self.performer is None else self.performer.last_name

    @property
    def given(self) -> str | None:
        """Return the given name, where the source lists one."""
        return None if self.performer is None else self.performer.first_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """
    A member of staff at a unit.

    Attributes:
        id: The id of its PractitionerRole.
        schedules: The numbers of the person's schedules there.
    """

    id: str
    unit: HsaId
    performer: HsaId
    schedules: Sequence[int]


class _Rows:
    """The rows of one layout of snapshots, in their default orders."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    @cached_property
    def units(self) -> Sequence[CareUnit]:
        """Return the units by name."""
        return sorted(self._snapshot.directory.units.values(), key=_by_name)

    @cached_property
    def providers(self) -> Sequence[Provider]:
        """Return the organisations by name."""
        found = (
            Provider(hsa_id=hsa_id, name=unit.organization_name or unit.name, unit=unit)
            for hsa_id, unit in self._snapshot.directory.providers.items()
        )
        return sorted(found, key=_by_name)

    @cached_property
    def services(self) -> npt.NDArray[np.intp]:
        """Return the numbers of the units' time types, by the unit's name."""
        index = self._snapshot.index
        offerings = (
            (offering.unit.name, offering.token, number)
            for number in index.all.tolist()
            for offering in (index.offering(number),)
        )
        return np.array([number for *_, number in sorted(offerings)], dtype=np.intp)

    @cached_property
    def schedules(self) -> npt.NDArray[np.intp]:
        """Return the numbers of the schedules, by rank: a hash of the token."""
        snapshot = self._snapshot
        table = snapshot.schedules
        units = snapshot.directory.units
        offering = table.offering[: snapshot.known_schedules]
        # A schedule of a unit that is no more has no source.
        kept = np.zeros(int(offering.max(initial=-1)) + 1, dtype=np.bool_)
        for each in np.unique(offering).tolist():
            kept[each] = table.unit_of_offering(each) in units and not np.isnan(
                snapshot.answered_at[each]
            )
        numbers = np.flatnonzero(kept[offering])
        ranks = table.ranks(numbers.astype(np.int32))
        numbers = numbers[np.argsort(ranks, kind="stable")]
        return self._with_ties_in_order(numbers)

    def _with_ties_in_order(
        self, numbers: npt.NDArray[np.intp]
    ) -> npt.NDArray[np.intp]:
        """Order schedules of one rank by token: every process has the same order."""
        table = self._snapshot.schedules
        ranks = table.ranks(numbers.astype(np.int32))
        ties = np.flatnonzero(ranks[1:] == ranks[:-1]).tolist()
        for first in ties:
            last = first + 1
            while last < len(ranks) and ranks[last] == ranks[first]:
                last += 1
            numbers[first:last] = sorted(numbers[first:last].tolist(), key=table.token)
        return numbers

    @cached_property
    def roles(self) -> Sequence[Role]:
        """Return the roles of staff at units, by id."""
        table = self._snapshot.schedules
        schedules: dict[tuple[HsaId, HsaId], list[int]] = {}
        for number in np.sort(self.schedules).tolist():
            performer = table.performer(number)
            if performer is not None:
                schedules.setdefault((table.unit(number), performer), []).append(number)
        roles = (
            _role(unit, performer, numbers)
            for (unit, performer), numbers in schedules.items()
        )
        return sorted(roles, key=lambda role: role.id)

    @cached_property
    def staff(self) -> Sequence[StaffMember]:
        """Return the staff who have times, by HSA-id."""
        performers = sorted({role.performer for role in self.roles})
        members = (_member(self._snapshot, each) for each in performers)
        return [member for member in members if member is not None]


class DirectoryWorld:
    """
    What is known of the directory at one moment.

    Attributes:
        snapshot: The snapshot of that moment.
        rows: The rows of its layout.
        search: Says what is missing of a selection.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        rows: _Rows,
        search: SlotSearch,
        vocabulary: Vocabulary,
    ) -> None:
        self.snapshot = snapshot
        self.rows = rows
        self.search = search
        self.vocabulary = vocabulary

    def member(self, hsa_id: HsaId) -> StaffMember | None:
        """Return a member of staff who has times."""
        return _member(self.snapshot, hsa_id)

    def role(self, identifier: str) -> Role | None:
        """Return a member of staff's role at a unit, by the id of the role."""
        unit = unit_of_practitioner_role(identifier)
        if unit is None:
            return None
        for performer, numbers in self.snapshot.staff_of_unit(unit).items():
            if practitioner_role_id(unit, performer) == identifier:
                return _role(unit, performer, numbers)
        return None

    def time_type_of(self, known: KnownSchedule) -> TimeType:
        """Return the time type of a schedule, which its unit may no longer list."""
        offering = self.snapshot.directory.offerings.get(known.offering)
        if offering is not None:
            return offering.time_type
        return TimeType(
            id=known.schedule.time_type_id, name=known.schedule.time_type_name
        )


class DirectoryWorlds:
    """
    Gives the present world.

    Args:
        search: Where the present snapshot is.
        vocabulary: Our canonicals.
    """

    def __init__(self, search: SlotSearch, vocabulary: Vocabulary) -> None:
        self._search = search
        self._vocabulary = vocabulary
        self._last: tuple[int, _Rows] | None = None

    def present(self) -> DirectoryWorld:
        """Return what is known now."""
        snapshot = self._search.snapshot
        # Read once: another thread may replace it at any time.
        last = self._last
        if last is None or last[0] != snapshot.layout:
            last = self._last = (snapshot.layout, _Rows(snapshot))
        return DirectoryWorld(snapshot, last[1], self._search, self._vocabulary)


def _by_name(row: CareUnit | Provider) -> tuple[str, str]:
    return row.name, row.hsa_id


def _role(unit: HsaId, performer: HsaId, schedules: Sequence[int]) -> Role:
    return Role(
        id=practitioner_role_id(unit, performer),
        unit=unit,
        performer=performer,
        schedules=schedules,
    )


def _member(snapshot: Snapshot, hsa_id: HsaId) -> StaffMember | None:
    known = snapshot.first_of(hsa_id)
    if known is None:
        return None
    return StaffMember(
        hsa_id=hsa_id,
        performer=snapshot.directory.performer(hsa_id, known.source),
        display=known.schedule.performer_name,
        source=known.source,
    )
