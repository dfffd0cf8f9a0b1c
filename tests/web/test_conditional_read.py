"""
Conditional reads, and reads of a version.

https://hl7.org/fhir/R4/http.html#cread and #vread
"""

from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

import pytest
from assertions import assert_outcome, issue
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from fhir_gateway.model.timekeeping import http_date_text, now

from .bodies import book, change, free_slots
from .running import BASE_URL

_UNIT: Final = "SE2321009901-1001"
_DOCUMENT: Final = "/fhir/StructureDefinition/slot"


def _one_of_each(client: FlaskClient) -> list[str]:
    slot = next(free_slots(client, "norr"))
    schedule = slot["schedule"]["reference"]
    actors = client.get(f"/fhir/{schedule}").json
    assert actors is not None
    references = [each["reference"] for each in actors["actor"]]
    return [
        f"Slot/{slot['id']}",
        schedule,
        *references,
        "StructureDefinition/slot",
    ]


def _no_version(kind: str) -> dict[str, Any]:
    return issue(
        "not-found",
        "This server keeps no old versions, and this is not the present one: read the"
        f" {kind} by its id, without _history.",
    )


def _tag(response: TestResponse) -> str:
    return response.headers["ETag"].removeprefix('W/"').removesuffix('"')


def test_each_kind_of_open_data_is_read_on_condition(client: FlaskClient) -> None:
    """304 to a client that has the present version; the whole to any other."""
    for reference in _one_of_each(client):
        url = f"/fhir/{reference}"
        first = client.get(url)
        known, other = (
            client.get(url, headers={"If-None-Match": tag})
            for tag in (first.headers["ETag"], 'W/"1", "2"')
        )

        assert (known.status_code, known.data) == (304, b"")
        assert {
            name: known.headers[name]
            for name in ("ETag", "Cache-Control", "Content-Location")
        } == {
            "ETag": first.headers["ETag"],
            "Cache-Control": "no-cache",
            "Content-Location": f"{BASE_URL}/{reference}",
        }
        assert (other.status_code, other.json) == (200, first.json)


def test_a_read_says_where_the_resource_is(client: FlaskClient) -> None:
    """Content-Location is the URL with the id as this server writes it."""
    response = client.get(f"/fhir/Location/{_UNIT.lower()}")

    assert response.headers["Content-Location"] == f"{BASE_URL}/Location/{_UNIT}"


def test_a_malformed_condition_is_refused(client: FlaskClient) -> None:
    """A tag without quotes is none."""
    response = client.get(
        f"/fhir/Location/{_UNIT}", headers={"If-None-Match": "garbage"}
    )

    assert response.status_code == 400


def test_a_slot_that_was_booked_has_another_version(
    client: FlaskClient, number: str
) -> None:
    """A client that knows the free slot gets the busy one."""
    body = book(client, "norr", number).json
    assert body is not None
    url = f"/fhir/{body['slot'][0]['reference']}"
    busy = client.get(url)
    change(client, {**body, "status": "cancelled"})

    free = client.get(url, headers={"If-None-Match": busy.headers["ETag"]})

    assert busy.json is not None
    assert free.json is not None
    assert (busy.json["status"], free.status_code, free.json["status"]) == (
        "busy",
        200,
        "free",
    )


def test_documents_are_read_since_a_time(client: FlaskClient) -> None:
    """They change only when the server starts; a tag overrides a time."""
    first = client.get(_DOCUMENT)
    changed_at = parsedate_to_datetime(first.headers["Last-Modified"])
    before, same, later = (
        client.get(
            _DOCUMENT,
            headers={"If-Modified-Since": http_date_text(changed_at + delta)},
        ).status_code
        for delta in (timedelta(seconds=-1), timedelta(), timedelta(days=1))
    )
    other_tag = client.get(
        _DOCUMENT,
        headers={
            "If-Modified-Since": first.headers["Last-Modified"],
            "If-None-Match": '"x"',
        },
    )

    assert changed_at <= now()
    assert (before, same, later, other_tag.status_code) == (200, 304, 304, 200)


