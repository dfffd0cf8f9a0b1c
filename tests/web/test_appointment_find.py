"""
Appointment/$find: free times as proposed Appointments, asked for in any dialect.
"""

from itertools import islice
from typing import Any

import pytest
from assertions import assert_outcome, assert_searchset, issue, outcome_entries
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from fhir_gateway.model.error_code import ErrorCode

from .bodies import COVID_VACCINATION, FHIR_JSON, book, free_slots
from .running import BASE_URL, REGIONS, OtherPrograms, Sandbox, fill

_URL = "/fhir/Appointment/$find"
_FROM = "2020-01-01T08:00:00+01:00"
_UNTIL = "2099-12-31T08:00:00+01:00"
_SNOMED = {"system": "http://snomed.info/sct", "code": "72791000052103"}
_UNIT = "SE2321009901-1001"


def parameters(*given: dict[str, Any]) -> dict[str, Any]:
    """Return a Parameters resource."""
    return {"resourceType": "Parameters", "parameter": list(given)}


def post(client: FlaskClient, *given: dict[str, Any], query: str = "") -> TestResponse:
    """Call the operation with a Parameters resource."""
    return client.post(_URL + query, json=parameters(*given), content_type=FHIR_JSON)


def get(client: FlaskClient, **given: str | list[str]) -> TestResponse:
    """Call the operation by GET."""
    query = {
        name if name.startswith("_") else name.replace("_", "-"): value
        for name, value in given.items()
    }
    return client.get(_URL, query_string=query)


def reference(name: str, to: str) -> dict[str, Any]:
    """Return a parameter that refers to something."""
    return {"name": name, "valueReference": {"reference": to}}


_ALL_AT_ONCE: dict[str, Any] = {"name": "_count", "valueInteger": 1000}


def times() -> list[dict[str, Any]]:
    """Return a window that holds every free time."""
    return [
        {"name": "start", "valueDateTime": _FROM},
        {"name": "end", "valueDateTime": _UNTIL},
    ]


_DIALECTS = {
    "ihe": [*times(), {"name": "visit-type", "valueString": COVID_VACCINATION}],
    "argonaut": [
        *times(),
        {"name": "visit-type", "valueString": "72791000052103"},
    ],
    "epic": [
        {"name": "startTime", "valueDateTime": _FROM},
        {"name": "endTime", "valueDateTime": _UNTIL},
        {"name": "service-type", "valueCodeableConcept": {"coding": [_SNOMED]}},
    ],
    "coding": [*times(), {"name": "service-type", "valueCoding": _SNOMED}],
}


# What is found.


@pytest.mark.parametrize("dialect", _DIALECTS)
def test_every_dialect_finds_what_the_search_for_slots_finds(
    client: FlaskClient, dialect: str
) -> None:
    """The earliest free times are found, with any dialect's parameter names."""
    slots = list(islice(free_slots(client), 20))

    found = assert_searchset(post(client, *_DIALECTS[dialect]))
    assert [each["id"] for each in found] == [slot["id"] for slot in slots]
    assert [each["slot"] for each in found] == [
        [{"reference": f"Slot/{slot['id']}"}] for slot in slots
    ]


def test_a_call_by_get_finds_the_same(client: FlaskClient) -> None:
    """By GET and by POST the same times are found, with the same total."""
    by_get = get(client, start=_FROM, end=_UNTIL, visit_type=COVID_VACCINATION)

    by_post = post(client, *_DIALECTS["ihe"])
    assert by_get.json is not None
    assert by_post.json is not None
    assert by_get.json["entry"] == by_post.json["entry"]
    assert by_get.json["total"] == by_post.json["total"] > 100


