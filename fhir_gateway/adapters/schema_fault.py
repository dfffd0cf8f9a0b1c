"""
The faults that a schema finds in a table of a TOML file, as sentences.
"""

from collections.abc import Mapping
from typing import Any

from marshmallow.exceptions import SCHEMA

__all__ = ["sentences_from_messages", "unknown_key"]


def unknown_key(fault: str) -> dict[str, str]:
    """Return the `error_messages` of a schema: what it says of a key that it lacks."""
    return {"unknown": fault}


def sentences_from_messages(messages: Mapping[Any, Any], path: str = "") -> list[str]:
    """
    Return one sentence for each fault: the path of the key, and what is wrong.

    Args:
        messages: `ValidationError.messages_dict`.
        path: What stands before each key.
    """
    sentences = []
    for key, value in messages.items():
        if key == SCHEMA:
            # The value should be a table and is none.
            sentences.append(f"{path.removesuffix('.')}: is no table")
            continue
        where = f"{path}{key}"
        if isinstance(value, dict):
            sentences.extend(sentences_from_messages(value, f"{where}."))
        else:
            sentences.extend(f"{where}: {message}" for message in value)
    return sentences
