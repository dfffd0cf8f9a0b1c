"""
Primitive types in FHIR's JSON (R4, 2.24.0.1): the JSON values of each type.
"""

import re
from collections.abc import Mapping
from datetime import date
from typing import Final

__all__ = ["UNSAYABLE", "is_primitive_value"]

UNSAYABLE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""
The characters that R4's strings should not have, and those that XML 1.0 cannot express.
"""

_YEAR: Final = r"(?!0000)[0-9]{4}"
_MONTH: Final = r"(?:0[1-9]|1[0-2])"
_DAY: Final = r"(?:0[1-9]|[12][0-9]|3[01])"
_TIME: Final = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
_OFFSET: Final = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_HEX: Final = "[0-9a-f]"
_INT32: Final = 2**31

# The patterns of R4, changed where a long text would never finish. A repeated group is
# possessive: otherwise each repetition stores a point to return to, and a body of 390
# kB fills 46 MB with them.
_PATTERNS: Final[Mapping[str, re.Pattern[str]]] = {
    "string": re.compile(r"[\s\S]+"),
    "markdown": re.compile(r"[\s\S]+"),
    "xhtml": re.compile(r"<div[\s>][\s\S]*"),
    "uri": re.compile(r"\S+"),
    "url": re.compile(r"\S+"),
    "canonical": re.compile(r"\S+"),
    "code": re.compile(r"\S++(?:\s\S++)*+"),
    "id": re.compile(r"[A-Za-z0-9\-.]{1,64}"),
    "oid": re.compile(r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*+))++"),
    "uuid": re.compile(
        rf"urn:uuid:{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"
    ),
    "base64Binary": re.compile(r"\s*+(?:[0-9a-zA-Z+/]\s*+)++(?:=\s*+){0,2}"),
    "date": re.compile(rf"{_YEAR}(?:-{_MONTH}(?:-{_DAY})?)?"),
    "dateTime": re.compile(rf"{_YEAR}(?:-{_MONTH}(?:-{_DAY}(?:T{_TIME}{_OFFSET})?)?)?"),
    "instant": re.compile(rf"{_YEAR}-{_MONTH}-{_DAY}T{_TIME}{_OFFSET}"),
    "time": re.compile(_TIME),
}
_DATED: Final = frozenset({"date", "dateTime", "instant"})
_WHOLE_DATE: Final = len("YYYY-MM-DD")
_LEAST: Final = {"integer": -_INT32, "unsignedInt": 0, "positiveInt": 1}


def is_primitive_value(type_name: str, value: object) -> bool:
    """
    Return whether a JSON value is one of a primitive type.

    A JSON number is never a text, and a text never a number or a boolean.
    """
    if type_name == "boolean":
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    if type_name == "decimal":
        return isinstance(value, int | float)
    least = _LEAST.get(type_name)
    if least is not None:
        return isinstance(value, int) and least <= value < _INT32
    return isinstance(value, str) and _is_text(type_name, value)


def _is_text(type_name: str, text: str) -> bool:
    if not _PATTERNS[type_name].fullmatch(text):
        return False
    if type_name not in _DATED or len(text) < _WHOLE_DATE:
        return True
    try:
        date.fromisoformat(text[:_WHOLE_DATE])
    except ValueError:
        return False
    return True
