"""
Slot search-type, narrowed by where, by which region and by the clock on the wall.

https://hl7.org/fhir/R4/search.html
"""

from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
from assertions import assert_outcome, assert_searchset, issue, outcome_entries
from flask.testing import FlaskClient

from fhir_gateway.bootstrap import Program
from fhir_gateway.model.error_code import ErrorCode

from .bodies import region_of
from .running import BASE_URL, OtherPrograms, Sandbox, fill

_NEAR: Final = "schedule.actor:Location.near"
_SOURCE: Final = "https://fhir-gateway.example.org/source"
_UMEA: Final = "63.8258|20.2630"
_MALMO: Final = "55.6050|13.0038"
_SOURCE_NAME: Final = "_source"
_VACCINATION: Final = "33879002"
_CODE: Final = "72791000052103"


def search(client: FlaskClient, *parameters: tuple[str, str]) -> dict[str, Any]:
    """Return the bundle that a search for slots answers."""
    response = client.get("/fhir/Slot", query_string=list(parameters))
    assert_searchset(response)
    bundle: dict[str, Any] | None = response.json
    assert bundle is not None
    return bundle


def slots(client: FlaskClient, *parameters: tuple[str, str]) -> list[dict[str, Any]]:
    """Return all slots of a search, page by page, as many as its total says."""
    bundle = search(client, *parameters, ("_count", "400"))
    found = []
    while True:
        found += [
            entry["resource"]
            for entry in bundle.get("entry", ())
            if entry["search"]["mode"] == "match"
        ]
        links = {each["relation"]: each["url"] for each in bundle["link"]}
        if "next" not in links:
            break
        response = client.get(links["next"].removeprefix(BASE_URL.rpartition("/")[0]))
        assert_searchset(response)
        assert response.json is not None
        bundle = response.json
    assert len(found) == bundle["total"]
    return found


def unit_of(slot: dict[str, Any]) -> str:
    """Return the HSA-id of a slot's unit."""
    identifier: str = slot["id"]
    return identifier.partition(".")[0]


def begins(slot: dict[str, Any]) -> datetime:
    """Return when a slot begins, on the Swedish clock."""
    return datetime.fromisoformat(slot["start"]).astimezone(
        ZoneInfo("Europe/Stockholm")
    )


@pytest.mark.parametrize(
    ("places", "units"),
    [
        pytest.param([f"{_UMEA}|1"], {"SE2321009901-1001"}, id="in town"),
        pytest.param([f"{_UMEA}|500|m"], {"SE2321009901-1001"}, id="in metres"),
        pytest.param([_UMEA], {"SE2321009901-1001"}, id="without a distance"),
        pytest.param(
            [f"{_UMEA}|10|km,{_MALMO}|10|km"],
            {"SE2321009901-1001", "SE2321009903-1001"},
            id="one of two",
        ),
        pytest.param([_UMEA, _MALMO], set(), id="both of two"),
        pytest.param(["0|0|1000"], set(), id="in the sea"),
    ],
)
def test_slots_near_a_place(
    client: FlaskClient, places: list[str], units: set[str]
) -> None:
    """Only slots at units within the distance are found, of any region."""
    found = slots(client, *((_NEAR, place) for place in places))

    assert {unit_of(slot) for slot in found} == units


def test_the_whole_country_is_near_enough(client: FlaskClient) -> None:
    """A distance that covers everything leaves everything."""
    everything = search(client, ("_count", "0"))["total"]

    assert search(client, (_NEAR, f"{_UMEA}|3000"), ("_count", "0"))["total"] == (
        everything
    )


