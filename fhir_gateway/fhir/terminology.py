"""
The terminology service (FHIR R4, 4.7): codes that this server knows, and their meaning.

It knows its own code systems whole. Of SNOMED CT it knows the standard time types, and
of a unit's own time types those that a ConceptMap maps. It never denies a code that it
cannot know: it refuses the question then, and says why.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from fhir_gateway.fhir.outcome import Issue, Problem, ProblemKind
from fhir_gateway.fhir.published import PublishedResource, PublishedResources
from fhir_gateway.fhir.standard_time_types import (
    LANGUAGES,
    SUPPLEMENT,
    VALUE_SET,
    Concept,
    StandardTimeTypes,
)
from fhir_gateway.fhir.time_type_maps import TimeTypeMaps, Translation
from fhir_gateway.fhir.vocabulary import SNOMED_CT, SNOMED_CT_SWEDEN, Vocabulary
from fhir_gateway.model.timekeeping import instant_text

__all__ = ["Coded", "Expansion", "KnownSystem", "Member", "Terminology"]

_MOST_TRANSLATIONS: Final = 1000
_ALL_OF_SNOMED_CT: Final = f"{SNOMED_CT}?fhir_vs"
_SNOMED_CT_NAME: Final = "SNOMED CT"
# The one filter in our value sets.
_CHOICES: Final = [{"property": "notSelectable", "op": "=", "value": "false"}]


@dataclass(frozen=True, slots=True, kw_only=True)
class Coded:
    """
    A code that a client asks about.

    Attributes:
        system: Its code system; None where the client does not say.
        version: The version of the system.
        display: What the client calls it.
    """

    code: str
    system: str | None = None
    version: str | None = None
    display: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSystem:
    """
    What this server knows of a code system.

    Attributes:
        name: Its name for people.
        is_whole: All of its codes are known, so that another code is wrong.
        has_subsumption: Its hierarchy says what is a kind of what.
    """

    url: str
    name: str
    version: str | None
    concepts: Mapping[str, Concept]
    is_whole: bool
    has_subsumption: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A code in a value set."""

    system: str
    version: str | None
    concept: Concept


@dataclass(frozen=True, slots=True, kw_only=True)
class Expansion:
    """
    How a client wants an expansion.

    Attributes:
        count: The most codes on a page; None for all.
        language: That of the names.
        has_designations: The names in every language too.
    """

    text: str | None = None
    offset: int = 0
    count: int | None = None
    language: str = LANGUAGES[0]
    has_designations: bool = False


