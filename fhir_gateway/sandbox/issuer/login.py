"""
How a person logs in: the login page, and the way back to the program with a code.
"""

from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from flask import Response, request

from fhir_gateway.model.timekeeping import Clock
from fhir_gateway.sandbox.issuer.answer import form_parameters, page
from fhir_gateway.sandbox.issuer.authorization import (
    AuthorizationRequest,
    Code,
    authorization_request,
    redirect_to,
)
from fhir_gateway.sandbox.issuer.clients import Clients
from fhir_gateway.sandbox.issuer.login_page import error_page, login_page
from fhir_gateway.sandbox.issuer.oauth_error import ErrorName, OAuthError
from fhir_gateway.sandbox.issuer.one_time import OneTimeSecrets
from fhir_gateway.sandbox.issuer.parameters import parameters_from, required
from fhir_gateway.sandbox.issuer.persons import PERSONS
from fhir_gateway.sandbox.issuer.scopes import granted_scopes
from fhir_gateway.sandbox.issuer.tokens import Tokens

__all__ = ["Login"]

_CODE_LIFE: Final = timedelta(seconds=60)
_LOGIN_LIFE: Final = timedelta(minutes=10)


class Login:
    """
    Logs persons in, and exchanges the codes of their logins for tokens.

    Args:
        url: The issuer's.
        audience: The FHIR base that `aud` may name.
        clients: The programs.
        tokens: Makes tokens.
        clock: Returns the time.
    """

    def __init__(
        self, url: str, audience: str, clients: Clients, tokens: Tokens, clock: Clock
    ) -> None:
        self._url = url
        self._audience = audience
        self._clients = clients
        self._tokens = tokens
        self._logins = OneTimeSecrets[AuthorizationRequest](_LOGIN_LIFE, clock)
        self._codes = OneTimeSecrets[Code](_CODE_LIFE, clock)

    def authorize(self) -> Response:
        """Show the login page, or send the person back with an error."""
        values = request.args if request.method == "GET" else request.form
        try:
            parameters = parameters_from(values)
            client = self._clients.get(required(parameters, "client_id"))
            redirect_uri = required(parameters, "redirect_uri")
        except OAuthError:
            return _error_page("Appens anrop saknar något eller har något dubbelt.")
        if client is None or redirect_uri not in client.redirect_uris:
            # A person is never sent to an address that nobody registered.
            return _error_page("Appen eller dess adress är inte känd här.")
        try:
            asked = authorization_request(parameters, client, audience=self._audience)
        except OAuthError as error:
            return self._back(redirect_uri, error.as_mapping(), parameters.get("state"))
        return page(
            login_page(
                action=f"{urlsplit(self._url).path}/login",
                login=self._logins.keep(asked),
                client=client.id,
                scopes=() if asked.scope is None else asked.scope.split(" "),
                persons=PERSONS.values(),
            ),
            redirects_to=redirect_uri,
        )

    def login(self) -> Response:
        """Send the person who was chosen back to the program, with a code."""
        try:
            parameters = form_parameters()
            asked = self._logins.take(required(parameters, "login"))
        except OAuthError:
            return _error_page("Formuläret är inte det som sidan visade.")
        if asked is None:
            return _error_page("Inloggningen är för gammal, eller redan gjord.")
        try:
            code = _code(asked, parameters)
        except OAuthError as error:
            answer = error.as_mapping()
        else:
            answer = {"code": self._codes.keep(code)}
        return self._back(asked.redirect_uri, answer, asked.state)

    def token_response(self, parameters: Mapping[str, str]) -> Mapping[str, Any]:
        """
        Return the tokens for a code.

        Raises:
            OAuthError: The request lacks something, or the code does not fit it.
        """
        client = self._clients.get(required(parameters, "client_id"))
        if client is None:
            raise OAuthError(ErrorName.INVALID_CLIENT, "There is no such client.")
        for name in ("redirect_uri", "code_verifier"):
            required(parameters, name)
        # A request that does not fit the code has used it up.
        code = self._codes.take(required(parameters, "code"))
        if code is None:
            raise OAuthError(
                ErrorName.INVALID_GRANT, "The code is unknown, used, or too old."
            )
        code.check(parameters)
        issued = self._tokens.for_person(code.person, client.id, code.scopes)
        answer = issued.as_mapping()
        if "openid" in code.scopes:
            answer["id_token"] = self._tokens.id_token(
                code.person, client.id, code.request.nonce
            )
        return answer

    def _back(
        self, redirect_uri: str, answer: Mapping[str, str], state: str | None
    ) -> Response:
        # 303: a browser repeats no form towards the program (RFC 9700, 4.12).
        return Response(
            status=HTTPStatus.SEE_OTHER,
            headers={
                "Location": redirect_to(
                    redirect_uri, answer, state=state, issuer=self._url
                )
            },
        )


def _code(asked: AuthorizationRequest, parameters: Mapping[str, str]) -> Code:
    """
    Return what a code stands for.

    Raises:
        OAuthError: Nobody logged in, or the person can grant none of the scopes.
    """
    person = PERSONS.get(parameters.get("as", ""))
    if person is None or parameters.get("answer") != "yes":
        raise OAuthError(ErrorName.ACCESS_DENIED, "The person did not log in.")
    scopes = granted_scopes(asked.scope, person.contexts, person.scopes)
    if not scopes:
        raise OAuthError(
            ErrorName.INVALID_SCOPE, "This person can grant none of these scopes."
        )
    return Code(request=asked, person=person, scopes=scopes)


def _error_page(reason: str) -> Response:
    return page(error_page(reason), HTTPStatus.BAD_REQUEST)
