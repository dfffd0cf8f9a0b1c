"""
A gateway that trusts the sandbox's issuer: from a real login to a booking.

The checks of Inferno's SMART App Launch test kit about discovery, invalid grants and
invalid assertions are made here against what the gateway itself names.
"""

import base64
import hashlib
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from flask.testing import FlaskClient

from fhir_gateway.bootstrap import Program
from fhir_gateway.sandbox.population_register import RESIDENTS
from fhir_gateway.sandbox.server import SandboxServer
from fhir_gateway.sandbox_sources import write_issuers, write_log_service
from web.running import (
    BASE_URL,
    SLOTS,
    OtherPrograms,
    fill,
    write_fast_sources,
)

from .bodies import FHIR_JSON, PERSONNUMMER, appointment, free_slots

pytestmark = pytest.mark.flow

NUMBERS: Final = {each.key: each.number.reveal() for each in RESIDENTS}
CALLBACK: Final = "http://127.0.0.1:8765/callback"
_TIMEOUT_S: Final = 10


@dataclass(frozen=True)
class Trusting:
    """A gateway, and the sandbox with the issuer that it trusts."""

    made: Program
    sandbox: SandboxServer

    def client(self, token: str | None = None) -> FlaskClient:
        """Return a client with a token, or without any."""
        client = self.made.app.test_client()
        if token is not None:
            client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        return client

    def person(self, key: str) -> FlaskClient:
        """Return a client with the token that a tester gets with curl."""
        answer = self.post("demo-token", {"as": key})
        return self.client(answer.text.strip())

    def post(self, path: str, form: dict[str, str]) -> requests.Response:
        """Send the issuer a form."""
        return requests.post(
            f"{self.sandbox.issuer}/{path}",
            data=form,
            allow_redirects=False,
            timeout=_TIMEOUT_S,
        )

    def smart(self) -> dict[str, Any]:
        """Return what the gateway says of getting a token."""
        answer = self.client().get("/fhir/.well-known/smart-configuration")
        found: dict[str, Any] = answer.json
        return found


@pytest.fixture(name="trusting", scope="module")
def _trusting(
    other_programs: OtherPrograms, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Trusting]:
    folder: Path = tmp_path_factory.mktemp("trusting")
    with (
        SandboxServer(port=0, slots=SLOTS, audience=BASE_URL) as sandbox,
        other_programs.start(
            sources=write_fast_sources(folder, sandbox),
            issuers=write_issuers(folder, sandbox.url, BASE_URL),
            log_service=write_log_service(folder, sandbox.url),
            mandates=f"{sandbox.url}/mandates",
            public_search=True,
        ) as made,
    ):
        fill(made)
        assert made.identity is not None
        made.identity.start()
        yield Trusting(made, sandbox)
        made.identity.stop()


def booked(client: FlaskClient, person: str) -> Any:
    """Book a free slot of norr for a person."""
    slot = next(free_slots(client, "norr"))["id"]
    return client.post(
        "/fhir/Appointment",
        json=appointment(slot, NUMBERS[person]),
        content_type=FHIR_JSON,
    )


def listed(client: FlaskClient, person: str) -> int:
    """Return the status of the list of a person's bookings."""
    return client.post(
        "/fhir/Appointment/_search",
        data={"patient.identifier": f"{PERSONNUMMER}|{NUMBERS[person]}"},
    ).status_code


def logged_in(trusting: Trusting, person: str) -> dict[str, Any]:
    """Return the tokens of a whole login, found from the gateway's own document."""
    smart = trusting.smart()
    verifier = secrets.token_urlsafe(48)
    digest = hashlib.sha256(verifier.encode()).digest()
    page = requests.get(
        smart["authorization_endpoint"],
        params={
            "response_type": "code",
            "client_id": "demo-app",
            "redirect_uri": CALLBACK,
            "scope": "openid patient/Appointment.crus patient/Slot.rs",
            "state": "s",
            "aud": BASE_URL,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": smart["code_challenge_methods_supported"][0],
        },
        timeout=_TIMEOUT_S,
    ).text
    [login] = re.findall(r'name="login" value="([^"]+)"', page)
    answer = trusting.post("login", {"login": login, "as": person, "answer": "yes"})
    returned = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert returned["iss"] == [smart["issuer"]]
    tokens: dict[str, Any] = requests.post(
        smart["token_endpoint"],
        data={
            "grant_type": "authorization_code",
            "code": returned["code"][0],
            "redirect_uri": CALLBACK,
            "client_id": "demo-app",
            "code_verifier": verifier,
        },
        timeout=_TIMEOUT_S,
    ).json()
    return tokens


def test_a_resident_logs_in_and_books(trusting: Trusting) -> None:
    """From the gateway's document over the login page to a booking of one's own."""
    client = trusting.client(logged_in(trusting, "resident")["access_token"])
    answer = booked(client, "resident")

    assert answer.status_code == 201
    assert client.get(f"/fhir/Appointment/{answer.json['id']}").status_code == 200
    assert listed(client, "resident") == 200


def test_a_guardian_books_for_the_child(trusting: Trusting) -> None:
    """A parent books for the child under 13, and reads the booking."""
    parent = trusting.person("parent")
    answer = booked(parent, "child")

    assert answer.status_code == 201
    assert parent.get(f"/fhir/Appointment/{answer.json['id']}").status_code == 200


def test_a_proxy_reads_by_the_mandate(trusting: Trusting) -> None:
    """A proxy lists the bookings of the resident who gave the mandate."""
    assert listed(trusting.person("proxy"), "resident") == 200


