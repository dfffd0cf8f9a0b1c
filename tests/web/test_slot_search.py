"""
Slot search-type: who offers the earliest time?

https://hl7.org/fhir/R4/http.html#search
"""

from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from assertions import (
    assert_outcome,
    assert_searchset,
    issue,
    outcome_entries,
    references,
)
from flask.testing import FlaskClient

from fhir_gateway.bootstrap import Program
from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.model.timekeeping import civil_date, now
from fhir_gateway.sandbox.server import SandboxServer

from .bodies import (
    COVID_VACCINATION,
    FHIR_JSON,
    appointment,
    book,
    free_slots,
    region_of,
)
from .running import (
    BASE_URL,
    REGIONS,
    OtherPrograms,
    Sandbox,
    fill,
    own_regions,
    write_fast_sources,
)

_TODAY = civil_date(now())
_CODE = "service-type=72791000052103"
_INCLUDES = "_include=Slot:schedule&_include:iterate=Schedule:actor"


def search(client: FlaskClient, query: str) -> dict[str, Any]:
    """Return the bundle that a search for slots answers."""
    response = client.get(f"/fhir/Slot?{query}")
    assert_searchset(response)
    bundle: dict[str, Any] | None = response.json
    assert bundle is not None
    return bundle


def resources(bundle: dict[str, Any], mode: str = "match") -> list[dict[str, Any]]:
    """Return the resources of a bundle's entries of one mode."""
    return [
        entry["resource"]
        for entry in bundle.get("entry", ())
        if entry["search"]["mode"] == mode
    ]


def ids(client: FlaskClient, query: str) -> list[str]:
    """Return the ids of the slots on the first page of a search."""
    return [slot["id"] for slot in resources(search(client, query))]


def link(bundle: dict[str, Any], relation: str) -> str | None:
    """Return one of a bundle's links."""
    return {each["relation"]: each["url"] for each in bundle["link"]}.get(relation)


# What is found.


def test_the_earliest_times_of_all_regions_are_found(client: FlaskClient) -> None:
    """One search finds every region's free times for a vaccination, earliest first."""
    bundle = search(
        client,
        f"service-type={COVID_VACCINATION}&start=ge{_TODAY}"
        f"&start=lt{_TODAY + timedelta(days=90)}&status=free&_sort=start&_count=500"
        f"&{_INCLUDES}",
    )

    slots = resources(bundle)
    starts = [datetime.fromisoformat(slot["start"]) for slot in slots]
    assert starts == sorted(starts)
    assert {region_of(slot) for slot in slots} == set(REGIONS)
    assert {slot["status"] for slot in slots} == {"free"}
    assert {slot["serviceType"][0]["coding"][0]["code"] for slot in slots} == {
        "72791000052103"
    }


def test_each_unit_keeps_its_own_word_for_it(client: FlaskClient) -> None:
    """A slot has the unit's own words beside the shared code."""
    words = {
        (region_of(slot), slot["serviceType"][0]["text"]) for slot in free_slots(client)
    }

    assert words == {
        ("norr", "Covid-vaccination distriktssköterska"),
        ("mitt", "Covid 19 vaccin dos"),
        ("syd", "Vaccination mot covid-19, drop-in tid"),
    }


def test_each_slot_says_where_it_is_from_and_how_old(client: FlaskClient) -> None:
    """A slot says which source it came from, and when that last answered."""
    for slot in islice(free_slots(client), 50):
        (sync,) = slot["meta"]["extension"]
        answered_at = datetime.fromisoformat(sync["valueDateTime"])
        assert sync["url"] == "http://hl7.org/fhir/StructureDefinition/lastSourceSync"
        assert now() - timedelta(hours=4) < answered_at <= now()
        assert slot["meta"]["source"].startswith(
            "https://fhir-gateway.example.org/source/"
        )


