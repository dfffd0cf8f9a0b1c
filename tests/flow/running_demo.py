"""
The demo as a newcomer runs it: `fhir-gateway demo` in a process of its own.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .ports import free_port

__all__ = ["Demo", "running_demo"]

_ANSWERS_WITHIN_S: Final = 60.0


@dataclass(frozen=True)
class Demo:
    """A running demo: its process, its ports and what it says."""

    process: subprocess.Popen[bytes]
    port: int
    sandbox_port: int
    output: Path

    @property
    def base_url(self) -> str:
        """Return its FHIR base."""
        return f"http://127.0.0.1:{self.port}/fhir"

    @property
    def issuer_url(self) -> str:
        """Return its issuer of tokens."""
        return f"http://127.0.0.1:{self.sandbox_port}/issuer"


@contextmanager
def running_demo(
    folder: Path, *, slots: int = 3000, more: Mapping[str, str] | None = None
) -> Iterator[Demo]:
    """
    Give a demo that answers, and end it as Ctrl-C does.

    Args:
        folder: Where it keeps its data.
        slots: About how many free times its regions have.
        more: Further settings.
    """
    port, sandbox_port = free_port(), free_port()
    output = folder / "output"
    with output.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "fhir_gateway", "demo", "--slots", str(slots)],
            env={
                **os.environ,
                "PORT": str(port),
                "SANDBOX_PORT": str(sandbox_port),
                "FHIR_GATEWAY_DATA_DIR": str(folder),
                **(more or {}),
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + _ANSWERS_WITHIN_S
        while "The gateway answers" not in output.read_text(encoding="utf-8"):
            assert process.poll() is None, output.read_text(encoding="utf-8")
            assert time.monotonic() < deadline, output.read_text(encoding="utf-8")
            time.sleep(0.1)
        yield Demo(process, port, sandbox_port, output)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
