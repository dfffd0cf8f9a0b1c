"""
Access tokens: which are accepted, and each kind that is not (RFC 8725; reliability).
"""

import hmac
from base64 import urlsafe_b64encode
from contextlib import suppress
from typing import Any

import orjson
import pytest
from access_tokens import (
    AT,
    AUDIENCE,
    CLAIMS,
    ISSUER,
    RESIDENT,
    compact,
    issuer,
    key_of,
    key_set,
    key_set_json,
    public_jwk,
    signed,
)
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_gateway.access.issuer_schema import ALGORITHMS
from fhir_gateway.access.key_set import KeySet
from fhir_gateway.access.token import Token, verified_token
from fhir_gateway.model.errors import Party, Unauthenticated, Unavailable

NOW = int(AT.timestamp())
UNREADABLE = "The access token cannot be read: send a signed JWT."
UNVERIFIED = "The access token is not signed by an issuer that is trusted here."
WRONG_CLAIM = "The access token lacks a claim, or a claim has a wrong form."
AUDIENCE_FAULT = "The access token is for another server."
EXPIRED = "The access token has expired: get a new one."
EARLY = "The access token is not valid yet."
LASTING = "The access token is valid for longer than this server accepts."

every_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS)


def verified(text: str, keys: KeySet | None = None, at: int = NOW) -> Token:
    """Return what a token says to a server that trusts one issuer."""
    return verified_token(text, {ISSUER: keys or key_set()}, at)


def fault_of(text: str, keys: KeySet | None = None, at: int = NOW) -> str:
    """Return why a token is refused."""
    with pytest.raises(Unauthenticated) as raised:
        verified(text, keys, at)
    return str(raised.value)


def encoded(content: bytes) -> str:
    """Return bytes in base64url."""
    return urlsafe_b64encode(content).rstrip(b"=").decode()


@every_algorithm
def test_a_good_token_is_read(algorithm: str) -> None:
    """A token of a trusted issuer that is valid now is what its claims say."""
    keys = key_set()

    token = verified(signed(RESIDENT, algorithm=algorithm), keys)

    assert {name: getattr(token, name) for name in Token.__slots__} == {
        "issuer": keys.issuer,
        "keys": keys.keys,
        "user": "subject-1",
        "client": "app",
        "scopes": frozenset({"patient/Appointment.cruds"}),
        "expires_at": NOW + 300,
        "certificate": None,
        "claims": RESIDENT,
    }


@every_algorithm
def test_no_algorithm_is_no_signature(algorithm: str) -> None:
    """`none`, in any capitals, is refused with and without a signature."""
    good = signed(CLAIMS, algorithm=algorithm).split(".")
    headers = [
        encoded(orjson.dumps({"alg": name, "kid": f"{algorithm}-1"}))
        for name in ("none", "None", "NONE", "")
    ]
    tokens = [
        f"{header}.{good[1]}.{end}" for header in headers for end in ("", "AA", good[2])
    ]

    assert {fault_of(each) for each in tokens} == {UNREADABLE, UNVERIFIED}


@every_algorithm
@pytest.mark.parametrize("bits", [256, 384, 512])
def test_a_public_key_is_no_secret(algorithm: str, bits: int) -> None:
    """A public key, in PEM or DER, does not sign as the secret of an HMAC."""
    key = key_of(algorithm)
    header = {"alg": f"HS{bits}", "kid": f"{algorithm}-1"}
    text = f"{encoded(orjson.dumps(header))}.{encoded(orjson.dumps(CLAIMS))}"
    tokens = [
        f"{text}.{encoded(hmac.digest(secret, text.encode(), f'sha{bits}'))}"
        for secret in (
            key.as_pem(),
            key.as_pem().strip(),
            key.as_der(),
            orjson.dumps(public_jwk(algorithm)),
        )
    ]

    assert {fault_of(each) for each in tokens} == {UNVERIFIED}


@every_algorithm
@pytest.mark.parametrize("other", [*ALGORITHMS, "RS512", "ES512", "PS256", "EdDSA"])
def test_a_key_serves_its_own_algorithm_only(algorithm: str, other: str) -> None:
    """A signature is checked with the algorithm that its key is published for."""
    good = signed(CLAIMS, algorithm=algorithm).split(".")
    header = encoded(orjson.dumps({"alg": other, "kid": f"{algorithm}-1"}))

    assert fault_of(f"{header}.{good[1]}.{good[2]}") == UNVERIFIED


