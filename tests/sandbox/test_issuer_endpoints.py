"""
The issuer's other endpoints, and hostile input at all of them.
"""

import json
import socket
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, RSAKey

from fhir_gateway.sandbox.issuer.persons import PERSONS
from fhir_gateway.sandbox.server import SandboxServer

from .consumer import TIMEOUT_S
from .smart_client import System, claims_of, post

FORMS: Final = ("token", "introspect", "login", "demo-token", "authorize")


@pytest.mark.parametrize("key", [*PERSONS, "region-norr", "operator"])
def test_a_tester_gets_a_token_with_one_line(server: SandboxServer, key: str) -> None:
    """Each ready-made person and system has a token, alone on a line, for an hour."""
    answer = post(server, "demo-token", {"as": key})
    token, rest = answer.text.split("\n")
    claims = claims_of(server, token)

    assert rest == ""
    assert claims["exp"] - claims["iat"] == 3600
    assert claims["scope"]


def test_a_tester_gets_json_who_asks_for_it(server: SandboxServer) -> None:
    """A client that accepts JSON gets a token response."""
    answer = post(
        server,
        "demo-token",
        {"as": "nurse", "scope": "user/Slot.rs"},
        Accept="application/json",
    ).json()

    assert answer | {"access_token": None} == {
        "access_token": None,
        "token_type": "Bearer",
        "expires_in": 3600,
        "scope": "user/Slot.rs",
    }


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({}, "invalid_request"),
        ({"as": ""}, "invalid_request"),
        ({"as": "nobody"}, "invalid_request"),
        ({"as": "gateway"}, "invalid_request"),
        ({"as": "demo-app"}, "invalid_request"),
        ({"as": "nurse", "scope": "system/Slot.rs"}, "invalid_scope"),
        ({"as": "operator", "scope": "openid"}, "invalid_scope"),
    ],
)
def test_a_tester_gets_no_other_token(
    server: SandboxServer, parameters: dict[str, str], error: str
) -> None:
    """A key that is nobody's, or a scope that cannot be, is an error."""
    answer = post(server, "demo-token", parameters)

    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_the_index_lists_persons_and_programs(server: SandboxServer) -> None:
    """GET /issuer says who can log in, without any number."""
    answer = requests.get(server.issuer, timeout=TIMEOUT_S)
    found = answer.json()

    assert [each["as"] for each in found["persons"]] == [*PERSONS]
    assert [each["client_id"] for each in found["clients"]] == [
        "demo-app",
        "region-norr",
        "operator",
        "gateway",
    ]
    assert "1912" not in answer.text


def _registered(server: SandboxServer, client_id: str, body: Any) -> requests.Response:
    return requests.put(
        f"{server.issuer}/clients/{client_id}",
        data=body if isinstance(body, bytes) else json.dumps(body),
        timeout=TIMEOUT_S,
    )


def _public(key: Any, **more: Any) -> dict[str, Any]:
    return {**key.as_dict(private=False), "kid": "a", **more}


P_384: Final = ECKey.generate_key("P-384")
RSA_2048: Final = _public(RSAKey.generate_key(2048))
SHORT: Final = RSA_2048 | {"n": RSA_2048["n"][:171]}
LONG: Final = RSA_2048 | {"n": RSA_2048["n"] * 8}


