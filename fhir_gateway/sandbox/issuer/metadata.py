"""
What the issuer can do: OpenID Connect Discovery 1.0, RFC 8414, RFC 9207.
"""

from typing import Any

from fhir_gateway.sandbox.issuer.client_assertion import ALGORITHMS
from fhir_gateway.sandbox.issuer.clients import Clients
from fhir_gateway.sandbox.issuer.persons import LEVEL, PERSONS

__all__ = ["metadata_of"]


def metadata_of(issuer: str, clients: Clients) -> dict[str, Any]:
    """
    Return the metadata of an issuer.

    Args:
        issuer: Its name, which its endpoints begin with.
        clients: The programs that it knows.
    """
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "jwks_uri": f"{issuer}/jwks",
        "introspection_endpoint": f"{issuer}/introspect",
        "scopes_supported": _scopes(clients),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "client_credentials"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported": ["none", "private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": [*ALGORITHMS],
        "introspection_endpoint_auth_methods_supported": ["private_key_jwt"],
        "introspection_endpoint_auth_signing_alg_values_supported": [*ALGORITHMS],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "acr_values_supported": [LEVEL],
        "claims_supported": _claims(),
        "ui_locales_supported": ["sv"],
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
    }


def _scopes(clients: Clients) -> list[str]:
    found = {"openid", "profile", "commission"}
    for person in PERSONS.values():
        found |= person.scopes
    for client in clients.all():
        found |= client.scopes
    return sorted(found)


def _claims() -> list[str]:
    found = {"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce"}
    for person in PERSONS.values():
        found |= person.claims.keys()
    return sorted(found)
