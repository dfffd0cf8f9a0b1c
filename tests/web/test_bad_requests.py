"""
Bad input: the right status, every fault named, nothing repeated, never a failure.
"""

import json
from typing import Any
from urllib.parse import quote, quote_plus
from uuid import uuid4

import pytest
from assertions import FHIR_JSON as ANSWERED
from assertions import assert_outcome, issue
from examples import examples
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from fhir_gateway.model.error_code import ErrorCode

from .bodies import FHIR_JSON, JSON_PATCH, appointment

_MARKERS = ("197501019801", "Provmarkör", "Provmark%C3%B6r")
_NUMBER = _MARKERS[0]
_NOTHING_HERE = issue(
    "not-found",
    "There is nothing at this URL; /fhir/metadata lists what this server has.",
)
_NOT_DONE = issue(
    "not-supported", "This URL does not allow this method; see /fhir/metadata."
)
_TOO_LARGE = issue(
    "too-long",
    "The body is too large: JSON has at most 32768 bytes (393216 where an Appointment"
    " is sent back), and a form 16384. It has at most 1000 chunks.",
)
_SEARCHES = ("Slot", "HealthcareService", "Appointment")


_IN_XML = "application/fhir+xml;charset=utf-8"


def check(response: TestResponse) -> None:
    """The answer is no failure, is FHIR, and repeats no marker."""
    answered = response.text + str(response.headers)
    assert response.status_code < 500, answered
    assert not any(marker in answered for marker in _MARKERS)
    if response.headers.get("Content-Type") == _IN_XML:
        # The request asked for that.
        assert "<OperationOutcome" in response.text
        return
    if response.status_code >= 400:
        assert response.headers["Content-Type"] == ANSWERED
        assert response.json is not None
        assert response.json["resourceType"] == "OperationOutcome"
        assert all(
            each.get("diagnostics") or each["details"]["text"]
            for each in response.json["issue"]
        )


# URLs and methods.


