"""
The header fields of every answer that keep a browser from misusing it.

They follow OWASP's REST Security Cheat Sheet. An answer is a document, and no
page: nothing may run in it, frame it or guess another type. The few pages may run
scripts of this server, and nothing else. Pages of other origins read an answer
only where the operator lists their origin (CORS in the Fetch standard, section 3.2).
A request carries its right in `Authorization` and not in a cookie, so that credentials
in the sense of CORS are never allowed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from wsgiref.types import StartResponse, WSGIEnvironment

from flask import Response

__all__ = ["AnswerHeaders"]

Fields = list[tuple[str, str]]

_ALWAYS: Final = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    # A cache must not give one form of an answer to a client that wants another.
    ("Vary", "Accept, Accept-Encoding, Accept-Language"),
)
_POLICY: Final = "Content-Security-Policy"
_NO_PAGE: Final = (_POLICY, "default-src 'none'; frame-ancestors 'none'")
_OWN_PAGE: Final = (
    _POLICY,
    (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
        " connect-src 'self'; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'"
    ),
)
# RFC 6797: a year.
_TLS_ONLY: Final = ("Strict-Transport-Security", "max-age=31536000")

# SMART App Launch 2.2, 2.0.9.4: pages of any origin may read how to get in.
_PUBLIC: Final = frozenset({"/fhir/metadata", "/fhir/.well-known/smart-configuration"})
_METHODS: Final = "GET, HEAD, POST, PUT, PATCH"
_SENT: Final = ", ".join(
    (
        *("Accept", "Authorization", "Content-Type", "Idempotency-Key", "If-Match"),
        *("If-Modified-Since", "If-None-Exist", "If-None-Match", "Prefer"),
        "X-Request-Id",
    )
)
_EXPOSED: Final = ", ".join(
    (
        *(
            "Accept-Patch",
            "Allow",
            "Content-Location",
            "Date",
            "ETag",
            "Last-Modified",
            "Location",
        ),
        *("Preference-Applied", "Retry-After", "WWW-Authenticate", "X-Request-Id"),
    )
)
_PREFLIGHT_HOLDS_S: Final = "600"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerHeaders:
    """
    The header fields that this server adds to each answer.

    Attributes:
        origins: The origins of the web pages that may read answers, as browsers write
            them; without any, there is no CORS at all.
        is_https: Clients use TLS.
        pages: The paths of pages, which may run scripts of this server.
    """

    origins: frozenset[str]
    is_https: bool
    pages: frozenset[str] = frozenset()

    def fields(self, environ: WSGIEnvironment) -> Fields:
        """Return the fields for the answer to a request."""
        is_page = environ["PATH_INFO"] in self.pages
        fields = [*_ALWAYS, _OWN_PAGE if is_page else _NO_PAGE]
        if self.is_https:
            fields.append(_TLS_ONLY)
        if not self.origins:
            return fields
        # A cache must not give one origin's answer to another, nor to none.
        fields.append(("Vary", "Origin"))
        allowed = self._allowed(environ)
        if allowed is not None:
            fields.append(("Access-Control-Allow-Origin", allowed))
            fields.append(("Access-Control-Expose-Headers", _EXPOSED))
        return fields

    def preflight(self, environ: WSGIEnvironment) -> Response | None:
        """Return the answer to a browser's preflight, or None for another request."""
        if (
            environ["REQUEST_METHOD"] != "OPTIONS"
            or "HTTP_ACCESS_CONTROL_REQUEST_METHOD" not in environ
            or self._allowed(environ) is None
        ):
            return None
        answer = Response(
            status=204,
            headers=[
                ("Access-Control-Allow-Methods", _METHODS),
                ("Access-Control-Allow-Headers", _SENT),
                ("Access-Control-Max-Age", _PREFLIGHT_HOLDS_S),
                (
                    "Vary",
                    "Access-Control-Request-Method, Access-Control-Request-Headers",
                ),
            ],
        )
        # It has no body.
        del answer.headers["Content-Type"]
        return answer

    def added_by(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> StartResponse:
        """Return a `start_response` that adds the fields to an answer."""

        def start(
            status: str,
            headers: Fields,
            exc_info: Any = None,  # noqa: ANN401 - PEP 3333 leaves its type open
            /,
        ) -> Callable[[bytes], object]:
            return start_response(status, headers + self.fields(environ), exc_info)

        return start

    def _allowed(self, environ: WSGIEnvironment) -> str | None:
        """Return whom the answer allows to read it; None for nobody."""
        origin: str | None = environ.get("HTTP_ORIGIN")
        if origin is None or not self.origins:
            return None
        if environ["PATH_INFO"] in _PUBLIC:
            return "*"
        return origin if origin in self.origins else None
