"""
Access tokens: signed JWTs (RFC 7519, RFC 9068, RFC 8725) of trusted issuers.

All that a token says is hostile until its signature is checked, and much of it then:
sizes and types are checked here. A refusal repeats nothing of the token.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry, extract_compact, validate_compact
from joserfc.util import urlsafe_b64decode

from fhir_gateway.access.issuers import Issuer
from fhir_gateway.access.key_set import Keys, KeySet
from fhir_gateway.model.errors import Party, Unauthenticated, Unavailable
from fhir_gateway.model.json_reading import UnreadableJson, read_json

__all__ = ["LEEWAY_S", "MOST_TOKEN_BYTES", "Token", "verified_token"]

MOST_TOKEN_BYTES: Final = 8_192
"""Bytes of an access token."""

LEEWAY_S: Final = 30
"""Seconds by which the clocks of an issuer and of this server may differ."""

_MOST_HEADER: Final = 2_048
_MOST_SCOPES: Final = 100
_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_TYPES: Final = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})
# RFC 8725, 3.10: who takes a key from a token checks nothing. RFC 7515, 4.1.11, and RFC
# 7797: what `crit` names would have to be understood.
_REFUSED: Final = frozenset({"jwk", "jku", "x5u", "x5c", "crit", "b64"})
_KID: Final = re.compile(r"[ -~]{1,256}")
# RFC 6749, appendix A: VSCHAR. Principals are compared by these, so no line break.
_NAME: Final = re.compile(r"[ -~]{1,255}")
_JTI: Final = re.compile(r"[ -~]{8,128}")
_SCOPE: Final = re.compile(r"[!#-\[\]-~]{1,512}")
# RFC 8705, 3.1: SHA-256 in base64url.
_THUMBPRINT: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_LAST_SECOND: Final = 2**53

_UNREADABLE: Final = "The access token cannot be read: send a signed JWT."
_UNVERIFIED: Final = "The access token is not signed by an issuer that is trusted here."
_CLAIMS: Final = "The access token lacks a claim, or a claim has a wrong form."
_AUDIENCE: Final = "The access token is for another server."
_EXPIRED: Final = "The access token has expired: get a new one."
_EARLY: Final = "The access token is not valid yet."
_LASTING: Final = "The access token is valid for longer than this server accepts."


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Token:
    """
    A token with a valid signature that is valid now.

    Attributes:
        issuer: Who signed it.
        keys: The keys of the issuer that it was checked with.
        user: `sub`.
        client: `client_id`, or `azp`.
        scopes: `scope`.
        expires_at: `exp`, in seconds since 1970.
        certificate: The thumbprint of the client's certificate that it is bound to
            (`cnf`, RFC 8705), in base64url; None where it is not bound.
        claims: All its claims. Those that no other attribute has are still unchecked.
    """

    issuer: Issuer
    keys: Keys
    user: str
    client: str
    scopes: frozenset[str]
    expires_at: int
    certificate: str | None
    claims: Mapping[str, Any]


def verified_token(text: str, issuers: Mapping[str, KeySet], at: int) -> Token:
    """
    Return what a token says, after all checks.

    Args:
        text: The token.
        issuers: The keys of the trusted issuers, by `iss`.
        at: Now, in seconds since 1970.

    Raises:
        Unauthenticated: It is not valid.
        Unavailable: The keys of its issuer were never fetched yet.
    """
    if len(text) > MOST_TOKEN_BYTES or not _COMPACT.fullmatch(text):
        raise Unauthenticated(_UNREADABLE)
    first, second, _ = text.split(".")
    header, claims = _object(first), _object(second)
    name = claims.get("iss")
    key_set = issuers.get(name) if isinstance(name, str) else None
    if key_set is None:
        raise Unauthenticated(_UNVERIFIED)
    keys = key_set.keys
    if keys is None:
        raise Unavailable(
            "The keys of the access token's issuer are not known yet: try again soon.",
            party=Party.GATEWAY,
        )
    _check_signature(text, header, key_set.issuer, keys)
    return _token(claims, key_set.issuer, keys, at)


def _object(segment: str) -> dict[str, Any]:
    """Return the JSON object of a segment; no name in it comes twice."""
    try:
        value = read_json(urlsafe_b64decode(segment.encode("ascii")))
    except (UnreadableJson, ValueError) as error:
        raise Unauthenticated(_UNREADABLE) from error
    if not isinstance(value, dict):
        raise Unauthenticated(_UNREADABLE)
    return value


def _check_signature(
    text: str, header: Mapping[str, Any], issuer: Issuer, keys: Keys
) -> None:
    algorithm, kid, type_ = (
        header.get("alg"),
        header.get("kid"),
        header.get("typ", "JWT"),
    )
    if (
        algorithm not in issuer.algorithms
        or not (kid is None or (isinstance(kid, str) and _KID.fullmatch(kid)))
        or not (isinstance(type_, str) and type_.lower() in _TYPES)
        or not _REFUSED.isdisjoint(header)
    ):
        raise Unauthenticated(_UNVERIFIED)
    key = keys.key(kid, algorithm)
    if key is None:
        raise Unauthenticated(_UNVERIFIED)
    registry = JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    registry.max_header_length = _MOST_HEADER
    try:
        signed = extract_compact(text.encode("ascii"), registry=registry)
        is_valid = validate_compact(signed, key, registry=registry)
    except (JoseError, ValueError, TypeError) as error:
        raise Unauthenticated(_UNVERIFIED) from error
    if not is_valid:
        raise Unauthenticated(_UNVERIFIED)


def _token(claims: Mapping[str, Any], issuer: Issuer, keys: Keys, at: int) -> Token:
    expires_at = _check_times(claims, issuer, at)
    if claims.get("aud") not in (issuer.audience, [issuer.audience]):
        raise Unauthenticated(_AUDIENCE)
    _text(claims, "jti", _JTI)
    client = _client(claims)
    return Token(
        issuer=issuer,
        keys=keys,
        user=_text(claims, "sub", _NAME),
        client=client,
        scopes=_scopes(claims.get("scope", "")),
        expires_at=expires_at,
        certificate=_certificate(claims),
        claims=claims,
    )


def _check_times(claims: Mapping[str, Any], issuer: Issuer, at: int) -> int:
    """Return when the token expires."""
    expires_at, issued_at = _second(claims.get("exp")), _second(claims.get("iat"))
    starts_at = _second(claims.get("nbf", issued_at))
    if expires_at <= issued_at:
        raise Unauthenticated(_CLAIMS)
    if expires_at - issued_at > issuer.longest_token_s:
        raise Unauthenticated(_LASTING)
    if expires_at + LEEWAY_S <= at:
        raise Unauthenticated(_EXPIRED)
    if max(issued_at, starts_at) > at + LEEWAY_S:
        raise Unauthenticated(_EARLY)
    return expires_at


def _second(value: object) -> int:
    # `True` is an int of Python.
    if type(value) is not int or not 0 <= value < _LAST_SECOND:
        raise Unauthenticated(_CLAIMS)
    return value


def _text(claims: Mapping[str, Any], name: str, form: re.Pattern[str]) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not form.fullmatch(value):
        raise Unauthenticated(_CLAIMS)
    return value


def _client(claims: Mapping[str, Any]) -> str:
    """Return the client: RFC 9068 calls it `client_id`, OpenID Connect `azp`."""
    named = {
        _text(claims, name, _NAME) for name in ("client_id", "azp") if name in claims
    }
    if len(named) != 1:
        raise Unauthenticated(_CLAIMS)
    return named.pop()


def _scopes(value: object) -> frozenset[str]:
    """Return the scopes of a list with blanks between them (RFC 8693, 4.2)."""
    if not isinstance(value, str):
        raise Unauthenticated(_CLAIMS)
    scopes = frozenset(value.split(" ")) - {""}
    if len(scopes) > _MOST_SCOPES or not all(map(_SCOPE.fullmatch, scopes)):
        raise Unauthenticated(_CLAIMS)
    return scopes


def _certificate(claims: Mapping[str, Any]) -> str | None:
    if "cnf" not in claims:
        return None
    match claims["cnf"]:
        # A token that is bound to anything else, such as a key of DPoP (RFC 9449), is
        # no bearer token.
        case {"x5t#S256": str(thumbprint), **others} if (
            not others and _THUMBPRINT.fullmatch(thumbprint)
        ):
            return thumbprint
        case _:
            raise Unauthenticated(_CLAIMS)
