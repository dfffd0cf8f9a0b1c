"""
Search schemas: the search parameters of each resource type (FHIR R4, 3.1.1).

A schema reads the parameters of a request into a frozen dataclass, and collects every
fault before it answers. The CapabilityStatement is derived from the schemas. Repeating
a parameter means "and", a comma within it means "or".
"""

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from types import MappingProxyType
from typing import Any, ClassVar, Final, Generic, TypeVar
from urllib.parse import quote_plus

from marshmallow import Schema, ValidationError

from fhir_gateway.fhir.limits import (
    MOST_CURSOR_CHARACTERS,
    MOST_PARAMETERS,
    MOST_SEARCH_VALUES,
    MOST_VALUE_CHARACTERS,
)
from fhir_gateway.fhir.outcome import Issue, Problem, ProblemKind, Severity
from fhir_gateway.fhir.subset import WHOLE, Subset
from fhir_gateway.model.error_code import ErrorCode

__all__ = [
    "SearchSchema",
    "Understood",
    "check_size",
    "issues_of_understood",
    "query_text",
    "understand",
    "without_empty",
]

_MOST_REMEMBERED: Final = 1024
# Characters in a search: the searches that clients repeat are short.
_ESCAPED: Final = re.compile(r"\\.", re.DOTALL)
_MOST_MEMORABLE: Final = 1000
# STU3 has these words for R4's.
_SPELLINGS: Final = {
    f"_{way}:recurse": f"_{way}:iterate" for way in ("include", "revinclude")
}
_SAFE: Final = ":,/"
_UNSHOWN: Final = "(a name that cannot be shown)"

Q = TypeVar("Q")


class SearchSchema(Schema, Generic[Q]):
    """
    The search parameters of a resource type.

    Attributes:
        query: A frozen dataclass for a search's values, with an attribute for each
            parameter and defaults for the optional ones.
        is_personal: The values are personal data: no cache may hold them.
        beside: The attributes of the query that are of many parameters.
        refused: Why a parameter of R4 is not supported, by its name without modifiers
            and chains, where that needs words.
        remembered: A cache of the meanings of parameters' values.
        understood: A cache of the meanings of queries, leniently read or not.
    """

    query: ClassVar[type[Any]]
    is_personal: ClassVar[bool] = False
    beside: ClassVar[frozenset[str]] = frozenset()
    refused: Mapping[str, str] = MappingProxyType({})
    error_messages = {"unknown": "is not a parameter of this search"}  # noqa: RUF012 - marshmallow reads it and never changes it

    def __init__(self) -> None:
        super().__init__()
        self.by_name = self.own_parameters()
        self.needed = frozenset(
            attribute for attribute, field in self.fields.items() if field.required
        )
        self._roots = {_root(name).lower(): _root(name) for name in self.by_name}
        self.remembered: dict[tuple[str, ...], tuple[str, Any]] = {}
        self.understood: dict[tuple[bytes, bool, str], Understood[Q]] = {}

    def __contains__(self, name: object) -> bool:
        """Return whether a name, with its modifiers and chains, is declared."""
        return isinstance(name, str) and self.declared(self.spelling(name)) is not None

    def own_parameters(self) -> dict[str, tuple[str, Any]]:
        """Return the attribute and the parameter of each name."""
        # Otherwise a parameter misspelt in this code would be read and never applied.
        declared = {field.name for field in fields(self.query)} - self.beside
        if declared != self.fields.keys():
            raise TypeError(
                f"{self.query.__name__} and {type(self).__name__} differ in"
                f" {sorted(declared ^ self.fields.keys())}"
            )
        return {
            field.data_key or attribute: (attribute, field)
            for attribute, field in self.fields.items()
        }

    def declared(self, name: str) -> tuple[str, Any] | None:
        """Return the attribute and the parameter of a name; None for an unknown one."""
        return self.by_name.get(name)

    def spelling(self, name: str) -> str:
        """Return the spelling of a name that the schema declares; STU3 has others."""
        return _SPELLINGS.get(name, name)

    def values_of(self, data: Mapping[str, list[str]]) -> Mapping[str, Any]:
        """
        Return the meanings of the parameters, by attribute.

        Raises:
            ValidationError: With each fault, by parameter.
        """
        values: Mapping[str, Any] = self.load(data)
        return values

    def query_of(self, values: Mapping[str, Any]) -> Q:
        """Return the query of the parameters' meanings."""
        query: Q = self.query(**values)
        return query

    def is_unknown(self, name: str) -> bool:
        """
        Return whether a parameter's name is unknown.

        A known parameter with an unknown modifier or chain is known, and so is one in
        other capitals: to leave it out would widen the search. An access token in a
        form (RFC 6750, 2.2) is known not to be read there.
        """
        return name not in self and self.meant(name) is None and name != "access_token"

    def meant(self, name: str) -> str | None:
        """Return the known parameter that a name means in any capitals, or None."""
        return self._roots.get(_root(name).lower())

    def relative(self, name: str, value: str, base_url: str) -> str:
        """Return a value with this server's references made relative to it."""
        prefix = f"{base_url}/"
        if prefix not in value:
            return value
        declared = self.declared(name)
        if declared is None or not declared[1].has_references:
            return value
        return ",".join(each.removeprefix(prefix) for each in value.split(","))


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood(Generic[Q]):
    """
    A search as this server understood it.

    Attributes:
        query: The values.
        parameters: The used parameters, as the client gave them.
        text: The same as the query of a URL.
        left_out: The names of the ignored unknown parameters, each once; None in place
            of a name that may be personal.
        subset: The part of each resource that the client asks for.
    """

    query: Q
    parameters: tuple[tuple[str, str], ...]
    text: str
    left_out: tuple[str | None, ...] = ()
    subset: Subset = WHOLE


