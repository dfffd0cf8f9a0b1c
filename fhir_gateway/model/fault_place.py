"""
Where a fault of this program came to light: what a log event says of it.
"""

from pathlib import Path
from typing import TypedDict

__all__ = ["FaultPlace", "fault_place"]


class FaultPlace(TypedDict):
    """
    The fields of a log event.

    Attributes:
        kind: The error's class. Its text is left out, since it may quote a request.
        file: None where the error was never raised, as `line`.
    """

    kind: str
    file: str | None
    line: int | None


def fault_place(error: BaseException) -> FaultPlace:
    """Return the class of an error, and the file and line that raised it."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return {
        "kind": type(error).__name__,
        "file": Path(last.tb_frame.f_code.co_filename).name if last else None,
        "line": last.tb_lineno if last else None,
    }
