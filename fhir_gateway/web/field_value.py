"""
Values of header fields: lists of members with parameters (RFC 9110, 5.6 and 8.3.1).

Each is read in one pass, in time proportional to its length, so that no client can make
the reading expensive.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Final, Self

__all__ = ["MediaRange", "list_members", "word"]

# A comma or semicolon, or the text between two of them; within quotes neither
# separates, and an unclosed quotation goes on to the end. Possessive: each character is
# read once.
_PIECE: Final = re.compile(
    r'[,;]|(?:[^,;"]++|"(?:[^"\\]++|\\.)*+(?:"|\\?\Z))++', re.DOTALL
)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_BLANK: Final = " \t"


@dataclass(frozen=True, slots=True)
class MediaRange:
    """
    A media type or range with its parameters, all in small letters.

    Attributes:
        type: As `application/json`, `text/*` or `*/*`; or any other text of the field.
    """

    type: str
    parameters: dict[str, str]

    @classmethod
    def of_member(cls, member: list[str]) -> Self:
        """Return the media range in a member of a list."""
        parameters = {}
        for piece in member[1:]:
            name, _, value = piece.partition("=")
            parameters[name.strip(_BLANK).lower()] = word(value).lower()
        return cls(member[0].strip(_BLANK).lower(), parameters)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the media type in a field with exactly one; None for a list."""
        members = list_members(text)
        only = next(members, [""])
        return cls(text, {}) if next(members, None) else cls.of_member(only)

    @property
    def quality(self) -> float:
        """Return its weight (RFC 9110, 12.4.2): 0 for an unreadable one."""
        try:
            weight = float(self.parameters.get("q", "1"))
        except ValueError:
            return 0.0
        return weight if 0 <= weight <= 1 else 0.0


def list_members(text: str) -> Iterator[list[str]]:
    """Yield the members of a list as written, each followed by its parameters."""
    member = [""]
    # The comma at the end ends the last one.
    for piece in chain(map(itemgetter(0), _PIECE.finditer(text)), ","):
        if piece == ";":
            member.append("")
        elif piece != ",":
            member[-1] = piece
        else:
            if any(each.strip(_BLANK) for each in member):
                yield member
            member = [""]


def word(text: str) -> str:
    """Return a token unchanged, or the content of a quoted string."""
    text = text.strip(_BLANK)
    if not text.startswith('"'):
        return text
    return _ESCAPED.sub(r"\1", text[1:].removesuffix('"'))
