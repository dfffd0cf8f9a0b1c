"""
Slot search-type through the directory: chains to what the actors of schedules have.

https://hl7.org/fhir/R4/search.html#chaining
"""

from typing import Any, Final

import pytest
from assertions import assert_outcome, assert_searchset, issue, outcome_entries
from flask.testing import FlaskClient

from .running import BASE_URL, OtherPrograms, Sandbox, fill

_UNIT: Final = "SE2321009901-1001"
_STAFF: Final = "SE2321009901-P10011"


def resources(client: FlaskClient, query: str) -> list[dict[str, Any]]:
    """Return all matches of a search, page by page, as many as its total says."""
    found: list[dict[str, Any]] = []
    url = f"/fhir/{query}&_count=500"
    while url:
        response = client.get(url)
        assert_searchset(response)
        bundle = response.get_json()
        found += [entry["resource"] for entry in bundle.get("entry", ())]
        links = {each["relation"]: each["url"] for each in bundle["link"]}
        url = links.get("next", "").removeprefix(BASE_URL.removesuffix("/fhir"))
    assert len(found) == bundle["total"]
    return found


@pytest.mark.parametrize(
    "chain",
    [
        "actor:Location.address-city=Ume%C3%A5",
        "actor:Location.address-postalcode=90&schedule.actor:Location.status=active",
        "actor:Location.address:contains=nowhere,me%C3%A5",
        "actor:Location.identifier:not=SE2321009901-1001",
        f"actor:Location.organization={BASE_URL}/Organization/SE2321009902-0000",
        "actor:Location.organization.name=region",
        "actor:HealthcareService.name:contains=covid",
        "actor:HealthcareService.location.near=63.8258|20.2630|5",
        "actor:HealthcareService.service-type:text=covid",
        "actor:Practitioner.family=provberg",
        f"actor:PractitionerRole.practitioner={_STAFF}",
        f"actor:PractitionerRole.location={_UNIT}",
        "actor:PractitionerRole.practitioner.given=an",
        "actor.name=covid",
        f"actor:identifier={_STAFF}",
        f"actor._has:PractitionerRole:practitioner:location={_UNIT}",
    ],
)
def test_a_chain_finds_the_times_of_the_schedules_that_it_finds(
    client: FlaskClient, chain: str
) -> None:
    """The slots are those of the schedules that the same chain finds."""
    of_schedules = chain.replace("&schedule.", "&")
    schedules = {
        f"Schedule/{each['id']}"
        for each in resources(client, f"Schedule?{of_schedules}")
    }
    expected = [
        each["id"]
        for each in resources(client, "Slot?status=free")
        if each["schedule"]["reference"] in schedules
    ]

    assert [
        each["id"] for each in resources(client, f"Slot?schedule.{chain}")
    ] == expected
    assert expected


@pytest.mark.parametrize(
    "name",
    [
        "schedule:Schedule.actor:Location.address-city",
        "Schedule.actor:Location.address-city",
    ],
)
def test_a_chain_may_name_the_type_of_the_schedule(
    client: FlaskClient, name: str
) -> None:
    """The spellings that other parameters have are those of chains too."""
    plain = resources(client, "Slot?schedule.actor:Location.address-city=umea")

    assert resources(client, f"Slot?{name}=umea") == plain
    assert plain


def test_chains_narrow_beside_all_else(client: FlaskClient) -> None:
    """A chain, a start, a meaning and one slot of each unit narrow together."""
    query = "service-type:below=33879002&first-per=unit"
    everywhere = resources(client, f"Slot?{query}")
    found = resources(client, f"Slot?{query}&schedule.actor:Location.address-city=umea")

    assert found == [each for each in everywhere if each["id"].startswith(_UNIT)]
    assert len(found) == 1


def test_a_chain_that_means_nobody_says_so(client: FlaskClient) -> None:
    """What a misspelt chain means is unknown, so that it has no total."""
    name = "schedule.actor:Location.address-city"
    bundle = client.get(f"/fhir/Slot?{name}=Nowhere").get_json()

    assert "total" not in bundle
    (outcome,) = outcome_entries(bundle)
    assert outcome["location"] == [f"http.{name}"]


@pytest.mark.parametrize(
    "name",
    [
        "schedule.actor:Location.colour",
        "schedule.actor:Patient.name",
        "schedule.actor:Location.phonetic",
        "schedule.actor:missing",
        "schedule.actor:HealthcareService.location.organization.name",
        "schedule.active",
    ],
)
@pytest.mark.parametrize("prefer", ["", "handling=lenient"])
def test_a_chain_that_no_data_answers_is_refused(
    client: FlaskClient, name: str, prefer: str
) -> None:
    """It is 400 and never left out, since the search would find more."""
    response = client.get(f"/fhir/Slot?{name}=x", headers={"Prefer": prefer})

    assert_outcome(
        response,
        400,
        issue(
            "not-supported",
            f"{name}: is not a parameter of this search; see /metadata for those that"
            " are.",
            location=f"http.{name}",
        ),
    )


def test_faults_in_chains_are_named_beside_all_others(client: FlaskClient) -> None:
    """Each wrong parameter has an issue of its own, a chain as well."""
    names = {
        "schedule.actor:HealthcareService.location.near": "here",
        "schedule.actor:Location.organization": "Patient/1",
        "start": "someday",
        "colour": "red",
    }
    response = client.get("/fhir/Slot", query_string=names)

    assert response.status_code == 400
    assert {each["location"][0] for each in response.get_json()["issue"]} == {
        f"http.{name}" for name in names
    }


@pytest.mark.parametrize(
    "query",
    [
        "schedule.actor:HealthcareService.name:exact=Covid-vaccination",
        "schedule.actor:HealthcareService.name=Covid",
        "schedule.actor:HealthcareService.name:contains=covid",
        "schedule.actor:Practitioner.family=prov",
        "schedule.actor:Practitioner.name=prov",
    ],
)
def test_a_name_that_a_silent_source_may_have_leaves_no_total(
    other_programs: OtherPrograms, sandbox: Sandbox, query: str
) -> None:
    """A source that has not listed its part may have what a chain asks for."""
    with other_programs.start() as made:
        sandbox.spoil("syd", "vp-fault")
        fill(made)
        bundle = made.app.test_client().get(f"/fhir/Slot?{query}").get_json()

    assert "total" not in bundle
    assert any("syd" in each["diagnostics"] for each in outcome_entries(bundle))
