"""
The standard time types: SNOMED CT codes that mean the same at every unit.

A CodeSystem supplement (FHIR R4, 4.8.10) lists them with their names in Swedish and
English; `parent` properties in it say which code is narrower than which.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fhir_gateway.fhir.vocabulary import SNOMED_CT, SNOMED_CT_SWEDEN

__all__ = [
    "LANGUAGES",
    "SUPPLEMENT",
    "VALUE_SET",
    "Concept",
    "StandardTimeTypes",
]

LANGUAGES: Final = ("sv", "en")
"""The languages of names; the first is that of `display`."""

SUPPLEMENT: Final = "standard-time-types-supplement"
VALUE_SET: Final = "standard-time-types"
_PARENT: Final = "parent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Concept:
    """
    A code with its names.

    Attributes:
        display: Its usual name.
        names: Its names, by language.
        definition: What it means; None where its system does not say.
        parents: The codes right above it.
        children: The codes right below it.
        is_abstract: It groups others, and nobody chooses it.
    """

    code: str
    display: str
    names: Mapping[str, str]
    definition: str | None = None
    parents: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    is_abstract: bool = False

    def name(self, language: str) -> str:
        """Return its name in a language, or else its usual one."""
        return self.names.get(language, self.display)


class StandardTimeTypes:
    """
    The standard time types.

    Args:
        supplement: The CodeSystem supplement.
        maps: ConceptMaps of sources: further codes that they map to are standard time
            types too, with the names that they have there.
    """

    def __init__(
        self, supplement: Mapping[str, Any], maps: Iterable[Mapping[str, Any]] = ()
    ) -> None:
        listed = supplement.get("concept", ())
        parents = {each["code"]: tuple(_parents(each)) for each in listed}
        concepts = {
            each["code"]: Concept(
                code=each["code"],
                display=each.get("display", each["code"]),
                names={
                    named["language"]: named["value"]
                    for named in each.get("designation", ())
                    if "language" in named
                },
                definition=each.get("definition"),
                parents=parents[each["code"]],
                children=tuple(
                    code for code, above in parents.items() if each["code"] in above
                ),
            )
            for each in listed
        }
        self._of_supplement = frozenset(concepts)
        for code, display in _targets(maps):
            concepts.setdefault(code, Concept(code=code, display=display, names={}))
        self._concepts = concepts
        self._above = {code: frozenset(self._found_above(code)) for code in concepts}

    @property
    def concepts(self) -> Mapping[str, Concept]:
        """Return the concepts by their code."""
        return self._concepts

    def ancestors(self, code: str) -> frozenset[str]:
        """Return the codes that a code is a kind of, near and far; not itself."""
        return self._above.get(code, frozenset())

    def below(self, code: str) -> frozenset[str]:
        """Return a code and all codes that are a kind of it."""
        return frozenset(
            {code, *(each for each, above in self._above.items() if code in above)}
        )

    def value_set(self, written: Mapping[str, Any]) -> dict[str, Any]:
        """Return the ValueSet of all of them, from the one that lists a part."""
        further = [code for code in self._concepts if code not in self._of_supplement]
        if not further:
            return dict(written)
        include = {
            "system": SNOMED_CT,
            "version": SNOMED_CT_SWEDEN,
            "concept": [
                {"code": code, "display": self._concepts[code].display}
                for code in self._concepts
            ],
        }
        # An expansion that lists a part would contradict it.
        kept = {name: value for name, value in written.items() if name != "expansion"}
        return kept | {"compose": {"include": [include]}}

    def _found_above(self, code: str) -> Iterator[str]:
        seen = {code}
        waiting = [code]
        while waiting:
            concept = self._concepts.get(waiting.pop())
            for parent in () if concept is None else concept.parents:
                if parent not in seen:
                    seen.add(parent)
                    waiting.append(parent)
                    yield parent


def _parents(concept: Mapping[str, Any]) -> Iterator[str]:
    for each in concept.get("property", ()):
        if each.get("code") == _PARENT and "valueCode" in each:
            yield each["valueCode"]


def _targets(maps: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for resource in maps:
        for group in resource.get("group", ()):
            for element in group.get("element", ()):
                for target in element.get("target", ()):
                    if "code" in target:
                        yield target["code"], target.get("display", target["code"])
