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
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from guards.guard import GUARDS, Guard

__all__ = ["main"]

_ROOT: Final = Path(__file__).parents[2]
_SUITE_WITHIN_S: Final = 300
_AT_ONCE: Final = 2
_PYTEST: Final = ("-m", "pytest", "-x", "-q", "-p", "no:cacheprovider")
# pytest's exit codes when every test passed, and when some failed.
_GREEN: Final = 0
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
    # A suite that is red as it is would notice anything.
    for suite in dict.fromkeys(guard.suite for guard in chosen):
        if _is_red(suite, _ROOT):
            print(f"red with every guard in its place, mend it first: {suite}")
            return 2
    missed = 0
    with ThreadPoolExecutor(_AT_ONCE) as executor:
        for guard, noticed in zip(
            chosen, executor.map(_is_noticed, chosen), strict=True
        ):
            missed += not noticed
            verdict = "noticed" if noticed else "NOBODY NOTICED"
            print(f"{verdict:14}  {guard.name}  ({guard.suite})", flush=True)
    print(
        f"{len(chosen) - missed} guards are noticed, {missed} would be missed by nobody"
    )
    return 1 if missed else 0


def _is_noticed(guard: Guard) -> bool:
    with _program_without(guard) as folder:
        return _is_red(guard.suite, folder)


def _is_red(suite: str, folder: Path) -> bool:
    """Return whether a suite fails with the program in a folder."""
    run = subprocess.run(
        [sys.executable, *_PYTEST, *suite.split()],
        cwd=_ROOT,
        # Without the second, the present folder would come before the first.
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_SUITE_WITHIN_S,
        check=False,
    )
    if run.returncode not in {_GREEN, _RED}:
        print(run.stdout[-2000:])
        raise SystemExit(f"this suite did not run: {suite}")
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
