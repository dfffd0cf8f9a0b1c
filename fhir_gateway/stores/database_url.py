"""
The URL of a database: SQLite's file, or PostgreSQL's servers with all their hosts.

PostgreSQL 17, section 34.1.1.2: Connection URIs.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, quote

from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from fhir_gateway.model.regular_file import fault_of_file
from fhir_gateway.stores.server_url import ServerUrl, WrongUrl, server_url

__all__ = [
    "DatabaseUrl",
    "WrongDatabase",
    "database_url",
    "sqlite_file",
    "sqlite_url",
]

_POSTGRESQL: Final = frozenset({"postgres", "postgresql", "postgresql+psycopg"})
_SQLITE: Final = "sqlite"
# The driver's parameters; with `uri=true` SQLite itself reads the others.
_SQLITE_PARAMETERS: Final = frozenset(
    {"timeout", "isolation_level", "detect_types", "cached_statements", "uri"}
)
_SQLITE_URI_PARAMETERS: Final = frozenset(
    {"cache", "immutable", "mode", "modeof", "nolock", "psow", "vfs"}
)
_NUL: Final = "%00"
_DRIVER: Final = "postgresql+psycopg"
_EXPECTED: Final = "expected sqlite:///path or postgresql://user:password@host/database"
# The values that libpq takes; it reports a wrong one only when it connects.
_CHOICES: Final[Mapping[str, frozenset[str]]] = {
    "sslmode": frozenset(
        {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}
    ),
    # A server that cannot be written to is of no use to a journal.
    "target_session_attrs": frozenset({"read-write", "primary"}),
    "channel_binding": frozenset({"disable", "prefer", "require"}),
    "gssencmode": frozenset({"disable", "prefer", "require"}),
    "load_balance_hosts": frozenset({"disable", "random"}),
}
_WHOLE_NUMBERS: Final = frozenset(
    {
        "connect_timeout",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "port",
        "tcp_user_timeout",
    }
)
_FILES: Final = frozenset({"sslcert", "sslkey", "sslrootcert", "sslcrl"})
# libpq's name for the certificate authorities of the system.
_SYSTEM: Final = "system"
_NUMBER: Final = re.compile(r"[0-9]{1,6}")


class WrongDatabase(ValueError):
    """
    The URL of a database has the wrong form; the message does not repeat it.

    Attributes:
        faults: One sentence each.
    """

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(self.faults))


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseUrl:
    """
    A database that can be used.

    Attributes:
        url: As SQLAlchemy takes it; its text and `repr` mask the password.
        arguments: Further arguments for the driver, such as all hosts.
    """

    url: URL
    arguments: Mapping[str, Any]


def database_url(text: str) -> DatabaseUrl:
    """
    Return the database that a URL names.

    Raises:
        WrongDatabase: The URL names no usable database; every fault is named.
    """
    scheme = text.partition(":")[0].lower()
    if scheme == _SQLITE:
        return DatabaseUrl(url=_sqlite(text), arguments={})
    if scheme not in _POSTGRESQL:
        raise WrongDatabase([f"is no URL of a database that can be used: {_EXPECTED}"])
    try:
        parsed = server_url(text)
    except WrongUrl as error:
        raise WrongDatabase(error.faults) from None
    return _postgresql(parsed)


def sqlite_file(text: str) -> Path | None:
    """
    Return the file that a URL names; None where it is no plain SQLite file.

    Raises:
        WrongDatabase: The URL names no usable database.
    """
    url = database_url(text).url
    if url.get_backend_name() != "sqlite" or not url.database or url.query.get("uri"):
        return None
    return Path(url.database)


def sqlite_url(file: Path) -> str:
    """Return the URL of a SQLite file, with the special characters of URLs escaped."""
    return f"{_SQLITE}:///{quote(str(file))}"


def _sqlite(text: str) -> URL:
    scheme, _, rest = text.partition(":")
    if _NUL in text:
        raise WrongDatabase(["has a %00 in it: no name of a file has a NUL"])
    try:
        # SQLAlchemy compares the scheme's case.
        url = make_url(f"{scheme.lower()}:{rest}")
    except (ArgumentError, ValueError, TypeError):
        raise WrongDatabase([f"is no URL of a SQLite file: {_EXPECTED}"]) from None
    if faults := list(_sqlite_faults(rest.partition("?")[2])):
        raise WrongDatabase(faults)
    try:
        # This opens nothing: it only reads the driver's arguments.
        SQLiteDialect_pysqlite().create_connect_args(url)
    except (ArgumentError, ValueError, TypeError):
        raise WrongDatabase([f"is no URL of a SQLite file: {_EXPECTED}"]) from None
    is_in_memory = not url.database or ":memory:" in url.database
    if is_in_memory or url.query.get("mode") == "memory":
        raise WrongDatabase(
            [
                (
                    "means a database in memory, which is lost with the process, and"
                    f" bookings must not be: {_EXPECTED}"
                )
            ]
        )
    return url


def _sqlite_faults(text: str) -> Iterator[str]:
    # SQLAlchemy drops a parameter without a value, and so a part of a file's name.
    query = parse_qsl(text, keep_blank_values=True)
    names = [name for name, _ in query]
    known = _SQLITE_PARAMETERS
    if dict(query).get("uri"):
        known |= _SQLITE_URI_PARAMETERS
    if unknown := [name for name in dict.fromkeys(names) if name not in known]:
        yield (
            "has a parameter after its ? that SQLite's driver does not know,"
            f" {', '.join(unknown)}: write %3F for a ? in the name of the file"
        )
    if empty := [name for name, value in query if name in known and not value]:
        yield f"has a parameter without a value after its ?, {', '.join(empty)}"
    if len(set(names)) != len(names):
        yield "has a parameter twice"


def _postgresql(parsed: ServerUrl) -> DatabaseUrl:
    query = dict(parsed.query)
    faults = list(_faults(query))
    if len(query) != len(parsed.query):
        faults.append("has a parameter twice: list hosts as host1:port1,host2:port2")
    if faults:
        raise WrongDatabase(faults)
    hosts = parsed.hosts
    arguments: dict[str, Any] = dict(query)
    # libpq takes these at two places. At this one SQLAlchemy masks the password.
    username = arguments.pop("user", None) or parsed.username
    password = arguments.pop("password", None) or parsed.password
    database = arguments.pop("dbname", None) or parsed.path.removeprefix("/")
    if len(hosts) > 1:
        arguments["host"] = ",".join(host.name for host in hosts)
        arguments["port"] = ",".join(str(host.port or "") for host in hosts)
        # With several hosts the journal needs the one that takes writes.
        arguments.setdefault("target_session_attrs", "read-write")
    return DatabaseUrl(
        url=URL.create(
            _DRIVER,
            username=username,
            password=password,
            host=hosts[0].name if len(hosts) == 1 else None,
            port=hosts[0].port if len(hosts) == 1 else None,
            database=database or None,
        ),
        arguments=arguments,
    )


def _faults(query: Mapping[str, str]) -> Iterator[str]:
    known = _libpq_options()
    for name, value in query.items():
        if name not in known:
            # Without the name: it may be the rest of an unescaped password.
            yield (
                "has a parameter after its ? that libpq does not know (PostgreSQL,"
                " Parameter Key Words)"
            )
        elif name in _CHOICES and value not in _CHOICES[name]:
            listed = ", ".join(sorted(_CHOICES[name]))
            yield f"has a wrong {name}: expected one of {listed}"
        elif name in _WHOLE_NUMBERS and not all(
            _NUMBER.fullmatch(each) for each in value.split(",")
        ):
            yield f"has a wrong {name}: expected a whole number"
        elif name in _FILES and value != _SYSTEM and (fault := fault_of_file(value)):
            yield f"names a file in {name} that {fault}"


def _libpq_options() -> frozenset[str]:
    """Return what libpq knows, where it is installed."""
    try:
        from psycopg import pq  # noqa: PLC0415 - an extra, which SQLite does without
    except ImportError:
        raise WrongDatabase(
            [
                (
                    "means PostgreSQL, and its driver psycopg is not installed: install"
                    " fhir-gateway[postgresql]"
                )
            ]
        ) from None
    return frozenset(each.keyword.decode() for each in pq.Conninfo.get_defaults())
