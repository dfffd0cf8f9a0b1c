"""
An operation of the whole system (FHIR R4, 3.2): its routes, and how they are handled.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flask import Flask

from fhir_gateway.access.policy import SYSTEM, Interaction
from fhir_gateway.web.resource import Handling, View

__all__ = ["SystemOperation", "handling_of_operations", "register_operation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemOperation:
    """
    An operation of the whole system, asked by GET.

    Attributes:
        name: Its name, without the dollar.
        definition: The id of our OperationDefinition of it.
        view: Its view.
        parts: The views of what its answer refers to, by the path behind its own.
        handling: How the server handles its requests.
    """

    name: str
    definition: str
    view: View
    parts: Mapping[str, View]
    handling: Handling


def register_operation(
    app: Flask, operation: SystemOperation, prefix: str
) -> dict[str, Interaction]:
    """
    Add the routes of an operation.

    Returns:
        The interaction of each endpoint.
    """
    interaction = Interaction(SYSTEM, f"${operation.name}")
    added: dict[str, Interaction] = {}
    for place, view in {"": operation.view, **operation.parts}.items():
        endpoint = f"${operation.name}{place}"
        app.add_url_rule(
            f"{prefix}/${operation.name}{place}", endpoint, view, methods=["GET"]
        )
        added[endpoint] = interaction
    return added


def handling_of_operations(
    operations: Iterable[SystemOperation], prefix: str
) -> dict[tuple[str, str], Handling]:
    """Return how their requests are handled, by method and path."""
    return {
        ("GET", f"{prefix}/${operation.name}{place}"): operation.handling
        for operation in operations
        for place in ("", *operation.parts)
    }
