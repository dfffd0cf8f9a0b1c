"""
The head of a request: the checks before any further reading of the request.

RFC 9110 and 9112; the limits are those of `fhir/limits.py`. This server refuses a head
that a proxy in front could read differently, so that no client evades the proxy's rules
for paths, methods and hosts.
"""

import re
from collections.abc import Container
from typing import Final
from wsgiref.types import WSGIEnvironment

from werkzeug.exceptions import NotFound

from fhir_gateway.fhir.limits import (
    MOST_HEADER_BYTES,
    MOST_HEADERS,
    MOST_TARGET_BYTES,
)
from fhir_gateway.fhir.outcome import Issue, Problem, ProblemKind
from fhir_gateway.web.personal_text import holds_personal_number
from fhir_gateway.web.request_body import is_unbounded

__all__ = ["FIELDS", "HEALTH", "REPEATED", "UNDERSCORED", "check_head", "host_of"]

FIELDS: Final = "fhir_gateway.fields"
"""The key in a WSGI environment of the header fields' number and bytes."""

REPEATED: Final = "fhir_gateway.repeated"
"""The key in a WSGI environment of the fields that came more than once."""

UNDERSCORED: Final = "fhir_gateway.underscored"
"""The key in a WSGI environment of the ignored fields: their names with underscores."""

HEALTH: Final = "/health"

_MOST_OF_METHOD: Final = 16
_METHOD: Final = re.compile(r"[A-Z]+")
_LAST_PORT: Final = 65_535
_LENGTH: Final = re.compile(r"[0-9]{1,19}")
# RFC 9700, 4.3.2: who may read a log may read a URL.
_TOKEN_IN_QUERY: Final = re.compile(r"(?:^|[&;])access(?:_|%5f)token=", re.IGNORECASE)
_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9.\-]+)(?::(?P<port>[0-9]{1,5}))?")
# All fields that this server reads.
_READ: Final = {
    "HTTP_" + name.upper().replace("-", "_"): name
    for name in (
        *("Host", "Accept", "Prefer", "If-Match", "If-None-Match", "If-None-Exist"),
        "Authorization",
        *("If-Modified-Since", "Accept-Encoding"),
        *("Idempotency-Key", "X-Request-Id", "Content-Encoding", "Transfer-Encoding"),
        *("Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"),
    )
} | {"CONTENT_TYPE": "Content-Type"}


# Two values of one of these would be read as a third one.
_SINGLE: Final = {
    "HTTP_AUTHORIZATION": "Authorization",
    "HTTP_IDEMPOTENCY_KEY": "Idempotency-Key",
    "HTTP_IF_NONE_EXIST": "If-None-Exist",
}


def host_of(text: str) -> str | None:
    """Return the host in a `Host` field, without port and brackets, or None."""
    match = _HOST.fullmatch(text.lower())
    if match is None or int(match["port"] or 0) > _LAST_PORT:
        return None
    return match[1].strip("[]").removesuffix(".")


def check_head(environ: WSGIEnvironment, hosts: Container[str]) -> None:
    """
    Check the head of a request.

    Args:
        environ: The WSGI environment (PEP 3333).
        hosts: The names of this server.

    Raises:
        Problem: 400, 405, 411, 414, 415, 421, 431 or 501; it repeats nothing of the
            head.
        NotFound: The path has an empty segment.
    """
    _check_size(environ)
    if len(environ["REQUEST_METHOD"]) > _MOST_OF_METHOD:
        raise _problem(
            ProblemKind.METHOD_NOT_ALLOWED,
            "not-supported",
            f"No method has more than {_MOST_OF_METHOD} letters.",
        )
    if not _METHOD.fullmatch(environ["REQUEST_METHOD"]):
        raise _problem(
            ProblemKind.METHOD_NOT_ALLOWED,
            "not-supported",
            "Methods are written in capitals.",
        )
    for key in environ.get(REPEATED, ()):
        if name := _SINGLE.get(key):
            raise _problem(
                ProblemKind.MALFORMED, "value", f"Send one {name}.", parameter=name
            )
    path = _check_target(environ)
    for key, name in _READ.items():
        value = environ.get(key)
        if value is not None and not value.isascii():
            raise _problem(
                ProblemKind.MALFORMED,
                "value",
                f"{name} has a byte that is no ASCII.",
                parameter=name,
            )
    # A health probe may know only the address of this process.
    if path != HEALTH:
        _check_host(environ.get("HTTP_HOST", ""), hosts)
    _check_body(environ)
    if _TOKEN_IN_QUERY.search(environ.get("QUERY_STRING", "")):
        raise _problem(
            ProblemKind.MALFORMED,
            "value",
            "An access token must not be in a URL, where logs and caches would keep it:"
            " send it in the field Authorization, and get a new one.",
        )
    if holds_personal_number(environ):
        raise _problem(
            ProblemKind.MALFORMED,
            "security",
            "A personal number must not be in a URL, where logs and caches would keep"
            " it: send it in the body of a POST.",
        )


