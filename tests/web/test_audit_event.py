"""
AuditEvent: a resident's own part of the audit trail.

https://hl7.org/fhir/R4/auditevent.html
"""

import sqlite3
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import pytest
from assertions import assert_outcome, assert_searchset, issue
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from fhir_gateway.bootstrap import Program

from .bodies import PERSONNUMMER, book
from .running import BASE_URL, OtherPrograms

_TOLVAN = "191212121212"
_OTHER = "198001019804"
_NOWHERE = "0fca9c56-1f0a-4766-b473-548c9350eb8b"


@pytest.fixture(name="own")
def _own(other_programs: OtherPrograms) -> Any:
    """Give a client of a gateway with an empty audit trail."""
    with other_programs.start() as made:
        yield made, made.app.test_client()


def search(client: FlaskClient, number: str = _TOLVAN, **more: str) -> TestResponse:
    """Search for the records about a person."""
    return client.post(
        "/fhir/AuditEvent/_search",
        data={"patient.identifier": f"{PERSONNUMMER}|{number}", **more},
    )


def appointments(client: FlaskClient, number: str = _TOLVAN) -> TestResponse:
    """Search for the appointments of a person."""
    return client.post(
        "/fhir/Appointment/_search",
        data={"patient.identifier": f"{PERSONNUMMER}|{number}"},
        headers={"X-Request-Id": "request-1"},
    )


def said(event: dict[str, Any]) -> tuple[str, str]:
    """Return what an AuditEvent is about: the type and the interaction."""
    data = [each for each in event["entity"] if each["role"]["code"] == "4"]
    return data[0]["name"], event["subtype"][0]["code"]


def test_a_search_for_appointments_is_recorded(
    own: tuple[Program, FlaskClient],
) -> None:
    """A search is recorded with the sources that it may have asked."""
    _, client = own
    assert appointments(client).status_code == 200

    first, second = assert_searchset(search(client))
    assert [said(first), said(second)] == [
        ("AuditEvent", "search"),
        ("Appointment", "search"),
    ]
    sources = [
        each["name"] for each in second["entity"] if each["role"]["code"] == "17"
    ]
    assert sources == ["norr", "mitt", "syd"]


def test_a_booking_is_recorded_with_its_source(client: FlaskClient) -> None:
    """A create names the one source that it asks, and later requests the booking."""
    created = book(client, "norr", _TOLVAN)
    assert created.json is not None
    identifier = created.json["id"]
    client.get(f"/fhir/Appointment/{identifier}")

    _, read, create, *_ = assert_searchset(search(client))
    assert (said(create), said(read)) == (
        ("Appointment", "create"),
        ("Appointment", "read"),
    )
    assert [each["what"] for each in read["entity"] if each["role"]["code"] == "4"] == [
        {"reference": f"Appointment/{identifier}"}
    ]
    for event in (create, read):
        assert [
            each["name"] for each in event["entity"] if each["role"]["code"] == "17"
        ] == ["norr"]


def test_nobody_sees_what_concerns_others(own: tuple[Program, FlaskClient]) -> None:
    """A list has no record about another person."""
    _, client = own
    appointments(client)

    (event,) = assert_searchset(search(client, _OTHER))
    assert said(event) == ("AuditEvent", "search")


def test_a_record_is_read_by_its_id(own: tuple[Program, FlaskClient]) -> None:
    """A read returns the same as a search."""
    _, client = own
    appointments(client)
    *_, event = assert_searchset(search(client))

    read = client.get(f"/fhir/AuditEvent/{event['id']}")

    assert (read.status_code, read.json) == (200, event)


@pytest.mark.parametrize("identifier", [_NOWHERE, "x", _NOWHERE.upper(), "1" * 64])
def test_an_unknown_record_is_not_found(client: FlaskClient, identifier: str) -> None:
    """An id of no record is 404, in any form."""
    assert_outcome(
        client.get(f"/fhir/AuditEvent/{identifier}"),
        404,
        issue("not-found", "There is no such record of the audit trail."),
    )


