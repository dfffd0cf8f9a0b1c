"""
Free text from clients: its length and forbidden characters.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fhir_gateway.fhir.limits import (
    MOST_COMMENT_CHARACTERS,
    MOST_EMAIL_CHARACTERS,
    MOST_GIVEN_NAMES_CHARACTERS,
    MOST_NAME_CHARACTERS,
    MOST_PHONE_CHARACTERS,
    MOST_REASON_CHARACTERS,
)
from fhir_gateway.fhir.outcome import Issue

__all__ = [
    "COMMENT",
    "EMAIL",
    "GIVEN_NAMES",
    "NAME",
    "PHONE",
    "REASON",
    "FreeText",
    "Note",
]

Note = Callable[[Issue], None]
"""Receives a fault."""

# Control characters, line breaks, and marks that change the direction of writing.
_NOT_IN_LINE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


# Letters of Hangul that nobody sees.
_FILLERS: Final = frozenset("\u115f\u1160\u3164\uffa0")
_DIGITS_OF_NUMBER: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeText:
    """
    A text that a client writes freely.

    Attributes:
        most: How many characters it has at most.
        is_line: It has no line breaks.
        is_name: It has a letter, and not as many digits as a personal number.
    """

    most: int
    is_line: bool
    is_name: bool = False

    def read(self, text: str | None, where: str, note: Note) -> str | None:
        """Return a text without blanks around it; None for a blank one."""
        stripped = (text or "").strip()
        if len(stripped) > self.most:
            note(
                Issue(
                    code="too-long",
                    diagnostics=f"The text has more than {self.most} characters.",
                    expression=where,
                )
            )
        if self.is_line and _NOT_IN_LINE.search(stripped):
            note(
                Issue(
                    code="value",
                    diagnostics=(
                        "The text has a line break or another control character."
                    ),
                    expression=where,
                )
            )
        if self.is_name and stripped and not _may_be_name(stripped):
            note(
                Issue(
                    code="value",
                    diagnostics=(
                        "This is no name: it has no letter that can be seen, or as many"
                        " digits as a personal number."
                    ),
                    expression=where,
                )
            )
        return stripped or None


def _may_be_name(text: str) -> bool:
    digits = sum(map(str.isdigit, text))
    return digits < _DIGITS_OF_NUMBER and any(
        character.isalpha() and character not in _FILLERS for character in text
    )


NAME: Final = FreeText(most=MOST_NAME_CHARACTERS, is_line=True, is_name=True)
GIVEN_NAMES: Final = FreeText(most=MOST_GIVEN_NAMES_CHARACTERS, is_line=True)
PHONE: Final = FreeText(most=MOST_PHONE_CHARACTERS, is_line=True)
EMAIL: Final = FreeText(most=MOST_EMAIL_CHARACTERS, is_line=True)
COMMENT: Final = FreeText(most=MOST_COMMENT_CHARACTERS, is_line=False)
REASON: Final = FreeText(most=MOST_REASON_CHARACTERS, is_line=False)
