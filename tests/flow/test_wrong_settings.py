"""
Wrong settings and files: each is one clear line on standard error, and an exit code.

The commands only look: none of them makes or starts anything.
"""

import json
import os
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result
from pem import certificate_pem, key_pem, write_certificate
from structlog.testing import capture_logs

from fhir_gateway import wsgi
from fhir_gateway.cli import main
from fhir_gateway.configured_files import read_sources
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model.ids import HsaId
from fhir_gateway.settings import Settings, WrongSettings
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.database_url import sqlite_file
from fhir_gateway.stores.migrations import migrate

from .ports import free_port

# What must never be seen again, wherever it is put.
SECRET: Final = "hemligt"
# 32 bytes that are no secret; the names of the tests must not differ between runs.
KEY: Final = "A" * 43 + "="

# Longer than any file may be called.
LONG: Final = "z" * 300

# Stands for the names of the adapters that this process can load.
INSTALLED: Final = "INSTALLED"

SOURCE: Final = """
[sources.norr]
adapter = "scheduling_1_1"
title = "Region Norr"
prefixes = ["SE2321000016-"]
agent = "SE2321000016-AGENT"
refresh_subject = "191212121212"
units_from = "SE2321000016-A01"
options.endpoint = "https://norr.example.org/"
"""
UNIT: Final = '[[sources.norr.units]]\nhsa_id = "SE2321000016-A01"\nname = "M"\n'

Run = Callable[..., Result]


@pytest.fixture(name="run")
def _run(tmp_path: Path) -> Run:
    """Return the runner of a command in a folder with one good source."""

    def run(*command: str, toml: str | bytes = SOURCE, **environment: str) -> Result:
        content = toml.encode() if isinstance(toml, str) else toml
        (tmp_path / "sources.toml").write_bytes(content)
        given = {
            "FHIR_GATEWAY_SOURCES": str(tmp_path / "sources.toml"),
            "FHIR_GATEWAY_DATA_DIR": str(tmp_path / "data"),
            # Nobody is there: what is right so far ends here, with exit code 1.
            "REDIS_URL": f"unix://{tmp_path}/nobody.sock",
        }
        return CliRunner().invoke(main, command, env=given | environment)

    return run


def lines_of(result: Result) -> list[str]:
    """Return what an operator reads, without the name of the program."""
    assert result.stdout == ""
    assert SECRET not in result.stderr
    lines = result.stderr.splitlines()
    assert all(line.startswith("fhir-gateway: ") for line in lines)
    return [line.removeprefix("fhir-gateway: ") for line in lines]


def whole(name: str, least: int, most: int) -> str:
    """Return the line about a wrong number."""
    return f"{name} must be a whole number from {least} to {most}"


NO_HTTP: Final = "must be a URL that begins with http:// or https://"
NO_QUERY: Final = "must have no ? and no #: paths are put after it"
NO_BASE: Final = (
    "is no URL of a host: expected https://host/path, where the host is a name or an"
    " address, a port is from 1 to 65535, and the path has only what a URL may have"
)
AT: Final = (
    "has an @ in its user name or password: write %40 for @, %3A for :, %2F for / and"
    " %3F for ? in it"
)
QUESTION: Final = AT.replace("an @", "a ?", 1)
HASH: Final = "has a # in it: write %23 where a password has one"
PERCENT: Final = "has a % that begins no escape: write %25 for it"
BLANK: Final = "has a space or a line break in it: write %20 for a space"
BAD_PORT: Final = "has a port that is no number from 1 to 65535"
BAD_HOST: Final = (
    "has a host or a port that cannot be: expected host:port after the last @"
)
NO_REDIS: Final = (
    "is no URL of Redis: expected redis://host:6379,"
    " rediss://user:password@host:6379 or unix:///path"
)
DATABASES: Final = "expected sqlite:///path or postgresql://user:password@host/database"
NO_DATABASE: Final = f"is no URL of a database that can be used: {DATABASES}"
NO_SQLITE: Final = f"is no URL of a SQLite file: {DATABASES}"
IN_MEMORY: Final = (
    "means a database in memory, which is lost with the process, and bookings must not"
    f" be: {DATABASES}"
)
NO_KEY: Final = (
    "is not a key: expected 32 bytes in URL-safe base64, as docs/running.md says how to"
    " make them"
)
BAD_NAME: Final = (
    "FHIR_GATEWAY_HOST must be an address or a host name, without a port, or unix: and"
    " the path of a socket"
)
BAD_SOCKET: Final = (
    "FHIR_GATEWAY_HOST must be unix: and an absolute path of at most 107 bytes"
)
NO_BASE_OF_SOCKET: Final = (
    "FHIR_GATEWAY_BASE_URL is needed where FHIR_GATEWAY_HOST is a unix socket: the FHIR"
    " base that clients use"
)
NO_PROXY: Final = (
    "FHIR_GATEWAY_TRUSTED_PROXIES must be addresses or networks such as 10.0.0.5 or"
    " 10.0.1.0/24, separated by commas, with no bit set behind a network's length"
)
EVERYBODY: Final = (
    "FHIR_GATEWAY_TRUSTED_PROXIES trusts everybody: then anybody can claim any address"
    " and any certificate; list the addresses of your proxies"
)
NO_ORIGIN: Final = (
    "FHIR_GATEWAY_CORS_ORIGINS must be origins such as https://app.example.org,"
    " separated by commas: a scheme, a host and perhaps a port, without a path and"
    " without *"
)
PLAIN_ORIGIN: Final = (
    "FHIR_GATEWAY_CORS_ORIGINS: an origin on another machine must begin with https://,"
    " since anybody on the network can change a page that came by http://"
)
PARAMETER: Final = (
    "has a parameter after its ? that libpq does not know (PostgreSQL, Parameter Key"
    " Words)"
)
SQLITE_PARAMETER: Final = (
    "has a parameter after its ? that SQLite's driver does not know, {}: write %3F for"
    " a ? in the name of the file"
)
REDIS_NAMES: Final = (
    "has a parameter after its ? that cannot be used here: expected cluster,"
    " client_name, db, health_check_interval, max_connections, password, protocol,"
    " socket_connect_timeout, socket_keepalive, socket_timeout, ssl_ca_certs,"
    " ssl_ca_path, ssl_cert_reqs, ssl_certfile, ssl_check_hostname, ssl_ciphers,"
    " ssl_keyfile, ssl_min_version, ssl_password, username"
)
REDIS_PARAMETER: Final = (
    "has a parameter after its ? that redis-py does not know, or cannot use"
)