@pytest.mark.parametrize(
    "path",
    [
        *("/fhir/Patient", "/fhir/Patient/1"),
        *("/fhir/slot", "/fhir/Slot/a/b", "/fhir/Appointment/a/_history"),
        *("/fhir/..", "/metadata", "/fhir/$find", "/fhir/Slot;a=1", "/fhir/Slot."),
        *("/favicon.ico", "/robots.txt", "/.env", "/fhir/_history", "/fhir/Slot/a/"),
        *("/fhir/Slot/", "/fhir/./Slot", "/fhir/../fhir/Slot", "/fhir/metadata/"),
        *("/fhir/Appointment/$confirm", "/fhir/Slot/$prefetch", "/fhir/Slot/_history"),
        *("/fhir//Slot", "/fhir/Slot//a", "/" + "a" * 5_000, "/static/x", "/health/"),
    ],
)
def test_a_url_where_nothing_is_says_so(client: FlaskClient, path: str) -> None:
    """An unknown URL answers 404 with where to look, and never leads elsewhere."""
    response = client.open(path)

    check(response)
    assert_outcome(response, 404, _NOTHING_HERE)
    assert "Location" not in response.headers


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/fhir/Appointment/x", {"GET", "HEAD", "OPTIONS", "PATCH", "PUT"}),
        ("POST", "/fhir/Slot", {"GET", "HEAD", "OPTIONS"}),
        ("PUT", "/fhir/Slot/x", {"GET", "HEAD", "OPTIONS"}),
        ("PATCH", "/fhir/Location/x", {"GET", "HEAD", "OPTIONS"}),
        ("DELETE", "/fhir/Slot", {"GET", "HEAD", "OPTIONS"}),
        ("PUT", "/fhir/Appointment", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("POST", "/fhir/metadata", {"GET", "HEAD", "OPTIONS"}),
        ("PUT", "/fhir/", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("TRACE", "/fhir/Slot", {"GET", "HEAD", "OPTIONS"}),
        ("PROPFIND", "/fhir/Slot", {"GET", "HEAD", "OPTIONS"}),
        *(
            ("GET", f"/fhir/Appointment/${name}", {"OPTIONS", "POST"})
            for name in ("hold", "book", "cancel", "reschedule")
        ),
        ("PUT", "/fhir/Appointment/$book", {"OPTIONS", "POST"}),
        ("PATCH", "/fhir/Appointment/$find", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("GET", "/fhir/Slot/_search", {"OPTIONS", "POST"}),
        ("GET", "/fhir/Appointment/_search", {"OPTIONS", "POST"}),
    ],
)
def test_a_method_that_is_not_done_is_refused(
    client: FlaskClient, method: str, path: str, allowed: set[str]
) -> None:
    """Another method answers 405 with those that are done."""
    response = client.open(path, method=method)

    assert_outcome(response, 405, _NOT_DONE)
    assert set(response.headers["Allow"].split(", ")) == allowed


# Parameters.


@pytest.mark.parametrize("kind", _SEARCHES)
@pytest.mark.parametrize(
    "query",
    [
        pytest.param("%00", id="a NUL for a name"),
        pytest.param("service-type=%00", id="a NUL in a value"),
        pytest.param("service-type=%ff", id="no UTF-8"),
        pytest.param("%c3%28=1", id="a name that is no UTF-8"),
        pytest.param("start=%ed%a0%80", id="half of a surrogate pair"),
    ],
)
def test_a_parameter_that_is_no_text_is_refused(
    client: FlaskClient, kind: str, query: str
) -> None:
    """A parameter with a NUL or with broken UTF-8 is refused."""
    response = client.post(f"/fhir/{kind}/_search?{query}")

    assert_outcome(
        response,
        400,
        issue(
            "structure",
            "A parameter is not UTF-8 text, or has the character NUL (%00).",
        ),
    )


@pytest.mark.parametrize("kind", ["Slot", "HealthcareService"])
@pytest.mark.parametrize("by_post", [False, True])
def test_hundreds_of_parameters_are_refused(
    client: FlaskClient, kind: str, *, by_post: bool
) -> None:
    """A search with hundreds of parameters is one fault."""
    query = "&".join(f"location={number}" for number in range(400))

    response = (
        client.post(
            f"/fhir/{kind}/_search",
            data=query,
            content_type="application/x-www-form-urlencoded",
        )
        if by_post
        else client.get(f"/fhir/{kind}?{query}")
    )
    assert_outcome(
        response, 400, issue("too-costly", "A search has at most 100 parameters.")
    )


@pytest.mark.parametrize("kind", _SEARCHES)
def test_a_form_that_is_too_large_is_refused(client: FlaskClient, kind: str) -> None:
    """A form of more than 16 KiB answers 413, however many bytes more."""
    for size in (16_385, 32_768, 32_769, 300_000):
        response = client.post(
            f"/fhir/{kind}/_search", data={"status": "x" * (size - len("status="))}
        )

        assert_outcome(response, 413, _TOO_LARGE)


@pytest.mark.parametrize(
    "count", ["0", "1", "1000", "999999999", "-1", "1e9", "9" * 400, "0x10", "1,2"]
)
@pytest.mark.parametrize("kind", ["Slot", "HealthcareService"])
def test_any_count_is_taken_or_refused(
    client: FlaskClient, kind: str, count: str
) -> None:
    """A page has a number of matches, or the count is refused."""
    response = client.get(f"/fhir/{kind}?_count={count}")

    check(response)
    assert response.status_code == (200 if count.isdigit() else 400)


@pytest.mark.parametrize("kind", _SEARCHES)
@pytest.mark.parametrize(
    "name",
    [
        *("_has:Slot:schedule:status", "_filter", "_query", "_text"),
        *("_content", "_security", "_contained", "_list"),
        *("start:text", "service-type:above", "schedule:Location", "patient"),
        "_type",
        "schedule.actor:Location.type",
    ],
)
def test_a_parameter_that_is_not_supported_is_refused_by_name(
    client: FlaskClient, kind: str, name: str
) -> None:
    """A feature of R4 that this server lacks is refused, never ignored in silence."""
    response = client.post(f"/fhir/{kind}/_search", data={name: "x"})

    check(response)
    assert response.status_code == 400
    assert response.json is not None
    root = name.partition(":")[0]
    assert (
        issue(
            "not-supported",
            f"{name}: is not a parameter of this search{_WHY.get((kind, root), _SEE)}.",
            location=f"http.{name}",
            error=ErrorCode.NOT_SUPPORTED,
        )
        in response.json["issue"]
    )


_SEE = "; see /metadata for those that are"
_PERSONAL = (
    ": what refers to a slot is an appointment, which is personal; search Appointment"
    " with slot=Slot/id"
)
_NO_PATIENT = (
    ": use patient.identifier or patient:identifier, by POST; there are no Patient"
    " resources here"
)
_WHY = {("Slot", "_has"): _PERSONAL, ("Appointment", "patient"): _NO_PATIENT}


# Bodies.


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(b"", "the body is not JSON: line 1, column 1", id="nothing"),
        pytest.param(b"{", "the body is not JSON: line 1, column 2", id="a brace"),
        pytest.param(
            b'{"status": NaN}', "the body holds NaN or an infinite number", id="NaN"
        ),
        pytest.param(
            b'{"a": 1, "a": 2}', "the body names a key twice in one object", id="twice"
        ),
        pytest.param(b"[" * 40, "the body is nested deeper than 32", id="deep"),
        pytest.param(
            b"\xef\xbb\xbf{}", "the body begins with a byte order mark", id="mark"
        ),
        pytest.param("å".encode("latin-1"), "the body is not UTF-8", id="latin"),
        pytest.param(
            json.dumps({"comment": "\ud800"}).encode(),
            "the body holds half of a surrogate pair",
            id="half a pair",
        ),
    ],
)
@pytest.mark.parametrize(
    "write",
    [
        ("POST", "/fhir/Appointment", FHIR_JSON),
        ("PUT", "/fhir/Appointment/x", FHIR_JSON),
        ("PATCH", "/fhir/Appointment/x", JSON_PATCH),
    ],
)
def test_a_body_that_is_no_json_is_refused(
    client: FlaskClient, write: tuple[str, str, str], body: bytes, reason: str
) -> None:
    """A broken body answers 400 with where it breaks."""
    method, path, content_type = write

    response = client.open(path, method=method, data=body, content_type=content_type)

    assert_outcome(response, 400, issue("structure", f"It cannot be read: {reason}."))


