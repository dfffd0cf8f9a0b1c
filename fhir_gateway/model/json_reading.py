"""
Strict reading of JSON: it refuses what two parsers could read differently.
"""

import json
import re
from math import isfinite
from typing import Any, Final, NoReturn

__all__ = [
    "MOST_JSON_DEPTH",
    "MOST_JSON_ITEMS",
    "MOST_JSON_KEYS",
    "UnreadableJson",
    "is_writable",
    "read_json",
]

MOST_JSON_DEPTH: Final = 32
"""Objects and lists within each other in a body of JSON."""

MOST_JSON_KEYS: Final = 1_000
"""Keys of all objects of a body of JSON together."""

MOST_JSON_ITEMS: Final = 1_000
"""Commas of a body of JSON: the number of its members and items."""

# A string with its quotes, also one that does not end. The pattern never backtracks:
# each place to return to would take a hundred bytes per escape.
_TEXT: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|$)', re.DOTALL)
_BRACKETS: Final = re.compile(r"[\[\]{}]")


class UnreadableJson(ValueError):
    """This server does not accept the bytes as JSON; the message says why."""


def read_json(body: bytes) -> Any:  # noqa: ANN401 - JSON is any value
    """
    Return the value of a body.

    Raises:
        UnreadableJson: It is larger than `limits` say, in depth, keys or items;
            not UTF-8 (a byte order mark counts as not), not JSON, holds NaN, an
            infinite number or an integer beyond 64 bits, or names a key twice.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableJson("the body is not UTF-8") from error
    if text.startswith("\ufeff"):
        raise UnreadableJson("the body begins with a byte order mark")
    _check_shape(text)
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except UnreadableJson:
        raise
    except json.JSONDecodeError as error:
        raise UnreadableJson(
            f"the body is not JSON: line {error.lineno}, column {error.colno}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise UnreadableJson("the body is not JSON that is accepted here") from error
    _check_text(value)
    return value


def is_writable(number: float) -> bool:
    """
    Return whether JSON can be written with a number that was read.

    Most programs keep an integer in 64 bits, and so does our writer; R4's own integers
    have 32, and its decimals 18 digits.
    """
    if isinstance(number, float):
        return isfinite(number)
    return -(2**63) <= number < 2**64


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise UnreadableJson("the body names a key twice in one object")
    return result


def _no_constant(_: str) -> NoReturn:
    raise UnreadableJson("the body holds NaN or an infinite number")


def _check_shape(text: str) -> None:
    """
    Check a body's size before it is parsed, by the characters outside its strings.
    """
    shape = _TEXT.sub("", text)
    if shape.count(":") > MOST_JSON_KEYS:
        raise UnreadableJson(f"the body has more than {MOST_JSON_KEYS} keys")
    if shape.count(",") > MOST_JSON_ITEMS:
        raise UnreadableJson(f"the body has more than {MOST_JSON_ITEMS} commas")
    depth = 0
    for bracket in _BRACKETS.findall(shape):
        depth += 1 if bracket in "[{" else -1
        if depth > MOST_JSON_DEPTH:
            raise UnreadableJson(f"the body is nested deeper than {MOST_JSON_DEPTH}")


def _check_text(value: Any) -> None:  # noqa: ANN401 - JSON is any value
    if isinstance(value, str):
        # No encoding can write a lone surrogate again.
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise UnreadableJson("the body holds half of a surrogate pair") from error
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_text(key)
            _check_text(item)
    elif isinstance(value, list):
        for item in value:
            _check_text(item)
    elif isinstance(value, int | float) and not is_writable(value):
        raise UnreadableJson("the body holds a number that is too large")