ENVIRONMENT: Final[list[tuple[str, str, list[str]]]] = [
    *(
        (name, value, [whole(name, least, most)])
        for name, least, most, values in (
            ("PORT", 1, 65535, ["0", "65536", "-1", "http", "80.5", "8080/tcp"]),
            ("SANDBOX_PORT", 1, 65535, ["0", "\u0668\u0660"]),
            ("FHIR_GATEWAY_PROCESSES", 1, 256, ["0", "257", "auto"]),
            ("FHIR_GATEWAY_THREADS", 2, 1024, ["1", "1025"]),
            ("FHIR_GATEWAY_ANSWERS_WITHIN_S", 1, 60, ["0", "61", "10s"]),
            ("FHIR_GATEWAY_LISTS_WITHIN_S", 1, 60, ["0", "61"]),
            ("FHIR_GATEWAY_WIPED_AFTER_DAYS", 1, 3650, ["0", "3651", "30d", "9" * 99]),
        )
        for value in values
    ),
    *(
        (name, value, [f"{name} {fault}"])
        for name in ("FHIR_GATEWAY_BASE_URL", "FHIR_GATEWAY_CANONICAL_BASE")
        for value, fault in (
            ("gateway.example.org/fhir", NO_HTTP),
            ("ftp://gateway.example.org", NO_HTTP),
            ("https://", NO_BASE),
            ("https://gateway.example.org:https", NO_BASE),
            ("https://gateway.example.org:99999", NO_BASE),
            ("https://gateway.example.org:0", NO_BASE),
            ("https://gateway.example.org/a b", NO_BASE),
            ('https://gateway.example.org/"><', NO_BASE),
            ("https://gateway.example.org/%zz", NO_BASE),
            ("https://.../fhir", NO_BASE),
            ("https://-/fhir", NO_BASE),
            ("https://gateway.example.org/fhir?a=b", NO_QUERY),
            ("https://gateway.example.org/fhir#a", NO_QUERY),
        )
    ),
    (
        "FHIR_GATEWAY_BASE_URL",
        f"https://user:{SECRET}@gateway.example.org",
        ["FHIR_GATEWAY_BASE_URL must have no user name or password: clients see it"],
    ),
    *(
        (
            name,
            "/srv/\udcff",
            [f"{name} has a byte that is no UTF-8: write it in UTF-8"],
        )
        for name in ("FHIR_GATEWAY_DATA_DIR", "FHIR_GATEWAY_SOURCES", "DATABASE_URL")
    ),
    *(
        (
            "FHIR_GATEWAY_DATA_DIR",
            value,
            [
                (
                    "FHIR_GATEWAY_DATA_DIR begins with ~, which only a shell expands:"
                    " give the whole path, or ./ before the name"
                )
            ],
        )
        for value in ("~", "~/data", "~somebody/data")
    ),
    (
        "FHIR_GATEWAY_COLOUR",
        "red",
        ["FHIR_GATEWAY_COLOUR is not a setting; see fhir-gateway --help"],
    ),
    ("FHIR_GATEWAY_HOST", "http://localhost", [BAD_NAME]),
    ("FHIR_GATEWAY_HOST", "127.0.0.1/8", [BAD_NAME]),
    ("FHIR_GATEWAY_HOST", "127.0.0.1:80", [BAD_NAME]),
    ("FHIR_GATEWAY_HOST", "::1:80:", [BAD_NAME]),
    ("FHIR_GATEWAY_HOST", ":", [BAD_NAME]),
    ("FHIR_GATEWAY_HOST", "two hosts", [BAD_NAME]),
    ("FHIR_GATEWAY_HOST", "unix:/run/a.sock", [NO_BASE_OF_SOCKET]),
    ("FHIR_GATEWAY_HOST", "unix:a.sock", [BAD_SOCKET, NO_BASE_OF_SOCKET]),
    ("FHIR_GATEWAY_HOST", "unix:", [BAD_SOCKET, NO_BASE_OF_SOCKET]),
    ("FHIR_GATEWAY_HOST", f"unix:/{'a' * 107}", [BAD_SOCKET, NO_BASE_OF_SOCKET]),
    ("FHIR_GATEWAY_TRUSTED_PROXIES", "proxy", [NO_PROXY]),
    ("FHIR_GATEWAY_TRUSTED_PROXIES", "10.0.0.5/8", [NO_PROXY]),
    ("FHIR_GATEWAY_TRUSTED_PROXIES", "0.0.0.0/0", [EVERYBODY]),
    ("FHIR_GATEWAY_OPEN_DEMO", "true", ["FHIR_GATEWAY_OPEN_DEMO must be yes or no"]),
    *(
        ("FHIR_GATEWAY_CORS_ORIGINS", value, [NO_ORIGIN])
        for value in (
            *("*", "null", "https://*.example.org", "app.example.org"),
            *("https://app.example.org/", "https://a b", "https://a:0", "https://a:"),
        )
    ),
    ("FHIR_GATEWAY_CORS_ORIGINS", "http://app.example.org", [PLAIN_ORIGIN]),
    *(
        (
            "FHIR_GATEWAY_JOURNAL_KEYS",
            value,
            [f"FHIR_GATEWAY_JOURNAL_KEYS: key {at} {NO_KEY}" for at in faulty],
        )
        for value, faulty in (
            (SECRET, [1]),
            (f"{KEY},{SECRET}", [2]),
            (f"{SECRET},{KEY},{SECRET}", [1, 3]),
            (f"{KEY}{SECRET}", [1]),
            (f"{KEY};{KEY}", [1]),
        )
    ),
    (
        "FHIR_GATEWAY_JOURNAL_KEYS",
        " , ",
        ["FHIR_GATEWAY_JOURNAL_KEYS: there is no key between its commas"],
    ),
    *(
        ("REDIS_URL", value, [f"REDIS_URL {fault}"])
        for value, fault in (
            (f"http://u:{SECRET}@redis", NO_REDIS),
            ("redis:6379", "is no URL"),
            ("localhost:6379", NO_REDIS),
            ("redis://redis:port", BAD_HOST),
            ("redis://redis:0", BAD_PORT),
            ("redis://redis:70000", BAD_PORT),
            (
                "redis://redis/first",
                "has a database that is no number: expected redis://host:6379/0",
            ),
            (f"redis://u:p@{SECRET}:x@redis", AT),
            (f"redis://:p/{SECRET}@redis", AT),
            (f"redis://:p?{SECRET}@redis", QUESTION),
            (f"redis://:p#{SECRET}@redis", HASH),
            (f"redis://:p%{SECRET}@redis", PERCENT),
            (f"redis://:p {SECRET}@redis", BLANK),
            ("redis://redis?socket_timeout=long", REDIS_PARAMETER),
            (f"redis://redis?{SECRET}=1", REDIS_NAMES),
            ("redis://redis?decode_responses=true", REDIS_NAMES),
            (
                "redis://redis?max_connections=0",
                "has a wrong max_connections: expected a number greater than 0",
            ),
            (
                "redis://redis?socket_timeout=-1",
                "has a wrong socket_timeout: expected a number greater than 0",
            ),
            ("redis://redis?protocol=9", "has a wrong protocol: expected 2 or 3"),
            (
                "rediss://redis?ssl_ca_certs=/nope",
                (
                    "names a file in ssl_ca_certs that cannot be read: No such file or"
                    " directory"
                ),
            ),
            (
                "unix:///tmp",
                "names a file or a folder that is no socket: expected unix:///path",
            ),
            ("redis://redis?cluster", "has a parameter without a value after its ?"),
            (
                "redis://redis?cluster=yes",
                "has a wrong cluster: expected true or false",
            ),
            (
                "redis://redis/1?cluster=true",
                "has a number of a database, and a cluster has none: leave it out",
            ),
            (
                "redis://one,two",
                (
                    "has several hosts: give the one address of a Sentinel's proxy,"
                    " or any node of a cluster"
                ),
            ),
            ("unix://redis.sock", "names no socket: expected unix:///path"),
            (
                "unix:///redis.sock?cluster=true",
                "means a socket, and a cluster has none: expected redis://host:6379",
            ),
        )
    ),
    *(
        ("DATABASE_URL", value, [f"DATABASE_URL {fault}"])
        for value, fault in (
            ("journal.sqlite", NO_DATABASE),
            (f"mysql://u:{SECRET}@db/journal", NO_DATABASE),
            (f"postgresql+asyncpg://u:{SECRET}@db/journal", NO_DATABASE),
            ("sqlite:", NO_SQLITE),
            ("sqlite://", IN_MEMORY),
            ("sqlite:///:memory:", IN_MEMORY),
            ("sqlite:///file::memory:?uri=true", IN_MEMORY),
            ("sqlite://journal.sqlite", NO_SQLITE),
            ("sqlite:///journal.sqlite?timeout=long", NO_SQLITE),
            ("postgresql:db", "is no URL"),
            (f"postgresql://u:p@{SECRET}:x@db/journal", AT),
            (f"postgres://u:p@:{SECRET}@db/journal", AT),
            (f"postgresql://u:p/{SECRET}@db/journal", AT),
            (f"postgresql://u:p?{SECRET}@db/journal", QUESTION),
            (f"postgresql://u:p#{SECRET}@db/journal", HASH),
            (f"postgresql://u:p%{SECRET}@db/journal", PERCENT),
            (f"postgresql://u:p {SECRET}@db/journal", BLANK),
            (f"postgresql://u:{SECRET}@db:x/journal", BAD_HOST),
            (f"postgresql://u:{SECRET}@db:0/journal", BAD_PORT),
            (f"postgresql://u:{SECRET}@one:5432,two:99999/journal", BAD_PORT),
            (
                f"postgresql://u:{SECRET}@one,,two/journal",
                "has no host where one is expected",
            ),
            (
                f"postgresql://u:{SECRET}@db/journal?sslmode=on",
                (
                    "has a wrong sslmode: expected one of allow, disable, prefer,"
                    " require, verify-ca, verify-full"
                ),
            ),
            (
                f"postgresql://u:{SECRET}@db/journal?target_session_attrs=standby",
                "has a wrong target_session_attrs: expected one of primary, read-write",
            ),
            (
                f"postgresql://u:{SECRET}@db/journal?connect_timeout=soon",
                "has a wrong connect_timeout: expected a whole number",
            ),
            (
                f"postgresql://u:{SECRET}@db/journal?sslrootcert=/nowhere/ca.pem",
                (
                    "names a file in sslrootcert that cannot be read: No such file or"
                    " directory"
                ),
            ),
            (
                f"postgresql://u:{SECRET}@db/journal?sslrootcert={LONG}",
                "names a file in sslrootcert that cannot be read: File name too long",
            ),
            (
                f"postgresql://u:{SECRET}%00@db/journal",
                "has a %00 in it: neither a name nor a password has a NUL",
            ),
            (
                "sqlite:////tmp/%00x",
                "has a %00 in it: no name of a file has a NUL",
            ),
            ("SQLITE:///:memory:", IN_MEMORY),
            ("sqlite:////tmp/x.sqlite?foo=abc", SQLITE_PARAMETER.format("foo")),
            (
                "sqlite:////tmp/x.sqlite?mode=memory",
                SQLITE_PARAMETER.format("mode"),
            ),
            (
                "sqlite:////tmp/a?b.sqlite",
                SQLITE_PARAMETER.format("b.sqlite"),
            ),
            (
                "sqlite:////tmp/a?b=1&c&foo%3F=",
                SQLITE_PARAMETER.format("b, c, foo?"),
            ),
            (
                "sqlite:////tmp/a?timeout",
                "has a parameter without a value after its ?, timeout",
            ),
            (
                "sqlite:////tmp/x.sqlite?timeout=1&timeout=2",
                "has a parameter twice",
            ),
            (f"postgresql://u:x@db/journal?pass={SECRET}", PARAMETER),
            (
                "postgresql:///journal?host=one&host=two",
                "has a parameter twice: list hosts as host1:port1,host2:port2",
            ),
        )
    ),
]


