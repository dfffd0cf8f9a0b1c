"""
Summaries of counts: by source and division, over months, with nothing given away.
"""

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
from fhir_gateway.services.statistics.statistics import BOOKINGS, COVERAGE, Statistics
from fhir_gateway.services.statistics.summary import Sum, Summary

NOVEMBER = Month(2026, 11)
UNIT, OTHER = HsaId("SE2321000016-A01"), HsaId("SE2321000016-A02")
NORR, SYD = SourceName("norr"), SourceName("syd")
VACCINATION = StandardTimeType(code="72791000052103", display="vaccination")


def bookings(
    count: int,
    *,
    month: Month = NOVEMBER,
    source: SourceName = NORR,
    unit: HsaId = UNIT,
    channel: str | None = "app",
    outcome: WriteOutcome = WriteOutcome.BOOKED,
    days_ahead: DaysAhead | None = DaysAhead.WEEK,
) -> BookingCount:
    """Return a count of bookings."""
    return BookingCount(
        month=month,
        source=source,
        unit=unit,
        time_type_id=TimeTypeId("VACC"),
        channel=channel,
        outcome=outcome,
        days_ahead=days_ahead,
        count=count,
    )


def summary(*counts: BookingCount, until: Month = NOVEMBER) -> Summary:
    """Return the summary of bookings from November."""
    statistics = Statistics(
        lambda month: [each for each in counts if each.month == month],
        lambda _: (),
        {(UNIT, TimeTypeId("VACC")): (VACCINATION,)},
    )
    return statistics.summary(BOOKINGS, NOVEMBER.until(until))


def test_bookings_are_broken_down() -> None:
    """A booking counts once by unit, standard time type, channel and days."""
    result = summary(bookings(6), bookings(8, unit=OTHER, channel=None))

    assert {
        division.code: {
            key: str(result.of_key("booked", source, division.code, key))
            for source, key in result.keys(division.code)
        }
        for division in BOOKINGS.divisions
    } == {
        "unit": {UNIT: "6", OTHER: "8"},
        "time-type": {"72791000052103": "6", "unmapped": "8"},
        "channel": {"app": "6", "unknown": "8"},
        "days-ahead": {"2-7": "14"},
    }
    assert result.name("time-type", "72791000052103") == "vaccination"


def test_a_sum_over_months_has_no_hidden_count() -> None:
    """Who asks for one month, and for two, cannot compute the second one."""
    december = NOVEMBER.plus(1)
    result = summary(bookings(7), bookings(3, month=december), until=december)

    assert (result.total("booked"), result.of_source("booked", "norr")) == (
        Sum(7, is_least=True),
        Sum(7, is_least=True),
    )
    assert str(result.total("booked")) == "≥ 7"


def test_a_source_that_is_hidden_has_no_keys() -> None:
    """Of a source with too few bookings, no unit is named."""
    result = summary(bookings(4), bookings(9, source=SYD, unit=OTHER))

    assert list(result.keys("unit")) == [("syd", OTHER)]
    assert str(result.of_source("booked", "norr")) == "hidden"
    assert str(result.total("booked")) == "≥ 9"


def test_kinds_do_not_give_each_other_away() -> None:
    """Each kind is summarised by itself; no sum of kinds exists."""
    result = summary(
        bookings(9),
        bookings(2, outcome=WriteOutcome.REFUSED, days_ahead=None),
    )

    assert [str(result.total(kind.code)) for kind in BOOKINGS.kinds] == [
        *("9", "0", "0", "hidden", "0", "0")
    ]


def test_no_counts_make_an_empty_summary() -> None:
    """Without counts there are months, and no sources."""
    result = summary(until=NOVEMBER.plus(2))

    assert (result.is_empty, result.period, result.sources()) == (
        True,
        "2026-11 to 2027-01",
        [],
    )


def test_coverage_says_why_a_way_missed_a_booking() -> None:
    """Bookings are counted by the ways that found them, and by the other's reason."""

    def of_month(month: Month) -> list[CoverageCount]:
        return [
            CoverageCount(
                month=month, source=NORR, aggregated=lack, direct=other, count=count
            )
            for lack, other, count in (
                (None, None, 20),
                (Lack.UNIT_SILENT, None, 6),
                (Lack.NOT_LISTED, None, 7),
                (None, Lack.NOT_ASKED, 5),
            )
        ]

    result = Statistics(lambda _: (), of_month, {}).summary(COVERAGE, [NOVEMBER])

    assert {kind.code: str(result.total(kind.code)) for kind in COVERAGE.kinds} == {
        "both": "20",
        "only-aggregated": "5",
        "only-direct": "13",
    }
    assert {
        result.name("reason", key): str(
            result.of_key("only-direct", "norr", "reason", key)
        )
        for _, key in result.keys("reason")
    } == {
        "the aggregating service answered that the unit did not": "6",
        "the aggregating service answered without the booking": "7",
        "the source was not asked": "0",
    }
