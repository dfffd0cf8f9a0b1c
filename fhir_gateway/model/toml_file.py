"""
Reads a TOML file that a setting names.
"""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fhir_gateway.model.private_file import fault_of_rights
from fhir_gateway.model.regular_file import fault_of_file

__all__ = ["UnreadableToml", "WrongFile", "read_toml"]


class UnreadableToml(ValueError):
    """A file cannot be read as TOML; the message says why, and begins with "it"."""


class WrongFile(ValueError):
    """
    A file of the operator's cannot be used.

    Attributes:
        path: The file.
        faults: One sentence each, with the table and the key.
    """

    def __init__(self, path: Path, faults: Sequence[str]) -> None:
        super().__init__("\n".join(f"{path}: {fault}" for fault in faults))
        self.path = path
        self.faults = tuple(faults)


def read_toml(path: Path) -> dict[str, Any]:
    """
    Return the tables of a file.

    Raises:
        UnreadableToml: The file is absent, is no TOML, or everybody on this machine
            may change it.
    """
    # Reading a pipe would block for ever.
    if fault := fault_of_file(path):
        raise UnreadableToml(f"it {fault}")
    if fault := fault_of_rights(path, is_secret=False):
        raise UnreadableToml(f"it {fault}")
    try:
        # Some editors begin a file with a byte order mark.
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UnreadableToml(f"it cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UnreadableToml(
            f"it is not TOML: its byte {error.start} is not UTF-8"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise UnreadableToml(f"it is not TOML: {error}") from error
    except RecursionError:
        raise UnreadableToml("it is not TOML: it is nested too deeply") from None
    except ValueError:
        # Python refuses to read whole numbers of more than 4,300 digits.
        raise UnreadableToml(
            "it is not TOML: a number in it has too many digits"
        ) from None