@pytest.mark.parametrize(("name", "value", "lines"), ENVIRONMENT)
def test_a_wrong_variable_is_a_line(
    run: Run, tmp_path: Path, name: str, value: str, lines: list[str]
) -> None:
    """Each wrong variable is named, in our words, without what may be a secret."""
    result = run("sources", **{name: value})

    assert (lines_of(result), result.exit_code) == (lines, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sources.toml"]


def test_a_data_folder_that_leads_to_itself_is_a_line(run: Run, tmp_path: Path) -> None:
    """A loop of symbolic links is one line, beside the other faults."""
    (tmp_path / "loop").symlink_to(tmp_path / "loop")

    result = run("sources", FHIR_GATEWAY_DATA_DIR=str(tmp_path / "loop"), PORT="x")

    assert (lines_of(result), result.exit_code) == (
        [
            whole("PORT", 1, 65535),
            (
                "FHIR_GATEWAY_DATA_DIR is a symbolic link that leads to itself; give a"
                " folder"
            ),
        ],
        2,
    )


def test_a_removed_working_folder_is_a_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A data folder that is relative to a folder that is gone stops the start."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    result = run("sources", FHIR_GATEWAY_DATA_DIR="", FHIR_GATEWAY_SOURCES="s.toml")

    assert (lines_of(result), result.exit_code) == (
        [
            (
                "FHIR_GATEWAY_DATA_DIR: the folder that this process runs in was"
                " removed; start it in another one, or give an absolute path"
            ),
            "s.toml: it cannot be read: No such file or directory",
        ],
        2,
    )


def test_a_pipe_for_a_file_of_sources_is_a_line(run: Run, tmp_path: Path) -> None:
    """It is refused, and not waited for."""
    os.mkfifo(tmp_path / "pipe")

    result = run("sources", FHIR_GATEWAY_SOURCES=str(tmp_path / "pipe"))

    assert (lines_of(result), result.exit_code) == (
        [f"{tmp_path}/pipe: it is no file"],
        2,
    )


def test_faults_of_both_files_are_lines_at_once(run: Run, tmp_path: Path) -> None:
    """An operator reads what is wrong with sources and issuers in one go."""
    issuers = tmp_path / "issuers.toml"
    issuers.write_text('[[client]]\nissuer = "https://a"\nid = "b"\nrole = "operator"')

    result = run(
        "sources", toml="colour = 3", FHIR_GATEWAY_ISSUERS=str(tmp_path / issuers)
    )

    assert (lines_of(result), result.exit_code) == (
        [
            (
                f"{tmp_path}/sources.toml: colour: is no setting; the tables are"
                " [sources.NAME], [aggregates.NAME] and [service_catalogues.NAME]"
            ),
            (
                f"{tmp_path}/sources.toml: sources: there is none; write a table"
                " [sources.NAME]"
            ),
            f"{tmp_path}/issuers.toml: issuer: there is none; write a table [[issuer]]",
            (
                f"{tmp_path}/issuers.toml: client 1: issuer: no [[issuer]] of this"
                " file has that name"
            ),
        ],
        2,
    )


def test_an_absent_file_of_issuers_is_a_line(run: Run, tmp_path: Path) -> None:
    """A server that should check tokens does not start without their issuers."""
    result = run("sources", FHIR_GATEWAY_ISSUERS=str(tmp_path / "gone.toml"))

    assert (lines_of(result), result.exit_code) == (
        [f"{tmp_path}/gone.toml: it cannot be read: No such file or directory"],
        2,
    )


def test_a_byte_order_mark_before_the_sources_is_read_over(run: Run) -> None:
    """What some editors begin a file with is no fault of it."""
    result = run("sources", toml=b"\xef\xbb\xbf" + SOURCE.encode(), PORT="x")

    assert lines_of(result) == [whole("PORT", 1, 65535)]


def test_every_wrong_option_is_a_line_at_once(run: Run, tmp_path: Path) -> None:
    """A fault in one option hides none in another, nor does one in a unit."""
    toml = (
        SOURCE.replace("https://norr.example.org/", "ftp://x")
        + 'options.nope = 1\noptions.refusal_faults = ["", "("]\n'
        + 'options.certificate = "/nope"\noptions.consumer = "A_1"\n'
        + UNIT.replace('"M"', '" "')
        + UNIT
        + UNIT.replace("SE2321000016-A01", "SE1-A02")
    )

    result = run("sources", toml=toml)

    where = f"{tmp_path}/sources.toml: sources.norr"
    lines = lines_of(result)
    assert sorted(line.removeprefix(where) for line in lines) == [
        (
            ".options.certificate: the file /nope cannot be read: No such file or"
            " directory"
        ),
        f".options.consumer: {HSA_ID.removeprefix('is ')}",
        ".options.endpoint: is not an http or https URL",
        ".options.nope: is no option of the adapter scheduling_1_1",
        ".options.refusal_faults.0: Shorter than minimum length 1.",
        (
            ".options.refusal_faults.1: is no regular expression: missing ),"
            " unterminated subpattern at position 0"
        ),
        ".units.0.name: Must not be blank.",
        ".units: SE1-A02 has none of the source's prefixes",
        ".units: SE2321000016-A01 is listed more than once",
    ]
    assert result.exit_code == 2


@pytest.mark.parametrize("name", ["a?b", "a%20b", "a#b", "q?mode=memory", "å b", "%"])
def test_the_journal_lies_in_the_data_folder_of_any_name(
    tmp_path: Path, name: str
) -> None:
    """What has a meaning in a URL has none in the name of the data folder."""
    folder = tmp_path / name
    folder.mkdir()
    settings = Settings.from_environment({"FHIR_GATEWAY_DATA_DIR": str(folder)})

    database = Database(settings.database_url)
    migrate(database.engine)
    database.close()

    assert sqlite_file(settings.database_url) == folder / "journal.sqlite"
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (folder / "journal.sqlite").is_file()


def test_the_scheme_of_sqlite_may_be_in_capitals(tmp_path: Path) -> None:
    """A scheme has no case (RFC 3986, section 3.1)."""
    assert sqlite_file(f"SQLITE:///{tmp_path}/x.sqlite") == tmp_path / "x.sqlite"


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("HTTP://Gateway.example.org/fhir/", "http://Gateway.example.org/fhir"),
        ("https://[::1]:8080/fhir", "https://[::1]:8080/fhir"),
        ("https://h/a%20b", "https://h/a%20b"),
    ],
)
def test_a_base_may_be_any_url_of_http(given: str, base: str) -> None:
    """A scheme has no case, and a host may be an address of IPv6."""
    settings = Settings.from_environment({"FHIR_GATEWAY_BASE_URL": given})

    assert settings.base_url == base


