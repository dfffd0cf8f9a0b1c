"""
OperationOutcome, and the codes that failures have.
"""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from fhir_gateway.fhir.outcome import (
    ISSUE_CODES,
    Issue,
    Problem,
    ProblemKind,
    Severity,
    error_code_of,
    issue_from_error,
    issue_from_source_outcome,
    operation_outcome,
)
from fhir_gateway.fhir.vocabulary import ERROR_CODE
from fhir_gateway.model import errors
from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.model.errors import Category, GatewayError, Party
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
_ROOT: Final = Path(__file__).parents[2]


def _groups() -> dict[str, str]:
    """Return the group of each code in the CodeSystem."""
    text = (_ROOT / "profiles" / "CodeSystem-error-code.json").read_text("utf-8")
    return {
        concept["code"]: group["code"]
        for group in json.loads(text)["concept"]
        for concept in group["concept"]
    }


def test_every_error_code_has_a_swedish_name() -> None:
    """What a resident may read of an error has a name in Swedish."""
    text = (_ROOT / "profiles" / "CodeSystem-error-code.json").read_text("utf-8")
    groups = json.loads(text)["concept"]

    assert [
        concept["code"]
        for group in groups
        for concept in (group, *group["concept"])
        if [each["language"] for each in concept.get("designation", ())] != ["sv"]
    ] == []


def test_every_category_has_an_issue_code_of_r4() -> None:
    """Each kind of failure has an issue code, and R4 has that code."""
    assert ISSUE_CODES.keys() == set(Category)
    assert set(ISSUE_CODES.values()) <= _ISSUE_TYPES


@pytest.mark.parametrize("category", Category)
@pytest.mark.parametrize("party", Party)
def test_every_failure_has_an_error_code(category: Category, party: Party) -> None:
    """Each kind of failure, caused by any party, has a code of the CodeSystem."""

    class Failure(GatewayError):
        pass

    Failure.category = category

    assert isinstance(error_code_of(Failure("So it is.", party=party)), ErrorCode)


@pytest.mark.parametrize(
    ("party", "kind", "code"),
    [
        (Party.CLIENT, errors.TimeslotTaken, "REQUESTED_TIME_IS_ALREADY_RESERVED"),
        (Party.REGION, errors.TimeslotTaken, "REQUESTED_TIME_IS_NO_LONGER_AVAILABLE"),
        (Party.GATEWAY, errors.Unavailable, "GATEWAY_IS_UNAVAILABLE"),
        (Party.PLATFORM, errors.Unavailable, "PLATFORM_IS_UNAVAILABLE"),
        (Party.REGION, errors.Unavailable, "REGION_IS_UNAVAILABLE"),
        (Party.PLATFORM, errors.SourceFault, "PLATFORM_IS_UNAVAILABLE"),
        (Party.GATEWAY, errors.Busy, "GATEWAY_IS_BUSY"),
        (Party.REGION, errors.Busy, "REGION_IS_BUSY"),
        (Party.PLATFORM, errors.WriteUnconfirmed, "PLATFORM_LEFT_OUTCOME_UNKNOWN"),
        (Party.REGION, errors.WriteUnconfirmed, "REGION_LEFT_OUTCOME_UNKNOWN"),
    ],
)
def test_an_error_code_names_the_party(
    party: Party, kind: type[GatewayError], code: str
) -> None:
    """The same failure has another code when somebody else has caused it."""
    error = kind("So it is.", party=party)

    assert error_code_of(error) is ErrorCode(code)
    assert _groups()[code] == party.value.upper()


def test_an_error_can_know_its_code_better() -> None:
    """An error with a code of its own is reported by that."""
    error = errors.Forbidden("No.", error_code=ErrorCode.CANCEL_IS_NOT_ALLOWED)

    assert issue_from_error(error).error_code is ErrorCode.CANCEL_IS_NOT_ALLOWED