def test_an_app_registers_where_logins_lead(server: SandboxServer) -> None:
    """A new program has the redirect URIs that it registers."""
    uris = ["https://app.example.org/back", "http://localhost:3000/back?x=1"]
    answer = _registered(server, "my-app", {"redirect_uris": uris})

    assert answer.json() == {
        "client_id": "my-app",
        "about": "en app",
        "keys": [],
        "redirect_uris": sorted(uris),
    }


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"[" * 50_000, id="deep"),
        pytest.param(b'{"jwks": NaN}', id="no number"),
        pytest.param(b'{"redirect_uris": [], "redirect_uris": []}', id="a name twice"),
        pytest.param(b"\xff\xfe{}", id="no UTF-8"),
        pytest.param({"role": "operator"}, id="a role"),
        pytest.param({"scopes": ["system/*.cruds"]}, id="scopes"),
        pytest.param({"jwks": []}, id="a list of keys"),
        pytest.param({"jwks": {"keys": [1]}}, id="a number as key"),
        pytest.param({"jwks": {"keys": [{}]}}, id="an empty key"),
        pytest.param({"jwks": {"keys": [{"kid": "a", "kty": "x"}]}}, id="no type"),
        pytest.param({"jwks": {"keys": [{"kid": "a", "kty": "EC"}]}}, id="half a key"),
        pytest.param({"jwks": {"keys": [_public(P_384, kid=1)]}}, id="a number as kid"),
        pytest.param({"jwks": {"keys": [_public(P_384)] * 11}}, id="many keys"),
        pytest.param(
            {"jwks": {"keys": [{**P_384.as_dict(private=True), "kid": "a"}]}},
            id="a private key",
        ),
        pytest.param(
            {"jwks": {"keys": [_public(ECKey.generate_key("P-256"))]}},
            id="another curve",
        ),
        pytest.param({"jwks": {"keys": [SHORT]}}, id="a short key"),
        pytest.param({"jwks": {"keys": [LONG]}}, id="a long key"),
        pytest.param(
            {"jwks": {"keys": [RSA_2048 | {"e": "A" * 40_000}]}}, id="a long exponent"
        ),
        pytest.param(
            {"jwks": {"keys": [{**OctKey.generate_key(256).as_dict(), "kid": "a"}]}},
            id="a secret",
        ),
        pytest.param({"redirect_uris": "https://a.example.org"}, id="one URI alone"),
        pytest.param({"redirect_uris": [1]}, id="a number as URI"),
        pytest.param({"redirect_uris": ["http://a.example.org"]}, id="http elsewhere"),
        pytest.param({"redirect_uris": ["javascript:alert(1)"]}, id="a script"),
        pytest.param({"redirect_uris": ["https://a.example.org/#x"]}, id="a fragment"),
        pytest.param({"redirect_uris": ["https://a@b.example.org"]}, id="a user name"),
        pytest.param(
            {"redirect_uris": ["https://a.example.org/\r\nx"]}, id="a line end"
        ),
        pytest.param({"redirect_uris": ["https://"]}, id="no host"),
        pytest.param({"redirect_uris": ["https://a:0/"]}, id="no port"),
        pytest.param({"redirect_uris": ["https://a:99999/"]}, id="a wrong port"),
        pytest.param({"redirect_uris": ["https://[/"]}, id="half an address"),
        pytest.param({"redirect_uris": [f"https://a/{'x' * 600}"]}, id="a long URI"),
        pytest.param({"redirect_uris": ["https://a/"] * 11}, id="many URIs"),
    ],
)
def test_a_client_that_cannot_be_used_is_refused(
    server: SandboxServer, body: Any
) -> None:
    """Each fault of a registration is 400, and nothing is registered."""
    answer = _registered(server, "my-app", body)
    clients = requests.get(server.issuer, timeout=TIMEOUT_S).json()["clients"]

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert "my-app" not in {each["client_id"] for each in clients}


@pytest.mark.parametrize("client_id", ["a" * 65, "%0d%0a", "a%20b", ".a", "%00"])
def test_a_client_has_a_plain_id(server: SandboxServer, client_id: str) -> None:
    """An id with other characters than letters, digits and marks is refused."""
    assert _registered(server, client_id, {}).status_code == 400


def test_a_registration_gives_no_more_than_the_client_had(
    server: SandboxServer,
) -> None:
    """A new program gets no token for itself, and may not introspect."""
    system = System(server, "newcomer")

    assert system.ask().json()["error"] == "unauthorized_client"
    assert system.introspect("x").status_code == 401


def test_clients_fill_no_memory(server: SandboxServer) -> None:
    """There are at most a hundred clients."""
    statuses = [
        _registered(server, f"client-{number}", {}).status_code for number in range(98)
    ]

    assert statuses == [200] * 96 + [400] * 2


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize(
    "body",
    [
        pytest.param("a=1&a=2", id="a parameter twice"),
        pytest.param("grant_type=client_credentials&grant_type=x", id="a grant twice"),
        pytest.param("as=resident&as=nurse", id="two persons"),
        pytest.param("state=a%0d%0aSet-Cookie:%20b", id="line ends"),
        pytest.param("scope=%00", id="a null"),
        pytest.param("scope=%ff%fe", id="no UTF-8"),
        pytest.param("scope=%E2%80%AE", id="no ASCII"),
        pytest.param("scope=" + "x" * 3_000, id="a long value"),
        pytest.param("token=" + "x" * 9_000, id="a long token"),
        pytest.param("&".join(f"p{n}=1" for n in range(50)), id="many parameters"),
        pytest.param("=" * 1_000, id="empty names"),
        pytest.param("", id="nothing"),
    ],
)
def test_no_form_is_read_leniently(server: SandboxServer, path: str, body: str) -> None:
    """Each form with a fault is refused, with no header and no text of its own."""
    answer = post(
        server, path, body, **{"Content-Type": "application/x-www-form-urlencoded"}
    )

    assert answer.status_code in {400, 401}
    assert "Set-Cookie" not in answer.headers
    assert "xxx" not in answer.text


@pytest.mark.parametrize("path", ["token", "introspect", "login", "demo-token"])
@pytest.mark.parametrize(
    "content_type",
    ["application/json", "multipart/form-data; boundary=x", "text/plain", "x", ""],
)
def test_a_form_has_its_own_type(
    server: SandboxServer, path: str, content_type: str
) -> None:
    """A body of another media type is refused."""
    answer = post(server, path, b"as=resident", **{"Content-Type": content_type})

    assert answer.status_code == 400


