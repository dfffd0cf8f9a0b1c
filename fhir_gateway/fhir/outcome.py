"""
OperationOutcome (FHIR R4, 2.36), and which issue code each kind of failure has.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from fhir_gateway.fhir.vocabulary import LAST_SOURCE_SYNC
from fhir_gateway.model.errors import Category, GatewayError
from fhir_gateway.model.source import SourceOutcome, SourceProblem
from fhir_gateway.model.timekeeping import instant_text

__all__ = [
    "ISSUE_CODES",
    "Issue",
    "Problem",
    "Severity",
    "issue_from_error",
    "issue_from_source_outcome",
    "operation_outcome",
]

ISSUE_CODES: Final = {
    Category.INCORRECT: "business-rule",
    Category.NOT_FOUND: "not-found",
    Category.UNSUPPORTED: "not-supported",
    Category.FORBIDDEN: "forbidden",
    Category.CONFLICT: "conflict",
    Category.STALE: "conflict",
    Category.TAKEN: "conflict",
    Category.REFUSED: "business-rule",
    Category.BUSY: "throttled",
    Category.UNAVAILABLE: "transient",
    Category.FAULT: "exception",
    Category.UNCONFIRMED: "incomplete",
}

_SOURCE_CODES: Final = {
    SourceProblem.NOT_YET_ASKED: "incomplete",
    SourceProblem.UNAVAILABLE: "transient",
    SourceProblem.STALE: "incomplete",
    SourceProblem.INCOMPLETE: "incomplete",
    SourceProblem.NOT_ASKED: "informational",
}


class Severity(Enum):
    """IssueSeverity."""

    ERROR = "error"
    WARNING = "warning"
    INFORMATION = "information"


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """
    One thing to tell.

    Attributes:
        code: An IssueType code.
        diagnostics: One sentence that a client developer can act on.
        text: What a resident must be shown, in the region's own words.
        expression: Where in the resource, as FHIRPath.
        parameter: Which search parameter or header.
        extensions: Extensions of the issue.
    """

    code: str
    diagnostics: str | None = None
    text: str | None = None
    severity: Severity = Severity.ERROR
    expression: str | None = None
    parameter: str | None = None
    extensions: tuple[dict[str, Any], ...] = ()


class Problem(Exception):
    """
    A request that cannot be done, with everything that is wrong with it.

    Args:
        issues: At least one.
        status: The HTTP status.
        headers: Further headers of the answer.
    """

    def __init__(
        self,
        issues: Sequence[Issue],
        *,
        status: int,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(f"{len(issues)} issues, status {status}")
        self.issues = tuple(issues)
        self.status = status
        self.headers = headers or {}


def operation_outcome(issues: Iterable[Issue]) -> dict[str, Any]:
    """Return an OperationOutcome; it has at least one issue or it is not valid."""
    return {
        "resourceType": "OperationOutcome",
        "issue": [_issue(issue) for issue in issues],
    }


def issue_from_error(error: GatewayError) -> Issue:
    """Return what a client is told of an error."""
    is_regions_words = error.category in (Category.REFUSED, Category.TAKEN)
    return Issue(
        code=ISSUE_CODES[error.category],
        diagnostics=str(error) if not is_regions_words else None,
        text=error.message if is_regions_words else None,
    )


def issue_from_source_outcome(outcome: SourceOutcome) -> Issue:
    """Return what a client is told of a source whose part is missing."""
    extensions: tuple[dict[str, Any], ...] = ()
    if outcome.since is not None:
        extensions = (
            {
                "url": LAST_SOURCE_SYNC,
                "valueDateTime": instant_text(outcome.since),
            },
        )
    return Issue(
        severity=(
            Severity.INFORMATION
            if outcome.problem is SourceProblem.NOT_ASKED
            else Severity.WARNING
        ),
        code=_SOURCE_CODES[outcome.problem],
        diagnostics=f"{outcome.detail} (source {outcome.source})",
        extensions=extensions,
    )


def _issue(issue: Issue) -> dict[str, Any]:
    element: dict[str, Any] = {}
    if issue.extensions:
        element["extension"] = list(issue.extensions)
    element["severity"] = issue.severity.value
    element["code"] = issue.code
    if issue.text is not None:
        element["details"] = {"text": issue.text}
    if issue.diagnostics is not None:
        element["diagnostics"] = issue.diagnostics
    if issue.parameter is not None:
        # R4: for a fault of the HTTP request, "http." and the parameter's name.
        element["location"] = [f"http.{issue.parameter}"]
    if issue.expression is not None:
        element["expression"] = [issue.expression]
    return element
