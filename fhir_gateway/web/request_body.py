"""
The body of a request: it is read whole before any view acts on the request.

RFC 9112, 8: a message that broke off is incomplete, and this server does nothing of it.
"""

from collections.abc import Callable
from typing import Final, NoReturn
from wsgiref.types import WSGIEnvironment

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge, RequestTimeout

from fhir_gateway.fhir.outcome import Issue, Problem, ProblemKind

__all__ = [
    "BROKEN_OFF",
    "LATE",
    "TOO_MANY_PIECES",
    "UnreadBody",
    "is_unbounded",
    "take_body",
]

# Granian raises the first, ASGI the second.
_OLDER: Final = frozenset({"HTTP/1", "HTTP/1.0"})
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})


class UnreadBody:
    """
    The input (PEP 3333) of a request with an incomplete body.

    Args:
        fault: Makes the error that each read raises.
    """

    def __init__(self, fault: Callable[[], Exception]) -> None:
        self._fault = fault

    def read(self, _: int = -1, /) -> NoReturn:
        """Refuse."""
        raise self._fault()


def is_unbounded(environ: WSGIEnvironment) -> bool:
    """
    Return whether a body of unknown length may follow a request.

    HTTP/1.0 has no chunks, and a body there needs a Content-Length (RFC 1945, 7.2.2;
    RFC 9112, 6.1). Without both, HTTP/1.1 says that there is no body (RFC 9112, 6.3).
    """
    return environ["SERVER_PROTOCOL"] in _OLDER and (
        "HTTP_TRANSFER_ENCODING" in environ
        or (
            environ["REQUEST_METHOD"] in _WITH_BODY
            and not environ.get("CONTENT_LENGTH")
        )
    )


def take_body(most_bytes: int) -> None:
    """
    Read the body of the present request, whether or not a view uses it.

    Args:
        most_bytes: The limit of its size.

    Raises:
        RequestEntityTooLarge: It, or its stated length, is larger.
        Problem: 400 when the body broke off.
        RequestTimeout: It did not arrive in time.
    """
    environ = request.environ
    if environ.get("CONTENT_LENGTH") or "HTTP_TRANSFER_ENCODING" in environ:
        # Nothing was read of a body with a too large stated length. Of one without a
        # length, Werkzeug silently drops what exceeds its limit.
        request.max_content_length = most_bytes + 1
        if (request.content_length or 0) > most_bytes:
            raise RequestEntityTooLarge
        if len(request.get_data()) > most_bytes:
            raise RequestEntityTooLarge


def _broken_off() -> Problem:
    return Problem(
        [
            Issue(
                code="structure",
                diagnostics=(
                    "The body broke off, or its chunks cannot be read. Nothing was"
                    " done: send the request again, whole."
                ),
            )
        ],
        kind=ProblemKind.MALFORMED,
    )


LATE: Final = UnreadBody(RequestTimeout)
"""The input of a request with a body that did not arrive in time."""

BROKEN_OFF: Final = UnreadBody(_broken_off)
"""The input of a request with a body that broke off."""

TOO_MANY_PIECES: Final = UnreadBody(RequestEntityTooLarge)
"""The input of a request with a body that arrived in too many pieces."""