def test_an_issuer_signs_with_its_own_algorithms_only() -> None:
    """An algorithm that the file of issuers does not list is refused."""
    keys = key_set(issuer(algorithms=("ES384",)))

    assert fault_of(signed(CLAIMS, algorithm="RS256"), keys) == UNVERIFIED
    assert verified(signed(CLAIMS, algorithm="ES384"), keys).user == "subject-1"


@every_algorithm
def test_a_signature_of_another_key_is_refused(algorithm: str) -> None:
    """Who has another key than the issuer's cannot use the issuer's `kid`."""
    token = compact(
        orjson.dumps({"alg": algorithm, "kid": f"{algorithm}-1"}),
        orjson.dumps(CLAIMS),
        algorithm=algorithm,
        key=key_of(algorithm, "another"),
    )

    assert fault_of(token) == UNVERIFIED


@every_algorithm
@pytest.mark.parametrize(
    "kid",
    [
        "unknown",
        "",
        "../../../../dev/null",
        "/dev/null",
        "' OR '1'='1",
        "https://attacker.example.org/jwks",
        "\r\nX: y",
        "\0",
        "å",
        "a" * 257,
        7,
        True,
        ["ES256-1"],
        {"kid": "ES256-1"},
    ],
)
def test_a_kid_is_a_name_of_a_published_key_only(algorithm: str, kid: object) -> None:
    """A path, a URL, SQL or another type as `kid` finds no key."""
    assert fault_of(signed(CLAIMS, algorithm=algorithm, kid_=kid)) == UNVERIFIED


@every_algorithm
@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c"])
def test_no_key_comes_from_a_header(algorithm: str, name: str) -> None:
    """A header that carries or locates a key is refused, signed with it or not."""
    own = key_of(algorithm, "another")
    value: Any = {
        "jwk": own.as_dict(private=False),
        "jku": "https://attacker.example.org/jwks",
        "x5u": "https://attacker.example.org/x5c",
        "x5c": [encoded(own.as_der())],
    }[name]
    header = {"alg": algorithm, "kid": f"{algorithm}-1", name: value}
    tokens = [
        compact(
            orjson.dumps(head),
            orjson.dumps(CLAIMS),
            algorithm=algorithm,
            key=key,
        )
        for key in (own, key_of(algorithm))
        for head in (header, {each: header[each] for each in header if each != "kid"})
    ]

    assert {fault_of(each) for each in tokens} == {UNVERIFIED}


@every_algorithm
@pytest.mark.parametrize(
    "more",
    [
        {"crit": ["exp"], "exp": NOW},
        {"crit": []},
        {"crit": "b64"},
        {"crit": ["b64"], "b64": False},
        {"b64": True},
        {"typ": "logout+jwt"},
        {"typ": 7},
        {"typ": ""},
    ],
    ids=str,
)
def test_a_header_that_asks_for_more_is_refused(
    algorithm: str, more: dict[str, Any]
) -> None:
    """`crit`, an unencoded payload, and a JWT of another kind are refused."""
    assert fault_of(signed(CLAIMS, algorithm=algorithm, **more)) == UNVERIFIED


@every_algorithm
@pytest.mark.parametrize(
    "more",
    [
        {"typ": None},
        {"typ": "JWT"},
        {"typ": "application/AT+JWT"},
        {"x5t": "abc", "x5t#S256": "abc"},
        {"vendor": {"a": 1}},
    ],
    ids=str,
)
def test_a_header_that_asks_for_nothing_is_ignored(
    algorithm: str, more: dict[str, Any]
) -> None:
    """What needs not be understood does not matter (RFC 7515, 4)."""
    assert verified(signed(CLAIMS, algorithm=algorithm, **more)).user == "subject-1"


@every_algorithm
def test_without_a_kid_one_key_must_be_the_only_one(algorithm: str) -> None:
    """A token need not name its key where the issuer has one that fits."""
    token = signed(CLAIMS, algorithm=algorithm, kid_=None)
    two = key_set_json(public_jwk(algorithm), public_jwk(algorithm, "2"))

    assert verified(token).user == "subject-1"
    assert fault_of(token, key_set(fetch=lambda: two)) == UNVERIFIED