@pytest.mark.parametrize(
    ("sources", "regions"),
    [
        pytest.param([f"{_SOURCE}/norr"], {"norr"}, id="one"),
        pytest.param(
            [f"{_SOURCE}/norr,{_SOURCE}/syd"], {"norr", "syd"}, id="one of two"
        ),
        pytest.param([f"{_SOURCE}/norr", f"{_SOURCE}/syd"], set(), id="both of two"),
    ],
)
def test_slots_of_a_region(
    client: FlaskClient, sources: list[str], regions: set[str]
) -> None:
    """Only slots with the wanted meta.source are found."""
    found = slots(
        client, *(("_source", source) for source in sources), ("service-type", _CODE)
    )

    assert {region_of(slot) for slot in found} == regions


def test_slots_of_an_organisation(client: FlaskClient) -> None:
    """Only slots of units that an organisation runs are found."""
    name = "schedule.actor:HealthcareService.organization"
    found = slots(client, (name, "Organization/SE2321009902-0000"))

    assert {region_of(slot) for slot in found} == {"mitt"}


def test_slots_of_some_hours_and_days(client: FlaskClient) -> None:
    """Mornings of two days are all of them and nothing else, page by page."""
    everything = slots(client)

    found = slots(
        client,
        ("time-of-day", "ge08:00"),
        ("time-of-day", "lt10:30"),
        ("day-of-week", "mon,http://hl7.org/fhir/days-of-week|thu"),
    )

    expected = [
        slot["id"]
        for slot in everything
        if begins(slot).weekday() in (0, 3)
        and "08:00" <= f"{begins(slot):%H:%M}" < "10:30"
    ]
    assert [slot["id"] for slot in found] == expected
    assert 0 < len(expected) < len(everything)


def test_pages_backwards_in_time_keep_to_the_hours(client: FlaskClient) -> None:
    """Latest first, in small pages, finds what earliest first does."""
    hours = (("time-of-day", "gt12:00"), (_NEAR, f"{_UMEA}|5"))
    forwards = slots(client, *hours)

    backwards = [slot["id"] for slot in slots(client, *hours, ("_sort", "-start"))]

    assert backwards == [slot["id"] for slot in reversed(forwards)]
    assert backwards


def ends(slot: dict[str, Any]) -> datetime:
    """Return when a slot ends."""
    return datetime.fromisoformat(slot["end"])


@pytest.mark.parametrize("sort", ["start", "-start"])
def test_a_slot_lies_wholly_within_a_time(client: FlaskClient, sort: str) -> None:
    """With start and end, only slots that begin and end within are found."""
    everything = slots(client, ("_sort", sort))
    longest = max(everything, key=lambda slot: ends(slot) - begins(slot))
    begin, end = begins(longest), ends(longest)

    def found(until: datetime) -> list[str]:
        window = (
            ("start", f"ge{begin.isoformat()}"),
            ("end", f"le{until.isoformat()}"),
            ("_sort", sort),
        )
        return [slot["id"] for slot in slots(client, *window)]

    expected = [
        slot["id"] for slot in everything if begins(slot) >= begin and ends(slot) <= end
    ]
    assert longest["id"] in expected
    assert found(end) == expected
    assert longest["id"] not in found(end - timedelta(seconds=1))


