"""
The Flask application: every route of the server.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final
from wsgiref.types import StartResponse, WSGIEnvironment

import orjson
from flask import Flask, Response, request
from werkzeug.exceptions import NotFound

from fhir_gateway import VERSION
from fhir_gateway.access.policy import Interaction
from fhir_gateway.fhir.capability_statement import (
    OperationCapability,
    capability_statement,
)
from fhir_gateway.fhir.implementation_guide import package
from fhir_gateway.fhir.outcome import Issue, Severity, operation_outcome
from fhir_gateway.fhir.published import examples
from fhir_gateway.fhir.terminology_capabilities import terminology_capabilities
from fhir_gateway.web.answer_form import in_asked_form
from fhir_gateway.web.answer_headers import AnswerHeaders
from fhir_gateway.web.appointment import appointment_routes
from fhir_gateway.web.audit_event import audit_event_routes
from fhir_gateway.web.batch import BATCH_HANDLING, batch_view
from fhir_gateway.web.bulk_publish.routes import bulk_publish
from fhir_gateway.web.compression import Compression
from fhir_gateway.web.conformance import (
    PACKAGE_PATH,
    conformance_routes,
    package_view,
)
from fhir_gateway.web.developer_pages import PAGES, add_developer_pages
from fhir_gateway.web.directory.routes import directory_routes
from fhir_gateway.web.directory.world import DirectoryWorlds
from fhir_gateway.web.errors import register_error_handlers
from fhir_gateway.web.exchange import (
    FHIR_PREFIX,
    check_accept,
    fhir_response,
    refuse_parameters,
)
from fhir_gateway.web.gateway import Gateway
from fhir_gateway.web.identity import identify
from fhir_gateway.web.limiting import count_failed_look
from fhir_gateway.web.measure_report import measure_routes
from fhir_gateway.web.metadata import metadata_view
from fhir_gateway.web.openapi import openapi_document
from fhir_gateway.web.operation.routes import slot_operations
from fhir_gateway.web.options import options
from fhir_gateway.web.peer import read_peer, remember_peer
from fhir_gateway.web.process_notification import (
    NOTIFICATION_HANDLING,
    NOTIFICATION_PATH,
    add_process_notification,
)
from fhir_gateway.web.read_view import BASE_URL
from fhir_gateway.web.request_body import take_body
from fhir_gateway.web.request_head import HEALTH, check_head
from fhir_gateway.web.request_id import echo_request_id
from fhir_gateway.web.resource import (
    IdConverter,
    ResourceRoutes,
    handling_of,
    register,
)
from fhir_gateway.web.slot import slot_routes
from fhir_gateway.web.smart_configuration import (
    PATH,
    oauth_endpoints,
    smart_configuration,
)
from fhir_gateway.web.system_operation import (
    SystemOperation,
    handling_of_operations,
    register_operation,
)

__all__ = ["HEALTHY", "GatewayApp", "create_app", "resource_routes"]

HEALTHY: Final = b'{"status":"ok"}'
"""The answer of `/health` while this process lives."""


class GatewayApp(Flask):
    """
    The WSGI application of a gateway.

    Args:
        routes: The routes of the resource types.
        answer_headers: What stands in every answer.
        operations: The operations of the whole system.

    Attributes:
        routes: The same routes.
        operations: The same operations.
        answer_headers: The same fields.
        interactions: The interaction of each of their endpoints.
        handling: Returns how a method on a path is handled.
    """

    def __init__(
        self,
        routes: Sequence[ResourceRoutes],
        answer_headers: AnswerHeaders,
        operations: Sequence[SystemOperation] = (),
    ) -> None:
        super().__init__(
            "fhir_gateway", static_folder=None, template_folder="web/templates"
        )
        # A second spelling of a path would evade a proxy's rules for the first, and a
        # redirect would repeat the URL with all that a client wrote into it.
        self.url_map.strict_slashes = True
        self.url_map.redirect_defaults = False
        self.url_map.merge_slashes = False
        self.url_map.converters["default"] = IdConverter
        self.interactions: dict[str, Interaction] = {}
        for each in routes:
            self.interactions |= register(self, each, FHIR_PREFIX)
        for operation in operations:
            self.interactions |= register_operation(self, operation, FHIR_PREFIX)
        self.routes = tuple(routes)
        self.operations = tuple(operations)
        self.answer_headers = answer_headers
        self.handling = handling_of(
            routes,
            FHIR_PREFIX,
            others={
                ("POST", path): BATCH_HANDLING
                for path in (FHIR_PREFIX, f"{FHIR_PREFIX}/")
            }
            | {("POST", NOTIFICATION_PATH): NOTIFICATION_HANDLING}
            | handling_of_operations(operations, FHIR_PREFIX),
        )

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return a view as it is: Flask would inspect all eleven in each request."""
        return func

    def wsgi_app(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Answer a request; every answer, also of a failure, has the common fields."""
        start = self.answer_headers.added_by(environ, start_response)
        return super().wsgi_app(environ, start)


def create_app(gateway: Gateway) -> GatewayApp:
    """Return the WSGI application of a gateway."""
    routes = resource_routes(gateway)
    is_https = gateway.base_url.startswith("https://")
    answer_headers = AnswerHeaders(
        origins=gateway.origins, is_https=is_https, pages=PAGES
    )
    operations = (bulk_publish(gateway),)
    app = GatewayApp(routes, answer_headers, operations)
    app.config[BASE_URL] = gateway.base_url
    app.before_request(lambda: check_head(request.environ, gateway.hosts))
    app.before_request(
        lambda: remember_peer(
            read_peer(
                request.environ,
                gateway.proxies,
                hosts=gateway.hosts,
                is_https=is_https,
            )
        )
    )
    # A browser asks without the token whether it may send it.
    app.before_request(lambda: answer_headers.preflight(request.environ))
    app.before_request(options)
    app.before_request(lambda: identify(gateway, app.interactions))
    # Before any view: views that need no body would act without it.
    app.before_request(
        lambda: take_body(app.handling(request.method, request.path).most_bytes)
    )
    statement = capability_statement(
        [each.capability for each in routes],
        base_url=gateway.base_url,
        software_version=VERSION,
        started_at=gateway.started_at,
        vocabulary=gateway.vocabulary,
        oauth=oauth_endpoints(gateway.issuers),
        operations=[
            OperationCapability(name=each.name, definition=each.definition)
            for each in operations
        ],
    )
    app.add_url_rule(
        f"{FHIR_PREFIX}{PATH}",
        "smart-configuration",
        lambda: _smart_configuration(gateway),
    )
    terminology = terminology_capabilities(
        gateway.terminology.systems,
        base_url=gateway.base_url,
        software_version=VERSION,
        started_at=gateway.started_at,
    )
    app.add_url_rule(
        f"{FHIR_PREFIX}/metadata", "metadata", metadata_view(statement, terminology)
    )
    app.add_url_rule(
        f"{FHIR_PREFIX}{PACKAGE_PATH}",
        "package",
        package_view(package(gateway.vocabulary)),
    )
    documents = (
        *(f"${each.name}" for each in operations),
        *(each.removeprefix("/") for each in (PACKAGE_PATH, PATH)),
    )
    for path in (FHIR_PREFIX, f"{FHIR_PREFIX}/"):
        app.add_url_rule(path, path, lambda: _base(gateway.base_url))
        app.add_url_rule(
            path,
            f"{path} batch",
            batch_view(app.wsgi_app, gateway.base_url, documents),
            methods=["POST"],
        )
    app.add_url_rule(HEALTH, "health", _health)
    app.interactions |= add_process_notification(
        app, gateway.notification_endpoint, gateway.base_url
    )
    add_developer_pages(
        app,
        _places(gateway.base_url),
        openapi_document(
            routes,
            base_url=gateway.base_url,
            issuers=gateway.issuers,
            published=gateway.published,
            examples=examples(gateway.vocabulary),
        ),
    )
    register_error_handlers(app)
    # Flask calls these in reverse: the form of an answer is made before it is packed.
    app.after_request(Compression().compressed)
    app.after_request(in_asked_form)
    app.after_request(lambda response: count_failed_look(gateway.limits, response))
    app.after_request(echo_request_id)
    return app


def resource_routes(gateway: Gateway) -> tuple[ResourceRoutes, ...]:
    """Return the routes of all resource types."""
    worlds = DirectoryWorlds(gateway.slot_search, gateway.vocabulary)
    return (
        slot_routes(gateway, worlds, slot_operations(gateway)),
        *directory_routes(gateway, worlds),
        appointment_routes(gateway),
        audit_event_routes(gateway),
        *measure_routes(gateway),
        *conformance_routes(gateway),
    )


def _smart_configuration(gateway: Gateway) -> Response:
    """
    Answer where clients get tokens.

    Raises:
        NotFound: This server takes no tokens: it is an open demo.
    """
    if not gateway.issuers:
        raise NotFound
    return Response(
        orjson.dumps(smart_configuration(gateway.issuers)),
        content_type="application/json",
    )


def _base(base_url: str) -> Response:
    """Answer a request for the FHIR base alone with the main URLs."""
    check_accept()
    # With parameters it would be a search in all types.
    refuse_parameters()
    issue = Issue(
        severity=Severity.INFORMATION,
        code="informational",
        diagnostics=(
            f"This is the base of a FHIR R4 server: {base_url}/metadata says what it"
            f" does, and {_first_search(base_url)} finds free times."
        ),
    )
    return fhir_response(operation_outcome([issue]))


def _first_search(base_url: str) -> str:
    return f"{base_url}/Slot?status=free&_sort=start&_count=3"


def _places(base_url: str) -> dict[str, str]:
    """Return the URLs that a new visitor looks for, by name."""
    root = base_url.removesuffix(FHIR_PREFIX)
    return {
        "fhir_base": base_url,
        "capabilities": f"{base_url}/metadata",
        "openapi": f"{root}/openapi.json",
        "docs": f"{root}/docs",
        "package": f"{base_url}{PACKAGE_PATH}",
        "free_times": _first_search(base_url),
        "earliest_of_each_unit": f"{base_url}/Slot?first-per=unit",
        "services": f"{base_url}/HealthcareService?_count=3",
        "health": f"{root}{HEALTH}",
    }


def _health() -> Response:
    """Answer that this process lives; it says nothing of the regions."""
    return Response(HEALTHY, content_type="application/json")
