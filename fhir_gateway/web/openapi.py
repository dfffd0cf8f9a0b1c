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
from fhir_gateway.fhir.search_parameters import (
    Choice,
    Count,
    IncludeParameter,
    Parameter,
)
from fhir_gateway.fhir.search_schema import SearchSchema
from fhir_gateway.web.answer_form import FHIR_JSON, FHIR_XML
from fhir_gateway.web.resource import (
    InteractionCode,
    OperationRoute,
    ResourceRoutes,
    addresses,
)

__all__ = ["openapi_document"]

Json = dict[str, Any]

_JSON_PATCH: Final = "application/json-patch+json"
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
# What each request can meet: it is malformed, late, too large, or too many.
_ALWAYS: Final = (400, 401, 403, 404, 405, 406, 408, 414, 421, 429, 431, 500, 503)
_WITH_BODY: Final = (411, 413, 415)
_CHANGES: Final = (409, 412, 422)
_REASONS: Final[Mapping[int, str]] = {
    200: "Done.",
    201: "Created: the region has booked it.",
    202: "The outcome is not known yet: read Content-Location again.",
    304: "The client has it already.",
    400: "The request cannot be understood.",
    401: "An access token is missing, or cannot be used.",
    403: "The token does not permit it.",
    404: "There is no such thing.",
    405: "This URL does not have the method.",
    406: "None of the accepted formats is offered.",
    408: "The body did not arrive in time.",
    409: "The present state does not permit it, or the time is taken.",
    410: "It is gone.",
    411: "The length of the body is missing.",
    412: "A condition is not met.",
    413: "The body is too large.",
    414: "The URL is too long.",
    415: "The body is of another media type.",
    421: "The request is for another host.",
    422: "A rule is broken, or the region refuses in its words.",
    429: "Too many requests: Retry-After says when.",
    431: "The header fields are too large.",
    500: "This server failed.",
    501: "The transfer coding is not known.",
    503: "A part is away: Retry-After says when to try again.",
}
_TITLES: Final = {
    InteractionCode.READ: "Read",
    InteractionCode.VREAD: "Read a version of",
    InteractionCode.SEARCH_TYPE: "Search",
    InteractionCode.CREATE: "Create",
    InteractionCode.UPDATE: "Update",
    InteractionCode.PATCH: "Patch",
}
_CONDITIONS: Final[Mapping[str, str]] = {
    "If-Match": 'Only this version is changed, as W/"2".',
    "If-None-Match": "304 when the client has it already.",
    "If-Modified-Since": "304 when it has not changed since.",
    "If-None-Exist": "Only when this search finds no appointment.",
    "Idempotency-Key": "A name for the request: a repeat gets the first answer.",
    "Prefer": "return=minimal, handling=lenient, and others.",
    "X-Request-Id": "The answer repeats it.",
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
    paths["/metadata"] = {
        "get": described.public(
            "metadata", "What this server does.", "CapabilityStatement"
        )
    }
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
            "parameters": _header_parameters(),
            "securitySchemes": _security_schemes(issuers),
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

    def public(self, name: str, summary: str, answer: str) -> Json:
        """Return a GET that needs no token and has no parameters of its own."""
        return {
            "operationId": name,
            "summary": summary,
            "parameters": [_format_parameter()],
            "responses": _responses({200: answer}, _ALWAYS),
            "security": [],
        }

    def batch(self) -> Json:
        """Return the batch."""
        return {
            "operationId": "batch",
            "summary": "Several requests, each with its own outcome.",
            "parameters": _header_references(
                "Idempotency-Key", "Prefer", "X-Request-Id"
            ),
            "requestBody": self._body("Bundle", None),
            "responses": _responses({200: "Bundle"}, (*_ALWAYS, *_WITH_BODY, 422)),
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
        parameters = [_format_parameter(), *_path_parameters(path)]
        statuses: dict[int, str | None] = {200: answer}
        errors = [*_ALWAYS]
        if code is InteractionCode.SEARCH_TYPE and routes.search is not None:
            if method == "POST":
                described["requestBody"] = {
                    "content": {_FORM: {"schema": _form(routes.search)}}
                }
                errors += _WITH_BODY
            else:
                parameters += _query_parameters(routes.search)
        if method == "GET":
            headers += ["If-None-Match", "If-Modified-Since"]
            statuses[304] = None
            errors.append(410)
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
                _patch_body()
                if code is InteractionCode.PATCH
                else self._body(routes.type, routes.type)
            )
            errors += [*_WITH_BODY, *_CHANGES, 410]
        described["parameters"] = [*parameters, *_header_references(*headers)]
        described["responses"] = _responses(statuses, errors)
        return described

    def _operation(
        self, routes: ResourceRoutes, operation: OperationRoute, path: str, method: str
    ) -> Json:
        definition = self._definition(operation)
        headers = ["Prefer", "X-Request-Id"]
        parameters = [_format_parameter(), *_path_parameters(path)]
        described: Json = {
            "operationId": f"{path.strip('/').replace('/', '.')}.{method.lower()}",
            "tags": [routes.type],
            "summary": definition.get("title") or f"${operation.name}",
            "description": definition.get("description", ""),
            "security": self._security(routes.type, f"${operation.name}"),
        }
        errors = [*_ALWAYS, *_CHANGES, 410]
        if method == "POST":
            described["requestBody"] = self._body(None, operation.name)
            errors += _WITH_BODY
            if operation.affects_state:
                headers += ["Idempotency-Key", "If-None-Exist"]
        else:
            parameters += [
                _operation_parameter(each)
                for each in definition.get("parameter", ())
                if each.get("use") == "in" and each.get("type") and "part" not in each
            ]
        described["parameters"] = [*parameters, *_header_references(*headers)]
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
        schema: Json = _reference(resource_type or "Resource")
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


def _reference(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _responses(statuses: Mapping[int, str | None], errors: Iterable[int]) -> Json:
    found: Json = {}
    for status, answer in sorted(statuses.items()):
        found[str(status)] = {"description": _REASONS.get(status, "Done.")}
        if answer is not None:
            # `Prefer: return=OperationOutcome` and `return=minimal` change the body.
            schema = {"anyOf": [_reference(answer), _reference(_OUTCOME)]}
            found[str(status)]["content"] = {
                FHIR_JSON: {"schema": schema},
                FHIR_XML: {"schema": {"type": "string"}},
            }
    for status in sorted({*errors}):
        found[str(status)] = {"$ref": f"#/components/responses/{status}"}
    return found


def _error_responses() -> Json:
    return {
        str(status): {
            "description": _REASONS[status],
            "content": {
                FHIR_JSON: {"schema": _reference(_OUTCOME)},
                FHIR_XML: {"schema": {"type": "string"}},
            },
        }
        for status in sorted({*_ALWAYS, *_WITH_BODY, *_CHANGES, 410, 501})
    }


def _path_parameters(path: str) -> list[Json]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": r"^[A-Za-z0-9\-.]{1,64}$"},
        }
        for name in ("id", "version")
        if f"{{{name}}}" in path
    ]