@every_algorithm
@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        pytest.param({"exp": NOW - 29, "iat": NOW - 60}, None, id="expired in leeway"),
        pytest.param({"exp": NOW - 30, "iat": NOW - 60}, EXPIRED, id="expired"),
        pytest.param({"exp": 1, "iat": 0}, EXPIRED, id="expired in 1970"),
        pytest.param({"exp": ...}, WRONG_CLAIM, id="no exp"),
        pytest.param({"exp": None}, WRONG_CLAIM, id="exp null"),
        pytest.param({"exp": str(NOW + 300)}, WRONG_CLAIM, id="exp text"),
        pytest.param({"exp": NOW + 300.0}, WRONG_CLAIM, id="exp float"),
        pytest.param({"exp": 1e308}, WRONG_CLAIM, id="exp 1e308"),
        pytest.param({"exp": 2**53}, WRONG_CLAIM, id="exp huge"),
        pytest.param({"exp": -1}, WRONG_CLAIM, id="exp negative"),
        pytest.param({"exp": True}, WRONG_CLAIM, id="exp true"),
        pytest.param({"exp": [NOW + 300]}, WRONG_CLAIM, id="exp list"),
        pytest.param({"exp": NOW + 315_360_000}, LASTING, id="exp in ten years"),
        pytest.param({"exp": NOW + 3600}, None, id="an hour"),
        pytest.param({"exp": NOW + 3601}, LASTING, id="more than an hour"),
        pytest.param({"exp": NOW, "iat": NOW}, WRONG_CLAIM, id="exp not after iat"),
        pytest.param({"iat": NOW + 30}, None, id="issued in leeway"),
        pytest.param({"iat": NOW + 31}, EARLY, id="issued later"),
        pytest.param({"iat": ...}, WRONG_CLAIM, id="no iat"),
        pytest.param({"iat": "now"}, WRONG_CLAIM, id="iat text"),
        pytest.param({"nbf": NOW + 30}, None, id="valid in leeway"),
        pytest.param({"nbf": NOW + 31}, EARLY, id="valid later"),
        pytest.param({"nbf": "now"}, WRONG_CLAIM, id="nbf text"),
        pytest.param({"nbf": None}, WRONG_CLAIM, id="nbf null"),
        pytest.param({"aud": [AUDIENCE]}, None, id="a list of us"),
        pytest.param({"aud": "https://b"}, AUDIENCE_FAULT, id="another audience"),
        pytest.param({"aud": AUDIENCE + "/"}, AUDIENCE_FAULT, id="nearly us"),
        pytest.param({"aud": [AUDIENCE, "https://b"]}, AUDIENCE_FAULT, id="two"),
        pytest.param({"aud": [AUDIENCE, AUDIENCE]}, AUDIENCE_FAULT, id="us twice"),
        pytest.param({"aud": []}, AUDIENCE_FAULT, id="aud empty"),
        pytest.param({"aud": ...}, AUDIENCE_FAULT, id="no aud"),
        pytest.param({"aud": {AUDIENCE: 1}}, AUDIENCE_FAULT, id="aud object"),
        pytest.param({"aud": True}, AUDIENCE_FAULT, id="aud true"),
        pytest.param({"iss": "https://b"}, UNVERIFIED, id="another issuer"),
        pytest.param({"iss": ISSUER + "/"}, UNVERIFIED, id="nearly the issuer"),
        pytest.param({"iss": ...}, UNVERIFIED, id="no iss"),
        pytest.param({"iss": [ISSUER]}, UNVERIFIED, id="iss list"),
        pytest.param({"jti": ...}, WRONG_CLAIM, id="no jti"),
        pytest.param({"jti": ""}, WRONG_CLAIM, id="jti empty"),
        pytest.param({"jti": "1234567"}, WRONG_CLAIM, id="jti of 7"),
        pytest.param({"jti": "12345678"}, None, id="jti of 8"),
        pytest.param({"jti": "a" * 128}, None, id="jti of 128"),
        pytest.param({"jti": "a" * 129}, WRONG_CLAIM, id="jti of 129"),
        pytest.param({"jti": 12345678}, WRONG_CLAIM, id="jti number"),
        pytest.param({"sub": ...}, WRONG_CLAIM, id="no sub"),
        pytest.param({"sub": ""}, WRONG_CLAIM, id="sub empty"),
        pytest.param({"sub": "a\nb"}, WRONG_CLAIM, id="sub of two lines"),
        pytest.param({"sub": "å"}, WRONG_CLAIM, id="sub no ASCII"),
        pytest.param({"sub": "a" * 256}, WRONG_CLAIM, id="sub of 256"),
        pytest.param({"sub": 7}, WRONG_CLAIM, id="sub number"),
        pytest.param({"client_id": ...}, WRONG_CLAIM, id="no client"),
        pytest.param({"client_id": ..., "azp": "app"}, None, id="azp"),
        pytest.param({"azp": "app"}, None, id="azp too"),
        pytest.param({"azp": "other"}, WRONG_CLAIM, id="two clients"),
        pytest.param({"azp": None}, WRONG_CLAIM, id="azp null"),
        pytest.param({"client_id": "a\nb"}, WRONG_CLAIM, id="client of two lines"),
        pytest.param({"scope": "a  b "}, None, id="scopes"),
        pytest.param({"scope": ["a"]}, WRONG_CLAIM, id="scope list"),
        pytest.param({"scope": None}, WRONG_CLAIM, id="scope null"),
        pytest.param({"scope": 'a"b'}, WRONG_CLAIM, id="scope with a quote"),
        pytest.param({"scope": "a\nb"}, WRONG_CLAIM, id="scope with a line break"),
        pytest.param({"scope": "a " * 101}, None, id="one scope often"),
        pytest.param(
            {"scope": " ".join(map(str, range(101)))}, WRONG_CLAIM, id="101 scopes"
        ),
        pytest.param({"cnf": {"x5t#S256": "a" * 43}}, None, id="bound"),
        pytest.param({"cnf": {"x5t#S256": "a" * 42}}, WRONG_CLAIM, id="short cnf"),
        pytest.param({"cnf": {"x5t#S256": 7}}, WRONG_CLAIM, id="cnf number"),
        pytest.param({"cnf": {"jkt": "a" * 43}}, WRONG_CLAIM, id="bound by DPoP"),
        pytest.param(
            {"cnf": {"x5t#S256": "a" * 43, "jkt": "b"}}, WRONG_CLAIM, id="bound twice"
        ),
        pytest.param({"cnf": {}}, WRONG_CLAIM, id="cnf empty"),
        pytest.param({"cnf": None}, WRONG_CLAIM, id="cnf null"),
        pytest.param({"cnf": "a"}, WRONG_CLAIM, id="cnf text"),
        pytest.param({"vendor": [None, {"a": "å"}]}, None, id="a vendor's claim"),
    ],
)
def test_each_claim_is_checked(
    algorithm: str, changes: dict[str, Any], fault: str | None
) -> None:
    """A signed token with one odd claim is accepted, or refused for one reason."""
    claims = {**CLAIMS, **changes}
    token = signed(
        {name: claims[name] for name in claims if claims[name] is not ...},
        algorithm=algorithm,
    )

    if fault is None:
        assert verified(token).issuer.issuer == ISSUER
    else:
        assert fault_of(token) == fault


