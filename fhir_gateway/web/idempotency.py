"""
One request, one answer: a client that repeats a request gets the answer of the first.

What the client calls its request stands in `Idempotency-Key`, else `X-Request-Id`, else
`If-None-Exist` with an identifier (FHIR R4, 3.1.0.8.1). Where it says nothing, a
booking is recognised by its resident and its slot, as long as that stands.
"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import orjson
import structlog
from flask import Response, request

from fhir_gateway.fhir.outcome import Issue, Problem
from fhir_gateway.model.booking import ManagedBooking
from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.model.errors import Category, GatewayError
from fhir_gateway.stores.journal import Answer, RepeatedRequest, RequestKey
from fhir_gateway.web.errors import error_response
from fhir_gateway.web.exchange import fhir_response
from fhir_gateway.web.gateway import Gateway

__all__ = ["once", "request_key"]

_log = structlog.get_logger()

# Without access control all clients are one.
_CLIENT: Final = "anyone"
_LONGEST_KEY: Final = 255
_KEY: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_IDENTIFIER: Final = re.compile(r"\??identifier=[^&]*(?:\||%7[Cc])[^&|]+")
_IF_NONE_EXIST: Final = "If-None-Exist"
_HEADERS: Final = ("Idempotency-Key", "X-Request-Id", _IF_NONE_EXIST)

# Longer than a request can live: a look, a write, and a reading back.
_LEASE: Final = timedelta(seconds=100)
_RETRY_AFTER_S: Final = "5"
_ACCEPTED: Final = 202
_CREATED: Final = 201
_OK: Final = 200

# A no that stays a no. Any other failure may be another answer in a moment.
_DEFINITE: Final = frozenset(
    {Category.TAKEN, Category.REFUSED, Category.FORBIDDEN, Category.STALE}
)
_KEPT_HEADERS: Final = ("ETag", "Location", "Content-Location")


def request_key(said: object) -> RequestKey | None:
    """
    Return what the client calls its request; None when it does not say.

    Args:
        said: The body, as read from JSON.

    Raises:
        Problem: 400 when a header cannot be used.
    """
    for name in _HEADERS:
        value = request.headers.get(name)
        if value is None:
            continue
        _check(name, value)
        fingerprint = orjson.dumps(said, option=orjson.OPT_SORT_KEYS).decode()
        return RequestKey(
            client=_CLIENT,
            key=f"{name}: {value}",
            fingerprint=f"{request.method} {request.path}\n{fingerprint}",
        )
    return None


def once(
    gateway: Gateway,
    said: object,
    act: Callable[[RequestKey | None], tuple[ManagedBooking, Response]],
    draw: Callable[[ManagedBooking], Response],
) -> Response:
    """
    Return the answer to a request that changes something: the first one's to a repeat.

    A final answer is kept, also a definite no. One that says that nobody knows yet
    (202) is not: a repeat gets how it stands by then. When nothing could be done, or
    the request is wrong in itself, nothing is kept, and a repeat is tried anew.

    Args:
        gateway: The services.
        said: The body, as read from JSON and found to be in order.
        act: Does what is asked for, under the given key.
        draw: Answers how the booking stands that the request has come to.

    Raises:
        Problem: 400 for an unusable key, 409 while the first is being worked at, 422
            when the first said something else.
        GatewayError: As `act`.
    """
    key = request_key(said)
    if key is None:
        return act(None)[1]
    requests = gateway.journal.requests
    try:
        requests.begin(key, lease=_LEASE)
    except RepeatedRequest as repeated:
        return _again(gateway, key, repeated, draw)
    try:
        booking, response = act(key)
    except RepeatedRequest as repeated:
        # The first was slow rather than dead.
        return _again(gateway, key, repeated, draw)
    except GatewayError as error:
        if error.category not in _DEFINITE:
            _noted(lambda: requests.forget(key))
            raise
        response = error_response(error)
        _close(gateway, key, response, None)
        return response
    except BaseException:
        _noted(lambda: requests.forget(key))
        raise
    _close(gateway, key, response, booking.timeslot.start)
    return response


def _again(
    gateway: Gateway,
    key: RequestKey,
    repeated: RepeatedRequest,
    draw: Callable[[ManagedBooking], Response],
) -> Response:
    if not repeated.is_same:
        raise Problem(
            [
                Issue(
                    code="business-rule",
                    error_code=ErrorCode.REQUEST_KEY_IS_REUSED,
                    diagnostics=(
                        "This key was used for another request: give every request a"
                        " key of its own."
                    ),
                )
            ],
            status=422,
        )
    if repeated.answer is not None:
        return _kept(key, repeated.answer)
    if repeated.is_running:
        raise Problem(
            [
                Issue(
                    code="duplicate",
                    error_code=ErrorCode.REQUEST_IS_IN_PROGRESS,
                    diagnostics=(
                        "The first request with this key is being worked at: ask again"
                        " in a few seconds."
                    ),
                )
            ],
            status=409,
            headers={"Retry-After": _RETRY_AFTER_S},
        )
    try:
        booking = gateway.booking.come_of(repeated)
    except GatewayError as error:
        response = error_response(error)
        if error.category in {*_DEFINITE, Category.CONFLICT}:
            _close(gateway, key, response, None)
        return response
    response = draw(booking)
    _close(gateway, key, response, booking.timeslot.start)
    return response


def _close(
    gateway: Gateway, key: RequestKey, response: Response, visit: datetime | None
) -> None:
    requests = gateway.journal.requests
    if response.status_code == _ACCEPTED and visit is not None:
        _noted(lambda: requests.leave_open(key, visit=visit))
        return
    answer = Answer(
        status=response.status_code,
        headers={
            name: response.headers[name]
            for name in _KEPT_HEADERS
            if name in response.headers
        },
        body=response.get_data(as_text=True),
    )
    _noted(lambda: requests.close(key, answer, visit=visit))


def _noted(note: Callable[[], None]) -> None:
    """Write something down about a request whose outcome stands already."""
    try:
        note()
    except GatewayError as error:
        # The decision is in the journal: a repeat finds the outcome by that.
        _log.warning("request key not closed", error=str(error))


def _kept(key: RequestKey, answer: Answer) -> Response:
    status = answer.status
    if key.key.startswith(_IF_NONE_EXIST) and status == _CREATED:
        # FHIR R4, 3.1.0.8.1: one match, and nothing was created now.
        status = _OK
    return fhir_response(
        orjson.loads(answer.body) if answer.body else None,
        status=status,
        headers=answer.headers,
    )


def _check(name: str, value: str) -> None:
    if not value.strip():
        fault = "is empty"
    elif len(value) > _LONGEST_KEY:
        fault = f"is longer than {_LONGEST_KEY} characters"
    elif not _KEY.fullmatch(value):
        fault = "has other characters than visible ASCII"
    elif name == _IF_NONE_EXIST and not _IDENTIFIER.fullmatch(value):
        fault = "must be identifier=system|value; nothing else is searched for"
    else:
        return
    raise Problem(
        [
            Issue(
                code="value",
                diagnostics=f"{name} {fault}.",
                parameter=name,
            )
        ],
        status=400,
    )