def test_slots_that_end_later(client: FlaskClient) -> None:
    """Without a start, the end alone narrows."""
    everything = slots(client)
    limit = ends(everything[len(everything) // 2])

    found = slots(client, ("end", f"gt{limit.isoformat()}"))

    assert [slot["id"] for slot in found] == [
        slot["id"] for slot in everything if ends(slot) > limit
    ]
    assert 0 < len(found) < len(everything)


def test_slots_by_their_ids(client: FlaskClient) -> None:
    """Free slots are found by id, other ids find nothing, and other filters hold."""
    some = slots(client, ("service-type", _CODE))[::50]
    ids = [slot["id"] for slot in some]
    listed = ("_id", ",".join([*ids, "x", "SE1-1.aaaaaaaa.bbbbbbbb.1.1"]))

    assert [slot["id"] for slot in slots(client, listed)] == ids
    assert slots(client, listed, ("_id", ids[1])) == [some[1]]
    assert slots(client, listed, ("start", f"gt{some[-1]['start']}")) == []
    of_units = slots(client, listed, ("first-per", "unit"))
    assert [unit_of(slot) for slot in of_units] == list(
        dict.fromkeys(unit_of(slot) for slot in some)
    )
    assert slots(client, ("_id", "x")) == []


def codes_of(slot: dict[str, Any]) -> set[str]:
    """Return the codes of a slot's service types."""
    return {
        coding["code"]
        for concept in slot["serviceType"]
        for coding in concept["coding"]
    }


@pytest.mark.parametrize(
    "given",
    [
        pytest.param([_CODE], id="a shared code"),
        pytest.param([f"http://snomed.info/sct|{_CODE},TT-GRUPP"], id="one of two"),
        pytest.param([_CODE, "TT-GRUPP"], id="each of two"),
        pytest.param(["nothing"], id="an unknown code"),
    ],
)
def test_slots_that_are_not_for_a_service(
    client: FlaskClient, given: list[str]
) -> None:
    """With :not, all slots are found but those that have one of the codes."""
    without = {code.rpartition("|")[2] for each in given for code in each.split(",")}

    found = slots(client, *(("service-type:not", each) for each in given))

    assert [slot["id"] for slot in found] == [
        slot["id"] for slot in slots(client) if not codes_of(slot) & without
    ]
    assert found


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(f"http://snomed.info/sct|{_VACCINATION}", id="with a system"),
        pytest.param(_VACCINATION, id="the code alone"),
        pytest.param(_CODE, id="itself"),
        pytest.param(f"nothing,{_VACCINATION}", id="one of two"),
    ],
)
def test_slots_for_a_narrower_service(client: FlaskClient, given: str) -> None:
    """With :below, a wider code finds the slots of narrower ones; plainly, none."""
    expected = ids_in(search(client, ("service-type", _CODE)))

    assert ids_in(search(client, ("service-type:below", given))) == expected
    assert ids_in(search(client, ("service-type", _VACCINATION))) == []
    assert expected


def test_a_units_own_code_has_nothing_below(client: FlaskClient) -> None:
    """With :below, a unit's own coding finds that time type."""
    own = slots(client, ("service-type", _CODE))[0]["serviceType"][0]["coding"][-1]
    token = f"{own['system']}|{own['code']}"

    expected = ids_in(search(client, ("service-type", token)))
    assert ids_in(search(client, ("service-type:below", token))) == expected
    assert expected


@pytest.fixture(name="actors", scope="module")
def _actors(made: Program) -> dict[str, str]:
    """Return a unit, a service, a member of staff and a role there, with times."""
    client = made.app.test_client()
    bundle = search(
        client,
        ("service-type", _CODE),
        ("_include", "Slot:schedule"),
        ("_include:recurse", "Schedule:actor"),
    )
    found: dict[str, str] = {}
    for entry in bundle["entry"]:
        kind = entry["resource"]["resourceType"]
        found.setdefault(kind, entry["resource"]["id"])
    return found


@pytest.mark.parametrize(
    "kind", ["HealthcareService", "Location", "Practitioner", "PractitionerRole"]
)
def test_slots_of_an_actor_of_any_type(
    client: FlaskClient, actors: dict[str, str], kind: str
) -> None:
    """An actor is named with its type in the value or in the parameter, in any way."""
    identifier = actors[kind]
    typed = ids_in(search(client, (f"schedule.actor:{kind}", identifier)))

    assert typed
    for name, value in (
        ("schedule.actor", f"{kind}/{identifier}"),
        ("schedule.actor", f"{BASE_URL}/{kind}/{identifier}"),
        ("schedule:Schedule.actor", f"{kind}/{identifier}"),
        (f"schedule:Schedule.actor:{kind}", f"{kind}/{identifier}"),
        (f"Schedule.actor:{kind}", identifier),
    ):
        assert ids_in(search(client, (name, value))) == typed, name


