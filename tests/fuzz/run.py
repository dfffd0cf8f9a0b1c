"""
`make fuzz`: all tries of every class of bad input, one class after the other.

Each class is a run of pytest of its own. It prints one line: how many tries, and how
long they took. A failure prints pytest's report with the smallest example.
"""

import json
import os
import re
import resource
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from .tries import CLASSES, BadInput

__all__ = ["main"]

_ROOT: Final = Path(__file__).parent.parent.parent
# To start, to make a failure small, and to look for the canary.
_MORE_MINUTES: Final = 10
# Bad input must not take the machine's memory either.
_MOST_BYTES: Final = 8 * 1024**3


def main(words: list[str]) -> int:
    """
    Run the classes.

    Args:
        words: From the names of the classes to run; none for all.

    Returns:
        The exit code: 1 when a class has failed.
    """
    seed = os.environ.get("SEED") or str(secrets.randbelow(2**32))
    chosen = [
        each
        for each in CLASSES
        if not words or any(word.lower() in each.name.lower() for word in words)
    ]
    if not chosen or not re.fullmatch("[0-9]{1,20}", seed):
        names = ", ".join(each.name for each in CLASSES)
        print(f"SEED is a whole number, and CLASSES are words of: {names}")
        return 2
    print(f"fuzz with SEED={seed}, which tries the same again", flush=True)
    failed = [each.name for each in chosen if not _run(each, seed)]
    print(f"failed: {', '.join(failed)}" if failed else "nothing found", flush=True)
    return 1 if failed else 0


def _run(of: BadInput, seed: str) -> bool:
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        counts, report = Path(folder, "counts"), Path(folder, "report")
        with report.open("wb") as output:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "pytest", "-q", "-x", "--tb=short"),
                    *("--hypothesis-profile=fuzz", f"--hypothesis-seed={seed}"),
                    *("--show-capture=no", "-p", "no:cacheprovider"),
                    f"tests/fuzz/test_{of.module}.py",
                ],
                cwd=_ROOT,
                env={**os.environ, "FUZZ_COUNTS": str(counts)},
                stdout=output,
                stderr=output,
                # So that also what it has started ends with it.
                start_new_session=True,
            )
            resource.prlimit(process.pid, resource.RLIMIT_AS, (_MOST_BYTES,) * 2)
            code = _ended(process, of)
        tries = json.loads(counts.read_text())[of.name] if counts.exists() else 0
        took_s = time.monotonic() - began_s
        text = report.read_text(encoding="utf-8", errors="replace")
    # `no tests ran` is no success either.
    is_good = code == 0 and tries > 0
    verdict = {0: "ok" if tries else "NOT RUN", None: "HUNG"}.get(code, "FAILED")
    if code is not None and code < 0:
        verdict = f"KILLED by {signal.Signals(-code).name}"
    print(f"{of.name:20} {tries:7,} tries {took_s:8.1f} s  {verdict}", flush=True)
    if not is_good:
        print(text, flush=True)
    return is_good


def _ended(process: subprocess.Popen[bytes], of: BadInput) -> int | None:
    """Wait for a run; return its exit code, or None for one that hung."""
    try:
        return process.wait((of.minutes + _MORE_MINUTES) * 60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return None
    except KeyboardInterrupt:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        raise


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
