"""
Search on the directory: units, services, schedules and staff.

https://hl7.org/fhir/R4/search.html
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import pytest
from assertions import assert_searchset, outcome_entries
from builders import block, schedule, timeslot
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_gateway.model.folded_text import folded
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.timekeeping import instant_text, now
from fhir_gateway.web.directory.routes import directory_schemas

from .running import BASE_URL, OtherPrograms, Sandbox, fill

Resource = dict[str, Any]

_NORR: Final = "https://fhir-gateway.example.org/source/norr"
_UNIT: Final = "SE2321009901-1001"
_STAFF: Final = "SE2321009901-P10011"
_TYPES: Final = tuple(directory_schemas())


def search(client: FlaskClient, kind: str, query: str = "") -> Resource:
    """Return the bundle of a search."""
    response = client.get(f"/fhir/{kind}?{query}")
    assert_searchset(response)
    bundle: Resource | None = response.json
    assert bundle is not None
    return bundle


def found(bundle: Resource, mode: str = "match") -> list[Resource]:
    """Return the resources of one mode."""
    return [
        entry["resource"]
        for entry in bundle.get("entry", ())
        if entry["search"]["mode"] == mode
    ]


def every(client: FlaskClient, kind: str) -> list[Resource]:
    """Return all resources of a type."""
    return found(search(client, kind, "_count=1000"))


def ids(resources: list[Resource]) -> set[str]:
    """Return the ids of resources."""
    return {each["id"] for each in resources}


def name_starts(part: str) -> Callable[[Resource], bool]:
    """Return what says whether a resource's name starts so."""
    return lambda each: folded(each["name"]).startswith(part)


def is_of(*path: str | int, value: str) -> Callable[[Resource], bool]:
    """Return what says whether an element of a resource has a value."""

    def fits(resource: Any) -> bool:
        for step in path:
            resource = (
                resource.get(step, {}) if isinstance(step, str) else resource[step]
            )
        return bool(resource == value)

    return fits


def has_reference(element: str, value: str) -> Callable[[Resource], bool]:
    """Return what says whether an element refers to a resource."""

    def fits(resource: Resource) -> bool:
        held = resource[element]
        references = held if isinstance(held, list) else [held]
        return any(each.get("reference") == value for each in references)

    return fits


def codes(resource: Resource) -> set[str]:
    """Return the codes of a service or a schedule."""
    (concept,) = resource.get("type") or resource["serviceType"]
    return {coding["code"] for coding in concept["coding"]}


_OF_NORR: Final = is_of("meta", "source", value=_NORR)
_COVID: Final = "72791000052103"
_VACCINATION: Final = "33879002"
_ANY: Final = "http://snomed.info/sct|"
_VALUE_SET: Final = "ValueSet/standard-time-types"


def _all(_: Resource) -> bool:
    return True


