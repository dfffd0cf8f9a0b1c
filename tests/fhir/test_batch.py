"""
Batches: which requests a Bundle has, and which Bundle the answers make.
"""

import base64
from typing import Any

import orjson
import pytest
from assertions import assert_problem, issue
from hypothesis import given
from hypothesis import strategies as st

from fhir_gateway.fhir.batch import (
    BatchAnswer,
    BatchRequest,
    batch_response,
    requests_from_bundle,
)
from fhir_gateway.fhir.limits import MOST_BATCH_ENTRIES
from fhir_gateway.fhir.outcome import Problem, ProblemKind

_BASE = "https://gateway.example.org/fhir"
_SLOTS = {"request": {"method": "GET", "url": "Slot?_count=1"}}


def batch(*entries: Any) -> dict[str, Any]:
    """Return a batch."""
    return {"resourceType": "Bundle", "type": "batch", "entry": list(entries)}


def binary(media_type: str, data: bytes) -> dict[str, str]:
    """Return a Binary."""
    return {
        "resourceType": "Binary",
        "contentType": media_type,
        "data": base64.b64encode(data).decode(),
    }


def test_an_entry_is_a_request() -> None:
    """Method, URL, conditions and resource of an entry are those of a request."""
    resource = {"resourceType": "Appointment", "id": "a", "status": "cancelled"}
    entry = {
        "fullUrl": f"{_BASE}/Appointment/a",
        "resource": resource,
        "request": {"method": "PUT", "url": "Appointment/a", "ifMatch": 'W/"3"'},
    }

    assert requests_from_bundle(batch(_SLOTS, entry), base_url=_BASE) == [
        BatchRequest(method="GET", path="Slot", query="_count=1"),
        BatchRequest(
            method="PUT",
            path="Appointment/a",
            headers={"If-Match": 'W/"3"', "Content-Type": "application/fhir+json"},
            body=orjson.dumps(resource),
        ),
    ]


def test_all_conditions_become_header_fields() -> None:
    """Each condition of an entry is the header field of HTTP for it."""
    asked = {
        "method": "GET",
        "url": "Slot/a",
        "ifNoneMatch": 'W/"1"',
        "ifModifiedSince": "2026-11-28T13:00:00+01:00",
        "ifMatch": 'W/"2"',
        "ifNoneExist": "identifier=x|y",
    }

    assert requests_from_bundle(batch({"request": asked}), base_url=_BASE) == [
        BatchRequest(
            method="GET",
            path="Slot/a",
            headers={
                "If-None-Match": 'W/"1"',
                "If-Modified-Since": "Sat, 28 Nov 2026 12:00:00 GMT",
                "If-Match": 'W/"2"',
                "If-None-Exist": "identifier=x|y",
            },
        )
    ]


def test_a_binary_is_the_body_that_it_holds() -> None:
    """A JSON Patch, which is no resource, and a form come in a Binary."""
    patch = b'[{"op":"replace","path":"/status","value":"cancelled"}]'
    entry = {
        "resource": binary("application/json-patch+json", patch),
        "request": {"method": "PATCH", "url": "Appointment/a"},
    }

    assert requests_from_bundle(batch(entry), base_url=_BASE) == [
        BatchRequest(
            method="PATCH",
            path="Appointment/a",
            headers={"Content-Type": "application/json-patch+json"},
            body=patch,
        )
    ]


def test_an_absolute_url_of_this_server_is_its_relative_one() -> None:
    """A URL may begin with this server's base."""
    entry = {"request": {"method": "GET", "url": f"{_BASE}/Slot/a"}}

    assert requests_from_bundle(batch(entry), base_url=_BASE) == [
        BatchRequest(method="GET", path="Slot/a")
    ]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/",
        "?_count=1",
        "/fhir/Slot",
        "https://elsewhere.example.org/fhir/Slot",
        "//elsewhere.example.org/Slot",
        "../health",
        "Slot/../../health",
        "Slot/./a",
        "Slot/..",
        "Slot//a",
        "Slot/",
        "Slot/%2e%2e/health",
        "Slot/a#b",
        "Slot/a b",
        "Slot/å",
        "Slot?name=å",
        "Slot?a=b\r\nX-Injected: yes",
        "Slot\x00",
        None,
        7,
        ["Slot"],
    ],
)
def test_a_url_that_leads_elsewhere_is_refused(url: Any) -> None:
    """An entry reaches nothing but this server's own resources and operations."""
    [refused] = requests_from_bundle(
        batch({"request": {"method": "GET", "url": url}}), base_url=_BASE
    )

    assert isinstance(refused, Problem)
    assert_problem(
        refused,
        400,
        issue(
            "value",
            "The url names a type of resource or metadata, relative to the base of this"
            " server, as Slot?status=free or Appointment/id; a batch contains no other"
            " batch.",
            expression="Bundle.entry[0].request.url",
        ),
    )


@pytest.mark.parametrize(
    "url",
    ["$feed", "$feed?_since=x", "$feed/a.ndjson", f"{_BASE}/$feed", "all.tgz"],
)
def test_what_is_no_resource_is_asked_for_alone(url: str) -> None:
    """An entry that names another document of the server is refused with the way."""
    [refused] = requests_from_bundle(
        batch({"request": {"method": "GET", "url": url}}),
        base_url=_BASE,
        documents=("$feed", "all.tgz"),
    )

    assert isinstance(refused, Problem)
    assert_problem(
        refused,
        400,
        issue(
            "not-supported",
            "The answer would be no resource, so that it has no place in a Bundle: send"
            " a GET of its own.",
            expression="Bundle.entry[0].request.url",
        ),
    )


