"""
Reads JSON of strangers: objects without repeated names, and no numbers beyond JSON.
"""

import json
from typing import Any, Final, NoReturn

__all__ = ["MalformedJson", "StrictDecoder", "object_from_json"]


class MalformedJson(ValueError):
    """The text is no JSON object, or repeats a name."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise MalformedJson("a name is repeated")
    return found


def _no_number(_text: str) -> NoReturn:
    raise MalformedJson("a number is none of JSON's")


class StrictDecoder(json.JSONDecoder):
    """Decodes JSON, and refuses repeated names, `NaN` and `Infinity`."""

    def __init__(self) -> None:
        super().__init__(object_pairs_hook=_object, parse_constant=_no_number)


_DECODER: Final = StrictDecoder()


def object_from_json(data: bytes) -> dict[str, Any]:
    """
    Return a JSON object.

    Raises:
        MalformedJson: The text is no JSON object, or repeats a name.
    """
    try:
        found = _DECODER.decode(data.decode())
    except (ValueError, RecursionError):
        raise MalformedJson("the text is no JSON") from None
    if not isinstance(found, dict):
        raise MalformedJson("the text is no JSON object")
    return found