_CASES: Final[dict[str, dict[str, tuple[str, Callable[[Resource], bool]]]]] = {
    "Location": {
        "_id": (_UNIT.lower(), is_of("id", value=_UNIT)),
        "identifier": (
            f"urn:oid:1.2.752.129.2.1.4.1|{_UNIT.lower()}",
            is_of("id", value=_UNIT),
        ),
        "name": ("VARDCENTRALEN", name_starts("vardcentralen")),
        "status": ("active", _all),
        "address": ("umea", is_of("address", "city", value="Umeå")),
        "address-city": ("UMEA", is_of("address", "city", value="Umeå")),
        "address-country": ("se", lambda each: "address" in each),
        "address-postalcode": (
            "90",
            lambda each: each.get("address", {}).get("postalCode", "").startswith("90"),
        ),
        "near": ("63.8258|20.2630|5|km", is_of("id", value=_UNIT)),
        "organization": (
            "Organization/SE2321009902-0000",
            has_reference("managingOrganization", "Organization/SE2321009902-0000"),
        ),
        "_source": (_NORR, _OF_NORR),
    },
    "Organization": {
        "_id": (
            "se2321009902-0000",
            is_of("id", value="SE2321009902-0000"),
        ),
        "identifier": (
            "SE2321009902-0000",
            is_of("id", value="SE2321009902-0000"),
        ),
        "name": ("region", name_starts("region")),
        "active": ("true", _all),
        "_source": (_NORR, _OF_NORR),
    },
    "HealthcareService": {
        "_id": (f"{_UNIT}.7rppv31e", is_of("id", value=f"{_UNIT}.7rppv31e")),
        "active": ("true", _all),
        "service-type": (_COVID, lambda each: _COVID in codes(each)),
        "location": (_UNIT, has_reference("location", f"Location/{_UNIT}")),
        "organization": (
            "SE2321009902-0000",
            has_reference("providedBy", "Organization/SE2321009902-0000"),
        ),
        "name": ("covid", name_starts("covid")),
        "_source": (_NORR, _OF_NORR),
        "_profile": (
            "https://fhir-gateway.example.org/StructureDefinition/healthcare-service",
            _all,
        ),
    },
    "Schedule": {
        "_id": (
            f"{_UNIT}.7rppv31e.aakdr1dm",
            is_of("id", value=f"{_UNIT}.7rppv31e.aakdr1dm"),
        ),
        "active": ("true", _all),
        "actor": (
            f"Practitioner/{_STAFF.lower()}",
            has_reference("actor", f"Practitioner/{_STAFF}"),
        ),
        "service-type": (_COVID, lambda each: _COVID in codes(each)),
        "_source": (_NORR, _OF_NORR),
        "_profile": (
            "https://fhir-gateway.example.org/StructureDefinition/schedule",
            _all,
        ),
    },
    "Practitioner": {
        "_id": (_STAFF, is_of("id", value=_STAFF)),
        "identifier": (_STAFF.lower(), is_of("id", value=_STAFF)),
        "active": ("true", _all),
        "name": (
            "provberg",
            lambda each: folded(each["name"][0].get("family", "")) == "provberg",
        ),
        "family": (
            "provb",
            lambda each: folded(each["name"][0].get("family", "")).startswith("provb"),
        ),
        "given": (
            "an",
            lambda each: any(
                folded(one).startswith("an") for one in each["name"][0].get("given", ())
            ),
        ),
        "_source": (_NORR, _OF_NORR),
    },
    "PractitionerRole": {
        "_id": (f"{_UNIT}.n4f1ah39", is_of("id", value=f"{_UNIT}.n4f1ah39")),
        "active": ("true", _all),
        "practitioner": (
            _STAFF,
            has_reference("practitioner", f"Practitioner/{_STAFF}"),
        ),
        "location": (_UNIT, has_reference("location", f"Location/{_UNIT}")),
        "service": (
            f"{_UNIT}.7rppv31e",
            has_reference("healthcareService", f"HealthcareService/{_UNIT}.7rppv31e"),
        ),
        "_source": (_NORR, _OF_NORR),
    },
}
"""A value for each parameter, and which resources it means."""


@pytest.mark.parametrize("kind", _TYPES)
def test_each_declared_parameter_has_a_case(client: FlaskClient, kind: str) -> None:
    """Each parameter in the CapabilityStatement is tested here."""
    statement = client.get("/fhir/metadata").json
    assert statement is not None
    (declared,) = (
        each for each in statement["rest"][0]["resource"] if each["type"] == kind
    )

    assert {each["name"] for each in declared["searchParam"]} == _CASES[kind].keys()


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        pytest.param(kind, name, id=f"{kind} {name}")
        for kind, cases in _CASES.items()
        for name in cases
    ],
)
def test_a_parameter_finds_what_it_means(
    client: FlaskClient, kind: str, name: str
) -> None:
    """A search finds exactly the resources with the value, and counts them."""
    value, fits = _CASES[kind][name]
    bundle = search(client, kind, f"{name}={value}&_count=1000")

    wanted = {each["id"] for each in every(client, kind) if fits(each)}
    assert wanted
    assert ids(found(bundle)) == wanted
    assert bundle["total"] == len(wanted)


