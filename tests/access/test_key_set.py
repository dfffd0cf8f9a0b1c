"""
Issuers' keys: which are used, and how they stay up to date.
"""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest
from access_tokens import (
    AT,
    CLAIMS,
    ISSUER,
    issuer,
    key_of,
    key_set_json,
    public_jwk,
    signed,
)
from cryptography.hazmat.primitives.asymmetric import rsa
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, OKPKey
from joserfc.util import int_to_base64
from pem import write_server_certificate
from urllib3.exceptions import HTTPError

from fhir_gateway.access.issuer_schema import ALGORITHMS
from fhir_gateway.access.key_set import (
    KeySet,
    UnusableKeys,
    key_set_fetch,
    keys_from_json,
)
from fhir_gateway.access.token import verified_token
from fhir_gateway.model.errors import Unauthenticated

NOW = int(AT.timestamp())


def usable(*keys: Any) -> int:
    """Return how many keys of a key set are usable."""
    return len(keys_from_json(key_set_json(*keys), ALGORITHMS))


def rsa_jwk(bits: int = 2048, **changes: Any) -> dict[str, Any]:
    """Return a public key of RSA of any size."""
    numbers = rsa.generate_private_key(65_537, bits).public_key().public_numbers()
    return {
        "kty": "RSA",
        "kid": "r",
        "n": int_to_base64(numbers.n),
        "e": int_to_base64(numbers.e),
        **changes,
    }


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_is_found_by_its_id_and_algorithm(algorithm: str) -> None:
    """Each key serves the algorithm that it is published for."""
    keys = keys_from_json(key_set_json(), ALGORITHMS)

    found = keys.key(f"{algorithm}-1", algorithm)

    assert found is not None
    assert found.thumbprint() == key_of(algorithm).thumbprint()
    assert {
        other: keys.key(f"{algorithm}-1", other) is None for other in ALGORITHMS
    } == {other: other != algorithm for other in ALGORITHMS}


def test_a_key_without_algorithm_serves_all_that_fit() -> None:
    """A key of RSA may sign both RS256 and RS384; a curve has one algorithm."""
    ids = [public_jwk(name, alg=None) for name in ("RS384", "ES256")]
    keys = keys_from_json(
        key_set_json(*({n: k[n] for n in k if k[n] is not None} for k in ids)),
        ALGORITHMS,
    )

    assert [
        (kid, name)
        for kid in ("RS384-1", "ES256-1")
        for name in ALGORITHMS
        if keys.key(kid, name)
    ] == [("RS384-1", "RS256"), ("RS384-1", "RS384"), ("ES256-1", "ES256")]


EC = public_jwk("ES256")
RSA = public_jwk("RS384")


@pytest.mark.parametrize(
    "jwk",
    [
        pytest.param(key_of("ES256").as_dict(private=True), id="private"),
        pytest.param({**EC, "d": None}, id="private, perhaps"),
        pytest.param({**EC, "use": "enc"}, id="for encryption"),
        pytest.param({**EC, "use": ["sig"]}, id="a list of uses"),
        pytest.param({**EC, "key_ops": ["sign"]}, id="for signing"),
        pytest.param({**EC, "key_ops": "verify"}, id="operations that are no list"),
        pytest.param({**EC, "alg": "ES512"}, id="another algorithm"),
        pytest.param({**EC, "alg": "ES384"}, id="an algorithm of another curve"),
        pytest.param({**EC, "alg": "RS256"}, id="an algorithm of another type"),
        pytest.param({**EC, "alg": "HS256"}, id="a symmetric algorithm"),
        pytest.param({**EC, "alg": ["ES256"]}, id="a list of algorithms"),
        pytest.param({**EC, "kid": ""}, id="an empty kid"),
        pytest.param({**EC, "kid": 7}, id="a number as kid"),
        pytest.param({**EC, "kid": "a" * 257}, id="a long kid"),
        pytest.param({**EC, "kty": "RSA"}, id="the wrong type"),
        pytest.param({**EC, "kty": ["EC"]}, id="a list of types"),
        pytest.param({**EC, "crv": "P-384"}, id="the wrong curve"),
        pytest.param({**EC, "crv": "P-257"}, id="no curve"),
        pytest.param({**EC, "x": "AA"}, id="a point that is not on the curve"),
        pytest.param({**EC, "x": ""}, id="no x"),
        pytest.param({**EC, "x": "%"}, id="an x that is no base64url"),
        pytest.param({**EC, "x": 7}, id="a number as x"),
        pytest.param({**EC, "x": "A" * 100_000}, id="a huge x"),
        pytest.param(
            ECKey.generate_key("P-521").as_dict(private=False), id="another curve"
        ),
        pytest.param(OctKey.generate_key(256).as_dict(private=True), id="symmetric"),
        pytest.param(OKPKey.generate_key("Ed25519").as_dict(private=False), id="EdDSA"),
        pytest.param(rsa_jwk(1024), id="RSA of 1024 bits"),
        pytest.param({**RSA, "n": RSA["n"][:-2]}, id="RSA of less than 2048 bits"),
        pytest.param({**RSA, "e": "Aw"}, id="RSA with exponent 3"),
        pytest.param({**RSA, "e": "AQAB" * 10}, id="RSA with a large exponent"),
        pytest.param({**RSA, "n": "_" * 2000}, id="RSA of 12,000 bits"),
        pytest.param({}, id="nothing"),
        pytest.param(None, id="null"),
        pytest.param("ES256", id="a text"),
        pytest.param([EC], id="a list"),
    ],
)
def test_a_key_that_cannot_check_signatures_is_left_out(jwk: Any) -> None:
    """An odd or weak key is left out, and the others serve."""
    keys = keys_from_json(key_set_json(jwk, public_jwk("ES384")), ALGORITHMS)

    assert (len(keys), keys.left_out) == (1, 1)