def test_a_proposal_says_what_the_slot_says(client: FlaskClient) -> None:
    """A proposed Appointment has the slot's times, service, place and source."""
    slot = next(free_slots(client))

    proposal = assert_searchset(post(client, *_DIALECTS["ihe"]))[0]
    assert proposal["status"] == "proposed"
    assert proposal["meta"]["profile"] == [
        "https://fhir-gateway.example.org/StructureDefinition/proposed-appointment"
    ]
    assert {name: proposal[name] for name in ("id", "start", "end", "serviceType")} == {
        name: slot[name] for name in ("id", "start", "end", "serviceType")
    }
    assert proposal["meta"]["source"] == slot["meta"]["source"]
    unit = slot["id"].split(".")[0]
    actors = [each["actor"].get("reference") for each in proposal["participant"]]
    assert f"Location/{unit}" in actors
    assert {each["status"] for each in proposal["participant"]} == {"needs-action"}


def test_a_proposal_can_be_read(client: FlaskClient) -> None:
    """The URL of a proposal answers with it as long as its slot is free."""
    response = post(client, *_DIALECTS["ihe"])
    assert response.json is not None
    entry = response.json["entry"][0]

    read = client.get(entry["fullUrl"].removeprefix("http://gateway.test"))
    assert (read.status_code, read.json) == (200, entry["resource"])


@pytest.mark.parametrize(
    "given",
    [
        reference("location-reference", f"Location/{_UNIT}"),
        {"name": "location-reference", "valueUri": f"Location/{_UNIT}"},
        {"name": "location", "valueString": _UNIT},
        {"name": "location-reference", "valueUri": f"{BASE_URL}/Location/{_UNIT}"},
        {"name": "location-string", "valueString": "tallbacken, UME"},
    ],
)
def test_a_place_narrows(client: FlaskClient, given: dict[str, Any]) -> None:
    """A unit is named by its reference or by a piece of its name."""
    found = assert_searchset(post(client, *_DIALECTS["ihe"], given))

    assert len(found) == 20
    assert {each["id"].split(".")[0] for each in found} == {_UNIT}


def test_several_of_a_kind_are_alternatives(client: FlaskClient) -> None:
    """Two units are searched at once: either will do."""
    units = [_UNIT, "SE2321009902-1001"]
    given = [
        {"name": "location-reference", "valueUri": f"Location/{each}"} for each in units
    ]

    found = assert_searchset(post(client, *_DIALECTS["ihe"], *given, _ALL_AT_ONCE))
    assert {each["id"].split(".")[0] for each in found} == set(units)


def test_two_kinds_must_both_fit(client: FlaskClient) -> None:
    """A unit of one region and an organisation of another find nothing."""
    place = {"name": "location-reference", "valueUri": f"Location/{_UNIT}"}
    elsewhere = {"name": "organization", "valueUri": "Organization/SE2321009902-0000"}

    response = post(client, *_DIALECTS["ihe"], place, elsewhere)
    assert assert_searchset(response) == []
    assert response.json is not None
    assert response.json["total"] == 0


def _performer(client: FlaskClient) -> tuple[str, str]:
    """Return somebody with free times, and their role."""
    for slot in free_slots(client, "norr"):
        schedule = client.get(f"/fhir/{slot['schedule']['reference']}").json
        assert schedule is not None
        actors = [each.get("reference", "") for each in schedule["actor"]]
        role = [each for each in actors if each.startswith("PractitionerRole/")]
        person = [each for each in actors if each.startswith("Practitioner/")]
        if role and person:
            return person[0], role[0]
    raise AssertionError


def test_a_practitioner_and_a_role_narrow(client: FlaskClient) -> None:
    """Somebody's free times are found by the person and by the role alike."""
    person, role = _performer(client)

    by_person, by_role = (
        [
            each["id"]
            for each in assert_searchset(
                post(client, *_DIALECTS["ihe"], {"name": name, "valueUri": reference})
            )
        ]
        for name, reference in (("practitioner", person), ("practitionerRole", role))
    )
    assert by_person == by_role != []


