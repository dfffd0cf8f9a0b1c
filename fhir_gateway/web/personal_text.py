"""
Personal numbers in URLs and other texts that logs and caches store.

A number differs from other digits by its form, a possible date and its check digit (SKV
704, SKV 707). A SNOMED CT code has a check digit of its own.
"""

import re
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes
from wsgiref.types import WSGIEnvironment

from fhir_gateway.fhir.vocabulary import SNOMED_CT
from fhir_gateway.model.number_text import has_number, plain_digits

__all__ = [
    "escapes_personal_number",
    "has_personal_number",
    "holds_personal_number",
]

# Ten digits in any spelling of a URL. A text with fewer in a row, as dates have, is not
# examined further, unless it has characters beyond ASCII: these can be digits and
# dashes. The pattern begins with a set of characters and is possessive, so that `re`
# skips most of a URL at once.
_DIGIT: Final = r"(?:%(?:25)?+3)?+[0-9]"
_SEPARATOR: Final = (
    r"(?:[^0-9A-Za-z%]"
    r"|%(?:25)?+(?:[012][0-9A-Fa-f]|3[A-Fa-f]|[46]0|[57][B-Fb-f]))"
)
_NEEDS_A_LOOK: Final = re.compile(
    r"[0-9%\x80-\xff](?:"
    r"(?:(?<=[0-9])|(?<=%)(?:25)?+3[0-9])"
    rf"(?:{_SEPARATOR}{{0,3}}+{_DIGIT}){{9}}+"
    r"|(?<=%)(?:25)?+[C-Fc-f][0-9A-Fa-f]"
    r"|(?<=[\x80-\xff]))"
)
# After a letter only twelve digits can be a number: a time with its zone has ten.
_MAY_BE_NUMBER: Final = re.compile(
    r"(?<![0-9A-Za-z])[0-9](?:[^0-9A-Za-z]{0,3}+[0-9]){9}"
    r"|[0-9](?:[^0-9A-Za-z]{0,3}+[0-9]){11}"
)
# Ids of appointments and units, which may have as many digits by chance.
_OTHER: Final = re.compile(
    r"(?i)\b(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|SE[0-9]{10}-[0-9]{10})\b"
)
_SNOMED: Final = re.compile(re.escape(f"{SNOMED_CT}|") + r"([0-9]{6,18})(?![0-9])")
# Latitude and longitude; a date, or a month, before another one; a date before a time
# of a day; and a time of a day before another one.
_DATE: Final = r"[0-9]{4}-[0-9]{2}(?:-[0-9]{2})?"
_CLOCK: Final = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_PLACE_OR_TIME: Final = re.compile(
    r"(?<![0-9.])[0-9]{1,2}(?:\.[0-9]+)?\|-?[0-9]{1,3}(?:\.[0-9]+)?(?=\||\Z)"
    rf"|(?<![0-9]){_DATE}(?=,{_DATE}(?![0-9-]))"
    rf"|(?<![0-9])[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}(?=[ +]{_CLOCK})"
    rf"|(?<![0-9:]){_CLOCK}(?=,{_CLOCK}(?![0-9:]))"
)

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
    return any(
        escapes_personal_number(text)
        for text in (environ["PATH_INFO"], environ["QUERY_STRING"])
    )


def escapes_personal_number(text: str) -> bool:
    """
    Return whether a text has a personal number, with or without percent signs.

    Args:
        text: A part of a URL, or a header's value: its bytes as characters of Latin-1.
    """
    if not _NEEDS_A_LOOK.search(text):
        return False
    once = unquote_to_bytes(text.encode("latin-1"))
    # A client that follows a link decodes it once more.
    twice = unquote_to_bytes(once) if b"%" in once else b""
    return any(
        has_personal_number(each.decode("utf-8", "replace")) for each in (once, twice)
    )


def has_personal_number(text: str) -> bool:
    """
    Return whether a text has a personal number, of ten digits or of twelve.

    Digits and dashes of any script count; invisible characters do not.
    """
    text = plain_digits(text)
    if SNOMED_CT in text:
        text = _SNOMED.sub(_without_code, text)
        # Most searches have no other digits in a row.
        if not _MAY_BE_NUMBER.search(text):
            return False
    text = _PLACE_OR_TIME.sub("x", _OTHER.sub("", text))
    return has_number(text)


def _without_code(match: re.Match[str]) -> str:
    return "" if _is_snomed(match[1]) else match[0]


@lru_cache(maxsize=256)
def _is_snomed(digits: str) -> bool:
    """Return whether digits are an identifier of a concept: partition and check."""
    check = "0"
    for position, digit in enumerate(reversed(digits)):
        permuted = _PERMUTED[position % 8][int(digit)]
        check = _TIMES[int(check)][int(permuted)]
    return check == "0" and digits[-3:-1] in ("00", "10")
