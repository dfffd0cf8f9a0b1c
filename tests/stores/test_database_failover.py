"""
A primary that is one no more, and a database that hangs: real servers of PostgreSQL.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import pytest
from postgresql import (
    NoPostgresql,
    PostgresqlServer,
    running_postgresql,
    running_standby,
)
from sqlalchemy import make_url

from fhir_gateway.stores.database import Database, DatabaseUnavailable, Patience
from fhir_gateway.stores.database_fault import DatabaseFault

_DEMOTE = "ALTER SYSTEM SET default_transaction_read_only = on"
_ASK = "SELECT current_setting('unix_socket_directories')"


@pytest.fixture(name="primary")
def _primary() -> Iterator[PostgresqlServer]:
    try:
        with running_postgresql() as server:
            yield server
    except NoPostgresql as error:
        pytest.skip(str(error))


def where(database: Database) -> str:
    """Return the socket's folder of the server that a write goes to."""
    with database.writing() as connection:
        folder: str = connection.exec_driver_sql(_ASK).scalar_one()
        return folder


def demote(server: PostgresqlServer) -> None:
    """Let a server take no writes any more, in every session at once."""
    server.run(_DEMOTE)
    server.run("SELECT pg_reload_conf()")


def test_the_new_primary_is_found(primary: PostgresqlServer) -> None:
    """After a failover the next write goes to the host that takes writes."""
    name = make_url(primary.new_url()).database
    with running_standby(primary) as standby:
        hosts = ",".join(
            quote(str(server.socket), safe="") for server in (primary, standby)
        )
        database = Database(f"postgres://postgres@{hosts}/{name}")
        before = where(database)
        standby.promote()
        demote(primary)
        # Each session of the old primary hears of it in its own time.
        deadline = time.monotonic() + 10
        while (after := where(database)) == before and time.monotonic() < deadline:
            time.sleep(0.01)
        database.close()

    assert (before, after) == (str(primary.socket), str(standby.socket))


def test_a_standby_alone_is_read_only(primary: PostgresqlServer) -> None:
    """A server that takes no writes is reported as such to a writer, and is read."""
    url = primary.new_url()
    with running_standby(primary) as standby:
        database = Database(
            f"postgresql://postgres@/{make_url(url).database}?host={standby.socket}"
        )
        with pytest.raises(DatabaseUnavailable) as caught, database.writing():
            pass
        with database.reading() as connection:
            read = connection.exec_driver_sql("SELECT 1").scalar_one()
        database.close()

    assert (caught.value.fault, read) == (DatabaseFault.READ_ONLY, 1)
    # Clients get the one, the log the other.
    assert (str(caught.value), caught.value.log_text) == (
        "The booking journal cannot be reached just now; ask again later.",
        DatabaseFault.READ_ONLY.value,
    )


def test_a_refused_write_drops_every_connection(primary: PostgresqlServer) -> None:
    """When one write meets a read-only server, no idle connection is lent again."""
    database = Database(primary.new_url())
    ask = "SELECT pg_backend_pid()"
    with database.reading() as first, database.reading() as second:
        idle = {each.exec_driver_sql(ask).scalar_one() for each in (first, second)}

    with pytest.raises(DatabaseUnavailable) as caught, database.writing() as connection:
        connection.exec_driver_sql("SET TRANSACTION READ ONLY; CREATE TABLE t (i INT)")
    with database.reading() as first, database.reading() as second:
        lent = {each.exec_driver_sql(ask).scalar_one() for each in (first, second)}
    database.close()

    assert caught.value.fault is DatabaseFault.READ_ONLY
    assert idle & lent == set()


def processes_of(server: PostgresqlServer) -> list[int]:
    """Return the process ids of a server and its sessions, the server's own first."""
    first = int((server.socket / "data" / "postmaster.pid").read_text().split()[0])
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(first)],
        capture_output=True,
        text=True,
        check=True,
    )
    return [first, *map(int, listed.stdout.split())]


def test_a_database_that_hangs_fails_in_bounded_time(primary: PostgresqlServer) -> None:
    """A reader, a writer in mid-transaction and a newcomer all get their error."""
    patience = Patience(connection=2, connect=2, ping=1, transaction=2)
    database = Database(primary.new_url(), patience=patience)
    stopped: list[int] = []

    def read() -> str:
        with database.reading():
            return "read"

    def write() -> str:
        with database.writing() as connection:
            connection.exec_driver_sql("SELECT 1")
            stopped.extend(stop_all())
            connection.exec_driver_sql("SELECT 1")
            return "written"

    def stop_all() -> list[int]:
        ids = processes_of(primary)
        for each in ids:
            os.kill(each, signal.SIGSTOP)
        return ids

    read()
    begun = time.monotonic()
    try:
        with ThreadPoolExecutor(3) as pool:
            writer = pool.submit(write)
            while not stopped:
                time.sleep(0.01)
            readers = [pool.submit(read) for _ in range(2)]
            errors = [each.exception(30) for each in (writer, *readers)]
        took = time.monotonic() - begun
    finally:
        for each in stopped:
            os.kill(each, signal.SIGCONT)

    assert {type(error) for error in errors} == {DatabaseUnavailable}
    # A ping, a new connection and what a slow machine needs besides.
    assert took < 10
    assert read() == "read"
    database.close()


def test_threads_that_wait_for_a_connection_do_not_wait_for_ever(
    tmp_path: Path,
) -> None:
    """When every connection is taken, one more gets its error in bounded time."""
    database = Database(
        f"sqlite:///{tmp_path}/journal.db", patience=Patience(connection=0.1)
    )
    lent = [database.engine.connect() for _ in range(30)]

    with pytest.raises(DatabaseUnavailable) as caught, database.reading():
        pass
    for connection in lent:
        connection.close()
    database.close()

    assert caught.value.fault is DatabaseFault.BUSY


def test_a_writer_waits_for_another_in_bounded_time(tmp_path: Path) -> None:
    """On SQLite a writer that another keeps out gets its error in bounded time."""
    url = f"sqlite:///{tmp_path}/journal.db"
    first, second = Database(url), Database(url, patience=Patience(lock=0.1))

    with (
        first.writing(),
        pytest.raises(DatabaseUnavailable) as caught,
        second.writing(),
    ):
        pass
    first.close()
    second.close()

    assert caught.value.fault is DatabaseFault.BUSY
