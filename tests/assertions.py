"""
What answers must be, whole: status, headers and body.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from werkzeug.test import TestResponse

from fhir_gateway.fhir.outcome import Problem, operation_outcome
from fhir_gateway.fhir.vocabulary import ERROR_CODE
from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.web.errors import PROBLEM_STATUSES

__all__ = [
    "assert_issues",
    "assert_outcome",
    "assert_problem",
    "assert_searchset",
    "issue",
    "objects",
    "outcome_entries",
    "references",
]

FHIR_JSON = "application/fhir+json;charset=utf-8"


def issue(
    code: str,
    diagnostics: str | None = None,
    *,
    severity: str = "error",
    text: str | None = None,
    expression: str | None = None,
    location: str | None = None,
    error: ErrorCode | None = None,
) -> dict[str, Any]:
    """
    Return an issue as it stands in an OperationOutcome.

    Without `error`, `assert_issues` takes any error code that there is.
    """
    element: dict[str, Any] = {"severity": severity, "code": code}
    details: dict[str, Any] = {}
    if error is not None:
        details["coding"] = [{"system": ERROR_CODE, "code": error.value}]
    if text is not None:
        details["text"] = text
    if details:
        element["details"] = details
    if diagnostics is not None:
        element["diagnostics"] = diagnostics
    if location is not None:
        element["location"] = [location]
    if expression is not None:
        element["expression"] = [expression]
    return element


def assert_outcome(
    response: TestResponse, status: int, *issues: dict[str, Any]
) -> None:
    """The answer is an OperationOutcome of exactly these issues."""
    assert (response.status_code, response.headers.get("Content-Type")) == (
        status,
        FHIR_JSON,
    )
    outcome = response.json
    assert outcome is not None
    assert outcome.keys() == {"resourceType", "issue"}
    assert outcome["resourceType"] == "OperationOutcome"
    assert_issues(outcome["issue"], issues)


def assert_issues(
    found: Sequence[dict[str, Any]], expected: Sequence[dict[str, Any]]
) -> None:
    """The issues are exactly these, and each has one error code of the CodeSystem."""
    for each in found:
        (coding,) = each["details"]["coding"]
        assert coding == {
            "system": ERROR_CODE,
            "code": ErrorCode(coding["code"]).value,
        }
    assert len(found) == len(expected), found
    assert [
        each if _has_code(model) else _without_code(each)
        for each, model in zip(found, expected, strict=True)
    ] == list(expected)


def _has_code(element: dict[str, Any]) -> bool:
    return "coding" in element.get("details", {})


def _without_code(element: dict[str, Any]) -> dict[str, Any]:
    details = {
        name: value for name, value in element["details"].items() if name != "coding"
    }
    rest = {name: value for name, value in element.items() if name != "details"}
    return rest | ({"details": details} if details else {})


def assert_problem(problem: Problem, status: int, *issues: dict[str, Any]) -> None:
    """The problem has this status and exactly these issues."""
    assert_issues(operation_outcome(problem.issues)["issue"], issues)
    assert PROBLEM_STATUSES[problem.kind] == status


def assert_searchset(response: TestResponse) -> list[dict[str, Any]]:
    """The answer is a searchset; return its matches."""
    assert (response.status_code, response.headers["Content-Type"]) == (200, FHIR_JSON)
    bundle = response.json
    assert bundle is not None
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "searchset")
    urls = [entry["fullUrl"] for entry in bundle.get("entry", ())]
    assert len(urls) == len(set(urls))
    return [
        entry["resource"]
        for entry in bundle.get("entry", ())
        if entry["search"]["mode"] == "match"
    ]


def outcome_entries(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the issues of a searchset's `outcome` entries."""
    return [
        each
        for entry in bundle.get("entry", ())
        if entry["search"]["mode"] == "outcome"
        for each in entry["resource"]["issue"]
    ]


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every JSON object inside a value, and itself if it is one."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from objects(item)


def references(value: Any) -> set[str]:
    """Return every reference to another resource inside a value."""
    return {
        each["reference"]
        for each in objects(value)
        if isinstance(each.get("reference"), str)
        and not each["reference"].startswith("#")
    }