def test_an_issuer_may_have_a_shorter_limit() -> None:
    """`longest_token_s` of the issuer counts."""
    keys = key_set(issuer(longest_token_s=60))

    assert fault_of(signed(CLAIMS), keys) == LASTING


@every_algorithm
@pytest.mark.parametrize(
    "payload",
    [
        b'{"sub": "x", "sub": "subject-1"',
        b'{"aud": "https://b"',
        b'{"exp": 1',
    ],
)
def test_a_claim_twice_is_refused(algorithm: str, payload: bytes) -> None:
    """Two parsers could read different ones."""
    header = {"alg": algorithm, "kid": f"{algorithm}-1"}
    token = compact(
        orjson.dumps(header),
        payload + b", " + orjson.dumps(CLAIMS)[1:],
        algorithm=algorithm,
        key=key_of(algorithm),
    )

    assert fault_of(token) == UNREADABLE


@every_algorithm
@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"a"',
        b"\xff\xfe{\x00}\x00",
        b"\xef\xbb\xbf{}",
        b'{"exp": NaN}',
        b'{"exp": 1e999}',
        b'{"sub": "\\ud800"}',
        b'{"a":' * 100 + b"1" + b"}" * 100,
        b'{"exp": ' + b"9" * 5000 + b"}",
    ],
    ids=range(12),
)
def test_claims_that_are_no_json_object_are_refused(
    algorithm: str, payload: bytes
) -> None:
    """Claims are one object of JSON, as everybody reads JSON."""
    token = compact(
        orjson.dumps({"alg": algorithm, "kid": f"{algorithm}-1"}),
        payload,
        algorithm=algorithm,
        key=key_of(algorithm),
    )

    assert fault_of(token) == UNREADABLE


