"""
Processes that a test has started, and whether they still run.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

__all__ = ["children_of", "is_alive", "wait_until", "workers"]


@contextmanager
def workers(
    log: Path, environment: Mapping[str, str]
) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """
    Give what starts the real worker; all are killed in the end.

    Args:
        log: What they write.
        environment: What is set beside the present environment.
    """
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "fhir_gateway", "worker"],
                env={**os.environ, **environment},
                stdout=output,
                stderr=output,
            )
        started.append(process)
        return process

    try:
        yield start
    finally:
        for process in started:
            process.kill()
            process.wait()


def wait_until(holds: Callable[[], bool], within_s: float = 10.0) -> bool:
    """Return whether something came true in time."""
    deadline = monotonic() + within_s
    while not holds():
        if monotonic() > deadline:
            return False
        sleep(0.01)
    return True


def is_alive(process: int) -> bool:
    """Return whether a process runs; one that only waits to be reaped does not."""
    state = _stat(process)
    return bool(state) and state[0] != "Z"


def children_of(process: int) -> frozenset[int]:
    """Return the process ids of all that a process, or a child of it, has started."""
    parents = {
        number: int(state[1])
        for number in map(int, filter(str.isdigit, _names()))
        if (state := _stat(number))
    }
    found: set[int] = {process}
    while more := {each for each in parents if parents[each] in found} - found:
        found |= more
    return frozenset(found - {process})


def _names() -> list[str]:
    return [path.name for path in Path("/proc").iterdir()]


def _stat(process: int) -> list[str]:
    """Return the fields of a process from its state on; none when it is gone."""
    try:
        text = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()
