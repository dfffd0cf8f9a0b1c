"""
Who is at the other end of a connection: an address, and a client certificate.

A proxy in front reports both in header fields: `Forwarded` (RFC 7239) or
`X-Forwarded-For`, `-Proto` and `-Host`, and `Client-Cert` (RFC 9440). Anybody can write
such fields, so this module reads them only where the connection itself comes from a
proxy that the operator trusts, and ignores them otherwise.
"""

import re
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Container, Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from wsgiref.types import WSGIEnvironment

from cryptography.x509 import load_der_x509_certificate
from flask import g

from fhir_gateway.fhir.outcome import Issue, Problem, ProblemKind
from fhir_gateway.web.field_value import list_members, word
from fhir_gateway.web.request_head import REPEATED, UNDERSCORED, host_of

__all__ = [
    "NO_PROXIES",
    "Peer",
    "TrustedProxies",
    "present_peer",
    "read_peer",
    "remember_peer",
]

_NAMES: Final = {
    "HTTP_FORWARDED": "Forwarded",
    "HTTP_X_FORWARDED_FOR": "X-Forwarded-For",
    "HTTP_X_FORWARDED_PROTO": "X-Forwarded-Proto",
    "HTTP_X_FORWARDED_HOST": "X-Forwarded-Host",
    "HTTP_CLIENT_CERT": "Client-Cert",
    "HTTP_CLIENT_CERT_CHAIN": "Client-Cert-Chain",
}
# The others are lists: a proxy may add a line of its own to them.
_SINGLE: Final = (
    *("HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST"),
    *("HTTP_CLIENT_CERT",),
)
_MOST_HOPS: Final = 20
# RFC 8941, 3.3.5: a byte sequence.
_BYTES: Final = re.compile(r":([A-Za-z0-9+/]+={0,2}):")
# RFC 7239, 6: an address with or without a port, `unknown`, or a name for one.
_NODE: Final = re.compile(
    r"(?:(?P<v4>[0-9.]+)|\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<bare>[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*"
    r":[0-9A-Fa-f:.]*)|(?P<hidden>unknown|_[A-Za-z0-9._-]+))(?::[0-9]{1,5}|:_[A-Za-z0-9._-]+)?"
)
_PAIRS: Final = frozenset({"for", "by", "host", "proto"})


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Peer:
    """
    The client at the other end, as this server or a trusted proxy sees it.

    Attributes:
        address: Its IP address; empty where nobody knows it.
        certificate: The client certificate that the proxy verified, in DER, or None.
    """

    address: str
    certificate: bytes | None = None

    @property
    def thumbprint(self) -> str | None:
        """Return the certificate's `x5t#S256` (RFC 8705, 3.1), or None without one."""
        if self.certificate is None:
            return None
        digest = sha256(self.certificate).digest()
        return urlsafe_b64encode(digest).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedProxies:
    """
    The connections from which the fields of a proxy are read.

    Attributes:
        networks: The addresses of the proxies.
        has_socket: This server listens on a unix socket, so that its folder's rights
            decide who connects.
    """

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    has_socket: bool = False

    @classmethod
    def parse(cls, text: str, *, has_socket: bool = False) -> "TrustedProxies":
        """
        Return the proxies of a setting: addresses and networks, separated by commas.

        Raises:
            ValueError: One of them is neither, or means everybody; the message is the
                rest of a sentence about the setting.
        """
        networks = []
        for each in text.split(","):
            if not each.strip():
                continue
            try:
                network = ip_network(each.strip())
            except ValueError:
                raise ValueError(
                    "must be addresses or networks such as 10.0.0.5 or 10.0.1.0/24,"
                    " separated by commas, with no bit set behind a network's length"
                ) from None
            if network.prefixlen == 0:
                raise ValueError(
                    "trusts everybody: then anybody can claim any address and any"
                    " certificate; list the addresses of your proxies"
                )
            networks.append(network)
        return cls(networks=tuple(networks), has_socket=has_socket)

    def trust(self, address: str) -> bool:
        """Return whether a connection from an address comes from a trusted proxy."""
        if not address:
            return self.has_socket
        return bool(self.networks) and _is_within(self.networks, address)


NO_PROXIES: Final = TrustedProxies()


def remember_peer(peer: Peer) -> None:
    """Keep the peer for the rest of the present request."""
    g.fhir_gateway_peer = peer


def present_peer() -> Peer:
    """Return the peer of the present request."""
    peer: Peer = g.fhir_gateway_peer
    return peer