@pytest.mark.parametrize("size", [32_769, 32_770, 2_000_000])
def test_a_body_that_is_too_large_is_refused(client: FlaskClient, size: int) -> None:
    """A body of JSON of more than 32 KiB answers 413."""
    response = client.post(
        "/fhir/Appointment", data=b" " * size, content_type=FHIR_JSON
    )

    assert_outcome(response, 413, _TOO_LARGE)


@pytest.mark.parametrize("length", [0, 1, 50, 200, 400])
def test_a_body_that_is_cut_is_refused(client: FlaskClient, length: int) -> None:
    """A body that ends too early is refused without an echo."""
    body = json.dumps(appointment("1", _NUMBER)).encode()

    response = client.post(
        "/fhir/Appointment", data=body[:length], content_type=FHIR_JSON
    )
    check(response)
    assert response.status_code == 400


def test_hundreds_of_faults_are_few_issues(client: FlaskClient) -> None:
    """A body with very many faults is refused with an answer of sane size."""
    participants = [{"status": "x"}] * 900

    response = client.post(
        "/fhir/Appointment",
        json=appointment("1", "191212121212", participant=participants),
        content_type=FHIR_JSON,
    )
    check(response)
    assert response.status_code == 422
    assert response.json is not None
    assert len(response.json["issue"]) == 101
    assert response.json["issue"][-1] == issue(
        "too-costly",
        "There are 1701 more faults; mend these first.",
        error=ErrorCode.TOO_COSTLY,
    )


# Any request.

