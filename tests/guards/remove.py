"""
Takes each guard out of a copy of the program and runs the suite that must notice.

    make guards                        every guard
    make guards GUARDS='cookie host'   the guards with one of these words in their name

Prints one line for each guard, and exits with 1 when a suite stayed green: then nobody
would miss that guard.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from guards.guard import GUARDS, Guard

__all__ = ["main"]

_ROOT: Final = Path(__file__).parents[2]
_SUITE_WITHIN_S: Final = 300
# pytest's exit code when tests ran and some of them failed.
_RED: Final = 1


def main(words: Sequence[str]) -> int:
    """Try the chosen guards; return the exit code."""
    chosen = [
        guard
        for guard in GUARDS
        if not words or any(word in guard.name for word in words)
    ]
    if not chosen:
        print(f"no guard has one of these words in its name: {' '.join(words)}")
        return 2
    missed = 0
    for guard in chosen:
        began = time.monotonic()
        noticed = _is_noticed(guard)
        missed += not noticed
        verdict = "noticed" if noticed else "NOBODY NOTICED"
        took = f"{time.monotonic() - began:3.0f} s"
        print(f"{verdict:14}  {took}  {guard.name}  ({guard.suite})", flush=True)
    print(f"{len(chosen) - missed} guards noticed, {missed} missed by nobody")
    return 1 if missed else 0


def _is_noticed(guard: Guard) -> bool:
    with _program_without(guard) as folder:
        run = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-x", "-q", "-n", "2"),
                *("--dist", "loadgroup", "-p", "no:cacheprovider"),
                *guard.suite.split(),
            ],
            cwd=_ROOT,
            env={**os.environ, "PYTHONPATH": str(folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_SUITE_WITHIN_S,
            check=False,
        )
    if run.returncode not in {0, _RED}:
        print(run.stdout[-2000:])
        raise SystemExit(f"the suite of {guard.name!r} did not run")
    return run.returncode == _RED


@contextmanager
def _program_without(guard: Guard) -> Iterator[Path]:
    """Give a folder with a copy of the program that lacks the guard."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(
            _ROOT / "fhir_gateway",
            folder / "fhir_gateway",
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        path = folder / "fhir_gateway" / guard.path
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(guard.text, guard.without), encoding="utf-8")
        yield folder


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
