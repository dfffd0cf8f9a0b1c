"""
Slot read.

https://hl7.org/fhir/R4/http.html#read
"""

from datetime import timedelta
from pathlib import Path

import pytest
from assertions import FHIR_JSON, assert_outcome, issue
from flask.testing import FlaskClient

from fhir_gateway.model.timekeeping import epoch_seconds, now
from fhir_gateway.model.timeslot import TimeslotToken

from .bodies import book, free_slots, patch, region_of, status_patch
from .running import OtherPrograms, fill, own_regions

_NOT_THERE = issue("not-found", "There is no such Slot.")


@pytest.mark.parametrize("region", ["norr", "mitt", "syd"])
def test_a_slot_that_was_found_is_read(client: FlaskClient, region: str) -> None:
    """A slot is read as the search gave it."""
    slot = next(free_slots(client, region))

    response = client.get(f"/fhir/Slot/{slot['id']}")
    assert (response.status_code, response.headers["Content-Type"]) == (200, FHIR_JSON)
    assert response.json == slot


def test_an_answer_is_not_used_again_unasked(client: FlaskClient) -> None:
    """An answer says when it was made, and that a cache must ask whether it holds."""
    slot = next(free_slots(client))

    headers = client.get(f"/fhir/Slot/{slot['id']}").headers
    assert headers["Cache-Control"] == "no-cache"
    assert headers["Date"].endswith(" GMT")


def test_a_slot_that_was_booked_is_busy_until_it_is_cancelled(
    client: FlaskClient, number: str
) -> None:
    """A booked slot is read as busy and found no more; cancelled, it is free again."""
    slot = next(free_slots(client, "norr"))
    url = f"/fhir/Slot/{slot['id']}"
    booked = book(client, "norr", number)
    assert booked.json is not None
    assert booked.json["slot"] == [{"reference": f"Slot/{slot['id']}"}]

    assert client.get(url).json == slot | {"status": "busy"}
    assert slot["id"] not in [each["id"] for each in free_slots(client)]
    patch(client, booked.json["id"], status_patch("cancelled"))
    assert client.get(url).json == slot
    assert slot["id"] in [each["id"] for each in free_slots(client)]


def test_a_group_time_is_free_while_a_place_is_left(
    client: FlaskClient, number: str
) -> None:
    """A time with several places is still free when one of them is booked."""
    booked = book(client, "norr", number, search={"service-type": "TT-GRUPP"})

    assert booked.json is not None
    reference = booked.json["slot"][0]["reference"]
    slot = client.get(f"/fhir/{reference}").json
    assert slot is not None
    assert slot["status"] == "free"


def test_a_past_slot_that_was_booked_is_not_to_be_had(
    other_programs: OtherPrograms, tmp_path: Path, number: str
) -> None:
    """An appointment's slot is still read when its time has begun, and is not free."""
    moment = now()
    with (
        own_regions(tmp_path) as (_, sources),
        other_programs.start(clock=lambda: moment, sources=sources) as made,
    ):
        fill(made)
        client = made.app.test_client()
        slot = next(free_slots(client, "norr"))
        assert book(client, "norr", number).status_code == 201
        token = TimeslotToken.parse(slot["id"])
        moment = token.starts_at + timedelta(minutes=1)
        response = client.get(f"/fhir/Slot/{slot['id']}")

    assert response.json == slot | {"status": "busy-unavailable"}


@pytest.mark.parametrize(
    "identifier",
    [
        *("1", "x" * 64, "x" * 65, "..", "å", "SE2321009901-1001", "*"),
        *("a|b", "Slot", "a" * 5_000),
    ],
)
def test_a_slot_that_never_was_is_not_found(
    client: FlaskClient, identifier: str
) -> None:
    """Any other id answers 404, and nothing of it is repeated."""
    assert_outcome(client.get(f"/fhir/Slot/{identifier}"), 404, _NOT_THERE)


def test_a_slot_that_nobody_lists_is_not_found(client: FlaskClient) -> None:
    """A time like a free one, at another hour, is no slot."""
    token = TimeslotToken.parse(next(free_slots(client))["id"])

    for start, length in (
        (token.start + 1, token.length),
        (token.start, token.length + 60),
    ):
        other = TimeslotToken(schedule=token.schedule, start=start, length=length)
        assert_outcome(client.get(f"/fhir/Slot/{other.text}"), 404, _NOT_THERE)


def test_a_slot_that_has_begun_is_gone(client: FlaskClient) -> None:
    """It will never be free again; a time of no known schedule is no slot."""
    token = TimeslotToken.parse(next(free_slots(client))["id"])
    begun = TimeslotToken(
        schedule=token.schedule,
        start=epoch_seconds(now()) - 3_600,
        length=token.length,
    )
    unit, _, rest = begun.text.partition(".")

    assert_outcome(
        client.get(f"/fhir/Slot/{begun.text}"),
        410,
        issue(
            "not-found",
            "This time has begun, and cannot be booked any more: search for another.",
        ),
    )
    assert_outcome(client.get(f"/fhir/Slot/{unit}9.{rest}"), 404, _NOT_THERE)


def test_a_slots_region_is_that_of_its_id(client: FlaskClient) -> None:
    """A slot's id begins with its unit's HSA-id, so that one sees where it belongs."""
    prefixes = {
        region_of(slot): slot["id"].partition("-")[0] for slot in free_slots(client)
    }

    assert prefixes == {
        "norr": "SE2321009901",
        "mitt": "SE2321009902",
        "syd": "SE2321009903",
    }
