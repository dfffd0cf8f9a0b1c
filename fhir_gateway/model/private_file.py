"""
Files and folders that are their owner's alone: mode 0600 and 0700, under any umask.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = [
    "fault_of_rights",
    "is_open_to_others",
    "make_private_folder",
    "opener",
    "take_rights_away",
]

_OWNER_ONLY: Final = 0o600
_OTHERS_WRITE: Final = stat.S_IWOTH
_OTHERS_READ_OR_WRITE: Final = stat.S_IROTH | stat.S_IWOTH


def opener(path: str, flags: int) -> int:
    """Open a file; a new one is readable and writable for its owner only."""
    return os.open(path, flags, _OWNER_ONLY)


def make_private_folder(path: Path) -> None:
    """
    Make a folder, and those above it that are absent, for their owner only.

    Raises:
        OSError: It cannot be made, or something else has its name.
    """
    if not path.parent.exists():
        make_private_folder(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)


def take_rights_away(path: Path) -> None:
    """
    Leave the rights of an own regular file to its owner.

    Do nothing where that is impossible, and to anything else: a wrong path may name a
    folder that others need.
    """
    with suppress(OSError):
        found = path.stat()
        if (
            stat.S_ISREG(found.st_mode)
            and found.st_uid == os.geteuid()
            and stat.S_IMODE(found.st_mode) & 0o077
        ):
            path.chmod(_OWNER_ONLY)


def is_open_to_others(folder: Path) -> bool:
    """Return whether everybody on this machine may look into an existing folder."""
    try:
        mode = folder.stat().st_mode
    except OSError:
        return False
    return stat.S_ISDIR(mode) and bool(mode & stat.S_IRWXO)


def fault_of_rights(path: str | Path, *, is_secret: bool) -> str | None:
    """
    Return why a file's rights make it unsafe, or None; nothing is raised.

    Rights of a group are its owner's decision: a platform gives a secret to a group.

    Args:
        path: A file or a folder.
        is_secret: Whether it is unsafe that everybody may read it.
    """
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError):
        # Who opens it says why that is impossible.
        return None
    if mode & _OTHERS_WRITE:
        return "may be changed by everybody on this machine: chmod o-w"
    # A folder in the place of a key holds none: who reads it says what is wrong.
    if is_secret and not stat.S_ISDIR(mode) and mode & _OTHERS_READ_OR_WRITE:
        return "holds a key that everybody on this machine may read: chmod o-rwx"
    return None