def test_a_service_and_a_schedule_narrow(client: FlaskClient) -> None:
    """WOF's and Medplum's names find the times of one service and one schedule."""
    slot = next(free_slots(client))
    schedule = slot["schedule"]["reference"]
    service = schedule.replace("Schedule/", "HealthcareService/").rpartition(".")[0]

    for name, reference in (
        ("healthcareService", service),
        ("service-type-reference", service),
        ("schedule", schedule),
    ):
        found = assert_searchset(
            post(client, *times(), {"name": name, "valueUri": reference})
        )
        start = reference.partition("/")[2]
        assert found
        assert all(each["id"].startswith(start) for each in found)


def test_the_window_is_kept(client: FlaskClient) -> None:
    """Times begin at or after start and before end; a last day counts whole."""
    first, *_, last = islice(free_slots(client), 30)

    found = assert_searchset(
        get(
            client,
            start=first["start"],
            end=last["start"],
            _count="1000",
            visit_type=COVID_VACCINATION,
        )
    )
    assert {each["start"] < last["start"] for each in found} == {True}
    day = last["start"][:10]
    whole = assert_searchset(
        get(client, start=day, end=day, _count="1000", visit_type=COVID_VACCINATION)
    )
    assert {each["start"][:10] for each in whole} == {day}


def test_start_and_end_can_be_left_out(client: FlaskClient) -> None:
    """Without a window everything from now on is searched."""
    response = get(client, visit_type=COVID_VACCINATION)

    assert len(assert_searchset(response)) == 20


@pytest.mark.parametrize("more", [[], [("first-per", "unit")]])
def test_each_page_names_itself(
    client: FlaskClient, more: list[tuple[str, str]]
) -> None:
    """The self link of a later page finds that page again."""
    first = client.get("/fhir/Appointment/$find", query_string=[("_count", "1"), *more])
    links = {each["relation"]: each["url"] for each in first.json["link"]}
    second = client.get(links["next"].removeprefix("http://gateway.test")).json
    links = {each["relation"]: each["url"] for each in second["link"]}
    again = client.get(links["self"].removeprefix("http://gateway.test")).json

    assert "_cursor" in links["self"]
    assert again["entry"] == second["entry"]


def test_pages_hold_everything_once(client: FlaskClient) -> None:
    """Following next from a POST gives every time once, in order, and no more."""
    response = post(
        client,
        *_DIALECTS["ihe"],
        {"name": "location-reference", "valueUri": f"Location/{_UNIT}"},
        {"name": "_count", "valuePositiveInt": 30},
    ).json
    assert response is not None
    total, found = response["total"], []
    while True:
        found += [entry["resource"]["id"] for entry in response["entry"]]
        links = {each["relation"]: each["url"] for each in response["link"]}
        if "next" not in links:
            break
        response = client.get(links["next"].removeprefix("http://gateway.test")).json
        assert response is not None

    assert len(found) == len(set(found)) == total > 30


def all_pages(client: FlaskClient, *given: dict[str, Any]) -> list[str]:
    """Return the ids of all that is proposed, page by page."""
    response = post(client, *_DIALECTS["ihe"], *given)
    found = found_ids(response)
    while response.json is not None and len(response.json["link"]) > 1:
        next_url = response.json["link"][1]["url"]
        response = client.get(next_url.removeprefix("http://gateway.test"))
        found += found_ids(response)
    return found


def test_each_unit_is_proposed_once_at_its_earliest(client: FlaskClient) -> None:
    """With first-per, each unit's first time is proposed, page by page."""
    expected: dict[str, str] = {}
    for proposed in all_pages(client, _ALL_AT_ONCE):
        expected.setdefault(proposed.partition(".")[0], proposed)

    found = all_pages(
        client,
        {"name": "first-per", "valueString": "unit"},
        {"name": "_count", "valuePositiveInt": 1},
    )

    assert found == list(expected.values())
    assert len(found) > 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("service-type:not", "72791000052103", id="not"),
        pytest.param("service-type:below", "33879002", id="below"),
        pytest.param("service-type:in", "ValueSet/standard-time-types", id="in"),
        pytest.param(
            "service-type:not-in", "ValueSet/standard-time-types", id="not in"
        ),
        pytest.param("schedule.actor", f"Location/{_UNIT}", id="an actor"),
    ],
)
def test_the_search_for_slots_narrows_it_too(
    client: FlaskClient, name: str, value: str
) -> None:
    """A parameter of the search for slots finds the same times here."""
    slots = client.get("/fhir/Slot", query_string=[(name, value)])

    found = found_ids(post(client, {"name": name, "valueString": value}))

    assert found == found_ids(slots)
    assert found
    assert found == found_ids(get(client, **{name: value}))


