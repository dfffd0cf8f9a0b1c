"""
The output of `fhir-gateway sources check`: tables for people, or JSON for programs.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from fhir_gateway.services.source.source_check import SourceReport

__all__ = ["report_json", "report_tables"]


def report_json(report: SourceReport) -> dict[str, Any]:
    """Return the report on a source, as JSON."""
    return {
        "source": str(report.source.name),
        "well": report.is_well,
        "units": len(report.units),
        "answered": report.answered,
        "mapped": report.mapped,
        "unmapped": [
            {"unit": str(unit), "code": str(each.id), "name": each.name}
            for unit, each in report.unmapped
        ],
        "idle": [{"unit": str(unit), "code": str(code)} for unit, code in report.idle],
        "without_offer": [str(unit) for unit in report.without_offer],
        "errors": [
            {
                "interaction": each.interaction.name,
                "unit": str(each.unit),
                "time_type": _text_or_none(each.time_type_id),
                "error": each.error,
            }
            for each in report.errors
        ],
        "losses": [
            {
                "interaction": each.interaction.name,
                "unit": str(each.unit),
                "time_type": _text_or_none(each.time_type_id),
                "reason": each.reason,
                "count": each.count,
                "is_elsewhere": each.is_elsewhere,
            }
            for each in report.losses
        ],
        "differences": [
            {
                "interaction": each.interaction.name,
                "what": each.what,
                "count": each.count,
            }
            for each in report.differences
        ],
    }


def report_tables(reports: Sequence[SourceReport]) -> Iterable[Table]:
    """Yield the table of sources, then those of their faults."""
    summary = Table(title="Sources")
    headings = ("source", "units", "answered", "mapped", "unmapped", "idle", "well")
    for heading in headings:
        summary.add_column(heading, justify="left" if heading == "source" else "right")
    for report in reports:
        summary.add_row(
            report.source.name,
            str(len(report.units)),
            str(report.answered),
            str(report.mapped),
            str(len(report.unmapped)),
            str(len(report.idle)),
            "yes" if report.is_well else "no",
            style=None if report.is_well else "red",
        )
    yield summary
    yield from (
        table
        for table in (
            _table(
                "Calls without an answer",
                ("source", "contract", "unit", "time type", "error"),
                (
                    (
                        report.source.name,
                        each.interaction.name,
                        each.unit,
                        each.time_type_id or "",
                        each.error,
                    )
                    for report in reports
                    for each in report.errors
                ),
            ),
            _table(
                "What was left out",
                ("source", "contract", "unit", "time type", "reason", "items"),
                (
                    (
                        report.source.name,
                        each.interaction.name,
                        each.unit,
                        each.time_type_id or "",
                        each.reason,
                        str(each.count),
                    )
                    for report in reports
                    for each in report.losses
                ),
            ),
            _table(
                "Elements that break the contract",
                ("source", "contract", "element", "times"),
                (
                    (
                        report.source.name,
                        each.interaction.name,
                        each.what,
                        str(each.count),
                    )
                    for report in reports
                    for each in report.differences
                ),
            ),
            _table(
                "Units without time types, not asked for days and times",
                ("source", "unit"),
                (
                    (report.source.name, unit)
                    for report in reports
                    for unit in report.without_offer
                ),
            ),
            _table(
                "Time types without a shared meaning",
                ("source", "unit", "code", "name"),
                (
                    (report.source.name, unit, each.id, each.name)
                    for report in reports
                    for unit, each in report.unmapped
                ),
            ),
        )
        if table.row_count
    )


def _table(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(title=title)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        # A region's own texts are not markup.
        table.add_row(*(escape(cell) for cell in row))
    return table


def _text_or_none(value: str | None) -> str | None:
    return None if value is None else str(value)
