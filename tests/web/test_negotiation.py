"""
Media types: what a client may ask for and may send.

https://hl7.org/fhir/R4/http.html#mime-type
"""

import json

import pytest
from assertions import FHIR_JSON as ANSWERED
from assertions import assert_outcome, issue
from flask.testing import FlaskClient

from .bodies import appointment

AS_XML = "application/fhir+xml;charset=utf-8"

_URLS = [
    pytest.param("/fhir/Slot?_count=0", id="a search"),
    pytest.param("/fhir/Location/SE2321009901-1001", id="a read"),
    pytest.param("/fhir/metadata", id="the capabilities"),
]
_TAKEN = [
    pytest.param(None, id="none"),
    *(
        "*/*",
        "application/fhir+json",
        "application/json",
        "text/json",
        "application/json+fhir",
        "application/*",
        "APPLICATION/FHIR+JSON",
        "application/fhir+json; charset=utf-8",
        "application/fhir+json;fhirVersion=4.0",
        "application/fhir+json; fhirversion=4.0; charset=UTF-8",
        "application/fhir+json;q=0.9, application/fhir+xml;q=0.8",
        "application/fhir+json, application/fhir+xml",
        "text/html, application/xhtml+xml, */*;q=0.1",
        # A browser's.
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "text/*",
        "application/*;q=0, application/fhir+json",
        'text/html;x="a,b;c", application/fhir+json',
        " , ,",
        "application/fhir+xml, application/json",
    ),
]
_AS_XML = [
    "application/fhir+xml",
    "application/xml",
    "text/xml",
    "application/xml+fhir",
    "APPLICATION/FHIR+XML; charset=utf-8",
    "application/fhir+xml;fhirVersion=4.0",
    "application/fhir+xml;q=0.9, application/fhir+json;q=0.8",
    "application/fhir+xml;q=0.1, application/fhir+json;fhirVersion=5.0",
    "text/html, application/fhir+xml, */*;q=0.1",
    "*/*, application/fhir+json;q=0",
]
_NOT_TAKEN = [
    "application/xml;q=0",
    "application/fhir+xml;fhirVersion=3.0",
    "text/html",
    "text/turtle",
    "application/fhir+json;q=0",
    "application/fhir+json;fhirVersion=3.0",
    "application/fhir+json; fhirVersion=5.0",
    "image/*",
    "nonsense",
    "*/json",
    "*/*, application/fhir+json;q=0, application/fhir+xml;q=0",
    "*/*, application/*;q=0",
    "application/fhir+json;q=x",
    "application/fhir+json;q=nan",
    'text/html;x=", application/fhir+json',
]


def refusal(parameter: str) -> dict[str, object]:
    """Return the issue of an answer in another format."""
    return issue(
        "not-supported",
        "This server answers application/fhir+json and application/fhir+xml: ask for"
        " one of them.",
        location=f"http.{parameter}",
    )


@pytest.mark.parametrize("url", _URLS)
@pytest.mark.parametrize("accept", _TAKEN)
def test_a_client_that_takes_json_gets_it(
    client: FlaskClient, url: str, accept: str | None
) -> None:
    """A client that accepts FHIR's JSON, by any of its names, gets it in UTF-8."""
    headers = {} if accept is None else {"Accept": accept}

    response = client.get(url, headers=headers)
    assert (response.status_code, response.headers["Content-Type"]) == (200, ANSWERED)


@pytest.mark.parametrize("url", _URLS)
@pytest.mark.parametrize("accept", _AS_XML)
def test_a_client_that_prefers_xml_gets_it(
    client: FlaskClient, url: str, accept: str
) -> None:
    """A client that wants FHIR's XML more than JSON, by any of its names, gets it."""
    response = client.get(url, headers={"Accept": accept})

    assert (response.status_code, response.headers["Content-Type"]) == (200, AS_XML)


@pytest.mark.parametrize("url", _URLS)
@pytest.mark.parametrize("accept", _NOT_TAKEN)
def test_a_client_that_takes_neither_is_refused(
    client: FlaskClient, url: str, accept: str
) -> None:
    """A client that accepts neither JSON nor XML of FHIR R4 gets 406."""
    response = client.get(url, headers={"Accept": accept})

    assert_outcome(response, 406, refusal("Accept"))


@pytest.mark.parametrize("url", _URLS)
@pytest.mark.parametrize(
    ("wanted", "content_type"),
    [
        ("json", ANSWERED),
        ("application/json", ANSWERED),
        ("application/fhir%2Bjson", ANSWERED),
        ("application/fhir+json", ANSWERED),
        ("text/json", ANSWERED),
        ("application/fhir%2Bjson;fhirVersion=4.0", ANSWERED),
        ("xml", AS_XML),
        ("text/xml", AS_XML),
        ("application/xml", AS_XML),
        ("application/fhir%2Bxml", AS_XML),
        ("application/fhir+xml", AS_XML),
        ("xml&_format=text/xml", AS_XML),
    ],
)
@pytest.mark.parametrize(
    "accept", ["application/fhir+xml", "application/fhir+json", "text/html"]
)
def test_format_beats_accept(
    client: FlaskClient, url: str, wanted: str, content_type: str, accept: str
) -> None:
    """A client that cannot set headers asks by _format."""
    joint = "&" if "?" in url else "?"

    response = client.get(f"{url}{joint}_format={wanted}", headers={"Accept": accept})

    assert (response.status_code, response.headers["Content-Type"]) == (
        200,
        content_type,
    )


