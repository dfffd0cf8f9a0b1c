"""
FHIRPath Patch (FHIR R4, 3.1.0.6.2 and "FHIRPath Patch"): its operations as JSON Patch.

Of FHIRPath this server understands what names one element: names and indexes, as
`Appointment.slot[0].reference`. A whole engine would return values, and a patch needs
places. Each operation becomes one of JSON Patch for the resource as it is at that
moment, so that both forms of patch end on one path.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fhir_gateway.fhir.r4 import ElementDefinition, elements_of

__all__ = [
    "FhirPathOperation",
    "NoFhirPathPatch",
    "NotApplicable",
    "json_patch_operation",
    "operations_from_parameters",
]

_PATH: Final = re.compile(r"[A-Za-z]+(?:\.[a-z][A-Za-z]*(?:\[[0-9]{1,4}\])?)*")
_STEP: Final = re.compile(r"(?P<name>[a-z][A-Za-z]*)(?:\[(?P<index>[0-9]+)\])?")
_MOST_PARTS: Final = 100
_NEEDS: Final[Mapping[str, frozenset[str]]] = {
    "add": frozenset({"path", "name", "value"}),
    "insert": frozenset({"path", "index", "value"}),
    "delete": frozenset({"path"}),
    "replace": frozenset({"path", "value"}),
    "move": frozenset({"path", "source", "destination"}),
}
_TEXTS: Final = {"type": "valueCode", "path": "valueString", "name": "valueString"}
_NUMBERS: Final = frozenset({"index", "source", "destination"})

Json = dict[str, Any]
Step = str | int


class NoFhirPathPatch(ValueError):
    """A body is no FHIRPath Patch; its text says why, without a value of the body."""


class NotApplicable(ValueError):
    """An operation does not fit the resource; its text says why, without a value."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class FhirPathOperation:
    """
    An operation of a FHIRPath Patch.

    Attributes:
        type: `add`, `insert`, `delete`, `replace` or `move`.
        path: The FHIRPath of its place.
        name: The element to add.
        value: The parameter's part with the value.
        index: Where to insert.
        source: From where to move.
        destination: To where to move.
    """

    type: str
    path: str
    name: str = ""
    value: Json | None = None
    index: int = 0
    source: int = 0
    destination: int = 0


def operations_from_parameters(body: object) -> list[FhirPathOperation]:
    """
    Return the operations in a Parameters resource.

    Raises:
        NoFhirPathPatch: It is no FHIRPath Patch.
    """
    if not isinstance(body, dict) or body.get("resourceType") != "Parameters":
        raise NoFhirPathPatch("send a Parameters with a parameter operation for each")
    parameters = body.get("parameter", [])
    if not isinstance(parameters, list) or not parameters:
        raise NoFhirPathPatch("it has no operation")
    return [
        _operation(parameter, number) for number, parameter in enumerate(parameters, 1)
    ]


def json_patch_operation(
    resource: Json, operation: FhirPathOperation
) -> list[dict[str, Any]]:
    """
    Return an operation as operations of JSON Patch (RFC 6902) for a resource.

    It is a list of one, or empty: to delete what is not there is done already.

    Raises:
        NotApplicable: It does not fit the resource.
    """
    place = _Place.of(resource, operation.path)
    match operation.type:
        case "add":
            return [_added(place, operation)]
        case "insert":
            items = place.items()
            if operation.index > len(items):
                raise NotApplicable("the index is beyond the end of the list")
            value = _value(operation.value, place.type)
            return [
                {
                    "op": "add",
                    "path": _pointer([*place.steps, operation.index]),
                    "value": value,
                }
            ]
        case "move":
            items = place.items()
            if max(operation.source, operation.destination) >= len(items):
                raise NotApplicable("an index is beyond the end of the list")
            return [
                {
                    "op": "move",
                    "from": _pointer([*place.steps, operation.source]),
                    "path": _pointer([*place.steps, operation.destination]),
                }
            ]
        case "delete":
            single = place.single()
            if single == []:
                raise NotApplicable("a patch cannot delete the resource")
            return (
                [] if single is None else [{"op": "remove", "path": _pointer(single)}]
            )
    single = place.single()
    if not single:
        raise NotApplicable("the path leads to no element; add it instead")
    value = _value(operation.value, place.type)
    return [{"op": "replace", "path": _pointer(single), "value": value}]


def _operation(parameter: object, number: int) -> FhirPathOperation:
    where = f"operation {number}"
    if (
        not isinstance(parameter, dict)
        or parameter.get("name") != "operation"
        or not isinstance(parameter.get("part"), list)
    ):
        raise NoFhirPathPatch(f"{where} must be a parameter operation with parts")
    given: Json = {}
    for part in parameter["part"]:
        name = part.get("name") if isinstance(part, dict) else None
        if not isinstance(name, str) or name in given:
            raise NoFhirPathPatch(f"{where} has a part without a name, or one twice")
        given[name] = _part(name, part, where)
    kind = given.pop("type", None)
    needed = _NEEDS.get(kind) if isinstance(kind, str) else None
    if needed is None:
        raise NoFhirPathPatch(f"{where} has none of the types {', '.join(_NEEDS)}")
    if given.keys() != needed:
        raise NoFhirPathPatch(
            f"{where}, {kind}, needs the parts {', '.join(sorted(needed))} and no other"
        )
    return FhirPathOperation(type=str(kind), **given)


