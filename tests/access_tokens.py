"""
Access tokens and their issuers, made on the spot.
"""

from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry

from fhir_gateway.access.issuer_schema import ALGORITHMS
from fhir_gateway.access.issuers import ClaimNames, Client, Issuer
from fhir_gateway.access.key_set import Key, KeySet
from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.principal import Role

__all__ = [
    "AT",
    "AUDIENCE",
    "CLAIMS",
    "ISSUER",
    "NORR",
    "NURSE",
    "RESIDENT",
    "SYSTEM",
    "compact",
    "issuer",
    "key_of",
    "key_set",
    "key_set_json",
    "public_jwk",
    "signed",
]

ISSUER: Final = "https://idp.example.org"
AUDIENCE: Final = "https://gateway.example.org/fhir"
AT: Final = datetime(2026, 11, 30, 12, tzinfo=UTC)
_NOW: Final = int(AT.timestamp())

CLAIMS: Final[Mapping[str, Any]] = {
    "iss": ISSUER,
    "aud": AUDIENCE,
    "sub": "subject-1",
    "client_id": "app",
    "jti": "0123456789abcdef",
    "iat": _NOW,
    "exp": _NOW + 300,
}
"""The claims that every token needs."""

RESIDENT: Final[Mapping[str, Any]] = CLAIMS | {
    "acr": "http://id.elegnamnden.se/loa/1.0/loa3",
    "scope": "patient/Appointment.cruds",
    "https://id.oidc.se/claim/personalIdentityNumber": "191212121212",
}
NURSE: Final[Mapping[str, Any]] = CLAIMS | {
    "acr": "http://id.elegnamnden.se/loa/1.0/loa3",
    "scope": "user/Appointment.c",
    "employeeHsaId": "SE2321000016-1001",
    "commissionHsaId": "SE2321000016-2002",
    "commissionPurpose": "Vård och behandling",
    "healthCareUnitHsaId": "SE2321000016-A01",
    "healthCareProviderHsaId": "SE2321000016-0000",
}
SYSTEM: Final[Mapping[str, Any]] = CLAIMS | {
    "sub": "region-norr",
    "client_id": "region-norr",
    "scope": "system/Appointment.rs",
}
NORR: Final = Client(
    issuer=ISSUER,
    id="region-norr",
    role=Role.SYSTEM,
    units=("SE2321000016",),
    organisation=HsaId("SE2321000016-0000"),
)

_CURVES: Final = {"ES256": "P-256", "ES384": "P-384"}


def issuer(
    *,
    name: str = ISSUER,
    jwks_uri: str | None = None,
    trust: Path | None = None,
    audience: str = AUDIENCE,
    roles: frozenset[Role] = frozenset(
        {Role.RESIDENT, Role.STAFF, Role.SYSTEM, Role.OPERATOR}
    ),
    algorithms: tuple[str, ...] = ALGORITHMS,
    longest_token_s: int = 3600,
) -> Issuer:
    """Return an issuer with the default names of claims."""
    return Issuer(
        issuer=name,
        jwks_uri=jwks_uri or f"{name}/jwks",
        trust=trust,
        audience=audience,
        roles=roles,
        algorithms=algorithms,
        acr=frozenset({"http://id.elegnamnden.se/loa/1.0/loa3"}),
        longest_token_s=longest_token_s,
        claims=ClaimNames(
            number=(
                "https://id.oidc.se/claim/personalIdentityNumber",
                "https://id.oidc.se/claim/coordinationNumber",
            ),
            number_level="https://id.oidc.se/claim/coordinationNumberLevel",
            staff="employeeHsaId",
            assignment="commissionHsaId",
            purpose="commissionPurpose",
            unit="healthCareUnitHsaId",
            provider="healthCareProviderHsaId",
        ),
        authorization_endpoint=None,
        token_endpoint=None,
        introspection_endpoint=None,
    )


def key_of(algorithm: str, kid: str = "1") -> Key:
    """Return the private key for an algorithm; the same each time."""
    return _key(_CURVES.get(algorithm), kid)


@cache
def _key(curve: str | None, kid: str) -> Key:  # noqa: ARG001 - another key for each
    return ECKey.generate_key(curve) if curve else RSAKey.generate_key(2048)


def public_jwk(algorithm: str, kid: str = "1", **more: Any) -> dict[str, Any]:
    """Return the public key as an issuer publishes it."""
    return {
        **key_of(algorithm, kid).as_dict(private=False),
        "kid": f"{algorithm}-{kid}",
        "use": "sig",
        "alg": algorithm,
        **more,
    }


def key_set_json(*keys: Mapping[str, Any]) -> bytes:
    """Return a key set; without keys, that of every algorithm's first key."""
    return orjson.dumps(
        {"keys": keys or [public_jwk(algorithm) for algorithm in ALGORITHMS]}
    )


def key_set(
    of: Issuer | None = None, fetch: Callable[[], bytes] = key_set_json
) -> KeySet:
    """Return the key set of an issuer, fetched once."""
    result = KeySet(of or issuer(), fetch)
    result.refresh()
    return result


def signed(
    claims: Mapping[str, Any],
    *,
    algorithm: str = "ES256",
    kid: str = "1",
    **header: Any,
) -> str:
    """
    Return a token with a good signature.

    Args:
        claims: Its claims.
        algorithm: It signs.
        kid: Which key of the algorithm signs.
        header: Further members of the header; `kid_` in place of the right `kid`, and
            None for none.
    """
    head = {"alg": algorithm, "typ": "at+jwt", "kid": f"{algorithm}-{kid}"}
    head |= {name.removesuffix("_"): header[name] for name in header}
    return compact(
        orjson.dumps({name: head[name] for name in head if head[name] is not None}),
        orjson.dumps(claims),
        algorithm=algorithm,
        key=key_of(algorithm, kid),
    )


def compact(header: bytes, payload: bytes, *, algorithm: str, key: Any) -> str:
    """Return any header and payload, signed with any key and algorithm."""
    signing_input = _encoded(header) + b"." + _encoded(payload)
    signature = JWSRegistry.algorithms[algorithm].sign(signing_input, key)
    return (signing_input + b"." + _encoded(signature)).decode("ascii")


def _encoded(content: bytes) -> bytes:
    return urlsafe_b64encode(content).rstrip(b"=")
