"""
The authorization code flow with PKCE (RFC 6749, 4.1; RFC 7636; RFC 9207; RFC 9700).
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from fhir_gateway.sandbox.issuer.clients import Client
from fhir_gateway.sandbox.issuer.oauth_error import ErrorName, OAuthError
from fhir_gateway.sandbox.issuer.parameters import required
from fhir_gateway.sandbox.issuer.persons import Person
from fhir_gateway.sandbox.issuer.scopes import USERS, granted_scopes

__all__ = ["AuthorizationRequest", "Code", "authorization_request", "redirect_to"]

# RFC 7636: SHA-256, in base64url without padding.
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AuthorizationRequest:
    """
    What a program asks for when it sends a person to the login page.

    Attributes:
        scope: The parameter, or None.
        challenge: Of PKCE, method S256.
    """

    client_id: str
    redirect_uri: str
    scope: str | None
    nonce: str | None
    state: str | None
    challenge: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Code:
    """What an authorization code stands for: a person who logged in for a program."""

    request: AuthorizationRequest
    person: Person
    scopes: frozenset[str]

    def check(self, parameters: Mapping[str, str]) -> None:
        """
        Check that a request for a token belongs to the login.

        Raises:
            OAuthError: It is another program's, or another redirect URI's, or does not
                know the secret of PKCE.
        """
        verifier = required(parameters, "code_verifier")
        if (
            required(parameters, "client_id") != self.request.client_id
            or required(parameters, "redirect_uri") != self.request.redirect_uri
            or not _VERIFIER.fullmatch(verifier)
            or not hmac.compare_digest(_challenge_of(verifier), self.request.challenge)
        ):
            raise OAuthError(
                ErrorName.INVALID_GRANT,
                "client_id, redirect_uri or code_verifier do not fit the code.",
            )


def authorization_request(
    parameters: Mapping[str, str], client: Client, *, audience: str
) -> AuthorizationRequest:
    """
    Return what a program asks for.

    Args:
        parameters: Those of the request; the caller has checked the redirect URI.
        client: The program.
        audience: The only FHIR base that `aud` may name.

    Raises:
        OAuthError: Something is missing, or is not supported.
    """
    if required(parameters, "response_type") != "code":
        raise OAuthError(
            ErrorName.UNSUPPORTED_RESPONSE_TYPE, "response_type is always code."
        )
    for name, error in (
        ("request", ErrorName.REQUEST_NOT_SUPPORTED),
        ("request_uri", ErrorName.REQUEST_URI_NOT_SUPPORTED),
    ):
        if name in parameters:
            raise OAuthError(error, f"{name} is not supported.")
    if parameters.get("response_mode", "query") != "query":
        raise _invalid("response_mode is always query.")
    # Without a method it would be "plain" (RFC 7636, 4.3).
    if parameters.get("code_challenge_method") != "S256":
        raise _invalid("code_challenge_method must be S256.")
    challenge = required(parameters, "code_challenge")
    if not _CHALLENGE.fullmatch(challenge):
        raise _invalid("code_challenge is no SHA-256 in base64url.")
    if parameters.get("aud", audience) != audience:
        raise _invalid("aud is not the FHIR base that this issuer's tokens are for.")
    if "none" in parameters.get("prompt", "").split(" "):
        raise OAuthError(ErrorName.LOGIN_REQUIRED, "There is no session: log in.")
    scope = parameters.get("scope")
    if scope is not None and not granted_scopes(scope, USERS, frozenset()):
        raise OAuthError(
            ErrorName.INVALID_SCOPE, "No person can grant any of these scopes."
        )
    return AuthorizationRequest(
        client_id=client.id,
        redirect_uri=parameters["redirect_uri"],
        scope=scope,
        nonce=parameters.get("nonce"),
        state=parameters.get("state"),
        challenge=challenge,
    )


def redirect_to(
    redirect_uri: str, answer: Mapping[str, str], *, state: str | None, issuer: str
) -> str:
    """
    Return the URL that takes an answer back to a program.

    Args:
        redirect_uri: The program's.
        answer: `code`, or `error` with its description.
        state: The program's own, as it sent it.
        issuer: Ours, so that no other issuer's answer is taken for it (RFC 9207).
    """
    parameters = {**answer, "iss": issuer}
    if state is not None:
        parameters["state"] = state
    mark = "&" if "?" in redirect_uri else "?"
    return f"{redirect_uri}{mark}{urlencode(parameters)}"


def _challenge_of(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _invalid(description: str) -> OAuthError:
    return OAuthError(ErrorName.INVALID_REQUEST, description)
