"""
The parts of the OpenAPI document: parameters, forms, bodies, ways to log in.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fhir_gateway.access.issuers import Issuer
from fhir_gateway.fhir.search_parameters import (
    Choice,
    Count,
    IncludeParameter,
    Parameter,
)
from fhir_gateway.fhir.search_schema import SearchSchema
from fhir_gateway.fhir.subset import Summary
from fhir_gateway.web.answer_form import FHIR_JSON, FHIR_XML

__all__ = [
    "form_parameters",
    "header_parameters",
    "header_references",
    "operation_parameter",
    "patch_body",
    "path_parameters",
    "query_parameters",
    "search_form",
    "security_schemes",
    "subset_parameters",
    "type_reference",
]

Json = dict[str, Any]

_JSON_PATCH: Final = "application/json-patch+json"
_CONDITIONS: Final[Mapping[str, str]] = {
    "If-Match": 'Only this version is changed, as W/"2".',
    "If-None-Match": "304 when the client has it already.",
    "If-Modified-Since": "304 when it has not changed since.",
    "If-None-Exist": "Only when this search finds no appointment.",
    "Idempotency-Key": "A name for the request: a repeat gets the first answer.",
    "Prefer": (
        "return=minimal, handling=lenient, and others; of a write also respond-async,"
        " with or without wait=N."
    ),
    "X-Request-Id": "The answer repeats it.",
}


def type_reference(name: str) -> Json:
    """Return a reference to the schema of a type."""
    return {"$ref": f"#/components/schemas/{name}"}


def path_parameters(path: str) -> list[Json]:
    """Return the parameters in a path."""
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


def form_parameters() -> list[Json]:
    """Return the parameters of every interaction: they shape the answer."""
    return [
        {
            "name": "_format",
            "in": "query",
            "description": "json or xml; it overrides Accept.",
            "schema": {"type": "string", "enum": ["json", "xml"]},
        },
        {
            "name": "_pretty",
            "in": "query",
            "description": "Whether the answer is indented.",
            "schema": {"type": "boolean"},
        },
    ]


def subset_parameters(*, is_search: bool) -> list[Json]:
    """Return the parameters of a read or a search that ask for a part of resources."""
    summaries = [
        each.value for each in Summary if is_search or each is not Summary.COUNT
    ]
    return [
        {
            "name": "_summary",
            "in": "query",
            "description": "Which part of each resource (FHIR R4, 3.1.1.5.4).",
            "schema": {"type": "string", "enum": summaries},
        },
        {
            "name": "_elements",
            "in": "query",
            "description": "The elements of each resource, separated by commas.",
            "schema": {"type": "string"},
        },
    ]


def query_parameters(schema: SearchSchema[Any]) -> list[Json]:
    """Return the parameters of a search in a URL."""
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


def search_form(schema: SearchSchema[Any]) -> Json:
    """Return the schema of a form, which a search by POST has."""
    fields = {
        name: field
        for name, (_, field) in schema.by_name.items()
        if isinstance(field, Parameter)
    }
    return {
        "type": "object",
        "properties": {
            **{
                each["name"]: each["schema"]
                for each in (*form_parameters(), *subset_parameters(is_search=True))
            },
            **{name: _value(field) for name, field in fields.items()},
        },
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


def operation_parameter(parameter: Mapping[str, Any]) -> Json:
    """Return a parameter of an operation by GET, of its OperationDefinition."""
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


def patch_body() -> Json:
    """Return the body of a patch."""
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
            FHIR_JSON: {"schema": type_reference("Parameters")},
            FHIR_XML: {"schema": {"type": "string"}},
        },
    }


def header_parameters() -> Json:
    """Return the header fields that this server reads."""
    return {
        name: {
            "name": name,
            "in": "header",
            "description": description,
            "schema": {"type": "string"},
        }
        for name, description in _CONDITIONS.items()
    }


def header_references(*names: str) -> list[Json]:
    """Return references to header fields."""
    return [{"$ref": f"#/components/parameters/{name}"} for name in names]


def security_schemes(issuers: Sequence[Issuer]) -> Json:
    """Return the ways to show who one is."""
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