def test_a_demo_with_one_port_for_two_servers_is_a_line(run: Run) -> None:
    """It is refused at once, and not when the second server finds the port taken."""
    port = free_port()

    result = run("demo", PORT=str(port), SANDBOX_PORT=str(port))

    assert (lines_of(result), result.exit_code) == (
        [f"PORT and SANDBOX_PORT are both {port}: give them different ones"],
        2,
    )


@contextmanager
def answering(*answers: bytes) -> Iterator[int]:
    """Give the port of a server that says the same, part by part, to everybody."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    for answer in answers:
                        connection.recv(1000)
                        connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def test_a_port_that_speaks_no_postgresql_is_reported(run: Run) -> None:
    """A web server, for instance, is not taken for a database that is away."""
    with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        result = run(
            "journal",
            "alarms",
            DATABASE_URL=f"postgresql://u:{SECRET}@127.0.0.1:{port}/d",
            FHIR_GATEWAY_JOURNAL_KEYS=KEY,
        )

    assert (lines_of(result), result.exit_code) == (
        [
            (
                "DATABASE_URL: what answers there is no PostgreSQL; correct the host or"
                " the port"
            )
        ],
        2,
    )


@pytest.mark.parametrize(
    ("severity", "message", "code"),
    [
        pytest.param(
            "FEHLER", "Passwort-Authentifizierung fehlgeschlagen", "28P01", id="German"
        ),
        pytest.param(
            "ÖDESDIGERT", "lösenordsautentisering misslyckades", "28P01", id="Swedish"
        ),
        pytest.param(
            "ВАЖНО",
            "пользователь не прошёл проверку подлинности",
            "28000",
            id="Russian",
        ),
        pytest.param("致命错误", "数据库不存在", "3D000", id="Chinese"),
    ],
)
def test_a_refusal_in_another_language_is_a_refusal(
    run: Run, severity: str, message: str, code: str
) -> None:
    """A server with an answer that we cannot read is not taken for one that is away."""
    fields = f"S{severity}\0VFATAL\0C{code}\0M{message}\0\0".encode()
    error = b"E" + (len(fields) + 4).to_bytes(4) + fields
    # The first message of a client asks for TLS.
    with answering(b"N", error) as port:
        result = run(
            "journal",
            "alarms",
            DATABASE_URL=f"postgresql://u:{SECRET}@127.0.0.1:{port}/d",
            FHIR_GATEWAY_JOURNAL_KEYS=KEY,
        )

    assert (lines_of(result), result.exit_code) == (
        [
            (
                "DATABASE_URL: the server answers and refuses the connection, for a"
                " reason in its own language: see its log; is the user name, the"
                " password or the database's name wrong?"
            )
        ],
        1,
    )


def test_a_map_says_nothing_of_another_sources_units(tmp_path: Path) -> None:
    """A source's ConceptMap cannot replace what another region's codes mean."""
    vocabulary = Vocabulary()
    for name, code in (("norr", "72791000052103"), ("syd", "33879002")):
        (tmp_path / f"{name}.json").write_text(
            json.dumps(
                {
                    "resourceType": "ConceptMap",
                    "status": "active",
                    "group": [
                        {
                            "source": vocabulary.time_types(HsaId(unit)),
                            "target": "http://snomed.info/sct",
                            "element": [
                                {
                                    "code": "TT1",
                                    "target": [{"code": code, "equivalence": "equal"}],
                                }
                            ],
                        }
                        for unit in ("SE2321000016-A01", "SE2321000024-A01")
                    ],
                }
            ),
            encoding="utf-8",
        )
    norr = f'{SOURCE}time_types = "norr.json"\n'
    syd = norr.replace("norr", "syd").replace("SE2321000016", "SE2321000024")
    (tmp_path / "sources.toml").write_text(norr + syd, encoding="utf-8")

    with capture_logs() as events:
        configured, meanings = read_sources(tmp_path / "sources.toml", vocabulary)
    for each in configured:
        each.adapter.close()

    assert {key: [each.code for each in meanings[key]] for key in meanings} == {
        ("SE2321000016-A01", "TT1"): ["72791000052103"],
        ("SE2321000024-A01", "TT1"): ["33879002"],
    }
    assert events == [
        {
            "event": "mapped units left out",
            "log_level": "warning",
            "source": name,
            "units": 1,
            "first": [unit],
        }
        for name, unit in (("norr", "SE2321000024-A01"), ("syd", "SE2321000016-A01"))
    ]


def with_options(*lines: str) -> str:
    """Return the source with further lines among its options."""
    return SOURCE + "".join(f"options.{line}\n" for line in lines)


HSA_ID: Final = "is not an HSA-id: expected 1 to 31 letters, digits, '.' and '-'"
ENDPOINT: Final = (
    "sources.norr.options.endpoint: is no URL that can be asked: expected"
    " https://host/path, where {interaction} alone may stand in braces"
)
FROM: Final = "Must be greater than or equal to {} and less than or equal to {}."
FILES: Final[list[tuple[str | bytes, list[str]]]] = [
    (
        "[sources.norr",
        [
            (
                "it is not TOML: Expected ']' at the end of a table declaration (at end"
                " of document)"
            )
        ],
    ),
    (b"\xff", ["it is not TOML: its byte 0 is not UTF-8"]),
    (
        f"x = {'9' * 5000}",
        ["it is not TOML: a number in it has too many digits"],
    ),
    ("x = " + "[" * 5000, ["it is not TOML: it is nested too deeply"]),
    ("", ["sources: there is none; write a table [sources.NAME]"]),
    ("[[sources]]", ["sources: there is none; write a table [sources.NAME]"]),
    ("[sources]\nnorr = 3", ["sources.norr: is no table"]),
    (
        SOURCE + "[source]\n",
        [
            (
                "source: is no setting; the tables are [sources.NAME],"
                " [aggregates.NAME] and [service_catalogues.NAME]"
            )
        ],
    ),
    (
        SOURCE.replace("sources.norr", 'sources."a\\nb"'),
        [
            (
                "sources.a\N{REPLACEMENT CHARACTER}b.name: is not a source name:"
                " expected a lower-case letter followed by up to 30 lower-case letters,"
                " digits and '-'"
            )
        ],
    ),
    *(
        (SOURCE.replace(old, new), [f"sources.norr.{line}"])
        for old, new, line in (
            ('"scheduling_1_1"', "7", "adapter: Not a valid string."),
            (
                "scheduling_1_1",
                "rivta",
                f"adapter: there is no adapter 'rivta'; installed are: {INSTALLED}",
            ),
            ('"Region Norr"', '"  "', "title: Must not be blank."),
            ('"Region Norr"', r'"a\u0007"', "title: Has a control character."),
            ('["SE2321000016-"]', "3", "prefixes: Not a valid list."),
            ("-AGENT", "_AGENT", f"agent: {HSA_ID}"),
            (
                '"191212121212"',
                "191212121212",
                "refresh_subject: Not a valid string.",
            ),
            (
                "191212121212",
                "191212121213",
                "refresh_subject: is not a personal number: its check digit is wrong",
            ),
        )
    ),
    *(
        (f"{SOURCE}{setting}\n", [f"sources.norr.{line}"])
        for setting, line in (
            ("units_form = 3", "units_form: is no setting of a source"),
            ("calls_per_second = 1e9", f"calls_per_second: {FROM.format(0.01, 1000)}"),
            (
                "calls_per_second = 1e-12",
                f"calls_per_second: {FROM.format(0.01, 1000)}",
            ),
            ('calls_per_second = "1"', "calls_per_second: Not a valid number."),
            (
                "calls_in_flight = 0",
                (
                    "calls_in_flight: Must be greater than or equal to 1 and less than"
                    " or equal to 100."
                ),
            ),
            ("read_timeout_s = 1e308", f"read_timeout_s: {FROM.format(0.1, 60)}"),
            ("read_timeout_s = 1e-300", f"read_timeout_s: {FROM.format(0.1, 60)}"),
            (
                "read_timeout_s = inf",
                (
                    "read_timeout_s: Special numeric values (nan or infinity) are not"
                    " permitted."
                ),
            ),
            ("write_timeout_s = 100", f"write_timeout_s: {FROM.format(0.1, 80)}"),
            ("write_timeout_s = 1e-300", f"write_timeout_s: {FROM.format(0.1, 80)}"),
            ("settles_within_s = -1", f"settles_within_s: {FROM.format(1, 86400)}"),
            ("settles_within_s = 1e-300", f"settles_within_s: {FROM.format(1, 86400)}"),
            ("live_timeout_s = 0", f"live_timeout_s: {FROM.format(0.1, 60)}"),
            ("live_timeout_s = 1e-300", f"live_timeout_s: {FROM.format(0.1, 60)}"),
            *(
                (f"{name} = 1e-300", f"{name}: {FROM.format(1, 365 * 86_400)}")
                for name in ("fresh_for_s", "offered_for_s")
            ),
            ("offered_for_s = 1", "offered_for_s: is shorter than fresh_for_s"),
            ('mode = "fast"', "mode: Must be one of: cached, live."),
            (
                'schedule_address = " "',
                "schedule_address: Shorter than minimum length 1.",
            ),
            ('time_types = "a.json"', "time_types: there is no file a.json"),
            ('time_types = "."', "time_types: the file . is no file"),
            (
                f'time_types = "{LONG}"',
                (
                    f"time_types: the file {LONG[:200]}… cannot be read: File name too"
                    " long"
                ),
            ),
            (
                'time_types = "a\\u0000b"',
                "time_types: the file a\N{REPLACEMENT CHARACTER}b is no path of a file",
            ),
            ("units = 3", "units: Not a valid list."),
            ("units = [3]", "units.0: is no table"),
            (UNIT + UNIT, "units: SE2321000016-A01 is listed more than once"),
            (UNIT + 'city = " "', "units.0.city: Must not be blank."),
            (UNIT + 'latitude = "63"', "units.0.latitude: Not a valid number."),
            (
                "horizon_days = 9.5",
                "horizon_days: Not a valid integer.",
            ),
        )
    ),
    *(
        (
            SOURCE.replace("https://norr.example.org/", url),
            [line],
        )
        for url, line in (
            (
                "norr.example.org",
                "sources.norr.options.endpoint: is not an http or https URL",
            ),
            ("https://", ENDPOINT),
            ("https://norr.example.org:x/", ENDPOINT),
            ("https://norr.example.org:0/", ENDPOINT),
            ("https://norr.example.org/{contract}", ENDPOINT),
            ("https://norr.example.org/{", ENDPOINT),
            ("https://norr.example.org/a b", ENDPOINT),
            ("https://norr.example.org/a#b", ENDPOINT),
            (
                f"https://user:{SECRET}@norr.example.org/",
                (
                    "sources.norr.options.endpoint: has a user name in it: a source"
                    " identifies us by our certificate"
                ),
            ),
        )
    ),
    *(
        (with_options(option), [f"sources.norr.options.{line}"])
        for option, line in (
            (
                f'password = "{SECRET}"',
                "password: is no option of the adapter scheduling_1_1",
            ),
            ('logical_address = " "', "logical_address: Must not be blank."),
            ("supports = []", "supports: Shorter than minimum length 1."),
            ("certificate = 3", "certificate: Not a valid string."),
            (
                'certificate = "/nowhere/gateway.pem"',
                (
                    "certificate: the file /nowhere/gateway.pem cannot be read: No such"
                    " file or directory"
                ),
            ),
            (
                'trust = "/nowhere/trust.pem"',
                (
                    "trust: the file /nowhere/trust.pem cannot be read: No such file or"
                    " directory"
                ),
            ),
            ('certificate = "a\\u0000b"', "certificate: is no path of a file"),
            (
                'refusal_faults = ["("]',
                (
                    "refusal_faults.0: is no regular expression: missing ),"
                    " unterminated subpattern at position 0"
                ),
            ),
        )
    ),
]


@pytest.mark.parametrize(("toml", "lines"), FILES)
def test_a_wrong_file_of_sources_is_a_line(
    run: Run, tmp_path: Path, toml: str | bytes, lines: list[str]
) -> None:
    """Each fault of the file is a line that names the file, the source and the key."""
    # Another test of this process may offer adapters of its own.
    installed = ", ".join(
        sorted(each.name for each in entry_points(group="fhir_gateway.adapters"))
    )

    result = run("sources", toml=toml)

    expected = [
        f"{tmp_path}/sources.toml: {line.replace(INSTALLED, installed)}"
        for line in lines
    ]
    assert (lines_of(result), result.exit_code) == (expected, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sources.toml"]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        pytest.param(b"", "certificate", id="empty"),
        pytest.param(b"hemligt", "certificate", id="no PEM"),
        pytest.param(certificate_pem(), "certificate", id="no key"),
        pytest.param(key_pem(), "certificate", id="no certificate"),
        pytest.param(
            certificate_pem() + key_pem(is_another=True),
            "certificate",
            id="another certificate's key",
        ),
        pytest.param(
            certificate_pem() + key_pem(password=b"hemligt"),
            "certificate",
            id="a key with a password",
        ),
        pytest.param(b"", "trust", id="empty trust"),
        pytest.param(key_pem(), "trust", id="trust without a certificate"),
    ],
)
def test_a_wrong_certificate_is_a_line(
    run: Run, tmp_path: Path, content: bytes, kind: str
) -> None:
    """A file of TLS that cannot be used stops the start, and not each call later."""
    (tmp_path / "tls.pem").write_bytes(content)
    expected = {
        "certificate": (
            "a certificate and the key that belongs to it, without a password"
        ),
        "trust": "one certificate or more",
    }

    result = run("sources", toml=with_options(f'{kind} = "{tmp_path}/tls.pem"'))

    assert (lines_of(result), result.exit_code) == (
        [
            (
                f"{tmp_path}/sources.toml: sources.norr.options.{kind}: the file"
                f" {tmp_path}/tls.pem must hold, in PEM, {expected[kind]}"
            )
        ],
        2,
    )


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"resourceType": "Bundle"}'])
def test_a_wrong_concept_map_is_a_line(
    run: Run, tmp_path: Path, content: bytes
) -> None:
    """A ConceptMap that is none is named by its file."""
    (tmp_path / "map.json").write_bytes(content)

    result = run("sources", toml=SOURCE + 'time_types = "map.json"\n')

    (line,) = lines_of(result)
    assert line.startswith(f"{tmp_path}/map.json: ")
    assert result.exit_code == 2


def test_every_fault_is_a_line_at_once(run: Run, tmp_path: Path) -> None:
    """Faults of the environment, the file and a ConceptMap come in one go."""
    (tmp_path / "map.json").write_bytes(json.dumps({"resourceType": "Bundle"}).encode())
    toml = (
        SOURCE.replace("Region Norr", "")
        + 'time_types = "map.json"\noffered_for_s = 1\noptions.trust = "/nowhere"\n'
        + UNIT.replace("A01", "A 1")
    )

    result = run(
        "sources",
        toml=toml,
        PORT="x",
        DATABASE_URL=f"postgresql://u:{SECRET}@db:x/journal?sslmode=on",
        REDIS_URL="http://x",
        FHIR_GATEWAY_JOURNAL_KEYS=SECRET,
    )

    lines = lines_of(result)
    where = f"{tmp_path}/sources.toml: sources.norr"
    assert lines[:4] == [
        whole("PORT", 1, 65535),
        f"FHIR_GATEWAY_JOURNAL_KEYS: key 1 {NO_KEY}",
        f"REDIS_URL {NO_REDIS}",
        f"DATABASE_URL {BAD_HOST}",
    ]
    assert sorted(lines[4:-1]) == [
        f"{where}.offered_for_s: is shorter than fresh_for_s",
        (
            f"{where}.options.trust: the file /nowhere cannot be read: No such file or"
            " directory"
        ),
        f"{where}.title: Shorter than minimum length 1.",
        f"{where}.units.0.hsa_id: {HSA_ID}",
    ]
    assert lines[-1].startswith(f"{tmp_path}/map.json: ")
    assert result.exit_code == 2


WHERE: Final = (
    "say in FHIR_GATEWAY_DATA_DIR, or DATABASE_URL and FHIR_GATEWAY_JOURNAL_KEYS, where"
    " the gateway keeps them"
)
NO_FOLDER: Final = (
    "FHIR_GATEWAY_DATA_DIR: there is no folder {0}/data; say where the gateway and the"
    " worker keep theirs, or give REDIS_URL"
)


@pytest.mark.parametrize(
    ("command", "environment", "line"),
    [
        pytest.param(
            ["journal", *rest],
            {},
            f"there is no key of a journal at {{0}}/data/journal.key; {WHERE}",
            id=rest[0],
        )
        for rest in (
            ["alarms"],
            ["alarms", "--json"],
            ["reseal"],
            ["settle", "x", "--done"],
        )
    ]
    + [
        pytest.param(
            ["journal", "alarms"],
            {"FHIR_GATEWAY_JOURNAL_KEYS": KEY},
            f"there is no journal at {{0}}/data/journal.sqlite; {WHERE}",
            id="keys and no journal",
        ),
        pytest.param(["sources"], {"REDIS_URL": ""}, NO_FOLDER, id="sources"),
    ],
)
def test_a_command_that_looks_makes_nothing(
    run: Run,
    tmp_path: Path,
    command: list[str],
    environment: Mapping[str, str],
    line: str,
) -> None:
    """In a wrong folder it says which one it looked in, and leaves it as it was."""
    result = run(*command, **environment)

    assert (lines_of(result), result.exit_code) == ([line.format(tmp_path)], 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sources.toml"]


def test_a_folder_where_nothing_runs_differs_from_a_wrong_one(
    run: Run, tmp_path: Path
) -> None:
    """Where the folder is there and no Redis runs in it, none is started."""
    (tmp_path / "data").mkdir()

    result = run("sources", REDIS_URL="")

    assert (lines_of(result), result.exit_code) == (
        [
            (
                f"FHIR_GATEWAY_DATA_DIR: no Redis runs in {tmp_path}/data; start the"
                " gateway or the worker there, or give REDIS_URL"
            )
        ],
        1,
    )
    assert list((tmp_path / "data").iterdir()) == []


def test_another_programs_database_is_left_as_it_is(run: Run, tmp_path: Path) -> None:
    """A SQLite file without a journal is named, and not a byte of it is changed."""
    file = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE cats (name TEXT)")
    before = file.read_bytes()

    result = run(
        "journal",
        "alarms",
        DATABASE_URL=f"sqlite:///{file}",
        FHIR_GATEWAY_JOURNAL_KEYS=KEY,
    )

    assert (lines_of(result), result.exit_code) == (
        [f"there is no journal in {file}"],
        2,
    )
    assert file.read_bytes() == before


KEY_FILE: Final = "the key file {0}/data/journal.key"


@pytest.mark.parametrize(
    ("option", "rights", "fault"),
    [
        pytest.param(
            "certificate",
            0o604,
            "holds a key that everybody on this machine may read: chmod o-rwx",
            id="a readable key",
        ),
        pytest.param(
            "trust",
            0o606,
            "may be changed by everybody on this machine: chmod o-w",
            id="an exchangeable authority",
        ),
    ],
)
def test_unsafe_rights_of_a_certificate_are_a_line(
    run: Run, tmp_path: Path, option: str, rights: int, fault: str
) -> None:
    """A key for mutual TLS is not shown to everybody."""
    path = write_certificate(tmp_path / "tls.pem")
    path.chmod(rights)
    result = run("sources", toml=with_options(f'{option} = "{path}"'))

    assert (lines_of(result), result.exit_code) == (
        [
            (
                f"{tmp_path}/sources.toml: sources.norr.options.{option}: the file"
                f" {path} {fault}"
            )
        ],
        2,
    )


def test_a_file_of_sources_that_everybody_may_change_is_a_line(
    run: Run, tmp_path: Path
) -> None:
    """Else anybody could send the residents' numbers to a region of their own."""
    (tmp_path / "sources.toml").touch()
    (tmp_path / "sources.toml").chmod(0o646)
    result = run("sources")

    assert (lines_of(result), result.exit_code) == (
        [
            (
                f"{tmp_path}/sources.toml: it may be changed by everybody on this"
                " machine: chmod o-w"
            )
        ],
        2,
    )


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        pytest.param(
            b"",
            [
                (
                    f"{KEY_FILE} cannot be used: there is no key: put the key that the"
                    " database was sealed with on the first line, or remove the file to"
                    " have a new one made"
                )
            ],
            id="empty",
        ),
        pytest.param(
            f"{SECRET}\n{SECRET}\n".encode(),
            [f"{KEY_FILE} cannot be used: key {at} {NO_KEY}" for at in (1, 2)],
            id="two wrong ones",
        ),
        pytest.param(
            f"{KEY} {KEY}\n".encode(),
            [f"{KEY_FILE} cannot be used: key 1 {NO_KEY}"],
            id="two on a line",
        ),
        pytest.param(
            b"\xff\xfe",
            [
                (
                    f"{KEY_FILE} is not text: put back the file that the database was"
                    " sealed with"
                )
            ],
            id="no text",
        ),
    ],
)
def test_a_wrong_key_file_is_a_line(
    run: Run, tmp_path: Path, journal_file: Path, content: bytes, lines: list[str]
) -> None:
    """Each wrong key of the file is named by its place, and never shown."""
    key = tmp_path / "data" / "journal.key"
    key.touch(mode=0o600)
    key.write_bytes(content)

    result = run("journal", "alarms", DATABASE_URL=f"sqlite:///{journal_file}")

    expected = [f"FHIR_GATEWAY_JOURNAL_KEYS: {line.format(tmp_path)}" for line in lines]
    assert (lines_of(result), result.exit_code) == (expected, 2)


