"""
A text for people that also has a form: paragraphs, headings, lists, links.

It is a tree of a few known parts and plain words. No markup of its writer is in it, so
that each renderer writes only markup of its own.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Self

__all__ = ["Form", "FormattedText", "Part"]


class Form(Enum):
    """The form of a part of a text."""

    HEADING = "heading"
    PARAGRAPH = "paragraph"
    BULLETS = "bullets"
    NUMBERS = "numbers"
    ITEM = "item"
    TERMS = "terms"
    TERM = "term"
    MEANING = "meaning"
    STRONG = "strong"
    EMPHASIS = "emphasis"
    LINK = "link"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Part:
    """
    A part of a text: words, and parts inside it.

    Attributes:
        level: Of a heading: 2 is the highest, 6 the lowest.
        address: Of a link: an absolute URL that a client can follow without harm.
    """

    form: Form
    content: tuple["Part | str", ...]
    level: int = 2
    address: str | None = None


class FormattedText(str):
    """
    The plain words of a text, with the same words in their form beside them.

    It is equal to its plain words, and used like them.

    Attributes:
        parts: Its headings, paragraphs and lists, from first to last.
    """

    __slots__ = ("parts",)

    parts: tuple[Part, ...]

    def __new__(cls, plain: str, parts: tuple[Part, ...]) -> Self:
        """Make it of its plain words and of its parts."""
        text = super().__new__(cls, plain)
        text.parts = parts
        return text
