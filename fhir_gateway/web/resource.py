"""
A resource type on the web: its interactions, its parameters, its routes.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from flask import Flask, Response

from fhir_gateway.fhir.capability_statement import (
    OperationCapability,
    ResourceCapability,
)
from fhir_gateway.fhir.outcome import Issue, Problem
from fhir_gateway.fhir.search_parameters import SearchSchema
from fhir_gateway.web.exchange import check_accept, fhir_response

__all__ = [
    "InteractionCode",
    "OperationRoute",
    "ResourceRoutes",
    "read_route",
    "register",
    "waiting_routes",
]

View = Callable[..., Response]


class InteractionCode(Enum):
    """TypeRestfulInteraction (FHIR R4)."""

    READ = "read"
    SEARCH_TYPE = "search-type"
    CREATE = "create"
    UPDATE = "update"
    PATCH = "patch"


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationRoute:
    """
    An operation of a resource type (FHIR R4, 3.2), and what does it.

    Attributes:
        name: Its name, without the dollar.
        definition: The id of its OperationDefinition, of ours.
        view: Called with `id` when it is called on an instance.
        affects_state: By POST only; one that does not is called by GET as well.
        on_instance: It can be called on an instance as well as on the type.
        may_wait: It may have to wait for a region or for SQL.
    """

    name: str
    definition: str
    view: View
    affects_state: bool = True
    on_instance: bool = True
    may_wait: bool = True

    @property
    def methods(self) -> list[str]:
        """Return how it is called."""
        return ["POST"] if self.affects_state else ["GET", "POST"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceRoutes:
    """
    What can be done with a resource type, and what does it.

    Attributes:
        may_wait: The interactions that may have to wait for a region or for SQL; the
            others read memory only.
        search: The parameters of `search-type`.
        operations: Its operations.
    """

    type: str
    views: dict[InteractionCode, View]
    may_wait: frozenset[InteractionCode] = frozenset()
    search: SearchSchema | None = None
    profile: str | None = None
    documentation: str | None = None
    versioned: bool = False
    operations: tuple[OperationRoute, ...] = ()

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
            operations=[
                OperationCapability(name=each.name, definition=each.definition)
                for each in self.operations
            ],
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
            _add(app, rule, f"{routes.type}.{code.value}.{method}", view, [method])
    for operation in routes.operations:
        rule = f"{prefix}/{routes.type}/${operation.name}"
        endpoint = f"{routes.type}.${operation.name}"
        _add(app, rule, endpoint, operation.view, operation.methods)
        if operation.on_instance:
            rule = f"{prefix}/{routes.type}/<id>/${operation.name}"
            endpoint += ".instance"
            _add(app, rule, endpoint, operation.view, operation.methods)


def waiting_routes(
    routes: Iterable[ResourceRoutes], prefix: str
) -> Callable[[str, str], bool]:
    """Return what tells of a method on a path whether it may have to wait."""
    rules: dict[str, list[str]] = {}
    for each in routes:
        for code in each.may_wait & each.views.keys():
            for pattern, method in _ROUTES[code]:
                rules.setdefault(method, []).append(pattern.format(type=each.type))
        for operation in each.operations:
            if operation.may_wait:
                for method in operation.methods:
                    rules.setdefault(method, []).extend(
                        f"/{each.type}{place}/${operation.name}"
                        for place in ("", "/<id>")
                    )
    if "GET" in rules:
        rules["HEAD"] = rules["GET"]
    patterns = {
        method: re.compile(
            re.escape(prefix)
            + "(?:"
            + "|".join(re.escape(rule).replace("<id>", "[^/]+") for rule in listed)
            + ")"
        )
        for method, listed in rules.items()
    }

    def may_wait(method: str, path: str) -> bool:
        pattern = patterns.get(method)
        return pattern is not None and pattern.fullmatch(path) is not None

    return may_wait


def _add(app: Flask, rule: str, endpoint: str, view: View, methods: list[str]) -> None:
    if endpoint in app.view_functions:
        raise ValueError(f"{endpoint} is registered twice")
    app.add_url_rule(rule, endpoint, view, methods=methods)


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
