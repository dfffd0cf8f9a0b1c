"""
Whether a file that a setting names can be read.
"""

import stat
from pathlib import Path

__all__ = ["fault_of_file", "is_absent"]


def is_absent(path: str | Path) -> bool:
    """
    Return whether nothing has that name; a path that cannot be looked at is not absent.
    """
    try:
        Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False
    return False


def fault_of_file(path: str | Path) -> str | None:
    """
    Return why a file cannot be read, or None; nothing is raised.

    A pipe or a device is not a file: opening one may wait for ever.
    """
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            return "is no file"
        with Path(path).open("rb"):
            return None
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except ValueError:
        return "is no path of a file"
