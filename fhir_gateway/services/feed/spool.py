"""
The spool: bytes of many files in one nameless file on disk.
"""

import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Place", "Spool"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where some bytes lie in a spool."""

    offset: int
    length: int


class Spool:
    """
    Keeps bytes in a file without a name, which ends with this process.

    One thread appends; any may read.

    Args:
        folder: The file takes its room there.

    Raises:
        OSError: The folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=stat.S_IRWXU)
        self._file = tempfile.TemporaryFile(  # noqa: SIM115 - `close` closes it
            dir=folder, buffering=0
        )
        self.size = 0

    def append(self, text: bytes) -> Place:
        """
        Append bytes, and return their place.

        Raises:
            OSError: The disk is full.
        """
        at = self.size
        written = 0
        while written < len(text):
            written += os.pwrite(self._file.fileno(), text[written:], at + written)
        self.size = at + len(text)
        return Place(at, len(text))

    def read(self, place: Place) -> bytes:
        """Return the bytes at a place."""
        return os.pread(self._file.fileno(), place.length, place.offset)

    def close(self) -> None:
        """Give the room back."""
        self._file.close()
