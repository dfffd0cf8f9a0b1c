"""
MeasureReport (FHIR R4, 13.11) of type summary, from the statistics of one month.

Each kind of count is a group. A hidden count has no value but the reason why: masked
(R4, data-absent-reason).
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final

from fhir_gateway.fhir.vocabulary import HSA_ID, SNOMED_CT, STATISTICS, Vocabulary
from fhir_gateway.model.month import Month
from fhir_gateway.model.timekeeping import instant_text

__all__ = ["Counted", "Strata", "measure_report", "report_id"]

_POPULATION: Final = {
    "coding": [
        {
            "system": "http://terminology.hl7.org/CodeSystem/measure-population",
            "code": "initial-population",
        }
    ]
}
_MASKED: Final = {
    "extension": [
        {
            "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
            "valueCode": "masked",
        }
    ]
}
# Names of sources and clients are codes of no system.
_SYSTEMS: Final = {
    "unit": HSA_ID,
    "time-type": SNOMED_CT,
    "days-ahead": STATISTICS,
    "reason": STATISTICS,
}
# Keys that are no codes of those systems.
_WORDS: Final = frozenset({"unmapped", "unknown"})

Strata = dict[str, list[tuple[dict[str, str], int | None]]]
"""By stratifier: the values of each stratum by name, and its count."""

Counted = tuple[str, str, int | None, Strata]
"""A group: its code, its title, its count, and its strata; None is a hidden count."""


def report_id(subject: str, month: Month) -> str:
    """Return the id of the report on a subject and a month."""
    return f"{subject}-{month}"


def measure_report(
    subject: str,
    month: Month,
    groups: Iterable[Counted],
    *,
    names: dict[tuple[str, str], str],
    made_at: datetime,
    vocabulary: Vocabulary,
) -> dict[str, Any]:
    """
    Return a report.

    Args:
        subject: The id of the Measure.
        month: The month; it is `pending` until that is over.
        groups: What was counted.
        names: What the values of strata are called, by stratifier and value.
        made_at: When it was counted.
        vocabulary: Our canonicals.
    """
    return {
        "resourceType": "MeasureReport",
        "id": report_id(subject, month),
        "status": "pending" if made_at < month.end else "complete",
        "type": "summary",
        "measure": f"{vocabulary.base}/Measure/{subject}",
        "date": instant_text(made_at),
        "period": {
            "start": month.start.date().isoformat(),
            "end": month.last_day.isoformat(),
        },
        "group": [
            {
                "code": {"coding": [_ours(code)], "text": title},
                "population": [_population(count)],
                **_stratifiers(strata, names),
            }
            for code, title, count, strata in groups
        ],
    }


def _stratifiers(
    strata: Strata,
    names: dict[tuple[str, str], str],
) -> dict[str, Any]:
    stratifiers = [
        {
            "code": [{"coding": [_ours(code)]}],
            "stratum": [
                {**_values(values, names), "population": [_population(count)]}
                for values, count in counted
            ],
        }
        for code, counted in strata.items()
        if counted
    ]
    return {"stratifier": stratifiers} if stratifiers else {}


def _values(
    values: dict[str, str], names: dict[tuple[str, str], str]
) -> dict[str, Any]:
    concepts = dict(_concepts(values, names))
    if len(concepts) == 1:
        (concept,) = concepts.values()
        return {"value": concept}
    return {
        "component": [
            {"code": {"coding": [_ours(code)]}, "value": concept}
            for code, concept in concepts.items()
        ]
    }


def _concepts(
    values: dict[str, str], names: dict[tuple[str, str], str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    for code, value in values.items():
        system = STATISTICS if value in _WORDS else _SYSTEMS.get(code)
        if system is None:
            yield code, {"text": value}
        else:
            coding = {"system": system, "code": value}
            yield code, {"coding": [coding], "text": names.get((code, value), value)}


def _ours(code: str) -> dict[str, str]:
    return {"system": STATISTICS, "code": code}


def _population(count: int | None) -> dict[str, Any]:
    value = {"_count": _MASKED} if count is None else {"count": count}
    return {"code": _POPULATION, **value}
