"""
Dates in searches (FHIR R4, 3.1.1.4.7): their prefixes, and what fits them.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from marshmallow import ValidationError

from fhir_gateway.fhir.search_parameters import Parameter, alternatives
from fhir_gateway.model.timekeeping import period_from_search_text

__all__ = [
    "ANY_INSTANT",
    "ComparedPeriod",
    "DateBounds",
    "DateParameter",
    "PeriodParameter",
]

_PREFIXES: Final = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb")
_PREFIX: Final = re.compile(r"([a-z]{2})(?=[0-9])")


@dataclass(frozen=True, slots=True)
class DateBounds:
    """The instants that fit: from `start` (included) until `before`; None is open."""

    start: datetime | None = None
    before: datetime | None = None

    def has(self, instant: datetime) -> bool:
        """Return whether an instant fits."""
        return (self.start is None or instant >= self.start) and (
            self.before is None or instant < self.before
        )


ANY_INSTANT: Final = DateBounds()


@dataclass(frozen=True, slots=True)
class ComparedPeriod:
    """A date in a search: its prefix, and the half-open period that it stands for."""

    prefix: str
    start: datetime
    end: datetime

    def fits(self, start: datetime, end: datetime) -> bool:
        """Return whether the period of a resource fits (FHIR R4, 3.1.1.4.7)."""
        is_within = self.start <= start and end <= self.end
        fits: bool = {
            "eq": is_within,
            "ne": not is_within,
            "gt": end > self.end,
            "lt": start < self.start,
            "ge": is_within or end > self.end,
            "le": is_within or start < self.start,
            "sa": start >= self.end,
            "eb": end <= self.start,
        }[self.prefix]
        return fits


class DateParameter(Parameter[DateBounds]):
    """
    A date parameter on an instant: the bounds that all of its values allow.

    It refuses `ne` and `ap`, which allow no single period.
    """

    type = "date"

    def read(self, texts: list[str]) -> DateBounds:
        """Return the bounds that all values allow."""
        start: datetime | None = None
        before: datetime | None = None
        for text in texts:
            bounds = _bounds(text)
            if bounds.start is not None:
                start = max(start, bounds.start) if start else bounds.start
            if bounds.before is not None:
                before = min(before, bounds.before) if before else bounds.before
        return DateBounds(start, before)


class PeriodParameter(Parameter[tuple[tuple[ComparedPeriod, ...], ...]]):
    """A date parameter on periods, as days; it refuses `ap`, which R4 leaves open."""

    type = "date"

    def read(self, texts: list[str]) -> tuple[tuple[ComparedPeriod, ...], ...]:
        """Return the dates: of each group one has to fit."""
        return tuple(tuple(map(self._compared, alternatives(text))) for text in texts)

    def _compared(self, text: str) -> ComparedPeriod:
        compared = _compared(text)
        if compared.prefix not in _PREFIXES:
            raise ValidationError(
                f"expected one of the prefixes {', '.join(_PREFIXES)}, or none"
            )
        return compared


def _compared(text: str) -> ComparedPeriod:
    """Return a date with its prefix, which may be an unknown one."""
    match = _PREFIX.match(text)
    prefix = match[1] if match else "eq"
    try:
        # An unescaped + of a client becomes a blank; no date has one.
        start, end = period_from_search_text(
            text.removeprefix(match[1] if match else "").replace(" ", "+")
        )
    except ValueError as error:
        raise ValidationError(f"is {error}") from error
    return ComparedPeriod(prefix, start, end)


def _bounds(text: str) -> DateBounds:
    compared = _compared(text)
    start, end = compared.start, compared.end
    bounds = {
        "eq": DateBounds(start, end),
        "ge": DateBounds(start=start),
        "gt": DateBounds(start=end),
        "sa": DateBounds(start=end),
        "lt": DateBounds(before=start),
        "eb": DateBounds(before=start),
        "le": DateBounds(before=end),
    }.get(compared.prefix)
    if bounds is None:
        raise ValidationError(
            "expected one of the prefixes eq, ge, gt, le, lt, sa, eb, or none"
        )
    return bounds
