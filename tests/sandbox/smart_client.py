"""
A program that logs persons in and gets tokens, over real HTTP.
"""

import base64
import hashlib
import re
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import requests
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from fhir_gateway.model.timekeeping import epoch_seconds
from fhir_gateway.sandbox.server import SandboxServer

from .consumer import NOW, TIMEOUT_S

__all__ = ["ASSERTION_TYPE", "AUDIENCE", "CALLBACK", "App", "System", "claims_of"]

AUDIENCE: Final = "http://127.0.0.1:8080/fhir"
CALLBACK: Final = "http://127.0.0.1:8765/callback"
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def claims_of(server: SandboxServer, token: str) -> dict[str, Any]:
    """Return the claims of a token, verified with the published keys."""
    published = requests.get(f"{server.issuer}/jwks", timeout=TIMEOUT_S).json()
    return jwt.decode(token, KeySet.import_key_set(published), ["RS256"]).claims


class App:
    """
    A program that persons use: authorization code with PKCE.

    Args:
        server: The sandbox.
    """

    def __init__(self, server: SandboxServer) -> None:
        self.server = server
        self.verifier = secrets.token_urlsafe(48)
        digest = hashlib.sha256(self.verifier.encode()).digest()
        self.request: dict[str, str] = {
            "response_type": "code",
            "client_id": "demo-app",
            "redirect_uri": CALLBACK,
            "scope": "openid patient/Appointment.rs",
            "state": "the state",
            "nonce": "the nonce",
            "aud": AUDIENCE,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }

    def authorize(self, **changes: str | None) -> requests.Response:
        """Ask for the login page; a None leaves a parameter out."""
        return requests.get(
            f"{self.server.issuer}/authorize",
            params=_changed(self.request, changes),
            allow_redirects=False,
            timeout=TIMEOUT_S,
        )

    def choose(
        self, page: str, person: str = "resident", answer: str = "yes"
    ) -> requests.Response:
        """Answer the login page."""
        login = re.search(r'name="login" value="([^"]+)"', page)
        assert login is not None
        return requests.post(
            f"{self.server.issuer}/login",
            data={"login": login[1], "as": person, "answer": answer},
            allow_redirects=False,
            timeout=TIMEOUT_S,
        )

    def code(self, person: str = "resident", **changes: str | None) -> str:
        """Return an authorization code."""
        page = self.authorize(**changes).text
        return back(self.choose(page, person))["code"]

    def exchange(self, code: str, /, **changes: str | None) -> requests.Response:
        """Ask for a token."""
        parameters = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "client_id": "demo-app",
            "code_verifier": self.verifier,
        }
        return post(self.server, "token", _changed(parameters, changes))

    def tokens(self, person: str = "resident", **changes: str | None) -> dict[str, Any]:
        """Return the answer to a whole login."""
        answer: dict[str, Any] = self.exchange(self.code(person, **changes)).json()
        return answer


class System:
    """
    A program with a key of its own: SMART Backend Services.

    Args:
        server: The sandbox.
        client_id: Its id.
        key: Its key; ES384 without one.
    """

    def __init__(
        self,
        server: SandboxServer,
        client_id: str = "region-norr",
        key: ECKey | RSAKey | None = None,
    ) -> None:
        self.server = server
        self.id = client_id
        self.key = key or ECKey.generate_key("P-384", auto_kid=True)
        self.algorithm = "ES384" if isinstance(self.key, ECKey) else "RS384"
        answer = self.register()
        assert answer.status_code == 200, answer.text

    def register(self) -> requests.Response:
        """Give the issuer the public key."""
        public = {**self.key.as_dict(private=False), "kid": self.key.kid}
        return requests.put(
            f"{self.server.issuer}/clients/{self.id}",
            json={"jwks": {"keys": [public]}},
            timeout=TIMEOUT_S,
        )

    def claims(self, moment: datetime = NOW) -> dict[str, Any]:
        """Return the claims of a right assertion."""
        return {
            "iss": self.id,
            "sub": self.id,
            "aud": f"{self.server.issuer}/token",
            "exp": epoch_seconds(moment + timedelta(minutes=4)),
            "iat": epoch_seconds(moment),
            "jti": str(uuid4()),
        }

    def assertion(self, claims: Mapping[str, Any] | None = None, **header: Any) -> str:
        """Return an assertion, signed with the own key."""
        whole = {"alg": self.algorithm, "typ": "JWT", "kid": self.key.kid, **header}
        present = {name: value for name, value in whole.items() if value is not None}
        signed = self.claims() if claims is None else claims
        return jwt.encode(present, dict(signed), self.key, algorithms=[whole["alg"]])

    def ask(self, assertion: str | None = None, **changes: str | None) -> Any:
        """Ask for a token with an assertion; a right one without any."""
        parameters = {
            "grant_type": "client_credentials",
            "scope": "system/Appointment.rs",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion or self.assertion(),
        }
        return post(self.server, "token", _changed(parameters, changes))

    def introspect(self, token: str, **headers: str) -> requests.Response:
        """Ask what a token is; with an assertion, unless a header authenticates."""
        parameters = {"token": token}
        if not headers:
            parameters |= {
                "client_assertion_type": ASSERTION_TYPE,
                "client_assertion": self.assertion(),
            }
        return post(self.server, "introspect", parameters, **headers)


def post(
    server: SandboxServer, path: str, parameters: Any, **headers: str
) -> requests.Response:
    """Send a form to the issuer."""
    return requests.post(
        f"{server.issuer}/{path}",
        data=parameters,
        headers=headers,
        allow_redirects=False,
        timeout=TIMEOUT_S,
    )


def back(answer: requests.Response) -> dict[str, str]:
    """Return the parameters with which a person comes back to the program."""
    assert answer.status_code == 303, answer.text
    url = urlsplit(answer.headers["Location"])
    assert f"{url.scheme}://{url.netloc}{url.path}" == CALLBACK
    return {name: value for name, [value] in parse_qs(url.query).items()}


def _changed(
    parameters: Mapping[str, str], changes: Mapping[str, str | None]
) -> dict[str, str]:
    return {
        name: value
        for name, value in {**parameters, **changes}.items()
        if value is not None
    }