def resource(client: FlaskClient, reference: str) -> dict[str, Any]:
    """Return a resource of this server."""
    response = client.get(f"/fhir/{reference}")
    assert response.status_code == 200
    found: dict[str, Any] | None = response.json
    assert found is not None
    return found


@pytest.mark.parametrize("kind", ["Location", "Practitioner"])
@pytest.mark.parametrize(
    "system", ["", "urn:oid:1.2.752.29.4.19|", "urn:oid:1.2.752.129.2.1.4.1|"]
)
def test_slots_by_the_identifier_of_an_actor(
    client: FlaskClient, actors: dict[str, str], kind: str, system: str
) -> None:
    """An HSA-id is found in any case, alone and after its system."""
    name = f"schedule.actor:{kind}.identifier"

    expected = ids_in(search(client, (f"schedule.actor:{kind}", actors[kind])))
    for identifier in (actors[kind], actors[kind].lower()):
        assert ids_in(search(client, (name, f"{system}{identifier}"))) == expected
    assert expected


@pytest.mark.parametrize("kind", ["HealthcareService", "Location", "Practitioner"])
def test_slots_by_the_name_of_an_actor(
    client: FlaskClient, actors: dict[str, str], kind: str
) -> None:
    """A name is found by its beginning, or with :contains by any part, in any case."""
    shown = resource(client, f"{kind}/{actors[kind]}")["name"]
    name = (
        shown if isinstance(shown, str) else shown[0].get("text") or shown[0]["family"]
    )
    plain = name.upper().translate(str.maketrans("ÅÄÖ", "AAO"))

    at_unit = ("schedule.actor:Location", actors["Location"])
    chain = f"schedule.actor:{kind}.name"
    by_id = [
        slot["id"]
        for slot in slots(client, at_unit, (f"schedule.actor:{kind}", actors[kind]))
    ]
    for parameter, value in ((chain, name), (chain, plain)):
        assert [slot["id"] for slot in slots(client, at_unit, (parameter, value))] == (
            by_id
        )
    for parameter, value in ((chain, name[:4]), (f"{chain}:contains", name[2:5])):
        found = {slot["id"] for slot in slots(client, at_unit, (parameter, value))}
        assert found >= set(by_id)
    assert ids_in(search(client, (chain, name[1:]))) == []


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        (
            "schedule.actor:Location.identifier",
            "urn:oid:1.2.752.29.4.19|",
            "expected an HSA-id, with or without urn:oid:1.2.752.29.4.19|",
        ),
        ("schedule.actor:Location.name", " ", "expected a name, or its beginning"),
    ],
)
def test_a_name_or_identifier_without_one_is_refused(
    client: FlaskClient, name: str, value: str, fault: str
) -> None:
    """A system alone, or blanks, find nobody in particular: 400."""
    assert_outcome(
        client.get("/fhir/Slot", query_string=[(name, value)]),
        400,
        issue("value", f"{name}: {fault}.", location=f"http.{name}"),
    )


def test_actors_of_two_types_are_alternatives(
    client: FlaskClient, actors: dict[str, str]
) -> None:
    """A list of a unit and of a member of staff finds the slots of both."""
    unit, person = "SE2321009902-1001", actors["Practitioner"]
    either = f"Location/{unit},Practitioner/{person}"

    found = {slot["id"] for slot in slots(client, ("schedule.actor", either))}

    of_unit = slots(client, ("schedule.actor:Location", unit))
    of_person = slots(client, ("schedule.actor:Practitioner", person))
    assert found == {slot["id"] for slot in (*of_unit, *of_person)}
    assert len(found) > max(len(of_unit), len(of_person))
    both = (("schedule.actor", f"Location/{unit}"), ("schedule.actor", either))
    assert slots(client, *both) == of_unit


