"""
Settings from the environment; docs/configuration.md describes each.

The module has over 400 lines, since each variable's check and words stand beside it.
"""

import errno
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from fhir_gateway.model.client_limits import ClientLimits
from fhir_gateway.model.loopback import is_loopback
from fhir_gateway.stores.database_url import (
    WrongDatabase,
    database_url,
    sqlite_url,
)
from fhir_gateway.stores.redis_url import WrongRedis, redis_url
from fhir_gateway.stores.sealing import Seal, UnusableKey
from fhir_gateway.web.peer import NO_PROXIES, TrustedProxies

__all__ = [
    "ENVIRONMENT",
    "JOURNAL_FILE",
    "Settings",
    "WrongSettings",
    "service_links",
    "url_host",
]

JOURNAL_FILE: Final = "journal.sqlite"
"""The name of the journal's file in the data folder."""

_WHOLE_NUMBER: Final = re.compile(r"[0-9]{1,9}")
_PORTS: Final = range(1, 65_536)
_OWN_PORT: Final = re.compile(r"^(https://[^/]*):443$|^(http://[^/]*):80$")
# Kubernetes sets such variables in each container for a Service, named after it: a
# Service called fhir-gateway or sandbox makes names that look like settings. For
# NAME_PORT the value decides as well.
_SERVICE_LINK: Final = re.compile(
    r".+_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?"
    r"|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_SERVICE_LINK_PORT: Final = re.compile(r"(tcp|udp|sctp)://\S+:[0-9]{1,5}")
# RFC 3986, section 3.3: the characters of a path.
_URL: Final = re.compile(
    r"https?://[A-Za-z0-9.:\[\]-]+(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*)?"
)
_SLOT: Final = "{slot}"
_LINK: Final = re.compile(
    r"https?://[A-Za-z0-9.:\[\]-]+[/?#](?:[A-Za-z0-9._~!$&'()*+,;=:@/?#-]|%[0-9A-Fa-f]{2})*"
)
_HOST: Final = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._-]+)?")

_HOST_NAME: Final = re.compile(r"(?!.*\.\.)[a-z0-9](?:[a-z0-9.\-]*[a-z0-9])?")
_DOTTED_DIGITS: Final = re.compile(r"[0-9.]+\.[0-9]+")
# A server that listens everywhere answers at these addresses.
_UNSPECIFIED: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - never listened on
# Of each limit of a client or a resident; there is no "off".
_LIMITS: Final = range(1, 1_000_001)
_LIMIT: Final = "FHIR_GATEWAY_LIMIT_"

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})

# RFC 6454, 6.2.
_ORIGIN: Final = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
# The kernel allows 107 bytes for a socket's path.
_LONGEST_SOCKET: Final = 107