@pytest.mark.parametrize("url", _URLS)
@pytest.mark.parametrize(
    "wanted", ["ttl", "html", "application/fhir%2Bxml;fhirVersion=5.0", "x" * 9]
)
def test_another_format_is_refused(client: FlaskClient, url: str, wanted: str) -> None:
    """Another _format is refused even when the Accept header takes JSON."""
    joint = "&" if "?" in url else "?"

    response = client.get(f"{url}{joint}_format={wanted}")
    assert_outcome(response, 406, refusal("_format"))


@pytest.mark.parametrize("url", _URLS)
@pytest.mark.parametrize("formats", [("json", "xml"), ("xml", "json")])
def test_each_format_is_heeded(
    client: FlaskClient, url: str, formats: tuple[str, str]
) -> None:
    """Two that contradict each other are refused, in either order."""
    joint = "&" if "?" in url else "?"

    response = client.get(f"{url}{joint}_format={formats[0]}&_format={formats[1]}")
    assert_outcome(response, 406, refusal("_format"))


def test_a_format_in_a_form_is_heeded(client: FlaskClient) -> None:
    """A search by POST may ask for the format among its parameters."""
    answered = [
        client.post("/fhir/Slot/_search", data={"_format": each, "_count": "0"})
        for each in ("json", "xml")
    ]

    assert [each.headers["Content-Type"] for each in answered] == [ANSWERED, AS_XML]
    assert_outcome(
        client.post("/fhir/Slot/_search", data={"_format": "ttl"}),
        406,
        refusal("_format"),
    )


@pytest.mark.parametrize(
    "content_type",
    [
        "application/fhir+json",
        "application/json",
        "text/json",
        "application/json+fhir",
        "application/fhir+json; charset=utf-8",
        'application/fhir+json;charset="UTF-8"',
        "application/fhir+json;fhirVersion=4.0",
        "Application/FHIR+JSON",
    ],
)
def test_a_body_in_json_is_read(client: FlaskClient, content_type: str) -> None:
    """A body is read under any of the names of FHIR's JSON, in UTF-8."""
    body = json.dumps(appointment("1", "191212121212"))

    response = client.post(
        "/fhir/Appointment", data=body, headers={"Content-Type": content_type}
    )
    assert_outcome(
        response,
        422,
        issue(
            "not-found",
            "There is no such slot; search for one.",
            expression="Appointment.slot[0].reference",
        ),
    )


@pytest.mark.parametrize(
    "content_type",
    [
        pytest.param(None, id="none"),
        *(
            "",
            "text/turtle",
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/json-patch+json",
            "application/fhir+json; charset=iso-8859-1",
            "application/fhir+json; charset=utf-16",
            "application/fhir+json; fhirVersion=3.0",
            "nonsense",
        ),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_another_body_is_refused(
    client: FlaskClient, method: str, content_type: str | None
) -> None:
    """A body of another type, version or encoding gets 415 with what to send."""
    url = "/fhir/Appointment" + ("" if method == "POST" else "/x")
    headers = {} if content_type is None else {"Content-Type": content_type}

    response = client.open(url, method=method, data=b"{}", headers=headers)
    assert_outcome(
        response,
        415,
        issue(
            "not-supported",
            "Send the body as application/fhir+json or application/fhir+xml, in UTF-8.",
            location="http.Content-Type",
        ),
    )


@pytest.mark.parametrize(
    "prefer",
    [
        "",
        "return=nonsense",
        "handling=strict",
        ";;,,==",
        "x" * 5_000,
        'return="representation"; handling=strict',
        # RFC 7240, 2: behind a semicolon stands a parameter of the one before it.
        "return=minimal; handling=lenient",
        "handling=strict, handling=lenient",
        'x=", handling=lenient',
    ],
)
def test_a_preference_that_is_not_understood_is_not_heeded(
    client: FlaskClient, prefer: str
) -> None:
    """An unknown preference changes nothing."""
    response = client.get("/fhir/Slot?_count=0&colour=red", headers={"Prefer": prefer})

    assert response.status_code == 400
    assert client.get("/fhir/Slot?_count=0", headers={"Prefer": prefer}).json == (
        client.get("/fhir/Slot?_count=0").json
    )


@pytest.mark.parametrize(
    "prefer",
    [
        *("handling=lenient", 'handling="lenient"', "Handling=lenient;x=1"),
        *("return=minimal, handling=lenient", "handling=lenient, handling=strict"),
        'x="a,b;", handling=lenient',
    ],
)
def test_lenient_handling_is_heeded(client: FlaskClient, prefer: str) -> None:
    """A Prefer header makes a search lenient, alone or among others."""
    response = client.get("/fhir/Slot?_count=0&colour=red", headers={"Prefer": prefer})

    assert response.status_code == 200
