"""
Translations of units' own time types: an index over the ConceptMaps (R4, 13.10).
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

__all__ = ["TimeTypeMaps", "Translation"]

# What a relation is from the other side: "the target is wider" becomes "narrower".
_FROM_THE_TARGET: Final = {
    "wider": "narrower",
    "narrower": "wider",
    "subsumes": "specializes",
    "specializes": "subsumes",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """
    A code that another code was translated to.

    Attributes:
        equivalence: ConceptMapEquivalence, seen from the code that was asked for.
        url: The canonical of the map; None for a map without one.
    """

    equivalence: str
    system: str
    version: str | None
    code: str | None
    display: str | None
    url: str | None


@dataclass(frozen=True, slots=True)
class _Group:
    """A group of a map: its elements stay packed, since a country has thousands."""

    map_id: str
    url: str | None
    source: str
    target: str
    target_version: str | None
    elements: bytes


class TimeTypeMaps:
    """
    All maps.

    Args:
        maps: The ConceptMaps.
    """

    def __init__(self, maps: Iterable[Mapping[str, Any]]) -> None:
        self._by_source: dict[str, list[_Group]] = {}
        self._by_target: dict[tuple[str, str], list[_Group]] = {}
        self._targets: set[str] = set()
        for resource in maps:
            for each in resource.get("group", ()):
                self._add(resource, each)

    def _add(self, resource: Mapping[str, Any], group: Mapping[str, Any]) -> None:
        added = _Group(
            map_id=resource["id"],
            url=resource.get("url"),
            source=group["source"],
            target=group["target"],
            target_version=group.get("targetVersion"),
            elements=zlib.compress(orjson.dumps(group["element"])),
        )
        self._by_source.setdefault(added.source, []).append(added)
        self._targets.add(added.target)
        codes = {
            target["code"]
            for element in group["element"]
            for target in element.get("target", ())
            if "code" in target
        }
        for code in codes:
            self._by_target.setdefault((added.target, code), []).append(added)

    def is_source(self, system: str) -> bool:
        """Return whether a map translates codes of a system."""
        return system in self._by_source

    def is_target(self, system: str) -> bool:
        """Return whether a map translates to codes of a system."""
        return system in self._targets

    def names(self, system: str) -> dict[str, str]:
        """Return the names of a unit's mapped codes, by code."""
        return {
            element["code"]: element.get("display", element["code"])
            for group in self._by_source.get(system, ())
            for element in _elements(group)
        }

    def translations(
        self,
        system: str,
        code: str,
        *,
        map_id: str | None = None,
        to_system: Callable[[str], bool] = lambda _: True,
    ) -> Iterator[Translation]:
        """
        Yield what a unit's code means.

        Args:
            system: The unit's code system.
            code: The code.
            map_id: By this map only.
            to_system: Of systems that it accepts only.
        """
        for group in self._by_source.get(system, ()):
            if not _fits(group, map_id) or not to_system(group.target):
                continue
            for element in _elements(group):
                if element["code"] != code:
                    continue
                for target in element.get("target", ()):
                    yield Translation(
                        equivalence=target["equivalence"],
                        system=group.target,
                        version=group.target_version,
                        code=target.get("code"),
                        display=target.get("display"),
                        url=group.url,
                    )

    def reverse_translations(
        self,
        system: str,
        code: str,
        *,
        map_id: str | None = None,
        to_system: Callable[[str], bool] = lambda _: True,
    ) -> Iterator[Translation]:
        """
        Yield the units' codes that mean a code.

        Args:
            system: The system of the code, which maps translate to.
            code: The code.
            map_id: By this map only.
            to_system: Of systems that it accepts only.
        """
        for group in self._by_target.get((system, code), ()):
            if not _fits(group, map_id) or not to_system(group.source):
                continue
            for element in _elements(group):
                for target in element.get("target", ()):
                    if target.get("code") == code:
                        said = target["equivalence"]
                        yield Translation(
                            equivalence=_FROM_THE_TARGET.get(said, said),
                            system=group.source,
                            version=None,
                            code=element["code"],
                            display=element.get("display"),
                            url=group.url,
                        )


def _fits(group: _Group, map_id: str | None) -> bool:
    return map_id in (None, group.map_id)


def _elements(group: _Group) -> list[dict[str, Any]]:
    elements: list[dict[str, Any]] = orjson.loads(zlib.decompress(group.elements))
    return elements