def test_a_guardian_and_a_proxy_see_the_whole_list(trusting: Trusting) -> None:
    """The child's, and the principal's, bookings of every region are in the list."""
    for actor, person in (("parent", "child"), ("proxy", "resident")):
        client = trusting.person(actor)
        made = set()
        for region in ("norr", "mitt", "syd"):
            slot = next(free_slots(client, region))["id"]
            answer = client.post(
                "/fhir/Appointment",
                json=appointment(slot, NUMBERS[person]),
                content_type=FHIR_JSON,
            )
            assert answer.status_code == 201, answer.text
            made.add(answer.json["id"])

        bundle = client.post(
            "/fhir/Appointment/_search",
            data={
                "patient.identifier": f"{PERSONNUMMER}|{NUMBERS[person]}",
                "status": "booked",
            },
        ).json

        assert made <= {each["resource"].get("id") for each in bundle["entry"]}


def test_a_guardian_keeps_the_child_s_relations(trusting: Trusting) -> None:
    """A guardian adds a unit for the child; another resident sees no such person."""
    patient = {
        "name": "patient",
        "valueIdentifier": {"system": PERSONNUMMER, "value": NUMBERS["child"]},
    }
    unit = next(free_slots(trusting.person("parent"), "syd"))["schedule"]["reference"]
    unit = unit.removeprefix("Schedule/").partition(".")[0]
    add = {"name": "add", "valueReference": {"reference": f"Location/{unit}"}}
    body = {"resourceType": "Parameters", "parameter": [patient, add]}

    answers = [
        trusting.person(key).post(
            "/fhir/Appointment/$relate", json=body, content_type=FHIR_JSON
        )
        for key in ("parent", "other-resident", "protected")
    ]

    assert [each.status_code for each in answers] == [200, 404, 404]
    assert f"Location/{unit}" in answers[0].text


@pytest.mark.parametrize(
    ("actor", "subject"),
    [
        ("parent", "teenager"),
        ("parent", "resident"),
        ("child", "parent"),
        ("resident", "proxy"),
        ("protected", "child"),
        ("parent", "protected"),
        ("other-resident", "resident"),
    ],
)
def test_nobody_acts_for_another_without_a_mandate(
    trusting: Trusting, actor: str, subject: str
) -> None:
    """A relation that does not permit it looks as if there were no such person."""
    client = trusting.person(actor)

    assert (listed(client, subject), booked(client, subject).status_code) == (404, 404)


def test_a_person_with_protected_identity_acts_alone(trusting: Trusting) -> None:
    """A resident with protected identity has their own bookings."""
    assert booked(trusting.person("protected"), "protected").status_code == 201


def test_a_nurse_books_and_reads_nothing(trusting: Trusting) -> None:
    """A nurse of 1177 på telefon makes a booking for a resident, and lists none."""
    nurse = trusting.person("nurse")

    assert booked(nurse, "other-resident").status_code == 201
    assert listed(nurse, "other-resident") == 403


def test_an_operator_sees_no_person_s_data(trusting: Trusting) -> None:
    """An operator neither books nor lists."""
    operator = trusting.person("operator")

    assert (listed(operator, "resident"), booked(operator, "resident").status_code) == (
        403,
        403,
    )


def test_an_id_token_lets_nobody_in(trusting: Trusting) -> None:
    """What says who logged in is no access token: it is for another audience."""
    client = trusting.client(logged_in(trusting, "resident")["id_token"])

    assert listed(client, "resident") == 401


def test_the_gateway_names_the_issuer_s_own_endpoints(trusting: Trusting) -> None:
    """The gateway's document and the issuer's agree on each endpoint."""
    smart = trusting.smart()
    metadata = requests.get(
        f"{smart['issuer']}/.well-known/openid-configuration", timeout=_TIMEOUT_S
    ).json()
    endpoints = {
        name: value
        for name, value in smart.items()
        if name.endswith(("_endpoint", "_uri")) or name == "issuer"
    }

    assert endpoints == {name: metadata[name] for name in endpoints}
    assert len(endpoints) == 5
    assert set(smart["grant_types_supported"]) <= {*metadata["grant_types_supported"]}
    assert {*smart["token_endpoint_auth_signing_alg_values_supported"]} <= {
        *metadata["token_endpoint_auth_signing_alg_values_supported"]
    }


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "not_a_grant_type"}, "unsupported_grant_type"),
        ({"grant_type": "client_credentials"}, "invalid_request"),
        (
            {
                "grant_type": "client_credentials",
                "client_assertion_type": "not_an_assertion_type",
                "client_assertion": "e30.e30.e30",
            },
            "invalid_client",
        ),
        (
            {
                "grant_type": "client_credentials",
                "client_assertion_type": (
                    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
                ),
                "client_assertion": "e30.e30.e30",
            },
            "invalid_client",
        ),
    ],
)
def test_the_named_token_endpoint_refuses(
    trusting: Trusting, form: dict[str, str], error: str
) -> None:
    """Inferno's invalid grant type, invalid assertion type and invalid JWT are 400."""
    answer = requests.post(
        trusting.smart()["token_endpoint"], data=form, timeout=_TIMEOUT_S
    )

    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_nobody_acts_while_the_register_is_away(
    trusting: Trusting, other_programs: OtherPrograms, tmp_path: Path
) -> None:
    """Without an answer of the register, a guardian gets 503, and oneself is served."""
    url = trusting.sandbox.url
    with other_programs.start(
        sources=write_fast_sources(tmp_path, trusting.sandbox),
        issuers=write_issuers(tmp_path, url, BASE_URL),
        log_service=write_log_service(tmp_path, url),
        mandates="http://127.0.0.1:9/mandates",
    ) as made:
        assert made.identity is not None
        made.identity.start()
        alone = Trusting(made, trusting.sandbox)
        statuses = [
            listed(alone.person("parent"), each) for each in ("child", "parent")
        ]
        made.identity.stop()

    assert statuses == [503, 200]
