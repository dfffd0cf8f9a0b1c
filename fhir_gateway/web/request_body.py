"""
The body of a request: taken whole before anything is done with the request.

RFC 9112, 8: a message that broke off is incomplete, and nothing of it is processed.
"""

from collections.abc import Callable
from typing import Final, NoReturn
from wsgiref.types import WSGIEnvironment

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge, RequestTimeout

from fhir_gateway.fhir.outcome import Issue, Problem, ProblemKind

__all__ = ["BROKEN_OFF", "LATE", "UnreadBody", "is_unbounded", "take_body"]

# ASGI has the second; Granian, the first.
_OLDER: Final = frozenset({"HTTP/1", "HTTP/1.0"})
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})


class UnreadBody:
    """
    The input (PEP 3333) of a request whose body is not there whole.

    Args:
        fault: Makes the error that each attempt to read raises.
    """

    def __init__(self, fault: Callable[[], Exception]) -> None:
        self._fault = fault

    def read(self, _: int = -1, /) -> NoReturn:
        """Refuse."""
        raise self._fault()


def is_unbounded(environ: WSGIEnvironment) -> bool:
    """
    Return whether nobody can say if a request has a body, and where that ends.

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
    Take the body of the present request, whether or not anything reads it later.

    Args:
        most_bytes: How large it may be.

    Raises:
        RequestEntityTooLarge: It is larger, or its length says so.
        Problem: 400, the body broke off.
        RequestTimeout: It did not arrive in time.
    """
    environ = request.environ
    if environ.get("CONTENT_LENGTH") or "HTTP_TRANSFER_ENCODING" in environ:
        # Of a body with too large a length nothing has been read. Of one without a
        # length Werkzeug drops, without a word, what exceeds the most that it takes.
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
"""The input of a request whose body did not arrive in time."""

BROKEN_OFF: Final = UnreadBody(_broken_off)
"""The input of a request whose body ended before its end."""
