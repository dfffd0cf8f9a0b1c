"""
Appointment search-type: a resident's bookings by POST, single ones also by GET.

https://hl7.org/fhir/R4/http.html#search
"""

from typing import Any

import pytest
from assertions import assert_outcome, assert_searchset, issue, outcome_entries
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from fhir_gateway.model.error_code import ErrorCode

from .bodies import (
    COVID_VACCINATION,
    PERSONNUMMER,
    book,
    patch,
    region_of,
    status_patch,
)
from .running import BASE_URL, REGIONS, Sandbox

_TOLVAN = "191212121212"
_NEVER_IN_A_URL = issue(
    "security",
    "A personal number must not be in a URL: leave it out to search for your own"
    " appointments, or send the parameters by POST to Appointment/_search.",
)
_NOBODY = issue(
    "required",
    "Your request names no resident: send patient.identifier, as system|number, in a"
    " form by POST to Appointment/_search; or search for single appointments by _id,"
    " identifier or slot.",
    location="http.patient.identifier",
)
_MITT_NOT_ASKED = issue(
    "informational",
    "Region Mitt (sandlåda) is asked only about units that the resident has a relation"
    " with ($relations); times booked elsewhere may be missing. (source mitt)",
    severity="information",
    error=ErrorCode.REGION_IS_NOT_ASKED,
)


def search(
    client: FlaskClient,
    number: str,
    *,
    headers: dict[str, str] | None = None,
    **parameters: str | list[str],
) -> TestResponse:
    """Search for a test person's appointments."""
    return client.post(
        "/fhir/Appointment/_search",
        data={"patient.identifier": f"{PERSONNUMMER}|{number}", **parameters},
        headers=headers,
    )


def found(response: TestResponse) -> list[dict[str, Any]]:
    """Return the appointments that were found."""
    return assert_searchset(response)


def test_a_residents_bookings_are_found(client: FlaskClient, number: str) -> None:
    """Bookings in all regions are found, earliest first, as they are read."""
    booked = [book(client, region, number).json for region in REGIONS]

    response = search(client, number)
    appointments = found(response)
    starts = [each["start"] for each in appointments]
    assert starts == sorted(starts)
    assert {each["id"] for each in appointments} == {
        each["id"] for each in booked if each
    }
    for each in appointments:
        read = client.get(f"/fhir/Appointment/{each['id']}").json
        assert read is not None
        del read["meta"]["extension"]
        del each["meta"]["extension"]
        assert each == read


def test_nobody_elses_bookings_are_found(
    client: FlaskClient, numbers: list[str]
) -> None:
    """A search for one resident finds nothing of another's."""
    book(client, "norr", numbers[0])

    response = search(client, numbers[1])
    assert found(response) == []
    assert response.json is not None
    assert response.json["total"] == 0


def test_the_self_link_has_all_but_the_resident(
    client: FlaskClient, number: str
) -> None:
    """The self link repeats what was searched for, and never the resident."""
    bundle = search(client, number, status="booked", _count="2").json

    assert bundle is not None
    assert bundle["link"] == [
        {"relation": "self", "url": f"{BASE_URL}/Appointment?status=booked&_count=2"}
    ]


def test_a_source_that_is_not_asked_is_reported(
    client: FlaskClient, number: str
) -> None:
    """A source without a question over all units says that times may be missing."""
    bundle = search(client, number).json

    assert bundle is not None
    assert outcome_entries(bundle) == [_MITT_NOT_ASKED]


