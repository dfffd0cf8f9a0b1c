"""
Faults of the database, in words for the operator.

The text of a driver's error is read and never passed on: it may hold a user name, a
host or a value of a row.
"""

import re
import sqlite3
from enum import Enum
from typing import Final

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

__all__ = ["DatabaseFault", "TakesNoWrites", "database_fault"]


class TakesNoWrites(Exception):
    """The server of a new connection takes no writes."""


class DatabaseFault(Enum):
    """A fault of the database; the value says what is wrong and what to do."""

    AWAY = "the database cannot be reached; is it running?"
    NO_POSTGRESQL = "what answers there is no PostgreSQL; correct the host or the port"
    NO_SUCH_HOST = "no host of that name is known; correct the name"
    REFUSED = (
        "the server answers and refuses the connection, for a reason in its own"
        " language: see its log; is the user name, the password or the database's name"
        " wrong?"
    )
    REFUSED_LOGIN = "the database refuses the user name or the password; correct them"
    NO_SUCH_DATABASE = (
        "the server has no database of that name; create it, or correct the name"
    )
    NOT_PERMITTED = (
        "the user may not do that in the database; let it create and change tables"
    )
    NO_TLS = (
        "the connection cannot be encrypted as asked for; compare sslmode and the"
        " certificates with what the server has"
    )
    REFUSED_PARAMETER = (
        "the server, or a pooler before it, refuses a parameter of the connection;"
        " leave out what stands after the ?"
    )
    STATEMENT_POOLING = (
        "PgBouncer pools single statements, and the journal needs transactions; set its"
        " pool_mode to transaction or session"
    )
    READ_ONLY = (
        "the database takes no writes: it is a standby, or its file or its disk is read"
        " only; give the one that takes writes"
    )
    TOO_MANY_CONNECTIONS = (
        "the server has no connection left; raise its limit, or start fewer processes"
    )
    STARTING = "the server is starting or stopping; start again in a moment"
    BUSY = "others have kept the database busy for too long; start again later"
    NO_FILE = (
        "the file cannot be opened or made; see that its folder is there and that this"
        " process may write in it"
    )
    NO_DATABASE_FILE = (
        "the file is no SQLite database, or is damaged; give another one, or put back a"
        " copy"
    )
    OF_ANOTHER_PROGRAM = (
        "the file of the journal has tables of another program; give a file, or a"
        " folder, that this program alone uses"
    )
    DISK_FULL = "the disk is full; make room"

    @property
    def is_configuration(self) -> bool:
        """Return whether the fault lasts until the operator changes a setting."""
        return self in _CONFIGURATION