@pytest.mark.parametrize(
    "value",
    ["SE2321009902-1001", "Patient/1", "Location/", "https://x.example/Location/1"],
)
def test_an_actor_without_its_type_is_refused(client: FlaskClient, value: str) -> None:
    """Without a type in the parameter, the value needs one that an actor can have."""
    assert_outcome(
        client.get("/fhir/Slot", query_string=[("schedule.actor", value)]),
        400,
        issue(
            "value",
            "schedule.actor: expected a reference to this server, as Type/id, with one"
            " of the types HealthcareService, Location, Practitioner, PractitionerRole;"
            " or name the type: schedule.actor:Location.",
            location="http.schedule.actor",
        ),
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("schedule.actor", "Location/SE1-1"),
        ("schedule.actor:PractitionerRole", "SE1-1.aaaaaaaa"),
        ("schedule.actor:Practitioner.identifier", "SE1-1"),
        ("schedule.actor:Location.identifier", "SE1-1"),
        ("schedule.actor:Location.name:contains", "no such name"),
        ("schedule.actor:Practitioner.name", "no such name"),
    ],
)
def test_an_unknown_actor_is_named(client: FlaskClient, name: str, value: str) -> None:
    """A reference to nobody finds nothing, and the answer says so."""
    bundle = search(client, (name, value))

    assert "total" not in bundle
    (entry,) = bundle["entry"]
    assert entry["resource"]["issue"][0]["location"] == [f"http.{name}"]


@pytest.mark.parametrize(
    "name",
    ["schedule.service-type", "schedule.actor:HealthcareService.service-type"],
)
def test_a_schedule_and_a_service_have_the_types_of_their_slots(
    client: FlaskClient, name: str
) -> None:
    """A chain to a service type finds what the slot's own service type does."""
    assert slots(client, (name, _CODE)) == slots(client, ("service-type", _CODE))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (
            "_revinclude",
            (
                "what refers to a slot is an appointment, which is personal; search"
                " Appointment with slot=Slot/id"
            ),
        ),
        (
            "_lastUpdated",
            (
                "slots have no meta.lastUpdated; the extension lastSourceSync says when"
                " the source last listed them"
            ),
        ),
        ("identifier", "slots have no identifier; search by _id"),
        ("specialty", "no region states it for its free times"),
    ],
)
def test_what_slots_do_not_have_is_refused_with_the_reason(
    client: FlaskClient, name: str, why: str
) -> None:
    """A parameter of R4 that slots cannot answer is 400, with the way out."""
    assert_outcome(
        client.get("/fhir/Slot", query_string=[(name, "x")]),
        400,
        issue(
            "not-supported",
            f"{name}: is not a parameter of this search: {why}.",
            location=f"http.{name}",
        ),
    )


_VALUE_SET: Final = "https://fhir-gateway.example.org/ValueSet/standard-time-types"


@pytest.mark.parametrize(
    "value_set",
    [
        pytest.param(_VALUE_SET, id="canonical"),
        pytest.param(f"{_VALUE_SET}|0.1.0", id="with its version"),
        pytest.param("ValueSet/standard-time-types", id="its id"),
        pytest.param(f"{BASE_URL}/ValueSet/standard-time-types", id="at this server"),
    ],
)
def test_slots_for_services_of_a_value_set(client: FlaskClient, value_set: str) -> None:
    """With :in, slots of the codes of a ValueSet are found; with :not-in all others."""
    everything = search(client, ("_count", "0"))["total"]
    found = search(client, ("service-type:in", value_set), ("_count", "5"))
    others = search(client, ("service-type:not-in", value_set), ("_count", "0"))

    expected = search(client, ("service-type", "http://snomed.info/sct|"))
    assert ids_in(found) == ids_in(expected)[:5]
    assert 0 < found["total"] == expected["total"] == everything - others["total"]


