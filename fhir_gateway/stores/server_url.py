"""
The URL of a storage server: its parts, or each fault in it.

RFC 3986, section 3, and the list of hosts that libpq and others allow. No fault repeats
text that may be a part of a password.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, unquote

__all__ = ["Host", "ServerUrl", "WrongUrl", "server_url"]

_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^?#]*)(?:\?(.*))?")
_NO_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_UNPRINTED: Final = re.compile(r"[\s\x00-\x1f\x7f]")
_HOST: Final = re.compile(
    r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._~%-]*))"
    r"(?::(?P<port>[0-9]*))?"
)
_PORTS: Final = range(1, 65_536)


class WrongUrl(ValueError):
    """
    A URL has the wrong form.

    Attributes:
        faults: One sentence each, beginning in lower case; none repeats the URL.
    """

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """Where a server listens; without a port, at the usual port of its kind."""

    name: str
    port: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerUrl:
    """
    The parts of a URL, without escapes.

    Attributes:
        scheme: In lower case.
        hosts: Empty where it names none.
        path: With the slash that it begins with; empty where there is none.
        query: Names and values, in order.
    """

    scheme: str
    username: str | None
    password: str | None = field(repr=False)
    hosts: tuple[Host, ...]
    path: str
    query: tuple[tuple[str, str], ...] = field(repr=False)


def server_url(text: str) -> ServerUrl:
    """
    Return the parts of a URL.

    Raises:
        WrongUrl: It is no URL of a server, or it is ambiguous.
    """
    if _UNPRINTED.search(text):
        raise WrongUrl(["has a space or a line break in it: write %20 for a space"])
    if "#" in text:
        raise WrongUrl(["has a # in it: write %23 where a password has one"])
    if "%00" in text:
        raise WrongUrl(["has a %00 in it: neither a name nor a password has a NUL"])
    matched = _URL.fullmatch(text)
    if matched is None:
        raise WrongUrl(["is no URL"])
    scheme, authority, path, query = matched.groups(default="")
    escape = "write %40 for @, %3A for :, %2F for / and %3F for ? in it"
    if authority.count("@") > 1 or "@" in path:
        raise WrongUrl([f"has an @ in its user name or password: {escape}"])
    if authority and "@" not in authority and "@" in query:
        raise WrongUrl([f"has a ? in its user name or password: {escape}"])
    if _NO_ESCAPE.search(authority + path + query):
        raise WrongUrl(["has a % that begins no escape: write %25 for it"])
    userinfo, _, listed = authority.rpartition("@")
    username, colon, password = userinfo.partition(":")
    faults: list[str] = []
    hosts = _hosts(listed, faults)
    parameters = _parameters(query, faults)
    if faults:
        raise WrongUrl(faults)
    return ServerUrl(
        scheme=scheme.lower(),
        username=unquote(username) or None,
        password=unquote(password) if colon else None,
        hosts=hosts,
        path=unquote(path),
        query=parameters,
    )


def _hosts(listed: str, faults: list[str]) -> tuple[Host, ...]:
    if not listed:
        return ()
    hosts = []
    for each in listed.split(","):
        matched = _HOST.fullmatch(each)
        if matched is None:
            faults.append(
                "has a host or a port that cannot be: expected host:port after the"
                " last @"
            )
            return ()
        port = matched["port"]
        if port and (len(port) > len("65535") or int(port) not in _PORTS):
            faults.append("has a port that is no number from 1 to 65535")
            return ()
        name = matched["ipv6"] or unquote(matched["name"])
        if not name:
            faults.append("has no host where one is expected")
            return ()
        hosts.append(Host(name=name, port=int(port) if port else None))
    return tuple(hosts)


def _parameters(query: str, faults: list[str]) -> tuple[tuple[str, str], ...]:
    if not query:
        return ()
    try:
        return tuple(parse_qsl(query, keep_blank_values=True, strict_parsing=True))
    except ValueError:
        faults.append("has a parameter without a value after its ?")
        return ()
