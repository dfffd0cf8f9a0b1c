"""
Migrations of the journal's tables, by Alembic, run by the program itself at start.

A new revision is a module in `versions/`, written so that the release before it can go
on working on the tables that it leaves: during a roll-out both run.
"""

import threading
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine

from fhir_gateway.stores.database import lock_until_commit, unhurried

__all__ = ["LaterTables", "migrate"]

# Alembic keeps the migration that is running in module globals, so two threads of one
# process cannot run one each.
_ONE_AT_A_TIME: Final = threading.Lock()


class LaterTables(Exception):
    """The tables are of a later release than this program."""


def migrate(engine: Engine) -> None:
    """
    Bring the tables up to this release's revision, in one transaction.

    Nothing happens when they are there already. Several processes may call it at once:
    one migrates and the others wait.

    Raises:
        LaterTables: The tables are of a later release than this one.
        DatabaseUnavailable: The database cannot be reached.
    """
    with _ONE_AT_A_TIME, unhurried(engine) as connection:
        _lock(connection)
        config = Config()
        config.set_main_option("script_location", "fhir_gateway.stores:migrations")
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise LaterTables(
                "the database belongs to a later release of this program: install that"
            ) from error


def _lock(connection: Connection) -> None:
    # SQLite is locked by the transaction itself, which has begun as IMMEDIATE.
    if connection.dialect.name == "postgresql":
        lock_until_commit(connection, "migrations")
