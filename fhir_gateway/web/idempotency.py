"""
Idempotency: a client that repeats a request gets the answer to the first.

`Idempotency-Key` carries the client's key of a request (IETF,
draft-ietf-httpapi-idempotency-key-header). `X-Request-Id` is not such a key: it traces
one request, or several of one task, through logs (FHIR R4, 3.1.0.9). Without a key, a
repeated booking is recognised by its resident and its slot, as long as the booking
exists.
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
from fhir_gateway.model.grant import Grant
from fhir_gateway.services.booking.request import BookedTimeslot
from fhir_gateway.web.errors import error_response
from fhir_gateway.web.exchange import fhir_response
from fhir_gateway.web.gateway import Gateway
from fhir_gateway.web.personal_text import escapes_personal_number

__all__ = [
    "IDEMPOTENCY_KEY",
    "IF_NONE_EXIST",
    "Act",
    "Render",
    "answer_once",
    "check_key",
    "check_standing",
    "close",
    "in_progress",
]

Act = Callable[[RequestKey | None], tuple[ManagedBooking, Response]]
"""Carries out a request, under a key."""

Render = Callable[[BookedTimeslot], Response]
"""Renders the answer from the present state of a request's booking."""

IF_NONE_EXIST: Final = "If-None-Exist"
IDEMPOTENCY_KEY: Final = "Idempotency-Key"
_LONGEST_KEY: Final = 255
_KEY: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")

_RETRY_AFTER_S: Final = "5"
_ACCEPTED: Final = 202
_CREATED: Final = 201

# Final refusals. A repeat after any other failure may succeed.
_DEFINITE: Final = frozenset(
    {Category.TAKEN, Category.REFUSED, Category.FORBIDDEN, Category.STALE}
)
_KEPT_HEADERS: Final = ("ETag", "Last-Modified", "Location", "Content-Location")


def answer_once(
    gateway: Gateway, grant: Grant, body: object, act: Act, render: Render
) -> Response:
    """
    Return the answer to a write; a repeat gets the first one's answer.

    The journal records a final answer, also a final refusal. A repeat gets it as long
    as its appointment is unchanged. After a change the repeat gets the appointment's
    present state, or 409 when the appointment is cancelled. An answer 202, with an
    unknown outcome, is not recorded: a repeat gets the state at that time. When nothing
    could be done, or the request has faults, nothing is recorded, and a repeat is a new
    attempt.

    Args:
        gateway: The services.
        grant: Who asks; a key of somebody else is another key.
        body: The valid body, as read from JSON.
        act: Carries out the request, under the given key.
        render: Renders the answer from the booking's present state.

    Raises:
        Problem: 400 for an unusable key or a condition of a request that is not a
            create, 409 while the first request is in progress, 422 when the first had
            another body.
        GatewayError: As `act`.
    """
    _refuse_condition()
    key = _request_key(grant, body)
    if key is None:
        return act(None)[1]
    requests = gateway.requests
    try:
        requests.begin(key)
    except RepeatedRequest as repeated:
        return _answer_repeat(gateway, grant, key, repeated, render)
    try:
        booking, response = act(key)
    except RepeatedRequest as repeated:
        # The first request was slow, not lost.
        return _answer_repeat(gateway, grant, key, repeated, render)
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
    Record the answer to a request, unless its outcome is unknown yet.

    Args:
        gateway: The services.
        key: The client's key of the request.
        response: The answer.
        booking: Its booking, if it led to one.
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
        standing="" if booking is None else _state_tag(booking),
    )
    gateway.requests.close(key, answer, booking)


def in_progress() -> Problem:
    """Return the answer to a repeat while the first request is in progress."""
    return Problem(
        [
            Issue(
                code="duplicate",
                error_code=ErrorCode.REQUEST_IS_IN_PROGRESS,
                diagnostics=(
                    "The first request with this key is in progress: send it again in a"
                    " few seconds."
                ),
            )
        ],
        kind=ProblemKind.CONFLICT,
        headers={"Retry-After": _RETRY_AFTER_S},
    )


