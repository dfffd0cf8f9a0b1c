"""
Appointment search-type: a resident's bookings, by POST alone.

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
    "A personal number must not be in a URL: send the parameters by POST to"
    " Appointment/_search.",
)
_MITT_NOT_ASKED = issue(
    "informational",
    "Region Mitt (sandlåda) is asked only about units at which this server knows a"
    " booking; times booked elsewhere may be missing. (source mitt)",
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


def test_the_self_link_repeats_no_parameter(client: FlaskClient, number: str) -> None:
    """What was searched for is personal: the self link does not repeat it."""
    bundle = search(client, number, status="booked").json

    assert bundle is not None
    assert bundle["link"] == [
        {"relation": "self", "url": f"{BASE_URL}/Appointment/_search"}
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
            " out of date. (source syd)",
            severity="warning",
            error=ErrorCode.REGION_IS_UNAVAILABLE,
        ),
        _MITT_NOT_ASKED,
    ]
    assert "total" not in response.json


def test_a_unit_that_did_not_answer_its_region_is_reported(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """When a unit is missing from a region's answer the bundle says so."""
    booked = book(client, "norr", number).json
    assert booked is not None
    unit = booked["identifier"][0]["system"].rpartition("/")[2]
    sandbox.spoil(
        "norr",
        "vp-fault",
        interactions=["GetSubjectOfCareSchedule"],
        units=[unit],
    )

    response = search(client, number)
    assert [each["id"] for each in found(response)] == [booked["id"]]
    assert response.json is not None
    assert issue(
        "incomplete",
        "Region Norr (sandlåda): 1 units did not answer. (source norr)",
        severity="warning",
        error=ErrorCode.REGION_ANSWERED_IN_PART,
    ) in outcome_entries(response.json)


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
        *("patient:Patient.identifier=x", "patient=Patient/x", "identifier=x"),
        *("patient.name=x", "actor=Patient/x"),
    ],
)
def test_who_somebody_is_stands_in_no_url(client: FlaskClient, query: str) -> None:
    """
    A search by GET that names a patient is refused, and the refusal repeats nothing.
    """
    response = client.get(f"/fhir/Appointment?{query}")

    assert_outcome(response, 400, _NEVER_IN_A_URL)


@pytest.mark.parametrize(
    "query", ["", "slot=Slot/1", "date=ge2026-12-01", "status=booked", "_count=5"]
)
def test_a_search_by_get_is_refused(client: FlaskClient, query: str) -> None:
    """A search by GET cannot name a patient; the refusal says how to search."""
    response = client.get(f"/fhir/Appointment?{query}")

    assert_outcome(
        response,
        400,
        issue(
            "not-supported",
            "A search finds the appointments of one resident only: send"
            " patient.identifier as system|number, and everything else, in a form by"
            " POST to Appointment/_search.",
            error=ErrorCode.NOT_SUPPORTED,
        ),
    )


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
        "status: appointments here are pending, booked, cancelled and no other; a"
        " search for another status finds nothing. Only the region knows whether a"
        " patient came.",
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

    assert_outcome(
        response,
        400,
        issue(
            "value",
            "patient.identifier: give the resident's number, as system|number.",
            location="http.patient.identifier",
        ),
    )


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


def test_a_service_type_is_no_parameter_here(client: FlaskClient, number: str) -> None:
    """A parameter of another search is refused, without its value."""
    response = search(client, number, **{"service-type": COVID_VACCINATION})

    assert_outcome(
        response,
        400,
        issue(
            "not-supported",
            "service-type: is not a parameter of this search; see /metadata for those"
            " that are.",
            location="http.service-type",
        ),
    )
