"""
R4's rules for search parameters, over every search: no answer looks empty by mistake.
"""

from typing import Any, Final

import pytest
from assertions import assert_outcome, assert_searchset, issue, outcome_entries
from examples import examples
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.web.slot_query import SlotSearchSchema

from .bodies import COVID_VACCINATION, FHIR_JSON, PERSONNUMMER
from .dialects import parameters

_CODE: Final = "service-type=72791000052103"
_LENIENT: Final = {"Prefer": "handling=lenient"}
_OWN: Final = "https://fhir-gateway.example.org/CodeSystem/time-types-"
_SEARCHES: Final = ("Slot", "HealthcareService")


def bundle_of(client: FlaskClient, url: str, **options: Any) -> dict[str, Any]:
    """Return a searchset."""
    response = client.get(f"/fhir/{url}", **options)
    assert_searchset(response)
    bundle: dict[str, Any] | None = response.json
    assert bundle is not None
    return bundle


def unknown(name: str) -> dict[str, Any]:
    """Return what is said of a parameter that names what nobody knows."""
    return issue(
        "not-found",
        f"{name}: this server does not know that name or code, so the search finds"
        " nothing.",
        severity="warning",
        location=f"http.{name}",
        error=ErrorCode.NOT_FOUND,
    )


# Tokens.


@pytest.mark.parametrize("kind", _SEARCHES)
@pytest.mark.parametrize(
    ("token", "reason"),
    [
        pytest.param(
            "|72791000052103",
            "expected a code, system|code or system|: every code here has a system",
            id="no system",
        ),
        pytest.param(
            "http://snomed.info/sct|1|72791000052103",
            "expected at most one | that is not escaped: a version cannot be searched"
            " for",
            id="a version",
        ),
        *(
            pytest.param(
                f"{system}|72791000052103",
                "this server has no code of that system; see the codings in what a"
                " search finds, or send the code alone",
                id=system,
            )
            for system in (
                *("http://snomed.info/sct/", "https://snomed.info/sct", "urn:x"),
                f"{_OWN}å",
            )
        ),
    ],
)
def test_a_token_that_no_time_type_can_have_is_refused(
    client: FlaskClient, kind: str, token: str, reason: str
) -> None:
    """What can never fit is 400 and no empty answer, in every search."""
    expected = issue("value", f"service-type: {reason}.", location="http.service-type")

    assert_outcome(client.get(f"/fhir/{kind}?service-type={token}"), 400, expected)
    assert_outcome(
        client.get(f"/fhir/{kind}?service-type={token}", headers=_LENIENT),
        400,
        expected,
    )


def test_find_refuses_the_same_tokens(client: FlaskClient) -> None:
    """By GET and by POST, in the words of the call."""
    by_get = client.get("/fhir/Appointment/$find?visit-type=urn:x|1")
    by_post = client.post(
        "/fhir/Appointment/$find",
        json=parameters(
            {"name": "visit-type", "valueCoding": {"system": "urn:x", "code": "1"}}
        ),
        content_type=FHIR_JSON,
    )

    expected = issue(
        "value",
        "visit-type: this server has no code of that system; see the codings in what a"
        " search finds, or send the code alone.",
        location="http.visit-type",
    )
    assert_outcome(by_get, 400, expected)
    assert_outcome(by_post, 400, expected)