@pytest.mark.parametrize("name", ["service-type:in", "service-type:not-in"])
@pytest.mark.parametrize(
    "value_set",
    [
        pytest.param("http://x.example/ValueSet/a", id="another's"),
        pytest.param("ValueSet/a", id="an unknown id"),
        pytest.param(f"{_VALUE_SET}|9", id="another version"),
    ],
)
def test_a_value_set_that_is_not_here_is_refused(
    client: FlaskClient, name: str, value_set: str
) -> None:
    """A search with a ValueSet that this server does not have is 400."""
    response = client.get("/fhir/Slot", query_string=[(name, value_set)])

    assert_outcome(
        response,
        400,
        issue(
            "value",
            f"{name}: this server has no such ValueSet with codes of time types; see"
            " /ValueSet for those that it has.",
            location=f"http.{name}",
        ),
    )


def test_not_busy_is_free_and_not_all_that_is_not_busy(client: FlaskClient) -> None:
    """With status:not, free slots are found; the answer says that others are not."""
    free = search(client, ("_count", "5"))
    found = search(client, ("_count", "5"), ("status:not", "busy"))
    others = "busy,busy-unavailable,busy-tentative,entered-in-error"
    exact = search(client, ("_count", "5"), ("status:not", others))

    assert ids_in(found) == ids_in(exact) == ids_in(free)
    assert exact["total"] == free["total"]
    assert "total" not in found
    assert found["entry"][-1]["resource"]["issue"][0]["location"] == ["http.status"]
    assert ids_in(search(client, ("status:not", "free"))) == []


def ids_in(bundle: dict[str, Any]) -> list[str]:
    """Return the ids of the slots of a page."""
    return [
        entry["resource"]["id"]
        for entry in bundle.get("entry", ())
        if entry["search"]["mode"] == "match"
    ]


@pytest.mark.parametrize("name", ["service-type", "start", "end", "status", "schedule"])
def test_no_element_of_a_slot_is_missing(client: FlaskClient, name: str) -> None:
    """Every slot has each searched element: none is without, and all are with."""
    everything = search(client, ("_count", "1"))

    without = search(client, (f"{name}:missing", "true"))
    with_it = search(client, (f"{name}:missing", "false"), ("_count", "1"))

    assert (without["total"], "entry" in without) == (0, False)
    assert with_it["total"] == everything["total"]
    assert ids_in(with_it) == ids_in(everything)


@pytest.mark.parametrize("sort", ["start", "-start"])
@pytest.mark.parametrize(
    "narrowed",
    [
        pytest.param((), id="everything"),
        pytest.param((("service-type", _CODE),), id="one time type"),
        pytest.param((("time-of-day", "ge10:00"),), id="some hours"),
        pytest.param(((_SOURCE_NAME, f"{_SOURCE}/norr,{_SOURCE}/syd"),), id="regions"),
    ],
)
def test_each_unit_has_its_first_slot_only(
    client: FlaskClient, narrowed: tuple[tuple[str, str], ...], sort: str
) -> None:
    """One slot a unit, the earliest that fits, page by page, as many as the total."""
    expected: dict[str, dict[str, Any]] = {}
    for slot in slots(client, *narrowed):
        expected.setdefault(unit_of(slot), slot)

    found = []
    path = f"/fhir/Slot?{urlencode([*narrowed, ('first-per', 'unit')])}&_count=2"
    query = f"{path}&_sort={sort}"
    while query:
        response = client.get(query)
        found += assert_searchset(response)
        assert response.json is not None
        assert response.json["total"] == len(expected)
        links = {each["relation"]: each["url"] for each in response.json["link"]}
        query = links.get("next", "").removeprefix(BASE_URL.rpartition("/")[0])
    ids = [slot["id"] for slot in expected.values()]
    assert [slot["id"] for slot in found] == (ids if sort == "start" else ids[::-1])


def test_a_first_of_something_else_is_refused(client: FlaskClient) -> None:
    """The first slot is of each unit: nothing else can be asked for."""
    assert_outcome(
        client.get("/fhir/Slot?first-per=schedule"),
        400,
        issue("value", "first-per: expected one of unit.", location="http.first-per"),
    )


