"""
Search parameters (FHIR R4, 3.1.1): one schema for each resource type that is searched.

A schema reads the parameters of a request into values, collects every fault before it
answers, and is what the CapabilityStatement is derived from. Repeating a parameter
means "and", a comma within it means "or".
"""

import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, ClassVar, Final
from urllib.parse import quote_plus

from marshmallow import Schema, ValidationError, fields

from fhir_gateway.fhir.limits import (
    MOST_PARAMETERS,
    MOST_SEARCH_VALUES,
    MOST_VALUE_CHARACTERS,
)
from fhir_gateway.fhir.outcome import Issue, Problem, ProblemKind, Severity
from fhir_gateway.fhir.reference import own_id
from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.model.timekeeping import period_from_search_text

__all__ = [
    "Choice",
    "Count",
    "DateBounds",
    "DateParameter",
    "Include",
    "IncludeParameter",
    "Opaque",
    "Parameter",
    "ReferenceParameter",
    "SearchSchema",
    "Token",
    "TokenParameter",
    "Understood",
    "UriParameter",
    "alternatives",
    "issues_of_understood",
    "understand",
    "unescaped",
    "without_empty",
]

_UNESCAPED_COMMA: Final = re.compile(r"(?<!\\)(?:\\\\)*,")
_UNESCAPED_BAR: Final = re.compile(r"(?<!\\)(?:\\\\)*\|")
_ESCAPE: Final = re.compile(r"\\([\\,|$])")
_FHIR_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_PREFIX: Final = re.compile(r"([a-z]{2})(?=[0-9])")
_ABSOLUTE_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[\x21-\x7e]+")
_MOST_REMEMBERED: Final = 1024
# Characters in a search: what clients send over and over is short.
_MOST_MEMORABLE: Final = 1000
_SAFE: Final = ":,/"
_UNSHOWN: Final = "(a name that cannot be shown)"


@dataclass(frozen=True, slots=True)
class Token:
    """
    A token: a system that is absent stands for any, and so does a code.
    """

    system: str | None
    code: str | None


@dataclass(frozen=True, slots=True)
class DateBounds:
    """The instants that fit: from `start` (included) until `before`; None is open."""

    start: datetime | None = None
    before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Include:
    """What `_include` asks for: `source:parameter[:target]`."""

    source: str
    parameter: str
    target: str | None = None


class Parameter(fields.Field[Any]):
    """
    A search parameter; its input is the list of the values it was given with.

    Args:
        documentation: What it does here, for the CapabilityStatement.
        definition: The canonical of its SearchParameter, where R4 has one.
        own: The name of its SearchParameter, where we have one.
    """

    type: ClassVar[str]

    def __init__(
        self,
        *,
        documentation: str = "",
        definition: str | None = None,
        own: str | None = None,
        **options: Any,  # noqa: ANN401 - marshmallow's
    ) -> None:
        super().__init__(**options)
        self.documentation = documentation
        self.definition = definition
        self.own = own


class TokenParameter(Parameter):
    """
    A token parameter: groups of tokens.

    Args:
        codes: The only codes that exist, where the element has a required binding.
        system: The only system that they are of.
        is_system: Tells whether codes can be of a system, where there are several.
    """

    type = "token"

    def __init__(
        self,
        *,
        codes: Iterable[str] | None = None,
        system: str | None = None,
        is_system: Callable[[str], bool] | None = None,
        **options: Any,  # noqa: ANN401 - marshmallow's
    ) -> None:
        super().__init__(**options)
        self._codes = tuple(codes) if codes is not None else None
        self._system = system
        self._is_system = is_system

    def _deserialize(
        self,
        value: list[str],
        attr: str | None,  # noqa: ARG002 - marshmallow's
        data: Mapping[str, Any] | None,  # noqa: ARG002 - marshmallow's
        **_: Any,  # noqa: ANN401 - marshmallow's
    ) -> tuple[tuple[Token, ...], ...]:
        return tuple(
            tuple(self._token(each) for each in alternatives(text)) for text in value
        )

    def _token(self, text: str) -> Token:
        bar = _UNESCAPED_BAR.search(text)
        if bar is None:
            token = Token(None, unescaped(text))
        else:
            if _UNESCAPED_BAR.search(text, bar.end()):
                # system|version|code is no token of R4: it came with R5.
                raise ValidationError(
                    "expected at most one | that is not escaped: a version cannot be"
                    " searched for"
                )
            system, code = text[: bar.end() - 1], text[bar.end() :]
            if not system:
                # R4: |code asks for codings without a system, and there are none.
                raise ValidationError(
                    "expected a code, system|code or system|: every code here has a"
                    " system"
                )
            token = Token(unescaped(system), unescaped(code) or None)
        self._check_system(token.system)
        if self._codes is not None and token.code not in self._codes:
            raise ValidationError(f"expected one of {', '.join(self._codes)}")
        return token

    def _check_system(self, system: str | None) -> None:
        if system is None:
            return
        if self._system is not None and system != self._system:
            raise ValidationError(f"expected {self._system}|code, or a code alone")
        if self._is_system is not None and not self._is_system(system):
            raise ValidationError(
                "no code here is of that system; see the meta of what is found for"
                " those that are, or send the code alone"
            )