class Terminology:
    """
    Answers questions about codes.

    Args:
        published: All published resources.
        standard: The standard time types.
        maps: The sources' maps.
        vocabulary: Our canonicals.
    """

    def __init__(
        self,
        published: PublishedResources,
        standard: StandardTimeTypes,
        maps: TimeTypeMaps,
        vocabulary: Vocabulary,
    ) -> None:
        self._published = published
        self._standard = standard
        self._maps = maps
        self._vocabulary = vocabulary
        self._whole = {
            each.url: _whole_system(each.resource())
            for each in published.all("CodeSystem")
            if each.url is not None and each.head.get("content") == "complete"
        }

    @property
    def systems(self) -> tuple[KnownSystem, ...]:
        """Return the code systems that are the same for all units."""
        return (self._snomed_ct(), *self._whole.values())

    def system(self, url: str, version: str | None = None) -> KnownSystem:
        """
        Return what is known of a code system.

        Raises:
            Problem: 422 when nothing is, or not in that version.
        """
        known = self._whole.get(url)
        if url in (SNOMED_CT, self._canonical("CodeSystem", SUPPLEMENT)):
            known = self._snomed_ct()
        elif self._maps.is_source(url):
            names = self._maps.names(url)
            known = KnownSystem(
                url=url,
                name="Time types of a unit",
                version=None,
                concepts={
                    code: Concept(code=code, display=name, names={})
                    for code, name in names.items()
                },
                is_whole=False,
            )
        if known is None:
            raise _cannot_know(
                "This server does not have that code system: ask a terminology server."
            )
        if not _is_version(known.url, known.version, version):
            raise _cannot_know(
                "This server does not have that version of the code system:"
                f" {known.version or 'leave the version out'}."
            )
        return known

    def lookup(self, coded: Coded) -> tuple[KnownSystem, Concept]:
        """
        Return what is known of a code.

        Raises:
            Problem: 404 when the code is not known, 422 when its system is not.
        """
        known = self.system(coded.system or "", coded.version)
        concept = known.concepts.get(coded.code)
        if concept is None:
            raise Problem(
                [
                    Issue(
                        code="not-found",
                        diagnostics="The code system has no such code."
                        if known.is_whole
                        else _part(known),
                    )
                ],
                kind=ProblemKind.NOT_FOUND,
            )
        return known, concept

    def codes_in_system(
        self, codes: Iterable[Coded]
    ) -> list[tuple[Coded, Concept | None]]:
        """
        Return codes, each with what it is in its code system; None for a wrong one.

        Raises:
            Problem: 422 when none of them is right, and this server cannot know it of
                one.
        """
        found: list[tuple[Coded, Concept | None]] = []
        unknown: Problem | None = None
        for coded in codes:
            try:
                found.append((coded, self._code_in_system(coded)))
            except Problem as problem:
                unknown = problem
        if unknown is not None and not any(concept for _, concept in found):
            raise unknown
        return found

    def _code_in_system(self, coded: Coded) -> Concept | None:
        known = self.system(coded.system or "", coded.version)
        concept = known.concepts.get(coded.code)
        if concept is None and not known.is_whole:
            raise _cannot_know(_part(known))
        return concept

    def members(self, value_set: PublishedResource) -> list[Member]:
        """Return the codes of a value set, in its order."""
        found: list[Member] = []
        for include in value_set.resource()["compose"]["include"]:
            known = self.system(include["system"], include.get("version"))
            listed = [each["code"] for each in include.get("concept", ())]
            if include.get("filter") == _CHOICES:
                listed = [
                    code
                    for code, each in known.concepts.items()
                    if not each.is_abstract
                ]
            found.extend(
                Member(
                    system=known.url,
                    version=include.get("version", known.version),
                    concept=known.concepts[code],
                )
                for code in listed or known.concepts
            )
        return found

    def code_in_value_set(
        self, value_set: PublishedResource, coded: Coded
    ) -> Concept | None:
        """Return a code of a value set; None where it has no such code."""
        return next(
            (
                each.concept
                for each in self.members(value_set)
                if each.concept.code == coded.code
                and each.system == coded.system
                and _is_version(each.system, each.version, coded.version)
            ),
            None,
        )

    def kinds_of(self, code: str) -> frozenset[str]:
        """Return a code of SNOMED CT, and the standard time types below it."""
        return self._standard.below(code)

    def members_of(self, canonical: str) -> list[Member] | None:
        """
        Return the codes of the value set that a canonical, or `ValueSet/id`, names.

        None where this server has no such value set, or does not know all its codes.
        """
        kind, _, identifier = canonical.partition("/")
        value_set = (
            self._published.find("ValueSet", identifier)
            if kind == "ValueSet"
            else self._published.of_canonical("ValueSet", canonical)
        )
        if value_set is None:
            return None
        try:
            return self.members(value_set)
        except Problem:
            return None

    def expanded(
        self, value_set: PublishedResource, wanted: Expansion, at: datetime
    ) -> dict[str, Any]:
        """Return a value set with its codes (ValueSet.expansion)."""
        members = [
            each
            for each in self.members(value_set)
            if wanted.text is None or _has_text(each.concept, wanted.text)
        ]
        end = None if wanted.count is None else wanted.offset + wanted.count
        page = members[wanted.offset : end]
        parameters: list[dict[str, Any]] = [
            {"name": "displayLanguage", "valueCode": wanted.language}
        ]
        if wanted.text is not None:
            parameters.append({"name": "filter", "valueString": wanted.text})
        if wanted.count is not None:
            parameters.append({"name": "count", "valueInteger": wanted.count})
        expansion: dict[str, Any] = {
            "identifier": f"urn:uuid:{uuid5(NAMESPACE_URL, value_set.url or '')}",
            "timestamp": instant_text(at),
            "total": len(members),
            "offset": wanted.offset,
            "parameter": parameters,
        }
        if page:
            expansion["contains"] = [_contained(each, wanted) for each in page]
        return {
            **value_set.head,
            "language": wanted.language,
            "expansion": expansion,
        }

    def translations(
        self,
        *codes: Coded,
        map_id: str | None = None,
        source: str | None = None,
        targets: Sequence[str] = (),
        is_reverse: bool = False,
    ) -> list[Translation]:
        """
        Return what codes are translated to.

        Args:
            codes: The codes, which mean the same.
            map_id: The id of the only map to use; None for all.
            source: The code system, or value set, that they are of.
            targets: The code systems, or value sets, to translate to; all of them.
            is_reverse: From the meaning to the units' own codes.

        Raises:
            Problem: 422 when there are none, and no map has the system of a code; 400
                when there are too many.
        """
        translations = (
            self._maps.reverse_translations if is_reverse else self._maps.translations
        )
        found: list[Translation] = []
        unknown = False
        for coded in codes:
            system = coded.system or ""
            if not self._can_translate(coded, is_reverse=is_reverse):
                unknown = True
                continue
            if source is not None and not self._is_of(source, system):
                continue
            for each in translations(
                system,
                coded.code,
                map_id=map_id,
                to_system=lambda other: all(self._is_of(one, other) for one in targets),
            ):
                if len(found) == _MOST_TRANSLATIONS:
                    raise _too_many()
                found.append(each)
        if unknown and not found:
            raise _cannot_know(
                "No ConceptMap of this server translates codes of that system: see"
                " ConceptMap for those that there are."
            )
        return found

    def named(self, translation: Translation, language: str) -> Translation:
        """Return a translation with the name of its code in a language."""
        known = self._standard.concepts.get(translation.code or "")
        if translation.system != SNOMED_CT or known is None:
            return translation
        return replace(translation, display=known.name(language))

    def subsumption(self, first: Coded, second: Coded) -> str:
        """
        Return how two codes are related: a code of concept-subsumption-outcome.

        Raises:
            Problem: 404 for a code that is not known, 422 when this server cannot know
                how they are related.
        """
        known = self.system(first.system or "", first.version)
        other = self.system(second.system or "", second.version)
        if known.has_subsumption and known.url == other.url:
            # A code that only stands above others has no name here.
            if first.code in self._standard.ancestors(second.code):
                return "subsumes"
            if second.code in self._standard.ancestors(first.code):
                return "subsumed-by"
        _, one = self.lookup(first)
        _, another = self.lookup(second)
        if known.url == other.url and one.code == another.code:
            return "equivalent"
        # A small part of a hierarchy does not show what is unrelated.
        raise _cannot_know(
            "This server does not know how these codes are related: ask a terminology"
            " server."
        )

    def _can_translate(self, coded: Coded, *, is_reverse: bool) -> bool:
        """Return whether a map has the system of a code, in its version."""
        system = coded.system or ""
        is_known = self._maps.is_target if is_reverse else self._maps.is_source
        version = SNOMED_CT_SWEDEN if system == SNOMED_CT else None
        return is_known(system) and _is_version(system, version, coded.version)

    def _snomed_ct(self) -> KnownSystem:
        return KnownSystem(
            url=SNOMED_CT,
            name=_SNOMED_CT_NAME,
            version=SNOMED_CT_SWEDEN,
            concepts=self._standard.concepts,
            is_whole=False,
            has_subsumption=True,
        )

    def _is_of(self, url: str, system: str) -> bool:
        """Return whether a code system or value set has codes of a system."""
        if url == system:
            return True
        return system == SNOMED_CT and url in (
            _ALL_OF_SNOMED_CT,
            self._canonical("ValueSet", VALUE_SET),
        )

    def _canonical(self, resource_type: str, identifier: str) -> str:
        return f"{self._vocabulary.base}/{resource_type}/{identifier}"


