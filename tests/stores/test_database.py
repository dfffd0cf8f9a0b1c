"""
The database behind the journal, and its migrations.
"""

import os
import re
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, select
from sqlalchemy.exc import IntegrityError

from fhir_gateway.model.errors import Category, Unavailable
from fhir_gateway.stores.audit.tables import metadata as audit_metadata
from fhir_gateway.stores.database import (
    Database,
    DatabaseUnavailable,
    database_clock,
    lock_until_commit,
)
from fhir_gateway.stores.journal.tables import metadata
from fhir_gateway.stores.migrations import LaterTables, migrate

OpenDatabase = Callable[[str], Database]

_MIGRATE = """
import sys
from forked import in_processes
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.migrations import migrate

def start(_):
    database = Database(sys.argv[1])
    migrate(database.engine)
    database.close()

print(in_processes(4, start))
"""


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("sqlite://", id="sqlite in memory"),
        pytest.param("sqlite:///:memory:", id="sqlite named memory"),
        pytest.param("mysql://u:hemligt@h/d", id="another database"),
        pytest.param("postgresql+asyncpg://u:hemligt@h/d", id="another driver"),
        pytest.param("journal.db", id="a path"),
        pytest.param("", id="nothing"),
    ],
)
def test_other_url_is_refused_without_showing_it(url: str) -> None:
    """A URL of another form is refused with the right forms, and not repeated."""
    with pytest.raises(ValueError, match="expected sqlite:///path or") as caught:
        Database(url)

    assert "hemligt" not in str(caught.value)


@pytest.mark.parametrize(
    "scheme",
    [pytest.param("postgresql"), pytest.param("postgresql+psycopg")],
)
def test_postgresql_is_spoken_to_by_psycopg(scheme: str) -> None:
    """A `postgresql` URL means psycopg 3."""
    database = Database(f"{scheme}://user@host/journal")

    assert database.engine.dialect.driver == "psycopg"


def test_repr_hides_password() -> None:
    """The repr of a database holds no password."""
    assert "hemligt" not in repr(Database("postgresql://user:hemligt@host/journal"))


def test_missing_directory_is_unavailable(
    tmp_path: Path, open_database: OpenDatabase
) -> None:
    """A SQLite file that cannot be opened is reported as an unavailable database."""
    database = open_database(f"sqlite:///{tmp_path}/missing/journal.db")

    with pytest.raises(DatabaseUnavailable), database.reading():
        pass


def test_missing_server_is_unavailable(
    tmp_path: Path, open_database: OpenDatabase
) -> None:
    """A PostgreSQL server that is not there is reported as unavailable."""
    database = open_database(f"postgresql://user@/journal?host={tmp_path}")

    with pytest.raises(DatabaseUnavailable), database.writing():
        pass


def test_damaged_file_is_unavailable(
    tmp_path: Path, open_database: OpenDatabase
) -> None:
    """A file that is no database is reported as unavailable."""
    (tmp_path / "journal.db").write_bytes(b"no database" * 100)
    database = open_database(f"sqlite:///{tmp_path}/journal.db")

    with pytest.raises(DatabaseUnavailable), database.reading():
        pass


def test_read_only_file_is_unavailable(
    tmp_path: Path, open_database: OpenDatabase
) -> None:
    """A file that may not be written is reported as unavailable, without waiting."""
    path = tmp_path / "journal.db"
    path.touch()
    database = open_database(f"sqlite:///file:{path}?mode=ro&uri=true")

    with pytest.raises(DatabaseUnavailable), database.reading():
        pass


def test_unavailable_database_does_not_promise_that_nothing_was_sent() -> None:
    """An unavailable database has that category, but is no `Unavailable` source."""
    assert DatabaseUnavailable.category is Category.UNAVAILABLE
    assert not issubclass(DatabaseUnavailable, Unavailable)


def test_errors_hide_values(database: Database) -> None:
    """The text of a database error holds none of the values of its statement."""
    with pytest.raises(IntegrityError) as caught, database.writing() as connection:
        connection.execute(
            metadata.tables["claim"]
            .insert()
            .values(
                id="1",
                token="hemligt",
                ordinal=1,
                booking="1",
                intent="1",
                starts_at=0,
                created_at=0,
            )
        )

    assert "hemligt" not in str(caught.value)


def test_failed_block_changes_nothing(database: Database) -> None:
    """A transaction leaves nothing behind when its block raises."""
    with suppress(KeyError), database.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE left_behind (id INTEGER)")
        raise KeyError

    assert not inspect(database.engine).has_table("left_behind")


