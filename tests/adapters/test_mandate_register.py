"""
The register of guardians and proxies: what is asked, and which answers are believed.
"""

import json
from datetime import UTC, datetime
from typing import Any, Final

import pytest
import responses
from hypothesis import given
from hypothesis import strategies as st

from fhir_gateway.adapters.mandate_register import MandateRegister
from fhir_gateway.model.errors import Unavailable
from fhir_gateway.model.grant import Basis
from fhir_gateway.model.mandate import Mandate
from fhir_gateway.model.person import PersonalIdentityNumber

URL: Final = "https://register.example.org/mandates"
PARENT: Final = PersonalIdentityNumber("199201172385")
CHILD: Final = PersonalIdentityNumber("201911202388")
AT: Final = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
GUARDIAN: Final = {"basis": "guardian", "validUntil": "2032-11-20T00:00:00+01:00"}


def asked(**answer: Any) -> Mandate | None:
    """Return the mandate that a faked answer of the register gives."""
    with responses.RequestsMock() as faked:
        faked.post(URL, **answer)
        return MandateRegister(URL).mandate(PARENT, CHILD, AT)


def test_a_guardian_is_one_until_the_birthday() -> None:
    """The answer's basis and end are those of the mandate."""
    assert asked(json=GUARDIAN) == Mandate(
        basis=Basis.GUARDIAN, valid_until=datetime(2032, 11, 19, 23, 0, tzinfo=UTC)
    )


def test_a_proxy_may_have_no_end() -> None:
    """A mandate of a proxy without an end is valid."""
    assert asked(json={"basis": "proxy"}) == Mandate(basis=Basis.PROXY)


def test_a_person_who_may_not_act_has_no_mandate() -> None:
    """An answer with no basis gives no mandate."""
    assert asked(json={"basis": None}) is None


def test_a_mandate_that_has_ended_is_none() -> None:
    """An end at the very instant of the question, or before, gives no mandate."""
    assert asked(json={"basis": "proxy", "validUntil": AT.isoformat()}) is None


def test_the_numbers_stand_in_the_body_alone() -> None:
    """The register gets both numbers and the time in the body of a POST."""
    with responses.RequestsMock() as faked:
        faked.post(URL, json={"basis": None})
        MandateRegister(URL).mandate(PARENT, CHILD, AT)
        request = faked.calls[0].request

    assert request.url == URL
    assert json.loads(request.body or b"") == {
        "actor": "199201172385",
        "subject": "201911202388",
        "at": "2026-11-28T13:00:00.000000+01:00",
    }


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"body": b""}, id="nothing"),
        pytest.param({"body": b"<html>"}, id="no JSON"),
        pytest.param({"body": b"[" * 4_000}, id="deep"),
        pytest.param(
            {"body": b'{"basis": null, "basis": "proxy"}'}, id="a basis twice"
        ),
        pytest.param({"json": []}, id="a list"),
        pytest.param({"json": {}}, id="no basis"),
        pytest.param({"json": {"basis": "self"}}, id="another basis"),
        pytest.param({"json": {"basis": "demo"}}, id="the basis of the demo"),
        pytest.param({"json": {"basis": True}}, id="a basis of another type"),
        pytest.param({"json": {"basis": ["proxy"]}}, id="a list as basis"),
        pytest.param({"json": {"basis": "guardian"}}, id="a guardian for ever"),
        pytest.param({"json": {"basis": "proxy", "validUntil": 1}}, id="a number"),
        pytest.param({"json": {"basis": "proxy", "validUntil": "2032"}}, id="a year"),
        pytest.param({"json": GUARDIAN | {"x": "y" * 5_000}}, id="too long"),
        pytest.param({"json": GUARDIAN, "status": 201}, id="another status"),
        pytest.param({"json": GUARDIAN, "status": 500}, id="a failure"),
        pytest.param({"body": ConnectionError()}, id="no connection"),
    ],
)
def test_an_answer_that_cannot_be_used_is_no_mandate(answer: dict[str, Any]) -> None:
    """The register gives no mandate by an answer that is not exactly right."""
    with pytest.raises(Unavailable) as caught:
        asked(**answer)

    assert str(PARENT.reveal()) not in str(caught.value)
    assert caught.value.__cause__ is None


@given(
    answer=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=50),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["basis", "validUntil", "x"]), inner, max_size=3
            )
        ),
        max_leaves=6,
    )
)
def test_any_answer_of_json_is_read_or_refused(answer: object) -> None:
    """Each JSON text gives a mandate, none, or the one error."""
    try:
        found = asked(body=json.dumps(answer).encode())
    except Unavailable:
        return
    assert found is None or found.basis is Basis.PROXY or found.valid_until


def test_a_register_that_is_away_is_no_mandate() -> None:
    """A register that refuses connections gives the same error."""
    with pytest.raises(Unavailable):
        MandateRegister("http://127.0.0.1:9/mandates").mandate(PARENT, CHILD, AT)
