"""
AuditEvent: read and search-type of a resident's own records (FHIR R4, 6.4).

No URL has a personal number: a search by GET finds the records of the person who asks,
one by POST may name a person in its form. A `next` link names the last record of its
page, and that record's resident is the search's.
"""

from dataclasses import dataclass
from typing import Any, Final

from flask import Response, request

from fhir_gateway.access.audit_events import AuditEvents
from fhir_gateway.fhir.audit_event import audit_event_from_record
from fhir_gateway.fhir.bundle import Entry, searchset
from fhir_gateway.fhir.outcome import Issue, Problem, ProblemKind
from fhir_gateway.fhir.search_date import (
    ANY_INSTANT,
    DateBounds,
    DateParameter,
)
from fhir_gateway.fhir.search_schema import (
    SearchSchema,
    Understood,
    issues_of_understood,
    query_text,
)
from fhir_gateway.model.audit_entry import AuditRecord
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.web.answer_form import SEARCH_FORM_PARAMETERS
from fhir_gateway.web.exchange import begin_read, fhir_response
from fhir_gateway.web.gateway import Gateway
from fhir_gateway.web.identity import (
    grant_for_person,
    grant_for_record,
    present_principal,
)
from fhir_gateway.web.patient_identifier import PatientIdentifier
from fhir_gateway.web.resource import InteractionCode, ResourceRoutes
from fhir_gateway.web.searching import (
    DEFAULT_COUNT,
    count_parameter,
    cursor_parameter,
    cursor_text,
    understood_search,
)

__all__ = ["AuditEventSearchSchema", "audit_event_routes"]


_REFUSED: Final = {
    **dict.fromkeys(
        (
            *("action", "address", "agent", "agent-name", "agent-role", "altid"),
            *("entity", "entity-name", "entity-role", "entity-type", "outcome"),
            *("policy", "site", "source", "subtype", "type"),
        ),
        "search by date, and read the records",
    ),
    "patient": "use patient.identifier, by POST; there are no Patient resources here",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEventQuery:
    """
    The values of a search for audit records.

    Attributes:
        cursor: The id of the last record of the page before.
    """

    patient_identifier: PersonalIdentityNumber | None = None
    date: DateBounds = ANY_INSTANT
    count: int = DEFAULT_COUNT
    cursor: str | None = None


class AuditEventSearchSchema(SearchSchema[AuditEventQuery]):
    """The parameters of a search for a resident's audit records."""

    query = AuditEventQuery
    is_personal = True
    refused = _REFUSED

    patient_identifier = PatientIdentifier(
        data_key="patient.identifier",
        documentation=(
            "The resident's number, as system|number. By POST only; without it, the"
            " resident is who asks."
        ),
    )
    date = DateParameter(
        documentation="It was recorded within.",
        definition="http://hl7.org/fhir/SearchParameter/AuditEvent-date",
    )
    count = count_parameter()
    cursor = cursor_parameter(str)


_SCHEMA: Final = AuditEventSearchSchema()


def audit_event_routes(gateway: Gateway) -> ResourceRoutes:
    """Return the routes of AuditEvent."""
    views = _Views(gateway, gateway.audit_events)
    return ResourceRoutes(
        type="AuditEvent",
        search=_SCHEMA,
        documentation=(
            "A resident's own records: who asked for what about them, newest first."
        ),
        views={
            InteractionCode.READ: views.read,
            InteractionCode.SEARCH_TYPE: views.search_type,
        },
        may_wait=frozenset({InteractionCode.READ, InteractionCode.SEARCH_TYPE}),
    )


class _Views:
    def __init__(self, gateway: Gateway, events: AuditEvents) -> None:
        self._gateway = gateway
        self._events = events

    def read(self, id: str) -> Response:  # noqa: A002 - the name in FHIR's URL
        begin_read()
        record = self._events.find(id)
        grant_for_record(self._gateway, None if record is None else record.subject)
        if record is None:
            raise TypeError("nobody gets a grant for a record that there is not")
        return fhir_response(self._event(record))

    def search_type(self) -> Response:
        _refuse_personal_url()
        understood = understood_search(_SCHEMA, self._gateway.base_url)
        query = understood.query
        last = None
        if query.cursor is not None:
            last = self._events.find(query.cursor)
            subject = None if last is None else last.subject
            if query.patient_identifier not in (None, subject):
                subject = None
            grant = grant_for_record(self._gateway, subject)
        else:
            grant = grant_for_person(
                self._gateway, query.patient_identifier or _own_number()
            )
        within = {"start": query.date.start, "before": query.date.before}
        page = self._events.list_of(grant, count=query.count, after=last, **within)
        # R4: no count is the same as a summary of counts. Others have no total.
        total = None if query.count else self._events.count_of(grant, **within)
        base_url = self._gateway.base_url
        following = None
        if page.has_more and page.records:
            following = _url(base_url, understood, page.records[-1].id)
        return fhir_response(
            searchset(
                [Entry(self._event(record)) for record in page.records],
                base_url=base_url,
                self_url=_url(base_url, understood, query.cursor),
                next_url=following,
                total=total,
                issues=issues_of_understood(understood),
            )
        )

    def _event(self, record: AuditRecord) -> dict[str, Any]:
        return audit_event_from_record(
            record,
            base_url=self._gateway.base_url,
            vocabulary=self._gateway.vocabulary,
        )


def _url(
    base_url: str, understood: Understood[AuditEventQuery], cursor: str | None
) -> str:
    """Return the URL of a page; it names no person."""
    kept = [
        pair
        for pair in understood.parameters
        if pair[0] in ("date", "_count") or pair[0] in SEARCH_FORM_PARAMETERS
    ]
    if cursor is not None:
        kept.append(("_cursor", cursor_text(cursor)))
    query = query_text(kept)
    return f"{base_url}/AuditEvent" + (f"?{query}" if query else "")


def _own_number() -> PersonalIdentityNumber:
    """
    Return the number of the resident who asks.

    Raises:
        Problem: 400: the client means the records of a resident, and names none.
    """
    number = present_principal().number
    if number is None:
        raise Problem(
            [
                Issue(
                    code="required",
                    diagnostics=(
                        "Your access token names no resident: send patient.identifier,"
                        " as system|number, in a form by POST to AuditEvent/_search."
                    ),
                    parameter="patient.identifier",
                )
            ],
            kind=ProblemKind.MALFORMED,
        )
    return number


def _refuse_personal_url() -> None:
    """
    Refuse a patient in a URL.

    Raises:
        Problem: 400; it repeats nothing of the request.
    """
    if any(
        name.partition(".")[0].partition(":")[0] in ("patient", "agent", "entity")
        for name in request.args
    ):
        raise Problem(
            [
                Issue(
                    code="security",
                    diagnostics=(
                        "A personal number must not be in a URL: leave it out to search"
                        " for your own records, or send it by POST to"
                        " AuditEvent/_search."
                    ),
                )
            ],
            kind=ProblemKind.MALFORMED,
        )