def test_clock_is_the_present(database: Database) -> None:
    """The database's clock is in seconds since 1970, with a fraction."""
    with database.reading() as connection:
        seconds = connection.execute(select(database_clock())).scalar_one()

    there = datetime.fromtimestamp(seconds, UTC)
    here = datetime.now(UTC)  # noqa: TID251 - compared with the system's own clock
    assert isinstance(seconds, float)
    assert abs((here - there).total_seconds()) < 5


@pytest.mark.parametrize(
    ("pragma", "value"),
    [
        pytest.param("journal_mode", "wal", id="write-ahead log"),
        pytest.param("synchronous", 2, id="every commit reaches the disk"),
        pytest.param("foreign_keys", 1, id="foreign keys are checked"),
        pytest.param("busy_timeout", 10_000, id="waits for other writers"),
    ],
)
def test_sqlite_setting(
    tmp_path: Path, open_database: OpenDatabase, pragma: str, value: object
) -> None:
    """Each connection to SQLite has the settings that the journal rests on."""
    database = open_database(f"sqlite:///{tmp_path}/journal.db")

    with database.reading() as connection:
        found = connection.exec_driver_sql(f"PRAGMA {pragma}").scalar_one()

    assert found == value


def test_sqlite_is_switched_to_wal_by_many_at_once(
    tmp_path: Path, open_database: OpenDatabase
) -> None:
    """Threads that are the first at once to a new file all get their connection."""
    start = Barrier(8)

    def connect(path: Path) -> object:
        database = open_database(f"sqlite:///{path}")
        start.wait()
        with database.reading() as connection:
            return connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()

    with ThreadPoolExecutor(8) as pool:
        for which in range(5):
            modes = pool.map(connect, [tmp_path / f"{which}.db"] * 8)
            assert list(modes) == ["wal"] * 8


def test_sqlite_writer_begins_by_locking(
    tmp_path: Path, open_database: OpenDatabase
) -> None:
    """A write on SQLite shuts other writers out before its first statement."""
    database = open_database(f"sqlite:///{tmp_path}/journal.db")
    other = sqlite3.connect(tmp_path / "journal.db", timeout=0)

    with (
        database.writing(),
        pytest.raises(sqlite3.OperationalError, match="locked"),
    ):
        other.execute("BEGIN IMMEDIATE")
    other.close()


def test_sqlite_reader_does_not_wait_for_writer(
    tmp_path: Path, open_database: OpenDatabase
) -> None:
    """A read on SQLite goes on while another connection writes."""
    database = open_database(f"sqlite:///{tmp_path}/journal.db")

    with database.writing(), database.reading() as connection:
        answer = connection.exec_driver_sql("SELECT 1").scalar_one()

    assert answer == 1


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        pytest.param("synchronous_commit", "on", id="every commit reaches the disk"),
        pytest.param("lock_timeout", "10s", id="waits for no lock for ever"),
        pytest.param("statement_timeout", "10s", id="no statement lasts for ever"),
        pytest.param(
            "idle_in_transaction_session_timeout",
            "15s",
            id="no lock outlives its owner",
        ),
    ],
)
@pytest.mark.parametrize("new_url", ["postgresql"], indirect=True)
def test_postgresql_setting(database: Database, setting: str, value: str) -> None:
    """Each transaction on PostgreSQL has the settings that the journal rests on."""
    with database.reading() as connection:
        found = connection.exec_driver_sql(f"SHOW {setting}").scalar_one()

    assert found == value


@pytest.mark.parametrize("new_url", ["postgresql"], indirect=True)
def test_postgresql_survives_lost_connections(
    database: Database, url: str, open_database: OpenDatabase
) -> None:
    """A server that has closed our idle connections costs no request."""
    ask = "SELECT pg_backend_pid()"
    with database.reading() as connection:
        before = connection.exec_driver_sql(ask).scalar_one()
    other = open_database(url)
    with other.writing() as connection:
        connection.exec_driver_sql(f"SELECT pg_terminate_backend({before}, 5000)")

    with database.reading() as connection:
        after = connection.exec_driver_sql(ask).scalar_one()

    assert after != before


