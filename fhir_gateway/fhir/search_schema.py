"""
Search schemas: the parameters that each resource type is searched by (FHIR R4, 3.1.1).

A schema reads the parameters of a request into a frozen dataclass, collects every fault
before it answers, and is what the CapabilityStatement is derived from. Repeating a
parameter means "and", a comma within it means "or".
"""

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, ClassVar, Final, Generic, TypeVar
from urllib.parse import quote_plus

from marshmallow import Schema, ValidationError

from fhir_gateway.fhir.limits import (
    MOST_PARAMETERS,
    MOST_SEARCH_VALUES,
    MOST_VALUE_CHARACTERS,
)
from fhir_gateway.fhir.outcome import Issue, Problem, ProblemKind, Severity
from fhir_gateway.fhir.search_parameters import ReferenceParameter
from fhir_gateway.model.error_code import ErrorCode

__all__ = [
    "SearchSchema",
    "Understood",
    "issues_of_understood",
    "understand",
    "without_empty",
]

_MOST_REMEMBERED: Final = 1024
# Characters in a search: what clients send over and over is short.
_MOST_MEMORABLE: Final = 1000
_SAFE: Final = ":,/"
_UNSHOWN: Final = "(a name that cannot be shown)"

Q = TypeVar("Q")


class SearchSchema(Schema, Generic[Q]):
    """
    The parameters that a resource type is searched by.

    Attributes:
        query: A frozen dataclass with an attribute for each of them: what a search
            asks. Those that a search may leave out have defaults.
        is_personal: What is searched for is somebody's: none of it is remembered.
        remembered: What values of parameters mean.
        understood: What queries of URLs mean, leniently or not.
    """

    query: ClassVar[type[Any]]
    is_personal: ClassVar[bool] = False
    error_messages = {"unknown": "is not a parameter of this search"}  # noqa: RUF012 - marshmallow's

    def __init__(self) -> None:
        super().__init__()
        # Else a parameter that was misspelt here would be read and never applied.
        declared = {field.name for field in fields(self.query)}
        if declared != self.fields.keys():
            raise TypeError(
                f"{self.query.__name__} and {type(self).__name__} differ in"
                f" {sorted(declared ^ self.fields.keys())}"
            )
        self.by_name = {
            field.data_key or attribute: (attribute, field)
            for attribute, field in self.fields.items()
        }
        self.needed = frozenset(
            attribute for attribute, field in self.fields.items() if field.required
        )
        self._roots = frozenset(_root(name) for name in self.by_name)
        self.remembered: dict[tuple[str, ...], tuple[str, Any]] = {}
        self.understood: dict[tuple[bytes, bool, str], Understood[Q]] = {}

    def is_unheard_of(self, name: str) -> bool:
        """
        Return whether nothing about a parameter's name is known here.

        A known parameter with an unknown modifier or chain is not unheard of.
        """
        return name not in self.by_name and _root(name) not in self._roots

    def relative(self, name: str, value: str, base_url: str) -> str:
        """Return a value with this server's references made relative to it."""
        prefix = f"{base_url}/"
        if prefix not in value or not isinstance(
            self.by_name.get(name, (None, None))[1], ReferenceParameter
        ):
            return value
        return ",".join(each.removeprefix(prefix) for each in value.split(","))


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood(Generic[Q]):
    """
    A search as it was understood.

    Attributes:
        query: What is asked.
        parameters: The parameters that were used, as given.
        text: The same as the query of a URL.
        left_out: The names of those that do not exist and were left out, each once;
            None for a name that may be somebody's.
    """

    query: Q
    parameters: tuple[tuple[str, str], ...]
    text: str
    left_out: tuple[str | None, ...] = ()


