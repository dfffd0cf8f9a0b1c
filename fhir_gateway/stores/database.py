"""
The SQL database behind the journal: SQLite or PostgreSQL, used in the same way.

Every write is one transaction that has reached the disk when it returns. On SQLite
that means WAL with `synchronous=FULL` and `BEGIN IMMEDIATE`. On PostgreSQL it means
`synchronous_commit=on`, set anew in each transaction: behind PgBouncer all clients
share the sessions, so nothing here relies on an earlier setting of a session.

The module has over 400 lines since the code for SQLite stands beside that for
PostgreSQL: who changes one checks the other.

While the database hangs, is down or takes no writes, everything here fails with
`DatabaseUnavailable`, within the times that docs/configuration.md lists.
"""

import hashlib
import os
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final

from sqlalchemy import (
    Connection,
    Double,
    Engine,
    create_engine,
    event,
    func,
    select,
)
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InvalidatePoolError,
    ProgrammingError,
)
from sqlalchemy.exc import (
    TimeoutError as PoolTimeoutError,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from fhir_gateway.model.errors import Category, GatewayError
from fhir_gateway.model.private_file import opener, take_rights_away
from fhir_gateway.stores.database_fault import (
    DatabaseFault,
    TakesNoWrites,
    database_fault,
)
from fhir_gateway.stores.database_url import DatabaseUrl, WrongDatabase, database_url
from fhir_gateway.stores.deadline import Deadlines

__all__ = [
    "Database",
    "DatabaseUnavailable",
    "Patience",
    "WrongDatabase",
    "database_clock",
    "lock_until_commit",
    "translated_errors",
    "writing_without_timeout",
]

_READING: Final = "fhir_gateway_reading"
_NO_TIMEOUT: Final = "fhir_gateway_no_timeout"
_SOCKET: Final = "fhir_gateway_socket"
_FRESH: Final = "fhir_gateway_fresh"
_TAKES_WRITES: Final = "fhir_gateway_takes_writes"

# These are faults of the program, unless their text shows a wrong setup of the server.
_OF_THE_PROGRAM: Final = (DataError, IntegrityError, ProgrammingError)

# libpq's names: the kernel reports a lost machine within some ten seconds.
_TCP: Final = {
    "keepalives": "1",
    "keepalives_idle": "10",
    "keepalives_interval": "3",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """
    Timeouts of a database in seconds; docs/configuration.md has a row for each.

    Attributes:
        connection: For a free connection of the pool.
        connect: For connecting to each host; libpq waits two at least.
        ping: For the check of a pooled connection before each use.
        lock: For a lock; SQLite has one lock only.
        statement: For one statement, by the server's clock.
        idle: Between two statements, by the server's clock.
        transaction: For a whole transaction.
    """

    connection: float = 5
    connect: int = 5
    ping: float = 5
    lock: float = 10
    statement: float = 10
    idle: float = 15
    transaction: float = 15


PATIENCE: Final = Patience()


class DatabaseUnavailable(GatewayError):
    """
    The database cannot be reached, takes no writes, or did not answer in time.

    It is no `Unavailable`, which promises that nothing was sent to a region: this error
    promises nothing. The transaction may have been committed, since the connection may
    have been lost after the commit.

    Attributes:
        fault: What is wrong and what to do about it, for the operator.
    """

    category: ClassVar[Category] = Category.UNAVAILABLE

    def __init__(
        self, message: str, *, fault: DatabaseFault = DatabaseFault.AWAY
    ) -> None:
        super().__init__(message)
        self.fault = fault

    @property
    def log_text(self) -> str:
        """Return what is wrong with the database; clients do not see it."""
        return self.fault.value


class database_clock(FunctionElement[float]):  # noqa: N801 - reads as an SQL function
    """
    The database's own clock as an SQL expression: seconds since 1970, with a fraction.

    Only this clock decides about leases, since the clocks of several servers differ.
    """

    inherit_cache = True
    type = Double()


@compiles(database_clock, "sqlite")
def _sqlite_clock(
    element: database_clock,  # noqa: ARG001 - the signature is SQLAlchemy's
    compiler: SQLCompiler,  # noqa: ARG001 - same
    **_options: object,
) -> str:
    # unixepoch('now', 'subsec') gives the same, but needs SQLite 3.42; Debian 12 has
    # 3.40.
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(database_clock, "postgresql")
def _postgresql_clock(
    element: database_clock,  # noqa: ARG001 - the signature is SQLAlchemy's
    compiler: SQLCompiler,  # noqa: ARG001 - same
    **_options: object,
) -> str:
    # now() is the start of the transaction, which is before a wait for a lock.
    return "CAST(extract(epoch FROM clock_timestamp()) AS double precision)"


class Database:
    """
    A database and its pool of connections; safe to share between threads.

    The first use opens a connection, and fails when the database cannot be reached. Do
    not carry one over a fork.

    Args:
        url: `sqlite:///relative/path`, `sqlite:////absolute/path` or
            `postgresql://user:password@host/database`, also with several hosts.
        patience: The timeouts.

    Raises:
        WrongDatabase: The URL has another form, or its driver is not installed.
    """

    __slots__ = ("engine",)

    engine: Engine

    def __init__(self, url: str, *, patience: Patience = PATIENCE) -> None:
        self.engine = _engine(database_url(url), patience)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.engine.url!r})"

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """
        Open a transaction that only reads; it waits for no lock.

        Raises:
            DatabaseUnavailable: The database cannot be reached.
        """
        with translated_errors(), self.engine.connect() as connection:
            connection.execution_options(**{_READING: True})
            with connection.begin():
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """
        Open a transaction; commit it to the disk when the block ends without an error.

        Raises:
            DatabaseUnavailable: The database cannot be reached, or other writers locked
                it for too long.
        """
        with (
            translated_errors(),
            self.engine.connect() as connection,
            connection.begin(),
        ):
            yield connection

    def close(self) -> None:
        """Close the connections that are not in use; the next use opens new ones."""
        self.engine.dispose()


