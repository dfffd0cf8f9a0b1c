"""
Appointment: search-type (FHIR R4, 3.1.1).

Who the resident is decides where to look. No URL has a personal number: by POST a form
may name a resident, and by GET a resident finds their own appointments. Who is no
resident and names none finds single appointments, by `_id`, `identifier` or `slot`,
each by a grant of its own, as in a read. A `next` link names the last appointment of
its page, and that appointment's resident is the search's.

It has over 400 lines, since one place decides which appointments a search may find.
"""

import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlencode

from flask import Response, request

from fhir_gateway.fhir.appointment_search import ACTOR_TYPES, references_to_include
from fhir_gateway.fhir.bundle import Entry, Mode, searchset
from fhir_gateway.fhir.outcome import (
    Issue,
    Problem,
    ProblemKind,
    Severity,
    issue_from_source_outcome,
)
from fhir_gateway.fhir.search_parameters import (
    Token,
)
from fhir_gateway.fhir.search_schema import (
    Understood,
    issues_of_understood,
)
from fhir_gateway.fhir.vocabulary import (
    PERSON_NUMBER_KINDS,
)
from fhir_gateway.model.booking import BookingStatus
from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.model.errors import NotFound
from fhir_gateway.model.grant import Grant
from fhir_gateway.model.ids import BookingId, HsaId
from fhir_gateway.model.principal import Role
from fhir_gateway.model.source import SourceOutcome
from fhir_gateway.model.timekeeping import epoch_seconds
from fhir_gateway.model.timeslot import TimeslotToken
from fhir_gateway.web.appointment_query import (
    OF_RESIDENT,
    AppointmentQuery,
    AppointmentSearchSchema,
    Found,
    Place,
    Resource,
    fits,
    has_values,
    named_resident,
    page_of,
    sort_key,
    start_of,
)
from fhir_gateway.web.appointment_view import AppointmentView
from fhir_gateway.web.exchange import (
    fhir_response,
    preferences,
    search_parameters_of_request,
)
from fhir_gateway.web.gateway import Gateway
from fhir_gateway.web.identity import (
    grant_for_booking,
    grant_for_person,
    present_principal,
)
from fhir_gateway.web.invitation_commands import InvitationCommands
from fhir_gateway.web.limiting import count_absent, count_live_calls
from fhir_gateway.web.lookup import Lookup
from fhir_gateway.web.partial_answer import check_completeness, heeded_preferences
from fhir_gateway.web.personal_text import has_personal_number
from fhir_gateway.web.searching import (
    cursor_text,
    names_others,
    next_url,
    self_url,
    understood_search,
)

__all__ = ["AppointmentSearch"]

_TYPE: Final = "Appointment"
_NAMING: Final = frozenset({*OF_RESIDENT, "_id", "identifier", "slot", "_cursor"})
_FOUND: Final = tuple(each.value for each in BookingStatus)
_MOST_SINGLE: Final = 20
_MOST_AT_ONCE: Final = 8


_NEVER_FOUND: Final = Issue(
    severity=Severity.WARNING,
    code="not-supported",
    error_code=ErrorCode.NOT_SUPPORTED,
    diagnostics=(
        f"status: appointments here are {', '.join(_FOUND)} and no other; a search for"
        " another status finds nothing. Only the region knows whether a patient came."
    ),
    parameter="status",
)
_UNKNOWN: Final = Issue(
    severity=Severity.WARNING,
    code="transient",
    error_code=ErrorCode.REGION_IS_UNAVAILABLE,
    diagnostics=(
        "No region has answered: this is no empty list, but one that nobody knows"
        " now. Search again in a minute."
    ),
)
_ONLY_KNOWN: Final = Issue(
    severity=Severity.INFORMATION,
    code="informational",
    error_code=ErrorCode.REGION_IS_NOT_ASKED,
    diagnostics=(
        "Without a resident no region is asked for its list: only appointments that"
        " this server knows are found by identifier, and only those that were booked"
        " here by slot. To find all of a resident's, send patient.identifier by POST to"
        " Appointment/_search."
    ),
)


@dataclass(frozen=True, slots=True)
class _Found:
    """
    The bookings among which to search.

    Attributes:
        issues: What may be missing.
        is_whole: None is missing.
        of_resident: They are all those of one resident.
    """

    bookings: Sequence[Found]
    issues: Sequence[Issue] = ()
    is_whole: bool = True
    of_resident: bool = True