class DateParameter(Parameter):
    """
    A date parameter on an instant: the bounds that all its values leave.

    `ne` and `ap` leave no single period and are refused.
    """

    type = "date"

    def _deserialize(
        self,
        value: list[str],
        attr: str | None,  # noqa: ARG002 - marshmallow's
        data: Mapping[str, Any] | None,  # noqa: ARG002 - marshmallow's
        **_: Any,  # noqa: ANN401 - marshmallow's
    ) -> DateBounds:
        start: datetime | None = None
        before: datetime | None = None
        for text in value:
            bounds = _bounds(text)
            if bounds.start is not None:
                start = max(start, bounds.start) if start else bounds.start
            if bounds.before is not None:
                before = min(before, bounds.before) if before else bounds.before
        return DateBounds(start, before)


class ReferenceParameter(Parameter):
    """
    A reference parameter: groups of ids.

    Args:
        target: The one resource type it can point at.
    """

    type = "reference"

    def __init__(self, *, target: str, **options: Any) -> None:  # noqa: ANN401 - marshmallow's
        super().__init__(**options)
        self.target = target

    def _deserialize(
        self,
        value: list[str],
        attr: str | None,  # noqa: ARG002 - marshmallow's
        data: Mapping[str, Any] | None,  # noqa: ARG002 - marshmallow's
        **_: Any,  # noqa: ANN401 - marshmallow's
    ) -> tuple[frozenset[str], ...]:
        return tuple(
            frozenset(self._id(unescaped(each)) for each in alternatives(text))
            for text in value
        )

    def _id(self, text: str) -> str:
        # `understand` has made this server's absolute references relative.
        identifier = (
            text if _FHIR_ID.fullmatch(text) else own_id(text, self.target, None)
        )
        if identifier is None:
            raise ValidationError(
                f"expected a reference to this server, as {self.target}/id"
            )
        return identifier


class UriParameter(Parameter):
    """A uri parameter: groups of URIs, compared as they are written."""

    type = "uri"

    def _deserialize(
        self,
        value: list[str],
        attr: str | None,  # noqa: ARG002 - marshmallow's
        data: Mapping[str, Any] | None,  # noqa: ARG002 - marshmallow's
        **_: Any,  # noqa: ANN401 - marshmallow's
    ) -> tuple[frozenset[str], ...]:
        return tuple(
            frozenset(self._uri(unescaped(each)) for each in alternatives(text))
            for text in value
        )

    def _uri(self, text: str) -> str:
        if not _ABSOLUTE_URI.fullmatch(text):
            raise ValidationError("expected an absolute URI")
        return text


class Count(Parameter):
    """`_count`: how many matches a page has at most."""

    type = "number"

    def __init__(self, *, most: int, **options: Any) -> None:  # noqa: ANN401 - marshmallow's
        super().__init__(**options)
        self._most = most

    def _deserialize(
        self,
        value: list[str],
        attr: str | None,  # noqa: ARG002 - marshmallow's
        data: Mapping[str, Any] | None,  # noqa: ARG002 - marshmallow's
        **_: Any,  # noqa: ANN401 - marshmallow's
    ) -> int:
        text = _only(value)
        if not re.fullmatch(r"[0-9]{1,9}", text):
            raise ValidationError("expected a whole number, 0 or more")
        # R4: the server may return fewer than the client asks for.
        return min(int(text), self._most)


class Choice(Parameter):
    """A parameter with a few possible values."""

    type = "string"

    def __init__(self, *, of: Sequence[str], **options: Any) -> None:  # noqa: ANN401 - marshmallow's
        super().__init__(**options)
        self.of = tuple(of)

    def _deserialize(
        self,
        value: list[str],
        attr: str | None,  # noqa: ARG002 - marshmallow's
        data: Mapping[str, Any] | None,  # noqa: ARG002 - marshmallow's
        **_: Any,  # noqa: ANN401 - marshmallow's
    ) -> str:
        text = _only(value)
        if text not in self.of:
            raise ValidationError(f"expected one of {', '.join(self.of)}")
        return text


