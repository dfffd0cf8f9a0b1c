"""
A gateway that asks for access tokens, and clients with tokens of each role.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from access_tokens import CLAIMS, NURSE, RESIDENT, SYSTEM, key_set_json, signed
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from fhir_gateway.bootstrap import Program
from fhir_gateway.model.timekeeping import epoch_seconds, now

from .running import BASE_URL, Sandbox

__all__ = [
    "OPERATOR",
    "Guarded",
    "issuers_file",
    "served_keys",
    "token_for",
]

OPERATOR: Final[Mapping[str, Any]] = SYSTEM | {
    "sub": "operations",
    "client_id": "operations",
    "scope": "system/*.cruds",
}
_NUMBER: Final = "https://id.oidc.se/claim/personalIdentityNumber"
_SCOPES: Final = {
    "resident": "patient/*.cruds",
    "staff": "user/*.cruds",
    "system": "system/*.cruds",
    "operator": "system/*.cruds",
}
_LASTS: Final = timedelta(minutes=50)


def token_for(
    role: str, number: str | None = None, *, at: int | None = None, **claims: Any
) -> str:
    """
    Return a token of a role.

    Args:
        role: resident, staff, system (of the region norr) or operator.
        number: The resident's.
        at: When it is made, in seconds since 1970; None for now.
        claims: Further claims; None removes one.
    """
    base = {
        "resident": RESIDENT | {_NUMBER: number},
        "staff": NURSE,
        "system": SYSTEM,
        "operator": OPERATOR,
    }[role]
    at = epoch_seconds(now()) if at is None else at
    wanted = (
        base
        | {
            "aud": BASE_URL,
            "iat": at - 5,
            "exp": at + int(_LASTS.total_seconds()),
            "jti": str(uuid4()),
            "scope": _SCOPES[role],
        }
        | (
            {"sub": f"resident-{blake2b(str(number).encode()).hexdigest()[:16]}"}
            if role == "resident"
            else {}
        )
        | claims
    )
    return signed({name: wanted[name] for name in wanted if wanted[name] is not None})


@contextmanager
def served_keys() -> Iterator[str]:
    """Serve the issuer's key set over HTTP; yield its URL."""
    app = Flask(__name__)
    app.add_url_rule("/jwks", "jwks", key_set_json)
    server = make_server("127.0.0.1", 0, app)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/jwks"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def issuers_file(folder: Path, jwks_uri: str) -> Path:
    """Write a file of the one issuer, with a system of the region norr."""
    path = folder / "issuers.toml"
    path.write_text(
        f"""
[[issuer]]
issuer = "{CLAIMS["iss"]}"
jwks_uri = "{jwks_uri}"
audience = "{BASE_URL}"
roles = ["resident", "staff", "system", "operator"]
authorization_endpoint = "https://idp.example.org/authorize"
token_endpoint = "https://idp.example.org/token"

[[client]]
issuer = "{CLAIMS["iss"]}"
id = "region-norr"
role = "system"
units = ["SE2321009901"]
organisation = "SE2321009901-0001"

[[client]]
issuer = "{CLAIMS["iss"]}"
id = "operations"
role = "operator"
""",
        encoding="utf-8",
    )
    return path


@dataclass(frozen=True, slots=True)
class Guarded:
    """A gateway that asks for tokens, over regions of its own."""

    made: Program
    sandbox: Sandbox

    def client(self, role: str | None = None, number: str | None = None) -> FlaskClient:
        """Return a client with a token of a role; without a role it has none."""
        client = self.made.app.test_client()
        if role is not None:
            token = token_for(role, number)
            client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        return client

    def with_token(self, token: str) -> FlaskClient:
        """Return a client with a token."""
        client = self.made.app.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        return client

    @staticmethod
    def outward(response: TestResponse) -> tuple[int, bytes, dict[str, str]]:
        """Return all that a client sees of an answer, but its date."""
        headers = {
            name: value for name, value in response.headers.items() if name != "Date"
        }
        return response.status_code, response.data, headers
