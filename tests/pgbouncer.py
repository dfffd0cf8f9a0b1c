"""
A PgBouncer of our own in front of a PostgreSQL, where PgBouncer is installed.
"""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg
from postgresql import PostgresqlServer

__all__ = ["NoPgbouncer", "running_pgbouncer"]

_PORT: Final = 6432
_STARTS_WITHIN_S: Final = 10.0
_CONFIGURATION: Final = """
[databases]
* = host={server} user=postgres
[pgbouncer]
listen_addr =
listen_port = {port}
unix_socket_dir = {folder}
auth_type = any
pool_mode = {mode}
default_pool_size = 3
logfile = {folder}/log
"""


class NoPgbouncer(Exception):
    """There is none to start; the message says why."""


@contextmanager
def running_pgbouncer(server: PostgresqlServer, *, mode: str) -> Iterator[str]:
    """
    Give what turns the URL of a database into one by way of PgBouncer.

    Args:
        server: Where the databases are.
        mode: How connections are pooled: session, transaction or statement.

    Raises:
        NoPgbouncer: None can be started.
    """
    program = shutil.which("pgbouncer") or shutil.which(
        "pgbouncer", path="/usr/sbin:/usr/local/sbin"
    )
    if program is None:
        raise NoPgbouncer("PgBouncer is not installed: no pgbouncer on the PATH")
    # Not tmp_path: a socket's path is short, and its owner is not always us.
    folder = Path(tempfile.mkdtemp(prefix="pgbouncer-"))
    try:
        configuration = folder / "pgbouncer.ini"
        configuration.write_text(
            _CONFIGURATION.format(
                server=server.socket, port=_PORT, folder=folder, mode=mode
            ),
            encoding="utf-8",
        )
        as_owner: list[str] = []
        if os.geteuid() == 0:
            # It refuses to run as root.
            as_owner = ["setpriv", "--reuid=nobody", "--clear-groups"]
            shutil.chown(folder, "nobody")
            configuration.chmod(0o644)
        with (folder / "output").open("wb") as output:
            process = subprocess.Popen(
                [*as_owner, program, "-q", str(configuration)],
                cwd=folder,
                stdout=output,
                stderr=output,
            )
        try:
            _await_answer(folder, process)
            yield f"?host={folder}&port={_PORT}"
        finally:
            process.terminate()
            process.wait(10)
    finally:
        shutil.rmtree(folder)


def _await_answer(folder: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN_S
    while True:
        try:
            psycopg.connect(
                host=str(folder), port=_PORT, user="postgres", dbname="postgres"
            ).close()
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return