def test_what_else_a_key_has_does_not_matter() -> None:
    """Certificates, URLs and unknown members of a key are not looked at."""
    more = {"x5u": "https://a", "x5c": ["x"], "x5t": 7, "nbf": "a", "oth": 1}

    assert usable({**EC, **more}, {**RSA, **more, "key_ops": ["verify"]}) == 2


def test_of_two_keys_with_one_name_the_first_serves() -> None:
    """A second key with the same `kid` and algorithm is left out."""
    keys = keys_from_json(
        key_set_json(EC, {**public_jwk("ES256", "2"), "kid": "ES256-1"}), ALGORITHMS
    )
    found = keys.key("ES256-1", "ES256")

    assert keys.left_out == 1
    assert found is not None
    assert found.thumbprint() == key_of("ES256").thumbprint()


def test_an_empty_key_set_has_no_keys() -> None:
    """An issuer may withdraw all its keys."""
    assert len(keys_from_json(b'{"keys": []}', ALGORITHMS)) == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"keys": {}}',
        b'{"keys": null}',
        b'{"keys": [], "keys": []}',
        b"<html>",
        b"\xff\xfe",
        b'{"keys": [' + b"{}, " * 100 + b"{}]}",
        b'{"keys": ' + b"[" * 10_000,
    ],
)
def test_what_is_no_key_set_is_refused(body: bytes) -> None:
    """A page of a proxy, or a broken document, withdraws no key."""
    with pytest.raises(UnusableKeys):
        keys_from_json(body, ALGORITHMS)


_MEMBERS = ["kty", "crv", "x", "y", "n", "e", "d", "kid", "use", "alg", "key_ops"]


@given(
    st.sampled_from([EC, RSA]),
    st.dictionaries(
        st.sampled_from(_MEMBERS),
        st.none()
        | st.booleans()
        | st.integers(-9, 9)
        | st.text(max_size=9)
        | st.lists(st.text(max_size=3), max_size=3)
        | st.sampled_from(["RSA", "EC", "P-256", "P-384", "verify", "sig", "AQAB"]),
    ),
)
@settings(max_examples=examples(300), deadline=None)
def test_any_key_is_used_or_left_out(
    jwk: dict[str, Any], changes: dict[str, Any]
) -> None:
    """No member of any type raises an error."""
    keys = keys_from_json(key_set_json({**jwk, **changes}), ALGORITHMS)

    assert len(keys) + keys.left_out == 1


@contextmanager
def answering(
    answer: Callable[[BaseHTTPRequestHandler], None],
    context: ssl.SSLContext | None = None,
) -> Iterator[str]:
    """Yield the URL of a server that answers so, over TLS if there is a context."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.handle_error = lambda *_: None  # type: ignore[method-assign] # a client that hangs up is no fault here
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        try:
            scheme = "https" if context else "http"
            yield f"{scheme}://127.0.0.1:{server.server_port}/jwks"
        finally:
            server.shutdown()
            thread.join()


def send(
    handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, **headers: str
) -> None:
    """Send an answer."""
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def fetched(answer: Callable[[BaseHTTPRequestHandler], None]) -> bytes:
    """Return what is fetched from a server."""
    with answering(answer) as url:
        return key_set_fetch(issuer(jwks_uri=url), within_s=2)()


def test_a_key_set_is_fetched() -> None:
    """The keys are what `jwks_uri` answers."""
    result = fetched(lambda handler: send(handler, key_set_json(EC)))

    assert orjson.loads(result) == {"keys": [EC]}


@pytest.mark.parametrize("status", [201, 204, 301, 302, 304, 307, 401, 404, 500, 503])
def test_another_status_than_200_is_no_key_set(status: int) -> None:
    """A redirect is not followed, and an error page is not read."""
    with pytest.raises(UnusableKeys, match=f"^the answer has the status {status}$"):
        fetched(
            lambda handler: send(
                handler, key_set_json() if status != 204 else b"", status, Location="/"
            )
        )


def test_a_large_key_set_is_not_read() -> None:
    """More than 256 KiB are no key set."""
    with pytest.raises(UnusableKeys, match="it has more than 262144 bytes"):
        fetched(lambda handler: send(handler, b" " * 300_000))


def test_a_slow_issuer_is_given_up() -> None:
    """An answer that comes byte by byte has a deadline as a whole."""
    gone = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        try:
            while not gone.wait(0.05):
                handler.wfile.write(b"H")
        except OSError:
            pass

    with answering(drip) as url:
        try:
            with pytest.raises(OSError, match=r"."):
                key_set_fetch(issuer(jwks_uri=url), within_s=0.3)()
        finally:
            gone.set()


def test_nobody_is_an_error() -> None:
    """An issuer that is away is an error."""
    with pytest.raises(OSError, match=r"."):
        key_set_fetch(issuer(jwks_uri="http://127.0.0.1:9/jwks"), within_s=2)()


class Shelf:
    """An issuer's key set that a test changes."""

    def __init__(self, *answers: bytes | Exception) -> None:
        self.answers = list(answers)
        self.calls = 0

    def __call__(self) -> bytes:
        """Return the next answer, or the last one for ever."""
        self.calls += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def accepts(keys: KeySet, *, kid: str) -> bool:
    """Return whether a token of a key is accepted."""
    try:
        verified_token(signed(CLAIMS, kid=kid), {ISSUER: keys}, NOW)
    except Unauthenticated:
        return False
    return True


