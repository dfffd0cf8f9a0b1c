"""
How a program proves who it is at the demo issuer, and what it gets.

The checks of Inferno's SMART App Launch test kit (backend services, introspection,
discovery) that can be made offline are among them.
"""

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import pytest
import requests
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from fhir_gateway.sandbox.server import SandboxServer

from .consumer import NOW, TIMEOUT_S, SettableClock
from .smart_client import AUDIENCE, App, System, claims_of, post

MOMENT: Final = int(NOW.timestamp())
RSA: Final = RSAKey.generate_key(2048, auto_kid=True)


@pytest.fixture(name="system")
def _system(server: SandboxServer) -> System:
    return System(server)


@pytest.mark.parametrize("key", [None, RSA], ids=["ES384", "RS384"])
def test_a_program_gets_a_token_for_itself(
    server: SandboxServer, key: RSAKey | None
) -> None:
    """A program that signs with either algorithm gets a token for five minutes."""
    answer = System(server, key=key).ask()
    claims = claims_of(server, answer.json()["access_token"])

    assert answer.json() | {"access_token": None} == {
        "access_token": None,
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "system/Appointment.rs",
    }
    assert len(claims.pop("jti")) == 36
    assert claims == {
        "iss": server.issuer,
        "sub": "region-norr",
        "client_id": "region-norr",
        "aud": AUDIENCE,
        "scope": "system/Appointment.rs",
        "iat": MOMENT,
        "exp": MOMENT + 300,
    }


def test_an_assertion_counts_once(system: System, clock: SettableClock) -> None:
    """A replayed assertion is refused, also when it has expired."""
    assertion = system.assertion()
    answers = [system.ask(assertion).status_code]
    for minutes in (0, 2, 2, 2):
        clock.instant += timedelta(minutes=minutes)
        answers.append(system.ask(assertion).status_code)

    assert answers == [200, 400, 400, 400, 400]


def test_two_programs_may_use_the_same_id_of_an_assertion(
    server: SandboxServer,
) -> None:
    """An id of an assertion is unique for one program."""
    region, operator = System(server), System(server, "operator")
    same = {"jti": "the same id"}
    answers = [
        each.ask(each.assertion(each.claims() | same)).status_code
        for each in (region, operator)
    ]

    assert answers == [200, 200]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"iss": "operator"}, id="another issuer"),
        pytest.param({"sub": "operator"}, id="another subject"),
        pytest.param({"iss": "nobody", "sub": "nobody"}, id="an unknown client"),
        pytest.param({"iss": ["region-norr"]}, id="a list as issuer"),
        pytest.param({"iss": None}, id="no issuer"),
        pytest.param({"aud": AUDIENCE}, id="the gateway as audience"),
        pytest.param({"aud": ["a", "b"]}, id="two audiences"),
        pytest.param({"aud": {}}, id="an object as audience"),
        pytest.param({"aud": None}, id="no audience"),
        pytest.param({"exp": None}, id="no end"),
        pytest.param({"exp": MOMENT - 31}, id="expired"),
        pytest.param({"exp": MOMENT + 331}, id="more than five minutes"),
        pytest.param({"exp": 10**30}, id="no time"),
        pytest.param({"exp": -1}, id="before 1970"),
        pytest.param({"exp": 1e308}, id="a huge number"),
        pytest.param({"exp": MOMENT + 60.5}, id="half a second"),
        pytest.param({"exp": str(MOMENT + 60)}, id="a time as text"),
        pytest.param({"exp": True}, id="a boolean"),
        pytest.param({"nbf": MOMENT + 31}, id="not yet"),
        pytest.param({"iat": MOMENT + 31}, id="made in the future"),
        pytest.param({"jti": None}, id="no id"),
        pytest.param({"jti": ""}, id="an empty id"),
        pytest.param({"jti": "1234567"}, id="a short id"),
        pytest.param({"jti": "x" * 129}, id="a long id"),
        pytest.param({"jti": 12_345_678}, id="a number as id"),
    ],
)
def test_an_assertion_with_a_wrong_claim_proves_nothing(
    system: System, changes: dict[str, Any]
) -> None:
    """A claim that is absent, of another type or out of its time: invalid_client."""
    claims = {
        name: value
        for name, value in (system.claims() | changes).items()
        if value is not None
    }
    answer = system.ask(system.assertion(claims))

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client")