def test_includes_bring_who_and_where(client: FlaskClient) -> None:
    """Schedule, service, unit, role and person come along, each once."""
    bundle = search(client, f"{_CODE}&_count=100&{_INCLUDES}")

    included = resources(bundle, "include")
    wanted = {slot["schedule"]["reference"] for slot in resources(bundle)} | {
        reference
        for resource in included
        if resource["resourceType"] == "Schedule"
        for reference in references(resource)
    }
    assert {f"{each['resourceType']}/{each['id']}" for each in included} == wanted
    assert {each["resourceType"] for each in included} == {
        *("Schedule", "HealthcareService", "Location"),
        *("PractitionerRole", "Practitioner"),
    }


@pytest.mark.parametrize(
    ("query", "types"),
    [
        pytest.param("", set(), id="nothing asked for"),
        pytest.param("_include=Slot:schedule", {"Schedule"}, id="schedules alone"),
        pytest.param(
            "_include=Schedule:actor", set(), id="nothing is included of what is not"
        ),
        pytest.param(
            "_include=Slot:schedule&_include=Schedule:actor",
            {"Schedule"},
            id="only iterate goes on from what was included",
        ),
        pytest.param(
            "_include=Slot:schedule&_include:iterate=Schedule:actor:Location",
            {"Schedule", "Location"},
            id="one type of actor",
        ),
        pytest.param(
            "_include=Slot:schedule&_include:iterate=Schedule:actor:HealthcareService"
            "&_include:iterate=HealthcareService:providedBy",
            {"Schedule", "HealthcareService", "Organization"},
            id="who provides it",
        ),
        pytest.param(
            "_include:iterate=Slot:schedule&_include:iterate=Schedule:actor:Location"
            "&_include:iterate=Location:organization",
            {"Schedule", "Location", "Organization"},
            id="iterate alone begins at the matches",
        ),
    ],
)
def test_an_include_brings_what_it_names(
    client: FlaskClient, query: str, types: set[str]
) -> None:
    """What is included is what was asked for, and nothing else."""
    bundle = search(client, f"{_CODE}&_count=20&{query}")

    assert {each["resourceType"] for each in resources(bundle, "include")} == types


def test_an_include_belongs_to_its_page(client: FlaskClient) -> None:
    """A page of no matches includes nothing."""
    assert "entry" not in search(client, f"{_CODE}&_count=0&{_INCLUDES}")


def test_a_unit_narrows_the_search(client: FlaskClient) -> None:
    """Only the unit's slots are found by schedule.actor:Location."""
    found = {
        slot["id"].rsplit(".", 4)[0]
        for slot in free_slots(
            client, **{"schedule.actor:Location": "Location/se2321009903-1001"}
        )
    }

    assert found == {"SE2321009903-1001"}


def test_a_service_narrows_the_search(client: FlaskClient) -> None:
    """Only a unit's slots of one kind are found by schedule.actor:HealthcareService."""
    slot = next(free_slots(client, "mitt"))
    service = slot["id"].rsplit(".", 3)[0]

    found = ids(client, f"schedule.actor:HealthcareService=HealthcareService/{service}")
    assert slot["id"] in found
    assert {each.rsplit(".", 3)[0] for each in found} == {service}


def test_a_schedule_narrows_the_search(client: FlaskClient) -> None:
    """Only one schedule's slots are found by schedule, in any form of reference."""
    slot = next(free_slots(client, "norr"))
    schedule = slot["schedule"]["reference"]

    found = ids(client, f"schedule={schedule}")
    assert slot["id"] in found
    assert {each.rsplit(".", 2)[0] for each in found} == {schedule.split("/")[1]}
    assert ids(client, f"schedule={BASE_URL}/{schedule}") == found
    assert ids(client, f"schedule={schedule.split('/')[1]}") == found


def test_a_member_of_staff_narrows_the_search(client: FlaskClient) -> None:
    """Only one person's slots are found by schedule.actor:Practitioner."""
    bundle = search(
        client,
        "schedule.actor:Practitioner=SE2321009901-P10011&_count=500"
        "&_include=Slot:schedule",
    )

    assert resources(bundle)
    for schedule in resources(bundle, "include"):
        assert "Practitioner/SE2321009901-P10011" in references(schedule)


