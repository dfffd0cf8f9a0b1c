"""
The search parameters that only slots have: actors and names.
"""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final

from marshmallow import ValidationError

from fhir_gateway.fhir.reference import Reference
from fhir_gateway.fhir.search_parameters import (
    Parameter,
    TokenParameter,
    alternatives,
    unescaped,
)
from fhir_gateway.fhir.vocabulary import HSA_ID, HSA_ID_ALIASES
from fhir_gateway.model.ids import HsaId

__all__ = [
    "ACTOR_TYPES",
    "HsaIdParameter",
    "NameParameter",
    "ScheduleActorParameter",
    "hsa_ids",
]

ACTOR_TYPES: Final = (
    "HealthcareService",
    "Location",
    "Practitioner",
    "PractitionerRole",
)
"""The types of the actors of schedules."""

# Each is compared with each name of thousands.
_MOST_NAMES: Final = 20


class ScheduleActorParameter(Parameter[tuple[frozenset[Reference], ...]]):
    """`schedule.actor`: groups of references to actors of schedules, as `Type/id`."""

    type = "reference"
    has_references = True

    def read(self, texts: list[str]) -> tuple[frozenset[Reference], ...]:
        """Return the references: of each group one has to fit."""
        return tuple(
            frozenset(map(_actor, map(unescaped, alternatives(text)))) for text in texts
        )


def _actor(text: str) -> Reference:
    with suppress(ValueError):
        # `understand` has made this server's absolute references relative.
        reference = Reference.parse(text, None)
        if reference.type in ACTOR_TYPES:
            return reference
    raise ValidationError(
        "expected a reference to this server, as Type/id, with one of the types"
        f" {', '.join(ACTOR_TYPES)}; or name the type: schedule.actor:Location"
    )


class HsaIdParameter(Parameter[tuple[frozenset[HsaId], ...]]):
    """An identifier of a unit or a member of staff: groups of HSA-ids."""

    type = "token"

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - a marshmallow field has options of many types
        super().__init__(**options)
        self._tokens = TokenParameter(is_system=HSA_ID_ALIASES.__contains__)

    def read(self, texts: list[str]) -> tuple[frozenset[HsaId], ...]:
        """Return the HSA-ids; other codes name nobody."""
        groups = self._tokens.read(texts)
        if any(token.code is None for group in groups for token in group):
            raise ValidationError(f"expected an HSA-id, with or without {HSA_ID}|")
        return tuple(hsa_ids(token.code or "" for token in group) for group in groups)


class NameParameter(Parameter[tuple[frozenset[str], ...]]):
    """A name: groups of texts, of which one has to fit."""

    type = "string"

    def read(self, texts: list[str]) -> tuple[frozenset[str], ...]:
        """Return the texts."""
        groups = tuple(frozenset(map(unescaped, alternatives(text))) for text in texts)
        if not all(text.strip() for group in groups for text in group):
            raise ValidationError("expected a name, or its beginning")
        if sum(map(len, groups)) > _MOST_NAMES:
            raise ValidationError(f"expected at most {_MOST_NAMES} names")
        return groups


def hsa_ids(texts: Iterable[str]) -> frozenset[HsaId]:
    """Return the HSA-ids among texts, which count in any case."""
    return frozenset(unit for text in texts if (unit := _unit(text)) is not None)


def _unit(text: str) -> HsaId | None:
    try:
        return HsaId(text)
    except ValueError:
        return None
