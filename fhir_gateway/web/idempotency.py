"""
One request, one answer: a client that repeats a request gets the answer of the first.

What the client calls its request stands in `Idempotency-Key` (IETF,
draft-ietf-httpapi-idempotency-key-header). `X-Request-Id` is no such key: it follows a
request, or many of one errand, through logs (FHIR R4, 3.1.0.9). Where there is no key,
a booking is recognised by its resident and its slot, as long as that stands.
"""

import re
from collections.abc import Callable
from typing import Final

import orjson
from flask import Response, request

from fhir_gateway.fhir.outcome import Faults, Issue, Problem, ProblemKind
from fhir_gateway.model.booking import BookingStatus, ManagedBooking
from fhir_gateway.model.client_request import (
    RecordedAnswer,
    RepeatedRequest,
    RequestKey,
)
from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.model.errors import Category, Conflict, GatewayError
from fhir_gateway.services.booking.request import BookedTimeslot
from fhir_gateway.web.errors import error_response
from fhir_gateway.web.exchange import fhir_response
from fhir_gateway.web.gateway import Gateway
from fhir_gateway.web.personal_text import has_personal_number

__all__ = [
    "CLIENT",
    "IF_NONE_EXIST",
    "Act",
    "Draw",
    "check_key",
    "close",
    "in_progress",
    "once",
]

Act = Callable[[RequestKey | None], tuple[ManagedBooking, Response]]
"""Does what is asked for, under a key."""

Draw = Callable[[BookedTimeslot], Response]
"""Answers how the booking of a request stands."""

# Without access control all clients are one.
CLIENT: Final = "anyone"
IF_NONE_EXIST: Final = "If-None-Exist"
_IDEMPOTENCY_KEY: Final = "Idempotency-Key"
_LONGEST_KEY: Final = 255
_KEY: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")

_RETRY_AFTER_S: Final = "5"
_ACCEPTED: Final = 202
_CREATED: Final = 201

# A no that stays a no. Any other failure may be another answer in a moment.
_DEFINITE: Final = frozenset(
    {Category.TAKEN, Category.REFUSED, Category.FORBIDDEN, Category.STALE}
)
_KEPT_HEADERS: Final = ("ETag", "Last-Modified", "Location", "Content-Location")


def once(gateway: Gateway, said: object, act: Act, draw: Draw) -> Response:
    """
    Return the answer to a request that changes something: the first one's to a repeat.

    A final answer is kept, also a definite no. It is given again for as long as its
    appointment stands as it says; where that has changed, the repeat gets how it stands
    now, and 409 where it does not stand any more. An answer that says that nobody knows
    yet (202) is not kept: a repeat gets how it stands by then. When nothing could be
    done, or the request is wrong in itself, nothing is kept, and a repeat is tried
    anew.

    Args:
        gateway: The services.
        said: The body, as read from JSON and found to be in order.
        act: Does what is asked for, under the given key.
        draw: Answers how the booking of the request stands.

    Raises:
        Problem: 400 for an unusable key or a condition that is not a create's, 409
            while the first is being worked at, 422 when the first said something else.
        GatewayError: As `act`.
    """
    _refuse_condition()
    key = _request_key(said)
    if key is None:
        return act(None)[1]
    requests = gateway.requests
    try:
        requests.begin(key)
    except RepeatedRequest as repeated:
        return _again(gateway, key, repeated, draw)
    try:
        booking, response = act(key)
    except RepeatedRequest as repeated:
        # The first was slow rather than dead.
        return _again(gateway, key, repeated, draw)
    except GatewayError as error:
        if error.category not in _DEFINITE:
            requests.forget(key)
            raise
        response = error_response(error)
        close(gateway, key, response, None)
        return response
    except BaseException:
        requests.forget(key)
        raise
    close(gateway, key, response, booking)
    return response


def close(
    gateway: Gateway,
    key: RequestKey,
    response: Response,
    booking: ManagedBooking | None,
) -> None:
    """
    Keep the answer to a request, unless it says that nobody knows yet.

    Args:
        gateway: The services.
        key: What the client calls it.
        response: What it is answered.
        booking: How its booking stands, if it led to one.
    """
    if response.status_code == _ACCEPTED and booking is not None:
        gateway.requests.leave_open(key, booking)
        return
    answer = RecordedAnswer(
        status=response.status_code,
        headers={
            name: response.headers[name]
            for name in _KEPT_HEADERS
            if name in response.headers
        },
        body=response.get_data(as_text=True),
        booking=None if booking is None else booking.id,
        standing="" if booking is None else _standing(booking),
    )
    gateway.requests.close(key, answer, booking)


