"""
Summaries: what may be shown of the counts of some months, and sums of that.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from fhir_gateway.model.month import Month
from fhir_gateway.services.statistics.disclosure import Shown, disclose

__all__ = [
    "Division",
    "Kind",
    "MonthSummary",
    "Subject",
    "Sum",
    "Summary",
    "month_summary",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """
    A kind of count.

    Attributes:
        code: Its code.
        title: What it counts, in a few words.
    """

    code: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """
    A way to break counts down.

    Attributes:
        code: Its code.
        title: The heading of its keys.
        about: What its keys are, in one sentence.
        kinds: The codes of the kinds that it breaks down; all where it names none.
    """

    code: str
    title: str
    about: str
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """
    What statistics are about.

    Attributes:
        name: Its name in commands and ids.
        title: Its title.
        about: What is counted, and what is not.
        kinds: The kinds of counts.
        divisions: How they are broken down.
    """

    name: str
    title: str
    about: tuple[str, ...]
    kinds: tuple[Kind, ...]
    divisions: tuple[Division, ...]


@dataclass(frozen=True, slots=True)
class Sum:
    """
    A sum of counts that are shown.

    Attributes:
        value: The sum.
        is_least: A hidden count belongs to it too, and is not in it.
    """

    value: int
    is_least: bool = False

    def __str__(self) -> str:
        if not self.is_least:
            return str(self.value)
        return f"≥ {self.value}" if self.value else "hidden"

    @property
    def is_known(self) -> bool:
        """Return whether it is exact."""
        return not self.is_least

    def plus(self, count: int | None) -> "Sum":
        """Return the sum with a count more; None is a hidden one."""
        if count is None:
            return Sum(self.value, is_least=True)
        return Sum(self.value + count, self.is_least)


_NOTHING: Final = Sum(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthSummary:
    """What may be shown of one month: by the code of the kind."""

    month: Month
    shown: Mapping[str, Shown]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """
    What may be shown of some months.

    Each sum is of counts that are shown month by month, so that no choice of months
    gives a hidden count away.

    Attributes:
        subject: What it is about.
        months: From first to last.
        names: By division, what its keys are called; a key without a name is its own.
    """

    subject: Subject
    months: tuple[MonthSummary, ...]
    names: Mapping[str, Mapping[str, str]]

    @property
    def period(self) -> str:
        """Return the months as text."""
        first, last = str(self.months[0].month), str(self.months[-1].month)
        return first if first == last else f"{first} to {last}"

    @property
    def is_empty(self) -> bool:
        """Return whether nothing was counted."""
        return not any(
            shown.sources for month in self.months for shown in month.shown.values()
        )

    def of_month(self, month: MonthSummary, kind: str) -> Sum:
        """Return the sum of all sources in one month."""
        shown = month.shown[kind]
        return Sum(shown.total, shown.is_least)

    def total(self, kind: str) -> Sum:
        """Return the sum of all months and sources."""
        sums = [self.of_month(month, kind) for month in self.months]
        return Sum(
            sum(each.value for each in sums), any(each.is_least for each in sums)
        )

    def of_source(self, kind: str, source: str) -> Sum:
        """Return the sum of a source."""
        result = _NOTHING
        for shown in self._shown(kind):
            known = shown.sources.get(source)
            if known is not None:
                result = result.plus(known.total)
        return result

    def of_key(self, kind: str, source: str, division: str, key: str) -> Sum:
        """Return the sum of one key of a division."""
        result = _NOTHING
        for shown in self._shown(kind):
            known = shown.sources.get(source)
            if known is not None:
                result = result.plus(known.of(division, key))
        return result

    def sources(self) -> list[str]:
        """Return the names of the sources with counts, in order."""
        return sorted(
            {
                source
                for month in self.months
                for shown in month.shown.values()
                for source in shown.sources
            }
        )

    def keys(self, division: str) -> Iterator[tuple[str, str]]:
        """
        Yield the sources with their keys of a division, in order.

        A key is there if one of its counts is shown, or hidden beside shown ones.
        """
        found = {
            (source, key)
            for month in self.months
            for shown in month.shown.values()
            for source, known in shown.sources.items()
            for key in known.breakdowns.get(division, ())
        }
        yield from sorted(found)

    def name(self, division: str, key: str) -> str:
        """Return what a key is called."""
        return self.names.get(division, {}).get(key, key)

    def _shown(self, kind: str) -> Iterator[Shown]:
        return (month.shown[kind] for month in self.months)


def month_summary(
    month: Month,
    kinds: Iterable[Kind],
    counts: Iterable[tuple[str, str, Mapping[str, str], int]],
) -> MonthSummary:
    """
    Return what may be shown of a month.

    Args:
        month: The month.
        kinds: The kinds of counts.
        counts: Each with its kind, its source, its key in each division, and how many.
    """
    sums: dict[str, dict[str, dict[str, dict[str, int]]]] = {
        kind.code: {} for kind in kinds
    }
    for kind, source, keys, count in counts:
        divisions = sums[kind].setdefault(source, {})
        # Without a division, the total alone is known.
        for division, key in (keys or {"": ""}).items():
            of_key = divisions.setdefault(division, {})
            of_key[key] = of_key.get(key, 0) + count
    return MonthSummary(
        month=month, shown={kind: disclose(each) for kind, each in sums.items()}
    )
