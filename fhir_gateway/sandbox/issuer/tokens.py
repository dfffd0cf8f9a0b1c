"""
Makes access tokens (RFC 9068) and ID tokens (OpenID Connect Core 1.0, 2).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

from fhir_gateway.model.timekeeping import Clock, epoch_seconds
from fhir_gateway.sandbox.issuer.clients import Client
from fhir_gateway.sandbox.issuer.persons import Person
from fhir_gateway.sandbox.issuer.signing_keys import LONGEST_LIFE, SigningKeys

__all__ = ["IssuedToken", "Tokens"]

_ACCESS: Final = "at+jwt"
_ID: Final = "JWT"
# SMART App Launch 2.2, Backend Services: "SHOULD NOT exceed 300 seconds".
_LIFE_OF_A_SYSTEM: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class IssuedToken:
    """An access token, with what its client learns of it."""

    text: str
    life: timedelta
    scopes: frozenset[str]

    def as_mapping(self) -> dict[str, Any]:
        """Return the members of a successful token response (RFC 6749, 5.1)."""
        return {
            "access_token": self.text,
            "token_type": "Bearer",
            "expires_in": int(self.life.total_seconds()),
            "scope": " ".join(sorted(self.scopes)),
        }


class Tokens:
    """
    Makes tokens, and reads them again.

    Args:
        issuer: The issuer's own name.
        audience: The FHIR base that access tokens are for.
        keys: Sign.
        clock: Returns the time.
    """

    def __init__(
        self, issuer: str, audience: str, keys: SigningKeys, clock: Clock
    ) -> None:
        self._issuer = issuer
        self._audience = audience
        self._keys = keys
        self._clock = clock

    def for_person(
        self, person: Person, client_id: str, scopes: frozenset[str]
    ) -> IssuedToken:
        """Return an access token for a program that a person uses."""
        return self._access(
            {
                **person.claims,
                "sub": person.subject,
                "auth_time": epoch_seconds(self._clock()),
            },
            client_id,
            scopes,
            LONGEST_LIFE,
        )

    def for_client(
        self,
        client: Client,
        scopes: frozenset[str],
        life: timedelta = _LIFE_OF_A_SYSTEM,
    ) -> IssuedToken:
        """Return an access token for a program that acts for itself."""
        return self._access({"sub": client.id}, client.id, scopes, life)

    def id_token(self, person: Person, client_id: str, nonce: str | None) -> str:
        """Return an ID token: who logged in, for the program that asked."""
        moment = epoch_seconds(self._clock())
        claims = {
            **person.claims,
            "iss": self._issuer,
            "sub": person.subject,
            "aud": client_id,
            "iat": moment,
            "auth_time": moment,
            "exp": moment + int(LONGEST_LIFE.total_seconds()),
        }
        if nonce is not None:
            claims["nonce"] = nonce
        return self._keys.sign(claims, kind=_ID)

    def introspected(self, text: str) -> dict[str, Any]:
        """
        Return what an access token is (RFC 7662, 2.2), with the scopes of SMART 2.2.

        Of a token that is not ours, or that has expired, it says nothing more than
        that.
        """
        claims = self._valid(text)
        if claims is None:
            return {"active": False}
        return {"active": True, "token_type": "Bearer", **claims}

    def client_of(self, text: str) -> str | None:
        """Return the client that got an access token for itself; None for any other."""
        claims = self._valid(text)
        if claims is None or claims["sub"] != claims["client_id"]:
            return None
        return str(claims["client_id"])

    def _valid(self, text: str) -> Mapping[str, Any] | None:
        claims = self._keys.claims_of(text, kind=_ACCESS)
        if claims is None or claims["exp"] <= epoch_seconds(self._clock()):
            return None
        return claims

    def _access(
        self,
        about: Mapping[str, Any],
        client_id: str,
        scopes: frozenset[str],
        life: timedelta,
    ) -> IssuedToken:
        moment = epoch_seconds(self._clock())
        claims = {
            **about,
            "iss": self._issuer,
            "aud": self._audience,
            "client_id": client_id,
            "scope": " ".join(sorted(scopes)),
            "jti": str(uuid4()),
            "iat": moment,
            "exp": moment + int(life.total_seconds()),
        }
        return IssuedToken(
            text=self._keys.sign(claims, kind=_ACCESS), life=life, scopes=scopes
        )