ENVIRONMENT: Final = {
    "FHIR_GATEWAY_SOURCES": "the TOML file of sources; default sources.toml",
    "FHIR_GATEWAY_PUBLIC_SEARCH": (
        "yes to let anybody search free times and units without a token; default no"
    ),
    "FHIR_GATEWAY_STANDARD_TIME_TYPES": (
        "the CodeSystem supplement of the standard time types: their names, and which"
        " is narrower than which; default: this project's"
    ),
    "FHIR_GATEWAY_ISSUERS": (
        "the TOML file of trusted issuers of access tokens; `serve` needs it"
    ),
    "FHIR_GATEWAY_OPEN_DEMO": (
        "yes to serve without access control, on loopback only, as --open-demo does;"
        " default no"
    ),
    "FHIR_GATEWAY_LOG_SERVICE": (
        "the TOML file of the log service for staff access; default: none"
    ),
    "FHIR_GATEWAY_ENGAGEMENT_INDEX": (
        "the TOML file of the engagement index; default: none"
    ),
    "FHIR_GATEWAY_MANDATES": (
        "the URL on loopback of the sandbox's register of guardians and proxies;"
        " default: none, and nobody acts for another person"
    ),
    "FHIR_GATEWAY_DATA_DIR": "the folder of the embedded stores; default .fhir-gateway",
    "FHIR_GATEWAY_HOST": (
        "the address to listen on, or unix:/path for a socket; default 127.0.0.1"
    ),
    "PORT": "the port to listen on; default 8080",
    "FHIR_GATEWAY_BASE_URL": (
        "the FHIR base that clients use; default http://HOST:PORT/fhir of the server's"
        " address"
    ),
    "FHIR_GATEWAY_ALLOWED_HOSTS": (
        "further names that clients may call this server by, separated by commas;"
        " default: none beside the base URL's host, the address and loopback"
    ),
    "FHIR_GATEWAY_TRUSTED_PROXIES": (
        "addresses and networks of proxies that report the client's address and"
        " certificate, separated by commas; default: none, so that nobody is believed"
    ),
    "FHIR_GATEWAY_CORS_ORIGINS": (
        "origins of web pages that may call this server, separated by commas; default:"
        " none"
    ),
    "FHIR_GATEWAY_BOOKING_LINK": (
        "the page where a resident begins to book, with {slot} for the slot's id, for"
        " the open feed; default: none"
    ),
    "FHIR_GATEWAY_CANONICAL_BASE": (
        "the base of our canonicals; default https://fhir-gateway.example.org"
    ),
    "FHIR_GATEWAY_PROCESSES": "web processes; default 1",
    "FHIR_GATEWAY_THREADS": "threads of a web process; default 32",
    "FHIR_GATEWAY_ANSWERS_WITHIN_S": (
        "seconds until a booking is answered with 202 and goes on by itself; default 10"
    ),
    "FHIR_GATEWAY_LISTS_WITHIN_S": (
        "seconds that a resident's list of bookings waits for the regions; default 5"
    ),
    "FHIR_GATEWAY_JOURNAL_KEYS": (
        "keys that seal personal data, newest first, separated by commas;"
        " default: one made in the data folder"
    ),
    "FHIR_GATEWAY_DRAINS_FOR_S": (
        "seconds that a stopping gateway goes on answering, and closes each connection"
        " with its answer; default 5"
    ),
    "FHIR_GATEWAY_WIPED_AFTER_DAYS": (
        "days after a visit until all that is personal is wiped; default 30"
    ),
    "FHIR_GATEWAY_LIMIT_SEARCHES": (
        "searches and reads of open data that one client may make a minute; default"
        " 3000"
    ),
    "FHIR_GATEWAY_LIMIT_REGION_CALLS": (
        "requests that ask a region which one client may make a minute; default 300"
    ),
    "FHIR_GATEWAY_LIMIT_FAILED_LOOKS": (
        "requests for an unknown appointment, or with a refused token, that one client"
        " may make an hour; default 120"
    ),
    "FHIR_GATEWAY_LIMIT_REQUEST_KEYS": (
        "request keys that one client may send an hour; default 6000"
    ),
    "FHIR_GATEWAY_LIMIT_HOLDS": "times that one client may hold at once; default 100",
    "FHIR_GATEWAY_LIMIT_HOLDS_AN_HOUR": (
        "times that one client may hold an hour, each renewal counted; default 600"
    ),
    "FHIR_GATEWAY_LIMIT_RESIDENT_HOLDS": (
        "times that may be held for one resident at once; default 2"
    ),
    "FHIR_GATEWAY_LIMIT_RESIDENT_BOOKINGS": (
        "bookings that one resident may have ahead; default 30"
    ),
    "FHIR_GATEWAY_AUDIT_KEPT_DAYS": (
        "days that the rows of the audit trail are kept; default 1826, five years"
    ),
    "REDIS_URL": "Redis; default: one of our own in the data folder",
    "DATABASE_URL": "SQLite or PostgreSQL; default: SQLite in the data folder",
    "SANDBOX_PORT": "the port of the sandbox's regions; default 8090",
}


