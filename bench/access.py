"""
What access control costs: A1 and A2.
"""

import http.client
import statistics
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from flask import Flask, Response, jsonify
from joserfc import jwt
from joserfc.jwk import ECKey
from werkzeug.serving import make_server

from bench.figure import Figure
from bench.load import load
from bench.search import CONNECTIONS, random_searches
from bench.serving import FilledWorld, serving
from fhir_gateway.access.audit import AuditTrail
from fhir_gateway.access.policy import Interaction
from fhir_gateway.model.grant import Basis, Grant
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.principal import Principal, Role
from fhir_gateway.settings import Settings
from fhir_gateway.stores.audit import AuditStore
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.sealing import Seal

__all__ = ["audit_of_a_booking", "searches_with_a_token"]

_ISSUER = "https://idp.example.org"
_AUDIENCE = "https://gateway.example.org/fhir"
_LASTS_S = 3000
_ROUNDS = 5
_SECONDS = 2.0
_NOTES = 100


def searches_with_a_token(place: FilledWorld) -> Figure:
    """Return what a token costs a search: A1."""
    key = ECKey.generate_key("P-256")
    folder = Path(place.environment["FHIR_GATEWAY_DATA_DIR"])
    with _published(key) as jwks_uri:
        environment = {
            "FHIR_GATEWAY_ISSUERS": str(_issuers_file(folder, jwks_uri)),
            "FHIR_GATEWAY_OPEN_DEMO": "no",
            "FHIR_GATEWAY_PUBLIC_SEARCH": "yes",
            "FHIR_GATEWAY_LIMIT_SEARCHES": "1000000",
        }
        with serving(place, environment=environment) as server:
            paths = random_searches(place.world)
            authorization = f"Bearer {_token(key)}"
            _expect(server.port, paths(1)[0], authorization)
            ratios, with_token = [], []
            for _ in range(_ROUNDS):
                round_ = paths(2000)
                rates = [
                    load(
                        server.port,
                        round_,
                        connections=CONNECTIONS,
                        seconds=_SECONDS,
                        authorization=each,
                    ).requests_per_second
                    for each in (None, authorization)
                ]
                ratios.append(rates[1] / rates[0])
                with_token.append(rates[1])
    return Figure.at_least(
        "A1",
        "searches a second with a token ÷ without",
        {"": statistics.median(ratios)},
        0.90,
        f"{statistics.median(with_token):.0f}/s, ratios {min(ratios):.2f} to"
        f" {max(ratios):.2f}",
    )


def audit_of_a_booking(place: FilledWorld, booking_s: float) -> Figure:
    """
    Return what the audit trail costs a booking: A2.

    Args:
        place: Where the gateway's journal and audit trail are.
        booking_s: How long a booking takes, in seconds.
    """
    settings = Settings.from_environment(place.environment)
    number = PersonalIdentityNumber("191212121212")
    principal = Principal(role=Role.DEMO)
    database = Database(settings.database_url)
    try:
        trail = AuditTrail(
            AuditStore(database, Seal.from_file(settings.data_dir / "journal.key")),
            (),
            lambda: None,
        )
        times = []
        for _ in range(_NOTES):
            began = time.perf_counter()
            trail.note(
                principal,
                Interaction("Appointment", "create"),
                subject=number,
                booking=None,
                unit=None,
                grant=Grant(principal=principal, subject=number, basis=Basis.DEMO),
            )
            times.append(time.perf_counter() - began)
    finally:
        database.close()
    audit_s = statistics.median(times)
    return Figure.at_most(
        "A2",
        "a booking ÷ the same without its row of the audit trail",
        {"": booking_s / (booking_s - audit_s)},
        1.15,
        f"{booking_s * 1000:.1f} ms a booking, {audit_s * 1000:.2f} ms of it the row",
    )


def _expect(port: int, path: str, authorization: str) -> None:
    """Check that the server takes the token."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path, headers={"Authorization": authorization})
    status = connection.getresponse().status
    connection.close()
    if status != http.HTTPStatus.OK:
        raise RuntimeError(f"a search with a token answered {status}")


def _token(key: ECKey) -> str:
    at = int(time.time())
    claims = {
        "iss": _ISSUER,
        "aud": _AUDIENCE,
        "sub": "resident",
        "client_id": "bench",
        "jti": "0123456789abcdef",
        "iat": at,
        "exp": at + _LASTS_S,
        "acr": "http://id.elegnamnden.se/loa/1.0/loa3",
        "scope": "patient/Slot.rs patient/Appointment.cruds",
        "https://id.oidc.se/claim/personalIdentityNumber": "191212121212",
    }
    return jwt.encode({"alg": "ES256", "kid": "1", "typ": "at+jwt"}, claims, key)


def _issuers_file(folder: Path, jwks_uri: str) -> Path:
    path = folder / "issuers.toml"
    path.write_text(
        "[[issuer]]\n"
        f'issuer = "{_ISSUER}"\n'
        f'jwks_uri = "{jwks_uri}"\n'
        f'audience = "{_AUDIENCE}"\n'
        'roles = ["resident"]\n',
        encoding="utf-8",
    )
    return path


@contextmanager
def _published(key: ECKey) -> Iterator[str]:
    """Serve a key set; yield its URL."""
    public: Mapping[str, object] = {
        **key.as_dict(private=False),
        "kid": "1",
        "use": "sig",
        "alg": "ES256",
    }
    app = Flask(__name__)

    @app.get("/jwks")
    def key_set() -> Response:
        return jsonify({"keys": [public]})

    server = make_server("127.0.0.1", 0, app)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/jwks"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
