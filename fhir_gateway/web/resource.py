"""
A resource type on the web: its interactions, its parameters, its routes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from flask import Flask, Response

from fhir_gateway.fhir.capability_statement import ResourceCapability
from fhir_gateway.fhir.outcome import Issue, Problem
from fhir_gateway.fhir.search_parameters import SearchSchema
from fhir_gateway.web.exchange import check_accept, fhir_response

__all__ = ["InteractionCode", "ResourceRoutes", "read_route", "register"]

View = Callable[..., Response]


class InteractionCode(Enum):
    """TypeRestfulInteraction (FHIR R4)."""

    READ = "read"
    SEARCH_TYPE = "search-type"
    CREATE = "create"
    UPDATE = "update"
    PATCH = "patch"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceRoutes:
    """
    What can be done with a resource type, and what does it.

    Attributes:
        search: The parameters of `search-type`.
    """

    type: str
    views: dict[InteractionCode, View]
    search: SearchSchema | None = None
    profile: str | None = None
    documentation: str | None = None
    versioned: bool = False

    @property
    def capability(self) -> ResourceCapability:
        """Return what the CapabilityStatement says of it."""
        return ResourceCapability(
            type=self.type,
            interactions=[code.value for code in self.views],
            profile=self.profile,
            search=self.search,
            documentation=self.documentation,
            versioned=self.versioned,
        )


_ROUTES: Final = {
    InteractionCode.READ: (("/{type}/<id>", "GET"),),
    InteractionCode.SEARCH_TYPE: (("/{type}", "GET"), ("/{type}/_search", "POST")),
    InteractionCode.CREATE: (("/{type}", "POST"),),
    InteractionCode.UPDATE: (("/{type}/<id>", "PUT"),),
    InteractionCode.PATCH: (("/{type}/<id>", "PATCH"),),
}


def register(app: Flask, routes: ResourceRoutes, prefix: str) -> None:
    """
    Add the routes of a resource type.

    Raises:
        ValueError: The type has been added before.
    """
    for code, view in routes.views.items():
        for pattern, method in _ROUTES[code]:
            rule = prefix + pattern.format(type=routes.type)
            endpoint = f"{routes.type}.{code.value}.{method}"
            if endpoint in app.view_functions:
                raise ValueError(f"{endpoint} is registered twice")
            app.add_url_rule(rule, endpoint, view, methods=[method])


def read_route(
    resource_type: str, find: Callable[[str], dict[str, Any] | None]
) -> View:
    """Return the view that reads one resource by its id."""

    def read(id: str) -> Response:  # noqa: A002 - the name in FHIR's URL
        check_accept()
        resource = find(id)
        if resource is None:
            raise Problem(
                [
                    Issue(
                        code="not-found",
                        diagnostics=f"There is no such {resource_type}.",
                    )
                ],
                status=404,
            )
        return fhir_response(resource)

    return read