def test_a_source_that_fails_is_named_and_what_is_known_is_kept(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """When a region cannot be asked its known bookings stay, with a warning."""
    book(client, "norr", number)
    book(client, "syd", number)
    sandbox.spoil("syd", "vp-fault")

    response = search(client, number)
    assert {region_of(each) for each in found(response)} == {"norr", "syd"}
    assert response.json is not None
    assert outcome_entries(response.json) == [
        issue(
            "transient",
            "Region Syd (sandlåda) could not be asked; its bookings may be missing or"
            " out of date: contact the unit where you expect one. (source syd)",
            severity="warning",
            error=ErrorCode.REGION_IS_UNAVAILABLE,
        ),
        _MITT_NOT_ASKED,
    ]
    assert "total" not in response.json


def test_a_client_that_refuses_a_part_of_the_list_gets_none(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """
    `Prefer: partial=refuse`: 503 names the region that could not be asked.

    What is never asked is no reason.
    """
    book(client, "syd", number)
    form = {"patient.identifier": f"{PERSONNUMMER}|{number}"}
    headers = {"Prefer": "partial=refuse, wait=9"}
    whole = client.post("/fhir/Appointment/_search", data=form, headers=headers)
    sandbox.spoil("syd", "vp-fault")
    refused = client.post("/fhir/Appointment/_search", data=form, headers=headers)

    assert outcome_entries(whole.json) == [_MITT_NOT_ASKED]
    assert (whole.status_code, whole.headers["Preference-Applied"]) == (
        200,
        "partial=refuse, wait=9",
    )
    assert refused.status_code == 503
    assert [each["severity"] for each in refused.json["issue"]] == ["error"] * 2
    assert "(source syd)" in refused.json["issue"][1]["diagnostics"]


def test_a_unit_that_did_not_answer_its_region_is_reported(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """When a unit is missing from a region's answer, the bundle says whom to call."""
    booked = book(client, "norr", number).json
    assert booked is not None
    unit = booked["identifier"][0]["system"].rpartition("/")[2]
    sandbox.spoil(
        "norr",
        "vp-fault",
        interactions=["GetSubjectOfCareSchedule"],
        units=[unit],
    )
    location = client.get(f"/fhir/Location/{unit}").json

    response = search(client, number)
    assert [each["id"] for each in found(response)] == [booked["id"]]
    assert response.json is not None
    assert issue(
        "incomplete",
        f"{location['name']} did not answer Region Norr (sandlåda), which could not"
        " reach it; its bookings may be missing or out of date: call"
        f" {location['name']},"
        f" {location['telecom'][0]['value']}. (source norr)",
        severity="warning",
        error=ErrorCode.REGION_ANSWERED_IN_PART,
    ) in outcome_entries(response.json)


def test_a_list_that_nobody_knows_is_no_empty_one(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """When no region answers, the first issue says that the list is unknown."""
    for region in ("norr", "syd"):
        sandbox.spoil(region, "vp-fault", interactions=["GetSubjectOfCareSchedule"])

    response = search(client, number)

    assert response.status_code == 200
    assert response.json is not None
    assert "total" not in response.json
    outcomes = outcome_entries(response.json)
    assert [each["diagnostics"][:23] for each in outcomes[:1]] == [
        "No region has answered:"
    ]
    assert [each["severity"] for each in outcomes] == [*["warning"] * 3, "information"]


def test_a_region_that_hangs_does_not_hold_up_the_list(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """`Prefer: wait=1`: the others' appointments, and the silent region by name."""
    made = book(client, "norr", number).json
    book(client, "syd", number)
    sandbox.spoil("syd", "hang", seconds=6)

    response = search(client, number, headers={"Prefer": "wait=1"})

    assert made is not None
    assert [region_of(each) for each in found(response)].count("norr") == 1
    assert response.headers["Preference-Applied"] == "wait=1"
    assert response.json is not None
    assert outcome_entries(response.json) == [
        issue(
            "transient",
            "Region Syd (sandlåda) did not answer within 1 s; its bookings may be"
            " missing or out of date: contact the unit where you expect one. (source"
            " syd)",
            severity="warning",
            error=ErrorCode.REGION_IS_UNAVAILABLE,
        ),
        _MITT_NOT_ASKED,
    ]


def test_an_invitation_is_found_and_can_be_read(client: FlaskClient) -> None:
    """A booking that the region made itself is an appointment like any other."""
    (invitation,) = (
        each
        for each in found(search(client, _TOLVAN))
        if each["extension"][1]["valueBoolean"]
    )

    assert region_of(invitation) == "norr"
    assert invitation["status"] == "booked"
    assert invitation["patientInstruction"].startswith("Kallelse till läkarbesök")
    assert "<h2>Kallelse till läkarbesök</h2>" in invitation["text"]["div"]
    read = client.get(f"/fhir/Appointment/{invitation['id']}").json
    assert read is not None
    del read["meta"]["extension"]
    del invitation["meta"]["extension"]
    assert read == invitation


def test_an_invitation_keeps_its_id(client: FlaskClient) -> None:
    """Found twice, a booking that was made elsewhere has the same id."""
    first, second = (
        {each["id"] for each in found(search(client, _TOLVAN))} for _ in range(2)
    )

    assert first == second


def test_a_status_narrows_the_search(client: FlaskClient, number: str) -> None:
    """Only appointments of the wanted statuses are found."""
    kept, cancelled = (book(client, "norr", number).json for _ in range(2))
    assert kept is not None
    assert cancelled is not None
    patch(client, cancelled["id"], status_patch("cancelled"))

    def ids(**parameters: str | list[str]) -> set[str]:
        return {each["id"] for each in found(search(client, number, **parameters))}

    assert ids() == {kept["id"], cancelled["id"]}
    assert ids(status="booked") == {kept["id"]}
    assert ids(status="cancelled") == {cancelled["id"]}
    assert ids(status="booked,cancelled") == {kept["id"], cancelled["id"]}
    assert ids(status=["booked", "cancelled"]) == set()
    assert ids(status="fulfilled") == set()


def test_a_date_narrows_the_search(client: FlaskClient, number: str) -> None:
    """Only appointments that begin within the dates are found."""
    booked = book(client, "norr", number).json
    assert booked is not None
    day = booked["start"][:10]

    def ids(*dates: str) -> list[str]:
        appointments = found(search(client, number, date=list(dates)))
        return [each["id"] for each in appointments]

    assert ids(day) == [booked["id"]]
    assert ids(f"ge{day}", "lt2126-01-01") == [booked["id"]]
    assert ids(booked["start"]) == [booked["id"]]
    assert ids(f"lt{day}") == []
    assert ids(f"gt{day}") == []


# Never in a URL.


@pytest.mark.parametrize(
    "query",
    [
        f"patient.identifier={PERSONNUMMER}|1212",
        f"patient:identifier={PERSONNUMMER}|x",
        *("patient:Patient.identifier=x", "patient=Patient/x"),
        *("patient.name=x", "actor=Patient/x", "actor:Patient=x", "actor.name=x"),
        f"identifier={PERSONNUMMER}|x",
    ],
)
def test_who_somebody_is_stands_in_no_url(client: FlaskClient, query: str) -> None:
    """
    A search by GET that names a patient is refused, and the refusal repeats nothing.
    """
    response = client.get(f"/fhir/Appointment?{query}")

    assert_outcome(response, 400, _NEVER_IN_A_URL)


@pytest.mark.parametrize(
    "query", ["", "location=x", "date=ge2026-12-01", "status=booked", "_count=5"]
)
def test_a_search_by_get_that_names_nothing_is_refused(
    client: FlaskClient, query: str
) -> None:
    """Who is no resident must name one, or something of one; the refusal says how."""
    response = client.get(f"/fhir/Appointment?{query}")

    assert_outcome(response, 400, _NOBODY)


@pytest.mark.parametrize("name", ["patient.identifier", "patient:identifier"])
def test_a_number_in_the_url_of_a_post_is_refused(
    client: FlaskClient, name: str
) -> None:
    """A POST with the number in its URL is refused too."""
    response = client.post(
        f"/fhir/Appointment/_search?{name}={PERSONNUMMER}|1212", data={}
    )

    assert_outcome(response, 400, _NEVER_IN_A_URL)


# What is refused.


_TWELVE = "not a personal number: expected 12 digits, YYYYMMDDNNNN, without hyphen"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param(f"{PERSONNUMMER}|19121212-1212", _TWELVE, id="a hyphen"),
        pytest.param(f"{PERSONNUMMER}|1212121212", _TWELVE, id="ten digits"),
        pytest.param(f"{PERSONNUMMER}|", _TWELVE, id="no number"),
        pytest.param(
            f"{PERSONNUMMER}|191212121213",
            "not a personal number: its check digit is wrong",
            id="a wrong check digit",
        ),
        pytest.param(
            f"{PERSONNUMMER}|197010632391",
            "the number and the system differ: one is of coordination numbers, the"
            " other is not",
            id="a number of the other kind",
        ),
        *(
            pytest.param(
                value,
                "the identifier's system must be one of"
                " http://electronichealth.se/identifier/personnummer,"
                " http://electronichealth.se/identifier/samordningsnummer",
                id=what,
            )
            for what, value in (
                ("no system", _TOLVAN),
                ("another system", f"urn:x|{_TOLVAN}"),
            )
        ),
        pytest.param(
            f"|{_TOLVAN}",
            "expected a code, system|code or system|: every code here has a system",
            id="an empty system",
        ),
        pytest.param(
            f"{PERSONNUMMER}|{_TOLVAN},{PERSONNUMMER}|{_TOLVAN}",
            "give exactly one",
            id="two numbers",
        ),
    ],
)
def test_a_wrong_number_is_refused_without_an_echo(
    client: FlaskClient, value: str, reason: str
) -> None:
    """An invalid number is refused with the reason, and not repeated."""
    response = client.post(
        "/fhir/Appointment/_search", data={"patient.identifier": value}
    )

    assert_outcome(
        response,
        400,
        issue(
            "value",
            f"patient.identifier: {reason}.",
            location="http.patient.identifier",
        ),
    )


def test_two_parameters_with_numbers_are_refused(client: FlaskClient) -> None:
    """A search for two residents at once is refused."""
    value = f"{PERSONNUMMER}|{_TOLVAN}"
    response = client.post(
        "/fhir/Appointment/_search", data={"patient.identifier": [value, value]}
    )

    assert_outcome(
        response,
        400,
        issue(
            "value",
            "patient.identifier: give exactly one.",
            location="http.patient.identifier",
        ),
    )


def test_a_status_that_is_never_found_is_said_beside_another(
    client: FlaskClient, number: str
) -> None:
    """Booked appointments are found, without a total: nobody here knows who came."""
    made = book(client, "norr", number).json
    assert made is not None

    response = search(client, number, status="booked,arrived")
    assert [each["id"] for each in found(response)] == [made["id"]]
    assert response.json is not None
    assert "total" not in response.json
    assert issue(
        "not-supported",
        "status: appointments here are proposed, pending, booked, cancelled and no"
        " other; a search for another status finds nothing. Only the region knows"
        " whether a patient came.",
        severity="warning",
        location="http.status",
        error=ErrorCode.NOT_SUPPORTED,
    ) in outcome_entries(response.json)


def test_a_wrong_number_is_named_with_the_other_faults(client: FlaskClient) -> None:
    """A number that cannot be read, and a wrong date, are two issues."""
    response = client.post(
        "/fhir/Appointment/_search",
        data={"patient.identifier": f"{PERSONNUMMER}|1", "date": "x"},
    )

    assert response.json is not None
    assert sorted(each["location"][0] for each in response.json["issue"]) == [
        "http.date",
        "http.patient.identifier",
    ]


def test_a_search_for_nobody_is_refused(client: FlaskClient) -> None:
    """A search without a patient is refused; the refusal says how to name one."""
    response = client.post("/fhir/Appointment/_search", data={"status": "booked"})

    assert_outcome(response, 400, _NOBODY)


def test_every_fault_is_named_at_once(client: FlaskClient) -> None:
    """A search with many faults is refused with an issue for each."""
    response = client.post(
        "/fhir/Appointment/_search",
        data={"status": "open", "date": "ne2026", "colour": "red"},
    )

    assert response.status_code == 400
    assert response.json is not None
    assert sorted(each["location"][0] for each in response.json["issue"]) == [
        "http.colour",
        "http.date",
        "http.patient.identifier",
        "http.status",
    ]


def test_a_lenient_search_ignores_what_it_does_not_know(
    client: FlaskClient, number: str
) -> None:
    """Under handling=lenient an unknown parameter is ignored."""
    booked = book(client, "norr", number).json
    assert booked is not None

    response = search(
        client, number, colour="red", headers={"Prefer": "handling=lenient"}
    )
    assert [each["id"] for each in found(response)] == [booked["id"]]


@pytest.mark.parametrize(
    "name",
    [
        *("patient", "appointment-type", "based-on", "reason-code"),
        *("reason-reference", "service-category", "specialty", "supporting-info"),
        *("actor:missing", "status:text", "location.name", "_has:X:y:z"),
    ],
)
def test_what_no_appointment_here_can_answer_is_refused(
    client: FlaskClient, number: str, name: str
) -> None:
    """A parameter, modifier or chain without an answer is refused, not dropped."""
    response = search(client, number, **{name: "x"})

    assert response.status_code == 400
    assert response.json is not None
    assert [each["code"] for each in response.json["issue"]] == ["not-supported"]


# What an appointment has.


def ids(response: TestResponse) -> list[str]:
    """Return the ids of the appointments that were found."""
    return [each["id"] for each in found(response)]


def actor_of(appointment: dict[str, Any], kind: str) -> str:
    """Return the reference to an appointment's actor of a type."""
    (reference,) = (
        each["actor"]["reference"]
        for each in appointment["participant"]
        if each["actor"].get("reference", "").startswith(f"{kind}/")
    )
    return str(reference)


def staff_of(appointment: dict[str, Any]) -> str:
    """Return the HSA-id of an appointment's member of staff."""
    (hsa_id,) = (
        each["actor"]["identifier"]["value"]
        for each in appointment["participant"]
        if each["actor"].get("type") == "Practitioner"
    )
    return str(hsa_id)


def test_each_parameter_finds_and_leaves_out(
    client: FlaskClient, numbers: list[str]
) -> None:
    """Each parameter finds the appointment that has its value, and not the other."""
    one = book(client, "norr", numbers[0], search={"service-type": COVID_VACCINATION})
    two = book(client, "syd", numbers[0], search={"service-type": ""})
    first, second = one.json, two.json
    assert first is not None
    assert second is not None
    (identifier,) = first["identifier"]
    (coding,) = (
        each
        for each in first["serviceType"][0]["coding"]
        if each["system"].startswith("https:")
    )
    unit = actor_of(first, "Location")
    has = {
        "_id": first["id"],
        "identifier": f"{identifier['system']}|{identifier['value']}",
        "slot": first["slot"][0]["reference"],
        "location": unit,
        "location ": unit.lower().replace("location", "Location"),
        "practitioner": f"Practitioner/{staff_of(first)}",
        "actor": actor_of(first, "HealthcareService"),
        "actor ": f"Practitioner/{staff_of(first)},Location/X",
        "actor:Location": unit,
        "actor:HealthcareService": actor_of(first, "HealthcareService"),
        "actor:Practitioner": staff_of(first),
        "service-type": f"{coding['system']}|{coding['code']}",
        "date": first["start"],
        "_lastUpdated": f"le{first['meta']['lastUpdated']}",
    }

    for name, value in has.items():
        found_ids = ids(search(client, numbers[0], **{name.strip(): value}))
        assert first["id"] in found_ids, name
        if name not in ("_lastUpdated", "date"):
            assert found_ids == [first["id"]], name
        assert ids(search(client, numbers[1], **{name.strip(): value})) == [], name


def test_modifiers_leave_out_and_ask_for_what_is_missing(
    client: FlaskClient, number: str
) -> None:
    """`:not` leaves out what has the value, `:missing` what lacks the element."""
    kept, cancelled = (book(client, "norr", number).json for _ in range(2))
    assert kept is not None
    assert cancelled is not None
    patch(client, cancelled["id"], status_patch("cancelled"))
    both = {kept["id"], cancelled["id"]}
    no_such = "http://snomed.info/sct|1"

    def those(**parameters: str | list[str]) -> set[str]:
        return set(ids(search(client, number, **parameters)))

    assert those(**{"part-status": "accepted"}) == both
    assert those(**{"part-status": "needs-action,declined"}) == set()
    assert those(**{"status:not": "cancelled"}) == {kept["id"]}
    assert those(**{"status:not": "booked,cancelled"}) == set()
    assert those(**{"service-type:not": COVID_VACCINATION}) == set()
    assert those(**{"service-type:not": no_such}) == both
    for name in ("identifier", "slot", "practitioner", "service-type"):
        assert those(**{f"{name}:missing": "true"}) == set(), name
        assert those(**{f"{name}:missing": "false"}) == both, name


@pytest.mark.parametrize(
    "parameters",
    [
        {"actor": "Patient/1"},
        {"actor": "X"},
        {"slot": "Schedule/1"},
        {"slot:missing": "maybe"},
        {"_id": "http://x|y"},
        {"_sort": "status"},
        {"_include": "Appointment:patient"},
        {"_cursor": "eA"},
    ],
    ids=str,
)
def test_a_value_that_cannot_be_answered_is_refused(
    client: FlaskClient, number: str, parameters: dict[str, str]
) -> None:
    """A value that no appointment can have is refused, and never finds nothing."""
    response = search(client, number, **parameters)

    assert response.status_code == 400
    assert response.json is not None
    assert [each["location"] for each in response.json["issue"]] == [
        [f"http.{name}"] for name in parameters
    ]


@pytest.mark.parametrize("name", ["identifier", "slot", "location", "_id"])
def test_a_number_in_another_parameter_is_refused(
    client: FlaskClient, number: str, name: str
) -> None:
    """The links repeat every parameter but the resident, so that no other has one."""
    response = search(client, number, **{name: number})

    assert response.status_code == 400
    assert number not in response.text


def test_two_spellings_of_two_residents_are_refused(
    client: FlaskClient, numbers: list[str]
) -> None:
    """A search for two residents in two spellings is refused; for one it is one."""
    one, two = (f"{PERSONNUMMER}|{number}" for number in numbers[:2])
    made = book(client, "norr", numbers[0]).json
    assert made is not None

    def answer(*values: str) -> TestResponse:
        names = ("patient.identifier", "patient:identifier")
        form = dict(zip(names, values, strict=True))
        return client.post("/fhir/Appointment/_search", data=form)

    assert answer(one, two).status_code == 400
    assert ids(answer(one, one)) == [made["id"]]
    alone = client.post("/fhir/Appointment/_search", data={"patient:identifier": one})
    assert ids(alone) == [made["id"]]


# Pages.


def next_of(bundle: Any) -> str | None:
    """Return the path of the next page."""
    links = {each["relation"]: each["url"] for each in bundle["link"]}
    url: str | None = links.get("next")
    return None if url is None else url.removeprefix("http://gateway.test")


@pytest.mark.parametrize("sort", ["date", "-date"])
def test_pages_have_each_appointment_once(
    client: FlaskClient, number: str, sort: str
) -> None:
    """The pages together are the whole list, though a booking is made meanwhile."""
    made = [book(client, region, number).json for region in REGIONS]
    expected = ids(search(client, number, _sort=sort))

    response = search(client, number, _sort=sort, _count="1")
    first = ids(response)
    seen = list(first)
    assert response.json is not None
    assert response.json["total"] == len(made)
    url = next_of(response.json)
    book(client, "norr", number)
    while url is not None:
        assert number not in url
        page = client.get(url)
        seen += ids(page)
        assert page.json is not None
        url = next_of(page.json)
    assert [each for each in seen if each in expected] == expected
    assert len(set(seen)) == len(seen)


def test_the_form_of_the_answer_goes_with_its_pages(
    client: FlaskClient, number: str
) -> None:
    """`_elements` shortens each page, and `_summary=count` only counts."""
    for region in ("norr", "syd"):
        book(client, region, number)

    bundle = search(client, number, _elements="status", _count="1").json
    assert bundle is not None
    following = next_of(bundle)
    assert following is not None
    for page in (bundle, client.get(following).json):
        (shown,) = (
            each["resource"]
            for each in page["entry"]
            if each["search"]["mode"] == "match"
        )
        assert "status" in shown
        assert "created" not in shown
    counted = search(client, number, _summary="count").json
    assert counted is not None
    assert counted["total"] == 2
    assert all(each["search"]["mode"] != "match" for each in counted.get("entry", ()))


def test_a_count_of_zero_only_counts(client: FlaskClient, number: str) -> None:
    """With `_count` 0 there is a total and no appointment."""
    book(client, "norr", number)

    response = search(client, number, _count="0")
    assert found(response) == []
    assert response.json is not None
    assert response.json["total"] == 1
    assert next_of(response.json) is None


def test_no_total_is_counted_for_who_wants_none(
    client: FlaskClient, number: str
) -> None:
    """With `_total` none there is no total."""
    response = search(client, number, _total="none")

    assert response.json is not None
    assert "total" not in response.json


# Included resources.


@pytest.mark.parametrize("again", ["iterate", "recurse"])
def test_slots_and_actors_are_included(
    client: FlaskClient, number: str, again: str
) -> None:
    """`_include` brings the slot, the unit, its service and its staff, each once."""
    made = book(client, "norr", number).json
    assert made is not None

    bundle = search(
        client,
        number,
        _include=["Appointment:slot", "Appointment:actor", "Appointment:location"],
        **{f"_include:{again}": "Location:organization"},
    ).json
    assert bundle is not None
    included = [
        f"{each['resource']['resourceType']}/{each['resource']['id']}"
        for each in bundle["entry"]
        if each["search"]["mode"] == "include"
    ]
    assert sorted(
        each for each in included if not each.startswith("Organization/")
    ) == sorted(
        [
            made["slot"][0]["reference"],
            actor_of(made, "Location"),
            actor_of(made, "HealthcareService"),
            f"Practitioner/{staff_of(made)}",
        ]
    )
    assert len(included) == 5


# Without a resident.


def test_single_appointments_are_found_by_get(
    client: FlaskClient, numbers: list[str]
) -> None:
    """By `_id`, `identifier` or `slot`, GET finds what a read would show."""
    one, two = (book(client, "norr", number).json for number in numbers[:2])
    assert one is not None
    assert two is not None
    (identifier,) = one["identifier"]

    def those(**query: str) -> list[str]:
        return ids(client.get("/fhir/Appointment", query_string=query))

    assert those(_id=one["id"]) == [one["id"]]
    assert sorted(those(_id=f"{one['id']},{two['id']}")) == sorted(
        [one["id"], two["id"]]
    )
    assert those(_id=one["id"], status="cancelled") == []
    assert those(_id="11111111-1111-4111-8111-111111111111") == []
    assert those(identifier=f"{identifier['system']}|{identifier['value']}") == [
        one["id"]
    ]
    assert those(slot=one["slot"][0]["reference"]) == [one["id"]]
    assert those(slot="Slot/X") == []


def test_what_no_region_was_asked_for_is_said(client: FlaskClient, number: str) -> None:
    """A search by slot alone says that it finds only what was booked here."""
    made = book(client, "norr", number).json
    assert made is not None

    bundle = client.get(
        "/fhir/Appointment", query_string={"slot": made["slot"][0]["reference"]}
    ).json
    assert bundle is not None
    assert "total" not in bundle
    assert outcome_entries(bundle) == [
        issue(
            "informational",
            "Without a resident no region is asked for its list: only appointments"
            " that this server knows are found by identifier, and only those that were"
            " booked here by slot. To find all of a resident's, send"
            " patient.identifier by POST to Appointment/_search.",
            severity="information",
            error=ErrorCode.REGION_IS_NOT_ASKED,
        )
    ]


def test_too_many_single_appointments_are_refused(client: FlaskClient) -> None:
    """Each single appointment is a question to a region, so that they have a limit."""
    many = ",".join(f"id-{number}" for number in range(21))
    response = client.get("/fhir/Appointment", query_string={"_id": many})

    assert_outcome(
        response,
        400,
        issue(
            "too-costly",
            "Each of these asks a region: name at most 20 of them.",
        ),
    )


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("specialty", "no contract of the regions has it"),
        (
            "patient",
            (
                "use patient.identifier or patient:identifier, by POST; there are no"
                " Patient resources here"
            ),
        ),
    ],
)
def test_a_parameter_that_no_region_has_is_refused_with_the_reason(
    client: FlaskClient, name: str, why: str
) -> None:
    """A client reads why R4's parameter cannot be answered here."""
    assert_outcome(
        search(client, _TOLVAN, **{name: "x"}),
        400,
        issue(
            "not-supported",
            f"{name}: is not a parameter of this search: {why}.",
            location=f"http.{name}",
        ),
    )


def test_the_purpose_of_an_invitation_is_a_narrative(client: FlaskClient) -> None:
    """`_summary=text` asks for it, `data` leaves it out, and XML has it as XHTML."""
    (invitation,) = (
        each
        for each in found(search(client, _TOLVAN))
        if each["extension"][1]["valueBoolean"]
    )
    url = f"/fhir/Appointment/{invitation['id']}"
    text = client.get(url, query_string={"_summary": "text"}).json
    data = client.get(url, query_string={"_summary": "data"}).json
    xml = client.get(url, query_string={"_format": "xml"}).text

    assert text["text"] == invitation["text"]
    assert "patientInstruction" not in text
    assert "text" not in data
    assert f'<text><status value="generated"/>{invitation["text"]["div"]}</text>' in xml
