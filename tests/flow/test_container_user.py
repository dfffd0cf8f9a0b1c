"""
A container platform's way to run a program: any user id, and a file system to read.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from postgresql import NoPostgresql, PostgresqlServer, running_postgresql
from web.running import write_fast_sources

from fhir_gateway.sandbox.server import SandboxServer
from fhir_gateway.stores.sealing import Seal

from .ports import free_port

pytestmark = pytest.mark.flow

# Nobody in /etc/passwd has it. Outside, the process has the tests' own user.
_UID: Final = "54321"
_AS_ANYBODY: Final = ("unshare", "--user", f"--map-user={_UID}", "--map-group=0")
_PROGRAM: Final = (sys.executable, "-m", "fhir_gateway")
_ANSWERS_WITHIN_S: Final = 60.0


@pytest.fixture(name="workdir")
def _workdir(tmp_path: Path) -> Iterator[Path]:
    """Give a working folder that cannot be written in; skip where there are none."""
    command = [*_AS_ANYBODY, "id", "-u"]
    if shutil.which("unshare") is None or (
        subprocess.run(command, capture_output=True, check=False).returncode
    ):
        pytest.skip("no user namespaces here: a container's user not tried")
    folder = tmp_path / "read-only"
    folder.mkdir(mode=0o555)
    yield folder
    folder.chmod(0o755)


@pytest.fixture(name="postgresql", scope="module")
def _postgresql() -> Iterator[PostgresqlServer]:
    try:
        with running_postgresql() as server:
            # Inside its namespace a process has no more rights than anybody.
            server.socket.chmod(0o755)
            yield server
    except NoPostgresql as absent:
        pytest.skip(str(absent))


@pytest.fixture(name="environment")
def _environment(
    tmp_path: Path, sandbox_server: SandboxServer, redis_url: str
) -> dict[str, str]:
    """Give all of an environment without a home, with every store elsewhere."""
    stores = tmp_path / "stores"
    stores.mkdir()
    return {
        "PATH": os.environ["PATH"],
        "FHIR_GATEWAY_OPEN_DEMO": "yes",
        "PORT": str(free_port()),
        "FHIR_GATEWAY_SOURCES": str(write_fast_sources(tmp_path, sandbox_server)),
        "FHIR_GATEWAY_JOURNAL_KEYS": Seal.new_key(),
        "REDIS_URL": redis_url,
        "DATABASE_URL": f"sqlite:///{stores / 'journal.sqlite'}",
    }


@contextmanager
def _running(
    command: str, workdir: Path, environment: dict[str, str]
) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*_AS_ANYBODY, *_PROGRAM, command],
        cwd=workdir,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)


def _answers(port: str, process: subprocess.Popen[str]) -> bool:
    """Return whether the gateway answers before it ends, or time does."""
    deadline = time.monotonic() + _ANSWERS_WITHIN_S
    url = f"http://127.0.0.1:{port}/health"
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    return False


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_the_gateway_starts_for_any_user_and_makes_no_folder(
    request: pytest.FixtureRequest,
    workdir: Path,
    environment: dict[str, str],
    database: str,
) -> None:
    """With its stores elsewhere it needs no name, no home and no folder."""
    if database == "postgresql":
        server: PostgresqlServer = request.getfixturevalue("postgresql")
        environment["DATABASE_URL"] = server.new_url()
    with _running("serve", workdir, environment) as process:
        answered = _answers(environment["PORT"], process)

    assert answered
    assert list(workdir.iterdir()) == []


def test_the_worker_starts_for_any_user_and_makes_no_folder(
    workdir: Path, environment: dict[str, str]
) -> None:
    """The worker takes a source under any user, and writes nothing there."""
    with _running("worker", workdir, environment) as process:
        assert process.stdout is not None
        taken = any("lease taken" in line for line in process.stdout)

    assert taken
    assert process.returncode == 0
    assert list(workdir.iterdir()) == []


@pytest.mark.parametrize("command", ["serve", "worker", "demo"])
def test_a_folder_that_is_needed_and_cannot_be_made_is_one_line(
    workdir: Path, environment: dict[str, str], command: str
) -> None:
    """Without stores of its own elsewhere the program says which folder to give."""
    for name in ("REDIS_URL", "DATABASE_URL"):
        del environment[name]
    environment["SANDBOX_PORT"] = str(free_port())
    finished = subprocess.run(
        [*_AS_ANYBODY, *_PROGRAM, command],
        cwd=workdir,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert finished.returncode == 2
    assert finished.stderr == (
        f"fhir-gateway: FHIR_GATEWAY_DATA_DIR: {workdir}/.fhir-gateway cannot be"
        " made, or written in (Permission denied); give a folder where this process"
        " may write\n"
    )
