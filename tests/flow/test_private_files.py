"""
Whole commands under an open umask: nothing that they write is anybody else's.
"""

import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from processes import children_of, wait_until

from fhir_gateway.stores.sealing import Seal

from .ports import free_port
from .test_start import write_source

pytestmark = pytest.mark.flow

_STARTS_WITHIN_S: Final = 60


@pytest.fixture(name="folder")
def _folder() -> Iterator[Path]:
    # The path of a socket must be short.
    with tempfile.TemporaryDirectory(prefix="gw-") as folder:
        yield Path(folder)


@contextmanager
def running(folder: Path, *command: str, **more: str) -> Iterator[int]:
    """Run a command under an open umask; give its process id."""
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "fhir_gateway", *command],
            env={
                # make guards runs a copy of the program, which the others name.
                **{
                    name: os.environ[name]
                    for name in ("PATH", "PYTHONPATH", "PYTHONSAFEPATH")
                    if name in os.environ
                },
                "FHIR_GATEWAY_OPEN_DEMO": "yes",
                "FHIR_GATEWAY_SOURCES": str(write_source(folder)),
                "FHIR_GATEWAY_DATA_DIR": str(folder / "above" / "data"),
                "FHIR_GATEWAY_DRAINS_FOR_S": "0",
                "PORT": str(free_port()),
                "SANDBOX_PORT": str(free_port()),
                **more,
            },
            stdout=output,
            stderr=output,
            umask=0,
        )
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


def rights(folder: Path) -> dict[str, int]:
    """Return the rights of all that lies in a folder, by its path."""
    return {
        path.relative_to(folder).as_posix(): stat.S_IMODE(path.lstat().st_mode)
        for path in folder.rglob("*")
    }


def open_to_others(folder: Path) -> dict[str, str]:
    """Return what anybody but its owner has a right to."""
    return {path: oct(mode) for path, mode in rights(folder).items() if mode & 0o077}


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_all_files_of_a_command_are_its_owners(folder: Path, command: str) -> None:
    """Journal, WAL, key, socket, lock and log, and the folders that it makes."""
    with running(folder, command):
        expected = {
            *("data", "data/journal.sqlite", "data/journal.sqlite-wal"),
            *("data/journal.sqlite-shm", "data/journal.key", "data/redis.sock"),
            *("data/redis.lock", "data/redis.log"),
        }
        above = folder / "above"
        assert wait_until(lambda: expected <= rights(above).keys(), _STARTS_WITHIN_S)

        assert open_to_others(above) == {}
    assert stat.S_IMODE(above.stat().st_mode) == 0o700


def test_all_files_of_the_demo_are_its_owners(folder: Path) -> None:
    """Its file of sources, its ConceptMaps and the logs of its parts too."""
    with running(folder, "demo", "--slots", "2000"):
        data = folder / "above" / "data"
        assert wait_until(
            lambda: (
                {"serve.log", "worker.log", "journal.sqlite", "sources.toml"}
                <= {path.rpartition("/")[2] for path in rights(data)}
            ),
            _STARTS_WITHIN_S,
        )

        assert open_to_others(data) == {}


def test_files_of_an_earlier_release_are_made_private(folder: Path) -> None:
    """A journal that others could read is its owner's after the start."""
    data = folder / "above" / "data"
    with running(folder, "serve"):
        assert wait_until((data / "journal.sqlite").exists, _STARTS_WITHIN_S)
    (data / "journal.sqlite").chmod(0o644)
    with running(folder, "serve"):
        assert wait_until(
            lambda: not (data / "journal.sqlite").stat().st_mode & 0o077,
            _STARTS_WITHIN_S,
        )


def test_an_open_data_folder_is_named(folder: Path) -> None:
    """The operator decides whether others may see which files there are."""
    data = folder / "above" / "data"
    data.mkdir(parents=True)
    data.chmod(0o755)
    with running(folder, "serve"):
        assert wait_until((data / "redis.sock").exists, _STARTS_WITHIN_S)
    events = [
        json.loads(line)
        for line in (folder / "output").read_text(encoding="utf-8").splitlines()
    ]

    assert [
        (each["event"], each["level"], each["folder"])
        for each in events
        if "folder" in each
    ] == [("data folder is open to others", "warning", str(data))]


def test_a_data_folder_of_everybody_is_refused(folder: Path) -> None:
    """Somebody could put a key or a socket of their own there."""
    data = folder / "above" / "data"
    data.mkdir(parents=True)
    data.chmod(0o777)
    with running(folder, "serve") as pid:
        assert os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT).si_status == 2

    assert (folder / "output").read_text(encoding="utf-8").splitlines()[-1] == (
        f"fhir-gateway: FHIR_GATEWAY_DATA_DIR: {data} may be changed by everybody on"
        " this machine: chmod o-w"
    )


def test_a_key_that_everybody_can_read_is_refused(folder: Path) -> None:
    """It may have been read already: the operator decides whether to change it."""
    data = folder / "above" / "data"
    data.mkdir(parents=True, mode=0o700)
    key = data / "journal.key"
    key.write_text(Seal.new_key(), encoding="ascii")
    key.chmod(0o644)
    with running(folder, "serve") as pid:
        assert os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT).si_status == 2

    assert (
        f"the key file {key} holds a key that everybody on this machine may read"
        in (folder / "output").read_text(encoding="utf-8")
    )


def test_an_open_demo_says_so_at_each_start(folder: Path) -> None:
    """The operator sees in the log that nobody is asked for a token."""
    output = folder / "output"
    with running(folder, "serve"):
        assert wait_until(
            lambda: '"event": "open demo without access control"' in output.read_text(),
            _STARTS_WITHIN_S,
        )


def test_no_helper_process_has_the_keys(folder: Path) -> None:
    """Valkey and the process that watches it need none of our settings."""
    secret = Seal.new_key()
    with running(folder, "serve", FHIR_GATEWAY_JOURNAL_KEYS=secret) as pid:
        data = folder / "above" / "data"
        assert wait_until((data / "redis.sock").exists, _STARTS_WITHIN_S)

        def helpers() -> list[int]:
            return [
                each
                for each in children_of(pid)
                if b"valkey" in command_of(each) or b"killpg" in command_of(each)
            ]

        # The one starts the other.
        assert wait_until(lambda: len(helpers()) == 2, _STARTS_WITHIN_S)
        environments = [
            Path(f"/proc/{each}/environ").read_bytes() for each in helpers()
        ]
        assert not any(b"FHIR_GATEWAY" in each for each in environments)
        assert not any(secret.encode() in command_of(each) for each in children_of(pid))


def command_of(pid: int) -> bytes:
    """Return the command line of a process."""
    return Path(f"/proc/{pid}/cmdline").read_bytes()
