"""
The search interaction of a resource table (FHIR R4, 3.1.1).
"""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from flask import Response

from fhir_gateway.fhir.bundle import Entry, Mode, searchset
from fhir_gateway.fhir.outcome import Issue, Severity, issue_from_source_outcome
from fhir_gateway.fhir.resource_table import Criterion, ResourceTables
from fhir_gateway.fhir.search_parameters import Parameter
from fhir_gateway.fhir.search_schema import issues_of_understood
from fhir_gateway.fhir.table_includes import MOST_INCLUDED, included
from fhir_gateway.fhir.table_query import TableQuery, TableSchema
from fhir_gateway.fhir.table_search import (
    TablePage,
    criteria_of,
    find_page,
    types_of,
    unknown_parameters,
)
from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.model.source import SourceOutcome
from fhir_gateway.web.exchange import fhir_response
from fhir_gateway.web.partial_answer import check_completeness, heeded_preferences
from fhir_gateway.web.searching import (
    DEFAULT_COUNT,
    count_parameter,
    cursor_parameter,
    cursor_text,
    next_url,
    self_url,
    total_parameter,
    understood_search,
    unknown_issues,
)

__all__ = ["MissingOf", "table_schema", "table_search"]

MissingOf = Callable[[Any, str, Sequence[Criterion]], Iterable[SourceOutcome]]
"""Returns which sources' parts of a type are missing, in a world."""

_CUT: Final = Issue(
    severity=Severity.WARNING,
    code="incomplete",
    error_code=ErrorCode.FILTER_IS_NOT_APPLIED,
    diagnostics=(
        f"An answer includes at most {MOST_INCLUDED} resources, and this one would have"
        " more: ask for fewer matches with _count."
    ),
)
# A search for these names each resource that it wants.
_NAMING: Final = ("_id", "identifier")


def table_schema(tables: ResourceTables, type_: str) -> TableSchema:
    """Return the search parameters of a table."""
    results: dict[str, Parameter[Any]] = {
        "_count": count_parameter(),
        "_total": total_parameter(),
        "_cursor": cursor_parameter(_place),
    }
    return TableSchema(tables, type_, results)


def table_search(
    schema: TableSchema,
    world: Callable[[], Any],
    base_url: str,
    missing: MissingOf = lambda *_: (),
) -> Callable[[], Response]:
    """
    Return the view that searches a table.

    Args:
        schema: Its search parameters.
        world: Returns what is known at this moment.
        base_url: The server's FHIR base.
        missing: Says what is not known of a type; an answer with such a part has no
            total.
    """

    def search() -> Response:
        understood = understood_search(schema, base_url)
        query, present = understood.query, world()
        criteria = criteria_of(schema, present, query)
        page = _page(schema, present, query, criteria)
        lacks = list(
            dict.fromkeys(
                (
                    *(
                        ()
                        if _has_all(page, criteria)
                        else missing(present, schema.type, criteria)
                    ),
                    *(
                        outcome
                        for type_ in sorted(types_of(schema, query))
                        for outcome in missing(present, type_, ())
                    ),
                )
            )
        )
        check_completeness(lacks)
        unknown = []
        if not page.rows and not page.total and query.cursor is None and not lacks:
            names = unknown_parameters(schema, present, criteria)
            unknown = unknown_issues(names, {name: name for name in names})
        beside = included(schema.tables, present, schema.type, page.rows, query)
        following = None
        if page.next is not None:
            cursor = cursor_text(json.dumps(page.next))
            following = next_url(schema.type, base_url, understood, cursor)
        render = schema.table.render
        return fhir_response(
            searchset(
                [
                    *(Entry(render(present, row)) for row in page.rows),
                    *(Entry(each, Mode.INCLUDE) for each in beside.resources),
                ],
                base_url=base_url,
                self_url=self_url(schema.type, base_url, understood),
                next_url=following,
                total=None if lacks or unknown else page.total,
                issues=[
                    *issues_of_understood(understood),
                    *unknown,
                    *map(issue_from_source_outcome, lacks),
                    *((_CUT,) if beside.is_cut else ()),
                ],
            ),
            headers=heeded_preferences(),
        )

    return search


def _page(
    schema: TableSchema,
    world: object,
    query: TableQuery,
    criteria: Sequence[Criterion],
) -> TablePage:
    return find_page(
        schema,
        world,
        query,
        criteria,
        count=DEFAULT_COUNT if query.count is None else query.count,
        is_counted=query.total != "none",
    )


def _has_all(page: TablePage, criteria: Sequence[Criterion]) -> bool:
    """Return whether a search has found everything that it named."""
    return any(
        len(page.rows) == len(frozenset(each.asked[0]))
        for each in criteria
        if each.element.name in _NAMING and not each.modifier
    )


def _place(text: str) -> tuple[str, ...]:
    """
    Return the place in a cursor.

    Raises:
        ValueError: The text has none.
    """
    place = json.loads(text)
    if (
        not isinstance(place, list)
        or len(place) < len(("order", "id"))
        or not all(isinstance(each, str) for each in place)
    ):
        raise ValueError("not a place in a table")
    return tuple(place)