@pytest.mark.parametrize("kind", _SEARCHES)
@pytest.mark.parametrize(
    ("system", "codings"),
    [
        pytest.param("http://snomed.info/sct", {"http://snomed.info/sct"}, id="shared"),
        pytest.param(
            f"{_OWN}SE2321009901-1001", {f"{_OWN}SE2321009901-1001"}, id="a unit's own"
        ),
    ],
)
def test_a_system_alone_finds_every_code_of_it(
    client: FlaskClient, kind: str, system: str, codings: set[str]
) -> None:
    """`system|` stands for any code of that system (R4, 3.1.1.4.10)."""
    bundle = bundle_of(client, f"{kind}?service-type={system}|&_count=1000")

    found = [entry["resource"] for entry in bundle["entry"]]
    element = "serviceType" if kind == "Slot" else "type"
    assert all(
        codings <= {coding["system"] for coding in each[element][0]["coding"]}
        for each in found
    )
    whole = bundle_of(client, f"{kind}?_count=0")["total"]
    assert 0 < bundle["total"] < whole


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        *(
            (kind, "service-type", value)
            for kind in _SEARCHES
            for value in (
                *("1", "http://snomed.info/sct|1", "1,2", f"{_OWN}SE1-1|TT"),
                f"{_OWN}SE2321009901-1001|NO",
            )
        ),
        *((kind, "_source", "urn:oid:1.2.3") for kind in _SEARCHES),
        *(
            (kind, "_source", "https://fhir-gateway.example.org/source/nowhere")
            for kind in _SEARCHES
        ),
        ("HealthcareService", "location", "SE1-1"),
        ("HealthcareService", "organization", "SE1-1"),
        ("Slot", "schedule", "SE2321009901-1001"),
        *(
            ("Slot", name, value)
            for name in (
                *("schedule.actor:Location", "schedule.actor:HealthcareService"),
                *(
                    "schedule.actor:Practitioner",
                    "schedule.actor:HealthcareService.organization",
                ),
            )
            for value in ("SE1-1", "a")
        ),
    ],
)
def test_what_is_not_known_here_is_said_so(
    client: FlaskClient, kind: str, name: str, value: str
) -> None:
    """A search with an unknown value is not just empty: it has an outcome."""
    bundle = bundle_of(client, f"{kind}?{name}={value}")

    assert outcome_entries(bundle) == [unknown(name)]
    assert "total" not in bundle


def test_find_says_what_is_not_known_in_its_own_words(client: FlaskClient) -> None:
    """The parameter is named as the client called it."""
    bundle = bundle_of(client, "Appointment/$find?visit-type=1")

    assert outcome_entries(bundle) == [unknown("visit-type")]
    assert "total" not in bundle


@pytest.mark.parametrize(
    "query",
    [
        f"{_CODE}&start=ge2126-01-01",
        "schedule.actor:Location=SE2321009901-1001&schedule.actor:Location=SE2321009903-1001",
        "schedule.actor:Location.near=0|0|1",
        f"service-type=1,{COVID_VACCINATION}&start=ge2126-01-01",
    ],
)
def test_what_is_known_and_not_free_is_plainly_nothing(
    client: FlaskClient, query: str
) -> None:
    """Where every named value is known, an empty result has no outcome."""
    bundle = bundle_of(client, f"Slot?{query}")

    assert (bundle["total"], outcome_entries(bundle)) == (0, [])


@pytest.mark.parametrize("query", ["busy", "busy,busy-tentative", "free&status=busy"])
def test_a_search_for_slots_that_are_not_free_is_said_to_find_none(
    client: FlaskClient, query: str
) -> None:
    """Taken slots are not searched for: the answer does not look as if none were."""
    for _ in range(3):
        bundle = bundle_of(client, f"Slot?{_CODE}&status={query}")

        assert outcome_entries(bundle) == [
            issue(
                "not-supported",
                "status: a search finds free slots only; read a slot by its id to see"
                " whether it is taken.",
                severity="warning",
                location="http.status",
                error=ErrorCode.NOT_SUPPORTED,
            )
        ]
        assert "total" not in bundle


def test_a_search_for_free_slots_and_others_is_said_to_find_the_free_ones(
    client: FlaskClient,
) -> None:
    """The free ones are found; a total would look as if no other existed."""
    free = bundle_of(client, f"Slot?{_CODE}&status=free")
    both = bundle_of(client, f"Slot?{_CODE}&status=busy,free")

    found = [each for each in both["entry"] if each["search"]["mode"] == "match"]
    assert found == free["entry"] != []
    assert outcome_entries(both) == [
        issue(
            "not-supported",
            "status: a search finds free slots only; read a slot by its id to see"
            " whether it is taken.",
            severity="warning",
            location="http.status",
            error=ErrorCode.NOT_SUPPORTED,
        )
    ]
    assert "total" not in both


