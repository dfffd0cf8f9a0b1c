"""
The SQL database behind the journal: SQLite or PostgreSQL, used in the same way.

Every write is one transaction that has reached the disk when it returns. On SQLite
that means WAL with `synchronous=FULL` and `BEGIN IMMEDIATE`; on PostgreSQL
`synchronous_commit=on`, said anew in each transaction: behind PgBouncer a session is
anybody's, so nothing here rests on what a session was told before.

What SQLite and PostgreSQL need stands side by side, in over 400 lines: a change of one
is checked against the other.

A database that hangs, is away, or takes no writes makes everything here fail with
`DatabaseUnavailable`, within the times that docs/configuration.md lists.
"""

import hashlib
import os
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
    "at_the_border",
    "database_clock",
    "lock_until_commit",
    "unhurried",
]

_READING: Final = "fhir_gateway_reading"
_UNHURRIED: Final = "fhir_gateway_unhurried"
_SOCKET: Final = "fhir_gateway_socket"
_FRESH: Final = "fhir_gateway_fresh"
_TAKES_WRITES: Final = "fhir_gateway_takes_writes"

# These say that the program is wrong, unless they say that a server is set up wrongly.
_OF_THE_PROGRAM: Final = (DataError, IntegrityError, ProgrammingError)

# libpq's names: of a machine that is away the kernel tells within some ten seconds.
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
    How many seconds a database may take; docs/configuration.md has a row for each.

    Attributes:
        connection: For a free connection of the pool.
        connect: For each host to be connected to; libpq takes two at least.
        ping: For the question with which each loan of a connection begins.
        lock: For a lock; on SQLite, for the one lock that there is.
        statement: For one statement, as the server counts.
        idle: Between two statements, as the server counts.
        transaction: For a whole transaction, whatever hangs.
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

    It is deliberately no `Unavailable`: that one promises that nothing was sent to a
    region, and this one promises nothing. Whether the transaction took place is unknown
    too, since the connection may have been lost after the commit.

    Attributes:
        fault: What is wrong and what to do about it, for who runs the server.
    """

    category: ClassVar[Category] = Category.UNAVAILABLE

    def __init__(
        self, message: str, *, fault: DatabaseFault = DatabaseFault.AWAY
    ) -> None:
        super().__init__(message)
        self.fault = fault

    @property
    def log_text(self) -> str:
        """Return what is wrong with the database, which is no client's business."""
        return self.fault.value


class database_clock(FunctionElement[float]):  # noqa: N801 - reads as an SQL function
    """
    The database's own clock as an SQL expression: seconds since 1970, with a fraction.

    Leases are compared by it alone, since the clocks of several servers differ.
    """

    inherit_cache = True
    type = Double()


@compiles(database_clock, "sqlite")
def _sqlite_clock(
    element: database_clock,  # noqa: ARG001 - the signature is SQLAlchemy's
    compiler: SQLCompiler,  # noqa: ARG001 - same
    **_options: object,
) -> str:
    # unixepoch('now', 'subsec') would say the same, but came with SQLite 3.42 and
    # Debian 12 has 3.40.
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(database_clock, "postgresql")
def _postgresql_clock(
    element: database_clock,  # noqa: ARG001 - the signature is SQLAlchemy's
    compiler: SQLCompiler,  # noqa: ARG001 - same
    **_options: object,
) -> str:
    # now() stands still from the start of the transaction, that is from before a wait
    # for a lock.
    return "CAST(extract(epoch FROM clock_timestamp()) AS double precision)"


class Database:
    """
    A database and its pool of connections; safe to share between threads.

    Connections are made when first needed, so an unreachable database is found out by
    the first use. Do not carry one over a fork.

    Args:
        url: `sqlite:///relative/path`, `sqlite:////absolute/path` or
            `postgresql://user:password@host/database`, also with several hosts.
        patience: How long it may take.

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
        Open a transaction that only reads; it waits for nobody.

        Raises:
            DatabaseUnavailable: The database cannot be reached.
        """
        with at_the_border(), self.engine.connect() as connection:
            connection.execution_options(**{_READING: True})
            with connection.begin():
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """
        Open a transaction that is committed, lastingly, when the block ends well.

        Raises:
            DatabaseUnavailable: The database cannot be reached, or other writers kept
                it for too long.
        """
        with (
            at_the_border(),
            self.engine.connect() as connection,
            connection.begin(),
        ):
            yield connection

    def close(self) -> None:
        """Close the connections that are not in use; the next use opens new ones."""
        self.engine.dispose()