@pytest.mark.parametrize(
    "header",
    [
        pytest.param({"kid": None}, id="no key id"),
        pytest.param({"kid": "another"}, id="an unknown key id"),
        pytest.param({"kid": "../../etc/passwd"}, id="a path"),
        pytest.param({"kid": "' OR 1=1 --"}, id="SQL"),
        pytest.param({"typ": "at+jwt"}, id="another type"),
        pytest.param({"jku": "https://evil.example.org/jwks"}, id="a URL of keys"),
        pytest.param(
            {"x5u": "https://evil.example.org/pem"}, id="a URL of certificates"
        ),
    ],
)
def test_an_assertion_with_a_wrong_header_proves_nothing(
    system: System, header: dict[str, Any]
) -> None:
    """Only the registered key counts, by its id: invalid_client."""
    answer = system.ask(system.assertion(**header))

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client")


def _segment(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _with_header(header: bytes) -> Callable[[System], str]:
    """Return how an assertion is made with another header, and the same signature."""

    def make(system: System) -> str:
        _, claims, signature = system.assertion().split(".")
        return f"{_segment(header)}.{claims}.{signature}"

    return make


def _unsigned(system: System) -> str:
    claims = _segment(json.dumps(system.claims()).encode())
    return f"{_segment(json.dumps({'alg': 'none'}).encode())}.{claims}."


def _with_public_key(system: System) -> str:
    """Return an assertion, signed with the public key as if it were a secret."""
    key = OctKey.import_key(system.key.as_pem(private=False).hex())
    return jwt.encode(
        {"alg": "HS256", "kid": system.key.kid},
        system.claims(),
        key,
        algorithms=["HS256"],
    )


def _of_stranger(system: System) -> str:
    stranger = ECKey.generate_key("P-384", {"kid": system.key.kid})
    return jwt.encode(
        {"alg": "ES384", "kid": system.key.kid},
        system.claims(),
        stranger,
        algorithms=["ES384"],
    )


def _with_own_key_in_header(system: System) -> str:
    stranger = ECKey.generate_key("P-384", {"kid": system.key.kid})
    return jwt.encode(
        {
            "alg": "ES384",
            "kid": system.key.kid,
            "jwk": stranger.as_dict(private=False),
        },
        system.claims(),
        stranger,
        algorithms=["ES384"],
    )


def _changed(system: System) -> str:
    header, claims, signature = system.assertion().split(".")
    return f"{header}.{claims[:-2]}AA.{signature}"


def _repeating(system: System) -> str:
    """Return an assertion in which a claim stands twice."""
    text = json.dumps(system.claims())

    class Twice(json.JSONEncoder):
        def encode(self, o: Any) -> str:
            return (
                f'{text[:-1]}, "iss": "region-norr"}}'
                if "iss" in o
                else super().encode(o)
            )

    return jwt.encode(
        {"alg": "ES384", "kid": system.key.kid},
        system.claims(),
        system.key,
        algorithms=["ES384"],
        encoder_cls=Twice,
    )


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(_unsigned, id="alg none"),
        pytest.param(_with_public_key, id="HS256 with the public key"),
        pytest.param(_of_stranger, id="a stranger's key"),
        pytest.param(_with_own_key_in_header, id="a key in the header"),
        pytest.param(_changed, id="changed claims"),
        pytest.param(_repeating, id="a claim twice"),
        pytest.param(_with_header(b'{"alg":"ES384","alg":"ES384"}'), id="alg twice"),
        pytest.param(_with_header(b'{"alg":["ES384"]}'), id="a list as alg"),
        pytest.param(_with_header(b"[" * 3_000), id="a deep header"),
        pytest.param(_with_header(b"\xff\xfe"), id="a header in no UTF-8"),
        pytest.param(_with_header(b"null"), id="no object as header"),
        pytest.param(lambda _: "x", id="no token"),
        pytest.param(lambda _: "..", id="empty parts"),
        pytest.param(lambda _: "a.b.c.d.e", id="five parts"),
        pytest.param(lambda _: "é" * 10, id="no ASCII"),
    ],
)
def test_an_assertion_that_is_forged_proves_nothing(
    system: System, make: Callable[[System], str]
) -> None:
    """Only the client's own key proves who it is."""
    answer = system.ask(make(system))

    assert answer.status_code == 400
    assert answer.json()["error"] in {"invalid_client", "invalid_request"}


