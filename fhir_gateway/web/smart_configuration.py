"""
Where clients get tokens: `.well-known/smart-configuration` (SMART App Launch 2.2).
"""

from collections.abc import Sequence
from typing import Any, Final

from fhir_gateway.access.issuers import Issuer
from fhir_gateway.access.policy import POLICY, Rule
from fhir_gateway.fhir.capability_statement import OAuthEndpoints
from fhir_gateway.model.principal import Role

__all__ = ["PATH", "oauth_endpoints", "smart_configuration"]

PATH: Final = "/.well-known/smart-configuration"
"""Below the FHIR base."""

# In the order that SMART demands.
_LETTERS: Final = "cruds"
_CONTEXTS: Final = {
    Role.RESIDENT: "patient",
    Role.STAFF: "user",
    Role.SYSTEM: "system",
    Role.OPERATOR: "system",
}
_CAPABILITIES: Final = (
    *("permission-patient", "permission-user", "permission-v1", "permission-v2"),
    *("client-confidential-asymmetric",),
)
_OF_APPS: Final = ("launch-standalone", "client-public", "authorize-post")


def oauth_endpoints(issuers: Sequence[Issuer]) -> OAuthEndpoints | None:
    """Return the endpoints of the first issuer that says them; None without issuers."""
    if not issuers:
        return None
    issuer = _first(issuers)
    return OAuthEndpoints(
        authorize=issuer.authorization_endpoint,
        token=issuer.token_endpoint,
        introspect=issuer.introspection_endpoint,
    )


def smart_configuration(issuers: Sequence[Issuer]) -> dict[str, Any]:
    """
    Return the configuration for clients of a server with issuers.

    Args:
        issuers: The trusted issuers; the first one that says its endpoints is meant.
    """
    issuer = _first(issuers)
    has_login = issuer.authorization_endpoint is not None
    configuration = {
        "issuer": issuer.issuer,
        "jwks_uri": issuer.jwks_uri,
        "authorization_endpoint": issuer.authorization_endpoint,
        "token_endpoint": issuer.token_endpoint,
        "introspection_endpoint": issuer.introspection_endpoint,
        "grant_types_supported": [
            *(["authorization_code"] if has_login else []),
            "client_credentials",
        ],
        "response_types_supported": ["code"] if has_login else [],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": [
            "private_key_jwt",
            # A public app has no secret, and proves itself by PKCE.
            *(["none"] if has_login else []),
        ],
        "token_endpoint_auth_signing_alg_values_supported": ["RS384", "ES384"],
        "scopes_supported": _scopes(),
        "capabilities": [*_CAPABILITIES, *(_OF_APPS if has_login else ())],
    }
    return {name: value for name, value in configuration.items() if value is not None}


def _first(issuers: Sequence[Issuer]) -> Issuer:
    return next((each for each in issuers if each.token_endpoint), issuers[0])


def _scopes() -> list[str]:
    """Return the widest scope that the policy has a use for, by role and type."""
    letters: dict[tuple[str, str], set[str]] = {}
    for row in POLICY:
        context = _CONTEXTS.get(row.role)
        if context is None or row.rule is Rule.ALL:
            continue
        for interaction in row.interactions:
            resource_type, letter = interaction.scope
            letters.setdefault((context, resource_type), set()).add(letter)
    return sorted(
        f"{context}/{resource_type}.{''.join(each for each in _LETTERS if each in of)}"
        for (context, resource_type), of in letters.items()
    )
