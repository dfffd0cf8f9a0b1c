"""
Who is at the other end: what a proxy says counts from a trusted one only.
"""

from base64 import b64encode
from hashlib import sha256
from typing import Any, Final

import pytest
from assertions import assert_outcome, issue
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from pem import certificate_pem

from fhir_gateway.fhir.outcome import Problem, ProblemKind
from fhir_gateway.web.peer import NO_PROXIES, Peer, TrustedProxies, read_peer

HOSTS: Final = frozenset({"gateway.test"})
PROXIES: Final = TrustedProxies.parse("10.0.0.5, 10.0.1.0/24, fd00::/64")
SOCKET: Final = TrustedProxies(has_socket=True)
CERTIFICATE: Final = load_pem_x509_certificate(certificate_pem()).public_bytes(
    Encoding.DER
)
CLIENT_CERT: Final = f":{b64encode(CERTIFICATE).decode()}:"


def peer(
    address: str,
    fields: dict[str, str] | None = None,
    *,
    proxies: TrustedProxies = PROXIES,
    is_https: bool = True,
    **environ: Any,
) -> Peer:
    """Return the peer of a request from an address with some fields."""
    named = {
        "HTTP_" + name.upper().replace("-", "_"): value
        for name, value in (fields or {}).items()
    }
    return read_peer(
        {"REMOTE_ADDR": address, **named, **environ},
        proxies,
        hosts=HOSTS,
        is_https=is_https,
    )


CLAIMS: Final = {
    "X-Forwarded-For": "192.0.2.1",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Host": "evil.example",
    "Client-Cert": CLIENT_CERT,
    "Forwarded": "for=192.0.2.9",
}


@pytest.mark.parametrize("proxies", [NO_PROXIES, PROXIES])
@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.2.1", "::1", "10.0.0.50", ""])
def test_nobody_else_is_believed(address: str, proxies: TrustedProxies) -> None:
    """What a client writes about itself changes nothing, from loopback neither."""
    assert peer(address, CLAIMS, proxies=proxies) == Peer(address=address)


@pytest.mark.parametrize(
    ("fields", "address"),
    [
        ({}, "10.0.0.5"),
        ({"X-Forwarded-For": "192.0.2.1"}, "192.0.2.1"),
        ({"X-Forwarded-For": "2001:db8::1"}, "2001:db8::1"),
        ({"X-Forwarded-For": "192.0.2.1:4711"}, "192.0.2.1"),
        ({"X-Forwarded-For": "[2001:db8::1]:4711"}, "2001:db8::1"),
        ({"X-Forwarded-For": "::ffff:192.0.2.1"}, "192.0.2.1"),
        ({"X-Forwarded-For": "198.51.100.7, 192.0.2.1"}, "192.0.2.1"),
        ({"X-Forwarded-For": "192.0.2.1, 10.0.1.9"}, "192.0.2.1"),
        ({"X-Forwarded-For": "10.0.1.8, 10.0.1.9"}, "10.0.1.8"),
        ({"Forwarded": "for=192.0.2.1"}, "192.0.2.1"),
        ({"Forwarded": 'For="[2001:db8::1]:47";proto=https;by=_a'}, "2001:db8::1"),
        (
            {"Forwarded": "for=198.51.100.7, for=192.0.2.1;host=gateway.test"},
            "192.0.2.1",
        ),
        ({"Forwarded": "for=unknown"}, ""),
        ({"Forwarded": "for=192.0.2.1, for=_hidden"}, ""),
        ({"Forwarded": "proto=https"}, ""),
    ],
)
def test_a_trusted_proxy_reports_the_clients_address(
    fields: dict[str, str], address: str
) -> None:
    """The last address that is no proxy's counts: what stands before it is a claim."""
    assert peer("10.0.0.5", fields) == Peer(address=address)


def test_a_unix_socket_is_trusted() -> None:
    """Who may connect to it, the rights of its folder decide."""
    found = peer("", {"X-Forwarded-For": "192.0.2.1"}, proxies=SOCKET)

    assert found == Peer(address="192.0.2.1")


def test_an_address_mapped_into_ipv6_is_the_same_proxy() -> None:
    """A server that listens on :: sees the addresses of IPv4 in that form."""
    found = peer("::ffff:10.0.0.5", {"X-Forwarded-For": "192.0.2.1"})

    assert found == Peer(address="192.0.2.1")


def test_the_certificate_of_a_client_has_its_thumbprint() -> None:
    """A token can be bound to it (RFC 8705)."""
    found = peer("10.0.0.5", {"Client-Cert": CLIENT_CERT})
    encoded = b64encode(sha256(CERTIFICATE).digest(), b"-_").decode().rstrip("=")

    assert (found.certificate, found.thumbprint) == (CERTIFICATE, encoded)


def test_a_client_without_a_certificate_has_no_thumbprint() -> None:
    """Nothing is bound to the lack of a certificate."""
    assert peer("10.0.0.5").thumbprint is None