_SETTINGS = settings(
    max_examples=examples(80),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
_NAMES = st.sampled_from(
    [
        *("service-type", "start", "status", "schedule", "location", "organization"),
        *("schedule.actor:Location", "schedule.actor:Practitioner", "_count", "_sort"),
        *("schedule.actor:HealthcareService", "_include", "_include:iterate", "date"),
        *("_cursor", "_total", "_format", "patient.identifier", "_pretty", "x", ""),
        *(_NUMBER, "Provmarkör", "start:text", "a" * 300, "\x00", "\ud7ff", "%"),
    ]
)
_VALUES = st.text(max_size=20) | st.sampled_from(
    [
        *("free", "ge2026-12-01", "lt", "*", "Slot:schedule", "Schedule:actor", "0"),
        *("1e9", "-1", "|", ",", "\\", "start", "-start", "none", "json", "xml", "\n"),
        *("http://snomed.info/sct|72791000052103", "72791000052103", "x" * 3_000),
        *(
            f"Location/{_NUMBER}",
            f"urn:x|{_NUMBER}",
            "Provmarkör",
            "\r\nSet-Cookie: a=b",
        ),
        f"http://electronichealth.se/identifier/personnummer|{_NUMBER[:11]}",
    ]
)
_PAIRS = st.lists(st.tuples(_NAMES, _VALUES), max_size=6)


def encoded(pairs: list[tuple[str, str]]) -> str:
    """Return pairs as a query or a form, surrogates and all."""
    return "&".join(
        f"{quote_plus(name, errors='replace')}={quote_plus(value, errors='replace')}"
        for name, value in pairs
    )


@given(kind=st.sampled_from(_SEARCHES), pairs=_PAIRS, lenient=st.booleans())
@_SETTINGS
def test_any_search_by_get_is_answered(
    client: FlaskClient, *, kind: str, pairs: list[tuple[str, str]], lenient: bool
) -> None:
    """No query makes a search by GET fail, or repeat what must not be repeated."""
    response = client.get(
        f"/fhir/{kind}?{encoded(pairs)}",
        headers={"Prefer": "handling=lenient"} if lenient else {},
    )

    assert response.status_code < 500
    # A self link says what was understood, so only a refusal repeats nothing at all.
    if response.status_code != 200:
        check(response)


@given(kind=st.sampled_from(_SEARCHES), pairs=_PAIRS)
@_SETTINGS
def test_any_search_by_post_is_answered(
    client: FlaskClient, kind: str, pairs: list[tuple[str, str]]
) -> None:
    """No form makes a search by POST fail; a refusal repeats no value."""
    response = client.post(
        f"/fhir/{kind}/_search",
        data=encoded(pairs),
        content_type="application/x-www-form-urlencoded",
    )

    assert response.status_code < 500
    if response.status_code != 200:
        check(response)


@given(
    kind=st.sampled_from(["Slot", "Location", "Appointment", "Schedule", "Patient"]),
    identifier=st.text(max_size=80) | st.sampled_from(_MARKERS),
)
@_SETTINGS
def test_any_id_is_answered(client: FlaskClient, kind: str, identifier: str) -> None:
    """No id makes a read fail, or is repeated."""
    check(client.get(f"/fhir/{kind}/{quote(identifier, safe='', errors='replace')}"))


_LEAVES = st.sampled_from(
    [
        *(None, True, 0, -1, 1.5, "", "x", "#p", "Patient", "Appointment", "proposed"),
        *("Slot/1", _NUMBER, "Provmarkör", "2026-12-01T10:00:00+01:00"),
    ]
)
_KEYS = st.sampled_from(
    [
        *("resourceType", "id", "status", "slot", "participant", "actor", "identifier"),
        *("system", "value", "reference", "type", "contained", "name", "family"),
        *("given", "comment", "start", "end", "extension", "_status", "op", "path"),
        *(_NUMBER, "Provmarkör", "meta", "language"),
    ]
)
_BODIES = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4)
    ),
    max_leaves=12,
)
_WRITES = st.sampled_from(
    [
        ("POST", "/fhir/Appointment", FHIR_JSON),
        ("PUT", f"/fhir/Appointment/{uuid4()}", FHIR_JSON),
        ("PATCH", f"/fhir/Appointment/{uuid4()}", JSON_PATCH),
    ]
)


