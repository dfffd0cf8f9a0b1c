"""
The tables of a report, for a terminal and for a page; and the same as JSON.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich.markup import escape
from rich.table import Table

from fhir_gateway.services.statistics.statistics import COVERAGE
from fhir_gateway.services.statistics.summary import Division, Kind, Sum, Summary

__all__ = ["ReportTable", "report_json", "report_tables", "rich_table"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportTable:
    """
    A table of texts.

    Attributes:
        about: What it shows, in one sentence.
        labels: How many of the columns are labels; the others have numbers.
    """

    title: str
    about: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    labels: int


def report_tables(summary: Summary) -> Iterator[ReportTable]:
    """Yield the tables of a summary: by month, by source, by each division."""
    kinds = summary.subject.kinds
    shares = ("aggregated way found", "direct way found")
    is_coverage = summary.subject is COVERAGE
    extra = shares if is_coverage else ()
    yield ReportTable(
        title="By month",
        about=f"{summary.subject.title}, all sources together.",
        headings=("month", *(kind.title for kind in kinds), *extra),
        rows=tuple(
            _row(
                (str(month.month),),
                [summary.of_month(month, kind.code) for kind in kinds],
                is_coverage=is_coverage,
            )
            for month in summary.months
        ),
        labels=1,
    )
    yield ReportTable(
        title="By source",
        about=f"{summary.subject.title} of each source, {summary.period}.",
        headings=("source", *(kind.title for kind in kinds), *extra),
        rows=tuple(
            _row(
                (source,),
                [summary.of_source(kind.code, source) for kind in kinds],
                is_coverage=is_coverage,
            )
            for source in summary.sources()
        ),
        labels=1,
    )
    for division in summary.subject.divisions:
        yield _of_division(summary, division)


def report_json(summary: Summary) -> dict[str, Any]:
    """Return a summary as JSON: month by month, with null for what is hidden."""
    subject = summary.subject
    return {
        "report": subject.name,
        "title": subject.title,
        "about": list(subject.about),
        "from": str(summary.months[0].month),
        "to": str(summary.months[-1].month),
        "names": {
            division.code: {
                key: summary.name(division.code, key)
                for _, key in summary.keys(division.code)
            }
            for division in subject.divisions
        },
        "months": [
            {
                "month": str(month.month),
                "counts": {
                    kind: {
                        "total": shown.total,
                        "is_at_least": shown.is_least,
                        "sources": {
                            source: {
                                "total": known.total,
                                **{
                                    division.code: dict(known.breakdowns[division.code])
                                    for division in subject.divisions
                                    if division.code in known.breakdowns
                                },
                            }
                            for source, known in sorted(shown.sources.items())
                        },
                    }
                    for kind, shown in month.shown.items()
                },
            }
            for month in summary.months
        ],
    }


def rich_table(table: ReportTable) -> Table:
    """Return a table for a terminal."""
    drawn = Table(title=table.title, caption=table.about, caption_justify="left")
    for number, heading in enumerate(table.headings):
        is_label = number < table.labels
        drawn.add_column(
            heading, justify="left" if is_label else "right", overflow="fold"
        )
    for row in table.rows:
        drawn.add_row(*(escape(cell) for cell in row))
    return drawn


def _of_division(summary: Summary, division: Division) -> ReportTable:
    code = division.code
    kinds = _kinds_of(summary, division)
    return ReportTable(
        title=f"By {division.title}",
        about=f"{division.about} {summary.period}.",
        headings=("source", division.title, *(kind.title for kind in kinds)),
        rows=tuple(
            (
                source,
                summary.name(code, key),
                *(str(summary.of_key(kind.code, source, code, key)) for kind in kinds),
            )
            for source, key in _in_order(summary, division)
        ),
        labels=2,
    )


def _kinds_of(summary: Summary, division: Division) -> tuple[Kind, ...]:
    kinds = summary.subject.kinds
    return tuple(
        kind for kind in kinds if not division.kinds or kind.code in division.kinds
    )


def _in_order(summary: Summary, division: Division) -> list[tuple[str, str]]:
    """Return the keys of a division in the order of its names, if it has any."""
    order = {
        key: place for place, key in enumerate(summary.names.get(division.code, ()))
    }
    return sorted(
        summary.keys(division.code),
        key=lambda each: (each[0], order.get(each[1], len(order)), each[1]),
    )


def _row(
    labels: tuple[str, ...], sums: list[Sum], *, is_coverage: bool
) -> tuple[str, ...]:
    shares: tuple[str, ...] = ()
    if is_coverage:
        both, only_aggregated, only_direct = sums
        # Of what the direct way found, how much the aggregated way found too.
        shares = (_share(both, only_direct), _share(both, only_aggregated))
    return (*labels, *map(str, sums), *shares)


def _share(both: Sum, only_other: Sum) -> str:
    """Return the part of what the other way found that was found by both."""
    if not (both.is_known and only_other.is_known):
        return "hidden"
    whole = both.value + only_other.value
    return f"{both.value / whole:.0%}" if whole else "-"
