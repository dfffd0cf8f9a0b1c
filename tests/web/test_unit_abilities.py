"""
What a unit cannot do, by its service catalogue: said and refused before it is tried.

The regions stand behind the sandbox's platform: real SOAP all the way.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from assertions import assert_outcome, issue, outcome_entries
from flask.testing import FlaskClient

from fhir_gateway.bootstrap import Program
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.sandbox.server import SandboxServer
from fhir_gateway.sandbox_sources import write_sources
from web.bodies import (
    COVID_VACCINATION,
    FHIR_JSON,
    another_slot,
    appointment,
    book,
    free_slots,
    patch,
    slot_patch,
    status_patch,
)
from web.running import SLOTS, OtherPrograms, fill

ABILITIES = "https://fhir-gateway.example.org/StructureDefinition/unit-abilities"
TIMEOUT_S = 10
NO_BOOKINGS, ONE_WAY, NO_MOVES = (
    "SE2321009901-1001",
    "SE2321009902-1001",
    "SE2321009903-1001",
)
LACKS = {
    NO_BOOKINGS: ["MakeBooking"],
    ONE_WAY: ["UpdateBooking", "CancelBooking"],
    NO_MOVES: ["UpdateBooking"],
}


@pytest.fixture(name="server", scope="module")
def _server() -> Iterator[SandboxServer]:
    with SandboxServer(port=0, slots=SLOTS) as server:
        requests.put(f"{server.url}/platform", json={"lacks": LACKS}, timeout=TIMEOUT_S)
        yield server


@pytest.fixture(name="sources", scope="module")
def _sources(server: SandboxServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    sources = write_sources(
        tmp_path_factory.mktemp("platform"),
        server.url,
        SLOTS,
        Vocabulary(),
        is_behind_platform=True,
    )
    text = sources.read_text("utf-8")
    sources.write_text(
        text.replace("calls_per_second = 20", "calls_per_second = 1000"), "utf-8"
    )
    return sources


@pytest.fixture(name="behind", scope="module")
def _behind(sources: Path, other_programs: OtherPrograms) -> Iterator[Program]:
    with other_programs.start(sources=sources) as made:
        made.catalogue_refresh.run_once()
        fill(made)
        yield made


@pytest.fixture(name="client")
def _client(behind: Program) -> FlaskClient:
    return behind.app.test_client()


def services(client: FlaskClient, unit: str) -> list[dict[str, Any]]:
    """Return the services of a unit."""
    bundle = client.get(f"/fhir/HealthcareService?location=Location/{unit}").json
    assert bundle is not None
    return [entry["resource"] for entry in bundle["entry"]]


def abilities(service: dict[str, Any]) -> dict[str, bool]:
    """Return what a service says of its unit."""
    (extension,) = service["extension"]
    assert extension["url"] == ABILITIES
    return {each["url"]: each["valueBoolean"] for each in extension["extension"]}


def phone(client: FlaskClient, unit: str) -> str:
    """Return the telephone number of a unit."""
    location = client.get(f"/fhir/Location/{unit}").json
    assert location is not None
    return f"{location['name']}|{location['telecom'][0]['value']}"


def writes(server: SandboxServer, region: str) -> int:
    """Return how many writes a region has received."""
    page = requests.get(f"{server.url}/ledger/{region}", timeout=TIMEOUT_S).json()
    return len(page["writes"])


def booked(client: FlaskClient, region: str, number: str) -> dict[str, Any]:
    """Book a time at the first unit of a region."""
    unit = {"mitt": ONE_WAY, "syd": NO_MOVES}[region]
    answer = book(client, region, number, search={"schedule.actor": f"Location/{unit}"})
    assert answer.status_code == 201
    body: dict[str, Any] = answer.json
    return body


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        (NO_BOOKINGS, (False, True, True, True)),
        (ONE_WAY, (True, False, False, True)),
        (NO_MOVES, (True, False, True, True)),
        ("SE2321009901-1002", (True, True, True, True)),
    ],
)
def test_a_service_says_what_its_unit_can_do(
    client: FlaskClient, unit: str, expected: tuple[bool, ...]
) -> None:
    """Each of the unit's services says it, in a search and in a read."""
    said = [abilities(each) for each in services(client, unit)]

    whole = dict(zip(("book", "reschedule", "cancel", "list"), expected, strict=True))
    assert said
    assert said == [whole] * len(said)
    one = services(client, unit)[0]
    assert client.get(f"/fhir/HealthcareService/{one['id']}").json == one


def test_an_included_service_says_it_too(client: FlaskClient) -> None:
    """What slots include is rendered from templates, and is the same."""
    bundle = client.get(
        "/fhir/Slot?_include=Slot:schedule&_include:iterate=Schedule:actor"
        f"&schedule.actor=Location/{NO_BOOKINGS}&_count=5"
    ).json
    assert bundle is not None

    found = [
        entry["resource"]
        for entry in bundle["entry"]
        if entry["resource"]["resourceType"] == "HealthcareService"
    ]

    assert found
    assert all(not abilities(each)["book"] for each in found)


