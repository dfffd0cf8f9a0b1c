"""
Who sends a request, by the field `Authorization` and a client certificate.
"""

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import count
from typing import Any

import pytest
from access_tokens import (
    AT,
    CLAIMS,
    NORR,
    RESIDENT,
    SYSTEM,
    issuer,
    key_set,
    key_set_json,
    public_jwk,
    signed,
)
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_gateway.access.identity import Identity
from fhir_gateway.access.key_set import KeySet
from fhir_gateway.model.errors import NotPermitted, Unauthenticated, Unavailable
from fhir_gateway.model.principal import Principal, Role

CERTIFICATE = b"a certificate in DER"
THUMBPRINT = urlsafe_b64encode(sha256(CERTIFICATE).digest()).rstrip(b"=").decode()
BOUND = {**RESIDENT, "cnf": {"x5t#S256": THUMBPRINT}}
TOKEN = signed(RESIDENT)

ONE_FIELD = "Send one Authorization field: Bearer, a blank, and the access token."
BINDING = (
    "The access token is bound to a client certificate: send it over mutual TLS with"
    " that certificate."
)


class Watch:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = AT

    def __call__(self) -> datetime:
        """Return the time that it shows."""
        return self.now

    def wind(self, seconds: int) -> None:
        """Move it."""
        self.now += timedelta(seconds=seconds)


def identity(keys: KeySet | None = None, clock: Watch | None = None) -> Identity:
    """Return who a server with one issuer and one known client asks."""
    return Identity([keys or key_set()], [NORR], clock=clock or Watch())


def bearer(claims: Mapping[str, Any], **options: Any) -> str:
    """Return the field with a token."""
    return f"Bearer {signed(claims, **options)}"


def test_without_the_field_a_request_is_anybodys() -> None:
    """No token is no fault: open data needs none."""
    assert identity().principal_of(None) == Principal(role=Role.ANYBODY)


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", "Bearer   "])
def test_a_bearer_token_says_who_asks(scheme: str) -> None:
    """The scheme has no case (RFC 9110, 11.1), and one blank or more."""
    assert identity().principal_of(scheme + TOKEN).role is Role.RESIDENT


@pytest.mark.parametrize(
    "authorization",
    [
        *("", " ", TOKEN, "Basic YTpi", f"DPoP {TOKEN}", f"Token {TOKEN}", "Negotiate"),
        *(f" Bearer {TOKEN}", "Beare", f'Digest username="{TOKEN}"'),
    ],
    # Not the texts: a signature is another one in each process of the tests.
    ids=count(),
)
def test_another_scheme_is_no_token(authorization: str) -> None:
    """The answer says how to authenticate, without an error code (RFC 6750, 3.1)."""
    with pytest.raises(Unauthenticated) as raised:
        identity().principal_of(authorization)

    assert (str(raised.value), raised.value.is_without_token) == (ONE_FIELD, True)


@pytest.mark.parametrize(
    "authorization",
    [
        *(
            "Bearer",
            "Bearer ",
            f"Bearer\t{TOKEN}",
            f"Bearer {TOKEN} ",
            f"Bearer{TOKEN}",
        ),
        *(f"Bearer {TOKEN}, Bearer {TOKEN}", f"Bearer {TOKEN},{TOKEN}", "Bearer ,"),
        *(f"Bearer {TOKEN} {TOKEN}", f'Bearer "{TOKEN}"', f"Bearer {TOKEN}\r\nX: y"),
        *(f"Bearer token={TOKEN}", f"Bearer {TOKEN}\0", "Bearer å", "Bearer %41"),
    ],
    # Not the texts: a signature is another one in each process of the tests.
    ids=count(),
)
def test_a_malformed_field_is_refused(authorization: str) -> None:
    """Two tokens, two fields that a server joined, quotes and blanks are 401."""
    with pytest.raises(Unauthenticated) as raised:
        identity().principal_of(authorization)

    assert (str(raised.value), raised.value.is_without_token) == (ONE_FIELD, False)


def test_a_long_field_is_refused_unread() -> None:
    """A field of 5 MB costs nothing."""
    with pytest.raises(Unauthenticated, match="too long"):
        identity().principal_of("Bearer " + "a" * 5_000_000)


@given(st.text(max_size=80) | st.text(max_size=80).map("Bearer {}".format))
@settings(max_examples=examples(500), deadline=None)
def test_any_field_is_refused(authorization: str) -> None:
    """No text raises anything but a refusal, which repeats nothing of it."""
    with pytest.raises(Unauthenticated) as raised:
        identity(_KEYS).principal_of(authorization)

    assert len(authorization) < 20 or authorization not in str(raised.value)


_KEYS = key_set()


def test_a_refusal_repeats_nothing() -> None:
    """Neither a message nor its cause's text nor a repr has a part of a token."""
    canary = "191212121212"
    tokens = [
        bearer({**RESIDENT, **change})
        for change in (
            *(
                {"aud": canary},
                {"iss": canary},
                {"exp": canary},
                {"jti": canary + "\n"},
            ),
            *({"employeeHsaId": canary + " "}, {"acr": canary}, {"scope": [canary]}),
        )
    ]

    texts = []
    for each in tokens:
        with pytest.raises((Unauthenticated, NotPermitted)) as raised:
            identity().principal_of(each)
        texts += [str(raised.value), repr(raised.value)]

    assert [text for text in texts if canary in text or "eyJ" in text] == []
    assert canary not in repr(identity().principal_of(f"Bearer {TOKEN}"))