@pytest.mark.parametrize(
    "bounds",
    [
        *("start=le9999-12-31", "start=lt9999-12-31T23:59:59Z", "start=lt9999"),
        *("start=ge0001-01-01", "start=gt0001-01-01T00:00:00", "start=ge0001"),
        "start=ge0001-01-01&start=le9999-12-31",
    ],
)
def test_an_open_bound_finds_the_same_as_none(client: FlaskClient, bounds: str) -> None:
    """The ends of the calendar leave no slot out."""
    everything = bundle_of(client, f"Slot?{_CODE}")

    bundle = bundle_of(client, f"Slot?{_CODE}&{bounds}")
    assert bundle["entry"] == everything["entry"] != []
    assert bundle["total"] == everything["total"]


@pytest.mark.parametrize("bound", ["lt0001-01-01", "gt9999-12-31"])
def test_nothing_begins_beyond_the_calendar(client: FlaskClient, bound: str) -> None:
    """No slot is before the first day, and none after the last one."""
    bundle = bundle_of(client, f"Slot?{_CODE}&start={bound}")

    assert (bundle.get("entry", []), bundle["total"]) == ([], 0)


def test_a_wrong_cursor_is_named_with_the_other_faults(client: FlaskClient) -> None:
    """A cursor of somebody else's hides no other fault."""
    response = client.get("/fhir/Slot?start=x&_cursor=x")

    assert response.json is not None
    assert sorted(each["location"][0] for each in response.json["issue"]) == [
        "http._cursor",
        "http.start",
    ]


@pytest.mark.parametrize("value", ["http://wrong|free", "free,http://wrong|free"])
def test_a_status_of_another_system_is_refused(client: FlaskClient, value: str) -> None:
    """Only codes of R4's own system are statuses."""
    response = client.get(f"/fhir/Slot?status={value}")

    assert_outcome(
        response,
        400,
        issue(
            "value",
            "status: expected http://hl7.org/fhir/slotstatus|code, or a code alone.",
            location="http.status",
        ),
    )


def test_a_status_that_no_appointment_ever_has_is_said_to_find_none(
    client: FlaskClient, number: str
) -> None:
    """Only the region knows who came, so that no answer says that nobody came."""
    response = client.post(
        "/fhir/Appointment/_search",
        data={"patient.identifier": f"{PERSONNUMMER}|{number}", "status": "fulfilled"},
    )
    wrong = client.post(
        "/fhir/Appointment/_search",
        data={
            "patient.identifier": f"{PERSONNUMMER}|{number}",
            "status": "http://hl7.org/fhir/slotstatus|booked",
        },
    )

    assert assert_searchset(response) == []
    assert response.json is not None
    assert "total" not in response.json
    assert outcome_entries(response.json)[0]["location"] == ["http.status"]
    assert wrong.status_code == 400


# Leniently.


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *(
            (kind, f"service-type:{each}")
            for kind in _SEARCHES
            for each in ("above", "of-type")
        ),
        ("Slot", "start:text"),
        ("Slot", "schedule:Location"),
        ("Slot", "schedule.actor:Location.type"),
        ("Slot", "schedule.actor:Location.near:below"),
        ("HealthcareService", "location.colour"),
        ("HealthcareService", "organization:Patient"),
    ],
)
@pytest.mark.parametrize("value", ["x", ""])
def test_an_unknown_modifier_never_widens_a_search(
    client: FlaskClient, kind: str, name: str, value: str
) -> None:
    """A known parameter with an unknown modifier is refused, leniently too."""
    response = client.get(f"/fhir/{kind}?{name}={value}", headers=_LENIENT)

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