def found_ids(response: TestResponse) -> list[str]:
    """Return the ids of a page's proposals."""
    assert response.json is not None
    return [entry["resource"]["id"] for entry in response.json["entry"]]


def test_the_self_link_is_what_was_understood(client: FlaskClient) -> None:
    """The self link of a POST is a GET that finds the same."""
    response = post(client, *_DIALECTS["epic"]).json
    assert response is not None

    url = response["link"][0]["url"].removeprefix("http://gateway.test")
    again = client.get(url).json
    assert again == response


def test_what_somebody_has_booked_is_left_out(client: FlaskClient, number: str) -> None:
    """A booked slot is no longer proposed, and its proposal cannot be read."""
    booked = book(client, "norr", number).json
    assert booked is not None
    slot = booked["slot"][0]["reference"].partition("/")[2]

    found = assert_searchset(post(client, *_DIALECTS["ihe"], _ALL_AT_ONCE))
    assert slot not in {each["id"] for each in found}
    assert client.get(f"/fhir/Appointment/{slot}").status_code == 404


# What is not applied, and what is missing.


@pytest.mark.parametrize(
    "given",
    [
        {"name": "specialty", "valueString": "394814009"},
        {"name": "reason", "valueString": "Feber"},
        {"name": "timing", "valueTiming": {"code": {"text": "morning"}}},
        {"name": "referral-identifier", "valueIdentifier": {"value": "x"}},
        reference("insurance-reference", "InsurancePlan/x"),
        reference("patient-reference", "Patient/x"),
        {"name": "patient-resource", "resource": {"resourceType": "Patient"}},
        reference("ignore-appointment", "Appointment/x"),
        {"name": "occurrence-count", "valueInteger": 3},
    ],
    ids=lambda given: str(given["name"]),
)
def test_a_filter_that_is_not_applied_is_named(
    client: FlaskClient, given: dict[str, Any]
) -> None:
    """A parameter that cannot narrow the answer is named in the answer, once."""
    response = post(client, *_DIALECTS["ihe"], given)

    assert len(assert_searchset(response)) == 20
    assert response.json is not None
    assert outcome_entries(response.json) == [
        issue(
            "not-supported",
            f"{given['name']}: is not applied: no region states it for its free times."
            " The answer may hold times that it would exclude.",
            severity="warning",
            location=f"http.{given['name']}",
            error=ErrorCode.FILTER_IS_NOT_APPLIED,
        )
    ]


def test_a_source_that_fails_is_named(
    other_programs: OtherPrograms, sandbox: Sandbox
) -> None:
    """A region that could not be asked is a warning beside the others' proposals."""
    with other_programs.start() as made:
        sandbox.spoil("syd", "vp-fault")
        fill(made)
        response = post(made.app.test_client(), *_DIALECTS["ihe"])

    assert len(assert_searchset(response)) == 20
    assert response.json is not None
    assert "total" not in response.json
    assert [
        each["details"]["coding"][0]["code"] for each in outcome_entries(response.json)
    ] == ["REGION_IS_UNAVAILABLE"]


# What is refused.


