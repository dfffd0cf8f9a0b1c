"""
Included resources of a search over tables (FHIR R4, 3.1.1.5.4 and 3.1.1.5.5).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from fhir_gateway.fhir.include_graph import Include
from fhir_gateway.fhir.resource_table import Criterion, ResourceTables
from fhir_gateway.fhir.search_element import ReferenceElement
from fhir_gateway.fhir.table_query import TableQuery

__all__ = ["MOST_INCLUDED", "Included", "included"]

MOST_INCLUDED: Final = 5_000
"""How many resources one answer includes at most."""

_MOST_ROUNDS: Final = 4

_Rows = Mapping[str, Sequence[Any]]
"""Rows by type."""

_Found = tuple[str, str, Any]
"""A row, after its type and its id."""


@dataclass(frozen=True, slots=True)
class Included:
    """
    What is included with a page: each resource once, none of the matches.

    Attributes:
        is_cut: There is more than one answer includes.
    """

    resources: Sequence[dict[str, Any]]
    is_cut: bool = False


def included(
    tables: ResourceTables,
    world: object,
    type_: str,
    rows: Sequence[Any],
    query: TableQuery,
) -> Included:
    """
    Return what is included with the matches on a page.

    Args:
        tables: The tables.
        world: What is known at this moment.
        type_: The type of the matches.
        rows: The matches.
        query: The search.
    """
    walk = _Walk(tables, world)
    frontier = {type_: list(rows)}
    seen = set(tables.references(world, type_, rows))
    found: list[dict[str, Any]] = []
    forward = (*query.include, *query.include_iterate)
    backward = (*query.revinclude, *query.revinclude_iterate)
    for _ in range(_MOST_ROUNDS):
        following: dict[str, list[Any]] = {}
        for kind, identifier, row in (
            *walk.forward(frontier, forward),
            *walk.backward(frontier, backward),
        ):
            reference = f"{kind}/{identifier}"
            if reference in seen:
                continue
            if len(found) == MOST_INCLUDED:
                return Included(found, is_cut=True)
            seen.add(reference)
            found.append(tables.by_type[kind].render(world, row))
            following.setdefault(kind, []).append(row)
        frontier = following
        forward, backward = query.include_iterate, query.revinclude_iterate
        if not frontier:
            break
    return Included(found)


class _Walk:
    """Follows references from rows, and to them."""

    def __init__(self, tables: ResourceTables, world: object) -> None:
        self._tables = tables
        self._world = world

    def forward(self, rows: _Rows, paths: Iterable[Include]) -> Iterator[_Found]:
        """Yield what rows refer to along the paths, in their order."""
        for path in paths:
            element = _element(self._tables, path)
            references = dict.fromkeys(
                reference
                for row in rows.get(path.source, ())
                for reference in element.values(self._world, row)
            )
            for reference in references:
                kind, _, identifier = reference.partition("/")
                table = self._tables.by_type.get(kind)
                if table is None or path.target not in (None, kind):
                    continue
                row = table.row(self._world, identifier)
                if row is not None:
                    yield kind, identifier, row

    def backward(self, rows: _Rows, paths: Iterable[Include]) -> Iterator[_Found]:
        """Yield what refers to rows along the paths, to more than may be included."""
        for path in paths:
            element = _element(self._tables, path)
            wanted = frozenset(
                reference
                for kind in ((path.target,) if path.target else element.targets)
                if kind in rows
                for reference in self._tables.references(self._world, kind, rows[kind])
            )
            if not wanted:
                continue
            id_ = self._tables.by_type[path.source].id
            asked = Criterion(element, "", (wanted,))
            found = self._tables.fitting(self._world, path.source, [asked])
            for row in islice(found, 2 * MOST_INCLUDED):
                yield path.source, id_(self._world, row), row


def _element(tables: ResourceTables, path: Include) -> ReferenceElement[Any, Any]:
    for element in tables.by_type[path.source].elements:
        if isinstance(element, ReferenceElement) and path.parameter in (
            element.name,
            *element.aliases,
        ):
            return element
    raise LookupError("no such reference")