def _whole_system(resource: Mapping[str, Any]) -> KnownSystem:
    return KnownSystem(
        url=resource["url"],
        name=resource.get("title") or resource["name"],
        version=resource.get("version"),
        concepts={each.code: each for each in _flat(resource.get("concept", ()))},
        is_whole=True,
        has_subsumption=False,
    )


def _flat(
    listed: Iterable[Mapping[str, Any]], above: tuple[str, ...] = ()
) -> Iterator[Concept]:
    for each in listed:
        below: Sequence[Mapping[str, Any]] = each.get("concept", ())
        yield Concept(
            code=each["code"],
            display=each.get("display", each["code"]),
            names={
                named["language"]: named["value"]
                for named in each.get("designation", ())
                if "language" in named
            },
            definition=each.get("definition"),
            parents=above,
            children=tuple(child["code"] for child in below),
            is_abstract=any(
                said.get("code") == "notSelectable" and said.get("valueBoolean")
                for said in each.get("property", ())
            ),
        )
        yield from _flat(below, (each["code"],))


def _is_version(system: str, known: str | None, asked: str | None) -> bool:
    if asked is None or asked == known:
        return True
    # A release of the Swedish edition of SNOMED CT: its codes mean the same.
    return system == SNOMED_CT and asked.startswith(f"{SNOMED_CT_SWEDEN}/version/")


def _has_text(concept: Concept, text: str) -> bool:
    folded = text.casefold()
    names = (concept.code, concept.display, *concept.names.values())
    return any(folded in each.casefold() for each in names)


def _contained(member: Member, wanted: Expansion) -> dict[str, Any]:
    concept = member.concept
    contained: dict[str, Any] = {"system": member.system}
    if member.version is not None:
        contained["version"] = member.version
    contained["code"] = concept.code
    contained["display"] = concept.name(wanted.language)
    if wanted.has_designations and concept.names:
        contained["designation"] = [
            {"language": language, "value": name}
            for language, name in concept.names.items()
        ]
    return contained


def _part(known: KnownSystem) -> str:
    return (
        f"This server knows only a part of the code system ({known.name}:"
        f" {len(known.concepts)} codes), and the code is not among them: ask a"
        " terminology server, or the unit."
    )


def _cannot_know(diagnostics: str) -> Problem:
    return Problem(
        [Issue(code="not-supported", diagnostics=diagnostics)],
        kind=ProblemKind.UNPROCESSABLE,
    )


def _too_many() -> Problem:
    return Problem(
        [
            Issue(
                code="too-costly",
                diagnostics=(
                    f"There are more than {_MOST_TRANSLATIONS} translations: name one"
                    " map by url, or the unit's code system by targetsystem."
                ),
            )
        ],
        kind=ProblemKind.MALFORMED,
    )
