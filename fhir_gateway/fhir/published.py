"""
Published resources: what describes this server, and the words that it uses.

The profiles, search parameters, operations, code systems and value sets of this
project; R4's own definitions of what this server declares; the ConceptMaps of the
sources; an Endpoint; an ImplementationGuide (FHIR R4, 5).
"""

import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from fhir_gateway.fhir.vocabulary import ERROR_CODE, Vocabulary

__all__ = [
    "PublishedResource",
    "PublishedResources",
    "examples",
    "own_definitions",
    "packed",
    "r4_definitions",
]

_R4_DEFINITIONS: Final = Path(__file__).with_name("r4_definitions.json")
# The files name the default base.
_WRITTEN_BASE: Final = Vocabulary().base
_KEPT_ERROR_CODE: Final = "\0"
# Of an installation, not of the project: they map the sandbox's time types.
_OF_SANDBOX: Final = "ConceptMap-time-types-*.json"
# The bulk of a resource: no search looks into it.
_BULK: Final = frozenset(
    {
        *("contained", "text", "snapshot", "differential", "concept", "compose"),
        *("expansion", "group", "parameter", "definition", "manifest"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedResource:
    """
    A resource, packed: the ConceptMaps of a whole country would fill memory.

    Attributes:
        head: Its elements without the bulk.
        found_by: What searches find in the bulk, by search parameter.
        packed: All of it, as compressed JSON.
    """

    head: Mapping[str, Any]
    found_by: Mapping[str, Collection[str]]
    packed: bytes

    @property
    def type(self) -> str:
        """Return its type."""
        return str(self.head["resourceType"])

    @property
    def id(self) -> str:
        """Return its id."""
        return str(self.head["id"])

    @property
    def url(self) -> str | None:
        """Return its canonical URL; None without one."""
        return self.head.get("url")

    @property
    def version(self) -> str | None:
        """Return its business version; None without one."""
        return self.head.get("version")

    def resource(self) -> dict[str, Any]:
        """Return all of it."""
        whole: dict[str, Any] = orjson.loads(zlib.decompress(self.packed))
        return whole


class PublishedResources:
    """
    All published resources; of two with one type and id the first counts.

    Args:
        resources: The resources.
    """

    def __init__(self, resources: Iterable[PublishedResource]) -> None:
        self._by_type: dict[str, dict[str, PublishedResource]] = {}
        for each in resources:
            self._by_type.setdefault(each.type, {}).setdefault(each.id, each)

    def all(self, resource_type: str) -> Sequence[PublishedResource]:
        """Return those of a type, by id."""
        known = self._by_type.get(resource_type, {})
        return [known[key] for key in sorted(known)]

    def find(self, resource_type: str, identifier: str) -> PublishedResource | None:
        """Return the one with an id, or None."""
        return self._by_type.get(resource_type, {}).get(identifier)

    def of_canonical(
        self, resource_type: str, canonical: str, version: str | None = None
    ) -> PublishedResource | None:
        """
        Return the one that a canonical names, or None.

        Args:
            resource_type: Its type.
            canonical: Its URL, with `|version` or without.
            version: Its version, where the URL does not have it.
        """
        url, _, stated = canonical.partition("|")
        for each in self.all(resource_type):
            if each.url == url and all(
                wanted in (None, "", each.version) for wanted in (stated, version)
            ):
                return each
        return None


def packed(resource: Mapping[str, Any]) -> PublishedResource:
    """Return a resource, packed."""
    head = {name: value for name, value in resource.items() if name not in _BULK}
    found: dict[str, set[str]] = {}
    for name, value in _found(resource):
        found.setdefault(name, set()).add(value)
    return PublishedResource(
        head=head,
        found_by={name: frozenset(values) for name, values in found.items()},
        packed=zlib.compress(orjson.dumps(dict(resource))),
    )


def own_definitions(vocabulary: Vocabulary) -> Iterator[dict[str, Any]]:
    """Yield the definitions of this project, with their canonicals under a base."""
    folder = _folder()
    of_sandbox = set(folder.glob(_OF_SANDBOX))
    for path in sorted(folder.glob("*.json")):
        if path not in of_sandbox:
            yield _read(path, vocabulary)


def examples(vocabulary: Vocabulary) -> Iterator[dict[str, Any]]:
    """Yield the examples of this project, with their canonicals under a base."""
    for path in sorted((_folder() / "examples").glob("*.json")):
        yield _read(path, vocabulary)


def r4_definitions() -> Iterator[dict[str, Any]]:
    """
    Yield R4's own search parameters and operations of the types that are served here.

    HL7 International publishes them under CC0.
    """
    bundle = orjson.loads(_R4_DEFINITIONS.read_bytes())
    for entry in bundle["entry"]:
        yield entry["resource"]


def _found(resource: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what a search may ask for in the bulk: the parameter, and a value."""
    for concept in _concepts(resource.get("concept", ())):
        yield "code", concept["code"]
        for named in concept.get("designation", ()):
            if "language" in named:
                yield "language", named["language"]
    for include in resource.get("compose", {}).get("include", ()):
        if "system" in include:
            yield "reference", include["system"]
        for concept in include.get("concept", ()):
            yield "code", concept["code"]
    for group in resource.get("group", ()):
        yield from _found_in_group(group)


def _found_in_group(group: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the same for a group of a ConceptMap; one of a Measure has none."""
    for side in ("source", "target"):
        if side in group:
            yield f"{side}-system", group[side]
    for element in group.get("element", ()):
        yield "source-code", element["code"]
        for target in element.get("target", ()):
            if "code" in target:
                yield "target-code", target["code"]


def _concepts(listed: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for concept in listed:
        yield concept
        yield from _concepts(concept.get("concept", ()))


def _read(path: Path, vocabulary: Vocabulary) -> dict[str, Any]:
    text = path.read_text(encoding="utf-8")
    if vocabulary.base != _WRITTEN_BASE:
        # The system of error codes is the same in every installation.
        text = text.replace(ERROR_CODE, _KEPT_ERROR_CODE)
        text = text.replace(f"{_WRITTEN_BASE}/", f"{vocabulary.base}/")
        text = text.replace(_KEPT_ERROR_CODE, ERROR_CODE)
    resource: dict[str, Any] = orjson.loads(text)
    return resource


def _folder() -> Path:
    """Return the folder of the profiles: in the installed package, or beside it."""
    installed = Path(__file__).parents[1] / "profiles"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "profiles"