@pytest.mark.parametrize(
    ("fields", "parameter"),
    [
        ({"X-Forwarded-For": "evil"}, "X-Forwarded-For"),
        ({"X-Forwarded-For": ""}, "X-Forwarded-For"),
        ({"X-Forwarded-For": "192.0.2.1,"}, "X-Forwarded-For"),
        ({"X-Forwarded-For": "999.0.2.1"}, "X-Forwarded-For"),
        ({"X-Forwarded-For": ",".join(["10.0.1.1"] * 21)}, "Forwarded"),
        ({"Forwarded": "192.0.2.1"}, "Forwarded"),
        ({"Forwarded": "for=192.0.2.1;for=192.0.2.2"}, "Forwarded"),
        ({"Forwarded": "for=1", "X-Forwarded-For": "192.0.2.1"}, "Forwarded"),
        ({"X-Forwarded-Proto": "gopher"}, "X-Forwarded-Proto"),
        ({"X-Forwarded-Proto": "https, http"}, "X-Forwarded-Proto"),
        ({"X-Forwarded-Proto": "http"}, "X-Forwarded-Proto"),
        ({"Forwarded": "for=192.0.2.1;proto=http"}, "X-Forwarded-Proto"),
        ({"Client-Cert": ""}, "Client-Cert"),
        ({"Client-Cert": "::"}, "Client-Cert"),
        ({"Client-Cert": ":AAAA:"}, "Client-Cert"),
        ({"Client-Cert": CLIENT_CERT[1:-1]}, "Client-Cert"),
        ({"Client-Cert": f"{CLIENT_CERT}, {CLIENT_CERT}"}, "Client-Cert"),
        ({"Client-Cert": ":" + "=" * 10 + ":"}, "Client-Cert"),
    ],
)
def test_a_malformed_report_of_a_trusted_proxy_is_refused(
    fields: dict[str, str], parameter: str
) -> None:
    """The proxy does not do its work: nothing of such a request is believed."""
    with pytest.raises(Problem) as raised:
        peer("10.0.0.5", fields)

    (found,) = raised.value.issues
    assert (raised.value.kind, found.parameter) == (ProblemKind.MALFORMED, parameter)


@pytest.mark.parametrize(
    "name", ["X_FORWARDED_PROTO", "X_FORWARDED_HOST", "CLIENT_CERT"]
)
def test_two_of_what_has_one_value_are_refused(name: str) -> None:
    """The proxy did not remove what the client had written."""
    with pytest.raises(Problem) as raised:
        peer("10.0.0.5", **{"fhir_gateway.repeated": [f"HTTP_{name}"]})

    assert raised.value.kind == ProblemKind.MALFORMED


@pytest.mark.parametrize("address", ["10.0.0.5", "192.0.2.1"])
def test_a_spelling_with_underscores_is_refused(address: str) -> None:
    """Another server would read it as the field of the proxy."""
    with pytest.raises(Problem) as raised:
        peer(address, **{"fhir_gateway.underscored": ["HTTP_X", "HTTP_CLIENT_CERT"]})

    assert raised.value.kind == ProblemKind.MALFORMED


def test_plain_http_is_the_proxys_business_where_clients_use_it() -> None:
    """With a base URL of http, as on loopback, nothing is refused for it."""
    found = peer("10.0.0.5", {"X-Forwarded-Proto": "http"}, is_https=False)

    assert found == Peer(address="10.0.0.5")


@pytest.mark.parametrize("field", ["X-Forwarded-Host", "Forwarded"])
def test_a_host_of_somebody_else_is_misdirected(field: str) -> None:
    """The name that the client asked the proxy for is checked as Host is."""
    host = "evil.example"
    text = f"for=192.0.2.1;host={host}" if field == "Forwarded" else host
    with pytest.raises(Problem) as raised:
        peer("10.0.0.5", {field: text})

    assert raised.value.kind == ProblemKind.MISDIRECTED


@given(st.sampled_from(sorted(CLAIMS)), st.text(max_size=60))
def test_any_text_is_read_or_refused(name: str, text: str) -> None:
    """No value of a field makes the reading fail in another way."""
    try:
        found = peer("10.0.0.5", {name: text})
    except Problem as problem:
        (found_issue,) = problem.issues
        assert found_issue.parameter in CLAIMS
    else:
        assert isinstance(found, Peer)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("proxy.example.org", "must be addresses"),
        ("10.0.1.1/24", "must be addresses"),
        ("10.0.0.5 10.0.0.6", "must be addresses"),
        ("0.0.0.0/0", "trusts everybody"),
        ("10.0.0.5,::/0", "trusts everybody"),
    ],
)
def test_a_wrong_setting_says_what_is_expected(text: str, fault: str) -> None:
    """Nobody trusts everybody by mistake."""
    with pytest.raises(ValueError, match=fault):
        TrustedProxies.parse(text)


def test_a_client_cannot_claim_a_certificate(client: FlaskClient) -> None:
    """Over HTTP too: the field is refused in its other spelling, or ignored."""
    overrides = {"fhir_gateway.underscored": ["HTTP_CLIENT_CERT"]}
    response = client.get("/fhir/metadata", environ_overrides=overrides)

    assert_outcome(
        response,
        400,
        issue("value", "Write Client-Cert with hyphens.", location="http.Client-Cert"),
    )
    assert client.get("/fhir/metadata", headers=CLAIMS).status_code == 200
