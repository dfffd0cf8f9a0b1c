"""
Heads of requests: what a proxy could read otherwise, or nobody needs, is refused.
"""

import gzip
import json
from typing import Any, Final

import pytest
from assertions import assert_outcome, issue
from flask.testing import FlaskClient

from fhir_gateway.fhir.vocabulary import SNOMED_CT
from fhir_gateway.model.error_code import ErrorCode

from .bodies import FHIR_JSON, JSON_PATCH, appointment
from .running import BASE_URL

_FORM: Final = "application/x-www-form-urlencoded"
_NOT_IN_A_URL: Final = issue(
    "security",
    "A personal number must not be in a URL, where logs and caches would keep it: send"
    " it in the body of a POST.",
    error=ErrorCode.PERSONAL_NUMBER_IN_URL,
)
# Published by Skatteverket, with either century; the last is a coordination number.
_NUMBERS: Final = ("191212121212", "197501019801", "197010632391")


# Paths and methods.


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", "/fhir/%41ppointment/_search"),
        ("POST", "/fhir%2FAppointment"),
        ("POST", "/fhir/Appointment/%24book"),
        ("POST", "/fhir/Appointment%2F_search"),
        ("GET", "/fhir/Slot%2e"),
        ("GET", "/fhir/%53lot"),
        ("GET", "/%66hir/Slot?_count=0"),
        ("GET", "/fhir/Slot/%00"),
        ("GET", "/fhir/..%2ffhir/Slot"),
        ("GET", "/fhir/%2541"),
        ("GET", "/fhir/Slot/x%"),
    ],
)
def test_a_path_with_percent_signs_is_refused(
    client: FlaskClient, method: str, target: str
) -> None:
    """A path has one spelling, so that a proxy's rules for it hold."""
    response = client.open(
        "/", method=method, environ_overrides={"REQUEST_URI": target}
    )

    assert_outcome(
        response,
        400,
        issue(
            "value",
            "Write the path without percent signs: nothing that is served here needs"
            " them.",
        ),
    )


@pytest.mark.parametrize(
    "target", ["http://evil.example/fhir/Slot", "*", "fhir/Slot", "evil.example:80", ""]
)
def test_a_target_that_is_no_path_is_refused(client: FlaskClient, target: str) -> None:
    """Only a path, with or without a query, is a target."""
    response = client.get(
        "/x", environ_overrides={"REQUEST_URI": target, "PATH_INFO": target}
    )

    assert_outcome(
        response,
        400,
        issue("value", "The request's target must be a path that begins with /."),
    )


@pytest.mark.parametrize("method", ["get", "post", "Post", "G=T", "G\u00c4T"])
def test_a_method_that_is_not_in_capitals_is_refused(
    client: FlaskClient, method: str
) -> None:
    """Methods know their case (RFC 9110, 9.1)."""
    response = client.open("/fhir/Slot", environ_overrides={"REQUEST_METHOD": method})

    assert_outcome(
        response, 405, issue("not-supported", "Methods are written in capitals.")
    )


@pytest.mark.parametrize("letters", [17, 300])
def test_a_method_that_is_too_long_is_refused(
    client: FlaskClient, letters: int
) -> None:
    """No method of HTTP is so long."""
    response = client.open(
        "/fhir/Slot", environ_overrides={"REQUEST_METHOD": "X" * letters}
    )

    assert_outcome(
        response, 405, issue("not-supported", "No method has more than 16 letters.")
    )


# Hosts.


@pytest.mark.parametrize(
    "host",
    [
        *("gateway.test", "GATEWAY.test:8080", "gateway.test.", "localhost"),
        *("127.0.0.1:1", "[::1]", "[::1]:8080", "LOCALHOST:65535"),
    ],
)
def test_the_base_urls_host_and_loopback_are_answered(
    client: FlaskClient, host: str
) -> None:
    """With any port and in any case."""
    response = client.get("/fhir/Slot?_count=0", headers={"Host": host})

    assert response.status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "gateway.test.evil.example", "10.0.0.1", "notlocalhost", "[::2]"],
)
@pytest.mark.parametrize("target", ["/fhir/Slot", "/fhir/metadata", "/fhir/nothing"])
def test_an_unknown_host_is_refused(
    client: FlaskClient, host: str, target: str
) -> None:
    """A name that leads here by mistake or by a trick is refused."""
    response = client.get(target, headers={"Host": host})

    assert_outcome(
        response,
        421,
        issue(
            "not-supported",
            "This server does not answer to that Host. Its operator lists the names in"
            " FHIR_GATEWAY_ALLOWED_HOSTS.",
            location="http.Host",
        ),
    )


