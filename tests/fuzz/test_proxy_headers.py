"""
What a proxy writes, from a proxy and from everybody else.
"""

from base64 import b64encode
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate
from hypothesis import given
from hypothesis import strategies as st
from pem import certificate_pem

from fhir_gateway.fhir.outcome import Problem
from fhir_gateway.web.peer import NO_PROXIES, Peer, TrustedProxies, read_peer
from fhir_gateway.web.request_head import REPEATED, UNDERSCORED

from .texts import HOSTILE
from .tries import tried
from .world import EVERYBODY, World, ask

pytestmark = [pytest.mark.flow, pytest.mark.usefixtures("watch")]

_PROXY: Final = "10.0.0.5"
_NAMES: Final = [
    *("Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"),
    *("Client-Cert", "Client-Cert-Chain", "X-Forwarded-Port", "X-Real-IP"),
    *("X-VP-Auth-Cert", "X-VP-Sender-Id", "X-Forwarded-Prefix", "X-Original-URL"),
    *("X-Rewrite-URL", "X-HTTP-Method-Override", "X-SSL-Client-S-DN", "Via"),
    *("X-Forwarded-User", "X-Remote-User", "True-Client-IP", "X-Forwarded-Scheme"),
]
_VALUES = (
    st.sampled_from(
        [
            *(
                "127.0.0.1",
                "::1",
                "[::1]:80",
                "10.0.0.5",
                "10.0.0.5, 10.0.0.5",
                "unknown",
            ),
            *("for=127.0.0.1", 'for="[::1]:1";proto=https;host=gateway.test', "for=_x"),
            *(
                "for=a;for=b",
                "for=127.0.0.1;;",
                "for=127.0.0.1,",
                'for="',
                "FOR=1.2.3.4",
            ),
            *("http", "https", "HTTPS", "gateway.test", "evil.example", ":AA==:", "::"),
            *(", ".join(["10.0.0.5"] * 30), "DELETE", "/fhir/Appointment", "SE2321-1"),
            *("2130706433", "0x7f.1", "127.1", "fe80::1%25lo", "::ffff:10.0.0.5"),
        ]
    )
    | HOSTILE
).map(
    lambda text: (
        text.encode("ascii", "ignore").decode().translate({10: None, 13: None, 0: None})
    )
)
_FIELDS = st.dictionaries(st.sampled_from(_NAMES), _VALUES, min_size=1, max_size=5)


def _environ(fields: dict[str, str], address: str, **more: Any) -> dict[str, Any]:
    named = {
        "HTTP_" + name.upper().replace("-", "_"): value
        for name, value in fields.items()
    }
    return {"REMOTE_ADDR": address, **named, **more}


def _peer(environ: dict[str, Any], proxies: TrustedProxies) -> Peer | None:
    """Return the peer; None where the request is refused."""
    try:
        return read_peer(environ, proxies, hosts={"gateway.test"}, is_https=False)
    except Problem:
        return None


@given(fields=_FIELDS, address=st.ip_addresses().map(str) | st.just(""))
@tried("proxy headers", 0.25)
def test_nobody_but_a_proxy_is_believed(fields: dict[str, str], address: str) -> None:
    """From anybody else the fields mean nothing at all."""
    plain = _peer(_environ({}, address), NO_PROXIES)

    assert _peer(_environ(fields, address), NO_PROXIES) == plain
    assert plain is not None
    assert plain.certificate is None


@given(fields=_FIELDS, repeated=st.booleans(), underscored=st.booleans())
@tried("proxy headers", 0.25)
def test_a_proxys_fields_are_read_or_refused(
    fields: dict[str, str], *, repeated: bool, underscored: bool
) -> None:
    """A proxy's fields name one client, or the request is refused."""
    names = [name for name in _environ(fields, "") if name.startswith("HTTP_")]
    more = {}
    if repeated:
        more[REPEATED] = names
    if underscored:
        more[UNDERSCORED] = names

    peer = _peer(_environ(fields, _PROXY, **more), TrustedProxies.parse(_PROXY))

    if peer is not None:
        assert "," not in peer.address
        assert peer.certificate is None


@given(fields=_FIELDS, who=st.sampled_from(EVERYBODY))
@tried("proxy headers", 0.5)
def test_a_client_changes_nothing_with_a_proxys_fields(
    world: World, number: str, fields: dict[str, str], who: str
) -> None:
    """An answer is the same with and without what only a proxy may write."""
    path = f"/fhir/Appointment/{world.canary.ids[0]}"
    client = world.client(who, number)
    plain = world.guarded.outward(ask(client, "GET", path))
    disguised = world.guarded.outward(ask(client, "GET", path, headers=fields))

    assert disguised == plain


def test_a_certificate_would_be_read() -> None:
    """A proxy's own certificate field is read, so the other tests can fail."""
    certificate = load_pem_x509_certificate(certificate_pem())
    field = b64encode(certificate.public_bytes(Encoding.DER)).decode()
    peer = _peer(
        _environ({"Client-Cert": f":{field}:"}, _PROXY), TrustedProxies.parse(_PROXY)
    )

    assert peer is not None
    assert peer.certificate is not None