@pytest.fixture(name="journal_file")
def _journal_file(tmp_path: Path) -> Path:
    """Give a journal without bookings, in the data folder."""
    (tmp_path / "data").mkdir()
    file = tmp_path / "data" / "journal.sqlite"
    database = Database(f"sqlite:///{file}")
    migrate(database.engine)
    database.close()
    return file


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        pytest.param(
            b"no database" * 100,
            "the file is no SQLite database, or is damaged; give another one, or put"
            " back a copy",
            id="no database",
        ),
    ],
)
def test_a_wrong_journal_is_a_line(
    run: Run, tmp_path: Path, content: bytes, advice: str
) -> None:
    """A file that is no journal is reported by the setting that leads to it."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "journal.sqlite").write_bytes(content)

    result = run("journal", "alarms", FHIR_GATEWAY_JOURNAL_KEYS=KEY)

    assert (lines_of(result), result.exit_code) == (
        [f"FHIR_GATEWAY_DATA_DIR: {tmp_path}/data: {advice}"],
        2,
    )


@pytest.mark.parametrize("command", ["serve", "worker"])
@pytest.mark.parametrize(
    ("environment", "line", "code"),
    [
        pytest.param(
            {"FHIR_GATEWAY_DATA_DIR": "/dev/null/data"},
            "FHIR_GATEWAY_DATA_DIR: /dev/null/data cannot be made, or written in (Not a"
            " directory); give a folder where this process may write",
            2,
            id="no folder for Redis",
        ),
        pytest.param(
            {
                "FHIR_GATEWAY_DATA_DIR": "/dev/null/data",
                "REDIS_URL": "redis://127.0.0.1:1",
            },
            "FHIR_GATEWAY_DATA_DIR: /dev/null/data cannot be made, or written in (Not a"
            " directory); give a folder where this process may write",
            2,
            id="no folder for the journal",
        ),
        pytest.param(
            {
                "DATABASE_URL": f"postgresql://u:{SECRET}@127.0.0.1:1/journal",
                "REDIS_URL": "redis://127.0.0.1:1",
            },
            "DATABASE_URL: the database cannot be reached; is it running?",
            1,
            id="no database",
        ),
        pytest.param(
            {
                "DATABASE_URL": f"postgresql://u:{SECRET}@h.invalid/journal",
                "REDIS_URL": "redis://127.0.0.1:1",
            },
            "DATABASE_URL: no host of that name is known; correct the name",
            2,
            id="no such host",
        ),
        pytest.param(
            {
                "DATABASE_URL": "sqlite:////dev/null/journal.sqlite",
                "REDIS_URL": "redis://127.0.0.1:1",
            },
            "DATABASE_URL: the file cannot be opened or made; see that its folder is"
            " there and that this process may write in it",
            2,
            id="no folder for the database",
        ),
    ],
)
def test_what_cannot_start_says_why(
    run: Run, command: str, environment: Mapping[str, str], line: str, code: int
) -> None:
    """A gateway and a worker that lack something end with one line."""
    given: dict[str, Any] = {"REDIS_URL": "", "PORT": str(free_port()), **environment}

    result = run(command, **given)

    assert (lines_of(result), result.exit_code) == ([line], code)


@pytest.mark.parametrize("command", ["serve", "worker"])
@pytest.mark.parametrize(
    "tables",
    [
        pytest.param(["booking"], id="a name of ours"),
        pytest.param(["cats"], id="another name"),
        pytest.param(["alembic_version", "cats"], id="migrated likewise"),
    ],
)
def test_another_programs_database_stops_the_start(
    run: Run, tmp_path: Path, command: str, tables: list[str]
) -> None:
    """A file with another program's tables is named, and not a byte is changed."""
    (tmp_path / "data").mkdir(mode=0o700)
    file = tmp_path / "data" / "journal.sqlite"
    with closing(sqlite3.connect(file)) as connection:
        for table in tables:
            connection.execute(f"CREATE TABLE {table} (name TEXT)")
    before = file.read_bytes()

    result = run(command, REDIS_URL="redis://127.0.0.1:1", PORT=str(free_port()))

    assert (lines_of(result), result.exit_code) == (
        [
            (
                f"FHIR_GATEWAY_DATA_DIR: {tmp_path}/data: the file of the journal has"
                " tables of another program; give a file, or a folder, that this"
                " program alone uses"
            )
        ],
        2,
    )
    assert file.read_bytes() == before