class WrongSettings(ValueError):
    """
    The environment has unusable settings.

    Attributes:
        faults: One sentence each, naming the variable.
    """

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """
    The settings of the program.

    Attributes:
        hosts: The names that clients may call the server by, in lower case, without a
            port; an address of IPv6 without brackets.
        public_search: Free times and units can be searched without a token.
        issuers: None without access tokens.
        open_demo: Serve without access control.
        log_service: None without staff access.
        engagement_index: None without an index.
        mandates: The URL of a register; None where nobody acts for another person.
        proxies: The proxies that may report a client's address and certificate.
        origins: The origins of web pages that may call this server, as browsers write
            them.
        booking_link: A URL with `{slot}` in it; None for none.
        redis_url: None for one of our own.
        database_url: SQLite in the data folder when DATABASE_URL is not set.
        has_own_database: DATABASE_URL is not set.
        limits: How much one client and one resident may ask.
        journal_keys: Empty for one that is made in the data folder.
    """

    sources: Path
    standard_time_types: Path | None
    public_search: bool
    issuers: Path | None
    open_demo: bool
    log_service: Path | None
    engagement_index: Path | None
    mandates: str | None
    data_dir: Path
    host: str
    port: int
    base_url: str
    hosts: frozenset[str]
    proxies: TrustedProxies
    origins: frozenset[str]
    booking_link: str | None
    canonical_base: str
    processes: int
    threads: int
    answers_within_s: int
    lists_within_s: int
    drains_for_s: int
    wiped_after_days: int
    audit_kept_days: int
    limits: ClientLimits
    journal_keys: tuple[str, ...]
    redis_url: str | None
    database_url: str
    has_own_database: bool
    sandbox_port: int

    @property
    def socket(self) -> Path | None:
        """Return the unix socket to listen on; None for an address and a port."""
        return _socket(self.host)

    def serving_faults(self) -> tuple[str, ...]:
        """
        Return why it would be unsafe to serve with these settings, one sentence each.

        Other commands need no access control: nobody can reach them.
        """
        faults = []
        if self.issuers is None and not self.open_demo:
            faults.append(
                "FHIR_GATEWAY_ISSUERS is needed: the file of the issuers of the access"
                " tokens that this server accepts. To try it without access control, on"
                " loopback only, start it with --open-demo"
            )
        if self.issuers is not None and self.open_demo:
            faults.append(
                "FHIR_GATEWAY_ISSUERS and --open-demo (FHIR_GATEWAY_OPEN_DEMO)"
                " contradict each other: give one of them"
            )
        if self.open_demo and not is_loopback(self.host):
            faults.append(
                "FHIR_GATEWAY_HOST: an open demo listens on loopback only, such as"
                " 127.0.0.1"
            )
        base = urlsplit(self.base_url)
        if (
            not self.open_demo
            and base.scheme == "http"
            and not is_loopback(base.hostname or "")
        ):
            faults.append(
                "FHIR_GATEWAY_BASE_URL must begin with https://, since clients send"
                " access tokens to it; http:// is for loopback only"
            )
        return tuple(faults)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """
        Return the settings of an environment.

        A container platform's service links are left out: see `service_links`.

        Raises:
            WrongSettings: A variable is wrong, or one beginning with FHIR_GATEWAY_ is
                unknown; all faults are listed.
        """
        links = service_links(environment)
        environment = {
            name: value for name, value in environment.items() if name not in links
        }
        faults = [
            f"{name} is not a setting; see fhir-gateway --help"
            for name in sorted(environment)
            if name.startswith("FHIR_GATEWAY_") and name not in ENVIRONMENT
        ]
        for name in ENVIRONMENT:
            if not _is_text(environment.get(name, "")):
                faults.append(f"{name} has a byte that is no UTF-8: write it in UTF-8")
                del environment[name]
        numbers = {
            name: _number(environment, name, default, allowed, faults)
            for name, default, allowed in (
                ("PORT", 8080, _PORTS),
                ("SANDBOX_PORT", 8090, _PORTS),
                ("FHIR_GATEWAY_PROCESSES", 1, range(1, 257)),
                # One thread for requests that may wait for a region, one for the
                # others.
                ("FHIR_GATEWAY_THREADS", 32, range(2, 1025)),
                ("FHIR_GATEWAY_ANSWERS_WITHIN_S", 10, range(1, 61)),
                ("FHIR_GATEWAY_LISTS_WITHIN_S", 5, range(1, 61)),
                ("FHIR_GATEWAY_DRAINS_FOR_S", 5, range(61)),
                ("FHIR_GATEWAY_WIPED_AFTER_DAYS", 30, range(1, 3651)),
                # HSLF-FS 2016:40, 4 chapter, 9 §: at least five years.
                ("FHIR_GATEWAY_AUDIT_KEPT_DAYS", 1826, range(1, 36_501)),
            )
        }
        limits = {
            name: _number(
                environment, f"{_LIMIT}{name.upper()}", default, _LIMITS, faults
            )
            for name, default in asdict(ClientLimits()).items()
        }
        port = numbers["PORT"]
        host = _text(environment, "FHIR_GATEWAY_HOST") or "127.0.0.1"
        urls = {
            name: _url(environment, name, default, faults)
            for name, default in (
                ("FHIR_GATEWAY_BASE_URL", f"http://{url_host(host)}:{port}/fhir"),
                ("FHIR_GATEWAY_CANONICAL_BASE", "https://fhir-gateway.example.org"),
            )
        }
        faults.extend(_host_faults(environment, host))
        origins = _origins(environment, "FHIR_GATEWAY_CORS_ORIGINS", faults)
        proxies = _proxies(environment, host, faults)
        hosts = _hosts(environment, "FHIR_GATEWAY_ALLOWED_HOSTS", faults)
        standard = _text(environment, "FHIR_GATEWAY_STANDARD_TIME_TYPES")
        issuers = _text(environment, "FHIR_GATEWAY_ISSUERS")
        log_service = _text(environment, "FHIR_GATEWAY_LOG_SERVICE")
        index = _text(environment, "FHIR_GATEWAY_ENGAGEMENT_INDEX")
        mandates = _on_loopback(environment, "FHIR_GATEWAY_MANDATES", faults)
        booking_link = _link(environment, "FHIR_GATEWAY_BOOKING_LINK", faults)
        public_search = _yes(environment, "FHIR_GATEWAY_PUBLIC_SEARCH", faults)
        open_demo = _yes(environment, "FHIR_GATEWAY_OPEN_DEMO", faults)
        data_dir = Path(_text(environment, "FHIR_GATEWAY_DATA_DIR") or ".fhir-gateway")
        if data_dir.parts[:1] and data_dir.parts[0].startswith("~"):
            faults.append(
                "FHIR_GATEWAY_DATA_DIR begins with ~, which only a shell expands: give"
                " the whole path, or ./ before the name"
            )
        journal_keys = _journal_keys(environment, faults)
        redis = _text(environment, "REDIS_URL") or None
        if redis is not None:
            try:
                redis_url(redis)
            except WrongRedis as error:
                faults.extend(f"REDIS_URL {fault}" for fault in error.faults)
        database = _text(environment, "DATABASE_URL")
        if database:
            try:
                database_url(database)
            except WrongDatabase as error:
                faults.extend(f"DATABASE_URL {fault}" for fault in error.faults)
        folder = _resolved(data_dir, faults)
        if faults:
            raise WrongSettings(faults)
        return cls(
            sources=Path(_text(environment, "FHIR_GATEWAY_SOURCES") or "sources.toml"),
            standard_time_types=Path(standard) if standard else None,
            public_search=public_search,
            issuers=Path(issuers) if issuers else None,
            open_demo=open_demo,
            log_service=Path(log_service) if log_service else None,
            engagement_index=Path(index) if index else None,
            mandates=mandates,
            data_dir=data_dir,
            host=host,
            port=port,
            base_url=urls["FHIR_GATEWAY_BASE_URL"],
            hosts=hosts
            | _LOOPBACK
            | {urlsplit(urls["FHIR_GATEWAY_BASE_URL"]).hostname or host}
            | ({host.lower()} if _socket(host) is None else set())
            - _UNSPECIFIED.keys(),
            proxies=proxies,
            origins=origins,
            booking_link=booking_link,
            canonical_base=urls["FHIR_GATEWAY_CANONICAL_BASE"],
            processes=numbers["FHIR_GATEWAY_PROCESSES"],
            threads=numbers["FHIR_GATEWAY_THREADS"],
            answers_within_s=numbers["FHIR_GATEWAY_ANSWERS_WITHIN_S"],
            lists_within_s=numbers["FHIR_GATEWAY_LISTS_WITHIN_S"],
            drains_for_s=numbers["FHIR_GATEWAY_DRAINS_FOR_S"],
            wiped_after_days=numbers["FHIR_GATEWAY_WIPED_AFTER_DAYS"],
            audit_kept_days=numbers["FHIR_GATEWAY_AUDIT_KEPT_DAYS"],
            limits=ClientLimits(**limits),
            journal_keys=journal_keys,
            redis_url=redis,
            database_url=database or sqlite_url(folder / JOURNAL_FILE),
            has_own_database=not _text(environment, "DATABASE_URL"),
            sandbox_port=numbers["SANDBOX_PORT"],
        )