@pytest.mark.parametrize("path", ["token", "introspect", "login", "demo-token"])
def test_parameters_stay_out_of_the_url(server: SandboxServer, path: str) -> None:
    """A form with parameters in its URL is refused: logs keep URLs."""
    answer = post(server, f"{path}?as=resident", {"as": "resident", "token": "x"})

    assert answer.status_code == 400


@pytest.mark.parametrize("path", FORMS)
def test_a_huge_form_is_not_read(server: SandboxServer, path: str) -> None:
    """A body of more than 64 KiB is 413."""
    answer = post(server, path, {"token": "x" * 70_000})

    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "token", 405),
        ("GET", "demo-token", 405),
        ("GET", "introspect", 405),
        ("GET", "login", 405),
        ("GET", "rotate", 405),
        ("PUT", "token", 405),
        ("POST", "jwks", 405),
        ("POST", "nothing", 404),
        ("GET", "../ledger/norr", 404),
        ("GET", "%2e%2e/ledger/norr", 404),
        ("DELETE", "clients/demo-app", 404),
    ],
)
def test_there_is_no_other_endpoint(
    server: SandboxServer, method: str, path: str, status: int
) -> None:
    """Another method is 405, another path 404, both in JSON."""
    request = requests.Request(method, server.issuer).prepare()
    request.url = f"{server.issuer}/{path}"
    request.headers["Content-Length"] = "0"
    with requests.Session() as session:
        answer = session.send(request, timeout=TIMEOUT_S)

    assert answer.status_code == status
    assert "error" in answer.json()


def test_the_name_of_the_issuer_is_not_the_host_s(server: SandboxServer) -> None:
    """The metadata name the issuer itself, not the Host that a client sends."""
    answer = requests.get(
        f"{server.issuer}/.well-known/openid-configuration",
        headers={"Host": "evil.example.org"},
        timeout=TIMEOUT_S,
    )

    assert "evil" not in answer.text


def test_a_header_that_stands_twice_proves_nothing(server: SandboxServer) -> None:
    """Two Authorization headers are no proof, even when one of them would be."""
    system = System(server)
    token = system.ask().json()["access_token"]
    address = urlsplit(server.url)
    body = urlencode({"token": token})
    with socket.create_connection(
        (address.hostname, address.port), timeout=TIMEOUT_S
    ) as connection:
        connection.sendall(
            "POST /issuer/introspect HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n"
            f"Authorization: Bearer {token}\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        received = b"".join(iter(lambda: connection.recv(65_536), b""))

    assert received.startswith(b"HTTP/1.1 401 ")


@settings(max_examples=200)
@given(
    path=st.sampled_from(FORMS),
    parameters=st.lists(
        st.tuples(
            st.sampled_from(
                [
                    *("grant_type", "code", "client_id", "redirect_uri", "as", "token"),
                    *("client_assertion", "client_assertion_type", "scope", "login"),
                    *("code_verifier", "response_type", "answer"),
                ]
            ),
            st.text(max_size=30)
            | st.sampled_from(
                [
                    *("client_credentials", "authorization_code", "demo-app", "yes"),
                    *("urn:ietf:params:oauth:client-assertion-type:jwt-bearer",),
                    *("http://127.0.0.1:8765/callback", "code"),
                ]
            ),
        ),
        max_size=8,
    ),
)
def test_no_form_makes_the_issuer_fail(
    shared_server: SandboxServer, path: str, parameters: list[tuple[str, str]]
) -> None:
    """Any form is answered, and nobody logs in by chance."""
    answer = post(
        shared_server,
        path,
        urlencode(parameters, errors="surrogatepass"),
        **{"Content-Type": "application/x-www-form-urlencoded"},
    )

    assert answer.status_code in {303, 400, 401}
    assert "access_token" not in answer.text


@pytest.mark.parametrize(
    ("question", "status", "answer"),
    [
        (
            {"actor": "199201172385", "subject": "201911202388"},
            200,
            {"basis": "guardian", "validUntil": "2032-11-20T00:00:00.000000+01:00"},
        ),
        (
            {"actor": "199112122396", "subject": "191212121212"},
            200,
            {"basis": "proxy", "validUntil": "2036-01-01T00:00:00.000000+01:00"},
        ),
        (
            {"actor": "200001252386", "subject": "201911202388"},
            200,
            {"basis": None},
        ),
        (
            {"actor": "191212121213", "subject": "201911202388"},
            400,
            {"error": "expected actor, subject and at"},
        ),
        (
            {"actor": 1, "subject": None},
            400,
            {"error": "expected actor, subject and at"},
        ),
        ({}, 400, {"error": "expected actor, subject and at"}),
    ],
)
def test_the_register_answers_over_http(
    server: SandboxServer,
    question: dict[str, Any],
    status: int,
    answer: dict[str, Any],
) -> None:
    """POST /mandates says whether one person may act for another."""
    found = requests.post(
        f"{server.url}/mandates",
        json={"at": "2026-11-28T12:00:00Z", **question},
        timeout=TIMEOUT_S,
    )

    assert (found.status_code, found.json()) == (status, answer)
