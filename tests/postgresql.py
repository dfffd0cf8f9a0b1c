"""
A PostgreSQL server of our own, where PostgreSQL is installed.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from sqlalchemy import make_url

__all__ = [
    "NoPostgresql",
    "PostgresqlServer",
    "running_postgresql",
    "running_standby",
]


class NoPostgresql(Exception):
    """There is none to start; the message says why."""


@dataclass
class PostgresqlServer:
    """
    A server on a socket in a directory of its own.

    Attributes:
        socket: The directory of its socket.
        control: How `pg_ctl` is called for it.
        options: What `postgres` is started with.
    """

    socket: Path
    control: Sequence[str]
    options: str
    databases: int = field(default=0)

    def new_url(self, *, template: str = "template1") -> str:
        """Return the URL of a new database."""
        self.databases += 1
        name = f"journal{self.databases}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return f"postgresql://postgres@/{name}?host={self.socket}"

    def drop(self, url: str) -> None:
        """Drop the database, even while somebody is connected to it."""
        self.run(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")

    def run(self, statement: str) -> None:
        """Run a statement as the superuser."""
        with psycopg.connect(
            host=str(self.socket), user="postgres", autocommit=True
        ) as connection:
            connection.execute(statement.encode())

    def start(self) -> None:
        """Start it, and wait until it answers."""
        log = str(self.socket / "log")
        self._call("-l", log, "-o", self.options, "start")

    def stop(self) -> None:
        """Stop it as a crash would: nothing is flushed, nobody is waited for."""
        self._call("-m", "immediate", "stop")

    def promote(self) -> None:
        """Make a standby the primary, and wait until it is."""
        self._call("promote")

    def _call(self, *arguments: str) -> None:
        subprocess.run(
            [*self.control, *arguments],
            check=True,
            cwd=self.socket,
            stdout=subprocess.DEVNULL,
        )


@contextmanager
def running_postgresql() -> Iterator[PostgresqlServer]:
    """
    Give a server with no database of ours in it, and remove it in the end.

    Raises:
        NoPostgresql: None can be started.
    """
    with _running(
        "initdb",
        *("-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"),
    ) as server:
        yield server


@contextmanager
def running_standby(primary: PostgresqlServer) -> Iterator[PostgresqlServer]:
    """Give a standby that follows a primary by streaming, and remove it in the end."""
    with _running(
        "pg_basebackup",
        *("-h", str(primary.socket), "-U", "postgres", "-R", "-c", "fast"),
        "--no-sync",
    ) as server:
        yield server


@contextmanager
def _running(program: str, *arguments: str) -> Iterator[PostgresqlServer]:
    """Give a server in a folder that a program fills, and remove it in the end."""
    binaries = _binaries(program)
    if binaries is None:
        raise NoPostgresql(f"PostgreSQL is not installed: no {program} and pg_ctl")
    as_owner: list[str] = []
    if os.geteuid() == 0:
        # PostgreSQL refuses to run as root.
        if shutil.which("setpriv") is None:
            raise NoPostgresql(
                "PostgreSQL does not run as root, and there is no setpriv"
            )
        as_owner = ["setpriv", "--reuid=nobody", "--clear-groups"]
    # Not tmp_path: a socket's path is short, and its owner is not always us.
    directory = Path(tempfile.mkdtemp(prefix="journal-"))
    try:
        if as_owner:
            shutil.chown(directory, "nobody")
        data = directory / "data"
        subprocess.run(
            [*as_owner, str(binaries / program), "-D", str(data), *arguments],
            check=True,
            cwd=directory,
            stdout=subprocess.DEVNULL,
        )
        server = PostgresqlServer(
            socket=directory,
            control=[*as_owner, str(binaries / "pg_ctl"), "-D", str(data), "-w"],
            options=f"-c listen_addresses='' -c fsync=off -k {directory}",
        )
        server.start()
        try:
            yield server
        finally:
            if (data / "postmaster.pid").exists():
                server.stop()
    finally:
        shutil.rmtree(directory)


def _binaries(program: str) -> Path | None:
    places = [Path(place) for place in os.get_exec_path()]
    # Debian keeps the server's programs off the path.
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if shutil.which("pg_config"):
        answer = subprocess.run(
            ["pg_config", "--bindir"], capture_output=True, text=True, check=True
        )
        places.append(Path(answer.stdout.strip()))
    for place in places:
        if (place / program).exists() and (place / "pg_ctl").exists():
            return place
    return None
