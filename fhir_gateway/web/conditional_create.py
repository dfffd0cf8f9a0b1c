"""
Conditional create: `If-None-Exist` (FHIR R4, 3.1.0.8.1).

This server looks among the appointments of the resident in the body, and nowhere else.
An identifier alone is looked for as the region's booking id, and as the condition of an
earlier create for the same resident. Other search parameters are looked for in the list
of the resident's appointments, as the regions give it at that moment.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from flask import Response, request
from marshmallow import ValidationError

from fhir_gateway.fhir.limits import MOST_PARAMETERS
from fhir_gateway.fhir.outcome import Issue, Problem, ProblemKind
from fhir_gateway.fhir.search_parameters import TokenParameter
from fhir_gateway.fhir.search_schema import Understood, understand
from fhir_gateway.fhir.vocabulary import PERSON_NUMBER_KINDS
from fhir_gateway.model.booking import ManagedBooking
from fhir_gateway.model.client_request import RepeatedRequest, RequestKey
from fhir_gateway.model.errors import Unavailable
from fhir_gateway.model.grant import Grant
from fhir_gateway.model.ids import BookingId
from fhir_gateway.services.booking.request import BookedTimeslot
from fhir_gateway.web.appointment_query import (
    AppointmentQuery,
    AppointmentSearchSchema,
    fits,
    has_values,
)
from fhir_gateway.web.appointment_view import AppointmentView
from fhir_gateway.web.gateway import Gateway
from fhir_gateway.web.idempotency import (
    IF_NONE_EXIST,
    Act,
    Render,
    answer_once,
    check_key,
    check_standing,
    close,
    in_progress,
)
from fhir_gateway.web.identity import admit_search, may_read, may_search
from fhir_gateway.web.personal_text import escapes_personal_number

__all__ = ["check_condition", "create_once"]

_LONGEST: Final = 1000
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+")
# Clients send the whole URL, its last part, or the parameters alone.
_FORM: Final = re.compile(r"(?:(?:.*/)?Appointment\?|\?)?(?P<query>[^?#]+)")
_TOKENS: Final = TokenParameter()
_SCHEMA: Final = AppointmentSearchSchema()
# An identifier stands alone: beside another parameter, the condition of an earlier
# create would not be found. The others do not say which appointments match.
_NO_CONDITIONS: Final = frozenset(
    {
        *("identifier", "patient.identifier", "patient:identifier", "_cursor"),
        *("_sort", "_count", "_total", "_include", "_include:iterate"),
    }
)
# Of ASCII and of Latin-1; PostgreSQL's texts have no NUL.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class _Identifier:
    system: str
    value: str

    def key(self, grant: Grant) -> RequestKey:
        """Return the request key of a create under this condition."""
        # The body is not a part of it: another body under the same condition finds the
        # first one's appointment.
        return RequestKey(
            client=grant.principal.key,
            key=f"{IF_NONE_EXIST}: {grant.subject.reveal()} {self.system}|{self.value}",
            fingerprint=IF_NONE_EXIST,
        )


@dataclass(frozen=True, slots=True)
class _Search:
    understood: Understood[AppointmentQuery]

    def key(self, grant: Grant) -> RequestKey:
        """Return the request key that creates under this condition share."""
        return RequestKey(
            client=grant.principal.key,
            key=f"{IF_NONE_EXIST}: {grant.subject.reveal()} ?{self.understood.text}",
            fingerprint=IF_NONE_EXIST,
        )


def check_condition(base_url: str) -> None:
    """
    Check the condition of a create, or else its key, before doing anything of it.

    Args:
        base_url: What absolute references to this server begin with.

    Raises:
        Problem: 400.
    """
    header = request.headers.get(IF_NONE_EXIST)
    if header is None:
        check_key()
    else:
        _condition(header, base_url)


def create_once(
    gateway: Gateway,
    grant: Grant,
    body: object,
    act: Act,
    render: Render,
) -> Response:
    """
    Return the answer to a create, with or without a condition.

    Args:
        gateway: The services.
        grant: Who asks, for the resident in the body.
        body: The valid body, as read from JSON.
        act: Carries out the request, under the given key.
        render: Renders the answer from a booking's present state.

    Raises:
        Problem: 400 for a condition that cannot be looked for, 409 while a create under
            the same condition is in progress, 412 when several appointments match.
        NotPermitted: The scopes permit no search that the condition asks for.
        Unavailable: A region could not be asked, so that an appointment there may
            match.
        Conflict: The appointment has changed since, and who asks may not read it.
        GatewayError: As `act`.
    """
    header = request.headers.get(IF_NONE_EXIST)
    if header is None:
        return answer_once(gateway, grant, body, act, render)
    condition = _condition(header, gateway.base_url)
    if isinstance(condition, _Search):
        return _create_unless_found(gateway, grant, condition, act, render)
    identifier = condition
    key = identifier.key(grant)
    found = _find_by_region_id(gateway, grant, identifier)
    earlier = _find_earlier_create(gateway, grant, key)
    if earlier is not None:
        found.add(_booking_of(earlier))
    if len(found) > 1:
        raise _ambiguous()
    if not found:
        return _create_now(gateway, grant, key, act, render)
    if earlier is None:
        gateway.requests.forget(key)
    booking = gateway.booking.read(found.pop(), grant)
    if earlier is not None and earlier.answer is not None and not grant.may_read:
        # Nor may they learn what others have done to it.
        check_standing(booking, earlier.answer)
    return render(BookedTimeslot(booking=booking, is_new=False))


def _create_unless_found(
    gateway: Gateway, grant: Grant, condition: _Search, act: Act, render: Render
) -> Response:
    """Create, unless a search finds an appointment of the grant's resident."""
    if not grant.may_read:
        raise _unsupported()
    admit_search(gateway)
    key = condition.key(grant)
    # Only creates under one condition wait for each other: the search itself says what
    # there is, so that nothing of an earlier one needs to be remembered.
    try:
        gateway.requests.begin(key)
    except RepeatedRequest as repeated:
        raise in_progress() from repeated
    try:
        found = _search(gateway, grant, condition.understood.query)
        if len(found) > 1:
            raise _ambiguous()
        if found:
            return render(BookedTimeslot(booking=found[0], is_new=False))
        return act(None)[1]
    finally:
        gateway.requests.forget(key)