def test_an_assertion_signed_by_another_client_proves_nothing(
    server: SandboxServer,
) -> None:
    """A client cannot speak for another one, even under the same key id."""
    region = System(server)
    operator = System(
        server, "operator", ECKey.generate_key("P-384", {"kid": region.key.kid})
    )
    answer = operator.ask(operator.assertion(region.claims()))

    assert answer.json()["error"] == "invalid_client"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"grant_type": "magic"}, "unsupported_grant_type"),
        ({"grant_type": None}, "invalid_request"),
        ({"client_assertion_type": "magic"}, "invalid_client"),
        ({"client_assertion_type": None}, "invalid_request"),
        ({"client_assertion": None}, "invalid_request"),
        ({"client_id": "operator"}, "invalid_client"),
        ({"scope": "patient/Appointment.rs"}, "invalid_scope"),
        ({"scope": "openid"}, "invalid_scope"),
        ({"scope": "system/Appointment.sr"}, "invalid_scope"),
        ({"scope": "nothing\u00e5"}, "invalid_request"),
    ],
)
def test_a_wrong_request_has_its_own_error(
    system: System, changes: dict[str, str | None], error: str
) -> None:
    """Each fault has the error that OAuth 2.0 gives it."""
    answer = system.ask(**changes)

    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_a_program_that_persons_use_gets_nothing_for_itself(
    server: SandboxServer,
) -> None:
    """A client without scopes of its own is not authorised for this grant."""
    answer = System(server, "gateway").ask()

    assert answer.json()["error"] == "unauthorized_client"


def test_the_scope_may_be_left_out(system: System) -> None:
    """A program that asks for no scope gets those of its registration."""
    scopes = system.ask(scope=None).json()["scope"].split(" ")

    assert "system/Appointment.crus" in scopes


def test_introspection_says_what_a_token_is(system: System) -> None:
    """An active token is described with the members that SMART 2.2 demands."""
    token = system.ask().json()["access_token"]
    answer = system.introspect(token)
    members = answer.json()

    assert answer.status_code == 200
    assert members.pop("jti")
    assert members == {
        "active": True,
        "token_type": "Bearer",
        "iss": system.server.issuer,
        "sub": "region-norr",
        "aud": AUDIENCE,
        "client_id": "region-norr",
        "scope": "system/Appointment.rs",
        "iat": MOMENT,
        "exp": MOMENT + 300,
    }


def test_introspection_takes_an_access_token_as_proof(system: System) -> None:
    """A program may authenticate with a token of its own (RFC 7662, 2.1)."""
    token = system.ask().json()["access_token"]
    answer = system.introspect(token, Authorization=f"Bearer {token}")

    assert answer.json()["active"] is True


def test_a_person_s_token_authenticates_no_program(system: System) -> None:
    """A token that a person granted proves no program's identity."""
    token = App(system.server).tokens()["access_token"]
    answer = system.introspect(token, Authorization=f"Bearer {token}")

    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (
        401,
        'Bearer error="invalid_token"',
    )


@pytest.mark.parametrize(
    "header", ["Bearer x", "Bearer ", "Bearer", "Basic cmVnaW9uOng=", "x", "Bearer a b"]
)
def test_introspection_refuses_a_wrong_proof(system: System, header: str) -> None:
    """A header that proves nothing is 401, for any token."""
    answer = system.introspect("x", Authorization=header)

    assert answer.status_code == 401


def test_introspection_needs_a_proof(server: SandboxServer) -> None:
    """Without authentication it is 401, and names no error (RFC 6750, 3.1)."""
    answer = post(server, "introspect", {"token": "x"})

    assert answer.status_code == 401
    assert (answer.headers["WWW-Authenticate"], answer.json()) == ("Bearer", {})


