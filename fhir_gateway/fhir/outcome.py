"""
OperationOutcome (FHIR R4, 2.36), and the codes of each kind of failure.

R4's issue code is coarse; our own error code is in `details`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from fhir_gateway.fhir.vocabulary import ERROR_CODE, LAST_SOURCE_SYNC
from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.model.errors import Category, GatewayError, Party, Refused
from fhir_gateway.model.source import SourceOutcome, SourceProblem
from fhir_gateway.model.timekeeping import instant_text

__all__ = [
    "ISSUE_CODES",
    "Faults",
    "Issue",
    "Problem",
    "ProblemKind",
    "Severity",
    "error_code_of",
    "issue_from_error",
    "issue_from_source_outcome",
    "operation_outcome",
]

ISSUE_CODES: Final = {
    Category.INCORRECT: "business-rule",
    Category.UNAUTHENTICATED: "login",
    Category.NOT_PERMITTED: "forbidden",
    Category.NOT_FOUND: "not-found",
    Category.UNSUPPORTED: "not-supported",
    Category.FORBIDDEN: "forbidden",
    Category.CONFLICT: "conflict",
    Category.STALE: "conflict",
    Category.TAKEN: "conflict",
    Category.REFUSED: "business-rule",
    Category.LIMITED: "throttled",
    Category.BUSY: "throttled",
    Category.UNAVAILABLE: "transient",
    Category.FAULT: "exception",
    Category.UNCONFIRMED: "incomplete",
}

_ERROR_CODES: Final = {
    Category.INCORRECT: ErrorCode.RULE_IS_BROKEN,
    Category.UNAUTHENTICATED: ErrorCode.ACCESS_TOKEN_IS_INVALID,
    Category.NOT_PERMITTED: ErrorCode.ACCESS_IS_NOT_PERMITTED,
    Category.NOT_FOUND: ErrorCode.APPOINTMENT_DOES_NOT_EXIST,
    Category.UNSUPPORTED: ErrorCode.REGION_CANNOT_EXPRESS_IT,
    Category.FORBIDDEN: ErrorCode.APPOINTMENT_IS_NOT_ALLOWED,
    Category.CONFLICT: ErrorCode.APPOINTMENT_IS_NOT_AS_REQUIRED,
    Category.STALE: ErrorCode.APPOINTMENT_IS_ALREADY_UPDATED,
    Category.TAKEN: ErrorCode.REQUESTED_TIME_IS_NO_LONGER_AVAILABLE,
    Category.REFUSED: ErrorCode.REGION_REFUSED,
    Category.LIMITED: ErrorCode.LIMIT_IS_REACHED,
    Category.BUSY: ErrorCode.GATEWAY_IS_BUSY,
    Category.UNAVAILABLE: ErrorCode.REGION_IS_UNAVAILABLE,
    Category.FAULT: ErrorCode.GATEWAY_FAILED,
    Category.UNCONFIRMED: ErrorCode.REGION_LEFT_OUTCOME_UNKNOWN,
}
# Codes that depend on the party that caused the failure.
_ERROR_CODES_OF_PARTY: Final = {
    (Category.TAKEN, Party.CLIENT): ErrorCode.REQUESTED_TIME_IS_ALREADY_RESERVED,
    (Category.BUSY, Party.REGION): ErrorCode.REGION_IS_BUSY,
    (Category.UNAVAILABLE, Party.GATEWAY): ErrorCode.GATEWAY_IS_UNAVAILABLE,
    (Category.UNAVAILABLE, Party.PLATFORM): ErrorCode.PLATFORM_IS_UNAVAILABLE,
    (Category.UNCONFIRMED, Party.PLATFORM): ErrorCode.PLATFORM_LEFT_OUTCOME_UNKNOWN,
}
# The error codes of faults in the request itself.
_ERROR_CODES_OF_ISSUES: Final = {
    "structure": ErrorCode.REQUEST_IS_MALFORMED,
    "timeout": ErrorCode.REQUEST_IS_MALFORMED,
    "required": ErrorCode.ELEMENT_IS_MISSING,
    "value": ErrorCode.VALUE_IS_INVALID,
    "code-invalid": ErrorCode.VALUE_IS_INVALID,
    "invariant": ErrorCode.VALUE_IS_INVALID,
    "not-supported": ErrorCode.NOT_SUPPORTED,
    "security": ErrorCode.PERSONAL_NUMBER_IN_URL,
    "too-long": ErrorCode.TOO_LARGE,
    "too-costly": ErrorCode.TOO_COSTLY,
    "not-found": ErrorCode.NOT_FOUND,
    "processing": ErrorCode.CANNOT_BE_PROCESSED,
    "business-rule": ErrorCode.RULE_IS_BROKEN,
    "conflict": ErrorCode.APPOINTMENT_IS_NOT_AS_REQUIRED,
    "duplicate": ErrorCode.REQUEST_IS_IN_PROGRESS,
    "multiple-matches": ErrorCode.SEVERAL_APPOINTMENTS_FIT,
    "throttled": ErrorCode.GATEWAY_IS_BUSY,
    "transient": ErrorCode.GATEWAY_IS_UNAVAILABLE,
    "exception": ErrorCode.GATEWAY_FAILED,
    "informational": ErrorCode.DONE,
    "incomplete": ErrorCode.REGION_ANSWERED_IN_PART,
}

# Faults with one issue code, found by this server or by a source's directory.
_ISSUE_CODES_OF_ERROR_CODES: Final = {
    ErrorCode.ELEMENT_IS_MISSING: "required",
    ErrorCode.REQUESTED_TIME_DOES_NOT_EXIST: "not-found",
}

_SOURCE_CODES: Final = {
    SourceProblem.NOT_YET_ASKED: ("incomplete", ErrorCode.TIMES_ARE_NOT_KNOWN_YET),
    SourceProblem.UNAVAILABLE: ("transient", ErrorCode.REGION_IS_UNAVAILABLE),
    SourceProblem.STALE: ("incomplete", ErrorCode.TIMES_ARE_OLD),
    SourceProblem.CACHED: ("informational", ErrorCode.TIMES_ARE_OLD),
    SourceProblem.INCOMPLETE: ("incomplete", ErrorCode.REGION_ANSWERED_IN_PART),
    SourceProblem.NOT_ASKED: ("informational", ErrorCode.REGION_IS_NOT_ASKED),
}


class Severity(Enum):
    """IssueSeverity."""

    ERROR = "error"
    WARNING = "warning"
    INFORMATION = "information"


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """
    One issue of an OperationOutcome.

    Attributes:
        code: An IssueType code.
        error_code: The exact fault; None where `code` says enough.
        diagnostics: One sentence that a client developer can act on.
        text: The region's own text, which a client must show to the resident.
        expression: Where in the resource, as FHIRPath.
        parameter: The search parameter or header.
        extensions: Extensions of the issue.
    """

    code: str
    error_code: ErrorCode | None = None
    diagnostics: str | None = None
    text: str | None = None
    severity: Severity = Severity.ERROR
    expression: str | None = None
    parameter: str | None = None
    extensions: tuple[dict[str, Any], ...] = ()


class ProblemKind(Enum):
    """
    The kind of a refused request.

    `web/errors.py` maps each kind to an HTTP status.
    """

    MALFORMED = "malformed"
    """The request cannot be read, or asks for something impossible."""
    UNPROCESSABLE = "unprocessable"
    """The request can be read, and breaks a rule."""
    NOT_FOUND = "not-found"
    GONE = "gone"
    """It will never be there again."""
    CONFLICT = "conflict"
    PRECONDITION_FAILED = "precondition-failed"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    NOT_ACCEPTABLE = "not-acceptable"
    """This server has no media type that the client accepts."""
    UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type"
    LENGTH_REQUIRED = "length-required"
    """A body may follow, with an unknown end."""
    TARGET_TOO_LONG = "target-too-long"
    HEAD_TOO_LARGE = "head-too-large"
    MISDIRECTED = "misdirected"
    """The request is for another server."""
    NOT_IMPLEMENTED = "not-implemented"
    INCOMPLETE = "incomplete"
    """A part of the answer is missing, and the client refuses the rest."""


class Problem(Exception):
    """
    A refused request, with all of its faults.

    Args:
        issues: At least one.
        kind: The kind of the refusal.
        headers: Further headers of the answer.
    """

    def __init__(
        self,
        issues: Sequence[Issue],
        *,
        kind: ProblemKind,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(f"{len(issues)} issues, {kind.value}")
        self.issues = tuple(issues)
        self.kind = kind
        self.headers = headers or {}


class Faults:
    """
    The faults of a request from several checks, for one answer.

    Each check runs in a `with` of its own, which collects the Problem that it raises.
    """

    def __init__(self) -> None:
        self._problems: list[Problem] = []

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        if isinstance(error, Problem):
            self._problems.append(error)
            return True
        return False

    def check(self) -> None:
        """
        Refuse the request if anything is wrong.

        Raises:
            Problem: With all issues, and the kind of the first fault.
        """
        if self._problems:
            first, *_ = self._problems
            raise Problem(
                [issue for each in self._problems for issue in each.issues],
                kind=first.kind,
                headers=first.headers,
            )


def operation_outcome(issues: Iterable[Issue]) -> dict[str, Any]:
    """Return an OperationOutcome; R4 requires at least one issue."""
    return {
        "resourceType": "OperationOutcome",
        "issue": [_issue(issue) for issue in issues],
    }


def error_code_of(error: GatewayError) -> ErrorCode:
    """Return the error code of an error, and the party that caused it."""
    error_code = error.error_code or error.default_error_code
    if error_code is not None:
        return error_code
    return _ERROR_CODES_OF_PARTY.get(
        (error.category, error.party), _ERROR_CODES[error.category]
    )


def issue_from_error(error: GatewayError) -> Issue:
    """Return the issue that reports an error to a client."""
    is_regions_words = error.quotes_region and error.message != Refused.UNEXPLAINED
    error_code = error_code_of(error)
    return Issue(
        code=_ISSUE_CODES_OF_ERROR_CODES.get(error_code, ISSUE_CODES[error.category]),
        error_code=error_code,
        diagnostics=str(error) if not is_regions_words else None,
        text=error.message if is_regions_words else None,
    )


def issue_from_source_outcome(outcome: SourceOutcome) -> Issue:
    """Return the issue that reports a source's missing part to a client."""
    extensions: tuple[dict[str, Any], ...] = ()
    if outcome.since is not None:
        extensions = (
            {
                "url": LAST_SOURCE_SYNC,
                "valueDateTime": instant_text(outcome.since),
            },
        )
    code, error_code = _SOURCE_CODES[outcome.problem]
    return Issue(
        severity=(Severity.WARNING if outcome.is_missing else Severity.INFORMATION),
        code=code,
        error_code=error_code,
        diagnostics=f"{outcome.detail} (source {outcome.source})",
        extensions=extensions,
    )


def _issue(issue: Issue) -> dict[str, Any]:
    element: dict[str, Any] = {}
    if issue.extensions:
        element["extension"] = list(issue.extensions)
    element["severity"] = issue.severity.value
    element["code"] = issue.code
    error_code = issue.error_code or _ERROR_CODES_OF_ISSUES[issue.code]
    element["details"] = {
        "coding": [{"system": ERROR_CODE, "code": error_code.value}],
        **({} if issue.text is None else {"text": issue.text}),
    }
    if issue.diagnostics is not None:
        element["diagnostics"] = issue.diagnostics
    if issue.parameter is not None:
        # R4: for a fault of the HTTP request, "http." and the parameter's name.
        element["location"] = [f"http.{issue.parameter}"]
    if issue.expression is not None:
        element["expression"] = [issue.expression]
    return element