def test_pages_follow_each_other_without_a_number(
    own: tuple[Program, FlaskClient],
) -> None:
    """Each next link continues the same person's list, and names nobody."""
    _, client = own
    for _ in range(5):
        appointments(client)
        appointments(client, _OTHER)
    response = search(client, _count="2")
    pages = []
    while True:
        page = assert_searchset(response)
        pages.append([each["id"] for each in page])
        links = {
            each["relation"]: each["url"] for each in (response.json or {})["link"]
        }
        assert not [url for url in links.values() if "1212" in url]
        if "next" not in links:
            break
        assert links["next"].startswith(f"{BASE_URL}/AuditEvent?_count=2&_cursor=")
        parts = urlsplit(links["next"])
        response = client.get(f"{parts.path}?{parts.query}")
    ids = [each for page in pages for each in page]

    # Five searches for appointments, and the first search for records.
    assert [len(page) for page in pages] == [2, 2, 2]
    assert len(set(ids)) == 6


@pytest.mark.parametrize(
    ("date", "count"),
    [("ge2026-01-01", 2), ("lt2026-01-01", 0), ("gt2100", 0)],
)
def test_a_date_narrows(
    own: tuple[Program, FlaskClient], date: str, count: int
) -> None:
    """Only what was recorded within is found."""
    _, client = own
    appointments(client)

    assert len(assert_searchset(search(client, date=date))) == count


@pytest.mark.parametrize("counting", [{"_summary": "count"}, {"_count": "0"}])
def test_records_are_counted(
    own: tuple[Program, FlaskClient], counting: dict[str, str]
) -> None:
    """_summary=count, and a page of none, have the number of records as total."""
    _, client = own
    for _ in range(3):
        appointments(client)
        appointments(client, _OTHER)
    before = search(client, **counting, date="lt2026-01-01").json or {}
    found = search(client, **counting).json or {}

    # Three searches for appointments, and both searches for records.
    assert (before["total"], found["total"]) == (0, 5)
    assert "entry" not in found
    assert [each["relation"] for each in found["link"]] == ["self"]


def test_a_cursor_of_another_person_is_not_found(
    own: tuple[Program, FlaskClient],
) -> None:
    """A next link continues with nobody else's list."""
    _, client = own
    appointments(client)
    response = search(client, _count="1")
    (link,) = [
        each["url"]
        for each in (response.json or {})["link"]
        if each["relation"] == "next"
    ]
    cursor = link.partition("_cursor=")[2]

    assert search(client, _OTHER, _cursor=cursor).status_code == 404
    assert search(client, _TOLVAN, _cursor=cursor).status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        f"patient.identifier={PERSONNUMMER}|x",
        "patient=x",
        "agent=x",
        "entity=x",
        "patient:Patient.identifier=x",
    ],
)
def test_a_person_in_a_url_is_refused(client: FlaskClient, query: str) -> None:
    """A search by GET names no person."""
    assert_outcome(
        client.get(f"/fhir/AuditEvent?{query}"),
        400,
        issue(
            "security",
            "A personal number must not be in a URL: leave it out to search for your"
            " own records, or send it by POST to AuditEvent/_search.",
        ),
    )


def test_who_is_nobody_names_a_person(client: FlaskClient) -> None:
    """Without a resident who is logged in, the form has to name one."""
    response = client.get("/fhir/AuditEvent")

    assert response.status_code == 400
    assert "send patient.identifier" in response.text


def test_without_a_row_nothing_is_read(
    own: tuple[Program, FlaskClient], other_programs: OtherPrograms
) -> None:
    """A trail that takes no row makes every request about a person 503."""
    _, client = own
    appointments(client)
    file = other_programs.settings.data_dir / f"other-{other_programs.started}"
    with closing(sqlite3.connect(file / "journal.sqlite")) as connection, connection:
        connection.execute("DELETE FROM audit_anchor")

    answers = [
        appointments(client),
        search(client),
        client.get(f"/fhir/Appointment/{_NOWHERE}"),
        client.get(f"/fhir/AuditEvent/{_NOWHERE}"),
    ]

    assert [each.status_code for each in answers] == [503] * 4
    assert {each.headers["Retry-After"] for each in answers} == {"30"}
    assert "The audit trail cannot be written just now" in answers[0].text
    assert client.get("/fhir/Slot?_count=0").status_code == 200
