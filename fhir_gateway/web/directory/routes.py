"""
Schedule, HealthcareService, Location, Organization, Practitioner, PractitionerRole.

The directory of units, staff and services (FHIR R4, 12.9, 8.8, 8.7, 8.6, 8.4, 8.5).
"""

from typing import Any, Final

from fhir_gateway.fhir.table_query import TableSchema
from fhir_gateway.fhir.terminology import Terminology
from fhir_gateway.web.directory.selection import missing_of
from fhir_gateway.web.directory.tables import directory_tables
from fhir_gateway.web.directory.world import DirectoryWorlds
from fhir_gateway.web.gateway import Gateway
from fhir_gateway.web.resource import InteractionCode, ResourceRoutes, read_route
from fhir_gateway.web.table_search import table_schema, table_search

__all__ = ["directory_routes", "directory_schemas"]

_OF_HSA_ID: Final = "Its id is the HSA-id, upper case."
_DOCUMENTATION: Final = {
    "HealthcareService": "One for each unit and time type.",
    "Schedule": "One for each unit, time type and performer or resource.",
    "Location": _OF_HSA_ID,
    "Organization": _OF_HSA_ID,
    "Practitioner": _OF_HSA_ID,
}
_PROFILES: Final = {"HealthcareService": "healthcare-service", "Schedule": "schedule"}


def directory_schemas(
    terminology: Terminology | None = None,
) -> dict[str, TableSchema]:
    """
    Return the search parameters of each type of the directory.

    Args:
        terminology: Knows the codes of time types; without it, none is below another.
    """
    tables = directory_tables(terminology)
    return {
        type_: table_schema(tables, type_)
        for type_, table in tables.by_type.items()
        if not table.is_only_included
    }


def directory_routes(
    gateway: Gateway, worlds: DirectoryWorlds
) -> tuple[ResourceRoutes, ...]:
    """Return the routes of the directory's resource types."""

    def routes(type_: str, schema: TableSchema) -> ResourceRoutes:
        table = schema.table

        def find(identifier: str) -> dict[str, Any] | None:
            world = worlds.present()
            row = table.row(world, identifier)
            return None if row is None else table.render(world, row)

        return ResourceRoutes(
            type=type_,
            profile=_PROFILES.get(type_),
            search=schema,
            documentation=_DOCUMENTATION.get(type_),
            views={
                InteractionCode.READ: read_route(type_, find),
                InteractionCode.SEARCH_TYPE: table_search(
                    schema, worlds.present, gateway.base_url, missing_of
                ),
            },
        )

    return tuple(
        routes(*each) for each in directory_schemas(gateway.terminology).items()
    )
