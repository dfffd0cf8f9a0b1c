"""
Ids of resources that were guessed, taken from others, or are none.
"""

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web.bodies import FHIR_JSON, JSON_PATCH, appointment
from web.dialects import parameters, reference

from .texts import HOSTILE
from .tries import tried
from .world import EVERYBODY, World, ask

pytestmark = [pytest.mark.flow, pytest.mark.usefixtures("watch")]

_TYPES = st.sampled_from(
    [
        *("Appointment", "AuditEvent", "Slot", "Schedule", "Location", "Organization"),
        *("HealthcareService", "Practitioner", "PractitionerRole", "Patient"),
    ]
)
_ALPHABET = "0123456789abcdef-ABCDEFXYZ._~/%"
_GUESSES = (
    HOSTILE
    | st.uuids().map(str)
    | st.text(_ALPHABET, min_size=1, max_size=80)
    | st.integers(0, 10**9).map(str)
    | st.sampled_from(["a" * 64, "a" * 65, "../Slot/x", "..", "x/_history/1", "$book"])
)
# Where an id of the canary's stands, and how it is spelt.
_SPELLINGS = st.sampled_from(
    ["{}", "{}", "{}/", "{}/_history/1", "{}.json", "./{}", "{}%20", "{};a", "{}?_id=x"]
)


@st.composite
def ids(draw: st.DrawFn) -> tuple[str, int | None, str]:
    """Return a guess; or which id of the canary's, how spelt."""
    if draw(st.booleans()):
        return quote(draw(_GUESSES), safe="/.$~", errors="replace"), None, "{}"
    letters = draw(st.sampled_from(["same", "upper", "next"]))
    return letters, draw(st.integers(0, 9)), draw(_SPELLINGS)


def _next_after(id_: str) -> str:
    """Return an id with its last character one further on."""
    return id_[:-1] + ("0" if id_[-1] == "f" else chr(ord(id_[-1]) + 1))


@given(
    kind=_TYPES,
    id_=ids(),
    who=st.sampled_from(EVERYBODY),
    how=st.sampled_from(["GET", "HEAD", "PUT", "PATCH", "DELETE", "$cancel", "$book"]),
)
@tried("ids", 0.7)
def test_an_id_of_nobodys_is_absent(
    world: World,
    number: str,
    kind: str,
    id_: tuple[str, int | None, str],
    who: str,
    *,
    how: str,
) -> None:
    """An id that was guessed, or is another person's, gives nothing."""
    text, which, spelling = id_
    if which is not None:
        known = world.canary.ids[which % len(world.canary.ids)]
        change = {"same": str, "upper": str.upper, "next": _next_after}[text]
        text = spelling.format(change(known))
    options: dict[str, Any] = {}
    path = f"/fhir/{kind}/{text}"
    if how == "PUT":
        body = {**appointment(world.slots()[4], number), "id": text}
        options = {"json": body, "content_type": FHIR_JSON}
    if how == "PATCH":
        patch = [{"op": "replace", "path": "/status", "value": "cancelled"}]
        options = {"json": patch, "content_type": JSON_PATCH}
    if how.startswith("$"):
        options = {"json": parameters(), "content_type": FHIR_JSON}
        path, how = f"{path}/{how}", "POST"

    response = ask(world.client(who, number), how, path, **options)

    if kind in ("Appointment", "AuditEvent", "Patient") and who != "system":
        assert response.status_code in (400, 401, 403, 404, 405, 414, 422)
    assert response.status_code in (200, 400, 401, 403, 404, 405, 409, 414, 422)


@given(
    text=st.builds(
        "{}{}".format, st.sampled_from(["Appointment/", "Slot/", ""]), HOSTILE
    )
    | st.builds("Slot/{}".format, st.text(_ALPHABET, max_size=70)),
    name=st.sampled_from(["appointment-reference", "slot-reference", "schedule"]),
    how=st.sampled_from(["hold", "book", "cancel", "reschedule"]),
)
@tried("ids", 0.3)
def test_a_reference_to_nothing_is_refused(
    world: World, number: str, text: str, name: str, how: str
) -> None:
    """An operation on what was guessed does nothing."""
    response = ask(
        world.client("resident", number),
        "POST",
        f"/fhir/Appointment/${how}",
        json=parameters(reference(name, text)),
        content_type=FHIR_JSON,
    )

    assert response.status_code in (400, 404, 422)