@pytest.mark.parametrize(
    ("kind", "query", "same_as"),
    [
        pytest.param(*case, id=f"{case[0]}?{case[1]}")
        for case in (
            ("Location", "name:contains=backen%5C,+Ume", f"_id={_UNIT}"),
            ("Location", "name:exact=v", "_id=x"),
            ("Location", "address:missing=false", "address-country=SE"),
            ("Location", "organization:identifier=SE2321009902-0000",
             "organization=SE2321009902-0000"),
            ("Location", "organization.name=region",
             "organization.name=REGION&status:not=inactive"),
            ("Location", (f"_has:HealthcareService:location:service-type={_COVID}"
             f"&_id={_UNIT}"), f"_id={_UNIT}"),
            ("Location", f"_has:PractitionerRole:location:practitioner={_STAFF}",
             f"_id={_UNIT}"),
            ("HealthcareService", "location.near=63.8258|20.2630|5",
             f"location={_UNIT}"),
            ("HealthcareService", "location.name:contains=backen%5C,+Ume",
             f"location={_UNIT}"),
            ("HealthcareService", f"location=Location/{_UNIT.lower()}",
             f"location={BASE_URL}/Location/{_UNIT}"),
            ("HealthcareService", "service-type:text=covid", "name=covid"),
            ("HealthcareService", f"service-type:below={_VACCINATION}",
             f"service-type={_COVID}"),
            ("HealthcareService", f"service-type:below=x,{_COVID}",
             f"service-type={_COVID}"),
            ("HealthcareService", f"service-type:in={_VALUE_SET}",
             f"service-type={_ANY}"),
            ("HealthcareService", f"service-type:not-in={_VALUE_SET}",
             f"service-type:not={_ANY}"),
            ("Schedule", f"service-type:below=http://snomed.info/sct|{_VACCINATION}",
             f"service-type={_COVID}"),
            ("Schedule", f"service-type:in={BASE_URL}/{_VALUE_SET}",
             f"service-type={_ANY}"),
            ("Schedule", f"service-type:not-in={_VALUE_SET}",
             f"service-type:not={_ANY}"),
            ("Schedule", f"actor:HealthcareService.service-type:below={_VACCINATION}",
             f"service-type={_COVID}"),
            ("PractitionerRole", f"service.service-type:in={_VALUE_SET}",
             f"service.service-type={_ANY}"),
            ("Location",
             f"_has:HealthcareService:location:service-type:below={_VACCINATION}",
             f"_has:HealthcareService:location:service-type={_COVID}"),
            ("Location", f"_has:Schedule:actor:service-type:not-in={_VALUE_SET}",
             f"_has:Schedule:actor:service-type:not={_ANY}"),
            ("Schedule", f"actor:Location={_UNIT}", f"actor=Location/{_UNIT}"),
            ("Schedule", "actor:Location.name:contains=backen%5C,+Ume",
             f"actor=Location/{_UNIT}"),
            ("Schedule",
             "actor:HealthcareService.location.name:contains=backen%5C,+Ume",
             f"actor=Location/{_UNIT}"),
            ("Schedule", f"actor.identifier={_STAFF}", f"actor=Practitioner/{_STAFF}"),
            ("Schedule", f"actor=PractitionerRole/{_UNIT}.n4f1ah39",
             f"actor=Practitioner/{_STAFF}&actor:Location={_UNIT}"),
            ("Practitioner", (f"_has:PractitionerRole:practitioner:location={_UNIT}"
             f"&_id={_STAFF}"), f"_id={_STAFF}"),
            ("Practitioner", f"identifier:not={_STAFF}&_id={_STAFF}", "_id=x"),
            ("PractitionerRole", "practitioner.family=provberg",
             "practitioner.name=PROVBERG"),
        )
    ],
)  # fmt: skip
def test_two_ways_to_ask_are_one(
    client: FlaskClient, kind: str, query: str, same_as: str
) -> None:
    """Modifiers, chains and reverse chains find what they mean."""
    one = ids(found(search(client, kind, f"{query}&_count=1000")))
    other = ids(found(search(client, kind, f"{same_as}&_count=1000")))

    assert one == other
    assert one or "=x" in same_as


@pytest.mark.parametrize("kind", _TYPES)
@pytest.mark.parametrize(
    "name",
    [
        *(
            "phonetic",
            "address-state",
            "name:phonetic",
            "_tag",
            "_id:not",
            "_has:X:y:z",
        ),
        *("_has:Schedule", "active:above", "location.colour", "actor:Patient", "_text"),
        *("actor.practitioner.location.organization.name",),
    ],
)
def test_what_is_not_declared_is_refused(
    client: FlaskClient, kind: str, name: str
) -> None:
    """A parameter, modifier or chain that no data answers is 400 and never ignored."""
    response = client.get(f"/fhir/{kind}?{name}=x")

    assert response.status_code == 400
    assert "is not a parameter of this search" in response.text


