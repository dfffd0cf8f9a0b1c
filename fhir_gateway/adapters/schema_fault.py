"""
The faults that a schema finds in a table of a TOML file, as sentences.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from marshmallow.exceptions import SCHEMA, ValidationError

from fhir_gateway.model.toml_file import UnreadableToml, WrongFile

__all__ = ["faults_of_file", "sentences_from_messages", "unknown_key"]


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


@contextmanager
def faults_of_file(path: Path, wrong: type[WrongFile]) -> Iterator[None]:
    """
    Turn what is wrong with a file that is one table into one error of its own kind.

    Raises:
        WrongFile: As `wrong`; it lists all faults.
    """
    try:
        yield
    except UnreadableToml as error:
        raise wrong(path, [str(error)]) from error
    except ValidationError as error:
        raise wrong(path, sentences_from_messages(error.messages_dict)) from error