def url_host(host: str) -> str:
    """
    Return the URL's host for a server that listens on an address or a name.

    An address of IPv6 stands in brackets (RFC 3986, 3.2.2), its zone after `%25` (RFC
    6874); for a server that listens everywhere it is loopback.
    """
    host = _UNSPECIFIED.get(host, host)
    return f"[{host.replace('%', '%25')}]" if ":" in host else host


def service_links(environment: Mapping[str, str]) -> tuple[str, ...]:
    """
    Return the variables that a container platform set for a Service, sorted.

    Only those with names that look like settings: `FHIR_GATEWAY_PORT=tcp://…` of a
    Service called fhir-gateway, `SANDBOX_PORT=tcp://…` of one called sandbox.
    """
    return tuple(
        name
        for name in sorted(environment)
        if (name.startswith("FHIR_GATEWAY_") or name in ENVIRONMENT)
        and (
            _SERVICE_LINK.fullmatch(name)
            or (
                name.endswith("_PORT")
                and _SERVICE_LINK_PORT.fullmatch(environment[name].strip())
            )
        )
    )


def _is_text(value: str) -> bool:
    """Return whether a variable is UTF-8; Python keeps other bytes as surrogates."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _text(environment: Mapping[str, str], name: str) -> str:
    """Return a setting without the line's end of a secrets file."""
    return environment.get(name, "").strip()


