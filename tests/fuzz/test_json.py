"""
Bytes that are hardly JSON, to each route that reads some.
"""

import json
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web.bodies import FHIR_JSON, JSON_PATCH, appointment
from web.dialects import parameters

from .canary import SENT_NUMBER, SENT_TEXT
from .mutation import damaged_bytes
from .tries import add_tries, is_full, tried
from .world import World, ask

pytestmark = [pytest.mark.flow, pytest.mark.usefixtures("watch")]

_ID: Final = "11111111-1111-4111-8111-111111111111"
_SOUND: Final = appointment("SE2321009901-1001.x", SENT_NUMBER, comment=SENT_TEXT)
_ROUTES: Final = [
    ("POST", "/fhir/Appointment", FHIR_JSON),
    ("PUT", f"/fhir/Appointment/{_ID}", FHIR_JSON),
    ("PATCH", f"/fhir/Appointment/{_ID}", JSON_PATCH),
    *(
        ("POST", f"/fhir/Appointment/${name}", FHIR_JSON)
        for name in ("find", "hold", "book", "cancel", "reschedule")
    ),
]
_SAMPLES: Final[list[Any]] = [
    *(_SOUND, parameters(), [{"op": "remove", "path": "/slot"}], [], {}, "a", 1),
    *(None, True, [1, -0.5e10, "\u00e5", "\U0001f600"], {"a": {"b": [[[1]]]}}),
    *(parameters({"name": "start", "valueDateTime": "2026-12-01"}), {"": ""}),
    *({"resourceType": name} for name in ("Slot", "Bundle", "Parameters", "Patient")),
    *([{"op": op, "path": "/a", "value": 1}] for op in ("add", "test", "copy")),
]


@given(
    route=st.sampled_from(_ROUTES),
    body=damaged_bytes(_SOUND) | damaged_bytes(parameters({"name": SENT_TEXT})),
    who=st.sampled_from(["resident", "staff", "system"]),
)
@tried("JSON", 0.8)
def test_bytes_that_are_hardly_json_are_refused(
    world: World, number: str, route: tuple[str, str, str], body: bytes, who: str
) -> None:
    """No bytes fail, and no refusal repeats them."""
    method, path, content_type = route
    response = ask(
        world.client(who, number), method, path, data=body, content_type=content_type
    )

    assert response.status_code in (200, 400, 403, 404, 409, 413, 415, 422)


@pytest.mark.parametrize("sample", _SAMPLES, ids=range(len(_SAMPLES)))
def test_json_that_breaks_off_anywhere_is_refused(
    world: World, number: str, sample: Any
) -> None:
    """A sample that is cut off at any byte does not fail."""
    body = json.dumps(sample).encode()
    step = 1 if is_full() else max(1, len(body) // 4)
    client = world.client("resident", number)
    for end in range(0, len(body), step):
        method, path, content_type = _ROUTES[end % len(_ROUTES)]
        response = ask(client, method, path, data=body[:end], content_type=content_type)
        add_tries("JSON")

        assert response.status_code in (200, 400, 404, 409, 422)