def _part(name: str, part: Json, where: str) -> object:
    if name == "value":
        return part
    value: object = None
    if name in _TEXTS:
        value = part.get(_TEXTS[name])
    elif name in _NUMBERS:
        value = part.get("valueInteger")
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            value = None
    else:
        # The value names the form of the element, so that its name may be a client's.
        raise NoFhirPathPatch(f"{where} has a part that no operation has")
    if name in _TEXTS and not isinstance(value, str):
        value = None
    if value is None:
        wanted = _TEXTS.get(name, "valueInteger, 0 or more")
        raise NoFhirPathPatch(f"{where}: {name} must be a {wanted}")
    return value


@dataclass(frozen=True, slots=True)
class _Place:
    """
    What a path leads to.

    Attributes:
        steps: The names and indexes that lead there.
        value: What is there; None for nothing.
        type: The type of the element there.
        is_list: The element can be repeated, and the path names no one of them.
    """

    steps: Sequence[Step]
    value: Any
    type: str
    is_list: bool

    @classmethod
    def of(cls, resource: Json, path: str) -> "_Place":
        """Return the place that a path leads to in a resource."""
        root = resource["resourceType"]
        if not _PATH.fullmatch(path):
            raise NotApplicable(
                f"a path is {root}, or begins so, with names of elements and indexes,"
                f" as {root}.slot[0].reference; functions are not supported"
            )
        names = path.split(".")
        if names[0] != root:
            raise NotApplicable(f"a path begins with {root}")
        place = cls([], resource, root, is_list=False)
        for text in names[1:]:
            place = place.below(text)
        return place

    def below(self, text: str) -> "_Place":
        """Return the place of one element of the one here."""
        step = _STEP.fullmatch(text)
        if step is None:
            raise NotApplicable("a path has names of elements and indexes")
        name, index = step["name"], step["index"]
        single = self._only()
        definition = _definition(self.type, name)
        value = single.value.get(name) if isinstance(single.value, dict) else None
        below = _Place(
            [*single.steps, name], value, definition.type, is_list=definition.is_list
        )
        return below if index is None else below._item(int(index))

    def items(self) -> Sequence[Any]:
        """Return the items of the list here."""
        if not self.is_list:
            raise NotApplicable("the path must lead to a list, without an index")
        return self.value if isinstance(self.value, list) else ()

    def single(self) -> Sequence[Step] | None:
        """Return the steps to the one element here; None where there is none."""
        place = self._only()
        return None if place.value is None else place.steps

    def _only(self) -> "_Place":
        """Return the one item of a list: FHIRPath names all of them alike."""
        if not self.is_list:
            return self
        if len(self.items()) > 1:
            raise NotApplicable("the path leads to several elements: add an index")
        return self._item(0)

    def _item(self, index: int) -> "_Place":
        if not self.is_list:
            # FHIRPath: a single value is a list of one.
            value = self.value if index == 0 else None
            return _Place(self.steps, value, self.type, is_list=False)
        items = self.items()
        value = items[index] if index < len(items) else None
        return _Place([*self.steps, index], value, self.type, is_list=False)


def _added(place: _Place, operation: FhirPathOperation) -> dict[str, Any]:
    single = place.single()
    if single is None:
        raise NotApplicable("the path leads to no element to add to")
    target = place.below(operation.name)
    value = _value(operation.value, target.type)
    if not target.is_list:
        if target.value is not None:
            raise NotApplicable("the element is there already: replace it")
        return {"op": "add", "path": _pointer(target.steps), "value": value}
    if target.value is None:
        return {"op": "add", "path": _pointer(target.steps), "value": [value]}
    return {"op": "add", "path": _pointer([*target.steps, "-"]), "value": value}


def _definition(type_name: str, name: str) -> ElementDefinition:
    definition = None
    if type_name[0].isupper() and type_name != "Resource":
        definition = elements_of(type_name).get(name)
    if definition is None:
        raise NotApplicable("the path names an element that R4 does not have there")
    return definition


def _value(part: Json | None, type_name: str) -> object:
    """Return the value in a part; parts of it are the elements of a nameless type."""
    if part is None:
        raise TypeError("the operation was not checked")
    if sum(1 for _ in _parts(part)) > _MOST_PARTS:
        raise NotApplicable("the value has too many parts")
    return _value_of(part, type_name)


def _value_of(part: Json, type_name: str) -> object:
    values = [name for name in part if name.startswith("value") or name == "resource"]
    inner = part.get("part")
    if inner is None and len(values) == 1:
        return part[values[0]]
    if values or not isinstance(inner, list):
        raise NotApplicable("value must have one value[x], or parts")
    found: Json = {}
    for each in inner:
        name = each.get("name") if isinstance(each, dict) else None
        if not isinstance(name, str):
            raise NotApplicable("a part of the value has no name")
        definition = _definition(type_name, name)
        value = _value_of(each, definition.type)
        if definition.is_list:
            found.setdefault(name, []).append(value)
        elif name in found:
            raise NotApplicable("a part of the value is there twice")
        else:
            found[name] = value
    return found


def _parts(part: Json) -> Iterator[object]:
    waiting: list[object] = [part]
    while waiting:
        each = waiting.pop()
        yield each
        below = each.get("part") if isinstance(each, dict) else None
        if isinstance(below, list):
            waiting.extend(below)


def _pointer(steps: Sequence[Step]) -> str:
    """Return a JSON Pointer (RFC 6901); no name of an element needs an escape."""
    return "".join(f"/{step}" for step in steps)