@pytest.mark.parametrize("kind", ["HealthcareService", "Schedule"])
@pytest.mark.parametrize("name", ["service-type:in", "service-type:not-in"])
@pytest.mark.parametrize("value_set", ["ValueSet/x", "http://x.example/ValueSet/x"])
def test_a_value_set_that_is_not_here_is_refused(
    client: FlaskClient, kind: str, name: str, value_set: str
) -> None:
    """A ValueSet that this server does not have is 400, beside all other faults."""
    response = client.get(f"/fhir/{kind}?{name}={value_set}&colour=red")

    assert response.status_code == 400
    assert [each["location"] for each in response.get_json()["issue"]] == [
        [f"http.{name}"],
        ["http.colour"],
    ]


@pytest.mark.parametrize("kind", ["HealthcareService", "Schedule"])
def test_a_code_with_nothing_below_says_that_it_is_unknown(
    client: FlaskClient, kind: str
) -> None:
    """With :below, a code that no row has is named, and there is no total."""
    bundle = search(client, kind, "service-type:below=x")

    assert "total" not in bundle
    (outcome,) = outcome_entries(bundle)
    assert outcome["location"] == ["http.service-type"]


def test_a_narrowed_search_names_only_the_sources_that_it_can_touch(
    other_programs: OtherPrograms, sandbox: Sandbox
) -> None:
    """A source that does not answer is no part of what another's coding finds."""
    own = f"https://fhir-gateway.example.org/CodeSystem/time-types-{_UNIT}|TT-COVID"
    with other_programs.start() as made:
        sandbox.spoil("syd", "vp-fault")
        fill(made)
        client = made.app.test_client()
        narrowed = search(client, "HealthcareService", f"service-type:below={own}")
        wide = search(client, "HealthcareService", f"service-type:below={_VACCINATION}")

    assert narrowed["total"] == 1
    assert "total" not in wide


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("Location", "near"),
        ("HealthcareService", "location.near"),
        ("Schedule", "actor:Location.near"),
        ("PractitionerRole", "location.near"),
        ("Slot", "schedule.actor:Location.near"),
    ],
)
def test_pages_near_a_place_need_no_url_with_it(
    client: FlaskClient, kind: str, name: str
) -> None:
    """The form with the cursor of next is the next page; the links show the place."""
    form = {name: "63.8258|20.2630|2000|km", "_count": "2"}
    first = client.post(f"/fhir/{kind}/_search", data=form).get_json()
    links = {each["relation"]: each["url"] for each in first["link"]}
    cursor = links["next"].partition("&_cursor=")[2]
    by_form = client.post(f"/fhir/{kind}/_search", data={**form, "_cursor": cursor})
    by_link = client.get(links["next"])

    assert links["self"] == (
        f"{BASE_URL}/{kind}?{name}=63.8258%7C20.2630%7C2000%7Ckm&_count=2"
    )
    assert links["next"] == f"{links['self']}&_cursor={cursor}"
    assert found(by_form.get_json()) == found(by_link.get_json()) != found(first)


@pytest.mark.parametrize("kind", ["Slot", *_TYPES, "StructureDefinition", "Endpoint"])
def test_what_has_no_last_updated_refuses_it_with_the_reason(
    client: FlaskClient, kind: str
) -> None:
    """No free time, no document and no part of the directory has meta.lastUpdated."""
    response = client.get(f"/fhir/{kind}?_lastUpdated=gt2026-01-01")

    assert all(
        "lastUpdated" not in each.get("meta", {}) for each in every(client, kind)
    )
    assert response.status_code == 400
    assert "have no meta.lastUpdated" in response.text


