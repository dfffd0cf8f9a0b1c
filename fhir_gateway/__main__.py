"""
The program's start: `fhir-gateway`, or `python -m fhir_gateway`.
"""

import os
import signal
from typing import Final, NoReturn

__all__ = ["main"]

# What a shell reports of a program that Ctrl-C ended.
_INTERRUPTED: Final = 130


def main() -> None:
    """
    Run a command; an interrupt during its imports ends it without a traceback.

    The imports take about a second, in which nothing needs to be cleaned up yet.
    """
    before = signal.getsignal(signal.SIGINT)
    # A shell lets a job in the background ignore it.
    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _end)
    from fhir_gateway.cli import main as run_command  # noqa: PLC0415 - an interrupt of this import must find `_end`

    signal.signal(signal.SIGINT, before)
    run_command()


def _end(*_: object) -> NoReturn:
    # An exception could be lost: some libraries catch all exceptions of an import.
    os._exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
