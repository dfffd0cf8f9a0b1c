"""
Access tokens that are hardly ones, and that none is accepted which should not be.
"""

import hmac
from base64 import urlsafe_b64encode
from typing import Any, Final

import orjson
import pytest
from access_tokens import (
    AT,
    AUDIENCE,
    CLAIMS,
    ISSUER,
    NORR,
    NURSE,
    RESIDENT,
    SYSTEM,
    compact,
    key_of,
    key_set,
    public_jwk,
)
from hypothesis import given
from hypothesis import strategies as st
from web.guarded import token_for

from fhir_gateway.access.issuer_schema import ALGORITHMS
from fhir_gateway.access.role import principal_from_token
from fhir_gateway.access.token import verified_token
from fhir_gateway.model.errors import NotPermitted, Unauthenticated

from .canary import found
from .texts import JSON_VALUES, TEXTS
from .tries import tried
from .world import World, ask

pytestmark = [pytest.mark.flow, pytest.mark.usefixtures("watch")]

_NOW: Final = int(AT.timestamp())
_KEYS: Final = {ISSUER: key_set()}
_CLIENTS: Final = {(NORR.issuer, NORR.id): NORR}
_KIDS = st.sampled_from(
    [
        *("../../dev/null", "' OR '1'='1", "http://127.0.0.1:1/jwks", "", "a" * 300),
        *("\0", 7, None, ["ES256-1"], {"kid": 1}, True, "\r\nX: y"),
    ]
)
_TIMES: st.SearchStrategy[Any] = (
    st.integers(_NOW - 4_000, _NOW + 4_000)
    | st.sampled_from([0, -1, 2**53, 2**63, 1e308, 1.5, True, None, str(_NOW + 9)])
    | st.sampled_from(
        [_NOW - 31, _NOW - 30, _NOW - 29, _NOW + 29, _NOW + 30, _NOW + 31]
    )
)
_CLAIMS: Final[dict[str, st.SearchStrategy[Any]]] = {
    "exp": _TIMES,
    "iat": _TIMES,
    "nbf": _TIMES,
    "iss": st.sampled_from(
        [f"{ISSUER}/", ISSUER.upper(), "https://b.example", [ISSUER]]
    ),
    "aud": st.sampled_from(
        [
            [AUDIENCE],
            [AUDIENCE, "b"],
            [AUDIENCE, AUDIENCE],
            [],
            "b",
            f"{AUDIENCE}/",
            None,
        ]
    ),
    "jti": st.sampled_from(["", "1234567", "1" * 129, 7, None, "å" * 9]) | TEXTS,
    "sub": JSON_VALUES,
    "client_id": JSON_VALUES,
    "scope": JSON_VALUES | st.just("a " * 3_000),
    "acr": JSON_VALUES,
    "cnf": JSON_VALUES | st.just({"x5t#S256": "A" * 43}),
    "employeeHsaId": JSON_VALUES,
    "commissionPurpose": JSON_VALUES,
    "https://id.oidc.se/claim/personalIdentityNumber": JSON_VALUES,
    "https://id.oidc.se/claim/coordinationNumber": JSON_VALUES,
    "https://id.oidc.se/claim/coordinationNumberLevel": JSON_VALUES,
}
_REFUSED_HEADERS: Final = {
    "jwk": public_jwk("ES256", "another"),
    "jku": "http://127.0.0.1:1/jwks",
    "x5u": "http://127.0.0.1:1/x5c",
    "x5c": ["AA=="],
    "crit": ["exp"],
    "b64": False,
}