def _resolved(data_dir: Path, faults: list[str]) -> Path:
    """Return the real path of the data folder, also where it does not exist."""
    name = "FHIR_GATEWAY_DATA_DIR"
    try:
        folder = data_dir.resolve()
        # Some releases of Python resolve a loop to itself.
        folder.stat()
    except FileNotFoundError:
        if not data_dir.is_absolute() and _is_nowhere():
            faults.append(
                f"{name}: the folder that this process runs in was removed; start it in"
                " another one, or give an absolute path"
            )
            return data_dir
        return folder
    except (OSError, RuntimeError) as error:
        loops = isinstance(error, RuntimeError) or error.errno == errno.ELOOP
        if loops:
            faults.append(
                f"{name} is a symbolic link that leads to itself; give a folder"
            )
            return data_dir
    return folder


def _is_nowhere() -> bool:
    """Return whether the folder that this process runs in is gone."""
    try:
        Path.cwd()
    except FileNotFoundError:
        return True
    return False


def _journal_keys(environment: Mapping[str, str], faults: list[str]) -> tuple[str, ...]:
    text = _text(environment, "FHIR_GATEWAY_JOURNAL_KEYS")
    keys = tuple(key.strip() for key in text.split(",") if key.strip())
    if text and not keys:
        # Otherwise a new key in the data folder would replace a lost one.
        faults.append("FHIR_GATEWAY_JOURNAL_KEYS: there is no key between its commas")
    if keys:
        try:
            Seal(keys)
        except UnusableKey as error:
            faults.extend(
                f"FHIR_GATEWAY_JOURNAL_KEYS: {fault}" for fault in error.faults
            )
    return keys


def _number(
    environment: Mapping[str, str],
    name: str,
    default: int,
    allowed: range,
    faults: list[str],
) -> int:
    text = _text(environment, name)
    if not text:
        return default
    if not _WHOLE_NUMBER.fullmatch(text) or int(text) not in allowed:
        faults.append(
            f"{name} must be a whole number from {allowed[0]} to {allowed[-1]}"
        )
        return default
    return int(text)


def _yes(environment: Mapping[str, str], name: str, faults: list[str]) -> bool:
    text = _text(environment, name).lower()
    if text not in ("", "yes", "no"):
        faults.append(f"{name} must be yes or no")
    return text == "yes"


def _hosts(
    environment: Mapping[str, str], name: str, faults: list[str]
) -> frozenset[str]:
    hosts = [
        text.strip().lower().removesuffix(".")
        for text in environment.get(name, "").split(",")
        if text.strip()
    ]
    if not all(map(_is_host, hosts)):
        faults.append(
            f"{name} must be names or addresses without ports, separated by commas"
        )
    return frozenset(hosts)


def _host_faults(environment: Mapping[str, str], host: str) -> Iterator[str]:
    if (path := _socket(host)) is not None:
        if not path.is_absolute() or len(os.fsencode(path)) > _LONGEST_SOCKET:
            yield (
                "FHIR_GATEWAY_HOST must be unix: and an absolute path of at most"
                f" {_LONGEST_SOCKET} bytes"
            )
        if not _text(environment, "FHIR_GATEWAY_BASE_URL"):
            yield (
                "FHIR_GATEWAY_BASE_URL is needed where FHIR_GATEWAY_HOST is a unix"
                " socket: the FHIR base that clients use"
            )
    elif not _is_listened_on(host):
        yield (
            "FHIR_GATEWAY_HOST must be an address or a host name, without a port, or"
            " unix: and the path of a socket"
        )


