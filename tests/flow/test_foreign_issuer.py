"""
An issuer that this project did not write, over real HTTP: `oidc-provider-mock`.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from processes import wait_until

from fhir_gateway.access.identity import Identity
from fhir_gateway.access.issuers import load_issuers
from fhir_gateway.access.key_set import KeySet
from fhir_gateway.model.errors import Unauthenticated
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.principal import Principal, Role

from .ports import free_port

pytestmark = pytest.mark.flow

# It gives access tokens without meaning; its ID tokens are JWTs, for the client.
AUDIENCE: Final = "https://gateway.example.org/fhir"
CLAIMS: Final = {
    "sub": "tolvan",
    "jti": "0123456789abcdef",
    "azp": "app",
    "scope": "patient/Appointment.rs",
    "acr": "http://id.elegnamnden.se/loa/1.0/loa3",
    "https://id.oidc.se/claim/personalIdentityNumber": "191212121212",
}


@contextmanager
def provider(claims: Mapping[str, Any]) -> Iterator[str]:
    """Yield the URL of an issuer where one person can log in."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen(
        [
            *(sys.executable, "-W", "ignore", "-m", "oidc_provider_mock"),
            *("--port", str(port), "--user-claims", json.dumps(claims)),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            assert wait_until(lambda: _answers(url), 30)
            yield url
        finally:
            process.terminate()


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/jwks", timeout=1).ok
    except requests.ConnectionError:
        return False


def log_in(url: str, audience: str) -> str:
    """Return a JWT that a person gets for an audience by the authorization code."""
    back = "http://127.0.0.1/back"
    answer = requests.post(
        f"{url}/oauth2/authorize",
        params={
            "client_id": audience,
            "redirect_uri": back,
            "response_type": "code",
            "scope": "openid",
        },
        data={"sub": CLAIMS["sub"]},
        allow_redirects=False,
        timeout=10,
    )
    (code,) = parse_qs(urlsplit(answer.headers["Location"]).query)["code"]
    tokens: dict[str, str] = requests.post(
        f"{url}/oauth2/token",
        data={
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": back,
            "client_id": audience,
            "client_secret": "any",
        },
        timeout=10,
    ).json()
    return tokens["id_token"]


def asked(url: str, folder: Path) -> Identity:
    """Return who a server asks that trusts an issuer by its file."""
    path = folder / "issuers.toml"
    path.write_text(
        f'[[issuer]]\nissuer = "{url}"\njwks_uri = "{url}/jwks"\nroles = ["resident"]\n'
        "longest_token_s = 3600\n"
    )
    trusted = load_issuers(path, audience=AUDIENCE)
    return Identity(map(KeySet, trusted.issuers), trusted.clients)


def test_a_resident_of_a_foreign_issuer_is_let_in(tmp_path: Path) -> None:
    """Nothing about our own issuer is special; a second one needs its table only."""
    with provider(CLAIMS) as url, provider(CLAIMS) as stranger:
        identity = asked(url, tmp_path)
        identity.start()
        try:
            principal = identity.principal_of(f"Bearer {log_in(url, AUDIENCE)}")
            for refused in (
                log_in(url, "https://another.example.org"),
                log_in(stranger, AUDIENCE),
            ):
                with pytest.raises(Unauthenticated):
                    identity.principal_of(f"Bearer {refused}")
        finally:
            identity.stop()

    assert principal == Principal(
        role=Role.RESIDENT,
        issuer=url,
        client="app",
        user="tolvan",
        scopes=frozenset({"patient/Appointment.rs"}),
        number=PersonalIdentityNumber("191212121212"),
    )
