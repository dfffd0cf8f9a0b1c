"""
Slot: read and search-type (FHIR R4, 12.10).

The search answers "who offers the earliest time?" over all sources in one call.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from flask import Response, request

from fhir_gateway.fhir.bundle import rendered_searchset
from fhir_gateway.fhir.include_graph import Include, types_reached
from fhir_gateway.fhir.near import NearParameter
from fhir_gateway.fhir.outcome import Issue, Severity, issue_from_source_outcome
from fhir_gateway.fhir.resource_template import ResourceTemplate
from fhir_gateway.fhir.search_parameters import (
    ANY_INSTANT,
    Choice,
    DateBounds,
    DateParameter,
    ReferenceParameter,
    Token,
    TokenParameter,
)
from fhir_gateway.fhir.search_schema import (
    SearchSchema,
    Understood,
    issues_of_understood,
)
from fhir_gateway.fhir.slot import SlotStatus
from fhir_gateway.fhir.slot_page import SlotRenderer
from fhir_gateway.fhir.time_of_day import TimeOfDayParameter
from fhir_gateway.fhir.vocabulary import (
    DAYS_OF_WEEK,
    SLOT_STATUS,
    SNOMED_CT,
    Vocabulary,
    is_system_of_time_types,
)
from fhir_gateway.model.care_unit import Nearness
from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.model.ids import HsaId, TimeTypeId
from fhir_gateway.model.timeslot import TimeslotToken
from fhir_gateway.model.weekly_hours import ALL_DAYS, ALL_MINUTES, DAYS, WeeklyHours
from fhir_gateway.services.search.offering_index import OfferingIndex
from fhir_gateway.services.search.search_page import SlotPage
from fhir_gateway.services.search.slot_criteria import SlotCriteria
from fhir_gateway.services.search.slot_search import SlotSearch
from fhir_gateway.services.search.slot_selection import (
    OwnTimeType,
    Selector,
    SharedTimeType,
    TimeTypeCriterion,
)
from fhir_gateway.services.search.source_outcome import staff_lacks
from fhir_gateway.web.exchange import rendered_response
from fhir_gateway.web.gateway import Gateway
from fhir_gateway.web.included import RenderedIncludes
from fhir_gateway.web.lookup import Lookup
from fhir_gateway.web.precondition import if_none_match
from fhir_gateway.web.resource import InteractionCode, ResourceRoutes, read_route
from fhir_gateway.web.response_cache import CachedResponse, ResponseCache
from fhir_gateway.web.searching import (
    DEFAULT_COUNT,
    can_be_found,
    count_parameter,
    cursor_parameter,
    cursor_text,
    include_iterate_parameter,
    include_parameter,
    names_others,
    next_url,
    self_url,
    source_parameter,
    sources_from_uris,
    total_parameter,
    understood_search,
    unknown_issues,
)

__all__ = [
    "PARAMETERS",
    "Ids",
    "SlotQuery",
    "SlotSearchSchema",
    "Tokens",
    "slot_criteria",
    "slot_routes",
    "time_type_criteria",
    "units_from_ids",
    "with_lacking_staff",
    "with_unknown",
]

_R4: Final = "http://hl7.org/fhir/SearchParameter/"
# Characters of a query.
_MOST_MEMORABLE: Final = 1000
PARAMETERS: Final = {
    "time_types": "service-type",
    "units": "schedule.actor:Location",
    "offerings": "schedule.actor:HealthcareService",
    "schedules": "schedule",
    "performers": "schedule.actor:Practitioner",
    "organizations": "schedule.actor:HealthcareService.organization",
    "sources": "_source",
}
"""What a search for slots calls the attributes of a selector."""

_ONLY_FREE: Final = Issue(
    severity=Severity.WARNING,
    code="not-supported",
    error_code=ErrorCode.NOT_SUPPORTED,
    diagnostics=(
        "status: only free slots are found, and none of another status; read a slot by"
        " its id to see whether it is taken."
    ),
    parameter="status",
)

_FOUND: Final = frozenset({SlotStatus.FREE.value})


Tokens = tuple[tuple[Token, ...], ...]
Ids = tuple[frozenset[str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotQuery:
    """
    What a search for slots asks; of each group of values one has to fit.

    Attributes:
        time_of_day: The minutes of a day, as the bits of a number; None: all.
        cursor: The slot that the page before ended with.
    """

    service_type: Tokens = ()
    start: DateBounds = ANY_INSTANT
    status: Tokens = ()
    schedule: Ids = ()
    location: Ids = ()
    healthcare_service: Ids = ()
    practitioner: Ids = ()
    near: tuple[tuple[Nearness, ...], ...] = ()
    organization: Ids = ()
    source: Ids = ()
    time_of_day: int | None = None
    day_of_week: Tokens = ()
    sort: str = "start"
    count: int = DEFAULT_COUNT
    total: str | None = None
    include: tuple[Include, ...] = ()
    include_iterate: tuple[Include, ...] = ()
    cursor: TimeslotToken | None = None


class SlotSearchSchema(SearchSchema[SlotQuery]):
    """The parameters of a search for slots."""

    query = SlotQuery
    service_type = TokenParameter(
        data_key="service-type",
        definition=f"{_R4}Slot-service-type",
        documentation=(
            "A SNOMED CT code finds every unit's own time type of that meaning;"
            " a unit's own coding finds that time type; system| alone finds every time"
            " type with a code of that system."
        ),
        is_system=is_system_of_time_types,
    )
    start = DateParameter(
        definition=f"{_R4}Slot-start",
        documentation=(
            "The slot begins within. A date is a Swedish day. Past slots are never"
            " found."
        ),
    )
    status = TokenParameter(
        codes=[status.value for status in SlotStatus],
        system=SLOT_STATUS,
        definition=f"{_R4}Slot-status",
        documentation="Only free slots are found.",
    )
    schedule = ReferenceParameter(target="Schedule", definition=f"{_R4}Slot-schedule")
    location = ReferenceParameter(
        target="Location",
        data_key="schedule.actor:Location",
        documentation="The unit, by its HSA-id.",
    )
    healthcare_service = ReferenceParameter(
        target="HealthcareService",
        data_key="schedule.actor:HealthcareService",
        documentation="A unit's time type.",
    )
    practitioner = ReferenceParameter(
        target="Practitioner",
        data_key="schedule.actor:Practitioner",
        documentation="A member of staff, by HSA-id.",
    )
    near = NearParameter(
        data_key="schedule.actor:Location.near",
        definition=f"{_R4}Location-near",
        documentation=(
            "The unit lies within a distance: latitude|longitude|distance|unit, in km"
            " unless told (m, [mi_us], [mi_i]); 20 km when the distance is left out."
        ),
    )
    organization = ReferenceParameter(
        target="Organization",
        data_key="schedule.actor:HealthcareService.organization",
        definition=f"{_R4}HealthcareService-organization",
        documentation="Who provides the care, by HSA-id.",
    )
    source = source_parameter()
    time_of_day = TimeOfDayParameter(
        data_key="time-of-day",
        own="slot-time-of-day",
        documentation=(
            "What a clock in Sweden shows when the slot begins, as ge08:00; repeat it"
            " for a range."
        ),
    )
    day_of_week = TokenParameter(
        data_key="day-of-week",
        codes=DAYS,
        system=DAYS_OF_WEEK,
        own="slot-day-of-week",
        documentation="The Swedish calendar day on which the slot begins.",
    )
    sort = Choice(of=("start", "-start"), data_key="_sort")
    count = count_parameter()
    total = total_parameter()
    include = include_parameter()
    include_iterate = include_iterate_parameter()
    cursor = cursor_parameter(TimeslotToken.parse)


_SCHEMA: Final = SlotSearchSchema()


def slot_routes(gateway: Gateway) -> ResourceRoutes:
    """Return what can be done with slots."""
    lookup = Lookup(gateway)
    search = _Search(gateway, lookup)
    return ResourceRoutes(
        type="Slot",
        profile="slot",
        search=_SCHEMA,
        documentation=(
            "Free times of all sources, earliest first. meta.source tells which"
            " source a slot comes from and lastSourceSync when that last answered; a"
            " source whose part is missing is named in an outcome entry."
        ),
        views={
            InteractionCode.READ: read_route("Slot", lookup.slot),
            InteractionCode.SEARCH_TYPE: search.answer,
        },
        # Whether a time is taken stands in SQL.
        may_wait=frozenset({InteractionCode.READ}),
    )


class _Search:
    """The hot path of the server: nothing here asks a region, Redis or SQL."""

    def __init__(self, gateway: Gateway, lookup: Lookup) -> None:
        self._gateway = gateway
        self._includes = RenderedIncludes(gateway, lookup)
        self._renderer = SlotRenderer(gateway.base_url, gateway.vocabulary)
        self._templates: tuple[OfferingIndex, dict[int, ResourceTemplate]] = (
            gateway.slot_search.snapshot.index,
            {},
        )
        self._cache = ResponseCache(gateway.slot_search.still_holds)

    def answer(self) -> Response:
        """Answer the present request."""
        understood = understood_search(_SCHEMA, self._gateway.base_url)
        asked = _asked(understood)
        cached = None if asked is None else self._cache.get(asked)
        if cached is not None:
            return _unchanged(cached.etag) or _found(cached.etag, cached.body)
        page, issues = self._page(understood)
        etag = _etag(page, understood)
        unchanged = _unchanged(etag)
        if unchanged is not None:
            return unchanged
        body = self._render(page, understood, issues)
        if asked is not None:
            version, until = page.snapshot.version, page.until
            self._cache.put(
                asked,
                CachedResponse(body=body, etag=etag, version=version, until=until),
            )
        return _found(etag, body)

    def _page(self, understood: Understood[SlotQuery]) -> tuple[SlotPage, list[Issue]]:
        """Return what is found, and what else is to be said of it."""
        search = self._gateway.slot_search
        criteria = slot_criteria(understood.query, self._gateway.vocabulary)
        page = search.search(criteria)
        query = understood.query
        if query.practitioner or _shows_staff(query):
            page = with_lacking_staff(page, of_any_unit=bool(query.practitioner))
        issues = issues_of_understood(understood)
        statuses = query.status
        if not can_be_found(statuses, _FOUND):
            return page.without_any(), [*issues, _ONLY_FREE]
        page, unknown = with_unknown(search, page, criteria, PARAMETERS)
        if names_others(statuses, _FOUND):
            return replace(page, total=None), [*issues, _ONLY_FREE, *unknown]
        return page, [*issues, *unknown]

    def _render(
        self, page: SlotPage, understood: Understood[SlotQuery], issues: Sequence[Issue]
    ) -> bytes:
        return rendered_searchset(
            [*self._slots(page), *self._included(page, understood.query)],
            self_url=self_url("Slot", self._gateway.base_url, understood),
            next_url=self._next_url(understood, page),
            total=page.total,
            issues=[
                *issues,
                *(issue_from_source_outcome(each) for each in page.outcomes),
            ],
        )

    def _slots(self, page: SlotPage) -> list[bytes]:
        snapshot = page.snapshot
        index = snapshot.index
        templates = self._templates_of(index)
        kinds = index.kinds_of(page.offering)
        for kind in set(kinds) - templates.keys():
            templates[kind] = self._renderer.template(*index.kinds[kind])
        return self._renderer.entries(
            zip(
                map(templates.__getitem__, kinds),
                snapshot.schedules.tokens(page.schedule),
                page.answered_at,
                page.start,
                page.length,
                page.count,
                strict=True,
            )
        )

    def _templates_of(self, index: OfferingIndex) -> dict[int, ResourceTemplate]:
        """Return the templates that were looked up for an index, none for a new one."""
        # Read once: another thread may begin anew at any time.
        made_for, templates = self._templates
        if made_for is not index:
            templates = {}
            self._templates = (index, templates)
        return templates

    def _included(self, page: SlotPage, query: SlotQuery) -> Iterable[bytes]:
        iterated = query.include_iterate
        if not any(path.source == "Slot" for path in (*query.include, *iterated)):
            return ()
        return self._includes.of_schedules(page.snapshot, page.schedule, iterated)

    def _next_url(
        self, understood: Understood[SlotQuery], page: SlotPage
    ) -> str | None:
        if page.next_after is None:
            return None
        return next_url(
            "Slot",
            self._gateway.base_url,
            understood,
            cursor_text(page.next_after.text),
        )


def time_type_criteria(
    groups: tuple[tuple[Token, ...], ...], vocabulary: Vocabulary
) -> tuple[tuple[TimeTypeCriterion, ...], ...]:
    """Return what tokens of `service-type` mean: groups of which each must fit."""
    return tuple(
        tuple(
            criterion
            for token in group
            for criterion in _time_type_criterion(token, vocabulary)
        )
        for group in groups
    )


def with_unknown(
    search: SlotSearch,
    page: SlotPage,
    criteria: SlotCriteria,
    parameters: Mapping[str, str],
) -> tuple[SlotPage, list[Issue]]:
    """
    Return a page, and why nothing can be on it.

    That something named is not known here is no sign that no time is free, so that no
    total is given then.
    """
    if page.start or page.total or page.outcomes or criteria.after is not None:
        return page, []
    unknown = unknown_issues(search.unknown_parts(criteria.selector), parameters)
    return (page.without_any() if unknown else page), unknown


def with_lacking_staff(page: SlotPage, *, of_any_unit: bool) -> SlotPage:
    """
    Return a page, and which sources list staff that could not be kept.

    Args:
        page: What was found by its staff, or is shown with them.
        of_any_unit: The staff of units that are not on the page matter too.
    """
    directory = page.directory
    if not directory.lacking_performers:
        return page
    index = page.snapshot.index
    units = {index.offering(each).unit.hsa_id for each in set(page.offering)}
    lacks = staff_lacks(directory, None if of_any_unit else units)
    if not lacks:
        return page
    return replace(page, outcomes=(*page.outcomes, *lacks), total=None)


def _shows_staff(query: SlotQuery) -> bool:
    followed = (*query.include, *query.include_iterate)
    return not types_reached("Slot", followed).isdisjoint(
        ("Practitioner", "PractitionerRole")
    )


def units_from_ids(groups: tuple[frozenset[str], ...]) -> tuple[frozenset[HsaId], ...]:
    """Return the units that ids of Location name; other ids name none."""
    return tuple(
        frozenset(unit for text in group if (unit := _unit(text)) is not None)
        for group in groups
    )


def _time_type_criterion(
    token: Token, vocabulary: Vocabulary
) -> list[TimeTypeCriterion]:
    if token.system == SNOMED_CT:
        return [SharedTimeType(token.code)]
    own_id = None if token.code is None else TimeTypeId(token.code)
    if token.system is None:
        return [SharedTimeType(token.code), OwnTimeType(None, own_id)]
    unit = vocabulary.unit_of_time_types(token.system)
    return [OwnTimeType(unit, own_id)] if unit else []


def _unit(text: str) -> HsaId | None:
    try:
        return HsaId(text)
    except ValueError:
        return None


def slot_criteria(query: SlotQuery, vocabulary: Vocabulary) -> SlotCriteria:
    """Return what a search for slots looks for."""
    return SlotCriteria(
        selector=Selector(
            time_types=time_type_criteria(query.service_type, vocabulary),
            units=units_from_ids(query.location),
            offerings=query.healthcare_service,
            schedules=query.schedule,
            performers=units_from_ids(query.practitioner),
            organizations=units_from_ids(query.organization),
            sources=sources_from_uris(query.source, vocabulary),
            near=query.near,
        ),
        start=query.start.start,
        before=query.start.before,
        hours=_hours(query),
        descending=query.sort == "-start",
        count=query.count,
        after=query.cursor,
        counted=query.total != "none",
    )


def _hours(query: SlotQuery) -> WeeklyHours | None:
    if query.time_of_day is None and not query.day_of_week:
        return None
    days = ALL_DAYS.intersection(
        *({DAYS.index(token.code) for token in group} for group in query.day_of_week)
    )
    minutes = ALL_MINUTES if query.time_of_day is None else query.time_of_day
    return WeeklyHours(minutes=minutes, days=days)


def _asked(understood: Understood[SlotQuery]) -> str | None:
    """
    Return all that an answer can vary by, beside the snapshot and the hour.

    None when the parameters stand in a body, or are many: what is asked so is not kept.
    """
    if request.method == "POST" or len(understood.text) > _MOST_MEMORABLE:
        return None
    if not understood.left_out:
        return understood.text
    # A name is no part of a query's text: it has no & in it.
    return f"{understood.text}&&{understood.left_out}"


def _etag(page: SlotPage, understood: Understood[SlotQuery]) -> str:
    """Return what changes whenever the page, or what is said of it, does."""
    asked = understood.text, understood.left_out
    digest = hashlib.blake2b(page.fingerprint, digest_size=12)
    digest.update(repr((asked, page.total, page.outcomes)).encode())
    return digest.hexdigest()


def _unchanged(etag: str) -> Response | None:
    """Return the answer to a client that has what it asks for, else None."""
    known = if_none_match()
    if known is None or not known.has(etag):
        return None
    return Response(status=304, headers=_headers(etag))


def _found(etag: str, body: bytes) -> Response:
    return rendered_response(body, headers=_headers(etag))


def _headers(etag: str) -> dict[str, str]:
    return {"ETag": f'W/"{etag}"', "Cache-Control": "no-cache"}