@pytest.mark.parametrize(
    "host",
    [
        *("", "localhost,evil.example", "local host", "user@localhost"),
        *("localhost:x", "/", "localhost:65536", "localhost:99999"),
    ],
)
def test_a_host_that_is_none_is_refused(client: FlaskClient, host: str) -> None:
    """Missing, double or broken."""
    response = client.get("/fhir/Slot", environ_overrides={"HTTP_HOST": host})

    assert_outcome(
        response,
        400,
        issue("value", "Send one Host, with a name or address.", location="http.Host"),
    )


def test_health_is_asked_by_any_name(client: FlaskClient) -> None:
    """A platform asks an address that it alone knows."""
    response = client.get("/health", headers={"Host": "10.1.2.3:8080"})

    assert (response.status_code, response.json) == (200, {"status": "ok"})


def test_links_never_have_the_hosts_name(client: FlaskClient, number: str) -> None:
    """They come from the base URL, in the answers of operations too."""
    found = client.get("/fhir/Slot?_count=1", headers={"Host": "localhost:1"}).json
    assert found is not None
    body = {
        "resourceType": "Parameters",
        "parameter": [
            {
                "name": "appt-resource",
                "resource": appointment(found["entry"][0]["resource"]["id"], number),
            }
        ],
    }

    for operation in ("$hold", "$book"):
        response = client.post(
            f"/fhir/Appointment/{operation}",
            json=body,
            content_type=FHIR_JSON,
            headers={"Host": "localhost:1"},
        )
        assert response.status_code in (200, 201), response.text
        assert "localhost" not in response.text + str(response.headers)
        answer = response.json
        assert answer is not None
        for link in answer.get("link", ()):
            assert link["url"] == f"{BASE_URL}/Appointment/{operation}"


# Sizes.


def test_a_long_url_is_refused(client: FlaskClient) -> None:
    """8 KiB of path and query are enough for 200 values; a form takes more."""
    fits = client.get("/fhir/Slot?x=" + "a" * (8_192 - len("/fhir/Slot?x=")))
    response = client.get("/fhir/Slot?x=" + "a" * (8_193 - len("/fhir/Slot?x=")))

    assert fits.status_code == 400
    assert_outcome(
        response,
        414,
        issue(
            "too-long",
            "The URL has more than 8192 bytes: search by POST to _search instead.",
        ),
    )


def test_many_header_fields_are_refused(client: FlaskClient) -> None:
    """64 are more than clients and proxies send."""
    response = client.get("/fhir/Slot", headers={f"X-{n}": "1" for n in range(65)})

    assert_outcome(
        response, 431, issue("too-long", "The request has more than 64 header fields.")
    )


@pytest.mark.parametrize("name", ["Prefer", "Accept", "X-Other", "If-None-Match"])
def test_large_header_fields_are_refused(client: FlaskClient, name: str) -> None:
    """16 KiB hold them all, before any of them is read."""
    response = client.get("/fhir/Slot", headers={name: "a" * 16_384})

    assert_outcome(
        response,
        431,
        issue("too-long", "The header fields have more than 16384 bytes."),
    )


# What a header may say.


@pytest.mark.parametrize(
    "name",
    [
        *("Accept", "Prefer", "If-Match", "If-None-Match", "If-None-Exist"),
        *("Idempotency-Key", "X-Request-Id", "Content-Type", "Content-Encoding"),
        *("Host", "Origin"),
    ],
)
def test_a_header_that_is_no_ascii_is_refused_by_name(
    client: FlaskClient, name: str
) -> None:
    """It never counts as absent, and it is not repeated."""
    response = client.get("/fhir/Slot", headers={name: "nyckel-å"})

    assert_outcome(
        response,
        400,
        issue("value", f"{name} has a byte that is no ASCII.", location=f"http.{name}"),
    )