def test_the_code_system_has_every_error_code_and_no_other() -> None:
    """The CodeSystem in profiles/ lists the codes, each in a group of who caused it."""
    assert sorted(_groups()) == sorted(code.value for code in ErrorCode)
    assert set(_groups().values()) == {party.value.upper() for party in Party}


def test_every_issue_in_the_code_has_an_error_code() -> None:
    """No issue code is written anywhere that would leave an issue without its own."""
    written = {
        code
        for folder in ("fhir", "web")
        for path in (_ROOT / "fhir_gateway" / folder).rglob("*.py")
        for code in re.findall(
            r'(?:Issue\(|_fault\()\s*(?:code=)?"([a-z-]+)"',
            path.read_text(encoding="utf-8"),
        )
    }

    assert len(written) > 8
    for code in written:
        operation_outcome([Issue(code=code)])


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
        if each in (SourceProblem.NOT_ASKED, SourceProblem.CACHED)
        else pytest.param(each, "warning", id=each.value)
        for each in SourceProblem
    ],
)
def test_a_missing_part_is_a_warning(problem: SourceProblem, severity: str) -> None:
    """A missing part is a warning; one never asked for, or kept, is information."""
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
                "details": {
                    "coding": [{"system": ERROR_CODE, "code": "REGION_IS_UNAVAILABLE"}]
                },
                "diagnostics": "Norr does not answer. (source norr)",
            }
        ],
    }


def test_an_issue_has_every_part_that_it_is_given() -> None:
    """Text, diagnostics, location and expression stand where R4 wants them."""
    issue = Issue(
        code="value",
        error_code=ErrorCode.REGION_REFUSED,
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
            "details": {
                "coding": [{"system": ERROR_CODE, "code": "REGION_REFUSED"}],
                "text": "Nej.",
            },
            "diagnostics": "Mend it.",
            "location": ["http.If-Match"],
            "expression": ["Appointment.start"],
        }
    ]


@pytest.mark.parametrize("kind", [errors.Refused, errors.TimeslotRefused])
def test_a_regions_own_words_are_to_be_shown(kind: type[GatewayError]) -> None:
    """What a region says to a resident stands in `details`, as it was said."""
    issue = issue_from_error(kind("Tiden är tagen.", source=_NORR))

    assert (issue.text, issue.diagnostics) == ("Tiden är tagen.", None)


@pytest.mark.parametrize(
    "error",
    [
        errors.TimeslotTaken("Choose another."),
        errors.Refused(errors.Refused.UNEXPLAINED),
    ],
)
def test_no_words_of_this_server_are_the_regions(error: GatewayError) -> None:
    """What this server says itself is for the developer, never for the resident."""
    issue = issue_from_error(error)

    assert (issue.text, issue.diagnostics) == (None, error.message)


def test_other_errors_are_for_the_developer() -> None:
    """Any other error is one sentence in `diagnostics`, with where it came from."""
    error = errors.Unavailable(
        "The source did not answer.", source=_NORR, interaction="MakeBooking"
    )

    issue = issue_from_error(error)
    assert issue == Issue(
        code="transient",
        error_code=ErrorCode.REGION_IS_UNAVAILABLE,
        diagnostics="The source did not answer. (source norr, MakeBooking)",
    )


@pytest.mark.parametrize(
    ("error_code", "code"),
    [
        (ErrorCode.REQUESTED_TIME_DOES_NOT_EXIST, "not-found"),
        (ErrorCode.ELEMENT_IS_MISSING, "required"),
    ],
)
def test_a_fact_has_one_issue_code(error_code: ErrorCode, code: str) -> None:
    """A service's finding has the code that the same finding has in a request."""
    assert issue_from_error(errors.Incorrect("No.", error_code=error_code)) == Issue(
        code=code, error_code=error_code, diagnostics="No."
    )


def test_a_problem_says_nothing_of_its_issues() -> None:
    """The text of a problem is safe to log: numbers alone."""
    problem = Problem(
        [Issue(code="value", diagnostics="x")], kind=ProblemKind.MALFORMED
    )

    assert str(problem) == "1 issues, malformed"