def _check_size(environ: WSGIEnvironment) -> None:
    if len(_target(environ)) > MOST_TARGET_BYTES:
        raise _problem(
            ProblemKind.TARGET_TOO_LONG,
            "too-long",
            f"The URL has more than {MOST_TARGET_BYTES} bytes: search by POST to"
            " _search instead.",
        )
    count, size = environ.get(FIELDS) or _fields(environ)
    if count > MOST_HEADERS:
        raise _problem(
            ProblemKind.HEAD_TOO_LARGE,
            "too-long",
            f"The request has more than {MOST_HEADERS} header fields.",
        )
    if size > MOST_HEADER_BYTES:
        raise _problem(
            ProblemKind.HEAD_TOO_LARGE,
            "too-long",
            f"The header fields have more than {MOST_HEADER_BYTES} bytes.",
        )


def _fields(environ: WSGIEnvironment) -> tuple[int, int]:
    """Return count and size of the fields, for a web server other than our own."""
    sizes = [
        len(name) + len(value)
        for name, value in environ.items()
        if name.startswith("HTTP_")
    ]
    return len(sizes), sum(sizes)


def _target(environ: WSGIEnvironment) -> str:
    target: str = environ.get("REQUEST_URI") or environ["PATH_INFO"]
    return target


def _check_target(environ: WSGIEnvironment) -> str:
    """Return the path as the client sent it."""
    path = _target(environ).partition("?")[0]
    if not path.startswith("/"):
        raise _problem(
            ProblemKind.MALFORMED,
            "value",
            "The request's target must be a path that begins with /.",
        )
    if "%" in path:
        raise _problem(
            ProblemKind.MALFORMED,
            "value",
            "Write the path without percent signs: nothing that is served here needs"
            " them.",
        )
    if "//" in path:
        # Werkzeug ignores additional slashes at the beginning.
        raise NotFound
    return path


def _check_host(host: str, hosts: Container[str]) -> None:
    name = host_of(host)
    if name is None:
        raise _problem(
            ProblemKind.MALFORMED,
            "value",
            "Send one Host, with a name or address.",
            parameter="Host",
        )
    if name not in hosts:
        raise _problem(
            ProblemKind.MISDIRECTED,
            "not-supported",
            "This server does not answer to that Host. Its operator lists the names in"
            " FHIR_GATEWAY_ALLOWED_HOSTS.",
            parameter="Host",
        )


def _check_body(environ: WSGIEnvironment) -> None:
    length = environ.get("CONTENT_LENGTH")
    if length and not _LENGTH.fullmatch(length):
        raise _problem(
            ProblemKind.MALFORMED,
            "value",
            "Content-Length must be one whole number.",
            parameter="Content-Length",
        )
    if is_unbounded(environ):
        raise _problem(
            ProblemKind.LENGTH_REQUIRED,
            "structure",
            "HTTP/1.0 needs the body's Content-Length, also of an empty one, and has no"
            " Transfer-Encoding. Nothing was done.",
            parameter="Content-Length",
        )
    if environ.get("HTTP_TRANSFER_ENCODING", "chunked").strip().lower() != "chunked":
        raise _problem(
            ProblemKind.NOT_IMPLEMENTED,
            "not-supported",
            "Transfer-Encoding can be chunked and nothing else.",
            parameter="Transfer-Encoding",
        )
    if environ.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() != "identity":
        raise _problem(
            ProblemKind.UNSUPPORTED_MEDIA_TYPE,
            "not-supported",
            "Send the body without a Content-Encoding.",
            parameter="Content-Encoding",
            # RFC 9110, 15.5.16: the answer names the accepted coding.
            headers={"Accept-Encoding": "identity"},
        )


def _problem(
    kind: ProblemKind,
    code: str,
    diagnostics: str,
    *,
    parameter: str | None = None,
    headers: dict[str, str] | None = None,
) -> Problem:
    return Problem(
        [Issue(code=code, diagnostics=diagnostics, parameter=parameter)],
        kind=kind,
        headers=headers,
    )
