"""
OperationOutcome, and the codes that failures have.
"""

from datetime import UTC, datetime

import pytest

from fhir_gateway.fhir.outcome import (
    ISSUE_CODES,
    Issue,
    Problem,
    Severity,
    issue_from_error,
    issue_from_source_outcome,
    operation_outcome,
)
from fhir_gateway.model import errors
from fhir_gateway.model.errors import Category, GatewayError
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.source import SourceOutcome, SourceProblem
from fhir_gateway.web.errors import STATUSES

# IssueType (FHIR R4, 4.0.1), the codes and their children.
_ISSUE_TYPES = {
    *("invalid", "structure", "required", "value", "invariant"),
    *("security", "login", "unknown", "expired", "forbidden", "suppressed"),
    *("processing", "not-supported", "duplicate", "multiple-matches", "not-found"),
    *("deleted", "too-long", "code-invalid", "extension", "too-costly"),
    *("business-rule", "conflict", "transient", "lock-error", "no-store"),
    *("exception", "timeout", "incomplete", "throttled", "informational"),
}
_NORR = SourceName("norr")


def test_every_category_has_an_issue_code_of_r4() -> None:
    """Each kind of failure has an issue code, and R4 has that code."""
    assert ISSUE_CODES.keys() == set(Category)
    assert set(ISSUE_CODES.values()) <= _ISSUE_TYPES


def test_every_category_has_a_status() -> None:
    """Each kind of failure has an HTTP status."""
    assert STATUSES.keys() == set(Category)


def test_every_error_has_a_category_of_its_own_choosing() -> None:
    """Each class of error says of which kind it is."""
    classes = [
        each
        for name in errors.__all__
        if isinstance(each := getattr(errors, name), type)
        and issubclass(each, GatewayError)
    ]

    assert len(classes) > 10
    assert {each.category for each in classes} == set(Category)


@pytest.mark.parametrize("problem", SourceProblem)
def test_every_shortcoming_of_a_source_has_a_code(problem: SourceProblem) -> None:
    """Each reason why a source's part is missing has an issue code of R4."""
    issue = issue_from_source_outcome(
        SourceOutcome(source=_NORR, problem=problem, detail="So it is.")
    )

    assert issue.code in _ISSUE_TYPES
    assert issue.diagnostics == "So it is. (source norr)"


@pytest.mark.parametrize(
    ("problem", "severity"),
    [
        pytest.param(each, "information", id=each.value)
        if each is SourceProblem.NOT_ASKED
        else pytest.param(each, "warning", id=each.value)
        for each in SourceProblem
    ],
)
def test_a_missing_part_is_a_warning(problem: SourceProblem, severity: str) -> None:
    """A missing part is a warning; one that is never asked for is information."""
    issue = issue_from_source_outcome(
        SourceOutcome(source=_NORR, problem=problem, detail="So it is.")
    )

    assert issue.severity.value == severity


def test_a_source_that_has_answered_before_says_when() -> None:
    """When a silent source answered last stands in an extension of the issue."""
    issue = issue_from_source_outcome(
        SourceOutcome(
            source=_NORR,
            problem=SourceProblem.UNAVAILABLE,
            detail="Norr does not answer.",
            since=datetime(2026, 6, 1, 6, 5, tzinfo=UTC),
        )
    )

    assert operation_outcome([issue]) == {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "extension": [
                    {
                        "url": "http://hl7.org/fhir/StructureDefinition/lastSourceSync",
                        "valueDateTime": "2026-06-01T08:05:00+02:00",
                    }
                ],
                "severity": "warning",
                "code": "transient",
                "diagnostics": "Norr does not answer. (source norr)",
            }
        ],
    }


def test_an_issue_has_every_part_that_it_is_given() -> None:
    """Text, diagnostics, location and expression stand where R4 wants them."""
    issue = Issue(
        code="value",
        diagnostics="Mend it.",
        text="Nej.",
        severity=Severity.INFORMATION,
        expression="Appointment.start",
        parameter="If-Match",
    )

    assert operation_outcome([issue])["issue"] == [
        {
            "severity": "information",
            "code": "value",
            "details": {"text": "Nej."},
            "diagnostics": "Mend it.",
            "location": ["http.If-Match"],
            "expression": ["Appointment.start"],
        }
    ]


@pytest.mark.parametrize("kind", [errors.Refused, errors.TimeslotTaken])
def test_a_regions_own_words_are_to_be_shown(kind: type[GatewayError]) -> None:
    """What a region says to a resident stands in `details`, as it was said."""
    issue = issue_from_error(kind("Tiden är tagen.", source=_NORR))

    assert (issue.text, issue.diagnostics) == ("Tiden är tagen.", None)


def test_other_errors_are_for_the_developer() -> None:
    """Any other error is one sentence in `diagnostics`, with where it came from."""
    error = errors.Unavailable(
        "The source did not answer.", source=_NORR, interaction="MakeBooking"
    )

    issue = issue_from_error(error)
    assert issue == Issue(
        code="transient",
        diagnostics="The source did not answer. (source norr, MakeBooking)",
    )


def test_a_problem_says_nothing_of_its_issues() -> None:
    """The text of a problem is safe to log: numbers alone."""
    problem = Problem([Issue(code="value", diagnostics="x")], status=400)

    assert str(problem) == "1 issues, status 400"
