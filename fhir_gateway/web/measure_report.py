"""
MeasureReport: read and search-type of statistics (FHIR R4, 13.11), for operators.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from flask import Response

from fhir_gateway.fhir.bundle import Entry, searchset
from fhir_gateway.fhir.measure_report import Counted, Strata, measure_report
from fhir_gateway.fhir.search_date import ComparedPeriod, PeriodParameter
from fhir_gateway.fhir.search_parameters import ReferenceParameter
from fhir_gateway.fhir.search_schema import (
    SearchSchema,
    issues_of_understood,
    query_text,
)
from fhir_gateway.model.errors import NotFound
from fhir_gateway.model.month import Month
from fhir_gateway.services.statistics.statistics import SUBJECTS
from fhir_gateway.services.statistics.summary import Subject, Summary
from fhir_gateway.web.exchange import begin_read, fhir_response
from fhir_gateway.web.gateway import Gateway
from fhir_gateway.web.resource import InteractionCode, ResourceRoutes, read_route
from fhir_gateway.web.searching import understood_search

__all__ = ["MeasureReportSearchSchema", "measure_routes"]

_MONTHS: Final = 36
"""How many months have reports, the present one included."""

_USUAL: Final = 12
_R4: Final = "http://hl7.org/fhir/SearchParameter"
_BY_SOURCE: Final = "source"
_REFUSED: Final = {
    **dict.fromkeys(
        ("patient", "subject", "evaluated-resource"), "a summary is about no person"
    ),
    "identifier": "its reports have ids only",
    "reporter": "this server alone reports",
    "status": "search by period: the present month is pending",
    "date": "a report is made when it is asked for; search by period",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureReportQuery:
    """The values of a search for reports."""

    measure: tuple[frozenset[str], ...] = ()
    period: tuple[tuple[ComparedPeriod, ...], ...] = ()


class MeasureReportSearchSchema(SearchSchema[MeasureReportQuery]):
    """The parameters of a search for reports."""

    query = MeasureReportQuery
    refused = _REFUSED

    measure = ReferenceParameter(
        target="Measure",
        documentation="What was counted: Measure/bookings or Measure/coverage.",
        definition=f"{_R4}/MeasureReport-measure",
    )
    period = PeriodParameter(
        documentation="Its month; without it, this month and the eleven before it.",
        definition=f"{_R4}/MeasureReport-period",
    )


_SCHEMA: Final = MeasureReportSearchSchema()


def measure_routes(gateway: Gateway) -> tuple[ResourceRoutes, ...]:
    """Return the routes of Measure and MeasureReport."""
    views = _Views(gateway)

    def measure(identifier: str) -> dict[str, Any] | None:
        known = gateway.published.find("Measure", identifier)
        return None if known is None else known.resource()

    return (
        ResourceRoutes(
            type="Measure",
            documentation="What the MeasureReports count.",
            views={
                InteractionCode.READ: read_route("Measure", measure, gateway.started_at)
            },
        ),
        ResourceRoutes(
            type="MeasureReport",
            search=_SCHEMA,
            documentation="Statistics without persons, month by month.",
            views={
                InteractionCode.READ: views.read,
                InteractionCode.SEARCH_TYPE: views.search_type,
            },
            may_wait=frozenset({InteractionCode.READ, InteractionCode.SEARCH_TYPE}),
        ),
    )


class _Views:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def read(self, id: str) -> Response:  # noqa: A002 - the name in FHIR's URL
        begin_read()
        name, _, month = id.partition("-")
        subject = SUBJECTS.get(name)
        known = {str(each): each for each in self._months()}
        if subject is None or month not in known:
            raise NotFound(
                "There is no such report: its id is bookings- or coverage- and one of"
                f" the last {_MONTHS} months, as bookings-2026-11."
            )
        return fhir_response(self._report(subject, known[month]))

    def search_type(self) -> Response:
        base_url = self._gateway.base_url
        understood = understood_search(_SCHEMA, base_url)
        query = understood.query
        months = [
            month
            for month in self._months()[0 if query.period else -_USUAL :]
            if all(
                any(each.fits(month.start, month.end) for each in group)
                for group in query.period
            )
        ]
        subjects = [
            subject
            for name, subject in SUBJECTS.items()
            if all(name in group for group in query.measure)
        ]
        found = [
            Entry(self._report(subject, month))
            for subject in subjects
            for month in months
        ]
        text = query_text(understood.parameters)
        return fhir_response(
            searchset(
                found,
                base_url=base_url,
                self_url=f"{base_url}/MeasureReport" + (f"?{text}" if text else ""),
                total=len(found),
                issues=issues_of_understood(understood),
            )
        )

    def _months(self) -> list[Month]:
        present = Month.of(self._gateway.clock())
        return list(present.plus(1 - _MONTHS).until(present))

    def _report(self, subject: Subject, month: Month) -> dict[str, Any]:
        summary = self._gateway.statistics.summary(subject, (month,))
        return measure_report(
            subject.name,
            month,
            _groups(summary),
            names={
                (division, key): name
                for division, names in summary.names.items()
                for key, name in names.items()
            },
            made_at=self._gateway.clock(),
            vocabulary=self._gateway.vocabulary,
        )


def _groups(summary: Summary) -> list[Counted]:
    (month,) = summary.months
    groups: list[Counted] = []
    for kind in summary.subject.kinds:
        shown = month.shown[kind.code]
        sources = sorted(shown.sources.items())
        strata: Strata = {
            _BY_SOURCE: [
                ({_BY_SOURCE: source}, known.total) for source, known in sources
            ]
        }
        for division in summary.subject.divisions:
            strata[division.code] = [
                ({_BY_SOURCE: source, division.code: key}, count)
                for source, known in sources
                for key, count in sorted(
                    known.breakdowns.get(division.code, {}).items()
                )
            ]
        total = None if shown.is_least else shown.total
        groups.append((kind.code, kind.title, total, strata))
    return groups


def _in_order(counts: Mapping[str, int | None] | None) -> list[tuple[str, int | None]]:
    return sorted((counts or {}).items(), key=lambda each: each[0])