def test_two_units_are_either(client: FlaskClient) -> None:
    """A comma between references means or."""
    units = "SE2321009901-1001,SE2321009903-1002"

    bundle = search(client, f"{_CODE}&schedule.actor:Location={units}&_count=500")
    found = {slot["id"].rsplit(".", 4)[0] for slot in resources(bundle)}
    assert found == set(units.split(","))


@pytest.mark.parametrize(
    "query",
    [
        pytest.param(f"{_CODE}&start=lt{_TODAY}", id="past times"),
        pytest.param(f"{_CODE}&start=ge2126-01-01", id="a hundred years ahead"),
        pytest.param(
            f"{_CODE}&start=ge{_TODAY + timedelta(days=5)}"
            f"&start=lt{_TODAY + timedelta(days=5)}",
            id="an empty period",
        ),
        pytest.param(
            f"{_CODE}&schedule.actor:Location=SE2321009901-1001"
            "&schedule.actor:Location=SE2321009903-1001",
            id="two units at once",
        ),
    ],
)
def test_a_service_that_nobody_has_is_an_empty_searchset(
    client: FlaskClient, query: str
) -> None:
    """A search without a match answers 200 with a total of zero and no entries."""
    response = client.get(f"/fhir/Slot?{query}")

    assert assert_searchset(response) == []
    bundle = response.json
    assert bundle is not None
    assert bundle["total"] == 0
    assert "entry" not in bundle


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("service-type=http://snomed.info/sct|72791000052103", id="both"),
        pytest.param(
            "service-type=http:%2F%2Fsnomed.info%2Fsct%7C72791000052103", id="%"
        ),
        pytest.param("service-type=72791000052103", id="the code alone"),
        pytest.param("service-type=1,72791000052103", id="one of two"),
        pytest.param(f"{_CODE}&status=free", id="free"),
        pytest.param(f"{_CODE}&status=busy,free", id="busy or free"),
        pytest.param(f"{_CODE}&status=http://hl7.org/fhir/slotstatus|free", id="coded"),
        pytest.param(f"{_CODE}&_sort=start", id="sorted by start"),
        pytest.param(f"{_CODE}&start=ge{_TODAY}", id="from today"),
        pytest.param(
            f"{_CODE}&start=ge{_TODAY}T00:00:00%2B01:00", id="from an instant"
        ),
        pytest.param(f"{_CODE}&start=ge{_TODAY}T00:00:00+01:00", id="a bare plus"),
        pytest.param(f"{_CODE}&_format=json&_pretty=true", id="about the form alone"),
    ],
)
def test_the_same_search_can_be_written_in_many_ways(
    client: FlaskClient, query: str
) -> None:
    """Equal searches find equal slots."""
    assert ids(client, query) == ids(client, _CODE)
    assert ids(client, query)


def test_a_units_own_code_finds_its_own_times(client: FlaskClient) -> None:
    """A unit's own coding finds that unit's time type and no other."""
    slot = next(free_slots(client, "syd"))
    own = slot["serviceType"][0]["coding"][-1]

    found = ids(client, f"service-type={own['system']}|{own['code']}&_count=500")
    assert slot["id"] in found
    assert len({each.rsplit(".", 3)[0] for each in found}) == 1


def test_a_descending_sort_gives_the_latest_first(client: FlaskClient) -> None:
    """Sorted by -start the latest slots come first."""
    slots = list(free_slots(client, _sort="-start"))

    assert [slot["id"] for slot in slots] == [
        slot["id"] for slot in reversed(list(free_slots(client)))
    ]


def test_a_period_is_half_open(client: FlaskClient) -> None:
    """A slot begins within a period that includes its start and excludes its end."""
    day = _TODAY + timedelta(days=2)
    period = f"{_CODE}&_count=1000&start=ge{day}&start=lt{day + timedelta(days=3)}"

    slots = resources(search(client, period))
    days = {datetime.fromisoformat(slot["start"]).date() for slot in slots}
    assert days
    assert days <= {day + timedelta(days=number) for number in range(3)}


