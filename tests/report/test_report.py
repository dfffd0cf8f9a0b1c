"""
A report as tables, as JSON, and as a page that needs nothing else.
"""

import re
from datetime import UTC, datetime

import pytest
from lxml import html

from fhir_gateway.model.found_booking import Lack
from fhir_gateway.model.ids import HsaId, SourceName, TimeTypeId
from fhir_gateway.model.month import Month
from fhir_gateway.model.statistics import (
    BookingCount,
    CoverageCount,
    DaysAhead,
    WriteOutcome,
)
from fhir_gateway.model.timeslot import StandardTimeType
from fhir_gateway.report.page import report_page
from fhir_gateway.report.svg_chart import Series, bar_chart
from fhir_gateway.report.tables import report_json, report_tables
from fhir_gateway.services.statistics.statistics import BOOKINGS, COVERAGE, Statistics
from fhir_gateway.services.statistics.summary import Subject, Summary

MONTH = Month(2026, 11)
UNIT = HsaId("SE2321000016-A01")
NORR = SourceName("norr")
EVIL = StandardTimeType(code="1", display="<script>alert('x')</script> & prov")


def summary(subject: Subject, *, is_empty: bool = False) -> Summary:
    """Return a summary of two months with a source."""

    def bookings(month: Month) -> list[BookingCount]:
        return [
            BookingCount(
                month=month,
                source=NORR,
                unit=UNIT,
                time_type_id=TimeTypeId("T"),
                channel="app",
                outcome=outcome,
                days_ahead=days,
                count=count,
            )
            for outcome, days, count in (
                (WriteOutcome.BOOKED, DaysAhead.SAME_DAY, 8),
                (WriteOutcome.BOOKED, DaysAhead.LONGER, 30),
                (WriteOutcome.REFUSED, None, 3),
            )
            if not is_empty
        ]

    def coverage(month: Month) -> list[CoverageCount]:
        return [
            CoverageCount(
                month=month, source=NORR, aggregated=lack, direct=None, count=count
            )
            for lack, count in ((None, 30), (Lack.SILENT, 10))
            if not is_empty
        ]

    return Statistics(bookings, coverage, {(UNIT, TimeTypeId("T")): (EVIL,)}).summary(
        subject, MONTH.until(MONTH.plus(1))
    )


def test_the_tables_of_bookings() -> None:
    """Bookings stand by month, source, unit, time type, channel, and days."""
    tables = {each.title: each.rows for each in report_tables(summary(BOOKINGS))}

    counts = ("76", "0", "0", "hidden", "0", "0")
    assert tables == {
        "By month": (
            ("2026-11", "38", "0", "0", "hidden", "0", "0"),
            ("2026-12", "38", "0", "0", "hidden", "0", "0"),
        ),
        "By source": (("norr", *counts),),
        "By unit": (("norr", UNIT, *counts),),
        "By standard time type": (("norr", EVIL.display, *counts),),
        "By channel": (("norr", "app", *counts),),
        "By days to the visit": (
            ("norr", "less than 1", "16"),
            ("norr", "61 or more", "60"),
        ),
    }


def test_the_tables_of_coverage() -> None:
    """Coverage says how much of the one way's finds the other way had too, and why."""
    tables = {each.title: each.rows for each in report_tables(summary(COVERAGE))}

    assert tables == {
        "By month": (
            ("2026-11", "30", "0", "10", "75%", "100%"),
            ("2026-12", "30", "0", "10", "75%", "100%"),
        ),
        "By source": (("norr", "60", "0", "20", "75%", "100%"),),
        "By reason": (("norr", "the aggregating service did not answer", "0", "20"),),
    }


def test_json_has_null_for_what_is_hidden() -> None:
    """A program reads month by month what may be shown."""
    result = report_json(summary(BOOKINGS))

    assert (result["from"], result["to"]) == ("2026-11", "2026-12")
    assert result["months"][0]["counts"]["refused"] == {
        "total": 0,
        "is_at_least": True,
        "sources": {"norr": {"total": None}},
    }
    assert result["months"][0]["counts"]["booked"] == {
        "total": 38,
        "is_at_least": False,
        "sources": {
            "norr": {
                "total": 38,
                "unit": {UNIT: 38},
                "time-type": {"1": 38},
                "channel": {"app": 38},
                "days-ahead": {"0": 8, "61-": 30},
            }
        },
    }


@pytest.mark.parametrize("subject", [BOOKINGS, COVERAGE])
def test_a_page_needs_nothing_else(subject: Subject) -> None:
    """A page fetches nothing, runs nothing, and escapes each name."""
    page = report_page(summary(subject))

    assert re.findall(r"<script|<link|<img|https?://|@import|url\(", page) == []
    assert html.document_fromstring(page).get("lang") == "en"


def test_each_chart_can_be_read_without_seeing_it() -> None:
    """A chart has a title, a description, and a table of its numbers below it."""
    page = html.document_fromstring(
        report_page(summary(BOOKINGS), clock=lambda: datetime(2026, 11, 28, tzinfo=UTC))
    )
    charts = page.xpath("//svg[@role='img']")

    assert len(charts) == 3
    for chart in charts:
        names = chart.get("aria-labelledby").split()
        assert [chart.xpath(f"string(*[@id='{name}'])") != "" for name in names] == [
            True,
            True,
        ]
        (section,) = chart.xpath("ancestor::section")
        assert section.xpath(".//table//th[@scope='row']")


def test_an_empty_report_says_so() -> None:
    """A page of nothing has no charts, and says that nothing was counted."""
    page = report_page(summary(BOOKINGS, is_empty=True))

    assert "Nothing was counted in this period." in page
    assert 'role="img"' not in page


@pytest.mark.parametrize(
    ("highest", "ticks"),
    [
        (0, [0, 1, 2, 3, 4, 5]),
        (7, [0, 2, 4, 6, 8]),
        (38, [0, 10, 20, 30, 40]),
        (1234, [0, 500, 1000, 1500]),
    ],
)
def test_the_axis_has_round_numbers(highest: int, ticks: list[int]) -> None:
    """The ticks are multiples of 1, 2, 5 or 10 and reach the highest bar."""
    chart = bar_chart("x", "t", "d", ["a"], [Series(title="s", values=(highest,))])

    assert list(map(int, re.findall(r'class="tick"[^>]*>(\d+)<', chart))) == ticks


def test_a_hidden_number_is_a_question_mark() -> None:
    """A hidden bar does not look like zero."""
    chart = bar_chart("x", "t", "d", ["a<", "b"], [Series(title="s", values=(None, 0))])

    assert re.findall(r'class="hidden"[^>]*>(.*?)</text>', chart) == [
        "?<title>a&lt;, s: hidden</title>"
    ]
