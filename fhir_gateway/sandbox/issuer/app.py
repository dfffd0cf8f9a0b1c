"""
The routes of the issuer.

    GET      /issuer/.well-known/openid-configuration   what it can do
    GET      /issuer/jwks                               its public keys
    GET|POST /issuer/authorize                          the login page
    POST     /issuer/login                              the answer of that page
    POST     /issuer/token                              tokens for codes and assertions
    POST     /issuer/introspect                         what a token is (RFC 7662)

and those that no issuer in production may have:

    GET      /issuer                                    the persons and programs
    POST     /issuer/demo-token                         a token for a person or program
    POST     /issuer/rotate                             sign with a new key
    PUT      /issuer/clients/<id>                       keys, redirect URIs of a program
"""

from collections.abc import Mapping
from typing import Any, Final

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from fhir_gateway.model.json_reading import UnreadableJson, read_json
from fhir_gateway.model.timekeeping import Clock
from fhir_gateway.sandbox.issuer.answer import (
    failed,
    form_parameters,
    json_answer,
    open_to_browsers,
    protected,
    refused,
    unauthenticated,
)
from fhir_gateway.sandbox.issuer.client_assertion import ClientAssertions
from fhir_gateway.sandbox.issuer.clients import Client, Clients, MalformedClient
from fhir_gateway.sandbox.issuer.login import Login
from fhir_gateway.sandbox.issuer.metadata import metadata_of
from fhir_gateway.sandbox.issuer.oauth_error import ErrorName, OAuthError
from fhir_gateway.sandbox.issuer.parameters import required
from fhir_gateway.sandbox.issuer.persons import DEMO_APP, PERSONS
from fhir_gateway.sandbox.issuer.scopes import SYSTEM, granted_scopes
from fhir_gateway.sandbox.issuer.signing_keys import LONGEST_LIFE, SigningKeys
from fhir_gateway.sandbox.issuer.tokens import IssuedToken, Tokens

__all__ = ["METADATA_PATH", "MOST_BYTES", "PATH", "issuer_app"]

PATH: Final = "/issuer"
"""The path of the issuer, below the sandbox's URL."""

METADATA_PATH: Final = f"/.well-known/oauth-authorization-server{PATH}"
"""Where RFC 8414 looks for the metadata."""

MOST_BYTES: Final = 65_536
"""The most bytes of a body."""


class _Issuer:
    """Answers the requests to the issuer."""

    def __init__(self, url: str, audience: str, clock: Clock) -> None:
        self._url = url
        self._audience = audience
        self._keys = SigningKeys(clock)
        self._tokens = Tokens(url, audience, self._keys, clock)
        self._clients = Clients()
        self._assertions = ClientAssertions(self._clients, clock)
        self.logins = Login(url, audience, self._clients, self._tokens, clock)

    def metadata(self) -> Response:
        """Return what it can do."""
        return open_to_browsers(json_answer(metadata_of(self._url, self._clients)))

    def jwks(self) -> Response:
        """Return the published keys."""
        return open_to_browsers(json_answer(self._keys.as_jwks()))

    def token(self) -> Response:
        """Return a token for a code, or for a program itself."""
        parameters = form_parameters()
        match required(parameters, "grant_type"):
            case "authorization_code":
                answer = self.logins.token_response(parameters)
            case "client_credentials":
                answer = self._token_for_client(parameters)
            case _:
                raise OAuthError(
                    ErrorName.UNSUPPORTED_GRANT_TYPE,
                    "grant_type is authorization_code or client_credentials.",
                )
        return open_to_browsers(json_answer(answer))

    def _token_for_client(self, parameters: Mapping[str, str]) -> Mapping[str, Any]:
        client = self._assertions.client_of(
            parameters, frozenset({f"{self._url}/token"})
        )
        if not client.scopes:
            raise OAuthError(
                ErrorName.UNAUTHORIZED_CLIENT, "This client gets no token for itself."
            )
        scopes = _scopes_for(client, parameters)
        return self._tokens.for_client(client, scopes).as_mapping()

    def introspect(self) -> Response:
        """
        Return what a token is, to a program that proves who it is.

        It does so with an assertion, or with its own access token (RFC 7662, 2.1).
        """
        parameters = form_parameters()
        authorization = request.headers.get("Authorization")
        if authorization is not None:
            scheme, _, text = authorization.partition(" ")
            name = self._tokens.client_of(text) if scheme.lower() == "bearer" else None
            client = self._clients.get(name or "")
        elif "client_assertion" in parameters:
            try:
                client = self._assertions.client_of(
                    parameters,
                    frozenset({f"{self._url}/token", f"{self._url}/introspect"}),
                )
            except OAuthError as error:
                return unauthenticated(error.as_mapping())
        else:
            return unauthenticated(None)
        if client is None or not client.may_introspect:
            return unauthenticated(
                {
                    "error": "invalid_token",
                    "error_description": "The access token is no client's of its own.",
                }
            )
        return json_answer(self._tokens.introspected(required(parameters, "token")))

    def index(self) -> Response:
        """Return the persons and programs."""
        return json_answer(
            {
                "issuer": self._url,
                "audience": self._audience,
                "warning": "Never in production: anybody gets a token here.",
                "persons": [
                    {"as": each.key, "name": each.name, "about": each.about}
                    for each in PERSONS.values()
                ],
                "clients": [_description(each) for each in self._clients.all()],
            }
        )

    def demo_token(self) -> Response:
        """
        Return an access token of a person or a program.

        It is the token alone, for a shell, or a token response for a client that
        accepts JSON first.
        """
        issued = self._demo_token(form_parameters())
        best = request.accept_mimetypes.best_match(["text/plain", "application/json"])
        if best == "application/json":
            return json_answer(issued.as_mapping())
        return Response(f"{issued.text}\n", content_type="text/plain; charset=utf-8")

    def _demo_token(self, parameters: Mapping[str, str]) -> IssuedToken:
        key = required(parameters, "as")
        person, client = PERSONS.get(key), self._clients.get(key)
        if person is not None:
            scopes = granted_scopes(
                parameters.get("scope"), person.contexts, person.scopes
            )
            if not scopes:
                raise _no_scope()
            return self._tokens.for_person(person, DEMO_APP, scopes)
        if client is not None and client.scopes:
            scopes = _scopes_for(client, parameters)
            return self._tokens.for_client(client, scopes, LONGEST_LIFE)
        raise OAuthError(
            ErrorName.INVALID_REQUEST,
            "as is a person, or a client that gets tokens for itself: GET /issuer.",
        )

    def rotate(self) -> Response:
        """Sign with a new key from now on; return the published keys."""
        self._keys.rotate()
        return json_answer(self._keys.as_jwks())

    def register(self, client_id: str) -> Response:
        """Replace the keys and redirect URIs of a program."""
        try:
            client = self._clients.register(client_id, read_json(request.get_data()))
        except (UnreadableJson, MalformedClient) as error:
            raise OAuthError(
                ErrorName.INVALID_REQUEST, f"The client cannot be registered: {error}"
            ) from None
        return json_answer(_description(client))


