"""
Schedule, HealthcareService, Location, Organization, Practitioner, PractitionerRole.

The directory of units, staff and services (FHIR R4, 12.9, 8.8, 8.7, 8.6, 8.4, 8.5).
"""

from dataclasses import dataclass
from typing import Final

from flask import Response

from fhir_gateway.fhir.bundle import Entry, Mode, searchset
from fhir_gateway.fhir.care_unit import healthcare_service_from_time_type
from fhir_gateway.fhir.include_graph import Include, references_of
from fhir_gateway.fhir.near import NearParameter
from fhir_gateway.fhir.outcome import issue_from_source_outcome
from fhir_gateway.fhir.search_parameters import (
    ReferenceParameter,
    TokenParameter,
)
from fhir_gateway.fhir.search_schema import SearchSchema, issues_of_understood
from fhir_gateway.fhir.vocabulary import is_system_of_time_types
from fhir_gateway.model.care_unit import Nearness
from fhir_gateway.services.search.slot_selection import Selector
from fhir_gateway.web.exchange import fhir_response
from fhir_gateway.web.gateway import Gateway
from fhir_gateway.web.lookup import Lookup
from fhir_gateway.web.partial_answer import check_completeness, heeded_preferences
from fhir_gateway.web.resource import InteractionCode, ResourceRoutes, read_route
from fhir_gateway.web.searching import (
    DEFAULT_COUNT,
    count_parameter,
    cursor_parameter,
    cursor_text,
    include_iterate_parameter,
    include_parameter,
    next_url,
    self_url,
    source_parameter,
    sources_from_uris,
    total_parameter,
    understood_search,
    unknown_issues,
)
from fhir_gateway.web.slot_query import Ids, Tokens, time_type_criteria, units_from_ids

__all__ = ["HealthcareServiceSearchSchema", "directory_routes"]

_R4: Final = "http://hl7.org/fhir/SearchParameter/"
_PARAMETERS: Final = {
    "time_types": "service-type",
    "units": "location",
    "organizations": "organization",
    "sources": "_source",
}


def _place(text: str) -> tuple[str, str]:
    """
    Return the unit's name and the offering at the end of a page.

    Raises:
        ValueError: The text is not such a place.
    """
    name, separator, token = text.rpartition("|")
    if not separator:
        raise ValueError("not a place among services")
    return name, token


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthcareServiceQuery:
    """
    The values of a search for healthcare services; of each group one has to fit.

    Attributes:
        cursor: The unit's name and the offering at the end of the page before.
    """

    service_type: Tokens = ()
    location: Ids = ()
    organization: Ids = ()
    near: tuple[tuple[Nearness, ...], ...] = ()
    source: Ids = ()
    count: int = DEFAULT_COUNT
    total: str | None = None
    include: tuple[Include, ...] = ()
    include_iterate: tuple[Include, ...] = ()
    cursor: tuple[str, str] | None = None


class HealthcareServiceSearchSchema(SearchSchema[HealthcareServiceQuery]):
    """The parameters of a search for healthcare services."""

    query = HealthcareServiceQuery
    service_type = TokenParameter(
        data_key="service-type",
        definition=f"{_R4}HealthcareService-service-type",
        documentation="Services of that meaning, under any name of a unit's own.",
        is_system=is_system_of_time_types,
    )
    location = ReferenceParameter(
        target="Location", definition=f"{_R4}HealthcareService-location"
    )
    organization = ReferenceParameter(
        target="Organization", definition=f"{_R4}HealthcareService-organization"
    )
    near = NearParameter(
        data_key="location.near",
        definition=f"{_R4}Location-near",
        documentation=(
            "The unit lies within a distance: latitude|longitude|distance|unit, in km"
            " by default (or m, [mi_us], [mi_i]); 20 km without a distance."
        ),
    )
    source = source_parameter()
    count = count_parameter()
    total = total_parameter()
    include = include_parameter()
    include_iterate = include_iterate_parameter()
    cursor = cursor_parameter(_place)


_SCHEMA: Final = HealthcareServiceSearchSchema()


def directory_routes(gateway: Gateway) -> tuple[ResourceRoutes, ...]:
    """Return the routes of the directory's resource types."""
    lookup = Lookup(gateway)
    reads = {
        "Location": lookup.location,
        "Organization": lookup.organization,
        "Practitioner": lookup.practitioner,
        "PractitionerRole": lookup.practitioner_role,
    }
    return (
        ResourceRoutes(
            type="HealthcareService",
            profile="healthcare-service",
            search=_SCHEMA,
            documentation="One for each unit and time type.",
            views={
                InteractionCode.READ: read_route(
                    "HealthcareService", lookup.healthcare_service
                ),
                InteractionCode.SEARCH_TYPE: lambda: _search_services(gateway, lookup),
            },
        ),
        ResourceRoutes(
            type="Schedule",
            profile="schedule",
            documentation="One for each unit, time type and performer or resource.",
            views={InteractionCode.READ: read_route("Schedule", lookup.schedule)},
        ),
        *(
            ResourceRoutes(
                type=resource_type,
                documentation="Its id is the HSA-id, upper case."
                if resource_type != "PractitionerRole"
                else None,
                views={InteractionCode.READ: read_route(resource_type, find)},
            )
            for resource_type, find in reads.items()
        ),
    )


def _search_services(gateway: Gateway, lookup: Lookup) -> Response:
    understood = understood_search(_SCHEMA, gateway.base_url)
    query = understood.query
    selector = Selector(
        time_types=time_type_criteria(query.service_type, gateway.vocabulary),
        units=units_from_ids(query.location),
        organizations=units_from_ids(query.organization),
        sources=sources_from_uris(query.source, gateway.vocabulary),
        near=query.near,
    )
    answer = gateway.slot_search.who_offers(selector)
    check_completeness(answer.outcomes)
    unknown = []
    if not answer.offerings and not answer.outcomes:
        unknown = unknown_issues(
            gateway.slot_search.unknown_parts(selector), _PARAMETERS
        )
    offerings = answer.offerings
    if query.cursor is not None:
        offerings = tuple(
            each for each in offerings if (each.unit.name, each.token) > query.cursor
        )
    count = query.count
    page = offerings[:count]
    following = None
    if len(offerings) > len(page) > 0:
        last = page[-1]
        following = next_url(
            "HealthcareService",
            gateway.base_url,
            understood,
            cursor_text(f"{last.unit.name}|{last.token}"),
        )
    services = [
        healthcare_service_from_time_type(each.unit, each.time_type, gateway.vocabulary)
        for each in page
    ]
    iterated = query.include_iterate
    included = lookup.included(
        (
            reference
            for service in services
            for path in (*query.include, *iterated)
            for reference in references_of(service, path)
        ),
        (f"HealthcareService/{service['id']}" for service in services),
        iterated,
    )
    total = None if answer.outcomes or unknown else len(answer.offerings)
    return fhir_response(
        searchset(
            [
                *(Entry(service) for service in services),
                *(Entry(each, Mode.INCLUDE) for each in included),
            ],
            base_url=gateway.base_url,
            self_url=self_url("HealthcareService", gateway.base_url, understood),
            next_url=following,
            total=None if query.total == "none" else total,
            issues=[
                *issues_of_understood(understood),
                *unknown,
                *(issue_from_source_outcome(each) for each in answer.outcomes),
            ],
        ),
        headers=heeded_preferences(),
    )
