"""
A live source over real HTTP and real SOAP: searched, paged, read and booked.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from flask.testing import FlaskClient

from fhir_gateway.bootstrap import Program
from web.bodies import FHIR_JSON, appointment
from web.running import OtherPrograms, Sandbox, fill, own_regions


@pytest.fixture(name="regions", scope="module")
def _regions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with own_regions(tmp_path_factory.mktemp("live")) as (sandbox, sources):
        text = sources.read_text(encoding="utf-8")
        head, syd = text.split("[sources.syd]\n")
        live = 'mode = "live"\nlive_timeout_s = 3\nlive_calls = 16\n'
        sources.write_text(f"{head}[sources.syd]\n{live}{syd}", encoding="utf-8")
        yield sandbox, sources


@pytest.fixture(name="live_sandbox")
def _live_sandbox(regions: Any) -> Iterator[Sandbox]:
    sandbox: Sandbox = regions[0]
    yield sandbox
    sandbox.heal()


@pytest.fixture(name="live_program", scope="module")
def _live_program(regions: Any, other_programs: OtherPrograms) -> Iterator[Program]:
    sources: Path = regions[1]
    with other_programs.start(sources=sources) as made:
        fill(made)
        yield made


@pytest.fixture(name="live_client")
def _live_client(live_program: Program) -> FlaskClient:
    return live_program.app.test_client()


@pytest.fixture(name="unit")
def _unit(live_program: Program) -> str:
    """Give a unit of the live source."""
    directory = live_program.view.snapshot.directory
    return min(each for each, unit in directory.units.items() if unit.source == "syd")


def entries(bundle: dict[str, Any], mode: str) -> list[dict[str, Any]]:
    """Return the resources of a searchset that are there for a reason."""
    return [
        each["resource"] for each in bundle["entry"] if each["search"]["mode"] == mode
    ]


def at_unit(client: FlaskClient, unit: str, more: str = "") -> dict[str, Any]:
    """Return the first page of a unit's free times."""
    found: dict[str, Any] = client.get(
        f"/fhir/Slot?schedule.actor:Location={unit}{more}"
    ).json
    return found


def test_live_times_are_searched_and_paged(live_client: FlaskClient, unit: str) -> None:
    """All of a unit's times come page by page, each once, with their total."""
    bundle = at_unit(live_client, unit, "&_count=25")
    assert entries(bundle, "outcome") == []
    total, seen = bundle["total"], []
    while True:
        assert bundle["total"] == total
        seen += [each["id"] for each in entries(bundle, "match")]
        following = [each for each in bundle["link"] if each["relation"] == "next"]
        if not following:
            break
        bundle = live_client.get(following[0]["url"].partition(".test")[2]).json

    assert len(seen) == len(set(seen)) == total > 25


def test_what_a_live_slot_refers_to_can_be_read(
    live_client: FlaskClient, unit: str
) -> None:
    """The slot, its schedule, and the schedule by _include."""
    bundle = at_unit(live_client, unit, "&_count=1&_include=Slot:schedule")
    (slot,) = entries(bundle, "match")
    (schedule,) = entries(bundle, "include")

    assert slot["schedule"]["reference"] == f"Schedule/{schedule['id']}"
    assert live_client.get(f"/fhir/Schedule/{schedule['id']}").status_code == 200
    read = live_client.get(f"/fhir/Slot/{slot['id']}")
    assert (read.status_code, read.json["start"]) == (200, slot["start"])


def test_the_open_feed_has_no_times_of_a_live_source(
    live_client: FlaskClient, unit: str
) -> None:
    """Its schedules say that nothing is known, and the manifest names the source."""
    slot = entries(at_unit(live_client, unit, "&_count=1"), "match")[0]
    manifest = live_client.get("/fhir/$bulk-publish").json
    published = {
        (each["type"], each["extension"]["source"].rpartition("/")[2])
        for each in manifest["output"]
    }
    (error,) = manifest["error"]
    outcome, schedules = (
        live_client.get(f"/fhir/$bulk-publish/{name}.syd.ndjson").text.splitlines()
        for name in ("OperationOutcome", "Schedule")
    )
    said = [json.loads(each) for each in schedules]

    assert ("Slot", "norr") in published
    assert ("Slot", "syd") not in published
    assert error["url"].endswith("/$bulk-publish/OperationOutcome.syd.ndjson")
    assert json.loads(outcome[0])["issue"][0]["code"] == "informational"
    assert f"Schedule/{slot['id']}".startswith(
        tuple(f"Schedule/{each['id']}" for each in said)
    )
    assert {each["extension"][0]["valueCode"] for each in said} == {"unknown"}


def test_a_live_slot_is_read_in_another_process(
    regions: Any, other_programs: OtherPrograms, live_client: FlaskClient, unit: str
) -> None:
    """A process that has never searched asks the source, and has the slot."""
    slot = entries(at_unit(live_client, unit, "&_count=1"), "match")[0]
    with other_programs.start(sources=regions[1]) as made:
        fill(made)
        read = made.app.test_client().get(f"/fhir/Slot/{slot['id']}")

    assert (read.status_code, read.json["id"]) == (200, slot["id"])


def test_a_live_slot_can_be_booked(
    live_client: FlaskClient, unit: str, number: str
) -> None:
    """Booked, it is gone from the next search, and shown as busy."""
    slot = entries(at_unit(live_client, unit, "&_count=1"), "match")[0]["id"]
    booked = live_client.post(
        "/fhir/Appointment",
        json=appointment(slot, number),
        headers={"Content-Type": FHIR_JSON},
    )
    after = [
        each["id"]
        for each in entries(at_unit(live_client, unit, "&_count=500"), "match")
    ]

    assert booked.status_code == 201
    assert slot not in after
    assert live_client.get(f"/fhir/Slot/{slot}").json["status"] == "busy"