def test_a_slot_is_found_by_its_very_start(client: FlaskClient) -> None:
    """A slot's own start, as it is written, finds it again."""
    slot = next(free_slots(client))

    assert slot["id"] in ids(client, f"{_CODE}&start={quote(slot['start'])}")


def test_a_group_time_has_a_capacity(client: FlaskClient) -> None:
    """A time for several residents is one slot that says how many places are left."""
    slots = resources(
        search(
            client, "service-type=TT-GRUPP&schedule.actor:Location=SE2321009901-1002"
        )
    )

    assert slots
    for slot in slots:
        (capacity,) = slot["extension"]
        assert capacity["valueInteger"] > 1


# Pages.


@pytest.mark.parametrize("sort", ["start", "-start"])
def test_pages_hold_everything_once(client: FlaskClient, sort: str) -> None:
    """Following next gives every slot once, in order, as one page does."""
    paged: list[str] = []
    url: str | None = f"{BASE_URL}/Slot?{_CODE}&_count=37&_sort={sort}"
    while url:
        bundle = search(client, url.partition("?")[2])
        page = resources(bundle)
        assert len(page) <= 37
        paged += [slot["id"] for slot in page]
        url = link(bundle, "next")

    assert len(paged) == bundle["total"] > 37
    assert paged == ids(client, f"{_CODE}&_count=1000&_sort={sort}")


def test_a_next_link_stands_when_times_before_it_go(
    client: FlaskClient, number: str
) -> None:
    """A booking on an earlier page does not make the next one skip or repeat."""
    first = search(client, f"{_CODE}&_count=10")
    following = link(first, "next")
    assert following is not None
    expected = ids(client, following.partition("?")[2])

    booked = book(client, region_of(resources(first)[0]), number)
    assert booked.status_code == 201
    assert ids(client, following.partition("?")[2]) == expected


def test_the_self_link_says_what_was_understood(client: FlaskClient) -> None:
    """The self link is the search as it was used, and a valid URL."""
    bundle = search(client, f"service-type={COVID_VACCINATION}&_count=1")

    assert link(bundle, "self") == (
        f"{BASE_URL}/Slot?service-type=http://snomed.info/sct%7C72791000052103&_count=1"
    )


def test_a_self_link_finds_the_same_again(client: FlaskClient) -> None:
    """A client that follows a page's self link gets the page again."""
    second = link(search(client, f"{_CODE}&_count=5"), "next")
    assert second is not None
    bundle = search(client, second.partition("?")[2])

    assert link(bundle, "self") == second
    assert ids(client, second.partition("?")[2]) == [
        slot["id"] for slot in resources(bundle)
    ]


def test_a_count_of_zero_counts(client: FlaskClient) -> None:
    """A page of nothing says how many there are."""
    bundle = search(client, f"{_CODE}&_count=0")

    assert bundle["total"] == len(list(free_slots(client)))
    assert "entry" not in bundle
    assert link(bundle, "next") is None


def test_a_page_has_twenty_slots_by_default(client: FlaskClient) -> None:
    """Without a count a page has twenty slots."""
    assert len(ids(client, _CODE)) == 20


def test_a_total_can_be_left_out(client: FlaskClient) -> None:
    """A client that wants no total gets none."""
    assert "total" not in search(client, f"{_CODE}&_total=none")


@pytest.mark.parametrize(
    "cursor", ["x", "a" * 512, "%00", "../..", "YQ==", "å", "MTkxMjEyMTIxMjEy"]
)
def test_a_cursor_that_is_not_ours_is_refused(client: FlaskClient, cursor: str) -> None:
    """A made-up place in the pages is refused with the way out."""
    response = client.get(f"/fhir/Slot?{_CODE}&_cursor={cursor}")

    if cursor == "%00":
        assert_outcome(
            response,
            400,
            issue(
                "structure",
                "A parameter is not UTF-8 text, or has the character NUL (%00).",
            ),
        )
    else:
        assert_outcome(
            response,
            400,
            issue(
                "value",
                "_cursor: is not from this server; follow a next link unchanged.",
                location="http._cursor",
            ),
        )


