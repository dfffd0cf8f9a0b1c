"""
Migrations of the journal's tables, by Alembic, run by the program itself at start.

A new revision is a module in `versions/`, written so that the release before it can go
on working on the tables that it leaves: during a roll-out both run.
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
    lock_until_commit,
    translated_errors,
    writing_without_timeout,
)

__all__ = ["LaterTables", "NoTables", "check_tables", "is_without_tables", "migrate"]

# Alembic keeps the migration that is running in module globals, so two threads of one
# process cannot run one each.
_ONE_AT_A_TIME: Final = threading.Lock()
_LATER: Final = "the database belongs to a later release of this program: install that"


class LaterTables(Exception):
    """The tables are of a later release than this program."""


class NoTables(Exception):
    """There is no journal of this release; the message says what to do."""


def check_tables(engine: Engine) -> None:
    """
    See that the tables are of this release, and change nothing.

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
    Return whether a file of SQLite is certain to hold no journal.

    Unlike an ordinary connection this one leaves the file as it is: another program's
    is not switched to another way of writing.
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


def migrate(engine: Engine, *, to: str = "head") -> None:
    """
    Bring the tables up to this release's revision, in one transaction.

    Nothing happens when they are there already. Several processes may call it at once:
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
                raise  # its own scripts are not to be found
            raise LaterTables(_LATER) from error


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "fhir_gateway.stores:migrations")
    return config


def _lock(connection: Connection) -> None:
    # SQLite is locked by the transaction itself, which has begun as IMMEDIATE.
    if connection.dialect.name == "postgresql":
        lock_until_commit(connection, "migrations")
