"""
Reading JSON from a client: what two readers could read differently is refused.
"""

import json
from typing import Any, Final, NoReturn

__all__ = ["MAX_BYTES", "UnreadableJson", "read_json"]

MAX_BYTES: Final = 262_144
_MAX_DEPTH: Final = 32


class UnreadableJson(ValueError):
    """The bytes are not JSON that is accepted here; the message says why."""


def read_json(body: bytes) -> Any:  # noqa: ANN401 - JSON is any value
    """
    Return the value that a body holds.

    Raises:
        UnreadableJson: It is larger than 256 KiB, not UTF-8 (a byte order mark counts
            as not), not JSON, nested deeper than 32, holds NaN or an infinite number,
            or names a key twice.
    """
    if len(body) > MAX_BYTES:
        raise UnreadableJson(f"the body is larger than {MAX_BYTES} bytes")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableJson("the body is not UTF-8") from error
    if text.startswith("\ufeff"):
        raise UnreadableJson("the body begins with a byte order mark")
    _check_depth(text)
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


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise UnreadableJson("the body names a key twice in one object")
    return result


def _no_constant(_: str) -> NoReturn:
    raise UnreadableJson("the body holds NaN or an infinite number")


def _check_depth(text: str) -> None:
    depth = 0
    in_string = escaped = False
    for character in text:
        if in_string:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                in_string = False
        elif character == '"':
            in_string = True
        elif character in "[{":
            depth += 1
            if depth > _MAX_DEPTH:
                raise UnreadableJson(f"the body is nested deeper than {_MAX_DEPTH}")
        elif character in "]}":
            depth -= 1


def _check_text(value: Any) -> None:  # noqa: ANN401 - JSON is any value
    if isinstance(value, str):
        # A lone surrogate cannot be written again in any encoding.
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise UnreadableJson("the body holds half of a surrogate pair")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_text(key)
            _check_text(item)
    elif isinstance(value, list):
        for item in value:
            _check_text(item)
    elif isinstance(value, float) and value in (float("inf"), float("-inf")):
        raise UnreadableJson("the body holds a number that is too large")
