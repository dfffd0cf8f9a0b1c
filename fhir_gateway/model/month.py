"""
Calendar months in Sweden, the periods of statistics.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, Self

from fhir_gateway.model.timekeeping import at_start_of_day, civil_date

__all__ = ["Month"]

_TEXT: Final = re.compile(r"(2[0-9]{3})-(0[1-9]|1[0-2])", re.ASCII)
_MONTHS: Final = 12


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A month of a year, by the Swedish calendar."""

    year: int
    number: int

    @classmethod
    def of(cls, instant: datetime) -> Self:
        """Return the month of an instant."""
        day = civil_date(instant)
        return cls(day.year, day.month)

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Return the month that a text like 2026-11 names.

        Raises:
            ValueError: It names none between 2000 and 2999.
        """
        match = _TEXT.fullmatch(text)
        if match is None:
            raise ValueError("not a month: write it like 2026-11")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.year}-{self.number:02}"

    @property
    def start(self) -> datetime:
        """Return when it begins."""
        return at_start_of_day(date(self.year, self.number, 1))

    @property
    def end(self) -> datetime:
        """Return when the next one begins."""
        return self.plus(1).start

    @property
    def last_day(self) -> date:
        """Return its last day."""
        return date.fromordinal(
            date(self.plus(1).year, self.plus(1).number, 1).toordinal() - 1
        )

    def plus(self, months: int) -> Self:
        """Return the month some months later, or earlier for a negative number."""
        year, index = divmod(self.year * _MONTHS + self.number - 1 + months, _MONTHS)
        return type(self)(year, index + 1)

    def until(self, last: Self) -> Iterator[Self]:
        """Yield the months from this one to the last one, both included."""
        month = self
        while month <= last:
            yield month
            month = month.plus(1)