def issuer_app(url: str, audience: str, clock: Clock) -> Flask:
    """
    Return the issuer as a WSGI application.

    Args:
        url: The issuer's own name and URL, which ends with `PATH`.
        audience: The FHIR base that its access tokens are for.
        clock: Returns the time.
    """
    app = Flask("fhir_gateway.sandbox.issuer", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MOST_BYTES
    app.config["MAX_FORM_MEMORY_SIZE"] = MOST_BYTES
    # Flask would log a trace, which may quote the request.
    app.config["PROPAGATE_EXCEPTIONS"] = True
    issuer = _Issuer(url, audience, clock)
    for rule, methods, view in (
        (f"{PATH}/.well-known/openid-configuration", ["GET"], issuer.metadata),
        (METADATA_PATH, ["GET"], issuer.metadata),
        (f"{PATH}/jwks", ["GET"], issuer.jwks),
        (f"{PATH}/authorize", ["GET", "POST"], issuer.logins.authorize),
        (f"{PATH}/login", ["POST"], issuer.logins.login),
        (f"{PATH}/token", ["POST"], issuer.token),
        (f"{PATH}/introspect", ["POST"], issuer.introspect),
        (PATH, ["GET"], issuer.index),
        (f"{PATH}/demo-token", ["POST"], issuer.demo_token),
        (f"{PATH}/rotate", ["POST"], issuer.rotate),
        (f"{PATH}/clients/<client_id>", ["PUT"], issuer.register),
    ):
        app.add_url_rule(rule, rule, view, methods=methods, strict_slashes=False)
    app.register_error_handler(OAuthError, refused)
    app.register_error_handler(HTTPException, failed)
    app.after_request(protected)
    return app


def _scopes_for(client: Client, parameters: Mapping[str, str]) -> frozenset[str]:
    """
    Return the scopes that a program gets for itself.

    Raises:
        OAuthError: It can get none of those that it asks for.
    """
    scopes = granted_scopes(parameters.get("scope"), SYSTEM, client.scopes)
    if not scopes:
        raise _no_scope()
    return scopes


def _no_scope() -> OAuthError:
    return OAuthError(ErrorName.INVALID_SCOPE, "None of these scopes can be granted.")


def _description(client: Client) -> dict[str, Any]:
    return {
        "client_id": client.id,
        "about": client.about,
        "keys": [key.kid for key in client.keys],
        "redirect_uris": sorted(client.redirect_uris),
    }
