"""
`X-Request-Id`: a client's name for an exchange, to find it again in logs.

FHIR R4, 3.1.0.9: it is for tracing alone. The answer repeats it unchanged, and it has
no other effect: a client may use the same for several requests of one task.
"""

import re
from typing import Final

from flask import Response, has_request_context, request

from fhir_gateway.web.personal_text import escapes_personal_number

__all__ = ["echo_request_id", "present_request_id"]

_NAME: Final = "X-Request-Id"
_ECHOED: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")


def echo_request_id(response: Response) -> Response:
    """
    Add the request's id to an answer, unless it is unfit for a header or for logs.

    Unfit is an id with other characters than visible ASCII (blanks only between
    others), with more than 255 characters, or with a personal number.
    """
    given = present_request_id()
    if given is not None:
        response.headers[_NAME] = given
    return response


def present_request_id() -> str | None:
    """Return the id of the present request; None without one that is fit."""
    if not has_request_context():
        return None
    given = request.headers.get(_NAME)
    if given is None or not _ECHOED.fullmatch(given) or escapes_personal_number(given):
        return None
    return given