def _search(
    gateway: Gateway, grant: Grant, query: AppointmentQuery
) -> list[ManagedBooking]:
    """
    Return the resident's bookings that fit.

    Raises:
        Unavailable: A region could not be asked, so that others may fit.
    """
    times = gateway.resident_bookings.list_of(grant)
    view = AppointmentView(gateway)
    found = [
        booking
        for booking in times.bookings
        if (grant.statuses is None or booking.status.value in grant.statuses)
        and may_search(gateway, booking.status)
        and may_read(gateway, booking.status)
        and has_values(booking, query)
        and fits(view.appointment(booking), query)
    ]
    for outcome in times.outcomes:
        if not found and outcome.is_missing:
            raise Unavailable(
                f"Whether an appointment fits {IF_NONE_EXIST} cannot be known: a region"
                " could not be asked for the whole list. Nothing was booked; send it"
                " again later.",
                source=outcome.source,
            )
    return found


def _find_earlier_create(
    gateway: Gateway, grant: Grant, key: RequestKey
) -> RepeatedRequest | None:
    """
    Return an earlier create under a condition, which has led to an appointment.

    None without one: then this request has begun the create, and no other can.

    Raises:
        Problem: 409 while another create is in progress.
    """
    requests = gateway.requests
    try:
        requests.begin(key, again_if_not_done=True)
    except RepeatedRequest as repeated:
        made = _booking_of(repeated)
        if repeated.answer is not None:
            return repeated
    else:
        return None
    # Its outcome may be unknown yet; a read may find it out.
    gateway.booking.read(made, grant)
    try:
        requests.begin(key, again_if_not_done=True)
    except RepeatedRequest as repeated:
        return repeated
    return None


def _booking_of(repeated: RepeatedRequest) -> str:
    if repeated.answer is None and repeated.is_running:
        raise in_progress()
    booking = repeated.booking if repeated.answer is None else repeated.answer.booking
    if booking is None:
        raise TypeError("the create led to no booking")
    return booking


