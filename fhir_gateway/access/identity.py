"""
Who asks: the principal of a request.
"""

import hmac
import re
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Protocol

from fhir_gateway.access.issuers import Client
from fhir_gateway.access.key_set import Keys, KeySet
from fhir_gateway.access.role import principal_from_token
from fhir_gateway.access.token import MOST_TOKEN_BYTES, verified_token
from fhir_gateway.model.errors import Unauthenticated
from fhir_gateway.model.principal import Principal, Role
from fhir_gateway.model.timekeeping import Clock, epoch_seconds, now

__all__ = ["Identifies", "Identity", "OpenDemo"]

_ANYBODY: Final = Principal(role=Role.ANYBODY)
_ANYONE: Final = Principal(role=Role.DEMO)

# RFC 9110, 11.4; RFC 6750, 2.1.
_BEARER: Final = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)
_MOST_BYTES: Final = MOST_TOKEN_BYTES + len("Bearer  ")
_REMEMBERED_S: Final = 60
_MOST_REMEMBERED: Final = 10_000
# A server that has just started answers no token with 503 if its issuers are quick.
_FIRST_KEYS_S: Final = 3.0


class Identifies(Protocol):
    """Finds out who asks."""

    def principal_of(
        self, authorization: str | None, certificate: bytes | None = None
    ) -> Principal:
        """
        Return who asks; the role is ANYBODY where the request has no token.

        Args:
            authorization: The value of the field `Authorization`; None without one.
            certificate: The client's certificate of mutual TLS, in DER, as a trusted
                proxy passes it; None without one.

        Raises:
            Unauthenticated: The field is no valid bearer token. The message repeats
                nothing of it.
            NotPermitted: The token is valid and gives no role.
            Unavailable: The keys of its issuer are not known yet.
        """


class OpenDemo:
    """Lets everybody do everything: only for a demo on this machine."""

    def principal_of(
        self,
        authorization: str | None,  # noqa: ARG002 - the Protocol has this parameter
        certificate: bytes | None = None,  # noqa: ARG002 - the Protocol has this parameter
    ) -> Principal:
        """Return a principal of role DEMO."""
        return _ANYONE


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _Known:
    """
    The principal of a verified token.

    Attributes:
        principal: The principal.
        keys: The keys that it was checked with.
        key_set: Where the present ones are.
        certificate: The thumbprint of the certificate that it is bound to.
        since: When it was verified, in seconds since 1970.
        until: When it must be verified again.
    """

    principal: Principal
    keys: Keys
    key_set: KeySet
    certificate: str | None
    since: int
    until: int

    def holds(self, at: int) -> bool:
        """Return whether the token need not be verified again."""
        # The clock may have been set back.
        return self.since <= at < self.until and self.keys is self.key_set.keys


class Identity:
    """
    Finds out who asks by the tokens of trusted issuers.

    A verified token is remembered for a minute, never past its end, and not when its
    issuer has changed its keys.

    Args:
        key_sets: The keys of each issuer.
        clients: The known clients.
        clock: Returns the current time.
        most_remembered: How many verified tokens are remembered.
    """

    def __init__(
        self,
        key_sets: Iterable[KeySet],
        clients: Iterable[Client] = (),
        *,
        clock: Clock = now,
        most_remembered: int = _MOST_REMEMBERED,
    ) -> None:
        self._most_remembered = most_remembered
        self._issuers = {each.issuer.issuer: each for each in key_sets}
        self._clients = {(each.issuer, each.id): each for each in clients}
        self._clock = clock
        self._known: dict[bytes, _Known] = {}
        self._lock = threading.Lock()

    def start(self) -> None:
        """Keep the keys of all issuers up to date, until `stop`."""
        for each in self._issuers.values():
            each.start()
        deadline = time.monotonic() + _FIRST_KEYS_S
        for each in self._issuers.values():
            each.wait(max(0, deadline - time.monotonic()))

    def stop(self) -> None:
        """Stop fetching keys."""
        for each in self._issuers.values():
            each.stop()

    def principal_of(
        self, authorization: str | None, certificate: bytes | None = None
    ) -> Principal:
        """Return who asks; see `Identifies`."""
        if authorization is None:
            return _ANYBODY
        if len(authorization) > _MOST_BYTES:
            raise Unauthenticated("The access token is too long.")
        at = epoch_seconds(self._clock())
        # Not the token itself: the memory of a process may be written out.
        digest = sha256(authorization.encode("utf-8", "surrogatepass")).digest()
        known = self._known.get(digest)
        if known is None or not known.holds(at):
            known = self._verified(_bearer_token(authorization), at)
            self._remember(digest, known)
        _check_certificate(known.certificate, certificate)
        return known.principal

    def _verified(self, text: str, at: int) -> _Known:
        token = verified_token(text, self._issuers, at)
        return _Known(
            principal=principal_from_token(token, self._clients),
            keys=token.keys,
            key_set=self._issuers[token.issuer.issuer],
            certificate=token.certificate,
            since=at,
            until=min(at + _REMEMBERED_S, token.expires_at),
        )

    def _remember(self, digest: bytes, known: _Known) -> None:
        with self._lock:
            self._known.pop(digest, None)
            self._known[digest] = known
            # The first is the one that was verified longest ago. Nobody's number stays
            # in memory for longer than it is of use.
            while (
                len(self._known) > self._most_remembered
                or next(iter(self._known.values())).since + _REMEMBERED_S <= known.since
            ):
                del self._known[next(iter(self._known))]

    @property
    def remembered(self) -> int:
        """Return how many verified tokens are remembered."""
        return len(self._known)


def _bearer_token(authorization: str) -> str:
    if match := _BEARER.fullmatch(authorization):
        return match[1]
    # RFC 6750, 3.1: who authenticates in another way learns the way, and no error.
    is_bearer = authorization[:6].lower() == "bearer"
    raise Unauthenticated(
        "Send one Authorization field: Bearer, a blank, and the access token.",
        is_without_token=not is_bearer,
    )


def _check_certificate(expected: str | None, certificate: bytes | None) -> None:
    """Check that a bound token came with the certificate that it is bound to."""
    if expected is None:
        return
    given = sha256(certificate).digest() if certificate is not None else b""
    thumbprint = urlsafe_b64encode(given).rstrip(b"=")
    if not hmac.compare_digest(thumbprint, expected.encode("ascii")):
        raise Unauthenticated(
            "The access token is bound to a client certificate: send it over mutual TLS"
            " with that certificate."
        )