def without_empty(
    given: Iterable[tuple[str, str]], known: Container[str]
) -> list[tuple[str, str]]:
    """
    Return parameters without those that have no value (FHIR R4, 3.1.1.3).

    A form sends all its fields. A modifier or a chain that does not exist stays, to be
    refused.
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
    Return what a client asks for.

    Args:
        schema: The parameters that exist.
        given: Name and value of each parameter, in the client's order.
        lenient: Leave out parameters that do not exist (`Prefer: handling=lenient`). A
            modifier or a chain that does not exist is refused all the same, since
            without it the parameter would find more than the client asked for.
        base_url: What absolute references to this server begin with.

    Raises:
        Problem: 400, with an issue for each fault.
    """
    _check_size(given)
    kept = tuple(
        pair for pair in given if not lenient or not schema.is_unheard_of(pair[0])
    )
    data: dict[str, list[str]] = {}
    for name, value in kept:
        data.setdefault(name, []).append(schema.relative(name, value, base_url))
    values = quoted = None
    if not schema.is_personal and sum(map(_length, kept)) <= _MOST_MEMORABLE:
        values, quoted = _known_values(schema, data), _remembered_quoted
    if values is None:
        values = _loaded(schema, data)
    return Understood(
        query=schema.query(**values),
        parameters=kept,
        text="&".join([(quoted or _quoted)(name, value) for name, value in kept]),
        left_out=(
            ()
            if len(kept) == len(given)
            else tuple(
                dict.fromkeys(
                    name if _is_harmless(name) else None
                    for name, _ in given
                    if schema.is_unheard_of(name)
                )
            )
        ),
    )


def issues_of_understood(understood: Understood[Any]) -> list[Issue]:
    """Return what a client must know of a search: what was left out of it."""
    return [
        Issue(
            severity=Severity.WARNING,
            code="not-supported",
            error_code=ErrorCode.FILTER_IS_NOT_APPLIED,
            diagnostics=(
                f"{name or _UNSHOWN}: is not a parameter of this search and was left"
                " out (Prefer: handling=lenient). The answer may hold what it would"
                " leave out."
            ),
            parameter=name,
        )
        for name in understood.left_out
    ]


def _check_size(given: Sequence[tuple[str, str]]) -> None:
    """
    Check how much there is to read, before any of it is read.

    Raises:
        Problem: 400, with the limit that is passed.
    """
    # An escaped comma counts too: that is one value too many in a million searches.
    values = sum(value.count(",") + 1 for _, value in given)
    parameter = None
    if len(given) > MOST_PARAMETERS:
        fault = f"A search has at most {MOST_PARAMETERS} parameters."
    elif values > MOST_SEARCH_VALUES:
        fault = (
            f"A search has at most {MOST_SEARCH_VALUES} values in all: repeated or"
            " parted by commas, each counts."
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


def _long_part(pair: tuple[str, str]) -> str | None:
    """Return the name of a parameter that is too long in itself or in a value."""
    name, value = pair
    if len(name) + len(value) <= MOST_VALUE_CHARACTERS:
        return None
    longest = max(map(len, (name, *value.split(","))))
    return name if longest > MOST_VALUE_CHARACTERS else None


def _length(pair: tuple[str, str]) -> int:
    return len(pair[0]) + len(pair[1])


def _known_values(
    schema: SearchSchema[Any], data: Mapping[str, list[str]]
) -> Mapping[str, Any] | None:
    """
    Return what the parameters mean, one by one, remembering what they meant before.

    None when one of them is wrong or missing: the schema then finds every fault.
    """
    values = {}
    for name, texts in data.items():
        key = (name, *texts)
        known = schema.remembered.get(key)
        if known is None:
            declared = schema.by_name.get(name)
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
    schema: SearchSchema[Any], data: Mapping[str, list[str]]
) -> Mapping[str, Any]:
    try:
        values: Mapping[str, Any] = schema.load(data)
    except ValidationError as error:
        raise Problem(
            [
                _issue(str(name), message, known=name in schema.by_name)
                for name, messages in error.messages_dict.items()
                for message in messages
            ],
            kind=ProblemKind.MALFORMED,
        ) from error
    return values


def _quoted(name: str, value: str) -> str:
    return f"{quote_plus(name, safe=_SAFE)}={quote_plus(value, safe=_SAFE)}"


_remembered_quoted: Final = lru_cache(maxsize=_MOST_REMEMBERED)(_quoted)


def _issue(name: str, message: str, *, known: bool) -> Issue:
    shown = name if _is_harmless(name) else _UNSHOWN
    way_out = "" if known else "; see /metadata for those that are"
    return Issue(
        code="value" if known else "not-supported",
        diagnostics=f"{shown}: {message}{way_out}.",
        parameter=shown if _is_harmless(name) else None,
    )


def _root(name: str) -> str:
    """Return a parameter's name without modifiers and chains."""
    return re.split("[:.]", name, maxsplit=1)[0]


def _is_harmless(name: str) -> bool:
    """
    Return whether a parameter's name can be repeated: it may be anything at all.

    A number or a word that begins as a name does may be somebody's.
    """
    return bool(re.fullmatch(r"[a-z_][A-Za-z_:.\-]{0,63}", name))
