"""
The SQL database behind the journal: SQLite or PostgreSQL, used in the same way.

Every write is one transaction that has reached the disk when it returns. On SQLite
that means WAL with `synchronous=FULL` and `BEGIN IMMEDIATE`; on PostgreSQL
`synchronous_commit=on`.
"""

import hashlib
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, Final

from sqlalchemy import (
    Connection,
    Double,
    Engine,
    create_engine,
    event,
    func,
    select,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    ProgrammingError,
)
from sqlalchemy.exc import (
    TimeoutError as PoolTimeoutError,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from fhir_gateway.model.errors import Category, GatewayError

__all__ = [
    "Database",
    "DatabaseUnavailable",
    "WrongDatabase",
    "at_the_border",
    "database_clock",
    "lock_until_commit",
]

_READING: Final = "fhir_gateway_reading"
_LOCK_WAIT_S: Final = 30
_POOL_WAIT_S: Final = 10
_CONNECT_TIMEOUT_S: Final = 5


class WrongDatabase(ValueError):
    """The URL of a database has the wrong form; the message does not repeat it."""


class DatabaseUnavailable(GatewayError):
    """
    The database cannot be reached, or was too busy to answer in time.

    It is deliberately no `Unavailable`: that one promises that nothing was sent to a
    region, and this one promises nothing. Whether the transaction took place is unknown
    too, since the connection may have been lost after the commit.
    """

    category: ClassVar[Category] = Category.UNAVAILABLE


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
            `postgresql://user:password@host/database`.

    Raises:
        WrongDatabase: The URL has another form.
    """

    __slots__ = ("engine",)

    engine: Engine

    def __init__(self, url: str) -> None:
        self.engine = _engine(_parsed(url))

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
        with at_the_border(), self.engine.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close the connections that are not in use; the next use opens new ones."""
        self.engine.dispose()


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
    """Tell of a database that cannot be reached in the program's own words."""
    try:
        yield
    except (DataError, IntegrityError, ProgrammingError):
        # These say that the program is wrong, not that the database is away.
        raise
    except (DBAPIError, PoolTimeoutError) as error:
        raise DatabaseUnavailable(
            "The booking journal cannot be reached just now; ask again later."
        ) from error


def _parsed(text: str) -> URL:
    try:
        url = make_url(text)
    except ArgumentError:
        raise WrongDatabase(_expectation("it is not a URL")) from None
    match url.drivername:
        case "sqlite":
            if not url.database or url.database == ":memory:":
                raise WrongDatabase(
                    _expectation(
                        "a database in memory is lost with the process, and bookings"
                        " must not be"
                    )
                )
            return url
        case "postgresql" | "postgresql+psycopg":
            return url.set(drivername="postgresql+psycopg")
        case _:
            raise WrongDatabase(_expectation("its scheme is neither of these"))


def _expectation(reason: str) -> str:
    return (
        "not a database URL: expected sqlite:///path or"
        f" postgresql://user:password@host/database, but {reason}"
    )


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        engine = create_engine(
            url,
            hide_parameters=True,
            pool_size=10,
            max_overflow=20,
            pool_timeout=_POOL_WAIT_S,
            connect_args={"timeout": _LOCK_WAIT_S},
        )
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    engine = create_engine(
        url,
        # An error's text is logged; the values in it may not be.
        hide_parameters=True,
        pool_size=10,
        max_overflow=20,
        pool_timeout=_POOL_WAIT_S,
        # One round trip each time buys that a restarted server costs no request.
        pool_pre_ping=True,
        connect_args={"connect_timeout": _CONNECT_TIMEOUT_S},
    )
    event.listen(engine, "connect", _prepare_postgresql)
    return engine


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
    give_up_at = time.monotonic() + _LOCK_WAIT_S
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


def _prepare_postgresql(
    connection: DBAPIConnection, _entry: ConnectionPoolEntry
) -> None:
    cursor = connection.cursor()
    # A server, a database or a role may have turned it off; the journal's promises
    # rest on it.
    cursor.execute("SET synchronous_commit = on")
    cursor.execute(f"SET lock_timeout = '{_LOCK_WAIT_S}s'")
    cursor.close()
    connection.commit()
