"""
A report as one page of HTML: everything is in the file, and nothing is fetched.
"""

from collections.abc import Iterator
from html import escape
from typing import Final

from fhir_gateway.model.timekeeping import Clock, now, readable_time_text
from fhir_gateway.report.svg_chart import Series, bar_chart
from fhir_gateway.report.tables import ReportTable, report_tables
from fhir_gateway.services.statistics.disclosure import LEAST_SHOWN
from fhir_gateway.services.statistics.statistics import BOOKINGS
from fhir_gateway.services.statistics.summary import Sum, Summary

__all__ = ["report_page"]

# The kinds that stand in charts; the tables have all.
_CHARTED: Final = 3
_DAYS: Final = "days-ahead"
# Colours with a contrast of 3 to 1 and more to their ground, for all kinds of sight.
_STYLE: Final = """
:root{color-scheme:light dark;--ink:#1a1a1a;--soft:#595959;--ground:#fff;--line:#d0d0d0;
--s0:#0b63a5;--s1:#b35900;--s2:#5c6b00}
@media(prefers-color-scheme:dark){:root{--ink:#eee;--soft:#b5b5b5;--ground:#181818;
--line:#484848;--s0:#5aa9e6;--s1:#f0a04b;--s2:#b9c94a}}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--ground);
max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem;margin-bottom:0}h2{font-size:1.2rem;margin-top:2.5rem}
p{max-width:45rem}.soft{color:var(--soft)}
figure{margin:1rem 0}svg{width:100%;height:auto;display:block}
.grid{stroke:var(--line)}.tick,.label,.hidden{fill:var(--soft);font-size:12px}
.s0{fill:var(--s0)}.s1{fill:var(--s1)}.s2{fill:var(--s2)}
.key{display:flex;flex-wrap:wrap;gap:1rem;list-style:none;padding:0;margin:.5rem 0}
.key svg{display:inline-block;width:.9rem;height:.9rem;margin-right:.4rem}
.wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .8rem .3rem 0;border-bottom:1px solid var(--line);text-align:right;
vertical-align:top}
th.text,td.text{text-align:left;font-weight:400}thead th{font-weight:600}
thead th.text{font-weight:600}
@media print{body{margin:0;max-width:none}figure,tr{break-inside:avoid}}
""".replace("\n", "")


def report_page(summary: Summary, *, clock: Clock = now) -> str:
    """Return the page of a summary."""
    subject = summary.subject
    title = f"{subject.title}, {summary.period}"
    about = "".join(f"<p>{escape(each)}</p>" for each in subject.about)
    body = "".join(_sections(summary))
    if summary.is_empty:
        body = "<p><strong>Nothing was counted in this period.</strong></p>" + body
    made = readable_time_text(clock())
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>"
        f'<h1>{escape(subject.title)}</h1><p class="soft">{escape(summary.period)},'
        f" made {made}</p>{about}"
        f"<p>Counts under {LEAST_SHOWN} are hidden, and so are others that would give"
        " them away. Hidden counts are in no sum: ≥ marks a sum that lacks one.</p>"
        f"{body}</main></body></html>\n"
    )


def _sections(summary: Summary) -> Iterator[str]:
    for table in report_tables(summary):
        chart = ""
        if table.title == "By month":
            chart = _of_months(summary)
        elif table.title == "By source":
            chart = _of_sources(summary)
        elif summary.subject is BOOKINGS and table.title == "By days to the visit":
            chart = _of_days(summary)
        yield f"<section><h2>{escape(table.title)}</h2>{chart}{_table(table)}</section>"


def _of_months(summary: Summary) -> str:
    kinds = summary.subject.kinds[:_CHARTED]
    return _figure(
        "months",
        f"{summary.subject.title} by month",
        [str(month.month) for month in summary.months],
        [
            _series(
                kind.title,
                [summary.of_month(month, kind.code) for month in summary.months],
            )
            for kind in kinds
        ],
    )


def _of_sources(summary: Summary) -> str:
    kinds = summary.subject.kinds[:_CHARTED]
    sources = summary.sources()
    return _figure(
        "sources",
        f"{summary.subject.title} by source",
        sources,
        [
            _series(
                kind.title, [summary.of_source(kind.code, source) for source in sources]
            )
            for kind in kinds
        ],
    )


def _of_days(summary: Summary) -> str:
    kind = summary.subject.kinds[0]
    sums = {key: Sum(0) for key in summary.names[_DAYS]}
    for source, key in summary.keys(_DAYS):
        known = summary.of_key(kind.code, source, _DAYS, key)
        sums[key] = Sum(
            sums[key].value + known.value, sums[key].is_least or known.is_least
        )
    return _figure(
        "days",
        "Bookings by the days to the visit",
        [summary.name(_DAYS, key) for key in sums],
        [_series(kind.title, list(sums.values()))],
    )


def _series(title: str, sums: list[Sum]) -> Series:
    return Series(
        title=title,
        values=tuple(each.value for each in sums),
        least=frozenset(place for place, each in enumerate(sums) if each.is_least),
    )


def _figure(name: str, title: str, categories: list[str], series: list[Series]) -> str:
    if not any(any(each.values) for each in series):
        return ""
    about = (
        f"Bars for {', '.join(each.title for each in series)}; the table below has the"
        " numbers. A question mark stands for a hidden number."
    )
    chart = bar_chart(name, title, about, categories, series)
    key = "".join(
        f'<li><svg viewBox="0 0 10 10" aria-hidden="true"><rect class="s{number}"'
        f' width="10" height="10"/></svg>{escape(each.title)}</li>'
        for number, each in enumerate(series)
    )
    return (
        f'<figure>{chart}<figcaption><ul class="key">{key}</ul></figcaption></figure>'
    )


def _table(table: ReportTable) -> str:
    head = "".join(
        f'<th scope="col"{_class(number, table)}>{escape(heading)}</th>'
        for number, heading in enumerate(table.headings)
    )
    rows = "".join(
        "<tr>"
        + "".join(
            f'<th scope="row" class="text">{escape(cell)}</th>'
            if number < table.labels
            else f"<td>{escape(cell)}</td>"
            for number, cell in enumerate(row)
        )
        + "</tr>"
        for row in table.rows
    )
    if not rows:
        return f'<p class="soft">{escape(table.about)} Nothing is shown.</p>'
    return (
        f'<p class="soft">{escape(table.about)}</p><div class="wide" tabindex="0"'
        f' role="region" aria-label="{escape(table.title)}"><table><thead><tr>{head}'
        f"</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _class(number: int, table: ReportTable) -> str:
    return ' class="text"' if number < table.labels else ""