def _socket(host: str) -> Path | None:
    scheme, colon, path = host.partition(":")
    return Path(path) if colon and scheme == "unix" else None


def _proxies(
    environment: Mapping[str, str], host: str, faults: list[str]
) -> TrustedProxies:
    name = "FHIR_GATEWAY_TRUSTED_PROXIES"
    try:
        return TrustedProxies.parse(
            _text(environment, name), has_socket=_socket(host) is not None
        )
    except ValueError as error:
        faults.append(f"{name} {error}")
        return NO_PROXIES


def _origins(
    environment: Mapping[str, str], name: str, faults: list[str]
) -> frozenset[str]:
    # A browser writes an origin in lower case, and without the scheme's own port.
    origins = [
        _OWN_PORT.sub(r"\1\2", text.strip().lower())
        for text in _text(environment, name).split(",")
        if text.strip()
    ]
    if not all(_ORIGIN.fullmatch(each) and _has_host(each) for each in origins):
        faults.append(
            f"{name} must be origins such as https://app.example.org, separated by"
            " commas: a scheme, a host and perhaps a port, without a path and without *"
        )
    elif any(
        each.startswith("http:") and not is_loopback(urlsplit(each).hostname or "")
        for each in origins
    ):
        faults.append(
            f"{name}: an origin on another machine must begin with https://, since"
            " anybody on the network can change a page that came by http://"
        )
    return frozenset(origins)


def _url(
    environment: Mapping[str, str], name: str, default: str, faults: list[str]
) -> str:
    text = _text(environment, name)
    if not text:
        return default
    text = _lower_scheme(text)
    is_http = text.startswith(("http://", "https://"))
    text = text.rstrip("/")
    if not is_http:
        faults.append(f"{name} must be a URL that begins with http:// or https://")
    elif "@" in text:
        faults.append(f"{name} must have no user name or password: clients see it")
    elif "?" in text or "#" in text:
        faults.append(f"{name} must have no ? and no #: paths are put after it")
    elif not _URL.fullmatch(text) or not _has_host(text):
        faults.append(
            f"{name} is no URL of a host: expected https://host/path, where the host"
            " is a name or an address, a port is from 1 to 65535, and the path has only"
            " what a URL may have"
        )
    return text


def _link(environment: Mapping[str, str], name: str, faults: list[str]) -> str | None:
    """Return a link with one place for a slot's id, or None."""
    text = _text(environment, name)
    if not text:
        return None
    text = _lower_scheme(text)
    if (
        text.count(_SLOT) != 1
        or not _LINK.fullmatch(text.replace(_SLOT, "-"))
        or _SLOT in urlsplit(text).netloc
        or not _has_host(text)
    ):
        faults.append(
            f"{name} must be a link such as https://book.example.org/?slot={_SLOT},"
            f" with {_SLOT} once, behind the host"
        )
    return text


def _on_loopback(
    environment: Mapping[str, str], name: str, faults: list[str]
) -> str | None:
    """Return a URL that never leaves this machine: personal numbers are sent to it."""
    found: list[str] = []
    url = _url(environment, name, "", found)
    faults.extend(found)
    if url and not found and not is_loopback(urlsplit(url).hostname or ""):
        faults.append(
            f"{name} must be on loopback: only the sandbox has such a register yet"
        )
    return url or None


def _lower_scheme(url: str) -> str:
    scheme, colon, rest = url.partition(":")
    return f"{scheme.lower()}{colon}{rest}"


def _is_listened_on(host: str) -> bool:
    """Return whether a text is an address or a name, without a port."""
    if not _HOST.fullmatch(host):
        return False
    if ":" not in host:
        return True
    try:
        IPv6Address(host)
    except ValueError:
        return False
    return True


def _has_host(url: str) -> bool:
    """Return whether a URL's host is a name or an address, and its port is one."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.port == 0 or parts.netloc.endswith(":"):
            return False
        return _is_host(host)
    except ValueError:
        return False


def _is_host(text: str) -> bool:
    """Return whether a text is a name in lower case, or an address without a zone."""
    try:
        if ":" in text:
            return IPv6Address(text).scope_id is None
        if _DOTTED_DIGITS.fullmatch(text):
            IPv4Address(text)
    except ValueError:
        return False
    return bool(_HOST_NAME.fullmatch(text))