@contextmanager
def writing_without_timeout(engine: Engine) -> Iterator[Connection]:
    """
    Open a writing transaction without a timeout, for a migration.

    Raises:
        DatabaseUnavailable: The database cannot be reached.
    """
    with translated_errors(), engine.connect() as connection:
        connection.execution_options(**{_NO_TIMEOUT: True})
        with connection.begin():
            yield connection


def lock_until_commit(connection: Connection, *names: str) -> None:
    """
    Take the locks of some names, after a wait if need be, until the transaction ends.

    The server sees a hash of each name, shows it in `pg_locks`, and may log it: a name
    that holds anything personal must be a keyed hash itself (`Seal.lookups`). Give all
    of these hashes: while keys change, two processes have at least one key in common.
    SQLite needs no such lock: it has one writer at a time.
    """
    if connection.dialect.name == "postgresql":
        # In one order everywhere: else two transactions could wait for each other.
        keys = sorted(map(_lock_key, names))
        connection.execute(select(*map(func.pg_advisory_xact_lock, keys)))


def _lock_key(name: str) -> int:
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)


@contextmanager
def translated_errors() -> Iterator[None]:
    """Raise the driver's errors about an unusable database as `DatabaseUnavailable`."""
    try:
        yield
    except (DBAPIError, PoolTimeoutError, TakesNoWrites) as error:
        fault = database_fault(error)
        if isinstance(error, _OF_THE_PROGRAM) and fault is DatabaseFault.AWAY:
            raise
        raise DatabaseUnavailable(
            "The booking journal cannot be reached just now; ask again later.",
            fault=fault,
        ) from error


def _engine(database: DatabaseUrl, patience: Patience) -> Engine:
    if database.url.get_backend_name() == "sqlite":
        engine = create_engine(
            database.url,
            # An error's text is logged, but the values in it may not be.
            hide_parameters=True,
            pool_size=10,
            max_overflow=20,
            pool_timeout=patience.connection,
            connect_args={"timeout": patience.lock},
        )
        event.listen(engine, "do_connect", partial(_keep_private, database))
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    engine = create_engine(
        database.url,
        hide_parameters=True,
        pool_size=10,
        max_overflow=20,
        pool_timeout=patience.connection,
        connect_args={
            "connect_timeout": patience.connect,
            **_TCP,
            **database.arguments,
            # A prepared statement belongs to a session.
            "prepare_threshold": None,
            # `_begin` sends BEGIN itself, with the settings of the transaction.
            "autocommit": True,
        },
    )
    _PostgresqlConnections(patience).listen(engine)
    return engine


# One message and one round trip: psycopg's own BEGIN would need another.
_BEGIN: Final = "BEGIN; SET LOCAL synchronous_commit = on;"