class AppointmentSearch:
    """
    Answers searches for appointments.

    Args:
        gateway: The services.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._view = AppointmentView(gateway)
        self._lookup = Lookup(gateway)
        self._invitations = InvitationCommands(gateway)
        self.schema = AppointmentSearchSchema()

    def answer(self) -> Response:
        """Answer the present request."""
        _refuse_personal_url()
        understood = self._understood()
        query = understood.query
        _refuse_personal_values(understood)
        found = self._found(query)
        moment = (
            epoch_seconds(self._gateway.clock())
            if query.cursor is None
            else query.cursor.moment
        )
        fitting = self._fitting(found.bookings, query, moment)
        page, last = page_of(fitting, query, moment)
        unfound = [_NEVER_FOUND] if names_others(query.status, _FOUND) else []
        is_whole = found.is_whole and not unfound and query.total != "none"
        base_url = self._gateway.base_url
        links = _without_resident(understood)
        following = None
        if last is not None:
            place = Place(
                start_of(last, moment),
                last.id,
                of_resident=found.of_resident,
                moment=moment,
            )
            following = next_url(_TYPE, base_url, links, cursor_text(place.text))
        return fhir_response(
            searchset(
                [*map(Entry, page), *self._included(page, query)],
                base_url=base_url,
                self_url=self_url(_TYPE, base_url, links),
                next_url=following,
                total=len(fitting) if is_whole else None,
                issues=[*issues_of_understood(understood), *unfound, *found.issues],
            ),
            headers=heeded_preferences(is_live=found.of_resident),
        )

    def _understood(self) -> Understood[AppointmentQuery]:
        """
        Return the search of the present request.

        Raises:
            Problem: 400, 406 or 415; it also says when the search names nobody.
        """
        try:
            return understood_search(self.schema, self._gateway.base_url)
        except Problem as problem:
            if problem.kind is not ProblemKind.MALFORMED or _may_name_somebody():
                raise
            issues = [*problem.issues, *_names_nobody().issues]
            raise Problem(issues, kind=problem.kind) from problem

    def _found(self, query: AppointmentQuery) -> _Found:
        """
        Return the bookings among which to search.

        Raises:
            Problem: 400: the search names nobody, and nothing that is somebody's.
            GatewayError: As of the grants.
        """
        number = named_resident(query)
        if query.cursor is not None and query.cursor.of_resident:
            grant = grant_for_booking(self._gateway, query.cursor.id)
            if number not in (None, grant.subject):
                raise NotFound("There is no such booking.")
            return self._of_resident(grant)
        if number is None and query.id:
            return _Found(
                self._read(token.code or "" for token in query.id[0]),
                of_resident=False,
            )
        resident = number or present_principal().number
        if resident is None:
            return self._known(query)
        grant = grant_for_person(self._gateway, resident)
        tokens = query.identifier[0] if query.identifier else ()
        return self._of_resident(grant, self._invitations.discover(grant, tokens))

    def _of_resident(
        self, grant: Grant, outcomes: Sequence[SourceOutcome] = ()
    ) -> _Found:
        times = self._gateway.resident_bookings.list_of(
            grant, within=preferences().wait
        )
        outcomes = (*outcomes, *times.outcomes)
        check_completeness(outcomes)
        found: tuple[Found, ...] = (*times.invitations, *times.bookings)
        return _Found(
            [
                booking
                for booking in found
                if grant.statuses is None or booking.status.value in grant.statuses
            ],
            [
                *([_UNKNOWN] if times.is_unknown else []),
                *map(issue_from_source_outcome, outcomes),
            ],
            not any(outcome.is_missing for outcome in outcomes),
        )

    def _known(self, query: AppointmentQuery) -> _Found:
        """Return the bookings that one of the identifiers, or of the slots, names."""
        if query.identifier:
            if not all(token.system and token.code for token in query.identifier[0]):
                raise _refused(
                    "required",
                    "Without a resident, send identifier as system|value: units number"
                    " their bookings alike, and the system names the unit.",
                    "identifier",
                )
            ids = {
                known
                for token in query.identifier[0]
                if (known := self._id_of(token)) is not None
            }
        elif query.slot:
            ids = {known for text in query.slot[0] for known in self._ids_at(text)}
        else:
            raise _names_nobody()
        return _Found(self._read(ids), [_ONLY_KNOWN], is_whole=False, of_resident=False)

    def _id_of(self, token: Token) -> str | None:
        unit = self._gateway.vocabulary.unit_of_booking_ids(token.system or "")
        if unit is None or token.code is None or not _is_at(unit):
            return None
        known = self._gateway.slot_search.snapshot.directory.units.get(unit)
        if known is None:
            return None
        return self._gateway.booking.find_by_region_id(
            known.source, unit, BookingId(token.code)
        )

    def _ids_at(self, text: str) -> Sequence[str]:
        try:
            token = TimeslotToken.parse(text)
        except ValueError:
            return ()
        if not _is_at(token.unit):
            return ()
        return self._gateway.booking.find_at(token)

    def _read(self, ids: Iterable[str]) -> list[Found]:
        """
        Read bookings, each with a grant of its own; leave out those without.

        Each counts in the client's limits as a read does.

        Raises:
            Problem: 400 when they are too many.
            LimitReached: The client has used up a limit.
        """
        wanted = sorted(set(ids))
        if len(wanted) > _MOST_SINGLE:
            raise _refused(
                "too-costly",
                f"Each of these asks a region: name at most {_MOST_SINGLE} of them.",
            )
        granted: list[tuple[str, Grant]] = []
        for each in wanted:
            try:
                granted.append((each, grant_for_booking(self._gateway, each)))
            except NotFound:
                count_absent(self._gateway.limits)
        # The request itself counts as one.
        count_live_calls(self._gateway.limits, max(0, len(granted) - 1))

        def read(pair: tuple[str, Grant]) -> Found | None:
            identifier, grant = pair
            with suppress(NotFound):
                invitation = self._gateway.booking.invitations.read(identifier, grant)
                booking = invitation or self._gateway.booking.read(identifier, grant)
                grant.check_status(booking.status.value)
                return booking
            return None

        # Each asks its region: in sequence, a slow one's times would add up.
        with ThreadPoolExecutor(max_workers=_MOST_AT_ONCE) as executor:
            return [each for each in executor.map(read, granted) if each is not None]

    def _fitting(
        self,
        bookings: Iterable[Found],
        query: AppointmentQuery,
        moment: int,
    ) -> list[tuple[Found, Resource]]:
        """Return the bookings that fit with their Appointments, in the wanted order."""
        return [
            (booking, resource)
            for booking in sorted(
                bookings, key=lambda each: sort_key(each, query, moment)
            )
            if has_values(booking, query)
            and fits(resource := self._view.resource(booking), query)
        ]

    def _included(
        self, page: Iterable[Resource], query: AppointmentQuery
    ) -> list[Entry]:
        references = [
            reference
            for appointment in page
            for include in query.include
            for reference in references_to_include(appointment, include)
        ]
        return [
            Entry(resource, Mode.INCLUDE)
            for resource in self._lookup.included(references, (), query.include_iterate)
        ]


def _may_name_somebody() -> bool:
    """Return whether who asks is a resident, or a parameter may name one."""
    given = search_parameters_of_request(is_personal=True)
    return present_principal().number is not None or any(
        name in _NAMING for name, _ in given
    )


def _is_at(unit: HsaId) -> bool:
    """Return whether who asks may see anybody's appointments at a unit."""
    principal = present_principal()
    return principal.role is not Role.SYSTEM or principal.is_at(unit)


