"""
Search parameters (FHIR R4, 3.1.1): the reading of values of each type.
"""

import re
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, TypeVar

from marshmallow import ValidationError, fields

from fhir_gateway.fhir.include_graph import INCLUDE_PATHS, Include, IncludePath
from fhir_gateway.fhir.reference import own_id

__all__ = [
    "Choice",
    "Count",
    "IncludeParameter",
    "MissingParameter",
    "Opaque",
    "Parameter",
    "ReferenceParameter",
    "Token",
    "TokenParameter",
    "UriParameter",
    "alternatives",
    "unescaped",
]

_UNESCAPED_COMMA: Final = re.compile(r"(?<!\\)(?:\\\\)*,")
_UNESCAPED_BAR: Final = re.compile(r"(?<!\\)(?:\\\\)*\|")
_ESCAPE: Final = re.compile(r"\\([\\,|$])")
_FHIR_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_ABSOLUTE_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[\x21-\x7e]+")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Token:
    """A token; an absent system or code matches any."""

    system: str | None
    code: str | None


class Parameter(fields.Field[T]):
    """
    A search parameter; its input is the list of its values in a request.

    Args:
        documentation: Its meaning here, for the CapabilityStatement.
        definition: The canonical of its SearchParameter, where R4 has one.
        own: The name of its SearchParameter, where we have one.

    Attributes:
        has_references: Its values are references, which may begin with our base.
    """

    type: ClassVar[str]
    has_references = False

    def __init__(
        self,
        *,
        documentation: str = "",
        definition: str | None = None,
        own: str | None = None,
        **options: Any,  # noqa: ANN401 - a marshmallow field has options of many types
    ) -> None:
        super().__init__(**options)
        self.documentation = documentation
        self.definition = definition
        self.own = own

    @abstractmethod
    def read(self, texts: list[str]) -> T:
        """
        Return the meaning of a parameter's values.

        Raises:
            ValidationError: They are invalid; its message says what is expected.
        """

    def _deserialize(
        self,
        value: list[str],
        attr: str | None,  # noqa: ARG002 - marshmallow passes it to every field
        data: Mapping[str, Any] | None,  # noqa: ARG002 - marshmallow passes it to every field
        **_: Any,  # noqa: ANN401 - marshmallow may pass more
    ) -> T:
        return self.read(value)


class TokenParameter(Parameter[tuple[tuple[Token, ...], ...]]):
    """
    A token parameter: groups of tokens.

    Args:
        codes: The only codes that exist, where the element has a required binding.
        system: The only system of these codes.
        is_system: Returns whether codes can be of a system, where there are several.
    """

    type = "token"

    def __init__(
        self,
        *,
        codes: Iterable[str] | None = None,
        system: str | None = None,
        is_system: Callable[[str], bool] | None = None,
        **options: Any,  # noqa: ANN401 - a marshmallow field has options of many types
    ) -> None:
        super().__init__(**options)
        self._codes = tuple(codes) if codes is not None else None
        self._system = system
        self._is_system = is_system

    def read(self, texts: list[str]) -> tuple[tuple[Token, ...], ...]:
        """Return the tokens: of each group one has to fit."""
        return tuple(
            tuple(self._token(each) for each in alternatives(text)) for text in texts
        )

    def _token(self, text: str) -> Token:
        bar = _UNESCAPED_BAR.search(text)
        if bar is None:
            token = Token(None, unescaped(text))
        else:
            if _UNESCAPED_BAR.search(text, bar.end()):
                # system|version|code is not a token of R4: it came with R5.
                raise ValidationError(
                    "expected at most one | that is not escaped: a version cannot be"
                    " searched for"
                )
            system, code = text[: bar.end() - 1], text[bar.end() :]
            if not system:
                # R4: |code asks for codings without a system; this server has none.
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
                "this server has no code of that system; see the codings in what a"
                " search finds, or send the code alone"
            )


class ReferenceParameter(Parameter[tuple[frozenset[str], ...]]):
    """
    A reference parameter: groups of ids.

    Args:
        target: The one resource type that it refers to.
    """

    type = "reference"
    has_references = True

    def __init__(self, *, target: str, **options: Any) -> None:  # noqa: ANN401 - a marshmallow field has options of many types
        super().__init__(**options)
        self.target = target

    def read(self, texts: list[str]) -> tuple[frozenset[str], ...]:
        """Return the ids: of each group one has to fit."""
        return tuple(
            frozenset(self._id(unescaped(each)) for each in alternatives(text))
            for text in texts
        )

    def is_id(self, text: str) -> bool:
        """Return whether a text is an id alone."""
        return _FHIR_ID.fullmatch(text) is not None

    def _id(self, text: str) -> str:
        # `understand` has made this server's absolute references relative.
        identifier = text if self.is_id(text) else own_id(text, self.target, None)
        if identifier is None:
            raise ValidationError(
                f"expected a reference to this server, as {self.target}/id"
            )
        return identifier


