"""
Failures as HTTP: the only module with status codes of errors.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from math import ceil
from typing import Final
from uuid import uuid4

import structlog
from flask import Flask, Response, has_request_context, request
from werkzeug.exceptions import HTTPException

from fhir_gateway.fhir.limits import (
    MOST_BODY_PIECES,
    MOST_FORM_BYTES,
    MOST_JSON_BYTES,
    MOST_SENT_BACK_BYTES,
)
from fhir_gateway.fhir.outcome import (
    Issue,
    Problem,
    ProblemKind,
    issue_from_error,
    operation_outcome,
)
from fhir_gateway.model.errors import (
    Busy,
    Category,
    GatewayError,
    LimitReached,
    NotPermitted,
    Unauthenticated,
)
from fhir_gateway.model.fault_place import fault_place
from fhir_gateway.national.engagement_index import SoapAnswer, soap_fault
from fhir_gateway.rivta.envelope import CONTENT_TYPE
from fhir_gateway.web.exchange import fhir_response

__all__ = [
    "MEANINGS",
    "OF_ALL",
    "OF_BODIES",
    "OF_CHANGES",
    "PROBLEM_STATUSES",
    "STATUSES",
    "error_response",
    "from_bug",
    "overloaded",
    "register_error_handlers",
    "soap_response",
]

_log = structlog.get_logger()

STATUSES: Final = {
    Category.INCORRECT: 422,
    Category.UNAUTHENTICATED: 401,
    Category.NOT_PERMITTED: 403,
    Category.NOT_FOUND: 404,
    Category.UNSUPPORTED: 422,
    Category.FORBIDDEN: 422,
    Category.CONFLICT: 409,
    Category.STALE: 412,
    Category.TAKEN: 409,
    Category.REFUSED: 422,
    Category.LIMITED: 429,
    Category.BUSY: 503,
    Category.UNAVAILABLE: 503,
    Category.FAULT: 500,
    Category.UNCONFIRMED: 202,
}

PROBLEM_STATUSES: Final = {
    ProblemKind.MALFORMED: 400,
    ProblemKind.UNPROCESSABLE: 422,
    ProblemKind.NOT_FOUND: 404,
    ProblemKind.GONE: 410,
    ProblemKind.CONFLICT: 409,
    ProblemKind.PRECONDITION_FAILED: 412,
    ProblemKind.METHOD_NOT_ALLOWED: 405,
    ProblemKind.NOT_ACCEPTABLE: 406,
    ProblemKind.UNSUPPORTED_MEDIA_TYPE: 415,
    ProblemKind.LENGTH_REQUIRED: 411,
    ProblemKind.TARGET_TOO_LONG: 414,
    ProblemKind.HEAD_TOO_LARGE: 431,
    ProblemKind.MISDIRECTED: 421,
    ProblemKind.NOT_IMPLEMENTED: 501,
    ProblemKind.INCOMPLETE: 503,
}

MEANINGS: Final = {
    400: "The request cannot be understood.",
    401: "An access token is missing, or cannot be used.",
    403: "The token does not permit it.",
    404: "There is no such thing.",
    405: "This URL does not have the method.",
    406: "None of the accepted formats is offered.",
    408: "The body did not arrive in time.",
    409: "The present state does not permit it, or the time is taken.",
    410: "It is gone.",
    411: "The length of the body is missing.",
    412: "A condition is not met.",
    413: "The body is too large.",
    414: "The URL is too long.",
    415: "The body is of another media type.",
    421: "The request is for another host.",
    422: "A rule is broken, or the region refuses in its words.",
    429: "There are too many requests: Retry-After says when to try again.",
    431: "The header fields are too large.",
    500: "This server failed.",
    501: "The transfer coding is not known.",
    503: "A part is away: Retry-After says when to try again.",
}
"""What each status of a failure means, for the documents."""

OF_ALL: Final = frozenset(
    {400, 401, 403, 404, 405, 406, 408, 410, 414, 421, 429, 431, 500, 501, 503}
)
"""The statuses of failures that any request can meet."""

OF_BODIES: Final = frozenset({411, 413, 415})
"""The further ones of requests with a body."""

OF_CHANGES: Final = frozenset({409, 412, 422})
"""The further ones of requests that change something, and of operations."""

_MOST_ISSUES: Final = 100
_RETRY_AFTER_S: Final = "30"
# Below it everything is SOAP.
_SOAP: Final = "/rivta/"
_REALM: Final = "fhir-gateway"

_HTTP_ISSUES: Final = {
    404: (
        "not-found",
        "There is nothing at this URL; /fhir/metadata lists what this server has.",
    ),
    405: ("not-supported", "This URL does not allow this method; see /fhir/metadata."),
    408: ("timeout", "The body did not arrive in time: send it whole, at once."),
    413: (
        "too-long",
        (
            f"The body is too large: JSON has at most {MOST_JSON_BYTES} bytes"
            f" ({MOST_SENT_BACK_BYTES} where an Appointment is sent back), and a form"
            f" {MOST_FORM_BYTES}. It has at most {MOST_BODY_PIECES} chunks."
        ),
    ),
}


def register_error_handlers(app: Flask) -> None:
    """Register handlers that answer every failure with an OperationOutcome."""
    app.register_error_handler(Problem, _from_problem)
    app.register_error_handler(GatewayError, _from_gateway_error)
    app.register_error_handler(HTTPException, _from_http_exception)
    app.register_error_handler(Exception, from_bug)


def overloaded() -> Response:
    """Return the answer to a request that waited too long for a thread."""
    return error_response(
        Busy("Too many requests wait for the regions; send this one again later.")
    )


def _from_problem(problem: Exception) -> Response:
    if not isinstance(problem, Problem):
        raise problem
    issues = problem.issues
    if len(issues) > _MOST_ISSUES:
        more = Issue(
            code="too-costly",
            diagnostics=(
                f"There are {len(issues) - _MOST_ISSUES} more faults; mend these first."
            ),
        )
        issues = (*issues[:_MOST_ISSUES], more)
    return _failure(
        issues, status=PROBLEM_STATUSES[problem.kind], headers=problem.headers
    )


def _from_gateway_error(error: Exception) -> Response:
    if not isinstance(error, GatewayError):
        raise error
    return error_response(error)


def soap_response(answer: SoapAnswer) -> Response:
    """Return an answer over SOAP; a fault has the status of a failed server."""
    return Response(
        answer.body,
        status=500 if answer.is_fault else 200,
        content_type=CONTENT_TYPE,
    )


def _failure(
    issues: Sequence[Issue], *, status: int, headers: Mapping[str, str] | None = None
) -> Response:
    """Return an OperationOutcome, or a fault where the request is one of SOAP."""
    if not has_request_context() or not request.path.startswith(_SOAP):
        return fhir_response(
            operation_outcome(issues), status=status, headers=dict(headers or {})
        )
    response = soap_response(soap_fault(issues[0].diagnostics or ""))
    response.status_code = status
    response.headers.extend(headers or {})
    return response


def error_response(error: GatewayError) -> Response:
    """Return the answer that reports an error to a client."""
    status = STATUSES[error.category]
    headers = {}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = _RETRY_AFTER_S
    if isinstance(error, LimitReached):
        # Whole seconds, and never too early.
        headers["Retry-After"] = str(max(1, ceil(error.retry_after.total_seconds())))
    if challenge := _challenge(error):
        headers["WWW-Authenticate"] = challenge
    return _failure([issue_from_error(error)], status=status, headers=headers)


def _challenge(error: GatewayError) -> str | None:
    """Return what a client needs to be let in (RFC 6750, section 3)."""
    match error:
        case Unauthenticated(is_without_token=True):
            return f'Bearer realm="{_REALM}"'
        case Unauthenticated():
            return f'Bearer realm="{_REALM}", error="invalid_token"'
        case NotPermitted(scope=None):
            return f'Bearer realm="{_REALM}", error="insufficient_scope"'
        case NotPermitted(scope=scope):
            return (
                f'Bearer realm="{_REALM}", error="insufficient_scope", scope="{scope}"'
            )
    return None


def _from_http_exception(error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    status = error.code or 500
    code, diagnostics = _HTTP_ISSUES.get(
        status, ("processing", "The request cannot be processed.")
    )
    headers = {
        name: value
        for name, value in error.get_headers()
        if name not in ("Content-Type", "Content-Length")
    }
    return _failure(
        [Issue(code=code, diagnostics=diagnostics)], status=status, headers=headers
    )


def from_bug(error: Exception) -> Response:
    """Answer an unforeseen failure; the log gets only its class and place."""
    incident = str(uuid4())
    _log.error("unforeseen failure", incident=incident, **fault_place(error))
    return _failure(
        [
            Issue(
                code="exception",
                diagnostics=(
                    "The server failed; report to its operator the incident"
                    f" {incident}."
                ),
            )
        ],
        status=500,
    )
