"""
A resident's whole list: an aggregating service and direct calls, side by side.

The regions stand behind the sandbox's platform: real SOAP all the way.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from assertions import outcome_entries
from flask.testing import FlaskClient

from fhir_gateway.bootstrap import Program
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model.person import PersonalIdentityNumber, SubjectOfCare
from fhir_gateway.model.scheduling import MakeBooking
from fhir_gateway.model.timeslot import Timeslot, TimeslotToken
from fhir_gateway.sandbox.server import SandboxServer
from fhir_gateway.sandbox_sources import write_sources
from web.bodies import PERSONNUMMER, book, free_slots, region_of
from web.running import REGIONS, SLOTS, OtherPrograms, fill

TIMEOUT_S = 10


@pytest.fixture(name="server", scope="module")
def _server() -> Iterator[SandboxServer]:
    with SandboxServer(port=0, slots=SLOTS) as server:
        yield server


@pytest.fixture(name="behind", scope="module")
def _behind(
    server: SandboxServer,
    other_programs: OtherPrograms,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Program]:
    sources = write_sources(
        tmp_path_factory.mktemp("whole"),
        server.url,
        SLOTS,
        Vocabulary(),
        is_behind_platform=True,
    )
    text = sources.read_text("utf-8")
    sources.write_text(
        text.replace("calls_per_second = 20", "calls_per_second = 1000"), "utf-8"
    )
    with other_programs.start(sources=sources) as made:
        made.catalogue_refresh.run_once()
        fill(made)
        yield made


@pytest.fixture(name="client")
def _client(behind: Program, server: SandboxServer) -> Iterator[FlaskClient]:
    yield behind.app.test_client()
    requests.put(f"{server.url}/platform", json={}, timeout=TIMEOUT_S).close()
    for name in (*REGIONS, "aggregator"):
        requests.delete(f"{server.url}/faults/{name}", timeout=TIMEOUT_S).close()


def behave(server: SandboxServer, **options: Any) -> None:
    """Let the platform and its aggregating service behave so."""
    with requests.put(
        f"{server.url}/platform", json=options, timeout=TIMEOUT_S
    ) as answer:
        assert answer.ok, answer.text


def spoil(server: SandboxServer, name: str, fault: str, **fields: Any) -> None:
    """Order a fault."""
    with requests.post(
        f"{server.url}/faults/{name}",
        json={"fault": fault, **fields},
        timeout=TIMEOUT_S,
    ) as answer:
        assert answer.ok, answer.text


def list_of(client: FlaskClient, number: str, prefer: str = "wait=4") -> Any:
    """Return a resident's list."""
    response = client.post(
        "/fhir/Appointment/_search",
        data={"patient.identifier": f"{PERSONNUMMER}|{number}", "status": "booked"},
        headers={"Prefer": prefer},
    )
    assert response.status_code == 200, response.text
    return response.json


def regions_of(bundle: Any) -> set[str]:
    """Return the regions of the appointments in a list."""
    return {
        region_of(each["resource"])
        for each in bundle.get("entry", ())
        if each["search"]["mode"] == "match"
    }


def said(bundle: Any) -> list[str]:
    """Return what the outcomes of a list say."""
    return [each["diagnostics"] for each in outcome_entries(bundle)]


def booked_everywhere(client: FlaskClient, number: str) -> dict[str, str]:
    """Book in each region; return the units."""
    units = {}
    for region in REGIONS:
        made = book(client, region, number).json
        assert made is not None
        units[region] = made["identifier"][0]["system"].rpartition("/")[2]
    return units


def book_by_phone(
    client: FlaskClient, behind: Program, region: str, number: str
) -> None:
    """Book a free time past this server, which goes on offering it for a while."""
    *_, last = free_slots(client, region)
    token = TimeslotToken.parse(last["id"])
    known = behind.view.snapshot.known(token.schedule)
    assert known is not None
    (adapter,) = (each.adapter for each in behind.sources if each.source.name == region)
    result = adapter.make_booking(
        MakeBooking(
            timeslot=Timeslot(
                schedule=known.schedule, start=token.starts_at, end=token.ends_at
            ),
            subject_of_care=SubjectOfCare(
                number=PersonalIdentityNumber(number),
                first_name="Anna",
                last_name="Testlund",
            ),
        ),
        timeout=TIMEOUT_S,
    )
    assert result.is_done


def test_bookings_of_all_regions_are_found_where_nobody_here_knew_them(
    client: FlaskClient, behind: Program, number: str
) -> None:
    """The aggregating service finds what was booked elsewhere, in three regions."""
    for region in REGIONS:
        book_by_phone(client, behind, region, number)

    bundle = list_of(client, number)

    assert regions_of(bundle) == set(REGIONS)
    assert said(bundle) == []
    assert "total" in bundle


def test_what_both_ways_find_is_one_appointment(
    client: FlaskClient, number: str
) -> None:
    """Each booking is in the list once, though each way lists it."""
    booked_everywhere(client, number)

    bundle = list_of(client, number)

    assert bundle["total"] == len(REGIONS)
    assert regions_of(bundle) == set(REGIONS)
    assert said(bundle) == []