def read_peer(
    environ: WSGIEnvironment,
    proxies: TrustedProxies,
    *,
    hosts: Container[str],
    is_https: bool,
) -> Peer:
    """
    Return the peer of a request.

    Args:
        environ: The WSGI environment (PEP 3333).
        proxies: The proxies that may report the client.
        hosts: The names of this server, for the host that a client asked the proxy for.
        is_https: Clients must use TLS.

    Raises:
        Problem: 400 for a field with an underscore in place of a hyphen, from anybody.
            From a trusted proxy also 400 for a malformed or repeated field or for plain
            HTTP in place of TLS, and 421 for another host's name.
    """
    for name in environ.get(UNDERSCORED, ()):
        if name in _NAMES:
            raise _refused(f"Write {_NAMES[name]} with hyphens.", _NAMES[name])
    address = _usual(environ.get("REMOTE_ADDR", ""))
    if not proxies.trust(address):
        return Peer(address=address)
    repeated = environ.get(REPEATED, ())
    for name in _SINGLE:
        if name in repeated:
            raise _refused(f"Send one {_NAMES[name]}.", _NAMES[name])
    if "HTTP_FORWARDED" in environ and "HTTP_X_FORWARDED_FOR" in environ:
        raise _refused(
            "Send Forwarded or X-Forwarded-For, not both: the proxy must remove the one"
            " that it does not write.",
            "Forwarded",
        )
    hops = list(_hops(environ))
    if len(hops) > _MOST_HOPS:
        raise _refused("The request came through too many proxies.", "Forwarded")
    hop = _Hop(
        address=address,
        proto=environ.get("HTTP_X_FORWARDED_PROTO"),
        host=environ.get("HTTP_X_FORWARDED_HOST"),
    )
    # Each proxy adds its own peer at the end: the last one that no proxy of ours is.
    while hops and proxies.trust(hop.address):
        hop = hops.pop()
        if not hop.address:
            break
    _check_scheme(hop.proto, is_https=is_https)
    _check_host(hop.host, hosts)
    return Peer(
        address=hop.address, certificate=_certificate(environ.get("HTTP_CLIENT_CERT"))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hop:
    """What a proxy says of the connection that it received."""

    address: str
    proto: str | None
    host: str | None


def _hops(environ: WSGIEnvironment) -> Iterator[_Hop]:
    if (listed := environ.get("HTTP_X_FORWARDED_FOR")) is not None:
        for each in listed.split(","):
            yield _Hop(
                address=_node(each.strip(), "X-Forwarded-For"),
                proto=environ.get("HTTP_X_FORWARDED_PROTO"),
                host=environ.get("HTTP_X_FORWARDED_HOST"),
            )
    for member in list_members(environ.get("HTTP_FORWARDED", "")):
        yield _forwarded(member)


def _forwarded(pairs: list[str]) -> _Hop:
    said: dict[str, str] = {}
    for pair in pairs:
        name, _, value = pair.strip().partition("=")
        if name.lower() not in _PAIRS or name.lower() in said:
            raise _refused(
                "Forwarded must have pairs of for, by, host and proto, each once (RFC"
                " 7239, section 4).",
                "Forwarded",
            )
        said[name.lower()] = word(value)
    return _Hop(
        address=_node(said.get("for", "unknown"), "Forwarded"),
        proto=said.get("proto"),
        host=said.get("host"),
    )


def _node(text: str, field: str) -> str:
    """Return the address of a node; empty where the proxy hides it."""
    match = _NODE.fullmatch(text)
    if match is not None:
        if match["hidden"]:
            return ""
        try:
            return _canonical(match["v4"] or match["v6"] or match["bare"])
        except ValueError:
            pass
    raise _refused(f"{field} must list addresses (RFC 7239, section 6).", field)


def _check_scheme(proto: str | None, *, is_https: bool) -> None:
    if proto is None:
        return
    if proto.lower() not in ("http", "https"):
        raise _refused("The scheme must be http or https.", "X-Forwarded-Proto")
    if is_https and proto.lower() == "http":
        raise _refused(
            "Use https: what you sent went over the network in plain text. Nothing was"
            " done; have the token replaced, if there was one.",
            "X-Forwarded-Proto",
        )


def _check_host(host: str | None, hosts: Container[str]) -> None:
    if host is None or host_of(host) in hosts:
        return
    raise Problem(
        [
            Issue(
                code="not-supported",
                diagnostics=(
                    "This server does not answer to the host that the proxy names. Its"
                    " operator lists the names in FHIR_GATEWAY_ALLOWED_HOSTS."
                ),
                parameter="X-Forwarded-Host",
            )
        ],
        kind=ProblemKind.MISDIRECTED,
    )


def _certificate(field: str | None) -> bytes | None:
    if field is None:
        return None
    match = _BYTES.fullmatch(field.strip())
    try:
        certificate = b64decode(match[1], validate=True) if match else b""
        # A proxy that passes on something else would bind tokens to it.
        load_der_x509_certificate(certificate)
    except ValueError:
        raise _refused(
            "Client-Cert must be one certificate in DER, as base64 between colons (RFC"
            " 9440).",
            "Client-Cert",
        ) from None
    return certificate


@lru_cache(maxsize=1024)
def _canonical(address: str) -> str:
    """Return an address in its one spelling; ValueError: it is none."""
    return _usual(str(ip_address(address)))


def _usual(address: str) -> str:
    """Return an address of IPv4 as such, also where a socket of IPv6 reports it."""
    if ":" not in address:
        return address
    return _without_mapping(address)


@lru_cache(maxsize=1024)
def _without_mapping(address: str) -> str:
    try:
        mapped = IPv6Address(address).ipv4_mapped
    except ValueError:
        return address
    return str(mapped) if mapped else address


@lru_cache(maxsize=1024)
def _is_within(networks: tuple[IPv4Network | IPv6Network, ...], address: str) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return any(found in network for network in networks)


def _refused(diagnostics: str, field: str) -> Problem:
    return Problem(
        [Issue(code="value", diagnostics=diagnostics, parameter=field)],
        kind=ProblemKind.MALFORMED,
    )
