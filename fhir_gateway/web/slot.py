"""
Slot: read and search-type (FHIR R4, 12.10).

The search answers "who offers the earliest time?" over all sources in one call.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from flask import Response, request

from fhir_gateway.fhir.bundle import Entry, rendered_searchset, searchset
from fhir_gateway.fhir.include_graph import types_reached
from fhir_gateway.fhir.outcome import Issue, Severity, issue_from_source_outcome
from fhir_gateway.fhir.resource_template import ResourceTemplate
from fhir_gateway.fhir.search_schema import (
    Understood,
    issues_of_understood,
)
from fhir_gateway.fhir.slot import SlotStatus
from fhir_gateway.fhir.slot_page import SlotRenderer
from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.model.source import SourceOutcome
from fhir_gateway.services.search.offering_index import OfferingIndex
from fhir_gateway.services.search.search_page import SlotPage
from fhir_gateway.services.search.slot_criteria import SlotCriteria
from fhir_gateway.services.search.slot_search import SlotSearch
from fhir_gateway.services.search.source_outcome import staff_lacks, staff_silences
from fhir_gateway.web.directory.selection import missing_of
from fhir_gateway.web.directory.world import DirectoryWorlds
from fhir_gateway.web.exchange import (
    fhir_response,
    preferences,
    rendered_response,
)
from fhir_gateway.web.gateway import Gateway
from fhir_gateway.web.included import RenderedIncludes
from fhir_gateway.web.invitation_slots import InvitationSlots
from fhir_gateway.web.lookup import Lookup
from fhir_gateway.web.partial_answer import check_completeness, heeded_preferences
from fhir_gateway.web.precondition import if_none_match
from fhir_gateway.web.resource import (
    InteractionCode,
    OperationRoute,
    ResourceRoutes,
    read_route,
)
from fhir_gateway.web.response_cache import CachedResponse, ResponseCache
from fhir_gateway.web.searching import (
    can_be_found,
    names_others,
    next_url,
    self_url,
    understood_search,
    unknown_issues,
)
from fhir_gateway.web.slot_criteria import (
    PARAMETERS,
    actors_of_chains,
    parameters_among,
    slot_criteria,
    statuses_of,
)
from fhir_gateway.web.slot_cursor import cursor_behind
from fhir_gateway.web.slot_query import SlotQuery, SlotSearchSchema

__all__ = ["slot_routes", "with_lacking_staff", "with_unknown"]

# The longest query, in characters, of a cached response.
_MOST_MEMORABLE: Final = 1000
_ONLY_FREE: Final = Issue(
    severity=Severity.WARNING,
    code="not-supported",
    error_code=ErrorCode.NOT_SUPPORTED,
    diagnostics=(
        "status: a search finds free slots only; read a slot by its id to see whether"
        " it is taken."
    ),
    parameter="status",
)

_FOUND: Final = frozenset({SlotStatus.FREE.value})


def slot_routes(
    gateway: Gateway,
    worlds: DirectoryWorlds,
    operations: tuple[OperationRoute, ...] = (),
) -> ResourceRoutes:
    """Return the routes of Slot, with its operations."""
    lookup = Lookup(gateway)
    schema = SlotSearchSchema(gateway.terminology)
    search = _Search(gateway, lookup, schema, worlds)
    return ResourceRoutes(
        type="Slot",
        profile="slot",
        search=schema,
        documentation=(
            "Free times of all sources, earliest first. meta.source names a slot's"
            " source, lastSourceSync when that last answered. An outcome entry names"
            " each source with a missing part."
        ),
        views={
            InteractionCode.READ: read_route(
                "Slot", lookup.slot, gone=lookup.why_slot_is_gone
            ),
            InteractionCode.SEARCH_TYPE: search.answer,
        },
        # SQL knows whether a time is taken.
        may_wait=frozenset({InteractionCode.READ}),
        operations=operations,
    )


class _Search:
    """The hot path of the server: no code here calls a region, Redis or SQL."""

    def __init__(
        self,
        gateway: Gateway,
        lookup: Lookup,
        schema: SlotSearchSchema,
        worlds: DirectoryWorlds,
    ) -> None:
        self._schema = schema
        self._worlds = worlds
        self._gateway = gateway
        self._invited = InvitationSlots(gateway)
        self._includes = RenderedIncludes(gateway, lookup)
        self._renderer = SlotRenderer(gateway.base_url, gateway.vocabulary)
        self._templates: tuple[OfferingIndex, dict[int, ResourceTemplate]] = (
            gateway.slot_search.snapshot.index,
            {},
        )
        self._cache = ResponseCache(gateway.slot_search.still_holds)

    def answer(self) -> Response:
        """Answer the present request."""
        understood = understood_search(self._schema, self._gateway.base_url)
        if understood.query.invitation:
            return self._of_invitation(understood)
        preferred = preferences()
        headers = heeded_preferences(preferred)
        cache_key = _cache_key(understood)
        cached = None if cache_key is None else self._cache.get(cache_key)
        if cached is not None:
            check_completeness(cached.outcomes, preferred)
            return _not_modified(cached.etag, headers) or _respond(
                cached.etag, cached.body, headers
            )
        page, issues = self._page(understood, preferred.wait)
        check_completeness(page.outcomes, preferred)
        etag = _etag(page, understood)
        not_modified = _not_modified(etag, headers)
        if not_modified is not None:
            return not_modified
        body = self._render(page, understood, issues)
        if cache_key is not None:
            version, until = page.snapshot.version, page.until
            self._cache.put(
                cache_key,
                CachedResponse(
                    body=body,
                    etag=etag,
                    version=version,
                    until=until,
                    outcomes=page.outcomes,
                ),
            )
        return _respond(etag, body, headers)

    def _of_invitation(self, understood: Understood[SlotQuery]) -> Response:
        """Answer with the slots of an invitation, which no cache stores."""
        names = (self._schema.spelling(name) for name, _ in understood.parameters)
        page = self._invited.page(understood.query, names)
        base_url = self._gateway.base_url
        return fhir_response(
            searchset(
                [Entry(self._invited.slot(each, page)) for each in page.timeslots],
                base_url=base_url,
                self_url=self_url("Slot", base_url, understood),
                next_url=(
                    None
                    if page.cursor is None
                    else next_url("Slot", base_url, understood, page.cursor)
                ),
                total=page.total,
                issues=[*issues_of_understood(understood), *page.issues],
            ),
            headers=heeded_preferences(),
        )

    def _page(
        self, understood: Understood[SlotQuery], wait: timedelta | None
    ) -> tuple[SlotPage, list[Issue]]:
        """Return the page, and the issues to report with it."""
        search = self._gateway.slot_search
        criteria = slot_criteria(
            understood.query, self._gateway.vocabulary, search.snapshot
        )
        if wait is not None:
            criteria = replace(criteria, live_within=wait)
        query = understood.query
        if query.chains:
            criteria, lacks = self._with_chains(criteria, query)
            page = _with_lacks(search.search(criteria), lacks)
        else:
            page = search.search(criteria)
        by_staff = bool(query.practitioner) or criteria.selector.is_by_staff
        if by_staff or _shows_staff(query):
            page = with_lacking_staff(page, of_any_unit=by_staff)
        issues = issues_of_understood(understood)
        statuses = statuses_of(query)
        if not can_be_found(statuses, _FOUND):
            return page.without_any(), [*issues, _ONLY_FREE]
        given = map(self._schema.spelling, dict(understood.parameters))
        parameters = PARAMETERS
        if not page.start or criteria.selector.other_time_types:
            parameters = parameters_among(given, dict(query.chains))
        page, unknown = with_unknown(search, page, criteria, parameters)
        if names_others(statuses, _FOUND):
            return replace(page, total=None), [*issues, _ONLY_FREE, *unknown]
        return page, [*issues, *unknown]

    def _with_chains(
        self, criteria: SlotCriteria, query: SlotQuery
    ) -> tuple[SlotCriteria, list[SourceOutcome]]:
        """Return criteria with what chains mean, and what the chains cannot see."""
        world = self._worlds.present()
        actors, through = actors_of_chains(self._schema, query, world)
        selector = criteria.selector
        selector = replace(selector, actors=(*selector.actors, *actors))
        lacks = [
            each for kind in sorted(through) for each in missing_of(world, kind, ())
        ]
        return replace(criteria, selector=selector), lacks

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
        """Return the known templates of an index, none for a new one."""
        # Read once: another thread may replace it at any time.
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
        cursor = cursor_behind(page)
        if cursor is None:
            return None
        return next_url(
            "Slot",
            self._gateway.base_url,
            understood,
            cursor,
        )


def with_unknown(
    search: SlotSearch,
    page: SlotPage,
    criteria: SlotCriteria,
    parameters: Mapping[str, str],
) -> tuple[SlotPage, list[Issue]]:
    """
    Return a page, and an issue for each unknown value; the first page has them.

    An unknown value that leaves the page empty does not prove that no time is free, so
    that the page then has no total. One that is not wanted excludes nothing.
    """
    selector = criteria.selector
    if page.outcomes or criteria.after is not None:
        return page, []
    needless = []
    if selector.other_time_types and search.excludes_nothing(selector):
        needless.append(_excludes_nothing(parameters["other_time_types"]))
    if page.start or page.total:
        return page, needless
    unknown = unknown_issues(search.unknown_parts(selector), parameters)
    return (page.without_any() if unknown else page), [*needless, *unknown]


def _excludes_nothing(parameter: str) -> Issue:
    return Issue(
        severity=Severity.WARNING,
        code="not-found",
        error_code=ErrorCode.NOT_FOUND,
        diagnostics=(
            f"{parameter}: no time type here has that code, so it excludes nothing."
        ),
        parameter=parameter,
    )


def with_lacking_staff(page: SlotPage, *, of_any_unit: bool) -> SlotPage:
    """
    Return a page with the sources that have incomplete lists of staff, or none.

    Args:
        page: A page of slots that were found by staff, or are shown with staff.
        of_any_unit: The staff of units that are not on the page matter too.
    """
    index = page.snapshot.index
    units = (
        None
        if of_any_unit
        else {index.offering(each).unit.hsa_id for each in set(page.offering)}
    )
    lacks = (
        *staff_lacks(page.directory, units),
        *staff_silences(page.snapshot, units),
    )
    return _with_lacks(page, lacks)


def _with_lacks(page: SlotPage, lacks: Iterable[SourceOutcome]) -> SlotPage:
    """Return a page with what else is missing, each once; it has no total then."""
    outcomes = tuple(dict.fromkeys((*page.outcomes, *lacks)))
    return replace(page, outcomes=outcomes, total=None) if outcomes else page


def _shows_staff(query: SlotQuery) -> bool:
    followed = (*query.include, *query.include_iterate)
    return not types_reached("Slot", followed).isdisjoint(
        ("Practitioner", "PractitionerRole")
    )


def _cache_key(understood: Understood[SlotQuery]) -> str | None:
    """
    Return the response cache's key; the snapshot and the hour also vary the answer.

    None for parameters in a body, for a long query, and for chains, which look at more
    than free times: such answers are not cached.
    """
    if request.method == "POST" or len(understood.text) > _MOST_MEMORABLE:
        return None
    if understood.query.chains:
        return None
    if not understood.left_out:
        return understood.text
    # A query's text has no && of its own.
    return f"{understood.text}&&{understood.left_out}"


def _etag(page: SlotPage, understood: Understood[SlotQuery]) -> str:
    """Return a tag that changes whenever the page or its issues change."""
    cache_key = understood.text, understood.left_out
    digest = hashlib.blake2b(page.fingerprint, digest_size=12)
    digest.update(repr((cache_key, page.total, page.outcomes)).encode())
    return digest.hexdigest()


def _not_modified(etag: str, headers: dict[str, str]) -> Response | None:
    """Return the answer 304 to a client that has the current page, else None."""
    known = if_none_match()
    if known is None or not known.has(etag):
        return None
    return Response(status=304, headers=_headers(etag, headers))


def _respond(etag: str, body: bytes, headers: dict[str, str]) -> Response:
    return rendered_response(body, headers=_headers(etag, headers))


def _headers(etag: str, headers: dict[str, str]) -> dict[str, str]:
    return {"ETag": f'W/"{etag}"', "Cache-Control": "no-cache", **headers}