@pytest.mark.parametrize(
    "parameters",
    [
        pytest.param(
            [("day-of-week", "mon"), ("day-of-week", "tue")], id="two days at once"
        ),
        pytest.param(
            [("time-of-day", "lt08:00"), ("time-of-day", "gt09:00")],
            id="before and after",
        ),
        pytest.param([("time-of-day", "lt00:00")], id="before midnight begins"),
    ],
)
def test_hours_that_never_are_find_nothing(
    client: FlaskClient, parameters: list[tuple[str, str]]
) -> None:
    """What contradicts itself is no fault, and has no slots."""
    assert slots(client, *parameters) == []


def test_all_faults_are_named_at_once(client: FlaskClient) -> None:
    """Each wrong parameter has an issue of its own."""
    response = client.get(
        "/fhir/Slot",
        query_string=[
            (_NEAR, "59.3"),
            ("_source", "norr"),
            ("time-of-day", "24:00"),
            ("day-of-week", "monday"),
            ("time-of-day:missing", "true"),
        ],
    )

    assert_outcome(
        response,
        400,
        issue(
            "value",
            f"{_NEAR}: expected latitude|longitude|distance|unit.",
            location=f"http.{_NEAR}",
        ),
        issue("value", "_source: expected an absolute URI.", location="http._source"),
        issue(
            "value",
            "time-of-day: expected a time from 00:00 to 23:59, with or without a"
            " prefix, as ge08:00.",
            location="http.time-of-day",
        ),
        issue(
            "value",
            "day-of-week: expected one of mon, tue, wed, thu, fri, sat, sun.",
            location="http.day-of-week",
        ),
        issue(
            "not-supported",
            "time-of-day:missing: is not a parameter of this search; see /metadata for"
            " those that are.",
            location="http.time-of-day:missing",
        ),
    )


def test_a_day_of_another_system_is_refused(client: FlaskClient) -> None:
    """A code of another system is no day of the week."""
    response = client.get("/fhir/Slot?day-of-week=http://x.example|mon")

    assert_outcome(
        response,
        400,
        issue(
            "value",
            "day-of-week: expected http://hl7.org/fhir/days-of-week|code, or a code"
            " alone.",
            location="http.day-of-week",
        ),
    )


def test_a_region_that_is_away_is_no_part_of_anothers_answer(
    other_programs: OtherPrograms, sandbox: Sandbox
) -> None:
    """A search of one region has a total while another does not answer."""
    with other_programs.start() as made:
        sandbox.spoil("mitt", "vp-fault")
        fill(made)
        client = made.app.test_client()
        of_norr = search(client, ("_source", f"{_SOURCE}/norr"))
        of_mitt = search(client, ("_source", f"{_SOURCE}/mitt"))

    assert {entry["search"]["mode"] for entry in of_norr["entry"]} == {"match"}
    assert of_norr["total"] > 0
    assert [entry["search"]["mode"] for entry in of_mitt["entry"]] == ["outcome"]
    assert "total" not in of_mitt


@pytest.mark.parametrize(
    ("name", "value", "is_said"),
    [
        ("service-type:not", "http://snomed.info/sct|185349003", True),
        ("service-type:not", "nothing,nothing-else", True),
        ("schedule.service-type:not", "nothing", True),
        ("service-type:not", f"nothing,{_CODE}", False),
        ("service-type:not", _CODE, False),
    ],
)
def test_an_excluded_code_that_no_service_has_is_said(
    client: FlaskClient, name: str, value: str, *, is_said: bool
) -> None:
    """What excludes nothing is named, since it may be misspelt; the total stays."""
    bundle = search(client, (name, value), ("_count", "1"))

    assert "total" in bundle
    assert outcome_entries(bundle) == (
        [
            issue(
                "not-found",
                "service-type:not: no time type here has that code, so it excludes"
                " nothing.",
                location="http.service-type:not",
                severity="warning",
                error=ErrorCode.NOT_FOUND,
            )
        ]
        if is_said
        else []
    )
