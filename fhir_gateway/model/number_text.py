"""
Personal numbers in texts, however their digits are set apart.

A number differs from other digits by its form, a possible date and its check digit (SKV
704, SKV 707).
"""

import re
import unicodedata
from typing import Final

from fhir_gateway.model.person import PersonalIdentityNumber, has_check_digit

__all__ = ["has_number", "mask_numbers", "plain_digits"]

# The characters between the parts of a number: up to three that are no letters.
_BETWEEN: Final = r"[\W_]{0,3}+"
# Twelve digits count wherever no digit is beside them. Ten digits beside letters are
# too often a part of something else (ids, hashes), and so are the digits after a
# decimal point. Both patterns try each place where a number can begin: the text before
# it, or a longer one, may be other digits.
_BEGINS: Final = r"(?<![0-9])(?<![0-9]\.)"
_TEN: Final = rf"[0-9](?:{_BETWEEN}[0-9]){{9}}"
_NUMBERS: Final = (
    re.compile(
        rf"{_BEGINS}(?=((?:1{_BETWEEN}[89]|2{_BETWEEN}0){_BETWEEN}{_TEN})(?![0-9]))"
    ),
    re.compile(rf"{_BEGINS}(?<![A-Za-z])(?=({_TEN})(?![0-9A-Za-z]))"),
)
_SHORT: Final = 10
_NO_DIGITS: Final = bytes(byte for byte in range(128) if byte not in b"0123456789")


def has_number(text: str) -> bool:
    """
    Return whether a text has a personal number of ten or twelve digits.

    Args:
        text: Its digits are those of ASCII (`plain_digits`).
    """
    return any(
        _is_number(found)
        for pattern in _NUMBERS
        for found in set(pattern.findall(text))
    )


def mask_numbers(text: str, mask: str) -> str:
    """
    Return a text with a mask in place of each personal number.

    Args:
        text: Its digits are those of ASCII (`plain_digits`).
        mask: It has no digits.
    """
    for pattern in _NUMBERS:
        places = [
            found.span(1) for found in pattern.finditer(text) if _is_number(found[1])
        ]
        # From behind, so that the places of the others stay.
        for begin, end in reversed(places):
            text = text[:begin] + mask + text[end:]
    return text


def plain_digits(text: str) -> str:
    """Return a text with ASCII digits, dashes and blanks, and nothing invisible."""
    return text if text.isascii() else "".join(map(_plain, text))


def _is_number(found: str) -> bool:
    digits = found.encode("ascii", "ignore").translate(None, _NO_DIGITS)
    # The check digit first: it refuses nine of ten, and a text can have thousands.
    if not has_check_digit(digits[-_SHORT:]):
        return False
    # A two-digit year has a leap day in this century if it has one in any other.
    century = "20" if len(digits) == _SHORT else ""
    try:
        PersonalIdentityNumber(century + digits.decode())
    except ValueError:
        return False
    return True


def _plain(character: str) -> str:
    """Return the ASCII digit or dash of a character; others unchanged."""
    digit = unicodedata.digit(character, None)
    if digit is not None:
        return str(digit)
    match unicodedata.category(character):
        case "Pd" | "Sm":
            return "-"
        case "Zs":
            return " "
        case "Cf":
            return ""
    return character