@contextmanager
def unhurried(engine: Engine) -> Iterator[Connection]:
    """
    Open a writing transaction that may take as long as it needs, as a migration does.

    Raises:
        DatabaseUnavailable: The database cannot be reached.
    """
    with at_the_border(), engine.connect() as connection:
        connection.execution_options(**{_UNHURRIED: True})
        with connection.begin():
            yield connection


def lock_until_commit(connection: Connection, name: str) -> None:
    """
    Wait until no other transaction holds the lock of that name; hold it till the end.

    SQLite needs none: it has one writer at a time.
    """
    if connection.dialect.name == "postgresql":
        digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
        key = int.from_bytes(digest, signed=True)
        connection.execute(select(func.pg_advisory_xact_lock(key)))


@contextmanager
def at_the_border() -> Iterator[None]:
    """Tell of a database that cannot be used in the program's own words."""
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
            # An error's text is logged; the values in it may not be.
            hide_parameters=True,
            pool_size=10,
            max_overflow=20,
            pool_timeout=patience.connection,
            connect_args={"timeout": patience.lock},
        )
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
            # BEGIN is ours to say: with what each transaction needs, in one go.
            "autocommit": True,
        },
    )
    _PostgresqlConnections(patience).listen(engine)
    return engine


# One message, and one round trip: psycopg's own BEGIN would be another.
_BEGIN: Final = "BEGIN; SET LOCAL synchronous_commit = on;"


class _PostgresqlConnections:
    """
    Looks after the connections of a pool.

    One that is lent is asked first whether its server takes writes: one round trip buys
    that neither a restarted server nor a failover costs a request. Where it does not,
    every connection of the pool is dropped, and a new one finds the new primary; where
    there is none, readers go on.
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
        event.listen(engine, "connect", self._connected)
        event.listen(engine, "checkout", self._lent)
        event.listen(engine, "checkin", self._given_back)
        event.listen(engine, "close", self._closed)
        event.listen(engine, "begin", self._begin)
        event.listen(engine, "handle_error", _judge)

    def _connected(self, connection: Any, entry: ConnectionPoolEntry) -> None:  # noqa: ANN401 - psycopg's, which is an extra
        # Of our own: the number of libpq's may be another connection's a moment later.
        entry.info[_SOCKET] = socket.socket(fileno=os.dup(connection.pgconn.socket))
        entry.info[_FRESH] = True

    def _lent(
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
            # SQLAlchemy drops all that are as old, and lends a fresh one.
            raise InvalidatePoolError from error
        if not takes_writes and not is_fresh:
            raise InvalidatePoolError
        # A fresh one that takes no writes is the best there is: it serves readers.
        entry.info[_TAKES_WRITES] = takes_writes
        self._deadlines.watch(entry.info[_SOCKET], self._patience.transaction)

    def _given_back(self, _: object, entry: ConnectionPoolEntry) -> None:
        if _SOCKET in entry.info:
            self._deadlines.release(entry.info[_SOCKET])

    def _closed(self, _: object, entry: ConnectionPoolEntry) -> None:
        own: socket.socket | None = entry.info.pop(_SOCKET, None)
        if own is not None:
            self._deadlines.release(own)
            own.close()

    def _begin(self, connection: Connection) -> None:
        options = connection.get_execution_options()
        info = connection.connection.info
        if not info[_TAKES_WRITES] and not options.get(_READING, False):
            raise TakesNoWrites
        if options.get(_UNHURRIED, False):
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


def _judge(context: ExceptionContext) -> None:
    """Drop every connection of a pool where an error shows that none is of use."""
    if database_fault(context.original_exception) in (
        DatabaseFault.READ_ONLY,
        DatabaseFault.STATEMENT_POOLING,
    ):
        context.is_disconnect = True


def _prepare_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    # The driver would begin transactions by itself, late and deferred; two writers that
    # both began by reading would then fail instead of waiting for each other.
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
