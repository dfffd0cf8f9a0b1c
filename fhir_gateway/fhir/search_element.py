"""
Searched elements: how the values of a row fit a parameter (FHIR R4, 3.1.1.4).

A row is anything that a resource is rendered from. An element says which values a row
has for one search parameter, so that a search renders only the page that it answers.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, ClassVar, Generic, TypeVar

from marshmallow import ValidationError

from fhir_gateway.fhir.reference import Reference
from fhir_gateway.fhir.search_date import (
    ComparedPeriod,
    PeriodParameter,
)
from fhir_gateway.fhir.search_parameters import (
    MissingParameter,
    Parameter,
    ReferenceParameter,
    TokenParameter,
    UriParameter,
    alternatives,
    unescaped,
)
from fhir_gateway.model.folded_text import folded

__all__ = [
    "Coded",
    "DateElement",
    "Element",
    "Fits",
    "ReferenceElement",
    "SpecialElement",
    "StringElement",
    "TokenElement",
    "UriElement",
]


W = TypeVar("W")
T = TypeVar("T")
Fits = Callable[[T], bool]
Groups = Iterable[Iterable[Any]]
"""The values of a parameter: of each group one has to fit."""


@dataclass(frozen=True, slots=True)
class Coded:
    """
    A value that a token can find.

    Attributes:
        text: What `:text` searches.
    """

    system: str | None
    code: str
    text: str = ""


class Element(ABC, Generic[W, T]):
    """
    A search parameter over rows.

    Args:
        name: The parameter's name.
        values: Returns the values of a row, in a world: what is known at one moment.
        definition: The canonical of its SearchParameter.
        documentation: Its meaning here, for the CapabilityStatement.
        says_unknown: A search that finds nothing says which values no row has.
    """

    type: ClassVar[str]
    modifiers: tuple[str, ...] = ("missing",)

    def __init__(
        self,
        name: str,
        values: Callable[[W, T], Iterable[Any]],
        *,
        definition: str,
        documentation: str = "",
        says_unknown: bool = False,
    ) -> None:
        self.name = name
        self.values = values
        self.definition = definition
        self.documentation = documentation
        self.says_unknown = says_unknown

    @abstractmethod
    def parameter(self, modifier: str) -> Parameter[Any]:
        """Return what reads the values of a request, with one of the modifiers."""

    def fits(self, world: W, modifier: str, asked: Any) -> Fits[T]:  # noqa: ANN401 - what the parameter has read
        """Return what says whether a row fits the values of a request."""
        values = self.values
        if modifier == "missing":
            return lambda row: any(True for _ in values(world, row)) is not asked
        tests = [self.any_fits(modifier, group) for group in asked]
        if len(tests) == 1:
            test = tests[0]
            return lambda row: test(values(world, row))
        return lambda row: all(test(values(world, row)) for test in tests)

    def any_fits(
        self, modifier: str, group: Iterable[Any], /
    ) -> Callable[[Iterable[Any]], bool]:
        """Return what says whether the values of a row fit one of a group."""
        raise NotImplementedError((self.name, modifier, group))

    def compared_by(self, modifier: str) -> str:
        """Return the modifier that compares the values which another has read."""
        return modifier

    def _said(self) -> dict[str, Any]:
        return {"definition": self.definition, "documentation": self.documentation}


class TokenElement(Element[W, T]):
    """
    A token parameter over values of `Coded`.

    Args:
        codes: The only codes that exist.
        system: The only system of these codes.
        is_system: Returns whether codes can be of a system.
        spelling: Returns the one spelling of codes that count as equal.
        aliases: The system that another one is a second name of.
        has_text: Codes have a text for `:text`.
    """

    type = "token"

    def __init__(
        self,
        name: str,
        values: Callable[[W, T], Iterable[Coded]],
        *,
        codes: Iterable[str] | None = None,
        system: str | None = None,
        is_system: Callable[[str], bool] | None = None,
        spelling: Callable[[str], str] | None = None,
        aliases: Mapping[str, str] | None = None,
        has_text: bool = False,
        **options: Any,  # noqa: ANN401 - those of an element
    ) -> None:
        super().__init__(name, values, **options)
        self._reading = partial(
            TokenParameter, codes=codes, system=system, is_system=is_system
        )
        self._spelling = spelling or str
        self._aliases = aliases or {}
        self.modifiers = ("missing", "not", *(("text",) if has_text else ()))

    def parameter(self, modifier: str) -> Parameter[Any]:
        """Return what reads tokens, or the text of `:text`."""
        if modifier == "missing":
            return MissingParameter()
        if modifier == "text":
            return _Strings()
        return self._reading(**self._said())

    def any_fits(
        self, modifier: str, group: Iterable[Any], /
    ) -> Callable[[Iterable[Coded]], bool]:
        """Return what says whether a code of a row is one of a group."""
        if modifier == "text":
            starts = tuple(map(folded, group))
            return lambda values: any(
                folded(each.text).startswith(starts) for each in values
            )
        spelling, aliases = self._spelling, self._aliases
        wanted = {
            (
                None if each.system is None else aliases.get(each.system, each.system),
                None if each.code is None else spelling(each.code),
            )
            for each in group
        }

        def has_one(values: Iterable[Coded]) -> bool:
            return any(
                (None, code) in wanted
                or (each.system, code) in wanted
                or (each.system, None) in wanted
                for each in values
                for code in (spelling(each.code),)
            )

        return (lambda values: not has_one(values)) if modifier == "not" else has_one


class _Strings(Parameter[tuple[tuple[str, ...], ...]]):
    """A string parameter: groups of texts."""

    type = "string"

    def read(self, texts: list[str]) -> tuple[tuple[str, ...], ...]:
        """Return the texts: of each group one has to fit."""
        return tuple(tuple(map(unescaped, alternatives(text))) for text in texts)


class StringElement(Element[W, T]):
    """A string parameter: without a modifier a value starts so, in any case."""

    type = "string"
    modifiers = ("missing", "exact", "contains")

    def parameter(self, modifier: str) -> Parameter[Any]:
        """Return what reads texts."""
        if modifier == "missing":
            return MissingParameter()
        return _Strings(**self._said())

    def any_fits(
        self, modifier: str, group: Iterable[str], /
    ) -> Callable[[Iterable[str]], bool]:
        """Return what says whether a text of a row fits one of a group."""
        if modifier == "exact":
            exact = frozenset(group)
            return lambda values: any(each in exact for each in values)
        wanted = tuple(map(folded, group))
        if modifier == "contains":
            return lambda values: any(
                part in text
                for each in values
                for text in (folded(each),)
                for part in wanted
            )
        return lambda values: any(folded(each).startswith(wanted) for each in values)


class _References(ReferenceParameter):
    """A reference parameter of one or more types: groups of `Type/id`."""

    def __init__(
        self,
        targets: Mapping[str, Callable[[str], str]],
        *,
        definition: str,
        documentation: str,
    ) -> None:
        super().__init__(
            target=next(iter(targets)),
            definition=definition,
            documentation=documentation,
        )
        self._spellings = targets

    def read(self, texts: list[str]) -> tuple[frozenset[str], ...]:
        """Return the references: of each group one has to fit."""
        return tuple(
            frozenset(
                reference
                for each in alternatives(text)
                for reference in self._references(unescaped(each))
            )
            for text in texts
        )

    def _references(self, text: str) -> Iterator[str]:
        if self.is_id(text):
            for type_, spelling in self._spellings.items():
                yield f"{type_}/{spelling(text)}"
            return
        try:
            # `understand` has made this server's absolute references relative.
            reference = Reference.parse(text, None)
            spelling = self._spellings[reference.type]
        except (ValueError, LookupError) as error:
            ways = " or ".join(f"{type_}/id" for type_ in self._spellings)
            raise ValidationError(
                f"expected a reference to this server, as {ways}"
            ) from error
        yield f"{reference.type}/{spelling(reference.id)}"


class ReferenceElement(Element[W, T]):
    """
    A reference parameter over values as `Type/id`.

    Args:
        targets: The types that it refers to, each with what returns the one spelling of
            ids that count as equal.
        aliases: Other names of it in `_include`.
    """

    type = "reference"

    def __init__(
        self,
        name: str,
        values: Callable[[W, T], Iterable[str]],
        *,
        targets: Mapping[str, Callable[[str], str]],
        aliases: tuple[str, ...] = (),
        **options: Any,  # noqa: ANN401 - those of an element
    ) -> None:
        super().__init__(name, values, says_unknown=True, **options)
        self.targets = dict(targets)
        self.aliases = aliases

    def parameter(self, modifier: str) -> Parameter[Any]:
        """Return what reads references; the modifier may be one of the targets."""
        if modifier == "missing":
            return MissingParameter()
        targets = {modifier: self.targets[modifier]} if modifier else self.targets
        return _References(targets, **self._said())

    def compared_by(self, modifier: str) -> str:
        """Return the modifier to compare by: a type only narrows what is read."""
        return "" if modifier in self.targets else modifier

    def any_fits(
        self,
        _modifier: str,
        group: Iterable[str],
        /,
    ) -> Callable[[Iterable[str]], bool]:
        """Return what says whether a reference of a row is one of a group."""
        wanted = frozenset(group)
        return lambda values: any(each in wanted for each in values)


class DateElement(Element[W, T]):
    """A date parameter over periods: the first moment, and the one after the last."""

    type = "date"

    def parameter(self, modifier: str) -> Parameter[Any]:
        """Return what reads dates."""
        if modifier == "missing":
            return MissingParameter()
        return PeriodParameter(**self._said())

    def any_fits(
        self,
        _modifier: str,
        group: Iterable[ComparedPeriod],
        /,
    ) -> Callable[[Iterable[tuple[datetime, datetime]]], bool]:
        """Return what says whether a period of a row fits one of a group."""
        wanted = tuple(group)
        return lambda values: any(
            asked.fits(*period) for period in values for asked in wanted
        )


class UriElement(Element[W, T]):
    """A uri parameter, compared character by character."""

    type = "uri"
    modifiers = ("missing", "below", "above")

    def parameter(self, modifier: str) -> Parameter[Any]:
        """Return what reads URIs."""
        return (
            MissingParameter()
            if modifier == "missing"
            else UriParameter(**self._said())
        )

    def any_fits(
        self, modifier: str, group: Iterable[str], /
    ) -> Callable[[Iterable[str]], bool]:
        """Return what says whether a URI of a row is, or lies below or above, one."""
        wanted = tuple(group)
        if modifier == "below":
            return lambda values: any(each.startswith(wanted) for each in values)
        if modifier == "above":
            return lambda values: any(
                one.startswith(each) for each in values for one in wanted
            )
        return lambda values: any(each in wanted for each in values)


class SpecialElement(Element[W, T]):
    """
    A parameter with a meaning of its own.

    Args:
        parameter: What reads its values.
        fits: Returns what says whether a row fits the read values, in a world.
    """

    type = "special"

    def __init__(
        self,
        name: str,
        values: Callable[[W, T], Iterable[Any]],
        *,
        parameter: Parameter[Any],
        fits: Callable[[W, Any], Fits[T]],
    ) -> None:
        super().__init__(
            name,
            values,
            definition=parameter.definition or "",
            documentation=parameter.documentation,
        )
        self._parameter = parameter
        self._fits = fits

    def parameter(self, modifier: str) -> Parameter[Any]:
        """Return what reads its values."""
        return MissingParameter() if modifier == "missing" else self._parameter

    def fits(self, world: W, modifier: str, asked: Any) -> Fits[T]:  # noqa: ANN401 - what the parameter has read
        """Return what says whether a row fits."""
        if modifier == "missing":
            return super().fits(world, modifier, asked)
        return self._fits(world, asked)
