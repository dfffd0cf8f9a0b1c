"""
Appointments, patches and Parameters that are hardly ones.
"""

from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web.bodies import FHIR_JSON, JSON_PATCH, appointment
from web.dialects import BOOKINGS, CANCELLATIONS, HOLDS, MOVES

from .canary import SENT_NUMBER, SENT_TEXT
from .mutation import changed
from .tries import tried
from .world import EVERYBODY, World, ask

pytestmark = [pytest.mark.flow, pytest.mark.usefixtures("watch")]

# What stands for the number and the slot until a world is known.
_NUMBER: Final = "191212121212"
_SLOT: Final = "SE2321009901-1001.6d70auo8.j9tjsti8.1lhcps0.s4"
_ID: Final = "11111111-1111-4111-8111-111111111111"
_BOOKED: Final = appointment(
    _SLOT, _NUMBER, id=_ID, status="booked", comment=SENT_TEXT
) | {"meta": {"versionId": "1"}}
_OTHER: Final = {
    "resourceType": "Patient",
    "id": "other",
    "identifier": [
        {
            "system": "http://electronichealth.se/identifier/personnummer",
            "value": SENT_NUMBER,
        }
    ],
}
_TWO_PATIENTS: Final = appointment(_SLOT, _NUMBER)
_TWO_PATIENTS["contained"].append(_OTHER)
_TWO_PATIENTS["participant"].append(
    {"actor": {"reference": "#other", "type": "Patient"}, "status": "accepted"}
)
_MODIFIED: Final = appointment(
    _SLOT, _NUMBER, modifierExtension=[{"url": "urn:x", "valueBoolean": True}]
)

Use = tuple[str, str, str, Any]
_PARAMETERS: Final[list[Use]] = [
    *(
        ("POST", f"/fhir/Appointment/${name}", FHIR_JSON, make(_SLOT, _NUMBER))
        for name, dialects in (("book", BOOKINGS), ("hold", HOLDS))
        for make in dialects.values()
    ),
    *(
        (
            "POST",
            f"/fhir/Appointment{'/' + on if on else ''}/${name}",
            FHIR_JSON,
            body,
        )
        for name, on, body in (
            *(make(_BOOKED, _SLOT) for make in MOVES.values()),
            *(make(_BOOKED) for make in CANCELLATIONS.values()),
        )
    ),
]
_PATCH: Final = [
    {"op": "test", "path": "/status", "value": "booked"},
    {"op": "replace", "path": "/status", "value": "cancelled"},
    {"op": "add", "path": "/cancelationReason", "value": {"text": SENT_TEXT}},
    {"op": "move", "from": "/slot/0", "path": "/slot/-"},
]
_PLAIN: Final[list[Use]] = [
    ("POST", "/fhir/Appointment", FHIR_JSON, appointment(_SLOT, _NUMBER)),
    ("POST", "/fhir/Appointment", FHIR_JSON, _TWO_PATIENTS),
    ("POST", "/fhir/Appointment", FHIR_JSON, _MODIFIED),
    ("PUT", f"/fhir/Appointment/{_ID}", FHIR_JSON, _BOOKED),
    ("PATCH", f"/fhir/Appointment/{_ID}", JSON_PATCH, _PATCH),
]


@st.composite
def uses(draw: st.DrawFn, among: list[Use]) -> Use:
    """Return a request with a body that is changed."""
    method, path, content_type, sound = draw(st.sampled_from(among))
    return method, path, content_type, draw(changed(sound))


def _placed(value: Any, places: dict[str, str]) -> Any:
    """Return some JSON with the world's own in place of what stands for it."""
    if isinstance(value, str):
        for name, place in places.items():
            value = value.replace(name, place)
        return value
    if isinstance(value, list):
        return [_placed(each, places) for each in value]
    if isinstance(value, dict):
        return {name: _placed(value[name], places) for name in value}
    return value


def _try(world: World, number: str, use: Use, who: str, target: str) -> None:
    method, path, content_type, body = use
    places = {_NUMBER: number, _SLOT: world.slots()[1], _ID: target}
    response = ask(
        world.client(who, number),
        method,
        _placed(path, places),
        json=_placed(body, places),
        content_type=content_type,
    )
    world.undo(response)
    if who in ("nobody", "operator"):
        assert response.status_code in (400, 401, 403, 413)


@pytest.fixture(name="own", scope="module")
def _own(world: World, persons: Any) -> tuple[str, str]:
    """Return a resident's number, and the id of what they have booked."""
    number = next(persons)
    response = world.client("resident", number).post(
        "/fhir/Appointment",
        json=appointment(world.slots()[2], number),
        content_type=FHIR_JSON,
    )
    assert response.status_code == 201
    return number, response.json["id"]


@given(use=uses(_PLAIN), who=st.sampled_from(EVERYBODY), at=st.integers(0, 2))
@tried("Appointment bodies", 0.5)
def test_an_appointment_that_is_none_is_refused(
    world: World, own: tuple[str, str], use: Use, who: str, at: int
) -> None:
    """No body of a create, update or patch fails, or repeats what it is refused for."""
    number, mine = own
    _try(world, number, use, who, (mine, _ID, world.canary.ids[0])[at])


@given(use=uses(_PARAMETERS), who=st.sampled_from(EVERYBODY), at=st.integers(0, 2))
@tried("Appointment bodies", 0.5)
def test_parameters_that_are_none_are_refused(
    world: World, own: tuple[str, str], use: Use, who: str, at: int
) -> None:
    """No call of an operation fails, or repeats what it is refused for."""
    number, mine = own
    _try(world, number, use, who, (mine, _ID, world.canary.ids[0])[at])