@pytest.mark.parametrize(
    "query",
    [
        {"patient-reference": "Patient/1"},
        {"patient": "x"},
        {"visit-type": "http://electronichealth.se/identifier/personnummer|1"},
    ],
)
def test_what_may_be_a_patients_does_not_stand_in_a_url(
    client: FlaskClient, query: dict[str, str]
) -> None:
    """A call by GET that may name a patient is refused without an echo."""
    response = client.get(_URL, query_string=query)

    assert_outcome(
        response,
        400,
        issue(
            "security",
            "A parameter that may be a patient's must not be in a URL: send it by"
            " POST, as a parameter that is a patient's.",
            error=ErrorCode.PERSONAL_NUMBER_IN_URL,
        ),
    )
    assert "1912" not in response.text


def test_no_link_holds_a_patients_parameter(client: FlaskClient) -> None:
    """A personal number in a filter is refused by POST too: links would repeat it."""
    token = "http://electronichealth.se/identifier/personnummer|191212121212"

    response = post(client, {"name": "visit-type", "valueString": token})
    assert response.status_code == 400
    assert "1912" not in response.text


def test_parameters_of_a_post_stand_in_its_body(client: FlaskClient) -> None:
    """A query beside a body would be ignored, so it is refused."""
    response = post(client, *_DIALECTS["ihe"], query="?visit-type=x")

    assert response.status_code == 400


_BAD: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "unknown": (
        {"name": "colour", "valueString": "red"},
        issue(
            "not-supported",
            "colour: is not a parameter of this operation; see /metadata for those that"
            " are.",
            expression="Parameters.parameter[0].value",
        ),
    ),
    "unknown that may be a name": (
        {"name": "Anna Testlund", "valueString": "red"},
        issue(
            "not-supported",
            "(a name that cannot be shown): is not a parameter of this operation; see"
            " /metadata for those that are.",
            expression="Parameters.parameter[0].value",
        ),
    ),
    "wrong type": (
        reference("start", "Slot/1"),
        issue(
            "value",
            "start: must be one of date, dateTime, instant, string.",
            expression="Parameters.parameter[0].value",
        ),
    ),
    "no type of R4": (
        {"name": "_count", "valueInteger": "3"},
        issue(
            "value",
            "The element's value does not fit its type in R4.",
            expression="Parameters.parameter[0].value",
        ),
    ),
    "no value": (
        {"name": "start"},
        issue(
            "structure",
            "The parameter must have one value, or one resource.",
            expression="Parameters.parameter[0]",
        ),
    ),
    "two values": (
        {"name": "start", "valueDateTime": _FROM, "valueString": _FROM},
        issue(
            "structure",
            "Only one of these can be given.",
            expression="Parameters.parameter[0].value",
        ),
    ),
    "no name": (
        {"valueString": "x"},
        issue(
            "required",
            "The element is required.",
            expression="Parameters.parameter[0].name",
        ),
    ),
    "null": (
        {"name": "start", "valueDateTime": None},
        issue(
            "structure",
            "Nothing in FHIR's JSON is null or empty: leave it out.",
            expression="Parameters.parameter[0].value",
        ),
    ),
    "another type of resource": (
        {"name": "location", "valueUri": "Practitioner/x"},
        issue(
            "value",
            "location must be a reference to this server, as Location/id.",
            expression="Parameters.parameter[0].value",
        ),
    ),
    "another server": (
        {"name": "location", "valueUri": "https://elsewhere.example/Location/x"},
        issue(
            "value",
            "location must be a reference to this server, as Location/id.",
            expression="Parameters.parameter[0].value",
        ),
    ),
    "a prefix": (
        {"name": "start", "valueString": "ge2026-01-01"},
        issue(
            "value",
            "start: is a date, without a prefix.",
            expression="Parameters.parameter[0].value",
        ),
    ),
}


@pytest.mark.parametrize("case", _BAD)
def test_a_wrong_parameter_is_refused(client: FlaskClient, case: str) -> None:
    """Each fault of a parameter is named with its place, and nothing is repeated."""
    given, expected = _BAD[case]

    assert_outcome(post(client, given), 400, expected)