def _without_resident(
    understood: Understood[AppointmentQuery],
) -> Understood[AppointmentQuery]:
    """Return a search without its resident, for a URL."""
    kept = tuple(pair for pair in understood.parameters if pair[0] not in OF_RESIDENT)
    return replace(understood, parameters=kept, text=urlencode(kept, safe=":,/"))


def _refuse_personal_url() -> None:
    """
    Refuse a patient in a URL.

    Raises:
        Problem: 400; it repeats nothing of the request.
    """
    for name, value in request.args.items(multi=True):
        root = re.split("[:.]", name, maxsplit=1)[0]
        if (
            root in ("patient", "subject")
            or (root == "actor" and (_names_patient(name) or "Patient/" in value))
            or any(system in value for system in PERSON_NUMBER_KINDS)
        ):
            raise _refused(
                "security",
                "A personal number must not be in a URL: leave it out to search for"
                " your own appointments, or send the parameters by POST to"
                " Appointment/_search.",
            )


def _names_patient(name: str) -> bool:
    """Return whether an `actor` with a modifier or a chain may be a patient."""
    return name not in {"actor", *(f"actor:{kind}" for kind in ACTOR_TYPES)}


def _refuse_personal_values(understood: Understood[AppointmentQuery]) -> None:
    """
    Refuse a personal number in another parameter: the links would repeat it.

    Raises:
        Problem: 400; it repeats nothing of the request.
    """
    if any(
        name not in OF_RESIDENT
        and (
            has_personal_number(f"{name}={value}")
            or any(system in value for system in PERSON_NUMBER_KINDS)
        )
        for name, value in understood.parameters
    ):
        raise _refused(
            "security",
            "Send a personal number as patient.identifier only: the links of the"
            " answer, which are URLs, would repeat it.",
        )


def _names_nobody() -> Problem:
    return _refused(
        "required",
        "Your request names no resident: send patient.identifier, as system|number,"
        " in a form by POST to Appointment/_search; or search for single appointments"
        " by _id, identifier or slot.",
        OF_RESIDENT[0],
    )


def _refused(code: str, diagnostics: str, parameter: str | None = None) -> Problem:
    return Problem(
        [Issue(code=code, diagnostics=diagnostics, parameter=parameter)],
        kind=ProblemKind.MALFORMED,
    )