@pytest.mark.parametrize("new_url", ["postgresql"], indirect=True)
def test_named_lock_lasts_until_commit(database: Database) -> None:
    """A named lock shuts out its own name, lets others by, and ends with the write."""
    attempt = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
    counts = []
    with database.reading() as looking:
        with database.writing() as connection:
            lock_until_commit(connection, "a")
            lock_until_commit(connection, "a")
            lock_until_commit(connection, "b")
            counts.append(looking.exec_driver_sql(attempt).scalar_one())
        counts.append(looking.exec_driver_sql(attempt).scalar_one())

    assert counts == [2, 0]


def test_migration_makes_the_tables(
    empty_url: str, open_database: OpenDatabase
) -> None:
    """From nothing, a migration makes the journal's tables."""
    database = open_database(empty_url)

    migrate(database.engine)

    found = set(inspect(database.engine).get_table_names())
    assert found == {
        *("alembic_version", "booking", "claim", "decision", "invitation"),
        *("log_outbox", "request", "engagement", "engagement_look"),
        *("index_lease", "index_post", "added_unit"),
        *("audit_anchor", "audit_event", "coverage"),
    }


def test_migration_twice_is_once(empty_url: str, open_database: OpenDatabase) -> None:
    """A migration of tables that are up to date changes nothing."""
    database = open_database(empty_url)
    migrate(database.engine)
    before = _catalogue(database)

    migrate(database.engine)

    assert _catalogue(database) == before


def test_migration_by_four_processes_at_once(
    empty_url: str, open_database: OpenDatabase
) -> None:
    """Four processes that start at once on an empty database all come up."""
    finished = subprocess.run(
        [sys.executable, "-c", _MIGRATE, empty_url],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )

    with open_database(empty_url).reading() as connection:
        found = connection.exec_driver_sql("SELECT * FROM alembic_version").all()
    assert finished.stdout == "[0, 0, 0, 0]\n"
    assert [tuple(row) for row in found] == [("0016",)]


def test_tables_of_a_later_release_are_refused(database: Database) -> None:
    """A release does not run on tables that a later one has changed."""
    with database.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(LaterTables, match="later release"):
        migrate(database.engine)


def test_migrated_tables_have_not_drifted(database: Database) -> None:
    """Alembic finds no difference between the migrated tables and the program's."""
    with database.reading() as connection:
        context = MigrationContext.configure(connection)
        found = compare_metadata(context, [metadata, audit_metadata])

    assert found == []


def test_migrated_catalogue_is_that_of_the_program(
    database: Database, empty_url: str, open_database: OpenDatabase
) -> None:
    """Indexes, their conditions and every constraint are the program's own too."""
    made = open_database(empty_url)
    metadata.create_all(made.engine)
    audit_metadata.create_all(made.engine)

    assert _catalogue(database) == _catalogue(made)


def _catalogue(database: Database) -> set[tuple[str, ...]]:
    if database.engine.dialect.name == "sqlite":
        question = (
            "SELECT name, replace(replace(sql, char(10), ''), char(9), '')"
            " FROM sqlite_master"
            " WHERE tbl_name <> 'alembic_version' AND sql IS NOT NULL"
        )
    else:
        question = (
            "SELECT indexname, indexdef FROM pg_indexes"
            " WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
            " UNION ALL SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE connamespace = 'public'::regnamespace"
            " AND conrelid <> coalesce(to_regclass('alembic_version')::oid, 0::oid)"
            " UNION ALL SELECT table_name || '.' || column_name,"
            " data_type || is_nullable FROM information_schema.columns"
            " WHERE table_schema = 'public' AND table_name <> 'alembic_version'"
        )
    with database.reading() as connection:
        rows = connection.exec_driver_sql(question).all()
    # A column that was added later stands last on SQLite: their order means nothing.
    return {(row[0], *sorted(re.split(r"[(,)]\s*", row[1]))) for row in rows}


def test_a_file_of_sqlite_is_its_owners(tmp_path: Path) -> None:
    """The file, its WAL and its index, under any umask, and an older file too."""
    path = tmp_path / "journal.sqlite"
    before = os.umask(0)
    modes = []
    try:
        for _ in range(2):
            database = Database(f"sqlite:///{path}")
            with database.writing() as connection:
                connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS a (b)")
            modes.append(
                {
                    each.name: stat.S_IMODE(each.stat().st_mode)
                    for each in tmp_path.iterdir()
                }
            )
            database.close()
            path.chmod(0o644)
    finally:
        os.umask(before)

    names = ("journal.sqlite", "journal.sqlite-shm", "journal.sqlite-wal")
    assert modes == [dict.fromkeys(names, 0o600)] * 2