def _encoded(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


@st.composite
def forgeries(draw: st.DrawFn) -> str:
    """Return a token that is signed wrongly, or asks to be checked wrongly."""
    algorithm = draw(st.sampled_from(ALGORITHMS))
    claims = orjson.dumps(draw(st.sampled_from([RESIDENT, NURSE, SYSTEM])))
    head: dict[str, Any] = {"alg": algorithm, "kid": f"{algorithm}-1"}
    good = compact(
        orjson.dumps(head), claims, algorithm=algorithm, key=key_of(algorithm)
    ).split(".")
    kind = draw(st.sampled_from(range(8)))
    if kind == 0:
        name = draw(st.sampled_from(["none", "None", "nOnE", "", "NONE", None, 0]))
        end = draw(st.sampled_from(["", "AA", good[2]]))
        return f"{_encoded(orjson.dumps(head | {'alg': name}))}.{good[1]}.{end}"
    if kind == 1:
        bits = draw(st.sampled_from([256, 384, 512]))
        key = key_of(algorithm)
        secret = draw(
            st.sampled_from([key.as_pem(), key.as_der(), b"", good[1].encode()])
        )
        text = f"{_encoded(orjson.dumps(head | {'alg': f'HS{bits}'}))}.{good[1]}"
        return f"{text}.{_encoded(hmac.digest(secret, text.encode(), f'sha{bits}'))}"
    if kind == 2:
        head = head | {"kid": draw(_KIDS)}
        own = draw(st.booleans()) and head["kid"] is not None
        return compact(
            orjson.dumps(head),
            claims,
            algorithm=algorithm,
            key=key_of(algorithm, "1" if own else "another"),
        )
    if kind == 3:
        name = draw(st.sampled_from(sorted(_REFUSED_HEADERS)))
        key = key_of(algorithm, draw(st.sampled_from(["1", "another"])))
        header = orjson.dumps(head | {name: _REFUSED_HEADERS[name]})
        return compact(header, claims, algorithm=algorithm, key=key)
    if kind == 4:
        parts = list(good)
        which = draw(st.integers(0, 2))
        at = draw(st.integers(0, len(parts[which]) - 2))
        letter = draw(st.sampled_from("ABCDwxyz0189-_=+/.% "))
        if parts[which][at] == letter:
            letter = "Q" if letter != "Q" else "R"
        parts[which] = parts[which][:at] + letter + parts[which][at + 1 :]
        return ".".join(parts)
    if kind == 5:
        times = draw(st.sampled_from([2, 100, 10_000]))
        return draw(
            st.sampled_from(
                [
                    ".".join(good * 2),
                    ".".join(good[:2]),
                    f"{good[0]}..{good[2]}",
                    good[0] * times,
                    f"{'.'.join(good)}.{good[2]}",
                    "a" * 1_000_000,
                ]
            )
        )
    if kind == 6:
        twice = claims.replace(b'"exp"', b'"exp":9999999999,"exp"', 1)
        return compact(
            orjson.dumps(head), twice, algorithm=algorithm, key=key_of(algorithm)
        )
    other = draw(st.sampled_from([each for each in ALGORITHMS if each != algorithm]))
    return f"{_encoded(orjson.dumps(head | {'alg': other}))}.{good[1]}.{good[2]}"


def accepted(token: str) -> bool:
    """Return whether a server accepts a token; a refusal repeats nothing of it."""
    try:
        principal_from_token(verified_token(token, _KEYS, _NOW), _CLIENTS)
    except (Unauthenticated, NotPermitted) as error:
        assert not found(str(error))
        assert all(
            part not in str(error) for part in token.split(".") if len(part) > 20
        )
        return False
    return True


@given(token=forgeries())
@tried("tokens", 0.4)
def test_a_forged_token_is_refused(token: str) -> None:
    """None of the ways to pass for the issuer, or for another algorithm, does."""
    assert not accepted(token)


def is_sound(claims: dict[str, Any]) -> bool:
    """Return whether a token with these claims may be accepted (RFC 9068, 2.2)."""
    exp, iat = claims.get("exp"), claims.get("iat")
    nbf = claims.get("nbf", iat)
    return (
        all(type(each) is int for each in (exp, iat, nbf))
        and exp > _NOW - 30
        and max(iat, nbf) <= _NOW + 30
        and 0 < exp - iat <= 3600
        and claims.get("iss") == ISSUER
        and claims.get("aud") in (AUDIENCE, [AUDIENCE])
        and isinstance(claims.get("jti"), str)
        and 8 <= len(claims["jti"]) <= 128
        and isinstance(claims.get("sub"), str)
        and isinstance(claims.get("client_id"), str)
        and isinstance(claims.get("scope", ""), str)
    )


@given(
    base=st.sampled_from([RESIDENT, NURSE, SYSTEM, CLAIMS]),
    names=st.lists(st.sampled_from(sorted(_CLAIMS)), min_size=1, max_size=3),
    algorithm=st.sampled_from(ALGORITHMS),
    data=st.data(),
)
@tried("tokens", 0.4)
def test_no_unsound_claim_is_accepted(
    base: dict[str, Any], names: list[str], algorithm: str, data: st.DataObject
) -> None:
    """A token that is signed well is accepted only where all its claims are sound."""
    claims = {**base, **{name: data.draw(_CLAIMS[name], name) for name in names}}
    try:
        payload = orjson.dumps(claims)
    except TypeError:
        # A text with half a surrogate pair, or an integer that no JSON library takes.
        return
    head = orjson.dumps({"alg": algorithm, "kid": f"{algorithm}-1"})
    token = compact(head, payload, algorithm=algorithm, key=key_of(algorithm))

    assert not accepted(token) or is_sound(claims)


@given(
    form=st.sampled_from(
        [
            *("Bearer {0}", "bearer {0}", "Bearer  {0}", "Bearer {0} ", "Bearer\t{0}"),
            *("{0}", "Basic {0}", "Bearer {0}, Bearer {0}", "Bearer {0},{0}", "Bearer"),
            *("DPoP {0}", 'Bearer "{0}"', "Bearer {0}\x0b", "Bearer {0}\u00e5"),
        ]
    ),
    token=forgeries() | TEXTS,
    of_canary=st.booleans(),
    place=st.sampled_from(["header", "query", "form"]),
)
@tried("tokens", 0.2)
def test_no_answer_repeats_a_token(
    world: World, form: str, token: str, *, of_canary: bool, place: str
) -> None:
    """A token in any form, and in places where none belongs, is refused in silence."""
    text = token_for("resident", "191212121212") if of_canary else token
    text = text.replace("\r", "").replace("\n", "").replace("\0", "")
    path = f"/fhir/Appointment/{world.canary.ids[0]}"
    client = world.guarded.client()
    if place == "query":
        response = ask(client, "GET", f"{path}?access_token={text[:3000]}")
    elif place == "form":
        response = ask(
            client, "POST", "/fhir/Slot/_search", data={"access_token": text}
        )
    else:
        field = form.format(text).encode("latin-1", "replace").decode("latin-1")
        response = ask(client, "GET", path, headers={"Authorization": field})

    # An empty parameter is none (FHIR R4, search, 3.1.1.4).
    is_none = place == "form" and not text.strip()
    assert response.status_code in (400, 401, 404, 413, 414, 431) or is_none
    if response.status_code == 404:
        assert of_canary
    if len(text) > 20:
        assert text not in response.text + str(response.headers)


def test_the_roles_have_good_tokens() -> None:
    """What the forgeries are made from is accepted."""
    tokens = [
        compact(
            orjson.dumps({"alg": each, "kid": f"{each}-1"}),
            orjson.dumps(claims),
            algorithm=each,
            key=key_of(each),
        )
        for each in ALGORITHMS
        for claims in (RESIDENT, NURSE, SYSTEM)
    ]

    assert all(map(accepted, tokens))
