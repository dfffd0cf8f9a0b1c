"""
Compressed answers.

https://www.rfc-editor.org/rfc/rfc9110#field.accept-encoding
"""

import gzip
import json

import pytest
from flask.testing import FlaskClient

from .bodies import PERSONNUMMER, book, free_slots

_LARGE = "/fhir/Slot?_count=20"


@pytest.mark.parametrize(
    "accepted",
    ["gzip", "gzip, deflate, br", "br;q=1.0, GZIP;q=0.5".lower(), "deflate,gzip;q=1"],
)
def test_a_client_that_accepts_gzip_gets_it(client: FlaskClient, accepted: str) -> None:
    """The same bytes, in a small part of the size."""
    plain = client.get(_LARGE)
    packed = client.get(_LARGE, headers={"Accept-Encoding": accepted})

    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    assert int(packed.headers["Content-Length"]) == len(packed.data)
    assert len(packed.data) < len(plain.data) / 4
    assert packed.headers["ETag"] == plain.headers["ETag"]


def test_each_form_of_one_version_is_packed_as_itself(client: FlaskClient) -> None:
    """What is kept of a version goes to nobody who asks for another form of it."""
    headers = {"Accept-Encoding": "gzip"}
    forms = [
        {"Accept": accept}
        for accept in ("application/fhir+json", "application/fhir+xml")
    ]
    for _ in range(3):
        for form in forms:
            packed = client.get(_LARGE, headers=form | headers)
            assert gzip.decompress(packed.data) == client.get(_LARGE, headers=form).data


@pytest.mark.parametrize(
    "accepted", [None, "", "identity", "br", "gzip;q=0", "gzip;q=x", "xgzip", "*"]
)
def test_any_other_client_gets_plain_bytes(
    client: FlaskClient, accepted: str | None
) -> None:
    """A client that does not name gzip may not read it."""
    headers = {} if accepted is None else {"Accept-Encoding": accepted}

    response = client.get(_LARGE, headers=headers)

    assert "Content-Encoding" not in response.headers
    assert response.json is not None


def test_each_answer_says_what_it_depends_on(client: FlaskClient) -> None:
    """A cache must not give a packed answer, or XML, to a client that wants neither."""
    etag = client.get(_LARGE).headers["ETag"]
    for headers in ({}, {"Accept-Encoding": "gzip"}, {"If-None-Match": etag}):
        assert client.get(_LARGE, headers=headers).headers["Vary"] == (
            "Accept, Accept-Encoding, Accept-Language"
        )


@pytest.mark.parametrize(
    ("url", "is_packed"),
    [
        ("/fhir/metadata", True),
        (f"{_LARGE}&_format=xml", True),
        (f"{_LARGE}&_pretty=true", True),
        ("/fhir/StructureDefinition/slot", True),
        ("/fhir/HealthcareService?_count=20", True),
        # Small, an error, packed already.
        ("/fhir/Slot?_count=0", False),
        ("/fhir/Location/none", False),
        ("/fhir/package.tgz", False),
        ("/health", False),
    ],
)
def test_open_data_are_compressed_if_that_pays(
    client: FlaskClient,
    url: str,
    is_packed: bool,  # noqa: FBT001 - pytest passes it by name
) -> None:
    """In each of their forms; a small answer would not gain."""
    response = client.get(url, headers={"Accept-Encoding": "gzip"})

    assert ("Content-Encoding" in response.headers) == is_packed


def test_what_is_about_a_person_is_never_compressed(
    client: FlaskClient, number: str
) -> None:
    """Its size would say what repeats in it (BREACH)."""
    body = book(client, "norr", number).json
    assert body is not None
    packs = {"Accept-Encoding": "gzip"}

    answers = [
        client.get(f"/fhir/Appointment/{body['id']}", headers=packs),
        client.post(
            "/fhir/Appointment/_search",
            data={"patient.identifier": f"{PERSONNUMMER}|{number}"},
            headers=packs,
        ),
    ]

    assert [each.status_code for each in answers] == [200, 200]
    for each in answers:
        assert len(each.data) > 1400
        assert "Content-Encoding" not in each.headers


def test_a_batch_is_not_compressed(client: FlaskClient) -> None:
    """It may hold what is about a person."""
    slot = next(free_slots(client))["id"]
    entry = {"request": {"method": "GET", "url": f"Slot/{slot}"}}
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": [entry] * 3}

    response = client.post(
        "/fhir",
        data=json.dumps(bundle),
        headers={
            "Accept-Encoding": "gzip",
            "Content-Type": "application/fhir+json",
        },
    )

    assert response.status_code == 200
    assert len(response.data) > 1400
    assert "Content-Encoding" not in response.headers


def test_head_states_the_size_of_the_packed_answer(client: FlaskClient) -> None:
    """The fields are those of GET."""
    packs = {"Accept-Encoding": "gzip"}
    whole, head = client.get(_LARGE, headers=packs), client.head(_LARGE, headers=packs)

    assert head.data == b""
    for name in ("Content-Encoding", "Content-Length", "ETag"):
        assert head.headers[name] == whole.headers[name]
