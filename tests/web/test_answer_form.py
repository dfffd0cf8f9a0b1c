"""
The form of answers: JSON or XML, indented, in parts.

https://hl7.org/fhir/R4/http.html#parameters
"""

import json
from typing import Any, Final
from uuid import uuid4

import pytest
from assertions import assert_outcome, issue
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from fhir_gateway.fhir.r4 import ANSWERED
from fhir_gateway.fhir.resource_xml import resource_from_xml, xml_from_resource
from fhir_gateway.fhir.subset import Subset, Summary, subset_of_answer

from .bodies import FHIR_JSON, PERSONNUMMER, appointment, book, free_slots

AS_XML: Final = "application/fhir+xml;charset=utf-8"
_UNIT: Final = "SE2321009901-1001"
_SUBSETTED: Final = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
}


def _of_xml(response: TestResponse) -> dict[str, Any]:
    assert response.headers["Content-Type"] == AS_XML
    return resource_from_xml(response.data, types=ANSWERED)


def _with_format(url: str, value: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}_format={value}"


def _without_links(answer: dict[str, Any]) -> dict[str, Any]:
    answer.pop("link", None)
    return answer


_URLS: Final = [
    pytest.param(url, id=url)
    for url in (
        "/fhir",
        f"/fhir/Location/{_UNIT}",
        f"/fhir/Organization/{_UNIT}",
        "/fhir/Location/no-such-id",
        "/fhir/nothing",
        "/fhir/Slot?colour=red",
        "/fhir/Appointment/no-such-id",
        "/fhir/Slot?_count=3&_include=Slot:schedule&_include:iterate=Schedule:actor",
        "/fhir/HealthcareService?_count=2",
        "/fhir/Appointment/$find?start=2026-01-01&end=2099-01-01&_count=2",
    )
]


@pytest.mark.parametrize("url", _URLS)
def test_an_answer_is_the_same_in_xml(client: FlaskClient, url: str) -> None:
    """Answers and errors have the same content and status in both forms."""
    as_json = client.get(_with_format(url, "json"))
    as_xml = client.get(_with_format(url, "xml"))

    assert as_json.json is not None
    assert (as_xml.status_code, _without_links(_of_xml(as_xml))) == (
        as_json.status_code,
        _without_links(as_json.json),
    )


def test_xml_can_be_sent_and_gotten(client: FlaskClient, number: str) -> None:
    """A client that speaks XML alone books, reads and cancels."""
    slot = next(free_slots(client))["id"]
    headers = {"Accept": "application/fhir+xml", "Content-Type": "application/fhir+xml"}

    made = client.post(
        "/fhir/Appointment",
        data=xml_from_resource(appointment(slot, number)),
        headers=headers,
    )
    booked = _of_xml(made)
    read = client.get(f"/fhir/Appointment/{booked['id']}", headers=headers)
    cancelled = client.put(
        f"/fhir/Appointment/{booked['id']}",
        data=xml_from_resource({**_of_xml(read), "status": "cancelled"}),
        headers=headers,
    )

    assert [each.status_code for each in (made, read, cancelled)] == [201, 200, 200]
    assert (booked["status"], booked["slot"]) == (
        "booked",
        [{"reference": f"Slot/{slot}"}],
    )
    assert _of_xml(read).items() >= {**booked, "meta": _of_xml(read)["meta"]}.items()
    assert _of_xml(cancelled)["status"] == "cancelled"


def test_a_key_knows_the_same_body_in_both_forms(
    client: FlaskClient, number: str
) -> None:
    """The content of a request counts, and the answer has the form of each request."""
    body = appointment(next(free_slots(client))["id"], number)
    headers = {"Idempotency-Key": str(uuid4())}

    first = client.post(
        "/fhir/Appointment", json=body, content_type=FHIR_JSON, headers=headers
    )
    again = client.post(
        "/fhir/Appointment?_format=xml",
        data=xml_from_resource(body),
        content_type="application/fhir+xml",
        headers=headers,
    )

    assert first.json is not None
    assert (first.status_code, again.status_code) == (201, 201)
    assert _of_xml(again) == first.json


def test_faults_of_a_body_in_xml_are_those_of_json(client: FlaskClient) -> None:
    """Same status, same places, same words."""
    body = appointment("1", "191212121212", priority=-1, description="x")

    as_json = client.post("/fhir/Appointment", json=body, content_type=FHIR_JSON)
    as_xml = client.post(
        "/fhir/Appointment", data=xml_from_resource(body), content_type="text/xml"
    )

    assert (as_xml.status_code, as_xml.json) == (as_json.status_code, as_json.json)
    assert as_json.status_code == 422