@given(write=_WRITES, body=_BODIES)
@_SETTINGS
def test_any_body_is_answered(
    client: FlaskClient, write: tuple[str, str, str], body: Any
) -> None:
    """No JSON makes a write fail, or is repeated."""
    method, path, content_type = write
    check(
        client.open(
            path, method=method, data=json.dumps(body), content_type=content_type
        )
    )


@given(
    write=_WRITES,
    changes=st.lists(st.tuples(_KEYS, _BODIES), min_size=1, max_size=3),
)
@_SETTINGS
def test_any_appointment_is_answered(
    client: FlaskClient, write: tuple[str, str, str], changes: list[tuple[str, Any]]
) -> None:
    """No change to a good body makes a write fail, or is repeated."""
    method, path, content_type = write
    body = {**appointment("1", _NUMBER, comment="Provmarkör"), **dict(changes)}
    check(
        client.open(
            path, method=method, data=json.dumps(body), content_type=content_type
        )
    )


@given(write=_WRITES, body=st.binary(max_size=300))
@_SETTINGS
def test_any_bytes_are_answered(
    client: FlaskClient, write: tuple[str, str, str], body: bytes
) -> None:
    """No bytes make a write fail."""
    method, path, content_type = write
    check(client.open(path, method=method, data=body, content_type=content_type))


_HEADER = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"),
    max_size=40,
)


@given(
    headers=st.dictionaries(
        st.sampled_from(
            [
                *("Accept", "Prefer", "If-Match", "Content-Type", "If-None-Exist"),
                *("Range", "If-None-Match", "Authorization", "X-Forwarded-Host"),
                *("Accept-Encoding", "Accept-Charset", "Cookie", "X-Request-Id"),
            ]
        ),
        _HEADER | st.sampled_from([_NUMBER, "Provmarkör", "W/", "q=;;,", "*/*;q=x"]),
    ),
    method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]),
    path=st.sampled_from(
        [
            *("/fhir/Slot?_count=1", "/fhir/Slot/_search", "/fhir/Appointment"),
            *("/fhir/Appointment/x", "/fhir/metadata", "/fhir/Location/x", "/health"),
        ]
    ),
)
@_SETTINGS
def test_any_headers_are_answered(
    client: FlaskClient, headers: dict[str, str], method: str, path: str
) -> None:
    """No header makes a request fail, or is repeated."""
    response = client.open(path, method=method, headers=headers)

    assert response.status_code < 500
    assert not any(
        marker in response.text + str(response.headers) for marker in _MARKERS
    )


def test_the_errors_of_the_application_are_no_traces(app: Flask) -> None:
    """The application never shows its internal errors."""
    assert not app.debug
    assert not app.testing


@pytest.mark.parametrize(
    ("method", "path", "media_type", "body"),
    [
        ("POST", "Appointment", FHIR_JSON, {"resourceType": "Appointment"}),
        ("PUT", "Appointment/a", FHIR_JSON, {"resourceType": "Appointment"}),
        ("POST", "Appointment/$book", FHIR_JSON, {"resourceType": "Parameters"}),
        ("PATCH", "Appointment/a", JSON_PATCH, {"op": "add", "path": "/priority"}),
        ("POST", "", FHIR_JSON, {"resourceType": "Bundle", "type": "batch"}),
    ],
)
@pytest.mark.parametrize("keyed", [True, False])
def test_an_integer_beyond_64_bits_is_refused(
    client: FlaskClient,
    method: str,
    path: str,
    media_type: str,
    body: dict[str, Any],
    *,
    keyed: bool,
) -> None:
    """No body holds a number that the server could not write again."""
    sent = body | {"value": 2**64}
    response = client.open(
        f"/fhir/{path}",
        method=method,
        json=[sent] if method == "PATCH" else sent,
        content_type=media_type,
        headers={"Idempotency-Key": f"key-{uuid4()}"} if keyed else {},
    )

    assert response.status_code == 400
    assert "a number that is too large" in response.text