class IncludeParameter(Parameter):
    """`_include`, with or without `:iterate`: the paths that can be followed."""

    type = "string"

    def __init__(self, *, paths: Sequence[Include], **options: Any) -> None:  # noqa: ANN401 - marshmallow's
        super().__init__(**options)
        self.paths = tuple(paths)

    def _deserialize(
        self,
        value: list[str],
        attr: str | None,  # noqa: ARG002 - marshmallow's
        data: Mapping[str, Any] | None,  # noqa: ARG002 - marshmallow's
        **_: Any,  # noqa: ANN401 - marshmallow's
    ) -> tuple[Include, ...]:
        return tuple(self._include(text) for text in value)

    def _include(self, text: str) -> Include:
        parts = text.split(":")
        known = {(path.source, path.parameter): path for path in self.paths}
        if len(parts) in (2, 3) and (parts[0], parts[1]) in known:
            return Include(*parts)
        offered = ", ".join(f"{path.source}:{path.parameter}" for path in self.paths)
        raise ValidationError(f"expected one of {offered}, each with or without :Type")


class Opaque(Parameter):
    """
    A value of our own making, such as a page's place.

    Args:
        read: Returns what a value means; ValueError when it is none of ours.
    """

    type = "special"

    def __init__(self, *, read: Callable[[str], Any], **options: Any) -> None:  # noqa: ANN401 - marshmallow's
        super().__init__(**options)
        self._read = read

    def _deserialize(
        self,
        value: list[str],
        attr: str | None,  # noqa: ARG002 - marshmallow's
        data: Mapping[str, Any] | None,  # noqa: ARG002 - marshmallow's
        **_: Any,  # noqa: ANN401 - marshmallow's
    ) -> Any:  # noqa: ANN401 - what the value means
        text = _only(value)
        try:
            return self._read(text)
        except ValueError as error:
            raise ValidationError(
                "is none of this server's; follow a next link unchanged"
            ) from error


class SearchSchema(Schema):
    """
    The parameters that a resource type is searched by.

    Attributes:
        is_personal: What is searched for is somebody's: none of it is remembered.
        remembered: What values of parameters mean.
        understood: What queries of URLs mean, leniently or not.
    """

    is_personal: ClassVar[bool] = False
    error_messages = {"unknown": "is not a parameter of this search"}  # noqa: RUF012 - marshmallow's

    def __init__(self) -> None:
        super().__init__()
        self.by_name = {
            field.data_key or attribute: (attribute, field)
            for attribute, field in self.fields.items()
        }
        self.needed = frozenset(
            attribute for attribute, field in self.fields.items() if field.required
        )
        self._roots = frozenset(_root(name) for name in self.by_name)
        self.remembered: dict[tuple[str, ...], tuple[str, Any]] = {}
        self.understood: dict[tuple[bytes, bool, str], Understood] = {}

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
class Understood:
    """
    A search as it was understood.

    Attributes:
        values: What each given parameter means, by attribute of the schema.
        parameters: The parameters that were used, as given.
        query: The same as the query of a URL.
        left_out: The names of those that do not exist and were left out, each once;
            None for a name that may be somebody's.
    """

    values: Mapping[str, Any]
    parameters: tuple[tuple[str, str], ...]
    query: str
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
    schema: SearchSchema,
    given: Sequence[tuple[str, str]],
    *,
    lenient: bool,
    base_url: str,
) -> Understood:
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
        values=values,
        parameters=kept,
        query="&".join([(quoted or _quoted)(name, value) for name, value in kept]),
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


def issues_of_understood(understood: Understood) -> list[Issue]:
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
    schema: SearchSchema, data: Mapping[str, list[str]]
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


def _loaded(schema: SearchSchema, data: Mapping[str, list[str]]) -> Mapping[str, Any]:
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


def _only(values: list[str]) -> str:
    if len(values) != 1:
        raise ValidationError("is given more than once")
    return values[0]


def alternatives(text: str) -> list[str]:
    """
    Return the values that commas part.

    Raises:
        ValidationError: One of them is empty.
    """
    found = []
    rest = text
    while match := _UNESCAPED_COMMA.search(rest):
        found.append(rest[: match.end() - 1])
        rest = rest[match.end() :]
    found.append(rest)
    if "" in found:
        raise ValidationError("has an empty value")
    return found


def unescaped(text: str) -> str:
    """Return a value without the backslashes that escape."""
    return _ESCAPE.sub(r"\1", text)


def _bounds(text: str) -> DateBounds:
    match = _PREFIX.match(text)
    prefix = match[1] if match else "eq"
    try:
        # A + that a client forgot to escape has become a blank; no date has one.
        start, end = period_from_search_text(
            text.removeprefix(match[1] if match else "").replace(" ", "+")
        )
    except ValueError as error:
        raise ValidationError(f"is {error}") from error
    bounds = {
        "eq": DateBounds(start, end),
        "ge": DateBounds(start=start),
        "gt": DateBounds(start=end),
        "sa": DateBounds(start=end),
        "lt": DateBounds(before=start),
        "eb": DateBounds(before=start),
        "le": DateBounds(before=end),
    }.get(prefix)
    if bounds is None:
        raise ValidationError(
            "expected one of the prefixes eq, ge, gt, le, lt, sa, eb, or none"
        )
    return bounds