def test_introspection_refuses_a_forged_assertion(system: System) -> None:
    """A wrong assertion is 401 with invalid_client."""
    answer = post(
        system.server,
        "introspect",
        {
            "token": "x",
            "client_assertion_type": (
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            ),
            "client_assertion": _of_stranger(system),
        },
    )

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_of_any_other_token_introspection_says_nothing(
    system: System, clock: SettableClock
) -> None:
    """A token that has expired, is forged or is an ID token is not active."""
    tokens = App(system.server).tokens()
    expired = system.ask().json()["access_token"]
    clock.instant += timedelta(minutes=4)
    answers = [system.introspect(each) for each in ("x", tokens["id_token"])]
    clock.instant += timedelta(minutes=1)
    system.claims = lambda moment=clock.instant: System.claims(system, moment)  # type: ignore[method-assign] # other claims for one test
    answers.append(system.introspect(expired))

    assert [each.json() for each in answers] == [{"active": False}] * 3


def test_discovery_names_what_smart_demands(server: SandboxServer) -> None:
    """Both documents are the same, and have every member that SMART 2.2 demands."""
    url = server.url
    documents = [
        requests.get(each, timeout=TIMEOUT_S).json()
        for each in (
            f"{server.issuer}/.well-known/openid-configuration",
            f"{url}/.well-known/oauth-authorization-server/issuer",
        )
    ]
    found = documents[0]

    assert documents[0] == documents[1]
    assert found["issuer"] == f"{url}/issuer"
    assert [
        found[name]
        for name in (
            "authorization_endpoint",
            "token_endpoint",
            "introspection_endpoint",
            "jwks_uri",
        )
    ] == [
        f"{url}/issuer/{name}" for name in ("authorize", "token", "introspect", "jwks")
    ]
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert found["token_endpoint_auth_signing_alg_values_supported"] == [
        "RS384",
        "ES384",
    ]


@pytest.mark.parametrize(
    "path", [".well-known/openid-configuration", "jwks"], ids=["discovery", "keys"]
)
def test_a_program_in_a_browser_can_read(server: SandboxServer, path: str) -> None:
    """Discovery and keys can be read from every origin."""
    answer = requests.get(
        f"{server.issuer}/{path}",
        headers={"Origin": "https://app.example.org"},
        timeout=TIMEOUT_S,
    )

    assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_a_browser_may_ask_first(server: SandboxServer) -> None:
    """A preflight request for the token endpoint is permitted."""
    answer = requests.options(
        f"{server.issuer}/token",
        headers={
            "Origin": "https://app.example.org",
            "Access-Control-Request-Method": "POST",
        },
        timeout=TIMEOUT_S,
    )

    assert answer.ok
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, POST"


def test_no_private_part_of_a_key_is_published(server: SandboxServer) -> None:
    """The published keys have the members of public RSA keys alone."""
    keys = requests.get(f"{server.issuer}/jwks", timeout=TIMEOUT_S).json()["keys"]

    assert [sorted(each) for each in keys] == [["alg", "e", "kid", "kty", "n", "use"]]


def test_keys_rotate(server: SandboxServer, clock: SettableClock) -> None:
    """Tokens are signed with the new key, and the old one stays for an hour."""

    def kids() -> list[str]:
        published = requests.get(f"{server.issuer}/jwks", timeout=TIMEOUT_S).json()
        return [each["kid"] for each in published["keys"]]

    system = System(server)
    old_token = system.ask().json()["access_token"]
    [old] = kids()
    requests.post(f"{server.issuer}/rotate", timeout=TIMEOUT_S)
    new, *others = kids()
    new_token = system.ask().json()["access_token"]
    header = json.loads(base64.urlsafe_b64decode(new_token.split(".")[0] + "=="))
    is_active = system.introspect(old_token).json()["active"]
    clock.instant += timedelta(hours=1, seconds=1)

    assert (others, header["kid"], is_active) == ([old], new, True)
    assert kids() == [new]