def test_units_that_the_service_does_not_find_are_asked_directly(
    client: FlaskClient, server: SandboxServer, number: str
) -> None:
    """Without posts in the index, and without authority, the relations are enough."""
    units = booked_everywhere(client, number)
    behave(server, not_indexed=list(units.values()))

    bundle = list_of(client, number)

    assert regions_of(bundle) == set(REGIONS)
    assert said(bundle) == []


def test_an_index_that_fails_is_named(
    client: FlaskClient, server: SandboxServer, number: str
) -> None:
    """A SOAP fault of the service: known units are asked, others may be missing."""
    booked_everywhere(client, number)
    behave(server, index_fails=True)

    bundle = list_of(client, number)

    assert regions_of(bundle) == set(REGIONS)
    assert any(
        each.startswith(
            "Nationella tjänsteplattformen (sandlåda) could not be asked; bookings at"
            " units that this server does not know of may be missing"
        )
        for each in said(bundle)
    )
    assert "total" not in bundle


def test_a_unit_that_neither_way_reaches_is_named_with_its_phone(
    client: FlaskClient, server: SandboxServer, number: str
) -> None:
    """Both the service and this server fail at a unit: who can be called is said."""
    units = booked_everywhere(client, number)
    spoil(
        server,
        "syd",
        "vp-fault",
        interactions=["GetSubjectOfCareSchedule", "GetBookingDetails"],
        units=[units["syd"]],
    )

    bundle = list_of(client, number)

    location = client.get(f"/fhir/Location/{units['syd']}").json
    contact = f"call {location['name']}, {location['telecom'][0]['value']}"
    assert regions_of(bundle) == set(REGIONS)
    assert said(bundle)
    assert all(contact in each for each in said(bundle))


def test_all_failing_is_no_empty_calendar(
    client: FlaskClient, server: SandboxServer, number: str
) -> None:
    """HTTP 200 with nothing from the service: each unit is named, without a total."""
    booked_everywhere(client, number)
    for region in REGIONS:
        spoil(server, region, "vp-fault", interactions=["GetSubjectOfCareSchedule"])

    bundle = list_of(client, number)

    assert "total" not in bundle
    assert len(said(bundle)) >= len(REGIONS)
    assert all(each["severity"] == "warning" for each in outcome_entries(bundle))


def test_a_service_that_hangs_holds_up_no_list(
    client: FlaskClient, server: SandboxServer, number: str
) -> None:
    """At the deadline the list goes out with what the units themselves said."""
    booked_everywhere(client, number)
    spoil(server, "aggregator", "hang", seconds=5)

    bundle = list_of(client, number, prefer="wait=2")

    assert regions_of(bundle) == set(REGIONS)
    assert any(
        each.startswith(
            "Nationella tjänsteplattformen (sandlåda) did not answer within 2 s"
        )
        for each in said(bundle)
    )


@pytest.mark.parametrize(
    ("fault", "is_named"),
    [
        ("refuse", True),
        ("drop-before-processing", True),
        ("drop-after-processing", True),
        ("deliver-nothing", True),
        ("vp-fault", True),
        ("wrong-status", True),
        ("early-hints", False),
        ("answer-twice", False),
        ("set-cookie", False),
    ],
)
def test_each_fault_of_the_service_leaves_the_direct_lists(
    client: FlaskClient,
    server: SandboxServer,
    number: str,
    fault: str,
    *,
    is_named: bool,
) -> None:
    """Each fault that takes the answer away is an outcome, and no other is."""
    booked_everywhere(client, number)
    spoil(server, "aggregator", fault)

    bundle = list_of(client, number)

    assert regions_of(bundle) == set(REGIONS)
    assert [
        each.startswith("Nationella tjänsteplattformen (sandlåda)")
        for each in said(bundle)[:1]
    ] == [True] * is_named


@pytest.mark.parametrize(
    ("options", "severity", "what"),
    [
        pytest.param(
            {"keeps_last": True},
            "warning",
            "could not be asked just now; its bookings are shown as they were at",
            id="its last answer",
        ),
        pytest.param(
            {"cached_for_s": 60},
            "information",
            "was not asked, since Nationella tjänsteplattformen (sandlåda) has its list"
            " in a cache; its bookings are shown as they were at",
            id="its cache",
        ),
    ],
)
def test_each_part_that_is_not_of_now_is_named_with_its_age(
    client: FlaskClient,
    server: SandboxServer,
    number: str,
    *,
    options: dict[str, Any],
    severity: str,
    what: str,
) -> None:
    """What the service has of a failing unit is shown, with its age and a phone."""
    behave(server, **options)
    units = booked_everywhere(client, number)
    list_of(client, number)
    spoil(server, "norr", "vp-fault", interactions=["GetSubjectOfCareSchedule"])

    bundle = list_of(client, number)

    location = client.get(f"/fhir/Location/{units['norr']}").json
    (found,) = (
        each
        for each in outcome_entries(bundle)
        if each["diagnostics"].startswith(f"{location['name']} {what}")
    )
    assert regions_of(bundle) == set(REGIONS)
    assert found["severity"] == severity
    assert location["telecom"][0]["value"] in found["diagnostics"]
    assert found["extension"][0]["url"].endswith("lastSourceSync")