def in_progress() -> Problem:
    """Return what a repeat is answered while the first is being worked at."""
    return Problem(
        [
            Issue(
                code="duplicate",
                error_code=ErrorCode.REQUEST_IS_IN_PROGRESS,
                diagnostics=(
                    "The first request with this key is being worked at: ask again in a"
                    " few seconds."
                ),
            )
        ],
        kind=ProblemKind.CONFLICT,
        headers={"Retry-After": _RETRY_AFTER_S},
    )


def _again(
    gateway: Gateway, key: RequestKey, repeated: RepeatedRequest, draw: Draw
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
            kind=ProblemKind.UNPROCESSABLE,
        )
    if repeated.answer is not None:
        return _answered(gateway, repeated.answer, draw)
    if repeated.is_running:
        raise in_progress()
    try:
        booking = gateway.booking.replay(repeated)
    except GatewayError as error:
        response = error_response(error)
        if error.category in {*_DEFINITE, Category.CONFLICT}:
            close(gateway, key, response, None)
        return response
    response = draw(
        BookedTimeslot(booking=booking, is_new=gateway.requests.has_made(repeated))
    )
    close(gateway, key, response, booking)
    return response


def _answered(gateway: Gateway, answer: RecordedAnswer, draw: Draw) -> Response:
    """
    Return a kept answer, or how its appointment stands now where that has changed.

    Raises:
        Conflict: What the first request booked or held does not stand any more.
        NotFound: Its data have been wiped.
    """
    if answer.booking is None:
        return _kept(answer)
    booking = gateway.booking.read(answer.booking)
    if _standing(booking) == answer.standing:
        return _kept(answer)
    if booking.status is BookingStatus.CANCELLED:
        if answer.standing.endswith(BookingStatus.PENDING.value):
            raise Conflict(
                "What this request held is held no more: hold or book the slot anew,"
                " with a new key.",
                error_code=ErrorCode.HOLD_IS_OVER,
            )
        raise Conflict(
            "The appointment of this request has been cancelled since: to book again,"
            " make a new request with a new key.",
            error_code=ErrorCode.APPOINTMENT_IS_ALREADY_CANCELED,
        )
    return draw(BookedTimeslot(booking=booking, is_new=answer.status == _CREATED))


def _kept(answer: RecordedAnswer) -> Response:
    return fhir_response(
        orjson.loads(answer.body) if answer.body else None,
        status=answer.status,
        headers=answer.headers,
    )


def _standing(booking: ManagedBooking) -> str:
    """Return what changes whenever a client would see another booking."""
    return f"{booking.version} {booking.status.value}"


def check_key() -> None:
    """
    Check what the client calls its request, before anything of that is done.

    Raises:
        Problem: 400 for an unusable key or a condition that is not a create's.
    """
    faults = Faults()
    with faults:
        _refuse_condition()
    with faults:
        _key()
    faults.check()


def _key() -> str | None:
    """
    Return what the client calls its request; None when it does not say.

    Raises:
        Problem: 400 when it cannot be used.
    """
    value = request.headers.get(_IDEMPOTENCY_KEY)
    if value is None:
        return None
    if not value.strip():
        raise _unusable("is empty")
    if len(value) > _LONGEST_KEY:
        raise _unusable(f"is longer than {_LONGEST_KEY} characters")
    if not _KEY.fullmatch(value):
        raise _unusable("has other characters than visible ASCII")
    if has_personal_number(value):
        raise _unusable(
            "must hold no personal number: send a random one, such as a UUID",
            code="security",
        )
    return value


def _request_key(said: object) -> RequestKey | None:
    """
    Return the key of a request; None when the client gives it none.

    Args:
        said: The body, as read from JSON.

    Raises:
        Problem: 400 when it cannot be used.
    """
    value = _key()
    if value is None:
        return None
    fingerprint = orjson.dumps(said, option=orjson.OPT_SORT_KEYS).decode()
    return RequestKey(
        client=CLIENT,
        key=f"{_IDEMPOTENCY_KEY}: {value}",
        fingerprint=f"{request.method} {request.path}\n{fingerprint}",
    )


def _unusable(fault: str, *, code: str = "value") -> Problem:
    return Problem(
        [
            Issue(
                code=code,
                diagnostics=f"{_IDEMPOTENCY_KEY} {fault}.",
                parameter=_IDEMPOTENCY_KEY,
            )
        ],
        kind=ProblemKind.MALFORMED,
    )


def _refuse_condition() -> None:
    """
    Refuse a condition that would not be heeded.

    Raises:
        Problem: 400.
    """
    if IF_NONE_EXIST in request.headers:
        raise Problem(
            [
                Issue(
                    code="not-supported",
                    diagnostics=(
                        f"{IF_NONE_EXIST} belongs to what makes an Appointment (POST"
                        " Appointment, or $book of a slot): leave it out, or send"
                        f" {_IDEMPOTENCY_KEY}."
                    ),
                    parameter=IF_NONE_EXIST,
                )
            ],
            kind=ProblemKind.MALFORMED,
        )