def test_a_folder_in_place_of_the_key_is_a_line(run: Run, tmp_path: Path) -> None:
    """A folder with the name of the key's file is named as a folder."""
    key = tmp_path / "data" / "journal.key"
    key.mkdir(parents=True)
    (tmp_path / "data").chmod(0o700)

    result = run("worker", REDIS_URL="redis://127.0.0.1:1")

    assert (lines_of(result), result.exit_code) == (
        [
            (
                f"FHIR_GATEWAY_JOURNAL_KEYS: the key file {key} is a folder: move it"
                " away, and put the file of the keys in place if there is one"
            )
        ],
        2,
    )


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_a_file_in_place_of_the_data_folder_is_one_line(
    run: Run, tmp_path: Path, command: str
) -> None:
    """Its rights are not complained of as well."""
    (tmp_path / "file").touch(mode=0o644)

    result = run(
        command, FHIR_GATEWAY_DATA_DIR=str(tmp_path / "file"), PORT=str(free_port())
    )

    assert (lines_of(result), result.exit_code) == (
        [
            (
                f"FHIR_GATEWAY_DATA_DIR: {tmp_path}/file cannot be made, or written in"
                " (File exists); give a folder where this process may write"
            )
        ],
        2,
    )


@pytest.mark.parametrize("url", ["ftp://x", "127.0.0.1:8090", "http://", "http://a/b"])
def test_files_for_a_sandbox_that_nobody_can_ask_are_refused(
    run: Run, tmp_path: Path, url: str
) -> None:
    """A wrong URL writes no file."""
    result = run("sandbox-sources", "--to", str(tmp_path / "to"), "--sandbox-url", url)

    assert result.exit_code == 2
    assert "give it as http://host:port" in result.output
    assert not (tmp_path / "to").exists()


