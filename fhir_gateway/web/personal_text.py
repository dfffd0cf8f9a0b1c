"""
Personal numbers in URLs and other texts that logs and caches keep.

A number is told from other digits by its form, a date that exists and its check digit
(SKV 704, SKV 707). A code of SNOMED CT has a check digit of its own.
"""

import re
from contextlib import suppress
from typing import Final
from urllib.parse import unquote_to_bytes
from wsgiref.types import WSGIEnvironment

from fhir_gateway.fhir.vocabulary import SNOMED_CT
from fhir_gateway.model.person import PersonalIdentityNumber

__all__ = ["has_personal_number", "holds_personal_number"]

# Six digits and four, however they are written in a URL: what has fewer, as dates have,
# is not looked at any further. It begins with a set of characters and is possessive, so
# that `re` passes most of a URL over at once.
_DIGIT: Final = r"(?:%(?:25)?+3)?+[0-9]"
_MANY_DIGITS: Final = re.compile(
    r"[0-9%](?:(?<=%)(?:25)?+3[0-9]|(?<=[0-9]))"
    rf"(?:{_DIGIT}){{5}}+(?:[-+ ]|%(?:25)?+2[0BbDd])?+(?:{_DIGIT}){{4}}+"
)
# Twelve digits stand out among anything but digits. Ten are a number among letters and
# digits far too often (ids, hashes), and so are the digits behind a decimal point.
_NUMBER: Final = re.compile(
    r"(?<![0-9])(?<![0-9]\.)"
    r"(?:(?P<century>18|19|20)(?P<full>[0-9]{6}[-+ ]?[0-9]{4})"
    r"|(?<![A-Za-z])(?P<short>[0-9]{6}[-+ ]?[0-9]{4})(?![A-Za-z]))"
    r"(?![0-9])"
)
# Ids that are no person's and have as many digits by chance: of appointments, of units.
_OTHER: Final = re.compile(
    r"(?i)\b(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|SE[0-9]{10}-[0-9]{10})\b"
)
_SNOMED: Final = re.compile(re.escape(f"{SNOMED_CT}|") + r"([0-9]{6,18})(?![0-9])")
_SEPARATORS: Final = str.maketrans("", "", "-+ ")

# The dihedral group of ten elements and a permutation of the digits (Verhoeff, 1969).
_TIMES: Final = (
    *("0123456789", "1234067895", "2340178956", "3401289567", "4012395678"),
    *("5987604321", "6598710432", "7659821043", "8765932104", "9876543210"),
)
_PERMUTED: Final = (
    *("0123456789", "1576283094", "5803796142", "8916043527"),
    *("9453126870", "4286573901", "2793806415", "7046913258"),
)


def holds_personal_number(environ: WSGIEnvironment) -> bool:
    """Return whether the path or the query of a request has a personal number."""
    for text in (environ["PATH_INFO"], environ["QUERY_STRING"]):
        if _MANY_DIGITS.search(text):
            decoded = unquote_to_bytes(text.encode("latin-1"))
            # Whoever follows a link decodes it once more.
            if b"%" in decoded:
                decoded += b"\n" + unquote_to_bytes(decoded)
            if has_personal_number(decoded.decode("utf-8", "replace")):
                return True
    return False


def has_personal_number(text: str) -> bool:
    """Return whether a text has a personal number, of ten digits or of twelve."""
    if SNOMED_CT in text:
        text = _SNOMED.sub(_without_code, text)
    return any(map(_is_number, _NUMBER.finditer(_OTHER.sub("", text))))


def _is_number(match: re.Match[str]) -> bool:
    digits = (match["full"] or match["short"]).translate(_SEPARATORS)
    centuries = [match["century"]] if match["century"] else ["18", "19", "20"]
    for century in centuries:
        with suppress(ValueError):
            PersonalIdentityNumber(century + digits)
            return True
    return False


def _without_code(match: re.Match[str]) -> str:
    return "" if _is_snomed(match[1]) else match[0]


def _is_snomed(digits: str) -> bool:
    """Return whether digits are an identifier of a concept: partition and check."""
    check = "0"
    for position, digit in enumerate(reversed(digits)):
        permuted = _PERMUTED[position % 8][int(digit)]
        check = _TIMES[int(check)][int(permuted)]
    return check == "0" and digits[-3:-1] in ("00", "10")
