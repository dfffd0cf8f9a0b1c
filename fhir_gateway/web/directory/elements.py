"""
What the search parameters of the directory's types have in common.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

from fhir_gateway.fhir.resource_table import Candidates, Criterion
from fhir_gateway.fhir.search_element import Coded, TokenElement, UriElement
from fhir_gateway.fhir.search_parameters import Parameter
from fhir_gateway.fhir.service_type import service_type_from_time_type
from fhir_gateway.fhir.terminology import Terminology
from fhir_gateway.fhir.terminology_parameters import (
    NarrowerParameter,
    ValueSetParameter,
)
from fhir_gateway.fhir.vocabulary import (
    HSA_ID,
    HSA_ID_ALIASES,
    SPECIAL_VALUES,
    is_system_of_time_types,
)
from fhir_gateway.model.ids import HsaId, SourceName
from fhir_gateway.model.timeslot import TimeType
from fhir_gateway.web.directory.world import DirectoryWorld

__all__ = [
    "R4",
    "ServiceTypeElement",
    "active_element",
    "all_rows",
    "hsa_id",
    "identifier_element",
    "profile_element",
    "service_type_codes",
    "source_element",
    "spelling_of",
    "targets",
    "texts",
]

R4: Final = "http://hl7.org/fhir/SearchParameter/"
"""The base of R4's canonicals of search parameters."""

# Each modifier with a look-up, and the one that compares the codes.
_LOOKED_UP: Final = {"below": "", "in": "", "not-in": "not"}

_Spelling = Callable[[str], str]
_TYPES_OF_HSA_ID: Final = frozenset({"Location", "Organization", "Practitioner"})


def hsa_id(text: str) -> HsaId | None:
    """Return the HSA-id that a text spells in any case; None for other texts."""
    with suppress(ValueError):
        return HsaId(text)
    return None


def texts(*texts: str | None) -> tuple[str, ...]:
    """Return the texts that there are."""
    return tuple(text for text in texts if text)


def spelling_of(type_: str) -> _Spelling:
    """Return the one spelling of the ids of a type: HSA-ids count in any case."""
    return str.upper if type_ in _TYPES_OF_HSA_ID else str


def targets(*types: str) -> dict[str, _Spelling]:
    """Return the types that a reference leads to, with the spelling of their ids."""
    return {type_: spelling_of(type_) for type_ in types}


def identifier_element(
    type_: str, values: Callable[[DirectoryWorld, Any], HsaId]
) -> TokenElement[DirectoryWorld, Any]:
    """Return `identifier`: an HSA-id."""
    return TokenElement(
        "identifier",
        lambda world, row: (Coded(HSA_ID, values(world, row)),),
        definition=f"{R4}{type_}-identifier",
        documentation="The HSA-id, in any case.",
        spelling=str.upper,
        aliases=dict.fromkeys(HSA_ID_ALIASES, HSA_ID),
        is_system=HSA_ID_ALIASES.__contains__,
    )


def active_element(type_: str) -> TokenElement[Any, Any]:
    """Return `active`: true of all that is in the directory."""
    return TokenElement(
        "active",
        lambda _, __: (Coded(SPECIAL_VALUES, "true"),),
        definition=f"{R4}{type_}-active",
        documentation="What is in the directory is active.",
        codes=("true", "false"),
        system=SPECIAL_VALUES,
    )


def source_element(
    values: Callable[[DirectoryWorld, Any], SourceName],
) -> UriElement[DirectoryWorld, Any]:
    """Return `_source`: the region."""
    return UriElement(
        "_source",
        lambda world, row: (world.vocabulary.source(values(world, row)),),
        definition=f"{R4}Resource-source",
        documentation="The region: what meta.source says of it.",
        says_unknown=True,
    )


def profile_element(name: str) -> UriElement[DirectoryWorld, Any]:
    """Return `_profile`: the one that every resource of the type has."""
    return UriElement(
        "_profile",
        lambda world, _: (world.vocabulary.profile(name),),
        definition=f"{R4}Resource-profile",
        documentation="The profile: what meta.profile says of it.",
    )


def service_type_codes(
    world: DirectoryWorld, time_type: TimeType, unit: HsaId
) -> Iterator[Coded]:
    """Yield the codes of a time type: the shared ones, and the unit's own."""
    concept = service_type_from_time_type(time_type, unit, world.vocabulary)
    for coding in concept["coding"]:
        yield Coded(coding["system"], coding["code"], coding["display"])


class ServiceTypeElement(TokenElement[DirectoryWorld, Any]):
    """
    `service-type`, also by narrower codes and by value sets.

    Args:
        type_: The resource type.
        values: Returns the codes of a row.
        terminology: Knows the codes; without it, none is below another.
    """

    def __init__(
        self,
        type_: str,
        values: Callable[[DirectoryWorld, Any], Iterable[Coded]],
        terminology: Terminology | None,
    ) -> None:
        super().__init__(
            "service-type",
            values,
            definition=f"{R4}{type_}-service-type",
            documentation="Of that meaning, under any name of a unit's own.",
            is_system=is_system_of_time_types,
            has_text=True,
            says_unknown=True,
        )
        self.modifiers = (*self.modifiers, *_LOOKED_UP)
        self._terminology = terminology

    def parameter(self, modifier: str) -> Parameter[Any]:
        """Return what reads codes, or looks them up."""
        if modifier not in _LOOKED_UP:
            return super().parameter(modifier)
        if modifier == "below":
            return NarrowerParameter(
                self._terminology, is_system=is_system_of_time_types
            )
        return ValueSetParameter(self._terminology)

    def compared_by(self, modifier: str) -> str:
        """Return the modifier that compares the codes which were looked up."""
        return _LOOKED_UP.get(modifier, modifier)


def all_rows(
    rows: Callable[[DirectoryWorld], Sequence[Any]],
) -> Callable[[DirectoryWorld, Sequence[Criterion]], Candidates[Any]]:
    """Return the candidates of a table that has no index: all rows."""
    return lambda world, criteria: Candidates(rows(world), criteria)
