"""
The resources that describe this server: profiles, operations, code systems and more.

FHIR R4, 5 and 4.7. All of them are public, as the CapabilityStatement is.
"""

from datetime import datetime
from typing import Any, Final

from flask import Response, request

from fhir_gateway.fhir.published import PublishedResources
from fhir_gateway.fhir.published_tables import PUBLISHED_TABLES
from fhir_gateway.web.exchange import refuse_parameters
from fhir_gateway.web.gateway import Gateway
from fhir_gateway.web.operation.terminology import TerminologyOperations
from fhir_gateway.web.resource import InteractionCode, ResourceRoutes, View, read_route
from fhir_gateway.web.table_search import table_schema, table_search

__all__ = ["PACKAGE_PATH", "PUBLISHED_SCHEMAS", "conformance_routes", "package_view"]

PACKAGE_PATH: Final = "/package.tgz"
"""The path of the package of the profiles, below the FHIR base."""

_TYPES: Final = {
    "StructureDefinition": "The profiles and extensions of this server.",
    "SearchParameter": "This server's own, and R4's for the types that it has.",
    "OperationDefinition": "This server's own, and R4's that it answers.",
    "ImplementationGuide": "What the package of the profiles holds.",
    "CodeSystem": "Error codes; the names of the standard time types.",
    "ValueSet": "Error codes; the standard time types.",
    "ConceptMap": "What the time types of the regions' units mean, by source.",
    "Endpoint": "This server's FHIR base.",
}


PUBLISHED_SCHEMAS: Final = {
    resource_type: table_schema(PUBLISHED_TABLES, resource_type)
    for resource_type in _TYPES
}
"""The search parameters of each type."""


def conformance_routes(gateway: Gateway) -> tuple[ResourceRoutes, ...]:
    """Return the routes of these resource types."""
    operations = TerminologyOperations(gateway).of_type

    def routes(resource_type: str, documentation: str) -> ResourceRoutes:
        schema = PUBLISHED_SCHEMAS[resource_type]
        return ResourceRoutes(
            type=resource_type,
            documentation=documentation,
            search=schema,
            views={
                InteractionCode.READ: _read(
                    gateway.published, resource_type, gateway.started_at
                ),
                InteractionCode.SEARCH_TYPE: table_search(
                    schema, lambda: gateway.published, gateway.base_url
                ),
            },
            operations=operations.get(resource_type, ()),
        )

    return tuple(routes(*each) for each in _TYPES.items())


def package_view(package: bytes) -> View:
    """
    Return the view of the package of the profiles.

    Args:
        package: It.
    """

    def view() -> Response:
        refuse_parameters(allowed=frozenset())
        response = Response(package, content_type="application/gzip")
        response.headers["Cache-Control"] = "public, max-age=3600"
        response.add_etag()
        response.make_conditional(request)
        return response

    return view


def _read(
    published: PublishedResources, resource_type: str, modified_at: datetime
) -> View:
    def find(identifier: str) -> dict[str, Any] | None:
        known = published.find(resource_type, identifier)
        return None if known is None else known.resource()

    return read_route(resource_type, find, modified_at)
