"""
Reference (FHIR R4, 2.3): which references are to resources of this server.

They are `Type/id` and the same after this server's base URL, written exactly so. All
other forms are foreign: another base, `file:`, `urn:`, a path with dots, a version
(this server keeps no old versions), a query.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from fhir_gateway.fhir.vocabulary import HSA_ID_ALIASES

__all__ = [
    "Reference",
    "contradicts",
    "is_related_person",
    "own_id",
    "type_in_reference",
    "within_references",
]

_OWN: Final = re.compile(r"(?P<type>[A-Z][A-Za-z]{0,63})/(?P<id>[A-Za-z0-9\-.]{1,64})")
_ANY: Final = re.compile(
    r"(?:https?://[^\s?#]+/)?(?P<type>[A-Z][A-Za-z]{0,63})/[A-Za-z0-9\-.]{1,64}"
    r"(?:/_history/[A-Za-z0-9\-.]{1,64})?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """
    A reference to a resource of this server.

    Attributes:
        type: The resource's type.
        id: Its id.
    """

    type: str
    id: str

    @classmethod
    def parse(cls, text: str, base_url: str | None) -> Self:
        """
        Return the reference in a text.

        Args:
            text: Such as `Slot/id`.
            base_url: This server's FHIR base, without a slash at the end; None where
                the reference is certainly relative.

        Raises:
            ValueError: It does not refer to a resource of this server.
        """
        relative = text if base_url is None else text.removeprefix(f"{base_url}/")
        match = _OWN.fullmatch(relative)
        # Dots alone are not an id but steps in a path.
        if match is None or not match["id"].strip("."):
            raise ValueError("not a reference to this server as Type/id")
        return cls(type=match["type"], id=match["id"])


def own_id(text: str, kind: str, base_url: str | None) -> str | None:
    """
    Return the id in a reference to this server's resource of a type; None for others.
    """
    try:
        reference = Reference.parse(text, base_url)
    except ValueError:
        return None
    return reference.id if reference.type == kind else None


def contradicts(reference: Mapping[str, Any], kind: str, identifier: str) -> bool:
    """
    Return whether a Reference contradicts its own `reference`.

    Args:
        reference: A valid Reference.
        kind: The type in its `reference`.
        identifier: The id in it: the HSA-id, for types that have one.
    """
    beside = reference.get("identifier")
    return reference.get("type", kind) != kind or (
        beside is not None
        and (
            beside.get("system") not in HSA_ID_ALIASES
            or beside.get("value", "").upper() != identifier.upper()
        )
    )


def type_in_reference(text: str) -> str | None:
    """Return the type of resource in a reference to any server; None without one."""
    match = _ANY.fullmatch(text)
    return None if match is None else match["type"]


def is_related_person(
    actor: Mapping[str, Any], resources: Iterable[Mapping[str, Any]]
) -> bool:
    """
    Return whether a participant's actor is somebody whom the patient brings.

    Args:
        actor: A valid Reference.
        resources: The contained resources.
    """
    text = actor.get("reference", "")
    return "RelatedPerson" in (
        actor.get("type"),
        type_in_reference(text),
        *(
            each.get("resourceType")
            for each in resources
            if text.startswith("#") and each.get("id") == text[1:]
        ),
    )


def within_references(value: object) -> Iterator[str]:
    """
    Yield the ids of references within a resource: `#id` without the `#`.

    Both a Reference and an extension's canonical or URL can be such a reference.
    """
    if isinstance(value, dict):
        for name, item in value.items():
            if isinstance(item, str):
                if item.startswith("#") and name.startswith(("reference", "value")):
                    yield item[1:]
            else:
                yield from within_references(item)
    elif isinstance(value, list):
        for item in value:
            yield from within_references(item)
