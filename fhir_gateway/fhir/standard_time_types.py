"""
The standard time types: SNOMED CT codes that mean the same at every unit.

A CodeSystem supplement (FHIR R4, 4.8.10) lists them with their names in Swedish and
English; `parent` properties in it say which code is narrower than which. A code that
only stands above others is known too, and no time type has it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fhir_gateway.fhir.sctid import is_concept_id
from fhir_gateway.fhir.structure import checked
from fhir_gateway.fhir.vocabulary import SNOMED_CT, SNOMED_CT_SWEDEN
from fhir_gateway.model.json_file import UnreadableFile, read_json_file

__all__ = [
    "LANGUAGES",
    "SUPPLEMENT",
    "VALUE_SET",
    "Concept",
    "StandardTimeTypes",
    "WrongSupplement",
    "concept_from_element",
    "supplement_from_file",
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

    def spoken(self, language: str) -> str:
        """Return the language of the name that it has for a language."""
        return language if language in self.names else LANGUAGES[0]


def concept_from_element(
    element: Mapping[str, Any],
    *,
    language: str | None = None,
    parents: tuple[str, ...],
    children: tuple[str, ...],
) -> Concept:
    """
    Return a concept of a CodeSystem.

    Args:
        element: CodeSystem.concept.
        language: That of its display; None where the CodeSystem does not say.
        parents: The codes right above it.
        children: The codes right below it.
    """
    display = element.get("display", element["code"])
    names = {} if language is None else {language: display}
    return Concept(
        code=element["code"],
        display=display,
        names=names
        | {
            named["language"]: named["value"]
            for named in element.get("designation", ())
            if "language" in named
        },
        definition=element.get("definition"),
        parents=parents,
        children=children,
        is_abstract=any(
            said.get("code") == "notSelectable" and said.get("valueBoolean")
            for said in element.get("property", ())
        ),
    )


class WrongSupplement(ValueError):
    """
    A file is no CodeSystem supplement of standard time types.

    Attributes:
        faults: What is wrong, one sentence each.
    """

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


def supplement_from_file(path: Path) -> dict[str, Any]:
    """
    Return the CodeSystem supplement in a file.

    Raises:
        WrongSupplement: The file cannot be read, or breaks R4, or is about other codes
            than SNOMED CT's; the error lists all faults.
    """
    try:
        resource, faults = read_json_file(path)
    except UnreadableFile as error:
        raise WrongSupplement([str(error)]) from error
    if not isinstance(resource, dict) or resource.get("resourceType") != "CodeSystem":
        raise WrongSupplement(["is not a CodeSystem", *faults])
    try:
        issues = checked(resource).issues
    except RecursionError as error:
        raise WrongSupplement(["is nested too deeply"]) from error
    faults = [
        *faults,
        *(
            f"{(each.expression or '').removeprefix('CodeSystem.')}: {each.diagnostics}"
            for each in issues
        ),
    ]
    # What breaks R4 may have any form: the rest reads what does not.
    if not faults:
        faults.extend(_faults_of_supplement(resource))
    if faults:
        raise WrongSupplement(faults)
    return resource


def _faults_of_supplement(resource: Mapping[str, Any]) -> Iterator[str]:
    if resource["content"] != "supplement":
        yield "content must be supplement"
    if resource.get("supplements", "").partition("|")[0] != SNOMED_CT:
        yield f"supplements must be {SNOMED_CT}"
    for number, concept in enumerate(resource.get("concept", ())):
        place = f"concept[{number}]"
        for code in (concept["code"], *_parents(concept)):
            if not is_concept_id(code):
                yield f"{place}: {code} is no concept of SNOMED CT"
        if "concept" in concept:
            yield f"{place}.concept: name the parent in a property instead"


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
        children: dict[str, tuple[str, ...]] = {}
        for code, above in parents.items():
            for each in above:
                children[each] = (*children.get(each, ()), code)
        concepts = {
            each["code"]: concept_from_element(
                each,
                parents=parents[each["code"]],
                children=children.get(each["code"], ()),
            )
            for each in listed
        }
        for code, display in _targets(maps):
            concepts.setdefault(
                code,
                Concept(
                    code=code,
                    display=display,
                    names={},
                    children=children.get(code, ()),
                ),
            )
        for code, below in children.items():
            # Nobody has said what it is called.
            concepts.setdefault(
                code,
                Concept(
                    code=code, display=code, names={}, children=below, is_abstract=True
                ),
            )
        self._concepts = concepts
        self._above = {code: frozenset(self._found_above(code)) for code in concepts}

    @property
    def concepts(self) -> Mapping[str, Concept]:
        """Return the concepts by their code, also those that only stand above."""
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
        """Return the ValueSet of all time types, from the one that lists a part."""
        listed = {
            each["code"]
            for include in written["compose"]["include"]
            for each in include.get("concept", ())
        }
        known = {
            code: each for code, each in self._concepts.items() if not each.is_abstract
        }
        if listed == known.keys():
            return dict(written)
        include = {
            "system": SNOMED_CT,
            "version": SNOMED_CT_SWEDEN,
            "concept": [
                {"code": code, "display": each.display} for code, each in known.items()
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
