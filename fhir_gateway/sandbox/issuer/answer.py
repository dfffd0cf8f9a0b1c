"""
How the issuer reads forms and writes answers: JSON, pages, and their headers.
"""

import base64
import hashlib
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import orjson
from flask import Response, request
from werkzeug.exceptions import HTTPException

from fhir_gateway.sandbox.issuer.login_page import STYLE
from fhir_gateway.sandbox.issuer.oauth_error import ErrorName, OAuthError
from fhir_gateway.sandbox.issuer.parameters import parameters_from

__all__ = [
    "failed",
    "form_parameters",
    "json_answer",
    "open_to_browsers",
    "page",
    "protected",
    "refused",
    "unauthenticated",
]

_FORM: Final = "application/x-www-form-urlencoded"
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()


def form_parameters() -> Mapping[str, str]:
    """
    Return the parameters of a form.

    Raises:
        OAuthError: They are in the URL, which logs keep, or in another format.
    """
    if request.mimetype != _FORM:
        raise OAuthError(ErrorName.INVALID_REQUEST, f"The body must be {_FORM}.")
    if request.args:
        raise OAuthError(
            ErrorName.INVALID_REQUEST, "Parameters belong in the body, not in the URL."
        )
    return parameters_from(request.form)


def refused(error: OAuthError) -> Response:
    """Return the answer to a request that the issuer refuses (RFC 6749, 5.2)."""
    return open_to_browsers(json_answer(error.as_mapping(), HTTPStatus.BAD_REQUEST))


def failed(error: HTTPException) -> Response:
    """Return the answer to a request that no route takes."""
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    answer = OAuthError(ErrorName.INVALID_REQUEST, HTTPStatus(status).phrase + ".")
    response = json_answer(answer.as_mapping(), status)
    for name, value in error.get_headers():
        if name == "Allow":
            response.headers[name] = value
    return response


def unauthenticated(error: Mapping[str, str] | None) -> Response:
    """Return 401 (RFC 7662, 2.3; RFC 6750, 3): without an error where nobody asked."""
    response = json_answer(error or {}, HTTPStatus.UNAUTHORIZED)
    challenge = "Bearer"
    if error is not None and error["error"] == "invalid_token":
        challenge = 'Bearer error="invalid_token"'
    response.headers["WWW-Authenticate"] = challenge
    return response


def json_answer(data: object, status: int = HTTPStatus.OK) -> Response:
    """Return an answer of JSON."""
    return Response(orjson.dumps(data), status, content_type="application/json")


def page(
    html: str, status: int = HTTPStatus.OK, *, redirects_to: str | None = None
) -> Response:
    """
    Return a page.

    Args:
        html: The page.
        status: Its status.
        redirects_to: Where the answer of its form is redirected to: browsers let a
            form lead only where the policy says.
    """
    targets = "'none'"
    if redirects_to is not None:
        parts = urlsplit(redirects_to)
        targets = f"'self' {parts.scheme}://{parts.netloc}"
    response = Response(html, status, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action {targets};"
        " frame-ancestors 'none'; base-uri 'none'"
    )
    return response


def open_to_browsers(response: Response) -> Response:
    """Let programs in browsers read an answer, from any origin (SMART 2.2)."""
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response


def protected(response: Response) -> Response:
    """Keep tokens and codes out of caches (RFC 6749, 5.1) and out of other sites."""
    if request.method == "OPTIONS":
        open_to_browsers(response)
        response.headers["Access-Control-Allow-Methods"] = "GET, POST"
        response.headers["Access-Control-Allow-Headers"] = "Accept, Content-Type"
    response.headers["Cache-Control"] = "no-store"
    response.headers["Pragma"] = "no-cache"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