def test_what_is_not_read_may_have_any_byte(client: FlaskClient) -> None:
    """A browser or a proxy may put a name into a header of its own."""
    response = client.get("/fhir/Slot?_count=0", headers={"X-Forwarded-User": "Åsa"})

    assert response.status_code == 200


@pytest.mark.parametrize("encoding", ["gzip", "br", "gzip, identity", "x-gzip", ""])
@pytest.mark.parametrize(
    ("method", "path", "content_type"),
    [
        ("POST", "/fhir/Appointment", FHIR_JSON),
        ("PUT", "/fhir/Appointment/x", FHIR_JSON),
        ("PATCH", "/fhir/Appointment/x", JSON_PATCH),
        ("POST", "/fhir/Appointment/x/$cancel", FHIR_JSON),
        ("POST", "/fhir/Appointment/_search", _FORM),
    ],
)
def test_an_encoded_body_is_refused(
    client: FlaskClient, method: str, path: str, content_type: str, encoding: str
) -> None:
    """415 says what would be taken (RFC 9110, 15.5.16)."""
    response = client.open(
        path,
        method=method,
        data=gzip.compress(b"{}"),
        content_type=content_type,
        headers={"Content-Encoding": encoding},
    )

    assert_outcome(
        response,
        415,
        issue(
            "not-supported",
            "Send the body without a Content-Encoding.",
            location="http.Content-Encoding",
        ),
    )
    assert response.headers["Accept-Encoding"] == "identity"


def test_the_identity_is_no_encoding(client: FlaskClient) -> None:
    """What is not encoded may say so."""
    response = client.post(
        "/fhir/Slot/_search",
        data={"_count": "0"},
        headers={"Content-Encoding": "identity"},
    )

    assert response.status_code == 200


@pytest.mark.parametrize("coding", ["gzip, chunked", "identity", "chunked, chunked"])
def test_another_transfer_coding_is_refused(client: FlaskClient, coding: str) -> None:
    """RFC 9112, 6.1: what is not understood is not implemented."""
    response = client.post(
        "/fhir/Slot/_search", headers={"Transfer-Encoding": coding}, data=b""
    )

    assert_outcome(
        response,
        501,
        issue(
            "not-supported",
            "Transfer-Encoding can be chunked and nothing else.",
            location="http.Transfer-Encoding",
        ),
    )


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize("headers", [{}, {"Transfer-Encoding": "chunked"}])
def test_of_http_1_0_a_body_needs_a_length(
    client: FlaskClient, method: str, headers: dict[str, str]
) -> None:
    """RFC 1945, 7.2.2; RFC 9112, 6.1: HTTP/1.0 has no chunks."""
    response = client.open(
        "/fhir/Appointment/x",
        method=method,
        headers=headers,
        content_type=FHIR_JSON,
        environ_overrides={"SERVER_PROTOCOL": "HTTP/1.0", "CONTENT_LENGTH": ""},
    )

    assert_outcome(
        response,
        411,
        issue(
            "structure",
            "HTTP/1.0 needs the body's Content-Length, also of an empty one, and has no"
            " Transfer-Encoding. Nothing was done.",
            location="http.Content-Length",
        ),
    )


@pytest.mark.parametrize(
    "length", ["-1", "+1", "1 1", "1,1", "0x1", "1_0", "9" * 5_000]
)
def test_a_length_that_is_no_number_is_refused(
    client: FlaskClient, length: str
) -> None:
    """The end of the body would be unknown."""
    response = client.post(
        "/fhir/Appointment",
        content_type=FHIR_JSON,
        environ_overrides={"CONTENT_LENGTH": length},
    )

    assert_outcome(
        response,
        400,
        issue(
            "value",
            "Content-Length must be one whole number.",
            location="http.Content-Length",
        ),
    )


# Media types.


_WRITES: Final = [
    ("POST", "/fhir/Appointment"),
    ("PUT", "/fhir/Appointment/x"),
    ("PATCH", "/fhir/Appointment/x"),
    *(
        ("POST", f"/fhir/Appointment{place}/${name}")
        for place in ("", "/x")
        for name in ("hold", "book", "cancel", "reschedule")
    ),
]