@pytest.mark.parametrize("kind", _TYPES)
@pytest.mark.parametrize("sort", ["", "_sort=_id&", "_sort=-_id&", "_sort=-name&"])
def test_pages_hold_everything_once(client: FlaskClient, kind: str, sort: str) -> None:
    """Following next gives every resource once, in the order of one page."""
    if "name" in sort and kind in ("Schedule", "PractitionerRole"):
        return
    paged: list[str] = []
    query = f"{sort}_count=7"
    while query:
        bundle = search(client, kind, query)
        paged += [each["id"] for each in found(bundle)]
        links = {each["relation"]: each["url"] for each in bundle["link"]}
        query = links.get("next", "").partition("?")[2]

    whole = [each["id"] for each in found(search(client, kind, f"{sort}_count=1000"))]
    assert paged == whole
    assert len(set(paged)) == len(paged) == bundle["total"]
    if sort.endswith("_id&"):
        assert paged == sorted(paged, reverse="-" in sort)


@pytest.mark.parametrize(
    ("kind", "query", "included"),
    [
        pytest.param(*case, id=f"{case[0]}?{case[1]}")
        for case in (
            ("Location", "_include=Location:organization", {"Organization"}),
            ("Location", "_revinclude=HealthcareService:location",
             {"HealthcareService"}),
            ("Location", "_revinclude=Schedule:actor&_include:iterate=Schedule:actor",
             {"Schedule", "HealthcareService", "Practitioner", "PractitionerRole"}),
            ("Schedule", "_include=Schedule:actor:Location", {"Location"}),
            ("Schedule",
             "_include=Schedule:actor&_include:recurse=Location:organization",
             {"Location", "HealthcareService", "Practitioner", "PractitionerRole",
              "Organization"}),
            ("Schedule", "_revinclude=Slot:schedule", {"Slot"}),
            ("Location",
             "_revinclude=Schedule:actor&_revinclude:iterate=Slot:schedule",
             {"Schedule", "Slot"}),
            ("Practitioner", "_revinclude=PractitionerRole:practitioner",
             {"PractitionerRole"}),
            ("PractitionerRole", ("_include=PractitionerRole:service"
             "&_include=PractitionerRole:location"),
             {"HealthcareService", "Location"}),
        )
    ],
)  # fmt: skip
def test_includes_lead_both_ways(
    client: FlaskClient, kind: str, query: str, included: set[str]
) -> None:
    """What is included comes along once, marked so, and is never a match again."""
    bundle = search(client, kind, f"{query}&_count=1000&_source={_NORR}")

    urls = [entry["fullUrl"] for entry in bundle["entry"]]
    assert {each["resourceType"] for each in found(bundle, "include")} == included
    assert len(set(urls)) == len(urls)


def test_the_slots_of_schedules_are_those_of_a_search_for_slots(
    client: FlaskClient,
) -> None:
    """Included slots are the same resources, as many as a search for slots finds."""
    of_unit = f"actor=Location/{_UNIT}&_count=1000&_revinclude=Slot:schedule"
    bundle = search(client, "Schedule", of_unit)
    slots = search(client, "Slot", f"schedule.actor:Location={_UNIT}&_count=1000")

    assert found(bundle, "include") == found(slots)
    assert len(found(slots)) == slots["total"]
    assert outcome_entries(bundle) == []
    assert bundle["total"] == len(found(bundle))


def test_more_slots_than_one_answer_includes_are_cut(
    other_programs: OtherPrograms,
) -> None:
    """The earliest 5,000 slots are included, and an outcome says that more exist."""
    of = schedule(_UNIT, "TT-COVID", "Covid-vaccination")
    minutes = range(1, 5_003)
    with other_programs.start() as made:
        fill(made)
        times = [timeslot(each / 60, of=of, after=now()) for each in minutes]
        made.store.put_block(block(times, answered_at=now()))
        made.view.catch_up()
        client = made.app.test_client()
        bundle = search(client, "Schedule", f"_id={of.token}&_revinclude=Slot:schedule")

    assert ids(found(bundle)) == {of.token}
    assert [each["start"] for each in found(bundle, "include")] == [
        instant_text(each.start) for each in times[:5000]
    ]
    (outcome,) = outcome_entries(bundle)
    assert outcome["diagnostics"].startswith("An answer includes at most 5000")


@pytest.mark.parametrize(
    "query", ["_has:Slot:schedule:schedule=x", "_has:Slot:schedule:_id=x"]
)
def test_slots_are_included_and_not_looked_at(client: FlaskClient, query: str) -> None:
    """A reverse chain from slots is refused: search Slot."""
    assert client.get(f"/fhir/Schedule?{query}").status_code == 400


