"""
Request keys that are none, that others have used, and that come many times at once.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web.bodies import FHIR_JSON, appointment
from web.dialects import parameters, resource
from web.guarded import token_for

from .texts import KEYS
from .tries import add_tries, is_full, tried
from .world import World, ask, resident

pytestmark = [pytest.mark.flow, pytest.mark.usefixtures("watch")]


def _book(
    world: World, who: str, number: str, slot: str, headers: dict[str, str]
) -> Any:
    return ask(
        world.client(who, number),
        "POST",
        "/fhir/Appointment",
        json=appointment(slot, number),
        content_type=FHIR_JSON,
        headers=headers,
    )


@given(
    key=KEYS,
    name=st.sampled_from(["Idempotency-Key", "If-None-Exist", "X-Request-Id"]),
    who=st.sampled_from(["resident", "staff", "system"]),
)
@tried("request keys", 0.5)
def test_a_key_of_any_text_is_taken_or_refused(
    world: World, number: str, key: str, name: str, who: str
) -> None:
    """A key that cannot be one is refused, and no key fails."""
    response = _book(world, who, number, world.slots()[5], {name: key})
    world.undo(response)

    assert response.status_code in (200, 201, 400, 409, 412, 422, 431)


@given(at=st.integers(0, 9), is_staff=st.booleans())
@tried("request keys", 0.1)
def test_a_key_that_another_has_used_is_a_new_one(
    world: World, at: int, *, is_staff: bool
) -> None:
    """A client that has learned the canary's key learns nothing with it."""
    key = world.canary.keys[at % len(world.canary.keys)]
    number = resident()
    token = (
        token_for("staff", sub=f"nurse {at} {hash(number)}")
        if is_staff
        else token_for("resident", number)
    )
    response = ask(
        world.guarded.with_token(token),
        "POST",
        "/fhir/Appointment",
        json=appointment(world.slots()[6], number),
        content_type=FHIR_JSON,
        headers={"Idempotency-Key": key},
    )
    world.undo(response)

    assert response.status_code == 201


@given(
    key=st.text("abcdefgh0123-", min_size=1, max_size=40).map(lambda text: f"k{text}k"),
    other=st.sampled_from(["slot", "number", "operation", "body"]),
)
@tried("request keys", 0.4)
def test_a_key_serves_one_request(world: World, key: str, other: str) -> None:
    """A key with another body, or another method, is refused for the same client."""
    number = resident()
    headers = {"Idempotency-Key": key}
    first = _book(world, "resident", number, world.slots()[7], headers)
    slot = world.slots()[8 if other == "slot" else 7]
    changes = {"comment": "En annan."} if other == "body" else {}
    path, body = "/fhir/Appointment", appointment(slot, number, **changes)
    if other == "operation":
        path, body = f"{path}/$hold", parameters(resource("appointment", body))
    second = ask(
        world.client("resident", resident() if other == "number" else number),
        "POST",
        path,
        json=body,
        content_type=FHIR_JSON,
        headers=headers,
    )
    again = _book(world, "resident", number, world.slots()[7], headers)
    world.undo(first)

    assert first.status_code == 201, first.text
    assert second.status_code == (404 if other == "number" else 422), second.text
    assert (again.status_code, again.data) == (201, first.data)


@pytest.mark.parametrize("burst", range(4))
def test_a_key_that_comes_many_times_at_once_books_once(
    world: World, number: str, burst: int
) -> None:
    """Of fifty equal requests at once one books, and each other one learns of it."""
    number_of = 50 if is_full() else 6
    headers = {"Idempotency-Key": f"burst-{burst}-{int(number):x}"}
    slot = world.slots()[9 + burst]
    with ThreadPoolExecutor(number_of) as executor:
        answers = list(
            executor.map(
                lambda _: _book(world, "resident", number, slot, headers),
                range(number_of),
            )
        )
    add_tries("request keys", number_of)
    made = {each.json["id"] for each in answers if each.status_code == 201}
    world.undo(next(each for each in answers if each.status_code == 201))

    assert len(made) == 1
    assert {each.status_code for each in answers} <= {201, 202, 409, 503}