def test_what_may_change_at_any_moment_has_no_time(client: FlaskClient) -> None:
    """A slot is booked within the second of its source's answer: its tag counts."""
    for reference in _one_of_each(client)[:-1]:
        response = client.get(
            f"/fhir/{reference}",
            headers={"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"},
        )

        assert response.status_code == 200
        assert "Last-Modified" not in response.headers


def test_the_present_version_is_read_by_its_number(client: FlaskClient) -> None:
    """Vread gives the resource with its version; another version is 404."""
    for reference in _one_of_each(client):
        present = client.get(f"/fhir/{reference}")
        version = _tag(present)

        assert present.json is not None
        meta = {"versionId": version} | present.json.get("meta", {})
        response = client.get(f"/fhir/{reference}/_history/{version}")
        assert response.json == present.json | {"meta": meta}
        assert response.headers["ETag"] == present.headers["ETag"]
        assert_outcome(
            client.get(f"/fhir/{reference}/_history/1"),
            404,
            _no_version(reference.partition("/")[0]),
        )


def test_the_present_version_of_an_appointment_is_read(
    client: FlaskClient, number: str
) -> None:
    """After a change the version before it is gone, and the answer says what to do."""
    body = book(client, "norr", number).json
    assert body is not None
    url = f"/fhir/Appointment/{body['id']}"
    version = body["meta"]["versionId"]

    present = client.get(f"{url}/_history/{version}")
    change(client, {**body, "status": "cancelled"})
    past = client.get(f"{url}/_history/{version}")

    assert present.json is not None
    assert (present.status_code, present.json["meta"]["versionId"]) == (200, version)
    assert present.headers["Content-Location"] == f"{BASE_URL}/Appointment/{body['id']}"
    assert_outcome(past, 404, _no_version("Appointment"))


@pytest.mark.parametrize(
    "path",
    [
        "Location/no-such-id/_history/1",
        "Appointment/no-such-id/_history/1",
        "AuditEvent/no-such-id/_history/1",
        f"Location/{_UNIT}/_history/",
        f"Location/{_UNIT}/_history",
        f"Location/{_UNIT}/_history/1/2",
    ],
)
def test_other_histories_are_not_there(client: FlaskClient, path: str) -> None:
    """No list of versions, and none of what does not exist."""
    assert client.get(f"/fhir/{path}").status_code == 404


def test_a_proposal_has_no_version(client: FlaskClient) -> None:
    """The Appointment that a free slot proposes exists nowhere yet."""
    slot = next(free_slots(client))["id"]

    assert client.get(f"/fhir/Appointment/{slot}").status_code == 200
    assert_outcome(
        client.get(f"/fhir/Appointment/{slot}/_history/1"),
        404,
        _no_version("Appointment"),
    )


def test_an_appointment_is_always_read_whole(client: FlaskClient, number: str) -> None:
    """Its region can change it without a new version, so that no tag excludes it."""
    body = book(client, "norr", number).json
    assert body is not None
    url = f"/fhir/Appointment/{body['id']}"

    response = client.get(
        url,
        headers={
            "If-None-Match": client.get(url).headers["ETag"],
            "If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT",
        },
    )

    assert response.status_code == 200


def test_head_has_the_headers_alone(client: FlaskClient) -> None:
    """HEAD is GET without its body, for each URL that has GET."""
    urls = [
        *(f"/fhir/{reference}" for reference in _one_of_each(client)),
        *("/fhir/metadata", "/fhir", "/fhir/Slot?_count=2", "/health", "/"),
        "/fhir/HealthcareService?_count=2",
        "/fhir/Slot/no-such-id",
    ]
    for url in urls:
        whole, head = client.get(url), client.head(url)

        assert (head.status_code, head.data) == (whole.status_code, b"")
        assert head.headers["Content-Length"] == str(len(whole.data))
        assert head.headers.get("ETag") == whole.headers.get("ETag")