@pytest.mark.parametrize("kind", _SEARCHES)
def test_what_is_left_out_leniently_is_named(client: FlaskClient, kind: str) -> None:
    """An unknown parameter is named in an outcome entry, and not in the self link."""
    for _ in range(3):
        bundle = bundle_of(client, f"{kind}?colour=red&{_CODE}", headers=_LENIENT)

        assert outcome_entries(bundle) == [
            issue(
                "not-supported",
                "colour: is not a parameter of this search and was left out (Prefer:"
                " handling=lenient). The answer may hold matches that it would"
                " exclude.",
                severity="warning",
                location="http.colour",
                error=ErrorCode.FILTER_IS_NOT_APPLIED,
            )
        ]
        assert bundle["link"][0]["url"].endswith(f"/{kind}?{_CODE}")


def test_a_strict_search_has_no_part_in_a_lenient_one(client: FlaskClient) -> None:
    """The same query with nothing to leave out has no outcome, also when it is kept."""
    for _ in range(3):
        lenient = bundle_of(client, f"Slot?x=1&{_CODE}&_count=3", headers=_LENIENT)
        strict = bundle_of(client, f"Slot?{_CODE}&_count=3")

        assert len(outcome_entries(lenient)) == 1
        assert outcome_entries(strict) == []


# Parameters without a value.


_EMPTY: Final = st.lists(
    st.sampled_from([*SlotSearchSchema().by_name, "_format", "_pretty", "colour"]),
    max_size=4,
)


@given(names=_EMPTY)
@settings(
    max_examples=examples(60),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_empty_parameters_change_nothing(client: FlaskClient, names: list[str]) -> None:
    """A form's empty fields are no parameters (R4, 3.1.1.3)."""
    whole = client.get(f"/fhir/Slot?{_CODE}&_count=2").json

    empty = "&".join(f"{name}=" for name in names)
    found = client.get(f"/fhir/Slot?{empty}&{_CODE}&_count=2")

    assert found.json == whole


def test_empty_parameters_are_ignored_in_every_search(
    client: FlaskClient, number: str
) -> None:
    """Of a form, of `$find` by GET, and of HealthcareService."""
    slots = client.post("/fhir/Slot/_search", data={"status": "", "_count": "2"})
    found = client.get("/fhir/Appointment/$find?start=&visit-type=&_count=2")
    services = client.get("/fhir/HealthcareService?service-type=&location=&_count=2")
    listed = client.post(
        "/fhir/Appointment/_search",
        data={
            "patient.identifier": f"{PERSONNUMMER}|{number}",
            "status": "",
            "date": "",
        },
    )

    assert [len(assert_searchset(each)) for each in (slots, found, services)] == [2] * 3
    assert assert_searchset(listed) == []


def test_an_empty_number_is_no_number(client: FlaskClient) -> None:
    """A parameter that is needed is missing when it is empty."""
    response = client.post("/fhir/Appointment/_search", data={"patient.identifier": ""})

    assert_outcome(
        response,
        400,
        issue(
            "required",
            "Your request names no resident: send patient.identifier, as"
            " system|number, in a form by POST to Appointment/_search; or search for"
            " single appointments by _id, identifier or slot.",
            location="http.patient.identifier",
        ),
    )


@pytest.mark.parametrize("value", ["191212121212", "1912-12121212"])
@pytest.mark.parametrize("kind", ["Slot", "HealthcareService"])
def test_no_link_holds_a_personal_number_of_a_form(
    client: FlaskClient, kind: str, value: str
) -> None:
    """A search by POST has links too, and they are URLs."""
    response = client.post(f"/fhir/{kind}/_search", data={"service-type": value})

    assert_outcome(
        response,
        400,
        issue(
            "security",
            "A personal number must not be in this search: the links of the answer,"
            " which are URLs, would repeat it.",
            error=ErrorCode.PERSONAL_NUMBER_IN_URL,
        ),
    )
    assert "1212" not in response.text
