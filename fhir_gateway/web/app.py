"""
The Flask application: every route of the server.
"""

from typing import Any, Final

from flask import Flask, Response

from fhir_gateway import VERSION
from fhir_gateway.fhir.capability_statement import capability_statement
from fhir_gateway.fhir.json_reading import MAX_BYTES
from fhir_gateway.web.appointment import appointment_routes
from fhir_gateway.web.directory import directory_routes
from fhir_gateway.web.errors import register_error_handlers
from fhir_gateway.web.exchange import check_accept, fhir_response
from fhir_gateway.web.gateway import Gateway
from fhir_gateway.web.request_id import echo_request_id
from fhir_gateway.web.resource import ResourceRoutes, register
from fhir_gateway.web.slot import slot_routes

__all__ = ["FHIR_PREFIX", "create_app", "may_wait", "resource_routes"]

FHIR_PREFIX: Final = "/fhir"
_OF_APPOINTMENTS: Final = f"{FHIR_PREFIX}/Appointment"


def create_app(gateway: Gateway) -> Flask:
    """Return the WSGI application that answers for a gateway."""
    app = Flask("fhir_gateway", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BYTES + 1
    app.url_map.strict_slashes = False
    # A redirect would repeat the URL, and whatever a client has put into it.
    app.url_map.merge_slashes = False
    routes = resource_routes(gateway)
    for each in routes:
        register(app, each, FHIR_PREFIX)
    statement = capability_statement(
        [each.capability for each in routes],
        base_url=gateway.base_url,
        software_version=VERSION,
        started_at=gateway.started_at,
        vocabulary=gateway.vocabulary,
    )
    app.add_url_rule(
        f"{FHIR_PREFIX}/metadata", "metadata", lambda: _metadata(statement)
    )
    app.add_url_rule("/health", "health", _health)
    register_error_handlers(app)
    app.after_request(echo_request_id)
    return app


def may_wait(path: str) -> bool:
    """Tell whether the answer to a path may have to wait for a region, or for SQL."""
    return path.startswith(_OF_APPOINTMENTS)


def resource_routes(gateway: Gateway) -> tuple[ResourceRoutes, ...]:
    """Return everything that can be done with resources."""
    return (
        slot_routes(gateway),
        *directory_routes(gateway),
        appointment_routes(gateway),
    )


def _metadata(statement: dict[str, Any]) -> Response:
    check_accept()
    return fhir_response(statement)


def _health() -> Response:
    """Answer that this process lives; whether regions do is another question."""
    return Response('{"status":"ok"}', content_type="application/json")
