"""
Appointment read: as its source describes it now.

https://hl7.org/fhir/R4/http.html#read
"""

from datetime import datetime

import pytest
from assertions import assert_outcome, issue
from flask.testing import FlaskClient
from werkzeug.http import http_date

from fhir_gateway.bootstrap import Program

from .bodies import book, patch, status_patch
from .running import REGIONS, Sandbox, cancel_elsewhere

_NONE = issue("not-found", "There is no such booking.")


@pytest.mark.parametrize("region", REGIONS)
def test_a_booking_is_read_as_it_was_booked(
    client: FlaskClient, region: str, number: str
) -> None:
    """An appointment reads as it was answered when it was booked, with its ETag."""
    booked = book(client, region, number, comment="Hej")
    assert booked.json is not None

    read = client.get(f"/fhir/Appointment/{booked.json['id']}")
    read_body, booked_body = read.json, booked.json
    assert read_body is not None
    for body in (read_body, booked_body):
        del body["meta"]["extension"]
    assert read_body == booked_body
    assert read.headers["ETag"] == booked.headers["ETag"]


def test_a_read_says_when_the_appointment_changed(
    client: FlaskClient, number: str
) -> None:
    """Last-Modified is meta.lastUpdated as an HTTP date, after a booking and a read."""
    booked = book(client, "norr", number)
    assert booked.json is not None

    read = client.get(f"/fhir/Appointment/{booked.json['id']}")

    updated = datetime.fromisoformat(booked.json["meta"]["lastUpdated"])
    expected = http_date(updated)
    assert [booked.headers["Last-Modified"], read.headers["Last-Modified"]] == [
        expected,
        expected,
    ]


def test_a_booking_that_its_unit_cancelled_is_cancelled(
    client: FlaskClient, made: Program, number: str
) -> None:
    """A booking that is no longer in the region's book reads as cancelled."""
    booked = book(client, "norr", number).json
    assert booked is not None
    cancel_elsewhere(made, booked, number)

    read = client.get(f"/fhir/Appointment/{booked['id']}")
    assert read.json is not None
    assert read.json["status"] == "cancelled"
    assert read.headers["ETag"] != f'W/"{booked["meta"]["versionId"]}"'


def test_a_booking_of_a_silent_region_reads_as_it_was_known(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """When the region cannot be asked the appointment is as it was last confirmed."""
    booked = book(client, "norr", number).json
    sandbox.spoil("norr", "vp-fault")
    assert booked is not None

    first = client.get(f"/fhir/Appointment/{booked['id']}").json
    second = client.get(f"/fhir/Appointment/{booked['id']}").json
    assert first is not None
    assert first == second
    assert first["status"] == "booked"
    assert first["meta"]["extension"] == booked["meta"]["extension"]


def test_a_cancelled_booking_is_read(client: FlaskClient, number: str) -> None:
    """A cancelled appointment is still there, and says so."""
    booked = book(client, "syd", number).json
    assert booked is not None
    cancelled = patch(client, booked["id"], status_patch("cancelled")).json

    assert client.get(f"/fhir/Appointment/{booked['id']}").json == cancelled


def test_a_refused_booking_is_no_appointment(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A booking that the region refused leaves nothing to be found."""
    sandbox.spoil("norr", "error")
    book(client, "norr", number)
    sandbox.heal()

    found = client.post(
        "/fhir/Appointment/_search",
        data={
            "patient.identifier": (
                f"http://electronichealth.se/identifier/personnummer|{number}"
            )
        },
    ).json
    assert found is not None
    assert found["total"] == 0


@pytest.mark.parametrize(
    "identifier",
    [
        *(
            "8792c7f0-ead6-401f-8262-b2634805d5d7",
            "1",
            "x" * 65,
            "å",
            "*",
        ),
        *(
            "NB-1",
            "09764C4D-3B33-41FB-8664-6257637C4898",
            "a" * 5_000,
            "..;",
            "'or=1--",
        ),
    ],
)
def test_what_was_never_booked_is_not_found(
    client: FlaskClient, identifier: str
) -> None:
    """Any other id answers 404, and nothing of it is repeated."""
    response = client.get(f"/fhir/Appointment/{identifier}")

    assert_outcome(response, 404, _NONE)
