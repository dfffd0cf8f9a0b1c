"""
Searches over resource tables: the page that is found.

Pages continue after the place of the last match (its sort keys and its id), so that
rows may come and go between two pages: no row stands on two pages, and each row that
was there throughout stands on one.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import total_ordering
from heapq import nsmallest
from itertools import islice
from typing import Any, Final

from fhir_gateway.fhir.outcome import Issue, Problem, ProblemKind
from fhir_gateway.fhir.resource_table import (
    Candidates,
    Criterion,
    Form,
    ResourceTable,
)
from fhir_gateway.fhir.search_element import ReferenceElement
from fhir_gateway.fhir.table_query import Sort, TableQuery, TableSchema

__all__ = ["TablePage", "criteria_of", "find_page", "types_of", "unknown_parameters"]

# To sort more would take longer than one client should hold a thread.
_MOST_SORTED: Final = 60_000

_Place = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePage:
    """
    A page of a search.

    Attributes:
        rows: The matches on it.
        total: How many match in all; None where they were not counted.
        next: The cursor of the next page, if there is one.
    """

    rows: Sequence[Any]
    total: int | None
    next: _Place | None


def criteria_of(
    schema: TableSchema, world: object, query: TableQuery
) -> list[Criterion]:
    """Return what a query asks of a row, with every chain resolved."""
    return [form.criterion(world, asked) for form, asked in _forms(schema, query)]


def types_of(schema: TableSchema, query: TableQuery) -> frozenset[str]:
    """Return the other types that the answer depends on: by chains, or backwards."""
    found = frozenset[str]().union(*(form.through for form, _ in _forms(schema, query)))
    return found.union(
        each.source for each in (*query.revinclude, *query.revinclude_iterate)
    ) - {schema.type}


def _forms(schema: TableSchema, query: TableQuery) -> Iterator[tuple[Form, Any]]:
    for name, asked in query.criteria:
        form = schema.tables.form(schema.type, name)
        if form is not None:
            yield form, asked


def find_page(
    schema: TableSchema,
    world: object,
    query: TableQuery,
    criteria: Sequence[Criterion],
    *,
    count: int,
    is_counted: bool,
) -> TablePage:
    """
    Return a page.

    Args:
        schema: What is searched.
        world: What is known at this moment.
        query: The search.
        criteria: What it asks of a row.
        count: How many matches the page has at most.
        is_counted: The total is wanted and can be known.

    Raises:
        Problem: 400: the cursor is of another order, or there is too much to sort.
    """
    order = _Order(schema.table, world, query.sort)
    after = order.place_after(query.cursor)
    found = schema.tables.candidates(world, schema.type, criteria)
    if found.rest and (is_counted or query.sort):
        found = Candidates(list(found.fitting(world)), ())
    if query.sort:
        rows = order.first(found.rows, after, count + 1)
    else:
        start = 0
        if after is not None:
            start = bisect_right(found.rows, after, key=order.place)
        rows = list(islice(found.fitting(world, start), count + 1))
    return TablePage(
        rows=rows[:count],
        total=len(found.rows) if is_counted else None,
        next=order.cursor(rows[count - 1]) if len(rows) > count > 0 else None,
    )


def unknown_parameters(
    schema: TableSchema, world: object, criteria: Sequence[Criterion]
) -> list[str]:
    """Return the parameters with a group of values that are all unknown."""
    return [
        each.element.name
        for each in criteria
        if each.element.says_unknown
        and not each.modifier
        and not each.is_of_chain
        and not all(_is_known(schema, world, each, group) for group in each.asked)
    ]


def _is_known(
    schema: TableSchema, world: object, criterion: Criterion, group: Iterable[Any]
) -> bool:
    """Return whether there is one of the values of a group."""
    tables, element = schema.tables, criterion.element
    if isinstance(element, ReferenceElement):
        return any(tables.has(world, reference) for reference in group)
    alone = Criterion(element, "", (group,))
    return any(True for _ in tables.fitting(world, schema.type, [alone]))


@total_ordering
class _Descending:
    """A text in descending order."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Descending) and self.text == other.text

    def __lt__(self, other: "_Descending") -> bool:
        return other.text < self.text

    def __hash__(self) -> int:
        return hash(self.text)


class _Order:
    """The order of a search's matches, and its cursors."""

    def __init__(
        self, table: ResourceTable[Any, Any], world: object, sort: Sequence[Sort]
    ) -> None:
        self._table = table
        self._world = world
        self._sorts = [(table.sorts[each.name], each.is_descending) for each in sort]
        self._name = ",".join(f"{'-' * each.is_descending}{each.name}" for each in sort)

    def place(self, row: object) -> _Place:
        """Return the place of a row."""
        if not self._sorts:
            return self._table.order(self._world, row)
        return (
            *(of(self._world, row) for of, _ in self._sorts),
            self._table.id(self._world, row),
        )

    def cursor(self, row: object) -> _Place:
        """Return the cursor of the page after a row."""
        return (self._name, *self.place(row))

    def place_after(self, cursor: _Place | None) -> _Place | None:
        """
        Return the place where a page begins; None for the first one.

        Raises:
            Problem: 400: the cursor is of another search.
        """
        if cursor is None:
            return None
        name, *place = cursor
        if name != self._name or (self._sorts and len(place) != len(self._sorts) + 1):
            raise Problem(
                [
                    Issue(
                        code="value",
                        diagnostics=(
                            "_cursor: is of another search; follow a next link"
                            " unchanged."
                        ),
                        parameter="_cursor",
                    )
                ],
                kind=ProblemKind.MALFORMED,
            )
        return tuple(place)

    def first(self, rows: Sequence[Any], after: _Place | None, count: int) -> list[Any]:
        """
        Return the first rows after a place.

        Raises:
            Problem: 400: there are too many to sort.
        """
        if len(rows) > _MOST_SORTED:
            raise Problem(
                [
                    Issue(
                        code="too-costly",
                        diagnostics=(
                            f"_sort: more than {_MOST_SORTED} match, too many to"
                            " sort; narrow the search, or leave _sort out."
                        ),
                        parameter="_sort",
                    )
                ],
                kind=ProblemKind.MALFORMED,
            )
        ranked: Iterator[tuple[Any, Any]] = (
            (self._rank(self.place(row)), row) for row in rows
        )
        if after is not None:
            last = self._rank(after)
            ranked = (each for each in ranked if each[0] > last)
        return [row for _, row in nsmallest(count, ranked, key=lambda each: each[0])]

    def _rank(self, place: _Place) -> tuple[Any, ...]:
        """Return what compares places in the order."""
        return (
            *(
                _Descending(text) if is_descending else text
                for text, (_, is_descending) in zip(
                    place[:-1], self._sorts, strict=True
                )
            ),
            place[-1],
        )