# By POST.


def test_a_search_by_post_is_the_same(client: FlaskClient) -> None:
    """Parameters in a form find what parameters in the URL find."""
    response = client.post(
        "/fhir/Slot/_search",
        data={"service-type": COVID_VACCINATION, "_count": "7"},
    )

    slots = assert_searchset(response)
    assert [slot["id"] for slot in slots] == ids(client, f"{_CODE}&_count=7")


def test_a_search_by_post_joins_url_and_form(client: FlaskClient) -> None:
    """Parameters in the URL of a POST count too."""
    response = client.post(f"/fhir/Slot/_search?{_CODE}", data={"_count": "7"})

    slots = assert_searchset(response)
    assert [slot["id"] for slot in slots] == ids(client, f"{_CODE}&_count=7")


def test_a_search_by_post_of_json_is_refused(client: FlaskClient) -> None:
    """A search with parameters that are not a form is refused with what to send."""
    response = client.post("/fhir/Slot/_search", json={}, content_type=FHIR_JSON)

    assert_outcome(
        response,
        415,
        issue(
            "not-supported",
            "Send the parameters as application/x-www-form-urlencoded, in UTF-8.",
            location="http.Content-Type",
        ),
    )


# What is missing.


def test_a_healthy_answer_has_no_outcome(client: FlaskClient) -> None:
    """When every source has answered there is a total and no outcome entry."""
    bundle = search(client, _CODE)

    assert outcome_entries(bundle) == []
    assert bundle["total"] > 100


def test_sources_that_were_not_asked_yet_are_named(
    other_programs: OtherPrograms,
) -> None:
    """A gateway that has just begun names every source that it has not asked."""
    with other_programs.start() as made:
        made.view.catch_up()
        bundle = search(made.app.test_client(), _CODE)

    titles = ("Mitt", "Norr", "Syd")
    assert outcome_entries(bundle) == [
        issue(
            "incomplete",
            f"Region {title} (sandlåda) has not been asked for all of its times yet;"
            f" try again in a minute. (source {title.lower()})",
            severity="warning",
            error=ErrorCode.TIMES_ARE_NOT_KNOWN_YET,
        )
        for title in titles
    ]
    assert "total" not in bundle


def failing(made: Program, sandbox: Sandbox, region: str) -> None:
    """Let one region answer nothing at all while the others are asked."""
    sandbox.spoil(region, "vp-fault")
    fill(made)
    sandbox.heal()


def test_a_source_that_fails_is_named_and_the_others_are_kept(
    other_programs: OtherPrograms, sandbox: Sandbox
) -> None:
    """A region that answers faults is a warning beside the other regions' slots."""
    with other_programs.start() as made:
        failing(made, sandbox, "syd")
        client = made.app.test_client()
        bundle = search(client, f"{_CODE}&_count=500")

    assert {region_of(slot) for slot in resources(bundle)} == {"norr", "mitt"}
    assert outcome_entries(bundle) == [
        issue(
            "transient",
            "Region Syd (sandlåda) does not answer at present. (source syd)",
            severity="warning",
            error=ErrorCode.REGION_IS_UNAVAILABLE,
        )
    ]
    assert "total" not in bundle


def test_a_search_elsewhere_does_not_name_a_source_that_fails(
    other_programs: OtherPrograms, sandbox: Sandbox
) -> None:
    """A search at one unit is independent of another region's failures."""
    with other_programs.start() as made:
        failing(made, sandbox, "syd")
        bundle = search(
            made.app.test_client(),
            f"{_CODE}&schedule.actor:Location=SE2321009901-1001",
        )

    assert outcome_entries(bundle) == []
    assert bundle["total"] > 0


