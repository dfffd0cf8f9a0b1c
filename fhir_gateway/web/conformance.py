"""
The resources that describe this server: profiles, operations, code systems and more.

FHIR R4, 5 and 4.7. All of them are public, as the CapabilityStatement is.
"""

from datetime import datetime
from typing import Any, Final

from flask import Response, request

from fhir_gateway.fhir.published import PublishedResources
from fhir_gateway.web.exchange import refuse_parameters
from fhir_gateway.web.gateway import Gateway
from fhir_gateway.web.operation.terminology import TerminologyOperations
from fhir_gateway.web.resource import InteractionCode, ResourceRoutes, View, read_route

__all__ = ["PACKAGE_PATH", "conformance_routes", "package_view"]

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


def conformance_routes(gateway: Gateway) -> tuple[ResourceRoutes, ...]:
    """Return the routes of these resource types."""
    operations = TerminologyOperations(gateway).of_type
    return tuple(
        ResourceRoutes(
            type=resource_type,
            documentation=documentation,
            views={
                InteractionCode.READ: _read(
                    gateway.published, resource_type, gateway.started_at
                )
            },
            operations=operations.get(resource_type, ()),
        )
        for resource_type, documentation in _TYPES.items()
    )


def package_view(package: bytes) -> View:
    """
    Return the view of the package of the profiles.

    Args:
        package: It.
    """

    def view() -> Response:
        refuse_parameters()
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
