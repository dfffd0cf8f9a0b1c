"""
The structure of a resource in FHIR's JSON (R4, 2.6.2): names, types, cardinalities.

Only elements as R4 defines them pass: no unknown element, no number for a text, no
array for a single value, nothing null or empty. An element that changes the meaning of
the elements around it (R4, 2.4.1.2: `modifierExtension`, `implicitRules`) is refused
everywhere. No message repeats a value.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fhir_gateway.fhir.outcome import Issue
from fhir_gateway.fhir.primitive import UNSAYABLE, is_primitive_value
from fhir_gateway.fhir.r4 import RESOURCES, ElementDefinition, elements_of

__all__ = ["Checked", "checked"]

# The form of a name that a message may repeat: others may be a person's name or number.
_ELEMENT_NAME: Final = re.compile(r"_?[a-z][A-Za-z_]{0,39}")
_END: Final = re.compile(r"[.\[]")
_MODIFIERS: Final = frozenset({"modifierExtension", "implicitRules"})
# The members of a primitive's extension object, the same for every primitive type.
_EXTENDED: Final = "Element"
_NOTHING: Final = object()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Checked:
    """
    A resource that was checked.

    Attributes:
        resource: Its valid part. An invalid item of a list leaves its place empty, so
            that the others keep their positions.
        issues: The faults of the rest.
        lost: The places of known elements that are missing or were left out.
    """

    resource: dict[str, Any]
    issues: tuple[Issue, ...]
    lost: frozenset[str]

    def with_further(self, issues: Iterable[Issue]) -> list[Issue]:
        """
        Return all faults: further ones too, unless a left-out element explains them.
        """
        around = {outer for place in self.lost for outer in _outer(place)}
        further = (
            issue
            for issue in issues
            if (where := issue.expression or "") not in around
            and self.lost.isdisjoint([where, *_outer(where)])
        )
        return [*self.issues, *further]


def checked(resource: Mapping[str, Any], *, deferred: Collection[str] = ()) -> Checked:
    """
    Return a resource with its faults.

    Args:
        resource: It is of one of the types that this server reads, or a file of the
            operator's own, of any type.
        deferred: Types of resources inside it that the caller checks itself.
    """
    kind = resource["resourceType"]
    return _Checker(deferred).checked(resource, kind)


def _outer(place: str) -> list[str]:
    """Return the elements around a place, without the resource as a whole."""
    # Faults of the resource as a whole have reasons of their own.
    return [
        place[: end.start()]
        for end in _END.finditer(place)
        if "." in place[: end.start()]
    ]


class _Checker:
    """Walks through a resource, and collects faults."""

    def __init__(self, deferred: Collection[str]) -> None:
        self._deferred = deferred
        self._issues: list[Issue] = []
        self._lost: set[str] = set()

    def checked(self, resource: Mapping[str, Any], kind: str) -> Checked:
        """Return a resource with its faults."""
        sound = self._object(resource, kind, kind)
        return Checked(
            resource=sound, issues=tuple(self._issues), lost=frozenset(self._lost)
        )

    def _resource(self, value: Any, path: str, *, within: bool) -> Any:  # noqa: ANN401 - JSON is any value
        """Return the valid part of a resource."""
        if not isinstance(value, dict):
            return self._misfit(path)
        kind = value.get("resourceType")
        if not isinstance(kind, str) or kind not in RESOURCES:
            return self._lose(
                "structure",
                "This server does not read resources of this type: leave it out.",
                f"{path}.resourceType",
            )
        if kind in self._deferred:
            return value
        return self._object(value, kind, path, within=within)

    def _object(
        self, value: Mapping[str, Any], kind: str, path: str, *, within: bool = False
    ) -> dict[str, Any]:
        """Return the valid part of an object of a type."""
        definitions = elements_of(kind)
        sound: dict[str, Any] = {}
        choices: dict[str, str] = {}
        for name, item in value.items():
            if name == "resourceType" and (kind in RESOURCES or path == kind):
                sound[name] = item
                continue
            of = name.removeprefix("_")
            definition = definitions.get(of)
            if (
                definition is None
                or (of != name and not (definition.is_primitive and of != "id"))
                # R4, dom-2: a contained resource contains no resource.
                or (within and name == "contained")
            ):
                self._fault(
                    "structure",
                    "R4 has no such element here.",
                    _below(path, name),
                )
                continue
            place = f"{path}.{definition.choice or of}"
            if definition.choice and choices.setdefault(definition.choice, of) != of:
                self._fault("structure", "Only one of these can be given.", place)
                continue
            if of in _MODIFIERS:
                self._fault(
                    "not-supported",
                    f"{of} is not understood here: leave it out.",
                    place,
                )
                continue
            twin = value.get(of if of != name else f"_{name}")
            kept = (
                self._element(item, definition, place, twin)
                if of == name
                else self._extended(item, definition, place, twin)
            )
            if kept is not _NOTHING:
                sound[name] = kept
        has_both = "extension" in sound and bool(choices)
        self._check_invariant(value, kind, path, has_both=has_both)
        for name, definition in definitions.items():
            if definition.is_required and name not in value:
                self._lose("required", "The element is required.", f"{path}.{name}")
        return sound

    def _check_invariant(
        self, value: Mapping[str, Any], kind: str, path: str, *, has_both: bool
    ) -> None:
        """Check the invariant of a data type that has one."""
        if kind == "Extension":
            self._check_extension(value, path, has_both=has_both)
        elif kind == "ContactPoint" and "value" in value and "system" not in value:
            self._fault(
                "invariant",
                "cpt-2: a value needs a system, such as phone or email.",
                path,
            )

    def _check_extension(
        self, value: Mapping[str, Any], path: str, *, has_both: bool
    ) -> None:
        """Check ext-1; a member that was refused explains what is missing."""
        if has_both:
            self._fault(
                "invariant",
                "ext-1: an extension has a value or extensions, never both.",
                path,
            )
        elif value.keys() <= {"id", "url"}:
            self._fault(
                "invariant", "ext-1: an extension has a value or extensions.", path
            )

    def _element(
        self,
        value: Any,  # noqa: ANN401 - JSON is any value
        definition: ElementDefinition,
        place: str,
        twin: Any,  # noqa: ANN401 - JSON is any value
    ) -> Any:  # noqa: ANN401 - JSON is any value
        def single(item: Any, at: str) -> Any:  # noqa: ANN401 - JSON is any value
            return self._single(item, definition, at)

        kept = self._one_or_each(value, definition, place, twin, single)
        if kept is _NOTHING or not definition.is_list:
            return kept
        # An item that is lost leaves its place empty: those after it keep theirs.
        lost: Any = None if definition.is_primitive else {}
        return [lost if item is _NOTHING else item for item in kept]

    def _one_or_each(
        self,
        value: Any,  # noqa: ANN401 - JSON is any value
        definition: ElementDefinition,
        place: str,
        twin: Any,  # noqa: ANN401 - JSON is any value
        check: Callable[[Any, str], Any],
    ) -> Any:  # noqa: ANN401 - JSON is any value
        """Check a value, or each item of a list with its place."""
        if _is_empty(value):
            return self._empty(place)
        if not definition.is_list:
            return check(value, place)
        if not isinstance(value, list):
            return self._misfit(place)
        twins = twin if isinstance(twin, list) else []
        # A list of values has null where the list of their extensions has one.
        return [
            None
            if item is None and _has(twins, number)
            else check(item, f"{place}[{number}]")
            for number, item in enumerate(value)
        ]

    def _single(
        self,
        value: Any,  # noqa: ANN401 - JSON is any value
        definition: ElementDefinition,
        place: str,
    ) -> Any:  # noqa: ANN401 - JSON is any value
        if _is_empty(value):
            return self._empty(place)
        if definition.type == "Resource":
            return self._resource(value, place, within=definition.is_list)
        if not definition.is_primitive:
            if not isinstance(value, dict):
                return self._misfit(place)
            return self._object(value, definition.type, place)
        return self._primitive(value, definition, place)

    def _primitive(
        self,
        value: Any,  # noqa: ANN401 - JSON is any value
        definition: ElementDefinition,
        place: str,
    ) -> Any:  # noqa: ANN401 - JSON is any value
        if isinstance(value, str) and UNSAYABLE.search(value):
            return self._lose("value", "The text has a control character.", place)
        if not is_primitive_value(definition.type, value):
            return self._misfit(place)
        if definition.codes and value not in definition.codes:
            return self._lose(
                "code-invalid",
                f"The code must be one of {', '.join(sorted(definition.codes))}.",
                place,
            )
        return value

    def _extended(
        self,
        value: Any,  # noqa: ANN401 - JSON is any value
        definition: ElementDefinition,
        place: str,
        twin: Any,  # noqa: ANN401 - JSON is any value
    ) -> Any:  # noqa: ANN401 - JSON is any value
        """Check the extensions of a primitive: `_status` of `status`."""
        kept = self._one_or_each(value, definition, place, twin, self._extension)
        # Of a list, all items stay: each belongs to the value at its place.
        return value if definition.is_list and kept is not _NOTHING else kept

    def _extension(self, value: Any, place: str) -> Any:  # noqa: ANN401 - JSON is any value
        if _is_empty(value):
            return self._empty(place)
        if not isinstance(value, dict):
            return self._misfit(place)
        return self._object(value, _EXTENDED, place)

    def _misfit(self, place: str) -> Any:  # noqa: ANN401 - nothing of any type
        return self._lose(
            "value", "The element's value does not fit its type in R4.", place
        )

    def _empty(self, place: str) -> Any:  # noqa: ANN401 - nothing of any type
        return self._lose(
            "structure",
            "Nothing in FHIR's JSON is null or empty: leave it out.",
            place,
        )

    def _lose(self, code: str, diagnostics: str, place: str) -> Any:  # noqa: ANN401 - nothing of any type
        """Note a fault of a known element; return the mark of a left-out element."""
        self._fault(code, diagnostics, place)
        self._lost.add(place)
        return _NOTHING

    def _fault(self, code: str, diagnostics: str, place: str) -> None:
        self._issues.append(Issue(code=code, diagnostics=diagnostics, expression=place))


def _has(values: list[Any], number: int) -> bool:
    return number < len(values) and values[number] is not None


def _is_empty(value: object) -> bool:
    return value is None or value in ("", [], {})


def _below(path: str, name: str) -> str:
    """
    Return the path of an element; the path around it when its name may be personal.
    """
    # The nearest path with harmless names: an unknown element may have any name.
    return f"{path}.{name}" if _ELEMENT_NAME.fullmatch(name) else path
