"""
Migrations of the journal's tables, by Alembic, run by the program itself at start.

A new revision is a module in `versions/`, written so that the release before it can go
on working on the tables that it leaves: during a roll-out both run.
"""

import threading
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine

from fhir_gateway.stores.database import lock_until_commit

__all__ = ["migrate"]

# Alembic keeps the migration that is running in module globals, so two threads of one
# process cannot run one each.
_ONE_AT_A_TIME: Final = threading.Lock()


def migrate(engine: Engine) -> None:
    """
    Bring the tables up to this release's revision, in one transaction.

    Nothing happens when they are there already. Several processes may call it at once:
    one migrates and the others wait.

    Raises:
        alembic.util.CommandError: The tables are of a later release than this one.
    """
    with _ONE_AT_A_TIME, engine.begin() as connection:
        _lock(connection)
        config = Config()
        config.set_main_option("script_location", "fhir_gateway.stores:migrations")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _lock(connection: Connection) -> None:
    # SQLite is locked by the transaction itself, which has begun as IMMEDIATE.
    if connection.dialect.name == "postgresql":
        # Another process may have a long migration to do: wait for it as long as it
        # takes.
        connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
        lock_until_commit(connection, "migrations")
