"""
The issuer's keys: one signs, and those before it stay published while tokens live.
"""

import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, RSAKey

from fhir_gateway.model.timekeeping import Clock
from fhir_gateway.sandbox.json_text import StrictDecoder

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

    def claims_of(self, token: str, *, kind: str) -> Mapping[str, Any] | None:
        """Return what a token of ours says; None for any other text."""
        try:
            read = jwt.decode(
                token, self._published(), [_ALGORITHM], decoder_cls=StrictDecoder
            )
        except (JoseError, ValueError, RecursionError):
            return None
        return read.claims if read.header.get("typ") == kind else None

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
                for key in self._published().keys
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

    def _published(self) -> KeySet:
        present, moment = self._present(), self._clock()
        with self._lock:
            self._former = [each for each in self._former if moment <= each[1]]
            return KeySet([present, *(key for key, _ in self._former)])


def _fresh() -> RSAKey:
    return RSAKey.generate_key(_BITS, auto_kid=True)
