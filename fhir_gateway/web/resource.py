"""
A resource type on the web: its interactions, its parameters, its routes.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Final

from flask import Flask, Response
from werkzeug.routing import BaseConverter

from fhir_gateway.access.policy import Interaction
from fhir_gateway.fhir.capability_statement import (
    OperationCapability,
    ResourceCapability,
)
from fhir_gateway.fhir.limits import MOST_FORM_BYTES, MOST_JSON_BYTES
from fhir_gateway.fhir.search_schema import SearchSchema
from fhir_gateway.web.read_view import ReadView

__all__ = [
    "Handling",
    "IdConverter",
    "InteractionCode",
    "OperationRoute",
    "ResourceRoutes",
    "addresses",
    "handling_of",
    "read_route",
    "register",
]

View = Callable[..., Response]


class InteractionCode(Enum):
    """TypeRestfulInteraction (FHIR R4)."""

    READ = "read"
    VREAD = "vread"
    SEARCH_TYPE = "search-type"
    CREATE = "create"
    UPDATE = "update"
    PATCH = "patch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handling:
    """
    How the server handles the requests of a route.

    Attributes:
        may_wait: They may wait for a region or for SQL.
        most_bytes: The limit of their bodies.
    """

    may_wait: bool = False
    most_bytes: int = MOST_JSON_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationRoute:
    """
    An operation of a resource type (FHIR R4, 3.2), with its view.

    Attributes:
        name: Its name, without the dollar.
        definition: The id of our OperationDefinition of it; the canonical of R4's.
        view: Its view, called with `id` for an instance.
        handling: How the server handles its requests.
        affects_state: It changes state, so that it needs POST; others allow GET as
            well.
        on_instance: It can be called on an instance as well as on the type.
        acts_as: The interaction of which it is a second address; access, limits and the
            audit trail know it as that one.
    """

    name: str
    definition: str
    view: View
    handling: Handling
    affects_state: bool = True
    on_instance: bool = True
    acts_as: Interaction | None = None

    @property
    def methods(self) -> list[str]:
        """Return its HTTP methods."""
        return ["POST"] if self.affects_state else ["GET", "POST"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceRoutes:
    """
    The interactions and operations of a resource type, with their views.

    Attributes:
        may_wait: The interactions that may wait for a region or for SQL; the others
            read memory only.
        most_bytes: The limit of a body, by interaction, where it differs from the limit
            of JSON or of forms.
        search: The parameters of `search-type`.
        operations: Its operations.
    """

    type: str
    views: dict[InteractionCode, View]
    may_wait: frozenset[InteractionCode] = frozenset()
    most_bytes: Mapping[InteractionCode, int] = field(default_factory=dict)
    search: SearchSchema[Any] | None = None
    profile: str | None = None
    documentation: str | None = None
    operations: tuple[OperationRoute, ...] = ()

    @property
    def all_views(self) -> dict[InteractionCode, View]:
        """Return all views: one that reads open data reads its version too."""
        views = {}
        for code, view in self.views.items():
            views[code] = view
            if isinstance(view, ReadView):
                views[InteractionCode.VREAD] = view
        return views

    @property
    def capability(self) -> ResourceCapability:
        """Return its part of the CapabilityStatement."""
        read = self.views.get(InteractionCode.READ)
        conditional = "not-supported"
        if isinstance(read, ReadView):
            has_time = read.modified_at is not None
            conditional = "full-support" if has_time else "not-match"
        return ResourceCapability(
            type=self.type,
            interactions=[code.value for code in self.all_views],
            conditional_read=conditional,
            profile=self.profile,
            search=self.search,
            documentation=self.documentation,
            operations=[
                OperationCapability(name=each.name, definition=each.definition)
                for each in self.operations
            ],
        )


class IdConverter(BaseConverter):
    """
    An id in a path, for the rules of Werkzeug.

    `$` begins an operation and `_` an interaction: neither begins an id (FHIR R4,
    2.24.0.1).
    """

    regex = "[^/$_][^/]*"
    part_isolating = True


_ROUTES: Final = {
    InteractionCode.READ: (("/{type}/<id>", "GET"),),
    InteractionCode.VREAD: (("/{type}/<id>/_history/<version>", "GET"),),
    InteractionCode.SEARCH_TYPE: (("/{type}", "GET"), ("/{type}/_search", "POST")),
    InteractionCode.CREATE: (("/{type}", "POST"),),
    InteractionCode.UPDATE: (("/{type}/<id>", "PUT"),),
    InteractionCode.PATCH: (("/{type}/<id>", "PATCH"),),
}

_MOST_BYTES: Final = dict.fromkeys(InteractionCode, MOST_JSON_BYTES) | {
    InteractionCode.SEARCH_TYPE: MOST_FORM_BYTES
}


def addresses(code: InteractionCode) -> tuple[tuple[str, str], ...]:
    """Return the paths of an interaction below the FHIR base, each with its method."""
    return _ROUTES[code]


def register(app: Flask, routes: ResourceRoutes, prefix: str) -> dict[str, Interaction]:
    """
    Add the routes of a resource type.

    Returns:
        The interaction of each endpoint.

    Raises:
        ValueError: The type was added before.
    """
    added: dict[str, Interaction] = {}
    for code, view in routes.all_views.items():
        # The version of a resource is a part of it: who may read it may read that.
        name = "read" if code is InteractionCode.VREAD else code.value
        for pattern, method in _ROUTES[code]:
            rule = prefix + pattern.format(type=routes.type)
            endpoint = f"{routes.type}.{code.value}.{method}"
            _add(app, rule, endpoint, view, [method])
            added[endpoint] = Interaction(routes.type, name)
    for operation in routes.operations:
        rule = f"{prefix}/{routes.type}/${operation.name}"
        endpoint = f"{routes.type}.${operation.name}"
        interaction = operation.acts_as or Interaction(
            routes.type, f"${operation.name}"
        )
        _add(app, rule, endpoint, operation.view, operation.methods)
        added[endpoint] = interaction
        if operation.on_instance:
            rule = f"{prefix}/{routes.type}/<id>/${operation.name}"
            endpoint += ".instance"
            _add(app, rule, endpoint, operation.view, operation.methods)
            added[endpoint] = interaction
    return added


def handling_of(
    routes: Iterable[ResourceRoutes],
    prefix: str,
    others: Mapping[tuple[str, str], Handling],
) -> Callable[[str, str], Handling]:
    """
    Return a function that maps a method and a path to their handling.

    Args:
        routes: The routes of the resource types.
        prefix: What stands before them.
        others: The handling of further methods and paths.
    """
    known = dict(others)
    for each in routes:
        for code in each.all_views:
            as_code = InteractionCode.READ if code is InteractionCode.VREAD else code
            handling = Handling(
                may_wait=as_code in each.may_wait,
                most_bytes=each.most_bytes.get(code, _MOST_BYTES[code]),
            )
            for pattern, method in _ROUTES[code]:
                known[method, prefix + pattern.format(type=each.type)] = handling
        for operation in each.operations:
            places = ("", "/<id>") if operation.on_instance else ("",)
            for place in places:
                path = f"{prefix}/{each.type}{place}/${operation.name}"
                for method in operation.methods:
                    known[method, path] = operation.handling
    # A prefix and a type stand before an id.
    before = prefix.count("/") + 2
    unknown = Handling()

    def of(method: str, path: str) -> Handling:
        method = "GET" if method == "HEAD" else method
        # A literal part of a path overrides an id, as in Werkzeug's routing.
        handling = known.get((method, path))
        if handling is None:
            parts = path.split("/", before + 2)
            if len(parts) > before:
                parts[before] = "<id>"
            handling = known.get((method, "/".join(parts)), unknown)
        return handling

    return of


def _add(app: Flask, rule: str, endpoint: str, view: View, methods: list[str]) -> None:
    if endpoint in app.view_functions:
        raise ValueError(f"{endpoint} is registered twice")
    app.add_url_rule(rule, endpoint, view, methods=methods)


def read_route(
    resource_type: str,
    find: Callable[[str], dict[str, Any] | None],
    modified_at: datetime | None = None,
    gone: Callable[[str], str | None] | None = None,
) -> View:
    """Return the view that reads one resource, which is open data, by its id."""
    return ReadView(
        resource_type=resource_type, find=find, modified_at=modified_at, gone=gone
    )