def test_xml_that_cannot_be_read_is_refused(client: FlaskClient) -> None:
    """The answer has the form that the client accepts."""
    response = client.post(
        "/fhir/Appointment",
        data=b'<!DOCTYPE a><Appointment xmlns="http://hl7.org/fhir"/>',
        headers={"Content-Type": "application/fhir+xml"},
    )

    assert_outcome(
        response,
        400,
        issue(
            "structure",
            "It cannot be read: the body has a document type declaration.",
        ),
    )


@pytest.mark.parametrize("url", _URLS)
def test_an_indented_answer_is_the_same(client: FlaskClient, url: str) -> None:
    """_pretty is for people: lines and blanks are all that it adds."""
    plain = client.get(url)
    pretty = client.get(_with_format(url, "json&_pretty=true"))
    xml = client.get(_with_format(url, "xml&_pretty=true"))

    assert pretty.json is not None
    assert _without_links(pretty.json) == _without_links(json.loads(plain.data))
    assert pretty.data.startswith(b'{\n  "resourceType"')
    assert _without_links(_of_xml(xml)) == _without_links(pretty.json)
    assert b"\n  <" in xml.data


def test_pretty_is_a_boolean(client: FlaskClient) -> None:
    """Another value is refused everywhere."""
    for url in ("/fhir/metadata", "/fhir/Slot", "/fhir/Location/x"):
        assert_outcome(
            client.get(f"{url}?_pretty=yes"),
            400,
            issue(
                "value",
                "_pretty must be true or false, given once.",
                location="http._pretty",
            ),
        )


def _one_of_each(client: FlaskClient) -> list[str]:
    bundle = client.get(
        "/fhir/Slot?_count=1&_include=Slot:schedule&_include:iterate=Schedule:actor"
    ).json
    assert bundle is not None
    urls = {}
    for entry in bundle["entry"]:
        resource = entry["resource"]
        if "id" in resource:
            urls[resource["resourceType"]] = (
                f"/fhir/{resource['resourceType']}/{resource['id']}"
            )
    place = client.get(f"/fhir/Location/{_UNIT}").json
    assert place is not None
    return [*urls.values(), f"/fhir/{place['managingOrganization']['reference']}"]


@pytest.mark.parametrize("summary", ["true", "text", "data"])
def test_a_read_has_summaries(client: FlaskClient, summary: str) -> None:
    """Every kind of resource."""
    for url in _one_of_each(client):
        whole = client.get(url).json
        part = client.get(f"{url}?_summary={summary}").json

        assert whole is not None
        expected = subset_of_answer(whole, Subset(summary=Summary(summary)))
        assert part == expected
        assert part["meta"]["tag"][-1] == _SUBSETTED


def test_a_read_has_elements(client: FlaskClient) -> None:
    """Those that were asked for, with what R4 requires and what identifies it."""
    assert client.get(f"/fhir/Location/{_UNIT}?_elements=name").json == {
        "resourceType": "Location",
        "id": _UNIT,
        "meta": client.get(f"/fhir/Location/{_UNIT}").json["meta"]
        | {"tag": [_SUBSETTED]},
        "name": "Vårdcentralen Tallbacken, Umeå",
    }


def test_a_read_of_an_appointment_has_parts(client: FlaskClient, number: str) -> None:
    """An Appointment's participant is required, though no part of R4's summary."""
    whole = book(client, "norr", number).json
    assert whole is not None

    part = client.get(f"/fhir/Appointment/{whole['id']}?_elements=start").json

    assert part is not None
    assert part.keys() == {
        *("resourceType", "id", "meta", "status", "participant", "start")
    }
    assert part["meta"]["tag"][-1] == _SUBSETTED


@pytest.mark.parametrize("kind", ["Slot", "HealthcareService"])
def test_a_search_counts(client: FlaskClient, kind: str) -> None:
    """_summary=count gives the total alone, by GET and by POST."""
    whole = client.get(f"/fhir/{kind}?_count=5").json
    counted = client.get(f"/fhir/{kind}?_summary=count&_count=5").json
    posted = client.post(
        f"/fhir/{kind}/_search", data={"_summary": "count", "_count": "5"}
    ).json

    assert whole is not None
    assert counted == posted
    assert counted == {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": whole["total"],
        "link": [
            {
                "relation": "self",
                "url": f"{_base(whole)}/{kind}?_summary=count",
            }
        ],
    }


def _base(bundle: dict[str, Any]) -> str:
    url: str = bundle["link"][0]["url"]
    return url.partition("/fhir/")[0] + "/fhir"