def _answer_repeat(
    gateway: Gateway,
    grant: Grant,
    key: RequestKey,
    repeated: RepeatedRequest,
    render: Render,
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
        return _answer_from_record(gateway, grant, repeated.answer, render)
    if repeated.is_running:
        raise in_progress()
    try:
        booking = gateway.booking.replay(repeated, grant)
    except GatewayError as error:
        response = error_response(error)
        if error.category in {*_DEFINITE, Category.CONFLICT}:
            close(gateway, key, response, None)
        return response
    response = render(
        BookedTimeslot(booking=booking, is_new=gateway.requests.has_made(repeated))
    )
    close(gateway, key, response, booking)
    return _as_readable(gateway, grant, booking, response)


def _answer_from_record(
    gateway: Gateway, grant: Grant, answer: RecordedAnswer, render: Render
) -> Response:
    """
    Return a recorded answer, or the appointment's present state after a change.

    Raises:
        Conflict: The first request's booking or hold is cancelled.
        NotFound: Its data were wiped.
    """
    if answer.booking is None:
        return _recorded_response(answer)
    booking = gateway.booking.read_for_repeat(answer.booking, grant)
    if _state_tag(booking) == answer.standing:
        return _as_readable(gateway, grant, booking, _recorded_response(answer))
    if not grant.may_read:
        raise _changed_since()
    if booking.status is BookingStatus.CANCELLED:
        if answer.standing.endswith(BookingStatus.PENDING.value):
            raise Conflict(
                "The hold of this request is over: hold or book the slot again, with a"
                " new key.",
                error_code=ErrorCode.HOLD_IS_OVER,
            )
        if not gateway.gatekeeper.may_read(grant.principal, booking.status):
            raise _changed_since()
        raise Conflict(
            "The appointment of this request has been cancelled since: to book again,"
            " make a new request with a new key.",
            error_code=ErrorCode.APPOINTMENT_IS_ALREADY_CANCELED,
        )
    response = render(BookedTimeslot(booking=booking, is_new=answer.status == _CREATED))
    return _as_readable(gateway, grant, booking, response)


def _as_readable(
    gateway: Gateway, grant: Grant, booking: ManagedBooking, response: Response
) -> Response:
    """Return the answer to a repeat, empty for a token that may not read it now."""
    # Staff get again what their own create has shown: no scope of theirs reads more.
    if (
        not grant.may_read
        or booking.held_until is not None
        or gateway.gatekeeper.may_read(grant.principal, booking.status)
    ):
        return response
    return fhir_response(
        None,
        status=response.status_code,
        headers={
            name: response.headers[name]
            for name in ("Location", "Content-Location", "Preference-Applied")
            if name in response.headers
        },
    )


def _recorded_response(answer: RecordedAnswer) -> Response:
    return fhir_response(
        orjson.loads(answer.body) if answer.body else None,
        status=answer.status,
        headers=answer.headers,
    )


def check_standing(booking: ManagedBooking, answer: RecordedAnswer) -> None:
    """
    Check that an appointment stands as it did when a request for it was answered.

    Raises:
        Conflict: It has changed since.
    """
    if _state_tag(booking) != answer.standing:
        raise _changed_since()


def _changed_since() -> Conflict:
    return Conflict("The appointment of this request has changed since.")


def _state_tag(booking: ManagedBooking) -> str:
    """Return a text that changes whenever clients see a change of the booking."""
    return f"{booking.version} {booking.status.value}"


def check_key() -> None:
    """
    Check the key of a request, before doing anything of the request.

    Raises:
        Problem: 400 for an unusable key or a condition of a request that is not a
            create.
    """
    faults = Faults()
    with faults:
        _refuse_condition()
    with faults:
        _client_key()
    faults.check()


def _client_key() -> str | None:
    """
    Return the client's key of its request; None without one.

    Raises:
        Problem: 400 when it cannot be used.
    """
    value = request.headers.get(IDEMPOTENCY_KEY)
    if value is None:
        return None
    if not value.strip():
        raise _unusable("is empty")
    if len(value) > _LONGEST_KEY:
        raise _unusable(f"is longer than {_LONGEST_KEY} characters")
    if not _KEY.fullmatch(value):
        raise _unusable("has other characters than visible ASCII")
    if escapes_personal_number(value):
        raise _unusable(
            "must hold no personal number: send a random one, such as a UUID",
            code="security",
        )
    return value


def _request_key(grant: Grant, body: object) -> RequestKey | None:
    """
    Return the request key; None when the client gives none.

    Args:
        grant: Who asks.
        body: The body, as read from JSON.

    Raises:
        Problem: 400 when it cannot be used.
    """
    value = _client_key()
    if value is None:
        return None
    fingerprint = orjson.dumps(body, option=orjson.OPT_SORT_KEYS).decode()
    return RequestKey(
        client=grant.principal.key,
        key=f"{IDEMPOTENCY_KEY}: {value}",
        fingerprint=f"{request.method} {request.path}\n{fingerprint}",
    )


def _unusable(fault: str, *, code: str = "value") -> Problem:
    return Problem(
        [
            Issue(
                code=code,
                diagnostics=f"{IDEMPOTENCY_KEY} {fault}.",
                parameter=IDEMPOTENCY_KEY,
            )
        ],
        kind=ProblemKind.MALFORMED,
    )


def _refuse_condition() -> None:
    """
    Refuse a condition on a request that is not a create.

    Raises:
        Problem: 400.
    """
    if IF_NONE_EXIST in request.headers:
        raise Problem(
            [
                Issue(
                    code="not-supported",
                    diagnostics=(
                        f"{IF_NONE_EXIST} is for requests that create an Appointment"
                        " (POST Appointment, or $book of a slot): leave it out, or"
                        f" send {IDEMPOTENCY_KEY}."
                    ),
                    parameter=IF_NONE_EXIST,
                )
            ],
            kind=ProblemKind.MALFORMED,
        )