def without_empty(
    given: Iterable[tuple[str, str]], known: Container[str]
) -> list[tuple[str, str]]:
    """
    Return parameters without the empty ones (FHIR R4, 3.1.1.3).

    A form sends all of its fields. An unknown modifier or chain stays, so that the
    schema refuses it.
    """
    return [
        (name, value)
        for name, value in given
        if value or (name not in known and _root(name) != name)
    ]


def understand(
    schema: SearchSchema[Q],
    given: Sequence[tuple[str, str]],
    *,
    lenient: bool,
    base_url: str,
) -> Understood[Q]:
    """
    Return the search that a client asks for.

    Args:
        schema: The parameters that exist.
        given: Name and value of each parameter, in the client's order.
        lenient: Ignore unknown parameters (`Prefer: handling=lenient`). An unknown
            modifier or chain is refused even so, since without it the parameter would
            find more than the client asked for.
        base_url: What absolute references to this server begin with.

    Raises:
        Problem: 400, with an issue for each fault.
    """
    check_size(given)
    kept = tuple(
        pair for pair in given if not lenient or not schema.is_unknown(pair[0])
    )
    data: dict[str, list[str]] = {}
    for name, value in kept:
        spelling = schema.spelling(name)
        data.setdefault(spelling, []).append(schema.relative(spelling, value, base_url))
    values = quoted = None
    if not schema.is_personal and sum(map(_length, kept)) <= _MOST_MEMORABLE:
        values, quoted = _known_values(schema, data), _remembered_quoted
    if values is None:
        values = _loaded(schema, data, [name for name, _ in kept])
    return Understood(
        query=schema.query_of(values),
        parameters=kept,
        text="&".join([(quoted or _quoted)(name, value) for name, value in kept]),
        left_out=(
            ()
            if len(kept) == len(given)
            else tuple(
                dict.fromkeys(
                    name if _is_harmless(name) else None
                    for name, _ in given
                    if schema.is_unknown(name)
                )
            )
        ),
    )


def query_text(given: Iterable[tuple[str, str]]) -> str:
    """Return parameters as the query of a URL."""
    return "&".join([_quoted(name, value) for name, value in given])


def issues_of_understood(understood: Understood[Any]) -> list[Issue]:
    """Return an issue for each parameter that was left out."""
    return [
        Issue(
            severity=Severity.WARNING,
            code="not-supported",
            error_code=ErrorCode.FILTER_IS_NOT_APPLIED,
            diagnostics=(
                f"{name or _UNSHOWN}: is not a parameter of this search and was left"
                " out (Prefer: handling=lenient). The answer may hold matches that it"
                " would exclude."
            ),
            parameter=name,
        )
        for name in understood.left_out
    ]