def test_staff_without_a_log_service_is_a_line(run: Run, tmp_path: Path) -> None:
    """Each access of staff must be logged, so there is none without a log service."""
    issuers = tmp_path / "issuers.toml"
    issuers.write_text(
        '[[issuer]]\nissuer = "https://a"\njwks_uri = "https://a/k"\nroles = ["staff"]'
    )

    result = run("sources", FHIR_GATEWAY_ISSUERS=str(issuers))

    assert (lines_of(result), result.exit_code) == (
        [
            (
                "FHIR_GATEWAY_LOG_SERVICE: the issuer https://a may give the role"
                " staff, and each access of staff must reach a log service; name the"
                " file of one, or take staff out of the issuer's roles"
            )
        ],
        2,
    )


def test_a_wrong_file_of_standard_time_types_is_a_line(
    run: Run, tmp_path: Path
) -> None:
    """A file that is no CodeSystem stops the start, with its name."""
    path = tmp_path / "standard.json"
    path.write_text("[]", encoding="utf-8")

    result = run("serve", "--open-demo", FHIR_GATEWAY_STANDARD_TIME_TYPES=str(path))

    assert lines_of(result) == [f"{path}: is not a CodeSystem"]
    assert result.exit_code == 2


def test_a_wrong_log_service_is_a_line(run: Run, tmp_path: Path) -> None:
    """All faults of its file are named at once."""
    path = tmp_path / "log.toml"
    path.write_text('endpoint = "http://log.example.org/"\n')

    result = run("sources", FHIR_GATEWAY_LOG_SERVICE=str(path))

    assert (lines_of(result), result.exit_code) == (
        [
            (
                f"{path}: endpoint: sends residents' numbers over the network in plain"
                " text: use https://, or a proxy for TLS on this machine"
                " (http://127.0.0.1:…)"
            ),
            f"{path}: system_id: Missing data for required field.",
        ],
        2,
    )


