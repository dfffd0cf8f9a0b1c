"""
A child process that ends with this process, also after `kill -9`.

Neither Python nor every Unix can end a child with its parent. So a second, tiny process
watches: it reads from a pipe that only the parent can write to, reaches the end of the
pipe when the parent is gone, and kills the child.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

__all__ = ["ChildProcess"]

_WATCH: Final = (
    "import os, signal, sys\n"
    "sys.stdin.buffer.read()\n"
    "os.killpg(int(sys.argv[1]), signal.SIGKILL)\n"
)


def _owner_only(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class ChildProcess:
    """
    A running process in a session of its own: Ctrl-C does not reach it.

    Args:
        arguments: The program and its arguments.
        log: The file for its output; a new one is readable for its owner only.
        environment: Its environment; None for that of this process.

    Raises:
        OSError: The program cannot be started, or the log cannot be written.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        with open(log, "ab", opener=_owner_only) as output:
            self._process = subprocess.Popen(  # noqa: S603 - a program of ours
                arguments,
                env=None if environment is None else dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._watcher: subprocess.Popen[bytes] | None = subprocess.Popen(  # noqa: S603 - this Python
            [sys.executable, "-I", "-S", "-c", _WATCH, str(self._process.pid)],
            # The environment of this process may have keys in it.
            env={},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # A signal to the group of this process must not end the watcher first.
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """Return its process id, which is the id of its process group too."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """Return its exit code; None while it runs."""
        code = self._process.poll()
        if code is not None:
            self._dismiss_watcher()
        return code

    def terminate(self) -> None:
        """Send it SIGTERM."""
        self._process.terminate()

    def end(self, within_s: float) -> None:
        """Wait for its end; kill it and its children after that time."""
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._dismiss_watcher()

    def _dismiss_watcher(self) -> None:
        # At the end of its pipe it would kill a group that may belong to another
        # program by now.
        if self._watcher is None:
            return
        self._watcher.kill()
        self._watcher.communicate()
        self._watcher = None
