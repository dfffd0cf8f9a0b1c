"""
private_key_jwt: a program proves who it is with a token that it signed.

SMART App Launch 2.2, "Client Authentication: Asymmetric"; RFC 7521, 4.2; RFC 7523.
"""

import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from joserfc.jwk import ECKey, RSAKey

from fhir_gateway.model.timekeeping import Clock, epoch_seconds, instant_from_epoch
from fhir_gateway.sandbox.issuer.clients import Client, Clients
from fhir_gateway.sandbox.issuer.oauth_error import ErrorName, OAuthError
from fhir_gateway.sandbox.issuer.parameters import required
from fhir_gateway.sandbox.issuer.signed_token import (
    MalformedToken,
    SignedToken,
    signed_token,
)

__all__ = ["ALGORITHMS", "ASSERTION_TYPE", "ClientAssertions"]

ALGORITHMS: Final = ("RS384", "ES384")
"""The algorithms that a client may sign with."""

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
"""The only `client_assertion_type`."""

_KEY_TYPES: Final[Mapping[str, type[RSAKey | ECKey]]] = {
    "RS384": RSAKey,
    "ES384": ECKey,
}
_LONGEST: Final = timedelta(minutes=5)
_LEEWAY: Final = timedelta(seconds=30)
# Keys and what they would be checked with come from the registration alone.
_HEADERS: Final = frozenset({"alg", "kid", "typ"})
_LENGTHS_OF_ID: Final = range(8, 129)


class ClientAssertions:
    """
    Finds out which program sends a request.

    Args:
        clients: The programs.
        clock: Returns the time.
    """

    def __init__(self, clients: Clients, clock: Clock) -> None:
        self._clients = clients
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, str], datetime] = {}

    def client_of(
        self, parameters: Mapping[str, str], audiences: frozenset[str]
    ) -> Client:
        """
        Return the program that signed the assertion of a request.

        An assertion counts once: its `jti` is refused until it has expired.

        Args:
            parameters: Those of the request.
            audiences: The URLs that `aud` may be.

        Raises:
            OAuthError: There is no assertion, or it proves nothing.
        """
        if required(parameters, "client_assertion_type") != ASSERTION_TYPE:
            raise _invalid("client_assertion_type is not that of RFC 7523.")
        assertion = _assertion(required(parameters, "client_assertion"))
        claims = assertion.claims
        client = self._signer(assertion)
        if claims.get("sub") != client.id:
            raise _invalid("iss and sub are not both the client_id.")
        if parameters.get("client_id", client.id) != client.id:
            raise _invalid("client_id is not that of the client_assertion.")
        audience = claims.get("aud")
        if not isinstance(audience, str) or audience not in audiences:
            raise _invalid("aud is not exactly the URL of the token endpoint.")
        self._check_times(claims)
        self._check_first(client, claims)
        return client

    def _signer(self, assertion: SignedToken) -> Client:
        """Return the client that the assertion names, if that client signed it."""
        name = assertion.claims.get("iss")
        client = self._clients.get(name) if isinstance(name, str) else None
        algorithm, kid = assertion.header["alg"], assertion.header["kid"]
        if client is not None and any(
            key.kid == kid
            and isinstance(key, _KEY_TYPES[algorithm])
            and assertion.is_signed_with(key, algorithm)
            for key in client.keys
        ):
            return client
        raise _invalid("No registered key of the client has signed the assertion.")

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        moment = self._clock()
        until = _instant(claims, "exp")
        if until is None:
            raise _invalid("exp is missing.")
        if moment >= until + _LEEWAY:
            raise _invalid("The assertion has expired.")
        if until > moment + _LONGEST + _LEEWAY:
            raise _invalid("exp is more than five minutes ahead.")
        for name in ("iat", "nbf"):
            start = _instant(claims, name)
            if start is not None and start > moment + _LEEWAY:
                raise _invalid(f"{name} is in the future.")

    def _check_first(self, client: Client, claims: Mapping[str, Any]) -> None:
        jti, moment = claims.get("jti"), self._clock()
        if not isinstance(jti, str) or len(jti) not in _LENGTHS_OF_ID:
            raise _invalid("jti is no text of 8 to 128 characters.")
        until = instant_from_epoch(claims["exp"]) + _LEEWAY
        with self._lock:
            self._seen = {each: end for each, end in self._seen.items() if moment < end}
            if (client.id, jti) in self._seen:
                raise _invalid("jti was used before.")
            self._seen[client.id, jti] = until


def _assertion(text: str) -> SignedToken:
    try:
        assertion = signed_token(text)
    except MalformedToken:
        raise _invalid("client_assertion is no signed JWT.") from None
    header = assertion.header
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in _KEY_TYPES:
        raise _invalid(f"alg is none of {', '.join(ALGORITHMS)}.")
    if not isinstance(header.get("kid"), str):
        raise _invalid("The header has no kid.")
    if header.get("typ", "JWT") != "JWT" or header.keys() - _HEADERS:
        raise _invalid("The header has more than alg, kid, and typ JWT.")
    return assertion


def _instant(claims: Mapping[str, Any], name: str) -> datetime | None:
    """Return the instant of a claim; None where it is absent."""
    if name not in claims:
        return None
    seconds = claims[name]
    if type(seconds) is not int or not 0 <= seconds < _END_OF_TIME:
        raise _invalid(f"{name} is no whole number of seconds since 1970.")
    return instant_from_epoch(seconds)


_END_OF_TIME: Final = epoch_seconds(datetime.fromisoformat("9999-01-01T00:00:00+00:00"))


def _invalid(description: str) -> OAuthError:
    return OAuthError(ErrorName.INVALID_CLIENT, description)