def test_a_live_source_that_hangs_is_named(
    live_client: FlaskClient, live_sandbox: Sandbox, unit: str
) -> None:
    """
    The search ends by the deadline, without a total, and names the missing source.
    """
    live_sandbox.spoil("syd", "hang", interactions=["GetAvailableTimeslots"])
    bundle = at_unit(live_client, unit)
    (outcome,) = entries(bundle, "outcome")

    assert "total" not in bundle
    assert entries(bundle, "match") == []
    assert "unanswered within 3 s. (source syd)" in outcome["issue"][0]["diagnostics"]


def test_a_search_everywhere_says_what_was_not_asked(live_client: FlaskClient) -> None:
    """Other regions' times are there; what the live one was not asked is named."""
    bundle = live_client.get("/fhir/Slot?_count=5").json
    (outcome,) = entries(bundle, "outcome")

    assert len(entries(bundle, "match")) == 5
    assert "were not asked" in outcome["issue"][0]["diagnostics"]


def test_a_live_slot_that_cannot_be_asked_for_is_not_404(
    live_client: FlaskClient, live_sandbox: Sandbox, unit: str
) -> None:
    """A region that faults leaves open whether the slot is free: 503."""
    slot = entries(at_unit(live_client, unit, "&_count=1"), "match")[0]
    live_sandbox.spoil("syd", "vp-fault", interactions=["GetAvailableTimeslots"])

    assert live_client.get(f"/fhir/Slot/{slot['id']}").status_code == 503


def preferring(client: FlaskClient, path: str, prefer: str) -> Any:
    """Return the answer to a client that states preferences."""
    return client.get(path, headers={"Prefer": prefer})


def test_a_client_that_refuses_a_part_gets_none(
    live_client: FlaskClient, live_sandbox: Sandbox, unit: str
) -> None:
    """All or nothing: 503 names the missing source, and when to try again."""
    live_sandbox.spoil("syd", "hang", interactions=["GetAvailableTimeslots"])
    answers = [
        preferring(live_client, path, "partial=refuse, wait=1")
        for path in (
            f"/fhir/Slot?schedule.actor:Location={unit}",
            f"/fhir/Appointment/$find?location-reference=Location/{unit}",
        )
    ]

    for answer in answers:
        asked, missing = answer.json["issue"]
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "30"
        assert answer.headers["Preference-Applied"] == "partial=refuse, wait=1"
        assert (asked["code"], asked["location"]) == ("incomplete", ["http.Prefer"])
        assert "(source syd)" in missing["diagnostics"]
        assert missing["severity"] == "error"


def test_a_whole_answer_is_given_to_a_client_that_refuses_a_part(
    live_client: FlaskClient, unit: str
) -> None:
    """Nothing is missing: the answer is the same as to anybody."""
    path = f"/fhir/Slot?schedule.actor:Location={unit}&_count=5"
    answer = preferring(live_client, path, "partial=refuse")

    assert answer.status_code == 200
    assert answer.headers["Preference-Applied"] == "partial=refuse"
    # Each of the two asks the source, at a moment of its own.
    assert [each["id"] for each in entries(answer.json, "match")] == [
        each["id"] for each in entries(live_client.get(path).json, "match")
    ]


def test_included_slots_are_not_those_of_a_live_source(
    live_client: FlaskClient, unit: str
) -> None:
    """`_revinclude=Slot:schedule` asks no region, and names the live source."""
    assert entries(at_unit(live_client, unit, "&_count=1"), "match")
    bundle = live_client.get(
        f"/fhir/Schedule?actor=Location/{unit}&_revinclude=Slot:schedule"
    ).json

    assert entries(bundle, "match")
    assert entries(bundle, "include") == []
    assert "total" not in bundle
    assert "search for them" in str(entries(bundle, "outcome"))


def test_a_client_in_a_hurry_is_answered_in_its_time(
    live_client: FlaskClient, live_sandbox: Sandbox, unit: str
) -> None:
    """`Prefer: wait=1` ends the wait after a second, and names what is missing."""
    live_sandbox.spoil("syd", "hang", interactions=["GetAvailableTimeslots"])
    began = monotonic()
    answer = preferring(
        live_client, f"/fhir/Slot?schedule.actor:Location={unit}", "wait=1"
    )
    (outcome,) = entries(answer.json, "outcome")

    assert monotonic() - began < 2.5
    assert answer.headers["Preference-Applied"] == "wait=1"
    assert "unanswered within 1 s. (source syd)" in outcome["issue"][0]["diagnostics"]


def test_a_client_that_waits_for_long_waits_as_the_operator_allows(
    live_client: FlaskClient, live_sandbox: Sandbox, unit: str
) -> None:
    """The source's own limit is shorter than the client's."""
    live_sandbox.spoil("syd", "hang", interactions=["GetAvailableTimeslots"])
    answer = preferring(
        live_client, f"/fhir/Slot?schedule.actor:Location={unit}", "wait=60"
    )
    (outcome,) = entries(answer.json, "outcome")

    assert "unanswered within 3 s. (source syd)" in outcome["issue"][0]["diagnostics"]


def test_a_preference_that_is_not_understood_is_not_claimed(
    live_client: FlaskClient, unit: str
) -> None:
    """RFC 7240: what is not understood is ignored, and not said to be applied."""
    answer = preferring(
        live_client,
        f"/fhir/Slot?schedule.actor:Location={unit}",
        "partial=some, wait=soon, wait=-1",
    )

    assert answer.status_code == 200
    assert "Preference-Applied" not in answer.headers
