"""
Resource tables: rows with search parameters, chains and includes (FHIR R4, 3.1.1).

A table has the rows of one resource type and renders a row into a resource. Tables
that refer to each other are searched together: a chain (`location.name`), a reverse
chain (`_has:PractitionerRole:practitioner:location`) and an include lead from one to
another. A chain is resolved before the search, into the references that it means.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, Generic, TypeVar

from fhir_gateway.fhir.include_graph import IncludePath
from fhir_gateway.fhir.search_element import Element, ReferenceElement
from fhir_gateway.fhir.search_parameters import Parameter, alternatives

__all__ = [
    "Candidates",
    "Criterion",
    "Form",
    "IdElement",
    "ResourceTable",
    "ResourceTables",
]

_HAS: Final = "_has"
# schedule → actor → property: further chains would cost more than they help.
_MOST_HOPS: Final = 2

W = TypeVar("W")
T = TypeVar("T")
Resource = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Criterion:
    """
    What a row has to fit: an element, a modifier without chains, and what is asked.

    Attributes:
        is_of_chain: It is what a chain means: the client did not name these values.
    """

    element: Element[Any, Any]
    modifier: str
    asked: Any
    is_of_chain: bool = False

    def is_plain(self, name: str) -> bool:
        """Return whether it is of a parameter, without a modifier."""
        return self.element.name == name and not self.modifier


@dataclass(frozen=True, slots=True)
class Candidates(Generic[T]):
    """
    The rows that may fit.

    Attributes:
        rows: In the default order.
        rest: The criteria that they may not fit.
    """

    rows: Sequence[T]
    rest: Sequence[Criterion]

    def fitting(self, world: object, start: int = 0) -> Iterator[T]:
        """Yield the rows from a number on that fit the rest."""
        tests = [
            each.element.fits(world, each.modifier, each.asked) for each in self.rest
        ]
        rows = islice(self.rows, start, None)
        if not tests:
            return rows
        return (row for row in rows if all(test(row) for test in tests))


@dataclass(frozen=True, slots=True)
class Form:
    """
    A parameter in one of its forms: with a modifier, a chain, or plain.

    Attributes:
        parameter: What reads its values.
        criterion: Returns, in a world, the criterion that read values mean.
        through: The other types that a chain leads through.
    """

    parameter: Parameter[Any]
    criterion: Callable[[Any, Any], Criterion]
    through: frozenset[str] = frozenset()


class _Ids(Parameter[tuple[frozenset[str], ...]]):
    """`_id`: groups of ids."""

    type = "token"

    def __init__(self, spelling: Callable[[str], str], *, definition: str) -> None:
        super().__init__(definition=definition)
        self._spelling = spelling

    def read(self, texts: list[str]) -> tuple[frozenset[str], ...]:
        """Return the ids: of each group one has to fit."""
        return tuple(
            frozenset(map(self._spelling, alternatives(text))) for text in texts
        )


class IdElement(Element[W, T]):
    """`_id`: the ids of rows, in the spelling of `spelling`."""

    type = "token"
    modifiers = ()

    def __init__(
        self, values: Callable[[W, T], Iterable[str]], spelling: Callable[[str], str]
    ) -> None:
        super().__init__(
            "_id", values, definition="http://hl7.org/fhir/SearchParameter/Resource-id"
        )
        self._spelling = spelling

    def parameter(self, modifier: str) -> Parameter[Any]:  # noqa: ARG002 - it has none
        """Return what reads ids."""
        return _Ids(self._spelling, definition=self.definition)

    def any_fits(
        self,
        _modifier: str,
        group: Iterable[str],
        /,
    ) -> Callable[[Iterable[str]], bool]:
        """Return what says whether an id is one of a group."""
        wanted = frozenset(group)
        return lambda values: any(each in wanted for each in values)


@dataclass(frozen=True, kw_only=True, eq=False)
class ResourceTable(Generic[W, T]):
    """
    The rows of one resource type, in a world: what is known at one moment.

    Attributes:
        type: The resource type.
        elements: The search parameters, without `_id`.
        candidates: Returns the rows that may fit criteria, as few as is cheap.
        row: Returns the row that has an id, in any accepted spelling.
        id: Returns the id of a row.
        order: Returns the place of a row in the default order; no two are equal.
        sorts: Returns the place of a row, by parameter of `_sort`.
        render: Returns the resource of a row.
        spelling: Returns the one spelling of ids that count as equal.
        refused: Why a parameter of R4 is not supported, by its name.
        is_only_included: Searches include its rows, and neither find them nor look at
            them: its candidates are the rows that refer to others, of which the
            criteria name each.
    """

    type: str
    elements: Sequence[Element[W, T]]
    candidates: Callable[[W, Sequence[Criterion]], Candidates[T]]
    row: Callable[[W, str], T | None]
    id: Callable[[W, T], str]
    order: Callable[[W, T], tuple[str, ...]]
    render: Callable[[W, T], Resource]
    sorts: Mapping[str, Callable[[W, T], str]] = field(default_factory=dict)
    spelling: Callable[[str], str] = str
    refused: Mapping[str, str] = field(default_factory=dict)
    is_only_included: bool = False

    @property
    def by_id(self) -> IdElement[W, T]:
        """Return `_id`."""
        return IdElement(lambda world, row: (self.id(world, row),), self.spelling)

    @property
    def by_name(self) -> dict[str, Element[W, T]]:
        """Return the search parameters, by name."""
        return {each.name: each for each in (self.by_id, *self.elements)}


class _Chained(Parameter[tuple[tuple[str, Any], ...]]):
    """
    A chained parameter: what its end reads, for each type that it leads through.
    """

    def __init__(self, ends: Mapping[str, Parameter[Any]]) -> None:
        super().__init__()
        self._ends = ends
        self.has_references = any(each.has_references for each in ends.values())

    def read(self, texts: list[str]) -> tuple[tuple[str, Any], ...]:
        """Return the meaning of the values at each end."""
        return tuple((type_, end.read(texts)) for type_, end in self._ends.items())


class ResourceTables:
    """
    Tables that refer to each other.

    Args:
        tables: The tables, each of another type.
    """

    def __init__(self, tables: Iterable[ResourceTable[Any, Any]]) -> None:
        self.by_type = {table.type: table for table in tables}
        self._elements = {type_: table.by_name for type_, table in self.by_type.items()}

    @property
    def include_paths(self) -> tuple[IncludePath, ...]:
        """Return every reference that `_include` and `_revinclude` can follow."""
        return tuple(
            IncludePath(table.type, name, element.name, targets)
            for table in self.by_type.values()
            for element in table.elements
            if isinstance(element, ReferenceElement)
            and (
                targets := tuple(
                    each for each in element.targets if each in self.by_type
                )
            )
            for name in (element.name, *element.aliases)
        )

    def element(self, type_: str, name: str) -> Element[Any, Any] | None:
        """Return a search parameter of a type."""
        return self._elements[type_].get(name)

    def form(self, type_: str, name: str, hops: int = _MOST_HOPS) -> Form | None:
        """
        Return the form of a parameter that a name spells; None where there is none.

        Args:
            type_: The resource type that is searched.
            name: The name, with modifiers and chains.
            hops: How many references a chain may follow.
        """
        if name.startswith(f"{_HAS}:"):
            return self._reverse_chain(type_, name, hops)
        head, dot, rest = name.partition(".")
        base, colon, modifier = head.partition(":")
        element = self.element(type_, base)
        if element is None or (colon and not modifier):
            return None
        if isinstance(element, ReferenceElement):
            return self._reference(element, modifier, rest if dot else None, hops)
        if dot or (modifier and modifier not in element.modifiers):
            return None
        return _plain(element, modifier)

    def fitting(
        self, world: object, type_: str, criteria: Sequence[Criterion]
    ) -> Iterator[Any]:
        """Return the rows that fit all criteria, in the default order."""
        return self.candidates(world, type_, criteria).fitting(world)

    def candidates(
        self, world: object, type_: str, criteria: Sequence[Criterion]
    ) -> Candidates[Any]:
        """Return the rows that may fit; those of an `_id` where one is asked for."""
        table = self.by_type[type_]
        for number, each in enumerate(criteria):
            if each.is_plain("_id"):
                ids = frozenset.intersection(*each.asked)
                rows = (table.row(world, identifier) for identifier in ids)
                known = (row for row in rows if row is not None)
                return Candidates(
                    sorted(known, key=lambda row: table.order(world, row)),
                    (*criteria[:number], *criteria[number + 1 :]),
                )
        return table.candidates(world, criteria)

    def has(self, world: object, reference: str) -> bool:
        """Return whether there is a row that a reference means."""
        type_, _, identifier = reference.partition("/")
        table = self.by_type.get(type_)
        return table is not None and table.row(world, identifier) is not None

    def references(self, world: object, type_: str, rows: Iterable[Any]) -> list[str]:
        """Return the references to rows of a type."""
        id_ = self.by_type[type_].id
        return [f"{type_}/{id_(world, row)}" for row in rows]

    def _reference(
        self,
        element: ReferenceElement[Any, Any],
        modifier: str,
        rest: str | None,
        hops: int,
    ) -> Form | None:
        """Return the form of a reference, or of a chain through it."""
        if rest is not None:
            return self._chain(element, modifier, rest, hops)
        if modifier == "identifier":
            return self._chain(element, "", modifier, hops)
        known = ("", *element.targets, *element.modifiers)
        return _plain(element, modifier) if modifier in known else None

    def _chain(
        self, element: ReferenceElement[Any, Any], modifier: str, rest: str, hops: int
    ) -> Form | None:
        """Return the form of `element:modifier.rest`."""
        kinds = (modifier,) if modifier else tuple(element.targets)
        if hops == 0 or not element.targets.keys() >= set(kinds):
            return None
        ends = {
            kind: form
            for kind in kinds
            if kind in self.by_type
            and (form := self.form(kind, rest, hops - 1)) is not None
        }
        if not ends:
            return None

        def criterion(world: object, asked: tuple[tuple[str, Any], ...]) -> Criterion:
            references = frozenset(
                reference
                for kind, of_kind in asked
                for reference in self.references(
                    world,
                    kind,
                    self.fitting(world, kind, [ends[kind].criterion(world, of_kind)]),
                )
            )
            return Criterion(element, "", (references,), is_of_chain=True)

        return Form(
            _Chained({kind: form.parameter for kind, form in ends.items()}),
            criterion,
            frozenset(ends).union(*(form.through for form in ends.values())),
        )

    def _reverse_chain(self, type_: str, name: str, hops: int) -> Form | None:
        """Return the form of `_has:source:reference:rest`."""
        try:
            _, source, reference, rest = name.split(":", 3)
        except ValueError:
            return None
        table = self.by_type.get(source)
        if hops == 0 or table is None or table.is_only_included:
            return None
        element = self.element(source, reference)
        if not isinstance(element, ReferenceElement) or type_ not in element.targets:
            return None
        end = self.form(source, rest, hops - 1)
        if end is None:
            return None
        by_id, prefix = self.by_type[type_].by_id, f"{type_}/"

        def criterion(world: object, asked: tuple[tuple[str, Any], ...]) -> Criterion:
            ((_, of_source),) = asked
            ids = frozenset(
                target.removeprefix(prefix)
                for row in self.fitting(
                    world, source, [end.criterion(world, of_source)]
                )
                for target in element.values(world, row)
                if target.startswith(prefix)
            )
            return Criterion(by_id, "", (ids,), is_of_chain=True)

        return Form(
            _Chained({source: end.parameter}), criterion, end.through | {source}
        )


def _plain(element: Element[Any, Any], modifier: str) -> Form:
    compared_by = element.compared_by(modifier)
    return Form(
        element.parameter(modifier),
        lambda _, asked: Criterion(element, compared_by, asked),
    )
