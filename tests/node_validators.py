"""
The FHIR validators that run in Node, in one process of ours; see tests/validators.
"""

import fcntl
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

__all__ = ["VALIDATORS", "NoNode", "NodeValidators", "running_node_validators"]

VALIDATORS: Final = Path(__file__).parent / "validators"


class NoNode(Exception):
    """Node or npm is missing."""


class NodeValidators:
    """A running `validate.mjs --serve`: it indexes R4 once, which takes seconds."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def validate(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Return what `node validate.mjs` would write, and its exit code."""
        requests, answers = self._process.stdin, self._process.stdout
        assert requests is not None
        assert answers is not None
        called = [str(each) for each in arguments]
        requests.write(f"{json.dumps(called)}\n")
        requests.flush()
        line = answers.readline()
        assert line, "the validators ended: see their error output"
        answer = json.loads(line)
        return subprocess.CompletedProcess(
            called, answer["code"], answer["stdout"], answer["stderr"]
        )

    @staticmethod
    def run(script: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a script of tests/validators in a process of its own."""
        return subprocess.run(
            ["node", script, *map(str, arguments)],
            cwd=VALIDATORS,
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )


@contextmanager
def running_node_validators() -> Iterator[NodeValidators]:
    """
    Give the validators, and end them in the end.

    Raises:
        NoNode: Node or npm is not installed.
    """
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise NoNode("node and npm are not on the PATH: FHIR validators not run")
    # npm writes this file last; the lock is for test runs in several processes.
    installed = VALIDATORS / "node_modules" / ".package-lock.json"
    with (VALIDATORS / "package.json").open(encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not installed.exists():
            subprocess.run(["npm", "ci"], cwd=VALIDATORS, check=True, timeout=300)
    with subprocess.Popen(
        ["node", "validate.mjs", "--serve"],
        cwd=VALIDATORS,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        # Leaving the block closes its input, which ends it, and waits for that.
        yield NodeValidators(process)
