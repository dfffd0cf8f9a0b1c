"""
How a person logs in at the demo issuer: code, PKCE, and what comes back.
"""

from datetime import timedelta
from html.parser import HTMLParser
from typing import Any, Final

import pytest
import requests

from fhir_gateway.sandbox.issuer.persons import PERSONS
from fhir_gateway.sandbox.server import SandboxServer

from .consumer import NOW, TIMEOUT_S, SettableClock
from .smart_client import AUDIENCE, App, back, claims_of, post

MOMENT: Final = int(NOW.timestamp())
NUMBER: Final = "https://id.oidc.se/claim/personalIdentityNumber"


@pytest.fixture(name="app")
def _app(server: SandboxServer) -> App:
    return App(server)


def test_a_login_gives_an_access_token(app: App) -> None:
    """A person who logs in gives the program a token for the gateway, for an hour."""
    answer = app.tokens()
    claims = claims_of(app.server, answer["access_token"])

    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 3600)
    assert answer["scope"] == "openid patient/Appointment.rs"
    assert len(claims.pop("jti")) == 36
    assert claims == {
        "iss": app.server.issuer,
        "sub": PERSONS["resident"].subject,
        "aud": AUDIENCE,
        "client_id": "demo-app",
        "scope": "openid patient/Appointment.rs",
        "iat": MOMENT,
        "auth_time": MOMENT,
        "exp": MOMENT + 3600,
        "acr": "http://id.elegnamnden.se/loa/1.0/loa3",
        "name": "Tolvan Tolvansson",
        "given_name": "Tolvan",
        "family_name": "Tolvansson",
        NUMBER: "191212121212",
    }


def test_a_login_gives_an_id_token(app: App) -> None:
    """The ID token is for the program, and has its nonce."""
    claims = claims_of(app.server, app.tokens()["id_token"])

    assert (claims["iss"], claims["aud"], claims["nonce"]) == (
        app.server.issuer,
        "demo-app",
        "the nonce",
    )


def test_there_is_no_id_token_without_openid(app: App) -> None:
    """Plain OAuth gives an access token alone."""
    assert "id_token" not in app.tokens(scope="patient/Appointment.rs")


def test_a_nurse_has_the_claims_of_ineras_idp(app: App) -> None:
    """A nurse's token has the employee and the assignment, and no personal number."""
    answer = app.tokens("nurse", scope="openid user/Appointment.c")
    claims = claims_of(app.server, answer["access_token"])

    assert NUMBER not in claims
    assert {name for name in claims if name.endswith("HsaId")} == {
        "employeeHsaId",
        "commissionHsaId",
        "healthCareUnitHsaId",
        "healthCareProviderHsaId",
    }
    assert claims["commissionPurpose"] == "Vård och behandling"


def test_state_and_issuer_come_back(app: App) -> None:
    """The program gets its own state, and the issuer's name (RFC 9207)."""
    parameters = back(app.choose(app.authorize().text))

    assert parameters.pop("code")
    assert parameters == {"state": "the state", "iss": app.server.issuer}


def test_a_state_is_taken_back_unchanged(app: App) -> None:
    """A state of any printable characters comes back as it was."""
    state = "a b&c=d%0d%0aSet-Cookie: x\"'<>#?"
    parameters = back(app.choose(app.authorize(state=state).text))

    assert parameters["state"] == state


def test_the_request_may_be_posted(app: App) -> None:
    """The authorization endpoint takes a form too (OpenID Connect Core, 3.1.2.1)."""
    page = post(app.server, "authorize", app.request)

    assert back(app.choose(page.text))["code"]


def test_a_person_may_break_off(app: App) -> None:
    """Who does not log in sends the program an error."""
    parameters = back(app.choose(app.authorize().text, answer="no"))

    assert (parameters["error"], parameters["state"]) == ("access_denied", "the state")


@pytest.mark.parametrize("person", ["", "nobody", "region-norr", "RESIDENT"])
def test_nobody_else_can_log_in(app: App, person: str) -> None:
    """A person who is not among the ready-made ones does not log in."""
    assert back(app.choose(app.authorize().text, person))["error"] == "access_denied"


def test_a_login_is_done_once(app: App) -> None:
    """The form of a login page can be sent once."""
    page = app.authorize().text
    app.choose(page)

    assert app.choose(page).status_code == 400


def test_a_login_page_is_valid_for_ten_minutes(app: App, clock: SettableClock) -> None:
    """A form that is sent later is refused."""
    page = app.authorize().text
    clock.instant += timedelta(minutes=10)

    assert app.choose(page).status_code == 400


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_type": None}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge": "=" * 43}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"aud": "https://elsewhere.example.org/fhir"}, "invalid_request"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"prompt": "none"}, "login_required"),
        ({"request": "e30.e30."}, "request_not_supported"),
        ({"request_uri": "https://a.example.org"}, "request_uri_not_supported"),
        ({"scope": "system/Appointment.rs"}, "invalid_scope"),
        ({"scope": "patient/Appointment.sr launch"}, "invalid_scope"),
        ({"scope": "patient/Appointment."}, "invalid_scope"),
    ],
)
def test_a_wrong_request_goes_back_with_its_error(
    app: App, changes: dict[str, str | None], error: str
) -> None:
    """The program gets the error by the name that OAuth or OpenID Connect gives it."""
    parameters = back(app.authorize(**changes))

    assert (parameters["error"], parameters["state"], parameters["iss"]) == (
        error,
        "the state",
        app.server.issuer,
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": None},
        {"client_id": "nobody"},
        {"client_id": "region-norr"},
        {"redirect_uri": None},
        {"redirect_uri": "http://127.0.0.1:8765/callback/"},
        {"redirect_uri": "http://127.0.0.1:8765/callback?x"},
        {"redirect_uri": "http://127.0.0.1:8765/CALLBACK"},
        {"redirect_uri": "http://127.0.0.1:8766/callback"},
        {"redirect_uri": "https://evil.example.org/callback"},
        {"redirect_uri": "http://127.0.0.1:8765/callback\r\nSet-Cookie: x"},
        {"redirect_uri": "javascript:alert(1)"},
    ],
)
def test_nobody_is_sent_to_an_unknown_address(
    app: App, changes: dict[str, str | None]
) -> None:
    """A program or an address that is not registered gets a page, and no redirect."""
    answer = app.authorize(**changes)

    assert (answer.status_code, "Location" in answer.headers) == (400, False)


