"""
The published resources as resource tables: their search parameters (FHIR R4, 5).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from marshmallow import ValidationError

from fhir_gateway.fhir.published import PublishedResource, PublishedResources
from fhir_gateway.fhir.resource_table import (
    Candidates,
    Criterion,
    ResourceTable,
    ResourceTables,
)
from fhir_gateway.fhir.search_element import (
    Coded,
    DateElement,
    Element,
    Fits,
    SpecialElement,
    StringElement,
    TokenElement,
    UriElement,
)
from fhir_gateway.fhir.search_parameters import (
    Parameter,
    UriParameter,
    alternatives,
    unescaped,
)
from fhir_gateway.model.timekeeping import period_from_search_text

__all__ = ["PUBLISHED_TABLES"]

_R4: Final = "http://hl7.org/fhir/SearchParameter"
_FHIR: Final = "http://hl7.org/fhir"

_Element = Element[PublishedResources, PublishedResource]
_Table = ResourceTable[PublishedResources, PublishedResource]

_PUBLICATION_STATUS: Final = f"{_FHIR}/publication-status"
_RESOURCE_TYPES: Final = f"{_FHIR}/resource-types"
# The elements that are one text, by type: parameter, kind, system of its codes.
_TOKENS: Final[Mapping[str, Mapping[str, tuple[str, str | None]]]] = {
    "StructureDefinition": {
        "kind": ("kind", f"{_FHIR}/structure-definition-kind"),
        "derivation": ("derivation", f"{_FHIR}/type-derivation-rule"),
        "abstract": ("abstract", None),
        "experimental": ("experimental", None),
    },
    "SearchParameter": {
        "code": ("code", None),
        "base": ("base", _RESOURCE_TYPES),
        "target": ("target", _RESOURCE_TYPES),
        "type": ("type", f"{_FHIR}/search-param-type"),
    },
    "OperationDefinition": {
        "code": ("code", None),
        "kind": ("kind", f"{_FHIR}/operation-kind"),
        "system": ("system", None),
        "type": ("type", None),
        "instance": ("instance", None),
    },
    "ImplementationGuide": {"experimental": ("experimental", None)},
    "CodeSystem": {"content-mode": ("content", f"{_FHIR}/codesystem-content-mode")},
    "ValueSet": {},
    "ConceptMap": {},
}
_URIS: Final[Mapping[str, Mapping[str, str]]] = {
    "StructureDefinition": {"type": "type"},
    "CodeSystem": {"system": "url"},
}
# References to what has a canonical.
_CANONICALS: Final[Mapping[str, Mapping[str, str]]] = {
    "StructureDefinition": {"base": "baseDefinition"},
    "SearchParameter": {"derived-from": "derivedFrom"},
    "OperationDefinition": {"base": "base"},
    "CodeSystem": {"supplements": "supplements"},
}
# What is found in the bulk.
_FOUND: Final[Mapping[str, Mapping[str, str]]] = {
    "CodeSystem": {"code": "token", "language": "token"},
    "ValueSet": {"code": "token", "reference": "uri"},
    "ConceptMap": {
        "source-code": "token",
        "source-system": "uri",
        "target-code": "token",
        "target-system": "uri",
    },
}
_IN_ELEMENTS: Final = "no search looks into a definition's elements; read it"
_NOTHING: Final = "nothing here states it"
_OF_MEMBERS: Final = "no search looks into the guide; read it"
# Why R4's other parameters are not supported.
_REFUSED_OF_ALL: Final = {
    "context-quantity": _NOTHING,
    "context-type-quantity": _NOTHING,
    "jurisdiction": "it is the same for all: Sweden",
}
_REFUSED: Final[Mapping[str, Mapping[str, str]]] = {
    "StructureDefinition": {
        "base-path": _IN_ELEMENTS,
        "ext-context": _IN_ELEMENTS,
        "keyword": _NOTHING,
        "path": _IN_ELEMENTS,
        "valueset": _IN_ELEMENTS,
    },
    "SearchParameter": {"component": _NOTHING},
    "OperationDefinition": {"input-profile": _NOTHING, "output-profile": _NOTHING},
    "ImplementationGuide": {
        "depends-on": _NOTHING,
        "global": _NOTHING,
        "resource": _OF_MEMBERS,
    },
    "ValueSet": {"expansion": "expansions are made when they are asked for"},
    "ConceptMap": {
        **dict.fromkeys(("dependson", "other", "product"), _NOTHING),
        **dict.fromkeys(
            ("source", "source-uri", "target", "target-uri"),
            "use source-system or target-system",
        ),
    },
    "Endpoint": {"organization": _NOTHING},
}
_STRINGS: Final = ("name", "title", "description", "publisher")
# R4's SearchParameter has no title.
_WITHOUT_TITLE: Final = "SearchParameter"
_SORTED: Final = ("url", "name", "title", "date", "status", "version")


class _UriParameter(UriParameter):
    """A uri parameter of values that may be relative: the type `Slot`."""

    def _uri(self, text: str) -> str:
        return text


class _CanonicalParameter(UriParameter):
    """A reference to what has a canonical, by that."""

    type = "reference"


class _UriElement(UriElement[PublishedResources, PublishedResource]):
    """
    A uri parameter.

    Args:
        kind: The class of what reads its values.
    """

    def __init__(
        self,
        name: str,
        values: Callable[[PublishedResources, PublishedResource], Iterable[str]],
        kind: type[UriParameter] = _UriParameter,
        *,
        definition: str,
    ) -> None:
        super().__init__(name, values, definition=definition)
        self._kind = kind

    def parameter(self, modifier: str) -> Parameter[Any]:
        """Return what reads URIs."""
        if modifier == "missing":
            return super().parameter(modifier)
        return self._kind(**self._said())


class _ContextParameter(Parameter[tuple[tuple[tuple[Coded, Coded], ...], ...]]):
    """`context-type-value`: the kind of a use, a dollar, and the value (composite)."""

    type = "composite"

    def read(self, texts: list[str]) -> tuple[tuple[tuple[Coded, Coded], ...], ...]:
        """Return the pairs: of each group one has to fit."""
        return tuple(
            tuple(self._pair(each) for each in alternatives(text)) for text in texts
        )

    def _pair(self, text: str) -> tuple[Coded, Coded]:
        kind, dollar, value = text.partition("$")
        if not dollar or not kind or not value:
            raise ValidationError("expected two tokens, with $ between them")
        return _token(kind), _token(value)


def _token(text: str) -> Coded:
    system, bar, code = text.rpartition("|")
    return Coded(unescaped(system) if bar else None, unescaped(code))


def _is(asked: Coded, coded: Coded) -> bool:
    return asked.code == coded.code and asked.system in (None, coded.system)


def _uses(row: PublishedResource) -> Iterator[tuple[Coded, list[Coded]]]:
    """Yield each use of a resource: its kind and its value."""
    for use in row.head.get("useContext", ()):
        kind = use.get("code", {})
        codings = use.get("valueCodeableConcept", {}).get("coding", ())
        yield (
            Coded(kind.get("system"), kind.get("code", "")),
            [Coded(each.get("system"), each.get("code", "")) for each in codings],
        )


def _fits_use(
    _: PublishedResources, groups: tuple[tuple[tuple[Coded, Coded], ...], ...]
) -> Fits[PublishedResource]:
    def fits(row: PublishedResource) -> bool:
        uses = list(_uses(row))
        return all(
            any(
                _is(kind, of) and any(_is(value, each) for each in values)
                for kind, value in group
                for of, values in uses
            )
            for group in groups
        )

    return fits


def _texts(
    name: str,
) -> Callable[[PublishedResources, PublishedResource], tuple[str, ...]]:
    def texts(_: PublishedResources, row: PublishedResource) -> tuple[str, ...]:
        value = row.head.get(name)
        return () if value is None else (str(value),)

    return texts


def _codes(
    name: str, system: str | None
) -> Callable[[PublishedResources, PublishedResource], tuple[Coded, ...]]:
    def codes(_: PublishedResources, row: PublishedResource) -> tuple[Coded, ...]:
        value = row.head.get(name, ())
        listed = value if isinstance(value, (list, tuple)) else [value]
        return tuple(Coded(system, _code(each)) for each in listed)

    return codes


def _canonicals(
    name: str,
) -> Callable[[PublishedResources, PublishedResource], Iterator[str]]:
    def canonicals(_: PublishedResources, row: PublishedResource) -> Iterator[str]:
        canonical = row.head.get(name)
        if canonical is not None:
            yield canonical
            # R4: a version in the resource does not have to be asked for.
            if "|" in canonical:
                yield canonical.partition("|")[0]

    return canonicals


def _found(
    name: str,
) -> Callable[[PublishedResources, PublishedResource], Iterable[str]]:
    return lambda _, row: row.found_by.get(name, ())


def _found_codes(
    name: str,
) -> Callable[[PublishedResources, PublishedResource], Iterator[Coded]]:
    return lambda _, row: (Coded(None, code) for code in row.found_by.get(name, ()))


def _code(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _periods(
    _: PublishedResources, row: PublishedResource
) -> tuple[tuple[datetime, datetime], ...]:
    said = row.head.get("date")
    return () if said is None else (period_from_search_text(said),)


def _identifiers(_: PublishedResources, row: PublishedResource) -> Iterable[Coded]:
    said = row.head.get("identifier", ())
    for each in said if isinstance(said, list) else [said]:
        if "value" in each:
            yield Coded(each.get("system"), each["value"])


def _of_canonicals(type_: str) -> Iterator[_Element]:
    """Yield the parameters of a type with a canonical."""
    of_all = f"{_R4}/conformance"
    yield UriElement("url", _texts("url"), definition=f"{of_all}-url")
    yield TokenElement(
        "version", _codes("version", None), definition=f"{of_all}-version"
    )
    yield TokenElement(
        "status",
        _codes("status", _PUBLICATION_STATUS),
        system=_PUBLICATION_STATUS,
        codes=("draft", "active", "retired", "unknown"),
        definition=f"{of_all}-status",
    )
    for name in _STRINGS:
        if name != "title" or type_ != _WITHOUT_TITLE:
            yield StringElement(name, _texts(name), definition=f"{of_all}-{name}")
    yield DateElement("date", _periods, definition=f"{of_all}-date")
    if type_ in ("CodeSystem", "ValueSet", "ConceptMap", "StructureDefinition"):
        yield TokenElement(
            "identifier", _identifiers, definition=f"{of_all}-identifier"
        )
    yield TokenElement(
        "context-type",
        lambda _, row: (kind for kind, _ in _uses(row)),
        definition=f"{of_all}-context-type",
    )
    yield TokenElement(
        "context",
        lambda _, row: (value for _, values in _uses(row) for value in values),
        definition=f"{of_all}-context",
    )
    yield SpecialElement(
        "context-type-value",
        lambda _, row: _uses(row),
        parameter=_ContextParameter(
            definition=f"{of_all}-context-type-value",
            documentation="What it is for: focus$Slot.",
        ),
        fits=_fits_use,
    )
    for name, element in _URIS.get(type_, {}).items():
        yield _UriElement(name, _texts(element), definition=f"{_R4}/{type_}-{name}")
    for name, element in _CANONICALS.get(type_, {}).items():
        yield _UriElement(
            name,
            _canonicals(element),
            _CanonicalParameter,
            definition=f"{_R4}/{type_}-{name}",
        )
    for name, kind in _FOUND.get(type_, {}).items():
        definition = f"{_R4}/{type_}-{name}"
        if kind == "uri":
            yield _UriElement(name, _found(name), definition=definition)
        else:
            yield TokenElement(name, _found_codes(name), definition=definition)
    for name, (element, system) in _TOKENS[type_].items():
        yield TokenElement(
            name, _codes(element, system), definition=f"{_R4}/{type_}-{name}"
        )


def _of_endpoint() -> Iterator[_Element]:
    of = f"{_R4}/Endpoint"
    yield TokenElement(
        "status",
        _codes("status", f"{_FHIR}/endpoint-status"),
        definition=f"{of}-status",
    )
    yield StringElement("name", _texts("name"), definition=f"{of}-name")
    yield TokenElement(
        "connection-type",
        lambda _, row: (
            Coded(said["system"], said["code"])
            for said in (row.head["connectionType"],)
        ),
        definition=f"{of}-connection-type",
    )
    yield TokenElement(
        "payload-type",
        lambda _, row: (
            Coded(coding["system"], coding["code"])
            for concept in row.head["payloadType"]
            for coding in concept["coding"]
        ),
        definition=f"{of}-payload-type",
    )
    yield TokenElement("identifier", _identifiers, definition=f"{of}-identifier")


def _table(type_: str, elements: Iterator[_Element]) -> _Table:
    def candidates(
        world: PublishedResources, criteria: Sequence[Criterion]
    ) -> Candidates[PublishedResource]:
        return Candidates(world.all(type_), criteria)

    known = tuple(elements)
    names = {each.name for each in known}

    def sort(name: str) -> Callable[[PublishedResources, PublishedResource], str]:
        return lambda _, row: str(row.head.get(name, ""))

    return ResourceTable(
        type=type_,
        elements=known,
        candidates=candidates,
        row=lambda world, identifier: world.find(type_, identifier),
        id=lambda _, row: row.id,
        order=lambda _, row: (row.id,),
        refused={
            **(_REFUSED_OF_ALL if "url" in names else {}),
            **_REFUSED.get(type_, {}),
        },
        sorts={
            "_id": lambda _, row: row.id,
            **{name: sort(name) for name in _SORTED if name in names},
        },
        render=_render,
    )


def _render(_: PublishedResources, row: PublishedResource) -> dict[str, Any]:
    return row.resource()


PUBLISHED_TABLES: Final = ResourceTables(
    [
        *(_table(type_, _of_canonicals(type_)) for type_ in _TOKENS),
        _table("Endpoint", _of_endpoint()),
    ]
)
"""A table for each type, in a world of published resources."""
