"""
JSON Schemas of resources, for the OpenAPI document (JSON Schema 2020-12; FHIR R4, 2.6).

They are derived from R4's definitions of elements. A resource that only this server
writes, to describe itself, has a short schema: its type, and where R4 defines it.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from fhir_gateway.fhir.r4 import ElementDefinition, elements_of

__all__ = ["resource_schemas"]

Schema = dict[str, Any]

# Any value of these is allowed: a schema of all that they may hold would be larger than
# the rest of the document.
_OPEN: Final = frozenset({"Extension", "Element", "Resource", "ParametersParameter"})
_PRIMITIVES: Final[Mapping[str, Schema]] = {
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer"},
    "positiveInt": {"type": "integer", "minimum": 1},
    "unsignedInt": {"type": "integer", "minimum": 0},
    "decimal": {"type": "number"},
    "date": {"type": "string", "examples": ["2026-11-28"]},
    "dateTime": {"type": "string", "examples": ["2026-11-28T13:45:00+01:00"]},
    "instant": {"type": "string", "format": "date-time"},
    "uri": {"type": "string"},
    "url": {"type": "string"},
    "canonical": {"type": "string"},
    "id": {"type": "string", "pattern": r"^[A-Za-z0-9\-.]{1,64}$"},
}
_R4: Final = "http://hl7.org/fhir/R4"


def resource_schemas(whole: Iterable[str], brief: Iterable[str]) -> dict[str, Schema]:
    """
    Return a schema for each type, and for the types that they are made of.

    Args:
        whole: Resource types with all their elements.
        brief: Resource types of which the schema says the name only.
    """
    schemas: dict[str, Schema] = {}
    waiting = [*whole]
    resources = frozenset(waiting)
    while waiting:
        name = waiting.pop()
        if name in schemas:
            continue
        if name in _OPEN:
            schemas[name] = {"type": "object"}
            continue
        elements = elements_of(name)
        schemas[name] = _schema(name, elements, is_resource=name in resources)
        waiting += [each.type for each in elements.values() if not each.is_primitive]
    for name in brief:
        schemas.setdefault(
            name,
            {
                "type": "object",
                "required": ["resourceType"],
                "properties": {"resourceType": {"const": name}},
                "externalDocs": {"url": f"{_R4}/{name.lower()}.html"},
            },
        )
    return dict(sorted(schemas.items()))


def _schema(
    name: str, elements: Mapping[str, ElementDefinition], *, is_resource: bool
) -> Schema:
    properties: dict[str, Schema] = {}
    required = []
    if is_resource:
        properties["resourceType"] = {"const": name}
        required.append("resourceType")
    for element, definition in elements.items():
        properties[element] = _element(definition)
        # Of a choice, R4 requires one of several elements.
        if definition.is_required and definition.choice is None:
            required.append(element)
    schema: Schema = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    if is_resource:
        schema["externalDocs"] = {"url": f"{_R4}/{name.lower()}.html"}
    return schema


def _element(definition: ElementDefinition) -> Schema:
    if not definition.is_primitive:
        schema: Schema = {"$ref": f"#/components/schemas/{definition.type}"}
    elif definition.codes:
        schema = {"type": "string", "enum": sorted(definition.codes)}
    else:
        schema = dict(_PRIMITIVES.get(definition.type, {"type": "string"}))
    return {"type": "array", "items": schema} if definition.is_list else schema