def test_a_repeated_parameter_is_refused(app: App) -> None:
    """A parameter that stands twice is an error, even with the same value."""
    answer = requests.get(
        f"{app.server.issuer}/authorize",
        params=[*app.request.items(), ("redirect_uri", app.request["redirect_uri"])],
        allow_redirects=False,
        timeout=TIMEOUT_S,
    )

    assert answer.status_code == 400


def test_a_code_can_be_used_once(app: App) -> None:
    """A second use of a code is an invalid grant."""
    code = app.code()
    first, second = app.exchange(code), app.exchange(code)

    assert (first.status_code, second.status_code) == (200, 400)
    assert second.json()["error"] == "invalid_grant"


def test_a_code_is_valid_for_a_minute(app: App, clock: SettableClock) -> None:
    """After 60 seconds a code is an invalid grant."""
    code = app.code()
    clock.instant += timedelta(seconds=60)

    assert app.exchange(code).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": "x" * 43}, "invalid_grant"),
        ({"code_verifier": "short"}, "invalid_grant"),
        ({"code_verifier": None}, "invalid_request"),
        ({"redirect_uri": "https://oauth.pstmn.io/v1/callback"}, "invalid_grant"),
        ({"redirect_uri": None}, "invalid_request"),
        ({"client_id": "gateway"}, "invalid_grant"),
        ({"client_id": "nobody"}, "invalid_client"),
        ({"client_id": None}, "invalid_request"),
        ({"code": "x"}, "invalid_grant"),
        ({"code": None}, "invalid_request"),
        ({"code": ""}, "invalid_request"),
        ({"grant_type": "refresh_token"}, "unsupported_grant_type"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": None}, "invalid_request"),
    ],
)
def test_a_code_fits_one_request_only(
    app: App, changes: dict[str, str | None], error: str
) -> None:
    """A code is bound to the program, the redirect URI and the secret of PKCE."""
    answer = app.exchange(app.code(), **changes)

    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_a_wrong_secret_uses_the_code_up(app: App) -> None:
    """Nobody can guess at the secret of a code more than once."""
    code = app.code()
    app.exchange(code, code_verifier="x" * 43)

    assert app.exchange(code).json()["error"] == "invalid_grant"


def test_a_person_grants_no_more_than_their_own(app: App) -> None:
    """A nurse cannot grant a patient's scopes."""
    page = app.authorize(scope="patient/Appointment.rs").text

    assert back(app.choose(page, "nurse"))["error"] == "invalid_scope"


def test_unknown_scopes_are_left_out(app: App) -> None:
    """The answer names the scopes that were granted."""
    answer = app.tokens(scope="patient/Slot.rs offline_access system/*.cruds")

    assert answer["scope"] == "patient/Slot.rs"


def test_a_scope_may_be_restricted(app: App) -> None:
    """A scope of SMART 2 with a search restriction is granted as it is."""
    scope = "patient/Appointment.rs?status=booked"

    assert app.tokens(scope=scope)["scope"] == scope


def test_no_answer_is_cached(app: App) -> None:
    """Pages and tokens stay out of caches."""
    page = app.authorize()
    tokens = app.exchange(back(app.choose(page.text))["code"])

    assert {each.headers["Cache-Control"] for each in (page, tokens)} == {"no-store"}


def test_a_token_of_a_code_can_be_read_by_a_program_in_a_browser(app: App) -> None:
    """The token endpoint lets every origin read its answer (SMART 2.2)."""
    answer = app.exchange(app.code())

    assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_the_page_lets_its_form_lead_to_the_program_only(app: App) -> None:
    """The policy of the page permits no script, no frame, and two targets."""
    policy = app.authorize().headers["Content-Security-Policy"]

    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert policy.endswith(
        "; form-action 'self' http://127.0.0.1:8765; frame-ancestors 'none';"
        " base-uri 'none'"
    )


class _Page(HTMLParser):
    """Collects what a screen reader needs."""

    def __init__(self) -> None:
        super().__init__()
        self.language: str | None = None
        self.tags: list[str] = []
        self.radios_without_label = 0

    def handle_starttag(
        self, tag: str, attributes: list[tuple[str, str | None]]
    ) -> None:
        """Note a tag."""
        found: dict[str, Any] = dict(attributes)
        if tag == "html":
            self.language = found.get("lang")
        if tag == "input" and found["type"] == "radio" and self.tags[-1] != "label":
            self.radios_without_label += 1
        self.tags.append(tag)


def test_the_page_can_be_read_aloud(app: App) -> None:
    """The page is in Swedish, with a heading, a legend and a label for each choice."""
    page = _Page()
    page.feed(app.authorize().text)

    assert page.language == "sv"
    assert [page.tags.count(tag) for tag in ("title", "main", "h1", "legend")] == [
        1
    ] * 4
    assert page.tags.count("label") == len(PERSONS)
    assert page.radios_without_label == 0


def test_the_page_escapes_what_the_program_sends(app: App) -> None:
    """A scope with markup in it does not become markup."""
    page = app.authorize(scope='openid "><script>alert(1)</script>').text

    assert "<script" not in page
