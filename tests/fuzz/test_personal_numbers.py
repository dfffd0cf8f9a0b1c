"""
Personal numbers in every form, in forms, bodies, URLs, tokens and texts.
"""

import re
from datetime import date
from typing import Final
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web.bodies import FHIR_JSON, PERSONNUMMER, appointment
from web.dialects import call, parameters, text
from web.guarded import token_for

from fhir_gateway.model.person import PersonalIdentityNumber

from .texts import TEXTS
from .tries import tried
from .world import World, ask, judge

pytestmark = [pytest.mark.flow, pytest.mark.usefixtures("watch")]

_SYSTEMS = st.sampled_from(
    [
        *(PERSONNUMMER, "http://electronichealth.se/identifier/samordningsnummer"),
        *("urn:oid:1.2.752.129.2.1.3.1", "urn:oid:1.2.752.129.2.1.3.3", "", "urn:x"),
        *(
            "urn:oid:1.2.752.74.9.1",
            "http://electronichealth.se/identifier/reservnummer",
        ),
    ]
)
_YEARS = st.sampled_from(["18", "19", "20", "21", "00", "99", ""])
# Residents are test persons only: those of serials from 980.
_DIGITS = st.builds(
    "{}{:02}{:02}{:02}{}{}{}".format,
    _YEARS,
    st.integers(0, 99),
    st.integers(0, 13),
    st.integers(0, 92),
    st.sampled_from(["", "-", "+", " ", "\u2010", "\u00a0"]),
    st.integers(980, 999),
    st.integers(0, 9),
)
_ARABIC: Final = str.maketrans(
    "0123456789", "\u0660\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668\u0669"
)
_WIDE: Final = str.maketrans(
    "0123456789", "\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19"
)
_RESERVE = st.sampled_from(
    ["99010112TF01", "20010101T123", "19121212121X", "SE19121212", "2013A0000001"]
)
NUMBERS = (
    _DIGITS
    | _DIGITS.map(lambda digits: digits.translate(_ARABIC))
    | _DIGITS.map(lambda digits: digits.translate(_WIDE))
    | _RESERVE
    | TEXTS
)


def _luhn(digits: str) -> bool:
    """Return whether a check digit is right, in the slow way of a textbook."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value // 10 + value % 10
    return total % 10 == 0


def is_number(digits: str) -> bool:
    """Return whether a text is a personal number, as Skatteverket describes one."""
    if not re.fullmatch("[0-9]{12}", digits):
        return False
    day = int(digits[6:8])
    try:
        date(int(digits[:4]), int(digits[4:6]), day - 60 if day > 60 else day)
    except ValueError:
        return False
    return _luhn(digits[2:])


@given(digits=NUMBERS)
@tried("personal numbers", 0.4)
def test_a_text_is_a_number_or_is_refused(digits: str) -> None:
    """A number is read exactly where a textbook says that it is one."""
    try:
        number = PersonalIdentityNumber(digits)
    except ValueError as error:
        assert not is_number(digits)
        assert len(digits) < 6 or digits not in str(error)
    else:
        assert is_number(digits)
        assert digits not in f"{number} {number!r}"


@given(digits=NUMBERS, system=_SYSTEMS, who=st.sampled_from(["resident", "system"]))
@tried("personal numbers", 0.2)
def test_a_search_for_any_number_is_answered_or_refused(
    world: World, number: str, digits: str, system: str, who: str
) -> None:
    """Nobody finds anything with a number that is not theirs, or is none."""
    response = ask(
        world.client(who, number),
        "POST",
        "/fhir/Appointment/_search",
        data={"patient.identifier": f"{system}|{digits}"},
    )

    assert response.status_code in (200, 400, 404)
    if response.status_code != 200 and is_number(digits):
        assert digits not in response.text


@given(digits=NUMBERS, system=_SYSTEMS, form=st.integers(0, 2))
@tried("personal numbers", 0.2)
def test_an_appointment_of_any_number_is_made_or_refused(
    world: World, number: str, digits: str, system: str, form: int
) -> None:
    """A nurse books for a resident, and not for a text that is no number."""
    nurse = world.client("staff", number)
    body = appointment(world.slots()[3], number)
    identifier = {"system": system, "value": digits}
    if form == 0:
        body["contained"][0]["identifier"] = [identifier]
    if form == 1:
        body["contained"][0]["identifier"] = [identifier]
        body["participant"][0]["actor"]["identifier"] = identifier
    if form == 2:
        response = call(
            nurse, "book", parameters(text("patient-id", f"{system}|{digits}"))
        )
        judge(response.status_code, response.headers, response.data, 0)
    else:
        response = ask(
            nurse, "POST", "/fhir/Appointment", json=body, content_type=FHIR_JSON
        )
        world.undo(response)

    assert response.status_code in (201, 400, 403, 404, 409, 422)
    if response.status_code != 201 and is_number(digits):
        assert digits not in response.text


@given(digits=NUMBERS, place=st.integers(0, 3))
@tried("personal numbers", 0.1)
def test_a_url_with_any_number_is_refused(
    world: World, number: str, digits: str, place: int
) -> None:
    """No answer and no log repeats a number from a URL."""
    inside = quote(digits, safe="", errors="replace")
    path = (
        f"/fhir/Slot/{inside}",
        f"/fhir/Slot?start={inside}",
        f"/fhir/{inside}",
        f"/fhir/Slot?{inside}=1",
    )[place]
    response = ask(world.client("resident", number), "GET", path)

    assert response.status_code in (200, 400, 404, 405, 414)
    if is_number(digits):
        assert digits not in response.text + str(response.headers)


@given(claim=NUMBERS | st.integers(-(2**60), 2**60) | st.none() | st.lists(_DIGITS))
@tried("personal numbers", 0.1)
def test_a_token_of_any_number_is_a_person_or_nobody(
    world: World, claim: object
) -> None:
    """A token with a number that is none gives nothing."""
    name = "https://id.oidc.se/claim/personalIdentityNumber"
    token = token_for("resident", "191212121212", **{name: claim})
    response = ask(
        world.guarded.with_token(token),
        "GET",
        "/fhir/Appointment/11111111-1111-4111-8111-111111111111",
    )

    known = isinstance(claim, str) and is_number(claim)
    assert response.status_code in ((404, 401, 403) if known else (401, 403))
    assert token not in response.text
