"""
The issuer's keys: one signs, and those before it stay published while tokens live.
"""

import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from joserfc import jwt
from joserfc.jwk import RSAKey

from fhir_gateway.model.timekeeping import Clock
from fhir_gateway.sandbox.issuer.signed_token import MalformedToken, signed_token

__all__ = ["LONGEST_LIFE", "SigningKeys"]

LONGEST_LIFE: Final = timedelta(hours=1)
"""The longest life of a token."""

_ALGORITHM: Final = "RS256"
_BITS: Final = 2_048


class SigningKeys:
    """
    Signs tokens, and publishes the keys to verify them with.

    The first key is made when it is needed: most sandboxes never need one.

    Args:
        clock: Returns the time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._current: RSAKey | None = None
        self._former: list[tuple[RSAKey, datetime]] = []

    def sign(self, claims: Mapping[str, Any], *, kind: str) -> str:
        """
        Return a signed token.

        Args:
            claims: What it says.
            kind: Its type, as `at+jwt` (RFC 9068).
        """
        key = self._present()
        return jwt.encode(
            {"alg": _ALGORITHM, "typ": kind, "kid": key.kid},
            dict(claims),
            key,
            algorithms=[_ALGORITHM],
        )

    def claims_of(self, text: str, *, kind: str) -> Mapping[str, Any] | None:
        """Return what a token of ours says; None for any other text."""
        try:
            token = signed_token(text)
        except MalformedToken:
            return None
        is_ours = token.header.get("typ") == kind and any(
            token.header.get("kid") == key.kid and token.is_signed_with(key, _ALGORITHM)
            for key in self._published()
        )
        return token.claims if is_ours else None

    def as_jwks(self) -> dict[str, Any]:
        """Return the published keys as a JSON Web Key Set (RFC 7517)."""
        return {
            "keys": [
                {
                    **key.as_dict(private=False),
                    "kid": key.kid,
                    "use": "sig",
                    "alg": _ALGORITHM,
                }
                for key in self._published()
            ]
        }

    def rotate(self) -> None:
        """Sign with a new key from now on; publish the former while tokens live."""
        fresh = _fresh()
        with self._lock:
            if self._current is not None:
                self._former.append((self._current, self._clock() + LONGEST_LIFE))
            self._current = fresh

    def _present(self) -> RSAKey:
        with self._lock:
            if self._current is None:
                self._current = _fresh()
            return self._current

    def _published(self) -> tuple[RSAKey, ...]:
        present, moment = self._present(), self._clock()
        with self._lock:
            self._former = [each for each in self._former if moment <= each[1]]
            return (present, *(key for key, _ in self._former))


def _fresh() -> RSAKey:
    return RSAKey.generate_key(_BITS, auto_kid=True)