def test_every_fault_is_named_at_once(client: FlaskClient) -> None:
    """A call with several faults gets an issue for each."""
    response = post(
        client,
        {"name": "colour", "valueString": "red"},
        {"name": "start", "valueDateTime": _FROM},
        {"name": "startTime", "valueDateTime": _FROM},
        {"name": "practitioner", "valueUri": "Location/x"},
    )

    assert_outcome(
        response,
        400,
        _BAD["unknown"][1],
        issue(
            "value",
            "startTime: is given more than once (start or startTime).",
            expression="Parameters.parameter[2].value",
        ),
        issue(
            "value",
            "practitioner must be a reference to this server, as Practitioner/id.",
            expression="Parameters.parameter[3].value",
        ),
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"name": "startTime", "valueString": "2026-13-01"},
            issue(
                "value",
                "startTime: is not a date: month must be in 1..12.",
                location="http.startTime",
            ),
        ),
        (
            {"name": "_count", "valueInteger": -1},
            issue(
                "value",
                "_count: expected a whole number, 0 or more.",
                location="http._count",
            ),
        ),
        (
            {"name": "visit-type", "valueCodeableConcept": {"text": "x"}},
            issue(
                "value", "visit-type: has an empty value.", location="http.visit-type"
            ),
        ),
        (
            {"name": "_cursor", "valueString": "x"},
            issue(
                "value",
                "_cursor: is not from this server; follow a next link unchanged.",
                location="http._cursor",
            ),
        ),
    ],
)
def test_a_value_that_cannot_be_searched_for_is_refused(
    client: FlaskClient, given: dict[str, Any], expected: dict[str, Any]
) -> None:
    """A fault that the search finds is reported by the name that the client used."""
    assert_outcome(post(client, given), 400, expected)


def test_an_end_before_the_start_is_refused(client: FlaskClient) -> None:
    """A window without any time in it is a mistake, not an empty answer."""
    assert_outcome(
        get(client, start=_UNTIL, end=_FROM),
        400,
        issue("value", "end: must be later than start.", location="http.end"),
    )


@pytest.mark.parametrize(
    "body",
    [
        {"resourceType": "Appointment", "status": "proposed"},
        [],
        "x",
        {"resourceType": "Parameters", "parameter": "x"},
        {"resourceType": "Parameters", "colour": "red"},
        parameters(*[{"name": "reason", "valueString": "x"}] * 101),
    ],
)
def test_what_is_no_parameters_is_refused(client: FlaskClient, body: Any) -> None:
    """A body that is not one Parameters resource is 400."""
    response = client.post(_URL, json=body, content_type=FHIR_JSON)

    assert response.status_code == 400
    assert response.json is not None
    assert response.json["resourceType"] == "OperationOutcome"


def test_it_is_not_called_on_an_appointment(client: FlaskClient) -> None:
    """It is an operation of the type."""
    assert client.get("/fhir/Appointment/x/$find").status_code == 404


def test_every_region_is_found(client: FlaskClient) -> None:
    """One call finds the free times of all regions."""
    first = {"name": "first-per", "valueString": "unit"}
    found = assert_searchset(post(client, *_DIALECTS["ihe"], first, _ALL_AT_ONCE))

    assert {each["meta"]["source"].rpartition("/")[2] for each in found} == set(REGIONS)


def test_faults_of_parameters_and_of_the_search_are_named_at_once(
    client: FlaskClient,
) -> None:
    """By GET, a wrong date hides neither a wrong count nor a wrong order."""
    assert_outcome(
        client.get(_URL, query_string="start=x&_count=-1&_sort=zz&location=Slot/x"),
        400,
        issue("value", "start: is a date, without a prefix.", location="http.start"),
        issue(
            "value",
            "location must be a reference to this server, as Location/id.",
            location="http.location",
        ),
        issue("value", "_sort: expected one of start, -start.", location="http._sort"),
        issue(
            "value",
            "_count: expected a whole number, 0 or more.",
            location="http._count",
        ),
    )


