"""
Reads signed tokens strictly, and checks their signatures (RFC 7515, RFC 7519).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry, extract_compact, validate_compact
from joserfc.util import urlsafe_b64decode

from fhir_gateway.model.json_reading import UnreadableJson, read_json

__all__ = ["MalformedToken", "SignedToken", "signed_token"]

_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


class MalformedToken(ValueError):
    """The text is no signed token."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SignedToken:
    """
    A token with a signature that nobody has checked yet.

    Attributes:
        text: The whole token.
        header: What it says of its signature.
        claims: What it says.
    """

    text: str
    header: Mapping[str, Any]
    claims: Mapping[str, Any]

    def is_signed_with(self, key: RSAKey | ECKey, algorithm: str) -> bool:
        """Return whether the signature is that of a key and an algorithm."""
        registry = JWSRegistry(algorithms=[algorithm], strict_check_header=False)
        try:
            signed = extract_compact(self.text.encode("ascii"), registry=registry)
            return validate_compact(signed, key, registry=registry)
        except (JoseError, ValueError, TypeError):
            return False


def signed_token(text: str) -> SignedToken:
    """
    Return a token of which nothing is checked yet.

    Raises:
        MalformedToken: The text is no signed token.
    """
    if not _COMPACT.fullmatch(text):
        raise MalformedToken
    header, claims, _ = text.split(".")
    return SignedToken(text=text, header=_object(header), claims=_object(claims))


def _object(segment: str) -> Mapping[str, Any]:
    try:
        value = read_json(urlsafe_b64decode(segment.encode("ascii")))
    except (UnreadableJson, ValueError):
        raise MalformedToken from None
    if not isinstance(value, dict):
        raise MalformedToken
    return value
