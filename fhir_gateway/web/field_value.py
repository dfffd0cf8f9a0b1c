"""
Values of header fields: lists of members with parameters (RFC 9110, 5.6 and 8.3.1).

Each is read in one pass, in time that grows with its length alone: what a client sends
must not be dear to read.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Final, Self

__all__ = ["MediaRange", "list_members", "word"]

# A comma or semicolon, or what stands between two of them; one between quotes parts
# nothing, and a quotation that does not end goes on to the end. Possessive: each
# character is looked at once.
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
        type: As `application/json`, `text/*` or `*/*`; or what else stood there.
    """

    type: str
    parameters: dict[str, str]

    @classmethod
    def of_member(cls, member: list[str]) -> Self:
        """Return what a member of a list says."""
        parameters = {}
        for piece in member[1:]:
            name, _, value = piece.partition("=")
            parameters[name.strip(_BLANK).lower()] = word(value).lower()
        return cls(member[0].strip(_BLANK).lower(), parameters)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return what a field says that has one media type; of a list, none."""
        members = list_members(text)
        only = next(members, [""])
        return cls(text, {}) if next(members, None) else cls.of_member(only)

    @property
    def quality(self) -> float:
        """Return its weight (RFC 9110, 12.4.2): 0 for one that cannot be read."""
        try:
            weight = float(self.parameters.get("q", "1"))
        except ValueError:
            return 0.0
        return weight if 0 <= weight <= 1 else 0.0


def list_members(text: str) -> Iterator[list[str]]:
    """Yield the members of a list, each with its parameters behind it, as written."""
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
    """Return a token as it is, or what a quoted string says."""
    text = text.strip(_BLANK)
    if not text.startswith('"'):
        return text
    return _ESCAPED.sub(r"\1", text[1:].removesuffix('"'))
