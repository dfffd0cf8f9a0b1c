"""
The programs that the issuer knows, with their public keys and redirect URIs.
"""

import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import urlsplit

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey, import_key

from fhir_gateway.sandbox.issuer.persons import DEMO_APP
from fhir_gateway.sandbox.issuer.scopes import directory_scopes

__all__ = ["Client", "Clients", "MalformedClient"]

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_MEMBERS: Final = frozenset({"jwks", "redirect_uris"})
_MOST_KEYS: Final = 10
_MOST_REDIRECTS: Final = 10
_MOST_CLIENTS: Final = 100
_LONGEST_URI: Final = 500
_LEAST_RSA_BITS: Final = 2_048
# 2048 to 8192 bits, in base64url without padding.
_LENGTHS_OF_MODULUS: Final = range(342, 1_367)
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_URI: Final = re.compile(r"https?://[!-~]+")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Client:
    """
    A program that the issuer knows.

    Attributes:
        id: Its `client_id`.
        about: What it is, in Swedish.
        redirect_uris: Where persons' logins may lead, exactly.
        keys: Its public keys; empty until somebody registers some.
        scopes: Those that it gets for itself when it asks for none; empty for a
            program that persons use.
        may_introspect: It may ask what a token is.
    """

    id: str
    about: str
    redirect_uris: frozenset[str] = frozenset()
    keys: tuple[RSAKey | ECKey, ...] = ()
    scopes: frozenset[str] = frozenset()
    may_introspect: bool = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}(id={self.id!r})"


class MalformedClient(ValueError):
    """The description of a client cannot be used; the message says why."""


def _ready_made() -> Iterable[Client]:
    yield Client(
        id=DEMO_APP,
        about="en app för invånare och personal",
        redirect_uris=frozenset(
            {
                "http://127.0.0.1:8765/callback",
                "https://oauth.pstmn.io/v1/callback",
            }
        ),
    )
    yield Client(
        id="region-norr",
        about="Region Norrs eget system",
        scopes=directory_scopes("system", "Appointment.crus"),
        may_introspect=True,
    )
    yield Client(
        id="operator",
        about="gatewayens driftpersonal",
        scopes=directory_scopes("system", "MeasureReport.rs"),
        may_introspect=True,
    )
    yield Client(
        id="gateway",
        about="en resursserver som frågar vad ett token är",
        may_introspect=True,
    )


@dataclass(slots=True)
class Clients:
    """The programs that the issuer knows; a tester adds keys and redirect URIs."""

    _by_id: dict[str, Client] = field(
        default_factory=lambda: {each.id: each for each in _ready_made()}
    )
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, client_id: str) -> Client | None:
        """Return a client, or None."""
        return self._by_id.get(client_id)

    def all(self) -> tuple[Client, ...]:
        """Return all clients."""
        with self._lock:
            return tuple(self._by_id.values())

    def register(self, client_id: str, description: object) -> Client:
        """
        Replace the keys and the redirect URIs of a client.

        An id that is new becomes a program that persons use; it gets nothing for
        itself.

        Args:
            client_id: The id.
            description: `jwks` with public keys, and `redirect_uris`; each may be
                absent.

        Raises:
            MalformedClient: Something in it cannot be used.
        """
        if not _ID.fullmatch(client_id):
            raise MalformedClient("The id has 1 to 64 letters, digits, '.', '_', '-'.")
        if not isinstance(description, dict) or description.keys() - _MEMBERS:
            raise MalformedClient("A client has jwks and redirect_uris only.")
        keys = _public_keys(description.get("jwks"))
        uris = _redirect_uris(description.get("redirect_uris"))
        with self._lock:
            known = self._by_id.get(client_id)
            if known is None and len(self._by_id) >= _MOST_CLIENTS:
                raise MalformedClient(f"There are {_MOST_CLIENTS} clients already.")
            client = replace(
                known or Client(id=client_id, about="en app"),
                keys=keys,
                redirect_uris=uris,
            )
            self._by_id[client_id] = client
        return client


def _public_keys(jwks: object) -> tuple[RSAKey | ECKey, ...]:
    if jwks is None:
        return ()
    if not isinstance(jwks, dict) or not isinstance(jwks.get("keys"), list):
        raise MalformedClient("jwks is an object with a list of keys.")
    if len(jwks["keys"]) > _MOST_KEYS:
        raise MalformedClient(f"jwks has at most {_MOST_KEYS} keys.")
    keys: list[RSAKey | ECKey] = []
    for each in jwks["keys"]:
        if not isinstance(each, dict) or not isinstance(each.get("kid"), str):
            raise MalformedClient("Each key of jwks has a kid.")
        if {"d", "p", "q", "k"} & each.keys():
            raise MalformedClient("jwks has public keys only: keep the private part.")
        # Before the import, which would take a key of any size.
        key = _key(each) if _has_right_size(each) else None
        if key is None:
            raise MalformedClient(
                "A key is RSA of 2048 to 8192 bits (RS384), or EC of P-384 (ES384)."
            )
        keys.append(key)
    return tuple(keys)


def _redirect_uris(uris: object) -> frozenset[str]:
    if uris is None:
        return frozenset()
    if not isinstance(uris, list) or len(uris) > _MOST_REDIRECTS:
        raise MalformedClient(
            f"redirect_uris is a list of at most {_MOST_REDIRECTS} URIs."
        )
    if not all(isinstance(each, str) and _is_redirect(each) for each in uris):
        raise MalformedClient(
            "A redirect URI is https, or http on loopback, and has no fragment."
        )
    return frozenset(uris)


def _has_right_size(jwk: Mapping[str, Any]) -> bool:
    modulus, exponent = jwk.get("n"), jwk.get("e")
    if jwk.get("kty") == "RSA" and isinstance(modulus, str):
        return len(modulus) in _LENGTHS_OF_MODULUS and exponent == "AQAB"
    return jwk.get("kty") == "EC" and jwk.get("crv") == "P-384"


def _key(jwk: Mapping[str, Any]) -> RSAKey | ECKey | None:
    """Return a key; None where it cannot be read."""
    try:
        key = import_key(dict(jwk))
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    if isinstance(key, RSAKey):
        is_long = int(key.raw_value.key_size) >= _LEAST_RSA_BITS
        return key if is_long else None
    return key if isinstance(key, ECKey) else None


def _is_redirect(uri: str) -> bool:
    if len(uri) > _LONGEST_URI or not _URI.fullmatch(uri) or "#" in uri:
        return False
    try:
        parts = urlsplit(uri)
        host = parts.hostname
        is_port = parts.port != 0
    except ValueError:
        return False
    if not host or not is_port or "@" in parts.netloc:
        return False
    return parts.scheme == "https" or host in _LOOPBACK