def test_a_verified_token_is_remembered_for_a_minute() -> None:
    """Within a minute the same token is not verified again."""
    clock = Watch()
    asked = identity(clock=clock)
    first = asked.principal_of(f"Bearer {TOKEN}")
    seen = []

    for seconds in (0, 59, 1, 59, 1):
        clock.wind(seconds)
        seen.append(asked.principal_of(f"Bearer {TOKEN}") is first)

    assert seen == [True, True, False, False, False]


def test_a_token_is_not_remembered_past_its_end() -> None:
    """After `exp` a token is checked each time, and refused after the leeway."""
    clock = Watch()
    asked = identity(clock=clock)
    field = bearer({**RESIDENT, "exp": int(AT.timestamp()) + 20})
    first = asked.principal_of(field)

    clock.wind(19)
    assert asked.principal_of(field) is first
    clock.wind(1)
    assert asked.principal_of(field) is not first
    clock.wind(30)
    with pytest.raises(Unauthenticated, match="expired"):
        asked.principal_of(field)


def test_a_clock_that_was_set_back_extends_nothing() -> None:
    """A token that was verified later than now is verified anew."""
    clock = Watch()
    asked = identity(clock=clock)
    first = asked.principal_of(f"Bearer {TOKEN}")

    clock.wind(-10)

    assert asked.principal_of(f"Bearer {TOKEN}") is not first


def test_a_withdrawn_key_ends_what_is_remembered() -> None:
    """A token is refused as soon as its key is withdrawn."""
    bodies = [key_set_json(), key_set_json(public_jwk("ES256", "2"))]
    keys = key_set(fetch=lambda: bodies.pop(0))
    asked = identity(keys)
    asked.principal_of(f"Bearer {TOKEN}")

    keys.refresh()

    with pytest.raises(Unauthenticated):
        asked.principal_of(f"Bearer {TOKEN}")


def test_a_refused_token_is_not_remembered() -> None:
    """A token that is early now may be valid soon."""
    clock = Watch()
    asked = identity(clock=clock)
    field = bearer({**RESIDENT, "nbf": int(AT.timestamp()) + 60})
    with pytest.raises(Unauthenticated, match="not valid yet"):
        asked.principal_of(field)

    clock.wind(30)

    assert asked.principal_of(field).role is Role.RESIDENT


def test_no_more_than_so_many_tokens_are_remembered() -> None:
    """The one that was verified longest ago is forgotten first."""
    asked = Identity([key_set()], clock=Watch(), most_remembered=3)
    fields = [bearer({**RESIDENT, "jti": f"number-{n}"}) for n in range(4)]
    seen = [asked.principal_of(each) for each in fields]

    again = [asked.principal_of(each) for each in fields[::-1]]

    kept = [one is other for one, other in zip(again, seen[::-1], strict=True)]
    assert kept == [True, True, True, False]


def test_a_token_is_forgotten_after_a_minute() -> None:
    """The next token that is verified removes those that are of no use any more."""
    clock = Watch()
    asked = identity(clock=clock)
    for number in range(3):
        asked.principal_of(bearer({**RESIDENT, "jti": f"number-{number}"}))
    clock.wind(60)

    asked.principal_of(f"Bearer {TOKEN}")

    assert asked.remembered == 1


def test_a_token_of_another_issuer_is_another_persons() -> None:
    """The same `sub` at two issuers is two principals."""
    other = "https://other.example.org"
    asked = Identity([key_set(), key_set(issuer(name=other))], clock=Watch())

    keys = {
        asked.principal_of(bearer({**RESIDENT, "iss": name})).key
        for name in (RESIDENT["iss"], other)
    }

    assert len(keys) == 2


def test_a_bound_token_needs_its_certificate() -> None:
    """A token with `cnf` serves only over mutual TLS with that certificate."""
    asked = identity()
    field = bearer(BOUND)

    assert asked.principal_of(field, CERTIFICATE).role is Role.RESIDENT
    for certificate in (None, b"", b"another", CERTIFICATE + b" "):
        # The token is remembered by now: that must not matter.
        with pytest.raises(Unauthenticated) as raised:
            asked.principal_of(field, certificate)
        assert (str(raised.value), raised.value.is_without_token) == (BINDING, False)


def test_a_token_that_is_not_bound_needs_no_certificate() -> None:
    """A certificate beside a token that is not bound does not matter."""
    assert identity().principal_of(f"Bearer {TOKEN}", CERTIFICATE).role is Role.RESIDENT


def test_a_bound_token_without_certificate_is_refused_at_once() -> None:
    """The first request with a stolen bound token fails, too."""
    with pytest.raises(Unauthenticated):
        identity().principal_of(bearer({**SYSTEM, "cnf": {"x5t#S256": "A" * 43}}))


def test_without_keys_of_the_issuer_the_server_is_to_blame() -> None:
    """Before the first keys a token is 503, and its client may try again."""
    with pytest.raises(Unavailable):
        identity(KeySet(issuer(), key_set_json)).principal_of(bearer(RESIDENT))


def test_a_start_waits_for_the_first_keys() -> None:
    """A server that has started answers no token of a quick issuer with 503."""
    asked = identity(KeySet(issuer(), key_set_json))
    asked.start()
    try:
        assert asked.principal_of(bearer(RESIDENT)).role is Role.RESIDENT
    finally:
        asked.stop()


def test_a_start_does_not_fail_without_keys() -> None:
    """A server starts while its issuer is away."""

    def away() -> bytes:
        raise OSError("away")

    asked = identity(KeySet(issuer(), away))
    asked.start()
    try:
        with suppress(Unavailable):
            asked.principal_of(bearer(CLAIMS))
    finally:
        asked.stop()