class _PostgresqlConnections:
    """
    Checks the connections of a pool, and sets their deadlines.

    Before each use it asks the server whether it takes writes. This costs one round
    trip, and saves the request after a restart or a failover of the server. If the
    server takes no writes, the pool drops all its connections, and a new one finds the
    new primary. While there is no primary, readers go on.
    """

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._deadlines = Deadlines()
        self._begin_in_time = "".join(
            [
                _BEGIN,
                f"SET LOCAL lock_timeout = {_milliseconds(patience.lock)};",
                f"SET LOCAL statement_timeout = {_milliseconds(patience.statement)};",
                (
                    "SET LOCAL idle_in_transaction_session_timeout ="
                    f" {_milliseconds(patience.idle)};"
                ),
            ]
        )

    def listen(self, engine: Engine) -> None:
        event.listen(engine, "connect", self._on_connect)
        event.listen(engine, "checkout", self._on_checkout)
        event.listen(engine, "checkin", self._on_checkin)
        event.listen(engine, "close", self._on_close)
        event.listen(engine, "begin", self._begin)
        event.listen(engine, "handle_error", _on_error)

    def _on_connect(self, connection: Any, entry: ConnectionPoolEntry) -> None:  # noqa: ANN401 - psycopg's, which is an extra
        # A duplicate: libpq's own descriptor may soon belong to another connection.
        entry.info[_SOCKET] = socket.socket(fileno=os.dup(connection.pgconn.socket))
        entry.info[_FRESH] = True

    def _on_checkout(
        self,
        connection: DBAPIConnection,
        entry: ConnectionPoolEntry,
        _proxy: PoolProxiedConnection,
    ) -> None:
        is_fresh = entry.info.pop(_FRESH, False)
        self._deadlines.watch(entry.info[_SOCKET], self._patience.ping)
        try:
            takes_writes = _takes_writes(connection)
        except Exception as error:
            if is_fresh:
                raise
            # SQLAlchemy drops all connections of that age, and opens a new one.
            raise InvalidatePoolError from error
        if not takes_writes and not is_fresh:
            raise InvalidatePoolError
        # There is no primary: a new connection without writes still serves readers.
        entry.info[_TAKES_WRITES] = takes_writes
        self._deadlines.watch(entry.info[_SOCKET], self._patience.transaction)

    def _on_checkin(self, _: object, entry: ConnectionPoolEntry) -> None:
        if _SOCKET in entry.info:
            self._deadlines.release(entry.info[_SOCKET])

    def _on_close(self, _: object, entry: ConnectionPoolEntry) -> None:
        own: socket.socket | None = entry.info.pop(_SOCKET, None)
        if own is not None:
            self._deadlines.release(own)
            own.close()

    def _begin(self, connection: Connection) -> None:
        options = connection.get_execution_options()
        info = connection.connection.info
        if not info[_TAKES_WRITES] and not options.get(_READING, False):
            raise TakesNoWrites
        if options.get(_NO_TIMEOUT, False):
            self._deadlines.release(info[_SOCKET])
            connection.exec_driver_sql(_BEGIN)
        else:
            connection.exec_driver_sql(self._begin_in_time)


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _takes_writes(connection: DBAPIConnection) -> bool:
    cursor = connection.cursor()
    cursor.execute("SHOW transaction_read_only")
    row = cursor.fetchone()
    cursor.close()
    return row is not None and row[0] == "off"


def _on_error(context: ExceptionContext) -> None:
    """Drop all connections of the pool when an error shows that none can be used."""
    if database_fault(context.original_exception) in (
        DatabaseFault.READ_ONLY,
        DatabaseFault.STATEMENT_POOLING,
    ):
        context.is_disconnect = True


def _keep_private(database: DatabaseUrl, *_: object) -> None:
    """Make SQLite's file for its owner only; SQLite gives its WAL the same rights."""
    name = database.url.database
    if not name or database.url.query.get("uri"):
        return
    # SQLite itself reports a folder that is absent or read-only. An existing file stays
    # closed: its end would take this process's locks away (fcntl, POSIX).
    with suppress(OSError):
        os.close(opener(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    for suffix in ("", "-wal", "-shm"):
        take_rights_away(Path(name + suffix))


def _prepare_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    # The driver would begin transactions itself, late and deferred. Two writers that
    # both read first would then fail instead of waiting for each other.
    connection.isolation_level = None
    cursor = connection.cursor()
    _switch_to_wal(cursor)
    # WAL's default in some builds is NORMAL, which loses the last commits in a power
    # cut: a booking that was sent would be unknown to us.
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _switch_to_wal(cursor: DBAPICursor) -> None:
    # Only the first connection to a new file switches. When several processes are the
    # first at once, SQLite answers "locked" to all but one without waiting, since each
    # holds what the others wait for; those try again.
    give_up_at = time.monotonic() + PATIENCE.lock
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:  # pragma: no cover - a race
            is_locked = error.sqlite_errorcode == sqlite3.SQLITE_BUSY
            if not is_locked or time.monotonic() > give_up_at:
                raise
            time.sleep(0.01)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    reading = connection.get_execution_options().get(_READING, False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
