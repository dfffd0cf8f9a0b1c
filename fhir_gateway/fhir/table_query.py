"""
Searches over resource tables: the schema of their parameters, and what they mean.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from marshmallow import ValidationError

from fhir_gateway.fhir.include_graph import Include
from fhir_gateway.fhir.resource_table import ResourceTable, ResourceTables
from fhir_gateway.fhir.search_parameters import IncludeParameter, Parameter
from fhir_gateway.fhir.search_schema import SearchSchema

__all__ = ["Sort", "TableQuery", "TableSchema"]

_SORT: Final = re.compile(r"(-?)([a-z_][a-zA-Z_.\-]*)")
_OF_INCLUDE: Final = tuple(
    name + again for name in ("_include", "_revinclude") for again in ("", ":iterate")
)
_PLAIN_RESULTS: Final = (
    *("_count", "_total", "_sort", "_cursor"),
    *("_include", "_revinclude"),
)
_OF_RESULT: Final = frozenset({*_PLAIN_RESULTS, *_OF_INCLUDE})
_MOST_FORMS: Final = 1024
_REFUSED_BY_ALL: Final = {"_lastUpdated": "these resources have no meta.lastUpdated"}


@dataclass(frozen=True, slots=True)
class Sort:
    """A parameter of `_sort`."""

    name: str
    is_descending: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TableQuery:
    """
    The values of a search over a table.

    Attributes:
        criteria: What each parameter has read, by its name with modifiers and chains.
        count: How many matches a page has; None for the server's own number.
        total: What `_total` says.
        sort: What `_sort` says; empty for the default order.
        cursor: The place of the last match of the page before.
        include: The references to follow from the matches.
        include_iterate: The references to follow from the matches and from what was
            included.
        revinclude: The references to follow backwards, likewise.
        revinclude_iterate: Likewise.
    """

    criteria: tuple[tuple[str, Any], ...] = ()
    count: int | None = None
    total: str | None = None
    sort: tuple[Sort, ...] = ()
    cursor: tuple[str, ...] | None = None
    include: tuple[Include, ...] = ()
    include_iterate: tuple[Include, ...] = ()
    revinclude: tuple[Include, ...] = ()
    revinclude_iterate: tuple[Include, ...] = ()


class _SortParameter(Parameter[tuple[Sort, ...]]):
    """`_sort`: parameters in their order, each descending after a `-`."""

    type = "string"

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__()
        self._names = tuple(names)

    def read(self, texts: list[str]) -> tuple[Sort, ...]:
        """Return the order."""
        found: list[Sort] = []
        for part in ",".join(texts).split(","):
            match = _SORT.fullmatch(part)
            if match is None or match[2] not in self._names:
                raise ValidationError(
                    f"expected one of {', '.join(self._names)}, each with or without -"
                )
            if match[2] not in (each.name for each in found):
                found.append(Sort(match[2], match[1] == "-"))
        return tuple(found)


class TableSchema(SearchSchema[TableQuery]):
    """
    The search parameters of a table.

    Args:
        tables: The tables that are searched together.
        type_: The type of this one.
        results: The parameters of `_count`, `_total` and `_cursor`.
    """

    query = TableQuery

    def __init__(
        self,
        tables: ResourceTables,
        type_: str,
        results: Mapping[str, Parameter[Any]],
    ) -> None:
        self.tables = tables
        self.type = type_
        self._results = results
        self._forms: dict[str, tuple[str, Parameter[Any]]] = {}
        super().__init__()
        self.refused = {**_REFUSED_BY_ALL, **self.table.refused}

    @property
    def table(self) -> ResourceTable[Any, Any]:
        """Return the table."""
        return self.tables.by_type[self.type]

    def own_parameters(self) -> dict[str, tuple[str, Any]]:
        """Return the parameters without modifiers and chains."""
        found: dict[str, tuple[str, Any]] = {
            name: (name, element.parameter(""))
            for name, element in self.table.by_name.items()
        }
        found |= {name: (name, each) for name, each in self._results.items()}
        if self.table.sorts:
            found["_sort"] = ("_sort", _SortParameter(self.table.sorts))
        paths = self.tables.include_paths
        # Documents refer to no other one that is a row.
        for name in _OF_INCLUDE if paths else ():
            is_reverse = name.startswith("_revinclude")
            found[name] = (name, IncludeParameter(paths=paths, is_reverse=is_reverse))
        return found

    def declared(self, name: str) -> tuple[str, Any] | None:
        """Return the attribute and the parameter of a name with any modifier."""
        own = self.by_name.get(name) or self._forms.get(name)
        if own is not None:
            return own
        form = self.tables.form(self.type, name)
        if form is None:
            return None
        if len(self._forms) >= _MOST_FORMS:
            self._forms.clear()
        found = self._forms[name] = (name, form.parameter)
        return found

    def is_unknown(self, name: str) -> bool:
        """Return whether a name is unknown; reverse chains are a known kind."""
        return not name.startswith("_has:") and super().is_unknown(name)

    def values_of(self, data: Mapping[str, list[str]]) -> Mapping[str, Any]:
        """
        Return the meanings of the parameters.

        Raises:
            ValidationError: With each fault, by parameter.
        """
        values: dict[str, Any] = {}
        faults: dict[str, Any] = {}
        for name, texts in data.items():
            declared = self.declared(name)
            if declared is None:
                faults[name] = [self.error_messages["unknown"]]
                continue
            attribute, parameter = declared
            try:
                values[attribute] = parameter.read(texts)
            except ValidationError as error:
                faults[name] = error.messages
        if faults:
            raise ValidationError(faults)
        return values

    def query_of(self, values: Mapping[str, Any]) -> TableQuery:
        """Return the query of the parameters' meanings."""
        return TableQuery(
            criteria=tuple(
                (name, asked)
                for name, asked in values.items()
                if name not in _OF_RESULT
            ),
            **{
                name.removeprefix("_"): values[name]
                for name in _PLAIN_RESULTS
                if name in values
            },
            include_iterate=values.get("_include:iterate", ()),
            revinclude_iterate=values.get("_revinclude:iterate", ()),
        )
