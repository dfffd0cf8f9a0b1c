"""
HealthcareService search-type: which units have it, under any local name?

https://hl7.org/fhir/R4/http.html#search
"""

from typing import Any

import pytest
from assertions import assert_outcome, assert_searchset, issue, outcome_entries
from flask.testing import FlaskClient

from fhir_gateway.model.error_code import ErrorCode

from .bodies import COVID_VACCINATION, region_of
from .running import BASE_URL, REGIONS, OtherPrograms, Sandbox, fill

_CODE = "service-type=72791000052103"


def search(client: FlaskClient, query: str) -> dict[str, Any]:
    """Return the bundle that a search for services answers."""
    response = client.get(f"/fhir/HealthcareService?{query}")
    assert_searchset(response)
    bundle: dict[str, Any] | None = response.json
    assert bundle is not None
    return bundle


def services(bundle: dict[str, Any], mode: str = "match") -> list[dict[str, Any]]:
    """Return the resources of a bundle's entries of one mode."""
    return [
        entry["resource"]
        for entry in bundle.get("entry", ())
        if entry["search"]["mode"] == mode
    ]


def test_every_service_of_a_meaning_is_found(client: FlaskClient) -> None:
    """Every unit of every region with a vaccination is found, by its name."""
    bundle = search(client, f"service-type={COVID_VACCINATION}&_count=100")

    found = services(bundle)
    names = [service["location"][0]["display"] for service in found]
    assert {region_of(service) for service in found} == set(REGIONS)
    assert names == sorted(names)
    assert bundle["total"] == len(found) == 6
    assert outcome_entries(bundle) == []


def test_a_service_has_the_units_words_and_the_shared_code(client: FlaskClient) -> None:
    """A service says what the unit calls it, and what it means."""
    for service in services(search(client, _CODE)):
        (kind,) = service["type"]
        assert kind["coding"][0]["code"] == "72791000052103"
        assert kind["coding"][1]["display"] == kind["text"] == service["name"]


@pytest.mark.parametrize(
    ("query", "units"),
    [
        pytest.param(
            "location=SE2321009901-1001", {"SE2321009901-1001"}, id="by its unit"
        ),
        pytest.param(
            "location=Location/se2321009901-1001",
            {"SE2321009901-1001"},
            id="by its unit in small letters",
        ),
        pytest.param(
            "location=SE2321009901-1001,SE2321009903-1002",
            {"SE2321009901-1001", "SE2321009903-1002"},
            id="by one of two units",
        ),
        pytest.param(
            "organization=Organization/SE2321009902-0000",
            {"SE2321009902-1001", "SE2321009902-1002"},
            id="by its organisation",
        ),
        pytest.param(
            "organization=SE2321009902-0000&location=SE2321009901-1001",
            set(),
            id="by a unit of another organisation",
        ),
        pytest.param("location=SE1-1", set(), id="by an unknown unit"),
        pytest.param(
            "location.near=63.8258|20.2630|5|km,55.6050|13.0038|5",
            {"SE2321009901-1001", "SE2321009903-1001"},
            id="by a place nearby",
        ),
        pytest.param(
            "_source=https://fhir-gateway.example.org/source/norr",
            {"SE2321009901-1001", "SE2321009901-1002"},
            id="by its region",
        ),
    ],
)
def test_a_place_narrows_the_search(
    client: FlaskClient, query: str, units: set[str]
) -> None:
    """Only the services of a unit or an organisation are found."""
    found = services(search(client, f"{query}&_count=100"))

    assert {service["id"].rpartition(".")[0] for service in found} == units


def test_all_services_are_found_without_parameters(client: FlaskClient) -> None:
    """Without parameters everything that can be booked is found."""
    bundle = search(client, "_count=1000")

    assert bundle["total"] == len(services(bundle)) > 20


def test_pages_hold_everything_once(client: FlaskClient) -> None:
    """Following next gives every service once, in order, as one page does."""
    paged: list[str] = []
    query = "_count=7"
    while query:
        bundle = search(client, query)
        paged += [service["id"] for service in services(bundle)]
        links = {each["relation"]: each["url"] for each in bundle["link"]}
        query = links.get("next", "").partition("?")[2]

    assert paged == [each["id"] for each in services(search(client, "_count=1000"))]
    assert len(paged) == bundle["total"]