_CONFIGURATION: Final = frozenset(
    {
        DatabaseFault.NO_DATABASE_FILE,
        DatabaseFault.NO_FILE,
        DatabaseFault.NO_POSTGRESQL,
        DatabaseFault.NO_SUCH_HOST,
        DatabaseFault.REFUSED_LOGIN,
        DatabaseFault.NO_SUCH_DATABASE,
        DatabaseFault.NOT_PERMITTED,
        DatabaseFault.NO_TLS,
        DatabaseFault.OF_ANOTHER_PROGRAM,
        DatabaseFault.REFUSED_PARAMETER,
        DatabaseFault.STATEMENT_POOLING,
    }
)
_BY_SQLSTATE: Final = {
    "25006": DatabaseFault.READ_ONLY,
    "28000": DatabaseFault.REFUSED_LOGIN,
    "28P01": DatabaseFault.REFUSED_LOGIN,
    "3D000": DatabaseFault.NO_SUCH_DATABASE,
    "42501": DatabaseFault.NOT_PERMITTED,
    "53100": DatabaseFault.DISK_FULL,
    "53300": DatabaseFault.TOO_MANY_CONNECTIONS,
    "55P03": DatabaseFault.BUSY,
    "57014": DatabaseFault.BUSY,
    "57P03": DatabaseFault.STARTING,
}
# libpq gives no code for an error of the server while it connects. libpq's own texts
# are English; the server's are in the server's language.
_BY_TEXT: Final = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), fault)
    for pattern, fault in (
        (
            (
                r"invalid response to SSL negotiation"
                r"|expected authentication request from server"
            ),
            DatabaseFault.NO_POSTGRESQL,
        ),
        (
            (
                r"authentication failed|no password supplied|SASL authentication"
                r"|role .* does not exist|pg_hba\.conf"
                r"|no such user|auth failed"
            ),
            DatabaseFault.REFUSED_LOGIN,
        ),
        (
            r"database .* does not exist|no such database",
            DatabaseFault.NO_SUCH_DATABASE,
        ),
        (
            (
                r"(?:could not translate host name|failed to resolve host)"
                r"(?!.*temporary failure)"
            ),
            DatabaseFault.NO_SUCH_HOST,
        ),
        (
            r"transaction blocks not allowed in statement pooling mode",
            DatabaseFault.STATEMENT_POOLING,
        ),
        (
            (
                r"unsupported startup parameter|unrecognized configuration parameter"
                r"|invalid (?:value|command-line argument|connection option)"
                r"|invalid .* value|invalid integer value"
            ),
            DatabaseFault.REFUSED_PARAMETER,
        ),
        (
            (
                r"too many (?:connections|clients)|remaining connection slots"
                r"|no more connections allowed"
            ),
            DatabaseFault.TOO_MANY_CONNECTIONS,
        ),
        (
            r"database system is (?:starting|shutting|in recovery|not yet)",
            DatabaseFault.STARTING,
        ),
        (
            r"session is (?:read-only|not read-write)|server is in hot standby mode",
            DatabaseFault.READ_ONLY,
        ),
        (
            (
                r"certificate|does not support SSL|SSL error|sslmode|root\.crt"
                r"|private key"
            ),
            DatabaseFault.NO_TLS,
        ),
    )
)
# libpq writes an error of the server as "SEVERITY:  message", with two blanks. None of
# its own texts has that form.
_SAID_BY_SERVER: Final = re.compile(r"^(?:.* failed: )?[^\s:]+:  \S", re.MULTILINE)
_OF_SQLITE: Final = {
    sqlite3.SQLITE_BUSY: DatabaseFault.BUSY,
    sqlite3.SQLITE_LOCKED: DatabaseFault.BUSY,
    sqlite3.SQLITE_READONLY: DatabaseFault.READ_ONLY,
    sqlite3.SQLITE_CANTOPEN: DatabaseFault.NO_FILE,
    sqlite3.SQLITE_PERM: DatabaseFault.NO_FILE,
    sqlite3.SQLITE_AUTH: DatabaseFault.NO_FILE,
    sqlite3.SQLITE_IOERR: DatabaseFault.NO_FILE,
    sqlite3.SQLITE_NOTADB: DatabaseFault.NO_DATABASE_FILE,
    sqlite3.SQLITE_CORRUPT: DatabaseFault.NO_DATABASE_FILE,
    sqlite3.SQLITE_FULL: DatabaseFault.DISK_FULL,
}
# The last byte of SQLite's extended result code is the primary code.
_PRIMARY: Final = 0xFF


def database_fault(error: BaseException) -> DatabaseFault:
    """Return the fault behind an error; `AWAY` when it is not known."""
    if isinstance(error, TakesNoWrites):
        return DatabaseFault.READ_ONLY
    if isinstance(error, PoolTimeoutError):
        return DatabaseFault.BUSY
    original = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(original, sqlite3.Error):
        number = getattr(original, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        return _OF_SQLITE.get(number & _PRIMARY, DatabaseFault.AWAY)
    code = getattr(original, "sqlstate", None) or ""
    fault = _BY_SQLSTATE.get(code) or _by_text(str(original))
    # What has an SQLSTATE is the answer to a statement: that server lets us in.
    return DatabaseFault.AWAY if code and fault is DatabaseFault.REFUSED else fault


def _by_text(text: str) -> DatabaseFault:
    for pattern, fault in _BY_TEXT:
        if pattern.search(text):
            return fault
    if _SAID_BY_SERVER.search(text):
        return DatabaseFault.REFUSED
    return DatabaseFault.AWAY