def test_the_links_of_a_search_keep_its_form(client: FlaskClient) -> None:
    """The next page has the form of the first."""
    url = "/fhir/Slot?_elements=start&_count=2&_format=json&_pretty=true"

    bundle = client.get(url).json
    assert bundle is not None
    this, following = (each["url"] for each in bundle["link"])
    page = client.get("/fhir/" + following.partition("/fhir/")[2])

    form = "_count=2&_elements=start&_format=json&_pretty=true"
    assert this == f"{_base(bundle)}/Slot?{form}"
    assert following.partition("&_cursor=")[0] == this
    assert page.data.startswith(b'{\n  "resourceType"')
    assert {
        frozenset(entry["resource"])
        for entry in [*bundle["entry"], *page.json["entry"]]
    } == {frozenset({*_REQUIRED_OF_SLOT, "start"})}


_REQUIRED_OF_SLOT: Final = (
    *("resourceType", "id", "meta", "schedule", "status", "end"),
)


def test_a_part_and_the_whole_have_their_own_etags(client: FlaskClient) -> None:
    """A client that has the part does not have the whole."""
    whole, part, again = (
        client.get(url)
        for url in (
            "/fhir/Slot?_count=2",
            "/fhir/Slot?_count=2&_summary=true",
            "/fhir/Slot?_count=2&_summary=true",
        )
    )

    assert part.headers["ETag"] == again.headers["ETag"] != whole.headers["ETag"]
    assert (
        client.get(
            "/fhir/Slot?_count=2", headers={"If-None-Match": part.headers["ETag"]}
        ).status_code
        == 200
    )


def test_a_cached_search_is_given_in_each_form(client: FlaskClient) -> None:
    """The cache holds what the search found, and each client gets its own form."""
    url = "/fhir/Slot?_count=2&_sort=start"
    for _ in range(3):
        client.get(url)

    as_json, as_xml = (
        client.get(url, headers={"Accept": accept})
        for accept in ("application/fhir+json", "application/fhir+xml")
    )

    assert _of_xml(as_xml) == as_json.json


def test_every_fault_of_a_search_is_named_at_once(client: FlaskClient) -> None:
    """Those of its form beside those of its filters."""
    response = client.get("/fhir/Slot?_summary=x&_elements=colour&start=x")

    assert response.json is not None
    assert [each["location"] for each in response.json["issue"]] == [
        ["http._summary"],
        ["http._elements"],
        ["http.start"],
    ]


def test_a_summary_of_texts_includes_nothing(client: FlaskClient) -> None:
    """R4 forbids the two together."""
    assert_outcome(
        client.get("/fhir/Slot?_summary=text&_include=Slot:schedule"),
        400,
        issue(
            "not-supported",
            "_summary=text has no included resources: leave _include and _revinclude"
            " out, or ask for _summary=data.",
            location="http._summary",
        ),
    )


def test_an_entry_of_a_batch_has_its_own_part(client: FlaskClient) -> None:
    """Each as its own URL says; the batch has the form, and not its entries."""
    urls = [
        f"Location/{_UNIT}?_elements=name&_pretty=true",
        f"Location/{_UNIT}",
        f"Location/{_UNIT}?_summary=count",
    ]
    bundle = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [{"request": {"method": "GET", "url": url}} for url in urls],
    }

    answer = _of_xml(
        client.post(
            "/fhir?_format=xml",
            data=json.dumps(bundle),
            content_type="application/fhir+json",
        )
    )

    whole = client.get(f"/fhir/Location/{_UNIT}").json
    part = client.get(f"/fhir/Location/{_UNIT}?_elements=name").json
    first, second, third = answer["entry"]
    assert [first["resource"], second["resource"]] == [part, whole]
    assert third["response"]["status"].startswith("400")


def test_a_write_has_no_part(client: FlaskClient) -> None:
    """Prefer decides what a write answers."""
    response = client.post(
        "/fhir/Appointment?_summary=true", json={}, content_type=FHIR_JSON
    )

    assert response.json is not None
    assert (response.status_code, response.json["issue"][0]["diagnostics"]) == (
        400,
        "This URL has no parameters but _format and _pretty: leave the others out.",
    )


def test_the_bookings_of_a_person_have_parts(client: FlaskClient, number: str) -> None:
    """Form parameters stand in the form, and never in a link."""
    book(client, "norr", number)

    answer = client.post(
        "/fhir/Appointment/_search",
        data={"patient.identifier": f"{PERSONNUMMER}|{number}", "_elements": "start"},
    ).json

    assert answer is not None
    assert {
        frozenset(entry["resource"])
        for entry in answer["entry"]
        if entry["search"]["mode"] == "match"
    } == {frozenset({"resourceType", "id", "meta", "status", "participant", "start"})}
    assert number not in answer["link"][0]["url"]
