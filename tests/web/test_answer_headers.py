"""
The header fields that every answer has, and which web pages may read an answer.
"""

from collections.abc import Iterator
from typing import Any, Final

import pytest
from flask.testing import FlaskClient

from .running import OtherPrograms

ALWAYS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}
APP: Final = "https://app.example.org"
CORS: Final = "Access-Control-"


def cors(response: Any) -> dict[str, str]:
    """Return the fields of CORS in an answer."""
    return {
        name.removeprefix(CORS): value
        for name, value in response.headers
        if name.startswith(CORS)
    }


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/fhir/metadata", 200),
        ("GET", "/health", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/fhir/Slot?_count=0", 200),
        ("GET", "/fhir/Slot/none", 404),
        ("GET", "/fhir/Slot?nonsense=1", 400),
        ("GET", "/fhir/%41", 400),
        ("DELETE", "/fhir/Slot", 405),
        ("OPTIONS", "/fhir/Slot", 200),
        ("POST", "/fhir/Appointment", 415),
    ],
)
def test_every_answer_has_them(
    client: FlaskClient, method: str, path: str, status: int
) -> None:
    """No answer can be framed, guessed at or run as a page."""
    response = client.open(path, method=method)

    assert response.status_code == status
    assert {name: response.headers.get(name) for name in ALWAYS} == ALWAYS
    assert "Strict-Transport-Security" not in response.headers
    assert cors(response) == {}


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/health", "/fhir/metadata", "/fhir/Slot?_count=0", "/fhir/Slot/none"),
        *("/fhir/ValueSet/error-code/$expand", "/fhir/$bulk-publish"),
        *("/fhir/$bulk-publish/OperationOutcome.norr.ndjson", "/fhir/package.tgz"),
    ],
)
def test_a_field_that_an_answer_varies_with_is_named_once(
    client: FlaskClient, path: str
) -> None:
    """Vary has each name once."""
    (vary,) = client.get(path).headers.getlist("Vary")

    assert vary == "Accept, Accept-Encoding, Accept-Language"


@pytest.fixture(name="page", scope="module")
def _page(other_programs: OtherPrograms) -> Iterator[FlaskClient]:
    """Give a client of a gateway behind TLS that one page may call."""
    with other_programs.start(
        base_url="https://gateway.test/fhir",
        hosts=frozenset({"gateway.test", "localhost"}),
        origins=frozenset({APP}),
    ) as made:
        yield made.app.test_client()


def test_a_base_behind_tls_keeps_browsers_on_tls(page: FlaskClient) -> None:
    """A browser that has been here once does not come without TLS again."""
    response = page.get("/fhir/metadata")

    assert response.headers["Strict-Transport-Security"] == "max-age=31536000"


@pytest.mark.parametrize("path", ["/fhir/Slot?_count=0", "/fhir/Slot/none"])
def test_a_listed_page_may_read_answers_and_refusals(
    page: FlaskClient, path: str
) -> None:
    """It reads the fields that it needs for the next request too."""
    response = page.get(path, headers={"Origin": APP})

    assert "Origin" in response.headers.getlist("Vary")
    assert cors(response) == {
        "Allow-Origin": APP,
        "Expose-Headers": (
            "Accept-Patch, Allow, Content-Location, Date, ETag, Last-Modified,"
            " Location, Preference-Applied, Retry-After, WWW-Authenticate, X-Request-Id"
        ),
    }


@pytest.mark.parametrize(
    "origin",
    [
        *("https://evil.example", "null", "*", "https://app.example.org.evil.example"),
        *("http://app.example.org", "https://APP.example.org", f"{APP}:444", f"{APP}/"),
        *("https://sub.app.example.org", ""),
    ],
)
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_no_other_page_may(page: FlaskClient, origin: str, method: str) -> None:
    """An origin is allowed as a whole and exactly, or not at all."""
    response = page.open(
        "/fhir/Slot?_count=0",
        method=method,
        headers={"Origin": origin, "Access-Control-Request-Method": "GET"},
    )

    assert cors(response) == {}
    assert "Origin" in response.headers.getlist("Vary")


@pytest.mark.parametrize("path", ["/fhir/Slot", "/fhir/Appointment/x", "/fhir/none"])
def test_a_preflight_is_answered_before_anything_else(
    page: FlaskClient, path: str
) -> None:
    """A browser sends it without a token, and asks which methods and fields may go."""
    response = page.options(
        path,
        headers={
            "Origin": APP,
            "Access-Control-Request-Method": "PUT",
            "Access-Control-Request-Headers": "authorization,if-match",
        },
    )

    assert (response.status_code, response.data) == (204, b"")
    assert "Content-Type" not in response.headers
    assert cors(response) == {
        "Allow-Origin": APP,
        "Allow-Methods": "GET, HEAD, POST, PUT, PATCH",
        "Allow-Headers": (
            "Accept, Authorization, Content-Type, Idempotency-Key, If-Match,"
            " If-Modified-Since, If-None-Exist, If-None-Match, Prefer, X-Request-Id"
        ),
        "Max-Age": "600",
        "Expose-Headers": response.headers["Access-Control-Expose-Headers"],
    }
    assert ", ".join(response.headers.getlist("Vary")) == (
        "Access-Control-Request-Method, Access-Control-Request-Headers, Accept,"
        " Accept-Encoding, Accept-Language, Origin"
    )


def test_how_to_get_in_may_be_read_by_any_page(page: FlaskClient) -> None:
    """SMART App Launch lets every origin read the discovery documents."""
    response = page.get("/fhir/metadata", headers={"Origin": "https://evil.example"})

    assert cors(response)["Allow-Origin"] == "*"


def test_credentials_are_never_allowed(page: FlaskClient) -> None:
    """The token is a header field that the page sets itself, and no cookie."""
    response = page.get("/fhir/Slot?_count=0", headers={"Origin": APP})

    assert "Access-Control-Allow-Credentials" not in response.headers
