"""
Statistics on bookings, and on how well the ways to a resident's list cover it.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from fhir_gateway.model.found_booking import Lack, Way
from fhir_gateway.model.ids import HsaId, TimeTypeId
from fhir_gateway.model.month import Month
from fhir_gateway.model.statistics import (
    BookingCount,
    CoverageCount,
    DaysAhead,
    WriteOutcome,
)
from fhir_gateway.model.timeslot import StandardTimeType
from fhir_gateway.services.statistics.summary import (
    Division,
    Kind,
    Subject,
    Summary,
    month_summary,
)

__all__ = ["BOOKINGS", "COVERAGE", "SUBJECTS", "Statistics"]

UNMAPPED: Final = "unmapped"
UNKNOWN: Final = "unknown"

BOOKINGS: Final = Subject(
    name="bookings",
    title="Bookings",
    about=(
        "Writes to regions that clients of this server asked for.",
        "A write counts in the month in which its outcome became known.",
        "An unsettled one counts in the month in which it was sent.",
        "What was never sent does not count: a hold that ended, a time that was taken.",
        "Bookings that were made without this server do not count either.",
    ),
    kinds=(
        Kind(code=WriteOutcome.BOOKED.value, title="booked"),
        Kind(code=WriteOutcome.MOVED.value, title="moved"),
        Kind(code=WriteOutcome.CANCELLED.value, title="cancelled"),
        Kind(code=WriteOutcome.REFUSED.value, title="refused"),
        Kind(code=WriteOutcome.NOT_DONE.value, title="not done"),
        Kind(code=WriteOutcome.UNSETTLED.value, title="unsettled"),
    ),
    divisions=(
        Division(code="unit", title="unit", about="The care unit, by its HSA-id."),
        Division(
            code="time-type",
            title="standard time type",
            about="The standard time type, by the source's ConceptMap of today.",
        ),
        Division(
            code="channel", title="channel", about="The client that asked: client_id."
        ),
        Division(
            code="days-ahead",
            title="days to the visit",
            about="Days of 24 hours from the booking to the visit.",
            kinds=(WriteOutcome.BOOKED.value,),
        ),
    ),
)
COVERAGE: Final = Subject(
    name="coverage",
    title="Coverage of residents' lists",
    about=(
        "Bookings in residents' lists of booked times, by the ways that found them.",
        "One way asks an aggregating service, the direct way asks the source itself.",
        "Each list counts: a booking counts as often as its resident looks at it.",
    ),
    kinds=(
        Kind(code="both", title="found by both"),
        Kind(code="only-aggregated", title="aggregated only"),
        Kind(code="only-direct", title="direct only"),
    ),
    divisions=(
        Division(
            code="reason",
            title="reason",
            about="Why the other way did not find it.",
            kinds=("only-aggregated", "only-direct"),
        ),
    ),
)
SUBJECTS: Final = {each.name: each for each in (BOOKINGS, COVERAGE)}
"""By name."""

_DAYS: Final = {
    DaysAhead.SAME_DAY: "less than 1",
    DaysAhead.NEXT_DAY: "1",
    DaysAhead.WEEK: "2 to 7",
    DaysAhead.TWO_WEEKS: "8 to 14",
    DaysAhead.MONTH: "15 to 30",
    DaysAhead.TWO_MONTHS: "31 to 60",
    DaysAhead.LONGER: "61 or more",
}
_REASONS: Final = {
    Lack.NOT_ASKED: "was not asked",
    Lack.SILENT: "did not answer",
    Lack.UNIT_SILENT: "answered that the unit did not",
    Lack.UNIT_NOT_NAMED: "answered without the unit",
    Lack.NOT_LISTED: "answered without the booking",
}
_WHO: Final = {Way.AGGREGATED: "the aggregating service", Way.DIRECT: "the source"}

Meanings = Mapping[tuple[HsaId, TimeTypeId], tuple[StandardTimeType, ...]]
"""The standard time types that units' own ones are mapped to."""


class Statistics:
    """
    Summarises what the stores have counted.

    Args:
        bookings: Returns the counts of bookings of a month.
        coverage: Returns the counts of coverage of a month.
        meanings: The standard time types; of several, the first counts.
    """

    def __init__(
        self,
        bookings: Callable[[Month], Iterable[BookingCount]],
        coverage: Callable[[Month], Iterable[CoverageCount]],
        meanings: Meanings,
    ) -> None:
        self._bookings = bookings
        self._coverage = coverage
        self._meanings = meanings

    def summary(self, subject: Subject, months: Iterable[Month]) -> Summary:
        """
        Return what may be shown of some months.

        Args:
            subject: BOOKINGS or COVERAGE.
            months: From first to last; at least one.
        """
        if subject is COVERAGE:
            return self._coverage_of(months)
        return self._bookings_of(months)

    def _bookings_of(self, months: Iterable[Month]) -> Summary:
        time_types: dict[str, str] = {UNMAPPED: "without a standard time type"}
        summaries = []
        for month in months:
            counts = []
            for each in self._bookings(month):
                standard = self._meanings.get((each.unit, each.time_type_id))
                if standard:
                    time_types[standard[0].code] = standard[0].display
                keys = {
                    "unit": str(each.unit),
                    "time-type": standard[0].code if standard else UNMAPPED,
                    "channel": each.channel or UNKNOWN,
                }
                if each.days_ahead is not None:
                    keys["days-ahead"] = each.days_ahead.value
                counts.append((each.outcome.value, str(each.source), keys, each.count))
            summaries.append(month_summary(month, BOOKINGS.kinds, counts))
        return Summary(
            subject=BOOKINGS,
            months=tuple(summaries),
            names={
                "time-type": time_types,
                "channel": {UNKNOWN: "nobody knows"},
                "days-ahead": {each.value: text for each, text in _DAYS.items()},
            },
        )

    def _coverage_of(self, months: Iterable[Month]) -> Summary:
        return Summary(
            subject=COVERAGE,
            months=tuple(
                month_summary(
                    month, COVERAGE.kinds, map(_of_coverage, self._coverage(month))
                )
                for month in months
            ),
            names={
                "reason": {
                    _reason(way, lack): f"{who} {_REASONS[lack]}"
                    for way, who in _WHO.items()
                    for lack in Lack
                }
            },
        )


def _of_coverage(count: CoverageCount) -> tuple[str, str, Mapping[str, str], int]:
    if count.aggregated is not None:
        reason = _reason(Way.AGGREGATED, count.aggregated)
        return "only-direct", str(count.source), {"reason": reason}, count.count
    if count.direct is not None:
        reason = _reason(Way.DIRECT, count.direct)
        return "only-aggregated", str(count.source), {"reason": reason}, count.count
    return "both", str(count.source), {}, count.count


def _reason(way: Way, lack: Lack) -> str:
    return f"{way.value}-{lack.value}"
