"""
The terminology service (FHIR R4, 4.7): codes that this server knows, and their meaning.

It knows its own code systems whole. Of SNOMED CT it knows the standard time types, and
of a unit's own time types those that a ConceptMap maps. It never denies a code that it
cannot know: it refuses the question then, and says why.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from fhir_gateway.fhir.known_system import KnownSystem, is_version, known_system
from fhir_gateway.fhir.outcome import Issue, Problem, ProblemKind
from fhir_gateway.fhir.published import PublishedResource, PublishedResources
from fhir_gateway.fhir.standard_time_types import (
    SUPPLEMENT,
    VALUE_SET,
    Concept,
    StandardTimeTypes,
)
from fhir_gateway.fhir.time_type_maps import TimeTypeMaps, Translation
from fhir_gateway.fhir.value_set_expansion import Expansion, Member, expanded_value_set
from fhir_gateway.fhir.vocabulary import SNOMED_CT, SNOMED_CT_SWEDEN, Vocabulary

__all__ = ["Coded", "Terminology"]

_MOST_TRANSLATIONS: Final = 1000
_ALL_OF_SNOMED_CT: Final = f"{SNOMED_CT}?fhir_vs"
_SNOMED_CT_NAME: Final = "SNOMED CT"
_NO_MAP: Final = "No ConceptMap of this server"
_SEE_MAPS: Final = "see ConceptMap for those that there are."
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
            each.url: known_system(each.resource())
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
        supplement = self._published.find("CodeSystem", SUPPLEMENT)
        if supplement is not None and url == supplement.url:
            # A supplement has a version of its own.
            url = SNOMED_CT
            version = None if version == supplement.version else version
        if url == SNOMED_CT:
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
        if not is_version(known.url, known.version, version):
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
                        diagnostics=_unknown(known),
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
            raise _cannot_know(_unknown(known))
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
                and is_version(each.system, each.version, coded.version)
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
        return expanded_value_set(
            value_set.head, self.members(value_set), wanted=wanted, at=at
        )

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
            Problem: 422 when no map has the source or a target, or when there are none,
                and no map has the system of a code; 400 when there are too many.
        """
        self._check_mapped(source, targets, is_reverse=is_reverse)
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
                f"{_NO_MAP} translates codes of that system: {_SEE_MAPS}"
            )
        return found

    def named(
        self, translation: Translation, language: str
    ) -> tuple[Translation, Concept | None]:
        """
        Return a translation with the name of its code in a language, and that code.

        A unit's own code, and none, is None: it has the one name that its source gives.
        """
        known = self._standard.concepts.get(translation.code or "")
        if translation.system != SNOMED_CT or known is None:
            return translation, None
        return replace(translation, display=known.name(language)), known

    def subsumption(self, first: Coded, second: Coded) -> str:
        """
        Return how two codes are related: a code of concept-subsumption-outcome.

        Raises:
            Problem: 422 when this server does not know one of them, or how they are
                related (R4: an error, where a server cannot determine it).
        """
        known = self.system(first.system or "", first.version)
        other = self.system(second.system or "", second.version)
        if known.has_subsumption and known.url == other.url:
            if first.code in self._standard.ancestors(second.code):
                return "subsumes"
            if second.code in self._standard.ancestors(first.code):
                return "subsumed-by"
        for system, coded in ((known, first), (other, second)):
            if coded.code not in system.concepts:
                raise _cannot_know(_unknown(system))
        if known.url == other.url and first.code == second.code:
            return "equivalent"
        # A small part of a hierarchy does not show what is unrelated.
        raise _cannot_know(
            "This server does not know how these codes are related: ask a terminology"
            " server."
        )

    def _check_mapped(
        self, source: str | None, targets: Sequence[str], *, is_reverse: bool
    ) -> None:
        """
        Check that a map has the named source and targets.

        Raises:
            Problem: 422.
        """
        is_source, is_target = self._maps.is_source, self._maps.is_target
        if is_reverse:
            is_source, is_target = is_target, is_source
        if source is not None and not self._is_mapped(source, is_source):
            raise _cannot_know(f"{_NO_MAP} translates from that source: {_SEE_MAPS}")
        if not all(self._is_mapped(each, is_target) for each in targets):
            raise _cannot_know(f"{_NO_MAP} translates to that target: {_SEE_MAPS}")

    def _is_mapped(self, url: str, is_known: Callable[[str], bool]) -> bool:
        """Return whether a map has a code system, or that of a value set."""
        return is_known(url) or (is_known(SNOMED_CT) and self._is_of(url, SNOMED_CT))

    def _can_translate(self, coded: Coded, *, is_reverse: bool) -> bool:
        """Return whether a map has the system of a code, in its version."""
        system = coded.system or ""
        is_known = self._maps.is_target if is_reverse else self._maps.is_source
        version = SNOMED_CT_SWEDEN if system == SNOMED_CT else None
        return is_known(system) and is_version(system, version, coded.version)

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


def _unknown(known: KnownSystem) -> str:
    """Return why a code of a system is not known."""
    if known.is_whole:
        return "The code system has no such code."
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