@pytest.mark.parametrize(("method", "path"), _WRITES)
@pytest.mark.parametrize(
    "content_type",
    [
        *(None, "", "text/plain", "text/plain;charset=utf-8", _FORM, "text/turtle"),
        *("multipart/form-data; boundary=x", "application/*", "*/*"),
        "text/plain; x=application/fhir+json",
    ],
)
@pytest.mark.parametrize("body", [b"", b"{}"])
def test_what_changes_something_says_its_media_type(
    client: FlaskClient, method: str, path: str, content_type: str | None, body: bytes
) -> None:
    """A page of another site can send none of FHIR's types in its reader's name."""
    response = client.open(path, method=method, data=body, content_type=content_type)

    wanted = (
        f"{FHIR_JSON} or application/fhir+xml or {JSON_PATCH}"
        if method == "PATCH"
        else "application/fhir+json or application/fhir+xml"
    )
    assert_outcome(
        response,
        415,
        issue(
            "not-supported",
            f"Send the body as {wanted}, in UTF-8.",
            location="http.Content-Type",
        ),
    )


@pytest.mark.parametrize("kind", ["Slot", "HealthcareService"])
def test_a_form_that_does_not_say_its_type_is_read(
    client: FlaskClient, kind: str
) -> None:
    """Its parameters count: dropped, they would widen the search."""
    response = client.post(f"/fhir/{kind}/_search", data=b"_count=0")
    refused = client.post(f"/fhir/{kind}/_search", data=b"colour=red&_count=0")

    assert response.json is not None
    assert "entry" not in response.json
    assert response.json["total"] > 0
    assert refused.status_code == 400


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/json", f"{_FORM}; charset=latin-1"]
)
def test_a_search_by_post_is_a_form(client: FlaskClient, content_type: str) -> None:
    """Another type than a form's is refused."""
    response = client.post(
        "/fhir/Slot/_search", data=b"_count=0", content_type=content_type
    )

    assert_outcome(
        response,
        415,
        issue(
            "not-supported",
            f"Send the parameters as {_FORM}, in UTF-8.",
            location="http.Content-Type",
        ),
    )


# Personal numbers.


def spellings(number: str) -> list[str]:
    """Return how a number is written in a URL."""
    hyphened = f"{number[:8]}-{number[8:]}"
    return [
        *(number, number[2:], hyphened, hyphened[2:]),
        *(f"{number[:8]}%2B{number[8:]}", f"{number[2:8]}+{number[8:]}"),
        "".join(f"%{ord(digit):02x}" for digit in number),
        "".join(f"%25{ord(digit):02x}" for digit in number[2:]),
        *(f"x{number}", f"a%7C{number[2:]}", f"({number[2:8]}%2D{number[8:]})"),
    ]


@pytest.mark.parametrize("number", _NUMBERS)
@pytest.mark.parametrize(
    "url",
    [
        *(f"/fhir/{kind}?service-type=" for kind in ("Slot", "HealthcareService")),
        f"/fhir/Slot?service-type={SNOMED_CT}%7C",
        *("/fhir/Slot?_id=", "/fhir/Slot?_cursor=", "/fhir/Slot?start=", "/fhir/Slot?"),
        *("/fhir/Slot?schedule=Schedule/", "/fhir/Appointment/$find?visit-type="),
        *("/fhir/Appointment/$find?location-string=", "/fhir/metadata?x="),
        *("/fhir/Appointment?slot=", "/fhir/Appointment/_search?status="),
    ],
)
def test_a_personal_number_stands_in_no_query(
    client: FlaskClient, url: str, number: str
) -> None:
    """Of twelve digits or ten, however it is written, by GET and by POST."""
    for spelt in spellings(number):
        for method in ("GET", "POST"):
            response = client.open(f"{url}{spelt}", method=method)

            assert_outcome(response, 400, _NOT_IN_A_URL)
            assert number[2:] not in str(response.headers)