def _create_now(
    gateway: Gateway, grant: Grant, key: RequestKey, act: Act, render: Render
) -> Response:
    requests = gateway.requests
    try:
        booking, response = act(key)
    except RepeatedRequest as repeated:
        # The first request was slow, not lost.
        made = gateway.booking.read(_booking_of(repeated), grant)
        return render(BookedTimeslot(booking=made, is_new=False))
    except BaseException:
        # Nothing was booked, so that the condition still holds.
        requests.forget(key)
        raise
    close(gateway, key, response, booking)
    return response


def _find_by_region_id(
    gateway: Gateway, grant: Grant, identifier: _Identifier
) -> set[str]:
    """Return our ids of the resident's bookings with an identifier of their unit."""
    unit = gateway.vocabulary.unit_of_booking_ids(identifier.system)
    known = gateway.slot_search.snapshot.directory.units
    if unit is None or unit not in known:
        return set()
    booking = gateway.requests.find_booking(
        known[unit].source, unit, BookingId(identifier.value), grant
    )
    return set() if booking is None else {booking}


def _condition(header: str, base_url: str) -> _Identifier | _Search:
    """
    Return the condition in a header.

    Raises:
        Problem: 400; it repeats nothing of the request.
    """
    form = _FORM.fullmatch(header)
    if len(header) > _LONGEST:
        raise _unusable(f"is longer than {_LONGEST} characters")
    if not _VISIBLE.fullmatch(header) or form is None:
        raise _unsupported()
    try:
        given = parse_qsl(
            form["query"],
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=MOST_PARAMETERS,
        )
    except ValueError:
        raise _unsupported() from None
    if any(_CONTROL.search(text) for pair in given for text in pair):
        raise _unusable("has a control character")
    if not all(value for _, value in given):
        # A search ignores an empty parameter: then everything would fit.
        raise _unsupported()
    names = {name for name, _ in given}
    _refuse_personal(header, [value for _, value in given])
    if names == {"identifier"} and len(given) == 1:
        return _identifier(given[0][1])
    if not names <= _SCHEMA.by_name.keys() - _NO_CONDITIONS:
        raise _unsupported()
    try:
        return _Search(understand(_SCHEMA, given, lenient=False, base_url=base_url))
    except Problem as problem:
        faults = "; ".join(each.diagnostics or "" for each in problem.issues)
        raise _unusable(f"cannot be searched for: {faults.removesuffix('.')}") from None


def _identifier(text: str) -> _Identifier:
    try:
        (((token,),)) = _TOKENS.deserialize([text])
    except (ValueError, ValidationError):
        raise _unsupported() from None
    if not token.system or not token.code:
        raise _unsupported()
    return _Identifier(token.system, token.code)


def _refuse_personal(header: str, values: Sequence[str]) -> None:
    """
    Refuse a personal number in a header, since logs may store headers.

    Raises:
        Problem: 400; it repeats nothing of the request.
    """
    names_kind = any(kind in value for value in values for kind in PERSON_NUMBER_KINDS)
    if names_kind or escapes_personal_number(header):
        raise Problem(
            [
                Issue(
                    code="security",
                    diagnostics=(
                        f"{IF_NONE_EXIST} must hold no personal number: name the visit"
                        " by an identifier of its own."
                    ),
                    parameter=IF_NONE_EXIST,
                )
            ],
            kind=ProblemKind.MALFORMED,
        )


def _unsupported() -> Problem:
    return _unusable(
        "must be identifier=system|value by itself, or other search parameters of"
        " Appointment, alone or after Appointment?"
    )


def _unusable(fault: str) -> Problem:
    return Problem(
        [
            Issue(
                code="value",
                diagnostics=f"{IF_NONE_EXIST} {fault}.",
                parameter=IF_NONE_EXIST,
            )
        ],
        kind=ProblemKind.MALFORMED,
    )


def _ambiguous() -> Problem:
    return Problem(
        [
            Issue(
                code="multiple-matches",
                diagnostics=(
                    f"Several appointments fit {IF_NONE_EXIST}: use an identifier that"
                    " only one of them has."
                ),
                parameter=IF_NONE_EXIST,
            )
        ],
        kind=ProblemKind.PRECONDITION_FAILED,
    )