ONE = key_set_json(EC)
TWO = key_set_json(public_jwk("ES256", "2"))
BOTH = key_set_json(EC, public_jwk("ES256", "2"))


def test_keys_rotate_without_a_restart() -> None:
    """A new key is accepted, and a withdrawn one refused, after the next call."""
    keys = KeySet(issuer(), Shelf(ONE, BOTH, TWO))
    seen = []

    for _ in range(3):
        keys.refresh()
        seen.append((accepts(keys, kid="1"), accepts(keys, kid="2")))

    assert seen == [(True, False), (True, True), (False, True)]


@pytest.mark.parametrize(
    "failure",
    [OSError("away"), UnusableKeys("x"), ValueError("x"), KeyError("x"), b"<html>"],
    ids=repr,
)
def test_stale_keys_serve_while_the_issuer_is_away(failure: Exception | bytes) -> None:
    """No failure of any kind withdraws a key, or ends the thread."""
    keys = KeySet(issuer(), Shelf(ONE, failure, failure, TWO))
    seen = []

    for _ in range(4):
        keys.refresh()
        seen.append((accepts(keys, kid="1"), accepts(keys, kid="2")))

    assert seen == [(True, False)] * 3 + [(False, True)]


def test_an_empty_key_set_withdraws_every_key() -> None:
    """A key set that can be read counts, also without keys."""
    keys = KeySet(issuer(), Shelf(ONE, b'{"keys": []}'))
    keys.refresh()
    keys.refresh()

    assert not accepts(keys, kid="1")


def test_the_keys_are_the_same_object_while_they_do_not_change() -> None:
    """Verified tokens need not be verified again after each call."""
    keys = KeySet(issuer(), Shelf(ONE, ONE, TWO))
    keys.refresh()
    first = keys.keys
    keys.refresh()
    second = keys.keys
    keys.refresh()

    assert second is first
    assert keys.keys is not first


def test_unknown_kids_cause_no_call() -> None:
    """A flood of random `kid` does not reach the issuer."""
    shelf = Shelf(ONE)
    keys = KeySet(issuer(), shelf)
    keys.start()
    keys.wait(10)
    try:
        accepted = [accepts(keys, kid="2") for _ in range(200)]
    finally:
        keys.stop()

    assert (any(accepted), shelf.calls) == (False, 1)


def test_a_thread_keeps_the_keys_up_to_date() -> None:
    """The keys are fetched again and again, through failures, until the end."""
    rotated = threading.Event()

    def fetch() -> bytes:
        calls.append(1)
        if len(calls) == 2:
            raise OSError("away")
        if len(calls) > 3:
            rotated.set()
        return TWO if len(calls) > 2 else ONE

    calls: list[int] = []
    keys = KeySet(issuer(), fetch, every_s=0.01)
    keys.start()
    try:
        assert rotated.wait(10)
    finally:
        keys.stop()

    assert (accepts(keys, kid="1"), accepts(keys, kid="2")) == (False, True)


def test_an_issuer_on_tls_needs_a_trusted_certificate(tmp_path: Path) -> None:
    """`trust` of the issuer is what counts, and checking cannot be turned off."""
    certificate = write_server_certificate(tmp_path, "idp", "127.0.0.1")
    stranger = write_server_certificate(tmp_path, "stranger", "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with answering(lambda handler: send(handler, ONE), context) as url:
        read = key_set_fetch(issuer(jwks_uri=url, trust=certificate), within_s=2)()
        for trust in (stranger, None):
            with pytest.raises((OSError, HTTPError)):
                key_set_fetch(issuer(jwks_uri=url, trust=trust), within_s=2)()

    assert read == ONE