def test_an_answer_that_ages_says_so_and_then_goes(
    other_programs: OtherPrograms, sandbox_server: SandboxServer, tmp_path: Path
) -> None:
    """Ten minutes old, times are offered with a warning; after thirty, no more."""
    began = now()
    moment = began
    sources = write_fast_sources(tmp_path, sandbox_server)
    with other_programs.start(clock=lambda: moment, sources=sources) as made:
        fill(made)
        client = made.app.test_client()
        young = search(client, f"{_CODE}&_count=500")
        moment = began + timedelta(minutes=11)
        made.view.catch_up()
        old = search(client, f"{_CODE}&_count=500")
        moment = began + timedelta(minutes=31)
        made.view.catch_up()
        expired = search(client, f"{_CODE}&_count=500")

    assert outcome_entries(young) == []
    assert {region_of(slot) for slot in resources(old)} == set(REGIONS)
    assert [each["diagnostics"] for each in outcome_entries(old)] == [
        f"Region {title} (sandlåda) last answered 11 minutes ago."
        f" (source {title.lower()})"
        for title in ("Mitt", "Norr", "Syd")
    ]
    assert resources(expired) == []
    assert [each["code"] for each in outcome_entries(expired)] == ["transient"] * 3
    for warning in outcome_entries(expired):
        assert datetime.fromisoformat(warning["extension"][0]["valueDateTime"])


def test_a_refresh_keeps_every_id(other_programs: OtherPrograms) -> None:
    """Asked again, or by another gateway, a source's times keep their ids."""
    began = moment = now()
    with (
        other_programs.start(clock=lambda: moment) as one,
        other_programs.start(clock=lambda: moment) as another,
    ):
        fill(one)
        first = ids(one.app.test_client(), f"{_CODE}&_count=1000")
        moment = began + timedelta(minutes=5)
        fill(one)
        again = ids(one.app.test_client(), f"{_CODE}&_count=1000")
        fill(another)
        elsewhere = ids(another.app.test_client(), f"{_CODE}&_count=1000")

    assert first
    assert first == again == elsewhere


# What is refused; test_bad_requests.py has the rest.


def test_every_fault_of_a_search_is_named_at_once(client: FlaskClient) -> None:
    """A search with many faults is refused with an issue for each."""
    response = client.get(
        "/fhir/Slot?colour=red&start=ne2026&status=open&_count=-1&_include=*"
    )

    assert response.status_code == 400
    assert response.json is not None
    assert sorted(each["location"][0] for each in response.json["issue"]) == [
        "http._count",
        "http._include",
        "http.colour",
        "http.start",
        "http.status",
    ]


def test_a_lenient_search_ignores_what_it_does_not_know(client: FlaskClient) -> None:
    """Under handling=lenient an unknown parameter is left out of the self link."""
    response = client.get(
        f"/fhir/Slot?colour=red&{_CODE}&_count=1",
        headers={"Prefer": "handling=lenient"},
    )

    assert len(assert_searchset(response)) == 1
    assert response.json is not None
    assert link(response.json, "self") == f"{BASE_URL}/Slot?{_CODE}&_count=1"


# Conditional requests


def test_a_page_that_stays_is_not_sent_again(client: FlaskClient) -> None:
    """The ETag of a searchset answers 304 while the page and what is said stay."""
    url = f"/fhir/Slot?{_CODE}&_count=5"
    etag = client.get(url).headers["ETag"]

    again = client.get(url, headers={"If-None-Match": etag})
    other = client.get(f"{url}&_sort=-start", headers={"If-None-Match": etag})

    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", etag)
    assert other.status_code == 200


def test_a_booking_changes_the_page(
    other_programs: OtherPrograms, numbers: list[str], tmp_path: Path
) -> None:
    """What this server books goes from the page at once, and its ETag with it."""
    url = f"/fhir/Slot?{_CODE}&_count=5"
    with (
        own_regions(tmp_path) as (_, sources),
        other_programs.start(sources=sources) as made,
    ):
        fill(made)
        client = made.app.test_client()
        before = client.get(url)
        slot = ids(client, f"{_CODE}&_count=1")[0]
        booked = client.post("/fhir/Appointment", json=appointment(slot, numbers[0]))
        after = client.get(url, headers={"If-None-Match": before.headers["ETag"]})

    assert booked.status_code == 201
    assert after.status_code == 200
    assert slot in before.text
    assert slot not in after.text