@pytest.mark.parametrize(
    ("entry", "place"),
    [
        (None, "request"),
        ("Slot", "request"),
        ({}, "request"),
        ({"request": "GET Slot"}, "request"),
        ({"request": {"url": "Slot"}}, "request.method"),
        ({"request": {"method": "get", "url": "Slot"}}, "request.method"),
        ({"request": {"method": "TRACE", "url": "Slot"}}, "request.method"),
        ({"request": {"method": ["GET"], "url": "Slot"}}, "request.method"),
        ({"request": {"method": "GET", "url": "Slot?_format=xml"}}, "request.url"),
        ({**_SLOTS, "resource": {"resourceType": "Slot"}}, "resource"),
        (
            {
                "request": {"method": "POST", "url": "Appointment"},
                "resource": ["Appointment"],
            },
            "resource",
        ),
        (
            {"request": {**_SLOTS["request"], "ifMatch": 'W/"1"\r\nX: y'}},
            "request.ifMatch",
        ),
        ({"request": {**_SLOTS["request"], "ifMatch": 1}}, "request.ifMatch"),
        (
            {"request": {**_SLOTS["request"], "ifModifiedSince": "yesterday"}},
            "request.ifModifiedSince",
        ),
        (
            {
                "request": {"method": "PATCH", "url": "Appointment/a"},
                "resource": {**binary("application/json", b""), "data": "***"},
            },
            "resource.data",
        ),
        (
            {
                "request": {"method": "PATCH", "url": "Appointment/a"},
                "resource": binary("application/json\r\nX: y", b"[]"),
            },
            "resource.contentType",
        ),
        (
            {
                "request": {"method": "POST", "url": "Appointment"},
                "resource": {
                    "resourceType": "Appointment",
                    "slot": [{"reference": "urn:uuid:7e9b1e3c"}],
                },
            },
            "resource",
        ),
    ],
)
def test_a_bad_entry_is_refused_alone(entry: Any, place: str) -> None:
    """An entry that is no request names its fault, and the others are requests."""
    refused, other = requests_from_bundle(batch(entry, _SLOTS), base_url=_BASE)

    assert isinstance(refused, Problem)
    assert [each.expression for each in refused.issues] == [f"Bundle.entry[0].{place}"]
    assert other == BatchRequest(method="GET", path="Slot", query="_count=1")


@pytest.mark.parametrize(
    ("body", "expression", "kind"),
    [
        (None, "Bundle", ProblemKind.MALFORMED),
        ([], "Bundle", ProblemKind.MALFORMED),
        ({"resourceType": "Parameters"}, "Bundle", ProblemKind.MALFORMED),
        ({"resourceType": "Bundle"}, "Bundle.type", ProblemKind.MALFORMED),
        (
            {"resourceType": "Bundle", "type": "searchset"},
            "Bundle.type",
            ProblemKind.MALFORMED,
        ),
        (
            {"resourceType": "Bundle", "type": "transaction"},
            "Bundle.type",
            ProblemKind.UNPROCESSABLE,
        ),
        ({**batch(), "entry": {}}, "Bundle.entry", ProblemKind.MALFORMED),
        (
            batch(*[_SLOTS] * (MOST_BATCH_ENTRIES + 1)),
            "Bundle.entry",
            ProblemKind.MALFORMED,
        ),
    ],
)
def test_what_is_no_batch_is_refused_whole(
    body: Any, expression: str, kind: ProblemKind
) -> None:
    """Nothing of a body that is no batch, or too long a one, is done."""
    with pytest.raises(Problem) as caught:
        requests_from_bundle(body, base_url=_BASE)

    assert caught.value.kind is kind
    assert [each.expression for each in caught.value.issues] == [expression]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "request",
                    "resource",
                    "method",
                    "url",
                    "ifMatch",
                    "resourceType",
                    "data",
                ]
            )
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(entries=_JSON)
def test_no_entry_makes_it_fail(entries: Any) -> None:
    """Each JSON value in place of the entries is read, or refused as a Problem."""
    body = {"resourceType": "Bundle", "type": "batch", "entry": entries}
    try:
        found = requests_from_bundle(body, base_url=_BASE)
    except Problem:
        return

    assert len(found) == len(entries)


def test_answers_stand_in_the_order_of_the_requests() -> None:
    """Each answer has its status; a resource its URL; an error its outcome."""
    slot = {"resourceType": "Slot", "id": "a"}
    outcome = {"resourceType": "OperationOutcome", "issue": []}
    answers = [
        BatchAnswer(
            status=200,
            headers={
                "ETag": 'W/"1"',
                "Last-Modified": "Sat, 28 Nov 2026 12:00:00 GMT",
            },
            resource=slot,
        ),
        BatchAnswer(status=404, headers={}, resource=outcome),
        BatchAnswer(
            status=201,
            headers={"Location": f"{_BASE}/Appointment/b/_history/2"},
            resource=None,
        ),
    ]

    assert batch_response(answers, _BASE) == {
        "resourceType": "Bundle",
        "type": "batch-response",
        "entry": [
            {
                "fullUrl": f"{_BASE}/Slot/a",
                "resource": slot,
                "response": {
                    "status": "200 OK",
                    "etag": 'W/"1"',
                    "lastModified": "2026-11-28T13:00:00+01:00",
                },
            },
            {"response": {"status": "404 Not Found", "outcome": outcome}},
            {
                "response": {
                    "status": "201 Created",
                    "location": f"{_BASE}/Appointment/b/_history/2",
                }
            },
        ],
    }