class UriParameter(Parameter[tuple[frozenset[str], ...]]):
    """A uri parameter: groups of URIs, compared character by character."""

    type = "uri"

    def read(self, texts: list[str]) -> tuple[frozenset[str], ...]:
        """Return the URIs: of each group one has to fit."""
        return tuple(
            frozenset(self._uri(unescaped(each)) for each in alternatives(text))
            for text in texts
        )

    def _uri(self, text: str) -> str:
        if not _ABSOLUTE_URI.fullmatch(text):
            raise ValidationError("expected an absolute URI")
        return text


class MissingParameter(Parameter[bool]):
    """A parameter with the modifier `:missing`: whether the element is absent."""

    type = "special"

    def read(self, texts: list[str]) -> bool:
        """Return whether it has to be absent."""
        if texts not in (["true"], ["false"]):
            raise ValidationError("expected true or false, once")
        return texts == ["true"]


class Count(Parameter[int]):
    """`_count`: how many matches a page has at most."""

    type = "number"

    def __init__(self, *, most: int, **options: Any) -> None:  # noqa: ANN401 - a marshmallow field has options of many types
        super().__init__(**options)
        self._most = most

    def read(self, texts: list[str]) -> int:
        """Return the number, at most the largest page."""
        text = _only(texts)
        if not re.fullmatch("[0-9]+", text):
            raise ValidationError("expected a whole number, 0 or more")
        # R4: the server may return fewer than the client asks for.
        return min(int(text), self._most)


class Choice(Parameter[str]):
    """A parameter with a few possible values."""

    type = "special"

    def __init__(self, *, of: Sequence[str], **options: Any) -> None:  # noqa: ANN401 - a marshmallow field has options of many types
        super().__init__(**options)
        self.of = tuple(of)

    def read(self, texts: list[str]) -> str:
        """Return the one value."""
        text = _only(texts)
        if text not in self.of:
            raise ValidationError(f"expected one of {', '.join(self.of)}")
        return text


class IncludeParameter(Parameter[tuple[Include, ...]]):
    """
    `_include` or `_revinclude`, with or without `:iterate`.

    Args:
        paths: The paths that can be followed.
        is_reverse: It follows them from the target to the source.
    """

    type = "string"

    paths: tuple[IncludePath, ...] = INCLUDE_PATHS

    def __init__(
        self,
        *,
        paths: Sequence[IncludePath] | None = None,
        is_reverse: bool = False,
        **options: Any,  # noqa: ANN401 - a marshmallow field has options of many types
    ) -> None:
        super().__init__(**options)
        if paths is not None:
            self.paths = tuple(paths)
        self.is_reverse = is_reverse

    def read(self, texts: list[str]) -> tuple[Include, ...]:
        """Return the paths to follow."""
        return tuple(self._include(text) for text in texts)

    def _include(self, text: str) -> Include:
        parts = text.split(":")
        known = {(path.source, path.parameter): path for path in self.paths}
        if len(parts) in (2, 3) and (path := known.get((parts[0], parts[1]))):
            if parts[2:] and parts[2] not in path.targets:
                raise ValidationError(
                    f"{path.source}:{path.parameter} leads to"
                    f" {', '.join(path.targets)} and no other type"
                )
            return Include(*parts)
        offered = ", ".join(f"{path.source}:{path.parameter}" for path in self.paths)
        raise ValidationError(f"expected one of {offered}, each with or without :Type")


class Opaque(Parameter[Any]):
    """
    A value of our own making, such as a page's place.

    Args:
        read: Returns the meaning of a value; raises ValueError for a foreign one.
    """

    type = "special"

    def __init__(self, *, read: Callable[[str], Any], **options: Any) -> None:  # noqa: ANN401 - a marshmallow field has options of many types
        super().__init__(**options)
        self._read = read

    def read(self, texts: list[str]) -> Any:  # noqa: ANN401 - what the value means
        """Return the meaning of the one value."""
        text = _only(texts)
        try:
            return self._read(text)
        except ValueError as error:
            raise ValidationError(
                "is not from this server; follow a next link unchanged"
            ) from error


def _only(values: list[str]) -> str:
    if len(values) != 1:
        raise ValidationError("is given more than once")
    return values[0]


def alternatives(text: str) -> list[str]:
    """
    Return the values between the commas.

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
    """Return a value without its escaping backslashes."""
    return _ESCAPE.sub(r"\1", text)
