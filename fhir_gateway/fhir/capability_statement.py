"""
CapabilityStatement (FHIR R4, 5.3), derived from the registered routes and schemas.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from fhir_gateway.fhir.search_parameters import (
    IncludeParameter,
    Parameter,
)
from fhir_gateway.fhir.search_schema import SearchSchema
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model.timekeeping import instant_text

__all__ = [
    "OAuthEndpoints",
    "OperationCapability",
    "ResourceCapability",
    "capability_statement",
]

_OAUTH_URIS: Final = (
    "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
)
_SECURITY_SERVICE: Final = (
    "http://terminology.hl7.org/CodeSystem/restful-security-service"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthEndpoints:
    """Where a client gets a token; None for what the issuer does not say."""

    authorize: str | None = None
    token: str | None = None
    introspect: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationCapability:
    """
    An operation of a resource type.

    Attributes:
        name: Its name, without the dollar.
        definition: The id of our OperationDefinition of it; the canonical of R4's.
    """

    name: str
    definition: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceCapability:
    """
    A resource type's part of the statement.

    Attributes:
        interactions: TypeRestfulInteraction codes.
        profile: The name of our profile of it, if there is one.
        search: Its search parameters, if it can be searched.
        documentation: A note for client developers.
        conditional_read: A ConditionalReadStatus: which conditions of a read count.
        operations: Its operations.
    """

    type: str
    interactions: Sequence[str]
    profile: str | None = None
    search: SearchSchema[Any] | None = None
    documentation: str | None = None
    conditional_read: str = "not-supported"
    operations: Sequence[OperationCapability] = ()


def capability_statement(
    resources: Sequence[ResourceCapability],
    *,
    base_url: str,
    software_version: str,
    started_at: datetime,
    vocabulary: Vocabulary,
    oauth: OAuthEndpoints | None = None,
    operations: Sequence[OperationCapability] = (),
) -> dict[str, Any]:
    """
    Return the CapabilityStatement of a server.

    Args:
        resources: What it does with each type.
        base_url: The server's FHIR base.
        software_version: Our version.
        started_at: When it started.
        vocabulary: Our canonicals.
        oauth: Where a client gets a token; None for a server that needs none.
        operations: The operations of the whole system.
    """
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": instant_text(started_at),
        "kind": "instance",
        "software": {"name": "fhir-gateway", "version": software_version},
        "implementation": {
            "description": "Booking over Swedish regions' RIV-TA contracts",
            "url": base_url,
        },
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json", "application/fhir+xml", "xml"],
        "patchFormat": [
            *("application/json-patch+json", "application/fhir+json"),
            "application/fhir+xml",
        ],
        "implementationGuide": [vocabulary.implementation_guide],
        "rest": [
            {
                "mode": "server",
                **({} if oauth is None else {"security": _security(oauth)}),
                "documentation": (
                    "A personal number is never in a URL: a search for appointments"
                    " that names a resident is made by POST to _search; residents find"
                    " their own by GET, by their access token. Unknown search"
                    " parameters are refused unless Prefer: handling=lenient is sent."
                    " With Prefer: partial=refuse a search is 503 instead of an answer"
                    " in part, and Prefer: wait=N bounds its wait for live sources, in"
                    " seconds."
                ),
                "resource": [_resource(each, vocabulary) for each in resources],
                "interaction": [{"code": "batch"}],
                **(
                    {"operation": [_operation(each, vocabulary) for each in operations]}
                    if operations
                    else {}
                ),
            }
        ],
    }


def _security(oauth: OAuthEndpoints) -> dict[str, Any]:
    """Return what a client needs to be let in (SMART App Launch 2.2, conformance)."""
    endpoints = [
        {"url": name, "valueUri": url}
        for name, url in (
            ("authorize", oauth.authorize),
            ("token", oauth.token),
            ("introspect", oauth.introspect),
        )
        if url is not None
    ]
    return {
        **(
            {"extension": [{"url": _OAUTH_URIS, "extension": endpoints}]}
            if oauth.token is not None
            else {}
        ),
        "service": [
            {
                "coding": [
                    {
                        "system": _SECURITY_SERVICE,
                        "code": "SMART-on-FHIR",
                        "display": "SMART-on-FHIR",
                    }
                ]
            }
        ],
        "description": (
            "Bearer tokens of the trusted issuers (OAuth 2.0), with SMART scopes of"
            " version 2: see .well-known/smart-configuration."
        ),
    }


def _resource(capability: ResourceCapability, vocabulary: Vocabulary) -> dict[str, Any]:
    resource: dict[str, Any] = {"type": capability.type}
    if capability.profile:
        canonical = vocabulary.profile(capability.profile)
        resource["profile"] = canonical
        resource["supportedProfile"] = [canonical]
    if capability.documentation:
        resource["documentation"] = capability.documentation
    resource["interaction"] = [{"code": code} for code in capability.interactions]
    has_versions = "vread" in capability.interactions
    resource["versioning"] = "versioned" if has_versions else "no-version"
    if "read" in capability.interactions:
        resource["conditionalRead"] = capability.conditional_read
    if "create" in capability.interactions:
        resource["updateCreate"] = False
        resource["conditionalCreate"] = True
    if capability.search is not None:
        resource |= _search(capability.search, vocabulary)
    if capability.operations:
        resource["operation"] = [
            _operation(each, vocabulary) for each in capability.operations
        ]
    return resource


def _operation(
    capability: OperationCapability, vocabulary: Vocabulary
) -> dict[str, Any]:
    definition = capability.definition
    if "://" not in definition:
        definition = vocabulary.operation(definition)
    return {"name": capability.name, "definition": definition}


def _search(schema: SearchSchema[Any], vocabulary: Vocabulary) -> dict[str, Any]:
    includes: dict[str, list[str]] = {"searchInclude": [], "searchRevInclude": []}
    parameters = []
    for name, (_, declared) in schema.by_name.items():
        if isinstance(declared, IncludeParameter):
            if ":" not in name:
                way = "searchRevInclude" if declared.is_reverse else "searchInclude"
                includes[way].extend(
                    f"{path.source}:{path.parameter}" for path in declared.paths
                )
            continue
        if isinstance(declared, Parameter) and not (
            name in _RESULT_PARAMETERS or name.endswith(_MODIFIERS)
        ):
            parameters.append(_parameter(name, declared, vocabulary))
    return {
        **{way: paths for way, paths in includes.items() if paths},
        "searchParam": parameters,
    }


# R4: parameters that shape the result are not declared as search parameters.
_RESULT_PARAMETERS = frozenset({"_count", "_sort", "_total", "_format", "_cursor"})
# R4: a modifier is no parameter of its own.
_MODIFIERS: Final = (":missing", ":not", ":in", ":not-in", ":below", ":contains")


def _parameter(
    name: str, declared: Parameter[Any], vocabulary: Vocabulary
) -> dict[str, Any]:
    parameter = {"name": name}
    if declared.definition:
        parameter["definition"] = declared.definition
    if declared.own:
        parameter["definition"] = vocabulary.search_parameter(declared.own)
    parameter["type"] = declared.type
    if declared.documentation:
        parameter["documentation"] = declared.documentation
    return parameter