@pytest.mark.parametrize("size", [8_193, 100_000, 1_000_000, 5_000_000])
def test_a_large_token_is_refused_unread(size: int) -> None:
    """More than 8 KiB are no token, however well signed."""
    token = signed({**CLAIMS, "vendor": "a" * size})

    assert fault_of(token) == UNREADABLE


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            ".",
            "..",
            "...",
            "a",
            "a.b",
            "a.b.c.d",
            "a.b.c.d.e",
            " a.b.c",
            "a.b.c\n",
        ),
        *("a=.b=.c=", "+.b.c", "å.b.c", "a.b.", ".b.c", "a..c", "{}.{}.{}"),
    ],
)
def test_what_is_no_jwt_is_refused(text: str) -> None:
    """A JWT that is signed has three parts in base64url, and none is empty."""
    assert fault_of(text) == UNREADABLE


@every_algorithm
def test_a_part_of_a_token_is_none(algorithm: str) -> None:
    """A token that was cut off anywhere is refused."""
    token = signed(CLAIMS, algorithm=algorithm)

    faults = {fault_of(token[:end]) for end in range(0, len(token), 7)}

    assert faults == {UNREADABLE, UNVERIFIED}


@given(
    st.sampled_from(ALGORITHMS),
    st.integers(min_value=0),
    st.sampled_from("Aa0-_.=/ \0"),
)
@settings(max_examples=examples(300), deadline=None)
def test_a_changed_token_is_refused(algorithm: str, place: int, by: str) -> None:
    """A token with one changed character is refused, and nothing else happens."""
    token = signed(CLAIMS, algorithm=algorithm)
    place %= len(token)
    changed = f"{token[:place]}{by}{token[place + 1 :]}"

    if changed != token:
        assert fault_of(changed) in {UNREADABLE, UNVERIFIED}


@given(st.text(max_size=300) | st.from_regex(r"[A-Za-z0-9_-]*\.[\w-]*\.[\w-]*"))
@settings(max_examples=examples(300), deadline=None)
def test_no_text_is_a_token(text: str) -> None:
    """Any text is refused."""
    assert fault_of(text) in {UNREADABLE, UNVERIFIED}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=9), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from([*CLAIMS, "azp", "nbf", "scope", "cnf", "acr"]), _JSON
    )
)
@settings(max_examples=examples(300), deadline=None)
def test_signed_claims_of_any_type_are_read_or_refused(claims: dict[str, Any]) -> None:
    """No claim of a wrong type raises anything but a refusal."""
    header = {"alg": "ES256", "kid": "ES256-1"}
    token = compact(
        orjson.dumps(header),
        orjson.dumps({**CLAIMS, **claims}, option=orjson.OPT_NON_STR_KEYS)
        if _is_plain(claims)
        else b"{}",
        algorithm="ES256",
        key=key_of("ES256"),
    )

    with suppress(Unauthenticated):
        verified(token)


@given(st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "x"]), _JSON))
@settings(max_examples=examples(300), deadline=None)
def test_a_header_of_any_type_is_read_or_refused(header: dict[str, Any]) -> None:
    """No header of a wrong type raises anything but a refusal."""
    head = {"alg": "ES256", "kid": "ES256-1", **header}
    token = compact(
        orjson.dumps(head) if _is_plain(head) else b"{}",
        orjson.dumps(CLAIMS),
        algorithm="ES256",
        key=key_of("ES256"),
    )

    with suppress(Unauthenticated):
        verified(token)


def test_before_the_first_keys_nobody_can_be_checked() -> None:
    """A server that has no keys yet is to blame, and not the client: 503."""
    keys = KeySet(issuer(), key_set_json)

    with pytest.raises(Unavailable) as raised:
        verified(signed(CLAIMS), keys)

    assert (str(raised.value), raised.value.party) == (
        "The keys of the access token's issuer are not known yet: try again soon.",
        Party.GATEWAY,
    )


@every_algorithm
def test_each_issuer_vouches_for_itself_only(algorithm: str) -> None:
    """One issuer's key does not sign in the name of another."""
    other = "https://other.example.org"
    issuers = {
        ISSUER: key_set(),
        other: key_set(
            issuer(name=other), lambda: key_set_json(public_jwk(algorithm, "2"))
        ),
    }
    token = signed({**CLAIMS, "iss": other}, algorithm=algorithm, kid="2")
    stolen = signed({**CLAIMS, "iss": ISSUER}, algorithm=algorithm, kid="2")

    assert verified_token(token, issuers, NOW).issuer.issuer == other
    with pytest.raises(Unauthenticated, match=UNVERIFIED):
        verified_token(stolen, issuers, NOW)


def _is_plain(value: object) -> bool:
    """Return whether orjson can write a value."""
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return False
    return True