def test_includes_bring_where_and_by_whom(client: FlaskClient) -> None:
    """The unit and the organisation of each service come along, each once."""
    bundle = search(
        client,
        f"{_CODE}&_include=HealthcareService:location"
        "&_include=HealthcareService:organization",
    )

    found = services(bundle)
    wanted = {
        reference["reference"]
        for service in found
        for reference in (service["providedBy"], *service["location"])
    }
    included = services(bundle, "include")
    assert {f"{each['resourceType']}/{each['id']}" for each in included} == wanted


def test_the_elements_name_includes_as_the_parameters_does(
    client: FlaskClient,
) -> None:
    """Clients that write providedBy for organization get the same."""
    one = search(client, f"{_CODE}&_include=HealthcareService:organization")
    other = search(client, f"{_CODE}&_include=HealthcareService:providedBy")

    assert services(one, "include") == services(other, "include")
    assert services(one, "include")


def test_a_count_of_zero_counts(client: FlaskClient) -> None:
    """A page of nothing says how many there are."""
    assert search(client, f"{_CODE}&_count=0") == {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": 6,
        "link": [
            {
                "relation": "self",
                "url": f"{BASE_URL}/HealthcareService?{_CODE}&_count=0",
            }
        ],
    }


def test_a_total_can_be_left_out(client: FlaskClient) -> None:
    """A client that wants no total gets none."""
    assert "total" not in search(client, f"{_CODE}&_total=none")


def test_a_search_by_post_is_the_same(client: FlaskClient) -> None:
    """Parameters in a form find what parameters in the URL find."""
    response = client.post(
        "/fhir/HealthcareService/_search", data={"service-type": "72791000052103"}
    )

    assert assert_searchset(response) == services(search(client, _CODE))


@pytest.mark.parametrize("cursor", ["x", "YQ", "a" * 512, "å"])
def test_a_cursor_that_is_not_ours_is_refused(client: FlaskClient, cursor: str) -> None:
    """A made-up place in the pages is refused with the way out."""
    response = client.get(f"/fhir/HealthcareService?_cursor={cursor}")

    assert_outcome(
        response,
        400,
        issue(
            "value",
            "_cursor: is not from this server; follow a next link unchanged.",
            location="http._cursor",
        ),
    )


def test_a_source_that_has_said_nothing_is_named(
    other_programs: OtherPrograms, sandbox: Sandbox
) -> None:
    """
    A region that could not be asked for its services is a warning, without a total.
    """
    with other_programs.start() as made:
        sandbox.spoil("mitt", "vp-fault")
        fill(made)
        bundle = search(made.app.test_client(), f"{_CODE}&_count=100")

    assert {region_of(service) for service in services(bundle)} == {"norr", "syd"}
    assert outcome_entries(bundle) == [
        issue(
            "transient",
            "Region Mitt (sandlåda) has not said yet what all its units offer."
            " (source mitt)",
            severity="warning",
            error=ErrorCode.REGION_IS_UNAVAILABLE,
        )
    ]
    assert "total" not in bundle


def test_a_client_that_refuses_a_part_of_the_services_gets_none(
    other_programs: OtherPrograms, sandbox: Sandbox
) -> None:
    """`Prefer: partial=refuse`: 503 that names the missing region."""
    with other_programs.start() as made:
        sandbox.spoil("mitt", "vp-fault")
        fill(made)
        client = made.app.test_client()
        prefer = {"Prefer": "partial=refuse"}
        refused = client.get("/fhir/HealthcareService", headers=prefer)
        whole = client.get(
            "/fhir/HealthcareService?_source=https://fhir-gateway.example.org/source/norr",
            headers=prefer,
        )

    _, missing = refused.json["issue"]
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "30")
    assert "(source mitt)" in missing["diagnostics"]
    assert (whole.status_code, whole.headers["Preference-Applied"]) == (
        200,
        "partial=refuse",
    )


def test_sources_that_were_not_asked_yet_are_named(
    other_programs: OtherPrograms,
) -> None:
    """A gateway that has just begun names every source that it has not asked."""
    with other_programs.start() as made:
        made.view.catch_up()
        bundle = search(made.app.test_client(), _CODE)

    assert [each["code"] for each in outcome_entries(bundle)] == ["incomplete"] * 3
