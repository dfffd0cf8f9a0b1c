"""
Migrations of the journal's tables by Alembic; the program runs them at start.

A new revision is a module in `versions/`. The previous release must work on the tables
of the new revision, since both releases run during a roll-out.
"""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util import CommandError
from sqlalchemy import Connection, Engine

from fhir_gateway.stores.database import (
    DatabaseUnavailable,
    lock_until_commit,
    translated_errors,
    writing_without_timeout,
)
from fhir_gateway.stores.database_fault import DatabaseFault

__all__ = ["LaterTables", "NoTables", "check_tables", "is_without_tables", "migrate"]

# Alembic keeps the running migration in module globals, so only one thread of a process
# can run a migration.
_ONE_AT_A_TIME: Final = threading.Lock()
_LATER: Final = "the database belongs to a later release of this program: install that"


class LaterTables(Exception):
    """The tables are of a later release than this program."""


class NoTables(Exception):
    """There are no tables of this release; the message says what to do."""


def check_tables(engine: Engine) -> None:
    """
    Check that the tables belong to this release; change nothing.

    Raises:
        NoTables: There are none, or they are of an earlier release.
        LaterTables: They are of a later release.
        DatabaseUnavailable: The database cannot be reached.
    """
    scripts = ScriptDirectory.from_config(_config())
    with translated_errors(), engine.connect() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    if found is None:
        raise NoTables("there is no journal in that database")
    if found == scripts.get_current_head():
        return
    if found not in {each.revision for each in scripts.walk_revisions()}:
        raise LaterTables(_LATER)
    raise NoTables(
        "the journal is of an earlier release of this program: start the gateway or the"
        " worker of this one first"
    )


def is_without_tables(file: Path) -> bool:
    """
    Return whether an SQLite file certainly has no journal.

    It opens the file read-only, so that a file of another program keeps its journal
    mode.
    """
    try:
        with closing(
            sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True)
        ) as connection:
            found = connection.execute(
                "SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'"
            )
            return found.fetchone() is None
    except sqlite3.Error:
        return False


def check_owner(file: Path) -> None:
    """
    Check that an SQLite file that is to become a journal has no other program's tables.

    It opens the file read-only, so that such a file stays as it is.

    Raises:
        DatabaseUnavailable: It has.
    """
    try:
        with closing(
            sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True)
        ) as connection:
            tables = connection.execute(
                "SELECT count(*) FROM sqlite_master WHERE type = 'table'"
            ).fetchone()[0]
            if tables == 0:
                return
            connection.execute("SELECT version_num FROM alembic_version")
    except sqlite3.OperationalError as error:
        if "no such" in str(error):
            raise DatabaseUnavailable(
                "The file of the journal is another program's.",
                fault=DatabaseFault.OF_ANOTHER_PROGRAM,
            ) from None
    except sqlite3.Error:
        # Who opens it to write says what is wrong with it.
        return


def migrate(engine: Engine, *, to: str = "head") -> None:
    """
    Bring the tables up to this release's revision, in one transaction.

    Nothing happens if they have it already. Several processes may call this at once:
    one migrates and the others wait.

    Args:
        engine: The database.
        to: The revision; a test may stop before the last.

    Raises:
        LaterTables: The tables are of a later release than this one.
        DatabaseUnavailable: The database cannot be reached.
    """
    with _ONE_AT_A_TIME, writing_without_timeout(engine) as connection:
        _lock(connection)
        config = _config()
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, to)
        except CommandError as error:
            if not isinstance(error.__cause__, RevisionError):
                raise  # Alembic cannot find its own scripts
            raise LaterTables(_LATER) from error


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "fhir_gateway.stores:migrations")
    return config


def _lock(connection: Connection) -> None:
    # On SQLite the transaction, begun as IMMEDIATE, is the lock.
    if connection.dialect.name == "postgresql":
        lock_until_commit(connection, "migrations")