def test_every_kind_of_fault_in_a_body_is_named_at_once(client: FlaskClient) -> None:
    """By POST: a name, a date, a window, a reference, a cursor and an order."""
    response = post(
        client,
        {"name": "colour", "valueString": "red"},
        {"name": "start", "valueDateTime": _UNTIL},
        {"name": "endTime", "valueDateTime": _FROM},
        {"name": "practitioner", "valueUri": "Location/x"},
        {"name": "_cursor", "valueString": "x"},
        {"name": "_sort", "valueString": "zz"},
        {"name": "_count", "valueInteger": -1},
    )

    assert response.status_code == 400
    assert response.json is not None
    assert sorted(
        each["diagnostics"].split(" ")[0] for each in response.json["issue"]
    ) == [*("_count:", "_cursor:", "_sort:", "colour:", "endTime:", "practitioner")]


def test_a_count_given_twice_is_one_fault(client: FlaskClient) -> None:
    """It is not reported a second time in the terms of the search."""
    response = client.get(_URL, query_string="_count=1&_count=2")

    assert_outcome(
        response,
        400,
        issue(
            "value", "_count: is given more than once (_count).", location="http._count"
        ),
    )


@pytest.mark.parametrize(
    "value",
    [
        {"valueCoding": {**_SNOMED, "version": "9"}},
        {"valueCoding": {"code": "72791000052103", "version": "9"}},
        {"valueCodeableConcept": {"coding": [_SNOMED, {**_SNOMED, "version": "9"}]}},
    ],
)
def test_a_version_cannot_be_searched_for(
    client: FlaskClient, value: dict[str, Any]
) -> None:
    """A coding with a version is refused, as system|version|code is by GET."""
    response = post(client, {"name": "visit-type", **value})

    assert_outcome(
        response,
        400,
        issue(
            "value",
            "visit-type: a version cannot be searched for: leave it out.",
            expression="Parameters.parameter[0].value",
        ),
    )


def test_a_coding_of_a_slot_can_be_sent_back(client: FlaskClient) -> None:
    """The version that this server states of a code is the one that it finds."""
    slot = next(free_slots(client))
    (coding,) = [
        each
        for each in slot["serviceType"][0]["coding"]
        if each["system"] == _SNOMED["system"]
    ]
    assert "version" in coding

    found = assert_searchset(
        post(client, {"name": "visit-type", "valueCoding": coding})
    )
    assert len(found) == 20


@pytest.mark.parametrize("end", ["9999-12-31", "9999-12-31T23:59:59Z", "9999"])
def test_an_open_end_is_no_end(client: FlaskClient, end: str) -> None:
    """An end at the end of the calendar leaves nothing out."""
    everything = get(client, visit_type=COVID_VACCINATION).json
    assert everything is not None

    found = get(client, visit_type=COVID_VACCINATION, end=end).json
    assert found is not None
    assert found["entry"] == everything["entry"] != []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("location-string", "Nowhere"),
        ("practitionerRole", "PractitionerRole/x"),
        ("location", "Location/SE1-1"),
    ],
)
def test_what_is_not_known_is_named_as_the_client_does(
    client: FlaskClient, name: str, value: str
) -> None:
    """An unknown place or role is reported by the parameter that was sent."""
    response = client.get(_URL, query_string={name: value})

    assert response.json is not None
    assert outcome_entries(response.json) == [
        issue(
            "not-found",
            f"{name}: this server does not know that name or code, so the search finds"
            " nothing.",
            severity="warning",
            location=f"http.{name}",
            error=ErrorCode.NOT_FOUND,
        )
    ]


def test_a_reference_that_contradicts_itself_finds_nothing(client: FlaskClient) -> None:
    """A practitioner of the type Patient is 400."""
    reference = {"reference": "Practitioner/SE2321009901-P10013", "type": "Patient"}
    response = post(client, {"name": "practitioner", "valueReference": reference})

    assert_outcome(
        response,
        400,
        issue(
            "value",
            "practitioner contradicts itself: leave out its type and identifier.",
            expression="Parameters.parameter[0].value",
        ),
    )
