"""
Schedules by number: what rows of free times point at.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.timeslot import Schedule
from fhir_gateway.services.slot_columns import schedule_rank

__all__ = ["ScheduleTable"]


class ScheduleTable:
    """
    The schedules that a process has seen; it only grows, so a number is for ever.

    One thread adds; any may read.
    """

    def __init__(self) -> None:
        self._schedules: list[Schedule] = []
        self._tokens: list[str] = []
        self._numbers: dict[str, int] = {}
        self._by_performer: dict[HsaId, list[int]] = {}
        self._by_unit: dict[HsaId, list[int]] = {}
        self._offering = np.empty(0, dtype=np.int32)
        self._rank = np.empty(0, dtype=np.uint32)

    def __len__(self) -> int:
        return len(self._schedules)

    def __getitem__(self, number: int) -> Schedule:
        return self._schedules[number]

    def token(self, number: int) -> str:
        """Return the token of a schedule."""
        return self._tokens[number]

    def number(self, token: str) -> int | None:
        """Return the number of a schedule's token, if it has one."""
        return self._numbers.get(token)

    def of_performer(self, performer: HsaId) -> Sequence[int]:
        """Return the numbers of somebody's schedules."""
        return self._by_performer.get(performer, ())

    def of_unit(self, unit: HsaId) -> Sequence[int]:
        """Return the numbers of a unit's schedules."""
        return self._by_unit.get(unit, ())

    @property
    def offering(self) -> npt.NDArray[np.int32]:
        """Return the number of each schedule's time type."""
        return self._offering[: len(self._schedules)]

    def mask_of(self, offerings: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        """Return which schedules are of one of the numbered time types."""
        offering = self.offering
        fits = np.zeros(int(offering.max(initial=-1)) + 1, dtype=np.bool_)
        fits[offerings[offerings < len(fits)]] = True
        return fits[offering]

    def ranks(self, numbers: npt.NDArray[np.int32]) -> npt.NDArray[np.uint32]:
        """Return where schedules stand among times that begin at once."""
        return self._rank[numbers]

    def add(
        self, schedules: Sequence[Schedule], offering: int
    ) -> npt.NDArray[np.int32]:
        """
        Return the numbers of schedules, given now to those that had none.

        What is shown of a known schedule (its names) is brought up to date.
        """
        numbers = []
        for schedule in schedules:
            token = schedule.token
            number = self._numbers.get(token)
            if number is None:
                number = len(self._schedules)
                self._grow(number + 1)
                self._offering[number] = offering
                self._rank[number] = schedule_rank(token)
                self._schedules.append(schedule)
                self._tokens.append(token)
                self._by_unit.setdefault(schedule.unit, []).append(number)
                self._numbers[token] = number
                if schedule.performer is not None:
                    self._by_performer.setdefault(schedule.performer, []).append(number)
            elif self._schedules[number] != schedule:
                self._schedules[number] = schedule
            numbers.append(number)
        return np.array(numbers, dtype=np.int32)

    def _grow(self, size: int) -> None:
        if size > len(self._rank):
            room = max(1024, 2 * len(self._rank))
            self._offering = np.resize(self._offering, room)
            self._rank = np.resize(self._rank, room)
