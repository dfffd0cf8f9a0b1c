"""
Reading a file of JSON that an operator wrote, with the places of its faults.
"""

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from fhir_gateway.model.regular_file import fault_of_file

__all__ = ["UnreadableFile", "read_json_file"]


class UnreadableFile(ValueError):
    """A file cannot be read as JSON; the message says why, without its name."""


def read_json_file(path: Path) -> tuple[Any, list[str]]:
    """
    Return the value of a file, and a sentence for each key that an object has twice.

    Of two values of one key the last one is returned. A byte order mark is skipped,
    since some editors write one.

    Raises:
        UnreadableFile: The file cannot be opened, or is not UTF-8 or not JSON.
    """
    if fault := fault_of_file(path):
        raise UnreadableFile(fault)
    try:
        content = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise UnreadableFile(f"cannot be read: {error.strerror}") from error
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UnreadableFile(
            f"is not UTF-8, in line {line}: save it in that encoding"
        ) from error
    try:
        # It refuses what the other parser accepts: NaN and half of a surrogate pair.
        value: Any = orjson.loads(content)
        repeated = _repeated_keys(text)
    except orjson.JSONDecodeError as error:
        raise UnreadableFile(
            f"is not JSON: line {error.lineno}, column {error.colno}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise UnreadableFile("is not JSON that is accepted here") from error
    return value, repeated


def _repeated_keys(text: str) -> list[str]:
    found: list[tuple[dict[str, Any], str]] = []

    def read(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            names = [name for name, _ in pairs]
            found.extend((result, each) for each in result if names.count(each) > 1)
        return result

    value = json.loads(text, object_pairs_hook=read)
    if not found:
        return []
    places = {id(each): place for place, each in _objects(value, "")}
    # An object in the first of two values has no place: it is not in the value.
    return [
        f"{places.get(id(each), '')}{name} is there twice in one object"
        for each, name in found
    ]


def _objects(
    value: Any,  # noqa: ANN401 - JSON is any value
    place: str,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each object with the beginning of the places of its members."""
    if isinstance(value, dict):
        yield place, value
        for name, item in value.items():
            yield from _objects(
                item, f"{place}{name}" if isinstance(item, list) else f"{place}{name}."
            )
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _objects(item, f"{place}[{number}].")
