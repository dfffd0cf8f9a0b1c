"""
Schedules by number: the rows of free times refer to them.

There are tens of thousands, so the table has columns. It stores an actor, or the name
of a time type, once for all schedules that have it in common. It makes a schedule or
its token on request.
"""

from array import array
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from fhir_gateway.model.ids import CareTypeId, HsaId, PerformerId, ResourceId
from fhir_gateway.model.timeslot import Schedule, schedule_suffix, time_type_of_schedule
from fhir_gateway.services.search.offering_numbers import OfferingNumbers
from fhir_gateway.services.search.slot_columns import schedule_rank

__all__ = ["ScheduleTable"]

_NONE: Final = -1
# For fewer time types than a tenth of all schedules the code follows their chains; for
# more it compares whole columns.
_FEW: Final = 0.1


class _Actor(NamedTuple):
    """The performer or resource of a schedule, as its source names it."""

    performer: PerformerId | None
    performer_name: str | None
    resource_id: ResourceId | None
    resource_name: str | None
    care_type_id: CareTypeId | None
    care_type_name: str | None


class ScheduleTable:
    """
    The schedules that a process has seen; it only grows, so a number never changes.

    One thread adds; any may read.

    Args:
        numbers: The numbers of the time types that schedules are of.

    Attributes:
        changes: How often the names of a known schedule have changed.
    """

    def __init__(self, numbers: OfferingNumbers) -> None:
        self.changes = 0
        self._numbers = numbers
        self._size = 0
        self._actors: list[_Actor] = []
        # The last part of the token of a schedule with that actor.
        self._suffixes: list[str] = []
        self._actor_numbers: dict[_Actor, int] = {}
        self._names: list[str] = []
        self._name_numbers: dict[str, int] = {}
        self._by_performer: dict[HsaId, array[int]] = {}
        self._by_unit: dict[HsaId, array[int]] = {}
        self._offering = np.empty(0, dtype=np.int32)
        self._rank = np.empty(0, dtype=np.uint32)
        self._actor_of = np.empty(0, dtype=np.int32)
        self._name_of = np.empty(0, dtype=np.int32)
        # The schedules of a time type are a chain: its last one, and the one before.
        self._last_of = np.empty(0, dtype=np.int32)
        self._before = np.empty(0, dtype=np.int32)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, number: int) -> Schedule:
        offering = int(self._offering[number])
        actor = self._actors[self._actor_of[number]]
        return Schedule(
            unit=self._numbers.unit(offering),
            time_type_id=self._numbers.time_type_id(offering),
            time_type_name=self._names[self._name_of[number]],
            performer=actor.performer,
            performer_name=actor.performer_name,
            resource_id=actor.resource_id,
            resource_name=actor.resource_name,
            care_type_id=actor.care_type_id,
            care_type_name=actor.care_type_name,
        )

    def unit(self, number: int) -> HsaId:
        """Return the unit that a schedule is of."""
        return self._numbers.unit(int(self._offering[number]))

    def unit_of_offering(self, offering: int) -> HsaId:
        """Return the unit of a numbered time type."""
        return self._numbers.unit(offering)

    def performer(self, number: int) -> HsaId | None:
        """Return the member of staff of a schedule, if it has one."""
        actor: _Actor = self._actors[self._actor_of[number]]
        return None if actor.performer is None else actor.performer.hsa_id

    def token(self, number: int) -> str:
        """Return the token of a schedule."""
        return self.tokens([number])[0]

    def tokens(self, numbers: Sequence[int]) -> list[str]:
        """Return the tokens of schedules."""
        offering_token, suffixes = self._numbers.token, self._suffixes
        rows = np.array(numbers, dtype=np.intp)
        return [
            f"{offering_token(offering)}.{suffixes[actor]}"
            for offering, actor in zip(
                self._offering[rows].tolist(),
                self._actor_of[rows].tolist(),
                strict=True,
            )
        ]

    def actors(self, numbers: Sequence[int]) -> list[int]:
        """Return the numbers of the actors of schedules, one for each."""
        actors: list[int] = self._actor_of[np.array(numbers, dtype=np.intp)].tolist()
        return actors

    def number(self, token: str) -> int | None:
        """Return the number of a schedule's token, if it has one."""
        offering = self._numbers.known(time_type_of_schedule(token))
        if offering is None:
            return None
        return self._number(offering, schedule_suffix(token))

    def of_offering(self, offering: int) -> list[int]:
        """Return the numbers of a numbered time type's schedules."""
        numbers = []
        number = _NONE
        if offering < len(self._last_of):
            number = int(self._last_of[offering])
        while number != _NONE:
            numbers.append(number)
            number = int(self._before[number])
        return numbers[::-1]

    def of_time_type(self, token: str) -> list[int]:
        """Return the numbers of the schedules of a unit's time type, by its token."""
        offering = self._numbers.known(token)
        return [] if offering is None else self.of_offering(offering)

    def of_performer(self, performer: HsaId) -> Sequence[int]:
        """Return the numbers of the schedules of a member of staff."""
        return self._by_performer.get(performer, ())

    def staff(self) -> Iterator[tuple[HsaId, str | None]]:
        """Yield each member of staff who has a schedule, with each name on them."""
        # A copy: another thread may add.
        for actor in tuple(self._actors):
            hsa_id = None if actor.performer is None else actor.performer.hsa_id
            if hsa_id is not None:
                yield hsa_id, actor.performer_name

    def of_unit(self, unit: HsaId) -> Sequence[int]:
        """Return the numbers of a unit's schedules."""
        return self._by_unit.get(unit, ())

    @property
    def offering(self) -> npt.NDArray[np.int32]:
        """Return the number of each schedule's time type."""
        return self._offering[: self._size]

    def mask_of(self, offerings: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        """Return which schedules are of one of the numbered time types."""
        offering = self.offering
        if len(offerings) < _FEW * len(offering):
            return self._mask_of_few(offerings, len(offering))
        fits = np.zeros(int(offering.max(initial=-1)) + 1, dtype=np.bool_)
        fits[offerings[offerings < len(fits)]] = True
        return fits[offering]

    def _mask_of_few(
        self, offerings: npt.NDArray[np.int32], size: int
    ) -> npt.NDArray[np.bool_]:
        """Return the mask from all chains at once, link by link."""
        mask = np.zeros(size, dtype=np.bool_)
        last_of = self._last_of
        numbers = last_of[offerings[offerings < len(last_of)]]
        while len(numbers := numbers[numbers != _NONE]):
            # Another thread may have added schedules since the size was taken.
            mask[numbers[numbers < size]] = True
            numbers = self._before[numbers]
        return mask

    def ranks(self, numbers: npt.NDArray[np.int32]) -> npt.NDArray[np.uint32]:
        """Return the ranks of schedules among times with the same start."""
        return self._rank[numbers]

    def rank(self, number: int) -> int:
        """Return the rank of a schedule."""
        return int(self._rank[number])

    def add(
        self, schedules: Sequence[Schedule], offering: int
    ) -> npt.NDArray[np.int32]:
        """
        Return the numbers of schedules; give numbers to those that had none.

        It updates the names of known schedules.

        Args:
            schedules: All of one time type of a unit.
            offering: Its number.
        """
        numbers = []
        for schedule in schedules:
            actor = self._number_of_actor(schedule)
            name = self._name_numbers.setdefault(
                schedule.time_type_name, len(self._names)
            )
            if name == len(self._names):
                self._names.append(schedule.time_type_name)
            number = self._number(offering, self._suffixes[actor])
            if number is None:
                number = self._append(offering, actor, name)
            elif self._actor_of[number] != actor or self._name_of[number] != name:
                self._actor_of[number] = actor
                self._name_of[number] = name
                self.changes += 1
            numbers.append(number)
        return np.array(numbers, dtype=np.int32)

    def _number(self, offering: int, suffix: str) -> int | None:
        for number in self.of_offering(offering):
            if self._suffixes[self._actor_of[number]] == suffix:
                return number
        return None

    def _number_of_actor(self, schedule: Schedule) -> int:
        actor = _Actor(
            schedule.performer,
            schedule.performer_name,
            schedule.resource_id,
            schedule.resource_name,
            schedule.care_type_id,
            schedule.care_type_name,
        )
        number = self._actor_numbers.get(actor)
        if number is None:
            number = len(self._actors)
            self._suffixes.append(schedule_suffix(schedule.token))
            self._actors.append(actor)
            self._actor_numbers[actor] = number
        return number

    def _append(self, offering: int, actor: int, name: int) -> int:
        number = self._size
        self._grow(number + 1)
        self._offering[number] = offering
        self._rank[number] = schedule_rank(
            f"{self._numbers.token(offering)}.{self._suffixes[actor]}"
        )
        self._actor_of[number] = actor
        self._name_of[number] = name
        missing = offering + 1 - len(self._last_of)
        if missing > 0:
            # More than needed: at the start each block adds one.
            room = max(1024, missing, len(self._last_of) // 2)
            self._last_of = np.append(
                self._last_of, np.full(room, _NONE, dtype=np.int32)
            )
        self._before[number] = self._last_of[offering]
        self._size = number + 1
        self._last_of[offering] = number
        unit = self._numbers.unit(offering)
        self._by_unit.setdefault(unit, array("i")).append(number)
        performer = self.performer(number)
        if performer is not None:
            self._by_performer.setdefault(performer, array("i")).append(number)
        return number

    def _grow(self, size: int) -> None:
        room = len(self._rank)
        if size <= room:
            return
        room = max(1024, room + room // 2)
        self._offering = np.resize(self._offering, room)
        self._rank = np.resize(self._rank, room)
        self._actor_of = np.resize(self._actor_of, room)
        self._name_of = np.resize(self._name_of, room)
        self._before = np.resize(self._before, room)