@pytest.mark.parametrize("number", _NUMBERS)
@pytest.mark.parametrize(
    "kind", ["Slot", "Location", "Practitioner", "Appointment", "Patient"]
)
def test_a_personal_number_stands_in_no_path(
    client: FlaskClient, kind: str, number: str
) -> None:
    """An id that is somebody's number is refused before it is looked for."""
    for spelt in (number, number[2:], f"{number[:8]}-{number[8:]}"):
        assert_outcome(client.get(f"/fhir/{kind}/{spelt}"), 400, _NOT_IN_A_URL)


def most_bytes(method: str, path: str) -> int:
    """Return how large a body may be: an Appointment may be sent back to some."""
    is_sent_back = method == "PUT" or "$" in path
    return 393_216 if is_sent_back else 32_768


@pytest.mark.parametrize("more", [1, 2, 300_000])
@pytest.mark.parametrize(("method", "path"), _WRITES)
def test_a_body_that_was_not_read_is_no_empty_one(
    client: FlaskClient, method: str, path: str, more: int
) -> None:
    """What was too large to be taken is 413, also where a body may be left empty."""
    size = most_bytes(method, path) + more
    response = client.open(
        path,
        method=method,
        content_type=JSON_PATCH if method == "PATCH" else FHIR_JSON,
        environ_overrides={"CONTENT_LENGTH": str(size)},
    )

    assert response.status_code == 413


@pytest.mark.parametrize(("method", "path"), _WRITES)
@pytest.mark.parametrize("more", [0, 1])
def test_a_body_may_be_as_large_as_its_route_says(
    client: FlaskClient, method: str, path: str, more: int
) -> None:
    """A byte more is 413, before anything else of the body is looked at."""
    response = client.open(
        path,
        method=method,
        content_type=JSON_PATCH if method == "PATCH" else FHIR_JSON,
        data=b" " * (most_bytes(method, path) + more),
    )

    assert response.status_code == (413 if more else 400)


def test_a_refusal_of_a_body_is_fhir(client: FlaskClient) -> None:
    """Bodies that are refused by their size are answered with an OperationOutcome."""
    response = client.post(
        "/fhir/Appointment", data=json.dumps("x" * 40_000), content_type=FHIR_JSON
    )
    answer: Any = response.json

    assert response.status_code == 413
    assert answer["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize("name", ["Authorization", "Idempotency-Key", "If-None-Exist"])
def test_a_field_with_one_value_comes_once(client: FlaskClient, name: str) -> None:
    """Two keys or tokens joined would be a third one."""
    key = "HTTP_" + name.upper().replace("-", "_")
    response = client.get(
        "/fhir/metadata", environ_overrides={"fhir_gateway.repeated": [key]}
    )

    assert_outcome(
        response, 400, issue("value", f"Send one {name}.", location=f"http.{name}")
    )


@pytest.mark.parametrize("prefer", ["handling=strict", "handling=lenient"])
@pytest.mark.parametrize(
    "target",
    [
        "/fhir/Slot?access_token=eyJcanary",
        "/fhir/Slot?_count=1&access_token=eyJcanary",
        "/fhir/Slot?access%5Ftoken=eyJcanary",
        "/fhir/metadata?Access_Token=eyJcanary",
        "/fhir/Appointment/1?access_token=eyJcanary",
    ],
)
def test_a_token_in_a_url_is_refused(
    client: FlaskClient, target: str, prefer: str
) -> None:
    """A token is not read from a URL, and the answer does not repeat it."""
    response = client.get(target, headers={"Prefer": prefer})

    assert_outcome(
        response,
        400,
        issue(
            "value",
            "An access token must not be in a URL, where logs and caches would keep it:"
            " send it in the field Authorization, and get a new one.",
        ),
    )
    assert "canary" not in response.text


@pytest.mark.parametrize("prefer", ["handling=strict", "handling=lenient"])
@pytest.mark.parametrize("kind", ["Slot", "Appointment", "HealthcareService"])
def test_a_token_in_a_form_is_refused(
    client: FlaskClient, kind: str, prefer: str
) -> None:
    """A token is not read from a form either."""
    response = client.post(
        f"/fhir/{kind}/_search",
        data={"access_token": "eyJcanary"},
        headers={"Prefer": prefer},
    )

    assert response.status_code == 400
    assert "access_token: is not a parameter of this search" in response.text
    assert "canary" not in response.text
