"""
Ctrl-C: a command that cannot stop in order yet ends with exit code 130.
"""

import os
import signal
import socket
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

import pytest

from fhir_gateway.__main__ import main
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.sandbox_sources import write_sources

pytestmark = pytest.mark.flow

_ENDS_WITHIN_S: Final = 30
_PROJECT: Final = Path(__file__).parents[2] / "pyproject.toml"


@pytest.mark.parametrize("module", ["click", "lxml.etree", "sqlalchemy", "numpy"])
def test_an_interrupt_during_the_imports_ends_without_a_traceback(module: str) -> None:
    """In its first second, too, a command ends with exit code 130 and says nothing."""
    with subprocess.Popen(
        # With this option, Python prints each module that it has imported.
        [sys.executable, "-X", "importtime", "-m", "fhir_gateway", "serve"],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.split("|")[-1].strip() == module:
                break
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        code = process.wait(_ENDS_WITHIN_S)

    assert code == 130
    assert [line for line in rest.splitlines() if "import time:" not in line] == []


def test_a_command_that_waits_is_interrupted_without_a_traceback(
    tmp_path: Path,
) -> None:
    """A check that waits for a silent region ends with exit code 130."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        sources = write_sources(tmp_path, url, 100, Vocabulary("https://x.example"))
        with subprocess.Popen(
            [sys.executable, "-m", "fhir_gateway", "sources", "check"],
            env={
                **os.environ,
                "FHIR_GATEWAY_SOURCES": str(sources),
                "FHIR_GATEWAY_CANONICAL_BASE": "https://x.example",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            silent.settimeout(_ENDS_WITHIN_S)
            asked, _ = silent.accept()
            with asked:
                process.send_signal(signal.SIGINT)
                output, _ = process.communicate(timeout=_ENDS_WITHIN_S)

    assert (process.returncode, output) == (130, "")


def test_an_ignored_interrupt_stays_ignored() -> None:
    """A job that its shell has put in the background is not ended by Ctrl-C."""
    with subprocess.Popen(
        [
            *("sh", "-c", "trap '' INT; exec \"$@\"", "sh"),
            *(sys.executable, "-X", "importtime", "-m", "fhir_gateway", "--version"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.split("|")[-1].strip() == "click":
                break
        process.send_signal(signal.SIGINT)
        process.stderr.read()
        code = process.wait(_ENDS_WITHIN_S)

    assert code == 0


def test_the_installed_command_starts_there() -> None:
    """`fhir-gateway` and `python -m fhir_gateway` are one program."""
    project = tomllib.loads(_PROJECT.read_text("utf-8"))["project"]

    assert project["scripts"] == {"fhir-gateway": f"{main.__module__}:main"}