def check_size(given: Sequence[tuple[str, str]]) -> None:
    """
    Check the size of a search before reading it; empty parameters count.

    Raises:
        Problem: 400, with the exceeded limit.
    """
    values = sum(_commas(value) + 1 for _, value in given)
    parameter = None
    if len(given) > MOST_PARAMETERS:
        fault = f"A search has at most {MOST_PARAMETERS} parameters."
    elif values > MOST_SEARCH_VALUES:
        fault = (
            f"A search has at most {MOST_SEARCH_VALUES} values in all: repeated or"
            " separated by commas, each counts."
        )
    elif (long := next(filter(None, map(_long_part, given)), None)) is not None:
        fault = (
            "A name or value of a search has at most"
            f" {MOST_VALUE_CHARACTERS} characters."
        )
        parameter = long if _is_harmless(long) else None
    else:
        return
    raise Problem(
        [Issue(code="too-costly", diagnostics=fault, parameter=parameter)],
        kind=ProblemKind.MALFORMED,
    )


def _commas(value: str) -> int:
    """Return how many commas of a value separate (FHIR R4, 3.1.1.4.5)."""
    if "\\" not in value:
        return value.count(",")
    return len(_ESCAPED.sub("", value).split(",")) - 1


def _long_part(pair: tuple[str, str]) -> str | None:
    """Return the name of a parameter with a too long name or value."""
    name, value = pair
    if len(name) + len(value) <= MOST_VALUE_CHARACTERS:
        return None
    if name == "_cursor" and len(value) <= MOST_CURSOR_CHARACTERS:
        return None
    longest = max(map(len, (name, *value.split(","))))
    return name if longest > MOST_VALUE_CHARACTERS else None


def _length(pair: tuple[str, str]) -> int:
    return len(pair[0]) + len(pair[1])


def _known_values(
    schema: SearchSchema[Any], data: Mapping[str, list[str]]
) -> Mapping[str, Any] | None:
    """
    Return the parameters' meanings, each from the cache where it is there.

    None when a parameter is wrong or missing: the schema then finds every fault.
    """
    values = {}
    for name, texts in data.items():
        key = (name, *texts)
        known = schema.remembered.get(key)
        if known is None:
            declared = schema.declared(name)
            if declared is None:
                return None
            attribute, field = declared
            try:
                known = (attribute, field.deserialize(texts, name, data))
            except ValidationError:
                return None
            if len(schema.remembered) >= _MOST_REMEMBERED:
                schema.remembered.clear()
            schema.remembered[key] = known
        values[known[0]] = known[1]
    return values if schema.needed <= values.keys() else None


def _loaded(
    schema: SearchSchema[Any], data: Mapping[str, list[str]], given: Sequence[str]
) -> Mapping[str, Any]:
    try:
        values = schema.values_of(data)
    except ValidationError as error:
        # Each fault has the name that the client gave, where that may be repeated.
        shown = {schema.spelling(name): name for name in given if _is_harmless(name)}
        raise Problem(
            [
                _issue(
                    shown.get(str(name), str(name)),
                    message,
                    known=str(name) in schema,
                    meant=schema.meant(str(name)),
                    reason=schema.refused.get(_root(str(name))),
                )
                for name, messages in error.messages_dict.items()
                for message in messages
            ],
            kind=ProblemKind.MALFORMED,
        ) from error
    return values


def _quoted(name: str, value: str) -> str:
    return f"{quote_plus(name, safe=_SAFE)}={quote_plus(value, safe=_SAFE)}"


_remembered_quoted: Final = lru_cache(maxsize=_MOST_REMEMBERED)(_quoted)


def _issue(
    name: str, message: str, *, known: bool, meant: str | None, reason: str | None
) -> Issue:
    way_out = "" if known else "; see /metadata for those that are"
    if not known and reason is not None:
        way_out = f": {reason}"
    elif meant is not None and meant != _root(name):
        # The name is the known one in other capitals, so that it is nobody's.
        name = meant
        message = "capitals count: write the name so"
        way_out = ""
    is_harmless = _is_harmless(name)
    return Issue(
        code="value" if known else "not-supported",
        diagnostics=f"{name if is_harmless else _UNSHOWN}: {message}{way_out}.",
        parameter=name if is_harmless else None,
    )


def _root(name: str) -> str:
    """Return a parameter's name without modifiers and chains."""
    return re.split("[:.]", name, maxsplit=1)[0]


def _is_harmless(name: str) -> bool:
    """
    Return whether a message may repeat a parameter's name, which can be any text.

    A number, or a word with a capital as names have, may be personal.
    """
    return bool(re.fullmatch(r"[a-z_][A-Za-z_:.\-]{0,63}", name))