def test_find_warns_of_a_unit_without_bookings(client: FlaskClient) -> None:
    """Its times are shown, and the issue says what to do instead."""
    answer = client.get(
        "/fhir/Appointment/$find",
        query_string={
            "start": "2020-01-01T08:00:00+01:00",
            "end": "2099-12-31T08:00:00+01:00",
            "visit-type": COVID_VACCINATION,
            "schedule.actor": f"Location/{NO_BOOKINGS}",
            "_count": "3",
        },
    )
    assert answer.json is not None

    name, number = phone(client, NO_BOOKINGS).split("|")
    (found,) = outcome_entries(answer.json)
    assert (found["severity"], found["code"], found["diagnostics"]) == (
        "warning",
        "not-supported",
        (
            f"{name} takes no bookings over the service platform: call it on {number},"
            " or choose a time at another unit."
        ),
    )
    assert len(answer.json["entry"]) == 4


def test_find_says_nothing_of_a_unit_that_takes_bookings(client: FlaskClient) -> None:
    """Only a known lack is a warning."""
    answer = client.get(
        "/fhir/Appointment/$find",
        query_string={
            "start": "2020-01-01T08:00:00+01:00",
            "end": "2099-12-31T08:00:00+01:00",
            "schedule.actor": f"Location/{NO_MOVES}",
            "_count": "3",
        },
    )
    assert answer.json is not None

    assert outcome_entries(answer.json) == []


@pytest.mark.parametrize("operation", ["create", "$hold"])
def test_a_booking_at_a_unit_without_bookings_is_refused(
    client: FlaskClient, server: SandboxServer, number: str, operation: str
) -> None:
    """At once: the region receives nothing, and the text says what to do."""
    before = writes(server, "norr")
    search = {"schedule.actor": f"Location/{NO_BOOKINGS}"}
    slot = next(free_slots(client, "norr", **search))["id"]
    body = appointment(slot, number)
    if operation == "create":
        answer = client.post("/fhir/Appointment", json=body, content_type=FHIR_JSON)
    else:
        answer = client.post(
            "/fhir/Appointment/$hold",
            json={
                "resourceType": "Parameters",
                "parameter": [{"name": "appointment", "resource": body}],
            },
            content_type=FHIR_JSON,
        )

    name, telephone = phone(client, NO_BOOKINGS).split("|")
    assert_outcome(
        answer,
        422,
        issue(
            "forbidden",
            f"{name} takes no bookings over the service platform: call it on"
            f" {telephone}, or choose a time at another unit. (source norr)",
        ),
    )
    assert writes(server, "norr") == before
    assert next(free_slots(client, "norr", **search))["id"] == slot


def test_a_move_at_a_unit_without_moves_is_refused(
    client: FlaskClient, server: SandboxServer, number: str
) -> None:
    """Where the unit books and cancels, the resident can do both instead."""
    body = booked(client, "syd", number)
    before = writes(server, "syd")

    answer = patch(client, body["id"], slot_patch(another_slot(client, body)["id"]))

    name, telephone = phone(client, NO_MOVES).split("|")
    assert_outcome(
        answer,
        422,
        issue(
            "forbidden",
            f"{name} moves no bookings over the service platform: call it on"
            f" {telephone}, or book the other time and then cancel this booking."
            " (source syd)",
        ),
    )
    assert writes(server, "syd") == before


@pytest.mark.parametrize("change", ["move", "cancel"])
def test_a_change_at_a_unit_that_only_books_is_refused(
    client: FlaskClient, server: SandboxServer, number: str, change: str
) -> None:
    """There the telephone is all that is left."""
    body = booked(client, "mitt", number)
    before = writes(server, "mitt")

    answer = patch(
        client,
        body["id"],
        slot_patch(another_slot(client, body)["id"])
        if change == "move"
        else status_patch("cancelled"),
    )

    name, telephone = phone(client, ONE_WAY).split("|")
    verb = "moves" if change == "move" else "cancels"
    assert_outcome(
        answer,
        422,
        issue(
            "forbidden",
            f"{name} {verb} no bookings over the service platform: call it on"
            f" {telephone}. (source mitt)",
        ),
    )
    assert writes(server, "mitt") == before


def test_what_a_unit_can_do_is_done(
    client: FlaskClient, server: SandboxServer, number: str
) -> None:
    """A unit without moves cancels."""
    body = booked(client, "syd", number)

    answer = patch(client, body["id"], status_patch("cancelled"))

    assert (answer.status_code, answer.json["status"]) == (200, "cancelled")
    page = requests.get(f"{server.url}/ledger/syd", timeout=TIMEOUT_S).json()
    assert page["writes"][-1]["interaction"] == "CancelBooking"


def test_what_is_not_known_is_tried(
    sources: Path, other_programs: OtherPrograms, server: SandboxServer, number: str
) -> None:
    """Without the catalogue the platform itself answers, as before."""
    with other_programs.start(sources=sources) as made:
        fill(made)
        client = made.app.test_client()
        service = services(client, NO_BOOKINGS)[0]
        search = {"schedule.actor": f"Location/{NO_BOOKINGS}"}
        answer = book(client, "norr", number, search=search)

    assert "extension" not in service
    # The platform's fault to a write leaves its outcome open: VP004.
    assert answer.status_code == 202
    page = requests.get(f"{server.url}/ledger/platform", timeout=TIMEOUT_S).json()
    made_bookings = [
        each for each in page["calls"] if each["interaction"] == "MakeBooking"
    ]
    assert made_bookings[-1]["logical_address"] == NO_BOOKINGS