def _format_parameter() -> Json:
    return {
        "name": "_format",
        "in": "query",
        "description": "json or xml; it overrides Accept.",
        "schema": {"type": "string", "enum": ["json", "xml"]},
    }


def _query_parameters(schema: SearchSchema[Any]) -> list[Json]:
    return [
        {
            "name": name,
            "in": "query",
            "required": field.required,
            "description": field.documentation,
            # A repeated parameter means "and", a comma within it "or".
            "style": "form",
            "explode": True,
            "schema": _value(field),
        }
        for name, (_, field) in schema.by_name.items()
        if isinstance(field, Parameter)
    ]


def _form(schema: SearchSchema[Any]) -> Json:
    fields = {
        name: field
        for name, (_, field) in schema.by_name.items()
        if isinstance(field, Parameter)
    }
    return {
        "type": "object",
        "properties": {name: _value(field) for name, field in fields.items()},
        "required": [name for name, field in fields.items() if field.required],
    }


def _value(field: Parameter[Any]) -> Json:
    if isinstance(field, Count):
        return {"type": "integer", "minimum": 0}
    if isinstance(field, Choice):
        return {"type": "string", "enum": [*field.of]}
    if isinstance(field, IncludeParameter):
        paths = sorted({f"{path.source}:{path.parameter}" for path in field.paths})
        return {"type": "array", "items": {"type": "string", "examples": paths}}
    return {"type": "array", "items": {"type": "string"}}


def _operation_parameter(parameter: Mapping[str, Any]) -> Json:
    kinds = {"boolean": "boolean", "integer": "integer"}
    item = {"type": kinds.get(parameter["type"], "string")}
    return {
        "name": parameter["name"],
        "in": "query",
        "required": parameter.get("min", 0) > 0,
        "description": parameter.get("documentation", ""),
        "schema": item
        if parameter.get("max") == "1"
        else {"type": "array", "items": item},
    }


def _patch_body() -> Json:
    operation = {
        "type": "object",
        "required": ["op", "path"],
        "properties": {
            "op": {"enum": ["add", "remove", "replace", "move", "copy", "test"]},
            "path": {"type": "string"},
            "value": {},
            "from": {"type": "string"},
        },
    }
    example = [{"op": "replace", "path": "/status", "value": "cancelled"}]
    return {
        "required": True,
        "content": {
            _JSON_PATCH: {
                "schema": {"type": "array", "items": operation},
                "examples": {"cancel": {"value": example}},
            },
            FHIR_JSON: {"schema": _reference("Parameters")},
            FHIR_XML: {"schema": {"type": "string"}},
        },
    }


def _header_parameters() -> Json:
    return {
        name: {
            "name": name,
            "in": "header",
            "description": description,
            "schema": {"type": "string"},
        }
        for name, description in _CONDITIONS.items()
    }


def _header_references(*names: str) -> list[Json]:
    return [{"$ref": f"#/components/parameters/{name}"} for name in names]


def _security_schemes(issuers: Sequence[Issuer]) -> Json:
    schemes: Json = {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "An access token of a trusted issuer (RFC 9068).",
        }
    }
    for number, issuer in enumerate(issuers):
        if issuer.authorization_endpoint and issuer.token_endpoint:
            schemes[f"oauth2-{number}"] = {
                "type": "oauth2",
                "flows": {
                    "authorizationCode": {
                        "authorizationUrl": issuer.authorization_endpoint,
                        "tokenUrl": issuer.token_endpoint,
                        "scopes": {"patient/*.cruds": "own appointments"},
                    }
                },
            }
    return schemes
