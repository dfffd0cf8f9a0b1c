"""
MeasureReport: statistics of one month, for operators.

https://hl7.org/fhir/R4/measurereport.html
"""

from datetime import UTC, datetime
from typing import Any

import pytest
from assertions import assert_searchset
from flask.testing import FlaskClient

from fhir_gateway.fhir.vocabulary import STATISTICS, Vocabulary
from fhir_gateway.model.found_booking import Lack, Way
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.month import Month
from fhir_gateway.model.statistics import DaysAhead
from fhir_gateway.model.timekeeping import now
from fhir_gateway.services.statistics.statistics import SUBJECTS
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.statistics import CoverageCounts
from web.guarded import Guarded

from .running import OtherPrograms

NORR, SYD = SourceName("norr"), SourceName("syd")
SEPTEMBER = Month(2026, 9)
POPULATION = {
    "coding": [
        {
            "system": "http://terminology.hl7.org/CodeSystem/measure-population",
            "code": "initial-population",
        }
    ]
}
MASKED = {
    "extension": [
        {
            "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
            "valueCode": "masked",
        }
    ]
}


def _clock() -> datetime:
    return datetime(2026, 11, 28, 12, tzinfo=UTC)


@pytest.fixture(name="client")
def _client(other_programs: OtherPrograms) -> Any:
    """Give a client of a gateway with counts of September."""
    with other_programs.start(clock=_clock) as made:
        folder = other_programs.settings.data_dir / f"other-{other_programs.started}"
        database = Database(f"sqlite:///{folder / 'journal.sqlite'}")
        CoverageCounts(database).add(
            {
                (SEPTEMBER, NORR, None, None): 12,
                (SEPTEMBER, NORR, Lack.SILENT, None): 7,
                (SEPTEMBER, NORR, Lack.NOT_LISTED, None): 2,
                (SEPTEMBER, SYD, None, None): 3,
            }
        )
        database.close()
        yield made.app.test_client()


def _code(code: str) -> dict[str, str]:
    return {"system": STATISTICS, "code": code}


def test_a_report_is_about_one_month(client: FlaskClient) -> None:
    """A report has its groups, what is hidden in them, and nothing else."""
    response = client.get("/fhir/MeasureReport/coverage-2026-09")
    report = response.json

    assert response.status_code == 200, response.text
    assert {name: report[name] for name in report if name != "group"} == {
        "resourceType": "MeasureReport",
        "id": "coverage-2026-09",
        "status": "complete",
        "type": "summary",
        "measure": f"{Vocabulary().base}/Measure/coverage",
        "date": "2026-11-28T13:00:00+01:00",
        "period": {"start": "2026-09-01", "end": "2026-09-30"},
    }
    both, aggregated, direct = report["group"]
    assert both == {
        "code": {"coding": [_code("both")], "text": "found by both"},
        "population": [{"code": POPULATION, "_count": MASKED}],
        "stratifier": [
            {
                "code": [{"coding": [_code("source")]}],
                "stratum": [
                    {
                        "value": {"text": "norr"},
                        "population": [{"code": POPULATION, "count": 12}],
                    },
                    {
                        "value": {"text": "syd"},
                        "population": [{"code": POPULATION, "_count": MASKED}],
                    },
                ],
            }
        ],
    }
    assert aggregated["population"] == [{"code": POPULATION, "count": 0}]
    assert direct["population"] == [{"code": POPULATION, "count": 9}]
    assert direct["stratifier"][1]["stratum"][1]["component"] == [
        {
            "code": {"coding": [_code("source")]},
            "value": {"text": "norr"},
        },
        {
            "code": {"coding": [_code("reason")]},
            "value": {
                "coding": [_code("aggregated-silent")],
                "text": "the aggregating service did not answer",
            },
        },
    ]


def test_what_is_counted_has_codes(client: FlaskClient) -> None:
    """The code system has each word of a report, and no other one."""
    subjects = SUBJECTS.values()
    system = client.get(f"/fhir/CodeSystem?url={STATISTICS}").json["entry"][0]

    assert {each["code"] for each in system["resource"]["concept"]} == {
        *("source", "unmapped", "unknown"),
        *(each.code for subject in subjects for each in subject.kinds),
        *(each.code for subject in subjects for each in subject.divisions),
        *(each.value for each in DaysAhead),
        *(f"{way.value}-{lack.value}" for way in Way for lack in Lack),
    }


def test_the_present_month_is_not_over(client: FlaskClient) -> None:
    """The report on the present month is pending, and may have nothing yet."""
    report = client.get("/fhir/MeasureReport/bookings-2026-11").json

    assert report["status"] == "pending"
    assert [each["population"][0]["count"] for each in report["group"]] == [0] * 6


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        (
            "measure=Measure/coverage&period=ge2026-09",
            ["coverage-2026-09", "coverage-2026-10", "coverage-2026-11"],
        ),
        ("period=2026-09", ["bookings-2026-09", "coverage-2026-09"]),
        (
            "period=2024-01,2023-12&measure=Measure/bookings",
            ["bookings-2023-12", "bookings-2024-01"],
        ),
        ("measure=Measure/other", []),
        ("period=2026-12", []),
    ],
)
def test_reports_are_found_by_measure_and_period(
    query: str, ids: list[str], client: FlaskClient
) -> None:
    """A search finds the reports of a subject, and those of some months."""
    found = assert_searchset(client.get(f"/fhir/MeasureReport?{query}"))

    assert [each["id"] for each in found] == ids


def test_a_search_without_parameters_finds_a_year(client: FlaskClient) -> None:
    """Without parameters there are twelve months of each subject."""
    found = assert_searchset(client.get("/fhir/MeasureReport"))

    assert (len(found), found[0]["id"], found[-1]["id"]) == (
        24,
        "bookings-2025-12",
        "coverage-2026-11",
    )


@pytest.mark.parametrize(
    "name",
    [
        *("bookings-2026-12", "bookings-2023-11", "bookings-2026-13", "bookings"),
        *("other-2026-09", "coverage-2026-9", "Coverage-2026-09"),
    ],
)
def test_any_other_id_is_unknown(name: str, client: FlaskClient) -> None:
    """Of another month, or another subject, there is no report."""
    assert client.get(f"/fhir/MeasureReport/{name}").status_code == 404


def test_a_measure_says_what_is_counted(client: FlaskClient) -> None:
    """The Measure has the groups and stratifiers of its reports."""
    measure = client.get("/fhir/Measure/coverage").json
    report = client.get("/fhir/MeasureReport/coverage-2026-09").json

    assert measure["url"] == report["measure"]
    assert [each["code"] for each in measure["group"]] == [
        each["code"] for each in report["group"]
    ]


def test_persons_are_no_parameter(client: FlaskClient) -> None:
    """A search for a person's report is refused with the reason."""
    response = client.get("/fhir/MeasureReport?subject=Patient/1")

    assert response.status_code == 400
    assert "a summary is about no person" in response.text


@pytest.mark.parametrize(
    ("role", "status"),
    [
        ("operator", 200),
        ("resident", 403),
        ("staff", 403),
        ("system", 403),
        (None, 401),
    ],
)
def test_reports_are_for_operators(
    role: str | None, status: int, guarded: Guarded, numbers: list[str]
) -> None:
    """An operator reads reports; anybody reads what they count."""
    client = guarded.client(role, numbers[0])
    month = Month.of(now())
    answers = [
        client.get(f"/fhir/{path}").status_code
        for path in (f"MeasureReport/bookings-{month}", "MeasureReport")
    ]

    assert answers == [status, status]
    assert client.get("/fhir/Measure/bookings").status_code == 200