@pytest.mark.parametrize("command", [("serve",), ("serve", "--open-demo")])
def test_an_unsafe_start_is_a_line(run: Run, command: tuple[str, ...]) -> None:
    """Without access control `serve` starts on demand only, and on loopback only."""
    result = run(
        *command,
        FHIR_GATEWAY_OPEN_DEMO="",
        FHIR_GATEWAY_HOST="10.0.0.5",
        FHIR_GATEWAY_BASE_URL="https://gateway.example.org/fhir",
    )
    expected = {
        1: (
            "FHIR_GATEWAY_ISSUERS is needed: the file of the issuers of the access"
            " tokens that this server accepts. To try it without access control, on"
            " loopback only, start it with --open-demo"
        ),
        2: (
            "FHIR_GATEWAY_HOST: an open demo listens on loopback only, such as"
            " 127.0.0.1"
        ),
    }

    assert (lines_of(result), result.exit_code) == ([expected[len(command)]], 2)


def test_another_command_needs_no_issuers(run: Run) -> None:
    """Nobody can reach a command that only looks."""
    result = run("sources", FHIR_GATEWAY_OPEN_DEMO="")

    assert result.exit_code == 1
    assert "FHIR_GATEWAY_ISSUERS" not in result.stderr


def test_a_web_server_of_another_kind_needs_issuers_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The WSGI application itself refuses what `serve` refuses."""
    monkeypatch.delenv("FHIR_GATEWAY_OPEN_DEMO")

    with (
        pytest.raises(WrongSettings, match="FHIR_GATEWAY_ISSUERS is needed"),
        wsgi.running(),
    ):
        pass