def test_a_cursor_of_another_order_is_refused(client: FlaskClient) -> None:
    """A place in one order is none in another."""
    bundle = search(client, "Location", "_count=1&_sort=_id")
    links = {each["relation"]: each["url"] for each in bundle["link"]}
    url = links["next"].replace("_sort=_id", "_sort=name")

    assert client.get(url).status_code == 400


@pytest.mark.parametrize("kind", _TYPES)
def test_a_search_before_any_answer_says_so(
    other_programs: OtherPrograms, kind: str
) -> None:
    """No total, and an outcome, where no source has listed anything yet."""
    with other_programs.start() as made:
        made.view.catch_up()
        bundle = made.app.test_client().get(f"/fhir/{kind}").json

    assert bundle is not None
    if kind in ("Location", "Organization"):
        # The configured units are known from the start.
        assert found(bundle)
        return
    assert "total" not in bundle
    assert outcome_entries(bundle)


def test_a_chain_through_what_is_missing_says_so(
    other_programs: OtherPrograms, sandbox: Sandbox
) -> None:
    """A reverse chain from schedules lacks those of a source that does not answer."""
    with other_programs.start() as made:
        sandbox.spoil("syd", "vp-fault")
        fill(made)
        client = made.app.test_client()
        chained = search(
            client, "Location", f"_has:Schedule:actor:service-type={_COVID}"
        )
        plain = search(client, "Location", f"_id={_UNIT}")

    assert "total" not in chained
    assert plain["total"] == 1


@pytest.mark.parametrize(
    ("kind", "query"),
    [
        *(("Schedule", ""), ("Practitioner", ""), ("PractitionerRole", "")),
        ("Location", "_has:Schedule:actor:active=true"),
        ("Location", "_revinclude=Schedule:actor"),
        ("Schedule", "_revinclude=Slot:schedule"),
    ],
)
def test_schedules_of_a_source_that_fails_now_may_not_be_all(
    other_programs: OtherPrograms, kind: str, query: str
) -> None:
    """A source that answered before, and does not now, may have more by now."""
    with other_programs.start() as made:
        fill(made)
        client = made.app.test_client()
        before = search(client, kind, query)
        known = made.store.status(SourceName("syd"))
        assert known is not None
        made.store.put_status(replace(known, failing_since=now()))
        made.view.catch_up()
        after = search(client, kind, query)
        elsewhere = search(client, "Schedule", f"actor:Location={_UNIT}")
        refused = client.get(
            f"/fhir/{kind}?{query}", headers={"Prefer": "partial=refuse"}
        )

    assert outcome_entries(before) == []
    assert before["total"] > 0
    assert [each["diagnostics"] for each in outcome_entries(after)] == [
        "Region Syd (sandlåda) does not answer at present. (source syd)"
    ]
    assert "total" not in after
    assert found(after) == found(before)
    assert outcome_entries(elsewhere) == []
    assert refused.status_code == 503


_VALUES: Final = st.sampled_from(
    ["v", "Vård", "umeå", "90", "se", "å", "region", "a", "x", "1", " ", "anna"]
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.sampled_from(["name", "address-city", "address", "address-postalcode"]),
    st.sampled_from(["", ":contains", ":exact"]),
    _VALUES,
)
def test_a_text_finds_what_a_plain_reading_of_the_resources_finds(
    client: FlaskClient, name: str, modifier: str, value: str
) -> None:
    """A filter over rows agrees with one over the rendered resources."""

    def texts(location: Resource) -> list[str]:
        address = location.get("address", {})
        code = address.get("postalCode", "")
        codes = [each for each in (code, code.replace(" ", "")) if each]
        city = [address["city"]] if "city" in address else []
        country = [address["country"]] if "country" in address else []
        return {
            "name": [location["name"]],
            "address-city": city,
            "address-postalcode": codes,
            "address": [*address.get("line", ()), *city, *codes, *country],
        }[name]

    def fits(text: str) -> bool:
        if modifier == ":exact":
            return text == value
        if modifier == ":contains":
            return folded(value) in folded(text)
        return folded(text).startswith(folded(value))

    bundle = search(client, "Location", f"{name}{modifier}={value}&_count=1000")

    assert ids(found(bundle)) == {
        each["id"] for each in every(client, "Location") if any(map(fits, texts(each)))
    }
