"""
OpenAPI 3.1: what the CapabilityStatement says, for tools that do not know FHIR.

It is derived from the same declarations: the routes, the search schemas, and the
OperationDefinitions that this server publishes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from fhir_gateway import VERSION
from fhir_gateway.access.issuers import Issuer
from fhir_gateway.access.policy import PUBLIC, Interaction
from fhir_gateway.fhir.json_schema import resource_schemas
from fhir_gateway.fhir.published import PublishedResources
from fhir_gateway.web.answer_form import FHIR_JSON, FHIR_XML
from fhir_gateway.web.errors import MEANINGS, OF_ALL, OF_BODIES, OF_CHANGES
from fhir_gateway.web.metadata import METADATA_MODES
from fhir_gateway.web.openapi_parts import (
    form_parameters,
    header_parameters,
    header_references,
    operation_parameter,
    patch_body,
    path_parameters,
    query_parameters,
    search_form,
    security_schemes,
    subset_parameters,
    type_reference,
)
from fhir_gateway.web.resource import (
    InteractionCode,
    OperationRoute,
    ResourceRoutes,
    addresses,
)

__all__ = ["openapi_document"]

Json = dict[str, Any]

_FORM: Final = "application/x-www-form-urlencoded"
_DIALECT: Final = "https://spec.openapis.org/oas/3.1/dialect/base"
# Resources of which clients send or read the elements; of the others, which describe
# this server, the document says the type only.
_WHOLE: Final = (
    *("Appointment", "AuditEvent", "Bundle", "HealthcareService", "Location"),
    *("OperationOutcome", "Organization", "Parameters", "Practitioner"),
    *("PractitionerRole", "Schedule", "Slot"),
)
_OUTCOME: Final = "OperationOutcome"
_DONE: Final[Mapping[int, str]] = {
    200: "Done.",
    201: "Created: the region has booked it.",
    202: "The outcome is not known yet: read Content-Location again.",
    204: "Done, and there is nothing to say.",
    304: "The client has it already.",
}
_ACCEPTED: Final = 202
_OF_ACCEPTED: Final[Mapping[str, str]] = {
    "Content-Location": "The Appointment that shows the outcome.",
    "Preference-Applied": "What was heeded of Prefer: respond-async, wait=N.",
}
_TITLES: Final = {
    InteractionCode.READ: "Read",
    InteractionCode.VREAD: "Read a version of",
    InteractionCode.SEARCH_TYPE: "Search",
    InteractionCode.CREATE: "Create",
    InteractionCode.UPDATE: "Update",
    InteractionCode.PATCH: "Patch",
}


def openapi_document(
    routes: Sequence[ResourceRoutes],
    *,
    base_url: str,
    issuers: Sequence[Issuer],
    published: PublishedResources,
    examples: Iterable[Mapping[str, Any]],
) -> Json:
    """
    Return the OpenAPI document of a server.

    Args:
        routes: The routes of the resource types.
        base_url: The FHIR base that clients use.
        issuers: The issuers of tokens; without any, no request needs one.
        published: The OperationDefinitions.
        examples: Resources to show.
    """
    described = _Described(published, [*examples], needs_token=bool(issuers))
    paths: dict[str, Json] = {}
    for each in routes:
        for path, method, operation in described.of_type(each):
            paths.setdefault(path, {})[method.lower()] = operation
    paths["/metadata"] = {"get": described.metadata()}
    paths["/"] = {"post": described.batch()}
    types = {each.type for each in routes}
    brief = sorted(
        {*types, "CapabilityStatement", "TerminologyCapabilities"}.difference(_WHOLE)
    )
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": _DIALECT,
        "info": {
            "title": "fhir-gateway",
            "version": VERSION,
            "summary": "Free times and bookings of the Swedish regions, as FHIR R4.",
            "description": (
                "A FHIR R4 server. Unknown parameters are refused. A personal number"
                " is never in a URL."
            ),
        },
        "servers": [{"url": base_url}],
        "tags": [
            {"name": each.type, "description": each.documentation or each.type}
            for each in routes
        ],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": resource_schemas(_WHOLE, brief),
            "responses": _error_responses(),
            "parameters": header_parameters(),
            "securitySchemes": security_schemes(issuers),
        },
    }


class _Described:
    """
    Describes the operations of OpenAPI: a method at a path.

    Args:
        published: The OperationDefinitions.
        examples: Resources to show.
        needs_token: This server asks for tokens.
    """

    def __init__(
        self,
        published: PublishedResources,
        examples: Sequence[Mapping[str, Any]],
        *,
        needs_token: bool,
    ) -> None:
        self._published = published
        self._examples = examples
        self._needs_token = needs_token

    def of_type(self, routes: ResourceRoutes) -> Iterator[tuple[str, str, Json]]:
        """Yield path, method and description of all that a type does."""
        for code in routes.all_views:
            for pattern, method in addresses(code):
                path = (
                    pattern.format(type=routes.type).replace("<", "{").replace(">", "}")
                )
                yield path, method, self._interaction(routes, code, path, method)
        for operation in routes.operations:
            places = ["", "/{id}"] if operation.on_instance else [""]
            for place in places:
                for method in operation.methods:
                    path = f"/{routes.type}{place}/${operation.name}"
                    yield path, method, self._operation(routes, operation, path, method)

    def metadata(self) -> Json:
        """Return the description of what this server does; it needs no token."""
        return {
            "operationId": "metadata",
            "summary": "What this server does.",
            "parameters": [
                *form_parameters(),
                *subset_parameters(is_search=False),
                {
                    "name": "mode",
                    "in": "query",
                    "description": "Which part; terminology is a resource of its own.",
                    "schema": {"type": "string", "enum": [*METADATA_MODES]},
                },
            ],
            "responses": _responses({200: "CapabilityStatement"}, OF_ALL),
            "security": [],
        }

    def batch(self) -> Json:
        """Return the batch."""
        return {
            "operationId": "batch",
            "summary": "Several requests, each with its own outcome.",
            "parameters": header_references(
                "Idempotency-Key", "Prefer", "X-Request-Id"
            ),
            "requestBody": self._body("Bundle", None),
            "responses": _responses({200: "Bundle"}, OF_ALL | OF_BODIES | OF_CHANGES),
            "security": [],
        }

    def _interaction(
        self, routes: ResourceRoutes, code: InteractionCode, path: str, method: str
    ) -> Json:
        answer = "Bundle" if code is InteractionCode.SEARCH_TYPE else routes.type
        described: Json = {
            "operationId": f"{routes.type}.{code.value}.{method.lower()}",
            "tags": [routes.type],
            "summary": f"{_TITLES[code]} {routes.type}.",
            "security": self._security(routes.type, code.value),
        }
        headers: list[str] = ["Prefer", "X-Request-Id"]
        parameters = [*form_parameters(), *path_parameters(path)]
        statuses: dict[int, str | None] = {200: answer}
        errors = OF_ALL
        if code is InteractionCode.SEARCH_TYPE and routes.search is not None:
            if method == "POST":
                described["requestBody"] = {
                    "content": {_FORM: {"schema": search_form(routes.search)}}
                }
                errors |= OF_BODIES
            else:
                parameters += subset_parameters(is_search=True)
                parameters += query_parameters(routes.search)
        elif method == "GET":
            parameters += subset_parameters(is_search=False)
        if method == "GET":
            headers += ["If-None-Match", "If-Modified-Since"]
            statuses[304] = None
        if code in (
            InteractionCode.CREATE,
            InteractionCode.UPDATE,
            InteractionCode.PATCH,
        ):
            headers.append("Idempotency-Key")
            headers.append(
                "If-None-Exist" if code is InteractionCode.CREATE else "If-Match"
            )
            statuses[202] = answer
            if code is InteractionCode.CREATE:
                statuses[201] = answer
            described["requestBody"] = (
                patch_body()
                if code is InteractionCode.PATCH
                else self._body(routes.type, routes.type)
            )
            errors |= OF_BODIES | OF_CHANGES
        described["parameters"] = [*parameters, *header_references(*headers)]
        described["responses"] = _responses(statuses, errors)
        return described

    def _operation(
        self, routes: ResourceRoutes, operation: OperationRoute, path: str, method: str
    ) -> Json:
        definition = self._definition(operation)
        headers = ["Prefer", "X-Request-Id"]
        parameters = [*form_parameters(), *path_parameters(path)]
        described: Json = {
            "operationId": f"{path.strip('/').replace('/', '.')}.{method.lower()}",
            "tags": [routes.type],
            "summary": definition.get("title") or f"${operation.name}",
            "description": definition.get("description", ""),
            "security": self._security(routes.type, f"${operation.name}"),
        }
        errors = OF_ALL | OF_CHANGES
        if method == "POST":
            described["requestBody"] = self._body(None, operation.name)
            errors |= OF_BODIES
            if operation.affects_state:
                headers += ["Idempotency-Key", "If-None-Exist"]
        else:
            parameters += [
                operation_parameter(each)
                for each in definition.get("parameter", ())
                if each.get("use") == "in" and each.get("type") and "part" not in each
            ]
        described["parameters"] = [*parameters, *header_references(*headers)]
        described["responses"] = _responses(
            {200: "Resource", 201: "Resource", 202: "Resource", 204: None}, errors
        )
        return described

    def _definition(self, operation: OperationRoute) -> Mapping[str, Any]:
        kind = "OperationDefinition"
        found = self._published.find(kind, operation.definition)
        found = found or self._published.of_canonical(kind, operation.definition)
        return {} if found is None else found.resource()

    def _security(self, resource_type: str, name: str) -> list[Json]:
        if not self._needs_token or Interaction(resource_type, name) in PUBLIC:
            return []
        return [{"bearer": []}]

    def _body(self, resource_type: str | None, example: str | None) -> Json:
        """
        Return a body with a resource.

        Args:
            resource_type: Its type; None for Parameters, or a resource by itself.
            example: A word of the id of an example; None for none.
        """
        schema: Json = type_reference(resource_type or "Resource")
        wanted = resource_type or "Parameters"
        shown = [
            each
            for each in self._examples
            if each["resourceType"] == wanted
            and (resource_type is not None or f"{example}-" in f"{each.get('id', '')}-")
        ]
        in_json: Json = {"schema": schema}
        if example is not None and shown:
            in_json["examples"] = {
                str(shown[0].get("id", example)): {"value": dict(shown[0])}
            }
        return {
            "required": resource_type is not None,
            "content": {FHIR_JSON: in_json, FHIR_XML: {"schema": {"type": "string"}}},
        }


def _responses(statuses: Mapping[int, str | None], errors: Iterable[int]) -> Json:
    found: Json = {}
    for status, answer in sorted(statuses.items()):
        found[str(status)] = {"description": _DONE[status]}
        if status == _ACCEPTED:
            found[str(status)]["headers"] = {
                name: {"description": text, "schema": {"type": "string"}}
                for name, text in _OF_ACCEPTED.items()
            }
        if answer is not None:
            # `Prefer: return=OperationOutcome` and `return=minimal` change the body.
            schema = {"anyOf": [type_reference(answer), type_reference(_OUTCOME)]}
            found[str(status)]["content"] = {
                FHIR_JSON: {"schema": schema},
                FHIR_XML: {"schema": {"type": "string"}},
            }
    for status in sorted(errors):
        found[str(status)] = {"$ref": f"#/components/responses/{status}"}
    return found


def _error_responses() -> Json:
    return {
        str(status): {
            "description": meaning,
            "content": {
                FHIR_JSON: {"schema": type_reference(_OUTCOME)},
                FHIR_XML: {"schema": {"type": "string"}},
            },
        }
        for status, meaning in MEANINGS.items()
    }
